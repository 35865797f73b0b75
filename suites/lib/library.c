// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Test libiouring2. The program is valid C and C++.
 *
 * usage: library		run the tests
 *	  library bench N	print the nanoseconds of a NOP, the mean of N
 *
 * Exit status: 0 passed; 1 failed; 77 there is no device
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <iouring2.h>
#include <linux/iouring2.h>

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# line %d: %s\n", __LINE__, #condition); \
			return 1; \
		} \
	} while (0)

static int nop(struct io_uring *ring, unsigned long long n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		return -1;
	io_uring_prep_nop(sqe);
	sqe->user_data = n;
	return 0;
}

static int device(void)
{
	struct iouring2_query q;
	unsigned int cap = 100;
	struct io_uring_params p;
	int dev = iouring2_device_open(), fd;

	if (dev == -ENOENT || dev == -EACCES) {
		printf("# no device: %s\n", strerror(-dev));
		return 77;
	}
	CHECK(dev >= 0);
	CHECK(!iouring2_device_query(dev, &q) && q.abi_version == IOURING2_ABI_VERSION);
	CHECK(!iouring2_device_query(-1, &q) && q.max_entries);
	memset(&p, 0, sizeof(p));
	fd = iouring2_ring_setup(dev, 8, &p, &cap);
	CHECK(fd >= 0 && cap == 100 && p.sq_entries == 8);
	CHECK(!iouring2_ring_enter(fd, 0, 0, 0, NULL, 0));
	CHECK(!iouring2_ring_submit(fd, 0, 0, 0));
	CHECK(iouring2_ring_submit(fd, 0, 0, 1U << 31) == -EINVAL);
	CHECK(iouring2_ring_submit(-1, 0, 0, 0) == -EBADF);
	CHECK(iouring2_ring_register(fd, IORING_REGISTER_BUFFERS, NULL, 0) == -EINVAL);
	CHECK(iouring2_ring_enter(dev, 0, 0, 0, NULL, 0) == -ENOTTY);
	close(fd);
	memset(&p, 0, sizeof(p));
	CHECK(iouring2_ring_setup(-1, 0, &p, NULL) == -EINVAL);
	CHECK(q.ring_flags & IOURING2_RING_SUBMIT_BACKLOGGED);
	CHECK(iouring2_ring_setup_flags(-1, 8, &p, 1U << 31, NULL) == -EINVAL);
	fd = iouring2_ring_setup_flags(dev, 8, &p, 0, NULL);
	CHECK(fd >= 0 && p.sq_entries == 8);
	close(fd);
	close(dev);
	return 0;
}

/* Waits for more completions than come, with a CQ of 8. */
static int waits(void)
{
	struct __kernel_timespec ts = { 0, 1000000 };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int i;

	CHECK(!iouring2_queue_init(4, &ring, 0));
	CHECK(iouring2_wait_cqes(&ring, &cqe, 0, &ts, NULL) == -EINVAL && !cqe);
	CHECK(iouring2_wait_cqe_nr(&ring, &cqe, 0) == -EINVAL && !cqe);
	CHECK(iouring2_wait_cqes(&ring, &cqe, 9, &ts, NULL) == -EINVAL && !cqe);
	CHECK(iouring2_wait_cqe_nr(&ring, &cqe, 9) == -EINVAL && !cqe);
	CHECK(!nop(&ring, 0) && iouring2_submit(&ring) == 1);
	/* one completion came; wait for two, and for as many as the CQ can have */
	CHECK(iouring2_wait_cqes(&ring, &cqe, 2, &ts, NULL) == -ETIME && !cqe);
	CHECK(iouring2_wait_cqes(&ring, &cqe, 8, &ts, NULL) == -ETIME && !cqe);
	CHECK(!iouring2_wait_cqe_timeout(&ring, &cqe, &ts) && cqe && !cqe->user_data);
	for (i = 1; i < 8; i++)
		CHECK(!nop(&ring, i) && iouring2_submit(&ring) == 1);
	/* the CQ is full; wait for all of them, and for one more than fits */
	CHECK(!iouring2_wait_cqes(&ring, &cqe, 8, &ts, NULL) && cqe && !cqe->user_data);
	CHECK(!iouring2_wait_cqe_nr(&ring, &cqe, 8) && cqe && !cqe->user_data);
	CHECK(iouring2_wait_cqes(&ring, &cqe, 9, &ts, NULL) == -EINVAL && !cqe);
	CHECK(iouring2_wait_cqe_nr(&ring, &cqe, 9) == -EINVAL && !cqe);
	for (i = 0; i < 8; i++) {
		CHECK(!iouring2_peek_cqe(&ring, &cqe) && cqe->user_data == (unsigned long long)i);
		io_uring_cqe_seen(&ring, cqe);
	}
	CHECK(iouring2_peek_cqe(&ring, &cqe) == -EAGAIN);
	iouring2_queue_exit(&ring);
	return 0;
}

/* Eight completions fit in the CQ and 4 wait behind it. Then EBUSY; none is lost. */
static int queues(unsigned int flags)
{
	struct __kernel_timespec ts = { 0, 1000000 };
	struct io_uring_cqe *cqe;
	struct io_uring_probe *probe;
	struct io_uring ring;
	unsigned long long n = 0, seen = 0;
	int i;

	CHECK(!iouring2_queue_init(4, &ring, flags));
	CHECK(iouring2_peek_cqe(&ring, &cqe) == -EAGAIN);
	CHECK(iouring2_wait_cqe_timeout(&ring, &cqe, &ts) == -ETIME && !cqe);
	CHECK(!iouring2_submit(&ring));
	for (i = 0; i < 12; i++) {
		CHECK(!nop(&ring, n++));
		if (i % 4 == 3)
			CHECK(iouring2_submit(&ring) == 4);
	}
	CHECK(!nop(&ring, n++));
	CHECK(iouring2_submit(&ring) == -EBUSY);
	for (; seen < 12; seen++) {
		CHECK(!iouring2_peek_cqe(&ring, &cqe) && cqe->user_data == seen);
		io_uring_cqe_seen(&ring, cqe);
	}
	CHECK(iouring2_submit_and_wait(&ring, 1) == 1);
	CHECK(!iouring2_wait_cqe(&ring, &cqe) && cqe->user_data == seen);
	io_uring_cqe_seen(&ring, cqe);
	probe = iouring2_get_probe(&ring);
	CHECK(probe && io_uring_opcode_supported(probe, IORING_OP_NOP) &&
	      !io_uring_opcode_supported(probe, IORING_OP_SPLICE));
	free(probe);
	iouring2_queue_exit(&ring);
	return 0;
}

/* Eight completions fit in the CQ, and 16, the cap, wait behind it before EBUSY. */
static int backlogged(void)
{
	struct io_uring_params p;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned long long n = 0, seen = 0;
	unsigned int cap = 16;
	int fd;

	memset(&p, 0, sizeof(p));
	fd = iouring2_ring_setup_flags(-1, 4, &p, IOURING2_RING_SUBMIT_BACKLOGGED, &cap);
	CHECK(fd >= 0 && cap == 16 && p.cq_entries == 8);
	CHECK(!iouring2_queue_mmap(fd, &p, &ring) && ring.ring_fd == fd);
	while (n < 24) {
		CHECK(!nop(&ring, n++));
		CHECK(iouring2_submit(&ring) == 1);
	}
	CHECK(!nop(&ring, n++));
	CHECK(iouring2_submit(&ring) == -EBUSY);
	for (; seen < 24; seen++) {
		CHECK(!iouring2_peek_cqe(&ring, &cqe) && cqe->user_data == seen);
		io_uring_cqe_seen(&ring, cqe);
	}
	CHECK(iouring2_submit_and_wait(&ring, 1) == 1);
	CHECK(!iouring2_wait_cqe(&ring, &cqe) && cqe->user_data == seen);
	io_uring_cqe_seen(&ring, cqe);
	iouring2_queue_exit(&ring);
	CHECK(iouring2_ring_enter(fd, 0, 0, 0, NULL, 0) == -EBADF);
	return 0;
}

/*
 * A completion of 32 bytes takes two of the 8 entries. The numbers are those of
 * IORING_SETUP_CQE_MIXED, IORING_NOP_CQE32 and IORING_CQE_F_32.
 */
static int both_sizes(void)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned int i, big;

	CHECK(!iouring2_queue_init(4, &ring, 1U << 18));
	for (i = 0; i < 40; i++) {
		big = i % 3 == 1;
		sqe = io_uring_get_sqe(&ring);
		CHECK(sqe);
		io_uring_prep_nop(sqe);
		sqe->rw_flags = big << 5;
		sqe->user_data = i;
		CHECK(iouring2_submit_and_wait(&ring, 1) == 1);
		CHECK(!iouring2_peek_cqe(&ring, &cqe) && cqe->user_data == i);
		CHECK(cqe->flags == big << 15 && !cqe->res);
		io_uring_cq_advance(&ring, 1 + big);
		CHECK(iouring2_peek_cqe(&ring, &cqe) == -EAGAIN);
	}
	iouring2_queue_exit(&ring);
	return 0;
}

static int bench(int n)
{
	struct timespec a, b;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int i;

	if (iouring2_queue_init(4, &ring, 0))
		return 77;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < n; i++) {
		CHECK(!nop(&ring, 0) && iouring2_submit(&ring) == 1);
		CHECK(!iouring2_peek_cqe(&ring, &cqe));
		io_uring_cqe_seen(&ring, cqe);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
	return 0;
}

int main(int argc, char **argv)
{
	int ret;

	if (argc == 3)
		return bench(atoi(argv[2]));
	ret = device();
	if (!ret)
		ret = waits();
	if (!ret)
		ret = queues(0);
	if (!ret)
		ret = backlogged();
	if (!ret)
		ret = both_sizes();
	/* older liburing does not have IORING_SETUP_CQE32 */
#ifdef IORING_SETUP_CQE32
	if (!ret)
		ret = queues(IORING_SETUP_CQE32);
#endif
	/* older liburing does not have IORING_SETUP_NO_SQARRAY */
#ifdef IORING_SETUP_NO_SQARRAY
	if (!ret)
		ret = queues(IORING_SETUP_NO_SQARRAY);
#endif
	return ret;
}
