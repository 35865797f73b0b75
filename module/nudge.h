/* SPDX-License-Identifier: GPL-2.0-only */
/* Ending a task's sleep without a signal. */
#ifndef IO2_NUDGE_H
#define IO2_NUDGE_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>

struct task_struct;

/**
 * struct io2_breaker - timer that ends an interruptible sleep
 * @timer: fires when the time is over, and periodically after that
 * @task: the sleeping task; NULL if there is no time limit, and so no timer
 *
 * Lifetime: on the stack of @task, from io2_breaker_start() to
 * io2_breaker_stop(). @task is constant in between.
 */
struct io2_breaker {
	struct hrtimer		timer;
	struct task_struct	*task;
};

void io2_nudge(struct task_struct *task);
void io2_nudge_sleeper(struct task_struct *task);
void io2_unnudge(void);
void io2_breaker_arm(struct io2_breaker *br, ktime_t expires);
void io2_breaker_disarm(struct io2_breaker *br);

/**
 * io2_breaker_start() - limit the time that current may sleep interruptibly
 * @br: on current's stack
 * @expires: CLOCK_MONOTONIC time after which interruptible sleeps are ended;
 *	KTIME_MAX for no limit
 *
 * Context: task context.
 */
static inline void io2_breaker_start(struct io2_breaker *br, ktime_t expires)
{
	br->task = NULL;
	if (expires != KTIME_MAX)
		io2_breaker_arm(br, expires);
}

/**
 * io2_breaker_stop() - remove the limit set by io2_breaker_start()
 * @br: the same as for io2_breaker_start()
 *
 * Context: task context.
 */
static inline void io2_breaker_stop(struct io2_breaker *br)
{
	if (br->task)
		io2_breaker_disarm(br);
	if (signal_pending(current))
		io2_unnudge();
}

#endif
