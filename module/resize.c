// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE_RINGS: other rings for a ring that is in use.
 *
 * The new rings are built first, without a lock of the ring. Then, with
 * uring_lock and cq_lock held, the entries that are in use move, and the ring's
 * pointer changes. So a submission or a completion finds either the old rings or
 * the new ones, whatever context it runs in. All counters go on: a CQE keeps its
 * number, and so a waiter that counts CQEs is not confused.
 *
 * The application unmaps the old rings when it likes. A mapping of them has a
 * reference to their memory (shm.h). Readers without a lock are done with them
 * after a grace period of RCU.
 */
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "cq.h"
#include "debug/fault.h"
#include "debug/trace.h"
#include "defer.h"
#include "layout.h"
#include "op/opdef.h"
#include "resize.h"
#include "rings.h"
#include "sq.h"

/* flags that the caller may set, and those that the ring has for ever */
#define RESIZE_FLAGS	(IOURING2_SETUP_CQSIZE | IOURING2_SETUP_CLAMP)
#define RESIZE_KEPT	(IOURING2_SETUP_NO_SQARRAY | IOURING2_SETUP_NO_MMAP | \
			 IOURING2_SETUP_SQE128 | IOURING2_SETUP_CQE32 | \
			 IOURING2_SETUP_SQE_MIXED | IOURING2_SETUP_CQE_MIXED)

/**
 * struct io2_resize - a resize in progress
 * @rings: the new rings; after the swap, the old ones
 * @was: the caller's parameters
 * @now: the parameters of the new rings
 *
 * Lifetime: on the stack of the caller. Nothing else has access, so no lock is
 * needed.
 */
struct io2_resize {
	struct io2_rings	*rings;
	struct iouring2_params	was;
	struct iouring2_params	now;
};

static int resize_params(struct io2_resize *rs, const struct io2_ring *ring,
			 void __user *uarg)
{
	struct iouring2_params *p = &rs->now;

	if (copy_from_user(p, uarg, sizeof(*p)))
		return -EFAULT;
	rs->was = *p;
	if ((p->flags & ~RESIZE_FLAGS) ||
	    memchr_inv(p->resv, 0, sizeof(p->resv)))
		return -EINVAL;
	p->flags |= ring->setup_flags & RESIZE_KEPT;
	return io2_setup_sizes(p, p->sq_entries);
}

static int resize_copy_out(void __user *uarg, const struct iouring2_params *p)
{
	if (io2_fault_inject("resize", "copy-out"))
		return -EFAULT;
	return copy_to_user(uarg, p, sizeof(*p)) ? -EFAULT : 0;
}

/*
 * Everything that may wait for memory of the caller, or may fail but for the
 * lack of room.
 */
static int resize_build(struct io2_resize *rs, const struct io2_ring *ring,
			void __user *uarg)
{
	struct io2_layout l;
	const char *step;
	int ret;

	ret = resize_params(rs, ring, uarg);
	if (ret)
		return ret;
	io2_layout_make(&l, &rs->now);
	io2_layout_tell(&rs->now, &l);
	rs->rings = io2_rings_build(&rs->now, &l, &step);
	if (IS_ERR(rs->rings))
		return PTR_ERR(rs->rings);
	ret = resize_copy_out(uarg, &rs->now);
	if (ret)
		io2_shm_put(&rs->rings->shm);
	return ret;
}

/* The place of queued entry @i in @from, or U32_MAX if its index is invalid. */
static u32 resize_sqe_place(const struct io2_ring *ring, u32 i)
{
	u32 place = i & (ring->sq_entries - 1);

	if (!ring->sq_array)
		return place;
	place = READ_ONCE(ring->sq_array[place]);
	if (place >= ring->sq_entries)
		return U32_MAX;
	return array_index_nospec(place, ring->sq_entries);
}

static void resize_copy_sqe(const struct io2_ring *ring,
			    const struct io2_rings *new, u32 from, u32 to)
{
	memcpy(&new->sqes[to << ring->sqe_shift],
	       &ring->sqes[from << ring->sqe_shift],
	       sizeof(*new->sqes) << ring->sqe_shift);
	if (new->sq_array)
		WRITE_ONCE(new->sq_array[to], to);
}

/*
 * Moves queued entry @i of @left. With SQE_MIXED, an SQE of 128 bytes has two
 * places. They are next to each other before and afterwards. An SQE without its
 * second half is moved like any other: its submission decides about it. An index
 * that is invalid stays so: the entry will be dropped.
 *
 * Return: the number of entries moved, or -EOVERFLOW.
 */
static int resize_move_sqe(const struct io2_ring *ring,
			   const struct io2_rings *new, u32 i, u32 left)
{
	u32 from = resize_sqe_place(ring, i), to = i & (new->sq_entries - 1);

	if (from == U32_MAX) {
		WRITE_ONCE(new->sq_array[to], U32_MAX);
		return 1;
	}
	resize_copy_sqe(ring, new, from, to);
	if (!(ring->setup_flags & IOURING2_SETUP_SQE_MIXED) ||
	    left < 2 || from == ring->sq_entries - 1 ||
	    !io2_op_has_sqe128(READ_ONCE(ring->sqes[from].opcode)))
		return 1;
	if (to == new->sq_entries - 1)
		return -EOVERFLOW;
	resize_copy_sqe(ring, new, from + 1, to + 1);
	return 2;
}

/*
 * With SQ_REWIND the kernel uses neither head nor tail, and does not know which
 * SQEs are filled. It moves all for which there is room.
 */
static int resize_sq_rewound(const struct io2_ring *ring,
			     const struct io2_rings *new)
{
	u32 nr = min(ring->sq_entries, new->sq_entries);

	memcpy(new->sqes, ring->sqes,
	       nr * sizeof(*new->sqes) << ring->sqe_shift);
	return 0;
}

/* Moves the SQEs that the application has queued. Return: 0 or -EOVERFLOW. */
static int resize_sq(const struct io2_ring *ring, const struct io2_rings *new)
{
	u32 nr = io2_sq_pending(ring), i;
	int moved;

	if (io2_sq_rewinds(ring))
		return resize_sq_rewound(ring, new);
	if (nr > new->sq_entries)
		return -EOVERFLOW;
	for (i = 0; i < nr; i += moved) {
		moved = resize_move_sqe(ring, new, ring->sq_head + i, nr - i);
		if (moved < 0)
			return moved;
	}
	WRITE_ONCE(new->shared->sq_head, ring->sq_head);
	WRITE_ONCE(new->shared->sq_tail, ring->sq_head + nr);
	WRITE_ONCE(new->shared->sq_dropped, ring->sq_dropped);
	return 0;
}

/*
 * Moves entry @i of the CQ. With CQE_MIXED, a CQE of 32 bytes has two places. They
 * are next to each other before and afterwards. The application may have written
 * to the CQEs: it gets back what it wrote.
 *
 * Return: the number of entries moved, or -EOVERFLOW.
 */
static int resize_move_cqe(const struct io2_ring *ring,
			   const struct io2_rings *new, u32 i)
{
	u32 from = i & (ring->cq_entries - 1), to = i & (new->cq_entries - 1);
	unsigned int shift = ring->cqe_shift;
	u32 nr = 1;

	if ((ring->setup_flags & IOURING2_SETUP_CQE_MIXED) &&
	    from != ring->cq_entries - 1 &&
	    (READ_ONCE(ring->cqes[from].flags) & IOURING2_CQE_F_32))
		nr = 2;
	if (to + nr > new->cq_entries)
		return -EOVERFLOW;
	memcpy(&new->cqes[to << shift], &ring->cqes[from << shift],
	       nr * sizeof(*new->cqes) << shift);
	return nr;
}

/*
 * Moves the CQEs that the application has not taken. What is in the backlog stays
 * there. A head that is not valid makes the ring look full (I10), and so it does
 * here.
 *
 * Return: 0 or -EOVERFLOW.
 */
static int resize_cq(struct io2_ring *ring, const struct io2_rings *new)
{
	const struct io2_shared *old = ring->shared;
	u32 head, nr, i;
	int moved;

	lockdep_assert_held(&ring->cq_lock);
	/* acquire: as in cq_room() */
	head = smp_load_acquire(&old->cq_head);
	nr = ring->cq_fill - head;
	if (nr > min(ring->cq_entries, new->cq_entries))
		return -EOVERFLOW;
	for (i = 0; i < nr; i += moved) {
		moved = resize_move_cqe(ring, new, head + i);
		if (moved < 0)
			return moved;
	}
	ring->cq_head_seen = head;
	WRITE_ONCE(new->shared->cq_head, head);
	WRITE_ONCE(new->shared->cq_tail, ring->cq_tail);
	WRITE_ONCE(new->shared->cq_flags, READ_ONCE(old->cq_flags));
	WRITE_ONCE(new->shared->sq_flags, ring->sq_flags);
	return 0;
}

/* Return: 0; the caller gets the old rings. -EOVERFLOW: nothing has changed. */
static int resize_swap(struct io2_ring *ring, struct io2_resize *rs)
{
	struct io2_rings *new = rs->rings;
	int ret;

	lockdep_assert_held(&ring->uring_lock);
	ret = resize_sq(ring, new);
	if (ret)
		return ret;
	spin_lock(&ring->cq_lock);
	ret = resize_cq(ring, new);
	if (!ret)
		rs->rings = io2_rings_use(ring, new);
	spin_unlock(&ring->cq_lock);
	if (!ret && io2_ring_defers(ring))
		io2_defer_resized(ring);
	return ret;
}

/*
 * The new CQ may have room for the backlog. It may also be smaller than the
 * number of CQEs that a task waits for, which that task has to notice.
 */
static void resize_tell(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->uring_lock);
	trace_iouring2_resize(ring);
	io2_cq_flush(ring);
	__wake_up(&ring->wait, TASK_NORMAL, 0, IO2_WAKE_DEFERRED);
}

/*
 * The caller's struct becomes what it was. It was written to a moment ago: if it
 * is gone by now, there is nobody to read it.
 */
static void resize_restore(void __user *uarg, const struct io2_resize *rs)
{
	unsigned long left __maybe_unused;

	left = copy_to_user(uarg, &rs->was, sizeof(rs->was));
}

/**
 * io2_register_resize() - RESIZE_RINGS
 * @ring: the ring
 * @uarg: user address of a struct iouring2_params
 * @nr: must be 1
 *
 * io_uring has this for rings with DEFER_TASKRUN only, because completions of
 * others are posted without a lock that it could hold. Here every ring has it.
 *
 * Context: may sleep; no lock of the ring held.
 * Return: 0; -EOVERFLOW if what is in use does not fit; -EINVAL, -EFAULT,
 * -ENOMEM. After an error the rings are as before.
 */
int io2_register_resize(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct io2_resize rs;
	int ret;

	if (!uarg || nr != 1)
		return -EINVAL;
	io2_fault_begin();
	ret = resize_build(&rs, ring, uarg);
	io2_fault_end();
	if (ret)
		return ret;
	mutex_lock(&ring->uring_lock);
	ret = resize_swap(ring, &rs);
	/* on a ring that defers to its issuer, uring_lock guards the backlog */
	if (!ret)
		resize_tell(ring);
	mutex_unlock(&ring->uring_lock);
	if (ret)
		resize_restore(uarg, &rs);
	else
		/* readers without a lock: io2_rings_lock() */
		synchronize_rcu_expedited();
	io2_shm_put(&rs.rings->shm);
	return ret;
}
