// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPUs of a ring's workers. A worker changes its own affinity, before it runs
 * its next request. So nobody else needs a reference to its task, and two changes
 * cannot overtake each other.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "affinity.h"
#include "compat/compat.h"

/**
 * io2_cpus_alloc() - allocate a set of CPUs, without any
 *
 * Context: may sleep.
 * Return: the set with one reference, or NULL.
 */
struct io2_cpus *io2_cpus_alloc(void)
{
	struct io2_cpus *cpus = kzalloc(sizeof(*cpus), GFP_KERNEL_ACCOUNT);

	if (cpus)
		refcount_set(&cpus->refs, 1);
	return cpus;
}

/**
 * io2_cpus_put() - drop a reference
 * @cpus: the set, or NULL
 *
 * Context: any.
 */
void io2_cpus_put(struct io2_cpus *cpus)
{
	if (cpus && refcount_dec_and_test(&cpus->refs))
		kfree(cpus);
}

/**
 * io2_cpus_set() - set the CPUs that the workers of a ring may use
 * @ring: the ring
 * @cpus: the CPUs; the ring takes over the caller's reference; NULL for those of
 *	any kernel thread
 *
 * Context: task context; takes pool_lock.
 */
void io2_cpus_set(struct io2_ring *ring, struct io2_cpus *cpus)
{
	struct io2_cpus *old;

	spin_lock(&ring->pool_lock);
	old = ring->cpus;
	WRITE_ONCE(ring->cpus, cpus);
	spin_unlock(&ring->pool_lock);
	io2_cpus_put(old);
}

/* Return: the ring's CPUs, referenced, or NULL. */
static struct io2_cpus *cpus_get(struct io2_ring *ring)
{
	struct io2_cpus *cpus;

	spin_lock(&ring->pool_lock);
	cpus = ring->cpus;
	if (cpus)
		refcount_inc(&cpus->refs);
	spin_unlock(&ring->pool_lock);
	return cpus;
}

/*
 * Gives current back the CPUs of a kernel thread. Return: false if there is no
 * memory for that; the next request tries again.
 */
static bool cpus_unbind(void)
{
	struct cpumask *mask = kmalloc(sizeof(*mask), GFP_KERNEL);

	if (!mask)
		return false;
	io2_kthread_cpus(mask);
	set_cpus_allowed_ptr(current, mask);
	kfree(mask);
	return true;
}

/**
 * io2_cpus_bind() - the slow path of io2_cpus_follow()
 * @ring: the ring
 * @bound: see io2_cpus_follow()
 *
 * The kernel changes the CPUs of its threads when a CPU goes offline, or when an
 * administrator isolates one. So this compares them each time.
 *
 * Context: worker, may sleep.
 * Return: see io2_cpus_follow().
 */
bool io2_cpus_bind(struct io2_ring *ring, bool bound)
{
	struct io2_cpus *cpus = cpus_get(ring);

	if (!cpus)
		return bound && !cpus_unbind();
	if (!cpumask_equal(current->cpus_ptr, &cpus->mask))
		set_cpus_allowed_ptr(current, &cpus->mask);
	io2_cpus_put(cpus);
	return true;
}
