// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring is a file that can be polled. It is readable exactly while there is a
 * completion, in the CQ or in the backlog, and writable exactly while the SQ
 * has room. A task that sleeps in select(2), poll(2) or epoll_wait(2) is woken
 * from each context that completes requests. Polling also flushes the backlog
 * (I3). Rings and epoll sets that watch each other do not cause endless loops.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define ASYNC	IOURING2_SQE_ASYNC
#define LIMIT_MS	30000

/* The events that poll(2) reports without waiting */
static int now_ready(int fd)
{
	struct pollfd p = {
		.fd = fd,
		.events = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM |
			  POLLRDBAND | POLLWRBAND | POLLRDHUP,
	};

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)

/* ------------------------------------------------------------ readiness */

RING_FIXTURE(size) {
	unsigned int sq, cq;
};

FIXTURE_VARIANT_ADD(size, of_1) { 1, 1 };
FIXTURE_VARIANT_ADD(size, of_1_cq_2) { 1, 2 };
FIXTURE_VARIANT_ADD(size, of_4_cq_8) { 4, 8 };
FIXTURE_VARIANT_ADD(size, of_8) { 8, 8 };

TEST_F_TIMEOUT(size, exactly_when, LIMIT)
{
	const unsigned int sq = variant->sq;
	struct iouring2_cqe cqe;
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, sq, variant->cq));
	EXPECT_EQ(OUT, now_ready(r.fd));
	for (i = 0; i < sq; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		/* The kernel does not know this entry yet */
		EXPECT_EQ(OUT, now_ready(r.fd));
	}
	for (i = 1; i <= sq; i++) {
		st_rel(r.sq_tail, *r.sq_head + i);
		EXPECT_EQ(i == sq ? 0 : OUT,
			  now_ready(r.fd)) {
			TH_LOG("%u of %u", i, sq);
		}
	}
	EXPECT_EQ((int)sq, ring_submit(&r));
	for (i = sq; i > 0; i--) {
		EXPECT_EQ(IN | OUT, now_ready(r.fd)) {
			TH_LOG("%u left", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
	}
	EXPECT_EQ(OUT, now_ready(r.fd));
	ring_exit(&r);
}

/* A full SQ and a CQ with entries: readable and writable are independent */
RING_TEST(in_without_out)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_nop(&r, 2));
	ASSERT_EQ(0, ring_nop(&r, 3));
	ring_publish(&r);
	EXPECT_EQ(IN, now_ready(r.fd));
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(0, now_ready(r.fd));
	EXPECT_EQ(2, ring_submit(&r));
	EXPECT_EQ(IN | OUT, now_ready(r.fd));
	ring_exit(&r);
}

/* A request that posts no CQE does not make the ring readable */
RING_TEST(skipped_cqe)
{
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 0));
	sqe = ring_sqe(&r);
	prep_nop(sqe);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Completed"));
	EXPECT_EQ(OUT, now_ready(r.fd));
	ring_exit(&r);
}

static int by_select(int fd, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
			      .tv_usec = ms % 1000 * 1000 };
	fd_set in;
	int ret;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	ret = select(fd + 1, &in, NULL, NULL, &tv);
	return ret < 0 ? -errno : ret && FD_ISSET(fd, &in);
}

static int by_poll(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ret = poll(&p, 1, ms);

	return ret < 0 ? -errno : ret && p.revents == POLLIN;
}

static int by_epoll_flags(int fd, int ms, unsigned int flags)
{
	int ret, ep = epoll_of(fd, EPOLLIN | flags);
	struct epoll_event ev;

	if (ep < 0)
		return ep;
	ret = epoll_wait(ep, &ev, 1, ms);
	if (ret < 0)
		ret = -errno;
	else if (ret)
		ret = ev.events == EPOLLIN;
	close(ep);
	return ret;
}

static int by_epoll(int fd, int ms)
{
	return by_epoll_flags(fd, ms, 0);
}

static int by_epoll_edge(int fd, int ms)
{
	return by_epoll_flags(fd, ms, EPOLLET);
}

/* An epoll set in an epoll set */
static int by_epoll_nested(int fd, int ms)
{
	int ret, ep = epoll_of(fd, EPOLLIN);

	if (ep < 0)
		return ep;
	ret = by_epoll(ep, ms);
	close(ep);
	return ret;
}

/*
 * A way to wait for the ring. It returns 1 if the ring is readable, 0 if it did
 * not become so within the time, or -errno.
 */
RING_FIXTURE(way) {
	int (*wait)(int fd, int ms);
};

FIXTURE_VARIANT_ADD(way, select) { by_select };
FIXTURE_VARIANT_ADD(way, poll) { by_poll };
FIXTURE_VARIANT_ADD(way, epoll) { by_epoll };
FIXTURE_VARIANT_ADD(way, edge_triggered_epoll) { by_epoll_edge };
FIXTURE_VARIANT_ADD(way, nested_epoll) { by_epoll_nested };

/* With nothing to read, each way of waiting lasts for its whole time */
TEST_F_TIMEOUT(way, nothing_to_read, LIMIT)
{
	long long start;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	start = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(0, variant->wait(r.fd, 30));
	EXPECT_LE(29 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - start);
	ring_exit(&r);
}

/* ---------------------------------------------------------------- backlog */

/* Fill the CQ, and post as many completions to the backlog */
static int overflown(struct ring *r, unsigned int n)
{
	unsigned int i;
	int ret = ring_init(r, n, n);

	for (i = 0; !ret && i < 2 * n; i++) {
		ring_nop(r, i);
		if (i % n == n - 1 && ring_submit(r) != (int)n)
			ret = -EPROTO;
	}
	return ret ? ret : fdinfo(r->fd, "Backlog") == n ? 0 : -EPROTO;
}

/*
 * With an empty CQ and a backlog the ring is readable, and the poll flushes the
 * backlog
 */
TEST_F_TIMEOUT(way, backlog_is_readable, LIMIT)
{
	struct iouring2_cqe cqe;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, overflown(&r, 4));
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(ring_peek(&r, &cqe));
	ASSERT_FALSE(ring_peek(&r, &cqe));
	EXPECT_EQ(1, variant->wait(r.fd, LIMIT_MS));
	for (; i < 8; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, cqe.user_data);
	}
	EXPECT_EQ(OUT, now_ready(r.fd));
	EXPECT_EQ(0, (int)(*r.sq_flags & IOURING2_SQ_CQ_OVERFLOW));
	ring_exit(&r);
}

/* ---------------------------------------------------------------- wake-ups */

struct sleeper {
	pthread_t self;
	pid_t tid;
	int fd, ret;
	int (*wait)(int fd, int ms);
};

static void *sleeper_fn(void *arg)
{
	struct sleeper *s = arg;

	st_rel(&s->tid, syscall(SYS_gettid));
	s->ret = s->wait(s->fd, LIMIT_MS);
	return NULL;
}

static int sleeper_start(struct sleeper *s, int fd, int (*wait)(int, int))
{
	*s = (struct sleeper) { .fd = fd, .wait = wait };
	if (pthread_create(&s->self, NULL, sleeper_fn, s))
		return -EAGAIN;
	/* The thread may sleep elsewhere before it polls, but not for long */
	return until(ld_acq(&s->tid) && task_sleeps(s->tid)) ? 0 : -ETIMEDOUT;
}

static int submit_nop(struct ring *r, int efd)
{
	ring_nop(r, 1);
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int submit_async_nop(struct ring *r, int efd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_nop(sqe);
	sqe->flags = ASYNC;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int submit_timeout(struct ring *r, int efd)
{
	struct __kernel_timespec ts = ts_ns(5 * NSEC_PER_MSEC);

	prep_timeout(ring_sqe(r), &ts, 0, 0);
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int submit_refused(struct ring *r, int efd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	sqe->opcode = 255;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int arm_poll(struct ring *r, int efd)
{
	prep_poll(ring_sqe(r), efd, POLLIN);
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int arm_read(struct ring *r, int efd)
{
	static uint64_t v;

	prep_read(ring_sqe(r), efd, &v, sizeof(v), -1);
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int arm_poll_multi(struct ring *r, int efd)
{
	prep_poll_multi(ring_sqe(r), efd, POLLIN);
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

/* The request waits behind a barrier, which waits for another request */
static int arm_drained(struct ring *r, int efd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, efd, POLLIN);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	sqe = ring_sqe(r);
	prep_nop(sqe);
	sqe->flags = IOURING2_SQE_IO_DRAIN;
	return ring_submit(r) == 2 ? 0 : -EPROTO;
}

static int arm_long_timeout(struct ring *r, int efd)
{
	struct __kernel_timespec ts = ts_ns(3600 * NSEC_PER_SEC);
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_timeout(sqe, &ts, 0, 0);
	sqe->user_data = 77;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int cancel_timeout(struct ring *r, int efd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, 77, 0);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

static int signal_efd(struct ring *r, int efd)
{
	uint64_t v = 1;

	return write(efd, &v, sizeof(v)) == sizeof(v) ? 0 : -errno;
}

/* The source of the completion that must wake the sleeper */
RING_FIXTURE(waker) {
	int (*before)(struct ring *r, int efd);		/* before it sleeps */
	int (*complete)(struct ring *r, int efd);	/* once it sleeps */
	int (*wait)(int fd, int ms);
};

#define EACH_WAY(name, before, complete)				\
FIXTURE_VARIANT_ADD(waker, name##_select) { before, complete, by_select }; \
FIXTURE_VARIANT_ADD(waker, name##_poll) { before, complete, by_poll };	\
FIXTURE_VARIANT_ADD(waker, name##_epoll) { before, complete, by_epoll }; \
FIXTURE_VARIANT_ADD(waker, name##_edge_triggered_epoll) {		\
	before, complete, by_epoll_edge					\
};									\
FIXTURE_VARIANT_ADD(waker, name##_nested_epoll) {			\
	before, complete, by_epoll_nested				\
}

EACH_WAY(inline, NULL, submit_nop);
EACH_WAY(refused, NULL, submit_refused);
EACH_WAY(worker, NULL, submit_async_nop);
EACH_WAY(timer, NULL, submit_timeout);
EACH_WAY(poll, arm_poll, signal_efd);
EACH_WAY(multishot_poll, arm_poll_multi, signal_efd);
EACH_WAY(read, arm_read, signal_efd);
EACH_WAY(drained, arm_drained, signal_efd);
EACH_WAY(cancelled, arm_long_timeout, cancel_timeout);

TEST_F_TIMEOUT(waker, woken, LIMIT)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct sleeper s;
	struct ring r;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (variant->before)
		ASSERT_EQ(0, variant->before(&r, efd));
	ASSERT_EQ(0, sleeper_start(&s, r.fd, variant->wait));
	ASSERT_EQ(0, variant->complete(&r, efd));
	pthread_join(s.self, NULL);
	EXPECT_EQ(1, s.ret);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
	close(efd);
}

/* One CQE wakes all tasks that poll the ring */
RING_TEST(all_woken)
{
	static int (*const ways[])(int fd, int ms) = {
		by_select, by_poll, by_epoll, by_epoll_edge, by_epoll_nested,
	};
	struct sleeper s[ARRAY_SIZE(ways)];
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		ASSERT_EQ(0, sleeper_start(&s[i], r.fd, ways[i]));
	ASSERT_EQ(0, submit_nop(&r, -1));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		pthread_join(s[i].self, NULL);
		EXPECT_EQ(1, s[i].ret) {
			TH_LOG("way %u", i);
		}
	}
	ring_exit(&r);
}

/* Two processes poll one ring */
RING_TEST(child_woken)
{
	int status, go[2];
	struct ring r;
	pid_t pid;
	char c = 0;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (write(go[1], &c, 1) != 1)
			_exit(1);
		_exit(by_poll(r.fd, LIMIT_MS) == 1 ? 0 : 2);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	EXPECT_TRUE(until(task_sleeps(pid)));
	ASSERT_EQ(0, submit_nop(&r, -1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ring_exit(&r);
	close(go[0]);
	close(go[1]);
}

/*
 * A worker posts CQEs that are reaped after poll(2), many times. This finds a
 * wake-up that is lost only rarely.
 */
RING_TEST(woken_each_time)
{
	int i, j, rounds = full_stress() ? 100000 : 2000;
	struct pollfd p = { .events = POLLIN };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	p.fd = r.fd;
	for (i = 0; i < rounds; i++) {
		for (j = 0; j < 2; j++) {
			sqe = ring_sqe(&r);
			prep_nop(sqe);
			sqe->flags = ASYNC;
			sqe->user_data = 2 * i + j;
		}
		ASSERT_EQ(2, ring_submit(&r));
		for (j = 0; j < 2;) {
			ASSERT_EQ(1, poll(&p, 1, LIMIT_MS)) {
				TH_LOG("round %d", i);
			}
			while (ring_peek(&r, &cqe))
				j++;
		}
	}
	ring_exit(&r);
}

/* ------------------------------------- what the kernel says, and the CQ */

static int said_by_poll(struct ring *r)
{
	return by_poll(r->fd, 0);
}

static int said_by_epoll(struct ring *r)
{
	return by_epoll(r->fd, 0);
}

static int said_by_enter(struct ring *r)
{
	int ret = enter_timeout(r->fd, 0, 1, 0);

	return ret == -ETIME ? 0 : ret ? ret : 1;
}

/* The thread posts one CQE each time that @asked is incremented. */
struct poster {
	struct ring *r;
	unsigned int asked;
	int (*post)(struct ring *r, int efd);
	int err;
};

static void *poster(void *arg)
{
	struct poster *p = arg;
	unsigned int i, asked = 0;

	for (i = 1; !p->err; i++) {
		while ((asked = ld_acq(&p->asked)) < i)
			sched_yield();
		if (asked == UINT_MAX)
			break;
		p->err = p->post(p->r, -1);
	}
	return NULL;
}

/*
 * @said returns whether the kernel reports a CQE: 1, 0 or -errno. @post posts
 * one.
 */
RING_FIXTURE(posted) {
	int (*said)(struct ring *r);
	int (*post)(struct ring *r, int efd);
};

FIXTURE_VARIANT_ADD(posted, poll) { said_by_poll, submit_nop };
FIXTURE_VARIANT_ADD(posted, epoll) { said_by_epoll, submit_nop };
FIXTURE_VARIANT_ADD(posted, enter) { said_by_enter, submit_nop };
FIXTURE_VARIANT_ADD(posted, poll_worker) { said_by_poll, submit_async_nop };
FIXTURE_VARIANT_ADD(posted, enter_worker) { said_by_enter, submit_async_nop };

/*
 * Another processor posts. When the kernel reports that there is a CQE, it must
 * be in the CQ (even rounds). Once the application has reaped it, the kernel
 * must no longer report it (odd rounds).
 */
TEST_F_TIMEOUT(posted, said_is_mapped, LIMIT)
{
	struct poster p = { .post = variant->post };
	struct iouring2_cqe cqe;
	struct ring r;
	int i, said, still;
	pthread_t t;
	bool there;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	p.r = &r;
	ASSERT_EQ(0, pthread_create(&t, NULL, poster, &p));
	for (i = 0; i < 1000; i++) {
		st_rel(&p.asked, i + 1);
		do
			said = i & 1 ? ring_ready(&r) : variant->said(&r);
		while (!said && !p.err);
		there = ring_peek(&r, &cqe);
		still = variant->said(&r);
		ASSERT_TRUE(said == 1 && there && !still) {
			TH_LOG("round %d: reported %d, in CQ %d, still %d",
			       i, said, there, still);
		}
	}
	st_rel(&p.asked, UINT_MAX);
	pthread_join(t, NULL);
	EXPECT_EQ(0, p.err);
	ring_exit(&r);
}

/* ----------------------------------------------------------- edge-triggered */

static int edge(int ep, int ms)
{
	struct epoll_event ev;
	int ret = epoll_wait(ep, &ev, 1, ms);

	return ret < 0 ? -errno : ret ? ev.events & EPOLLIN : 0;
}

/* Each burst causes one edge, whether or not earlier CQEs are reaped */
RING_TEST(edge_for_each_burst)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i, j, ep, reap;

	for (reap = 0; reap < 2; reap++) {
		ASSERT_EQ(0, ring_init(&r, 8, 64));
		ep = epoll_of(r.fd, EPOLLIN | EPOLLET);
		ASSERT_LE(0, ep);
		EXPECT_EQ(0, edge(ep, 0));
		for (i = 0; i < 8; i++) {
			for (j = 0; j < 4; j++)
				ASSERT_EQ(0, ring_nop(&r, j));
			EXPECT_EQ(4, ring_submit(&r));
			EXPECT_EQ(EPOLLIN, edge(ep, LIMIT_MS)) {
				TH_LOG("burst %d, reap %d", i, reap);
			}
			EXPECT_EQ(0, edge(ep, 0));
			EXPECT_EQ(0, edge(ep, 5));
			while (reap && ring_peek(&r, &cqe))
				;
			/* Reaping is not an event */
			EXPECT_EQ(0, edge(ep, 0));
		}
		ring_exit(&r);
		close(ep);
	}
}

/*
 * There is also an edge for CQEs that go to the backlog, and for those that
 * leave it
 */
RING_TEST(edge_of_backlog)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i, ep;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ep = epoll_of(r.fd, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	for (i = 0; i < 2; i++) {
		while (ring_nop(&r, i) == 0)
			;
		EXPECT_EQ(4, ring_submit(&r));
		EXPECT_EQ(EPOLLIN, edge(ep, LIMIT_MS));
	}
	EXPECT_EQ(0, edge(ep, 0));
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(ring_peek(&r, &cqe));
	/*
	 * ENTER flushes the rest: a task that drained the CQ before gets an
	 * edge
	 */
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	EXPECT_EQ(EPOLLIN, edge(ep, LIMIT_MS));
	EXPECT_EQ(4, (int)ring_ready(&r));
	ring_exit(&r);
	close(ep);
}

RING_TEST(oneshot)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	struct ring r;
	int i, ep;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ep = epoll_of(r.fd, ev.events);
	ASSERT_LE(0, ep);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, submit_nop(&r, -1));
		EXPECT_EQ(EPOLLIN, edge(ep, LIMIT_MS));
		ASSERT_EQ(0, submit_nop(&r, -1));
		EXPECT_EQ(0, edge(ep, 5));
		*r.cq_head = *r.cq_tail;
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, r.fd, &ev));
		EXPECT_EQ(0, edge(ep, 0));
	}
	ring_exit(&r);
	close(ep);
}

/* ------------------------------------------------------- in each other */

/*
 * The ring polls an epoll set that contains the ring. A completion makes the
 * set readable, which completes the poll, which would make the set readable
 * again. It must stop there.
 */
RING_TEST(ring_in_polled_epoll_set)
{
	struct iouring2_cqe cqe;
	unsigned int multi, edges, nr;
	struct ring r;
	int ep;

	for (multi = 0; multi < 2; multi++) {
		for (edges = 0; edges < 2; edges++) {
			ASSERT_EQ(0, ring_init(&r, 8, 4096));
			ep = epoll_of(r.fd, EPOLLIN | (edges ? EPOLLET : 0));
			ASSERT_LE(0, ep);
			if (multi)
				prep_poll_multi(ring_sqe(&r), ep, POLLIN);
			else
				prep_poll(ring_sqe(&r), ep, POLLIN);
			r.sqes[0].user_data = 1;
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_EQ(0, (int)ring_ready(&r));
			ASSERT_EQ(0, ring_nop(&r, 2));
			EXPECT_EQ(1, ring_submit(&r));
			/* The CQE of the NOP, and those that it causes */
			EXPECT_TRUE(until(ring_ready(&r) >= 2));
			usleep(20000);
			nr = ring_ready(&r);
			EXPECT_GE(8, nr) {
				TH_LOG("multishot %u, edge %u", multi, edges);
			}
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(2, (int)cqe.user_data);
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(1, (int)cqe.user_data);
			EXPECT_EQ(POLLIN, cqe.res);
			/* The ring still works */
			while (ring_peek(&r, &cqe))
				;
			ASSERT_EQ(0, submit_nop(&r, -1));
			EXPECT_EQ(1, by_poll(r.fd, LIMIT_MS));
			ring_exit(&r);
			close(ep);
		}
	}
}

/* The same with an eventfd in the set, which makes the set readable */
RING_TEST(epoll_set_with_ring_and_eventfd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct iouring2_cqe cqe;
	struct ring r;
	int ep, efd, i, nr = 0;

	efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	ep = epoll_of(r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev));
	for (i = 0; i < 20; i++) {
		uint64_t v;

		prep_poll_multi(ring_sqe(&r), ep, POLLIN);
		EXPECT_EQ(1, ring_submit(&r));
		ASSERT_EQ(0, signal_efd(&r, efd));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_TRUE(cqe.res & POLLIN);
		EXPECT_EQ((ssize_t)sizeof(v), read(efd, &v, sizeof(v)));
		/* Remove the poll, if it has not ended by itself */
		prep_poll_remove(ring_sqe(&r), 0);
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0));
		do {
			while (ring_peek(&r, &cqe))
				nr++;
		} while (fdinfo(r.fd, "Backlog") &&
			 !enter(r.fd, 0, 0, 0, NULL, 0));
	}
	EXPECT_GE(20 * 8, nr);
	ring_exit(&r);
	close(efd);
	close(ep);
}

RING_TEST(polls_itself)
{
	struct iouring2_cqe cqe;
	unsigned int multi;
	struct ring r;

	for (multi = 0; multi < 2; multi++) {
		ASSERT_EQ(0, ring_init(&r, 8, 4096));
		if (multi)
			prep_poll_multi(ring_sqe(&r), r.fd, POLLIN);
		else
			prep_poll(ring_sqe(&r), r.fd, POLLIN);
		r.sqes[0].user_data = 1;
		EXPECT_EQ(1, ring_submit(&r));
		usleep(5000);
		EXPECT_EQ(0, (int)ring_ready(&r));
		EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		ASSERT_EQ(0, ring_nop(&r, 2));
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_TRUE(until(ring_ready(&r) >= 2));
		usleep(20000);
		EXPECT_GE(8, (int)ring_ready(&r));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		ring_exit(&r);
	}
}

/* A poll for POLLOUT completes at once, because the SQ has room */
RING_TEST(polls_itself_writable)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_poll(ring_sqe(&r), r.fd, POLLOUT);
	EXPECT_EQ(POLLOUT, ring_do(&r));
	ring_exit(&r);
}

/* A request that would make two rings hold each other is rejected */
RING_TEST(polls_another_ring)
{
	struct ring a, b;

	ASSERT_EQ(0, ring_init(&a, 8, 0));
	ASSERT_EQ(0, ring_init(&b, 8, 0));
	prep_poll(ring_sqe(&a), b.fd, POLLIN);
	EXPECT_EQ(-EOPNOTSUPP, ring_do(&a));
	prep_poll_multi(ring_sqe(&b), a.fd, POLLIN);
	EXPECT_EQ(-EOPNOTSUPP, ring_do(&b));
	ring_exit(&a);
	ASSERT_EQ(0, submit_nop(&b, -1));
	ring_exit(&b);
}

/*
 * With epoll sets between them, this is allowed: each ring polls the set that
 * contains the other
 */
RING_TEST(two_rings_by_epoll)
{
	struct ring r[2];
	int ep[2], i, n;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&r[i], 8, 4096));
		ep[i] = epoll_of(r[i].fd, EPOLLIN | EPOLLET);
		ASSERT_LE(0, ep[i]);
	}
	for (n = 0; n < 20; n++) {
		for (i = 0; i < 2; i++) {
			prep_poll_multi(ring_sqe(&r[i]), ep[!i], POLLIN);
			EXPECT_EQ(1, ring_submit(&r[i]));
		}
		ASSERT_EQ(0, submit_nop(&r[n % 2], -1));
		EXPECT_TRUE(until(ring_ready(&r[0]) && ring_ready(&r[1])));
		usleep(2000);
		for (i = 0; i < 2; i++) {
			EXPECT_GE(64, (int)ring_ready(&r[i])) {
				TH_LOG("round %d, ring %d", n, i);
			}
			*r[i].cq_head = *r[i].cq_tail;
		}
	}
	for (i = 0; i < 2; i++) {
		ring_exit(&r[i]);
		close(ep[i]);
	}
}

/*
 * An epoll set that contains the ring reports no event after the ring is closed
 */
RING_TEST(set_outlives_ring)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct ring r;
	int ep, i;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, ep);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		if (i % 2)
			ASSERT_EQ(0, submit_async_nop(&r, -1));
		if (i % 3 == 0)
			edge(ep, 1);
		ring_exit(&r);
		EXPECT_EQ(0, edge(ep, 0));
	}
	close(ep);
}

RING_TEST_MAIN
