// SPDX-License-Identifier: GPL-2.0-only
/*
 * I9 for rings that end at the moment when something happens to their requests:
 * a wake-up, the end of a worker's request, a timer that fires, a disk that
 * answers, or the death of the process. For each race a struct race says what
 * it puts on its ring.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "inflight.h"

#define RACES	(full_stress() ? 5000 : 250)
#define NR_EFD	4

/* What the rounds of a race have in common */
struct arena {
	struct hold hold;
	int fd;				/* the file that requests read from */
	struct __kernel_timespec ts[16];
	/* another thread writes to these all the time */
	pthread_t self;
	bool stop;
	int hammered[NR_EFD];
	int nr;
};

struct race {
	unsigned int sq, cq[2];		/* entries; CQ sizes alternate */
	unsigned int nr;		/* requests in a round */
	unsigned int fewer;		/* RACES / fewer rounds are done */
	/* Return: 0, -ENODEV if this machine lacks a device */
	int (*prepare)(struct arena *a);
	/* prepare request @j of round @i */
	void (*fill)(struct iouring2_sqe *sqe, struct arena *a, struct ring *r,
		     int i, int j);
	/* every @linger rounds, wait before the close; 0: never */
	int linger;
	long long linger_ns;
	void (*before)(struct arena *a);	/* before each submission */
};

static void *hammer(void *arg)
{
	struct arena *a = arg;
	uint64_t v = 1;
	int i;

	while (!ld_acq(&a->stop)) {
		for (i = 0; i < a->nr; i++)
			if (write(a->hammered[i], &v, sizeof(v)) < 0 &&
			    errno != EAGAIN)
				return (void *)1;
		/* there may be only one processor */
		sched_yield();
	}
	return NULL;
}

/* --- wake-ups from another thread, at any moment of the close ----------- */

static int wakeups_prepare(struct arena *a)
{
	while (a->nr < NR_EFD)
		a->hammered[a->nr++] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return 0;
}

static void wakeups_fill(struct iouring2_sqe *sqe, struct arena *a,
			 struct ring *r, int i, int j)
{
	switch ((i + j) % 4) {
	case 0:
		prep_poll_multi(sqe, a->hammered[j % NR_EFD], POLLIN);
		break;
	case 1:
		prep_read(sqe, a->hammered[j % NR_EFD], scratch + 8 * j, 8, -1);
		break;
	case 2:
		prep_poll_multi(sqe, r->fd, POLLIN);
		break;
	default:
		prep_poll(sqe, a->hammered[j % NR_EFD], POLLIN);
		break;
	}
}

/* Make the eventfds unreadable, so that the requests have to wait */
static void wakeups_before(struct arena *a)
{
	uint64_t v;
	int i;

	for (i = 0; i < NR_EFD; i++)
		if (read(a->hammered[i], &v, sizeof(v)) < 0)
			continue;
}

static const struct race wakeups = {
	.sq = SQ, .cq = { 256, CQ }, .nr = SQ, .fewer = 1,
	.prepare = wakeups_prepare,
	.fill = wakeups_fill,
	.before = wakeups_before,
};

/* --- workers that are just done, or just begin -------------------------- */

static int workers_prepare(struct arena *a)
{
	char path[64];
	int ret;

	ret = use_fifo(&a->hold);
	if (ret)
		return ret;
	/* Reads use a blocking open file, the writer a non-blocking one */
	a->fd = a->hold.use[0];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->fd);
	a->hammered[0] = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	a->nr = 1;
	return a->hammered[0] < 0 ? -errno : 0;
}

static void workers_fill(struct iouring2_sqe *sqe, struct arena *a,
			 struct ring *r, int i, int j)
{
	if ((i + j) % 5 == 4)
		prep_nop(sqe);
	else
		prep_read(sqe, a->fd, scratch + 512 * j, 1 + (i + j) % 300, -1);
	sqe->flags = ((i + j) % 3 ? ASYNC : 0) | (j % 4 == 1 ? LINK : 0);
}

static const struct race workers = {
	.sq = 8, .cq = { 8, 8 }, .nr = 8, .fewer = 4,
	.prepare = workers_prepare,
	.fill = workers_fill,
	.linger = 4, .linger_ns = NSEC_PER_MSEC,
};

/* --- timers that fire just now ------------------------------------------ */

static int timers_prepare(struct arena *a)
{
	return 0;
}

static void timers_fill(struct iouring2_sqe *sqe, struct arena *a,
			struct ring *r, int i, int j)
{
	a->ts[j] = ts_ns(1000LL * (i + 1) * (j + 1) % 2000000);
	prep_timeout(sqe, &a->ts[j], 0, j % 3 ? 0 :
		     IOURING2_TIMEOUT_MULTISHOT);
	/* a timeout that a worker is about to start */
	if (i % 2 && j % 4 == 3) {
		sqe->off = 1000;
		sqe->flags = ASYNC;
	}
}

static const struct race timers = {
	.sq = 16, .cq = { 16, 16 }, .nr = 16, .fewer = 1,
	.prepare = timers_prepare,
	.fill = timers_fill,
	.linger = 3, .linger_ns = NSEC_PER_MSEC / 2,
};

/* --- a disk that answers just now --------------------------------------- */

static int direct_prepare(struct arena *a)
{
	a->fd = disk_open();
	return a->fd < 0 ? -ENODEV : 0;
}

static void direct_fill(struct iouring2_sqe *sqe, struct arena *a,
			struct ring *r, int i, int j)
{
	prep_read(sqe, a->fd, scratch, 4096 << i % 5,
		  (__u64)(i * 8 + j) % 64 << 19);
}

static const struct race direct = {
	.sq = 16, .cq = { 16, 16 }, .nr = 8, .fewer = 2,
	.prepare = direct_prepare,
	.fill = direct_fill,
	.linger = 3, .linger_ns = NSEC_PER_MSEC,
};

/* ------------------------------------------------------------------ tests */

static int round_of(const struct race *race, struct arena *a, int i)
{
	struct ring r;
	int j, ret;

	ret = ring_init(&r, race->sq, race->cq[i % 2]);
	if (ret)
		return ret;
	for (j = 0; j < (int)race->nr; j++)
		race->fill(ring_sqe(&r), a, &r, i, j);
	if (race->before)
		race->before(a);
	ret = submit(&r, race->nr);
	if (!ret && race->linger && i % race->linger == 0)
		enter_timeout(r.fd, 0, i % 5, race->linger_ns);
	ring_exit(&r);
	return ret;
}

/* Return: "" or what was wrong; NULL if this machine lacks a device */
static const char *run(const struct race *race)
{
	struct arena a = { .hold = { .lock = -1, .notify = -1 }, .fd = -1 };
	struct state before;
	long rings = counter("rings");
	const char *bad = "";
	int i, ret;

	ret = race->prepare(&a);
	if (ret)
		return ret == -ENODEV ? NULL : failed("prepare", "", ret);
	if (a.nr && pthread_create(&a.self, NULL, hammer, &a))
		return failed("thread", "", errno);
	state_read(&before);
	for (i = 0; i < RACES / (int)race->fewer && !*bad; i++) {
		ret = round_of(race, &a, i);
		if (ret)
			bad = failed("round", "", ret);
		else if (counter("rings") != rings)
			bad = "the ring ends after its close";
		else if (i % 32 == 0)
			bad = state_diff(&before, false);
	}
	if (!*bad)
		bad = state_diff(&before, false);
	st_rel(&a.stop, true);
	if (a.nr)
		pthread_join(a.self, NULL);
	while (a.nr)
		close(a.hammered[--a.nr]);
	close(a.fd);
	return bad;
}

#define EXPECT_NOTHING_LEFT(race)					\
do {									\
	const char *__bad = run(race);					\
									\
	if (!__bad)							\
		SKIP(return, "no disk to read from");			\
	EXPECT_STREQ("", __bad);					\
} while (0)

RING_TEST(race_wakeups)
{
	EXPECT_NOTHING_LEFT(&wakeups);
}

RING_TEST(race_workers)
{
	EXPECT_NOTHING_LEFT(&workers);
}

RING_TEST(race_timers)
{
	EXPECT_NOTHING_LEFT(&timers);
}

RING_TEST(race_direct)
{
	EXPECT_NOTHING_LEFT(&direct);
}

/* A process that makes rings and closes them is killed at any moment */
RING_TEST(race_kill)
{
	int i, rounds = full_stress() ? 1000 : 40;
	struct state before;
	struct talk t;
	pid_t pid;

	crowded = true;
	state_read(&before);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, talk_open(&t));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			talk_child(&t);
			say(&t, '+');
			for (;;)
				if (one_round(i++))
					_exit(1);
		}
		talk_parent(&t);
		EXPECT_EQ('+', listen_to(&t));
		usleep(1000 * (i * 7 % 50));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, reap(pid));
		EXPECT_STREQ("", state_diff(&before, false)) {
			TH_LOG("round %d", i);
		}
		state_read(&before);
		talk_close(&t);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return ring_test_main(argc, argv);
}
