// SPDX-License-Identifier: GPL-2.0
/*
 * READ, WRITE, READV, WRITEV and FSYNC give what the system calls give, on
 * every kind of file, whether they complete at once, after waiting for the
 * file, or in a worker (section 4 of the design: a worker has the submitter's
 * memory, credentials and limits). Data is compared byte by byte.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define ASYNC	IOURING2_SQE_ASYNC
#define CUR_POS	((__u64)-1)
#define BIG	1048576

static char buf[BIG + 4096], want[BIG + 4096];

static void fill(char *p, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern_byte(i + 131 * seed);
}

/* One request and its result */
static int one(struct ring *r, int op, int fd, const void *addr,
	       unsigned int len, __u64 off, unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, op, fd, addr, len, off);
	sqe->flags = flags;
	return ring_do(r);
}

/* -------------------------------------------------- directories and files */

/* One directory of each file system there is to write to */
static const char *dirs[5];

static int find_dirs(void)
{
	const char * const try[] = {
		getenv("IOURING2_TESTDIR"), getenv("TMPDIR"), "/tmp",
		"/scratch", "/var/tmp", "/dev/shm",
	};
	dev_t devs[5];
	struct stat st;
	unsigned int i, j, nr = 0;

	for (i = 0; i < ARRAY_SIZE(try) && nr < 5; i++) {
		if (!try[i] || stat(try[i], &st) || access(try[i], W_OK))
			continue;
		for (j = 0; j < nr; j++)
			if (devs[j] == st.st_dev)
				break;
		if (j < nr)
			continue;
		devs[nr] = st.st_dev;
		dirs[nr++] = try[i];
	}
	return nr;
}

static int file_in(const char *dir, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/iouring2-rw-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC | flags);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static const unsigned int lengths[] = { 1, 100, 4095, 4096, 4097, 65536, BIG };

RING_TEST(files)
{
	unsigned int d, l, async, len, off;
	int fd, nr = find_dirs();
	struct iovec iov[3];
	struct ring r;

	ASSERT_LT(0, nr);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (d = 0; (int)d < nr; d++) {
		TH_LOG("%s", dirs[d]);
		for (async = 0; async <= ASYNC; async += ASYNC) {
			fd = file_in(dirs[d], O_RDWR);
			ASSERT_LE(0, fd);
			for (l = 0; l < ARRAY_SIZE(lengths); l++) {
				len = lengths[l];
				off = l * 777;
				fill(want, len, l);
				EXPECT_EQ((int)len,
					  one(&r, IOURING2_OP_WRITE, fd, want,
					      len, off, async));
				memset(buf, 0, len);
				EXPECT_EQ((int)len,
					  one(&r, IOURING2_OP_READ, fd, buf,
					      len, off, async));
				EXPECT_EQ(0, memcmp(buf, want, len)) {
					TH_LOG("READ of %u at %u", len, off);
				}
				/* Not only through the same door */
				memset(buf, 0, len);
				EXPECT_EQ((ssize_t)len,
					  pread(fd, buf, len, off));
				EXPECT_EQ(0, memcmp(buf, want, len));

				/* Gathered from and scattered to three places */
				fill(want, len, l + 50);
				iov[0].iov_base = want;
				iov[0].iov_len = len / 3;
				iov[1].iov_base = want + len / 3;
				iov[1].iov_len = 0;
				iov[2].iov_base = want + len / 3;
				iov[2].iov_len = len - len / 3;
				EXPECT_EQ((int)len,
					  one(&r, IOURING2_OP_WRITEV, fd, iov,
					      3, off, async));
				memset(buf, 0, len);
				iov[0].iov_base = buf;
				iov[0].iov_len = len / 2;
				iov[1].iov_base = buf + len / 2;
				iov[1].iov_len = len - len / 2;
				EXPECT_EQ((int)len,
					  one(&r, IOURING2_OP_READV, fd, iov,
					      2, off, async));
				EXPECT_EQ(0, memcmp(buf, want, len)) {
					TH_LOG("READV of %u at %u", len, off);
				}
			}
			EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
			EXPECT_EQ(0, one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
					 async));
			close(fd);
		}
	}
	EXPECT_EQ(0, counter("files") - self->before.counter[5]);
	ring_exit(&r);
}

RING_TEST(direct_io)
{
	unsigned int d, async, done = 0;
	int fd, nr = find_dirs();
	char *mem, *src;
	struct ring r;

	mem = aligned_alloc(4096, 65536);
	src = aligned_alloc(4096, 65536);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (d = 0; (int)d < nr; d++) {
		fd = file_in(dirs[d], O_RDWR | O_DIRECT);
		if (fd < 0)
			continue;
		for (async = 0; async <= ASYNC; async += ASYNC) {
			fill(src, 65536, async);
			if (pwrite(fd, src, 65536, 0) != 65536)
				break;
			done++;
			fill(src, 65536, async + 1);
			EXPECT_EQ(65536, one(&r, IOURING2_OP_WRITE, fd, src,
					     65536, 0, async)) {
				TH_LOG("%s", dirs[d]);
			}
			memset(mem, 0, 65536);
			EXPECT_EQ(65536, one(&r, IOURING2_OP_READ, fd, mem,
					     65536, 0, async)) {
				TH_LOG("%s", dirs[d]);
			}
			EXPECT_EQ(0, memcmp(mem, src, 65536));
			/* Part of it, and what the file system refuses */
			EXPECT_EQ(4096, one(&r, IOURING2_OP_READ, fd, mem,
					    8192, 65536 - 4096, async));
			EXPECT_EQ(pread(fd, mem + 1, 4096, 0) < 0 ? -errno :
				  4096,
				  one(&r, IOURING2_OP_READ, fd, mem + 1, 4096,
				      0, async));
		}
		close(fd);
	}
	ring_exit(&r);
	free(mem);
	free(src);
	if (!done)
		SKIP(return, "no file system here takes O_DIRECT");
}

/* ------------------------------------------------------------- positions */

RING_TEST(file_position)
{
	unsigned int async;
	struct iovec iov;
	struct ring r;
	int fd;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		fd = tmp_file(1000);
		ASSERT_LE(0, fd);
		fill(want, 1000, 0);
		/* -1: read on from where the file is, and move it */
		EXPECT_EQ(100, one(&r, IOURING2_OP_READ, fd, buf, 100, CUR_POS,
				   async));
		EXPECT_EQ(100, lseek(fd, 0, SEEK_CUR));
		EXPECT_EQ(0, memcmp(buf, want, 100));
		EXPECT_EQ(100, one(&r, IOURING2_OP_READ, fd, buf, 100, CUR_POS,
				   async));
		EXPECT_EQ(200, lseek(fd, 0, SEEK_CUR));
		EXPECT_EQ(0, memcmp(buf, want + 100, 100));
		iov.iov_base = buf;
		iov.iov_len = 50;
		EXPECT_EQ(50, one(&r, IOURING2_OP_READV, fd, &iov, 1, CUR_POS,
				  async));
		EXPECT_EQ(0, memcmp(buf, want + 200, 50));
		/* An offset: leave it where it is */
		EXPECT_EQ(100, one(&r, IOURING2_OP_READ, fd, buf, 100, 700,
				   async));
		EXPECT_EQ(0, memcmp(buf, want + 700, 100));
		EXPECT_EQ(250, lseek(fd, 0, SEEK_CUR));
		EXPECT_EQ(10, one(&r, IOURING2_OP_WRITE, fd, "0123456789", 10,
				  CUR_POS, async));
		EXPECT_EQ(260, lseek(fd, 0, SEEK_CUR));
		EXPECT_EQ(10, one(&r, IOURING2_OP_WRITE, fd, "abcdefghij", 10,
				  0, async));
		EXPECT_EQ(260, lseek(fd, 0, SEEK_CUR));
		EXPECT_EQ(10, pread(fd, buf, 10, 250));
		EXPECT_EQ(0, memcmp(buf, "0123456789", 10));
		/* The end: 0, again and again, also far behind it */
		EXPECT_EQ(0, one(&r, IOURING2_OP_READ, fd, buf, 100, 1000,
				 async));
		EXPECT_EQ(0, one(&r, IOURING2_OP_READ, fd, buf, 100, 1UL << 40,
				 async));
		EXPECT_EQ(1, one(&r, IOURING2_OP_READ, fd, buf, 100, 999,
				 async));
		EXPECT_EQ(0, one(&r, IOURING2_OP_READ, fd, buf, 0, 0, async));
		EXPECT_EQ(0, one(&r, IOURING2_OP_WRITE, fd, buf, 0, 0, async));
		close(fd);
	}
	ring_exit(&r);
}

RING_TEST(append)
{
	unsigned int async;
	struct iouring2_sqe *sqe;
	struct stat st;
	struct ring r;
	int fd;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		fd = tmp_file(10);
		ASSERT_LE(0, fd);
		/* The flag of the request */
		sqe = ring_sqe(&r);
		prep_write(sqe, fd, "one", 3, 0);
		sqe->rw_flags = RWF_APPEND;
		sqe->flags = async;
		EXPECT_EQ(3, ring_do(&r));
		EXPECT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(13, (int)st.st_size);
		/* The flag of the file */
		EXPECT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
		EXPECT_EQ(3, one(&r, IOURING2_OP_WRITE, fd, "two", 3, 0,
				 async));
		EXPECT_EQ(5, one(&r, IOURING2_OP_WRITE, fd, "three", 5,
				 CUR_POS, async));
		EXPECT_EQ(11, pread(fd, buf, 100, 10));
		EXPECT_EQ(0, memcmp(buf, "onetwothree", 11));
		close(fd);
	}
	ring_exit(&r);
}

/* Buffered writes of one file, all in workers: none is torn or lost */
RING_TEST(parallel_appends)
{
	enum { NR = 64, LEN = 100 };
	static char recs[NR][LEN];
	unsigned char seen[NR] = { };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i, j;

	fd = tmp_file(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
	ASSERT_EQ(0, ring_init(&r, NR, 0));
	for (i = 0; i < NR; i++) {
		memset(recs[i], i + 1, LEN);
		sqe = ring_sqe(&r);
		prep_write(sqe, fd, recs[i], LEN, 0);
		sqe->flags = ASYNC;
	}
	EXPECT_EQ(NR, ring_submit(&r));
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(LEN, cqe.res);
	}
	EXPECT_EQ(NR * LEN, pread(fd, buf, sizeof(buf), 0));
	for (i = 0; i < NR; i++) {
		j = buf[i * LEN] - 1;
		ASSERT_TRUE(j >= 0 && j < NR && !seen[j]++);
		EXPECT_EQ(0, memcmp(buf + i * LEN, recs[j], LEN));
	}
	close(fd);
	ring_exit(&r);
}

/* Many at once, of every kind, through a CQ smaller than they are */
RING_TEST(parallel_reads)
{
	enum { NR = 256, SIZE = 1 << 20, LEN = 1500 };
	static char out[NR][LEN];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int seed = 1, off[NR], i, j;
	int fd, got = 0, ret, queued = 0;
	struct ring r;

	fd = tmp_file(SIZE);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 8));
	for (i = 0; i < NR; i++)
		off[i] = rand_r(&seed) % (SIZE - LEN);
	while (got < NR) {
		while (queued < NR && (sqe = ring_sqe(&r))) {
			prep_read(sqe, fd, out[queued], LEN, off[queued]);
			sqe->user_data = queued;
			sqe->flags = queued % 3 ? 0 : ASYNC;
			queued++;
		}
		ret = ring_submit(&r);
		ASSERT_TRUE(ret >= 0 || ret == -EBUSY);
		while (ring_peek(&r, &cqe)) {
			EXPECT_EQ(LEN, cqe.res);
			got++;
		}
		if (ret == -EBUSY || queued == NR)
			EXPECT_EQ(0, enter(r.fd, 0, 0,
					   IOURING2_ENTER_GETEVENTS, NULL, 0));
	}
	for (i = 0; i < NR; i++)
		for (j = 0; j < LEN; j++)
			ASSERT_EQ(pattern_byte(off[i] + j),
				  (unsigned char)out[i][j]);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	close(fd);
	ring_exit(&r);
}

/* ------------------------------------------------------ files that wait */

enum stream_kind { PIPE, SOCKET, EVENTFD, PTY, NR_STREAMS };

static const char * const stream_names[NR_STREAMS] = {
	"pipe", "socket", "eventfd", "terminal",
};

/* fd[0] to read from, fd[1] to write to */
static int stream_open(enum stream_kind kind, int fd[2])
{
	char *name;

	switch (kind) {
	case PIPE:
		return pipe2(fd, O_CLOEXEC);
	case SOCKET:
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd);
	case EVENTFD:
		fd[0] = eventfd(0, EFD_CLOEXEC);
		fd[1] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
		return fd[0] < 0 || fd[1] < 0 ? -1 : 0;
	case PTY:
		fd[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd[1] < 0)
			return -1;
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
		return -1;
	default:
		return -1;
	}
}

static const char line[8] = "1234567\n";

RING_TEST(streams)
{
	static const __u64 offs[] = { 0, CUR_POS };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int async, o;
	struct ring r;
	int fd[2], kind;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (kind = 0; kind < NR_STREAMS; kind++) {
		if (stream_open(kind, fd)) {
			TH_LOG("no %s here", stream_names[kind]);
			continue;
		}
		for (async = 0; async <= ASYNC; async += ASYNC) {
			for (o = 0; o < ARRAY_SIZE(offs); o++) {
				/* Nothing there: it waits */
				memset(buf, 0, 16);
				sqe = ring_sqe(&r);
				prep_read(sqe, fd[0], buf, 8, offs[o]);
				sqe->flags = async;
				EXPECT_EQ(1, ring_submit(&r));
				EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
								NSEC_PER_MSEC));
				EXPECT_EQ(8, write(fd[1], line, 8));
				ASSERT_EQ(0, ring_wait(&r, &cqe)) {
					TH_LOG("%s", stream_names[kind]);
				}
				EXPECT_EQ(8, cqe.res) {
					TH_LOG("%s", stream_names[kind]);
				}
				EXPECT_EQ(0, memcmp(buf, line, 8));
				/* Through the ring both ways, and ready */
				EXPECT_EQ(8, one(&r, IOURING2_OP_WRITE, fd[1],
						 line, 8, offs[o], async));
				memset(buf, 0, 16);
				EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd[0],
						 buf, 8, offs[o], async)) {
					TH_LOG("%s", stream_names[kind]);
				}
				EXPECT_EQ(0, memcmp(buf, line, 8));
			}
		}
		close(fd[0]);
		close(fd[1]);
	}
	ring_exit(&r);
}

/* Completes while nobody is in the kernel: the CQ is all one looks at */
RING_TEST(progress_without_entering)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int async;
	struct ring r;
	int fd[2], kind;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (kind = 0; kind < NR_STREAMS; kind++) {
		if (stream_open(kind, fd))
			continue;
		for (async = 0; async <= ASYNC; async += ASYNC) {
			sqe = ring_sqe(&r);
			prep_read(sqe, fd[0], buf, 8, 0);
			sqe->flags = async;
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_FALSE(ring_peek(&r, &cqe));
			EXPECT_EQ(8, write(fd[1], line, 8));
			EXPECT_TRUE(until(ring_peek(&r, &cqe))) {
				TH_LOG("%s", stream_names[kind]);
			}
			EXPECT_EQ(8, cqe.res);
		}
		close(fd[0]);
		close(fd[1]);
	}
	ring_exit(&r);
}

/* The request has the file, whatever becomes of the descriptor */
RING_TEST(descriptor_closed_meanwhile)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int async;
	struct ring r;
	int fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		memset(buf, 0, 8);
		sqe = ring_sqe(&r);
		prep_read(sqe, fd[0], buf, 8, 0);
		sqe->flags = async;
		EXPECT_EQ(1, ring_submit(&r));
		close(fd[0]);
		/* Another file under the same number */
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

/* By the time that a completion is seen, its request's file is gone */
RING_TEST(file_goes_first)
{
	struct pollfd p = { .events = POLLOUT };
	struct iouring2_cqe cqe;
	struct ring r;
	int i, fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		prep_read(ring_sqe(&r), fd[0], buf, 1, 0);
		ASSERT_EQ(1, ring_submit(&r));
		close(fd[0]);
		ASSERT_EQ(1, write(fd[1], line, 1));
		/* Nobody enters: the kernel reads it by itself */
		while (!ring_ready(&r))
			sched_yield();
		p.fd = fd[1];
		EXPECT_EQ(1, poll(&p, 1, 0));
		EXPECT_TRUE(p.revents & POLLERR) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(1, cqe.res);
		close(fd[1]);
	}
	ring_exit(&r);
}

/* A pipe that is full: what does not fit waits, nothing is lost */
RING_TEST(full_pipe)
{
	struct iouring2_sqe *sqe;
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
		sqe = ring_sqe(&r);
		prep_write(sqe, fd[1], want + total, 5000, 0);
		sqe->flags = async;
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

/* Who asked not to wait does not wait */
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
				/* By the file's flag, or the request's */
				if (!flag)
					fcntl(fd[0], F_SETFL, O_NONBLOCK);
				sqe = ring_sqe(&r);
				prep_read(sqe, fd[0], buf, 8, CUR_POS);
				sqe->flags = async;
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

/* ---------------------------------------------------------------- iovecs */

static const struct iov_row {
	const char *name;
	unsigned int nr;
	bool read_ok;
	int res;	/* READV and WRITEV alike; 1: the number of iovecs */
} iov_rows[] = {
	{ "none", 0, true, 0 },
	{ "one", 1, true, 1 },
	{ "1024", 1024, true, 1 },
	{ "1025", 1025, false, -EINVAL },
	{ "2^31", 1U << 31, false, -EINVAL },
	{ "2^32-1", UINT_MAX, false, -EINVAL },
};

RING_TEST(iovec_counts)
{
	static struct iovec iov[1025];
	const struct iov_row *row;
	unsigned int i, async;
	struct ring r;
	int fd, want_res;

	fd = tmp_file(4096);
	ASSERT_LE(0, fd);
	fill(want, 4096, 0);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		for (i = 0; i < ARRAY_SIZE(iov_rows); i++) {
			unsigned int j;

			row = &iov_rows[i];
			memset(buf, 0, 4096);
			for (j = 0; j < ARRAY_SIZE(iov); j++) {
				iov[j].iov_base = buf + j;
				iov[j].iov_len = 1;
			}
			want_res = row->res == 1 ? (int)row->nr : row->res;
			EXPECT_EQ(want_res, one(&r, IOURING2_OP_READV, fd, iov,
						row->nr, 0, async)) {
				TH_LOG("READV, %s", row->name);
			}
			if (want_res > 0)
				EXPECT_EQ(0, memcmp(buf, want, want_res));
			EXPECT_EQ(want_res, one(&r, IOURING2_OP_WRITEV, fd,
						iov, row->nr, 0, async)) {
				TH_LOG("WRITEV, %s", row->name);
			}
		}
		/* An array or a length that is none */
		EXPECT_EQ(-EFAULT, one(&r, IOURING2_OP_READV, fd,
				       (void *)8, 1, 0, async));
		EXPECT_EQ(-EFAULT, one(&r, IOURING2_OP_WRITEV, fd,
				       (void *)-4096L, 2, 0, async));
		iov[0].iov_len = -1;
		EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_READV, fd, iov, 1, 0,
				       async));
		iov[0].iov_len = 1;
		iov[1].iov_len = SSIZE_MAX + 1UL;
		EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_WRITEV, fd, iov, 2, 0,
				       async));
		iov[1].iov_len = 1;
	}
	close(fd);
	ring_exit(&r);
}

/* FEAT_SUBMIT_STABLE: the array may go as soon as ENTER has returned */
RING_TEST(iovec_array_reused)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	static const unsigned int counts[] = { 1, 2, 8, 64, 1024 };
	static struct iovec iov[1024];
	unsigned int async, c, j;
	struct ring r;
	int fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_TRUE(r.setup.params.features & IOURING2_FEAT_SUBMIT_STABLE);
	for (async = 0; async <= ASYNC; async += ASYNC) {
		for (c = 0; c < ARRAY_SIZE(counts); c++) {
			ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
			memset(buf, 0, 4096);
			for (j = 0; j < counts[c]; j++) {
				iov[j].iov_base = buf + 2 * j;
				iov[j].iov_len = 2;
			}
			sqe = ring_sqe(&r);
			prep(sqe, IOURING2_OP_READV, fd[0], iov, counts[c], 0);
			sqe->flags = async;
			EXPECT_EQ(1, ring_submit(&r));
			memset(iov, 0xff, sizeof(iov));
			memset(sqe, 0xff, sizeof(*sqe));
			fill(want, 2 * counts[c], c);
			EXPECT_EQ((ssize_t)(2 * counts[c]),
				  write(fd[1], want, 2 * counts[c]));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ((int)(2 * counts[c]), cqe.res);
			EXPECT_EQ(0, memcmp(buf, want, 2 * counts[c]));
			close(fd[0]);
			close(fd[1]);
		}
	}
	ring_exit(&r);
}

/* ---------------------------------------------------------------- errors */

RING_TEST(refused)
{
	int ro, wo, dir, path, ep, full, async, p[2];
	struct iouring2_sqe *sqe;
	struct ring r, other;
	char *guard;

	ro = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	wo = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	path = open("/dev/null", O_PATH | O_CLOEXEC);
	full = open("/dev/full", O_RDWR | O_CLOEXEC);
	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	guard = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, guard);
	ASSERT_EQ(0, mprotect(guard + 4096, 4096, PROT_NONE));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_init(&other, 8, 0));

	for (async = 0; async <= (int)ASYNC; async += ASYNC) {
		int fd = tmp_file(8192);
		const struct {
			const char *name;
			int op, fd;
			void *addr;
			unsigned int len;
			__u64 off;
			int res;
		} rows[] = {
#define R IOURING2_OP_READ
#define W IOURING2_OP_WRITE
			{ "no such file", R, -1, buf, 8, 0, -EBADF },
			{ "no such file", W, 999999, buf, 8, 0, -EBADF },
			{ "O_PATH", R, path, buf, 8, 0, -EBADF },
			{ "not open for reading", R, wo, buf, 8, 0, -EBADF },
			{ "not open for writing", W, ro, buf, 8, 0, -EBADF },
			{ "wrong end of a pipe", R, p[1], buf, 8, 0, -EBADF },
			{ "wrong end of a pipe", W, p[0], buf, 8, 0, -EBADF },
			{ "not written", W, dir, buf, 8, 0, -EBADF },
			{ "not readable", R, ep, buf, 8, 0, -EINVAL },
			{ "no space", W, full, buf, 8, 0, -ENOSPC },
			{ "no memory there", R, fd, (void *)8, 8, 0, -EFAULT },
			{ "no memory there", W, fd, (void *)8, 8, 0, -EFAULT },
			{ "kernel memory", R, fd, (void *)-4096L, 8, 0,
			  -EFAULT },
			{ "hole", R, fd, guard + 4096, 4096, 0, -EFAULT },
			{ "hole", W, fd, guard + 4096, 4096, 0, -EFAULT },
			{ "negative offset", R, fd, buf, 8, -2ULL, -EINVAL },
			{ "negative offset", W, fd, buf, 8, -4096ULL,
			  -EINVAL },
			{ "another ring", R, other.fd, buf, 8, 0,
			  -EOPNOTSUPP },
			{ "another ring", W, other.fd, buf, 8, 0,
			  -EOPNOTSUPP },
			/* And two that are fine, to see that it can be */
			{ "zero", R, ro, buf, 8, 0, 8 },
			{ "null", W, wo, buf, 8, 0, 8 },
		};
		unsigned int i;

		ASSERT_LE(0, fd);
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			EXPECT_EQ(rows[i].res,
				  one(&r, rows[i].op, rows[i].fd, rows[i].addr,
				      rows[i].len, rows[i].off, async)) {
				TH_LOG("%s, opcode %d", rows[i].name,
				       rows[i].op);
			}
		}
		/* A directory: an error, which depends on the file system */
		EXPECT_GT(0, one(&r, R, dir, buf, 8, 0, async));
		/* As far as there is memory, as read(2) does */
		EXPECT_EQ(pread(fd, guard + 4000, 200, 0),
			  one(&r, R, fd, guard + 4000, 200, 0, async));
		/* Memory that may only be read */
		ASSERT_EQ(0, mprotect(guard + 8192, 4096, PROT_READ));
		EXPECT_EQ(-EFAULT, one(&r, R, fd, guard + 8192, 8, 0, async));
		EXPECT_EQ(8, one(&r, W, fd, guard + 8192, 8, 0, async));

		/* Fields and flags */
		sqe = ring_sqe(&r);
		prep_read(sqe, fd, buf, 8, 0);
		sqe->rw_flags = 1U << 30;
		sqe->flags = async;
		EXPECT_EQ(-EOPNOTSUPP, ring_do(&r));
		sqe = ring_sqe(&r);
		prep_read(sqe, fd, buf, 8, 0);
		sqe->ioprio = 7 << 13;
		sqe->flags = async;
		EXPECT_EQ(-EINVAL, ring_do(&r));
		/* Metadata, and streams of written data */
		sqe = ring_sqe(&r);
		prep_read(sqe, fd, buf, 8, 0);
		sqe->attr_type_mask = IOURING2_RW_ATTR_FLAG_PI;
		sqe->flags = async;
		EXPECT_EQ(-EINVAL, ring_do(&r));
		sqe = ring_sqe(&r);
		prep_write(sqe, fd, buf, 8, 0);
		sqe->write_stream = 1;
		sqe->flags = async;
		EXPECT_EQ(-EINVAL, ring_do(&r));
		close(fd);
	}
	EXPECT_EQ(self->before.counter[5], counter("files"));
	ring_exit(&other);
	ring_exit(&r);
	munmap(guard, 3 * 4096);
	close(p[0]);
	close(p[1]);
	close(ro);
	close(wo);
	close(dir);
	close(path);
	close(ep);
	close(full);
}

/* Each RWF flag as preadv2(2) and pwritev2(2) take it, on this kernel */
RING_TEST(rwf_flags)
{
	struct iovec iov = { buf, 16 };
	struct iouring2_sqe *sqe;
	int bit, fd, write, want_res;
	struct ring r;

	fd = tmp_file(4096);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		if (1U << bit == RWF_HIPRI)
			continue;	/* needs a ring of its own kind */
		for (write = 0; write < 2; write++) {
			if (write)
				want_res = pwritev2(fd, &iov, 1, 0, 1U << bit);
			else
				want_res = preadv2(fd, &iov, 1, 0, 1U << bit);
			if (want_res < 0)
				want_res = -errno;
			sqe = ring_sqe(&r);
			prep(sqe, write ? IOURING2_OP_WRITE : IOURING2_OP_READ,
			     fd, buf, 16, 0);
			sqe->rw_flags = 1U << bit;
			EXPECT_EQ(want_res, ring_do(&r)) {
				TH_LOG("RWF bit %d, %s", bit,
				       write ? "write" : "read");
			}
		}
	}
	close(fd);
	ring_exit(&r);
}

/* ------------------------------------------------------------ FSYNC */

RING_TEST(fsync)
{
	struct iouring2_sqe *sqe;
	unsigned int async, bit, d;
	int fd, p[2], nr = find_dirs();
	struct ring r;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		for (d = 0; (int)d < nr; d++) {
			fd = file_in(dirs[d], O_RDWR);
			ASSERT_LE(0, fd);
			EXPECT_EQ(8, write(fd, line, 8));
			EXPECT_EQ(0, one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
					 async));
			/* A range of it */
			EXPECT_EQ(0, one(&r, IOURING2_OP_FSYNC, fd, NULL, 4096,
					 4096, async));
			sqe = ring_sqe(&r);
			prep(sqe, IOURING2_OP_FSYNC, fd, NULL, 0, 0);
			sqe->flags = async;
			sqe->fsync_flags = IOURING2_FSYNC_DATASYNC;
			EXPECT_EQ(0, ring_do(&r));
			for (bit = 1; bit < 32; bit++) {
				sqe = ring_sqe(&r);
				prep(sqe, IOURING2_OP_FSYNC, fd, NULL, 0, 0);
				sqe->flags = async;
				sqe->fsync_flags = 1U << bit;
				EXPECT_EQ(-EINVAL, ring_do(&r)) {
					TH_LOG("bit %u", bit);
				}
			}
			EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_FSYNC, fd, buf,
					       0, 0, async));
			close(fd);
		}
		EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_FSYNC, p[0], NULL, 0, 0,
				       async));
		EXPECT_EQ(-EBADF, one(&r, IOURING2_OP_FSYNC, -1, NULL, 0, 0,
				      async));
	}
	close(p[0]);
	close(p[1]);
	ring_exit(&r);
}

/* ------------------------------------------------------------ priorities */

static int with_ioprio(struct ring *r, int fd, unsigned int ioprio)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_read(sqe, fd, buf, 8, 0);
	sqe->ioprio = ioprio;
	return ring_do(r);
}

/* As ioprio_set(2) judges them, of whoever submits */
RING_TEST(io_priorities)
{
	enum { NONE, RT, BE, IDLE };
	static const struct {
		int class, level, res;
		int user;	/* for somebody without privileges */
	} rows[] = {
		{ NONE, 0, 8, 8 }, { NONE, 1, -EINVAL, -EINVAL },
		{ RT, 0, 8, -EPERM }, { RT, 7, 8, -EPERM },
		{ RT, 8, -EINVAL, -EPERM },
		{ BE, 0, 8, 8 }, { BE, 7, 8, 8 }, { BE, 8, -EINVAL, -EINVAL },
		{ IDLE, 0, 8, 8 }, { IDLE, 7, 8, 8 },
		{ 4, 0, -EINVAL, -EINVAL }, { 7, 7, -EINVAL, -EINVAL },
	};
	unsigned int i;
	struct ring r;
	int fd, status;
	pid_t pid;

	fd = tmp_file(100);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(rows[i].res,
			  with_ioprio(&r, fd, rows[i].class << 13 |
				      rows[i].level)) {
			TH_LOG("%d.%d", rows[i].class, rows[i].level);
		}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(100);
		for (i = 0; i < ARRAY_SIZE(rows); i++)
			if (with_ioprio(&r, fd, rows[i].class << 13 |
					rows[i].level) != rows[i].user)
				_exit(i + 1);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status)) {
		TH_LOG("row %d", WEXITSTATUS(status) - 1);
	}
	ring_exit(&r);
	close(fd);
}

/* ------------------------------------------- files that know no iterators */

/* Segments one by one, and what the first attempt did is not done again */
RING_TEST(file_with_read_only)
{
	static const char path[] = "/proc/self/environ";
	static char text[8 + 4096];
	char a[3], b[5];
	struct iovec iov[] = {
		{ a, sizeof(a) }, { b, sizeof(b) }, { buf, 4096 },
	};
	struct iouring2_sqe *sqe;
	unsigned int async;
	struct ring r;
	int fd, len;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len < 9)
		SKIP(return, "no environment to read");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		memset(buf, 0, 4096);
		sqe = ring_sqe(&r);
		prep(sqe, IOURING2_OP_READV, fd, iov, 3, 0);
		sqe->flags = async;
		EXPECT_EQ(len, ring_do(&r));
		EXPECT_EQ(0, memcmp(text, a, 3));
		EXPECT_EQ(0, memcmp(text + 3, b, 5));
		EXPECT_EQ(0, memcmp(text + 8, buf, len - 8));
		close(fd);
	}
	ring_exit(&r);
}

/* --------------------------------------------------------- a busy device */

#define TAGS_NR	16

static const char slow_disk[] =
	"modprobe -q null_blk hw_queue_depth=1 irqmode=2 completion_nsec=2000000";

/*
 * A device that takes one request at a time answers EAGAIN to all that must
 * not wait for their turn: workers wait then, and nobody sees it.
 */
RING_TEST(device_is_busy)
{
	static _Alignas(4096) char blocks[TAGS_NR * 4096];
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i;

	if (!intrusive() || system(slow_disk))
		SKIP(return, "no null_blk");
	until_ms(!access("/dev/nullb0", R_OK), 5000);
	fd = open("/dev/nullb0", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, TAGS_NR, 0));
	for (i = 0; i < TAGS_NR; i++) {
		prep_read(ring_sqe(&r), fd, blocks + i * 4096, 4096,
			  (__u64)i * 4096);
		r.sqes[i].user_data = i;
	}
	EXPECT_EQ(TAGS_NR, ring_submit(&r));
	for (i = 0; i < TAGS_NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(4096, cqe.res);
	}
	ring_exit(&r);
	close(fd);
	EXPECT_EQ(0, system("modprobe -r null_blk"));
}

/* ---------------------------------------------------------- idle workers */

/*
 * All workers but the last of a class end when they have had nothing to do for
 * some seconds, and the last one still works.
 */
RING_TEST(idle_workers_end)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int p[4][2], i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* FIFOs cannot be asked without blocking: a worker for each */
	for (i = 0; i < 4; i++) {
		char path[300], dir[256];

		tmp_path(dir, sizeof(dir), "fifo");
		ASSERT_NE(NULL, mkdtemp(dir));
		snprintf(path, sizeof(path), "%s/fifo", dir);
		ASSERT_EQ(0, mkfifo(path, 0600));
		p[i][0] = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, p[i][0]);
		unlink(path);
		rmdir(dir);
	}
	/* two for each: when a byte comes both try, and one blocks */
	for (i = 0; i < 8; i++)
		prep_read(ring_sqe(&r), p[i / 2][0], buf + i, 1, -1);
	EXPECT_EQ(8, ring_submit(&r));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, write(p[i][0], "x", 1));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_TRUE(until(fdinfo(r.fd, "Workers") >= 4));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, write(p[i][0], "y", 1));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_LT(2, fdinfo(r.fd, "Workers"));
	/* one of each class is kept; the others are reaped, too */
	EXPECT_TRUE(until(fdinfo(r.fd, "Workers") <= 2));
	EXPECT_TRUE(until(counter("workers") - self->before.counter[2] ==
			  fdinfo(r.fd, "Workers")));
	EXPECT_EQ(1, one(&r, IOURING2_OP_WRITE, p[0][0], "z", 1, 0, ASYNC));
	for (i = 0; i < 4; i++)
		close(p[i][0]);
	ring_exit(&r);
}

/* ------------------------------------------------- the submitter's limits */

RING_TEST(file_size_limit)
{
	struct rlimit old, lim;
	unsigned int async;
	struct iovec iov = { buf, 200 };
	struct stat st;
	struct ring r;
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		fd = tmp_file(100);
		ASSERT_LE(0, fd);
		lim = old;
		lim.rlim_cur = 4096;
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &lim));
		EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITE, fd, buf, 100,
				      4096, async)) {
			TH_LOG("%s", async ? "worker" : "inline");
		}
		EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITEV, fd, &iov, 1,
				      1 << 20, async));
		/* Up to the limit, and no further */
		EXPECT_EQ(96, one(&r, IOURING2_OP_WRITE, fd, buf, 200, 4000,
				  async));
		EXPECT_EQ(96, one(&r, IOURING2_OP_WRITEV, fd, &iov, 1, 4000,
				  async));
		EXPECT_EQ(100, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 3000,
				   async));
		EXPECT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(4096, (int)st.st_size);
		/* Appending begins at the end, whatever the offset says */
		ASSERT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
		EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 0,
				      async));
		ASSERT_EQ(0, ftruncate(fd, 4000));
		EXPECT_EQ(96, one(&r, IOURING2_OP_WRITE, fd, buf, 200, 0,
				  async));
		ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
		/* The limit is that of now, not of when the worker started */
		EXPECT_EQ(100, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 4096,
				   async));
		close(fd);
	}
	ring_exit(&r);
}

/* Memory that was mapped after the worker started, and under its hands */
RING_TEST(workers_see_current_memory)
{
	char *mem;
	struct ring r;
	int i, fd;

	fd = tmp_file(8192);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 10; i++) {
		mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, mem);
		EXPECT_EQ(8192, one(&r, IOURING2_OP_READ, fd, mem, 8192, 0,
				    ASYNC));
		fill(want, 8192, 0);
		EXPECT_EQ(0, memcmp(mem, want, 8192));
		munmap(mem, 8192);
		EXPECT_EQ(-EFAULT, one(&r, IOURING2_OP_READ, fd, mem, 8192, 0,
				       ASYNC));
	}
	close(fd);
	ring_exit(&r);
}

RING_TEST_MAIN
