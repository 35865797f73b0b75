/* SPDX-License-Identifier: GPL-2.0 */
/* Starting another program, with the launcher in between. */
#ifndef IO2_EXEC_H
#define IO2_EXEC_H

/* arguments of the launcher before those of the program */
#define IO2_EXEC_EXTRA	4
/* --exec's flags: letters, then a colon and the names that are skipped */
#define IO2_EXEC_FLAGS	(IO2_SKIP_MAX + 8)

/**
 * io2_exec_real() - the program, where its path would mean the launcher there
 * @path: the program
 * @to: room for IO2_RUN_MAX characters
 *
 * Return: @path, or what /proc/self/exe means.
 */
const char *io2_exec_real(const char *path, char *to);

/**
 * io2_exec_check() - does a program have to be started by the launcher?
 * @path: the program
 *
 * Return: 1; 0 if not, as it is no x86-64 program and no script; a negative
 * errno if it cannot be started at all.
 */
long io2_exec_check(const char *path);

/**
 * io2_exec_arguments() - the launcher's arguments
 * @path: the program
 * @argv: its arguments, or NULL
 * @to: room for IO2_EXEC_EXTRA and those arguments and a NULL
 * @flags: room for IO2_EXEC_FLAGS characters
 */
void io2_exec_arguments(const char *path, char *const *argv, char **to,
			char *flags);

/**
 * io2_exec_count() - how many arguments there are
 * @argv: a list, or NULL
 *
 * Return: their number, without the NULL.
 */
unsigned long io2_exec_count(char *const *argv);

#endif
