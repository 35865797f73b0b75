/* SPDX-License-Identifier: GPL-2.0 */
/* Memory shared with the application: order-0 pages, charged, mapped twice. */
#ifndef IO2_REGION_H
#define IO2_REGION_H

#include <linux/types.h>

struct page;
struct vm_area_struct;

/**
 * struct io2_region - pages that the kernel and an application both map
 * @pages: @nr_pages pages, or NULL when the region is not built
 * @nr_pages: number of pages
 * @vaddr: the kernel's contiguous view of them
 *
 * Lifetime: built in setup, freed with its ring.  A mapping in an application
 * holds the ring's file, so it never outlives the pages.  Not written between
 * setup and free, hence no lock.
 */
struct io2_region {
	struct page	**pages;
	unsigned int	nr_pages;
	void		*vaddr;
};

int io2_region_build(struct io2_region *r, size_t bytes, const char *name);
void io2_region_free(struct io2_region *r);
int io2_region_mmap(struct io2_region *r, struct vm_area_struct *vma);

#endif
