// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancelling.  A request that waits somewhere is in the ring's hash, with a
 * note of where: armed on a file, on a timer, or queued to a worker.  Whoever
 * takes it out of there owns it and completes it.
 */
#include <linux/file.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "cancel.h"
#include "compat/compat.h"
#include "counters.h"
#include "cq.h"
#include "deferred.h"
#include "poll.h"
#include "request.h"
#include "submitter.h"
#include "timeout.h"
#include "worker.h"

#define CANCEL_FLAGS	(IOURING2_ASYNC_CANCEL_ALL | IOURING2_ASYNC_CANCEL_FD | \
			 IOURING2_ASYNC_CANCEL_ANY | \
			 IOURING2_ASYNC_CANCEL_USERDATA | \
			 IOURING2_ASYNC_CANCEL_OP)

static struct hlist_head *hash_bucket(struct io2_ring *ring, u64 user_data)
{
	return &ring->hash[hash_64(user_data, ring->hash_bits)];
}

static void hash_set_bits(struct io2_ring *ring, unsigned int bits)
{
	ring->hash_bits = bits;
	ring->hash_limit = bits < IO2_HASH_BITS_MAX ? IO2_HASH_LOAD << bits :
						      U32_MAX;
}

/**
 * io2_cancel_init() - initialise the bookkeeping of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_cancel_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->inflight_lock);
	INIT_LIST_HEAD(&ring->counted);
	INIT_LIST_HEAD(&ring->submitters);
	ring->hash = ring->hash_few;
	hash_set_bits(ring, IO2_HASH_BITS);
}

/* In the order in which they are: who was armed last is found first. */
static void hash_move(struct io2_ring *ring, struct hlist_head *from)
{
	HLIST_HEAD(reversed);
	struct hlist_node *next;
	struct io2_req *req;

	lockdep_assert_held(&ring->inflight_lock);
	hlist_for_each_entry_safe(req, next, from, hash) {
		hlist_del(&req->hash);
		hlist_add_head(&req->hash, &reversed);
	}
	hlist_for_each_entry_safe(req, next, &reversed, hash) {
		hlist_del(&req->hash);
		hlist_add_head(&req->hash, hash_bucket(ring, req->user_data));
	}
}

/**
 * io2_hash_grow() - make the hash larger, because many are in it
 * @ring: the ring
 *
 * If there is no memory everything works as before; it only takes longer.
 *
 * Context: may sleep; uring_lock held.
 */
void io2_hash_grow(struct io2_ring *ring)
{
	unsigned int i, old_bits = ring->hash_bits;
	unsigned int bits = min(old_bits + IO2_HASH_GROWS, IO2_HASH_BITS_MAX);
	struct hlist_head *new, *old = ring->hash;

	lockdep_assert_held(&ring->uring_lock);
	new = kvcalloc(1UL << bits, sizeof(*new),
		       GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (!new)
		return;
	spin_lock(&ring->inflight_lock);
	ring->hash = new;
	hash_set_bits(ring, bits);
	for (i = 0; i < 1U << old_bits; i++)
		hash_move(ring, &old[i]);
	spin_unlock(&ring->inflight_lock);
	if (old != ring->hash_few)
		kvfree(old);
}

/**
 * io2_hash_free() - free the hash of a ring
 * @ring: NEW or DEAD
 *
 * Context: may sleep.
 */
void io2_hash_free(struct io2_ring *ring)
{
	if (ring->hash != ring->hash_few)
		kvfree(ring->hash);
}

/**
 * io2_hash_add() - make a request visible to cancellation
 * @req: the request, owned by the caller
 * @armed: where it will wait
 *
 * Context: inflight_lock held.
 * Return: false when the ring is going away, or when the request was cancelled
 * while a worker tried it: it must not wait any more.
 */
bool io2_hash_add(struct io2_req *req, enum io2_armed armed)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	if (io2_ring_dying(ring) || io2_worker_was_interrupted(req) ||
	    req->sub->gone)
		return false;
	if (req->armed == IO2_ARMED_NONE) {
		hlist_add_head(&req->hash, hash_bucket(ring, req->user_data));
		WRITE_ONCE(ring->nr_hashed, ring->nr_hashed + 1);
	}
	req->armed = armed;
	return true;
}

/**
 * io2_hash_running() - a request of the hash is tried: it can be told to end
 * @req: the request, owned by the caller
 *
 * What it waited for has come, but it may have to wait once more.
 *
 * Context: inflight_lock held.
 */
void io2_hash_running(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	io2_assert(req->armed != IO2_ARMED_NONE);
	spin_lock(&ring->wq_lock);
	WRITE_ONCE(req->wq_state, IO2_WQ_RUNNING);
	spin_unlock(&ring->wq_lock);
	req->armed = IO2_ARMED_WORKER;
}

/**
 * io2_hash_begin() - a request is tried for the first time, not by who submits it
 * @req: tracked; owned by the caller
 *
 * It may sleep then, for a lock, or for a page: it can be told to end.
 *
 * Context: task context, inflight_lock not held.
 * Return: false when it must not begin.
 */
bool io2_hash_begin(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool added;

	spin_lock(&ring->inflight_lock);
	added = io2_hash_add(req, IO2_ARMED_WORKER);
	if (added)
		io2_hash_running(req);
	spin_unlock(&ring->inflight_lock);
	return added;
}

/**
 * io2_hash_rename() - give a request of the hash another user_data
 * @req: the request, owned by the caller
 * @user_data: the new one
 *
 * Context: inflight_lock held.
 */
void io2_hash_rename(struct io2_req *req, u64 user_data)
{
	lockdep_assert_held(&req->ring->inflight_lock);
	hlist_del(&req->hash);
	req->user_data = user_data;
	hlist_add_head(&req->hash, hash_bucket(req->ring, user_data));
}

/**
 * io2_hash_del() - take a request out of the hash, if it is in
 * @req: the request
 *
 * Context: inflight_lock held.
 */
void io2_hash_del(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	if (req->armed == IO2_ARMED_NONE)
		return;
	req->armed = IO2_ARMED_NONE;
	hlist_del(&req->hash);
	WRITE_ONCE(ring->nr_hashed, ring->nr_hashed - 1);
}

/**
 * io2_unhash() - the same, taking the lock
 * @req: the request, owned by the caller: nobody else hashes it
 *
 * Context: task context, inflight_lock not held.
 */
void io2_unhash(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	if (READ_ONCE(req->armed) == IO2_ARMED_NONE)
		return;
	spin_lock(&ring->inflight_lock);
	io2_hash_del(req);
	spin_unlock(&ring->inflight_lock);
}

/**
 * io2_hash_find() - look up a waiting request
 * @ring: the ring
 * @user_data: of the request
 * @armed: where it must wait
 *
 * Context: inflight_lock held; the answer is good as long as it is.
 * Return: the request that was armed last, or NULL.
 */
struct io2_req *io2_hash_find(struct io2_ring *ring, u64 user_data,
			      enum io2_armed armed)
{
	struct io2_req *req;

	lockdep_assert_held(&ring->inflight_lock);
	hlist_for_each_entry(req, hash_bucket(ring, user_data), hash)
		if (req->user_data == user_data && req->armed == armed)
			return req;
	return NULL;
}

/**
 * struct cancel_match - what to cancel
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @user_data: unless @flags say otherwise
 * @file: with IOURING2_ASYNC_CANCEL_FD; NULL: that of no request
 * @opcode: with IOURING2_ASYNC_CANCEL_OP
 * @files: only requests of this process, or NULL
 * @gone: only requests of programs that have been replaced by others
 * @self: who asks: never cancels itself
 * @kill: wake workers from killable sleeps, too
 */
struct cancel_match {
	u32		flags;
	u64		user_data;
	struct file	*file;
	u32		opcode;
	void		*files;
	bool		gone;
	const struct io2_req *self;
	bool		kill;
};

static bool cancel_by_user_data(const struct cancel_match *m)
{
	if (m->flags & IOURING2_ASYNC_CANCEL_ANY)
		return false;
	return (m->flags & IOURING2_ASYNC_CANCEL_USERDATA) ||
	       !(m->flags & (IOURING2_ASYNC_CANCEL_FD |
			     IOURING2_ASYNC_CANCEL_OP));
}

static bool cancel_matches(const struct io2_req *req,
			   const struct cancel_match *m)
{
	if (req == m->self)
		return false;
	if (m->files && (!req->sub || req->sub->files != m->files))
		return false;
	if (m->gone && (!req->sub || !req->sub->gone))
		return false;
	if (m->flags & IOURING2_ASYNC_CANCEL_ANY)
		return true;
	if ((m->flags & IOURING2_ASYNC_CANCEL_FD) &&
	    (!m->file || req->file != m->file))
		return false;
	if ((m->flags & IOURING2_ASYNC_CANCEL_OP) && req->opcode != m->opcode)
		return false;
	return !cancel_by_user_data(m) || req->user_data == m->user_data;
}

/* Return: 0 cancelled, -EALREADY too late: it runs or has just ended. */
static int cancel_one(struct io2_req *req, bool kill)
{
	lockdep_assert_held(&req->ring->inflight_lock);
	switch (req->armed) {
	case IO2_ARMED_POLL:
		return io2_poll_cancel(req);
	case IO2_ARMED_TIMER:
		return io2_timeout_cancel(req);
	default:
		return io2_worker_cancel(req, kill);
	}
}

/* Return: whether to go on looking; *@ret and *@nr say what happened. */
static bool cancel_bucket(struct hlist_head *bucket,
			  const struct cancel_match *m, int *ret, int *nr)
{
	bool all = m->flags & (IOURING2_ASYNC_CANCEL_ALL |
			       IOURING2_ASYNC_CANCEL_ANY);
	struct hlist_node *next;
	struct io2_req *req;

	hlist_for_each_entry_safe(req, next, bucket, hash) {
		if (!cancel_matches(req, m))
			continue;
		/* too late counts, too: it is told to stop */
		*ret = cancel_one(req, m->kill);
		++*nr;
		if (!all)
			return false;
	}
	return true;
}

/*
 * Return: with ALL or ANY the number found; else 0, -ENOENT when there is
 * no such request, -EALREADY when it is too late.
 */
static int cancel_matching(struct io2_ring *ring, const struct cancel_match *m)
{
	int ret = -ENOENT, nr = 0;
	unsigned int i;

	spin_lock(&ring->inflight_lock);
	if (cancel_by_user_data(m)) {
		cancel_bucket(hash_bucket(ring, m->user_data), m, &ret, &nr);
	} else {
		for (i = 0; ring->nr_hashed && i < 1U << ring->hash_bits; i++)
			if (!cancel_bucket(&ring->hash[i], m, &ret, &nr))
				break;
	}
	spin_unlock(&ring->inflight_lock);
	if (m->flags & (IOURING2_ASYNC_CANCEL_ALL | IOURING2_ASYNC_CANCEL_ANY))
		return nr;
	return ret;
}

static void release_chain(struct io2_req *req)
{
	for (; req; req = req->link) {
		if (!(req->flags & REQ_F_ABORT)) {
			req->flags |= REQ_F_ABORT;
			io2_req_set(req, -ECANCELED);
		}
		io2_req_release_unstarted(req);
	}
}

/* Requests behind a drain barrier of a ring that dies. */
static void cancel_drained(struct io2_ring *ring)
{
	struct io2_req *req, *next;
	struct io2_batch b;
	LIST_HEAD(list);

	io2_batch_init(&b, ring, IO2_CTX_LEAVE);
	io2_cq_drain_take(ring, &list);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		io2_cancel_chain(req, &b);
	}
	io2_batch_flush(&b);
}

/*
 * The same for one process of a live ring: its requests keep their places,
 * because the order of the others depends on them, but hold nothing any more.
 */
static void cancel_drained_of(struct io2_ring *ring, void *files)
{
	struct io2_batch b;
	struct io2_req *req;
	LIST_HEAD(list);

	io2_batch_init(&b, ring, IO2_CTX_LEAVE);
	/* nobody adds to the drain queue while we have it */
	mutex_lock(&ring->uring_lock);
	io2_cq_drain_take(ring, &list);
	list_for_each_entry(req, &list, node)
		if (req->sub && req->sub->files == files)
			release_chain(req);
	io2_cq_drain_return(ring, &list, &b.start);
	mutex_unlock(&ring->uring_lock);
	io2_batch_flush(&b);
}

/**
 * io2_cancel_armed() - cancel what waits or runs, because of an exit or last close
 * @ring: the ring
 * @files: only requests of the process with this fd table; NULL for all
 *
 * Context: task context, does not sleep; no lock of the ring held.
 */
void io2_cancel_armed(struct io2_ring *ring, void *files)
{
	struct cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.files = files,
		.kill = true,
	};

	cancel_matching(ring, &m);
}

/**
 * io2_cancel_gone() - the same for programs that have been replaced by others
 * @ring: the ring; see io2_submitters_mark_gone()
 *
 * Context: task context, does not sleep; no lock of the ring held.
 */
void io2_cancel_gone(struct io2_ring *ring)
{
	struct cancel_match m = {
		.flags = IOURING2_ASYNC_CANCEL_ANY,
		.gone = true,
		.kill = true,
	};

	cancel_matching(ring, &m);
}

/**
 * io2_cancel_drained() - the same of what waits behind a drain barrier
 * @ring: the ring
 * @files: see io2_cancel_armed()
 *
 * Context: may sleep, for as long as somebody's ENTER takes; no lock of the ring
 * held.
 */
void io2_cancel_drained(struct io2_ring *ring, void *files)
{
	if (files)
		cancel_drained_of(ring, files);
	else
		cancel_drained(ring);
}

/**
 * io2_cancel_prep() - read an ASYNC_CANCEL
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_cancel_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct io2_cancel *cancel = &req->cancel;

	if (sqe->off || sqe->splice_fd_in)
		return -EINVAL;
	cancel->flags = sqe->cancel_flags;
	cancel->user_data = sqe->addr;
	cancel->fd = sqe->fd;
	cancel->opcode = sqe->len;
	if (cancel->flags & ~CANCEL_FLAGS)
		return -EINVAL;
	if (cancel->flags & IOURING2_ASYNC_CANCEL_ANY &&
	    cancel->flags & (IOURING2_ASYNC_CANCEL_FD |
			     IOURING2_ASYNC_CANCEL_OP))
		return -EINVAL;
	if (!(cancel->flags & IOURING2_ASYNC_CANCEL_OP) && sqe->len)
		return -EINVAL;
	if ((cancel->flags & IOURING2_ASYNC_CANCEL_OP) &&
	    cancel->opcode >= IO2_OP_LAST)
		return -EINVAL;
	return 0;
}

/* Return: 0 or -EBADF; the file stays without a reference if it is a ring's. */
static int cancel_get_file(struct io2_req *req)
{
	struct file *file = io2_req_lookup(req, req->cancel.fd);

	if (!file)
		return -EBADF;
	if (!io2_is_ring_file(file)) {
		io2_count_add(IO2_COUNT_FILES, 1);
		req->file = file;
		return 0;
	}
	/* a reference could become a cycle: but our own outlives us */
	if (file == req->ring->file) {
		req->flags |= REQ_F_OWN_RING;
		req->file = file;
	}
	/* no request has another ring's */
	io2_file_put(file);
	return 0;
}

/**
 * io2_cancel_issue() - do an ASYNC_CANCEL
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE; res is 0, the number found with ALL or ANY, -ENOENT,
 * -EALREADY or -EBADF.
 */
enum io2_issue io2_cancel_issue(struct io2_req *req, unsigned int flags)
{
	struct cancel_match m = {
		.flags = req->cancel.flags,
		.user_data = req->cancel.user_data,
		.opcode = req->cancel.opcode,
		.self = req,
	};
	int ret;

	if (m.flags & IOURING2_ASYNC_CANCEL_FD) {
		ret = cancel_get_file(req);
		if (ret)
			return io2_req_set(req, ret);
		m.file = req->file;
	}
	return io2_req_set(req, cancel_matching(req->ring, &m));
}
