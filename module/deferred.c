// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deferred work.  Wake-up callbacks, timers and I/O completions run in any
 * context, under locks of others, so they put their request on this list; only
 * a poll may be posted there and then, see io2_cq_try_post().  The list is run
 * by a task that waits in ENTER, else by the module's workqueue.  What touches
 * user memory is run by its owner, or else by the ring's retry worker: a page
 * fault can take for ever, and a worker can be killed, which the workqueue can
 * not.
 *
 * A spinlock, not a lock-free list: adding, and telling whoever runs the list,
 * is one critical section.  That keeps the order (FIFO), and it means that the
 * adder no longer touches the ring once somebody else could have completed
 * the request, which is what lets close free the ring at once (I9).
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "cq.h"
#include "deferred.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

/* How long a killed process may have to wait for its workers, in jiffies */
#define IO2_WATCH	HZ

static struct workqueue_struct *io2_workqueue;
/* closes files that a request waits for */
static struct workqueue_struct *io2_closers;
/* closes files that nobody waits for: its items may wait for a server */
static struct workqueue_struct *io2_detached;

/* Tells somebody who will run the list. */
static void deferred_kick(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->deferred_lock);
	io2_assert(io2_ring_may_post(ring));
	if (ring->nr_waiters)
		__wake_up(&ring->wait, TASK_NORMAL, 1, IO2_WAKE_DEFERRED);
	else
		queue_work(io2_workqueue, &ring->deferred_work);
}

/*
 * What a submitter does itself while it submits, by cancelling, or by writing
 * to a file that another request is armed on, it runs itself before it returns:
 * nobody has to be told.  An interrupt's completions do not wait for that, nor do
 * other processes: what it submits next may take for ever.
 */
static bool deferred_by_submitter(const struct io2_ring *ring)
{
	return READ_ONCE(ring->submitting) == current && in_task() &&
	       READ_ONCE(ring->nr_submitters) <= 1;
}

/**
 * io2_defer() - have req->run() called in task context
 * @req: the request; not touched by the caller afterwards
 *
 * Context: any, including hard interrupts and under a foreign wait queue's
 * lock.
 */
void io2_defer(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	unsigned long flags;

	spin_lock_irqsave(&ring->deferred_lock, flags);
	io2_list_add(&ring->deferred, req);
	if (!deferred_by_submitter(ring))
		deferred_kick(ring);
	spin_unlock_irqrestore(&ring->deferred_lock, flags);
}

/**
 * io2_defer_elsewhere() - have req->run() called by the workqueue, by no task
 * @req: the request; not touched by the caller afterwards
 *
 * Context: task context.
 */
void io2_defer_elsewhere(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	spin_lock_irq(&ring->deferred_lock);
	list_add_tail(&req->node, &ring->elsewhere);
	queue_work(io2_workqueue, &ring->deferred_work);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_close() - have a request's file closed by a work item of its own
 * @req: with its close; not touched by the caller afterwards
 *
 * Context: task context.
 */
void io2_defer_close(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	spin_lock_irq(&ring->deferred_lock);
	ring->nr_closing++;
	spin_unlock_irq(&ring->deferred_lock);
	queue_work(io2_closers, &req->close);
}

/**
 * io2_defer_closed() - such a work item has posted the request
 * @ring: not to be touched any more by the work item
 *
 * Context: task context.
 */
void io2_defer_closed(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	if (!--ring->nr_closing)
		wake_up(&ring->wait);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_detach() - have a work item run that may outlive its ring
 * @work: ends with io2_deferred_module_put()
 *
 * Context: any.
 */
void io2_deferred_detach(struct work_struct *work)
{
	/* whoever calls this has a ring, and so the module */
	__module_get(THIS_MODULE);
	queue_work(io2_detached, work);
}

/**
 * io2_deferred_module_put() - the end of such a work item
 *
 * The workqueue is destroyed, which waits for the item, before the module's code goes.
 *
 * Context: task context.
 */
void io2_deferred_module_put(void)
{
	module_put(THIS_MODULE);
}

static void foreign_run(struct io2_req *req, struct io2_batch *b)
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
	io2_req_issue_borrowed(req, &own, &bw);
	own.ctx = IO2_CTX_WQ;
	io2_batch_flush(&own);
	io2_unborrow(&bw);
}

/**
 * io2_defer_foreign() - for the workqueue alone, as there is no worker
 * @req: uses the submitter's memory; not touched by the caller afterwards
 * @last: it is the workqueue that could not make one
 *
 * The workqueue tries once more to make a worker for it.  If that fails as
 * well, it does the request itself: completing must not depend on memory (I1).
 *
 * Context: task context.
 */
void io2_defer_foreign(struct io2_req *req, bool last)
{
	if (last)
		req->flags |= REQ_F_NO_WORKER;
	req->run = foreign_run;
	io2_defer_elsewhere(req);
}

static void deferred_take(struct io2_ring *ring, struct io2_req_list *list)
{
	spin_lock_irq(&ring->deferred_lock);
	io2_list_take(&ring->deferred, list);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_back() - give back what was to be run, before it is
 * @ring: the ring
 * @list: the requests, not empty; somebody else runs them, before all that came later
 *
 * Context: task context.
 */
void io2_defer_back(struct io2_ring *ring, struct io2_req_list *list)
{
	spin_lock_irq(&ring->deferred_lock);
	io2_list_append(list, &ring->deferred);
	io2_list_append(&ring->deferred, list);
	deferred_kick(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_run_batch() - run what was deferred, as part of a batch
 * @b: the batch
 *
 * Context: task context, may sleep; no lock of the ring but uring_lock held.
 */
void io2_deferred_run_batch(struct io2_batch *b)
{
	struct io2_req *req;

	deferred_take(b->ring, &b->todo);
	b->split = false;
	while ((req = io2_list_pop(&b->todo)))
		req->run(req, b);
}

/**
 * io2_deferred_run_all() - run what was deferred, and post what ends
 * @ring: the ring; see io2_deferred_run()
 * @ctx: who does
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
	list_splice_init(&ring->elsewhere, &list);
	spin_unlock_irq(&ring->deferred_lock);
	if (list_empty(&list))
		return;
	io2_batch_init(&b, ring, IO2_CTX_WQ);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		req->run(req, &b);
	}
	io2_batch_flush(&b);
	/* an exiting task may wait for the borrowed context */
	if (wq_has_sleeper(&ring->wait))
		__wake_up(&ring->wait, TASK_NORMAL, 0, IO2_WAKE_CQ);
}

/**
 * io2_deferred_handover() - somebody else is to run what is deferred
 * @ring: the ring; current has been its submitter
 *
 * Context: task context.
 */
void io2_deferred_handover(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	if (io2_deferred_pending(ring))
		deferred_kick(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_waiter() - from now on current runs what is deferred
 * @ring: the ring
 *
 * Context: task context.
 */
void io2_deferred_waiter(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	ring->nr_waiters++;
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_waiter_left() - no longer, but for what is there now
 * @ring: the ring; the caller runs what is deferred, next of all
 *
 * That may take for ever, if it faults on memory: nobody is to rely on it.
 *
 * Context: task context.
 */
void io2_deferred_waiter_left(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	ring->nr_waiters--;
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_quiesce() - after this nothing runs on behalf of @ring
 * @ring: a ring whose requests have all completed
 *
 * Context: may sleep.
 */
void io2_deferred_quiesce(struct io2_ring *ring)
{
	cancel_work_sync(&ring->deferred_work);
	wait_event(ring->wait, !READ_ONCE(ring->nr_closing));
	/* whoever added the last request has left the critical section */
	spin_lock_irq(&ring->deferred_lock);
	io2_assert(!io2_deferred_pending(ring) && list_empty(&ring->elsewhere) &&
		   !ring->nr_closing);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_deferred_init() - initialise deferred work of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_deferred_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->deferred_lock);
	io2_list_init(&ring->deferred);
	INIT_LIST_HEAD(&ring->elsewhere);
	INIT_WORK(&ring->deferred_work, deferred_work_fn);
}

/**
 * io2_queue_notify() - have io2_cq_notify() called in task context
 * @ring: the ring
 *
 * Context: any; something keeps the ring from ending.
 */
void io2_queue_notify(struct io2_ring *ring)
{
	WRITE_ONCE(ring->notify, true);
	queue_work(io2_workqueue, &ring->deferred_work);
}

/**
 * io2_queue_reap() - have the ring's dead workers reaped
 * @ring: the ring
 *
 * Context: any.
 */
void io2_queue_reap(struct io2_ring *ring)
{
	queue_work(io2_workqueue, &ring->reap);
}

/**
 * io2_queue_watch() - have the ring's busy workers looked after, in a while
 * @ring: the ring
 *
 * Context: any.
 */
void io2_queue_watch(struct io2_ring *ring)
{
	if (!delayed_work_pending(&ring->watch))
		queue_delayed_work(io2_workqueue, &ring->watch,
				   round_jiffies_relative(IO2_WATCH));
}

/**
 * io2_deferred_module_init() - make the module's workqueues
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int io2_deferred_module_init(void)
{
	io2_workqueue = alloc_workqueue("iouring2",
					WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!io2_workqueue)
		return -ENOMEM;
	io2_closers = alloc_workqueue("iouring2-close", WQ_UNBOUND,
				      WQ_UNBOUND_MAX_ACTIVE);
	if (!io2_closers)
		goto err_workqueue;
	io2_detached = alloc_workqueue("iouring2-detach", WQ_UNBOUND,
				       WQ_UNBOUND_MAX_ACTIVE);
	if (!io2_detached)
		goto err_closers;
	return 0;

err_closers:
	destroy_workqueue(io2_closers);
err_workqueue:
	destroy_workqueue(io2_workqueue);
	return -ENOMEM;
}

/**
 * io2_deferred_module_exit() - destroy them
 *
 * Context: module exit; no ring exists.
 */
void io2_deferred_module_exit(void)
{
	destroy_workqueue(io2_detached);
	destroy_workqueue(io2_closers);
	destroy_workqueue(io2_workqueue);
}
