// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENTER: which arguments it takes, what it returns and what it leaves behind,
 * errno by errno (section 2 of the design: as io_uring_enter(2)). Also the part
 * of I3 about waiters: a waiter is woken by what it waits for, by signals and
 * by its timeout.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define BAD_ADDR	((void *)-4096L)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define ABS_TIMER	IOURING2_ENTER_ABS_TIMER

static pid_t my_tid(void)
{
	return syscall(SYS_gettid);
}

/* ------------------------------------------------------------- arguments */

RING_TEST(flags_bit_by_bit)
{
	struct iouring2_query q;
	struct ring r;
	int bit, ret;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_EQ(0, (long)(q.enter_flags >> 32));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		ASSERT_EQ(0, ring_nop(&r, bit));
		ring_publish(&r);
		ret = enter(r.fd, 1, 0, 1U << bit, NULL, 0);
		if (q.enter_flags >> bit & 1) {
			/* Without GETEVENTS ENTER does not read the argument */
			EXPECT_EQ(1, ret) {
				TH_LOG("flag bit %d", bit);
			}
			*r.cq_head = *r.cq_tail;
			continue;
		}
		EXPECT_EQ(-EINVAL, ret) {
			TH_LOG("flag bit %d", bit);
		}
		/* A known flag beside it does not help */
		EXPECT_EQ(-EINVAL, enter(r.fd, 1, 0, 1U << bit | GETEVENTS,
					 NULL, 0));
		EXPECT_EQ(1, (int)ring_unsubmitted(&r));
		EXPECT_EQ(0, (int)ring_ready(&r));
		EXPECT_EQ(1, ring_submit(&r));
		*r.cq_head = *r.cq_tail;
	}
	ring_exit(&r);
}

static const struct count_row {
	unsigned int queued, to_submit;
	int ret;
} count_rows[] = {
	{ 0, 0, 0 }, { 0, 1, 0 }, { 0, UINT_MAX, 0 }, { 1, 0, 0 },
	{ 1, 1, 1 }, { 1, 2, 1 }, { 1, UINT_MAX, 1 }, { 3, 2, 2 },
	{ 8, 8, 8 }, { 8, 7, 7 }, { 8, 9, 8 }, { 8, UINT_MAX, 8 },
	{ 8, INT_MAX, 8 }, { 8, 1U << 31, 8 },
};

RING_TEST(submit_counts)
{
	const struct count_row *row;
	struct iouring2_cqe cqe;
	unsigned int i, j, head;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	for (i = 0; i < ARRAY_SIZE(count_rows); i++) {
		row = &count_rows[i];
		head = *r.sq_head;
		for (j = 0; j < row->queued; j++)
			ASSERT_EQ(0, ring_nop(&r, 100 * i + j));
		ring_publish(&r);
		EXPECT_EQ(row->ret, enter(r.fd, row->to_submit, 0, 0, NULL,
					  0)) {
			TH_LOG("row %u", i);
		}
		EXPECT_EQ(head + row->ret, *r.sq_head);
		EXPECT_EQ(r.sqe_tail, *r.sq_tail);
		EXPECT_EQ(row->ret, (int)ring_ready(&r));
		for (j = 0; (int)j < row->ret; j++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(100 * i + j, cqe.user_data);
			EXPECT_EQ(0, cqe.res);
			EXPECT_EQ(0, (int)cqe.flags);
		}
		/* The next ENTER takes the entries that were left */
		EXPECT_EQ((int)row->queued - row->ret,
			  enter(r.fd, UINT_MAX, 0, 0, NULL, 0));
		*r.cq_head = *r.cq_tail;
	}
	EXPECT_EQ(0, (int)*r.sq_dropped);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
}

/*
 * fadvise(2) of a ring works as ENTER. enter() uses it every other time, so the
 * other tests try it as well.
 */
RING_TEST(fadvise_enters)
{
	static const long long wide[] = { -1, 1LL << 32, (1LL << 32) + 1,
					  LLONG_MAX, LLONG_MIN };
	struct iouring2_query q;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(IOURING2_ENTER_BY_FADVISE, (int)q.enter_methods);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	ring_publish(&r);
	for (i = 0; i < ARRAY_SIZE(wide); i++) {
		EXPECT_EQ(-EINVAL, enter_by_fadvise(r.fd, wide[i], 0, 0)) {
			TH_LOG("to_submit %lld", wide[i]);
		}
		EXPECT_EQ(-EINVAL, enter_by_fadvise(r.fd, 1, wide[i],
						    GETEVENTS)) {
			TH_LOG("min_complete %lld", wide[i]);
		}
	}
	EXPECT_EQ(-EINVAL, enter_by_fadvise(r.fd, 1, 0, EXT_ARG));
	EXPECT_EQ(-EINVAL, enter_by_fadvise(r.fd, 1, 0, GETEVENTS | EXT_ARG));
	EXPECT_EQ(-EINVAL, enter_by_fadvise(r.fd, 1, 0, 1U << 31));
	EXPECT_EQ(2, (int)ring_unsubmitted(&r));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(1, enter_by_fadvise(r.fd, 1, 0, 0));
	EXPECT_EQ(1, (int)ring_ready(&r));
	EXPECT_EQ(1, enter_by_fadvise(r.fd, 1, 2, GETEVENTS));
	EXPECT_EQ(2, (int)ring_ready(&r));
	EXPECT_EQ(0, enter_by_fadvise(r.fd, UINT_MAX, 0, 0));
	ring_exit(&r);
	EXPECT_EQ(-EBADF, enter_by_fadvise(r.fd, 0, 0, 0));
}

/* A real hint about a ring or about its mapping does not work as ENTER */
RING_TEST(hints_do_not_enter)
{
	struct iouring2_enter e = {
		.to_submit = 1,
		.flags = IOURING2_ENTER_FADVISE,
	};
	struct ring r;
	void *map;
	int advice;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	for (advice = 0; advice < 8; advice++) {
		EXPECT_EQ(-1, syscall(__NR_fadvise64, r.fd, 1L, 0L, advice)) {
			TH_LOG("advice %d", advice);
		}
		EXPECT_EQ(EINVAL, errno);
	}
	map = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED,
		   r.fd, IOURING2_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, map);
	/* madvise(2) does not return the result of the file's operation */
	madvise(map, getpagesize(), MADV_WILLNEED);
	munmap(map, getpagesize());
	EXPECT_EQ(-1, ioctl(r.fd, IOURING2_IOC_ENTER, &e));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(1, enter_by_fadvise(r.fd, 1, 0, 0));
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

RING_TEST(bad_arguments)
{
	struct iouring2_getevents_arg arg = { };
	struct __kernel_timespec ts;
	sigset_t mask;
	struct ring r;
	unsigned int sz;

	sigemptyset(&mask);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(-1, ioctl(r.fd, IOURING2_IOC_ENTER, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(r.fd, IOURING2_IOC_ENTER, BAD_ADDR));
	EXPECT_EQ(EFAULT, errno);

	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS, BAD_ADDR,
				 SIGSET_BYTES));
	for (sz = 0; sz < 200; sz++)
		if (sz != SIGSET_BYTES) {
			EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS, &mask,
						 sz)) {
				TH_LOG("signal mask of %u bytes", sz);
			}
		}
	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, BAD_ADDR,
				 sizeof(arg)));
	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, NULL,
				 sizeof(arg)));
	for (sz = 0; sz < 200; sz++)
		if (sz != sizeof(arg)) {
			EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1,
						 GETEVENTS | EXT_ARG, &arg,
						 sz)) {
				TH_LOG("getevents_arg of %u bytes", sz);
			}
		}

	memset(&arg, 0, sizeof(arg));
	arg.ts = (uintptr_t)BAD_ADDR;
	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				 sizeof(arg)));
	memset(&arg, 0, sizeof(arg));
	arg.sigmask = (uintptr_t)BAD_ADDR;
	arg.sigmask_sz = SIGSET_BYTES;
	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				 sizeof(arg)));
	arg.sigmask = (uintptr_t)&mask;
	arg.sigmask_sz = 4;
	EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				 sizeof(arg)));
	memset(&arg, 0, sizeof(arg));
	arg.min_wait_usec = 1;
	if (!(r.setup.params.features & IOURING2_FEAT_MIN_TIMEOUT))
		EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
					 sizeof(arg)));

	/* A negative time */
	memset(&arg, 0, sizeof(arg));
	arg.ts = (uintptr_t)&ts;
	ts = ts_ns(0);
	ts.tv_sec = -1;
	EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				 sizeof(arg)));
	EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG | ABS_TIMER,
				 &arg, sizeof(arg)));
	ts = ts_ns(0);
	ts.tv_nsec = -1;
	EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				 sizeof(arg)));

	/*
	 * A bad argument of a wait is an error, even if the wait would not
	 * sleep
	 */
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(-EFAULT, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, BAD_ADDR,
				 sizeof(arg)));
	EXPECT_EQ(-EINVAL, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg, 8));
	EXPECT_EQ(1, (int)ring_ready(&r));
	*r.cq_head = *r.cq_tail;

	/*
	 * Without GETEVENTS ENTER does not wait, and does not read the argument
	 */
	EXPECT_EQ(0, enter(r.fd, 0, 1, 0, BAD_ADDR, 77));
	EXPECT_EQ(0, enter(r.fd, 0, 1, EXT_ARG, BAD_ADDR, 77));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	EXPECT_EQ(1, enter(r.fd, 1, 1, EXT_ARG, BAD_ADDR, 77));
	ring_exit(&r);
}

/* -------------------------------------------------------------- waiting */

/*
 * Queue a poll of a timerfd, and return the timerfd. Its CQE counts like any
 * other, whereas a TIMEOUT would end the wait.
 */
static int poll_timer(struct ring *r, unsigned int ms, __u64 user_data)
{
	struct itimerspec when = { .it_value.tv_nsec = ms * NSEC_PER_MSEC };
	struct iouring2_sqe *sqe = ring_sqe(r);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL))
		return -errno;
	prep_poll(sqe, fd, POLLIN);
	sqe->user_data = user_data;
	return fd;
}

/* The longest timeout does not overflow into a time that has passed */
RING_TEST(longest_wait)
{
	struct __kernel_timespec ts = {
		.tv_sec = LLONG_MAX, .tv_nsec = NSEC_PER_SEC - 1,
	};
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&ts };
	static const unsigned int flags[] = { 0, ABS_TIMER };
	struct ring r;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		fd = poll_timer(&r, 900, 1);
		ASSERT_LE(0, fd);
		ASSERT_EQ(1, ring_submit(&r));
		EXPECT_EQ(0, (int)ring_ready(&r));
		EXPECT_EQ(0, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG | flags[i],
				   &arg, sizeof(arg)));
		EXPECT_EQ(1, (int)ring_ready(&r));
		ring_exit(&r);
		close(fd);
	}
}

RING_TEST(min_complete)
{
	unsigned int want;
	struct ring r;
	int i, fds[4];

	for (want = 1; want <= 4; want++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		for (i = 0; i < 4; i++) {
			fds[i] = poll_timer(&r, (i + 1) * 15, i);
			ASSERT_LE(0, fds[i]);
		}
		/*
		 * An ENTER that submits and waits returns the number of entries
		 */
		EXPECT_EQ(4, ring_submit_wait(&r, want));
		EXPECT_LE(want, ring_ready(&r));
		for (i = 0; i < (int)want; i++)
			EXPECT_EQ(i, (int)r.cqes[i].user_data);
		for (i = 0; i < 4; i++)
			close(fds[i]);
		ring_exit(&r);
	}
}

/* With one CQE of two the wait lasts until its time is up */
RING_TEST(min_complete_not_there)
{
	long long begin;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 2, 50 * NSEC_PER_MSEC));
	EXPECT_LE(50 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

RING_TEST(min_complete_clamped)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(2, ring_submit(&r));
	/* The CQ has room for two only, so a wait for more ends with two */
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 3, 60 * NSEC_PER_SEC));
	EXPECT_EQ(0, enter_timeout(r.fd, 0, UINT_MAX, 60 * NSEC_PER_SEC));
	ring_exit(&r);
}

RING_TEST(nothing_to_wait_for)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 2, 0));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 0, 60 * NSEC_PER_SEC));
	/* min_complete without GETEVENTS */
	EXPECT_EQ(0, enter(r.fd, 0, 1, 0, NULL, 0));
	ring_exit(&r);
}

/* ENTER that accepts fewer entries than to_submit does not wait */
RING_TEST(partial_submission_does_not_wait)
{
	long long start = now_ns(CLOCK_MONOTONIC);
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	EXPECT_EQ(1, enter(r.fd, 2, 8, GETEVENTS, NULL, 0));
	/* The same if an entry was refused */
	sqe = ring_sqe(&r);
	sqe->opcode = 255;
	ASSERT_EQ(0, ring_nop(&r, 2));
	ring_publish(&r);
	EXPECT_EQ(1, enter(r.fd, 2, 8, GETEVENTS, NULL, 0));
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	EXPECT_GT(30 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - start);
	ring_exit(&r);
}

RING_FIXTURE(wait) {
	long long ns;		/* from now */
	int ret;
	bool absolute, cqe;
};

FIXTURE_VARIANT_ADD(wait, relative) { 50 * NSEC_PER_MSEC, -ETIME };
FIXTURE_VARIANT_ADD(wait, relative_0) { 0, -ETIME };
FIXTURE_VARIANT_ADD(wait, relative_1_ns) { 1, -ETIME };
FIXTURE_VARIANT_ADD(wait, relative_not_empty) {
	50 * NSEC_PER_MSEC, 0, .cqe = true
};

FIXTURE_VARIANT_ADD(wait, absolute) { 50 * NSEC_PER_MSEC, -ETIME, true };
FIXTURE_VARIANT_ADD(wait, absolute_now) { 0, -ETIME, true };
FIXTURE_VARIANT_ADD(wait, absolute_past) { -NSEC_PER_SEC / 2, -ETIME, true };
FIXTURE_VARIANT_ADD(wait, absolute_not_empty) {
	50 * NSEC_PER_MSEC, 0, true, true
};

TEST_F_TIMEOUT(wait, timeouts, LIMIT)
{
	struct iouring2_getevents_arg arg = { };
	struct __kernel_timespec ts;
	long long start, took;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (variant->cqe) {
		ASSERT_EQ(0, ring_nop(&r, 1));
		ASSERT_EQ(1, ring_submit(&r));
	}
	start = now_ns(CLOCK_MONOTONIC);
	ts = ts_ns(variant->ns + (variant->absolute ? start : 0));
	arg.ts = (uintptr_t)&ts;
	/* Wait for one CQE more than there will be */
	EXPECT_EQ(variant->ret,
		  enter(r.fd, 0, 1 + variant->cqe, GETEVENTS | EXT_ARG |
			(variant->absolute ? ABS_TIMER : 0), &arg,
			sizeof(arg)));
	took = now_ns(CLOCK_MONOTONIC) - start;
	if (variant->ns > 0)
		EXPECT_LE(variant->ns, took);
	EXPECT_GT(variant->ns + 20 * NSEC_PER_SEC, took);
	EXPECT_EQ(variant->cqe, (int)ring_ready(&r));
	ring_exit(&r);
}

/* After a submission a wait that times out returns the number of entries */
RING_TEST(count_before_etime)
{
	struct iouring2_sqe *sqe;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	ring_publish(&r);
	EXPECT_EQ(1, enter_timeout(r.fd, 1, 1, 10 * NSEC_PER_MSEC));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 10 * NSEC_PER_MSEC));
	ring_exit(&r);
	close(efd);
}

/* -------------------------------------------------------------- signals */

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	(void)sig;
	handled++;
}

static void catch_usr1(int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
	handled = 0;
}

struct poker {
	pthread_t self, target;
	pid_t tid;
	int fd;		/* eventfd to write after the signal, or -1 */
};

/*
 * Signal the target once it sleeps, then write to the eventfd, if there is one
 */
static void *poke(void *arg)
{
	struct poker *p = arg;
	uint64_t one = 1;

	until(task_sleeps(p->tid));
	pthread_kill(p->target, SIGUSR1);
	if (p->fd >= 0 && write(p->fd, &one, sizeof(one)) < 0)
		return (void *)1;
	return NULL;
}

RING_TEST(interrupted)
{
	static const int sa_flags[] = { 0, SA_RESTART };
	struct poker p = { .target = pthread_self(), .tid = my_tid(),
			   .fd = -1 };
	unsigned int i, ready;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(sa_flags); i++) {
		for (ready = 0; ready < 2; ready++) {
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			if (ready) {
				ASSERT_EQ(0, ring_nop(&r, 1));
				ASSERT_EQ(1, ring_submit(&r));
			}
			catch_usr1(sa_flags[i]);
			ASSERT_EQ(0, pthread_create(&p.self, NULL, poke, &p));
			EXPECT_EQ(ready ? 0 : -EINTR,
				  enter(r.fd, 0, 1 + ready, GETEVENTS, NULL, 0));
			pthread_join(p.self, NULL);
			EXPECT_EQ(1, handled);
			EXPECT_EQ(ready, ring_ready(&r));
			ring_exit(&r);
		}
	}
}

/*
 * After a submission a wait that is interrupted returns the number of entries
 */
RING_TEST(count_before_eintr)
{
	struct poker p = { .target = pthread_self(), .tid = my_tid(),
			   .fd = -1 };
	struct iouring2_sqe *sqe;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	catch_usr1(0);
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	ring_publish(&r);
	ASSERT_EQ(0, pthread_create(&p.self, NULL, poke, &p));
	EXPECT_EQ(1, enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	pthread_join(p.self, NULL);
	EXPECT_EQ(1, handled);
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
	close(efd);
}

/* The mask unblocks a signal that is blocked outside of ENTER */
RING_TEST(mask_unblocks)
{
	struct iouring2_getevents_arg arg = { };
	sigset_t usr1, none, now;
	struct ring r;
	int ext;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	for (ext = 0; ext < 2; ext++) {
		catch_usr1(0);
		pthread_kill(pthread_self(), SIGUSR1);
		EXPECT_EQ(0, handled);
		/* Without a mask the signal stays blocked */
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
						NSEC_PER_MSEC * 5));
		EXPECT_EQ(0, handled);
		if (ext) {
			arg.sigmask = (uintptr_t)&none;
			arg.sigmask_sz = SIGSET_BYTES;
			EXPECT_EQ(-EINTR, enter(r.fd, 0, 1, GETEVENTS | EXT_ARG,
						&arg, sizeof(arg)));
		} else {
			EXPECT_EQ(-EINTR, enter(r.fd, 0, 1, GETEVENTS, &none,
						SIGSET_BYTES));
		}
		EXPECT_EQ(1, handled);
		/* The caller's own mask is restored */
		ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &now));
		EXPECT_EQ(1, sigismember(&now, SIGUSR1));
	}
	ring_exit(&r);
}

/* The mask blocks a signal that is not blocked outside of ENTER */
RING_TEST(mask_blocks)
{
	struct poker p = { .target = pthread_self(), .tid = my_tid() };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	sigset_t usr1, now;
	struct ring r;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	p.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, p.fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	catch_usr1(0);
	sqe = ring_sqe(&r);
	prep_poll(sqe, p.fd, POLLIN);
	sqe->user_data = 5;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, pthread_create(&p.self, NULL, poke, &p));
	EXPECT_EQ(0, enter(r.fd, 0, 1, GETEVENTS, &usr1, SIGSET_BYTES));
	/* The signal came as soon as the wait was over */
	EXPECT_EQ(1, handled);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(5, (int)cqe.user_data);
	pthread_join(p.self, NULL);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &now));
	EXPECT_EQ(0, sigismember(&now, SIGUSR1));
	ring_exit(&r);
	close(p.fd);
}

/* No mask blocks SIGKILL and SIGSTOP */
RING_TEST(mask_cannot_block_kill)
{
	struct __kernel_timespec rescue = ts_ns(60 * NSEC_PER_SEC);
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&rescue };
	long long begin;
	struct ring r;
	sigset_t all;
	int status;
	pid_t pid;

	/* sigfillset() leaves out the signals that the C library uses itself */
	memset(&all, 0xff, SIGSET_BYTES);
	arg.sigmask = (uintptr_t)&all;
	arg.sigmask_sz = SIGSET_BYTES;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_init(&r, 8, 0))
			_exit(1);
		/*
		 * A stop and a continuation interrupt the wait, as a signal
		 * does
		 */
		while (enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
			     sizeof(arg)) == -EINTR)
			;
		_exit(2);
	}
	/* Wait until the child sleeps in ENTER */
	usleep(200000);
	EXPECT_TRUE(until(task_sleeps(pid)));
	begin = now_ns(CLOCK_MONOTONIC);
	kill(pid, SIGSTOP);
	EXPECT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	usleep(50000);
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_GT(30 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin);
}

struct two_writes {
	pthread_t self;
	pid_t tid;
	int first, second;
};

static void *write_both(void *arg)
{
	struct two_writes *w = arg;
	uint64_t v = 1;

	until(task_sleeps(w->tid));
	if (write(w->first, &v, sizeof(v)) != sizeof(v))
		return NULL;
	usleep(100000);
	if (write(w->second, &v, sizeof(v)) != sizeof(v))
		return NULL;
	return w;
}

RING_FIXTURE(foreign) {
	unsigned int there;	/* CQEs that are in the CQ when the wait begins */
};

FIXTURE_VARIANT_ADD(foreign, empty) { 0 };
FIXTURE_VARIANT_ADD(foreign, not_empty) { 1 };

/* Task work of another subsystem is done during a wait, and does not end it */
TEST_F_TIMEOUT(foreign, foreign_work, LIMIT)
{
	struct two_writes w = { .tid = my_tid() };
	struct ring r, native = { };
	struct iouring2_cqe cqe;
	void *ok;

	native.fd = syscall(__NR_io_uring_setup, 8, &native.setup.params);
	if (native.fd < 0)
		SKIP(return, "no io_uring in this kernel");
	ASSERT_EQ(0, ring_map(&native));
	w.first = eventfd(0, EFD_CLOEXEC);
	w.second = eventfd(0, EFD_CLOEXEC);
	prep_poll(ring_sqe(&native), w.first, POLLIN);
	ring_publish(&native);
	ASSERT_EQ(1, syscall(__NR_io_uring_enter, native.fd, 1, 0, 0, NULL, 0));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (variant->there) {
		ASSERT_EQ(0, ring_nop(&r, 1));
		ASSERT_EQ(1, ring_submit(&r));
	}
	prep_poll(ring_sqe(&r), w.second, POLLIN);
	ASSERT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, pthread_create(&w.self, NULL, write_both, &w));
	EXPECT_EQ(0, enter(r.fd, 0, 1 + variant->there, GETEVENTS, NULL, 0));
	EXPECT_EQ(1 + variant->there, ring_ready(&r));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	if (variant->there)
		ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	pthread_join(w.self, &ok);
	EXPECT_NE(NULL, ok);
	EXPECT_EQ(1, (int)ring_ready(&native));
	ring_exit(&r);
	ring_exit(&native);
	close(w.first);
	close(w.second);
}

/* ------------------------------------------------------- what stops a batch */

RING_TEST(bad_index)
{
	static const unsigned int bad[] = { 8, 9, 1000, 1U << 31, UINT_MAX };
	struct iouring2_cqe cqe;
	struct ring r;
	unsigned int i, mask;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	mask = *r.sq_mask;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(0, ring_nop(&r, 10));
		ASSERT_EQ(0, ring_nop(&r, 11));
		r.sq_array[(r.sqe_tail - 1) & mask] = bad[i];
		ASSERT_EQ(0, ring_nop(&r, 12));
		/*
		 * One entry is taken, the bad one is dropped, the rest is left
		 */
		EXPECT_EQ(1, ring_submit(&r)) {
			TH_LOG("index %u", bad[i]);
		}
		EXPECT_EQ(i + 1, *r.sq_dropped);
		EXPECT_EQ(1, (int)ring_unsubmitted(&r));
		EXPECT_EQ(1, (int)ring_ready(&r));
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_EQ(2, (int)ring_ready(&r));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(10, (int)cqe.user_data);
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(12, (int)cqe.user_data);
		EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	}
	ring_exit(&r);
}

struct reuser {
	pthread_t self;
	struct ring *r;
	bool stop;
};

/* Overwrite the entries below the SQ head. The application owns them again. */
static void *reuse_entries(void *arg)
{
	struct reuser *u = arg;
	struct ring *r = u->r;
	__u32 mask = *r->sq_mask, next = *r->sq_head;

	while (!ld_acq(&u->stop))
		for (; next != ld_acq(r->sq_head); next++)
			r->sqes[next & mask].user_data = ~0ULL;
	return NULL;
}

RING_TEST(entries_reused_at_once)
{
	enum { NR = 4096 };
	struct iouring2_cqe cqe;
	struct reuser u = { };
	unsigned int i, round;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, NR, NR));
	u.r = &r;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < NR; i++)
			ASSERT_EQ(0, ring_nop(&r, i));
		u.stop = false;
		ASSERT_EQ(0, pthread_create(&u.self, NULL, reuse_entries, &u));
		EXPECT_EQ(NR, ring_submit(&r));
		st_rel(&u.stop, true);
		pthread_join(u.self, NULL);
		for (i = 0; i < NR; i++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			ASSERT_EQ(i, cqe.user_data) {
				TH_LOG("round %u", round);
			}
		}
	}
	ring_exit(&r);
}

/* The array may name SQEs in any order, and one of them twice */
RING_TEST(index_array)
{
	static const unsigned int order[] = { 3, 1, 7, 1, 0 };
	struct iouring2_cqe cqe;
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 8; i++) {
		prep_nop(&r.sqes[i]);
		r.sqes[i].user_data = 100 + i;
	}
	for (i = 0; i < ARRAY_SIZE(order); i++)
		r.sq_array[i] = order[i];
	r.sqe_tail = ARRAY_SIZE(order);
	EXPECT_EQ((int)ARRAY_SIZE(order), ring_submit(&r));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(100 + order[i], cqe.user_data);
	}
	EXPECT_EQ(0, (int)*r.sq_dropped);
	ring_exit(&r);
}

RING_TEST(no_sqarray)
{
	struct iouring2_cqe cqe;
	unsigned int i, j;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 4, 0, IOURING2_SETUP_NO_SQARRAY, 0));
	ASSERT_EQ(NULL, r.sq_array);
	/* Go round the SQ several times */
	for (i = 0; i < 30; i += 3) {
		for (j = 0; j < 3; j++)
			ASSERT_EQ(0, ring_nop(&r, i + j));
		EXPECT_EQ(3, ring_submit(&r));
		for (j = 0; j < 3; j++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(i + j, cqe.user_data);
		}
	}
	EXPECT_EQ(30, (int)*r.sq_head);
	EXPECT_EQ(0, (int)*r.sq_dropped);
	ring_exit(&r);
}

/* An entry that is refused counts, has a CQE, and stops the batch */
RING_TEST(refused_entry)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int all, i;

	for (all = 0; all < 2; all++) {
		ASSERT_EQ(0, ring_init_params(&r, 8, 0, all ?
					      IOURING2_SETUP_SUBMIT_ALL : 0,
					      0));
		for (i = 0; i < 5; i++) {
			if (i == 1 || i == 3) {
				sqe = ring_sqe(&r);
				sqe->opcode = 255;
				sqe->user_data = i;
			} else {
				ASSERT_EQ(0, ring_nop(&r, i));
			}
		}
		if (all) {
			EXPECT_EQ(5, ring_submit(&r));
		} else {
			EXPECT_EQ(2, ring_submit(&r));
			EXPECT_EQ(2, (int)*r.sq_head);
			EXPECT_EQ(2, (int)ring_ready(&r));
			EXPECT_EQ(2, ring_submit(&r));
			EXPECT_EQ(4, (int)*r.sq_head);
			EXPECT_EQ(1, ring_submit(&r));
		}
		EXPECT_EQ(5, (int)*r.sq_head);
		for (i = 0; i < 5; i++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(i, (int)cqe.user_data);
			EXPECT_EQ(i == 1 || i == 3 ? -EINVAL : 0, cqe.res);
		}
		EXPECT_EQ(0, (int)*r.sq_dropped);
		ring_exit(&r);
	}
}

/* --------------------------------------------------------------- the cache */

/*
 * A ring keeps the memory of some requests for its next ones. It keeps no more
 * than half the size of its CQ, however many requests it has had.
 */
RING_TEST(keeps_few_requests)
{
	enum { NR = 4096, FEW = NR / 2 + 512 };
	long before = counter("requests");
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, NR, NR));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ(NR, ring_submit(&r));
	EXPECT_GT(FEW, counter("requests") - before);
	st_rel(r.cq_head, *r.cq_tail);
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		ASSERT_EQ(1, ring_submit(&r));
	}
	EXPECT_GT(FEW, counter("requests") - before);
	/* The ring does keep requests, and counts them correctly */
	EXPECT_LT(512, counter("requests") - before);
	ring_exit(&r);
	EXPECT_EQ(before, counter("requests"));
}

/*
 * What a work item completes is kept for the next submission, but not more than
 * that either
 */
RING_TEST(keeps_few_deferred)
{
	enum { NR = 4096, FEW = NR / 2 + 512 };
	long before = counter("requests");
	struct ring r;
	__u64 one = 1;
	int efd, i;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, NR, NR));
	/* a chain that starts while no task is in ENTER */
	prep_poll(ring_sqe(&r), efd, POLLIN);
	for (i = 1; i < NR; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	for (i = 0; i < NR - 1; i++)
		r.sqes[i].flags = IOURING2_SQE_IO_LINK;
	EXPECT_EQ(NR, ring_submit(&r));
	EXPECT_LE(NR, counter("requests") - before);
	ASSERT_EQ(8, write(efd, &one, sizeof(one)));
	EXPECT_TRUE(until((int)ring_ready(&r) == NR));
	EXPECT_TRUE(until(counter("requests") - before < FEW)) {
		TH_LOG("%ld requests are kept", counter("requests") - before);
	}
	close(efd);
	ring_exit(&r);
	EXPECT_EQ(before, counter("requests"));
}

RING_TEST_MAIN
