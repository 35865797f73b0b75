// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepting requests: from SQ entries to requests that run, wait behind a drain
 * barrier, or belong to a chain. One pass over all entries that an ENTER
 * submits. They share one batch, one plug of the block layer and one commit of
 * the SQ head.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/nospec.h>

#include "compat/compat.h"
#include "cq.h"
#include "debug/trace.h"
#include "deferred.h"
#include "hash.h"
#include "reqmem.h"
#include "request.h"
#include "sq.h"
#include "submit.h"
#include "submitter.h"

#define SUBMIT_ROUNDS	4096	/* runs of the deferred list at the end of a submission */

static __always_inline struct io2_req *req_alloc(struct io2_ring *ring)
{
	struct io2_req *req = ring->free_reqs;

	lockdep_assert_held(&ring->uring_lock);
	if (unlikely(!req)) {
		if (!io2_req_cache_fill(ring, io2_cq_retired(ring)))
			return NULL;
		req = ring->free_reqs;
	}
	ring->free_reqs = req->next;
	ring->nr_free--;
	req->res = 0;
	req->cqe_flags = 0;
	req->opcode = IOURING2_OP_NOP;
	req->armed = IO2_ARMED_NONE;
	req->retries = 0;
	req->pool_state = IO2_POOL_NONE;
	return req;
}

/**
 * struct submit_state - one ENTER's submission
 * @batch: collects its completions
 * @head: first request of the chain that is being built, or NULL
 * @last: last request of that chain
 * @nr: the most requests that it can submit
 * @sq_head: the place in the SQ behind the entries that it has read
 * @nr_halves: with SQE_MIXED, how many of these were the second halves of SQEs
 * @nr_put: requests that io2_cq_put() has taken since io2_cq_put_done()
 * @fast: no chain is being built and no drain is pending, so most requests can
 *	start at once
 * @getevents: on a ring that defers to its issuer, deferred requests run, too
 * @plug: plug of the block layer
 * @want_plug: start the plug with the first request that may gain from it
 * @plugged: the plug has been started
 *
 * Lifetime: on the submitter's stack. Nothing else has access, so no lock is
 * needed.
 */
struct submit_state {
	struct io2_batch	batch;
	struct io2_req		*head;
	struct io2_req		*last;
	struct blk_plug		plug;
	u32			nr;
	u32			sq_head;
	u32			nr_halves;
	u32			nr_put;
	bool			fast;
	bool			getevents;
	bool			want_plug;
	bool			plugged;
};

/* Only the submitter adds to the drain queue: once it is empty, it stays empty. */
static bool submit_is_fast(const struct io2_ring *ring)
{
	return likely(!ring->drain_next) && list_empty(&ring->drain_list);
}

static __always_inline void submit_init(struct submit_state *st,
					struct io2_ring *ring, u32 nr)
{
	io2_batch_init(&st->batch, ring, IO2_CTX_SUBMIT);
	st->head = NULL;
	st->fast = submit_is_fast(ring);
	st->nr = nr;
	st->nr_halves = 0;
	st->nr_put = 0;
	st->want_plug = nr > 2;
	st->plugged = false;
}

static void submit_plug(struct submit_state *st)
{
	st->want_plug = false;
	st->plugged = true;
	io2_start_plug(&st->plug, st->nr);
}

/* True for most SQEs: no flags, I/O priority or personality. */
static __always_inline bool sqe_is_fast(const struct iouring2_sqe *sqe)
{
	return !(sqe->flags | sqe->ioprio | sqe->personality);
}

/* Out of line, so that the event costs submit_one() only the no-operation. */
static noinline __cold void submit_trace(const struct io2_req *req,
					 const struct iouring2_sqe *sqe)
{
	trace_iouring2_submit(req, sqe);
}

/* Why an opcode does not accept these flags, some of which it does not. */
static int sqe_flags_error(unsigned int flags, const struct io2_op *op)
{
	if (flags & ~IO2_SQE_FLAGS_KNOWN)
		return -EINVAL;
	if (!op->prep || (flags & ~op->sqe_flags & IOURING2_SQE_BUFFER_SELECT))
		return -EOPNOTSUPP;
	return -EINVAL;
}

static int sqe_check(const struct io2_ring *ring,
		     const struct iouring2_sqe *sqe, const struct io2_op *op)
{
	if (op->sqe128 && !io2_ring_has_big_sqes(ring))
		return -EINVAL;
	if (unlikely(!op->prep || (sqe->flags & ~op->sqe_flags)))
		return sqe_flags_error(sqe->flags, op);
	if (sqe->personality || (sqe->ioprio && !op->ioprio))
		return -EINVAL;
	return 0;
}

/*
 * Is a field set that must be 0? For all opcodes, without a branch for each
 * field. The last words are 0 in most SQEs, so they are not masked at first.
 * sqe_check() looks at word 0, and word 4 is the user_data.
 */
static __always_inline bool sqe_sets_unused(const struct iouring2_sqe *sqe,
					    const struct iouring2_sqe *unused)
{
	const u64 *s = (const u64 *)sqe, *u = (const u64 *)unused;

	if (unlikely(s[5] | s[6] | s[7])) {
		/* do not keep them in registers just for this */
		OPTIMIZER_HIDE_VAR(s);
		if ((s[5] & u[5]) | (s[6] & u[6]) | (s[7] & u[7]))
			return true;
	}
	return (s[1] & u[1]) | (s[2] & u[2]) | (s[3] & u[3]);
}

/*
 * For an SQE that is fast (sqe_is_fast()), or has passed sqe_check(), and an
 * opcode that is supported.
 */
static __always_inline int req_prep(struct submit_state *st,
				    struct io2_req *req,
				    const struct iouring2_sqe *sqe,
				    const struct io2_op *op,
				    unsigned int opcode)
{
	req->opcode = opcode;
	/* a NOP needs none of this */
	if (op->has_unused) {
		if (op->plug && st->want_plug)
			submit_plug(st);
		if (unlikely(sqe_sets_unused(sqe, op->unused)))
			return -EINVAL;
	}
	return op->prep(req, sqe);
}

static noinline int req_prep_checked(struct submit_state *st,
				     struct io2_req *req,
				     const struct iouring2_sqe *sqe, int err)
{
	unsigned int opcode = sqe->opcode;
	const struct io2_op *op;
	int ret;

	trace_iouring2_submit(req, sqe);
	if (err)
		return err;
	if (opcode >= IO2_OP_LAST)
		return -EINVAL;
	opcode = array_index_nospec(opcode, IO2_OP_LAST);
	req->fd = sqe->fd;
	op = &io2_ops[opcode];
	ret = sqe_check(req->ring, sqe, op);
	return ret ? ret : req_prep(st, req, sqe, op, opcode);
}

/* Posts what has completed so far, and starts what may start. */
static void submit_post_all(struct submit_state *st)
{
	if (st->nr_put) {
		io2_cq_put_done(st->batch.ring, st->nr_put);
		st->nr_put = 0;
	}
	io2_batch_flush(&st->batch);
}

/*
 * Starts a request or chain, or queues it behind a drain barrier. The first
 * look at the drain queue needs no lock: only the submitter adds to it.
 */
static void submit_queue(struct submit_state *st, struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool barrier = req->flags & REQ_F_DRAIN;

	if (ring->drain_next)
		req->flags |= REQ_F_DRAIN;
	ring->drain_next = barrier;
	if (!(req->flags & REQ_F_DRAIN) &&
	    list_empty(&ring->drain_list)) {
		io2_req_start(req, &st->batch);
		return;
	}
	submit_post_all(st);
	io2_req_track(req);
	if (!io2_cq_drain_add(req))
		io2_req_start(req, &st->batch);
}

/* Ends the chain that is being built, if any, and starts it. */
static void submit_end_chain(struct submit_state *st)
{
	struct io2_req *head = st->head;

	if (!head)
		return;
	st->head = NULL;
	submit_queue(st, head);
}

/* The chain is tracked when one of its requests does not end in the submission. */
static void submit_chain_add(struct submit_state *st, struct io2_req *req)
{
	if (st->head) {
		st->last->link = req;
		/* a drain flag on any request applies to the whole chain */
		st->head->flags |= req->flags & REQ_F_DRAIN;
	} else {
		st->head = req;
	}
	st->last = req;
}

/* One request of a chain is invalid, so the whole chain is aborted. */
static void submit_fail_chain(struct submit_state *st, struct io2_req *req,
			      int err)
{
	req->flags |= REQ_F_ABORT;
	io2_req_set(req, err);
	if (st->head && !(st->head->flags & REQ_F_ABORT)) {
		st->head->flags |= REQ_F_ABORT;
		io2_req_set(st->head, -ECANCELED);
	}
}

/*
 * Completes a request that is not part of a chain and was never handed over. It
 * is not armed, as armed requests do not complete in the submission.
 */
static __always_inline void submit_done(struct submit_state *st,
					struct io2_req *req)
{
	if (req->file || req->sub || (req->flags & REQ_F_DATA))
		io2_req_complete_fast(req, &st->batch);
	else
		io2_batch_add_done(&st->batch, req);
}

/*
 * The same for a ring that defers to its issuer: the submission owns the CQ, and
 * writes the CQE at once, unless older completions are collected already.
 *
 * Return: @req if it can be used again, or NULL.
 */
static __always_inline struct io2_req *submit_done_deferring(struct submit_state *st,
							     struct io2_ring *ring,
							     struct io2_req *req)
{
	if (unlikely(req->sub || (req->flags & REQ_F_DATA) ||
		     st->batch.done.first || trace_iouring2_complete_enabled()) ||
	    !io2_req_put_file(req) || !io2_cq_put(ring, req)) {
		submit_done(st, req);
		return NULL;
	}
	st->nr_put++;
	return req;
}

/*
 * Fast path for most requests: no flags, no chain, no drain, no worker. Does
 * the same as submit_queue() without checking for these.
 *
 * Return: @req if it has ended and can be used again, or NULL.
 */
static __always_inline struct io2_req *submit_fast(struct submit_state *st,
						   struct io2_ring *ring,
						   struct io2_req *req,
						   const struct iouring2_sqe *sqe,
						   const struct io2_op *op, bool defers)
{
	enum io2_issue ret;
	int err;

	if (op->needs_file) {
		req->fd = sqe->fd;
		err = io2_req_get_file(req);
		if (unlikely(err)) {
			io2_req_set(req, err);
			submit_done(st, req);
			return NULL;
		}
	}
	ret = op->issue(req, IO2_NONBLOCK | IO2_CTX_SUBMIT << IO2_CTX_SHIFT);
	if (likely(ret == IO2_DONE)) {
		if (defers)
			return submit_done_deferring(st, ring, req);
		submit_done(st, req);
	} else if (ret == IO2_AGAIN && io2_req_go_async(req, &st->batch)) {
		io2_req_issue(req, &st->batch);
	}
	return NULL;
}

/*
 * Slow path for all other requests. @err is 0, or the reason not to start @req.
 *
 * Return: @err if the submission must stop here; otherwise 0.
 */
static noinline int submit_slow(struct submit_state *st,
				struct io2_req *req, int err)
{
	bool more = req->flags & REQ_F_LINKS;

	st->fast = false;
	if (err)
		submit_fail_chain(st, req, err);
	if (st->head || more) {
		submit_chain_add(st, req);
		if (more)
			return 0;
		submit_end_chain(st);
	} else {
		submit_queue(st, req);
	}
	st->fast = submit_is_fast(st->batch.ring);
	return err;
}

/* A chain that nothing delays: no barrier is pending, and it is none itself. */
static bool submit_may_chain(const struct submit_state *st,
			     const struct io2_ring *ring,
			     const struct iouring2_sqe *sqe)
{
	const struct io2_req *head = st->head;

	return (head || (sqe->flags & REQ_F_LINKS)) &&
	       !(sqe->flags & ~REQ_F_LINKS) && submit_is_fast(ring) &&
	       (!head || !(head->flags & (REQ_F_DRAIN | REQ_F_ABORT)));
}

/*
 * For SQEs of chains that have no other flags: the same as submit_slow(), without
 * checking for all else.
 *
 * Return: 0, or a negative errno if the submission must stop here.
 */
static noinline int submit_link(struct submit_state *st, struct io2_req *req,
				const struct iouring2_sqe *sqe)
{
	unsigned int opcode = sqe->opcode;
	const struct io2_op *op;
	struct io2_req *head;
	int ret;

	opcode = array_index_nospec(opcode, IO2_OP_LAST);
	op = io2_ops + opcode;
	if (unlikely(!op->prep))
		return submit_slow(st, req, req_prep_checked(st, req, sqe, 0));
	if (trace_iouring2_submit_enabled())
		submit_trace(req, sqe);
	req->fd = sqe->fd;
	ret = req_prep(st, req, sqe, op, opcode);
	if (unlikely(ret))
		return submit_slow(st, req, ret);
	submit_chain_add(st, req);
	st->fast = !(sqe->flags & REQ_F_LINKS);
	if (!st->fast)
		return 0;
	head = st->head;
	st->head = NULL;
	io2_req_start_chain(head, &st->batch);
	return 0;
}

static noinline int submit_rest(struct submit_state *st, struct io2_ring *ring,
				struct io2_req *req,
				const struct iouring2_sqe *sqe, int err)
{
	if (likely(!err && submit_may_chain(st, ring, sqe) &&
		   !(sqe->ioprio | sqe->personality) &&
		   sqe->opcode < IO2_OP_LAST))
		return submit_link(st, req, sqe);
	return submit_slow(st, req, req_prep_checked(st, req, sqe, err));
}

/*
 * Sets *@again to @req if it has ended and can be used again, or to NULL. @err is
 * 0, or why the SQE is not valid.
 *
 * Return: 0, or a negative errno if the submission must stop here.
 */
static __always_inline int submit_one(struct submit_state *st,
				      struct io2_ring *ring,
				      struct io2_req *req,
				      const struct iouring2_sqe *sqe, int err,
				      u32 seq, bool defers,
				      struct io2_req **again)
{
	unsigned int opcode = sqe->opcode;
	const struct io2_op *op;
	int ret;

	req->seq = seq;
	req->user_data = sqe->user_data;
	req->flags = sqe->flags;
	*again = NULL;
	if (unlikely(err || !st->fast || !sqe_is_fast(sqe) ||
		     opcode >= IO2_OP_LAST))
		return submit_rest(st, ring, req, sqe, err);
	opcode = array_index_nospec(opcode, IO2_OP_LAST);
	/* not "&io2_ops[opcode]": UBSAN would check the index once more */
	op = io2_ops + opcode;
	if (unlikely(!op->prep))
		return submit_slow(st, req, req_prep_checked(st, req, sqe, 0));
	/* not earlier: a possible call makes the compiler load fields again */
	if (trace_iouring2_submit_enabled())
		submit_trace(req, sqe);
	ret = req_prep(st, req, sqe, op, opcode);
	if (unlikely(ret))
		return submit_slow(st, req, ret);
	*again = submit_fast(st, ring, req, sqe, op, defers);
	return 0;
}

/* I5: the budget is used up, but requests may have completed meanwhile. */
static u32 submit_more_budget(struct submit_state *st, struct io2_ring *ring)
{
	u32 budget;

	submit_post_all(st);
	budget = io2_cq_room(ring).budget;
	if (budget || !st->getevents || !io2_defer_pending(ring))
		return budget;
	io2_deferred_run_batch(&st->batch);
	io2_batch_flush(&st->batch);
	return io2_cq_room(ring).budget;
}

/*
 * With SQE_MIXED, an SQE of 128 bytes consumes one more entry than others. It is
 * one request nevertheless, so one more entry may be consumed before the budget
 * is used up.
 *
 * Return: 0 or -EINVAL.
 */
static int submit_second_half(struct submit_state *st, struct io2_ring *ring,
			      const struct iouring2_sqe *sqe, u32 place, u32 nr,
			      u32 *submitted, u32 *end)
{
	int ret;

	if (!(ring->setup_flags & IOURING2_SETUP_SQE_MIXED) ||
	    !io2_op_has_sqe128(sqe->opcode))
		return 0;
	ret = io2_sq_has_half(ring, place, nr - *submitted);
	if (ret)
		return ret;
	++*submitted;
	*end = min(nr, *end + 1);
	st->nr_halves++;
	return 0;
}

/*
 * The counters of the ring are written once, and not for each request. Other
 * contexts only show them. @accepted must be up to date when the budget is
 * calculated.
 *
 * @wide is constant, so that entries of 64 bytes cost nothing for the others.
 */
static __always_inline int submit_loop(struct submit_state *st,
				       struct io2_ring *ring, u32 nr,
				       u32 budget, bool defers, bool wide)
{
	u32 submitted = 0, dropped = 0, end = min(nr, budget), place, seq;
	struct iouring2_sqe sqe __uninitialized;	/* io2_sq_read() fills it */
	unsigned int shift = wide ? ring->sqe_shift : 0;
	u64 accepted = ring->accepted;
	u32 head = ring->sq_head;
	struct io2_req *req, *again = NULL;
	int err = 0, ret = 0;

	for (;;) {
		if (submitted == end) {
			if (end == nr)
				break;
			WRITE_ONCE(ring->accepted, accepted + submitted -
						   (wide ? st->nr_halves : 0));
			budget = submit_more_budget(st, ring);
			if (!budget) {
				ret = -EAGAIN;
				break;
			}
			end = min(nr, end + budget);
		}
		if (defers && again) {
			/* nothing else of it has changed */
			req = again;
			req->res = 0;
			req->cqe_flags = 0;
		} else {
			req = req_alloc(ring);
		}
		if (unlikely(!req)) {
			ret = -EAGAIN;
			break;
		}
		again = req;
		if (unlikely(!io2_sq_read(ring, head + submitted, &sqe, shift,
					  &place))) {
			dropped = 1;
			break;
		}
		seq = (u32)accepted + submitted++ - (wide ? st->nr_halves : 0);
		if (wide)
			err = submit_second_half(st, ring, &sqe, place, nr,
						 &submitted, &end);
		if (unlikely(submit_one(st, ring, req, &sqe, err, seq, defers,
					&again)) &&
		    !(ring->setup_flags & IOURING2_SETUP_SUBMIT_ALL))
			break;
	}
	if (again)
		io2_req_cache_put(ring, again);
	WRITE_ONCE(ring->accepted,
		   accepted + submitted - (wide ? st->nr_halves : 0));
	st->sq_head = head + submitted + dropped;
	return submitted ? submitted : ret;
}

static noinline int submit_loop_wide(struct submit_state *st,
				     struct io2_ring *ring, u32 nr, u32 budget,
				     bool defers)
{
	return submit_loop(st, ring, nr, budget, defers, true);
}

/*
 * I4: the CQ is full and there is a backlog. The flag SUBMIT_BACKLOGGED lets a
 * ring accept requests nevertheless; the cap bounds the backlog then (I5).
 */
static bool must_reap_first(const struct io2_ring *ring,
			    const struct io2_cq_room *room)
{
	if (!room->backlog)
		return false;
	return !room->budget ||
	       !(ring->ring_flags & IOURING2_RING_SUBMIT_BACKLOGGED);
}

/* io2_batch_flush(), with its common case inlined. */
static __always_inline void submit_flush(struct submit_state *st,
					 struct io2_ring *ring, bool defers)
{
	struct io2_batch *b = &st->batch;

	if (defers && likely(st->nr_put)) {
		io2_cq_put_done(ring, st->nr_put);
		st->nr_put = 0;
	}
	if (defers ? unlikely(b->done.first) : likely(b->done.first)) {
		u32 nr = defers ? io2_cq_post_owned(ring, &b->done, &b->start,
						    IO2_TELL_INLINE) :
				  io2_cq_post(ring, &b->done, &b->start);

		io2_req_recycle(ring, &b->done, nr);
		io2_list_init(&b->done);
	}
	if (unlikely(b->start.first || b->starting.first))
		io2_batch_flush(b);
}

/*
 * Runs the deferred list until it is empty. That may never be the case, for
 * example with a timer that keeps firing, so the number of rounds is limited.
 * The rest is left to other contexts.
 */
static noinline void submit_run_deferred(struct submit_state *st,
					 struct io2_ring *ring)
{
	unsigned int rounds = 0;

	while (io2_defer_pending(ring) && rounds++ < SUBMIT_ROUNDS) {
		io2_deferred_run_batch(&st->batch);
		io2_batch_flush(&st->batch);
	}
	WRITE_ONCE(ring->submitting, NULL);
	io2_defer_handover(ring);
}

/*
 * This task may have caused completions itself: requests that it has cancelled,
 * and I/O that completed at once. They are posted with the others.
 */
static __always_inline void submit_finish(struct submit_state *st,
					  struct io2_ring *ring)
{
	if (st->plugged)
		blk_finish_plug(&st->plug);
	if (unlikely(io2_defer_pending(ring)))
		io2_deferred_run_batch(&st->batch);
	submit_flush(st, ring, false);
	if (unlikely(io2_defer_pending(ring)))
		submit_run_deferred(st, ring);
	/* only this task defers without notifying others; it has not since */
	WRITE_ONCE(ring->submitting, NULL);
}

/*
 * The same for a ring that defers to its issuer. What is deferred without
 * GETEVENTS waits for an ENTER with it.
 */
static __always_inline void submit_finish_deferring(struct submit_state *st,
						    struct io2_ring *ring)
{
	if (st->plugged)
		blk_finish_plug(&st->plug);
	if (st->getevents && unlikely(io2_defer_pending(ring))) {
		submit_post_all(st);
		io2_deferred_run_batch(&st->batch);
	}
	submit_flush(st, ring, true);
}

/*
 * A submission only needs to know that there is room for @nr requests. As long
 * as there is no backlog, the last snapshot of completed requests answers that
 * if it leaves enough room: it is a lower bound. So cq_lock is not needed.
 */
static __always_inline struct io2_cq_room submit_room(struct io2_ring *ring, u32 nr)
{
	u64 held = ring->accepted - ring->completed_snapshot;

	if (READ_ONCE(ring->nr_backlog) || held + nr > ring->max_inflight)
		return io2_cq_room(ring);
	return (struct io2_cq_room) { .budget = nr };
}

/* @defers is constant, so that the two kinds of ring have code of their own. */
static __always_inline int submit(struct io2_ring *ring, u32 to_submit,
				  bool defers, bool getevents)
{
	struct submit_state st __uninitialized;	/* submit_init() fills it */
	struct io2_cq_room room;
	u32 nr;
	int ret;

	lockdep_assert_held(&ring->uring_lock);
	room = submit_room(ring, to_submit);
	if (unlikely(must_reap_first(ring, &room))) {
		WRITE_ONCE(ring->ebusy, ring->ebusy + 1);
		trace_iouring2_busy(ring, to_submit, room.backlog);
		return -EBUSY;
	}
	nr = min(to_submit, io2_sq_pending(ring));
	if (!nr)
		return 0;
	ret = io2_submitter_get(ring);
	if (ret)
		return ret == -ENOMEM ? -EAGAIN : ret;
	io2_hash_make_room(ring);
	submit_init(&st, ring, nr);
	st.getevents = getevents;
	if (!defers)
		WRITE_ONCE(ring->submitting, current);
	if (unlikely(io2_ring_has_big_sqes(ring)))
		ret = submit_loop_wide(&st, ring, nr, room.budget, defers);
	else
		ret = submit_loop(&st, ring, nr, room.budget, defers, false);
	submit_end_chain(&st);
	if (defers)
		submit_finish_deferring(&st, ring);
	else
		submit_finish(&st, ring);
	io2_sq_commit(ring, st.sq_head);
	return ret;
}

/**
 * io2_submit() - accept requests from the SQ ring (I4, I5)
 * @ring: the ring, which does not defer to its issuer
 * @to_submit: the most SQEs to accept, > 0
 *
 * Context: may sleep; uring_lock held; the submitter's task.
 * Return: the number of SQEs consumed, not counting one with an invalid index;
 * -EBUSY if completions must be reaped first; -EAGAIN if the cap is reached or
 * there is no memory; -EBADF if the process has closed its last descriptor of
 * the ring meanwhile. With an error no SQE was consumed.
 */
int io2_submit(struct io2_ring *ring, u32 to_submit)
{
	return submit(ring, to_submit, false, false);
}

/**
 * io2_submit_deferring() - the same for a ring that defers to its issuer
 * @ring: the ring
 * @to_submit: the most SQEs to accept, > 0
 * @getevents: run deferred requests as well
 *
 * Context: may sleep; uring_lock held; the issuer.
 * Return: as io2_submit().
 */
int io2_submit_deferring(struct io2_ring *ring, u32 to_submit, bool getevents)
{
	return submit(ring, to_submit, true, getevents);
}
