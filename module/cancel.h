/* SPDX-License-Identifier: GPL-2.0-only */
/* Cancelling: which requests, and how each of them is told to end. */
#ifndef IO2_CANCEL_H
#define IO2_CANCEL_H

#include <linux/types.h>

struct file;
struct io2_req;
struct io2_ring;

/**
 * struct io2_cancel_match - what to cancel
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @user_data: unless @flags say otherwise
 * @file: with IOURING2_ASYNC_CANCEL_FD; NULL: that of no request
 * @opcode: with IOURING2_ASYNC_CANCEL_OP
 * @files: only requests of this process, or NULL
 * @gone: only requests of programs that have been replaced by others
 * @self: who asks: never cancels itself
 * @kill: wake workers from killable sleeps, too
 */
struct io2_cancel_match {
	u32		flags;
	u64		user_data;
	struct file	*file;
	u32		opcode;
	void		*files;
	bool		gone;
	const struct io2_req *self;
	bool		kill;
};

int io2_cancel_matching(struct io2_ring *ring,
			const struct io2_cancel_match *m);
void io2_cancel_armed(struct io2_ring *ring, void *files);
void io2_cancel_gone(struct io2_ring *ring);
void io2_cancel_drained(struct io2_ring *ring, void *files);

#endif
