// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a request is made of and holds: its memory, which the ring keeps for the
 * next one, its file, and its submitter.
 */
#include <linux/file.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "defer.h"
#include "reqmem.h"
#include "ring.h"
#include "submitter.h"

#define REQ_BULK	16	/* requests allocated at a time */

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
	void *objs[REQ_BULK];
	unsigned int n;

	while (list) {
		for (n = 0; list && n < REQ_BULK; n++) {
			objs[n] = list;
			list = list->next;
		}
		kmem_cache_free_bulk(io2_req_cache, n, objs);
		io2_count_sub(IO2_COUNT_REQUESTS, n);
	}
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
	while (ring->nr_free < ring->max_cached)
		io2_req_cache_put(ring, io2_list_pop(list));
	io2_req_list_free(list->first);
}

/**
 * io2_req_cache_fill() - have free requests
 * @ring: a ring without any
 * @retired: requests that were posted meanwhile, linked by next, or NULL
 *
 * Context: may sleep; uring_lock held.
 * Return: whether there are some.
 */
bool io2_req_cache_fill(struct io2_ring *ring, struct io2_req *retired)
{
	void *objs[REQ_BULK];
	unsigned int i, n = REQ_BULK;
	struct io2_req *req, *next;

	for (req = retired; req; req = next) {
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
		/* it has none when it is used again, either */
		req->key = NULL;
		io2_req_cache_put(ring, req);
	}
	io2_count_add(IO2_COUNT_REQUESTS, n);
	return true;
}

/* --- the file ------------------------------------------------------------- */

/**
 * io2_req_lookup() - look up a descriptor in the table of who submitted a request
 * @req: the request
 * @fd: the descriptor
 *
 * Context: task context, anybody's; may sleep.
 * Return: the file, referenced, or NULL.
 */
struct file *io2_req_lookup(const struct io2_req *req, int fd)
{
	if (!req->sub || io2_submitter_is_process(req->sub))
		return fget(fd);
	return io2_submitter_fget(req->sub, fd);
}

/**
 * io2_req_get_file() - look up the file of a request that starts
 * @req: owned by the caller, without a file
 *
 * Context: as io2_req_lookup().
 * Return: 0; -EBADF; -EOPNOTSUPP for another ring.
 */
int io2_req_get_file(struct io2_req *req)
{
	struct file *file;

	/* there are no registered files yet */
	if (req->flags & IOURING2_SQE_FIXED_FILE)
		return -EBADF;
	file = io2_req_lookup(req, req->fd);
	if (!file)
		return -EBADF;
	if (io2_is_ring_file(file)) {
		bool own = file == req->ring->file;

		io2_file_put(file);
		/* two rings that hold each other would never be released */
		if (!own)
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
 * struct req_closer - a file that a request was the last to have
 * @work: closes it
 * @file: the file
 *
 * Lives until the file is closed, which may be longer than its ring; has a
 * reference on the module.
 */
struct req_closer {
	struct work_struct	work;
	struct file		*file;
};

static void closer_fn(struct work_struct *work)
{
	struct req_closer *c = container_of(work, struct req_closer, work);

	io2_file_close_sync(c->file);
	kfree(c);
	io2_count_sub(IO2_COUNT_FILES, 1);
	io2_defer_module_put();
}

/*
 * A task that leaves the ring, or ends it, closes a file itself: on its way out of
 * the kernel, which is soon.  For everybody else a work item does.
 */
static bool req_may_close_file(const struct io2_req *req, enum io2_ctx ctx)
{
	/* its memory and its table of descriptors may be gone already */
	return ctx == IO2_CTX_LEAVE &&
	       (io2_ring_dying(req->ring) || !req->sub ||
		req->sub->tgid == task_tgid(current));
}

/**
 * io2_req_take_file() - take over a request's reference of its file
 * @req: has a file, and a reference of it
 *
 * Context: any.
 * Return: the file.
 */
struct file *io2_req_take_file(struct io2_req *req)
{
	struct file *file = req->file;

	req->file = NULL;
	io2_count_sub(IO2_COUNT_FILES, 1);
	return file;
}

/*
 * The close of some files has to wait for a peer or a server, which may take its
 * time: nothing of the ring waits for that.
 *
 * Return: false if the request has to wait for it; the file is still there then.
 */
static bool req_detach_file(struct io2_req *req)
{
	struct req_closer *c;

	if (io2_file_ends_here(req->file))
		return false;
	c = kmalloc(sizeof(*c), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!c)
		return false;
	c->file = req->file;
	req->file = NULL;
	INIT_WORK(&c->work, closer_fn);
	io2_defer_detach(&c->work);
	return true;
}

/**
 * io2_req_close_file() - close a request's file, or have it closed
 * @req: has the last reference of its file
 * @ctx: who current is
 *
 * Context: task context, may sleep.
 * Return: false if the request has to wait for that; the file is still there then.
 */
bool io2_req_close_file(struct io2_req *req, enum io2_ctx ctx)
{
	if (!req_may_close_file(req, ctx))
		return req_detach_file(req);
	fput(io2_req_take_file(req));
	return true;
}

/**
 * io2_req_release_unstarted() - give back all that a request holds but its own memory
 * @req: a request that was not started: it has no file yet
 *
 * Context: task context, may sleep.
 */
void io2_req_release_unstarted(struct io2_req *req)
{
	io2_assert(!req->file);
	io2_req_free_data(req);
	io2_req_drop_submitter(req);
}

/**
 * io2_req_release_atomic() - give back what a request holds, where nothing may sleep
 * @req: has no data of its own
 *
 * Context: any.
 * Return: false if it would have to close its file; then nothing has changed.
 */
bool io2_req_release_atomic(struct io2_req *req)
{
	if (!io2_req_put_file(req))
		return false;
	io2_req_drop_submitter(req);
	return true;
}

/* --- the module --------------------------------------------------------- */

/**
 * io2_reqmem_init() - make the request cache
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int io2_reqmem_init(void)
{
	io2_req_cache = KMEM_CACHE(io2_req, SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT);
	return io2_req_cache ? 0 : -ENOMEM;
}

/**
 * io2_reqmem_exit() - destroy it
 *
 * Context: module exit; no ring exists.
 */
void io2_reqmem_exit(void)
{
	kmem_cache_destroy(io2_req_cache);
}
