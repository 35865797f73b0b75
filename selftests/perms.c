// SPDX-License-Identifier: GPL-2.0
/*
 * Who may: the mode of the node and of what the module shows in sysfs, that
 * others cannot open it, that a worker acts with the credentials that the
 * submitter had when it submitted (section 4 of the design), and that fdinfo
 * has every key it promises.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define NODE	"/dev/iouring2"
#define NOBODY	65534
#define CLASS	"/sys/class/misc/iouring2"

RING_TEST(node)
{
	unsigned int maj, min;
	struct stat st;
	char text[64];

	ASSERT_EQ(0, stat(NODE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, (int)st.st_uid);
	/* The group is the administrator's choice, the world is not */
	EXPECT_EQ(0660, (int)(st.st_mode & 07777));
	ASSERT_LT(0, read_text(CLASS "/dev", text, sizeof(text)));
	ASSERT_EQ(2, sscanf(text, "%u:%u", &maj, &min));
	EXPECT_EQ(10, (int)maj);
	EXPECT_EQ(maj, major(st.st_rdev));
	EXPECT_EQ(min, minor(st.st_rdev));
}

/* In a child: what open() says to somebody else, 0 or -errno */
static int open_as(uid_t uid, gid_t gid, const char *path, int flags)
{
	int status, fd;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(gid, gid, gid) ||
		    setresuid(uid, uid, uid))
			_exit(255);
		fd = open(path, flags);
		_exit(fd < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

RING_TEST(open_by_others)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct stat st;
	unsigned int i;

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, stat(NODE, &st));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(-EACCES, open_as(NOBODY, NOBODY, NODE, modes[i]));
		EXPECT_EQ(0, open_as(0, 0, NODE, modes[i]));
		/* The node's group, whichever it is */
		EXPECT_EQ(0, open_as(NOBODY, st.st_gid, NODE, modes[i]));
	}
}

/* The right is to open; who has been given the descriptor has been given it */
RING_TEST(descriptor_passed_on)
{
	struct iouring2_setup s;
	int dev, fd, status;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	dev = dev_open();
	ASSERT_LE(0, dev);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		memset(&s, 0, sizeof(s));
		s.entries = 4;
		fd = ioctl(dev, IOURING2_IOC_SETUP, &s);
		_exit(fd < 0 ? errno : 0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(dev);
}

RING_TEST(sysfs_modes)
{
	static const char * const counters[] = {
		"rings", "requests", "workers", "submitters", "pages", "files",
	};
	static const struct {
		const char *name;
		unsigned int mode;
	} params[] = {
		{ "inflight_default", 0644 }, { "inflight_max", 0644 },
		{ "workers_bounded", 0644 }, { "workers_unbounded", 0644 },
	};
	char path[256], text[64], *end;
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), CLASS "/counters/%s",
			 counters[i]);
		ASSERT_EQ(0, stat(path, &st)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(0444, (int)(st.st_mode & 0777));
		/* One number and a newline */
		ASSERT_LT(0, read_text(path, text, sizeof(text)));
		EXPECT_EQ(0, strtol(text, &end, 10) < 0);
		EXPECT_STREQ("\n", end);
	}
	for (i = 0; i < ARRAY_SIZE(params); i++) {
		snprintf(path, sizeof(path),
			 "/sys/module/iouring2/parameters/%s", params[i].name);
		ASSERT_EQ(0, stat(path, &st)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(params[i].mode, st.st_mode & 0777);
	}
}

RING_TEST(fdinfo_keys)
{
	static const char * const keys[] = {
		"SqMask", "SqHead", "SqTail", "CachedSqHead", "CqMask",
		"CqHead", "CqTail", "CachedCqTail", "Inflight", "InflightMax",
		"Backlog", "BacklogMax", "BacklogTotal", "EbusyTotal",
		"Submitted", "Completed", "Workers",
	};
	char path[64], text[4096];
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		EXPECT_LE(0, fdinfo(r.fd, keys[i])) {
			TH_LOG("no %s", keys[i]);
		}
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r.fd);
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nState:\t"));

	EXPECT_EQ(3, fdinfo(r.fd, "SqMask"));
	EXPECT_EQ(3, fdinfo(r.fd, "CqMask"));
	EXPECT_EQ(module_param("inflight_default"),
		  fdinfo(r.fd, "InflightMax"));
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i == 3 || i == 6)
			ring_submit(&r);
	}
	*r.cq_head += 1;
	ASSERT_EQ(0, ring_nop(&r, 7));
	ring_publish(&r);
	EXPECT_EQ(7, fdinfo(r.fd, "SqHead"));
	EXPECT_EQ(8, fdinfo(r.fd, "SqTail"));
	EXPECT_EQ(7, fdinfo(r.fd, "CachedSqHead"));
	EXPECT_EQ(1, fdinfo(r.fd, "CqHead"));
	EXPECT_EQ(4, fdinfo(r.fd, "CqTail"));
	EXPECT_EQ(4, fdinfo(r.fd, "CachedCqTail"));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(3, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(3, fdinfo(r.fd, "BacklogMax"));
	EXPECT_EQ(3, fdinfo(r.fd, "BacklogTotal"));
	EXPECT_EQ(0, fdinfo(r.fd, "EbusyTotal"));
	EXPECT_EQ(7, fdinfo(r.fd, "Submitted"));
	EXPECT_EQ(7, fdinfo(r.fd, "Completed"));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "EbusyTotal"));
	/* Looking at it has moved nothing but what EBUSY moved */
	EXPECT_EQ(2, fdinfo(r.fd, "Backlog"));
	ring_exit(&r);
}

/* ---------------------------------------------------- whose credentials */

/*
 * A file that asks who is writing at the time of the write, not only when it
 * was opened: a sysctl. It is given the value that it has.
 */
#define SYSCTL	"/proc/sys/vm/swappiness"

static int write_sysctl(struct ring *r, int fd, const char *text,
			unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_write(sqe, fd, text, strlen(text), 0);
	sqe->flags = flags;
	return ring_do(r);
}

RING_TEST(credentials_of_the_submitter)
{
	static const unsigned int flags[] = { 0, IOURING2_SQE_ASYNC };
	char text[32];
	unsigned int i;
	struct ring r;
	int fd, len;

	if (geteuid())
		SKIP(return, "needs root");
	fd = open(SYSCTL, O_RDWR | O_CLOEXEC);
	if (fd < 0 || read_text(SYSCTL, text, sizeof(text)) <= 0)
		SKIP(return, "no " SYSCTL);
	len = strlen(text);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(len, write_sysctl(&r, fd, text, flags[i])) {
			TH_LOG("root, flags %#x", flags[i]);
		}
		ASSERT_EQ(0, seteuid(NOBODY));
		EXPECT_EQ(-EPERM, write_sysctl(&r, fd, text, flags[i])) {
			TH_LOG("nobody, flags %#x", flags[i]);
		}
		ASSERT_EQ(0, seteuid(0));
		EXPECT_EQ(len, write_sysctl(&r, fd, text, flags[i]));
	}
	ring_exit(&r);
	close(fd);
}

/* Those of the time of submission, however much later it runs */
RING_TEST(credentials_of_the_time)
{
	static const unsigned int flags[] = { 0, IOURING2_SQE_ASYNC };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int i;
	char text[32], c;
	int fd, p[2], len, as_root;
	struct ring r;

	if (geteuid())
		SKIP(return, "needs root");
	fd = open(SYSCTL, O_RDWR | O_CLOEXEC);
	if (fd < 0 || read_text(SYSCTL, text, sizeof(text)) <= 0)
		SKIP(return, "no " SYSCTL);
	len = strlen(text);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (as_root = 0; as_root < 2; as_root++) {
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			/* A write that waits for a byte in the pipe */
			sqe = ring_sqe(&r);
			prep_read(sqe, p[0], &c, 1, 0);
			sqe->flags = IOURING2_SQE_IO_LINK;
			sqe = ring_sqe(&r);
			prep_write(sqe, fd, text, len, 0);
			sqe->flags = flags[i];
			sqe->user_data = 1;
			ASSERT_EQ(0, seteuid(as_root ? 0 : NOBODY));
			EXPECT_EQ(2, ring_submit(&r));
			/* Change sides, then let it go */
			ASSERT_EQ(0, seteuid(0));
			ASSERT_EQ(0, seteuid(as_root ? NOBODY : 0));
			EXPECT_EQ(1, write(p[1], "x", 1));
			ASSERT_EQ(0, ring_take(&r, 1, &cqe));
			EXPECT_EQ(as_root ? len : -EPERM, cqe.res) {
				TH_LOG("submitted by %s, flags %#x",
				       as_root ? "root" : "nobody", flags[i]);
			}
			ASSERT_EQ(0, seteuid(0));
			ring_exit(&r);
		}
	}
	close(p[0]);
	close(p[1]);
	close(fd);
}

RING_TEST_MAIN
