// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ordering keys. Some requests of a submitter run one after the other, because
 * if they ran at the same time they would only wait for each other:
 *
 *   - buffered writes to one file: the file system lets in one at a time;
 *   - reads of one file, or writes to it, if the file can be polled but not
 *     tried without blocking. One datum wakes all readers. One of them gets it,
 *     and each of the others would block a worker.
 *
 * The request that holds the key is the head: it runs, or waits for its file.
 * The others wait in a list behind it, use no thread, and become the head in
 * order.
 */
#include <linux/hash.h>
#include <linux/slab.h>

#include "debug/trace.h"
#include "file.h"
#include "hash.h"
#include "key.h"
#include "req.h"
#include "ring.h"
#include "submitter.h"

/**
 * struct io2_key - one ordering key in use
 * @node: in the submitter's table of keys
 * @what: an inode or a file; only compared
 * @write: for writes, else for reads
 * @waiting: requests that wait for the key, oldest first
 *
 * Lifetime: as long as a request holds it. All fields are guarded by pool_lock.
 */
struct io2_key {
	struct hlist_node	node;
	const void		*what;
	bool			write;
	struct list_head	waiting;
};

/**
 * io2_key_is_for_worker() - does a worker do the request that holds this key?
 * @req: holds the key
 *
 * Context: any.
 * Return: true for a buffered write; all others wait for their file.
 */
bool io2_key_is_for_worker(const struct io2_req *req)
{
	return io2_req_op(req)->hash_write &&
	       S_ISREG(file_inode(req->file)->i_mode) &&
	       !(req->file->f_flags & O_DIRECT);
}

/* Can the file be polled, but not tried without blocking? */
static bool can_only_poll(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return (op->pollin || op->pollout) && !io2_file_nowait(req->file) &&
	       file_can_poll(req->file) && !io2_file_is_data(req->file);
}

/* Return: the inode or file to compare, or NULL if @req needs no key. */
static const void *key_of(const struct io2_req *req)
{
	if (!req->file)
		return NULL;
	if (io2_key_is_for_worker(req))
		return file_inode(req->file);
	if (!can_only_poll(req))
		return NULL;
	/* a pipe may be open more than once; other inodes stand for many files */
	if (S_ISFIFO(file_inode(req->file)->i_mode))
		return file_inode(req->file);
	return req->file;
}

static struct hlist_head *key_bucket(struct io2_submitter *sub,
				     const void *what)
{
	return &sub->pool.keys[hash_ptr(what, ilog2(IO2_KEYS))];
}

static struct io2_key *key_find(const struct io2_req *req, const void *what)
{
	bool write = io2_req_op(req)->pollout;
	struct io2_key *key;

	lockdep_assert_held(&req->ring->pool_lock);
	hlist_for_each_entry(key, key_bucket(req->sub, what), node)
		if (key->what == what && key->write == write)
			return key;
	return NULL;
}

/*
 * Return: true if @req waits for @key now; false if it was cancelled and must
 * not wait.
 */
static bool key_wait(struct io2_req *req, struct io2_key *key)
{
	if (!io2_hash_add(req, IO2_ARMED_WORKER))
		return false;
	req->pool_class = IO2_KEYED;
	WRITE_ONCE(req->pool_state, IO2_POOL_QUEUED);
	list_add_tail(&req->node, &key->waiting);
	trace_iouring2_queue(req, IO2_KEYED);
	return true;
}

static void key_give(struct io2_req *req, struct io2_key *key,
		     const void *what)
{
	lockdep_assert_held(&req->ring->pool_lock);
	key->what = what;
	key->write = io2_req_op(req)->pollout;
	INIT_LIST_HEAD(&key->waiting);
	hlist_add_head(&key->node, key_bucket(req->sub, what));
	req->key = key;
}

/*
 * Return: false if @req waits. Uses up *@new if it needs a key, or sets *@need
 * if *@new is NULL.
 */
static bool key_try(struct io2_req *req, const void *what,
		    struct io2_key **new, bool *need)
{
	struct io2_ring *ring = req->ring;
	struct io2_key *key;
	bool go = true;

	spin_lock(&ring->inflight_lock);
	spin_lock(&ring->pool_lock);
	key = key_find(req, what);
	if (key) {
		go = !key_wait(req, key);
	} else if (*new) {
		key_give(req, *new, what);
		*new = NULL;
	} else {
		*need = true;
	}
	spin_unlock(&ring->pool_lock);
	spin_unlock(&ring->inflight_lock);
	return go;
}

/**
 * io2_key_take() - take a request's ordering key, or wait for it
 * @req: tracked, owned by the caller
 *
 * If there is no memory for a key, the request goes on without one. Keys save
 * threads; correctness does not depend on them.
 *
 * Context: may sleep.
 * Return: true if the request may go on. Otherwise it waits behind the head,
 * and the caller must not touch it any more.
 */
bool io2_key_take(struct io2_req *req)
{
	const void *what = req->key ? NULL : key_of(req);
	struct io2_key *new = NULL;
	bool need = false, go;

	if (!what)
		return true;
	go = key_try(req, what, &new, &need);
	if (!need)
		return go;
	new = kmalloc(sizeof(*new), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!new)
		return true;
	go = key_try(req, what, &new, &need);
	kfree(new);
	return go;
}

/**
 * io2_key_pass() - pass the ordering key of a request that has ended to the next one
 * @req: the head; owned by the caller
 * @unused: set to the key if no request waits for it; the caller frees it with
 *	io2_key_free()
 *
 * Context: pool_lock held.
 * Return: the next request, which the caller now owns; or NULL.
 */
struct io2_req *io2_key_pass(struct io2_req *req, struct io2_key **unused)
{
	struct io2_key *key = req->key;
	struct io2_req *next;

	lockdep_assert_held(&req->ring->pool_lock);
	req->key = NULL;
	next = list_first_entry_or_null(&key->waiting, struct io2_req, node);
	if (!next) {
		hlist_del(&key->node);
		*unused = key;
		return NULL;
	}
	list_del_init(&next->node);
	next->key = key;
	WRITE_ONCE(next->pool_state, IO2_POOL_RUNNING);
	return next;
}

/**
 * io2_key_free() - free an unused key
 * @key: the key, or NULL
 *
 * Context: any.
 */
void io2_key_free(struct io2_key *key)
{
	kfree(key);
}
