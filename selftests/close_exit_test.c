// SPDX-License-Identifier: GPL-2.0-only
/*
 * I9 at the end of a process. When the wait for a process that had a ring has
 * returned, or when another image runs in the process, nothing of the ring runs
 * and nothing is held for it, whatever was in flight. See also close_test.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "inflight.h"

enum there {
	EXIT,
	EXIT_IN_THREAD,		/* while the first thread waits in ENTER */
	EXIT_MAPPED,		/* only mappings are left */
	KILL_IN_ENTER,
	KILL_THREADS_IN_ENTER,
	KILL_OUTSIDE,
	KILL_MAPPED,
	EXEC,
	EXEC_MAPPED,
};

static void *exit_when_told(void *arg)
{
	wait_for_parent(arg);
	_exit(0);
	return NULL;
}

/*
 * Execute another image in the same process. It inherits nothing of the ring.
 */
static void become_another(struct talk *t)
{
	char fds[2][16];

	snprintf(fds[0], sizeof(fds[0]), "%d", t->say[1]);
	snprintf(fds[1], sizeof(fds[1]), "%d", t->hear[0]);
	fcntl(t->say[1], F_SETFD, 0);
	fcntl(t->hear[0], F_SETFD, 0);
	execl("/proc/self/exe", "close_exit", "--another", fds[0], fds[1], NULL);
	_exit(98);
}

/*
 * A device that the child maps, too. It is closed with its last reference, and
 * the close takes a while.
 */
static const char *slow_to_close;

static void map_slow(void)
{
	int fd = open(slow_to_close, O_RDWR | O_CLOEXEC);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		_exit(95);
	*(volatile char *)p = 1;
	close(fd);
}

static void child(enum there how, struct load *l, struct talk *t)
{
	pthread_t thread;
	struct ring r;
	int i;

	if (slow_to_close)
		map_slow();
	if (ring_init(&r, SQ, CQ))
		_exit(97);
	if (load_start(l, &r)) {
		fprintf(stderr, "# %s\n", l->failed);
		_exit(96);
	}
	if (how == EXIT_MAPPED || how == KILL_MAPPED || how == EXEC_MAPPED)
		close(r.fd);
	if (how == EXIT_IN_THREAD)
		pthread_create(&thread, NULL, exit_when_told, t);
	for (i = 0; how == KILL_THREADS_IN_ENTER && i < 3; i++)
		pthread_create(&thread, NULL, enter_for_ever, &r);
	say(t, '+');
	switch (how) {
	case EXIT_IN_THREAD:
	case KILL_IN_ENTER:
	case KILL_THREADS_IN_ENTER:
		enter_for_ever(&r);
		break;
	case EXEC:
	case EXEC_MAPPED:
		become_another(t);
		break;
	default:
		wait_for_parent(t);
		_exit(0);
	}
}

/* The image after exec() starts here */
static int another(char **argv)
{
	struct talk t = {
		.say = { -1, atoi(argv[2]) },
		.hear = { atoi(argv[3]), -1 },
	};

	say(&t, '!');
	wait_for_parent(&t);
	return 0;
}

/* The child has started all requests. End it, and return "" or what is left. */
static const char *end_there(enum there how, pid_t pid, struct talk *t,
			     struct load *l, const struct state *before)
{
	const char *bad;

	switch (how) {
	case EXIT:
	case EXIT_MAPPED:
	case EXIT_IN_THREAD:
		if (how == EXIT_IN_THREAD)
			until(task_sleeps(pid));
		talk_close(t);
		if (reap(pid))
			return failed("status", "exit", 0);
		return after(l, before);
	case EXEC:
	case EXEC_MAPPED:
		if (listen_to(t) != '!')
			return failed("no", "exec", reap(pid));
		/*
		 * The process is still alive, so exec() has ended the requests
		 */
		bad = after(l, before);
		talk_close(t);
		reap(pid);
		return bad;
	default:
		until(task_sleeps(pid));
		kill(pid, SIGKILL);
		if (reap(pid) != SIGKILL)
			return failed("status", "kill", 0);
		talk_close(t);
		return after(l, before);
	}
}

static const char *with_child(int how, unsigned int mask)
{
	struct state before;
	const char *bad;
	struct load l;
	struct talk t;
	pid_t pid;
	int ret;

	state_read(&before);
	ret = load_prepare(&l, mask);
	if (ret)
		return failed("prepare", l.failed, ret);
	if (talk_open(&t))
		return failed("prepare", "pipes", errno);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		talk_child(&t);
		child(how, &l, &t);
	}
	talk_parent(&t);
	load_drop(&l);
	if (listen_to(&t) != '+')
		return failed("start", "child", reap(pid));
	/*
	 * Requests of a ring that is only mapped have ended. Those of a child
	 * that calls exec() end at any time now. All others are in flight.
	 */
	if (how == EXIT_MAPPED || how == KILL_MAPPED) {
		bad = load_held(&l, false);
		if (*bad)
			return failed("held by a mapping", bad, 0);
	} else if (how != EXEC && how != EXEC_MAPPED) {
		bad = load_held(&l, true);
		if (*bad)
			return failed("not held", bad, 0);
	}
	return end_there(how, pid, &t, &l, &before);
}

/* This kind fills the CQ, so no task would sleep in ENTER */
#define WAITS	kind_bit("backlog")

RING_TEST(exited)
{
	EXPECT_STREQ("", every_load(with_child, EXIT, 0));
}

RING_TEST(exited_mapped)
{
	EXPECT_STREQ("", every_load(with_child, EXIT_MAPPED, 0));
}

RING_TEST(exited_in_thread)
{
	EXPECT_STREQ("", every_load(with_child, EXIT_IN_THREAD, WAITS));
}

RING_TEST(killed_in_enter)
{
	EXPECT_STREQ("", every_load(with_child, KILL_IN_ENTER, WAITS));
}

RING_TEST(killed_outside)
{
	EXPECT_STREQ("", every_load(with_child, KILL_OUTSIDE, 0));
}

RING_TEST(killed_mapped)
{
	EXPECT_STREQ("", every_load(with_child, KILL_MAPPED, 0));
}

RING_TEST(executed)
{
	EXPECT_STREQ("", every_load(with_child, EXEC, 0));
}

RING_TEST(executed_mapped)
{
	EXPECT_STREQ("", every_load(with_child, EXEC_MAPPED, 0));
}

RING_TEST(killed_threads_in_enter)
{
	EXPECT_STREQ("", with_child(KILL_THREADS_IN_ENTER, ALL & ~WAITS));
}

/*
 * A worker may hold the last reference to the process's memory. If the worker
 * unmaps it, the kernel defers the final close of the mapped files and closes
 * them one by one. The ring then waits for the slow device. So a worker must
 * not be the one to unmap it.
 */
RING_TEST(killed_with_slow_mapping)
{
	int fd = slow_disk(200);

	if (fd < 0)
		SKIP(return, "no null_blk");
	close(fd);
	slow_to_close = "/dev/nullb0";
	EXPECT_STREQ("", with_child(KILL_OUTSIDE, kind_bit("blocked worker")));
	slow_to_close = NULL;
	EXPECT_EQ(0, slow_disk_close(-1));
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "--another"))
		return another(argv);
	return ring_test_main(argc, argv);
}
