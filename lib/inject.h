/* SPDX-License-Identifier: GPL-2.0 */
/* Starting a program that has the trap put in before its first instruction. */
#ifndef IO2_INJECT_H
#define IO2_INJECT_H

/**
 * struct io2_inject - a program to be started with the trap
 * @dir: as execveat's, and so are the next four
 * @path: the program
 * @argv: its arguments
 * @envp: its environment
 * @flags: flags
 * @skip: it is left alone, but needs the handler for a filter it inherits
 * @text: the trap's
 * @size: of that
 */
struct io2_inject {
	int		dir;
	const char	*path;
	char *const	*argv;
	char *const	*envp;
	int		flags;
	int		skip;
	const char	*text;
	unsigned long	size;
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

/**
 * io2_exec_as_is() - execveat, or execve where that is the same
 * @dir: as execveat's, and so is the rest
 * @path: the program
 * @argv: its arguments
 * @envp: its environment
 * @flags: flags
 *
 * Return: a negative errno.
 */
long io2_exec_as_is(int dir, const char *path, char *const *argv,
		   char *const *envp, int flags);

#endif
