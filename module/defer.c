// SPDX-License-Identifier: GPL-2.0-only
/*
 * The deferred list. Wake-up callbacks, timers and I/O completions run in any
 * context, under locks of other subsystems. So they put their request on this
 * list. Only polls may post their CQE at once, see io2_cq_try_post().
 * deferred.c runs the list.
 *
 * The list has a spinlock instead of being lock-free: adding a request and
 * notifying the context that runs the list are one critical section. That keeps
 * FIFO order. It also means that the adder does not touch the ring any more
 * once another context can have completed the request, so close can free the
 * ring at once (I9).
 */
#include <linux/module.h>
#include <linux/workqueue.h>

#include "defer.h"
#include "req.h"
#include "ring.h"

static struct workqueue_struct *io2_workqueue;
/* closes files for requests that complete after the close */
static struct workqueue_struct *io2_closers;
/*
 * Closes files that no request waits for: items may wait for a server. Ends rings
 * that nobody waits for: these items do not wait.
 */
static struct workqueue_struct *io2_detached;

/* Notifies a context that will run the list. */
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
 * A submitter may defer requests while it submits: it cancels requests, or
 * writes to a file that another request is armed on. It runs these itself
 * before it returns from ENTER, so nobody has to be notified. That does not
 * hold for completions from interrupts, nor for a ring with several submitters,
 * because the rest of the submission may block for ever.
 *
 * An interrupt does not read the submitter's cache line, which is in use on
 * another processor.
 */
static bool defer_by_submitter(const struct io2_ring *ring)
{
	return in_task() && READ_ONCE(ring->submitting) == current &&
	       READ_ONCE(ring->nr_submitters) <= 1;
}

/**
 * io2_defer() - have req->run() called in task context
 * @req: the request; not to be touched afterwards
 *
 * Context: any, including hard interrupts and under another wait queue's lock.
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
 * io2_defer_to_wq() - have req->run() called by the workqueue, not by a task in ENTER
 * @req: the request; not to be touched afterwards
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
 * @req: with its close work initialised; not to be touched afterwards
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
 * io2_defer_closed() - report that the work item of io2_defer_close() has finished
 * @ring: not to be touched afterwards
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
 * io2_defer_detach() - queue a work item that may outlive its ring
 * @work: must end with io2_defer_module_put()
 *
 * Context: any.
 */
void io2_defer_detach(struct work_struct *work)
{
	/* the caller has a ring, which holds a module reference */
	__module_get(THIS_MODULE);
	queue_work(io2_detached, work);
}

/**
 * io2_defer_detach_again() - queue a work item of io2_defer_detach_delayed() again
 * @work: the work item, which is running
 * @delay: when it runs, in jiffies
 *
 * Context: any.
 */
void io2_defer_detach_again(struct delayed_work *work, unsigned long delay)
{
	queue_delayed_work(io2_detached, work, delay);
}

/**
 * io2_defer_detach_delayed() - queue a work item that runs later, without its caller
 * @work: must end with io2_defer_module_put(), unless it queues itself again
 * @delay: when it runs, in jiffies
 *
 * Context: any.
 */
void io2_defer_detach_delayed(struct delayed_work *work, unsigned long delay)
{
	/* the caller has a ring, which holds a module reference */
	__module_get(THIS_MODULE);
	io2_defer_detach_again(work, delay);
}

/**
 * io2_defer_module_put() - last call of a detached work item
 *
 * The item may still be running afterwards. io2_defer_module_exit() waits for
 * it: destroying the workqueue flushes it before the module's code is freed.
 *
 * Context: task context.
 */
void io2_defer_module_put(void)
{
	module_put(THIS_MODULE);
}

/**
 * io2_defer_back() - put requests back at the head of the deferred list
 * @ring: the ring
 * @list: the requests, not empty; they run before all that were deferred later
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
 * io2_defer_handover() - leave the deferred list to another context
 * @ring: the ring; current has been submitting
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
 * io2_defer_waiter() - current runs deferred requests from now on
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
 * io2_defer_waiter_left() - current does not run deferred requests any more
 * @ring: the ring
 *
 * The caller runs the list once more right after this. That may fault on user
 * memory and take for ever, so from here on other contexts are notified.
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
 * io2_defer_quiesce() - wait until no deferred work of a ring is running
 * @ring: a ring whose requests have all completed
 *
 * Context: may sleep.
 */
void io2_defer_quiesce(struct io2_ring *ring)
{
	cancel_work_sync(&ring->deferred_work);
	wait_event(ring->wait, !READ_ONCE(ring->nr_closing));
	/* the context that added the last request has left its critical section */
	spin_lock_irq(&ring->deferred_lock);
	io2_assert(!io2_defer_pending(ring) && list_empty(&ring->wq_list) &&
		   !ring->nr_closing);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_queue_notify() - have io2_cq_notify() called in task context
 * @ring: the ring
 *
 * Context: any; the caller makes sure that the ring stays allocated.
 */
void io2_queue_notify(struct io2_ring *ring)
{
	WRITE_ONCE(ring->notify, true);
	queue_work(io2_workqueue, &ring->deferred_work);
}

/**
 * io2_queue_reap() - queue the work that frees ended workers
 * @ring: the ring
 *
 * Context: any.
 */
void io2_queue_reap(struct io2_ring *ring)
{
	queue_work(io2_workqueue, &ring->reap);
}

/**
 * io2_defer_module_init() - create the module's workqueues
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
	/* these closes wait for no other process, but may write to a disk */
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
 * io2_defer_module_exit() - destroy the module's workqueues
 *
 * Context: module exit; no ring exists.
 */
void io2_defer_module_exit(void)
{
	destroy_workqueue(io2_detached);
	destroy_workqueue(io2_closers);
	destroy_workqueue(io2_workqueue);
}
