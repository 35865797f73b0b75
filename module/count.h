/* SPDX-License-Identifier: GPL-2.0-only */
/* Timeouts that wait for a number of completions. */
#ifndef IO2_COUNT_H
#define IO2_COUNT_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/types.h>

struct io2_req;
struct io2_ring;

/**
 * struct io2_timer - a request that waits for a time, and maybe for completions
 * @timer: its callback runs in interrupt context
 * @node: in ring->counted, if it waits for completions; under inflight_lock
 * @req: the request; constant after prep
 * @target: the value of ring->cq_events at which it ends; under inflight_lock
 *
 * Lifetime: part of the arguments of the opcode.
 */
struct io2_timer {
	struct hrtimer		timer;
	struct list_head	node;
	struct io2_req		*req;
	u32			target;
};

void io2_counted_add(struct io2_timer *t, u32 count);
void io2_counted_del(struct io2_timer *t);
void io2_counted_expire(struct io2_ring *ring);

#endif
