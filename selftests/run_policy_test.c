// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who submits to a ring, and who runs its deferred work: the set-up flags
 * SINGLE_ISSUER, COOP_TASKRUN, TASKRUN_FLAG and DEFER_TASKRUN.
 *
 * The tests of the fixture "both" run on iouring2 and on the io_uring of the
 * kernel, and expect the same of both. Those of "ring" are about what iouring2
 * promises beyond that: no completion waits for ever, and the requests of a ring
 * end without its issuer's ENTER.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "polls.h"
#include "sides.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG

#define COOP		IOURING2_SETUP_COOP_TASKRUN
#define FLAG		IOURING2_SETUP_TASKRUN_FLAG
#define SINGLE		IOURING2_SETUP_SINGLE_ISSUER
#define DEFER		(IOURING2_SETUP_DEFER_TASKRUN | SINGLE)

#define TASKRUN		IOURING2_SQ_TASKRUN
#define OVERFLOW	IOURING2_SQ_CQ_OVERFLOW

#define BAD		((void *)8)

/* ------------------------------------------------------------ the two rings */

SIDE_FIXTURE(both);

#define BOTH_TEST(name)	TEST_F_TIMEOUT(both, name, 100)

/* The module mirrors the newest kernel, and older ones differ in details */
static bool tree_is_new(void)
{
	struct utsname u;

	return !uname(&u) && atoi(u.release) >= 7 && tree_has(DEFER);
}

/* A ring of either side, and an ENTER for another thread or process */
struct any {
	struct ring r;
	const struct side *side;
	unsigned int to_submit, min, flags;
	const void *arg;
	size_t argsz;
};

static int any_init(struct any *a, const struct side *side, unsigned int flags)
{
	memset(a, 0, sizeof(*a));
	a->side = side;
	return side->setup(&a->r, 8, 0, flags);
}

static int any_enter(struct any *a, unsigned int to_submit, unsigned int min,
		     unsigned int flags, const void *arg, size_t argsz)
{
	return a->side->enter(a->r.fd, to_submit, min, flags, arg, argsz);
}

/* ENTER without an argument */
static int any_go(struct any *a, unsigned int to_submit, unsigned int min,
		  unsigned int flags)
{
	return any_enter(a, to_submit, min, flags, NULL, 0);
}

static int any_probe(const struct any *a)
{
	static struct {
		struct iouring2_probe probe;
		struct iouring2_probe_op ops[8];
	} p;

	memset(&p, 0, sizeof(p));
	return a->side->reg(a->r.fd, IOURING2_REGISTER_PROBE, &p, 8);
}

/* --------------------------------------------------------- threads, children */

struct call {
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

static void *call_fn(void *arg)
{
	struct call *c = arg;

	c->ret = c->fn(c->arg);
	return NULL;
}

/* Return: what @fn returns in another thread */
static int in_thread(int (*fn)(void *arg), void *arg)
{
	struct call c = { .fn = fn, .arg = arg, .ret = -EAGAIN };
	pthread_t t;

	if (pthread_create(&t, NULL, call_fn, &c))
		return -EAGAIN;
	pthread_join(t, NULL);
	return c.ret;
}

/* Return: what @fn, which returns 0 or an error, returns in a child */
static int in_process(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(-fn(arg));
	status = reap_ms(pid, SOON);
	return status < 0 ? status : -WEXITSTATUS(status);
}

static int enter_fn(void *arg)
{
	struct any *a = arg;

	return any_enter(a, a->to_submit, a->min, a->flags, a->arg, a->argsz);
}

static int probe_fn(void *arg)
{
	return any_probe(arg);
}

static int enable(void *arg)
{
	const struct any *a = arg;

	return a->side->reg(a->r.fd, IOURING2_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* ------------------------------------------------------------------ SETUP */

static int expected_setup(unsigned int flags)
{
	if ((flags & FLAG) && !(flags & (COOP | (DEFER & ~SINGLE))))
		return -EINVAL;
	if ((flags & DEFER & ~SINGLE) && !(flags & SINGLE))
		return -EINVAL;
	return 0;
}

BOTH_TEST(flags_that_go_together)
{
	static const unsigned int bits[] = { COOP, FLAG, SINGLE, DEFER & ~SINGLE };
	unsigned int i, j, flags;
	struct any a;

	NEED_SIDE(tree_is_new());
	for (i = 0; i < 16; i++) {
		for (j = 0, flags = 0; j < 4; j++)
			flags |= i >> j & 1 ? bits[j] : 0;
		EXPECT_EQ(expected_setup(flags),
			  any_init(&a, variant->side, flags)) {
			TH_LOG("flags 0x%x", flags);
		}
		if (a.r.fd >= 0)
			ring_exit(&a.r);
	}
}

/* ------------------------------------------------------------- the issuer */

static const unsigned int single[] = { SINGLE, DEFER, DEFER | FLAG | COOP };

BOTH_TEST(only_the_issuer_submits)
{
	struct any a;
	unsigned int i;

	NEED_SIDE(tree_is_new());
	for (i = 0; i < ARRAY_SIZE(single); i++) {
		ASSERT_EQ(0, any_init(&a, variant->side, single[i]));
		a.to_submit = 1;
		ASSERT_EQ(0, ring_nop(&a.r, 1));
		ring_publish(&a.r);
		EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
		EXPECT_EQ(-EEXIST, in_process(enter_fn, &a));
		/* a bad argument of the wait makes no difference */
		a.flags = GETEVENTS | EXT_ARG;
		EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
		EXPECT_EQ(1U, ring_unsubmitted(&a.r));
		EXPECT_EQ(*a.r.cq_head, ld_acq(a.r.cq_tail));
		EXPECT_EQ(1, any_go(&a, 1, 0, 0));
		EXPECT_EQ(1, ld_acq(a.r.cq_tail) - *a.r.cq_head);
		/* without entries to submit it is refused as well */
		a.flags = 0;
		EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
		ring_exit(&a.r);
	}
}

/* Others may wait for a ring that has an issuer, if it does not run its work */
BOTH_TEST(who_may_wait)
{
	struct iouring2_getevents_arg arg = { .ts = 8 };
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, SINGLE));
	ASSERT_EQ(0, ring_nop(&a.r, 1));
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	a.min = 1;
	a.flags = GETEVENTS;
	EXPECT_EQ(0, in_thread(enter_fn, &a));
	EXPECT_EQ(0, in_process(enter_fn, &a));
	ring_exit(&a.r);

	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	ASSERT_EQ(0, ring_nop(&a.r, 1));
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(0, in_thread(enter_fn, &a));
	a.flags = GETEVENTS;
	EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
	EXPECT_EQ(-EEXIST, in_process(enter_fn, &a));
	a.min = 1;
	EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
	/* the argument is checked first */
	a.flags = GETEVENTS | EXT_ARG;
	a.arg = &arg;
	a.argsz = 1;
	EXPECT_EQ(-EINVAL, in_thread(enter_fn, &a));
	a.argsz = sizeof(arg);
	EXPECT_EQ(-EFAULT, in_thread(enter_fn, &a));
	a.arg = BAD;
	EXPECT_EQ(-EFAULT, in_thread(enter_fn, &a));
	arg.ts = 0;
	a.arg = &arg;
	EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
	EXPECT_EQ(0, any_go(&a, 0, 1, GETEVENTS));
	ring_exit(&a.r);
}

BOTH_TEST(only_the_issuer_registers)
{
	unsigned int i;
	struct any a;

	NEED_SIDE(tree_is_new());
	for (i = 0; i < ARRAY_SIZE(single); i++) {
		ASSERT_EQ(0, any_init(&a, variant->side, single[i]));
		EXPECT_EQ(-EEXIST, in_thread(probe_fn, &a));
		EXPECT_EQ(-EEXIST, in_process(probe_fn, &a));
		EXPECT_EQ(0, any_probe(&a));
		ring_exit(&a.r);
	}
	/* a ring without an issuer serves all */
	ASSERT_EQ(0, any_init(&a, variant->side, COOP | FLAG));
	EXPECT_EQ(0, in_thread(probe_fn, &a));
	ASSERT_EQ(0, ring_nop(&a.r, 1));
	a.to_submit = ring_publish(&a.r);
	EXPECT_EQ(1, in_thread(enter_fn, &a));
	ring_exit(&a.r);
}

/* The task that enables a disabled ring is its issuer, whoever has set it up */
BOTH_TEST(enabled_by_its_issuer)
{
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side,
			      DEFER | IOURING2_SETUP_R_DISABLED));
	a.to_submit = 1;
	ASSERT_EQ(0, ring_nop(&a.r, 1));
	ring_publish(&a.r);
	EXPECT_EQ(-EBADFD, any_go(&a, 1, 0, 0));
	EXPECT_EQ(-EBADFD, in_thread(enter_fn, &a));
	/* until then everybody may register */
	EXPECT_EQ(0, in_thread(probe_fn, &a));
	EXPECT_EQ(0, any_probe(&a));
	EXPECT_EQ(0, in_thread(enable, &a));
	EXPECT_EQ(-EEXIST, any_go(&a, 1, 0, 0));
	EXPECT_EQ(-EEXIST, any_go(&a, 0, 0, GETEVENTS));
	EXPECT_EQ(-EEXIST, any_probe(&a));
	EXPECT_EQ(-EEXIST, enable(&a));
	ring_exit(&a.r);

	ASSERT_EQ(0, any_init(&a, variant->side,
			      SINGLE | IOURING2_SETUP_R_DISABLED));
	EXPECT_EQ(0, enable(&a));
	a.to_submit = 1;
	EXPECT_EQ(-EEXIST, in_thread(enter_fn, &a));
	ASSERT_EQ(0, ring_nop(&a.r, 1));
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	ring_exit(&a.r);
}

/* -------------------------------------------------------- when work is done */

/* Queue a poll of @efd */
static void queue_poll(struct any *a, int efd, __u64 user_data,
		       unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(&a->r);

	prep_poll(sqe, efd, POLLIN);
	sqe->flags = flags;
	sqe->user_data = user_data;
}

/* Arm a poll of @efd. Return: 0 or an error. */
static int any_arm(struct any *a, int efd, __u64 user_data)
{
	int nr, ret;

	queue_poll(a, efd, user_data, 0);
	nr = ring_publish(&a->r);
	ret = any_go(a, nr, 0, 0);
	return ret == nr ? 0 : ret < 0 ? ret : -EPROTO;
}

static unsigned int posted(const struct any *a)
{
	return ld_acq(a->r.cq_tail) - *a->r.cq_head;
}

static bool flagged(const struct any *a)
{
	return ld_acq(a->r.sq_flags) & TASKRUN;
}

static bool readable(const struct any *a)
{
	struct pollfd p = { .fd = a->r.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/*
 * What ends is neither posted by the context in which it ends, nor by an ENTER
 * without GETEVENTS
 */
BOTH_TEST(work_waits_for_getevents)
{
	int efd = new_eventfd();
	struct iouring2_cqe cqe;
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	EXPECT_EQ(0, poke(efd));
	EXPECT_FALSE(until_ms(posted(&a), 50));
	EXPECT_EQ(0, any_go(&a, 0, 0, 0));
	EXPECT_EQ(0U, posted(&a));
	ASSERT_EQ(0, ring_nop(&a.r, 2));
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	/* an ENTER posts what it has done itself */
	ASSERT_EQ(1U, posted(&a));
	EXPECT_EQ(2, (int)a.r.cqes[0].user_data);
	EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
	ASSERT_EQ(2U, posted(&a));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	ring_exit(&a.r);
	close(efd);
}

/* Without DEFER_TASKRUN no ENTER is needed */
BOTH_TEST(cooperative)
{
	static const unsigned int flags[] = { COOP, COOP | FLAG, SINGLE };
	unsigned int i;
	struct any a;
	int efd;

	NEED_SIDE(tree_is_new());
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		efd = new_eventfd();
		ASSERT_EQ(0, any_init(&a, variant->side, flags[i]));
		ASSERT_EQ(0, any_arm(&a, efd, 1));
		EXPECT_EQ(0, poke(efd));
		EXPECT_TRUE(until(posted(&a)));
		EXPECT_FALSE(flagged(&a));
		ring_exit(&a.r);
		close(efd);
	}
}

BOTH_TEST(flag_of_deferred_work)
{
	int efd = new_eventfd(), i;
	struct iouring2_cqe cqe;
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER | FLAG));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, any_arm(&a, efd, i));
		EXPECT_FALSE(flagged(&a));
		EXPECT_EQ(0, poke(efd));
		EXPECT_TRUE(flagged(&a));
		/* an ENTER that does not run the work leaves the flag */
		EXPECT_EQ(0, any_go(&a, 0, 0, 0));
		EXPECT_TRUE(flagged(&a));
		EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
		EXPECT_FALSE(flagged(&a));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(0, drain(efd));
	}
	ring_exit(&a.r);
	/* only a ring that asks for the flag has it */
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	EXPECT_EQ(0, poke(efd));
	EXPECT_FALSE(flagged(&a));
	ring_exit(&a.r);
	close(efd);
}

/* poll of the ring reports deferred work, and does none */
BOTH_TEST(poll_reports_work)
{
	int efd = new_eventfd();
	struct iouring2_cqe cqe;
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	EXPECT_FALSE(readable(&a));
	EXPECT_EQ(0, poke(efd));
	EXPECT_TRUE(readable(&a));
	EXPECT_TRUE(readable(&a));
	EXPECT_EQ(0U, posted(&a));
	EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
	EXPECT_EQ(1U, posted(&a));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_FALSE(readable(&a));
	ring_exit(&a.r);
	close(efd);
}

struct watcher {
	int ep;
	volatile pid_t tid;
};

static int watch(void *arg)
{
	struct watcher *w = arg;
	struct epoll_event ev;

	w->tid = syscall(SYS_gettid);
	return epoll_wait(w->ep, &ev, 1, SOON);
}

/* Deferred work wakes a task that watches the ring, each time anew */
BOTH_TEST(epoll_is_told)
{
	static const unsigned int events[] = { EPOLLIN, EPOLLIN | EPOLLET };
	int efd = new_eventfd(), i;
	struct iouring2_cqe cqe;
	struct watcher w;
	struct call c;
	struct any a;
	pthread_t t;

	NEED_SIDE(tree_is_new());
	for (i = 0; i < 6; i++) {
		if (i % 3 == 0) {
			ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
			w.ep = epoll_of(a.r.fd, events[i / 3]);
			ASSERT_LE(0, w.ep);
		}
		ASSERT_EQ(0, any_arm(&a, efd, i));
		w.tid = 0;
		c = (struct call) { .fn = watch, .arg = &w };
		ASSERT_EQ(0, pthread_create(&t, NULL, call_fn, &c));
		EXPECT_TRUE(until(w.tid && task_waits(w.tid)));
		EXPECT_EQ(0, poke(efd));
		pthread_join(t, NULL);
		EXPECT_EQ(1, c.ret);
		EXPECT_EQ(0U, posted(&a));
		EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
		EXPECT_EQ(0, drain(efd));
		if (i % 3 == 2) {
			close(w.ep);
			ring_exit(&a.r);
		}
	}
	close(efd);
}

/* The number of signals since the last call */
static __u64 signals(int fd)
{
	__u64 nr = 0;

	return read(fd, &nr, sizeof(nr)) == sizeof(nr) ? nr : 0;
}

/* Deferred work signals the eventfd before anybody posts its CQEs */
BOTH_TEST(eventfd_is_told)
{
	static const unsigned int ops[] = {
		IOURING2_REGISTER_EVENTFD, IOURING2_REGISTER_EVENTFD_ASYNC
	};
	int efd = new_eventfd(), tell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct iouring2_cqe cqe;
	unsigned int i;
	struct any a;

	NEED_SIDE(tree_is_new());
	ASSERT_LE(0, tell);
	for (i = 0; i < 4; i++) {
		/* io_uring then signals only what a worker completes */
		if ((i & 1) && variant->side == &tree_side)
			continue;
		ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
		if (i < 2)
			ASSERT_EQ(0, variant->side->reg(a.r.fd, ops[i], &tell,
							1));
		ASSERT_EQ(0, any_arm(&a, efd, 1));
		if (i >= 2)
			ASSERT_EQ(0, variant->side->reg(a.r.fd, ops[i - 2],
							&tell, 1));
		EXPECT_EQ(0U, signals(tell));
		EXPECT_EQ(0, poke(efd));
		EXPECT_TRUE(until(signals(tell)));
		EXPECT_EQ(0U, posted(&a));
		EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(0, drain(efd));
		ring_exit(&a.r);
		signals(tell);
	}
	close(tell);
	close(efd);
}

/* ------------------------------------------------------------- lazy wake-up */

/* Return: how often a thread of this process has gone to sleep, or -1 */
static long sleeps_of(pid_t tid)
{
	char path[64], text[4096], *p;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	p = strstr(text, "\nvoluntary_ctxt_switches:");
	return p ? strtol(strchr(p, ':') + 1, NULL, 10) : -1;
}

struct poker {
	pid_t waiter;
	int efd[4];
	unsigned int nr;	/* of @efd */
	struct any *a;
	unsigned int woken;	/* how often the waiter woke before the last */
	unsigned int early;	/* CQEs before the last */
};

/* Write to the eventfds one by one, while the waiter sleeps */
static int poke_all(void *arg)
{
	struct poker *p = arg;
	unsigned int i;
	long before;

	if (!until(task_waits(p->waiter)))
		return -ETIME;
	before = sleeps_of(p->waiter);
	for (i = 0; i < p->nr; i++) {
		if (i) {
			p->woken = sleeps_of(p->waiter) - before;
			p->early = posted(p->a);
		}
		if (poke(p->efd[i]))
			return -errno;
		if (i < p->nr - 1 && !until(task_waits(p->waiter)))
			return -ETIME;
	}
	return 0;
}

/*
 * A task that waits for several completions is woken only when there may be
 * enough, and finds them all
 */
BOTH_TEST(woken_when_there_may_be_enough)
{
	struct iouring2_cqe cqe;
	struct poker p;
	struct call c;
	struct any a;
	unsigned int i;
	pthread_t t;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	p = (struct poker) { .waiter = syscall(SYS_gettid), .nr = 4, .a = &a };
	for (i = 0; i < 4; i++) {
		p.efd[i] = new_eventfd();
		ASSERT_EQ(0, any_arm(&a, p.efd[i], i));
	}
	c = (struct call) { .fn = poke_all, .arg = &p };
	ASSERT_EQ(0, pthread_create(&t, NULL, call_fn, &c));
	EXPECT_EQ(0, any_go(&a, 0, 4, GETEVENTS));
	pthread_join(t, NULL);
	EXPECT_EQ(0, c.ret);
	EXPECT_EQ(0U, p.woken);
	EXPECT_EQ(0U, p.early);
	EXPECT_EQ(4U, posted(&a));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		close(p.efd[i]);
	}
	ring_exit(&a.r);
}

/* CQEs that are in the CQ already count */
BOTH_TEST(woken_when_the_rest_is_there)
{
	struct poker p;
	struct call c;
	struct any a;
	unsigned int i;
	pthread_t t;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	p = (struct poker) { .waiter = syscall(SYS_gettid), .nr = 2, .a = &a };
	for (i = 0; i < 2; i++) {
		p.efd[i] = new_eventfd();
		ASSERT_EQ(0, any_arm(&a, p.efd[i], i));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, ring_nop(&a.r, 9));
	ASSERT_EQ(3, any_go(&a, ring_publish(&a.r), 0, 0));
	c = (struct call) { .fn = poke_all, .arg = &p };
	ASSERT_EQ(0, pthread_create(&t, NULL, call_fn, &c));
	EXPECT_EQ(0, any_go(&a, 0, 5, GETEVENTS));
	pthread_join(t, NULL);
	EXPECT_EQ(0, c.ret);
	EXPECT_EQ(0U, p.woken);
	EXPECT_EQ(3U, p.early);
	EXPECT_EQ(5U, posted(&a));
	close(p.efd[0]);
	close(p.efd[1]);
	ring_exit(&a.r);
}

/* Too few completions: they are delivered when the time is over */
BOTH_TEST(time_over)
{
	struct __kernel_timespec ts = ts_ns(200 * NSEC_PER_MSEC);
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&ts };
	int ret = 0, i;
	struct poker p;
	struct call c;
	struct any a;
	pthread_t t;

	NEED_SIDE(tree_is_new());
	ASSERT_EQ(0, any_init(&a, variant->side, DEFER));
	p = (struct poker) { .waiter = syscall(SYS_gettid), .nr = 1, .a = &a };
	p.efd[0] = new_eventfd();
	ASSERT_EQ(0, any_arm(&a, p.efd[0], 1));
	EXPECT_EQ(-ETIME, any_enter(&a, 0, 4, GETEVENTS | EXT_ARG,
				    &arg, sizeof(arg)));
	c = (struct call) { .fn = poke_all, .arg = &p };
	ASSERT_EQ(0, pthread_create(&t, NULL, call_fn, &c));
	for (i = 0; i < 100; i++) {
		ret = any_enter(&a, 0, 4, GETEVENTS | EXT_ARG,
				&arg, sizeof(arg));
		if (ret != -ETIME)
			break;
	}
	EXPECT_EQ(0, ret);
	pthread_join(t, NULL);
	EXPECT_EQ(0, c.ret);
	EXPECT_EQ(1U, posted(&a));
	close(p.efd[0]);
	ring_exit(&a.r);
}

/* ------------------------------------------ completions that others wait for */

/* Waits for @min CQEs while a thread writes to the eventfds of @p */
static int wait_and_poke(struct any *a, struct poker *p, unsigned int min)
{
	struct call c = { .fn = poke_all, .arg = p };
	pthread_t t;
	int ret;

	p->a = a;
	p->waiter = syscall(SYS_gettid);
	if (pthread_create(&t, NULL, call_fn, &c))
		return -EAGAIN;
	ret = enter_timeout(a->r.fd, ring_publish(&a->r), min,
			    SOON * NSEC_PER_MSEC);
	pthread_join(t, NULL);
	if (ret >= 0 && c.ret)
		ret = c.ret;
	if (ret >= 0 && posted(a) < min)
		ret = -ETIME;
	return ret;
}

/*
 * A completion makes others possible, so that the task must be woken although it
 * waits for more than this one
 */
RING_FIXTURE(enables) {
	void (*queue)(struct any *a, struct poker *p);
	unsigned int min;
};

static void queue_link(struct any *a, struct poker *p)
{
	queue_poll(a, p->efd[0], 1, LINK);
	ring_nop(&a->r, 2);
}

static void queue_hard_link(struct any *a, struct poker *p)
{
	queue_poll(a, p->efd[0], 1, HARDLINK);
	queue_poll(a, p->efd[1], 2, HARDLINK);
	ring_nop(&a->r, 3);
	p->nr = 2;
}

static void queue_drain(struct any *a, struct poker *p)
{
	struct iouring2_sqe *sqe;

	queue_poll(a, p->efd[0], 1, 0);
	sqe = ring_sqe(&a->r);
	prep_nop(sqe);
	sqe->flags = DRAIN;
}

static void queue_count(struct any *a, struct poker *p)
{
	static struct __kernel_timespec hour = { .tv_sec = 3600 };

	queue_poll(a, p->efd[0], 1, 0);
	prep_timeout(ring_sqe(&a->r), &hour, 1, 0);
}

static void queue_multishot(struct any *a, struct poker *p)
{
	prep_poll_multi(ring_sqe(&a->r), p->efd[0], POLLIN);
	close(p->efd[1]);
	p->efd[1] = dup(p->efd[0]);
	p->nr = 2;
}

/* The event is this poll's alone, and nobody else handles it meanwhile */
static void queue_exclusive(struct any *a, struct poker *p)
{
	prep_poll(ring_sqe(&a->r), p->efd[0], POLLIN | EPOLLEXCLUSIVE);
	queue_poll(a, p->efd[1], 2, 0);
	p->nr = 2;
}

FIXTURE_VARIANT_ADD(enables, link) { queue_link, 2 };
FIXTURE_VARIANT_ADD(enables, hard_links) { queue_hard_link, 3 };
FIXTURE_VARIANT_ADD(enables, drain) { queue_drain, 2 };
FIXTURE_VARIANT_ADD(enables, count) { queue_count, 2 };
FIXTURE_VARIANT_ADD(enables, multishot) { queue_multishot, 2 };
FIXTURE_VARIANT_ADD(enables, exclusive) { queue_exclusive, 2 };

TEST_F_TIMEOUT(enables, others, 100)
{
	struct poker p = { .nr = 1 };
	struct any a;

	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	p.efd[0] = new_eventfd();
	p.efd[1] = new_eventfd();
	variant->queue(&a, &p);
	EXPECT_LE(0, wait_and_poke(&a, &p, variant->min));
	EXPECT_LE(variant->min, posted(&a));
	if (p.nr == 2) {
		EXPECT_EQ(1U, p.woken);
		EXPECT_EQ(1U, p.early);
	}
	ring_exit(&a.r);
	close(p.efd[0]);
	close(p.efd[1]);
}

/* A timeout ends the wait, however many CQEs it is for */
BOUNDED_TEST(timeout_ends_wait)
{
	struct __kernel_timespec ts = ts_ns(20 * NSEC_PER_MSEC);
	struct any a;

	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	prep_timeout(ring_sqe(&a.r), &ts, 0, 0);
	EXPECT_EQ(1, enter_timeout(a.r.fd, ring_publish(&a.r), 4,
				   SOON * NSEC_PER_MSEC));
	EXPECT_EQ(1U, posted(&a));
	ring_exit(&a.r);
}

/*
 * Buffered writes to one file run one after the other. Each makes the next
 * possible.
 */
BOUNDED_TEST(writes_in_order)
{
	int fd = tmp_file(0), i;
	static char byte[4];
	struct any a;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	for (i = 0; i < 4; i++)
		add(&a.r, IOURING2_OP_WRITE, fd, &byte[i], 1, i, ASYNC, i);
	EXPECT_EQ(4, enter_timeout(a.r.fd, ring_publish(&a.r), 4,
				   SOON * NSEC_PER_MSEC));
	EXPECT_EQ(4U, posted(&a));
	ring_exit(&a.r);
	close(fd);
}

/* ------------------------------------------------------------------- order */

/*
 * Submit requests that end at once, in different ways. @order receives the
 * user_data of their CQEs. Return: the number of CQEs, or an error.
 */
static int order_of(unsigned int flags, __u64 *order)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int ret, nr = 0;

	ret = ring_init_params(&r, 8, 0, flags, 0);
	if (ret)
		return ret;
	ring_nop(&r, 1);
	add(&r, IOURING2_OP_READ, -1, NULL, 0, 0, 0, 2);
	ring_nop(&r, 3);
	add(&r, IOURING2_OP_NOP, -1, NULL, 0, 0, LINK, 4);
	ring_nop(&r, 5);
	ring_nop(&r, 6);
	add(&r, IOURING2_OP_NOP, -1, NULL, 0, 0, DRAIN, 7);
	ring_nop(&r, 8);
	ret = submit_all(&r);
	while (!ret && ring_peek(&r, &cqe) && nr < 8)
		order[nr++] = cqe.user_data;
	ring_exit(&r);
	return ret ? ret : nr;
}

/* CQEs that are written at once do not overtake those that are collected */
BOUNDED_TEST(posted_in_order)
{
	__u64 plain[8] = {}, deferring[8] = {};
	int i;

	ASSERT_EQ(8, order_of(0, plain));
	ASSERT_EQ(8, order_of(DEFER, deferring));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(plain[i], deferring[i]);
	EXPECT_EQ(1, (int)deferring[0]);
	EXPECT_EQ(2, (int)deferring[1]);
	EXPECT_EQ(3, (int)deferring[2]);
}

/* --------------------------------------------------------- other completers */

/* Return: true if deferred work is flagged soon; it ends within @ms then */
static bool work_comes(const struct any *a)
{
	return until_ms(flagged(a), SOON);
}

/* What a worker has done waits for the issuer as well */
BOUNDED_TEST(from_a_worker)
{
	int fd = tmp_file(4096), i;
	struct iouring2_cqe cqe;
	char buf[64];
	struct any a;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, any_init(&a, &module_side, DEFER | FLAG));
	for (i = 0; i < 3; i++) {
		add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, i);
		EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
		EXPECT_TRUE(work_comes(&a));
		EXPECT_EQ(0U, posted(&a));
		EXPECT_EQ(0, any_go(&a, 0, 1, GETEVENTS));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(64, cqe.res);
		EXPECT_EQ(i, (int)cqe.user_data);
		EXPECT_FALSE(flagged(&a));
	}
	/* the next of a chain starts in the issuer, too */
	add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC | LINK, 1);
	ring_nop(&a.r, 2);
	EXPECT_EQ(2, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_TRUE(work_comes(&a));
	EXPECT_EQ(0, any_go(&a, 0, 2, GETEVENTS));
	EXPECT_EQ(2U, posted(&a));
	ring_exit(&a.r);
	close(fd);
}

/* A waiting issuer is woken by a worker, and by the end of an asynchronous I/O */
BOUNDED_TEST(wakes_the_issuer)
{
	static _Alignas(4096) char buf[4096];
	int fd = tmp_file(4096), disk = disk_open();
	struct any a;
	int i, nr;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	for (i = 0; i < 20; i++) {
		nr = 1;
		add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, 1);
		if (disk >= 0) {
			add(&a.r, IOURING2_OP_READ, disk, buf, 4096, 0, 0, 2);
			nr++;
		}
		EXPECT_EQ(nr, enter_timeout(a.r.fd, ring_publish(&a.r), nr,
					    SOON * NSEC_PER_MSEC));
		EXPECT_EQ(nr, (int)posted(&a));
		st_rel(a.r.cq_head, ld_acq(a.r.cq_tail));
	}
	ring_exit(&a.r);
	close(fd);
	if (disk >= 0)
		close(disk);
}

/* Reads that touch the issuer's memory are done by the issuer, not by a thread */
BOUNDED_TEST(epoll_and_own_enter)
{
	struct iouring2_cqe cqe;
	struct epoll_event ev;
	char buf[8];
	struct any a;
	int p[2], ep, i;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, any_init(&a, &module_side, DEFER | FLAG));
	ep = epoll_of(a.r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	for (i = 0; i < 20; i++) {
		add(&a.r, IOURING2_OP_READ, p[0], buf, sizeof(buf), -1, 0, i);
		EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(1, write(p[1], "x", 1));
		EXPECT_EQ(1, epoll_wait(ep, &ev, 1, SOON));
		EXPECT_TRUE(flagged(&a));
		EXPECT_EQ(0, buf[0]);
		EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(1, cqe.res);
		EXPECT_EQ('x', buf[0]);
	}
	EXPECT_EQ(0, fdinfo(a.r.fd, "Workers"));
	close(ep);
	ring_exit(&a.r);
	close(p[0]);
	close(p[1]);
}

/*
 * The same without DEFER_TASKRUN, for an application that looks at the flag and
 * watches the ring. Any ENTER will do then
 */
BOUNDED_TEST(flag_and_own_enter)
{
	struct iouring2_cqe cqe;
	struct epoll_event ev;
	char buf[8];
	struct any a;
	int p[2], ep, i;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, any_init(&a, &module_side, COOP | FLAG));
	ep = epoll_of(a.r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	for (i = 0; i < 20; i++) {
		add(&a.r, IOURING2_OP_READ, p[0], buf, sizeof(buf), -1, 0, i);
		EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(1, write(p[1], "x", 1));
		EXPECT_EQ(1, epoll_wait(ep, &ev, 1, SOON));
		EXPECT_TRUE(flagged(&a));
		EXPECT_EQ(0, buf[0]);
		EXPECT_EQ(0, any_go(&a, 0, 0, i & 1 ? GETEVENTS : 0));
		EXPECT_FALSE(flagged(&a));
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
		EXPECT_EQ(1, cqe.res);
		EXPECT_EQ('x', buf[0]);
	}
	EXPECT_EQ(0, fdinfo(a.r.fd, "Workers"));
	close(ep);
	/* nobody watches the ring: the retry worker reads */
	add(&a.r, IOURING2_OP_READ, p[0], buf, sizeof(buf), -1, 0, i);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(1, write(p[1], "y", 1));
	EXPECT_TRUE(until(posted(&a)));
	EXPECT_EQ('y', buf[0]);
	ring_exit(&a.r);
	close(p[0]);
	close(p[1]);
}

/* A parked request runs in the ENTER that submits it; its CQE needs GETEVENTS */
BOUNDED_TEST(parked)
{
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	char buf[64];
	struct any a;

	ASSERT_EQ(0, any_init(&a, &module_side, DEFER | FLAG));
	memset(buf, 0, sizeof(buf));
	add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, 1);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_NE(0, buf[0]);
	EXPECT_EQ(0U, posted(&a));
	EXPECT_TRUE(flagged(&a));
	EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
	EXPECT_EQ(1U, posted(&a));
	EXPECT_FALSE(flagged(&a));
	/* and in one ENTER, also if the wait's argument is bad */
	add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, 2);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 2, GETEVENTS));
	EXPECT_EQ(2U, posted(&a));
	add(&a.r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, 3);
	EXPECT_EQ(1, any_enter(&a, ring_publish(&a.r), 3,
			       GETEVENTS | EXT_ARG, BAD, 1));
	EXPECT_EQ(3U, posted(&a));
	EXPECT_FALSE(flagged(&a));
	ring_exit(&a.r);
	close(fd);
}

/* A request and its cancellation: both CQEs come with GETEVENTS */
BOUNDED_TEST(cancelled)
{
	int efd = new_eventfd();
	struct iouring2_cqe cqe;
	struct any a;

	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	prep_cancel(ring_sqe(&a.r), 1, 0);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(1U, posted(&a));
	EXPECT_EQ(0, any_go(&a, 0, 0, GETEVENTS));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(0, cqe.res);
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	prep_cancel(ring_sqe(&a.r), 1, 0);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 2, GETEVENTS));
	EXPECT_EQ(2U, posted(&a));
	ring_exit(&a.r);
	close(efd);
}

/* SYNC_CANCEL runs what it waits for: nobody else does */
BOUNDED_TEST(sync_cancelled)
{
	struct iouring2_sync_cancel_reg sc = {
		.addr = 1, .fd = -1, .timeout = { -1, -1 },
	};
	int efd = new_eventfd(), p[2];
	struct iouring2_cqe cqe;
	char buf[8];
	struct any a;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	/* it waits for its file */
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	EXPECT_EQ(0, module_register(a.r.fd, IOURING2_REGISTER_SYNC_CANCEL, &sc,
				     1));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	/* its file is ready: it is deferred already, and too late to cancel */
	ASSERT_EQ(0, any_arm(&a, efd, 1));
	EXPECT_EQ(0, poke(efd));
	EXPECT_EQ(0, module_register(a.r.fd, IOURING2_REGISTER_SYNC_CANCEL, &sc,
				     1));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	/* a worker runs it */
	add(&a.r, IOURING2_OP_READ, p[0], buf, sizeof(buf), -1, ASYNC, 1);
	EXPECT_EQ(1, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(0, module_register(a.r.fd, IOURING2_REGISTER_SYNC_CANCEL, &sc,
				     1));
	EXPECT_EQ(0, any_go(&a, 0, 1, GETEVENTS));
	ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&a.r);
	close(efd);
	close(p[0]);
	close(p[1]);
}

/* ------------------------------------------------- full CQ, and the ring's cap */

/* Requests that have ended count until the issuer has run them (I5) */
BOUNDED_TEST(at_the_cap)
{
	int efd = new_eventfd(), i;
	struct any a = { .side = &module_side };

	ASSERT_EQ(0, ring_init_params(&a.r, 4, 0, DEFER, 2));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, any_arm(&a, efd, i));
	EXPECT_EQ(0, poke(efd));
	ASSERT_EQ(0, ring_nop(&a.r, 2));
	EXPECT_EQ(-EAGAIN, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(0U, posted(&a));
	EXPECT_EQ(1U, ring_unsubmitted(&a.r));
	/* with GETEVENTS the ENTER makes room itself */
	EXPECT_EQ(1, any_go(&a, 1, 3, GETEVENTS));
	EXPECT_EQ(3U, posted(&a));
	ring_exit(&a.r);
	close(efd);
}

/* EBUSY while completions wait; poll reports them, and only ENTER moves them */
BOUNDED_TEST(backlogged)
{
	struct iouring2_cqe cqe;
	struct any a = { .side = &module_side };
	int i, got;

	ASSERT_EQ(0, ring_init_params(&a.r, 4, 4, DEFER, 0));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&a.r, i));
	EXPECT_EQ(4, any_go(&a, ring_publish(&a.r), 0, 0));
	for (i = 4; i < 7; i++)
		ASSERT_EQ(0, ring_nop(&a.r, i));
	EXPECT_EQ(3, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(OVERFLOW, ld_acq(a.r.sq_flags) & OVERFLOW);
	ASSERT_EQ(0, ring_nop(&a.r, 7));
	EXPECT_EQ(-EBUSY, any_go(&a, ring_publish(&a.r), 0, 0));
	EXPECT_EQ(-EBUSY, any_go(&a, 1, 1, GETEVENTS));
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(ring_peek(&a.r, &cqe));
	EXPECT_TRUE(readable(&a));
	EXPECT_EQ(0U, posted(&a));
	EXPECT_EQ(OVERFLOW, ld_acq(a.r.sq_flags) & OVERFLOW);
	EXPECT_EQ(1, any_go(&a, 1, 4, GETEVENTS));
	EXPECT_EQ(0U, ld_acq(a.r.sq_flags) & OVERFLOW);
	for (got = 4; ring_peek(&a.r, &cqe); got++)
		EXPECT_EQ(got, (int)cqe.user_data);
	EXPECT_EQ(8, got);
	ring_exit(&a.r);
}

/* ----------------------------------------------------------------- the end */

#define HELD	4	/* eventfds that the requests of load_ring() wait for */

/*
 * Requests in all states that a ring which defers can have: ended and not run,
 * ended in a worker, waiting, behind a link, behind a barrier. @efd has HELD
 * descriptors. Return: 0 or an error.
 */
static int load_ring(struct any *a, const int *efd)
{
	static struct __kernel_timespec soon = { .tv_nsec = 1 };
	static struct __kernel_timespec hour = { .tv_sec = 3600 };
	struct iouring2_sqe *sqe;
	static char buf[64];
	int fd, ret;

	fd = tmp_file(4096);
	if (fd < 0)
		return fd;
	queue_poll(a, efd[0], 1, LINK);
	queue_poll(a, efd[1], 2, LINK);
	ring_nop(&a->r, 3);
	prep_poll_multi(ring_sqe(&a->r), efd[0], POLLIN);
	add(&a->r, IOURING2_OP_READ, fd, buf, 64, 0, ASYNC, 5);
	prep_timeout(ring_sqe(&a->r), &soon, 0, 0);
	prep_timeout(ring_sqe(&a->r), &hour, 0, 0);
	ret = any_go(a, ring_publish(&a->r), 0, 0);
	if (ret != 7)
		return ret < 0 ? ret : -EPROTO;
	queue_poll(a, efd[2], 8, LINK);
	ring_nop(&a->r, 9);
	sqe = ring_sqe(&a->r);
	prep_nop(sqe);
	sqe->flags = DRAIN;
	ret = any_go(a, ring_publish(&a->r), 0, 0);
	close(fd);
	if (ret != 3)
		return ret < 0 ? ret : -EPROTO;
	if (poke(efd[0]) || poke(efd[2]))
		return -errno;
	/* some of this is deferred by now, the rest may still be */
	return until_ms(flagged(a), SOON) ? 0 : -ETIME;
}

static int new_load(struct any *a, int *efd)
{
	int i, ret;

	for (i = 0; i < HELD; i++)
		efd[i] = new_eventfd();
	memset(a, 0, sizeof(*a));
	a->side = &module_side;
	ret = ring_init_params(&a->r, 8, 32, DEFER | FLAG, 0);
	return ret ? ret : load_ring(a, efd);
}

static void close_load(const int *efd)
{
	int i;

	for (i = 0; i < HELD; i++)
		close(efd[i]);
}

/* The fixture checks that nothing is left */
BOUNDED_TEST(closed_by_issuer)
{
	int efd[HELD];
	struct any a;

	ASSERT_EQ(0, new_load(&a, efd));
	ring_exit(&a.r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	close_load(efd);
}

static int exit_ring(void *arg)
{
	struct any *a = arg;

	ring_exit(&a->r);
	return 0;
}

BOUNDED_TEST(closed_by_another_thread)
{
	int efd[HELD];
	struct any a;

	ASSERT_EQ(0, new_load(&a, efd));
	EXPECT_EQ(0, in_thread(exit_ring, &a));
	EXPECT_STREQ("", state_diff(&self->before, false));
	close_load(efd);
}

struct loader {
	struct any a;
	int efd[HELD];
};

static int load_fn(void *arg)
{
	struct loader *l = arg;

	return new_load(&l->a, l->efd);
}

/* The thread that may enter has ended */
BOUNDED_TEST(closed_after_the_issuer_has_ended)
{
	struct loader l;

	ASSERT_EQ(0, in_thread(load_fn, &l));
	EXPECT_EQ(-EEXIST, any_go(&l.a, 0, 0, GETEVENTS));
	EXPECT_TRUE(readable(&l.a));
	ring_exit(&l.a.r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	close_load(l.efd);
}

static const char *load_and_end(void *arg)
{
	struct any a;
	int efd[HELD];
	int ret = new_load(&a, efd);

	if (ret)
		return reason("cannot load the ring: %s", strerror(-ret));
	if (arg)
		kill(getpid(), SIGKILL);
	return "";
}

BOUNDED_TEST(ends_with_the_process)
{
	EXPECT_CHILD(load_and_end, NULL);
	EXPECT_TRUE(all_is_released(&self->before, NULL));
	EXPECT_STREQ("the child's status: 0x9",
		     child_ms(load_and_end, self, 40000));
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

struct closing {
	struct any a;
	int efd[HELD];
	volatile pid_t tid;
};

static int wait_for_all(void *arg)
{
	struct closing *c = arg;
	int i;

	for (i = 0; i < HELD; i++)
		c->efd[i] = new_eventfd();
	c->a.side = &module_side;
	if (ring_init_params(&c->a.r, 8, 32, DEFER, 0))
		return -EPROTO;
	for (i = 0; i < HELD; i++)
		if (any_arm(&c->a, c->efd[i], i))
			return -EPROTO;
	c->tid = syscall(SYS_gettid);
	return enter_timeout(c->a.r.fd, 0, HELD, SOON * NSEC_PER_MSEC);
}

/* Another thread closes the ring's last descriptor while the issuer waits */
BOUNDED_TEST(closed_while_the_issuer_waits)
{
	struct closing c = {};
	struct call call = { .fn = wait_for_all, .arg = &c };
	struct iouring2_cqe cqe;
	pthread_t t;
	int i;

	ASSERT_EQ(0, pthread_create(&t, NULL, call_fn, &call));
	EXPECT_TRUE(until(c.tid && task_waits(c.tid)));
	close(c.a.r.fd);
	pthread_join(t, NULL);
	EXPECT_EQ(0, call.ret);
	for (i = 0; i < HELD; i++) {
		ASSERT_TRUE(ring_peek(&c.a.r, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	c.a.r.fd = -1;
	ring_exit(&c.a.r);
	close_load(c.efd);
}

/* ------------------------------------------------ rings that others share */

enum load { LOAD_ALL, LOAD_ENDED };

struct sharing {
	int sock[2];
	bool exec;
	enum load load;
};

/* A request that has ended in a worker: only its CQE is left to be posted */
static int load_ended(struct any *a)
{
	int ret;

	memset(a, 0, sizeof(*a));
	a->side = &module_side;
	ret = ring_init_params(&a->r, 8, 32, DEFER | FLAG, 0);
	if (ret)
		return ret;
	ring_nop(&a->r, 1);
	a->r.sqes[0].flags = ASYNC;
	ret = any_go(a, ring_publish(&a->r), 0, 0);
	if (ret != 1)
		return ret < 0 ? ret : -EPROTO;
	return until_ms(flagged(a), SOON) ? 0 : -ETIME;
}

/* The issuer: loads a ring, sends it to its parent, and waits or executes */
static void be_issuer(const struct sharing *s)
{
	struct any a;
	int efd[HELD];
	char c = 'x';

	close(s->sock[0]);
	if (s->load == LOAD_ENDED ? load_ended(&a) : new_load(&a, efd))
		_exit(1);
	if (send_fd(s->sock[1], a.r.fd, 0))
		_exit(1);
	if (read(s->sock[1], &c, 1) != 1)
		_exit(2);
	if (!s->exec)
		_exit(0);
	fcntl(a.r.fd, F_SETFD, 0);
	fcntl(s->sock[1], F_SETFD, 0);
	dup2(s->sock[1], 0);
	execl("/bin/sh", "sh", "-c", "read line", NULL);
	_exit(3);
}

/*
 * The issuer's program has gone, and another process has the ring still. The
 * issuer's requests end, and their completions are posted.
 */
static const char *outlive_issuer(int sock)
{
	const char *why = "";
	int fd = recv_fd(sock, MSG_CMSG_CLOEXEC);

	if (fd < 0)
		return reason("no ring was received: %s", strerror(-fd));
	if (fdinfo(fd, "Inflight") <= 0)
		why = "no request is in flight";
	else if (write(sock, "x", 1) != 1)
		why = "the issuer has gone";
	else if (!until_ms(fdinfo(fd, "Inflight") == 0, SOON))
		why = "the requests do not end";
	else if (fdinfo(fd, "CqTail") < fdinfo(fd, "Submitted"))
		why = "not all completions have been posted";
	close(fd);
	return why;
}

static const char *share_with_issuer(bool exec, enum load load)
{
	struct sharing s = { .exec = exec, .load = load };
	const char *why;
	int status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.sock))
		return reason("socketpair: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return reason("fork: %s", strerror(errno));
	if (!pid)
		be_issuer(&s);
	close(s.sock[1]);
	why = outlive_issuer(s.sock[0]);
	close(s.sock[0]);
	status = reap_ms(pid, SOON);
	/* the program that was executed fails, as nobody answers it */
	if (!*why && (exec ? status < 0 : status))
		why = reason("the issuer's status is 0x%x", status);
	return why;
}

/* No process waits for a request that has ended but for its CQE */
BOUNDED_TEST(issuer_exits_with_an_ended_request)
{
	EXPECT_STREQ("", share_with_issuer(false, LOAD_ENDED));
}

BOUNDED_TEST(issuer_exits)
{
	EXPECT_STREQ("", share_with_issuer(false, LOAD_ALL));
}

BOUNDED_TEST(issuer_executes_a_program)
{
	EXPECT_STREQ("", share_with_issuer(true, LOAD_ALL));
	EXPECT_TRUE(all_is_released(&self->before, NULL));
}

/* -------------------------------------------------------------------- races */

#define RACERS	3
#define ROUNDS	(full_stress() ? 20000 : 1500)

struct racer {
	pthread_t self;
	int efd;
	volatile bool stop;
	volatile unsigned int go;
};

static void *race_fn(void *arg)
{
	struct racer *s = arg;
	unsigned int seed = s->efd, done = 0;
	int spin;

	while (!ld_acq(&s->stop)) {
		if (ld_acq(&s->go) == done) {
			sched_yield();
			continue;
		}
		done++;
		for (spin = rand_r(&seed) % 2000; spin; spin--)
			__asm__ volatile("");
		poke(s->efd);
	}
	return NULL;
}

/*
 * Completions come from several processors while the issuer is about to sleep,
 * with a number of CQEs that just suffices
 */
BOUNDED_TEST(races)
{
	struct racer s[RACERS];
	struct iouring2_cqe cqe;
	unsigned int i, round;
	/* where threads take turns on one processor, there are fewer rounds */
	long long end = now_ns(CLOCK_MONOTONIC) + 40 * NSEC_PER_SEC;
	struct any a;
	int ret = 0;

	ASSERT_EQ(0, any_init(&a, &module_side, DEFER));
	for (i = 0; i < RACERS; i++) {
		s[i] = (struct racer) { .efd = new_eventfd() };
		ASSERT_EQ(0, pthread_create(&s[i].self, NULL, race_fn, &s[i]));
	}
	for (round = 1; round <= (unsigned int)ROUNDS && ret >= 0 &&
	     now_ns(CLOCK_MONOTONIC) < end; round++) {
		for (i = 0; i < RACERS; i++)
			queue_poll(&a, s[i].efd, i, 0);
		ring_nop(&a.r, RACERS);
		ring_publish(&a.r);
		for (i = 0; i < RACERS; i++)
			st_rel(&s[i].go, round);
		ret = enter_timeout(a.r.fd, RACERS + 1, RACERS + 1,
				    SOON * NSEC_PER_MSEC);
		EXPECT_EQ(RACERS + 1, ret);
		EXPECT_EQ(RACERS + 1, (int)posted(&a)) {
			TH_LOG("round %u", round);
			ret = -1;
		}
		while (ring_peek(&a.r, &cqe))
			;
		for (i = 0; i < RACERS; i++)
			drain(s[i].efd);
	}
	for (i = 0; i < RACERS; i++) {
		st_rel(&s[i].stop, true);
		pthread_join(s[i].self, NULL);
		close(s[i].efd);
	}
	ring_exit(&a.r);
}

RING_TEST_MAIN
