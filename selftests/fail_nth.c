// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation that an ioctl makes, failed in turn by the kernel's own
 * fault injection (/proc/self/fail-nth): the N-th call that can fail fails,
 * for N = 1, 2, ... until the operation gets by without.
 *
 * Proves I1 (a request that was accepted completes, whatever fails), I7 and
 * I8 (a failed SETUP leaves nothing), and that a failure is a documented
 * errno and leaves the ring usable. Needs CONFIG_FAULT_INJECTION, failslab
 * and fail_page_alloc; a sweep that reached no allocation is a failure.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "fixture.h"

#define MAX_NTH		400
#define FAULT_DIR	"/sys/kernel/debug/"

static int nth_fd = -1;

static int knob(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = -1;

	if (fd >= 0) {
		ret = write(fd, value, strlen(value)) > 0 ? 0 : -1;
		close(fd);
	}
	return ret;
}

/* Sleeping allocations are what the module makes: let them fail, too */
static bool injection_ready(void)
{
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		return false;
	return !knob(FAULT_DIR "failslab/ignore-gfp-wait", "N") &&
	       !knob(FAULT_DIR "fail_page_alloc/ignore-gfp-wait", "N") &&
	       !knob(FAULT_DIR "fail_page_alloc/min-order", "0");
}

/* Also hits itself, when it is to disarm: so try again */
static void arm(unsigned int nth)
{
	char s[16];
	int n = snprintf(s, sizeof(s), "%u", nth);

	while (pwrite(nth_fd, s, n, 0) != n)
		;
}

/* Return: whether the armed failure happened */
static bool disarm(void)
{
	char s[16] = "";
	/* or it happens to the look at it */
	bool hit = pread(nth_fd, s, sizeof(s) - 1, 0) > 0 && !atoi(s);

	arm(0);
	return hit;
}

#define NEED_INJECTION()						\
do {									\
	if (!injection_ready())						\
		SKIP(return, "no fail-nth in this kernel");		\
} while (0)

/* --- SETUP ------------------------------------------------------------- */

static const struct {
	unsigned int entries, cq, flags;
} setups[] = {
	{ 1, 0, 0 },
	{ 1, 1, 0 },
	{ 0xd0d, 0, 0 },
	{ 64, 0, IOURING2_SETUP_NO_SQARRAY },
	{ 8, 4096, 0 },
};

static int setup_once(unsigned int i, unsigned int nth, bool *hit)
{
	struct iouring2_setup s;
	int dev, fd;

	memset(&s, 0, sizeof(s));
	s.entries = setups[i].entries;
	s.params.flags = setups[i].flags;
	if (setups[i].cq) {
		s.params.flags |= IOURING2_SETUP_CQSIZE;
		s.params.cq_entries = setups[i].cq;
	}
	dev = dev_open();
	arm(nth);
	fd = ioctl(dev, IOURING2_IOC_SETUP, &s);
	if (fd < 0)
		fd = -errno;
	*hit = disarm();
	close(dev);
	return fd;
}

RING_TEST(setup_sweep)
{
	unsigned int i, nth;
	struct ring r;
	bool hit;
	int fd;

	NEED_INJECTION();
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		for (nth = 1; nth <= MAX_NTH; nth++) {
			fd = setup_once(i, nth, &hit);
			if (!hit)
				break;
			if (fd >= 0) {
				/* it did without; the ring is whole */
				close(fd);
			} else {
				EXPECT_TRUE(fd == -ENOMEM || fd == -EFAULT ||
					    fd == -EMFILE || fd == -ENFILE) {
					TH_LOG("point %u: errno %d", nth, -fd);
				}
			}
			ASSERT_STREQ("", state_diff(&self->before, false)) {
				TH_LOG("%u entries, point %u",
				       setups[i].entries, nth);
			}
		}
		/* large rings have more points than are worth a boot's time */
		if (fd >= 0)
			close(fd);
		EXPECT_LT(3, nth);
		TH_LOG("%u entries: %u points", setups[i].entries, nth - 1);
		ASSERT_EQ(0, ring_init(&r, 4, 0));
		ring_exit(&r);
	}
}

/* --- accepting --------------------------------------------------------- */

struct things {
	int file, direct, pipe[2], event;
	char *buf;
	struct iovec iov[8];
	struct __kernel_timespec ts;
};

static void op_nop(struct iouring2_sqe *sqe, struct things *t)
{
	prep_nop(sqe);
}

static void op_read(struct iouring2_sqe *sqe, struct things *t)
{
	prep_read(sqe, t->file, t->buf, 4096, 0);
}

static void op_read_async(struct iouring2_sqe *sqe, struct things *t)
{
	op_read(sqe, t);
	sqe->flags = IOURING2_SQE_ASYNC;
}

static void op_write(struct iouring2_sqe *sqe, struct things *t)
{
	prep_write(sqe, t->file, t->buf, 4096, 4096);
}

static void op_readv(struct iouring2_sqe *sqe, struct things *t)
{
	prep(sqe, IOURING2_OP_READV, t->file, t->iov, 8, 0);
}

static void op_writev(struct iouring2_sqe *sqe, struct things *t)
{
	prep(sqe, IOURING2_OP_WRITEV, t->file, t->iov, 8, 4096);
}

static void op_fsync(struct iouring2_sqe *sqe, struct things *t)
{
	prep(sqe, IOURING2_OP_FSYNC, t->file, NULL, 0, 0);
}

static void op_read_pipe(struct iouring2_sqe *sqe, struct things *t)
{
	prep_read(sqe, t->pipe[0], t->buf, 16, 0);
}

static void op_poll(struct iouring2_sqe *sqe, struct things *t)
{
	prep_poll(sqe, t->event, POLLIN);
}

static void op_poll_multi(struct iouring2_sqe *sqe, struct things *t)
{
	prep_poll_multi(sqe, t->event, POLLIN);
}

static void op_poll_remove(struct iouring2_sqe *sqe, struct things *t)
{
	prep_poll_remove(sqe, 12345);
}

static void op_timeout(struct iouring2_sqe *sqe, struct things *t)
{
	prep_timeout(sqe, &t->ts, 0, 0);
}

static void op_timeout_remove(struct iouring2_sqe *sqe, struct things *t)
{
	prep_timeout_remove(sqe, 12345);
}

static void op_cancel(struct iouring2_sqe *sqe, struct things *t)
{
	prep_cancel(sqe, 12345, 0);
}

static const struct {
	const char *name;
	void (*prep)(struct iouring2_sqe *sqe, struct things *t);
} ops[] = {
	{ "NOP", op_nop },
	{ "READ", op_read },
	{ "READ in a worker", op_read_async },
	{ "READ of an empty pipe", op_read_pipe },
	{ "WRITE", op_write },
	{ "READV", op_readv },
	{ "WRITEV", op_writev },
	{ "FSYNC", op_fsync },
	{ "POLL_ADD", op_poll },
	{ "POLL_ADD, multishot", op_poll_multi },
	{ "POLL_REMOVE", op_poll_remove },
	{ "TIMEOUT", op_timeout },
	{ "TIMEOUT_REMOVE", op_timeout_remove },
	{ "ASYNC_CANCEL", op_cancel },
};

static int things_make(struct things *t)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->file = tmp_file(16384);
	t->event = eventfd(0, EFD_CLOEXEC);
	t->buf = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	t->ts = ts_ns(3600 * NSEC_PER_SEC);
	for (i = 0; i < 8; i++)
		t->iov[i] = (struct iovec){ t->buf + i * 4096, 512 };
	return pipe(t->pipe) || t->file < 0 || t->event < 0 ||
	       t->buf == MAP_FAILED ? -1 : 0;
}

static void things_free(struct things *t)
{
	close(t->file);
	close(t->event);
	close(t->pipe[0]);
	close(t->pipe[1]);
	munmap(t->buf, 8 * 4096);
}

static bool errno_is_documented(int res)
{
	return res >= 0 || res == -ENOMEM || res == -EFAULT ||
	       res == -EAGAIN || res == -ENOENT || res == -ECANCELED ||
	       res == -EINTR;
}

/*
 * Submits one request with the N-th failure armed, then cancels and reaps.
 * Return: NULL, or what was wrong.
 */
static const char *accept_once(struct ring *r, unsigned int op,
			       unsigned int nth, struct things *t, bool *hit)
{
	unsigned int ours = 0, others = 0;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int ret;

	sqe = ring_sqe(r);
	ops[op].prep(sqe, t);
	sqe->user_data = 1;
	ring_publish(r);
	arm(nth);
	ret = enter(r->fd, 1, 0, 0, NULL, 0);
	*hit = disarm();
	if (ret != 1) {
		if (ret != -EAGAIN && ret != -ENOMEM && ret != -EFAULT)
			return "ENTER's errno";
		if (ring_unsubmitted(r) != 1)
			return "refused, but an SQE was consumed";
		if (enter(r->fd, 1, 0, 0, NULL, 0) != 1)
			return "not accepted at the second try";
	}
	/* whatever became of it, it completes exactly once */
	while (!ours || !others) {
		if (!others && !ring_unsubmitted(r)) {
			sqe = ring_sqe(r);
			prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_ANY);
			sqe->user_data = 2;
			if (ring_submit(r) != 1)
				return "cancel was not accepted";
			others = 1;
		}
		if (enter_timeout(r->fd, 0, 1, 30 * NSEC_PER_SEC))
			return "a completion was lost";
		while (ring_peek(r, &cqe)) {
			if (cqe.user_data != 1)
				continue;
			ours++;
			if (!errno_is_documented(cqe.res))
				return "the CQE's errno";
		}
	}
	if (ours != 1)
		return "completed more than once";
	sqe = ring_sqe(r);
	prep_nop(sqe);
	return ring_do(r) ? "the ring does not work any more" : NULL;
}

RING_TEST(accept_sweep)
{
	unsigned int op, nth;
	const char *bad;
	struct things t;
	struct ring r;
	bool hit;

	NEED_INJECTION();
	for (op = 0; op < ARRAY_SIZE(ops); op++) {
		for (nth = 1; nth <= MAX_NTH; nth++) {
			/* a new ring: nothing is cached */
			ASSERT_EQ(0, things_make(&t));
			ASSERT_EQ(0, ring_init(&r, 8, 64));
			bad = accept_once(&r, op, nth, &t, &hit);
			ring_exit(&r);
			things_free(&t);
			ASSERT_EQ(NULL, bad) {
				TH_LOG("%s, point %u: %s", ops[op].name, nth,
				       bad);
			}
			ASSERT_STREQ("", state_diff(&self->before, false)) {
				TH_LOG("%s, point %u", ops[op].name, nth);
			}
			if (!hit)
				break;
		}
		/* the request itself, at the least */
		EXPECT_LT(1, nth);
		EXPECT_GE(MAX_NTH, nth);
		TH_LOG("%s: %u points", ops[op].name, nth - 1);
	}
}

/* --- the rest ---------------------------------------------------------- */

RING_TEST(probe_sweep)
{
	char buf[sizeof(struct iouring2_probe) +
		 256 * sizeof(struct iouring2_probe_op)];
	struct iouring2_register reg = {
		.opcode = IOURING2_REGISTER_PROBE,
		.nr_args = 256,
		.arg = (uintptr_t)buf,
	};
	unsigned int nth;
	struct ring r;
	bool hit;
	int ret;

	NEED_INJECTION();
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	for (nth = 1; nth <= MAX_NTH; nth++) {
		memset(buf, 0, sizeof(buf));
		arm(nth);
		ret = ioctl(r.fd, IOURING2_IOC_REGISTER, &reg);
		if (ret)
			ret = -errno;
		hit = disarm();
		if (!hit)
			break;
		EXPECT_TRUE(ret == -ENOMEM || ret == -EFAULT);
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(1, nth);
	TH_LOG("%u points", nth - 1);
	ring_exit(&r);
}

RING_TEST(map_sweep)
{
	unsigned int nth;
	struct ring r;
	void *p;
	bool hit;

	NEED_INJECTION();
	ASSERT_EQ(0, ring_init(&r, 64, 0));
	for (nth = 1; nth <= MAX_NTH; nth++) {
		arm(nth);
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
			 IOURING2_OFF_SQES);
		hit = disarm();
		if (p != MAP_FAILED)
			munmap(p, 4096);
		if (!hit)
			break;
	}
	EXPECT_NE(MAP_FAILED, p);
	EXPECT_LT(1, nth);
	TH_LOG("%u points", nth - 1);
	ring_exit(&r);
}

RING_TEST_MAIN
