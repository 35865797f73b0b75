/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory shared with the application: charged, and mapped twice. */
#ifndef IO2_REGION_H
#define IO2_REGION_H

#include <linux/types.h>

struct page;
struct vm_area_struct;

/**
 * struct io2_region - memory that the kernel and an application both map
 * @vaddr: the kernel's view of it, or NULL when the region is not built
 * @nr_pages: number of pages of it
 * @pages: these, where they were allocated one by one; else NULL, and the
 *	memory is contiguous
 *
 * Lifetime: built in setup, freed with its ring.  A mapping in an application
 * holds the ring's file, so it never outlives the memory.  Not written between
 * setup and free, hence no lock.
 */
struct io2_region {
	void		*vaddr;
	unsigned int	nr_pages;
	struct page	**pages;
};

int io2_region_build(struct io2_region *r, size_t bytes, const char *name);
void io2_region_free(struct io2_region *r);
int io2_regions_mmap(const struct io2_region *r, unsigned int nr,
		     struct vm_area_struct *vma);
int io2_regions_access(const struct io2_region *r, unsigned int nr,
		       unsigned long off, void *buf, int len, bool write);

#endif
