// SPDX-License-Identifier: GPL-2.0-only
/* The opcode FSYNC, which blocks. */
#include <linux/fs.h>

#include "ops.h"
#include "req.h"
#include "worker.h"

/**
 * struct sync_args - arguments of FSYNC
 * @off: first byte
 * @len: bytes, 0 for the rest of the file
 * @flags: IOURING2_FSYNC_*
 *
 * Lifetime: that of the request; constant after prep.
 */
struct sync_args {
	loff_t			off;
	loff_t			len;
	u32			flags;
};

/**
 * io2_fsync_prep() - read an FSYNC
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_fsync_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct sync_args *sync = io2_args(req, struct sync_args);

	if (sqe->fsync_flags & ~IOURING2_FSYNC_DATASYNC)
		return -EINVAL;
	sync->flags = sqe->fsync_flags;
	sync->off = sqe->off;
	sync->len = sqe->len;
	return sync->off < 0 ? -EINVAL : 0;
}

/**
 * io2_fsync_issue() - do an FSYNC
 * @req: the request
 * @flags: IO2_NONBLOCK, IO2_BREAKABLE
 *
 * Return: IO2_DONE; IO2_AGAIN if it would block, or its sleep was interrupted.
 */
enum io2_issue io2_fsync_issue(struct io2_req *req, unsigned int flags)
{
	struct sync_args *sync = io2_args(req, struct sync_args);
	loff_t end = sync->len ? sync->off + sync->len : LLONG_MAX;
	int ret;

	if (flags & IO2_NONBLOCK)
		return IO2_AGAIN;
	if (end < sync->off)
		end = LLONG_MAX;
	ret = vfs_fsync_range(req->file, sync->off, end,
			      sync->flags & IOURING2_FSYNC_DATASYNC);
	if ((flags & IO2_BREAKABLE) && io2_is_broken(ret))
		return IO2_AGAIN;
	return io2_req_set(req, io2_worker_result(req, ret));
}
