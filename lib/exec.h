/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Execute another program through the launcher. */
#ifndef IO2_EXEC_H
#define IO2_EXEC_H

/* include after <fcntl.h> or <linux/fcntl.h>, which cannot be used together */
#include "sys.h"
#include "translate.h"

/* number of arguments of the launcher before those of the program */
#define IO2_EXEC_EXTRA	4
/* size of the flags of --exec: letters, a colon, and the names to skip */
#define IO2_EXEC_FLAGS	(IO2_SKIP_MAX + 8)
#define IO2_EXEC_NAME	4096

/**
 * struct io2_exec - the arguments of execveat(2)
 * @dir: directory, or AT_FDCWD
 * @path: path of the program
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
 * IO2_EXEC_PROGRAM	x86-64 program or script; started through the launcher
 * IO2_EXEC_FOREIGN	program for another processor; started unprepared
 * IO2_EXEC_UNKNOWN	unknown format, which binfmt_misc may recognize
 * IO2_EXEC_UNREADABLE	executable, but not readable
 */
enum io2_exec_kind {
	IO2_EXEC_PROGRAM, IO2_EXEC_FOREIGN, IO2_EXEC_UNKNOWN, IO2_EXEC_UNREADABLE
};

/**
 * struct io2_exec_area - mapped memory with the launcher's arguments
 * @next: the area that was mapped before this one
 * @size: size of the area in bytes
 * @busy: the area is in use
 * @flags: the launcher's argument for --exec
 * @name: room for the path of the program
 * @args: the argument array
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
 * io2_exec_check() - check whether a program can be executed, and find its kind
 * @e: the program
 *
 * Return: enum io2_exec_kind, or the negative errno with which execve would fail.
 */
long io2_exec_check(const struct io2_exec *e);

/**
 * io2_exec_get() - map memory and write the launcher's arguments to it
 * @e: the program
 * @left: the memory stays mapped in a parent if exec succeeds
 * @area: set to the memory, which io2_exec_put() frees
 *
 * Return: 0; -ENOMEM; 1 if the program has no path by which the launcher could
 * find it.
 */
long io2_exec_get(const struct io2_exec *e, int left, struct io2_exec_area **area);

/**
 * io2_exec_put() - free the memory of io2_exec_get()
 * @area: the memory
 * @left: the same value as for io2_exec_get()
 */
void io2_exec_put(struct io2_exec_area *area, int left);

/**
 * io2_execveat() - execute a program, through the launcher if that is needed
 * @e: the program
 *
 * Return: a negative errno; does not return on success.
 */
long io2_execveat(const struct io2_exec *e);

/**
 * io2_exec_alone() - execute a program without the launcher
 * @e: the program
 * @kind: its kind, but not IO2_EXEC_FOREIGN
 *
 * Each program that is linked with io2_execveat() defines this function.
 *
 * Return: a negative errno; does not return on success.
 */
long io2_exec_alone(const struct io2_exec *e, enum io2_exec_kind kind);

/**
 * io2_exec_as_is() - execute a program by the system call, without preparation
 * @e: the program
 *
 * Return: a negative errno; does not return on success.
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
