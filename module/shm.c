// SPDX-License-Identifier: GPL-2.0-only
/* Memory that a ring shares with applications: it lives as long as its mappings. */
#include <linux/slab.h>

#include "shm.h"

/**
 * io2_shm_put() - drop a reference
 * @shm: the memory, or NULL
 *
 * With the last one, frees the memory, and the object that begins with @shm.
 *
 * Context: may sleep; in munmap(2), mmap_lock held for writing.
 */
void io2_shm_put(struct io2_shm *shm)
{
	unsigned int i;

	if (!shm || !refcount_dec_and_test(&shm->refs))
		return;
	/* in the reverse order of their building */
	for (i = IO2_SHM_REGIONS; i--; )
		io2_region_free(&shm->region[i]);
	io2_memlock_uncharge(&shm->memlock);
	kfree(shm);
}
