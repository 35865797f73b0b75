// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings of a ring: how a process gets one, how a debugger reads it, and
 * what follows from its end. region.c has the memory that is mapped.
 */
#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "cancel.h"
#include "deferred.h"
#include "mmap.h"
#include "param.h"
#include "region.h"
#include "ring.h"
#include "rings.h"
#include "submitter.h"
#include "watch.h"

#define MM_GONE_ROUNDS	100	/* rounds of cancelling requests that cancelled ones have started */

/**
 * struct mmap_area - the memory at an offset
 * @shm: the memory
 * @first: its first region
 * @nr: the number of regions, which are mapped one after the other
 *
 * Lifetime: on the stack. Nothing else has access, so no lock is needed.
 */
struct mmap_area {
	struct io2_shm	*shm;
	unsigned int	first;
	unsigned int	nr;
};

/*
 * Finds the memory that is mapped at @off, which the caller gets a reference to.
 * Return: false if there is none.
 */
static bool mmap_find(struct mmap_area *a, const struct io2_ring *ring, u64 off)
{
	switch (off) {
	case IOURING2_OFF_SQ_RING:
	case IOURING2_OFF_CQ_RING:
		a->shm = io2_rings_shm(ring);
		a->first = IO2_RINGS_HEAD;
		a->nr = 2;
		return true;
	case IOURING2_OFF_SQES:
		a->shm = io2_rings_shm(ring);
		a->first = IO2_RINGS_SQES;
		a->nr = 1;
		return true;
	case IO2_OFF_PARAM_REGION:
		a->shm = io2_param_shm(ring);
		a->first = 0;
		a->nr = 1;
		return a->shm;
	default:
		return false;
	}
}

/*
 * For debuggers. The memory is mapped by frame number, so they find no pages in
 * it. A region of parameters may be larger than the distance between offsets.
 */
static int mmap_access(struct vm_area_struct *vma, unsigned long addr,
		       void *buf, int len, int write)
{
	u64 off = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	const struct io2_ring *ring = vma->vm_file->private_data;
	const struct io2_shm *shm = vma->vm_private_data;
	unsigned int first = IO2_RINGS_HEAD, nr = 2;

	if (shm == READ_ONCE(ring->param)) {
		off -= IO2_OFF_PARAM_REGION;
		nr = 1;
	} else if (off >= IOURING2_OFF_SQES) {
		off -= IOURING2_OFF_SQES;
		first = IO2_RINGS_SQES;
		nr = 1;
	} else if (off >= IOURING2_OFF_CQ_RING) {
		off -= IOURING2_OFF_CQ_RING;
	}
	len = min_t(unsigned long, len, vma->vm_end - addr);
	return io2_regions_access(shm->region + first, nr, off, buf, len, write);
}

/*
 * Ends the requests of a program that was replaced. Its @mm has no users any
 * more.
 *
 * A request that another context is running at this moment is left to that
 * context. No worker is running one: it would be a user of the mm.
 */
static void mmap_program_gone(struct io2_ring *ring, struct mm_struct *mm)
{
	unsigned int rounds = MM_GONE_ROUNDS;
	bool left = false;

	while (io2_submitters_mark_gone(ring, mm) && rounds--) {
		left = true;
		if (current->flags & PF_KTHREAD) {
			io2_cancel_gone(ring);
			break;
		}
		/* the requests end here, and not a moment later in a work item */
		io2_defer_waiter(ring, 1);
		io2_cancel_gone(ring);
		io2_defer_waiter_left(ring);
		/* mmap_lock is held, which is taken under uring_lock elsewhere */
		if (!io2_deferred_try_run(ring, IO2_CTX_LEAVE))
			break;
	}
	/* requests behind a barrier, and what the program's end leaves to free */
	if (left)
		io2_watch_queue(ring);
}

/*
 * A mapping of the ring ends. This detects execve(2): the mm has no users any
 * more, although current is not exiting. The end of a process is noticed when it
 * closes its descriptors, or by submitter_exit_wake().
 *
 * If the process unmaps the ring, a later execve(2) does not get here. Nor does
 * an execve(2) of a process that shares its mm. In both cases the ring's watch
 * notices that the process runs another program.
 */
static void mmap_close(struct vm_area_struct *vma)
{
	struct io2_ring *ring = vma->vm_file->private_data;
	struct mm_struct *mm = vma->vm_mm;
	bool busy = io2_submitters_unmapped(ring, mm);

	if (!atomic_read(&mm->mm_users) && !(current->flags & PF_EXITING))
		mmap_program_gone(ring, mm);
	else if (busy)
		io2_watch_queue(ring);
	/* no page of this mapping is mapped any more */
	io2_shm_put(vma->vm_private_data);
}

/* A mapping is copied: by fork(2), by mremap(2), or by the unmapping of a part. */
static void mmap_open(struct vm_area_struct *vma)
{
	io2_shm_get(vma->vm_private_data);
}

static const struct vm_operations_struct mmap_vm_ops = {
	.open		= mmap_open,
	.access		= mmap_access,
	.close		= mmap_close,
};

/**
 * io2_ring_mmap() - map memory of a ring into a process
 * @file: the ring's file
 * @vma: the new mapping; its offset selects the memory
 *
 * The mapping gets a reference to the memory, which the ring may replace.
 *
 * Context: mmap_lock held for writing. Takes no lock under which somebody may
 * wait for mmap_lock.
 * Return: 0; -EINVAL for an unknown offset, a private mapping, or one that is
 * longer than the memory; -ENOMEM.
 */
int io2_ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct io2_ring *ring = file->private_data;
	struct mmap_area a;
	int ret;

	if (!mmap_find(&a, ring, (u64)vma->vm_pgoff << PAGE_SHIFT))
		return -EINVAL;
	ret = io2_regions_mmap(a.shm->region + a.first, a.nr, vma);
	if (ret) {
		io2_shm_put(a.shm);
		return ret;
	}
	vma->vm_private_data = a.shm;
	vma->vm_ops = &mmap_vm_ops;
	io2_submitters_mapped(ring);
	return 0;
}
