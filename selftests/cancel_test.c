// SPDX-License-Identifier: GPL-2.0-only
/*
 * ASYNC_CANCEL finds a request by each of its keys, in each state that it can
 * be in, and ends it exactly once; the result of the cancellation and that of
 * the request tell the same story; what was not read yet is still there to be
 * read. victims.h has the states.
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

/* The cancellation's own result; the victims' completions stay in the CQ */
static int cancel(struct ring *r, const struct key *k, bool async)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, k->user_data, k->flags);
	sqe->fd = k->fd;
	sqe->len = k->op;
	sqe->flags = async ? IOURING2_SQE_ASYNC : 0;
	return ring_do(r);
}

/* What a request that was cancelled comes back with */
static bool cancelled(int res)
{
	return res == -ECANCELED || res == -EINTR;
}

/* 0, or that it was running and has been interrupted */
static bool did_cancel(int ret)
{
	return ret == 0 || ret == -EALREADY;
}

static void each_state(struct __test_metadata *_metadata, bool async)
{
	const struct victim *v;
	struct iouring2_cqe cqe;
	struct key key = { .user_data = VICTIM, .fd = -1 };
	struct scene s;
	unsigned int i, holder;
	struct ring r;
	int ret;

	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		v = &victims[i];
		ASSERT_EQ(0, scene_open(&s));
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		if (!victim_possible(v, &s)) {
			TH_LOG("not possible here: %s", v->name);
			goto next;
		}
		/* A cancellation would wait behind the barrier as well */
		if (v->queue == queue_drained)
			goto next;
		ASSERT_TRUE(victim_start(v, &r, &s)) {
			TH_LOG("%s: not in flight", v->name);
		}
		ret = cancel(&r, &key, async);
		if (!v->keyed && ret == -ENOENT) {
			/* Not started, not found: as io_uring has it */
			EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
			goto next;
		}
		EXPECT_TRUE(did_cancel(ret)) {
			TH_LOG("%s: %d", v->name, ret);
		}
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
			TH_LOG("%s: never ends", v->name);
		}
		EXPECT_TRUE(cancelled(cqe.res)) {
			TH_LOG("%s: res %d", v->name, cqe.res);
		}
		EXPECT_EQ(0, (int)cqe.flags);
		/* Once, and not to be found again */
		EXPECT_EQ(-ENOENT, cancel(&r, &key, async)) {
			TH_LOG("%s", v->name);
		}
		holder = v->keyed ? 0 : 1;
		EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == holder)) {
			TH_LOG("%s", v->name);
		}
		EXPECT_EQ(0, (int)ring_ready(&r));
next:
		ring_exit(&r);
		scene_close(&s);
	}
}

RING_TEST(each_state)
{
	each_state(_metadata, false);
}

RING_TEST(each_state_from_a_worker)
{
	each_state(_metadata, true);
}

/* Every way to name it, and ways that name something else */
RING_TEST(keys)
{
	const struct victim *v;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	unsigned int i, k;
	int ret, vfd;

	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		v = &victims[i];
		for (k = 0; k < 16; k++) {
			ASSERT_EQ(0, scene_open(&s));
			if (!victim_possible(v, &s) || !v->keyed) {
				scene_close(&s);
				break;
			}
			vfd = v->fd ? v->fd(&s) : -1;
			const struct {
				struct key key;
				bool hit, needs_fd;
			} keys[16] = {
				{ { USERDATA, VICTIM, -1, 0 }, true },
				{ { ANY, 0, -1, 0 }, true },
				{ { OP, 0, -1, v->op }, true },
				{ { OP | USERDATA, VICTIM, -1, v->op }, true },
				{ { FD, 0, vfd, 0 }, true, true },
				{ { FD | OP, 0, vfd, v->op }, true, true },
				{ { FD | USERDATA, VICTIM, vfd, 0 }, true,
				  true },
				{ { FD | OP | USERDATA, VICTIM, vfd, v->op },
				  true, true },
				{ { 0, VICTIM + 1, -1, 0 }, false },
				{ { USERDATA, 0, -1, 0 }, false },
				{ { OP, VICTIM, -1, v->op ^ 1 }, false },
				{ { OP | USERDATA, VICTIM, -1, 0 }, false },
				{ { OP | USERDATA, 0, -1, v->op }, false },
				{ { FD, VICTIM, s.sock[1], 0 }, false },
				{ { FD | USERDATA, 0, vfd, 0 }, false, true },
				{ { FD | OP, 0, vfd, 0 }, false, true },
			};
			if (keys[k].needs_fd && vfd < 0) {
				scene_close(&s);
				continue;
			}
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			ASSERT_TRUE(victim_start(v, &r, &s));
			ret = cancel(&r, &keys[k].key, false);
			if (keys[k].hit) {
				/* ANY means all that there are */
				if (keys[k].key.flags & ANY && ret == 1)
					ret = 0;
				EXPECT_TRUE(did_cancel(ret)) {
					TH_LOG("%s, key %u: %d", v->name, k,
					       ret);
				}
				ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
					TH_LOG("%s, key %u", v->name, k);
				}
				EXPECT_TRUE(cancelled(cqe.res));
			} else {
				EXPECT_EQ(-ENOENT, ret) {
					TH_LOG("%s, key %u", v->name, k);
				}
				EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
			}
			EXPECT_EQ(0, (int)ring_ready(&r));
			ring_exit(&r);
			scene_close(&s);
		}
	}
}

/* By the ring itself, which is a file like others, and by one that is not */
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
 * By another ring, which is gone when the cancel runs: nothing has that file, and
 * least of all a request without one.
 */
RING_TEST(by_another_ring)
{
	static const unsigned int how[] = { FD, FD | ALL };
	struct __kernel_timespec soon = ts_ns(20 * NSEC_PER_MSEC);
	struct __kernel_timespec hour = ts_ns(3600 * NSEC_PER_SEC);
	struct ring r, other, filler[8];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int i, j;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_timeout(ring_sqe(&r), &hour, 0, 0);
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		ASSERT_EQ(0, ring_init(&other, 8, 0));
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &soon, 0, 0);
		sqe->flags = IOURING2_SQE_IO_HARDLINK;
		sqe->user_data = 1;
		sqe = ring_sqe(&r);
		prep_cancel(sqe, 0, how[i]);
		sqe->fd = other.fd;
		sqe->flags = IOURING2_SQE_ASYNC;
		sqe->user_data = 2;
		EXPECT_EQ(2, ring_submit(&r));
		ring_exit(&other);
		/* somebody may have its memory by now */
		for (j = 0; j < ARRAY_SIZE(filler); j++)
			ASSERT_EQ(0, ring_init(&filler[j], 8, 0));
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(-ETIME, cqe.res);
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		EXPECT_EQ(how[i] & ALL ? 0 : -ENOENT, cqe.res);
		EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		for (j = 0; j < ARRAY_SIZE(filler); j++)
			ring_exit(&filler[j]);
	}
	ring_exit(&r);
}

/* A cancel that a worker runs is in flight, too, but is not what is meant */
RING_TEST(not_itself)
{
	struct key keys[] = {
		{ FD, 0, -1, 0 },
		{ OP, 0, -1, IOURING2_OP_ASYNC_CANCEL },
		{ ALL | OP, 0, -1, IOURING2_OP_ASYNC_CANCEL },
		{ USERDATA, 77, -1, 0 },
		{ ANY, 0, -1, 0 },
	};
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	unsigned int i;

	keys[0].fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, keys[0].fd);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		sqe = ring_sqe(&r);
		prep_cancel(sqe, keys[i].user_data, keys[i].flags);
		sqe->fd = keys[i].fd;
		sqe->len = keys[i].op;
		sqe->flags = IOURING2_SQE_ASYNC;
		sqe->user_data = 77;
		EXPECT_EQ(1, ring_submit(&r));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(keys[i].flags & (ALL | ANY) ? 0 : -ENOENT, cqe.res) {
			TH_LOG("key %u", i);
		}
	}
	ring_exit(&r);
	close(keys[0].fd);
}

/* The first match only, or all of them and how many they were */
RING_TEST(how_many)
{
	enum { NR = 5 };
	const struct key one = { .user_data = 1, .fd = -1 };
	struct key key;
	struct iouring2_cqe cqe;
	struct scene s;
	struct ring r;
	unsigned int i, n;

	ASSERT_EQ(0, scene_open(&s));
	for (i = 0; i < 6; i++) {
		const struct key keys[] = {
			{ ALL, 1, -1, 0 },
			{ ALL | USERDATA, 1, -1, 0 },
			{ ALL | ANY, 0, -1, 0 },
			{ ALL | FD, 0, s.efd, 0 },
			{ ALL | OP, 0, -1, IOURING2_OP_POLL_ADD },
			{ ALL | FD | OP, 0, s.efd, IOURING2_OP_POLL_ADD },
		};

		key = keys[i];
		ASSERT_EQ(0, ring_init(&r, 16, 0));
		for (n = 0; n < NR; n++) {
			struct iouring2_sqe *sqe = ring_sqe(&r);

			prep_poll(sqe, s.efd, POLLIN);
			sqe->user_data = 1;
		}
		EXPECT_EQ(NR, ring_submit(&r));
		/* One */
		EXPECT_EQ(0, cancel(&r, &one, false));
		EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == NR - 1));
		/* The others */
		EXPECT_EQ(NR - 1, cancel(&r, &key, false)) {
			TH_LOG("key %u", i);
		}
		for (n = 0; n < NR; n++) {
			ASSERT_EQ(0, ring_take(&r, 1, &cqe));
			EXPECT_EQ(-ECANCELED, cqe.res);
		}
		EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
		/* None is a number too */
		EXPECT_EQ(0, cancel(&r, &key, false));
		key.flags &= ~ALL;
		if (key.flags != ANY)
			EXPECT_EQ(-ENOENT, cancel(&r, &key, false));
		ring_exit(&r);
	}
	scene_close(&s);
}

/*
 * The look-up table of a ring grows with what it holds, and nothing gets lost on
 * the way: each of a crowd is found by its user_data, of those that have the same
 * the newest first.
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
	/* all of them, and all of them again, each time on another file */
	for (i = 0; i < TWINS * CROWD; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efds[i / CROWD], POLLIN);
		sqe->user_data = 1000 + i % CROWD;
		if (i % BATCH == BATCH - 1)
			ASSERT_EQ(BATCH, ring_submit(&r));
	}
	EXPECT_EQ(TWINS * CROWD, fdinfo(r.fd, "Inflight"));
	/* some that were there first, some that came last, one that never was */
	for (i = 0; i < CROWD; i += i < 40 || i > CROWD - 40 ? 1 : 37) {
		for (twin = TWINS; twin--; ) {
			key.user_data = 1000 + i;
			key.flags = FD | USERDATA;
			key.fd = efds[twin];
			/* the one that is left which was armed last */
			if (twin != TWINS - 1 && i % 2) {
				key.flags = 0;
				key.fd = -1;
			}
			ASSERT_EQ(0, cancel(&r, &key, false)) {
				TH_LOG("%u, armed %u", i, twin);
			}
			ASSERT_EQ(0, ring_take(&r, 1000 + i, &cqe));
			ASSERT_EQ(-ECANCELED, cqe.res);
			if (!(i % 2))
				continue;
			/* nobody on its file by that name any more */
			key.flags = FD | USERDATA;
			key.fd = efds[twin];
			ASSERT_EQ(-ENOENT, cancel(&r, &key, false)) {
				TH_LOG("%u, armed %u, is still there", i, twin);
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

/* All of all kinds, in one go */
RING_TEST(everything)
{
	const struct key any = { ALL | ANY, 0, -1, 0 };
	struct iouring2_cqe cqe;
	unsigned int i, nr = 0, n, pass;
	struct scene s;
	struct ring r;
	int ret;

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 32, 64));
	for (i = 0; i < ARRAY_SIZE(victims); i++) {
		if (!victim_possible(&victims[i], &s) || !victims[i].keyed)
			continue;
		ASSERT_TRUE(victim_start(&victims[i], &r, &s)) {
			TH_LOG("%s", victims[i].name);
		}
		nr++;
	}
	EXPECT_EQ(nr, fdinfo(r.fd, "Inflight"));
	ret = cancel(&r, &any, false);
	EXPECT_LT(0, ret);
	for (n = 0, pass = 0; n < nr; n++) {
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
			TH_LOG("%u of %u ended", n, nr);
		}
		EXPECT_TRUE(cancelled(cqe.res)) {
			pass++;
		}
	}
	EXPECT_EQ(0, (int)pass);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	scene_close(&s);
}

/*
 * The only thing of that kind: a write to an eventfd that says it can be written to,
 * but not by how much. Return: its user_data, or 0.
 */
static __u64 block_a_worker(struct ring *r, int efd)
{
	static const __u64 too_much = UINT64_MAX - 1;
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, IOURING2_OP_WRITE, efd, (void *)&too_much, sizeof(too_much), 0);
	sqe->user_data = 1;
	return ring_submit(r) == 1;
}

/* One that no worker has begun, because the only one is blocked */
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
	ASSERT_NE(0, (long)block_a_worker(&r, busy));
	for (i = 0;; i++) {
		ASSERT_EQ(1, write(ready, "y", 1));
		sqe = ring_sqe(&r);
		prep_read(sqe, ready, buf, 1, -1);
		sqe->user_data = VICTIM;
		EXPECT_EQ(1, ring_submit(&r));
		ret = enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_MSEC);
		if (ret == -ETIME)
			break;
		/* On a slow machine what is to block it may not be there yet */
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
	/* It has not been begun: the byte is still there */
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
	ASSERT_NE(0, (long)block_a_worker(&r, efd));
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
	/* None at all would mean that nothing gets done: it is one */
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

/* The signal that ends one request is not there for the worker's next one */
RING_TEST(next_is_spared)
{
	struct key key = { .fd = -1 };
	struct iouring2_cqe cqe;
	int i, efd, ret;
	struct ring r;

	efd = eventfd(1, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 10; i++) {
		key.user_data = block_a_worker(&r, efd);
		ASSERT_NE(0, (long)key.user_data);
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
						20 * NSEC_PER_MSEC)) {
			TH_LOG("round %d", i);
		}
		ret = cancel(&r, &key, false);
		EXPECT_TRUE(did_cancel(ret)) {
			TH_LOG("round %d: %d", i, ret);
		}
		ASSERT_EQ(0, ring_take(&r, key.user_data, &cqe));
		EXPECT_TRUE(cancelled(cqe.res));
	}
	ring_exit(&r);
	close(efd);
}

/* What a cancelled read did not take is there for the next */
RING_TEST(nothing_consumed)
{
	static const unsigned char async[] = { 0, IOURING2_SQE_ASYNC };
	const struct key key = { .user_data = VICTIM, .fd = -1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	unsigned int i, round;
	struct scene s;
	struct ring r;
	char out[8];

	ASSERT_EQ(0, scene_open(&s));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(async); i++) {
		for (round = 0; round < 20; round++) {
			sqe = ring_sqe(&r);
			prep_read(sqe, s.pipe[0], s.buf, 8, 0);
			sqe->flags = async[i];
			sqe->user_data = VICTIM;
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_TRUE(did_cancel(cancel(&r, &key, false)));
			ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe));
			EXPECT_EQ(8, write(s.pipe[1], "unharmed", 8));
			EXPECT_EQ(8, read(s.pipe[0], out, 8));
			EXPECT_EQ(0, memcmp(out, "unharmed", 8));
		}
	}
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
	ASSERT_TRUE(victim_start(&victims[0], &r, &s));
	for (bit = 6; bit < 32; bit++) {
		const struct key key = { 1U << bit, VICTIM, s.efd, 0 };

		EXPECT_EQ(-EINVAL, cancel(&r, &key, false)) {
			TH_LOG("flag bit %d", bit);
		}
	}
	const struct {
		struct key key;
		int res;
	} rows[] = {
		{ { FIXED, VICTIM, s.efd, 0 }, -EINVAL },
		{ { FD | FIXED, VICTIM, 0, 0 }, -EINVAL },
		{ { ANY | FD, 0, s.efd, 0 }, -EINVAL },
		{ { ANY | OP, 0, -1, IOURING2_OP_POLL_ADD }, -EINVAL },
		{ { 0, VICTIM, -1, 1 }, -EINVAL },
		{ { ALL, VICTIM, -1, IOURING2_OP_POLL_ADD }, -EINVAL },
		{ { OP, 0, -1, 255 }, -EINVAL },
		{ { OP | ALL, 0, -1, 1 << 30 }, -EINVAL },
		{ { FD, 0, -1, 0 }, -EBADF },
		{ { FD | ALL, 0, 999999, 0 }, -EBADF },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(rows[i].res, cancel(&r, &rows[i].key, false)) {
			TH_LOG("row %u", i);
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
	/* All of that has left it alone */
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(self->before.counter[5] + 1, counter("files"));
	ring_exit(&r);
	scene_close(&s);
}

/* It is cancelled just when a worker takes it, tries it, or lets it wait */
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
			TH_LOG("round %d: %d", i, ret);
		}
		late += ret == -EALREADY;
		ASSERT_EQ(0, ring_take(&r, VICTIM, &cqe)) {
			TH_LOG("round %d: never ends after %d", i, ret);
		}
		ASSERT_TRUE(cancelled(cqe.res));
	}
	TH_LOG("%d of %d were running", late, rounds);
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

/* It completes while it is being cancelled: one of the two wins, entirely */
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
				TH_LOG("read, but cancel said %d", ret);
			}
			wins[0]++;
		} else {
			ASSERT_TRUE(cancelled(cqe.res));
			ASSERT_TRUE(did_cancel(ret)) {
				TH_LOG("cancelled, but cancel said %d", ret);
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
