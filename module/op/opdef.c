// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of opcodes. An opcode with a prep function is supported: QUERY,
 * PROBE and submission all look here. A new opcode is a new row, and a function
 * or file in op/.
 */
#include "file.h"
#include "op/opdef.h"
#include "ops.h"

/* what most opcodes accept; a registered file does not matter if they have none */
#define SQE_FLAGS	(IO2_SQE_FLAGS | IOURING2_SQE_FIXED_FILE)

/*
 * The fields that must be 0: exactly those that io_uring checks. A field that
 * the opcode does not use and that is not listed is ignored, as in io_uring.
 */
#define UNUSED(...)							\
	.has_unused	= 1,						\
	.unused		= &(const struct iouring2_sqe) { __VA_ARGS__ }

#define ALL	(-1)	/* all bits of a field */

/* READ and WRITE, with one buffer or several */
#define OP_READ(op_name, prep_fn, ...)					\
	{								\
		.name		= op_name,				\
		.prep		= prep_fn,				\
		.issue		= io2_read_issue,			\
		.personal	= io2_rw_is_personal,			\
		.needs_task	= io2_rw_needs_task,			\
		.pollin		= 1,					\
		.kind		= IO2_KIND_READ,			\
		.needs_file	= 1,					\
		.uses_mm	= 1,					\
		.ioprio		= 1,					\
		.plug		= 1,					\
		.sqe_flags	= SQE_FLAGS,				\
		/* no attributes are supported */			\
		UNUSED(.attr_type_mask = ALL),				\
		__VA_ARGS__						\
	}

#define OP_WRITE(op_name, prep_fn, ...)					\
	{								\
		.name		= op_name,				\
		.prep		= prep_fn,				\
		.issue		= io2_write_issue,			\
		.personal	= io2_rw_is_personal,			\
		.needs_task	= io2_rw_needs_task,			\
		.pollout	= 1,					\
		.kind		= IO2_KIND_WRITE,			\
		.needs_file	= 1,					\
		.uses_mm	= 1,					\
		.ioprio		= 1,					\
		.plug		= 1,					\
		.hash_write	= 1,					\
		.sqe_flags	= SQE_FLAGS,				\
		UNUSED(.attr_type_mask = ALL),				\
		__VA_ARGS__						\
	}

const struct io2_op io2_ops[IO2_OP_LAST] = {
	[IOURING2_OP_NOP] = {
		.name		= "NOP",
		.prep		= io2_nop_prep,
		.issue		= io2_nop_issue,
		.at_once	= 1,
		.sqe_flags	= SQE_FLAGS,
	},
	[IOURING2_OP_READV]	= OP_READ("READV", io2_rwv_prep,
					  .cleanup = io2_rw_cleanup),
	[IOURING2_OP_WRITEV]	= OP_WRITE("WRITEV", io2_rwv_prep,
					   .cleanup = io2_rw_cleanup),
	[IOURING2_OP_READ]	= OP_READ("READ", io2_rw_prep),
	[IOURING2_OP_WRITE]	= OP_WRITE("WRITE", io2_rw_prep),
	[IOURING2_OP_FSYNC] = {
		.name		= "FSYNC",
		.prep		= io2_fsync_prep,
		.issue		= io2_fsync_issue,
		.needs_file	= 1,
		.kind		= IO2_KIND_SYNC,
		.blocking	= 1,
		.sqe_flags	= SQE_FLAGS,
		UNUSED(.addr = ALL,
		       .buf_index = ALL,
		       .splice_fd_in = ALL),
	},
	[IOURING2_OP_POLL_ADD] = {
		.name		= "POLL_ADD",
		.prep		= io2_poll_add_prep,
		.issue		= io2_poll_add_issue,
		.needs_file	= 1,
		.kind		= IO2_KIND_POLL_LATE,
		.polls		= 1,
		.wake_posts	= 1,
		.sqe_flags	= SQE_FLAGS,
		UNUSED(.off = ALL,
		       .addr = ALL,
		       .buf_index = ALL),
	},
	[IOURING2_OP_POLL_REMOVE] = {
		.name		= "POLL_REMOVE",
		.prep		= io2_poll_remove_prep,
		.issue		= io2_poll_remove_issue,
		.polls		= 1,
		.sqe_flags	= SQE_FLAGS,
		UNUSED(.buf_index = ALL,
		       .splice_fd_in = ALL),
	},
	[IOURING2_OP_TIMEOUT] = {
		.name		= "TIMEOUT",
		.prep		= io2_timeout_prep,
		.issue		= io2_timeout_issue,
		.sqe_flags	= SQE_FLAGS,
		UNUSED(.buf_index = ALL,
		       .splice_fd_in = ALL,
		       .addr3 = ALL,
		       .__pad2 = { ALL }),
	},
	[IOURING2_OP_TIMEOUT_REMOVE] = {
		.name		= "TIMEOUT_REMOVE",
		.prep		= io2_timeout_remove_prep,
		.issue		= io2_timeout_remove_issue,
		/* as in io_uring, which refuses FIXED_FILE here only */
		.sqe_flags	= IO2_SQE_FLAGS,
		UNUSED(.len = ALL,
		       .buf_index = ALL,
		       .splice_fd_in = ALL,
		       .addr3 = ALL,
		       .__pad2 = { ALL }),
	},
	[IOURING2_OP_ASYNC_CANCEL] = {
		.name		= "ASYNC_CANCEL",
		.prep		= io2_cancel_prep,
		.issue		= io2_cancel_issue,
		.sqe_flags	= SQE_FLAGS,
		UNUSED(.off = ALL,
		       .splice_fd_in = ALL),
	},
	[IOURING2_OP_NOP128] = {
		.name		= "NOP128",
		.prep		= io2_nop128_prep,
		.issue		= io2_nop_issue,
		.at_once	= 1,
		.sqe_flags	= SQE_FLAGS,
		.sqe128		= 1,
	},
	[IOURING2_OP_URING_CMD128] = {
		.sqe128		= 1,
	},
};
