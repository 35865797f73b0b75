/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that a ring shares with applications: it lives as long as its mappings. */
#ifndef IO2_SHM_H
#define IO2_SHM_H

#include <linux/refcount.h>
#include <linux/types.h>

#include "memlock.h"
#include "region.h"

/* regions that are freed together: those of struct io2_rings are the most */
#define IO2_SHM_REGIONS	3

/**
 * struct io2_shm - regions that a ring shares with applications
 * @refs: one for the ring, and one for each mapping
 * @memlock: what they are charged for; nothing for rings
 * @region: the regions; those that are not built have no memory
 *
 * The object that contains it begins with it, and kfree() frees that object.
 *
 * Applications map the regions by frame number, so a mapping holds no reference
 * to a page. It holds one to this struct instead, from before its first page is
 * mapped until its last page has been unmapped. So pages that are freed are
 * mapped nowhere, and the ring may replace the memory at any time.
 *
 * Lifetime: until the last reference is dropped. No lock is needed, as the
 * regions are constant from their building until then.
 */
struct io2_shm {
	refcount_t		refs;
	struct io2_memlock	memlock;
	struct io2_region	region[IO2_SHM_REGIONS];
};

/**
 * io2_shm_init() - initialise shared memory; the caller has the first reference
 * @shm: zeroed
 *
 * Context: any.
 */
static inline void io2_shm_init(struct io2_shm *shm)
{
	refcount_set(&shm->refs, 1);
}

/**
 * io2_shm_get() - take another reference
 * @shm: the caller has a reference, or prevents that the last one is dropped
 *
 * Context: any.
 */
static inline void io2_shm_get(struct io2_shm *shm)
{
	refcount_inc(&shm->refs);
}

void io2_shm_put(struct io2_shm *shm);

#endif
