// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many workers there are, and how long they exist. A process that submits
 * under more and more identities does not get more and more workers. When there
 * are too many workers, each process may nevertheless have one. Workers are in
 * no cgroup of their process, but their reads and writes are accounted to it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "kthread.h"

#define TOTAL	"workers_total"

static long total_was;

/* Return: whether the parameter can be changed. If so, call total_restore(). */
static bool total_set(long nr)
{
	total_was = module_param(TOTAL);
	return module_param_set(TOTAL, nr) >= 0;
}

static void total_restore(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, module_param_set(TOTAL, total_was));
}

static const char *changes_identity(void *arg)
{
	enum { ROUNDS = 40, FEW = 8 };
	int fd = tmp_file(4096), i, ret, most = 0, now;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0))
		return "no file, or no ring";
	for (i = 0; i < ROUNDS; i++) {
		ret = next_identity();
		if (ret)
			return reason("setrlimit: %d", ret);
		ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
		if (ret)
			return reason("FSYNC %d: %d", i, ret);
		now = fdinfo(r.fd, "Workers");
		most = now > most ? now : most;
	}
	ring_exit(&r);
	close(fd);
	/* one more worker may exist that is not counted as idle yet */
	return most > FEW + 1 ? reason("%d workers", most) : "";
}

/* Idle workers make room for workers of other identities */
BOUNDED_TEST(identities_share_workers)
{
	if (!total_set(8))
		SKIP(return, "parameters not writable");
	EXPECT_CHILD(changes_identity, NULL);
	total_restore(_metadata);
}

/* Keep a worker of @r busy until the page is provided */
static int keep_worker(struct ring *r, struct absent *a, int file)
{
	add(r, IOURING2_OP_READ, file, a->page, 8, 0, ASYNC, 1);
	if (submit_all(r))
		return -EPROTO;
	return absent_wanted(a, SOON) ? 0 : -ETIME;
}

static const char *syncs_alone(void *arg)
{
	int fd = tmp_file(4096), ret;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0))
		return "no file, or no ring";
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	if (!ret && fdinfo(r.fd, "Workers") != 1)
		return reason("%lld workers", fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	return ret ? reason("FSYNC of another process: %d", ret) : "";
}

static const char *syncs_in_shared(void *arg)
{
	struct ring r = *(struct ring *)arg;
	int fd = tmp_file(4096), ret;

	ring_sync(&r);
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	return ret ? reason("FSYNC of a process with this ring: %d", ret) : "";
}

static const char *is_refused(void *arg)
{
	int fd = tmp_file(4096), ret;
	const char *said;
	struct absent a;
	struct ring r;

	if (absent_make(&a) || fd < 0 || ring_init(&r, 8, 0))
		return "no page, no file, or no ring";
	ret = keep_worker(&r, &a, fd);
	if (ret)
		return reason("cannot keep a worker busy: %d", ret);
	ret = next_identity();
	if (ret)
		return reason("setrlimit: %d", ret);
	ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0);
	if (ret != -EAGAIN)
		return reason("FSYNC without a worker: %d", ret);
	if (fdinfo(r.fd, "Workers") != 1 || fdinfo(r.fd, "Inflight") != 1)
		return reason("%lld workers, %lld in flight",
			      fdinfo(r.fd, "Workers"), fdinfo(r.fd, "Inflight"));
	/* Each other process may have one worker */
	said = child_ms(syncs_alone, NULL, SOON);
	if (*said)
		return reason("%s", said);
	said = child_ms(syncs_in_shared, &r, SOON);
	if (*said)
		return reason("%s", said);
	ring_sync(&r);
	if (absent_provide(&a))
		return "the page was not provided";
	ret = res_ms(&r, 1, SOON);
	if (ret != 8)
		return reason("READ: %d", ret);
	/*
	 * The worker of the read is idle now, or will be soon, and makes room
	 */
	until_ms((ret = do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0)) !=
		 -EAGAIN, SOON);
	ring_exit(&r);
	return ret ? reason("FSYNC afterwards: %d", ret) : "";
}

/* All workers are busy, and their number is above the limit */
BOUNDED_TEST(without_any)
{
	struct absent a;

	if (absent_make(&a))
		SKIP(return, "no userfaultfd");
	absent_free(&a);
	if (!total_set(1))
		SKIP(return, "parameters not writable");
	EXPECT_CHILD(is_refused, NULL);
	total_restore(_metadata);
}

/* ---------------------------------------------------------------- cgroups */

#define GROUP	"/sys/fs/cgroup/iouring2-workers"

static int group_make(void)
{
	if (!intrusive() || access("/sys/fs/cgroup/cgroup.subtree_control", W_OK))
		return -EPERM;
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+io");
	return mkdir(GROUP, 0755) ? -errno : 0;
}

static void group_end(struct __test_metadata *_metadata)
{
	EXPECT_TRUE(until_ms(!rmdir(GROUP), SOON)) {
		TH_LOG("rmdir: errno %d", errno);
	}
}

/* Return: the first number behind a name in a file of the group, or -1 */
static long long group_number(const char *file, const char *name)
{
	static char text[4096];
	char path[200], *at;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	if (read_text(path, text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, name);
	return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* Enter the group, and keep a worker that has executed a request */
static void has_worker(int said)
{
	int fd = tmp_file(4096);
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0) ||
	    write_text(GROUP "/cgroup.procs", "0") ||
	    do_one(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0) ||
	    fdinfo(r.fd, "Workers") != 1 || write(said, "+", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* A kernel thread in the group would prevent the group from becoming frozen */
BOUNDED_TEST(group_freezes)
{
	int said[2];
	pid_t pid;
	char c;

	if (group_make())
		SKIP(return, "no cgroup v2");
	ASSERT_EQ(0, pipe2(said, O_CLOEXEC));
	pid = fork();
	if (!pid)
		has_worker(said[1]);
	close(said[1]);
	EXPECT_EQ(1, read(said[0], &c, 1));
	EXPECT_EQ(0, write_text(GROUP "/cgroup.freeze", "1"));
	EXPECT_TRUE(until_ms(group_number("cgroup.events", "frozen ") == 1, SOON));
	EXPECT_EQ(0, write_text(GROUP "/cgroup.freeze", "0"));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(pid, SOON));
	close(said[0]);
	group_end(_metadata);
}

#define DISK	"/dev/vda"

static const char *reads_disk(void *arg)
{
	char *buf = aligned_alloc(4096, 65536);
	struct ring r;
	int fd, ret;

	fd = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ring_init(&r, 8, 0))
		return reason("%s: errno %d", DISK, errno);
	if (write_text(GROUP "/cgroup.procs", "0"))
		return "cannot move to the group";
	ret = do_one(&r, IOURING2_OP_READ, fd, buf, 65536, 0, ASYNC);
	if (ret != 65536)
		return reason("READ: %d", ret);
	if (!until_ms(group_number("io.stat", "rbytes=") >= 65536, SOON))
		return reason("%lld bytes read by the group",
			      group_number("io.stat", "rbytes="));
	ring_exit(&r);
	return "";
}

/* The reads of a worker are accounted to the group */
BOUNDED_TEST(io_is_accounted)
{
	if (access(DISK, R_OK))
		SKIP(return, "cannot read the disk of the virtual machine");
	if (group_make())
		SKIP(return, "no cgroup v2");
	if (group_number("io.stat", "") < 0) {
		group_end(_metadata);
		SKIP(return, "no io controller");
	}
	EXPECT_CHILD(reads_disk, NULL);
	group_end(_metadata);
}

/* ------------------------------------------------------------- the nice value */

#define NICE	7

/* The nice value of the worker of this process, or -100 */
static int worker_nice(void)
{
	pid_t worker = find_worker();

	return worker < 0 ? -100 : getpriority(PRIO_PROCESS, worker);
}

static const char *is_nice(void *arg)
{
	int file = tmp_file(4096), gate = -1, ret;
	static char data[8];
	const bool *linked = arg;
	struct ring r;

	if (file < 0 || ring_init(&r, 8, 0) ||
	    setpriority(PRIO_PROCESS, 0, NICE))
		return "no file, or no ring";
	if (*linked)
		gate = add_gate(&r, GATE);
	add(&r, IOURING2_OP_READ, file, data, sizeof(data), 0, ASYNC, TRIED);
	ret = submit_all(&r);
	/* not in ENTER: a kernel thread starts the request behind the gate */
	if (*linked)
		open_gate(gate);
	ret = ret ? ret : seen_ms(&r, TRIED, SOON);
	if (ret != sizeof(data))
		return reason("the read gives %d", ret);
	ret = worker_nice();
	ring_exit(&r);
	close(file);
	return ret == NICE ? "" : reason("the worker has %d", ret);
}

/* Whoever makes the worker, it is as nice as the process that submitted */
BOUNDED_TEST(as_nice_as_its_process)
{
	bool linked = false;

	EXPECT_CHILD(is_nice, &linked);
	linked = true;
	EXPECT_CHILD(is_nice, &linked);
}

RING_TEST_MAIN
