// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request looks its descriptor up when it starts, in the descriptor table of
 * the process that submitted it, whichever task starts it. A bad descriptor
 * fails this request and no other.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define BAD	999

static char buf[64], data_a[16], data_b[16];

/* ------------------------------------------------------------ a bad one */

RING_FIXTURE(batch) {
	unsigned int first, bad;	/* SQE flags */
	unsigned int ring_flags;
	int third;			/* result */
};

FIXTURE_VARIANT_ADD(batch, plain) { 0, 0, 0, 0 };
FIXTURE_VARIANT_ADD(batch, submit_all) { 0, 0, IOURING2_SETUP_SUBMIT_ALL, 0 };
FIXTURE_VARIANT_ADD(batch, async) { 0, ASYNC, 0, 0 };
FIXTURE_VARIANT_ADD(batch, drained) { 0, DRAIN, 0, 0 };
FIXTURE_VARIANT_ADD(batch, linked) { LINK, LINK, 0, -ECANCELED };
FIXTURE_VARIANT_ADD(batch, linked_last) { LINK, 0, 0, 0 };
FIXTURE_VARIANT_ADD(batch, linked_async) { LINK, LINK | ASYNC, 0, -ECANCELED };

FIXTURE_VARIANT_ADD(batch, linked_submit_all) {
	LINK, LINK, IOURING2_SETUP_SUBMIT_ALL, -ECANCELED
};

FIXTURE_VARIANT_ADD(batch, hardlinked) { HARDLINK, HARDLINK, 0, 0 };
FIXTURE_VARIANT_ADD(batch, chain_drained) {
	LINK | DRAIN, LINK, 0, -ECANCELED
};

static const struct {
	const char *name;
	int op;
	unsigned int len;
} opcodes[] = {
	{ "READ", IOURING2_OP_READ, 8 },
	{ "WRITE", IOURING2_OP_WRITE, 8 },
	{ "FSYNC", IOURING2_OP_FSYNC, 0 },
	{ "POLL_ADD", IOURING2_OP_POLL_ADD, 0 },
};

TEST_F_TIMEOUT(batch, bad_descriptor, 60)
{
	static const int bad[] = { BAD, -1, -100 };
	unsigned int i, b;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(opcodes) * ARRAY_SIZE(bad); i++) {
		b = i % ARRAY_SIZE(bad);
		ASSERT_EQ(0, ring_init_params(&r, 8, 0, variant->ring_flags, 0));
		add(&r, IOURING2_OP_NOP, -1, NULL, 0, 0, variant->first, 1);
		add(&r, opcodes[i / ARRAY_SIZE(bad)].op, bad[b],
		    opcodes[i / ARRAY_SIZE(bad)].len ? buf : NULL,
		    opcodes[i / ARRAY_SIZE(bad)].len, 0, variant->bad, 2);
		add(&r, IOURING2_OP_NOP, -1, NULL, 0, 0, 0, 3);
		ring_publish(&r);
		EXPECT_EQ(3, enter(r.fd, 3, 3, IOURING2_ENTER_GETEVENTS, NULL,
				   0)) {
			TH_LOG("%s of descriptor %d",
			       opcodes[i / ARRAY_SIZE(bad)].name, bad[b]);
		}
		EXPECT_EQ(0, res_ms(&r, 1, 1000));
		EXPECT_EQ(-EBADF, res_ms(&r, 2, 1000)) {
			TH_LOG("%s of descriptor %d",
			       opcodes[i / ARRAY_SIZE(bad)].name, bad[b]);
		}
		EXPECT_EQ(variant->third, res_ms(&r, 3, 1000));
		EXPECT_EQ(0U, ring_ready(&r));
		ring_exit(&r);
	}
}

/* What the tests below show is what this feature stands for */
BOUNDED_TEST(feature)
{
	struct iouring2_query q;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_TRUE(q.features & IOURING2_FEAT_LINKED_FILE);
}

/* The links before the bad one run: here the write makes the file grow */
BOUNDED_TEST(links_before_are_done)
{
	int fd = tmp_file(0);
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add(&r, IOURING2_OP_WRITE, fd, "12345678", 8, 0, LINK, 1);
	add(&r, IOURING2_OP_READ, BAD, buf, 8, 0, LINK, 2);
	add(&r, IOURING2_OP_WRITE, fd, "12345678", 8, 8, 0, 3);
	EXPECT_EQ(3, ring_submit(&r));
	EXPECT_EQ(8, res_ms(&r, 1, SOON));
	EXPECT_EQ(-EBADF, res_ms(&r, 2, SOON));
	EXPECT_EQ(-ECANCELED, res_ms(&r, 3, SOON));
	EXPECT_EQ(8, lseek(fd, 0, SEEK_END));
	ring_exit(&r);
	close(fd);
}

/* --------------------------------------------------------- looked up late */

/* Make a file with 8 bytes of @with in it */
static int file_of(const char *with, char *data)
{
	int fd = tmp_file(0);

	memset(data, 0, 16);
	snprintf(data, 16, "%-8s", with);
	return pwrite(fd, data, 8, 0) == 8 ? fd : -1;
}

/* The request that starts late: its descriptor changes before that */
static struct iouring2_sqe *add_request(struct ring *r, int op, int fd,
					unsigned int flags)
{
	bool rw = op == IOURING2_OP_READ;
	struct iouring2_sqe *sqe;

	sqe = add(r, op, fd, rw ? buf : NULL, rw ? 8 : 0, 0, flags, TRIED);
	if (op == IOURING2_OP_POLL_ADD)
		sqe->poll32_events = POLLIN;
	return sqe;
}

/* Queue a request behind a gate. Return: the gate. */
static int add_late(struct ring *r, int op, int fd)
{
	int gate = add_gate(r, GATE);

	add_request(r, op, fd, 0);
	return gate;
}

/* Open the gate: outside ENTER, or by a request in an ENTER that waits */
static int late_result(struct ring *r, int gate, bool away)
{
	static const __u64 one = 1;

	if (away) {
		open_gate(gate);
		return seen_ms(r, TRIED, SOON);
	}
	add(r, IOURING2_OP_WRITE, gate, &one, sizeof(one), 0,
	    IOURING2_SQE_CQE_SKIP_SUCCESS, 0);
	enter_timeout(r->fd, ring_publish(r), ring_ready(r) + 2,
		      SOON * NSEC_PER_MSEC);
	close(gate);
	return res_ms(r, TRIED, SOON);
}

/*
 * While the request waits for its start, dup2() puts another file at its
 * descriptor, close() frees the descriptor, or dup2() puts a file at a free one
 */
BOUNDED_TEST(late_lookup)
{
	int a = file_of("first", data_a), b = file_of("second", data_b);
	int away, fd, gate;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (away = 0; away < 2; away++) {
		fd = fcntl(a, F_DUPFD_CLOEXEC, 100);
		gate = add_late(&r, IOURING2_OP_READ, fd);
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(fd, dup2(b, fd));
		EXPECT_EQ(8, late_result(&r, gate, away));
		EXPECT_EQ(0, memcmp(buf, data_b, 8)) {
			TH_LOG("dup2: \"%s\", %s ENTER", buf,
			       away ? "outside" : "in");
		}

		gate = add_late(&r, IOURING2_OP_READ, fd);
		ASSERT_EQ(0, submit_all(&r));
		close(fd);
		EXPECT_EQ(-EBADF, late_result(&r, gate, away)) {
			TH_LOG("close, %s ENTER", away ? "outside" : "in");
		}

		gate = add_late(&r, IOURING2_OP_READ, fd);
		EXPECT_EQ(0, submit_all(&r)) {
			TH_LOG("not open yet, %s ENTER",
			       away ? "outside" : "in");
		}
		ASSERT_EQ(fd, dup2(a, fd));
		EXPECT_EQ(8, late_result(&r, gate, away));
		EXPECT_EQ(0, memcmp(buf, data_a, 8));

		gate = add_late(&r, IOURING2_OP_FSYNC, fd);
		ASSERT_EQ(0, submit_all(&r));
		close(fd);
		EXPECT_EQ(-EBADF, late_result(&r, gate, away)) {
			TH_LOG("FSYNC after close");
		}
		while (ring_peek(&r, &(struct iouring2_cqe){}))
			;
	}
	ring_exit(&r);
	close(a);
	close(b);
}

BOUNDED_TEST(late_poll)
{
	int silent = eventfd(0, EFD_CLOEXEC), ready = eventfd(1, EFD_CLOEXEC);
	int away, fd, gate;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (away = 0; away < 2; away++) {
		fd = fcntl(silent, F_DUPFD_CLOEXEC, 100);
		gate = add_late(&r, IOURING2_OP_POLL_ADD, fd);
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(fd, dup2(ready, fd));
		EXPECT_EQ(POLLIN, late_result(&r, gate, away)) {
			TH_LOG("%s ENTER", away ? "outside" : "in");
		}
		gate = add_late(&r, IOURING2_OP_POLL_ADD, fd);
		ASSERT_EQ(0, submit_all(&r));
		close(fd);
		EXPECT_EQ(-EBADF, late_result(&r, gate, away));
		while (ring_peek(&r, &(struct iouring2_cqe){}))
			;
	}
	ring_exit(&r);
	close(silent);
	close(ready);
}

/* A cancel by descriptor looks the descriptor up when the cancel starts */
BOUNDED_TEST(late_cancel)
{
	int one[2], two[2], away, fd, gate;
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_EQ(0, pipe2(one, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(two, O_CLOEXEC));
	for (away = 0; away < 2; away++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		fd = fcntl(one[0], F_DUPFD_CLOEXEC, 100);
		add(&r, IOURING2_OP_READ, one[0], buf, 8, 0, 0, 11);
		add(&r, IOURING2_OP_READ, two[0], buf, 8, 0, 0, 12);
		gate = add_gate(&r, GATE);
		sqe = ring_sqe(&r);
		prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_FD);
		sqe->fd = fd;
		sqe->user_data = TRIED;
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(fd, dup2(two[0], fd));
		EXPECT_EQ(0, late_result(&r, gate, away));
		EXPECT_EQ(-ECANCELED, res_ms(&r, 12, SOON));
		EXPECT_EQ(NEVER, res_ms(&r, 11, 50));
		/* A cancel whose descriptor is closed by then fails */
		gate = add_gate(&r, GATE);
		sqe = ring_sqe(&r);
		prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_FD);
		sqe->fd = fd;
		sqe->user_data = TRIED;
		ASSERT_EQ(0, submit_all(&r));
		close(fd);
		EXPECT_EQ(-EBADF, late_result(&r, gate, away));
		ring_exit(&r);
	}
	close(one[0]);
	close(one[1]);
	close(two[0]);
	close(two[1]);
}

/* ------------------------------------------------------ in whose table */

/* @step: 1: begin; 2: the other process is in ENTER; 3: end */
struct stage {
	int step, count;	/* of the other process's eventfds */
	struct ring *r;
};

static void waits_in_enter(struct stage *s)
{
	struct ring r = *s->r;
	int fd;

	/* Put other files at the numbers that the submitter uses */
	for (fd = 100; fd < 110; fd++)
		dup2(eventfd(s->count, EFD_CLOEXEC), fd);
	ring_sync(&r);
	st_rel(&s->step, 2);
	while (ld_acq(&s->step) < 3)
		enter_timeout(r.fd, 0, 100, 20 * NSEC_PER_MSEC);
	_exit(0);
}

/*
 * Another process that shares the ring is in ENTER when the gate opens, and
 * starts the next request of the chain. It has another file at this descriptor.
 * The request must use the submitter's file.
 */
BOUNDED_TEST(submitters_table)
{
	int b = file_of("second", data_b), ready = eventfd(1, EFD_CLOEXEC);
	int round, fd, gate, ops, want;
	struct stage *s = shared_new(sizeof(*s));
	struct ring r;
	pid_t pid;

	for (round = 0; round < 4; round++) {
		ops = round % 2 ? IOURING2_OP_POLL_ADD : IOURING2_OP_READ;
		ASSERT_EQ(0, ring_init(&r, 8, 128));
		s->r = &r;
		s->step = 1;
		s->count = ops == IOURING2_OP_READ;
		pid = fork();
		if (!pid)
			waits_in_enter(s);
		ASSERT_TRUE(until(ld_acq(&s->step) == 2));
		fd = fcntl(ops == IOURING2_OP_READ ? b : ready, F_DUPFD_CLOEXEC,
			   100);
		ASSERT_LE(100, fd);
		gate = add_late(&r, ops, fd);
		ASSERT_EQ(0, submit_all(&r));
		if (round >= 2)
			close(fd);
		open_gate(gate);
		want = ops == IOURING2_OP_READ ? 8 : POLLIN;
		EXPECT_EQ(round < 2 ? want : -EBADF, seen_ms(&r, TRIED, SOON)) {
			TH_LOG("round %d", round);
		}
		if (!round) {
			EXPECT_EQ(0, memcmp(buf, data_b, 8)) {
				TH_LOG("\"%s\"", buf);
			}
		}
		st_rel(&s->step, 3);
		EXPECT_EQ(0, reap_ms(pid, SOON));
		if (round < 2)
			close(fd);
		ring_exit(&r);
	}
	close(b);
	close(ready);
}

/* ------------------------------------------------ one that only names a file */

/*
 * Queue a request behind a timer, or, if @drained, behind a barrier. It does
 * not start during the submission.
 */
static void add_behind(struct ring *r, int op, int fd, bool drained)
{
	struct iouring2_sqe *sqe;

	if (!drained) {
		add_timer(r, 100, HARDLINK, TIMER);
		sqe = add_request(r, op, fd, 0);
	} else {
		add_timer(r, 100, 0, TIMER);
		sqe = add_request(r, op, fd, DRAIN);
	}
	if (op == IOURING2_OP_ASYNC_CANCEL)
		sqe->cancel_flags = IOURING2_ASYNC_CANCEL_FD;
}

static const char *names_only(struct ring *r, int fd, bool away)
{
	static const int ops[] = {
		IOURING2_OP_READ, IOURING2_OP_FSYNC, IOURING2_OP_POLL_ADD,
		IOURING2_OP_ASYNC_CANCEL,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < 2 * ARRAY_SIZE(ops); i++) {
		add_behind(r, ops[i / 2], fd, i % 2);
		ret = submit_all(r);
		if (!ret)
			ret = away ? seen_ms(r, TRIED, SOON) :
				     res_ms(r, TRIED, SOON);
		if (ret != -EBADF)
			return reason("%s opcode %d: result %d",
				      i % 2 ? "drained" : "linked",
				      ops[i / 2], ret);
		if (seen_ms(r, TIMER, SOON) != -ETIME)
			return "the timer did not fire";
	}
	return ring_ready(r) ? "more completions" : "";
}

/*
 * An O_PATH descriptor only names a file. A request fails with EBADF on it,
 * whichever task looks it up.
 */
BOUNDED_TEST(path_descriptor)
{
	int fd = open("/etc/passwd", O_PATH | O_CLOEXEC), who;
	struct stage *s = shared_new(sizeof(*s));
	struct ring r;
	pid_t pid = -1;

	ASSERT_LE(0, fd);
	/* the submitter, the work item, a process that shares the ring */
	for (who = 0; who < 3; who++) {
		ASSERT_EQ(0, ring_init(&r, 8, 128));
		s->r = &r;
		s->step = 1;
		if (who == 2)
			pid = fork();
		if (!pid)
			waits_in_enter(s);
		ASSERT_TRUE(who < 2 || until(ld_acq(&s->step) == 2));
		EXPECT_STREQ("", names_only(&r, fd, who)) {
			TH_LOG("looked up by number %d of the three", who);
		}
		st_rel(&s->step, 3);
		if (pid > 0)
			EXPECT_EQ(0, reap_ms(pid, SOON));
		ring_exit(&r);
	}
	close(fd);
	munmap(s, sizeof(*s));
}

/*
 * A thread that has unshared its descriptor table uses the files of its own
 * table
 */
static void *own_table(void *arg)
{
	struct ring *r = arg;
	int fd, gate;

	if (unshare(CLONE_FILES))
		return "unshare() failed";
	fd = file_of("second", data_b);
	if (dup2(fd, 100) != 100)
		return "dup2() failed";
	gate = add_late(r, IOURING2_OP_READ, 100);
	if (submit_all(r))
		return "the submission failed";
	if (late_result(r, gate, true) != 8 || memcmp(buf, data_b, 8))
		return "wrong file";
	/*
	 * Drop this table's reference: the kernel frees the table some time
	 * after the thread was joined
	 */
	close(r->fd);
	return "";
}

BOUNDED_TEST(threads_table)
{
	pthread_t thread;
	struct ring r;
	void *said = "";
	int a = file_of("first", data_a);

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(100, dup2(a, 100));
	ASSERT_EQ(0, pthread_create(&thread, NULL, own_table, &r));
	pthread_join(thread, &said);
	EXPECT_STREQ("", said);
	close(100);
	close(a);
	ring_exit(&r);
}

RING_TEST_MAIN
