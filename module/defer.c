// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of deferred work.  Wake-up callbacks, timers and I/O completions run in
 * any context, under locks of others, so they put their request on this list; only
 * a poll may be posted there and then, see io2_cq_try_post().  deferred.c runs it.
 *
 * A spinlock, not a lock-free list: adding, and telling whoever runs the list,
 * is one critical section.  That keeps the order (FIFO), and it means that the
 * adder no longer touches the ring once somebody else could have completed
 * the request, which is what lets close free the ring at once (I9).
 */
#include <linux/module.h>
#include <linux/workqueue.h>

#include "defer.h"
#include "req.h"
#include "ring.h"

/* How long a killed process may have to wait for its workers, in jiffies */
#define IO2_WATCH	HZ

static struct workqueue_struct *io2_workqueue;
/* closes files that a request waits for */
static struct workqueue_struct *io2_closers;
/* closes files that nobody waits for: its items may wait for a server */
static struct workqueue_struct *io2_detached;

/* Tells somebody who will run the list. */
static void defer_kick(struct io2_ring *ring)
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
static bool defer_by_submitter(const struct io2_ring *ring)
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
	if (!defer_by_submitter(ring))
		defer_kick(ring);
	spin_unlock_irqrestore(&ring->deferred_lock, flags);
}

/**
 * io2_defer_to_wq() - have req->run() called by the workqueue, by no task
 * @req: the request; not touched by the caller afterwards
 *
 * Context: task context.
 */
void io2_defer_to_wq(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	spin_lock_irq(&ring->deferred_lock);
	list_add_tail(&req->node, &ring->wq_list);
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
 * io2_defer_detach() - have a work item run that may outlive its ring
 * @work: ends with io2_defer_module_put()
 *
 * Context: any.
 */
void io2_defer_detach(struct work_struct *work)
{
	/* whoever calls this has a ring, and so the module */
	__module_get(THIS_MODULE);
	queue_work(io2_detached, work);
}

/**
 * io2_defer_module_put() - the end of such a work item
 *
 * The workqueue is destroyed, which waits for the item, before the module's code goes.
 *
 * Context: task context.
 */
void io2_defer_module_put(void)
{
	module_put(THIS_MODULE);
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
	defer_kick(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_handover() - somebody else is to run what is deferred
 * @ring: the ring; current has been its submitter
 *
 * Context: task context.
 */
void io2_defer_handover(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	if (io2_defer_pending(ring))
		defer_kick(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_waiter() - from now on current runs what is deferred
 * @ring: the ring
 *
 * Context: task context.
 */
void io2_defer_waiter(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	ring->nr_waiters++;
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_waiter_left() - no longer, but for what is there now
 * @ring: the ring; the caller runs what is deferred, next of all
 *
 * That may take for ever, if it faults on memory: nobody is to rely on it.
 *
 * Context: task context.
 */
void io2_defer_waiter_left(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	ring->nr_waiters--;
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_quiesce() - after this nothing runs on behalf of @ring
 * @ring: a ring whose requests have all completed
 *
 * Context: may sleep.
 */
void io2_defer_quiesce(struct io2_ring *ring)
{
	cancel_work_sync(&ring->deferred_work);
	wait_event(ring->wait, !READ_ONCE(ring->nr_closing));
	/* whoever added the last request has left the critical section */
	spin_lock_irq(&ring->deferred_lock);
	io2_assert(!io2_defer_pending(ring) && list_empty(&ring->wq_list) &&
		   !ring->nr_closing);
	spin_unlock_irq(&ring->deferred_lock);
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
 * io2_defer_module_init() - make the module's workqueues
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int io2_defer_module_init(void)
{
	io2_workqueue = alloc_workqueue("iouring2",
					WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!io2_workqueue)
		return -ENOMEM;
	/* closes that depend on nobody else, but may write to a disk */
	io2_closers = alloc_workqueue("iouring2-close",
				      WQ_UNBOUND | WQ_FREEZABLE,
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
 * io2_defer_module_exit() - destroy them
 *
 * Context: module exit; no ring exists.
 */
void io2_defer_module_exit(void)
{
	destroy_workqueue(io2_detached);
	destroy_workqueue(io2_closers);
	destroy_workqueue(io2_workqueue);
}
