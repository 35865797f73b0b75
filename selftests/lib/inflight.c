// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests in flight on a ring that is about to end; see inflight.h.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "inflight.h"

/* -------------------------------------------------- kinds of requests */

_Alignas(4096) char scratch[64 << 10];

/* Global, as it must outlive the function that queues a timeout */
struct __kernel_timespec hour = { .tv_sec = HOUR / NSEC_PER_SEC };

bool crowded;

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

static int use_pipe(struct hold *h, int end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	use(h, fds[end]);
	peer(h, fds[!end]);
	return 0;
}

static int use_read_end(struct hold *h)
{
	return use_pipe(h, 0);
}

static int use_write_end(struct hold *h)
{
	return use_pipe(h, 1);
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

/*
 * An unlinked, locked FIFO: reads can block, and the other end, the lock and
 * the inode show whether it is still held
 */
int use_fifo(struct hold *h)
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

/*
 * The first one holds a file. The others are ends of a pipe that remain open
 * elsewhere.
 */
int use_chain(struct hold *h)
{
	int fds[2];

	use_read_end(h);
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	use(h, fds[1]);
	use(h, fds[0]);
	return 0;
}

static int use_disk(struct hold *h)
{
	int fd = disk_open();

	h->direct = fd >= 0;
	use(h, fd >= 0 ? fd : eventfd(0, EFD_CLOEXEC));
	return 0;
}

int submit(struct ring *r, int nr)
{
	int ret = ring_submit(r);

	return ret == nr ? 0 : ret < 0 ? ret : -EPROTO;
}

/* POLLPRI never comes, so the poll ends only with an error or a hang-up */
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

/* A worker finds no data, and arms a poll, because the file can be polled */
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

/*
 * Return: the number of the rings' workers that sleep in a request, and are not
 * idle
 */
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
 * Write twice what the FIFO holds. The FIFO polls as writable, so a worker
 * starts the write and blocks: a FIFO cannot be tried without blocking.
 */
int start_worker(struct ring *r, struct hold *h)
{
	int busy = blocked_workers(), ret;
	char buf[512];

	if (fcntl(h->use[0], F_SETPIPE_SZ, 4096) < 0)
		return -errno;
	while (read(h->peer[0], buf, sizeof(buf)) > 0)
		;
	prep_write(ring_sqe(r), h->use[0], scratch, 8192, -1);
	ret = submit(r, 1);
	if (ret)
		return ret;
	if (!until_ms(fdinfo(r->fd, "Workers") > 0, 10000))
		return -ECHILD;
	if (!crowded && !until(blocked_workers() > busy))
		return -ECHILD;
	return 0;
}

/* The reads may have ended before the close, but often they have not */
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

/*
 * A request that waits in a chain holds no file yet: it gets its file when it
 * starts
 */
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

/* A request behind a drain barrier holds no file either, in a chain or not */
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

#define EXTRA	7	/* CQEs that do not fit in the CQ */

static int start_backlog(struct ring *r, struct hold *h)
{
	int i, ret = 0;

	for (i = 0; i < CQ + EXTRA && !ret; i++) {
		prep_poll(ring_sqe(r), h->use[0], POLLIN);
		ret = submit(r, 1);
	}
	return ret;
}

/* Called when all other requests are in flight */
static int late_backlog(struct ring *r, struct hold *h)
{
	uint64_t v = 1;

	if (write(h->use[0], &v, sizeof(v)) != sizeof(v))
		return -errno;
	return until(fdinfo(r->fd, "Backlog") >= EXTRA) ? 0 : -ETIMEDOUT;
}

static const struct kind {
	const char *name;
	int nr;		/* how many requests it leaves in flight */
	int (*prepare)(struct hold *h);
	int (*start)(struct ring *r, struct hold *h);
	int (*late)(struct ring *r, struct hold *h);
} kinds[NR_KINDS] = {
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
	/* must be the last, as it delays all requests behind it */
	{ "drain barrier", 4, use_chain, start_drain },
};

const char *kind_name(int i)
{
	return kinds[i].name;
}

unsigned int kind_bit(const char *name)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return 1U << i;
	abort();
}

int load_prepare(struct load *l, unsigned int mask)
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

void close_uses(struct hold *h)
{
	while (h->nr_use)
		close(h->use[--h->nr_use]);
}

void close_peers(struct hold *h)
{
	while (h->nr_peer)
		close(h->peer[--h->nr_peer]);
}

/* Close our descriptors: from now on only the requests hold the files */
void load_drop(struct load *l)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		close_uses(&l->hold[i]);
}

static void say_what_ended(struct ring *r, long long inflight, int nr)
{
	struct iouring2_cqe cqe;

	fprintf(stderr, "# %lld in flight, expected %d\n", inflight, nr);
	while (ring_peek(r, &cqe))
		fprintf(stderr, "# CQE: res %d, flags %#x\n", cqe.res,
			cqe.flags);
}

int load_start(struct load *l, struct ring *r)
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
	if (fdinfo(r->fd, "Inflight") >= nr)
		return 0;
	say_what_ended(r, fdinfo(r->fd, "Inflight"), nr);
	return -ECHILD;
}

static bool deleted(int fd)
{
	struct inotify_event ev;

	return read(fd, &ev, sizeof(ev)) == sizeof(ev) &&
	       ev.mask & IN_DELETE_SELF;
}

/* Return: the kind of a file whose state is not as @held says, or "" */
const char *load_held(const struct load *l, bool held)
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
	return "";
}

/* Call this when no file should be held. Return: "", or what is still held. */
const char *load_end(struct load *l)
{
	const char *bad = load_held(l, false);
	struct hold *h;
	int i;

	for (i = 0; i < NR_KINDS; i++) {
		h = &l->hold[i];
		close_peers(h);
		if (h->notify >= 0) {
			/* our own descriptor was closed before the request's */
			if (!*bad && !deleted(h->notify))
				bad = "inode";
			close(h->notify);
		}
	}
	return bad;
}

/* ------------------------------------------------- parent and child */

int talk_open(struct talk *t)
{
	return pipe2(t->say, O_CLOEXEC) || pipe2(t->hear, O_CLOEXEC) ? -errno :
								    0;
}

void talk_child(struct talk *t)
{
	close(t->say[0]);
	close(t->hear[1]);
}

void talk_parent(struct talk *t)
{
	close(t->say[1]);
	close(t->hear[0]);
}

void talk_close(struct talk *t)
{
	close(t->say[0]);
	close(t->hear[1]);
}

void say(struct talk *t, char c)
{
	if (write(t->say[1], &c, 1) != 1)
		_exit(99);
}

/* Wait until the parent closes its end */
void wait_for_parent(struct talk *t)
{
	char c;

	while (read(t->hear[0], &c, 1) > 0)
		;
}

/* Return: the byte that the child sent, or 0 */
char listen_to(struct talk *t)
{
	char c = 0;

	return read(t->say[0], &c, 1) == 1 ? c : 0;
}

void *enter_for_ever(void *arg)
{
	struct ring *r = arg;

	for (;;)
		enter(r->fd, 0, FOREVER, GETEVENTS, NULL, 0);
	return NULL;
}

int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

/* ----------------------------------------------------- what is left */

static char text[1024];

const char *failed(const char *what, const char *kind, int err)
{
	snprintf(text, sizeof(text), "%s: %s: %d", what, kind, err);
	return text;
}

/* Return: "", or what is left in the module or held on the files */
const char *after(struct load *l, const struct state *before)
{
	const char *left = state_diff(before, false);
	const char *held = load_end(l);

	if (!*left && !*held)
		return "";
	snprintf(text, sizeof(text), "left: %s held: %s", left, held);
	return text;
}

static const char *load_name(unsigned int mask)
{
	return mask & (mask - 1) ? "all" : kind_name(__builtin_ctz(mask));
}

static char report[8192];

/*
 * Run @end with each kind of request alone, and then with all together but
 * @without. Return: "", or what went wrong with which kind.
 */
const char *every_load(const char *(*end)(int how, unsigned int mask), int how,
		       unsigned int without)
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

int one_round(unsigned int i)
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
