// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may set up rings, and whose rights their requests use. Only the mode of
 * the device node decides who may set up a ring, whatever
 * kernel.io_uring_disabled says. Requests act with the credentials and limits
 * of the task that submitted them, whichever task runs them, and whatever that
 * task does afterwards.
 *
 * The files by which the module shows its state are tested as well: fdinfo,
 * parameters, counters.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define NODE	"/dev/iouring2"
#define NOBODY	65534
#define ASYNC	IOURING2_SQE_ASYNC
#define LINK	IOURING2_SQE_IO_LINK

static char scratch[4096];

/* Give up root for good */
static int become_nobody(void)
{
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	       setresuid(NOBODY, NOBODY, NOBODY) ? -errno : 0;
}

/* Change the effective user, which drops the capabilities or restores them */
static int act_as(uid_t uid)
{
	return syscall(SYS_setresuid, -1, uid, -1) ? -errno : 0;
}

static int submit(struct ring *r, int nr)
{
	int ret = ring_submit(r);

	return ret == nr ? 0 : ret < 0 ? ret : -EPROTO;
}

/* ------------------------------------------------------------------ node */

/*
 * Return: -1 if there is no such group. This does not use getgrnam(), because
 * the program may be static.
 */
static int group_id(const char *name)
{
	char text[65536], *line, *id;
	size_t len = strlen(name);

	if (read_text("/etc/group", text, sizeof(text)) <= 0)
		return -1;
	/* name:password:id:members */
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		id = strchr(line + len + 1, ':');
		return id ? strtol(id + 1, NULL, 10) : -1;
	}
	return -1;
}

RING_TEST(node_mode)
{
	struct stat st;

	ASSERT_EQ(0, stat(NODE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(0, (int)st.st_uid);
	/* The group is the default, or the one that our udev rule sets */
	EXPECT_TRUE(st.st_gid == 0 ||
		    (int)st.st_gid == group_id("iouring2"));
}

static const char *open_as_nobody(void *arg)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int i;

	if (become_nobody())
		return "cannot become nobody";
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (open(NODE, modes[i]) >= 0 || errno != EACCES)
			return reason("open for %d: not EACCES", modes[i]);
	return "";
}

RING_TEST(nobody_may_not_open)
{
	EXPECT_STREQ("", in_child(open_as_nobody, NULL));
}

static const char *open_in_group(void *arg)
{
	gid_t gid = *(gid_t *)arg;
	int fd;

	if (setgroups(1, &gid) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return "cannot become nobody";
	fd = dev_open();
	return fd < 0 ? strerror(-fd) : "";
}

/* The group of the node may open it, and no other group */
RING_TEST(group_may_open)
{
	struct stat st;
	gid_t gid;

	ASSERT_EQ(0, stat(NODE, &st));
	gid = st.st_gid;
	EXPECT_STREQ("", in_child(open_in_group, &gid));
	gid = st.st_gid + 12345;
	EXPECT_STREQ(strerror(EACCES), in_child(open_in_group, &gid));
}

/* --------------------------------------------------- having it from root */

static const char *use_as_nobody(struct ring *r, int fd)
{
	int pipe_fds[2];
	char c = 0;

	prep_nop(ring_sqe(r));
	if (ring_do(r))
		return "NOP";
	if (pipe(pipe_fds))
		return "no pipe";
	prep_write(ring_sqe(r), pipe_fds[1], "x", 1, -1);
	if (ring_do(r) != 1)
		return "cannot write to a pipe";
	prep_read(ring_sqe(r), pipe_fds[0], &c, 1, -1);
	r->sqes[(r->sqe_tail - 1) % 8].flags = ASYNC;
	if (ring_do(r) != 1 || c != 'x')
		return "cannot read a pipe in a worker";
	/* A descriptor that root opened works as it does with read(2) */
	prep_read(ring_sqe(r), fd, scratch, 64, 0);
	return ring_do(r) == 64 ? "" : "cannot read root's file";
}

struct inherited {
	int dev;
	struct ring r;
	int file;
};

/* A process that inherits the open device node may set up rings */
static const char *setup_as_nobody(void *arg)
{
	struct inherited *in = arg;
	struct iouring2_query q = { };
	struct ring r = { };

	if (become_nobody())
		return "cannot become nobody";
	if (ioctl(in->dev, IOURING2_IOC_QUERY, &q) ||
	    q.abi_version != IOURING2_ABI_VERSION)
		return "QUERY";
	r.setup.entries = 8;
	r.fd = ioctl(in->dev, IOURING2_IOC_SETUP, &r.setup);
	if (r.fd < 0 || ring_map(&r))
		return "SETUP";
	return use_as_nobody(&r, in->file);
}

/* A process that inherits a ring may use it */
static const char *ring_as_nobody(void *arg)
{
	struct inherited *in = arg;

	if (become_nobody())
		return "cannot become nobody";
	if (open(NODE, O_RDWR) >= 0)
		return "can open the node";
	return use_as_nobody(&in->r, in->file);
}

RING_TEST(nobody_with_descriptor)
{
	struct inherited in;

	in.file = tmp_file(4096);
	ASSERT_LE(0, in.file);
	ASSERT_EQ(0, fchmod(in.file, 0600));
	in.dev = dev_open();
	ASSERT_LE(0, in.dev);
	EXPECT_STREQ("", in_child(setup_as_nobody, &in));
	ASSERT_EQ(0, ring_init(&in.r, 8, 0));
	EXPECT_STREQ("", in_child(ring_as_nobody, &in));
	ring_exit(&in.r);
	close(in.dev);
	close(in.file);
}

#define DISABLED	"/proc/sys/kernel/io_uring_disabled"

static long disabled_get(void)
{
	char value[16];

	return read_text(DISABLED, value, sizeof(value)) > 0 ?
		strtol(value, NULL, 10) : -1;
}

static void disabled_set(long value)
{
	FILE *f = fopen(DISABLED, "w");

	if (!f)
		return;
	fprintf(f, "%ld", value);
	fclose(f);
}

/* kernel.io_uring_disabled has no effect on the module */
RING_TEST(io_uring_disabled)
{
	long was = disabled_get(), params[30] = { };
	struct inherited in;

	if (was < 0)
		SKIP(return, "no kernel.io_uring_disabled");
	if (was != 2 && !intrusive())
		SKIP(return, "IOURING2_INTRUSIVE is not set");
	disabled_set(2);
	if (was != 2)
		EXPECT_EQ(2, disabled_get());
	EXPECT_EQ(-1, syscall(425 /* io_uring_setup */, 8, params));
	EXPECT_EQ(EPERM, errno);
	in.file = tmp_file(4096);
	in.dev = dev_open();
	EXPECT_LE(0, in.dev);
	EXPECT_STREQ("", in_child(setup_as_nobody, &in));
	EXPECT_EQ(0, ring_init(&in.r, 8, 0));
	EXPECT_STREQ("", in_child(ring_as_nobody, &in));
	ring_exit(&in.r);
	disabled_set(was);
	close(in.dev);
	close(in.file);
}

/* ------------------------------------------------------------ credentials */

/*
 * A write to a set-user-ID file clears the bit, unless the writer has
 * CAP_FSETID. So the mode of the file shows whose rights the write used.
 */
static int suid_file(void)
{
	char path[256];
	int fd;

	tmp_path(path, sizeof(path), "suid");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (write(fd, scratch, 64) != 64 || fchmod(fd, 04777)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static bool has_suid(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_mode & S_ISUID;
}

enum pending {
	NOW,		/* runs within ENTER, or in a worker at once */
	CHAINED,	/* behind a poll: runs after root changed its user ID */
	DRAINED,	/* behind a barrier */
};

RING_FIXTURE(submitter) {
	uid_t submits, later;	/* user ID then, and when it runs */
	enum pending pending;
	unsigned int flags;
	bool in_enter;		/* runs while its submitter waits in ENTER */
};

#define SUBMITTER(name, ...)						\
FIXTURE_VARIANT_ADD(submitter, name) { __VA_ARGS__, false };		\
FIXTURE_VARIANT_ADD(submitter, name##_in_enter) { __VA_ARGS__, true }

SUBMITTER(root, 0, 0, NOW, 0);
SUBMITTER(root_worker, 0, 0, NOW, ASYNC);
SUBMITTER(nobody, NOBODY, NOBODY, NOW, 0);
SUBMITTER(nobody_worker, NOBODY, NOBODY, NOW, ASYNC);
SUBMITTER(nobody_worker_then_root, NOBODY, 0, NOW, ASYNC);
SUBMITTER(root_linked_then_nobody, 0, NOBODY, CHAINED, 0);
SUBMITTER(root_worker_linked_then_nobody, 0, NOBODY, CHAINED, ASYNC);
SUBMITTER(nobody_linked_then_root, NOBODY, 0, CHAINED, 0);
SUBMITTER(nobody_worker_linked_then_root, NOBODY, 0, CHAINED, ASYNC);
SUBMITTER(root_barrier_then_nobody, 0, NOBODY, DRAINED, 0);
SUBMITTER(root_worker_barrier_then_nobody, 0, NOBODY, DRAINED, ASYNC);
SUBMITTER(nobody_barrier_then_root, NOBODY, 0, DRAINED, 0);
SUBMITTER(nobody_worker_barrier_then_root, NOBODY, 0, DRAINED, ASYNC);

TEST_F_TIMEOUT(submitter, credentials_of_the_submitter, LIMIT)
{
	const int nr = variant->pending == NOW ? 1 : 2;
	int fd = suid_file(), efd = eventfd(0, EFD_CLOEXEC);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	uint64_t one = 1;
	struct ring r;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, efd);
	ASSERT_TRUE(has_suid(fd));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, act_as(variant->submits));
	if (variant->pending != NOW) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		sqe->flags = variant->pending == CHAINED ? LINK : 0;
	}
	sqe = ring_sqe(&r);
	prep_write(sqe, fd, scratch, 32, 0);
	sqe->flags = variant->flags;
	if (variant->pending == DRAINED)
		sqe->flags |= IOURING2_SQE_IO_DRAIN;
	sqe->user_data = 1;
	ASSERT_EQ(0, submit(&r, nr));
	ASSERT_EQ(0, act_as(0));
	ASSERT_EQ(0, act_as(variant->later));
	if (variant->pending != NOW) {
		EXPECT_TRUE(has_suid(fd));
		ASSERT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	}
	if (!variant->in_enter)
		EXPECT_TRUE(until(ring_ready(&r) == (unsigned int)nr));
	do {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
	} while (!cqe.user_data);
	EXPECT_EQ(32, cqe.res);
	ASSERT_EQ(0, act_as(0));
	EXPECT_EQ(variant->submits == 0, has_suid(fd));
	ring_exit(&r);
	close(efd);
	close(fd);
}

/*
 * One ring with several submitters, each with its own rights, at the same time
 */
RING_TEST(credentials_side_by_side)
{
	enum { NR = 12 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int fd[NR], efd, i;
	uint64_t v = 1;
	struct ring r;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 32, 0));
	for (i = 0; i < NR; i++) {
		fd[i] = suid_file();
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, act_as(i % 2 ? NOBODY : 0));
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		sqe->flags = LINK;
		sqe->user_data = 1;
		sqe = ring_sqe(&r);
		prep_write(sqe, fd[i], scratch, 32, 0);
		sqe->flags = i % 4 / 2 ? ASYNC : 0;
		ASSERT_EQ(0, submit(&r, 2));
		ASSERT_EQ(0, act_as(0));
	}
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	for (i = 0; i < 2 * NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(cqe.user_data ? POLLIN : 32, cqe.res);
	}
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(i % 2 == 0, has_suid(fd[i])) {
			TH_LOG("file %d", i);
		}
		close(fd[i]);
	}
	ring_exit(&r);
	close(efd);
}

/* The file size limit is the one that the submitter had when it submitted */
static const char *write_over_limit(void *arg)
{
	struct rlimit small = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY };
	struct rlimit large = { .rlim_cur = RLIM_INFINITY,
				.rlim_max = RLIM_INFINITY };
	struct iouring2_sqe *sqe;
	struct ring r;
	int fd = tmp_file(0), ret;

	signal(SIGXFSZ, SIG_IGN);
	if (fd < 0 || ring_init(&r, 8, 0) || setrlimit(RLIMIT_FSIZE, &small))
		return "set-up";
	sqe = ring_sqe(&r);
	prep_write(sqe, fd, scratch, 100, 4096);
	sqe->flags = ASYNC;
	if (submit(&r, 1) || setrlimit(RLIMIT_FSIZE, &large))
		return "cannot submit with a limit";
	prep_nop(ring_sqe(&r));
	if (submit(&r, 1))
		return "cannot submit without a limit";
	if (!until(ring_ready(&r) == 2))
		return "the requests do not end";
	ret = r.cqes[0].res ? r.cqes[0].res : r.cqes[1].res;
	if (ret != -EFBIG)
		return reason("write beyond the limit: %d", ret);
	/* A write up to the limit works */
	*r.cq_head = *r.cq_tail;
	if (setrlimit(RLIMIT_FSIZE, &small))
		return "setrlimit";
	sqe = ring_sqe(&r);
	prep_write(sqe, fd, scratch, 100, 4096 - 50);
	sqe->flags = ASYNC;
	if (ring_do(&r) != 50)
		return "cannot write up to the limit";
	/* A write without a limit works */
	if (setrlimit(RLIMIT_FSIZE, &large))
		return "setrlimit";
	sqe = ring_sqe(&r);
	prep_write(sqe, fd, scratch, 100, 4096);
	sqe->flags = ASYNC;
	return ring_do(&r) == 100 ? "" : "cannot write without a limit";
}

RING_TEST(file_size_limit)
{
	EXPECT_STREQ("", in_child(write_over_limit, NULL));
}

/* ----------------------------------------------------------------- fdinfo */

static const char * const keys[] = {
	"RingId", "SqMask", "SqHead", "SqTail", "CachedSqHead", "CqMask",
	"CqHead", "CqTail", "CachedCqTail", "Inflight", "InflightMax",
	"Backlog", "BacklogMax", "BacklogTotal", "EbusyTotal", "Submitted",
	"Completed", "Workers",
};

/* Return: the whole value of a key, or NULL */
static const char *value_of(const char *text, const char *key)
{
	static char value[64];
	size_t len = strlen(key);
	const char *line = text;

	while (line) {
		if (!strncmp(line, key, len) && !strncmp(line + len, ":\t", 2)) {
			snprintf(value, sizeof(value), "%.*s",
				 (int)strcspn(line + len + 2, "\n"),
				 line + len + 2);
			return value;
		}
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return NULL;
}

static int fdinfo_text(int fd, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return read_text(path, text, size);
}

RING_TEST(fdinfo_format)
{
	char text[4096];
	const char *v;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_LT(0, fdinfo_text(r.fd, text, sizeof(text)));
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		v = value_of(text, keys[i]);
		EXPECT_NE(NULL, v) {
			TH_LOG("%s", keys[i]);
		}
		if (!v)
			continue;
		/* The whole value is decimal */
		EXPECT_NE(0, (int)*v);
		EXPECT_EQ(strlen(v), strspn(v, "0123456789")) {
			TH_LOG("%s: '%s'", keys[i], v);
		}
	}
	v = value_of(text, "State");
	ASSERT_NE(NULL, v);
	EXPECT_STREQ("live", v);
	ring_exit(&r);
}

RING_TEST(fdinfo_values)
{
	struct iouring2_cqe cqe;
	int efd, i;
	struct ring r;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init_params(&r, 4, 4, 0, 77));
	EXPECT_EQ(3, fdinfo(r.fd, "SqMask"));
	EXPECT_EQ(3, fdinfo(r.fd, "CqMask"));
	EXPECT_EQ(77, fdinfo(r.fd, "InflightMax"));
	EXPECT_EQ(0, fdinfo(r.fd, "Submitted"));
	EXPECT_EQ(0, fdinfo(r.fd, "Workers"));

	prep_poll(ring_sqe(&r), efd, POLLIN);
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	EXPECT_EQ(2, fdinfo(r.fd, "SqTail"));
	EXPECT_EQ(0, fdinfo(r.fd, "SqHead"));
	EXPECT_EQ(0, fdinfo(r.fd, "CachedSqHead"));
	EXPECT_EQ(2, ring_submit(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "SqHead"));
	EXPECT_EQ(2, fdinfo(r.fd, "CachedSqHead"));
	EXPECT_EQ(2, fdinfo(r.fd, "Submitted"));
	EXPECT_EQ(1, fdinfo(r.fd, "Completed"));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(1, fdinfo(r.fd, "CqTail"));
	EXPECT_EQ(1, fdinfo(r.fd, "CachedCqTail"));
	EXPECT_EQ(0, fdinfo(r.fd, "CqHead"));

	/* Submit more than fits; the next submission is rejected; then reap */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_nop(&r, 2));
		ASSERT_EQ(0, ring_nop(&r, 3));
		EXPECT_EQ(2, ring_submit(&r));
	}
	ASSERT_EQ(0, ring_nop(&r, 4));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "EbusyTotal"));
	EXPECT_EQ(1, fdinfo(r.fd, "BacklogMax"));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(1, fdinfo(r.fd, "CqHead"));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "BacklogTotal"));
	EXPECT_EQ(1, fdinfo(r.fd, "BacklogMax"));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(7, fdinfo(r.fd, "Submitted"));
	EXPECT_EQ(6, fdinfo(r.fd, "Completed"));
	EXPECT_EQ(5, fdinfo(r.fd, "CachedCqTail"));

	prep_nop(ring_sqe(&r));
	*r.cq_head = *r.cq_tail;
	enter(r.fd, 0, 0, 0, NULL, 0);
	*r.cq_head = *r.cq_tail;
	r.sqes[7 % 4].flags = ASYNC;
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_LE(1, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	close(efd);
}

/* ------------------------------------------------------ what sysfs shows */

static const struct param {
	const char *name;
	int mode;
	bool debug;	/* in debug builds only */
} params[] = {
	{ "inflight_default", 0644 },
	{ "inflight_max", 0644 },
	{ "workers_bounded", 0644 },
	{ "workers_total", 0644 },
	{ "workers_unbounded", 0644 },
	{ "setup_fail_nth", 0644, true },
	{ "setup_fail_point", 0444, true },
	{ "setup_fragmented", 0644, true },
	{ "setup_first", 0644, true },
	{ "setup_fail_pid", 0644, true },
};

#define PARAMS	"/sys/module/iouring2/parameters"

RING_TEST(parameters)
{
	bool debug = !access(PARAMS "/setup_fail_nth", F_OK);
	unsigned int i, nr = 0, known = 0;
	struct dirent *de;
	char path[256], text[64];
	struct stat st;
	DIR *dir;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		if (params[i].debug && !debug)
			continue;
		known++;
		snprintf(path, sizeof(path), PARAMS "/%s", params[i].name);
		ASSERT_EQ(0, stat(path, &st)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(params[i].mode, st.st_mode & 07777) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(0, (int)st.st_uid);
		if (params[i].debug)
			continue;
		ASSERT_LT(0, read_text(path, text, sizeof(text)));
		EXPECT_EQ(strlen(text), strspn(text, "0123456789\n"));
	}
	/* There are no other parameters */
	dir = opendir(PARAMS);
	ASSERT_NE(NULL, dir);
	while ((de = readdir(dir)))
		nr += de->d_name[0] != '.';
	closedir(dir);
	EXPECT_EQ(known, nr);
}

/* QUERY and SETUP use the values of the parameters */
RING_TEST(parameters_work)
{
	long def = module_param("inflight_default");
	long max = module_param("inflight_max");
	struct iouring2_query q;
	struct ring r;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_EQ(def, (long)q.inflight_default);
	EXPECT_EQ(max, (long)q.inflight_max);
	if (!intrusive())
		SKIP(return, "IOURING2_INTRUSIVE is not set");
	ASSERT_EQ(0, module_param_set("inflight_default", 1000));
	ASSERT_EQ(0, module_param_set("inflight_max", 2000));
	EXPECT_EQ(0, dev_query(&q));
	EXPECT_EQ(1000, (int)q.inflight_default);
	EXPECT_EQ(2000, (int)q.inflight_max);
	EXPECT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1000, (int)r.setup.max_inflight);
	ring_exit(&r);
	EXPECT_EQ(-EINVAL, ring_init_params(&r, 8, 0, 0, 2001));
	EXPECT_EQ(0, ring_init_params(&r, 8, 0, 0, 2000));
	ring_exit(&r);
	/* A negative value is rejected */
	EXPECT_NE(0, module_param_set("inflight_max", -1));
	EXPECT_EQ(2000, module_param("inflight_max"));
	ASSERT_EQ(0, module_param_set("inflight_default", def));
	ASSERT_EQ(0, module_param_set("inflight_max", max));
}

static const char *write_as_nobody(void *arg)
{
	char path[300];
	unsigned int i;

	if (become_nobody())
		return "cannot become nobody";
	for (i = 0; i < ARRAY_SIZE(params); i++) {
		snprintf(path, sizeof(path), PARAMS "/%s", params[i].name);
		if (open(path, O_WRONLY) >= 0)
			return params[i].name;
	}
	return "";
}

/* The number of workers stays within its limit, however many requests block */
RING_TEST(workers_limited)
{
	/* each eventfd polls as writable, but has no room for this value */
	static const __u64 too_much = UINT64_MAX - 1;
	enum { NR = 8, MAX = 2 };
	long was = module_param("workers_unbounded");
	int i, efd[NR];
	struct ring r;

	if (!intrusive())
		SKIP(return, "IOURING2_INTRUSIVE is not set");
	ASSERT_EQ(0, module_param_set("workers_unbounded", MAX));
	ASSERT_EQ(0, ring_init(&r, NR, 0));
	for (i = 0; i < NR; i++) {
		efd[i] = eventfd(1, EFD_CLOEXEC);
		ASSERT_LE(0, efd[i]);
		prep(ring_sqe(&r), IOURING2_OP_WRITE, efd[i],
		     (void *)&too_much, sizeof(too_much), 0);
	}
	EXPECT_EQ(NR, ring_submit(&r));
	EXPECT_TRUE(until(fdinfo(r.fd, "Workers") == MAX));
	/* the others are queued by now, and have not created more workers */
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	EXPECT_EQ(MAX, fdinfo(r.fd, "Workers"));
	EXPECT_EQ(NR, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	for (i = 0; i < NR; i++)
		close(efd[i]);
	EXPECT_EQ(0, module_param_set("workers_unbounded", was));
}

RING_TEST(parameters_are_roots)
{
	EXPECT_STREQ("", in_child(write_as_nobody, NULL));
}

RING_TEST(counters)
{
	static const char * const names[] = {
		"rings", "requests", "workers", "submitters", "pages", "files",
	};
	char path[256];
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path),
			 "/sys/class/misc/iouring2/counters/%s", names[i]);
		ASSERT_EQ(0, stat(path, &st)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(0444, st.st_mode & 07777);
		EXPECT_LE(0, counter(names[i]));
	}
}

RING_TEST(module_information)
{
	char text[64];

	/*
	 * The module has a version, and a licence that does not taint the
	 * kernel
	 */
	ASSERT_LT(0, read_text("/sys/module/iouring2/version", text,
			       sizeof(text)));
	EXPECT_NE('\n', text[0]);
	ASSERT_LT(0, read_text("/sys/module/iouring2/taint", text,
			       sizeof(text)));
	EXPECT_EQ(NULL, strchr(text, 'P'));
}

int main(int argc, char **argv)
{
	const char *why;

	if (geteuid()) {
		ksft_print_header();
		ksft_exit_skip("run as root\n");
	}
	if (!dev_usable(&why)) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	return test_harness_run(argc, argv);
}
