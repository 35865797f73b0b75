// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring that stays open over exec(). The requests of the old program end. The
 * new program can use the ring. A request that no task is running ends inside
 * exec(). If exec() does not unmap the ring, or if a worker runs the request,
 * the request ends within a second.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

/*
 * Requests that do not end inside exec() end within a second after it. The test
 * counts that second in sleeps of TICK_MS. A busy machine makes a sleep longer,
 * as it does all that the module does, so the count stays the same. It may serve
 * the test and not the module for a while: a run that is late is repeated. If
 * the module itself takes longer, each run is late: the ring is new, and its
 * watch looks for the first time at a fixed time after the request has begun to
 * wait, which is just before exec().
 */
#define TICK_MS		50
#define MAX_TICKS	(1000 / TICK_MS)
#define RUNS		8

#define NO_END		10000
#define ALL_TICKS	(SOON / TICK_MS)

/* Return: the number of sleeps until @cond, or NO_END after @max of them */
#define ticks_until(cond, max)						\
({									\
	int __nr = 0;							\
									\
	while (!(cond)) {						\
		if (__nr >= (max)) {					\
			__nr = NO_END;					\
			break;						\
		}							\
		usleep(TICK_MS * 1000);					\
		__nr++;							\
	}								\
	__nr;								\
})

/* Exit status of the new program: bits for what is wrong */
#define BAD_PIPE	1
#define BAD_INFLIGHT	2
#define BAD_RING	4
#define BAD_CALL	8
#define LATE		16	/* the requests have ended, after more than MAX_TICKS */

/* Length of a chain: more than the rounds in which exec() cancels requests */
#define LONG		256

struct kind {
	bool at_once;	/* the requests have ended when exec() returns */
	/* queue the requests; @fd: the read end of a pipe, which they use */
	void (*queue)(struct ring *r, int fd);
};

static char buf[64];

static void queue_read(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, 0, 1);
}

static void queue_poll(struct ring *r, int fd)
{
	add(r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0, 1)->poll32_events = POLLIN;
}

static void queue_multishot(struct ring *r, int fd)
{
	prep_poll_multi(ring_sqe(r), fd, POLLIN);
}

static void queue_linked(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, LINK, 1);
	add(r, IOURING2_OP_WRITE, fd, buf, 8, 0, 0, 2);
	add_timer(r, 1000000, 0, 3);
}

/*
 * A chain of timers by hard links: each timer starts the next one, whatever its
 * result is. The poll holds the pipe, by which the new program sees that the
 * requests have ended.
 */
static void queue_long(struct ring *r, int fd)
{
	int i;

	for (i = 0; i < LONG - 2; i++)
		add_timer(r, 1000000, HARDLINK, i);
	add_timer(r, 1000000, 0, i);
	queue_poll(r, fd);
}

static void queue_drained(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, 0, 1);
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, DRAIN, 2);
	add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, 0, 3);
}

/* The poll holds the pipe, as in queue_long() */
static void queue_timers(struct ring *r, int fd)
{
	int i;

	for (i = 0; i < 4; i++)
		add_timer(r, 1000000, 0, i);
	queue_poll(r, fd);
}

static void queue_async(struct ring *r, int fd)
{
	add(r, IOURING2_OP_READ, fd, buf, 8, 0, ASYNC, 1);
}

/*
 * Writes to one file, from a page that nobody provides. Workers run them one
 * after the other. If the module killed a worker for each of them, this would
 * take longer than a second.
 */
static void queue_writes(struct ring *r, int fd)
{
	static struct absent a;
	int i, file;

	file = memfd_create("exec", MFD_CLOEXEC);
	if (file < 0 || absent_make(&a))
		return;
	/* keep userfaultfd open: its close would end the wait for the page */
	fcntl(a.fd, F_SETFD, 0);
	for (i = 0; i < 14; i++)
		add(r, IOURING2_OP_WRITE, file, a.page, 1, i, ASYNC, i);
}

static const struct kind a_read = { true, queue_read };

RING_FIXTURE(requests) {
	struct kind of;
};

FIXTURE_VARIANT_ADD(requests, read) { { true, queue_read } };
FIXTURE_VARIANT_ADD(requests, poll) { { true, queue_poll } };
FIXTURE_VARIANT_ADD(requests, multishot_poll) { { true, queue_multishot } };
FIXTURE_VARIANT_ADD(requests, chain) { { true, queue_linked } };
FIXTURE_VARIANT_ADD(requests, long_chain) { { true, queue_long } };
FIXTURE_VARIANT_ADD(requests, barrier) { { true, queue_drained } };
FIXTURE_VARIANT_ADD(requests, timers) { { true, queue_timers } };
FIXTURE_VARIANT_ADD(requests, async_read) { { false, queue_async } };
FIXTURE_VARIANT_ADD(requests, writes_in_order) { { false, queue_writes } };

/*
 * The new program. Arguments: "--kept", the descriptors of the ring and of the
 * write end of the pipe, the number of sleeps after which the requests must have
 * ended, and the pid of a process that shares the old table of descriptors, or 0.
 * Such a process also has the read end of the pipe, so the pipe cannot show that
 * the requests have ended.
 */
static int kept(char **argv)
{
	int ring = atoi(argv[2]), wr = atoi(argv[3]), max = atoi(argv[4]);
	int bad = 0, hup = 0, end = 0;
	struct ring r = { .fd = ring };
	pid_t sharer = atoi(argv[5]);

	if (!sharer) {
		/* a child that has kept the old program's memory until exec() */
		wait(NULL);
		hup = ticks_until(hung_up(wr), max);
	}
	end = ticks_until(!fdinfo(ring, "Inflight"), max);
	if (hup == NO_END)
		bad |= BAD_PIPE;
	if (end == NO_END)
		bad |= BAD_INFLIGHT;
	if (!bad && hup + end > MAX_TICKS)
		bad |= LATE;
	/* the ring still works */
	if (enter(r.fd, 0, 0, IOURING2_ENTER_GETEVENTS, NULL, 0))
		bad |= BAD_RING;
	if (sharer && (kill(sharer, SIGKILL) || reap_ms(sharer, SOON) != SIGKILL))
		bad |= BAD_CALL;
	return bad;
}

static void exec_kept(int ring, int wr, int max, pid_t sharer)
{
	char a[4][16];

	fcntl(ring, F_SETFD, 0);
	fcntl(wr, F_SETFD, 0);
	snprintf(a[0], sizeof(a[0]), "%d", ring);
	snprintf(a[1], sizeof(a[1]), "%d", wr);
	snprintf(a[2], sizeof(a[2]), "%d", max);
	snprintf(a[3], sizeof(a[3]), "%d", sharer);
	execl("/proc/self/exe", "exec", "--kept", a[0], a[1], a[2], a[3], NULL);
	_exit(BAD_CALL);
}

static void run_kept(const struct kind *k, struct ring *r, int fds[2])
{
	k->queue(r, fds[0]);
	if (submit_all(r))
		_exit(BAD_CALL);
	usleep(20000);
	exec_kept(r->fd, fds[1], k->at_once ? 0 : ALL_TICKS, 0);
}

/* Return: what the new program has found, 0 if all is well */
static int found_by(pid_t pid)
{
	int status = reap_ms(pid, 4 * SOON);

	if (status == -ETIME) {
		kill(pid, SIGKILL);
		reap_ms(pid, SOON);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : status;
}

/* Run @run until it is not late; see MAX_TICKS. Return: what it returns. */
static int best_of(int (*run)(const void *arg), const void *arg)
{
	int i, ret = LATE;

	for (i = 0; i < RUNS && ret == LATE; i++)
		ret = run(arg);
	return ret;
}

/* A child submits the requests of a kind and calls exec() */
static int exec_with(const void *arg)
{
	const struct kind *k = arg;
	struct ring r;
	int fds[2];
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (ring_init(&r, LONG, 0) || pipe2(fds, O_CLOEXEC))
			_exit(BAD_CALL);
		run_kept(k, &r, fds);
	}
	return found_by(pid);
}

/* The same with a ring that we set up and share with the child */
static int exec_with_shared(const void *arg)
{
	const struct kind *k = arg;
	struct ring r;
	int fds[2], ret;
	pid_t pid;

	if (ring_init(&r, LONG, 0))
		return BAD_CALL;
	pid = fork();
	if (!pid) {
		if (pipe2(fds, O_CLOEXEC))
			_exit(BAD_CALL);
		run_kept(k, &r, fds);
	}
	ret = found_by(pid);
	ring_exit(&r);
	return ret;
}

TEST_F_TIMEOUT(requests, requests_end, 100)
{
	EXPECT_EQ(0, best_of(exec_with, &variant->of));
}

/* The same if another process shares the ring */
TEST_F_TIMEOUT(requests, requests_end_shared, 100)
{
	EXPECT_EQ(0, best_of(exec_with_shared, &variant->of));
}

/* A sharer of the ring calls exec(). The requests of this process go on. */
BOUNDED_TEST(others_go_on)
{
	int fds[2], mine[2];
	struct ring r;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, pipe2(mine, O_CLOEXEC));
	add(&r, IOURING2_OP_READ, mine[0], buf, 4, 0, 0, 100);
	add(&r, IOURING2_OP_READ, mine[0], buf + 8, 4, 0, ASYNC, 101);
	ASSERT_EQ(0, submit_all(&r));
	pid = fork();
	if (!pid) {
		close(mine[0]);
		close(mine[1]);
		ring_sync(&r);
		if (pipe2(fds, O_CLOEXEC))
			_exit(BAD_CALL);
		queue_read(&r, fds[0]);
		if (submit_all(&r))
			_exit(BAD_CALL);
		fcntl(r.fd, F_SETFD, 0);
		execl("/bin/true", "true", NULL);
		_exit(BAD_CALL);
	}
	EXPECT_EQ(0, reap_ms(pid, SOON));
	EXPECT_EQ(-ECANCELED, res_ms(&r, 1, SOON));
	EXPECT_EQ(2, fdinfo(r.fd, "Inflight"));
	ASSERT_EQ(8, write(mine[1], "12345678", 8));
	EXPECT_EQ(4, res_ms(&r, 100, SOON));
	EXPECT_EQ(4, res_ms(&r, 101, SOON));
	ring_exit(&r);
	close(mine[0]);
	close(mine[1]);
}

/* ------------------------------------------------ a ring that is not mapped */

/*
 * A child submits a read, unmaps the ring, and calls exec(). @sharer: another
 * process shares its table of descriptors.
 */
static void unmaps(struct ring *r, bool sharer)
{
	pid_t pid = 0;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		_exit(BAD_CALL);
	queue_read(r, fds[0]);
	if (submit_all(r))
		_exit(BAD_CALL);
	ring_unmap(r);
	if (sharer) {
		pid = fork_sharing();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	exec_kept(r->fd, fds[1], ALL_TICKS, pid);
}

static int exec_unmapped(const void *arg)
{
	const bool *sharer = arg;
	struct ring r;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (ring_init(&r, 16, 0))
			_exit(BAD_CALL);
		unmaps(&r, *sharer);
	}
	return found_by(pid);
}

BOUNDED_TEST(unmapped)
{
	EXPECT_EQ(0, best_of(exec_unmapped, &(bool){ false }));
}

/*
 * Another process shares the table of descriptors of the old program, and keeps
 * it open. So neither exec() nor the exit of the new program closes anything in
 * that table.
 */
BOUNDED_TEST(unmapped_shared_descriptors)
{
	EXPECT_EQ(0, best_of(exec_unmapped, &(bool){ true }));
}

/*
 * Has @pid executed a program? vfork() returns shortly before the new program has
 * replaced the old one.
 */
static bool is_executed(pid_t pid)
{
	char path[32], text[64];
	int len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	len = read_text(path, text, sizeof(text));
	return len > 0 && memmem(text, len, "--waits", strlen("--waits"));
}

/* A child that does not inherit the mapping of the ring, but submits to it */
static int exec_never_mapped(const void *arg)
{
	int fds[2], nr, ret = 0;
	struct iouring2_cqe cqe;
	struct ring r;
	pid_t pid;

	if (ring_init(&r, 16, 0) || pipe2(fds, O_CLOEXEC))
		return BAD_CALL;
	queue_read(&r, fds[0]);
	ring_publish(&r);
	if (madvise(r.map, r.map_len, MADV_DONTFORK) ||
	    madvise(r.sqes, r.sqes_len, MADV_DONTFORK))
		return BAD_CALL;
	pid = fork();
	if (!pid) {
		if (enter(r.fd, 1, 0, 0, NULL, 0) != 1)
			_exit(BAD_CALL);
		fcntl(r.fd, F_SETFD, 0);
		execl("/proc/self/exe", "exec", "--waits", NULL);
		_exit(BAD_CALL);
	}
	if (!until_ms(is_executed(pid), SOON))
		ret = BAD_CALL;
	nr = ticks_until(pick(&r, 1, &cqe), ALL_TICKS);
	if (nr == NO_END || cqe.res != -ECANCELED)
		ret |= BAD_INFLIGHT;
	else if (nr > MAX_TICKS)
		ret |= LATE;
	kill(pid, SIGKILL);
	reap_ms(pid, SOON);
	ring_exit(&r);
	close(fds[0]);
	close(fds[1]);
	return ret;
}

BOUNDED_TEST(never_mapped)
{
	EXPECT_EQ(0, best_of(exec_never_mapped, NULL));
}

static void *in_thread(void *arg)
{
	struct ring *r = arg;

	enter_timeout(r->fd, 0, 100, 100 * NSEC_PER_SEC);
	return NULL;
}

/*
 * The requests end although another thread waits in ENTER until exec() ends it
 */
BOUNDED_TEST(with_threads)
{
	struct ring r;
	pthread_t t;
	int fds[2];
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (ring_init(&r, 16, 128) || pipe2(fds, O_CLOEXEC) ||
		    pthread_create(&t, NULL, in_thread, &r))
			_exit(BAD_CALL);
		usleep(20000);
		run_kept(&a_read, &r, fds);
	}
	EXPECT_EQ(0, found_by(pid));
}

/* ------------------------------------------------ a child with our memory */

/*
 * A child of vfork() or clone(CLONE_VM) is a process with a table of
 * descriptors of its own. It shares the memory of its parent until it executes
 * a program. The memory continues to exist then, so exec() does not unmap the
 * ring.
 */
#define TARGET	200	/* descriptor at which the new program opens its file */
#define DONE	42

struct with_vm {
	struct ring r;
	struct absent a;
	char path[64], secret[80];
	int go[2], said[2], pipe[2];
	char got[16], wrote[8];
	char stack[65536];
};

/*
 * The new program, which has more rights than the old one. Arguments:
 * "--rights", the file to open, and the descriptor of a pipe by which it
 * reports success.
 */
static int has_rights(char **argv)
{
	int fd = open(argv[2], O_RDWR), said = atoi(argv[3]);
	char c;

	if (fd < 0 || dup2(fd, TARGET) != TARGET || write(said, "+", 1) != 1)
		return 1;
	/* wait until the other end of the standard input is closed */
	return read(0, &c, 1) ? 2 : DONE;
}

/*
 * The child: it submits a chain of a poll, a READ and a WRITE of descriptor
 * TARGET, which is not open yet, and executes the set-user-ID program
 */
static int executes_set_user_id(void *arg)
{
	struct with_vm *v = arg;
	char said[16];

	ring_sync(&v->r);
	add(&v->r, IOURING2_OP_POLL_ADD, v->go[0], NULL, 0, 0, HARDLINK, 1)
		->poll32_events = POLLIN;
	add(&v->r, IOURING2_OP_READ, TARGET, v->got, 6, 0, HARDLINK, 2);
	add(&v->r, IOURING2_OP_WRITE, TARGET, v->wrote, 6, 0, 0, 3);
	if (submit_all(&v->r))
		_exit(BAD_CALL);
	fcntl(v->r.fd, F_SETFD, 0);
	snprintf(said, sizeof(said), "%d", v->said[1]);
	fcntl(v->said[1], F_SETFD, 0);
	dup2(v->pipe[0], 0);
	execl(v->path, "exec", "--rights", v->secret, said, NULL);
	_exit(BAD_CALL);
}

/* Made in the process under test, so that no other process holds an end */
static int vm_pipes(struct with_vm *v)
{
	return pipe2(v->go, O_CLOEXEC) || pipe2(v->said, O_CLOEXEC) ||
	       pipe2(v->pipe, O_CLOEXEC);
}

/* Fill a pipe. Return: 0 if it is full. */
static int fill(int fd)
{
	static char page[4096];
	int n = fcntl(fd, F_SETPIPE_SZ, 4096);

	return n < 4096 || write(fd, page, n) != n ? -1 : 0;
}

static pid_t vm_child(struct with_vm *v, int (*fn)(void *arg))
{
	return clone(fn, v->stack + sizeof(v->stack),
		     CLONE_VM | CLONE_VFORK | SIGCHLD, v);
}

/*
 * Let the new program end, by closing its standard input. Return: "", or its
 * status if that is not DONE.
 */
static const char *vm_end(struct with_vm *v, pid_t pid)
{
	int status;

	close(v->pipe[1]);
	status = reap_ms(pid, SOON);
	return WIFEXITED(status) && WEXITSTATUS(status) == DONE ? "" :
	       reason("status 0x%x", status);
}

/* Runs as user 1000, who may not open the file */
static const char *becomes_another(void *arg)
{
	struct with_vm *v = arg;
	int res[2];
	pid_t pid;
	char c;

	if (vm_pipes(v) || ring_init(&v->r, 16, 0))
		return "no ring";
	if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
		return "still root";
	if (open(v->secret, O_RDONLY) >= 0 || errno != EACCES)
		return reason("open: errno %d", errno);
	pid = vm_child(v, executes_set_user_id);
	if (pid < 0)
		return reason("clone: errno %d", errno);
	close(v->said[1]);
	if (read(v->said[0], &c, 1) != 1)
		return "the program did not start";
	if (write(v->go[1], "x", 1) != 1)
		return "go";
	res[0] = seen_ms(&v->r, 2, SOON);
	res[1] = seen_ms(&v->r, 3, SOON);
	if (res[0] != -ECANCELED || res[1] != -ECANCELED)
		return reason("READ %d, WRITE %d", res[0], res[1]);
	if (v->got[0])
		return reason("it has \"%.6s\"", v->got);
	return vm_end(v, pid);
}

static int copy_self(const char *path)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "cp /proc/%d/exe %s && chmod 4755 %s",
		 getpid(), path, path);
	return system(cmd);
}

/* A request of the old program cannot use a file that the new one opens */
BOUNDED_TEST(set_user_id)
{
	struct with_vm *v = shared_new(sizeof(*v));
	char text[8] = "";
	int fd;

	if (!intrusive() || getuid())
		SKIP(return, "no set-user-ID program can be made");
	ASSERT_EQ(0, chmod("/var/tmp", 01777));
	snprintf(v->path, sizeof(v->path), "/var/tmp/iouring2-suid-%d", getpid());
	snprintf(v->secret, sizeof(v->secret), "%s.secret", v->path);
	memcpy(v->wrote, "stolen", 6);
	ASSERT_EQ(0, copy_self(v->path));
	fd = open(v->secret, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(6, write(fd, "secret", 6));
	EXPECT_STREQ("", child_ms(becomes_another, v, 40000));
	EXPECT_EQ(6, pread(fd, text, 6, 0));
	EXPECT_STREQ("secret", text);
	unlink(v->secret);
	unlink(v->path);
	close(fd);
	munmap(v, sizeof(*v));
}

/*
 * The child: it submits a WRITE to a full pipe, and executes a program before
 * the pipe loses its last reader
 */
static int executes_with_write(void *arg)
{
	struct with_vm *v = arg;

	ring_sync(&v->r);
	add(&v->r, IOURING2_OP_WRITE, v->go[1], v->wrote, 6, 0, 0, 3);
	if (submit_all(&v->r))
		_exit(BAD_CALL);
	fcntl(v->r.fd, F_SETFD, 0);
	close(v->go[0]);
	dup2(v->pipe[0], 0);
	execl("/proc/self/exe", "exec", "--waits", NULL);
	_exit(BAD_CALL);
}

static const char *writes_to_none(void *arg)
{
	struct with_vm *v = arg;
	int res;
	pid_t pid;

	if (vm_pipes(v) || ring_init(&v->r, 16, 0) || fill(v->go[1]))
		return "no ring, or no full pipe";
	pid = vm_child(v, executes_with_write);
	if (pid < 0)
		return reason("clone: errno %d", errno);
	if (!until_ms(is_executed(pid), SOON))
		return "not executed";
	close(v->go[1]);
	/* the last reader of the pipe goes */
	close(v->go[0]);
	res = seen_ms(&v->r, 3, SOON);
	if (res != -EPIPE && res != -ECANCELED)
		return reason("WRITE %d", res);
	return vm_end(v, pid);
}

/* The new program gets no signal for a request of the old one */
BOUNDED_TEST(no_signal_for_another)
{
	struct with_vm *v = shared_new(sizeof(*v));

	memcpy(v->wrote, "nobody", 6);
	EXPECT_STREQ("", child_ms(writes_to_none, v, 40000));
	munmap(v, sizeof(*v));
}

/* The child: a worker runs its WRITE when it executes a program */
static int executes_with_worker(void *arg)
{
	struct with_vm *v = arg;
	int file = memfd_create("exec", MFD_CLOEXEC);

	ring_sync(&v->r);
	add(&v->r, IOURING2_OP_WRITE, file, v->a.page, 1, 0, ASYNC, 2);
	if (submit_all(&v->r) || !absent_wanted(&v->a, SOON))
		_exit(BAD_CALL);
	fcntl(v->r.fd, F_SETFD, 0);
	fcntl(v->a.fd, F_SETFD, 0);
	dup2(v->pipe[0], 0);
	execl("/proc/self/exe", "exec", "--waits", NULL);
	_exit(BAD_CALL);
}

static const char *child_executes(void *arg)
{
	struct with_vm *v = arg;
	int res;
	pid_t pid;

	if (vm_pipes(v) || ring_init(&v->r, 16, 0) || absent_make(&v->a))
		return "no ring, or no userfaultfd";
	add(&v->r, IOURING2_OP_READ, v->go[0], v->got, 6, 0, 0, 1);
	if (submit_all(&v->r))
		return "submit";
	pid = vm_child(v, executes_with_worker);
	if (pid < 0)
		return reason("clone: errno %d", errno);
	/* the child's request ends, as soon as the ring's watch runs */
	res = take_ms(&v->r, 2, &(struct iouring2_cqe){}, SOON);
	if (res)
		return reason("the child's WRITE: %d", res);
	if (fdinfo(v->r.fd, "Inflight") != 1)
		return reason("%lld in flight", fdinfo(v->r.fd, "Inflight"));
	if (write(v->go[1], "parent", 6) != 6)
		return "write";
	res = res_ms(&v->r, 1, SOON);
	if (res != 6)
		return reason("the parent's READ: %d", res);
	return vm_end(v, pid);
}

/* The child executes a program. The requests of the parent go on. */
BOUNDED_TEST(parent_goes_on)
{
	struct with_vm *v = shared_new(sizeof(*v));

	if (absent_make(&v->a))
		SKIP(return, "no userfaultfd");
	absent_free(&v->a);
	EXPECT_STREQ("", child_ms(child_executes, v, 60000));
	munmap(v, sizeof(*v));
}

/* The child: its READ waits for a pipe, and no worker runs it, at exec() */
static int executes_with_read(void *arg)
{
	struct with_vm *v = arg;

	ring_sync(&v->r);
	add(&v->r, IOURING2_OP_READ, v->said[0], v->wrote, 6, 0, 0, 2);
	if (submit_all(&v->r))
		_exit(BAD_CALL);
	fcntl(v->r.fd, F_SETFD, 0);
	dup2(v->pipe[0], 0);
	execl("/proc/self/exe", "exec", "--waits", NULL);
	_exit(BAD_CALL);
}

#define TOO_LATE	"the child's READ ends late"

static const char *waits_and_executes(void *arg)
{
	struct with_vm *v = arg;
	struct iouring2_cqe cqe;
	const char *end;
	int res, nr;
	pid_t pid;

	if (vm_pipes(v) || ring_init(&v->r, 16, 0))
		return "no ring";
	add(&v->r, IOURING2_OP_READ, v->go[0], v->got, 6, 0, 0, 1);
	if (submit_all(&v->r))
		return "submit";
	pid = vm_child(v, executes_with_read);
	if (pid < 0)
		return reason("clone: errno %d", errno);
	nr = ticks_until(pick(&v->r, 2, &cqe), ALL_TICKS);
	if (nr == NO_END || cqe.res != -ECANCELED)
		return reason("the child's READ: %d", nr == NO_END ? NEVER :
							 cqe.res);
	if (write(v->go[1], "parent", 6) != 6)
		return "write";
	res = res_ms(&v->r, 1, SOON);
	if (res != 6)
		return reason("the parent's READ: %d", res);
	end = vm_end(v, pid);
	return !*end && nr > MAX_TICKS ? TOO_LATE : end;
}

/*
 * A child that shares our memory executes a program. Its waiting request ends,
 * and ours goes on.
 */
BOUNDED_TEST(child_with_our_memory)
{
	const char *said = TOO_LATE;
	struct with_vm *v;
	int i;

	for (i = 0; i < RUNS && !strcmp(said, TOO_LATE); i++) {
		v = shared_new(sizeof(*v));
		said = child_ms(waits_and_executes, v, 60000);
		munmap(v, sizeof(*v));
	}
	EXPECT_STREQ("", said);
}

/* The child: it keeps the memory until its parent has executed a program */
static int keeps_memory(void *arg)
{
	struct with_vm *v = arg;
	char c;

	close(v->said[1]);
	return read(v->said[0], &c, 1) ? BAD_CALL : 0;
}

/*
 * A child shares the memory of the process that calls exec(). So exec() does
 * not unmap the ring: only the exit of the child does. The requests end then.
 */
static int exec_with_keeper(const void *arg)
{
	struct with_vm *v = shared_new(sizeof(*v));
	pid_t pid;
	int ret;

	pid = fork();
	if (!pid) {
		if (vm_pipes(v) || ring_init(&v->r, 16, 0))
			_exit(BAD_CALL);
		queue_read(&v->r, v->pipe[0]);
		if (submit_all(&v->r) ||
		    clone(keeps_memory, v->stack + sizeof(v->stack),
			  CLONE_VM | SIGCHLD, v) < 0)
			_exit(BAD_CALL);
		exec_kept(v->r.fd, v->pipe[1], ALL_TICKS, 0);
	}
	ret = found_by(pid);
	munmap(v, sizeof(*v));
	return ret;
}

BOUNDED_TEST(child_keeps_memory)
{
	EXPECT_EQ(0, best_of(exec_with_keeper, NULL));
}

static int waits(void)
{
	char c;

	return read(0, &c, 1) ? 1 : DONE;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--kept"))
		return kept(argv);
	if (argc > 3 && !strcmp(argv[1], "--rights"))
		return has_rights(argv);
	if (argc > 1 && !strcmp(argv[1], "--waits"))
		return waits();
	return ring_test_main(argc, argv);
}
