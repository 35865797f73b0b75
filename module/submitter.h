/* SPDX-License-Identifier: GPL-2.0 */
/* Whose request it is: what other contexts borrow to work for a submitter. */
#ifndef IO2_SUBMITTER_H
#define IO2_SUBMITTER_H

#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "ring.h"

/**
 * struct io2_submitter - a process, as it was when it entered the ring
 * @node: in ring->submitters; under inflight_lock
 * @nr_reqs: requests that refer to it
 * @mm: its address space; mm_count held, so that the pointer stays unique
 * @cred: its credentials; referenced
 * @tgid: the process itself; referenced
 * @files: its fd table; only compared, never used
 * @fsize: its RLIMIT_FSIZE in bytes
 * @keeps_mm: holds a use of @mm, from io2_submitters_leave() until who leaves frees
 *	it; under inflight_lock
 *
 * Lifetime: made when a process first enters a ring (or its credentials
 * changed), freed when it has no request and another one is made, when its
 * process exits, or with the ring.  Constant but for @nr_reqs, @node and @keeps_mm.
 */
struct io2_submitter {
	struct list_head	node;
	atomic_t		nr_reqs;
	struct mm_struct	*mm;
	const struct cred	*cred;
	struct pid		*tgid;
	void			*files;
	unsigned long		fsize;
	bool			keeps_mm;
};

/**
 * struct io2_borrow - a submitter's context, borrowed by a kernel thread
 * @sub: whose, or NULL
 * @old_cred: to go back to
 * @have_mm: whether @sub's address space was still there
 *
 * On the stack of the borrower.
 */
struct io2_borrow {
	struct io2_submitter	*sub;
	const struct cred	*old_cred;
	bool			have_mm;
};

/**
 * io2_submitter_is_current() - may current run user-memory work of @sub?
 * @sub: the submitter
 *
 * Return: true in the submitting process and in whoever borrowed its context.
 */
static inline bool io2_submitter_is_current(const struct io2_submitter *sub)
{
	return current->mm == sub->mm && current_cred() == sub->cred;
}

/**
 * io2_submitter_matches() - does it stand for current, as it is now?
 * @sub: the submitter
 *
 * Return: whether it does.
 */
static inline bool io2_submitter_matches(const struct io2_submitter *sub)
{
	return io2_submitter_is_current(sub) && sub->files == current->files &&
	       sub->tgid == task_tgid(current) &&
	       sub->fsize == rlimit(RLIMIT_FSIZE);
}

bool io2_submitter_killed(const struct io2_submitter *sub);
int io2_submitter_make(struct io2_ring *ring);

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
bool io2_submitters_idle(struct io2_ring *ring, void *files);
void io2_borrow(struct io2_borrow *bw, struct io2_submitter *sub);
void io2_unborrow(struct io2_borrow *bw);

#endif
