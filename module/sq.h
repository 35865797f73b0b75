/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The submission queue. The application may write the SQEs, the index array and
 * the tail at any time, with any value (I10). So each is read once, into a
 * copy.
 *
 * Barriers: SQ tail is read with acquire before the entries (pairs with the
 * application's release store of the tail). SQ head is stored with release
 * after the entries were read (pairs with the application's acquire load of the
 * head before it reuses them).
 *
 * With SETUP_SQ_REWIND each submission takes the SQEs from the first one on.
 * Neither the tail nor the head in the shared memory is used.
 *
 * An SQE has 64 bytes, or 128 with SQE128. With SQE_MIXED, an SQE of 128 bytes
 * takes two entries of 64, and its opcode tells. No opcode uses its second half
 * yet, so only the first one is read.
 */
#ifndef IO2_SQ_H
#define IO2_SQ_H

#include <linux/minmax.h>
#include <linux/nospec.h>

#include "ring.h"
#include "rings.h"

/**
 * io2_sq_rewinds() - does each submission begin with the first SQE?
 * @ring: the ring
 *
 * Context: any.
 * Return: true with SETUP_SQ_REWIND.
 */
static inline bool io2_sq_rewinds(const struct io2_ring *ring)
{
	return ring->setup_flags & IOURING2_SETUP_SQ_REWIND;
}

/**
 * io2_sq_pending() - number of entries that the application has queued
 * @ring: the ring
 *
 * With SETUP_SQ_REWIND the application tells the number only by ENTER's argument.
 *
 * Context: uring_lock held.
 * Return: 0 .. sq_entries, whatever value the tail has.
 */
static inline u32 io2_sq_pending(const struct io2_ring *ring)
{
	u32 tail;

	lockdep_assert_held(&ring->uring_lock);
	if (unlikely(io2_sq_rewinds(ring)))
		return ring->sq_entries;
	/* acquire: entries are read after the tail that covers them */
	tail = smp_load_acquire(&ring->shared->sq_tail);
	return min(tail - ring->sq_head, ring->sq_entries);
}

static __always_inline void sq_copy(struct iouring2_sqe *copy,
				    const struct iouring2_sqe *sqe)
{
	const u64 *src = (const u64 *)sqe;
	u64 *dst = (u64 *)copy;

	BUILD_BUG_ON(sizeof(*copy) != 8 * sizeof(u64));
	dst[0] = READ_ONCE(src[0]);
	dst[1] = READ_ONCE(src[1]);
	dst[2] = READ_ONCE(src[2]);
	dst[3] = READ_ONCE(src[3]);
	dst[4] = READ_ONCE(src[4]);
	dst[5] = READ_ONCE(src[5]);
	dst[6] = READ_ONCE(src[6]);
	dst[7] = READ_ONCE(src[7]);
}

/**
 * io2_sq_read() - read one entry
 * @ring: the ring
 * @head: its place; io2_sq_pending() has reported an entry there
 * @copy: receives the SQE
 * @shift: log2 of the size of an entry in units of 64 bytes
 * @place: receives the index of the SQE
 *
 * The caller consumes the entry by io2_sq_commit().
 *
 * Context: uring_lock held.
 * Return: false if the entry's index is invalid; it is counted as dropped.
 */
static __always_inline bool io2_sq_read(struct io2_ring *ring, u32 head,
					struct iouring2_sqe *copy,
					unsigned int shift, u32 *place)
{
	u32 index = head & (ring->sq_entries - 1);

	lockdep_assert_held(&ring->uring_lock);
	if (ring->sq_array) {
		index = READ_ONCE(ring->sq_array[index]);
		if (unlikely(index >= ring->sq_entries)) {
			ring->sq_dropped++;
			WRITE_ONCE(ring->shared->sq_dropped, ring->sq_dropped);
			return false;
		}
		index = array_index_nospec(index, ring->sq_entries);
	}
	sq_copy(copy, &ring->sqes[index << shift]);
	*place = index;
	return true;
}

/**
 * io2_sq_has_half() - look for the second entry of an SQE of 128 bytes
 * @ring: the ring, with SQE_MIXED
 * @place: the index of the first entry
 * @left: entries that may still be read
 *
 * The two are next to each other in memory. The caller consumes both.
 *
 * Context: uring_lock held.
 * Return: 0, or -EINVAL if there is no second entry.
 */
static inline int io2_sq_has_half(struct io2_ring *ring, u32 place, u32 left)
{
	lockdep_assert_held(&ring->uring_lock);
	if (!left || place >= ring->sq_entries - 1)
		return -EINVAL;
	return 0;
}

/**
 * io2_sq_commit() - consume entries, and tell the application that it may reuse them
 * @ring: the ring
 * @head: the place behind the last entry that was read
 *
 * With SETUP_SQ_REWIND it may reuse all as soon as ENTER returns.
 *
 * Context: uring_lock held.
 */
static inline void io2_sq_commit(struct io2_ring *ring, u32 head)
{
	lockdep_assert_held(&ring->uring_lock);
	if (unlikely(io2_sq_rewinds(ring))) {
		WRITE_ONCE(ring->sq_head, 0);
		return;
	}
	WRITE_ONCE(ring->sq_head, head);
	/* release: the application may now overwrite what we have read */
	smp_store_release(&ring->shared->sq_head, head);
}

/**
 * io2_sq_full() - is the SQ full? (for poll of the ring)
 * @ring: the ring
 *
 * With SETUP_SQ_REWIND there is always room: the kernel does not know how many
 * entries the application has filled.
 *
 * Context: any; a snapshot.
 * Return: true if there is no room for another SQE.
 */
static inline bool io2_sq_full(const struct io2_ring *ring)
{
	const struct io2_rings *rings = io2_rings_lock(ring);
	bool full;

	full = !io2_sq_rewinds(ring) &&
	       READ_ONCE(rings->shared->sq_tail) - READ_ONCE(ring->sq_head) >=
	       rings->sq_entries;
	io2_rings_unlock();
	return full;
}

#endif
