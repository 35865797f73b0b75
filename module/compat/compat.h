/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only place that knows kernel versions.  The rest of the module is
 * written against the newest kernel; what an older one lacks or spells
 * differently is made good here.  HAVE_* come from probe.sh, which compiles a
 * snippet for each; a version number is used only where behaviour, not the
 * interface, changed.
 */
#ifndef IO2_COMPAT_H
#define IO2_COMPAT_H

#include <linux/anon_inodes.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/version.h>

#include "probed.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "iouring2 supports Linux 5.10 and newer"
#endif

/* vm_flags became read-only to drivers in 6.3 */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* 6.13 counts a file's references from 0 */
#ifdef HAVE_FILE_REF
#define io2_file_refs(file)	(&(file)->f_ref.refcnt)
#define IO2_FILE_LAST_REF	0
#else
#define io2_file_refs(file)	(&(file)->f_count)
#define IO2_FILE_LAST_REF	1
#endif

/**
 * io2_file_put_shared() - let go of a file that somebody else has, too
 * @file: the file
 *
 * Context: any.
 * Return: whether there was somebody else; otherwise the caller still has the last
 * reference.
 */
static inline bool io2_file_put_shared(struct file *file)
{
	long refs = atomic_long_read(io2_file_refs(file));

	while (refs > IO2_FILE_LAST_REF)
		if (atomic_long_try_cmpxchg(io2_file_refs(file), &refs, refs - 1))
			return true;
	return false;
}

/* 6.13 sets clock and callback in one step; hrtimer_init() then went */
#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

/* 6.12 asks whether it is a read or a write */
static inline int io2_kiocb_set_rw_flags(struct kiocb *kiocb, rwf_t flags,
					 int type)
{
#ifdef HAVE_RW_FLAGS_TYPE
	return kiocb_set_rw_flags(kiocb, flags, type);
#else
	return kiocb_set_rw_flags(kiocb, flags);
#endif
}

/* 6.0 keeps a file's default flags with the file */
#ifdef HAVE_F_IOCB_FLAGS
#define io2_iocb_flags(file)	((file)->f_iocb_flags)
#else
#define io2_iocb_flags(file)	iocb_flags(file)
#endif

/* 6.2 lets any direct I/O take its bios from a cache, before that polled I/O only */
#if defined(IOCB_ALLOC_CACHE) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define IO2_IOCB_CACHED		IOCB_ALLOC_CACHE
#else
#define IO2_IOCB_CACHED		0
#endif

/*
 * All but position and completion, which are the caller's to set.  What comes after the
 * pointers differs from kernel to kernel; to clear only that is cheaper than to
 * clear everything.
 */
static inline void io2_kiocb_init(struct kiocb *kiocb, struct file *file)
{
	size_t rest = offsetof(struct kiocb, ki_flags);

	if (rest != sizeof(kiocb->ki_filp) + sizeof(kiocb->ki_pos) +
		    sizeof(kiocb->ki_complete) + sizeof(kiocb->private))
		rest = 0;	/* a shuffled layout */
	memset((char *)kiocb + rest, 0, sizeof(*kiocb) - rest);
	kiocb->ki_filp = file;
	kiocb->private = NULL;
	kiocb->ki_flags = io2_iocb_flags(file) | IO2_IOCB_CACHED;
}

/* A plug gets the tags for its requests together since 5.16, at most so many */
#define IO2_PLUG_IOS_MAX	32

static inline void io2_start_plug(struct blk_plug *plug, unsigned int nr_ios)
{
	blk_start_plug(plug);
#ifdef HAVE_PLUG_NR_IOS
	plug->nr_ios = min_t(unsigned int, nr_ios, IO2_PLUG_IOS_MAX);
#endif
}

/* 6.0 has an iterator for one segment, which costs less */
static inline void io2_iter_ubuf(struct iov_iter *iter, unsigned int dir,
				 const struct iovec *iov, size_t len,
				 size_t skip)
{
#ifdef HAVE_ITER_UBUF
	iov_iter_ubuf(iter, dir, iov->iov_base + skip, len - skip);
#else
	iov_iter_init(iter, dir, iov, 1, len);
	if (skip)
		iov_iter_advance(iter, skip);
#endif
}

/*
 * Reads with the checks of read(2), from a file with a read_iter that is open
 * for reading.  Since 6.8 they can be had without the checks of the mode.
 */
static inline ssize_t io2_read_iter(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct file *file = kiocb->ki_filp;
#ifdef HAVE_RW_VERIFY_AREA
	ssize_t ret;

	if (!iov_iter_count(iter))
		return 0;
	ret = rw_verify_area(READ, file, &kiocb->ki_pos, iov_iter_count(iter));
	if (ret < 0)
		return ret;
	ret = file->f_op->read_iter(kiocb, iter);
	if (ret > 0)
		fsnotify_access(file);
	return ret;
#else
	return vfs_iocb_iter_read(file, kiocb, iter);
#endif
}

/* 5.16 dropped the second result of an I/O's completion */
#ifdef HAVE_KI_COMPLETE_2
#define IO2_KI_COMPLETE_ARGS	struct kiocb *kiocb, long res
#else
#define IO2_KI_COMPLETE_ARGS	struct kiocb *kiocb, long res, long res2
#endif

/* 6.x: an inode of its own for each ring, so that an LSM can label it */
static inline struct file *
io2_anon_file(const char *name, const struct file_operations *fops, int flags)
{
#ifdef HAVE_ANON_INODE_CREATE_GETFILE
	return anon_inode_create_getfile(name, fops, NULL, flags, NULL);
#else
	return anon_inode_getfile(name, fops, NULL, flags);
#endif
}

/*
 * Which regular files take a buffered write with IOCB_NOWAIT: a flag of the
 * file operations since 6.10, of the file since 6.0, none before.
 */
static inline bool io2_file_nowait_buffered_write(const struct file *file)
{
#if defined(FOP_BUFFER_WASYNC)
	return file->f_op->fop_flags & FOP_BUFFER_WASYNC;
#elif defined(FMODE_BUF_WASYNC)
	return file->f_mode & FMODE_BUF_WASYNC;
#else
	return false;
#endif
}

/* 6.4 keeps the parts of a module in an array */
#ifdef HAVE_MODULE_MEM
#define io2_module_text(mod)		((mod)->mem[MOD_TEXT].base)
#define io2_module_text_size(mod)	((mod)->mem[MOD_TEXT].size)
#else
#define io2_module_text(mod)		((mod)->core_layout.base)
#define io2_module_text_size(mod)	((mod)->core_layout.text_size)
#endif

int io2_compat_verify_area(int dir, struct file *file, loff_t *ppos,
			   size_t count);
ssize_t io2_compat_write_iter(struct kiocb *kiocb, struct iov_iter *iter);

#endif
