// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many workers there are, and how long they stay: a process that submits as
 * ever more identities does not get ever more of them, and when there are too many
 * each process may have one all the same. A worker does not stay in a cgroup that
 * its process has left.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

#define TOTAL	"workers_total"

/* A worker ends when it had nothing to do for five seconds */
#define IDLE_MS	5000

static long total_was;

/* Return: whether the parameter can be changed; then total_restore() is needed */
static bool total_set(long nr)
{
	total_was = module_param(TOTAL);
	return module_param_set(TOTAL, nr) >= 0;
}

static void total_restore(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, module_param_set(TOTAL, total_was));
}

/* From here on this process submits as somebody else */
static int next_identity(void)
{
	static rlim_t size = 1UL << 40;
	struct rlimit l;

	if (getrlimit(RLIMIT_FSIZE, &l))
		return -errno;
	l.rlim_cur = size++;
	return setrlimit(RLIMIT_FSIZE, &l) ? -errno : 0;
}

static const char *changes_identity(void *arg)
{
	enum { ROUNDS = 40, FEW = 8 };
	int fd = tmp_file(4096), i, ret, most = 0, now;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0))
		return "no file, or no ring";
	for (i = 0; i < ROUNDS; i++) {
		ret = next_identity();
		if (ret)
			return wrong("setrlimit: %d", ret);
		ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
		if (ret)
			return wrong("FSYNC %d: %d", i, ret);
		now = fdinfo(r.fd, "Workers");
		most = now > most ? now : most;
	}
	ring_exit(&r);
	close(fd);
	/* and one that has not been counted as idle yet */
	return most > FEW + 1 ? wrong("%d workers", most) : "";
}

/* Workers that wait make room for those of other identities */
BOUNDED_TEST(identities_share_workers)
{
	if (!total_set(8))
		SKIP(return, "parameters not writable");
	EXPECT_CHILD(changes_identity, NULL);
	total_restore(_metadata);
}

/* A worker of @r is busy for as long as nobody provides the page */
static int keep_worker(struct ring *r, struct absent *a, int file)
{
	add(r, IOURING2_OP_READ, file, a->page, 8, 0, ASYNC, 1);
	if (submit_all(r))
		return -EPROTO;
	return absent_wanted(a, SOON) ? 0 : -ETIME;
}

static const char *syncs_alone(void *arg)
{
	int fd = tmp_file(4096), ret;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0))
		return "no file, or no ring";
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	if (!ret && fdinfo(r.fd, "Workers") != 1)
		return wrong("%lld workers", fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	return ret ? wrong("FSYNC of another process: %d", ret) : "";
}

static const char *syncs_in_shared(void *arg)
{
	struct ring r = *(struct ring *)arg;
	int fd = tmp_file(4096), ret;

	ring_sync(&r);
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	return ret ? wrong("FSYNC of who shares the ring: %d", ret) : "";
}

static const char *is_refused(void *arg)
{
	int fd = tmp_file(4096), ret;
	const char *said;
	struct absent a;
	struct ring r;

	if (absent_make(&a) || fd < 0 || ring_init(&r, 8, 0))
		return "no page, no file, or no ring";
	ret = keep_worker(&r, &a, fd);
	if (ret)
		return wrong("the first: %d", ret);
	ret = next_identity();
	if (ret)
		return wrong("setrlimit: %d", ret);
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	if (ret != -EAGAIN)
		return wrong("FSYNC without a worker: %d", ret);
	if (fdinfo(r.fd, "Workers") != 1 || fdinfo(r.fd, "Inflight") != 1)
		return wrong("%lld workers, %lld in flight",
			     fdinfo(r.fd, "Workers"), fdinfo(r.fd, "Inflight"));
	/* Other processes have one each */
	said = child_ms(syncs_alone, NULL, SOON);
	if (*said)
		return wrong("%s", said);
	said = child_ms(syncs_in_shared, &r, SOON);
	if (*said)
		return wrong("%s", said);
	ring_sync(&r);
	if (absent_provide(&a))
		return "the page was not provided";
	ret = res_ms(&r, 1, SOON);
	if (ret != 8)
		return wrong("READ: %d", ret);
	/* Its worker waits now, or will soon, and makes room */
	until_ms((ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0)) !=
		 -EAGAIN, SOON);
	ring_exit(&r);
	return ret ? wrong("FSYNC afterwards: %d", ret) : "";
}

/* When all are busy, and there are too many */
BOUNDED_TEST(without_any)
{
	struct absent a;

	if (absent_make(&a))
		SKIP(return, "no userfaultfd");
	absent_free(&a);
	if (!total_set(1))
		SKIP(return, "parameters not writable");
	EXPECT_CHILD(is_refused, NULL);
	total_restore(_metadata);
}

/* ---------------------------------------------------------------- cgroups */

struct group {
	char dir[200], procs[220], root[220];
};

static const char *joins_and_leaves(void *arg)
{
	int fd = tmp_file(4096), ret;
	struct group *g = arg;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0))
		return "no file, or no ring";
	ret = write_text(g->procs, "0");
	if (ret)
		return wrong("it is not moved: %d", ret);
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	if (ret)
		return wrong("FSYNC: %d", ret);
	ret = write_text(g->root, "0");
	if (ret)
		return wrong("it is not moved back: %d", ret);
	if (!rmdir(g->dir) || errno != EBUSY)
		return "no worker is in the group of its submitter";
	if (!until_ms(!rmdir(g->dir), IDLE_MS + SOON))
		return wrong("rmdir: errno %d, and %lld workers", errno,
			     fdinfo(r.fd, "Workers"));
	/* There is another one when it is needed */
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	ring_exit(&r);
	return ret ? wrong("FSYNC afterwards: %d", ret) : "";
}

/* Every kernel moves workers in a hierarchy of v1 */
BOUNDED_TEST(leaves_cgroup)
{
	char mnt[200];
	struct group g;

	tmp_path(mnt, sizeof(mnt), "cgroup");
	if (!intrusive() || !mkdtemp(mnt))
		SKIP(return, "nothing can be mounted");
	if (mount("none", mnt, "cgroup", 0, "none,name=iouring2")) {
		rmdir(mnt);
		SKIP(return, "no cgroup v1");
	}
	snprintf(g.dir, sizeof(g.dir), "%.180s/group", mnt);
	snprintf(g.procs, sizeof(g.procs), "%s/cgroup.procs", g.dir);
	snprintf(g.root, sizeof(g.root), "%s/cgroup.procs", mnt);
	ASSERT_EQ(0, mkdir(g.dir, 0755));
	EXPECT_CHILD(joins_and_leaves, &g);
	/* the child's end is the end of what it may have left there */
	EXPECT_TRUE(until_ms(!rmdir(g.dir) || errno == ENOENT, SOON));
	EXPECT_EQ(0, umount(mnt)) {
		umount2(mnt, MNT_DETACH);
	}
	EXPECT_EQ(0, rmdir(mnt));
}

RING_TEST_MAIN
