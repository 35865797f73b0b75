// SPDX-License-Identifier: GPL-2.0-only
/*
 * The resources of a request: its memory, which the ring reuses for later
 * requests, its file, and its submitter.
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
 * Context: task context, interrupts enabled, which kmem_cache_free_bulk() asks
 * for.
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
 * io2_req_free() - free a retired request
 * @req: the request
 *
 * Context: any.
 */
void io2_req_free(struct io2_req *req)
{
	kmem_cache_free(io2_req_cache, req);
	io2_count_sub(IO2_COUNT_REQUESTS, 1);
}

/**
 * io2_req_cache_put() - add a free request to the ring's cache
 * @ring: the ring
 * @req: the request, without resources
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
 * io2_req_recycle_some() - fill the cache with retired requests, free the rest
 * @ring: the ring
 * @list: more requests than the cache may take
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
 * io2_req_cache_fill() - fill the empty cache
 * @ring: the ring
 * @retired: requests that were posted meanwhile, linked by next, or NULL
 *
 * Context: may sleep; uring_lock held.
 * Return: true if there are free requests now.
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
		/* a request that returns to the cache has none of these either */
		req->file = NULL;
		req->sub = NULL;
		req->link = NULL;
		req->key = NULL;
		io2_req_cache_put(ring, req);
	}
	io2_count_add(IO2_COUNT_REQUESTS, n);
	return true;
}

/* --- the submitter ------------------------------------------------------- */

/**
 * io2_req_track_links() - the slow path of io2_req_track()
 * @req: a request that is tracked, and whose links are not
 *
 * Context: uring_lock held.
 */
void io2_req_track_links(struct io2_req *req)
{
	struct io2_submitter *sub = req->sub;
	int nr = 0;

	lockdep_assert_held(&req->ring->uring_lock);
	while ((req = req->link)) {
		req->sub = sub;
		nr++;
	}
	atomic_add(nr, &sub->nr_reqs);
}

/* --- the file ------------------------------------------------------------- */

/**
 * io2_req_lookup() - look up a descriptor in the fd table of the submitter
 * @req: the request
 * @fd: the descriptor
 *
 * Context: any task context; may sleep.
 * Return: the file, referenced, or NULL.
 */
struct file *io2_req_lookup(const struct io2_req *req, int fd)
{
	const struct io2_submitter *sub = req->sub;

	if (!sub || (io2_submitter_is_process(sub) &&
		     current->files == READ_ONCE(sub->files)))
		return fget(fd);
	return io2_submitter_fget(sub, fd);
}

/**
 * io2_req_get_file() - look up the file of a request that starts
 * @req: owned by the caller, without a file
 *
 * Context: any task context; may sleep.
 * Return: 0; -EBADF; -EOPNOTSUPP for another ring; -ECANCELED if the process is
 * leaving the ring.
 */
int io2_req_get_file(struct io2_req *req)
{
	bool borrowed = false;
	struct file *file;

	/* registered files are not supported */
	if (req->flags & IOURING2_SQE_FIXED_FILE)
		return -EBADF;
	if (req->sub) {
		file = io2_req_lookup(req, req->fd);
	} else {
		/* has another thread closed the ring since the submission began? */
		if (unlikely(READ_ONCE(req->ring->submitter->ends)))
			return -ECANCELED;
		file = io2_fdget(req->fd, &borrowed);
	}
	if (!file)
		return -EBADF;
	if (io2_is_ring_file(file)) {
		if (!borrowed)
			io2_file_put(file);
		/* two rings that reference each other would never be freed */
		return io2_req_set_own_file(req, file) ? 0 : -EOPNOTSUPP;
	}
	req->file = file;
	if (borrowed)
		req->flags |= REQ_F_BORROWED;
	else
		io2_count_add(IO2_COUNT_FILES, 1);
	return 0;
}

/**
 * struct req_closer - a file that is closed without its request
 * @work: closes it
 * @file: the file, with its last reference
 *
 * Lifetime: until the file has been closed, which may be longer than the ring
 * lives. Holds a module reference. Only the work item has access, so no lock is
 * needed.
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
 * May current close a request's file itself? A task that leaves or ends the
 * ring may: its fput() closes the file on its way out of the kernel, which is
 * soon. For other tasks a work item does that, and for a kernel thread, in which
 * fput() would leave the close to the kernel.
 */
static bool req_may_close_file(const struct io2_req *req, enum io2_ctx ctx)
{
	/* compare the tgid: an exiting task may have no mm or files any more */
	return ctx == IO2_CTX_LEAVE && !(current->flags & PF_KTHREAD) &&
	       (io2_ring_dying(req->ring) || !req->sub ||
		req->sub->tgid == task_tgid(current));
}

/**
 * io2_req_take_file() - take over a request's file reference
 * @req: has a file, and a reference to it
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
 * Closes the file in a detached work item, if the close may have to wait for a
 * peer or a server. No request and no ring waits for that item.
 *
 * Return: false if the request must wait for the close. It still has the file
 * then.
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
 * @req: has the last reference to its file
 * @ctx: the context of the caller
 *
 * Context: task context, may sleep.
 * Return: false if the request must wait for a work item that closes the file.
 * It still has the file then.
 */
bool io2_req_close_file(struct io2_req *req, enum io2_ctx ctx)
{
	if (!req_may_close_file(req, ctx))
		return req_detach_file(req);
	fput(io2_req_take_file(req));
	return true;
}

/**
 * io2_req_release_unstarted() - release all resources but the request's memory
 * @req: a request that was not started, and so has no file yet
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
 * io2_req_release_atomic() - release a request's resources without sleeping
 * @req: has no data of its opcode to free
 *
 * Context: any.
 * Return: false if that would close its file. Nothing has changed then.
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
 * io2_reqmem_init() - create the slab cache of requests
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
 * io2_reqmem_exit() - destroy the slab cache of requests
 *
 * Context: module exit; no ring exists.
 */
void io2_reqmem_exit(void)
{
	kmem_cache_destroy(io2_req_cache);
}
