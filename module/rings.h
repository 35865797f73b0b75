/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a ring's SQ, CQ and SQEs, which a resize replaces as a whole. */
#ifndef IO2_RINGS_H
#define IO2_RINGS_H

#include <linux/rcupdate.h>

#include "ring.h"
#include "shm.h"

struct io2_layout;

/**
 * enum io2_rings_region - the regions of struct io2_rings
 * @IO2_RINGS_HEAD: struct io2_shared, the SQ array, and the CQ entries if they
 *	are few
 * @IO2_RINGS_CQES: the CQ entries, if they are many; mapped behind the first
 * @IO2_RINGS_SQES: the SQEs
 */
enum io2_rings_region {
	IO2_RINGS_HEAD,
	IO2_RINGS_CQES,
	IO2_RINGS_SQES,
};

/**
 * struct io2_rings - SQ, CQ and SQEs of a ring
 * @shm: the memory
 * @shared: the head of it
 * @sq_array: SQE indices, or NULL with IOURING2_SETUP_NO_SQARRAY
 * @cqes: the CQ's entries
 * @sqes: the SQEs
 * @sq_entries: power of two
 * @cq_entries: power of two
 *
 * Lifetime: as @shm. The ring has a reference until the rings have been replaced
 * and a grace period of RCU is over, or until the ring ends. All fields are
 * constant.
 */
struct io2_rings {
	struct io2_shm		shm;
	struct io2_shared	*shared;
	u32			*sq_array;
	struct iouring2_cqe	*cqes;
	struct iouring2_sqe	*sqes;
	u32			sq_entries;
	u32			cq_entries;
};

/**
 * io2_rings_lock() - the rings of this moment, without a lock of the ring
 * @ring: the ring
 *
 * Whoever holds uring_lock or cq_lock does not need this.
 *
 * Context: any. Must not sleep until io2_rings_unlock().
 * Return: the rings. They may be replaced at any time, and stay allocated until
 * io2_rings_unlock().
 */
static __always_inline const struct io2_rings *
io2_rings_lock(const struct io2_ring *ring)
	__acquires(RCU_SCHED)
{
	/* costs less than rcu_read_lock(); a grace period waits for both */
	rcu_read_lock_sched();
	return rcu_dereference_sched(ring->rings);
}

/**
 * io2_rings_unlock() - undo io2_rings_lock()
 */
static __always_inline void io2_rings_unlock(void)
	__releases(RCU_SCHED)
{
	rcu_read_unlock_sched();
}

/**
 * io2_rings_cq_head() - the CQ head that the application has written
 * @ring: the ring
 *
 * Context: any; no lock of the ring needed.
 * Return: the head: any value (I10).
 */
static __always_inline u32 io2_rings_cq_head(const struct io2_ring *ring)
{
	u32 head = READ_ONCE(io2_rings_lock(ring)->shared->cq_head);

	io2_rings_unlock();
	return head;
}

struct io2_rings *io2_rings_build(const struct iouring2_params *p,
				  const struct io2_layout *l,
				  const char **step);
struct io2_shm *io2_rings_shm(const struct io2_ring *ring);
struct io2_rings *io2_rings_use(struct io2_ring *ring, struct io2_rings *rings);

#endif
