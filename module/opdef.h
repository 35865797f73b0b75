/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of opcodes: the only thing that knows which there are. */
#ifndef IO2_OPDEF_H
#define IO2_OPDEF_H

#include <linux/types.h>

#include "../uapi/linux/iouring2.h"

struct io2_req;
struct io2_batch;
enum io2_issue;

/**
 * struct io2_op - one opcode
 * @prep: read the SQE (a stable copy) into the request; 0 or a negative errno,
 *	which becomes the CQE's res.  In the submitter, may sleep.  NULL: the
 *	opcode is not supported.
 * @issue: try to do it.  IO2_DONE: res is set.  IO2_ASYNC: handed over, do
 *	not touch it again.  IO2_AGAIN: would block; the core arms a poll or
 *	asks a worker.  With IO2_NONBLOCK it must not sleep for long.
 * @cleanup: free what prep or issue left; called once if REQ_F_DATA is set.
 *	May sleep; any task context.
 * @personal: does what it was asked need its submitter, whatever the file is?
 *	May sleep; any task context.  NULL: it does not.
 * @pollin: wait for EPOLLIN when it would block
 * @pollout: wait for EPOLLOUT when it would block
 * @needs_file: sqe->fd must be a file
 * @uses_mm: issue() touches user memory
 * @polls: issue() asks files for their events
 * @blocking: cannot be tried without blocking
 * @plug: block devices had better see a batch of them at once
 * @ioprio: sqe->ioprio means something
 * @hash_write: buffered writes to one file keep their order in workers
 */
struct io2_op {
	int		(*prep)(struct io2_req *req,
				const struct iouring2_sqe *sqe);
	enum io2_issue	(*issue)(struct io2_req *req, unsigned int flags);
	void		(*cleanup)(struct io2_req *req);
	bool		(*personal)(const struct io2_req *req);
	u8		pollin:1;
	u8		pollout:1;
	u8		needs_file:1;
	u8		uses_mm:1;
	u8		polls:1;
	u8		blocking:1;
	u8		hash_write:1;
	u8		ioprio:1;
	u8		plug:1;
};

#define IO2_OP_LAST	IOURING2_OP_LAST

extern const struct io2_op io2_ops[IO2_OP_LAST];

static inline bool io2_op_supported(unsigned int opcode)
{
	return opcode < IO2_OP_LAST && io2_ops[opcode].prep;
}

#endif
