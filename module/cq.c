// SPDX-License-Identifier: GPL-2.0-only
/*
 * The completion queue.
 *
 * A completed request is itself the storage of its CQE (I1). If the CQ ring has
 * no room, or older completions are waiting already, the request is added to
 * the backlog, in order (I2). Its CQE is written when there is room: before any
 * newer one, and at every entry into the kernel (I3).
 *
 * Barriers shared with the application: the kernel reads CQ head with acquire
 * before it overwrites an entry (pairs with the application's release store of
 * the head after reading). It stores CQ tail with release after writing the
 * entries (pairs with the application's acquire load).
 */
#include <linux/poll.h>

#include "compat/compat.h"
#include "count.h"
#include "cq.h"
#include "debug/trace.h"
#include "defer.h"
#include "eventfd.h"
#include "hash.h"
#include "reqmem.h"
#include "ring.h"

static void cq_assert_held(const struct io2_ring *ring)
{
	if (io2_ring_defers(ring))
		lockdep_assert_held(&ring->uring_lock);
	else
		lockdep_assert_held(&ring->cq_lock);
}

static void cq_assert(const struct io2_ring *ring)
{
	cq_assert_held(ring);
	io2_assert(io2_ring_may_post(ring));
}

/* Takes the lock that guards the CQ. The caller holds it if it is uring_lock. */
static void cq_begin(struct io2_ring *ring) __acquires(&ring->cq_lock)
{
	if (io2_ring_defers(ring)) {
		lockdep_assert_held(&ring->uring_lock);
		__acquire(&ring->cq_lock);
		return;
	}
	spin_lock(&ring->cq_lock);
}

static void cq_end(struct io2_ring *ring) __releases(&ring->cq_lock)
{
	if (io2_ring_defers(ring)) {
		__release(&ring->cq_lock);
		return;
	}
	spin_unlock(&ring->cq_lock);
}

/*
 * I10: the application writes the head. An invalid one makes the ring look
 * full, or makes the application lose entries of its own, and has no other
 * effect.
 */
static u32 cq_look_for_room(struct io2_ring *ring)
{
	/* acquire: the application has read the entries that we overwrite next */
	ring->cq_head_seen = smp_load_acquire(&ring->shared->cq_head);
	return io2_cq_room_known(ring);
}

/* Return: the number of free entries, or a lower bound; 0 only if there are none. */
static __always_inline u32 cq_room(struct io2_ring *ring)
{
	u32 room = io2_cq_room_known(ring);

	return likely(room) ? room : cq_look_for_room(ring);
}

static __always_inline struct iouring2_cqe *
cq_entry(const struct io2_ring *ring, u32 pos, unsigned int shift)
{
	return &ring->cqes[(pos & (ring->cq_entries - 1)) << shift];
}

/* The second half of an entry of 32 bytes is 0 unless the request has set it. */
static __always_inline void cq_copy_big(struct iouring2_cqe *cqe, const u64 *big)
{
	WRITE_ONCE(cqe->big_cqe[0], big ? big[0] : 0);
	WRITE_ONCE(cqe->big_cqe[1], big ? big[1] : 0);
}

static __always_inline const u64 *cq_big(const struct io2_req *req)
{
	return req->flags & REQ_F_BIG_CQE ? req->big_cqe : NULL;
}

static __always_inline void cq_copy(struct iouring2_cqe *cqe,
				    const struct io2_req *req,
				    unsigned int shift)
{
	io2_cq_copy(cqe, req);
	if (shift)
		cq_copy_big(cqe, cq_big(req));
}

/*
 * Entries are reserved, written and committed under one hold of the lock that
 * guards the CQ: cq_fill counts the reserved ones, cq_tail those that are
 * committed.
 */
static __always_inline struct iouring2_cqe *cq_take(struct io2_ring *ring,
						    u32 nr)
{
	struct iouring2_cqe *cqe = cq_entry(ring, ring->cq_fill,
					    ring->cqe_shift);

	WRITE_ONCE(ring->cq_fill, ring->cq_fill + nr);
	return cqe;
}

static void cq_fill_entry(struct iouring2_cqe *cqe, u64 user_data, s32 res,
			  u32 flags)
{
	WRITE_ONCE(cqe->user_data, user_data);
	WRITE_ONCE(cqe->res, res);
	WRITE_ONCE(cqe->flags, flags);
}

/*
 * Reserves two entries of 16 bytes that are next to each other. The last entry
 * of the ring has no such neighbour. It is skipped, and is skipped even if there
 * is no room for the two: a ring of two entries would never have room for three.
 *
 * Return: the first of them, or NULL.
 */
static struct iouring2_cqe *cq_reserve_pair(struct io2_ring *ring)
{
	u32 last = ring->cq_entries - 1;

	if ((ring->cq_fill & last) == last) {
		if (!cq_room(ring))
			return NULL;
		cq_fill_entry(cq_take(ring, 1), 0, 0, IOURING2_CQE_F_SKIP);
	}
	if (io2_cq_room_known(ring) < 2 && cq_look_for_room(ring) < 2)
		return NULL;
	return cq_take(ring, 2);
}

/* Return: the reserved entry, or NULL if there is no room. */
static struct iouring2_cqe *cq_reserve(struct io2_ring *ring, bool big)
{
	if (big && !ring->cqe_shift)
		return cq_reserve_pair(ring);
	return cq_room(ring) ? cq_take(ring, 1) : NULL;
}

static noinline bool cq_write_big(struct io2_ring *ring, u64 user_data, s32 res,
				  u32 flags, const u64 *big)
{
	struct iouring2_cqe *cqe = cq_reserve(ring, big);

	if (!cqe)
		return false;
	cq_fill_entry(cqe, user_data, res, flags);
	cq_copy_big(cqe, big);
	return true;
}

/*
 * Writes a completion: of 32 bytes if @big is not NULL, or if all have 32.
 *
 * Return: false if there is no room for it.
 */
static bool cq_write(struct io2_ring *ring, u64 user_data, s32 res, u32 flags,
		     const u64 *big)
{
	if (unlikely(big || ring->cqe_shift))
		return cq_write_big(ring, user_data, res, flags, big);
	if (!cq_room(ring))
		return false;
	cq_fill_entry(cq_take(ring, 1), user_data, res, flags);
	return true;
}

static bool cq_write_req(struct io2_ring *ring, const struct io2_req *req)
{
	return cq_write(ring, req->user_data, req->res, req->cqe_flags,
			cq_big(req));
}

/* Publishes the entries that were written since the last commit. */
static void cq_commit(struct io2_ring *ring)
{
	u32 fill = ring->cq_fill;

	if (ring->cq_tail != fill) {
		/* release: entries are written before the tail that covers them */
		smp_store_release(&ring->shared->cq_tail, fill);
		/* release: whoever is told of an entry also finds it */
		smp_store_release(&ring->cq_tail, fill);
	}
	if (ring->wait_ends == ring->wait_ends_fill)
		return;
	/* release: a waiter that sees this finds the CQE that ended its wait */
	smp_store_release(&ring->wait_ends, ring->wait_ends_fill);
}

/*
 * I4: OVERFLOW is set exactly while there is a backlog. TASKRUN is set while
 * requests are parked.
 */
static void cq_update_flag(struct io2_ring *ring)
{
	u32 flags;

	if (likely(!(ring->nr_backlog | READ_ONCE(ring->nr_parked) |
		     READ_ONCE(ring->sq_flags))))
		return;
	if (io2_ring_defers(ring)) {
		io2_defer_update_flags(ring);
		return;
	}
	flags = ring->nr_backlog ? IOURING2_SQ_CQ_OVERFLOW : 0;
	if (READ_ONCE(ring->nr_parked))
		flags |= IOURING2_SQ_TASKRUN;
	if (ring->sq_flags == flags)
		return;
	ring->sq_flags = flags;
	WRITE_ONCE(ring->shared->sq_flags, flags);
}

static void cq_backlog_add(struct io2_ring *ring, struct io2_req *req)
{
	io2_list_add(&ring->backlog, req);
	WRITE_ONCE(ring->nr_backlog, ring->nr_backlog + 1);
	WRITE_ONCE(ring->backlog_total, ring->backlog_total + 1);
	if (ring->nr_backlog > ring->backlog_max)
		WRITE_ONCE(ring->backlog_max, ring->nr_backlog);
	trace_iouring2_backlog_add(req, ring->nr_backlog);
}

/* Moves entries that fit, oldest first, to @retired. Return: their number. */
static u32 cq_backlog_move(struct io2_ring *ring, struct io2_req_list *retired)
{
	struct io2_req *req;
	u32 nr = 0;

	while (ring->nr_backlog && cq_write_req(ring, ring->backlog.first)) {
		req = io2_list_pop(&ring->backlog);
		io2_list_add(retired, req);
		WRITE_ONCE(ring->nr_backlog, ring->nr_backlog - 1);
		nr++;
	}
	if (nr)
		trace_iouring2_backlog_flush(ring, nr, ring->nr_backlog);
	return nr;
}

/*
 * The head of the drain queue may start once all requests accepted before it
 * have completed. All later requests wait behind it, so none of these is
 * included in ring->completed.
 */
static noinline void cq_start_drained(struct io2_ring *ring,
				      struct io2_req_list *start)
{
	while (!list_empty(&ring->drain_list)) {
		struct io2_req *req = list_first_entry(&ring->drain_list,
						       struct io2_req, node);

		if ((req->flags & REQ_F_DRAIN) &&
		    (u32)ring->completed != req->seq)
			break;
		list_del(&req->node);
		io2_list_add(start, req);
	}
}

/* In entries of 16 bytes, a completion of 32 takes two. */
static __always_inline bool cq_is_slow(const struct io2_req *req,
				       unsigned int shift)
{
	return req->flags & (shift ? REQ_F_CQ_SLOW :
				     REQ_F_CQ_SLOW | REQ_F_BIG_CQE);
}

/*
 * Posts one final completion. Return: true if @req is retired, false if it is
 * in the backlog.
 */
static __always_inline bool cq_post_one(struct io2_ring *ring,
					struct io2_req *req)
{
	if (unlikely(req->flags & REQ_F_CQ_SLOW)) {
		if (req->flags & REQ_F_CQE_SKIP)
			return true;
		if (req->flags & REQ_F_ENDS_WAIT)
			ring->wait_ends_fill++;
	}
	if (!(req->flags & REQ_F_TIMEOUT))
		WRITE_ONCE(ring->cq_events, ring->cq_events + 1);
	if (likely(!ring->nr_backlog && cq_write_req(ring, req)))
		return true;
	cq_backlog_add(ring, req);
	return false;
}

/*
 * Posts up to @room completions, and stops before one that is slow. Return: the
 * first request that is left.
 */
static __always_inline struct io2_req *cq_post_run(struct io2_ring *ring,
						   struct io2_req *req,
						   struct io2_req **last,
						   u32 room, unsigned int shift)
{
	struct iouring2_cqe *cqes = ring->cqes;
	u32 mask = ring->cq_entries - 1;
	u32 fill = ring->cq_fill;

	for (; req && room; room--) {
		if (unlikely(cq_is_slow(req, shift)))
			break;
		cq_copy(&cqes[(fill++ & mask) << shift], req, shift);
		*last = req;
		req = req->next;
	}
	WRITE_ONCE(ring->cq_fill, fill);
	return req;
}

/*
 * Fast path: posts the oldest completions while there is room, no backlog and
 * none that is slow. Usually that posts all of @done, which stays as it is.
 * Otherwise cuts @done at the first request that was not posted and returns the
 * rest of the list in @rest.
 *
 * Return: the number of completions posted.
 */
static __always_inline u32 cq_post_fast(struct io2_ring *ring,
					struct io2_req_list *done,
					struct io2_req **rest,
					unsigned int shift)
{
	struct io2_req *req = done->first, *last = NULL;
	u32 nr = -ring->cq_fill;

	while (req && !ring->nr_backlog && !cq_is_slow(req, shift)) {
		u32 room = cq_room(ring);

		if (!room)
			break;
		req = cq_post_run(ring, req, &last, room, shift);
	}
	nr += ring->cq_fill;
	WRITE_ONCE(ring->cq_events, ring->cq_events + nr);
	WRITE_ONCE(ring->completed, ring->completed + nr);
	*rest = req;
	if (likely(!req))
		return nr;
	if (last)
		last->next = NULL;
	else
		done->first = NULL;
	done->last = last;
	return nr;
}

/*
 * Slow path: posts the backlog as far as it fits, and then the list @req one by
 * one. Requests that may be freed go to @retired.
 *
 * Return: the number of requests added to @retired.
 */
static noinline u32 cq_post_slow(struct io2_ring *ring, struct io2_req *req,
				 struct io2_req_list *retired)
{
	u32 nr = 0, nr_retired = 0;
	struct io2_req *next;

	if (ring->nr_backlog)
		nr_retired = cq_backlog_move(ring, retired);
	for (; req; req = next) {
		next = req->next;
		nr++;
		if (cq_post_one(ring, req)) {
			io2_list_add(retired, req);
			nr_retired++;
		}
	}
	WRITE_ONCE(ring->completed, ring->completed + nr);
	return nr_retired;
}

/* Under cq_lock, so that the events of a ring have the order of its CQEs. */
static noinline __cold void cq_trace(const struct io2_req *req)
{
	for (; req; req = req->next)
		trace_iouring2_complete(req, req->res, req->cqe_flags);
}

/* Posts a CQE that is not a request's last, if there is a free slot (I6). */
static bool cq_post_aux(struct io2_ring *ring, const struct io2_req *req,
			s32 res, u32 flags)
{
	if (ring->nr_backlog || !cq_write(ring, req->user_data, res, flags, NULL))
		return false;
	trace_iouring2_complete(req, res, flags);
	if (!(req->flags & REQ_F_TIMEOUT))
		WRITE_ONCE(ring->cq_events, ring->cq_events + 1);
	if (req->flags & REQ_F_ENDS_WAIT)
		ring->wait_ends_fill++;
	return true;
}

/*
 * Wakes tasks that wait in ENTER. Its barrier also serves the caller's checks
 * for other waiters.
 */
static void cq_wake_waiters(struct io2_ring *ring)
{
	/*
	 * Order posting before the check for waiters, here and in the
	 * caller. Sleepers and pollers look at the CQ after they have joined
	 * the queue; for timeouts see io2_counted_add().
	 */
	smp_mb();
	/* after the barrier above, which pairs with prepare_to_wait()'s */
	if (waitqueue_active(&ring->wait))
		__wake_up(&ring->wait, TASK_NORMAL, 0, IO2_WAKE_CQ);
}

static noinline void cq_wake_pollers(struct io2_ring *ring)
{
	__wake_up(&ring->pollers, TASK_NORMAL, 0,
		  poll_to_key(EPOLL_URING_WAKE | EPOLLIN | EPOLLRDNORM));
}

static __always_inline void cq_notify(struct io2_ring *ring, enum io2_tell why)
{
	cq_wake_waiters(ring);
	/* after the barrier in there, which pairs with io2_ring_poll()'s */
	if (waitqueue_active(&ring->pollers))
		cq_wake_pollers(ring);
	io2_eventfd_tell(ring, why);
	if (READ_ONCE(ring->nr_counted))
		io2_counted_expire(ring);
}

/**
 * io2_cq_notify() - notify waiters, pollers, the eventfd and timeouts of new CQEs
 * @ring: the ring
 *
 * Context: task context; inflight_lock not held.
 */
void io2_cq_notify(struct io2_ring *ring)
{
	io2_assert(io2_ring_may_post(ring));
	cq_notify(ring, IO2_TELL_LATER);
}

/*
 * The same for a context in which nothing may sleep and any lock may be held.
 * Only tasks that wait in ENTER are woken here. Pollers, the eventfd and timeouts
 * are notified by the workqueue.
 */
static void cq_notify_anywhere(struct io2_ring *ring)
{
	cq_wake_waiters(ring);
	/* after the barrier in there, which pairs with io2_ring_poll()'s */
	if (waitqueue_active(&ring->pollers) || READ_ONCE(ring->eventfd) ||
	    READ_ONCE(ring->nr_counted))
		io2_queue_notify(ring);
}

/**
 * io2_cq_update_flags() - update the SQ flags after parking or unparking
 * @ring: the ring
 *
 * cq_lock orders this with posting, so that the last update is the right one. A
 * ring that defers has deferred_lock for that.
 *
 * Context: task context; takes one of these locks.
 */
void io2_cq_update_flags(struct io2_ring *ring)
{
	if (io2_ring_defers(ring)) {
		io2_defer_update_flags(ring);
		return;
	}
	spin_lock(&ring->cq_lock);
	cq_assert(ring);
	cq_update_flag(ring);
	spin_unlock(&ring->cq_lock);
}

/*
 * Keeps posted requests for reuse by the submitter. More than max_cached of
 * them go to @many: the caller frees them all at once, because that is cheaper.
 */
static __always_inline void cq_retire_list(struct io2_ring *ring,
					   struct io2_req_list *list, u32 nr,
					   struct io2_req_list *many)
{
	lockdep_assert_held(&ring->cq_lock);
	io2_list_append(&ring->retired, list);
	ring->nr_retired += nr;
	if (ring->nr_retired > ring->max_cached) {
		io2_list_take(&ring->retired, many);
		ring->nr_retired = 0;
	}
}

/* The same for requests that leave the backlog. */
static void cq_retire_backlog(struct io2_ring *ring, struct io2_req_list *list,
			      u32 nr, struct io2_req_list *many)
{
	if (io2_ring_defers(ring))
		io2_req_recycle(ring, list, nr);
	else
		cq_retire_list(ring, list, nr, many);
}

/* The same for one request, in any context. */
static void cq_retire(struct io2_ring *ring, struct io2_req *req)
{
	lockdep_assert_held(&ring->cq_lock);
	if (ring->nr_retired < ring->max_cached) {
		io2_list_add(&ring->retired, req);
		ring->nr_retired++;
		return;
	}
	io2_req_free(req);
}

/*
 * May a spinlock be tried in an interrupt, or where this CPU may already hold
 * it? Without SMP a trylock always succeeds, and with PREEMPT_RT a spinlock
 * sleeps.
 */
static bool cq_can_try(void)
{
	return IS_ENABLED(CONFIG_SMP) && !IS_ENABLED(CONFIG_PREEMPT_RT);
}

/**
 * io2_cq_try_post() - try to post a final completion in any context
 * @req: owned by the caller, of a ring that may post; if this succeeds, not to
 *	be touched afterwards
 *
 * For callers that may not sleep and may hold any lock. It takes the ring's
 * locks only if they are free, and does not close a file. cq_lock is held
 * throughout, so that the ring cannot be freed before this function is done
 * with it. A ring that defers to its issuer always refuses.
 *
 * Context: any.
 * Return: true if it was posted.
 */
bool io2_cq_try_post(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool gone;

	if (io2_ring_defers(ring) || !cq_can_try() || !spin_trylock(&ring->cq_lock))
		return false;
	cq_assert(ring);
	/* requests behind a drain barrier must be started in task context */
	if (!list_empty(&ring->drain_list) ||
	    !spin_trylock(&ring->inflight_lock)) {
		spin_unlock(&ring->cq_lock);
		return false;
	}
	/* under inflight_lock, as cancellation compares hashed requests' files */
	gone = io2_req_release_atomic(req);
	if (gone)
		io2_hash_del(req);
	spin_unlock(&ring->inflight_lock);
	if (!gone) {
		spin_unlock(&ring->cq_lock);
		return false;
	}
	WRITE_ONCE(ring->completed, ring->completed + 1);
	trace_iouring2_complete(req, req->res, req->cqe_flags);
	if (cq_post_one(ring, req))
		cq_retire(ring, req);
	cq_commit(ring);
	cq_update_flag(ring);
	cq_notify_anywhere(ring);
	spin_unlock(&ring->cq_lock);
	return true;
}

/**
 * io2_cq_try_post_aux() - try to post a CQE that is not the last, in any context
 * @req: owned by the caller
 * @res: for the CQE
 * @flags: for the CQE
 *
 * Works as io2_cq_try_post() does.
 *
 * Context: any.
 * Return: true if it was posted.
 */
bool io2_cq_try_post_aux(struct io2_req *req, s32 res, u32 flags)
{
	struct io2_ring *ring = req->ring;
	bool posted;

	if (io2_ring_defers(ring) || !cq_can_try() || !spin_trylock(&ring->cq_lock))
		return false;
	cq_assert(ring);
	posted = cq_post_aux(ring, req, res, flags);
	if (posted) {
		cq_commit(ring);
		cq_notify_anywhere(ring);
	}
	spin_unlock(&ring->cq_lock);
	return posted;
}

/**
 * io2_cq_retired() - take the requests that are kept for reuse
 * @ring: the ring
 *
 * Context: task context; takes cq_lock.
 * Return: the first of them, linked by next, or NULL.
 */
struct io2_req *io2_cq_retired(struct io2_ring *ring)
{
	struct io2_req_list list;

	if (io2_list_empty(&ring->retired))
		return NULL;
	spin_lock(&ring->cq_lock);
	io2_list_take(&ring->retired, &list);
	ring->nr_retired = 0;
	spin_unlock(&ring->cq_lock);
	return list.first;
}

/**
 * io2_cq_init() - initialise the completion side of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_cq_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->cq_lock);
	io2_list_init(&ring->backlog);
	INIT_LIST_HEAD(&ring->drain_list);
	io2_list_init(&ring->retired);
	init_waitqueue_head(&ring->wait);
	init_waitqueue_head(&ring->pollers);
}

/*
 * Posts @done, under the lock that guards the CQ. Leaves the requests that may be
 * freed in @done. Return: their number.
 *
 * It is instantiated for each size of entry, so that entries of 16 bytes cost
 * nothing for the others: @shift is ring->cqe_shift.
 */
static __always_inline u32 cq_post_locked(struct io2_ring *ring,
					  struct io2_req_list *done,
					  struct io2_req_list *start, bool traced,
					  unsigned int shift)
{
	struct io2_req *rest;
	u32 nr_retired;

	cq_assert(ring);
	if (traced)
		cq_trace(done->first);
	nr_retired = cq_post_fast(ring, done, &rest, shift);
	if (unlikely(rest))
		nr_retired += cq_post_slow(ring, rest, done);
	cq_commit(ring);
	cq_update_flag(ring);
	if (unlikely(!list_empty(&ring->drain_list)))
		cq_start_drained(ring, start);
	return nr_retired;
}

/*
 * Posts @done. With @many, keeps the requests that may be freed for reuse, or
 * moves them to @many; otherwise leaves them in @done and returns their number.
 */
static __always_inline u32 cq_post(struct io2_ring *ring,
				   struct io2_req_list *done,
				   struct io2_req_list *start,
				   struct io2_req_list *many, bool traced,
				   unsigned int shift)
{
	u32 nr_retired;

	done->last->next = NULL;
	spin_lock(&ring->cq_lock);
	nr_retired = cq_post_locked(ring, done, start, traced, shift);
	if (many)
		cq_retire_list(ring, done, nr_retired, many);
	spin_unlock(&ring->cq_lock);
	cq_notify(ring, many ? IO2_TELL_LATER : IO2_TELL_INLINE);
	return nr_retired;
}

/* The same for a ring whose CQ uring_lock guards. */
static __always_inline u32 cq_post_owned(struct io2_ring *ring,
					 struct io2_req_list *done,
					 struct io2_req_list *start,
					 enum io2_tell why, bool traced,
					 unsigned int shift)
{
	u32 nr_retired;

	done->last->next = NULL;
	nr_retired = cq_post_locked(ring, done, start, traced, shift);
	cq_notify(ring, why);
	return nr_retired;
}

/* A function of its own, so that an event that is off costs only the no-operation. */
static noinline __cold u32 cq_post_traced(struct io2_ring *ring,
					  struct io2_req_list *done,
					  struct io2_req_list *start,
					  struct io2_req_list *many)
{
	return cq_post(ring, done, start, many, true, ring->cqe_shift);
}

/* For a ring with CQE32. */
static noinline u32 cq_post_32(struct io2_ring *ring, struct io2_req_list *done,
			       struct io2_req_list *start,
			       struct io2_req_list *many)
{
	return cq_post(ring, done, start, many, false, 1);
}

static noinline __cold u32 cq_post_owned_traced(struct io2_ring *ring,
						struct io2_req_list *done,
						struct io2_req_list *start,
						enum io2_tell why)
{
	return cq_post_owned(ring, done, start, why, true, ring->cqe_shift);
}

static noinline u32 cq_post_owned_32(struct io2_ring *ring,
				     struct io2_req_list *done,
				     struct io2_req_list *start,
				     enum io2_tell why)
{
	return cq_post_owned(ring, done, start, why, false, 1);
}

/**
 * io2_cq_post() - post final completions
 * @ring: the ring
 * @done: completed requests in order, at least one; the last one's next is set
 *	here; on return the list of requests that may be freed
 * @start: receives chains that leave the drain queue
 *
 * Allocates nothing and cannot fail (I1). For a ring that does not defer to its
 * issuer.
 *
 * Context: task context, no lock of the ring held other than uring_lock.
 * Return: the number of requests left in @done.
 */
u32 io2_cq_post(struct io2_ring *ring, struct io2_req_list *done,
		struct io2_req_list *start)
{
	if (trace_iouring2_complete_enabled())
		return cq_post_traced(ring, done, start, NULL);
	if (unlikely(ring->cqe_shift))
		return cq_post_32(ring, done, start, NULL);
	return cq_post(ring, done, start, NULL, false, 0);
}

/**
 * io2_cq_post_owned() - post final completions to a ring that defers to its issuer
 * @ring: the ring
 * @done: see io2_cq_post()
 * @start: see io2_cq_post()
 * @why: whether they have completed in the submission, for the eventfd
 *
 * Context: task context; uring_lock held.
 * Return: the number of requests left in @done.
 */
u32 io2_cq_post_owned(struct io2_ring *ring, struct io2_req_list *done,
		      struct io2_req_list *start, enum io2_tell why)
{
	if (trace_iouring2_complete_enabled())
		return cq_post_owned_traced(ring, done, start, why);
	if (unlikely(ring->cqe_shift))
		return cq_post_owned_32(ring, done, start, why);
	return cq_post_owned(ring, done, start, why, false, 0);
}

/**
 * io2_cq_put_done() - post the completions that io2_cq_put() has written
 * @ring: a ring that defers to its issuer
 * @nr: their number
 *
 * Context: task context; uring_lock held.
 */
void io2_cq_put_done(struct io2_ring *ring, u32 nr)
{
	cq_assert(ring);
	WRITE_ONCE(ring->cq_events, ring->cq_events + nr);
	WRITE_ONCE(ring->completed, ring->completed + nr);
	cq_commit(ring);
	cq_update_flag(ring);
	/* a barrier keeps what comes later from ending here */
	io2_assert(list_empty(&ring->drain_list));
	cq_notify(ring, IO2_TELL_INLINE);
}

/**
 * io2_cq_post_retire() - post final completions, and keep the requests for reuse
 * @ring: the ring
 * @done: completed requests in order, at least one; not to be used afterwards
 * @start: receives chains that leave the drain queue
 *
 * For contexts other than the submitter, which reuses the requests later, and for
 * a ring that does not defer to its issuer.
 *
 * Context: task context, no lock of the ring held other than uring_lock.
 */
void io2_cq_post_retire(struct io2_ring *ring, struct io2_req_list *done,
			struct io2_req_list *start)
{
	struct io2_req_list many = {};

	if (trace_iouring2_complete_enabled())
		cq_post_traced(ring, done, start, &many);
	else if (unlikely(ring->cqe_shift))
		cq_post_32(ring, done, start, &many);
	else
		cq_post(ring, done, start, &many, false, 0);
	if (unlikely(many.first))
		io2_req_list_free(many.first);
}

/**
 * io2_cq_post_aux() - post a CQE that is not a request's last (I6)
 * @req: the request
 * @res: for the CQE
 * @flags: for the CQE
 *
 * Context: task context, no lock of the ring held other than uring_lock, which
 * must be held if the ring defers to its issuer.
 * Return: false if there is no free slot. Nothing was posted then, and the
 * multishot request must end with its final CQE.
 */
bool io2_cq_post_aux(struct io2_req *req, s32 res, u32 flags)
{
	struct io2_req_list retired = {}, many = {};
	struct io2_ring *ring = req->ring;
	bool posted;
	u32 nr;

	cq_begin(ring);
	cq_assert(ring);
	nr = cq_backlog_move(ring, &retired);
	posted = cq_post_aux(ring, req, res, flags);
	cq_commit(ring);
	cq_update_flag(ring);
	cq_retire_backlog(ring, &retired, nr, &many);
	cq_end(ring);
	io2_req_list_free(many.first);
	io2_cq_notify(ring);
	return posted;
}

/**
 * io2_cq_flush_backlog() - move as much of the backlog into the CQ as fits (I3)
 * @ring: the ring
 *
 * Context: any task context; uring_lock held if the ring defers to its issuer.
 */
void io2_cq_flush_backlog(struct io2_ring *ring)
{
	struct io2_req_list retired = {}, many = {};
	u32 nr;

	cq_begin(ring);
	cq_assert(ring);
	nr = cq_backlog_move(ring, &retired);
	cq_commit(ring);
	cq_update_flag(ring);
	cq_retire_backlog(ring, &retired, nr, &many);
	cq_end(ring);
	if (!nr)
		return;
	io2_req_list_free(many.first);
	io2_cq_notify(ring);
}

/**
 * io2_cq_room() - flush the backlog and say what a submission may do (I4, I5)
 * @ring: the ring
 *
 * Context: uring_lock held.
 * Return: the remaining backlog and the number of requests that may be
 * accepted.
 */
struct io2_cq_room io2_cq_room(struct io2_ring *ring)
{
	struct io2_cq_room room;
	u64 held;

	lockdep_assert_held(&ring->uring_lock);
	io2_cq_flush(ring);
	cq_begin(ring);
	room.backlog = ring->nr_backlog;
	ring->completed_snapshot = ring->completed - ring->nr_backlog;
	held = ring->accepted - ring->completed_snapshot;
	cq_end(ring);
	room.budget = held < ring->max_inflight ? ring->max_inflight - held : 0;
	return room;
}

/**
 * io2_cq_drain_add() - have a chain wait behind a drain barrier, if it must
 * @req: its head, tracked; not to be touched afterwards if it waits
 *
 * Context: task context; uring_lock held.
 * Return: false if the chain may start now.
 */
bool io2_cq_drain_add(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool wait;

	lockdep_assert_held(&ring->uring_lock);
	cq_begin(ring);
	wait = !list_empty(&ring->drain_list) ||
	       ((req->flags & REQ_F_DRAIN) &&
		(u32)ring->completed != req->seq);
	if (wait) {
		trace_iouring2_drain(req);
		list_add_tail(&req->node, &ring->drain_list);
	}
	cq_end(ring);
	return wait;
}

/**
 * io2_cq_drain_take() - take the requests that wait behind a drain barrier
 * @ring: the ring
 * @list: receives the heads of chains, in order
 *
 * Context: task context; uring_lock held, unless the ring is DYING and does not
 * defer to its issuer.
 */
void io2_cq_drain_take(struct io2_ring *ring, struct list_head *list)
{
	cq_begin(ring);
	list_splice_tail_init(&ring->drain_list, list);
	cq_end(ring);
}

/**
 * io2_cq_drain_return() - put back what io2_cq_drain_take() took
 * @ring: the ring
 * @list: the heads of chains, in order
 * @start: receives chains that may start by now
 *
 * Context: task context; uring_lock held since io2_cq_drain_take().
 */
void io2_cq_drain_return(struct io2_ring *ring, struct list_head *list,
			 struct io2_req_list *start)
{
	lockdep_assert_held(&ring->uring_lock);
	cq_begin(ring);
	list_splice_init(list, &ring->drain_list);
	cq_start_drained(ring, start);
	cq_end(ring);
}

/**
 * io2_cq_discard() - drop the backlog of a ring that is being closed
 * @ring: a ring whose requests have all completed
 *
 * Context: the ring's last reference is gone.
 */
void io2_cq_discard(struct io2_ring *ring)
{
	struct io2_req_list retired;

	io2_assert(ring->state == IO2_DYING);
	spin_lock(&ring->cq_lock);
	io2_list_take(&ring->backlog, &retired);
	ring->nr_backlog = 0;
	spin_unlock(&ring->cq_lock);
	io2_req_list_free(retired.first);
}

/**
 * io2_cq_all_done() - has every accepted request completed?
 * @ring: a DYING ring, which accepts no more requests
 *
 * Context: task context; takes cq_lock.
 * Return: true if all have.
 */
bool io2_cq_all_done(struct io2_ring *ring)
{
	bool done;

	spin_lock(&ring->cq_lock);
	done = READ_ONCE(ring->completed) == ring->accepted;
	spin_unlock(&ring->cq_lock);
	return done;
}
