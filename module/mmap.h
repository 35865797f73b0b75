/* SPDX-License-Identifier: GPL-2.0-only */
/* The mappings of a ring. */
#ifndef IO2_MMAP_H
#define IO2_MMAP_H

struct file;
struct vm_area_struct;

int io2_ring_mmap(struct file *file, struct vm_area_struct *vma);

#endif
