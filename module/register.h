/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IO2_REGISTER_H
#define IO2_REGISTER_H

#include "ring.h"

long io2_register(struct io2_ring *ring, unsigned int size, void __user *uarg);
bool io2_register_supported(unsigned int opcode);

#endif
