/* SPDX-License-Identifier: GPL-2.0-only */
/* close_range(2), which the C library of the oldest release lacks */
#ifndef SELFTESTS_IOURING2_CLOSE_RANGE_H
#define SELFTESTS_IOURING2_CLOSE_RANGE_H

#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_close_range
#define __NR_close_range	436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE	2
#endif

/*
 * Replace our table by a copy that lacks @fd: nothing is closed, if others have
 * the old table. Return: 0, or -1 with errno.
 */
static inline int unshare_without(int fd)
{
	return syscall(__NR_close_range, fd, fd, CLOSE_RANGE_UNSHARE);
}

#endif
