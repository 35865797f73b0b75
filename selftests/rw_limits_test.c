// SPDX-License-Identifier: GPL-2.0-only
/*
 * What reads and writes are refused, and the submitter's limits, which hold in
 * a worker as well (section 4 of the design: a worker has the submitter's
 * memory, credentials and limits).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "rw.h"

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
		sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, async);
		sqe->rw_flags = 1U << 30;
		EXPECT_EQ(-EOPNOTSUPP, ring_do(&r));
		sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, async);
		sqe->ioprio = 7 << 13;
		EXPECT_EQ(-EINVAL, ring_do(&r));
		/* Metadata, and streams of written data */
		sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, async);
		sqe->attr_type_mask = IOURING2_RW_ATTR_FLAG_PI;
		EXPECT_EQ(-EINVAL, ring_do(&r));
		sqe = queue(&r, IOURING2_OP_WRITE, fd, buf, 8, 0, async);
		sqe->write_stream = 1;
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

/* More than one read or write may ask for is cut, and that is no failure */
RING_TEST(longest)
{
	enum { MOST = 0x7ffff000 };	/* read(2) */
	struct iouring2_cqe cqe;
	unsigned int async;
	struct ring r;
	int fd, i;

	/* takes any number of bytes, and looks at none */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		static const unsigned int lens[] = {
			1U << 31, 0xffffffff, 0x7fffffff, MOST + 1U,
		};

		for (i = 0; i < (int)ARRAY_SIZE(lens); i++) {
			queue(&r, IOURING2_OP_WRITE, fd, buf, lens[i], 0,
			      async | IOURING2_SQE_IO_LINK)->user_data = 1;
			ASSERT_EQ(0, ring_nop(&r, 2));
			EXPECT_EQ(2, ring_submit(&r));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(1, (int)cqe.user_data);
			EXPECT_EQ(MOST, cqe.res) {
				TH_LOG("%u bytes", lens[i]);
			}
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(2, (int)cqe.user_data);
			EXPECT_EQ(0, cqe.res);
		}
	}
	ring_exit(&r);
	close(fd);
}

/* ------------------------------------------------------------ priorities */

static int with_ioprio(struct ring *r, int fd, unsigned int ioprio)
{
	struct iouring2_sqe *sqe = queue(r, IOURING2_OP_READ, fd, buf, 8, 0, 0);

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

/* Nothing is within every limit */
RING_TEST(limit_nothing)
{
	struct rlimit old, lim;
	int fd, async;
	struct ring r;

	signal(SIGXFSZ, SIG_DFL);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	fd = tmp_file(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	lim = old;
	lim.rlim_cur = 4096;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &lim));
	EXPECT_EQ(0, pwrite(fd, "", 0, 8192));
	for (async = 0; async <= (int)ASYNC; async += ASYNC) {
		EXPECT_EQ(0, one(&r, IOURING2_OP_WRITE, fd, "", 0, 8192, async)) {
			TH_LOG("flags 0x%x", async);
		}
	}
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	ring_exit(&r);
	close(fd);
}

/* Before 5.15: a lock that writes wait for, but not those of who has it */
RING_TEST(own_mandatory_lock)
{
	struct flock lock = { .l_type = F_WRLCK };
	char dir[200], path[220];
	unsigned int async;
	struct utsname u;
	struct ring r;
	int fd;

	uname(&u);
	if (strncmp(u.release, "5.10.", 5))
		SKIP(return, "no mandatory locks");
	tmp_path(dir, sizeof(dir), "mand");
	if (!intrusive() || !mkdtemp(dir))
		SKIP(return, "nothing can be mounted");
	ASSERT_EQ(0, mount("none", dir, "tmpfs", MS_MANDLOCK, NULL));
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fchmod(fd, 02660));
	ASSERT_EQ(0, fcntl(fd, F_SETLK, &lock));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(8, pwrite(fd, "by write", 8, 0));
	for (async = 0; async <= ASYNC; async += ASYNC) {
		EXPECT_EQ(8, one(&r, IOURING2_OP_WRITE, fd, "by ring.", 8, 0,
				 async)) {
			TH_LOG("flags 0x%x", async);
		}
		EXPECT_EQ(8, one(&r, IOURING2_OP_READ, fd, buf, 8, 0, async));
	}
	ring_exit(&r);
	close(fd);
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

RING_TEST_MAIN
