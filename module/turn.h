/* SPDX-License-Identifier: GPL-2.0-only */
/* Parked requests: a task of the submitting process does them in ENTER. */
#ifndef IO2_TURN_H
#define IO2_TURN_H

#include <linux/ktime.h>

#include "ring.h"

bool io2_parked_is_own(struct io2_ring *ring);
bool io2_turn_run(struct io2_ring *ring, ktime_t expires);

/**
 * io2_turn() - do the requests that are parked for current's process
 * @ring: the ring
 * @expires: CLOCK_MONOTONIC time after which no request may block any more
 *
 * Context: task in ENTER, may sleep; no lock of the ring held.
 * Return: false if a signal or @expires ended the turn early.
 */
static inline bool io2_turn(struct io2_ring *ring, ktime_t expires)
{
	return likely(!READ_ONCE(ring->nr_parked)) ||
	       io2_turn_run(ring, expires);
}

#endif
