// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which memory a kernel thread must not touch for its submitter, although it
 * has borrowed the submitter's mm. A page fault takes most of what it needs
 * from the mm and from the mapping. Some faults ask current for more, and a
 * kernel thread gives the wrong answer:
 *
 *   - A fault below a stack lets the stack grow, as far as the RLIMIT_STACK,
 *     RLIMIT_AS and RLIMIT_MEMLOCK of current allow.
 *   - A huge page is charged to the hugetlb cgroup of current, and comes from
 *     a node that its NUMA policy and its CPU set allow.
 *   - A driver decides what is in a page of its mapping. The page with the
 *     kernel's clocks depends on the time namespace of current.
 *
 * A page that is present causes no fault, so a worker may touch it.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "memory.h"

/* A fault in these mappings may ask current for more than its mm. */
#define VM_ASKS_TASK	(VM_HUGETLB | VM_PFNMAP | VM_MIXEDMAP | VM_IO)

static unsigned long vma_page_size(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_HUGETLB ? huge_page_size(hstate_vma(vma)) :
					    PAGE_SIZE;
}

/* A page that must be copied before it is written to counts as missing. */
static bool page_is_missing(unsigned long addr, bool write)
{
	struct page *page;

	if (!get_user_page_fast_only(addr, write ? FOLL_WRITE : 0, &page))
		return true;
	put_page(page);
	return false;
}

static bool vma_needs_task(struct vm_area_struct *vma, unsigned long addr,
			   unsigned long end, bool write)
{
	unsigned long size;

	if (!(vma->vm_flags & VM_ASKS_TASK))
		return false;
	size = vma_page_size(vma);
	end = min(end, vma->vm_end);
	for (; addr < end; addr = ALIGN_DOWN(addr, size) + size) {
		if (page_is_missing(addr, write))
			return true;
		cond_resched();
	}
	return false;
}

static bool range_needs_task(struct mm_struct *mm, unsigned long addr,
			     unsigned long end, bool write)
{
	struct vm_area_struct *vma;

	while (addr < end) {
		vma = find_vma(mm, addr);
		if (!vma)
			return false;
		/* a gap: EFAULT, unless a stack grows down into it */
		if (addr < vma->vm_start)
			return vma->vm_flags & VM_GROWSDOWN;
		if (vma_needs_task(vma, addr, end, write))
			return true;
		addr = vma->vm_end;
	}
	return false;
}

/*
 * A worker may wait for the lock, as it would in a page fault: it can be
 * killed. A work item cannot.
 *
 * Return: 0, -EAGAIN or -EINTR.
 */
static int memory_lock(struct mm_struct *mm)
{
	if (mmap_read_trylock(mm))
		return 0;
	if (current->flags & PF_WQ_WORKER)
		return -EAGAIN;
	return mmap_read_lock_killable(mm);
}

/**
 * io2_memory_needs_task() - would a page fault ask current for more than its mm?
 * @iov: the segments of memory
 * @nr: their number
 * @write: the memory will be written to
 *
 * Context: kernel thread that has borrowed the submitter's mm; may sleep.
 * Return: true if a task of the submitting process must touch the memory. That
 * is right for any memory, so a work item that cannot look says so as well.
 */
bool io2_memory_needs_task(const struct iovec *iov, unsigned int nr,
			   bool write)
{
	struct mm_struct *mm = current->mm;
	bool needs = false;
	unsigned long addr;
	unsigned int i;
	int ret;

	ret = memory_lock(mm);
	if (ret)
		return ret == -EAGAIN;
	for (i = 0; i < nr && !needs; i++) {
		addr = (unsigned long)iov[i].iov_base;
		needs = range_needs_task(mm, addr, addr + iov[i].iov_len,
					 write);
	}
	mmap_read_unlock(mm);
	return needs;
}
