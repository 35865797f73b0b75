// SPDX-License-Identifier: GPL-2.0-only
/*
 * The submitter's turn. A request that a kernel thread must not do, and that
 * cannot be tried without blocking, is parked until a task of the submitting
 * process is in ENTER:
 *
 *   - the task that submitted it, once the rest of its batch has been started
 *     and uring_lock has been released;
 *   - another task of the process, which waits in ENTER;
 *   - or the next one that calls ENTER. The process learns that it should by
 *     the SQ flag TASKRUN, by the registered eventfd, and because the ring's
 *     file polls readable.
 *
 * A task may block for such a request only as long as its own wait in ENTER may
 * last. A signal ends that, too.
 */
#include <linux/cred.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "cq.h"
#include "debug/trace.h"
#include "nudge.h"
#include "request.h"
#include "submitter.h"
#include "turn.h"
#include "worker.h"

/*
 * Return: the first submitter that is current's process and has parked
 * requests.
 */
static struct io2_submitter *parked_submitter(struct io2_ring *ring)
{
	struct io2_submitter *sub;

	lockdep_assert_held(&ring->inflight_lock);
	lockdep_assert_held(&ring->pool_lock);
	list_for_each_entry(sub, &ring->submitters, node)
		if (!list_empty(&sub->pool.parked) &&
		    io2_submitter_is_process(sub))
			return sub;
	return NULL;
}

/**
 * io2_parked_is_own() - are requests parked for current's process?
 * @ring: the ring
 *
 * Context: task context; takes inflight_lock.
 * Return: true if there are.
 */
bool io2_parked_is_own(struct io2_ring *ring)
{
	bool own;

	if (!READ_ONCE(ring->nr_parked))
		return false;
	spin_lock(&ring->inflight_lock);
	spin_lock(&ring->pool_lock);
	own = parked_submitter(ring);
	spin_unlock(&ring->pool_lock);
	spin_unlock(&ring->inflight_lock);
	return own;
}

/* Takes the oldest request of a submitter and records @r as running it. */
static struct io2_req *turn_next(struct io2_ring *ring, struct io2_runner *r)
{
	struct io2_submitter *sub;
	struct io2_req *req = NULL;

	spin_lock(&ring->inflight_lock);
	spin_lock(&ring->pool_lock);
	sub = parked_submitter(ring);
	if (sub) {
		req = list_first_entry(&sub->pool.parked, struct io2_req, node);
		list_del_init(&req->node);
		WRITE_ONCE(ring->nr_parked, ring->nr_parked - 1);
		WRITE_ONCE(req->pool_state, IO2_POOL_RUNNING);
		r->cur = req;
		r->sub = sub;
		trace_iouring2_run(req, IO2_PARKED);
		list_add(&r->node, &ring->runners);
	}
	spin_unlock(&ring->pool_lock);
	spin_unlock(&ring->inflight_lock);
	return req;
}

static void turn_done(struct io2_ring *ring, struct io2_runner *r)
{
	spin_lock(&ring->pool_lock);
	r->cur = NULL;
	list_del(&r->node);
	spin_unlock(&ring->pool_lock);
	/* a cancellation may have nudged us */
	if (signal_pending(current))
		io2_unnudge();
}

/*
 * Runs @req with the credentials it was submitted with, and with the rules for
 * reclaiming memory. The task may have others by now.
 */
static void turn_do(struct io2_req *req, struct io2_batch *b)
{
	unsigned int flusher = io2_set_flusher(req->sub->flusher);
	const struct cred *cred = get_cred(req->sub->cred);
	const struct cred *old = NULL;

	if (cred != current_cred())
		old = override_creds(cred);
	req->run(req, b);
	io2_set_flusher(flusher);
	if (old)
		revert_creds(old);
	put_cred(cred);
}

static bool turn_ends(ktime_t expires)
{
	return signal_pending(current) ||
	       (expires != KTIME_MAX && ktime_after(ktime_get(), expires));
}

/**
 * io2_turn_run() - do the requests that are parked for current's process
 * @ring: the ring
 * @expires: CLOCK_MONOTONIC time after which no request may block any more
 *
 * Context: task in ENTER, may sleep; no lock of the ring held.
 * Return: false if a signal or @expires ended the turn early.
 */
bool io2_turn_run(struct io2_ring *ring, ktime_t expires)
{
	struct io2_runner r = { .task = current };
	u32 nr = READ_ONCE(ring->nr_parked);
	struct io2_batch b;
	struct io2_req *req;
	bool done = true;

	/* requests that are parked again meanwhile are left for the next turn */
	while (nr--) {
		req = turn_next(ring, &r);
		if (!req)
			break;
		io2_batch_init(&b, ring, IO2_CTX_TURN);
		b.expires = expires;
		turn_do(req, &b);
		turn_done(ring, &r);
		io2_batch_flush(&b);
		done = !turn_ends(expires);
		if (!done)
			break;
		cond_resched();
	}
	if (io2_parked_is_own(ring))
		io2_park_tell(ring);
	else
		io2_cq_update_flags(ring);
	return done;
}
