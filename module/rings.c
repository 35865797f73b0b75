// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a ring's SQ, CQ and SQEs. A ring has one pointer to it. Mappings
 * have references of their own (shm.h), and readers without a lock are protected
 * by RCU.
 */
#include <linux/slab.h>

#include "debug/fault.h"
#include "layout.h"
#include "rings.h"

/* Finds the parts in memory that has been built, and fills in the head. */
static void rings_place(struct io2_rings *rings,
			const struct iouring2_params *p,
			const struct io2_layout *l)
{
	const struct io2_region *region = rings->shm.region;
	void *base = region[IO2_RINGS_HEAD].vaddr;
	struct io2_shared *shared = base;

	/* only the kernel's own memory is zero */
	if (p->flags & IOURING2_SETUP_NO_MMAP)
		memset(shared, 0, sizeof(*shared));
	rings->shared = shared;
	rings->cqes = l->own_cqes ? region[IO2_RINGS_CQES].vaddr :
				    base + l->cqes;
	if (!(p->flags & IOURING2_SETUP_NO_SQARRAY))
		rings->sq_array = base + l->sq_array;
	rings->sqes = region[IO2_RINGS_SQES].vaddr;
	rings->sq_entries = p->sq_entries;
	rings->cq_entries = p->cq_entries;
	shared->sq_mask = p->sq_entries - 1;
	shared->sq_entries = p->sq_entries;
	shared->cq_mask = p->cq_entries - 1;
	shared->cq_entries = p->cq_entries;
}

static struct io2_rings *rings_alloc(void)
{
	struct io2_rings *rings;

	if (io2_fault_inject("rings", "struct"))
		return NULL;
	rings = kzalloc(sizeof(*rings), GFP_KERNEL_ACCOUNT);
	if (rings)
		io2_shm_init(&rings->shm);
	return rings;
}

/* Allocates a region or, with NO_MMAP, takes the memory at @uaddr. */
static int rings_region(struct io2_region *r, const struct iouring2_params *p,
			size_t bytes, u64 uaddr, const char *step)
{
	if (p->flags & IOURING2_SETUP_NO_MMAP)
		return io2_region_pin(r, uaddr, bytes, step);
	return io2_region_build(r, bytes, step);
}

/**
 * io2_rings_build() - build the memory of SQ, CQ and SQEs
 * @p: checked parameters
 * @l: their layout
 * @step: receives the step that was tried last: "rings", "cqes" or "sqes"
 *
 * Context: may sleep; no lock of a ring needed.
 * Return: the rings, with one reference, or an ERR_PTR: -ENOMEM; with NO_MMAP
 * also -EFAULT, -EINVAL and -EOVERFLOW.
 */
struct io2_rings *io2_rings_build(const struct iouring2_params *p,
				  const struct io2_layout *l,
				  const char **step)
{
	struct io2_rings *rings;
	struct io2_region *r;
	int ret;

	*step = "rings";
	rings = rings_alloc();
	if (!rings)
		return ERR_PTR(-ENOMEM);
	r = rings->shm.region;
	ret = rings_region(&r[IO2_RINGS_HEAD], p, l->rings,
			   p->cq_off.user_addr, *step);
	if (ret)
		goto err_rings;
	*step = "cqes";
	/* NO_MMAP has one region of all: see io2_layout_make() */
	ret = io2_region_build(&r[IO2_RINGS_CQES], l->own_cqes, *step);
	if (ret)
		goto err_head;
	*step = "sqes";
	ret = rings_region(&r[IO2_RINGS_SQES], p, l->sqes,
			   p->sq_off.user_addr, *step);
	if (ret)
		goto err_cqes;
	rings_place(rings, p, l);
	return rings;

err_cqes:
	io2_region_free(&r[IO2_RINGS_CQES]);
err_head:
	io2_region_free(&r[IO2_RINGS_HEAD]);
err_rings:
	kfree(rings);
	return ERR_PTR(ret);
}

/**
 * io2_rings_shm() - a reference to the memory of a ring's rings, for a mapping
 * @ring: the ring
 *
 * Context: any; in particular mmap(2), which must not wait for uring_lock: its
 * holder may wait for mmap_lock.
 * Return: the memory; the caller drops the reference.
 */
struct io2_shm *io2_rings_shm(const struct io2_ring *ring)
{
	struct io2_rings *rings;

	rcu_read_lock_sched();
	rings = rcu_dereference_sched(ring->rings);
	/* the ring has a reference until a grace period is over */
	io2_shm_get(&rings->shm);
	rcu_read_unlock_sched();
	return &rings->shm;
}

/**
 * io2_rings_use() - give a ring its rings, or replace them
 * @ring: the ring; gets the caller's reference to @rings
 * @rings: built rings
 *
 * Context: uring_lock and cq_lock held, unless the ring is NEW.
 * Return: the old rings or NULL. The caller gets the ring's reference to them,
 * and drops it after a grace period of RCU.
 */
struct io2_rings *io2_rings_use(struct io2_ring *ring, struct io2_rings *rings)
{
	struct io2_rings *old = rcu_dereference_protected(ring->rings,
				ring->state == IO2_NEW ||
				(lockdep_is_held(&ring->uring_lock) &&
				 lockdep_is_held(&ring->cq_lock)));

	ring->shared = rings->shared;
	ring->sq_array = rings->sq_array;
	ring->cqes = rings->cqes;
	ring->sqes = rings->sqes;
	WRITE_ONCE(ring->sq_entries, rings->sq_entries);
	WRITE_ONCE(ring->cq_entries, rings->cq_entries);
	/* an application with a large CQ is likely to use it */
	ring->max_cached = max(IO2_CACHED_LEAST, rings->cq_entries / 2);
	rcu_assign_pointer(ring->rings, rings);
	return old;
}
