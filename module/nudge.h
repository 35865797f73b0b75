/* SPDX-License-Identifier: GPL-2.0-only */
/* Ending a task's sleep without a signal. */
#ifndef IO2_NUDGE_H
#define IO2_NUDGE_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>

struct task_struct;

/**
 * struct io2_breaker - ends an interruptible sleep that takes too long
 * @timer: fires at the end of the time, and then again and again
 * @task: who sleeps; NULL if that may take for ever: then there is no timer
 *
 * On the stack of @task, from io2_breaker_start() to io2_breaker_stop().
 */
struct io2_breaker {
	struct hrtimer		timer;
	struct task_struct	*task;
};

void io2_nudge(struct task_struct *task);
void io2_nudge_sleeper(struct task_struct *task);
void io2_unnudge(void);
void io2_breaker_start(struct io2_breaker *br, ktime_t expires);
void io2_breaker_stop(struct io2_breaker *br);

#endif
