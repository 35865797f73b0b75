// SPDX-License-Identifier: GPL-2.0-only
/*
 * Teardown storms. Each process has threads that submit, wait, poll, cancel,
 * register, map, unmap, overwrite ring memory, wake, and pass descriptors on,
 * all at random and on shared rings. The process ends at a random moment and in
 * a random way (close, exit, exec, SIGKILL) while all of this goes on.
 *
 * Meanwhile another process tries to unload the module, which must fail.
 * Between rounds, unloading must succeed.
 *
 * This tests I9 and I10 with many random cases: when the last process of a
 * round has been reaped, nothing of any ring is left, and nothing has crashed.
 *
 * IOURING2_STORM=seconds makes it longer. IOURING2_MODULE=FILE names the module
 * to load again, if modprobe does not know it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fixture.h"

#define THREADS		4
#define CHILDREN	3
#define DATA		8192

struct storm {
	struct ring r;
	int event, pipe[2], sock[2], file;
	char *buf;
	pthread_mutex_t sq;	/* one submitter writes SQEs at a time */
	struct __kernel_timespec soon, late;
};

static __thread unsigned int seed;

static unsigned int rnd(unsigned int n)
{
	return rand_r(&seed) % n;
}

/* Make one random request, which may be invalid */
static void any_sqe(struct storm *s, struct iouring2_sqe *sqe)
{
	switch (rnd(14)) {
	case 0:
		prep_nop(sqe);
		break;
	case 1:
		prep_poll(sqe, s->event, POLLIN);
		break;
	case 2:
		prep_poll_multi(sqe, s->event, POLLIN);
		break;
	case 3:
		prep_timeout(sqe, &s->soon, rnd(3), 0);
		break;
	case 4:
		prep_timeout(sqe, &s->late, 0, 0);
		break;
	case 5:
		prep_timeout_remove(sqe, rnd(16));
		break;
	case 6:
		prep_poll_remove(sqe, rnd(16));
		break;
	case 7:
		prep_cancel(sqe, rnd(16), rnd(2) ? 0 :
			    IOURING2_ASYNC_CANCEL_ANY);
		break;
	case 8:
		prep_read(sqe, s->pipe[0], s->buf, 64, -1);
		break;
	case 9:
		prep_write(sqe, s->sock[0], s->buf, 64, -1);
		break;
	case 10:
		prep_read(sqe, s->sock[1], s->buf + 64, 64, -1);
		break;
	case 11:
		prep_write(sqe, s->file, s->buf, 1 + rnd(DATA), rnd(DATA));
		break;
	case 12:
		prep_read(sqe, s->file, s->buf, 1 + rnd(DATA), rnd(DATA));
		break;
	default:
		prep(sqe, rnd(80), rnd(32), NULL, rnd(4), rnd(4));
		break;
	}
	sqe->user_data = rnd(16);
	if (!rnd(3))
		sqe->flags |= rnd(128);
	/* without these flags, which would make all such requests fail */
	sqe->flags &= ~(IOURING2_SQE_FIXED_FILE | IOURING2_SQE_BUFFER_SELECT);
}

static void reap(struct storm *s)
{
	struct iouring2_cqe cqe;
	unsigned int n = rnd(64);

	while (n-- && ring_peek(&s->r, &cqe))
		;
}

static void submit(struct storm *s)
{
	unsigned int n = 1 + rnd(8);
	struct iouring2_sqe *sqe;

	pthread_mutex_lock(&s->sq);
	while (n--) {
		sqe = ring_sqe(&s->r);
		if (!sqe)
			break;
		any_sqe(s, sqe);
	}
	n = ring_publish(&s->r);
	enter(s->r.fd, n, 0, rnd(2) ? IOURING2_ENTER_GETEVENTS : 0, NULL, 0);
	reap(s);
	pthread_mutex_unlock(&s->sq);
}

static void wake(struct storm *s)
{
	struct pollfd p = { .fd = s->r.fd, .events = POLLIN | POLLOUT };
	uint64_t one = 1;
	char b[64] = "";

	switch (rnd(5)) {
	case 0:
		if (write(s->event, &one, sizeof(one)) < 0)
			return;
		break;
	case 1:
		if (read(s->event, &one, sizeof(one)) < 0)
			return;
		break;
	case 2:
		if (write(s->pipe[1], b, sizeof(b)) < 0)
			return;
		break;
	case 3:
		poll(&p, 1, 0);
		break;
	default:
		fdinfo(s->r.fd, "Backlog");
		break;
	}
}

static void use_register(struct storm *s)
{
	char buf[sizeof(struct iouring2_probe) +
		 8 * sizeof(struct iouring2_probe_op)] = "";
	struct iouring2_register reg = {
		.opcode = rnd(4) ? IOURING2_REGISTER_PROBE : rnd(64),
		.nr_args = rnd(9),
		.arg = rnd(8) ? (uintptr_t)buf : 0,
	};

	ioctl(s->r.fd, IOURING2_IOC_REGISTER, &reg);
}

/* Map the ring once more for a moment, or set up another ring */
static void map(struct storm *s)
{
	static const off_t offs[] = {
		IOURING2_OFF_SQ_RING, IOURING2_OFF_CQ_RING, IOURING2_OFF_SQES,
	};
	struct ring other;
	void *p;

	if (!rnd(4)) {
		if (!ring_init(&other, 1 << rnd(8), 0)) {
			ring_nop(&other, 1);
			ring_submit(&other);
			ring_exit(&other);
		}
		return;
	}
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s->r.fd,
		 offs[rnd(3)]);
	if (p == MAP_FAILED)
		return;
	if (rnd(2))
		*(volatile char *)p;
	if (rnd(2))
		madvise(p, 4096, MADV_DONTNEED);
	munmap(p, 4096);
}

/* Change a word that an application can write */
static void scribble(struct storm *s)
{
	__u32 *words[] = { s->r.cq_head, s->r.sq_tail, s->r.sq_head,
			   s->r.cq_tail, s->r.sq_mask, s->r.cq_flags };
	__u32 *p = words[rnd(ARRAY_SIZE(words))];

	__atomic_store_n(p, *p + rnd(3) - 1, __ATOMIC_RELEASE);
}

/* Pass the ring through a socket that its own requests read from */
static void pass_on(struct storm *s)
{
	int fd;

	if (rnd(2)) {
		send_fd(s->sock[rnd(2)], s->r.fd, MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	fd = recv_fd(s->sock[rnd(2)], MSG_DONTWAIT);
	if (fd >= 0) {
		enter(fd, 0, 0, IOURING2_ENTER_GETEVENTS, NULL, 0);
		close(fd);
	}
}

static void copy_fd(struct storm *s)
{
	int fd = dup(s->r.fd);

	enter(fd, 0, 0, 0, NULL, 0);
	close(fd);
}

static void *weather(void *arg)
{
	struct storm *s = arg;

	seed = now_ns(CLOCK_MONOTONIC) + gettid();
	for (;;) {
		switch (rnd(16)) {
		case 0 ... 5:
			submit(s);
			break;
		case 6 ... 8:
			wake(s);
			break;
		case 9:
			use_register(s);
			break;
		case 10:
			map(s);
			break;
		case 11:
			pass_on(s);
			break;
		case 12:
			copy_fd(s);
			break;
		case 13:
			if (!rnd(8))
				scribble(s);
			break;
		default:
			enter_timeout(s->r.fd, 0, 1 + rnd(4), rnd(3000000));
			break;
		}
	}
	return NULL;
}

static int storm_make(struct storm *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->sq, NULL);
	s->soon = ts_ns(1 + rnd(2000000));
	s->late = ts_ns(3600 * NSEC_PER_SEC);
	s->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->file = tmp_file(DATA);
	s->buf = mmap(NULL, 2 * DATA, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->event < 0 || s->file < 0 || s->buf == MAP_FAILED ||
	    pipe2(s->pipe, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->sock))
		return -errno;
	fcntl(s->pipe[1], F_SETFL, O_NONBLOCK);
	return ring_init_params(&s->r, 16, rnd(2) ? 16 : 64, 0,
				rnd(2) ? 0 : 100);
}

/* End the process while its threads continue to work */
static void end_somehow(struct storm *s)
{
	switch (rnd(6)) {
	case 0:
		close(s->r.fd);
		usleep(rnd(3000));
		break;
	case 1:
		munmap(s->buf, 2 * DATA);
		usleep(rnd(1000));
		break;
	case 2:
		close(s->pipe[1]);
		close(s->sock[0]);
		close(s->event);
		usleep(rnd(1000));
		break;
	case 3:
		execl("/bin/true", "true", NULL);
		break;
	case 4:
		kill(getpid(), SIGKILL);
		break;
	}
	_exit(0);
}

static void child(unsigned int s0)
{
	static struct storm s;
	pthread_t t;
	int i;

	seed = s0;
	/*
	 * a thread may die because its memory was unmapped, which is an end as
	 * well
	 */
	if (storm_make(&s))
		_exit(1);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t, NULL, weather, &s))
			_exit(1);
	/* a second process shares the ring and exits first */
	if (!rnd(3) && !fork()) {
		/* the copied lock may be held by one of the threads */
		pthread_mutex_init(&s.sq, NULL);
		submit(&s);
		usleep(rnd(3000));
		_exit(0);
	}
	usleep(rnd(20000));
	end_somehow(&s);
}

/* Try to unload the module, which is in use by this and by other processes */
static void vandal(void)
{
	int dev = dev_open();

	if (dev < 0)
		_exit(1);
	for (;;) {
		if (!syscall(__NR_delete_module, "iouring2", O_NONBLOCK) ||
		    (errno != EAGAIN && errno != EBUSY))
			_exit(2);
		usleep(1000);
	}
}

/* Return: whether the module can be loaded again */
static bool can_reload(void)
{
	return intrusive() &&
	       (getenv("IOURING2_MODULE") ||
		!system("modprobe -qn iouring2 2>/dev/null"));
}

static int reload(void)
{
	if (syscall(__NR_delete_module, "iouring2", O_NONBLOCK))
		return -errno;
	if (getenv("IOURING2_MODULE"))
		return system("insmod $IOURING2_MODULE");
	return system("modprobe iouring2");
}

/* Return: 0, or the exit status of a process of this round that failed */
static int wait_for_all(pid_t unloader)
{
	int status, ret = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0)
		if (pid != unloader && WIFEXITED(status) && WEXITSTATUS(status))
			ret = WEXITSTATUS(status);
	return ret;
}

static void wait_for(pid_t *pid, unsigned int nr)
{
	siginfo_t info;

	while (nr--)
		waitid(P_PID, pid[nr], &info, WEXITED | WNOWAIT);
}

RING_TEST(storm)
{
	long seconds = env_long("IOURING2_STORM", 8);
	long long end = now_ns(CLOCK_MONOTONIC) + seconds * NSEC_PER_SEC;
	unsigned int rounds = 0, reloads = 0, i;
	bool may_reload = can_reload();
	pid_t pid[CHILDREN], unloader;
	int status;

	/* this process reaps grandchildren when their parents have exited */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	seed = now_ns(CLOCK_REALTIME);
	TH_LOG("seed %u", seed);
	while (now_ns(CLOCK_MONOTONIC) < end) {
		unsigned int pick = 1 + rnd(CHILDREN);

		unloader = -1;
		if (rnd(2)) {
			unloader = fork();
			ASSERT_LE(0, unloader);
			if (!unloader)
				vandal();
		}
		for (i = 0; i < pick; i++) {
			unsigned int s0 = rnd(INT_MAX);

			pid[i] = fork();
			ASSERT_LE(0, pid[i]);
			if (!pid[i])
				child(s0);
			/* kill it from outside, at any moment of its life */
			if (!rnd(3)) {
				usleep(rnd(10000));
				kill(pid[i], SIGKILL);
			}
		}
		wait_for(pid, pick);
		if (unloader > 0) {
			EXPECT_EQ(0, waitpid(unloader, &status, WNOHANG));
			kill(unloader, SIGKILL);
		}
		ASSERT_EQ(0, wait_for_all(unloader));
		ASSERT_STREQ("", state_diff(&self->before, false)) {
			TH_LOG("round %u", rounds);
		}
		if (may_reload && rounds % 16 == 0) {
			ASSERT_EQ(0, reload());
			reloads++;
		}
		rounds++;
	}
	printf("# storm\t%ld\t%u\t%u\n", seconds, rounds, reloads);
	EXPECT_LT(0, (int)rounds);
}

RING_TEST_MAIN
