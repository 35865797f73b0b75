/* SPDX-License-Identifier: GPL-2.0-only */
/* Running deferred requests. */
#ifndef IO2_DEFERRED_H
#define IO2_DEFERRED_H

#include "defer.h"
#include "req.h"

void io2_deferred_init(struct io2_ring *ring);
void io2_defer_retry_in_wq(struct io2_req *req, bool last);
void io2_deferred_run_batch(struct io2_batch *b);
void io2_deferred_run_all(struct io2_ring *ring, enum io2_ctx ctx);
void io2_deferred_run_owned(struct io2_ring *ring, enum io2_ctx ctx);
bool io2_deferred_try_run(struct io2_ring *ring, enum io2_ctx ctx);
void io2_deferred_run_ending(struct io2_batch *b);

/**
 * io2_deferred_run() - run the deferred requests, if there are any
 * @ring: the ring
 * @ctx: the context of the caller
 *
 * Context: task context, may sleep; uring_lock not held.
 * Return: true if there were any.
 */
static inline bool io2_deferred_run(struct io2_ring *ring, enum io2_ctx ctx)
{
	if (!io2_defer_pending(ring))
		return false;
	io2_deferred_run_all(ring, ctx);
	return true;
}

#endif
