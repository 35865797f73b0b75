// SPDX-License-Identifier: GPL-2.0-only
/*
 * REGISTER CLOCK sets the clock of the waits in ENTER. Most tests run on the
 * kernel's own io_uring as well.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "sides.h"

/* glibc has it since 2.32 */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

#define BAD_ADDR	((void *)-4096L)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define ABS_TIMER	IOURING2_ENTER_ABS_TIMER
#define CLOCK		IOURING2_REGISTER_CLOCK
#define MS		NSEC_PER_MSEC

SIDE_FIXTURE(clock);

static int set_clock(const struct side *s, struct ring *r, clockid_t clock)
{
	struct iouring2_clock_register reg = { .clockid = clock };

	return s->reg(r->fd, CLOCK, &reg, 0);
}

static bool tree_has_clock(void)
{
	struct ring r;
	int ret;

	if (tree_setup(&r, 4, 0, 0))
		return false;
	ret = set_clock(&tree_side, &r, CLOCK_MONOTONIC);
	ring_exit(&r);
	return !ret;
}

TEST_F_TIMEOUT(clock, refused, LIMIT)
{
	static const clockid_t bad[] = {
		CLOCK_REALTIME, CLOCK_PROCESS_CPUTIME_ID,
		CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
		CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
		CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI, 12, -1,
		CLOCK_MONOTONIC + 256, INT_MIN,
	};
	const struct side *s = variant->side;
	struct iouring2_clock_register reg = { .clockid = CLOCK_BOOTTIME };
	unsigned int i;
	struct ring r;

	NEED_SIDE(tree_has_clock());
	ASSERT_EQ(0, s->setup(&r, 4, 0, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, CLOCK, NULL, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, CLOCK, &reg, 1));
	EXPECT_EQ(-EFAULT, s->reg(r.fd, CLOCK, BAD_ADDR, 0));
	for (i = 0; i < ARRAY_SIZE(reg.__resv); i++) {
		reg.__resv[i] = 1;
		EXPECT_EQ(-EINVAL, s->reg(r.fd, CLOCK, &reg, 0));
		reg.__resv[i] = 0;
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, set_clock(s, &r, bad[i])) {
			TH_LOG("clock %d", bad[i]);
		}
	EXPECT_EQ(0, s->reg(r.fd, CLOCK, &reg, 0));
	EXPECT_EQ(0, set_clock(s, &r, CLOCK_MONOTONIC));
	ring_exit(&r);
}

/* Wait in vain for @ms by @clock. Return: "" or what is wrong. */
static const char *waits(const struct side *s, struct ring *r, clockid_t clock,
			 long long ms, bool absolute, unsigned int min_ms)
{
	struct iouring2_getevents_arg arg = { .min_wait_usec = 1000 * min_ms };
	long long begin = now_ns(clock), took;
	struct __kernel_timespec ts;
	int ret;

	ts = ts_ns(ms * MS + (absolute ? begin : 0));
	arg.ts = (uintptr_t)&ts;
	ret = s->enter(r->fd, 0, 1, GETEVENTS | EXT_ARG |
		       (absolute ? ABS_TIMER : 0), &arg, sizeof(arg));
	took = now_ns(clock) - begin;
	if (ret != -ETIME)
		return reason("ENTER: %d", ret);
	return took < ms * MS || took < min_ms * MS ?
		reason("%lld ms instead of %lld", took / MS, ms) : "";
}

TEST_F_TIMEOUT(clock, waits_by_it, LIMIT)
{
	static const clockid_t clocks[] = {
		CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC,
	};
	const struct side *s = variant->side;
	unsigned int i;
	struct ring r;

	NEED_SIDE(tree_has_clock());
	ASSERT_EQ(0, s->setup(&r, 4, 0, 0));
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		EXPECT_EQ(0, set_clock(s, &r, clocks[i]));
		EXPECT_STREQ("", waits(s, &r, clocks[i], 30, false, 0));
		EXPECT_STREQ("", waits(s, &r, clocks[i], 30, true, 0));
		EXPECT_STREQ("", waits(s, &r, clocks[i], 30, false, 60));
	}
	ring_exit(&r);
}

/* In a time namespace in which the two clocks differ by weeks */
static const char *waits_in_space(void *arg)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	const char *said = "";
	unsigned int i;
	struct ring r;

	if (ring_init(&r, 4, 0))
		return "no ring";
	for (i = 0; i < 2 && !*said; i++) {
		if (set_clock(&module_side, &r, clocks[i]))
			return "REGISTER CLOCK fails";
		said = waits(&module_side, &r, clocks[i], 50, true, 0);
		if (!*said)
			said = waits(&module_side, &r, clocks[i], 50, false, 0);
		if (*said)
			said = reason("clock %d: %s", clocks[i], said);
	}
	ring_exit(&r);
	return said;
}

/* A wait by the wrong clock would last for weeks, or end at once */
static const char *in_time_space(void *arg)
{
	const char *offset = arg;

	if (unshare(CLONE_NEWTIME) ||
	    write_text("/proc/self/timens_offsets", "%s", offset))
		return "no time namespaces";
	return in_child(waits_in_space, NULL);
}

BOUNDED_TEST(not_by_the_other_clock)
{
	const char *said = child_ms(in_time_space, "boottime 1000000 0", 40000);

	if (!strcmp(said, "no time namespaces"))
		SKIP(return, "%s", said);
	EXPECT_STREQ("", said);
	EXPECT_STREQ("", child_ms(in_time_space, "monotonic 1000000 0", 40000));
}

/* The clock is that of one ring, and others keep theirs */
TEST_F_TIMEOUT(clock, of_one_ring, LIMIT)
{
	const struct side *s = variant->side;
	struct ring a, b;

	NEED_SIDE(tree_has_clock());
	ASSERT_EQ(0, s->setup(&a, 4, 0, 0));
	ASSERT_EQ(0, s->setup(&b, 4, 0, 0));
	EXPECT_EQ(0, set_clock(s, &a, CLOCK_BOOTTIME));
	EXPECT_STREQ("", waits(s, &a, CLOCK_BOOTTIME, 20, true, 0));
	EXPECT_STREQ("", waits(s, &b, CLOCK_MONOTONIC, 20, true, 0));
	ring_exit(&a);
	ring_exit(&b);
}

RING_TEST_MAIN
