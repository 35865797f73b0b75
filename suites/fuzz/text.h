/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text form of a program has one call a line:
 *
 *	sqe(0, 0x16, 0, 2, 0, 0x100000000, 64, 0, 1, 0) @1 *5 !3
 *
 * "@1" means thread 1, "*5" five repetitions, and "!3" that the third operation
 * in the call that can fail does fail. "#" begins a comment. A line "--" ends a
 * program; another program may follow.
 */
#ifndef FUZZ_TEXT_H
#define FUZZ_TEXT_H

#include <stddef.h>
#include "exec.h"

extern const char * const call_names[NR_CALLS];
extern const unsigned char call_nr_args[NR_CALLS];
extern const unsigned char call_types[NR_CALLS][MAX_ARGS];

/* Return: bytes written without the terminating 0, at most size - 1 */
size_t program_print(const struct program *p, char *buf, size_t size);
/* Return: 0, or the number of the line that cannot be parsed */
int program_parse(struct program *p, const char *text);
/*
 * Load program number @nr of a file. Return: 0, 1 if the file has fewer programs,
 * or -1 after a message on standard error
 */
int program_load(struct program *p, const char *path, unsigned int nr);

#endif
