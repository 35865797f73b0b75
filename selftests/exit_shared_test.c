// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that shares its descriptor table with another one exits. Nothing is
 * closed then, because the other process still has the table. The requests of
 * the process end all the same, and what was charged to it is given back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

/*
 * Longer than the interval at which the module checks the processes of a ring
 */
#define LOOKS_MS	3000

/* Indexes of counters in struct state */
#define RINGS		0
#define SUBMITTERS	3

/*
 * What a test and its child share.
 * @step: how far the child is; it exits at 2
 */
struct play {
	struct ring r;
	int step, end;
	int pipe[2], gate[2];
	void *mapped;
	char stack[65536];
};

static char buf[64];

/* ---------------------------------------------------------------- requests */

static int queue_parked(struct play *p)
{
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	int gate = add_gate(&p->r, GATE), ret;

	add(&p->r, IOURING2_OP_READ, fd, buf, 64, 0, 0, TRIED);
	ret = submit_all(&p->r);
	open_gate(gate);
	return fd < 0 || ret || seen_ms(&p->r, GATE, SOON) != POLLIN ||
	       !until_ms(ld_acq(p->r.sq_flags) & IOURING2_SQ_TASKRUN, SOON);
}

static int queue_poll(struct play *p)
{
	add(&p->r, IOURING2_OP_POLL_ADD, p->pipe[0], NULL, 0, 0, 0, TRIED)
		->poll32_events = POLLIN;
	return submit_all(&p->r);
}

static int queue_timer(struct play *p)
{
	add_timer(&p->r, 1000000, 0, TRIED);
	return submit_all(&p->r);
}

static int queue_read(struct play *p)
{
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, 8, 0, 0, TRIED);
	return submit_all(&p->r);
}

static bool have_absent_pages(void)
{
	struct absent a;

	if (absent_make(&a))
		return false;
	absent_free(&a);
	return true;
}

/* A worker waits for a page that never comes */
static int queue_worker(struct play *p)
{
	static struct absent a;
	int file = memfd_create("exit", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, 4096) || absent_make(&a))
		return -ENODEV;
	add(&p->r, IOURING2_OP_READ, file, a.page, 8, 0, ASYNC, TRIED);
	return submit_all(&p->r) || !absent_wanted(&a, SOON);
}

/*
 * A barrier behind a request of the parent, so no request of the child starts
 * it
 */
static int queue_barrier(struct play *p)
{
	add(&p->r, IOURING2_OP_NOP, -1, NULL, 0, 0, DRAIN, TRIED);
	return submit_all(&p->r);
}

/* The end of the first request starts the second one */
static int queue_hard_linked(struct play *p)
{
	add_timer(&p->r, 1000000, HARDLINK, 1);
	add(&p->r, IOURING2_OP_READ, p->pipe[0], buf, 8, 0, 0, TRIED);
	return submit_all(&p->r);
}

/* ----------------------------------------------------------- the children */

enum end { EXITS, KILLED };

struct work {
	int (*queue)(struct play *p);
	int res;
	bool late;		/* it completes behind the parent's request */
};

RING_FIXTURE(request) {
	struct work of;
};

FIXTURE_VARIANT_ADD(request, parked) { { queue_parked, -ECANCELED } };
FIXTURE_VARIANT_ADD(request, poll) { { queue_poll, -ECANCELED } };
FIXTURE_VARIANT_ADD(request, timer) { { queue_timer, -ECANCELED } };
FIXTURE_VARIANT_ADD(request, read) { { queue_read, -ECANCELED } };
/* A page fault that is killed gives EFAULT */
FIXTURE_VARIANT_ADD(request, worker) { { queue_worker, -EFAULT } };
FIXTURE_VARIANT_ADD(request, barrier) { { queue_barrier, -ECANCELED, true } };
FIXTURE_VARIANT_ADD(request, hard_linked) { { queue_hard_linked, -ECANCELED } };

static struct play *play_new(void)
{
	struct play *p = shared_new(sizeof(*p));

	if (!p || pipe2(p->pipe, O_CLOEXEC) || pipe2(p->gate, O_CLOEXEC) ||
	    ring_init(&p->r, 16, 0))
		return NULL;
	return p;
}

/*
 * Close the ring. The exit of a process that shares its descriptors does not
 * wait for its requests, nor for its address space, which maps the ring.
 */
static void play_end(struct __test_metadata *_metadata, struct play *p,
		     const struct state *before)
{
	ring_exit(&p->r);
	close(p->pipe[0]);
	close(p->pipe[1]);
	close(p->gate[0]);
	close(p->gate[1]);
	munmap(p, sizeof(*p));
	EXPECT_TRUE(all_is_released(before, NULL));
}

/*
 * Has the first thread of a process ended? It is a zombie ('Z') while others go
 * on.
 */
static bool has_ended(pid_t pid)
{
	char path[64], stat[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
	if (read_text(path, stat, sizeof(stat)) <= 0)
		return false;
	p = strrchr(stat, ')');
	return p && p[2] == 'Z';
}

/*
 * Map the ring in this process. The module does not check a process with a
 * mapping from time to time, so it has to notice the end of the process in
 * another way: by the end of the mapping, or as a pidfd does.
 */
static void maps(struct play *p)
{
	struct ring mine = p->r;

	if (ring_map(&mine))
		_exit(1);
}

/* Report that the requests are submitted, and exit when the parent says so */
static void stays(struct play *p)
{
	st_rel(&p->step, 1);
	until(ld_acq(&p->step) == 2);
	_exit(0);
}

static void submits(struct play *p, int (*queue)(struct play *p))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	maps(p);
	if (queue(p))
		_exit(1);
	stays(p);
}

static void end_child(struct __test_metadata *_metadata, struct play *p,
		      pid_t pid, enum end end)
{
	if (end == KILLED)
		kill(pid, SIGKILL);
	else
		st_rel(&p->step, 2);
	EXPECT_EQ(end == KILLED ? SIGKILL : 0, reap_ms(pid, SOON));
}

static void child_ends(struct __test_metadata *_metadata,
		       const struct state *before, const struct work *w,
		       enum end end)
{
	struct play *p;
	pid_t pid;

	if (w->queue == queue_worker && !have_absent_pages())
		SKIP(return, "no userfaultfd");
	p = play_new();
	ASSERT_NE(NULL, p);
	/* The parent's request must go on */
	add(&p->r, IOURING2_OP_READ, p->gate[0], buf, 1, 0, 0, 100);
	ASSERT_EQ(0, submit_all(&p->r));
	pid = fork_sharing();
	if (!pid)
		submits(p, w->queue);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(until_ms(ld_acq(&p->step) == 1, SOON));
	EXPECT_EQ(before->counter[SUBMITTERS] + 2, counter("submitters"));
	end_child(_metadata, p, pid, end);
	/* The request completes without a call of ENTER by the parent */
	if (!w->late)
		EXPECT_EQ(w->res, seen_ms(&p->r, TRIED, SOON));
	EXPECT_TRUE(until_ms(counter("submitters") ==
			     before->counter[SUBMITTERS] + 1, SOON));
	if (!w->late)
		EXPECT_EQ(1, fdinfo(p->r.fd, "Inflight"));
	EXPECT_EQ(1, write(p->gate[1], "x", 1));
	EXPECT_EQ(1, seen_ms(&p->r, 100, SOON));
	if (w->late)
		EXPECT_EQ(w->res, seen_ms(&p->r, TRIED, SOON));
	ring_nop(&p->r, 5);
	EXPECT_EQ(0, submit_all(&p->r));
	EXPECT_EQ(0, res_ms(&p->r, 5, SOON));
	play_end(_metadata, p, before);
}

TEST_F_TIMEOUT(request, exits, 100)
{
	child_ends(_metadata, &self->before, &variant->of, EXITS);
}

TEST_F_TIMEOUT(request, killed, 100)
{
	child_ends(_metadata, &self->before, &variant->of, KILLED);
}

/* ------------------------------------------------ with more than one thread */

static int goes_on(void *arg)
{
	struct play *p = arg;

	until(ld_acq(&p->step) == 2);
	_exit(0);
}

/* The first thread of the child ends; another one goes on */
static void first_thread_ends(struct play *p)
{
	if (queue_timer(p) || queue_poll(p) || queue_worker(p))
		_exit(1);
	if (clone(goes_on, p->stack + sizeof(p->stack),
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
		  CLONE_THREAD | CLONE_SYSVSEM, p) < 0)
		_exit(1);
	st_rel(&p->step, 1);
	until(ld_acq(&p->end));
	syscall(SYS_exit, 0);
}

/*
 * A process has not ended when its first thread has. A tracer is told about
 * that thread, and so is the module.
 */
BOUNDED_TEST(first_thread)
{
	struct play *p;
	int i, res;
	pid_t pid;

	if (!have_absent_pages())
		SKIP(return, "no userfaultfd");
	p = play_new();
	ASSERT_NE(NULL, p);
	pid = fork_sharing();
	if (!pid)
		first_thread_ends(p);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(until_ms(ld_acq(&p->step) == 1, SOON));
	EXPECT_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	EXPECT_EQ(3, fdinfo(p->r.fd, "Inflight"));
	st_rel(&p->end, 1);
	ASSERT_TRUE(until_ms(has_ended(pid), SOON));
	usleep(LOOKS_MS * 1000);
	EXPECT_EQ(3, fdinfo(p->r.fd, "Inflight"));
	EXPECT_EQ(1, write(p->pipe[1], "x", 1));
	EXPECT_EQ(POLLIN, seen_ms(&p->r, TRIED, SOON));
	end_child(_metadata, p, pid, EXITS);
	/* The timeout, and the worker's read */
	for (i = 0; i < 2; i++) {
		res = seen_ms(&p->r, TRIED, SOON);
		EXPECT_TRUE(res == -ECANCELED || res == -EFAULT) {
			TH_LOG("result %d", res);
		}
	}
	EXPECT_EQ(0, fdinfo(p->r.fd, "Inflight"));
	play_end(_metadata, p, &self->before);
}

/* ------------------------------------- a table that was not shared at first */

/* Fork a process that shares the descriptor table and goes on after this one */
static void shares_later(struct play *p)
{
	pid_t pid;
	char c;

	maps(p);
	if (queue_poll(p))
		_exit(1);
	pid = fork_sharing();
	if (!pid)
		_exit(read(p->gate[0], &c, 1) == 1 ? 0 : 1);
	p->end = pid;
	stays(p);
}

BOUNDED_TEST(shared_later)
{
	struct play *p = play_new();
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid = fork();
	if (!pid)
		shares_later(p);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(until_ms(ld_acq(&p->step) == 1, SOON));
	end_child(_metadata, p, pid, EXITS);
	EXPECT_EQ(-ECANCELED, seen_ms(&p->r, TRIED, SOON));
	EXPECT_EQ(1, write(p->gate[1], "x", 1));
	EXPECT_EQ(0, reap_ms(p->end, SOON));
	play_end(_metadata, p, &self->before);
}

/* A process leaves the descriptor table in which it submitted, and exits */
static void unshares(struct play *p)
{
	maps(p);
	if (queue_poll(p) || unshare(CLONE_FILES))
		_exit(1);
	stays(p);
}

BOUNDED_TEST(left_behind)
{
	struct play *p = play_new();
	pid_t pid;

	ASSERT_NE(NULL, p);
	pid = fork_sharing();
	if (!pid)
		unshares(p);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(until_ms(ld_acq(&p->step) == 1, SOON));
	EXPECT_EQ(1, fdinfo(p->r.fd, "Inflight"));
	end_child(_metadata, p, pid, EXITS);
	EXPECT_EQ(-ECANCELED, seen_ms(&p->r, TRIED, SOON));
	/*
	 * The child's submitter has replaced the parent's, which had no request
	 */
	EXPECT_TRUE(until_ms(counter("submitters") ==
			     self->before.counter[SUBMITTERS], SOON));
	play_end(_metadata, p, &self->before);
}

/* The child's part: its mapping stays when it exits, because the memory does */
static int maps_and_exits(void *arg)
{
	struct play *p = arg;

	p->mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			 p->r.fd, IOURING2_OFF_SQES);
	return p->mapped == MAP_FAILED || queue_poll(p);
}

/*
 * A process shares its memory as well, so that its exit unmaps nothing. Only the
 * exit itself can tell the ring.
 */
BOUNDED_TEST(shares_memory)
{
	struct play *p = play_new();
	pid_t pid;

	ASSERT_NE(NULL, p);
	pid = clone(maps_and_exits, p->stack + sizeof(p->stack),
		    CLONE_VM | CLONE_FILES | SIGCHLD, p);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_EQ(-ECANCELED, seen_ms(&p->r, TRIED, SOON));
	EXPECT_TRUE(until_ms(counter("submitters") ==
			     self->before.counter[SUBMITTERS], SOON));
	munmap(p->mapped, 4096);
	play_end(_metadata, p, &self->before);
}

/* A ring ends while the end of its process is reported to it */
static void comes_and_goes(struct play *p)
{
	struct play mine = *p;

	if (ring_init(&mine.r, 16, 0))
		_exit(1);
	p->end = mine.r.fd;
	_exit(queue_poll(p) || queue_timer(&mine) ? 1 : 0);
}

/* Not more than the CQ has room for */
#define MANY	20

BOUNDED_TEST(many)
{
	struct play *p = play_new();
	pid_t pid;
	int i;

	ASSERT_NE(NULL, p);
	for (i = 0; i < MANY; i++) {
		pid = fork_sharing();
		if (!pid)
			comes_and_goes(p);
		EXPECT_EQ(0, reap_ms(pid, SOON));
		/* Close the child's ring, which the table still has */
		EXPECT_EQ(0, close(p->end));
	}
	EXPECT_EQ(self->before.counter[RINGS] + 1, counter("rings"));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(-ECANCELED, res_ms(&p->r, TRIED, SOON));
	EXPECT_EQ(0, fdinfo(p->r.fd, "Inflight"));
	play_end(_metadata, p, &self->before);
}

RING_TEST_MAIN
