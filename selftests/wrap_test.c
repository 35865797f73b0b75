// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring that has had more than 2^32 requests works like a new one: its 32-bit
 * counters wrap to 0, also for the application. In a debug build, a ring can
 * start shortly before that point.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define SHORT_OF	20	/* requests until the counters wrap to 0 */
#define ROUNDS		40

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define DRAIN		IOURING2_SQE_IO_DRAIN

/* Return: 0, -errno, or -ENODEV if this is no debug build */
static int old_ring(struct ring *r, unsigned int sq, unsigned int cq,
		    unsigned int flags)
{
	int ret;

	if (module_param_set("setup_first", (__u32)-SHORT_OF) < 0)
		return -ENODEV;
	ret = ring_init_params(r, sq, cq, flags, 0);
	module_param_set("setup_first", 0);
	return ret;
}

#define OLD_RING(r, sq, cq)	OLD_RING_FLAGS(r, sq, cq, 0)

#define OLD_RING_FLAGS(r, sq, cq, flags) do {				\
	int __ret = old_ring(r, sq, cq, flags);				\
									\
	if (__ret == -ENODEV)						\
		SKIP(return, "the module is not a debug build");	\
	ASSERT_EQ(0, __ret);						\
	ASSERT_EQ((__u32)-SHORT_OF, *(r)->sq_head);			\
	ASSERT_EQ((__u32)-SHORT_OF, *(r)->cq_tail);			\
} while (0)

static bool has_wrapped(struct ring *r)
{
	return *r->sq_head < 1U << 31 && *r->cq_tail < 1U << 31;
}

/* Each entry is taken once, and each completion comes once, in order */
RING_TEST(order)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i, j, nr;

	OLD_RING(&r, 4, 8);
	for (i = 0; i < ROUNDS; i++) {
		nr = i % 4 + 1;
		for (j = 0; j < nr; j++)
			ASSERT_EQ(0, ring_nop(&r, 10 * i + j));
		/* ENTER takes no more entries than there are */
		EXPECT_EQ(nr, enter(r.fd, ring_publish(&r) + 1, 0, 0, NULL, 0));
		EXPECT_EQ(nr, (int)ring_ready(&r));
		for (j = 0; j < nr; j++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(10 * i + j, (int)cqe.user_data);
		}
		EXPECT_FALSE(ring_peek(&r, &cqe));
		EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	}
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
}

struct waiter {
	pthread_t self;
	pid_t tid;
	int fd, ret;
};

static void *wait_for_one(void *arg)
{
	struct waiter *w = arg;

	st_rel(&w->tid, (pid_t)syscall(SYS_gettid));
	w->ret = enter(w->fd, 0, 1, GETEVENTS, NULL, 0);
	return NULL;
}

/*
 * A task that waits for one CQE is woken when several come at once, also if
 * they wrap the counter
 */
RING_TEST(waiters)
{
	struct iouring2_cqe cqe;
	struct waiter w;
	struct ring r;
	int i, j;

	OLD_RING(&r, 8, 16);
	for (i = 0; i < ROUNDS / 2; i++) {
		/* 7 requests a round: the counter wraps in the third batch */
		ASSERT_EQ(0, ring_nop(&r, 1));
		ASSERT_EQ(0, ring_do(&r));
		w = (struct waiter) { .fd = r.fd };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_for_one, &w));
		EXPECT_TRUE(until(ld_acq(&w.tid) && task_sleeps(w.tid)));
		for (j = 0; j < 6; j++)
			ASSERT_EQ(0, ring_nop(&r, j));
		EXPECT_EQ(6, ring_submit(&r));
		pthread_join(w.self, NULL);
		EXPECT_EQ(0, w.ret);
		while (ring_peek(&r, &cqe))
			;
	}
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
}

/* A barrier waits for the requests before it, and not for ever */
RING_TEST(barriers)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int efd, i, j;
	struct ring r;
	uint64_t v = 1;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	OLD_RING(&r, 8, 0);
	for (i = 0; i < ROUNDS / 2; i++) {
		/* this barrier has no request to wait for */
		ASSERT_EQ(0, ring_nop(&r, 0));
		r.sqes[(r.sqe_tail - 1) & *r.sq_mask].flags = DRAIN;
		ASSERT_EQ(0, ring_do(&r)) {
			TH_LOG("round %d", i);
		}
		for (j = 0; j < 3; j++) {
			sqe = ring_sqe(&r);
			if (j)
				prep_nop(sqe);
			else
				prep_poll(sqe, efd, POLLIN);
			sqe->flags = j == 1 ? DRAIN : 0;
			sqe->user_data = j;
		}
		EXPECT_EQ(3, ring_submit(&r));
		EXPECT_EQ(3, fdinfo(r.fd, "Inflight"));
		ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		for (j = 0; j < 3; j++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe)) {
				TH_LOG("round %d", i);
			}
			EXPECT_EQ(j, (int)cqe.user_data);
		}
		ASSERT_EQ((ssize_t)sizeof(v), read(efd, &v, sizeof(v)));
	}
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
	close(efd);
}

/* A timeout that counts completions counts correctly when the counter wraps */
RING_TEST(counted)
{
	struct __kernel_timespec hour = ts_ns(3600 * NSEC_PER_SEC);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int i, j;

	OLD_RING(&r, 8, 0);
	for (i = 0; i < ROUNDS / 2; i++) {
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &hour, 3, 0);
		sqe->user_data = 77;
		EXPECT_EQ(1, ring_submit(&r));
		for (j = 0; j < 3; j++) {
			EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
			ASSERT_EQ(0, ring_nop(&r, j));
			EXPECT_EQ(1, ring_submit(&r));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(j, (int)cqe.user_data);
		}
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(77, (int)cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
}

/* A completion of two entries, at each place of the CQ */
RING_TEST(two_entries)
{
	struct iouring2_sqe *sqe;
	struct big_cqe c;
	struct ring r;
	int i;

	OLD_RING_FLAGS(&r, 4, 4, IOURING2_SETUP_CQE_MIXED);
	for (i = 0; i < ROUNDS; i++) {
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		sqe->nop_flags = IOURING2_NOP_CQE32;
		sqe->off = i;
		sqe->addr = ~i;
		sqe->user_data = i;
		ASSERT_EQ(1, ring_submit(&r));
		do {
			ASSERT_TRUE(ring_peek_big(&r, &c));
		} while (c.flags == IOURING2_CQE_F_SKIP);
		EXPECT_EQ(i, (int)c.user_data);
		EXPECT_EQ(2, (int)c.slots);
		EXPECT_EQ(i, (int)c.extra[0]);
		EXPECT_EQ(~i, (int)c.extra[1]);
		/* the next one starts at another place */
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(0, ring_do(&r));
	}
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
}

/* CQEs that do not fit wait, and come in order. The cap is still right (I5). */
RING_TEST(overflow)
{
	int i, got = 0, queued = 0, ret, busy = 0;
	struct iouring2_setup s = {
		.entries = 4, .max_inflight = 6,
		.params = {
			.flags = IOURING2_SETUP_CQSIZE, .cq_entries = 4,
		},
	};
	struct iouring2_cqe cqe;
	struct ring r;

	if (module_param_set("setup_first", (__u32)-SHORT_OF) < 0)
		SKIP(return, "the module is not a debug build");
	ASSERT_EQ(0, ring_init_setup(&r, &s));
	module_param_set("setup_first", 0);
	while (got < 3 * SHORT_OF) {
		while (!ring_nop(&r, queued))
			queued++;
		ret = ring_submit(&r);
		EXPECT_TRUE(ret > 0 || ret == -EBUSY);
		if (ret != -EBUSY)
			continue;
		busy++;
		EXPECT_EQ(4, (int)ring_ready(&r));
		for (i = 0; i < 3; i++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(got++, (int)cqe.user_data);
		}
	}
	EXPECT_LT(0, busy);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_TRUE(has_wrapped(&r));
	ring_exit(&r);
}

RING_TEST_MAIN
