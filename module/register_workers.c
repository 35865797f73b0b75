// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register opcodes about the ring's workers. io_uring keeps both settings for each
 * task that submits. Here, workers belong to the ring, and so do the settings.
 */
#include <linux/cpumask.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "affinity.h"
#include "compat/compat.h"
#include "register_workers.h"
#include "worker.h"

/**
 * io2_register_max_workers() - IOWQ_MAX_WORKERS
 * @ring: the ring
 * @uarg: user address of the limits of bounded and of unbounded workers, 0 to
 *	leave one as it is; receives the limits before the call
 * @nr: must be 2
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -EINVAL or -EFAULT; then nothing has changed.
 */
int io2_register_max_workers(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	u32 max[IO2_LIMITS], old[IO2_LIMITS];

	lockdep_assert_held(&ring->uring_lock);
	if (!uarg || nr != IO2_LIMITS)
		return -EINVAL;
	if (copy_from_user(max, uarg, sizeof(max)))
		return -EFAULT;
	if (max[IO2_BOUNDED] > INT_MAX || max[IO2_UNBOUNDED] > INT_MAX)
		return -EINVAL;
	/* uring_lock: nobody changes the limits meanwhile */
	io2_workers_limits(ring, old);
	if (copy_to_user(uarg, old, sizeof(old)))
		return -EFAULT;
	io2_workers_limit(ring, max);
	return 0;
}

/*
 * May the caller have its workers run on these CPUs? Workers run on all CPUs that
 * are not isolated anyway, and the caller on those that it is allowed to use. The
 * module cannot find out the caller's cpuset.
 */
static bool cpus_allowed(const struct cpumask *mask)
{
	unsigned int cpu;

	if (!cpumask_subset(mask, cpu_online_mask))
		return false;
	for_each_cpu(cpu, mask)
		if (io2_cpu_is_isolated(cpu) &&
		    !cpumask_test_cpu(cpu, current->cpus_ptr))
			return false;
	return true;
}

/* Return: 0, -EFAULT or -EINVAL. */
static int cpus_read(struct io2_cpus *cpus, void __user *uarg, u32 size)
{
	/* as sched_setaffinity(2), ignore bits that are no CPUs */
	size = min_t(u32, size, cpumask_size());
	if (copy_from_user(cpumask_bits(&cpus->mask), uarg, size))
		return -EFAULT;
	return cpus_allowed(&cpus->mask) ? 0 : -EINVAL;
}

/**
 * io2_register_workers_aff() - IOWQ_AFF: set the CPUs of the workers
 * @ring: the ring
 * @uarg: user address of a mask of CPUs; an empty one is as UNREGISTER_IOWQ_AFF
 * @nr: its size in bytes
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM; then nothing has changed.
 */
int io2_register_workers_aff(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct io2_cpus *cpus;
	int ret;

	lockdep_assert_held(&ring->uring_lock);
	if (!uarg || !nr)
		return -EINVAL;
	cpus = io2_cpus_alloc();
	if (!cpus)
		return -ENOMEM;
	ret = cpus_read(cpus, uarg, nr);
	if (ret || cpumask_empty(&cpus->mask)) {
		io2_cpus_put(cpus);
		cpus = NULL;
	}
	if (!ret)
		io2_cpus_set(ring, cpus);
	return ret;
}

/**
 * io2_unregister_workers_aff() - UNREGISTER_IOWQ_AFF: allow the workers any CPU
 * @ring: the ring
 * @uarg: must be NULL
 * @nr: must be 0
 *
 * Context: uring_lock held.
 * Return: 0 or -EINVAL.
 */
int io2_unregister_workers_aff(struct io2_ring *ring, void __user *uarg,
			       u32 nr)
{
	lockdep_assert_held(&ring->uring_lock);
	if (uarg || nr)
		return -EINVAL;
	io2_cpus_set(ring, NULL);
	return 0;
}
