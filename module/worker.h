/* SPDX-License-Identifier: GPL-2.0 */
/* Worker threads: what blocks, blocks here. */
#ifndef IO2_WORKER_H
#define IO2_WORKER_H

#include "ring.h"

struct io2_req;
struct io2_batch;

void io2_worker_init(struct io2_ring *ring);
void io2_worker_queue(struct io2_req *req, struct io2_batch *b);
int io2_worker_cancel(struct io2_req *req, bool kill);
s32 io2_worker_result(struct io2_req *req, s32 res);
void io2_workers_stop(struct io2_ring *ring);
unsigned int io2_workers_nr(struct io2_ring *ring);

#endif
