// SPDX-License-Identifier: GPL-2.0-only
/*
 * A worker is the last user of the memory of a process that has ended, and gives
 * it back while another process ends the ring. The ring was not told of the end:
 *
 *   - the process submits with one fd table, and gets a copy by unshare(2)
 *   - the first table ends; the copy has the ring, so the requests go on
 *   - another process shares the copy
 *   - close_range(2) with CLOSE_RANGE_UNSHARE replaces the copy in the first
 *     process by one that lacks the ring
 *   - the first process unmaps the ring, and exits
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "close_range.h"

#define ROUNDS		20

/*
 * Memory that all processes share
 * @first: the process that submits
 * @over: the process with the first table shall exit
 * @pinned: number of workers on the processor of the process that ends the ring
 */
struct play {
	struct ring r;
	pid_t first;
	bool over;
	int pinned;
};

/* Keep a thread on a processor, where no ordinary thread interrupts it if @fifo */
static int pin(pid_t pid, int cpu, bool fifo)
{
	struct sched_param rt = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(pid, sizeof(set), &set) ||
	       (fifo && sched_setscheduler(pid, SCHED_FIFO, &rt));
}

/* May this process use both processors, and the real-time policy? */
static bool may_pin(void)
{
	struct sched_param rt = { .sched_priority = 50 }, none = {};
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_ISSET(0, &set) &&
	       CPU_ISSET(1, &set) && !sched_setscheduler(0, SCHED_FIFO, &rt) &&
	       !sched_setscheduler(0, SCHED_OTHER, &none);
}

static int pin_workers(int cpu)
{
	DIR *proc = opendir("/proc");
	char path[300], comm[64];
	struct dirent *e;
	int nr = 0;

	while (proc && (e = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		if (atoi(e->d_name) > 0 &&
		    read_text(path, comm, sizeof(comm)) > 0 &&
		    !strncmp(comm, "iou2-wrk", 8))
			nr += !pin(atoi(e->d_name), cpu, false);
	}
	if (proc)
		closedir(proc);
	return nr;
}

static bool has_ended(pid_t pid)
{
	char path[60], text[500], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return true;
	at = strrchr(text, ')');
	return at && (at[2] == 'Z' || at[2] == 'X');
}

/*
 * On the worker's processor, and ahead of it: the worker runs only in the short
 * sleeps of this process. So this process sees that the last request has
 * completed, and ends the ring, mostly before the worker gives the mm back.
 */
static void ends_ring(struct play *p)
{
	ring_unmap(&p->r);
	if (pin(0, 0, true))
		_exit(1);
	st_rel(&p->pinned, pin_workers(0));
	until_ms(has_ended(p->first), SOON);
	while (fdinfo(p->r.fd, "Inflight") > 0)
		usleep(20);
	close(p->r.fd);
	_exit(0);
}

/* Return: "", or what failed */
static const char *loses_ring(struct play *p)
{
	pid_t other = fork_sharing();

	if (!other) {
		until_ms(ld_acq(&p->over), 4 * SOON);
		_exit(0);
	}
	if (unshare(CLONE_FILES))
		return "unshare";
	st_rel(&p->over, true);
	if (reap_ms(other, SOON))
		return "the first table does not end";
	if (!fork_sharing())
		ends_ring(p);
	if (unshare_without(p->r.fd))
		return "close_range";
	ring_unmap(&p->r);
	return until_ms(ld_acq(&p->pinned) > 0, SOON) ? "" : "no worker";
}

static const char *ends_unnoticed(void *arg)
{
	int file = tmp_file(4096);
	struct play *p = arg;
	struct absent a;

	st_rel(&p->first, getpid());
	if (pin(0, 1, false) || file < 0 || ring_init(&p->r, 16, 0) ||
	    absent_make(&a))
		return "no ring, no file, or no absent page";
	add(&p->r, IOURING2_OP_READ, file, a.page, 8, 0, ASYNC, TRIED);
	if (submit_all(&p->r) || !absent_wanted(&a, SOON))
		return "no worker";
	/* the other process keeps the page absent */
	return loses_ring(p);
}

BOUNDED_TEST(worker_gives_it_back_late)
{
	struct play *p;
	int i;

	if (!may_pin())
		SKIP(return, "no processors 0 and 1, or no real-time policy");
	for (i = 0; i < ROUNDS; i++) {
		p = shared_new(sizeof(*p));
		ASSERT_NE(NULL, p);
		EXPECT_CHILD(ends_unnoticed, p);
		EXPECT_TRUE(until_ms(!*state_diff(&self->before, false), SOON));
		munmap(p, sizeof(*p));
	}
	/* a watch that was queued too late would run now */
	usleep(1000000);
}

RING_TEST_MAIN
