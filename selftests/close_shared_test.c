// SPDX-License-Identifier: GPL-2.0-only
/*
 * I9 for rings that several tasks share: threads that wait while another one
 * closes the ring, parents and children, and a process that calls execve().
 * When a process ends, its requests end at once, and those of other processes
 * go on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "inflight.h"

/* --------------------------------------------------- others that have it */

struct waiter {
	pthread_t self;
	pid_t tid;
	struct ring *r;
	int ret;
};

static void *wait_in_enter(void *arg)
{
	struct waiter *w = arg;
	int fd = w->r->fd;

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = enter(fd, 0, 1, GETEVENTS, NULL, 0);
	return NULL;
}

static void *wait_in_poll(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->r->fd, .events = POLLIN };

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = poll(&p, 1, -1);
	if (w->ret < 0)
		w->ret = -errno;
	return NULL;
}

static bool waits(struct waiter *w)
{
	return ld_acq(&w->tid) && task_sleeps(ld_acq(&w->tid));
}

static void nothing(int sig)
{
}

static void signal_without_restart(void)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGUSR1, &sa, NULL);
}

RING_FIXTURE(waits_in) {
	void *(*wait)(void *waiter);
	int ret;
};

FIXTURE_VARIANT_ADD(waits_in, enter) { wait_in_enter, 0 };
/* poll(2) looks the descriptor up again and reports POLLNVAL */
FIXTURE_VARIANT_ADD(waits_in, poll) { wait_in_poll, 1 };

/*
 * A thread in ENTER, or in poll(2), has a reference to the ring, and close()
 * does not wait for it. The request that the thread waits for is cancelled, so
 * the thread returns, and the ring ends.
 */
TEST_F_TIMEOUT(waits_in, closed_by_another_thread, LIMIT)
{
	struct waiter w;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	w = (struct waiter) { .r = &r };
	ASSERT_EQ(0, pthread_create(&w.self, NULL, variant->wait, &w));
	EXPECT_TRUE(until(waits(&w)));
	close(r.fd);
	pthread_join(w.self, NULL);
	EXPECT_EQ(variant->ret, w.ret);
	EXPECT_EQ(1, (int)ring_ready(&r));
	EXPECT_EQ(-ECANCELED, r.cqes[0].res);
	ring_unmap(&r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	close(efd);
}

/* With nothing in flight the thread keeps waiting, and keeps the ring */
RING_TEST(waiter_keeps_the_ring)
{
	struct state open;
	struct waiter w;
	struct ring r;

	signal_without_restart();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	state_read(&open);
	w = (struct waiter) { .r = &r };
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_enter, &w));
	EXPECT_TRUE(until(waits(&w)));
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_EQ(open.refcnt, module_refcnt());
	usleep(20000);
	EXPECT_TRUE(waits(&w));
	pthread_kill(w.self, SIGUSR1);
	pthread_join(w.self, NULL);
	EXPECT_EQ(-EINTR, w.ret);
}

struct submitter {
	pthread_t self;
	struct ring *r;
	struct load *l;
	int ret;
};

static void *submit_and_end(void *arg)
{
	struct submitter *s = arg;

	s->ret = load_start(s->l, s->r);
	return NULL;
}

/* A thread's requests outlive it: they belong to the process */
RING_TEST(submitted_by_thread_that_ended)
{
	struct submitter s;
	struct load l;
	struct ring r;

	ASSERT_EQ(0, load_prepare(&l, ALL));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	s = (struct submitter) { .r = &r, .l = &l };
	ASSERT_EQ(0, pthread_create(&s.self, NULL, submit_and_end, &s));
	pthread_join(s.self, NULL);
	ASSERT_EQ(0, s.ret);
	EXPECT_STREQ("", load_held(&l, true));
	ring_exit(&r);
	EXPECT_STREQ("", after(&l, &self->before));
}

/* ------------------------------------------------------------------- fork */

#define FROM_CHILD	100	/* user_data of the child's requests */

/* Set user_data and flags of the entry that was queued last */
static void tag(struct ring *r, __u64 user_data, int flags)
{
	struct iouring2_sqe *sqe = &r->sqes[(r->sqe_tail - 1) % SQ];

	sqe->user_data = user_data;
	sqe->flags = flags;
}

/*
 * Make a ring with a poll, user_data 1, of an eventfd. Return: the eventfd, or
 * -errno.
 */
static int ring_with_poll(struct ring *r)
{
	int efd = eventfd(0, EFD_CLOEXEC), ret;

	ret = efd < 0 ? -errno : ring_init(r, SQ, CQ);
	if (ret)
		return ret;
	prep_poll(ring_sqe(r), efd, POLLIN);
	tag(r, 1, 0);
	ret = submit(r, 1);
	return ret ? ret : efd;
}

/*
 * Start NR_OF_CHILD requests. Runs in a child of the process that made the
 * ring.
 */
static int start_in_child(struct ring *r, struct hold *h)
{
	int i = FROM_CHILD;

	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	tag(r, i++, 0);
	prep_poll_multi(ring_sqe(r), h->use[0], POLLPRI);
	tag(r, i++, 0);
	prep_timeout(ring_sqe(r), &hour, 0, 0);
	tag(r, i++, 0);
	prep_timeout(ring_sqe(r), &hour, 1000000, 0);
	tag(r, i++, 0);
	prep_read(ring_sqe(r), h->use[2], scratch, 1, -1);
	tag(r, i++, 0);
	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	tag(r, i++, LINK);
	prep_write(ring_sqe(r), h->use[1], scratch, 1, -1);
	tag(r, i++, 0);
	return submit(r, i - FROM_CHILD);
}

#define NR_OF_CHILD	7

enum end { EXITS, KILLED_IN_ENTER, KILLED_OUTSIDE };

RING_FIXTURE(child) {
	enum end how;
};

FIXTURE_VARIANT_ADD(child, exits) { EXITS };
FIXTURE_VARIANT_ADD(child, killed_in_enter) { KILLED_IN_ENTER };
FIXTURE_VARIANT_ADD(child, killed_outside) { KILLED_OUTSIDE };

/* A process's requests end with it; those of others go on */
TEST_F_TIMEOUT(child, child_ends, LIMIT)
{
	struct iouring2_cqe cqe;
	struct hold h = { .lock = -1, .notify = -1 };
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	const enum end how = variant->how;
	unsigned int seen = 0;
	int efd;
	pid_t pid;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, use_chain(&h));
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	tag(&r, 1, LINK);
	prep_nop(ring_sqe(&r));
	tag(&r, 2, 0);
	prep_timeout(ring_sqe(&r), &hour, 0, 0);
	tag(&r, 3, 0);
	EXPECT_EQ(3, ring_submit(&r));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		talk_child(&t);
		if (start_in_child(&r, &h))
			_exit(1);
		say(&t, '+');
		if (how == KILLED_IN_ENTER)
			enter_for_ever(&r);
		if (how == KILLED_OUTSIDE)
			pause();
		_exit(0);
	}
	talk_parent(&t);
	close_uses(&h);
	EXPECT_EQ('+', listen_to(&t));
	if (how != EXITS) {
		EXPECT_TRUE(until(task_sleeps(pid)));
		EXPECT_EQ(3 + NR_OF_CHILD, fdinfo(r.fd, "Inflight"));
		kill(pid, SIGKILL);
	}
	EXPECT_EQ(how == EXITS ? 0 : SIGKILL, reap(pid));
	/* The requests have ended, without a call of ENTER */
	EXPECT_EQ(NR_OF_CHILD, (int)ring_ready(&r));
	EXPECT_TRUE(hung_up(h.peer[0]));
	EXPECT_EQ(self->before.counter[3] + 1, counter("submitters"));
	while (ring_peek(&r, &cqe)) {
		EXPECT_EQ(-ECANCELED, cqe.res);
		ASSERT_LE(FROM_CHILD, (int)cqe.user_data);
		ASSERT_GT(FROM_CHILD + NR_OF_CHILD, (int)cqe.user_data);
		seen |= 1U << (cqe.user_data - FROM_CHILD);
	}
	EXPECT_EQ((1U << NR_OF_CHILD) - 1, seen);
	EXPECT_EQ(3, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	ring_exit(&r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	close_peers(&h);
	talk_close(&t);
	close(efd);
}

/* The same with a worker that is blocked in the child's request */
RING_TEST(child_ends_with_blocked_worker)
{
	struct hold h = { .lock = -1, .notify = -1 };
	struct hold mine = { .lock = -1, .notify = -1 };
	struct iouring2_cqe cqe;
	struct talk t;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, use_fifo(&h));
	ASSERT_EQ(0, use_fifo(&mine));
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	ASSERT_EQ(0, start_worker(&r, &mine));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		talk_child(&t);
		if (start_worker(&r, &h))
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		_exit(0);
	}
	talk_parent(&t);
	close(h.use[0]);
	EXPECT_EQ('+', listen_to(&t));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap(pid));
	EXPECT_TRUE(hung_up(h.peer[0]));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	/* half of the data was written */
	EXPECT_EQ(4096, cqe.res);
	/* The parent's request goes on */
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(4096, read(mine.use[0], scratch, 4096));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(8192, cqe.res);
	ring_exit(&r);
	talk_close(&t);
	close(mine.use[0]);
}

/*
 * A child that shares its descriptor table, but not its memory, does not close
 * the ring when it ends. A request that would touch its memory is cancelled, with
 * those that are linked to it; see exit_shared for the others.
 */
RING_TEST(memory_ends)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	static char buf[8];
	struct ring r;
	int fd[2], i;
	pid_t pid;

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	ASSERT_LE(0, pid);
	if (!pid) {
		sqe = ring_sqe(&r);
		prep_read(sqe, fd[0], buf, sizeof(buf), -1);
		sqe->flags = IOURING2_SQE_IO_LINK;
		prep_nop(ring_sqe(&r));
		_exit(ring_submit(&r) == 2 ? 0 : 1);
	}
	EXPECT_EQ(0, reap(pid));
	/* The child moved the tail, in its copy of r */
	r.sqe_tail = *r.sq_tail;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(1, write(fd[1], "x", 1));
	/* No request has read the byte */
	EXPECT_EQ(0, fcntl(fd[0], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(1, read(fd[0], buf, sizeof(buf)));
	EXPECT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(0, ring_do(&r));
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

/*
 * A drain barrier of the child holds others back. When the child ends, the
 * barrier stays in its place, so that the order behind it is kept.
 */
RING_TEST(child_ends_behind_barrier)
{
	static const __u64 order[] = { 1, FROM_CHILD, FROM_CHILD + 1, 2 };
	struct hold h = { .lock = -1, .notify = -1 };
	struct iouring2_cqe cqe;
	struct ring r;
	uint64_t v = 1;
	unsigned int i;
	int efd;
	pid_t pid;

	ASSERT_EQ(0, use_chain(&h));
	efd = ring_with_poll(&r);
	ASSERT_LE(0, efd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prep_nop(ring_sqe(&r));
		tag(&r, FROM_CHILD, DRAIN | LINK);
		prep_write(ring_sqe(&r), h.use[1], scratch, 1, -1);
		tag(&r, FROM_CHILD + 1, 0);
		_exit(submit(&r, 2) != 0);
	}
	close_uses(&h);
	EXPECT_EQ(0, reap(pid));
	/* The request has released its file, though it has not completed */
	EXPECT_TRUE(hung_up(h.peer[0]));
	r.sqe_tail = *r.sq_tail;
	prep_nop(ring_sqe(&r));
	tag(&r, 2, 0);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(order[i], cqe.user_data);
		EXPECT_EQ(i == 1 || i == 2 ? -ECANCELED : i == 0 ? POLLIN : 0,
			  cqe.res);
	}
	ring_exit(&r);
	close_peers(&h);
	close(efd);
}

/*
 * Make a child in which a worker has begun a write, and blocks. When the parent
 * closes @t, the child exits with the result of @check. Some tests kill it
 * before.
 */
static pid_t child_with_worker(struct ring *r, struct hold *h, struct talk *t,
			       int (*check)(void *arg), void *arg)
{
	pid_t pid;

	if (use_fifo(h) || talk_open(t) || ring_init(r, SQ, CQ))
		return -EIO;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		talk_child(t);
		if (start_worker(r, h))
			_exit(1);
		say(t, '+');
		wait_for_parent(t);
		_exit(check ? check(arg) : 0);
	}
	talk_parent(t);
	if (listen_to(t) != '+')
		return -EPROTO;
	/* The child moved the tail, in its copy of @r */
	r->sqe_tail = *r->sq_tail;
	return pid;
}

/*
 * The end of the child kills a worker while it runs a request that a barrier
 * waits for. The worker then starts the barrier, which the kill must not
 * affect.
 */
RING_TEST(child_ends_before_barrier)
{
	struct hold h = { .lock = -1, .notify = -1 };
	int file = tmp_file(4096), status;
	struct iouring2_cqe cqe;
	struct talk t;
	struct ring r;
	pid_t pid;

	ASSERT_LE(0, file);
	pid = child_with_worker(&r, &h, &t, NULL, NULL);
	ASSERT_LT(0, pid);
	/* A worker of another kind runs this. It does not exist yet. */
	prep(ring_sqe(&r), IOURING2_OP_FSYNC, file, NULL, 0, 0);
	tag(&r, 2, DRAIN);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	kill(pid, SIGKILL);
	status = reap(pid);
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	talk_close(&t);
	ring_exit(&r);
	close_uses(&h);
	close_peers(&h);
	close(file);
}

static int overwritten(void *data)
{
	return memcmp(data, "........", 8) ? 2 : 0;
}

/*
 * A worker of the child completes a request, and a drained read of the parent
 * starts. The worker uses the child's memory, but the data must go to the
 * parent's memory.
 */
RING_TEST(barrier_behind_childs_worker)
{
	struct hold h = { .lock = -1, .notify = -1 };
	int file = tmp_file(4096), status;
	struct iouring2_cqe cqe;
	char data[8] = "........";
	struct talk t;
	struct ring r;
	pid_t pid;

	ASSERT_LE(0, file);
	ASSERT_EQ(8, pwrite(file, "parent's", 8, 0));
	pid = child_with_worker(&r, &h, &t, overwritten, data);
	ASSERT_LT(0, pid);
	prep_read(ring_sqe(&r), file, data, sizeof(data), 0);
	tag(&r, 2, DRAIN);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(4096, read(h.use[0], scratch, 4096));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(8192, cqe.res);
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(8, cqe.res);
	EXPECT_EQ(0, memcmp(data, "parent's", 8)) {
		TH_LOG("\"%.8s\"", data);
	}
	talk_close(&t);
	status = reap(pid);
	EXPECT_EQ(0, status);
	ring_exit(&r);
	close_uses(&h);
	close_peers(&h);
	close(file);
}

/*
 * close() by one of two processes ends that process's requests, and no others,
 * but only when it closes its last descriptor.
 */
RING_TEST(child_closes)
{
	struct iouring2_cqe cqe;
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	int efd;
	pid_t pid;

	ASSERT_EQ(0, talk_open(&t));
	efd = ring_with_poll(&r);
	ASSERT_LE(0, efd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fd = dup(r.fd);

		talk_child(&t);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		tag(&r, 2, 0);
		if (submit(&r, 1))
			_exit(1);
		ring_exit(&r);
		if (fdinfo(fd, "Inflight") != 2)
			_exit(2);
		close(fd);
		say(&t, '+');
		wait_for_parent(&t);
		_exit(0);
	}
	talk_parent(&t);
	EXPECT_EQ('+', listen_to(&t));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	talk_close(&t);
	EXPECT_EQ(0, reap(pid));
	r.sqe_tail = *r.sq_tail;
	ASSERT_EQ(0, ring_nop(&r, 4));
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
	close(efd);
}

/* The process that made the ring closes it; its child goes on */
RING_TEST(parent_closes)
{
	struct state open;
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	int efd;
	pid_t pid;

	ASSERT_EQ(0, talk_open(&t));
	efd = ring_with_poll(&r);
	ASSERT_LE(0, efd);
	state_read(&open);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct iouring2_cqe cqe;

		talk_child(&t);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		if (submit(&r, 1))
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		/* The parent's request ended when the parent closed the ring */
		if (ring_wait(&r, &cqe) || cqe.res != -ECANCELED)
			_exit(2);
		if (ring_wait(&r, &cqe) || cqe.res != POLLIN)
			_exit(3);
		prep_nop(ring_sqe(&r));
		_exit(ring_do(&r) ? 4 : 0);
	}
	talk_parent(&t);
	EXPECT_EQ('+', listen_to(&t));
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	talk_close(&t);
	EXPECT_EQ(0, reap(pid));
	EXPECT_STREQ("", state_diff(&self->before, false));
	close(efd);
}

/* ----------------------------------------------------- kept over an exec() */

static int after_exec_with_ring(char **argv)
{
	int ring = atoi(argv[2]), efd = atoi(argv[3]);
	uint64_t v = 1;

	/* The old program's requests have ended inside execve() */
	if (fdinfo(ring, "Inflight") != 0)
		return 2;
	if (fdinfo(ring, "CachedCqTail") != 2)
		return 5;
	if (write(efd, &v, sizeof(v)) != sizeof(v))
		return 3;
	if (read(efd, &v, sizeof(v)) != sizeof(v))
		return 4;
	/* The new image can enter the ring */
	if (enter(ring, 0, 2, GETEVENTS, NULL, 0))
		return 6;
	close(ring);
	return counter("rings") == atol(argv[4]) ? 0 : 7;
}

RING_TEST(kept_over_exec)
{
	char fds[2][16], rings[16];
	struct ring r;
	pid_t pid;
	int efd;

	fflush(NULL);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		snprintf(rings, sizeof(rings), "%ld", counter("rings"));
		efd = eventfd(0, 0);
		if (efd < 0 || ring_init(&r, 8, 0))
			_exit(99);
		prep_read(ring_sqe(&r), efd, scratch, 8, -1);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		if (submit(&r, 2))
			_exit(98);
		fcntl(r.fd, F_SETFD, 0);
		snprintf(fds[0], sizeof(fds[0]), "%d", r.fd);
		snprintf(fds[1], sizeof(fds[1]), "%d", efd);
		execl("/proc/self/exe", "close_shared", "--with-ring", fds[0], fds[1],
		      rings, NULL);
		_exit(97);
	}
	/* See after_exec_with_ring() */
	EXPECT_EQ(0, WEXITSTATUS(reap(pid)));
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/* ------------------------------------------------------ many at the same time */

#define CHILDREN	6
#define GENERATIONS	30

/* Several children at a time become submitters and exit */
RING_TEST(children_come_and_go)
{
	int i, j, status, ended = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 64, 256));
	for (i = 0; i < GENERATIONS; i++) {
		for (j = 0; j < CHILDREN; j++)
			ASSERT_EQ(0, ring_nop(&r, j));
		ring_publish(&r);
		for (j = 0; j < CHILDREN; j++)
			if (!fork())
				_exit(enter(r.fd, 1, 0, 0, NULL, 0) != 1);
		for (j = 0; j < CHILDREN; j++)
			ended += wait(&status) > 0 && !status;
		EXPECT_EQ(CHILDREN, (int)ring_ready(&r));
		*r.cq_head = *r.cq_tail;
	}
	EXPECT_EQ(CHILDREN * GENERATIONS, ended);
	EXPECT_EQ(CHILDREN * GENERATIONS, fdinfo(r.fd, "Completed"));
	ring_exit(&r);
}

/* ------------------------------------------------- whose ring it has been */

#define MAX_NAMESPACES	"/proc/sys/user/max_user_namespaces"
#define FEW_NAMESPACES	"4\n"

static int write_file(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, s, strlen(s)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * Runs after exec(), so credentials and memory belong to the namespace. argv[2]
 * is a descriptor of the device.
 */
static int after_exec_in_namespace(char **argv)
{
	struct iouring2_setup s = { .entries = 1 };
	int fd = ioctl(atoi(argv[2]), IOURING2_IOC_SETUP, &s);

	return fd < 0 ? 1 : close(fd);
}

static void ring_in_namespace(int dev)
{
	char arg[16];

	pid_t pid;

	/* A namespace is freed a little later than its last user ends */
	if (!until(!unshare(CLONE_NEWUSER | CLONE_NEWPID)))
		_exit(errno == ENOSPC ? 98 : 99);
	/* The child is the first process in the new PID namespace */
	pid = fork();
	if (pid)
		_exit(pid < 0 ? 96 : WEXITSTATUS(reap(pid)));
	snprintf(arg, sizeof(arg), "%d", dev);
	execl("/proc/self/exe", "close_shared", "--in-namespace", arg, NULL);
	_exit(97);
}

/*
 * No counter shows references to credentials, address spaces and pids. But each
 * round has a user namespace of its own, and a reference that is not given back
 * keeps this namespace. The number of user namespaces is limited.
 */
RING_TEST(credentials_given_back)
{
	char was[32] = "";
	int i, dev, status = 0;
	pid_t pid;

	if (read_text(MAX_NAMESPACES, was, sizeof(was)) <= 0 || !intrusive() ||
	    write_file(MAX_NAMESPACES, FEW_NAMESPACES))
		SKIP(return, "needs IOURING2_INTRUSIVE=1, and user namespaces");
	dev = open("/dev/iouring2", O_RDWR);
	for (i = 0; i < 10 && !status; i++) {
		pid = fork();
		if (!pid)
			ring_in_namespace(dev);
		status = pid < 0 ? -errno : WEXITSTATUS(reap(pid));
	}
	close(dev);
	EXPECT_EQ(0, write_file(MAX_NAMESPACES, was));
	EXPECT_EQ(0, status) {
		TH_LOG("round %d", i);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "--in-namespace"))
		return after_exec_in_namespace(argv);
	if (argc == 5 && !strcmp(argv[1], "--with-ring"))
		return after_exec_with_ring(argv);
	return ring_test_main(argc, argv);
}
