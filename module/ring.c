// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a ring after SETUP: its file and its end. Its mappings are in
 * mmap.c.
 *
 * There are two exits, which never mix (I8). A failed SETUP frees the parts
 * that it has built (setup.c) and then calls io2_ring_free(). Nothing that
 * posts, flushes or wakes is reachable from there. A ring that was LIVE ends in
 * io2_ring_shutdown(): cancel, discard, free.
 */
#include <linux/atomic.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "affinity.h"
#include "compat/compat.h"
#include "cancel.h"
#include "cq.h"
#include "debug/counters.h"
#include "debug/trace.h"
#include "deferred.h"
#include "eventfd.h"
#include "fdinfo.h"
#include "hash.h"
#include "mmap.h"
#include "register.h"
#include "reqmem.h"
#include "request.h"
#include "ring.h"
#include "rings.h"
#include "submitter.h"
#include "wait.h"
#include "watch.h"
#include "worker.h"

#define CANCEL_AGAIN	(HZ / 10)

/* the id of the last ring; the first one gets 1 */
static atomic64_t ring_ids = ATOMIC64_INIT(0);

/*
 * Runs and posts the deferred requests of marked submitters, on a ring that
 * defers to its issuer: the issuer may be one of them.
 */
static void ring_run_ending(struct io2_batch *b)
{
	io2_batch_own(b);
	io2_deferred_run_ending(b);
	io2_batch_flush(b);
}

/*
 * Ends what marked submitters have left. A request that somebody is running
 * ends later, so the watch comes back. A task may hold uring_lock for as long as
 * a page fault lasts, so this does not wait for it.
 *
 * Return: true if no marked submitter is left.
 */
static bool ring_end_gone(struct io2_ring *ring)
{
	struct io2_batch b;
	LIST_HEAD(left);
	bool all;

	if (io2_ring_defers(ring))
		io2_defer_issuer_left(ring);
	io2_cancel_gone(ring);
	if (!mutex_trylock(&ring->uring_lock))
		return false;
	io2_batch_init(&b, ring, IO2_CTX_WQ);
	io2_cancel_drained_gone(ring, &b);
	if (io2_ring_defers(ring))
		ring_run_ending(&b);
	all = io2_submitters_take_gone(ring, &left);
	mutex_unlock(&ring->uring_lock);
	/* empty, if the ring defers to its issuer */
	io2_batch_flush(&b);
	io2_workers_stop_of_all(ring, &left);
	/* what these workers have completed last */
	if (io2_ring_defers(ring) && mutex_trylock(&ring->uring_lock)) {
		ring_run_ending(&b);
		mutex_unlock(&ring->uring_lock);
	}
	io2_submitters_free(&left);
	return all;
}

/*
 * Requests end with the process or the program that submitted them. The last
 * close of the process tells the ring, and so does the unmapping of the ring in
 * execve(2). This work item is for the cases in which neither happens:
 *
 *   - A process may never get to its close: one of its tasks may sleep for a
 *     lock that is held by a worker, while the worker waits for a page that is
 *     never provided. Workers are not threads of the process, so a fatal signal
 *     does not reach them.
 *   - A worker uses the address space of the old program, so execve(2) does not
 *     unmap the ring.
 *   - The process does not map the ring, or shares its address space.
 *   - The process has ended, but its descriptors are open in another one, which
 *     shares its table.
 *
 * The last of these queues the work item. While one of the others is possible,
 * it runs periodically.
 */
static void ring_watch(struct work_struct *work)
{
	struct io2_ring *ring = container_of(to_delayed_work(work),
					     struct io2_ring, watch);
	bool again, gone;

	again = io2_workers_look_after(ring);
	again |= io2_submitters_look_after(ring, &gone);
	if ((gone || READ_ONCE(ring->issuer_left)) && !ring_end_gone(ring))
		again = true;
	if (again)
		io2_watch_queue(ring);
}

static void ring_end_work(struct work_struct *work);

/* I7: initialises everything at once, before any step that can fail. */
static void ring_init(struct io2_ring *ring)
{
	ring->state = IO2_NEW;
	ring->clock = CLOCK_MONOTONIC;
	ring->id = atomic64_inc_return(&ring_ids);
	mutex_init(&ring->uring_lock);
	io2_cq_init(ring);
	io2_deferred_init(ring);
	io2_eventfd_init(ring);
	io2_hash_init(ring);
	io2_workers_init(ring);
	INIT_DELAYED_WORK(&ring->watch, ring_watch);
	INIT_DELAYED_WORK(&ring->end, ring_end_work);
}

/**
 * io2_ring_alloc() - allocate a ring and initialise it, without its parts
 *
 * Context: may sleep.
 * Return: the ring, or NULL.
 */
struct io2_ring *io2_ring_alloc(void)
{
	struct io2_ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);

	if (!ring)
		return NULL;
	ring_init(ring);
	io2_count_add(IO2_COUNT_RINGS, 1);
	return ring;
}

/**
 * io2_ring_free() - free a ring whose parts have been freed
 * @ring: NEW (a failed SETUP) or DEAD
 *
 * Context: may sleep.
 */
void io2_ring_free(struct io2_ring *ring)
{
	io2_assert(!io2_ring_may_post(ring));
	if (ring->issuer)
		put_task_struct(ring->issuer);
	mutex_destroy(&ring->uring_lock);
	io2_hash_free(ring);
	kfree(ring);
	io2_count_sub(IO2_COUNT_RINGS, 1);
}

/**
 * io2_ring_go_live() - give a ring its file: from now on it can be used
 * @ring: a NEW ring
 * @file: its file, not yet installed
 */
void io2_ring_go_live(struct io2_ring *ring, struct file *file)
{
	io2_assert(ring->state == IO2_NEW);
	ring->file = file;
	file->private_data = ring;
	WRITE_ONCE(ring->state, IO2_LIVE);
}

/* From here on no request is armed or started. */
static void ring_set_dying(struct io2_ring *ring)
{
	mutex_lock(&ring->uring_lock);
	spin_lock(&ring->inflight_lock);
	io2_assert(ring->state == IO2_LIVE);
	WRITE_ONCE(ring->state, IO2_DYING);
	spin_unlock(&ring->inflight_lock);
	trace_iouring2_close(ring);
	mutex_unlock(&ring->uring_lock);
}

/*
 * May the release return? The kernel frees the ring's file then. So the requests
 * that use it without a reference, such as polls of the ring itself, have to end
 * before. Those that are left have a submitter, unless they are just completing.
 */
static bool ring_may_return(struct io2_ring *ring, void *unused)
{
	return !atomic_read(&ring->nr_own_file) &&
	       (io2_cq_all_done(ring) || !io2_submitters_idle(ring, NULL));
}

/* Cancels, and runs the requests that this defers. */
static void ring_cancel(struct io2_ring *ring, void *files)
{
	io2_defer_waiter(ring, 1);
	io2_cancel_armed(ring, files);
	io2_defer_waiter_left(ring);
	io2_deferred_run(ring, IO2_CTX_LEAVE);
	/* not as a waiter: this may wait for another submission */
	io2_cancel_drained(ring, files);
}

static void ring_wait_idle(struct io2_ring *ring, void *files,
			   bool (*idle)(struct io2_ring *ring, void *files))
{
	io2_defer_waiter(ring, 1);
	wait_event_timeout(ring->wait, io2_defer_pending(ring) ||
			   idle(ring, files), CANCEL_AGAIN);
	io2_defer_waiter_left(ring);
	io2_deferred_run(ring, IO2_CTX_LEAVE);
}

/*
 * Cancels requests, of all processes or of one, until @idle returns true. None
 * starts meanwhile. A request that somebody was just about to start is cancelled
 * in a later round.
 */
static void ring_cancel_and_wait(struct io2_ring *ring, void *files,
				 bool (*idle)(struct io2_ring *ring, void *files))
{
	for (;;) {
		ring_cancel(ring, files);
		if (idle(ring, files))
			break;
		ring_wait_idle(ring, files, idle);
	}
}

static void ring_free_parts(struct io2_ring *ring)
{
	io2_eventfd_drop(ring);
	io2_req_list_free(ring->free_reqs);
	io2_req_list_free(ring->retired.first);
	io2_submitters_drop(ring);
	io2_assert(list_empty(&ring->submitters));
	put_pid(ring->mapped_by);
	io2_cpus_put(ring->cpus);
	io2_shm_put(ring->param);
	/* nobody reads or replaces it any more */
	io2_shm_put(&rcu_dereference_protected(ring->rings, true)->shm);
}

/* Ends a DYING ring without requests. */
static void ring_end(struct io2_ring *ring)
{
	/* nothing else queues the watch of a DYING ring without requests */
	io2_submitters_unwatch(ring);
	io2_watch_stop(ring);
	io2_defer_quiesce(ring);
	io2_workers_stop(ring);
	io2_cq_discard(ring);
	WRITE_ONCE(ring->state, IO2_DEAD);
	ring_free_parts(ring);
	io2_ring_free(ring);
}

/* It comes again and does not wait, so it keeps no other work item waiting. */
static void ring_end_work(struct work_struct *work)
{
	struct io2_ring *ring = container_of(to_delayed_work(work),
					     struct io2_ring, end);

	ring_cancel(ring, NULL);
	if (!io2_cq_all_done(ring)) {
		io2_defer_detach_again(&ring->end, CANCEL_AGAIN);
		return;
	}
	ring_end(ring);
	io2_defer_module_put();
}

/**
 * io2_ring_shutdown() - end a ring that was LIVE (I9)
 * @ring: its last reference is gone
 *
 * A process waits for its own requests when it leaves the ring. So requests can
 * only be left here if their process has lost the ring without the module being
 * told. The caller may have nothing to do with them, or be a kernel thread that
 * closes files of others one after another. So it does not wait for those that
 * cannot be ended at once: a work item ends the ring after them.
 *
 * Otherwise no code of the ring runs any more when this returns, and all its
 * resources are released.
 *
 * Context: may sleep.
 */
void io2_ring_shutdown(struct io2_ring *ring)
{
	ring_set_dying(ring);
	WRITE_ONCE(ring->file, NULL);
	/* pairs with io2_req_set_own_file() */
	smp_mb();
	ring_cancel_and_wait(ring, NULL, ring_may_return);
	if (io2_cq_all_done(ring))
		ring_end(ring);
	else
		io2_defer_detach_delayed(&ring->end, CANCEL_AGAIN);
}

/*
 * The process of the issuer has no descriptor of the ring any more. Requests that
 * have ended already, or are just ending, have no submitter that waits for them.
 * Another process may look for their CQEs.
 */
static void ring_leave_issuer(struct io2_ring *ring)
{
	const struct task_struct *issuer = READ_ONCE(ring->issuer);

	if (!io2_ring_defers(ring) || !issuer || issuer->tgid != current->tgid)
		return;
	io2_defer_issuer_left(ring);
}

/**
 * io2_ring_leave() - end a process's use of a ring, at exit or last close
 * @ring: the ring
 * @files: the process's fd table
 *
 * The ring may be shared with other processes. Only requests of this process
 * end.
 *
 * Another thread of the process may still be in ENTER. Requests that it has
 * submitted end, too, and it can submit no more, see io2_submitter_get().
 *
 * Context: may sleep, until the last of these requests has ended.
 */
void io2_ring_leave(struct io2_ring *ring, void *files)
{
	LIST_HEAD(left);
	bool idle;

	ring_leave_issuer(ring);
	if (!io2_submitters_leave(ring, files))
		return;
	trace_iouring2_leave(ring);
	do {
		if (!io2_submitters_idle(ring, files))
			ring_cancel_and_wait(ring, files,
					     io2_submitters_idle);
		mutex_lock(&ring->uring_lock);
		idle = io2_submitters_take(ring, files, &left);
		mutex_unlock(&ring->uring_lock);
	} while (!idle);
	io2_workers_stop_of_all(ring, &left);
	io2_submitters_free(&left);
}

/* --- the file ----------------------------------------------------------- */

static int ring_release(struct inode *inode, struct file *file)
{
	/* no ring: SETUP failed after it made the file */
	if (file->private_data)
		io2_ring_shutdown(file->private_data);
	return 0;
}

/*
 * Does the process that closes a descriptor of @file have another one? If the
 * file has no other reference, from a mapping for example, the search is
 * skipped.
 */
static bool has_other_descriptor(struct file *file, fl_owner_t files)
{
	return file_count(file) > 1 && files == current->files &&
	       io2_have_descriptor(file);
}

/*
 * Called for every close() in every process. Requests belong to the process
 * that submitted them. They end when it exits or closes its last descriptor of
 * the ring. They hold its memory (which may map the ring) and its files
 * (through which the ring's descriptor may be passed), and would otherwise keep
 * the ring alive.
 */
static int ring_flush(struct file *file, fl_owner_t files)
{
	if ((current->flags & PF_EXITING) || !has_other_descriptor(file, files))
		io2_ring_leave(file->private_data, files);
	return 0;
}

static long ring_ioctl_enter(struct io2_ring *ring, unsigned int size,
			     void __user *uarg)
{
	struct iouring2_enter arg;
	int ret;

	if (size == sizeof(arg))
		ret = copy_from_user(&arg, uarg, sizeof(arg)) ? -EFAULT : 0;
	else if (size < sizeof(arg))
		ret = -EINVAL;
	else
		ret = copy_struct_from_user(&arg, sizeof(arg), uarg, size);
	if (ret)
		return ret;
	return io2_enter(ring, arg.to_submit, arg.min_complete, arg.flags,
			 arg.arg, arg.argsz);
}

static long ring_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct io2_ring *ring = file->private_data;

	switch (IO2_IOC_KIND(cmd)) {
	case IO2_IOC_KIND(IOURING2_IOC_ENTER):
		return ring_ioctl_enter(ring, _IOC_SIZE(cmd),
					(void __user *)arg);
	case IO2_IOC_KIND(IOURING2_IOC_REGISTER):
		return io2_register(ring, _IOC_SIZE(cmd), (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

/*
 * The second way into ENTER, for calls that need no argument in memory. It
 * costs less than an ioctl, which copies an argument and calls every security
 * module. Access to the ring was checked at SETUP.
 *
 * ENTER_FADVISE marks such a call. It is not a valid advice value. So a program
 * that gives advice about a descriptor it was passed, or about a mapping of it,
 * does not submit another program's requests with its own credentials.
 * io2_enter() rejects the flag, and XOR sets it in calls without it.
 */
static int ring_fadvise(struct file *file, loff_t to_submit, loff_t min_complete,
			int flags)
{
	/* neither value may be negative or wider than the ABI's 32 bits */
	if ((u64)(to_submit | min_complete) > U32_MAX ||
	    (flags & IOURING2_ENTER_EXT_ARG))
		return -EINVAL;
	return io2_enter(file->private_data, to_submit, min_complete,
			 flags ^ IOURING2_ENTER_FADVISE, 0, 0);
}

const struct file_operations io2_ring_fops = {
	.owner		= THIS_MODULE,
	.release	= ring_release,
	.flush		= ring_flush,
	.mmap		= io2_ring_mmap,
	.poll		= io2_ring_poll,
	.unlocked_ioctl	= ring_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.fadvise	= ring_fadvise,
	.show_fdinfo	= io2_show_fdinfo,
};

/**
 * io2_ring_file() - create the file of a ring
 *
 * The file has no ring until io2_ring_go_live().
 *
 * Context: may sleep.
 * Return: the file or an ERR_PTR.
 */
struct file *io2_ring_file(void)
{
	return io2_anon_file("[iouring2]", &io2_ring_fops, O_RDWR | O_CLOEXEC);
}
