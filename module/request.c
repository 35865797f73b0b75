// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a request once it is accepted: memory, starting, issuing,
 * completing, and what is linked to it.  Knows nothing of any opcode but what
 * the table says.
 */
#include <linux/file.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "cancel.h"
#include "counters.h"
#include "cq.h"
#include "deferred.h"
#include "poll.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

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

/**
 * io2_req_cache_put() - keep a free request for the next one
 * @ring: the ring
 * @req: holds nothing
 *
 * Context: uring_lock held.
 */
void io2_req_cache_put(struct io2_ring *ring, struct io2_req *req)
{
	lockdep_assert_held(&ring->uring_lock);
	req->next = ring->free_reqs;
	ring->free_reqs = req;
	ring->nr_free++;
}

/**
 * io2_req_recycle_some() - keep some of retired requests, free the others
 * @ring: the ring
 * @list: more than it may keep
 *
 * Context: uring_lock held.
 */
void io2_req_recycle_some(struct io2_ring *ring, struct io2_req_list *list)
{
	lockdep_assert_held(&ring->uring_lock);
	while (ring->nr_free < IO2_REQ_CACHE_MAX)
		io2_req_cache_put(ring, io2_list_pop(list));
	io2_req_list_free(list->first);
}

/**
 * io2_req_cache_fill() - have free requests
 * @ring: a ring without any
 *
 * Context: may sleep; uring_lock held.
 * Return: whether there are some.
 */
bool io2_req_cache_fill(struct io2_ring *ring)
{
	void *objs[REQ_BULK];
	unsigned int i, n = REQ_BULK;
	struct io2_req *req, *next;

	for (req = io2_cq_retired(ring); req; req = next) {
		next = req->next;
		io2_req_cache_put(ring, req);
	}
	if (ring->nr_free)
		return true;
	if (!kmem_cache_alloc_bulk(io2_req_cache, GFP_KERNEL, n, objs)) {
		objs[0] = kmem_cache_alloc(io2_req_cache, GFP_KERNEL);
		if (!objs[0])
			return false;
		n = 1;
	}
	for (i = 0; i < n; i++) {
		req = objs[i];
		req->ring = ring;
		io2_req_cache_put(ring, req);
	}
	io2_count_add(IO2_COUNT_REQUESTS, n);
	return true;
}

/*
 * Whoever lets go of the last reference closes the file.  A kernel thread does it
 * here: with a plain fput() it would be later (I9).  A task does it on its way out
 * of the kernel, which is soon for who leaves the ring, or ends it.  Who is in
 * ENTER may wait for what comes of that very close, and must not.
 */
static noinline void req_close_file(struct io2_req *req)
{
	struct file *file = req->file;

	req->file = NULL;
	io2_count_sub(IO2_COUNT_FILES, 1);
	if (current->flags & PF_KTHREAD)
		__fput_sync(file);
	else
		fput(file);
}

static bool req_may_close_file(const struct io2_req *req)
{
	return (current->flags & PF_KTHREAD) || io2_ring_dying(req->ring);
}

/* Return: false if nobody else has the file; then it is still there. */
static __always_inline bool req_put_file(struct io2_req *req)
{
	struct file *file = req->file;

	if (!file)
		return true;
	if (!(req->flags & REQ_F_OWN_RING)) {
		if (unlikely(!io2_file_put_shared(file)))
			return false;
		io2_count_sub(IO2_COUNT_FILES, 1);
	}
	req->file = NULL;
	return true;
}

static __always_inline void req_free_data(struct io2_req *req)
{
	if (req->flags & REQ_F_DATA) {
		req->flags &= ~REQ_F_DATA;
		io2_req_op(req)->cleanup(req);
	}
}

static __always_inline void req_drop_submitter(struct io2_req *req)
{
	if (req->sub) {
		atomic_dec(&req->sub->nr_reqs);
		req->sub = NULL;
	}
}

/* Return: false if that would close the file, which is not for current to do. */
static __always_inline bool req_release(struct io2_req *req)
{
	req_free_data(req);
	if (unlikely(!req_put_file(req))) {
		if (!req_may_close_file(req))
			return false;
		req_close_file(req);
	}
	req_drop_submitter(req);
	return true;
}

/**
 * io2_req_release() - give back all that a request holds but its own memory
 * @req: a request that will not be issued again
 *
 * Context: task context, may sleep; current leaves the ring or ends it.
 */
void io2_req_release(struct io2_req *req)
{
	if (!req_release(req)) {
		req_close_file(req);
		req_drop_submitter(req);
	}
}

/**
 * io2_req_disown() - give back what a request holds, where nothing may sleep
 * @req: has no data of its own
 *
 * Context: any.
 * Return: false if it would have to close its file; then nothing has changed.
 */
bool io2_req_disown(struct io2_req *req)
{
	if (!req_put_file(req))
		return false;
	req_drop_submitter(req);
	return true;
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

/* Its file is closed by the workqueue, which then goes on. */
static noinline void req_end_file(struct io2_req *req)
{
	io2_req_track(req);
	req->run = io2_req_complete;
	io2_defer_elsewhere(req);
}

/* It is completed when those before it, which the batch has, are posted. */
static void req_fail_later(struct io2_req *link, bool skip, struct io2_batch *b)
{
	/* it has been decided who is heard */
	link->flags &= ~REQ_F_FAIL;
	link->flags |= REQ_F_ABORT;
	if (skip)
		link->flags |= REQ_F_SKIP_LINK_CQES;
	io2_list_add(&b->start, link);
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
		if (unlikely(!req_release(link))) {
			req_fail_later(link, skip, b);
			return;
		}
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
	if (unlikely(!req_release(req))) {
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
 * io2_req_complete_plain() - the same for one that nobody else has seen
 * @req: alone, with its result; not to be touched afterwards
 * @b: collects it
 *
 * Context: task context; uring_lock held.
 */
void io2_req_complete_plain(struct io2_req *req, struct io2_batch *b)
{
	if (unlikely(!req_release(req)))
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

	if (b->issue_flags & IO2_SUBMIT)
		io2_req_recycle(b->ring, &b->done, nr);
	else
		io2_req_list_free(b->done.first);
	io2_list_init(&b->done);
}

static noinline void batch_start(struct io2_batch *b)
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
	for (;;) {
		if (likely(b->done.first))
			batch_post(b);
		if (likely(!b->start.first))
			break;
		batch_start(b);
	}
}

/* --- issuing ----------------------------------------------------------- */

static bool req_is_personal(const struct io2_req *req)
{
	return io2_req_op(req)->uses_mm && req->file &&
	       io2_file_is_personal(req->file);
}

static void req_refuse(struct io2_req *req, struct io2_batch *b)
{
	io2_req_set(req, -EOPNOTSUPP);
	io2_req_complete(req, b);
}

static bool req_can_poll(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return (op->pollin || op->pollout) && req->file &&
	       file_can_poll(req->file) && !(req->flags & REQ_F_POLLED);
}

/**
 * io2_req_go_async() - it would block: have it wait for
 * @req: owned by the caller
 * @b: collects its completion, if it is one already
 *
 * Waits for the file to become ready where it can tell, else has a worker block
 * for us.
 *
 * Context: task context; uring_lock held, unless @req is tracked.
 * Return: whether to issue it once more here; otherwise @req is not to be
 * touched afterwards.
 */
bool io2_req_go_async(struct io2_req *req, struct io2_batch *b)
{
	enum io2_issue ret;

	io2_req_track(req);
	/* a worker would read its own signals */
	if (req_is_personal(req) && !io2_file_nowait(req->file)) {
		req_refuse(req, b);
		return false;
	}
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

static __always_inline void req_issue(struct io2_req *req,
				      struct io2_batch *b,
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
		if (!io2_req_go_async(req, b))
			return;
	}
	io2_req_complete(req, b);
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
	req_issue(req, b, flags);
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

/* POLL_REMOVE has no file yet: it may find one that does not answer. */
static bool req_may_wait_for_answer(const struct io2_req *req)
{
	return !(req->file && io2_file_answers(req->file));
}

static __always_inline bool req_needs_worker(const struct io2_req *req,
					     const struct io2_op *op)
{
	if (op->uses_mm)
		return io2_req_is_foreign(req);
	return op->polls && req->sub && (current->flags & PF_KTHREAD) &&
	       req_may_wait_for_answer(req);
}

/**
 * io2_req_needs_worker() - is it for a worker that is on record as running it?
 * @req: the request
 *
 * User memory is for its owner to touch, or for such a worker: it may take a page
 * fault that never ends.  So may asking a file for its events, which the workqueue
 * must not do: it cannot be killed.
 *
 * Context: task context, not that worker.
 * Return: whether it is.
 */
bool io2_req_needs_worker(const struct io2_req *req)
{
	return req_needs_worker(req, io2_req_op(req));
}

/*
 * Only its submitter can read it.  Without one in ENTER it has to wait for the next;
 * another process cannot wait for that.
 */
static void req_for_submitter(struct io2_req *req, struct io2_batch *b)
{
	if ((current->flags & PF_KTHREAD) && !io2_ring_dying(req->ring))
		io2_defer_to_task(req);
	else
		req_refuse(req, b);
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
	if (!io2_req_needs_worker(req))
		io2_req_issue(req, b, b->issue_flags);
	else if (req_is_personal(req))
		req_for_submitter(req, b);
	else
		io2_worker_retry(req, b);
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
		if (req_is_personal(req))
			req_refuse(req, b);
		else
			io2_worker_queue(req, b);
		return;
	}
	if (!req_needs_worker(req, op))
		req_issue(req, b, b->issue_flags);
	else if (req_is_personal(req))
		req_refuse(req, b);
	else
		io2_worker_retry(req, b);
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
