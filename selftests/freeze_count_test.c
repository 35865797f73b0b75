// SPDX-License-Identifier: GPL-2.0-only
/*
 * A write keeps its file system from being frozen until the write ends, and no
 * longer. This must also hold where one file system is stacked on another
 * (overlayfs).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "image.h"

struct overlay {
	struct image upper;
	char mnt[256];
};

static bool overlay_mount(struct overlay *o)
{
	if (!image_mount(&o->upper, 16))
		return false;
	snprintf(o->mnt, sizeof(o->mnt), "%s/merged", o->upper.dir);
	if (shell("modprobe -q overlay; cd %s && mkdir lower merged mnt/upper mnt/work",
		  o->upper.dir))
		return false;
	return !shell("cd %s && mount -t overlay -o %s iouring2-test merged 2>/dev/null",
		      o->upper.dir,
		      "lowerdir=lower,upperdir=mnt/upper,workdir=mnt/work");
}

static bool overlay_unmount(struct overlay *o)
{
	return !shell("umount %s", o->mnt) && image_unmount(&o->upper);
}

struct way {
	const char *name;
	int op;
	enum manner how;
	int open_flags, rw_flags;
};

static const struct way ways[] = {
	{ "WRITE", IOURING2_OP_WRITE, PLAIN },
	{ "WRITE ASYNC", IOURING2_OP_WRITE, AS_ASYNC },
	{ "WRITE linked", IOURING2_OP_WRITE, LINKED },
	{ "WRITE linked, not in ENTER", IOURING2_OP_WRITE, AWAY },
	{ "WRITEV", IOURING2_OP_WRITEV, PLAIN },
	{ "WRITEV ASYNC", IOURING2_OP_WRITEV, AS_ASYNC },
	{ "WRITE O_DIRECT", IOURING2_OP_WRITE, PLAIN, O_DIRECT },
	{ "WRITE ASYNC O_DIRECT", IOURING2_OP_WRITE, AS_ASYNC, O_DIRECT },
	{ "WRITE O_APPEND", IOURING2_OP_WRITE, PLAIN, O_APPEND },
	{ "WRITE O_DSYNC", IOURING2_OP_WRITE, AS_ASYNC, O_DSYNC },
	{ "READ", IOURING2_OP_READ, PLAIN },
	{ "READ ASYNC O_DIRECT", IOURING2_OP_READ, AS_ASYNC, O_DIRECT },
};

static char *mem;

static int do_way(struct ring *r, const struct way *w, const char *dir)
{
	static struct iovec iov[2];
	bool vec = w->op == IOURING2_OP_WRITEV;
	char path[300];
	int fd, ret;

	iov[0] = (struct iovec){ mem, 512 };
	iov[1] = (struct iovec){ mem + 512, 3584 };
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | w->open_flags, 0600);
	if (fd < 0)
		return errno == EINVAL && w->open_flags & O_DIRECT ? 4096 : -errno;
	ret = do_how(r, w->how, w->op, fd, vec ? (void *)iov : mem,
		     vec ? 2 : 4096, 0);
	close(fd);
	return ret;
}

BOUNDED_TEST(overlay)
{
	struct overlay o;
	struct ring r;
	unsigned int i;
	int ret = 0;

	if (!overlay_mount(&o))
		SKIP(return, "no overlay file system");
	mem = aligned_alloc(4096, 4096);
	memset(mem, 'o', 4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(ways) && !ret; i++) {
		EXPECT_EQ(4096, do_way(&r, &ways[i], o.mnt)) {
			TH_LOG("%s", ways[i].name);
		}
		ret = freeze(o.upper.mnt);
		EXPECT_EQ(0, ret) {
			TH_LOG("freezing after %s", ways[i].name);
		}
		if (!ret)
			EXPECT_EQ(0, thaw(o.upper.mnt));
	}
	ring_exit(&r);
	/*
	 * While a freeze waits, nothing can be unmounted: unmount only if none
	 * failed
	 */
	if (!ret)
		EXPECT_TRUE(overlay_unmount(&o));
}

/*
 * The same on a file system of a disk, with a new file for each way. A direct
 * write to a new file must not be made without blocking, so it is tried twice.
 */
BOUNDED_TEST(disk)
{
	struct image image;
	struct ring r;
	char path[300];
	unsigned int i;
	int ret = 0;

	if (!image_mount(&image, 16))
		SKIP(return, "no file system to freeze");
	mem = aligned_alloc(4096, 4096);
	memset(mem, 'd', 4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	snprintf(path, sizeof(path), "%s/file", image.mnt);
	for (i = 0; i < ARRAY_SIZE(ways) && !ret; i++) {
		if (ways[i].op != IOURING2_OP_READ)
			unlink(path);
		EXPECT_EQ(4096, do_way(&r, &ways[i], image.mnt)) {
			TH_LOG("%s", ways[i].name);
		}
		ret = freeze(image.mnt);
		EXPECT_EQ(0, ret) {
			TH_LOG("freezing after %s", ways[i].name);
		}
		if (!ret)
			EXPECT_EQ(0, thaw(image.mnt));
	}
	ring_exit(&r);
	if (!ret)
		EXPECT_TRUE(image_unmount(&image));
}

/*
 * While the upper file system is frozen, a write through the overlay waits, and
 * so does each write behind it
 */
BOUNDED_TEST(overlay_frozen)
{
	struct overlay o;
	struct ring r;
	char path[300];
	int fd, i, ret;

	if (!overlay_mount(&o))
		SKIP(return, "no overlay file system");
	mem = aligned_alloc(4096, 4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	snprintf(path, sizeof(path), "%s/file", o.mnt);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4096, write(fd, mem, 4096));
	ret = freeze(o.upper.mnt);
	ASSERT_EQ(0, ret);
	for (i = 0; i < 4; i++)
		add(&r, IOURING2_OP_WRITE, fd, mem, 4096, 0, i % 2 ? ASYNC : 0, i);
	EXPECT_EQ(0, submit_all(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, A_WHILE * NSEC_PER_MSEC));
	EXPECT_EQ(0, thaw(o.upper.mnt));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(4096, res_ms(&r, i, SOON));
	ret = freeze(o.upper.mnt);
	EXPECT_EQ(0, ret);
	if (!ret)
		EXPECT_EQ(0, thaw(o.upper.mnt));
	ring_exit(&r);
	close(fd);
	if (!ret)
		EXPECT_TRUE(overlay_unmount(&o));
}

/* A write that fails also lets the file system be frozen again */
BOUNDED_TEST(overlay_failed_writes)
{
	struct overlay o;
	struct ring r;
	char path[300];
	int fd, ret, how;

	if (!overlay_mount(&o))
		SKIP(return, "no overlay file system");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	snprintf(path, sizeof(path), "%s/file", o.mnt);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	for (how = 0; how < NR_HOW; how++)
		EXPECT_EQ(-EFAULT, do_how(&r, how, IOURING2_OP_WRITE, fd,
					  (void *)8, 512, 0));
	ret = freeze(o.upper.mnt);
	EXPECT_EQ(0, ret);
	if (!ret)
		EXPECT_EQ(0, thaw(o.upper.mnt));
	ring_exit(&r);
	close(fd);
	if (!ret)
		EXPECT_TRUE(overlay_unmount(&o));
}

RING_TEST_MAIN
