// SPDX-License-Identifier: GPL-2.0-only
/*
 * I9: when the last close of a ring has returned, or the wait for a process
 * that had the ring, nothing of the ring runs and nothing is held for it. This
 * holds whatever was in flight, in whatever state it was, and however the end
 * came. Requests belong to the process that submitted them. They end when this
 * process has closed its last descriptor of the ring, even if something else
 * keeps the ring.
 *
 * lib/inflight.c has the kinds of requests. close_exit_test.c is about the ends
 * of processes, close_shared_test.c about rings that several tasks share, and
 * close_race_test.c about rings that end at the moment when something happens
 * to their requests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "inflight.h"

/* ---------------------------------------------------- ends of one process */

enum here {
	CLOSE_LAST,		/* unmap, then close */
	UNMAP_LAST,		/* close, then unmap */
	DUP_LAST,		/* another descriptor is the last */
	REPLACE_LAST,		/* dup2() of something else closes it */
};

static const char *end_here(int how, unsigned int mask)
{
	struct state before, open;
	const char *bad;
	struct load l;
	struct ring r;
	int ret, fd;

	state_read(&before);
	ret = load_prepare(&l, mask);
	if (ret)
		return failed("prepare", l.failed, ret);
	ret = ring_init(&r, SQ, CQ);
	if (ret)
		return failed("setup", "ring", ret);
	ret = load_start(&l, &r);
	if (ret)
		return failed("start", l.failed, ret);
	bad = load_held(&l, true);
	if (*bad)
		return failed("not held", bad, 0);
	state_read(&open);
	switch (how) {
	case CLOSE_LAST:
		ring_exit(&r);
		break;
	case UNMAP_LAST:
		close(r.fd);
		/* The mappings keep the ring, though no descriptor is left */
		if (counter("rings") != open.counter[0])
			return failed("ended early", "close", 0);
		bad = load_held(&l, false);
		if (*bad)
			return failed("held by a mapping", bad, 0);
		ring_unmap(&r);
		break;
	case DUP_LAST:
		fd = dup(r.fd);
		ring_exit(&r);
		if (counter("rings") != open.counter[0] ||
		    *load_held(&l, true))
			return failed("ended early", "close", 0);
		close(fd);
		break;
	case REPLACE_LAST:
		ring_unmap(&r);
		dup2(0, r.fd);
		close(r.fd);
		break;
	}
	return after(&l, &before);
}

RING_TEST(close_last)
{
	EXPECT_STREQ("", every_load(end_here, CLOSE_LAST, 0));
}

RING_TEST(unmap_last)
{
	EXPECT_STREQ("", every_load(end_here, UNMAP_LAST, 0));
}

RING_TEST(dup_last)
{
	EXPECT_STREQ("", every_load(end_here, DUP_LAST, 0));
}

RING_TEST(replace_last)
{
	EXPECT_STREQ("", end_here(REPLACE_LAST, ALL));
}

/* --------------------------------------------------- what cannot be ended */

#define READS	3

/* A slow disk: close() waits until the last read has ended */
RING_TEST(disk_has_not_answered)
{
	static _Alignas(4096) char blocks[READS * 4096];
	int fd, i, nr;
	struct ring r;

	fd = slow_disk(200);
	if (fd < 0)
		SKIP(return, "no null_blk");
	for (nr = 1; nr <= READS; nr += READS - 1) {
		ASSERT_EQ(0, ring_init(&r, READS + 1, 0));
		for (i = 0; i < nr; i++)
			prep_read(ring_sqe(&r), fd, blocks + i * 4096, 4096,
				  (__u64)i * 4096);
		EXPECT_EQ(nr, ring_submit(&r));
		EXPECT_EQ(nr, fdinfo(r.fd, "Inflight"));
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("%d reads", nr);
		}
	}
	EXPECT_EQ(0, slow_disk_close(fd));
}

/* ------------------------------------------ ends that somebody else makes */

/* An epoll set does not keep a ring: the ring ends with its last close */
RING_TEST(closed_in_epoll_set)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct state before;
	struct ring r;
	int ep, i;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, ep);
	state_read(&before);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		if (i) {
			ASSERT_EQ(0, ring_nop(&r, 1));
			EXPECT_EQ(1, ring_submit(&r));
		}
		prep_poll(ring_sqe(&r), ep, POLLIN);
		EXPECT_EQ(1, ring_submit(&r));
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&before, false));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	}
	close(ep);
}

/*
 * A ring is sent through a socket and never received. It ends with the socket.
 */
RING_TEST(closed_in_a_socket)
{
	struct state before, open;
	struct load l;
	struct ring r;
	int fds[2];

	state_read(&before);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ASSERT_EQ(0, load_prepare(&l, ALL));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	ASSERT_EQ(0, load_start(&l, &r));
	ASSERT_EQ(0, send_fd(fds[0], r.fd, 0));
	state_read(&open);
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_STREQ("", load_held(&l, false));
	close(fds[0]);
	close(fds[1]);
	EXPECT_STREQ("", after(&l, &before));
}

/* The same, through a socket that requests of the ring itself keep open */
RING_TEST(closed_in_its_own_socket)
{
	struct ring r;
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), fds[0], POLLPRI);
	prep_poll(ring_sqe(&r), fds[1], POLLPRI);
	ASSERT_EQ(0, submit(&r, 2));
	ASSERT_EQ(0, send_fd(fds[0], r.fd, 0));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(1 + self->before.counter[0], counter("rings"));
	ring_exit(&r);
	/* The fixture checks this, too */
	EXPECT_EQ(self->before.counter[0], counter("rings"));
}

/* ------------------------------------------------------------ in a loop */

#define LOOPS	(full_stress() ? 10000 : debug_kernel() ? 100 : 500)

/* Every 16th ring is so large that the machine has no room for many of them */
static int setup_in_loop(struct ring *r, unsigned int i)
{
	return i % 16 == 15 ? ring_init(r, 32768, 0) : ring_init(r, SQ, CQ);
}

/*
 * Each request that is cancelled starts the next one of the chain. close() must
 * not pause for each of them.
 */
RING_TEST(hard_links)
{
	struct __kernel_timespec hours = ts_ns(3600 * NSEC_PER_SEC);
	struct iouring2_sqe *sqe;
	long long begin;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 256, 0));
	for (i = 0; i < 200; i++) {
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &hours, 0, 0);
		sqe->flags = IOURING2_SQE_IO_HARDLINK;
	}
	sqe->flags = 0;
	ASSERT_EQ(200, ring_submit(&r));
	begin = now_ns(CLOCK_MONOTONIC);
	close(r.fd);
	/* Half of the time that a pause for each request would take */
	EXPECT_GT(10 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin);
	ring_unmap(&r);
	EXPECT_EQ(0, counter("requests"));
}

/*
 * The memory of a ring is free when its last close has returned, so SETUP in a
 * loop never returns ENOMEM
 */
RING_TEST(loop_empty)
{
	struct state before;
	struct ring r;
	int i;

	state_read(&before);
	for (i = 0; i < LOOPS; i++) {
		ASSERT_EQ(0, setup_in_loop(&r, i)) {
			TH_LOG("round %d", i);
		}
		ring_exit(&r);
		if (i % 64 == 0)
			ASSERT_STREQ("", state_diff(&before, true));
	}
}

RING_TEST(loop_in_flight)
{
	struct state before;
	int i;

	crowded = true;
	state_read(&before);
	for (i = 0; i < LOOPS; i++) {
		ASSERT_EQ(0, one_round(i)) {
			TH_LOG("round %d, %s", i, kind_name(i % NR_KINDS));
		}
		if (i % 64 == 0)
			ASSERT_STREQ("", state_diff(&before, true));
	}
}

#define THREADS	4

struct looper {
	pthread_t self;
	int nr, at, ret;
};

static void *loop_in_thread(void *arg)
{
	struct looper *lp = arg;
	int i;

	for (i = 0; i < LOOPS / THREADS && !lp->ret; i++) {
		lp->at = lp->nr * 5 + i;
		lp->ret = one_round(lp->at);
	}
	return NULL;
}

RING_TEST(loop_in_threads)
{
	struct looper lp[THREADS];
	int i;

	crowded = true;
	for (i = 0; i < THREADS; i++) {
		lp[i] = (struct looper) { .nr = i };
		ASSERT_EQ(0, pthread_create(&lp[i].self, NULL, loop_in_thread,
					    &lp[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(lp[i].self, NULL);
		EXPECT_EQ(0, lp[i].ret) {
			TH_LOG("%s", kind_name(lp[i].at % NR_KINDS));
		}
	}
	EXPECT_STREQ("", state_diff(&self->before, false));
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return ring_test_main(argc, argv);
}
