/* SPDX-License-Identifier: GPL-2.0-only */
/* Timeouts that wait for a number of completions. */
#ifndef IO2_COUNT_H
#define IO2_COUNT_H

#include <linux/types.h>

struct io2_req;
struct io2_ring;

void io2_counted_add(struct io2_req *req, u32 count);
void io2_counted_del(struct io2_req *req);
void io2_counted_expire(struct io2_ring *ring);

#endif
