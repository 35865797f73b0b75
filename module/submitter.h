/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose request it is: what other contexts borrow to work for a submitter. */
#ifndef IO2_SUBMITTER_H
#define IO2_SUBMITTER_H

#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "ring.h"

struct mem_cgroup;

#define IO2_KEYS	128	/* buckets of a submitter's ordering keys */

/**
 * struct io2_pool - what waits for the threads and tasks of one submitter
 * @pending: requests waiting for a worker, by class
 * @idle: workers that wait, by class
 * @nr_pending: length of @pending
 * @nr_idle: length of @idle
 * @nr: workers by class, those being created included
 * @parked: requests waiting for a task of the process, oldest first
 * @keys: ordering keys in use
 *
 * Lives as long as the submitter.  All guarded by the ring's pool_lock.
 */
struct io2_pool {
	struct list_head	pending[IO2_CLASSES];
	struct list_head	idle[IO2_CLASSES];
	unsigned int		nr_pending[IO2_CLASSES];
	unsigned int		nr_idle[IO2_CLASSES];
	unsigned int		nr[IO2_CLASSES];
	struct list_head	parked;
	struct hlist_head	keys[IO2_KEYS];
};

/**
 * struct io2_submitter - a process, as it was when it entered the ring
 * @node: in ring->submitters; under inflight_lock
 * @nr_reqs: requests that refer to it
 * @mm: its address space; mm_count held, so that the pointer stays unique
 * @cred: its credentials; referenced
 * @tgid: the process itself; referenced
 * @memcg: what its memory is charged to; referenced; NULL without memory cgroups
 * @files: its fd table; only compared, never used
 * @fs: its root and working directory; only compared
 * @nsproxy: its namespaces; only compared
 * @cgroups: its cgroups; only compared
 * @fsize: its RLIMIT_FSIZE in bytes
 * @ioprio: I/O priority of the task that entered first
 * @keeps_mm: holds a use of @mm, from io2_submitters_leave() until who leaves frees
 *	it; under inflight_lock
 * @gone: the program has been replaced by another one: its requests end; under
 *	inflight_lock
 * @pool: its workers and what waits for them; under pool_lock
 *
 * Lifetime: made when a process first enters a ring (or one of these has
 * changed), freed when it has neither request nor worker and another one is made,
 * when its process exits, or with the ring.  Constant but for @nr_reqs, @node,
 * @keeps_mm, @gone and @pool.
 */
struct io2_submitter {
	struct list_head	node;
	atomic_t		nr_reqs;
	struct mm_struct	*mm;
	const struct cred	*cred;
	struct pid		*tgid;
	struct mem_cgroup	*memcg;
	void			*files;
	void			*fs;
	void			*nsproxy;
	void			*cgroups;
	unsigned long		fsize;
	u16			ioprio;
	bool			keeps_mm;
	bool			gone;
	struct io2_pool		pool;
};

/**
 * struct io2_borrow - a submitter's context, borrowed by a kernel thread
 * @sub: whose, or NULL
 * @old_cred: to go back to
 * @old_memcg: to go back to
 * @have_mm: whether @sub's address space was still there
 *
 * On the stack of the borrower.
 */
struct io2_borrow {
	struct io2_submitter	*sub;
	const struct cred	*old_cred;
	struct mem_cgroup	*old_memcg;
	bool			have_mm;
};

/**
 * io2_submitter_is_process() - is current a task of the process?
 * @sub: the submitter
 *
 * Return: whether it is, with whatever credentials.
 */
static inline bool io2_submitter_is_process(const struct io2_submitter *sub)
{
	return current->mm == sub->mm && current->files == sub->files &&
	       task_tgid(current) == sub->tgid;
}

/**
 * io2_submitter_is_current() - may current do the work of @sub itself?
 * @sub: the submitter
 *
 * Return: whether it is a task of the process, with the same credentials.
 */
static inline bool io2_submitter_is_current(const struct io2_submitter *sub)
{
	return io2_submitter_is_process(sub) && current_cred() == sub->cred;
}

/**
 * io2_submitter_matches() - does it stand for current, as it is now?
 * @sub: the submitter
 *
 * Return: whether it does.
 */
static inline bool io2_submitter_matches(const struct io2_submitter *sub)
{
	/* read once: the compiler would do it for each */
	const struct task_struct *me = current;
	const struct signal_struct *signal = me->signal;

	return me->mm == sub->mm && me->files == sub->files &&
	       signal->pids[PIDTYPE_TGID] == sub->tgid &&
	       rcu_access_pointer(me->cred) == sub->cred && !sub->gone &&
	       sub->fs == me->fs && sub->nsproxy == me->nsproxy &&
	       sub->cgroups == io2_cgroups_of(me) &&
	       sub->fsize == READ_ONCE(signal->rlim[RLIMIT_FSIZE].rlim_cur);
}

bool io2_submitter_is_replaced(const struct io2_submitter *sub);
bool io2_submitter_ends(const struct io2_submitter *sub);
struct file *io2_submitter_fget(const struct io2_submitter *sub, int fd);
void io2_submitter_signal(const struct io2_submitter *sub, int sig);
bool io2_submitters_mark_gone(struct io2_ring *ring, const struct mm_struct *mm);
int io2_submitter_make(struct io2_ring *ring);
bool io2_have_descriptor(struct file *file);

/**
 * io2_submitter_get() - the submitter that stands for current
 * @ring: the ring; remembers the answer
 *
 * Leaves it in ring->submitter, without a reference: it stays valid while
 * uring_lock is held, and as long as a request counts in nr_reqs.
 *
 * A process without a descriptor gets none: it is still inside a call that
 * began before another thread closed the last one, and nothing would end what
 * it submits now.  With one that is closed later, io2_ring_leave() will.
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -ENOMEM, or -EBADF.
 */
static inline int io2_submitter_get(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->uring_lock);
	if (likely(ring->submitter && io2_submitter_matches(ring->submitter)))
		return 0;
	return io2_submitter_make(ring);
}

bool io2_submitters_leave(struct io2_ring *ring, void *files);
bool io2_submitters_take(struct io2_ring *ring, void *files,
			 struct list_head *list);
void io2_submitters_free(struct list_head *list);
void io2_submitters_drop(struct io2_ring *ring);
void io2_submitter_put(struct io2_ring *ring, struct io2_submitter *sub);
void io2_mmput(struct mm_struct *mm);
bool io2_submitters_idle(struct io2_ring *ring, void *files);
void io2_borrow(struct io2_borrow *bw, struct io2_submitter *sub);
void io2_unborrow(struct io2_borrow *bw);

#endif
