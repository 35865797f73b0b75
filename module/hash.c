// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hash of a ring's cancellable requests, by user_data. Each entry records
 * where its request waits. The hash grows with the number of requests.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hash.h"
#include "req.h"
#include "ring.h"
#include "watch.h"

static void hash_set_bits(struct io2_ring *ring, unsigned int bits)
{
	ring->hash_bits = bits;
	ring->hash_limit = bits < IO2_HASH_BITS_MAX ? IO2_HASH_LOAD << bits :
						      U32_MAX;
}

/**
 * io2_hash_init() - initialise the cancellation state of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_hash_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->inflight_lock);
	INIT_LIST_HEAD(&ring->counted);
	INIT_LIST_HEAD(&ring->submitters);
	ring->hash = ring->hash_few;
	hash_set_bits(ring, IO2_HASH_BITS);
}

/* Keeps the order within a bucket: the request armed last is found first. */
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
		hlist_add_head(&req->hash, io2_hash_bucket(ring, req->user_data));
	}
}

/**
 * io2_hash_grow() - make the hash of a ring larger
 * @ring: the ring
 *
 * Without memory for a larger hash nothing changes, and look-ups take longer.
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
 * @req: the request; tracked, owned by the caller
 * @armed: where it will wait
 *
 * Context: inflight_lock held.
 * Return: false if the request must not wait: the ring is going away, its
 * process has left it, ended or executed another program, or it was cancelled
 * while it was running.
 */
bool io2_hash_add(struct io2_req *req, enum io2_armed armed)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	if (io2_ring_dying(ring) || io2_req_was_interrupted(req) ||
	    req->sub->ends)
		return false;
	if (unlikely(!req->sub->exec_told))
		io2_watch_queue(ring);
	if (req->armed == IO2_ARMED_NONE) {
		hlist_add_head(&req->hash, io2_hash_bucket(ring, req->user_data));
		WRITE_ONCE(ring->nr_hashed, ring->nr_hashed + 1);
	}
	req->armed = armed;
	return true;
}

/**
 * io2_hash_running() - record that a request of the hash is being tried
 * @req: the request, owned by the caller
 *
 * Its wait is over, but it may have to wait once more. Cancellation interrupts
 * it from now on.
 *
 * Context: inflight_lock held.
 */
void io2_hash_running(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	io2_assert(req->armed != IO2_ARMED_NONE);
	spin_lock(&ring->pool_lock);
	WRITE_ONCE(req->pool_state, IO2_POOL_RUNNING);
	spin_unlock(&ring->pool_lock);
	req->armed = IO2_ARMED_WORKER;
}

/**
 * io2_hash_begin() - make a request cancellable before its first attempt
 * @req: tracked; owned by the caller
 *
 * Used for attempts outside the submission. Such an attempt may sleep for a
 * lock or a page.
 *
 * Context: task context, inflight_lock not held.
 * Return: false if the request must not be tried.
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
 * io2_hash_rename() - change the user_data of a request in the hash
 * @req: the request, owned by the caller
 * @user_data: the new value
 *
 * Context: inflight_lock held.
 */
void io2_hash_rename(struct io2_req *req, u64 user_data)
{
	lockdep_assert_held(&req->ring->inflight_lock);
	hlist_del(&req->hash);
	req->user_data = user_data;
	hlist_add_head(&req->hash, io2_hash_bucket(req->ring, user_data));
}

/**
 * io2_hash_del() - remove a request from the hash, if it is there
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
 * io2_unhash() - io2_hash_del(), taking the lock
 * @req: the request, owned by the caller, so that no other context adds it
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
 * @user_data: user_data of the request
 * @armed: where it must be waiting
 *
 * Context: inflight_lock held; the result is valid for as long as it is.
 * Return: the request that was armed last, or NULL.
 */
struct io2_req *io2_hash_find(struct io2_ring *ring, u64 user_data,
			      enum io2_armed armed)
{
	struct io2_req *req;

	lockdep_assert_held(&ring->inflight_lock);
	hlist_for_each_entry(req, io2_hash_bucket(ring, user_data), hash)
		if (req->user_data == user_data && req->armed == armed)
			return req;
	return NULL;
}
