// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENTER: submit, then wait.  Every entry first runs what was deferred and
 * moves what fits of the backlog (I3), so that nobody sleeps on a completion
 * that the kernel could have shown.
 */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "cq.h"
#include "deferred.h"
#include "request.h"
#include "sq.h"
#include "submit.h"
#include "time.h"
#include "turn.h"
#include "wait.h"

/**
 * struct cq_waiter - a task waiting in ENTER
 * @entry: in ring->wait
 * @ring: the ring
 * @target: CQ tail at which to wake up
 * @ends: ring->wait_ends when ENTER began
 * @expires: absolute CLOCK_MONOTONIC, or KTIME_MAX
 */
struct cq_waiter {
	struct wait_queue_entry	entry;
	struct io2_ring		*ring;
	u32			target;
	u32			ends;
	ktime_t			expires;
};

/**
 * struct wait_arg - what ENTER's argument says
 * @sigmask: mask for the time of the wait, or 0
 * @sigmask_sz: its size in bytes
 * @expires: absolute CLOCK_MONOTONIC, or KTIME_MAX
 */
struct wait_arg {
	u64	sigmask;
	u32	sigmask_sz;
	ktime_t	expires;
};

/* A timeout ends every wait, whatever number of CQEs that is for. */
static bool wait_ended(const struct io2_ring *ring, u32 ends)
{
	/* acquire: the timeout's CQE is there */
	return smp_load_acquire(&ring->wait_ends) != ends;
}

/* Is there enough for a waiter, or something for it to run? */
static bool cq_wakes(const struct cq_waiter *w, const void *key)
{
	const struct task_struct *task = w->entry.private;
	const struct io2_submitter *sub = key;

	if (key == IO2_WAKE_DEFERRED)
		return true;
	if (key != IO2_WAKE_CQ)
		return task->mm == sub->mm && task->files == sub->files;
	return wait_ended(w->ring, w->ends) ||
	       (s32)(READ_ONCE(w->ring->cq_tail) - READ_ONCE(w->target)) >= 0;
}

static int cq_wake(struct wait_queue_entry *entry, unsigned int mode, int sync,
		   void *key)
{
	struct cq_waiter *w = container_of(entry, struct cq_waiter, entry);

	if (!cq_wakes(w, key))
		return 0;
	return autoremove_wake_function(entry, mode, sync, key);
}

/*
 * Signals to handle, or work of others that needs us out of the kernel.  A worker
 * thread of io_uring, there by its FADVISE, starts no call again: it would make
 * the code a result.
 */
static int wait_interrupted(void)
{
	if (!signal_pending(current))
		return 0;
	if (task_sigpending(current) || (current->flags & PF_IO_WORKER))
		return -EINTR;
	return -ERESTARTNOINTR;
}

static int wait_sleep(struct cq_waiter *w, ktime_t expires)
{
	if (expires == KTIME_MAX) {
		schedule();
		return 0;
	}
	return schedule_hrtimeout_range_clock(&expires, 0, HRTIMER_MODE_ABS,
					      CLOCK_MONOTONIC) ? 0 : -ETIME;
}

/*
 * Return: whether @min CQEs are there, or one that ends waits, all work done
 * and backlog moved.
 */
static __always_inline bool wait_satisfied(struct io2_ring *ring, u32 min,
					   u32 ends, ktime_t expires)
{
	io2_deferred_run(ring, IO2_CTX_ENTER);
	io2_turn(ring, expires);
	io2_cq_flush(ring);
	return io2_cq_ready(ring) >= min || wait_ended(ring, ends);
}

/* What the turn could not end may be there all the time. */
static int wait_expired(const struct cq_waiter *w)
{
	if (w->expires == KTIME_MAX || !READ_ONCE(w->ring->nr_parked))
		return 0;
	return ktime_after(ktime_get(), w->expires) ? -ETIME : 0;
}

static int wait_loop(struct cq_waiter *w, u32 min)
{
	struct io2_ring *ring = w->ring;
	int ret = 0;

	while (!wait_satisfied(ring, min, w->ends, w->expires)) {
		if (!ret)
			ret = wait_expired(w);
		if (ret)
			return ret;
		cond_resched();
		ret = wait_interrupted();
		if (ret)
			return ret;
		WRITE_ONCE(w->target, READ_ONCE(ring->shared->cq_head) + min);
		io2_defer_waiter(ring);
		prepare_to_wait_exclusive(&ring->wait, &w->entry,
					  TASK_INTERRUPTIBLE);
		/* posts and hand-overs after this point wake us */
		if (!io2_defer_pending(ring) &&
		    !READ_ONCE(ring->nr_backlog) && io2_cq_ready(ring) < min &&
		    !wait_ended(ring, w->ends) && !signal_pending(current) &&
		    !io2_parked_is_own(ring))
			ret = wait_sleep(w, w->expires);
		finish_wait(&ring->wait, &w->entry);
		/* what is there is run next; what comes meanwhile, by others */
		io2_defer_waiter_left(ring);
	}
	return 0;
}

/*
 * Waits for @min CQEs, or one that ends waits.  Return: 0, or when the CQ is
 * empty -EINTR, -ETIME, or -ERESTARTNOINTR for work that is not ours.
 */
static int wait_for_cqes(struct io2_ring *ring, u32 min, u32 ends,
			 ktime_t expires)
{
	struct cq_waiter w = { .ring = ring, .ends = ends, .expires = expires };

	init_waitqueue_func_entry(&w.entry, cq_wake);
	INIT_LIST_HEAD(&w.entry.entry);
	w.entry.private = current;
	return wait_loop(&w, min);
}

/* --- ENTER's argument --------------------------------------------------- */

static int parse_ext_arg(struct wait_arg *wa, u64 uaddr, u32 argsz, bool abs)
{
	struct iouring2_getevents_arg ext;
	ktime_t t;
	int ret;

	if (argsz != sizeof(ext))
		return -EINVAL;
	if (copy_from_user(&ext, u64_to_user_ptr(uaddr), sizeof(ext)))
		return -EFAULT;
	if (ext.min_wait_usec)
		return -EINVAL;
	wa->sigmask = ext.sigmask;
	wa->sigmask_sz = ext.sigmask_sz;
	if (!ext.ts)
		return 0;
	ret = io2_timespec(ext.ts, &t);
	if (ret)
		return ret;
	wa->expires = abs ? io2_host_time(CLOCK_MONOTONIC, t) :
			    ktime_add_safe(ktime_get(), t);
	return 0;
}

static int parse_arg(struct wait_arg *wa, u32 flags, u64 uaddr, u32 argsz)
{
	wa->expires = KTIME_MAX;
	if (flags & IOURING2_ENTER_EXT_ARG)
		return parse_ext_arg(wa, uaddr, argsz,
				     flags & IOURING2_ENTER_ABS_TIMER);
	wa->sigmask = uaddr;
	wa->sigmask_sz = argsz;
	return 0;
}

/*
 * The signal mask for the time of the wait, as ppoll(2) has it.  The old mask
 * is kept where signal delivery finds it.
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

/* When a signal is about to be delivered, delivery restores the mask. */
static void sigmask_restore(bool interrupted)
{
	sigset_t set;

	if (interrupted || !test_and_clear_restore_sigmask())
		return;
	set = current->saved_sigmask;
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/* --- a wait that is started again ------------------------------------------ */

/* The one of current, or any that may be used for it. */
static struct io2_restart *restart_slot(struct io2_ring *ring)
{
	struct io2_restart *r, *free = &ring->restarts[0];
	unsigned int i;

	lockdep_assert_held(&ring->uring_lock);
	for (i = 0; i < IO2_RESTARTS; i++) {
		r = &ring->restarts[i];
		if (r->task == current)
			return r;
		if (!r->task)
			free = r;
	}
	return free;
}

/*
 * The kernel starts this call again, with the same arguments: a relative time goes
 * on from where it is.  If too many tasks do that at once, one begins anew.
 */
static void restart_remember(struct io2_ring *ring, u64 uaddr, ktime_t expires)
{
	struct io2_restart *r;

	mutex_lock(&ring->uring_lock);
	r = restart_slot(ring);
	r->task = current;
	r->uaddr = uaddr;
	r->expires = expires;
	WRITE_ONCE(ring->restarting, true);
	mutex_unlock(&ring->uring_lock);
}

static void restart_recall(struct io2_ring *ring, u64 uaddr, ktime_t *expires)
{
	struct io2_restart *r;

	if (!READ_ONCE(ring->restarting))
		return;
	mutex_lock(&ring->uring_lock);
	r = restart_slot(ring);
	if (r->task == current) {
		if (r->uaddr == uaddr)
			*expires = min(*expires, r->expires);
		r->task = NULL;
	}
	mutex_unlock(&ring->uring_lock);
}

/* All but what most waits are: for CQEs that are there, without an argument. */
static noinline int enter_wait(struct io2_ring *ring, u32 min, u32 ends,
			       u32 flags, u64 uaddr, u32 argsz)
{
	struct wait_arg wa = {};
	int ret;

	ret = parse_arg(&wa, flags, uaddr, argsz);
	if (ret) {
		/* what was submitted has been accepted all the same */
		io2_turn(ring, KTIME_MAX);
		return ret;
	}
	restart_recall(ring, uaddr, &wa.expires);
	if (wait_satisfied(ring, min, ends, wa.expires))
		return 0;
	ret = sigmask_set(&wa);
	if (ret)
		return ret;
	ret = wait_for_cqes(ring, min, ends, wa.expires);
	sigmask_restore(ret == -EINTR || ret == -ERESTARTNOINTR);
	if (io2_cq_ready(ring))
		return 0;
	if (ret == -ERESTARTNOINTR && wa.expires != KTIME_MAX &&
	    !(flags & IOURING2_ENTER_ABS_TIMER))
		restart_remember(ring, uaddr, wa.expires);
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

/**
 * io2_enter() - submit requests and wait for completions
 * @ring: the ring
 * @to_submit: at most so many
 * @min_complete: wait for so many CQEs, with IOURING2_ENTER_GETEVENTS
 * @flags: IOURING2_ENTER_*
 * @uaddr: the caller's signal mask, or its struct iouring2_getevents_arg, or 0
 * @argsz: size of that in bytes
 *
 * Context: may sleep; the caller holds a reference on the ring's file.
 * Return: SQEs consumed, or 0; -EINVAL, -EFAULT, -EBUSY (I4), -EAGAIN (I5),
 * -EINTR, -ETIME; see iouring2(4).
 */
int io2_enter(struct io2_ring *ring, u32 to_submit, u32 min_complete,
	      u32 flags, u64 uaddr, u32 argsz)
{
	u32 ends = READ_ONCE(ring->wait_ends);
	int submitted = 0, ret = 0;

	if (flags & ~IO2_ENTER_FLAGS)
		return -EINVAL;
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
	min_complete = min(min_complete, ring->cq_entries);
	if (unlikely((flags & IOURING2_ENTER_EXT_ARG) ||
		     !wait_satisfied(ring, min_complete, ends, KTIME_MAX)))
		ret = enter_wait(ring, min_complete, ends, flags, uaddr, argsz);
	return submitted ? : ret;
}

/**
 * io2_ring_poll() - poll a ring: readable with a CQE, writable with SQ room
 * @file: the ring's file
 * @wait: the poll table
 *
 * Context: may sleep (I3: moves the backlog).
 * What is parked for the process that polls makes the ring readable, too: its next
 * ENTER does it.
 *
 * Return: the events.
 */
__poll_t io2_ring_poll(struct file *file, struct poll_table_struct *wait)
{
	struct io2_ring *ring = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &ring->pollers, wait);
	/* pairs with the barrier before a poster looks for pollers */
	smp_mb();
	io2_cq_flush(ring);
	if (!io2_sq_full(ring))
		mask |= EPOLLOUT | EPOLLWRNORM;
	/* what is behind a CQ that has room since that flush, too */
	if (io2_cq_ready(ring) || READ_ONCE(ring->nr_backlog) ||
	    io2_parked_is_own(ring))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}
