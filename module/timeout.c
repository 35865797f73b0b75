// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timeouts.  The timer's callback runs in interrupt context and only defers;
 * whoever gets the timer from the active to the inactive state owns the
 * request: the callback by running, a canceller by hrtimer_try_to_cancel().
 */
#include <linux/ktime.h>
#include <linux/time64.h>
#include <linux/time_namespace.h>

#include "compat/compat.h"
#include "cancel.h"
#include "cq.h"
#include "deferred.h"
#include "request.h"
#include "timeout.h"

#define TIMEOUT_CLOCKS	(IOURING2_TIMEOUT_BOOTTIME | IOURING2_TIMEOUT_REALTIME)
#define TIMEOUT_FLAGS	(IOURING2_TIMEOUT_ABS | TIMEOUT_CLOCKS | \
			 IOURING2_TIMEOUT_ETIME_SUCCESS | \
			 IOURING2_TIMEOUT_MULTISHOT)

/**
 * io2_timespec() - read a struct __kernel_timespec from the application
 * @uaddr: its address
 * @time: receives it
 *
 * Context: may sleep.
 * Return: 0; -EFAULT; -EINVAL for a negative time.
 */
int io2_timespec(u64 uaddr, ktime_t *time)
{
	struct timespec64 ts;

	if (get_timespec64(&ts, u64_to_user_ptr(uaddr)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0)
		return -EINVAL;
	*time = timespec64_to_ktime(ts);
	return 0;
}

/**
 * io2_host_time() - a point in time, out of the caller's time namespace
 * @clock: CLOCK_MONOTONIC, CLOCK_BOOTTIME or CLOCK_REALTIME
 * @time: what that clock shows there
 *
 * Context: a task, not a kernel thread: it is @current's namespace.
 * Return: what the clock shows outside, where timers run.
 */
ktime_t io2_host_time(clockid_t clock, ktime_t time)
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

static clockid_t timeout_clock(const struct io2_timeout *t)
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
	struct io2_req *req = container_of(timer, struct io2_req,
					   timeout.timer);

	io2_defer(req);
	return HRTIMER_NORESTART;
}

/* The timer must not be active. */
static void timeout_setup(struct io2_timeout *t)
{
	hrtimer_setup(&t->timer, timeout_fn, timeout_clock(t),
		      timeout_mode(t->flags));
}

static void timeout_uncount(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	if (list_empty(&req->timeout.node))
		return;
	list_del_init(&req->timeout.node);
	WRITE_ONCE(ring->nr_counted, ring->nr_counted - 1);
}

/* Starts the timer.  Return: false when the ring is going away. */
static bool timeout_start(struct io2_req *req)
{
	struct io2_timeout *t = &req->timeout;

	lockdep_assert_held(&req->ring->inflight_lock);
	if (!io2_hash_add(req, IO2_ARMED_TIMER))
		return false;
	hrtimer_start(&t->timer, t->time, timeout_mode(t->flags));
	return true;
}

static void timeout_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	struct io2_ring *ring = req->ring;

	spin_lock(&ring->inflight_lock);
	io2_hash_del(req);
	timeout_uncount(req);
	spin_unlock(&ring->inflight_lock);
	req->res = res;
	if (res != -ETIME ||
	    !(req->timeout.flags & IOURING2_TIMEOUT_ETIME_SUCCESS))
		io2_req_set(req, res);
	io2_req_complete(req, b);
}

/* A multishot goes on as long as there is a slot for its CQE (I6). */
static bool timeout_again(struct io2_req *req)
{
	struct io2_timeout *t = &req->timeout;
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
		started = timeout_start(req);
	}
	spin_unlock(&ring->inflight_lock);
	if (!started)
		req->res = -ECANCELED;
	return started;
}

/* Runs after the callback; somebody else may have set another result. */
static void timeout_run(struct io2_req *req, struct io2_batch *b)
{
	/* the callback may still be on its way out on another CPU */
	hrtimer_cancel(&req->timeout.timer);
	/* it has come, by time or by count; else somebody has cancelled it */
	if (req->res != -ECANCELED)
		req->flags |= REQ_F_ENDS_WAIT;
	else
		req->flags &= ~REQ_F_ENDS_WAIT;
	if (req->res != -ETIME || !timeout_again(req))
		timeout_finish(req, req->res, b);
}

/* Return: whether whoever runs it will find that it was cancelled. */
static int timeout_stop_repeating(struct io2_req *req)
{
	struct io2_timeout *t = &req->timeout;

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
 * Return: 0, or -EALREADY when it has fired.  A multishot that has just fired fires
 * no more, and ends with ECANCELED.
 */
int io2_timeout_cancel(struct io2_req *req)
{
	lockdep_assert_held(&req->ring->inflight_lock);
	if (hrtimer_try_to_cancel(&req->timeout.timer) != 1)
		return timeout_stop_repeating(req);
	io2_hash_del(req);
	timeout_uncount(req);
	req->res = -ECANCELED;
	io2_defer(req);
	return 0;
}

/**
 * io2_timeouts_count() - end timeouts that waited for a number of completions
 * @ring: the ring; something was posted, and @nr_counted was not 0 after that
 *
 * Context: task context; inflight_lock not held.
 */
void io2_timeouts_count(struct io2_ring *ring)
{
	struct io2_req *req, *next;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry_safe(req, next, &ring->counted, timeout.node) {
		if ((s32)(READ_ONCE(ring->cq_events) -
			  req->timeout.target) < 0)
			break;
		timeout_uncount(req);
		if (hrtimer_try_to_cancel(&req->timeout.timer) != 1)
			continue;
		io2_hash_del(req);
		req->res = 0;
		io2_defer(req);
	}
	spin_unlock(&ring->inflight_lock);
}

/* Sorted by target, soonest first. */
static void timeout_count_add(struct io2_req *req)
{
	struct io2_timeout *t = &req->timeout;
	struct io2_ring *ring = req->ring;
	struct io2_req *pos;

	lockdep_assert_held(&ring->inflight_lock);
	WRITE_ONCE(ring->nr_counted, ring->nr_counted + 1);
	/* a poster sees nr_counted, or we see what it posted */
	smp_mb();
	/* compared as a distance: so many CQEs are not counted one by one */
	t->target = READ_ONCE(ring->cq_events) + min_t(u32, t->count, S32_MAX);
	list_for_each_entry_reverse(pos, &ring->counted, timeout.node)
		if ((s32)(t->target - pos->timeout.target) >= 0)
			break;
	list_add(&t->node, &pos->timeout.node);
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
	struct io2_timeout *t = &req->timeout;
	int ret;

	if (sqe->buf_index || sqe->len != 1 || sqe->splice_fd_in)
		return -EINVAL;
	if (sqe->timeout_flags & ~TIMEOUT_FLAGS)
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
	INIT_LIST_HEAD(&t->node);
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
 * Return: IO2_ASYNC, or IO2_DONE with -ECANCELED on a dying ring.
 */
enum io2_issue io2_timeout_issue(struct io2_req *req, unsigned int flags)
{
	struct io2_timeout *t = &req->timeout;
	struct io2_ring *ring = req->ring;
	bool started;

	io2_req_track(req);
	req->run = timeout_run;
	req->res = -ETIME;
	timeout_setup(t);
	spin_lock(&ring->inflight_lock);
	if (t->count && !(t->flags & IOURING2_TIMEOUT_MULTISHOT))
		timeout_count_add(req);
	started = timeout_start(req);
	if (!started)
		timeout_uncount(req);
	spin_unlock(&ring->inflight_lock);
	return started ? IO2_ASYNC : io2_req_set(req, -ECANCELED);
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
	struct io2_timeout_rem *rem = &req->timeout_rem;
	int ret;

	if (sqe->buf_index || sqe->len || sqe->splice_fd_in)
		return -EINVAL;
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
	/* which clock is known when the timeout is found, maybe elsewhere */
	rem->monotonic = io2_host_time(CLOCK_MONOTONIC, rem->time);
	rem->boottime = io2_host_time(CLOCK_BOOTTIME, rem->time);
	return 0;
}

static ktime_t timeout_new_time(const struct io2_timeout *t,
				const struct io2_timeout_rem *rem)
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

/* Starts the timer afresh; it no longer waits for completions. */
static void timeout_update(struct io2_req *req,
			   const struct io2_timeout_rem *rem)
{
	struct io2_timeout *t = &req->timeout;

	lockdep_assert_held(&req->ring->inflight_lock);
	timeout_uncount(req);
	t->time = timeout_new_time(t, rem);
	t->flags &= ~IOURING2_TIMEOUT_ABS;
	t->flags |= rem->flags & IOURING2_TIMEOUT_ABS;
	/* a relative timer may be on another clock's base than an absolute one */
	timeout_setup(t);
	hrtimer_start(&t->timer, t->time, timeout_mode(t->flags));
}

/**
 * io2_timeout_remove_issue() - do a TIMEOUT_REMOVE
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE; res is 0, -ENOENT, or -EALREADY when the timeout has
 * fired.
 */
enum io2_issue io2_timeout_remove_issue(struct io2_req *req,
					unsigned int flags)
{
	const struct io2_timeout_rem *rem = &req->timeout_rem;
	struct io2_ring *ring = req->ring;
	struct io2_req *victim;
	int ret = 0;

	spin_lock(&ring->inflight_lock);
	victim = io2_hash_find(ring, rem->user_data, IO2_ARMED_TIMER);
	if (!victim)
		ret = -ENOENT;
	else if (!rem->flags)
		ret = io2_timeout_cancel(victim);
	else if (hrtimer_try_to_cancel(&victim->timeout.timer) != 1)
		ret = -EALREADY;
	else
		timeout_update(victim, rem);
	spin_unlock(&ring->inflight_lock);
	return io2_req_set(req, ret);
}
