// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which reads and writes are rejected, and the submitter's limits, which also
 * hold in a worker: a worker uses the submitter's memory, credentials and
 * limits.
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

enum file {
	NO_FILE, NO_SUCH_FILE, PATH_ONLY, DIRECTORY, EPOLL, RING, ZERO, NULL_DEVICE,
	FULL, READ_END, WRITE_END, REGULAR,
};

static int open_one(enum file file)
{
	struct iouring2_setup setup = { .entries = 8 };
	int p[2];

	switch (file) {
	case NO_FILE:
		break;
	case NO_SUCH_FILE:
		return 999999;
	case PATH_ONLY:
		return open("/dev/null", O_PATH | O_CLOEXEC);
	case DIRECTORY:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case RING:
		return dev_setup(&setup);
	case ZERO:
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	case NULL_DEVICE:
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	case FULL:
		return open("/dev/full", O_RDWR | O_CLOEXEC);
	case READ_END:
	case WRITE_END:
		/* the other end is closed when the test exits */
		return pipe2(p, O_CLOEXEC) ? -errno : p[file == WRITE_END];
	case REGULAR:
		return tmp_file(8192);
	}
	return -1;
}

/* Map three pages: the second is not accessible, the third is read-only */
static char *three_pages(void)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED || mprotect(p + 4096, 4096, PROT_NONE) ||
	       mprotect(p + 8192, 4096, PROT_READ) ? NULL : p;
}

/* Where to read to or write from: one of these, or an address */
#define BUF	0L
#define HOLE	1L
#define READABLE 2L

RING_FIXTURE(request) {
	int op;
	enum file file;
	long memory;
	__u64 off;
	int res;
	unsigned int flags;
};

#define REQUEST(name, op, ...)						\
FIXTURE_VARIANT_ADD(request, name) { IOURING2_OP_##op, __VA_ARGS__ };	\
FIXTURE_VARIANT_ADD(request, name##_in_worker) {			\
	IOURING2_OP_##op, __VA_ARGS__, ASYNC				\
}

REQUEST(read_no_file, READ, NO_FILE, BUF, 0, -EBADF);
REQUEST(write_no_such_file, WRITE, NO_SUCH_FILE, BUF, 0, -EBADF);
REQUEST(read_path, READ, PATH_ONLY, BUF, 0, -EBADF);
REQUEST(read_not_open_for_it, READ, NULL_DEVICE, BUF, 0, -EBADF);
REQUEST(write_not_open_for_it, WRITE, ZERO, BUF, 0, -EBADF);
REQUEST(read_write_end, READ, WRITE_END, BUF, 0, -EBADF);
REQUEST(write_read_end, WRITE, READ_END, BUF, 0, -EBADF);
REQUEST(write_directory, WRITE, DIRECTORY, BUF, 0, -EBADF);
REQUEST(read_epoll, READ, EPOLL, BUF, 0, -EINVAL);
REQUEST(write_no_space, WRITE, FULL, BUF, 0, -ENOSPC);
REQUEST(read_no_memory, READ, REGULAR, 8, 0, -EFAULT);
REQUEST(write_no_memory, WRITE, REGULAR, 8, 0, -EFAULT);
REQUEST(read_kernel_memory, READ, REGULAR, -4096L, 0, -EFAULT);
REQUEST(read_hole, READ, REGULAR, HOLE, 0, -EFAULT);
REQUEST(write_hole, WRITE, REGULAR, HOLE, 0, -EFAULT);
REQUEST(read_readable, READ, REGULAR, READABLE, 0, -EFAULT);
REQUEST(read_negative_offset, READ, REGULAR, BUF, -2ULL, -EINVAL);
REQUEST(write_negative_offset, WRITE, REGULAR, BUF, -4096ULL, -EINVAL);
REQUEST(read_ring, READ, RING, BUF, 0, -EOPNOTSUPP);
REQUEST(write_ring, WRITE, RING, BUF, 0, -EOPNOTSUPP);
/* These succeed, which shows that the set-up is right */
REQUEST(read_zero, READ, ZERO, BUF, 0, 8);
REQUEST(write_null, WRITE, NULL_DEVICE, BUF, 0, 8);
REQUEST(write_readable, WRITE, REGULAR, READABLE, 0, 8);

TEST_F_TIMEOUT(request, refused, LIMIT)
{
	char *addr = (void *)variant->memory, *pages = three_pages();
	const unsigned int len = variant->memory == HOLE ? 4096 : 8;
	int fd = open_one(variant->file);
	struct ring r;

	ASSERT_NE(NULL, pages);
	if (variant->file != NO_FILE)
		ASSERT_LE(0, fd);
	if (variant->memory == BUF)
		addr = buf;
	else if (variant->memory == HOLE)
		addr = pages + 4096;
	else if (variant->memory == READABLE)
		addr = pages + 8192;
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(variant->res, one(&r, variant->op, fd, addr, len,
				    variant->off, variant->flags));
	EXPECT_EQ(self->before.counter[5], counter("files"));
	ring_exit(&r);
	close(fd);
	munmap(pages, 3 * 4096);
}

RING_FIXTURE(how) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(how, inline) { 0 };
FIXTURE_VARIANT_ADD(how, in_worker) { ASYNC };

/* Reading a directory fails with an error that depends on the file system */
TEST_F_TIMEOUT(how, directory_refused, LIMIT)
{
	int dir = open_one(DIRECTORY);
	struct ring r;

	ASSERT_LE(0, dir);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_GT(0, one(&r, IOURING2_OP_READ, dir, buf, 8, 0, variant->flags));
	ring_exit(&r);
	close(dir);
}

/* A read stops where the mapped memory ends, as read(2) does */
TEST_F_TIMEOUT(how, read_up_to_a_hole, LIMIT)
{
	char *pages = three_pages();
	int fd = tmp_file(8192);
	struct ring r;

	ASSERT_NE(NULL, pages);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(pread(fd, pages + 4000, 200, 0),
		  one(&r, IOURING2_OP_READ, fd, pages + 4000, 200, 0,
		      variant->flags));
	ring_exit(&r);
	close(fd);
	munmap(pages, 3 * 4096);
}

/* Invalid fields and flags */
TEST_F_TIMEOUT(how, refused, LIMIT)
{
	const unsigned int flags = variant->flags;
	struct iouring2_sqe *sqe;
	int fd = tmp_file(8192);
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, flags);
	sqe->rw_flags = 1U << 30;
	EXPECT_EQ(-EOPNOTSUPP, ring_do(&r));
	sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, flags);
	sqe->ioprio = 7 << 13;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	/* Metadata (protection information) */
	sqe = queue(&r, IOURING2_OP_READ, fd, buf, 8, 0, flags);
	sqe->attr_type_mask = IOURING2_RW_ATTR_FLAG_PI;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = queue(&r, IOURING2_OP_WRITE, fd, buf, 8, 0, flags);
	sqe->attr_type_mask = 1ULL << 63;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	EXPECT_EQ(self->before.counter[5], counter("files"));
	ring_exit(&r);
	close(fd);
}

static int with_stream(struct ring *r, int op, int fd, void *addr,
		       unsigned int stream, unsigned int flags)
{
	struct iouring2_sqe *sqe = queue(r, op, fd, addr, 4096, 0, flags);

	sqe->write_stream = stream;
	return ring_do(r);
}

/*
 * A file without write streams ignores the stream of a write. A direct write to
 * a disk names a stream of the disk, which this disk does not have. A read has
 * no stream.
 */
TEST_F_TIMEOUT(how, write_streams, LIMIT)
{
	char *page = (void *)(((uintptr_t)buf + 4095) & ~4095UL);
	int fd = tmp_file(8192), slow, disk;
	const unsigned int flags = variant->flags;
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(4096, with_stream(&r, IOURING2_OP_READ, fd, page, 1, flags));
	EXPECT_EQ(4096, with_stream(&r, IOURING2_OP_WRITE, fd, page, 1, flags));
	slow = slow_disk(1);
	disk = open("/dev/nullb0", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (slow >= 0 && disk >= 0) {
		EXPECT_EQ(4096, with_stream(&r, IOURING2_OP_READ, disk, page,
					    255, flags));
		EXPECT_EQ(4096, with_stream(&r, IOURING2_OP_WRITE, disk, page,
					    0, flags));
		EXPECT_EQ(-EINVAL, with_stream(&r, IOURING2_OP_WRITE, disk,
					       page, 1, flags));
		EXPECT_EQ(-EINVAL, with_stream(&r, IOURING2_OP_WRITE, disk,
					       page, 255, flags));
	} else {
		TH_LOG("no null_blk: a disk is not tested");
	}
	ring_exit(&r);
	close(disk);
	close(fd);
	if (slow >= 0)
		EXPECT_EQ(0, slow_disk_close(slow));
}

/* A length above the limit of read(2) is reduced to it, and is no failure */
TEST_F_TIMEOUT(how, longest, LIMIT)
{
	enum { MOST = 0x7ffff000 };	/* the limit of read(2) */
	static const unsigned int lens[] = {
		1U << 31, 0xffffffff, 0x7fffffff, MOST + 1U,
	};
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i;

	/* /dev/null accepts any number of bytes without reading them */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < (int)ARRAY_SIZE(lens); i++) {
		queue(&r, IOURING2_OP_WRITE, fd, buf, lens[i], 0,
		      variant->flags | IOURING2_SQE_IO_LINK)->user_data = 1;
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

RING_FIXTURE(ioprio) {
	int class, level;
	int res, as_nobody;
};

enum { NONE, RT, BE, IDLE };

/*
 * The results are those of ioprio_set(2) of 7.x: for root, and without
 * privileges. From bit 3 on, a priority has a hint for the device.
 */
FIXTURE_VARIANT_ADD(ioprio, none) { NONE, 0, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, none_level_1) { NONE, 1, -EINVAL, -EINVAL };
FIXTURE_VARIANT_ADD(ioprio, none_with_hint) { NONE, 1 << 12, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, none_level_1_with_hint) { NONE, 9, -EINVAL, -EINVAL };
FIXTURE_VARIANT_ADD(ioprio, realtime_highest) { RT, 0, 8, -EPERM };
FIXTURE_VARIANT_ADD(ioprio, realtime_lowest) { RT, 7, 8, -EPERM };
FIXTURE_VARIANT_ADD(ioprio, realtime_with_hint) { RT, 8, 8, -EPERM };
FIXTURE_VARIANT_ADD(ioprio, best_effort_highest) { BE, 0, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, best_effort_lowest) { BE, 7, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, best_effort_with_hint) { BE, 7 << 3 | 7, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, idle_highest) { IDLE, 0, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, idle_lowest) { IDLE, 7, 8, 8 };
FIXTURE_VARIANT_ADD(ioprio, no_such_class) { 4, 0, -EINVAL, -EINVAL };
FIXTURE_VARIANT_ADD(ioprio, last_class) { 7, 7, -EINVAL, -EINVAL };

struct prioritized {
	struct ring r;
	int fd, ioprio, res;
};

static const char *read_as_nobody(void *arg)
{
	struct prioritized *p = arg;
	int res;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return "cannot become nobody";
	res = with_ioprio(&p->r, p->fd, p->ioprio);
	return res == p->res ? "" : reason("%d", res);
}

/* The submitter needs the privilege for the priority */
TEST_F_TIMEOUT(ioprio, io_priorities, LIMIT)
{
	struct prioritized p = {
		.fd = tmp_file(100),
		.ioprio = variant->class << 13 | variant->level,
		.res = variant->as_nobody,
	};

	ASSERT_LE(0, p.fd);
	ASSERT_EQ(0, ring_init(&p.r, 8, 0));
	EXPECT_EQ(variant->res, with_ioprio(&p.r, p.fd, p.ioprio));
	EXPECT_STREQ("", in_child(read_as_nobody, &p));
	ring_exit(&p.r);
	close(p.fd);
}

/* ------------------------------------------------- the submitter's limits */

TEST_F_TIMEOUT(how, file_size_limit, LIMIT)
{
	struct rlimit old, lim;
	const unsigned int async = variant->flags;
	struct iovec iov = { buf, 200 };
	struct stat st;
	struct ring r;
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	fd = tmp_file(100);
	ASSERT_LE(0, fd);
	lim = old;
	lim.rlim_cur = 4096;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &lim));
	EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITE, fd, buf, 100,
			      4096, async));
	EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITEV, fd, &iov, 1,
			      1 << 20, async));
	/* A write ends at the limit */
	EXPECT_EQ(96, one(&r, IOURING2_OP_WRITE, fd, buf, 200, 4000,
			  async));
	EXPECT_EQ(96, one(&r, IOURING2_OP_WRITEV, fd, &iov, 1, 4000,
			  async));
	EXPECT_EQ(100, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 3000,
			   async));
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(4096, (int)st.st_size);
	/* Appending starts at the end of the file, whatever the offset */
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
	EXPECT_EQ(-EFBIG, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 0,
			      async));
	ASSERT_EQ(0, ftruncate(fd, 4000));
	EXPECT_EQ(96, one(&r, IOURING2_OP_WRITE, fd, buf, 200, 0,
			  async));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	/*
	 * The limit is the current one, and not the one when the worker started
	 */
	EXPECT_EQ(100, one(&r, IOURING2_OP_WRITE, fd, buf, 100, 4096,
			   async));
	close(fd);
	ring_exit(&r);
}

/* A worker sees memory that was mapped, or unmapped, after it had started */
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

/* A write of 0 bytes does not exceed any limit */
TEST_F_TIMEOUT(how, limit_nothing, LIMIT)
{
	struct rlimit old, lim;
	int fd;
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
	EXPECT_EQ(0, one(&r, IOURING2_OP_WRITE, fd, "", 0, 8192,
			 variant->flags));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	ring_exit(&r);
	close(fd);
}

/* Before 5.15 a mandatory lock blocks writes, but not those of its owner */
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
