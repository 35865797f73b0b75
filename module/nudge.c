// SPDX-License-Identifier: GPL-2.0-only
/* Ending a task's sleep without a signal: at once, or after some time. */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "nudge.h"

#define BREAK_AGAIN	(10 * NSEC_PER_MSEC)	/* the task may not have been asleep */

/**
 * io2_nudge() - end a task's interruptible sleep without a signal
 * @task: the task; a member of the process that owns the request it sleeps for
 *
 * Works as the freezer does: sets TIF_SIGPENDING without queueing a signal. If
 * the task is not asleep, its next interruptible sleep ends at once, and
 * signal_pending() is true for it, until io2_unnudge().
 *
 * Context: any.
 */
void io2_nudge(struct task_struct *task)
{
	set_tsk_thread_flag(task, TIF_SIGPENDING);
	/* flag before state; pairs with set_current_state() in @task */
	smp_mb__after_atomic();
	if (io2_task_state(task) & TASK_INTERRUPTIBLE)
		wake_up_process(task);
}

/**
 * io2_nudge_sleeper() - nudge a task only if it sleeps interruptibly now
 * @task: the task
 *
 * A running task is left alone: a long-running kernel function may check for
 * signals and would return early.
 *
 * Context: any.
 */
void io2_nudge_sleeper(struct task_struct *task)
{
	if (io2_task_state(task) & TASK_INTERRUPTIBLE)
		io2_nudge(task);
}

/**
 * io2_unnudge() - undo the effect of io2_nudge() on current
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
 * io2_breaker_arm() - the slow path of io2_breaker_start()
 * @br: on current's stack
 * @expires: as for io2_breaker_start(), but not KTIME_MAX
 *
 * Context: task context.
 */
void io2_breaker_arm(struct io2_breaker *br, ktime_t expires)
{
	br->task = current;
	io2_hrtimer_on_stack(&br->timer, breaker_fn, CLOCK_MONOTONIC,
			     HRTIMER_MODE_ABS);
	hrtimer_start(&br->timer, expires, HRTIMER_MODE_ABS);
}

/**
 * io2_breaker_disarm() - the slow path of io2_breaker_stop()
 * @br: armed
 *
 * Context: task context.
 */
void io2_breaker_disarm(struct io2_breaker *br)
{
	hrtimer_cancel(&br->timer);
	destroy_hrtimer_on_stack(&br->timer);
}
