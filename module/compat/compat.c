// SPDX-License-Identifier: GPL-2.0-only
/* What older kernels lack and is too large for a header. */
#include "compat.h"

/**
 * io2_compat_verify_area() - the checks of read(2) and write(2)
 * @dir: READ or WRITE
 * @file: the file
 * @ppos: position, or NULL
 * @count: bytes
 *
 * 5.10 does not export them: there the security modules were asked when the
 * file was opened, and are not asked again.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int io2_compat_verify_area(int dir, struct file *file, loff_t *ppos,
			   size_t count)
{
#ifdef HAVE_RW_VERIFY_AREA
	return rw_verify_area(dir, file, ppos, count);
#else
	/* what it has besides security and locks: the end must be a position, too */
	if (ppos && *ppos >= 0 && (loff_t)(*ppos + count) < 0 &&
	    !(file->f_mode & FMODE_UNSIGNED_OFFSET))
		return -EINVAL;
	return 0;
#endif
}

/* Waits out, or with IOCB_NOWAIT refuses, a frozen file system. */
static int start_write(struct kiocb *kiocb)
{
	struct super_block *sb = file_inode(kiocb->ki_filp)->i_sb;

	if (!(kiocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(kiocb);
		return 0;
	}
	if (!sb_start_write_trylock(sb))
		return -EAGAIN;
	/* the completion may come from another task */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return 0;
}

/*
 * A listener may be asked, and may want to freeze the file system before it answers:
 * not while the write has its freeze count.  Before 6.8 both are in one function.
 */
static int verify_write(struct kiocb *kiocb, const struct iov_iter *iter)
{
#ifdef HAVE_RW_VERIFY_AREA
	return rw_verify_area(WRITE, kiocb->ki_filp, &kiocb->ki_pos,
			      iov_iter_count(iter));
#else
	return 0;
#endif
}

static ssize_t started_write(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct file *file = kiocb->ki_filp;
#ifdef HAVE_RW_VERIFY_AREA
	ssize_t ret = file->f_op->write_iter(kiocb, iter);

	if (ret > 0)
		fsnotify_modify(file);
	return ret;
#else
	/* it does not write nothing, which a datagram socket sends */
	if (!iov_iter_count(iter))
		return file->f_op->write_iter(kiocb, iter);
	/* does not start the write itself, as it does since 6.8 */
	return vfs_iocb_iter_write(file, kiocb, iter);
#endif
}

/**
 * io2_compat_write_iter() - write, with the checks of write(2)
 * @kiocb: file open for writing, with a write_iter
 * @iter: from where
 *
 * Context: may sleep.
 * Return: as write_iter; with -EIOCBQUEUED and a regular file the completion
 * has to call kiocb_end_write().
 */
ssize_t io2_compat_write_iter(struct kiocb *kiocb, struct iov_iter *iter)
{
	bool reg = S_ISREG(file_inode(kiocb->ki_filp)->i_mode);
	ssize_t ret;

	ret = verify_write(kiocb, iter);
	if (ret < 0)
		return ret;
	if (reg) {
		ret = start_write(kiocb);
		if (ret)
			return ret;
	}
	ret = started_write(kiocb, iter);
	if (reg && ret != -EIOCBQUEUED)
		kiocb_end_write(kiocb);
	return ret;
}

/**
 * io2_recalc_sigpending() - has current a signal?  Look again
 *
 * For whoever has set its TIF_SIGPENDING without one.
 *
 * Context: task context.
 */
void io2_recalc_sigpending(void)
{
	/* a task keeps its own as long as it runs */
	struct sighand_struct *sighand = rcu_access_pointer(current->sighand);

	spin_lock_irq(&sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&sighand->siglock);
}

/**
 * io2_file_close_sync() - close a file in a kernel thread
 * @file: with its last reference
 *
 * A socket's close can wait for its peer (SO_LINGER), on behalf of the program that
 * closes it.  Here nobody waits for that: it is cut short, as by a signal, and the
 * socket sends what it has by itself.
 *
 * Context: kernel thread; may sleep.
 */
void io2_file_close_sync(struct file *file)
{
	bool sock = S_ISSOCK(file_inode(file)->i_mode);

	if (sock)
		set_thread_flag(TIF_SIGPENDING);
	__fput_sync(file);
	if (sock)
		io2_recalc_sigpending();
}
