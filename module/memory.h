/* SPDX-License-Identifier: GPL-2.0-only */
/* Which memory a kernel thread must not touch for its submitter. */
#ifndef IO2_MEMORY_H
#define IO2_MEMORY_H

#include <linux/types.h>

struct iovec;

bool io2_memory_needs_task(const struct iovec *iov, unsigned int nr,
			   bool write);

#endif
