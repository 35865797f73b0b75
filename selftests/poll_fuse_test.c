// SPDX-License-Identifier: GPL-2.0-only
/*
 * POLL_ADD on a file that has to ask a server for its events: a file of a FUSE
 * file system, whose server is a thread of this test. A server that does not
 * answer prevents neither closing the ring nor the execution of other requests.
 * Reads of such a file do not ask for its events.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "polls.h"

#define LINK		IOURING2_SQE_IO_LINK
#define NODE		2	/* the only file of the file system */
#define RESCUE_MS	60000
#define READS		4

/*
 * @dev: the server's end
 * @file: a descriptor of the file
 * @events: the file's current events
 * @asked: number of polls that were answered
 * @reads: number of reads that came; none is answered before there are READS
 * @refused: number of writes and syncs that were answered with EINTR
 * @held: the reads that are not answered yet
 * @held_off: the offsets of these reads
 * @deaf: the server reads nothing from @dev, so @asked does not change
 * @idle: the server has seen that it is deaf
 * @deaf_at: the server becomes deaf after so many answers, if not 0
 * @stop: the server is to end
 * @rescued: the test took too long, and the rescuer has ended @deaf
 */
struct server {
	int dev, file;
	char dir[32];
	unsigned int events, asked, deaf_at, reads, refused;
	__u64 kh, held[READS], held_off[READS];
	bool deaf, idle, stop, done, rescued;
	pthread_t self, rescuer;
};

static int reply(struct server *s, __u64 unique, int error, const void *data,
		 size_t len)
{
	struct {
		struct fuse_out_header h;
		char data[256];
	} out = { .h = { .unique = unique, .error = error } };

	out.h.len = sizeof(out.h) + len;
	if (len)
		memcpy(out.data, data, len);
	return write(s->dev, &out, out.h.len) == out.h.len ? 0 : -1;
}

static struct fuse_attr attr_of(__u64 node)
{
	struct fuse_attr a = {
		.ino = node,
		.mode = node == NODE ? S_IFREG | 0666 : S_IFDIR | 0755,
		.size = node == NODE ? READS * 8 : 0,
		.nlink = 1,
	};

	return a;
}

/* Each byte of the file is a function of its offset */
static int answer_reads(struct server *s)
{
	int ret = 0;
	char data[8];

	while (s->reads) {
		s->reads--;
		memset(data, 'a' + s->held_off[s->reads] / 8, sizeof(data));
		ret |= reply(s, s->held[s->reads], 0, data, sizeof(data));
	}
	return ret;
}

static int hold_read(struct server *s, const struct fuse_in_header *h,
		     const struct fuse_read_in *in)
{
	s->held[s->reads] = h->unique;
	s->held_off[s->reads] = in->offset;
	st_rel(&s->reads, s->reads + 1);
	return s->reads == READS ? answer_reads(s) : 0;
}

static int serve(struct server *s, const struct fuse_in_header *h,
		 const void *arg)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
	};
	struct fuse_entry_out entry = { .nodeid = NODE, .attr = attr_of(NODE) };
	struct fuse_attr_out attr = { .attr = attr_of(h->nodeid) };
	struct fuse_open_out open = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_poll_out poll = {};

	switch (h->opcode) {
	case FUSE_INIT:
		return reply(s, h->unique, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return reply(s, h->unique, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return reply(s, h->unique, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return reply(s, h->unique, 0, &open, sizeof(open));
	case FUSE_POLL:
		s->kh = ((const struct fuse_poll_in *)arg)->kh;
		poll.revents = ld_acq(&s->events);
		st_rel(&s->asked, s->asked + 1);
		if (s->asked == s->deaf_at)
			st_rel(&s->deaf, true);
		return reply(s, h->unique, 0, &poll, sizeof(poll));
	case FUSE_READ:
		return hold_read(s, h, arg);
	case FUSE_WRITE:
	case FUSE_FSYNC:
		st_rel(&s->refused, s->refused + 1);
		return reply(s, h->unique, -EINTR, NULL, 0);
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return reply(s, h->unique, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;
	default:
		return reply(s, h->unique, -EOPNOTSUPP, NULL, 0);
	}
}

static void *server_fn(void *arg)
{
	static char in[FUSE_MIN_READ_BUFFER + 4096];
	const struct fuse_in_header *h = (void *)in;
	struct server *s = arg;

	while (!ld_acq(&s->stop)) {
		struct pollfd p = { .fd = s->dev, .events = POLLIN };

		if (ld_acq(&s->deaf)) {
			st_rel(&s->idle, true);
			usleep(1000);
			continue;
		}
		if (poll(&p, 1, 10) != 1)
			continue;
		if (read(s->dev, in, sizeof(in)) <= 0)
			continue;
		serve(s, h, h + 1);
	}
	answer_reads(s);
	return NULL;
}

/* Return: 0, -ENODEV where there is no FUSE or no permission, or -errno */
static int server_start(struct server *s)
{
	char opts[80], path[40];
	int err;

	memset(s, 0, sizeof(*s));
	if (system("modprobe -q fuse >/dev/null 2>&1"))
		errno = 0;	/* it may be built in; else open() fails */
	strcpy(s->dir, "/tmp/io2fuseXXXXXX");
	s->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (s->dev < 0 || !mkdtemp(s->dir))
		return -ENODEV;
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 s->dev);
	if (mount("iouring2-test", s->dir, "fuse", MS_NOSUID | MS_NODEV, opts)) {
		err = errno;
		rmdir(s->dir);
		close(s->dev);
		return err == EPERM ? -ENODEV : -err;
	}
	if (pthread_create(&s->self, NULL, server_fn, s))
		return -EAGAIN;
	snprintf(path, sizeof(path), "%s/file", s->dir);
	s->file = open(path, O_RDWR | O_CLOEXEC);
	return s->file < 0 ? -errno : 0;
}

static void server_end(struct server *s)
{
	st_rel(&s->deaf, false);
	close(s->file);
	umount2(s->dir, MNT_DETACH);
	st_rel(&s->stop, true);
	pthread_join(s->self, NULL);
	close(s->dev);
	rmdir(s->dir);
}

/* Tell the kernel of a new event, so that each poller of the file asks again */
static int notify(struct server *s)
{
	struct {
		struct fuse_out_header h;
		struct fuse_notify_poll_wakeup_out w;
	} out = {
		.h = { .len = sizeof(out), .error = FUSE_NOTIFY_POLL },
		.w = { .kh = s->kh },
	};

	return write(s->dev, &out, sizeof(out)) == sizeof(out) ? 0 : -errno;
}

static int happens(struct server *s, unsigned int events)
{
	st_rel(&s->events, events);
	return notify(s);
}

static void busy_ns(long long ns)
{
	long long end = now_ns(CLOCK_MONOTONIC) + ns;

	while (now_ns(CLOCK_MONOTONIC) < end)
		;
}

/* Is there a request that the server does not answer? */
static bool unanswered(struct server *s)
{
	struct pollfd p = { .fd = s->dev, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/*
 * End @deaf after a time limit, so that a module that waits for the server
 * fails one test and does not stop the machine
 */
static void *rescue(void *arg)
{
	struct server *s = arg;

	if (until_ms(ld_acq(&s->done), RESCUE_MS))
		return NULL;
	st_rel(&s->rescued, true);
	st_rel(&s->deaf, false);
	return NULL;
}

static int rescue_start(struct server *s)
{
	return pthread_create(&s->rescuer, NULL, rescue, s);
}

static bool rescue_end(struct server *s)
{
	st_rel(&s->done, true);
	pthread_join(s->rescuer, NULL);
	return s->rescued;
}

#define START(s) do {							\
	int start_ret = server_start(s);				\
									\
	if (start_ret == -ENODEV)					\
		SKIP(return, "no FUSE");				\
	ASSERT_EQ(0, start_ret);					\
} while (0)

/* ------------------------------------------------------------ who answers */

RING_TEST(oneshot)
{
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;

	START(&s);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* the event is there before the poll */
	s.events = POLLIN;
	EXPECT_EQ(1, arm(&r, s.file, POLLIN, 1, false));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	/* the event comes later, while no task is in ENTER */
	s.events = 0;
	EXPECT_EQ(1, arm(&r, s.file, POLLIN, 2, false));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ(0, happens(&s, POLLIN | POLLOUT));
	ASSERT_TRUE(until(ring_ready(&r)));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(0, cqe.flags);
	/* A wake-up without a requested event: the poll continues to wait */
	s.events = 0;
	EXPECT_EQ(1, arm(&r, s.file, POLLIN, 3, false));
	EXPECT_EQ(0, happens(&s, POLLOUT));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 50 * NSEC_PER_MSEC));
	EXPECT_EQ(0, happens(&s, POLLIN));
	ASSERT_EQ(0, ring_take(&r, 3, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	ring_exit(&r);
	server_end(&s);
}

/* Several wake-ups, while no task is in ENTER, and while one is */
RING_TEST(multishot)
{
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;
	int i;

	START(&s);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, s.file, POLLIN, 1, true));
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, happens(&s, POLLIN));
		if (i % 2)
			ASSERT_TRUE(until(ring_ready(&r)));
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(MORE, cqe.flags);
		/* a wake-up without an event posts nothing */
		EXPECT_EQ(0, happens(&s, 0));
		usleep(20000);
		EXPECT_EQ(0, (int)ring_ready(&r));
	}
	prep_cancel(ring_sqe(&r), 1, 0);
	r.sqes[(r.sqe_tail - 1) & *r.sq_mask].user_data = 2;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(0, cqe.res);
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(0, cqe.flags);
	ring_exit(&r);
	server_end(&s);
}

/* ------------------------------------------------------- who does not answer */

/*
 * Ways to make a task that runs deferred work ask the server. Return: 0, or
 * -errno.
 */
static int ask_oneshot(struct ring *r, struct server *s)
{
	return arm(r, s->file, POLLIN, 1, false) == 1 ? 0 : -EIO;
}

static int ask_multishot(struct ring *r, struct server *s)
{
	return arm(r, s->file, POLLIN, 1, true) == 1 ? 0 : -EIO;
}

/*
 * Make the server deaf. It may be in a read, so wait until it has noticed.
 * Return: false if that took too long.
 */
static bool deafen(struct server *s)
{
	st_rel(&s->idle, false);
	st_rel(&s->deaf, true);
	return until(ld_acq(&s->idle));
}

static int wake(struct server *s)
{
	return deafen(s) ? notify(s) : -EIO;
}

/* The server is asked only after another request has ended */
static int ask_behind_link(struct ring *r, struct server *s)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	int ret, efd = new_eventfd();

	prep_poll(sqe, efd, POLLIN);
	sqe->flags = LINK;
	prep_poll(ring_sqe(r), s->file, POLLIN);
	ret = ring_submit(r) == 2 ? 0 : -EIO;
	if (!deafen(s) || poke(efd))
		ret = -EIO;
	close(efd);
	return ret;
}

static const struct {
	const char *name;
	int (*arm)(struct ring *r, struct server *s);
	int (*wake)(struct server *s);
} ways[] = {
	{ "oneshot", ask_oneshot, wake },
	{ "multishot", ask_multishot, wake },
	{ "behind a link", ask_behind_link, NULL },
};

RING_TEST(close_does_not_wait)
{
	struct server s;
	struct ring r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		START(&s);
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, ways[i].arm(&r, &s));
		if (ways[i].wake)
			ASSERT_EQ(0, ways[i].wake(&s));
		ASSERT_TRUE(until(unanswered(&s))) {
			TH_LOG("%s: the server was not asked", ways[i].name);
		}
		ASSERT_EQ(0, rescue_start(&s));
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&self->before, false));
		EXPECT_FALSE(rescue_end(&s)) {
			TH_LOG("%s: close waited for the server", ways[i].name);
		}
		server_end(&s);
	}
}

/* After a worker has got the answer, the server is not asked again */
RING_TEST(answer_is_taken)
{
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;

	START(&s);
	/*
	 * the server answers once when the poll is armed, and once to the
	 * worker
	 */
	s.deaf_at = 2;
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ask_multishot(&r, &s));
	EXPECT_EQ(0, happens(&s, POLLIN));
	EXPECT_TRUE(until(ring_ready(&r))) {
		TH_LOG("asked %u times", s.asked);
	}
	EXPECT_EQ(2, ld_acq(&s.asked));
	EXPECT_FALSE(unanswered(&s));
	st_rel(&s.deaf, false);
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	EXPECT_EQ(MORE, cqe.flags);
	ring_exit(&r);
	server_end(&s);
}

/*
 * A poll that is cancelled at any moment between the wake-up and the answer
 * ends
 */
RING_TEST(cancelled_on_its_way)
{
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;
	int i, ret;

	START(&s);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, ask_multishot(&r, &s));
		EXPECT_EQ(0, happens(&s, 0));
		busy_ns(i % 20 * 10000);
		prep_cancel(ring_sqe(&r), 1, 0);
		r.sqes[(r.sqe_tail - 1) & *r.sq_mask].user_data = 2;
		EXPECT_EQ(1, ring_submit(&r));
		ASSERT_EQ(0, ring_take(&r, 2, &cqe));
		ret = cqe.res;
		EXPECT_TRUE(ret == 0 || ret == -EALREADY) {
			TH_LOG("round %d: %d", i, ret);
		}
		ASSERT_EQ(0, ring_take(&r, 1, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	ring_exit(&r);
	server_end(&s);
}

/* Other deferred work runs nevertheless, and the poll can be cancelled */
RING_TEST(others_go_on)
{
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;
	int efd;

	START(&s);
	efd = new_eventfd();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(1, arm(&r, efd, POLLIN, 2, true));
	ASSERT_EQ(0, ask_multishot(&r, &s));
	ASSERT_EQ(0, wake(&s));
	ASSERT_TRUE(until(unanswered(&s)));
	ASSERT_EQ(0, rescue_start(&s));
	/* no task is in ENTER */
	EXPECT_EQ(0, poke(efd));
	EXPECT_TRUE(until(ring_ready(&r)));
	EXPECT_FALSE(ld_acq(&s.rescued));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(POLLIN, cqe.res);
	/* the poll is waiting for the answer */
	EXPECT_EQ(-EALREADY, update(&r, 1, EVENTS, POLLOUT, 0));
	prep_cancel(ring_sqe(&r), 1, 0);
	EXPECT_EQ(-EALREADY, ring_do(&r));
	st_rel(&s.deaf, false);
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_FALSE(rescue_end(&s));
	ring_exit(&r);
	close(efd);
	server_end(&s);
}

/* ---------------------------------------------------------------- an update */

/*
 * user_data of: the poll, the updated poll, the timer, the update, the cancel
 */
enum { OLD = 1, NEW, WAITED, UPDATED, ASKS_TO_END };

struct waiter {
	pthread_t self;
	struct ring *ring;
	pid_t tid;
};

static void *wait_for_many(void *arg)
{
	struct waiter *w = arg;

	st_rel(&w->tid, (pid_t)syscall(__NR_gettid));
	enter(w->ring->fd, 0, 3, IOURING2_ENTER_GETEVENTS, NULL, 0);
	return NULL;
}

static int cancel(struct ring *r, __u64 target)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	struct iouring2_cqe cqe;

	prep_cancel(sqe, target, 0);
	sqe->user_data = ASKS_TO_END;
	if (ring_submit(r) != 1)
		return -EPROTO;
	if (!until(ring_ready(r)) || ring_take(r, ASKS_TO_END, &cqe))
		return -ENOMSG;
	return cqe.res;
}

/*
 * Update the poll behind a timer, so that the task that waits in ENTER runs the
 * update, and not the submitter
 */
static int update_late(struct ring *r, unsigned int what)
{
	static struct __kernel_timespec ts = { .tv_nsec = 50000000 };
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_timeout(sqe, &ts, 0, 0);
	sqe->flags = IOURING2_SQE_IO_HARDLINK;
	sqe->user_data = WAITED;
	sqe = ring_sqe(r);
	prep_poll(sqe, -1, what & EVENTS ? POLLIN : 0);
	sqe->opcode = IOURING2_OP_POLL_REMOVE;
	sqe->addr = OLD;
	sqe->off = what & USER_DATA ? NEW : 0;
	sqe->len = what;
	sqe->user_data = UPDATED;
	return ring_submit(r) == 2 ? 0 : -EIO;
}

/*
 * While an update arms a poll again, the poll can be cancelled under its new
 * user_data. It must then end, and not wait for ever.
 */
RING_TEST(cancelled_while_updated)
{
	static const unsigned int what[] = { EVENTS, USER_DATA, EVENTS | USER_DATA };
	struct iouring2_cqe cqe;
	struct server s;
	struct waiter w;
	struct ring r;
	unsigned int i;
	__u64 name;

	for (i = 0; i < ARRAY_SIZE(what); i++) {
		name = what[i] & USER_DATA ? NEW : OLD;
		START(&s);
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, ask_oneshot(&r, &s));
		ASSERT_TRUE(deafen(&s));
		ASSERT_EQ(0, rescue_start(&s));
		w = (struct waiter) { .ring = &r };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_for_many, &w));
		EXPECT_TRUE(until(ld_acq(&w.tid) && task_waits(w.tid)));
		ASSERT_EQ(0, update_late(&r, what[i]));
		ASSERT_TRUE(until(unanswered(&s)));
		EXPECT_EQ(what[i] & USER_DATA ? -ENOENT : -EALREADY,
			  cancel(&r, OLD));
		EXPECT_EQ(-EALREADY, cancel(&r, name));
		st_rel(&s.deaf, false);
		EXPECT_TRUE(until_ms(ring_ready(&r) == 3, 15000)) {
			TH_LOG("update %x: the cancelled poll still waits",
			       what[i]);
		}
		/* This also ends a poll that wrongly waits */
		EXPECT_EQ(0, happens(&s, POLLIN));
		EXPECT_FALSE(rescue_end(&s));
		ASSERT_EQ(0, pthread_join(w.self, NULL));
		ASSERT_EQ(0, ring_take(&r, UPDATED, &cqe));
		EXPECT_EQ(0, cqe.res);
		ASSERT_EQ(0, ring_take(&r, name, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
		ring_exit(&r);
		server_end(&s);
	}
}

/* -------------------------------------------------------------------- reads */

/* The server gets all reads at once: no read waits for the end of another */
RING_TEST(reads_at_once)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	char buf[READS][8];
	struct server s;
	struct ring r;
	int i, async;

	START(&s);
	for (async = 0; async < 2; async++) {
		memset(buf, 0, sizeof(buf));
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		for (i = 0; i < READS; i++) {
			sqe = ring_sqe(&r);
			prep_read(sqe, s.file, buf[i], 8, i * 8);
			sqe->flags = async ? IOURING2_SQE_ASYNC : 0;
			sqe->user_data = i;
		}
		EXPECT_EQ(READS, ring_submit(&r));
		EXPECT_TRUE(until_ms(ring_ready(&r) == READS, 15000)) {
			TH_LOG("the server has %u reads of %d", s.reads, READS);
		}
		for (i = 0; ring_ready(&r) && i < READS; i++) {
			ASSERT_EQ(0, ring_take(&r, i, &cqe));
			EXPECT_EQ(8, cqe.res);
			EXPECT_EQ('a' + i, buf[i][0]);
		}
		EXPECT_EQ(0U, s.asked);
		ring_exit(&r);
	}
	server_end(&s);
}

/*
 * A server may answer EINTR. The module then asks only once, as the system
 * calls do.
 */
RING_TEST(interrupted_by_the_server)
{
	static const char data[8];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct server s;
	struct ring r;

	START(&s);
	EXPECT_EQ(-1, fsync(s.file));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(-1, pwrite(s.file, data, sizeof(data), 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(2U, s.refused);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	sqe->opcode = IOURING2_OP_FSYNC;
	sqe->fd = s.file;
	sqe->user_data = 1;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_take(&r, 1, &cqe));
	EXPECT_EQ(-EINTR, cqe.res);
	EXPECT_EQ(3U, s.refused);
	sqe = ring_sqe(&r);
	sqe->opcode = IOURING2_OP_WRITE;
	sqe->fd = s.file;
	sqe->addr = (uintptr_t)data;
	sqe->len = sizeof(data);
	sqe->user_data = 2;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_take(&r, 2, &cqe));
	EXPECT_EQ(-EINTR, cqe.res);
	EXPECT_EQ(4U, s.refused);
	ring_exit(&r);
	server_end(&s);
}

RING_TEST_MAIN
