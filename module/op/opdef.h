/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of opcodes: the only thing that knows which there are. */
#ifndef IO2_OPDEF_H
#define IO2_OPDEF_H

#include <linux/bits.h>
#include <linux/types.h>

#include "../../uapi/linux/iouring2.h"

struct io2_req;
struct io2_batch;

/* how issue() ended; see struct io2_op */
enum io2_issue {
	IO2_DONE,
	IO2_QUEUED,
	IO2_AGAIN,
};

/* flags of issue() */
#define IO2_NONBLOCK		BIT(0)	/* must not sleep for data or space */
#define IO2_BREAKABLE		BIT(1)	/* an interrupted sleep is IO2_AGAIN */
#define IO2_CTX_SHIFT		8	/* enum io2_ctx, from here on */

/**
 * enum io2_ctx - who runs requests; passed on, never guessed
 * @IO2_CTX_SUBMIT: the task in ENTER that submits; uring_lock is held
 * @IO2_CTX_ENTER: a task in ENTER; no lock of the ring is held
 * @IO2_CTX_TURN: the same, doing what is parked for its process: may block
 * @IO2_CTX_LEAVE: a task that leaves the ring, or ends it
 * @IO2_CTX_WORKER: a worker that has borrowed its submitter's memory, and is on
 *	record as running the request
 * @IO2_CTX_WQ: a work item
 */
enum io2_ctx {
	IO2_CTX_SUBMIT,
	IO2_CTX_ENTER,
	IO2_CTX_TURN,
	IO2_CTX_LEAVE,
	IO2_CTX_WORKER,
	IO2_CTX_WQ,
};

static inline enum io2_ctx io2_flags_ctx(unsigned int flags)
{
	return flags >> IO2_CTX_SHIFT;
}

/**
 * struct io2_op - one opcode
 * @prep: read the SQE (a stable copy) into the request; 0 or a negative errno,
 *	which becomes the CQE's res.  In the submitter, may sleep.  NULL: the
 *	opcode is not supported.
 * @issue: try to do it.  IO2_DONE: res is set.  IO2_QUEUED: handed over, do
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
 * @wake_posts: its events may be posted by who wakes it, in any context
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
	u8		wake_posts:1;
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
