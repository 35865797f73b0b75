// SPDX-License-Identifier: GPL-2.0
/*
 * I9: when the last close of a ring has returned, or the wait for a process
 * that had it, nothing of the ring runs and nothing is held for it, whatever
 * was in flight, wherever it was, and however the end came. Requests belong
 * to the process that submitted them: they end when it has closed its last
 * descriptor of the ring, even if something else keeps the ring.
 *
 * Each kind of request below leaves something behind that is looked at from
 * outside: the other end of a pipe or socket that hangs up, a file lock that
 * is free, an inode that goes; and the module's own counters.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define LINK		IOURING2_SQE_IO_LINK
#define HARDLINK	IOURING2_SQE_IO_HARDLINK
#define DRAIN		IOURING2_SQE_IO_DRAIN
#define ASYNC		IOURING2_SQE_ASYNC
#define HOUR		(3600 * NSEC_PER_SEC)

#define SQ		64
#define CQ		64
#define FOREVER		CQ	/* as many CQEs as never come */

/* -------------------------------------------------- kinds of requests */

/* What a kind of request works with, and is seen by */
struct hold {
	int use[4];	/* for requests; closed as soon as they have them */
	int peer[4];	/* hang up when the last use is released */
	int nr_use, nr_peer;
	int lock;	/* or -1: file whose lock is held until then */
	int notify;	/* or -1: tells when the file itself is gone */
	bool direct;	/* there was a device for it */
};

/* Where requests read to and write from; nobody looks at it */
static _Alignas(4096) char scratch[64 << 10];

/* As they are submitted and then forgotten, their time outlives the caller */
static struct __kernel_timespec hour = { .tv_sec = HOUR / NSEC_PER_SEC };

/* Other threads have workers, too: do not count them */
static bool crowded;

static void use(struct hold *h, int fd)
{
	h->use[h->nr_use++] = fd;
}

static void peer(struct hold *h, int fd)
{
	h->peer[h->nr_peer++] = fd;
}

static int use_nothing(struct hold *h)
{
	return 0;
}

static int use_eventfd(struct hold *h)
{
	use(h, eventfd(0, EFD_CLOEXEC));
	return 0;
}

static int use_read_end(struct hold *h)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	use(h, fds[0]);
	peer(h, fds[1]);
	return 0;
}

static int use_write_end(struct hold *h)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	use(h, fds[1]);
	peer(h, fds[0]);
	return 0;
}

static int use_full_pipe(struct hold *h)
{
	int ret = use_write_end(h);

	if (ret)
		return ret;
	fcntl(h->use[0], F_SETPIPE_SZ, 4096);
	fcntl(h->use[0], F_SETFL, O_NONBLOCK);
	while (write(h->use[0], scratch, 4096) > 0)
		;
	fcntl(h->use[0], F_SETFL, 0);
	return 0;
}

static int use_socket(struct hold *h)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	use(h, fds[0]);
	peer(h, fds[1]);
	return 0;
}

static int use_epoll(struct hold *h)
{
	use(h, epoll_create1(EPOLL_CLOEXEC));
	return 0;
}

/* An unlinked, locked FIFO: three things to look at, and reads can block */
static int use_fifo(struct hold *h)
{
	char dir[256], path[300];
	int fd;

	tmp_path(dir, sizeof(dir), "fifo");
	if (!mkdtemp(dir))
		return -errno;
	snprintf(path, sizeof(path), "%s/fifo", dir);
	if (mkfifo(path, 0600))
		return -errno;
	fd = open(path, O_RDWR | O_CLOEXEC);
	use(h, fd);
	peer(h, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	h->lock = h->peer[0];
	h->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify_add_watch(h->notify, path, IN_DELETE_SELF) < 0 ||
	    flock(fd, LOCK_EX) || unlink(path) || rmdir(dir))
		return -errno;
	return 0;
}

static int use_chain(struct hold *h)
{
	use_eventfd(h);
	use_write_end(h);
	return use_read_end(h);
}

/* Some disk, to be read past the page cache; reading does it no harm */
static int open_disk(void)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *de;
	char path[300];
	__u64 size;
	int fd = -1;

	while (dir && fd < 0 && (de = readdir(dir))) {
		if (de->d_name[0] == '.' || !strncmp(de->d_name, "sr", 2) ||
		    !strncmp(de->d_name, "fd", 2) ||
		    !strncmp(de->d_name, "zram", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", de->d_name);
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd >= 0 && (ioctl(fd, BLKGETSIZE64, &size) ||
				size < 64 << 20)) {
			close(fd);
			fd = -1;
		}
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int use_disk(struct hold *h)
{
	int fd = open_disk();

	h->direct = fd >= 0;
	use(h, fd >= 0 ? fd : eventfd(0, EFD_CLOEXEC));
	return 0;
}

static int submit(struct ring *r, int nr)
{
	int ret = ring_submit(r);

	return ret == nr ? 0 : ret < 0 ? ret : -EPROTO;
}

/* For what cannot happen otherwise: an error, or the end of a pipe */
static int start_poll(struct ring *r, struct hold *h)
{
	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	return submit(r, 1);
}

static int start_poll_multi(struct ring *r, struct hold *h)
{
	prep_poll_multi(ring_sqe(r), h->use[0], POLLIN);
	return submit(r, 1);
}

static int start_poll_self(struct ring *r, struct hold *h)
{
	prep_poll(ring_sqe(r), r->fd, POLLPRI);
	prep_poll_multi(ring_sqe(r), r->fd, POLLPRI);
	return submit(r, 2);
}

static int start_poll_epoll(struct ring *r, struct hold *h)
{
	struct epoll_event ev = { .events = EPOLLPRI };

	if (epoll_ctl(h->use[0], EPOLL_CTL_ADD, r->fd, &ev))
		return -errno;
	prep_poll(ring_sqe(r), h->use[0], POLLIN);
	return submit(r, 1);
}

static int start_read(struct ring *r, struct hold *h)
{
	prep_read(ring_sqe(r), h->use[0], scratch, 64, -1);
	return submit(r, 1);
}

/* A worker looks, and arms: the file can tell when it is ready */
static int start_read_async(struct ring *r, struct hold *h)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_read(sqe, h->use[0], scratch, 64, -1);
	sqe->flags = ASYNC;
	return submit(r, 1);
}

static int start_write(struct ring *r, struct hold *h)
{
	prep_write(ring_sqe(r), h->use[0], scratch, 4096, -1);
	return submit(r, 1);
}

static int start_timeouts(struct ring *r, struct hold *h)
{
	prep_timeout(ring_sqe(r), &hour, 0, 0);
	prep_timeout(ring_sqe(r), &hour, 1000000, 0);
	prep_timeout(ring_sqe(r), &hour, 0, IOURING2_TIMEOUT_MULTISHOT);
	prep_timeout(ring_sqe(r), &hour, 0, IOURING2_TIMEOUT_BOOTTIME);
	return submit(r, 4);
}

/* Kernel threads of rings that sleep in what they do, and are not idle */
static int blocked_workers(void)
{
	struct dirent *de;
	char path[300], stat[512], *end;
	DIR *dir = opendir("/proc");
	int nr = 0;

	while (dir && (de = readdir(dir))) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", de->d_name);
		if (read_text(path, stat, sizeof(stat)) <= 0)
			continue;
		end = strrchr(stat, ')');
		nr += strstr(stat, "(iou2-wrk-") && end && end[2] == 'S';
	}
	if (dir)
		closedir(dir);
	return nr;
}

/*
 * Two that wait for a FIFO, which then has a byte for one of them: the other
 * one blocks in a worker, since a FIFO cannot be asked without blocking.
 */
static int start_worker(struct ring *r, struct hold *h)
{
	int busy = blocked_workers(), i, ret;
	struct iouring2_cqe cqe;

	for (i = 0; i < 2; i++)
		prep_read(ring_sqe(r), h->use[0], scratch, 1, -1);
	ret = submit(r, 2);
	if (ret)
		return ret;
	if (write(h->use[0], "x", 1) != 1)
		return -errno;
	ret = ring_wait(r, &cqe);
	if (ret || cqe.res != 1)
		return ret ? ret : -EPROTO;
	if (fdinfo(r->fd, "Workers") < 1)
		return -ECHILD;
	if (!crowded && !until_ms(blocked_workers() > busy, 10000))
		return -ECHILD;
	return 0;
}

/* May be over before it is closed: all the better if not */
static int start_direct(struct ring *r, struct hold *h)
{
	int i;

	if (!h->direct)
		return 0;
	for (i = 0; i < 8; i++)
		prep_read(ring_sqe(r), h->use[0], scratch, sizeof(scratch),
			  (__u64)i << 22);
	return submit(r, 8);
}

/* What waits for its turn in a chain holds its file as well */
static int start_chain(struct ring *r, struct hold *h)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, h->use[0], POLLPRI);
	sqe->flags = LINK;
	sqe = ring_sqe(r);
	prep_write(sqe, h->use[1], scratch, 1, -1);
	sqe->flags = HARDLINK;
	sqe = ring_sqe(r);
	prep_read(sqe, h->use[2], scratch, 1, -1);
	sqe->flags = ASYNC;
	return submit(r, 3);
}

/* And so does what waits behind a drain barrier, chain or not */
static int start_drain(struct ring *r, struct hold *h)
{
	struct iouring2_sqe *sqe;

	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	sqe = ring_sqe(r);
	prep_nop(sqe);
	sqe->flags = DRAIN | LINK;
	sqe = ring_sqe(r);
	prep_write(sqe, h->use[1], scratch, 1, -1);
	prep_read(ring_sqe(r), h->use[2], scratch, 1, -1);
	return submit(r, 4);
}

#define EXTRA	7	/* CQEs for which there is no room */

static int start_backlog(struct ring *r, struct hold *h)
{
	int i, ret = 0;

	for (i = 0; i < CQ + EXTRA && !ret; i++) {
		prep_poll(ring_sqe(r), h->use[0], POLLIN);
		ret = submit(r, 1);
	}
	return ret;
}

/* When all else is in flight */
static int late_backlog(struct ring *r, struct hold *h)
{
	uint64_t v = 1;

	if (write(h->use[0], &v, sizeof(v)) != sizeof(v))
		return -errno;
	return until(fdinfo(r->fd, "Backlog") >= EXTRA) ? 0 : -ETIMEDOUT;
}

static const struct kind {
	const char *name;
	int nr;		/* of requests that it leaves in flight */
	int (*prepare)(struct hold *h);
	int (*start)(struct ring *r, struct hold *h);
	int (*late)(struct ring *r, struct hold *h);
} kinds[] = {
	{ "none", 0, use_nothing },
	{ "poll of a pipe", 1, use_read_end, start_poll },
	{ "poll of a pipe's write end", 1, use_write_end, start_poll },
	{ "poll of an eventfd", 1, use_eventfd, start_poll },
	{ "poll of a socket", 1, use_socket, start_poll },
	{ "multishot poll of a pipe", 1, use_read_end, start_poll_multi },
	{ "multishot poll of a socket", 1, use_socket, start_poll_multi },
	{ "poll of the ring itself", 2, use_nothing, start_poll_self },
	{ "poll of an epoll set with the ring", 1, use_epoll,
	  start_poll_epoll },
	{ "read of an empty pipe", 1, use_read_end, start_read },
	{ "read of an empty pipe, async", 1, use_read_end, start_read_async },
	{ "read of a socket", 1, use_socket, start_read },
	{ "read of an eventfd", 1, use_eventfd, start_read },
	{ "write to a full pipe", 1, use_full_pipe, start_write },
	{ "timers", 4, use_nothing, start_timeouts },
	{ "blocked worker", 1, use_fifo, start_worker },
	{ "direct I/O", 0, use_disk, start_direct },
	{ "chain", 3, use_chain, start_chain },
	{ "backlog", 0, use_eventfd, start_backlog, late_backlog },
	/* holds back what comes after it: the last */
	{ "drain barrier", 4, use_chain, start_drain },
};

#define NR_KINDS	((int)ARRAY_SIZE(kinds))
#define ALL		((1U << NR_KINDS) - 1)

static unsigned int kind_bit(const char *name)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return 1U << i;
	abort();
}

/* All that one ring has in flight */
struct load {
	unsigned int mask;		/* bit n: kinds[n] */
	struct hold hold[ARRAY_SIZE(kinds)];
	const char *failed;		/* kind that could not be had */
};

static int load_prepare(struct load *l, unsigned int mask)
{
	int i, ret = 0;

	memset(l, 0, sizeof(*l));
	l->mask = mask;
	for (i = 0; i < NR_KINDS && !ret; i++) {
		l->hold[i].lock = -1;
		l->hold[i].notify = -1;
		if (!(mask >> i & 1))
			continue;
		l->failed = kinds[i].name;
		ret = kinds[i].prepare(&l->hold[i]);
	}
	return ret;
}

/* From now on only the requests have them */
static void load_drop(struct load *l)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		while (l->hold[i].nr_use)
			close(l->hold[i].use[--l->hold[i].nr_use]);
}

static int load_start(struct load *l, struct ring *r)
{
	int i, ret, nr = 0;

	for (i = 0; i < NR_KINDS; i++) {
		if (!(l->mask >> i & 1) || !kinds[i].start)
			continue;
		l->failed = kinds[i].name;
		ret = kinds[i].start(r, &l->hold[i]);
		if (ret)
			return ret;
		nr += kinds[i].nr;
	}
	for (i = 0; i < NR_KINDS; i++) {
		if (!(l->mask >> i & 1) || !kinds[i].late)
			continue;
		l->failed = kinds[i].name;
		ret = kinds[i].late(r, &l->hold[i]);
		if (ret)
			return ret;
	}
	load_drop(l);
	l->failed = "in flight";
	return fdinfo(r->fd, "Inflight") >= nr ? 0 : -ECHILD;
}

static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

static bool deleted(int fd)
{
	struct inotify_event ev;

	return read(fd, &ev, sizeof(ev)) == sizeof(ev) &&
	       ev.mask & IN_DELETE_SELF;
}

/* Whose file is held, or not; NULL: all as @held says */
static const char *load_held(const struct load *l, bool held)
{
	const struct hold *h;
	int i, j;

	for (i = 0; i < NR_KINDS; i++) {
		h = &l->hold[i];
		for (j = 0; j < h->nr_peer; j++)
			if (hung_up(h->peer[j]) == held)
				return kinds[i].name;
		if (h->lock >= 0 && !flock(h->lock, LOCK_EX | LOCK_NB) == held)
			return "file lock";
	}
	return NULL;
}

/* To be called once nothing is held: "" or what is still there */
static const char *load_end(struct load *l)
{
	const char *bad = load_held(l, false);
	struct hold *h;
	int i;

	for (i = 0; i < NR_KINDS; i++) {
		h = &l->hold[i];
		while (h->nr_peer)
			close(h->peer[--h->nr_peer]);
		if (h->notify >= 0) {
			/* our own descriptor was the last but the request's */
			if (!bad && !deleted(h->notify))
				bad = "inode";
			close(h->notify);
		}
	}
	return bad ? bad : "";
}

/* ---------------------------------------------------- ends of one process */

static char text[1024];

static const char *failed(const char *what, const char *kind, int err)
{
	snprintf(text, sizeof(text), "%s: %s: %d", what, kind, err);
	return text;
}

/* Both from the module, and from the files' other ends */
static const char *after(struct load *l, const struct state *before)
{
	const char *left = state_diff(before, false);
	const char *held = load_end(l);

	if (!*left && !*held)
		return "";
	snprintf(text, sizeof(text), "left: %s held: %s", left, held);
	return text;
}

enum here {
	CLOSE_LAST,		/* unmap, then close */
	UNMAP_LAST,		/* close, then unmap */
	DUP_LAST,		/* another descriptor is the last */
	REPLACE_LAST,		/* dup2() of something else closes it */
};

static const char *end_here(int how, unsigned int mask)
{
	struct state before, open;
	const char *bad;
	struct load l;
	struct ring r;
	int ret, fd;

	state_read(&before);
	ret = load_prepare(&l, mask);
	if (ret)
		return failed("prepare", l.failed, ret);
	ret = ring_init(&r, SQ, CQ);
	if (ret)
		return failed("setup", "ring", ret);
	ret = load_start(&l, &r);
	if (ret)
		return failed("start", l.failed, ret);
	bad = load_held(&l, true);
	if (bad)
		return failed("not held", bad, 0);
	state_read(&open);
	switch (how) {
	case CLOSE_LAST:
		ring_exit(&r);
		break;
	case UNMAP_LAST:
		close(r.fd);
		/* The ring is there, though nobody can reach it */
		if (counter("rings") != open.counter[0])
			return failed("ended early", "close", 0);
		bad = load_held(&l, false);
		if (bad)
			return failed("held by a mapping", bad, 0);
		ring_unmap(&r);
		break;
	case DUP_LAST:
		fd = dup(r.fd);
		ring_exit(&r);
		if (counter("rings") != open.counter[0] ||
		    load_held(&l, true))
			return failed("ended early", "close", 0);
		close(fd);
		break;
	case REPLACE_LAST:
		ring_unmap(&r);
		dup2(0, r.fd);
		close(r.fd);
		break;
	}
	return after(&l, &before);
}

static const char *load_name(unsigned int mask)
{
	return mask & (mask - 1) ? "all" : kinds[__builtin_ctz(mask)].name;
}

static char report[8192];

/*
 * Every kind of request alone, then all together but @without; "" or what went
 * wrong with which.
 */
static const char *every_load(const char *(*end)(int how, unsigned int mask),
			      int how, unsigned int without)
{
	unsigned int mask;
	const char *bad;
	int i, len = 0;

	report[0] = '\0';
	for (i = 0; i <= NR_KINDS; i++) {
		mask = (i < NR_KINDS ? 1U << i : ALL) & ~without;
		bad = mask ? end(how, mask) : "";
		if (*bad && len < (int)sizeof(report))
			len += snprintf(report + len, sizeof(report) - len,
					"%s: %s\n", load_name(mask), bad);
	}
	return report;
}

RING_TEST(close_last)
{
	EXPECT_STREQ("", every_load(end_here, CLOSE_LAST, 0));
}

RING_TEST(unmap_last)
{
	EXPECT_STREQ("", every_load(end_here, UNMAP_LAST, 0));
}

RING_TEST(dup_last)
{
	EXPECT_STREQ("", every_load(end_here, DUP_LAST, 0));
}

RING_TEST(replace_last)
{
	EXPECT_STREQ("", end_here(REPLACE_LAST, ALL));
}

/* ------------------------------------------------------ ends of processes */

enum there {
	EXIT,
	EXIT_IN_THREAD,		/* while the first thread waits in ENTER */
	EXIT_MAPPED,		/* nothing but mappings left; so below */
	KILL_IN_ENTER,
	KILL_THREADS_IN_ENTER,
	KILL_OUTSIDE,
	KILL_MAPPED,
	EXEC,
	EXEC_MAPPED,
};

/* Ways for parent and child to talk: the child says a byte, and waits for one */
struct talk {
	int say[2], hear[2];
};

static int talk_open(struct talk *t)
{
	return pipe2(t->say, O_CLOEXEC) || pipe2(t->hear, O_CLOEXEC) ? -errno :
								    0;
}

static void talk_child(struct talk *t)
{
	close(t->say[0]);
	close(t->hear[1]);
}

static void talk_parent(struct talk *t)
{
	close(t->say[1]);
	close(t->hear[0]);
}

static void talk_close(struct talk *t)
{
	close(t->say[0]);
	close(t->hear[1]);
}

static void say(struct talk *t, char c)
{
	if (write(t->say[1], &c, 1) != 1)
		_exit(99);
}

/* Until the parent lets go */
static void wait_for_parent(struct talk *t)
{
	char c;

	while (read(t->hear[0], &c, 1) > 0)
		;
}

/* The byte that the child said, or 0 */
static char listen_to(struct talk *t)
{
	char c = 0;

	return read(t->say[0], &c, 1) == 1 ? c : 0;
}

static void *enter_for_ever(void *arg)
{
	struct ring *r = arg;

	for (;;)
		enter(r->fd, 0, FOREVER, GETEVENTS, NULL, 0);
	return NULL;
}

static void *exit_when_told(void *arg)
{
	wait_for_parent(arg);
	_exit(0);
	return NULL;
}

/* Another image in the same process: nothing of a ring is in it */
static void become_another(struct talk *t)
{
	char fds[2][16];

	snprintf(fds[0], sizeof(fds[0]), "%d", t->say[1]);
	snprintf(fds[1], sizeof(fds[1]), "%d", t->hear[0]);
	fcntl(t->say[1], F_SETFD, 0);
	fcntl(t->hear[0], F_SETFD, 0);
	execl("/proc/self/exe", "close", "--another", fds[0], fds[1], NULL);
	_exit(98);
}

static void child(enum there how, struct load *l, struct talk *t)
{
	pthread_t thread;
	struct ring r;
	int i;

	if (ring_init(&r, SQ, CQ))
		_exit(97);
	if (load_start(l, &r)) {
		fprintf(stderr, "# %s\n", l->failed);
		_exit(96);
	}
	if (how == EXIT_MAPPED || how == KILL_MAPPED || how == EXEC_MAPPED)
		close(r.fd);
	if (how == EXIT_IN_THREAD)
		pthread_create(&thread, NULL, exit_when_told, t);
	for (i = 0; how == KILL_THREADS_IN_ENTER && i < 3; i++)
		pthread_create(&thread, NULL, enter_for_ever, &r);
	say(t, '+');
	switch (how) {
	case EXIT_IN_THREAD:
	case KILL_IN_ENTER:
	case KILL_THREADS_IN_ENTER:
		enter_for_ever(&r);
		break;
	case EXEC:
	case EXEC_MAPPED:
		become_another(t);
		break;
	default:
		wait_for_parent(t);
		_exit(0);
	}
}

/* Start of the image after exec() */
static int another(char **argv)
{
	struct talk t = {
		.say = { -1, atoi(argv[2]) },
		.hear = { atoi(argv[3]), -1 },
	};

	say(&t, '!');
	wait_for_parent(&t);
	return 0;
}

static int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

/* The child has started all: what the parent does, and sees */
static const char *end_there(enum there how, pid_t pid, struct talk *t,
			     struct load *l, const struct state *before)
{
	const char *bad;

	switch (how) {
	case EXIT:
	case EXIT_MAPPED:
	case EXIT_IN_THREAD:
		if (how == EXIT_IN_THREAD)
			until(task_sleeps(pid));
		talk_close(t);
		if (reap(pid))
			return failed("status", "exit", 0);
		return after(l, before);
	case EXEC:
	case EXEC_MAPPED:
		if (listen_to(t) != '!')
			return failed("no", "exec", reap(pid));
		/* it lives: only exec() can have done it */
		bad = after(l, before);
		talk_close(t);
		reap(pid);
		return bad;
	default:
		until(task_sleeps(pid));
		kill(pid, SIGKILL);
		if (reap(pid) != SIGKILL)
			return failed("status", "kill", 0);
		talk_close(t);
		return after(l, before);
	}
}

static const char *with_child(int how, unsigned int mask)
{
	struct state before;
	const char *bad;
	struct load l;
	struct talk t;
	pid_t pid;
	int ret;

	state_read(&before);
	ret = load_prepare(&l, mask);
	if (ret)
		return failed("prepare", l.failed, ret);
	if (talk_open(&t))
		return failed("prepare", "pipes", errno);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		talk_child(&t);
		child(how, &l, &t);
	}
	talk_parent(&t);
	load_drop(&l);
	if (listen_to(&t) != '+')
		return failed("start", "child", reap(pid));
	/* Some have ended by now, or soon will */
	if (how == EXIT_MAPPED || how == KILL_MAPPED) {
		bad = load_held(&l, false);
		if (bad)
			return failed("held by a mapping", bad, 0);
	} else if (how != EXEC && how != EXEC_MAPPED) {
		bad = load_held(&l, true);
		if (bad)
			return failed("not held", bad, 0);
	}
	return end_there(how, pid, &t, &l, &before);
}

/* A full CQ is enough for anybody who waits: nobody would sleep in ENTER */
#define WAITS	kind_bit("backlog")

RING_TEST(exited)
{
	EXPECT_STREQ("", every_load(with_child, EXIT, 0));
}

RING_TEST(exited_mapped)
{
	EXPECT_STREQ("", every_load(with_child, EXIT_MAPPED, 0));
}

RING_TEST(exited_in_thread)
{
	EXPECT_STREQ("", every_load(with_child, EXIT_IN_THREAD, WAITS));
}

RING_TEST(killed_in_enter)
{
	EXPECT_STREQ("", every_load(with_child, KILL_IN_ENTER, WAITS));
}

RING_TEST(killed_outside)
{
	EXPECT_STREQ("", every_load(with_child, KILL_OUTSIDE, 0));
}

RING_TEST(killed_mapped)
{
	EXPECT_STREQ("", every_load(with_child, KILL_MAPPED, 0));
}

RING_TEST(executed)
{
	EXPECT_STREQ("", every_load(with_child, EXEC, 0));
}

RING_TEST(executed_mapped)
{
	EXPECT_STREQ("", every_load(with_child, EXEC_MAPPED, 0));
}

RING_TEST(killed_threads_in_enter)
{
	EXPECT_STREQ("", with_child(KILL_THREADS_IN_ENTER, ALL & ~WAITS));
}

/* ----------------------------------------------- a worker in a page fault */

/*
 * A page that is not there until somebody provides it. The one who would has
 * other things to do: a worker that waits for it must not keep close waiting.
 */
struct absent {
	int fd;
	char *page;
	size_t len;
	pthread_t rescuer;
	bool done, rescued;
};

static int absent_make(struct absent *a)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	memset(a, 0, sizeof(*a));
	a->len = sysconf(_SC_PAGESIZE);
	a->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return -ENODEV;		/* not configured, not permitted */
	a->page = mmap(NULL, a->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)a->page;
	reg.range.len = a->len;
	if (ioctl(a->fd, UFFDIO_API, &api) ||
	    ioctl(a->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

static bool absent_wanted(struct absent *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int start_absent(struct ring *r, struct absent *a, int fd)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	int ret;

	prep_read(sqe, fd, a->page, 64, 0);
	sqe->flags = ASYNC;
	ret = submit(r, 1);
	if (ret)
		return ret;
	return until(absent_wanted(a)) ? 0 : -ETIMEDOUT;
}

/* So that a module that waits for it fails a test and not the machine */
static void *rescue(void *arg)
{
	struct absent *a = arg;
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)a->page, .len = a->len },
	};

	if (until_ms(ld_acq(&a->done), 10000))
		return NULL;
	st_rel(&a->rescued, true);
	ioctl(a->fd, UFFDIO_ZEROPAGE, &zero);
	close(a->fd);
	return NULL;
}

RING_TEST(worker_in_page_fault)
{
	struct absent a;
	struct ring r;
	int fd, ret;

	fd = tmp_file(4096);
	ASSERT_LE(0, fd);
	ret = absent_make(&a);
	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, start_absent(&r, &a, fd));
	ASSERT_EQ(0, pthread_create(&a.rescuer, NULL, rescue, &a));
	ring_exit(&r);
	EXPECT_STREQ("", state_diff(&self->before, false));
	st_rel(&a.done, true);
	pthread_join(a.rescuer, NULL);
	EXPECT_FALSE(a.rescued);
	close(fd);
}

/* Nor must it keep its process from being killed */
RING_TEST(killed_with_worker_in_page_fault)
{
	struct absent a = { };
	struct talk t;
	struct ring r;
	pid_t pid;
	int pidfd, fd, msg[2], ret;

	fd = tmp_file(4096);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, pipe2(msg, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		talk_child(&t);
		ret = ring_init(&r, 8, 0);
		if (!ret)
			ret = absent_make(&a);
		if (ret)
			_exit(ret == -ENODEV ? 4 : 1);
		if (start_absent(&r, &a, fd) ||
		    write(msg[1], &a, sizeof(a)) != sizeof(a))
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		_exit(0);
	}
	talk_parent(&t);
	if (listen_to(&t) != '+') {
		if (WEXITSTATUS(reap(pid)) == 4)
			SKIP(return, "no userfaultfd");
		ASSERT_TRUE(false);
	}
	ASSERT_EQ((ssize_t)sizeof(a), read(msg[0], &a, sizeof(a)));
	/* Ours as well: its exit does not close it */
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	ASSERT_LE(0, pidfd);
	a.fd = syscall(__NR_pidfd_getfd, pidfd, a.fd, 0);
	ASSERT_LE(0, a.fd);
	ASSERT_EQ(0, pthread_create(&a.rescuer, NULL, rescue, &a));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap(pid));
	EXPECT_STREQ("", state_diff(&self->before, false));
	st_rel(&a.done, true);
	pthread_join(a.rescuer, NULL);
	EXPECT_FALSE(a.rescued);
	talk_close(&t);
	close(pidfd);
	close(fd);
}

/* --------------------------------------------------- others that have it */

struct waiter {
	pthread_t self;
	pid_t tid;
	struct ring *r;
	int ret;
};

static void *wait_in_enter(void *arg)
{
	struct waiter *w = arg;
	int fd = w->r->fd;

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = enter(fd, 0, 1, GETEVENTS, NULL, 0);
	return NULL;
}

static void *wait_in_poll(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->r->fd, .events = POLLIN };

	st_rel(&w->tid, syscall(SYS_gettid));
	w->ret = poll(&p, 1, -1);
	if (w->ret < 0)
		w->ret = -errno;
	return NULL;
}

static bool waits(struct waiter *w)
{
	return ld_acq(&w->tid) && task_sleeps(ld_acq(&w->tid));
}

static void nothing(int sig)
{
}

static void signal_without_restart(void)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGUSR1, &sa, NULL);
}

/*
 * The thread in ENTER, or in poll(2), has the ring, and close() does not wait
 * for it. What it waited for is cancelled, so that it comes back; then the
 * ring ends.
 */
RING_TEST(closed_by_another_thread)
{
	static void *(* const how[])(void *) = { wait_in_enter, wait_in_poll };
	struct state open;
	struct waiter w;
	struct ring r;
	unsigned int i;
	int efd;

	for (i = 0; i < 2; i++) {
		efd = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efd);
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		prep_poll(ring_sqe(&r), efd, POLLIN);
		EXPECT_EQ(1, ring_submit(&r));
		w = (struct waiter) { .r = &r };
		ASSERT_EQ(0, pthread_create(&w.self, NULL, how[i], &w));
		EXPECT_TRUE(until(waits(&w)));
		close(r.fd);
		pthread_join(w.self, NULL);
		/* poll(2) looks the descriptor up again: POLLNVAL */
		EXPECT_EQ(i ? 1 : 0, w.ret);
		EXPECT_EQ(1, (int)ring_ready(&r));
		EXPECT_EQ(-ECANCELED, r.cqes[0].res);
		ring_unmap(&r);
		EXPECT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("way %u", i);
		}
		close(efd);
	}

	/* With nothing in flight it waits on, and keeps the ring */
	signal_without_restart();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	state_read(&open);
	w = (struct waiter) { .r = &r };
	ASSERT_EQ(0, pthread_create(&w.self, NULL, wait_in_enter, &w));
	EXPECT_TRUE(until(waits(&w)));
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_EQ(open.refcnt, module_refcnt());
	usleep(20000);
	EXPECT_TRUE(waits(&w));
	pthread_kill(w.self, SIGUSR1);
	pthread_join(w.self, NULL);
	EXPECT_EQ(-EINTR, w.ret);
}

struct submitter {
	pthread_t self;
	struct ring *r;
	struct load *l;
	int ret;
};

static void *submit_and_end(void *arg)
{
	struct submitter *s = arg;

	s->ret = load_start(s->l, s->r);
	return NULL;
}

/* A thread is not a process: what it submitted outlives it */
RING_TEST(submitted_by_thread_that_ended)
{
	struct submitter s;
	struct load l;
	struct ring r;

	ASSERT_EQ(0, load_prepare(&l, ALL));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	s = (struct submitter) { .r = &r, .l = &l };
	ASSERT_EQ(0, pthread_create(&s.self, NULL, submit_and_end, &s));
	pthread_join(s.self, NULL);
	ASSERT_EQ(0, s.ret);
	EXPECT_EQ(NULL, load_held(&l, true));
	ring_exit(&r);
	EXPECT_STREQ("", after(&l, &self->before));
}

/* In an epoll set a ring is only looked at */
RING_TEST(closed_in_epoll_set)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct state before;
	struct ring r;
	int ep, i;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, ep);
	state_read(&before);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev));
		if (i) {
			ASSERT_EQ(0, ring_nop(&r, 1));
			EXPECT_EQ(1, ring_submit(&r));
		}
		prep_poll(ring_sqe(&r), ep, POLLIN);
		EXPECT_EQ(1, ring_submit(&r));
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&before, false));
		EXPECT_EQ(0, epoll_wait(ep, &ev, 1, 0));
	}
	close(ep);
}

static int send_fd(int to, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { };
	struct iovec iov = { .iov_base = scratch, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(to, &msg, 0) == 1 ? 0 : -errno;
}

/* Sent to somebody, received by nobody: the socket's end is the ring's */
RING_TEST(closed_in_a_socket)
{
	struct state before, open;
	struct load l;
	struct ring r;
	int fds[2];

	state_read(&before);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ASSERT_EQ(0, load_prepare(&l, ALL));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	ASSERT_EQ(0, load_start(&l, &r));
	ASSERT_EQ(0, send_fd(fds[0], r.fd));
	state_read(&open);
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_EQ(NULL, load_held(&l, false));
	close(fds[0]);
	close(fds[1]);
	EXPECT_STREQ("", after(&l, &before));
}

/* The same through a socket that the ring itself keeps */
RING_TEST(closed_in_its_own_socket)
{
	struct ring r;
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), fds[0], POLLPRI);
	prep_poll(ring_sqe(&r), fds[1], POLLPRI);
	ASSERT_EQ(0, submit(&r, 2));
	ASSERT_EQ(0, send_fd(fds[0], r.fd));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(1 + self->before.counter[0], counter("rings"));
	ring_exit(&r);
	/* As the fixture finds, too */
	EXPECT_EQ(self->before.counter[0], counter("rings"));
}

/* ------------------------------------------------------------------- fork */

#define FROM_CHILD	100	/* user_data of the child's requests */

static void tag(struct iouring2_sqe *sqe, __u64 user_data, int flags)
{
	sqe->user_data = user_data;
	sqe->flags = flags;
}

/* In a child of the one that made the ring; see NR_OF_CHILD */
static int start_in_child(struct ring *r, struct hold *h)
{
	int i = FROM_CHILD;

	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	r->sqes[(r->sqe_tail - 1) % SQ].user_data = i++;
	prep_poll_multi(ring_sqe(r), h->use[0], POLLPRI);
	r->sqes[(r->sqe_tail - 1) % SQ].user_data = i++;
	prep_timeout(ring_sqe(r), &hour, 0, 0);
	r->sqes[(r->sqe_tail - 1) % SQ].user_data = i++;
	prep_timeout(ring_sqe(r), &hour, 1000000, 0);
	r->sqes[(r->sqe_tail - 1) % SQ].user_data = i++;
	prep_read(ring_sqe(r), h->use[2], scratch, 1, -1);
	r->sqes[(r->sqe_tail - 1) % SQ].user_data = i++;
	prep_poll(ring_sqe(r), h->use[0], POLLPRI);
	tag(&r->sqes[(r->sqe_tail - 1) % SQ], i++, LINK);
	prep_write(ring_sqe(r), h->use[1], scratch, 1, -1);
	tag(&r->sqes[(r->sqe_tail - 1) % SQ], i++, 0);
	return submit(r, i - FROM_CHILD);
}

#define NR_OF_CHILD	7

/* What a process had submitted ends with it; what others had does not */
RING_TEST(child_ends)
{
	struct iouring2_cqe cqe;
	struct hold h = { .lock = -1, .notify = -1 };
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	unsigned int seen, how;
	int efd;
	pid_t pid;

	for (how = 0; how < 3; how++) {
		memset(&h, 0, sizeof(h));
		seen = 0;
		efd = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efd);
		ASSERT_EQ(0, use_chain(&h));
		ASSERT_EQ(0, talk_open(&t));
		ASSERT_EQ(0, ring_init(&r, SQ, CQ));
		prep_poll(ring_sqe(&r), efd, POLLIN);
		tag(&r.sqes[0], 1, LINK);
		prep_nop(ring_sqe(&r));
		tag(&r.sqes[1], 2, 0);
		prep_timeout(ring_sqe(&r), &hour, 0, 0);
		tag(&r.sqes[2], 3, 0);
		EXPECT_EQ(3, ring_submit(&r));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			talk_child(&t);
			if (start_in_child(&r, &h))
				_exit(1);
			say(&t, '+');
			if (how == 1)
				enter_for_ever(&r);
			if (how == 2)
				pause();
			_exit(0);
		}
		talk_parent(&t);
		while (h.nr_use)
			close(h.use[--h.nr_use]);
		EXPECT_EQ('+', listen_to(&t));
		if (how) {
			EXPECT_TRUE(until(task_sleeps(pid)));
			EXPECT_EQ(3 + NR_OF_CHILD, fdinfo(r.fd, "Inflight"));
			kill(pid, SIGKILL);
		}
		EXPECT_EQ(how ? SIGKILL : 0, reap(pid));
		/* At once, and without entering */
		EXPECT_EQ(NR_OF_CHILD, (int)ring_ready(&r)) {
			TH_LOG("way %u", how);
		}
		EXPECT_TRUE(hung_up(h.peer[0]));
		EXPECT_TRUE(hung_up(h.peer[1]));
		while (ring_peek(&r, &cqe)) {
			EXPECT_EQ(-ECANCELED, cqe.res);
			ASSERT_LE(FROM_CHILD, (int)cqe.user_data);
			ASSERT_GT(FROM_CHILD + NR_OF_CHILD, (int)cqe.user_data);
			seen |= 1U << (cqe.user_data - FROM_CHILD);
		}
		EXPECT_EQ((1U << NR_OF_CHILD) - 1, seen);
		EXPECT_EQ(3, fdinfo(r.fd, "Inflight"));
		EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(1, (int)cqe.user_data);
		EXPECT_EQ(POLLIN, cqe.res);
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(2, (int)cqe.user_data);
		EXPECT_EQ(0, cqe.res);
		ring_exit(&r);
		EXPECT_STREQ("", state_diff(&self->before, false));
		while (h.nr_peer)
			close(h.peer[--h.nr_peer]);
		talk_close(&t);
		close(efd);
	}
}

/* The same with a worker that blocks for the child */
RING_TEST(child_ends_with_blocked_worker)
{
	struct hold h = { .lock = -1, .notify = -1 };
	struct hold mine = { .lock = -1, .notify = -1 };
	struct iouring2_cqe cqe;
	struct talk t;
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, use_fifo(&h));
	ASSERT_EQ(0, use_fifo(&mine));
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	ASSERT_EQ(0, start_worker(&r, &mine));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		talk_child(&t);
		if (start_worker(&r, &h))
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		_exit(0);
	}
	talk_parent(&t);
	close(h.use[0]);
	EXPECT_EQ('+', listen_to(&t));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap(pid));
	EXPECT_TRUE(hung_up(h.peer[0]));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	/* Ours was not touched */
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	EXPECT_EQ(1, write(mine.use[0], "y", 1));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, cqe.res);
	ring_exit(&r);
	talk_close(&t);
	close(mine.use[0]);
}

/*
 * A drain barrier of the child's holds others back. When the child ends, the
 * barrier stays in its place, so that what waits is still in order.
 */
RING_TEST(child_ends_behind_barrier)
{
	static const __u64 order[] = { 1, FROM_CHILD, FROM_CHILD + 1, 2 };
	struct hold h = { .lock = -1, .notify = -1 };
	struct iouring2_cqe cqe;
	struct ring r;
	uint64_t v = 1;
	unsigned int i;
	int efd;
	pid_t pid;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, use_chain(&h));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	tag(&r.sqes[0], 1, 0);
	EXPECT_EQ(1, ring_submit(&r));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prep_nop(ring_sqe(&r));
		tag(&r.sqes[1], FROM_CHILD, DRAIN | LINK);
		prep_write(ring_sqe(&r), h.use[1], scratch, 1, -1);
		tag(&r.sqes[2], FROM_CHILD + 1, 0);
		_exit(submit(&r, 2) != 0);
	}
	while (h.nr_use)
		close(h.use[--h.nr_use]);
	EXPECT_EQ(0, reap(pid));
	/* Its file is free, though the request is not over */
	EXPECT_TRUE(hung_up(h.peer[0]));
	r.sqe_tail = *r.sq_tail;
	prep_nop(ring_sqe(&r));
	tag(&r.sqes[3], 2, 0);
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(order[i], cqe.user_data);
		EXPECT_EQ(i == 1 || i == 2 ? -ECANCELED : i == 0 ? POLLIN : 0,
			  cqe.res);
	}
	ring_exit(&r);
	while (h.nr_peer)
		close(h.peer[--h.nr_peer]);
	close(efd);
}

/*
 * close() by one of two: as with its end, what that one submitted is over, and
 * nothing else; but only when it was its last descriptor.
 */
RING_TEST(child_closes)
{
	struct iouring2_cqe cqe;
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	int efd;
	pid_t pid;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	tag(&r.sqes[0], 1, 0);
	EXPECT_EQ(1, ring_submit(&r));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fd = dup(r.fd);

		talk_child(&t);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		tag(&r.sqes[1], 2, 0);
		if (submit(&r, 1))
			_exit(1);
		ring_exit(&r);
		if (fdinfo(fd, "Inflight") != 2)
			_exit(2);
		close(fd);
		say(&t, '+');
		wait_for_parent(&t);
		_exit(0);
	}
	talk_parent(&t);
	EXPECT_EQ('+', listen_to(&t));
	EXPECT_EQ(1, fdinfo(r.fd, "Inflight"));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	talk_close(&t);
	EXPECT_EQ(0, reap(pid));
	r.sqe_tail = *r.sq_tail;
	ASSERT_EQ(0, ring_nop(&r, 4));
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
	close(efd);
}

/* The one that made it leaves it to its child */
RING_TEST(parent_closes)
{
	struct state open;
	struct talk t;
	struct ring r;
	uint64_t v = 1;
	int efd;
	pid_t pid;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, talk_open(&t));
	ASSERT_EQ(0, ring_init(&r, SQ, CQ));
	prep_poll(ring_sqe(&r), efd, POLLIN);
	EXPECT_EQ(1, ring_submit(&r));
	state_read(&open);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct iouring2_cqe cqe;

		talk_child(&t);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		if (submit(&r, 1))
			_exit(1);
		say(&t, '+');
		wait_for_parent(&t);
		/* the parent's has ended with the parent's descriptor */
		if (ring_wait(&r, &cqe) || cqe.res != -ECANCELED)
			_exit(2);
		if (ring_wait(&r, &cqe) || cqe.res != POLLIN)
			_exit(3);
		prep_nop(ring_sqe(&r));
		_exit(ring_do(&r) ? 4 : 0);
	}
	talk_parent(&t);
	EXPECT_EQ('+', listen_to(&t));
	ring_exit(&r);
	EXPECT_EQ(open.counter[0], counter("rings"));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	talk_close(&t);
	EXPECT_EQ(0, reap(pid));
	EXPECT_STREQ("", state_diff(&self->before, false));
	close(efd);
}

/* ----------------------------------------------------- kept over an exec() */

static int after_exec_with_ring(char **argv)
{
	int ring = atoi(argv[2]), efd = atoi(argv[3]);
	uint64_t v = 1;

	if (fdinfo(ring, "Inflight") != 2)
		return 2;
	/* Both get what they waited for; one has no memory to put it in */
	if (write(efd, &v, sizeof(v)) != sizeof(v))
		return 3;
	if (!until(fdinfo(ring, "Inflight") == 0))
		return 4;
	if (fdinfo(ring, "CachedCqTail") != 2)
		return 5;
	/* The new image's own */
	if (enter(ring, 0, 2, GETEVENTS, NULL, 0))
		return 6;
	close(ring);
	return counter("rings") == atol(argv[4]) ? 0 : 7;
}

RING_TEST(kept_over_exec)
{
	char fds[2][16], rings[16];
	struct ring r;
	pid_t pid;
	int efd;

	fflush(NULL);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		snprintf(rings, sizeof(rings), "%ld", counter("rings"));
		efd = eventfd(0, 0);
		if (efd < 0 || ring_init(&r, 8, 0))
			_exit(99);
		prep_read(ring_sqe(&r), efd, scratch, 8, -1);
		prep_poll(ring_sqe(&r), efd, POLLIN);
		if (submit(&r, 2))
			_exit(98);
		fcntl(r.fd, F_SETFD, 0);
		snprintf(fds[0], sizeof(fds[0]), "%d", r.fd);
		snprintf(fds[1], sizeof(fds[1]), "%d", efd);
		execl("/proc/self/exe", "close", "--with-ring", fds[0], fds[1],
		      rings, NULL);
		_exit(97);
	}
	/* See after_exec_with_ring() */
	EXPECT_EQ(0, WEXITSTATUS(reap(pid)));
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/* ------------------------------------------------------------ in a loop */

#define LOOPS	(full_stress() ? 10000 : 500)

/* Now and then a ring that the machine does not have room for many times */
static int setup_in_loop(struct ring *r, unsigned int i)
{
	return i % 16 == 15 ? ring_init(r, 32768, 0) : ring_init(r, SQ, CQ);
}

/* Never ENOMEM for what the last one is still giving back */
RING_TEST(loop_empty)
{
	struct state before;
	struct ring r;
	int i;

	state_read(&before);
	for (i = 0; i < LOOPS; i++) {
		ASSERT_EQ(0, setup_in_loop(&r, i)) {
			TH_LOG("round %d", i);
		}
		ring_exit(&r);
		if (i % 64 == 0)
			ASSERT_STREQ("", state_diff(&before, true));
	}
}

static int one_round(unsigned int i)
{
	struct load l;
	struct ring r;
	int ret;

	ret = load_prepare(&l, 1U << i % NR_KINDS);
	if (ret)
		return ret;
	ret = ring_init(&r, SQ, CQ);
	if (ret)
		return ret;
	ret = load_start(&l, &r);
	if (ret)
		return ret;
	ring_exit(&r);
	return *load_end(&l) ? -EBUSY : 0;
}

RING_TEST(loop_in_flight)
{
	struct state before;
	int i;

	crowded = true;
	state_read(&before);
	for (i = 0; i < LOOPS; i++) {
		ASSERT_EQ(0, one_round(i)) {
			TH_LOG("round %d, %s", i, kinds[i % NR_KINDS].name);
		}
		if (i % 64 == 0)
			ASSERT_STREQ("", state_diff(&before, true));
	}
}

#define THREADS	4

struct looper {
	pthread_t self;
	int nr, at, ret;
};

static void *loop_in_thread(void *arg)
{
	struct looper *lp = arg;
	int i;

	for (i = 0; i < LOOPS / THREADS && !lp->ret; i++) {
		lp->at = lp->nr * 5 + i;
		lp->ret = one_round(lp->at);
	}
	return NULL;
}

RING_TEST(loop_in_threads)
{
	struct looper lp[THREADS];
	int i;

	crowded = true;
	for (i = 0; i < THREADS; i++) {
		lp[i] = (struct looper) { .nr = i };
		ASSERT_EQ(0, pthread_create(&lp[i].self, NULL, loop_in_thread,
					    &lp[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(lp[i].self, NULL);
		EXPECT_EQ(0, lp[i].ret) {
			TH_LOG("%s", kinds[lp[i].at % NR_KINDS].name);
		}
	}
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/* ------------------------------------------------------------------ races */

#define RACES	(full_stress() ? 5000 : 250)
#define NR_EFD	4

struct hammer {
	pthread_t self;
	bool stop;
	int fd[NR_EFD];
	int nr;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	uint64_t v = 1;
	int i;

	while (!ld_acq(&h->stop)) {
		for (i = 0; i < h->nr; i++)
			if (write(h->fd[i], &v, sizeof(v)) < 0 &&
			    errno != EAGAIN)
				return (void *)1;
		/* there may be but one processor */
		sched_yield();
	}
	return NULL;
}

static void hammer_stop(struct hammer *h)
{
	st_rel(&h->stop, true);
	pthread_join(h->self, NULL);
	while (h->nr)
		close(h->fd[--h->nr]);
}

/* Wake-ups from another thread, at any moment of the close */
RING_TEST(race_wakeups)
{
	struct hammer h = { };
	struct ring r;
	uint64_t v;
	int i, j;

	while (h.nr < NR_EFD)
		h.fd[h.nr++] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_EQ(0, pthread_create(&h.self, NULL, hammer, &h));
	for (i = 0; i < RACES; i++) {
		ASSERT_EQ(0, ring_init(&r, SQ, i % 2 ? CQ : 256));
		for (j = 0; j < SQ; j++) {
			switch ((i + j) % 4) {
			case 0:
				prep_poll_multi(ring_sqe(&r), h.fd[j % NR_EFD],
						POLLIN);
				break;
			case 1:
				prep_read(ring_sqe(&r), h.fd[j % NR_EFD],
					  scratch + 8 * j, 8, -1);
				break;
			case 2:
				prep_poll_multi(ring_sqe(&r), r.fd, POLLIN);
				break;
			default:
				prep_poll(ring_sqe(&r), h.fd[j % NR_EFD],
					  POLLIN);
				break;
			}
		}
		/* Not readable now, so that they have to wait */
		for (j = 0; j < NR_EFD; j++)
			if (read(h.fd[j], &v, sizeof(v)) < 0)
				continue;
		ASSERT_EQ(SQ, ring_submit(&r));
		ring_exit(&r);
	}
	EXPECT_STREQ("", state_diff(&self->before, false));
	hammer_stop(&h);
}

/* Workers that are just done, or just begin */
RING_TEST(race_workers)
{
	struct hold hold = { .lock = -1, .notify = -1 };
	struct hammer h = { };
	struct iouring2_sqe *sqe;
	struct ring r;
	char path[64];
	int i, j;

	ASSERT_EQ(0, use_fifo(&hold));
	/* The reads' description blocks, the writer's does not */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", hold.use[0]);
	h.fd[h.nr++] = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, h.fd[0]);
	ASSERT_EQ(0, pthread_create(&h.self, NULL, hammer, &h));
	for (i = 0; i < RACES / 4; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 8));
		for (j = 0; j < 8; j++) {
			sqe = ring_sqe(&r);
			if ((i + j) % 5 == 4)
				prep_nop(sqe);
			else
				prep_read(sqe, hold.use[0], scratch + 512 * j,
					  1 + (i + j) % 300, -1);
			sqe->flags = ((i + j) % 3 ? ASYNC : 0) |
				     (j % 4 == 1 ? LINK : 0);
		}
		ASSERT_EQ(8, ring_submit(&r));
		if (i % 4 == 0)
			enter_timeout(r.fd, 0, i % 5, NSEC_PER_MSEC);
		ring_exit(&r);
	}
	EXPECT_STREQ("", state_diff(&self->before, false));
	hammer_stop(&h);
	close(hold.use[0]);
}

/* Timers that fire just now */
RING_TEST(race_timers)
{
	struct __kernel_timespec ts[16];
	struct ring r;
	int i, j;

	for (i = 0; i < RACES; i++) {
		ASSERT_EQ(0, ring_init(&r, 16, 16));
		for (j = 0; j < 16; j++) {
			ts[j] = ts_ns(1000LL * (i + 1) * (j + 1) % 2000000);
			prep_timeout(ring_sqe(&r), &ts[j], 0, j % 3 ? 0 :
				     IOURING2_TIMEOUT_MULTISHOT);
		}
		ASSERT_EQ(16, ring_submit(&r));
		if (i % 3 == 0)
			enter_timeout(r.fd, 0, 4, NSEC_PER_MSEC / 2);
		ring_exit(&r);
	}
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/* A disk that answers just now */
RING_TEST(race_direct)
{
	int disk = open_disk(), i, j;
	struct ring r;

	if (disk < 0)
		SKIP(return, "no disk to read from");
	for (i = 0; i < RACES / 2; i++) {
		ASSERT_EQ(0, ring_init(&r, 16, 16));
		for (j = 0; j < 8; j++)
			prep_read(ring_sqe(&r), disk, scratch, 4096 << i % 5,
				  (__u64)(i * 8 + j) % 64 << 19);
		ASSERT_EQ(8, ring_submit(&r));
		if (i % 3 == 0)
			enter_timeout(r.fd, 0, 4, NSEC_PER_MSEC);
		ring_exit(&r);
		if (i % 32 == 0)
			ASSERT_STREQ("", state_diff(&self->before, false));
	}
	close(disk);
}

/* A process that is killed at any moment of its life with a ring */
RING_TEST(race_kill)
{
	int i, rounds = full_stress() ? 1000 : 40;
	struct state before;
	struct talk t;
	pid_t pid;

	crowded = true;
	state_read(&before);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, talk_open(&t));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			talk_child(&t);
			say(&t, '+');
			for (;;)
				if (one_round(i++))
					_exit(1);
		}
		talk_parent(&t);
		EXPECT_EQ('+', listen_to(&t));
		usleep(1000 * (i * 7 % 50));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, reap(pid));
		EXPECT_STREQ("", state_diff(&before, false)) {
			TH_LOG("round %d", i);
		}
		state_read(&before);
		talk_close(&t);
	}
}

int main(int argc, char **argv)
{
	const char *why;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "--another"))
		return another(argv);
	if (argc == 5 && !strcmp(argv[1], "--with-ring"))
		return after_exec_with_ring(argv);
	if (!dev_usable(&why)) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	return test_harness_run(argc, argv);
}
