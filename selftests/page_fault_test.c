// SPDX-License-Identifier: GPL-2.0-only
/*
 * I9 with a page fault that does not end: the memory of a request is a page
 * that no one provides. Whatever context of the module touches it, neither
 * close nor SIGKILL may wait for it. No request may start after a close.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/userfaultfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "inflight.h"

#define LINK		IOURING2_SQE_IO_LINK
#define ASYNC		IOURING2_SQE_ASYNC
#define RESCUE_MS	60000

/*
 * A page that is missing until the test provides it. @pipe belongs to a request
 * that waits for the page and holds the mutex of the pipe meanwhile.
 */
struct absent {
	int fd;
	int pipe[2];
	char *page;
	size_t len;
	pthread_t rescuer;
	bool done, rescued;
};

static int absent_make(struct absent *a)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	memset(a, 0, sizeof(*a));
	a->pipe[0] = -1;
	a->pipe[1] = -1;
	a->len = sysconf(_SC_PAGESIZE);
	a->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return -ENODEV;		/* not configured, or not permitted */
	a->page = mmap(NULL, a->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)a->page;
	reg.range.len = a->len;
	if (ioctl(a->fd, UFFDIO_API, &api) ||
	    ioctl(a->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

static bool absent_wanted(struct absent *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int absent_provide(struct absent *a, const void *with)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)a->page,
		.src = (uintptr_t)with,
		.len = a->len,
	};

	return ioctl(a->fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

static void absent_free(struct absent *a)
{
	close(a->fd);
	close(a->pipe[0]);
	close(a->pipe[1]);
	munmap(a->page, a->len);
}

/*
 * Provide the page after a time limit, so that a module that waits for it fails
 * one test and does not stop the machine
 */
static void *rescue(void *arg)
{
	struct absent *a = arg;
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)a->page, .len = a->len },
	};

	if (until_ms(ld_acq(&a->done), RESCUE_MS))
		return NULL;
	st_rel(&a->rescued, true);
	ioctl(a->fd, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

/*
 * Ways to make the kernel touch the page while the submitter does something
 * else. Return: 0, or -errno. After 0, the touch happens without further
 * action.
 */
static int touch_in_worker(struct ring *r, struct absent *a, int file)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_read(sqe, file, a->page, 64, 0);
	sqe->flags = ASYNC;
	return ring_submit(r) == 1 ? 0 : -EIO;
}

/* The file becomes ready, so the request is tried again */
static int touch_in_retry(struct ring *r, struct absent *a, int file)
{
	if (pipe2(a->pipe, O_CLOEXEC))
		return -errno;
	prep_read(ring_sqe(r), a->pipe[0], a->page, 64, 0);
	if (ring_submit(r) != 1 || write(a->pipe[1], "x", 1) != 1)
		return -EIO;
	return 0;
}

/* The predecessor in the chain ends in another context */
static int touch_in_link(struct ring *r, struct absent *a, int file)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	uint64_t one = 1;
	int ret, efd = eventfd(0, EFD_CLOEXEC);

	prep_poll(sqe, efd, POLLIN);
	sqe->flags = LINK;
	prep_read(ring_sqe(r), file, a->page, 64, 0);
	ret = ring_submit(r) == 2 ? 0 : -EIO;
	if (write(efd, &one, sizeof(one)) != sizeof(one))
		ret = -EIO;
	close(efd);
	return ret;
}

/*
 * The same, where the predecessor ends in a worker, which is not registered as
 * the one that runs its successor
 */
static int touch_in_link_of_worker(struct ring *r, struct absent *a, int file)
{
	static char buf[64];
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_read(sqe, file, buf, sizeof(buf), 0);
	sqe->flags = LINK | ASYNC;
	prep_read(ring_sqe(r), file, a->page, 64, 0);
	return ring_submit(r) == 2 ? 0 : -EIO;
}

static int touch_behind_drain(struct ring *r, struct absent *a, int file)
{
	struct iouring2_sqe *sqe;
	uint64_t one = 1;
	int ret, efd = eventfd(0, EFD_CLOEXEC);

	prep_poll(ring_sqe(r), efd, POLLIN);
	sqe = ring_sqe(r);
	prep_read(sqe, file, a->page, 64, 0);
	sqe->flags = IOURING2_SQE_IO_DRAIN;
	ret = ring_submit(r) == 2 ? 0 : -EIO;
	if (write(efd, &one, sizeof(one)) != sizeof(one))
		ret = -EIO;
	close(efd);
	return ret;
}

static const struct {
	const char *name;
	int (*start)(struct ring *r, struct absent *a, int file);
} touches[] = {
	{ "in a worker", touch_in_worker },
	{ "tried again", touch_in_retry },
	{ "behind a link", touch_in_link },
	{ "behind a worker's link", touch_in_link_of_worker },
	{ "behind a drain barrier", touch_behind_drain },
};

RING_TEST(close_does_not_wait)
{
	struct absent a;
	struct ring r;
	unsigned int i;
	int file = tmp_file(4096), ret;

	ASSERT_LE(0, file);
	for (i = 0; i < ARRAY_SIZE(touches); i++) {
		ret = absent_make(&a);
		if (ret == -ENODEV)
			SKIP(return, "no userfaultfd");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, touches[i].start(&r, &a, file));
		ASSERT_TRUE(until(absent_wanted(&a))) {
			TH_LOG("%s: page not touched", touches[i].name);
		}
		ASSERT_EQ(0, pthread_create(&a.rescuer, NULL, rescue, &a));
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&self->before, false));
		st_rel(&a.done, true);
		pthread_join(a.rescuer, NULL);
		EXPECT_FALSE(a.rescued) {
			TH_LOG("%s: close waited for the page",
			       touches[i].name);
		}
		absent_free(&a);
	}
	close(file);
}

/* What the child that will be killed is doing */
enum child_does {
	SLEEPS,
	IS_BEHIND,	/* waits for a lock that the worker holds */
};

static void child_to_kill(struct talk *t, int to, enum child_does what)
{
	struct absent a;
	struct ring r;
	int ret;

	ret = ring_init(&r, 8, 0);
	if (!ret)
		ret = absent_make(&a);
	if (ret)
		_exit(ret == -ENODEV ? 4 : 1);
	if (touch_in_retry(&r, &a, -1) || !until(absent_wanted(&a)) ||
	    write(to, &a, sizeof(a)) != sizeof(a))
		_exit(1);
	say(t, '+');
	if (what == IS_BEHIND)
		close(a.pipe[1]);
	wait_for_parent(t);
	_exit(0);
}

static char proc_state(pid_t pid)
{
	char name[32], line[256] = "", *end;
	int fd, len;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, line, sizeof(line) - 1);
	close(fd);
	end = len > 0 ? strrchr(line, ')') : NULL;
	return end && end[1] == ' ' ? end[2] : 0;
}

/* Return: "", what went wrong, or NULL if there is no userfaultfd */
static const char *killed(enum child_does what)
{
	struct absent a;
	struct talk t;
	int pidfd, status, msg[2];
	pid_t pid;

	if (talk_open(&t) || pipe2(msg, O_CLOEXEC))
		return "cannot make pipes";
	pid = fork();
	if (!pid) {
		talk_child(&t);
		child_to_kill(&t, msg[1], what);
	}
	talk_parent(&t);
	if (listen_to(&t) != '+')
		return WEXITSTATUS(reap(pid)) == 4 ? NULL : "the child failed";
	if (read(msg[0], &a, sizeof(a)) != sizeof(a))
		return "the child sent no page";
	/*
	 * Take a copy of the descriptor, so that the child's exit does not
	 * close it
	 */
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	a.fd = syscall(__NR_pidfd_getfd, pidfd, a.fd, 0);
	if (a.fd < 0)
		return "pidfd_getfd";
	if (pthread_create(&a.rescuer, NULL, rescue, &a))
		return "cannot start a thread";
	if (!until(proc_state(pid) == (what == IS_BEHIND ? 'D' : 'S')))
		return "the child does not wait";
	/*
	 * this is longer than the period at which the module checks busy
	 * workers
	 */
	if (what == IS_BEHIND)
		sleep(2);
	kill(pid, SIGKILL);
	status = reap(pid);
	st_rel(&a.done, true);
	pthread_join(a.rescuer, NULL);
	talk_close(&t);
	close(msg[0]);
	close(msg[1]);
	close(pidfd);
	close(a.fd);
	if (status != SIGKILL)
		return "the child was not ended by SIGKILL";
	return a.rescued ? "SIGKILL waited for the page" : "";
}

RING_TEST(killed)
{
	const char *what = killed(SLEEPS);

	if (!what)
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", what);
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/*
 * The process cannot exit, because it sleeps uninterruptibly for a lock that
 * the worker holds: the worker has to be ended first.
 */
RING_TEST(killed_behind_worker)
{
	const char *what = killed(IS_BEHIND);

	if (!what)
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", what);
	EXPECT_STREQ("", state_diff(&self->before, false));
}

struct reader {
	struct ring *r;
	struct absent *a;
	int file, ret;
};

static void *read_at_once(void *arg)
{
	struct reader *p = arg;

	prep_read(ring_sqe(p->r), p->file, p->a->page, 64, 0);
	p->ret = ring_submit(p->r);
	return NULL;
}

/*
 * A request that is tried in the submission keeps its file, although another
 * thread closes the descriptor meanwhile
 */
RING_TEST(closed_in_the_fault)
{
	struct reader p = { .ret = -1 };
	struct iouring2_cqe cqe;
	char page[4096] = "";
	pthread_t thread;
	struct absent a;
	struct ring r;
	int i, ret;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	p = (struct reader) { &r, &a, tmp_file(4096), -1 };
	ASSERT_LE(0, p.file);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_at_once, &p));
	ASSERT_TRUE(until(absent_wanted(&a)));
	EXPECT_EQ(0, close(p.file));
	/* a file that was freed is one of these now */
	for (i = 0; i < 100; i++)
		close(eventfd(0, EFD_CLOEXEC));
	ASSERT_EQ(0, absent_provide(&a, page));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, p.ret);
	ASSERT_EQ(0, ring_take(&r, 0, &cqe));
	EXPECT_EQ(64, cqe.res);
	for (i = 0; i < 64; i++)
		EXPECT_EQ(pattern_byte(i), (unsigned char)a.page[i]);
	ring_exit(&r);
	absent_free(&a);
}

/*
 * A request that waits for its page does not prevent the cancellation of others
 */
RING_TEST(cancel_beside)
{
	struct iouring2_cqe cqe;
	struct absent a;
	struct ring r;
	char c, page[4096] = "";
	int fds[2], ret;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, touch_in_retry(&r, &a, -1));
	ASSERT_TRUE(until(absent_wanted(&a)));
	prep_read(ring_sqe(&r), fds[0], &c, 1, 0);
	r.sqes[1].user_data = 7;
	ASSERT_EQ(1, ring_submit(&r));
	/* it is ready as well, but behind the other one; no task is in ENTER */
	ASSERT_EQ(1, write(fds[1], "x", 1));
	usleep(50000);
	prep_cancel(ring_sqe(&r), 7, 0);
	r.sqes[2].user_data = 8;
	ASSERT_EQ(1, ring_submit(&r));
	/*
	 * our own ENTER may have executed it, or it was cancelled, but it is
	 * not lost
	 */
	ASSERT_EQ(0, ring_take(&r, 7, &cqe));
	EXPECT_TRUE(cqe.res == 1 || cqe.res == -ECANCELED);
	ASSERT_EQ(0, ring_take(&r, 8, &cqe));
	EXPECT_TRUE(cqe.res == 0 || cqe.res == -ENOENT ||
		    cqe.res == -EALREADY);
	ASSERT_EQ(0, absent_provide(&a, page));
	ASSERT_EQ(0, ring_take(&r, 0, &cqe));
	EXPECT_EQ(1, cqe.res);
	EXPECT_EQ('x', a.page[0]);
	ring_exit(&r);
	close(fds[0]);
	close(fds[1]);
	absent_free(&a);
}

static int async_rw(struct ring *r, int op, int fd, const void *addr, __u64 id)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, op, fd, addr, 64, 0);
	sqe->flags = ASYNC;
	sqe->user_data = id;
	return ring_submit(r);
}

static int cancel_it(struct ring *r, __u64 id)
{
	prep_cancel(ring_sqe(r), id, 0);
	return ring_do(r);
}

/*
 * Buffered writes of one file run one after the other; a write of another file
 * does not wait for them
 */
RING_TEST(writes_in_order)
{
	static char data[4096];
	struct iouring2_cqe cqe;
	int ret, file, other;
	struct absent a;
	struct ring r;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	file = tmp_file(4096);
	other = tmp_file(4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_WRITE, file, a.page, 1));
	ASSERT_TRUE(until(absent_wanted(&a)));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_WRITE, file, data, 2));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_WRITE, other, data, 3));
	ASSERT_EQ(0, ring_take(&r, 3, &cqe));
	EXPECT_EQ(64, cqe.res);
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 100 * NSEC_PER_MSEC));
	/* The second write has not started */
	EXPECT_EQ(0, cancel_it(&r, 2));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ASSERT_EQ(0, absent_provide(&a, data));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(64, cqe.res);
	ring_exit(&r);
	close(file);
	close(other);
	absent_free(&a);
}

/* With as many workers for files as are allowed, the next request waits */
RING_TEST(file_workers_limited)
{
	long was = module_param("workers_bounded");
	static char data[4096];
	struct iouring2_cqe cqe;
	struct absent a;
	struct ring r;
	int ret, file;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	if (module_param_set("workers_bounded", 1) < 0)
		SKIP(return, "parameters not writable");
	file = tmp_file(4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_READ, file, a.page, 1));
	ASSERT_TRUE(until(absent_wanted(&a)));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_READ, file, data, 2));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 100 * NSEC_PER_MSEC));
	EXPECT_EQ(1, fdinfo(r.fd, "Workers"));
	EXPECT_EQ(0, cancel_it(&r, 2));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ASSERT_EQ(0, absent_provide(&a, data));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(64, cqe.res);
	ring_exit(&r);
	close(file);
	absent_free(&a);
	EXPECT_EQ(0, module_param_set("workers_bounded", was));
}

struct late {
	pthread_t self;
	int fd, ret;
	void *arg;
};

static void *enter_late(void *arg)
{
	struct late *l = arg;

	l->ret = ioctl(l->fd, IOURING2_IOC_ENTER, l->arg);
	if (l->ret < 0)
		l->ret = -errno;
	return NULL;
}

/*
 * A thread is inside ENTER and has not submitted yet when its process closes
 * the last descriptor. Nothing would end a request that it then submits, so
 * ENTER must fail. With @other, a second descriptor remains, and ENTER must
 * succeed.
 */
static const char *enter_after_close(bool other)
{
	static char page[4096];
	struct iouring2_enter *e = (void *)page;
	struct absent a;
	struct late l;
	struct ring r;
	int ret, fd2 = -1, fds[2];

	ret = absent_make(&a);
	if (ret)
		return ret == -ENODEV ? NULL : "cannot make the page";
	if (pipe2(fds, O_CLOEXEC) || ring_init(&r, 8, 0))
		return "cannot make a ring";
	memset(e, 0, sizeof(*e));
	e->to_submit = 1;
	prep_read(ring_sqe(&r), fds[0], page, 1, 0);
	ring_publish(&r);
	l.fd = r.fd;
	l.arg = a.page;
	if (pthread_create(&l.self, NULL, enter_late, &l))
		return "cannot start a thread";
	if (!until(absent_wanted(&a)))
		return "ENTER did not read its argument";
	if (other)
		fd2 = dup(r.fd);
	close(r.fd);
	if (absent_provide(&a, page))
		return "page not provided";
	pthread_join(l.self, NULL);
	if (l.ret != (other ? 1 : -EBADF))
		return other ? "ENTER failed although a descriptor remains" :
			       "ENTER submitted after the last close";
	if (*r.sq_head != (other ? 1 : 0))
		return "wrong SQ head";
	if (counter("files") != (other ? 1 : 0))
		return "wrong number of files held by requests";
	if (other)
		close(fd2);
	if (counter("files"))
		return "the request outlived the last close";
	ring_unmap(&r);
	close(fds[0]);
	close(fds[1]);
	absent_free(&a);
	return "";
}

RING_TEST(enter_behind_close)
{
	const char *what = enter_after_close(false);

	if (!what)
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", what);
}

RING_TEST(enter_beside_close)
{
	const char *what = enter_after_close(true);

	if (!what)
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", what);
}

/* ------------------------------------ one who submits is stuck, others leave */

struct stuck_submitter {
	pthread_t self;
	struct ring *r;
	struct absent a;
	int ret;
};

static void *submit_stuck(void *arg)
{
	struct stuck_submitter *s = arg;

	s->ret = ring_submit(s->r);
	return NULL;
}

/* The submitter reads the iovecs from the page, and holds the ring's lock */
static int stuck_start(struct stuck_submitter *s, struct ring *r, int file)
{
	s->r = r;
	prep(ring_sqe(r), IOURING2_OP_READV, file, s->a.page, 2, 0);
	r->sqes[(r->sqe_tail - 1) & *r->sq_mask].user_data = 9;
	if (pthread_create(&s->self, NULL, submit_stuck, s))
		return -EAGAIN;
	return until(absent_wanted(&s->a)) ? 0 : -ETIME;
}

static int stuck_end(struct stuck_submitter *s)
{
	static char page[4096];
	int ret = absent_provide(&s->a, page);

	pthread_join(s->self, NULL);
	absent_free(&s->a);
	return ret ? ret : s->ret;
}

/* A process that inherited a ring and never used it can close it at any time */
RING_TEST(close_beside_submitter)
{
	struct stuck_submitter s;
	int ret, file, status;
	struct ring r;
	pid_t pid;

	ret = absent_make(&s.a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	file = tmp_file(4096);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, stuck_start(&s, &r, file));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(r.fd);
		_exit(0);
	}
	EXPECT_TRUE(until(waitpid(pid, &status, WNOHANG) == pid)) {
		TH_LOG("the child's close waits for the submitter");
	}
	EXPECT_EQ(1, stuck_end(&s));
	ring_exit(&r);
	close(file);
}

/*
 * A process with requests waits for the lock when it closes the ring. Work that
 * others defer meanwhile is run.
 */
RING_TEST(leaver_is_no_waiter)
{
	struct __kernel_timespec ts = ts_ns(700 * NSEC_PER_MSEC);
	struct stuck_submitter s;
	struct iouring2_cqe cqe;
	int ret, file, efd;
	struct talk t;
	struct ring r;
	pid_t pid;

	ret = absent_make(&s.a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	file = tmp_file(4096);
	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		talk_child(&t);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		if (ring_submit(&r) != 1)
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		close(r.fd);
		_exit(0);
	}
	talk_parent(&t);
	ASSERT_EQ('+', listen_to(&t));
	r.sqe_tail = *r.sq_tail;
	prep_timeout(ring_sqe(&r), &ts, 0, 0);
	r.sqes[1].user_data = 7;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, stuck_start(&s, &r, file));
	/*
	 * the child goes on to close the ring, and waits for the stuck
	 * submitter
	 */
	talk_close(&t);
	/*
	 * The CQEs of the child's poll and of the timeout must come, with no
	 * task in ENTER but the stuck one
	 */
	EXPECT_TRUE(until(ring_ready(&r) == 2)) {
		TH_LOG("%u CQEs", ring_ready(&r));
	}
	EXPECT_EQ(1, stuck_end(&s));
	EXPECT_EQ(0, reap(pid));
	ASSERT_EQ(0, ring_take(&r, 7, &cqe));
	EXPECT_EQ(-ETIME, cqe.res);
	ring_exit(&r);
	close(efd);
	close(file);
}

struct first_use {
	pthread_t self;
	struct ring *r;
	bool go;
	int ret;
};

static void *use_first(void *arg)
{
	struct first_use *u = arg;

	while (!ld_acq(&u->go))
		;
	u->ret = enter(u->r->fd, 1, 0, 0, NULL, 0);
	return NULL;
}

/*
 * In a process that has never used the ring, its first ENTER races with its
 * last close
 */
static void first_and_last(struct ring *r, int efd, unsigned int spin)
{
	struct first_use u = { .r = r };
	volatile unsigned int i;

	prep_poll(ring_sqe(r), efd, POLLIN);
	ring_publish(r);
	if (pthread_create(&u.self, NULL, use_first, &u))
		_exit(1);
	st_rel(&u.go, true);
	for (i = spin; i; i--)
		;
	close(r->fd);
	pthread_join(u.self, NULL);
	if (u.ret != 1 && u.ret != -EBADF)
		_exit(2);
	/* Either ENTER came too late, or the close has ended the request */
	_exit(counter("files") ? 3 : 0);
}

RING_TEST(first_enter_and_last_close)
{
	unsigned int round;
	struct ring r;
	int efd, status;
	pid_t pid;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	for (round = 0; round < 40; round++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			first_and_last(&r, efd, round * 5000);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("round %u: %d", round, WEXITSTATUS(status));
		}
		ring_exit(&r);
	}
	close(efd);
}

/* --------------------------------------------- what was done before a cancel */

/* Cache only the first half of a file in the page cache */
static bool cache_half(int fd, size_t half)
{
	char *mem = malloc(half);
	bool ok;

	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	ok = pread(fd, mem, half, 0) == (ssize_t)half;
	free(mem);
	return ok;
}

/*
 * A read that has got half of its data waits for a worker, and is cancelled.
 * Its result is the number of bytes that it got, and the file position is
 * behind them.
 */
RING_TEST(cancelled_half_way)
{
	enum { HALF = 65536 };
	long was = module_param("workers_bounded");
	static char data[2 * HALF], page[4096];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int ret, file, other, i;
	struct absent a;
	struct ring r;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	if (module_param_set("workers_bounded", 1) < 0)
		SKIP(return, "parameters not writable");
	file = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	other = tmp_file(4096);
	ASSERT_LE(0, file);
	for (i = 0; i < 2 * HALF; i++)
		data[i] = pattern_byte(i);
	ASSERT_EQ(2 * HALF, write(file, data, 2 * HALF));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(1, async_rw(&r, IOURING2_OP_READ, other, a.page, 1));
	ASSERT_TRUE(until(absent_wanted(&a)));
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(cache_half(file, HALF));
		memset(data, 0, sizeof(data));
		ASSERT_EQ(0, lseek(file, 0, SEEK_SET));
		sqe = ring_sqe(&r);
		prep_read(sqe, file, data, 2 * HALF, -1);
		sqe->user_data = 2;
		sqe->flags = LINK;
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		sqe->user_data = 3;
		ASSERT_EQ(2, ring_submit(&r));
		/*
		 * the disk may have been so fast that the read has ended: try
		 * again
		 */
		if (!ring_ready(&r))
			break;
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		ASSERT_EQ(0, ring_take(&r, 3, &cqe));
	}
	if (i < 20) {
		EXPECT_EQ(0, cancel_it(&r, 2));
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		EXPECT_LE(HALF, cqe.res);
		EXPECT_GT(2 * HALF, cqe.res);
		EXPECT_EQ(cqe.res, lseek(file, 0, SEEK_CUR));
		for (i = 0; i < cqe.res; i++)
			ASSERT_EQ(pattern_byte(i), (unsigned char)data[i]);
		/*
		 * A short read counts as failed, so the linked request does not
		 * run
		 */
		ASSERT_EQ(0, ring_take(&r, 3, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
		i = 0;
	}
	ASSERT_EQ(0, absent_provide(&a, page));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	ring_exit(&r);
	close(file);
	close(other);
	absent_free(&a);
	EXPECT_EQ(0, module_param_set("workers_bounded", was));
	if (i)
		SKIP(return, "no read stopped at the end of the cached half");
}

/* ------------------------------------------------ one who waits is stuck */

struct stuck {
	pthread_t self;
	struct ring *ring;
	pid_t tid;
};

static void *wait_for_one(void *arg)
{
	struct stuck *s = arg;

	st_rel(&s->tid, (pid_t)syscall(__NR_gettid));
	enter(s->ring->fd, 0, 1, IOURING2_ENTER_GETEVENTS, NULL, 0);
	return NULL;
}

/*
 * A thread in ENTER tries a read again and faults. The CQEs of deferred work
 * must nevertheless reach the CQ, for other threads that look there.
 */
RING_TEST(others_do_not_wait_for_it)
{
	struct __kernel_timespec ts = ts_ns(100 * 1000 * 1000);
	static char data[4096];
	struct stuck s = { };
	struct absent a;
	struct ring r;
	uint64_t one = 1;
	int ret, efd;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	s.ring = &r;
	/* every kernel reads an eventfd without a worker */
	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_read(ring_sqe(&r), efd, a.page, sizeof(one), 0);
	ASSERT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, wait_for_one, &s));
	EXPECT_TRUE(until(ld_acq(&s.tid) && task_sleeps(s.tid)));
	ASSERT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	EXPECT_TRUE(until(absent_wanted(&a)));
	prep_timeout(ring_sqe(&r), &ts, 0, 0);
	ASSERT_EQ(1, ring_submit(&r));
	EXPECT_TRUE(until(ring_ready(&r) == 1));
	ASSERT_EQ(0, absent_provide(&a, data));
	pthread_join(s.self, NULL);
	EXPECT_TRUE(until(ring_ready(&r) == 2));
	ring_exit(&r);
	close(efd);
	absent_free(&a);
}

/* -------------------------------------- cancelled while it is tried once more */

enum { READ_ID = 21, CANCEL_ID };

/*
 * Cancel the read from a thread other than the one that executes it. Return:
 * the result of the cancellation, or -errno.
 */
static int cancel_read(struct ring *r)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	struct iouring2_cqe cqe;

	prep_cancel(sqe, READ_ID, 0);
	sqe->user_data = CANCEL_ID;
	if (ring_submit(r) != 1)
		return -EPROTO;
	if (!until(ring_ready(r)) || ring_take(r, CANCEL_ID, &cqe))
		return -ENOMSG;
	return cqe.res;
}

/*
 * The read is found while it is being executed. The cancellation reports that
 * it is too late, and the read returns its data.
 */
RING_TEST(cancelled_while_tried_again)
{
	static char data[4096];
	struct stuck s = { };
	struct iouring2_cqe cqe;
	struct absent a;
	struct ring r;
	uint64_t one = 1;
	int ret, efd;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	s.ring = &r;
	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_read(ring_sqe(&r), efd, a.page, sizeof(one), 0);
	r.sqes[0].user_data = READ_ID;
	ASSERT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, wait_for_one, &s));
	EXPECT_TRUE(until(ld_acq(&s.tid) && task_waits(s.tid)));
	ASSERT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	EXPECT_TRUE(until(absent_wanted(&a)));
	EXPECT_EQ(-EALREADY, cancel_read(&r));
	ASSERT_EQ(0, absent_provide(&a, data));
	pthread_join(s.self, NULL);
	ASSERT_EQ(0, ring_take(&r, READ_ID, &cqe));
	EXPECT_EQ((int)sizeof(one), cqe.res);
	EXPECT_EQ(0, memcmp(a.page, &one, sizeof(one)));
	ring_exit(&r);
	close(efd);
	absent_free(&a);
}

struct receiver {
	pthread_t self;
	struct absent *a;
	pid_t tid;
	int sock, ret;
};

/* Receive into the page: the fault holds the lock of the socket */
static void *receive_into_page(void *arg)
{
	struct receiver *v = arg;
	struct sched_param first = { .sched_priority = 1 };

	v->ret = -pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	st_rel(&v->tid, (pid_t)syscall(__NR_gettid));
	if (!v->ret)
		v->ret = recv(v->sock, v->a->page, 1, 0);
	return NULL;
}

/*
 * The data that the read was to get is taken by another task. The read,
 * cancelled meanwhile, must end instead of waiting again.
 *
 * The other task gets the data because it has the higher priority of two tasks
 * on one processor.
 */
RING_TEST(cancelled_before_it_waits_again)
{
	static char data[4096];
	struct receiver v = { };
	struct stuck s = { };
	struct iouring2_cqe cqe;
	struct absent a;
	struct ring r;
	int ret, sv[2];
	char b;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, pin_to_one_cpu());
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	s.ring = &r;
	v.a = &a;
	v.sock = sv[0];
	prep_read(ring_sqe(&r), sv[0], &b, 1, 0);
	r.sqes[0].user_data = READ_ID;
	ASSERT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, pthread_create(&v.self, NULL, receive_into_page, &v));
	EXPECT_TRUE(until(ld_acq(&v.tid) && (v.ret || task_waits(v.tid))));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, wait_for_one, &s));
	EXPECT_TRUE(until(ld_acq(&s.tid) && task_waits(s.tid)));
	if (v.ret)
		SKIP(goto end, "no permission for a realtime priority");
	ASSERT_EQ(1, write(sv[1], "x", 1));
	EXPECT_TRUE(until(absent_wanted(&a)));
	EXPECT_TRUE(until(task_wants_lock(s.tid)));
	EXPECT_EQ(-EALREADY, cancel_read(&r));
	ASSERT_EQ(0, absent_provide(&a, data));
	pthread_join(v.self, NULL);
	EXPECT_EQ(1, v.ret);
	EXPECT_TRUE(until(ring_ready(&r))) {
		TH_LOG("the cancelled read still waits");
	}
end:
	/* This also ends a read that wrongly waits */
	EXPECT_EQ(1, write(sv[1], "y", 1));
	pthread_join(s.self, NULL);
	ASSERT_EQ(0, ring_take(&r, READ_ID, &cqe));
	if (v.ret == 1)
		EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&r);
	close(sv[0]);
	close(sv[1]);
	absent_free(&a);
}

/* The same with a read that a task in ENTER starts, after a timer */
RING_TEST(cancelled_on_first_attempt)
{
	struct __kernel_timespec ts = ts_ns(100 * NSEC_PER_MSEC);
	static char data[4096];
	struct receiver v = { };
	struct stuck s = { };
	struct iouring2_cqe cqe;
	struct absent a;
	struct ring r;
	int ret, sv[2];
	char b;

	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	s.ring = &r;
	v.a = &a;
	v.sock = sv[0];
	/* The receiver takes the lock of the socket first */
	ASSERT_EQ(1, write(sv[1], "x", 1));
	ASSERT_EQ(0, pthread_create(&v.self, NULL, receive_into_page, &v));
	EXPECT_TRUE(until(absent_wanted(&a)));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, wait_for_one, &s));
	EXPECT_TRUE(until(ld_acq(&s.tid) && task_waits(s.tid)));
	prep_timeout(ring_sqe(&r), &ts, 0, 0);
	r.sqes[0].flags = IOURING2_SQE_IO_HARDLINK;
	prep_read(ring_sqe(&r), sv[0], &b, 1, 0);
	r.sqes[1].user_data = READ_ID;
	ASSERT_EQ(2, ring_submit(&r));
	EXPECT_TRUE(until(task_wants_lock(s.tid)));
	prep_cancel(ring_sqe(&r), READ_ID, 0);
	r.sqes[2].user_data = CANCEL_ID;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_take(&r, CANCEL_ID, &cqe));
	EXPECT_EQ(-EALREADY, cqe.res);
	ASSERT_EQ(0, absent_provide(&a, data));
	pthread_join(v.self, NULL);
	EXPECT_TRUE(until(ring_ready(&r) == 2)) {
		TH_LOG("the cancelled read still waits");
	}
	EXPECT_EQ(1, write(sv[1], "y", 1));
	pthread_join(s.self, NULL);
	ASSERT_EQ(0, ring_take(&r, READ_ID, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&r);
	close(sv[0]);
	close(sv[1]);
	absent_free(&a);
}

RING_TEST_MAIN
