// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a ring, charged to the creator's memory cgroup (I5).
 *
 * A region is contiguous if that is easy to allocate. The kernel then sees it
 * in its direct mapping, and needs no page tables for it. Otherwise a region
 * consists of single pages, so that a ring can be set up even if memory is
 * fragmented. These are mapped in the kernel with vmap().
 *
 * Applications map a region by frame number, on all kernels and in both cases.
 * Such a mapping holds no references to pages. It holds one to the struct io2_shm
 * of the region instead. Before 5.18 charged pages could not be inserted in any
 * case.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
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

	if (io2_fault_inject(name, "page array"))
		return -ENOMEM;
	r->pages = kvcalloc(r->nr_pages, sizeof(*r->pages), GFP_KERNEL_ACCOUNT);
	if (!r->pages)
		return -ENOMEM;
	for (nr = 0; nr < r->nr_pages; nr++) {
		r->pages[nr] = alloc_page(REGION_GFP);
		if (!r->pages[nr])
			break;
	}
	io2_count_add(IO2_COUNT_PAGES, nr);
	if (nr < r->nr_pages || io2_fault_inject(name, "pages"))
		goto err_pages;
	if (io2_fault_inject(name, "vmap"))
		goto err_pages;
	r->vaddr = vmap(r->pages, nr, VM_MAP, PAGE_KERNEL);
	if (!r->vaddr)
		goto err_pages;
	return 0;

err_pages:
	region_free_pages(r, nr);
	return -ENOMEM;
}

/* --- either kind ------------------------------------------------------ */

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
 * io2_region_free() - undo io2_region_build()
 * @r: a region that was built, of any size; or one that was not, which has no
 *	memory
 *
 * Context: may sleep. No application maps @r any more.
 */
void io2_region_free(struct io2_region *r)
{
	if (!r->vaddr)
		return;
	if (r->pages) {
		vunmap(r->vaddr);
		region_free_pages(r, r->nr_pages);
	} else {
		region_free_whole(r);
	}
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
 * If this fails, no page is mapped: the caller may free the regions.
 *
 * Context: mmap_lock held for writing.
 * Return: 0; -EINVAL for a private mapping, or one that is larger than the
 * regions; -ENOMEM.
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
