// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process closes its last descriptor of a ring. No request of the process
 * starts after that: neither one that waits for another request, nor one that a
 * thread is submitting at that moment. The descriptor number in such a request
 * may name another file by then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "absent.h"
#include "fixture.h"
#include "inflight.h"
#include "kthread.h"

/* Sockets, as a WRITE to one can be tried without blocking on every kernel */
#define TYPE	(SOCK_STREAM | SOCK_CLOEXEC)

static int bytes_in(int fd)
{
	int nr;

	return ioctl(fd, FIONREAD, &nr) ? -errno : nr;
}

/* -------------------------------------- requests that wait for another one */

/*
 * Each of these functions queues a poll of @idle, which never ends, and a write
 * to @target that has to wait for the poll
 */

static void tail_alone(struct ring *r, int idle, int target, int flags)
{
	struct iouring2_sqe *sqe;

	prep_poll(ring_sqe(r), idle, POLLIN);
	sqe = ring_sqe(r);
	prep_write(sqe, target, scratch, 1, -1);
	sqe->flags = flags;
}

static void tail_behind_barrier(struct ring *r, int idle, int target)
{
	tail_alone(r, idle, target, DRAIN);
}

static void tail_for_worker(struct ring *r, int idle, int target)
{
	tail_alone(r, idle, target, DRAIN | ASYNC);
}

static void tail_in_chain(struct ring *r, int idle, int target)
{
	struct iouring2_sqe *sqe;

	prep_poll(ring_sqe(r), idle, POLLIN);
	sqe = ring_sqe(r);
	prep_nop(sqe);
	sqe->flags = DRAIN | LINK;
	prep_write(ring_sqe(r), target, scratch, 1, -1);
}

static void tail_hard_linked(struct ring *r, int idle, int target)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, idle, POLLIN);
	sqe->flags = HARDLINK;
	prep_write(ring_sqe(r), target, scratch, 1, -1);
}

/* Submit, let the number of the target name @other, and close the ring */
static int end_by_close(struct ring *r, int *number, int other)
{
	int ret = submit(r, r->sqe_tail - *r->sq_head);

	if (ret || dup2(other, *number) != *number)
		return -EIO;
	close(r->fd);
	r->fd = -1;
	return 0;
}

/* The same in a child, which exits */
static int end_by_exit(struct ring *r, int *number, int other)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(submit(r, r->sqe_tail - *r->sq_head) ||
		      dup2(other, *number) != *number);
	return reap(pid);
}

/* How the write waits for the poll, and how the process leaves the ring */
RING_FIXTURE(leaver) {
	void (*prepare)(struct ring *r, int idle, int target);
	int (*end)(struct ring *r, int *number, int other);
};

#define EACH_END(name, prepare)						\
FIXTURE_VARIANT_ADD(leaver, name##_close) { prepare, end_by_close };	\
FIXTURE_VARIANT_ADD(leaver, name##_exit) { prepare, end_by_exit }

EACH_END(behind_barrier, tail_behind_barrier);
EACH_END(for_worker, tail_for_worker);
EACH_END(in_chain, tail_in_chain);
EACH_END(hard_linked, tail_hard_linked);

/*
 * When the process leaves, the poll is cancelled. The write, which waits for
 * the poll, must not start. By then its descriptor number names another file,
 * as in a program that closes its files before the ring.
 */
TEST_F_TIMEOUT(leaver, what_waits_does_not_start, LIMIT)
{
	int idle[2], target[2], other[2];
	unsigned int i, nr;
	struct ring r;

	ASSERT_EQ(0, pipe2(idle, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, TYPE, 0, target));
	ASSERT_EQ(0, socketpair(AF_UNIX, TYPE, 0, other));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	variant->prepare(&r, idle[0], target[1]);
	nr = r.sqe_tail - *r.sq_head;
	ASSERT_EQ(0, variant->end(&r, &target[1], other[1]));
	EXPECT_EQ(0, bytes_in(target[0]));
	EXPECT_EQ(0, bytes_in(other[0]));
	EXPECT_EQ(nr, ring_ready(&r));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(-ECANCELED, r.cqes[i].res);
	ring_exit(&r);
	for (i = 0; i < 2; i++) {
		close(idle[i]);
		close(target[i]);
		close(other[i]);
	}
}

/* ---------------------------------- requests that a thread is submitting */

struct call {
	pthread_t self;
	pid_t tid;
	struct ring *r;
	int nr, min, ret;	/* arguments and result of ENTER */
	int number, other;	/* arguments of dup2() before the close */
};

static void *enters(void *arg)
{
	struct call *c = arg;
	int flags = c->min ? GETEVENTS : 0;

	st_rel(&c->tid, syscall(SYS_gettid));
	c->ret = enter(c->r->fd, c->nr, c->min, flags, NULL, 0);
	return NULL;
}

static void *closes(void *arg)
{
	struct call *c = arg;
	int fd = c->r->fd;

	/* from now on the number of the target names another file */
	dup2(c->other, c->number);
	st_rel(&c->tid, syscall(SYS_gettid));
	c->ret = close(fd);
	return NULL;
}

static int call_start(struct call *c, void *(*fn)(void *arg), struct ring *r)
{
	c->r = r;
	return -pthread_create(&c->self, NULL, fn, c);
}

static bool sleeps(struct call *c)
{
	return until(ld_acq(&c->tid) && task_sleeps(ld_acq(&c->tid)));
}

/*
 * A thread submits a READ that is stuck in a page fault. Meanwhile another
 * thread closes the ring. A WRITE must not start after that. The WRITE is in
 * the chain of the READ, in the same ENTER, or in the ENTER of a third thread,
 * which waits until it can submit.
 */
RING_FIXTURE(closed) {
	unsigned int flags;	/* of the READ */
	bool third;
	int ret;		/* of the ENTER with the WRITE */
};

FIXTURE_VARIANT_ADD(closed, in_chain) { LINK, false, 2 };
FIXTURE_VARIANT_ADD(closed, hard_linked) { HARDLINK, false, 2 };
FIXTURE_VARIANT_ADD(closed, in_batch) { 0, false, 2 };
FIXTURE_VARIANT_ADD(closed, by_third_thread) { 0, true, -EBADF };

TEST_F_TIMEOUT(closed, while_submitting, LIMIT)
{
	struct call first = {}, third = {}, closer = {};
	int file, target[2], other[2], i;
	struct iouring2_sqe *sqe;
	struct absent ab;
	struct ring r;

	/* a file on tmpfs: the submitting thread executes the READ itself */
	file = syscall(SYS_memfd_create, "file", 1 /* MFD_CLOEXEC */);
	ASSERT_EQ(0, ftruncate(file, 4096));
	ASSERT_EQ(0, socketpair(AF_UNIX, TYPE, 0, target));
	ASSERT_EQ(0, socketpair(AF_UNIX, TYPE, 0, other));
	if (absent_make(&ab))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_read(sqe, file, ab.page, 1, 0);
	sqe->flags = variant->flags;
	prep_write(ring_sqe(&r), target[1], scratch, 1, -1);
	ring_publish(&r);
	first.nr = variant->third ? 1 : 2;
	third.nr = 1;
	ASSERT_EQ(0, call_start(&first, enters, &r));
	ASSERT_TRUE(absent_wanted(&ab, 20000));
	if (variant->third) {
		ASSERT_EQ(0, call_start(&third, enters, &r));
		EXPECT_TRUE(sleeps(&third));
	}
	closer.number = target[1];
	closer.other = other[1];
	ASSERT_EQ(0, call_start(&closer, closes, &r));
	EXPECT_TRUE(sleeps(&closer));
	EXPECT_EQ(0, absent_provide(&ab));
	pthread_join(first.self, NULL);
	if (variant->third)
		pthread_join(third.self, NULL);
	pthread_join(closer.self, NULL);
	EXPECT_EQ(0, closer.ret);
	EXPECT_EQ(variant->ret, variant->third ? third.ret : first.ret);
	EXPECT_EQ(0, bytes_in(target[0]));
	EXPECT_EQ(0, bytes_in(other[0]));
	EXPECT_EQ(variant->third ? 1 : 2, (int)ring_ready(&r));
	EXPECT_EQ(1, r.cqes[0].res);
	if (!variant->third)
		EXPECT_EQ(-ECANCELED, r.cqes[1].res);
	ring_unmap(&r);
	absent_free(&ab);
	close(file);
	for (i = 0; i < 2; i++) {
		close(target[i]);
		close(other[i]);
	}
}

/* ------------------------------------------------------ requests that go on */

/*
 * While close() of the last descriptor waits for a request, the process
 * receives a new descriptor of the ring. The requests that it submits by the
 * new descriptor are not cancelled.
 */
RING_TEST(descriptor_comes_back)
{
	struct call first = { .nr = 1, .min = 1 }, closer = {};
	int sp[2], own, null, i;
	struct ring r, back;
	struct __kernel_timespec ts;
	struct iouring2_cqe cqe;
	struct absent ab;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* only the process may read it, and does so without uring_lock */
	own = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp));
	if (absent_make(&ab))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, send_fd(sp[0], r.fd, 0));
	prep_read(ring_sqe(&r), own, ab.page, 4, 0);
	ring_publish(&r);
	ASSERT_EQ(0, call_start(&first, enters, &r));
	ASSERT_TRUE(absent_wanted(&ab, 20000));
	closer.number = null;
	closer.other = null;
	ASSERT_EQ(0, call_start(&closer, closes, &r));
	EXPECT_TRUE(sleeps(&closer));
	back = r;
	back.fd = recv_fd(sp[1], 0);
	ASSERT_LE(0, back.fd);
	for (i = 0; i < 2; i++) {
		ts = ts_ns((i ? 400 : 20) * NSEC_PER_MSEC);
		prep_timeout(ring_sqe(&back), &ts, 0, 0);
		ASSERT_EQ(1, ring_submit(&back));
		ASSERT_EQ(0, ring_wait(&back, &cqe));
		EXPECT_EQ(-ETIME, cqe.res);
	}
	EXPECT_TRUE(sleeps(&closer));
	EXPECT_EQ(0, absent_provide(&ab));
	pthread_join(first.self, NULL);
	pthread_join(closer.self, NULL);
	EXPECT_EQ(0, closer.ret);
	ring_exit(&back);
	absent_free(&ab);
	close(own);
	close(null);
	close(sp[0]);
	close(sp[1]);
}

/* ------------------------------------------ a worker that gives its memory back */

#define LEAVES		16
#define ROUND_MS	90	/* the module looks again after 100 ms, within a tick */

/* Have the worker run on this processor only, where it gives way to this task */
static bool worker_gives_way(void)
{
	pid_t worker = find_worker();
	cpu_set_t here;

	return worker > 0 && !sched_getaffinity(0, sizeof(here), &here) &&
	       !sched_setaffinity(worker, sizeof(here), &here);
}

/*
 * Close a ring whose worker waits for a page. Return: how long that took, in
 * milliseconds, or -1.
 */
static int leave_ms(int file)
{
	struct absent ab;
	long long start;
	struct ring r;
	int ms = -1;

	if (absent_make(&ab))
		return -1;
	if (ring_init(&r, 8, 0))
		goto out;
	prep_read(ring_sqe(&r), file, ab.page, 4, 0);
	r.sqes[0].flags = ASYNC;
	if (ring_submit(&r) == 1 && absent_wanted(&ab, 20000) &&
	    worker_gives_way()) {
		start = now_ns(CLOCK_MONOTONIC);
		close(r.fd);
		ms = (now_ns(CLOCK_MONOTONIC) - start) / NSEC_PER_MSEC;
		r.fd = -1;
	}
	ring_exit(&r);
out:
	absent_free(&ab);
	return ms;
}

/*
 * The worker is interrupted, posts the completion, and then gives the memory of
 * the process back. close() waits for the latter, and must be woken then. As
 * this task has the higher priority on the only processor, the completion wakes
 * it before that, so it has to wait again.
 *
 * Any one close may take long on a busy machine. Without the wake-up, all do.
 */
RING_TEST(woken_by_worker)
{
	struct sched_param first = { .sched_priority = 1 };
	int file = tmp_file(4096), i, ms, slow = 0;
	struct absent ab;

	if (absent_make(&ab))
		SKIP(return, "no userfaultfd");
	absent_free(&ab);
	ASSERT_EQ(0, pin_to_one_cpu());
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		SKIP(return, "no real-time priority");
	for (i = 0; i < LEAVES; i++) {
		ms = leave_ms(file);
		ASSERT_LE(0, ms);
		slow += ms >= ROUND_MS;
	}
	EXPECT_GE(LEAVES / 2, slow);
	close(file);
}

RING_TEST_MAIN
