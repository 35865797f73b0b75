/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling kernel threads from processes, and workers. Include after fixture.h. */
#ifndef SELFTESTS_IOURING2_KTHREAD_H
#define SELFTESTS_IOURING2_KTHREAD_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ring.h"

/* In the field flags of /proc/PID/stat */
#define PF_KTHREAD	0x00200000

/*
 * A process without /proc/PID/exe is not enough: one that is exiting has lost its
 * memory before it closes its files.
 */
static inline bool is_kernel_thread(const char *pid)
{
	char path[300], text[1024], *at;
	unsigned int flags = 0;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		return false;
	at = strrchr(text, ')');
	if (at)
		sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	return flags & PF_KTHREAD;
}

/* Is @pid a worker of this process? */
static inline bool is_worker(const char *pid)
{
	char path[300], want[32], comm[32];

	snprintf(want, sizeof(want), "iou2-wrk-%d\n", getpid());
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	return read_text(path, comm, sizeof(comm)) > 0 && !strcmp(comm, want) &&
	       is_kernel_thread(pid);
}

/* Return: the pid of a worker of this process, or -1 */
static inline pid_t find_worker(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	pid_t pid = -1;

	while (proc && pid < 0 && (e = readdir(proc)))
		if (is_worker(e->d_name))
			pid = atoi(e->d_name);
	if (proc)
		closedir(proc);
	return pid;
}

#endif
