/* SPDX-License-Identifier: GPL-2.0-only */
/* Ending a task's sleep without a signal. */
#ifndef IO2_NUDGE_H
#define IO2_NUDGE_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>

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
void io2_breaker_start(struct io2_breaker *br, ktime_t expires);
void io2_breaker_stop(struct io2_breaker *br);

#endif
