// SPDX-License-Identifier: GPL-2.0-only
/*
 * ASYNC_CANCEL finds a request by each of its keys, in each state that it can
 * be in, and ends it exactly once. The result of the cancellation agrees with
 * the result of the request. A cancelled read consumes no data. victims.h has
 * the states.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "victims.h"

#define ALL	IOURING2_ASYNC_CANCEL_ALL
#define FD	IOURING2_ASYNC_CANCEL_FD
#define ANY	IOURING2_ASYNC_CANCEL_ANY
#define FIXED	IOURING2_ASYNC_CANCEL_FD_FIXED
#define USERDATA IOURING2_ASYNC_CANCEL_USERDATA
#define OP	IOURING2_ASYNC_CANCEL_OP

struct key {
	unsigned int flags;
	__u64 user_data;
	int fd, op;
};

/* Return the cancellation's result. The victims' completions stay in the CQ. */
static int cancel(struct ring *r, const struct key *k, bool async)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, k->user_data, k->flags);
	sqe->fd = k->fd;
	sqe->len = k->op;
	sqe->flags = async ? IOURING2_SQE_ASYNC : 0;
	return ring_do(r);
}

/* Is @res a result of a cancelled request? */
static bool cancelled(int res)
{
	return res == -ECANCELED || res == -EINTR;
}

/*
 * Did the cancellation end the request, or interrupt it while it was running?
 */
static bool did_cancel(int ret)
{
	return ret == 0 || ret == -EALREADY;
}

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
FIXTURE_VARIANT_ADD(victim, readv_of_pipe) { &victims[READV_OF_PIPE] };
FIXTURE_VARIANT_ADD(victim, async_read_of_pipe) {
	&victims[ASYNC_READ_OF_PIPE]
};

FIXTURE_VARIANT_ADD(victim, read_of_socket) { &victims[READ_OF_SOCKET] };
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

static void cancel_it(struct __test_metadata *_metadata,
		      const struct victim *v, bool async)
{
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	const unsigned int holders = v == &linked_victim;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	int ret;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (!victim_possible(v, &s))
		SKIP(goto out, "no terminals here");
	ASSERT_EQ(0, victim_start(v, &r, &s));
	ret = cancel(&r, &key, async);
	if (holders && ret == -ENOENT) {
		/*
		 * A request that has not started is not found, as in io_uring
		 */
		EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
		goto out;
	}
	EXPECT_TRUE(did_cancel(ret)) {
		TH_LOG("cancel returned %d", ret);
	}
	ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
	EXPECT_TRUE(cancelled(cqe.res)) {
		TH_LOG("res %d", cqe.res);
	}
	EXPECT_EQ(0, (int)cqe.flags);
	/* The request ends once, and is not found again */
	EXPECT_EQ(-ENOENT, cancel(&r, &key, async));
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == holders));
	EXPECT_EQ(0, (int)ring_ready(&r));
out:
	ring_exit(&r);
	scene_close(&s);
}

TEST_F_TIMEOUT(victim, cancelled_in_each_state, LIMIT)
{
	cancel_it(_metadata, variant->is, false);
}

TEST_F_TIMEOUT(victim, cancelled_in_each_state_by_a_worker, LIMIT)
{
	cancel_it(_metadata, variant->is, true);
}

RING_TEST(member_of_a_chain)
{
	cancel_it(_metadata, &linked_victim, false);
}

RING_TEST(member_of_a_chain_from_a_worker)
{
	cancel_it(_metadata, &linked_victim, true);
}

/* Try every key that matches the victim, and keys that do not match it */
TEST_F_TIMEOUT(victim, matches_by_each_key, LIMIT)
{
	const struct victim *v = variant->is;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	unsigned int k;
	int ret, vfd;

	ASSERT_EQ(0, scene_open(&s));
	vfd = v->fd ? v->fd(&s) : -1;
	const struct {
		struct key key;
		bool hit, needs_fd;
	} keys[] = {
		{ { USERDATA, VICTIM, -1, 0 }, true },
		{ { ANY, 0, -1, 0 }, true },
		{ { OP, 0, -1, v->op }, true },
		{ { OP | USERDATA, VICTIM, -1, v->op }, true },
		{ { FD, 0, vfd, 0 }, true, true },
		{ { FD | OP, 0, vfd, v->op }, true, true },
		{ { FD | USERDATA, VICTIM, vfd, 0 }, true, true },
		{ { FD | OP | USERDATA, VICTIM, vfd, v->op }, true, true },
		/* without FD, FD_FIXED means nothing; without OP, len does */
		{ { FIXED, VICTIM, -1, 0 }, true },
		{ { 0, VICTIM, -1, v->op ^ 1 }, true },
		{ { 0, VICTIM + 1, -1, 0 }, false },
		{ { USERDATA, 0, -1, 0 }, false },
		{ { OP, VICTIM, -1, v->op ^ 1 }, false },
		{ { OP | USERDATA, VICTIM, -1, 0 }, false },
		{ { OP | USERDATA, 0, -1, v->op }, false },
		{ { FD, VICTIM, s.sock[1], 0 }, false },
		{ { FD | USERDATA, 0, vfd, 0 }, false, true },
		{ { FD | OP, 0, vfd, 0 }, false, true },
	};

	if (!victim_possible(v, &s))
		SKIP(goto out, "no terminals here");
	for (k = 0; k < ARRAY_SIZE(keys); k++) {
		if (keys[k].needs_fd && vfd < 0)
			continue;
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, victim_start(v, &r, &s));
		ret = cancel(&r, &keys[k].key, false);
		if (keys[k].hit) {
			/* ANY cancels all requests and returns their number */
			if (keys[k].key.flags & ANY && ret == 1)
				ret = 0;
			EXPECT_TRUE(did_cancel(ret)) {
				TH_LOG("key %u: cancel returned %d", k, ret);
			}
			ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
				TH_LOG("key %u", k);
			}
			EXPECT_TRUE(cancelled(cqe.res));
		} else {
			EXPECT_EQ(-ENOENT, ret) {
				TH_LOG("key %u", k);
			}
			EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		}
		EXPECT_EQ(0, (int)ring_ready(&r));
		ring_exit(&r);
	}
out:
	scene_close(&s);
}

/* A poll of the ring matches the ring's descriptor, not that of another ring */
RING_TEST(by_ring)
{
	struct iouring2_cqe cqe;
	struct ring r, other;
	struct key key = { .flags = FD };

	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, ring_init(&other, 16, 0));
	prep_poll(ring_sqe(&r), r.fd, POLLPRI);
	r.sqes[0].user_data = 1;
	EXPECT_EQ(1, ring_submit(&r));
	key.fd = other.fd;
	EXPECT_EQ(-ENOENT, cancel(&r, &key, false));
	key.fd = r.fd;
	EXPECT_EQ(0, cancel(&r, &key, false));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	ring_exit(&other);
	ring_exit(&r);
}

/*
 * The key is the descriptor of another ring, which is closed before the cancel
 * runs. No request matches it. In particular, a request without a file does not
 * match it.
 */
RING_TEST(by_another_ring)
{
	static const unsigned int how[] = { FD, FD | ALL };
	struct __kernel_timespec hour = ts_ns(3600 * NSEC_PER_SEC);
	struct ring r, other, filler[8];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int i, j;
	int p[2];
	char c;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_timeout(ring_sqe(&r), &hour, 0, 0);
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		ASSERT_EQ(0, ring_init(&other, 8, 0));
		sqe = ring_sqe(&r);
		prep_poll(sqe, p[0], POLLIN);
		sqe->flags = IOURING2_SQE_IO_LINK;
		sqe->user_data = 1;
		sqe = ring_sqe(&r);
		prep_cancel(sqe, 0, how[i]);
		sqe->fd = other.fd;
		sqe->flags = IOURING2_SQE_ASYNC;
		sqe->user_data = 2;
		EXPECT_EQ(2, ring_submit(&r));
		ring_exit(&other);
		/* One of these rings may get the memory of the closed one */
		for (j = 0; j < ARRAY_SIZE(filler); j++)
			ASSERT_EQ(0, ring_init(&filler[j], 8, 0));
		/* the cancel starts now, and finds one of them */
		ASSERT_EQ(1, write(p[1], "x", 1));
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		EXPECT_EQ(how[i] & ALL ? 0 : -ENOENT, cqe.res);
		EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		ASSERT_EQ(1, read(p[0], &c, 1));
		for (j = 0; j < ARRAY_SIZE(filler); j++)
			ring_exit(&filler[j]);
	}
	ring_exit(&r);
}

RING_FIXTURE(own_key) {
	struct key key;
};

FIXTURE_VARIANT_ADD(own_key, fd) { { FD, 0, -1, 0 } };
FIXTURE_VARIANT_ADD(own_key, opcode) {
	{ OP, 0, -1, IOURING2_OP_ASYNC_CANCEL }
};

FIXTURE_VARIANT_ADD(own_key, all_of_opcode) {
	{ ALL | OP, 0, -1, IOURING2_OP_ASYNC_CANCEL }
};

FIXTURE_VARIANT_ADD(own_key, user_data) { { USERDATA, 77, -1, 0 } };
FIXTURE_VARIANT_ADD(own_key, any) { { ANY, 0, -1, 0 } };

/* A cancel that a worker runs is in flight, too. It must not match itself. */
TEST_F_TIMEOUT(own_key, not_itself, LIMIT)
{
	const int efd = eventfd(0, EFD_CLOEXEC);
	struct key key = variant->key;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	if (key.flags & FD)
		key.fd = efd;
	sqe = ring_sqe(&r);
	prep_cancel(sqe, key.user_data, key.flags);
	sqe->fd = key.fd;
	sqe->len = key.op;
	sqe->flags = IOURING2_SQE_ASYNC;
	sqe->user_data = 77;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(key.flags & (ALL | ANY) ? 0 : -ENOENT, cqe.res);
	ring_exit(&r);
	close(efd);
}

RING_FIXTURE(many) {
	struct key key;
};

FIXTURE_VARIANT_ADD(many, by_user_data) { { ALL, 1, -1, 0 } };
FIXTURE_VARIANT_ADD(many, by_user_data_flag) { { ALL | USERDATA, 1, -1, 0 } };
FIXTURE_VARIANT_ADD(many, any) { { ALL | ANY, 0, -1, 0 } };
FIXTURE_VARIANT_ADD(many, by_fd) { { ALL | FD, 0, -1, 0 } };
FIXTURE_VARIANT_ADD(many, by_opcode) {
	{ ALL | OP, 0, -1, IOURING2_OP_POLL_ADD }
};

FIXTURE_VARIANT_ADD(many, by_fd_and_opcode) {
	{ ALL | FD | OP, 0, -1, IOURING2_OP_POLL_ADD }
};

/*
 * Without ALL, one match is cancelled. With ALL, each match is cancelled, and
 * the result is their number.
 */
TEST_F_TIMEOUT(many, counts_what_it_cancels, LIMIT)
{
	enum { NR = 5 };
	const struct key one = { .user_data = 1, .fd = -1 };
	struct key key = variant->key;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	unsigned int n;

	ASSERT_EQ(0, scene_open(&s));
	if (key.flags & FD)
		key.fd = s.efd;
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	for (n = 0; n < NR; n++) {
		struct iouring2_sqe *sqe = ring_sqe(&r);

		prep_poll(sqe, s.efd, POLLIN);
		sqe->user_data = 1;
	}
	EXPECT_EQ(NR, ring_submit(&r));
	/* Cancel one */
	EXPECT_EQ(0, cancel(&r, &one, false));
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == NR - 1));
	/* Cancel the others */
	EXPECT_EQ(NR - 1, cancel(&r, &key, false));
	for (n = 0; n < NR; n++) {
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	/* With ALL, no match gives the number 0 */
	EXPECT_EQ(0, cancel(&r, &key, false));
	key.flags &= ~ALL;
	if (key.flags != ANY)
		EXPECT_EQ(-ENOENT, cancel(&r, &key, false));
	ring_exit(&r);
	scene_close(&s);
}

/*
 * The hash table of a ring grows without losing a request. Each of many
 * requests is found by its user_data. Of several requests with the same
 * user_data the newest is found first.
 */
RING_TEST(one_of_a_crowd)
{
	enum { CROWD = 3000, TWINS = 3, BATCH = 100 };
	struct key key = { .fd = -1 };
	unsigned int i, at, twin;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int efds[TWINS];
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 128, 0));
	for (i = 0; i < TWINS; i++) {
		efds[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efds[i]);
	}
	/* Arm each user_data TWINS times, each time on another file */
	for (i = 0; i < TWINS * CROWD; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efds[i / CROWD], POLLIN);
		sqe->user_data = 1000 + i % CROWD;
		if (i % BATCH == BATCH - 1)
			ASSERT_EQ(BATCH, ring_submit(&r));
	}
	EXPECT_EQ(TWINS * CROWD, fdinfo(r.fd, "Inflight"));
	/* Cancel those armed first, those armed last, and some between */
	for (i = 0; i < CROWD; i += i < 40 || i > CROWD - 40 ? 1 : 37) {
		for (twin = TWINS; twin--; ) {
			key.user_data = 1000 + i;
			key.flags = FD | USERDATA;
			key.fd = efds[twin];
			/* Without FD this finds the one that was armed last */
			if (twin != TWINS - 1 && i % 2) {
				key.flags = 0;
				key.fd = -1;
			}
			ASSERT_EQ(0, cancel(&r, &key, false)) {
				TH_LOG("request %u on file %u", i, twin);
			}
			ASSERT_EQ(0, ring_take(&r, 1000 + i, &cqe));
			ASSERT_EQ(-ECANCELED, cqe.res);
			if (!(i % 2))
				continue;
			/* No request with this user_data polls that file now */
			key.flags = FD | USERDATA;
			key.fd = efds[twin];
			ASSERT_EQ(-ENOENT, cancel(&r, &key, false)) {
				TH_LOG("request %u is left on file %u",
				       i, twin);
			}
		}
	}
	key = (struct key){ .user_data = 999, .fd = -1 };
	EXPECT_EQ(-ENOENT, cancel(&r, &key, false));
	at = fdinfo(r.fd, "Inflight");
	key.flags = ALL | ANY;
	EXPECT_EQ((int)at, cancel(&r, &key, false));
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	for (i = 0; i < TWINS; i++)
		close(efds[i]);
}

/* ANY and ALL cancel requests of all kinds */
RING_TEST(any_and_all_cancel_everything)
{
	const struct key any = { ALL | ANY, 0, -1, 0 };
	struct iouring2_cqe cqe;
	unsigned int i, nr = 0, n;
	struct scene s;
	struct ring r;
	int ret;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 32, 64));
	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		if (!victim_possible(&victims[i], &s))
			continue;
		ASSERT_EQ(0, victim_start(&victims[i], &r, &s)) {
			TH_LOG("victim %u", i);
		}
		nr++;
	}
	EXPECT_EQ(nr, fdinfo(r.fd, "Inflight"));
	ret = cancel(&r, &any, false);
	EXPECT_LT(0, ret);
	for (n = 0; n < nr; n++) {
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
			TH_LOG("%u of %u requests ended", n, nr);
		}
		EXPECT_TRUE(cancelled(cqe.res));
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	scene_close(&s);
}

/*
 * Submit a write with user_data 1 that blocks its worker. The eventfd polls as
 * writable, but has no room for such a large value.
 */
static int block_a_worker(struct ring *r, int efd)
{
	static const __u64 too_much = UINT64_MAX - 1;
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, IOURING2_OP_WRITE, efd, (void *)&too_much, sizeof(too_much), 0);
	sqe->user_data = 1;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

/* Cancel a request that is queued because the only worker is blocked */
RING_TEST(queued_for_a_worker)
{
	long was = module_param("workers_unbounded");
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	char buf[8], out = 0;
	int busy, ready, i, ret;
	struct ring r;

	if (module_param_set("workers_unbounded", 1) < 0)
		SKIP(return, "parameters not writable");
	busy = eventfd(1, EFD_CLOEXEC);
	ready = tmp_fifo();
	ASSERT_LE(0, busy);
	ASSERT_LE(0, ready);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, block_a_worker(&r, busy));
	for (i = 0;; i++) {
		ASSERT_EQ(1, write(ready, "y", 1));
		sqe = ring_sqe(&r);
		prep_read(sqe, ready, buf, 1, -1);
		sqe->user_data = VICTIM;
		EXPECT_EQ(1, ring_submit(&r));
		ret = enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_MSEC);
		if (ret == -ETIME)
			break;
		/* On a slow machine the worker may not be blocked yet */
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
		ASSERT_EQ(1, cqe.res);
		ASSERT_GT(50, i);
	}
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(0, cancel(&r, &key, false));
	ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	/* The read has not started, so the byte is still there */
	EXPECT_EQ(1, read(ready, &out, 1));
	EXPECT_EQ('y', out);
	ring_exit(&r);
	close(busy);
	close(ready);
	EXPECT_EQ(0, module_param_set("workers_unbounded", was));
}

/* Requests that may block for ever do not keep file I/O waiting */
RING_TEST(files_have_their_own_workers)
{
	long was = module_param("workers_unbounded");
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	char data[8];
	int efd, file;
	struct ring r;

	if (module_param_set("workers_unbounded", 1) < 0)
		SKIP(return, "parameters not writable");
	efd = eventfd(1, EFD_CLOEXEC);
	file = tmp_file(4096);
	ASSERT_LE(0, efd);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, block_a_worker(&r, efd));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 50 * NSEC_PER_MSEC));
	prep(ring_sqe(&r), IOURING2_OP_FSYNC, file, NULL, 0, 0);
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(0, cqe.res);
	sqe = ring_sqe(&r);
	prep_read(sqe, file, data, sizeof(data), 0);
	sqe->flags = IOURING2_SQE_ASYNC;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ((int)sizeof(data), cqe.res);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	close(file);
	/* A limit of 0 works as 1; otherwise no worker could run */
	EXPECT_EQ(0, module_param_set("workers_unbounded", 0));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	r.sqes[0].flags = IOURING2_SQE_ASYNC;
	EXPECT_EQ(0, ring_do(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	close(efd);
	EXPECT_EQ(0, module_param_set("workers_unbounded", was));
}

/*
 * The signal that interrupts one request does not interrupt the worker's next
 * one
 */
RING_TEST(signal_spares_the_next_request)
{
	const struct key key = { .user_data = 1, .fd = -1 };
	struct iouring2_cqe cqe;
	int i, efd, ret;
	struct ring r;

	efd = eventfd(1, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, block_a_worker(&r, efd));
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
						20 * NSEC_PER_MSEC)) {
			TH_LOG("round %d", i);
		}
		ret = cancel(&r, &key, false);
		EXPECT_TRUE(did_cancel(ret)) {
			TH_LOG("round %d: cancel gave %d", i, ret);
		}
		ASSERT_EQ(0, ring_take(&r, key.user_data, &cqe));
		EXPECT_TRUE(cancelled(cqe.res));
	}
	ring_exit(&r);
	close(efd);
}

RING_FIXTURE(read) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(read, waiting) { 0 };
FIXTURE_VARIANT_ADD(read, in_a_worker) { IOURING2_SQE_ASYNC };

/* A cancelled read takes no data */
TEST_F_TIMEOUT(read, nothing_consumed, LIMIT)
{
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int round;
	struct scene s;
	struct ring r;
	char out[8];

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (round = 0; round < 20; round++) {
		sqe = ring_sqe(&r);
		prep_read(sqe, s.pipe[0], s.buf, 8, 0);
		sqe->flags = variant->flags;
		sqe->user_data = VICTIM;
		EXPECT_EQ(1, ring_submit(&r));
		EXPECT_TRUE(did_cancel(cancel(&r, &key, false)));
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
		EXPECT_EQ(8, write(s.pipe[1], "unharmed", 8));
		EXPECT_EQ(8, read(s.pipe[0], out, 8));
		EXPECT_EQ(0, memcmp(out, "unharmed", 8));
	}
	ring_exit(&r);
	scene_close(&s);
}

#define POLLED	-2	/* the descriptor that the victim polls */

RING_FIXTURE(bad_key) {
	struct key key;
	int res;
};

/* there is no table of registered files */
FIXTURE_VARIANT_ADD(bad_key, fd_of_fixed_file) {
	{ FD | FIXED, VICTIM, 0, 0 }, -EBADF
};

FIXTURE_VARIANT_ADD(bad_key, any_of_fd) { { ANY | FD, 0, POLLED, 0 }, -EINVAL };
FIXTURE_VARIANT_ADD(bad_key, any_of_opcode) {
	{ ANY | OP, 0, -1, IOURING2_OP_POLL_ADD }, -EINVAL
};

FIXTURE_VARIANT_ADD(bad_key, opcode_unknown) { { OP, 0, -1, 255 }, -EINVAL };
FIXTURE_VARIANT_ADD(bad_key, opcode_too_large) {
	{ OP | ALL, 0, -1, 1 << 30 }, -EINVAL
};

FIXTURE_VARIANT_ADD(bad_key, fd_not_open) { { FD, 0, -1, 0 }, -EBADF };
FIXTURE_VARIANT_ADD(bad_key, fd_too_large) {
	{ FD | ALL, 0, 999999, 0 }, -EBADF
};

TEST_F_TIMEOUT(bad_key, refused, LIMIT)
{
	struct key key = variant->key;
	struct scene s;
	struct ring r;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, victim_start(&victims[0], &r, &s));
	if (key.fd == POLLED)
		key.fd = s.efd;
	EXPECT_EQ(variant->res, cancel(&r, &key, false));
	/* The victim is still in flight */
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(self->before.counter[5] + 1, counter("files"));
	ring_exit(&r);
	scene_close(&s);
}

RING_TEST(refused)
{
	struct iouring2_sqe *sqe;
	struct scene s;
	struct ring r;
	int bit;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, victim_start(&victims[0], &r, &s));
	for (bit = 6; bit < 32; bit++) {
		const struct key key = { 1U << bit, VICTIM, s.efd, 0 };

		EXPECT_EQ(-EINVAL, cancel(&r, &key, false)) {
			TH_LOG("flag bit %d", bit);
		}
	}
	sqe = ring_sqe(&r);
	prep_cancel(sqe, VICTIM, 0);
	sqe->off = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_cancel(sqe, VICTIM, 0);
	sqe->splice_fd_in = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	/* the key is a registered file, and there is none */
	sqe = ring_sqe(&r);
	prep_cancel(sqe, VICTIM, FD);
	sqe->fd = s.efd;
	sqe->flags = IOURING2_SQE_FIXED_FILE;
	EXPECT_EQ(-EBADF, ring_do(&r));
	/* The victim is still in flight */
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(self->before.counter[5] + 1, counter("files"));
	ring_exit(&r);
	scene_close(&s);
}

/*
 * A cancel races with a worker that takes the request, tries it, or arms its
 * poll
 */
RING_TEST(races_worker)
{
	int rounds = full_stress() ? 50000 : 3000, i, ret, late = 0;
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int seed = 3;
	volatile int spin;
	struct scene s;
	struct ring r;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < rounds; i++) {
		sqe = ring_sqe(&r);
		prep_read(sqe, s.pipe[0], s.buf, 1, 0);
		sqe->flags = IOURING2_SQE_ASYNC;
		sqe->user_data = VICTIM;
		ASSERT_EQ(1, ring_submit(&r));
		for (spin = 1 << rand_r(&seed) % 20; spin; spin--)
			;
		ret = cancel(&r, &key, false);
		ASSERT_TRUE(did_cancel(ret)) {
			TH_LOG("round %d: cancel gave %d", i, ret);
		}
		late += ret == -EALREADY;
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
			TH_LOG("round %d: no end after cancel: %d", i, ret);
		}
		ASSERT_TRUE(cancelled(cqe.res));
	}
	TH_LOG("%d of %d requests were running", late, rounds);
	ring_exit(&r);
	scene_close(&s);
}

struct finisher {
	pthread_t self;
	int fd;
	volatile unsigned int go, done;
	volatile bool stop;
};

static void *finish(void *arg)
{
	struct finisher *f = arg;

	while (!f->stop) {
		if (f->go == f->done) {
			sched_yield();
			continue;
		}
		if (write(f->fd, "x", 1) != 1)
			break;
		f->done++;
	}
	return NULL;
}

/*
 * A cancel races with the completion. Both results must agree on which came
 * first.
 */
RING_TEST(races_completion)
{
	int rounds = full_stress() ? 20000 : 1000, i, ret, wins[2] = { };
	unsigned int seed = 1;
	volatile int spin;
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct finisher f = { };
	struct scene s;
	struct ring r;
	char c;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	f.fd = s.pipe[1];
	ASSERT_EQ(0, pthread_create(&f.self, NULL, finish, &f));
	for (i = 0; i < rounds; i++) {
		sqe = ring_sqe(&r);
		prep_read(sqe, s.pipe[0], s.buf, 1, 0);
		sqe->flags = i & 1 ? IOURING2_SQE_ASYNC : 0;
		sqe->user_data = VICTIM;
		ASSERT_EQ(1, ring_submit(&r));
		f.go++;
		for (spin = rand_r(&seed) % 20000; spin; spin--)
			if (f.go == f.done && spin % 64 == 0)
				break;
		ret = cancel(&r, &key, false);
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
		while (f.done != f.go)
			sched_yield();
		if (cqe.res == 1) {
			ASSERT_TRUE(ret == -ENOENT || ret == -EALREADY) {
				TH_LOG("read, but cancel gave %d", ret);
			}
			wins[0]++;
		} else {
			ASSERT_TRUE(cancelled(cqe.res));
			ASSERT_TRUE(did_cancel(ret)) {
				TH_LOG("cancelled, but cancel gave %d", ret);
			}
			/* The byte is still there */
			ASSERT_EQ(1, read(s.pipe[0], &c, 1));
			wins[1]++;
		}
		ASSERT_EQ(0, (int)ring_ready(&r));
	}
	TH_LOG("%d completed, %d cancelled", wins[0], wins[1]);
	f.stop = true;
	pthread_join(f.self, NULL);
	ring_exit(&r);
	scene_close(&s);
}

RING_TEST_MAIN
