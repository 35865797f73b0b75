// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scalability: threads with a ring each, and threads that share one, in
 * wall-clock time on several processors. Short slices of the in-tree ring and of
 * iouring2 take turns, so that a busy host disturbs both. It can only make a
 * slice slower, so the best slice of each counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "bench.h"

#define SLICES		21
#define SLICE_US	100000
#define MAX_THREADS	8
#define SHARED_ENTRIES	1024

/* One ring for all threads, with a mutex for each of its queues */
struct shared {
	struct ring r;
	pthread_mutex_t sq, cq;
	unsigned int in_flight;
};

struct slice {
	const struct op *op;
	const struct backend *backend;
	unsigned int batch;
	struct shared *shared;	/* NULL: each thread has a ring */
	pthread_barrier_t start;
	int stop;
};

struct submitter {
	struct slice *slice;
	struct work w;
	pthread_t thread;
	unsigned long long done;
};

static void run_alone(struct submitter *s)
{
	struct slice *slice = s->slice;

	while (!__atomic_load_n(&slice->stop, __ATOMIC_RELAXED)) {
		round_of(slice->op, &s->w, slice->batch);
		s->done += slice->batch;
	}
}

static unsigned int reap_shared(struct shared *sh)
{
	unsigned int i, n;

	pthread_mutex_lock(&sh->cq);
	n = ring_ready(&sh->r);
	for (i = 0; i < n; i++)
		if (ring_cqe(&sh->r, i)->res < 0)
			die("request", ring_cqe(&sh->r, i)->res);
	ring_seen(&sh->r, n);
	pthread_mutex_unlock(&sh->cq);
	__atomic_fetch_sub(&sh->in_flight, n, __ATOMIC_RELAXED);
	return n;
}

/* Queues a batch with the thread's own data, at the tail of the shared ring. */
static bool queue_shared(struct submitter *s)
{
	struct shared *sh = s->slice->shared;
	unsigned int b = s->slice->batch, used;

	pthread_mutex_lock(&sh->sq);
	used = sh->r.sqe_tail - __atomic_load_n(sh->r.sq_head, __ATOMIC_ACQUIRE);
	if (used + b > SHARED_ENTRIES) {
		pthread_mutex_unlock(&sh->sq);
		return false;
	}
	s->w.r.sqe_tail = sh->r.sqe_tail;
	s->slice->op->queue(&s->w, b);
	sh->r.sqe_tail = s->w.r.sqe_tail;
	__atomic_store_n(sh->r.sq_tail, sh->r.sqe_tail, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&sh->sq);
	return true;
}

/*
 * ENTER may submit requests of other threads, and reaping may find their
 * completions. Only the sums count.
 */
static void run_together(struct submitter *s)
{
	struct slice *slice = s->slice;
	struct shared *sh = slice->shared;
	unsigned int b = slice->batch;
	int ret;

	while (!__atomic_load_n(&slice->stop, __ATOMIC_RELAXED)) {
		if (__atomic_add_fetch(&sh->in_flight, b, __ATOMIC_RELAXED) >
		    SHARED_ENTRIES || !queue_shared(s)) {
			__atomic_fetch_sub(&sh->in_flight, b, __ATOMIC_RELAXED);
			if (!reap_shared(sh))
				sched_yield();
			continue;
		}
		ret = sh->r.backend->enter(sh->r.fd, b, 0, 0);
		if (ret != (int)b)
			die("enter", ret < 0 ? ret : EIO);
		s->done += b;
		reap_shared(sh);
	}
}

static void *submitter(void *arg)
{
	struct submitter *s = arg;

	pthread_barrier_wait(&s->slice->start);
	if (s->slice->shared)
		run_together(s);
	else
		run_alone(s);
	return NULL;
}

static void open_shared(struct shared *sh, const struct backend *backend)
{
	int ret;

	memset(sh, 0, sizeof(*sh));
	pthread_mutex_init(&sh->sq, NULL);
	pthread_mutex_init(&sh->cq, NULL);
	ret = ring_open(&sh->r, backend, SHARED_ENTRIES, 0, 0);
	if (ret)
		die("set-up", ret);
}

static void close_shared(struct shared *sh)
{
	while (__atomic_load_n(&sh->in_flight, __ATOMIC_RELAXED))
		if (!reap_shared(sh))
			usleep(1000);
	ring_close(&sh->r);
}

/* Return: ns per operation, over all threads */
static double run_slice(const struct op *op, const struct backend *backend,
			unsigned int batch, unsigned int threads, bool one_ring)
{
	static struct submitter s[MAX_THREADS];
	struct slice slice = { .op = op, .backend = backend, .batch = batch };
	struct shared shared;
	unsigned long long done = 0;
	long long start;
	unsigned int i;
	int ret;

	if (one_ring) {
		open_shared(&shared, backend);
		slice.shared = &shared;
	}
	pthread_barrier_init(&slice.start, NULL, threads + 1);
	for (i = 0; i < threads; i++) {
		s[i].slice = &slice;
		s[i].done = 0;
		ret = work_open(&s[i].w, op);
		if (ret)
			die("set-up", ret);
		if (one_ring) {
			s[i].w.r = shared.r;
			s[i].w.r.fd = -1;
		} else {
			ret = ring_open(&s[i].w.r, backend, 2 * MAX_BATCH, 0, 0);
		}
		if (ret || pthread_create(&s[i].thread, NULL, submitter, &s[i]))
			die("set-up", ret ? ret : EAGAIN);
	}
	pthread_barrier_wait(&slice.start);
	start = now();
	usleep(quick ? SLICE_US / 10 : SLICE_US);
	__atomic_store_n(&slice.stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++)
		pthread_join(s[i].thread, NULL);
	start = now() - start;
	for (i = 0; i < threads; i++) {
		if (s[i].w.error)
			die("request", s[i].w.error);
		done += s[i].done;
	}
	if (one_ring)
		close_shared(&shared);
	for (i = 0; i < threads; i++)
		work_close(&s[i].w);
	pthread_barrier_destroy(&slice.start);
	return (double)start / done;
}

static const struct op *op_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (!strcmp(ops[i].name, name))
			return &ops[i];
	die(name, EINVAL);
	return NULL;
}

static const struct {
	const char *name, *op;
	unsigned int batch, threads[4];
	bool one_ring;
} rows[] = {
	{ "nop, 32 at a time, one ring per thread", "nop", 32, { 1, 2, 4 }, false },
	{ "nop, 8 at a time, one ring for all", "nop", 8, { 1, 2, 8 }, true },
	{ "read 4 KiB, ext4 page cache, 32 at a time, one ring per thread",
	  "read 4 KiB, ext4 page cache", 32, { 1, 2, 4 }, false },
	{ "read 4 KiB, ext4 page cache, 8 at a time, one ring for all",
	  "read 4 KiB, ext4 page cache", 8, { 1, 2, 8 }, true },
	{ "read 4 KiB, tmpfs, 32 at a time, one ring per thread",
	  "read 4 KiB, tmpfs", 32, { 1, 2, 4 }, false },
	{ "poll an eventfd, armed; write, read, 32 at a time, one ring per thread",
	  "poll an eventfd, armed; write, read", 32, { 1, 2, 4 }, false },
};

void rows_by_threads(const regex_t *only)
{
	double cost, best[2];
	unsigned int i, j, k;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct op *op = op_named(rows[i].op);

		if (!chosen(only, rows[i].name))
			continue;
		for (j = 0; j < 4 && rows[i].threads[j]; j++) {
			unsigned int n = rows[i].threads[j];

			best[0] = 0;
			best[1] = 0;
			for (k = 0; k < 2 * SLICES; k++) {
				const struct backend *backend = k % 2 ? &iouring2 : &in_tree;

				clock_is_for(rows[i].name, n, backend->name);
				cost = run_slice(op, backend, rows[i].batch, n,
						 rows[i].one_ring);
				if (!best[k % 2] || cost < best[k % 2])
					best[k % 2] = cost;
			}
			print_row(rows[i].name, n, best[0], best[1], "ns");
		}
	}
}
