// SPDX-License-Identifier: GPL-2.0-only
/*
 * A preloaded library that changes the arguments of io_uring_setup in a program
 * that has no option for them.
 *
 * APPS_CQ        the number of entries of the CQ, or empty
 * APPS_WITHOUT   set-up flags to clear, as a number
 * APPS_FLAGS     a file to which the flags of each new ring are added, a line each
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void add_flags(const char *path, unsigned int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "0x%x\n", flags) < 0)
		abort();
	close(fd);
}

long syscall(long nr, ...)
{
	static long (*next)(long nr, ...);
	const char *entries = getenv("APPS_CQ"), *without = getenv("APPS_WITHOUT");
	const char *flags = getenv("APPS_FLAGS");
	long a[6], ret;
	va_list ap;
	int i;

	va_start(ap, nr);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!next)
		next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (nr == __NR_io_uring_setup) {
		struct io_uring_params *p = (struct io_uring_params *)a[1];

		if (entries && *entries) {
			p->flags |= IORING_SETUP_CQSIZE;
			p->cq_entries = strtoul(entries, NULL, 10);
		}
		if (without)
			p->flags &= ~strtoul(without, NULL, 0);
	}
	ret = next(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (nr == __NR_io_uring_setup && ret >= 0 && flags)
		add_flags(flags, ((struct io_uring_params *)a[1])->flags);
	return ret;
}
