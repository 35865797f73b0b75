// SPDX-License-Identifier: GPL-2.0-only
/*
 * POLL_REMOVE: remove and update polls, also while their event comes, and from
 * requests that are linked to another removal. poll_test.c tests polls that
 * nobody removes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "polls.h"

RING_TEST(remove)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int efd, i, res[2];
	struct ring r;

	efd = new_eventfd();
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* There is no poll */
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	EXPECT_EQ(-ENOENT, ring_do(&r));
	/* There is only another poll */
	EXPECT_EQ(1, arm(&r, efd, POLLIN, 1, false));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 0);
	EXPECT_EQ(-ENOENT, ring_do(&r));
	/* The poll is there */
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	sqe->user_data = 0;
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(2, (int)cqe.user_data);
		res[cqe.user_data] = cqe.res;
	}
	EXPECT_EQ(0, res[0]);
	EXPECT_EQ(-ECANCELED, res[1]);
	/* The poll and its file reference are gone */
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	EXPECT_EQ(-ENOENT, ring_do(&r));
	EXPECT_EQ(self->before.counter[5], counter("files"));
	/* The poll has completed */
	EXPECT_EQ(0, poke(efd));
	EXPECT_EQ(1, arm(&r, efd, POLLIN, 1, false));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	EXPECT_EQ(-ENOENT, ring_do(&r));
	/* POLL_REMOVE removes polls only, no other kind of request */
	close(efd);
	ring_exit(&r);
}

RING_FIXTURE(poll) {
	bool multi;		/* the kind that POLL_ADD asks for */
	unsigned int flags;	/* the kind that the update asks for */
};

FIXTURE_VARIANT_ADD(poll, once) { false, 0 };
FIXTURE_VARIANT_ADD(poll, multishot) { true, IOURING2_POLL_ADD_MULTI };
FIXTURE_VARIANT_ADD(poll, once_called_multishot) {
	false, IOURING2_POLL_ADD_MULTI
};

FIXTURE_VARIANT_ADD(poll, multishot_called_once) { true, 0 };

TEST_F_TIMEOUT(poll, update_of_user_data, LIMIT)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int p[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, open_socket(p));
	EXPECT_EQ(1, arm(&r, p[0], POLLIN, 1, variant->multi));
	EXPECT_EQ(0, update(&r, 1, USER_DATA | variant->flags, 0, 2));
	EXPECT_EQ(-ENOENT, update(&r, 1, USER_DATA | variant->flags, 0, 3));
	EXPECT_EQ(0, write_byte(p));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

TEST_F_TIMEOUT(poll, update_to_what_is_ready, LIMIT)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int p[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, open_socket(p));
	EXPECT_EQ(1, arm(&r, p[0], POLLIN, 1, variant->multi));
	EXPECT_EQ(0, update(&r, 1, EVENTS | USER_DATA | variant->flags,
			    POLLOUT, 5));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(5, (int)cqe.user_data);
	EXPECT_EQ(POLLOUT, cqe.res);
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

TEST_F_TIMEOUT(poll, update_to_what_comes_later, LIMIT)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int p[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, open_full_pipe(p));
	EXPECT_EQ(1, arm(&r, p[0], 0, 1, variant->multi));
	EXPECT_EQ(0, update(&r, 1, EVENTS | variant->flags, POLLOUT, 0));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	EXPECT_EQ(0, drain_pipe(p));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLOUT, cqe.res);
	EXPECT_EQ(variant->multi ? MORE : 0, cqe.flags & MORE);
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

TEST_F_TIMEOUT(poll, update_away_from_what_comes, LIMIT)
{
	struct ring r;
	int p[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, open_pipe(p));
	EXPECT_EQ(1, arm(&r, p[0], POLLIN, 1, variant->multi));
	EXPECT_EQ(0, update(&r, 1, EVENTS | variant->flags, POLLPRI, 0));
	EXPECT_EQ(0, write_byte(p));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

/*
 * POLL_ADD decides whether a poll is multishot; an update changes only its
 * events
 */
TEST_F_TIMEOUT(poll, update_keeps_the_kind, LIMIT)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i, p[2];
	char byte;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, open_pipe(p));
	EXPECT_EQ(1, arm(&r, p[0], POLLPRI, 1, variant->multi));
	EXPECT_EQ(0, update(&r, 1, EVENTS | variant->flags, POLLIN, 0));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, write_byte(p));
		if (i && !variant->multi) {
			EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
							NSEC_PER_MSEC));
			break;
		}
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(variant->multi ? MORE : 0, cqe.flags & MORE);
		EXPECT_EQ(1, read(p[0], &byte, 1));
	}
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

RING_TEST(update_of_nothing)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(-ENOENT, update(&r, 1, EVENTS, POLLIN, 0));
	EXPECT_EQ(-ENOENT, update(&r, 1, USER_DATA, 0, 2));
	ring_exit(&r);
}

/* ------------------------------------------------------------------ races */

/* A removal, or a cancel, races with the event: both results must agree */
RING_TEST(remove_races_wakeup)
{
	int i, n, linked, done, removed, late = 0;
	int rounds = full_stress() ? 20000 : 1000;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct sniper s = { };
	unsigned int seed = 7;
	long long until_ns;
	struct ring r;

	s.efd = new_eventfd();
	ASSERT_LE(0, s.efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, start_sniper(&s));
	for (i = 0; i < rounds; i++) {
		drain(s.efd);
		st_rel(&s.go, i + 1);
		sqe = ring_sqe(&r);
		prep_poll(sqe, s.efd, POLLIN);
		sqe->user_data = 1;
		/* with a link, the wake-up alone does not complete the poll */
		linked = i & 1;
		if (linked) {
			sqe->flags = IOURING2_SQE_IO_LINK;
			prep_nop(ring_sqe(&r));
		}
		EXPECT_EQ(1 + linked, ring_submit(&r));
		until_ns = now_ns(CLOCK_MONOTONIC) + rand_r(&seed) % 500000;
		while (now_ns(CLOCK_MONOTONIC) < until_ns)
			;
		sqe = ring_sqe(&r);
		if (i & 2)
			prep_poll_remove(sqe, 1);
		else
			prep_cancel(sqe, 1, 0);
		sqe->user_data = 2;
		EXPECT_EQ(1, ring_submit(&r));
		done = 0;
		removed = 0;
		for (n = 0; n < 2 + linked; n++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			if (cqe.user_data == 1)
				done = cqe.res;
			else if (cqe.user_data == 2)
				removed = cqe.res;
		}
		ASSERT_EQ(removed == 0 ? -ECANCELED : POLLIN, done) {
			TH_LOG("round %d, removal said %d", i, removed);
		}
		EXPECT_TRUE(removed == 0 || removed == -ENOENT ||
			    removed == -EALREADY);
		late += removed == -EALREADY;
		ASSERT_TRUE(until(ld_acq(&s.done) == i + 1));
	}
	TH_LOG("%d of %d removals came while the poll completed", late, rounds);
	st_rel(&s.stop, true);
	pthread_join(s.self, NULL);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	close(s.efd);
	ring_exit(&r);
}

/* A multishot poll that is cancelled while events come ends exactly once */
RING_TEST(cancel_races_events)
{
	int i, nr, rounds = full_stress() ? 10000 : 300;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct sniper s = { .burst = 20 };
	unsigned int seed = 5;
	long long until_ns;
	struct ring r;

	s.efd = new_eventfd();
	ASSERT_LE(0, s.efd);
	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	ASSERT_EQ(0, start_sniper(&s));
	for (i = 0; i < rounds; i++) {
		EXPECT_EQ(1, arm(&r, s.efd, POLLIN, 1, true));
		st_rel(&s.go, i + 1);
		until_ns = now_ns(CLOCK_MONOTONIC) + rand_r(&seed) % 500000;
		while (now_ns(CLOCK_MONOTONIC) < until_ns)
			;
		sqe = ring_sqe(&r);
		prep_cancel(sqe, 1, 0);
		sqe->user_data = 2;
		EXPECT_EQ(1, ring_submit(&r));
		/* the CQE of the cancel, and the poll's last one */
		for (nr = 0; nr < 2;) {
			ASSERT_TRUE(until(ring_peek(&r, &cqe))) {
				TH_LOG("round %d, %d of 2 CQEs came", i, nr);
			}
			if (cqe.flags & MORE) {
				ASSERT_EQ(1, (int)cqe.user_data);
				ASSERT_EQ(POLLIN, cqe.res);
				continue;
			}
			ASSERT_EQ(cqe.user_data == 2 ? 0 : -ECANCELED, cqe.res) {
				TH_LOG("round %d", i);
			}
			nr++;
		}
		ASSERT_TRUE(until(ld_acq(&s.done) == i + 1));
	}
	st_rel(&s.stop, true);
	pthread_join(s.self, NULL);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_FALSE(ring_peek(&r, &cqe));
	close(s.efd);
	ring_exit(&r);
}

/*
 * Each poll that is removed has a removal hard-linked to it. The module walks
 * such a chain in a loop: recursion would overflow the stack.
 */
static void chain_of_removals(struct __test_metadata *_metadata, __u32 flags)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	uint64_t one = 1;
	int i, efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 4096, 0));
	for (i = 0; i < 2000; i++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		sqe->flags = IOURING2_SQE_IO_HARDLINK;
		sqe->user_data = i;
		sqe = ring_sqe(&r);
		prep_poll_remove(sqe, i + 1);
		sqe->len = flags;
		sqe->poll32_events = flags ? POLLOUT : 0;
		sqe->user_data = 10000 + i;
	}
	ASSERT_EQ(4000, ring_submit(&r));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 0);
	sqe->len = flags;
	sqe->poll32_events = flags ? POLLOUT : 0;
	sqe->user_data = 20000;
	ASSERT_EQ(1, ring_submit(&r));
	/* 2000 polls, 2000 removals of them, and one removal that finds none */
	EXPECT_EQ(4001, (int)ring_ready(&r));
	while (ring_peek(&r, &cqe)) {
		int want = flags ? POLLOUT : -ECANCELED;

		if (cqe.user_data >= 10000)
			want = cqe.user_data == 10000 + 1999 ? -ENOENT : 0;
		EXPECT_EQ(want, cqe.res);
	}
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	ring_exit(&r);
	close(efd);
}

RING_TEST(chain_of_removals)
{
	chain_of_removals(_metadata, 0);
}

RING_TEST(chain_of_updates)
{
	chain_of_removals(_metadata, IOURING2_POLL_UPDATE_EVENTS);
}

RING_TEST_MAIN
