/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's fault injection: allocations and user copies fail when a test
 * wants it. This needs CONFIG_FAULT_INJECTION_DEBUG_FS, and debugfs at its
 * usual place.
 */
#ifndef SELFTESTS_IOURING2_INJECT_H
#define SELFTESTS_IOURING2_INJECT_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ring.h"

#define FAULT_DIR	"/sys/kernel/debug/"

static inline int knob(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) > 0 ? 0 : -errno;
	close(fd);
	return ret;
}

/* Set one knob of one kind of fault, such as "verbose" of "failslab" */
static inline int fault_knob(const char *fault, const char *name,
			     const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FAULT_DIR "%s/%s", fault, name);
	return knob(path, value);
}

/*
 * Let allocations that may sleep fail as well, because the module makes these
 */
static inline bool inject_ready(void)
{
	/* do not print a stack for each of thousands of failures */
	fault_knob("failslab", "verbose", "0");
	fault_knob("fail_page_alloc", "verbose", "0");
	fault_knob("fail_usercopy", "verbose", "0");
	return !fault_knob("failslab", "ignore-gfp-wait", "N") &&
	       !fault_knob("fail_page_alloc", "ignore-gfp-wait", "N") &&
	       !fault_knob("fail_page_alloc", "min-order", "0");
}

/*
 * @on: let all allocations fail, but no user copy, in the tasks that are marked
 * by make-it-fail. Otherwise stop that.
 */
static inline void inject_all(bool on)
{
	static const char * const faults[] = { "failslab", "fail_page_alloc" };
	int i;

	for (i = 0; i < 2; i++) {
		/* set the filter first, as otherwise every task would fail */
		fault_knob(faults[i], "probability", "0");
		fault_knob(faults[i], "task-filter", "Y");
		fault_knob(faults[i], "interval", "1");
		fault_knob(faults[i], "times", "-1");
		if (on)
			fault_knob(faults[i], "probability", "100");
	}
}

/* Open a knob of a task; @pid 0: the calling thread */
static inline int task_knob_open(pid_t pid, const char *name)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	else
		snprintf(path, sizeof(path), "/proc/thread-self/%s", name);
	return open(path, O_RDWR | O_CLOEXEC);
}

/*
 * Let the @nth operation of the task that can fail do so. The injected failure
 * may hit the write to the knob itself, so try again.
 */
static inline void nth_arm(int fd, unsigned int nth)
{
	char s[16];
	int n = snprintf(s, sizeof(s), "%u", nth);

	while (pwrite(fd, s, n, 0) != n)
		;
}

/* Return: whether the armed failure happened */
static inline bool nth_disarm(int fd)
{
	char s[16] = "";
	/* false if the injected failure hits this read */
	bool hit = pread(fd, s, sizeof(s) - 1, 0) > 0 && !atoi(s);

	nth_arm(fd, 0);
	return hit;
}

#endif
