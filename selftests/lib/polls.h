/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Polls, and functions that wake and update them, for the tests of POLL_ADD and
 * POLL_REMOVE.
 */
#ifndef SELFTESTS_IOURING2_POLLS_H
#define SELFTESTS_IOURING2_POLLS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "ring.h"

#define MORE	IOURING2_CQE_F_MORE

/* Queue and submit a poll. Its CQE remains in the CQ. */
static inline int arm(struct ring *r, int fd, unsigned int events,
		      __u64 user_data, bool multi)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (multi)
		prep_poll_multi(sqe, fd, events);
	else
		prep_poll(sqe, fd, events);
	sqe->user_data = user_data;
	return ring_submit(r);
}

static inline int poke(int efd)
{
	uint64_t one = 1;

	return write(efd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static inline int drain(int efd)
{
	uint64_t v;

	return read(efd, &v, sizeof(v)) == sizeof(v) ? 0 : -errno;
}

static inline int new_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline int update(struct ring *r, __u64 target, unsigned int flags,
			 unsigned int events, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, -1, events);
	sqe->opcode = IOURING2_OP_POLL_REMOVE;
	sqe->addr = target;
	sqe->off = user_data;
	sqe->len = flags;
	return ring_do(r);
}

#define EVENTS		IOURING2_POLL_UPDATE_EVENTS
#define USER_DATA	IOURING2_POLL_UPDATE_USER_DATA

/* A thread that writes to an eventfd at a random moment of each round */
struct sniper {
	pthread_t self;
	int efd;
	int burst;		/* writes per round; 0 means 1 */
	int go, done;		/* number of the round */
	bool stop;
};

static inline void *snipe(void *arg)
{
	struct sniper *s = arg;
	unsigned int seed = 3;
	long long until_ns;
	int i;

	while (!ld_acq(&s->stop)) {
		if (ld_acq(&s->go) == s->done) {
			sched_yield();
			continue;
		}
		until_ns = now_ns(CLOCK_MONOTONIC) + rand_r(&seed) % 300000;
		while (now_ns(CLOCK_MONOTONIC) < until_ns)
			;
		poke(s->efd);
		for (i = 1; i < s->burst; i++)
			poke(s->efd);
		st_rel(&s->done, s->done + 1);
	}
	return NULL;
}

/* Put the two threads on different processors, because they race only then */
static inline int start_sniper(struct sniper *s)
{
	cpu_set_t all, one;
	int ret, cpu, nr = 0;

	ret = pthread_create(&s->self, NULL, snipe, s);
	if (ret || sched_getaffinity(0, sizeof(all), &all))
		return ret;
	for (cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(nr++ ? s->self : pthread_self(),
				       sizeof(one), &one);
	}
	return 0;
}

/* Pairs of descriptors. A test polls fd[0], and wakes the poll by fd[1]. */
static inline int open_pipe(int fd[2])
{
	return pipe2(fd, O_CLOEXEC) ? -errno : 0;
}

static inline int open_full_pipe(int fd[2])
{
	static char page[65536 * 4];
	int rd;

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	while (write(fd[1], page, sizeof(page)) > 0)
		;
	rd = fd[0];
	fd[0] = fd[1];
	fd[1] = rd;
	return 0;
}

static inline int drain_pipe(int fd[2])
{
	static char page[65536 * 4];

	return read(fd[1], page, sizeof(page)) > 0 ? 0 : -errno;
}

static inline int write_byte(int fd[2])
{
	return write(fd[1], "x", 1) == 1 ? 0 : -errno;
}

static inline int open_socket(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) ?
		-errno : 0;
}

#endif
