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
#include "region.h"
#include "ring.h"
#include "submitter.h"
#include "watch.h"

#define MM_GONE_ROUNDS	100	/* rounds of cancelling requests that cancelled ones have started */

/* bits of an mmap offset that are an offset within the mapped area */
#define OFF_PLACE	(IOURING2_OFF_CQ_RING - 1)

/*
 * Finds the memory that is mapped at @off. Return: the number of regions; 0 if
 * there are none.
 */
static unsigned int mmap_regions(const struct io2_ring *ring, u64 off,
				 const struct io2_region **r)
{
	switch (off) {
	case IOURING2_OFF_SQ_RING:
	case IOURING2_OFF_CQ_RING:
		*r = ring->rings_mem;
		return ARRAY_SIZE(ring->rings_mem);
	case IOURING2_OFF_SQES:
		*r = &ring->sqes_mem;
		return 1;
	default:
		*r = NULL;
		return 0;
	}
}

/*
 * For debuggers. The memory is mapped by frame number, so they find no pages in
 * it.
 */
static int mmap_access(struct vm_area_struct *vma, unsigned long addr,
		       void *buf, int len, int write)
{
	u64 off = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	const struct io2_region *r;
	unsigned int nr;

	nr = mmap_regions(vma->vm_file->private_data, off & ~OFF_PLACE, &r);
	len = min_t(unsigned long, len, vma->vm_end - addr);
	return io2_regions_access(r, nr, off & OFF_PLACE, buf, len, write);
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
		io2_defer_waiter(ring);
		io2_cancel_gone(ring);
		io2_defer_waiter_left(ring);
		if (!io2_deferred_run(ring, IO2_CTX_LEAVE))
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
}

static const struct vm_operations_struct mmap_vm_ops = {
	.access		= mmap_access,
	.close		= mmap_close,
};

/**
 * io2_ring_mmap() - map memory of a ring into a process
 * @file: the ring's file
 * @vma: the new mapping; its offset selects the memory
 *
 * Context: mmap_lock held for writing.
 * Return: 0; -EINVAL for an unknown offset, a private mapping, or one that is
 * longer than the memory; -ENOMEM.
 */
int io2_ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct io2_region *r;
	unsigned int nr;
	int ret;

	nr = mmap_regions(file->private_data, (u64)vma->vm_pgoff << PAGE_SHIFT,
			  &r);
	if (!nr)
		return -EINVAL;
	vma->vm_ops = &mmap_vm_ops;
	ret = io2_regions_mmap(r, nr, vma);
	if (!ret)
		io2_submitters_mapped(file->private_data);
	return ret;
}
