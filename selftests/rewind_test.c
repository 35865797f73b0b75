// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings with SETUP_SQ_REWIND: each submission takes the SQEs from the first one
 * on, as many as ENTER names, and neither head nor tail is used. Most tests run on
 * the kernel's own io_uring as well.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "sides.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define REWIND		(IOURING2_SETUP_SQ_REWIND | IOURING2_SETUP_NO_SQARRAY)

SIDE_FIXTURE(rewind);

/* Fill SQEs 0 .. @nr - 1 with NOPs of the user_data @first, @first + 1, ... */
static void fill(struct ring *r, unsigned int nr, __u64 first)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		prep_nop(&r->sqes[i]);
		r->sqes[i].user_data = first + i;
	}
}

/* Return: "" if the CQ has exactly @nr CQEs of NOPs, with this user_data */
static const char *completed(struct ring *r, unsigned int nr, __u64 first)
{
	struct iouring2_cqe cqe;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!ring_peek(r, &cqe))
			return "a CQE is missing";
		if (cqe.user_data != first + i || cqe.res)
			return "a wrong CQE";
	}
	return ring_ready(r) ? "there are more CQEs" : "";
}

TEST_F_TIMEOUT(rewind, starts_at_the_first, LIMIT)
{
	static const unsigned int nr[] = { 1, 3, 4, 1, 4, 2, 2, 4, 4, 1 };
	const struct side *s = variant->side;
	unsigned int i, j;
	__u64 next = 100;
	struct ring r;

	NEED_SIDE(tree_has(REWIND));
	ASSERT_EQ(0, s->setup(&r, 4, 0, REWIND));
	for (i = 0; i < 3 * ARRAY_SIZE(nr); i++) {
		j = i % ARRAY_SIZE(nr);
		fill(&r, nr[j], next);
		EXPECT_EQ((int)nr[j], s->enter(r.fd, nr[j], nr[j], GETEVENTS,
					       NULL, 0));
		EXPECT_STREQ("", completed(&r, nr[j], next)) {
			TH_LOG("round %u", i);
		}
		next += nr[j];
	}
	EXPECT_EQ(0, (int)*r.sq_head);
	EXPECT_EQ(0, (int)*r.sq_tail);
	EXPECT_EQ(0, (int)*r.sq_dropped);
	ring_exit(&r);
}

/* NOPs of both sizes from the first SQE on; a second half is not taken for an SQE */
TEST_F_TIMEOUT(rewind, sqes_of_both_sizes, LIMIT)
{
	const unsigned int flags = REWIND | IOURING2_SETUP_SQE_MIXED;
	const struct side *s = variant->side;
	struct iouring2_cqe cqe;
	struct ring r;
	unsigned int i;

	NEED_SIDE(tree_has(flags));
	ASSERT_EQ(0, s->setup(&r, 4, 0, flags));
	for (i = 0; i < 3; i++) {
		fill(&r, 4, 10);
		r.sqes[0].opcode = IOURING2_OP_NOP128;
		r.sqes[1].opcode = UCHAR_MAX;
		r.sqes[2].user_data = 11;
		EXPECT_EQ(3, s->enter(r.fd, 3, 2, GETEVENTS, NULL, 0));
		EXPECT_STREQ("", completed(&r, 2, 10));
	}
	/* the one entry that ENTER may take, and the last one, have no second half */
	EXPECT_EQ(1, s->enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(-EINVAL, cqe.res);
	fill(&r, 4, 20);
	r.sqes[3].opcode = IOURING2_OP_NOP128;
	EXPECT_EQ(4, s->enter(r.fd, 4, 4, GETEVENTS, NULL, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(20 + i, cqe.user_data);
		EXPECT_EQ(i == 3 ? -EINVAL : 0, cqe.res);
	}
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

/* ENTER takes what it is told, up to all entries, also by the other way in */
TEST_F_TIMEOUT(rewind, counts, LIMIT)
{
	static const unsigned int ask[] = { 0, 1, 4, 5, 8, INT_MAX, UINT_MAX };
	const struct side *s = variant->side;
	unsigned int i, want;
	struct ring r;

	NEED_SIDE(tree_has(REWIND));
	ASSERT_EQ(0, s->setup(&r, 4, 16, REWIND));
	fill(&r, 4, 7);
	for (i = 0; i < 2 * ARRAY_SIZE(ask); i++) {
		want = ask[i / 2] < 4 ? ask[i / 2] : 4;
		EXPECT_EQ((int)want, s->enter(r.fd, ask[i / 2], 0, 0, NULL, 0));
		EXPECT_STREQ("", completed(&r, want, 7)) {
			TH_LOG("asked for %u", ask[i / 2]);
		}
	}
	ring_exit(&r);
}

/* What the application writes to head and tail does not matter */
RING_TEST(head_and_tail_unused)
{
	static const __u32 values[] = { 1, 3, 4, 5, 77, 1U << 31, UINT_MAX };
	struct pollfd p = { .events = POLLOUT };
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 0, REWIND, 0));
	p.fd = r.fd;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		st_rel(r.sq_tail, values[i]);
		st_rel(r.sq_head, values[ARRAY_SIZE(values) - 1 - i]);
		fill(&r, 3, 10);
		EXPECT_EQ(1, poll(&p, 1, 0));
		EXPECT_EQ(3, enter(r.fd, 3, 3, GETEVENTS, NULL, 0));
		EXPECT_STREQ("", completed(&r, 3, 10)) {
			TH_LOG("tail %u", values[i]);
		}
		EXPECT_EQ(values[i], *r.sq_tail);
		EXPECT_EQ(values[ARRAY_SIZE(values) - 1 - i], *r.sq_head);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "CachedSqHead"));
	ring_exit(&r);
}

/* The ring is writable however many entries were submitted */
TEST_F_TIMEOUT(rewind, always_writable, LIMIT)
{
	const struct side *s = variant->side;
	struct pollfd p = { .events = POLLIN | POLLOUT };
	struct ring r;
	int i;

	NEED_SIDE(tree_has(REWIND));
	ASSERT_EQ(0, s->setup(&r, 4, 0, REWIND));
	p.fd = r.fd;
	fill(&r, 4, 1);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(1, poll(&p, 1, 0));
		EXPECT_EQ(POLLOUT, p.revents);
		EXPECT_EQ(4, s->enter(r.fd, 4, 4, GETEVENTS, NULL, 0));
		EXPECT_STREQ("", completed(&r, 4, 1));
	}
	ring_exit(&r);
}

/* A submission that stops early is followed by one that starts at the first SQE */
TEST_F_TIMEOUT(rewind, after_a_refused_entry, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_cqe cqe;
	struct ring r;
	int all;

	NEED_SIDE(tree_has(REWIND));
	for (all = 0; all < 2; all++) {
		ASSERT_EQ(0, s->setup(&r, 4, 0, REWIND | (all ?
				      IOURING2_SETUP_SUBMIT_ALL : 0)));
		fill(&r, 4, 20);
		r.sqes[1].opcode = 255;
		EXPECT_EQ(all ? 4 : 2, s->enter(r.fd, 4, 0, 0, NULL, 0));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(20, (int)cqe.user_data);
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(21, (int)cqe.user_data);
		EXPECT_EQ(-EINVAL, cqe.res);
		if (all)
			EXPECT_STREQ("", completed(&r, 2, 22));
		EXPECT_EQ(0, (int)ring_ready(&r));
		fill(&r, 4, 30);
		EXPECT_EQ(4, s->enter(r.fd, 4, 0, 0, NULL, 0));
		EXPECT_STREQ("", completed(&r, 4, 30));
		ring_exit(&r);
	}
}

/* ENTER that fails or is cut short by a limit takes nothing twice */
RING_TEST(back_pressure)
{
	int efd = eventfd(0, EFD_CLOEXEC), i;
	struct ring r;

	ASSERT_LE(0, efd);
	/* A backlog */
	ASSERT_EQ(0, ring_init_params(&r, 4, 4, REWIND, 0));
	fill(&r, 4, 1);
	EXPECT_EQ(4, enter(r.fd, 4, 0, 0, NULL, 0));
	fill(&r, 4, 5);
	EXPECT_EQ(4, enter(r.fd, 4, 0, 0, NULL, 0));
	fill(&r, 4, 9);
	EXPECT_EQ(-EBUSY, enter(r.fd, 4, 0, 0, NULL, 0));
	EXPECT_STREQ("there are more CQEs", completed(&r, 2, 1));
	EXPECT_STREQ("", completed(&r, 2, 3));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_STREQ("", completed(&r, 4, 5));
	EXPECT_EQ(4, enter(r.fd, 4, 0, 0, NULL, 0));
	EXPECT_STREQ("", completed(&r, 4, 9));
	ring_exit(&r);

	/* The cap */
	ASSERT_EQ(0, ring_init_params(&r, 4, 0, REWIND, 3));
	for (i = 0; i < 4; i++)
		prep_poll(&r.sqes[i], efd, POLLIN);
	EXPECT_EQ(3, enter(r.fd, 4, 0, 0, NULL, 0));
	EXPECT_EQ(-EAGAIN, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(0, eventfd_write(efd, 1));
	EXPECT_EQ(0, enter(r.fd, 0, 3, GETEVENTS, NULL, 0));
	*r.cq_head = *r.cq_tail;
	fill(&r, 2, 50);
	EXPECT_EQ(2, enter(r.fd, 2, 0, 0, NULL, 0));
	EXPECT_STREQ("", completed(&r, 2, 50));
	ring_exit(&r);
	close(efd);
}

TEST_F_TIMEOUT(rewind, refused, LIMIT)
{
	const struct side *s = variant->side;
	struct ring r;

	NEED_SIDE(tree_has(REWIND));
	EXPECT_EQ(-EINVAL, s->setup(&r, 4, 0, IOURING2_SETUP_SQ_REWIND));
	EXPECT_EQ(-EINVAL, s->setup(&r, 4, 0, REWIND | IOURING2_SETUP_SQPOLL));
}

RING_TEST_MAIN
