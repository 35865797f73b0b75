// SPDX-License-Identifier: GPL-2.0
/* Submitters: identity kept for requests that outlive their ENTER. */
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "counters.h"
#include "ring.h"
#include "submitter.h"

static void submitter_free(struct io2_submitter *sub)
{
	if (sub->keeps_mm)
		mmput(sub->mm);
	mmdrop(sub->mm);
	put_pid(sub->tgid);
	put_cred(sub->cred);
	kfree(sub);
	io2_count_sub(IO2_COUNT_SUBMITTERS, 1);
}

/**
 * io2_submitters_free() - free what io2_submitters_take() took
 * @list: the submitters
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
	sub->files = current->files;
	sub->fsize = rlimit(RLIMIT_FSIZE);
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

/**
 * io2_submitter_killed() - has the whole process been told to end?
 * @sub: the submitter
 *
 * By SIGKILL, another signal that ends it, or exit_group(): what stands for it
 * should not keep it from getting there.
 *
 * Context: any.
 * Return: whether it has; false once it is gone.
 */
bool io2_submitter_killed(const struct io2_submitter *sub)
{
	struct task_struct *task;
	bool killed;

	rcu_read_lock();
	task = pid_task(sub->tgid, PIDTYPE_TGID);
	/* a task keeps its signal_struct until it is freed */
	killed = task && (READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT);
	rcu_read_unlock();
	return killed;
}

/* Not if somebody has left since @leaves: it may be the process of @sub. */
static bool submitter_add(struct io2_ring *ring, struct io2_submitter *sub,
			  u32 leaves)
{
	bool same;

	spin_lock(&ring->inflight_lock);
	same = ring->leaves == leaves;
	if (same)
		list_add(&sub->node, submitters_of(ring));
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
	u32 leaves;

	lockdep_assert_held(&ring->uring_lock);
	do {
		spin_lock(&ring->inflight_lock);
		sub = submitter_find(ring);
		leaves = ring->leaves;
		spin_unlock(&ring->inflight_lock);
		if (sub)
			break;
		if (!io2_ring_reachable(ring))
			return -EBADF;
		sub = submitter_alloc();
		if (!sub)
			return -ENOMEM;
		io2_submitters_drop(ring);
		added = submitter_add(ring, sub, leaves);
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
	ring->leaves++;
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

/**
 * io2_submitters_take() - forget submitters without requests
 * @ring: the ring
 * @files: of this fd table, which leaves the ring, or NULL for all
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
		if (atomic_read(&sub->nr_reqs))
			all = false;
		else
			list_move(&sub->node, list);
	}
	ring->submitter = NULL;
	spin_unlock(&ring->inflight_lock);
	return all;
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

/*
 * The process may be on its way to leave: its memory is gone, and its rings are not.
 * What it has mapped of them had better go before they do.  That is all there is to
 * be done: what somebody else has taken from the kernel's list goes when they do it.
 */
static void borrow_mmput(struct mm_struct *mm)
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
	revert_creds(bw->old_cred);
	if (bw->have_mm)
		borrow_mmput(bw->sub->mm);
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
}
