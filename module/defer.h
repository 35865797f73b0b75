/* SPDX-License-Identifier: GPL-2.0-only */
/* The deferred list: hands requests from any context to task context. */
#ifndef IO2_DEFER_H
#define IO2_DEFER_H

#include "ring.h"

struct io2_req;
struct work_struct;
struct delayed_work;

/**
 * io2_defer_pending() - is the deferred list non-empty?
 * @ring: the ring
 *
 * Context: any; without deferred_lock the answer is only a hint.
 * Return: true if it is.
 */
static inline bool io2_defer_pending(const struct io2_ring *ring)
{
	return READ_ONCE(ring->deferred.first);
}

int io2_defer_module_init(void);
void io2_defer_module_exit(void);
void io2_defer(struct io2_req *req);
void io2_defer_lazy(struct io2_req *req);
void io2_defer_all(struct io2_ring *ring, struct io2_req_list *list, u32 lazy);
void io2_defer_issuer_left(struct io2_ring *ring);
void io2_defer_take(struct io2_ring *ring, struct io2_req_list *list);
void io2_defer_update_flags(struct io2_ring *ring);
void io2_defer_resized(struct io2_ring *ring);
void io2_defer_back(struct io2_ring *ring, struct io2_req_list *list);
void io2_defer_to_wq(struct io2_req *req);
void io2_defer_close(struct io2_req *req);
void io2_defer_closed(struct io2_ring *ring);
void io2_defer_detach(struct work_struct *work);
void io2_defer_detach_delayed(struct delayed_work *work, unsigned long delay);
void io2_defer_detach_again(struct delayed_work *work, unsigned long delay);
void io2_defer_module_put(void);
void io2_defer_handover(struct io2_ring *ring);
void io2_defer_waiter(struct io2_ring *ring, u32 nr);
void io2_defer_waiter_left(struct io2_ring *ring);
void io2_defer_quiesce(struct io2_ring *ring);
void io2_queue_notify(struct io2_ring *ring);
void io2_queue_reap(struct io2_ring *ring);

#endif
