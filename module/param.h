/* SPDX-License-Identifier: GPL-2.0-only */
/* MEM_REGION: memory for parameters, such as the arguments of waits. */
#ifndef IO2_PARAM_H
#define IO2_PARAM_H

#include "ring.h"
#include "shm.h"

/* where an application maps a region that the kernel has allocated */
#define IO2_OFF_PARAM_REGION	0x20000000ULL

int io2_register_mem_region(struct io2_ring *ring, void __user *uarg, u32 nr);
struct io2_shm *io2_param_shm(const struct io2_ring *ring);
int io2_param_wait_arg(const struct io2_ring *ring, u64 off,
		       struct iouring2_reg_wait *arg);

#endif
