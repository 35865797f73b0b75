/* SPDX-License-Identifier: GPL-2.0-only */
/* The completion queue and its backlog. */
#ifndef IO2_CQ_H
#define IO2_CQ_H

#include "eventfd.h"
#include "req.h"
#include "ring.h"
#include "rings.h"

/* flags that need more than writing the CQE */
#define REQ_F_CQ_SLOW	(REQ_F_CQE_SKIP | REQ_F_TIMEOUT | REQ_F_ENDS_WAIT)

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

/**
 * io2_cq_room_known() - free CQ entries, without reading the application's head
 * @ring: the ring
 *
 * Context: the lock that guards the CQ is held.
 * Return: the number of free entries, or a lower bound.
 */
static __always_inline u32 io2_cq_room_known(const struct io2_ring *ring)
{
	u32 used = ring->cq_fill - ring->cq_head_seen;

	return used < ring->cq_entries ? ring->cq_entries - used : 0;
}

/* res and flags are adjacent in both structs, and are copied as one word */
static_assert(offsetof(struct iouring2_cqe, flags) ==
	      offsetof(struct iouring2_cqe, res) + sizeof(u32));
static_assert(offsetof(struct io2_req, cqe_flags) ==
	      offsetof(struct io2_req, res) + sizeof(u32));

/**
 * io2_cq_copy() - write the CQE of a request, or the first 16 bytes of it
 * @cqe: a free entry of the CQ
 * @req: the request, which has its result
 *
 * Context: the lock that guards the CQ is held.
 */
static __always_inline void io2_cq_copy(struct iouring2_cqe *cqe,
					const struct io2_req *req)
{
	WRITE_ONCE(cqe->user_data, req->user_data);
	WRITE_ONCE(*(u64 *)&cqe->res, *(const u64 *)&req->res);
}

/**
 * io2_cq_put() - write the CQE of a request that ends in its submission
 * @ring: a ring that defers to its issuer
 * @req: the request, which has its result and no resources
 *
 * The caller counts these requests, and calls io2_cq_put_done() before the number
 * of completions matters.
 *
 * Context: uring_lock held.
 * Return: false if the request needs more than that, or has to wait.
 */
static __always_inline bool io2_cq_put(struct io2_ring *ring,
				       const struct io2_req *req)
{
	u32 fill = ring->cq_fill;

	lockdep_assert_held(&ring->uring_lock);
	if (unlikely((req->flags & (REQ_F_CQ_SLOW | REQ_F_BIG_CQE)) ||
		     ring->nr_backlog || ring->cqe_shift ||
		     !io2_cq_room_known(ring)))
		return false;
	io2_cq_copy(&ring->cqes[fill & (ring->cq_entries - 1)], req);
	WRITE_ONCE(ring->cq_fill, fill + 1);
	return true;
}

void io2_cq_init(struct io2_ring *ring);
void io2_cq_put_done(struct io2_ring *ring, u32 nr);
u32 io2_cq_post(struct io2_ring *ring, struct io2_req_list *done,
		struct io2_req_list *start);
u32 io2_cq_post_owned(struct io2_ring *ring, struct io2_req_list *done,
		      struct io2_req_list *start, enum io2_tell why);
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
 * Context: any task context; uring_lock held if the ring defers to its issuer.
 */
static inline void io2_cq_flush(struct io2_ring *ring)
{
	if (READ_ONCE(ring->nr_backlog))
		io2_cq_flush_backlog(ring);
}

struct io2_cq_room io2_cq_room(struct io2_ring *ring);
bool io2_cq_drain_add(struct io2_req *req);
void io2_cq_drain_take(struct io2_ring *ring, struct list_head *list);
void io2_cq_drain_return(struct io2_ring *ring, struct list_head *list,
			 struct io2_req_list *start);
void io2_cq_discard(struct io2_ring *ring);
bool io2_cq_all_done(struct io2_ring *ring);

#endif
