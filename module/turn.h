/* SPDX-License-Identifier: GPL-2.0-only */
/* What only a task of the submitting process may do, and does in ENTER. */
#ifndef IO2_TURN_H
#define IO2_TURN_H

#include <linux/ktime.h>

#include "ring.h"

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
