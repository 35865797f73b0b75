// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task that waits in ENTER for requests in flight counts as one that waits for
 * I/O (procs_blocked in /proc/stat), unless it has set ENTER_NO_IOWAIT. Other
 * tasks may count as well, so many tasks wait at the same time: more than all
 * others together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "sides.h"

#define NR		24
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define NO_IOWAIT	IOURING2_ENTER_NO_IOWAIT

SIDE_FIXTURE(iowait);

struct waiter {
	const struct side *s;
	struct ring r;
	unsigned int flags;
	int efd;		/* the request polls it; < 0: no request */
	int stay[2];		/* the thread reads this after its wait */
	pthread_t self;
	pid_t tid;
	int ret;
	bool over;
};

static long procs_blocked(void)
{
	static char text[1 << 20];
	char *at;

	if (read_text("/proc/stat", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "procs_blocked ");
	return at ? atol(at + strlen("procs_blocked ")) : -1;
}

static void *wait_then_stay(void *arg)
{
	struct __kernel_timespec hour = { .tv_sec = 3600 };
	struct iouring2_getevents_arg ext = { .ts = (uintptr_t)&hour };
	struct waiter *w = arg;
	bool timed = w->flags & EXT_ARG;
	char c;

	/* io_uring counts the requests of the thread that waits */
	if (w->efd >= 0) {
		prep_poll(ring_sqe(&w->r), w->efd, POLLIN);
		ring_publish(&w->r);
		if (w->s->enter(w->r.fd, 1, 0, 0, NULL, 0) != 1)
			return w;
	}
	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = w->s->enter(w->r.fd, 0, 1, w->flags | GETEVENTS,
			     timed ? &ext : NULL, timed ? sizeof(ext) : 0);
	st_rel(&w->over, true);
	return read(w->stay[0], &c, 1) == 1 ? NULL : w;
}

static void handler(int sig)
{
	(void)sig;
}

static int start(struct waiter *w, const struct side *s, unsigned int flags,
		 int efd)
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->flags = flags;
	w->efd = efd;
	if (pipe2(w->stay, O_CLOEXEC) || s->setup(&w->r, 4, 0, 0))
		return -EMFILE;
	return pthread_create(&w->self, NULL, wait_then_stay, w) ? -EAGAIN : 0;
}

static bool all_wait(struct waiter *w)
{
	int i;

	for (i = 0; i < NR; i++)
		if (!ld_acq(&w[i].tid) || !task_waits(w[i].tid))
			return false;
	return true;
}

static bool all_over(struct waiter *w)
{
	int i;

	for (i = 0; i < NR; i++)
		if (!ld_acq(&w[i].over))
			return false;
	return true;
}

/* Do waits with @flags for a request, or for none, count as waits for I/O? */
static void check(struct __test_metadata *_metadata, const struct side *s,
		  unsigned int flags, bool request, bool counts)
{
	int efd = eventfd(0, EFD_CLOEXEC), i;
	static struct waiter w[NR];

	ASSERT_LE(0, efd);
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, start(&w[i], s, flags, request ? efd : -1));
	ASSERT_TRUE(until(all_wait(w)));
	EXPECT_TRUE(until_ms((procs_blocked() >= NR) == counts, 5000));
	/* A while later as well */
	usleep(10000);
	ASSERT_TRUE(all_wait(w));
	EXPECT_EQ(counts, procs_blocked() >= NR) {
		TH_LOG("%ld tasks wait for I/O", procs_blocked());
	}
	if (request)
		EXPECT_EQ(0, eventfd_write(efd, 1));
	for (i = 0; i < NR && !request; i++)
		pthread_kill(w[i].self, SIGUSR1);
	EXPECT_TRUE(until(all_over(w)));
	/* The next sleep of the same threads has nothing to do with the ring */
	ASSERT_TRUE(until(all_wait(w)));
	EXPECT_TRUE(until(procs_blocked() < NR));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(1, write(w[i].stay[1], "x", 1));
		pthread_join(w[i].self, NULL);
		EXPECT_EQ(request ? 0 : -EINTR, w[i].ret);
		ring_exit(&w[i].r);
		close(w[i].stay[0]);
		close(w[i].stay[1]);
	}
	close(efd);
}

#define NEED_COUNT()							\
	do {								\
		NEED_SIDE(tree_features() & IOURING2_FEAT_NO_IOWAIT);	\
		if (procs_blocked() < 0)				\
			SKIP(return, "no procs_blocked");		\
	} while (0)

TEST_F_TIMEOUT(iowait, for_a_request, LIMIT)
{
	NEED_COUNT();
	check(_metadata, variant->side, 0, true, true);
}

TEST_F_TIMEOUT(iowait, with_a_timeout, LIMIT)
{
	NEED_COUNT();
	check(_metadata, variant->side, EXT_ARG, true, true);
}

TEST_F_TIMEOUT(iowait, not_with_the_flag, LIMIT)
{
	NEED_COUNT();
	check(_metadata, variant->side, NO_IOWAIT, true, false);
}

TEST_F_TIMEOUT(iowait, not_with_the_flag_and_a_timeout, LIMIT)
{
	NEED_COUNT();
	check(_metadata, variant->side, NO_IOWAIT | EXT_ARG, true, false);
}

/* Nothing is in flight */
TEST_F_TIMEOUT(iowait, not_without_a_request, LIMIT)
{
	struct sigaction sa = { .sa_handler = handler };

	NEED_COUNT();
	sigaction(SIGUSR1, &sa, NULL);
	check(_metadata, variant->side, EXT_ARG, false, false);
}

RING_TEST_MAIN
