// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that give a descriptor to the process that reads them: fanotify, and
 * userfaultfd with fork events. The descriptor belongs to the process that
 * submitted the READ, and to no other process or kernel thread.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "kthread.h"

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	int nr = 0;

	while (dir && (de = readdir(dir)))
		nr += de->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return nr;
}

/* Count the descriptors of all kernel threads */
static int kernel_fds(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	char path[300];
	int nr = 0;

	while (dir && (de = readdir(dir))) {
		if (!isdigit(de->d_name[0]) || !is_kernel_thread(de->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", de->d_name);
		nr += count_entries(path);
	}
	if (dir)
		closedir(dir);
	return nr;
}

/* A fanotify group that reports each open on a file system of its own */
struct group {
	char dir[200], path[256];
	int fan;
};

static int group_open(struct group *g)
{
	int fd;

	tmp_path(g->dir, sizeof(g->dir), "fan");
	if (!intrusive() || !mkdtemp(g->dir))
		return -ENODEV;
	if (mount("iouring2-test", g->dir, "tmpfs", 0, NULL))
		return -errno;
	snprintf(g->path, sizeof(g->path), "%s/opened", g->dir);
	fd = open(g->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	g->fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC,
			       O_RDONLY | O_CLOEXEC);
	if (g->fan < 0)
		return -ENODEV;
	return fanotify_mark(g->fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN,
			     AT_FDCWD, g->dir) ? -errno : 0;
}

/* Return: whether the file system could be unmounted: no file of it is open */
static bool group_close(struct group *g)
{
	bool gone;

	close(g->fan);
	gone = until_ms(!umount(g->dir), 3000);
	if (!gone)
		umount2(g->dir, MNT_DETACH);
	rmdir(g->dir);
	return gone;
}

/* Open the file in another process, so this one's descriptors do not change */
static void open_it(const struct group *g)
{
	pid_t pid = fork();

	if (!pid)
		_exit(open(g->path, O_RDONLY) < 0);
	waitpid(pid, NULL, 0);
}

/* Check the event's descriptor, and close it. Return: "" or what is wrong. */
static const char *check_event(const struct group *g,
			       const struct fanotify_event_metadata *m, int res,
			       int lowest)
{
	char link[64], to[PATH_MAX] = "";

	if (res != (int)sizeof(*m))
		return reason("result %d", res);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->fd);
	if (readlink(link, to, sizeof(to) - 1) < 0)
		return reason("descriptor %d is not open here", m->fd);
	if (strcmp(to, g->path))
		return reason("descriptor %d is %s", m->fd, to);
	if (m->fd != lowest)
		return reason("descriptor %d, but %d was free", m->fd, lowest);
	close(m->fd);
	return "";
}

enum when { THERE, COMES, COMES_AWAY, NR_WHEN };

static const char * const when_names[NR_WHEN] = {
	"the event is there", "the event comes during ENTER",
	"the event comes while no task is in ENTER",
};

static void *open_later(void *arg)
{
	usleep(100000);
	open_it(arg);
	return NULL;
}

static void one_event(struct __test_metadata *_metadata, struct ring *r,
		      struct group *g, enum manner how, enum when when)
{
	static struct fanotify_event_metadata m;
	int lowest = lowest_fd(), res;
	pthread_t later;

	if (when == THERE)
		open_it(g);
	else if (when == COMES)
		ASSERT_EQ(0, pthread_create(&later, NULL, open_later, g));
	m.fd = -1;
	ASSERT_EQ(0, start_how(r, how, IOURING2_OP_READ, g->fan, &m,
			       sizeof(m), 0));
	if (when == COMES_AWAY) {
		usleep(50000);
		open_it(g);
		usleep(50000);
	}
	res = finish_how(r, how, SOON);
	if (when == COMES)
		pthread_join(later, NULL);
	EXPECT_STREQ("", check_event(g, &m, res, lowest)) {
		TH_LOG("%s, %s", how_name(how), when_names[when]);
	}
	EXPECT_EQ(lowest, lowest_fd());
}

MANNER_FIXTURE(manner);

TEST_F_TIMEOUT(manner, fanotify, 100)
{
	int before = kernel_fds(), when;
	struct group g;
	struct ring r;

	if (group_open(&g))
		SKIP(return, "no fanotify");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (when = 0; when < NR_WHEN; when++)
		one_event(_metadata, &r, &g, variant->how, when);
	EXPECT_EQ(before, kernel_fds());
	ring_exit(&r);
	EXPECT_TRUE(group_close(&g));
}

/*
 * The ring is closed before an event comes. Nothing is left that could read
 * one.
 */
TEST_F_TIMEOUT(manner, fanotify_closed, 100)
{
	const enum manner how = variant->how;
	static struct fanotify_event_metadata m;
	struct group g;
	struct ring r;

	if (group_open(&g))
		SKIP(return, "no fanotify");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, start_how(&r, how, IOURING2_OP_READ, g.fan, &m,
			       sizeof(m), 0));
	usleep(50000);
	ring_exit(&r);
	open_it(&g);
	EXPECT_EQ((int)sizeof(m), read(g.fan, &m, sizeof(m)));
	close(m.fd);
	EXPECT_TRUE(group_close(&g));
}

/* ------------------------------------------------------------- userfaultfd */

static int uffd_with_forks(void)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	void *p;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)p;
	reg.range.len = 4096;
	return ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : fd;
}

/* fork() waits until the event is read, so another thread calls it */
static void *fork_once(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	st_rel((int *)arg, 1);
	waitpid(pid, NULL, 0);
	return NULL;
}

static const char *fork_event(void *arg)
{
	enum manner how = *(int *)arg;
	static struct uffd_msg msg;
	int forked = 0, fd = uffd_with_forks(), res, lowest;
	char link[64], to[64] = "";
	pthread_t forker;
	struct ring r;

	if (fd < 0)
		return "skip";
	fcntl(fd, F_SETFL, 0);
	if (ring_init(&r, 8, 0))
		return "no ring";
	lowest = lowest_fd();
	if (pthread_create(&forker, NULL, fork_once, &forked))
		return "no thread";
	/* After this time the event is there */
	usleep(100000);
	res = do_how(&r, how, IOURING2_OP_READ, fd, &msg, sizeof(msg), 0);
	if (res != sizeof(msg) || msg.event != UFFD_EVENT_FORK)
		return reason("%s: READ %d, event %u", how_name(how), res,
			      msg.event);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", msg.arg.fork.ufd);
	if (readlink(link, to, sizeof(to) - 1) < 0 || !strstr(to, "userfaultfd"))
		return reason("%s: descriptor %u is \"%s\"", how_name(how),
			      msg.arg.fork.ufd, to);
	if ((int)msg.arg.fork.ufd != lowest)
		return reason("%s: descriptor %u, but %d was free",
			      how_name(how), msg.arg.fork.ufd, lowest);
	if (!until_ms(ld_acq(&forked), SOON))
		return "fork does not return";
	pthread_join(forker, NULL);
	return "";
}

BOUNDED_TEST(userfaultfd)
{
	int before = kernel_fds(), how;
	const char *said;

	for (how = 0; how < NR_HOW; how++) {
		said = child_ms(fork_event, &how, 30000);
		if (!strcmp(said, "skip"))
			SKIP(return, "no userfaultfd");
		EXPECT_STREQ("", said);
	}
	EXPECT_EQ(before, kernel_fds());
}

RING_TEST_MAIN
