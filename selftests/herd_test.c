// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many reads wait for one file. When data for one read arrives, exactly one
 * read ends. The other reads continue to wait, and they occupy no workers that
 * other requests need.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define NR	400
#define OTHER	1000
#define PIPED	1001
#define FEW	4	/* the most workers that may run */

struct source {
	int rd, wr;
	char dir[200];
};

static int pipe_make(struct source *s)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	s->rd = p[0];
	s->wr = p[1];
	return 0;
}

static int fifo_make(struct source *s)
{
	char path[220];

	tmp_path(s->dir, sizeof(s->dir), "fifo");
	if (!mkdtemp(s->dir))
		return -errno;
	snprintf(path, sizeof(path), "%s/fifo", s->dir);
	if (mkfifo(path, 0600))
		return -errno;
	s->rd = open(path, O_RDWR | O_CLOEXEC);
	s->wr = open(path, O_WRONLY | O_CLOEXEC);
	unlink(path);
	return s->rd < 0 || s->wr < 0 ? -errno : 0;
}

static int tty_make(struct source *s)
{
	struct termios t;

	s->wr = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->wr < 0 || grantpt(s->wr) || unlockpt(s->wr))
		return -errno;
	s->rd = open(ptsname(s->wr), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->rd < 0 || tcgetattr(s->rd, &t))
		return -errno;
	cfmakeraw(&t);
	return tcsetattr(s->rd, TCSANOW, &t);
}

static int byte_feed(struct source *s)
{
	return write(s->wr, "x", 1) == 1 ? 0 : -1;
}

static int inotify_make(struct source *s)
{
	s->rd = inotify_init1(IN_CLOEXEC);
	s->wr = -1;
	tmp_path(s->dir, sizeof(s->dir), "herd");
	if (s->rd < 0 || !mkdtemp(s->dir))
		return -errno;
	return inotify_add_watch(s->rd, s->dir, IN_ATTRIB) < 0 ? -1 : 0;
}

static int inotify_feed(struct source *s)
{
	return chmod(s->dir, 0700);
}

static int timerfd_make(struct source *s)
{
	s->rd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	s->wr = -1;
	return s->rd < 0 ? -1 : 0;
}

static int timerfd_feed(struct source *s)
{
	struct itimerspec in = { .it_value = { 0, 1000000 } };

	return timerfd_settime(s->rd, 0, &in, NULL);
}

static int eventfd_make(struct source *s)
{
	s->rd = eventfd(0, EFD_CLOEXEC);
	s->wr = -1;
	return s->rd < 0 ? -1 : 0;
}

static int eventfd_feed(struct source *s)
{
	return eventfd_write(s->rd, 1);
}

static void source_free(struct source *s)
{
	close(s->rd);
	if (s->wr >= 0)
		close(s->wr);
	if (s->dir[0])
		rmdir(s->dir);
}

FIXTURE(herd) {
	struct state before;
	struct ring r;
	struct source a, b;
};

FIXTURE_VARIANT(herd) {
	int (*make)(struct source *s);
	int (*feed)(struct source *s);
};

FIXTURE_VARIANT_ADD(herd, pipe) { pipe_make, byte_feed };
FIXTURE_VARIANT_ADD(herd, fifo) { fifo_make, byte_feed };
FIXTURE_VARIANT_ADD(herd, tty) { tty_make, byte_feed };
FIXTURE_VARIANT_ADD(herd, inotify) { inotify_make, inotify_feed };
FIXTURE_VARIANT_ADD(herd, timerfd) { timerfd_make, timerfd_feed };
FIXTURE_VARIANT_ADD(herd, eventfd) { eventfd_make, eventfd_feed };

static char buf[NR + 2][64];

FIXTURE_SETUP(herd)
{
	state_read(&self->before);
	if (variant->make(&self->a) || variant->make(&self->b))
		SKIP(return, "cannot open such a file");
	ASSERT_EQ(0, ring_init(&self->r, 512, 1024));
}

FIXTURE_TEARDOWN(herd)
{
	ring_exit(&self->r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	source_free(&self->a);
	source_free(&self->b);
}

/* The submitter does not wait for the reads, not even 50 ms for each */
static void start_herd(struct __test_metadata *_metadata, struct ring *r, int fd,
		       unsigned int flags)
{
	long long begin;
	int i;

	for (i = 0; i < NR; i++)
		add(r, IOURING2_OP_READ, fd, buf[i], sizeof(buf[i]), 0, flags, i);
	begin = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, submit_all(r));
	EXPECT_GT(SOON * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
}

/*
 * Exactly one read has ended, with the data that arrived. This enters the
 * kernel because some files are read by the task in ENTER.
 */
static void one_ends(struct __test_metadata *_metadata, struct ring *r)
{
	struct iouring2_cqe cqe = { .res = NEVER };

	enter_timeout(r->fd, 0, 1, SOON * NSEC_PER_MSEC);
	EXPECT_TRUE(ring_peek(r, &cqe));
	EXPECT_LT(0, cqe.res);
	EXPECT_EQ(-ETIME, enter_timeout(r->fd, 0, 1, A_WHILE * NSEC_PER_MSEC));
	EXPECT_EQ(0U, ring_ready(r));
	EXPECT_GE(FEW, fdinfo(r->fd, "Workers"));
}

TEST_F_TIMEOUT(herd, one_datum, 100)
{
	struct ring *r = &self->r;
	int i, p[2];

	start_herd(_metadata, r, self->a.rd, 0);
	EXPECT_EQ(0U, ring_ready(r));
	EXPECT_GE(FEW, fdinfo(r->fd, "Workers"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, variant->feed(&self->a));
		one_ends(_metadata, r);
	}
	EXPECT_EQ(NR - 3, fdinfo(r->fd, "Inflight"));

	/* A file that has data is read, however many other reads wait */
	ASSERT_EQ(0, variant->feed(&self->b));
	add(r, IOURING2_OP_READ, self->b.rd, buf[NR], 64, 0, 0, OTHER);
	ASSERT_EQ(0, submit_all(r));
	EXPECT_LT(0, res_ms(r, OTHER, 5000));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(1, write(p[1], "y", 1));
	add(r, IOURING2_OP_READ, p[0], buf[NR + 1], 64, 0, ASYNC, PIPED);
	ASSERT_EQ(0, submit_all(r));
	EXPECT_EQ(1, res_ms(r, PIPED, 5000));
	EXPECT_GE(FEW, fdinfo(r->fd, "Workers"));
	close(p[0]);
	close(p[1]);
}

/* As one_datum, but with reads that go to a worker from the start */
TEST_F_TIMEOUT(herd, one_datum_async, 100)
{
	struct ring *r = &self->r;
	int p[2];

	start_herd(_metadata, r, self->a.rd, ASYNC);
	EXPECT_FALSE(until_ms(ring_ready(r), A_WHILE));
	ASSERT_EQ(0, variant->feed(&self->a));
	one_ends(_metadata, r);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(1, write(p[1], "y", 1));
	add(r, IOURING2_OP_READ, p[0], buf[NR + 1], 64, 0, ASYNC, PIPED);
	ASSERT_EQ(0, submit_all(r));
	EXPECT_EQ(1, res_ms(r, PIPED, 5000));
	close(p[0]);
	close(p[1]);
}

/* When data for all reads arrives, each read ends with some data */
TEST_F_TIMEOUT(herd, all_end, 100)
{
	struct ring *r = &self->r;
	struct iouring2_cqe cqe;
	long long end = now_ns(CLOCK_MONOTONIC) + 40 * NSEC_PER_SEC;
	unsigned int size = variant->feed == byte_feed ? 1 : 64;
	int left = 50, i;

	for (i = 0; i < left; i++)
		add(r, IOURING2_OP_READ, self->a.rd, buf[i], size, 0,
		    i % 2 ? ASYNC : 0, i);
	ASSERT_EQ(0, submit_all(r));
	/*
	 * One read may take several events, so more events than reads are
	 * needed
	 */
	while (left > 0 && now_ns(CLOCK_MONOTONIC) < end) {
		ASSERT_EQ(0, variant->feed(&self->a));
		enter_timeout(r->fd, 0, 1, 20 * NSEC_PER_MSEC);
		for (; ring_peek(r, &cqe); left--)
			EXPECT_LT(0, cqe.res);
	}
	EXPECT_EQ(0, left);
}

/* Reads that wait for different files do not occupy a worker each either */
BOUNDED_TEST(many_files)
{
	struct source s[100];
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 512, 1024));
	for (i = 0; i < (int)ARRAY_SIZE(s); i++) {
		ASSERT_EQ(0, pipe_make(&s[i]));
		s[i].dir[0] = '\0';
		add(&r, IOURING2_OP_READ, s[i].rd, buf[i], 64, 0, 0, i);
	}
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_FALSE(until_ms(fdinfo(r.fd, "Workers") > FEW, A_WHILE));
	for (i = 0; i < (int)ARRAY_SIZE(s); i += 10) {
		EXPECT_EQ(0, byte_feed(&s[i]));
		EXPECT_EQ(1, seen_ms(&r, i, SOON));
	}
	EXPECT_GE(FEW, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	for (i = 0; i < (int)ARRAY_SIZE(s); i++)
		source_free(&s[i]);
}

RING_TEST_MAIN
