// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that only a task of the submitting process may run. If such a
 * request starts while no task of the process is in ENTER, it is parked. The
 * ring is then readable to that process, and to no other one, and the next
 * ENTER of the process runs the request. A request that blocks does so in
 * ENTER. A signal, or the timeout of the wait, ends such an ENTER.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "cuse.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define TASKRUN		IOURING2_SQ_TASKRUN

static char buf[4096];

static bool flagged(struct ring *r)
{
	return ld_acq(r->sq_flags) & TASKRUN;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

/*
 * Start a read of @fd that is parked: it is linked behind a gate, which opens
 * while no task is in ENTER
 */
static int park(struct ring *r, int fd)
{
	int gate = add_gate(r, GATE), ret;

	add(r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	ret = submit_all(r);
	open_gate(gate);
	if (ret)
		return ret;
	if (seen_ms(r, GATE, SOON) != POLLIN)
		return -EPROTO;
	return until_ms(flagged(r), SOON) ? 0 : -ENOMSG;
}

/* A file that only its process may read, and that is always ready */
static int made_file(void)
{
	return open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
}

BOUNDED_TEST(done_by_next_enter)
{
	int fd = made_file(), i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_FALSE(flagged(&r));
	for (i = 0; i < 4; i++) {
		EXPECT_FALSE(readable(r.fd, 0));
		EXPECT_EQ(0, park(&r, fd));
		EXPECT_FALSE(until_ms(ring_ready(&r), 50));
		EXPECT_TRUE(readable(r.fd, SOON));
		/* an ENTER without and one with a wait */
		EXPECT_EQ(0, enter(r.fd, 0, i % 2, GETEVENTS, NULL, 0));
		EXPECT_LT(0, seen_ms(&r, TRIED, 0));
		EXPECT_FALSE(flagged(&r));
		EXPECT_FALSE(readable(r.fd, 0));
	}
	/* an ENTER that submits runs the parked read, too */
	EXPECT_EQ(0, park(&r, fd));
	ring_nop(&r, 9);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_LT(0, seen_ms(&r, TRIED, SOON));
	EXPECT_EQ(0, seen_ms(&r, 9, 0));
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
	close(fd);
}

/*
 * A poll of a file that has no poll method is not parked: no method is called,
 * so any context may complete the poll
 */
BOUNDED_TEST(polled_without_a_poll)
{
	static const char * const names[] = { "/dev/null", "/etc/passwd" };
	struct iouring2_sqe *sqe;
	struct ring r;
	int fd, gate;
	size_t i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		fd = open(names[i], O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		gate = add_gate(&r, GATE + 10 * i);
		sqe = add(&r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0,
			  TRIED + 10 * i);
		sqe->poll32_events = POLLIN;
		ASSERT_EQ(0, submit_all(&r));
		open_gate(gate);
		EXPECT_EQ(POLLIN, seen_ms(&r, GATE + 10 * i, SOON));
		EXPECT_EQ(POLLIN, seen_ms(&r, TRIED + 10 * i, SOON)) {
			TH_LOG("%s", names[i]);
		}
		EXPECT_FALSE(flagged(&r));
		close(fd);
	}
	ring_exit(&r);
}

/*
 * An ENTER submits a read, and then finds that the argument of its wait is bad.
 * It runs the parked read nevertheless. If there is nothing to submit, it
 * fails.
 */
BOUNDED_TEST(bad_argument)
{
	struct iouring2_getevents_arg arg = { .ts = 8 };
	const struct {
		const void *arg;
		size_t size;
		int err;
	} bad[] = {
		{ (void *)8, sizeof(arg), -EFAULT },	/* bad address */
		{ &arg, sizeof(arg), -EFAULT },		/* bad address in it */
		{ &arg, 1, -EINVAL },
	};
	int fd = made_file();
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* with nothing to submit, the result is the error */
		EXPECT_EQ(bad[i].err, enter(r.fd, 0, 1, GETEVENTS |
					    IOURING2_ENTER_EXT_ARG, bad[i].arg,
					    bad[i].size));
		memset(buf, 0, sizeof(buf));
		add(&r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, TRIED);
		EXPECT_EQ(1, enter(r.fd, ring_publish(&r), 1, GETEVENTS |
				   IOURING2_ENTER_EXT_ARG, bad[i].arg,
				   bad[i].size));
		EXPECT_LT(0, seen_ms(&r, TRIED, 0)) {
			TH_LOG("argument %u", i);
		}
		EXPECT_NE('\0', buf[0]);
		EXPECT_FALSE(flagged(&r));
		EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
		/* if the checks above have failed: get the read done */
		while (fdinfo(r.fd, "Inflight") > 0)
			enter(r.fd, 0, 0, GETEVENTS, NULL, 0);
		seen_ms(&r, TRIED, 0);
	}
	ring_exit(&r);
	close(fd);
}

/* A program that waits for its ring by epoll learns of a parked read */
BOUNDED_TEST(epoll)
{
	static const unsigned int events[] = { EPOLLIN, EPOLLIN | EPOLLET };
	int fd = made_file(), ep, gate, round;
	struct epoll_event ev;
	unsigned int i;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ep = epoll_of(r.fd, events[i]);
		ASSERT_LE(0, ep);
		for (round = 0; round < 3; round++) {
			gate = add_gate(&r, GATE);
			add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
			ASSERT_EQ(0, submit_all(&r));
			open_gate(gate);
			/* one event or two: of the gate, of the parked read */
			EXPECT_EQ(1, epoll_wait(ep, &ev, 1, SOON));
			EXPECT_EQ(POLLIN, seen_ms(&r, GATE, SOON));
			if (!until_ms(flagged(&r), 100))
				EXPECT_EQ(1, epoll_wait(ep, &ev, 1, SOON));
			EXPECT_TRUE(flagged(&r));
			if (events[i] == EPOLLIN)
				EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 1000));
			EXPECT_EQ(0U, ring_ready(&r));
			EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
			EXPECT_LT(0, seen_ms(&r, TRIED, 0));
			EXPECT_FALSE(flagged(&r));
			if (events[i] == EPOLLIN)
				EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
			/* consume the event of the completion (EPOLLET) */
			epoll_wait(ep, &ev, 1, 0);
		}
		close(ep);
		ring_exit(&r);
	}
	close(fd);
}

/* ---------------------------------------------------------- two processes */

/*
 * Shared by the two processes. The owner is the process that submits the read.
 * @step: 1: the owner has submitted; 2: it may call ENTER; 3: its ENTER has
 *	returned; 4: it may exit
 * @result: of the owner's last call
 * @polled: the ring was readable for the owner
 * @text: what the owner has read
 */
struct play {
	int step, result, polled;
	char text[64];
};

static void owner(struct play *p, struct ring *parent)
{
	struct ring r = *parent;
	int fd, gate, ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "owner");
	ring_sync(&r);
	fd = made_file();
	gate = add_gate(&r, GATE);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	p->result = submit_all(&r);
	open_gate(gate);
	st_rel(&p->step, 1);
	if (!until(ld_acq(&p->step) == 2))
		_exit(1);
	p->polled = readable(r.fd, SOON);
	ret = enter(r.fd, 0, 0, GETEVENTS, NULL, 0);
	p->result = ret;
	memcpy(p->text, buf, sizeof(p->text));
	st_rel(&p->step, 3);
	if (!until(ld_acq(&p->step) == 4))
		_exit(1);
	_exit(0);
}

static pid_t owner_start(struct play *p, struct ring *r)
{
	pid_t pid = fork();

	if (!pid)
		owner(p, r);
	return until(ld_acq(&p->step) == 1) && !p->result ? pid : -1;
}

/*
 * A parked read completes when its owner calls ENTER. A sharer of the ring is
 * neither woken nor told that the ring is readable.
 */
BOUNDED_TEST(owner_only)
{
	struct play *p = shared_new(sizeof(*p));
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = owner_start(p, &r);
	ASSERT_LT(0, pid);
	EXPECT_EQ(POLLIN, res_ms(&r, GATE, SOON));
	EXPECT_TRUE(until_ms(flagged(&r), SOON));
	/* our ENTER does not run the read, and waits until its timeout */
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, A_WHILE * NSEC_PER_MSEC));
	EXPECT_EQ(0, enter(r.fd, 0, 0, GETEVENTS, NULL, 0));
	EXPECT_EQ(0U, ring_ready(&r));
	EXPECT_FALSE(readable(r.fd, 50));
	EXPECT_TRUE(flagged(&r));
	st_rel(&p->step, 2);
	EXPECT_TRUE(until(ld_acq(&p->step) == 3));
	EXPECT_EQ(1, p->polled);
	EXPECT_EQ(0, p->result);
	EXPECT_EQ(6, seen_ms(&r, TRIED, 0));
	EXPECT_STREQ("owner\n", p->text);
	EXPECT_FALSE(flagged(&r));
	st_rel(&p->step, 4);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	ring_exit(&r);
	munmap(p, sizeof(*p));
}

/*
 * A sharer waits in ENTER all the time, and gets the CQE when the owner enters
 */
BOUNDED_TEST(waiting_sharer)
{
	struct play *p = shared_new(sizeof(*p));
	struct ring r;
	pid_t pid, helper;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = owner_start(p, &r);
	ASSERT_LT(0, pid);
	EXPECT_EQ(POLLIN, res_ms(&r, GATE, SOON));
	helper = fork();
	if (!helper) {
		usleep(A_WHILE * 1000);
		st_rel(&p->step, 2);
		_exit(0);
	}
	EXPECT_EQ(6, res_ms(&r, TRIED, SOON));
	EXPECT_TRUE(until(ld_acq(&p->step) == 3));
	EXPECT_STREQ("owner\n", p->text);
	st_rel(&p->step, 4);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_EQ(0, reap_ms(helper, SOON));
	ring_exit(&r);
	munmap(p, sizeof(*p));
}

/*
 * A process that shares the memory and the descriptors of its parent. It waits
 * in ENTER for more CQEs than there will be.
 */
struct sharer {
	int ring;
	char stack[65536];
};

static int waits_in_vain(void *arg)
{
	struct sharer *s = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(s->ring, 0, 16, GETEVENTS, NULL, 0);
	_exit(0);
}

struct starter {
	pid_t tid;
	int fd;
};

/* Make the pipe readable as soon as the main thread sleeps */
static void *start_work(void *arg)
{
	struct starter *s = arg;

	until_ms(task_waits(s->tid), SOON);
	return (void *)(write(s->fd, "x", 1) == 1 ? 0L : 1L);
}

/*
 * Two sharers and then we wait in ENTER. The first sharer is woken by the poll,
 * and starts the read behind it, which only we may run. The second sharer is
 * ahead of us in the wait queue. We must be woken for the parked read, and not
 * the second sharer in our place.
 */
BOUNDED_TEST(told_past_a_sharer)
{
	static struct sharer sharers[2];
	struct starter starter = { .tid = getpid() };
	int fd = made_file(), p[2], i;
	struct ring r;
	pid_t pid[2];
	pthread_t t;
	long long ns;
	void *ret;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	starter.fd = p[1];
	ASSERT_EQ(0, ring_init(&r, 8, 16));
	for (i = 0; i < 2; i++) {
		sharers[i].ring = r.fd;
		pid[i] = clone(waits_in_vain,
			       sharers[i].stack + sizeof(sharers[i].stack),
			       CLONE_VM | CLONE_FILES | SIGCHLD, &sharers[i]);
		ASSERT_LT(0, pid[i]);
		EXPECT_TRUE(until_ms(task_waits(pid[i]), SOON));
	}
	add(&r, IOURING2_OP_POLL_ADD, p[0], NULL, 0, 0, HARDLINK, 7)
		->poll32_events = POLLIN;
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(0, pthread_create(&t, NULL, start_work, &starter));
	ns = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 2, 2 * SOON * NSEC_PER_MSEC));
	/* we were woken by the read and not by the timeout */
	EXPECT_GT(SOON * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - ns);
	EXPECT_EQ(POLLIN, seen_ms(&r, 7, 0));
	EXPECT_LT(0, seen_ms(&r, TRIED, 0));
	pthread_join(t, &ret);
	EXPECT_EQ(NULL, ret);
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		EXPECT_EQ(SIGKILL, reap_ms(pid[i], SOON));
	}
	ring_exit(&r);
	close(fd);
	close(p[0]);
	close(p[1]);
}

/* A parked request is cancelled when its owner is killed */
BOUNDED_TEST(owner_goes)
{
	struct play *p = shared_new(sizeof(*p));
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = owner_start(p, &r);
	ASSERT_LT(0, pid);
	EXPECT_EQ(POLLIN, res_ms(&r, GATE, SOON));
	EXPECT_TRUE(until_ms(flagged(&r), SOON));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(pid, SOON));
	EXPECT_EQ(-ECANCELED, res_ms(&r, TRIED, SOON));
	EXPECT_FALSE(flagged(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	munmap(p, sizeof(*p));
}

/* Each write to this file checks the credentials of the writer */
#define SYSCTL	"/proc/sys/kernel/dmesg_restrict"

/*
 * Start a write that is parked, and become user @then before ENTER runs it.
 * Return: the result of the write.
 */
static int write_as_before(struct ring *r, int fd, const char *text, uid_t then)
{
	int gate = add_gate(r, GATE), ret;

	add(r, IOURING2_OP_WRITE, fd, text, 1, 0, 0, TRIED);
	ret = submit_all(r);
	open_gate(gate);
	if (ret || seen_ms(r, GATE, SOON) != POLLIN ||
	    !until_ms(flagged(r), SOON))
		return NEVER;
	if (setresuid(-1, then, -1))
		return -errno;
	return res_ms(r, TRIED, SOON);
}

static const char *changes_user(void *arg)
{
	char text[2] = "";
	struct ring r;
	int fd, ret;

	fd = open(SYSCTL, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, text, 1, 0) != 1 || ring_init(&r, 8, 0))
		return "no sysctl, or no ring";
	ret = write_as_before(&r, fd, text, 65534);
	if (ret != 1)
		return reason("submitted by root: %d", ret);
	if (pwrite(fd, text, 1, 0) != -1 || errno != EPERM)
		return "a user writes as root from then on";
	ret = write_as_before(&r, fd, text, 0);
	if (ret != -EPERM)
		return reason("submitted by a user: %d", ret);
	if (pwrite(fd, text, 1, 0) != 1)
		return "root does not write as root from then on";
	ring_exit(&r);
	return "";
}

/* A parked request runs with the credentials that it was submitted with */
BOUNDED_TEST(as_it_was_submitted)
{
	if (!intrusive() || access(SYSCTL, W_OK))
		SKIP(return, "nothing to write that asks who does");
	EXPECT_CHILD(changes_user, NULL);
}

/* Another thread of the owner waits in ENTER: it runs the read */
static void *wait_for_read(void *arg)
{
	return (void *)(long)res_ms(arg, TRIED, SOON);
}

BOUNDED_TEST(another_thread)
{
	int fd = made_file();
	pthread_t t;
	void *res;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pthread_create(&t, NULL, wait_for_read, &r));
	usleep(50000);
	add_timer(&r, 50, HARDLINK, TIMER);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	EXPECT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, pthread_join(t, &res));
	EXPECT_LT(0, (long)res);
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
	close(fd);
}

/* ------------------------- files that a kernel thread may read and write */

struct task {
	const char *name;
	int op, open_flags;
	const char *path;	/* NULL: a new file */
};

static const struct task tasks[] = {
	{ "READ", IOURING2_OP_READ, 0 },
	{ "READ O_DIRECT", IOURING2_OP_READ, O_DIRECT },
	{ "WRITE", IOURING2_OP_WRITE, 0 },
	{ "WRITE O_DIRECT", IOURING2_OP_WRITE, O_DIRECT },
	{ "FSYNC", IOURING2_OP_FSYNC, 0 },
	{ "READ of a disk", IOURING2_OP_READ, O_DIRECT, "/dev/vda" },
};

/* The submitter: it sleeps outside of the module afterwards */
static void submits_and_sleeps(struct ring *parent, const struct task *t, int *done,
			       enum manner how)
{
	char path[] = "/var/tmp/iouring2-parked-XXXXXX";
	struct ring r = *parent;
	char *mem = aligned_alloc(4096, 4096);
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring_sync(&r);
	if (t->path) {
		fd = open(t->path, O_RDONLY | t->open_flags);
	} else {
		fd = mkostemp(path, t->open_flags);
		if (fd < 0 || pwrite(fd, mem, 4096, 0) != 4096 || fsync(fd))
			_exit(2);
		unlink(path);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	if (start_how(&r, how, t->op, fd,
		      t->op == IOURING2_OP_FSYNC ? NULL : mem,
		      t->op == IOURING2_OP_FSYNC ? 0 : 4096, 0))
		_exit(1);
	st_rel(done, 1);
	for (;;)
		pause();
}

/*
 * One process submits a request and then sleeps outside of the module. Another
 * process, which waits on the ring, gets the CQE.
 */
BOUNDED_TEST(others_wait_for_files)
{
	int *done = shared_new(sizeof(*done)), how;
	const struct task *t;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (t = tasks; t < tasks + ARRAY_SIZE(tasks); t++) {
		if (t->path && access(t->path, R_OK))
			continue;
		for (how = 0; how < NR_HOW; how++) {
			*done = 0;
			pid = fork();
			if (!pid)
				submits_and_sleeps(&r, t, done, how);
			EXPECT_TRUE(until_ms(ld_acq(done), SOON));
			EXPECT_EQ(t->op == IOURING2_OP_FSYNC ? 0 : 4096,
				  finish_how(&r, how, SOON)) {
				TH_LOG("%s, %s", t->name, how_name(how));
			}
			EXPECT_FALSE(flagged(&r));
			kill(pid, SIGKILL);
			EXPECT_EQ(SIGKILL, reap_ms(pid, SOON));
		}
	}
	ring_exit(&r);
	munmap(done, sizeof(*done));
}

/* ---------------------------------------------- end of a parked request */

/* A parked read is cancelled, by its user_data, by its file and by ANY */
BOUNDED_TEST(cancelled)
{
	static const unsigned int flags[] = {
		0, IOURING2_ASYNC_CANCEL_ALL, IOURING2_ASYNC_CANCEL_FD,
		IOURING2_ASYNC_CANCEL_FD | IOURING2_ASYNC_CANCEL_ALL,
		IOURING2_ASYNC_CANCEL_ANY,
		IOURING2_ASYNC_CANCEL_ANY | IOURING2_ASYNC_CANCEL_ALL,
	};
	struct iouring2_sqe *sqe;
	int fd = made_file(), status, res;
	unsigned int i;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(0, park(&r, fd));
		/* by a sharer, as an ENTER of ours could run the read first */
		pid = fork();
		if (!pid) {
			sqe = ring_sqe(&r);
			prep_cancel(sqe, TRIED, flags[i]);
			if (flags[i] & IOURING2_ASYNC_CANCEL_FD)
				sqe->addr = 0;
			if (flags[i] & IOURING2_ASYNC_CANCEL_ANY)
				sqe->addr = 0;
			sqe->fd = flags[i] & IOURING2_ASYNC_CANCEL_FD ? fd : -1;
			sqe->user_data = 5;
			_exit(submit_all(&r) ? 1 : 0);
		}
		status = reap_ms(pid, SOON);
		EXPECT_EQ(0, status);
		ring_sync(&r);
		res = seen_ms(&r, 5, SOON);
		EXPECT_EQ(flags[i] & (IOURING2_ASYNC_CANCEL_ALL |
				      IOURING2_ASYNC_CANCEL_ANY) ? 1 : 0, res) {
			TH_LOG("flags %x", flags[i]);
		}
		EXPECT_EQ(-ECANCELED, seen_ms(&r, TRIED, SOON)) {
			TH_LOG("flags %x", flags[i]);
		}
		EXPECT_FALSE(flagged(&r));
	}
	ring_exit(&r);
	close(fd);
}

/* The close of the ring ends a parked read, and releases its file */
BOUNDED_TEST(closed)
{
	char dir[200], path[256];
	struct ring r;
	int fd;

	tmp_path(dir, sizeof(dir), "proc");
	if (!intrusive() || !mkdtemp(dir) || mount("proc", dir, "proc", 0, NULL))
		SKIP(return, "nothing can be mounted");
	snprintf(path, sizeof(path), "%s/version", dir);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, park(&r, fd));
	close(fd);
	ring_exit(&r);
	EXPECT_EQ(0, umount(dir)) {
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
}

/* --------------------------------------------------- requests that block */

static bool good_end(int res)
{
	return res == 64 || res == -EINTR;
}

MANNER_FIXTURE(manner);

/* The timeout of a wait ends it, even while ENTER is blocked in a read */
TEST_F_TIMEOUT(manner, time_limit, 100)
{
	const enum manner how = variant->how;
	struct cuse *c = cuse_start();
	struct ring r;
	long long t;
	int fd, ret;

	if (!c)
		SKIP(return, "no CUSE");
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	st_rel(&c->hold, true);
	if (how >= LINKED)
		add_timer(&r, 20, HARDLINK, TIMER);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0,
	    how == AS_ASYNC ? ASYNC : 0, TRIED);
	t = now_ns(CLOCK_MONOTONIC);
	ret = enter_timeout(r.fd, ring_publish(&r),
			    how >= LINKED ? 2 : 1, 300 * NSEC_PER_MSEC);
	t = now_ns(CLOCK_MONOTONIC) - t;
	EXPECT_EQ(how >= LINKED ? 2 : 1, ret);
	EXPECT_GT(8 * NSEC_PER_SEC, t);
	/* the same for an ENTER that has nothing to submit */
	t = now_ns(CLOCK_MONOTONIC);
	enter_timeout(r.fd, 0, 2, 300 * NSEC_PER_MSEC);
	t = now_ns(CLOCK_MONOTONIC) - t;
	EXPECT_GT(8 * NSEC_PER_SEC, t);
	st_rel(&c->hold, false);
	ret = res_ms(&r, TRIED, SOON);
	EXPECT_TRUE(good_end(ret)) {
		TH_LOG("%d", ret);
	}
	EXPECT_FALSE(flagged(&r));
	ring_exit(&r);
	close(fd);
	cuse_end(c);
}

struct gate {
	struct cuse *c;
	int p[2];
};

/* Let the device answer as soon as something is in the pipe */
static void *let_through(void *arg)
{
	struct gate *g = arg;
	char b;

	if (read(g->p[0], &b, 1) == 1)
		st_rel(&g->c->hold, false);
	return NULL;
}

/*
 * The only thread of a process submits a read of a device, which answers only
 * after a write that the same thread submits later. Both must complete.
 */
TEST_F_TIMEOUT(manner, waits_for_own_request, 100)
{
	const enum manner how = variant->how;
	struct cuse *c = cuse_start();
	struct gate gate = { .c = c };
	struct ring r;
	pthread_t t;
	int fd, ret;

	if (!c)
		SKIP(return, "no CUSE");
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe2(gate.p, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	st_rel(&c->hold, true);
	ASSERT_EQ(0, pthread_create(&t, NULL, let_through, &gate));
	if (how >= LINKED)
		add_timer(&r, 20, HARDLINK, TIMER);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0,
	    how == AS_ASYNC ? ASYNC : 0, TRIED);
	/* submit both in one ENTER if AS_ASYNC, otherwise in two */
	if (how != AS_ASYNC)
		enter_timeout(r.fd, ring_publish(&r), 1,
			      100 * NSEC_PER_MSEC);
	add(&r, IOURING2_OP_WRITE, gate.p[1], "x", 1, 0, 0, 7);
	enter_timeout(r.fd, ring_publish(&r), 4, 100 * NSEC_PER_MSEC);
	EXPECT_EQ(1, res_ms(&r, 7, SOON));
	ret = res_ms(&r, TRIED, SOON);
	EXPECT_TRUE(good_end(ret)) {
		TH_LOG("%d", ret);
	}
	pthread_join(t, NULL);
	ring_exit(&r);
	close(fd);
	close(gate.p[0]);
	close(gate.p[1]);
	cuse_end(c);
}

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

struct blocked {
	enum manner how;
	int entered, result;
	int cqe;
};

/* The child: it blocks in ENTER until the device answers */
static void blocks(struct blocked *b, struct ring *parent, int fd)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct ring r = *parent;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &sa, NULL);
	ring_sync(&r);
	if (b->how >= LINKED)
		add_timer(&r, 20, HARDLINK, TIMER);
	add(&r, IOURING2_OP_READ, fd, buf, 64, 0, b->how == AS_ASYNC ? ASYNC : 0,
	    TRIED);
	b->result = enter(r.fd, ring_publish(&r), b->how >= LINKED ? 2 : 1,
			  GETEVENTS, NULL, 0);
	st_rel(&b->entered, 1);
	b->cqe = res_ms(&r, TRIED, SOON);
	_exit(caught == SIGUSR1 ? 10 : 0);
}

/* Start the child, and wait until the device has got its read */
static pid_t start_blocked(struct blocked *b, struct ring *r, struct cuse *c,
			   int fd)
{
	unsigned int before = ld_acq(&c->asked);
	pid_t pid;

	st_rel(&c->hold, true);
	b->entered = 0;
	b->cqe = NEVER;
	pid = fork();
	if (!pid)
		blocks(b, r, fd);
	return until_ms(ld_acq(&c->asked) != before, SOON) ? pid : -1;
}

RING_FIXTURE(blocked) {
	enum manner how;
};

FIXTURE_VARIANT_ADD(blocked, plain) { PLAIN };
FIXTURE_VARIANT_ADD(blocked, async) { AS_ASYNC };
FIXTURE_VARIANT_ADD(blocked, linked) { LINKED };

/* A signal ends an ENTER that is blocked in a read, and its handler runs */
TEST_F_TIMEOUT(blocked, signals, 100)
{
	struct blocked *b = shared_new(sizeof(*b));
	struct cuse *c = cuse_start();
	struct ring r;
	int fd, status;
	pid_t pid;

	if (!c)
		SKIP(return, "no CUSE");
	b->how = variant->how;
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = start_blocked(b, &r, c, fd);
	ASSERT_LT(0, pid);
	/* the process itself reads, and not a kernel thread */
	EXPECT_EQ(pid, ld_acq(&c->reader));
	kill(pid, SIGUSR1);
	EXPECT_TRUE(until_ms(ld_acq(&b->entered), SOON));
	EXPECT_TRUE(b->result > 0 || b->result == -EINTR) {
		TH_LOG("%d", b->result);
	}
	st_rel(&c->hold, false);
	status = reap_ms(pid, SOON);
	EXPECT_EQ(10 << 8, status);
	EXPECT_TRUE(good_end(b->cqe)) {
		TH_LOG("%d", b->cqe);
	}
	ring_exit(&r);
	close(fd);
	cuse_end(c);
	munmap(b, sizeof(*b));
}

/* A process that is blocked in ENTER can be stopped, and goes on afterwards */
TEST_F_TIMEOUT(blocked, stopped_and_continued, 100)
{
	struct blocked *b = shared_new(sizeof(*b));
	struct cuse *c = cuse_start();
	struct ring r;
	int fd, status = 0;
	pid_t pid;

	if (!c)
		SKIP(return, "no CUSE");
	b->how = variant->how;
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = start_blocked(b, &r, c, fd);
	ASSERT_LT(0, pid);
	kill(pid, SIGSTOP);
	EXPECT_TRUE(until_ms(waitpid(pid, &status, WNOHANG | WUNTRACED) ==
			     pid, SOON));
	EXPECT_TRUE(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	usleep(50000);
	st_rel(&c->hold, false);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_TRUE(good_end(b->cqe)) {
		TH_LOG("%d", b->cqe);
	}
	ring_exit(&r);
	close(fd);
	cuse_end(c);
	munmap(b, sizeof(*b));
}

/* A process that is blocked in ENTER can be killed */
TEST_F_TIMEOUT(blocked, killed, 100)
{
	struct blocked *b = shared_new(sizeof(*b));
	struct cuse *c = cuse_start();
	struct ring r;
	int fd, res;
	pid_t pid;

	if (!c)
		SKIP(return, "no CUSE");
	b->how = variant->how;
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = start_blocked(b, &r, c, fd);
	ASSERT_LT(0, pid);
	/* meanwhile other processes can use the ring */
	ring_sync(&r);
	ring_nop(&r, 3);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, seen_ms(&r, 3, 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(pid, SOON));
	res = res_ms(&r, TRIED, SOON);
	EXPECT_TRUE(res == -ECANCELED || res == -EINTR) {
		TH_LOG("%d", res);
	}
	st_rel(&c->hold, false);
	ring_exit(&r);
	close(fd);
	cuse_end(c);
	munmap(b, sizeof(*b));
}

/*
 * A request blocks its owner in ENTER. Another process that has the ring
 * cancels the request.
 */
TEST_F_TIMEOUT(blocked, cancelled_while_it_blocks, 100)
{
	struct blocked *b = shared_new(sizeof(*b));
	struct cuse *c = cuse_start();
	struct iouring2_sqe *sqe;
	struct ring r;
	int fd, res;
	pid_t pid;

	if (!c)
		SKIP(return, "no CUSE");
	b->how = variant->how;
	fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = start_blocked(b, &r, c, fd);
	ASSERT_LT(0, pid);
	ring_sync(&r);
	sqe = ring_sqe(&r);
	prep_cancel(sqe, TRIED, 0);
	sqe->user_data = 3;
	EXPECT_EQ(0, submit_all(&r));
	res = seen_ms(&r, 3, SOON);
	EXPECT_TRUE(res == 0 || res == -EALREADY) {
		TH_LOG("%d", res);
	}
	EXPECT_TRUE(until_ms(ld_acq(&b->entered), SOON));
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_TRUE(b->cqe == -ECANCELED || b->cqe == -EINTR) {
		TH_LOG("%d", b->cqe);
	}
	st_rel(&c->hold, false);
	ring_exit(&r);
	close(fd);
	cuse_end(c);
	munmap(b, sizeof(*b));
}

RING_TEST_MAIN
