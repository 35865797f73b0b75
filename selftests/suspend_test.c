// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspend: workers that write are frozen like any process, so that nothing is
 * written after a memory image was taken. Workers that wait must not delay
 * suspend. With pm_test, the kernel only freezes the tasks and then continues.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "trace.h"

#define PF_NOFREEZE	0x00008000

static char data[512], buf[64];

/*
 * Freeze all tasks and thaw them again. Return: 0, or -EBUSY if one of them
 * could not be frozen.
 */
static int suspend(void)
{
	int ret = write_text("/sys/power/state", "freeze");

	return ret == -EINVAL ? write_text("/sys/power/state", "mem") : ret;
}

static bool no_suspend(const char **why)
{
	*why = "IOURING2_INTRUSIVE is not set";
	if (!intrusive())
		return true;
	*why = "no /sys/power/pm_test";
	if (write_text("/sys/power/pm_test", "freezer"))
		return true;
	/*
	 * how many seconds it stays frozen; a kernel without this uses the
	 * default
	 */
	write_text("/sys/module/suspend/parameters/pm_test_delay", "1");
	write_text("/sys/power/pm_freeze_timeout", "10000");
	return false;
}

/*
 * Return: the number of the module's kernel threads, and how many cannot be
 * frozen
 */
static int module_threads(int *nofreeze)
{
	DIR *dir = opendir("/proc");
	char path[300], text[600], *p;
	unsigned long flags;
	struct dirent *de;
	int nr = 0;

	*nofreeze = 0;
	while (dir && (de = readdir(dir))) {
		if (!isdigit(de->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", de->d_name);
		if (read_text(path, text, sizeof(text)) <= 0)
			continue;
		p = strchr(text, '(');
		if (!p || strncmp(p, "(iou2-", 6))
			continue;
		p = strrchr(text, ')');
		if (sscanf(p, ") %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
			continue;
		nr++;
		*nofreeze += !!(flags & PF_NOFREEZE);
	}
	if (dir)
		closedir(dir);
	return nr;
}

/*
 * All threads of the module can be frozen, once they have started. Return:
 * their number, or -1.
 */
static int freezable_threads(void)
{
	int nr, nofreeze;

	return until_ms((nr = module_threads(&nofreeze), !nofreeze), SOON) ? nr : -1;
}

static int file_on_disk(void)
{
	char path[] = "/var/tmp/iouring2-suspend-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	unlink(path);
	return fd;
}

BOUNDED_TEST(idle_bounded_worker)
{
	int fd = file_on_disk();
	const char *why;
	struct ring r;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ(512, do_one(&r, IOURING2_OP_WRITE, fd, data, 512, 0, ASYNC));
	EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, ASYNC));
	EXPECT_LT(0, freezable_threads());
	EXPECT_EQ(0, suspend());
	EXPECT_EQ(512, do_one(&r, IOURING2_OP_WRITE, fd, data, 512, 0, ASYNC));
	EXPECT_EQ(512, do_one(&r, IOURING2_OP_READ, fd, data, 512, 0, 0));
	ring_exit(&r);
	close(fd);
}

/* A worker continues a request that waited, while no task is in ENTER */
BOUNDED_TEST(retry_worker)
{
	int p[2];
	const char *why;
	struct ring r;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* A socket can be read without blocking on every kernel */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p));
	add(&r, IOURING2_OP_READ, p[0], buf, 1, 0, 0, 1);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(1, write(p[1], "x", 1));
	EXPECT_EQ(1, seen_ms(&r, 1, SOON));
	EXPECT_LE(0, freezable_threads());
	add(&r, IOURING2_OP_READ, p[0], buf, 1, 0, 0, 2);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, suspend());
	ASSERT_EQ(1, write(p[1], "x", 1));
	EXPECT_EQ(1, seen_ms(&r, 2, SOON));
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

/* Many writes are running before, during and after suspend */
BOUNDED_TEST(queued_writes)
{
	enum { NR = 4000 };
	int fd = file_on_disk(), i, good = 0;
	const char *why;
	struct ring r;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 4096, 8192));
	for (i = 0; i < NR; i++)
		add(&r, i % 100 == 99 ? IOURING2_OP_FSYNC : IOURING2_OP_WRITE, fd,
		    i % 100 == 99 ? NULL : data, i % 100 == 99 ? 0 : 512,
		    i % 100 == 99 ? 0 : (__u64)i * 512, ASYNC, i);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_LT(0, freezable_threads());
	EXPECT_EQ(0, suspend());
	for (i = 0; i < NR; i++)
		good += res_ms(&r, i, SOON) == (i % 100 == 99 ? 0 : 512);
	EXPECT_EQ(NR, good);
	EXPECT_EQ(0, suspend());
	ring_exit(&r);
	close(fd);
}

/* The number of bytes in a pipe */
static int in_pipe(int fd)
{
	int nr = 0;

	return ioctl(fd, FIONREAD, &nr) ? -errno : nr;
}

/* Read all bytes of a pipe. Return: their number. */
static int drain(int fd)
{
	static char out[1 << 16];
	int nr, all = 0;

	while (in_pipe(fd) > 0 && (nr = read(fd, out, sizeof(out))) > 0)
		all += nr;
	return all;
}

/*
 * On a kernel that cannot write to a pipe without blocking, a worker waits
 * until all is written. The reader of the pipe may be frozen before the worker.
 */
BOUNDED_TEST(writing_worker)
{
	static char many[1 << 18];
	int p[2], res = NEVER, got = 0, i;
	const char *why;
	struct ring r;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	add(&r, IOURING2_OP_WRITE, p[1], many, sizeof(many), 0, ASYNC, 1);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_TRUE(until_ms(in_pipe(p[0]) == fcntl(p[0], F_GETPIPE_SZ), SOON));
	EXPECT_EQ(0, suspend());
	for (i = 0; i < SOON / 10 && res == NEVER; i++) {
		got += drain(p[0]);
		res = res_ms(&r, 1, 10);
	}
	EXPECT_EQ(res, got + drain(p[0]));
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
}

/* Requests wait for another task, which may be frozen before their workers */
BOUNDED_TEST(blocked_workers)
{
	int p[2], sv[2], i;
	const char *why;
	struct ring r;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	for (i = 0; i < 4; i++) {
		add(&r, IOURING2_OP_READ, p[0], buf, 1, 0, i % 2 ? ASYNC : 0, i);
		add(&r, IOURING2_OP_READ, sv[0], buf, 1, 0, i % 2 ? ASYNC : 0,
		    10 + i);
	}
	ASSERT_EQ(0, submit_all(&r));
	usleep(50000);
	EXPECT_EQ(0, suspend());
	EXPECT_EQ(0U, ring_ready(&r));
	ASSERT_EQ(4, write(p[1], "1234", 4));
	ASSERT_EQ(4, write(sv[1], "1234", 4));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, seen_ms(&r, i, SOON)) {
			TH_LOG("pipe, %d", i);
		}
		EXPECT_EQ(1, seen_ms(&r, 10 + i, SOON)) {
			TH_LOG("socket, %d", i);
		}
	}
	ring_exit(&r);
	close(p[0]);
	close(p[1]);
	close(sv[0]);
	close(sv[1]);
}

/* Completions before all tasks were frozen, while they were, and afterwards */
struct when {
	int before, frozen, after;
};

/* Sort the completions in a trace. Return: false without a whole suspend. */
static bool when_completed(const struct trace *t, struct when *w)
{
	static char raw[TRACE_MAX];
	char path[96], *line, *save;
	int *now = &w->before;

	memset(w, 0, sizeof(*w));
	snprintf(path, sizeof(path), "%s/trace", t->dir);
	if (trace_read(path, raw, sizeof(raw)) < 0)
		return false;
	for (line = strtok_r(raw, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, ": suspend_resume: freeze_processes[0] end"))
			now = &w->frozen;
		else if (strstr(line, ": suspend_resume: thaw_processes[0] begin"))
			now = &w->after;
		else if (strstr(line, ": iouring2_complete: "))
			++*now;
	}
	return now == &w->after;
}

static const char *trace_suspend(struct trace *t)
{
	const char *why = trace_open(t);

	if (why)
		return why;
	if (trace_write(t, "events/power/suspend_resume/enable", "1"))
		return "no event of suspend";
	return trace_event(t, "complete", true) ? "no event of the module" : NULL;
}

/*
 * Each timer of a long chain is started by the work item that completes the one
 * before it. The work item freezes: no timer completes while tasks are frozen.
 */
BOUNDED_TEST(deferred_work)
{
	enum { NR = 400, PERIOD_MS = 50 };
	static struct trace t;
	const char *why;
	struct when w;
	struct ring r;
	__u32 tail;
	int i;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	why = trace_suspend(&t);
	if (why) {
		trace_close(&t);
		SKIP(return, "%s", why);
	}
	ASSERT_EQ(0, ring_init(&r, 512, 0));
	for (i = 0; i < NR; i++)
		add_timer(&r, PERIOD_MS, i < NR - 1 ? HARDLINK : 0, i);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_TRUE(until(ld_acq(r.cq_tail)));
	EXPECT_EQ(0, suspend());
	tail = ld_acq(r.cq_tail);
	EXPECT_TRUE(until(ld_acq(r.cq_tail) > tail + 1));
	EXPECT_TRUE(when_completed(&t, &w));
	EXPECT_LT(0, w.before);
	EXPECT_EQ(0, w.frozen);
	EXPECT_LT(0, w.after);
	trace_write(&t, "events/power/suspend_resume/enable", "0");
	trace_close(&t);
	ring_exit(&r);
}

static const char *waits_in_enter(void *arg)
{
	struct ring *r = arg;
	char b[8];
	int p[2];

	ring_sync(r);
	if (pipe2(p, O_CLOEXEC))
		return "no pipe";
	add(r, IOURING2_OP_READ, p[0], b, 1, 0, 0, 5);
	if (submit_all(r))
		return "not submitted";
	if (res_ms(r, 5, 4000) != NEVER)
		return "the read ended without data";
	if (write(p[1], "x", 1) != 1)
		return "cannot write";
	return res_ms(r, 5, SOON) == 1 ? "" : "the read did not end";
}

/*
 * A task that waits in ENTER is frozen there, and continues to wait afterwards
 */
BOUNDED_TEST(waiting_process)
{
	const char *why, *said;
	struct ring r;
	int status;
	pid_t pid;

	if (no_suspend(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = fork();
	if (!pid) {
		said = waits_in_enter(&r);
		if (*said)
			TH_LOG("%s", said);
		_exit(*said != 0);
	}
	usleep(200000);
	EXPECT_EQ(0, suspend());
	status = reap_ms(pid, 30000);
	EXPECT_EQ(0, status);
	if (status == -ETIME)
		kill(pid, SIGKILL);
	ring_exit(&r);
}

/* Restore the settings, whatever the results of the other tests */
BOUNDED_TEST(settings)
{
	if (access("/sys/power/pm_test", W_OK) || !intrusive())
		SKIP(return, "no setting to restore");
	EXPECT_EQ(0, write_text("/sys/power/pm_test", "none"));
	EXPECT_EQ(0, write_text("/sys/power/pm_freeze_timeout", "20000"));
	write_text("/sys/module/suspend/parameters/pm_test_delay", "5");
}

RING_TEST_MAIN
