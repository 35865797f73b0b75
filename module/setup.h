/* SPDX-License-Identifier: GPL-2.0-only */
/* SETUP: building a ring. */
#ifndef IO2_SETUP_H
#define IO2_SETUP_H

#include <linux/types.h>

/* what SETUP accepts and which features it reports; QUERY returns the same */
#define IO2_SETUP_FLAGS	(IOURING2_SETUP_CQSIZE | IOURING2_SETUP_CLAMP | \
			 IOURING2_SETUP_R_DISABLED | \
			 IOURING2_SETUP_SUBMIT_ALL | \
			 IOURING2_SETUP_COOP_TASKRUN | \
			 IOURING2_SETUP_CQE32 | \
			 IOURING2_SETUP_NO_SQARRAY | \
			 IOURING2_SETUP_CQE_MIXED | \
			 IOURING2_SETUP_SQ_REWIND)

#define IO2_RING_FLAGS	IOURING2_RING_SUBMIT_BACKLOGGED

#define IO2_FEATURES	(IOURING2_FEAT_SINGLE_MMAP | IOURING2_FEAT_NODROP | \
			 IOURING2_FEAT_SUBMIT_STABLE | \
			 IOURING2_FEAT_RW_CUR_POS | \
			 IOURING2_FEAT_CUR_PERSONALITY | \
			 IOURING2_FEAT_FAST_POLL | IOURING2_FEAT_POLL_32BITS | \
			 IOURING2_FEAT_EXT_ARG | IOURING2_FEAT_CQE_SKIP | \
			 IOURING2_FEAT_MIN_TIMEOUT | IOURING2_FEAT_NO_IOWAIT)

extern unsigned int io2_inflight_default;
extern unsigned int io2_inflight_max;

long io2_setup(unsigned int size, void __user *uarg);

#endif
