/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs as text, one call a line:
 *
 *	sqe(0, 0x16, 0, 2, 0, 0x100000000, 64, 0, 1, 0) @1 *5 !3
 *
 * in thread 1, five times, with the third thing that can fail in it failing.
 * What follows a "#" is a remark. A line "--" ends a program; another may follow.
 */
#ifndef FUZZ_TEXT_H
#define FUZZ_TEXT_H

#include <stddef.h>
#include "exec.h"

extern const char * const call_names[NR_CALLS];
extern const unsigned char call_nr_args[NR_CALLS];
extern const unsigned char call_types[NR_CALLS][MAX_ARGS];

/* Return: bytes written without the terminating 0, never more than size - 1 */
size_t program_print(const struct program *p, char *buf, size_t size);
/* Return: 0, or the number of the line that cannot be read */
int program_parse(struct program *p, const char *text);
/*
 * Program number @nr of a file. Return: 0, 1 if it has not so many, or -1 with a
 * message on standard error
 */
int program_load(struct program *p, const char *path, unsigned int nr);

#endif
