// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completions need no memory (I1): while requests complete, every allocation
 * with the module on its call stack fails, in every task and in interrupts.
 * Each completion must nevertheless come exactly once.
 *
 * The kernel's own io_uring gets the same load with its own allocations
 * failing. The completions that it loses are printed next to ours, and are not
 * judged.
 *
 * Each context that completes requests is a row of the table.
 * IOURING2_STRESS=full runs 1000000 requests in all, and IOURING2_STARVE=N runs
 * N. Each row prints a line for tools/sweeps.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fixture.h"
#include "inject.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG

#define SQ		64
#define CQ		64
#define BATCH		(4 * CQ)	/* a quarter fits in the CQ */

/* --- the two ----------------------------------------------------------- */

struct range {
	unsigned long start, end;
};

/* Both engines use the same structures and constants */
struct engine {
	const char *name;
	int (*setup)(struct iouring2_setup *s);
	int (*enter)(int fd, unsigned int submit, unsigned int min,
		     unsigned int flags, const void *arg, size_t size);
	struct range text;
};

static int tree_setup(struct iouring2_setup *s)
{
	int fd = syscall(__NR_io_uring_setup, s->entries, &s->params);

	return fd < 0 ? -errno : fd;
}

static int tree_enter(int fd, unsigned int submit, unsigned int min,
		      unsigned int flags, const void *arg, size_t size)
{
	int ret = syscall(__NR_io_uring_enter, fd, submit, min, flags, arg,
			  size);

	return ret < 0 ? -errno : ret;
}

static struct engine ours = { "iouring2", dev_setup, enter };
static struct engine theirs = { "io_uring", tree_setup, tree_enter };

/* Widen a range to include the function at @at */
static void range_add(struct range *r, unsigned long at)
{
	/*
	 * the size is not known: assume that a function is not larger than a
	 * page
	 */
	if (!r->start || at < r->start)
		r->start = at;
	if (at + 4096 > r->end)
		r->end = at + 4096;
}

static bool is_one_of(const char *name, const char * const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/* Functions of a few object files, each of which the linker keeps together */
static const char * const tree_names[] = {
	"io_submit_sqes", "io_issue_sqe", "io_cqring_wait", "io_queue_iowq",
	"io_req_caches_free", "io_ring_exit_work", "io_uring_setup",
	"io_fill_cqe_req_aux", "io_req_task_work_add_remote",
	"__io_req_task_work_add", "io_cqring_event_overflow",
	"io_cqring_overflow_flush", "__io_cqring_overflow_flush",
	"__io_submit_flush_completions", "io_req_cqe_overflow", NULL
};

/*
 * The memory pool of debugobjects must not be starved: it would disable itself
 */
static const char * const debugobjects_names[] = {
	"fill_pool", "__debug_object_init", "debug_object_init",
	"debug_object_activate", "debug_object_free",
	"debug_object_assert_init", "lookup_object_or_alloc", NULL
};

static struct range spared;

static bool find_text(void)
{
	char line[256], type, name[128], module[64];
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long at;
	int n;

	while (f && fgets(line, sizeof(line), f)) {
		n = sscanf(line, "%lx %c %127s %63s", &at, &type, name, module);
		if (n < 3 || (type != 't' && type != 'T'))
			continue;
		if (n == 4 && !strcmp(module, "[iouring2]"))
			range_add(&ours.text, at);
		else if (n == 3 && is_one_of(name, tree_names))
			range_add(&theirs.text, at);
		else if (n == 3 && is_one_of(name, debugobjects_names))
			range_add(&spared, at);
	}
	if (f)
		fclose(f);
	return ours.text.end && theirs.text.end;
}

/* --- starving ---------------------------------------------------------- */

static const char * const faults[] = { "failslab", "fail_page_alloc" };

static void fault_hex(const char *fault, const char *name, unsigned long v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%lx", v);
	fault_knob(fault, name, text);
}

/* There is only one stack filter, and kmemleak may use it already */
static bool filter_is_free(void)
{
	char text[32];

	return read_text(FAULT_DIR "failslab/reject-start", text,
			 sizeof(text)) > 0 && !strtoul(text, NULL, 0);
}

static bool starve_ready(const struct engine *e)
{
	unsigned int i;

	if (!inject_ready())
		return false;
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		fault_knob(faults[i], "probability", "0");
		fault_knob(faults[i], "task-filter", "N");
		fault_knob(faults[i], "interval", "1");
		fault_knob(faults[i], "times", "1000000000");
		fault_knob(faults[i], "stacktrace-depth", "32");
		fault_hex(faults[i], "require-start", e->text.start);
		fault_hex(faults[i], "require-end", e->text.end);
		fault_hex(faults[i], "reject-start", spared.start);
		fault_hex(faults[i], "reject-end", spared.end);
	}
	return true;
}

static void starve(bool on)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		fault_knob(faults[i], "probability", on ? "100" : "0");
}

static void starve_end(void)
{
	unsigned int i;

	starve(false);
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		fault_hex(faults[i], "require-start", 0);
		fault_hex(faults[i], "require-end", -1UL);
		fault_hex(faults[i], "reject-start", 0);
		fault_hex(faults[i], "reject-end", 0);
		fault_knob(faults[i], "times", "1");
	}
}

/* How many allocations have failed since starve_ready() */
static long starved(void)
{
	char path[128], text[32];
	unsigned int i;
	long sum = 0;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		snprintf(path, sizeof(path), FAULT_DIR "%s/times", faults[i]);
		if (read_text(path, text, sizeof(text)) > 0)
			sum += 1000000000 - atol(text);
	}
	return sum;
}

/* --- load -------------------------------------------------------------- */

struct load {
	const struct engine *e;
	const struct context *c;
	struct ring r;
	int event, pipe[2], file, disk;
	int go[2];		/* each byte makes the other trigger */
	pid_t other;
	char *buf;
	struct __kernel_timespec ts;
	unsigned int submitted;	/* user_data is 0, 1, ... */
	unsigned char *seen;	/* CQEs seen of this batch */
	unsigned int batch;	/* first user_data of the batch */
	long missing, twice, nomem, busy, again, badr;
};

struct context {
	const char *name;
	int share;		/* of a thousand requests */
	void (*prep)(struct iouring2_sqe *sqe, struct load *l);
	/* completes the requests; called in the other process if @other */
	void (*trigger)(struct load *l);
	bool other;
	bool inside;		/* the submitter waits in ENTER */
	bool gated;		/* all requests wait behind a barrier */
	bool cached;		/* they complete when submitted */
};

static void p_nop(struct iouring2_sqe *sqe, struct load *l)
{
	prep_nop(sqe);
}

static void p_poll(struct iouring2_sqe *sqe, struct load *l)
{
	prep_poll(sqe, l->event, POLLIN);
}

static void p_read(struct iouring2_sqe *sqe, struct load *l)
{
	prep_read(sqe, l->pipe[0], l->buf, 1, -1);
}

static void p_timeout(struct iouring2_sqe *sqe, struct load *l)
{
	prep_timeout(sqe, &l->ts, 0, 0);
}

static void p_worker(struct iouring2_sqe *sqe, struct load *l)
{
	prep_read(sqe, l->file, l->buf, 64, 0);
	sqe->flags = IOURING2_SQE_ASYNC;
}

static void p_disk(struct iouring2_sqe *sqe, struct load *l)
{
	prep_read(sqe, l->disk, l->buf, 4096, 0);
}

static void t_event(struct load *l)
{
	uint64_t v = 1;

	if (write(l->event, &v, sizeof(v)) != sizeof(v))
		abort();
}

static void t_pipe(struct load *l)
{
	char bytes[BATCH] = "";

	if (write(l->pipe[1], bytes, BATCH) != BATCH)
		abort();
}

static void t_cancel(struct load *l);

static const struct context contexts[] = {
	{ "submitter", 200, p_nop, .cached = true },
	{ "waiter in ENTER, woken by a process", 150, p_poll, t_event, true,
	  true },
	{ "work item, woken by a process", 150, p_poll, t_event, true },
	{ "waiter in ENTER, reads of a pipe", 100, p_read, t_pipe, true,
	  true },
	{ "work item, reads of a pipe", 100, p_read, t_pipe, true },
	{ "timers, waiter in ENTER", 50, p_timeout, t_event, .gated = true,
	  .inside = true },
	{ "timers, work item", 50, p_timeout, t_event, .gated = true },
	{ "workers", 90, p_worker, t_event, .gated = true },
	{ "cancelled by the submitter", 100, p_poll, t_cancel },
	{ "direct I/O", 10, p_disk },
};

static int eng_submit(struct load *l, unsigned int nr, unsigned int min,
		      unsigned int flags)
{
	int ret = l->e->enter(l->r.fd, nr, min, flags, NULL, 0);

	l->busy += ret == -EBUSY;
	l->again += ret == -EAGAIN;
	l->badr += ret == -EBADR;
	return ret;
}

/* Return: how many CQEs of this batch are missing */
static long reap(struct load *l)
{
	struct iouring2_cqe cqe;
	unsigned int at;

	while (ring_peek(&l->r, &cqe)) {
		at = cqe.user_data - l->batch;
		/* of an auxiliary request */
		if (cqe.user_data == -1ULL)
			continue;
		if (at >= BATCH || l->seen[at]++)
			l->twice++;
		else
			l->missing--;
		l->nomem += cqe.res == -ENOMEM;
	}
	return l->missing;
}

static void flush(struct load *l)
{
	struct __kernel_timespec ts = ts_ns(20 * NSEC_PER_MSEC);
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&ts };
	int ret = l->e->enter(l->r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg,
			      sizeof(arg));

	l->badr += ret == -EBADR;
}

/*
 * Reap until all CQEs have come that were not dropped, or a time limit is over
 */
static void reap_all(struct load *l, unsigned int dropped)
{
	long long end = now_ns(CLOCK_MONOTONIC) + 30 * NSEC_PER_SEC;

	while (reap(l) > (long)(ld_acq(l->r.cq_overflow) - dropped) &&
	       now_ns(CLOCK_MONOTONIC) < end)
		flush(l);
}

/*
 * Cancel one request, the only one that can be found: its end completes @nr
 * more
 */
static void t_cancel(struct load *l)
{
	struct iouring2_sqe *sqe = ring_sqe(&l->r);

	prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_ANY);
	sqe->user_data = -1ULL;
	ring_publish(&l->r);
	eng_submit(l, 1, 0, 0);
}

static int queue(struct load *l, unsigned int nr)
{
	struct iouring2_sqe *sqe;
	int ret;

	while (nr--) {
		sqe = ring_sqe(&l->r);
		l->c->prep(sqe, l);
		if (l->c->gated && l->submitted == l->batch)
			sqe->flags |= IOURING2_SQE_IO_DRAIN;
		sqe->user_data = l->submitted++;
	}
	do {
		ret = eng_submit(l, ring_publish(&l->r), 0, 0);
		if (ret < 0)
			flush(l);
		/* no barrier holds them back, so some have completed already */
		if (ret == -EBUSY && !l->c->gated) {
			reap(l);
			ret = 0;
		}
	} while (ring_unsubmitted(&l->r) && ret != -EBUSY && ret != -EAGAIN);
	return ret < 0 ? ret : 0;
}

/* Block the batch until all of it is submitted */
static void close_gate(struct load *l)
{
	struct iouring2_sqe *sqe = ring_sqe(&l->r);

	prep_poll(sqe, l->event, POLLIN);
	sqe->user_data = -1ULL;
	l->e->enter(l->r.fd, ring_publish(&l->r), 0, 0, NULL, 0);
}

/*
 * After one request in a worker, there is at least one worker while the ring
 * exists
 */
static void make_worker(struct load *l)
{
	struct iouring2_sqe *sqe = ring_sqe(&l->r);

	p_worker(sqe, l);
	sqe->user_data = -1ULL;
	l->e->enter(l->r.fd, ring_publish(&l->r), 1, GETEVENTS, NULL, 0);
	reap(l);
}

/* A request needs no memory if the ring has a free one cached, so cache some */
static void fill_cache(struct load *l)
{
	struct iouring2_cqe cqe;
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < SQ; i++) {
		sqe = ring_sqe(&l->r);
		prep_nop(sqe);
		sqe->user_data = -1ULL;
	}
	l->e->enter(l->r.fd, ring_publish(&l->r), 0, 0, NULL, 0);
	while (ring_peek(&l->r, &cqe))
		;
}

/*
 * The second ENTER uses the requests that the first one freed, while the CQ is
 * full
 */
static int round_inline(struct load *l)
{
	unsigned int dropped = ld_acq(l->r.cq_overflow), i;
	int ret = 0;

	fill_cache(l);
	l->batch = l->submitted;
	l->missing = 2 * CQ;
	memset(l->seen, 0, BATCH);
	starve(true);
	for (i = 0; i < 2 && !ret; i++)
		ret = queue(l, CQ);
	reap_all(l, dropped);
	starve(false);
	return ret;
}

/*
 * All requests of the batch wait, and then complete. There is no room in the CQ
 * for three quarters of them.
 */
static int round_later(struct load *l)
{
	unsigned int dropped = ld_acq(l->r.cq_overflow), i;
	int ret = 0;
	uint64_t v;

	l->batch = l->submitted;
	l->missing = BATCH;
	memset(l->seen, 0, BATCH);
	if (l->c->gated)
		close_gate(l);
	for (i = 0; i < BATCH / SQ && !ret; i++)
		ret = queue(l, SQ);
	/* the allocation of the cancelling request is not tested here */
	if (l->c->trigger == t_cancel)
		fill_cache(l);
	starve(true);
	if (l->c->other) {
		if (write(l->go[1], "x", 1) != 1)
			return -EPIPE;
	} else if (l->c->trigger) {
		l->c->trigger(l);
	}
	/* no task is in ENTER: the requests complete without help */
	if (!l->c->inside)
		until_ms(ring_ready(&l->r) == CQ, 20);
	reap_all(l, dropped);
	starve(false);
	if (l->c->trigger == t_event && read(l->event, &v, sizeof(v)) !=
	    sizeof(v))
		return -EIO;
	return ret;
}

/* The other process completes the requests when it is told to */
static void other(struct load *l)
{
	char c;

	close(l->go[1]);
	while (read(l->go[0], &c, 1) == 1) {
		/* give the submitter time to fall asleep in ENTER */
		if (l->c->inside)
			usleep(500);
		l->c->trigger(l);
	}
	_exit(0);
}

static int load_open(struct load *l)
{
	memset(&l->r, 0, sizeof(l->r));
	l->event = eventfd(0, EFD_CLOEXEC);
	l->file = tmp_file(4096);
	l->disk = disk_open();
	l->ts = ts_ns(1);
	l->seen = calloc(1, BATCH);
	l->buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (l->event < 0 || l->file < 0 || l->buf == MAP_FAILED ||
	    pipe2(l->pipe, O_CLOEXEC) || pipe2(l->go, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	l->other = l->c->other ? fork() : -1;
	if (!l->other)
		other(l);
	close(l->go[0]);
	l->r.setup.entries = SQ;
	l->r.setup.params.flags = IOURING2_SETUP_CQSIZE;
	l->r.setup.params.cq_entries = CQ;
	l->r.fd = l->e->setup(&l->r.setup);
	return l->r.fd < 0 ? l->r.fd : ring_map(&l->r);
}

static void load_close(struct load *l)
{
	ring_exit(&l->r);
	close(l->go[1]);
	if (l->other > 0)
		waitpid(l->other, NULL, 0);
	close(l->event);
	close(l->file);
	close(l->disk);
	close(l->pipe[0]);
	close(l->pipe[1]);
	munmap(l->buf, 4096);
	free(l->seen);
}

struct result {
	long requests, lost, twice, dropped, nomem, busy, again, badr, starved;
	int err;
};

static struct result run(const struct engine *e, const struct context *c,
			 long nr)
{
	struct result res = { };
	struct load l = { .e = e, .c = c };

	res.err = load_open(&l);
	if (c->prep == p_disk && l.disk < 0)
		nr = 0;
	if (!res.err && c->prep == p_worker)
		make_worker(&l);
	while (!res.err && (long)l.submitted < nr) {
		res.err = c->cached ? round_inline(&l) : round_later(&l);
		res.lost += l.missing;
		/*
		 * ours: stop at the first loss, because each loss costs the
		 * whole time limit
		 */
		if (e == &ours && res.lost)
			break;
		/*
		 * in-tree: a lost completion does not come later, so continue
		 */
		if (e == &theirs && (res.err == -EBUSY || res.err == -EAGAIN))
			res.err = 0;
	}
	if (!res.err)
		res.dropped = ld_acq(l.r.cq_overflow);
	res.requests = l.submitted;
	res.twice = l.twice;
	res.nomem = l.nomem;
	res.busy = l.busy;
	res.again = l.again;
	res.badr = l.badr;
	load_close(&l);
	return res;
}

static long load_size(void)
{
	return env_long("IOURING2_STARVE", full_stress() ? 1000000 : 20000);
}

/* --- tests ------------------------------------------------------------- */

#define NEED_STARVING()							\
do {									\
	if (!filter_is_free() || !find_text() || !starve_ready(&ours))	\
		SKIP(return, "no stack filter for fault injection");	\
} while (0)

/*
 * This shows that the module is starved: it cannot accept a request without
 * memory
 */
RING_TEST(nothing_accepted)
{
	struct ring r;

	NEED_STARVING();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	prep_nop(ring_sqe(&r));
	ring_publish(&r);
	starve(true);
	EXPECT_EQ(-EAGAIN, enter(r.fd, 1, 0, 0, NULL, 0));
	starve(false);
	EXPECT_LT(0, starved());
	EXPECT_EQ(1, (int)ring_unsubmitted(&r));
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	starve_end();
	ring_exit(&r);
}

/*
 * A task in ENTER runs a request that another process submitted. Only a worker
 * may use the memory of the submitter. No worker can be made, so the workqueue
 * executes the request in the end.
 */
RING_TEST(run_by_another_process)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int fd[2], status;
	char c = 0;
	struct ring r;
	pid_t pid;

	NEED_STARVING();
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_read(sqe, fd[0], &c, 1, -1);
	sqe->user_data = 1;
	EXPECT_EQ(1, ring_submit(&r));
	pid = fork();
	ASSERT_LE(0, pid);
	/*
	 * wait for two CQEs, so that the task is still in ENTER after the first
	 */
	if (!pid)
		_exit(enter(r.fd, 0, 2, GETEVENTS, NULL, 0) ? 1 : 0);
	EXPECT_TRUE(until(task_sleeps(pid)));
	starve(true);
	EXPECT_EQ(1, write(fd[1], "x", 1));
	EXPECT_TRUE(until(ring_ready(&r) == 1));
	starve(false);
	EXPECT_LT(0, starved());
	starve_end();
	EXPECT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(1, cqe.res);
	EXPECT_EQ('x', c);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
}

/*
 * A process exits, but its descriptors are shared, so no file is closed. Its
 * request ends without allocating memory.
 */
RING_TEST(process_ends)
{
	int fd[2], go[2], status;
	struct iouring2_cqe cqe;
	static char c;
	struct ring r;
	pid_t pid;

	NEED_STARVING();
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, fcntl(fd[0], F_SETFL, 0));
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	ASSERT_LE(0, pid);
	if (!pid) {
		prep_read(ring_sqe(&r), fd[0], &c, 1, -1);
		_exit(ring_submit(&r) == 1 && read(go[0], &c, 1) == 1 ? 0 : 1);
	}
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 1));
	starve(true);
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(until(ring_ready(&r) == 1));
	starve(false);
	EXPECT_EQ(0, starved());
	starve_end();
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(1, write(fd[1], "x", 1));
	EXPECT_EQ(1, read(fd[0], &c, 1));
	ring_exit(&r);
	close(fd[0]);
	close(fd[1]);
	close(go[0]);
	close(go[1]);
}

/* A ring can be freed without memory, whatever is in flight */
RING_TEST(close)
{
	struct state before;
	unsigned int i;
	struct load l;

	NEED_STARVING();
	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		l = (struct load){ .e = &ours, .c = &contexts[i] };
		state_read(&before);
		ASSERT_EQ(0, load_open(&l));
		if (l.c->gated)
			close_gate(&l);
		if (l.c->prep != p_disk || l.disk >= 0)
			EXPECT_EQ(0, queue(&l, SQ - 1));
		ring_unmap(&l.r);
		starve(true);
		close(l.r.fd);
		starve(false);
		l.r.fd = -1;
		EXPECT_STREQ("", state_diff(&before, false)) {
			TH_LOG("%s", contexts[i].name);
		}
		load_close(&l);
	}
	starve_end();
}

/* A million requests take minutes */
TEST_F_TIMEOUT(ring, every_context, 10 * LIMIT)
{
	struct result us, them;
	unsigned int i;
	long nr;

	NEED_STARVING();
	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		nr = load_size() * contexts[i].share / 1000;
		starve_ready(&ours);
		us = run(&ours, &contexts[i], nr);
		us.starved = starved();
		starve_ready(&theirs);
		them = run(&theirs, &contexts[i], nr / 10);
		them.starved = starved();
		EXPECT_EQ(0, us.err);
		EXPECT_EQ(0, us.lost);
		EXPECT_EQ(0, us.twice);
		EXPECT_EQ(0, us.dropped);
		EXPECT_EQ(0, us.badr);
		EXPECT_LE(nr, us.requests) {
			TH_LOG("%s", contexts[i].name);
		}
		printf("# starve\t%s\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld of %ld\t%ld\t%ld\n",
		       contexts[i].name, us.requests, us.lost, us.dropped,
		       us.nomem, us.starved, them.lost, them.requests,
		       them.dropped, them.badr);
		if (them.err)
			printf("# %s: in-tree: errno %d\n", contexts[i].name,
			       -them.err);
		fflush(stdout);
	}
	starve_end();
}

RING_TEST_MAIN
