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
#ifndef IO2_REQ_H
#define IO2_REQ_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "ring.h"
#include "op/opdef.h"
#include "submitter.h"

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
 * enum io2_pool_state - struct io2_req::pool_state
 * @IO2_POOL_NONE: nobody was ever asked to do it
 * @IO2_POOL_QUEUED: it waits for a worker, a task in ENTER, or its ordering key
 * @IO2_POOL_RUNNING: it was taken from there
 * @IO2_POOL_INTERRUPTED: it was cancelled after that: it must not wait again
 */
enum io2_pool_state {
	IO2_POOL_NONE,
	IO2_POOL_QUEUED,
	IO2_POOL_RUNNING,
	IO2_POOL_INTERRUPTED,
};

/* struct io2_req::pool_class of a request that no worker class has */
#define IO2_PARKED	(IO2_CLASSES + 0)	/* waits for a task of its process */
#define IO2_KEYED	(IO2_CLASSES + 1)	/* waits for its ordering key */

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
 * struct io2_timer - a request that waits for a time, or for others to complete
 * @timer: fires in interrupt context
 * @node: in ring->counted, if it waits for completions; under inflight_lock
 */
struct io2_timer {
	struct hrtimer		timer;
	struct list_head	node;
};

/* bytes of an opcode's arguments */
#define IO2_ARGS_SIZE		40

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
 * @pool_state: what its worker does; under pool_lock
 * @pool_class: which queue it is in; under pool_lock
 * @fd: the descriptor that the SQE names, looked up when the request starts
 * @seq: requests accepted before it, modulo 2^32, of a chain's head
 * @target: ring->cq_events at which a timeout has waited for enough; under
 *	inflight_lock
 * @hash: in ring->hash; under inflight_lock
 * @key: the ordering key it holds, or NULL, also in the cache; written by the owner
 * @run: what the deferred context does with it
 * @poll: armed on its file
 * @io: while it is tried, if it reads or writes
 * @timer: waits for a time, or for completions
 * @close: closes its file, once it has its result
 * @args: what its SQE asked for; the opcode's, see io2_args()
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
	u8			pool_state;
	u8			pool_class;
	s32			fd;
	u32			seq;
	u32			target;
	struct hlist_node	hash;
	struct io2_key		*key;
	void			(*run)(struct io2_req *req,
				       struct io2_batch *b);
	union {
		struct io2_poll		poll;
		struct io2_io		io;
		struct io2_timer	timer;
		struct work_struct	close;
	};
	u64			args[IO2_ARGS_SIZE / sizeof(u64)];
};

static_assert(sizeof(struct io2_req) <= 256);

/**
 * io2_args() - an opcode's own view of a request's arguments
 * @req: the request; its opcode must be one that has @type
 * @type: a struct that is private to the opcode's file
 *
 * Written by prep, they are there until the request has completed.
 *
 * Return: a pointer to @type.
 */
#define io2_args(req, type) ({						\
	BUILD_BUG_ON(sizeof(type) > IO2_ARGS_SIZE);			\
	BUILD_BUG_ON(__alignof__(type) > __alignof__(u64));		\
	(type *)(req)->args;						\
})

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
	enum io2_ctx		ctx;
	bool			goes_on:1;
	bool			split:1;
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

#endif
