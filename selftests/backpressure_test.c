// SPDX-License-Identifier: GPL-2.0-only
/*
 * Back-pressure (I4) and the bound (I5). ENTER refuses new entries with EBUSY
 * exactly while completions wait behind the full CQ. Before it returns EBUSY,
 * it makes the CQ as full as it can be, and it changes nothing else. Waiting
 * and polling never return EBUSY, and never sleep while a completion is
 * available (I3). Past the in-flight cap, ENTER refuses entries with EAGAIN.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define OVERFLOW	IOURING2_SQ_CQ_OVERFLOW
#define GETEVENTS	IOURING2_ENTER_GETEVENTS

/* All state that ENTER could change and that is visible from outside */
struct seen {
	__u32 sq_head, sq_tail, sq_flags, sq_dropped;
	__u32 cq_head, cq_tail, cq_flags, cq_overflow;
	long long submitted, completed, inflight, backlog, max, total;
	long requests, files;
};

static struct seen look(struct ring *r)
{
	struct seen s;

	memset(&s, 0, sizeof(s));
	s.sq_head = *r->sq_head;
	s.sq_tail = *r->sq_tail;
	s.sq_flags = *r->sq_flags;
	s.sq_dropped = *r->sq_dropped;
	s.cq_head = *r->cq_head;
	s.cq_tail = *r->cq_tail;
	s.cq_flags = *r->cq_flags;
	s.cq_overflow = *r->cq_overflow;
	s.submitted = fdinfo(r->fd, "Submitted");
	s.completed = fdinfo(r->fd, "Completed");
	s.inflight = fdinfo(r->fd, "Inflight");
	s.backlog = fdinfo(r->fd, "Backlog");
	s.max = fdinfo(r->fd, "BacklogMax");
	s.total = fdinfo(r->fd, "BacklogTotal");
	s.requests = counter("requests");
	s.files = counter("files");
	return s;
}

/*
 * Make a ring with @n entries in the SQ and in the CQ. Its CQ is full, and its
 * backlog has @n more completions.
 */
static int overflown(struct ring *r, unsigned int n, unsigned int max_inflight)
{
	unsigned int i;
	int ret;

	ret = ring_init_params(r, n, n, 0, max_inflight);
	if (ret)
		return ret;
	for (i = 0; i < 2 * n; i++) {
		ring_nop(r, i);
		if (i % n == n - 1 && ring_submit(r) != (int)n)
			return -EPROTO;
	}
	return ring_ready(r) == n && fdinfo(r->fd, "Backlog") == n ? 0 :
								    -EPROTO;
}

RING_FIXTURE(busy) {
	unsigned int to_submit, min_complete, flags;
};

FIXTURE_VARIANT_ADD(busy, one) { 1, 0, 0 };
FIXTURE_VARIANT_ADD(busy, two) { 2, 0, 0 };
FIXTURE_VARIANT_ADD(busy, all) { ~0U, 0, 0 };
FIXTURE_VARIANT_ADD(busy, one_waits_for_one) { 1, 1, GETEVENTS };
FIXTURE_VARIANT_ADD(busy, two_wait_for_100) { 2, 100, GETEVENTS };
FIXTURE_VARIANT_ADD(busy, one_waits_for_none) { 1, 0, GETEVENTS };

/* ENTER returns EBUSY and changes nothing else */
TEST_F_TIMEOUT(busy, busy_changes_nothing, LIMIT)
{
	struct seen was, is;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, overflown(&r, 4, 0));
	ASSERT_EQ(0, ring_nop(&r, 100));
	ASSERT_EQ(0, ring_nop(&r, 101));
	ring_publish(&r);
	was = look(&r);
	for (i = 1; i <= 3; i++) {
		EXPECT_EQ(-EBUSY, enter(r.fd, variant->to_submit,
					variant->min_complete,
					variant->flags, NULL, 0));
		is = look(&r);
		EXPECT_EQ(0, memcmp(&was, &is, sizeof(was)));
		EXPECT_EQ(i, fdinfo(r.fd, "EbusyTotal"));
	}
	ring_exit(&r);
}

/* EBUSY depends on to_submit, whether or not the SQ has entries */
RING_TEST(busy_with_empty_sq)
{
	struct ring r;

	ASSERT_EQ(0, overflown(&r, 4, 0));
	EXPECT_EQ(-EBUSY, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	ring_exit(&r);
}

/* The number of free slots in a CQ that has overflowed */
RING_FIXTURE(free_places) {
	unsigned int nr;
};

FIXTURE_VARIANT_ADD(free_places, none) { 0 };
FIXTURE_VARIANT_ADD(free_places, one) { 1 };
FIXTURE_VARIANT_ADD(free_places, two) { 2 };
FIXTURE_VARIANT_ADD(free_places, three) { 3 };

/*
 * Before ENTER returns EBUSY it fills the CQ, so that reaping needs no system
 * call
 */
TEST_F_TIMEOUT(free_places, cq_filled_before_busy, LIMIT)
{
	unsigned int reap = variant->nr, i, next = 0;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, overflown(&r, 4, 0));
	ASSERT_EQ(0, ring_nop(&r, 8));
	ring_publish(&r);
	for (i = 0; i < reap; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(next++, cqe.user_data);
	}
	EXPECT_EQ(-EBUSY, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(4 - reap, fdinfo(r.fd, "Backlog"));
	EXPECT_TRUE(*r.sq_flags & OVERFLOW);
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	/* These CQEs are reaped without a call of ENTER */
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(next++, cqe.user_data);
	}
	/* The backlog fits into the CQ now, so the entry is taken */
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(reap ? 0 : OVERFLOW, *r.sq_flags & OVERFLOW);
	while (next < 9) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(next++, cqe.user_data);
	}
	ring_exit(&r);
}

/*
 * If the CQ has as many free slots as the backlog has CQEs, all of them fit,
 * and the entry is taken
 */
RING_TEST(not_busy_when_all_fit)
{
	struct ring r;

	ASSERT_EQ(0, overflown(&r, 4, 0));
	*r.cq_head = *r.cq_tail;
	ASSERT_EQ(0, ring_nop(&r, 8));
	EXPECT_EQ(1, ring_submit(&r));
	/* Four CQEs moved to the CQ, and the new one is in the backlog */
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	ring_exit(&r);
}

RING_FIXTURE(cq) {
	unsigned int entries;
};

FIXTURE_VARIANT_ADD(cq, of_1) { 1 };
FIXTURE_VARIANT_ADD(cq, of_2) { 2 };
FIXTURE_VARIANT_ADD(cq, of_4096) { 4096 };

/* A full CQ with an empty backlog does not cause EBUSY */
TEST_F_TIMEOUT(cq, full_is_not_busy, LIMIT)
{
	struct ring r;
	unsigned int n = variant->entries, i;

	ASSERT_EQ(0, ring_init(&r, n, n));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ((int)n, ring_submit(&r));
	EXPECT_EQ(n, ring_ready(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	/*
	 * The whole next batch is taken, though all of its CQEs go to the
	 * backlog
	 */
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, ring_nop(&r, n + i));
	EXPECT_EQ((int)n, ring_submit(&r));
	EXPECT_EQ(n, fdinfo(r.fd, "Backlog"));
	ASSERT_EQ(0, ring_nop(&r, 2 * n));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "EbusyTotal"));
	ring_exit(&r);
}

RING_FIXTURE(reaped) {
	unsigned int nr;
};

FIXTURE_VARIANT_ADD(reaped, none) { 0 };
FIXTURE_VARIANT_ADD(reaped, one) { 1 };
FIXTURE_VARIANT_ADD(reaped, two) { 2 };
FIXTURE_VARIANT_ADD(reaped, three) { 3 };
FIXTURE_VARIANT_ADD(reaped, all) { 4 };

/* Waiting never returns EBUSY, and flushes the backlog */
TEST_F_TIMEOUT(reaped, getevents_never_busy, LIMIT)
{
	unsigned int min;
	struct ring r;

	for (min = 0; min < 6; min++) {
		ASSERT_EQ(0, overflown(&r, 4, 0));
		*r.cq_head += variant->nr;
		/* With a timeout of a minute: the call must not sleep */
		EXPECT_EQ(0, enter_timeout(r.fd, 0, min,
					   60 * NSEC_PER_SEC)) {
			TH_LOG("wait for %u", min);
		}
		EXPECT_EQ(4, (int)ring_ready(&r));
		EXPECT_EQ(4 - variant->nr, fdinfo(r.fd, "Backlog"));
		EXPECT_EQ(0, fdinfo(r.fd, "EbusyTotal"));
		ring_exit(&r);
	}
}

RING_FIXTURE(polled_by) {
	bool epoll;
};

FIXTURE_VARIANT_ADD(polled_by, poll) { false };
FIXTURE_VARIANT_ADD(polled_by, epoll) { true };

/* An application that only polls the ring gets all CQEs */
TEST_F_TIMEOUT(polled_by, poll_flushes, LIMIT)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	struct iouring2_cqe cqe;
	struct epoll_event ev;
	struct ring r;
	int ep, next;

	ASSERT_EQ(0, overflown(&r, 4, 0));
	p.fd = r.fd;
	ep = epoll_of(r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	for (next = 0; next < 8;) {
		while (ring_peek(&r, &cqe))
			EXPECT_EQ(next++, (int)cqe.user_data);
		if (next == 8)
			break;
		EXPECT_EQ(4, fdinfo(r.fd, "Backlog"));
		if (!variant->epoll) {
			EXPECT_EQ(1, poll(&p, 1, 10000));
			EXPECT_TRUE(p.revents & POLLIN);
		} else {
			EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 10000));
		}
		EXPECT_EQ(4, (int)ring_ready(&r));
		EXPECT_FALSE(*r.sq_flags & OVERFLOW);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "EbusyTotal"));
	close(ep);
	ring_exit(&r);
}

struct waiter {
	pthread_t self;
	volatile pid_t tid;
	struct ring *r;
	unsigned int want;
	int ret;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->tid = syscall(SYS_gettid);
	w->ret = enter(w->r->fd, 0, w->want, GETEVENTS, NULL, 0);
	return NULL;
}

/*
 * A thread sleeps until the CQ is full. While it sleeps, more completions than
 * fit are posted at once. It must wake up.
 */
RING_TEST(sleeper_woken_by_overflow)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct waiter w = { };
	unsigned int i, bits = 0;
	uint64_t v = 1;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 2, 2));
	for (i = 0; i < 6; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		sqe->user_data = i;
		EXPECT_EQ(1, ring_submit(&r));
	}
	w.r = &r;
	w.want = 2;
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_thread, &w));
	EXPECT_TRUE(until(w.tid && task_sleeps(w.tid)));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	pthread_join(w.self, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_EQ(2, (int)ring_ready(&r));
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(6, (int)cqe.user_data);
		bits |= 1 << cqe.user_data;
	}
	EXPECT_EQ(0x3f, (int)bits);
	ring_exit(&r);
	close(efd);
}

/*
 * All CQEs in the CQ are reaped without a call of ENTER. The backlog still
 * holds as many as the thread waits for, so the thread must return.
 */
RING_TEST(no_sleep_on_backlog)
{
	struct waiter w = { };
	struct ring r;
	unsigned int i;

	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, overflown(&r, 4, 0));
		*r.cq_head = *r.cq_tail;
		w = (struct waiter) { .r = &r, .want = i };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_thread,
					    &w));
		pthread_join(w.self, NULL);
		EXPECT_EQ(0, w.ret);
		EXPECT_EQ(4, (int)ring_ready(&r));
		ring_exit(&r);
	}
}

/* -------------------------------------------------------- the in-flight cap */

/*
 * Submit until all entries are taken, or ENTER fails. The module decides how
 * many entries one ENTER takes near the cap, but each ENTER must take some.
 */
static int submit_all(struct ring *r)
{
	int ret = 0, total = 0;

	while (ring_publish(r)) {
		ret = ring_submit(r);
		if (ret <= 0)
			break;
		total += ret;
	}
	return ret < 0 && !total ? ret : total;
}

RING_FIXTURE(cap) {
	unsigned int of;
};

FIXTURE_VARIANT_ADD(cap, of_1) { 1 };
FIXTURE_VARIANT_ADD(cap, of_2) { 2 };
FIXTURE_VARIANT_ADD(cap, of_7) { 7 };
FIXTURE_VARIANT_ADD(cap, of_64) { 64 };

TEST_F_TIMEOUT(cap, cap_refuses_with_eagain, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct seen was, is;
	unsigned int cap = variant->of, i;
	uint64_t v;
	struct ring r;
	int efd[64], all;

	ASSERT_EQ(0, ring_init_params(&r, 128, 256, 0, cap));
	EXPECT_EQ(cap, r.setup.max_inflight);
	for (i = 0; i < cap; i++) {
		efd[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efd[i]);
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd[i], POLLIN);
		sqe->user_data = i;
	}
	/* Two entries more than the cap: ENTER takes as many as the cap */
	ASSERT_EQ(0, ring_nop(&r, 1000));
	ASSERT_EQ(0, ring_nop(&r, 1001));
	EXPECT_EQ((int)cap, ring_submit(&r));
	EXPECT_EQ(2, (int)ring_unsubmitted(&r));
	EXPECT_EQ(cap, fdinfo(r.fd, "Inflight"));

	/* Then ENTER takes none and changes nothing */
	was = look(&r);
	EXPECT_EQ(-EAGAIN, ring_submit(&r));
	EXPECT_EQ(-EAGAIN, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(-EAGAIN, enter(r.fd, 2, 1, GETEVENTS, NULL, 0));
	is = look(&r);
	EXPECT_EQ(0, memcmp(&was, &is, sizeof(was)));

	/* A completed request no longer counts once its CQE is in the CQ */
	v = 1;
	EXPECT_EQ((ssize_t)sizeof(v), write(efd[0], &v, sizeof(v)));
	EXPECT_TRUE(until(ring_ready(&r) == 1));
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == cap - 1));
	/* Each NOP completes before the next one counts */
	EXPECT_EQ(2, submit_all(&r));
	all = 0;
	while (ring_peek(&r, &cqe))
		all++;
	EXPECT_EQ(3, all);
	ring_exit(&r);
	for (i = 0; i < cap; i++)
		close(efd[i]);
}

/* CQEs in the backlog count too, so that memory is bounded */
RING_TEST(cap_counts_backlog)
{
	struct iouring2_sqe *sqe;
	uint64_t v = 1;
	struct ring r;
	int efd, i;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_params(&r, 4, 4, 0, 8));
	for (i = 0; i < 8; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		EXPECT_EQ(1, ring_submit(&r));
	}
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	EXPECT_TRUE(until(fdinfo(r.fd, "Backlog") == 4));
	EXPECT_EQ(4, (int)ring_ready(&r));
	/*
	 * 4 CQEs are in the CQ, and 4 requests still count. EBUSY is checked
	 * first.
	 */
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
	close(efd);
}

/* ----------------------------------------------- rings that asked for less */

static int ring_init_backlogged(struct ring *r, unsigned int n,
				unsigned int max_inflight)
{
	struct iouring2_setup s;

	memset(&s, 0, sizeof(s));
	s.entries = n;
	s.flags = IOURING2_RING_SUBMIT_BACKLOGGED;
	s.max_inflight = max_inflight;
	s.params.flags = IOURING2_SETUP_CQSIZE;
	s.params.cq_entries = n;
	return ring_init_setup(r, &s);
}

struct looker {
	struct ring	*r;
	bool		stop;
	unsigned long	looks;		/* readings with a backlog */
	unsigned long	wrong;
};

static long long value(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

/*
 * The first 4 CQEs are in the CQ and all others in the backlog. This is exact
 * at any time, because fdinfo reads its numbers under one lock.
 */
static void *look_at_backlog(void *arg)
{
	char path[64], text[4096];
	struct looker *l = arg;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", l->r->fd);
	while (!ld_acq(&l->stop)) {
		long long completed, backlog;

		if (read_text(path, text, sizeof(text)) < 0)
			break;
		completed = value(text, "\nCompleted:");
		backlog = value(text, "\nBacklog:");
		if (completed <= 4)
			continue;
		l->looks++;
		l->wrong += completed - 4 != backlog ||
			    backlog != value(text, "\nBacklogTotal:") ||
			    backlog != value(text, "\nBacklogMax:");
	}
	return NULL;
}

RING_TEST(backlogged_looked_at)
{
	long long end = now_ns(CLOCK_MONOTONIC) + 2 * NSEC_PER_SEC;
	struct looker l = { };
	pthread_t thread;
	struct ring r;
	int ret = 1;

	ASSERT_EQ(0, ring_init_backlogged(&r, 4, 131072));
	l.r = &r;
	ASSERT_EQ(0, pthread_create(&thread, NULL, look_at_backlog, &l));
	while (ret == 1 && now_ns(CLOCK_MONOTONIC) < end) {
		ring_nop(&r, 1);
		ret = ring_submit(&r);
	}
	st_rel(&l.stop, true);
	pthread_join(thread, NULL);
	EXPECT_TRUE(ret == 1 || ret == -EBUSY);
	EXPECT_LT(10, (long)l.looks);
	EXPECT_EQ(0, (long)l.wrong) {
		TH_LOG("in %lu readings of fdinfo", l.looks);
	}
	ring_exit(&r);
}

RING_FIXTURE(backlogged) {
	unsigned int cap;
};

FIXTURE_VARIANT_ADD(backlogged, cap_1) { 1 };
FIXTURE_VARIANT_ADD(backlogged, cap_4) { 4 };
FIXTURE_VARIANT_ADD(backlogged, cap_7) { 7 };
FIXTURE_VARIANT_ADD(backlogged, cap_1000) { 1000 };

/* With a backlog, entries are taken up to the cap, and no CQE is lost */
TEST_F_TIMEOUT(backlogged, backlogged_up_to_the_cap, LIMIT)
{
	unsigned int cap = variant->cap, i, next;
	struct iouring2_cqe cqe;
	struct seen was, is;
	struct ring r;

	ASSERT_EQ(0, ring_init_backlogged(&r, 4, cap));
	for (i = 0; i < 4 + cap; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(1, ring_submit(&r)) {
			TH_LOG("%u entries were taken", i);
		}
	}
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(cap, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(0, fdinfo(r.fd, "EbusyTotal"));
	EXPECT_EQ(OVERFLOW, *r.sq_flags & OVERFLOW);

	/* At the cap ENTER returns EBUSY and changes nothing */
	ASSERT_EQ(0, ring_nop(&r, i));
	ring_publish(&r);
	was = look(&r);
	EXPECT_EQ(-EBUSY, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(-EBUSY, enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	is = look(&r);
	EXPECT_EQ(0, memcmp(&was, &is, sizeof(was)));
	EXPECT_EQ(2, fdinfo(r.fd, "EbusyTotal"));

	/* One reaped CQE makes room for one entry */
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(0, (int)cqe.user_data);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(cap, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(4, (int)ring_ready(&r));
	for (next = 1; next <= 4 + cap; next++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(next, cqe.user_data);
	}
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
}

/*
 * ENTER takes as many entries of a batch as the cap has room for. Running
 * requests count, too.
 */
RING_TEST(backlogged_batch)
{
	struct iouring2_sqe *sqe;
	struct ring r;
	int efd, i;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_backlogged(&r, 4, 6));
	for (i = 0; i < 3; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
	}
	EXPECT_EQ(3, ring_submit(&r));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ(4, ring_submit(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(4, (int)ring_ready(&r));
	/* 3 requests run, so the cap has room for 3 of these 4 */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ(3, ring_submit(&r));
	EXPECT_EQ(3, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	ring_exit(&r);

	/*
	 * Without a backlog there is nothing to reap, so ENTER returns EAGAIN
	 */
	ASSERT_EQ(0, ring_init_backlogged(&r, 4, 1));
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_nop(&r, 0));
	EXPECT_EQ(-EAGAIN, ring_submit(&r));
	ring_exit(&r);
	close(efd);
}

/* The cap holds within one batch of requests that complete inline */
RING_TEST(cap_within_a_batch)
{
	struct iouring2_cqe cqe;
	unsigned int taken = 0, got = 0, i;
	struct ring r;
	int ret;

	ASSERT_EQ(0, ring_init_params(&r, 64, 64, 0, 8));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ(64, submit_all(&r));
	EXPECT_EQ(64, (int)ring_ready(&r));
	/* The CQ is full: each CQE goes to the backlog now, and the cap is 8 */
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, ring_nop(&r, 64 + i));
	ret = submit_all(&r);
	EXPECT_LT(0, ret);
	EXPECT_GE(8, ret);
	EXPECT_EQ(ret, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	taken = ret;
	while (taken < 64 || got < 128) {
		while (ring_peek(&r, &cqe))
			EXPECT_EQ(got++, cqe.user_data);
		ret = ring_submit(&r);
		if (ret == -EBUSY)
			continue;
		ASSERT_LE(0, ret);
		taken += ret;
		EXPECT_GE(8, fdinfo(r.fd, "Backlog"));
	}
	EXPECT_EQ(128, (int)got);
	ring_exit(&r);
}

struct reaper {
	pthread_t self;
	struct ring *r;
	unsigned int spin;
	bool posts, go;
};

/* Four CQEs in the CQ, three in the backlog */
static int fill_and_more(struct ring *r)
{
	int i, ret = 0;

	for (i = 0; i < 7 && ret >= 0; i++) {
		ret = ring_nop(r, i);
		if (i == 2 && !ret)
			ret = ring_submit(r) == 3 ? 0 : -EPROTO;
	}
	return ret ? ret : ring_submit(r) == 4 ? 0 : -EPROTO;
}

static void *reap_some_time(void *arg)
{
	struct reaper *p = arg;
	long long end;

	while (!ld_acq(&p->go))
		;
	end = now_ns(CLOCK_MONOTONIC) + p->spin * 1000LL;
	while (now_ns(CLOCK_MONOTONIC) < end)
		;
	if (p->posts && fill_and_more(p->r))
		return NULL;
	st_rel(p->r->cq_head, ld_acq(p->r->cq_tail));
	return p;
}

/*
 * I3: the CQ gets room while a waiter or a poller is about to sleep. ENTER must
 * flush the backlog, and poll(2) must report it, before the task sleeps.
 */
static void sleeps_on_nothing(struct __test_metadata *_metadata, bool polls)
{
	enum { ROUNDS = 60 };
	struct pollfd pfd = { .events = POLLIN };
	long long begin;
	struct reaper p;
	struct ring r;
	int round;
	void *ok;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, ring_init(&r, 4, 4));
		/*
		 * A post would wake the poller, so the CQ is filled before the
		 * poll
		 */
		if (polls)
			ASSERT_EQ(0, fill_and_more(&r));
		p = (struct reaper) {
			.r = &r, .spin = round * 50, .posts = !polls,
		};
		ASSERT_EQ(0, pthread_create(&p.self, NULL, reap_some_time,
					    &p));
		pfd.fd = r.fd;
		begin = now_ns(CLOCK_MONOTONIC);
		st_rel(&p.go, true);
		if (polls) {
			EXPECT_EQ(1, poll(&pfd, 1, 20000));
			EXPECT_TRUE(pfd.revents & POLLIN);
		} else {
			EXPECT_EQ(0, enter_timeout(r.fd, 0, 3,
						   20 * NSEC_PER_SEC));
		}
		EXPECT_GT(20 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin) {
			TH_LOG("round %d", round);
		}
		pthread_join(p.self, &ok);
		EXPECT_NE(NULL, ok);
		ring_exit(&r);
	}
}

RING_TEST(waiter_sees_what_got_room)
{
	sleeps_on_nothing(_metadata, false);
}

RING_TEST(poller_sees_what_got_room)
{
	sleeps_on_nothing(_metadata, true);
}

RING_TEST_MAIN
