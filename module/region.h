/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that the kernel shares with the application; charged to a memory
 * cgroup.
 */
#ifndef IO2_REGION_H
#define IO2_REGION_H

#include <linux/types.h>

struct page;
struct vm_area_struct;

/**
 * struct io2_region - memory that the kernel and an application both map
 * @vaddr: the kernel's mapping of it, or NULL if the region is not built
 * @nr_pages: number of pages
 * @pages: the pages, if they were allocated one by one or are the application's;
 *	NULL if the kernel has allocated contiguous memory
 * @is_users: the memory is the application's own: its pages are pinned
 *
 * Lifetime: as the struct io2_shm that it is part of. No lock is needed, as the
 * fields are constant once it is built.
 */
struct io2_region {
	void		*vaddr;
	unsigned int	nr_pages;
	struct page	**pages;
	bool		is_users;
};

int io2_region_build(struct io2_region *r, size_t bytes, const char *name);
int io2_region_build_exact(struct io2_region *r, size_t bytes,
			   const char *name);
int io2_region_pin(struct io2_region *r, u64 uaddr, size_t bytes,
		   const char *name);
void io2_region_free(struct io2_region *r);
int io2_regions_mmap(const struct io2_region *r, unsigned int nr,
		     struct vm_area_struct *vma);
int io2_regions_access(const struct io2_region *r, unsigned int nr,
		       unsigned long off, void *buf, int len, bool write);

#endif
