// SPDX-License-Identifier: GPL-2.0-only
/* The opcodes POLL_ADD and POLL_REMOVE. */
#include "cq.h"
#include "defer.h"
#include "file.h"
#include "hash.h"
#include "ops.h"
#include "poll.h"
#include "reqmem.h"
#include "request.h"

#define POLL_UPDATES	(IOURING2_POLL_UPDATE_EVENTS | \
			 IOURING2_POLL_UPDATE_USER_DATA)

/**
 * struct poll_remove_args - arguments of POLL_REMOVE
 * @old_user_data: user_data of the poll
 * @new_user_data: its new user_data
 * @events: its new events
 * @flags: IOURING2_POLL_*
 *
 * Lifetime: that of the request; constant after prep.
 */
struct poll_remove_args {
	u64			old_user_data;
	u64			new_user_data;
	__poll_t		events;
	u32			flags;
};

/* --- POLL_ADD ------------------------------------------------------------ */

static void poll_add_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	io2_poll_disarm(req);
	io2_req_set(req, res);
	io2_req_complete(req, b);
}

/* Return: true if the request has ended. */
static bool poll_add_report(struct io2_req *req, __poll_t mask,
			    struct io2_batch *b)
{
	if (!mask)
		return false;
	if (!(req->poll.events & EPOLLONESHOT) &&
	    io2_cq_post_aux(req, mangle_poll(mask), IOURING2_CQE_F_MORE))
		return false;
	poll_add_finish(req, mangle_poll(mask), b);
	return true;
}

/*
 * Current may not poll the file, so another context arms the request again. The
 * request stays in the hash and can be cancelled all the time.
 */
static void poll_hand_over(struct io2_req *req, struct io2_batch *b,
			   enum io2_do where)
{
	io2_poll_leave_queues(req);
	io2_req_go(req, b, where);
}

/*
 * *@mask holds the events that woke the request, if they are known. Those of a
 * multishot may be gone by now, so the file is polled again. If current may not
 * poll it, the events are reported as they are: better reported twice than not
 * at all.
 *
 * Return: IO2_DO_TRY if *@mask can be reported; otherwise where to poll the
 * file.
 */
static enum io2_do poll_ask(struct io2_req *req, __poll_t *mask,
			    struct io2_batch *b)
{
	enum io2_do where;

	if (*mask && (req->poll.events & EPOLLONESHOT))
		return IO2_DO_TRY;
	where = io2_req_where_again(req, b->ctx);
	if (where == IO2_DO_TRY) {
		io2_batch_may_stall(req, b);
		*mask = io2_poll_check(req);
		return where;
	}
	if (!*mask &&
	    (io2_file_kind(req->file) & IO2_KIND_WAKE_TELLS))
		*mask = req->poll.events & EPOLLIN;
	return *mask ? IO2_DO_TRY : where;
}

static void poll_add_run(struct io2_req *req, struct io2_batch *b)
{
	struct io2_poll *poll = &req->poll;
	enum io2_do where;

	do {
		int state = atomic_fetch_andnot(IO2_POLL_AGAIN |
						IO2_POLL_CIRCLE, &poll->state);
		__poll_t mask = poll->revents;

		/* a one-shot with an event: its canceller was told EALREADY */
		if ((state & IO2_POLL_CANCEL) &&
		    !(mask && (poll->events & EPOLLONESHOT))) {
			poll_add_finish(req, -ECANCELED, b);
			return;
		}
		/* a CQE must not wake a poll of its own ring again and again */
		if (state & IO2_POLL_CIRCLE)
			WRITE_ONCE(poll->events,
				   poll->events | EPOLLONESHOT);
		poll->revents = 0;
		where = poll_ask(req, &mask, b);
		if (where != IO2_DO_TRY) {
			poll_hand_over(req, b, where);
			return;
		}
		if (poll_add_report(req, mask, b))
			return;
	} while (!io2_poll_let_go(poll));
}

static __poll_t poll_events(const struct iouring2_sqe *sqe)
{
	u32 events = sqe->poll32_events;

	return demangle_poll(events) | (__force __poll_t)
	       (events & (__force u32)EPOLLEXCLUSIVE);
}

/**
 * io2_poll_add_prep() - read a POLL_ADD
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_poll_add_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	__poll_t how = EPOLLONESHOT;

	if (sqe->len) {
		if (sqe->len != IOURING2_POLL_ADD_MULTI ||
		    (sqe->flags & IOURING2_SQE_CQE_SKIP_SUCCESS))
			return -EINVAL;
		/* a pipe wakes for data added to unread data, too */
		how = EPOLLET;
	}
	atomic_set(&req->poll.state, 0);
	req->poll.nr = 0;
	req->poll.events = poll_events(sqe) | how;
	return 0;
}

/**
 * io2_poll_add_issue() - do a POLL_ADD
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_QUEUED when armed; IO2_DONE with the events, or an errno.
 */
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags)
{
	int ret;

	/* cancelled before it was handed to this context */
	if (io2_poll_is_canceled(&req->poll))
		return io2_req_set(req, -ECANCELED);
	/* often an event is pending already: then do not arm at all */
	if (req->poll.events & EPOLLONESHOT) {
		__poll_t mask = io2_poll_check(req);

		if (mask)
			return io2_req_set(req, mangle_poll(mask));
	}
	io2_req_track(req);
	req->run = poll_add_run;
	ret = io2_poll_arm(req, !(req->poll.events & EPOLLONESHOT));
	if (!ret)
		return IO2_QUEUED;
	if (ret > 0)
		ret = mangle_poll((__force __poll_t)ret);
	return io2_req_set(req, ret);
}

/* --- POLL_REMOVE --------------------------------------------------------- */

/**
 * io2_poll_remove_prep() - read a POLL_REMOVE, or the update of a poll
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct poll_remove_args *rem =
		io2_args(req, struct poll_remove_args);

	if (sqe->len & ~(POLL_UPDATES | IOURING2_POLL_ADD_MULTI))
		return -EINVAL;
	/* ADD_MULTI alone is invalid; in an update it has no effect */
	if (sqe->len == IOURING2_POLL_ADD_MULTI)
		return -EINVAL;
	rem->flags = sqe->len;
	rem->old_user_data = sqe->addr;
	rem->new_user_data = sqe->off;
	if (!(rem->flags & IOURING2_POLL_UPDATE_USER_DATA) && sqe->off)
		return -EINVAL;
	if (rem->flags & IOURING2_POLL_UPDATE_EVENTS)
		rem->events = poll_events(sqe) & IO2_POLL_EVENTS;
	else if (sqe->poll32_events)
		return -EINVAL;
	return 0;
}

/* Is a worker polling the file for this POLL_ADD, or going to? */
static bool poll_is_with_worker(struct io2_ring *ring, u64 user_data)
{
	struct io2_req *req = io2_hash_find(ring, user_data, IO2_ARMED_WORKER);

	return req && req->opcode == IOURING2_OP_POLL_ADD;
}

/*
 * A poll that is removed leaves the hash. One that is updated stays
 * cancellable, under its new user_data.
 */
static void poll_rehash(struct io2_req *req, const struct poll_remove_args *rem)
{
	if (!(rem->flags & POLL_UPDATES)) {
		io2_hash_del(req);
		return;
	}
	io2_hash_running(req);
	if (rem->flags & IOURING2_POLL_UPDATE_USER_DATA)
		io2_hash_rename(req, rem->new_user_data);
}

/* Finds the poll and takes ownership of it. */
static struct io2_req *poll_claim(struct io2_ring *ring,
				  const struct poll_remove_args *rem, int *err)
{
	u64 user_data = rem->old_user_data;
	struct io2_req *req;

	spin_lock(&ring->inflight_lock);
	req = io2_hash_find(ring, user_data, IO2_ARMED_POLL);
	if (!req || req->opcode != IOURING2_OP_POLL_ADD) {
		*err = poll_is_with_worker(ring, user_data) ? -EALREADY :
							      -ENOENT;
		req = NULL;
	} else if (!io2_poll_take(&req->poll, 0)) {
		*err = -EALREADY;
		req = NULL;
	} else {
		poll_rehash(req, rem);
	}
	spin_unlock(&ring->inflight_lock);
	return req;
}

static void poll_end_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_complete(req, b);
}

/*
 * Defers the completion of a poll that has ended. Its links may remove further
 * polls, whose links may do so again: completing them here could overflow the
 * stack.
 */
static void poll_end(struct io2_req *poll)
{
	poll->run = poll_end_run;
	io2_defer(poll);
}

static void poll_rearm_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_again(req, b);
}

/*
 * Updates the events and arms the poll again. Another context does that if
 * current may not poll the file.
 */
static void poll_update(struct io2_req *poll, const struct poll_remove_args *rem,
			unsigned int flags)
{
	/* a multishot stays a multishot, and a one-shot a one-shot */
	if (rem->flags & IOURING2_POLL_UPDATE_EVENTS)
		poll->poll.events = (poll->poll.events & ~IO2_POLL_EVENTS) |
				    rem->events;
	if (io2_req_where_again(poll, io2_flags_ctx(flags)) != IO2_DO_TRY) {
		poll->run = poll_rearm_run;
		io2_defer(poll);
	} else if (io2_poll_add_issue(poll, flags) == IO2_DONE) {
		poll_end(poll);
	}
}

/**
 * io2_poll_remove_issue() - do a POLL_REMOVE
 * @req: the request
 * @flags: the context of the caller
 *
 * Return: IO2_DONE; res is 0, -ENOENT, or -EALREADY when the poll is being
 * completed.
 */
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags)
{
	const struct poll_remove_args *rem =
		io2_args(req, struct poll_remove_args);
	struct io2_req *poll;
	int err;

	poll = poll_claim(req->ring, rem, &err);
	if (!poll)
		return io2_req_set(req, err);
	io2_poll_leave_queues(poll);
	if (rem->flags & POLL_UPDATES) {
		poll_update(poll, rem, flags);
	} else {
		io2_req_set(poll, -ECANCELED);
		poll_end(poll);
	}
	return io2_req_set(req, 0);
}
