/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests that cancel_test.c cancels (victims): one for each state that a
 * request in flight can be in. A new opcode needs a row in victims[].
 *
 * Include after kselftest_harness.h.
 */
#ifndef SELFTESTS_IOURING2_VICTIMS_H
#define SELFTESTS_IOURING2_VICTIMS_H

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "ring.h"

/* user_data of requests that only delay a victim, and of the victim */
#define HOLDER	0xb10cULL
#define VICTIM	0x51c7ULL

struct scene {
	int efd;		/* never readable */
	int pipe[2];		/* empty */
	int full[2];		/* full: [1] cannot be written to */
	int sock[2];		/* silent */
	int pty[2];		/* [0]: a terminal without input; or -1 */
	char buf[64];
	struct iovec iov;
	struct __kernel_timespec ts;	/* very long */
};

struct victim {
	unsigned char op;
	/* fill SQEs: requests that delay the victim, if any, then the victim */
	void (*queue)(struct ring *r, struct scene *s);
	int (*fd)(struct scene *s);	/* the victim's file; NULL: none */
};

#define VICTIM_FN(name) \
static inline void queue_##name(struct ring *r, struct scene *s)

VICTIM_FN(poll)
{
	prep_poll(ring_sqe(r), s->efd, POLLIN);
}

VICTIM_FN(poll_multi)
{
	prep_poll_multi(ring_sqe(r), s->efd, POLLIN);
}

VICTIM_FN(timeout)
{
	prep_timeout(ring_sqe(r), &s->ts, 0, 0);
}

VICTIM_FN(timeout_count)
{
	prep_timeout(ring_sqe(r), &s->ts, 1000000, 0);
}

VICTIM_FN(timeout_multi)
{
	prep_timeout(ring_sqe(r), &s->ts, 0, IOURING2_TIMEOUT_MULTISHOT);
}

VICTIM_FN(read_pipe)
{
	prep_read(ring_sqe(r), s->pipe[0], s->buf, 8, 0);
}

VICTIM_FN(readv_pipe)
{
	s->iov.iov_base = s->buf;
	s->iov.iov_len = 8;
	prep(ring_sqe(r), IOURING2_OP_READV, s->pipe[0], &s->iov, 1, 0);
}

static inline void queue_read_async(struct ring *r, struct scene *s, int fd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_read(sqe, fd, s->buf, 8, 0);
	sqe->flags = IOURING2_SQE_ASYNC;
}

VICTIM_FN(read_pipe_async)
{
	queue_read_async(r, s, s->pipe[0]);
}

VICTIM_FN(read_socket)
{
	prep_read(ring_sqe(r), s->sock[0], s->buf, 8, 0);
}

VICTIM_FN(read_eventfd_async)
{
	queue_read_async(r, s, s->efd);
}

VICTIM_FN(read_terminal)
{
	queue_read_async(r, s, s->pty[0]);
}

VICTIM_FN(write_full)
{
	prep_write(ring_sqe(r), s->full[1], s->buf, 8, 0);
}

VICTIM_FN(write_full_async)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_write(sqe, s->full[1], s->buf, 8, 0);
	sqe->flags = IOURING2_SQE_ASYNC;
}

VICTIM_FN(linked)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, s->efd, POLLIN);
	sqe->flags = IOURING2_SQE_IO_LINK;
	sqe->user_data = HOLDER;
	prep_read(ring_sqe(r), s->pipe[0], s->buf, 8, 0);
}

static inline int victim_efd(struct scene *s)
{
	return s->efd;
}

static inline int victim_pipe(struct scene *s)
{
	return s->pipe[0];
}

static inline int victim_full(struct scene *s)
{
	return s->full[1];
}

static inline int victim_sock(struct scene *s)
{
	return s->sock[0];
}

static inline int victim_pty(struct scene *s)
{
	return s->pty[0];
}

enum {
	POLL, MULTISHOT_POLL, TIMEOUT, TIMEOUT_WITH_COUNT, MULTISHOT_TIMEOUT,
	READ_OF_PIPE, READV_OF_PIPE, ASYNC_READ_OF_PIPE, READ_OF_SOCKET,
	ASYNC_READ_OF_EVENTFD, ASYNC_READ_OF_TERMINAL, WRITE_TO_FULL_PIPE,
	ASYNC_WRITE_TO_FULL_PIPE,
};

static const struct victim victims[] = {
	[POLL] = { IOURING2_OP_POLL_ADD, queue_poll, victim_efd },
	[MULTISHOT_POLL] = { IOURING2_OP_POLL_ADD, queue_poll_multi,
			     victim_efd },
	[TIMEOUT] = { IOURING2_OP_TIMEOUT, queue_timeout },
	[TIMEOUT_WITH_COUNT] = { IOURING2_OP_TIMEOUT, queue_timeout_count },
	[MULTISHOT_TIMEOUT] = { IOURING2_OP_TIMEOUT, queue_timeout_multi },
	[READ_OF_PIPE] = { IOURING2_OP_READ, queue_read_pipe, victim_pipe },
	[READV_OF_PIPE] = { IOURING2_OP_READV, queue_readv_pipe, victim_pipe },
	[ASYNC_READ_OF_PIPE] = { IOURING2_OP_READ, queue_read_pipe_async,
				 victim_pipe },
	[READ_OF_SOCKET] = { IOURING2_OP_READ, queue_read_socket, victim_sock },
	[ASYNC_READ_OF_EVENTFD] = { IOURING2_OP_READ, queue_read_eventfd_async,
				    victim_efd },
	[ASYNC_READ_OF_TERMINAL] = { IOURING2_OP_READ, queue_read_terminal,
				     victim_pty },
	[WRITE_TO_FULL_PIPE] = { IOURING2_OP_WRITE, queue_write_full,
				 victim_full },
	[ASYNC_WRITE_TO_FULL_PIPE] = { IOURING2_OP_WRITE,
				       queue_write_full_async, victim_full },
};

/*
 * The second request of a chain. It has not started, so a cancel request does
 * not find it by its opcode or file.
 */
static const struct victim linked_victim = {
	IOURING2_OP_READ, queue_linked, victim_pipe
};

/*
 * Return: whether this machine has the victim's file. A terminal needs devpts.
 */
static inline bool victim_possible(const struct victim *v, struct scene *s)
{
	return v->fd != victim_pty || s->pty[0] >= 0;
}

/* Queue and submit. Return: 0 if the victim is now in flight. */
static inline int victim_start(const struct victim *v, struct ring *r,
			       struct scene *s)
{
	long long before = fdinfo(r->fd, "Inflight");
	__u32 first = r->sqe_tail, mask = r->setup.params.sq_entries - 1;

	v->queue(r, s);
	r->sqes[(r->sqe_tail - 1) & mask].user_data = VICTIM;
	if (ring_submit(r) != (int)(r->sqe_tail - first))
		return -EPROTO;
	return fdinfo(r->fd, "Inflight") == before + r->sqe_tail - first ?
		0 : -EPROTO;
}

static inline int scene_open(struct scene *s)
{
	static char page[65536];
	const char *name;

	memset(s, 0, sizeof(*s));
	s->ts = ts_ns(100000 * NSEC_PER_SEC);
	s->efd = eventfd(0, EFD_CLOEXEC);
	if (s->efd < 0 || pipe2(s->pipe, O_CLOEXEC) ||
	    pipe2(s->full, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->sock))
		return -errno;
	fcntl(s->full[1], F_SETFL, O_NONBLOCK);
	while (write(s->full[1], page, sizeof(page)) > 0)
		;
	fcntl(s->full[1], F_SETFL, 0);
	s->pty[0] = -1;
	s->pty[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->pty[1] >= 0 && !grantpt(s->pty[1]) && !unlockpt(s->pty[1])) {
		name = ptsname(s->pty[1]);
		if (name)
			s->pty[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	return 0;
}

static inline void scene_close(struct scene *s)
{
	close(s->efd);
	close(s->pipe[0]);
	close(s->pipe[1]);
	close(s->full[0]);
	close(s->full[1]);
	close(s->sock[0]);
	close(s->sock[1]);
	if (s->pty[0] >= 0)
		close(s->pty[0]);
	if (s->pty[1] >= 0)
		close(s->pty[1]);
}

#endif
