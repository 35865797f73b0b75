// SPDX-License-Identifier: GPL-2.0-only
/*
 * Post more completions than the CQ has room for. No completion is lost or
 * comes twice (I1). They come in the order in which they were posted (I2).
 * Entering the kernel moves as many from the backlog as fit (I3). The flag of
 * the SQ ring is set exactly while some are in the backlog (I4).
 *
 * All of this holds for every context that can complete a request, with CQs of
 * 1, 2 and 4096 entries, and while the application reaps at random moments.
 *
 * IOURING2_STRESS=full runs the long versions, IOURING2_STRESS_N sets the
 * number of NOPs, IOURING2_SEED repeats a run.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define OVERFLOW	IOURING2_SQ_CQ_OVERFLOW
#define GETEVENTS	IOURING2_ENTER_GETEVENTS

/* What a completer needs: the file it works on and the time it takes */
struct ctx {
	int efd, file;
	char byte;
	struct __kernel_timespec ts;
	uint64_t value;
};

static void do_nop(struct iouring2_sqe *sqe, struct ctx *c)
{
	(void)c;
	prep_nop(sqe);
}

static void do_nop_async(struct iouring2_sqe *sqe, struct ctx *c)
{
	(void)c;
	prep_nop(sqe);
	sqe->flags = IOURING2_SQE_ASYNC;
}

static void do_refused(struct iouring2_sqe *sqe, struct ctx *c)
{
	(void)c;
	prep_nop(sqe);
	sqe->opcode = 255;
}

static void do_read(struct iouring2_sqe *sqe, struct ctx *c)
{
	prep_read(sqe, c->file, &c->byte, 1, 0);
}

static void do_read_async(struct iouring2_sqe *sqe, struct ctx *c)
{
	prep_read(sqe, c->file, &c->byte, 1, 0);
	sqe->flags = IOURING2_SQE_ASYNC;
}

static void do_poll(struct iouring2_sqe *sqe, struct ctx *c)
{
	prep_poll(sqe, c->efd, POLLIN);
}

static void do_read_wait(struct iouring2_sqe *sqe, struct ctx *c)
{
	(void)c;
	prep_poll(sqe, c->efd, POLLIN | POLLERR);
}

static void do_late_read(struct iouring2_sqe *sqe, struct ctx *c)
{
	prep_read(sqe, c->efd, &c->value, sizeof(c->value), 0);
}

static void do_timeout(struct iouring2_sqe *sqe, struct ctx *c)
{
	prep_timeout(sqe, &c->ts, 0, 0);
}

static void do_timeout_count(struct iouring2_sqe *sqe, struct ctx *c)
{
	/* Completed by the first completion of any other request */
	prep_timeout(sqe, &c->ts, 1, 0);
}

struct completer {
	void (*prep)(struct iouring2_sqe *sqe, struct ctx *c);
	int res;
	bool held;	/* completes only once the eventfd is written to */
	bool timer;	/* completes when its timer expires */
	bool fifo;	/* completes in the order of submission */
};

enum {
	INLINE_NOP, INLINE_REFUSAL, READ, WORKER_NOP, WORKER_READ, POLL,
	POLL_WITH_ERROR_BITS, TIMER,
};

static const struct completer completers[] = {
	[INLINE_NOP] = { do_nop, 0, .fifo = true },
	[INLINE_REFUSAL] = { do_refused, -EINVAL, .fifo = true },
	[READ] = { do_read, 1 },
	[WORKER_NOP] = { do_nop_async, 0 },
	[WORKER_READ] = { do_read_async, 1 },
	[POLL] = { do_poll, POLLIN, .held = true },
	[POLL_WITH_ERROR_BITS] = { do_read_wait, POLLIN, .held = true },
	[TIMER] = { do_timeout, -ETIME, .timer = true },
};

/*
 * Submit only one at a time, because the first read takes the whole counter. A
 * worker posts the CQE.
 */
static const struct completer late_read = {
	do_late_read, sizeof(uint64_t), .held = true
};

static bool flagged(struct ring *r)
{
	return ld_acq(r->sq_flags) & OVERFLOW;
}

/*
 * A timer must not expire before the last request is submitted. How long that
 * takes depends on the machine: if a timer may have expired, the case runs
 * again with timers of four times the length.
 */
#define FIRST_WAIT	(50 * NSEC_PER_MSEC)
#define LAST_WAIT	(16 * NSEC_PER_SEC)

static int ctx_init(struct ctx *c)
{
	c->efd = eventfd(0, EFD_CLOEXEC);
	c->file = tmp_file(1);
	c->ts = ts_ns(FIRST_WAIT);
	return c->efd < 0 || c->file < 0 ? -EIO : 0;
}

static void ctx_exit(struct ctx *c)
{
	close(c->efd);
	close(c->file);
}

/*
 * Submit @nr requests with user_data from @first on: as many at once as the SQ
 * holds, or one by one. Return: the number of entries accepted.
 */
static unsigned int submit(struct ring *r, const struct completer *k,
			   struct ctx *c, unsigned int first, unsigned int nr,
			   bool one_by_one)
{
	struct iouring2_sqe *sqe;
	unsigned int done = 0, queued = 0;
	int ret;

	while (done < nr) {
		while (queued < nr && (sqe = ring_sqe(r))) {
			k->prep(sqe, c);
			sqe->user_data = first + queued++;
			if (one_by_one)
				break;
		}
		ret = ring_submit(r);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done;
}

static unsigned char seen[4096 * 4];

/* Reap @nr completions, and enter only to have the CQ filled again */
static void reap_all(struct __test_metadata *_metadata, struct ring *r,
		     const struct completer *k, unsigned int nr)
{
	unsigned int got = 0;
	struct iouring2_cqe cqe;
	long long left;

	for (;;) {
		while (ring_peek(r, &cqe)) {
			/*
			 * the CQE is of a submitted request, and is its first
			 */
			ASSERT_GT(nr, cqe.user_data);
			ASSERT_EQ(0, seen[cqe.user_data]++);
			if (k->fifo)
				ASSERT_EQ(got, cqe.user_data);
			ASSERT_EQ(k->res, cqe.res);
			got++;
		}
		/*
		 * Reaping alone does not clear the flag: it does not flush the
		 * backlog
		 */
		left = fdinfo(r->fd, "Backlog");
		ASSERT_EQ(left > 0, flagged(r)) {
			TH_LOG("%lld in the backlog", left);
		}
		if (!left)
			break;
		ASSERT_EQ(0, enter(r->fd, 0, 0, GETEVENTS, NULL, 0));
		ASSERT_EQ(left < *r->cq_entries ? left : *r->cq_entries,
			  ring_ready(r));
		ASSERT_EQ(0, (int)*r->cq_overflow);
	}
	EXPECT_EQ(nr, got);
}

/*
 * Return: true if a timer of @wait ns may have expired too soon, so that the
 * result proves nothing
 */
static bool overflow_try(struct __test_metadata *_metadata,
			 const struct completer *k, unsigned int cq,
			 bool one_by_one, long long wait)
{
	unsigned int total, sq, more, taken;
	long long began;
	uint64_t v = 1;
	struct ctx c;
	struct ring r;
	bool late;

	ASSERT_EQ(0, ctx_init(&c));
	c.ts = ts_ns(wait);
	sq = one_by_one && cq > 8 ? 8 : cq;
	ASSERT_EQ(0, ring_init_params(&r, sq, cq, IOURING2_SETUP_SUBMIT_ALL,
				      0));
	memset(seen, 0, sizeof(seen));

	/* Submit as many as can complete without using the backlog */
	began = now_ns(CLOCK_MONOTONIC);
	taken = submit(&r, k, &c, 0, cq, one_by_one);
	if (!k->held && !k->timer) {
		/* The CQ is full, and the backlog is still empty */
		EXPECT_TRUE(until(ring_ready(&r) == cq));
		EXPECT_FALSE(flagged(&r));
		EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	}
	/*
	 * Then submit requests that find the CQ full: a batch, or a single one
	 */
	if (k->held || k->timer)
		more = cq < 100 ? cq + 1 : 100;
	else
		more = one_by_one ? 1 : sq;
	total = cq + more;
	taken += submit(&r, k, &c, cq, more, one_by_one);
	late = k->timer && now_ns(CLOCK_MONOTONIC) - began >= wait;
	if (late)
		goto out;
	EXPECT_EQ(total, taken);
	if (k->held)
		EXPECT_EQ((ssize_t)sizeof(v), write(c.efd, &v, sizeof(v)));
	EXPECT_TRUE(until(fdinfo(r.fd, "Backlog") == more));
	EXPECT_EQ(more, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(cq, ring_ready(&r));
	EXPECT_TRUE(until(flagged(&r)));
	EXPECT_EQ(more, fdinfo(r.fd, "BacklogTotal"));
	EXPECT_EQ(more, fdinfo(r.fd, "BacklogMax"));
	reap_all(_metadata, &r, k, total);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_EQ(total, fdinfo(r.fd, "Completed"));
	/* The ring still works */
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(0, ring_do(&r));
out:
	ring_exit(&r);
	ctx_exit(&c);
	return late;
}

RING_FIXTURE(completions) {
	const struct completer *by;
	unsigned int cq;
};

#define EACH_CQ(name, nr)						\
FIXTURE_VARIANT_ADD(completions, name##_cq_1) { &completers[nr], 1 };	\
FIXTURE_VARIANT_ADD(completions, name##_cq_2) { &completers[nr], 2 };	\
FIXTURE_VARIANT_ADD(completions, name##_cq_4096) { &completers[nr], 4096 }

EACH_CQ(inline_nop, INLINE_NOP);
EACH_CQ(inline_refusal, INLINE_REFUSAL);
EACH_CQ(read, READ);
EACH_CQ(worker_nop, WORKER_NOP);
EACH_CQ(worker_read, WORKER_READ);
EACH_CQ(poll, POLL);
EACH_CQ(poll_with_error_bits, POLL_WITH_ERROR_BITS);
EACH_CQ(timer, TIMER);

TEST_F_TIMEOUT(completions, none_lost_in_a_batch, LIMIT)
{
	long long wait = FIRST_WAIT;

	while (overflow_try(_metadata, variant->by, variant->cq, false, wait)) {
		wait *= 4;
		ASSERT_GE(LAST_WAIT, wait);
	}
}

TEST_F_TIMEOUT(completions, none_lost_one_by_one, LIMIT)
{
	long long wait = FIRST_WAIT;

	while (overflow_try(_metadata, variant->by, variant->cq, true, wait)) {
		wait *= 4;
		ASSERT_GE(LAST_WAIT, wait);
	}
}

/*
 * A timeout that counts completions is completed by a CQE that goes to the
 * backlog
 */
RING_TEST(timeout_by_count)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int bits = 0;
	struct ctx c;
	struct ring r;
	int i;

	ASSERT_EQ(0, ctx_init(&c));
	c.ts = ts_ns(60 * NSEC_PER_SEC);
	ASSERT_EQ(0, ring_init(&r, 1, 1));
	for (i = 0; i < 3; i++) {
		sqe = ring_sqe(&r);
		do_timeout_count(sqe, &c);
		sqe->user_data = i;
		ASSERT_EQ(1, ring_submit(&r));
	}
	ASSERT_EQ(0, ring_nop(&r, 3));
	ASSERT_EQ(1, ring_submit(&r));
	EXPECT_TRUE(until(fdinfo(r.fd, "Backlog") == 3));
	EXPECT_TRUE(flagged(&r));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(4, (int)cqe.user_data);
		EXPECT_EQ(0, (int)(bits >> cqe.user_data & 1));
		bits |= 1 << cqe.user_data;
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
	ctx_exit(&c);
}

/*
 * The CQ has room again while the backlog is not empty, and a request completes
 * outside of ENTER: after @wait ns, or when the eventfd is written to.
 *
 * Return: true if the request may have completed before there was room.
 */
static bool overtake_try(struct __test_metadata *_metadata,
			 const struct completer *k, long long wait)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	long long began, backlog;
	uint64_t v = 1;
	unsigned int n;
	struct ctx c;
	struct ring r;
	bool late;

	ASSERT_EQ(0, ctx_init(&c));
	c.ts = ts_ns(wait);
	ASSERT_EQ(0, ring_init(&r, 2, 2));
	began = now_ns(CLOCK_MONOTONIC);
	sqe = ring_sqe(&r);
	k->prep(sqe, &c);
	sqe->user_data = 1000;
	ASSERT_EQ(1, ring_submit(&r));
	for (n = 0; n < 4; n++) {
		ASSERT_EQ(0, ring_nop(&r, n));
		if (n & 1)
			ring_submit(&r);
	}
	backlog = fdinfo(r.fd, "Backlog");
	/* Reaping makes two slots free */
	for (n = 0; n < 2; n++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		if (cqe.user_data != n)
			backlog = -1;
	}
	late = k->timer && now_ns(CLOCK_MONOTONIC) - began >= wait;
	if (late)
		goto out;
	EXPECT_EQ(2, backlog);
	if (k->held)
		ASSERT_EQ((ssize_t)sizeof(v), write(c.efd, &v, sizeof(v)));
	EXPECT_TRUE(until(fdinfo(r.fd, "Completed") == 5));
	for (n = 2; n < 5; n++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(n == 4 ? 1000 : n, cqe.user_data);
	}
out:
	ring_exit(&r);
	ctx_exit(&c);
	return late;
}

RING_FIXTURE(overtaker) {
	const struct completer *by;
};

FIXTURE_VARIANT_ADD(overtaker, poll) { &completers[POLL] };
FIXTURE_VARIANT_ADD(overtaker, poll_with_error_bits) {
	&completers[POLL_WITH_ERROR_BITS]
};

FIXTURE_VARIANT_ADD(overtaker, timer) { &completers[TIMER] };
FIXTURE_VARIANT_ADD(overtaker, read_that_waited) { &late_read };

/* I2: a new CQE must not overtake those of the backlog */
TEST_F_TIMEOUT(overtaker, nothing_overtakes, LIMIT)
{
	long long wait = FIRST_WAIT;

	while (overtake_try(_metadata, variant->by, wait)) {
		wait *= 4;
		ASSERT_GE(LAST_WAIT, wait);
	}
}

/* The flag is right at each step of a backlog that grows and shrinks by one */
RING_TEST(flag_is_exact)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(1, ring_submit(&r));
		EXPECT_FALSE(flagged(&r));
	}
	for (i = 4; i < 8; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ASSERT_EQ(4, ring_submit(&r));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(i < 4 ? 4 - i : 0, fdinfo(r.fd, "Backlog"));
		EXPECT_EQ(i < 4, flagged(&r)) {
			TH_LOG("after %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
		/* One slot is free: ENTER moves one CQE there */
		EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	}
	/* The other flags are not changed */
	EXPECT_EQ(0, (int)*r.sq_flags);
	ring_exit(&r);
}

/* ENTER without GETEVENTS and without entries also flushes the backlog (I3) */
RING_TEST(every_enter_flushes)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 1, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(1, ring_submit(&r));
	}
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	EXPECT_EQ(1, (int)ring_ready(&r));
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
}

/* -------------------------------------------------------------- stress */

static unsigned int stress_seed(void)
{
	return env_long("IOURING2_SEED", now_ns(CLOCK_REALTIME) & 0x7fffffff);
}

static unsigned long stress_count(unsigned long few, unsigned long many)
{
	return env_long("IOURING2_STRESS_N", full_stress() ? many : few);
}

/*
 * NOPs through a CQ of 4, reaped at random moments: each comes once, in order
 */
RING_TEST(stress_random_reaping)
{
	unsigned long n = stress_count(100000, 2000000);
	unsigned long queued = 0, taken = 0, reaped = 0, busy = 0, wrong = 0;
	unsigned int seed = stress_seed(), first = seed, k;
	struct iouring2_cqe cqe;
	struct ring r;
	int ret;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	while (reaped < n) {
		unsigned int dice = rand_r(&seed) >> 8;

		if (dice % 8 < 5 && taken < n) {
			for (k = dice / 8 % 4 + 1; k && queued < n; k--) {
				if (ring_nop(&r, queued))
					break;
				queued++;
			}
			ret = ring_submit(&r);
			if (ret >= 0) {
				taken += ret;
				continue;
			}
			ASSERT_EQ(-EBUSY, ret) {
				TH_LOG("seed %u", first);
			}
			busy++;
			/* The CQ is as full as it can be */
			ASSERT_EQ(4, (int)ring_ready(&r)) {
				TH_LOG("seed %u", first);
			}
			dice = 5 + (dice & ~63U);
		}
		if (dice % 8 == 5 && taken > reaped) {
			ASSERT_EQ(0, enter(r.fd, 0, dice / 8 % 2, GETEVENTS,
					   NULL, 0));
			ASSERT_LT(0, (int)ring_ready(&r));
		}
		for (k = dice / 64 % 5; k; k--) {
			if (!ring_peek(&r, &cqe))
				break;
			wrong += cqe.user_data != reaped || cqe.res;
			reaped++;
		}
	}
	EXPECT_EQ(0, (long)wrong) {
		TH_LOG("seed %u", first);
	}
	EXPECT_EQ(n, taken);
	EXPECT_EQ(n, reaped);
	EXPECT_LT(0, (long)busy);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_EQ(0, (int)*r.sq_dropped);
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ((long long)n, fdinfo(r.fd, "Completed"));
	EXPECT_EQ((long long)busy, fdinfo(r.fd, "EbusyTotal"));
	TH_LOG("%lu NOPs, %lld through the backlog, %lu EBUSY, seed %u", n,
	       fdinfo(r.fd, "BacklogTotal"), busy, first);
	ring_exit(&r);
}

struct reaper {
	struct ring *r;
	unsigned long n, reaped, wrong;
	unsigned char *bitmap;	/* NULL: CQEs must come in order */
	unsigned int seed;
	int err;
};

static void *reap_in_thread(void *arg)
{
	struct reaper *p = arg;
	struct iouring2_cqe cqe;
	unsigned int k;

	while (p->reaped < p->n) {
		for (k = rand_r(&p->seed) >> 8 & 7; k; k--) {
			if (!ring_peek(p->r, &cqe))
				break;
			if (!p->bitmap) {
				p->wrong += cqe.user_data != p->reaped;
			} else if (cqe.user_data >= p->n) {
				p->wrong++;
			} else {
				p->wrong += p->bitmap[cqe.user_data / 8] >>
					    cqe.user_data % 8 & 1;
				p->bitmap[cqe.user_data / 8] |=
					1 << cqe.user_data % 8;
			}
			p->reaped++;
		}
		if (ring_ready(p->r))
			continue;
		if (flagged(p->r)) {
			int ret = enter(p->r->fd, 0, 1, GETEVENTS, NULL, 0);

			if (ret) {
				p->err = ret;
				break;
			}
		} else {
			sched_yield();
		}
	}
	return NULL;
}

/* One thread submits, and another one reaps */
static void stress_two_threads(struct __test_metadata *_metadata,
			       unsigned long n, bool mixed)
{
	struct reaper p = { .n = n, .seed = stress_seed() };
	unsigned long queued = 0, taken = 0, busy = 0;
	unsigned int first = p.seed, seed = p.seed / 2;
	struct iouring2_sqe *sqe;
	pthread_t thread;
	struct ctx c;
	struct ring r;
	int ret;

	ASSERT_EQ(0, ctx_init(&c));
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	c.ts = ts_ns(1000);
	p.r = &r;
	if (mixed) {
		uint64_t v = 1;

		p.bitmap = calloc(1, n / 8 + 1);
		ASSERT_NE(NULL, p.bitmap);
		/* The eventfd is readable, so that polls complete at once */
		ASSERT_EQ((ssize_t)sizeof(v), write(c.efd, &v, sizeof(v)));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, reap_in_thread, &p));
	while (taken < n) {
		while (queued < n && (sqe = ring_sqe(&r))) {
			const struct completer *k = &completers[0];

			if (mixed)
				k = &completers[(rand_r(&seed) >> 8) %
						ARRAY_SIZE(completers)];
			if (k->prep == do_refused)
				k = &completers[0];
			k->prep(sqe, &c);
			sqe->user_data = queued++;
		}
		ret = ring_submit(&r);
		if (ret > 0) {
			taken += ret;
		} else {
			if (ret != -EBUSY)
				break;
			busy++;
			sched_yield();
		}
	}
	EXPECT_EQ(n, taken) {
		TH_LOG("%d, seed %u", ret, first);
		p.n = taken;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, p.err) {
		TH_LOG("seed %u", first);
	}
	EXPECT_EQ(n, p.reaped) {
		TH_LOG("seed %u", first);
	}
	EXPECT_EQ(0, (long)p.wrong) {
		TH_LOG("seed %u", first);
	}
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	TH_LOG("%lu requests, %lld through the backlog, %lu EBUSY, seed %u", n,
	       fdinfo(r.fd, "BacklogTotal"), busy, first);
	ring_exit(&r);
	ctx_exit(&c);
	free(p.bitmap);
}

#define LOOKED_AT_NS	(2 * NSEC_PER_SEC)

static void *look_at_it(void *arg)
{
	struct reaper *p = arg;
	long long submitted;

	while (!ld_acq(&p->err)) {
		submitted = fdinfo(p->r->fd, "Submitted");
		/* it is read later, so it may only be larger */
		p->wrong += fdinfo(p->r->fd, "Submitted") < submitted;
		p->wrong += fdinfo(p->r->fd, "Completed") > p->n;
		p->reaped++;
	}
	return NULL;
}

/*
 * The fdinfo of a ring in use shows possible numbers, and reading it does not
 * block the ring
 */
RING_TEST(looked_at_meanwhile)
{
	struct reaper p = { .n = ~0U };
	unsigned long done = 0;
	struct iouring2_cqe cqe;
	long long end;
	pthread_t thread;
	struct ring r;
	int ret;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	p.r = &r;
	ASSERT_EQ(0, pthread_create(&thread, NULL, look_at_it, &p));
	end = now_ns(CLOCK_MONOTONIC) + LOOKED_AT_NS;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		ring_nop(&r, done);
		ret = ring_submit(&r);
		if (ret > 0) {
			done += ret;
			continue;
		}
		ASSERT_EQ(-EBUSY, ret);
		while (ring_peek(&r, &cqe))
			;
	}
	st_rel(&p.err, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, (long)p.wrong);
	EXPECT_LT(0, (long)p.reaped);
	EXPECT_LE(done, fdinfo(r.fd, "Submitted"));
	ring_exit(&r);
}

RING_TEST(stress_two_threads)
{
	stress_two_threads(_metadata, stress_count(50000, 2000000), false);
}

RING_TEST(stress_mixed_contexts)
{
	stress_two_threads(_metadata, stress_count(10000, 200000), true);
}

/* A backlog as long as the default cap allows, from one submission */
RING_TEST(long_backlog)
{
	enum { SQ = 32768 };
	struct iouring2_cqe cqe;
	unsigned int i, got = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, SQ, SQ));
	for (i = 0; i < SQ; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ASSERT_EQ(SQ, ring_submit(&r));
	for (; i < 2 * SQ; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ASSERT_EQ(SQ, ring_submit(&r));
	EXPECT_EQ(SQ, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(SQ, (int)ring_ready(&r));
	while (got < 2 * SQ) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_EQ(got, cqe.user_data);
		got++;
	}
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
}

RING_TEST_MAIN
