/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a request runs next: may a worker do it, does it wait for its file, is
 * it parked for its submitter? One pure function decides. It depends on neither
 * the kernel nor the ring, so that a test on the host can print the whole table
 * of its answers.
 */
#ifndef IO2_WHERE_H
#define IO2_WHERE_H

#ifdef __KERNEL__
#include <linux/bits.h>
#include <linux/types.h>
#endif

/**
 * enum io2_stage - what has happened to a request so far
 * @IO2_STAGE_START: nothing yet; it may start
 * @IO2_STAGE_AGAIN: an attempt would have blocked
 * @IO2_STAGE_READY: it has waited for its file, which has become ready
 * @IO2_STAGES: number of stages
 */
enum io2_stage {
	IO2_STAGE_START,
	IO2_STAGE_AGAIN,
	IO2_STAGE_READY,
	IO2_STAGES,
};

/**
 * enum io2_do - what happens to a request next
 * @IO2_DO_TRY: current tries it without blocking
 * @IO2_DO_POLL: it waits until its file is ready
 * @IO2_DO_WORKER: a worker thread does it, and may block
 * @IO2_DO_RETRY: the retry worker tries it, without blocking for data
 * @IO2_DO_PARK: a task of the submitting process does it in ENTER, and may
 *	block
 * @IO2_DOS: number of these values
 */
enum io2_do {
	IO2_DO_TRY,
	IO2_DO_POLL,
	IO2_DO_WORKER,
	IO2_DO_RETRY,
	IO2_DO_PARK,
	IO2_DOS,
};

/* about the opcode */
#define IO2_W_MEMORY	BIT(0)	/* touches the submitter's memory */
#define IO2_W_POLLS	BIT(1)	/* polls a file */
#define IO2_W_BLOCKS	BIT(2)	/* cannot be tried without blocking */
/* about the SQE */
#define IO2_W_ASYNC	BIT(3)	/* IOSQE_ASYNC: the submitter must not try it */
/* about the file */
#define IO2_W_KTHREAD	BIT(4)	/* a kernel thread may do it, see file.h */
#define IO2_W_TRIABLE	BIT(5)	/* can be tried without blocking */
#define IO2_W_POLLABLE	BIT(6)	/* reports when it is ready */
#define IO2_W_POLL_NOW	BIT(7)	/* any thread may poll it: ->poll does not sleep */
#define IO2_W_POLL_LATE	BIT(8)	/* a kernel thread may poll it: ->poll may sleep */
/* about current */
#define IO2_W_OWN	BIT(9)	/* is the submitter, with its credentials, or stands in for it */
#define IO2_W_BITS	10

/* Start of a request in a context that is not its submitter's. */
static inline enum io2_do io2_where_start_foreign(unsigned int what)
{
	if (what & IO2_W_MEMORY)
		return what & IO2_W_KTHREAD ? IO2_DO_RETRY : IO2_DO_PARK;
	if (!(what & IO2_W_POLLS) || (what & IO2_W_POLL_NOW))
		return IO2_DO_TRY;
	return what & IO2_W_POLL_LATE ? IO2_DO_RETRY : IO2_DO_PARK;
}

/**
 * io2_where() - decide where a request runs next
 * @stage: what has happened to it
 * @what: IO2_W_*
 *
 * A kernel thread runs a request only if that is known to have the same effect
 * (IO2_W_KTHREAD). Only the submitting process touches its memory, or a worker
 * that is on record as running the request. A request that would block waits for
 * its file, if the file can be polled.
 *
 * Context: any; pure.
 * Return: IO2_DO_*.
 */
static inline enum io2_do io2_where(enum io2_stage stage, unsigned int what)
{
	enum io2_do blocks = what & IO2_W_KTHREAD ? IO2_DO_WORKER : IO2_DO_PARK;

	switch (stage) {
	case IO2_STAGE_START:
		if (what & IO2_W_BLOCKS)
			return blocks;
		/* the single retry worker can try many, none occupies a worker */
		if ((what & IO2_W_ASYNC) && (what & IO2_W_POLLABLE) &&
		    (what & IO2_W_KTHREAD))
			return IO2_DO_RETRY;
		if (what & IO2_W_ASYNC)
			return blocks;
		if (what & IO2_W_OWN)
			return IO2_DO_TRY;
		return io2_where_start_foreign(what);
	case IO2_STAGE_AGAIN:
		return what & IO2_W_POLLABLE ? IO2_DO_POLL : blocks;
	case IO2_STAGE_READY:
	default:
		if (!(what & IO2_W_TRIABLE) || (what & IO2_W_ASYNC))
			return blocks;
		if (what & IO2_W_OWN)
			return IO2_DO_TRY;
		return what & IO2_W_KTHREAD ? IO2_DO_RETRY : IO2_DO_PARK;
	}
}

#endif
