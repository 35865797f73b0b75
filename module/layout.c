// SPDX-License-Identifier: GPL-2.0-only
/* The arguments of SETUP and the layout of a ring's memory. Everything is pure. */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "layout.h"
#include "ring.h"
#include "setup.h"

/* one of each pair at most */
#define SQE_SIZES	(IOURING2_SETUP_SQE128 | IOURING2_SETUP_SQE_MIXED)
#define CQE_SIZES	(IOURING2_SETUP_CQE32 | IOURING2_SETUP_CQE_MIXED)

static int clamp_entries(u32 *entries, u32 max, bool clamp)
{
	if (!*entries)
		return -EINVAL;
	if (*entries > max) {
		if (!clamp)
			return -EINVAL;
		*entries = max;
	}
	*entries = roundup_pow_of_two(*entries);
	return 0;
}

/* An entry of twice the size takes two entries, so there must be two. */
static int check_mixed(const struct iouring2_params *p)
{
	if ((p->flags & IOURING2_SETUP_SQE_MIXED) && p->sq_entries < 2)
		return -EOVERFLOW;
	if ((p->flags & IOURING2_SETUP_CQE_MIXED) && p->cq_entries < 2)
		return -EOVERFLOW;
	return 0;
}

/**
 * io2_setup_sizes() - check the sizes of the rings, and round them
 * @p: flags, and cq_entries with CQSIZE; gets the sizes that the rings will have
 * @entries: SQ entries asked for
 *
 * Context: any; pure.
 * Return: 0, -EINVAL or -EOVERFLOW.
 */
int io2_setup_sizes(struct iouring2_params *p, u32 entries)
{
	bool clamp = p->flags & IOURING2_SETUP_CLAMP;
	int ret;

	p->sq_entries = entries;
	ret = clamp_entries(&p->sq_entries, IO2_MAX_ENTRIES, clamp);
	if (ret)
		return ret;
	if (!(p->flags & IOURING2_SETUP_CQSIZE)) {
		p->cq_entries = 2 * p->sq_entries;
		return check_mixed(p);
	}
	ret = clamp_entries(&p->cq_entries, IO2_MAX_CQ_ENTRIES, clamp);
	if (ret)
		return ret;
	return p->cq_entries < p->sq_entries ? -EINVAL : check_mixed(p);
}

static int check_inflight(struct iouring2_setup *s, u32 by_default, u32 max)
{
	if (!s->max_inflight)
		s->max_inflight = min(by_default, max);
	if (!s->max_inflight)
		s->max_inflight = 1;
	return s->max_inflight > max ? -EINVAL : 0;
}

/* Has each flag those that it needs? */
static bool flags_fit(u32 flags)
{
	/* the entries are taken in order, so there is no index array */
	if ((flags & IOURING2_SETUP_SQ_REWIND) &&
	    !(flags & IOURING2_SETUP_NO_SQARRAY))
		return false;
	if ((flags & IOURING2_SETUP_TASKRUN_FLAG) &&
	    !(flags & (IOURING2_SETUP_COOP_TASKRUN |
		       IOURING2_SETUP_DEFER_TASKRUN)))
		return false;
	return !(flags & IOURING2_SETUP_DEFER_TASKRUN) ||
	       (flags & IOURING2_SETUP_SINGLE_ISSUER);
}

/**
 * io2_setup_check() - find all errors in the arguments of SETUP
 * @s: the caller's struct; gets the sizes that the ring will have
 * @by_default: max_inflight, if the caller asks for none
 * @max: the largest max_inflight that is allowed
 *
 * Context: any; pure.
 * Return: 0, -EINVAL or -EOVERFLOW.
 */
int io2_setup_check(struct iouring2_setup *s, u32 by_default, u32 max)
{
	struct iouring2_params *p = &s->params;
	int ret;

	if (memchr_inv(s->resv, 0, sizeof(s->resv)) ||
	    memchr_inv(p->resv, 0, sizeof(p->resv)))
		return -EINVAL;
	if ((s->flags & ~IO2_RING_FLAGS) || (p->flags & ~IO2_SETUP_FLAGS) ||
	    !flags_fit(p->flags))
		return -EINVAL;
	if ((p->flags & SQE_SIZES) == SQE_SIZES ||
	    (p->flags & CQE_SIZES) == CQE_SIZES)
		return -EINVAL;
	ret = io2_setup_sizes(p, s->entries);
	if (ret)
		return ret;
	return check_inflight(s, by_default, max);
}

/**
 * io2_layout_make() - decide where everything is in a ring's memory
 * @l: gets the layout
 * @p: checked parameters
 *
 * CQ entries of at least a page get a region of their own. Its size is a power
 * of two, so contiguous memory is not wasted.
 *
 * With NO_MMAP everything but the SQEs is one region, without a gap. An
 * application computes how much memory io_uring needs, which has a smaller head.
 * The difference is so small that both need the same number of pages: no sizes
 * leave less room than the head in the last page.
 *
 * Context: any; pure.
 */
void io2_layout_make(struct io2_layout *l, const struct iouring2_params *p)
{
	size_t cqes = p->cq_entries * sizeof(struct iouring2_cqe) <<
		      io2_cqe_shift(p->flags);

	l->sq_array = ALIGN(sizeof(struct io2_shared), SMP_CACHE_BYTES);
	l->rings = l->sq_array;
	if (!(p->flags & IOURING2_SETUP_NO_SQARRAY))
		l->rings += p->sq_entries * sizeof(u32);
	if (cqes < PAGE_SIZE || (p->flags & IOURING2_SETUP_NO_MMAP)) {
		l->cqes = ALIGN(l->rings, SMP_CACHE_BYTES);
		l->rings = l->cqes + cqes;
		l->own_cqes = 0;
	} else {
		l->cqes = PAGE_ALIGN(l->rings);
		l->own_cqes = cqes;
	}
	l->sqes = p->sq_entries * sizeof(struct iouring2_sqe) <<
		  io2_sqe_shift(p->flags);
}

/* With NO_MMAP the application has said where its memory is. */
static u64 told_address(const struct iouring2_params *p, u64 user_addr)
{
	return p->flags & IOURING2_SETUP_NO_MMAP ? user_addr : 0;
}

/**
 * io2_layout_tell() - fill in the offsets that the application needs
 * @p: gets the offsets, and the features
 * @l: from io2_layout_make()
 *
 * Context: any; pure.
 */
void io2_layout_tell(struct iouring2_params *p, const struct io2_layout *l)
{
	p->sq_off = (struct iouring2_sqring_offsets) {
		.user_addr = told_address(p, p->sq_off.user_addr),
	};
	p->sq_off.head = offsetof(struct io2_shared, sq_head);
	p->sq_off.tail = offsetof(struct io2_shared, sq_tail);
	p->sq_off.ring_mask = offsetof(struct io2_shared, sq_mask);
	p->sq_off.ring_entries = offsetof(struct io2_shared, sq_entries);
	p->sq_off.flags = offsetof(struct io2_shared, sq_flags);
	p->sq_off.dropped = offsetof(struct io2_shared, sq_dropped);
	if (!(p->flags & IOURING2_SETUP_NO_SQARRAY))
		p->sq_off.array = l->sq_array;

	p->cq_off = (struct iouring2_cqring_offsets) {
		.user_addr = told_address(p, p->cq_off.user_addr),
	};
	p->cq_off.head = offsetof(struct io2_shared, cq_head);
	p->cq_off.tail = offsetof(struct io2_shared, cq_tail);
	p->cq_off.ring_mask = offsetof(struct io2_shared, cq_mask);
	p->cq_off.ring_entries = offsetof(struct io2_shared, cq_entries);
	p->cq_off.overflow = offsetof(struct io2_shared, cq_overflow);
	p->cq_off.cqes = l->cqes;
	p->cq_off.flags = offsetof(struct io2_shared, cq_flags);
	p->features = IO2_FEATURES;
}
