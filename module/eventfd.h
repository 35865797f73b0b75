/* SPDX-License-Identifier: GPL-2.0-only */
/* The registered eventfd: tells a program of completions and of parked requests. */
#ifndef IO2_EVENTFD_H
#define IO2_EVENTFD_H

#include "ring.h"
#include "rings.h"

/**
 * enum io2_tell - why the eventfd is signalled
 * @IO2_TELL_INLINE: a submission has posted CQEs of requests that completed
 *	during the submission
 * @IO2_TELL_LATER: another context has posted CQEs
 * @IO2_TELL_PARKED: a request waits for a task of its process
 */
enum io2_tell {
	IO2_TELL_INLINE,
	IO2_TELL_LATER,
	IO2_TELL_PARKED,
};

void io2_eventfd_init(struct io2_ring *ring);
int io2_eventfd_register(struct io2_ring *ring, void __user *uarg, u32 nr);
int io2_eventfd_register_async(struct io2_ring *ring, void __user *uarg,
			       u32 nr);
int io2_eventfd_unregister(struct io2_ring *ring, void __user *uarg, u32 nr);
void io2_eventfd_drop(struct io2_ring *ring);
void io2_eventfd_signal(struct io2_ring *ring, enum io2_tell why);

/**
 * io2_eventfd_tell() - signal the eventfd of a ring, if one is registered
 * @ring: the ring
 * @why: what has happened; the CQEs have been posted, or the request is parked
 *
 * Context: task context; no spinlock held.
 */
static __always_inline void io2_eventfd_tell(struct io2_ring *ring,
					     enum io2_tell why)
{
	if (unlikely(READ_ONCE(ring->eventfd)))
		io2_eventfd_signal(ring, why);
}

/**
 * io2_eventfd_owe() - the submission is about to run deferred requests
 * @ring: the ring
 *
 * They complete later than they were submitted, so the next CQEs that the
 * submission posts are signalled in any case.
 *
 * Context: uring_lock held.
 */
static inline void io2_eventfd_owe(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->uring_lock);
	if (unlikely(READ_ONCE(ring->eventfd)))
		ring->eventfd_owed = true;
}

/**
 * io2_eventfd_is_off() - has the application switched the signals off?
 * @ring: the ring
 *
 * Context: any.
 * Return: true if it has, by IOURING2_CQ_EVENTFD_DISABLED.
 */
static inline bool io2_eventfd_is_off(const struct io2_ring *ring)
{
	u32 flags = READ_ONCE(io2_rings_lock(ring)->shared->cq_flags);

	io2_rings_unlock();
	return flags & IOURING2_CQ_EVENTFD_DISABLED;
}

/**
 * io2_eventfd_is() - do the completions of a ring signal a file?
 * @ring: the ring
 * @file: the file
 *
 * Context: any; the eventfd may be registered or unregistered meanwhile.
 * Return: true if @file is the eventfd of @ring and is not switched off.
 */
static inline bool io2_eventfd_is(const struct io2_ring *ring,
				  const struct file *file)
{
	const struct eventfd_ctx *ctx = READ_ONCE(ring->eventfd);

	/* only files of this eventfd point to it */
	return unlikely(ctx) && READ_ONCE(file->private_data) == ctx &&
	       !io2_eventfd_is_off(ring);
}

#endif
