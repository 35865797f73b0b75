// SPDX-License-Identifier: GPL-2.0
/*
 * The mappings of a ring: what can be mapped and what cannot, that both ring
 * offsets give the same memory (FEAT_SINGLE_MMAP), that a mapping keeps the
 * ring; and that the kernel trusts nothing in it (I10): whatever is written
 * over heads, tails, masks and entries, it neither hangs nor crashes, and
 * goes by its own copies.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define RW		(PROT_READ | PROT_WRITE)

static size_t page;

static size_t pages(size_t len)
{
	return (len + page - 1) / page * page;
}

/* 0, or -errno; unmapped again */
static int try_map(int fd, size_t len, int prot, int flags, unsigned long off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

RING_TEST(lengths)
{
	static const unsigned int sizes[] = { 1, 8, 3341, 32768 };
	static const unsigned long offs[] = {
		IOURING2_OFF_SQ_RING, IOURING2_OFF_CQ_RING, IOURING2_OFF_SQES,
	};
	unsigned int i, o;
	struct ring r;
	size_t len;

	page = sysconf(_SC_PAGESIZE);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, ring_init(&r, sizes[i], 0));
		for (o = 0; o < ARRAY_SIZE(offs); o++) {
			len = offs[o] == IOURING2_OFF_SQES ?
			      r.sqes_len : r.map_len;
			EXPECT_EQ(0, try_map(r.fd, len, RW, MAP_SHARED,
					     offs[o]));
			EXPECT_EQ(0, try_map(r.fd, 1, RW, MAP_SHARED,
					     offs[o]));
			EXPECT_EQ(0, try_map(r.fd, page, PROT_READ, MAP_SHARED,
					     offs[o]));
			EXPECT_EQ(0, try_map(r.fd, pages(len), RW, MAP_SHARED,
					     offs[o]));
			EXPECT_EQ(0, try_map(r.fd, len, RW,
					     MAP_SHARED | MAP_POPULATE,
					     offs[o]));
			/* A byte too much, a page, far too much */
			EXPECT_EQ(-EINVAL, try_map(r.fd, pages(len) + 1, RW,
						   MAP_SHARED, offs[o])) {
				TH_LOG("%u entries, offset %#lx", sizes[i],
				       offs[o]);
			}
			EXPECT_EQ(-EINVAL, try_map(r.fd, pages(len) + page, RW,
						   MAP_SHARED, offs[o]));
			EXPECT_EQ(-EINVAL, try_map(r.fd, 1UL << 30, RW,
						   MAP_SHARED, offs[o]));
			EXPECT_EQ(-EINVAL, try_map(r.fd, 0, RW, MAP_SHARED,
						   offs[o]));
		}
		ring_exit(&r);
	}
}

RING_TEST(offsets_and_kinds)
{
	unsigned long off;
	struct ring r;
	int dev;

	page = sysconf(_SC_PAGESIZE);
	ASSERT_EQ(0, ring_init(&r, 4096, 0));
	/* Not the second page of what is there, nor anything else */
	for (off = page; off < IOURING2_OFF_SQES; off <<= 1) {
		if (off == IOURING2_OFF_CQ_RING)
			continue;
		EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_SHARED, off)) {
			TH_LOG("offset %#lx", off);
		}
	}
	for (off = IOURING2_OFF_SQES << 1; off < 1UL << 62; off <<= 1) {
		EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_SHARED, off)) {
			TH_LOG("offset %#lx", off);
		}
	}
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_SHARED,
				   IOURING2_OFF_SQES + page));
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_SHARED,
				   IOURING2_OFF_CQ_RING + page));
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_SHARED,
				   IOURING2_OFF_PBUF_RING));
	/* A private copy would never see a completion */
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, RW, MAP_PRIVATE,
				   IOURING2_OFF_SQES));
	EXPECT_EQ(-EINVAL, try_map(r.fd, page, PROT_READ, MAP_PRIVATE,
				   IOURING2_OFF_CQ_RING));
	/* The device itself has nothing to map */
	dev = dev_open();
	ASSERT_LE(0, dev);
	EXPECT_GT(0, try_map(dev, page, RW, MAP_SHARED, 0));
	close(dev);
	ring_exit(&r);
}

RING_TEST(single_mmap)
{
	unsigned char *cq, *sq;
	struct ring r;
	size_t i;

	ASSERT_EQ(0, ring_init(&r, 64, 0));
	EXPECT_TRUE(r.setup.params.features & IOURING2_FEAT_SINGLE_MMAP);
	cq = mmap(NULL, r.map_len, RW, MAP_SHARED, r.fd, IOURING2_OFF_CQ_RING);
	ASSERT_NE(MAP_FAILED, cq);
	sq = r.map;
	ASSERT_EQ(0, ring_nop(&r, 0x1234));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, memcmp(sq, cq, r.map_len));
	/* Written through one, seen through the other */
	for (i = r.setup.params.cq_off.cqes; i < r.map_len; i++) {
		cq[i] = ~cq[i];
		ASSERT_EQ(cq[i], sq[i]);
	}
	munmap(cq, r.map_len);
	ring_exit(&r);
}

/* The memory that SETUP gives is clean, also where another ring was before */
RING_TEST(clean_memory)
{
	const unsigned char *p;
	struct ring r;
	size_t i, dirty;
	int round;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, ring_init(&r, 128, 0));
		p = (void *)r.sqes;
		for (i = 0, dirty = 0; i < r.sqes_len; i++)
			dirty += p[i] != 0;
		p = r.map;
		for (i = r.setup.params.cq_off.cqes; i < r.map_len; i++)
			dirty += p[i] != 0;
		EXPECT_EQ(0, (long)dirty);
		memset(r.sqes, 0xaa, r.sqes_len);
		memset(r.map, 0xaa, r.map_len);
		ring_exit(&r);
	}
}

RING_TEST(survives_close)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 77));
	EXPECT_EQ(1, ring_submit(&r));
	close(r.fd);
	r.fd = -1;
	EXPECT_EQ(self->before.counter[0] + 1, counter("rings"));
	EXPECT_EQ(1, (int)ring_ready(&r));
	EXPECT_EQ(77, (int)r.cqes[0].user_data);
	memset(r.sqes, 0x55, r.sqes_len);
	munmap(r.sqes, r.sqes_len);
	r.sqes = NULL;
	EXPECT_EQ(self->before.counter[0] + 1, counter("rings"));
	EXPECT_EQ(77, (int)r.cqes[0].user_data);
	ring_exit(&r);
	EXPECT_STREQ("", state_diff(&self->before, false));
}

RING_TEST(shared_after_fork)
{
	int status, ret;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (*r.cq_entries != 16 || ring_nop(&r, 5))
			_exit(1);
		ring_publish(&r);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* What the child queued, the parent submits */
	EXPECT_EQ(1, (int)*r.sq_tail);
	ret = enter(r.fd, 1, 1, GETEVENTS, NULL, 0);
	EXPECT_EQ(1, ret);
	EXPECT_EQ(5, (int)r.cqes[0].user_data);
	ring_exit(&r);
}

/* ------------------------------------------------------------- distrust */

/* The kernel's own idea of it, which nothing below may change */
static bool sane(struct ring *r)
{
	return fdinfo(r->fd, "SqMask") == r->setup.params.sq_entries - 1 &&
	       fdinfo(r->fd, "CqMask") == r->setup.params.cq_entries - 1 &&
	       fdinfo(r->fd, "Inflight") >= 0;
}

RING_TEST(sq_tail_too_far)
{
	static const unsigned int ahead[] = {
		9, 100, 0x7fffffff, 0x80000000, 0xfffffff0,
	};
	unsigned int i, head;
	struct ring r;
	int ret;

	for (i = 0; i < ARRAY_SIZE(ahead); i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 64));
		head = *r.sq_head;
		*r.sq_tail = head + ahead[i];
		/* The SQEs are all zero: NOPs */
		ret = enter(r.fd, ~0U, 0, 0, NULL, 0);
		EXPECT_TRUE(ret >= 0 && ret <= 8) {
			TH_LOG("tail %u ahead: %d", ahead[i], ret);
		}
		EXPECT_EQ(ret, (int)ring_ready(&r));
		EXPECT_EQ(head + ret, *r.sq_head);
		EXPECT_TRUE(sane(&r));
		ring_exit(&r);
	}
}

RING_TEST(sq_head_is_kernels)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ring_publish(&r);
		*r.sq_head = 0x12345678U * i;
		EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
		/* Written back from its own copy */
		EXPECT_EQ(i + 1, (int)*r.sq_head);
	}
	EXPECT_EQ(20, (int)ring_ready(&r));
	ring_exit(&r);
}

RING_TEST(cq_tail_is_kernels)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	for (i = 0; i < 20; i++) {
		*r.cq_tail = 0x12345678U * i;
		ASSERT_EQ(0, ring_nop(&r, 100 + i));
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_EQ(i + 1, (int)*r.cq_tail);
		EXPECT_EQ(100 + i, (int)r.cqes[i].user_data);
	}
	ring_exit(&r);
}

/* Sizes in shared memory are for the application only */
RING_TEST(masks_are_ignored)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	*r.sq_mask = ~0U;
	*r.sq_entries = ~0U;
	*r.cq_mask = ~0U;
	*r.cq_entries = ~0U;
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		EXPECT_EQ(1, ring_submit(&r));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
	}
	*r.cq_mask = 0;
	*r.cq_entries = 0;
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i % 4 == 3)
			EXPECT_EQ(4, ring_submit(&r));
	}
	EXPECT_EQ(4, fdinfo(r.fd, "Backlog"));
	EXPECT_TRUE(sane(&r));
	ring_exit(&r);
}

/* A head that has passed the tail, or lags behind by more than there are */
RING_TEST(cq_head_impossible)
{
	static const unsigned int heads[] = {
		1, 5, 1000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
	};
	unsigned int i, k;
	struct ring r;
	int ret;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 8));
		*r.cq_head = heads[i];
		for (k = 0; k < 40; k++) {
			if (ring_nop(&r, k))
				break;
			ret = ring_submit(&r);
			EXPECT_TRUE(ret == 1 || ret == -EBUSY) {
				TH_LOG("head %#x: %d", heads[i], ret);
			}
		}
		/* Waiting does not wait for what cannot come */
		ret = enter_timeout(r.fd, 0, 8, NSEC_PER_MSEC);
		EXPECT_TRUE(ret == 0 || ret == -ETIME);
		EXPECT_TRUE(sane(&r));
		/* Back to reason: whatever still waits comes */
		*r.cq_head = *r.cq_tail;
		EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
		*r.cq_head = *r.cq_tail;
		r.sqe_tail = *r.sq_tail = *r.sq_head;
		EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
		*r.cq_head = *r.cq_tail;
		ASSERT_EQ(0, ring_nop(&r, 99));
		EXPECT_EQ(1, ring_submit(&r));
		ring_exit(&r);
	}
}

/* The flags word is the kernel's to write, bit by bit */
RING_TEST(flags_are_rewritten)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(0, ring_nop(&r, i));
		EXPECT_EQ(2, ring_submit(&r));
	}
	EXPECT_EQ(2, fdinfo(r.fd, "Backlog"));
	/* Wiped by the application: it still counts as backlogged */
	*r.sq_flags = 0;
	ASSERT_EQ(0, ring_nop(&r, 9));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(2, (int)ring_ready(&r));
	/* Set by the application: nothing waits, nothing is refused */
	*r.cq_head = *r.cq_tail;
	*r.sq_flags = IOURING2_SQ_CQ_OVERFLOW;
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
}


static void scribble_page(struct ring *r, unsigned int *seed)
{
	__u32 *w = r->map;
	size_t n = r->map_len / sizeof(*w), i;

	for (i = 0; i < n; i++) {
		/* Sometimes all, more often a few; sometimes plausible */
		if (rand_r(seed) >> 8 & 3)
			continue;
		w[i] = rand_r(seed) >> 8 & 1 ? rand_r(seed) * 2U :
					       rand_r(seed) % 16;
	}
}

/* Opcodes that touch nothing of the process but may hang on to themselves */
static const unsigned char harmless[] = {
	IOURING2_OP_NOP, IOURING2_OP_FSYNC, IOURING2_OP_READ,
	IOURING2_OP_WRITE, IOURING2_OP_POLL_ADD, IOURING2_OP_POLL_REMOVE,
	IOURING2_OP_TIMEOUT, IOURING2_OP_TIMEOUT_REMOVE,
	IOURING2_OP_ASYNC_CANCEL, IOURING2_OP_LAST, 255,
};

static void random_sqes(struct ring *r, unsigned int *seed, int fd,
			const struct __kernel_timespec *ts)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < r->setup.params.sq_entries; i++) {
		sqe = &r->sqes[i];
		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = harmless[(rand_r(seed) >> 8) %
				       sizeof(harmless)];
		sqe->flags = rand_r(seed) >> 8;
		sqe->user_data = rand_r(seed) % 32;
		sqe->fd = rand_r(seed) >> 8 & 1 ? fd : -1;
		/* No address but that of a short time-out */
		if (sqe->opcode == IOURING2_OP_TIMEOUT) {
			sqe->addr = (uintptr_t)ts;
			sqe->len = 1;
			sqe->off = rand_r(seed) % 3;
		} else if (sqe->opcode != IOURING2_OP_READ &&
			   sqe->opcode != IOURING2_OP_WRITE) {
			sqe->addr = rand_r(seed) % 32;
			sqe->off = rand_r(seed) % 2;
			sqe->len = rand_r(seed) % 8;
		}
		sqe->rw_flags = (rand_r(seed) >> 8 & 1) * rand_r(seed) % 128;
	}
}

/* What ENTER may say to nonsense in a ring of @entries */
static bool possible(int ret, int entries)
{
	return ret < 0 ? ret == -EBUSY || ret == -EAGAIN : ret <= entries;
}

RING_TEST(scribbles)
{
	unsigned int seed = env_long("IOURING2_SEED", 12345);
	int i, round, ret, rounds = full_stress() ? 400 : 40;
	struct __kernel_timespec ts = ts_ns(1000);
	struct ring r;
	int p[2], fd;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (round = 0; round < rounds; round++) {
		unsigned int first = seed;

		ASSERT_EQ(0, ring_init_params(&r, 1U << round % 7, 0,
					      round & 8 ?
					      IOURING2_SETUP_SUBMIT_ALL : 0,
					      round & 1 ? 0 : 20));
		for (i = 0; i < 100; i++) {
			random_sqes(&r, &seed, round & 2 ? p[0] : fd, &ts);
			scribble_page(&r, &seed);
			ret = enter(r.fd, rand_r(&seed) % 70, 0,
				    i & 1 ? GETEVENTS : 0, NULL, 0);
			EXPECT_TRUE(possible(ret, 64)) {
				TH_LOG("%d, seed %u", ret, first);
			}
			if (i % 10 == 0) {
				ret = enter_timeout(r.fd, 0, 1, 100000);
				EXPECT_TRUE(ret == 0 || ret == -ETIME);
			}
		}
		EXPECT_TRUE(sane(&r)) {
			TH_LOG("seed %u", first);
		}
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("seed %u", first);
		}
	}
	close(fd);
	close(p[0]);
	close(p[1]);
}

/* The same while another process enters: nothing read twice is the same */
RING_TEST(scribbles_meanwhile)
{
	unsigned int seed = env_long("IOURING2_SEED", 54321), child_seed;
	struct __kernel_timespec ts = ts_ns(1000);
	int i, round, ret, status, rounds = full_stress() ? 100 : 10;
	struct ring r;
	pid_t pid;
	int fd;

	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (round = 0; round < rounds; round++) {
		ASSERT_EQ(0, ring_init(&r, 16, 16));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			child_seed = seed;
			for (;;) {
				scribble_page(&r, &child_seed);
				random_sqes(&r, &child_seed, fd, &ts);
			}
		}
		for (i = 0; i < 1000; i++) {
			ret = enter(r.fd, rand_r(&seed) % 20, 0, i & 1 ?
				    GETEVENTS : 0, NULL, 0);
			EXPECT_TRUE(possible(ret, 16)) {
				TH_LOG("%d", ret);
			}
		}
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(sane(&r));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false));
	}
	close(fd);
}

RING_TEST_MAIN
