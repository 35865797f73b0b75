// SPDX-License-Identifier: GPL-2.0-only
/* Submitters: identity kept for requests that outlive their ENTER. */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "ring.h"
#include "submitter.h"

static void submitter_free(struct io2_submitter *sub)
{
	if (sub->keeps_mm)
		mmput(sub->mm);
	io2_memcg_put(sub->memcg);
	mmdrop(sub->mm);
	put_pid(sub->tgid);
	put_cred(sub->cred);
	kfree(sub);
	io2_count_sub(IO2_COUNT_SUBMITTERS, 1);
}

/**
 * io2_submitters_free() - free what io2_submitters_take() took
 * @list: the submitters, without requests and workers
 *
 * Context: may sleep, as long as it takes to unmap all that a process has, if it was
 * one that leaves; then uring_lock is not held.
 */
void io2_submitters_free(struct list_head *list)
{
	struct io2_submitter *sub, *next;

	list_for_each_entry_safe(sub, next, list, node)
		submitter_free(sub);
}

static void pool_init(struct io2_pool *pool)
{
	unsigned int i;

	for (i = 0; i < IO2_CLASSES; i++) {
		INIT_LIST_HEAD(&pool->pending[i]);
		INIT_LIST_HEAD(&pool->idle[i]);
	}
	INIT_LIST_HEAD(&pool->parked);
	for (i = 0; i < IO2_KEYS; i++)
		INIT_HLIST_HEAD(&pool->keys[i]);
}

static struct io2_submitter *submitter_alloc(void)
{
	struct io2_submitter *sub = kzalloc(sizeof(*sub), GFP_KERNEL_ACCOUNT);

	if (!sub)
		return NULL;
	mmgrab(current->mm);
	sub->mm = current->mm;
	/* clears a flag that is clear, as others do without a lock or a mark */
	sub->cred = data_race(get_current_cred());
	sub->tgid = get_pid(task_tgid(current));
	sub->memcg = io2_memcg_get(current->mm);
	sub->files = current->files;
	sub->fs = current->fs;
	sub->nsproxy = current->nsproxy;
	sub->cgroups = io2_cgroups_of(current);
	sub->fsize = rlimit(RLIMIT_FSIZE);
	sub->ioprio = get_current_ioprio();
	pool_init(&sub->pool);
	io2_count_add(IO2_COUNT_SUBMITTERS, 1);
	return sub;
}

static struct list_head *submitters_of(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->inflight_lock);
	return &ring->submitters;
}

static struct io2_submitter *submitter_find(struct io2_ring *ring)
{
	struct io2_submitter *sub;

	list_for_each_entry(sub, submitters_of(ring), node)
		if (io2_submitter_matches(sub))
			return sub;
	return NULL;
}

/* The leader of the process, while it has one. */
static struct task_struct *submitter_leader(const struct io2_submitter *sub)
{
	return pid_task(sub->tgid, PIDTYPE_TGID);
}

/**
 * io2_submitter_is_replaced() - has the process executed another program?
 * @sub: the submitter
 *
 * Context: any.
 * Return: whether it has; false once the process is gone.
 */
bool io2_submitter_is_replaced(const struct io2_submitter *sub)
{
	struct task_struct *task;
	struct mm_struct *mm;

	rcu_read_lock();
	task = submitter_leader(sub);
	mm = task ? READ_ONCE(task->mm) : NULL;
	rcu_read_unlock();
	return mm && mm != sub->mm;
}

/**
 * io2_submitter_ends() - is the program about to end?
 * @sub: the submitter
 *
 * By SIGKILL, another signal that ends it, or exit_group(): what stands for it should
 * not keep it from getting there.
 *
 * Context: any.
 * Return: whether it is; false once the process is gone.
 */
bool io2_submitter_ends(const struct io2_submitter *sub)
{
	struct task_struct *task;
	bool ends;

	rcu_read_lock();
	task = submitter_leader(sub);
	/* a task keeps its signal_struct until it is freed */
	ends = task && (READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT);
	rcu_read_unlock();
	return ends;
}

/*
 * Does @task have the program that submitted?  execve(2) keeps the table of
 * descriptors, where nobody else has it, and may have given it to a program with more
 * rights: only the memory says which program it is.
 */
static bool task_is_of(const struct task_struct *task,
		       const struct io2_submitter *sub)
{
	return READ_ONCE(task->files) == sub->files &&
	       READ_ONCE(task->mm) == sub->mm;
}

/* Return: a task of the program that has the table of descriptors, referenced. */
static struct task_struct *submitter_task(const struct io2_submitter *sub)
{
	struct task_struct *leader, *t, *found = NULL;

	rcu_read_lock();
	leader = submitter_leader(sub);
	if (leader) {
		/* for_each_thread() of a debug kernel names a lock of the kernel's */
		list_for_each_entry_rcu(t, &leader->signal->thread_head,
					thread_node) {
			if (!task_is_of(t, sub))
				continue;
			found = get_task_struct(t);
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

/*
 * Return: false if @task has another table or program by now; then *@file is nothing.
 * Both change under the task's lock.
 */
static bool submitter_fget_task(const struct io2_submitter *sub,
				struct task_struct *task, int fd,
				struct file **file)
{
	bool same;

	*file = io2_fget_task(task, fd);
	task_lock(task);
	same = task_is_of(task, sub);
	task_unlock(task);
	if (*file && !same)
		io2_file_put(*file);
	return same;
}

/**
 * io2_submitter_fget() - look up a descriptor of a process that is not current's
 * @sub: the submitter
 * @fd: its descriptor
 *
 * Some thread of it has the table that the request was submitted with.
 *
 * Context: task context.
 * Return: the file, referenced; NULL if there is none, or no such thread.
 */
struct file *io2_submitter_fget(const struct io2_submitter *sub, int fd)
{
	struct task_struct *task;
	struct file *file = NULL;
	bool done;

	do {
		task = submitter_task(sub);
		if (!task)
			return NULL;
		done = submitter_fget_task(sub, task, fd, &file);
		put_task_struct(task);
	} while (!done);
	/* fget() does not find these, either: nothing can be done with them */
	if (file && (file->f_mode & FMODE_PATH)) {
		io2_file_put(file);
		return NULL;
	}
	return file;
}

/**
 * io2_submitter_signal() - raise a signal that its own system call would have
 * @sub: the submitter
 * @sig: the signal
 *
 * A program that has taken its place by execve(2) is told nothing.
 *
 * Context: task context.
 */
void io2_submitter_signal(const struct io2_submitter *sub, int sig)
{
	if (!READ_ONCE(sub->gone) && !io2_submitter_is_replaced(sub))
		kill_pid(sub->tgid, sig, 1);
}

static int fd_is_file(const void *file, struct file *other, unsigned int fd)
{
	return file == other;
}

/**
 * io2_have_descriptor() - has current's process a descriptor of a file?
 * @file: the file
 *
 * Context: task context.
 * Return: whether it has.
 */
bool io2_have_descriptor(struct file *file)
{
	return iterate_fd(current->files, 0, fd_is_file, file);
}

/* Can current's process close the ring, which may be about to get its file? */
static bool ring_is_reachable(const struct io2_ring *ring)
{
	return !ring->file || io2_have_descriptor(ring->file);
}

/* Not if somebody has left since @seq: it may be the process of @sub. */
static bool submitter_add(struct io2_ring *ring, struct io2_submitter *sub,
			  u32 seq)
{
	bool same;

	spin_lock(&ring->inflight_lock);
	same = ring->leave_seq == seq;
	if (same) {
		list_add(&sub->node, submitters_of(ring));
		WRITE_ONCE(ring->nr_submitters, ring->nr_submitters + 1);
	}
	spin_unlock(&ring->inflight_lock);
	return same;
}

/**
 * io2_submitter_make() - find or make the submitter that stands for current
 * @ring: the ring; see io2_submitter_get(), which this is the long way of
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -ENOMEM, or -EBADF.
 */
int io2_submitter_make(struct io2_ring *ring)
{
	struct io2_submitter *sub;
	bool added;
	u32 seq;

	lockdep_assert_held(&ring->uring_lock);
	do {
		spin_lock(&ring->inflight_lock);
		sub = submitter_find(ring);
		seq = ring->leave_seq;
		spin_unlock(&ring->inflight_lock);
		if (sub)
			break;
		if (!ring_is_reachable(ring))
			return -EBADF;
		sub = submitter_alloc();
		if (!sub)
			return -ENOMEM;
		io2_submitters_drop(ring);
		added = submitter_add(ring, sub, seq);
		if (!added)
			submitter_free(sub);
	} while (!added);
	ring->submitter = sub;
	return 0;
}

/**
 * io2_submitters_leave() - a process gives up the ring
 * @ring: the ring
 * @files: its fd table, in which the ring is no more
 *
 * One that has never submitted need not wait for others who do.  It becomes no
 * submitter from now on, see io2_submitter_make().
 *
 * A worker may still use its memory, be the last to do so, and with that unmap the
 * ring: the ring's file would be let go of some time later, as with all that a
 * kernel thread lets go of.  So current keeps the memory until it has left.
 *
 * Context: atomic.
 * Return: whether there is a submitter of it.
 */
bool io2_submitters_leave(struct io2_ring *ring, void *files)
{
	struct io2_submitter *sub;
	bool found = false;

	spin_lock(&ring->inflight_lock);
	ring->leave_seq++;
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (sub->files != files)
			continue;
		found = true;
		if (!sub->keeps_mm)
			sub->keeps_mm = mmget_not_zero(sub->mm);
	}
	spin_unlock(&ring->inflight_lock);
	return found;
}

/* Whoever leaves takes its own: what has their use of the memory is for no one else. */
static bool submitter_is_of(const struct io2_submitter *sub, const void *files)
{
	return files ? sub->files == files : !sub->keeps_mm;
}

static void submitter_take(struct io2_ring *ring, struct io2_submitter *sub,
			   struct list_head *list)
{
	lockdep_assert_held(&ring->inflight_lock);
	list_move(&sub->node, list);
	WRITE_ONCE(ring->nr_submitters, ring->nr_submitters - 1);
}

/* One being made included. */
static bool submitter_has_workers(struct io2_ring *ring,
				  const struct io2_submitter *sub)
{
	unsigned int i, nr = 0;

	spin_lock(&ring->pool_lock);
	for (i = 0; i < IO2_CLASSES; i++)
		nr += sub->pool.nr[i];
	spin_unlock(&ring->pool_lock);
	return nr;
}

/**
 * io2_submitters_take() - forget submitters without requests
 * @ring: the ring
 * @files: of this fd table, which leaves the ring; NULL for all that have no
 *	workers either
 * @list: they are added here
 *
 * Context: uring_lock held, or nobody else has the ring.
 * Return: whether these were all of them.
 */
bool io2_submitters_take(struct io2_ring *ring, void *files,
			 struct list_head *list)
{
	struct io2_submitter *sub, *next;
	bool all = true;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry_safe(sub, next, submitters_of(ring), node) {
		if (!submitter_is_of(sub, files))
			continue;
		if (atomic_read(&sub->nr_reqs) ||
		    (!files && submitter_has_workers(ring, sub)))
			all = false;
		else
			submitter_take(ring, sub, list);
	}
	ring->submitter = NULL;
	spin_unlock(&ring->inflight_lock);
	return all;
}

/**
 * io2_submitter_put() - give up what keeps a submitter from being freed
 * @ring: the ring
 * @sub: counted in nr_reqs by the caller
 *
 * Context: any in which something else keeps the ring.
 */
void io2_submitter_put(struct io2_ring *ring, struct io2_submitter *sub)
{
	/* an exiting task may wait for that */
	if (atomic_dec_and_test(&sub->nr_reqs) && wq_has_sleeper(&ring->wait))
		__wake_up(&ring->wait, TASK_NORMAL, 0, NULL);
}

/**
 * io2_submitters_drop() - forget and free the submitters without requests
 * @ring: the ring
 *
 * Context: may sleep; uring_lock held, or nobody else has the ring.
 */
void io2_submitters_drop(struct io2_ring *ring)
{
	LIST_HEAD(idle);

	io2_submitters_take(ring, NULL, &idle);
	io2_submitters_free(&idle);
}

/**
 * io2_submitters_mark_gone() - find the programs that have been replaced by others
 * @ring: the ring
 * @mm: memory that nobody uses any more: the programs that had it; NULL: those whose
 *	process has executed another program, whoever else may use their memory
 *
 * Nothing of them waits again.
 *
 * Context: atomic.
 * Return: whether requests of them are left.
 */
bool io2_submitters_mark_gone(struct io2_ring *ring, const struct mm_struct *mm)
{
	struct io2_submitter *sub;
	bool left = false;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (mm ? sub->mm != mm : !io2_submitter_is_replaced(sub))
			continue;
		sub->gone = true;
		if (atomic_read(&sub->nr_reqs))
			left = true;
	}
	spin_unlock(&ring->inflight_lock);
	return left;
}

/**
 * io2_submitters_idle() - has a process no request left?
 * @ring: the ring
 * @files: the process's fd table
 *
 * Context: atomic.
 * Return: whether it has none.
 */
bool io2_submitters_idle(struct io2_ring *ring, void *files)
{
	struct io2_submitter *sub;
	bool idle = true;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node)
		if (sub->files == files && atomic_read(&sub->nr_reqs))
			idle = false;
	spin_unlock(&ring->inflight_lock);
	return idle;
}

/**
 * io2_mmput() - let go of a use of somebody's memory
 * @mm: the memory
 *
 * The process may be on its way to leave: its memory is gone, and its rings are not.
 * What it has mapped of them had better go before they do.  That is all there is to
 * be done: what somebody else has taken from the kernel's list goes when they do it.
 *
 * Context: may sleep.
 */
void io2_mmput(struct mm_struct *mm)
{
	bool last = atomic_read(&mm->mm_users) == 1;

	mmput(mm);
	if (last)
		flush_delayed_fput();
}

/**
 * io2_unborrow() - give back what io2_borrow() borrowed
 * @bw: the same
 *
 * Context: may sleep; kernel thread.
 */
void io2_unborrow(struct io2_borrow *bw)
{
	if (!bw->sub)
		return;
	if (bw->have_mm)
		kthread_unuse_mm(bw->sub->mm);
	io2_set_active_memcg(bw->old_memcg);
	revert_creds(bw->old_cred);
	if (bw->have_mm)
		io2_mmput(bw->sub->mm);
	atomic_dec(&bw->sub->nr_reqs);
	bw->sub = NULL;
}

/**
 * io2_borrow() - work in a submitter's address space, with its credentials
 * @bw: zeroed, or from the last call: switches only when @sub differs
 * @sub: the submitter; kept from being freed while borrowed
 *
 * Context: may sleep; kernel thread.
 */
void io2_borrow(struct io2_borrow *bw, struct io2_submitter *sub)
{
	if (bw->sub == sub)
		return;
	io2_unborrow(bw);
	atomic_inc(&sub->nr_reqs);
	bw->sub = sub;
	bw->have_mm = mmget_not_zero(sub->mm);
	if (bw->have_mm)
		kthread_use_mm(sub->mm);
	bw->old_cred = override_creds(sub->cred);
	bw->old_memcg = io2_set_active_memcg(sub->memcg);
}
