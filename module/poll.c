// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests armed on the wait queues of their files: POLL_ADD (op/poll.c), and
 * any request that would have blocked on a file that can be polled.
 *
 * Ownership: wake-ups, cancellation and the arming code race for a request. The
 * one that sets IO2_POLL_OWNED owns it. The others leave a note (AGAIN,
 * CANCEL), and the owner must handle notes before it lets go. A wake-up that
 * becomes the owner of a POLL_ADD posts the CQE itself, if that is possible in
 * any context; see poll_complete() and poll_report(). Otherwise the owner puts
 * the request on the deferred list. The context that runs that list completes
 * the request, issues it again, or lets go of it.
 */
#include <linux/slab.h>

#include "compat/compat.h"
#include "cq.h"
#include "debug/trace.h"
#include "defer.h"
#include "eventfd.h"
#include "hash.h"
#include "poll.h"
#include "request.h"

/* events that are always reported, even if not requested */
#define POLL_ALWAYS	(EPOLLERR | EPOLLHUP)

/**
 * struct poll_arm - arming of a request on its file
 * @pt: the poll table that is passed to ->poll
 * @req: the request
 * @error: 0, or a negative errno from poll_enqueue()
 *
 * Lifetime: on the stack of io2_poll_arm(). Nothing else has access, so no lock
 * is needed.
 */
struct poll_arm {
	struct poll_table_struct pt;
	struct io2_req		*req;
	int			error;
};

/*
 * The wait queue is about to be freed (POLLFREE): leave it now. Clearing head
 * is the last access to the request: until then poll_disarm_entry() waits for
 * the queue's lock, which our caller holds.
 */
static void poll_wake_free(struct io2_req *req, struct io2_poll_entry *e)
{
	if (io2_poll_take(&req->poll, IO2_POLL_CANCEL))
		io2_defer(req);
	list_del_init(&e->wait.entry);
	/* release: the entry is off the list; pairs with poll_disarm_entry() */
	smp_store_release(&e->head, NULL);
}

/*
 * Completes a one-shot POLL_ADD in the wake-up, if nothing else has to be done:
 * it is on one wait queue only and has no link to start. io2_cq_try_post()
 * refuses it if dropping its file would close the file, which the waker must
 * not wait for.
 */
static bool poll_complete(struct io2_req *req)
{
	const struct io2_poll *poll = &req->poll;

	if (!io2_req_op(req)->wake_posts || poll->nr != 1 || req->link)
		return false;
	/* a cancellation from here on returns EALREADY */
	req->res = mangle_poll(poll->revents);
	return io2_cq_try_post(req);
}

/* Posts an event of a multishot in the wake-up; the request stays armed. */
static bool poll_report(struct io2_req *req)
{
	struct io2_poll *poll = &req->poll;

	/* earlier notes are covered by this CQE, io2_poll_let_go() finds others */
	if (atomic_fetch_andnot(IO2_POLL_AGAIN, &poll->state) &
	    (IO2_POLL_CANCEL | IO2_POLL_CIRCLE))
		return false;
	if (!io2_cq_try_post_aux(req, mangle_poll(poll->revents),
				 IOURING2_CQE_F_MORE))
		return false;
	if (io2_eventfd_is(req->ring, req->file)) {
		/* that CQE makes the file readable: one more, and it ends */
		WRITE_ONCE(poll->events, poll->events | EPOLLONESHOT);
		io2_defer(req);
		return true;
	}
	poll->revents = 0;
	if (!io2_poll_let_go(poll))
		io2_defer(req);
	return true;
}

/*
 * Hands over a request whose file has become ready. Further events of a multishot
 * are not counted while it is handed over, and an exclusive poll may have taken
 * the event from another one. So the ring's issuer must not wait for more events
 * of these.
 */
static void poll_defer(struct io2_req *req)
{
	if ((req->poll.events & (EPOLLONESHOT | EPOLLEXCLUSIVE)) == EPOLLONESHOT)
		io2_defer_lazy(req);
	else
		io2_defer(req);
}

static __always_inline int poll_wake_req(struct io2_req *req,
					 struct io2_poll_entry *e, void *key)
{
	struct io2_poll *poll = &req->poll;
	__poll_t mask = key_to_poll(key);

	if (unlikely(mask & POLLFREE)) {
		poll_wake_free(req, e);
		return 1;
	}
	if (mask && !(mask & (READ_ONCE(poll->events) | POLL_ALWAYS)))
		return 0;
	if (!io2_poll_take(poll, io2_woken_by_ring(mask) ?
		       IO2_POLL_AGAIN | IO2_POLL_CIRCLE : IO2_POLL_AGAIN))
		return 1;
	poll->revents = mask & (poll->events | POLL_ALWAYS) & IO2_POLL_EVENTS;
	trace_iouring2_poll_wake(req, poll->revents);
	if (poll->revents && (poll->events & EPOLLONESHOT)) {
		/*
		 * we own the request: a later owner finds the entry off the
		 * list
		 */
		list_del_init(&e->wait.entry);
		e->head = NULL;
		if (poll_complete(req))
			return 1;
	} else if (poll->revents && poll_report(req)) {
		return 1;
	}
	poll_defer(req);
	return 1;
}

/*
 * The entry of the first queue is part of the request, so its private can point
 * to the entry of the second one. The private of that is the request.
 */
static int poll_wake(struct wait_queue_entry *wait, unsigned int mode,
		     int sync, void *key)
{
	struct io2_req *req = container_of(wait, struct io2_req,
					   poll.entry.wait);

	return poll_wake_req(req, &req->poll.entry, key);
}

static int poll_wake_second(struct wait_queue_entry *wait, unsigned int mode,
			    int sync, void *key)
{
	return poll_wake_req(wait->private,
			     container_of(wait, struct io2_poll_entry, wait),
			     key);
}

/* Return: the entry of the second queue, if the request is on two. */
static struct io2_poll_entry *poll_second(const struct io2_poll *poll)
{
	return poll->entry.wait.private;
}

static struct io2_poll_entry *poll_add_first(struct io2_req *req)
{
	struct io2_poll_entry *e = &req->poll.entry;

	init_waitqueue_func_entry(&e->wait, poll_wake);
	req->poll.nr = 1;
	return e;
}

/* Return: NULL if there is no memory. */
static struct io2_poll_entry *poll_add_second(struct io2_req *req)
{
	/* ->poll may call us with a lock held */
	struct io2_poll_entry *e = kmalloc(sizeof(*e), GFP_ATOMIC);

	if (!e)
		return NULL;
	init_waitqueue_func_entry(&e->wait, poll_wake_second);
	e->wait.private = req;
	req->poll.entry.wait.private = e;
	req->poll.nr = 2;
	return e;
}

/* Return: an entry for @head; NULL if @head has one already, or on error. */
static struct io2_poll_entry *poll_new_entry(struct io2_req *req,
					     struct wait_queue_head *head,
					     int *error)
{
	const struct io2_poll *poll = &req->poll;
	struct io2_poll_entry *e;

	switch (poll->nr) {
	case 0:
		return poll_add_first(req);
	case 1:
		if (poll->entry.head == head)
			return NULL;
		e = poll_add_second(req);
		if (!e)
			*error = -ENOMEM;
		return e;
	default:
		if (poll->entry.head != head && poll_second(poll)->head != head)
			*error = -EINVAL;
		return NULL;
	}
}

static void poll_enqueue(struct file *file, struct wait_queue_head *head,
			 struct poll_table_struct *pt)
{
	struct poll_arm *arm = container_of(pt, struct poll_arm, pt);
	const struct io2_poll *poll = &arm->req->poll;
	struct io2_poll_entry *e;

	e = poll_new_entry(arm->req, head, &arm->error);
	if (!e)
		return;
	INIT_LIST_HEAD(&e->wait.entry);
	e->head = head;
	if (poll->events & EPOLLEXCLUSIVE)
		add_wait_queue_exclusive(head, &e->wait);
	else
		add_wait_queue(head, &e->wait);
}

static void poll_disarm_entry(struct io2_poll_entry *e)
{
	struct wait_queue_head *head;

	/* RCU keeps the queue valid if POLLFREE removes it meanwhile */
	rcu_read_lock();
	/* acquire: if head is NULL, the entry is off the list, too */
	head = smp_load_acquire(&e->head);
	if (head) {
		spin_lock_irq(&head->lock);
		list_del_init(&e->wait.entry);
		e->head = NULL;
		spin_unlock_irq(&head->lock);
	}
	rcu_read_unlock();
}

/**
 * io2_poll_leave_queues() - take a request off its wait queues
 * @req: owned by the caller
 *
 * After this no wake-up runs for the request any more.
 *
 * Context: task context.
 */
void io2_poll_leave_queues(struct io2_req *req)
{
	struct io2_poll *poll = &req->poll;

	if (poll->nr > 0)
		poll_disarm_entry(&poll->entry);
	if (poll->nr > 1) {
		poll_disarm_entry(poll_second(poll));
		kfree(poll_second(poll));
	}
	poll->nr = 0;
}

/**
 * io2_poll_disarm() - take a request off its wait queues and out of the hash
 * @req: owned by the caller
 *
 * After this cancellation does not find the request any more.
 *
 * Context: task context; inflight_lock not held.
 */
void io2_poll_disarm(struct io2_req *req)
{
	io2_unhash(req);
	io2_poll_leave_queues(req);
}

/**
 * io2_poll_check() - poll a request's file
 * @req: owned by the caller
 *
 * Context: may sleep.
 * Return: those of the requested events that are pending.
 */
__poll_t io2_poll_check(struct io2_req *req)
{
	struct poll_table_struct pt = { ._key = req->poll.events };

	return vfs_poll(req->file, &pt) & (req->poll.events | POLL_ALWAYS) &
	       IO2_POLL_EVENTS;
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

/**
 * io2_poll_arm() - arm a request on its file
 * @req: tracked, owned by the caller, with poll.events and run set
 * @multishot: arm it even if an event is pending already
 *
 * Context: task context.
 * Return: 0 when @req is armed or handed over: the caller must not touch it
 * again. Otherwise @req is not armed, and the value is the mask of pending
 * events, or a negative errno. If it was in the hash before, it still is.
 */
int io2_poll_arm(struct io2_req *req, bool multishot)
{
	struct io2_poll *poll = &req->poll;
	struct poll_arm arm = { .req = req };
	__poll_t mask;

	atomic_set(&poll->state, IO2_POLL_OWNED);
	poll->revents = 0;
	poll->nr = 0;
	init_poll_funcptr(&arm.pt, poll_enqueue);
	arm.pt._key = poll->events;
	mask = vfs_poll(req->file, &arm.pt) & (poll->events | POLL_ALWAYS) &
	       IO2_POLL_EVENTS;
	if (arm.error || !poll->nr || (mask && !multishot)) {
		io2_poll_leave_queues(req);
		return mask ? (__force int)mask : arm.error ? : -EINVAL;
	}
	if (!poll_hash(req)) {
		io2_poll_leave_queues(req);
		return -ECANCELED;
	}
	trace_iouring2_poll_arm(req, poll->events);
	if (mask) {
		poll->revents = mask;
		io2_defer(req);
	} else if (!io2_poll_let_go(poll)) {
		io2_defer(req);
	}
	return 0;
}

/**
 * io2_poll_cancel() - cancel an armed request
 * @req: found in the hash
 *
 * Context: inflight_lock held.
 * Return: 0, or -EALREADY if a one-shot request is being completed or tried
 * again. It then ends with ECANCELED instead of waiting once more.
 */
int io2_poll_cancel(struct io2_req *req)
{
	bool oneshot = READ_ONCE(req->poll.events) & EPOLLONESHOT;

	if (io2_poll_take(&req->poll, IO2_POLL_CANCEL)) {
		io2_defer(req);
		return 0;
	}
	return oneshot ? -EALREADY : 0;
}

/* --- waiting for the file of another opcode --------------------------- */

/*
 * Ends the wait. From here on the next attempt may reuse the memory of
 * req->poll, and cancellation does not look at it any more.
 *
 * Return: true if the request was cancelled while it waited.
 */
static bool poll_wait_ends(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool canceled;

	io2_poll_leave_queues(req);
	spin_lock(&ring->inflight_lock);
	io2_hash_running(req);
	canceled = io2_poll_is_canceled(&req->poll);
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
 * io2_poll_is_ready() - poll a request's file for the events its opcode needs
 * @req: reads or writes; owned by the caller, not armed
 *
 * Context: may sleep.
 * Return: true if the file is ready.
 */
bool io2_poll_is_ready(const struct io2_req *req)
{
	__poll_t events = poll_wait_events(req);
	struct poll_table_struct pt = { ._key = events };

	return vfs_poll(req->file, &pt) & events;
}

/**
 * io2_poll_arm_for_op() - have a request tried again when its file is ready
 * @req: tracked; owned by the caller
 *
 * Context: task context.
 * Return: IO2_QUEUED when @req is armed: the caller must not touch it again.
 * IO2_AGAIN when the file is ready now, or cannot be waited for. IO2_DONE when
 * @req was cancelled.
 */
enum io2_issue io2_poll_arm_for_op(struct io2_req *req)
{
	int ret;

	req->run = poll_wait_run;
	req->poll.events = poll_wait_events(req);
	ret = io2_poll_arm(req, false);
	if (!ret)
		return IO2_QUEUED;
	return ret == -ECANCELED ? io2_req_set(req, ret) : IO2_AGAIN;
}
