// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running deferred requests. A task that waits in ENTER runs them; if there is
 * none, the module's workqueue does. A request that touches user memory is left
 * to its own process or to the submitter's retry worker, because a page fault
 * may last for ever: a worker can be killed, a work item cannot.
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

static void deferred_take(struct io2_ring *ring, struct io2_req_list *list)
{
	spin_lock_irq(&ring->deferred_lock);
	io2_list_take(&ring->deferred, list);
	spin_unlock_irq(&ring->deferred_lock);
}

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
	deferred_take(b->ring, &b->todo);
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

	io2_batch_init(&b, ring, ctx);
	io2_deferred_run_batch(&b);
	io2_batch_flush(&b);
}

static void deferred_work_fn(struct work_struct *work)
{
	struct io2_ring *ring = container_of(work, struct io2_ring,
					     deferred_work);
	struct io2_req *req, *next;
	struct io2_batch b;
	LIST_HEAD(list);

	if (xchg(&ring->notify, false))
		io2_cq_notify(ring);
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
