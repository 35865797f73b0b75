// SPDX-License-Identifier: GPL-2.0-only
/*
 * The opcodes READ, WRITE, READV and WRITEV.
 *
 * The iterator is built from the segments before each attempt. So it does not
 * matter how far an earlier attempt has advanced it.
 */
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/pkeys.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "defer.h"
#include "file.h"
#include "hash.h"
#include "memory.h"
#include "nudge.h"
#include "ops.h"
#include "reqmem.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

/**
 * struct rw_args - arguments of READ, WRITE, READV and WRITEV
 * @base: the buffer, if @nr_segs is 1
 * @iov: the segments, if @nr_segs is not 1; NULL if it is 0
 * @pos: where to start, -1 for the file's position
 * @total: bytes requested; at most MAX_RW_COUNT
 * @done: bytes transferred by earlier attempts
 * @rw_flags: RWF_*
 * @nr_segs: number of segments; at most UIO_MAXIOV
 * @ioprio: I/O priority; 0 for that of the task or worker that starts the I/O
 * @write_stream: write stream of the device; 0 for none. Not used by reads
 *
 * Lifetime: that of the request. Attempts and polls do not reuse its memory.
 * Only @done changes after prep; the owner of the request writes it.
 */
struct rw_args {
	union {
		void __user		*base;
		struct iovec		*iov;
	};
	loff_t			pos;
	u32			total;
	u32			done;
	u32			rw_flags;
	u16			nr_segs;
	u16			ioprio;
	u8			write_stream;
};

static __always_inline struct rw_args *rw_args(const struct io2_req *req)
{
	return io2_args(req, struct rw_args);
}

/* --- reading the SQE ---------------------------------------------------- */

static bool req_is_write(const struct io2_req *req)
{
	return io2_req_op(req)->pollout;
}

static int req_dir(const struct io2_req *req)
{
	return req_is_write(req) ? ITER_SOURCE : ITER_DEST;
}

/* Applies the rules of ioprio_set(2) of 7.x, which accepts any hint. */
static int rw_check_ioprio(u16 ioprio)
{
	switch (IOPRIO_PRIO_CLASS(ioprio)) {
	case IOPRIO_CLASS_RT:
		if (!capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
			return -EPERM;
		return 0;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return ioprio & IO2_IOPRIO_LEVEL ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int rw_prep_common(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct rw_args *rw = rw_args(req);

	rw->pos = sqe->off;
	rw->rw_flags = (__force u32)sqe->rw_flags;
	rw->ioprio = io2_ioprio(sqe->ioprio);
	rw->write_stream = sqe->write_stream;
	rw->done = 0;
	if (rw->rw_flags & (__force u32)RWF_NOWAIT)
		req->flags |= REQ_F_NOWAIT;
	return sqe->ioprio ? rw_check_ioprio(sqe->ioprio) : 0;
}

/**
 * io2_rw_prep() - read a READ or WRITE
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0, -EFAULT, -EINVAL or -EPERM.
 */
int io2_rw_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct rw_args *rw = rw_args(req);
	int ret = rw_prep_common(req, sqe);

	if (ret)
		return ret;
	rw->base = u64_to_user_ptr(sqe->addr);
	rw->total = min_t(u32, sqe->len, MAX_RW_COUNT);
	rw->nr_segs = 1;
	return access_ok(rw->base, rw->total) ? 0 : -EFAULT;
}

/**
 * io2_rwv_prep() - read a READV or WRITEV
 * @req: the request
 * @sqe: stable copy
 *
 * The segments are read now, as the application may reuse them.
 *
 * Return: 0, -EFAULT, -EINVAL, -ENOMEM or -EPERM.
 */
int io2_rwv_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct rw_args *rw = rw_args(req);
	unsigned int nr = sqe->len;
	struct iovec one = {}, *iov = &one;
	struct iov_iter iter;
	ssize_t ret;

	ret = rw_prep_common(req, sqe);
	if (ret)
		return ret;
	if (nr > UIO_MAXIOV)
		return -EINVAL;
	rw->iov = NULL;
	if (nr > 1) {
		iov = kmalloc_array(nr, sizeof(*iov), GFP_KERNEL_ACCOUNT);
		if (!iov)
			return -ENOMEM;
		rw->iov = iov;
		req->flags |= REQ_F_DATA;
	}
	rw->nr_segs = nr;
	/* our array is large enough, so import_iovec() does not allocate one */
	ret = import_iovec(req_dir(req), u64_to_user_ptr(sqe->addr), nr,
			   max_t(unsigned int, nr, 1), &iov, &iter);
	if (ret < 0)
		return ret;
	if (nr == 1)
		rw->base = one.iov_base;
	rw->total = iov_iter_count(&iter);
	return 0;
}

/**
 * io2_rw_cleanup() - free the segments
 * @req: a request with REQ_F_DATA
 */
void io2_rw_cleanup(struct io2_req *req)
{
	kfree(rw_args(req)->iov);
}

/* --- result ------------------------------------------------------------- */

/* Moves the file's position after a transfer; see rw_set_pos(). */
static __always_inline void rw_move_pos(struct io2_req *req)
{
	if (req->flags & REQ_F_CUR_POS) {
		/* other users of the file may move it, too */
		data_race(req->file->f_pos = req->io.kiocb.ki_pos);
	}
}

/* Sets the result, including the bytes that earlier attempts transferred. */
static enum io2_issue rw_finish(struct io2_req *req, ssize_t ret)
{
	struct rw_args *rw = rw_args(req);

	if (ret > 0)
		rw_move_pos(req);
	if (ret >= 0)
		ret += rw->done;
	else if (rw->done)
		ret = rw->done;
	if (unlikely(ret < (ssize_t)rw->total)) {
		req->flags |= REQ_F_FAIL;
		ret = io2_worker_result(req, ret);
	}
	return io2_req_set(req, ret);
}

/* Notifies fsnotify of an asynchronous I/O that has ended; now in task context. */
static __always_inline void rw_end_io(struct io2_req *req)
{
	if (req->res > 0) {
		if (req_is_write(req))
			fsnotify_modify(req->file);
		else
			fsnotify_access(req->file);
	}
}

/*
 * Return: true if the request must be tried again: the attempt had an
 * IOCB_NOWAIT of ours, and the device ran out of tags, or cannot work without
 * blocking. Nothing was transferred.
 */
static bool rw_refused(struct io2_req *req)
{
	if (req->res != -EAGAIN && req->res != -EOPNOTSUPP)
		return false;
	if ((req->flags & REQ_F_NOWAIT) ||
	    !(req->io.kiocb.ki_flags & IOCB_NOWAIT))
		return false;
	req->res = rw_args(req)->done;
	return true;
}

static void rw_run(struct io2_req *req, struct io2_batch *b)
{
	io2_assert(atomic_read(&req->io.parts) ==
		   (IO2_IO_RETURNED | IO2_IO_ENDED));
	rw_end_io(req);
	if (rw_refused(req)) {
		/* do not poll: it is not data that is missing */
		req->flags |= REQ_F_POLLED;
		io2_req_go(req, b, io2_req_where(req, IO2_STAGE_AGAIN, b->ctx));
		return;
	}
	rw_finish(req, req->res);
	io2_req_complete(req, b);
}

/*
 * An asynchronous I/O may end before ->read_iter or ->write_iter returns, and
 * these may look at the kiocb until they return. The second one to set its bit
 * goes on with the request.
 */
static bool rw_is_second(struct io2_req *req, int part)
{
	return atomic_fetch_or(part, &req->io.parts);
}

static void rw_complete(IO2_KI_COMPLETE_ARGS)
{
	struct io2_req *req = container_of(kiocb, struct io2_req, io.kiocb);

	/* at once: the context that would run rw_run() may wait for a frozen fs */
	if (req->flags & REQ_F_WRITE_STARTED) {
		req->flags &= ~REQ_F_WRITE_STARTED;
		kiocb_end_write(kiocb);
	}
	req->res = res;
	if (rw_is_second(req, IO2_IO_ENDED))
		io2_defer_lazy(req);
}

/* An asynchronous I/O has ended before the method of the file returned. */
static __always_inline enum io2_issue rw_ended_early(struct io2_req *req,
						     unsigned int flags)
{
	rw_end_io(req);
	if ((flags & IO2_NONBLOCK) && rw_refused(req)) {
		req->flags |= REQ_F_POLLED;
		return IO2_AGAIN;
	}
	return rw_finish(req, req->res);
}

/* The file has started an asynchronous I/O, which may have ended by now. */
static __always_inline enum io2_issue rw_started(struct io2_req *req,
						 unsigned int flags)
{
	/* acquire: then the other side has no more use for the request */
	if (atomic_read_acquire(&req->io.parts))
		return rw_ended_early(req, flags);
	/* track it: close waits for it, a retry needs @sub */
	io2_req_track(req);
	if (!rw_is_second(req, IO2_IO_RETURNED))
		return IO2_QUEUED;
	return rw_ended_early(req, flags);
}

/* --- one attempt -------------------------------------------------------- */

static __always_inline int rw_init_kiocb(struct io2_req *req,
					 unsigned int flags, bool write)
{
	struct rw_args *rw = rw_args(req);
	struct kiocb *kiocb = &req->io.kiocb;
	struct file *file = req->file;
	int ret;

	io2_kiocb_init(kiocb, file);
	kiocb->ki_complete = rw_complete;
	kiocb->ki_ioprio = rw->ioprio;
	/* only direct I/O uses it */
	if (!rw->ioprio && (kiocb->ki_flags & IOCB_DIRECT))
		kiocb->ki_ioprio = get_current_ioprio();
	if (rw->rw_flags) {
		ret = io2_kiocb_set_rw_flags(kiocb, (__force rwf_t)rw->rw_flags,
					     write ? WRITE : READ);
		if (ret)
			return ret;
	}
	if (kiocb->ki_flags & IOCB_HIPRI)
		return -EINVAL;
	/* overlayfs releases its freeze count only if this is set */
	if (write)
		kiocb->ki_flags |= IOCB_WRITE;
	if (write && unlikely(rw->write_stream)) {
		ret = io2_kiocb_set_write_stream(kiocb, rw->write_stream);
		if (ret)
			return ret;
	}
	if (kiocb->ki_flags & IOCB_NOWAIT)
		req->flags |= REQ_F_NOWAIT;
	if (flags & IO2_NONBLOCK)
		kiocb->ki_flags |= IOCB_NOWAIT;
	return 0;
}

/*
 * I/O at the file's position. It races with other I/O that moves the position,
 * for example read(2), as it does in io_uring: f_pos_lock cannot be held until
 * an asynchronous request ends. The position is one word, so it is never torn.
 */
static void rw_set_pos(struct io2_req *req)
{
	struct kiocb *kiocb = &req->io.kiocb;
	const struct rw_args *rw = rw_args(req);

	if (rw->pos != -1) {
		kiocb->ki_pos = rw->pos + rw->done;
	} else if (req->file->f_mode & FMODE_STREAM) {
		kiocb->ki_pos = 0;
	} else {
		req->flags |= REQ_F_CUR_POS;
		/* a race in the application, see above */
		kiocb->ki_pos = data_race(req->file->f_pos);
	}
}

/* Records progress, which is not lost if the rest of the request fails. */
static void rw_progress(struct io2_req *req, ssize_t ret)
{
	struct rw_args *rw = rw_args(req);

	rw->done += ret;
	req->res = rw->done;
	req->flags |= REQ_F_PARTIAL;
	rw_move_pos(req);
}

/* Return: the segments as requested; @one receives a single one. */
static __always_inline const struct iovec *rw_iov(const struct rw_args *rw,
						  struct iovec *one)
{
	if (rw->nr_segs != 1)
		return rw->iov;
	one->iov_base = rw->base;
	one->iov_len = rw->total;
	return one;
}

/* Builds the iterator. It refers to @one, which must live as long. */
static __always_inline void rw_set_iter(const struct io2_req *req,
					struct iov_iter *iter,
					struct iovec *one, bool write)
{
	const struct rw_args *rw = rw_args(req);
	const struct iovec *iov = rw_iov(rw, one);
	unsigned int dir = write ? ITER_SOURCE : ITER_DEST;

	if (rw->nr_segs == 1) {
		io2_iter_ubuf(iter, dir, iov, rw->total, rw->done, req->file);
		return;
	}
	iov_iter_init(iter, dir, iov, rw->nr_segs, rw->total);
	if (rw->done)
		iov_iter_advance(iter, rw->done);
}

/* --- memory with a protection key ----------------------------------------- */

#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS

/* Has the process allocated a protection key? Key 0 always exists. */
static bool mm_has_pkeys(const struct mm_struct *mm)
{
	return READ_ONCE(mm->context.pkey_allocation_map) & ~1;
}

static bool range_has_pkey(struct mm_struct *mm, const struct iovec *iov)
{
	unsigned long start = (unsigned long)iov->iov_base;
	unsigned long end = start + iov->iov_len;
	struct vm_area_struct *vma;

	for (vma = find_vma(mm, start); vma && vma->vm_start < end;
	     vma = find_vma(mm, vma->vm_end))
		if (vma_pkey(vma))
			return true;
	return false;
}

/*
 * Another thread may hold mmap_lock without bound. Only the process itself
 * waits for it.
 */
static bool rw_lock_mm(struct mm_struct *mm)
{
	if (mmap_read_trylock(mm))
		return true;
	return current->mm == mm && !(current->flags & PF_KTHREAD) &&
	       !mmap_read_lock_killable(mm);
}

static noinline bool rw_has_pkey(const struct io2_req *req,
				 struct mm_struct *mm)
{
	const struct iovec *iov;
	struct iovec one;
	unsigned int i;
	bool has;

	if (!mmget_not_zero(mm))
		return false;
	/* without the lock: true, as the submitter may do it in any case */
	has = true;
	if (!rw_lock_mm(mm))
		goto out;
	iov = rw_iov(rw_args(req), &one);
	for (i = 0, has = false; i < rw_args(req)->nr_segs && !has; i++)
		has = range_has_pkey(mm, &iov[i]);
	mmap_read_unlock(mm);
out:
	if (req->sub)
		io2_submitter_put_mm(req->sub);
	else
		mmput(mm);
	return has;
}

/**
 * io2_rw_is_personal() - may only the submitter touch a request's memory?
 * @req: the request; tracked, or current is its submitter
 *
 * Access rights to protection keys are in a register of each thread. A kernel
 * thread's register denies access to every key other than 0.
 *
 * Context: task context, may sleep.
 * Return: true if some of the memory has a protection key.
 */
bool io2_rw_is_personal(const struct io2_req *req)
{
	struct mm_struct *mm = req->sub ? req->sub->mm : current->mm;

	return unlikely(mm_has_pkeys(mm)) && rw_has_pkey(req, mm);
}

#else

bool io2_rw_is_personal(const struct io2_req *req)
{
	return false;
}

#endif

/* A function of its own: the fast path needs no stack. */
static noinline bool rw_needs_task(const struct io2_req *req, bool write)
{
	const struct rw_args *rw = rw_args(req);
	struct iovec one;

	return io2_memory_needs_task(rw_iov(rw, &one), rw->nr_segs, write);
}

/**
 * io2_rw_needs_task() - would a page fault ask current for more than its mm?
 * @req: the request
 *
 * Context: kernel thread that has borrowed the submitter's mm; may sleep.
 * Return: true if a task of the submitting process must touch the memory.
 */
bool io2_rw_needs_task(const struct io2_req *req)
{
	const struct rw_args *rw = rw_args(req);
	bool write = !req_is_write(req);	/* to memory */

	if (!write && rw->nr_segs == 1 &&
	    io2_memory_is_present(rw->base, rw->total))
		return false;
	return rw_needs_task(req, write);
}

/*
 * A worker has the resource limits of a kernel thread. Applies the submitter's
 * file size limit instead, and sends SIGXFSZ to its process.
 */
static int rw_check_fsize(struct io2_req *req, struct iov_iter *iter)
{
	struct kiocb *kiocb = &req->io.kiocb;
	struct inode *inode = file_inode(req->file);
	loff_t pos = kiocb->ki_pos;
	loff_t limit = req->sub->fsize;

	if (req->sub->fsize == RLIM_INFINITY || !S_ISREG(inode->i_mode))
		return 0;
	/* an empty write exceeds no limit */
	if (!iov_iter_count(iter))
		return 0;
	if (kiocb->ki_flags & IOCB_APPEND)
		pos = i_size_read(inode);
	if (pos >= limit) {
		io2_submitter_signal(req->sub, SIGXFSZ);
		return -EFBIG;
	}
	iov_iter_truncate(iter, limit - pos);
	return 0;
}

/* Return: where the position is, or NULL for a file without one. */
static loff_t *rw_ppos(struct io2_req *req)
{
	return req->file->f_mode & FMODE_STREAM ? NULL : &req->io.kiocb.ki_pos;
}

/*
 * Does the checks of read(2) and write(2). Must be called before the freeze
 * count is taken, see verify_write() in compat.c.
 */
static int rw_verify(struct io2_req *req, bool write)
{
	return io2_compat_verify_area(write ? WRITE : READ, req->file,
				      rw_ppos(req),
				      rw_args(req)->total - rw_args(req)->done);
}

/*
 * Calls ->read or ->write, which take one segment at a time, and neither an
 * iterator nor IOCB_NOWAIT.
 */
static ssize_t rw_loop(struct io2_req *req, bool write)
{
	const struct rw_args *rw = rw_args(req);
	struct file *file = req->file;
	loff_t *ppos = rw_ppos(req);
	const struct iovec *iov;
	struct iovec one;
	size_t skip = rw->done;
	ssize_t ret, sum = 0;
	unsigned int i;

	iov = rw_iov(rw, &one);
	for (i = 0; i < rw->nr_segs; i++) {
		char __user *base = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		if (skip >= len && rw->total) {
			skip -= len;
			continue;
		}
		base += skip;
		len -= skip;
		skip = 0;
		ret = write ? file->f_op->write(file, base, len, ppos) :
			      file->f_op->read(file, base, len, ppos);
		if (ret < 0 && !sum)
			return ret;
		if (ret < 0)
			break;
		sum += ret;
		if (ret != len)
			break;
	}
	if (sum > 0 && write)
		fsnotify_modify(file);
	else if (sum > 0)
		fsnotify_access(file);
	return sum;
}

/*
 * Some devices behave differently in ->read, for read(2), and ->read_iter, for
 * readv(2). Files of a known kind do not; they have both for speed.
 */
static __always_inline bool rw_has_own_read(const struct io2_req *req)
{
	const struct file *file = req->file;

	return unlikely(file->f_op->read) && rw_args(req)->nr_segs == 1 &&
	       !io2_file_kind(file);
}

static __always_inline bool rw_has_own_write(const struct io2_req *req)
{
	const struct file *file = req->file;

	return unlikely(file->f_op->write) && rw_args(req)->nr_segs == 1 &&
	       !io2_file_kind(file);
}

static __always_inline ssize_t rw_call_read(struct io2_req *req,
					    struct iov_iter *iter,
					    unsigned int flags)
{
	struct file *file = req->file;
	int ret;

	/* readv(2) of zero bytes does not call the file, but read(2) does */
	if (!rw_args(req)->total && rw_args(req)->nr_segs != 1)
		return 0;
	if (file->f_op->read_iter && !rw_has_own_read(req))
		return io2_read_iter(&req->io.kiocb, iter);
	if ((flags & IO2_NONBLOCK) && !(file->f_flags & O_NONBLOCK))
		return -EAGAIN;
	ret = rw_verify(req, false);
	return ret ? ret : rw_loop(req, false);
}

static ssize_t rw_call_write(struct io2_req *req, struct iov_iter *iter,
			     unsigned int flags)
{
	struct file *file = req->file;
	ssize_t ret;

	/* writev(2) of zero bytes does not call the file, but write(2) does */
	if (!rw_args(req)->total && rw_args(req)->nr_segs != 1)
		return 0;
	if (file->f_op->write_iter && !rw_has_own_write(req)) {
		if (S_ISREG(file_inode(file)->i_mode))
			req->flags |= REQ_F_WRITE_STARTED;
		ret = io2_compat_write_iter(&req->io.kiocb, iter);
		if (ret != -EIOCBQUEUED)
			req->flags &= ~REQ_F_WRITE_STARTED;
		return ret;
	}
	if ((flags & IO2_NONBLOCK) && !(file->f_flags & O_NONBLOCK))
		return -EAGAIN;
	ret = rw_verify(req, true);
	if (ret)
		return ret;
	/* takes the freeze count of regular files only */
	file_start_write(file);
	ret = rw_loop(req, true);
	file_end_write(file);
	return ret;
}

static __always_inline ssize_t rw_attempt(struct io2_req *req,
					  unsigned int flags, bool write)
{
	struct iov_iter iter;
	struct iovec one;
	int ret;

	ret = rw_init_kiocb(req, flags, write);
	if (ret)
		return ret;
	rw_set_pos(req);
	rw_set_iter(req, &iter, &one, write);
	if (write && io2_flags_ctx(flags) == IO2_CTX_WORKER) {
		ret = rw_check_fsize(req, &iter);
		if (ret)
			return ret;
	}
	req->run = rw_run;
	atomic_set(&req->io.parts, 0);
	return write ? rw_call_write(req, &iter, flags) :
		       rw_call_read(req, &iter, flags);
}

/*
 * Has a write reached a limit? Then the rest cannot be written, and the request
 * ends with the bytes written so far.
 */
static bool rw_is_at_limit(const struct io2_req *req)
{
	struct inode *inode = file_inode(req->file);
	loff_t pos = req->io.kiocb.ki_pos;
	unsigned long fsize = req->sub ? req->sub->fsize :
					 rlimit(RLIMIT_FSIZE);

	return S_ISREG(inode->i_mode) &&
	       (pos >= inode->i_sb->s_maxbytes ||
		(fsize != RLIM_INFINITY && pos >= fsize));
}

/*
 * A short non-blocking attempt is not the result yet: a regular file or block
 * device transferred only what was possible without blocking, or /dev/zero
 * returned early to let another task run. A blocking attempt is the result.
 */
static bool rw_wants_all(const struct io2_req *req, unsigned int flags)
{
	return (flags & IO2_NONBLOCK) &&
	       (io2_file_is_data(req->file) ||
		(io2_file_kind(req->file) & IO2_KIND_ENDLESS));
}

/*
 * tmpfs does not support IOCB_NOWAIT, but its data is in memory. A page that
 * was swapped out is waited for, as it is when the application touches its own
 * memory.
 */
static bool rw_is_memory(const struct file *file)
{
	return file_inode(file)->i_sb->s_magic == TMPFS_MAGIC &&
	       S_ISREG(file_inode(file)->i_mode);
}

/*
 * May this attempt call the file? If it may not block, the file must support
 * that. With RWF_NOWAIT the file decides itself.
 */
static __always_inline bool rw_may_try(const struct io2_req *req,
				       unsigned int flags, bool write)
{
	const struct file *file = req->file;

	if (!(flags & IO2_NONBLOCK) ||
	    (rw_args(req)->rw_flags & (__force u32)RWF_NOWAIT))
		return true;
	if (!write)
		return io2_file_nowait(file) || rw_is_memory(file);
	if (!io2_file_nowait(file))
		return false;
	return (file->f_flags & O_DIRECT) ||
	       !S_ISREG(file_inode(file)->i_mode) ||
	       io2_file_nowait_buffered_write(file);
}

/*
 * A file without the mode or the method fails at once: the request does not
 * wait.
 */
static int rw_check_mode(const struct file *file, bool write)
{
	if (!(file->f_mode & (write ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;
	if (!(file->f_mode & (write ? FMODE_CAN_WRITE : FMODE_CAN_READ)))
		return -EINVAL;
	return 0;
}

static bool rw_would_block(struct io2_req *req, ssize_t ret,
			   unsigned int flags)
{
	if (req->flags & REQ_F_NOWAIT)
		return false;
	if (!(flags & IO2_NONBLOCK))
		return ret < 0 && (flags & IO2_BREAKABLE) && io2_is_broken(ret);
	if (ret != -EOPNOTSUPP)
		return ret == -EAGAIN;
	/* the file does not support these RWF flags */
	if (!(req->io.kiocb.ki_flags & IOCB_NOWAIT))
		return false;
	/* our IOCB_NOWAIT was refused, so polling the file is no use */
	req->flags |= REQ_F_POLLED;
	return true;
}

/*
 * Whether the write ended because there is no reader. A pipe that loses its
 * reader during a blocking write returns a short count.
 */
static bool rw_is_broken_pipe(const struct io2_req *req, ssize_t ret)
{
	if (ret == -EPIPE)
		return io2_file_raises_sigpipe(req->file) &&
		       !io2_kiocb_is_silent(&req->io.kiocb);
	return ret >= 0 && rw_args(req)->done + ret < rw_args(req)->total &&
	       io2_pipe_has_no_reader(req->file);
}

/*
 * A write to a pipe or stream without a reader raises SIGPIPE. In a worker, it
 * must be sent to the submitting process.
 */
static void rw_tell_broken_pipe(struct io2_req *req, ssize_t ret,
				unsigned int flags)
{
	if (unlikely(io2_flags_ctx(flags) == IO2_CTX_WORKER) &&
	    rw_is_broken_pipe(req, ret))
		io2_submitter_signal(req->sub, SIGPIPE);
}

/*
 * Return: true if a write was cut short only because its time in ENTER was
 * over. After a signal or a cancellation the bytes written are the result
 * instead, as in write(2).
 */
static bool rw_was_cut(const struct io2_req *req, ssize_t ret,
		       unsigned int flags)
{
	if (!(flags & IO2_BREAKABLE) || ret <= 0 ||
	    rw_args(req)->done + ret >= rw_args(req)->total || !signal_pending(current))
		return false;
	io2_unnudge();
	return !signal_pending(current) && !io2_req_was_interrupted(req);
}

static __always_inline enum io2_issue rw_issue(struct io2_req *req,
					       unsigned int flags, bool write)
{
	struct rw_args *rw = rw_args(req);
	ssize_t ret;

	ret = rw_check_mode(req->file, write);
	if (unlikely(rw->pos < -1))
		ret = ret ? : -EINVAL;
	if (ret)
		return io2_req_set(req, ret);
	if (!rw_may_try(req, flags, write))
		return IO2_AGAIN;
	for (;;) {
		ret = rw_attempt(req, flags, write);
		if (ret == -EIOCBQUEUED)
			return rw_started(req, flags);
		if (rw_would_block(req, ret, flags))
			return IO2_AGAIN;
		if (write && rw_was_cut(req, ret, flags)) {
			rw_progress(req, ret);
			return IO2_AGAIN;
		}
		if (write)
			rw_tell_broken_pipe(req, ret, flags);
		if (ret <= 0 || rw->done + ret >= rw->total ||
		    (req->flags & REQ_F_NOWAIT) || !rw_wants_all(req, flags) ||
		    (write && rw_is_at_limit(req)))
			return rw_finish(req, ret);
		rw_progress(req, ret);
		if (fatal_signal_pending(current))
			return rw_finish(req, -EINTR);
	}
}

/**
 * io2_read_issue() - do a READ or READV
 * @req: the request
 * @flags: IO2_NONBLOCK, IO2_BREAKABLE, and the context of the caller
 *
 * Return: IO2_DONE, IO2_QUEUED or IO2_AGAIN.
 */
enum io2_issue io2_read_issue(struct io2_req *req, unsigned int flags)
{
	return rw_issue(req, flags, false);
}

/**
 * io2_write_issue() - do a WRITE or WRITEV
 * @req: the request
 * @flags: IO2_NONBLOCK, IO2_BREAKABLE, and the context of the caller
 *
 * Return: IO2_DONE, IO2_QUEUED or IO2_AGAIN.
 */
enum io2_issue io2_write_issue(struct io2_req *req, unsigned int flags)
{
	return rw_issue(req, flags, true);
}
