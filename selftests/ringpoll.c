// SPDX-License-Identifier: GPL-2.0
/*
 * A ring as a file to be polled: readable exactly while a completion is in
 * the CQ or waits behind it, writable exactly while the SQ has room; whoever
 * sleeps in poll(2) or epoll_wait(2) is woken from every context that
 * completes (I3), level- and edge-triggered.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)
#define EVERYTHING (IN | OUT | POLLPRI | POLLRDBAND | POLLWRBAND | POLLRDHUP)

/* What it is ready for now */
static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = EVERYTHING };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

RING_TEST(readiness)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 4, 8));
	EXPECT_EQ(OUT, ready(r.fd));
	/* Filled in is not yet published; published fills the SQ */
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(OUT, ready(r.fd));
		ASSERT_EQ(0, ring_nop(&r, i));
		ring_publish(&r);
	}
	EXPECT_EQ(0, ready(r.fd));
	/* Taken: room in the SQ, completions in the CQ */
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(IN | OUT, ready(r.fd));
	EXPECT_EQ(3, enter(r.fd, 3, 0, 0, NULL, 0));
	EXPECT_EQ(IN | OUT, ready(r.fd));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(IN | OUT, ready(r.fd));
		ASSERT_TRUE(ring_peek(&r, &cqe));
	}
	EXPECT_EQ(OUT, ready(r.fd));
	/* Both full */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i % 4 == 3)
			EXPECT_EQ(4, ring_submit(&r));
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ring_publish(&r);
	EXPECT_EQ(IN, ready(r.fd));
	ring_exit(&r);
}

/* Nothing in the CQ, something behind it */
RING_TEST(backlog_is_readable)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i & 1)
			ASSERT_EQ(2, ring_submit(&r));
	}
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(2, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(IN | OUT, ready(r.fd));
	EXPECT_EQ(2, (int)ring_ready(&r));
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(OUT, ready(r.fd));
	ring_exit(&r);
}

RING_TEST(select_works)
{
	struct timeval tv = { };
	fd_set in, out;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	ASSERT_GT(FD_SETSIZE, r.fd);
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(r.fd, &in);
	FD_SET(r.fd, &out);
	EXPECT_EQ(2, select(r.fd + 1, &in, &out, NULL, &tv));
	ring_exit(&r);
}

/* ------------------------------------------------------------- wake-ups */

struct source {
	const char *name;
	void (*prep)(struct iouring2_sqe *sqe, int efd,
		     struct __kernel_timespec *ts);
	bool write;	/* the eventfd, to have it complete */
};

static void by_worker(struct iouring2_sqe *sqe, int efd,
		      struct __kernel_timespec *ts)
{
	(void)efd;
	(void)ts;
	prep_nop(sqe);
	sqe->flags = IOURING2_SQE_ASYNC;
}

static void by_wakeup(struct iouring2_sqe *sqe, int efd,
		      struct __kernel_timespec *ts)
{
	(void)ts;
	prep_poll(sqe, efd, POLLIN);
}

static void by_multishot(struct iouring2_sqe *sqe, int efd,
			 struct __kernel_timespec *ts)
{
	(void)ts;
	prep_poll_multi(sqe, efd, POLLIN);
}

static uint64_t read_into;

static void by_read(struct iouring2_sqe *sqe, int efd,
		    struct __kernel_timespec *ts)
{
	(void)ts;
	prep_read(sqe, efd, &read_into, sizeof(read_into), 0);
}

static void by_timer(struct iouring2_sqe *sqe, int efd,
		     struct __kernel_timespec *ts)
{
	(void)efd;
	prep_timeout(sqe, ts, 0, 0);
}

static const struct source sources[] = {
	{ "worker", by_worker },
	{ "wake-up", by_wakeup, true },
	{ "multishot", by_multishot, true },
	{ "read", by_read, true },
	{ "timer", by_timer },
};

struct sleeper {
	pthread_t self;
	volatile pid_t tid;
	int fd, ret, events;
	bool epoll, late;	/* late: nobody woke it, its time was up */
};

/* Milliseconds; at their end poll(2) looks once more before it gives up */
#define PATIENCE	20000

static bool out_of_patience(long long since)
{
	return now_ns(CLOCK_MONOTONIC) - since >= PATIENCE * NSEC_PER_MSEC;
}

static void *poll_in_thread(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	long long start = now_ns(CLOCK_MONOTONIC);
	struct epoll_event ev = { };

	s->tid = syscall(SYS_gettid);
	if (s->epoll) {
		s->ret = epoll_wait(s->fd, &ev, 1, PATIENCE);
		s->events = ev.events;
	} else {
		s->ret = poll(&p, 1, PATIENCE);
		s->events = p.revents;
	}
	s->late = out_of_patience(start);
	return NULL;
}

RING_TEST(sleepers_are_woken)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct __kernel_timespec ts = ts_ns(NSEC_PER_MSEC);
	struct iouring2_sqe *sqe;
	struct sleeper s[3];
	unsigned int i, j;
	uint64_t one = 1;
	int ep, efd;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		efd = eventfd(0, EFD_CLOEXEC);
		ep = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_EQ(0, ring_init(&r, 4, 4));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		/* Two in poll(), one in epoll_wait() */
		for (j = 0; j < 3; j++) {
			s[j] = (struct sleeper) {
				.fd = j == 2 ? ep : r.fd,
				.epoll = j == 2,
			};
			ASSERT_EQ(0, pthread_create(&s[j].self, NULL,
						    poll_in_thread, &s[j]));
		}
		for (j = 0; j < 3; j++)
			EXPECT_TRUE(until(s[j].tid && task_sleeps(s[j].tid)));
		sqe = ring_sqe(&r);
		sources[i].prep(sqe, efd, &ts);
		EXPECT_EQ(1, ring_submit(&r));
		if (sources[i].write)
			EXPECT_EQ((ssize_t)sizeof(one),
				  write(efd, &one, sizeof(one)));
		for (j = 0; j < 3; j++) {
			pthread_join(s[j].self, NULL);
			EXPECT_EQ(1, s[j].ret) {
				TH_LOG("%s, sleeper %u", sources[i].name, j);
			}
			EXPECT_EQ(POLLIN, s[j].events);
			EXPECT_FALSE(s[j].late) {
				TH_LOG("%s: sleeper %u not woken",
				       sources[i].name, j);
			}
		}
		/* The one that was posted is what they were woken for */
		EXPECT_EQ(1, (int)ring_ready(&r));
		ring_exit(&r);
		close(ep);
		close(efd);
	}
}

/* And by an inline completion that another thread submits */
RING_TEST(woken_by_other_threads_submission)
{
	struct sleeper s;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	s = (struct sleeper) { .fd = r.fd };
	ASSERT_EQ(0, pthread_create(&s.self, NULL, poll_in_thread, &s));
	EXPECT_TRUE(until(s.tid && task_sleeps(s.tid)));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	pthread_join(s.self, NULL);
	EXPECT_EQ(1, s.ret);
	EXPECT_FALSE(s.late);
	ring_exit(&r);
}

/* SQ room is waited for as well */
static void *wait_for_room(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	long long start = now_ns(CLOCK_MONOTONIC);

	s->tid = syscall(SYS_gettid);
	s->ret = poll(&p, 1, PATIENCE);
	s->events = p.revents;
	s->late = out_of_patience(start);
	return NULL;
}

RING_TEST(level_triggered)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct iouring2_cqe cqe;
	struct ring r;
	int ep, i;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(2, ring_submit(&r));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 0));
		EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 0));
		ASSERT_TRUE(ring_peek(&r, &cqe));
	}
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	ring_exit(&r);
	close(ep);
}

RING_TEST(edge_triggered)
{
	struct __kernel_timespec ts = ts_ns(NSEC_PER_MSEC);
	struct iouring2_sqe *sqe;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct iouring2_cqe cqe;
	unsigned int i;
	uint64_t one = 1;
	struct ring r;
	int ep, efd, n;

	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_EQ(0, ring_init(&r, 4, 4));
		ev.events = EPOLLIN | EPOLLET;
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
		for (n = 0; n < 3; n++) {
			efd = eventfd(0, EFD_CLOEXEC);
			sqe = ring_sqe(&r);
			sources[i].prep(sqe, efd, &ts);
			EXPECT_EQ(1, ring_submit(&r));
			if (sources[i].write)
				EXPECT_EQ((ssize_t)sizeof(one),
					  write(efd, &one, sizeof(one)));
			/* One edge a completion, whether reaped or not */
			EXPECT_EQ(1, epoll_wait(ep, &ev, 1, PATIENCE)) {
				TH_LOG("%s, number %d", sources[i].name, n);
			}
			EXPECT_TRUE(until(ring_ready(&r)));
			if (n) {
				while (ring_peek(&r, &cqe))
					;
			}
			close(efd);
		}
		while (epoll_wait(ep, &ev, 1, 0) == 1)
			;
		/* And none without */
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 20));
		ring_exit(&r);
		close(ep);
	}
}

/* An event loop that never enters but to submit: epoll and peek */
RING_TEST(event_loop)
{
	enum { NR = 2000 };
	struct epoll_event ev = { .events = EPOLLIN };
	struct iouring2_cqe cqe;
	int ep, ret, got = 0, queued = 0, taken = 0;
	struct ring r;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
	while (got < NR) {
		while (queued < NR && !ring_nop(&r, queued))
			queued++;
		if (taken < NR) {
			ret = ring_submit(&r);
			ASSERT_TRUE(ret >= 0 || ret == -EBUSY);
			if (ret > 0) {
				taken += ret;
				/* Twice, so that some have to wait */
				if (taken & 4)
					continue;
			}
		}
		ASSERT_EQ(1, epoll_wait(ep, &ev, 1, PATIENCE));
		while (ring_peek(&r, &cqe))
			ASSERT_EQ(got++, (int)cqe.user_data);
	}
	EXPECT_LT(0, fdinfo(r.fd, "BacklogTotal"));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	ring_exit(&r);
	close(ep);
}

/* Room in the SQ wakes who waits for it */
RING_TEST(room_wakes)
{
	struct sleeper s;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 4, 8));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ring_publish(&r);
	s = (struct sleeper) { .fd = r.fd };
	ASSERT_EQ(0, pthread_create(&s.self, NULL, wait_for_room, &s));
	EXPECT_TRUE(until(s.tid && task_sleeps(s.tid)));
	EXPECT_EQ(4, enter(r.fd, 4, 0, 0, NULL, 0));
	pthread_join(s.self, NULL);
	EXPECT_EQ(1, s.ret);
	EXPECT_FALSE(s.late);
	EXPECT_EQ(POLLOUT, s.events);
	ring_exit(&r);
}

RING_TEST_MAIN
