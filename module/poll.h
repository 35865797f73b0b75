/* SPDX-License-Identifier: GPL-2.0-only */
/* Arming requests on the wait queues of their files. */
#ifndef IO2_POLL_H
#define IO2_POLL_H

#include <linux/poll.h>

#include "req.h"

/* events that a poll request may ask for, apart from modifiers such as EPOLLET */
#define IO2_POLL_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | \
			 EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | \
			 EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP | EPOLLNVAL)

/**
 * io2_poll_take() - try to become the owner of a request that waits for its file
 * @poll: its poll
 * @note: IO2_POLL_*; left for the owner, if there is one already
 *
 * Context: any.
 * Return: true if the caller owns the request now.
 */
static inline bool io2_poll_take(struct io2_poll *poll, int note)
{
	int old = atomic_fetch_or(IO2_POLL_OWNED | note, &poll->state);

	return !(old & IO2_POLL_OWNED);
}

/**
 * io2_poll_is_canceled() - has a request that waits for its file been cancelled?
 * @poll: its poll
 *
 * Context: any.
 * Return: true if it has.
 */
static inline bool io2_poll_is_canceled(const struct io2_poll *poll)
{
	return atomic_read(&poll->state) & IO2_POLL_CANCEL;
}

/**
 * io2_poll_let_go() - give up ownership, so that wake-ups can take the request
 * @poll: its poll; owned by the caller
 *
 * Context: any.
 * Return: false if a note was left meanwhile. The caller is still the owner and
 * must handle the note first.
 */
static inline bool io2_poll_let_go(struct io2_poll *poll)
{
	return atomic_cmpxchg(&poll->state, IO2_POLL_OWNED, 0) ==
	       IO2_POLL_OWNED;
}

int io2_poll_arm(struct io2_req *req, bool multishot);
void io2_poll_leave_queues(struct io2_req *req);
void io2_poll_disarm(struct io2_req *req);
__poll_t io2_poll_check(struct io2_req *req);
bool io2_poll_is_ready(const struct io2_req *req);
enum io2_issue io2_poll_arm_for_op(struct io2_req *req);
int io2_poll_cancel(struct io2_req *req);

#endif
