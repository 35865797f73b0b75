// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a ring, charged to the creator's memory cgroup (I5).
 *
 * A region is contiguous if that is easy to allocate. The kernel then sees it
 * in its direct mapping, and needs no page tables for it. Otherwise a region
 * consists of single pages, so that a ring can be set up even if memory is
 * fragmented. These are mapped in the kernel with vmap().
 *
 * A region may also be memory of the application, whose pages are pinned. The
 * application may unmap it, or let a child inherit it, at any time: the pages stay
 * the same, and the kernel has a mapping of its own.
 *
 * Applications map a region by frame number, on all kernels and in both cases.
 * Such a mapping holds no references to pages. It holds one to the struct io2_shm
 * of the region instead. Before 5.18 charged pages could not be inserted in any
 * case.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "debug/fault.h"
#include "region.h"

#define REGION_GFP	(GFP_KERNEL_ACCOUNT | __GFP_ZERO)

static unsigned int region_order(const struct io2_region *r)
{
	return get_order((size_t)r->nr_pages << PAGE_SHIFT);
}

/* --- contiguous ---------------------------------------------------------- */

static int region_alloc_whole(struct io2_region *r, const char *name)
{
	unsigned int order = region_order(r);
	gfp_t gfp = REGION_GFP;
	struct page *page;

	if (order) {
		if (io2_fault_fragmented())
			return -ENOMEM;
		/* there is a fallback: neither try hard nor warn */
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
	}
	if (io2_fault_inject(name, "memory"))
		return -ENOMEM;
	page = alloc_pages(gfp, order);
	if (!page)
		return -ENOMEM;
	r->vaddr = page_address(page);
	io2_count_add(IO2_COUNT_PAGES, 1UL << order);
	return 0;
}

static void region_free_whole(struct io2_region *r)
{
	unsigned int order = region_order(r);

	free_pages((unsigned long)r->vaddr, order);
	io2_count_sub(IO2_COUNT_PAGES, 1UL << order);
}

/* --- page by page -------------------------------------------------------- */

static int region_alloc_array(struct io2_region *r, const char *name)
{
	if (io2_fault_inject(name, "page array"))
		return -ENOMEM;
	/* the application may ask for more than there is */
	r->pages = kvcalloc(r->nr_pages, sizeof(*r->pages),
			    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return r->pages ? 0 : -ENOMEM;
}

static int region_vmap(struct io2_region *r, const char *name)
{
	if (io2_fault_inject(name, "vmap"))
		return -ENOMEM;
	r->vaddr = vmap(r->pages, r->nr_pages, VM_MAP, PAGE_KERNEL);
	return r->vaddr ? 0 : -ENOMEM;
}

/* Frees the first @nr pages. */
static void region_free_pages(struct io2_region *r, unsigned int nr)
{
	io2_count_sub(IO2_COUNT_PAGES, nr);
	while (nr)
		__free_page(r->pages[--nr]);
	kvfree(r->pages);
	r->pages = NULL;
}

static int region_alloc_pages(struct io2_region *r, const char *name)
{
	unsigned int nr;
	int ret;

	ret = region_alloc_array(r, name);
	if (ret)
		return ret;
	for (nr = 0; nr < r->nr_pages; nr++) {
		/* a large region takes long, and may be why we are killed */
		r->pages[nr] = fatal_signal_pending(current) ? NULL :
			       alloc_page(REGION_GFP);
		if (!r->pages[nr])
			break;
		cond_resched();
	}
	io2_count_add(IO2_COUNT_PAGES, nr);
	ret = -ENOMEM;
	if (nr < r->nr_pages || io2_fault_inject(name, "pages"))
		goto err_pages;
	ret = region_vmap(r, name);
	if (ret)
		goto err_pages;
	return 0;

err_pages:
	region_free_pages(r, nr);
	return ret;
}

/* --- the application's memory -------------------------------------------- */

/* Marks the pages as written to: the kernel writes through its own mapping. */
static void region_unpin_pages(struct io2_region *r, unsigned int nr)
{
	unpin_user_pages_dirty_lock(r->pages, nr, true);
	io2_count_sub(IO2_COUNT_PAGES, nr);
	kvfree(r->pages);
	r->pages = NULL;
}

/* Return: the number of pages pinned, maybe too few, or a negative errno. */
static int region_pin_pages(struct io2_region *r, unsigned long uaddr,
			    const char *name)
{
	int nr;

	if (io2_fault_inject(name, "pin"))
		return -EFAULT;
	nr = pin_user_pages_fast(uaddr, r->nr_pages,
				 FOLL_WRITE | FOLL_LONGTERM, r->pages);
	if (nr > 0)
		io2_count_add(IO2_COUNT_PAGES, nr);
	return nr;
}

/* One page, or a part of one huge page: the kernel maps it already. */
static bool region_is_whole(const struct io2_region *r)
{
	unsigned long pfn = page_to_pfn(r->pages[0]);
	unsigned int i;

	for (i = 1; i < r->nr_pages; i++)
		if (page_to_pfn(r->pages[i]) != pfn + i ||
		    compound_head(r->pages[i]) != compound_head(r->pages[0]))
			return false;
	return true;
}

static int region_map_pinned(struct io2_region *r, const char *name)
{
	if (!io2_pages_writable(r->pages, r->nr_pages))
		return -EFAULT;
	if (!region_is_whole(r))
		return region_vmap(r, name);
	r->vaddr = page_address(r->pages[0]);
	return 0;
}

static int region_check_user(u64 uaddr, size_t bytes)
{
	u64 end;

	if (!uaddr)
		return -EFAULT;
	if (offset_in_page(uaddr))
		return -EINVAL;
	if (check_add_overflow(uaddr, (u64)bytes, &end) ||
	    bytes >> PAGE_SHIFT > INT_MAX / sizeof(struct page *))
		return -EOVERFLOW;
	return 0;
}

/**
 * io2_region_pin() - make a region of the application's memory
 * @r: zeroed region; stays without memory on failure
 * @uaddr: user address
 * @bytes: size, rounded up to pages; 0 if nothing is needed
 * @name: for the names of the injection points
 *
 * Works as io_uring does: the memory must be writable. It may be anonymous, or
 * of a file on tmpfs or hugetlbfs. Pages of a file system that must know of each
 * write, or of a device, are refused.
 *
 * Context: a task of the application. Touches the memory, so it may sleep until
 * it is killed; no lock of a ring held.
 * Return: 0; -EFAULT if the memory cannot be used; -EINVAL if @uaddr is not the
 * address of a page; -EOVERFLOW; -ENOMEM.
 */
int io2_region_pin(struct io2_region *r, u64 uaddr, size_t bytes,
		   const char *name)
{
	int ret, nr;

	if (!bytes)
		return 0;
	ret = region_check_user(uaddr, bytes);
	if (ret)
		return ret;
	r->nr_pages = PAGE_ALIGN(bytes) >> PAGE_SHIFT;
	ret = region_alloc_array(r, name);
	if (ret)
		return ret;
	nr = region_pin_pages(r, uaddr, name);
	ret = nr < 0 ? nr : -EFAULT;
	if (nr != (int)r->nr_pages)
		goto err_pages;
	ret = region_map_pinned(r, name);
	if (ret)
		goto err_pages;
	r->is_users = true;
	return 0;

err_pages:
	region_unpin_pages(r, max(nr, 0));
	return ret;
}

/* --- any kind ------------------------------------------------------------ */

/**
 * io2_region_build() - allocate a region, zeroed
 * @r: zeroed region; stays without memory on failure
 * @bytes: size, rounded up to pages; 0 if nothing is needed
 * @name: for the names of the injection points ("rings", "cqes", "sqes")
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int io2_region_build(struct io2_region *r, size_t bytes, const char *name)
{
	int ret;

	if (!bytes)
		return 0;
	r->nr_pages = PAGE_ALIGN(bytes) >> PAGE_SHIFT;
	ret = region_alloc_whole(r, name);
	if (ret && r->nr_pages > 1)
		ret = region_alloc_pages(r, name);
	return ret;
}

/**
 * io2_region_build_exact() - allocate a region, and no page more
 * @r: zeroed region; stays without memory on failure
 * @bytes: size, rounded up to pages; not 0
 * @name: for the names of the injection points
 *
 * Contiguous memory is a power of two. Memory that an application may have as
 * much of as it is allowed to must not be rounded up.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int io2_region_build_exact(struct io2_region *r, size_t bytes,
			   const char *name)
{
	if (is_power_of_2(PAGE_ALIGN(bytes)))
		return io2_region_build(r, bytes, name);
	r->nr_pages = PAGE_ALIGN(bytes) >> PAGE_SHIFT;
	return region_alloc_pages(r, name);
}

/**
 * io2_region_free() - undo io2_region_build() or io2_region_pin()
 * @r: a region that was built, of any size; or one that was not, which has no
 *	memory
 *
 * Context: may sleep. No application maps @r any more.
 */
void io2_region_free(struct io2_region *r)
{
	if (!r->vaddr)
		return;
	if (r->pages && is_vmalloc_addr(r->vaddr))
		vunmap(r->vaddr);
	if (r->is_users)
		region_unpin_pages(r, r->nr_pages);
	else if (r->pages)
		region_free_pages(r, r->nr_pages);
	else
		region_free_whole(r);
	r->vaddr = NULL;
}

/**
 * struct region_map - progress of a mapping
 * @vma: the mapping
 * @r: the region to map next
 * @page: the page of @r to map next
 *
 * Lifetime: on the stack of io2_regions_mmap(). Nothing else has access, so no
 * lock is needed.
 */
struct region_map {
	struct vm_area_struct	*vma;
	const struct io2_region	*r;
	unsigned long		page;
};

/* Maps the next page. */
static int region_map_one(pte_t *pte, unsigned long addr, void *data)
{
	struct region_map *m = data;
	pgprot_t prot = m->vma->vm_page_prot;
	const struct io2_region *r;
	struct page *page;

	while (m->page == m->r->nr_pages) {
		m->r++;
		m->page = 0;
	}
	r = m->r;
	page = r->pages ? r->pages[m->page] :
			  virt_to_page(r->vaddr + (m->page << PAGE_SHIFT));
	m->page++;
	set_pte_at(m->vma->vm_mm, addr, pte,
		   pte_mkspecial(pfn_pte(page_to_pfn(page), prot)));
	return 0;
}

/**
 * io2_regions_mmap() - map regions, or the beginning of them, into an application
 * @r: built regions, which are mapped one after the other
 * @nr: their number
 * @vma: the mapping
 *
 * Memory of an application is not mapped: the application has it already.
 *
 * If this fails, no page is mapped: the caller may free the regions.
 *
 * Context: mmap_lock held for writing.
 * Return: 0; -EINVAL for a private mapping, one that is larger than the regions,
 * or memory of an application; -ENOMEM.
 */
int io2_regions_mmap(const struct io2_region *r, unsigned int nr,
		     struct vm_area_struct *vma)
{
	struct region_map m = { .vma = vma, .r = r };
	unsigned long size = vma->vm_end - vma->vm_start, total = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++)
		total += r[i].nr_pages;
	if (!(vma->vm_flags & VM_SHARED) || vma_pages(vma) > total)
		return -EINVAL;
	if (r->is_users)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	/* remap_pfn_range() would check for each page whether it is RAM */
	ret = apply_to_page_range(vma->vm_mm, vma->vm_start, size,
				  region_map_one, &m);
	/* other threads can access what was mapped before there was no memory */
	if (ret)
		io2_zap_ptes(vma, vma->vm_start, size);
	return ret;
}

/**
 * io2_regions_access() - read or write mapped memory for a debugger
 * @r: built regions, which are mapped one after the other
 * @nr: their number
 * @off: where to begin, in bytes
 * @buf: the data to write, or the buffer to read into
 * @len: bytes
 * @write: true to write, false to read
 *
 * Context: any; the regions must not be freed meanwhile.
 * Return: the number of bytes transferred, maybe fewer than @len; -EFAULT
 * beyond the end.
 */
int io2_regions_access(const struct io2_region *r, unsigned int nr,
		       unsigned long off, void *buf, int len, bool write)
{
	for (; nr; nr--, r++) {
		unsigned long size = (unsigned long)r->nr_pages << PAGE_SHIFT;

		if (off < size) {
			len = min_t(unsigned long, len, size - off);
			if (write)
				memcpy(r->vaddr + off, buf, len);
			else
				memcpy(buf, r->vaddr + off, len);
			return len;
		}
		off -= size;
	}
	return -EFAULT;
}
