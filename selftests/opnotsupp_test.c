// SPDX-License-Identifier: GPL-2.0-only
/*
 * Some files answer EOPNOTSUPP to a request that must not wait. The module then
 * executes the request again in a way that may wait. Other files answer
 * EOPNOTSUPP as their true result.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "cuse.h"

#define SIZE	16384

/* Make a new zram device. Return: its number, or -1. */
static int zram_new(void)
{
	char text[32], path[64];
	int nr;

	if (!intrusive() || shell("modprobe -q zram"))
		return -ENODEV;
	if (read_text("/sys/class/zram-control/hot_add", text, sizeof(text)) <= 0)
		return -ENODEV;
	nr = atoi(text);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", nr);
	if (write_text(path, "32M"))
		return -EIO;
	snprintf(path, sizeof(path), "/dev/zram%d", nr);
	return until_ms(!access(path, R_OK | W_OK), SOON) ? nr : -1;
}

static int zram_free(int nr)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", nr);
	if (!until_ms(!write_text(path, "1"), 5000))
		return -EBUSY;
	return write_text("/sys/class/zram-control/hot_remove", "%d", nr);
}

static char *mem, *want;

/* Writes and reads through a ring have the same results as system calls */
static void as_by_system_calls(struct __test_metadata *_metadata, struct ring *r,
			       int fd, const char *name)
{
	static struct iovec iov[2];
	int how, vec, ret;

	for (how = 0; how < NR_HOW * 2; how++) {
		vec = how >= NR_HOW;
		memset(mem, 'a' + how, SIZE);
		memcpy(want, mem, SIZE);
		iov[0] = (struct iovec){ mem, 4096 };
		iov[1] = (struct iovec){ mem + 4096, SIZE - 4096 };
		ret = do_how(r, how % NR_HOW,
			     vec ? IOURING2_OP_WRITEV : IOURING2_OP_WRITE, fd,
			     vec ? (void *)iov : mem, vec ? 2 : SIZE, 0);
		EXPECT_EQ(SIZE, ret) {
			TH_LOG("WRITE%s to %s, %s", vec ? "V" : "", name,
			       how_name(how % NR_HOW));
		}
		memset(mem, 0, SIZE);
		EXPECT_EQ(SIZE, pread(fd, mem, SIZE, 0));
		EXPECT_EQ(0, memcmp(mem, want, SIZE));
		memset(mem, 0, SIZE);
		ret = do_how(r, how % NR_HOW,
			     vec ? IOURING2_OP_READV : IOURING2_OP_READ, fd,
			     vec ? (void *)iov : mem, vec ? 2 : SIZE, 0);
		EXPECT_EQ(SIZE, ret) {
			TH_LOG("READ%s of %s, %s", vec ? "V" : "", name,
			       how_name(how % NR_HOW));
		}
		EXPECT_EQ(0, memcmp(mem, want, SIZE));
	}
}

BOUNDED_TEST(zram)
{
	static const int flags[] = { O_DIRECT, 0 };
	char path[300], dir[256];
	int nr = zram_new(), fd;
	struct ring r;
	unsigned int i;

	if (nr < 0)
		SKIP(return, "no zram");
	mem = aligned_alloc(4096, SIZE);
	want = aligned_alloc(4096, SIZE);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		snprintf(path, sizeof(path), "/dev/zram%d", nr);
		fd = open(path, O_RDWR | O_CLOEXEC | flags[i]);
		ASSERT_LE(0, fd);
		as_by_system_calls(_metadata, &r, fd,
				   flags[i] ? "zram, O_DIRECT" : "zram");
		close(fd);
	}
	/* The same with a file system on the device */
	tmp_path(dir, sizeof(dir), "zram");
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, shell("mke2fs -q -t ext4 %s && mount %s %s", path, path, dir));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		snprintf(path, sizeof(path), "%s/file", dir);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags[i], 0600);
		ASSERT_LE(0, fd);
		as_by_system_calls(_metadata, &r, fd,
				   flags[i] ? "ext4 on zram, O_DIRECT" :
				   "ext4 on zram");
		close(fd);
	}
	ring_exit(&r);
	EXPECT_EQ(0, shell("umount %s && rmdir %s", dir, dir));
	EXPECT_EQ(0, zram_free(nr));
}

MANNER_FIXTURE(manner);

/* The device itself answers EOPNOTSUPP, and that is the request's result */
TEST_F_TIMEOUT(manner, error_of_the_device, 100)
{
	const enum manner how = variant->how;
	struct cuse *c = cuse_start();
	unsigned int asked;
	struct ring r;
	int fd;

	if (!c)
		SKIP(return, "no CUSE");
	mem = aligned_alloc(4096, SIZE);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	st_rel(&c->error, -EOPNOTSUPP);
	EXPECT_EQ(-1, read(fd, mem, 64));
	EXPECT_EQ(EOPNOTSUPP, errno);
	asked = ld_acq(&c->asked);
	EXPECT_EQ(-EOPNOTSUPP, do_how(&r, how, IOURING2_OP_READ, fd,
				      mem, 64, 0)) {
		TH_LOG("READ");
	}
	EXPECT_EQ(-EOPNOTSUPP, do_how(&r, how, IOURING2_OP_WRITE, fd,
				      mem, 64, 0)) {
		TH_LOG("WRITE");
	}
	/* each request asks once without waiting, perhaps, and once with */
	EXPECT_GE(asked + 4, ld_acq(&c->asked));
	st_rel(&c->error, 0);
	EXPECT_EQ(64, do_one(&r, IOURING2_OP_READ, fd, mem, 64, 0, 0));
	close(fd);
	ring_exit(&r);
	cuse_end(c);
}

RING_TEST_MAIN
