/* SPDX-License-Identifier: GPL-2.0-only */
/* The REGISTER opcode QUERY: what the module supports. */
#ifndef IO2_QUERY_H
#define IO2_QUERY_H

#include "ring.h"

int io2_register_query(struct io2_ring *ring, void __user *uarg, u32 nr);

#endif
