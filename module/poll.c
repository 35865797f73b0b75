// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests armed on the wait queues of their file: POLL_ADD, and any request
 * that would have blocked on a file that can be polled.
 *
 * Ownership.  Wake-ups, cancellation and the arming code race for a request.
 * Whoever sets IO2_POLL_OWNED owns it; the others only leave a note (AGAIN,
 * CANCEL) that the owner must look at before it lets go.  A wake-up that owns a
 * POLL_ADD posts its CQE where it is, if that can be done in any context; see
 * poll_complete() and poll_report().  Otherwise the owner hands the
 * request to the deferred list, whose runner completes it, issues it again,
 * or lets go of it.
 */
#include <linux/slab.h>

#include "compat/compat.h"
#include "cancel.h"
#include "cq.h"
#include "deferred.h"
#include "kind.h"
#include "poll.h"
#include "request.h"
#include "worker.h"

/* events that are reported whether or not they were asked for */
#define POLL_ALWAYS	(EPOLLERR | EPOLLHUP)

/* what a poll request may ask for, besides the modifiers */
#define POLL_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | \
			 EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | \
			 EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP | EPOLLNVAL)

static void poll_add_run(struct io2_req *req, struct io2_batch *b);

struct poll_arm {
	struct poll_table_struct pt;
	struct io2_req		*req;
	int			error;
};

static bool poll_take(struct io2_poll *poll, int note)
{
	int old = atomic_fetch_or(IO2_POLL_OWNED | note, &poll->state);

	return !(old & IO2_POLL_OWNED);
}

static bool poll_is_canceled(const struct io2_poll *poll)
{
	return atomic_read(&poll->state) & IO2_POLL_CANCEL;
}

/* The owner lets go.  Return: false if there is a note to look at first. */
static bool poll_let_go(struct io2_poll *poll)
{
	return atomic_cmpxchg(&poll->state, IO2_POLL_OWNED, 0) ==
	       IO2_POLL_OWNED;
}

/*
 * The queue goes away (POLLFREE): leave it now.  Clearing head is the last
 * touch of the request: until then poll_disarm() waits for the queue's lock,
 * which our caller holds.
 */
static void poll_wake_free(struct io2_poll_entry *e)
{
	struct io2_req *req = e->wait.private;

	if (poll_take(&req->poll, IO2_POLL_CANCEL))
		io2_defer(req);
	list_del_init(&e->wait.entry);
	/* release: we are off the list; pairs with poll_disarm_entry() */
	smp_store_release(&e->head, NULL);
}

/*
 * A poll that has come can often be completed here and now: with one CQE to
 * post, nothing to start after it, and no file to be closed, which is not for
 * whoever wakes us to wait for.
 */
static bool poll_complete(struct io2_req *req)
{
	const struct io2_poll *poll = &req->poll;

	if (req->run != poll_add_run || poll->nr != 1 || req->link)
		return false;
	/* who cancels it now is told that it is too late */
	req->res = mangle_poll(poll->revents);
	return io2_cq_try_post(req);
}

/* The same for an event of a multishot, which then goes on waiting. */
static bool poll_report(struct io2_req *req)
{
	struct io2_poll *poll = &req->poll;

	/* this is what was noted; what is noted from now on is looked at below */
	if (atomic_fetch_andnot(IO2_POLL_AGAIN, &poll->state) &
	    (IO2_POLL_CANCEL | IO2_POLL_CIRCLE))
		return false;
	if (!io2_cq_try_post_aux(req, mangle_poll(poll->revents),
				 IOURING2_CQE_F_MORE))
		return false;
	poll->revents = 0;
	if (!poll_let_go(poll))
		io2_defer(req);
	return true;
}

static int poll_wake(struct wait_queue_entry *wait, unsigned int mode,
		     int sync, void *key)
{
	struct io2_poll_entry *e = container_of(wait, struct io2_poll_entry,
						wait);
	struct io2_req *req = e->wait.private;
	struct io2_poll *poll = &req->poll;
	__poll_t mask = key_to_poll(key);

	if (unlikely(mask & POLLFREE)) {
		poll_wake_free(e);
		return 1;
	}
	if (mask && !(mask & (READ_ONCE(poll->events) | POLL_ALWAYS)))
		return 0;
	if (!poll_take(poll, mask & EPOLL_URING_WAKE ?
		       IO2_POLL_AGAIN | IO2_POLL_CIRCLE : IO2_POLL_AGAIN))
		return 1;
	poll->revents = mask & (poll->events | POLL_ALWAYS) & POLL_EVENTS;
	if (poll->revents && (poll->events & EPOLLONESHOT)) {
		/* ours: who disarms it owns it after us */
		list_del_init(&wait->entry);
		e->head = NULL;
		if (poll_complete(req))
			return 1;
	} else if (poll->revents && poll_report(req)) {
		return 1;
	}
	io2_defer(req);
	return 1;
}

/* Return: an entry for @head; NULL if it has one, or on error. */
static struct io2_poll_entry *poll_new_entry(struct io2_poll *poll,
					     struct wait_queue_head *head,
					     int *error)
{
	switch (poll->nr) {
	case 0:
		poll->nr = 1;
		return &poll->entry;
	case 1:
		if (poll->entry.head == head)
			return NULL;
		/* a file may add itself with a lock held */
		poll->second = kmalloc(sizeof(*poll->second), GFP_ATOMIC);
		if (!poll->second) {
			*error = -ENOMEM;
			return NULL;
		}
		poll->nr = 2;
		return poll->second;
	default:
		if (poll->entry.head != head && poll->second->head != head)
			*error = -EINVAL;
		return NULL;
	}
}

static void poll_enqueue(struct file *file, struct wait_queue_head *head,
			 struct poll_table_struct *pt)
{
	struct poll_arm *arm = container_of(pt, struct poll_arm, pt);
	struct io2_poll *poll = &arm->req->poll;
	struct io2_poll_entry *e;

	e = poll_new_entry(poll, head, &arm->error);
	if (!e)
		return;
	init_waitqueue_func_entry(&e->wait, poll_wake);
	INIT_LIST_HEAD(&e->wait.entry);
	e->wait.private = arm->req;
	e->head = head;
	if (poll->events & EPOLLEXCLUSIVE)
		add_wait_queue_exclusive(head, &e->wait);
	else
		add_wait_queue(head, &e->wait);
}

static void poll_disarm_entry(struct io2_poll_entry *e)
{
	struct wait_queue_head *head;

	/* RCU keeps a head that POLLFREE takes away until we have seen it */
	rcu_read_lock();
	/* acquire: with no head, the entry is off the list as well */
	head = smp_load_acquire(&e->head);
	if (head) {
		spin_lock_irq(&head->lock);
		list_del_init(&e->wait.entry);
		e->head = NULL;
		spin_unlock_irq(&head->lock);
	}
	rcu_read_unlock();
}

/* After this no wake-up runs or will run for @req; the caller owns it. */
static void poll_leave_queues(struct io2_req *req)
{
	struct io2_poll *poll = &req->poll;

	if (poll->nr > 0)
		poll_disarm_entry(&poll->entry);
	if (poll->nr > 1)
		poll_disarm_entry(poll->second);
	poll->nr = 0;
	kfree(poll->second);
	poll->second = NULL;
}

/* The same, and it is not found any more by who cancels. */
static void poll_disarm(struct io2_req *req)
{
	io2_unhash(req);
	poll_leave_queues(req);
}

static __poll_t poll_check(struct io2_req *req)
{
	struct poll_table_struct pt = { ._key = req->poll.events };

	return vfs_poll(req->file, &pt) & (req->poll.events | POLL_ALWAYS) &
	       POLL_EVENTS;
}

static bool poll_hash(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool added;

	spin_lock(&ring->inflight_lock);
	added = io2_hash_add(req, IO2_ARMED_POLL);
	spin_unlock(&ring->inflight_lock);
	return added;
}

/*
 * Arms @req, which the caller owns.  Return: 0 when armed or handed over (not
 * to be touched again), else the events that are there, else a negative errno;
 * then it is not armed.  If it was in the hash before, it still is.
 */
static int poll_arm(struct io2_req *req, bool multishot)
{
	struct io2_poll *poll = &req->poll;
	struct poll_arm arm = { .req = req };
	__poll_t mask;

	atomic_set(&poll->state, IO2_POLL_OWNED);
	poll->revents = 0;
	poll->nr = 0;
	poll->second = NULL;
	init_poll_funcptr(&arm.pt, poll_enqueue);
	arm.pt._key = poll->events;
	mask = vfs_poll(req->file, &arm.pt) & (poll->events | POLL_ALWAYS) &
	       POLL_EVENTS;
	if (arm.error || !poll->nr || (mask && !multishot)) {
		poll_leave_queues(req);
		return mask ? (__force int)mask : arm.error ? : -EINVAL;
	}
	if (!poll_hash(req)) {
		poll_leave_queues(req);
		return -ECANCELED;
	}
	if (mask) {
		poll->revents = mask;
		io2_defer(req);
	} else if (!poll_let_go(poll)) {
		io2_defer(req);
	}
	return 0;
}

/**
 * io2_poll_cancel() - cancel an armed request
 * @req: found in the hash
 *
 * Context: inflight_lock held.
 * Return: 0, or -EALREADY when it is being completed or tried again; it then
 * ends with ECANCELED if it would wait once more.
 */
int io2_poll_cancel(struct io2_req *req)
{
	bool oneshot = READ_ONCE(req->poll.events) & EPOLLONESHOT;

	if (poll_take(&req->poll, IO2_POLL_CANCEL)) {
		io2_defer(req);
		return 0;
	}
	return oneshot ? -EALREADY : 0;
}

/* --- waiting on behalf of another opcode --------------------------------- */

/*
 * From here on what is in the place of its poll may be another attempt.  Return:
 * whether it was cancelled before.
 */
static bool poll_wait_ends(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool canceled;

	poll_leave_queues(req);
	spin_lock(&ring->inflight_lock);
	io2_hash_running(req);
	canceled = poll_is_canceled(&req->poll);
	spin_unlock(&ring->inflight_lock);
	return canceled;
}

static void poll_wait_run(struct io2_req *req, struct io2_batch *b)
{
	if (poll_wait_ends(req)) {
		io2_req_set(req, -ECANCELED);
		io2_req_complete(req, b);
		return;
	}
	io2_req_ready(req, b);
}

static __poll_t poll_wait_events(const struct io2_req *req)
{
	const struct io2_op *op = io2_req_op(req);
	__poll_t events = EPOLLONESHOT | EPOLLERR | EPOLLHUP | EPOLLPRI;

	if (op->pollin)
		events |= EPOLLIN | EPOLLRDNORM;
	if (op->pollout)
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

/**
 * io2_poll_is_ready() - would a request wait for its file?
 * @req: reads or writes; owned by the caller, not armed
 *
 * Context: may sleep.
 * Return: false if it would.
 */
bool io2_poll_is_ready(const struct io2_req *req)
{
	__poll_t events = poll_wait_events(req);
	struct poll_table_struct pt = { ._key = events };

	return vfs_poll(req->file, &pt) & events;
}

/**
 * io2_poll_wait() - have a request tried again when its file is ready
 * @req: tracked; owned by the caller
 *
 * Context: task context.
 * Return: IO2_ASYNC when armed: do not touch @req again.  IO2_AGAIN when the
 * file is ready now, or cannot be waited for.  IO2_DONE when it was cancelled.
 */
enum io2_issue io2_poll_wait(struct io2_req *req)
{
	int ret;

	req->run = poll_wait_run;
	req->poll.events = poll_wait_events(req);
	ret = poll_arm(req, false);
	if (!ret)
		return IO2_ASYNC;
	return ret == -ECANCELED ? io2_req_set(req, ret) : IO2_AGAIN;
}

/* --- POLL_ADD ------------------------------------------------------------ */

static void poll_add_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	poll_disarm(req);
	io2_req_set(req, res);
	io2_req_complete(req, b);
}

/* Return: whether the request has ended. */
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
 * Current is not to ask the file: whoever may arms it once more.  It can be found,
 * and told to end, all the time.
 */
static void poll_by_other(struct io2_req *req, struct io2_batch *b,
			  enum io2_do where)
{
	poll_leave_queues(req);
	io2_req_go(req, b, where);
}

/*
 * *@mask is what woke it, if that is known; of a multishot it may be gone by now.
 * Where current must not ask, that is believed: better told once too often.
 *
 * Return: IO2_DO_TRY, or who has to ask.
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
		*mask = poll_check(req);
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

		/* of one event that came first, who cancels was told */
		if ((state & IO2_POLL_CANCEL) &&
		    !(mask && (poll->events & EPOLLONESHOT))) {
			poll_add_finish(req, -ECANCELED, b);
			return;
		}
		/* a CQE that wakes its own ring must not do so for ever */
		if (state & IO2_POLL_CIRCLE)
			WRITE_ONCE(poll->events,
				   poll->events | EPOLLONESHOT);
		poll->revents = 0;
		where = poll_ask(req, &mask, b);
		if (where != IO2_DO_TRY) {
			poll_by_other(req, b, where);
			return;
		}
		if (poll_add_report(req, mask, b))
			return;
	} while (!poll_let_go(poll));
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
	if (sqe->buf_index || sqe->off || sqe->addr)
		return -EINVAL;
	if (sqe->len & ~IOURING2_POLL_ADD_MULTI)
		return -EINVAL;
	if ((sqe->len & IOURING2_POLL_ADD_MULTI) &&
	    (sqe->flags & IOURING2_SQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	atomic_set(&req->poll.state, 0);
	req->poll.nr = 0;
	req->poll.second = NULL;
	req->poll.events = poll_events(sqe);
	/* files ask for EPOLLET: a pipe, whether to tell of what is added to data */
	if (sqe->len & IOURING2_POLL_ADD_MULTI)
		req->poll.events |= EPOLLET;
	else
		req->poll.events |= EPOLLONESHOT;
	return 0;
}

/**
 * io2_poll_add_issue() - do a POLL_ADD
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_ASYNC when armed; IO2_DONE with the events, or an errno.
 */
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags)
{
	int ret;

	/* before it was handed to a worker */
	if (poll_is_canceled(&req->poll))
		return io2_req_set(req, -ECANCELED);
	/* often there is nothing to wait for, nor to arm then */
	if (req->poll.events & EPOLLONESHOT) {
		__poll_t mask = poll_check(req);

		if (mask)
			return io2_req_set(req, mangle_poll(mask));
	}
	io2_req_track(req);
	req->run = poll_add_run;
	ret = poll_arm(req, !(req->poll.events & EPOLLONESHOT));
	if (!ret)
		return IO2_ASYNC;
	if (ret > 0)
		ret = mangle_poll((__force __poll_t)ret);
	return io2_req_set(req, ret);
}

/* --- POLL_REMOVE --------------------------------------------------------- */

#define POLL_UPDATES	(IOURING2_POLL_UPDATE_EVENTS | \
			 IOURING2_POLL_UPDATE_USER_DATA)

/**
 * io2_poll_remove_prep() - read a POLL_REMOVE, or the update of a poll
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0 or -EINVAL.
 */
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct io2_poll_rem *rem = &req->poll_rem;

	if (sqe->buf_index || sqe->splice_fd_in)
		return -EINVAL;
	if (sqe->len & ~(POLL_UPDATES | IOURING2_POLL_ADD_MULTI))
		return -EINVAL;
	/* it means nothing to an update, either */
	if (sqe->len == IOURING2_POLL_ADD_MULTI)
		return -EINVAL;
	rem->flags = sqe->len;
	rem->old_user_data = sqe->addr;
	rem->new_user_data = sqe->off;
	if (!(rem->flags & IOURING2_POLL_UPDATE_USER_DATA) && sqe->off)
		return -EINVAL;
	if (rem->flags & IOURING2_POLL_UPDATE_EVENTS)
		rem->events = poll_events(sqe) & POLL_EVENTS;
	else if (sqe->poll32_events)
		return -EINVAL;
	return 0;
}

/* It is being asked for by a worker, or waits for one. */
static bool poll_is_with_worker(struct io2_ring *ring, u64 user_data)
{
	struct io2_req *req = io2_hash_find(ring, user_data, IO2_ARMED_WORKER);

	return req && req->opcode == IOURING2_OP_POLL_ADD;
}

/*
 * What is removed is found no more; what goes on can be told to end, by the name
 * that it has from now on.
 */
static void poll_rehash(struct io2_req *req, const struct io2_poll_rem *rem)
{
	if (!(rem->flags & POLL_UPDATES)) {
		io2_hash_del(req);
		return;
	}
	io2_hash_running(req);
	if (rem->flags & IOURING2_POLL_UPDATE_USER_DATA)
		io2_hash_rename(req, rem->new_user_data);
}

/* Finds the poll and takes it out of the hands of its wake-ups. */
static struct io2_req *poll_steal(struct io2_ring *ring,
				  const struct io2_poll_rem *rem, int *err)
{
	u64 user_data = rem->old_user_data;
	struct io2_req *req;

	spin_lock(&ring->inflight_lock);
	req = io2_hash_find(ring, user_data, IO2_ARMED_POLL);
	if (!req || req->opcode != IOURING2_OP_POLL_ADD) {
		*err = poll_is_with_worker(ring, user_data) ? -EALREADY :
							      -ENOENT;
		req = NULL;
	} else if (!poll_take(&req->poll, 0)) {
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
 * It has ended, but is completed later: what is linked to it may be a removal
 * as well, and so on, and the stack is not made for that.
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

/* It is armed anew by whoever may, which current need not be. */
static void poll_update(struct io2_req *poll, const struct io2_poll_rem *rem,
			unsigned int flags)
{
	/* a multishot stays one, and so does what ends with its first event */
	if (rem->flags & IOURING2_POLL_UPDATE_EVENTS)
		poll->poll.events = (poll->poll.events & ~POLL_EVENTS) |
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
 * @flags: who does it
 *
 * Return: IO2_DONE; res is 0, -ENOENT, or -EALREADY when the poll is being
 * completed.
 */
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags)
{
	const struct io2_poll_rem *rem = &req->poll_rem;
	struct io2_req *poll;
	int err;

	poll = poll_steal(req->ring, rem, &err);
	if (!poll)
		return io2_req_set(req, err);
	poll_leave_queues(poll);
	if (rem->flags & POLL_UPDATES) {
		poll_update(poll, rem, flags);
	} else {
		io2_req_set(poll, -ECANCELED);
		poll_end(poll);
	}
	return io2_req_set(req, 0);
}
