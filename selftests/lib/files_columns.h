/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared code of the columns of the matrix of files. */
#ifndef SELFTESTS_IOURING2_FILES_COLUMNS_H
#define SELFTESTS_IOURING2_FILES_COLUMNS_H

#include "files.h"

/* Open a new file. Return: false if that fails. */
static inline bool begin_empty(struct cell *c, int flags)
{
	int ret;

	c->in.kind = c->kind;
	c->in.flags = flags;
	ret = c->kind->open ? c->kind->open(&c->in) : default_open(&c->in);
	if (ret)
		note_res(c, "open", ret);
	return !ret;
}

/* The same; if a read of the file would wait, make a datum available */
static inline bool begin(struct cell *c, int flags)
{
	if (!begin_empty(c, flags))
		return false;
	if (c->kind->can & K_FEED)
		c->kind->feed(&c->in);
	return true;
}

static inline void end(struct cell *c)
{
	if (c->kind->close)
		c->kind->close(&c->in);
	else
		default_close(&c->in);
}

/* The offset of a read: a file that cannot seek takes none */
static inline __u64 at(struct cell *c, __u64 off)
{
	return c->kind->can & K_SEEK ? off : NO_POS;
}

/* The offset of a write: many generated files accept writes at offset 0 only */
static inline __u64 write_at(struct cell *c, __u64 off)
{
	return c->kind->can & K_TEXT ? NO_POS : at(c, off);
}

/* Note the result @res of a read, and the data at @p */
static inline void saw(struct cell *c, const void *p, int res)
{
	if (c->kind->can & K_VARIES && res > 0) {
		note(c, "res=some");
		return;
	}
	note_res(c, "res", res);
	if (res < 0)
		return;
	if (c->kind->canon)
		c->kind->canon(c, &c->in, p, res);
	else
		note_data(c, p, res);
}

/* Note the result @res of a write, and its effect on the file */
static inline void wrote(struct cell *c, int res)
{
	note_res(c, "res", res);
	if (c->kind->can & K_DATA)
		note_file(c);
	if (c->kind->effect)
		c->kind->effect(c, &c->in);
}

static inline unsigned int size_of(struct cell *c, unsigned int usual)
{
	return c->kind->datum ? (unsigned int)c->kind->datum : usual;
}

/* Count the signals @sig that this process gets from now on */
void signals_count(int sig);
void note_signals(struct cell *c);

/* files_waits.c */
void col_wait(struct cell *c);
void col_full(struct cell *c);
void col_nonblock(struct cell *c);
void col_nonblock_full(struct cell *c);
void col_poll(struct cell *c);
void col_poll_wait(struct cell *c);
void col_cancel(struct cell *c);
void col_close(struct cell *c);
void col_never(struct cell *c);
void col_kill(struct cell *c);
void col_hup(struct cell *c);
void col_class(struct cell *c);
void col_class_locked(struct cell *c);

#endif
