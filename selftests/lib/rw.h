/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers, and functions for a single request, for the tests of reads and
 * writes.
 */
#ifndef SELFTESTS_IOURING2_RW_H
#define SELFTESTS_IOURING2_RW_H

#include "ring.h"

#define ASYNC	IOURING2_SQE_ASYNC
#define CUR_POS	((__u64)-1)
#define BIG	1048576

static char buf[BIG + 4096], want[BIG + 4096];

static inline void fill(char *p, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern_byte(i + 131 * seed);
}

/* Queue one request. Return: its SQE, for further fields. */
static inline struct iouring2_sqe *queue(struct ring *r, int op, int fd,
					 const void *addr, unsigned int len,
					 __u64 off, unsigned int flags)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, op, fd, addr, len, off);
	sqe->flags = flags;
	return sqe;
}

/* Execute one request. Return: its result. */
static inline int one(struct ring *r, int op, int fd, const void *addr,
		      unsigned int len, __u64 off, unsigned int flags)
{
	queue(r, op, fd, addr, len, off, flags);
	return ring_do(r);
}

#endif
