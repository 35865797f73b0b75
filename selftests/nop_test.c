// SPDX-License-Identifier: GPL-2.0-only
/*
 * NOP with each combination of its flags, started in each way: the result, both
 * halves of the CQE, and what becomes of the file. The in-tree ring gives the
 * same results, if the kernel has these flags.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define INJECT		IOURING2_NOP_INJECT_RESULT
#define FILE_OF		IOURING2_NOP_FILE
#define FIXED_FILE	IOURING2_NOP_FIXED_FILE
#define FIXED_BUFFER	IOURING2_NOP_FIXED_BUFFER
#define TW		IOURING2_NOP_TW
#define BIG		IOURING2_NOP_CQE32
#define ALL_FLAGS	(INJECT | FILE_OF | FIXED_FILE | FIXED_BUFFER | TW | BIG)

#define NO_SUCH_FD	1000
#define FIRST		0x1111222233334444ULL
#define SECOND		0x5555666677778888ULL

/* One NOP */
struct nop {
	unsigned int flags, sqe_flags;
	int inject, fd;
};

static void prep_it(struct iouring2_sqe *sqe, const struct nop *n)
{
	prep_nop(sqe);
	sqe->nop_flags = n->flags;
	sqe->flags = n->sqe_flags;
	sqe->len = n->inject;
	sqe->fd = n->fd;
	sqe->off = FIRST;
	sqe->addr = SECOND;
	sqe->user_data = 7;
}

/* What its CQE must be in a ring with the set-up flags @setup */
static struct big_cqe cqe_of(const struct nop *n, unsigned int setup)
{
	bool fixed = (n->flags & FIXED_FILE) ||
		     (n->sqe_flags & IOURING2_SQE_FIXED_FILE);
	struct big_cqe c = { .user_data = 7, .slots = 1 };

	if (n->flags & BIG &&
	    !(setup & (IOURING2_SETUP_CQE32 | IOURING2_SETUP_CQE_MIXED))) {
		c.res = -EINVAL;
		return c;
	}
	/* nothing is registered */
	if (n->flags & FILE_OF && (fixed || n->fd < 0 || n->fd == NO_SUCH_FD))
		c.res = -EBADF;
	else if (n->flags & FIXED_BUFFER)
		c.res = -EFAULT;
	else if (n->flags & INJECT)
		c.res = n->inject;
	if (!(n->flags & BIG))
		return c;
	c.extra[0] = FIRST;
	c.extra[1] = SECOND;
	if (setup & IOURING2_SETUP_CQE_MIXED) {
		c.flags = IOURING2_CQE_F_32;
		c.slots = 2;
	}
	return c;
}

/* A ring of the module, or of the kernel's io_uring */
struct side {
	struct ring r;
	bool native;
};

static int side_init(struct side *s, bool native, unsigned int flags)
{
	struct iouring2_setup setup = {
		.entries = 4, .params = { .flags = flags },
	};

	s->native = native;
	if (!native)
		return ring_init_setup(&s->r, &setup);
	memset(&s->r, 0, sizeof(s->r));
	s->r.setup = setup;
	s->r.fd = syscall(__NR_io_uring_setup, 4, &s->r.setup.params);
	return s->r.fd < 0 ? -errno : ring_map(&s->r);
}

static int side_enter(struct side *s, unsigned int nr, unsigned int min)
{
	int ret;

	if (!s->native)
		return enter(s->r.fd, nr, min, GETEVENTS, NULL, 0);
	ret = syscall(__NR_io_uring_enter, s->r.fd, nr, min, GETEVENTS, NULL, 0);
	return ret < 0 ? -errno : ret;
}

/* Do one NOP. The next completion that is not skipped is its CQE. */
static const char *side_do(struct side *s, const struct nop *n, struct big_cqe *c)
{
	struct iouring2_sqe *sqe = ring_sqe(&s->r);
	int ret;

	if (!sqe)
		return "no SQE";
	prep_it(sqe, n);
	ring_publish(&s->r);
	ret = side_enter(s, 1, 1);
	if (ret != 1)
		return reason("ENTER: %d", ret);
	do {
		if (!ring_ready(&s->r))
			side_enter(s, 0, 1);
		if (!ring_peek_big(&s->r, c))
			return "no CQE";
	} while (c->flags == IOURING2_CQE_F_SKIP);
	return ring_ready(&s->r) ? "a second CQE" : "";
}

static const char *same(const struct big_cqe *c, const struct big_cqe *want)
{
	if (c->user_data != want->user_data || c->res != want->res ||
	    c->flags != want->flags || c->slots != want->slots ||
	    memcmp(c->extra, want->extra, sizeof(c->extra)))
		return reason("result %d, flags %#x, %#llx %#llx", c->res,
			      c->flags, c->extra[0], c->extra[1]);
	return "";
}

/* All that is tried: @i-th combination. Return: false after the last one. */
static bool combination(struct nop *n, int fd, unsigned int i)
{
	static const int injected[] = { 0, 5, -EPROTO };
	static const unsigned int started[] = {
		0, IOURING2_SQE_ASYNC, IOURING2_SQE_IO_LINK,
		IOURING2_SQE_FIXED_FILE, IOURING2_SQE_IO_DRAIN,
	};
	const int fds[] = { fd, -1, NO_SUCH_FD };

	n->flags = i % (ALL_FLAGS + 1);
	i /= ALL_FLAGS + 1;
	n->inject = injected[i % 3];
	i /= 3;
	n->fd = fds[i % 3];
	i /= 3;
	if (i >= ARRAY_SIZE(started))
		return false;
	n->sqe_flags = started[i];
	return true;
}

RING_FIXTURE(sizes) {
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(sizes, cqe16) { 0 };
FIXTURE_VARIANT_ADD(sizes, cqe32) { IOURING2_SETUP_CQE32 };
FIXTURE_VARIANT_ADD(sizes, mixed) { IOURING2_SETUP_CQE_MIXED };

TEST_F_TIMEOUT(sizes, all_flags, LIMIT)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct big_cqe c, want;
	struct side s;
	unsigned int i;
	struct nop n;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, side_init(&s, false, variant->setup));
	for (i = 0; combination(&n, fd, i); i++) {
		want = cqe_of(&n, variant->setup);
		ASSERT_STREQ("", side_do(&s, &n, &c));
		EXPECT_STREQ("", same(&c, &want)) {
			TH_LOG("flags %#x, SQE flags %#x, injected %d, fd %d",
			       n.flags, n.sqe_flags, n.inject, n.fd);
		}
	}
	ring_exit(&s.r);
	close(fd);
}

TEST_F_TIMEOUT(sizes, as_io_uring, LIMIT)
{
	const struct nop newest = { BIG | TW, 0, 0, -1 };
	int fd = eventfd(0, EFD_CLOEXEC);
	struct side ours, theirs;
	struct big_cqe c, want;
	unsigned int i;
	struct nop n;

	/* the flags came one after the other: this kernel must have all */
	if (side_init(&theirs, true, IOURING2_SETUP_CQE_MIXED))
		SKIP(return, "io_uring has no rings of both sizes here");
	EXPECT_STREQ("", side_do(&theirs, &newest, &c));
	ring_exit(&theirs.r);
	if (c.res)
		SKIP(return, "io_uring has no such flags here");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, side_init(&theirs, true, variant->setup));
	ASSERT_EQ(0, side_init(&ours, false, variant->setup));
	for (i = 0; combination(&n, fd, i); i++) {
		ASSERT_STREQ("", side_do(&theirs, &n, &want));
		ASSERT_STREQ("", side_do(&ours, &n, &c));
		EXPECT_STREQ("", same(&c, &want)) {
			TH_LOG("flags %#x, SQE flags %#x, injected %d, fd %d",
			       n.flags, n.sqe_flags, n.inject, n.fd);
		}
	}
	ring_exit(&ours.r);
	ring_exit(&theirs.r);
	close(fd);
}

/* A NOP has its file no longer than it runs */
RING_TEST(drops_its_file)
{
	static const unsigned int flags[] = { FILE_OF, FILE_OF | TW };
	static const unsigned int sqe_flags[] = { 0, IOURING2_SQE_ASYNC };
	struct big_cqe c;
	struct side s;
	int p[2], i;
	struct nop n;

	ASSERT_EQ(0, side_init(&s, false, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
		n = (struct nop) { flags[i / 2], sqe_flags[i % 2], 0, p[1] };
		ASSERT_STREQ("", side_do(&s, &n, &c));
		EXPECT_EQ(0, c.res);
		close(p[1]);
		EXPECT_TRUE(until(hung_up(p[0])));
		close(p[0]);
	}
	ring_exit(&s.r);
}

/* Rings as files: its own works, another one is refused */
RING_TEST(rings)
{
	struct side s, other;
	struct big_cqe c;
	struct nop n = { };
	int i;

	ASSERT_EQ(0, side_init(&s, false, 0));
	ASSERT_EQ(0, side_init(&other, false, 0));
	for (i = 0; i < 4; i++) {
		n.flags = FILE_OF | (i & 1 ? TW : 0);
		n.sqe_flags = i & 2 ? IOURING2_SQE_ASYNC : 0;
		n.fd = s.r.fd;
		ASSERT_STREQ("", side_do(&s, &n, &c));
		EXPECT_EQ(0, c.res);
		n.fd = other.r.fd;
		ASSERT_STREQ("", side_do(&s, &n, &c));
		EXPECT_EQ(-EOPNOTSUPP, c.res);
	}
	ring_exit(&other.r);
	ring_exit(&s.r);
}

/* The file of a link is looked up when it starts, and not when it is submitted */
RING_TEST(file_of_a_link)
{
	int efd = eventfd(0, EFD_CLOEXEC), fd = fcntl(efd, F_DUPFD, 500);
	struct iouring2_sqe *sqe;
	struct big_cqe c;
	struct side s;
	uint64_t v = 1;
	int i;

	ASSERT_LE(500, fd);
	ASSERT_EQ(0, side_init(&s, false, 0));
	for (i = 0; i < 2; i++) {
		if (!i)
			close(fd);
		sqe = ring_sqe(&s.r);
		prep_poll(sqe, efd, POLLIN);
		sqe->flags = IOURING2_SQE_IO_LINK;
		prep_it(ring_sqe(&s.r), &(struct nop) { FILE_OF, 0, 0, fd });
		ASSERT_EQ(2, ring_submit(&s.r));
		EXPECT_EQ(0, (int)ring_ready(&s.r));
		/* opened now in the first round, closed now in the second one */
		EXPECT_EQ(i ? 0 : fd, i ? close(fd) : dup2(efd, fd));
		ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		ASSERT_EQ(0, enter_timeout(s.r.fd, 0, 2, 60 * NSEC_PER_SEC));
		ASSERT_TRUE(ring_peek_big(&s.r, &c));
		EXPECT_EQ(POLLIN, c.res);
		ASSERT_TRUE(ring_peek_big(&s.r, &c));
		EXPECT_EQ(7, (int)c.user_data);
		EXPECT_EQ(i ? -EBADF : 0, c.res);
		ASSERT_EQ((ssize_t)sizeof(v), read(efd, &v, sizeof(v)));
	}
	ring_exit(&s.r);
	close(efd);
}

/* A NOP that completes as deferred work comes after those of the submission */
static const char *later(struct side *s)
{
	struct big_cqe c;
	int i, ret;

	for (i = 0; i < 3; i++) {
		struct iouring2_sqe *sqe = ring_sqe(&s->r);

		prep_it(sqe, &(struct nop) { i ? 0 : TW, 0, 0, -1 });
		sqe->user_data = i;
	}
	ring_publish(&s->r);
	ret = side_enter(s, 3, 3);
	if (ret != 3)
		return reason("ENTER: %d", ret);
	for (i = 0; i < 3; i++)
		if (!ring_peek_big(&s->r, &c) || (int)c.user_data != (i + 1) % 3)
			return reason("%d came too early", i);
	return "";
}

RING_TEST(deferred_comes_later)
{
	const struct nop deferred = { TW, 0, 0, -1 };
	struct big_cqe c;
	struct side s;

	ASSERT_EQ(0, side_init(&s, false, 0));
	EXPECT_STREQ("", later(&s));
	ring_exit(&s.r);
	if (side_init(&s, true, 0))
		SKIP(return, "no io_uring");
	EXPECT_STREQ("", side_do(&s, &deferred, &c));
	if (!c.res)
		EXPECT_STREQ("", later(&s));
	ring_exit(&s.r);
}

/* A NOP that completes as deferred work: its links start after it */
RING_TEST(deferred_in_a_chain)
{
	struct big_cqe c;
	struct side s;
	int i;

	ASSERT_EQ(0, side_init(&s, false, 0));
	for (i = 0; i < 4; i++) {
		struct iouring2_sqe *sqe = ring_sqe(&s.r);

		prep_it(sqe, &(struct nop) {
			INJECT | (i % 2 ? 0 : TW), IOURING2_SQE_IO_LINK,
			i == 2 ? -EPROTO : 0, -1 });
		sqe->user_data = i;
	}
	/* completed when ENTER returns, without GETEVENTS */
	ASSERT_EQ(4, ring_submit(&s.r));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(ring_peek_big(&s.r, &c));
		EXPECT_EQ(i, (int)c.user_data);
		EXPECT_EQ(i < 2 ? 0 : i == 2 ? -EPROTO : -ECANCELED, c.res);
	}
	ring_exit(&s.r);
}

/* Deferred work of a worker is done without a task in ENTER */
RING_TEST(deferred_by_a_worker)
{
	struct big_cqe c;
	struct side s;

	ASSERT_EQ(0, side_init(&s, false, IOURING2_SETUP_CQE32));
	prep_it(ring_sqe(&s.r), &(struct nop) {
		TW | BIG | FILE_OF, IOURING2_SQE_ASYNC, 0, s.r.fd });
	ASSERT_EQ(1, ring_submit(&s.r));
	EXPECT_TRUE(until(ring_ready(&s.r) == 1));
	ASSERT_TRUE(ring_peek_big(&s.r, &c));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(FIRST, c.extra[0]);
	EXPECT_EQ(SECOND, c.extra[1]);
	ring_exit(&s.r);
}

/* Many at once, more than the CQ has room for: each comes, in order */
RING_TEST(deferred_many)
{
	struct big_cqe c;
	struct ring r;
	int i, n = 0;

	ASSERT_EQ(0, ring_init_params(&r, 64, 64, IOURING2_SETUP_CQE_MIXED, 0));
	for (i = 0; i < 64; i++) {
		struct iouring2_sqe *sqe = ring_sqe(&r);

		prep_it(sqe, &(struct nop) { TW | BIG, 0, 0, -1 });
		sqe->user_data = i;
		sqe->off = i;
	}
	ASSERT_EQ(64, ring_submit(&r));
	EXPECT_EQ(32, fdinfo(r.fd, "Backlog"));
	while (n < 64) {
		if (!ring_peek_big(&r, &c)) {
			ASSERT_EQ(0, enter(r.fd, 0, 1, GETEVENTS, NULL, 0));
			continue;
		}
		EXPECT_EQ(n, (int)c.user_data);
		EXPECT_EQ(n, (int)c.extra[0]);
		EXPECT_EQ(SECOND, c.extra[1]);
		n++;
	}
	ring_exit(&r);
}

RING_TEST_MAIN
