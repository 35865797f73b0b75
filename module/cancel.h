/* SPDX-License-Identifier: GPL-2.0-only */
/* Cancelling: which requests, and how each of them is ended. */
#ifndef IO2_CANCEL_H
#define IO2_CANCEL_H

#include <linux/types.h>

struct file;
struct io2_batch;
struct io2_req;
struct io2_ring;

/**
 * struct io2_cancel_match - which requests to cancel
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @user_data: compared unless @flags say otherwise
 * @file: compared with IOURING2_ASYNC_CANCEL_FD; NULL matches no request
 * @opcode: compared with IOURING2_ASYNC_CANCEL_OP
 * @files: only requests of the process with this fd table; NULL for all
 * @gone: only requests of processes that have ended, and of programs that were
 *	replaced by execve(2)
 * @self: the cancelling request, which never matches
 * @kill: end killable sleeps of workers, too
 *
 * Lifetime: on the caller's stack, constant.
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
void io2_cancel_drained_gone(struct io2_ring *ring, struct io2_batch *b);

#endif
