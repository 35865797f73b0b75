/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared code of the rows of text files in the matrix of files: the kernel
 * generates their contents when they are read.
 */
#ifndef SELFTESTS_IOURING2_FILES_TEXT_H
#define SELFTESTS_IOURING2_FILES_TEXT_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "files.h"

/* Compare what was read with what read(2) gives in the same process now */
static inline void as_call(struct cell *c, struct inst *in, const void *p, int res)
{
	static char text[65536];
	int fd = open(in->path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, sizeof(text));

	close(fd);
	if (len < 0)
		note(c, "call=%s", err_name(-errno));
	else if (res > len || !memmem(text, len, p, res))
		note(c, "differs from the call's \"%.40s\"", text);
	else
		note(c, "as the call");
}

/* Note the first line of the file after a write */
static inline void first_line(struct cell *c, struct inst *in)
{
	char text[60];

	if (read_text(in->path, text, sizeof(text)) < 0)
		strcpy(text, "?");
	text[strcspn(text, "\n")] = '\0';
	note(c, "now=\"%s\"", text);
}

struct path {
	const char *path;
	const char *value;	/* the value to write, the same for each way */
};

static inline int path_open(struct inst *in)
{
	const struct path *p = in->kind->arg;
	int mode = !(in->kind->can & K_WRITE) ? O_RDONLY :
		   !(in->kind->can & K_READ) ? O_WRONLY : O_RDWR;

	snprintf(in->path, sizeof(in->path), "%s", p->path);
	if (p->value && in->kind->can & K_WRITE)
		memcpy(io_buf, p->value, strlen(p->value));
	in->fd = open(in->path, mode | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

static inline const char *path_setup(struct kind *k)
{
	const struct path *p = k->arg;
	int fd = open(p->path, (k->can & K_WRITE ? O_RDWR : O_RDONLY) |
		      O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return reason("no %s: %s", p->path, err_name(-errno));
	close(fd);
	if (p->value)
		k->datum = strlen(p->value);
	return "";
}

#define TEXT	(K_READ | K_SEEK | K_TEXT | K_NONBLOCK)

#define P(file, ...)	(&(const struct path){ .path = (file), ##__VA_ARGS__ })

#define RO(row, file)							\
	{ .name = row, .can = TEXT, .setup = path_setup,		\
	  .open = path_open, .canon = as_call, .arg = P(file) }
#define RW(row, file, text)						\
	{ .name = row, .can = TEXT | K_WRITE, .setup = path_setup,	\
	  .open = path_open, .canon = as_call, .effect = first_line,	\
	  .arg = P(file, .value = text) }
#define ANY(row, file)							\
	{ .name = row, .can = (TEXT | K_VARIES) & ~K_SEEK,		\
	  .setup = path_setup, .open = path_open, .arg = P(file) }

#endif
