// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a request once it is accepted: starting, issuing, waiting,
 * completing, and what is linked to it.  Knows nothing of any opcode but what
 * the table says.
 */
#include <linux/file.h>

#include "compat/compat.h"
#include "cq.h"
#include "deferred.h"
#include "file.h"
#include "hash.h"
#include "key.h"
#include "nudge.h"
#include "poll.h"
#include "reqmem.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

#define READY_RETRIES	8	/* before somebody has to block */
#define IO2_BLOCK_MS	50	/* for what was ready a moment ago */
#define IO2_BLOCK_LONGER 4	/* times twice as long, in ENTER */

/* --- completing -------------------------------------------------------- */

/* A request that fails always posts, and decides that for its links. */
static void req_fail(struct io2_req *req)
{
	if (!(req->flags & REQ_F_CQE_SKIP))
		return;
	req->flags &= ~REQ_F_CQE_SKIP;
	req->flags |= REQ_F_SKIP_LINK_CQES;
}

static void req_close_fn(struct work_struct *work)
{
	struct io2_req *req = container_of(work, struct io2_req, close);
	struct io2_ring *ring = req->ring;
	struct io2_batch b;

	io2_file_close_sync(io2_req_take_file(req));
	io2_batch_init(&b, ring, IO2_CTX_WQ);
	io2_req_complete(req, &b);
	io2_batch_flush(&b);
	io2_defer_closed(ring);
}

/* Its file is closed by a work item, which then goes on. */
static noinline void req_end_file(struct io2_req *req)
{
	/* there was no memory to detach it: who leaves does not wait, the ring does */
	if (!io2_file_ends_here(req->file))
		io2_req_drop_submitter(req);
	INIT_WORK(&req->close, req_close_fn);
	io2_defer_close(req);
}

/* The rest of a broken chain completes with its own error or ECANCELED. */
static void req_fail_links(struct io2_req *link, bool skip,
			   struct io2_batch *b)
{
	while (link) {
		struct io2_req *next = link->link;

		if (!(link->flags & REQ_F_ABORT))
			link->res = -ECANCELED;
		if (skip)
			link->flags |= REQ_F_CQE_SKIP;
		else
			link->flags &= ~REQ_F_CQE_SKIP;
		io2_req_release_unstarted(link);
		link->link = NULL;
		io2_batch_add_done(b, link);
		link = next;
	}
}

/**
 * io2_req_complete() - a request has its result: complete it
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects it, and what may start now
 *
 * A file that goes with it is closed before the CQE is there; the workqueue does
 * that for who may wait for what comes of it.
 *
 * Context: task context; inflight_lock not held; uring_lock held, unless @req is
 * tracked.
 */
void io2_req_complete(struct io2_req *req, struct io2_batch *b)
{
	struct io2_req *link = req->link;
	unsigned int flags;

	if (READ_ONCE(req->armed) != IO2_ARMED_NONE)
		io2_unhash(req);
	if (unlikely(req->key))
		io2_worker_key_leave(req, b);
	if (unlikely(!io2_req_release(req, b->ctx))) {
		req_end_file(req);
		return;
	}
	if (req->flags & REQ_F_FAIL)
		req_fail(req);
	flags = req->flags;
	req->link = NULL;
	io2_batch_add_done(b, req);
	if (!link)
		return;
	if ((flags & REQ_F_ABORT) ||
	    ((flags & REQ_F_FAIL) && !(flags & REQ_F_HARDLINK)))
		req_fail_links(link, flags & REQ_F_SKIP_LINK_CQES, b);
	else
		io2_list_add(&b->start, link);
}

/**
 * io2_req_complete_fast() - the same for one that nobody else has seen
 * @req: alone, with its result; not to be touched afterwards
 * @b: collects it
 *
 * Context: task context; uring_lock held.
 */
void io2_req_complete_fast(struct io2_req *req, struct io2_batch *b)
{
	if (unlikely(!io2_req_release(req, b->ctx)))
		req_end_file(req);
	else
		io2_batch_add_done(b, req);
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

static __always_inline void batch_post(struct io2_batch *b)
{
	u32 nr = io2_cq_post(b->ring, &b->done, &b->start);

	if (b->ctx == IO2_CTX_SUBMIT)
		io2_req_recycle(b->ring, &b->done, nr);
	else
		io2_cq_retire(b->ring, &b->done, nr);
	io2_list_init(&b->done);
}

static noinline void batch_start(struct io2_batch *b)
{
	struct io2_req *req;

	io2_list_append(&b->starting, &b->start);
	b->split = false;
	while ((req = io2_list_pop(&b->starting)))
		io2_req_start(req, b);
}

static void start_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_start(req, b);
}

static bool req_is_others(const struct io2_req *req)
{
	/* not its memory: on its way out a process has none */
	return req->sub && req->sub->tgid != task_tgid(current);
}

/* Moves what is of other processes from @list to @others. */
static void list_split(struct io2_req_list *list, struct io2_req_list *others)
{
	struct io2_req_list all;
	struct io2_req *req;

	io2_list_take(list, &all);
	while ((req = io2_list_pop(&all)))
		io2_list_add(req_is_others(req) ? others : list, req);
}

/**
 * io2_batch_let_others_go() - see io2_batch_may_stall()
 * @next: what comes next
 * @b: the batch
 *
 * Context: task context; no lock of the ring but uring_lock held.
 */
void io2_batch_let_others_go(const struct io2_req *next, struct io2_batch *b)
{
	const struct io2_op *op = io2_req_op(next);
	struct io2_req_list others, starts;
	struct io2_req *req;

	/* a work item does nothing of the kind */
	if ((!op->uses_mm && !op->polls) || b->ctx == IO2_CTX_WQ)
		return;
	io2_list_init(&others);
	io2_list_init(&starts);
	if (b->done.first)
		batch_post(b);
	if (!b->split) {
		list_split(&b->todo, &others);
		list_split(&b->starting, &starts);
		b->split = true;
	}
	list_split(&b->start, &starts);
	/* what comes before them is posted: those of current need no second look */
	io2_list_append(&b->starting, &b->start);
	while ((req = io2_list_pop(&starts))) {
		req->run = start_run;
		io2_list_add(&others, req);
	}
	if (others.first)
		io2_defer_back(b->ring, &others);
}

/**
 * io2_batch_flush() - post what has completed, start what may start
 * @b: the batch; empty on return
 *
 * Context: task context; no lock of the ring but uring_lock held.
 */
void io2_batch_flush(struct io2_batch *b)
{
	for (;;) {
		if (likely(b->done.first))
			batch_post(b);
		if (likely(!b->start.first && !b->starting.first))
			break;
		batch_start(b);
	}
}

/* --- where it runs ------------------------------------------------------- */

/* What can never be done is not to be waited for. */
static bool req_fits_file(const struct io2_req *req)
{
	fmode_t mode = req->file->f_mode;

	if (io2_req_op(req)->pollout)
		return (mode & FMODE_WRITE) && (mode & FMODE_CAN_WRITE);
	return (mode & FMODE_READ) && (mode & FMODE_CAN_READ);
}

static bool req_can_poll(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return req->file && file_can_poll(req->file) &&
	       (op->pollin || op->pollout) && req_fits_file(req) &&
	       !(req->flags & (REQ_F_POLLED | REQ_F_NOWAIT)) &&
	       !io2_file_is_data(req->file);
}

/* What a kernel thread would do to the file: IO2_KIND_*. */
static unsigned int op_uses(const struct io2_op *op)
{
	if (op->polls)
		return IO2_KIND_ASK_LATE;
	if (op->pollin)
		return IO2_KIND_READ;
	return op->pollout ? IO2_KIND_WRITE : IO2_KIND_SYNC;
}

static unsigned int what_of_file(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);
	unsigned int kind, what = 0;

	if (!req->file)
		return IO2_W_ANY | IO2_W_ASK_NOW;
	kind = io2_file_kind(req->file);
	if ((kind & op_uses(op)) && !(op->personal && op->personal(req)))
		what |= IO2_W_ANY;
	/* nobody is asked where there is no method for it */
	if ((kind & IO2_KIND_ASK_NOW) || !file_can_poll(req->file))
		what |= IO2_W_ASK_NOW;
	if (kind & IO2_KIND_ASK_LATE)
		what |= IO2_W_ASK_LATE;
	if (io2_file_nowait(req->file))
		what |= IO2_W_TRIABLE;
	return req_can_poll(req) ? what | IO2_W_POLLABLE : what;
}

static unsigned int what_of(const struct io2_req *req, enum io2_ctx ctx)
{
	const struct io2_op *op = io2_req_op(req);
	unsigned int what = what_of_file(req);

	if (op->uses_mm)
		what |= IO2_W_MEMORY;
	if (op->polls)
		what |= IO2_W_ASKS;
	if (op->blocking)
		what |= IO2_W_BLOCKS;
	/* until somebody else has looked at it */
	if ((req->flags & REQ_F_ASYNC) && ctx != IO2_CTX_WORKER)
		what |= IO2_W_ASYNC;
	if (io2_req_is_own(req, ctx))
		what |= IO2_W_OWN;
	return what;
}

/**
 * io2_req_where() - decide where a request runs next
 * @req: the request
 * @stage: what has happened to it
 * @ctx: who asks
 *
 * Context: task context.
 * Return: IO2_DO_*.
 */
enum io2_do io2_req_where(const struct io2_req *req, enum io2_stage stage,
			  enum io2_ctx ctx)
{
	return io2_where(stage, what_of(req, ctx));
}

/* It would block: who asks makes no difference, only the file does. */
static enum io2_do req_where_blocks(const struct io2_req *req)
{
	return io2_where(IO2_STAGE_AGAIN, what_of_file(req));
}

/**
 * io2_req_where_again() - where does what a request has begun go on?
 * @req: the request
 * @ctx: who asks
 *
 * Context: task context.
 * Return: IO2_DO_*.
 */
enum io2_do io2_req_where_again(const struct io2_req *req, enum io2_ctx ctx)
{
	return io2_where(IO2_STAGE_START, what_of(req, ctx) &
			 ~(IO2_W_ASYNC | IO2_W_BLOCKS));
}

static void req_wait(struct io2_req *req, struct io2_batch *b);

/**
 * io2_req_go() - have a request run where it was decided
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 * @where: from io2_req_where()
 *
 * Context: task context; anybody's.
 */
void io2_req_go(struct io2_req *req, struct io2_batch *b, enum io2_do where)
{
	switch (where) {
	case IO2_DO_TRY:
		io2_batch_may_stall(req, b);
		io2_req_issue(req, b);
		break;
	case IO2_DO_POLL:
		req_wait(req, b);
		break;
	case IO2_DO_WORKER:
		io2_worker_queue(req, b);
		break;
	case IO2_DO_RETRY:
		io2_worker_retry(req, b);
		break;
	default:
		io2_park(req, b, io2_req_block);
	}
}

/* It is ready so often without being so that somebody has to block for it. */
static bool req_gives_up_polling(struct io2_req *req)
{
	if (req->retries++ < READY_RETRIES)
		return false;
	req->flags |= REQ_F_POLLED;
	return true;
}

/**
 * io2_req_ready() - go on with a request whose file has become ready
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context; anybody's.
 */
void io2_req_ready(struct io2_req *req, struct io2_batch *b)
{
	/* it has waited: it is not done by who submits it */
	io2_req_go(req, b, io2_where(IO2_STAGE_READY,
				     what_of(req, b->ctx) & ~IO2_W_ASYNC));
}

/**
 * io2_req_again() - start a request anew that has waited for others
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context; anybody's.
 */
void io2_req_again(struct io2_req *req, struct io2_batch *b)
{
	io2_req_go(req, b, io2_req_where_again(req, b->ctx));
}

/*
 * Waits for the file.  Return: whether it is ready now, and to be gone on with;
 * otherwise @req is not to be touched any more.
 */
static bool req_arm(struct io2_req *req, struct io2_batch *b)
{
	enum io2_issue ret;

	if (!io2_key_take(req))
		return false;
	ret = io2_poll_arm_for_op(req);
	if (ret == IO2_DONE)
		io2_req_complete(req, b);
	return ret == IO2_AGAIN;
}

static void req_wait(struct io2_req *req, struct io2_batch *b)
{
	if (!req_arm(req, b))
		return;
	if (req_gives_up_polling(req))
		io2_req_go(req, b, req_where_blocks(req));
	else
		io2_req_go(req, b, io2_req_where(req, IO2_STAGE_READY, b->ctx));
}

/**
 * io2_req_go_async() - it would block: have it wait for
 * @req: owned by the caller
 * @b: collects its completion, if it is one already
 *
 * Waits for the file to become ready where it can tell, else has somebody block
 * for us.
 *
 * Context: task context; uring_lock held, unless @req is tracked.
 * Return: whether to issue it once more here; otherwise @req is not to be
 * touched afterwards.
 */
bool io2_req_go_async(struct io2_req *req, struct io2_batch *b)
{
	enum io2_do where;

	io2_req_track(req);
	where = req_where_blocks(req);
	if (where == IO2_DO_POLL) {
		if (!req_arm(req, b))
			return false;
		where = req_gives_up_polling(req) ?
			req_where_blocks(req) :
			io2_req_where(req, IO2_STAGE_READY, b->ctx);
	}
	if (where == IO2_DO_TRY)
		return true;
	io2_req_go(req, b, where);
	return false;
}

/* --- issuing ----------------------------------------------------------- */

/**
 * io2_req_issue() - try to do a request, whatever it takes
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context with the submitter's memory, if the opcode wants it.
 */
void io2_req_issue(struct io2_req *req, struct io2_batch *b)
{
	unsigned int flags = io2_batch_flags(b, IO2_NONBLOCK);
	const struct io2_op *op = io2_req_op(req);

	for (;;) {
		enum io2_issue ret = op->issue(req, flags);

		if (ret == IO2_QUEUED)
			return;
		if (ret == IO2_DONE)
			break;
		if (!io2_req_go_async(req, b))
			return;
	}
	io2_req_complete(req, b);
}

/*
 * Blocks, until @expires if that is interruptible.  Return: IO2_AGAIN if that was
 * so; nothing was done then.
 */
static enum io2_issue req_block_until(struct io2_req *req,
				      const struct io2_batch *b,
				      ktime_t expires)
{
	struct io2_breaker br;
	enum io2_issue ret;

	io2_breaker_start(&br, expires);
	ret = io2_req_op(req)->issue(req, io2_batch_flags(b, IO2_BREAKABLE));
	io2_breaker_stop(&br);
	return ret;
}

/* Its sleep was ended, by time, a signal, or cancellation. */
static void req_broken(struct io2_req *req, struct io2_batch *b)
{
	if (io2_req_was_interrupted(req)) {
		io2_req_set(req, -ECANCELED);
		io2_req_complete(req, b);
	} else if (b->ctx == IO2_CTX_WORKER && signal_pending(current)) {
		/* its process ends */
		io2_req_set(req, -EINTR);
		io2_req_complete(req, b);
	} else if (req_can_poll(req) && !req_gives_up_polling(req)) {
		req_wait(req, b);
	} else if (b->ctx == IO2_CTX_TURN) {
		io2_park(req, b, io2_req_block);
	} else {
		io2_worker_queue(req, b);
	}
}

/*
 * A task in ENTER looks from time to time whether what it waits for has come
 * meanwhile: the longer, the more often it was in vain.
 */
static ktime_t turn_expires(struct io2_req *req, const struct io2_batch *b)
{
	unsigned int ms = IO2_BLOCK_MS << min_t(u8, req->retries,
						IO2_BLOCK_LONGER);

	if (req->retries < U8_MAX)
		req->retries++;
	return min(b->expires, ktime_add_ms(ktime_get(), ms));
}

/* It was ready: if it blocks now, somebody else was quicker. */
static ktime_t expires_soon(void)
{
	return ktime_add_ms(ktime_get(), IO2_BLOCK_MS);
}

/* Until when may current block? */
static ktime_t block_expires(struct io2_req *req, const struct io2_batch *b)
{
	const struct io2_op *op = io2_req_op(req);

	if (b->ctx != IO2_CTX_TURN)
		/* a worker may wait until all is written */
		return op->pollout || !req_can_poll(req) ? KTIME_MAX :
							   expires_soon();
	if (op->blocking)
		return b->expires;
	return req_can_poll(req) ? min(b->expires, expires_soon()) :
				   turn_expires(req, b);
}

/**
 * io2_req_block() - do a request where it may block
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Even so it does not block as long as its file can tell when it is ready.
 *
 * Context: a worker, or the turn of a task of its submitter.
 */
void io2_req_block(struct io2_req *req, struct io2_batch *b)
{
	enum io2_issue ret;

	if (req_can_poll(req) && !io2_req_op(req)->blocking) {
		if (io2_file_nowait(req->file)) {
			io2_req_issue(req, b);
			return;
		}
		if (!req->key || !io2_poll_is_ready(req)) {
			req_wait(req, b);
			return;
		}
	}
	ret = req_block_until(req, b, block_expires(req, b));
	if (ret == IO2_AGAIN) {
		req_broken(req, b);
		return;
	}
	if (ret == IO2_DONE)
		io2_req_complete(req, b);
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
		io2_req_issue(req, b);
	else
		io2_cancel_chain(req, b);
}

/*
 * Is current submitting it, or its chain?  That process has not executed another
 * program since, and has the ring.
 */
static bool req_is_submitters(const struct io2_req *req,
			      const struct io2_batch *b)
{
	return b->ctx == IO2_CTX_SUBMIT &&
	       (!req->sub || req->sub == req->ring->submitter);
}

/* Return: whether it is not to be started any more. */
static bool req_is_late(const struct io2_req *req)
{
	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->gone) ||
	       io2_submitter_is_replaced(req->sub);
}

static void req_place(struct io2_req *req, struct io2_batch *b)
{
	enum io2_do where = io2_req_where(req, IO2_STAGE_START, b->ctx);
	const struct io2_op *op = io2_req_op(req);

	if (where != IO2_DO_TRY) {
		io2_req_track(req);
	} else if (b->ctx != IO2_CTX_SUBMIT && (op->uses_mm || op->polls) &&
		   !io2_hash_begin(req)) {
		io2_cancel_chain(req, b);
		return;
	}
	io2_req_go(req, b, where);
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
	bool own = req_is_submitters(req, b);
	int ret;

	if (req->flags & REQ_F_ABORT) {
		io2_req_complete(req, b);
		return;
	}
	if (!own && req_is_late(req)) {
		io2_cancel_chain(req, b);
		return;
	}
	if (op->needs_file) {
		ret = io2_req_get_file(req);
		if (ret) {
			io2_req_set(req, ret);
			io2_req_complete(req, b);
			return;
		}
	}
	if (!own || (req->flags & REQ_F_ASYNC)) {
		req_place(req, b);
		return;
	}
	io2_batch_may_stall(req, b);
	/* what most requests of a chain are: what cannot be tried says so itself */
	ret = op->issue(req, IO2_NONBLOCK | IO2_CTX_SUBMIT << IO2_CTX_SHIFT);
	if (likely(ret == IO2_DONE))
		io2_req_complete(req, b);
	else if (ret == IO2_AGAIN && io2_req_go_async(req, b))
		io2_req_issue(req, b);
}
