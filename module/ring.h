/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring object: what it is made of, how long each part lives, and which
 * lock guards each field.
 *
 * Lifetime.  A ring is made by io2_setup() and belongs to one struct file (an
 * anonymous inode).  The file's reference count is the ring's: descriptors,
 * memory mappings and running ioctls hold it.  A request never holds the file
 * of its own ring, so the last close always reaches io2_ring_shutdown(), which
 * waits for every request before it frees the ring.
 *
 * Locks, outermost first:
 *
 *   uring_lock      mutex, submission: SQ head, accepting, the request cache
 *   inflight_lock   spinlock, requests that can be cancelled, and timeouts
 *   pool_lock         spinlock, worker threads, and queues for them and for tasks
 *   deferred_lock   spinlock, irq-safe, hand-over from any context
 *   cq_lock         spinlock, CQ tail, backlog, drain queue
 *
 * pool_lock, deferred_lock and cq_lock do not nest in one another.  Under
 * deferred_lock and cq_lock only locks of the kernel are taken: those of wait
 * queues, and what queue_work() takes; under cq_lock also what fput() and
 * kmem_cache_free() take.  One exception: io2_cq_try_post(), which may run in any
 * context, takes inflight_lock under cq_lock, both only if they are free, so
 * that no order of locks comes of that.
 */
#ifndef IO2_RING_H
#define IO2_RING_H

#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../uapi/linux/iouring2.h"
#include "region.h"

struct io2_req;
struct io2_submitter;

/* Of an ioctl number and direction select, the size is the struct's version. */
#define IO2_IOC_KIND(cmd)	((cmd) & ~IOCSIZE_MASK)

#define IO2_MAX_ENTRIES		32768U
#define IO2_MAX_CQ_ENTRIES	(2 * IO2_MAX_ENTRIES)

#define IO2_HASH_BITS		5	/* log2 of the buckets of a new ring */
#define IO2_HASH_GROWS		3	/* by so many bits at a time */
#define IO2_HASH_BITS_MAX	12
#define IO2_HASH_LOAD		2	/* requests a bucket before it grows */

/**
 * enum io2_state - where a ring is in its life
 * @IO2_NEW: being set up; can neither post, flush nor wake
 * @IO2_LIVE: its file exists
 * @IO2_DYING: its last reference is gone; requests end, none starts
 * @IO2_DEAD: no request is left; memory is being freed
 *
 * Written under @uring_lock and @inflight_lock (DYING), read under either or,
 * for assertions, without.
 */
enum io2_state {
	IO2_NEW,
	IO2_LIVE,
	IO2_DYING,
	IO2_DEAD,
};

/**
 * struct io2_shared - head of the memory that is mapped as SQ and CQ ring
 * @sq_tail: written by the application
 * @cq_head: written by the application
 * @cq_flags: written by the application
 * @sq_head: written by the kernel, never read back
 * @sq_flags: written by the kernel, never read back
 * @sq_dropped: written by the kernel, never read back
 * @cq_tail: written by the kernel, never read back
 * @cq_overflow: lost completions: written once, as 0 (I1)
 * @sq_mask: written once
 * @sq_entries: written once
 * @cq_mask: written once
 * @cq_entries: written once
 *
 * An application can write any of it at any time (I10): the kernel reads only
 * the first three, once each, and bounds what it read.
 */
struct io2_shared {
	u32	sq_tail;
	u32	cq_head;
	u32	cq_flags;
	u32	sq_head ____cacheline_aligned;
	u32	sq_flags;
	u32	sq_dropped;
	u32	cq_tail;
	u32	cq_overflow;
	u32	sq_mask ____cacheline_aligned;
	u32	sq_entries;
	u32	cq_mask;
	u32	cq_entries;
};

/**
 * struct io2_req_list - requests in order, linked by their next
 * @first: the oldest, or NULL
 * @last: the newest, if there is one
 *
 * Half the memory traffic of a struct list_head; nothing is taken out of its
 * middle.  Guarded by whatever guards the list.
 */
struct io2_req_list {
	struct io2_req	*first;
	struct io2_req	*last;
};

#define IO2_RESTARTS	4	/* waits a ring remembers */

/**
 * struct io2_restart - a wait in ENTER that the kernel will start again
 * @task: who waits; only compared; NULL: unused
 * @uaddr: ENTER's argument
 * @expires: when it ends: CLOCK_MONOTONIC
 *
 * A relative time must not begin anew each time.  Under uring_lock.
 */
struct io2_restart {
	struct task_struct	*task;
	u64			uaddr;
	ktime_t			expires;
};

/* free requests that every ring may keep, at least */
#define IO2_CACHED_LEAST	512

/**
 * enum io2_class - kinds of worker thread
 * @IO2_BOUNDED: for files and block devices: what it waits for is local
 * @IO2_UNBOUNDED: for everything else
 * @IO2_RETRY: tries again what became ready; it does not wait for data
 * @IO2_CLASSES: number of these
 */
enum io2_class {
	IO2_BOUNDED,
	IO2_UNBOUNDED,
	IO2_RETRY,
	IO2_CLASSES,
};

/**
 * struct io2_ring - one ring
 * @state: where the ring is in its life; see enum io2_state
 * @uring_lock: submission
 * @cq_lock: completion
 * @deferred_lock: hand-over from any context
 * @inflight_lock: cancellation and timeouts
 * @pool_lock: worker threads
 *
 * Constant once the ring is LIVE:
 * @ring_flags: IOURING2_RING_*
 * @setup_flags: IOURING2_SETUP_*
 * @sq_entries: power of two
 * @cq_entries: power of two
 * @max_cached: so many free requests it keeps for the next ones
 * @max_inflight: requests accepted and not yet seen in the CQ, at most (I5)
 * @shared: head of the rings' memory
 * @sq_array: SQE indices, or NULL with IOURING2_SETUP_NO_SQARRAY
 * @cqes: the CQ ring's entries
 * @sqes: the SQEs
 * @rings_mem: memory of @shared and @sq_array, and of @cqes if that has pages of
 *	its own; an application sees them in a row
 * @sqes_mem: memory of @sqes
 * @file: the ring's own file, not referenced
 *
 * Guarded by @uring_lock:
 * @sq_head: the kernel's SQ head
 * @sq_dropped: invalid SQ array entries seen
 * @accepted: requests accepted since setup
 * @completed_snapshot: how many requests had completed when it was last looked at: a
 *	lower bound, with which submission knows that there is room without cq_lock
 * @free_reqs: cached requests, linked by next
 * @nr_free: length of @free_reqs
 * @submitter: of the last ENTER; owns a reference
 * @submitting: the task that submits, or NULL; others only ask if they are it
 * @drain_next: the next request or chain is a drain barrier too
 * @ebusy: times that ENTER returned EBUSY
 *
 * Guarded by @cq_lock:
 * @cq_tail: the kernel's CQ tail; what the application was shown
 * @cq_fill: CQ tail including entries not yet shown
 * @cq_head_seen: CQ head as read last; bounded when used
 * @sq_flags: what the shared SQ flags were set to
 * @completed: final completions posted (CQ, backlog, or skipped)
 * @cq_events: CQEs posted that a timeout's count may see
 * @wait_ends: CQEs shown that end every wait in ENTER
 * @wait_ends_fill: the same, including those not yet shown
 * @backlog: completed requests whose CQE did not fit, oldest first
 * @nr_backlog: length of @backlog
 * @backlog_max: highest @nr_backlog
 * @backlog_total: completions that ever went through @backlog
 * @retired: requests posted where they could not be freed, for the submitter
 * @nr_retired: length of @retired
 * @drain_list: chains held back by a drain barrier, in order
 *
 * Guarded by @deferred_lock:
 * @deferred: requests that some context handed over, oldest first
 * @wq_list: requests for the workqueue alone
 * @nr_closing: requests whose file a work item closes
 * @nr_waiters: tasks in ENTER that will run @deferred
 * @deferred_work: runs @deferred where nobody waits, and @wq_list
 * @notify: @deferred_work is to tell who polls the ring; under @cq_lock or none
 *
 * Guarded by @inflight_lock:
 * @hash: cancellable requests by user_data
 * @nr_hashed: requests in @hash
 * @hash_bits: log2 of the number of buckets; changed with uring_lock held, too
 * @hash_limit: so many requests are too many for these; as @hash_bits
 * @hash_few: @hash, as long as there are few
 * @counted: timeouts that wait for a number of completions, soonest first
 * @nr_counted: length of @counted; read without the lock by posters
 * @nr_submitters: length of @submitters; read without the lock as a hint
 * @leave_seq: times that a process gave up the ring, modulo 2^32
 *
 * @submitters: every submitter that owns requests, under @inflight_lock
 * @wait: tasks in ENTER, close and exit; woken under no spinlock but
 *	@deferred_lock or @cq_lock
 * @pollers: pollers of the ring file; woken under no spinlock
 *
 * Guarded by @pool_lock, which also guards each submitter's struct io2_pool:
 * @runners: threads and tasks that run requests which may block
 * @dead: workers that timed out and wait to be reaped
 * @reap: reaps @dead
 * @watch: looks from time to time, while workers are busy, for whom
 * @used: there has been a worker: without one nobody queues @reap and @watch
 * @nr_workers: worker threads by class, those being created included
 * @nr_parked: requests that wait for a task of their process; read without the
 *	lock as a hint
 *
 * @restarts: waits that are started again; under @uring_lock
 * @restarting: there has been one; read without the lock
 */
struct io2_ring {
	enum io2_state		state;
	u32			ring_flags;
	u32			setup_flags;
	u32			sq_entries;
	u32			cq_entries;
	u32			max_inflight;
	u32			max_cached;
	struct io2_shared	*shared;
	u32			*sq_array;
	struct iouring2_cqe	*cqes;
	struct iouring2_sqe	*sqes;
	struct file		*file;

	struct mutex		uring_lock ____cacheline_aligned;
	u32			sq_head;
	u32			sq_dropped;
	u64			accepted;
	u64			completed_snapshot;
	struct io2_req		*free_reqs;
	u32			nr_free;
	bool			drain_next;
	struct io2_submitter	*submitter;
	struct task_struct	*submitting;
	u64			ebusy;

	spinlock_t		cq_lock ____cacheline_aligned;
	u32			cq_tail;
	u32			cq_fill;
	u32			cq_head_seen;
	u32			sq_flags;
	u64			completed;
	u32			cq_events;
	u32			wait_ends;
	u32			wait_ends_fill;
	u32			nr_backlog;
	u32			backlog_max;
	struct io2_req_list	backlog;
	u64			backlog_total;
	struct io2_req_list	retired;
	u32			nr_retired;
	struct list_head	drain_list;

	spinlock_t		deferred_lock ____cacheline_aligned;
	u32			nr_waiters;
	struct io2_req_list	deferred;
	struct list_head	wq_list;
	u32			nr_closing;
	struct work_struct	deferred_work;
	bool			notify;

	spinlock_t		inflight_lock ____cacheline_aligned;
	struct hlist_head	*hash;
	unsigned int		hash_bits;
	u32			hash_limit;
	u32			nr_hashed;
	struct hlist_head	hash_few[1 << IO2_HASH_BITS];
	u32			nr_counted;
	struct list_head	counted;
	struct list_head	submitters;
	u32			nr_submitters;
	u32			leave_seq;

	wait_queue_head_t	wait ____cacheline_aligned;
	wait_queue_head_t	pollers;

	spinlock_t		pool_lock;	/* guards what follows, to @nr_workers */
	u32			nr_parked;
	struct list_head	runners;
	struct list_head	dead;
	struct work_struct	reap;
	struct delayed_work	watch;
	bool			used;
	unsigned int		nr_workers[IO2_CLASSES];

	struct io2_restart	restarts[IO2_RESTARTS];
	bool			restarting;

	struct io2_region	rings_mem[2];
	struct io2_region	sqes_mem;
};

extern unsigned long io2_state_warnings;

/*
 * I8: says loudly, once, that @cond was violated, and counts every time; the
 * counter is what a test reads.
 */
#define io2_assert(cond) do {						\
	if (WARN_ON_ONCE(!(cond)))					\
		WRITE_ONCE(io2_state_warnings,				\
			   READ_ONCE(io2_state_warnings) + 1);		\
} while (0)

/**
 * io2_ring_may_post() - I8: only a ring with a file may post, flush or wake
 * @ring: the ring
 *
 * Return: whether @ring is LIVE or DYING.
 */
static inline bool io2_ring_may_post(const struct io2_ring *ring)
{
	enum io2_state state = READ_ONCE(ring->state);

	return state == IO2_LIVE || state == IO2_DYING;
}

static inline bool io2_ring_dying(const struct io2_ring *ring)
{
	return READ_ONCE(ring->state) >= IO2_DYING;
}

/* keys of wake-ups of ring->wait; others are a submitter, see io2_wake_process() */
#define IO2_WAKE_CQ		((void *)0)	/* something was posted */
#define IO2_WAKE_DEFERRED	((void *)1)	/* there is work to run */

/**
 * io2_wake_process() - have a task that waits look at what is parked for it
 * @ring: the ring
 * @sub: it is a task of this process
 *
 * Context: task context; @sub is kept by the caller.
 */
static inline void io2_wake_process(struct io2_ring *ring,
				    struct io2_submitter *sub)
{
	__wake_up(&ring->wait, TASK_NORMAL, 1, sub);
}

extern const struct file_operations io2_ring_fops;

/**
 * io2_is_ring_file() - is it the file of a ring of ours?
 * @file: the file
 *
 * Context: any.
 * Return: whether it is.
 */
static inline bool io2_is_ring_file(const struct file *file)
{
	return file->f_op == &io2_ring_fops;
}

struct io2_ring *io2_ring_alloc(void);
void io2_ring_free(struct io2_ring *ring);
void io2_ring_go_live(struct io2_ring *ring, struct file *file);
void io2_ring_shutdown(struct io2_ring *ring);
void io2_ring_leave(struct io2_ring *ring, void *files);
void io2_ring_mm_gone(struct io2_ring *ring, struct mm_struct *mm);
struct file *io2_ring_file(void);

#endif
