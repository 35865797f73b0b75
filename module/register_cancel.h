/* SPDX-License-Identifier: GPL-2.0-only */
/* The register opcode SYNC_CANCEL. */
#ifndef IO2_REGISTER_CANCEL_H
#define IO2_REGISTER_CANCEL_H

#include "ring.h"

int io2_register_sync_cancel(struct io2_ring *ring, void __user *uarg, u32 nr);

#endif
