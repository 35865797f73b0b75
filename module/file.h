/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of file: who may read, write and poll them for a submitter. */
#ifndef IO2_FILE_H
#define IO2_FILE_H

#include <linux/bits.h>
#include <linux/fs.h>

/*
 * What a kernel thread with borrowed memory and credentials may do with a file.
 * Each bit is a statement about the file's methods on every supported kernel.
 * docs/vfs-contract.md gives the reasons for each kind.
 */
#define IO2_KIND_READ		BIT(0)	/* read it */
#define IO2_KIND_WRITE		BIT(1)	/* write it */
#define IO2_KIND_SYNC		BIT(2)	/* sync it */
#define IO2_KIND_POLL_NOW	BIT(3)	/* poll it: ->poll does not sleep */
#define IO2_KIND_POLL_LATE	BIT(4)	/* poll it: ->poll may sleep */
#define IO2_KIND_DATA		BIT(5)	/* stored data: no read waits for data to arrive */
#define IO2_KIND_WAKE_TELLS	BIT(6)	/* a wake-up without events means that it is readable */
#define IO2_KIND_ENDLESS	BIT(7)	/* a read never reaches an end */

unsigned int io2_file_kind(const struct file *file);

/**
 * io2_file_nowait() - can I/O on a file be tried without blocking?
 * @file: the file
 *
 * Context: any.
 * Return: true if it honours IOCB_NOWAIT or O_NONBLOCK.
 */
static inline bool io2_file_nowait(const struct file *file)
{
	return (file->f_flags & O_NONBLOCK) || (file->f_mode & FMODE_NOWAIT) ||
	       S_ISSOCK(file_inode(file)->i_mode);
}

/**
 * io2_file_is_data() - is a file's data always there, so that polling is no use?
 * @file: the file
 *
 * True for regular files and block devices. Some of them have a ->poll (FUSE),
 * but it says nothing about the data at a position.
 *
 * Context: any.
 * Return: true if it is such a file, of a kind that kernel threads may use.
 */
static inline bool io2_file_is_data(const struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	return (S_ISREG(mode) || S_ISBLK(mode)) &&
	       (io2_file_kind(file) & IO2_KIND_DATA);
}

bool io2_file_ends_here(const struct file *file);
bool io2_file_raises_sigpipe(const struct file *file);
bool io2_pipe_has_no_reader(const struct file *file);

#endif
