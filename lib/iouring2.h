/* SPDX-License-Identifier: MIT */
/*
 * Copyright (C) 2026 The iouring2 authors
 *
 * libiouring2: rings of /dev/iouring2 in liburing's struct io_uring.
 *
 * iouring2_queue_init() sets up a ring. The functions of liburing that only access
 * memory can be used with it: io_uring_get_sqe(), io_uring_prep_*(),
 * io_uring_cqe_seen(), io_uring_for_each_cqe() etc. This header replaces those that
 * enter the kernel: iouring2_submit() takes the place of io_uring_submit(), and so on.
 * See libiouring2(3).
 *
 * Functions that return an int return a negative errno on failure.
 */
#ifndef IOURING2_H
#define IOURING2_H

#include <stddef.h>
/* A program may define this to do without liburing and the inline functions. */
#ifndef IOURING2_CALLS_ONLY
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
 * Return: a descriptor of the device.
 */
int iouring2_device_open(void);

/**
 * iouring2_device_query() - ask what the module supports
 * @dev: descriptor of the device, or -1 to open it for the call
 * @query: receives the answer
 *
 * Return: 0.
 */
int iouring2_device_query(int dev, struct iouring2_query *query);

/**
 * iouring2_ring_setup() - set up a ring, as io_uring_setup(2)
 * @dev: descriptor of the device, or -1 to open it for the call
 * @entries: number of SQ entries
 * @params: parameters, as of io_uring_setup(2)
 * @max_inflight: in: in-flight cap, 0 for the default; out: cap of the ring; or NULL
 *
 * Return: the ring's descriptor.
 */
int iouring2_ring_setup(int dev, unsigned int entries,
			struct io_uring_params *params,
			unsigned int *max_inflight);

/**
 * iouring2_ring_setup_flags() - set up a ring, with flags of iouring2
 * @dev: descriptor of the device, or -1 to open it for the call
 * @entries: number of SQ entries
 * @params: parameters, as of io_uring_setup(2)
 * @flags: IOURING2_RING_* of <linux/iouring2.h>
 * @max_inflight: in: in-flight cap, 0 for the default; out: cap of the ring; or NULL
 *
 * Return: the ring's descriptor.
 */
int iouring2_ring_setup_flags(int dev, unsigned int entries,
			      struct io_uring_params *params,
			      unsigned int flags, unsigned int *max_inflight);

/**
 * iouring2_ring_enter() - submit and wait, as io_uring_enter2(2)
 * @fd: the ring
 * @to_submit: number of SQEs to submit
 * @min_complete: number of CQEs to wait for, with IORING_ENTER_GETEVENTS
 * @flags: IORING_ENTER_*
 * @arg: a signal mask or, with IORING_ENTER_EXT_ARG, a struct
 *	io_uring_getevents_arg; or NULL
 * @argsz: size of @arg in bytes, 8 for a mask
 *
 * Return: number of SQEs submitted.
 */
int iouring2_ring_enter(int fd, unsigned int to_submit,
			unsigned int min_complete, unsigned int flags,
			const void *arg, size_t argsz);

/**
 * iouring2_ring_submit() - submit and wait, as io_uring_enter(2) without a signal mask
 * @fd: a ring of iouring2; this is not checked
 * @to_submit: number of SQEs to submit
 * @min_complete: number of CQEs to wait for, with IORING_ENTER_GETEVENTS
 * @flags: IORING_ENTER_*, but not IORING_ENTER_EXT_ARG
 *
 * It costs less than iouring2_ring_enter() if the module supports ENTER by fadvise64().
 *
 * Return: number of SQEs submitted.
 */
int iouring2_ring_submit(int fd, unsigned int to_submit,
			 unsigned int min_complete, unsigned int flags);

/**
 * iouring2_ring_register() - call REGISTER, as io_uring_register(2)
 * @fd: the ring
 * @opcode: IORING_REGISTER_*
 * @arg: argument of the opcode
 * @nr_args: number of elements at @arg
 *
 * Return: a value that depends on the opcode.
 */
int iouring2_ring_register(int fd, unsigned int opcode, void *arg,
			   unsigned int nr_args);

#ifndef IOURING2_CALLS_ONLY
/* The following functions are compiled with the struct io_uring of the program. */

/**
 * iouring2_queue_mmap() - map a ring
 * @fd: the ring; it is not closed on failure
 * @p: the parameters as iouring2_ring_setup() or iouring2_ring_setup_flags() has
 *	returned them
 * @ring: receives the ring; iouring2_queue_exit() also closes @fd
 *
 * Return: 0.
 */
static inline int iouring2_queue_mmap(int fd, struct io_uring_params *p,
				      struct io_uring *ring)
{
	int ret = io_uring_queue_mmap(fd, p, ring);

	if (ret)
		return ret;
	/* newer versions of io_uring_queue_mmap() do not set these fields */
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
 * @entries: number of SQ entries
 * @ring: receives the ring
 * @p: parameters, as of io_uring_queue_init_params(3)
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
 * @entries: number of SQ entries
 * @ring: receives the ring
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

/* Publish the SQEs that the program has filled. Return: number of SQEs to submit. */
static inline unsigned int iouring2_flush_sq(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;
	unsigned int tail = *sq->ktail;
	unsigned int mask = *sq->kring_mask;

	/* with IORING_SETUP_NO_SQARRAY (1 << 16) there is no index array */
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
 * @wait_nr: number of completions to wait for
 *
 * Return: number of SQEs submitted; -EBUSY if completions must be taken first, and no
 * SQE was submitted.
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
 * Return: number of SQEs submitted; -EBUSY if completions must be taken first, and no
 * SQE was submitted.
 */
static inline int iouring2_submit(struct io_uring *ring)
{
	return iouring2_submit_and_wait(ring, 0);
}

/**
 * iouring2_get_events() - let the kernel move completions from the backlog to the CQ
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

/* The first CQE if the CQ has at least @n entries, else NULL. */
static inline struct io_uring_cqe *iouring2_first_cqe(struct io_uring *ring,
						      unsigned int n)
{
	/* old headers lack IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED and IORING_CQE_F_SKIP */
	unsigned int shift = !!(ring->flags & (1U << 11));

	for (;;) {
		unsigned int ready = iouring2_cq_ready(ring);
		unsigned int head = *ring->cq.khead;
		struct io_uring_cqe *cqe;

		if (!ready || ready < n)
			return NULL;
		cqe = &ring->cq.cqes[(head & *ring->cq.kring_mask) << shift];
		if (!(ring->flags & (1U << 18)) || !(cqe->flags & (1U << 5)))
			return cqe;
		/* the entry is padding */
		__atomic_store_n(ring->cq.khead, head + 1, __ATOMIC_RELEASE);
	}
}

/**
 * iouring2_peek_cqe() - get the first completion without waiting
 * @ring: the ring
 * @cqe: set to the completion
 *
 * Return: 0; -EAGAIN if there is no completion.
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
 * @cqe: set to the first completion, or to NULL on failure
 * @wait_nr: number of completions, from 1 to the number of CQ entries
 * @ts: timeout, or NULL
 * @sigmask: signals that are blocked during the wait, or NULL
 *
 * This function submits nothing. With @ts it enters the kernel only once, so that the
 * wait ends whenever that call returns. Completions that have arrived stay in the CQ.
 *
 * Return: 0; -EINVAL if @wait_nr is invalid; -ETIME if the wait has ended with fewer
 * than @wait_nr completions; -EINTR if a signal has ended it and there is none.
 */
static inline int iouring2_wait_cqes(struct io_uring *ring,
				     struct io_uring_cqe **cqe,
				     unsigned int wait_nr,
				     struct __kernel_timespec *ts,
				     sigset_t *sigmask)
{
	/* struct io_uring_getevents_arg, which old headers do not have */
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
 * @cqe: set to the first completion
 * @wait_nr: number of completions, from 1 to the number of CQ entries
 *
 * Return: 0; -EINVAL if @wait_nr is invalid.
 */
static inline int iouring2_wait_cqe_nr(struct io_uring *ring,
				       struct io_uring_cqe **cqe,
				       unsigned int wait_nr)
{
	return iouring2_wait_cqes(ring, cqe, wait_nr, NULL, NULL);
}

/**
 * iouring2_wait_cqe_timeout() - wait for a completion, with a timeout
 * @ring: the ring
 * @cqe: set to the completion
 * @ts: timeout
 *
 * Return: 0; -ETIME if there is no completion when the wait ends.
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
 * @cqe: set to the completion
 *
 * Return: 0.
 */
static inline int iouring2_wait_cqe(struct io_uring *ring,
				    struct io_uring_cqe **cqe)
{
	return iouring2_wait_cqes(ring, cqe, 1, NULL, NULL);
}

/**
 * iouring2_get_probe() - ask which opcodes are supported
 * @ring: the ring
 *
 * Return: the probe, which the caller frees with free(); NULL on failure.
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
