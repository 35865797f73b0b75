/* SPDX-License-Identifier: GPL-2.0-only */
/* RESIZE_RINGS: other rings for a ring that is in use. */
#ifndef IO2_RESIZE_H
#define IO2_RESIZE_H

#include "ring.h"

int io2_register_resize(struct io2_ring *ring, void __user *uarg, u32 nr);

#endif
