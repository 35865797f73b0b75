// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measurements that do not depend on a batch size: set-up and close of rings,
 * overflow, operations among many waiting requests, memory. The table is at the
 * end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* --- set-up and close -------------------------------------------------------- */

static double setup_close(const struct backend *backend, unsigned int entries)
{
	unsigned int i, rounds = 5;
	struct ring r;
	long long start;
	int ret;

	start = now();
	for (i = 0; i < rounds; i++) {
		ret = ring_open(&r, backend, entries, 0, 0);
		if (ret)
			return ret;
		ring_close(&r);
	}
	rounds = enough_rounds(now() - start, rounds);
	start = clock_begin();
	for (i = 0; i < rounds; i++) {
		ret = ring_open(&r, backend, entries, 0, 0);
		if (ret)
			return ret;
		ring_close(&r);
	}
	return clock_end(start, rounds);
}

/* Opens and closes @n rings one after the other, without a pause. */
static double setup_loop(const struct backend *backend, unsigned int n)
{
	struct ring r;
	long long start;
	unsigned int i;
	int ret;

	start = clock_begin();
	for (i = 0; i < n; i++) {
		ret = ring_open(&r, backend, 64, 0, 0);
		if (ret)
			return ret;
		ring_close(&r);
	}
	return clock_end(start, n);
}

static double rings_among(const struct backend *backend, unsigned int n)
{
	struct ring *many = calloc(n, sizeof(*many));
	unsigned int i, made;
	double cost = 0;
	int ret;

	for (made = 0; made < n; made++) {
		ret = ring_open(&many[made], backend, 8, 0, 0);
		if (ret) {
			cost = ret;
			break;
		}
	}
	if (!cost)
		cost = setup_close(backend, 8);
	for (i = 0; i < made; i++)
		ring_close(&many[i]);
	free(many);
	return cost;
}

/* --- more completions than the CQ has room for ---------------------------------- */

/*
 * Reaps up to @max completions. If the CQ is empty, ENTER moves completions of
 * the backlog into it.
 */
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

/* Number of completions that did not come in the last burst, for each kind of ring */
static unsigned int burst_lost[2];

/*
 * Submits @n NOPs to a ring with a CQ of 128. It reaps half as many as it
 * submits, all that it finds when the ring answers EBUSY, and the rest at the
 * end.
 */
static double burst(const struct backend *backend, unsigned int n)
{
	unsigned int i, left = n, reaped = 0, got;
	long long start;
	struct ring r;
	double cost;
	int ret;

	ret = ring_open(&r, backend, 64, 128, 0);
	if (ret)
		return ret;
	start = clock_begin();
	while (left) {
		for (i = 0; i < 64 && i < left; i++)
			ring_sqe(&r)->opcode = IOURING2_OP_NOP;
		left -= i;
		while ((ret = ring_enter(&r, i, 0)) == -EBUSY)
			reaped += reap(&r, 128);
		if (ret != (int)i)
			die("burst", ret);
		reaped += reap(&r, 32);
	}
	while ((got = reap(&r, 128)))
		reaped += got;
	cost = clock_end(start, n);
	burst_lost[backend == &iouring2] = n - reaped;
	ring_close(&r);
	return cost;
}

static double burst_left(const struct backend *backend, unsigned int n)
{
	burst(backend, n);
	return burst_lost[backend == &iouring2];
}

/* --- operations among many waiting requests ---------------------------------------- */

/* user_data of the first waiting request */
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

/* Measures @round while @n requests, which @queue has queued, wait. */
static double among(const struct backend *backend, unsigned int n,
		    queue_fn *queue, round_fn *round)
{
	static const struct op events = { .open = open_silent };
	unsigned int i, rounds = 5;
	struct work w;
	long long start;
	double cost;
	int ret;

	ret = work_open(&w, &events);
	if (!ret)
		ret = ring_open(&w.r, backend, 256,
				n > 32000 ? 65536 : 2 * n + 512, 0);
	if (ret) {
		work_close(&w);
		return ret;
	}
	w.crowd = n;
	w.silent = eventfd(0, EFD_NONBLOCK);
	arm_many(&w, n, queue);
	round(&w, 1);
	start = now();
	for (i = 0; i < rounds; i++)
		round(&w, 1);
	rounds = enough_rounds(now() - start, rounds);
	start = clock_begin();
	for (i = 0; i < rounds; i++)
		round(&w, 1);
	cost = clock_end(start, rounds);
	if (w.error)
		die("request", w.error);
	work_close(&w);
	close(w.silent);
	return cost;
}

static void queue_silent(struct work *w, __u64 user_data)
{
	queue_poll(w, w->silent, user_data);
}

static double poll_among(const struct backend *backend, unsigned int n)
{
	return among(backend, n, queue_silent, round_poll_armed);
}

/* Cancels a poll by its user_data, and arms it again. */
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
		await(&w->r, 1);
		ring_seen(&w->r, ring_ready(&w->r));
		queue_silent(w, victim);
		ring_enter(&w->r, 1, 0);
	}
}

static double cancel_among(const struct backend *backend, unsigned int n)
{
	return among(backend, n, queue_silent, round_cancel);
}

static double timeout_among(const struct backend *backend, unsigned int n)
{
	return among(backend, n, queue_timeout, round_timeout);
}

/* --- writes that wait for each other ------------------------------------------------ */

#define WRITE_SIZE	512

static int queue_writes(struct ring *r, int file, unsigned int n)
{
	static char data[WRITE_SIZE];
	struct iouring2_sqe *sqe;
	unsigned int i, b;

	for (i = 0; i < n; i += b) {
		for (b = 0; b < 128 && i + b < n; b++) {
			sqe = ring_sqe(r);
			sqe->opcode = IOURING2_OP_WRITE;
			sqe->fd = file;
			sqe->addr = (uintptr_t)data;
			sqe->len = sizeof(data);
			sqe->off = (__u64)(i + b) * sizeof(data);
		}
		if (ring_enter(r, b, 0) != (int)b)
			return -EIO;
	}
	return 0;
}

static int reap_writes(struct ring *r, unsigned int n)
{
	int ret = 0;

	await(r, n);
	while (n--) {
		if (ring_cqe(r, 0)->res != WRITE_SIZE)
			ret = ring_cqe(r, 0)->res ? : -EIO;
		ring_seen(r, 1);
	}
	return ret;
}

/* Queues @n buffered writes to one file, which can run only one at a time. */
static double queued_writes(const struct backend *backend, unsigned int n)
{
	unsigned int i, rounds = n < 3200 ? 3200 / n : 1;
	char path[256];
	struct ring r;
	long long start;
	double cost;
	int file, ret;

	snprintf(path, sizeof(path), "%s/queued", disk_dir);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	ret = ring_open(&r, backend, 256, n > 16000 ? 65536 : 2 * n + 512, 0);
	if (ret) {
		close(file);
		return ret;
	}
	/* the first round allocates the pages and starts a worker */
	ret = queue_writes(&r, file, n) ? : reap_writes(&r, n);
	start = clock_begin();
	for (i = 0; i < rounds && !ret; i++)
		ret = queue_writes(&r, file, n) ? : reap_writes(&r, n);
	cost = clock_end(start, rounds * n);
	ring_close(&r);
	close(file);
	unlink(path);
	return ret ? ret : cost;
}

/* --- memory ------------------------------------------------------------------------ */

#define CGROUP	"/sys/fs/cgroup/bench"

/* Bytes of memory in use, or -errno */
struct memory {
	long long machine;	/* MemFree of the whole machine, negated */
	long long charged;	/* charged to the memory cgroup */
};

static long long number_in(const char *path, const char *format)
{
	long long value = -EOPNOTSUPP;
	FILE *f = fopen(path, "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &value) == 1)
			break;
	if (f)
		fclose(f);
	return value;
}

static struct memory memory_used(void)
{
	struct memory m = {
		.machine = -1024 * number_in("/proc/meminfo", "MemFree: %lld"),
		.charged = number_in(CGROUP "/memory.current", "%lld"),
	};

	return m;
}

/* Waits until rings that were closed before have freed their memory. */
static void wait_for_memory(void)
{
	long long was, is = memory_used().machine;
	unsigned int tries = 50;

	do {
		was = is;
		usleep(200000);
		is = memory_used().machine;
	} while (llabs(is - was) > 64 * 1024 && --tries);
}

static void cgroup_enter(void)
{
	FILE *f;

	mkdir(CGROUP, 0755);
	f = fopen(CGROUP "/cgroup.procs", "w");
	if (f) {
		fputs("0", f);
		fclose(f);
	}
}

struct fill {
	const struct backend *backend;
	unsigned int at, n;
	void (*more)(const struct fill *fill, unsigned int n);
};

/*
 * Measures the memory of each object. A child makes them, so that its exit frees
 * all. Only the child is in the cgroup.
 */
static void taken(const struct fill *fill, double *machine, double *charged)
{
	struct memory before, after;
	double used[2] = { -ENOMEM, -ENOMEM };
	int status, fds[2];
	pid_t pid;

	if (pipe(fds))
		die("pipe", errno);
	pid = fork();
	if (!pid) {
		cgroup_enter();
		/* the first objects allocate what all of them share */
		fill->more(fill, 64);
		before = memory_used();
		fill->more(fill, fill->n);
		after = memory_used();
		used[0] = (double)(after.machine - before.machine) / fill->n;
		used[1] = before.charged < 0 ? (double)before.charged :
			(double)(after.charged - before.charged) / fill->n;
		_exit(write(fds[1], used, sizeof(used)) != sizeof(used));
	}
	close(fds[1]);
	if (read(fds[0], used, sizeof(used)) != sizeof(used))
		used[0] = -ENOMEM;
	close(fds[0]);
	waitpid(pid, &status, 0);
	*machine = used[0];
	*charged = used[1];
}

static void more_rings(const struct fill *fill, unsigned int n)
{
	struct ring r;

	while (n--)
		if (ring_open(&r, fill->backend, fill->at, 0, 0))
			_exit(1);
}

static void more_requests(const struct fill *fill, unsigned int n,
			  queue_fn *queue)
{
	static struct work w = { .silent = -1, .hour.tv_sec = 3600 };

	if (w.silent < 0) {
		w.silent = eventfd(0, EFD_NONBLOCK);
		if (ring_open(&w.r, fill->backend, 256, 65536, 0))
			_exit(1);
	}
	arm_many(&w, n, queue);
}

static void more_polls(const struct fill *fill, unsigned int n)
{
	more_requests(fill, n, queue_silent);
}

static void more_timeouts(const struct fill *fill, unsigned int n)
{
	more_requests(fill, n, queue_timeout);
}

static const struct {
	const char *name;
	unsigned int at, n;
	void (*more)(const struct fill *fill, unsigned int n);
} memories[] = {
	{ "memory of a ring, entries", 8, 2000, more_rings },
	{ "memory of a ring, entries", 64, 2000, more_rings },
	{ "memory of a ring, entries", 512, 1000, more_rings },
	{ "memory of a ring, entries", 4096, 400, more_rings },
	{ "memory of a poll in flight", 1, 100000, more_polls },
	{ "memory of a timeout in flight", 1, 100000, more_timeouts },
};

/*
 * MemFree does not count the free pages in the lists of each processor. Newer
 * kernels do not limit these lists, so @few limits them.
 */
static void free_pages_at_hand(bool few)
{
	static const char * const limits[] = {
		"/proc/sys/vm/percpu_pagelist_high_fraction",
		"/proc/sys/vm/percpu_pagelist_fraction",
	};
	unsigned int i;
	FILE *f;

	for (i = 0; i < 2; i++) {
		f = fopen(limits[i], "w");
		if (f) {
			fputs(few ? "100000" : "0", f);
			fclose(f);
		}
	}
}

/* Measures again if the machine has freed more memory meanwhile than it used. */
static void taken_by(const struct fill *fill, double *machine, double *charged)
{
	int tries = 5;

	do {
		wait_for_memory();
		taken(fill, machine, charged);
	} while (*machine < 0 && --tries);
	if (*machine < 0 && *machine != -ENOMEM)
		*machine = -EAGAIN;
}

static void memory_rows(const regex_t *only)
{
	double machine[2], charged[2];
	unsigned int i, j;
	char name[80];

	free_pages_at_hand(true);
	for (i = 0; i < sizeof(memories) / sizeof(*memories); i++) {
		if (!chosen(only, memories[i].name))
			continue;
		for (j = 0; j < 2; j++) {
			struct fill fill = {
				.backend = j ? &iouring2 : &in_tree,
				.at = memories[i].at,
				.n = memories[i].n,
				.more = memories[i].more,
			};

			clock_is_for(memories[i].name, fill.at, fill.backend->name);
			taken_by(&fill, &machine[j], &charged[j]);
		}
		print_row(memories[i].name, memories[i].at, machine[0],
			  machine[1], "bytes");
		snprintf(name, sizeof(name), "%s, charged to the cgroup",
			 memories[i].name);
		print_row(name, memories[i].at, charged[0], charged[1], "bytes");
	}
	free_pages_at_hand(false);
}

/* --- the table ---------------------------------------------------------------- */

static const struct special {
	const char *name;
	unsigned int at[5];	/* sizes: entries, requests or rings */
	double (*measure)(const struct backend *backend, unsigned int at);
	const char *unit;
} specials[] = {
	{ "set-up and close, entries", { 8, 64, 512, 4096 }, setup_close,
	  "instructions" },
	{ "set-up and close in a loop", { 10000 }, setup_loop, "instructions" },
	{ "overflow burst, CQ of 128", { 1000000 }, burst, "instructions" },
	{ "overflow burst, completions lost", { 100000 }, burst_left,
	  "completions" },
	{ "poll armed and fired among N polls", { 1, 100, 1000, 10000, 100000 },
	  poll_among, "instructions" },
	{ "cancel by user_data among N polls", { 1, 100, 1000, 10000, 100000 },
	  cancel_among, "instructions" },
	{ "timeout armed and removed among N", { 1, 100, 1000, 10000, 100000 },
	  timeout_among, "instructions" },
	{ "queued writes, one file", { 100, 32000 }, queued_writes,
	  "instructions" },
	{ "set-up and close among N rings", { 1, 100, 1000, 10000 },
	  rings_among, "instructions" },
};

static double measure(const struct special *s, unsigned int at,
		      const struct backend *backend)
{
	double cost;

	clock_is_for(s->name, at, backend->name);
	cost = s->measure(backend, at);
	/* the in-tree ring frees its memory some time after its close */
	usleep(300000);
	return cost;
}

void rows_of_their_own(const regex_t *only)
{
	unsigned int i, j, at;

	for (i = 0; i < sizeof(specials) / sizeof(*specials); i++) {
		const struct special *s = &specials[i];

		if (!chosen(only, s->name))
			continue;
		for (j = 0; j < 5 && s->at[j]; j++) {
			double tree;

			at = s->at[j];
			if (quick && at > 10000)
				at /= 10;
			tree = measure(s, at, &in_tree);
			print_row(s->name, at, tree, measure(s, at, &iouring2),
				  s->unit);
		}
	}
	memory_rows(only);
}
