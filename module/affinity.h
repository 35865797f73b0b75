/* SPDX-License-Identifier: GPL-2.0-only */
/* The CPUs of a ring's workers. */
#ifndef IO2_AFFINITY_H
#define IO2_AFFINITY_H

#include <linux/cpumask.h>
#include <linux/refcount.h>

#include "ring.h"

/**
 * struct io2_cpus - CPUs that the workers of a ring may use
 * @refs: reference count
 * @mask: the CPUs; constant once a ring has it
 *
 * Lifetime: until the ring has others, and no worker uses this any more.
 */
struct io2_cpus {
	refcount_t	refs;
	struct cpumask	mask;
};

struct io2_cpus *io2_cpus_alloc(void);
void io2_cpus_put(struct io2_cpus *cpus);
void io2_cpus_set(struct io2_ring *ring, struct io2_cpus *cpus);
bool io2_cpus_bind(struct io2_ring *ring, bool bound);

/**
 * io2_cpus_follow() - let current, a worker, use the CPUs that its ring has set
 * @ring: the ring
 * @bound: what this function has returned the last time; false at first
 *
 * Context: worker, may sleep.
 * Return: true if current is bound to CPUs of the ring's.
 */
static inline bool io2_cpus_follow(struct io2_ring *ring, bool bound)
{
	if (likely(!bound && !READ_ONCE(ring->cpus)))
		return false;
	return io2_cpus_bind(ring, bound);
}

#endif
