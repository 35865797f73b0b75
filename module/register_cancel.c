// SPDX-License-Identifier: GPL-2.0-only
/*
 * The register opcode SYNC_CANCEL: cancels requests as ASYNC_CANCEL does, and
 * waits for one that is running. It does not take uring_lock, so that others can
 * use the ring while it waits.
 */
#include <linux/file.h>
#include <linux/hrtimer.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "cancel.h"
#include "compat/compat.h"
#include "defer.h"
#include "deferred.h"
#include "register_cancel.h"
#include "restart.h"
#include "turn.h"
#include "worker.h"

#define SYNC_CANCEL_FLAGS	(IOURING2_ASYNC_CANCEL_ALL | \
				 IOURING2_ASYNC_CANCEL_FD | \
				 IOURING2_ASYNC_CANCEL_ANY | \
				 IOURING2_ASYNC_CANCEL_FD_FIXED | \
				 IOURING2_ASYNC_CANCEL_USERDATA | \
				 IOURING2_ASYNC_CANCEL_OP)

/*
 * @expires receives the CLOCK_MONOTONIC time at which the wait ends, KTIME_MAX for
 * never.
 *
 * Return: 0, or -EINVAL for a negative time.
 */
static int sync_cancel_time(const struct __kernel_timespec *timeout,
			    ktime_t *expires)
{
	struct timespec64 ts = {
		.tv_sec = timeout->tv_sec,
		.tv_nsec = timeout->tv_nsec,
	};

	*expires = KTIME_MAX;
	if (ts.tv_sec == -1 && ts.tv_nsec == -1)
		return 0;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0)
		return -EINVAL;
	*expires = ktime_add_safe(ktime_get(), timespec64_to_ktime(ts));
	return 0;
}

static int sync_cancel_read(struct iouring2_sync_cancel_reg *sc,
			    void __user *uarg)
{
	if (copy_from_user(sc, uarg, sizeof(*sc)))
		return -EFAULT;
	if ((sc->flags & ~SYNC_CANCEL_FLAGS) ||
	    memchr_inv(sc->pad, 0, sizeof(sc->pad)) ||
	    memchr_inv(sc->pad2, 0, sizeof(sc->pad2)))
		return -EINVAL;
	return 0;
}

/* Sets @m->file. Return: 0; -EBADF, also because there are no registered files. */
static int sync_cancel_file(const struct iouring2_sync_cancel_reg *sc,
			    struct io2_cancel_match *m)
{
	if (!(sc->flags & IOURING2_ASYNC_CANCEL_FD))
		return 0;
	if (sc->flags & IOURING2_ASYNC_CANCEL_FD_FIXED)
		return -EBADF;
	m->file = fget(sc->fd);
	return m->file ? 0 : -EBADF;
}

/*
 * Cancels, and completes what it has cancelled. A request that is parked
 * meanwhile is left to the next ENTER.
 *
 * Return: see io2_cancel_matching().
 */
static int sync_cancel_now(struct io2_ring *ring,
			   const struct io2_cancel_match *m)
{
	int ret;

	io2_defer_waiter(ring, 1);
	ret = io2_cancel_matching(ring, m);
	io2_defer_waiter_left(ring);
	io2_deferred_run(ring, IO2_CTX_ENTER);
	if (io2_parked_is_own(ring))
		io2_park_tell(ring);
	return ret;
}

/*
 * On a ring that defers to its issuer, which is current, nobody else runs a request
 * that is deferred meanwhile.
 *
 * Return: true if there was one.
 */
static bool sync_cancel_run(struct io2_ring *ring)
{
	if (!io2_defer_pending(ring))
		return false;
	__set_current_state(TASK_RUNNING);
	io2_deferred_run(ring, IO2_CTX_ENTER);
	return true;
}

/*
 * Cancels again whenever something has completed, until no request that matches
 * is running. A request that was not asleep yet is interrupted again.
 *
 * Return: 0; -ETIME, -EINTR, or -ERESTARTNOINTR.
 */
static int sync_cancel_wait(struct io2_ring *ring,
			    const struct io2_cancel_match *m, ktime_t expires)
{
	bool defers = io2_ring_defers(ring);
	DEFINE_WAIT(wait);
	int ret;

	if (defers)
		io2_defer_waiter(ring, 1);
	for (;;) {
		prepare_to_wait(&ring->wait, &wait, TASK_INTERRUPTIBLE);
		/* a completion that comes after this wakes us */
		ret = io2_cancel_matching(ring, m);
		if (ret != -EALREADY)
			break;
		if (defers && sync_cancel_run(ring))
			continue;
		ret = io2_wait_interrupted();
		if (ret)
			break;
		if (!schedule_hrtimeout(expires == KTIME_MAX ? NULL : &expires,
					HRTIMER_MODE_ABS)) {
			ret = -ETIME;
			break;
		}
	}
	finish_wait(&ring->wait, &wait);
	if (defers)
		io2_defer_waiter_left(ring);
	return ret == -ENOENT || ret > 0 ? 0 : ret;
}

/* @key tells the calls of a task apart. */
static int sync_cancel(struct io2_ring *ring, const struct io2_cancel_match *m,
		       ktime_t expires, u64 key)
{
	struct io2_deadlines at = {
		.expires = expires,
		.min_expires = KTIME_MAX,
	};
	bool again = io2_restart_recall(ring, key, &at);
	int ret;

	ret = sync_cancel_now(ring, m);
	/* the request may have ended between the two calls */
	if (ret == -ENOENT && again)
		return 0;
	if (ret != -EALREADY)
		return ret;
	ret = sync_cancel_wait(ring, m, at.expires);
	if (ret == -ERESTARTNOINTR)
		io2_restart_remember(ring, key, &at);
	return ret;
}

/**
 * io2_register_sync_cancel() - SYNC_CANCEL
 * @ring: the ring
 * @uarg: user address of a struct iouring2_sync_cancel_reg
 * @nr: must be 1
 *
 * Context: may sleep, until the request has ended; uring_lock not held.
 * Return: 0; with ALL or ANY, the number of requests found; -EINVAL, -EFAULT;
 * -EBADF; -ENOENT if there is no such request; -ETIME or -EINTR if the request is
 * still running.
 */
int io2_register_sync_cancel(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct iouring2_sync_cancel_reg sc;
	struct io2_cancel_match m = {};
	ktime_t expires;
	int ret;

	if (!uarg || nr != 1)
		return -EINVAL;
	ret = sync_cancel_read(&sc, uarg);
	if (ret)
		return ret;
	ret = sync_cancel_time(&sc.timeout, &expires);
	if (ret)
		return ret;
	m.flags = sc.flags;
	m.user_data = sc.addr;
	m.opcode = sc.opcode;
	ret = sync_cancel_file(&sc, &m);
	if (ret)
		return ret;
	/* not the key of an ENTER: the address of its argument is even */
	ret = sync_cancel(ring, &m, expires, (uintptr_t)uarg | 1);
	if (m.file)
		fput(m.file);
	return ret;
}
