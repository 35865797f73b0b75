// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a ring: when its last close returns nothing of it is left (I9),
 * whatever was in flight or waiting behind the CQ, and whoever closed it -
 * the owner, another thread, the end of the process, a signal that it could
 * not catch, an exec. Others see that at once: pipes break, locks are free.
 * The fixture compares the module's counters after each test.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "victims.h"

#define GETEVENTS IOURING2_ENTER_GETEVENTS

/* As many requests as there are kinds, in flight all at once */
static int start_all(struct ring *r, struct scene *s)
{
	unsigned int i;
	int nr = 0;

	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		if (!victim_possible(&victims[i], s))
			continue;
		if (!victim_start(&victims[i], r, s))
			return -1;
		nr++;
	}
	return nr;
}

/* Completions in the CQ, and @n more behind it */
static int overflow(struct ring *r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < *r->cq_entries; i++)
		if (ring_nop(r, i) || ring_submit(r) != 1)
			return -1;
	for (i = 0; i < n; i++)
		if (ring_nop(r, i))
			return -1;
	return ring_submit(r) == (int)n ? 0 : -1;
}

RING_TEST(each_state)
{
	const struct victim *v;
	struct scene s;
	struct ring r;
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		v = &victims[i];
		/* The descriptor last, or the mappings last */
		for (order = 0; order < 2; order++) {
			ASSERT_EQ(0, scene_open(&s));
			if (!victim_possible(v, &s)) {
				TH_LOG("not possible here: %s", v->name);
				scene_close(&s);
				continue;
			}
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			ASSERT_TRUE(victim_start(v, &r, &s)) {
				TH_LOG("%s: not in flight", v->name);
			}
			if (order) {
				close(r.fd);
				r.fd = -1;
				/* Mapped is not closed yet */
				EXPECT_EQ(self->before.counter[0] + 1,
					  counter("rings"));
			}
			ring_exit(&r);
			ASSERT_STREQ("", state_diff(&self->before, false)) {
				TH_LOG("%s", v->name);
			}
			scene_close(&s);
		}
	}
}

RING_TEST(all_states_at_once)
{
	struct scene s;
	struct ring r;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, 32, 0));
		ASSERT_LT(0, start_all(&r, &s));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false));
		scene_close(&s);
	}
}

RING_TEST(with_backlog)
{
	static const unsigned int cqs[] = { 1, 2, 64, 4096 };
	struct scene s;
	struct ring r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cqs); i++) {
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, cqs[i], cqs[i]));
		ASSERT_TRUE(victim_start(&victims[0], &r, &s));
		ASSERT_EQ(0, overflow(&r, cqs[i])) {
			TH_LOG("CQ of %u", cqs[i]);
		}
		EXPECT_EQ(cqs[i], fdinfo(r.fd, "Backlog"));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("CQ of %u", cqs[i]);
		}
		scene_close(&s);
	}
}

/* Completions that come while the ring is being closed */
RING_TEST(while_completing)
{
	int i, n, rounds = full_stress() ? 2000 : 200;
	struct __kernel_timespec ts;
	struct iouring2_sqe *sqe;
	unsigned int seed = 1;
	struct scene s;
	struct ring r;

	ASSERT_EQ(0, scene_open(&s));
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, ring_init(&r, 32, 32));
		for (n = 0; n < 32; n++) {
			sqe = ring_sqe(&r);
			ts = ts_ns(rand_r(&seed) % 1000000);
			if (n % 4 == 0)
				prep_timeout(sqe, &ts, 0, n & 4 ?
					     IOURING2_TIMEOUT_MULTISHOT : 0);
			else
				prep_nop(sqe);
			if (n % 4 == 1)
				sqe->flags = IOURING2_SQE_ASYNC;
			if (n % 4 == 2)
				sqe->flags = IOURING2_SQE_IO_LINK;
			if (n % 16 == 7)
				sqe->flags = IOURING2_SQE_IO_DRAIN;
			if (ring_submit(&r) == -EBUSY)
				break;
		}
		if (i & 1)
			usleep(rand_r(&seed) % 1000);
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false));
	}
	scene_close(&s);
}

/* ------------------------------------------------------ what others see */

RING_TEST(pipe_ends_are_free)
{
	static const unsigned char flags[] = { 0, IOURING2_SQE_ASYNC };
	struct iouring2_sqe *sqe;
	struct ring r;
	unsigned int i;
	int p[2], how;
	char c;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (how = 0; how < 2; how++) {
			/* The ring alone still has the reading end */
			ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			sqe = ring_sqe(&r);
			if (how)
				prep_poll_multi(sqe, p[0], POLLIN);
			else
				prep_read(sqe, p[0], &c, 1, 0);
			sqe->flags = flags[i];
			EXPECT_EQ(1, ring_submit(&r));
			close(p[0]);
			ring_exit(&r);
			EXPECT_EQ(-1, write(p[1], "x", 1)) {
				TH_LOG("the reading end is still open");
			}
			EXPECT_EQ(EPIPE, errno);
			close(p[1]);

			/* The writing end */
			ASSERT_EQ(0, pipe2(p, O_CLOEXEC | O_NONBLOCK));
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			sqe = ring_sqe(&r);
			prep_poll_multi(sqe, p[1], how ? POLLERR : 0);
			sqe->flags = flags[i];
			EXPECT_EQ(1, ring_submit(&r));
			close(p[1]);
			ring_exit(&r);
			EXPECT_EQ(0, read(p[0], &c, 1)) {
				TH_LOG("the writing end is still open: %d",
				       errno);
			}
			close(p[0]);
		}
	}
}

RING_TEST(locks_are_free)
{
	char dir[256], path[300];
	struct ring r;
	int fd, again;

	tmp_path(dir, sizeof(dir), "dir");
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ASSERT_EQ(0, mkfifo(path, 0600));
	fd = open(path, O_RDWR | O_CLOEXEC);
	again = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	rmdir(dir);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_poll(ring_sqe(&r), fd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	close(fd);
	/* The request keeps the file open, and so locked */
	EXPECT_EQ(-1, flock(again, LOCK_EX | LOCK_NB));
	EXPECT_EQ(EWOULDBLOCK, errno);
	ring_exit(&r);
	EXPECT_EQ(0, flock(again, LOCK_EX | LOCK_NB));
	close(again);
}

/* ------------------------------------------------------------ who closes */

static void *close_in_thread(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

RING_TEST(another_thread)
{
	pthread_t thread;
	struct scene s;
	struct ring r;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, 32, 0));
		ASSERT_LT(0, start_all(&r, &s));
		ring_unmap(&r);
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_in_thread,
					    &r.fd));
		pthread_join(thread, NULL);
		ASSERT_STREQ("", state_diff(&self->before, false));
		scene_close(&s);
	}
}

static void *start_in_thread(void *arg)
{
	void **args = arg;

	return (void *)(long)start_all(args[0], args[1]);
}

/* The thread that submitted is gone; its requests go with the ring */
RING_TEST(submitter_thread_gone)
{
	struct scene s;
	struct ring r;
	void *args[] = { &r, &s }, *ret;
	pthread_t thread;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, 32, 64));
		ASSERT_EQ(0, pthread_create(&thread, NULL, start_in_thread,
					    args));
		pthread_join(thread, &ret);
		EXPECT_LT(0, (long)ret);
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false));
		scene_close(&s);
	}
}

struct sleeper {
	pthread_t self;
	volatile pid_t tid;
	int fd, ret;
};

static void on_signal(int sig)
{
	(void)sig;
}

static void *sleep_in_thread(void *arg)
{
	struct sleeper *s = arg;

	s->tid = syscall(SYS_gettid);
	s->ret = enter(s->fd, 0, 1, GETEVENTS, NULL, 0);
	return NULL;
}

/* Somebody waits in the ring while its descriptor is closed */
RING_TEST(under_a_waiter)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct sleeper w;
	struct scene s;
	struct ring r;
	int i;

	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, 32, 0));
		ASSERT_LT(0, start_all(&r, &s));
		w = (struct sleeper) { .fd = r.fd };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, sleep_in_thread,
					    &w));
		EXPECT_TRUE(until(w.tid && task_sleeps(w.tid)));
		ring_exit(&r);
		/*
		 * Whoever is in it keeps it, and leaves when what it waits for
		 * is cancelled, or by a signal at the latest.
		 */
		pthread_kill(w.self, SIGUSR1);
		pthread_join(w.self, NULL);
		EXPECT_TRUE(w.ret == -EINTR || w.ret == 0);
		ASSERT_STREQ("", state_diff(&self->before, false));
		scene_close(&s);
	}
}

enum ending { EXIT, KILL, EXEC, EXIT_THREADED, NR_ENDINGS };

static void *just_sleep(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* A process ends in one of several ways, with everything in flight */
RING_TEST(process_ends)
{
	int how, backlog, status, ready[2], i;
	struct scene s;
	struct ring r;
	pthread_t t;
	pid_t pid;
	char c;

	for (how = 0; how < NR_ENDINGS; how++) {
		for (backlog = 0; backlog < 2; backlog++) {
			ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid) {
				if (scene_open(&s) || ring_init(&r, 32, 32))
					_exit(1);
				/* Behind a barrier, NOPs would not run */
				for (i = 0; i < (int)ARRAY_SIZE(victims); i++)
					if (victims[i].queue != queue_drained &&
					    victim_possible(&victims[i], &s) &&
					    !victim_start(&victims[i], &r, &s))
						_exit(2);
				if (backlog && overflow(&r, 32))
					_exit(3);
				if (how == EXIT_THREADED)
					for (i = 0; i < 3; i++)
						pthread_create(&t, NULL,
							       just_sleep,
							       NULL);
				if (write(ready[1], "x", 1) != 1)
					_exit(4);
				switch (how) {
				case EXIT:
				case EXIT_THREADED:
					_exit(0);
				case KILL:
					for (;;)
						enter(r.fd, 0, 1000, GETEVENTS,
						      NULL, 0);
				case EXEC:
					execl("/bin/true", "true", NULL);
					_exit(5);
				}
			}
			close(ready[1]);
			EXPECT_EQ(1, read(ready[0], &c, 1));
			if (how == KILL)
				kill(pid, SIGKILL);
			EXPECT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(how == KILL ? SIGKILL : 0, status) {
				TH_LOG("ending %d, backlog %d", how, backlog);
			}
			ASSERT_STREQ("", state_diff(&self->before, false)) {
				TH_LOG("ending %d, backlog %d", how, backlog);
			}
			close(ready[0]);
		}
	}
}

/* Killed at a random moment of a busy life */
RING_TEST(killed_any_time)
{
	int i, rounds = full_stress() ? 500 : 40, status;
	struct iouring2_cqe cqe;
	unsigned int seed = 1;
	struct scene s;
	struct ring r;
	pid_t pid;

	for (i = 0; i < rounds; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			for (;;) {
				if (scene_open(&s) || ring_init(&r, 32, 32))
					_exit(1);
				start_all(&r, &s);
				while (ring_peek(&r, &cqe))
					;
				ring_exit(&r);
				scene_close(&s);
			}
		}
		usleep(rand_r(&seed) % 20000);
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, status);
		ASSERT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("round %d", i);
		}
	}
}

/* Shared by fork(): the child's end is not the ring's end */
RING_TEST(shared_with_child)
{
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	int status, i;
	pid_t pid;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 32, 0));
	ASSERT_TRUE(victim_start(&victims[0], &r, &s));
	/* A child that does nothing */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(0);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));

	/* A child that closes it */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ring_exit(&r);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));

	/* A child that submits and goes: what it began ends, ours does not */
	for (i = 0; i < (int)ARRAY_SIZE(victims); i++) {
		const struct victim *v = &victims[i];

		/* (Behind a barrier nothing of ours would move either) */
		if (!victim_possible(v, &s) || v->queue == queue_drained)
			continue;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(victim_start(v, &r, &s) ? 0 : 1);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		r.sqe_tail = *r.sq_tail;
		EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 1)) {
			TH_LOG("%s: %lld in flight", v->name,
			       fdinfo(r.fd, "Inflight"));
		}
		while (ring_peek(&r, &cqe))
			EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR);
		ASSERT_EQ(0, ring_nop(&r, 1));
		EXPECT_EQ(0, ring_do(&r)) {
			TH_LOG("%s", v->name);
		}
	}
	ring_exit(&r);
	scene_close(&s);
}

/* One descriptor of several: nothing happens */
RING_TEST(duplicate_closed)
{
	struct scene s;
	struct ring r;
	pthread_t t;
	int dup_fd;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 32, 0));
	ASSERT_TRUE(victim_start(&victims[0], &r, &s));
	dup_fd = fcntl(r.fd, F_DUPFD_CLOEXEC, 0);
	ASSERT_LE(0, dup_fd);
	close(dup_fd);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	/* The original, by a thread */
	dup_fd = fcntl(r.fd, F_DUPFD_CLOEXEC, 0);
	ASSERT_LE(0, dup_fd);
	ASSERT_EQ(0, pthread_create(&t, NULL, close_in_thread, &r.fd));
	pthread_join(t, NULL);
	r.fd = dup_fd;
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(0, ring_do(&r));
	ring_exit(&r);
	scene_close(&s);
}

/* The parent goes first; the child has the ring to itself */
RING_TEST(inherited)
{
	int status, p[2];
	struct ring r;
	pid_t pid, child;
	char c = 0;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_init(&r, 8, 0))
			_exit(1);
		child = fork();
		if (child)
			_exit(child < 0);
		/* Reparented: the ring works on, in this one's memory */
		until(getppid() != pid);
		if (!ring_nop(&r, 1) && ring_do(&r) == 0)
			c = 'y';
		if (write(p[1], &c, 1) != 1)
			_exit(1);
		ring_exit(&r);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(p[1]);
	EXPECT_EQ(1, read(p[0], &c, 1));
	EXPECT_EQ('y', c);
	/* The end of the pipe is the end of the grandchild, nearly */
	EXPECT_EQ(0, read(p[0], &c, 1));
	EXPECT_TRUE(until(!state_diff(&self->before, false)[0]));
	close(p[0]);
}

/* Watched by an epoll that outlives it, with completions behind the CQ */
RING_TEST(in_an_epoll)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct ring r;
	int ep, i;

	for (i = 0; i < 20; i++) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, ep);
		ASSERT_EQ(0, ring_init(&r, 8, 8));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		ASSERT_EQ(0, overflow(&r, 8));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
		close(ep);
	}
}

/* ------------------------------------------------------------ and again */

/* Never ENOMEM for memory that the one before is still giving back */
RING_TEST(setup_close_loop)
{
	int i, rounds = env_long("IOURING2_LOOPS", full_stress() ? 10000 : 500);
	struct scene s;
	struct ring r;

	ASSERT_EQ(0, scene_open(&s));
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, ring_init(&r, 4096, 0)) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(victim_start(&victims[i % 3], &r, &s));
		ASSERT_EQ(0, ring_nop(&r, 1));
		ASSERT_EQ(1, ring_submit(&r));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("round %d", i);
		}
	}
	scene_close(&s);
}

/* Several processes at it at the same time */
RING_TEST(setup_close_in_parallel)
{
	enum { PROCS = 4 };
	int i, n, status, rounds = full_stress() ? 1000 : 50;
	struct scene s;
	struct ring r;
	pid_t pid[PROCS];

	for (i = 0; i < PROCS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		if (scene_open(&s))
			_exit(1);
		for (n = 0; n < rounds; n++) {
			if (ring_init(&r, 64, 64) || start_all(&r, &s) <= 0)
				_exit(2);
			ring_exit(&r);
		}
		_exit(0);
	}
	for (i = 0; i < PROCS; i++) {
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

RING_TEST_MAIN
