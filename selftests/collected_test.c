// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that nobody can reach: their last descriptor is in flight over a UNIX
 * socket whose own last descriptor is in flight there, too. The kernel's
 * collector of such sockets closes them, in a kernel thread.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "cuse.h"
#include "lingering.h"

/* Put @nr descriptors into a socket that nobody can reach, and close them */
static int lose(const int *fds, int nr)
{
	int s[2], i, ret;

	ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) ? -errno :
	      send_fd(s[0], s[1], 0);
	for (i = 0; i < nr; i++) {
		ret = ret ? ret : send_fd(s[0], fds[i], 0);
		close(fds[i]);
	}
	close(s[0]);
	close(s[1]);
	return ret;
}

/* The collector runs when a socket closes while others are in flight */
static void collect(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	lose(&fd, 1);
	lose(NULL, 0);
}

/* ------------------------------------------------- a ring that has requests */

#define TIMERS	400

/*
 * @r: the ring
 * @add: adds requests and submits them; returns 0, or what failed
 * @path: a file for these requests
 * @over: the thread that shares its maker's first table shall end
 * @sharer: this thread
 * @sock: a socket that gets the ring; 0: it gets lost in a socket of its own
 * @last: the process that has the last descriptor of the ring
 * @ret: 0, or what failed
 */
struct orphan {
	struct ring r;
	int (*add)(struct orphan *o);
	const char *path;
	bool over;
	pid_t sharer, last;
	int sock;
	int ret;
};

static void *shares_table(void *arg)
{
	struct orphan *o = arg;

	st_rel(&o->sharer, gettid());
	until_ms(ld_acq(&o->over), 4 * SOON);
	return NULL;
}

/* Has a thread closed its files? It has once it is gone; it is joined earlier. */
static bool is_gone(pid_t pid, pid_t tid)
{
	return syscall(SYS_tgkill, pid, tid, 0) && errno == ESRCH;
}

/* Timers, each of which changes the poll of the ring itself when it expires */
static int add_timers(struct orphan *o)
{
	static struct __kernel_timespec ts[TIMERS];
	struct ring *r = &o->r;
	struct iouring2_sqe *sqe = ring_sqe(r);
	int i;

	prep_poll(sqe, r->fd, POLLPRI);
	sqe->user_data = TRIED;
	for (i = 0; i < TIMERS; i++) {
		ts[i] = ts_ns((A_WHILE * 1000LL + i * 1500LL) * 1000);
		sqe = ring_sqe(r);
		prep_timeout(sqe, &ts[i], 0, 0);
		sqe->flags = HARDLINK;
		sqe = ring_sqe(r);
		prep_poll_remove(sqe, TRIED);
		sqe->len = IOURING2_POLL_UPDATE_EVENTS;
		sqe->poll32_events = POLLPRI;
	}
	return submit_all(r);
}

/*
 * Makes and uses a ring with a table of its own, gets another one, and shares
 * that with a process. When it ends, its process has no descriptor of the ring,
 * and nothing has told the module.
 */
static void *makes_orphan(void *arg)
{
	struct orphan *o = arg;
	pid_t me = gettid();
	pthread_t t;

	o->ret = unshare(CLONE_FILES) ||
		 ring_init(&o->r, 1024, 0) ||
		 pthread_create(&t, NULL, shares_table, o) ||
		 o->add(o);
	if (o->ret)
		return NULL;
	ring_unmap(&o->r);
	o->ret = unshare(CLONE_FILES);
	st_rel(&o->over, true);
	pthread_join(t, NULL);
	until_ms(is_gone(getpid(), ld_acq(&o->sharer)), SOON);
	o->last = fork_sharing();
	if (!o->last)
		_exit(!until_ms(is_gone(getppid(), me), SOON) ||
		      (o->sock ? send_fd(o->sock, o->r.fd, 0) :
		       lose(&o->r.fd, 1)));
	return NULL;
}

static const char *orphan_new(struct orphan *o)
{
	int status = 0;
	pthread_t t;

	if (pthread_create(&t, NULL, makes_orphan, o) ||
	    pthread_join(t, NULL) || o->ret)
		return "no ring";
	if (waitpid(o->last, &status, 0) < 0 || status)
		return "the ring is not in flight";
	return "";
}

static const char *has_orphan(void *arg)
{
	struct orphan o = { .add = add_timers };
	const char *failed = orphan_new(&o);

	if (*failed)
		return failed;
	/* in the middle of the timers */
	usleep(A_WHILE * 1500);
	collect();
	return "";
}

/* A kernel thread ends the ring, whose requests run at this moment */
BOUNDED_TEST(ring_with_requests)
{
	int i;

	for (i = 0; i < 3; i++)
		EXPECT_CHILD(has_orphan, NULL);
	EXPECT_TRUE(all_is_released(&self->before, collect));
}

/* ------------------------------------------------- a close that takes long */

#define LINGER_S	80
#define AT_ONCE		25000	/* well below, and enough for a busy machine */

/* A kernel thread closes a socket that lingers, until this process ends */
static pid_t have_lingering(void)
{
	pid_t pid;
	int s[2];

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	if (lingering(s, LINGER_S) || lose(s, 1))
		_exit(1);
	collect();
	sleep(2 * LINGER_S);
	_exit(0);
}

/* Exits while a worker uses its memory, and leaves its descriptors to others */
static pid_t have_victim(struct ring *r)
{
	struct absent a;
	pid_t pid;
	int file;

	pid = fork_sharing();
	if (pid)
		return pid;
	file = tmp_file(4096);
	if (file < 0 || absent_make(&a))
		_exit(1);
	add(r, IOURING2_OP_READ, file, a.page, 8, 0, ASYNC, TRIED);
	_exit(submit_all(r) || !absent_wanted(&a, SOON));
}

/* The close of a ring does not wait for a socket of somebody else */
BOUNDED_TEST(others_socket_lingers)
{
	struct ring r;
	long long start;
	pid_t socket;

	ASSERT_EQ(0, ring_init(&r, 16, 0));
	socket = have_lingering();
	ASSERT_LT(0, socket);
	usleep(A_WHILE * 1000);
	EXPECT_EQ(0, reap_ms(have_victim(&r), SOON));
	start = now_ns(CLOCK_MONOTONIC);
	ring_exit(&r);
	EXPECT_GT(AT_ONCE, (now_ns(CLOCK_MONOTONIC) - start) / NSEC_PER_MSEC);
	EXPECT_EQ(0, waitpid(socket, NULL, WNOHANG));
	kill(socket, SIGKILL);
	waitpid(socket, NULL, 0);
	EXPECT_TRUE(all_is_released(&self->before, collect));
}

/* A worker waits for the server of a file system, which does not answer */
static int add_read(struct orphan *o)
{
	void *block = aligned_alloc(512, 512);
	int fd = open(o->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || !block)
		return -errno;
	add(&o->r, IOURING2_OP_READ, fd, block, 512, 0, ASYNC, TRIED);
	return submit_all(&o->r);
}

/* A server of a file that does not answer reads. Return: NULL without FUSE. */
static struct cuse *silent_server(void)
{
	struct cuse *c = fuseblk_start();

	if (!c)
		return NULL;
	st_rel(&c->deaf, true);
	st_rel(&c->size, 4096);
	st_rel(&c->hold, true);
	return c;
}

/* The request of the ring waits for the server @arg */
static const char *leaves_ring(void *arg)
{
	struct cuse *c = arg;
	struct orphan o = { .add = add_read, .path = c->file };
	const char *failed = orphan_new(&o);

	if (*failed)
		return failed;
	return until_ms(ld_acq(&c->asked), SOON) ? "" : "no request";
}

static pid_t collect_elsewhere(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		collect();
		_exit(0);
	}
	return pid;
}

static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

/* A ring that a kernel thread closes does not hold up the files behind it */
BOUNDED_TEST(ring_waits_for_a_server)
{
	struct cuse *c = silent_server();
	pid_t first, second;
	int p[2];

	if (!c)
		SKIP(return, "no FUSE file system on a block device");
	EXPECT_CHILD(leaves_ring, c);
	first = collect_elsewhere();
	usleep(A_WHILE * 1000);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	EXPECT_EQ(0, lose(&p[1], 1));
	second = collect_elsewhere();
	EXPECT_TRUE(until_ms(has_hung_up(p[0]), SOON));
	/* on older kernels, the collector runs in these processes */
	EXPECT_EQ(0, reap_ms(first, SOON));
	EXPECT_EQ(0, reap_ms(second, SOON));
	EXPECT_EQ(1, ld_acq(&c->asked));
	st_rel(&c->hold, false);
	close(p[0]);
	cuse_end(c);
	EXPECT_TRUE(all_is_released(&self->before, collect));
}

/* The last descriptor of the ring is in flight to this process, which closes it */
static const char *receives_ring(void *arg)
{
	struct cuse *c = arg;
	struct orphan o = { .add = add_read, .path = c->file };
	const char *failed;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		return "no socket";
	o.sock = s[0];
	failed = orphan_new(&o);
	if (*failed)
		return failed;
	if (!until_ms(ld_acq(&c->asked), SOON))
		return "no request";
	close(s[0]);
	close(s[1]);
	return "";
}

/* Nor does it hold up a process that has never used it */
BOUNDED_TEST(receiver_does_not_wait)
{
	struct cuse *c = silent_server();

	if (!c)
		SKIP(return, "no FUSE file system on a block device");
	EXPECT_CHILD(receives_ring, c);
	EXPECT_EQ(1, ld_acq(&c->asked));
	EXPECT_EQ(1, counter("rings"));
	st_rel(&c->hold, false);
	cuse_end(c);
	EXPECT_TRUE(all_is_released(&self->before, collect));
}

RING_TEST_MAIN
