// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries of other sizes. A CQ has entries of 32 bytes with CQE32. With
 * CQE_MIXED, a completion of 32 bytes takes two entries of 16 bytes. An SQ has
 * entries of 128 bytes with SQE128. With SQE_MIXED, the SQEs of some opcodes take
 * two entries of 64 bytes.
 *
 * No completion is lost, none comes twice, and each has both halves (I1). They
 * come in order (I2), also through the backlog. The in-tree ring takes and writes
 * the same entries, if the kernel has these flags.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define SQE128		IOURING2_SETUP_SQE128
#define SQE_MIXED	IOURING2_SETUP_SQE_MIXED
#define NO_ARRAY	IOURING2_SETUP_NO_SQARRAY
#define SUBMIT_ALL	IOURING2_SETUP_SUBMIT_ALL
#define CQE32		IOURING2_SETUP_CQE32
#define CQE_MIXED	IOURING2_SETUP_CQE_MIXED
#define F_32		IOURING2_CQE_F_32
#define F_SKIP		IOURING2_CQE_F_SKIP
#define ASYNC		IOURING2_SQE_ASYNC
#define DRAIN		IOURING2_SQE_IO_DRAIN
#define HARDLINK	IOURING2_SQE_IO_HARDLINK

static bool is_mixed(const struct ring *r)
{
	return r->setup.params.flags & CQE_MIXED;
}

static bool flagged(struct ring *r)
{
	return ld_acq(r->sq_flags) & IOURING2_SQ_CQ_OVERFLOW;
}

/* A NOP whose CQE has 32 bytes */
static void prep_big(struct iouring2_sqe *sqe, __u64 first, __u64 second)
{
	prep_nop(sqe);
	sqe->nop_flags = IOURING2_NOP_CQE32;
	sqe->off = first;
	sqe->addr = second;
}

static void inject(struct iouring2_sqe *sqe, int res)
{
	sqe->nop_flags |= IOURING2_NOP_INJECT_RESULT;
	sqe->len = res;
}

/* Queue a NOP: of 32 bytes if @big */
static int queue(struct ring *r, __u64 id, bool big)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (!sqe)
		return -EBUSY;
	if (big)
		prep_big(sqe, id + 1, ~id);
	else
		prep_nop(sqe);
	sqe->user_data = id;
	return 0;
}

/* Queue NOPs with user_data from 0 on, one for each letter: b is a big one */
static int queue_all(struct ring *r, const char *which)
{
	int i;

	for (i = 0; which[i]; i++)
		if (queue(r, i, which[i] == 'b'))
			return -EBUSY;
	return ring_submit(r);
}

/* What must be in the second half of a completion of queue() */
static const char *halves(const struct ring *r, const struct big_cqe *c, bool big)
{
	__u64 first = big ? c->user_data + 1 : 0;
	__u64 second = big ? ~c->user_data : 0;
	bool two = big && is_mixed(r);

	if (c->extra[0] != first || c->extra[1] != second)
		return reason("%#llx %#llx of %llu", c->extra[0], c->extra[1],
			      c->user_data);
	if (c->flags != (two ? F_32 : 0) || c->slots != (two ? 2 : 1))
		return reason("flags %#x of %llu", c->flags, c->user_data);
	return "";
}

/* Return: "" if the next completion is that of queue(@r, @id, @big) */
static const char *next_is(struct ring *r, __u64 id, bool big)
{
	struct big_cqe c;

	if (!ring_peek_big(r, &c))
		return "none";
	if (c.user_data != id || c.res)
		return reason("%llu: result %d", c.user_data, c.res);
	return halves(r, &c, big);
}

static const char *next_is_skipped(struct ring *r)
{
	struct big_cqe c;

	if (!ring_peek_big(r, &c))
		return "none";
	if (c.user_data || c.res || c.flags != F_SKIP)
		return reason("%llu: flags %#x", c.user_data, c.flags);
	return c.slot == *r->cq_mask ? "" : reason("in slot %u", c.slot);
}

/* -------------------------------------------------------- what is written */

RING_FIXTURE(kind) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(kind, cqe32) { CQE32 };
FIXTURE_VARIANT_ADD(kind, mixed) { CQE_MIXED };

/* Both sizes, several times around the CQ, whose old entries are garbage */
TEST_F_TIMEOUT(kind, halves, LIMIT)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 4, 8, variant->flags, 0));
	for (i = 0; i < 8 * 5; i++) {
		ASSERT_EQ(0, queue(&r, 2 * i, false));
		ASSERT_EQ(0, queue(&r, 2 * i + 1, true));
		ASSERT_EQ(2, ring_submit(&r));
		EXPECT_STREQ("", next_is(&r, 2 * i, false));
		if (is_mixed(&r) && (*r.cq_head & *r.cq_mask) == *r.cq_mask)
			EXPECT_STREQ("", next_is_skipped(&r));
		EXPECT_STREQ("", next_is(&r, 2 * i + 1, true));
		EXPECT_EQ(0, (int)ring_ready(&r));
	}
	ring_exit(&r);
}

/* A failed NOP has both halves; one that does not run has 16 bytes */
TEST_F_TIMEOUT(kind, failed, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct big_cqe c;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 8, variant->flags, 0));
	sqe = ring_sqe(&r);
	prep_big(sqe, 11, 12);
	inject(sqe, -EPROTO);
	sqe->flags = IOURING2_SQE_IO_LINK | IOURING2_SQE_CQE_SKIP_SUCCESS;
	prep_big(ring_sqe(&r), 13, 14);
	sqe = ring_sqe(&r);
	prep_big(sqe, 15, 16);
	sqe->nop_flags |= 1U << 31;
	ASSERT_EQ(3, ring_submit(&r));
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(-EPROTO, c.res);
	EXPECT_EQ(11, (int)c.extra[0]);
	EXPECT_EQ(12, (int)c.extra[1]);
	EXPECT_EQ(is_mixed(&r) ? F_32 : 0, c.flags);
	/* The link that it has broken posts none, as its head has CQE_SKIP */
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(-EINVAL, c.res);
	EXPECT_EQ(0, (int)c.extra[0]);
	EXPECT_EQ(0, (int)c.extra[1]);
	EXPECT_EQ(0, (int)c.flags);
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

/* A cancelled one has 16 bytes, and one that succeeds with CQE_SKIP none */
TEST_F_TIMEOUT(kind, not_posted, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct big_cqe c;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 4, 8, variant->flags, 0));
	sqe = ring_sqe(&r);
	prep_big(sqe, 1, 2);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	for (i = 0; i < 2; i++) {
		sqe = ring_sqe(&r);
		prep_big(sqe, 3, 4);
		inject(sqe, -EPROTO);
		sqe->flags = i ? 0 : IOURING2_SQE_IO_LINK;
	}
	ASSERT_EQ(3, ring_submit(&r));
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(-EPROTO, c.res);
	EXPECT_EQ(3, (int)c.extra[0]);
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(-ECANCELED, c.res);
	EXPECT_EQ(0, (int)c.extra[0]);
	EXPECT_EQ(0, (int)c.flags);
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

/* Events of multishots have 16 bytes; nothing old is in a second half */
TEST_F_TIMEOUT(kind, multishot, LIMIT)
{
	int efd = eventfd(0, EFD_CLOEXEC), i;
	struct big_cqe c;
	struct ring r;
	uint64_t v = 1;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_params(&r, 4, 4, variant->flags, 0));
	prep_poll_multi(ring_sqe(&r), efd, POLLIN);
	ASSERT_EQ(1, ring_submit(&r));
	for (i = 0; i < 12; i++) {
		ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		ASSERT_EQ(0, enter_timeout(r.fd, 0, 1, 60 * NSEC_PER_SEC));
		ASSERT_TRUE(ring_peek_big(&r, &c));
		ASSERT_EQ((ssize_t)sizeof(v), read(efd, &v, sizeof(v)));
		EXPECT_EQ(POLLIN, c.res);
		EXPECT_EQ(IOURING2_CQE_F_MORE, c.flags);
		EXPECT_EQ(0, (long)c.extra[0]);
		EXPECT_EQ(0, (long)c.extra[1]);
	}
	ring_exit(&r);
	close(efd);
}

/* In a ring with entries of 16 bytes only, the flag is refused */
RING_TEST(refused)
{
	struct big_cqe c;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	prep_big(ring_sqe(&r), 1, 2);
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(-EINVAL, c.res);
	EXPECT_EQ(0, (int)c.flags);
	ring_exit(&r);
}

/* -------------------------------------------------------------- mixed */

/* Each place of a pair: at the end of the CQ the last entry is skipped */
RING_TEST(last_entry_skipped)
{
	unsigned int at;
	struct ring r;
	int i;

	for (at = 0; at < 8; at++) {
		ASSERT_EQ(0, ring_init_params(&r, 8, 8, CQE_MIXED, 0));
		for (i = 0; i < (int)at; i++) {
			ASSERT_EQ(0, queue(&r, i, false));
			ASSERT_EQ(1, ring_submit(&r));
			EXPECT_STREQ("", next_is(&r, i, false));
		}
		ASSERT_EQ(0, queue(&r, 100, true));
		ASSERT_EQ(0, queue(&r, 101, false));
		ASSERT_EQ(2, ring_submit(&r));
		EXPECT_EQ(at == 7 ? 4 : 3, (int)ring_ready(&r));
		if (at == 7)
			EXPECT_STREQ("", next_is_skipped(&r));
		EXPECT_STREQ("", next_is(&r, 100, true));
		EXPECT_STREQ("", next_is(&r, 101, false));
		EXPECT_EQ(0, (int)ring_ready(&r));
		ring_exit(&r);
	}
}

/* Nothing is written beyond the CQ, in either kind of memory */
RING_TEST(stays_inside)
{
	static const unsigned int sizes[] = { 2, 4, 128, 256, 512 };
	struct iouring2_cqe *end;
	struct big_cqe c;
	unsigned int i, j;
	struct ring r;
	char was[256];

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, ring_init_params(&r, 1, sizes[i], CQE_MIXED, 0));
		end = &r.cqes[sizes[i]];
		/* what follows in the last page of the mapping, if anything */
		j = -(uintptr_t)end % 4096;
		j = j < sizeof(was) ? j : sizeof(was);
		memcpy(was, end, j);
		for (unsigned int n = 0; n < 2 * sizes[i] + 1; n++) {
			ASSERT_EQ(0, queue(&r, n, true));
			ASSERT_EQ(1, ring_submit(&r));
			do {
				if (!ring_ready(&r))
					enter(r.fd, 0, 0, GETEVENTS, NULL, 0);
				ASSERT_TRUE(ring_peek_big(&r, &c));
			} while (c.flags == F_SKIP);
			EXPECT_EQ(n, c.user_data);
			EXPECT_STREQ("", halves(&r, &c, true));
			EXPECT_GT(sizes[i] - 1, c.slot);
			/* move by one, so that pairs get to each place */
			ASSERT_EQ(0, queue(&r, n, false));
			ASSERT_EQ(1, ring_submit(&r));
			EXPECT_STREQ("", next_is(&r, n, false));
		}
		EXPECT_EQ(0, memcmp(was, end, j));
		ring_exit(&r);
	}
}

/*
 * One entry is free, and the next completion needs two: it waits, and the CQ
 * counts as full
 */
RING_TEST(gap_is_full)
{
	struct pollfd p = { .events = POLLIN };
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 4, CQE_MIXED, 0));
	ASSERT_EQ(1, queue_all(&r, "s"));
	EXPECT_STREQ("", next_is(&r, 0, false));
	ASSERT_EQ(4, queue_all(&r, "sssb"));
	EXPECT_EQ(3, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	EXPECT_TRUE(flagged(&r));
	/* ENTER with GETEVENTS does not wait for a fourth entry */
	EXPECT_EQ(0, enter(r.fd, 0, 4, GETEVENTS, NULL, 0));
	EXPECT_EQ(3, (int)ring_ready(&r));
	ASSERT_EQ(0, queue(&r, 4, false));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	EXPECT_EQ(3, (int)ring_ready(&r));
	p.fd = r.fd;
	EXPECT_EQ(1, poll(&p, 1, 0));
	/* two are free: the large one gets them, and the small one waits */
	EXPECT_STREQ("", next_is(&r, 0, false));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	EXPECT_STREQ("", next_is(&r, 1, false));
	EXPECT_STREQ("", next_is(&r, 2, false));
	EXPECT_STREQ("", next_is(&r, 3, true));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_FALSE(flagged(&r));
	EXPECT_STREQ("", next_is(&r, 4, false));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
}

struct waiter {
	pthread_t self;
	pid_t tid;
	int fd, ret;
};

static void *wait_for_all(void *arg)
{
	struct waiter *w = arg;

	st_rel(&w->tid, (pid_t)syscall(SYS_gettid));
	w->ret = enter(w->fd, 0, 4, GETEVENTS, NULL, 0);
	return NULL;
}

/* A task that waits for a fourth entry is told that none will come */
RING_TEST(gap_ends_wait)
{
	struct waiter w = { .ret = -1 };
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 4, CQE_MIXED, 0));
	ASSERT_EQ(1, queue_all(&r, "s"));
	EXPECT_STREQ("", next_is(&r, 0, false));
	w.fd = r.fd;
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_for_all, &w));
	EXPECT_TRUE(until(ld_acq(&w.tid) && task_sleeps(w.tid)));
	ASSERT_EQ(3, queue_all(&r, "sss"));
	EXPECT_TRUE(until(task_sleeps(w.tid)));
	ASSERT_EQ(1, queue_all(&r, "b"));
	pthread_join(w.self, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_EQ(3, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	ring_exit(&r);
}

/* The last entry is skipped at once, and the two after it are free later */
RING_TEST(gap_behind_the_end)
{
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 4, CQE_MIXED, 0));
	ASSERT_EQ(4, queue_all(&r, "sssb"));
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	EXPECT_STREQ("", next_is(&r, 0, false));
	ASSERT_EQ(0, queue(&r, 4, false));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	EXPECT_EQ(0, enter(r.fd, 0, 4, GETEVENTS, NULL, 0));
	EXPECT_EQ(3, (int)ring_ready(&r));
	EXPECT_STREQ("", next_is(&r, 1, false));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_STREQ("", next_is(&r, 2, false));
	EXPECT_STREQ("", next_is_skipped(&r));
	EXPECT_STREQ("", next_is(&r, 3, true));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_STREQ("", next_is(&r, 4, false));
	EXPECT_FALSE(flagged(&r));
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

/* The smallest CQ: three entries are never free, but each completion comes */
RING_TEST(two_entries)
{
	unsigned int i, skipped = 0;
	struct big_cqe c;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 1, 2, CQE_MIXED, 0));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, queue(&r, i, i % 3));
		ASSERT_EQ(1, ring_submit(&r));
		do {
			ASSERT_EQ(0, enter_timeout(r.fd, 0, 1,
						   60 * NSEC_PER_SEC));
			ASSERT_TRUE(ring_peek_big(&r, &c));
			skipped += c.flags == F_SKIP;
		} while (c.flags == F_SKIP);
		EXPECT_EQ(i, c.user_data);
		EXPECT_STREQ("", halves(&r, &c, i % 3));
	}
	EXPECT_LT(0, (int)skipped);
	ring_exit(&r);
}

/* A timeout counts completions, and not their entries */
RING_TEST(timeout_counts_completions)
{
	struct __kernel_timespec hour = ts_ns(3600 * NSEC_PER_SEC);
	struct big_cqe c;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 4, 16, CQE_MIXED, 0));
	prep_timeout(ring_sqe(&r), &hour, 2, 0);
	ASSERT_EQ(1, ring_submit(&r));
	for (i = 1; i < 3; i++) {
		EXPECT_EQ(0, (int)ring_ready(&r));
		ASSERT_EQ(0, queue(&r, i, true));
		ASSERT_EQ(1, ring_submit(&r));
		EXPECT_STREQ("", next_is(&r, i, true));
	}
	ASSERT_EQ(0, enter_timeout(r.fd, 0, 1, 60 * NSEC_PER_SEC));
	ASSERT_TRUE(ring_peek_big(&r, &c));
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(0, (int)c.user_data);
	ring_exit(&r);
}

/* ---------------------------------------------- through the backlog, any way */

/*
 * Requests of all sizes, reaped at random moments. Each comes once. Those that
 * complete in the submission come in order.
 */
RING_FIXTURE(burst) {
	unsigned int flags, cq, sqe_flags;
};

#define EACH_CQ(name, ...)						\
FIXTURE_VARIANT_ADD(burst, name##_cq_2) { CQE_MIXED, 2, __VA_ARGS__ };	\
FIXTURE_VARIANT_ADD(burst, name##_cq_4) { CQE_MIXED, 4, __VA_ARGS__ };	\
FIXTURE_VARIANT_ADD(burst, name##_cq_64) { CQE_MIXED, 64, __VA_ARGS__ }; \
FIXTURE_VARIANT_ADD(burst, name##_32_cq_1) { CQE32, 1, __VA_ARGS__ };	\
FIXTURE_VARIANT_ADD(burst, name##_32_cq_16) { CQE32, 16, __VA_ARGS__ }

EACH_CQ(inline_nop, 0);
EACH_CQ(worker, ASYNC);
EACH_CQ(drained, DRAIN);
EACH_CQ(linked, HARDLINK);

/* A few bits that depend on @id only */
static unsigned int dice_of(__u64 id)
{
	return (id * 0x9e3779b97f4a7c15ULL) >> 60;
}

static bool big_of(__u64 id)
{
	return dice_of(id) & 1;
}

static int res_of(__u64 id)
{
	return dice_of(id) < 12 ? 0 : -1 - (int)(id % 100);
}

static void prep_burst(struct iouring2_sqe *sqe, __u64 id, unsigned int flags)
{
	if (big_of(id))
		prep_big(sqe, id + 1, ~id);
	else
		prep_nop(sqe);
	if (res_of(id))
		inject(sqe, res_of(id));
	sqe->flags = flags;
	sqe->user_data = id;
}

struct burst {
	unsigned long n, queued, taken, reaped;
	unsigned long busy, skipped;
	unsigned char *seen;
	bool ordered, was_skipped;
};

/* Take one entry. Return: "" or what is wrong with it. */
static const char *burst_take(struct burst *b, struct ring *r)
{
	bool after_skip = b->was_skipped;
	struct big_cqe c;

	if (!ring_peek_big(r, &c))
		return "none";
	b->was_skipped = c.flags == F_SKIP;
	if (b->was_skipped) {
		b->skipped++;
		return is_mixed(r) && c.slot == *r->cq_mask ? "" :
		       reason("slot %u skipped", c.slot);
	}
	/* an entry is skipped only for two that follow */
	if (after_skip && c.slots != 2)
		return reason("skipped before %llu", c.user_data);
	if (c.user_data >= b->taken || b->seen[c.user_data]++)
		return reason("%llu is not due", c.user_data);
	if (b->ordered && c.user_data != b->reaped)
		return reason("%llu instead of %lu", c.user_data, b->reaped);
	b->reaped++;
	if (c.res != res_of(c.user_data))
		return reason("result %d of %llu", c.res, c.user_data);
	return halves(r, &c, big_of(c.user_data));
}

static void burst_queue(struct burst *b, struct ring *r, unsigned int nr,
			unsigned int flags)
{
	struct iouring2_sqe *sqe;

	while (nr-- && b->queued < b->n && (sqe = ring_sqe(r)))
		prep_burst(sqe, b->queued++, flags);
}

/* Return: "" or why the CQ is not as full as it can be */
static const char *is_full(struct ring *r)
{
	unsigned int ready = ring_ready(r), cq = *r->cq_entries;

	if (ready == cq || (is_mixed(r) && ready == cq - 1))
		return "";
	return reason("EBUSY with %u of %u", ready, cq);
}

static const char *burst_submit(struct burst *b, struct ring *r)
{
	int ret = ring_submit(r);

	if (ret >= 0) {
		b->taken += ret;
		return "";
	}
	b->busy++;
	return ret == -EBUSY ? is_full(r) : reason("ENTER: %d", ret);
}

static const char *burst_wait(struct burst *b, struct ring *r)
{
	unsigned int min = 1;
	int ret;

	if (b->taken == b->reaped)
		return "";
	/* more than fit into the CQ, which may not use its last free entry */
	if (b->taken - b->reaped > *r->cq_entries)
		min = *r->cq_entries;
	ret = enter(r->fd, 0, min, GETEVENTS, NULL, 0);
	if (ret || !ring_ready(r))
		return reason("wait: %d, %u there", ret, ring_ready(r));
	return "";
}

static const char *burst_step(struct burst *b, struct ring *r, unsigned int dice,
			      unsigned int flags)
{
	const char *bad = "";
	unsigned int k;

	if (dice % 8 < 5 && b->taken < b->n) {
		burst_queue(b, r, dice / 8 % 5 + 1, flags);
		bad = burst_submit(b, r);
	} else if (dice % 8 == 5) {
		bad = burst_wait(b, r);
	}
	/* seldom, so that the CQ is full in between */
	if (dice / 64 % (*r->cq_entries + 3) && b->taken < b->n)
		return bad;
	for (k = dice / 8 % (2 * *r->cq_entries) + 1; k && !*bad; k--) {
		if (!ring_ready(r))
			break;
		bad = burst_take(b, r);
	}
	return bad;
}

TEST_F_TIMEOUT(burst, none_lost, LIMIT)
{
	bool async = variant->sqe_flags & ASYNC;
	struct burst b = {
		.n = full_stress() ? 500000 : async ? 2000 : 8000,
		.ordered = !async,
	};
	unsigned int seed = env_long("IOURING2_SEED",
				     now_ns(CLOCK_REALTIME) & 0x7fffffff);
	unsigned int first = seed;
	const char *bad = "";
	struct ring r;

	b.seen = calloc(1, b.n);
	ASSERT_NE(NULL, b.seen);
	ASSERT_EQ(0, ring_init_params(&r, variant->cq < 16 ? variant->cq : 16,
				      variant->cq, variant->flags, 0));
	while (b.reaped < b.n && !*bad) {
		bad = burst_step(&b, &r, rand_r(&seed) >> 4,
				 variant->sqe_flags);
		if (!*bad && b.taken == b.n)
			bad = burst_wait(&b, &r);
	}
	EXPECT_STREQ("", bad) {
		TH_LOG("seed %u, after %lu", first, b.reaped);
	}
	EXPECT_EQ(b.n, b.reaped);
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ((long long)b.n, fdinfo(r.fd, "Completed"));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_FALSE(flagged(&r));
	if (!async)
		EXPECT_LT(0, fdinfo(r.fd, "BacklogTotal"));
	if (variant->flags == CQE_MIXED)
		EXPECT_LT(0, (long)b.skipped);
	ring_exit(&r);
	free(b.seen);
}

/* ----------------------------------------------------------- large SQEs */

#define STRANGE		999	/* user_data of what must not be taken as an SQE */

/* Fill what follows an SQE with an SQE of its own, which must not be taken */
static void fill_half(struct iouring2_sqe *second)
{
	memset(second, 0, sizeof(*second));
	second->user_data = STRANGE;
}

/* Return: "" if the next completion has these values */
static const char *next_cqe(struct ring *r, __u64 id, int res)
{
	struct iouring2_cqe cqe;

	if (!ring_peek(r, &cqe))
		return "none";
	return cqe.user_data == id && cqe.res == res ? "" :
	       reason("%llu: result %d", cqe.user_data, cqe.res);
}

RING_FIXTURE(large) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(large, with_array) { SQE128 };
FIXTURE_VARIANT_ADD(large, without_array) { SQE128 | NO_ARRAY };

/* All opcodes take an entry of 128 bytes; only the first half is looked at */
TEST_F_TIMEOUT(large, each_entry, LIMIT)
{
	int efd = eventfd(1, EFD_CLOEXEC), i;
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_params(&r, 4, 8, variant->flags, 0));
	for (i = 0; i < 30; i++) {
		sqe = ring_sqe(&r);
		if (i % 3 == 0)
			prep_nop(sqe);
		else if (i % 3 == 1)
			prep(sqe, IOURING2_OP_NOP128, -1, NULL, 0, 0);
		else
			prep_poll(sqe, efd, POLLIN);
		sqe->user_data = i;
		fill_half(sqe + 1);
		if (i % 2)
			continue;
		/* one and two at a time */
		ASSERT_EQ(i ? 2 : 1, ring_submit(&r));
		if (i)
			EXPECT_STREQ("", next_cqe(&r, i - 1, i % 3 ? 0 : POLLIN));
		EXPECT_STREQ("", next_cqe(&r, i, i % 3 == 2 ? POLLIN : 0));
		EXPECT_EQ(0, (int)ring_ready(&r));
	}
	ring_exit(&r);
	close(efd);
}

/* Which opcodes need an SQE of 128 bytes, whatever the flags of the SQE are */
RING_TEST(needs_128)
{
	static const unsigned int rings[] = { 0, SQE128, SQE_MIXED };
	static const unsigned int sqe_flags[] = {
		0, ASYNC, IOURING2_SQE_IO_LINK, IOURING2_SQE_BUFFER_SELECT,
	};
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int i, j;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		for (j = 0; j < ARRAY_SIZE(sqe_flags); j++) {
			bool no = sqe_flags[j] & IOURING2_SQE_BUFFER_SELECT;
			int k;

			for (k = 0; k < 2; k++) {
				ASSERT_EQ(0, ring_init_params(&r, 4, 8,
							      rings[i], 0));
				sqe = ring_sqe(&r);
				sqe->opcode = k ? IOURING2_OP_URING_CMD128 :
						  IOURING2_OP_NOP128;
				sqe->flags = sqe_flags[j];
				if (rings[i] == SQE_MIXED)
					fill_half(ring_sqe(&r));
				ASSERT_EQ(rings[i] == SQE_MIXED ? 2 : 1,
					  ring_submit(&r));
				ASSERT_EQ(0, ring_wait(&r, &cqe));
				EXPECT_EQ(!rings[i] ? -EINVAL :
					  k || no ? -EOPNOTSUPP : 0, cqe.res) {
					TH_LOG("ring %#x, SQE flags %#x, %d",
					       rings[i], sqe_flags[j], k);
				}
				EXPECT_EQ(0, (int)ring_ready(&r));
				EXPECT_EQ(0, (int)ring_unsubmitted(&r));
				ring_exit(&r);
			}
		}
	}
}

/* Queue an SQE of 128 bytes. There must be two entries. */
static void queue_128(struct ring *r, __u64 id)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, IOURING2_OP_NOP128, -1, NULL, 0, 0);
	sqe->user_data = id;
	fill_half(ring_sqe(r));
}

static int queue_64(struct ring *r, __u64 id)
{
	return ring_nop(r, id);
}

RING_FIXTURE(both) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(both, with_array) { SQE_MIXED };
FIXTURE_VARIANT_ADD(both, without_array) { SQE_MIXED | NO_ARRAY };

/* ENTER counts the entries that an SQE takes */
TEST_F_TIMEOUT(both, counted, LIMIT)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 8, 16, variant->flags, 0));
	for (i = 0; i < 24; i += 3) {
		/* five entries; three more take the tail around */
		queue_128(&r, i);
		ASSERT_EQ(0, queue_64(&r, i + 1));
		queue_128(&r, i + 2);
		ASSERT_EQ(5, ring_submit(&r));
		EXPECT_EQ(0, (int)ring_unsubmitted(&r));
		EXPECT_STREQ("", next_cqe(&r, i, 0));
		EXPECT_STREQ("", next_cqe(&r, i + 1, 0));
		EXPECT_STREQ("", next_cqe(&r, i + 2, 0));
		EXPECT_EQ(0, (int)ring_ready(&r));
		while (*r.sq_head & *r.sq_mask) {
			ASSERT_EQ(0, queue_64(&r, 0));
			ASSERT_EQ(1, ring_submit(&r));
			EXPECT_STREQ("", next_cqe(&r, 0, 0));
		}
	}
	ring_exit(&r);
}

/* The second entry would be the first one of the SQ: EINVAL, for one entry */
TEST_F_TIMEOUT(both, at_the_end, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 4, 16, variant->flags, 0));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, queue_64(&r, i));
	ASSERT_EQ(3, ring_submit(&r));
	sqe = ring_sqe(&r);
	prep(sqe, IOURING2_OP_NOP128, -1, NULL, 0, 0);
	sqe->user_data = 3;
	ASSERT_EQ(0, queue_64(&r, 4));
	/* an error ends the submission, as the ring has no SUBMIT_ALL */
	ASSERT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	for (i = 0; i < 4; i++)
		EXPECT_STREQ("", next_cqe(&r, i, i == 3 ? -EINVAL : 0));
	EXPECT_EQ(0, (int)ring_ready(&r));
	ASSERT_EQ(1, ring_submit(&r));
	EXPECT_STREQ("", next_cqe(&r, 4, 0));
	ring_exit(&r);
}

/* ENTER may take one entry only: EINVAL, and the second half is an SQE */
TEST_F_TIMEOUT(both, cut_by_to_submit, LIMIT)
{
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 8, 16, variant->flags | SUBMIT_ALL, 0));
	queue_128(&r, 1);
	EXPECT_EQ(2, (int)ring_publish(&r));
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_STREQ("", next_cqe(&r, 1, -EINVAL));
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_STREQ("", next_cqe(&r, STRANGE, 0));
	/* the tail cuts it as well */
	ASSERT_EQ(0, queue_64(&r, 2));
	ring_sqe(&r)->opcode = IOURING2_OP_NOP128;
	ring_publish(&r);
	EXPECT_EQ(2, enter(r.fd, 4, 0, 0, NULL, 0));
	EXPECT_STREQ("", next_cqe(&r, 2, 0));
	EXPECT_STREQ("", next_cqe(&r, 0, -EINVAL));
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

/* The index array has an index for each entry; that of the second is not used */
RING_TEST(by_index)
{
	static const struct {
		unsigned int index;
		int ret, res;
	} rows[] = {
		{ 0, 2, 0 }, { 1, 2, 0 }, { 2, 2, 0 }, { 3, 1, -EINVAL },
	};
	struct ring r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, ring_init_params(&r, 4, 8, SQE_MIXED, 0));
		memset(r.sqes, 0, r.sqes_len);
		r.sqes[rows[i].index].opcode = IOURING2_OP_NOP128;
		r.sqes[rows[i].index].user_data = 5;
		r.sq_array[0] = rows[i].index;
		r.sq_array[1] = 1000;
		r.sqe_tail += 2;
		ring_publish(&r);
		EXPECT_EQ(rows[i].ret, enter(r.fd, 2, 0, 0, NULL, 0));
		EXPECT_STREQ("", next_cqe(&r, 5, rows[i].res));
		EXPECT_EQ(0, (int)ring_ready(&r));
		EXPECT_EQ(0, (int)*r.sq_dropped);
		ring_exit(&r);
	}
}

/* The cap counts requests, and not entries */
RING_TEST(cap_counts_requests)
{
	struct iouring2_sqe *sqe;
	int efd = eventfd(0, EFD_CLOEXEC), i;
	uint64_t v = 1;
	struct ring r;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_params(&r, 16, 16, SQE_MIXED, 4));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	ASSERT_EQ(1, ring_submit(&r));
	/* barriers stay in flight until the poll ends */
	for (i = 1; i < 6; i++) {
		sqe = ring_sqe(&r);
		prep(sqe, IOURING2_OP_NOP128, -1, NULL, 0, 0);
		sqe->flags = DRAIN;
		sqe->user_data = i;
		fill_half(ring_sqe(&r));
	}
	EXPECT_EQ(6, ring_submit(&r));
	EXPECT_EQ(4, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(4, (int)ring_unsubmitted(&r));
	EXPECT_EQ(-EAGAIN, ring_submit(&r));
	EXPECT_EQ(4, (int)ring_unsubmitted(&r));
	ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, enter_timeout(r.fd, 0, 4, 60 * NSEC_PER_SEC));
	EXPECT_EQ(4, ring_submit(&r));
	for (i = 0; i < 6; i++)
		EXPECT_STREQ("", next_cqe(&r, i, i ? 0 : POLLIN));
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
	close(efd);
}

/* ------------------------------------------------------------- in-tree */

#define PROGRAM		400	/* requests */
#define ENTRIES		(2 * PROGRAM)

/* A ring of the module, or of the kernel's io_uring */
struct side {
	struct ring r;
	bool native;
	struct big_cqe got[ENTRIES];
	unsigned int nr;
	int rets[PROGRAM];	/* what ENTER returned */
	unsigned int nr_rets;
};

static int side_init(struct side *s, bool native, unsigned int cq,
		     unsigned int flags)
{
	struct iouring2_setup setup = {
		.entries = 4,
		/* io_uring accepts submissions while completions wait */
		.flags = IOURING2_RING_SUBMIT_BACKLOGGED,
		.params = {
			.flags = flags | IOURING2_SETUP_CQSIZE,
			.cq_entries = cq,
		},
	};

	s->native = native;
	if (!native)
		return ring_init_setup(&s->r, &setup);
	s->r.setup = setup;
	s->r.fd = syscall(__NR_io_uring_setup, 4, &s->r.setup.params);
	return s->r.fd < 0 ? -errno : ring_map(&s->r);
}

static int side_enter(struct side *s, unsigned int nr)
{
	int ret;

	if (!s->native)
		return enter(s->r.fd, nr, 0, GETEVENTS, NULL, 0);
	ret = syscall(__NR_io_uring_enter, s->r.fd, nr, 0, GETEVENTS, NULL, 0);
	return ret < 0 ? -errno : ret;
}

/* The same steps on both sides. Return: "" or what went wrong. */
static const char *side_run(struct side *s, unsigned int seed)
{
	unsigned int queued = 0, reaped = 0, nr, k;
	struct iouring2_sqe *sqe;
	int ret;

	while (reaped < PROGRAM) {
		nr = queued < PROGRAM ? rand_r(&seed) >> 8 & 3 : 0;
		for (k = 0; k < nr; k++) {
			sqe = ring_sqe(&s->r);
			if (!sqe)
				return "no SQE";
			prep_burst(sqe, queued++, 0);
		}
		ring_publish(&s->r);
		ret = side_enter(s, nr);
		if (ret != (int)nr)
			return reason("ENTER: %d of %u", ret, nr);
		for (k = rand_r(&seed) >> 8 & 3; k && s->nr < ENTRIES; k--) {
			if (!ring_peek_big(&s->r, &s->got[s->nr]))
				break;
			reaped += s->got[s->nr++].flags != F_SKIP;
		}
	}
	return "";
}

RING_FIXTURE(beside) {
	unsigned int flags, cq;
};

FIXTURE_VARIANT_ADD(beside, cqe32) { CQE32, 8 };
FIXTURE_VARIANT_ADD(beside, mixed_cq_4) { CQE_MIXED, 4 };
FIXTURE_VARIANT_ADD(beside, mixed_cq_8) { CQE_MIXED, 8 };

/* The in-tree ring writes the same entries into the same slots */
TEST_F_TIMEOUT(beside, same_entries, LIMIT)
{
	static struct side ours, theirs;
	struct iouring2_sqe *sqe;
	unsigned int i;

	if (side_init(&theirs, true, variant->cq, variant->flags))
		SKIP(return, "io_uring has no such rings here");
	sqe = ring_sqe(&theirs.r);
	prep_big(sqe, 1, 2);
	ring_publish(&theirs.r);
	ASSERT_EQ(1, side_enter(&theirs, 1));
	ASSERT_TRUE(ring_peek_big(&theirs.r, &theirs.got[0]));
	if (theirs.got[0].res == -EINVAL) {
		ring_exit(&theirs.r);
		SKIP(return, "io_uring has no NOP_CQE32 here");
	}
	ring_exit(&theirs.r);

	ASSERT_EQ(0, side_init(&theirs, true, variant->cq, variant->flags));
	ASSERT_EQ(0, side_init(&ours, false, variant->cq, variant->flags));
	EXPECT_STREQ("", side_run(&theirs, 1));
	EXPECT_STREQ("", side_run(&ours, 1));
	EXPECT_EQ(theirs.nr, ours.nr);
	for (i = 0; i < ours.nr && i < theirs.nr; i++)
		EXPECT_EQ(0, memcmp(&ours.got[i], &theirs.got[i],
				    sizeof(ours.got[i]))) {
			TH_LOG("entry %u: %llu in slot %u, flags %#x", i,
			       ours.got[i].user_data, ours.got[i].slot,
			       ours.got[i].flags);
		}
	ring_exit(&ours.r);
	ring_exit(&theirs.r);
}

static void side_reap(struct side *s)
{
	struct big_cqe c;

	while (ring_peek_big(&s->r, &c))
		if (s->nr < ENTRIES)
			s->got[s->nr++] = c;
}

/* Submit SQEs of both sizes, also where they do not fit, and in part only */
static void side_submit(struct side *s, unsigned int seed)
{
	unsigned int id = 0, take;
	struct iouring2_sqe *sqe;

	while (s->nr_rets < PROGRAM) {
		while (rand_r(&seed) >> 8 & 3 && (sqe = ring_sqe(&s->r))) {
			sqe->opcode = rand_r(&seed) >> 8 & 1 ?
				      IOURING2_OP_NOP128 : IOURING2_OP_NOP;
			sqe->user_data = ++id;
		}
		take = ring_publish(&s->r);
		if (take && !(rand_r(&seed) >> 8 & 3))
			take--;
		s->rets[s->nr_rets++] = side_enter(s, take);
		side_reap(s);
	}
	side_enter(s, 0);
	side_reap(s);
}

RING_FIXTURE(beside_sq) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(beside_sq, sqe128) { SQE128 };
FIXTURE_VARIANT_ADD(beside_sq, mixed) { SQE_MIXED };
FIXTURE_VARIANT_ADD(beside_sq, mixed_without_array) { SQE_MIXED | NO_ARRAY };
FIXTURE_VARIANT_ADD(beside_sq, mixed_submit_all) { SQE_MIXED | SUBMIT_ALL };
FIXTURE_VARIANT_ADD(beside_sq, sqe64) { 0 };

/* The in-tree ring takes the same entries, with the same results */
TEST_F_TIMEOUT(beside_sq, same_results, LIMIT)
{
	static struct side ours, theirs;
	unsigned int i;

	/* NOP128 came with this flag */
	if (side_init(&theirs, true, 64, SQE_MIXED))
		SKIP(return, "io_uring has no SQEs of both sizes here");
	ring_exit(&theirs.r);
	ASSERT_EQ(0, side_init(&theirs, true, 64, variant->flags));
	ASSERT_EQ(0, side_init(&ours, false, 64, variant->flags));
	side_submit(&theirs, 1);
	side_submit(&ours, 1);
	for (i = 0; i < PROGRAM; i++)
		ASSERT_EQ(theirs.rets[i], ours.rets[i]) {
			TH_LOG("ENTER %u", i);
		}
	EXPECT_EQ(theirs.nr, ours.nr);
	for (i = 0; i < ours.nr && i < theirs.nr; i++)
		EXPECT_EQ(0, memcmp(&ours.got[i], &theirs.got[i],
				    sizeof(ours.got[i]))) {
			TH_LOG("completion %u: %llu, result %d", i,
			       ours.got[i].user_data, ours.got[i].res);
		}
	ring_exit(&ours.r);
	ring_exit(&theirs.r);
}

RING_TEST_MAIN
