/* SPDX-License-Identifier: GPL-2.0-only */
/* What only a task of the submitting process may do, and does in ENTER. */
#ifndef IO2_TURN_H
#define IO2_TURN_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>

#include "ring.h"

struct io2_batch;
struct io2_req;

/**
 * struct io2_breaker - ends an interruptible sleep that takes too long
 * @timer: fires at the end of the time, and then again and again
 * @task: who sleeps; NULL if that may take for ever: then there is no timer
 *
 * On the stack of @task, from io2_breaker_start() to io2_breaker_stop().
 */
struct io2_breaker {
	struct hrtimer		timer;
	struct task_struct	*task;
};

void io2_breaker_start(struct io2_breaker *br, ktime_t expires);
void io2_breaker_stop(struct io2_breaker *br);
void io2_park(struct io2_req *req, struct io2_batch *b,
	      void (*run)(struct io2_req *req, struct io2_batch *b));
bool io2_parked_is_own(struct io2_ring *ring);
bool io2_turn_run(struct io2_ring *ring, ktime_t expires);

/**
 * io2_turn() - do what is parked for current's process, if there is any
 * @ring: the ring
 * @expires: CLOCK_MONOTONIC; nothing of it blocks longer
 *
 * Context: task in ENTER, may sleep; no lock of the ring held.
 * Return: false if something is left, because a signal came, or the time.
 */
static inline bool io2_turn(struct io2_ring *ring, ktime_t expires)
{
	return likely(!READ_ONCE(ring->nr_parked)) ||
	       io2_turn_run(ring, expires);
}

#endif
