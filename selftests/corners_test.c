// SPDX-License-Identifier: GPL-2.0-only
/*
 * Details in which a request must have the result of its system call, or of
 * io_uring. In each of them the module once differed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

static char buf[4096];

/* ------------------------------------------------------- empty datagrams */

/* Return: the length of the next datagram, or NEVER if none arrives */
static int next_datagram(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 1000) != 1)
		return NEVER;
	return recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
}

/* A write of 0 bytes to a datagram socket sends an empty datagram */
BOUNDED_TEST(empty_datagram)
{
	static const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };
	struct iovec iov = { buf, 0 };
	int sv[2], how;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, sv));
		EXPECT_EQ(0, write(sv[0], buf, 0));
		EXPECT_EQ(0, next_datagram(sv[1]));
		for (how = 0; how < NR_HOW; how++) {
			EXPECT_EQ(0, do_how(&r, how, IOURING2_OP_WRITE, sv[0],
					    buf, 0, 0));
			EXPECT_EQ(0, next_datagram(sv[1])) {
				TH_LOG("WRITE, %s", how_name(how));
			}
			EXPECT_EQ(0, do_how(&r, how, IOURING2_OP_WRITEV, sv[0],
					    &iov, 1, 0));
			EXPECT_EQ(0, next_datagram(sv[1])) {
				TH_LOG("WRITEV, %s", how_name(how));
			}
		}
		close(sv[0]);
		close(sv[1]);
	}
	ring_exit(&r);
}

/* ------------------------------------------------------------- cancelling */

static int cancel(struct ring *r, __u64 target, unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, target, flags);
	sqe->user_data = TRIED;
	if (submit_all(r))
		return -EPROTO;
	return res_ms(r, TRIED, SOON);
}

/*
 * The same, but a child submits the cancel request to the shared ring. Return:
 * the result in the CQE of that request.
 */
static int others_cancel(struct ring *r, __u64 target, unsigned int flags)
{
	struct iouring2_sqe *sqe;
	pid_t pid = fork();

	if (!pid) {
		ring_sync(r);
		sqe = ring_sqe(r);
		prep_cancel(sqe, target, flags);
		sqe->user_data = TRIED;
		_exit(submit_all(r) ? 1 : 0);
	}
	if (reap_ms(pid, SOON))
		return -EPROTO;
	ring_sync(r);
	return res_ms(r, TRIED, SOON);
}

/*
 * A worker runs a READ, which is stuck in a page fault. A cancel request for it
 * fails with EALREADY. With ALL or ANY, the cancel request succeeds and counts
 * the READ. In that case another process cancels: if the submitter cancels,
 * io_uring searches twice, and whether it counts the READ depends on timing.
 */
static void cancel_running(struct __test_metadata *_metadata, unsigned int flags,
			   int want)
{
	int fd = tmp_file(4096), res;
	struct absent a;
	struct ring r;

	if (absent_make(&a))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add(&r, IOURING2_OP_READ, fd, a.page, 512, 0, ASYNC, 1);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_TRUE(absent_wanted(&a, SOON));
	res = flags ? others_cancel(&r, flags & IOURING2_ASYNC_CANCEL_ANY ? 0 : 1,
				    flags) : cancel(&r, 1, 0);
	EXPECT_EQ(want, res) {
		TH_LOG("flags %x", flags);
	}
	EXPECT_EQ(0, absent_provide(&a));
	res = res_ms(&r, 1, SOON);
	EXPECT_TRUE(res == 512 || res == -ECANCELED || res == -EINTR ||
		    res == -EFAULT) {
		TH_LOG("flags %x: %d", flags, res);
	}
	ring_exit(&r);
	absent_free(&a);
	close(fd);
}

BOUNDED_TEST(cancel_of_running)
{
	const unsigned int all = IOURING2_ASYNC_CANCEL_ALL;
	const unsigned int any = IOURING2_ASYNC_CANCEL_ANY;

	cancel_running(_metadata, 0, -EALREADY);
	cancel_running(_metadata, all, 1);
	cancel_running(_metadata, any, 1);
	cancel_running(_metadata, any | all, 1);
}

/* As see_ms(), but does not sleep, so that it sees the CQE at once */
static bool spin_for(struct ring *r, __u64 ud, struct iouring2_cqe *cqe)
{
	long long end = now_ns(CLOCK_MONOTONIC) + SOON * NSEC_PER_MSEC;

	while (!pick(r, ud, cqe))
		if (now_ns(CLOCK_MONOTONIC) > end)
			return false;
	return true;
}

/*
 * A multishot timeout can be removed at any moment, also while it fires. The
 * last CQE of the timeout is then ECANCELED, and no other CQE follows it.
 */
BOUNDED_TEST(multishot_timeout_removed)
{
	struct __kernel_timespec ts;
	struct iouring2_cqe cqe;
	struct ring r;
	int i, n, last, bad = 0;

	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	for (i = 0; i < 1500 && !bad; i++) {
		struct iouring2_sqe *sqe = ring_sqe(&r);

		ts = ts_ns(200000 + i % 50 * 4000);
		prep_timeout(sqe, &ts, 0, IOURING2_TIMEOUT_MULTISHOT);
		sqe->user_data = 1;
		ASSERT_EQ(0, submit_all(&r));
		EXPECT_TRUE(spin_for(&r, 1, &cqe));
		prep_timeout_remove(sqe = ring_sqe(&r), 1);
		sqe->user_data = 2;
		ASSERT_EQ(0, submit_all(&r));
		ASSERT_EQ(0, take_ms(&r, 2, &cqe, SOON));
		EXPECT_EQ(0, cqe.res) {
			TH_LOG("round %d", i);
		}
		bad += cqe.res != 0;
		/* the CQEs of earlier expirations may come first */
		for (n = 0; n < 100000 && cqe.res != -ECANCELED; n++) {
			if (see_ms(&r, 1, &cqe, 2000))
				break;
		}
		last = cqe.res;
		EXPECT_EQ(-ECANCELED, last);
		bad += last != -ECANCELED;
		EXPECT_FALSE(cqe.flags & IOURING2_CQE_F_MORE);
		EXPECT_EQ(0U, ring_ready(&r));
	}
	ring_exit(&r);
}

/* -------------------------------------------------------------- waiting */

struct waiter {
	int result;
	long long took;
	bool waits;
	pid_t tid;
};

static const char *waits_a_second(void *arg)
{
	struct waiter *w = arg;
	struct ring r;
	long long t;

	if (ring_init(&r, 8, 0))
		return "no ring";
	w->tid = getpid();
	st_rel(&w->waits, true);
	t = now_ns(CLOCK_MONOTONIC);
	w->result = enter_timeout(r.fd, 0, 1, NSEC_PER_SEC);
	w->took = now_ns(CLOCK_MONOTONIC) - t;
	ring_exit(&r);
	return "";
}

/*
 * A child waits in ENTER for one second. SIGSTOP and SIGCONT interrupt the wait
 * again and again, for longer than that. The wait must end, with ETIME or
 * EINTR: it must not begin anew with each interruption.
 */
BOUNDED_TEST(relative_wait_restarted)
{
	struct waiter *w = shared_new(sizeof(*w));
	pid_t pid = fork();
	int status = -ETIME, i;

	if (!pid)
		_exit(*waits_a_second(w) ? 1 : 0);
	ASSERT_TRUE(until(ld_acq(&w->waits)));
	for (i = 0; i < 60 && status == -ETIME; i++) {
		usleep(50000);
		kill(pid, SIGSTOP);
		usleep(2000);
		kill(pid, SIGCONT);
		status = reap_ms(pid, 50);
	}
	EXPECT_EQ(0, status);
	kill(pid, SIGKILL);
	if (status == -ETIME)
		reap_ms(pid, SOON);
	EXPECT_TRUE(w->result == -ETIME || w->result == -EINTR) {
		TH_LOG("result %d", w->result);
	}
	munmap(w, sizeof(*w));
}

/* A ring of the kernel's own io_uring */
static int native_init(struct ring *n)
{
	memset(n, 0, sizeof(*n));
	n->setup.params.flags = IOURING2_SETUP_CQSIZE;
	n->setup.params.cq_entries = 4096;
	n->fd = syscall(425 /* io_uring_setup */, 8, &n->setup.params);
	return n->fd < 0 ? -errno : ring_map(n);
}

static int native_submit(struct ring *n)
{
	return syscall(426 /* io_uring_enter */, n->fd, ring_publish(n), 0, 0,
		       NULL, 0) == 1 ? 0 : -errno;
}

/*
 * Make a ring of io_uring with a multishot poll of @efd. Each write to @efd
 * queues task work for this thread. Task work interrupts a system call of the
 * thread without a signal.
 */
static int busy_ring(struct ring *n, int efd)
{
	int ret = native_init(n);

	if (ret)
		return ret;
	prep_poll_multi(ring_sqe(n), efd, POLLIN);
	return native_submit(n);
}

/* Return: "", or what is wrong with a wait of half a second that took @t */
static const char *half_a_second(int ret, long long t)
{
	if (ret != -ETIME && ret != -EINTR)
		return reason("result %d", ret);
	if (ret == -ETIME && t < NSEC_PER_SEC / 2)
		return reason("too early: after %lld ms", t / NSEC_PER_MSEC);
	return "";
}

static const char *waits_beside(void *arg)
{
	int efd = eventfd(0, EFD_CLOEXEC), ret;
	struct ring r, n;
	long long t;

	/* fork the writer first, so that it does not inherit the ring */
	written_often(efd);
	if (busy_ring(&n, efd))
		return "skip";
	if (ring_init(&r, 8, 0))
		return "no ring";
	t = now_ns(CLOCK_MONOTONIC);
	ret = enter_timeout(r.fd, 0, 1, NSEC_PER_SEC / 2);
	return half_a_second(ret, now_ns(CLOCK_MONOTONIC) - t);
}

/*
 * A thread waits in ENTER for half a second, while task work of io_uring
 * interrupts the wait every 20 ms. The kernel restarts the system call each
 * time. The wait goes on with the time that was left, so it ends in time.
 */
BOUNDED_TEST(relative_wait_beside_io_uring)
{
	const char *said = child_ms(waits_beside, NULL, SOON);

	if (!strcmp(said, "skip"))
		SKIP(return, "no io_uring");
	EXPECT_STREQ("", said);
}

static const char *waits_twice(void *arg)
{
	int efd = eventfd(0, EFD_CLOEXEC), quiet = eventfd(0, EFD_CLOEXEC), ret;
	struct ring r, n;
	long long t;

	written_often(efd);
	if (busy_ring(&n, efd))
		return "skip";
	if (ring_init(&r, 8, 0))
		return "no ring";
	prep_poll(ring_sqe(&r), quiet, POLLIN);
	ring_publish(&r);
	ret = enter_timeout(r.fd, 1, 1, NSEC_PER_SEC / 2);
	if (ret != 1)
		return reason("not submitted: %d", ret);
	/* the deadline of that wait passes */
	usleep(600000);
	/* called from here again, so that its argument is at the same address */
	t = now_ns(CLOCK_MONOTONIC);
	ret = enter_timeout(r.fd, 0, 1, NSEC_PER_SEC / 2);
	return half_a_second(ret, now_ns(CLOCK_MONOTONIC) - t);
}

/*
 * The same thread submits and waits. Task work interrupts the wait. ENTER
 * returns the number of submitted requests, so the kernel does not restart it.
 * The deadline of this wait must not shorten the next one.
 */
BOUNDED_TEST(wait_after_interrupted_submission)
{
	const char *said = child_ms(waits_twice, NULL, SOON);

	if (!strcmp(said, "skip"))
		SKIP(return, "no io_uring");
	EXPECT_STREQ("", said);
}

/*
 * A worker thread of io_uring calls ENTER, by a FADVISE request on the ring.
 * The request is then cancelled.
 */
static const char *waits_in_io_uring(void *arg)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r, n;

	if (native_init(&n))
		return "skip";
	if (ring_init(&r, 8, 0))
		return "no ring";
	sqe = ring_sqe(&n);
	sqe->opcode = 24; /* IORING_OP_FADVISE; len is min_complete */
	sqe->fd = r.fd;
	sqe->len = 1;
	sqe->rw_flags = IOURING2_ENTER_GETEVENTS ^ IOURING2_ENTER_FADVISE;
	sqe->flags = ASYNC;
	sqe->user_data = TRIED;
	if (native_submit(&n))
		return "not submitted";
	usleep(100000);
	prep_cancel(ring_sqe(&n), TRIED, 0);
	if (native_submit(&n))
		return "not cancelled";
	if (see_ms(&n, TRIED, &cqe, SOON))
		return "lost";
	if (cqe.res != -EINTR && cqe.res != -ECANCELED)
		return reason("result %d", cqe.res);
	return "";
}

/*
 * There is no system call to restart in a worker thread of io_uring. So the
 * result of the FADVISE request is EINTR or ECANCELED, and not a code such as
 * ERESTARTNOINTR.
 */
BOUNDED_TEST(wait_of_io_uring_cancelled)
{
	const char *said = child_ms(waits_in_io_uring, NULL, SOON);

	if (!strcmp(said, "skip"))
		SKIP(return, "no io_uring");
	EXPECT_STREQ("", said);
}

/* ---------------------------------------------------------------- offsets */

/* At positions near the largest one, READ has the result of pread(2) */
BOUNDED_TEST(large_offsets)
{
	static const char * const paths[] = {
		"/proc/version", "/proc/self/environ", "/proc/self/auxv",
		"/proc/self/mem", "/proc/self/pagemap", "/proc/kallsyms",
		"/dev/zero", "/dev/kmsg", "/sys/kernel/notes",
	};
	static const __u64 offs[] = {
		LLONG_MAX, LLONG_MAX - 1, LLONG_MAX - 4095, LLONG_MAX - 4096,
		1ULL << 62,
	};
	unsigned int i, o;
	struct ring r;
	int fd, how, want;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		for (o = 0; o < ARRAY_SIZE(offs); o++) {
			want = pread(fd, buf, sizeof(buf), offs[o]);
			if (want < 0)
				want = -errno;
			/* pread(2) does not accept a position for a stream */
			if (want == -ESPIPE || !strcmp(paths[i], "/dev/kmsg"))
				continue;
			for (how = 0; how < LINKED; how++) {
				EXPECT_EQ(want, do_how(&r, how, IOURING2_OP_READ,
						       fd, buf, sizeof(buf),
						       offs[o])) {
					TH_LOG("%s at %llx, %s", paths[i],
					       (unsigned long long)offs[o],
					       how_name(how));
				}
			}
		}
		close(fd);
	}
	ring_exit(&r);
}

/* ------------------------------------------------------ whose signals */

struct sharer {
	struct ring *r;
	int step;
};

/* The sharer: a signal is pending for it, and it waits in ENTER */
static void has_a_signal(struct sharer *s)
{
	struct ring r = *s->r;
	sigset_t mask;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	raise(SIGUSR1);
	ring_sync(&r);
	st_rel(&s->step, 1);
	while (ld_acq(&s->step) < 2)
		enter_timeout(r.fd, 0, 100, 10 * NSEC_PER_MSEC);
	_exit(0);
}

/*
 * A chain of a gate and a poll of a signalfd starts the poll while a sharer of
 * the ring is in ENTER. A signal is pending for the sharer. The poll must not
 * report that signal, but only a signal for the process that submitted the
 * poll.
 */
BOUNDED_TEST(signals_of_submitter)
{
	struct sharer *s = shared_new(sizeof(*s));
	struct iouring2_sqe *sqe;
	int fd = signals_open(SIGUSR1, 0), gate, round;
	struct ring r;
	pid_t pid;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, ring_init(&r, 8, 128));
		s->r = &r;
		s->step = 0;
		pid = fork();
		if (!pid)
			has_a_signal(s);
		ASSERT_TRUE(until(ld_acq(&s->step) == 1));
		gate = add_gate(&r, GATE);
		sqe = add(&r, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, 0, TRIED);
		sqe->poll32_events = POLLIN;
		ASSERT_EQ(0, submit_all(&r));
		open_gate(gate);
		EXPECT_EQ(POLLIN, seen_ms(&r, GATE, SOON));
		EXPECT_EQ(NEVER, seen_ms(&r, TRIED, 100));
		raise(SIGUSR1);
		EXPECT_EQ(POLLIN, res_ms(&r, TRIED, SOON));
		EXPECT_EQ((int)sizeof(struct signalfd_siginfo),
			  read(fd, buf, sizeof(struct signalfd_siginfo)));
		st_rel(&s->step, 2);
		EXPECT_EQ(0, reap_ms(pid, SOON));
		ring_exit(&r);
	}
	close(fd);
	munmap(s, sizeof(*s));
}

/* ----------------------------------------------------------- who submits */

#define CGROUP	"/sys/fs/cgroup/iouring2-corners"

static int change_uts(void)
{
	return unshare(CLONE_NEWUTS);
}

static int change_root(void)
{
	return unshare(CLONE_FS) ? -1 : chroot("/tmp");
}

static int change_directory(void)
{
	return unshare(CLONE_FS);
}

static int change_user(void)
{
	return setgroups(0, NULL) || setresuid(65534, 65534, 65534);
}

static int change_cgroup(void)
{
	return write_text(CGROUP "/cgroup.procs", "0");
}

static int change_file_size(void)
{
	const struct rlimit l = { 1 << 20, 1 << 20 };

	return setrlimit(RLIMIT_FSIZE, &l);
}

static int change_flusher(void)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

static int change_nothing(void)
{
	return 0;
}

/* Read by descriptor, so that it works after chroot() as well */
static long submitters(int fd)
{
	char text[32] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atol(text) : -1;
}

/*
 * Submit a read, make the change, and submit another read. The module must
 * count one more submitter after the change.
 */
static int changes(void *arg)
{
	int (*change)(void) = arg;
	long before, after;
	struct ring r;
	int p[2], fd;

	fd = open("/sys/class/misc/iouring2/counters/submitters",
		  O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pipe2(p, O_CLOEXEC) || ring_init(&r, 8, 0))
		return 1;
	add(&r, IOURING2_OP_READ, p[0], buf, 1, 0, 0, 1);
	if (submit_all(&r))
		return 2;
	before = submitters(fd);
	if (change())
		return 3;
	add(&r, IOURING2_OP_READ, p[0], buf, 1, 0, 0, 2);
	if (submit_all(&r))
		return 4;
	after = submitters(fd);
	if (after - before != (change == change_nothing ? 0 : 1))
		return 5;
	/* the reads of both submitters complete */
	if (write(p[1], "12", 2) != 2 || res_ms(&r, 1, SOON) != 1 ||
	    res_ms(&r, 2, SOON) != 1)
		return 6;
	ring_exit(&r);
	return 0;
}

/* The property that a process changes between two submissions */
RING_FIXTURE(change) {
	int (*change)(void);
};

FIXTURE_VARIANT_ADD(change, uts) { change_uts };
FIXTURE_VARIANT_ADD(change, root) { change_root };
FIXTURE_VARIANT_ADD(change, directory) { change_directory };
FIXTURE_VARIANT_ADD(change, user) { change_user };
FIXTURE_VARIANT_ADD(change, cgroup) { change_cgroup };
FIXTURE_VARIANT_ADD(change, file_size) { change_file_size };
FIXTURE_VARIANT_ADD(change, flusher) { change_flusher };
FIXTURE_VARIANT_ADD(change, nothing) { change_nothing };

TEST_F_TIMEOUT(change, submitters_told_apart, 100)
{
	static char stack[256 << 10];
	int status;
	pid_t pid;

	if (variant->change == change_cgroup && mkdir(CGROUP, 0755))
		SKIP(return, "no cgroup: errno %d", errno);
	/* CLONE_FS: unshare(CLONE_FS) has an effect in the child only then */
	pid = clone(changes, stack + sizeof(stack), CLONE_FS | SIGCHLD,
		    variant->change);
	ASSERT_LT(0, pid);
	status = reap_ms(pid, SOON);
	EXPECT_EQ(0, status);
	if (status == -ETIME)
		kill(pid, SIGKILL);
	if (variant->change == change_cgroup)
		EXPECT_TRUE(until(!rmdir(CGROUP)));
}

RING_TEST_MAIN
