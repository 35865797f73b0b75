/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of opcodes, the only place that lists them. */
#ifndef IO2_OPDEF_H
#define IO2_OPDEF_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/types.h>

#include "../../uapi/linux/iouring2.h"

struct io2_req;
struct io2_batch;

/* result of issue(); see struct io2_op */
enum io2_issue {
	IO2_DONE,
	IO2_QUEUED,
	IO2_AGAIN,
};

/* flags of issue() */
#define IO2_NONBLOCK		BIT(0)	/* must not sleep for data or space */
#define IO2_BREAKABLE		BIT(1)	/* return IO2_AGAIN for an interrupted sleep */
#define IO2_CTX_SHIFT		8	/* the bits from here on are an enum io2_ctx */

/**
 * enum io2_ctx - the context that runs requests; always passed explicitly
 * @IO2_CTX_SUBMIT: the task in ENTER that submits; uring_lock is held
 * @IO2_CTX_ENTER: a task in ENTER; no lock of the ring is held
 * @IO2_CTX_TURN: the same, doing requests parked for its process; may block
 * @IO2_CTX_LEAVE: a task that leaves or ends the ring
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

#define IO2_OP_NAME		24	/* bytes for the name of an opcode in a trace */

/* the SQE flags that the engine honours for every opcode that accepts them */
#define IO2_SQE_FLAGS		(IOURING2_SQE_IO_DRAIN | \
				 IOURING2_SQE_IO_LINK | \
				 IOURING2_SQE_IO_HARDLINK | \
				 IOURING2_SQE_ASYNC | \
				 IOURING2_SQE_CQE_SKIP_SUCCESS)
/* those that io_uring has: others are EINVAL, and not EOPNOTSUPP */
#define IO2_SQE_FLAGS_KNOWN	(IO2_SQE_FLAGS | IOURING2_SQE_FIXED_FILE | \
				 IOURING2_SQE_BUFFER_SELECT)

/**
 * struct io2_op - one opcode
 * @prep: reads the SQE (a stable copy) into the request. Returns 0 or a
 *	negative errno, which becomes the CQE's res. Called in the submitter,
 *	may sleep. NULL if the opcode is not supported.
 * @issue: tries to do the request. Returns IO2_DONE if res is set; IO2_QUEUED
 *	if the request is handed over, and the caller must not touch it again;
 *	IO2_AGAIN if it would block, so that the engine waits for the file or
 *	has another context run the request. With IO2_NONBLOCK it must not sleep
 *	for long.
 * @cleanup: frees what prep or issue allocated. Called once, if REQ_F_DATA is
 *	set. May sleep; any task context.
 * @personal: returns true if only the submitter may do this request, whatever
 *	its file is. May sleep; any task context. NULL means never.
 * @needs_task: called by a kernel thread that has borrowed the submitter's
 *	memory, before issue(). Returns true if a page fault would ask the task
 *	for more than the memory (see memory.c). May sleep. NULL means never.
 * @unused: an SQE in which all bits of those fields are set that must be 0.
 *	Whoever submits checks this before prep. It has no ioprio and no
 *	personality. NULL if no field must be 0.
 * @has_unused: @unused is not NULL
 * @pollin: waits for EPOLLIN when it would block
 * @pollout: waits for EPOLLOUT when it would block
 * @needs_file: sqe->fd must be a file
 * @uses_mm: issue() touches user memory
 * @polls: issue() polls files
 * @wake_posts: a wake-up may post its CQE, in any context
 * @blocking: cannot be tried without blocking
 * @hash_write: buffered writes to one file run one at a time, in order
 * @ioprio: sqe->ioprio is used
 * @at_once: issue() returns IO2_DONE, unless REQ_F_OP is set
 * @sqe128: its SQE has 128 bytes, so it needs SQE128 or SQE_MIXED; set for
 *	opcodes that are not supported, too
 * @plug: if several such requests are submitted together, a plug of the block
 *	layer helps; only together with @has_unused
 * @kind: the IO2_KIND_* bit of the files for which a kernel thread may do it; 0
 *	if the opcode has no file
 * @sqe_flags: the IOURING2_SQE_* that the opcode accepts. The others that
 *	io_uring has are EOPNOTSUPP (BUFFER_SELECT) or EINVAL
 * @name: its name, for tracepoints; empty if the opcode is not supported
 *
 * Constant, as part of the table io2_ops. The size is 72 bytes: with 48, 64 or
 * 80 bytes, the address of a row takes one instruction more at each use.
 */
struct io2_op {
	int		(*prep)(struct io2_req *req,
				const struct iouring2_sqe *sqe);
	enum io2_issue	(*issue)(struct io2_req *req, unsigned int flags);
	void		(*cleanup)(struct io2_req *req);
	bool		(*personal)(const struct io2_req *req);
	bool		(*needs_task)(const struct io2_req *req);
	const struct iouring2_sqe *unused;
	u8		has_unused:1;
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
	u8		at_once:1;
	u8		sqe128:1;
	u8		kind;
	u8		sqe_flags;
	char		name[20];
};

static_assert(sizeof(struct io2_op) == 72);

#define IO2_OP_LAST	IOURING2_OP_LAST

extern const struct io2_op io2_ops[IO2_OP_LAST];

static inline bool io2_op_supported(unsigned int opcode)
{
	return opcode < IO2_OP_LAST && io2_ops[opcode].prep;
}

/**
 * io2_op_sqe_flags() - the SQE flags that opcodes accept. For QUERY
 *
 * Context: any.
 * Return: IOURING2_SQE_*, without FIXED_FILE: no file can be registered, so a
 * request with this flag fails.
 */
static inline unsigned int io2_op_sqe_flags(void)
{
	unsigned int i, flags = 0;

	for (i = 0; i < IO2_OP_LAST; i++)
		flags |= io2_ops[i].sqe_flags;
	return flags & ~IOURING2_SQE_FIXED_FILE;
}

/**
 * io2_op_has_sqe128() - does the SQE of an opcode have 128 bytes?
 * @opcode: any number
 *
 * Context: any.
 * Return: true if it does.
 */
static inline bool io2_op_has_sqe128(unsigned int opcode)
{
	return opcode < IO2_OP_LAST &&
	       io2_ops[array_index_nospec(opcode, IO2_OP_LAST)].sqe128;
}

/**
 * io2_op_name() - copy the name of an opcode
 * @name: IO2_OP_NAME bytes; "-" if the opcode is not supported
 * @opcode: any number
 *
 * Context: any.
 */
static inline void io2_op_name(char *name, unsigned int opcode)
{
	memset(name, 0, IO2_OP_NAME);
	if (io2_op_supported(opcode))
		memcpy(name, io2_ops[opcode].name,
		       sizeof(io2_ops[opcode].name));
	else
		name[0] = '-';
}

#endif
