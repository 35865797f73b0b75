/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Starting another program, with the launcher in between. */
#ifndef IO2_EXEC_H
#define IO2_EXEC_H

/* after <fcntl.h> or <linux/fcntl.h>, which are not for one another */
#include "sys.h"
#include "translate.h"

/* arguments of the launcher before those of the program */
#define IO2_EXEC_EXTRA	4
/* --exec's flags: letters, then a colon and the names that are skipped */
#define IO2_EXEC_FLAGS	(IO2_SKIP_MAX + 8)
#define IO2_EXEC_NAME	4096

/**
 * struct io2_exec - execveat's arguments
 * @dir: folder, or AT_FDCWD
 * @path: the program
 * @argv: its arguments, or NULL
 * @envp: its environment
 * @flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
 */
struct io2_exec {
	int		dir;
	const char	*path;
	char *const	*argv;
	char *const	*envp;
	int		flags;
};

/*
 * IO2_EXEC_PROGRAM	x86-64, or a script: the launcher's
 * IO2_EXEC_FOREIGN	for another processor: as it is
 * IO2_EXEC_UNKNOWN	nothing that we know, but binfmt_misc may
 * IO2_EXEC_UNREADABLE	may be started, but not looked into
 */
enum io2_exec_kind {
	IO2_EXEC_PROGRAM, IO2_EXEC_FOREIGN, IO2_EXEC_UNKNOWN, IO2_EXEC_UNREADABLE
};

/**
 * struct io2_exec_area - what the launcher is started with
 * @next: the one that was mapped before it
 * @size: of all
 * @busy: somebody's
 * @flags: the launcher's
 * @name: room for a path
 * @args: arguments
 */
struct io2_exec_area {
	struct io2_exec_area	*next;
	unsigned long		size;
	int			busy;
	char			flags[IO2_EXEC_FLAGS];
	char			name[IO2_EXEC_NAME];
	char			*args[];
};

/**
 * io2_exec_check() - can a program be started, and what is it?
 * @e: which
 *
 * Return: enum io2_exec_kind, or a negative errno, the one that execve would
 * fail with.
 */
long io2_exec_check(const struct io2_exec *e);

/**
 * io2_exec_get() - the launcher's arguments, in mapped memory
 * @e: the program
 * @left: an exec that succeeds leaves the memory behind, in a parent
 * @area: is set to them, for io2_exec_put()
 *
 * Return: 0; -ENOMEM; 1 if the launcher would not find the program, as it has no
 * path that is valid there.
 */
long io2_exec_get(const struct io2_exec *e, int left, struct io2_exec_area **area);

/**
 * io2_exec_put() - free what io2_exec_get() gave
 * @area: which
 * @left: as there
 */
void io2_exec_put(struct io2_exec_area *area, int left);

/**
 * io2_execveat() - start a program, by the launcher if there has to be one
 * @e: which
 *
 * Return: a negative errno, if at all.
 */
long io2_execveat(const struct io2_exec *e);

/**
 * io2_exec_alone() - start a program that the launcher cannot start
 * @e: which
 * @kind: not IO2_EXEC_FOREIGN
 *
 * Brought along by whoever has io2_execveat() in it.
 *
 * Return: a negative errno, if at all.
 */
long io2_exec_alone(const struct io2_exec *e, enum io2_exec_kind kind);

/**
 * io2_exec_as_is() - start a program, by the kernel
 * @e: which
 *
 * Return: a negative errno, if at all.
 */
static inline long io2_exec_as_is(const struct io2_exec *e)
{
	if (e->dir == AT_FDCWD && !e->flags)
		return io2_syscall(__NR_execve, IO2_P(e->path), IO2_P(e->argv),
				   IO2_P(e->envp), 0, 0, 0);
	return io2_syscall(__NR_execveat, e->dir, IO2_P(e->path), IO2_P(e->argv),
			   IO2_P(e->envp), e->flags, 0);
}

#endif
