/* SPDX-License-Identifier: GPL-2.0-only */
/* Hand-over of requests from wake-ups and timers to task context. */
#ifndef IO2_DEFERRED_H
#define IO2_DEFERRED_H

#include "request.h"
#include "ring.h"

struct io2_batch;

/**
 * io2_deferred_pending() - is there something to run?
 * @ring: the ring
 *
 * Context: any; the answer is only a hint unless deferred_lock is held.
 * Return: whether there is.
 */
static inline bool io2_deferred_pending(const struct io2_ring *ring)
{
	return READ_ONCE(ring->deferred.first);
}

int io2_deferred_module_init(void);
void io2_deferred_module_exit(void);
void io2_deferred_init(struct io2_ring *ring);
void io2_defer(struct io2_req *req);
void io2_defer_back(struct io2_ring *ring, struct io2_req_list *list);
void io2_defer_elsewhere(struct io2_req *req);
void io2_defer_foreign(struct io2_req *req, bool last);
void io2_defer_close(struct io2_req *req);
void io2_defer_closed(struct io2_ring *ring);
void io2_deferred_detach(struct work_struct *work);
void io2_deferred_module_put(void);
void io2_deferred_run_batch(struct io2_batch *b);
void io2_deferred_run_all(struct io2_ring *ring, enum io2_ctx ctx);

/**
 * io2_deferred_run() - run what was deferred, if there is any
 * @ring: the ring
 * @ctx: who does
 *
 * Context: task context, may sleep; uring_lock not held.
 * Return: whether anything was run.
 */
static inline bool io2_deferred_run(struct io2_ring *ring, enum io2_ctx ctx)
{
	if (!io2_deferred_pending(ring))
		return false;
	io2_deferred_run_all(ring, ctx);
	return true;
}

void io2_deferred_handover(struct io2_ring *ring);
void io2_deferred_waiter(struct io2_ring *ring);
void io2_deferred_waiter_left(struct io2_ring *ring);
void io2_deferred_quiesce(struct io2_ring *ring);
void io2_queue_notify(struct io2_ring *ring);
void io2_queue_reap(struct io2_ring *ring);
void io2_queue_watch(struct io2_ring *ring);

#endif
