// SPDX-License-Identifier: GPL-2.0-only
/*
 * SETUP fails at each of its steps in turn (I7, I8). It must return an errno
 * and have no other effect: no descriptor, no object, no charge, no module
 * reference, and no write to the caller's struct. No state assertion may fire,
 * and the next ring must work.
 *
 * With 3341 entries, io_uring's backlog once crashed the kernel when its ring
 * could not be allocated.
 *
 * This test needs a debug build of the module: other builds have no
 * setup_fail_nth.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define FAIL_POINT	"/sys/module/iouring2/parameters/setup_fail_point"

/* SETUP has fewer steps than this */
#define MAX_STEPS	100

/* Each step that can fail; the test fails if one of them never failed */
static const char *const steps[] = {
	"ring struct", "rings struct",
	"rings memory", "rings page array", "rings pages", "rings vmap",
	"cqes memory", "cqes page array", "cqes pages", "cqes vmap",
	"sqes memory", "sqes page array", "sqes pages", "sqes vmap",
	"rings pin", "sqes pin",
	"ring submitter", "file descriptor", "file anon inode", "file copy-out",
};

struct combination {
	unsigned int entries, cq, flags, max_inflight;
	bool fragmented;	/* contiguous allocations fail */
	int falls_back;		/* allocations that need not be contiguous */
};

RING_FIXTURE(combination) {
	struct combination is;
};

FIXTURE_VARIANT_ADD(combination, of_3341) { { 3341, .falls_back = 3 } };
FIXTURE_VARIANT_ADD(combination, of_3341_cq_8192) {
	{ 3341, 8192, .falls_back = 3 }
};

FIXTURE_VARIANT_ADD(combination, of_3341_no_array) {
	{ 3341, 0, IOURING2_SETUP_NO_SQARRAY, .falls_back = 2 }
};

FIXTURE_VARIANT_ADD(combination, of_3341_fragmented) {
	{ 3341, .fragmented = true }
};

FIXTURE_VARIANT_ADD(combination, of_1) { { 1 } };
FIXTURE_VARIANT_ADD(combination, of_1_cq_1) { { 1, 1 } };
FIXTURE_VARIANT_ADD(combination, of_1_fragmented) { { 1, .fragmented = true } };
FIXTURE_VARIANT_ADD(combination, of_8_one_in_flight) { { 8, 0, 0, 1 } };
FIXTURE_VARIANT_ADD(combination, of_128_cq_65536) {
	{ 128, 65536, .falls_back = 2 }
};

FIXTURE_VARIANT_ADD(combination, of_128_cq_65536_fragmented) {
	{ 128, 65536, .fragmented = true }
};

FIXTURE_VARIANT_ADD(combination, of_32768) { { 32768, .falls_back = 3 } };
FIXTURE_VARIANT_ADD(combination, too_many_clamped) {
	{ 100000, 0, IOURING2_SETUP_CLAMP, .falls_back = 3 }
};

FIXTURE_VARIANT_ADD(combination, of_1_own_memory) {
	{ 1, 0, IOURING2_SETUP_NO_MMAP }
};

FIXTURE_VARIANT_ADD(combination, of_3341_own_memory) {
	{ 3341, 8192, IOURING2_SETUP_NO_MMAP | IOURING2_SETUP_NO_SQARRAY }
};

FIXTURE_VARIANT_ADD(combination, submit_all_coop_taskrun) {
	{ 64, 0, IOURING2_SETUP_SUBMIT_ALL | IOURING2_SETUP_COOP_TASKRUN }
};

FIXTURE_VARIANT_ADD(combination, of_3341_sqe128_cqe32) {
	{ 3341, 0, IOURING2_SETUP_SQE128 | IOURING2_SETUP_CQE32,
	  .falls_back = 3 }
};

FIXTURE_VARIANT_ADD(combination, of_128_cq_65536_mixed_fragmented) {
	{ 128, 65536, IOURING2_SETUP_SQE_MIXED | IOURING2_SETUP_CQE_MIXED,
	  .fragmented = true }
};

FIXTURE_VARIANT_ADD(combination, of_8_deferring) {
	{ 8, 0, IOURING2_SETUP_SINGLE_ISSUER | IOURING2_SETUP_DEFER_TASKRUN |
		IOURING2_SETUP_TASKRUN_FLAG }
};

static void last_point(char *name, size_t size)
{
	char *nl;

	if (read_text(FAIL_POINT, name, size) < 0)
		name[0] = '\0';
	nl = strchr(name, '\n');
	if (nl)
		*nl = '\0';
	if (!strcmp(name, "(null)"))
		name[0] = '\0';
}

/* Execute requests inline, in a worker, after a wake-up and by a timer */
static const char *works(const struct combination *c)
{
	struct __kernel_timespec ts = { .tv_nsec = 1000 };
	struct iouring2_sqe *sqe;
	char in[4], out[4] = "abc";
	const char *bad = "";
	struct ring r;
	int sv[2];

	if (ring_init_params(&r, c->entries, c->cq, c->flags, c->max_inflight))
		return "SETUP";
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv)) {
		ring_exit(&r);
		return "socketpair";
	}
	sqe = ring_sqe(&r);
	prep_nop(sqe);
	if (ring_do(&r) != 0)
		bad = "NOP";
	sqe = ring_sqe(&r);
	prep_write(sqe, sv[0], out, sizeof(out), 0);
	if (ring_do(&r) != sizeof(out))
		bad = "WRITE";
	sqe = ring_sqe(&r);
	prep_read(sqe, sv[1], in, sizeof(in), 0);
	sqe->flags = IOURING2_SQE_ASYNC;
	if (ring_do(&r) != sizeof(in) || memcmp(in, out, sizeof(in)))
		bad = "READ";
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	if (ring_do(&r) != -ETIME)
		bad = "TIMEOUT";
	close(sv[0]);
	close(sv[1]);
	ring_exit(&r);
	return bad;
}

static bool expected(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
	       err == -EFAULT;
}

/* Call SETUP with a failing step. Return: as dev_setup(). @name: the step. */
static int setup_failing(const struct combination *c, int nth,
			 struct iouring2_setup *s, char *name, size_t size)
{
	int fd;

	if (module_param_set("setup_fragmented", c->fragmented) ||
	    module_param_set("setup_fail_nth", nth))
		return -EINVAL;
	fd = dev_setup(s);
	last_point(name, size);
	return fd;
}

/* The memory of all rings with SETUP_NO_MMAP, one after the other */
static struct ring memory;

static void setup_of(const struct combination *c, struct iouring2_setup *s)
{
	memset(s, 0, sizeof(*s));
	s->entries = c->entries;
	s->max_inflight = c->max_inflight;
	s->params.flags = c->flags;
	if (c->cq) {
		s->params.flags |= IOURING2_SETUP_CQSIZE;
		s->params.cq_entries = c->cq;
	}
	if (!(c->flags & IOURING2_SETUP_NO_MMAP))
		return;
	ring_unmap(&memory);
	memory.setup = *s;
	if (!ring_memory(&memory))
		*s = memory.setup;
}

/* A contiguous allocation failed, and SETUP succeeded without it */
static bool fell_back(int fd, const char *name)
{
	return fd >= 0 && strstr(name, " memory");
}

TEST_F_TIMEOUT(combination, every_step, LIMIT)
{
	const struct combination *c = &variant->is;
	struct iouring2_setup s, was;
	int nth, fd, falls = 0;
	char name[64];

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	for (nth = 1; nth <= MAX_STEPS; nth++) {
		setup_of(c, &s);
		was = s;
		fd = setup_failing(c, nth, &s, name, sizeof(name));
		EXPECT_EQ(0, module_param("setup_fail_nth"));
		if (fd >= 0 && !name[0])
			break;

		EXPECT_STRNE("", name);
		TH_LOG("step %d: %s, errno %d", nth, name, fd < 0 ? -fd : 0);
		if (fd >= 0) {
			EXPECT_TRUE(fell_back(fd, name));
			close(fd);
			falls++;
			/* run it again: now the fallback memory is used */
			ASSERT_EQ(0, module_param_set("setup_fail_nth", nth));
		} else {
			EXPECT_TRUE(expected(fd));
			/* nothing is written to the caller's struct */
			EXPECT_EQ(0, memcmp(&s, &was, sizeof(s)));
		}
		ASSERT_STREQ("", state_diff(&self->before, true));
		ASSERT_STREQ("", works(c));
		ASSERT_STREQ("", state_diff(&self->before, true));
	}
	ASSERT_LE(0, fd) {
		TH_LOG("SETUP still fails after the last step, with %d", fd);
	}
	EXPECT_STREQ("", name);
	EXPECT_EQ(c->falls_back, falls);
	close(fd);
	/* Once more, with no failure armed */
	EXPECT_STREQ("", works(c));
	ASSERT_STREQ("", state_diff(&self->before, true));
	module_param_set("setup_fail_pid", 0);
	module_param_set("setup_fragmented", 0);
}

/* Each step listed above has failed, with contiguous memory or without */
RING_TEST(every_step)
{
	static const struct combination combinations[] = {
		{ 3341 }, { 3341, .fragmented = true },
		{ 3341, .flags = IOURING2_SETUP_NO_MMAP },
	};
	unsigned int i, k, failed = 0;
	struct iouring2_setup s;
	char name[64];
	int nth, fd;

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	for (i = 0; i < ARRAY_SIZE(combinations); i++) {
		for (nth = 1; nth <= MAX_STEPS; nth++) {
			setup_of(&combinations[i], &s);
			fd = setup_failing(&combinations[i], nth, &s, name,
					   sizeof(name));
			if (fd >= 0)
				close(fd);
			for (k = 0; k < ARRAY_SIZE(steps); k++)
				if (!strcmp(name, steps[k]))
					failed |= 1U << k;
			if (!name[0])
				break;
		}
	}
	for (k = 0; k < ARRAY_SIZE(steps); k++) {
		EXPECT_TRUE(failed >> k & 1) {
			TH_LOG("never failed: %s", steps[k]);
		}
	}
	module_param_set("setup_fail_pid", 0);
	module_param_set("setup_fragmented", 0);
}

/* Slab memory that cannot be reclaimed, in KiB */
static long slab_kib(void)
{
	char text[8192], *at;

	if (read_text("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "SUnreclaim:");
	return at ? strtol(at + strlen("SUnreclaim:"), NULL, 10) : -1;
}

/*
 * A leak that no counter shows accumulates, for example 16 KiB of page pointers
 */
RING_TEST(nothing_adds_up)
{
	enum { TIMES = 200 };
	struct combination c = { 1, 8192 };
	struct iouring2_setup s;
	char name[64] = "begin";
	int nth, i, fd = -1;
	long before;

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	for (nth = 1; nth <= 2 * MAX_STEPS && name[0]; nth++) {
		/*
		 * run all steps twice, the second time without contiguous
		 * memory
		 */
		c.fragmented = nth > MAX_STEPS;
		before = slab_kib();
		ASSERT_LT(0, before);
		for (i = 0; i < TIMES && name[0]; i++) {
			setup_of(&c, &s);
			fd = setup_failing(&c, (nth - 1) % MAX_STEPS + 1, &s,
					   name, sizeof(name));
			if (fd >= 0)
				close(fd);
		}
		EXPECT_GT(TIMES * 16, slab_kib() - before) {
			TH_LOG("step %d", nth);
		}
		/* there are no more steps that can fail */
		if (!name[0] && nth <= MAX_STEPS) {
			nth = MAX_STEPS;
			strcpy(name, "again");
		}
	}
	EXPECT_LE(0, fd);
	EXPECT_STREQ("", name);
	module_param_set("setup_fail_pid", 0);
	module_param_set("setup_fragmented", 0);
}

/* A SETUP of another process does not fail */
RING_TEST(other_process_spared)
{
	struct iouring2_setup s;
	int fd;

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", 1));
	ASSERT_EQ(0, module_param_set("setup_fail_nth", 1));
	memset(&s, 0, sizeof(s));
	s.entries = 8;
	fd = dev_setup(&s);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(1, module_param("setup_fail_nth"));
	ASSERT_EQ(0, module_param_set("setup_fail_nth", 0));
	ASSERT_EQ(0, module_param_set("setup_fail_pid", 0));
}

RING_TEST_MAIN
