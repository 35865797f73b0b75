// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings with SETUP_R_DISABLED: ENTER fails with EBADFD and changes nothing until
 * ENABLE_RINGS; registering, mapping and polling work before. Each test runs on
 * the kernel's own io_uring as well.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "sides.h"

#define BAD_ADDR	((void *)-4096L)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define ENABLE		IOURING2_REGISTER_ENABLE_RINGS
#define R_DISABLED	IOURING2_SETUP_R_DISABLED

SIDE_FIXTURE(disabled);

static int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

TEST_F_TIMEOUT(disabled, enter_refused, LIMIT)
{
	const struct side *s = variant->side;
	struct iouring2_getevents_arg arg = { };
	struct iouring2_cqe cqe;
	struct ring r;
	int i;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	EXPECT_TRUE(r.setup.params.flags & R_DISABLED);
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	ring_publish(&r);
	/* twice each: enter() alternates between the two ways into ENTER */
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-EBADFD, s->enter(r.fd, 2, 0, 0, NULL, 0));
		EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 0, 0, NULL, 0));
		EXPECT_EQ(-EBADFD, s->enter(r.fd, 2, 1, GETEVENTS, NULL, 0));
		EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 1, GETEVENTS, NULL, 0));
	}
	EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
				    sizeof(arg)));
	/* The argument is not read. Unknown flags are found first */
	EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 1, GETEVENTS | EXT_ARG, BAD_ADDR,
				    1));
	EXPECT_EQ(-EINVAL, s->enter(r.fd, 2, 0, 1U << 29, NULL, 0));
	EXPECT_EQ(0, (int)*r.sq_head);
	EXPECT_EQ(0, (int)*r.sq_dropped);
	EXPECT_EQ(0, (int)ring_ready(&r));

	EXPECT_EQ(0, s->reg(r.fd, ENABLE, NULL, 0));
	EXPECT_EQ(2, s->enter(r.fd, 2, 2, GETEVENTS, NULL, 0));
	for (i = 1; i <= 2; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	ring_exit(&r);
}

/* A call of ENABLE_RINGS that is refused leaves the ring as it was */
TEST_F_TIMEOUT(disabled, enable_refused, LIMIT)
{
	const struct side *s = variant->side;
	struct ring r;
	char c = 0;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, ENABLE, &c, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, ENABLE, BAD_ADDR, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, ENABLE, NULL, 1));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, ENABLE, &c, 1));
	EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 0, 0, NULL, 0));
	EXPECT_EQ(0, s->reg(r.fd, ENABLE, NULL, 0));
	EXPECT_EQ(0, s->enter(r.fd, 0, 0, 0, NULL, 0));
	/* It is enabled now, and bad arguments are found first */
	EXPECT_EQ(-EBADFD, s->reg(r.fd, ENABLE, NULL, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, ENABLE, NULL, 1));
	EXPECT_EQ(0, s->enter(r.fd, 0, 0, 0, NULL, 0));
	ring_exit(&r);

	/* The same for a ring that was never disabled */
	ASSERT_EQ(0, s->setup(&r, 4, 0, 0));
	EXPECT_EQ(-EBADFD, s->reg(r.fd, ENABLE, NULL, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	EXPECT_EQ(1, s->enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	ring_exit(&r);
}

/* Other register opcodes work before the ring is enabled, and do not enable it */
TEST_F_TIMEOUT(disabled, registers, LIMIT)
{
	const struct side *s = variant->side;
	static char probe[sizeof(struct iouring2_probe) +
			  256 * sizeof(struct iouring2_probe_op)];
	struct ring r;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	memset(probe, 0, sizeof(probe));
	EXPECT_EQ(0, s->reg(r.fd, IOURING2_REGISTER_PROBE, probe, 256));
	EXPECT_NE(0, ((struct iouring2_probe *)probe)->ops_len);
	EXPECT_EQ(-EINVAL, s->reg(r.fd, 127, NULL, 0));
	EXPECT_EQ(-EBADFD, s->enter(r.fd, 0, 0, 0, NULL, 0));
	ring_exit(&r);
}

/* A disabled ring is writable while its SQ has room, and never readable */
TEST_F_TIMEOUT(disabled, polls, LIMIT)
{
	const struct side *s = variant->side;
	struct epoll_event ev;
	struct ring r;
	int ep, i;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	EXPECT_EQ(POLLOUT, poll_now(r.fd));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	ring_publish(&r);
	EXPECT_EQ(0, poll_now(r.fd));
	/* A poll that begins on a disabled ring notices the first completion */
	ep = epoll_of(r.fd, EPOLLIN);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	EXPECT_EQ(0, s->reg(r.fd, ENABLE, NULL, 0));
	EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	EXPECT_EQ(4, s->enter(r.fd, 4, 0, 0, NULL, 0));
	EXPECT_EQ(1, epoll_wait(ep, &ev, 1, 30000));
	EXPECT_EQ(POLLIN | POLLOUT, poll_now(r.fd));
	close(ep);
	ring_exit(&r);
}

/* Another process may enable the ring. The one that made it submits */
TEST_F_TIMEOUT(disabled, enabled_by_another_process, LIMIT)
{
	const struct side *s = variant->side;
	struct ring r;
	int status;
	pid_t pid;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-s->reg(r.fd, ENABLE, NULL, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	EXPECT_EQ(1, s->enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

/* The other way round: the process that made the ring never enters it */
TEST_F_TIMEOUT(disabled, used_by_another_process, LIMIT)
{
	const struct side *s = variant->side;
	struct ring r;
	int status;
	pid_t pid;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (s->enter(r.fd, 1, 1, GETEVENTS, NULL, 0) != -EBADFD)
			_exit(1);
		if (s->reg(r.fd, ENABLE, NULL, 0))
			_exit(2);
		_exit(s->enter(r.fd, 1, 1, GETEVENTS, NULL, 0) == 1 ? 0 : 3);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

/* A ring that is closed before it was enabled leaves nothing */
TEST_F_TIMEOUT(disabled, never_enabled, LIMIT)
{
	const struct side *s = variant->side;
	struct ring r;

	NEED_SIDE(tree_has(R_DISABLED));
	ASSERT_EQ(0, s->setup(&r, 4, 0, R_DISABLED));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	ring_exit(&r);
}

RING_TEST_MAIN
