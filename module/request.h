/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request from acceptance to its CQE.
 *
 * Lifetime.  Allocated when ENTER accepts its SQE; from then on it owns the
 * storage of its final completion (I1).  Exactly one context owns a request at
 * any time: the submitter, a worker, the deferred list, a wait queue or timer
 * it is armed on, or the CQ backlog.  Whoever hands it over does not touch it
 * again.  It is freed when its CQE is written into the CQ ring (or skipped).
 *
 * No field has a lock of its own: the owner may write, except where noted.
 */
#ifndef IO2_REQUEST_H
#define IO2_REQUEST_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "ring.h"
#include "opdef.h"
#include "submitter.h"
#include "where.h"

/* struct io2_req::flags; the low byte is the SQE's flags, unchanged */
#define REQ_F_DRAIN		IOURING2_SQE_IO_DRAIN
#define REQ_F_LINK		IOURING2_SQE_IO_LINK
#define REQ_F_HARDLINK		IOURING2_SQE_IO_HARDLINK
#define REQ_F_ASYNC		IOURING2_SQE_ASYNC
#define REQ_F_CQE_SKIP		IOURING2_SQE_CQE_SKIP_SUCCESS
#define REQ_F_FAIL		BIT(8)	/* did not do what was asked: breaks a link */
#define REQ_F_SKIP_LINK_CQES	BIT(9)	/* failed with CQE_SKIP: so are its links */
#define REQ_F_CUR_POS		BIT(10)	/* reads or writes at the file's position */
#define REQ_F_WRITE_STARTED	BIT(11)	/* completion must end the write */
#define REQ_F_OWN_RING		BIT(13)	/* file is the ring's own: no reference */
#define REQ_F_NOWAIT		BIT(14)	/* EAGAIN is a result, not a reason to wait */
#define REQ_F_POLLED		BIT(15)	/* poll said ready: a worker may block */
#define REQ_F_NO_WORKER		BIT(16)	/* no worker could be made to retry it */
#define REQ_F_DATA		BIT(18)	/* op data needs cleanup() */
#define REQ_F_TIMEOUT		BIT(19)	/* not seen by a timeout's count */
#define REQ_F_ABORT		BIT(20)	/* is to end with res, not to be issued */
#define REQ_F_ENDS_WAIT		BIT(21)	/* its CQE ends waits for more CQEs, too */
#define REQ_F_PARTIAL		BIT(22)	/* res says how much of it is done */

#define REQ_F_LINKS		(REQ_F_LINK | REQ_F_HARDLINK)

/* struct io2_req::armed: where a cancellable request waits */
enum io2_armed {
	IO2_ARMED_NONE,
	IO2_ARMED_POLL,
	IO2_ARMED_TIMER,
	IO2_ARMED_WORKER,
};

/**
 * enum io2_wq_state - struct io2_req::wq_state
 * @IO2_WQ_NONE: nobody was ever asked to do it
 * @IO2_WQ_QUEUED: it waits for a worker, a task in ENTER, or its ordering key
 * @IO2_WQ_RUNNING: it was taken from there
 * @IO2_WQ_INTERRUPTED: it was cancelled after that: it must not wait again
 */
enum io2_wq_state {
	IO2_WQ_NONE,
	IO2_WQ_QUEUED,
	IO2_WQ_RUNNING,
	IO2_WQ_INTERRUPTED,
};

/* how issue() ended; see struct io2_op */
enum io2_issue {
	IO2_DONE,
	IO2_ASYNC,
	IO2_AGAIN,
};

/* flags of issue() */
#define IO2_NONBLOCK		BIT(0)	/* must not sleep for data or space */
#define IO2_BREAKABLE		BIT(1)	/* an interrupted sleep is IO2_AGAIN */
#define IO2_CTX_SHIFT		8	/* enum io2_ctx, from here on */

/**
 * enum io2_ctx - who runs requests; passed on, never guessed
 * @IO2_CTX_SUBMIT: the task in ENTER that submits; uring_lock is held
 * @IO2_CTX_ENTER: a task in ENTER; no lock of the ring is held
 * @IO2_CTX_TURN: the same, doing what is parked for its process: may block
 * @IO2_CTX_LEAVE: a task that leaves the ring, or ends it
 * @IO2_CTX_WORKER: a worker that has borrowed its submitter's memory, and is on
 *	record as running the request
 * @IO2_CTX_WQ: a work item
 */
enum io2_ctx {
	IO2_CTX_SUBMIT,
	IO2_CTX_ENTER,
	IO2_CTX_TURN,
	IO2_CTX_LEAVE,
	IO2_CTX_WORKER,
	IO2_CTX_WQ,
};

static inline enum io2_ctx io2_flags_ctx(unsigned int flags)
{
	return flags >> IO2_CTX_SHIFT;
}

/* struct io2_poll::state */
#define IO2_POLL_OWNED		BIT(0)	/* somebody looks after the request */
#define IO2_POLL_AGAIN		BIT(1)	/* woken while owned */
#define IO2_POLL_CANCEL		BIT(2)	/* is to end with ECANCELED */
#define IO2_POLL_CIRCLE		BIT(3)	/* woken by a ring's CQE, maybe its own */

/**
 * struct io2_poll_entry - one wait queue a request is armed on
 * @wait: entry of the queue; under the queue's lock; its private is the request
 * @head: the queue, NULL when not on one; cleared under the queue's lock,
 *	read under RCU because the queue may go first (POLLFREE)
 */
struct io2_poll_entry {
	struct wait_queue_entry	wait;
	struct wait_queue_head	*head;
};

/**
 * struct io2_poll - a request that waits for its file
 * @state: IO2_POLL_*: who sets OWNED owns the request
 * @events: what is waited for; written by the owner, read by anybody
 * @revents: what woke the request; written by the owner
 * @nr: queues it is on
 * @entry: the first
 * @second: a file may have two queues, e.g. for reading and writing; NULL if it
 *	has one; freed by the owner
 */
struct io2_poll {
	atomic_t		state;
	__poll_t		events;
	__poll_t		revents;
	unsigned int		nr;
	struct io2_poll_entry	entry;
	struct io2_poll_entry	*second;
};

/* struct io2_io::parts: who sets the second of them owns the request */
#define IO2_IO_RETURNED		BIT(0)	/* the file is done with starting it */
#define IO2_IO_ENDED		BIT(1)	/* the completion was called */

/**
 * struct io2_io - one attempt to read or write
 * @kiocb: must stay in place until the I/O has completed
 * @parts: IO2_IO_*: of an I/O that goes on by itself
 *
 * Lifetime: from the attempt's begin until its result is known.  A request does
 * not wait for its file meanwhile.
 */
struct io2_io {
	struct kiocb		kiocb;
	atomic_t		parts;
};

/**
 * struct io2_rw - what READ, WRITE, READV, WRITEV were asked to do
 * @base: the buffer, if @nr_segs is 1
 * @iov: segments, if it is another number; NULL if that is 0
 * @pos: where to start, -1 for the file's position
 * @total: bytes asked for; at most MAX_RW_COUNT
 * @done: bytes transferred by earlier attempts
 * @rw_flags: RWF_*
 * @nr_segs: number of segments; at most UIO_MAXIOV
 * @ioprio: of the I/O, 0 for that of the task that starts it, a worker's too
 *
 * Lifetime: that of the request, apart from everything that attempts and waits
 * between them use.
 */
struct io2_rw {
	union {
		void __user		*base;
		struct iovec		*iov;
	};
	loff_t			pos;
	u32			total;
	u32			done;
	u32			rw_flags;
	u16			nr_segs;
	u16			ioprio;
};

/**
 * struct io2_sync - data of FSYNC
 * @off: first byte
 * @len: bytes, 0 for all that follow
 * @flags: IOURING2_FSYNC_*
 */
struct io2_sync {
	loff_t			off;
	loff_t			len;
	u32			flags;
};

/**
 * struct io2_timeout - data of TIMEOUT
 * @timer: fires in interrupt context
 * @time: when, or how long
 * @node: in ring->counted; under inflight_lock
 * @target: ring->cq_events at which to complete; under inflight_lock
 * @count: completions to wait for, or repeats of a multishot
 * @flags: IOURING2_TIMEOUT_*
 * @stopped: a multishot that was cancelled: it fires no more; under inflight_lock
 */
struct io2_timeout {
	struct hrtimer		timer;
	ktime_t			time;
	struct list_head	node;
	u32			target;
	u32			count;
	u16			flags;
	bool			stopped;
};

/**
 * struct io2_timeout_rem - data of TIMEOUT_REMOVE
 * @user_data: which timeout
 * @time: its new time, as the caller gave it
 * @monotonic: that time of CLOCK_MONOTONIC outside the caller's time namespace
 * @boottime: that time of CLOCK_BOOTTIME outside
 * @flags: IOURING2_TIMEOUT_*
 */
struct io2_timeout_rem {
	u64			user_data;
	ktime_t			time;
	ktime_t			monotonic;
	ktime_t			boottime;
	u32			flags;
};

/**
 * struct io2_poll_rem - data of POLL_REMOVE
 * @old_user_data: which poll
 * @new_user_data: its new user_data
 * @events: its new events
 * @flags: IOURING2_POLL_*
 */
struct io2_poll_rem {
	u64			old_user_data;
	u64			new_user_data;
	__poll_t		events;
	u32			flags;
};

/**
 * struct io2_cancel - which requests to cancel
 * @user_data: compared unless @flags say otherwise
 * @fd: compared with IOURING2_ASYNC_CANCEL_FD
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @opcode: compared with IOURING2_ASYNC_CANCEL_OP
 */
struct io2_cancel {
	u64			user_data;
	s32			fd;
	u32			flags;
	u32			opcode;
};

/**
 * struct io2_req - one request
 * @next: in a batch, the deferred list, the backlog or the ring's cache
 * @node: in a worker's queue or the drain list; it is in one place at a time
 * @ring: the ring; outlives the request; set as long as it is in the cache, too
 * @file: holds a reference unless REQ_F_OWN_RING; NULL for opcodes without
 * @sub: who submitted it; NULL as long as the submitter itself runs it
 * @link: next request of the chain, started when this one has completed
 * @user_data: for the CQE
 * @res: for the CQE
 * @cqe_flags: for the CQE
 * @flags: REQ_F_*
 * @opcode: index of the opcode table
 * @armed: where it waits, if in @hash; under inflight_lock
 * @retries: times that poll said ready and issue() did not agree
 * @wq_state: what its worker does; under wq_lock
 * @wq_class: which queue it is in; under wq_lock
 * @fd: the descriptor that the SQE names, looked up when the request starts
 * @seq: requests accepted before it, modulo 2^32, of a chain's head
 * @hash: in ring->hash; under inflight_lock
 * @key: the ordering key it holds, or NULL, also in the cache; written by the owner
 * @run: what the deferred context does with it
 * @close: closes its file, once it has its result
 * @poll: armed on its file
 * @io: READ, WRITE, READV, WRITEV while it is tried
 * @sync: of FSYNC
 * @timeout: of TIMEOUT
 * @timeout_rem: of TIMEOUT_REMOVE
 * @poll_rem: of POLL_REMOVE
 * @cancel: of ASYNC_CANCEL
 * @rw: of READ, WRITE, READV, WRITEV
 *
 * As large as io_uring's, four cache lines: what is never needed together shares
 * its place.
 */
struct io2_req {
	union {
		struct io2_req		*next;
		struct list_head	node;
	};
	struct io2_ring		*ring;
	struct file		*file;
	struct io2_submitter	*sub;
	struct io2_req		*link;
	u64			user_data;
	s32			res;
	u32			cqe_flags;
	u32			flags;
	u8			opcode;
	u8			armed;
	u8			retries;
	u8			wq_state;
	u8			wq_class;
	s32			fd;
	u32			seq;
	struct hlist_node	hash;
	struct io2_key		*key;
	void			(*run)(struct io2_req *req,
				       struct io2_batch *b);
	union {
		struct {
			union {
				struct io2_poll	poll;
				struct io2_io	io;
			};
			struct io2_rw	rw;
		};
		struct io2_sync		sync;
		struct io2_timeout	timeout;
		struct io2_timeout_rem	timeout_rem;
		struct io2_poll_rem	poll_rem;
		struct io2_cancel	cancel;
		struct work_struct	close;
	};
};

static_assert(sizeof(struct io2_req) <= 256);

/**
 * struct io2_batch - completions and starts collected by one context
 * @ring: the ring
 * @done: completed requests in the order of their completion
 * @start: requests that may start now
 * @starting: those of them that are started one after the other, the rest
 * @todo: what was deferred and is run one after the other, the rest
 * @next: what the worker does next, without its being queued
 * @goes_on: who has the batch is a bounded worker, and looks at @next
 * @split: nothing of another process is in @starting or @todo
 * @ctx: who runs them
 * @expires: of IO2_CTX_TURN: CLOCK_MONOTONIC, when it must not block any more
 *
 * Lives on the stack of the context that owns it.
 */
struct io2_batch {
	struct io2_ring		*ring;
	struct io2_req_list	done;
	struct io2_req_list	start;
	struct io2_req_list	starting;
	struct io2_req_list	todo;
	struct io2_req		*next;
	bool			goes_on;
	bool			split;
	enum io2_ctx		ctx;
	ktime_t			expires;
};

static inline unsigned int io2_batch_flags(const struct io2_batch *b,
					   unsigned int flags)
{
	return flags | b->ctx << IO2_CTX_SHIFT;
}

static inline void io2_list_init(struct io2_req_list *list)
{
	list->first = NULL;
}

static inline bool io2_list_empty(const struct io2_req_list *list)
{
	return !READ_ONCE(list->first);
}

static inline void io2_list_add(struct io2_req_list *list, struct io2_req *req)
{
	req->next = NULL;
	if (list->first)
		list->last->next = req;
	else
		WRITE_ONCE(list->first, req);
	list->last = req;
}

static inline struct io2_req *io2_list_pop(struct io2_req_list *list)
{
	struct io2_req *req = list->first;

	if (req)
		WRITE_ONCE(list->first, req->next);
	return req;
}

/* Moves all of @list to @to, which is empty. */
static inline void io2_list_take(struct io2_req_list *list,
				 struct io2_req_list *to)
{
	*to = *list;
	WRITE_ONCE(list->first, NULL);
}

/* Moves all of @from to the end of @to. */
static inline void io2_list_append(struct io2_req_list *to,
				   struct io2_req_list *from)
{
	if (!from->first)
		return;
	if (to->first)
		to->last->next = from->first;
	else
		WRITE_ONCE(to->first, from->first);
	to->last = from->last;
	WRITE_ONCE(from->first, NULL);
}

static inline void io2_batch_init(struct io2_batch *b, struct io2_ring *ring,
				  enum io2_ctx ctx)
{
	b->ring = ring;
	io2_list_init(&b->done);
	io2_list_init(&b->start);
	io2_list_init(&b->starting);
	io2_list_init(&b->todo);
	b->next = NULL;
	b->goes_on = false;
	b->split = false;
	b->ctx = ctx;
}

/* The end of the list is marked when it is posted. */
static inline void io2_batch_add_done(struct io2_batch *b, struct io2_req *req)
{
	struct io2_req_list *done = &b->done;

	if (done->first)
		done->last->next = req;
	else
		done->first = req;
	done->last = req;
}

static inline const struct io2_op *io2_req_op(const struct io2_req *req)
{
	return &io2_ops[req->opcode];
}

/**
 * io2_req_track() - remember who submitted a request
 * @req: the request, about to leave the hands of its submitter
 *
 * Context: uring_lock held, unless the request is tracked already.
 */
static inline void io2_req_track(struct io2_req *req)
{
	if (req->sub)
		return;
	lockdep_assert_held(&req->ring->uring_lock);
	req->sub = req->ring->submitter;
	atomic_inc(&req->sub->nr_reqs);
}

/**
 * io2_req_is_own() - may current do for a request what only its submitter may?
 * @req: the request
 * @ctx: who runs it
 *
 * Context: task context.
 * Return: whether it is a task of the process that submitted it, with the same
 * credentials, or a worker that stands for one.
 */
static inline bool io2_req_is_own(const struct io2_req *req, enum io2_ctx ctx)
{
	if (!req->sub || ctx == IO2_CTX_WORKER)
		return true;
	return ctx != IO2_CTX_WQ && io2_submitter_is_current(req->sub);
}

/**
 * io2_req_set() - set the result of a request
 * @req: the request
 * @res: for the CQE; negative errno fails the request, but does not hide what it
 *	has done before
 *
 * Return: IO2_DONE, for use as issue()'s return value.
 */
static inline enum io2_issue io2_req_set(struct io2_req *req, s32 res)
{
	if (res < 0) {
		req->flags |= REQ_F_FAIL;
		if (req->flags & REQ_F_PARTIAL)
			return IO2_DONE;
	}
	req->res = res;
	return IO2_DONE;
}

void io2_req_recycle_some(struct io2_ring *ring, struct io2_req_list *list);

/**
 * io2_req_recycle() - keep retired requests for the next ones, up to a limit
 * @ring: the ring
 * @list: the requests
 * @nr: how many; may be 0
 *
 * Context: uring_lock held.
 */
static __always_inline void io2_req_recycle(struct io2_ring *ring,
					    struct io2_req_list *list, u32 nr)
{
	lockdep_assert_held(&ring->uring_lock);
	if (!nr)
		return;
	if (unlikely(ring->nr_free + nr > ring->max_cached)) {
		io2_req_recycle_some(ring, list);
		return;
	}
	list->last->next = ring->free_reqs;
	ring->free_reqs = list->first;
	ring->nr_free += nr;
}

int io2_request_init(void);
void io2_request_exit(void);
int io2_req_get_file(struct io2_req *req);
struct file *io2_req_lookup(const struct io2_req *req, int fd);
void io2_req_start(struct io2_req *req, struct io2_batch *b);
void io2_req_issue(struct io2_req *req, struct io2_batch *b);
void io2_req_block(struct io2_req *req, struct io2_batch *b);
void io2_req_issue_borrowed(struct io2_req *req, struct io2_batch *b,
			    const struct io2_borrow *bw);
enum io2_do io2_req_where(const struct io2_req *req, enum io2_stage stage,
			  enum io2_ctx ctx);
enum io2_do io2_req_where_again(const struct io2_req *req, enum io2_ctx ctx);
void io2_req_go(struct io2_req *req, struct io2_batch *b, enum io2_do what);
void io2_req_ready(struct io2_req *req, struct io2_batch *b);
void io2_req_again(struct io2_req *req, struct io2_batch *b);
void io2_req_complete(struct io2_req *req, struct io2_batch *b);
void io2_req_complete_plain(struct io2_req *req, struct io2_batch *b);
void io2_req_release_unstarted(struct io2_req *req);
bool io2_req_disown(struct io2_req *req);
void io2_req_list_free(struct io2_req *list);
void io2_req_cache_put(struct io2_ring *ring, struct io2_req *req);
bool io2_req_cache_fill(struct io2_ring *ring);
bool io2_req_go_async(struct io2_req *req, struct io2_batch *b);
void io2_batch_flush(struct io2_batch *b);
void io2_batch_let_others_go(const struct io2_req *next, struct io2_batch *b);
void io2_cancel_chain(struct io2_req *req, struct io2_batch *b);

/**
 * io2_batch_may_stall() - what comes next in a batch may take for ever
 * @next: what comes next
 * @b: the batch
 *
 * It may touch memory that somebody has to provide, or ask a file whose server does
 * not answer.  That is for its own process to wait for, and for no other one.
 *
 * Context: task context; no lock of the ring but uring_lock held.
 */
static inline void io2_batch_may_stall(const struct io2_req *next,
				       struct io2_batch *b)
{
	if (unlikely(READ_ONCE(b->ring->nr_submitters) > 1))
		io2_batch_let_others_go(next, b);
}

#endif
