/* SPDX-License-Identifier: GPL-2.0-only */
/* The completion queue and its backlog. */
#ifndef IO2_CQ_H
#define IO2_CQ_H

#include "ring.h"
#include "rings.h"

/**
 * struct io2_cq_room - what a submission may do
 * @backlog: completions that do not fit into the CQ
 * @budget: requests that may be accepted before the cap is reached (I5)
 *
 * A snapshot that is returned by value.
 */
struct io2_cq_room {
	u32	backlog;
	u32	budget;
};

/**
 * io2_cq_head_ahead() - has the application reaped CQEs that @tail does not
 *	cover yet?
 * @ring: the ring
 * @tail: the kernel's CQ tail
 * @head: the CQ head, read after @tail
 *
 * It can, as cq_commit() writes the mapped tail first. Its head is not further
 * ahead then than the entries that have been written; any other is invalid.
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool io2_cq_head_ahead(const struct io2_ring *ring, u32 tail,
				     u32 head)
{
	/* the head comes from a tail, which comes from an older cq_fill */
	smp_rmb();
	return head - tail <= READ_ONCE(ring->cq_fill) - tail;
}

/**
 * io2_cq_ready() - number of CQEs that the application has not reaped
 * @ring: the ring
 *
 * Context: any.
 * Return: 0 .. cq_entries; with an invalid head the ring counts as full.
 */
static inline u32 io2_cq_ready(const struct io2_ring *ring)
{
	/* acquire: the mapped tail is not older; pairs with cq_commit() */
	u32 tail = smp_load_acquire(&ring->cq_tail);
	u32 head = io2_rings_cq_head(ring);
	u32 entries = READ_ONCE(ring->cq_entries);

	if (likely(tail - head <= entries))
		return tail - head;
	return io2_cq_head_ahead(ring, tail, head) ? 0 : entries;
}

void io2_cq_init(struct io2_ring *ring);
u32 io2_cq_post(struct io2_ring *ring, struct io2_req_list *done,
		struct io2_req_list *start);
void io2_cq_post_retire(struct io2_ring *ring, struct io2_req_list *done,
			struct io2_req_list *start);
bool io2_cq_try_post(struct io2_req *req);
bool io2_cq_try_post_aux(struct io2_req *req, s32 res, u32 flags);
struct io2_req *io2_cq_retired(struct io2_ring *ring);
void io2_cq_notify(struct io2_ring *ring);
void io2_cq_update_flags(struct io2_ring *ring);
bool io2_cq_post_aux(struct io2_req *req, s32 res, u32 flags);
void io2_cq_flush_backlog(struct io2_ring *ring);

/**
 * io2_cq_flush() - move as much of the backlog into the CQ as fits (I3)
 * @ring: the ring
 *
 * Context: any task context; takes cq_lock.
 */
static inline void io2_cq_flush(struct io2_ring *ring)
{
	if (READ_ONCE(ring->nr_backlog))
		io2_cq_flush_backlog(ring);
}

struct io2_cq_room io2_cq_room(struct io2_ring *ring);
void io2_cq_drain_take(struct io2_ring *ring, struct list_head *list);
void io2_cq_drain_return(struct io2_ring *ring, struct list_head *list,
			 struct io2_req_list *start);
void io2_cq_discard(struct io2_ring *ring);
bool io2_cq_all_done(struct io2_ring *ring);

#endif
