// SPDX-License-Identifier: GPL-2.0
/*
 * Ring memory.  Order-0 pages, so that a fragmented machine can still set up a
 * ring; charged to the creator's memory cgroup (I5).
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"
#include "counters.h"
#include "fault.h"
#include "region.h"

static void region_free_pages(struct io2_region *r)
{
	while (r->nr_pages) {
		__free_page(r->pages[--r->nr_pages]);
		io2_count_sub(IO2_COUNT_PAGES, 1);
	}
	kvfree(r->pages);
	r->pages = NULL;
}

static int region_alloc_pages(struct io2_region *r, unsigned int nr)
{
	while (r->nr_pages < nr) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		r->pages[r->nr_pages++] = page;
		io2_count_add(IO2_COUNT_PAGES, 1);
	}
	return 0;
}

/**
 * io2_region_build() - allocate a region and map it into the kernel
 * @r: zeroed region; left zeroed on failure
 * @bytes: size; rounded up to pages
 * @name: for the names of the injection points ("rings", "sqes")
 *
 * Context: may sleep; setup only.
 * Return: 0 or -ENOMEM.
 */
int io2_region_build(struct io2_region *r, size_t bytes, const char *name)
{
	unsigned int nr = PAGE_ALIGN(bytes) >> PAGE_SHIFT;

	if (io2_fault_inject(name, "page array"))
		return -ENOMEM;
	r->pages = kvcalloc(nr, sizeof(*r->pages), GFP_KERNEL_ACCOUNT);
	if (!r->pages)
		return -ENOMEM;
	if (region_alloc_pages(r, nr) || io2_fault_inject(name, "pages"))
		goto err_pages;
	if (io2_fault_inject(name, "vmap"))
		goto err_pages;
	r->vaddr = vmap(r->pages, nr, VM_MAP, PAGE_KERNEL);
	if (!r->vaddr)
		goto err_pages;
	return 0;

err_pages:
	region_free_pages(r);
	return -ENOMEM;
}

/**
 * io2_region_free() - undo io2_region_build()
 * @r: a built region
 *
 * Context: may sleep.  No application maps @r any more.
 */
void io2_region_free(struct io2_region *r)
{
	vunmap(r->vaddr);
	r->vaddr = NULL;
	region_free_pages(r);
}

/**
 * io2_region_mmap() - map a region, or its beginning, into an application
 * @r: a built region
 * @vma: where to
 *
 * Context: mmap_lock held for writing.
 * Return: 0; -EINVAL for a private mapping or one that is larger than @r.
 */
int io2_region_mmap(struct io2_region *r, struct vm_area_struct *vma)
{
	unsigned long nr = vma_pages(vma);

	if (!(vma->vm_flags & VM_SHARED) || nr > r->nr_pages)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return io2_compat_map_pages(vma, r->pages, nr);
}
