// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process submits, and then gets an fd table of its own by unshare(2). Its
 * requests go on as before. They do not end with the old table, which another
 * process still has, and they do end when the process closes the ring.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "close_range.h"

/*
 * A ring and a pipe
 * @over: the process or thread that shares the fd table shall exit
 */
struct play {
	struct ring r;
	int pipe[2];
	bool over;
	pid_t pid;
	pthread_t thread;
};

static char buf[8];

static struct play *play_new(void)
{
	struct play *p = shared_new(sizeof(*p));

	if (!p || pipe2(p->pipe, O_CLOEXEC) || ring_init(&p->r, 16, 0))
		return NULL;
	return p;
}

/* Not for ever: the test may have failed */
static void wait_until_over(struct play *p)
{
	until_ms(ld_acq(&p->over), 4 * SOON);
}

/* Start a process with the same fd table */
static bool share_with_process(struct play *p)
{
	p->pid = fork_sharing();
	if (!p->pid) {
		wait_until_over(p);
		_exit(0);
	}
	return p->pid > 0;
}

static void *thread_fn(void *arg)
{
	wait_until_over(arg);
	return NULL;
}

/* Start a thread of this process, with the same fd table */
static bool share_with_thread(struct play *p)
{
	return !pthread_create(&p->thread, NULL, thread_fn, p);
}

/* End the process or thread. Return: whether it has ended. */
static bool sharer_ends(struct play *p)
{
	bool ended = true;

	st_rel(&p->over, true);
	if (p->pid)
		ended = reap_ms(p->pid, SOON) == 0;
	if (p->thread)
		ended = !pthread_join(p->thread, NULL);
	p->pid = 0;
	p->thread = 0;
	return ended;
}

/* Return: whether the module has released all that it held */
static bool play_end(struct play *p, const struct state *before)
{
	close(p->pipe[0]);
	close(p->pipe[1]);
	munmap(p, sizeof(*p));
	return all_is_released(before, NULL);
}

static struct iouring2_sqe *add_poll(struct play *p)
{
	struct iouring2_sqe *sqe = ring_sqe(&p->r);

	prep_poll(sqe, p->pipe[0], POLLIN);
	sqe->user_data = TRIED;
	return sqe;
}

/* Open a terminal. Return: a descriptor, or -1. *@pty is its other end. */
static int open_tty(int *pty)
{
	*pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*pty < 0 || grantpt(*pty) || unlockpt(*pty))
		return -1;
	return open(ptsname(*pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Does what is written to the pipe stay there? */
static bool nobody_reads(const struct play *p)
{
	return write(p->pipe[1], "x", 1) == 1 &&
	       !until_ms(!readable(p->pipe[0]), A_WHILE);
}

RING_FIXTURE(table) {
	bool (*share)(struct play *p);
};

FIXTURE_VARIANT_ADD(table, of_process) { share_with_process };
FIXTURE_VARIANT_ADD(table, of_thread) { share_with_thread };

/* The end of who has the old table does not end the request */
TEST_F_TIMEOUT(table, sharer_exits, 100)
{
	struct play *p = play_new();

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(variant->share(p));
	add_poll(p);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_TRUE(sharer_ends(p));
	EXPECT_EQ(NEVER, seen_ms(&p->r, TRIED, A_WHILE));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(POLLIN, seen_ms(&p->r, TRIED, SOON));
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* A read of a terminal, which only a task of the process may do */
TEST_F_TIMEOUT(table, parked, 100)
{
	int pty, tty = open_tty(&pty);
	struct play *p = play_new();

	ASSERT_NE(NULL, p);
	ASSERT_LE(0, tty);
	ASSERT_TRUE(variant->share(p));
	add(&p->r, IOURING2_OP_READ, tty, buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_EQ(3, write(pty, "ab\n", 3));
	EXPECT_EQ(3, res_ms(&p->r, TRIED, SOON));
	EXPECT_TRUE(sharer_ends(p));
	close(tty);
	close(pty);
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* A descriptor that is looked up after unshare(2), when a link starts */
TEST_F_TIMEOUT(table, linked, 100)
{
	struct play *p = play_new();

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(variant->share(p));
	add_poll(p)->flags = LINK;
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, sizeof(buf), 0, 0, 1);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(1, seen_ms(&p->r, 1, SOON));
	EXPECT_TRUE(sharer_ends(p));
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/*
 * While a thread still has the table with which a request was submitted, the
 * descriptor is looked up there, also by a thread that has another table. The
 * first read is done by this thread, in ENTER, and starts the second one.
 */
BOUNDED_TEST(old_table)
{
	int pty, tty = open_tty(&pty), other[2];
	struct play *p = play_new();

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, pipe2(other, O_CLOEXEC));
	ASSERT_LE(0, tty);
	ASSERT_TRUE(share_with_thread(p));
	add(&p->r, IOURING2_OP_READ, tty, buf, sizeof(buf), 0, HARDLINK, 1);
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, sizeof(buf), 0, 0, 2);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	ASSERT_EQ(p->pipe[0], dup2(other[0], p->pipe[0]));
	EXPECT_EQ(2, write(other[1], "yy", 2));
	EXPECT_EQ(3, write(pty, "ab\n", 3));
	EXPECT_EQ(3, res_ms(&p->r, 1, SOON));
	EXPECT_EQ(1, res_ms(&p->r, 2, SOON));
	EXPECT_TRUE(sharer_ends(p));
	close(tty);
	close(pty);
	close(other[0]);
	close(other[1]);
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* ------------------------------------------ a mapping and no descriptor left */

static int by_unshare(int fd)
{
	return unshare(CLONE_FILES) || close(fd);
}

struct way {
	bool (*share)(struct play *p);
	int (*let_go)(int fd);
};

/* Have a worker of @p's ring read to a page that is absent */
static bool worker_waits(struct play *p, struct absent *a)
{
	int file = memfd_create("file", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, 4096) || absent_make(a))
		return false;
	add(&p->r, IOURING2_OP_READ, file, a->page, 8, 0, ASYNC, TRIED);
	return !submit_all(&p->r) && absent_wanted(a, SOON);
}

/*
 * The process lets go of the ring in a table of its own: the request goes on.
 * It ends with the other table, although the ring is still mapped.
 */
static const char *keeps_mapping(void *arg)
{
	const struct way *way = arg;
	struct play *p = play_new();
	struct absent a;

	if (!p || !way->share(p))
		return "no ring";
	if (!worker_waits(p, &a))
		return "no worker";
	if (way->let_go(p->r.fd))
		return "the table is not copied";
	if (fcntl(p->r.fd, F_GETFD) != -1)
		return "the ring is still there";
	if (seen_ms(&p->r, TRIED, A_WHILE) != NEVER)
		return "the request ends too early";
	if (!sharer_ends(p))
		return "the other one does not exit";
	return seen_ms(&p->r, TRIED, SOON) == NEVER ? "it goes on" : "";
}

BOUNDED_TEST(close_range)
{
	struct way way = { share_with_process, unshare_without };

	EXPECT_STREQ("", in_child(keeps_mapping, &way));
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

BOUNDED_TEST(mapping_of_a_thread)
{
	struct way way = { share_with_thread, by_unshare };

	EXPECT_STREQ("", in_child(keeps_mapping, &way));
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

/*
 * The process has closed the ring in its new table. Its request ends when the
 * old table, which a thread still has, ends.
 */
BOUNDED_TEST(old_table_is_the_last)
{
	struct play *p = play_new();
	int fd;

	ASSERT_NE(NULL, p);
	fd = p->r.fd;
	ASSERT_TRUE(share_with_thread(p));
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(NEVER, seen_ms(&p->r, TRIED, A_WHILE));
	EXPECT_TRUE(sharer_ends(p));
	EXPECT_EQ(-ECANCELED, seen_ms(&p->r, TRIED, SOON));
	ring_unmap(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* ----------------------------------------- threads with tables of their own */

/*
 * @fds: two pipes
 * @ready, @go, @done: how far the threads are
 */
static struct {
	struct ring r;
	int fds[2][2];
	bool ready, go, done;
	int ret;
} own;

/* A descriptor that is another file in each table */
#define NUMBER	100

static bool own_init(void)
{
	memset(&own, 0, sizeof(own));
	memset(buf, 0, sizeof(buf));
	return !pipe2(own.fds[0], O_CLOEXEC) && !pipe2(own.fds[1], O_CLOEXEC);
}

static void own_end(void)
{
	int i;

	for (i = 0; i < 4; i++)
		close(own.fds[i / 2][i % 2]);
	close(NUMBER);
}

/* A thread that gets its own table, makes the ring, submits and exits */
static void *makes_ring(void *linked)
{
	own.ret = unshare(CLONE_FILES);
	if (!own.ret)
		own.ret = ring_init(&own.r, 16, 0);
	if (own.ret)
		return NULL;
	if (linked) {
		dup2(own.fds[0][1], NUMBER);
		/* longer than the test: the end of the ring ends the wait */
		add_timer(&own.r, 10 * SOON, HARDLINK, TIMER);
		add(&own.r, IOURING2_OP_WRITE, NUMBER, "x", 1, 0, 0, TRIED);
	} else {
		add(&own.r, IOURING2_OP_READ, own.fds[0][0], buf, sizeof(buf),
		    0, 0, TRIED);
	}
	own.ret = submit_all(&own.r);
	return NULL;
}

/* The ring ends with the only table that has it. A mapping is no descriptor. */
BOUNDED_TEST(thread_exits)
{
	pthread_t t;

	ASSERT_TRUE(own_init());
	ASSERT_EQ(0, pthread_create(&t, NULL, makes_ring, NULL));
	ASSERT_EQ(0, pthread_join(t, NULL));
	ASSERT_EQ(0, own.ret);
	EXPECT_EQ(-ECANCELED, seen_ms(&own.r, TRIED, SOON));
	EXPECT_EQ(1, write(own.fds[0][1], "x", 1));
	EXPECT_FALSE(until_ms(!readable(own.fds[0][0]), A_WHILE));
	EXPECT_EQ(0, buf[0]);
	ring_unmap(&own.r);
	own_end();
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

/* The write is not done to the file that has the number in another table */
BOUNDED_TEST(thread_exits_before_link)
{
	pthread_t t;

	ASSERT_TRUE(own_init());
	ASSERT_EQ(NUMBER, dup2(own.fds[1][1], NUMBER));
	ASSERT_EQ(0, pthread_create(&t, NULL, makes_ring, &own));
	ASSERT_EQ(0, pthread_join(t, NULL));
	ASSERT_EQ(0, own.ret);
	EXPECT_EQ(-ECANCELED, seen_ms(&own.r, TRIED, SOON));
	EXPECT_FALSE(readable(own.fds[0][0]));
	EXPECT_FALSE(readable(own.fds[1][0]));
	ring_unmap(&own.r);
	own_end();
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

/* A thread that has a table of its own before the ring is made */
static void *has_own_table(void *arg)
{
	own.ret = unshare(CLONE_FILES);
	dup2(own.fds[1][1], NUMBER);
	st_rel(&own.ready, true);
	until_ms(ld_acq(&own.done), 4 * SOON);
	return NULL;
}

/* After unshare(2), the table of another thread is not a copy of the old one */
BOUNDED_TEST(other_thread_has_own_table)
{
	struct play *p = play_new();
	pthread_t t;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(own_init());
	ASSERT_EQ(NUMBER, dup2(own.fds[0][1], NUMBER));
	ASSERT_EQ(0, pthread_create(&t, NULL, has_own_table, NULL));
	ASSERT_TRUE(until(ld_acq(&own.ready)));
	ASSERT_EQ(0, own.ret);
	ASSERT_TRUE(share_with_process(p));
	add_poll(p)->flags = LINK;
	add(&p->r, IOURING2_OP_WRITE, NUMBER, "x", 1, 0, 0, 1);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(1, seen_ms(&p->r, 1, SOON));
	EXPECT_TRUE(readable(own.fds[0][0]));
	EXPECT_FALSE(readable(own.fds[1][0]));
	st_rel(&own.done, true);
	pthread_join(t, NULL);
	EXPECT_TRUE(sharer_ends(p));
	own_end();
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* A thread with its own table waits in ENTER */
static void *waits_with_own_table(void *arg)
{
	struct play *p = arg;

	own.ret = unshare(CLONE_FILES);
	st_rel(&own.ready, true);
	while (!ld_acq(&own.done))
		enter_timeout(p->r.fd, 0, 1, 100 * NSEC_PER_MSEC);
	return NULL;
}

/*
 * The read of the terminal was submitted with this thread's table. A thread with
 * another table does not do it, because reading may use the table (fanotify).
 */
BOUNDED_TEST(parked_for_a_table)
{
	int pty, tty = open_tty(&pty);
	struct play *p = play_new();
	pthread_t t;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(own_init());
	ASSERT_LE(0, tty);
	add(&p->r, IOURING2_OP_READ, tty, buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, pthread_create(&t, NULL, waits_with_own_table, p));
	ASSERT_TRUE(until(ld_acq(&own.ready)));
	EXPECT_EQ(3, write(pty, "ab\n", 3));
	EXPECT_EQ(NEVER, seen_ms(&p->r, TRIED, A_WHILE));
	st_rel(&own.done, true);
	pthread_join(t, NULL);
	EXPECT_EQ(3, res_ms(&p->r, TRIED, SOON));
	close(tty);
	close(pty);
	own_end();
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* A thread with its own table, which closes the ring there */
static void *closes_in_own_table(void *arg)
{
	struct play *p = arg;

	own.ret = unshare(CLONE_FILES);
	st_rel(&own.ready, true);
	until(ld_acq(&own.go));
	close(p->r.fd);
	return NULL;
}

/* This thread still has the ring, in the table that it has got */
BOUNDED_TEST(other_thread_closes)
{
	struct play *p = play_new();
	pthread_t t;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(own_init());
	ASSERT_EQ(0, pthread_create(&t, NULL, closes_in_own_table, p));
	ASSERT_TRUE(until(ld_acq(&own.ready)));
	ASSERT_TRUE(share_with_process(p));
	add_poll(p);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	st_rel(&own.go, true);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(NEVER, seen_ms(&p->r, TRIED, A_WHILE));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(POLLIN, seen_ms(&p->r, TRIED, SOON));
	EXPECT_TRUE(sharer_ends(p));
	own_end();
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* The new table is shared with another process, which closes the ring there */
BOUNDED_TEST(sharer_closes)
{
	struct play *p = play_new();
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(share_with_process(p));
	memset(buf, 0, sizeof(buf));
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	pid = fork_sharing();
	if (!pid) {
		close(p->r.fd);
		_exit(0);
	}
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_TRUE(nobody_reads(p));
	EXPECT_EQ(0, buf[0]);
	EXPECT_EQ(-ECANCELED, seen_ms(&p->r, TRIED, SOON));
	EXPECT_TRUE(sharer_ends(p));
	ring_unmap(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* Closes the ring in the table with which it was submitted */
static void *closes_in_old_table(void *arg)
{
	struct play *p = arg;

	until(ld_acq(&own.go));
	close(p->r.fd);
	st_rel(&own.done, true);
	until_ms(ld_acq(&p->over), 4 * SOON);
	return NULL;
}

/* A thread of the same process closes the ring in the old table, and lives on */
BOUNDED_TEST(old_table_closed)
{
	struct play *p = play_new();
	pthread_t t;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(own_init());
	ASSERT_EQ(0, pthread_create(&t, NULL, closes_in_old_table, p));
	add_poll(p);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	st_rel(&own.go, true);
	ASSERT_TRUE(until(ld_acq(&own.done)));
	EXPECT_EQ(NEVER, seen_ms(&p->r, TRIED, A_WHILE));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(POLLIN, seen_ms(&p->r, TRIED, SOON));
	st_rel(&p->over, true);
	pthread_join(t, NULL);
	own_end();
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

/* ------------------------------------------------------------ many submitters */

#define LARGE	524287		/* a descriptor that makes a table large */

/* How long a close took, in nanoseconds, or -1 */
struct timed {
	int nr;
	long long ns;
};

/* Each change of the credentials makes another submitter */
static bool submits_as_many(struct play *p, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
			return false;
		add_poll(p);
		if (submit_all(&p->r))
			return false;
	}
	return true;
}

/*
 * The process has a large table without the ring. The close in the table that it
 * had before has to look for the ring there.
 */
static const char *closes_after_many(void *arg)
{
	struct rlimit large = { LARGE + 1, LARGE + 1 };
	struct timed *timed = arg;
	struct play *p = play_new();
	pid_t pid;

	if (!p)
		return "no ring";
	pid = fork_sharing();
	if (!pid) {
		long long start;

		wait_until_over(p);
		start = now_ns(CLOCK_MONOTONIC);
		close(p->r.fd);
		timed->ns = now_ns(CLOCK_MONOTONIC) - start;
		_exit(0);
	}
	if (!submits_as_many(p, timed->nr))
		return "not submitted";
	if (unshare_without(p->r.fd) || setrlimit(RLIMIT_NOFILE, &large) ||
	    dup2(0, LARGE) != LARGE)
		return "no large table";
	st_rel(&p->over, true);
	return reap_ms(pid, 4 * SOON) ? "the close takes too long" : "";
}

/* A close looks at a table once, and not once for each submitter */
BOUNDED_TEST(many_submitters)
{
	struct timed *timed = shared_new(2 * sizeof(*timed));

	ASSERT_NE(NULL, timed);
	timed[0] = (struct timed) { 1, -1 };
	timed[1] = (struct timed) { 2000, -1 };
	EXPECT_CHILD(closes_after_many, &timed[0]);
	EXPECT_CHILD(closes_after_many, &timed[1]);
	EXPECT_LE(0, timed[0].ns);
	EXPECT_LE(0, timed[1].ns);
	/* the submitters themselves cost, too, and so do other machines */
	EXPECT_GT(100 * timed[0].ns + 2 * NSEC_PER_SEC, timed[1].ns) {
		TH_LOG("%lld us, and %lld us with many", timed[0].ns / 1000,
		       timed[1].ns / 1000);
	}
	munmap(timed, 2 * sizeof(*timed));
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

/* ------------------------------------------------------ the end of a process */

/*
 * The last close of the ring by this process waits until its requests have
 * ended, so none of them writes to its memory afterwards. The ring lives on.
 */
BOUNDED_TEST(last_close)
{
	struct play *p = play_new();
	struct ring r;

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(share_with_process(p));
	memset(buf, 0, sizeof(buf));
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&p->r));
	ASSERT_EQ(0, unshare(CLONE_FILES));
	r = p->r;
	ring_exit(&r);
	EXPECT_TRUE(nobody_reads(p));
	EXPECT_EQ(0, buf[0]);
	EXPECT_TRUE(sharer_ends(p));
	EXPECT_TRUE(play_end(p, &self->before));
}

/* The exit of the process does the same */
BOUNDED_TEST(exits)
{
	struct play *p = play_new();
	int status;
	pid_t pid;

	ASSERT_NE(NULL, p);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ring_sync(&p->r);
		if (!share_with_process(p))
			_exit(1);
		add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, 1, 0, 0, TRIED);
		if (submit_all(&p->r) || unshare(CLONE_FILES))
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	/* at once: they would also end a moment after the exit */
	EXPECT_EQ(0, fdinfo(p->r.fd, "Inflight"));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(nobody_reads(p));
	st_rel(&p->over, true);
	ring_exit(&p->r);
	EXPECT_TRUE(play_end(p, &self->before));
}

RING_TEST_MAIN
