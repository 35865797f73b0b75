/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request, from acceptance to its CQE.
 *
 * Lifetime: ENTER allocates a request when it accepts its SQE. From then on the
 * request owns the storage of its final completion (I1). Exactly one context
 * owns it at any time: the submitter, a worker, the deferred list, the wait
 * queue or timer it is armed on, or the CQ backlog. A context that hands a
 * request over does not touch it again. A request is freed when its CQE has
 * been written into the CQ ring, or has been skipped.
 *
 * No field has a lock of its own: the owner may write it, except where noted.
 */
#ifndef IO2_REQ_H
#define IO2_REQ_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "ring.h"
#include "debug/counters.h"
#include "op/opdef.h"
#include "submitter.h"

/* struct io2_req::flags; the low byte holds the SQE's flags, unchanged */
#define REQ_F_DRAIN		IOURING2_SQE_IO_DRAIN
#define REQ_F_LINK		IOURING2_SQE_IO_LINK
#define REQ_F_HARDLINK		IOURING2_SQE_IO_HARDLINK
#define REQ_F_ASYNC		IOURING2_SQE_ASYNC
#define REQ_F_CQE_SKIP		IOURING2_SQE_CQE_SKIP_SUCCESS
#define REQ_F_FAIL		BIT(8)	/* failed, or a short read or write: breaks its link */
#define REQ_F_SKIP_LINK_CQES	BIT(9)	/* failed with CQE_SKIP set: its links post no CQEs */
#define REQ_F_CUR_POS		BIT(10)	/* reads or writes at the file's position */
#define REQ_F_WRITE_STARTED	BIT(11)	/* the completion must call kiocb_end_write() */
#define REQ_F_BIG_CQE		BIT(12)	/* @big_cqe holds the second half of its CQE */
#define REQ_F_OWN_RING		BIT(13)	/* @file is the request's own ring: no reference */
#define REQ_F_NOWAIT		BIT(14)	/* EAGAIN is a result, not a reason to wait */
#define REQ_F_POLLED		BIT(15)	/* do not wait for the file again: a worker may block */
#define REQ_F_NO_WORKER		BIT(16)	/* the workqueue failed to create a retry worker */
#define REQ_F_OP		BIT(17)	/* private to the opcode */
#define REQ_F_DATA		BIT(18)	/* op data needs cleanup() */
#define REQ_F_TIMEOUT		BIT(19)	/* its CQE does not count for timeouts that wait for CQEs */
#define REQ_F_ABORT		BIT(20)	/* complete with @res instead of issuing */
#define REQ_F_ENDS_WAIT		BIT(21)	/* its CQE ends every wait in ENTER */
#define REQ_F_PARTIAL		BIT(22)	/* @res holds the progress made so far */
#define REQ_F_BORROWED		BIT(23)	/* @file is kept by its descriptor: no reference */

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
 * @IO2_POOL_NONE: never queued, or cancelled while it was queued
 * @IO2_POOL_QUEUED: in a queue: waits for a worker, a task in ENTER, or its
 *	ordering key
 * @IO2_POOL_RUNNING: taken off its queue to run
 * @IO2_POOL_INTERRUPTED: cancelled while RUNNING: it must not wait again
 */
enum io2_pool_state {
	IO2_POOL_NONE,
	IO2_POOL_QUEUED,
	IO2_POOL_RUNNING,
	IO2_POOL_INTERRUPTED,
};

/* more values of struct io2_req::pool_class, after the classes of workers */
#define IO2_PARKED	(IO2_CLASSES + 0)	/* waits for a task of its process */
#define IO2_KEYED	(IO2_CLASSES + 1)	/* waits for its ordering key */

/* struct io2_poll::state */
#define IO2_POLL_OWNED		BIT(0)	/* some context owns the request */
#define IO2_POLL_AGAIN		BIT(1)	/* a wake-up came while it was owned */
#define IO2_POLL_CANCEL		BIT(2)	/* the request must end with ECANCELED */
#define IO2_POLL_CIRCLE		BIT(3)	/* woken by a ring's CQE, maybe its own */

/**
 * struct io2_poll_entry - one wait queue that a request is armed on
 * @wait: the entry; guarded by the queue's lock; see poll.c for its private
 * @head: the queue; NULL when on none; cleared under the queue's lock; read
 *	under RCU, because the queue may be freed first (POLLFREE)
 *
 * Lifetime: part of the request, or allocated when the request is armed on a
 * second queue.
 */
struct io2_poll_entry {
	struct wait_queue_entry	wait;
	struct wait_queue_head	*head;
};

/**
 * struct io2_poll - state of a request that waits for its file
 * @state: IO2_POLL_*; the context that sets OWNED owns the request
 * @events: the events to wait for; written by the owner, read by any context
 * @revents: the events that woke the request; written by the owner
 * @nr: number of wait queues it is on
 * @entry: entry of the first wait queue; its private is the entry of the second
 *	one, for files with two (one for readers, one for writers), or NULL; that
 *	entry is allocated, and freed by the owner
 *
 * Lifetime: part of the request; from prep of a POLL_ADD, or from the arming of
 * another request, until its wait has ended.
 */
struct io2_poll {
	atomic_t		state;
	__poll_t		events;
	__poll_t		revents;
	unsigned int		nr;
	struct io2_poll_entry	entry;
};

/* struct io2_io::parts: the context that sets the second bit owns the request */
#define IO2_IO_RETURNED		BIT(0)	/* ->read_iter or ->write_iter has returned */
#define IO2_IO_ENDED		BIT(1)	/* ki_complete has been called */

/**
 * struct io2_io - one attempt to read or write
 * @kiocb: must stay in place until the I/O has completed
 * @parts: IO2_IO_*, for an I/O that completes asynchronously
 *
 * Lifetime: part of the request, from the start of an attempt until its result
 * is known. The request is not armed on its file during that time.
 */
struct io2_io {
	struct kiocb		kiocb;
	atomic_t		parts;
};

/* room for an opcode's arguments, in bytes: with and without @poll and @io */
#define IO2_ARGS_SIZE		72
#define IO2_WIDE_ARGS_SIZE	136
#define IO2_ARGS_WORDS		(IO2_ARGS_SIZE / sizeof(u64))

/**
 * struct io2_req - one request
 * @next: in a batch, the deferred list, the backlog or the ring's cache
 * @node: in a worker's queue, the drain list, or another list_head; a request
 *	is on one list at a time
 * @file: the file, or NULL; referenced unless REQ_F_OWN_RING or REQ_F_BORROWED
 *	is set
 * @sub: the submitter; NULL until the submitting task hands the request over
 * @user_data: for the CQE
 * @res: for the CQE
 * @cqe_flags: for the CQE
 * @flags: REQ_F_*
 * @opcode: index into the table of opcodes
 * @armed: enum io2_armed: where it waits, if it is in ring->hash; under
 *	inflight_lock
 * @retries: how often issue() would have blocked although the file was reported
 *	ready, plus how often a task blocked for the request in its turn
 * @pool_state: enum io2_pool_state; under pool_lock
 * @seq: number of requests accepted before it, modulo 2^32
 * @ring: the ring; outlives the request
 * @run: called by the context that runs deferred or parked requests
 * @fd: the SQE's descriptor, looked up when the request starts
 * @pool_class: the queue it is in; under pool_lock
 * @poll: while it is armed on its file
 * @io: while a read or write is attempted
 * @args: the opcode's arguments, see io2_args()
 * @big_cqe: for a CQE of 32 bytes, see io2_req_set_big(): the last words of
 *	@args, which the opcode does not need any more
 * @args_head: the words of @args before @big_cqe
 * @wide_args: the arguments of an opcode that uses neither @poll nor @io, see
 *	io2_wide_args()
 * @close: the work item that closes its file, once it has its result
 * @link: the next request of the chain, started when this one has completed
 * @key: the ordering key it holds, or NULL; written by the owner
 * @hash: in ring->hash; under inflight_lock
 *
 * The struct is no larger than io_uring's: four cache lines. Fields that are
 * never in use at the same time share their memory. A NOP touches the first
 * cache line only, and a read that does not block the first three.
 * docs/architecture.md shows the layout.
 *
 * A request in the cache of its ring has its @ring. Its @file, @sub, @link and
 * @key are NULL, so that they need not be set when it is reused.
 */
struct io2_req {
	union {
		struct io2_req		*next;
		struct list_head	node;
	};
	struct file		*file;
	struct io2_submitter	*sub;
	u64			user_data;
	s32			res;
	u32			cqe_flags;
	u64			flags;
	u8			opcode;
	u8			armed;
	u8			retries;
	u8			pool_state;
	u32			seq;

	struct io2_ring		*ring;
	void			(*run)(struct io2_req *req,
				       struct io2_batch *b);
	s32			fd;
	u8			pool_class;
	union {
		struct {
			union {
				struct io2_poll	poll;
				struct io2_io	io;
			};
			union {
				u64		args[IO2_ARGS_WORDS];
				struct {
					u64	args_head[IO2_ARGS_WORDS - 2];
					u64	big_cqe[2];
				};
			};
		};
		u64			wide_args[IO2_WIDE_ARGS_SIZE /
						  sizeof(u64)];
		struct work_struct	close;
	};
	struct io2_req		*link;
	struct io2_key		*key;
	struct hlist_node	hash;
};

static_assert(sizeof(struct io2_req) <= 256);
static_assert(offsetofend(struct io2_req, seq) <= 64);
static_assert(offsetofend(struct io2_req, wide_args) ==
	      offsetofend(struct io2_req, args));
static_assert(offsetofend(struct io2_req, close) <=
	      offsetof(struct io2_req, big_cqe));

/**
 * io2_args() - an opcode's own view of a request's arguments
 * @req: the request; its opcode must be one that uses @type
 * @type: a struct that is private to the opcode's file
 *
 * prep() writes the arguments. They stay valid until the request has completed,
 * or calls io2_req_set_big().
 *
 * Return: a pointer to @type.
 */
#define io2_args(req, type) ({						\
	BUILD_BUG_ON(sizeof(type) > IO2_ARGS_SIZE);			\
	BUILD_BUG_ON(__alignof__(type) > __alignof__(u64));		\
	(type *)(req)->args;						\
})

/**
 * io2_wide_args() - the same for an opcode that needs more room
 * @req: the request; its opcode uses neither req->poll nor req->io
 * @type: a struct that is private to the opcode's file
 *
 * Return: a pointer to @type.
 */
#define io2_wide_args(req, type) ({					\
	BUILD_BUG_ON(sizeof(type) > IO2_WIDE_ARGS_SIZE);		\
	BUILD_BUG_ON(__alignof__(type) > __alignof__(u64));		\
	(type *)(req)->wide_args;					\
})

/**
 * struct io2_batch - completions and starts that one context collects
 * @ring: the ring
 * @done: completed requests, in the order of their completion
 * @start: requests that may start now
 * @starting: while requests are started one by one, those not yet started
 * @todo: while deferred requests are run one by one, those not yet run
 * @next: the request that the worker runs next, without queueing it
 * @goes_on: the batch belongs to a bounded worker, which runs @next
 * @split: @starting and @todo hold no request of another process
 * @owner: uring_lock is held as long as the batch is used, so on a ring that
 *	defers to its issuer it may post CQEs
 * @ctx: the context that runs the requests
 * @expires: for IO2_CTX_TURN only: the CLOCK_MONOTONIC time after which the
 *	task must not block
 *
 * Lifetime: on the stack of the context that owns it. No other context has
 * access, so no lock is needed.
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
	bool			owner:1;
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

/* Moves all of @list to @to, which must be empty. */
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
	b->owner = ctx == IO2_CTX_SUBMIT;
	b->ctx = ctx;
}

/**
 * io2_batch_own() - let a batch post CQEs on a ring that defers to its issuer
 * @b: the batch
 *
 * Context: uring_lock held from now on until the batch has been flushed.
 */
static inline void io2_batch_own(struct io2_batch *b)
{
	lockdep_assert_held(&b->ring->uring_lock);
	b->owner = true;
}

/* Does not set the last request's next: the function that posts the list does. */
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
 * io2_req_is_own() - may the caller do work that only the submitter may do?
 * @req: the request
 * @ctx: the context of the caller
 *
 * Context: task context.
 * Return: true if current is a task of the submitting process with the same
 * credentials, or a worker that has borrowed its memory and credentials.
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
 * @res: for the CQE. A negative errno marks the request as failed. It does not
 *	replace the count of a request that has made progress (REQ_F_PARTIAL).
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

/**
 * io2_req_set_big() - set the result of a request whose CQE has 32 bytes
 * @req: the request; its ring has CQE32 or CQE_MIXED
 * @res: for the CQE, see io2_req_set()
 * @extra: the second half of the CQE
 *
 * The request's own memory holds all of the CQE, so a CQE of this size cannot be
 * lost either (I1). It takes the last 16 bytes of the arguments: cleanup() must
 * not need them.
 *
 * Return: IO2_DONE, for use as issue()'s return value.
 */
static inline enum io2_issue io2_req_set_big(struct io2_req *req, s32 res,
					     const u64 extra[2])
{
	u64 first = extra[0], second = extra[1];

	if (req->ring->setup_flags & IOURING2_SETUP_CQE_MIXED)
		req->cqe_flags |= IOURING2_CQE_F_32;
	req->big_cqe[0] = first;
	req->big_cqe[1] = second;
	req->flags |= REQ_F_BIG_CQE;
	return io2_req_set(req, res);
}

#endif
