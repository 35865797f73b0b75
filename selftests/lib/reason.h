/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A check returns the reason why it failed as a text, or "" if it passed; see
 * ring.h.
 */
#ifndef SELFTESTS_IOURING2_REASON_H
#define SELFTESTS_IOURING2_REASON_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kselftest.h"

/* Format a text. It is valid until four others have been formatted. */
static inline __printf(1, 2) const char *reason(const char *fmt, ...)
{
	static char text[4][500];
	static int i;
	char *p = text[i++ & 3];
	va_list args;

	va_start(args, fmt);
	vsnprintf(p, sizeof(text[0]), fmt, args);
	va_end(args);
	return p;
}

/* Run @body in a child process. Return: its text, or how the child ended. */
static inline
const char *in_child(const char *(*body)(void *arg), void *arg)
{
	static char *said;	/* the child's text, in shared memory */
	int status;
	pid_t pid;

	if (!said)
		said = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		return "no memory for what the child says";
	said[0] = '\0';
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return reason("fork: %s", strerror(errno));
	if (!pid) {
		snprintf(said, 4096, "%s", body(arg));
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return reason("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return reason("the child died of signal %d", WTERMSIG(status));
	return WEXITSTATUS(status) ? "the child called exit()" : said;
}

#endif
