/* SPDX-License-Identifier: GPL-2.0 */
/* Worker threads: what blocks, blocks here. */
#ifndef IO2_WORKER_H
#define IO2_WORKER_H

#include "request.h"

/**
 * io2_worker_was_interrupted() - was it cancelled while a worker ran it?
 * @req: the request
 *
 * Context: inflight_lock held for an answer that stays true.
 * Return: whether it was.
 */
static inline bool io2_worker_was_interrupted(const struct io2_req *req)
{
	return READ_ONCE(req->wq_state) == IO2_WQ_INTERRUPTED;
}

void io2_worker_init(struct io2_ring *ring);
void io2_worker_queue(struct io2_req *req, struct io2_batch *b);
void io2_worker_retry(struct io2_req *req, struct io2_batch *b);
int io2_worker_cancel(struct io2_req *req, bool kill);
s32 io2_worker_result(struct io2_req *req, s32 res);
void io2_workers_stop(struct io2_ring *ring);
unsigned int io2_workers_nr(struct io2_ring *ring);

#endif
