// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes that have to wait: for a file that is not ready, in a worker
 * if the file cannot be polled, and for a busy device.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "absent.h"
#include "rw.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define LINK		IOURING2_SQE_IO_LINK

/* ------------------------------------------------------ files that wait */

enum stream_kind { PIPE, SOCKET, EVENTFD, PTY, NR_STREAMS };

static const char * const stream_names[NR_STREAMS] = {
	"pipe", "socket", "eventfd", "terminal",
};

/* fd[0] is to read from, fd[1] is to write to */
static int stream_open(enum stream_kind kind, int fd[2])
{
	char *name;

	switch (kind) {
	case PIPE:
		return pipe2(fd, O_CLOEXEC) ? -errno : 0;
	case SOCKET:
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) ?
			-errno : 0;
	case EVENTFD:
		fd[0] = eventfd(0, EFD_CLOEXEC);
		fd[1] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
		return fd[0] < 0 || fd[1] < 0 ? -errno : 0;
	case PTY:
		fd[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd[1] < 0)
			return -errno;
		if (grantpt(fd[1]) || unlockpt(fd[1]))
			goto close;
		name = ptsname(fd[1]);
		if (!name)
			goto close;
		fd[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd[0] >= 0)
			return 0;
close:
		close(fd[1]);
		return -ENODEV;
	default:
		return -EINVAL;
	}
}

static const char line[8] = "1234567\n";
#define MORE	16	/* more than a line: a shorter read is complete */

RING_FIXTURE(stream) {
	enum stream_kind kind;
};

FIXTURE_VARIANT_ADD(stream, pipe) { PIPE };
FIXTURE_VARIANT_ADD(stream, socket) { SOCKET };
FIXTURE_VARIANT_ADD(stream, eventfd) { EVENTFD };
FIXTURE_VARIANT_ADD(stream, terminal) { PTY };

TEST_F_TIMEOUT(stream, read_waits_for_data, LIMIT)
{
	static const __u64 offs[] = { 0, CUR_POS };
	struct iouring2_cqe cqe;
	unsigned int async, o;
	struct ring r;
	int fd[2];

	if (stream_open(variant->kind, fd))
		SKIP(return, "cannot open such a file");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		for (o = 0; o < ARRAY_SIZE(offs); o++) {
			/* There is no data: the read waits */
			memset(buf, 0, 16);
			queue(&r, IOURING2_OP_READ, fd[0], buf, MORE,
			      offs[o], async);
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
							NSEC_PER_MSEC));
			EXPECT_EQ(8, write(fd[1], line, 8));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(8, cqe.res);
			EXPECT_EQ(0, memcmp(buf, line, 8));
			/*
			 * Write and read through the ring, with the file ready
			 */
			EXPECT_EQ(8, one(&r, IOURING2_OP_WRITE, fd[1],
					 line, 8, offs[o], async));
			memset(buf, 0, 16);
			EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd[0],
					 buf, MORE, offs[o], async));
			EXPECT_EQ(0, memcmp(buf, line, 8));
		}
	}
	close(fd[0]);
	close(fd[1]);
	ring_exit(&r);
}

/*
 * A read completes while no task enters the kernel: the application only looks
 * at the CQ. A read of a terminal depends on the task that reads. It waits for
 * the next ENTER, and the ring's flags say so.
 */
TEST_F_TIMEOUT(stream, progress_without_entering, LIMIT)
{
	struct iouring2_cqe cqe;
	unsigned int async;
	struct ring r;
	int fd[2];

	if (stream_open(variant->kind, fd))
		SKIP(return, "cannot open such a file");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		queue(&r, IOURING2_OP_READ, fd[0], buf, 8, 0, async);
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_FALSE(ring_peek(&r, &cqe));
		EXPECT_EQ(8, write(fd[1], line, 8));
		if (variant->kind == PTY) {
			EXPECT_TRUE(until(*r.sq_flags &
					  IOURING2_SQ_TASKRUN));
			EXPECT_FALSE(ring_peek(&r, &cqe));
			EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
		}
		EXPECT_TRUE(until(ring_peek(&r, &cqe)));
		EXPECT_EQ(8, cqe.res);
		EXPECT_FALSE(*r.sq_flags & IOURING2_SQ_TASKRUN);
	}
	close(fd[0]);
	close(fd[1]);
	ring_exit(&r);
}

RING_FIXTURE(ready) {
	bool socket;	/* else a file in memory */
};

FIXTURE_VARIANT_ADD(ready, socket) { true };
FIXTURE_VARIANT_ADD(ready, memory) { false };

/*
 * On every kernel, the submitter itself reads what is there. No worker is made
 * for the read.
 */
TEST_F_TIMEOUT(ready, tried_at_once, LIMIT)
{
	int fd[2] = { -1, -1 };
	struct ring r;

	if (variant->socket) {
		ASSERT_EQ(0, stream_open(SOCKET, fd));
	} else {
		fd[0] = syscall(SYS_memfd_create, "ready", MFD_CLOEXEC);
		ASSERT_LE(0, fd[0]);
	}
	ASSERT_EQ(8, write(fd[variant->socket], line, 8));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd[0], buf, 8, 0, 0));
	EXPECT_EQ(0, memcmp(buf, line, 8));
	EXPECT_EQ(0, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

/* A directory is synced while no task is in ENTER */
RING_TEST(directory_synced)
{
	struct __kernel_timespec ts = ts_ns(5 * NSEC_PER_MSEC);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	char path[200];
	struct ring r;
	int dir;

	tmp_path(path, sizeof(path), "directory");
	ASSERT_NE(NULL, mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 0, 0);
	sqe->flags = IOURING2_SQE_IO_HARDLINK;
	queue(&r, IOURING2_OP_FSYNC, dir, NULL, 0, 0, 0);
	EXPECT_EQ(2, ring_submit(&r));
	EXPECT_TRUE(until(ring_peek(&r, &cqe)));
	EXPECT_EQ(-ETIME, cqe.res);
	EXPECT_TRUE(until(ring_peek(&r, &cqe)));
	EXPECT_EQ(0, cqe.res);
	ring_exit(&r);
	close(dir);
	rmdir(path);
}

/*
 * Wait for the parent's read. The child's own copy of the buffer must stay
 * empty.
 */
static void child_waits(struct ring *r, int to)
{
	struct iouring2_cqe cqe;

	if (write(to, "+", 1) != 1 || ring_wait(r, &cqe) || cqe.res != 8)
		_exit(1);
	_exit(buf[0] ? 2 : 0);
}

/*
 * Another process that shares the ring finds the file ready. The file is a
 * socket, because on every kernel any task can try it without blocking.
 */
RING_TEST(progress_by_another_process)
{
	int msg[2], fd[2], i, status;
	struct ring r;
	char c;

	ASSERT_EQ(0, pipe2(msg, O_CLOEXEC));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, stream_open(SOCKET, fd));
		memset(buf, 0, 8);
		if (!fork())
			child_waits(&r, msg[1]);
		ASSERT_EQ(1, read(msg[0], &c, 1));
		usleep(20000);
		queue(&r, IOURING2_OP_READ, fd[0], buf, 8, 0, 0);
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_EQ(8, write(fd[1], line, 8));
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, memcmp(buf, line, 8));
		ring_exit(&r);
		close(fd[0]);
		close(fd[1]);
	}
	close(msg[0]);
	close(msg[1]);
}

/* The request holds the file, even if the descriptor is closed or reused */
RING_TEST(descriptor_closed_meanwhile)
{
	struct iouring2_cqe cqe;
	unsigned int async;
	struct ring r;
	int fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		memset(buf, 0, 8);
		queue(&r, IOURING2_OP_READ, fd[0], buf, 8, 0, async);
		EXPECT_EQ(1, ring_submit(&r));
		close(fd[0]);
		/* Another file gets the same descriptor */
		EXPECT_EQ(fd[0], fcntl(fd[1], F_DUPFD, fd[0]));
		EXPECT_EQ(8, write(fd[1], line, 8));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(8, cqe.res);
		EXPECT_EQ(0, memcmp(buf, line, 8));
		close(fd[0]);
		close(fd[1]);
	}
	EXPECT_EQ(self->before.counter[5], counter("files"));
	ring_exit(&r);
}

/*
 * A read that has the last reference to fd[0]. Return: "", or what was wrong.
 */
static const char *read_last(struct ring *r, int fd[2])
{
	struct iouring2_cqe cqe;
	bool gone;

	prep_read(ring_sqe(r), fd[0], buf, 1, 0);
	if (ring_submit(r) != 1)
		return "cannot submit";
	close(fd[0]);
	if (write(fd[1], line, 1) != 1)
		return "cannot write";
	while (!ring_ready(r))
		sched_yield();
	gone = hung_up(fd[1]);
	close(fd[1]);
	if (!ring_peek(r, &cqe) || cqe.res != 1)
		return "wrong result";
	return gone ? "" : "the file was open after the CQE";
}

/*
 * By the time that a completion can be seen, the file reference of its request
 * has been dropped
 */
RING_TEST(file_goes_first)
{
	struct ring r;
	int i, fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		/*
		 * No task is in ENTER: the kernel executes the read by itself
		 */
		EXPECT_STREQ("", read_last(&r, fd)) {
			TH_LOG("round %d", i);
		}
	}
	ring_exit(&r);
}

struct in_enter {
	pthread_t self;
	pid_t tid;
	int fd, ret;
};

static void *wait_in_enter(void *arg)
{
	struct in_enter *w = arg;

	st_rel(&w->tid, gettid());
	w->ret = enter(w->fd, 0, UINT_MAX, GETEVENTS, NULL, 0);
	return NULL;
}

/* The same where a task in ENTER executes the read, and continues to wait */
RING_TEST(file_goes_first_in_enter)
{
	struct __kernel_timespec soon = ts_ns(NSEC_PER_MSEC);
	struct in_enter w = {};
	struct ring r;
	int i, fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	w.fd = r.fd;
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_enter, &w));
	ASSERT_TRUE(until(ld_acq(&w.tid) && task_waits(w.tid)));
	for (i = 0; i < 30; i++) {
		/* on every kernel, a socket can be read without a worker */
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					fd));
		EXPECT_STREQ("", read_last(&r, fd)) {
			TH_LOG("round %d", i);
		}
	}
	/* an expired timeout ends every wait */
	prep_timeout(ring_sqe(&r), &soon, 0, 0);
	ASSERT_EQ(1, ring_submit(&r));
	pthread_join(w.self, NULL);
	EXPECT_EQ(0, w.ret);
	ring_exit(&r);
}

#define LINKS	4	/* the last request of the chain is a NOP */

/*
 * A read that waits, followed by linked reads of fd[], each with the last
 * reference to its file
 */
static int chain_of_last(struct ring *r, int held, int fd[][2],
			 unsigned int flags)
{
	struct iouring2_sqe *sqe;
	int i;

	queue(r, IOURING2_OP_READ, held, buf, 1, 0, LINK | flags)->user_data = 0;
	for (i = 1; i < LINKS; i++) {
		if (pipe2(fd[i], O_CLOEXEC))
			return -errno;
		queue(r, IOURING2_OP_READ, fd[i][0], buf, 1, 0, LINK)
			->user_data = i;
	}
	sqe = ring_sqe(r);
	prep_nop(sqe);
	sqe->user_data = LINKS;
	if (ring_submit(r) != LINKS + 1)
		return -EPROTO;
	for (i = 1; i < LINKS; i++)
		close(fd[i][0]);
	/* a task in ENTER breaks the chain */
	sqe = ring_sqe(r);
	prep_cancel(sqe, 0, 0);
	sqe->user_data = LINKS + 1;
	ring_publish(r);
	return enter(r->fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -EPROTO;
}

/*
 * The CQEs of a chain that breaks keep their order. Requests that never started
 * hold no file.
 */
RING_TEST(broken_chain)
{
	int held[2], fd[LINKS][2], i, j;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pipe2(held, O_CLOEXEC));
	for (i = 0; i < 150; i++) {
		ASSERT_EQ(0, chain_of_last(&r, held[0], fd, 0));
		for (j = 0; j <= LINKS; ) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			if (cqe.user_data == LINKS + 1)
				continue;
			EXPECT_EQ(j, (int)cqe.user_data);
			EXPECT_EQ(-ECANCELED, cqe.res);
			if (j && j < LINKS) {
				EXPECT_TRUE(hung_up(fd[j][1])) {
					TH_LOG("round %d, %d", i, j);
				}
				close(fd[j][1]);
			}
			j++;
		}
		while (ring_peek(&r, &cqe))
			;
	}
	close(held[0]);
	close(held[1]);
	ring_exit(&r);
}

/* In a chain with CQE_SKIP_SUCCESS, only the failed request posts a CQE */
RING_TEST(files_of_silent_links)
{
	int held[2], fd[LINKS][2], i, nr;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pipe2(held, O_CLOEXEC));
	ASSERT_EQ(0, chain_of_last(&r, held[0], fd,
				   IOURING2_SQE_CQE_SKIP_SUCCESS));
	EXPECT_TRUE(until(!fdinfo(r.fd, "Inflight")));
	for (nr = 0; ring_peek(&r, &cqe); nr++) {
		/* the cancellation posts that it has found its request */
		EXPECT_TRUE(cqe.user_data == LINKS + 1 || !cqe.user_data);
		EXPECT_EQ(cqe.user_data ? 0 : -ECANCELED, cqe.res);
	}
	EXPECT_EQ(2, nr);
	for (i = 1; i < LINKS; i++) {
		EXPECT_TRUE(hung_up(fd[i][1]));
		close(fd[i][1]);
	}
	close(held[0]);
	close(held[1]);
	ring_exit(&r);
}

/*
 * A request drops the last reference to a file, in a task that then waits for a
 * request that only the close of this file ends. Round 0 drops it before ENTER
 * waits, round 1 during the wait.
 */
RING_TEST(last_reference)
{
	struct iouring2_cqe cqe;
	char in[2], byte;
	int s[2], round;
	struct ring r;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					s));
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		/* Request 1 is the only user of s[0] */
		prep_read(ring_sqe(&r), s[0], &byte, 1, 0);
		r.sqes[0].user_data = 1;
		EXPECT_EQ(1, ring_submit(&r));
		close(s[0]);
		/*
		 * Request 2 ends when s[0] is closed; 3 ends 1, which then
		 * closes s[0]
		 */
		prep_read(ring_sqe(&r), s[1], in, 1, 0);
		r.sqes[1].user_data = 2;
		prep_write(ring_sqe(&r), s[1], "x", 1, 0);
		r.sqes[2].user_data = 3;
		if (round) {
			EXPECT_EQ(2, ring_submit(&r));
			EXPECT_EQ(0, enter_timeout(r.fd, 0, 3,
						   20 * NSEC_PER_SEC));
		} else {
			ring_publish(&r);
			EXPECT_EQ(2, enter(r.fd, 2, 3, GETEVENTS, NULL, 0));
		}
		EXPECT_EQ(3, (int)ring_ready(&r));
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(1, cqe.res);
		ASSERT_EQ(0, ring_take(&r, 3, &cqe));
		EXPECT_EQ(1, cqe.res);
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		EXPECT_TRUE(cqe.res == 0 || cqe.res == -ECONNRESET);
		ring_exit(&r);
		close(s[1]);
	}
}

static int queue_signal(struct ring *r, int fd, struct signalfd_siginfo *info,
			unsigned int flags)
{
	memset(info, 0, sizeof(*info));
	queue(r, IOURING2_OP_READ, fd, info, sizeof(*info), 0, flags);
	return ring_submit(r);
}

/* A signalfd is read only by its submitter, whose signals it reports */
RING_TEST(signals)
{
	struct signalfd_siginfo info;
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i;

	fd = signals_open(SIGUSR1, SFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* the signal is there before the read */
	EXPECT_EQ(0, kill(getpid(), SIGUSR1));
	EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(sizeof(info), cqe.res);
	EXPECT_EQ(SIGUSR1, (int)info.ssi_signo);
	/*
	 * the signal comes later, with no task in ENTER: the next task in ENTER
	 * reads it
	 */
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
		EXPECT_EQ(0, kill(getpid(), SIGUSR1));
		usleep(i * 2000);
		EXPECT_EQ(0, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_SEC));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(sizeof(info), cqe.res);
		EXPECT_EQ(SIGUSR1, (int)info.ssi_signo);
	}
	/* a worker must not read it, as it would wait for its own signals */
	EXPECT_EQ(1, queue_signal(&r, fd, &info, ASYNC));
	EXPECT_EQ(0, kill(getpid(), SIGUSR1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(sizeof(info), cqe.res);
	/*
	 * a read that waits is cancelled, and another one waits when the ring
	 * is closed
	 */
	EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
	prep_cancel(ring_sqe(&r), 0, 0);
	r.sqes[(r.sqe_tail - 1) & *r.sq_mask].user_data = 9;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_take(&r, 9, &cqe));
	EXPECT_EQ(0, cqe.res);
	ASSERT_EQ(0, ring_take(&r, 0, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
	EXPECT_EQ(0, kill(getpid(), SIGUSR1));
	usleep(20000);
	ring_exit(&r);
	close(fd);
}

/*
 * A kernel thread finds that it cannot execute the read. A task that gets into
 * ENTER at that moment must be told to execute it.
 */
RING_TEST(signals_in_a_hurry)
{
	struct signalfd_siginfo info;
	struct iouring2_cqe cqe;
	long long until_ns;
	struct ring r;
	int fd, i;

	fd = signals_open(SIGUSR1, SFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 500; i++) {
		EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
		EXPECT_EQ(0, kill(getpid(), SIGUSR1));
		until_ns = now_ns(CLOCK_MONOTONIC) + i % 100 * 3000;
		while (now_ns(CLOCK_MONOTONIC) < until_ns)
			;
		ASSERT_EQ(0, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_SEC)) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(sizeof(info), cqe.res);
	}
	ring_exit(&r);
	close(fd);
}

/*
 * A worker does not read a blocking signalfd either, whether or not a signal is
 * there
 */
RING_TEST(signals_of_one_that_blocks)
{
	struct signalfd_siginfo info;
	struct iouring2_cqe cqe;
	struct ring r;
	int fd;

	fd = signals_open(SIGUSR1, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(0, kill(getpid(), SIGUSR1));
	EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(sizeof(info), cqe.res);
	EXPECT_EQ(SIGUSR1, (int)info.ssi_signo);
	EXPECT_EQ(1, queue_signal(&r, fd, &info, 0));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	EXPECT_EQ(0, kill(getpid(), SIGUSR1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(sizeof(info), cqe.res);
	EXPECT_EQ(SIGUSR1, (int)info.ssi_signo);
	ring_exit(&r);
	close(fd);
}

/* A write to a full pipe: the bytes that do not fit wait, and none is lost */
RING_TEST(full_pipe)
{
	struct iouring2_cqe cqe;
	unsigned int async;
	int fd[2], total, sum = 0;
	ssize_t n;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		total = fcntl(fd[1], F_GETPIPE_SZ);
		fill(want, total + 5000, 3);
		ASSERT_EQ(total, write(fd[1], want, total));
		queue(&r, IOURING2_OP_WRITE, fd[1], want + total, 5000, 0,
		      async);
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
		for (sum = 0; sum < total; sum += n) {
			n = read(fd[0], buf + sum, total - sum);
			ASSERT_LT(0, n);
		}
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_LT(0, cqe.res);
		EXPECT_GE(5000, cqe.res);
		close(fd[1]);
		while ((n = read(fd[0], buf + sum, 5000)) > 0)
			sum += n;
		EXPECT_EQ(total + cqe.res, sum);
		EXPECT_EQ(0, memcmp(buf, want, sum));
		close(fd[0]);
	}
	ring_exit(&r);
}

RING_TEST(broken_pipe)
{
	unsigned int async;
	struct ring r;
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		close(fd[0]);
		EXPECT_EQ(-EPIPE, one(&r, IOURING2_OP_WRITE, fd[1], line, 8, 0,
				      async));
		close(fd[1]);
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		close(fd[1]);
		EXPECT_EQ(0, one(&r, IOURING2_OP_READ, fd[0], buf, 8, 0,
				 async));
		close(fd[0]);
	}
	ring_exit(&r);
}

/* A read with RWF_NOWAIT does not wait */
RING_TEST(nonblocking)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int async;
	int fd[2], kind, flag;
	struct ring r;

	for (kind = 0; kind < NR_STREAMS; kind++) {
		for (async = 0; async <= ASYNC; async += ASYNC) {
			for (flag = 0; flag < 2; flag++) {
				struct iovec iov = { buf, 8 };
				int ret;

				if (stream_open(kind, fd))
					continue;
				ASSERT_EQ(0, ring_init(&r, 8, 0));
				/*
				 * Either the file is non-blocking, or the
				 * request has RWF_NOWAIT
				 */
				if (!flag)
					fcntl(fd[0], F_SETFL, O_NONBLOCK);
				sqe = queue(&r, IOURING2_OP_READ, fd[0], buf, 8,
					    CUR_POS, async);
				if (!flag) {
					/* waits, as in the newest io_uring */
					EXPECT_EQ(1, ring_submit(&r));
					EXPECT_EQ(8, write(fd[1], "1234567\n",
							   8));
					EXPECT_EQ(0, ring_wait(&r, &cqe));
					EXPECT_EQ(8, cqe.res) {
						TH_LOG("%s, O_NONBLOCK",
						       stream_names[kind]);
					}
					goto next;
				}
				ret = preadv2(fd[0], &iov, 1, -1, RWF_NOWAIT);
				sqe->rw_flags = RWF_NOWAIT;
				EXPECT_EQ(ret < 0 ? -errno : ret, ring_do(&r)) {
					TH_LOG("%s, RWF_NOWAIT",
					       stream_names[kind]);
				}
next:
				ring_exit(&r);
				close(fd[0]);
				close(fd[1]);
			}
		}
	}
}

/* --------------------------------------------------------- a busy device */

#define TAGS_NR	16

/*
 * A device that executes one request at a time answers EAGAIN to the others if
 * they must not wait. The module then waits in workers, so the application sees
 * no EAGAIN. The blocks are not adjacent, so that they are not merged.
 */
RING_TEST(device_is_busy)
{
	static _Alignas(4096) char blocks[TAGS_NR * 4096];
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i;

	fd = slow_disk(2);
	if (fd < 0)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, ring_init(&r, TAGS_NR, 0));
	for (i = 0; i < TAGS_NR; i++) {
		prep_read(ring_sqe(&r), fd, blocks + i * 4096, 4096,
			  (__u64)i * 65536);
		r.sqes[i].user_data = i;
	}
	EXPECT_EQ(TAGS_NR, ring_submit(&r));
	for (i = 0; i < TAGS_NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(4096, cqe.res);
	}
	ring_exit(&r);
	EXPECT_EQ(0, slow_disk_close(fd));
}

/* ---------------------------------------------------------- idle workers */

/*
 * An idle worker is woken for the next request; it does not wait until its idle
 * time is over
 */
RING_TEST(idle_worker_is_woken)
{
	int fd = tmp_file(4096), i;
	long long begin;
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd, buf, 8, 0, ASYNC));
	begin = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < 5; i++) {
		usleep(100000);
		EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd, buf, 8, 0, ASYNC));
	}
	/* without the wake-ups, this would take 5 times 5 s */
	EXPECT_GT(12, (now_ns(CLOCK_MONOTONIC) - begin) / NSEC_PER_SEC);
	ring_exit(&r);
	close(fd);
}

#define BUSY	4

/*
 * Of each class of workers, all but the last one end after some idle seconds,
 * and the last one still works.
 */
RING_TEST(idle_workers_end)
{
	struct absent a[BUSY];
	struct iouring2_cqe cqe;
	int fifo[BUSY], i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/*
	 * A FIFO cannot be read without blocking, so each has a worker. A page
	 * that is missing keeps the worker busy.
	 */
	for (i = 0; i < BUSY; i++) {
		if (absent_make(&a[i]))
			SKIP(return, "no userfaultfd");
		fifo[i] = tmp_fifo();
		ASSERT_LE(0, fifo[i]);
		ASSERT_EQ(1, write(fifo[i], "x", 1));
		queue(&r, IOURING2_OP_READ, fifo[i], a[i].page, 1, 0, ASYNC);
	}
	EXPECT_EQ(BUSY, ring_submit(&r));
	EXPECT_TRUE(until(fdinfo(r.fd, "Workers") >= BUSY));
	for (i = 0; i < BUSY; i++) {
		EXPECT_TRUE(absent_wanted(&a[i], 30000));
		EXPECT_LE(BUSY - i, fdinfo(r.fd, "Workers"));
		EXPECT_EQ(0, absent_provide(&a[i]));
	}
	for (i = 0; i < BUSY; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(1, cqe.res);
	}
	/*
	 * one worker of each class remains; the others have ended and been
	 * freed
	 */
	EXPECT_TRUE(until(fdinfo(r.fd, "Workers") <= 2));
	EXPECT_TRUE(until(counter("workers") - self->before.counter[2] ==
			  fdinfo(r.fd, "Workers")));
	EXPECT_EQ(1, one(&r, IOURING2_OP_WRITE, fifo[0], "z", 1, 0, ASYNC));
	/* the last one does not end, even after more than 5 s */
	EXPECT_LE(1, fdinfo(r.fd, "Workers"));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 7 * NSEC_PER_SEC));
	EXPECT_LE(1, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	for (i = 0; i < BUSY; i++) {
		absent_free(&a[i]);
		close(fifo[i]);
	}
}

RING_TEST_MAIN
