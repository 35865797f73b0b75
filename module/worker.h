/* SPDX-License-Identifier: GPL-2.0-only */
/* Worker threads, which run requests that block. */
#ifndef IO2_WORKER_H
#define IO2_WORKER_H

#include "req.h"

/**
 * struct io2_runner - a thread or task that runs requests which may block
 * @node: in ring->runners; under pool_lock
 * @task: the thread or task; constant
 * @cur: the request that it runs, or NULL; under pool_lock
 * @sub: the submitter of @cur, valid while @cur is set; under pool_lock
 * @worker: true for a worker thread, false for a task in ENTER; constant
 *
 * Lifetime: that of the worker thread, or one turn of a task in ENTER.
 */
struct io2_runner {
	struct list_head	node;
	struct task_struct	*task;
	struct io2_req		*cur;
	struct io2_submitter	*sub;
	bool			worker;
};

void io2_workers_init(struct io2_ring *ring);
void io2_worker_queue(struct io2_req *req, struct io2_batch *b);
void io2_worker_retry(struct io2_req *req, struct io2_batch *b);
void io2_worker_key_leave(struct io2_req *req, struct io2_batch *b);
int io2_worker_cancel(struct io2_req *req, bool kill);
void io2_park(struct io2_req *req, struct io2_batch *b,
	      void (*run)(struct io2_req *req, struct io2_batch *b));
void io2_park_tell(struct io2_ring *ring);
bool io2_is_broken(ssize_t res);
s32 io2_worker_result(struct io2_req *req, s32 res);
void io2_workers_stop_of_all(struct io2_ring *ring, struct list_head *list);
void io2_workers_stop(struct io2_ring *ring);
bool io2_workers_look_after(struct io2_ring *ring);
void io2_workers_limits(struct io2_ring *ring, u32 max[IO2_LIMITS]);
void io2_workers_limit(struct io2_ring *ring, const u32 max[IO2_LIMITS]);
unsigned int io2_workers_nr(struct io2_ring *ring);

#endif
