// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registered eventfd. The ring holds a reference on it from REGISTER until
 * UNREGISTER, or until the ring ends.
 *
 * Signalling an eventfd wakes its waiters, which may be anything: an epoll set,
 * another ring, or this ring. It must not be done in the callback of a wait
 * queue: the waker holds the lock of a queue, and an epoll set may lead back to
 * that queue. So only task context signals. In any other context
 * io2_queue_notify() leaves it to the workqueue.
 *
 * @eventfd_lock is held from the look at @eventfd until the signal has been
 * given. So once UNREGISTER has taken the lock, nothing is signalled any more.
 */
#include <linux/err.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "eventfd.h"

/*
 * Programs rely on the count of the eventfd: if it has changed, there is a new
 * CQE, or the ring has work for the program. So CQEs count only once, although
 * each context that has posted some looks.
 */
static bool eventfd_is_due(struct io2_ring *ring, enum io2_tell why)
{
	u32 tail;

	lockdep_assert_held(&ring->eventfd_lock);
	if (io2_eventfd_is_off(ring))
		return false;
	if (why == IO2_TELL_PARKED)
		return true;
	if (ring->eventfd_async && why == IO2_TELL_INLINE) {
		/* the submission has also run requests that were deferred */
		if (!ring->eventfd_owed)
			return false;
		ring->eventfd_owed = false;
	}
	tail = READ_ONCE(ring->cq_tail);
	if (tail == ring->eventfd_tail)
		return false;
	ring->eventfd_tail = tail;
	return true;
}

/**
 * io2_eventfd_signal() - the slow path of io2_eventfd_tell()
 * @ring: the ring
 * @why: what has happened
 *
 * Context: task context; no spinlock held.
 */
void io2_eventfd_signal(struct io2_ring *ring, enum io2_tell why)
{
	spin_lock(&ring->eventfd_lock);
	/*
	 * Order what has happened before the look at the flag. The application
	 * clears the flag before it looks at the CQ and at the SQ flags.
	 */
	smp_mb__after_spinlock();
	if (ring->eventfd && eventfd_is_due(ring, why))
		io2_compat_signal(ring->eventfd);
	spin_unlock(&ring->eventfd_lock);
}

static void eventfd_set_locked(struct io2_ring *ring, struct eventfd_ctx *ctx,
			       bool async)
{
	ring->eventfd_async = async;
	ring->eventfd_owed = false;
	ring->eventfd_tail = ring->cq_tail;
	WRITE_ONCE(ring->eventfd, ctx);
}

/*
 * Under cq_lock, too: a CQE that is posted from here on is signalled, and all
 * earlier ones are in the CQ when REGISTER returns. On a ring that defers to its
 * issuer, which is current, deferred_lock does the same for deferred requests.
 */
static void eventfd_set(struct io2_ring *ring, struct eventfd_ctx *ctx,
			bool async)
{
	spin_lock(&ring->eventfd_lock);
	if (io2_ring_defers(ring)) {
		spin_lock_irq(&ring->deferred_lock);
		eventfd_set_locked(ring, ctx, async);
		spin_unlock_irq(&ring->deferred_lock);
	} else {
		spin_lock(&ring->cq_lock);
		eventfd_set_locked(ring, ctx, async);
		spin_unlock(&ring->cq_lock);
	}
	spin_unlock(&ring->eventfd_lock);
}

static int eventfd_register(struct io2_ring *ring, void __user *uarg, u32 nr,
			    bool async)
{
	struct eventfd_ctx *ctx;
	s32 fd;

	lockdep_assert_held(&ring->uring_lock);
	if (nr != 1)
		return -EINVAL;
	if (ring->eventfd)
		return -EBUSY;
	if (copy_from_user(&fd, uarg, sizeof(fd)))
		return -EFAULT;
	ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	eventfd_set(ring, ctx, async);
	return 0;
}

/**
 * io2_eventfd_register() - REGISTER_EVENTFD
 * @ring: the ring
 * @uarg: user address of a descriptor, of 32 bits
 * @nr: must be 1
 *
 * Context: may sleep; uring_lock held.
 * Return: 0; -EINVAL (@nr is wrong, or not an eventfd), -EBUSY (the ring has an
 * eventfd), -EFAULT, -EBADF.
 */
int io2_eventfd_register(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	return eventfd_register(ring, uarg, nr, false);
}

/**
 * io2_eventfd_register_async() - REGISTER_EVENTFD_ASYNC
 * @ring: the ring
 * @uarg: user address of a descriptor, of 32 bits
 * @nr: must be 1
 *
 * Requests that complete while they are submitted are not signalled.
 *
 * Context: may sleep; uring_lock held.
 * Return: as io2_eventfd_register().
 */
int io2_eventfd_register_async(struct io2_ring *ring, void __user *uarg,
			       u32 nr)
{
	return eventfd_register(ring, uarg, nr, true);
}

/* Return: the eventfd, whose reference the caller gets, or NULL. */
static struct eventfd_ctx *eventfd_take(struct io2_ring *ring)
{
	struct eventfd_ctx *ctx;

	spin_lock(&ring->eventfd_lock);
	ctx = ring->eventfd;
	WRITE_ONCE(ring->eventfd, NULL);
	spin_unlock(&ring->eventfd_lock);
	return ctx;
}

/**
 * io2_eventfd_unregister() - UNREGISTER_EVENTFD
 * @ring: the ring
 * @uarg: must be NULL
 * @nr: must be 0
 *
 * When this returns, nothing signals the eventfd any more.
 *
 * Context: task context; uring_lock held.
 * Return: 0; -EINVAL, or -ENXIO if the ring has no eventfd.
 */
int io2_eventfd_unregister(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct eventfd_ctx *ctx;

	lockdep_assert_held(&ring->uring_lock);
	if (uarg || nr)
		return -EINVAL;
	ctx = eventfd_take(ring);
	if (!ctx)
		return -ENXIO;
	eventfd_ctx_put(ctx);
	return 0;
}

/**
 * io2_eventfd_drop() - drop the eventfd of a ring that ends
 * @ring: a ring on which no context of the module works any more
 *
 * Context: task context.
 */
void io2_eventfd_drop(struct io2_ring *ring)
{
	struct eventfd_ctx *ctx = eventfd_take(ring);

	if (ctx)
		eventfd_ctx_put(ctx);
}

/**
 * io2_eventfd_init() - initialise the eventfd state of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_eventfd_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->eventfd_lock);
}
