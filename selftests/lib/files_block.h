/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Block devices for the matrix of files, made by the kernel's own interfaces.
 */
#ifndef SELFTESTS_IOURING2_FILES_BLOCK_H
#define SELFTESTS_IOURING2_FILES_BLOCK_H

#include "files.h"

#define MIB	(1048576LL)

/*
 * Make a loop device on a file in work_dir. It ends with the process. Return:
 * its node, or "" with errno set.
 */
const char *loop_new(const char *name, long long bytes);

/* Device mapper: @table is lines of "START LENGTH TARGET ARGUMENTS" */
const char *dm_new(const char *name, const char *table);	/* its node */
int dm_table(const char *name, const char *table);	/* replaces it */
int dm_message(const char *name, const char *text);
int dm_remove(const char *name);
long long dev_sectors(const char *node);

/* md: a mirror of two devices, without superblocks */
const char *md_new(int minor, const char *a, const char *b);
int md_stop(const char *node);

#endif
