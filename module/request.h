/* SPDX-License-Identifier: GPL-2.0-only */
/* The states of a request: start, issue, wait, complete. */
#ifndef IO2_REQUEST_H
#define IO2_REQUEST_H

#include "req.h"
#include "where.h"

void io2_req_start(struct io2_req *req, struct io2_batch *b);
void io2_req_start_chain(struct io2_req *req, struct io2_batch *b);
void io2_req_issue(struct io2_req *req, struct io2_batch *b);
void io2_req_block(struct io2_req *req, struct io2_batch *b);
void io2_req_run_borrowed(struct io2_req *req, struct io2_batch *b,
			  const struct io2_borrow *bw, bool block);
enum io2_do io2_req_where(const struct io2_req *req, enum io2_stage stage,
			  enum io2_ctx ctx);
enum io2_do io2_req_where_again(const struct io2_req *req, enum io2_ctx ctx);
void io2_req_go(struct io2_req *req, struct io2_batch *b, enum io2_do what);
void io2_req_ready(struct io2_req *req, struct io2_batch *b);
void io2_req_again(struct io2_req *req, struct io2_batch *b);
void io2_req_complete(struct io2_req *req, struct io2_batch *b);
void io2_req_complete_fast(struct io2_req *req, struct io2_batch *b);
bool io2_req_go_async(struct io2_req *req, struct io2_batch *b);
void io2_batch_flush(struct io2_batch *b);
void io2_batch_let_others_go(const struct io2_req *next, struct io2_batch *b);
void io2_cancel_chain(struct io2_req *req, struct io2_batch *b);

/**
 * io2_batch_may_stall() - prepare a batch for a step that may sleep without bound
 * @next: the request that runs next
 * @b: the batch
 *
 * The request may fault on user memory that is never provided, or poll a file
 * whose server does not answer. Only the process that owns the request may have
 * to wait for that. So if the ring has several submitters, this function first
 * posts the completions in the batch, and puts the requests of other processes
 * back on the deferred list.
 *
 * Context: task context; no lock of the ring held other than uring_lock.
 */
static inline void io2_batch_may_stall(const struct io2_req *next,
				       struct io2_batch *b)
{
	if (unlikely(READ_ONCE(b->ring->nr_submitters) > 1))
		io2_batch_let_others_go(next, b);
}

#endif
