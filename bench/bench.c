// SPDX-License-Identifier: GPL-2.0
/*
 * What an operation costs, on the in-tree io_uring and on iouring2, in one
 * boot, by the same code. Time is CLOCK_MONOTONIC; under "qemu -icount
 * shift=0", for which this is made, a nanosecond of it is an instruction.
 *
 * usage: bench [-f REGEX] [-q] [-w FILE] DIR
 *
 * DIR is on a disk file system; /tmp should be a tmpfs; /dev/nullb0, if it is
 * there, is what direct reads read; /sys/fs/cgroup, if it is cgroup 2 with the
 * memory controller, tells what memory is used.
 *
 * Output, a row a line, separated by tabs: operation, batch, in-tree,
 * iouring2, unit. "-" stands for what a ring cannot do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"
#include "ring.h"

#define MAX_BATCH	128
#define BLOCK		4096

static int burst_lost;
static int quick;		/* a tenth of the rounds */
static const char *disk_dir;

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* What is measured just now, for the list of windows */
static struct {
	FILE *list;
	const char *name, *door;
	unsigned int at;
} window;

/* Everything that counts is between these two, and between two marks. */
static long long clock_begin(void)
{
	long long start = now();

	mark(MARK_BEGIN);
	return start;
}

/* ns for each of @n operations since clock_begin() said @start */
static double clock_end(long long start, unsigned int n)
{
	mark(MARK_END);
	start = now() - start;
	if (window.list) {
		fprintf(window.list, "%s\t%u\t%s\t%u\t%lld\n", window.name,
			window.at, window.door, n, start);
		fflush(window.list);
	}
	return (double)start / n;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* --- what the operations work with ---------------------------------------- */

struct work {
	struct ring r;
	int file;
	int event[MAX_BATCH];
	char *buf;
	struct __kernel_timespec hour;
	int silent;		/* eventfd that polls wait for in vain */
	unsigned int crowd;	/* how many requests wait */
	unsigned int cancelled;	/* of them, so far */
};

static int make_file(const char *dir)
{
	char path[256], block[BLOCK];
	int fd, i;

	snprintf(path, sizeof(path), "%s/bench.XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		die(path, errno);
	unlink(path);
	memset(block, 7, sizeof(block));
	for (i = 0; i < MAX_BATCH; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			die("write", errno);
	fsync(fd);
	return fd;
}

static int open_disk(struct work *w)
{
	w->file = make_file(disk_dir);
	return 0;
}

static int open_tmpfs(struct work *w)
{
	w->file = make_file("/tmp");
	return 0;
}

static int open_block(struct work *w)
{
	w->file = open("/dev/nullb0", O_RDONLY | O_DIRECT);
	return w->file < 0 ? -errno : 0;
}

static int open_events(struct work *w, unsigned int value)
{
	unsigned int i;

	for (i = 0; i < MAX_BATCH; i++) {
		w->event[i] = eventfd(value, EFD_NONBLOCK);
		if (w->event[i] < 0)
			return -errno;
	}
	return 0;
}

static int open_ready(struct work *w)
{
	return open_events(w, 1);
}

static int open_silent(struct work *w)
{
	return open_events(w, 0);
}

static void work_close(struct work *w)
{
	unsigned int i;

	if (w->file > 0)
		close(w->file);
	for (i = 0; i < MAX_BATCH; i++)
		if (w->event[i] > 0)
			close(w->event[i]);
}

/* --- one round of each operation: b of them ------------------------------- */

/* Submits what is queued and reaps it; all must have gone well. */
static void go(struct work *w, unsigned int n)
{
	struct ring *r = &w->r;
	unsigned int i;
	int ret;

	ret = ring_enter(r, n, n);
	if (ret != (int)n)
		die("enter", ret < 0 ? ret : EIO);
	if (ring_ready(r) < n)
		die("too few completions", EIO);
	for (i = 0; i < n; i++)
		if (ring_cqe(r, i)->res < 0 && ring_cqe(r, i)->res != -ECANCELED)
			die("request", ring_cqe(r, i)->res);
	ring_seen(r, n);
}

static void round_nop(struct work *w, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < b; i++)
		ring_sqe(&w->r)->opcode = IOURING2_OP_NOP;
	go(w, b);
}

static void round_enter(struct work *w, unsigned int b)
{
	while (b--)
		ring_enter(&w->r, 0, 0);
}

static void round_read(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_READ;
		sqe->fd = w->file;
		sqe->addr = (uintptr_t)w->buf + i * BLOCK;
		sqe->len = BLOCK;
		sqe->off = i * BLOCK;
	}
	go(w, b);
}

static void round_pread(struct work *w, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < b; i++)
		if (pread(w->file, w->buf + i * BLOCK, BLOCK, i * BLOCK) != BLOCK)
			die("pread", errno);
}

static void queue_poll(struct work *w, int fd, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(&w->r);

	sqe->opcode = IOURING2_OP_POLL_ADD;
	sqe->fd = fd;
	sqe->poll32_events = POLLIN;
	sqe->user_data = user_data;
}

static void round_poll_ready(struct work *w, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < b; i++)
		queue_poll(w, w->event[i], 0);
	go(w, b);
}

static void round_poll_armed(struct work *w, unsigned int b)
{
	__u64 one = 1;
	unsigned int i;
	int ret;

	for (i = 0; i < b; i++)
		queue_poll(w, w->event[i], 0);
	ret = ring_enter(&w->r, b, 0);
	if (ret != (int)b)
		die("enter", ret);
	for (i = 0; i < b; i++)
		if (write(w->event[i], &one, sizeof(one)) < 0)
			die("write", errno);
	ret = ring_enter(&w->r, 0, b);
	if (ret < 0 || ring_ready(&w->r) != b)
		die("polls", EIO);
	ring_seen(&w->r, b);
	for (i = 0; i < b; i++)
		if (read(w->event[i], &one, sizeof(one)) < 0)
			die("read", errno);
}

static void round_poll_call(struct work *w, unsigned int b)
{
	struct pollfd p = { .events = POLLIN };
	unsigned int i;

	for (i = 0; i < b; i++) {
		p.fd = w->event[i];
		poll(&p, 1, 0);
	}
}

static void queue_timeout(struct work *w, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(&w->r);

	sqe->opcode = IOURING2_OP_TIMEOUT;
	sqe->addr = (uintptr_t)&w->hour;
	sqe->len = 1;
	sqe->user_data = user_data;
}

/* Armed and removed: two requests */
static void round_timeout(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < b; i++)
		queue_timeout(w, i + 1);
	for (i = 0; i < b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_TIMEOUT_REMOVE;
		sqe->addr = i + 1;
	}
	go(w, 2 * b);
}

static void round_link(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < 2 * b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_NOP;
		sqe->flags = i & 1 ? 0 : IOURING2_SQE_IO_LINK;
	}
	go(w, 2 * b);
}

/* --- rows by batch --------------------------------------------------------- */

#define ALL_BATCHES	{ 1, 8, 32, 128 }
#define ONCE		{ 1 }

struct op {
	const char *name;
	unsigned int batch[4];
	unsigned int rounds;
	int (*open)(struct work *w);
	void (*round)(struct work *w, unsigned int b);
	bool plain;		/* a system call, no ring */
};

#define OP(text, at, n, prepare, what) \
	{ .name = (text), .batch = at, .rounds = (n), .open = (prepare), \
	  .round = (what) }
#define CALL(text, n, prepare, what) \
	{ .name = (text), .batch = ONCE, .rounds = (n), .open = (prepare), \
	  .round = (what), .plain = true }

static const struct op ops[] = {
	OP("nop", ALL_BATCHES, 2000, NULL, round_nop),
	OP("enter, nothing to do", ONCE, 4000, NULL, round_enter),
	OP("read 4 KiB, disk file system's page cache", ALL_BATCHES, 1000,
	   open_disk, round_read),
	CALL("pread 4 KiB, disk file system's page cache", 2000, open_disk,
	     round_pread),
	OP("read 4 KiB, tmpfs", ALL_BATCHES, 1000, open_tmpfs, round_read),
	CALL("pread 4 KiB, tmpfs", 2000, open_tmpfs, round_pread),
	OP("read 4 KiB, null_blk, O_DIRECT", ALL_BATCHES, 500, open_block,
	   round_read),
	CALL("pread 4 KiB, null_blk, O_DIRECT", 1000, open_block, round_pread),
	OP("poll an eventfd, ready", ALL_BATCHES, 1000, open_ready,
	   round_poll_ready),
	CALL("poll(2) an eventfd, ready", 2000, open_ready, round_poll_call),
	OP("poll an eventfd, armed; write, read", ALL_BATCHES, 500,
	   open_silent, round_poll_armed),
	OP("timeout, armed and removed", ALL_BATCHES, 500, NULL,
	   round_timeout),
	OP("linked pair of nops", ALL_BATCHES, 1000, NULL, round_link),
};

/* ns an operation, or -errno where it cannot be done */
static double measure(const struct op *op, unsigned int b,
		      const struct door *door)
{
	unsigned int i, rounds = op->rounds * 8 / (b + 7);
	struct work w = { .hour.tv_sec = 3600 };
	long long start;
	double cost;
	int ret;

	rounds = rounds / (quick ? 10 : 1) + 10;
	w.buf = mmap(NULL, MAX_BATCH * BLOCK, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ret = op->open ? op->open(&w) : 0;
	if (ret)
		return ret;
	if (!op->plain)
		ret = ring_open(&w.r, door, 2 * MAX_BATCH, 0);
	if (ret)
		die("set-up", ret);
	for (i = 0; i < 20; i++)
		op->round(&w, b);
	window.door = op->plain ? "system call" : door->name;
	start = clock_begin();
	for (i = 0; i < rounds; i++)
		op->round(&w, b);
	cost = clock_end(start, rounds * b);
	if (!op->plain)
		ring_close(&w.r);
	work_close(&w);
	munmap(w.buf, MAX_BATCH * BLOCK);
	return cost;
}

static void print_value(double v)
{
	if (v < 0)
		printf("\t-");
	else
		printf("\t%.1f", v);
}

static void print_row(const char *name, unsigned int batch, double tree,
		      double ours, const char *unit)
{
	printf("%s\t%u", name, batch);
	print_value(tree);
	print_value(ours);
	printf("\t%s\n", unit);
	fflush(stdout);
}

static void rows_by_batch(regex_t *only)
{
	unsigned int i, j;

	for (i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		const struct op *op = &ops[i];

		if (regexec(only, op->name, 0, NULL, 0))
			continue;
		for (j = 0; j < 4 && op->batch[j]; j++) {
			unsigned int b = op->batch[j];
			double ours;

			window.name = op->name;
			window.at = b;
			ours = measure(op, b, &iouring2);
			print_row(op->name, b, op->plain ? ours :
				  measure(op, b, &in_tree), ours, "instructions");
		}
	}
}

/* --- rows of their own ------------------------------------------------------ */

struct special {
	const char *name;
	unsigned int at;	/* size of whatever it is about */
	double (*measure)(const struct door *door, unsigned int at);
	const char *unit;
};

static double setup_close(const struct door *door, unsigned int entries)
{
	unsigned int i, rounds = quick ? 5 : 50;
	struct ring r;
	long long start = 0;
	int ret;

	for (i = 0; i < rounds + 5; i++) {
		if (i == 5)
			start = clock_begin();
		ret = ring_open(&r, door, entries, 0);
		if (ret)
			return ret;
		ring_close(&r);
	}
	return clock_end(start, rounds);
}

/* @n of them, one after the other, as an application that never rests */
static double setup_loop(const struct door *door, unsigned int n)
{
	unsigned int i, total = quick ? n / 10 : n;
	struct ring r;
	long long start;
	int ret;

	start = clock_begin();
	for (i = 0; i < total; i++) {
		ret = ring_open(&r, door, 64, 0);
		if (ret)
			return ret;
		ring_close(&r);
	}
	return clock_end(start, total);
}

/* Completions, up to @max, and those that wait behind the CQ brought into it */
static unsigned int reap(struct ring *r, unsigned int max)
{
	unsigned int n = ring_ready(r);

	if (!n && *r->sq_flags & IOURING2_SQ_CQ_OVERFLOW) {
		ring_enter_flags(r, 0, 0, IOURING2_ENTER_GETEVENTS);
		n = ring_ready(r);
	}
	if (n > max)
		n = max;
	ring_seen(r, n);
	return n;
}

/*
 * @n NOPs into a CQ of 128. Half as many are reaped as are submitted, as long
 * as the ring takes them; the rest at the end.
 */
static double burst(const struct door *door, unsigned int n)
{
	unsigned int i, total = quick ? n / 10 : n, left = total;
	unsigned int reaped = 0, got;
	long long start;
	struct ring r;
	double cost;
	int ret;

	ret = ring_open(&r, door, 64, 128);
	if (ret)
		return ret;
	start = clock_begin();
	while (left) {
		for (i = 0; i < 64 && i < left; i++)
			ring_sqe(&r)->opcode = IOURING2_OP_NOP;
		left -= i;
		while ((ret = ring_enter(&r, i, 0)) == -EBUSY)
			reaped += reap(&r, 32);
		if (ret != (int)i)
			die("burst", ret);
		reaped += reap(&r, 32);
	}
	while ((got = reap(&r, 128)))
		reaped += got;
	cost = clock_end(start, total);
	burst_lost = (int)(total - reaped);
	ring_close(&r);
	return cost;
}

/* How many of the last burst's completions did not come */
static double burst_left(const struct door *door, unsigned int n)
{
	burst(door, n);
	return burst_lost;
}

/* user_data of the requests that an operation is done among */
#define CROWD	1000

typedef void queue_fn(struct work *w, __u64 user_data);
typedef void round_fn(struct work *w, unsigned int b);

static void arm_many(struct work *w, unsigned int n, queue_fn *queue)
{
	unsigned int i, b;

	for (i = 0; i < n; i += b) {
		for (b = 0; b < 128 && i + b < n; b++)
			queue(w, CROWD + i + b);
		if (ring_enter(&w->r, b, 0) != (int)b)
			die("arming", EIO);
	}
}

/* One @round of what is measured, while @n requests that @queue made wait */
static double among(const struct door *door, unsigned int n, queue_fn *queue,
		    round_fn *round)
{
	struct work w = { .hour.tv_sec = 3600, .crowd = n };
	unsigned int i, rounds = quick ? 20 : 200;
	long long start;
	double cost;
	int ret;

	ret = ring_open(&w.r, door, 256, n > 32000 ? 65536 : 2 * n + 512);
	if (ret)
		return ret;
	w.silent = eventfd(0, EFD_NONBLOCK);
	ret = open_events(&w, 0);
	if (ret)
		return ret;
	arm_many(&w, n, queue);
	round(&w, 1);
	start = clock_begin();
	for (i = 0; i < rounds; i++)
		round(&w, 1);
	cost = clock_end(start, rounds);
	ring_close(&w.r);
	work_close(&w);
	close(w.silent);
	return cost;
}

static void queue_silent(struct work *w, __u64 user_data)
{
	queue_poll(w, w->silent, user_data);
}

static double poll_among(const struct door *door, unsigned int n)
{
	return among(door, n, queue_silent, round_poll_armed);
}

/* One is cancelled by its user_data and armed again */
static void round_cancel(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	__u64 victim;

	while (b--) {
		victim = CROWD + w->cancelled++ * 7919ULL % w->crowd;
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_ASYNC_CANCEL;
		sqe->addr = victim;
		go(w, 1);
		if (!ring_ready(&w->r) && ring_enter(&w->r, 0, 1) < 0)
			die("cancel", EIO);
		ring_seen(&w->r, ring_ready(&w->r));
		queue_silent(w, victim);
		ring_enter(&w->r, 1, 0);
	}
}

static double cancel_among(const struct door *door, unsigned int n)
{
	return among(door, n, queue_silent, round_cancel);
}

static double timeout_among(const struct door *door, unsigned int n)
{
	return among(door, n, queue_timeout, round_timeout);
}

static double rings_among(const struct door *door, unsigned int n)
{
	unsigned int i, made;
	struct ring *many = calloc(n, sizeof(*many));
	double cost = 0;

	for (made = 0; made < n; made++) {
		int ret = ring_open(&many[made], door, 8, 0);

		if (ret) {
			cost = ret;
			break;
		}
	}
	if (!cost)
		cost = setup_close(door, 8);
	for (i = 0; i < made; i++)
		ring_close(&many[i]);
	free(many);
	return cost;
}

#define CGROUP	"/sys/fs/cgroup/bench"

static long long cgroup_used(void)
{
	long long used = -1;
	FILE *f = fopen(CGROUP "/memory.current", "r");

	if (f && fscanf(f, "%lld", &used) != 1)
		used = -1;
	if (f)
		fclose(f);
	return used;
}

static int cgroup_enter(void)
{
	FILE *f;

	mkdir(CGROUP, 0755);
	f = fopen(CGROUP "/cgroup.procs", "w");
	if (!f)
		return -errno;
	fputs("0", f);
	return fclose(f) ? -errno : 0;
}

/*
 * What @fill has charged to a memory cgroup for each of its @n things. In a
 * child, so that all is given back; nothing but its rings is counted there.
 */
static double charged(void (*fill)(const struct door *door, unsigned int at,
				   unsigned int n),
		      const struct door *door, unsigned int at, unsigned int n)
{
	long long before, after;
	double used = -EOPNOTSUPP;
	int status, fds[2];
	pid_t pid;

	if (pipe(fds))
		return -errno;
	pid = fork();
	if (!pid) {
		if (cgroup_enter())
			_exit(1);
		/* the first ones make what all of them share */
		fill(door, at, 64);
		before = cgroup_used();
		fill(door, at, n);
		after = cgroup_used();
		used = before < 0 ? -EOPNOTSUPP : (double)(after - before) / n;
		_exit(write(fds[1], &used, sizeof(used)) != sizeof(used));
	}
	close(fds[1]);
	if (read(fds[0], &used, sizeof(used)) != sizeof(used))
		used = -EOPNOTSUPP;
	close(fds[0]);
	waitpid(pid, &status, 0);
	return used;
}

static void fill_rings(const struct door *door, unsigned int entries,
		       unsigned int n)
{
	struct ring r;

	while (n--)
		if (ring_open(&r, door, entries, 0))
			_exit(1);
}

static double ring_memory(const struct door *door, unsigned int entries)
{
	return charged(fill_rings, door, entries, 500);
}

static void fill_polls(const struct door *door, unsigned int at,
		       unsigned int n)
{
	static struct work w = { .silent = -1 };

	if (w.silent < 0) {
		w.silent = eventfd(0, EFD_NONBLOCK);
		if (ring_open(&w.r, door, 256, 65536))
			_exit(1);
	}
	arm_many(&w, n, queue_silent);
}

static double request_memory(const struct door *door, unsigned int n)
{
	return charged(fill_polls, door, 0, n);
}

static const struct special specials[] = {
	{ "set-up and close", 8, setup_close, "instructions" },
	{ "set-up and close", 64, setup_close, "instructions" },
	{ "set-up and close", 512, setup_close, "instructions" },
	{ "set-up and close", 4096, setup_close, "instructions" },
	{ "set-up and close in a loop", 10000, setup_loop, "instructions" },
	{ "overflow burst, CQ of 128", 1000000, burst, "instructions" },
	{ "overflow burst, completions lost", 1000000, burst_left,
	  "completions" },
	{ "poll armed and fired among N", 1, poll_among, "instructions" },
	{ "poll armed and fired among N", 100, poll_among, "instructions" },
	{ "poll armed and fired among N", 10000, poll_among, "instructions" },
	{ "poll armed and fired among N", 100000, poll_among, "instructions" },
	{ "cancel by user_data among N", 100, cancel_among, "instructions" },
	{ "cancel by user_data among N", 10000, cancel_among, "instructions" },
	{ "cancel by user_data among N", 100000, cancel_among, "instructions" },
	{ "timeout among N", 100, timeout_among, "instructions" },
	{ "timeout among N", 10000, timeout_among, "instructions" },
	{ "timeout among N", 100000, timeout_among, "instructions" },
	{ "set-up and close among N rings", 100, rings_among, "instructions" },
	{ "set-up and close among N rings", 10000, rings_among, "instructions" },
	{ "memory of a ring, entries", 8, ring_memory, "bytes" },
	{ "memory of a ring, entries", 4096, ring_memory, "bytes" },
	{ "memory of a request in flight", 20000, request_memory, "bytes" },
};

static void rows_of_their_own(regex_t *only)
{
	unsigned int i;

	for (i = 0; i < sizeof(specials) / sizeof(*specials); i++) {
		const struct special *s = &specials[i];
		double tree;

		if (regexec(only, s->name, 0, NULL, 0))
			continue;
		window.name = s->name;
		window.at = s->at;
		window.door = in_tree.name;
		tree = s->measure(&in_tree, s->at);
		/* the in-tree ring is still giving back what it had */
		sleep(1);
		window.door = iouring2.name;
		print_row(s->name, s->at, tree, s->measure(&iouring2, s->at),
			  s->unit);
		sleep(1);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { 20000, 20000 };
	const char *filter = ".";
	regex_t only;
	int c;

	while ((c = getopt(argc, argv, "f:qw:")) != -1) {
		if (c == 'f')
			filter = optarg;
		else if (c == 'w')
			window.list = fopen(optarg, "w");
		else if (c == 'q')
			quick = 1;
		else
			return 2;
	}
	if (optind != argc - 1 ||
	    regcomp(&only, filter, REG_EXTENDED | REG_NOSUB)) {
		fprintf(stderr, "usage: bench [-f REGEX] [-q] [-w FILE] DIR\n");
		return 2;
	}
	disk_dir = argv[optind];
	setrlimit(RLIMIT_NOFILE, &files);
	rows_by_batch(&only);
	rows_of_their_own(&only);
	return 0;
}
