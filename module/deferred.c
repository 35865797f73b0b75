// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running deferred requests. A task that waits in ENTER runs them; if there is
 * none, the module's workqueue does. A request that touches user memory is left
 * to its own process or to the submitter's retry worker, because a page fault
 * may last for ever: a worker can be killed, a work item cannot.
 *
 * The requests of a ring that defers to its issuer run in the issuer's ENTER only,
 * with uring_lock held. When a process leaves the ring or executes another
 * program, and at the end of the ring, the context that cancels the requests runs
 * them, with that lock as well.
 */
#include <linux/workqueue.h>

#include "cq.h"
#include "defer.h"
#include "deferred.h"
#include "eventfd.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

static void retry_in_wq_run(struct io2_req *req, struct io2_batch *b)
{
	struct io2_borrow bw = {};
	struct io2_batch own;

	if (!(req->flags & REQ_F_NO_WORKER)) {
		io2_worker_retry(req, b);
		return;
	}
	req->flags &= ~REQ_F_NO_WORKER;
	io2_borrow(&bw, req->sub);
	io2_batch_init(&own, b->ring, IO2_CTX_WORKER);
	io2_req_run_borrowed(req, &own, &bw, false);
	own.ctx = IO2_CTX_WQ;
	io2_batch_flush(&own);
	io2_unborrow(&bw);
}

/**
 * io2_defer_retry_in_wq() - have the workqueue retry a request without a worker
 * @req: uses the submitter's memory; not to be touched afterwards
 * @last: the caller is the workqueue, which failed to create the retry worker
 *
 * The workqueue tries once more to create the retry worker. If that fails, too,
 * the work item does the request itself: completing must not depend on memory
 * (I1).
 *
 * Context: task context.
 */
void io2_defer_retry_in_wq(struct io2_req *req, bool last)
{
	if (last)
		req->flags |= REQ_F_NO_WORKER;
	req->run = retry_in_wq_run;
	io2_defer_to_wq(req);
}

#define OWNED_ROUNDS	64	/* runs of the list in one call of io2_deferred_run_owned() */

/**
 * io2_deferred_run_batch() - run the deferred requests as part of a batch
 * @b: the batch
 *
 * Context: task context, may sleep; no lock of the ring held other than
 * uring_lock.
 */
void io2_deferred_run_batch(struct io2_batch *b)
{
	struct io2_req *req;

	if (b->ctx == IO2_CTX_SUBMIT)
		io2_eventfd_owe(b->ring);
	io2_defer_take(b->ring, &b->todo);
	b->split = false;
	while ((req = io2_list_pop(&b->todo)))
		req->run(req, b);
}

/**
 * io2_deferred_run_all() - run the deferred requests and post their completions
 * @ring: the ring; see io2_deferred_run()
 * @ctx: the context of the caller
 *
 * Context: task context, may sleep; uring_lock not held.
 */
void io2_deferred_run_all(struct io2_ring *ring, enum io2_ctx ctx)
{
	struct io2_batch b;

	if (io2_ring_defers(ring)) {
		mutex_lock(&ring->uring_lock);
		io2_deferred_run_owned(ring, ctx);
		mutex_unlock(&ring->uring_lock);
		return;
	}
	io2_batch_init(&b, ring, ctx);
	io2_deferred_run_batch(&b);
	io2_batch_flush(&b);
}

/**
 * io2_deferred_run_owned() - the same for a ring that defers to its issuer
 * @ring: the ring
 * @ctx: the context of the caller
 *
 * Running a request may defer others, so this looks several times. A timer that
 * fires again and again must not keep the caller here.
 *
 * Context: task context, may sleep; uring_lock held.
 */
void io2_deferred_run_owned(struct io2_ring *ring, enum io2_ctx ctx)
{
	unsigned int rounds = OWNED_ROUNDS;
	struct io2_batch b;

	io2_batch_init(&b, ring, ctx);
	io2_batch_own(&b);
	do {
		io2_deferred_run_batch(&b);
		io2_batch_flush(&b);
	} while (io2_defer_pending(ring) && --rounds);
}

/**
 * io2_deferred_try_run() - run the deferred requests, where that cannot wait for a lock
 * @ring: the ring
 * @ctx: the context of the caller
 *
 * For a caller that holds a lock of the kernel which is taken while uring_lock is
 * held.
 *
 * Context: task context; uring_lock not held.
 * Return: true if there were any, and they were run.
 */
bool io2_deferred_try_run(struct io2_ring *ring, enum io2_ctx ctx)
{
	if (!io2_ring_defers(ring))
		return io2_deferred_run(ring, ctx);
	if (!io2_defer_pending(ring) || !mutex_trylock(&ring->uring_lock))
		return false;
	io2_deferred_run_owned(ring, ctx);
	mutex_unlock(&ring->uring_lock);
	return true;
}

/* Must the request end although its ring's issuer may never enter again? */
static bool deferred_must_end(const struct io2_req *req)
{
	return !req->sub || READ_ONCE(req->sub->ends);
}

/**
 * io2_deferred_run_ending() - run the deferred requests of marked submitters
 * @b: the batch, of a ring that defers to its issuer
 *
 * See io2_submitters_look_after(). Requests that have ended and only need their
 * CQE posted have no submitter any more, and are run as well.
 *
 * Context: work item, may sleep; uring_lock held.
 */
void io2_deferred_run_ending(struct io2_batch *b)
{
	struct io2_req_list all, others;
	struct io2_req *req;

	io2_list_init(&others);
	io2_defer_take(b->ring, &all);
	while ((req = io2_list_pop(&all)))
		io2_list_add(deferred_must_end(req) ? &b->todo : &others, req);
	if (others.first)
		io2_defer_back(b->ring, &others);
	b->split = false;
	while ((req = io2_list_pop(&b->todo)))
		req->run(req, b);
}

static void deferred_work_fn(struct work_struct *work)
{
	struct io2_ring *ring = container_of(work, struct io2_ring,
					     deferred_work);
	struct io2_req *req, *next;
	struct io2_batch b;
	LIST_HEAD(list);

	if (xchg(&ring->notify, false)) {
		if (io2_ring_defers(ring) && io2_defer_pending(ring))
			io2_eventfd_tell(ring, IO2_TELL_PARKED);
		io2_cq_notify(ring);
	}
	if (!io2_ring_defers(ring))
		io2_deferred_run(ring, IO2_CTX_WQ);
	spin_lock_irq(&ring->deferred_lock);
	list_splice_init(&ring->wq_list, &list);
	spin_unlock_irq(&ring->deferred_lock);
	if (list_empty(&list))
		return;
	io2_batch_init(&b, ring, IO2_CTX_WQ);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		req->run(req, &b);
	}
	io2_batch_flush(&b);
	/* a task that leaves the ring may wait for the submitter to be released */
	if (wq_has_sleeper(&ring->wait))
		__wake_up(&ring->wait, TASK_NORMAL, 0, IO2_WAKE_CQ);
}

/**
 * io2_deferred_init() - initialise the deferred work of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_deferred_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->deferred_lock);
	io2_list_init(&ring->deferred);
	INIT_LIST_HEAD(&ring->wq_list);
	INIT_WORK(&ring->deferred_work, deferred_work_fn);
}
