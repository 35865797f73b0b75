/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's tracepoints, read through tracefs. Each test makes its own
 * tracing instance, so that tests and other users of tracing do not disturb
 * each other.
 *
 * Include after kselftest_harness.h and fixture.h.
 */
#ifndef SELFTESTS_IOURING2_TRACE_H
#define SELFTESTS_IOURING2_TRACE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "reason.h"
#include "ring.h"

#define TRACEFS		"/sys/kernel/tracing"
#define TRACE_MAX	65536	/* bytes of text: no test causes more */

struct trace {
	char dir[64];	/* the instance; "" if there is none */
	char text[TRACE_MAX];
};

static inline int trace_write(const struct trace *t, const char *name,
			      const char *value)
{
	char path[192];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) > 0 ? 0 : -errno;
	close(fd);
	return ret;
}

/* Enable or disable an event; NULL: all events of the module */
static inline int trace_event(const struct trace *t, const char *event, bool on)
{
	char name[96];

	snprintf(name, sizeof(name), "events/iouring2/%s%s%senable",
		 event ? "iouring2_" : "", event ? event : "",
		 event ? "/" : "");
	return trace_write(t, name, on ? "1" : "0");
}

/* Return: NULL, or why tracing does not work */
static inline const char *trace_why_not(void)
{
	if (geteuid())
		return "only root can use tracefs";
	if (access(TRACEFS "/instances", F_OK) && intrusive())
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/instances", F_OK))
		return "there is no tracefs, or the kernel has no tracing";
	if (access(TRACEFS "/events/sched", F_OK))
		return "the kernel has no trace events";
	return NULL;
}

/* Make an instance. Return: NULL, or why tracing does not work. */
static inline const char *trace_open(struct trace *t)
{
	const char *why = trace_why_not();

	t->dir[0] = '\0';
	if (why)
		return why;
	snprintf(t->dir, sizeof(t->dir), TRACEFS "/instances/iouring2-%d",
		 getpid());
	if (mkdir(t->dir, 0700)) {
		t->dir[0] = '\0';
		return reason("cannot make a tracing instance: %s",
			      strerror(errno));
	}
	/* with this clock the events of all processors have one order */
	trace_write(t, "trace_clock", "counter");
	return NULL;
}

static inline void trace_close(struct trace *t)
{
	if (!t->dir[0])
		return;
	trace_event(t, NULL, false);
	until(!rmdir(t->dir) || errno != EBUSY);
	t->dir[0] = '\0';
}

static inline void trace_forget(const struct trace *t)
{
	trace_write(t, "trace", "");
}

/* Read a whole file of tracefs, which may need several reads */
static inline int trace_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t nr;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((nr = read(fd, buf + len, size - 1 - len)) > 0)
		len += nr;
	close(fd);
	buf[len] = '\0';
	return nr < 0 ? -errno : (int)len;
}

/*
 * Return: "NAME: FIELDS" of "task [cpu] flags time: iouring2_NAME: FIELDS", or
 * NULL
 */
static inline char *trace_event_of(char *line)
{
	char *at = line[0] == '#' ? NULL : strstr(line, ": iouring2_");

	return at ? at + strlen(": iouring2_") : NULL;
}

/*
 * Return: the events of a ring, one "NAME: FIELDS\n" per line, where FIELDS are
 * those after the ring's id.
 */
static inline const char *trace_of(struct trace *t, unsigned long long ring)
{
	char path[96], id[40], *line, *save, *at, *fields;
	static char raw[TRACE_MAX];
	size_t len = 0;
	int ret;

	t->text[0] = '\0';
	snprintf(path, sizeof(path), "%s/trace", t->dir);
	ret = trace_read(path, raw, sizeof(raw));
	if (ret < 0)
		return reason("%s: %s", path, strerror(-ret));
	snprintf(id, sizeof(id), "ring=%llu ", ring);
	for (line = strtok_r(raw, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		at = trace_event_of(line);
		fields = at ? strstr(at, ": ") : NULL;
		if (!fields || strncmp(fields + 2, id, strlen(id)))
			continue;
		len += snprintf(t->text + len, sizeof(t->text) - len,
				"%.*s: %s\n", (int)(fields - at), at,
				fields + 2 + strlen(id));
	}
	return t->text;
}

/* Return: the ring of the newest event with this step and error, or 0 */
static inline unsigned long long trace_failed_ring(const struct trace *t,
						   const char *step, int err)
{
	static char raw[TRACE_MAX];
	unsigned long long ring, found = 0;
	char path[96], said[32], *line, *save, *at;
	int error;

	snprintf(path, sizeof(path), "%s/trace", t->dir);
	if (trace_read(path, raw, sizeof(raw)) < 0)
		return 0;
	for (line = strtok_r(raw, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		at = trace_event_of(line);
		if (at && sscanf(at, "create_failed: ring=%llu step=%31s error=%d",
				 &ring, said, &error) == 3 &&
		    !strcmp(said, step) && error == err)
			found = ring;
	}
	return found;
}

#endif
