// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Test registered ring descriptors. The program makes the calls itself, without
 * liburing. It passes on the kernel's own io_uring since Linux 6.3, and must do so
 * when it is redirected.
 *
 * usage: registered [TEST]...	run these tests (default: all)
 *
 * With BY_SYSCALL it calls the C library's syscall(), else it contains the syscall
 * instruction. With STATIC it is linked statically.
 *
 * Exit status: 0; 1 after a line about the error; 77 there is no io_uring, or it has
 * no registered rings
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/iouring2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/registered.h"
#include "../../lib/sys.h"

#define NR_SETUP	425
#define NR_ENTER	426
#define NR_REGISTER	427
#define BY_INDEX	IOURING2_ENTER_REGISTERED_RING
#define USE_INDEX	IOURING2_REGISTER_USE_REGISTERED_RING
#define PAGE		4096

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# registered.c:%d: %s\n", __LINE__, #condition); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

/* The result is one of two: that of io_uring, or that of a redirected program. */
#define REDIRECTED(redirected, native) (is_redirected ? (redirected) : (native))

static int is_redirected;

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
#ifdef BY_SYSCALL
	long ret = syscall(nr, a, b, c, d, e, f);

	return ret < 0 ? -errno : ret;
#else
	return io2_syscall(nr, a, b, c, d, e, f);
#endif
}

/* ---- a ring ---------------------------------------------------------------- */

struct ring {
	int			fd;
	struct iouring2_params	p;
	char			*rings;
	struct iouring2_sqe	*sqes;
	size_t			size;
};

static uint32_t *at(struct ring *r, uint32_t offset)
{
	return (uint32_t *)(r->rings + offset);
}

static long set_up(struct iouring2_params *p, unsigned int flags)
{
	memset(p, 0, sizeof(*p));
	p->flags = flags;
	return call(NR_SETUP, 4, (long)p, 0, 0, 0, 0);
}

static void make(struct ring *r)
{
	r->fd = (int)set_up(&r->p, 0);
	CHECK(r->fd >= 0);
	r->size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct iouring2_cqe);
	if (r->size < r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t))
		r->size = r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t);
	r->rings = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IOURING2_OFF_SQ_RING);
	r->sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IOURING2_OFF_SQES);
	CHECK(r->rings != MAP_FAILED && r->sqes != MAP_FAILED);
}

static void unmake(struct ring *r)
{
	munmap(r->rings, r->size);
	munmap(r->sqes, PAGE);
	if (r->fd >= 0)
		CHECK(!close(r->fd));
}

static struct iouring2_sqe *prepare(struct ring *r, int opcode)
{
	uint32_t tail = *at(r, r->p.sq_off.tail), slot = tail & *at(r, r->p.sq_off.ring_mask);
	struct iouring2_sqe *sqe = &r->sqes[slot];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = (uint8_t)opcode;
	at(r, r->p.sq_off.array)[slot] = slot;
	__atomic_store_n(at(r, r->p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	return sqe;
}

static int reap(struct ring *r, struct iouring2_cqe *copy)
{
	uint32_t head = *at(r, r->p.cq_off.head);
	struct iouring2_cqe *cqes = (void *)(r->rings + r->p.cq_off.cqes);

	if (head == __atomic_load_n(at(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE))
		return 0;
	*copy = cqes[head & *at(r, r->p.cq_off.ring_mask)];
	__atomic_store_n(at(r, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return 1;
}

static long enter(long ring, unsigned int submit, unsigned int wait, unsigned int flags)
{
	return call(NR_ENTER, ring, submit, wait, flags, 0, 0);
}

/* Submit a NOP by the descriptor or index @ring. Return: whether it was executed. */
static int nop(struct ring *r, long ring, unsigned int flags)
{
	static unsigned int numbers;
	unsigned int number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
	struct iouring2_cqe cqe = { .user_data = 0 };

	prepare(r, IOURING2_OP_NOP)->user_data = number;
	return enter(ring, 1, 1, flags | IOURING2_ENTER_GETEVENTS) == 1 && reap(r, &cqe) &&
	       cqe.user_data == number && !cqe.res;
}

/* ---- registering ----------------------------------------------------------- */

static long change(long ring, unsigned int opcode, void *updates, unsigned int nr)
{
	return call(NR_REGISTER, ring, (long)opcode, (long)updates, nr, 0, 0);
}

/* Register @fd, by a call on the ring @by. Return: the index, or the result of the call. */
static long add_by(int by, int fd, unsigned int offset)
{
	struct iouring2_rsrc_update up = { .offset = offset, .data = (unsigned int)fd };
	long ret = change(by, IOURING2_REGISTER_RING_FDS, &up, 1);

	return ret == 1 ? (long)up.offset : ret < 0 ? ret : -1000 - ret;
}

static long add(const struct ring *r)
{
	return add_by(r->fd, r->fd, ~0U);
}

static long drop(const struct ring *r, unsigned int index)
{
	struct iouring2_rsrc_update up = { .offset = index };

	return change(r->fd, IOURING2_UNREGISTER_RING_FDS, &up, 1);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- tests ----------------------------------------------------------------- */

static void test_basic(void)
{
	int before = descriptors();
	struct ring r;

	make(&r);
	CHECK(r.p.features & IOURING2_FEAT_REG_REG_RING);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF);
	CHECK(add(&r) == 0);
	CHECK(descriptors() == before + 1 + REDIRECTED(1, 0));
	CHECK(nop(&r, 0, BY_INDEX) && nop(&r, r.fd, 0));
	CHECK(drop(&r, 0) == 1 && drop(&r, 0) == 1);
	CHECK(descriptors() == before + 1);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF);
	unmake(&r);
	CHECK(descriptors() == before);
}

static void test_indices(void)
{
	struct ring r;

	make(&r);
	CHECK(add_by(r.fd, r.fd, 5) == 5 && add(&r) == 0 && add(&r) == 1);
	CHECK(add_by(r.fd, r.fd, 5) == -EBUSY);
	CHECK(add_by(r.fd, r.fd, 16) == -EINVAL && add_by(r.fd, r.fd, ~1U) == -EINVAL);
	CHECK(nop(&r, 5, BY_INDEX) && nop(&r, 0, BY_INDEX) && nop(&r, 1, BY_INDEX));
	CHECK(enter(2, 0, 0, BY_INDEX) == -EBADF && enter(15, 0, 0, BY_INDEX) == -EBADF);
	CHECK(enter(16, 0, 0, BY_INDEX) == -EINVAL && enter(-1, 0, 0, BY_INDEX) == -EINVAL &&
	      enter(0x7fffffff, 0, 0, BY_INDEX) == -EINVAL);
	CHECK(enter(5, 0, 0, BY_INDEX | (1U << 29)) == -EINVAL &&
	      enter(2, 0, 0, BY_INDEX | (1U << 29)) == -EINVAL);
	CHECK(drop(&r, 16) == -EINVAL && drop(&r, 15) == 1 && drop(&r, 5) == 1);
	CHECK(enter(5, 0, 0, BY_INDEX) == -EBADF && nop(&r, 1, BY_INDEX));
	CHECK(drop(&r, 0) == 1 && add(&r) == 0 && add(&r) == 2);
	CHECK(drop(&r, 0) == 1 && drop(&r, 1) == 1 && drop(&r, 2) == 1);
	unmake(&r);
}

static void test_limit(void)
{
	struct iouring2_rsrc_update ups[17];
	int i, before = descriptors();
	struct ring r;

	make(&r);
	for (i = 0; i < 17; i++)
		ups[i] = (struct iouring2_rsrc_update){ .offset = ~0U, .data = (unsigned int)r.fd };
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, ups, 17) == -EINVAL);
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, ups, 0) == -EINVAL);
	CHECK(add_by(r.fd, r.fd, 3) == 3);
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, ups, 16) == 15);
	for (i = 0; i < 15; i++)
		CHECK(ups[i].offset == (unsigned int)(i < 3 ? i : i + 1));
	CHECK(ups[15].offset == ~0U && add(&r) == -EBUSY);
	for (i = 0; i < 16; i++) {
		CHECK(nop(&r, i, BY_INDEX));
		ups[i] = (struct iouring2_rsrc_update){ .offset = (unsigned int)i };
	}
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, ups, 17) == -EINVAL);
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, ups, 0) == -EINVAL);
	ups[7].data = 1;
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, ups, 16) == 7);
	CHECK(enter(6, 0, 0, BY_INDEX) == -EBADF && nop(&r, 7, BY_INDEX));
	ups[7].data = 0;
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, ups, 16) == 16);
	CHECK(descriptors() == before + 1);
	unmake(&r);
}

static void test_wrong(void)
{
	struct iouring2_rsrc_update *up = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iouring2_rsrc_update wrong = { .offset = ~0U };
	struct ring r;
	int n;

	CHECK(up != MAP_FAILED);
	make(&r);
	CHECK(add_by(r.fd, -1, ~0U) == -EBADF && add_by(r.fd, 1000000, ~0U) == -EBADF);
	CHECK(add_by(r.fd, 0, ~0U) == -EOPNOTSUPP);
	CHECK(add_by(0, r.fd, ~0U) == -EOPNOTSUPP && add_by(1000000, r.fd, ~0U) == -EBADF);
	wrong.resv = 1;
	wrong.data = (unsigned int)r.fd;
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, &wrong, 1) == -EINVAL);
	wrong.data = 0;
	wrong.offset = 0;
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, &wrong, 1) == -EINVAL);
	wrong.resv = 0;
	wrong.data = 1;
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, &wrong, 1) == -EINVAL);
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, NULL, 1) == -EFAULT);
	CHECK(change(r.fd, IOURING2_UNREGISTER_RING_FDS, NULL, 1) == -EFAULT);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF);
	/* the second of two entries is at a bad address */
	munmap((char *)up + PAGE, PAGE);
	up = (void *)((char *)up + PAGE - sizeof(*up));
	*up = (struct iouring2_rsrc_update){ .offset = ~0U, .data = (unsigned int)r.fd };
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, up, 2) == 1 && up->offset == 0);
	CHECK(nop(&r, 0, BY_INDEX));
	*up = (struct iouring2_rsrc_update){ .offset = ~0U, .data = (unsigned int)r.fd };
	CHECK(!mprotect((char *)up + sizeof(*up) - PAGE, PAGE, PROT_READ));
	n = descriptors();
	CHECK(change(r.fd, IOURING2_REGISTER_RING_FDS, up, 1) == -EFAULT);
	CHECK(enter(1, 0, 0, BY_INDEX) == -EBADF && descriptors() == n);
	CHECK(drop(&r, 0) == 1);
	munmap((char *)up + sizeof(*up) - PAGE, PAGE);
	unmake(&r);
}

static int probe(long ring, unsigned int flags)
{
	char room[sizeof(struct iouring2_probe) + 4 * sizeof(struct iouring2_probe_op)];
	struct iouring2_probe *p = (void *)room;
	long ret;

	memset(room, 0, sizeof(room));
	ret = call(NR_REGISTER, ring, (long)(IOURING2_REGISTER_PROBE | flags), (long)p, 4, 0, 0);
	return ret ? (int)ret : p->last_op >= 4 && p->ops_len == 4;
}

/* REGISTER by an index, also for the calls that register and unregister rings */
static void test_register(void)
{
	struct iouring2_rsrc_update up = { .offset = ~0U };
	struct ring r;

	make(&r);
	CHECK(add_by(r.fd, r.fd, 9) == 9);
	CHECK(probe(r.fd, 0) == 1 && probe(9, USE_INDEX) == 1);
	CHECK(probe(8, USE_INDEX) == -EBADF && probe(16, USE_INDEX) == -EINVAL);
	CHECK(change(9, 1000 | USE_INDEX, NULL, 0) == -EINVAL &&
	      change(8, 1000 | USE_INDEX, NULL, 0) == -EINVAL);
	up.data = (unsigned int)r.fd;
	CHECK(change(9, IOURING2_REGISTER_RING_FDS | USE_INDEX, &up, 1) == 1 && !up.offset);
	up.data = 0;
	up.offset = 9;
	CHECK(change(9, IOURING2_UNREGISTER_RING_FDS | USE_INDEX, &up, 1) == 1);
	CHECK(probe(9, USE_INDEX) == -EBADF && probe(0, USE_INDEX) == 1);
	CHECK(drop(&r, 0) == 1);
	unmake(&r);
}

/* As io_uring_close_ring_fd() does. A request in flight goes on. */
static void test_closed(void)
{
	struct iouring2_timespec ts = { .tv_nsec = 100000000 };
	struct iouring2_rsrc_update up = { .offset = 0 };
	int before = descriptors();
	struct iouring2_cqe cqe = { .user_data = 0 };
	struct iouring2_sqe *sqe;
	struct ring r;

	make(&r);
	CHECK(add(&r) == 0);
	sqe = prepare(&r, IOURING2_OP_TIMEOUT);
	sqe->addr = (unsigned long)&ts;
	sqe->len = 1;
	sqe->user_data = 7;
	CHECK(enter(0, 1, 0, BY_INDEX) == 1 && !reap(&r, &cqe));
	CHECK(!close(r.fd));
	CHECK(enter(0, 0, 1, BY_INDEX | IOURING2_ENTER_GETEVENTS) == 0);
	CHECK(reap(&r, &cqe) && cqe.user_data == 7 && cqe.res == -ETIME);
	CHECK(nop(&r, 0, BY_INDEX) && probe(0, USE_INDEX) == 1);
	CHECK(enter(r.fd, 0, 0, 0) == -EBADF);
	CHECK(change(0, IOURING2_UNREGISTER_RING_FDS | USE_INDEX, &up, 1) == 1);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF && descriptors() == before);
	r.fd = -1;
	unmake(&r);
}

/* ---- threads --------------------------------------------------------------- */

static void *without_ring(void *arg)
{
	struct ring *main_ring = arg, r;

	CHECK(enter(0, 0, 0, BY_INDEX) == -EINVAL && enter(16, 0, 0, BY_INDEX) == -EINVAL);
	CHECK(drop(main_ring, 16) == 0);
	make(&r);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF && drop(main_ring, 16) == -EINVAL);
	CHECK(add(&r) == 0 && nop(&r, 0, BY_INDEX));
	/* the main thread's ring has no event */
	CHECK(add_by(r.fd, main_ring->fd, 4) == 4 && enter(4, 0, 0, BY_INDEX) == 0);
	CHECK(drop(&r, 0) == 1 && drop(&r, 4) == 1);
	unmake(&r);
	return NULL;
}

static void *many(void *arg)
{
	struct ring r;
	int i;

	make(&r);
	for (i = 0; i < 3; i++) {
		CHECK(add(&r) == 0 && add(&r) == 1);
		CHECK(nop(&r, 0, BY_INDEX) && nop(&r, 1, BY_INDEX));
		CHECK(drop(&r, 0) == 1 && nop(&r, 1, BY_INDEX) && drop(&r, 1) == 1);
	}
	CHECK(add(&r) == 0);
	/* half of them end without unregistering */
	if ((long)arg & 1)
		CHECK(drop(&r, 0) == 1);
	unmake(&r);
	return NULL;
}

static void run_threads(void *(*function)(void *arg), int n)
{
	pthread_t threads[100];
	long i;

	for (i = 0; i < n; i++)
		CHECK(!pthread_create(&threads[i], NULL, function, (void *)i));
	for (i = 0; i < n; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

/*
 * Create rings until the descriptors of ended threads have been closed. The kernel
 * tells the one who joins a thread of its end before the thread has ended.
 */
static void wait_until_closed(int expected)
{
	struct ring r;
	int i;

	for (i = 0; i < 1000 && descriptors() != expected; i++) {
		make(&r);
		unmake(&r);
		usleep(i * 10);
	}
	CHECK(descriptors() == expected);
}

static void test_threads(void)
{
	int before = descriptors();
	pthread_t thread;
	struct ring r;

	make(&r);
	CHECK(add(&r) == 0);
	CHECK(!pthread_create(&thread, NULL, without_ring, &r));
	CHECK(!pthread_join(thread, NULL));
	CHECK(nop(&r, 0, BY_INDEX) && enter(4, 0, 0, BY_INDEX) == -EBADF);
	/* more than the slots of one page */
	run_threads(many, 100);
	CHECK(nop(&r, 0, BY_INDEX) && drop(&r, 0) == 1);
	unmake(&r);
	wait_until_closed(before);
}

static pthread_key_t key;
static int destroyed;

static void use_ring(void *arg)
{
	struct ring *r = arg;

	CHECK(nop(r, 0, BY_INDEX));
	destroyed++;
}

static void *with_destructor(void *arg)
{
	struct ring *r = arg;

	make(r);
	CHECK(add(r) == 0 && !close(r->fd));
	r->fd = -1;
	CHECK(!pthread_setspecific(key, r));
	return NULL;
}

/* A thread ends without unregistering, after a destructor of the program has run. */
static void test_thread_end(void)
{
	int before = descriptors();
	pthread_t thread;
	struct ring r;

	CHECK(!pthread_key_create(&key, use_ring));
	CHECK(!pthread_create(&thread, NULL, with_destructor, &r));
	CHECK(!pthread_join(thread, NULL));
	CHECK(destroyed == 1);
#ifdef BY_SYSCALL
	CHECK(descriptors() == before);
#endif
	wait_until_closed(before);
	unmake(&r);
	CHECK(!pthread_key_delete(key));
}

/* ---- processes ------------------------------------------------------------- */

static void wait_for(long pid)
{
	int status;

	CHECK(pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && !status);
}

/* A child, which has as many descriptors as the process had before it registered. */
static void child(int descriptors_before)
{
	struct ring r;

	CHECK(enter(0, 0, 0, BY_INDEX) == -EINVAL && probe(0, USE_INDEX) == -EINVAL);
	if (descriptors_before)
		CHECK(descriptors() == descriptors_before);
	make(&r);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF);
	CHECK(add(&r) == 0 && nop(&r, 0, BY_INDEX) && drop(&r, 0) == 1);
	unmake(&r);
	_exit(0);
}

static void test_fork(void)
{
	struct ring r;
	int before;
	long pid;

	make(&r);
	before = descriptors();
	CHECK(add(&r) == 0 && nop(&r, 0, BY_INDEX));
	pid = fork();
	if (!pid) {
#ifndef STATIC
		CHECK(descriptors() == before);
#endif
		child(before);
	}
	wait_for(pid);
	CHECK(nop(&r, 0, BY_INDEX));
	pid = io2_syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (!pid)
		child(before);
	wait_for(pid);
	CHECK(nop(&r, 0, BY_INDEX));
	/* the table of descriptors is shared, but the memory is not */
	pid = io2_syscall(SYS_clone, SIGCHLD | CLONE_FILES, 0, 0, 0, 0, 0);
	if (!pid)
		child(0);
	wait_for(pid);
	CHECK(nop(&r, 0, BY_INDEX) && drop(&r, 0) == 1 && descriptors() == before);
	unmake(&r);
}

static void test_exec(void)
{
	char before[16];
	struct ring r;
	long pid;

	snprintf(before, sizeof(before), "%d", descriptors());
	make(&r);
	CHECK(add(&r) == 0);
	pid = fork();
	if (!pid) {
		make(&r);
		CHECK(add(&r) == 0);
		CHECK(execl("/nonexistent", "nonexistent", NULL) == -1 && nop(&r, 0, BY_INDEX));
		execl("/proc/self/exe", "registered", "after-exec", before, NULL);
		CHECK(0);
	}
	wait_for(pid);
	CHECK(nop(&r, 0, BY_INDEX) && drop(&r, 0) == 1);
	unmake(&r);
}

static int after_exec(int before)
{
	CHECK(enter(0, 0, 0, BY_INDEX) == -EINVAL);
	CHECK(descriptors() == before);
	return 0;
}

/* ---- signals --------------------------------------------------------------- */

static struct ring handlers_ring;
static volatile int handled;

static void on_alarm(int sig)
{
	int error = errno;
	long index = add(&handlers_ring);

	CHECK(sig == SIGALRM && index >= 0 && index < 16);
	CHECK(enter(index, 0, 0, BY_INDEX) == 0);
	CHECK(drop(&handlers_ring, (unsigned int)index) == 1);
	CHECK(enter(index, 0, 0, BY_INDEX) == -EBADF);
	handled++;
	errno = error;
}

static void test_signals(void)
{
	struct itimerval each = { { .tv_usec = 1000 }, { .tv_usec = 1000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction act = { .sa_handler = on_alarm };
	sigset_t before, after;
	struct ring r;
	long index;

	make(&r);
	make(&handlers_ring);
	CHECK(!sigaction(SIGALRM, &act, NULL) && !sigprocmask(SIG_SETMASK, NULL, &before));
	CHECK(!setitimer(ITIMER_REAL, &each, NULL));
	while (handled < 200) {
		index = add(&r);
		CHECK(index >= 0 && index < 16 && enter(index, 0, 0, BY_INDEX) == 0);
		CHECK(drop(&r, (unsigned int)index) == 1);
	}
	CHECK(!setitimer(ITIMER_REAL, &off, NULL));
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &after) && !memcmp(&before, &after, 8));
	for (index = 0; index < 16; index++)
		CHECK(enter(index, 0, 0, BY_INDEX) == -EBADF);
	unmake(&r);
	unmake(&handlers_ring);
}

/* ---- descriptors ----------------------------------------------------------- */

static void test_descriptors(void)
{
	struct rlimit old, low = { .rlim_cur = 64 };
	int fds[64], n = 0;
	struct ring r;

	make(&r);
	CHECK(!getrlimit(RLIMIT_NOFILE, &old));
	low.rlim_max = old.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	CHECK(add(&r) == 0 && nop(&r, 0, BY_INDEX) && drop(&r, 0) == 1);
	while (n < 64 && (fds[n] = dup(0)) >= 0)
		n++;
	CHECK(n > 0 && n < 64);
	/* a duplicate needs a descriptor */
	CHECK(add(&r) == REDIRECTED(-EMFILE, 0));
	CHECK(enter(0, 0, 0, BY_INDEX) == REDIRECTED(-EBADF, 0) && drop(&r, 0) == 1);
	while (n--)
		close(fds[n]);
	CHECK(!setrlimit(RLIMIT_NOFILE, &old));
	unmake(&r);
}

/* ---- rings without a descriptor -------------------------------------------- */

static char *pages;

static long set_up_in(struct ring *r, unsigned int flags)
{
	memset(&r->p, 0, sizeof(r->p));
	memset(pages, 0, 2 * PAGE);
	r->p.flags = flags | IOURING2_SETUP_NO_MMAP;
	r->p.sq_off.user_addr = (unsigned long)pages;
	r->p.cq_off.user_addr = (unsigned long)pages + PAGE;
	r->sqes = (void *)pages;
	r->rings = pages + PAGE;
	return call(NR_SETUP, 4, (long)&r->p, 0, 0, 0, 0);
}

static void test_index_only(void)
{
	unsigned int flags = IOURING2_SETUP_REGISTERED_FD_ONLY;
	int i, before = descriptors();
	struct iouring2_rsrc_update up = { .offset = 0 };
	struct iouring2_params p;
	struct ring r;
	long fd;

	CHECK(set_up(&p, flags) == -EINVAL);
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	fd = set_up_in(&r, 0);
	if (fd == -EINVAL) {
		printf("index_only: rings in the program's memory are not supported\n");
		return;
	}
	CHECK(fd >= 0 && !close((int)fd) && descriptors() == before);
	CHECK(set_up_in(&r, flags) == 0);
	CHECK(r.p.flags == (flags | IOURING2_SETUP_NO_MMAP) && r.p.features & IOURING2_FEAT_REG_REG_RING);
	CHECK(descriptors() == before + REDIRECTED(1, 0));
	CHECK(nop(&r, 0, BY_INDEX) && nop(&r, 0, BY_INDEX) && probe(0, USE_INDEX) == 1);
	CHECK(change(0, IOURING2_UNREGISTER_RING_FDS | USE_INDEX, &up, 1) == 1);
	CHECK(enter(0, 0, 0, BY_INDEX) == -EBADF && descriptors() == before);
	for (i = 0; i < 16; i++)
		CHECK(set_up_in(&r, flags) == i);
	CHECK(set_up_in(&r, flags) == -EBUSY);
	for (i = 0; i < 16; i++) {
		up.offset = (unsigned int)i;
		CHECK(change(i, IOURING2_UNREGISTER_RING_FDS | USE_INDEX, &up, 1) == 1);
	}
	CHECK(descriptors() == before);
}

static void test_clone_buffers(void)
{
	static char buffer[PAGE];
	struct iovec v = { buffer, sizeof(buffer) };
	struct iouring2_clone_buffers c = { .flags = IOURING2_REGISTER_SRC_REGISTERED };
	struct ring from, to;
	long ret;

	make(&from);
	make(&to);
	CHECK(add_by(to.fd, from.fd, 7) == 7);
	ret = change(from.fd, IOURING2_REGISTER_BUFFERS, &v, 1);
	c.src_fd = 7;
	if (!ret)
		ret = change(to.fd, IOURING2_REGISTER_CLONE_BUFFERS, &c, 1);
	if (ret == -EINVAL) {
		printf("clone_buffers: not supported\n");
	} else {
		CHECK(!ret && c.src_fd == 7);
		CHECK(!change(to.fd, IOURING2_UNREGISTER_BUFFERS, NULL, 0));
		c.src_fd = 8;
		CHECK(change(to.fd, IOURING2_REGISTER_CLONE_BUFFERS, &c, 1) == -EBADF);
		c.src_fd = 16;
		CHECK(change(to.fd, IOURING2_REGISTER_CLONE_BUFFERS, &c, 1) == -EINVAL);
		c.src_fd = (unsigned int)from.fd;
		c.flags = 0;
		CHECK(!change(to.fd, IOURING2_REGISTER_CLONE_BUFFERS, &c, 1));
	}
	CHECK(drop(&to, 7) == 1);
	unmake(&to);
	unmake(&from);
}

/* ---------------------------------------------------------------------------- */

static const struct {
	const char	*name;
	void		(*run)(void);
} tests[] = {
	{ "basic", test_basic }, { "indices", test_indices }, { "limit", test_limit },
	{ "wrong", test_wrong }, { "register", test_register }, { "closed", test_closed },
	{ "threads", test_threads }, { "thread_end", test_thread_end }, { "fork", test_fork },
	{ "exec", test_exec }, { "signals", test_signals }, { "descriptors", test_descriptors },
	{ "index_only", test_index_only }, { "clone_buffers", test_clone_buffers },
};

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
	struct iouring2_params p;
	unsigned int i;
	long fd;

	is_redirected = !!getenv("IOURING2_RUN");
	if (argc == 3 && !strcmp(argv[1], "after-exec"))
		return after_exec(atoi(argv[2]));
	fd = set_up(&p, 0);
	if (fd < 0) {
		printf("no io_uring: %s\n", strerror((int)-fd));
		return 77;
	}
	if (!(p.features & IOURING2_FEAT_REG_REG_RING)) {
		printf("this kernel's io_uring cannot be used by registered indices\n");
		return 77;
	}
	close((int)fd);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (!wanted(argc, argv, tests[i].name))
			continue;
		tests[i].run();
		printf("%s passed\n", tests[i].name);
		fflush(stdout);
	}
	return 0;
}
