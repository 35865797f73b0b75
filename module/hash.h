/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash of cancellable requests, by user_data. */
#ifndef IO2_HASH_H
#define IO2_HASH_H

#include <linux/hash.h>

#include "req.h"
#include "ring.h"

void io2_hash_init(struct io2_ring *ring);
void io2_hash_grow(struct io2_ring *ring);
void io2_hash_free(struct io2_ring *ring);
bool io2_hash_add(struct io2_req *req, enum io2_armed armed);
void io2_hash_running(struct io2_req *req);
bool io2_hash_begin(struct io2_req *req);
void io2_hash_rename(struct io2_req *req, u64 user_data);
void io2_hash_del(struct io2_req *req);
void io2_unhash(struct io2_req *req);
struct io2_req *io2_hash_find(struct io2_ring *ring, u64 user_data,
			      enum io2_armed armed);

/**
 * io2_hash_bucket() - the bucket for a user_data
 * @ring: the ring
 * @user_data: the value
 *
 * Context: inflight_lock held.
 * Return: the bucket.
 */
static inline struct hlist_head *io2_hash_bucket(struct io2_ring *ring,
						 u64 user_data)
{
	return &ring->hash[hash_64(user_data, ring->hash_bits)];
}

/**
 * io2_hash_make_room() - grow the hash if it holds many requests
 * @ring: the ring
 *
 * Context: may sleep; uring_lock held.
 */
static inline void io2_hash_make_room(struct io2_ring *ring)
{
	if (unlikely(READ_ONCE(ring->nr_hashed) >= ring->hash_limit))
		io2_hash_grow(ring);
}

/**
 * io2_req_was_interrupted() - was a request cancelled while it was running?
 * @req: the request
 *
 * Context: any; the answer stays true only while inflight_lock is held.
 * Return: true if it was.
 */
static inline bool io2_req_was_interrupted(const struct io2_req *req)
{
	return READ_ONCE(req->pool_state) == IO2_POOL_INTERRUPTED;
}

#endif
