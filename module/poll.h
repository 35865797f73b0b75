/* SPDX-License-Identifier: GPL-2.0-only */
/* Arming requests on their files. */
#ifndef IO2_POLL_H
#define IO2_POLL_H

#include <linux/fs.h>
#include <linux/poll.h>

#include "ring.h"

struct io2_req;
struct iouring2_sqe;
enum io2_issue;

bool io2_poll_is_ready(const struct io2_req *req);
enum io2_issue io2_poll_wait(struct io2_req *req);
int io2_poll_cancel(struct io2_req *req);
int io2_poll_add_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags);
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags);

#endif
