// SPDX-License-Identifier: GPL-2.0-only
/*
 * READ, WRITE, READV, WRITEV and FSYNC have the results of the system calls, on
 * every kind of file, whether they complete at once or in a worker. Data is
 * compared byte by byte. rw_wait_test.c tests files that are not ready, and
 * rw_limits_test.c tests requests that are rejected.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "image.h"
#include "rw.h"

/* -------------------------------------------------- directories and files */

/* One directory on each file system that we can write to */
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
				/* The file itself has the data */
				memset(buf, 0, len);
				EXPECT_EQ((ssize_t)len,
					  pread(fd, buf, len, off));
				EXPECT_EQ(0, memcmp(buf, want, len));

				/*
				 * Write from three buffers, and read into three
				 * buffers
				 */
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
			/*
			 * Read beyond the end, and at an address that the file
			 * system rejects
			 */
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
		/* -1: read from the file position, and move it */
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
		/* An offset: do not move the file position */
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
		/*
		 * At the end of the file, and far behind it, each read returns
		 * 0
		 */
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
		sqe = queue(&r, IOURING2_OP_WRITE, fd, "one", 3, 0, async);
		sqe->rw_flags = RWF_APPEND;
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

/* Many buffered writes append to one file in workers: none is torn or lost */
RING_TEST(parallel_appends)
{
	enum { NR = 64, LEN = 100 };
	static char recs[NR][LEN];
	unsigned char seen[NR] = { };
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i, j;

	fd = tmp_file(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
	ASSERT_EQ(0, ring_init(&r, NR, 0));
	for (i = 0; i < NR; i++) {
		memset(recs[i], i + 1, LEN);
		queue(&r, IOURING2_OP_WRITE, fd, recs[i], LEN, 0, ASYNC);
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

/*
 * Many reads of every kind run at once, through a CQ smaller than their number
 */
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

/* ---------------------------------------------------------------- iovecs */

static const struct iov_row {
	const char *name;
	unsigned int nr;
	bool read_ok;
	int res;	/* of READV and WRITEV; 1: the number of iovecs */
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
		/* An invalid address of the array, or an invalid length */
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

/* FEAT_SUBMIT_STABLE: the array may be reused as soon as ENTER has returned */
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
			sqe = queue(&r, IOURING2_OP_READV, fd[0], iov,
				    counts[c], 0, async);
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

/* Each RWF flag has the result of preadv2(2) and pwritev2(2) on this kernel */
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
		for (write = 0; write < 2; write++) {
			if (write)
				want_res = pwritev2(fd, &iov, 1, 0, 1U << bit);
			else
				want_res = preadv2(fd, &iov, 1, 0, 1U << bit);
			if (want_res < 0)
				want_res = -errno;
			/* RWF_HIPRI needs a ring with IOPOLL */
			if (1U << bit == RWF_HIPRI)
				want_res = -EINVAL;
			sqe = queue(&r, write ? IOURING2_OP_WRITE :
						IOURING2_OP_READ,
				    fd, buf, 16, 0, 0);
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

/* ------------------------------------------------- what is not in memory */

/*
 * Return: how many bytes of the file are in the page cache. @map is a mapping
 * of the file that nobody accesses.
 */
static size_t cached(void *map, size_t len)
{
	unsigned char vec[BIG / 4096];
	size_t i, n = 0;

	if (mincore(map, len, vec))
		return 0;
	for (i = 0; i < len / 4096; i++)
		n += vec[i] & 1;
	return n * 4096;
}

/*
 * Cache every other piece of the file only. Return: whether the cache has
 * holes.
 */
static bool make_holes(int fd, void *map)
{
	enum { PIECE = 65536 };
	static char piece[PIECE];
	size_t pos;

	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (pos = 0; pos < BIG; pos += 2 * PIECE)
		if (pread(fd, piece, PIECE, pos) != PIECE)
			return false;
	posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
	return cached(map, BIG) < BIG;
}

/*
 * A read that finds part of its data in the page cache continues at the right
 * place of file and memory until it has all of it: a short result is wrong.
 */
RING_TEST(cache_holes)
{
	struct iovec iov[3] = {
		{ buf, 100000 }, { buf + 100000, 1 }, { buf + 100001, BIG - 100001 },
	};
	struct iouring2_cqe cqe;
	unsigned int how, holes = 0;
	struct ring r;
	void *map;
	int fd;

	fd = file_in("/var/tmp", O_RDWR);
	if (fd < 0)
		SKIP(return, "cannot write to /var/tmp");
	fill(want, BIG, 3);
	ASSERT_EQ(BIG, pwrite(fd, want, BIG, 0));
	map = mmap(NULL, BIG, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* READ and READV, with an offset and at the file position */
	for (how = 0; how < 4; how++) {
		__u64 pos = how & 2 ? CUR_POS : 0;

		holes += make_holes(fd, map);
		memset(buf, 0, BIG);
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		queue(&r, how & 1 ? IOURING2_OP_READV : IOURING2_OP_READ, fd,
		      how & 1 ? (void *)iov : buf, how & 1 ? 3 : BIG, pos,
		      IOURING2_SQE_IO_LINK)->user_data = 1;
		ASSERT_EQ(0, ring_nop(&r, 2));
		EXPECT_EQ(2, ring_submit(&r));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(BIG, cqe.res);
		EXPECT_EQ(0, memcmp(buf, want, BIG)) {
			TH_LOG("way %u", how);
		}
		EXPECT_EQ(how & 2 ? BIG : 0, lseek(fd, 0, SEEK_CUR));
		/* The read is complete, so the linked request runs */
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	munmap(map, BIG);
	close(fd);
	ring_exit(&r);
	if (!holes)
		SKIP(return, "no read found a hole in the page cache");
}

/* ------------------------------------------------- who else hears of it */

static bool heard(int in, unsigned int what)
{
	struct inotify_event ev[16];
	ssize_t len, i;

	len = read(in, ev, sizeof(ev));
	for (i = 0; i < len / (ssize_t)sizeof(ev[0]); i++)
		if (ev[i].mask & what)
			return true;
	return false;
}

/*
 * A watcher of a file is notified of each read and write, in whichever context
 * it runs, by the time that the CQE can be seen
 */
RING_TEST(watched)
{
	static const struct {
		const char *name;
		unsigned int sqe_flags, open_flags;
	} ways[] = {
		{ "at once", 0, 0 }, { "in a worker", ASYNC, 0 },
		{ "direct", 0, O_DIRECT }, { "direct, in a worker", ASYNC, O_DIRECT },
	};
	char path[PATH_MAX], *mem;
	struct ring r;
	unsigned int i;
	int fd, in;

	mem = aligned_alloc(4096, 4096);
	memset(mem, 'w', 4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		snprintf(path, sizeof(path), "/var/tmp/iouring2-rw-XXXXXX");
		fd = mkostemp(path, O_CLOEXEC | ways[i].open_flags);
		if (fd < 0)
			continue;
		ASSERT_EQ(4096, pwrite(fd, mem, 4096, 0));
		in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		ASSERT_LE(0, inotify_add_watch(in, path, IN_ACCESS | IN_MODIFY));
		EXPECT_EQ(4096, one(&r, IOURING2_OP_READ, fd, mem, 4096, 0,
				    ways[i].sqe_flags));
		EXPECT_TRUE(heard(in, IN_ACCESS)) {
			TH_LOG("read %s", ways[i].name);
		}
		EXPECT_FALSE(heard(in, IN_MODIFY));
		EXPECT_EQ(4096, one(&r, IOURING2_OP_WRITE, fd, mem, 4096, 0,
				    ways[i].sqe_flags));
		EXPECT_TRUE(heard(in, IN_MODIFY)) {
			TH_LOG("written %s", ways[i].name);
		}
		close(in);
		close(fd);
		unlink(path);
	}
	ring_exit(&r);
	free(mem);
}

/*
 * A write also ends for its file system, which can then be frozen. A write to a
 * frozen file system waits, but its submitter does not.
 */
RING_TEST(frozen)
{
	enum { NR = 32 };
	struct iouring2_cqe cqe;
	unsigned int flags;
	struct image img;
	struct ring r;
	int fd, i, ret;
	char *mem;

	if (!image_mount(&img, 16))
		SKIP(return, "no file system to freeze");
	mem = aligned_alloc(4096, 4096);
	memset(mem, 'f', 4096);
	ASSERT_EQ(0, ring_init(&r, NR, 0));
	for (flags = 0; flags <= O_DIRECT; flags += O_DIRECT) {
		fd = file_in(img.mnt, O_RDWR | flags);
		ASSERT_LE(0, fd);
		for (i = 0; i < NR; i++)
			ASSERT_EQ(4096, pwrite(fd, mem, 4096, i * 4096));
		ASSERT_EQ(0, fsync(fd));
		for (i = 0; i < NR; i++)
			queue(&r, IOURING2_OP_WRITE, fd, mem, 4096, i * 4096,
			      i % 4 ? 0 : ASYNC);
		EXPECT_EQ(NR, ring_submit(&r));
		for (i = 0; i < NR; i++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(4096, cqe.res);
		}
		ret = freeze(img.mnt);
		EXPECT_EQ(0, ret);
		if (!ret) {
			queue(&r, IOURING2_OP_WRITE, fd, mem, 4096, 0, 0);
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
							50 * NSEC_PER_MSEC));
			EXPECT_EQ(0, thaw(img.mnt));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(4096, cqe.res);
		}
		close(fd);
	}
	ring_exit(&r);
	free(mem);
	EXPECT_TRUE(image_unmount(&img));
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
			EXPECT_EQ(8, write(fd, "1234567\n", 8));
			EXPECT_EQ(0, one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
					 async));
			/* FSYNC of a range of the file */
			EXPECT_EQ(0, one(&r, IOURING2_OP_FSYNC, fd, NULL, 4096,
					 4096, async));
			sqe = queue(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
				    async);
			sqe->fsync_flags = IOURING2_FSYNC_DATASYNC;
			EXPECT_EQ(0, ring_do(&r));
			for (bit = 1; bit < 32; bit++) {
				sqe = queue(&r, IOURING2_OP_FSYNC, fd, NULL, 0,
					    0, async);
				sqe->fsync_flags = 1U << bit;
				EXPECT_EQ(-EINVAL, ring_do(&r)) {
					TH_LOG("bit %u", bit);
				}
			}
			EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_FSYNC, fd, buf,
					       0, 0, async));
			EXPECT_EQ(-EINVAL, one(&r, IOURING2_OP_FSYNC, fd, NULL,
					       0, CUR_POS, async));
			queue(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
			      async)->buf_index = 1;
			EXPECT_EQ(-EINVAL, ring_do(&r));
			queue(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0,
			      async)->splice_fd_in = 1;
			EXPECT_EQ(-EINVAL, ring_do(&r));
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

/* ------------------------------------------- files that know no iterators */

/*
 * The module reads the segments one by one. After a first attempt, it must not
 * read the segments again that this attempt has filled.
 */
RING_TEST(file_with_read_only)
{
	static const char path[] = "/proc/self/environ";
	static char text[8 + 4096];
	char a[3], b[5];
	struct iovec iov[] = {
		{ a, sizeof(a) }, { b, sizeof(b) }, { buf, 4096 },
	};
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
		EXPECT_EQ(len, one(&r, IOURING2_OP_READV, fd, iov, 3, 0,
				   async));
		EXPECT_EQ(0, memcmp(text, a, 3));
		EXPECT_EQ(0, memcmp(text + 3, b, 5));
		EXPECT_EQ(0, memcmp(text + 8, buf, len - 8));
		close(fd);
	}
	ring_exit(&r);
}

RING_TEST_MAIN
