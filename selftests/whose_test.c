// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes whose result depends on the task that does them: on its
 * namespaces, root directory, cgroup, process group or protection keys, or on
 * who the sender of a message is. A request must have the result of the
 * submitter's system call, in whichever manner it was started.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <termios.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "kthread.h"

static char text_a[65536], text_b[65536];

/* Read a text file by one READ. Return: its result. */
static int read_how(struct ring *r, enum manner how, int fd, char *text,
		    size_t size)
{
	int ret = do_how(r, how, IOURING2_OP_READ, fd, text, size - 1, 0);

	text[ret > 0 ? ret : 0] = '\0';
	return ret;
}

static int pread_text(int fd, char *text, size_t size)
{
	int ret = pread(fd, text, size - 1, 0);

	text[ret > 0 ? ret : 0] = '\0';
	return ret;
}

MANNER_FIXTURE(manner);

/* Only a thread of the process may write to its /proc/self/comm */
TEST_F_TIMEOUT(manner, own_name, 100)
{
	const enum manner how = variant->how;
	char name[16], now[32];
	struct ring r;
	int fd;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	snprintf(name, sizeof(name), "way-%d", how);
	EXPECT_EQ((int)strlen(name),
		  do_how(&r, how, IOURING2_OP_WRITE, fd, name,
			 strlen(name), 0));
	pread_text(fd, now, sizeof(now));
	EXPECT_STREQ(name, first_line(now));
	close(fd);
	ring_exit(&r);
}

/* ------------------------------------------------------------- namespaces */

/*
 * Read and write the host name of the caller's UTS namespace. Return: "", or
 * what differs from the system call.
 */
static const char *host_name(enum manner how, struct ring *r)
{
	char name[32];
	struct utsname u;
	int fd, ret;
	bool writable;

	fd = open("/proc/sys/kernel/hostname", O_RDWR);
	writable = fd >= 0;
	/* only root of the first user namespace may write to the file */
	if (!writable)
		fd = open("/proc/sys/kernel/hostname", O_RDONLY);
	if (fd < 0)
		return reason("hostname: errno %d", errno);
	pread_text(fd, text_a, sizeof(text_a));
	ret = read_how(r, how, fd, text_b, sizeof(text_b));
	if (strcmp(text_a, text_b))
		return reason("%s: read(2) gives \"%s\", READ \"%s\" (%d)",
			      how_name(how), first_line(text_a),
			      first_line(text_b), ret);
	if (!writable) {
		close(fd);
		return "";
	}
	snprintf(name, sizeof(name), "written-%d", how);
	ret = do_how(r, how, IOURING2_OP_WRITE, fd, name, strlen(name), 0);
	uname(&u);
	if (ret != (int)strlen(name) || strcmp(u.nodename, name))
		return reason("%s: WRITE %d, the name is \"%s\"", how_name(how),
			      ret, u.nodename);
	close(fd);
	return "";
}

struct spaces {
	int flags;
	struct ring *r;	/* NULL: a new one */
	uid_t user;	/* 0: root */
};

static const char *in_uts_space(void *arg)
{
	struct spaces *s = arg;
	const char *said = "";
	struct ring r;
	int how;

	if (s->r) {
		r = *s->r;
		ring_sync(&r);
	}
	if (s->user && (setgid(s->user) || setuid(s->user)))
		return reason("setuid: errno %d", errno);
	if (unshare(s->flags))
		return reason("unshare: errno %d", errno);
	if (sethostname("inside", 6))
		return reason("sethostname: errno %d", errno);
	if (!s->r && ring_init(&r, 8, 0))
		return "no ring";
	for (how = 0; how < NR_HOW && !*said; how++)
		said = host_name(how, &r);
	return said;
}

/* The host name outside of the namespace must be unchanged */
static void expect_host(struct __test_metadata *_metadata,
			const struct utsname *before)
{
	struct utsname u;

	uname(&u);
	EXPECT_STREQ(before->nodename, u.nodename);
	if (strcmp(before->nodename, u.nodename))
		sethostname(before->nodename, strlen(before->nodename));
}

BOUNDED_TEST(uts_namespace)
{
	struct spaces s = { .flags = CLONE_NEWUTS };
	struct utsname before;

	uname(&before);
	EXPECT_CHILD(in_uts_space, &s);
	expect_host(_metadata, &before);
}

/* The ring was set up outside of the namespace */
BOUNDED_TEST(uts_namespace_inherited_ring)
{
	struct ring r;
	struct spaces s = { .flags = CLONE_NEWUTS, .r = &r };
	struct utsname before;

	uname(&before);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_CHILD(in_uts_space, &s);
	expect_host(_metadata, &before);
	ring_exit(&r);
}

/* The user who makes a UTS namespace in a new user namespace */
RING_FIXTURE(of_user) {
	uid_t user;
};

FIXTURE_VARIANT_ADD(of_user, root) { 0 };
FIXTURE_VARIANT_ADD(of_user, nobody) { 65534 };

TEST_F_TIMEOUT(of_user, uts_namespace, 100)
{
	struct ring r;
	struct spaces s = {
		.flags = CLONE_NEWUSER | CLONE_NEWUTS,
		.r = &r,
		.user = variant->user,
	};
	struct utsname before;
	const char *said;

	uname(&before);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	said = child_ms(in_uts_space, &s, 40000);
	expect_host(_metadata, &before);
	ring_exit(&r);
	if (!strncmp(said, "unshare: errno", 14))
		SKIP(return, "%s", said);
	EXPECT_STREQ("", said);
}

static const char *in_ipc_space(void *arg)
{
	struct ring r;
	int fd, how;

	if (unshare(CLONE_NEWIPC))
		return reason("unshare: errno %d", errno);
	if (write_text("/proc/sys/kernel/msgmax", "4321"))
		return "msgmax cannot be set";
	fd = open("/proc/sys/kernel/msgmax", O_RDWR);
	if (ring_init(&r, 8, 0))
		return "no ring";
	for (how = 0; how < NR_HOW; how++) {
		read_how(&r, how, fd, text_a, sizeof(text_a));
		if (strcmp("4321\n", text_a))
			return reason("%s: READ of msgmax: \"%s\"",
				      how_name(how), first_line(text_a));
	}
	return "";
}

BOUNDED_TEST(ipc_namespace)
{
	char before[32], after[32];

	if (read_text("/proc/sys/kernel/msgmax", before, sizeof(before)) <= 0)
		SKIP(return, "no System V IPC");
	EXPECT_CHILD(in_ipc_space, NULL);
	ASSERT_LT(0, read_text("/proc/sys/kernel/msgmax", after, sizeof(after)));
	EXPECT_STREQ(before, after);
}

/* --------------------------------------------------------------- chroot */

/*
 * Return: the word in @text that ends with @end, or NULL; cuts @text after it
 */
static char *word_with(char *text, const char *end)
{
	char *p = strstr(text, end);

	if (!p)
		return NULL;
	p[strlen(end)] = '\0';
	while (p > text && p[-1] != ' ' && p[-1] != '\n')
		p--;
	return p;
}

/*
 * A path in /proc/self/maps is relative to the root of the task that reads it
 */
static const char *in_chroot(void *arg)
{
	char *dir = arg, path[300], *a, *b;
	struct ring r;
	int fd, how;

	if (ring_init(&r, 8, 0))
		return "no ring";
	snprintf(path, sizeof(path), "%s/mapped", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (ftruncate(fd, 4096) ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return "no mapping";
	fd = open("/proc/self/maps", O_RDONLY);
	if (fd < 0 || chroot(dir) || chdir("/"))
		return reason("chroot: errno %d", errno);
	pread_text(fd, text_a, sizeof(text_a));
	a = word_with(text_a, "/mapped");
	if (!a || strcmp(a, "/mapped"))
		return reason("read(2) shows \"%s\"", a);
	for (how = 0; how < NR_HOW; how++) {
		read_how(&r, how, fd, text_b, sizeof(text_b));
		b = word_with(text_b, "/mapped");
		if (!b || strcmp(a, b))
			return reason("%s: READ shows \"%s\"", how_name(how), b);
	}
	return "";
}

BOUNDED_TEST(chroot)
{
	char dir[256];

	tmp_path(dir, sizeof(dir), "root");
	ASSERT_NE(NULL, mkdtemp(dir));
	EXPECT_CHILD(in_chroot, dir);
	shell("rm -r %s", dir);
}

/* --------------------------------------------------------------- cgroups */

#define CGROUP	"/sys/fs/cgroup/io2-whose"

/* A write of "0" to cgroup.procs moves the process that writes, and no other */
static const char *move_self(void *arg)
{
	enum manner how = *(int *)arg;
	struct ring r;
	char *p;
	int fd, ret;

	if (ring_init(&r, 8, 0))
		return "no ring";
	fd = open(CGROUP "/cgroup.procs", O_WRONLY);
	if (fd < 0)
		return reason("cgroup.procs: errno %d", errno);
	ret = do_how(&r, how, IOURING2_OP_WRITE, fd, "0", 1, 0);
	if (ret != 1)
		return reason("%s: WRITE of \"0\": %d", how_name(how), ret);
	read_text("/proc/self/cgroup", text_a, sizeof(text_a));
	read_text(CGROUP "/cgroup.procs", text_b, sizeof(text_b));
	for (p = text_b; (p = strchr(p, '\n')); )
		*p = ' ';
	if (!strstr(text_a, "io2-whose") || atoi(text_b) != getpid() ||
	    strchr(text_b, ' ')[1])
		return reason("%s: moved \"%s\" and not %d", how_name(how),
			      text_b, getpid());
	return "";
}

BOUNDED_TEST(cgroup)
{
	int how;

	if (access("/sys/fs/cgroup/cgroup.procs", W_OK) || mkdir(CGROUP, 0755))
		SKIP(return, "no cgroup v2");
	for (how = 0; how < NR_HOW; how++)
		EXPECT_CHILD(move_self, &how);
	/* this fails if a kernel thread was moved into the cgroup instead */
	EXPECT_TRUE(until_ms(!rmdir(CGROUP) || errno == ENOENT, 3000));
}

#define PIPES	16
#define PIPE	65536

static long memory_now(void)
{
	char text[40];

	return read_text(CGROUP "/memory.current", text, sizeof(text)) > 0 ?
	       atol(text) : -1;
}

/*
 * Workers fill pipes. The memory of the pipes must be charged to the cgroup of
 * this process.
 */
static const char *fills_pipes(void *arg)
{
	int p[PIPES][2], i, ret;
	struct ring r;
	long before;

	ret = write_text(CGROUP "/cgroup.procs", "0");
	if (ret || ring_init(&r, 8, 0))
		return reason("not begun: %d", ret);
	memset(text_a, 1, sizeof(text_a));
	for (i = 0; i < PIPES; i++)
		if (pipe2(p[i], O_CLOEXEC))
			return "no pipe";
	before = memory_now();
	for (i = 0; i < PIPES; i++) {
		ret = do_one(&r, IOURING2_OP_WRITE, p[i][1], text_a, PIPE, 0,
			     ASYNC);
		if (ret != PIPE)
			return reason("WRITE: %d", ret);
	}
	/* half is enough, as some memory may be charged earlier or later */
	if (memory_now() - before < PIPES * PIPE / 2)
		return reason("%ld bytes charged", memory_now() - before);
	ring_exit(&r);
	return "";
}

BOUNDED_TEST(worker_charged)
{
	if (write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory") ||
	    mkdir(CGROUP, 0755))
		SKIP(return, "no memory cgroup v2");
	EXPECT_CHILD(fills_pipes, NULL);
	EXPECT_TRUE(until_ms(!rmdir(CGROUP) || errno == ENOENT, 3000));
}

/* ------------------------------------------------------- sender and reader */

/* Receive a message. Return: the pid of its sender; @uid: its user id */

static int recv_pid(int fd, int *uid)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} c;
	struct iovec iov = { text_a, sizeof(text_a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &c, .msg_controllen = sizeof(c) };
	struct ucred u;

	if (recvmsg(fd, &mh, MSG_DONTWAIT) < 0)
		return -errno;
	if (!CMSG_FIRSTHDR(&mh))
		return -ENOMSG;
	memcpy(&u, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(u));
	*uid = u.uid;
	return u.pid;
}

/*
 * The receiver of a message is told that the submitter has sent it. @full: the
 * socket is full at first, so that the request has to wait.
 */
static void sent_by(struct __test_metadata *_metadata, struct ring *r,
		    enum manner how, bool full)
{
	int sv[2], on = 1, uid = -1, filled = 0;
	struct iouring2_cqe cqe;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_EQ(0, setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	while (full && send(sv[1], text_b, 16384, MSG_DONTWAIT) > 0)
		filled++;
	ASSERT_EQ(0, start_how(r, how, IOURING2_OP_WRITE, sv[1], "hello", 5, 0));
	/* let the request start, and find the socket full */
	if (full && how == AWAY)
		EXPECT_EQ(0, see_ms(r, GATE, &cqe, SOON));
	if (full && how == LINKED)
		EXPECT_EQ(0, take_ms(r, TIMER, &cqe, SOON));
	if (full)
		EXPECT_EQ(NEVER, seen_ms(r, TRIED, 50));
	while (filled--)
		recv_pid(sv[0], &uid);
	if (full && how == AWAY)
		usleep(50000);
	EXPECT_EQ(5, full ? res_ms(r, TRIED, SOON) : finish_how(r, how, SOON)) {
		TH_LOG("%s%s", how_name(how), full ? ", had to wait" : "");
	}
	uid = -1;
	EXPECT_EQ(getpid(), recv_pid(sv[0], &uid)) {
		TH_LOG("%s%s", how_name(how), full ? ", had to wait" : "");
	}
	EXPECT_EQ((int)getuid(), uid);
	close(sv[0]);
	close(sv[1]);
}

TEST_F_TIMEOUT(manner, sender, 100)
{
	const enum manner how = variant->how;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sent_by(_metadata, &r, how, false);
	sent_by(_metadata, &r, how, true);
	ring_exit(&r);
}

/* Return: the pid in the next event of a fanotify group */
static int event_pid(int fan)
{
	struct fanotify_event_metadata m[4];
	int len = -1;

	until_ms((len = read(fan, m, sizeof(m))) > 0, 5000);
	if (len < (int)sizeof(m[0]))
		return -ENOMSG;
	if (m[0].fd >= 0)
		close(m[0].fd);
	return m[0].pid;
}

/*
 * May @pid be what a fanotify listener is told of a request on a regular file?
 * It is told of a worker, or of the submitter, as docs/security.md says: of a
 * worker for ASYNC, and if no task is in ENTER. Otherwise the submitter reads
 * what is in the page cache. A write may have to wait, which a worker does. If
 * the process enters while the request starts, either may be first.
 */
static bool may_do(enum manner how, int op, int pid)
{
	char name[16];

	if (pid == getpid())
		return how == PLAIN || how == LINKED;
	snprintf(name, sizeof(name), "%d", pid);
	return pid > 0 && is_worker(name) &&
	       (how != PLAIN || op == IOURING2_OP_WRITE);
}

/*
 * As do_how(). AWAY: the request completes before a task enters.
 */
static int do_away(struct ring *r, enum manner how, int op, int fd, void *p,
		   unsigned int len)
{
	int ret;

	if (how != AWAY)
		return do_how(r, how, op, fd, p, len, 0);
	ret = start_how(r, how, op, fd, p, len, 0);
	return ret ? ret : seen_ms(r, TRIED, SOON);
}

TEST_F_TIMEOUT(manner, reader_of_regular_file, 100)
{
	const enum manner how = variant->how;
	char path[256];
	struct ring r;
	int fd, fan, pid;

	fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK,
			    O_RDONLY | O_CLOEXEC);
	if (fan < 0)
		SKIP(return, "no fanotify");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	strcpy(path, "/var/tmp/iouring2-whose-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4096, write(fd, text_a, 4096));
	fsync(fd);
	ASSERT_EQ(0, fanotify_mark(fan, FAN_MARK_ADD,
				   FAN_ACCESS | FAN_MODIFY, AT_FDCWD,
				   path));
	EXPECT_EQ(4096, do_away(&r, how, IOURING2_OP_READ, fd, text_b, 4096));
	pid = event_pid(fan);
	EXPECT_TRUE(may_do(how, IOURING2_OP_READ, pid)) {
		TH_LOG("READ: %d", pid);
	}
	EXPECT_EQ(100, do_away(&r, how, IOURING2_OP_WRITE, fd, text_b, 100));
	pid = event_pid(fan);
	EXPECT_TRUE(may_do(how, IOURING2_OP_WRITE, pid)) {
		TH_LOG("WRITE: %d", pid);
	}
	unlink(path);
	close(fd);
	close(fan);
	ring_exit(&r);
}

/* -------------------------------------------------------------- terminals */

/*
 * A read of a terminal by a process in the background.
 * @step: 1: the process may read; 2: it has submitted its read
 * @result: of the read
 * @how: manner of the read
 * @ring: read by a ring; otherwise by read(2)
 * @stop: SIGTTIN stops the process; otherwise it is ignored
 * @catch: SIGTTIN has a handler, and the terminal has O_NONBLOCK
 */
struct job {
	char name[64];
	int step, result;
	enum manner how;
	bool ring, stop, catch;
};

/* The process in the background: it reads the terminal */
static int background(struct job *j, int fd)
{
	char b[64];
	struct ring r;
	int ret;

	if (!until(ld_acq(&j->step) >= 1))
		return 9;
	if (!j->ring) {
		ret = read(fd, b, sizeof(b));
		j->result = ret < 0 ? -errno : ret;
		return 0;
	}
	if (ring_init(&r, 8, 0) ||
	    start_how(&r, j->how, IOURING2_OP_READ, fd, b, sizeof(b), 0))
		return 8;
	st_rel(&j->step, 2);
	j->result = finish_how(&r, j->how, SOON);
	ring_exit(&r);
	return 0;
}

static int typed(int master)
{
	return write(master, "mine\n", 5) == 5 ? 0 : -1;
}

static void nothing(int sig)
{
}

/* SIGTTIN has a handler. Return: "" if the read failed with EINTR. */
static const char *caught(struct job *j, pid_t bg)
{
	int status = reap_ms(bg, 30000);

	if (status)
		return reason("status 0x%x", status);
	if (j->result != -EINTR)
		return reason("result %d instead of EINTR", j->result);
	return "";
}

/*
 * The session leader, in the foreground: it starts the process in the
 * background, types a line, and checks the result of the read. The line must
 * stay for the foreground.
 */
static const char *session(void *arg)
{
	static const struct sigaction interrupts = { .sa_handler = nothing };
	struct job *j = arg;
	char b[64];
	int master, fd, status, n;
	pid_t bg;

	setsid();
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0 || grantpt(master) || unlockpt(master))
		return reason("no terminal: errno %d", errno);
	fd = open(ptsname(master), O_RDWR);
	if (fd < 0)
		return reason("no terminal: errno %d", errno);
	ioctl(fd, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	bg = fork();
	if (!bg) {
		setpgid(0, 0);
		if (j->catch)
			sigaction(SIGTTIN, &interrupts, NULL);
		else
			signal(SIGTTIN, j->stop ? SIG_DFL : SIG_IGN);
		_exit(background(j, fd));
	}
	setpgid(bg, bg);
	if (tcsetpgrp(fd, getpgrp()))
		return reason("tcsetpgrp: errno %d", errno);
	if (j->catch)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	st_rel(&j->step, 1);
	if (j->catch)
		return caught(j, bg);
	/*
	 * A request may poll the terminal before it reads. So type a line, and
	 * give the request time to read it before the foreground does.
	 */
	if (j->ring && !until_ms(ld_acq(&j->step) == 2, 3000) && !j->stop)
		return "not submitted";
	usleep(100000);
	if (typed(master))
		return "nothing typed";
	if (j->stop) {
		if (!until_ms(waitpid(bg, &status, WNOHANG | WUNTRACED) == bg, 8000))
			return "not stopped";
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTIN)
			return reason("status 0x%x instead of stopped, result %d",
				      status, j->result);
	} else {
		status = reap_ms(bg, 30000);
		if (status)
			return reason("status 0x%x", status);
		if (j->result != -EIO)
			return reason("result %d instead of EIO", j->result);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	until_ms((n = read(fd, b, sizeof(b))) > 0, 2000);
	if (n != 5)
		return reason("the foreground lost its line: %d", n);
	if (!j->stop)
		return "";
	/* the stopped process goes on when it is in the foreground */
	fcntl(fd, F_SETFL, 0);
	tcsetpgrp(fd, bg);
	kill(bg, SIGCONT);
	if (typed(master))
		return "nothing typed";
	status = reap_ms(bg, 10000);
	kill(bg, SIGKILL);
	if (status)
		return reason("continued: status 0x%x", status);
	if (j->result != 5 && j->result != -EINTR)
		return reason("continued: result %d", j->result);
	return "";
}

static void job_control(struct __test_metadata *_metadata, bool ring, bool stop,
			enum manner how)
{
	struct job *j = shared_new(sizeof(*j));

	j->ring = ring;
	j->stop = stop;
	j->how = how;
	EXPECT_STREQ("", child_ms(session, j, 40000)) {
		TH_LOG("%s, SIGTTIN %s", ring ? how_name(how) : "read(2)",
		       stop ? "stops" : "ignored");
	}
	munmap(j, sizeof(*j));
}

/* The process ignores SIGTTIN, so a READ fails with EIO */
TEST_F_TIMEOUT(manner, background_ignores, 100)
{
	job_control(_metadata, true, false, variant->how);
}

/* The same by read(2) */
BOUNDED_TEST(background_ignores)
{
	job_control(_metadata, false, false, PLAIN);
}

/* SIGTTIN stops the process, by read(2) and by READ */
BOUNDED_TEST(background_stops)
{
	job_control(_metadata, false, true, PLAIN);
	job_control(_metadata, true, true, PLAIN);
	job_control(_metadata, true, true, AS_ASYNC);
	job_control(_metadata, true, true, LINKED);
}

/*
 * SIGTTIN has a handler. The terminal returns a code by which the kernel
 * restarts read(2). A CQE must have EINTR instead.
 */
BOUNDED_TEST(background_catches)
{
	struct job *j = shared_new(sizeof(*j));

	j->catch = true;
	EXPECT_STREQ("", child_ms(session, j, 40000)) {
		TH_LOG("read(2)");
	}
	j->step = 0;
	j->ring = true;
	j->how = PLAIN;
	EXPECT_STREQ("", child_ms(session, j, 40000)) {
		TH_LOG("ring");
	}
	munmap(j, sizeof(*j));
}

/* --------------------------------------------------------- protection keys */

/* Memory with a protection key that the process may use */
TEST_F_TIMEOUT(manner, protection_keys, 100)
{
	const enum manner how = variant->how;
	char path[] = "/var/tmp/iouring2-pkey-XXXXXX";
	int key, fd, p[2];
	struct ring r;
	char *m;

	key = syscall(__NR_pkey_alloc, 0, 0);
	if (key < 0)
		SKIP(return, "no protection keys");
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, syscall(__NR_pkey_mprotect, m, 4096,
			     PROT_READ | PROT_WRITE, key));
	memset(m, 'k', 4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(50, pread(fd, m, 50, 0));
	EXPECT_EQ(50, do_how(&r, how, IOURING2_OP_READ, fd, m, 50, 0)) {
		TH_LOG("READ of /proc/version");
	}
	close(fd);
	fd = mkostemp(path, O_CLOEXEC);
	unlink(path);
	ASSERT_LE(0, fd);
	EXPECT_EQ(4096, do_how(&r, how, IOURING2_OP_WRITE, fd, m, 4096,
			       0)) {
		TH_LOG("WRITE of a file");
	}
	EXPECT_EQ(4096, do_how(&r, how, IOURING2_OP_READ, fd, m, 4096,
			       0)) {
		TH_LOG("READ of a file");
	}
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_EQ(4096, do_how(&r, how, IOURING2_OP_READ, fd, m, 4096,
			       0)) {
		TH_LOG("READ of a file, not cached");
	}
	close(fd);
	/* a read that waits, and gets its data while no task is in ENTER */
	ASSERT_EQ(0, start_how(&r, how, IOURING2_OP_READ, p[0], m, 4, 0));
	usleep(50000);
	ASSERT_EQ(4, write(p[1], "data", 4));
	usleep(50000);
	EXPECT_EQ(4, finish_how(&r, how, SOON)) {
		TH_LOG("READ of a pipe");
	}
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
	munmap(m, 4096);
	syscall(__NR_pkey_free, key);
}

RING_TEST_MAIN
