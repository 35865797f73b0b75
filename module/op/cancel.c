// SPDX-License-Identifier: GPL-2.0-only
/* The opcode ASYNC_CANCEL. */
#include <linux/file.h>

#include "cancel.h"
#include "compat/compat.h"
#include "debug/counters.h"
#include "req.h"
#include "reqmem.h"
#include "ops.h"

#define CANCEL_FLAGS	(IOURING2_ASYNC_CANCEL_ALL | IOURING2_ASYNC_CANCEL_FD | \
			 IOURING2_ASYNC_CANCEL_ANY | \
			 IOURING2_ASYNC_CANCEL_FD_FIXED | \
			 IOURING2_ASYNC_CANCEL_USERDATA | \
			 IOURING2_ASYNC_CANCEL_OP)

/**
 * struct cancel_args - arguments of ASYNC_CANCEL
 * @user_data: compared unless @flags say otherwise
 * @fd: its file is compared with IOURING2_ASYNC_CANCEL_FD
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @opcode: compared with IOURING2_ASYNC_CANCEL_OP
 *
 * Lifetime: that of the request; constant after prep.
 */
struct cancel_args {
	u64			user_data;
	s32			fd;
	u32			flags;
	u32			opcode;
};

/**
 * io2_cancel_prep() - read an ASYNC_CANCEL
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_cancel_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct cancel_args *cancel = io2_args(req, struct cancel_args);

	cancel->flags = sqe->cancel_flags;
	cancel->user_data = sqe->addr;
	cancel->fd = sqe->fd;
	cancel->opcode = sqe->len;
	if (cancel->flags & ~CANCEL_FLAGS)
		return -EINVAL;
	if (cancel->flags & IOURING2_ASYNC_CANCEL_ANY &&
	    cancel->flags & (IOURING2_ASYNC_CANCEL_FD |
			     IOURING2_ASYNC_CANCEL_OP))
		return -EINVAL;
	if ((cancel->flags & IOURING2_ASYNC_CANCEL_OP) &&
	    cancel->opcode >= IO2_OP_LAST)
		return -EINVAL;
	return 0;
}

/*
 * Sets req->file to the file of the descriptor. A ring's file is not
 * referenced.
 *
 * Return: 0 or -EBADF.
 */
static int cancel_get_file(struct io2_req *req)
{
	const struct cancel_args *cancel = io2_args(req, struct cancel_args);
	struct file *file;

	/* registered files are not supported */
	if ((cancel->flags & IOURING2_ASYNC_CANCEL_FD_FIXED) ||
	    (req->flags & IOURING2_SQE_FIXED_FILE))
		return -EBADF;
	file = io2_req_lookup(req, cancel->fd);
	if (!file)
		return -EBADF;
	if (!io2_is_ring_file(file)) {
		io2_count_add(IO2_COUNT_FILES, 1);
		req->file = file;
		return 0;
	}
	io2_file_put(file);
	/* no request can have another ring's file: NULL matches none */
	io2_req_set_own_file(req, file);
	return 0;
}

/**
 * io2_cancel_issue() - do an ASYNC_CANCEL
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE; res is 0, the number found with ALL or ANY, -ENOENT,
 * -EALREADY or -EBADF.
 */
enum io2_issue io2_cancel_issue(struct io2_req *req, unsigned int flags)
{
	const struct cancel_args *cancel = io2_args(req, struct cancel_args);
	struct io2_cancel_match m = {
		.flags = cancel->flags,
		.user_data = cancel->user_data,
		.opcode = cancel->opcode,
		.self = req,
	};
	int ret;

	if (m.flags & IOURING2_ASYNC_CANCEL_FD) {
		ret = cancel_get_file(req);
		if (ret)
			return io2_req_set(req, ret);
		m.file = req->file;
	}
	return io2_req_set(req, io2_cancel_matching(req->ring, &m));
}
