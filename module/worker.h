/* SPDX-License-Identifier: GPL-2.0-only */
/* Worker threads: what blocks, blocks here. */
#ifndef IO2_WORKER_H
#define IO2_WORKER_H

#include "request.h"

/**
 * struct io2_runner - a thread or task that runs requests which may block
 * @node: in ring->runners; under wq_lock
 * @task: the thread or task
 * @cur: what it runs, under wq_lock
 * @sub: for whom, valid while @cur is set; under wq_lock
 * @worker: is a thread of ours; else a task in ENTER
 *
 * Lives as long as its worker, or one turn of a task.
 */
struct io2_runner {
	struct list_head	node;
	struct task_struct	*task;
	struct io2_req		*cur;
	struct io2_submitter	*sub;
	bool			worker;
};

/* struct io2_req::wq_class of a request that no worker class has */
#define IO2_PARKED	(IO2_CLASSES + 0)	/* waits for a task of its process */
#define IO2_KEYED	(IO2_CLASSES + 1)	/* waits for its ordering key */

/**
 * io2_worker_was_interrupted() - was it cancelled while somebody ran it?
 * @req: the request
 *
 * Context: inflight_lock held for an answer that stays true.
 * Return: whether it was.
 */
static inline bool io2_worker_was_interrupted(const struct io2_req *req)
{
	return READ_ONCE(req->wq_state) == IO2_WQ_INTERRUPTED;
}

void io2_nudge(struct task_struct *task);
void io2_nudge_sleeper(struct task_struct *task);
void io2_unnudge(void);
void io2_wq_init(struct io2_wq *wq);
void io2_workers_init(struct io2_ring *ring);
void io2_worker_queue(struct io2_req *req, struct io2_batch *b);
void io2_worker_retry(struct io2_req *req, struct io2_batch *b);
bool io2_worker_add_next(struct io2_req *req, struct io2_batch *b);
int io2_worker_cancel(struct io2_req *req, bool kill);
bool io2_is_broken(ssize_t res);
s32 io2_worker_result(struct io2_req *req, s32 res);
void io2_workers_stop(struct io2_ring *ring);
void io2_workers_stop_of(struct io2_ring *ring, struct io2_submitter *sub);
bool io2_workers_of(struct io2_ring *ring, const struct io2_submitter *sub);
unsigned int io2_workers_nr(struct io2_ring *ring);

#endif
