/* SPDX-License-Identifier: GPL-2.0-only */
/* Register opcodes about the ring's workers. */
#ifndef IO2_REGISTER_WORKERS_H
#define IO2_REGISTER_WORKERS_H

#include "ring.h"

int io2_register_max_workers(struct io2_ring *ring, void __user *uarg, u32 nr);
int io2_register_workers_aff(struct io2_ring *ring, void __user *uarg, u32 nr);
int io2_unregister_workers_aff(struct io2_ring *ring, void __user *uarg,
			       u32 nr);

#endif
