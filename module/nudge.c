// SPDX-License-Identifier: GPL-2.0-only
/* Ending a task's sleep without a signal: now, or when some time is over. */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "nudge.h"

#define BREAK_AGAIN	(10 * NSEC_PER_MSEC)	/* it may not have been asleep */

/**
 * io2_nudge() - end a task's interruptible sleep without a signal
 * @task: the task; a member of the process that owns what it sleeps for
 *
 * As the freezer does.  A task that is not asleep finds its next interruptible
 * sleep ended, until io2_unnudge(); what computes and looks whether there is a
 * signal finds one.
 *
 * Context: any.
 */
void io2_nudge(struct task_struct *task)
{
	set_tsk_thread_flag(task, TIF_SIGPENDING);
	/* it looks at the flag after it has said that it sleeps */
	smp_mb__after_atomic();
	if (io2_task_state(task) & TASK_INTERRUPTIBLE)
		wake_up_process(task);
}

/**
 * io2_nudge_sleeper() - the same, for a task that sleeps interruptibly now
 * @task: the task
 *
 * A task that is at work is left alone: a kernel function that does a long piece
 * of work may look for signals, and end before it is done.
 *
 * Context: any.
 */
void io2_nudge_sleeper(struct task_struct *task)
{
	if (io2_task_state(task) & TASK_INTERRUPTIBLE)
		io2_nudge(task);
}

/**
 * io2_unnudge() - the end of what io2_nudge() did to current
 *
 * Context: task context.
 */
void io2_unnudge(void)
{
	io2_recalc_sigpending();
}

/* --- the breaker ---------------------------------------------------------- */

static enum hrtimer_restart breaker_fn(struct hrtimer *timer)
{
	struct io2_breaker *br = container_of(timer, struct io2_breaker, timer);

	io2_nudge_sleeper(br->task);
	hrtimer_forward_now(timer, BREAK_AGAIN);
	return HRTIMER_RESTART;
}

/**
 * io2_breaker_start() - from some time on current does not sleep interruptibly
 * @br: on current's stack
 * @expires: that time, of CLOCK_MONOTONIC; KTIME_MAX: never
 *
 * Context: task context.
 */
void io2_breaker_start(struct io2_breaker *br, ktime_t expires)
{
	br->task = NULL;
	if (expires == KTIME_MAX)
		return;
	br->task = current;
	io2_hrtimer_on_stack(&br->timer, breaker_fn, CLOCK_MONOTONIC,
			     HRTIMER_MODE_ABS);
	hrtimer_start(&br->timer, expires, HRTIMER_MODE_ABS);
}

/**
 * io2_breaker_stop() - it sleeps as before
 * @br: the same
 *
 * Context: task context.
 */
void io2_breaker_stop(struct io2_breaker *br)
{
	if (br->task) {
		hrtimer_cancel(&br->timer);
		destroy_hrtimer_on_stack(&br->timer);
	}
	if (signal_pending(current))
		io2_unnudge();
}
