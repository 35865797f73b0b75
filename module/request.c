// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of an accepted request: starting, issuing, waiting, completing, and
 * starting the next request of its chain. This file knows about an opcode only
 * what the opcode table says.
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

#define READY_RETRIES	8	/* polls that find it ready before a context blocks for it */
#define IO2_BLOCK_MS	50	/* longest sleep for a file that was ready a moment ago */
#define IO2_BLOCK_LONGER 4	/* doublings of that time, at most, for a task in ENTER */

/* --- completing -------------------------------------------------------- */

/*
 * A failed request posts a CQE even if CQE_SKIP is set. In that case the links
 * that it breaks post none.
 */
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

/* Closes the request's file in a work item, which then completes the request. */
static noinline void req_end_file(struct io2_req *req)
{
	/*
	 * If the file's close may take long, detaching it has failed for lack
	 * of memory. Drop the submitter then, so that a process which leaves
	 * need not wait for the close. Only the end of the ring waits for it.
	 */
	if (!io2_file_ends_here(req->file))
		io2_req_drop_submitter(req);
	INIT_WORK(&req->close, req_close_fn);
	io2_defer_close(req);
}

/*
 * Completes the rest of a broken chain. A link that prep refused keeps its own
 * error; the others get ECANCELED.
 */
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
 * io2_req_complete() - complete a request that has its result
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects the request, and the link that may start now
 *
 * The request's file reference is dropped before its CQE is posted. If it is
 * the last one, a task that leaves the ring closes the file itself. For any
 * other task a work item does. The request completes after that, or without
 * waiting if the close may depend on a peer or a server.
 *
 * Context: task context; inflight_lock not held; uring_lock held, unless @req
 * is tracked.
 */
void io2_req_complete(struct io2_req *req, struct io2_batch *b)
{
	struct io2_req *link = req->link;
	u64 flags;

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
	if (likely(!(flags & (REQ_F_ABORT | REQ_F_FAIL))) ||
	    (flags & (REQ_F_ABORT | REQ_F_HARDLINK)) == REQ_F_HARDLINK)
		io2_list_add(&b->start, link);
	else
		req_fail_links(link, flags & REQ_F_SKIP_LINK_CQES, b);
}

/* A function of its own: the fast path needs no stack. */
static noinline void req_complete_slow(struct io2_req *req, struct io2_batch *b)
{
	if (unlikely(!io2_req_release(req, b->ctx)))
		req_end_file(req);
	else
		io2_batch_add_done(b, req);
}

/**
 * io2_req_complete_fast() - complete a request that was never handed over
 * @req: not part of a chain, has its result; not to be touched afterwards
 * @b: collects the request
 *
 * Context: task context; uring_lock held.
 */
void io2_req_complete_fast(struct io2_req *req, struct io2_batch *b)
{
	if (likely(!req->sub && !(req->flags & REQ_F_DATA) &&
		   io2_req_put_file(req)))
		io2_batch_add_done(b, req);
	else
		req_complete_slow(req, b);
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

/*
 * Leaves what has completed to the issuer, which posts it in the order of
 * completion.
 */
static void done_run(struct io2_req *req, struct io2_batch *b)
{
	io2_batch_add_done(b, req);
}

/* The most entries of the CQ that the completion of a request may take. */
static u32 req_entries(const struct io2_req *req)
{
	/* two that are next to each other, and one that is skipped before them */
	return req->flags & REQ_F_BIG_CQE ? 3 : 1;
}

static void batch_defer_done(struct io2_batch *b)
{
	struct io2_req *req;
	u32 nr = 0;

	b->done.last->next = NULL;
	for (req = b->done.first; req; req = req->next) {
		req->run = done_run;
		nr += req_entries(req);
	}
	io2_defer_all(b->ring, &b->done, nr);
}

/* On a ring that defers to its issuer, only the holder of uring_lock posts. */
static noinline void batch_post_deferring(struct io2_batch *b)
{
	u32 nr;

	if (!b->owner) {
		batch_defer_done(b);
		return;
	}
	nr = io2_cq_post_owned(b->ring, &b->done, &b->start,
			       b->ctx == IO2_CTX_SUBMIT ? IO2_TELL_INLINE :
							  IO2_TELL_LATER);
	io2_req_recycle(b->ring, &b->done, nr);
	io2_list_init(&b->done);
}

static __always_inline void batch_post(struct io2_batch *b)
{
	u32 nr;

	if (unlikely(io2_ring_defers(b->ring))) {
		batch_post_deferring(b);
		return;
	}
	if (b->ctx == IO2_CTX_SUBMIT) {
		nr = io2_cq_post(b->ring, &b->done, &b->start);
		io2_req_recycle(b->ring, &b->done, nr);
	} else {
		io2_cq_post_retire(b->ring, &b->done, &b->start);
	}
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

/* Leaves requests that may start to the issuer. */
static noinline void batch_defer_start(struct io2_batch *b)
{
	struct io2_req *req;

	io2_list_append(&b->starting, &b->start);
	for (req = b->starting.first; req; req = req->next)
		req->run = start_run;
	io2_defer_all(b->ring, &b->starting, 0);
}

static bool req_is_of_other_process(const struct io2_req *req)
{
	/* compare the tgid, not the mm: an exiting task has no mm any more */
	return req->sub && req->sub->tgid != task_tgid(current);
}

/* Moves the requests of other processes from @list to @others. */
static void list_split(struct io2_req_list *list, struct io2_req_list *others)
{
	struct io2_req_list all;
	struct io2_req *req;

	io2_list_take(list, &all);
	while ((req = io2_list_pop(&all)))
		io2_list_add(req_is_of_other_process(req) ? others : list, req);
}

/**
 * io2_batch_let_others_go() - the slow path of io2_batch_may_stall()
 * @next: the request that runs next
 * @b: the batch
 *
 * Context: task context; no lock of the ring held other than uring_lock.
 */
void io2_batch_let_others_go(const struct io2_req *next, struct io2_batch *b)
{
	const struct io2_op *op = io2_req_op(next);
	struct io2_req_list others, starts;
	struct io2_req *req;

	/* work items neither touch user memory nor poll files that may sleep */
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
	/* only current's requests are left in @start: @split stays true */
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
 * Context: task context; no lock of the ring held other than uring_lock.
 */
void io2_batch_flush(struct io2_batch *b)
{
	for (;;) {
		if (likely(b->done.first))
			batch_post(b);
		if (likely(!b->start.first && !b->starting.first))
			break;
		if (unlikely(io2_ring_defers(b->ring) && !b->owner)) {
			batch_defer_start(b);
			break;
		}
		batch_start(b);
	}
}

/* --- where a request runs --------------------------------------------- */

/* A file that lacks the mode or the method fails at once: do not wait for it. */
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

static unsigned int what_of_file(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);
	unsigned int kind, what = 0;

	if (!req->file)
		return IO2_W_KTHREAD | IO2_W_POLL_NOW;
	kind = io2_file_kind(req->file);
	if ((kind & op->kind) && !(op->personal && op->personal(req)))
		what |= IO2_W_KTHREAD;
	if (kind & IO2_KIND_POLL_LATE)
		what |= IO2_W_POLL_LATE;
	if (io2_file_nowait(req->file))
		what |= IO2_W_TRIABLE;
	/* a file without ->poll has nothing to ask */
	if (!file_can_poll(req->file))
		return what | IO2_W_POLL_NOW;
	if (kind & IO2_KIND_POLL_NOW)
		what |= IO2_W_POLL_NOW;
	return req_can_poll(req) ? what | IO2_W_POLLABLE : what;
}

static unsigned int what_of(const struct io2_req *req, enum io2_ctx ctx)
{
	const struct io2_op *op = io2_req_op(req);
	unsigned int what = what_of_file(req);

	if (op->uses_mm)
		what |= IO2_W_MEMORY;
	if (op->polls)
		what |= IO2_W_POLLS;
	if (op->blocking)
		what |= IO2_W_BLOCKS;
	/* IOSQE_ASYNC has no effect any more once a worker runs the request */
	if ((req->flags & REQ_F_ASYNC) && ctx != IO2_CTX_WORKER)
		what |= IO2_W_ASYNC;
	if (io2_req_is_own(req, ctx))
		what |= IO2_W_OWN;
	return what;
}

/**
 * io2_req_where() - decide where a request runs next
 * @req: the request
 * @stage: what has happened to it so far
 * @ctx: the context of the caller
 *
 * Context: task context.
 * Return: IO2_DO_*.
 */
enum io2_do io2_req_where(const struct io2_req *req, enum io2_stage stage,
			  enum io2_ctx ctx)
{
	return io2_where(stage, what_of(req, ctx));
}

/* The request would block. Only the file decides now, not the caller's context. */
static enum io2_do req_where_blocks(const struct io2_req *req)
{
	return io2_where(IO2_STAGE_AGAIN, what_of_file(req));
}

/**
 * io2_req_where_again() - decide where a request that was started before goes on
 * @req: the request
 * @ctx: the context of the caller
 *
 * Ignores IOSQE_ASYNC and the opcode's @blocking, which matter at the first
 * start only.
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
 * Context: any task context.
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

/*
 * Return: true if the file was reported ready so often, although an attempt
 * would still have blocked, that some context has to block for it.
 */
static bool req_gives_up_polling(struct io2_req *req)
{
	if (req->retries++ < READY_RETRIES)
		return false;
	req->flags |= REQ_F_POLLED;
	return true;
}

/*
 * With SETUP_TASKRUN_FLAG the application looks whether it has to call ENTER. If it
 * also polls the ring, it learns of a parked request, and runs it in its own ENTER.
 * That spares it the retry worker.
 */
static bool req_is_left_to_application(const struct io2_req *req)
{
	if (!(req->ring->setup_flags & IOURING2_SETUP_TASKRUN_FLAG))
		return false;
	/* a hint, and no barrier: whoever polls later finds the parked request */
	return waitqueue_active(&req->ring->pollers);
}

/**
 * io2_req_ready() - go on with a request whose file has become ready
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: any task context.
 */
void io2_req_ready(struct io2_req *req, struct io2_batch *b)
{
	/* IOSQE_ASYNC is about the submission; this request has waited since */
	enum io2_do where = io2_where(IO2_STAGE_READY,
				      what_of(req, b->ctx) & ~IO2_W_ASYNC);

	if (where == IO2_DO_RETRY && req_is_left_to_application(req))
		where = IO2_DO_PARK;
	io2_req_go(req, b, where);
}

/**
 * io2_req_again() - go on with a request that waited for its ordering key
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: any task context.
 */
void io2_req_again(struct io2_req *req, struct io2_batch *b)
{
	io2_req_go(req, b, io2_req_where_again(req, b->ctx));
}

/*
 * Arms @req on its file.
 *
 * Return: true if the file is ready now, or cannot be waited for: the caller
 * goes on. Otherwise the caller must not touch @req any more.
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
 * io2_req_go_async() - have a request wait that would block
 * @req: owned by the caller
 * @b: collects its completion, if it completes here
 *
 * Arms a poll if the file supports that. Otherwise a worker or a task of the
 * submitting process blocks for the request.
 *
 * Context: task context; uring_lock held, unless @req is tracked.
 * Return: true if the caller must issue @req once more; otherwise the caller
 * must not touch @req any more.
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
 * io2_req_issue() - try a request without blocking, and have it wait if it would
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: task context; with the submitter's memory, if the opcode uses it.
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
 * Issues @req and lets it block. An interruptible sleep ends at @expires.
 *
 * Return: IO2_AGAIN if the sleep was ended; @req may have made partial
 * progress. Otherwise what issue() returned.
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

/* The request's sleep was ended by the breaker, a signal or cancellation. */
static void req_sleep_ended(struct io2_req *req, struct io2_batch *b)
{
	if (io2_req_was_interrupted(req)) {
		io2_req_set(req, -ECANCELED);
		io2_req_complete(req, b);
	} else if (b->ctx == IO2_CTX_WORKER && signal_pending(current)) {
		/* the submitting process is being killed */
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
 * How long may a task in ENTER block for this request? The task returns to its
 * other parked requests and to its wait from time to time. The interval doubles
 * with each attempt that was ended.
 */
static ktime_t turn_expires(struct io2_req *req, const struct io2_batch *b)
{
	unsigned int ms = IO2_BLOCK_MS << min_t(u8, req->retries,
						IO2_BLOCK_LONGER);

	if (req->retries < U8_MAX)
		req->retries++;
	return min(b->expires, ktime_add_ms(ktime_get(), ms));
}

/* The file was ready. If it blocks now, another reader or writer came first. */
static ktime_t expires_soon(void)
{
	return ktime_add_ms(ktime_get(), IO2_BLOCK_MS);
}

/* Until when may the caller block for this request? */
static ktime_t block_expires(struct io2_req *req, const struct io2_batch *b)
{
	const struct io2_op *op = io2_req_op(req);

	if (b->ctx != IO2_CTX_TURN)
		/* a worker may block until everything is written */
		return op->pollout || !req_can_poll(req) ? KTIME_MAX :
							   expires_soon();
	if (op->blocking)
		return b->expires;
	return req_can_poll(req) ? min(b->expires, expires_soon()) :
				   turn_expires(req, b);
}

/**
 * io2_req_block() - do a request in a context that may block
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Even here a request waits by a poll, if its file supports that.
 *
 * Context: a worker, or a task of the submitting process in its turn.
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
		req_sleep_ended(req, b);
		return;
	}
	if (ret == IO2_DONE)
		io2_req_complete(req, b);
}

static bool req_needs_task(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return op->needs_task && op->needs_task(req);
}

/**
 * io2_req_run_borrowed() - do a request with a borrowed context
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 * @bw: the submitter's context. If its address space is gone, the request and
 *	its chain are cancelled.
 * @block: the request may block; otherwise it is only tried
 *
 * A request whose memory a kernel thread must not touch is parked.
 *
 * Context: kernel thread that has borrowed @bw.
 */
void io2_req_run_borrowed(struct io2_req *req, struct io2_batch *b,
			  const struct io2_borrow *bw, bool block)
{
	if (!bw->have_mm)
		io2_cancel_chain(req, b);
	else if (req_needs_task(req))
		io2_park(req, b, io2_req_block);
	else if (block)
		io2_req_block(req, b);
	else
		io2_req_issue(req, b);
}

/*
 * Return: true if current is submitting this request or its chain. Its process
 * then has the ring, and has not executed another program since.
 */
static bool req_is_submitters(const struct io2_req *req,
			      const struct io2_batch *b)
{
	return b->ctx == IO2_CTX_SUBMIT &&
	       (!req->sub || (req->sub == req->ring->submitter &&
			      !READ_ONCE(req->sub->ends)));
}

/* Return: true if the request must not start any more. */
static bool req_must_not_start(const struct io2_req *req)
{
	return io2_ring_dying(req->ring) || READ_ONCE(req->sub->ends) ||
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

/*
 * Starts a request in the task that submits it. issue() itself says whether it
 * would block.
 *
 * Return: true if the request has its result.
 */
static __always_inline bool req_start_here(struct io2_req *req,
					   const struct io2_op *op,
					   struct io2_batch *b)
{
	enum io2_issue ret;

	io2_batch_may_stall(req, b);
	ret = op->issue(req, IO2_NONBLOCK | IO2_CTX_SUBMIT << IO2_CTX_SHIFT);
	if (likely(ret == IO2_DONE))
		return true;
	if (ret == IO2_AGAIN && io2_req_go_async(req, b))
		io2_req_issue(req, b);
	return false;
}

/**
 * io2_req_start() - start an accepted request, or the next one of a chain
 * @req: owned by the caller; not to be touched afterwards
 * @b: collects its completion
 *
 * Context: any task context.
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
	if (!own && req_must_not_start(req)) {
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
	if (likely(req_start_here(req, op, b)))
		io2_req_complete(req, b);
}

/* Is it certain that the request ends in the task that submits it? */
static bool req_ends_at_once(const struct io2_req *req)
{
	return io2_req_op(req)->at_once &&
	       !(req->flags & (REQ_F_ABORT | REQ_F_ASYNC | REQ_F_OP));
}

/*
 * Completes a request that is part of a chain and was never handed over, if
 * nothing has to be done but that. The next request starts before its CQE is
 * posted, and must not complete elsewhere before that.
 *
 * Return: the next request of the chain, which may start; or NULL if the rest of
 * the chain was taken care of.
 */
static struct io2_req *req_complete_in_chain(struct io2_req *req,
					     struct io2_batch *b)
{
	struct io2_req *link = req->link;

	if (unlikely((link && !req_ends_at_once(link)) || req->sub ||
		     (req->flags & (REQ_F_DATA | REQ_F_FAIL)) ||
		     !io2_req_put_file(req))) {
		io2_req_complete(req, b);
		return NULL;
	}
	req->link = NULL;
	io2_batch_add_done(b, req);
	return link;
}

/**
 * io2_req_start_chain() - start a chain that its submission has just accepted
 * @req: its head, not tracked; not to be touched afterwards
 * @b: the batch of the submission
 *
 * As long as its requests end at once, each starts as soon as the one before it
 * has ended. Their CQEs are posted in this order, together with others.
 *
 * Context: task context; uring_lock held.
 */
void io2_req_start_chain(struct io2_req *req, struct io2_batch *b)
{
	const struct io2_op *op;
	int ret;

	lockdep_assert_held(&b->ring->uring_lock);
	if (unlikely(req->flags & (REQ_F_ABORT | REQ_F_ASYNC))) {
		io2_req_start(req, b);
		return;
	}
	do {
		op = io2_req_op(req);
		ret = op->needs_file ? io2_req_get_file(req) : 0;
		if (unlikely(ret))
			io2_req_set(req, ret);
		else if (unlikely(!req_start_here(req, op, b)))
			return;
		req = req_complete_in_chain(req, b);
	} while (req);
}
