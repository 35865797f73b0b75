/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the opcodes, by family, for the table in opdef.c. */
#ifndef IO2_OPS_H
#define IO2_OPS_H

#include "op/opdef.h"

struct io2_req;

int io2_nop_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
int io2_nop128_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_nop_issue(struct io2_req *req, unsigned int flags);

int io2_fsync_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_fsync_issue(struct io2_req *req, unsigned int flags);

int io2_rw_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
int io2_rwv_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_read_issue(struct io2_req *req, unsigned int flags);
enum io2_issue io2_write_issue(struct io2_req *req, unsigned int flags);
void io2_rw_cleanup(struct io2_req *req);
bool io2_rw_is_personal(const struct io2_req *req);
bool io2_rw_needs_task(const struct io2_req *req);

int io2_poll_add_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags);
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags);

int io2_timeout_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_issue(struct io2_req *req, unsigned int flags);
int io2_timeout_remove_prep(struct io2_req *req,
			    const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_remove_issue(struct io2_req *req,
					unsigned int flags);
int io2_timeout_cancel(struct io2_req *req);

int io2_cancel_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_cancel_issue(struct io2_req *req, unsigned int flags);

#endif
