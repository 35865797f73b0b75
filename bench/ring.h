/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring of the in-tree io_uring, used by its system calls, or of iouring2, used
 * by fadvise64 or ioctl. The same code uses the shared memory of both.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/iouring2.h>

#include "calls.h"

struct backend {
	const char *name;
	int (*setup)(unsigned int entries, struct iouring2_params *p);
	int (*enter)(int fd, unsigned int submit, unsigned int min,
		     unsigned int flags);
};

extern const struct backend in_tree, iouring2, iouring2_ioctl;

struct ring {
	const struct backend *backend;
	int fd;
	unsigned int sq_mask, cq_mask;
	unsigned int sqe_tail;		/* includes SQEs not yet published */
	unsigned int *sq_head, *sq_tail, *sq_flags, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_overflow;
	struct iouring2_sqe *sqes;
	struct iouring2_cqe *cqes;
	void *map;
	size_t map_len, sqes_len;
};

/* @cq: 0 for the default; @flags: of SETUP. 0 or -errno */
int ring_open(struct ring *r, const struct backend *backend, unsigned int sq,
	      unsigned int cq, unsigned int flags);
void ring_close(struct ring *r);

static inline struct iouring2_sqe *ring_sqe(struct ring *r)
{
	struct iouring2_sqe *sqe = &r->sqes[r->sqe_tail++ & r->sq_mask];

	*sqe = (struct iouring2_sqe){ 0 };
	return sqe;
}

static inline int ring_enter_flags(struct ring *r, unsigned int submit,
				   unsigned int min, unsigned int flags)
{
	__atomic_store_n(r->sq_tail, r->sqe_tail, __ATOMIC_RELEASE);
	return SYSTEM_CALL(r->backend->enter(r->fd, submit, min, flags));
}

static inline int ring_enter(struct ring *r, unsigned int submit,
			     unsigned int min)
{
	return ring_enter_flags(r, submit, min,
				min ? IOURING2_ENTER_GETEVENTS : 0);
}

static inline unsigned int ring_ready(struct ring *r)
{
	return __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) - *r->cq_head;
}

static inline struct iouring2_cqe *ring_cqe(struct ring *r, unsigned int i)
{
	return &r->cqes[(*r->cq_head + i) & r->cq_mask];
}

static inline void ring_seen(struct ring *r, unsigned int n)
{
	__atomic_store_n(r->cq_head, *r->cq_head + n, __ATOMIC_RELEASE);
}

#endif
