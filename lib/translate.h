/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* io_uring's three system calls, carried out by /dev/iouring2. */
#ifndef IO2_TRANSLATE_H
#define IO2_TRANSLATE_H

#define IO2_NR_SETUP	425
#define IO2_NR_ENTER	426
#define IO2_NR_REGISTER	427

/* longest path of the launcher, and longest list of names, with the 0 */
#define IO2_RUN_MAX	512
#define IO2_SKIP_MAX	512

/**
 * struct io2_settings - what IOURING2_* in the environment and options ask for
 * @trace: write a line to standard error for each call that is redirected
 * @fallback: where iouring2 makes no ring, ask the kernel's own io_uring
 * @ebusy: submitting against a backlog fails with EBUSY, as it does for programs
 *	that know iouring2; not set: as with the kernel's own io_uring of today
 * @skip: this process is left alone
 * @run: path of iouring2-run, or empty
 * @names: names of programs to be left alone, with a colon after each
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
 * io2_translate() - one of the three system calls
 * @nr: IO2_NR_*
 * @a: its arguments
 * @way: how it came here, for the trace
 *
 * Return: as the system call: a negative errno is an error.
 */
long io2_translate(long nr, const long *a, const char *way);

/**
 * io2_skipped() - is a program to be left alone?
 * @names: as in struct io2_settings
 * @name: the program's name, without a folder
 *
 * Names are compared as the kernel keeps them, 15 characters long.
 *
 * Return: 1 or 0.
 */
int io2_skipped(const char *names, const char *name);

#endif
