/* SPDX-License-Identifier: GPL-2.0-only */
/* Opcodes that have no other room: prep, issue and cleanup of each. */
#ifndef IO2_OPS_H
#define IO2_OPS_H

#include "../uapi/linux/iouring2.h"

struct io2_req;
enum io2_issue;

int io2_nop_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_nop_issue(struct io2_req *req, unsigned int flags);

int io2_fsync_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_fsync_issue(struct io2_req *req, unsigned int flags);

int io2_rw_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
int io2_rwv_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_read_issue(struct io2_req *req, unsigned int flags);
enum io2_issue io2_write_issue(struct io2_req *req, unsigned int flags);
void io2_rw_cleanup(struct io2_req *req);
bool io2_rw_is_personal(const struct io2_req *req);

#endif
