/* SPDX-License-Identifier: MIT */
/*
 * Copyright (C) 2026 The iouring2 authors
 *
 * libiouring2: rings of /dev/iouring2 in liburing's struct io_uring.
 *
 * Set a ring up with iouring2_queue_init() and what liburing has to fill and to
 * read queues works on it: io_uring_get_sqe(), io_uring_prep_*(),
 * io_uring_cqe_seen(), io_uring_for_each_cqe() ... What enters the kernel is in
 * here: iouring2_submit() for io_uring_submit(), and so on. See libiouring2(3).
 *
 * All functions return a negative errno on failure.
 */
#ifndef IOURING2_H
#define IOURING2_H

#include <stddef.h>
#ifndef IOURING2_CALLS_ONLY	/* defined: no liburing, nothing inline */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <liburing.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring_params;
struct iouring2_query;	/* <linux/iouring2.h> */

/**
 * iouring2_device_open() - open /dev/iouring2
 *
 * Return: a descriptor.
 */
int iouring2_device_open(void);

/**
 * iouring2_device_query() - what the module supports
 * @dev: descriptor of the device, or -1 to have it opened for the call
 * @query: is filled
 *
 * Return: 0.
 */
int iouring2_device_query(int dev, struct iouring2_query *query);

/**
 * iouring2_ring_setup() - as io_uring_setup(2)
 * @dev: descriptor of the device, or -1 to have it opened for the call
 * @entries: SQ entries
 * @params: as io_uring_setup(2)
 * @max_inflight: in-flight cap wanted, and cap granted; may be NULL
 *
 * Return: the ring's descriptor.
 */
int iouring2_ring_setup(int dev, unsigned int entries,
			struct io_uring_params *params,
			unsigned int *max_inflight);

/**
 * iouring2_ring_setup_flags() - the same, with what io_uring_setup(2) lacks
 * @dev: descriptor of the device, or -1 to have it opened for the call
 * @entries: SQ entries
 * @params: as io_uring_setup(2)
 * @flags: IOURING2_RING_* of <linux/iouring2.h>
 * @max_inflight: in-flight cap wanted, and cap granted; may be NULL
 *
 * Return: the ring's descriptor.
 */
int iouring2_ring_setup_flags(int dev, unsigned int entries,
			      struct io_uring_params *params,
			      unsigned int flags, unsigned int *max_inflight);

/**
 * iouring2_ring_enter() - as io_uring_enter2(2)
 * @fd: the ring
 * @to_submit: SQEs to take
 * @min_complete: CQEs to wait for, with IORING_ENTER_GETEVENTS
 * @flags: IORING_ENTER_*
 * @arg: a signal mask, or with IORING_ENTER_EXT_ARG more; or NULL
 * @argsz: its size: 8 for a mask
 *
 * Return: SQEs taken.
 */
int iouring2_ring_enter(int fd, unsigned int to_submit,
			unsigned int min_complete, unsigned int flags,
			const void *arg, size_t argsz);

/**
 * iouring2_ring_submit() - as io_uring_enter(2) without a signal mask
 * @fd: a ring of iouring2, and nothing else: this is not checked
 * @to_submit: SQEs to take
 * @min_complete: CQEs to wait for, with IORING_ENTER_GETEVENTS
 * @flags: IORING_ENTER_*, but not IORING_ENTER_EXT_ARG
 *
 * Costs less than iouring2_ring_enter(): it need not be an ioctl.
 *
 * Return: SQEs taken.
 */
int iouring2_ring_submit(int fd, unsigned int to_submit,
			 unsigned int min_complete, unsigned int flags);

/**
 * iouring2_ring_register() - as io_uring_register(2)
 * @fd: the ring
 * @opcode: IORING_REGISTER_*
 * @arg: what the opcode wants
 * @nr_args: how many of it
 *
 * Return: what the opcode says.
 */
int iouring2_ring_register(int fd, unsigned int opcode, void *arg,
			   unsigned int nr_args);

#ifndef IOURING2_CALLS_ONLY
/* The rest is compiled into the program, with its own struct io_uring. */

/**
 * iouring2_queue_mmap() - map a ring that is set up
 * @fd: the ring; stays the caller's if this fails
 * @p: what iouring2_ring_setup() or iouring2_ring_setup_flags() made of its own
 * @ring: is filled; iouring2_queue_exit() also closes @fd
 *
 * Return: 0.
 */
static inline int iouring2_queue_mmap(int fd, struct io_uring_params *p,
				      struct io_uring *ring)
{
	int ret = io_uring_queue_mmap(fd, p, ring);

	if (ret)
		return ret;
	/* which newer ones leave to their own caller */
	ring->flags = p->flags;
	ring->ring_fd = fd;
#ifdef IO_URING_VERSION_MAJOR
	ring->enter_ring_fd = fd;
	ring->features = p->features;
#endif
	return 0;
}

/**
 * iouring2_queue_init_params() - set up a ring
 * @entries: SQ entries
 * @ring: is filled
 * @p: as io_uring_queue_init_params(3)
 *
 * Return: 0.
 */
static inline int iouring2_queue_init_params(unsigned int entries,
					     struct io_uring *ring,
					     struct io_uring_params *p)
{
	int fd = iouring2_ring_setup(-1, entries, p, NULL);
	int ret;

	if (fd < 0)
		return fd;
	ret = iouring2_queue_mmap(fd, p, ring);
	if (ret)
		close(fd);
	return ret;
}

/**
 * iouring2_queue_init() - set up a ring
 * @entries: SQ entries
 * @ring: is filled
 * @flags: IORING_SETUP_*
 *
 * Return: 0.
 */
static inline int iouring2_queue_init(unsigned int entries,
				      struct io_uring *ring, unsigned int flags)
{
	struct io_uring_params p;

	memset(&p, 0, sizeof(p));
	p.flags = flags;
	return iouring2_queue_init_params(entries, ring, &p);
}

/**
 * iouring2_queue_exit() - unmap and close a ring
 * @ring: the ring
 */
static inline void iouring2_queue_exit(struct io_uring *ring)
{
	io_uring_queue_exit(ring);
}

/* Show the kernel what io_uring_get_sqe() gave out; how much it has to take. */
static inline unsigned int iouring2_flush_sq(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;
	unsigned int tail = *sq->ktail;
	unsigned int mask = *sq->kring_mask;

	/* without an index array (IORING_SETUP_NO_SQARRAY), none is mapped */
	for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++, tail++) {
		if (!(ring->flags & (1U << 16)))
			sq->array[tail & mask] = sq->sqe_head & mask;
	}
	__atomic_store_n(sq->ktail, tail, __ATOMIC_RELEASE);
	return tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

/**
 * iouring2_submit_and_wait() - submit, and wait for completions
 * @ring: the ring
 * @wait_nr: how many of them
 *
 * Return: SQEs taken; -EBUSY: take completions first, nothing was taken.
 */
static inline int iouring2_submit_and_wait(struct io_uring *ring,
					   unsigned int wait_nr)
{
	unsigned int n = iouring2_flush_sq(ring);

	if (!n && !wait_nr)
		return 0;
	return iouring2_ring_submit(ring->ring_fd, n, wait_nr,
				    wait_nr ? IORING_ENTER_GETEVENTS : 0);
}

/**
 * iouring2_submit() - submit
 * @ring: the ring
 *
 * Return: SQEs taken; -EBUSY: take completions first, nothing was taken.
 */
static inline int iouring2_submit(struct io_uring *ring)
{
	return iouring2_submit_and_wait(ring, 0);
}

/**
 * iouring2_get_events() - let the kernel move what waits behind a full CQ
 * @ring: the ring
 *
 * Return: 0.
 */
static inline int iouring2_get_events(struct io_uring *ring)
{
	return iouring2_ring_submit(ring->ring_fd, 0, 0,
				    IORING_ENTER_GETEVENTS);
}

static inline unsigned int iouring2_cq_ready(const struct io_uring *ring)
{
	return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) -
	       *ring->cq.khead;
}

/* The first CQE, if there are @n, else NULL. */
static inline struct io_uring_cqe *iouring2_first_cqe(struct io_uring *ring,
						      unsigned int n)
{
	unsigned int ready = iouring2_cq_ready(ring);

	if (!ready || ready < n)
		return NULL;
	return &ring->cq.cqes[*ring->cq.khead & *ring->cq.kring_mask];
}

/**
 * iouring2_peek_cqe() - the first completion, without waiting
 * @ring: the ring
 * @cqe: is set to it
 *
 * Return: 0; -EAGAIN if there is none.
 */
static inline int iouring2_peek_cqe(struct io_uring *ring,
				    struct io_uring_cqe **cqe)
{
	*cqe = iouring2_first_cqe(ring, 1);
	if (!*cqe && (*ring->sq.kflags & IORING_SQ_CQ_OVERFLOW)) {
		int ret = iouring2_get_events(ring);

		if (ret < 0)
			return ret;
		*cqe = iouring2_first_cqe(ring, 1);
	}
	return *cqe ? 0 : -EAGAIN;
}

/**
 * iouring2_wait_cqes() - wait for completions
 * @ring: the ring
 * @cqe: is set to the first of them; to NULL if there are not so many
 * @wait_nr: how many, at least one and at most as the CQ has entries
 * @ts: for how long at most, or NULL
 * @sigmask: signals that are blocked meanwhile, or NULL
 *
 * What io_uring_get_sqe() gave out is not submitted.  With @ts the kernel is
 * entered once: the wait is over when that returns, for whatever reason.  Those
 * that have come by then stay in the CQ.
 *
 * Return: 0; -EINVAL: @wait_nr; -ETIME: the wait is over, and there are fewer;
 * -EINTR: so it is, by a signal, and there is none.
 */
static inline int iouring2_wait_cqes(struct io_uring *ring,
				     struct io_uring_cqe **cqe,
				     unsigned int wait_nr,
				     struct __kernel_timespec *ts,
				     sigset_t *sigmask)
{
	/* struct io_uring_getevents_arg, which old headers lack */
	struct {
		__u64	sigmask;
		__u32	sigmask_sz, min_wait_usec;
		__u64	ts;
	} arg = { (__u64)(unsigned long)sigmask, _NSIG / 8, 0,
		  (__u64)(unsigned long)ts };
	int ret = 1;	/* not entered yet */

	*cqe = NULL;
	if (!wait_nr || wait_nr > *ring->cq.kring_entries)
		return -EINVAL;
	while (!(*cqe = iouring2_first_cqe(ring, wait_nr))) {
		if (ret < 0)
			return ret;
		if (!ret && ts)
			return -ETIME;
		ret = iouring2_ring_enter(ring->ring_fd, 0, wait_nr,
					  IORING_ENTER_GETEVENTS | 1U << 3,
					  &arg, sizeof(arg));
	}
	return 0;
}

/**
 * iouring2_wait_cqe_nr() - wait for completions
 * @ring: the ring
 * @cqe: is set to the first of them
 * @wait_nr: how many, at least one and at most as the CQ has entries
 *
 * Return: 0; -EINVAL: @wait_nr.
 */
static inline int iouring2_wait_cqe_nr(struct io_uring *ring,
				       struct io_uring_cqe **cqe,
				       unsigned int wait_nr)
{
	return iouring2_wait_cqes(ring, cqe, wait_nr, NULL, NULL);
}

/**
 * iouring2_wait_cqe_timeout() - wait for a completion, not for ever
 * @ring: the ring
 * @cqe: is set to it
 * @ts: for how long
 *
 * Return: 0; -ETIME.
 */
static inline int iouring2_wait_cqe_timeout(struct io_uring *ring,
					    struct io_uring_cqe **cqe,
					    struct __kernel_timespec *ts)
{
	return iouring2_wait_cqes(ring, cqe, 1, ts, NULL);
}

/**
 * iouring2_wait_cqe() - wait for a completion
 * @ring: the ring
 * @cqe: is set to it
 *
 * Return: 0.
 */
static inline int iouring2_wait_cqe(struct io_uring *ring,
				    struct io_uring_cqe **cqe)
{
	return iouring2_wait_cqes(ring, cqe, 1, NULL, NULL);
}

/**
 * iouring2_get_probe() - what a ring's requests can be
 * @ring: the ring
 *
 * Return: for free(); NULL if there is no memory.
 */
static inline struct io_uring_probe *iouring2_get_probe(struct io_uring *ring)
{
	size_t size = sizeof(struct io_uring_probe) +
		      256 * sizeof(struct io_uring_probe_op);
	struct io_uring_probe *probe = (struct io_uring_probe *)calloc(1, size);

	if (probe && iouring2_ring_register(ring->ring_fd,
					    IORING_REGISTER_PROBE, probe,
					    256) < 0) {
		free(probe);
		return NULL;
	}
	return probe;
}
#endif /* IOURING2_CALLS_ONLY */

#ifdef __cplusplus
}
#endif

#endif /* IOURING2_H */
