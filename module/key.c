// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ordering keys.  Some requests of a submitter run one after the other, because
 * more of them at a time would only wait for each other:
 *
 *   - buffered writes to one file: the file system lets in one at a time;
 *   - reads of one file, or writes to it, that cannot be tried without blocking
 *     but can be polled: of many that wait for one datum one will get it, and the
 *     others would block a worker each.
 *
 * The request that has the key is the head: it runs, or waits for its file.  The
 * others are in a list behind it, cost nothing, and become the head in order.
 */
#include <linux/hash.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "cancel.h"
#include "deferred.h"
#include "key.h"
#include "kind.h"
#include "request.h"
#include "worker.h"

/**
 * struct io2_key - one ordering key that some request has
 * @node: in the submitter's table
 * @what: an inode or a file; only compared
 * @write: for writes, else for reads
 * @waiting: requests that want it, oldest first
 *
 * Lives as long as a request has it.  All under wq_lock.
 */
struct io2_key {
	struct hlist_node	node;
	const void		*what;
	bool			write;
	struct list_head	waiting;
};

static bool is_buffered_write(const struct io2_req *req)
{
	return io2_req_op(req)->hash_write &&
	       S_ISREG(file_inode(req->file)->i_mode) &&
	       !(req->file->f_flags & O_DIRECT);
}

/* Can it be waited for, but not be tried? */
static bool only_polls(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);

	return (op->pollin || op->pollout) && !io2_file_nowait(req->file) &&
	       file_can_poll(req->file) && !io2_file_is_data(req->file);
}

/* Return: what to compare, or NULL for a request that needs no key. */
static const void *key_of(const struct io2_req *req)
{
	if (!req->file)
		return NULL;
	if (is_buffered_write(req))
		return file_inode(req->file);
	if (!only_polls(req))
		return NULL;
	/* a pipe may be open more than once; other inodes stand for many files */
	if (S_ISFIFO(file_inode(req->file)->i_mode))
		return file_inode(req->file);
	return req->file;
}

static struct hlist_head *key_bucket(struct io2_submitter *sub,
				     const void *what)
{
	return &sub->wq.keys[hash_ptr(what, ilog2(IO2_KEYS))];
}

static struct io2_key *key_find(const struct io2_req *req, const void *what)
{
	bool write = io2_req_op(req)->pollout;
	struct io2_key *key;

	lockdep_assert_held(&req->ring->wq_lock);
	hlist_for_each_entry(key, key_bucket(req->sub, what), node)
		if (key->what == what && key->write == write)
			return key;
	return NULL;
}

/* Return: whether @req waits for @key now; it must not if it was cancelled. */
static bool key_wait(struct io2_req *req, struct io2_key *key)
{
	if (!io2_hash_add(req, IO2_ARMED_WORKER))
		return false;
	req->wq_class = IO2_KEYED;
	WRITE_ONCE(req->wq_state, IO2_WQ_QUEUED);
	list_add_tail(&req->node, &key->waiting);
	return true;
}

static void key_give(struct io2_req *req, struct io2_key *key,
		     const void *what)
{
	lockdep_assert_held(&req->ring->wq_lock);
	key->what = what;
	key->write = io2_req_op(req)->pollout;
	INIT_LIST_HEAD(&key->waiting);
	hlist_add_head(&key->node, key_bucket(req->sub, what));
	req->key = key;
}

/* Return: false if @req waits; *@new is used up, or NULL and needed. */
static bool key_try(struct io2_req *req, const void *what,
		    struct io2_key **new, bool *need)
{
	struct io2_ring *ring = req->ring;
	struct io2_key *key;
	bool go = true;

	spin_lock(&ring->inflight_lock);
	spin_lock(&ring->wq_lock);
	key = key_find(req, what);
	if (key) {
		go = !key_wait(req, key);
	} else if (*new) {
		key_give(req, *new, what);
		*new = NULL;
	} else {
		*need = true;
	}
	spin_unlock(&ring->wq_lock);
	spin_unlock(&ring->inflight_lock);
	return go;
}

/**
 * io2_key_take() - may a request go on, as far as its ordering key is concerned?
 * @req: tracked, owned by the caller
 *
 * Without memory for a key the request goes on without: the order is a matter of
 * cost, not of what is right.
 *
 * Context: may sleep.
 * Return: whether it may; otherwise it waits behind the head, and is not to be
 * touched any more.
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

static void key_next_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_again(req, b);
}

/* Return: the next, if somebody has to be told that it has the key. */
static struct io2_req *key_next(struct io2_req *req, struct io2_key *key,
				struct io2_batch *b)
{
	struct io2_req *next = list_first_entry(&key->waiting, struct io2_req,
						node);

	lockdep_assert_held(&req->ring->wq_lock);
	list_del_init(&next->node);
	next->key = key;
	WRITE_ONCE(next->wq_state, IO2_WQ_RUNNING);
	if (is_buffered_write(next) && io2_worker_add_next(next, b))
		return NULL;
	return next;
}

/**
 * io2_key_leave() - a request with an ordering key has ended: the next has it
 * @req: the head; owned by the caller
 * @b: of the caller
 *
 * Context: task context, may sleep; no lock of the ring but uring_lock held.
 */
void io2_key_leave(struct io2_req *req, struct io2_batch *b)
{
	struct io2_ring *ring = req->ring;
	struct io2_key *key = req->key;
	struct io2_req *next = NULL;
	bool last;

	spin_lock(&ring->wq_lock);
	last = list_empty(&key->waiting);
	if (last)
		hlist_del(&key->node);
	else
		next = key_next(req, key, b);
	spin_unlock(&ring->wq_lock);
	req->key = NULL;
	if (last)
		kfree(key);
	if (!next)
		return;
	/* not here: that would be as deep as there are requests */
	next->run = key_next_run;
	io2_defer(next);
}
