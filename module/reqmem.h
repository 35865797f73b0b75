/* SPDX-License-Identifier: GPL-2.0-only */
/* A request's memory, file and submitter: allocate, look up, release. */
#ifndef IO2_REQMEM_H
#define IO2_REQMEM_H

#include "debug/counters.h"
#include "file.h"
#include "req.h"

int io2_reqmem_init(void);
void io2_reqmem_exit(void);
void io2_req_list_free(struct io2_req *list);
void io2_req_free(struct io2_req *req);
void io2_req_cache_put(struct io2_ring *ring, struct io2_req *req);
bool io2_req_cache_fill(struct io2_ring *ring, struct io2_req *retired);
void io2_req_recycle_some(struct io2_ring *ring, struct io2_req_list *list);
void io2_req_track_links(struct io2_req *req);

/**
 * io2_req_track() - record which submitter a request belongs to
 * @req: the request, about to be handed over by the submitting task. The rest of
 *	its chain, which starts after it, is recorded as well.
 *
 * The submitting task borrows a file from its descriptor table, as a system call
 * does. From here on the request has a reference of its own.
 *
 * Context: uring_lock held, unless the request is tracked already.
 */
static inline void io2_req_track(struct io2_req *req)
{
	if (req->sub)
		return;
	lockdep_assert_held(&req->ring->uring_lock);
	req->sub = req->ring->submitter;
	atomic_inc(&req->sub->nr_reqs);
	if (req->flags & REQ_F_BORROWED) {
		req->flags &= ~REQ_F_BORROWED;
		get_file(req->file);
		io2_count_add(IO2_COUNT_FILES, 1);
	}
	if (unlikely(req->link))
		io2_req_track_links(req);
}

/**
 * io2_req_recycle() - put retired requests into the cache, up to a limit
 * @ring: the ring
 * @list: the requests
 * @nr: their number; may be 0
 *
 * Context: uring_lock held.
 */
static __always_inline void io2_req_recycle(struct io2_ring *ring,
					    struct io2_req_list *list, u32 nr)
{
	lockdep_assert_held(&ring->uring_lock);
	if (!nr)
		return;
	if (unlikely(ring->nr_free + nr > ring->max_cached)) {
		io2_req_recycle_some(ring, list);
		return;
	}
	list->last->next = ring->free_reqs;
	ring->free_reqs = list->first;
	ring->nr_free += nr;
}

struct file *io2_req_lookup(const struct io2_req *req, int fd);
int io2_req_get_file(struct io2_req *req);
struct file *io2_req_take_file(struct io2_req *req);
bool io2_req_close_file(struct io2_req *req, enum io2_ctx ctx);
void io2_req_release_unstarted(struct io2_req *req);
bool io2_req_release_atomic(struct io2_req *req);

/**
 * io2_req_set_own_file() - make the ring's own file that of a request
 * @req: the request, without a file
 * @file: the file of a ring; not referenced
 *
 * The request gets no reference: it would keep the ring from being released. The
 * release waits until the request does not use the file any more. So the caller
 * has dropped its reference before, which may have been the last one.
 *
 * Context: task context.
 * Return: false if it is the file of another ring, or the ring has been released.
 * The request has no file then.
 */
static inline bool io2_req_set_own_file(struct io2_req *req, struct file *file)
{
	struct io2_ring *ring = req->ring;

	atomic_inc(&ring->nr_own_file);
	/* pairs with io2_ring_shutdown() */
	smp_mb__after_atomic();
	if (file != READ_ONCE(ring->file)) {
		atomic_dec(&ring->nr_own_file);
		return false;
	}
	req->flags |= REQ_F_OWN_RING;
	req->file = file;
	return true;
}

/**
 * io2_req_put_file() - drop a request's file reference unless it is the last one
 * @req: the request
 *
 * Context: any.
 * Return: false if it is the last one. The request still has the file then.
 */
static __always_inline bool io2_req_put_file(struct io2_req *req)
{
	struct file *file = req->file;

	if (!file)
		return true;
	if (!(req->flags & (REQ_F_OWN_RING | REQ_F_BORROWED))) {
		if (unlikely(!io2_file_put_shared(file)))
			return false;
		io2_count_sub(IO2_COUNT_FILES, 1);
	} else if (req->flags & REQ_F_OWN_RING) {
		atomic_dec(&req->ring->nr_own_file);
	}
	req->file = NULL;
	return true;
}

/**
 * io2_req_free_data() - free what the opcode has allocated
 * @req: the request
 *
 * Context: may sleep, if there is anything to free.
 */
static __always_inline void io2_req_free_data(struct io2_req *req)
{
	if (req->flags & REQ_F_DATA) {
		req->flags &= ~REQ_F_DATA;
		io2_req_op(req)->cleanup(req);
	}
}

/**
 * io2_req_drop_submitter() - drop a request's count of its submitter
 * @req: the request
 *
 * Context: any.
 */
static __always_inline void io2_req_drop_submitter(struct io2_req *req)
{
	if (req->sub) {
		atomic_dec(&req->sub->nr_reqs);
		req->sub = NULL;
	}
}

/**
 * io2_req_release() - release a request's resources but its memory
 * @req: a request that will not be issued again
 * @ctx: the context of the caller
 *
 * Context: task context, may sleep.
 * Return: false if the request must wait for its file to be closed. It still
 * has the file and the submitter then.
 */
static __always_inline bool io2_req_release(struct io2_req *req,
					    enum io2_ctx ctx)
{
	io2_req_free_data(req);
	if (unlikely(!io2_req_put_file(req)) && !io2_req_close_file(req, ctx))
		return false;
	io2_req_drop_submitter(req);
	return true;
}

#endif
