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
#include "rings.h"
#include "watch.h"

static struct workqueue_struct *io2_workqueue;
/* closes files for requests that complete after the close */
static struct workqueue_struct *io2_closers;
/*
 * Closes files that no request waits for: items may wait for a server. Ends rings
 * that nobody waits for: these items do not wait.
 */
static struct workqueue_struct *io2_detached;

static void defer_wake(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->deferred_lock);
	__wake_up(&ring->wait, TASK_NORMAL, 1, IO2_WAKE_DEFERRED);
}

/* Notifies a context that will run the list. */
static void defer_kick(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->deferred_lock);
	io2_assert(io2_ring_may_post(ring));
	if (ring->nr_waiters)
		defer_wake(ring);
	else
		queue_work(io2_workqueue, &ring->deferred_work);
}

/* A resize may replace the rings meanwhile: see io2_defer_resized(). */
static void defer_show_flags(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->deferred_lock);
	WRITE_ONCE(io2_rings_lock(ring)->shared->sq_flags, ring->sq_flags);
	io2_rings_unlock();
}

/*
 * I4, and the flag TASKRUN: the SQ flags of a ring that defers to its issuer. Each
 * context that changes what they tell calls this afterwards, so the last one
 * writes what is true.
 */
static void defer_set_flags(struct io2_ring *ring)
{
	u32 flags = 0;

	lockdep_assert_held(&ring->deferred_lock);
	if (READ_ONCE(ring->nr_backlog))
		flags |= IOURING2_SQ_CQ_OVERFLOW;
	if (READ_ONCE(ring->nr_parked) ||
	    ((ring->setup_flags & IOURING2_SETUP_TASKRUN_FLAG) &&
	     io2_defer_pending(ring)))
		flags |= IOURING2_SQ_TASKRUN;
	if (ring->sq_flags == flags)
		return;
	WRITE_ONCE(ring->sq_flags, flags);
	defer_show_flags(ring);
}

/**
 * io2_defer_update_flags() - update the SQ flags of a ring that defers to its issuer
 * @ring: the ring
 *
 * Context: any task context; takes deferred_lock.
 */
void io2_defer_update_flags(struct io2_ring *ring)
{
	unsigned long flags;

	spin_lock_irqsave(&ring->deferred_lock, flags);
	defer_set_flags(ring);
	spin_unlock_irqrestore(&ring->deferred_lock, flags);
}

/**
 * io2_defer_resized() - show the SQ flags in new rings
 * @ring: a ring that defers to its issuer, whose rings have been replaced
 *
 * An interrupt may have changed the flags while the rings were replaced, and have
 * written them to the old ones.
 *
 * Context: any task context; takes deferred_lock.
 */
void io2_defer_resized(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	defer_show_flags(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/*
 * Can a completion, apart from its own CQE, let other requests go on or end? A
 * waiter must not wait for these and thereby keep them from ending.
 */
static bool defer_enables_others(const struct io2_ring *ring)
{
	return READ_ONCE(ring->nr_counted) || !list_empty(&ring->drain_list);
}

/*
 * Tells the issuer of a ring that defers to it: by the SQ flag, by poll of the
 * ring, by the eventfd, and by waking it if it waits in ENTER. @lazy is the most
 * entries of the CQ that the added requests may take, if they enable nothing else:
 * then the waiter may go on sleeping until it may have enough. Otherwise it is 0.
 */
static void defer_tell_issuer(struct io2_ring *ring, bool was_empty, u32 lazy)
{
	lockdep_assert_held(&ring->deferred_lock);
	io2_assert(io2_ring_may_post(ring));
	if (was_empty) {
		defer_set_flags(ring);
		/* list before pollers; pairs with io2_ring_poll() */
		smp_mb();
		/* after the barrier above */
		if (waitqueue_active(&ring->pollers) ||
		    READ_ONCE(ring->eventfd))
			io2_queue_notify(ring);
	}
	if (!ring->nr_waiters)
		return;
	if (lazy && lazy < ring->wait_nr && !defer_enables_others(ring))
		ring->wait_nr -= lazy;
	else
		defer_wake(ring);
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

/* @lazy: see defer_tell_issuer() */
static void defer_to_issuer(struct io2_req *req, u32 lazy)
{
	struct io2_ring *ring = req->ring;
	unsigned long flags;
	bool was_empty;

	spin_lock_irqsave(&ring->deferred_lock, flags);
	was_empty = !io2_defer_pending(ring);
	io2_list_add(&ring->deferred, req);
	defer_tell_issuer(ring, was_empty, lazy);
	spin_unlock_irqrestore(&ring->deferred_lock, flags);
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

	if (io2_ring_defers(ring)) {
		defer_to_issuer(req, 0);
		return;
	}
	spin_lock_irqsave(&ring->deferred_lock, flags);
	io2_list_add(&ring->deferred, req);
	if (!defer_by_submitter(ring))
		defer_kick(ring);
	spin_unlock_irqrestore(&ring->deferred_lock, flags);
}

/**
 * io2_defer_lazy() - have req->run() called in task context, at the latest when a
 *	waiter may have enough completions
 * @req: the request, whose run() posts one CQE at most; not to be touched
 *	afterwards
 *
 * Makes a difference on a ring that defers to its issuer: the issuer is not woken
 * for each of many requests if it waits for all of them.
 *
 * Context: as io2_defer().
 */
void io2_defer_lazy(struct io2_req *req)
{
	if (io2_ring_defers(req->ring))
		/* a request that starts another one must not be waited for */
		defer_to_issuer(req, !req->link && !req->key);
	else
		io2_defer(req);
}

/**
 * io2_defer_all() - have run() called for several requests by the ring's issuer
 * @ring: a ring that defers to its issuer
 * @list: the requests, not empty; not to be touched afterwards
 * @lazy: the most entries of the CQ that they may take, to wake a waiter only when
 *	it may have enough, as io2_defer_lazy() does; or 0
 *
 * Context: task context; the caller makes sure that the ring stays allocated.
 */
void io2_defer_all(struct io2_ring *ring, struct io2_req_list *list, u32 lazy)
{
	bool was_empty;

	spin_lock_irq(&ring->deferred_lock);
	was_empty = !io2_defer_pending(ring);
	io2_list_append(&ring->deferred, list);
	defer_tell_issuer(ring, was_empty, lazy);
	/* what has no submitter any more is not waited for by its process */
	if (unlikely(ring->issuer_left))
		io2_watch_queue_now(ring);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_issuer_left() - the issuer may never enter a ring again
 * @ring: a ring that defers to its issuer, not DEAD
 *
 * From here on the ring's watch posts the completions of requests that have ended.
 *
 * Context: task context; deferred_lock not held.
 */
void io2_defer_issuer_left(struct io2_ring *ring)
{
	spin_lock_irq(&ring->deferred_lock);
	if (!ring->issuer_left && io2_defer_pending(ring))
		io2_watch_queue_now(ring);
	WRITE_ONCE(ring->issuer_left, true);
	spin_unlock_irq(&ring->deferred_lock);
}

/**
 * io2_defer_take() - take all deferred requests
 * @ring: the ring; uring_lock is held if it defers to its issuer
 * @list: receives them, oldest first
 *
 * Context: task context.
 */
void io2_defer_take(struct io2_ring *ring, struct io2_req_list *list)
{
	if (io2_ring_defers(ring))
		lockdep_assert_held(&ring->uring_lock);
	spin_lock_irq(&ring->deferred_lock);
	io2_list_take(&ring->deferred, list);
	if (unlikely(io2_ring_defers(ring) && ring->sq_flags))
		defer_set_flags(ring);
	/* a task that waits meanwhile cannot know how many CQEs the caller posts */
	ring->wait_nr = 1;
	spin_unlock_irq(&ring->deferred_lock);
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
	if (io2_ring_defers(ring))
		defer_tell_issuer(ring, true, 0);
	else
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
 * @nr: on a ring that defers to its issuer, the number of completions that
 *	current waits for; at least 1
 *
 * Context: task context.
 */
void io2_defer_waiter(struct io2_ring *ring, u32 nr)
{
	spin_lock_irq(&ring->deferred_lock);
	/* another waiter may leave the ring, and runs the list as well */
	ring->wait_nr = ring->nr_waiters ? min(ring->wait_nr, nr) : nr;
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
