// SPDX-License-Identifier: GPL-2.0-only
/*
 * POLL_ADD: one-shot and multishot, on every kind of file that can be polled,
 * the ring itself included. poll_remove_test.c tests polls that are removed and
 * updated.
 *
 * A multishot request takes a CQ slot before it takes an event, and ends rather
 * than lose an event (I6). Wake-ups may come in any context and at the worst
 * moment, such as when the file's wait queue is freed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "polls.h"

#define REMOVE_UD	0x7e307e

/* ------------------------------------------------------- kinds of files */

struct kind {
	unsigned int events;		/* the events that trigger() causes */
	int (*open)(int fd[2]);		/* fd[0] is polled */
	int (*trigger)(int fd[2]);
};

static int close_peer(int fd[2])
{
	return close(fd[1]) ? -errno : 0;
}

static int shut_peer(int fd[2])
{
	return shutdown(fd[1], SHUT_WR) ? -errno : 0;
}

static int open_event(int fd[2])
{
	fd[0] = new_eventfd();
	fd[1] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	return fd[0] < 0 || fd[1] < 0 ? -errno : 0;
}

static int write_event(int fd[2])
{
	return poke(fd[1]);
}

static int open_timer(int fd[2])
{
	fd[0] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	fd[1] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	return fd[0] < 0 || fd[1] < 0 ? -errno : 0;
}

static int set_timer(int fd[2])
{
	struct itimerspec its = { .it_value.tv_nsec = 1000000 };

	return timerfd_settime(fd[1], 0, &its, NULL) ? -errno : 0;
}

static int open_signal(int fd[2])
{
	fd[0] = signals_open(SIGUSR2, SFD_NONBLOCK);
	fd[1] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	return fd[0] < 0 || fd[1] < 0 ? -errno : 0;
}

static int send_signal(int fd[2])
{
	return kill(getpid(), SIGUSR2) ? -errno : 0;
}

static int open_epoll(int fd[2])
{
	struct epoll_event ev = { .events = EPOLLIN };

	fd[0] = epoll_create1(EPOLL_CLOEXEC);
	fd[1] = new_eventfd();
	return epoll_ctl(fd[0], EPOLL_CTL_ADD, fd[1], &ev) ? -errno : 0;
}

static int open_listen(int fd[2])
{
	struct sockaddr sa = { .sa_family = AF_UNIX };

	/* Let the kernel choose a name */
	fd[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd[0], &sa, sizeof(sa.sa_family)))
		return -errno;
	return listen(fd[0], 1) ? -errno : 0;
}

static int connect_to(int fd[2])
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd[0], (struct sockaddr *)&sa, &len))
		return -errno;
	return connect(fd[1], (struct sockaddr *)&sa, len) ? -errno : 0;
}

RING_FIXTURE(kind) {
	struct kind is;
};

FIXTURE_VARIANT_ADD(kind, pipe_gets_data) { { POLLIN, open_pipe, write_byte } };
FIXTURE_VARIANT_ADD(kind, pipe_gets_room) {
	{ POLLOUT, open_full_pipe, drain_pipe }
};

FIXTURE_VARIANT_ADD(kind, pipe_writer_goes) {
	{ POLLIN, open_pipe, close_peer }
};

FIXTURE_VARIANT_ADD(kind, pipe_reader_goes) {
	{ POLLOUT, open_full_pipe, close_peer }
};

FIXTURE_VARIANT_ADD(kind, socket_gets_data) {
	{ POLLIN, open_socket, write_byte }
};

FIXTURE_VARIANT_ADD(kind, socket_peer_goes) {
	{ POLLIN | POLLRDHUP, open_socket, close_peer }
};

FIXTURE_VARIANT_ADD(kind, socket_peer_shuts) {
	{ POLLRDHUP, open_socket, shut_peer }
};

FIXTURE_VARIANT_ADD(kind, listening_socket) {
	{ POLLIN, open_listen, connect_to }
};

FIXTURE_VARIANT_ADD(kind, eventfd) { { POLLIN, open_event, write_event } };
FIXTURE_VARIANT_ADD(kind, timerfd) { { POLLIN, open_timer, set_timer } };
FIXTURE_VARIANT_ADD(kind, epoll) { { POLLIN, open_epoll, write_event } };
FIXTURE_VARIANT_ADD(kind, signalfd) { { POLLIN, open_signal, send_signal } };

/* The events that poll(2) reports, as the result of a completion */
static int now_ready(int fd, unsigned int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 10000) == 1 ? p.revents : -1;
}

static void poll_kind(struct __test_metadata *_metadata, const struct kind *k,
		      bool multi)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int fd[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, k->open(fd));
	EXPECT_EQ(1, arm(&r, fd[0], k->events, 7, multi));
	/* Not ready yet */
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	ASSERT_EQ(0, k->trigger(fd));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(7, (int)cqe.user_data);
	EXPECT_LT(0, cqe.res);
	EXPECT_EQ(0, cqe.res & ~now_ready(fd[0], k->events)) {
		TH_LOG("%#x", cqe.res);
	}
	EXPECT_EQ(multi ? MORE : 0, cqe.flags & MORE);
	ring_exit(&r);

	/* The file may be ready before the poll is armed */
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, fd[0], k->events, 8, multi));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(8, (int)cqe.user_data);
	EXPECT_EQ(now_ready(fd[0], k->events), cqe.res);
	EXPECT_EQ(multi ? MORE : 0, cqe.flags & MORE);
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

TEST_F_TIMEOUT(kind, each_kind_of_file, LIMIT)
{
	poll_kind(_metadata, &variant->is, false);
}

TEST_F_TIMEOUT(kind, each_kind_of_file_multishot, LIMIT)
{
	poll_kind(_metadata, &variant->is, true);
}

/* Files that are always ready; errors and hang-ups that were not requested */
RING_TEST(what_is_asked_for)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, p[2];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	fd = tmp_file(1);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, arm(&r, fd, POLLIN, 1, false));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(1, arm(&r, fd, POLLIN | POLLOUT, 1, false));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLIN | POLLOUT, cqe.res);
	close(fd);

	/* A writable socket is polled for input only */
	ASSERT_EQ(0, open_socket(p));
	EXPECT_EQ(1, arm(&r, p[0], POLLIN, 1, false));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 5 * NSEC_PER_MSEC));
	/* Errors and hang-ups are reported without being requested */
	EXPECT_EQ(1, arm(&r, p[0], 0, 2, false));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 5 * NSEC_PER_MSEC));
	close(p[1]);
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 2, 30 * NSEC_PER_SEC));
	EXPECT_EQ(2, (int)ring_ready(&r));
	while (ring_peek(&r, &cqe)) {
		EXPECT_TRUE(cqe.res & POLLHUP);
		EXPECT_EQ(cqe.user_data == 1, !!(cqe.res & POLLIN));
	}
	close(p[0]);
	ring_exit(&r);
}

/* ------------------------------------------------------------- multishot */

RING_TEST(multishot)
{
	enum { NR = 20 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int efd, i, removed = 0, ended = 0;

	efd = new_eventfd();
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 4, 8));
	EXPECT_EQ(1, arm(&r, efd, POLLIN, 9, true));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
		EXPECT_EQ(0, poke(efd));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(9, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(MORE, (int)cqe.flags);
		EXPECT_EQ(0, drain(efd));
	}
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 9);
	sqe->user_data = REMOVE_UD;
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		if (cqe.user_data == REMOVE_UD) {
			EXPECT_EQ(0, cqe.res);
			removed++;
		} else {
			EXPECT_EQ(9, (int)cqe.user_data);
			EXPECT_EQ(-ECANCELED, cqe.res);
			EXPECT_EQ(0, (int)cqe.flags);
			ended++;
		}
	}
	EXPECT_EQ(1, removed);
	EXPECT_EQ(1, ended);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(0, poke(efd));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	close(efd);
	ring_exit(&r);
}

/*
 * Data that is added to existing data is a new event for a multishot poll, on a
 * pipe and on a socket.
 */
RING_TEST(multishot_each_event)
{
	enum { NR = 12 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int fd[2], kind, i;
	struct ring r;

	for (kind = 0; kind < 2; kind++) {
		ASSERT_EQ(0, kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd) :
				    pipe(fd));
		ASSERT_EQ(0, ring_init(&r, 4, 32));
		EXPECT_EQ(1, arm(&r, fd[0], POLLIN, 9, true));
		for (i = 1; i <= NR; i++) {
			ASSERT_EQ(1, write(fd[1], "x", 1));
			EXPECT_TRUE(until(ring_ready(&r) == (unsigned int)i)) {
				TH_LOG("kind %d, write %d: %u", kind, i,
				       ring_ready(&r));
			}
		}
		for (i = 0; i < NR; i++) {
			ASSERT_EQ(true, ring_peek(&r, &cqe));
			EXPECT_EQ(9, (int)cqe.user_data);
			EXPECT_EQ(POLLIN, cqe.res);
			EXPECT_EQ(MORE, (int)cqe.flags);
		}
		/* the same holds after an update of the poll's events */
		sqe = ring_sqe(&r);
		prep_poll_remove(sqe, 9);
		sqe->len = IOURING2_POLL_UPDATE_EVENTS;
		sqe->poll32_events = POLLIN;
		EXPECT_EQ(0, ring_do(&r));
		ASSERT_EQ(0, ring_take(&r, 9, &cqe));
		EXPECT_EQ(MORE, (int)cqe.flags);
		ASSERT_EQ(1, write(fd[1], "x", 1));
		ASSERT_EQ(0, ring_take(&r, 9, &cqe));
		EXPECT_EQ(MORE, (int)cqe.flags);
		close(fd[0]);
		close(fd[1]);
		ring_exit(&r);
	}
}

/*
 * I6: without a free CQ slot a multishot poll ends exactly once, with a CQE
 * without F_MORE. The event is not lost: the next poll sees it.
 */
RING_TEST(multishot_without_room)
{
	static const unsigned int cqs[] = { 1, 2, 8 };
	unsigned int c, cq, more, last, nr;
	struct iouring2_cqe cqe;
	struct ring r;
	int efd;

	for (c = 0; c < ARRAY_SIZE(cqs); c++) {
		cq = cqs[c];
		efd = new_eventfd();
		ASSERT_LE(0, efd);
		ASSERT_EQ(0, ring_init(&r, cq, cq));
		EXPECT_EQ(1, arm(&r, efd, POLLIN, 9, true));
		/*
		 * One event after the other; each is drained, so that the next
		 * is a new one
		 */
		for (nr = 0; nr < cq; nr++) {
			EXPECT_EQ(0, poke(efd));
			EXPECT_TRUE(until(ring_ready(&r) == nr + 1));
			EXPECT_EQ(0, drain(efd));
		}
		EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
		EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
		/* This event finds the CQ full */
		EXPECT_EQ(0, poke(efd));
		EXPECT_TRUE(until(fdinfo(r.fd, "Backlog") == 1)) {
			TH_LOG("CQ of %u", cq);
		}
		EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0));
		/* The poll has ended: further events post nothing */
		EXPECT_EQ(0, drain(efd));
		EXPECT_EQ(0, poke(efd));
		more = 0;
		last = 0;
		for (nr = 0; nr < cq + 1; nr++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(9, (int)cqe.user_data);
			EXPECT_LT(0, cqe.res);
			if (cqe.flags & MORE)
				more++;
			else
				last = nr + 1;
		}
		EXPECT_EQ(cq, more);
		EXPECT_EQ(cq + 1, last);
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
		EXPECT_EQ(0, (int)*r.cq_overflow);
		/* The event is still there for the next poll */
		EXPECT_EQ(1, arm(&r, efd, POLLIN, 10, true));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(10, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(MORE, (int)cqe.flags);
		close(efd);
		ring_exit(&r);
	}
}

/*
 * A multishot poll posts its CQE behind a backlog that is being flushed, and
 * does not end
 */
RING_TEST(multishot_behind_backlog)
{
	enum { CQ = 4, LAST = 100 + CQ };
	struct iouring2_cqe cqe;
	struct ring r;
	int efd, i;

	efd = new_eventfd();
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, CQ, CQ));
	EXPECT_EQ(1, arm(&r, efd, POLLIN, 9, true));
	for (i = 100; i <= LAST; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		EXPECT_EQ(1, ring_submit(&r));
	}
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	/* No task enters: the event finds both room in the CQ and a backlog */
	*r.cq_head += CQ;
	EXPECT_EQ(0, poke(efd));
	EXPECT_TRUE(until(ring_ready(&r) == 2));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(LAST, (int)cqe.user_data);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(9, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(MORE, (int)cqe.flags);
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	close(efd);
	ring_exit(&r);
}

struct shooter {
	pthread_t self;
	int efd;
	int shots;
	volatile bool stop;
};

static void *shoot(void *arg)
{
	struct shooter *s = arg;

	while (!s->stop) {
		poke(s->efd);
		s->shots++;
		usleep(s->shots % 50 ? 0 : 1000);
	}
	return NULL;
}

/* With many events and few slots each multishot poll ends exactly once */
RING_TEST(multishot_storm)
{
	struct iouring2_cqe cqe;
	struct shooter s = { };
	int round, seen = 0, rounds = full_stress() ? 2000 : 200;
	struct ring r;

	s.efd = new_eventfd();
	ASSERT_LE(0, s.efd);
	ASSERT_EQ(0, ring_init(&r, 2, 2));
	ASSERT_EQ(0, pthread_create(&s.self, NULL, shoot, &s));
	for (round = 0; round < rounds; round++) {
		EXPECT_EQ(1, arm(&r, s.efd, POLLIN, round, true));
		do {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(round, (int)cqe.user_data);
			EXPECT_LT(0, cqe.res);
			seen++;
			/* Let the CQ fill up now and then */
			if (cqe.flags & MORE)
				until_ms(!fdinfo(r.fd, "Inflight"), 20);
		} while (cqe.flags & MORE);
		EXPECT_FALSE(ring_peek(&r, &cqe));
	}
	s.stop = true;
	pthread_join(s.self, NULL);
	EXPECT_LE(rounds, seen);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	close(s.efd);
	ring_exit(&r);
}

/*
 * The poll is woken again as soon as its last CQE is seen, while the module
 * releases the poll: each wake-up posts one more CQE.
 */
RING_TEST(woken_while_let_go)
{
	int i, rounds = full_stress() ? 100000 : 2000, efd;
	struct iouring2_cqe cqe;
	uint64_t v = 1;
	struct ring r;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 1024));
	prep_poll_multi(ring_sqe(&r), efd, POLLIN);
	ASSERT_EQ(1, ring_submit(&r));
	for (i = 0; i < rounds; i++) {
		long long end = now_ns(CLOCK_MONOTONIC) + 10 * NSEC_PER_SEC;

		ASSERT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		while (!ring_ready(&r) && now_ns(CLOCK_MONOTONIC) < end)
			;
		ASSERT_TRUE(ring_peek(&r, &cqe)) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(cqe.flags & IOURING2_CQE_F_MORE);
		while (ring_peek(&r, &cqe))
			;
	}
	ring_exit(&r);
	close(efd);
}

/*
 * An event that comes at any moment while the poll is being armed is reported
 */
RING_TEST(woken_while_armed)
{
	int i, rounds = full_stress() ? 20000 : 500;
	struct iouring2_cqe cqe;
	struct sniper s = { };
	uint64_t v;
	struct ring r;

	s.efd = new_eventfd();
	ASSERT_LE(0, s.efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, start_sniper(&s));
	for (i = 0; i < rounds; i++) {
		st_rel(&s.go, i + 1);
		ASSERT_EQ(1, arm(&r, s.efd, POLLIN, i, false));
		ASSERT_TRUE(until(ring_ready(&r))) {
			TH_LOG("round %d", i);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_TRUE(until(ld_acq(&s.done) == i + 1));
		EXPECT_EQ((ssize_t)sizeof(v), read(s.efd, &v, sizeof(v)));
	}
	st_rel(&s.stop, true);
	pthread_join(s.self, NULL);
	ring_exit(&r);
	close(s.efd);
}

/* A file without a poll method is always ready */
RING_TEST(multishot_of_a_file)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int fd;

	fd = tmp_file(16);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, fd, POLLIN, 1, true));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(0, (int)cqe.flags);
	EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
	ring_exit(&r);
	close(fd);
}

/* ------------------------------------------------------------ refusals */

RING_TEST(refused)
{
	struct iouring2_sqe *sqe;
	struct ring r, other;
	int efd, bit, path;

	efd = new_eventfd();
	path = open("/dev/null", O_PATH | O_CLOEXEC);
	ASSERT_EQ(0, poke(efd));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_init(&other, 8, 0));
	for (bit = 1; bit < 32; bit++) {
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd, POLLIN);
		sqe->len = 1U << bit;
		EXPECT_EQ(-EINVAL, ring_do(&r)) {
			TH_LOG("POLL_ADD flag bit %d", bit);
		}
	}
	for (bit = 3; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, update(&r, 1, 1U << bit, 0, 0)) {
			TH_LOG("POLL_REMOVE flag bit %d", bit);
		}
	}
	/* Fields that POLL_ADD does not use */
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	sqe->off = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	sqe->addr = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	sqe->buf_index = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	sqe->buf_index = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_poll_remove(sqe, 1);
	sqe->splice_fd_in = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	/* New user_data without the flag that announces it */
	EXPECT_EQ(-EINVAL, update(&r, 1, 0, 0, 2));
	EXPECT_EQ(-EINVAL, update(&r, 1, EVENTS, POLLIN, 2));
	/* A multishot poll that may post no CQE */
	sqe = ring_sqe(&r);
	prep_poll_multi(sqe, efd, POLLIN);
	sqe->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	EXPECT_EQ(-EINVAL, ring_do(&r));

	sqe = ring_sqe(&r);
	prep_poll(sqe, -1, POLLIN);
	EXPECT_EQ(-EBADF, ring_do(&r));
	sqe = ring_sqe(&r);
	prep_poll(sqe, path, POLLIN);
	EXPECT_EQ(-EBADF, ring_do(&r));
	/* Two rings that poll each other would never be freed */
	sqe = ring_sqe(&r);
	prep_poll(sqe, other.fd, POLLIN);
	EXPECT_EQ(-EOPNOTSUPP, ring_do(&r));
	EXPECT_EQ(self->before.counter[5], counter("files"));
	close(efd);
	close(path);
	ring_exit(&other);
	ring_exit(&r);
}

/* ------------------------------------------------------------ odd files */

/* A ring polls itself; its own completion does not wake the poll twice */
RING_TEST(own_ring)
{
	struct iouring2_cqe cqe;
	unsigned int bits = 0;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, r.fd, POLLIN, 0, false));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(2, (int)cqe.user_data);
		bits |= 1 << cqe.user_data;
		EXPECT_EQ(cqe.user_data ? 0 : POLLIN, cqe.res);
	}
	EXPECT_EQ(3, (int)bits);
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	/* The ring is writable at once */
	EXPECT_EQ(1, arm(&r, r.fd, POLLOUT, 3, false));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLOUT, cqe.res);
	/*
	 * A poll of the ring is armed when the ring is closed: the ring ends
	 * nevertheless
	 */
	EXPECT_EQ(1, arm(&r, r.fd, POLLIN, 4, false));
	EXPECT_EQ(1, arm(&r, r.fd, POLLIN, 5, true));
	ring_exit(&r);
}

/* A ring polls an epoll set that contains the ring */
RING_TEST(epoll_of_own_ring)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int ep, i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ep = epoll_of(r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	EXPECT_EQ(1, arm(&r, ep, POLLIN, 0, false));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, arm(&r, ep, POLLIN | POLLOUT, 2, true));
	close(ep);
	ring_exit(&r);
	/*
	 * The ring's request may have the last reference to the epoll set. When
	 * an epoll set is freed, it holds the files that it watches for a
	 * moment, so the ring may end after that.
	 */
	until(!*state_diff(&self->before, false));
}

/* One wait queue with many requests */
RING_TEST(many_on_one_file)
{
	enum { NR = 1000 };
	static unsigned char seen[NR];
	long before = counter("requests");
	struct iouring2_cqe cqe;
	struct ring r;
	int efd, i;

	efd = new_eventfd();
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 1024));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(1, arm(&r, efd, POLLIN, i, false));
	EXPECT_EQ(NR, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(0, poke(efd));
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(NR, (int)cqe.user_data);
		EXPECT_EQ(0, seen[cqe.user_data]++);
		EXPECT_EQ(POLLIN, cqe.res);
	}
	/* An idle ring keeps some requests for reuse, but not all of them */
	EXPECT_GT(NR * 3 / 4, counter("requests") - before);
	close(efd);
	ring_exit(&r);
}

/*
 * A poll that has completed does not hold its file: the writer then finds no
 * reader
 */
RING_TEST(lets_go_of_file)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(1, arm(&r, fds[0], POLLIN, 1, false));
	EXPECT_EQ(1, write(fds[1], "x", 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	close(fds[0]);
	EXPECT_EQ(-1, write(fds[1], "y", 1));
	EXPECT_EQ(EPIPE, errno);
	close(fds[1]);
	ring_exit(&r);
}

/*
 * The wait queue of a signalfd belongs to the process that armed the request.
 * It is freed with that process while the ring and the file continue to exist.
 */
RING_TEST(wait_queue_goes_away)
{
	struct iouring2_cqe cqe;
	int fd[2], i, status, multi;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, open_signal(fd));
	for (multi = 0; multi < 2; multi++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		for (i = 0; i < 10; i++) {
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid)
				_exit(arm(&r, fd[0], POLLIN, i, multi) == 1 ?
				      0 : 1);
			EXPECT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(0, status);
			/* The child moved the tail in its own copy of r */
			r.sqe_tail = *r.sq_tail;
			/*
			 * The request must complete exactly once, with whatever
			 * result
			 */
			EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(i, (int)cqe.user_data);
			EXPECT_FALSE(cqe.flags & MORE);
			EXPECT_FALSE(ring_peek(&r, &cqe));
		}
		ASSERT_EQ(0, ring_nop(&r, 1));
		EXPECT_EQ(0, ring_do(&r));
		ring_exit(&r);
	}
	close(fd[0]);
	close(fd[1]);
}

/*
 * Runs in a process that shares memory and descriptors with its parent, but not
 * signal handlers
 */
static int arm_and_end(void *arg)
{
	struct ring *r = arg;

	return enter(r->fd, ring_publish(r), 0, 0, NULL, 0) == 1 ? 0 : 1;
}

/*
 * The wait queue is freed while a request is armed on it. The request belongs
 * to a process that continues to exist and shares the descriptor table.
 */
RING_TEST(wait_queue_goes_first)
{
	static char stack[65536];
	struct iouring2_cqe cqe;
	int fd[2], i, status;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, open_signal(fd));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 10; i++) {
		if (i % 2)
			prep_poll_multi(ring_sqe(&r), fd[0], POLLIN);
		else
			prep_poll(ring_sqe(&r), fd[0], POLLIN);
		pid = clone(arm_and_end, stack + sizeof(stack),
			    CLONE_VM | CLONE_FILES | SIGCHLD, &r);
		ASSERT_LE(0, pid);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
		EXPECT_FALSE(cqe.flags & MORE);
	}
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

/*
 * A signalfd reports the signals of the task that polls it. With no task in
 * ENTER, these are the signals of a kernel thread. A signal to the process must
 * nevertheless complete the poll.
 */
RING_TEST(signal_outside_of_enter)
{
	struct signalfd_siginfo info;
	struct iouring2_cqe cqe;
	int fd[2], i, multi;
	struct ring r;

	ASSERT_EQ(0, open_signal(fd));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (multi = 0; multi < 2; multi++) {
		for (i = 0; i < 10; i++) {
			if (!multi || !i)
				EXPECT_EQ(1, arm(&r, fd[0], POLLIN, 1, multi));
			EXPECT_EQ(0, send_signal(fd));
			ASSERT_TRUE(until(ring_peek(&r, &cqe)));
			EXPECT_EQ(POLLIN, cqe.res);
			EXPECT_EQ(multi ? MORE : 0, cqe.flags);
			EXPECT_EQ(sizeof(info),
				  read(fd[0], &info, sizeof(info)));
			EXPECT_EQ(SIGUSR2, (int)info.ssi_signo);
		}
	}
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

struct sender {
	pthread_t self;
	pid_t tid;
	int sig;
};

static void *send_to_sleeper(void *arg)
{
	struct sender *s = arg;

	until(task_sleeps(s->tid));
	kill(getpid(), s->sig);
	return NULL;
}

/*
 * A task in ENTER polls for its own signals: a signal that the signalfd does
 * not select is no event
 */
RING_TEST(signal_of_another_kind)
{
	struct sender s = { .tid = gettid() };
	struct iouring2_cqe cqe;
	struct ring r;
	sigset_t mask;
	int fd[2];

	ASSERT_EQ(0, open_signal(fd));
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, fd[0], POLLIN, 1, false));
	s.sig = SIGUSR1;
	ASSERT_EQ(0, pthread_create(&s.self, NULL, send_to_sleeper, &s));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 500 * NSEC_PER_MSEC));
	pthread_join(s.self, NULL);
	s.sig = SIGUSR2;
	ASSERT_EQ(0, pthread_create(&s.self, NULL, send_to_sleeper, &s));
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_SEC));
	pthread_join(s.self, NULL);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

/*
 * A kernel thread must not arm a poll of a signalfd, because the poll would
 * then be for the signals of the kernel thread. The request waits until the
 * submitter is in ENTER.
 */
RING_TEST(signal_not_ours)
{
	struct signalfd_siginfo info;
	struct iouring2_cqe cqe;
	struct iouring2_sqe *sqe;
	int fd[2], efd;
	struct ring r;

	ASSERT_EQ(0, open_signal(fd));
	efd = new_eventfd();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_poll(sqe, fd[0], POLLIN);
	sqe->flags = IOURING2_SQE_ASYNC;
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, send_signal(fd));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(sizeof(info), read(fd[0], &info, sizeof(info)));
	/* this poll is started by the context that ends its predecessor */
	sqe = ring_sqe(&r);
	prep_poll(sqe, efd, POLLIN);
	sqe->flags = IOURING2_SQE_IO_LINK;
	sqe->user_data = 1;
	sqe = ring_sqe(&r);
	prep_poll(sqe, fd[0], POLLIN);
	sqe->user_data = 2;
	EXPECT_EQ(2, ring_submit(&r));
	EXPECT_EQ(0, poke(efd));
	EXPECT_TRUE(until(*r.sq_flags & IOURING2_SQ_TASKRUN));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
	EXPECT_FALSE(*r.sq_flags & IOURING2_SQ_TASKRUN);
	EXPECT_EQ(0, send_signal(fd));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(sizeof(info), read(fd[0], &info, sizeof(info)));
	EXPECT_EQ(self->before.counter[5], counter("files"));
	ring_exit(&r);
	close(efd);
	close(fd[0]);
	close(fd[1]);
}

/* One event wakes one of two exclusive polls; the next event wakes the other */
RING_TEST(exclusive)
{
	struct iouring2_cqe cqe;
	struct ring r[2];
	uint64_t one = 1;
	int efd, i;

	efd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	ASSERT_LE(0, efd);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&r[i], 8, 0));
		prep_poll(ring_sqe(&r[i]), efd, POLLIN | EPOLLEXCLUSIVE);
		EXPECT_EQ(1, ring_submit(&r[i]));
	}
	EXPECT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	ASSERT_EQ(0, ring_wait(&r[0], &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	usleep(20000);
	EXPECT_EQ(0, (int)ring_ready(&r[1]));
	EXPECT_EQ(1, fdinfo(r[1].fd, "Inflight"));
	EXPECT_EQ((ssize_t)sizeof(one), write(efd, &one, sizeof(one)));
	ASSERT_EQ(0, ring_wait(&r[1], &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	for (i = 0; i < 2; i++)
		ring_exit(&r[i]);
	close(efd);
}

RING_TEST_MAIN
