/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests that can be cancelled, found by user_data. */
#ifndef IO2_CANCEL_H
#define IO2_CANCEL_H

#include "ring.h"

struct io2_req;
struct iouring2_sqe;
enum io2_issue;
enum io2_armed;

void io2_cancel_init(struct io2_ring *ring);
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
void io2_cancel_armed(struct io2_ring *ring, void *files);
void io2_cancel_gone(struct io2_ring *ring);
void io2_cancel_drained(struct io2_ring *ring, void *files);
int io2_cancel_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_cancel_issue(struct io2_req *req, unsigned int flags);

/**
 * io2_hash_make_room() - before requests are added: are there many already?
 * @ring: the ring
 *
 * Context: may sleep; uring_lock held.
 */
static inline void io2_hash_make_room(struct io2_ring *ring)
{
	if (unlikely(READ_ONCE(ring->nr_hashed) >= ring->hash_limit))
		io2_hash_grow(ring);
}

#endif
