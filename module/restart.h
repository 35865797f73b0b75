/* SPDX-License-Identifier: GPL-2.0-only */
/* Waits that the kernel restarts after task work of another subsystem. */
#ifndef IO2_RESTART_H
#define IO2_RESTART_H

#include <linux/sched/signal.h>

#include "ring.h"

/**
 * io2_wait_interrupted() - must current end its wait?
 *
 * A worker of io_uring gets here by a FADVISE request. There is no system call to
 * restart: io_uring on 5.10 would post the code as a result.
 *
 * Context: task context.
 * Return: -EINTR for a signal; -ERESTARTNOINTR for task work of another
 * subsystem, which runs on the way out of the kernel; otherwise 0.
 */
static inline int io2_wait_interrupted(void)
{
	if (!signal_pending(current))
		return 0;
	if (task_sigpending(current) || (current->flags & PF_IO_WORKER))
		return -EINTR;
	return -ERESTARTNOINTR;
}

void io2_restart_remember(struct io2_ring *ring, u64 key,
			  const struct io2_deadlines *at);
bool io2_restart_find(struct io2_ring *ring, u64 key,
		      struct io2_deadlines *at);

/**
 * io2_restart_recall() - is this call a restarted one?
 * @ring: the ring
 * @key: tells the calls of a task apart
 * @at: when the wait ends; set to earlier times if the call that was interrupted
 *	had them
 *
 * Context: may sleep; uring_lock not held.
 * Return: true if io2_restart_remember() was the last that current has called for
 * @key.
 */
static inline bool io2_restart_recall(struct io2_ring *ring, u64 key,
				      struct io2_deadlines *at)
{
	return READ_ONCE(ring->restarting) && io2_restart_find(ring, key, at);
}

#endif
