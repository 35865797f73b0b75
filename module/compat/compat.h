/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows kernel versions. The rest of the module is written
 * for the newest kernel. This header supplies what older kernels lack or name
 * differently. probe.sh defines HAVE_*: it compiles a snippet for each of them.
 * A version number is used only where the behaviour of an interface has changed,
 * which no snippet can detect.
 */
#ifndef IO2_COMPAT_H
#define IO2_COMPAT_H

#include <linux/anon_inodes.h>
#include <linux/blkdev.h>
#include <linux/cpuset.h>
#include <linux/eventfd.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/fsnotify.h>
#include <linux/hrtimer.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/isolation.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uio.h>
#include <linux/version.h>

#include "probed.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "iouring2 supports Linux 5.10 and newer"
#endif

/* before 6.3 drivers write vm_flags themselves */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* unmaps pages that are mapped by frame number; 7.x has renamed the function */
static inline void io2_zap_ptes(struct vm_area_struct *vma, unsigned long addr,
				unsigned long size)
{
#ifdef HAVE_ZAP_SPECIAL_VMA_RANGE
	zap_special_vma_range(vma, addr, size);
#else
	zap_vma_ptes(vma, addr, size);
#endif
}

/* since 6.13 the reference count of a file starts at 0 */
#ifdef HAVE_FILE_REF
#define io2_file_refs(file)	(&(file)->f_ref.refcnt)
#define IO2_FILE_LAST_REF	0
#else
#define io2_file_refs(file)	(&(file)->f_count)
#define IO2_FILE_LAST_REF	1
#endif

/**
 * io2_file_put_shared() - drop a file reference unless it is the last one
 * @file: the file
 *
 * Context: any.
 * Return: true if it was dropped; false if it is the last one, which the caller
 * still holds.
 */
static inline bool io2_file_put_shared(struct file *file)
{
	long refs = atomic_long_read(io2_file_refs(file));

	while (refs > IO2_FILE_LAST_REF)
		if (atomic_long_try_cmpxchg(io2_file_refs(file), &refs, refs - 1))
			return true;
	return false;
}

void io2_recalc_sigpending(void);
void io2_file_close_sync(struct file *file);

/* Drops a file reference, and closes the file if it is the last one. May sleep. */
static inline void io2_file_put(struct file *file)
{
	if (io2_file_put_shared(file))
		return;
	if (current->flags & PF_KTHREAD)
		io2_file_close_sync(file);
	else
		fput(file);
}

/**
 * io2_fdget() - look up a descriptor of current, without a reference if possible
 * @fd: the descriptor
 * @borrowed: set to whether the file is not referenced. No other task has
 *	current's descriptor table then. So the descriptor keeps the file until
 *	current returns from its system call, or closes it.
 *
 * Context: system call of a task.
 * Return: the file, or NULL.
 */
static inline struct file *io2_fdget(unsigned int fd, bool *borrowed)
{
	struct fd f = fdget(fd);

	/* since 6.12 both are in one word */
#ifdef HAVE_FD_WORD
	*borrowed = !(f.word & FDPUT_FPUT);
	return fd_file(f);
#else
	*borrowed = !(f.flags & FDPUT_FPUT);
	return f.file;
#endif
}

/* since 6.13 one function sets clock and callback; later kernels have no other */
#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

static inline void io2_hrtimer_on_stack(struct hrtimer *timer,
					enum hrtimer_restart (*fn)(struct hrtimer *),
					clockid_t clock, enum hrtimer_mode mode)
{
#ifdef HAVE_HRTIMER_SETUP
	hrtimer_setup_on_stack(timer, fn, clock, mode);
#else
	hrtimer_init_on_stack(timer, clock, mode);
	timer->function = fn;
#endif
}

/* in <linux/magic.h> since 5.13 */
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC	0x65735546
#endif

/* since 6.9 pidfds have a file system of their own */
#define IO2_PID_FS_MAGIC	0x50494446

/* since 5.14 the state of a task has another name */
#ifdef HAVE_TASK_STATE
#define io2_task_state(t)	READ_ONCE((t)->__state)
#else
#define io2_task_state(t)	READ_ONCE((t)->state)
#endif

/* before 5.11 sock_from_file() has an argument for the error */
static inline struct socket *io2_sock_from_file(const struct file *file)
{
#ifdef HAVE_SOCK_FROM_FILE_1
	return sock_from_file((struct file *)file);
#else
	int err;

	return sock_from_file((struct file *)file, &err);
#endif
}

/* State of an idle thread, which counts as frozen; since 6.1 there is a flag. */
#ifdef TASK_FREEZABLE
#define IO2_TASK_IDLE	(TASK_IDLE | TASK_FREEZABLE)
#else
#define IO2_TASK_IDLE	TASK_IDLE
#endif

static inline long io2_idle_timeout(long timeout)
{
#ifdef TASK_FREEZABLE
	return schedule_timeout(timeout);
#else
	freezer_do_not_count();
	timeout = schedule_timeout(timeout);
	freezer_count();
	return timeout;
#endif
}

/* Before 5.15 a file may have mandatory locks, for which reads and writes wait. */
static inline bool io2_has_mandatory_locks(const struct inode *inode)
{
#if IS_ENABLED(CONFIG_MANDATORY_FILE_LOCKING)
	return mandatory_lock((struct inode *)inode);
#else
	return false;
#endif
}

/* Accounts the block I/O of current, a kernel thread, to @owner's I/O cgroup. */
static inline void io2_account_io_to(struct task_struct *owner)
{
#ifdef CONFIG_BLK_CGROUP
	struct cgroup_subsys_state *css;

	css = owner ? task_get_css(owner, io_cgrp_id) : NULL;
	kthread_associate_blkcg(css);
	if (css)
		css_put(css);
#endif
}

/*
 * The cgroups of a task. The caller only compares them, to notice that the task
 * has moved to another cgroup.
 */
static inline void *io2_cgroups_of(const struct task_struct *t)
{
#ifdef CONFIG_CGROUPS
	return rcu_access_pointer(t->cgroups);
#else
	return NULL;
#endif
}

static inline struct mem_cgroup *io2_memcg_get(struct mm_struct *mm)
{
	return mem_cgroup_disabled() ? NULL : get_mem_cgroup_from_mm(mm);
}

static inline void io2_memcg_put(struct mem_cgroup *memcg)
{
	if (memcg)
		mem_cgroup_put(memcg);
}

/*
 * Allocations of a kernel thread are charged to the memory cgroup set here, if
 * any.
 */
static inline struct mem_cgroup *io2_set_active_memcg(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *old = current->active_memcg;

	current->active_memcg = memcg;
	return old;
#else
	return NULL;
#endif
}

#if !defined(HAVE_FGET_TASK_NEXT) && !defined(HAVE_TASK_LOOKUP_NEXT)
/*
 * Return: true if *@file is still what @fd refers to; otherwise the caller must
 * put *@file, if it is not NULL, and try again.
 */
static inline bool io2_fget_slot(struct task_struct *task, unsigned int fd,
				 struct file **file)
{
	bool same = true;

	rcu_read_lock();
	task_lock(task);
	do {
		*file = task->files ? files_lookup_fd_rcu(task->files, fd) :
				      NULL;
		/* a file that is being closed may leave the table meanwhile */
	} while (*file && !get_file_rcu(*file));
	if (*file)
		same = files_lookup_fd_rcu(task->files, fd) == *file;
	task_unlock(task);
	rcu_read_unlock();
	return same;
}
#endif

/*
 * Looks up a descriptor of another task. The exported functions for that return
 * the next open descriptor if @fd is not open.
 */
static inline struct file *io2_fget_task(struct task_struct *task,
					 unsigned int fd)
{
#if defined(HAVE_FGET_TASK_NEXT) || defined(HAVE_TASK_LOOKUP_NEXT)
	unsigned int found = fd;
	struct file *file;

#ifdef HAVE_FGET_TASK_NEXT
	file = fget_task_next(task, &found);
#else
	rcu_read_lock();
	file = task_lookup_next_fdget_rcu(task, &found);
	rcu_read_unlock();
#endif
	if (!file || found == fd)
		return file;
	io2_file_put(file);
	return NULL;
#else
	struct file *file;

	while (!io2_fget_slot(task, fd, &file))
		io2_file_put(file);
	return file;
#endif
}

/* since 6.11 kiocb_set_rw_flags() takes the direction, READ or WRITE */
static inline int io2_kiocb_set_rw_flags(struct kiocb *kiocb, rwf_t flags,
					 int type)
{
#ifdef HAVE_RW_FLAGS_TYPE
	return kiocb_set_rw_flags(kiocb, flags, type);
#else
	return kiocb_set_rw_flags(kiocb, flags);
#endif
}

/* since 6.0 a file has its default kiocb flags */
#ifdef HAVE_F_IOCB_FLAGS
#define io2_iocb_flags(file)	((file)->f_iocb_flags)
#else
#define io2_iocb_flags(file)	iocb_flags(file)
#endif

/* since 6.2 any direct I/O takes its bios from a cache; before, only polled I/O */
#if defined(IOCB_ALLOC_CACHE) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define IO2_IOCB_CACHED		IOCB_ALLOC_CACHE
#else
#define IO2_IOCB_CACHED		0
#endif

/*
 * Initialises all fields but position and completion, which the caller sets.
 * The fields after the pointers differ between kernels. Clearing only these
 * costs less than clearing the whole kiocb.
 */
static inline void io2_kiocb_init(struct kiocb *kiocb, struct file *file)
{
	size_t rest = offsetof(struct kiocb, ki_flags);

	if (rest != sizeof(kiocb->ki_filp) + sizeof(kiocb->ki_pos) +
		    sizeof(kiocb->ki_complete) + sizeof(kiocb->private))
		rest = 0;	/* randomised layout */
	memset((char *)kiocb + rest, 0, sizeof(*kiocb) - rest);
	kiocb->ki_filp = file;
	kiocb->private = NULL;
	kiocb->ki_flags = io2_iocb_flags(file) | IO2_IOCB_CACHED;
#ifdef HAVE_KI_HINT
	kiocb->ki_hint = ki_hint_validate(file_write_hint(file));
#endif
}

/*
 * Since 6.16 a write may name a write stream of its device. On older kernels,
 * which have none, it gets the result that a device without streams gives.
 */
static inline int io2_kiocb_set_write_stream(struct kiocb *kiocb, u8 stream)
{
#ifdef HAVE_KI_WRITE_STREAM
	kiocb->ki_write_stream = stream;
	return 0;
#else
	const struct inode *inode = file_inode(kiocb->ki_filp);

	if (!(kiocb->ki_flags & IOCB_DIRECT))
		return 0;
	return S_ISBLK(inode->i_mode) ||
	       inode->i_sb->s_magic == F2FS_SUPER_MAGIC ? -EINVAL : 0;
#endif
}

#define IO2_IOPRIO_LEVEL	7	/* the bits of an I/O priority's level */

/* since 6.5 an I/O priority may have a hint; older kernels have other levels there */
static inline u16 io2_ioprio(u16 ioprio)
{
#ifdef IOPRIO_HINT_SHIFT
	return ioprio;
#else
	return IOPRIO_PRIO_VALUE(IOPRIO_PRIO_CLASS(ioprio),
				 (ioprio & IO2_IOPRIO_LEVEL));
#endif
}

/* since 6.18 a flag suppresses SIGPIPE */
static inline bool io2_kiocb_is_silent(const struct kiocb *kiocb)
{
#ifdef IOCB_NOSIGNAL
	return kiocb->ki_flags & IOCB_NOSIGNAL;
#else
	return false;
#endif
}

/* since 5.16 a plug allocates tags for up to this many requests at once */
#define IO2_PLUG_IOS_MAX	32

static inline void io2_start_plug(struct blk_plug *plug, unsigned int nr_ios)
{
	blk_start_plug(plug);
#ifdef HAVE_PLUG_NR_IOS
	plug->nr_ios = min_t(unsigned int, nr_ios, IO2_PLUG_IOS_MAX);
#endif
}

/*
 * Since 6.0 there is a cheaper iterator for a single segment. Some character
 * drivers support it only since 6.4, when read(2) began to use it.
 */
static inline void io2_iter_ubuf(struct iov_iter *iter, unsigned int dir,
				 const struct iovec *iov, size_t len,
				 size_t skip, const struct file *file)
{
#ifdef HAVE_ITER_UBUF
#ifndef HAVE_IMPORT_UBUF
	if (S_ISCHR(file_inode(file)->i_mode)) {
		iov_iter_init(iter, dir, iov, 1, len);
		iov_iter_advance(iter, skip);
		return;
	}
#endif
	iov_iter_ubuf(iter, dir, iov->iov_base + skip, len - skip);
#else
	iov_iter_init(iter, dir, iov, 1, len);
	if (skip)
		iov_iter_advance(iter, skip);
#endif
}

/*
 * Reads with the checks of read(2). The file is open for reading and has a
 * read_iter. Since 5.18 a function with these checks, but without those of the
 * file's mode, is exported.
 */
static inline ssize_t io2_read_iter(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct file *file = kiocb->ki_filp;
#ifdef HAVE_RW_VERIFY_AREA
	ssize_t ret;

	ret = rw_verify_area(READ, file, &kiocb->ki_pos, iov_iter_count(iter));
	if (ret < 0)
		return ret;
	ret = file->f_op->read_iter(kiocb, iter);
	if (ret > 0)
		fsnotify_access(file);
	return ret;
#else
	/* vfs_iocb_iter_read() skips empty reads, which some files refuse */
	if (!iov_iter_count(iter))
		return file->f_op->read_iter(kiocb, iter);
	return vfs_iocb_iter_read(file, kiocb, iter);
#endif
}

/* since 5.16 a completion has no second result */
#ifdef HAVE_KI_COMPLETE_2
#define IO2_KI_COMPLETE_ARGS	struct kiocb *kiocb, long res
#else
#define IO2_KI_COMPLETE_ARGS	struct kiocb *kiocb, long res, long res2
#endif

/* newer kernels make an inode for each ring, which a security module can label */
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
 * Does a regular file support buffered writes with IOCB_NOWAIT? Since 6.10 a
 * flag of the file operations says so, since 6.0 one of the file; before, no
 * file does.
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

/* since 5.18 the kinds of housekeeping are numbers, and no flags any more */
#ifdef HAVE_HK_TYPE
#define IO2_HK(kind)	HK_TYPE_##kind
#else
#define IO2_HK(kind)	HK_FLAG_##kind
#endif

/* The CPUs of a kernel thread that is not bound to any. */
static inline void io2_kthread_cpus(struct cpumask *mask)
{
	/* since 7.0 an administrator can change them at any time */
	rcu_read_lock();
	cpumask_copy(mask, housekeeping_cpumask(IO2_HK(KTHREAD)));
	rcu_read_unlock();
}

/*
 * Are kernel threads and others kept away from this CPU? Some kernels tell apart
 * CPUs that were isolated at boot and those of an isolated partition.
 */
static inline bool io2_cpu_is_isolated(int cpu)
{
	bool isolated;

	rcu_read_lock();
	isolated = !housekeeping_cpu(cpu, IO2_HK(DOMAIN)) ||
		   !housekeeping_cpu(cpu, IO2_HK(KTHREAD));
	rcu_read_unlock();
#ifdef HAVE_CPUSET_CPU_IS_ISOLATED
	isolated = isolated || cpuset_cpu_is_isolated(cpu);
#endif
	return isolated;
}

/* since 6.4 the sections of a module are in an array */
#ifdef HAVE_MODULE_MEM
#define io2_module_text(mod)		((mod)->mem[MOD_TEXT].base)
#define io2_module_text_size(mod)	((mod)->mem[MOD_TEXT].size)
#else
#define io2_module_text(mod)		((mod)->core_layout.base)
#define io2_module_text_size(mod)	((mod)->core_layout.text_size)
#endif

/*
 * Since 6.8 a module can pass EPOLL_URING_WAKE when it signals an eventfd, which
 * tells the waiters that a ring has woken them.
 */
#ifdef HAVE_EVENTFD_SIGNAL_MASK
static inline void io2_compat_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal_mask(ctx, EPOLL_URING_WAKE);
}

static inline bool io2_woken_by_ring(__poll_t mask)
{
	return mask & EPOLL_URING_WAKE;
}
#else
void io2_compat_signal(struct eventfd_ctx *ctx);
bool io2_woken_by_ring(__poll_t mask);
#endif

bool io2_pages_writable(struct page **pages, unsigned int nr);
int io2_compat_verify_area(int dir, struct file *file, loff_t *ppos,
			   size_t count);
ssize_t io2_compat_write_iter(struct kiocb *kiocb, struct iov_iter *iter);

#endif
