/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests in flight, in every state that a request can be in: what cancel.c
 * cancels and what close.c leaves behind. Other opcodes are further rows.
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

/* user_data of those that only hold a victim up, and of the victim */
#define HOLDER	0xb10cULL
#define VICTIM	0x51c7ULL

struct scene {
	int efd;		/* never readable */
	int pipe[2];		/* empty */
	int full[2];		/* full: [1] cannot be written to */
	int sock[2];		/* silent */
	int pty[2];		/* [0]: terminal that nobody types on; or -1 */
	char buf[64];
	struct iovec iov;
	struct __kernel_timespec ts;	/* very long */
};

struct victim {
	const char *name;
	unsigned char op;
	/* Fill one or more SQEs in: holders, then the victim as the last */
	void (*queue)(struct ring *r, struct scene *s);
	int (*fd)(struct scene *s);	/* the victim's file, NULL: none */
	bool keyed;	/* found by opcode and file as well: has started */
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

VICTIM_FN(drained)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_timeout(sqe, &s->ts, 0, 0);
	sqe->user_data = HOLDER;
	sqe = ring_sqe(r);
	prep_read(sqe, s->pipe[0], s->buf, 8, 0);
	sqe->flags = IOURING2_SQE_IO_DRAIN;
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

static const struct victim victims[] = {
	{ "poll", IOURING2_OP_POLL_ADD, queue_poll, victim_efd, true },
	{ "multishot poll", IOURING2_OP_POLL_ADD, queue_poll_multi,
	  victim_efd, true },
	{ "time-out", IOURING2_OP_TIMEOUT, queue_timeout, NULL, true },
	{ "time-out with count", IOURING2_OP_TIMEOUT, queue_timeout_count,
	  NULL, true },
	{ "multishot time-out", IOURING2_OP_TIMEOUT, queue_timeout_multi,
	  NULL, true },
	{ "read of a pipe", IOURING2_OP_READ, queue_read_pipe, victim_pipe,
	  true },
	{ "readv of a pipe", IOURING2_OP_READV, queue_readv_pipe, victim_pipe,
	  true },
	{ "async read of a pipe", IOURING2_OP_READ, queue_read_pipe_async,
	  victim_pipe, true },
	{ "read of a socket", IOURING2_OP_READ, queue_read_socket,
	  victim_sock, true },
	{ "async read of an eventfd", IOURING2_OP_READ,
	  queue_read_eventfd_async, victim_efd, true },
	{ "async read of a terminal", IOURING2_OP_READ, queue_read_terminal,
	  victim_pty, true },
	{ "write to a full pipe", IOURING2_OP_WRITE, queue_write_full,
	  victim_full, true },
	{ "async write to a full pipe", IOURING2_OP_WRITE,
	  queue_write_full_async, victim_full, true },
	{ "member of a chain", IOURING2_OP_READ, queue_linked, victim_pipe,
	  false },
	{ "behind a barrier", IOURING2_OP_READ, queue_drained, victim_pipe,
	  false },
};

/* Can this machine have it? (No terminals without devpts) */
static inline bool victim_possible(const struct victim *v, struct scene *s)
{
	return v->fd != victim_pty || s->pty[0] >= 0;
}

/* Queue and submit; true if it is in flight now */
static inline bool victim_start(const struct victim *v, struct ring *r,
				struct scene *s)
{
	long long before = fdinfo(r->fd, "Inflight");
	__u32 first = r->sqe_tail, mask = r->setup.params.sq_entries - 1;

	v->queue(r, s);
	r->sqes[(r->sqe_tail - 1) & mask].user_data = VICTIM;
	if (ring_submit(r) != (int)(r->sqe_tail - first))
		return false;
	return fdinfo(r->fd, "Inflight") == before + r->sqe_tail - first;
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
		return -1;
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
