// SPDX-License-Identifier: GPL-2.0-only
/*
 * REGISTER SYNC_CANCEL finds requests by the same keys as ASYNC_CANCEL. It waits
 * for a request that is running, until its time is up or a signal arrives, and
 * keeps nobody from using the ring meanwhile. Most tests run on the kernel's own
 * io_uring as well.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "sides.h"
#include "victims.h"

#define BAD_ADDR	((void *)-4096L)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define ALL		IOURING2_ASYNC_CANCEL_ALL
#define FD		IOURING2_ASYNC_CANCEL_FD
#define ANY		IOURING2_ASYNC_CANCEL_ANY
#define FIXED		IOURING2_ASYNC_CANCEL_FD_FIXED
#define USERDATA	IOURING2_ASYNC_CANCEL_USERDATA
#define OP		IOURING2_ASYNC_CANCEL_OP
/* since 6.6 in the kernel's io_uring */
#define LATE_FLAGS	(USERDATA | OP)

#define FOREVER		{ -1, -1 }

static int sync_cancel(const struct side *s, struct ring *r,
		       const struct iouring2_sync_cancel_reg *sc)
{
	return s->reg(r->fd, IOURING2_REGISTER_SYNC_CANCEL, sc, 1);
}

static int sync_cancel_ns(const struct side *s, struct ring *r, __u64 ud,
			  long long ns)
{
	struct iouring2_sync_cancel_reg sc = {
		.addr = ud, .fd = -1, .timeout = ts_ns(ns),
	};

	if (ns < 0)
		sc.timeout = (struct __kernel_timespec)FOREVER;
	return sync_cancel(s, r, &sc);
}

static bool tree_cancels(void)
{
	struct ring r;
	int ret;

	if (tree_setup(&r, 4, 0, 0))
		return false;
	ret = sync_cancel_ns(&tree_side, &r, 1, -1);
	ring_exit(&r);
	return ret == -ENOENT;
}

SIDE_FIXTURE(sync);

/* --------------------------------------------------------------------- keys */

/* The requests in flight, as bits */
enum { A = 1, B = 2, C = 4, D = 8 };

/* Descriptors of a key */
enum { NONE, FIRST, SECOND, OTHER };

static const struct key_row {
	unsigned int flags;
	__u64 user_data;
	int fd, op, ret;
	unsigned int ended;
} key_rows[] = {
	{ 0, 2, NONE, 0, 0, B },
	{ USERDATA, 3, NONE, 0, 0, C },
	{ 0, 9, NONE, 0, -ENOENT, 0 },
	{ USERDATA, 9, NONE, 0, -ENOENT, 0 },
	{ ALL, 1, NONE, 0, 2, A | D },
	{ ALL | USERDATA, 1, NONE, 0, 2, A | D },
	{ ALL, 9, NONE, 0, 0, 0 },
	{ ANY, 9, NONE, 0, 4, A | B | C | D },
	{ ANY | ALL, 9, NONE, 0, 4, A | B | C | D },
	{ FD, 9, FIRST, 0, 0, A },
	{ FD, 9, OTHER, 0, -ENOENT, 0 },
	{ FD | ALL, 9, SECOND, 0, 2, B | D },
	{ FD | ALL, 9, OTHER, 0, 0, 0 },
	{ FD | USERDATA, 1, SECOND, 0, 0, D },
	{ FD | USERDATA, 9, SECOND, 0, -ENOENT, 0 },
	{ OP, 9, NONE, IOURING2_OP_TIMEOUT, 0, C },
	{ OP | ALL, 9, NONE, IOURING2_OP_POLL_ADD, 3, A | B | D },
	{ OP | USERDATA, 2, NONE, IOURING2_OP_POLL_ADD, 0, B },
	{ OP | USERDATA, 2, NONE, IOURING2_OP_TIMEOUT, -ENOENT, 0 },
	{ OP | FD, 9, FIRST, IOURING2_OP_POLL_ADD, 0, A },
	{ OP | FD, 9, FIRST, IOURING2_OP_READ, -ENOENT, 0 },
	{ OP, 9, NONE, 255, -ENOENT, 0 },
	/* Without OP and FD, opcode and descriptor are not looked at */
	{ 0, 2, OTHER, 255, 0, B },
	{ FIXED, 2, NONE, 0, 0, B },
	/* There is no such descriptor, and no registered file */
	{ FD, 2, NONE, 0, -EBADF, 0 },
	{ FD | ALL, 2, NONE, 0, -EBADF, 0 },
	{ FD | FIXED, 2, FIRST, 0, -EBADF, 0 },
};

/* Return: 0 if the four requests are in flight */
static int start_four(const struct side *s, struct ring *r, int first,
		      int second)
{
	static struct __kernel_timespec hour = { .tv_sec = 3600 };
	static const __u64 user_data[] = { 1, 2, 3, 1 };
	int i, ret;

	prep_poll(ring_sqe(r), first, POLLIN);
	prep_poll(ring_sqe(r), second, POLLIN);
	prep_timeout(ring_sqe(r), &hour, 0, 0);
	prep_poll(ring_sqe(r), second, POLLIN);
	for (i = 0; i < 4; i++)
		r->sqes[i].user_data = user_data[i];
	ring_publish(r);
	ret = s->enter(r->fd, 4, 0, 0, NULL, 0);
	return ret == 4 ? 0 : -EPROTO;
}

/* Wait for the CQEs of @ended. Return: "" or what is wrong. */
static const char *these_ended(const struct side *s, struct ring *r,
			       unsigned int ended)
{
	unsigned int nr = __builtin_popcount(ended), one = 0, seen = 0;
	struct iouring2_cqe cqe;
	int ret;

	ret = nr ? s->enter(r->fd, 0, nr, GETEVENTS, NULL, 0) : 0;
	if (ret < 0)
		return reason("ENTER: %d", ret);
	while (ring_peek(r, &cqe)) {
		if (cqe.res != -ECANCELED)
			return reason("%d ended with %d", (int)cqe.user_data,
				      cqe.res);
		if (cqe.user_data == 1)
			one++;
		else
			seen |= cqe.user_data == 2 ? B : C;
	}
	if (seen != (ended & (B | C)) ||
	    one != !!(ended & A) + !!(ended & D))
		return reason("ended: 0x%x and %u, not 0x%x", seen, one, ended);
	return "";
}

TEST_F_TIMEOUT(sync, keys, LIMIT)
{
	const struct side *s = variant->side;
	const struct key_row *row;
	int fds[4], ret;
	unsigned int i;
	struct ring r;

	NEED_SIDE(tree_cancels());
	fds[NONE] = -1;
	for (i = FIRST; i <= OTHER; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(key_rows); i++) {
		row = &key_rows[i];
		struct iouring2_sync_cancel_reg sc = {
			.addr = row->user_data, .fd = fds[row->fd],
			.flags = row->flags, .opcode = row->op,
			.timeout = FOREVER,
		};

		ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
		ASSERT_EQ(0, start_four(s, &r, fds[FIRST], fds[SECOND]));
		ret = sync_cancel(s, &r, &sc);
		if (s == &tree_side && (row->flags & LATE_FLAGS) &&
		    ret == -EINVAL) {
			ring_exit(&r);
			continue;
		}
		EXPECT_EQ(row->ret, ret) {
			TH_LOG("row %u", i);
		}
		EXPECT_STREQ("", these_ended(s, &r, row->ended)) {
			TH_LOG("row %u", i);
		}
		if (s == &module_side)
			EXPECT_EQ(4 - __builtin_popcount(row->ended),
				  fdinfo(r.fd, "Inflight"));
		ring_exit(&r);
	}
	for (i = FIRST; i <= OTHER; i++)
		close(fds[i]);
}

/* Another descriptor of the same file is the same key */
TEST_F_TIMEOUT(sync, duplicate_of_descriptor, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_sync_cancel_reg sc = { .flags = FD, .timeout = FOREVER };
	int efd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);
	struct ring r;

	NEED_SIDE(tree_cancels());
	ASSERT_LE(0, efd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, start_four(s, &r, efd, other));
	sc.fd = dup(efd);
	ASSERT_LE(0, sc.fd);
	close(efd);
	EXPECT_EQ(0, sync_cancel(s, &r, &sc));
	EXPECT_STREQ("", these_ended(s, &r, A));
	close(sc.fd);
	close(other);
	ring_exit(&r);
}

/* A poll of the ring matches the ring's descriptor, not that of another ring */
RING_TEST(by_ring)
{
	struct iouring2_sync_cancel_reg sc = { .flags = FD, .timeout = FOREVER };
	struct iouring2_cqe cqe;
	struct ring r, other;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_init(&other, 8, 0));
	prep_poll(ring_sqe(&r), r.fd, POLLPRI);
	r.sqes[0].user_data = 1;
	EXPECT_EQ(1, ring_submit(&r));
	sc.fd = other.fd;
	EXPECT_EQ(-ENOENT, sync_cancel(&module_side, &r, &sc));
	sc.fd = r.fd;
	EXPECT_EQ(0, sync_cancel(&module_side, &r, &sc));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&other);
	ring_exit(&r);
}

/* A process cancels the request of another one */
TEST_F_TIMEOUT(sync, by_another_process, LIMIT)
{
	const struct side *s = variant->side;
	int efd = eventfd(0, EFD_CLOEXEC), status;
	struct ring r;
	pid_t pid;

	NEED_SIDE(tree_cancels());
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, start_four(s, &r, efd, efd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-sync_cancel_ns(s, &r, 2, -1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("", these_ended(s, &r, B));
	ring_exit(&r);
	close(efd);
}

TEST_F_TIMEOUT(sync, refused, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_sync_cancel_reg sc = {
		.addr = 2, .fd = -1, .timeout = FOREVER,
	};
	int efd = eventfd(0, EFD_CLOEXEC), bit;
	unsigned char *byte;
	struct ring r;

	NEED_SIDE(tree_cancels());
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, start_four(s, &r, efd, efd));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, IOURING2_REGISTER_SYNC_CANCEL, NULL, 1));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, IOURING2_REGISTER_SYNC_CANCEL, &sc, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, IOURING2_REGISTER_SYNC_CANCEL, &sc, 2));
	EXPECT_EQ(-EFAULT, s->reg(r.fd, IOURING2_REGISTER_SYNC_CANCEL, BAD_ADDR,
				  1));
	for (bit = 6; bit < 32; bit++) {
		sc.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, sync_cancel(s, &r, &sc)) {
			TH_LOG("flag bit %d", bit);
		}
	}
	sc.flags = 0;
	for (byte = sc.pad; byte < (unsigned char *)(&sc + 1); byte++) {
		*byte = 1;
		EXPECT_EQ(-EINVAL, sync_cancel(s, &r, &sc)) {
			TH_LOG("byte %d", (int)(byte - (unsigned char *)&sc));
		}
		*byte = 0;
	}
	EXPECT_STREQ("", these_ended(s, &r, 0));
	EXPECT_EQ(0, sync_cancel(s, &r, &sc));
	EXPECT_STREQ("", these_ended(s, &r, B));
	ring_exit(&r);
	close(efd);
}

/* io_uring takes a negative time for one that has passed, if it has to wait */
RING_TEST(negative_time_refused)
{
	static const struct __kernel_timespec bad[] = {
		{ -1, 0 }, { 0, -1 }, { -2, -1 }, { -1, -2 }, { -1, 5 },
		{ 5, -1 }, { LLONG_MIN, 0 }, { 0, LLONG_MIN },
	};
	int efd = eventfd(0, EFD_CLOEXEC);
	unsigned int i;
	struct ring r;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, start_four(&module_side, &r, efd, efd));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iouring2_sync_cancel_reg sc = {
			.addr = 2, .fd = -1, .timeout = bad[i],
		};

		EXPECT_EQ(-EINVAL, sync_cancel(&module_side, &r, &sc)) {
			TH_LOG("row %u", i);
		}
	}
	EXPECT_STREQ("", these_ended(&module_side, &r, 0));
	ring_exit(&r);
	close(efd);
}

/* ------------------------------------------------------------------- states */

RING_FIXTURE(victim) {
	const struct victim *is;
};

FIXTURE_VARIANT_ADD(victim, poll) { &victims[POLL] };
FIXTURE_VARIANT_ADD(victim, multishot_poll) { &victims[MULTISHOT_POLL] };
FIXTURE_VARIANT_ADD(victim, timeout) { &victims[TIMEOUT] };
FIXTURE_VARIANT_ADD(victim, timeout_with_count) {
	&victims[TIMEOUT_WITH_COUNT]
};

FIXTURE_VARIANT_ADD(victim, multishot_timeout) { &victims[MULTISHOT_TIMEOUT] };
FIXTURE_VARIANT_ADD(victim, read_of_pipe) { &victims[READ_OF_PIPE] };
FIXTURE_VARIANT_ADD(victim, async_read_of_pipe) {
	&victims[ASYNC_READ_OF_PIPE]
};

FIXTURE_VARIANT_ADD(victim, async_read_of_eventfd) {
	&victims[ASYNC_READ_OF_EVENTFD]
};

FIXTURE_VARIANT_ADD(victim, async_read_of_terminal) {
	&victims[ASYNC_READ_OF_TERMINAL]
};

FIXTURE_VARIANT_ADD(victim, write_to_full_pipe) {
	&victims[WRITE_TO_FULL_PIPE]
};

FIXTURE_VARIANT_ADD(victim, async_write_to_full_pipe) {
	&victims[ASYNC_WRITE_TO_FULL_PIPE]
};

/*
 * Whether the request waits or runs: when the call returns, the request is not
 * running any more, and has ended once
 */
TEST_F_TIMEOUT(victim, has_ended, LIMIT)
{
	const struct victim *v = variant->is;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (!victim_possible(v, &s))
		SKIP(goto out, "no terminals here");
	ASSERT_EQ(0, victim_start(v, &r, &s));
	EXPECT_EQ(0, sync_cancel_ns(&module_side, &r, VICTIM, -1));
	EXPECT_EQ(-ENOENT, sync_cancel_ns(&module_side, &r, VICTIM, -1));
	ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
	EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR) {
		TH_LOG("res %d", cqe.res);
	}
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0));
	EXPECT_EQ(0, (int)ring_ready(&r));
out:
	ring_exit(&r);
	scene_close(&s);
}

/*
 * A write that blocks its worker in an interruptible sleep. The eventfd polls as
 * writable, but has no room for so large a value.
 */
TEST_F_TIMEOUT(sync, interrupts_a_worker, LIMIT)
{
	static const __u64 too_much = UINT64_MAX - 1;
	const struct side *s = variant->side;
	int efd = eventfd(1, EFD_CLOEXEC), i;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	NEED_SIDE(tree_cancels());
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	for (i = 0; i < 20; i++) {
		sqe = ring_sqe(&r);
		prep(sqe, IOURING2_OP_WRITE, efd, (void *)&too_much,
		     sizeof(too_much), 0);
		sqe->flags = ASYNC;
		sqe->user_data = 1;
		ring_publish(&r);
		ASSERT_EQ(1, s->enter(r.fd, 1, 0, 0, NULL, 0));
		/* now and then let the worker fall asleep first */
		if (i % 4 == 3)
			usleep(20000);
		EXPECT_EQ(0, sync_cancel_ns(s, &r, 1, -1)) {
			TH_LOG("round %d", i);
		}
		ASSERT_EQ(0, s->enter(r.fd, 0, 1, GETEVENTS, NULL, 0));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR) {
			TH_LOG("round %d: res %d", i, cqe.res);
		}
	}
	ring_exit(&r);
	close(efd);
}

/* ------------------------------------------------------------------ waiting */

/* A read of a file, in a worker that waits for a page of the buffer */
struct stuck {
	struct absent a;
	struct ring r;
	int file;
};

#define READER	7

static int stuck_read(const struct side *s, struct stuck *st)
{
	struct iouring2_sqe *sqe = ring_sqe(&st->r);

	prep_read(sqe, st->file, st->a.page, 8, 0);
	sqe->flags = ASYNC;
	sqe->user_data = READER;
	ring_publish(&st->r);
	if (s->enter(st->r.fd, 1, 0, 0, NULL, 0) != 1)
		return -EPROTO;
	return absent_wanted(&st->a, SOON) ? 0 : -ETIME;
}

static int stuck_make(const struct side *s, struct stuck *st)
{
	if (absent_make(&st->a))
		return -ENODEV;
	st->file = tmp_file(4096);
	if (st->file < 0 || s->setup(&st->r, 8, 0, 0))
		return -EPROTO;
	return stuck_read(s, st);
}

/* The page has been provided. Return: its result, or an error. */
static int stuck_end(const struct side *s, struct stuck *st)
{
	struct iouring2_cqe cqe;

	while (!ring_peek(&st->r, &cqe))
		if (s->enter(st->r.fd, 0, 1, GETEVENTS, NULL, 0) < 0)
			return -EPROTO;
	return cqe.user_data == READER ? cqe.res : -EPROTO;
}

static void stuck_free(struct stuck *st)
{
	ring_exit(&st->r);
	close(st->file);
	absent_free(&st->a);
}

#define STUCK(st)							\
	do {								\
		int __ret;						\
									\
		NEED_SIDE(tree_cancels());				\
		__ret = stuck_make(variant->side, (st));		\
		if (__ret == -ENODEV)					\
			SKIP(return, "no userfaultfd");			\
		ASSERT_EQ(0, __ret);					\
	} while (0)

TEST_F_TIMEOUT(sync, time_is_up, LIMIT)
{
	static const long long ns[] = { 0, 1, 50 * NSEC_PER_MSEC };
	const struct side *s = variant->side;
	long long begin;
	struct stuck st;
	unsigned int i;

	STUCK(&st);
	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		begin = now_ns(CLOCK_MONOTONIC);
		EXPECT_EQ(-ETIME, sync_cancel_ns(s, &st.r, READER, ns[i]));
		EXPECT_LE(ns[i], now_ns(CLOCK_MONOTONIC) - begin);
	}
	EXPECT_EQ(0, (int)ring_ready(&st.r));
	EXPECT_EQ(0, absent_provide(&st.a));
	/* It ends sooner or later. An hour would be too long for this test */
	EXPECT_LE(-ENOENT, sync_cancel_ns(s, &st.r, READER, 3600 * NSEC_PER_SEC));
	EXPECT_EQ(-ENOENT, sync_cancel_ns(s, &st.r, READER, -1));
	EXPECT_EQ(8, stuck_end(s, &st));
	stuck_free(&st);
}

struct waiter {
	const struct side *s;
	struct ring *r;
	long long ns;
	pthread_t self;
	pid_t tid;
	bool over;
	int ret;
};

static void *wait_in_cancel(void *arg)
{
	struct waiter *w = arg;

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = sync_cancel_ns(w->s, w->r, READER, w->ns);
	st_rel(&w->over, true);
	return NULL;
}

/* Return: 0 if a thread is waiting in SYNC_CANCEL now */
static int waiter_start(struct waiter *w, const struct side *s, struct ring *r,
			long long ns)
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->r = r;
	w->ns = ns;
	if (pthread_create(&w->self, NULL, wait_in_cancel, w))
		return -EAGAIN;
	return until(ld_acq(&w->tid) && task_waits(w->tid)) ? 0 : -ETIME;
}

/*
 * While one thread waits, another one submits, reaps and registers: the wait
 * holds no lock
 */
TEST_F_TIMEOUT(sync, waits_without_a_lock, LIMIT)
{
	const struct side *s = variant->side;
	static char probe[sizeof(struct iouring2_probe)];
	struct iouring2_cqe cqe;
	struct waiter w;
	struct stuck st;
	int i;

	STUCK(&st);
	ASSERT_EQ(0, waiter_start(&w, s, &st.r, -1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ring_nop(&st.r, 100 + i));
		ring_publish(&st.r);
		ASSERT_EQ(1, s->enter(st.r.fd, 1, 1, GETEVENTS, NULL, 0));
		ASSERT_TRUE(ring_peek(&st.r, &cqe));
		EXPECT_EQ(100 + i, (int)cqe.user_data);
	}
	memset(probe, 0, sizeof(probe));
	EXPECT_EQ(0, s->reg(st.r.fd, IOURING2_REGISTER_PROBE, probe, 0));
	/* These completions have woken it, but it goes on waiting */
	EXPECT_TRUE(until(task_waits(w.tid)));
	EXPECT_FALSE(ld_acq(&w.over));
	EXPECT_EQ(0, absent_provide(&st.a));
	EXPECT_TRUE(until(ld_acq(&w.over)));
	pthread_join(w.self, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_EQ(8, stuck_end(s, &st));
	stuck_free(&st);
}

static void handler(int sig)
{
	(void)sig;
}

TEST_F_TIMEOUT(sync, interrupted, LIMIT)
{
	static const int sa_flags[] = { 0, SA_RESTART };
	const struct side *s = variant->side;
	struct sigaction sa = { .sa_handler = handler };
	struct waiter w;
	struct stuck st;
	unsigned int i;

	STUCK(&st);
	for (i = 0; i < ARRAY_SIZE(sa_flags); i++) {
		sa.sa_flags = sa_flags[i];
		sigaction(SIGUSR1, &sa, NULL);
		ASSERT_EQ(0, waiter_start(&w, s, &st.r, i ? -1 :
					  3600 * NSEC_PER_SEC));
		pthread_kill(w.self, SIGUSR1);
		EXPECT_TRUE(until(ld_acq(&w.over)));
		pthread_join(w.self, NULL);
		EXPECT_EQ(-EINTR, w.ret);
	}
	EXPECT_EQ(0, (int)ring_ready(&st.r));
	EXPECT_EQ(0, absent_provide(&st.a));
	EXPECT_EQ(8, stuck_end(s, &st));
	stuck_free(&st);
}

/*
 * With ALL or ANY the call does not wait for a running request. The request
 * counts. In io_uring it does on some kernels.
 */
TEST_F_TIMEOUT(sync, all_does_not_wait, LIMIT)
{
	static const unsigned int flags[] = { ALL, ANY, ALL | ANY };
	const struct side *s = variant->side;
	struct stuck st;
	unsigned int i;
	int ret;

	STUCK(&st);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct iouring2_sync_cancel_reg sc = {
			.addr = READER, .flags = flags[i], .timeout = FOREVER,
		};

		ret = sync_cancel(s, &st.r, &sc);
		EXPECT_TRUE(ret == 1 || (s == &tree_side && !ret)) {
			TH_LOG("flags 0x%x: %d", flags[i], ret);
		}
	}
	EXPECT_EQ(0, (int)ring_ready(&st.r));
	EXPECT_EQ(0, absent_provide(&st.a));
	EXPECT_EQ(8, stuck_end(s, &st));
	stuck_free(&st);
}

static const char *waits_beside_io_uring(void *arg)
{
	int efd = eventfd(0, EFD_CLOEXEC), ret;
	long long begin;
	struct ring busy;
	struct stuck st;

	written_often(efd);
	if (tree_setup(&busy, 8, 4096, 0))
		return "skip";
	prep_poll_multi(ring_sqe(&busy), efd, POLLIN);
	ring_publish(&busy);
	if (tree_enter(busy.fd, 1, 0, 0, NULL, 0) != 1)
		return "io_uring does not work";
	ret = stuck_make(&module_side, &st);
	if (ret)
		return ret == -ENODEV ? "skip" : reason("not stuck: %d", ret);
	begin = now_ns(CLOCK_MONOTONIC);
	ret = sync_cancel_ns(&module_side, &st.r, READER, 500 * NSEC_PER_MSEC);
	if (ret != -ETIME)
		return reason("SYNC_CANCEL: %d", ret);
	if (now_ns(CLOCK_MONOTONIC) - begin < 500 * NSEC_PER_MSEC)
		return "too early";
	return absent_provide(&st.a) ? "page not provided" : "";
}

/*
 * Task work of io_uring interrupts the wait every 20 ms. The kernel restarts the
 * call each time, and the time of the wait does not begin anew.
 */
BOUNDED_TEST(restarted_with_its_deadline)
{
	const char *said = child_ms(waits_beside_io_uring, NULL, 30000);

	if (!strcmp(said, "skip"))
		SKIP(return, "no io_uring, or no userfaultfd");
	EXPECT_STREQ("", said);
}

struct provider {
	struct absent *a;
	int efd;
	pid_t tid;
};

/* Make task work for the waiting thread, then let the request end */
static void *work_then_provide(void *arg)
{
	struct provider *p = arg;

	until(task_waits(p->tid));
	eventfd_write(p->efd, 1);
	return absent_provide(p->a) ? NULL : p;
}

/*
 * The request may end after the call was interrupted and before it is restarted.
 * The call succeeds nevertheless.
 */
RING_TEST(ends_around_a_restart)
{
	struct provider p = { .tid = syscall(SYS_gettid) };
	struct ring native;
	pthread_t thread;
	struct stuck st;
	int ret, i;
	void *ok;

	ret = stuck_make(&module_side, &st);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	if (tree_setup(&native, 8, 0, 0))
		SKIP(goto out, "no io_uring in this kernel");
	p.a = &st.a;
	p.efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, p.efd);
	prep_poll_multi(ring_sqe(&native), p.efd, POLLIN);
	ring_publish(&native);
	ASSERT_EQ(1, tree_enter(native.fd, 1, 0, 0, NULL, 0));
	for (i = 0; i < 40; i++) {
		if (i) {
			ASSERT_EQ(0, madvise(st.a.page, 4096, MADV_DONTNEED));
			ASSERT_EQ(0, stuck_read(&module_side, &st));
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, work_then_provide,
					    &p));
		EXPECT_EQ(0, sync_cancel_ns(&module_side, &st.r, READER, -1)) {
			TH_LOG("round %d", i);
		}
		pthread_join(thread, &ok);
		ASSERT_NE(NULL, ok);
		EXPECT_EQ(8, stuck_end(&module_side, &st));
		*native.cq_head = *native.cq_tail;
	}
	ring_exit(&native);
	close(p.efd);
	stuck_free(&st);
	return;
out:
	absent_provide(&st.a);
	EXPECT_EQ(8, stuck_end(&module_side, &st));
	stuck_free(&st);
}

RING_TEST_MAIN
