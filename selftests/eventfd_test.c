// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registered eventfd. It is signalled once for each batch of CQEs, and for
 * each request that is parked, unless the program has switched it off. So a
 * program that waits for nothing but the eventfd misses nothing. Nothing is
 * signalled after UNREGISTER has returned, and no reference is left. A ring that
 * polls its own eventfd does not loop.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "sides.h"

#define EVENTFD		IOURING2_REGISTER_EVENTFD
#define EVENTFD_ASYNC	IOURING2_REGISTER_EVENTFD_ASYNC
#define UNREGISTER	IOURING2_UNREGISTER_EVENTFD
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define SKIP_CQE	IOURING2_SQE_CQE_SKIP_SUCCESS
#define BAD_ADDR	((void *)-4096L)
#define NR_EFDS		64

static char buf[4096];

static int new_eventfd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* How often was it signalled since the last call? */
static int count(int efd)
{
	uint64_t v;

	return read(efd, &v, sizeof(v)) == sizeof(v) ? (int)v : 0;
}

/* Wait until it is signalled. Return: the count, or 0 after @ms */
static int count_ms(int efd, int ms)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? count(efd) : 0;
}

static int signal_fd(int efd)
{
	uint64_t v = 1;

	return write(efd, &v, sizeof(v)) == sizeof(v) ? 0 : -errno;
}

/* ------------------------------------------------------- the three calls */

SIDE_FIXTURE(both);

/* With LINK they are one chain */
static int submit_nops(const struct side *side, struct ring *r, int nr,
		       unsigned int flags)
{
	struct iouring2_sqe *sqe;
	int i;

	for (i = 0; i < nr; i++) {
		sqe = ring_sqe(r);
		if (!sqe)
			return -EBUSY;
		prep_nop(sqe);
		sqe->flags = i < nr - 1 ? flags : flags & ~LINK;
	}
	i = side->enter(r->fd, ring_publish(r), 0, 0, NULL, 0);
	return i == nr ? 0 : i < 0 ? i : -EPROTO;
}

/* Each call that is refused leaves things as they were */
TEST_F_TIMEOUT(both, refused, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd(), other = new_eventfd(), p[2], bad = -1;
	static const unsigned int ops[] = { EVENTFD, EVENTFD_ASYNC };
	unsigned int i;
	struct ring r;

	NEED_SIDE(tree_has(0));
	ASSERT_LE(0, efd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, side->setup(&r, 8, 0, 0));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(-EINVAL, side->reg(r.fd, ops[i], &efd, 0));
		EXPECT_EQ(-EINVAL, side->reg(r.fd, ops[i], &efd, 2));
		EXPECT_EQ(-EINVAL, side->reg(r.fd, ops[i], &efd, 0x10001));
		EXPECT_EQ(-EFAULT, side->reg(r.fd, ops[i], NULL, 1));
		EXPECT_EQ(-EFAULT, side->reg(r.fd, ops[i], BAD_ADDR, 1));
		EXPECT_EQ(-EBADF, side->reg(r.fd, ops[i], &bad, 1));
		EXPECT_EQ(-EINVAL, side->reg(r.fd, ops[i], &p[0], 1));
		EXPECT_EQ(-EINVAL, side->reg(r.fd, ops[i], &r.fd, 1));
		EXPECT_EQ(-ENXIO, side->reg(r.fd, UNREGISTER, NULL, 0));
		EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
		EXPECT_EQ(0, count(efd));
	}
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(-EBUSY, side->reg(r.fd, ops[i], &other, 1));
		EXPECT_EQ(-EBUSY, side->reg(r.fd, ops[i], &efd, 1));
		EXPECT_EQ(-EBUSY, side->reg(r.fd, ops[i], &bad, 1));
		EXPECT_EQ(-EBUSY, side->reg(r.fd, ops[i], BAD_ADDR, 1));
	}
	EXPECT_EQ(-EINVAL, side->reg(r.fd, UNREGISTER, &efd, 0));
	EXPECT_EQ(-EINVAL, side->reg(r.fd, UNREGISTER, NULL, 1));
	/* it is still registered, and not as ASYNC */
	EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(1, count(efd));
	EXPECT_EQ(0, count(other));
	EXPECT_EQ(0, side->reg(r.fd, UNREGISTER, NULL, 0));
	EXPECT_EQ(-ENXIO, side->reg(r.fd, UNREGISTER, NULL, 0));
	EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(0, count(efd));
	ring_exit(&r);
	close(efd);
	close(other);
	close(p[0]);
	close(p[1]);
}

/* An eventfd after the other, and one for two rings */
TEST_F_TIMEOUT(both, again, LIMIT)
{
	const struct side *side = variant->side;
	int efd[2] = { new_eventfd(), new_eventfd() }, i;
	struct ring r[2];

	NEED_SIDE(tree_has(0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, side->setup(&r[i], 8, 1024, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, side->reg(r[0].fd, EVENTFD, &efd[i & 1], 1));
		ASSERT_EQ(0, submit_nops(side, &r[0], 1, 0));
		EXPECT_EQ(1, count(efd[i & 1]));
		EXPECT_EQ(0, count(efd[!(i & 1)]));
		ASSERT_EQ(0, side->reg(r[0].fd, UNREGISTER, NULL, 0));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, side->reg(r[i].fd, EVENTFD, &efd[0], 1));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, submit_nops(side, &r[i], 3, 0));
	EXPECT_EQ(2, count(efd[0]));
	for (i = 0; i < 2; i++) {
		ring_exit(&r[i]);
		close(efd[i]);
	}
}

/* ------------------------------------------------- how often it is signalled */

/* CQEs that were posted before do not count, even if a request ends without one */
TEST_F_TIMEOUT(both, not_for_earlier_cqes, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd();
	struct ring r;

	NEED_SIDE(tree_features() & IOURING2_FEAT_CQE_SKIP);
	ASSERT_EQ(0, side->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, submit_nops(side, &r, 4, 0));
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	EXPECT_EQ(0, count(efd));
	EXPECT_EQ(0, side->enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0, count(efd));
	ASSERT_EQ(0, submit_nops(side, &r, 1, SKIP_CQE));
	EXPECT_EQ(0, count(efd));
	ASSERT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(1, count(efd));
	ring_exit(&r);
	close(efd);
}

TEST_F_TIMEOUT(both, once_per_batch, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd(), i;
	struct iouring2_sqe *sqe;
	struct ring r;

	NEED_SIDE(tree_has(0));
	ASSERT_EQ(0, side->setup(&r, 8, 256, 0));
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	for (i = 1; i <= 8; i++) {
		EXPECT_EQ(0, submit_nops(side, &r, i, 0));
		EXPECT_EQ(1, count(efd)) {
			TH_LOG("batch of %d", i);
		}
	}
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, submit_nops(side, &r, 2, 0));
	EXPECT_EQ(5, count(efd));
	/* the chain ends in one batch, too; so does an SQE that is refused */
	EXPECT_EQ(0, submit_nops(side, &r, 4, LINK));
	EXPECT_LE(1, count(efd));
	sqe = ring_sqe(&r);
	sqe->opcode = 255;
	EXPECT_EQ(1, side->enter(r.fd, ring_publish(&r), 0, 0, NULL, 0));
	EXPECT_EQ(1, count(efd));
	/* an ENTER that posts nothing, and UNREGISTER, signal nothing */
	EXPECT_EQ(0, side->enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0, count(efd));
	EXPECT_EQ(0, side->reg(r.fd, UNREGISTER, NULL, 0));
	EXPECT_EQ(0, count(efd));
	ring_exit(&r);
	close(efd);
}

/* The count changes only if there is a new CQE */
TEST_F_TIMEOUT(both, not_for_skipped_cqes, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd();
	struct ring r;

	NEED_SIDE(tree_features() & IOURING2_FEAT_CQE_SKIP);
	ASSERT_EQ(0, side->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	EXPECT_EQ(0, submit_nops(side, &r, 4, SKIP_CQE));
	EXPECT_EQ(0, count(efd));
	EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(1, count(efd));
	ring_exit(&r);
	close(efd);
}

/*
 * A CQE that waits behind the full CQ is not there yet: it is signalled when an
 * ENTER moves it into the CQ. io_uring of 5.10 signals both.
 */
TEST_F_TIMEOUT(both, backlog, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd();
	struct iouring2_setup s = {
		.entries = 4,
		.flags = IOURING2_RING_SUBMIT_BACKLOGGED,
		.params.flags = IOURING2_SETUP_CQSIZE,
		.params.cq_entries = 4,
	};
	struct ring r;
	int i;

	NEED_SIDE(tree_features() & IOURING2_FEAT_CQE_SKIP);
	ASSERT_EQ(0, side == &module_side ? ring_init_setup(&r, &s) :
					    side->setup(&r, 4, 4, 0));
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	EXPECT_EQ(0, submit_nops(side, &r, 3, 0));
	EXPECT_EQ(1, count(efd));
	/* one fits, one does not */
	EXPECT_EQ(0, submit_nops(side, &r, 2, 0));
	EXPECT_EQ(1, count(efd));
	/* none fits */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_TRUE(*r.sq_flags & IOURING2_SQ_CQ_OVERFLOW);
	EXPECT_EQ(0, count(efd));
	/* nothing can be moved yet; then some, then nothing any more */
	EXPECT_EQ(0, side->enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0, count(efd));
	st_rel(r.cq_head, *r.cq_head + 4);
	EXPECT_EQ(0, side->enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(4U, ring_ready(&r));
	EXPECT_EQ(1, count(efd));
	EXPECT_EQ(0, side->enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0, count(efd));
	ring_exit(&r);
	close(efd);
}

/* The flag in the mapped CQ switches the signals off, and on again */
TEST_F_TIMEOUT(both, switched_off, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd(), bit;
	struct ring r;

	NEED_SIDE(tree_has(0));
	ASSERT_EQ(0, side->setup(&r, 8, 256, 0));
	ASSERT_NE(0U, r.setup.params.cq_off.flags);
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	EXPECT_EQ(0U, *r.cq_flags);
	st_rel(r.cq_flags, IOURING2_CQ_EVENTFD_DISABLED);
	EXPECT_EQ(0, submit_nops(side, &r, 4, 0));
	EXPECT_EQ(0, submit_nops(side, &r, 1, ASYNC));
	EXPECT_TRUE(until_ms(ring_ready(&r) == 5, SOON));
	EXPECT_EQ(0, count_ms(efd, 50));
	EXPECT_EQ(IOURING2_CQ_EVENTFD_DISABLED, *r.cq_flags);
	st_rel(r.cq_flags, 0);
	EXPECT_EQ(0, count(efd));
	EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(1, count(efd));
	/* other bits have no meaning */
	for (bit = 1; bit < 32; bit++) {
		st_rel(r.cq_flags, 1U << bit);
		EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
		EXPECT_EQ(1, count(efd)) {
			TH_LOG("bit %d", bit);
		}
	}
	ring_exit(&r);
	close(efd);
}

/* With ASYNC only what completes after its submission is signalled */
TEST_F_TIMEOUT(both, async, LIMIT)
{
	const struct side *side = variant->side;
	int efd = new_eventfd(), i;
	struct ring r;

	NEED_SIDE(tree_has(0));
	ASSERT_EQ(0, side->setup(&r, 8, 256, 0));
	ASSERT_EQ(0, side->reg(r.fd, EVENTFD_ASYNC, &efd, 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, submit_nops(side, &r, 4, 0));
		EXPECT_EQ(0, submit_nops(side, &r, 4, LINK));
		EXPECT_EQ(0, count_ms(efd, 20));
		EXPECT_EQ(0, submit_nops(side, &r, 1, ASYNC));
		EXPECT_EQ(1, count_ms(efd, SOON));
		st_rel(r.cq_head, ld_acq(r.cq_tail));
	}
	st_rel(r.cq_flags, IOURING2_CQ_EVENTFD_DISABLED);
	EXPECT_EQ(0, submit_nops(side, &r, 1, ASYNC));
	EXPECT_TRUE(until_ms(ring_ready(&r) == 1, SOON));
	EXPECT_EQ(0, count_ms(efd, 50));
	st_rel(r.cq_flags, 0);
	/* the next one is registered without ASYNC */
	EXPECT_EQ(0, side->reg(r.fd, UNREGISTER, NULL, 0));
	EXPECT_EQ(0, side->reg(r.fd, EVENTFD, &efd, 1));
	EXPECT_EQ(0, submit_nops(side, &r, 1, 0));
	EXPECT_EQ(1, count(efd));
	ring_exit(&r);
	close(efd);
}

/*
 * A submission that also completes earlier requests signals with ASYNC, too:
 * here a timeout that it removes
 */
RING_TEST(async_and_removed)
{
	int efd = new_eventfd();
	struct iouring2_sqe *sqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 256));
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD_ASYNC, &efd, 1));
	for (i = 0; i < 3; i++) {
		add_timer(&r, 3600000, 0, TIMER);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_EQ(0, count(efd));
		prep_timeout_remove(ring_sqe(&r), TIMER);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_EQ(-ECANCELED, seen_ms(&r, TIMER, SOON));
		EXPECT_LE(1, count_ms(efd, SOON));
		/* and again not for a NOP */
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_EQ(0, count_ms(efd, 20));
		st_rel(r.cq_head, ld_acq(r.cq_tail));
	}
	ring_exit(&r);
	close(efd);
}

/* --------------------------- a program that waits for nothing but the eventfd */

static int arm_nothing(struct ring *r, int fd)
{
	return 0;
}

static int submit_nop(struct ring *r, int fd)
{
	ring_nop(r, TRIED);
	return submit_all(r);
}

static int submit_refused(struct ring *r, int fd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	sqe->opcode = 255;
	sqe->user_data = TRIED;
	return submit_all(r);
}

static int submit_async_nop(struct ring *r, int fd)
{
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, ASYNC, TRIED);
	return submit_all(r);
}

static int submit_timeout(struct ring *r, int fd)
{
	add_timer(r, 5, 0, TRIED);
	return submit_all(r);
}

static int arm_poll(struct ring *r, int fd)
{
	add(r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0, TRIED)->poll32_events =
		POLLIN;
	return submit_all(r);
}

static int arm_poll_multi(struct ring *r, int fd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll_multi(sqe, fd, POLLIN);
	sqe->user_data = TRIED;
	return submit_all(r);
}

static int arm_read(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, -1, 0, TRIED);
	return submit_all(r);
}

/* The NOP waits behind a barrier, and the barrier for the poll */
static int arm_drained(struct ring *r, int fd)
{
	add(r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, SKIP_CQE, 0)
		->poll32_events = POLLIN;
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, DRAIN, TRIED);
	return submit_all(r);
}

static int arm_linked(struct ring *r, int fd)
{
	add(r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, SKIP_CQE | LINK, 0)
		->poll32_events = POLLIN;
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, 0, TRIED);
	return submit_all(r);
}

static int wake(struct ring *r, int fd)
{
	return signal_fd(fd);
}

/* A sleep in read(2) of the eventfd, and what that returned */
struct sleeper {
	pthread_t self;
	pid_t tid;
	int fd;
	uint64_t v;
	int ret;
};

static void *sleeper(void *arg)
{
	struct sleeper *s = arg;

	st_rel(&s->tid, syscall(SYS_gettid));
	s->ret = read(s->fd, &s->v, sizeof(s->v));
	return NULL;
}

/*
 * The source of a completion. The thread that submits does not look at the ring
 * after @arm, but waits for the sleeper.
 */
RING_FIXTURE(source) {
	int (*arm)(struct ring *r, int fd);
	int (*complete)(struct ring *r, int fd);
	unsigned int op;
};

#define SOURCE(name, arm, complete)					\
FIXTURE_VARIANT_ADD(source, name) { arm, complete, EVENTFD };		\
FIXTURE_VARIANT_ADD(source, name##_async) { arm, complete, EVENTFD_ASYNC }

FIXTURE_VARIANT_ADD(source, inline) { arm_nothing, submit_nop, EVENTFD };
FIXTURE_VARIANT_ADD(source, refused) { arm_nothing, submit_refused, EVENTFD };
SOURCE(worker, arm_nothing, submit_async_nop);
SOURCE(timer, arm_nothing, submit_timeout);
SOURCE(poll, arm_poll, wake);
SOURCE(multishot, arm_poll_multi, wake);
SOURCE(read, arm_read, wake);
SOURCE(drained, arm_drained, wake);
SOURCE(linked, arm_linked, wake);

TEST_F_TIMEOUT(source, wakes_reader, LIMIT)
{
	struct sleeper s = { };
	struct iouring2_cqe cqe;
	int fd = new_eventfd();
	struct ring r;

	/* a blocking one */
	s.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, s.fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, module_side.reg(r.fd, variant->op, &s.fd, 1));
	ASSERT_EQ(0, variant->arm(&r, fd));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, sleeper, &s));
	EXPECT_TRUE(until(ld_acq(&s.tid) && task_sleeps(s.tid)));
	ASSERT_EQ(0, variant->complete(&r, fd));
	/* if the signal does not come, end the sleep: the test fails below */
	if (!until_ms(ring_ready(&r) && !task_sleeps(s.tid), SOON)) {
		TH_LOG("not woken");
		signal_fd(s.fd);
		pthread_join(s.self, NULL);
		s.ret = -ETIME;
	} else {
		pthread_join(s.self, NULL);
	}
	EXPECT_EQ((int)sizeof(s.v), s.ret);
	EXPECT_EQ(1, (int)s.v);
	/* the CQE was there before the signal */
	EXPECT_TRUE(pick(&r, TRIED, &cqe));
	ring_exit(&r);
	close(s.fd);
	close(fd);
}

/*
 * Many times. Only the eventfd is waited for, so a signal that is lost once is
 * enough for a failure.
 */
TEST_F_TIMEOUT(source, never_lost, LIMIT)
{
	int rounds = full_stress() ? 50000 : 500, i;
	int efd = new_eventfd(), fd = new_eventfd();
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_EQ(0, module_side.reg(r.fd, variant->op, &efd, 1));
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, variant->arm(&r, fd));
		ASSERT_EQ(0, variant->complete(&r, fd));
		while (!pick(&r, TRIED, &cqe)) {
			ASSERT_LT(0, count_ms(efd, SOON)) {
				TH_LOG("round %d", i);
			}
		}
		while (cqe.flags & IOURING2_CQE_F_MORE) {
			prep_poll_remove(ring_sqe(&r), TRIED);
			ASSERT_EQ(0, submit_all(&r));
			while (!pick(&r, TRIED, &cqe)) {
				ASSERT_LT(0, count_ms(efd, SOON)) {
					TH_LOG("round %d, removed", i);
				}
			}
		}
		count(fd);
		/* what is left: results of POLL_REMOVE */
		st_rel(r.cq_head, ld_acq(r.cq_tail));
	}
	ring_exit(&r);
	close(efd);
	close(fd);
}

/* Two processes and a ring: the eventfd of one tells of the other's requests */
BOUNDED_TEST(for_another_process)
{
	int efd = new_eventfd(), status;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* the ring needs no descriptor of the eventfd */
		close(efd);
		_exit(submit_nop(&r, -1) ? 1 : 0);
	}
	EXPECT_EQ(1, count_ms(efd, SOON));
	status = reap_ms(pid, SOON);
	EXPECT_EQ(0, status);
	EXPECT_EQ(1U, ring_ready(&r));
	ring_exit(&r);
	close(efd);
}

/* --------------------------------------------------------------- parked work */

RING_FIXTURE(parked) {
	unsigned int op;
};

FIXTURE_VARIANT_ADD(parked, eventfd) { EVENTFD };
FIXTURE_VARIANT_ADD(parked, async) { EVENTFD_ASYNC };

/* A file that only its process may read, and that is always ready */
static int made_file(void)
{
	return open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
}

/*
 * What a program does that waits for nothing but its eventfd: it takes the CQEs,
 * and calls ENTER if the kernel has work for it. @turns counts these calls.
 * Return: the result of @ud, NEVER, or the error of ENTER.
 */
static int wait_by_eventfd(struct ring *r, int efd, __u64 ud, int *turns)
{
	struct iouring2_cqe cqe;
	int ret;

	for (;;) {
		if (pick(r, ud, &cqe))
			return cqe.res;
		if (!count_ms(efd, SOON))
			return NEVER;
		if (ld_acq(r->sq_flags) & IOURING2_SQ_TASKRUN) {
			ret = enter(r->fd, 0, 0, GETEVENTS, NULL, 0);
			if (ret)
				return ret;
			++*turns;
		}
	}
}

/*
 * A read that starts behind a poll, while the program waits for its eventfd. The
 * poll posts no CQE, so only the parked read is signalled.
 */
TEST_F_TIMEOUT(parked, told, LIMIT)
{
	int efd = new_eventfd(), fd = made_file(), gate = new_eventfd();
	int i, turns;
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_EQ(0, module_side.reg(r.fd, variant->op, &efd, 1));
	for (i = 0; i < 5; i++) {
		turns = 0;
		add(&r, IOURING2_OP_POLL_ADD, gate, NULL, 0, 0,
		    SKIP_CQE | LINK, 0)->poll32_events = POLLIN;
		add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_EQ(0, count(efd));
		ASSERT_EQ(0, signal_fd(gate));
		EXPECT_LT(0, wait_by_eventfd(&r, efd, TRIED, &turns));
		EXPECT_EQ(1, turns);
		EXPECT_FALSE(ld_acq(r.sq_flags) & IOURING2_SQ_TASKRUN);
		EXPECT_EQ(0U, ring_ready(&r));
		count(gate);
		/* of the read */
		EXPECT_EQ(1, count_ms(efd, SOON));
	}
	ring_exit(&r);
	close(fd);
	close(gate);
	close(efd);
}

/*
 * Several parked reads, which start one after the other: the program is told of
 * each
 */
TEST_F_TIMEOUT(parked, chain_told, LIMIT)
{
	int efd = new_eventfd(), fd = made_file(), turns = 0, i;
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 16, 64));
	ASSERT_EQ(0, module_side.reg(r.fd, variant->op, &efd, 1));
	for (i = 0; i < 4; i++) {
		add_timer(&r, 10, HARDLINK, TIMER);
		add(&r, IOURING2_OP_READ, fd, buf, 64, 0,
		    i < 3 ? HARDLINK : 0, TRIED + i);
	}
	ASSERT_EQ(0, submit_all(&r));
	for (i = 0; i < 4; i++) {
		EXPECT_LT(0, wait_by_eventfd(&r, efd, TRIED + i, &turns)) {
			TH_LOG("read %d", i);
		}
	}
	/* an ENTER may run more than one, if the next timer has expired */
	EXPECT_LE(1, turns);
	EXPECT_GE(4, turns);
	ring_exit(&r);
	close(fd);
	close(efd);
}

/* The flag of the CQ switches this off, too */
TEST_F_TIMEOUT(parked, switched_off, LIMIT)
{
	int efd = new_eventfd(), fd = made_file();
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_EQ(0, module_side.reg(r.fd, variant->op, &efd, 1));
	st_rel(r.cq_flags, IOURING2_CQ_EVENTFD_DISABLED);
	add_timer(&r, 10, HARDLINK, TIMER);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_TRUE(until_ms(ld_acq(r.sq_flags) & IOURING2_SQ_TASKRUN, SOON));
	EXPECT_EQ(0, count_ms(efd, 100));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_LT(0, seen_ms(&r, TRIED, 0));
	EXPECT_EQ(0, count(efd));
	ring_exit(&r);
	close(fd);
	close(efd);
}

/* ---------------------------------------------- rings that poll their eventfd */

/* Each CQE that the ring posts makes its own eventfd readable */
RING_FIXTURE(circle) {
	bool multi;	/* a multishot */
	bool epoll;	/* of an epoll set with the eventfd in it */
};

FIXTURE_VARIANT_ADD(circle, once) { };
FIXTURE_VARIANT_ADD(circle, multishot) { .multi = true };
FIXTURE_VARIANT_ADD(circle, once_by_epoll) { .epoll = true };
FIXTURE_VARIANT_ADD(circle, multishot_by_epoll) { .multi = true, .epoll = true };

static void add_circle(struct ring *r, int fd, bool multi)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (multi)
		prep_poll_multi(sqe, fd, POLLIN);
	else
		prep_poll(sqe, fd, POLLIN);
	sqe->user_data = TRIED;
}

TEST_F_TIMEOUT(circle, ends, LIMIT)
{
	int efd = new_eventfd(), ep = -1, i, total;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
	if (variant->epoll) {
		ep = epoll_of(efd, EPOLLIN);
		ASSERT_LE(0, ep);
	}
	for (i = 0; i < 10; i++) {
		count(efd);
		add_circle(&r, variant->epoll ? ep : efd, variant->multi);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_EQ(0U, ring_ready(&r));
		ring_nop(&r, 2);
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_TRUE(until_ms(ring_ready(&r) >= 2, SOON));
		/* no more, and the poll has ended */
		EXPECT_TRUE(until_ms(fdinfo(r.fd, "Inflight") == 0, SOON));
		EXPECT_EQ(2U, ring_ready(&r));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(TRIED, cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_FALSE(cqe.flags & IOURING2_CQE_F_MORE);
		/* both CQEs are signalled, one after the other */
		total = 0;
		EXPECT_TRUE(until_ms((total += count(efd)) >= 2, SOON));
		EXPECT_EQ(2, total);
	}
	ring_exit(&r);
	close(efd);
	if (ep >= 0)
		close(ep);
}

/*
 * Somebody else writes to the polled eventfd of the ring, once or several times:
 * one CQE, which signals it, and then the last one. So the program finds out that
 * the poll has ended.
 */
RING_TEST(written_from_outside)
{
	int efd = new_eventfd(), i, j;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 256));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
		count(efd);
		add_circle(&r, efd, true);
		ASSERT_EQ(0, submit_all(&r));
		for (j = 0; j <= i % 4; j++)
			ASSERT_EQ(0, signal_fd(efd));
		EXPECT_TRUE(until_ms(fdinfo(r.fd, "Inflight") == 0, SOON));
		EXPECT_EQ(2U, ring_ready(&r)) {
			TH_LOG("%d writes", j);
		}
		for (j = 0; j < 2; j++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(TRIED, cqe.user_data);
			EXPECT_EQ(POLLIN, cqe.res);
			EXPECT_EQ(j ? 0U : IOURING2_CQE_F_MORE, cqe.flags);
		}
		/* the two CQEs are signalled, maybe together, after the writes */
		EXPECT_LE(1, count_ms(efd, SOON));
		ASSERT_EQ(0, module_side.reg(r.fd, UNREGISTER, NULL, 0));
	}
	/* switched off, it is a file as any other */
	count(efd);
	st_rel(r.cq_flags, IOURING2_CQ_EVENTFD_DISABLED);
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
	add_circle(&r, efd, true);
	ASSERT_EQ(0, submit_all(&r));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, signal_fd(efd));
		ASSERT_EQ(0, take_ms(&r, TRIED, &cqe, SOON));
		EXPECT_TRUE(cqe.flags & IOURING2_CQE_F_MORE);
		EXPECT_EQ(1, count(efd));
	}
	ring_exit(&r);
	close(efd);
}

/* A one-shot poll of the eventfd and a read behind it, as in an event loop */
RING_TEST(reads_its_own)
{
	struct iouring2_cqe cqe;
	int efd = new_eventfd();
	static uint64_t v;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
	for (i = 0; i < 5; i++) {
		count(efd);
		v = 0;
		add(&r, IOURING2_OP_POLL_ADD, efd, NULL, 0, 0, LINK, 1)
			->poll32_events = POLLIN;
		add(&r, IOURING2_OP_READ, efd, &v, sizeof(v), 0, 0, 2);
		ASSERT_EQ(0, submit_all(&r));
		ring_nop(&r, 3);
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(0, take_ms(&r, 3, &cqe, SOON));
		ASSERT_EQ(0, take_ms(&r, 1, &cqe, SOON));
		EXPECT_EQ(POLLIN, cqe.res);
		ASSERT_EQ(0, take_ms(&r, 2, &cqe, SOON));
		EXPECT_EQ((int)sizeof(v), cqe.res);
		EXPECT_LE(1, (int)v);
	}
	ring_exit(&r);
	close(efd);
}

/* Two rings, each of which polls the eventfd of the other: bounded, no loop */
RING_TEST(two_rings)
{
	int efd[2], i, n;
	struct ring r[2];

	for (i = 0; i < 2; i++) {
		efd[i] = new_eventfd();
		ASSERT_EQ(0, ring_init(&r[i], 8, 4096));
		ASSERT_EQ(0, module_side.reg(r[i].fd, EVENTFD, &efd[i], 1));
	}
	for (n = 0; n < 10; n++) {
		for (i = 0; i < 2; i++) {
			count(efd[i]);
			add_circle(&r[i], efd[!i], true);
			ASSERT_EQ(0, submit_all(&r[i]));
		}
		ring_nop(&r[n % 2], 1);
		ASSERT_EQ(0, submit_all(&r[n % 2]));
		EXPECT_TRUE(until_ms(ring_ready(&r[0]) && ring_ready(&r[1]),
				     SOON));
		usleep(20000);
		for (i = 0; i < 2; i++) {
			EXPECT_GE(32U, ring_ready(&r[i])) {
				TH_LOG("round %d, ring %d", n, i);
			}
			/* remove the poll, if it has not ended */
			prep_poll_remove(ring_sqe(&r[i]), TRIED);
			ASSERT_EQ(0, submit_all(&r[i]));
		}
		for (i = 0; i < 2; i++) {
			EXPECT_TRUE(until_ms(fdinfo(r[i].fd, "Inflight") == 0,
					     SOON));
			st_rel(r[i].cq_head, ld_acq(r[i].cq_tail));
		}
	}
	for (i = 0; i < 2; i++) {
		ring_exit(&r[i]);
		close(efd[i]);
	}
}

/*
 * The waker holds the lock of the epoll set's wait queue, the ring polls the
 * set, and the eventfd of the ring is in the set: signalling it in the wake-up
 * would take that lock once more
 */
RING_TEST(eventfd_in_polled_set)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int efd = new_eventfd(), other = new_eventfd(), ep, i;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 256));
	ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
	ep = epoll_of(efd, EPOLLIN);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, other, &ev));
	for (i = 0; i < 20; i++) {
		count(efd);
		count(other);
		add_circle(&r, ep, i & 1);
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(0, signal_fd(other));
		do {
			ASSERT_EQ(0, take_ms(&r, TRIED, &cqe, SOON));
			EXPECT_EQ(POLLIN, cqe.res);
		} while (cqe.flags & IOURING2_CQE_F_MORE);
		EXPECT_LE(1, count_ms(efd, SOON));
	}
	ring_exit(&r);
	close(efd);
	close(other);
	close(ep);
}

/* ------------------------------------------------------------------ its end */

struct poster {
	struct ring *r;
	int stop, err;
};

/* Post CQEs all the time, from a worker and inline, and throw them away */
static void *poster(void *arg)
{
	struct poster *p = arg;
	unsigned int i;

	for (i = 0; !ld_acq(&p->stop) && !p->err; i++) {
		p->err = submit_nops(&module_side, p->r, 1, i & 1 ? ASYNC : 0);
		st_rel(p->r->cq_head, ld_acq(p->r->cq_tail));
	}
	return NULL;
}

/* Once UNREGISTER has returned, the count stays as it is */
RING_TEST(quiet_after_unregister)
{
	int rounds = full_stress() ? 20000 : 500, i, efd;
	struct poster p = { };
	struct pollfd pfd = { .events = POLLIN };
	struct ring r;
	pthread_t t;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	p.r = &r;
	ASSERT_EQ(0, pthread_create(&t, NULL, poster, &p));
	for (i = 0; i < rounds && !p.err; i++) {
		efd = new_eventfd();
		ASSERT_LE(0, efd);
		ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
		/* some rounds end before the first signal, some long after */
		if (i & 1)
			EXPECT_LT(0, count_ms(efd, SOON));
		ASSERT_EQ(0, module_side.reg(r.fd, UNREGISTER, NULL, 0));
		count(efd);
		pfd.fd = efd;
		ASSERT_EQ(0, poll(&pfd, 1, i % 8 ? 0 : 1)) {
			TH_LOG("round %d", i);
		}
		/* the last reference, if the ring has dropped its own */
		close(efd);
	}
	st_rel(&p.stop, 1);
	pthread_join(t, NULL);
	EXPECT_EQ(0, p.err);
	ring_exit(&r);
}

/* The number of an eventfd, which no other one has as long as it exists */
static long long number(int efd)
{
	return fdinfo(efd, "eventfd-id");
}

/*
 * Is the eventfd with this number gone? Then a new one gets its number, sooner
 * or later: others may use numbers, too.
 */
static bool is_gone(long long nr, int ms)
{
	int fds[NR_EFDS], i = 0, j;
	bool gone = false;
	long long end = now_ns(CLOCK_MONOTONIC) + ms * NSEC_PER_MSEC;

	do {
		/* the lowest free number comes first */
		for (i = 0; i < NR_EFDS && !gone; i++) {
			fds[i] = new_eventfd();
			gone = number(fds[i]) == nr;
		}
		for (j = 0; j < i; j++)
			close(fds[j]);
	} while (!gone && now_ns(CLOCK_MONOTONIC) < end);
	return gone;
}

/*
 * The ring keeps the eventfd, which its program has closed, until UNREGISTER or
 * the end of the ring. Calls that fail keep nothing.
 */
RING_TEST(reference)
{
	int efd, other, i;
	long long nr;
	struct ring r;

	efd = new_eventfd();
	if (number(efd) < 0) {
		close(efd);
		SKIP(return, "eventfds have no numbers here");
	}
	close(efd);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 64));
		efd = new_eventfd();
		nr = number(efd);
		ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
		close(efd);
		ASSERT_EQ(0, submit_nops(&module_side, &r, 2, 0));
		EXPECT_FALSE(is_gone(nr, 0));
		other = new_eventfd();
		EXPECT_EQ(-EBUSY, module_side.reg(r.fd, EVENTFD, &other, 1));
		if (i == 1)
			EXPECT_EQ(0, module_side.reg(r.fd, UNREGISTER, NULL, 0));
		if (i == 2)
			/* a request that ends with the ring */
			EXPECT_EQ(0, arm_poll(&r, other));
		if (i == 1)
			EXPECT_TRUE(is_gone(nr, SOON));
		ring_exit(&r);
		EXPECT_TRUE(is_gone(nr, SOON)) {
			TH_LOG("round %d", i);
		}
		nr = number(other);
		close(other);
		EXPECT_TRUE(is_gone(nr, SOON));
	}
}

/* When the last close of the ring has returned, nothing is signalled any more */
RING_TEST(quiet_after_close)
{
	int efd = new_eventfd(), fd = new_eventfd(), i, j;
	struct ring r;

	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, ring_init(&r, 16, 64));
		ASSERT_EQ(0, module_side.reg(r.fd, EVENTFD, &efd, 1));
		for (j = 0; j < 4; j++) {
			add(&r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0, j)
				->poll32_events = POLLIN;
			add(&r, IOURING2_OP_NOP, -1, NULL, 0, 0, ASYNC, j);
		}
		ASSERT_EQ(0, submit_all(&r));
		if (i & 1)
			ASSERT_EQ(0, signal_fd(fd));
		ring_exit(&r);
		count(efd);
		EXPECT_EQ(0, count_ms(efd, i % 8 ? 0 : 5));
		count(fd);
	}
	close(efd);
	close(fd);
}

RING_TEST_MAIN
