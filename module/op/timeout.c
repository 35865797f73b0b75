// SPDX-License-Identifier: GPL-2.0-only
/*
 * The opcodes TIMEOUT and TIMEOUT_REMOVE. The timer's callback runs in
 * interrupt context and only defers the request. The context that makes the
 * timer inactive owns the request: the callback by running, a canceller by
 * hrtimer_try_to_cancel().
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>

#include "compat/compat.h"
#include "count.h"
#include "cq.h"
#include "debug/trace.h"
#include "defer.h"
#include "hash.h"
#include "ops.h"
#include "reqmem.h"
#include "request.h"
#include "time.h"

#define TIMEOUT_CLOCKS	(IOURING2_TIMEOUT_BOOTTIME | IOURING2_TIMEOUT_REALTIME)
#define TIMEOUT_FLAGS	(IOURING2_TIMEOUT_ABS | TIMEOUT_CLOCKS | \
			 IOURING2_TIMEOUT_ETIME_SUCCESS | \
			 IOURING2_TIMEOUT_MULTISHOT)

/**
 * struct timeout_args - arguments of TIMEOUT
 * @timer: its timer, and what it counts
 * @time: when it fires, or after how long
 * @count: completions to wait for, or number of repeats of a multishot
 * @flags: IOURING2_TIMEOUT_*
 * @stopped: set when a multishot is cancelled: it must not fire again
 *
 * Lifetime: that of the request. After prep all fields change only under
 * inflight_lock.
 */
struct timeout_args {
	struct io2_timer	timer;
	ktime_t			time;
	u32			count;
	u16			flags;
	bool			stopped;
};

/**
 * struct timeout_remove_args - arguments of TIMEOUT_REMOVE
 * @user_data: user_data of the timeout
 * @time: its new time, as the caller gave it
 * @monotonic: @time as CLOCK_MONOTONIC of the host's time namespace
 * @boottime: @time as CLOCK_BOOTTIME of the host's time namespace
 * @flags: IOURING2_TIMEOUT_*
 *
 * Lifetime: that of the request; constant after prep.
 */
struct timeout_remove_args {
	u64			user_data;
	ktime_t			time;
	ktime_t			monotonic;
	ktime_t			boottime;
	u32			flags;
};

static struct timeout_args *timeout_args(struct io2_req *req)
{
	return io2_wide_args(req, struct timeout_args);
}

static clockid_t timeout_clock(const struct timeout_args *t)
{
	switch (t->flags & TIMEOUT_CLOCKS) {
	case IOURING2_TIMEOUT_BOOTTIME:
		return CLOCK_BOOTTIME;
	case IOURING2_TIMEOUT_REALTIME:
		return CLOCK_REALTIME;
	default:
		return CLOCK_MONOTONIC;
	}
}

static enum hrtimer_mode timeout_mode(u32 flags)
{
	return flags & IOURING2_TIMEOUT_ABS ? HRTIMER_MODE_ABS :
					      HRTIMER_MODE_REL;
}

static enum hrtimer_restart timeout_fn(struct hrtimer *timer)
{
	io2_defer(container_of(timer, struct io2_timer, timer)->req);
	return HRTIMER_NORESTART;
}

/* Initialises the timer, which must not be active. */
static void timeout_setup(struct io2_req *req)
{
	struct timeout_args *t = timeout_args(req);

	hrtimer_setup(&t->timer.timer, timeout_fn, timeout_clock(t),
		      timeout_mode(t->flags));
}

/* Starts the timer. Return: false if the request must not wait. */
static bool timeout_arm(struct io2_req *req)
{
	struct timeout_args *t = timeout_args(req);

	lockdep_assert_held(&req->ring->inflight_lock);
	if (!io2_hash_add(req, IO2_ARMED_TIMER))
		return false;
	trace_iouring2_timeout_arm(req, t->time, t->count, t->flags);
	hrtimer_start(&t->timer.timer, t->time, timeout_mode(t->flags));
	return true;
}

static void timeout_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	struct timeout_args *t = timeout_args(req);
	struct io2_ring *ring = req->ring;

	spin_lock(&ring->inflight_lock);
	io2_hash_del(req);
	io2_counted_del(&t->timer);
	spin_unlock(&ring->inflight_lock);
	req->res = res;
	if (res != -ETIME || !(t->flags & IOURING2_TIMEOUT_ETIME_SUCCESS))
		io2_req_set(req, res);
	io2_req_complete(req, b);
}

/*
 * Posts an event of a multishot and starts its timer again, as long as there is
 * a free slot for the CQE (I6). Return: true if it goes on.
 */
static bool timeout_again(struct io2_req *req)
{
	struct timeout_args *t = timeout_args(req);
	struct io2_ring *ring = req->ring;
	bool started;

	if (!(t->flags & IOURING2_TIMEOUT_MULTISHOT) || t->count == 1)
		return false;
	if (io2_ring_dying(ring) ||
	    !io2_cq_post_aux(req, -ETIME, IOURING2_CQE_F_MORE))
		return false;
	spin_lock(&ring->inflight_lock);
	if (t->count)
		t->count--;
	started = !t->stopped;
	if (started) {
		io2_hash_del(req);
		started = timeout_arm(req);
	}
	spin_unlock(&ring->inflight_lock);
	if (!started)
		req->res = -ECANCELED;
	return started;
}

/*
 * Runs after the timer has become inactive. A count that was reached, or a
 * cancellation, has set another result than -ETIME.
 */
static void timeout_run(struct io2_req *req, struct io2_batch *b)
{
	/* the callback may still be returning on another CPU */
	hrtimer_cancel(&timeout_args(req)->timer.timer);
	/* only a timeout that was not cancelled ends waits in ENTER */
	if (req->res != -ECANCELED)
		req->flags |= REQ_F_ENDS_WAIT;
	else
		req->flags &= ~REQ_F_ENDS_WAIT;
	if (req->res != -ETIME || !timeout_again(req))
		timeout_finish(req, req->res, b);
}

/*
 * Return: 0 if timeout_run() will find a multishot stopped; -EALREADY if the
 * timeout ends with this event anyway.
 */
static int timeout_stop_repeating(struct io2_req *req)
{
	struct timeout_args *t = timeout_args(req);

	lockdep_assert_held(&req->ring->inflight_lock);
	if (!(t->flags & IOURING2_TIMEOUT_MULTISHOT) || t->count == 1 ||
	    t->stopped)
		return -EALREADY;
	t->stopped = true;
	return 0;
}

/**
 * io2_timeout_cancel() - cancel a timeout
 * @req: found in the hash
 *
 * Context: inflight_lock held.
 * Return: 0, or -EALREADY when it has fired. A multishot that has just fired
 * does not fire again, and ends with ECANCELED.
 */
int io2_timeout_cancel(struct io2_req *req)
{
	struct io2_timer *timer = &timeout_args(req)->timer;

	lockdep_assert_held(&req->ring->inflight_lock);
	if (hrtimer_try_to_cancel(&timer->timer) != 1)
		return timeout_stop_repeating(req);
	io2_hash_del(req);
	io2_counted_del(timer);
	req->res = -ECANCELED;
	io2_defer(req);
	return 0;
}

/**
 * io2_timeout_prep() - read a TIMEOUT
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int io2_timeout_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct timeout_args *t = timeout_args(req);
	int ret;

	if (sqe->len != 1 || (sqe->timeout_flags & ~TIMEOUT_FLAGS))
		return -EINVAL;
	if (hweight32(sqe->timeout_flags & TIMEOUT_CLOCKS) > 1)
		return -EINVAL;
	if ((sqe->timeout_flags & IOURING2_TIMEOUT_MULTISHOT) &&
	    ((sqe->timeout_flags & IOURING2_TIMEOUT_ABS) ||
	     (sqe->flags & IOURING2_SQE_CQE_SKIP_SUCCESS)))
		return -EINVAL;
	t->flags = sqe->timeout_flags;
	t->count = sqe->off;
	t->stopped = false;
	t->timer.req = req;
	INIT_LIST_HEAD(&t->timer.node);
	req->flags |= REQ_F_TIMEOUT;
	ret = io2_timespec(sqe->addr, &t->time);
	if (!ret && (t->flags & IOURING2_TIMEOUT_ABS))
		t->time = io2_host_time(timeout_clock(t), t->time);
	return ret;
}

/**
 * io2_timeout_issue() - do a TIMEOUT
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_QUEUED, or IO2_DONE with -ECANCELED if it must not wait.
 */
enum io2_issue io2_timeout_issue(struct io2_req *req, unsigned int flags)
{
	struct timeout_args *t = timeout_args(req);
	struct io2_ring *ring = req->ring;
	bool started;

	io2_req_track(req);
	req->run = timeout_run;
	req->res = -ETIME;
	timeout_setup(req);
	spin_lock(&ring->inflight_lock);
	if (t->count && !(t->flags & IOURING2_TIMEOUT_MULTISHOT))
		io2_counted_add(&t->timer, t->count);
	started = timeout_arm(req);
	if (!started)
		io2_counted_del(&t->timer);
	spin_unlock(&ring->inflight_lock);
	return started ? IO2_QUEUED : io2_req_set(req, -ECANCELED);
}

/**
 * io2_timeout_remove_prep() - read a TIMEOUT_REMOVE, or a timeout's update
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int io2_timeout_remove_prep(struct io2_req *req,
			    const struct iouring2_sqe *sqe)
{
	struct timeout_remove_args *rem =
		io2_args(req, struct timeout_remove_args);
	int ret;

	rem->user_data = sqe->addr;
	rem->flags = sqe->timeout_flags;
	if (!rem->flags)
		return 0;
	if (!(rem->flags & IOURING2_TIMEOUT_UPDATE) ||
	    (rem->flags & ~(IOURING2_TIMEOUT_UPDATE | IOURING2_TIMEOUT_ABS)))
		return -EINVAL;
	ret = io2_timespec(sqe->addr2, &rem->time);
	if (ret)
		return ret;
	/* the timeout's clock is not known yet, so convert for either here */
	rem->monotonic = io2_host_time(CLOCK_MONOTONIC, rem->time);
	rem->boottime = io2_host_time(CLOCK_BOOTTIME, rem->time);
	return 0;
}

static ktime_t timeout_new_time(const struct timeout_args *t,
				const struct timeout_remove_args *rem)
{
	if (!(rem->flags & IOURING2_TIMEOUT_ABS))
		return rem->time;
	switch (timeout_clock(t)) {
	case CLOCK_MONOTONIC:
		return rem->monotonic;
	case CLOCK_BOOTTIME:
		return rem->boottime;
	default:
		return rem->time;
	}
}

static u32 timeout_repeats(const struct timeout_args *t)
{
	return t->flags & IOURING2_TIMEOUT_MULTISHOT ? t->count : 0;
}

/* Starts the timer with a new time. It does not wait for completions any more. */
static void timeout_update(struct io2_req *req,
			   const struct timeout_remove_args *rem)
{
	struct timeout_args *t = timeout_args(req);

	lockdep_assert_held(&req->ring->inflight_lock);
	io2_counted_del(&t->timer);
	t->time = timeout_new_time(t, rem);
	t->flags &= ~IOURING2_TIMEOUT_ABS;
	t->flags |= rem->flags & IOURING2_TIMEOUT_ABS;
	/* relative and absolute timers of a clock may differ in their base */
	timeout_setup(req);
	trace_iouring2_timeout_arm(req, t->time, timeout_repeats(t), t->flags);
	hrtimer_start(&t->timer.timer, t->time, timeout_mode(t->flags));
}

/**
 * io2_timeout_remove_issue() - do a TIMEOUT_REMOVE
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE; res is 0, -ENOENT, or -EALREADY when the timeout has fired.
 */
enum io2_issue io2_timeout_remove_issue(struct io2_req *req,
					unsigned int flags)
{
	const struct timeout_remove_args *rem =
		io2_args(req, struct timeout_remove_args);
	struct io2_ring *ring = req->ring;
	struct io2_req *victim;
	int ret = 0;

	spin_lock(&ring->inflight_lock);
	victim = io2_hash_find(ring, rem->user_data, IO2_ARMED_TIMER);
	if (!victim)
		ret = -ENOENT;
	else if (!rem->flags)
		ret = io2_timeout_cancel(victim);
	else if (hrtimer_try_to_cancel(&timeout_args(victim)->timer.timer) != 1)
		ret = -EALREADY;
	else
		timeout_update(victim, rem);
	spin_unlock(&ring->inflight_lock);
	return io2_req_set(req, ret);
}
