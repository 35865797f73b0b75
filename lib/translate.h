/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Translate io_uring's three system calls into ioctls of /dev/iouring2. */
#ifndef IO2_TRANSLATE_H
#define IO2_TRANSLATE_H

#include "registered.h"

#define IO2_NR_SETUP	425
#define IO2_NR_ENTER	426
#define IO2_NR_REGISTER	427

/* maximum sizes of the launcher's path and the list of names, with the final 0 */
#define IO2_RUN_MAX	512
#define IO2_SKIP_MAX	512

/**
 * struct io2_settings - settings of iouring2-run, from options and IOURING2_*
 * @trace: write a line to standard error for each of the three calls
 * @fallback: use the kernel's own io_uring if iouring2 cannot create a ring
 * @ebusy: submissions fail with EBUSY while there is a backlog; if not set, they are
 *	accepted, as by the kernel's io_uring since Linux 5.13
 * @skip: do not redirect this process
 * @run: path of iouring2-run, or empty
 * @names: names of programs that are not redirected, separated by colons
 */
struct io2_settings {
	int	trace;
	int	fallback;
	int	ebusy;
	int	skip;
	char	run[IO2_RUN_MAX];
	char	names[IO2_SKIP_MAX];
};

__attribute__((visibility("hidden"))) extern struct io2_settings io2_settings;

/**
 * io2_translate() - execute one of the three system calls
 * @nr: IO2_NR_*
 * @a: its arguments
 * @way: how the call was intercepted, for the trace
 * @t: memory of the calling thread, or NULL
 *
 * Return: the result of the system call; a negative errno is an error.
 */
long io2_translate(long nr, const long *a, const char *way, struct io2_thread *t);

/**
 * io2_skipped() - is a program's name in the list of names to skip?
 * @names: list of names, see struct io2_settings
 * @name: the program's name, without a directory
 *
 * Only the first 15 characters are compared, which is what the kernel stores.
 *
 * Return: 1 or 0.
 */
int io2_skipped(const char *names, const char *name);

#endif
