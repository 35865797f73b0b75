/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Submitters: the identity of a process, which other contexts borrow to work
 * for it.
 */
#ifndef IO2_SUBMITTER_H
#define IO2_SUBMITTER_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "compat/compat.h"
#include "ring.h"

struct mem_cgroup;

#define IO2_KEYS	128	/* buckets of a submitter's ordering keys */

/* the flags of a task that prctl(PR_SET_IO_FLUSHER) sets */
#define IO2_PF_FLUSHER	(PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

/**
 * struct io2_pool - workers and queues of one submitter
 * @pending: requests that wait for a worker, by class
 * @idle: idle workers, by class
 * @nr_pending: length of @pending
 * @nr_idle: length of @idle
 * @nr: number of workers by class, including those being created
 * @parked: requests that wait for a task of the process, oldest first
 * @keys: ordering keys in use
 *
 * Lifetime: part of the submitter. All fields are guarded by the ring's
 * pool_lock.
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

/* why the requests of a submitter must end */
#define IO2_ENDS_GONE		BIT(0)	/* its process has ended or executed another program */
#define IO2_ENDS_LEAVING	BIT(1)	/* its process has closed its last descriptor */

/**
 * struct io2_submitter - identity of a process, as it was when it entered the ring
 * @node: in ring->submitters; under inflight_lock
 * @nr_reqs: number of requests and other users that keep it allocated
 * @exec_told: an execve(2) of the process unmaps the ring, which tells the
 *	ring; under inflight_lock
 * @mm: its address space; mm_count is held, so that the pointer stays unique
 * @cred: its credentials; referenced
 * @tgid: its thread group ID; referenced
 * @tid: thread ID of the task that entered first; referenced
 * @memcg: the memory cgroup that its memory is charged to; referenced; NULL
 *	without memory cgroups
 * @files: its fd table; only compared, never used. If the process leaves the
 *	ring after unshare(2), the table with which it leaves; written under
 *	inflight_lock
 * @fs: its root and working directory; only compared. NULL once its process
 *	leaves the ring, so that no task matches; written under inflight_lock
 * @nsproxy: its namespaces; only compared
 * @cgroups: its cgroups; only compared
 * @fsize: its RLIMIT_FSIZE in bytes
 * @flusher: its flags of IO2_PF_FLUSHER
 * @ioprio: I/O priority of the task that entered first
 * @last_mm: the submitter holds the last reference on mm_users of @mm, see
 *	io2_submitter_put_mm(); under inflight_lock
 * @ends: IO2_ENDS_*: why its requests must end, and no further ones start or
 *	wait; 0 if they need not; under inflight_lock
 * @ring: its ring
 * @exit: in the wait queue of @tgid, which is woken when the process ends;
 *	guarded by the lock of that queue
 * @pool: its workers and queues; under pool_lock
 *
 * Lifetime: created when a process enters a ring for the first time, or after
 * one of the compared fields has changed. Freed when the process leaves, when
 * the ring's watch finds that it is gone, or with the ring. A submitter without
 * requests and workers is also freed when another one is created. All fields
 * are constant except @nr_reqs, @node, @exec_told, @files, @fs, @exit, @last_mm,
 * @ends and @pool. Each request that ends changes @nr_reqs, on any processor, and
 * each ENTER reads the fields that it compares. So these are on different cache
 * lines.
 */
struct io2_submitter {
	struct list_head	node;
	bool			exec_told;
	struct mm_struct	*mm;
	const struct cred	*cred;
	struct pid		*tgid;
	struct pid		*tid;
	struct mem_cgroup	*memcg;
	void			*files;
	void			*fs;
	void			*nsproxy;
	void			*cgroups;
	unsigned long		fsize;
	unsigned int		flusher;
	u16			ioprio;
	bool			last_mm;
	u8			ends;
	struct io2_ring		*ring;
	struct wait_queue_entry	exit;
	atomic_t		nr_reqs ____cacheline_aligned;
	struct io2_pool		pool;
};

/**
 * struct io2_borrow - a submitter's context, borrowed by a kernel thread
 * @sub: the submitter, or NULL
 * @old_cred: the credentials to restore
 * @old_memcg: the memory cgroup to restore
 * @old_flusher: the flags of IO2_PF_FLUSHER to restore
 * @have_mm: false if @sub's address space was gone already
 *
 * Lifetime: on the stack of the borrower. Nothing else has access, so no lock
 * is needed.
 */
struct io2_borrow {
	struct io2_submitter	*sub;
	const struct cred	*old_cred;
	struct mem_cgroup	*old_memcg;
	unsigned int		old_flusher;
	bool			have_mm;
};

/*
 * May @task do work that only the submitting process may do, with any
 * credentials? It has the process's fd table, or it is the task that entered
 * first, and has a copy of that table since unshare(2).
 */
static inline bool io2_submitter_has(const struct io2_submitter *sub,
				     const struct task_struct *task)
{
	return task->mm == sub->mm &&
	       task->signal->pids[PIDTYPE_TGID] == sub->tgid &&
	       (task->files == READ_ONCE(sub->files) ||
		task->thread_pid == sub->tid);
}

/**
 * io2_submitter_is_process() - is current a task of the submitting process?
 * @sub: the submitter
 *
 * Return: true if it is, with any credentials.
 */
static inline bool io2_submitter_is_process(const struct io2_submitter *sub)
{
	return io2_submitter_has(sub, current);
}

/**
 * io2_submitter_is_current() - may current do the work of @sub itself?
 * @sub: the submitter
 *
 * Return: true if current is a task of the process, with the same credentials
 * and the same rules for reclaiming memory.
 */
static inline bool io2_submitter_is_current(const struct io2_submitter *sub)
{
	return io2_submitter_is_process(sub) && current_cred() == sub->cred &&
	       sub->flusher == (current->flags & IO2_PF_FLUSHER);
}

/**
 * io2_submitter_matches() - does a submitter still describe current?
 * @sub: the submitter
 *
 * Each ENTER that submits calls this function. The variable for current keeps
 * the compiler from reading current again for each comparison.
 *
 * It does not look at @sub->ends. No task runs on the mm of a submitter that is
 * gone, and none has the fs_struct of one that is leaving.
 *
 * Return: true if current's whole identity is that of @sub.
 */
static inline bool io2_submitter_matches(const struct io2_submitter *sub)
{
	const struct task_struct *me = current;

	return me->mm == sub->mm && me->files == READ_ONCE(sub->files) &&
	       me->signal->pids[PIDTYPE_TGID] == sub->tgid &&
	       rcu_access_pointer(me->cred) == sub->cred &&
	       READ_ONCE(sub->fs) == me->fs && sub->nsproxy == me->nsproxy &&
	       sub->cgroups == io2_cgroups_of(me) &&
	       sub->fsize == task_rlimit(me, RLIMIT_FSIZE) &&
	       sub->flusher == (me->flags & IO2_PF_FLUSHER);
}

/**
 * io2_set_flusher() - set whether current's allocations may start I/O
 * @flusher: flags of IO2_PF_FLUSHER
 *
 * The storage of a submitter may need the submitter to work. If an allocation
 * for its request waited for that storage, neither would go on.
 *
 * Return: the flags to restore.
 */
static inline unsigned int io2_set_flusher(unsigned int flusher)
{
	unsigned int old = current->flags & IO2_PF_FLUSHER;

	current->flags = (current->flags & ~IO2_PF_FLUSHER) | flusher;
	return old;
}

bool io2_submitter_is_replaced(const struct io2_submitter *sub);
bool io2_submitter_ends(const struct io2_submitter *sub);
struct file *io2_submitter_fget(const struct io2_submitter *sub, int fd);
void io2_submitter_signal(const struct io2_submitter *sub, int sig);
bool io2_submitters_mark_gone(struct io2_ring *ring, const struct mm_struct *mm);
bool io2_submitters_look_after(struct io2_ring *ring, bool *gone);
void io2_submitters_mapped(struct io2_ring *ring);
bool io2_submitters_unmapped(struct io2_ring *ring, const struct mm_struct *mm);
void io2_submitters_unwatch(struct io2_ring *ring);
int io2_submitter_make(struct io2_ring *ring);
bool io2_have_descriptor(struct file *file);

/**
 * io2_submitter_get() - set ring->submitter to the one that describes current
 * @ring: the ring
 *
 * ring->submitter is not referenced. It is valid while uring_lock is held, and
 * for longer if a request counts in its nr_reqs.
 *
 * A process without a descriptor of the ring gets no submitter. It is still
 * inside a call that began before another thread closed the last descriptor,
 * and nothing would end the requests that it submits now. If the last
 * descriptor is closed after this check, io2_ring_leave() ends the requests.
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
bool io2_submitters_take_gone(struct io2_ring *ring, struct list_head *list);
void io2_submitters_free(struct list_head *list);
void io2_submitters_drop(struct io2_ring *ring);
void io2_submitter_put(struct io2_ring *ring, struct io2_submitter *sub);
void io2_submitter_put_mm(struct io2_submitter *sub);
int io2_submitter_nice(const struct io2_submitter *sub);
bool io2_submitters_idle(struct io2_ring *ring, void *files);
void io2_borrow(struct io2_borrow *bw, struct io2_submitter *sub);
void io2_unborrow(struct io2_borrow *bw);

#endif
