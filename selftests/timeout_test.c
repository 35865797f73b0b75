// SPDX-License-Identifier: GPL-2.0-only
/*
 * TIMEOUT and TIMEOUT_REMOVE: on every clock, relative and absolute, by time
 * and by number of completions, one-shot and multishot; updated, removed and
 * rejected. A multishot timeout obeys I6. No timeout expires early.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "fixture.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

#define MORE	IOURING2_CQE_F_MORE
#define ABS	IOURING2_TIMEOUT_ABS
#define BOOT	IOURING2_TIMEOUT_BOOTTIME
#define REAL	IOURING2_TIMEOUT_REALTIME
#define MULTI	IOURING2_TIMEOUT_MULTISHOT
#define SUCCESS	IOURING2_TIMEOUT_ETIME_SUCCESS

#define MS	NSEC_PER_MSEC

/* so long that it does not expire within a test */
#define LONG_TIME	(1000 * NSEC_PER_SEC)

static int start(struct ring *r, struct __kernel_timespec ts,
		 unsigned int count, unsigned int flags, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_timeout(sqe, &ts, count, flags);
	sqe->user_data = user_data;
	return ring_submit(r);
}

static int remove_it(struct ring *r, __u64 target)
{
	prep_timeout_remove(ring_sqe(r), target);
	return ring_do(r);
}

static int update(struct ring *r, __u64 target, struct __kernel_timespec ts,
		  unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_timeout_remove(sqe, target);
	sqe->addr2 = (uintptr_t)&ts;
	sqe->timeout_flags = IOURING2_TIMEOUT_UPDATE | flags;
	return ring_do(r);
}

RING_FIXTURE(clock) {
	unsigned int flags;
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(clock, monotonic_in) { 0, CLOCK_MONOTONIC };
FIXTURE_VARIANT_ADD(clock, monotonic_at) { ABS, CLOCK_MONOTONIC };
FIXTURE_VARIANT_ADD(clock, boot_time_in) { BOOT, CLOCK_BOOTTIME };
FIXTURE_VARIANT_ADD(clock, boot_time_at) { BOOT | ABS, CLOCK_BOOTTIME };
FIXTURE_VARIANT_ADD(clock, real_time_in) { REAL, CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(clock, real_time_at) { REAL | ABS, CLOCK_REALTIME };

/* Return: the timespec of a timeout that expires @ns after @now */
static struct __kernel_timespec when(unsigned int flags, long long now,
				     long long ns)
{
	return ts_ns(ns + (flags & ABS ? now : 0));
}

TEST_F_TIMEOUT(clock, never_early, LIMIT)
{
	static const long long times[] = { 0, 1, MS, 30 * MS, -NSEC_PER_SEC };
	long long begin, took;
	struct iouring2_cqe cqe;
	unsigned int t, ok;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (t = 0; t < ARRAY_SIZE(times); t++) {
		/* A relative timeout of a negative time is rejected */
		if (times[t] < 0 && !(variant->flags & ABS))
			continue;
		ok = t & 1 ? SUCCESS : 0;
		begin = now_ns(variant->clock);
		EXPECT_EQ(1, start(&r, when(variant->flags, begin, times[t]), 0,
				   variant->flags | ok, t));
		ASSERT_EQ(0, ring_wait(&r, &cqe)) {
			TH_LOG("%lld ns", times[t]);
		}
		took = now_ns(variant->clock) - begin;
		EXPECT_EQ(-ETIME, cqe.res);
		EXPECT_EQ(t, cqe.user_data);
		EXPECT_EQ(0, (int)cqe.flags);
		EXPECT_LE(times[t], took);
		EXPECT_GT(times[t] + 10 * NSEC_PER_SEC, took);
	}
	ring_exit(&r);
}

static const int order_ms[] = { 90, 30, 120, 60, 150 };
static const int order[] = { 1, 3, 0, 2, 4 };

/* Start timeouts of @order_ms. Return: the time that it took */
static long long start_all(struct ring *r)
{
	long long begin = now_ns(CLOCK_MONOTONIC);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(order_ms); i++)
		start(r, ts_ns(order_ms[i] * MS), 0, 0, i);
	return now_ns(CLOCK_MONOTONIC) - begin;
}

/*
 * Timeouts expire in the order of their times, whatever the order of submission
 */
RING_TEST(expire_in_order)
{
	struct iouring2_cqe cqe;
	struct ring r;
	bool in_time;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	do {
		/* on a busy machine, one may expire before the last is started */
		in_time = start_all(&r) < 30 * MS;
		for (i = 0; i < ARRAY_SIZE(order); i++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(-ETIME, cqe.res);
			if (in_time)
				EXPECT_EQ(order[i], (int)cqe.user_data);
		}
	} while (!in_time);
	ring_exit(&r);
}

/* A timeout expires while no task is in ENTER */
RING_TEST(progress_without_entering)
{
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(MS), 0, 0, 1));
	EXPECT_TRUE(until(ring_peek(&r, &cqe)));
	EXPECT_EQ(-ETIME, cqe.res);
	ring_exit(&r);
}

RING_TEST(many_expire_once_each)
{
	enum { NR = 2000 };
	static unsigned char seen[NR];
	struct iouring2_cqe cqe;
	unsigned int seed = 1;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(1, start(&r, ts_ns(rand_r(&seed) % (20 * MS)), 0, 0,
				   i));
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(NR, (int)cqe.user_data);
		EXPECT_EQ(0, seen[cqe.user_data]++);
		EXPECT_EQ(-ETIME, cqe.res);
	}
	ring_exit(&r);
}

/* ---------------------------------------------------- by completions */

RING_FIXTURE(count) {
	unsigned int nr;
	unsigned int flags;	/* SQE flags of the requests that complete */
};

FIXTURE_VARIANT_ADD(count, one) { 1, 0 };
FIXTURE_VARIANT_ADD(count, two) { 2, 0 };
FIXTURE_VARIANT_ADD(count, five) { 5, 0 };
FIXTURE_VARIANT_ADD(count, one_in_a_worker) { 1, IOURING2_SQE_ASYNC };
FIXTURE_VARIANT_ADD(count, two_in_a_worker) { 2, IOURING2_SQE_ASYNC };
FIXTURE_VARIANT_ADD(count, five_in_a_worker) { 5, IOURING2_SQE_ASYNC };

/*
 * As many completions as the timeout waits for: it ends with success, and not
 * with ETIME
 */
TEST_F_TIMEOUT(count, ends_by_count, LIMIT)
{
	struct iouring2_cqe cqe;
	unsigned int n;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), variant->nr, 0, 77));
	for (n = 1; n <= variant->nr; n++) {
		EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		ASSERT_EQ(0, ring_nop(&r, n));
		r.sqes[n & 7].flags = variant->flags;
		EXPECT_EQ(1, ring_submit(&r));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(n, cqe.user_data);
	}
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	ring_exit(&r);
}

RING_TEST(count_not_reached_in_time)
{
	struct __kernel_timespec ts = ts_ns(30 * MS);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* in one ENTER: on a busy machine the time may pass before a second one */
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 2, 0);
	sqe->user_data = 77;
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(2, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	EXPECT_EQ(-ETIME, cqe.res);
	ring_exit(&r);
}

/* A CQE that a wake-up posts counts as well */
RING_TEST(counts_wakeups)
{
	struct iouring2_cqe cqe;
	uint64_t v = 1;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 1, 0, 77));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	ring_exit(&r);
	close(efd);
}

/* Each CQE of a multishot poll counts, not only its last */
RING_TEST(counts_multishots)
{
	struct iouring2_cqe cqe;
	uint64_t v = 1;
	struct ring r;
	int efd, i;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 2, 0, 77));
	prep_poll_multi(ring_sqe(&r), efd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
		ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(MORE, cqe.flags);
		ASSERT_EQ((ssize_t)sizeof(v), read(efd, &v, sizeof(v)));
	}
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	close(efd);
}

/*
 * CQEs of timeouts do not count, multishot ones included. A large count does
 * not wrap.
 */
RING_TEST(counts_no_timeouts)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 1, 0, 77));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), ~0U, 0, 78));
	EXPECT_EQ(1, start(&r, ts_ns(MS), 3, IOURING2_TIMEOUT_MULTISHOT, 1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(-ETIME, cqe.res);
	}
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
}

/* Several timeouts at once, each with its own count */
RING_TEST(counts_side_by_side)
{
	static const unsigned int want[] = { 3, 1, 2 };
	struct iouring2_cqe cqe;
	unsigned int i, n, when[3] = { }, nops = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* A single timeout ends with the third NOP */
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), want[0], 0, 100));
	for (n = 0; n < 3; n++) {
		ASSERT_EQ(0, ring_nop(&r, n));
		EXPECT_EQ(1, ring_submit(&r));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		if (cqe.user_data == 100)
			when[0] = nops;
		else
			nops++;
	}
	EXPECT_EQ(3, (int)when[0]);
	ring_exit(&r);

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), want[i], 0, 100 + i));
	for (n = 0; n < 3; n++) {
		ASSERT_EQ(0, ring_nop(&r, n));
		EXPECT_EQ(1, ring_submit(&r));
	}
	/*
	 * All three have ended: the CQEs of the NOPs count, those of the
	 * timeouts do not
	 */
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
}

/* -------------------------------------------------- removed and changed */

TEST_F_TIMEOUT(clock, removed, LIMIT)
{
	long long now = now_ns(variant->clock);
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(-ENOENT, remove_it(&r, 1));
	EXPECT_EQ(1, start(&r, when(variant->flags, now, LONG_TIME), 0,
			   variant->flags, 1));
	EXPECT_EQ(-ENOENT, remove_it(&r, 2));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(-ENOENT, remove_it(&r, 1));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
}

RING_TEST(removed)
{
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* A timeout that counts completions can be removed as well */
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 100, 0, 1));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	/*
	 * Both CQEs are in the CQ when the call returns, with no further ENTER
	 */
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 0, 0, 1));
	prep_timeout_remove(ring_sqe(&r), 1);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(2, (int)ring_ready(&r));
	*r.cq_head = *r.cq_tail;
	/* The timeout has expired */
	EXPECT_EQ(1, start(&r, ts_ns(0), 0, 0, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ENOENT, remove_it(&r, 1));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
}

TEST_F_TIMEOUT(clock, updated, LIMIT)
{
	const unsigned int abs = variant->flags & ABS;
	struct iouring2_cqe cqe;
	long long begin;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* Update to an earlier time, on the clock of the timeout */
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 0, variant->flags & ~ABS, 1));
	begin = now_ns(variant->clock);
	EXPECT_EQ(0, update(&r, 1, when(abs, begin, 20 * MS), abs));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ETIME, cqe.res);
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_LE(20 * MS, now_ns(variant->clock) - begin);
	/* Update to a later time */
	EXPECT_EQ(1, start(&r, ts_ns(2000 * MS), 0, 0, 1));
	EXPECT_EQ(0, update(&r, 1, ts_ns(LONG_TIME), 0));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&r);
}

RING_TEST(updated)
{
	struct iouring2_cqe cqe;
	long long begin;
	struct ring r;
	bool late;
	int ret;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(-ENOENT, update(&r, 1, ts_ns(0), 0));
	/* A later time replaces the earlier one, unless the machine is too busy */
	do {
		begin = now_ns(CLOCK_MONOTONIC);
		EXPECT_EQ(1, start(&r, ts_ns(50 * MS), 0, 0, 1));
		ret = update(&r, 1, ts_ns(LONG_TIME), 0);
		late = ret && now_ns(CLOCK_MONOTONIC) - begin >= 50 * MS;
		if (late)
			ASSERT_EQ(0, ring_wait(&r, &cqe));
	} while (late);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 100 * MS));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	/* A timeout that has expired cannot be updated */
	EXPECT_EQ(1, start(&r, ts_ns(0), 0, 0, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ENOENT, update(&r, 1, ts_ns(LONG_TIME), 0));
	ring_exit(&r);
}

/*
 * An update replaces the whole timeout: the old count and the absolute flag no
 * longer apply
 */
RING_TEST(update_replaces)
{
	struct iouring2_cqe cqe;
	long long begin;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, start(&r, ts_ns(LONG_TIME), 1, 0, 1));
	/* Neither the CQE of the update nor a later one counts */
	EXPECT_EQ(0, update(&r, 1, ts_ns(LONG_TIME), 0));
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(0, ring_do(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	/* Update from an absolute time to a relative one */
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(1, start(&r, ts_ns(begin + LONG_TIME), 0, ABS, 1));
	EXPECT_EQ(0, update(&r, 1, ts_ns(50 * MS), 0));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ETIME, cqe.res);
	EXPECT_LE(50 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	ring_exit(&r);
}

/*
 * A timeout expires and is updated in one ENTER, with different numbers of
 * requests between
 */
RING_TEST(update_meets_the_end)
{
	enum { MAX_NOPS = 120 };
	struct __kernel_timespec now = ts_ns(0), later = ts_ns(LONG_TIME);
	int i, k, res, changed = 0, late = 0;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 128, 0));
	for (k = 0; k < MAX_NOPS; k++) {
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &now, 0, 0);
		sqe->user_data = 1;
		for (i = 0; i < k; i++) {
			ASSERT_EQ(0, ring_nop(&r, 2));
			r.sqes[(r.sqe_tail - 1) & *r.sq_mask].flags =
				IOURING2_SQE_CQE_SKIP_SUCCESS;
		}
		sqe = ring_sqe(&r);
		prep_timeout_remove(sqe, 1);
		sqe->addr2 = (uintptr_t)&later;
		sqe->timeout_flags = IOURING2_TIMEOUT_UPDATE;
		sqe->user_data = 3;
		ASSERT_EQ(k + 2, ring_submit(&r));
		ASSERT_EQ(0, ring_take(&r, 3, &cqe));
		res = cqe.res;
		if (!res) {
			changed++;
			/*
			 * The updated timeout is in flight, and does not expire
			 */
			usleep(2000);
			EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
			EXPECT_EQ(0, remove_it(&r, 1));
		} else {
			late++;
			EXPECT_TRUE(res == -EALREADY || res == -ENOENT);
		}
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(res ? -ETIME : -ECANCELED, cqe.res);
		EXPECT_FALSE(ring_peek(&r, &cqe));
	}
	TH_LOG("%d updated, %d too late", changed, late);
	ring_exit(&r);
}

RING_FIXTURE(linked) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(linked, spoken) { 0 };
FIXTURE_VARIANT_ADD(linked, silent) { IOURING2_SQE_CQE_SKIP_SUCCESS };

/* A cancelled timeout has failed, even with ETIME_SUCCESS */
TEST_F_TIMEOUT(linked, removed_is_no_success, LIMIT)
{
	struct __kernel_timespec ts = ts_ns(LONG_TIME);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, SUCCESS);
	sqe->user_data = 1;
	sqe->flags = variant->flags | IOURING2_SQE_IO_LINK;
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(2, ring_submit(&r));
	EXPECT_EQ(0, remove_it(&r, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(-ECANCELED, cqe.res);
	if (!variant->flags) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_FALSE(ring_peek(&r, &cqe));
	ring_exit(&r);
}

/*
 * Start a timeout, and wait in the next call. The timeout may expire between the
 * two calls if the machine is busy. Then the wait times out, and the next
 * attempt takes a longer timeout. Return: 0, or what the last wait returned.
 */
static int wait_for_timeout(struct ring *r)
{
	long long ns;
	int ret = -ETIME;

	for (ns = 20 * MS; ret == -ETIME && ns <= 2000 * MS; ns *= 10) {
		if (start(r, ts_ns(ns), 0, 0, 1) != 1)
			return -EINVAL;
		ret = enter_timeout(r->fd, 0, 4, 5 * NSEC_PER_SEC);
		if (ret == -ETIME)
			*r->cq_head = *r->cq_tail;
	}
	return ret;
}

/*
 * A timeout that expires, by time or by count, ends a wait in ENTER, whatever
 * its min_complete. A timeout that is removed does not.
 */
RING_TEST(ends_waits)
{
	struct __kernel_timespec soon = ts_ns(20 * MS);
	struct __kernel_timespec late = ts_ns(LONG_TIME);
	struct iouring2_cqe cqe;
	long long begin;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(0, wait_for_timeout(&r));
	EXPECT_EQ(1, (int)ring_ready(&r));
	/* The timeout is submitted by the same call */
	prep_timeout(ring_sqe(&r), &soon, 0, 0);
	EXPECT_EQ(1, enter_timeout(r.fd, ring_publish(&r), 4,
				   10 * NSEC_PER_SEC));
	EXPECT_EQ(2, (int)ring_ready(&r));
	while (ring_peek(&r, &cqe))
		EXPECT_EQ(-ETIME, cqe.res);
	/* The timeout ends by count */
	prep_timeout(ring_sqe(&r), &late, 1, 0);
	ASSERT_EQ(0, ring_nop(&r, 1));
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(2, enter_timeout(r.fd, ring_publish(&r), 4,
				   10 * NSEC_PER_SEC));
	EXPECT_GT(10 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(2, (int)ring_ready(&r));
	while (ring_peek(&r, &cqe))
		EXPECT_EQ(0, cqe.res);
	/* A multishot timeout ends a wait each time that it expires */
	EXPECT_EQ(1, start(&r, soon, 0, MULTI, 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, enter_timeout(r.fd, 0, 16, 10 * NSEC_PER_SEC));
		EXPECT_LT(0, (int)ring_ready(&r));
		while (ring_peek(&r, &cqe))
			EXPECT_EQ(-ETIME, cqe.res);
	}
	prep_timeout_remove(ring_sqe(&r), 1);
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_TRUE(until(!fdinfo(r.fd, "Inflight")));
	*r.cq_head = *r.cq_tail;
	/* A removed timeout has not expired */
	EXPECT_EQ(1, start(&r, late, 0, 0, 1));
	prep_timeout_remove(ring_sqe(&r), 1);
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(1, enter_timeout(r.fd, ring_publish(&r), 4, 50 * MS));
	EXPECT_LE(50 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(2, (int)ring_ready(&r));
	*r.cq_head = *r.cq_tail;
	/* Nor has a multishot timeout that expired before and is removed now */
	EXPECT_EQ(1, start(&r, ts_ns(NSEC_PER_SEC), 0, MULTI, 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(-ETIME, cqe.res);
	prep_timeout_remove(ring_sqe(&r), 1);
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(1, enter_timeout(r.fd, ring_publish(&r), 4, 50 * MS));
	EXPECT_LE(50 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(2, (int)ring_ready(&r));
	ring_exit(&r);
}

struct taker {
	struct ring *ring;
	bool stop;
};

static void *take_all(void *arg)
{
	struct taker *t = arg;

	while (!ld_acq(&t->stop))
		st_rel(t->ring->cq_head, ld_acq(t->ring->cq_tail));
	return NULL;
}

/*
 * Multishot timers that always have a CQE to post, and a thread that reaps. If
 * the thread is too slow, a timer ends because the CQ has no free slot, and
 * another one is started.
 */
RING_TEST(never_stops)
{
	enum { TIMERS = 64 };
	struct taker t = { };
	struct ring r;
	pthread_t thread;
	int i, n, ret;

	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	t.ring = &r;
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_all, &t));
	for (i = 0; i < 20; i++) {
		for (n = fdinfo(r.fd, "Inflight"); n < TIMERS; n++) {
			ret = start(&r, ts_ns(0), 0, MULTI, 1);
			EXPECT_TRUE(ret == 1 || ret == -EBUSY);
		}
		ret = enter_timeout(r.fd, 0, 8, NSEC_PER_SEC);
		EXPECT_TRUE(!ret || ret == -ETIME);
	}
	for (i = 0; i < 20; i++) {
		if (!ring_unsubmitted(&r))
			ASSERT_EQ(0, ring_nop(&r, i));
		ret = ring_submit(&r);
		EXPECT_TRUE(ret == 1 || ret == -EBUSY);
	}
	st_rel(&t.stop, true);
	pthread_join(thread, NULL);
	ring_exit(&r);
}

/* ------------------------------------------------------ time namespaces */

static const struct {
	unsigned int flag;
	clockid_t clock;
} clocks[] = {
	{ 0, CLOCK_MONOTONIC },
	{ BOOT, CLOCK_BOOTTIME },
	{ REAL, CLOCK_REALTIME },
};

/* Does a timeout expire at the time that clocks[@c] shows in the namespace? */
static bool comes_at(struct ring *r, unsigned int c, bool by_update)
{
	const clockid_t clock = clocks[c].clock;
	struct iouring2_cqe cqe;
	long long t = now_ns(clock) + 50 * MS;

	if (by_update) {
		if (start(r, ts_ns(LONG_TIME), 0, clocks[c].flag, 1) != 1 ||
		    update(r, 1, ts_ns(t), ABS))
			return false;
	} else if (start(r, ts_ns(t), 0, clocks[c].flag | ABS, 1) != 1) {
		return false;
	}
	return !ring_wait(r, &cqe) && cqe.res == -ETIME &&
	       now_ns(clock) >= t && now_ns(clock) < t + LONG_TIME / 10;
}

static bool waits_until(struct ring *r)
{
	long long t = now_ns(CLOCK_MONOTONIC) + 50 * MS;
	struct __kernel_timespec ts = ts_ns(t);
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&ts };

	return enter(r->fd, 0, 1, IOURING2_ENTER_GETEVENTS |
		     IOURING2_ENTER_EXT_ARG | IOURING2_ENTER_ABS_TIMER, &arg,
		     sizeof(arg)) == -ETIME && now_ns(CLOCK_MONOTONIC) >= t;
}

/* Return: "", or what is wrong */
static const char *times_in_namespace(void *arg)
{
	unsigned int i;
	struct ring r;

	/* A time that is wrongly taken as the host's may be hours away */
	alarm(10);
	if (ring_init(&r, 8, 0))
		return "cannot set up a ring";
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		if (!comes_at(&r, i, false))
			return reason("TIMEOUT, clock %u", i);
		if (!comes_at(&r, i, true))
			return reason("update, clock %u", i);
	}
	if (!waits_until(&r))
		return "ENTER until an absolute time";
	ring_exit(&r);
	return "";
}

RING_FIXTURE(time_namespace) {
	const char *offsets;
};

FIXTURE_VARIANT_ADD(time_namespace, later) {
	"monotonic 4000 0\nboottime 8000 0\n"
};

FIXTURE_VARIANT_ADD(time_namespace, earlier) {
	"monotonic -1 0\nboottime -2 0\n"
};

FIXTURE_VARIANT_ADD(time_namespace, later_and_earlier) {
	"monotonic 4000 0\nboottime -1 0\n"
};

TEST_F_TIMEOUT(time_namespace, time_namespace, LIMIT)
{
	ssize_t len = strlen(variant->offsets);
	int fd;

	if (unshare(CLONE_NEWTIME))
		SKIP(return, "may not make a time namespace");
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(len, write(fd, variant->offsets, len));
	close(fd);
	/*
	 * A process that makes a namespace is not in it, but its children are
	 */
	EXPECT_STREQ("", in_child(times_in_namespace, NULL));
}

/* ------------------------------------------------------------ multishot */

RING_FIXTURE(repeats) {
	unsigned int times;
};

FIXTURE_VARIANT_ADD(repeats, once) { 1 };
FIXTURE_VARIANT_ADD(repeats, twice) { 2 };
FIXTURE_VARIANT_ADD(repeats, five_times) { 5 };

TEST_F_TIMEOUT(repeats, multishot, LIMIT)
{
	struct iouring2_cqe cqe;
	const unsigned int times = variant->times;
	unsigned int n;
	long long begin;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(1, start(&r, ts_ns(10 * MS), times, MULTI, 3));
	for (n = 1; n <= times; n++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(3, (int)cqe.user_data);
		EXPECT_EQ(-ETIME, cqe.res);
		EXPECT_EQ(n < times ? MORE : 0, cqe.flags) {
			TH_LOG("%u of %u", n, times);
		}
		EXPECT_LE((long long)n * 10 * MS,
			  now_ns(CLOCK_MONOTONIC) - begin);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 15 * MS));
	ring_exit(&r);
}

/*
 * Without a number of repeats, a multishot timeout continues until it is
 * removed
 */
RING_TEST(multishot)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int n;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	EXPECT_EQ(1, start(&r, ts_ns(2 * MS), 0, MULTI, 4));
	for (n = 0; n < 10; n++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(-ETIME, cqe.res);
		EXPECT_EQ(MORE, (int)cqe.flags);
	}
	EXPECT_EQ(0, remove_it(&r, 4));
	do {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(cqe.flags ? -ETIME : -ECANCELED, cqe.res);
	} while (cqe.flags & MORE);
	EXPECT_FALSE(ring_peek(&r, &cqe));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
}

RING_FIXTURE(cq) {
	unsigned int entries;
};

FIXTURE_VARIANT_ADD(cq, of_1) { 1 };
FIXTURE_VARIANT_ADD(cq, of_2) { 2 };
FIXTURE_VARIANT_ADD(cq, of_8) { 8 };

/*
 * I6: without a free slot a multishot timeout ends, and its last CQE has no
 * F_MORE
 */
TEST_F_TIMEOUT(cq, multishot_without_room, LIMIT)
{
	struct iouring2_cqe cqe;
	unsigned int cq = variant->entries, n;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, cq, cq));
	EXPECT_EQ(1, start(&r, ts_ns(MS), 0, MULTI, 5));
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	for (n = 0; n <= cq; n++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(5, (int)cqe.user_data);
		EXPECT_EQ(-ETIME, cqe.res);
		EXPECT_EQ(n < cq ? MORE : 0, cqe.flags) {
			TH_LOG("%u of %u", n, cq);
		}
	}
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 5 * MS));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
}

/* ------------------------------------------------------------- refusals */

RING_TEST(refused)
{
	const unsigned int known = ABS | BOOT | REAL | SUCCESS | MULTI;
	struct __kernel_timespec ts = ts_ns(0), bad;
	struct iouring2_sqe *sqe;
	struct ring r;
	int bit;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		if (known >> bit & 1)
			continue;
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &ts, 0, 1U << bit);
		EXPECT_EQ(-EINVAL, ring_do(&r)) {
			TH_LOG("TIMEOUT flag bit %d", bit);
		}
	}
	for (bit = 0; bit < 32; bit++) {
		/*
		 * A removal accepts no flag; the update flag makes it an update
		 */
		if (1U << bit == IOURING2_TIMEOUT_UPDATE)
			continue;
		sqe = ring_sqe(&r);
		prep_timeout_remove(sqe, 1);
		sqe->timeout_flags = 1U << bit;
		EXPECT_EQ(-EINVAL, ring_do(&r)) {
			TH_LOG("TIMEOUT_REMOVE flag bit %d", bit);
		}
	}
	for (bit = 2; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, update(&r, 1, ts, 1U << bit)) {
			TH_LOG("update flag bit %d", bit);
		}
	}

	/*
	 * Invalid: two clocks; absolute and multishot; multishot and
	 * CQE_SKIP_SUCCESS
	 */
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, BOOT | REAL);
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, ABS | MULTI);
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, MULTI);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EINVAL, ring_do(&r));

	/* Invalid times */
	bad = ts_ns(0);
	bad.tv_nsec = -1;
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &bad, 0, 0);
	EXPECT_EQ(-EINVAL, ring_do(&r));
	EXPECT_EQ(-EINVAL, update(&r, 1, bad, 0));
	bad = ts_ns(0);
	bad.tv_sec = -1;
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &bad, 0, 0);
	EXPECT_EQ(-EINVAL, ring_do(&r));
	EXPECT_EQ(-EINVAL, update(&r, 1, bad, 0));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, (void *)8, 0, 0);
	EXPECT_EQ(-EFAULT, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->timeout_flags = IOURING2_TIMEOUT_UPDATE;
	sqe->addr2 = 8;
	EXPECT_EQ(-EFAULT, ring_do(&r));

	/* Fields that must have a fixed value */
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->len = 0;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->len = 2;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->buf_index = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->splice_fd_in = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->addr3 = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->__pad2[0] = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->len = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->buf_index = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->splice_fd_in = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->addr3 = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 1);
	sqe->flags = IOURING2_SQE_FIXED_FILE;
	EXPECT_EQ(-EINVAL, ring_do(&r));

	/* The longest time is accepted */
	bad.tv_sec = LLONG_MAX;
	bad.tv_nsec = NSEC_PER_SEC - 1;
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &bad, 0, 0);
	sqe->user_data = 1;
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 5 * MS));
	EXPECT_EQ(0, remove_it(&r, 1));
	ring_exit(&r);
}

/*
 * FEAT_SUBMIT_STABLE: the timespec may be reused as soon as ENTER has returned
 */
RING_TEST(timespec_reused)
{
	struct __kernel_timespec ts;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 3; i++) {
		ts = ts_ns(5 * MS);
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &ts, i == 1 ? 2 : 0, i == 1 ? MULTI : 0);
		/* The third timeout starts long after ENTER has returned */
		if (i == 2) {
			sqe->flags = IOURING2_SQE_IO_LINK |
				     IOURING2_SQE_ASYNC;
			sqe->timeout_flags = SUCCESS;
			sqe = ring_sqe(&r);
			prep_timeout(sqe, &ts, 0, 0);
		}
		EXPECT_EQ(i == 2 ? 2 : 1, ring_submit(&r));
		memset(&ts, 0x7f, sizeof(ts));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(-ETIME, cqe.res);
		if (i) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(-ETIME, cqe.res);
		}
	}
	ring_exit(&r);
}

RING_TEST_MAIN
