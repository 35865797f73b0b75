// SPDX-License-Identifier: GPL-2.0-only
/* Functions that older kernels lack, if they are too large for the header. */
#include <linux/backing-dev.h>

#include "compat.h"

/**
 * io2_compat_verify_area() - the checks of read(2) and write(2)
 * @dir: READ or WRITE
 * @file: the file
 * @ppos: position, or NULL
 * @count: bytes
 *
 * Kernels before 5.18 do not export rw_verify_area(). There the security modules
 * are called when the file is opened, and not again here.
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
	/* left without security and locks: the end must be a valid position */
	if (ppos && *ppos >= 0 && (loff_t)(*ppos + count) < 0 &&
	    !(file->f_mode & FMODE_UNSIGNED_OFFSET))
		return -EINVAL;
	return 0;
#endif
}

/*
 * Takes the freeze count. Waits while the file system is frozen, or fails with
 * IOCB_NOWAIT.
 */
static int start_write(struct kiocb *kiocb)
{
	struct super_block *sb = file_inode(kiocb->ki_filp)->i_sb;

	if (!(kiocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(kiocb);
		return 0;
	}
	if (!sb_start_write_trylock(sb))
		return -EAGAIN;
	/* the completion, which ends the write, may run in another task */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return 0;
}

/*
 * The check may wait for a listener (fanotify), which may want to freeze the
 * file system before it answers. So it must not be done with the freeze count
 * taken. Where rw_verify_area() is not exported (before 5.18),
 * vfs_iocb_iter_write() does both the check and the write.
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
	/* vfs_iocb_iter_write() skips empty writes; datagram sockets send them */
	if (!iov_iter_count(iter))
		return file->f_op->write_iter(kiocb, iter);
	/* takes no freeze count before 6.8 */
	return vfs_iocb_iter_write(file, kiocb, iter);
#endif
}

/**
 * io2_compat_write_iter() - write, with the checks of write(2)
 * @kiocb: the kiocb; its file is open for writing and has a write_iter
 * @iter: the data
 *
 * Context: may sleep.
 * Return: as write_iter. After -EIOCBQUEUED for a regular file, the completion
 * must call kiocb_end_write().
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

#ifndef HAVE_EVENTFD_SIGNAL_MASK
/* this CPU is signalling the eventfd of a ring */
static DEFINE_PER_CPU(bool, compat_signals);

/**
 * io2_compat_signal() - signal the eventfd of a ring
 * @ctx: the eventfd
 *
 * The waiters are woken here, with preemption disabled. Where spinlocks sleep
 * (PREEMPT_RT), the waiters are not told that a ring wakes them.
 *
 * Context: task context, and no wait queue's lock held.
 */
void io2_compat_signal(struct eventfd_ctx *ctx)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		eventfd_signal(ctx, 1);
		return;
	}
	preempt_disable();
	__this_cpu_write(compat_signals, true);
	eventfd_signal(ctx, 1);
	__this_cpu_write(compat_signals, false);
	preempt_enable();
}

/**
 * io2_woken_by_ring() - is a waiter being woken by the completion of a ring?
 * @mask: the key of the wake-up
 *
 * An interrupt that comes while an eventfd is being signalled wakes for reasons
 * of its own.
 *
 * Context: any, in the callback of a wait queue.
 * Return: true if it is.
 */
bool io2_woken_by_ring(__poll_t mask)
{
	return (mask & EPOLL_URING_WAKE) ||
	       (in_task() && this_cpu_read(compat_signals));
}
#endif

/**
 * io2_recalc_sigpending() - clear current's TIF_SIGPENDING if it has no signal
 *
 * For callers that have set the flag without queueing a signal.
 *
 * Context: task context.
 */
void io2_recalc_sigpending(void)
{
	/* a running task keeps its own sighand */
	struct sighand_struct *sighand = rcu_access_pointer(current->sighand);

	spin_lock_irq(&sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&sighand->siglock);
}

/**
 * io2_file_close_sync() - close a file in a kernel thread
 * @file: the file, with its last reference
 *
 * The close of a socket may wait for its peer (SO_LINGER) on behalf of the
 * closing program. Here no program waits for it. So the wait is cut short, as
 * by a signal, and the socket sends its remaining data in the background.
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
/* Does the file system not need to know when somebody writes to the page? */
static bool page_writable(struct page *page)
{
	const struct address_space *mapping;
	const struct inode *inode;
	bool writable;

	page = compound_head(page);
	/* a file may be truncated; its inode is freed after a grace period */
	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if ((unsigned long)mapping & PAGE_MAPPING_FLAGS) {
		writable = (unsigned long)mapping & PAGE_MAPPING_ANON;
	} else if (mapping) {
		inode = mapping->host;
		writable = S_ISREG(inode->i_mode) &&
			   !(inode->i_sb->s_bdi->capabilities & BDI_CAP_WRITEBACK);
	} else {
		writable = false;
	}
	rcu_read_unlock();
	return writable;
}
#endif

/**
 * io2_pages_writable() - may the kernel write to pinned pages at any time?
 * @pages: the pages
 * @nr: their number
 *
 * A file system with writeback must know of each write to a page. Since 6.5 the
 * kernel does not pin such pages for long (FOLL_LONGTERM). Before, it did, and
 * file systems crashed.
 *
 * Context: any.
 * Return: true if so.
 */
bool io2_pages_writable(struct page **pages, unsigned int nr)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	while (nr)
		if (!page_writable(pages[--nr]))
			return false;
#endif
	return true;
}
