/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Execute a program and install the trap before its first instruction. */
#ifndef IO2_INJECT_H
#define IO2_INJECT_H

#include "exec.h"

/**
 * struct io2_inject - a program to be executed with the trap
 * @exec: the program
 * @skip: do not redirect it; it only needs the handler for the filter it inherits
 * @text: the trap's code
 * @size: size of @text in bytes
 */
struct io2_inject {
	const struct io2_exec	*exec;
	int			skip;
	const char		*text;
	unsigned long		size;
};

/**
 * io2_inject() - execute a program and install the trap in it
 * @what: the program and the trap
 *
 * A helper process installs the trap by ptrace and exits before the program starts.
 * A program that is not a 64-bit program is started unprepared.
 *
 * Return: does not return on success. The negative errno of exec, or a positive
 * errno if there can be no helper and exec was not called.
 */
long io2_inject(const struct io2_inject *what);

#endif
