/* SPDX-License-Identifier: GPL-2.0 */
/* Submission queue: reading what the application wrote. */
#ifndef IO2_SQ_H
#define IO2_SQ_H

#include "ring.h"

u32 io2_sq_pending(const struct io2_ring *ring);
bool io2_sq_next(struct io2_ring *ring, struct iouring2_sqe *copy);
void io2_sq_commit(struct io2_ring *ring);
bool io2_sq_full(const struct io2_ring *ring);

#endif
