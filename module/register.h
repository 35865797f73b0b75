/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IO2_REGISTER_H
#define IO2_REGISTER_H

#include "ring.h"

int io2_register(struct io2_ring *ring, const struct iouring2_register *arg);
bool io2_register_supported(unsigned int opcode);

#endif
