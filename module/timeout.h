/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IO2_TIMEOUT_H
#define IO2_TIMEOUT_H

#include "ring.h"

struct io2_req;
struct iouring2_sqe;
enum io2_issue;

void io2_timeouts_count(struct io2_ring *ring);
int io2_timeout_cancel(struct io2_req *req);
int io2_timeout_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_issue(struct io2_req *req, unsigned int flags);
int io2_timeout_remove_prep(struct io2_req *req,
			    const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_remove_issue(struct io2_req *req,
					unsigned int flags);
int io2_timespec(u64 uaddr, ktime_t *time);
ktime_t io2_host_time(clockid_t clock, ktime_t time);

#endif
