/* SPDX-License-Identifier: GPL-2.0-only */
/* Times that applications pass. */
#ifndef IO2_TIME_H
#define IO2_TIME_H

#include <linux/ktime.h>
#include <linux/time64.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>

/**
 * io2_timespec_check() - convert a time of the application
 * @ts: the time
 * @time: receives it
 *
 * Context: any.
 * Return: 0; -EINVAL for a negative time.
 */
static inline int io2_timespec_check(const struct timespec64 *ts, ktime_t *time)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0)
		return -EINVAL;
	*time = timespec64_to_ktime(*ts);
	return 0;
}

/**
 * io2_timespec() - read a struct __kernel_timespec from the application
 * @uaddr: its user address
 * @time: receives it
 *
 * Context: may sleep.
 * Return: 0; -EFAULT; -EINVAL for a negative time.
 */
static inline int io2_timespec(u64 uaddr, ktime_t *time)
{
	struct timespec64 ts;

	if (get_timespec64(&ts, u64_to_user_ptr(uaddr)))
		return -EFAULT;
	return io2_timespec_check(&ts, time);
}

/**
 * io2_host_time() - convert a point in time from the caller's time namespace
 * @clock: CLOCK_MONOTONIC, CLOCK_BOOTTIME or CLOCK_REALTIME
 * @time: the point in time by that clock in the namespace
 *
 * Context: a task, not a kernel thread: the namespace is that of current.
 * Return: the same point in time in the host's time namespace, as timers need
 * it.
 */
static inline ktime_t io2_host_time(clockid_t clock, ktime_t time)
{
	struct timespec64 ts = {};
	ktime_t ahead;

	if (clock == CLOCK_MONOTONIC)
		timens_add_monotonic(&ts);
	else if (clock == CLOCK_BOOTTIME)
		timens_add_boottime(&ts);
	ahead = timespec64_to_ktime(ts);
	if (ahead < 0)
		return ktime_add_safe(time, -ahead);
	return time > ahead ? ktime_sub(time, ahead) : 0;
}

/**
 * io2_now() - what time is it?
 * @clock: CLOCK_MONOTONIC or CLOCK_BOOTTIME
 *
 * Context: any.
 * Return: the time by that clock, in the host's time namespace.
 */
static inline ktime_t io2_now(clockid_t clock)
{
	return clock == CLOCK_BOOTTIME ? ktime_get_boottime() : ktime_get();
}

/**
 * io2_to_monotonic() - convert a point in time to CLOCK_MONOTONIC
 * @clock: CLOCK_MONOTONIC or CLOCK_BOOTTIME
 * @time: the point in time by that clock, or KTIME_MAX
 *
 * Context: any.
 * Return: the same point by CLOCK_MONOTONIC, if the system is not suspended before
 * that; KTIME_MAX for KTIME_MAX.
 */
static inline ktime_t io2_to_monotonic(clockid_t clock, ktime_t time)
{
	if (clock == CLOCK_MONOTONIC || time == KTIME_MAX)
		return time;
	return ktime_sub(time, ktime_sub(ktime_get_boottime(), ktime_get()));
}

#endif
