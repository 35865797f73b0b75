// SPDX-License-Identifier: GPL-2.0
/*
 * Starting another program, with the launcher in between. Needs no C library:
 * it is part of the trap, too.
 *
 * A caller that tries one folder after the other, or a shell that runs files
 * without a first line, relies on the errors of execve. So those are found
 * before the launcher takes the program's place.
 */
#include <linux/elf.h>
#include <linux/fcntl.h>

#include "exec.h"
#include "sys.h"
#include "translate.h"

#define X_OK	1

const char *io2_exec_real(const char *path, char *to)
{
	static const char exe[] = "/proc/self/exe";
	unsigned int i;
	long n;

	for (i = 0; i < sizeof(exe); i++) {
		if (path[i] != exe[i])
			return path;
	}
	n = io2_syscall(__NR_readlink, IO2_P(exe), IO2_P(to), IO2_RUN_MAX, 0, 0,
			0);
	if (n <= 0 || n == IO2_RUN_MAX)
		return path;
	to[n] = 0;
	return to;
}

long io2_exec_check(const char *path)
{
	unsigned char head[20];
	long fd, n;

	n = io2_syscall(__NR_faccessat, AT_FDCWD, IO2_P(path), X_OK, 0, 0, 0);
	if (n)
		return n;
	fd = io2_syscall(__NR_openat, AT_FDCWD, IO2_P(path),
			 O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, 0, 0);
	if (fd < 0)
		return fd;
	n = io2_syscall(__NR_read, fd, IO2_P(head), sizeof(head), 0, 0, 0);
	io2_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	if (n == -EISDIR)
		return -EACCES;
	if (n < 0)
		return n;
	if (n > 2 && head[0] == '#' && head[1] == '!')
		return 1;
	return n == sizeof(head) && head[0] == 0x7f && head[1] == 'E' &&
	       head[2] == 'L' && head[3] == 'F' &&
	       head[EI_CLASS] == ELFCLASS64 && head[18] == EM_X86_64 && !head[19];
}

unsigned long io2_exec_count(char *const *argv)
{
	unsigned long n = 0;

	while (argv && argv[n])
		n++;
	return n;
}

void io2_exec_arguments(const char *path, char *const *argv, char **to,
			char *flags)
{
	unsigned long i, n = io2_exec_count(argv);
	const char *names = io2_settings.names;

	to[0] = io2_settings.run;
	to[1] = (char *)"--exec";
	to[2] = flags;
	to[3] = (char *)path;
	for (i = 0; i <= n; i++)
		to[IO2_EXEC_EXTRA + i] = i < n ? argv[i] : (char *)0;
	*flags++ = io2_settings.trace ? 't' : '-';
	*flags++ = io2_settings.fallback ? 'f' : '-';
	*flags++ = io2_settings.ebusy ? 'b' : '-';
	*flags++ = ':';
	for (i = 0; names[i]; i++)
		flags[i] = names[i];
	flags[i] = 0;
}
