/* SPDX-License-Identifier: GPL-2.0 */
/* Arming requests on their files. */
#ifndef IO2_POLL_H
#define IO2_POLL_H

#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/poll.h>
#include <linux/string.h>

#include "ring.h"

struct io2_req;
struct iouring2_sqe;
enum io2_issue;

/**
 * io2_file_nowait() - can I/O on @file be tried without blocking?
 * @file: the file
 *
 * Return: whether it honours IOCB_NOWAIT or O_NONBLOCK.
 */
static inline bool io2_file_nowait(const struct file *file)
{
	return (file->f_flags & O_NONBLOCK) || (file->f_mode & FMODE_NOWAIT) ||
	       S_ISSOCK(file_inode(file)->i_mode);
}

/**
 * io2_file_answers() - does @file say at once which events are there?
 * @file: the file
 *
 * Pipes, sockets and what else has no path do; others may have to ask somebody,
 * who may never answer.
 *
 * Return: whether it does.
 */
static inline bool io2_file_answers(struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISFIFO(inode->i_mode) || S_ISSOCK(inode->i_mode) ||
	       (inode->i_sb->s_flags & SB_NOUSER) || !file_can_poll(file);
}

/**
 * io2_file_is_personal() - does @file have for everybody who asks something else?
 * @file: the file
 *
 * A signalfd has the signals of who reads or polls it, and wakes who armed it.  There
 * is no other such file that can be polled, and no better way to know it.
 *
 * Return: whether it does.
 */
static inline bool io2_file_is_personal(const struct file *file)
{
	const struct dentry *dentry = file->f_path.dentry;

	return dentry->d_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(dentry->d_name.name, "[signalfd]");
}

enum io2_issue io2_poll_wait(struct io2_req *req);
int io2_poll_cancel(struct io2_req *req);
int io2_poll_add_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags);
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags);

#endif
