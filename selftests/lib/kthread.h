/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling kernel threads from processes. Include after fixture.h. */
#ifndef SELFTESTS_IOURING2_KTHREAD_H
#define SELFTESTS_IOURING2_KTHREAD_H

#include <stdio.h>
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

#endif
