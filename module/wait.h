/* SPDX-License-Identifier: GPL-2.0-only */
/* ENTER, and poll of the ring. */
#ifndef IO2_WAIT_H
#define IO2_WAIT_H

#include <linux/poll.h>

#include "ring.h"

/* the flags that ENTER accepts */
#define IO2_ENTER_FLAGS	(IOURING2_ENTER_GETEVENTS | IOURING2_ENTER_EXT_ARG | \
			 IOURING2_ENTER_ABS_TIMER | \
			 IOURING2_ENTER_EXT_ARG_REG | IOURING2_ENTER_NO_IOWAIT)

int io2_enter(struct io2_ring *ring, u32 to_submit, u32 min_complete,
	      u32 flags, u64 uaddr, u32 argsz);
__poll_t io2_ring_poll(struct file *file, struct poll_table_struct *wait);

#endif
