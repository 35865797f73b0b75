// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: accepting, starting, completing, links and drain.  Knows nothing
 * of any opcode but what the table says.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "cancel.h"
#include "counters.h"
#include "cq.h"
#include "deferred.h"
#include "poll.h"
#include "request.h"
#include "sq.h"
#include "submitter.h"
#include "worker.h"

#define SQE_FLAGS_VALID	(IOURING2_SQE_FIXED_FILE | IOURING2_SQE_IO_DRAIN | \
			 IOURING2_SQE_IO_LINK | IOURING2_SQE_IO_HARDLINK | \
			 IOURING2_SQE_ASYNC | IOURING2_SQE_BUFFER_SELECT | \
			 IOURING2_SQE_CQE_SKIP_SUCCESS)

#define REQ_CACHE_MAX	512	/* free requests a ring keeps */
#define REQ_BULK	16	/* requests allocated at a time */
#define READY_RETRIES	8	/* before a worker has to try */

static struct kmem_cache *io2_req_cache;

/* --- memory ------------------------------------------------------------ */

/**
 * io2_req_list_free() - free retired requests
 * @list: the first of them, linked by next, or NULL
 *
 * Context: any.
 */
void io2_req_list_free(struct io2_req *list)
{
	struct io2_req *req, *next;
	long n = 0;

	for (req = list; req; req = next) {
		next = req->next;
		kmem_cache_free(io2_req_cache, req);
		n++;
	}
	if (n)
		io2_count_sub(IO2_COUNT_REQUESTS, n);
}

static void req_cache_put(struct io2_ring *ring, struct io2_req *req)
{
	req->next = ring->free_reqs;
	ring->free_reqs = req;
	ring->nr_free++;
}

/* Keeps retired requests for the next ones, up to a limit. */
static void req_list_recycle(struct io2_ring *ring, struct io2_req_list *list,
			     u32 nr)
{
	struct io2_req *req;

	lockdep_assert_held(&ring->uring_lock);
	if (!nr)
		return;
	if (ring->nr_free + nr <= REQ_CACHE_MAX) {
		list->last->next = ring->free_reqs;
		ring->free_reqs = list->first;
		ring->nr_free += nr;
		return;
	}
	while (ring->nr_free < REQ_CACHE_MAX) {
		req = io2_list_pop(list);
		req_cache_put(ring, req);
	}
	io2_req_list_free(list->first);
}

static bool req_cache_fill(struct io2_ring *ring)
{
	void *objs[REQ_BULK];
	unsigned int i, n = REQ_BULK;
	struct io2_req *req, *next;

	for (req = io2_cq_retired(ring); req; req = next) {
		next = req->next;
		req_cache_put(ring, req);
	}
	if (ring->nr_free)
		return true;
	if (!kmem_cache_alloc_bulk(io2_req_cache, GFP_KERNEL, n, objs)) {
		objs[0] = kmem_cache_alloc(io2_req_cache, GFP_KERNEL);
		if (!objs[0])
			return false;
		n = 1;
	}
	for (i = 0; i < n; i++)
		req_cache_put(ring, objs[i]);
	io2_count_add(IO2_COUNT_REQUESTS, n);
	return true;
}

static struct io2_req *req_alloc(struct io2_ring *ring)
{
	struct io2_req *req;

	lockdep_assert_held(&ring->uring_lock);
	if (!ring->nr_free && !req_cache_fill(ring))
		return NULL;
	req = ring->free_reqs;
	ring->free_reqs = req->next;
	ring->nr_free--;
	req->ring = ring;
	req->file = NULL;
	req->sub = NULL;
	req->link = NULL;
	req->res = 0;
	req->cqe_flags = 0;
	req->opcode = IOURING2_OP_NOP;
	req->armed = IO2_ARMED_NONE;
	req->retries = 0;
	req->wq_state = IO2_WQ_NONE;
	return req;
}

/**
 * io2_req_track() - remember who submitted a request
 * @req: the request, about to leave the hands of its submitter
 *
 * Context: uring_lock held, unless the request is tracked already.
 */
void io2_req_track(struct io2_req *req)
{
	if (req->sub)
		return;
	lockdep_assert_held(&req->ring->uring_lock);
	req->sub = req->ring->submitter;
	atomic_inc(&req->sub->nr_reqs);
}

/* In a kernel thread a plain fput() would close the file later (I9). */
static void req_put_file(struct io2_req *req)
{
	struct file *file = req->file;

	if (!file)
		return;
	req->file = NULL;
	if (req->flags & REQ_F_OWN_RING)
		return;
	io2_count_sub(IO2_COUNT_FILES, 1);
	if (current->flags & PF_KTHREAD)
		__fput_sync(file);
	else
		fput(file);
}

/**
 * io2_req_release() - give back all that a request holds but its own memory
 * @req: a request that will not be issued again
 *
 * Context: task context, may sleep.
 */
void io2_req_release(struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	if (req->flags & REQ_F_DATA) {
		req->flags &= ~REQ_F_DATA;
		op->cleanup(req);
	}
	req_put_file(req);
	if (req->sub) {
		atomic_dec(&req->sub->nr_reqs);
		req->sub = NULL;
	}
}

/**
 * io2_req_disown() - give back what a request holds, where nothing may sleep
 * @req: has no data of its own; somebody else has its file open, too
 *
 * Context: any.
 */
void io2_req_disown(struct io2_req *req)
{
	struct file *file = req->file;

	req->file = NULL;
	if (file && !(req->flags & REQ_F_OWN_RING)) {
		io2_count_sub(IO2_COUNT_FILES, 1);
		fput(file);
	}
	atomic_dec(&req->sub->nr_reqs);
	req->sub = NULL;
}

/* --- completing -------------------------------------------------------- */

/* A request that fails always posts, and decides that for its links. */
static void req_fail(struct io2_req *req)
{
	if (!(req->flags & REQ_F_CQE_SKIP))
		return;
	req->flags &= ~REQ_F_CQE_SKIP;
	req->flags |= REQ_F_SKIP_LINK_CQES;
}

static void req_finish(struct io2_req *req, struct io2_batch *b)
{
	io2_req_release(req);
	io2_list_add(&b->done, req);
}

/* The rest of a broken chain completes with its own error or ECANCELED. */
static void req_fail_links(struct io2_req *link, bool skip,
			   struct io2_batch *b)
{
	while (link) {
		struct io2_req *next = link->link;

		link->link = NULL;
		if (!(link->flags & REQ_F_ABORT))
			link->res = -ECANCELED;
		if (skip)
			link->flags |= REQ_F_CQE_SKIP;
		else
			link->flags &= ~REQ_F_CQE_SKIP;
		req_finish(link, b);
		link = next;
	}
}

/**
 * io2_req_complete() - a request has its result: complete it
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects it, and what may start now
 *
 * Context: task context; inflight_lock not held.
 */
void io2_req_complete(struct io2_req *req, struct io2_batch *b)
{
	struct io2_req *link = req->link;
	unsigned int flags;

	if (READ_ONCE(req->armed) != IO2_ARMED_NONE)
		io2_unhash(req);
	if (req->flags & REQ_F_FAIL)
		req_fail(req);
	flags = req->flags;
	req->link = NULL;
	req_finish(req, b);
	if (!link)
		return;
	if ((flags & REQ_F_ABORT) ||
	    ((flags & REQ_F_FAIL) && !(flags & REQ_F_HARDLINK)))
		req_fail_links(link, flags & REQ_F_SKIP_LINK_CQES, b);
	else
		io2_list_add(&b->start, link);
}

/**
 * io2_cancel_chain() - complete a chain that was never started
 * @req: its head
 * @b: collects the completions
 *
 * Context: task context.
 */
void io2_cancel_chain(struct io2_req *req, struct io2_batch *b)
{
	req->flags |= REQ_F_ABORT;
	io2_req_set(req, -ECANCELED);
	io2_req_complete(req, b);
}

static void batch_start(struct io2_batch *b)
{
	struct io2_req *req, *next;

	for (req = io2_list_take(&b->start); req; req = next) {
		next = req->next;
		io2_req_start(req, b);
	}
}

/**
 * io2_batch_flush() - post what has completed, start what may start
 * @b: the batch; empty on return
 *
 * Context: task context; no lock of the ring but uring_lock held.
 */
void io2_batch_flush(struct io2_batch *b)
{
	while (b->done.first || b->start.first) {
		struct io2_req_list done = b->done;
		u32 nr;

		if (done.first) {
			io2_list_init(&b->done);
			nr = io2_cq_post(b->ring, &done, &b->start);
			if (b->issue_flags & IO2_SUBMIT)
				req_list_recycle(b->ring, &done, nr);
			else
				io2_req_list_free(done.first);
		}
		batch_start(b);
	}
}

/* --- issuing ----------------------------------------------------------- */

static bool req_can_poll(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return (op->pollin || op->pollout) && req->file &&
	       file_can_poll(req->file) && !(req->flags & REQ_F_POLLED);
}

/*
 * It would block.  Wait for the file to become ready where it can tell, else
 * have a worker block for us.  Return: whether to issue it once more here.
 */
static bool req_go_async(struct io2_req *req, struct io2_batch *b)
{
	enum io2_issue ret;

	io2_req_track(req);
	if (req_can_poll(req)) {
		ret = io2_poll_wait(req);
		if (ret == IO2_DONE)
			io2_req_complete(req, b);
		if (ret != IO2_AGAIN)
			return false;
		if (io2_file_nowait(req->file) &&
		    req->retries++ < READY_RETRIES)
			return true;
		req->flags |= REQ_F_POLLED;
	}
	io2_worker_queue(req, b);
	return false;
}

/**
 * io2_req_issue() - try to do a request, whatever it takes
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 * @flags: IO2_NONBLOCK, IO2_SUBMIT, IO2_WORKER
 *
 * Context: task context with the submitter's memory, if the opcode wants it.
 */
void io2_req_issue(struct io2_req *req, struct io2_batch *b,
		   unsigned int flags)
{
	const struct io2_op *op = io2_req_op(req);

	for (;;) {
		enum io2_issue ret = op->issue(req, flags);

		if (ret == IO2_ASYNC)
			return;
		if (ret == IO2_DONE)
			break;
		if (!(flags & IO2_NONBLOCK)) {
			io2_req_set(req, -EAGAIN);
			break;
		}
		if (!req_go_async(req, b))
			return;
	}
	io2_req_complete(req, b);
}

/**
 * io2_req_issue_worker() - do a request in a worker
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Even a request that asked for a worker does not block one as long as its
 * file can tell when it is ready.
 *
 * Context: worker thread with the submitter's context.
 */
void io2_req_issue_worker(struct io2_req *req, struct io2_batch *b)
{
	unsigned int flags = IO2_WORKER;

	if (!io2_req_op(req)->blocking && req_can_poll(req))
		flags |= IO2_NONBLOCK;
	io2_req_issue(req, b, flags);
}

/**
 * io2_req_issue_borrowed() - try to do a request for its submitter
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 * @bw: the submitter's context, if it is still there
 *
 * Context: kernel thread that borrowed @bw.
 */
void io2_req_issue_borrowed(struct io2_req *req, struct io2_batch *b,
			    const struct io2_borrow *bw)
{
	if (bw->have_mm)
		io2_req_issue(req, b, IO2_NONBLOCK | IO2_WORKER);
	else
		io2_cancel_chain(req, b);
}

/*
 * User memory is for its owner to touch, or for a worker that is on record as
 * running the request: it may take a page fault that never ends.
 */
static bool req_needs_worker(const struct io2_req *req)
{
	return io2_req_op(req)->uses_mm && req->sub &&
	       ((current->flags & PF_KTHREAD) ||
		!io2_submitter_is_current(req->sub));
}

/**
 * io2_req_retry() - try again to do a request that had to wait
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context; anybody's.
 */
void io2_req_retry(struct io2_req *req, struct io2_batch *b)
{
	if (req_needs_worker(req))
		io2_worker_retry(req, b);
	else
		io2_req_issue(req, b, b->issue_flags);
}

/**
 * io2_req_start() - start an accepted request, or the next of a chain
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context; anybody's.
 */
void io2_req_start(struct io2_req *req, struct io2_batch *b)
{
	const struct io2_op *op = io2_req_op(req);

	if (req->flags & REQ_F_ABORT) {
		io2_req_complete(req, b);
		return;
	}
	if (!(b->issue_flags & IO2_SUBMIT) && io2_ring_dying(req->ring)) {
		io2_cancel_chain(req, b);
		return;
	}
	if (op->blocking || (req->flags & REQ_F_ASYNC)) {
		io2_req_track(req);
		io2_worker_queue(req, b);
		return;
	}
	io2_req_retry(req, b);
}

/* --- accepting --------------------------------------------------------- */

static int req_get_file(struct io2_req *req, int fd)
{
	struct file *file;

	file = fget(fd);
	if (!file)
		return -EBADF;
	if (io2_is_ring_file(file)) {
		fput(file);
		/* two rings that hold each other would never be released */
		if (file != req->ring->file)
			return -EOPNOTSUPP;
		/* the ring outlives its requests: no reference needed */
		req->flags |= REQ_F_OWN_RING;
	} else {
		io2_count_add(IO2_COUNT_FILES, 1);
	}
	req->file = file;
	return 0;
}

/**
 * struct submit_state - one ENTER's submission
 * @batch: its completions
 * @head: first request of the chain being put together, or NULL
 * @last: last one
 * @nr: so many requests at most
 * @plain: there is no chain and no drain: most requests can start at once
 * @plug: of the block layer
 * @want_plug: to be plugged as soon as a request may gain from it
 * @plugged: is plugged
 */
struct submit_state {
	struct io2_batch	batch;
	struct io2_req		*head;
	struct io2_req		*last;
	struct blk_plug		plug;
	u32			nr;
	bool			plain;
	bool			want_plug;
	bool			plugged;
};

/* Only the submitter adds to the drain queue: once seen empty it stays so. */
static bool submit_is_plain(const struct io2_ring *ring)
{
	return !ring->drain_next && list_empty(&ring->drain_list);
}

static void submit_init(struct submit_state *st, struct io2_ring *ring, u32 nr)
{
	io2_batch_init(&st->batch, ring, IO2_NONBLOCK | IO2_SUBMIT);
	st->head = NULL;
	st->plain = submit_is_plain(ring);
	st->nr = nr;
	st->want_plug = nr > 2;
	st->plugged = false;
}

static void submit_plug(struct submit_state *st)
{
	st->want_plug = false;
	st->plugged = true;
	io2_start_plug(&st->plug, st->nr);
}

/* *@opp is only set if there is such an opcode. */
static __always_inline int req_prep(struct submit_state *st,
				    struct io2_req *req,
				    const struct iouring2_sqe *sqe,
				    const struct io2_op **opp)
{
	unsigned int opcode = sqe->opcode;
	const struct io2_op *op;
	int ret;

	if (opcode >= IO2_OP_LAST)
		return -EINVAL;
	opcode = array_index_nospec(opcode, IO2_OP_LAST);
	*opp = op = &io2_ops[opcode];
	if (sqe->flags & ~SQE_FLAGS_VALID)
		return -EINVAL;
	if (!op->prep)
		return -EOPNOTSUPP;
	req->opcode = opcode;
	if (sqe->flags & IOURING2_SQE_BUFFER_SELECT)
		return -EOPNOTSUPP;
	if (sqe->personality || (sqe->ioprio && !op->ioprio))
		return -EINVAL;
	if (op->needs_file) {
		if (sqe->flags & IOURING2_SQE_FIXED_FILE)
			return -EBADF;
		ret = req_get_file(req, sqe->fd);
		if (ret)
			return ret;
	}
	if (op->plug && st->want_plug)
		submit_plug(st);
	return op->prep(req, sqe);
}

/*
 * Starts a request or chain, or puts it behind a drain barrier.  Only the
 * submitter adds to the drain queue: once seen empty it stays so.
 */
static void submit_queue(struct submit_state *st, struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool barrier = req->flags & REQ_F_DRAIN;
	bool wait;

	if (ring->drain_next)
		req->flags |= REQ_F_DRAIN;
	ring->drain_next = barrier;
	if (!(req->flags & REQ_F_DRAIN) &&
	    list_empty(&ring->drain_list)) {
		io2_req_start(req, &st->batch);
		return;
	}
	io2_batch_flush(&st->batch);
	io2_req_track(req);
	spin_lock(&ring->cq_lock);
	wait = !list_empty(&ring->drain_list) ||
	       ((req->flags & REQ_F_DRAIN) &&
		(u32)ring->completed != req->seq);
	if (wait)
		list_add_tail(&req->node, &ring->drain_list);
	spin_unlock(&ring->cq_lock);
	if (!wait)
		io2_req_start(req, &st->batch);
}

/* Ends the chain being put together, if any, and starts it. */
static void submit_end_chain(struct submit_state *st)
{
	struct io2_req *head = st->head;

	if (!head)
		return;
	st->head = NULL;
	submit_queue(st, head);
}

static void submit_chain_add(struct submit_state *st, struct io2_req *req)
{
	io2_req_track(req);
	if (st->head) {
		st->last->link = req;
		/* the barrier holds for the chain as a whole */
		st->head->flags |= req->flags & REQ_F_DRAIN;
	} else {
		st->head = req;
	}
	st->last = req;
}

/* The chain has a bad request: none of it will be done. */
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
 * The end of a request that was alone, and that nobody else has seen: what is
 * armed does not end at once.
 */
static __always_inline void submit_done(struct submit_state *st,
					struct io2_req *req)
{
	if (req->file || req->sub || (req->flags & REQ_F_DATA))
		io2_req_release(req);
	io2_list_add(&st->batch.done, req);
}

/*
 * Most requests: no flags, no chain, no drain, and not for a worker.  The same
 * as submit_queue(), without a look at what they are not.
 */
static __always_inline void submit_plain(struct submit_state *st,
					 struct io2_req *req,
					 const struct io2_op *op)
{
	enum io2_issue ret = op->issue(req, IO2_NONBLOCK | IO2_SUBMIT);

	if (likely(ret == IO2_DONE))
		submit_done(st, req);
	else if (ret == IO2_AGAIN && req_go_async(req, &st->batch))
		io2_req_issue(req, &st->batch, IO2_NONBLOCK | IO2_SUBMIT);
}

/* Return: 0, or a negative errno when submission has to stop here. */
static __always_inline int submit_one(struct submit_state *st,
				      struct io2_req *req,
				      const struct iouring2_sqe *sqe)
{
	struct io2_ring *ring = st->batch.ring;
	const struct io2_op *op;
	int ret;

	req->user_data = sqe->user_data;
	req->flags = sqe->flags;
	req->seq = (u32)ring->accepted;
	WRITE_ONCE(ring->accepted, ring->accepted + 1);
	ret = req_prep(st, req, sqe, &op);
	if (likely(!ret && !sqe->flags && st->plain && !op->blocking)) {
		submit_plain(st, req, op);
		return 0;
	}
	st->plain = false;
	if (ret)
		submit_fail_chain(st, req, ret);
	if (st->head || (sqe->flags & REQ_F_LINKS)) {
		submit_chain_add(st, req);
		if (sqe->flags & REQ_F_LINKS)
			return 0;
		submit_end_chain(st);
	} else {
		submit_queue(st, req);
	}
	st->plain = submit_is_plain(ring);
	return ret;
}

/* I5: the budget is used up, but some of it may have completed meanwhile. */
static u32 submit_more_budget(struct submit_state *st, struct io2_ring *ring)
{
	io2_batch_flush(&st->batch);
	return io2_cq_room(ring).budget;
}

static int submit_loop(struct submit_state *st, struct io2_ring *ring, u32 nr,
		       u32 budget)
{
	struct iouring2_sqe sqe;
	struct io2_req *req;
	int submitted = 0;

	for (; submitted < nr; budget--) {
		if (!budget)
			budget = submit_more_budget(st, ring);
		req = budget ? req_alloc(ring) : NULL;
		if (!req)
			return submitted ? submitted : -EAGAIN;
		if (!io2_sq_next(ring, &sqe)) {
			req_cache_put(ring, req);
			break;
		}
		submitted++;
		if (submit_one(st, req, &sqe) &&
		    !(ring->setup_flags & IOURING2_SETUP_SUBMIT_ALL))
			break;
	}
	return submitted;
}

/*
 * I4: the CQ is full and more is waiting.  A ring may have been asked to take
 * requests all the same; the cap bounds what waits then (I5).
 */
static bool must_reap_first(const struct io2_ring *ring,
			    const struct io2_cq_room *room)
{
	if (!room->backlog)
		return false;
	return !room->budget ||
	       !(ring->ring_flags & IOURING2_RING_SUBMIT_BACKLOGGED);
}

/*
 * Completions that this task has caused itself, requests it has cancelled and
 * I/O that ended at once, come with the others.
 */
static void submit_finish(struct submit_state *st)
{
	struct io2_ring *ring = st->batch.ring;

	if (st->plugged)
		blk_finish_plug(&st->plug);
	do {
		while (io2_deferred_pending(ring))
			io2_deferred_run_batch(&st->batch);
		io2_batch_flush(&st->batch);
	} while (io2_deferred_pending(ring));
	/* nobody but this task relies on it, so nothing can have come since */
	WRITE_ONCE(ring->submitting, NULL);
}

/*
 * Room for @nr requests is all that there has to be: as long as there is no
 * backlog and what was known last suffices, others need not be asked.
 */
static struct io2_cq_room submit_room(struct io2_ring *ring, u32 nr)
{
	u64 held = ring->accepted - ring->gone;

	if (READ_ONCE(ring->nr_backlog) || held + nr > ring->max_inflight)
		return io2_cq_room(ring);
	return (struct io2_cq_room) { .budget = nr };
}

/**
 * io2_submit() - accept requests from the SQ ring (I4, I5)
 * @ring: the ring
 * @to_submit: at most so many, > 0
 *
 * Context: may sleep; uring_lock held; the submitter's task.
 * Return: SQEs consumed, an invalid index not counted; -EBUSY when completions
 * must be taken first; -EAGAIN when the cap is reached or there is no memory;
 * -EBADF when the process has closed its last descriptor meanwhile. With an
 * error no SQE was consumed.
 */
int io2_submit(struct io2_ring *ring, u32 to_submit)
{
	struct submit_state st;
	struct io2_cq_room room;
	u32 nr;
	int ret;

	lockdep_assert_held(&ring->uring_lock);
	room = submit_room(ring, to_submit);
	if (unlikely(must_reap_first(ring, &room))) {
		WRITE_ONCE(ring->ebusy, ring->ebusy + 1);
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
	WRITE_ONCE(ring->submitting, current);
	ret = submit_loop(&st, ring, nr, room.budget);
	submit_end_chain(&st);
	submit_finish(&st);
	io2_sq_commit(ring);
	return ret;
}

/**
 * io2_request_init() - make the request cache
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int io2_request_init(void)
{
	io2_req_cache = KMEM_CACHE(io2_req, SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT);
	return io2_req_cache ? 0 : -ENOMEM;
}

/**
 * io2_request_exit() - destroy it
 *
 * Context: module exit; no ring exists.
 */
void io2_request_exit(void)
{
	kmem_cache_destroy(io2_req_cache);
}
