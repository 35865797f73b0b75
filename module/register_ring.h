/* SPDX-License-Identifier: GPL-2.0-only */
/* Register opcodes that change how the ring as a whole works. */
#ifndef IO2_REGISTER_RING_H
#define IO2_REGISTER_RING_H

#include "ring.h"

int io2_register_enable(struct io2_ring *ring, void __user *uarg, u32 nr);
int io2_register_clock(struct io2_ring *ring, void __user *uarg, u32 nr);

#endif
