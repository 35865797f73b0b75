// SPDX-License-Identifier: GPL-2.0-only
/*
 * I10: the kernel trusts nothing that user space can write, whatever is written
 * there, and whenever.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define OVERFLOW	IOURING2_SQ_CQ_OVERFLOW

/* ----------------------------------------------------- one word at a time */

/* The sizes are for the application to read; the kernel uses its own copies */
RING_TEST(sizes_overwritten)
{
	static const __u32 values[] = {
		0, 1, 3, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	unsigned int i, n = 0, j;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		*r.sq_mask = values[i];
		*r.sq_entries = values[i];
		*r.cq_mask = values[i];
		*r.cq_entries = values[i];
		/* Three times round the CQ */
		for (j = 0; j < 48; j++, n++) {
			ASSERT_EQ(0, ring_nop(&r, n));
			EXPECT_EQ(1, ring_submit(&r));
			EXPECT_EQ(n + 1, *r.cq_tail);
			EXPECT_EQ(n, r.cqes[n % 16].user_data);
			*r.cq_head = n + 1;
		}
		EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
		EXPECT_EQ(7, fdinfo(r.fd, "SqMask"));
		EXPECT_EQ(15, fdinfo(r.fd, "CqMask"));
		EXPECT_EQ(n, fdinfo(r.fd, "CachedCqTail"));
		EXPECT_EQ(n, fdinfo(r.fd, "CachedSqHead"));
	}
	ring_exit(&r);
}

static const __u32 junk[] = {
	1, 7, 8, 9, 15, 16, 17, 100, 0x7fffffff, 0x80000000, 0xfffffff0,
	0xffffffff,
};

/* The kernel never reads back the words that it writes */
RING_TEST(kernel_words_overwritten)
{
	struct iouring2_cqe cqe;
	unsigned int i, n = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		*r.sq_head += junk[i];
		*r.cq_tail += junk[i];
		*r.sq_flags = ~0;
		*r.sq_dropped = junk[i];
		*r.cq_overflow = junk[i];
		r.sq_array[n % 8] = n % 8;
		prep_nop(&r.sqes[n % 8]);
		r.sqes[n % 8].user_data = n;
		n++;
		*r.sq_tail = n;
		EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0)) {
			TH_LOG("junk %#x", junk[i]);
		}
		EXPECT_EQ(n, *r.sq_head);
		EXPECT_EQ(n, *r.cq_tail);
		EXPECT_EQ(n, fdinfo(r.fd, "CachedSqHead"));
		EXPECT_EQ(n, fdinfo(r.fd, "CachedCqTail"));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(n - 1, cqe.user_data);
		/* Waiting and poll do not use them either */
		*r.cq_tail += junk[i];
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, NSEC_PER_MSEC));
		*r.cq_tail = n;
	}
	ring_exit(&r);
}

/*
 * The flag only tells the application of the backlog; the kernel does not read
 * it
 */
RING_TEST(flags_overwritten)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i % 2)
			EXPECT_EQ(2, ring_submit(&r));
	}
	EXPECT_EQ(2, fdinfo(r.fd, "Backlog"));
	*r.sq_flags = 0;
	ASSERT_EQ(0, ring_nop(&r, 9));
	EXPECT_EQ(-EBUSY, ring_submit(&r));
	*r.cq_head = *r.cq_tail;
	EXPECT_EQ(0, enter(r.fd, 0, 0, IOURING2_ENTER_GETEVENTS, NULL, 0));
	EXPECT_EQ(2, (int)ring_ready(&r));
	*r.cq_head = *r.cq_tail;
	*r.sq_flags = OVERFLOW;
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
}

/* The SQ tail: ENTER never takes more entries than there are */
RING_TEST(sq_tail_overwritten)
{
	static const __u32 ahead[] = {
		8, 9, 16, 100, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	unsigned int i, j, n = 0;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	for (i = 0; i < ARRAY_SIZE(ahead); i++) {
		for (j = 0; j < 8; j++) {
			r.sq_array[j] = j;
			prep_nop(&r.sqes[j]);
		}
		*r.sq_tail = n + ahead[i];
		EXPECT_EQ(8, enter(r.fd, ~0U, 0, 0, NULL, 0)) {
			TH_LOG("%#x ahead", ahead[i]);
		}
		n += 8;
		EXPECT_EQ(n, *r.sq_head);
		EXPECT_EQ(n, fdinfo(r.fd, "Submitted"));
		EXPECT_EQ(n, fdinfo(r.fd, "CachedSqHead"));
		EXPECT_EQ(8, (int)ring_ready(&r));
		*r.cq_head = *r.cq_tail;
	}
	*r.sq_tail = n;
	EXPECT_EQ(0, enter(r.fd, ~0U, 0, 0, NULL, 0));
	ring_exit(&r);
}

/*
 * The CQ head: a wrong value makes the ring look full. CQEs that do not fit
 * wait, undamaged, and are posted when the head is right again.
 */
RING_TEST(cq_head_overwritten)
{
	unsigned int i, n = 0, real;
	struct iouring2_cqe cqe;
	struct pollfd p = { .events = POLLIN };
	struct ring r;

	/* The CQ is so small that the kernel has to read the head every time */
	ASSERT_EQ(0, ring_init(&r, 1, 1));
	p.fd = r.fd;
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		real = *r.cq_head;
		/*
		 * The head is ahead of the tail: more was reaped than was ever
		 * posted
		 */
		*r.cq_head = real + junk[i];
		ASSERT_EQ(0, ring_nop(&r, n));
		EXPECT_EQ(1, ring_submit(&r));
		/* No wait may hang because of it */
		enter_timeout(r.fd, 0, 16, NSEC_PER_MSEC);
		poll(&p, 1, 0);
		EXPECT_EQ(0, fdinfo(r.fd, "Inflight"));
		EXPECT_GE(1, fdinfo(r.fd, "Backlog"));
		*r.cq_head = real;
		EXPECT_EQ(0, enter(r.fd, 0, 1, IOURING2_ENTER_GETEVENTS, NULL,
				   0));
		EXPECT_EQ(1, (int)ring_ready(&r)) {
			TH_LOG("junk %#x", junk[i]);
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(n, cqe.user_data);
		EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
		EXPECT_FALSE(*r.sq_flags & OVERFLOW);
		n++;
	}
	ring_exit(&r);
}

/* An SQE is read once: changes after ENTER have no effect */
RING_TEST(sqe_overwritten)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	uint64_t v = 3, got = 0;
	struct ring r;
	int efd;

	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_read(sqe, efd, &got, sizeof(got), 0);
	sqe->user_data = 0x77;
	EXPECT_EQ(1, ring_submit(&r));
	memset(r.sqes, 0xff, r.sqes_len);
	memset(r.sq_array, 0xff, 8 * sizeof(__u32));
	EXPECT_EQ((ssize_t)sizeof(v), write(efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(0x77, (int)cqe.user_data);
	EXPECT_EQ(8, cqe.res);
	EXPECT_EQ(3, (int)got);
	ring_exit(&r);
	close(efd);
}

/* ------------------------------------------------------ all of it at once */

#define SCRIBBLE_NS	((full_stress() ? 30 : 2) * NSEC_PER_SEC)
#define CAP		128

/*
 * A child runs this with no important files open, because random SQEs may do
 * anything to the files and the memory of the child.
 */
struct scribbler {
	pthread_t self;
	struct ring *r;
	unsigned int seed;
	bool stop;
	char *buf;		/* memory that may be read and written */
	int fds[4];
};

static __u32 rnd(unsigned int *seed)
{
	__u32 v = rand_r(seed);

	switch (rand_r(seed) % 4) {
	case 0:
		return v % 32;
	case 1:
		return -(v % 32);
	case 2:
		return 1U << v % 32;
	default:
		return v << 1 ^ rand_r(seed);
	}
}

/*
 * Write an SQE that the kernel may accept, so that garbage reaches every opcode
 */
static void scribble_sqe(struct scribbler *s)
{
	unsigned int *seed = &s->seed;
	struct iouring2_sqe *sqe;

	sqe = &s->r->sqes[rand_r(seed) % s->r->setup.params.sq_entries];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = rand_r(seed) % 24;
	sqe->flags = rand_r(seed) % 4 ? 0 : rand_r(seed) % 128;
	sqe->fd = s->fds[rand_r(seed) % ARRAY_SIZE(s->fds)];
	sqe->addr = rand_r(seed) % 4 ? (uintptr_t)s->buf : rnd(seed);
	sqe->len = rand_r(seed) % 3;
	sqe->off = rand_r(seed) % 2 ? 0 : rnd(seed);
	sqe->rw_flags = rand_r(seed) % 2 ? 0 : 1U << rand_r(seed) % 8;
	sqe->user_data = rand_r(seed) % 8;
}

static void scribble_words(struct scribbler *s)
{
	struct ring *r = s->r;
	unsigned int *seed = &s->seed;
	__u32 *w;

	switch (rand_r(seed) % 4) {
	case 0:		/* the heads, tails, masks, flags */
		w = r->map;
		w[rand_r(seed) % (r->setup.params.cq_off.cqes / 4)] = rnd(seed);
		break;
	case 1:		/* plausible values, close to the true ones */
		*r->sq_tail = *r->sq_head + rand_r(seed) % 16;
		*r->cq_head = *r->cq_tail - rand_r(seed) % 20;
		break;
	case 2:		/* CQEs and the index array */
		w = r->map;
		w[rand_r(seed) % (r->map_len / 4)] = rnd(seed);
		break;
	default:
		w = (__u32 *)r->sqes;
		w[rand_r(seed) % (r->sqes_len / 4)] = rnd(seed);
		break;
	}
}

/* Mostly an index that exists, else one far beyond the last */
static __u32 any_index(unsigned int *seed)
{
	return rand_r(seed) % 8 | (rand_r(seed) % 8 ? 0 : 0x40000000);
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	while (!ld_acq(&s->stop)) {
		if (s->r->sq_array)
			s->r->sq_array[rand_r(&s->seed) % 8] =
				any_index(&s->seed);
		scribble_sqe(s);
		scribble_words(s);
	}
	return NULL;
}

/* Check all that must hold for the kernel's own counters */
static int numbers_sane(const struct ring *r, __u32 taken)
{
	long long completed = fdinfo(r->fd, "Completed");
	long long submitted = fdinfo(r->fd, "Submitted");
	long long head = fdinfo(r->fd, "CachedSqHead");

	if (fdinfo(r->fd, "SqMask") != r->setup.params.sq_entries - 1)
		return 1;
	if (fdinfo(r->fd, "CqMask") != r->setup.params.cq_entries - 1)
		return 2;
	/* nobody else submits, so the number is stable */
	if ((__u32)submitted != taken)
		return 3;
	/* an invalid index moves the head, but is not counted as submitted */
	if (head < submitted || head > submitted + 100000000)
		return 4;
	if (completed > submitted)
		return 5;
	if (fdinfo(r->fd, "Inflight") + fdinfo(r->fd, "Backlog") > CAP)
		return 6;
	return 0;
}

static bool enter_answer(int ret)
{
	switch (ret) {
	case -EBUSY:
	case -EAGAIN:
	case -ETIME:
	case -EINTR:
		return true;
	default:
		return ret >= 0;
	}
}

static int scribble_round(struct ring *r, unsigned int *seed, int ep,
			  __u32 *taken)
{
	long long start = now_ns(CLOCK_MONOTONIC);
	struct pollfd p = { .fd = r->fd, .events = POLLIN | POLLOUT };
	struct epoll_event ev;
	int ret = 0;

	switch (rand_r(seed) % 4) {
	case 0:
		ret = enter(r->fd, rand_r(seed) % 20, 0, 0, NULL, 0);
		break;
	case 1:
		ret = enter_timeout(r->fd, rand_r(seed) % 4, rnd(seed),
				    2 * NSEC_PER_MSEC);
		break;
	case 2:
		poll(&p, 1, 2);
		break;
	default:
		epoll_wait(ep, &ev, 1, 2);
		break;
	}
	if (!enter_answer(ret))
		return 20;
	if (ret > 0)
		*taken += ret;
	/* The waits were of milliseconds, but the machine may be slow */
	if (now_ns(CLOCK_MONOTONIC) - start > 20 * NSEC_PER_SEC)
		return 21;
	return numbers_sane(r, *taken);
}

static int scribbled_child(unsigned int seed, unsigned int flags)
{
	long long end = now_ns(CLOCK_MONOTONIC) + SCRIBBLE_NS / 2;
	struct scribbler s = { .seed = seed };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	__u32 taken = 0;
	int ret = 0, ep, fds[2];
	struct ring r;

	if (ring_init_params(&r, 8, 16, flags, CAP))
		return 30;
	s.r = &r;
	s.buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ep = epoll_create1(0);
	if (s.buf == MAP_FAILED || ep < 0 || pipe(fds) ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev))
		return 31;
	s.fds[0] = fds[0];
	s.fds[1] = fds[1];
	s.fds[2] = eventfd(0, 0);
	s.fds[3] = r.fd;
	if (pthread_create(&s.self, NULL, scribble, &s))
		return 32;
	/* On a slow machine, continue until some requests were taken */
	while (!ret && (now_ns(CLOCK_MONOTONIC) < end ||
			(taken < 10 && now_ns(CLOCK_MONOTONIC) <
				       end + 30 * NSEC_PER_SEC)))
		ret = scribble_round(&r, &seed, ep, &taken);
	st_rel(&s.stop, true);
	pthread_join(s.self, NULL);
	if (!ret && taken < 10)
		ret = 33;
	ring_exit(&r);
	return ret;
}

RING_TEST(scribbled_over)
{
	unsigned int seed = env_long("IOURING2_SEED", time(NULL));
	int status, i, null;
	pid_t pid;

	TH_LOG("IOURING2_SEED=%u", seed);
	for (i = 0; i < 2; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			null = open("/dev/null", O_RDWR);
			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
			_exit(scribbled_child(seed + i, i ? 0 :
					      IOURING2_SETUP_SUBMIT_ALL));
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFEXITED(status));
		/*
		 * scribbled_child() and numbers_sane() define the exit status
		 */
		EXPECT_EQ(0, WEXITSTATUS(status));
		EXPECT_STREQ("", state_diff(&self->before, true));
	}
}

RING_TEST_MAIN
