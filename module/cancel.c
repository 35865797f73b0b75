// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancelling. A request that can be cancelled is in the ring's hash, which
 * records where it waits: armed on a file, on a timer, or queued to a worker.
 * The context that removes the request from there owns it and completes it.
 */
#include <linux/fs.h>

#include "cancel.h"
#include "cq.h"
#include "debug/trace.h"
#include "hash.h"
#include "op/ops.h"
#include "poll.h"
#include "reqmem.h"
#include "request.h"
#include "ring.h"
#include "submitter.h"
#include "worker.h"

static bool cancel_by_user_data(const struct io2_cancel_match *m)
{
	if (m->flags & IOURING2_ASYNC_CANCEL_ANY)
		return false;
	return (m->flags & IOURING2_ASYNC_CANCEL_USERDATA) ||
	       !(m->flags & (IOURING2_ASYNC_CANCEL_FD |
			     IOURING2_ASYNC_CANCEL_OP));
}

static bool cancel_matches(const struct io2_req *req,
			   const struct io2_cancel_match *m)
{
	if (req == m->self)
		return false;
	if (m->files && (!req->sub || READ_ONCE(req->sub->files) != m->files ||
			 !(READ_ONCE(req->sub->ends) & IO2_ENDS_LEAVING)))
		return false;
	if (m->gone && (!req->sub ||
			!(READ_ONCE(req->sub->ends) & IO2_ENDS_GONE)))
		return false;
	if (m->flags & IOURING2_ASYNC_CANCEL_ANY)
		return true;
	if ((m->flags & IOURING2_ASYNC_CANCEL_FD) &&
	    (!m->file || req->file != m->file))
		return false;
	if ((m->flags & IOURING2_ASYNC_CANCEL_OP) && req->opcode != m->opcode)
		return false;
	return !cancel_by_user_data(m) || req->user_data == m->user_data;
}

/*
 * Return: 0 if cancelled; -EALREADY if it is too late: the request is running
 * or has just ended.
 */
static int cancel_one(struct io2_req *req, bool kill)
{
	lockdep_assert_held(&req->ring->inflight_lock);
	switch (req->armed) {
	case IO2_ARMED_POLL:
		return io2_poll_cancel(req);
	case IO2_ARMED_TIMER:
		return io2_timeout_cancel(req);
	default:
		return io2_worker_cancel(req, kill);
	}
}

/* Return: true to go on with the next bucket; *@ret and *@nr hold the results. */
static bool cancel_bucket(struct hlist_head *bucket,
			  const struct io2_cancel_match *m, int *ret, int *nr)
{
	bool all = m->flags & (IOURING2_ASYNC_CANCEL_ALL |
			       IOURING2_ASYNC_CANCEL_ANY);
	struct hlist_node *next;
	struct io2_req *req;

	hlist_for_each_entry_safe(req, next, bucket, hash) {
		if (!cancel_matches(req, m))
			continue;
		/* a request that is running counts, too: it is interrupted */
		*ret = cancel_one(req, m->kill);
		++*nr;
		if (!all)
			return false;
	}
	return true;
}

/**
 * io2_cancel_matching() - cancel requests of a ring
 * @ring: the ring
 * @m: which ones
 *
 * Context: task context, does not sleep; inflight_lock not held.
 * Return: with ALL or ANY the number of requests found; otherwise 0, -ENOENT if
 * there is no such request, -EALREADY if it is too late.
 */
int io2_cancel_matching(struct io2_ring *ring,
			const struct io2_cancel_match *m)
{
	int ret = -ENOENT, nr = 0;
	unsigned int i;

	spin_lock(&ring->inflight_lock);
	if (cancel_by_user_data(m)) {
		cancel_bucket(io2_hash_bucket(ring, m->user_data), m, &ret, &nr);
	} else {
		for (i = 0; ring->nr_hashed && i < 1U << ring->hash_bits; i++)
			if (!cancel_bucket(&ring->hash[i], m, &ret, &nr))
				break;
	}
	if (m->flags & (IOURING2_ASYNC_CANCEL_ALL | IOURING2_ASYNC_CANCEL_ANY))
		ret = nr;
	trace_iouring2_cancel(ring, m, nr, ret);
	spin_unlock(&ring->inflight_lock);
	return ret;
}

static void release_chain(struct io2_req *req)
{
	for (; req; req = req->link) {
		if (!(req->flags & REQ_F_ABORT)) {
			req->flags |= REQ_F_ABORT;
			io2_req_set(req, -ECANCELED);
		}
		io2_req_release_unstarted(req);
	}
}

static void cancel_drained_all(struct io2_ring *ring, struct io2_batch *b)
{
	struct io2_req *req, *next;
	LIST_HEAD(list);

	io2_cq_drain_take(ring, &list);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		io2_cancel_chain(req, b);
	}
	io2_batch_flush(b);
}

/* Cancels the requests behind a drain barrier of a DYING ring. */
static void cancel_drained(struct io2_ring *ring)
{
	struct io2_batch b;

	io2_batch_init(&b, ring, IO2_CTX_LEAVE);
	if (!io2_ring_defers(ring)) {
		cancel_drained_all(ring, &b);
		return;
	}
	mutex_lock(&ring->uring_lock);
	io2_batch_own(&b);
	cancel_drained_all(ring, &b);
	mutex_unlock(&ring->uring_lock);
}

/*
 * The same for some processes of a live ring. Their requests keep their places
 * in the drain queue, because the order of the others depends on them, but
 * release all their resources.
 */
static void cancel_drained_matching(struct io2_ring *ring,
				    const struct io2_cancel_match *m,
				    struct io2_batch *b)
{
	struct io2_req *req;
	LIST_HEAD(list);

	/* no other task adds to the drain queue meanwhile */
	lockdep_assert_held(&ring->uring_lock);
	io2_cq_drain_take(ring, &list);
	list_for_each_entry(req, &list, node)
		if (cancel_matches(req, m))
			release_chain(req);
	io2_cq_drain_return(ring, &list, &b->start);
}

static void cancel_drained_of(struct io2_ring *ring, void *files)
{
	struct io2_cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.files = files,
	};
	struct io2_batch b;

	io2_batch_init(&b, ring, IO2_CTX_LEAVE);
	mutex_lock(&ring->uring_lock);
	cancel_drained_matching(ring, &m, &b);
	if (io2_ring_defers(ring)) {
		io2_batch_own(&b);
		io2_batch_flush(&b);
	}
	mutex_unlock(&ring->uring_lock);
	/* empty, if the ring defers to its issuer */
	io2_batch_flush(&b);
}

/**
 * io2_cancel_armed() - cancel waiting and running requests at exit or last close
 * @ring: the ring
 * @files: only requests of the process with this fd table; NULL for all
 *
 * Context: task context, does not sleep; no lock of the ring held.
 */
void io2_cancel_armed(struct io2_ring *ring, void *files)
{
	struct io2_cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.files = files,
		.kill = true,
	};

	io2_cancel_matching(ring, &m);
}

/**
 * io2_cancel_gone() - cancel the requests of marked submitters
 * @ring: the ring; see io2_submitters_look_after()
 *
 * Context: task context, does not sleep; no lock of the ring held.
 */
void io2_cancel_gone(struct io2_ring *ring)
{
	struct io2_cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.gone = true,
		.kill = true,
	};

	io2_cancel_matching(ring, &m);
}

/**
 * io2_cancel_drained() - cancel requests that wait behind a drain barrier
 * @ring: the ring
 * @files: see io2_cancel_armed()
 *
 * Context: may sleep, for as long as another task's submission takes; no lock
 * of the ring held.
 */
void io2_cancel_drained(struct io2_ring *ring, void *files)
{
	if (files)
		cancel_drained_of(ring, files);
	else
		cancel_drained(ring);
}

/**
 * io2_cancel_drained_gone() - the same for the requests of marked submitters
 * @ring: the ring; see io2_submitters_look_after()
 * @b: collects the requests that may start now
 *
 * Context: work item, may sleep; uring_lock held.
 */
void io2_cancel_drained_gone(struct io2_ring *ring, struct io2_batch *b)
{
	struct io2_cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.gone = true,
	};

	cancel_drained_matching(ring, &m, b);
}
