// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENTER by several threads at once. Threads that submit take each entry exactly
 * once. A thread that waits is woken by what it waits for and by nothing else,
 * whichever task posts it. Work that one thread leaves is done by another (I3).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS

static pid_t my_tid(void)
{
	return syscall(SYS_gettid);
}

#define WAITERS 4

struct waiter {
	pthread_t self;
	volatile pid_t tid;
	int fd;
	unsigned int want;
	int ret;
	long long at;		/* when the wait returned */
	volatile bool done;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->tid = my_tid();
	w->ret = enter(w->fd, 0, w->want, GETEVENTS, NULL, 0);
	w->at = now_ns(CLOCK_MONOTONIC);
	w->done = true;
	return NULL;
}

/* One completion that is not reaped wakes all threads that wait for one */
RING_TEST(several_waiters)
{
	struct waiter w[WAITERS];
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter) { .fd = r.fd, .want = 1 };
		ASSERT_EQ(0, pthread_create(&w[i].self, NULL, wait_in_thread,
					    &w[i]));
	}
	for (i = 0; i < WAITERS; i++)
		EXPECT_TRUE(until(w[i].tid && task_sleeps(w[i].tid)));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < WAITERS; i++) {
		pthread_join(w[i].self, NULL);
		EXPECT_EQ(0, w[i].ret);
	}
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

/* Each thread is woken by its own number of completions, not by another's */
RING_TEST(waiters_of_different_numbers)
{
	struct waiter w[WAITERS];
	struct ring r;
	int i, j;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter) { .fd = r.fd, .want = i + 1 };
		ASSERT_EQ(0, pthread_create(&w[i].self, NULL, wait_in_thread,
					    &w[i]));
	}
	for (i = 0; i < WAITERS; i++) {
		for (j = i; j < WAITERS; j++)
			EXPECT_TRUE(until(w[j].tid && task_sleeps(w[j].tid)));
		ASSERT_EQ(0, ring_nop(&r, 1));
		EXPECT_EQ(1, ring_submit(&r));
		pthread_join(w[i].self, NULL);
		EXPECT_EQ(0, w[i].ret);
		for (j = i + 1; j < WAITERS; j++)
			EXPECT_FALSE(w[j].done);
	}
	ring_exit(&r);
}

struct submitter {
	pthread_t self;
	struct ring *r;
	unsigned int took;
	int err;
};

static void *submit_in_thread(void *arg)
{
	struct submitter *s = arg;
	int ret;

	while (ring_unsubmitted(s->r)) {
		ret = enter(s->r->fd, 1, 0, 0, NULL, 0);
		if (ret < 0) {
			s->err = ret;
			break;
		}
		s->took += ret;
	}
	return NULL;
}

/* Many threads enter at once, and every entry is taken by exactly one */
RING_TEST(concurrent_submitters)
{
	enum { NR = 2048 };
	static unsigned char seen[NR];
	struct submitter s[WAITERS];
	struct iouring2_cqe cqe;
	unsigned int i, total = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, NR, 0));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ring_publish(&r);
	for (i = 0; i < WAITERS; i++) {
		s[i] = (struct submitter) { .r = &r };
		ASSERT_EQ(0, pthread_create(&s[i].self, NULL, submit_in_thread,
					    &s[i]));
	}
	for (i = 0; i < WAITERS; i++) {
		pthread_join(s[i].self, NULL);
		EXPECT_EQ(0, s[i].err);
		total += s[i].took;
	}
	EXPECT_EQ(NR, (int)total);
	EXPECT_EQ(NR, (int)ring_ready(&r));
	for (i = 0; i < NR; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		ASSERT_GT(NR, (int)cqe.user_data);
		EXPECT_EQ(0, seen[cqe.user_data]++);
	}
	ring_exit(&r);
}

/* A waiter is woken from each context that posts completions */
RING_TEST(woken_from_each_context)
{
	struct __kernel_timespec ts = ts_ns(NSEC_PER_MSEC);
	struct iouring2_sqe *sqe;
	struct waiter w;
	uint64_t v = 1;
	struct ring r;
	int how, efd;

	for (how = 0; how < 3; how++) {
		efd = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efd);
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		w = (struct waiter) { .fd = r.fd, .want = 1 };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_thread,
					    &w));
		EXPECT_TRUE(until(w.tid && task_sleeps(w.tid)));
		sqe = ring_sqe(&r);
		switch (how) {
		case 0:
			prep_nop(sqe);
			sqe->flags = IOURING2_SQE_ASYNC;
			break;
		case 1:
			prep_poll(sqe, efd, POLLIN);
			break;
		case 2:
			prep_timeout(sqe, &ts, 0, 0);
			break;
		}
		EXPECT_EQ(1, ring_submit(&r));
		if (how == 1)
			EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		pthread_join(w.self, NULL);
		EXPECT_EQ(0, w.ret);
		EXPECT_EQ(1, (int)ring_ready(&r));
		ring_exit(&r);
		close(efd);
	}
}

/*
 * A timer fires while a thread is submitting. A waiter in another thread is
 * woken at that time, not only when the submitter has ended its work. The timer
 * interrupts the submitter, as both are on one processor, and the waiter is on
 * another one.
 */
enum { BUSY_MAX = 1024, BUSY_LEN = 1 << 20, BUSY_TOLD = 5, BUSY_TRIES = 50 };

static int bind_thread(pthread_t thread, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return -pthread_setaffinity_np(thread, sizeof(one), &one);
}

/* Fill @cpus with two CPUs that this process may use. Return: false if it cannot */
static bool two_cpus(int cpus[2])
{
	cpu_set_t all;
	int cpu, nr = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		return false;
	for (cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[nr++] = cpu;
	return nr == 2;
}

/*
 * Return: 1 if the waiter, on @cpu, returned long before the submitter, 0 if it
 * did not, -1 if the submission was too short to tell, or another -errno
 */
static int told_meanwhile(struct ring *r, int cpu, int fd, char *buf,
			  unsigned int nr)
{
	struct __kernel_timespec ts = ts_ns(10 * NSEC_PER_MSEC);
	struct waiter w = { .fd = r->fd, .want = 1 };
	struct iouring2_cqe cqe;
	struct iouring2_sqe *sqe;
	long long begin, took;
	unsigned int i;

	if (pthread_create(&w.self, NULL, wait_in_thread, &w))
		return -EAGAIN;
	if (bind_thread(w.self, cpu) ||
	    !until(w.tid && task_sleeps(w.tid)))
		return -ETIME;
	prep_timeout(ring_sqe(r), &ts, 0, 0);
	for (i = 0; i < nr; i++) {
		sqe = ring_sqe(r);
		prep_read(sqe, fd, buf, BUSY_LEN, 0);
		sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	}
	begin = now_ns(CLOCK_MONOTONIC);
	if (ring_submit(r) != (int)nr + 1)
		return -EPROTO;
	took = now_ns(CLOCK_MONOTONIC) - begin;
	pthread_join(w.self, NULL);
	if (w.ret || !ring_peek(r, &cqe) || cqe.res != -ETIME || ring_ready(r))
		return -EPROTO;
	if (took < 50 * NSEC_PER_MSEC)
		return -1;
	return w.at - begin < took - 20 * NSEC_PER_MSEC;
}

/*
 * The waiter may be late on a busy machine, and a module that cannot tell it
 * can be lucky: the timer may interrupt a third task. So it takes several times
 * to pass, and far more to fail.
 */
RING_TEST(told_while_another_submits)
{
	unsigned int nr = 16, tries, told = 0;
	int fd, ret, cpus[2];
	struct ring r;
	char *buf;

	if (!two_cpus(cpus))
		SKIP(return, "only one processor");
	buf = malloc(BUSY_LEN);
	ASSERT_NE(NULL, buf);
	fd = tmp_file(BUSY_LEN);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 2 * BUSY_MAX, 0));
	ASSERT_EQ(0, bind_thread(pthread_self(), cpus[0]));
	for (tries = 0; tries < BUSY_TRIES && told < BUSY_TOLD; tries++) {
		ret = told_meanwhile(&r, cpus[1], fd, buf, nr);
		ASSERT_LE(-1, ret);
		if (ret == 1)
			told++;
		else if (ret == -1 && nr < BUSY_MAX)
			nr *= 2;
	}
	EXPECT_EQ(BUSY_TOLD, told) {
		TH_LOG("in %u tries with %u reads", tries, nr);
	}
	ring_exit(&r);
	close(fd);
	free(buf);
}

struct waker {
	pthread_t self;
	int fd;
	unsigned int go, done;	/* rounds */
	bool stop;
};

static void *wake_sometime(void *arg)
{
	struct waker *w = arg;
	unsigned int seed = 2;
	volatile int spin;
	uint64_t v = 1;

	while (!ld_acq(&w->stop)) {
		if (ld_acq(&w->go) == w->done) {
			sched_yield();
			continue;
		}
		for (spin = rand_r(&seed) % 32768; spin; spin--)
			;
		if (write(w->fd, &v, sizeof(v)) != sizeof(v))
			break;
		st_rel(&w->done, w->done + 1);
	}
	return NULL;
}

/*
 * A waiter times out at the moment when there is work for it. Another task does
 * the work, though no task enters the kernel again.
 */
RING_TEST(leaves_no_work_behind)
{
	int i, left = 0, rounds = full_stress() ? 50000 : 3000;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct waker w = { };
	struct ring r;
	uint64_t v;

	w.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, w.fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wake_sometime, &w));
	for (i = 0; i < rounds; i++) {
		/* With a link, the wake-up alone does not complete the poll */
		sqe = ring_sqe(&r);
		prep_poll(sqe, w.fd, POLLIN);
		sqe->flags = IOURING2_SQE_IO_LINK;
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
		ASSERT_EQ(2, ring_submit(&r));
		st_rel(&w.go, w.go + 1);
		left += enter_timeout(r.fd, 0, 1, 50000) == -ETIME;
		ASSERT_TRUE(until(ring_ready(&r))) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		while (ld_acq(&w.done) != w.go)
			sched_yield();
		ASSERT_EQ((ssize_t)sizeof(v), read(w.fd, &v, sizeof(v)));
	}
	TH_LOG("%d of %d waits timed out", left, rounds);
	st_rel(&w.stop, true);
	pthread_join(w.self, NULL);
	ring_exit(&r);
	close(w.fd);
}

/* A completion is posted at any moment while a waiter is about to sleep */
RING_TEST(woken_when_about_to_sleep)
{
	int i, rounds = full_stress() ? 20000 : 1000;
	struct iouring2_cqe cqe;
	struct waker w = { };
	long long begin;
	struct ring r;
	uint64_t v;

	w.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, w.fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wake_sometime, &w));
	for (i = 0; i < rounds; i++) {
		prep_poll(ring_sqe(&r), w.fd, POLLIN);
		ASSERT_EQ(1, ring_submit(&r));
		st_rel(&w.go, w.go + 1);
		begin = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_SEC));
		/* if there is a CQE, a wait that times out returns 0, too */
		ASSERT_GT(20 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		while (ld_acq(&w.done) != w.go)
			sched_yield();
		ASSERT_EQ((ssize_t)sizeof(v), read(w.fd, &v, sizeof(v)));
	}
	st_rel(&w.stop, true);
	pthread_join(w.self, NULL);
	ring_exit(&r);
	close(w.fd);
}

RING_TEST_MAIN
