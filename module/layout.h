/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments of SETUP and the layout of a ring's memory. */
#ifndef IO2_LAYOUT_H
#define IO2_LAYOUT_H

#include <linux/types.h>

#include "../uapi/linux/iouring2.h"

/**
 * struct io2_layout - layout of a ring's memory, in bytes
 * @sq_array: offset of the SQ index array
 * @cqes: offset of the CQ entries
 * @rings: size of the first region: everything, or everything but the CQ
 *	entries
 * @own_cqes: size of the CQ entries, if they have a region of their own
 * @sqes: size of the SQEs' memory
 *
 * Lifetime: on the stack of the caller. Nothing else has access, so no lock
 * is needed.
 */
struct io2_layout {
	size_t	sq_array;
	size_t	cqes;
	size_t	rings;
	size_t	own_cqes;
	size_t	sqes;
};

/* Return: log2 of the size of an SQ entry in units of 64 bytes; @flags: IOURING2_SETUP_* */
static inline unsigned int io2_sqe_shift(u32 flags)
{
	return !!(flags & IOURING2_SETUP_SQE128);
}

/* Return: log2 of the size of a CQ entry in units of 16 bytes; @flags: IOURING2_SETUP_* */
static inline unsigned int io2_cqe_shift(u32 flags)
{
	return !!(flags & IOURING2_SETUP_CQE32);
}

int io2_setup_sizes(struct iouring2_params *p, u32 entries);
int io2_setup_check(struct iouring2_setup *s, u32 by_default, u32 max);
void io2_layout_make(struct io2_layout *l, const struct iouring2_params *p);
void io2_layout_tell(struct iouring2_params *p, const struct io2_layout *l);

#endif
