/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Starting a program that has the trap put in before its first instruction. */
#ifndef IO2_INJECT_H
#define IO2_INJECT_H

#include "exec.h"

/**
 * struct io2_inject - a program to be started with the trap
 * @exec: which
 * @skip: it is left alone, but needs the handler for a filter it inherits
 * @text: the trap's
 * @size: of that
 */
struct io2_inject {
	const struct io2_exec	*exec;
	int			skip;
	const char		*text;
	unsigned long		size;
};

/**
 * io2_inject() - execute a program, with the trap put in
 * @what: which
 *
 * By ptrace, and by a helper process that is gone when the program begins. What
 * turns out to be no 64-bit program begins as it is.
 *
 * Return: not, if it could be done; the negative errno of the exec; a positive
 * errno if it was not tried, as there can be no helper.
 */
long io2_inject(const struct io2_inject *what);

#endif
