/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring object: its parts, how long each lives, and which lock guards each
 * field.
 *
 * Lifetime: io2_setup() creates a ring, which belongs to one struct file (an
 * anonymous inode). The file's reference count is the ring's: descriptors,
 * memory mappings and running ioctls hold references. A request never holds a
 * reference to the file of its own ring. So the last close always reaches
 * io2_ring_shutdown(). The ring is freed after its last request.
 *
 * I1 to I10, here and in other files, are the rules that the module keeps: see
 * docs/overflow.md (I1 to I6), docs/lifetime.md (I7 to I9) and docs/security.md
 * ("What is not trusted", I10).
 *
 * Locks, outermost first:
 *
 *   uring_lock      mutex, submission: SQ head, accepting, the request cache
 *   eventfd_lock    spinlock, the registered eventfd; held while it is signalled
 *   inflight_lock   spinlock, requests that can be cancelled, and timeouts
 *   pool_lock       spinlock, workers, and the queues for them and for tasks
 *   deferred_lock   spinlock, irq-safe, hand-over from any context
 *   cq_lock         spinlock, CQ tail, backlog, drain queue
 *
 * pool_lock, deferred_lock and cq_lock do not nest in one another. The waiters of
 * the eventfd, which are woken under eventfd_lock, may be requests that go to the
 * deferred list. Under
 * deferred_lock and cq_lock only locks of the kernel are taken: those of wait
 * queues and of queue_work(), and under cq_lock also those of fput() and
 * kmem_cache_free(). There is one exception: io2_cq_try_post(), which may run
 * in any context, takes inflight_lock under cq_lock. It only tries both locks,
 * so it adds no lock order.
 *
 * A ring with IOURING2_SETUP_DEFER_TASKRUN has no use for cq_lock: uring_lock
 * guards its CQ, and deferred_lock its SQ flags. See docs/ordering.md, "Rings
 * that defer to their issuer".
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

struct eventfd_ctx;
struct io2_cpus;
struct io2_req;
struct io2_rings;
struct io2_shm;
struct io2_submitter;

/*
 * The number and direction of an ioctl command select the operation. Its size
 * tells the version of the struct.
 */
#define IO2_IOC_KIND(cmd)	((cmd) & ~IOCSIZE_MASK)

#define IO2_MAX_ENTRIES		32768U
#define IO2_MAX_CQ_ENTRIES	(2 * IO2_MAX_ENTRIES)

#define IO2_HASH_BITS		5	/* log2 of the number of buckets of a new ring */
#define IO2_HASH_GROWS		3	/* log2 of the factor by which the hash grows */
#define IO2_HASH_BITS_MAX	12
#define IO2_HASH_LOAD		2	/* requests per bucket at which the hash grows */

/**
 * enum io2_state - state of a ring
 * @IO2_NEW: being set up; it must not post, flush or wake
 * @IO2_LIVE: its file exists
 * @IO2_DYING: its last reference is gone; requests end, and none starts
 * @IO2_DEAD: no request is left; its memory is being freed
 *
 * DYING is set under @uring_lock and @inflight_lock. Readers hold either of
 * them, or, for assertions, none.
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
 * @cq_flags: written by the application; tells whether to signal the eventfd
 * @sq_head: written by the kernel, read back by fdinfo only
 * @sq_flags: written by the kernel, never read back
 * @sq_dropped: written by the kernel, never read back
 * @cq_tail: written by the kernel, read back by fdinfo only
 * @cq_overflow: number of lost completions: written once, as 0 (I1)
 * @sq_mask: written once
 * @sq_entries: written once
 * @cq_mask: written once
 * @cq_entries: written once
 *
 * The application can write any of these fields at any time (I10). Apart from
 * fdinfo, which only shows values, the kernel reads only @sq_tail, @cq_head and
 * @cq_flags. It bounds each position that it has read, and looks at one bit of
 * the flags.
 *
 * The submitter writes @sq_head, and whoever posts a CQE writes @cq_tail. So each
 * of them is on a cache line of its own.
 *
 * Lifetime: that of the ring's memory. No lock guards a field from the
 * application.
 */
struct io2_shared {
	u32	sq_tail;
	u32	cq_head;
	u32	cq_flags;
	u32	sq_head ____cacheline_aligned;
	u32	sq_flags;
	u32	sq_dropped;
	u32	cq_tail ____cacheline_aligned;
	u32	cq_overflow;
	u32	sq_mask ____cacheline_aligned;
	u32	sq_entries;
	u32	cq_mask;
	u32	cq_entries;
};

/**
 * struct io2_req_list - singly linked list of requests, in order
 * @first: the oldest, or NULL
 * @last: the newest; valid only if the list is not empty
 *
 * No request is ever removed from the middle of such a list, so it does not need
 * the links of a struct list_head, and causes half the memory traffic. The owner
 * of the list guards both fields.
 */
struct io2_req_list {
	struct io2_req	*first;
	struct io2_req	*last;
};

#define IO2_RESTARTS	4	/* interrupted waits that a ring remembers */

/**
 * struct io2_deadlines - when a wait ends
 * @expires: time by the clock of the wait, or KTIME_MAX
 * @min_expires: time after which a single CQE is enough, or KTIME_MAX if the wait
 *	has no minimum wait
 *
 * Lifetime: on the stack of the waiting task, or part of the ring.
 */
struct io2_deadlines {
	ktime_t	expires;
	ktime_t	min_expires;
};

/**
 * struct io2_restart - a wait that the kernel will restart
 * @task: the waiting task; only compared; NULL if the slot is free
 * @key: the address of ENTER's argument, or that of SYNC_CANCEL's plus 1
 * @at: when the wait ends
 *
 * The kernel restarts an interrupted wait with the same argument, see restart.c.
 *
 * Lifetime: part of the ring. All fields are guarded by uring_lock.
 */
struct io2_restart {
	struct task_struct	*task;
	u64			key;
	struct io2_deadlines	at;
};

/* lower limit of struct io2_ring::max_cached */
#define IO2_CACHED_LEAST	512U

/**
 * enum io2_class - classes of worker thread
 * @IO2_BOUNDED: for regular files and block devices, whose I/O ends in bounded
 *	time
 * @IO2_UNBOUNDED: for everything else
 * @IO2_RETRY: tries requests without waiting for data, see worker.c
 * @IO2_CLASSES: number of these
 *
 * The first two are in the order of REGISTER_IOWQ_MAX_WORKERS.
 */
enum io2_class {
	IO2_BOUNDED,
	IO2_UNBOUNDED,
	IO2_RETRY,
	IO2_CLASSES,
};

#define IO2_LIMITS	(IO2_UNBOUNDED + 1)	/* classes whose number a ring may limit */

/**
 * struct io2_ring - one ring
 * @state: enum io2_state
 * @uring_lock: guards submission
 * @cq_lock: guards completion
 * @deferred_lock: guards hand-over from any context
 * @inflight_lock: guards cancellation and timeouts
 * @pool_lock: guards workers and their queues
 * @eventfd_lock: guards the registered eventfd
 *
 * Constant once the ring is LIVE:
 * @ring_flags: IOURING2_RING_*
 * @setup_flags: IOURING2_SETUP_*
 * @sqe_shift: log2 of the size of an SQ entry in units of 64 bytes
 * @cqe_shift: log2 of the size of a CQ entry in units of 16 bytes
 * @max_inflight: maximum number of requests that are accepted and whose CQE is
 *	not yet in the CQ (I5)
 * @issuer: with IOURING2_SETUP_SINGLE_ISSUER, the only task that may submit;
 *	referenced, so that no later task has the same pointer; only compared
 * @file: the ring's own file, not referenced; NULL once it has been
 *	released
 * @id: number of the ring, for fdinfo and tracepoints; no other ring of this
 *	load of the module has it
 *
 * Written under @uring_lock, read without it:
 * @disabled: ENTER is refused until ENABLE_RINGS
 * @clock: the clock of waits in ENTER, CLOCK_MONOTONIC or CLOCK_BOOTTIME
 *
 * @rings: memory of SQ, CQ and SQEs. Replaced with @uring_lock and @cq_lock
 *	held; read with either of them, or under RCU (io2_rings_lock())
 *
 * Copies of fields of @rings, guarded in the same way. So with one of the locks,
 * a reader needs no pointer more. Without a lock @sq_entries and @cq_entries are
 * hints, and the pointers must not be used. @max_cached follows from them:
 * @shared: head of the rings' memory
 * @sq_array: SQE indices, or NULL with IOURING2_SETUP_NO_SQARRAY
 * @cqes: the CQ ring's entries
 * @sqes: the SQEs
 * @sq_entries: power of two
 * @cq_entries: power of two
 * @max_cached: maximum number of requests kept for reuse in @free_reqs; the
 *	same number may be in @retired
 *
 * Guarded by @uring_lock:
 * @sq_head: the kernel's SQ head
 * @sq_dropped: number of invalid SQ array entries seen
 * @accepted: requests accepted since SETUP
 * @completed_snapshot: number of requests that had completed and left the
 *	backlog when the submitter last looked: a lower bound, with which
 *	submission need not take cq_lock
 * @free_reqs: cached requests, linked by next
 * @nr_free: length of @free_reqs
 * @submitter: the submitter of the last ENTER, or NULL; not referenced
 * @submitting: the task that is submitting, or NULL; without the lock, a task
 *	only checks whether it is this task
 * @drain_next: the last request or chain was a drain barrier, so the next one
 *	becomes a barrier as well
 * @ebusy: how often ENTER has returned EBUSY
 *
 * Guarded by @cq_lock; on a ring that defers by @uring_lock, but @sq_flags by
 * @deferred_lock:
 * @cq_tail: the kernel's CQ tail, as published to the application
 * @cq_fill: CQ tail including entries that are not published yet
 * @cq_head_seen: the CQ head that was last read; bounded when used
 * @sq_flags: the value last written to the shared SQ flags
 * @completed: final completions posted (to the CQ or backlog, or skipped)
 * @cq_events: CQEs posted that count for timeouts
 * @wait_ends: published CQEs that end every wait in ENTER
 * @wait_ends_fill: the same, including CQEs that are not published yet
 * @backlog: completed requests whose CQE did not fit, oldest first
 * @nr_backlog: length of @backlog
 * @backlog_max: highest value of @nr_backlog
 * @backlog_total: number of completions added to @backlog so far
 * @retired: posted requests that are kept for the submitter to reuse
 * @nr_retired: length of @retired
 * @drain_list: chains held back by a drain barrier, in order
 *
 * Guarded by @deferred_lock:
 * @nr_waiters: tasks in ENTER that will run @deferred
 * @wait_nr: on a ring that defers, the number of CQ entries for which requests must
 *	be deferred until one of these tasks is woken; valid only if @nr_waiters is
 *	not 0
 * @issuer_left: on a ring that defers, the issuer may never enter it again; never
 *	reset; read without the lock as well
 * @deferred: requests that were handed over, oldest first
 * @wq_list: requests that only the workqueue may run
 * @nr_closing: requests whose file is being closed by a work item
 * @deferred_work: runs @wq_list, and @deferred if no task waits
 * @notify: tells @deferred_work to notify pollers of the ring; set under
 *	@cq_lock or no lock
 *
 * Guarded by @inflight_lock:
 * @hash: cancellable requests by user_data
 * @nr_hashed: number of requests in @hash
 * @hash_bits: log2 of the number of buckets; changed with uring_lock held, too
 * @hash_limit: number of requests at which the hash grows; as @hash_bits
 * @hash_few: the buckets of @hash until it first grows
 * @counted: timeouts that wait for a number of completions, soonest first
 * @nr_counted: length of @counted; posters read it without the lock
 * @nr_submitters: length of @submitters; read without the lock as a hint
 * @leave_seq: how often a process has left the ring, modulo 2^32
 * @mapped_mm: the mm in which the ring was mapped last, if nothing of the ring
 *	has been unmapped there since; NULL otherwise; only compared
 * @mapped_by: the process that mapped it last, or NULL; referenced, so that no
 *	later process has the same pointer; only compared
 *
 * @submitters: all submitters of the ring, under @inflight_lock
 * @wait: tasks in ENTER, close and exit; woken without a spinlock held other
 *	than @deferred_lock or @cq_lock
 * @pollers: pollers of the ring's file; woken without a spinlock held
 *
 * Guarded by @eventfd_lock:
 * @eventfd: the registered eventfd, referenced, or NULL; set under @cq_lock, too,
 *	or on a ring that defers under @deferred_lock; read without a lock as a hint
 * @eventfd_tail: the value of @cq_tail up to which CQEs have been signalled
 * @eventfd_async: do not signal what completes while it is submitted
 * @eventfd_owed: the submission has run deferred requests: signal its CQEs, too;
 *	under @uring_lock
 *
 * Guarded by @pool_lock, which also guards each submitter's struct io2_pool:
 * @runners: threads and tasks that run requests which may block
 * @dead: workers that have ended and wait to be freed
 * @reap: frees @dead
 * @watch: checks the processes of submitters, see ring_watch()
 * @end: ends a DYING ring that still has requests
 * @watched: @watch has been queued once; read without the lock
 * @nr_workers: worker threads by class, including those being created
 * @max_workers: the ring's own limits of bounded and unbounded workers; 0: only
 *	those of the module
 * @cpus: the CPUs of its workers, referenced; NULL for those of any kernel thread;
 *	read without the lock as a hint
 * @nr_parked: requests that wait for a task of their process; read without the
 *	lock as a hint
 *
 * @nr_own_file: number of requests whose file is the ring's own
 *
 * @has_param: the ring has @param, or is about to get it; under @uring_lock
 * @param: the region of MEM_REGION, or NULL; written once
 * @wait_args: the same, if it has arguments of waits
 *
 * @restarts: waits that will be restarted; under @uring_lock
 * @restarting: @restarts has been used; read without the lock
 */
struct io2_ring {
	enum io2_state		state;
	u32			ring_flags;
	u32			setup_flags;
	u32			sq_entries;
	u32			cq_entries;
	u8			sqe_shift;
	u8			cqe_shift;
	u32			max_inflight;
	u32			max_cached;
	bool			disabled;
	u8			clock;
	struct io2_shared	*shared;
	u32			*sq_array;
	struct iouring2_cqe	*cqes;
	struct iouring2_sqe	*sqes;
	struct io2_rings __rcu	*rings;
	struct task_struct	*issuer;
	struct file		*file;
	u64			id;

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
	u32			wait_nr;
	bool			issuer_left;
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
	const struct mm_struct	*mapped_mm;
	struct pid		*mapped_by;

	wait_queue_head_t	wait ____cacheline_aligned;
	wait_queue_head_t	pollers;
	struct eventfd_ctx	*eventfd;

	spinlock_t		pool_lock;	/* guards the fields from here to @nr_workers */
	u32			nr_parked;
	struct list_head	runners;
	struct list_head	dead;
	struct work_struct	reap;
	struct delayed_work	watch;
	struct delayed_work	end;
	bool			watched;
	unsigned int		nr_workers[IO2_CLASSES];
	unsigned int		max_workers[IO2_LIMITS];
	struct io2_cpus		*cpus;

	atomic_t		nr_own_file;

	spinlock_t		eventfd_lock;	/* guards the fields @eventfd... */
	u32			eventfd_tail;
	bool			eventfd_async;
	bool			eventfd_owed;

	bool			has_param;
	struct io2_shm		*param;
	struct io2_shm		*wait_args;

	struct io2_restart	restarts[IO2_RESTARTS];
	bool			restarting;
};

extern unsigned long io2_state_warnings;

/*
 * I8: warns once if @cond is violated, and counts every violation. Tests read
 * the counter.
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
 * Return: true if @ring is LIVE or DYING.
 */
static inline bool io2_ring_may_post(const struct io2_ring *ring)
{
	enum io2_state state = READ_ONCE(ring->state);

	return state == IO2_LIVE || state == IO2_DYING;
}

/**
 * io2_ring_has_big_cqes() - can a CQE of a ring have 32 bytes?
 * @ring: the ring
 *
 * Return: true if all have, or each can.
 */
static inline bool io2_ring_has_big_cqes(const struct io2_ring *ring)
{
	return ring->setup_flags &
	       (IOURING2_SETUP_CQE32 | IOURING2_SETUP_CQE_MIXED);
}

/**
 * io2_ring_has_big_sqes() - can an SQE of a ring have 128 bytes?
 * @ring: the ring
 *
 * Return: true if all have, or those of some opcodes do.
 */
static inline bool io2_ring_has_big_sqes(const struct io2_ring *ring)
{
	return ring->setup_flags &
	       (IOURING2_SETUP_SQE128 | IOURING2_SETUP_SQE_MIXED);
}

static inline bool io2_ring_dying(const struct io2_ring *ring)
{
	return READ_ONCE(ring->state) >= IO2_DYING;
}

/**
 * io2_ring_defers() - does only the issuer run the ring's deferred requests?
 * @ring: the ring
 *
 * The CQ of such a ring is guarded by uring_lock.
 *
 * Context: any.
 * Return: true for a ring with IOURING2_SETUP_DEFER_TASKRUN.
 */
static inline bool io2_ring_defers(const struct io2_ring *ring)
{
	return ring->setup_flags & IOURING2_SETUP_DEFER_TASKRUN;
}

/**
 * io2_ring_set_issuer() - make current the only task that may submit to a ring
 * @ring: a ring with IOURING2_SETUP_SINGLE_ISSUER that has no issuer yet, and to
 *	which nobody can submit yet
 *
 * Context: task context.
 */
static inline void io2_ring_set_issuer(struct io2_ring *ring)
{
	io2_assert(!ring->issuer);
	WRITE_ONCE(ring->issuer, get_task_struct(current));
}

/**
 * io2_ring_is_issuer() - may current submit to a ring, and register with it?
 * @ring: the ring
 *
 * Context: task context.
 * Return: false if IOURING2_SETUP_SINGLE_ISSUER reserves that for another task.
 */
static inline bool io2_ring_is_issuer(const struct io2_ring *ring)
{
	const struct task_struct *issuer = READ_ONCE(ring->issuer);

	return !issuer || issuer == current;
}

/* keys of wake-ups of ring->wait; io2_wake_process() passes a submitter instead */
#define IO2_WAKE_CQ		((void *)0)	/* CQEs were posted */
#define IO2_WAKE_DEFERRED	((void *)1)	/* there are deferred requests to run */

/**
 * io2_wake_process() - wake a waiting task to do the requests parked for it
 * @ring: the ring
 * @sub: the process of the task; the caller keeps it allocated
 *
 * Context: task context.
 */
static inline void io2_wake_process(struct io2_ring *ring,
				    struct io2_submitter *sub)
{
	__wake_up(&ring->wait, TASK_NORMAL, 1, sub);
}

extern const struct file_operations io2_ring_fops;

/**
 * io2_is_ring_file() - is a file a ring of this module?
 * @file: the file
 *
 * Context: any.
 * Return: true if it is.
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
struct file *io2_ring_file(void);

#endif
