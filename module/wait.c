// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENTER: submit, then wait. Every ENTER first runs deferred requests and moves
 * as much of the backlog into the CQ as fits (I3). So no task sleeps while the
 * kernel holds a completion that it could post.
 *
 * On a ring that defers to its issuer, only the issuer's ENTER with GETEVENTS runs
 * deferred requests, with uring_lock held. The functions for such a ring have
 * "deferring" in their names.
 */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "cq.h"
#include "debug/trace.h"
#include "deferred.h"
#include "param.h"
#include "request.h"
#include "restart.h"
#include "sq.h"
#include "submit.h"
#include "submitter.h"
#include "time.h"
#include "turn.h"
#include "wait.h"

/**
 * struct cq_waiter - a task that waits in ENTER
 * @entry: in ring->wait
 * @ring: the ring
 * @target: CQ tail at which to wake up; written by the task, read by wakers
 * @ends: ring->wait_ends when ENTER began
 * @min: number of CQEs that end the wait
 * @at: when the wait ends
 * @clock: the clock of @at
 * @iowait: account the sleep as a wait for I/O
 *
 * Lifetime: on the stack of the task. @entry is guarded by the lock of
 * ring->wait; the other fields but @target are constant while it is queued.
 */
struct cq_waiter {
	struct wait_queue_entry	entry;
	struct io2_ring		*ring;
	u32			target;
	u32			ends;
	u32			min;
	struct io2_deadlines	at;
	clockid_t		clock;
	bool			iowait;
};

/**
 * struct wait_arg - ENTER's argument, parsed
 * @sigmask: user address of the signal mask during the wait, or 0
 * @sigmask_sz: its size in bytes
 * @at: when the wait ends
 * @clock: the clock of @at
 *
 * Lifetime: on the stack of the task.
 */
struct wait_arg {
	u64			sigmask;
	u32			sigmask_sz;
	struct io2_deadlines	at;
	clockid_t		clock;
};

/* A timeout that fires ends every wait, however many CQEs that waits for. */
static bool wait_ended(const struct io2_ring *ring, u32 ends)
{
	/* acquire: the timeout's CQE is in the CQ */
	return smp_load_acquire(&ring->wait_ends) != ends;
}

/*
 * A completion that takes two entries stays in the backlog while only one entry
 * is free. The CQ counts as full then.
 */
static bool wait_has_gap(const struct io2_ring *ring)
{
	return (ring->setup_flags & IOURING2_SETUP_CQE_MIXED) &&
	       READ_ONCE(ring->nr_backlog) &&
	       io2_cq_ready(ring) + 1 >= ring->cq_entries;
}

/*
 * Does this wake-up concern the waiter? It does if there are enough CQEs,
 * deferred requests to run, or requests parked for its process. Another process
 * may share memory and descriptors with that one. It cannot do the requests,
 * and would use up the wake-up.
 */
static bool cq_wakes(const struct cq_waiter *w, const void *key)
{
	const struct task_struct *task = w->entry.private;
	const struct io2_submitter *sub = key;

	if (key == IO2_WAKE_DEFERRED)
		return true;
	if (key != IO2_WAKE_CQ)
		return io2_submitter_has(sub, task);
	return wait_ended(w->ring, w->ends) ||
	       (s32)(READ_ONCE(w->ring->cq_tail) - READ_ONCE(w->target)) >= 0 ||
	       wait_has_gap(w->ring);
}

static int cq_wake(struct wait_queue_entry *entry, unsigned int mode, int sync,
		   void *key)
{
	struct cq_waiter *w = container_of(entry, struct cq_waiter, entry);

	if (!cq_wakes(w, key))
		return 0;
	return autoremove_wake_function(entry, mode, sync, key);
}

/* Return: when the sleep ends: first at the end of the minimum wait, if any. */
static ktime_t wait_expires(const struct cq_waiter *w)
{
	return w->at.min_expires != KTIME_MAX ? w->at.min_expires :
						w->at.expires;
}

static int wait_schedule(const struct cq_waiter *w)
{
	ktime_t expires = wait_expires(w);

	if (expires == KTIME_MAX) {
		schedule();
		return 0;
	}
	return schedule_hrtimeout_range_clock(&expires, 0, HRTIMER_MODE_ABS,
					      w->clock) ? 0 : -ETIME;
}

/* Is a request in flight? Without the locks, this may be a little out of date. */
static bool wait_is_for_io(const struct io2_ring *ring)
{
	return READ_ONCE(ring->accepted) != READ_ONCE(ring->completed);
}

/*
 * A wait for requests in flight counts as a wait for I/O, as in io_uring: cpufreq
 * keeps the clock of a CPU high whose tasks wait for I/O.
 */
static int wait_sleep(struct cq_waiter *w)
{
	bool iowait = w->iowait && wait_is_for_io(w->ring);
	int ret;

	if (iowait)
		current->in_iowait = 1;
	ret = wait_schedule(w);
	if (iowait)
		current->in_iowait = 0;
	return ret;
}

#define DEFERRING_ROUNDS	16	/* looks for work that the work itself has made */

/* Is there anything to run or to post for the issuer? */
static __always_inline bool deferring_has_work(const struct io2_ring *ring)
{
	return io2_defer_pending(ring) || READ_ONCE(ring->nr_backlog);
}

/* Runs deferred requests and flushes the backlog. */
static void deferring_run(struct io2_ring *ring)
{
	mutex_lock(&ring->uring_lock);
	io2_deferred_run_owned(ring, IO2_CTX_ENTER);
	io2_cq_flush(ring);
	mutex_unlock(&ring->uring_lock);
}

/*
 * Does all that the issuer has to do. Deferred requests may be parked, and those
 * that end in the turn are deferred. A turn follows each run, as requests that
 * current parks are not announced.
 */
static noinline void deferring_work(struct io2_ring *ring, ktime_t expires)
{
	unsigned int rounds = DEFERRING_ROUNDS;

	do {
		if (deferring_has_work(ring))
			deferring_run(ring);
		io2_turn(ring, expires);
	} while (io2_defer_pending(ring) && --rounds);
}

/*
 * Runs deferred and parked requests and flushes the backlog first.
 *
 * Return: true if there are @min CQEs, or a timeout has ended the wait.
 */
static __always_inline bool wait_satisfied(struct io2_ring *ring, u32 min,
					   u32 ends, ktime_t expires, bool defers)
{
	if (defers) {
		if (unlikely(deferring_has_work(ring) ||
			     READ_ONCE(ring->nr_parked)))
			deferring_work(ring, expires);
	} else {
		io2_deferred_run(ring, IO2_CTX_ENTER);
		io2_turn(ring, expires);
		io2_cq_flush(ring);
	}
	return io2_cq_ready(ring) >= min || wait_ended(ring, ends) ||
	       wait_has_gap(ring);
}

static bool waiter_satisfied(const struct cq_waiter *w)
{
	return wait_satisfied(w->ring, w->min, w->ends,
			      io2_to_monotonic(w->clock, wait_expires(w)),
			      io2_ring_defers(w->ring));
}

/*
 * A parked request that did not end in the turn keeps the task from sleeping,
 * and so from noticing the end of its time. Check that here.
 */
static int wait_expired(const struct cq_waiter *w)
{
	ktime_t expires = wait_expires(w);

	if (expires == KTIME_MAX || !READ_ONCE(w->ring->nr_parked))
		return 0;
	return ktime_after(io2_now(w->clock), expires) ? -ETIME : 0;
}

/*
 * The time is up. If that was the minimum wait, any CQE ends the wait from here
 * on, whether it has been posted or comes later.
 *
 * Return: 0 if the wait goes on; -ETIME, also after a minimum wait without a
 * timeout behind it.
 */
static int wait_time_up(struct cq_waiter *w)
{
	if (w->at.min_expires == KTIME_MAX || w->at.expires == KTIME_MAX)
		return -ETIME;
	w->at.min_expires = KTIME_MAX;
	w->min = 1;
	return 0;
}

/* How many CQEs are missing? At least 1, whatever the application does to the head. */
static u32 wait_missing(const struct cq_waiter *w)
{
	u32 ready = io2_cq_ready(w->ring);

	return ready < w->min ? w->min - ready : 1;
}

static int wait_loop(struct cq_waiter *w)
{
	struct io2_ring *ring = w->ring;
	int ret = 0;

	while (!waiter_satisfied(w)) {
		if (!ret)
			ret = wait_expired(w);
		if (ret) {
			ret = wait_time_up(w);
			if (ret)
				return ret;
			continue;
		}
		cond_resched();
		ret = io2_wait_interrupted();
		if (ret)
			return ret;
		WRITE_ONCE(w->target, io2_rings_cq_head(ring) + w->min);
		io2_defer_waiter(ring, wait_missing(w));
		prepare_to_wait_exclusive(&ring->wait, &w->entry,
					  TASK_INTERRUPTIBLE);
		/* completions and requests that come after this point wake us */
		if (!io2_defer_pending(ring) &&
		    !READ_ONCE(ring->nr_backlog) &&
		    io2_cq_ready(ring) < w->min && !wait_ended(ring, w->ends) &&
		    w->min <= READ_ONCE(ring->cq_entries) &&
		    !signal_pending(current) && !io2_parked_is_own(ring))
			ret = wait_sleep(w);
		finish_wait(&ring->wait, &w->entry);
		/* we run the list next; from here on others run what is added */
		io2_defer_waiter_left(ring);
		/* the CQ may have become smaller: it is full sooner */
		w->min = min(w->min, READ_ONCE(ring->cq_entries));
	}
	return 0;
}

/*
 * Waits for @w->min CQEs, or for a timeout that ends all waits.
 *
 * Return: 0; if the wait was ended early, -EINTR, -ETIME, or -ERESTARTNOINTR
 * for task work of another subsystem.
 */
static int wait_for_cqes(struct cq_waiter *w)
{
	init_waitqueue_func_entry(&w->entry, cq_wake);
	INIT_LIST_HEAD(&w->entry.entry);
	w->entry.private = current;
	trace_iouring2_wait(w->ring, w->min, io2_cq_ready(w->ring));
	return wait_loop(w);
}

/* --- ENTER's argument --------------------------------------------------- */

static void wait_until(struct wait_arg *wa, ktime_t t, u32 flags)
{
	wa->at.expires = flags & IOURING2_ENTER_ABS_TIMER ?
			 io2_host_time(wa->clock, t) :
			 ktime_add_safe(io2_now(wa->clock), t);
}

/* The minimum wait, which is none if @usec is 0 */
static void wait_at_least(struct wait_arg *wa, u32 usec)
{
	if (usec)
		wa->at.min_expires = ktime_add_us(io2_now(wa->clock), usec);
}

static int parse_ext_arg(struct wait_arg *wa, u64 uaddr, u32 argsz, u32 flags)
{
	struct iouring2_getevents_arg ext;
	ktime_t t;
	int ret;

	if (argsz != sizeof(ext))
		return -EINVAL;
	if (copy_from_user(&ext, u64_to_user_ptr(uaddr), sizeof(ext)))
		return -EFAULT;
	wa->sigmask = ext.sigmask;
	wa->sigmask_sz = ext.sigmask_sz;
	wait_at_least(wa, ext.min_wait_usec);
	if (!ext.ts)
		return 0;
	ret = io2_timespec(ext.ts, &t);
	if (!ret)
		wait_until(wa, t, flags);
	return ret;
}

/* The argument is in the region of MEM_REGION, at offset @off. */
static int parse_reg_arg(const struct io2_ring *ring, struct wait_arg *wa,
			 u64 off, u32 argsz, u32 flags)
{
	struct iouring2_reg_wait w;
	struct timespec64 ts;
	ktime_t t;
	int ret;

	if (argsz != sizeof(w))
		return -EINVAL;
	ret = io2_param_wait_arg(ring, off, &w);
	if (ret)
		return ret;
	if (w.flags & ~IOURING2_REG_WAIT_TS)
		return -EINVAL;
	wa->sigmask = w.sigmask;
	wa->sigmask_sz = w.sigmask_sz;
	wait_at_least(wa, w.min_wait_usec);
	if (!(w.flags & IOURING2_REG_WAIT_TS))
		return 0;
	ts.tv_sec = w.ts.tv_sec;
	ts.tv_nsec = w.ts.tv_nsec;
	ret = io2_timespec_check(&ts, &t);
	if (!ret)
		wait_until(wa, t, flags);
	return ret;
}

static int parse_arg(const struct io2_ring *ring, struct wait_arg *wa,
		     u32 flags, u64 uaddr, u32 argsz)
{
	wa->at.expires = KTIME_MAX;
	wa->at.min_expires = KTIME_MAX;
	if (!(flags & IOURING2_ENTER_EXT_ARG)) {
		wa->sigmask = uaddr;
		wa->sigmask_sz = argsz;
		return 0;
	}
	if (flags & IOURING2_ENTER_EXT_ARG_REG)
		return parse_reg_arg(ring, wa, uaddr, argsz, flags);
	return parse_ext_arg(wa, uaddr, argsz, flags);
}

/*
 * Sets the signal mask for the time of the wait, as ppoll(2) does. The old mask
 * is saved where signal delivery restores it from.
 */
static int sigmask_set(const struct wait_arg *wa)
{
	sigset_t set;

	if (!wa->sigmask)
		return 0;
	if (wa->sigmask_sz != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, u64_to_user_ptr(wa->sigmask), sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	current->saved_sigmask = current->blocked;
	set_restore_sigmask();
	sigprocmask(SIG_SETMASK, &set, NULL);
	return 0;
}

/* If a signal is about to be delivered, its delivery restores the mask. */
static void sigmask_restore(bool interrupted)
{
	sigset_t set;

	if (interrupted || !test_and_clear_restore_sigmask())
		return;
	set = current->saved_sigmask;
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/* --- ENTER -------------------------------------------------------------- */

/* Would a wait that is restarted last longer than it should? */
static bool wait_is_relative(const struct io2_deadlines *at, u32 flags)
{
	return at->min_expires != KTIME_MAX ||
	       (at->expires != KTIME_MAX && !(flags & IOURING2_ENTER_ABS_TIMER));
}

/*
 * Slow path of a wait: there are too few CQEs yet, or an argument was given. If
 * requests were @submitted, the call returns their number and is not restarted.
 */
static noinline int enter_wait(struct io2_ring *ring, u32 min, u32 ends,
			       u32 flags, u64 uaddr, u32 argsz, bool submitted)
{
	struct wait_arg wa = { .clock = READ_ONCE(ring->clock) };
	struct cq_waiter w = {
		.ring = ring,
		.ends = ends,
		.min = min,
		.clock = wa.clock,
		.iowait = !(flags & IOURING2_ENTER_NO_IOWAIT),
	};
	int ret;

	ret = parse_arg(ring, &wa, flags, uaddr, argsz);
	if (ret) {
		/* requests were accepted nevertheless: do those that are parked */
		if (io2_ring_defers(ring))
			deferring_work(ring, KTIME_MAX);
		else
			io2_turn(ring, KTIME_MAX);
		return ret;
	}
	io2_restart_recall(ring, uaddr, &wa.at);
	w.at = wa.at;
	if (waiter_satisfied(&w))
		return 0;
	ret = sigmask_set(&wa);
	if (ret)
		return ret;
	ret = wait_for_cqes(&w);
	sigmask_restore(ret == -EINTR || ret == -ERESTARTNOINTR);
	if (ret != -ERESTARTNOINTR)
		return io2_cq_ready(ring) ? 0 : ret;
	/* some CQEs are not enough: the wait goes on */
	if (!submitted && wait_is_relative(&wa.at, flags))
		io2_restart_remember(ring, uaddr, &wa.at);
	return ret;
}

static __always_inline int enter_submit(struct io2_ring *ring, u32 to_submit)
{
	int ret;

	mutex_lock(&ring->uring_lock);
	ret = io2_submit(ring, to_submit);
	mutex_unlock(&ring->uring_lock);
	return ret;
}

/* ENTER of a task that is not the issuer of a ring that defers to it. */
static noinline int enter_not_issuer(struct io2_ring *ring, u32 to_submit,
				     u32 flags, u64 uaddr, u32 argsz)
{
	struct wait_arg wa = { .clock = CLOCK_MONOTONIC };
	int ret;

	if (to_submit)
		return -EEXIST;
	if (!(flags & IOURING2_ENTER_GETEVENTS))
		return 0;
	ret = parse_arg(ring, &wa, flags, uaddr, argsz);
	return ret ? ret : -EEXIST;
}

static __always_inline int deferring_submit(struct io2_ring *ring, u32 to_submit,
					    bool getevents)
{
	int ret;

	mutex_lock(&ring->uring_lock);
	ret = io2_submit_deferring(ring, to_submit, getevents);
	mutex_unlock(&ring->uring_lock);
	return ret;
}

/* Without GETEVENTS only the backlog moves, and the turn is run. */
static noinline void deferring_leave(struct io2_ring *ring)
{
	if (READ_ONCE(ring->nr_backlog)) {
		mutex_lock(&ring->uring_lock);
		io2_cq_flush(ring);
		mutex_unlock(&ring->uring_lock);
	}
	io2_turn(ring, KTIME_MAX);
}

/* io2_enter() for a ring that defers to its issuer. */
static noinline int enter_deferring(struct io2_ring *ring, u32 to_submit,
				    u32 min_complete, u32 flags, u64 uaddr,
				    u32 argsz)
{
	bool getevents = flags & IOURING2_ENTER_GETEVENTS;
	u32 ends = READ_ONCE(ring->wait_ends);
	int submitted = 0, ret = 0;

	if (unlikely(!io2_ring_is_issuer(ring)))
		return enter_not_issuer(ring, to_submit, flags, uaddr, argsz);
	if (to_submit) {
		submitted = deferring_submit(ring, to_submit, getevents);
		if (unlikely(submitted < 0 || submitted != to_submit))
			getevents = false;
	}
	if (!getevents) {
		if (unlikely(READ_ONCE(ring->nr_backlog) |
			     READ_ONCE(ring->nr_parked)))
			deferring_leave(ring);
		return submitted;
	}
	min_complete = min(min_complete, READ_ONCE(ring->cq_entries));
	if (unlikely((flags & IOURING2_ENTER_EXT_ARG) ||
		     !wait_satisfied(ring, min_complete, ends, KTIME_MAX, true)))
		ret = enter_wait(ring, min_complete, ends, flags, uaddr, argsz,
				 submitted);
	return submitted ? : ret;
}

/* rings that do not serve everybody */
#define ENTER_ASKS	(IOURING2_SETUP_R_DISABLED | IOURING2_SETUP_SINGLE_ISSUER)

/**
 * io2_enter() - submit requests and wait for completions
 * @ring: the ring
 * @to_submit: the most SQEs to accept
 * @min_complete: number of CQEs to wait for, with IOURING2_ENTER_GETEVENTS
 * @flags: IOURING2_ENTER_*
 * @uaddr: user address of a signal mask, or of a struct iouring2_getevents_arg,
 *	or 0; with EXT_ARG_REG the offset of a struct iouring2_reg_wait in the
 *	registered region
 * @argsz: its size in bytes
 *
 * Context: may sleep; the caller holds a reference to the ring's file.
 * Return: the number of SQEs consumed, or 0; -EBADFD if the ring has not been
 * enabled; -EINVAL, -EFAULT, -EBUSY (I4), -EAGAIN (I5), -EEXIST if another task is
 * the issuer; -EINTR, -ETIME; see
 * iouring2(4).
 */
int io2_enter(struct io2_ring *ring, u32 to_submit, u32 min_complete,
	      u32 flags, u64 uaddr, u32 argsz)
{
	u32 ends = READ_ONCE(ring->wait_ends);
	int submitted = 0, ret = 0;

	if (flags & ~IO2_ENTER_FLAGS)
		return -EINVAL;
	if (unlikely(ring->setup_flags & ENTER_ASKS)) {
		/* acquire: what ENABLE_RINGS has set up; pairs with io2_register_enable() */
		if (smp_load_acquire(&ring->disabled))
			return -EBADFD;
		if (io2_ring_defers(ring))
			return enter_deferring(ring, to_submit, min_complete,
					       flags, uaddr, argsz);
		if (to_submit && !io2_ring_is_issuer(ring))
			return -EEXIST;
	}
	io2_deferred_run(ring, IO2_CTX_ENTER);
	if (to_submit) {
		submitted = enter_submit(ring, to_submit);
		if (submitted < 0 || submitted != to_submit) {
			io2_turn(ring, KTIME_MAX);
			return submitted;
		}
	} else {
		io2_cq_flush(ring);
	}
	if (!(flags & IOURING2_ENTER_GETEVENTS)) {
		io2_turn(ring, KTIME_MAX);
		return submitted;
	}
	min_complete = min(min_complete, READ_ONCE(ring->cq_entries));
	if (unlikely((flags & IOURING2_ENTER_EXT_ARG) ||
		     !wait_satisfied(ring, min_complete, ends, KTIME_MAX,
				     false)))
		ret = enter_wait(ring, min_complete, ends, flags, uaddr, argsz,
				 submitted);
	return submitted ? : ret;
}

/**
 * io2_ring_poll() - poll a ring: readable with a CQE, writable with room in the SQ
 * @file: the ring's file
 * @wait: the poll table
 *
 * A ring is also readable for a process that has parked requests: its next
 * ENTER does them. A ring that defers to its issuer is readable, too, if there are
 * deferred requests. Its backlog stays as it is: the owner of its CQ moves it.
 *
 * Context: may sleep (I3: moves the backlog).
 * Return: the events.
 */
__poll_t io2_ring_poll(struct file *file, struct poll_table_struct *wait)
{
	struct io2_ring *ring = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &ring->pollers, wait);
	/* pairs with the barriers in cq_wake_waiters() and defer_tell_issuer() */
	smp_mb();
	if (!io2_ring_defers(ring))
		io2_cq_flush(ring);
	else if (io2_defer_pending(ring))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!io2_sq_full(ring))
		mask |= EPOLLOUT | EPOLLWRNORM;
	/* a backlog that the flush has left counts: the CQ was full then */
	if (io2_cq_ready(ring) || READ_ONCE(ring->nr_backlog) ||
	    io2_parked_is_own(ring))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}
