// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program for liburing 0.7 and newer, without any code for iouring2. It is linked
 * in several ways; see guest.
 *
 * usage: ways [TEST]...	run these tests (default: all): basic backlogged busy
 *				blocked thread replaced interrupted registered
 *	  ways bench N [registered]	print the nanoseconds of a NOP, the mean of N
 *	  ways backend		print whether the ring is in-tree or iouring2's
 *	  ways exec PROGRAM...	start another program
 *
 * Exit status: 0; 1 a test failed; 77 there is no io_uring
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <liburing.h>

#ifdef BY_SYSCALL
/*
 * The same program, which makes the three calls by the C library's syscall(). The
 * rest of liburing only uses memory.
 */
#include <sys/syscall.h>

static int set_up(unsigned int entries, struct io_uring *ring)
{
	struct io_uring_params p;
	long fd;
	int ret;

	memset(&p, 0, sizeof(p));
	fd = syscall(425, entries, &p);
	if (fd < 0)
		return -errno;
	ret = io_uring_queue_mmap((int)fd, &p, ring);
	ring->ring_fd = (int)fd;
	return ret;
}

static int enter(struct io_uring *ring, unsigned int submit, unsigned int wait)
{
	long ret = syscall(426, ring->ring_fd, submit, wait, wait ? 1 : 0, NULL, 8);

	return ret < 0 ? -errno : (int)ret;
}

static int submit_all(struct io_uring *ring, unsigned int wait)
{
	struct io_uring_sq *sq = &ring->sq;
	unsigned int tail = *sq->ktail;

	for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++, tail++)
		sq->array[tail & *sq->kring_mask] = sq->sqe_head & *sq->kring_mask;
	__atomic_store_n(sq->ktail, tail, __ATOMIC_RELEASE);
	return enter(ring, tail - *sq->khead, wait);
}
#else
static int set_up(unsigned int entries, struct io_uring *ring)
{
	return io_uring_queue_init(entries, ring, 0);
}

static int submit_all(struct io_uring *ring, unsigned int wait)
{
	return wait ? io_uring_submit_and_wait(ring, wait) : io_uring_submit(ring);
}
#endif

static int failed;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
			failed = 1; \
			return; \
		} \
	} while (0)

static int reap(struct io_uring *ring, struct io_uring_cqe *copy)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(ring, head, cqe) {
		*copy = *cqe;
		io_uring_cq_advance(ring, 1);
		return 1;
	}
	return 0;
}

static void nops(struct io_uring *ring, unsigned int n, uint64_t *next)
{
	struct io_uring_sqe *sqe;

	while (n-- && (sqe = io_uring_get_sqe(ring))) {
		io_uring_prep_nop(sqe);
		sqe->user_data = (*next)++;
	}
}

static void read_file(struct io_uring *ring)
{
	char buf[256], plain[256];
	struct iovec v = { buf, sizeof(buf) };
	int fd = open("/proc/version", O_RDONLY);
	struct io_uring_cqe cqe;
	ssize_t n;

	CHECK(fd >= 0);
	n = pread(fd, plain, sizeof(plain), 0);
	io_uring_prep_readv(io_uring_get_sqe(ring), fd, &v, 1, 0);
	CHECK(submit_all(ring, 1) == 1);
	CHECK(reap(ring, &cqe) && cqe.res == n && !memcmp(buf, plain, n));
	close(fd);
}

static void test_basic(void)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	uint64_t next = 7;

	CHECK(!set_up(4, &ring));
	nops(&ring, 2, &next);
	CHECK(submit_all(&ring, 2) == 2);
	CHECK(reap(&ring, &cqe) && cqe.user_data == 7 && !cqe.res);
	CHECK(reap(&ring, &cqe) && cqe.user_data == 8);
	CHECK(!reap(&ring, &cqe));
	read_file(&ring);
	io_uring_queue_exit(&ring);
}

/* Eight CQEs fit in the CQ, and 4 wait behind it. Then EBUSY, until some are reaped. */
static void test_busy(void)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	uint64_t next = 0, seen = 0;
	int i, ret;

	CHECK(!set_up(4, &ring));
	for (i = 0; i < 3; i++) {
		nops(&ring, 4, &next);
		CHECK(submit_all(&ring, 0) == 4);
	}
	nops(&ring, 4, &next);
	ret = submit_all(&ring, 0);
	CHECK(ret == -EBUSY);
	while (seen < 8 && reap(&ring, &cqe))
		CHECK(cqe.user_data == seen++);
	CHECK(seen == 8);
	CHECK(submit_all(&ring, 0) == 4);
	while (reap(&ring, &cqe))
		CHECK(cqe.user_data == seen++);
	CHECK(seen == 16);
	io_uring_queue_exit(&ring);
}

/* Eight CQEs fit in the CQ, and 24 wait behind it. None is refused or lost. */
static void test_backlogged(void)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	uint64_t next = 0, seen = 0;
	int i;

	CHECK(!set_up(4, &ring));
	for (i = 0; i < 8; i++) {
		nops(&ring, 4, &next);
		CHECK(submit_all(&ring, 0) == 4);
	}
	while (seen < 32) {
		/* a wait moves completions of the backlog into the CQ */
		if (reap(&ring, &cqe))
			CHECK(cqe.user_data == seen++);
		else
			CHECK(submit_all(&ring, 1) == 0);
	}
	CHECK(!reap(&ring, &cqe));
	io_uring_queue_exit(&ring);
}

static void test_blocked(void)
{
	sigset_t all, old;

	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_BLOCK, &all, &old));
	test_basic();
	CHECK(!pthread_sigmask(SIG_SETMASK, NULL, &all));
	CHECK(sigismember(&all, SIGUSR1));
	CHECK(!pthread_sigmask(SIG_SETMASK, &old, NULL));
}

static void *in_thread(void *arg)
{
	test_blocked();
	return arg;
}

static void test_thread(void)
{
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, in_thread, NULL));
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	sigset_t now;

	got = sig;
	/* a handler may run during the trap's handler, and be trapped itself */
	sigprocmask(SIG_BLOCK, NULL, &now);
	sigprocmask(SIG_SETMASK, &now, NULL);
}

/* The program's own handler of SIGSYS works, but does not see the trapped calls. */
static void test_replaced(void)
{
	struct sigaction act = { .sa_handler = on_signal }, old;

	CHECK(!sigaction(SIGSYS, &act, NULL));
	got = 0;
	test_basic();
	CHECK(!got);
	raise(SIGSYS);
	CHECK(got == SIGSYS);
	act.sa_handler = SIG_DFL;
	CHECK(!sigaction(SIGSYS, &act, &old));
	CHECK(old.sa_handler == on_signal);
}

static void test_interrupted(void)
{
	struct itimerval soon = { .it_value = { .tv_usec = 200000 } };
	struct sigaction act = { .sa_handler = on_signal };
	struct io_uring ring;

	sigfillset(&act.sa_mask);
	CHECK(!sigaction(SIGALRM, &act, NULL));
	CHECK(!set_up(4, &ring));
	got = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(submit_all(&ring, 1) == -EINTR);
	CHECK(got == SIGALRM);
	io_uring_queue_exit(&ring);
}

/* liburing 2.2 and newer can register the descriptor of the ring. */
#if defined(IORING_ENTER_REGISTERED_RING) && !defined(BY_SYSCALL)
#define CAN_REGISTER	1

static int register_ring(struct io_uring *ring)
{
	return io_uring_register_ring_fd(ring);
}

static void test_registered(void)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	uint64_t next = 5;
#ifdef IORING_FEAT_REG_REG_RING
	struct io_uring_probe *probe;
#endif

	CHECK(!set_up(4, &ring));
	CHECK(register_ring(&ring) == 1);
	nops(&ring, 1, &next);
	CHECK(submit_all(&ring, 1) == 1);
	CHECK(reap(&ring, &cqe) && cqe.user_data == 5 && !cqe.res);
#ifdef IORING_FEAT_REG_REG_RING
	CHECK(io_uring_close_ring_fd(&ring) == 1 && ring.ring_fd == -1);
	probe = io_uring_get_probe_ring(&ring);
	CHECK(probe && io_uring_opcode_supported(probe, IORING_OP_NOP));
	free(probe);
	nops(&ring, 1, &next);
	CHECK(submit_all(&ring, 1) == 1);
	CHECK(reap(&ring, &cqe) && cqe.user_data == 6 && !cqe.res);
#endif
	read_file(&ring);
	io_uring_queue_exit(&ring);
}
#else
#define CAN_REGISTER	0

static int register_ring(struct io_uring *ring)
{
	return ring->ring_fd < 0;
}
#endif

static const struct {
	const char	*name;
	void		(*run)(void);
} tests[] = {
	{ "basic", test_basic }, { "backlogged", test_backlogged },
	{ "busy", test_busy }, { "blocked", test_blocked }, { "thread", test_thread },
	{ "replaced", test_replaced }, { "interrupted", test_interrupted },
#if CAN_REGISTER
	{ "registered", test_registered },
#endif
};

static int bench(int n, int registered)
{
	struct timespec a, b;
	struct io_uring ring;
	struct io_uring_cqe cqe;
	int i, ret = set_up(4, &ring);

	if (ret) {
		printf("# no ring: %s\n", strerror(-ret));
		return 77;
	}
	if (registered && (!CAN_REGISTER || register_ring(&ring) != 1)) {
		printf("# the ring cannot be registered\n");
		return 77;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < n; i++) {
		io_uring_prep_nop(io_uring_get_sqe(&ring));
		if (submit_all(&ring, 0) != 1 || !reap(&ring, &cqe))
			return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
	return 0;
}

static int backend(void)
{
	char link[64], name[64];
	struct io_uring ring;
	ssize_t n;
	int ret = set_up(4, &ring);

	if (ret) {
		printf("none: %s\n", strerror(-ret));
		return 77;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", ring.ring_fd);
	n = readlink(link, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = 0;
	puts(strstr(name, "iouring2") ? "iouring2" : strstr(name, "io_uring") ? "in-tree" : name);
	return 0;
}

static int wanted(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return 1;
	}
	return argc == 1;
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc > 2 && !strcmp(argv[1], "bench"))
		return bench(atoi(argv[2]), argc > 3);
	if (argc == 2 && !strcmp(argv[1], "backend"))
		return backend();
	if (argc > 2 && !strcmp(argv[1], "exec")) {
		execv(argv[2], argv + 2);
		return 1;
	}
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (!wanted(argc, argv, tests[i].name))
			continue;
		failed = 0;
		tests[i].run();
		printf("%s %s\n", tests[i].name, failed ? "failed" : "passed");
		if (failed)
			return 1;
	}
	return 0;
}
