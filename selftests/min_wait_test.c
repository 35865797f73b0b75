// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits with a minimum wait: ENTER waits for min_complete CQEs until that is over,
 * and then for any CQE. Most tests run on the kernel's own io_uring as well.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "sides.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define ABS_TIMER	IOURING2_ENTER_ABS_TIMER

#define MS		NSEC_PER_MSEC
#define NO_LIMIT	(-1LL)
#define HOUR_MS		3600000LL
/* Far less than an hour, and far more than any machine needs */
#define NOT_AN_HOUR	(100 * NSEC_PER_SEC)

SIDE_FIXTURE(min_wait);

#define NEED_MIN_WAIT()	NEED_SIDE(tree_features() & IOURING2_FEAT_MIN_TIMEOUT)

/*
 * Wait for @nr CQEs. The minimum wait is @min_ms, the timeout @ms. @took receives
 * how long that took. Return: the result of ENTER.
 */
static int wait_min(const struct side *s, struct ring *r, unsigned int nr,
		    long long min_ms, long long ms, long long *took)
{
	struct iouring2_getevents_arg arg = { .min_wait_usec = min_ms * 1000 };
	struct __kernel_timespec ts;
	long long begin = now_ns(CLOCK_MONOTONIC);
	int ret;

	if (ms != NO_LIMIT) {
		ts = ts_ns(ms * MS);
		arg.ts = (uintptr_t)&ts;
	}
	ret = s->enter(r->fd, 0, nr, GETEVENTS | EXT_ARG, &arg, sizeof(arg));
	*took = now_ns(CLOCK_MONOTONIC) - begin;
	return ret;
}

/* Polls of timerfds, which expire after some time */
static int timers[8];
static unsigned int nr_timers;

static int start_timer(const struct side *s, struct ring *r, long long ms)
{
	struct itimerspec when = {
		.it_value = { ms / 1000, ms % 1000 * 1000000 + 1 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL))
		return -errno;
	timers[nr_timers++] = fd;
	prep_poll(ring_sqe(r), fd, POLLIN);
	ring_publish(r);
	return s->enter(r->fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -EPROTO;
}

static void stop_timers(void)
{
	while (nr_timers)
		close(timers[--nr_timers]);
}

static int post(const struct side *s, struct ring *r, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ring_nop(r, i);
	ring_publish(r);
	return s->enter(r->fd, nr, 0, 0, NULL, 0) == (int)nr ? 0 : -EPROTO;
}

/*
 * What happens to a wait for 4 CQEs. In each row nothing else happens: the rest
 * of the CQEs never comes.
 */
static const struct wait_row {
	const char *what;
	unsigned int there;	/* CQEs that are in the CQ when it begins */
	long long timer_ms;	/* a CQE that comes later, or 0 */
	long long min_ms, ms;
	int ret;
	unsigned int ready;	/* CQEs in the end */
	long long least;	/* time it takes at least, in ms */
} wait_rows[] = {
	{ "nothing, no timeout", 0, 0, 30, NO_LIMIT, -ETIME, 0, 30 },
	{ "nothing, timeout", 0, 0, 30, 80, -ETIME, 0, 80 },
	{ "nothing, shorter timeout", 0, 0, 80, 20, -ETIME, 0, 80 },
	{ "nothing, timeout of 0", 0, 0, 40, 0, -ETIME, 0, 40 },
	{ "some there, no timeout", 2, 0, 30, NO_LIMIT, 0, 2, 30 },
	{ "some there, timeout", 2, 0, 30, HOUR_MS, 0, 2, 30 },
	{ "all there", 4, 0, HOUR_MS, NO_LIMIT, 0, 4, 0 },
	{ "one during the minimum wait", 0, 20, 150, HOUR_MS, 0, 1, 150 },
	{ "the last one during the minimum wait", 3, 20, HOUR_MS, NO_LIMIT, 0,
	  4, 20 },
	{ "one after it", 0, 150, 30, HOUR_MS, 0, 1, 150 },
	{ "none, minimum wait of 0", 0, 0, 0, 40, -ETIME, 0, 40 },
	{ "some there, minimum wait of 0", 2, 0, 0, 40, 0, 2, 40 },
};

TEST_F_TIMEOUT(min_wait, rows, LIMIT)
{
	const struct side *s = variant->side;
	const struct wait_row *row;
	long long took;
	struct ring r;
	unsigned int i;

	NEED_MIN_WAIT();
	for (i = 0; i < ARRAY_SIZE(wait_rows); i++) {
		row = &wait_rows[i];
		ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
		ASSERT_EQ(0, post(s, &r, row->there));
		if (row->timer_ms)
			ASSERT_EQ(0, start_timer(s, &r, row->timer_ms));
		EXPECT_EQ(row->ret, wait_min(s, &r, 4, row->min_ms, row->ms,
					     &took)) {
			TH_LOG("%s", row->what);
		}
		EXPECT_EQ(row->ready, ring_ready(&r)) {
			TH_LOG("%s", row->what);
		}
		/* the timer was started before the wait */
		if (!row->timer_ms || row->least != row->timer_ms)
			EXPECT_LE(row->least * MS, took) {
				TH_LOG("%s: %lld ms", row->what, took / MS);
			}
		EXPECT_GT(NOT_AN_HOUR, took) {
			TH_LOG("%s", row->what);
		}
		ring_exit(&r);
		stop_timers();
	}
}

/* The largest minimum wait, more than an hour, does not overflow */
TEST_F_TIMEOUT(min_wait, longest, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_getevents_arg arg = { .min_wait_usec = UINT_MAX };
	long long begin;
	struct ring r;

	NEED_MIN_WAIT();
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, start_timer(s, &r, 100));
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(0, s->enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
			      sizeof(arg)));
	EXPECT_GT(NOT_AN_HOUR, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
	stop_timers();
}

/* The minimum wait is relative, whatever the timeout is */
TEST_F_TIMEOUT(min_wait, absolute_timeout, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_getevents_arg arg = { .min_wait_usec = 40000 };
	struct __kernel_timespec ts;
	long long begin;
	struct ring r;

	NEED_MIN_WAIT();
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, post(s, &r, 1));
	arg.ts = (uintptr_t)&ts;
	begin = now_ns(CLOCK_MONOTONIC);
	ts = ts_ns(begin + 3600 * NSEC_PER_SEC);
	EXPECT_EQ(0, s->enter(r.fd, 0, 4, GETEVENTS | EXT_ARG | ABS_TIMER, &arg,
			      sizeof(arg)));
	EXPECT_LE(40 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_GT(NOT_AN_HOUR, now_ns(CLOCK_MONOTONIC) - begin);
	*r.cq_head = *r.cq_tail;
	begin = now_ns(CLOCK_MONOTONIC);
	ts = ts_ns(begin + 90 * MS);
	EXPECT_EQ(-ETIME, s->enter(r.fd, 0, 4, GETEVENTS | EXT_ARG | ABS_TIMER,
				   &arg, sizeof(arg)));
	EXPECT_LE(90 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	ring_exit(&r);
}

/* A TIMEOUT request ends the wait during the minimum wait, too */
TEST_F_TIMEOUT(min_wait, ended_by_a_timeout, LIMIT)
{
	const struct side *s = variant->side;
	struct __kernel_timespec soon = ts_ns(30 * MS);
	struct ring r;
	long long took;

	NEED_MIN_WAIT();
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	prep_timeout(ring_sqe(&r), &soon, 0, 0);
	ring_publish(&r);
	ASSERT_EQ(1, s->enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(0, wait_min(s, &r, 4, HOUR_MS, HOUR_MS, &took));
	EXPECT_GT(NOT_AN_HOUR, took);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

/* The call that submits and waits returns the number of entries */
TEST_F_TIMEOUT(min_wait, submits_and_waits, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_getevents_arg arg = { .min_wait_usec = 30000 };
	long long begin = now_ns(CLOCK_MONOTONIC);
	struct ring r;

	NEED_MIN_WAIT();
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ring_nop(&r, 1);
	ring_nop(&r, 2);
	ring_publish(&r);
	EXPECT_EQ(2, s->enter(r.fd, 2, 4, GETEVENTS | EXT_ARG, &arg,
			      sizeof(arg)));
	EXPECT_LE(30 * MS, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(2, (int)ring_ready(&r));
	ring_exit(&r);
}

struct waiter {
	const struct side *s;
	struct ring *r;
	long long min_ms, ms, took;
	pthread_t self;
	pid_t tid;
	int ret;
	bool over;
};

static void *wait_in_enter(void *arg)
{
	struct waiter *w = arg;

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = wait_min(w->s, w->r, 4, w->min_ms, w->ms, &w->took);
	st_rel(&w->over, true);
	return NULL;
}

static void handler(int sig)
{
	(void)sig;
}

/* A signal ends both parts of the wait */
TEST_F_TIMEOUT(min_wait, interrupted, LIMIT)
{
	static const long long min_ms[] = { HOUR_MS, 1 };
	struct sigaction sa = { .sa_handler = handler };
	struct waiter w;
	unsigned int i;
	struct ring r;

	NEED_MIN_WAIT();
	sigaction(SIGUSR1, &sa, NULL);
	ASSERT_EQ(0, variant->side->setup(&r, 8, 0, 0));
	for (i = 0; i < ARRAY_SIZE(min_ms); i++) {
		w = (struct waiter){
			.s = variant->side, .r = &r, .min_ms = min_ms[i],
			.ms = HOUR_MS,
		};
		ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_enter, &w));
		EXPECT_TRUE(until(ld_acq(&w.tid) && task_waits(w.tid)));
		usleep(20000);
		EXPECT_TRUE(until(task_waits(w.tid)));
		pthread_kill(w.self, SIGUSR1);
		EXPECT_TRUE(until(ld_acq(&w.over)));
		pthread_join(w.self, NULL);
		EXPECT_EQ(-EINTR, w.ret);
	}
	ring_exit(&r);
}

static const char *waits_beside_io_uring(void *arg)
{
	static const struct {
		long long min_ms, ms, least;
		int there, ret;
	} rows[] = {
		{ 400, NO_LIMIT, 400, 0, -ETIME },
		{ 100, 400, 400, 0, -ETIME },
		{ 400, HOUR_MS, 400, 1, 0 },
	};
	int efd = eventfd(0, EFD_CLOEXEC), ret;
	struct ring busy, r;
	unsigned int i;
	long long took;

	written_often(efd);
	if (tree_setup(&busy, 8, 4096, 0))
		return "skip";
	prep_poll_multi(ring_sqe(&busy), efd, POLLIN);
	ring_publish(&busy);
	if (tree_enter(busy.fd, 1, 0, 0, NULL, 0) != 1)
		return "io_uring does not work";
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (ring_init(&r, 8, 0) ||
		    post(&module_side, &r, rows[i].there))
			return "no ring";
		ret = wait_min(&module_side, &r, 4, rows[i].min_ms, rows[i].ms,
			       &took);
		if (ret != rows[i].ret || took < rows[i].least * MS)
			return reason("row %u: %d after %lld ms", i, ret,
				      took / MS);
		ring_exit(&r);
	}
	return "";
}

/*
 * Task work of io_uring interrupts the wait every 20 ms. The kernel restarts the
 * call each time, and neither time of the wait begins anew.
 */
BOUNDED_TEST(restarted_with_its_deadlines)
{
	const char *said = child_ms(waits_beside_io_uring, NULL, 30000);

	if (!strcmp(said, "skip"))
		SKIP(return, "no io_uring in this kernel");
	EXPECT_STREQ("", said);
}

RING_TEST_MAIN
