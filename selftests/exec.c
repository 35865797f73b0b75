// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring that stays open over exec(): the requests of the old program end, those
 * that nobody is at work on in exec() itself, and the ring serves the new one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

/* Time for a worker to see that its request is to end, on a busy machine */
#define WORKERS_MS	8000

/* Of the new program: what it found */
#define BAD_PIPE	1
#define BAD_INFLIGHT	2
#define BAD_RING	4
#define BAD_CALL	8

struct kind {
	const char *name;
	bool at_once;	/* when exec() returns */
	/* Queues it on the read end of a pipe */
	void (*queue)(struct ring *r, int fd);
};

static char buf[64];

static void queue_read(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, 0, 1);
}

static void queue_poll(struct ring *r, int fd)
{
	add(r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0, 1)->poll32_events = POLLIN;
}

static void queue_multishot(struct ring *r, int fd)
{
	prep_poll_multi(ring_sqe(r), fd, POLLIN);
}

static void queue_linked(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, LINK, 1);
	add(r, IOURING2_OP_WRITE, fd, buf, 8, 0, 0, 2);
	add_timer(r, 1000000, 0, 3);
}

static void queue_drained(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, 0, 1);
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, DRAIN, 2);
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, 0, 3);
}

/* With a poll, so that there is a pipe to look at */
static void queue_timers(struct ring *r, int fd)
{
	int i;

	for (i = 0; i < 4; i++)
		add_timer(r, 1000000, 0, i);
	queue_poll(r, fd);
}

static void queue_async(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, ASYNC, 1);
}

/*
 * Of one file, from a page that never comes: one after the other, a worker would be
 * killed in each
 */
static void queue_writes(struct ring *r, int fd)
{
	static struct absent a;
	int i, file;

	file = memfd_create("exec", MFD_CLOEXEC);
	if (file < 0 || absent_make(&a))
		return;
	/* its end would give the page */
	fcntl(a.fd, F_SETFD, 0);
	for (i = 0; i < 14; i++)
		add(r, IOURING2_OP_WRITE, file, a.page, 1, i, ASYNC, i);
}

static const struct kind kinds[] = {
	{ "READ", true, queue_read },
	{ "POLL_ADD", true, queue_poll },
	{ "multishot POLL_ADD", true, queue_multishot },
	{ "a chain", true, queue_linked },
	{ "DRAIN", true, queue_drained },
	{ "timers", true, queue_timers },
	{ "READ, ASYNC", false, queue_async },
	{ "WRITEs that wait for each other", false, queue_writes },
};

/* Start of the new program. argv: "--kept", ring, write end, ms */
static int kept(char **argv)
{
	int ring = atoi(argv[2]), wr = atoi(argv[3]), ms = atoi(argv[4]), bad = 0;
	struct ring r = { .fd = ring };

	if (!until_ms(hung_up(wr), ms))
		bad |= BAD_PIPE;
	if (!until_ms(!fdinfo(ring, "Inflight"), ms))
		bad |= BAD_INFLIGHT;
	/* It is as good as before */
	if (enter(r.fd, 0, 0, IOURING2_ENTER_GETEVENTS, NULL, 0))
		bad |= BAD_RING;
	return bad;
}

static void run_kept(const struct kind *k, struct ring *r, int fds[2])
{
	char a[3][16];

	k->queue(r, fds[0]);
	if (submit_all(r))
		_exit(BAD_CALL);
	usleep(20000);
	fcntl(r->fd, F_SETFD, 0);
	fcntl(fds[1], F_SETFD, 0);
	snprintf(a[0], sizeof(a[0]), "%d", r->fd);
	snprintf(a[1], sizeof(a[1]), "%d", fds[1]);
	snprintf(a[2], sizeof(a[2]), "%d", k->at_once ? 0 : WORKERS_MS);
	execl("/proc/self/exe", "exec", "--kept", a[0], a[1], a[2], NULL);
	_exit(BAD_CALL);
}

static int exec_with(const struct kind *k, bool ours)
{
	struct ring r;
	int fds[2], status;
	pid_t pid;

	if (ours && ring_init(&r, 16, 0))
		return BAD_CALL;
	pid = fork();
	if (!pid) {
		/* The only one that has the ring, unless it is shared */
		if ((!ours && ring_init(&r, 16, 0)) || pipe2(fds, O_CLOEXEC))
			_exit(BAD_CALL);
		run_kept(k, &r, fds);
	}
	status = reap_ms(pid, 30000);
	if (status == -ETIME) {
		kill(pid, SIGKILL);
		reap_ms(pid, SOON);
	}
	if (ours)
		ring_exit(&r);
	return WIFEXITED(status) ? WEXITSTATUS(status) : status;
}

BOUNDED_TEST(requests_end)
{
	const struct kind *k;

	for (k = kinds; k < kinds + ARRAY_SIZE(kinds); k++) {
		EXPECT_EQ(0, exec_with(k, false)) {
			TH_LOG("%s", k->name);
		}
	}
}

/* Another process has the ring, too */
BOUNDED_TEST(requests_end_shared)
{
	const struct kind *k;

	for (k = kinds; k < kinds + ARRAY_SIZE(kinds); k++) {
		EXPECT_EQ(0, exec_with(k, true)) {
			TH_LOG("%s", k->name);
		}
	}
}

/* and its requests go on */
BOUNDED_TEST(others_go_on)
{
	int fds[2], mine[2];
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, pipe2(mine, O_CLOEXEC));
	add(&r, IOURING2_OP_READ, mine[0], buf, 4, 0, 0, 100);
	add(&r, IOURING2_OP_READ, mine[0], buf + 8, 4, 0, ASYNC, 101);
	ASSERT_EQ(0, submit_all(&r));
	pid = fork();
	if (!pid) {
		close(mine[0]);
		close(mine[1]);
		ring_sync(&r);
		if (pipe2(fds, O_CLOEXEC))
			_exit(BAD_CALL);
		queue_read(&r, fds[0]);
		if (submit_all(&r))
			_exit(BAD_CALL);
		fcntl(r.fd, F_SETFD, 0);
		execl("/bin/true", "true", NULL);
		_exit(BAD_CALL);
	}
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_EQ(-ECANCELED, res_ms(&r, 1, SOON));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ(8, write(mine[1], "12345678", 8));
	EXPECT_EQ(4, res_ms(&r, 100, SOON));
	EXPECT_EQ(4, res_ms(&r, 101, SOON));
	ring_exit(&r);
	close(mine[0]);
	close(mine[1]);
}

/* With more threads, that end in exec(), and had requests of their own */
static void *in_thread(void *arg)
{
	struct ring *r = arg;

	enter_timeout(r->fd, 0, 100, 100 * NSEC_PER_SEC);
	return NULL;
}

BOUNDED_TEST(with_threads)
{
	struct ring r;
	pthread_t t;
	int fds[2];
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (ring_init(&r, 16, 128) || pipe2(fds, O_CLOEXEC) ||
		    pthread_create(&t, NULL, in_thread, &r))
			_exit(BAD_CALL);
		usleep(20000);
		run_kept(&kinds[0], &r, fds);
	}
	EXPECT_EQ(0, reap_ms(pid, 30000));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--kept"))
		return kept(argv);
	return ring_test_main(argc, argv);
}
