// SPDX-License-Identifier: GPL-2.0-only
/* REGISTER: a table of its opcodes. */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "eventfd.h"
#include "op/opdef.h"
#include "param.h"
#include "query.h"
#include "register.h"
#include "register_cancel.h"
#include "register_ring.h"
#include "register_workers.h"
#include "resize.h"

#define PROBE_MAX	256

static int register_probe(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct iouring2_probe *probe;
	size_t size;
	int ret = -EFAULT;
	u32 i;

	if (!uarg || nr > PROBE_MAX)
		return -EINVAL;
	/* the array may be larger than the table; the rest is not used */
	nr = min_t(u32, nr, IO2_OP_LAST);
	size = struct_size(probe, ops, nr);
	probe = memdup_user(uarg, size);
	if (IS_ERR(probe))
		return PTR_ERR(probe);
	if (memchr_inv(probe, 0, size)) {
		ret = -EINVAL;
		goto out;
	}
	probe->last_op = IO2_OP_LAST - 1;
	probe->ops_len = nr;
	for (i = 0; i < nr; i++) {
		probe->ops[i].op = i;
		if (io2_op_supported(i))
			probe->ops[i].flags = IOURING2_OP_SUPPORTED;
	}
	if (!copy_to_user(uarg, probe, size))
		ret = 0;
out:
	kfree(probe);
	return ret;
}

typedef int (*register_fn)(struct io2_ring *ring, void __user *uarg, u32 nr);

/* called with uring_lock held */
static const register_fn register_ops[IOURING2_REGISTER_LAST] = {
	[IOURING2_REGISTER_EVENTFD] = io2_eventfd_register,
	[IOURING2_UNREGISTER_EVENTFD] = io2_eventfd_unregister,
	[IOURING2_REGISTER_EVENTFD_ASYNC] = io2_eventfd_register_async,
	[IOURING2_REGISTER_PROBE] = register_probe,
	[IOURING2_REGISTER_ENABLE_RINGS] = io2_register_enable,
	[IOURING2_REGISTER_IOWQ_AFF] = io2_register_workers_aff,
	[IOURING2_UNREGISTER_IOWQ_AFF] = io2_unregister_workers_aff,
	[IOURING2_REGISTER_IOWQ_MAX_WORKERS] = io2_register_max_workers,
	[IOURING2_REGISTER_CLOCK] = io2_register_clock,
};

/* called without a lock of the ring: they may wait */
static const register_fn register_waits[IOURING2_REGISTER_LAST] = {
	[IOURING2_REGISTER_SYNC_CANCEL] = io2_register_sync_cancel,
	[IOURING2_REGISTER_RESIZE_RINGS] = io2_register_resize,
	[IOURING2_REGISTER_MEM_REGION] = io2_register_mem_region,
};

/* the device has them, too: called without a lock, and perhaps without a ring */
static const register_fn register_ringless[IOURING2_REGISTER_LAST] = {
	[IOURING2_REGISTER_QUERY] = io2_register_query,
};

/**
 * io2_register_supported() - does REGISTER support an opcode? For QUERY
 * @opcode: IOURING2_REGISTER_*
 *
 * Return: true if it does.
 */
bool io2_register_supported(unsigned int opcode)
{
	return opcode < IOURING2_REGISTER_LAST &&
	       (register_ops[opcode] || register_waits[opcode] ||
		register_ringless[opcode]);
}

static int register_do(struct io2_ring *ring,
		       const struct iouring2_register *arg)
{
	void __user *uarg = u64_to_user_ptr(arg->arg);
	unsigned int opcode = arg->opcode;
	int ret;

	if (ring && opcode < IOURING2_REGISTER_LAST && !io2_ring_is_issuer(ring))
		return -EEXIST;
	if (!io2_register_supported(opcode))
		return -EINVAL;
	opcode = array_index_nospec(opcode, IOURING2_REGISTER_LAST);
	if (register_ringless[opcode])
		return register_ringless[opcode](ring, uarg, arg->nr_args);
	if (!ring)
		return -EINVAL;
	if (register_waits[opcode])
		return register_waits[opcode](ring, uarg, arg->nr_args);
	mutex_lock(&ring->uring_lock);
	/* another task may have enabled the ring since, and is its issuer then */
	if (io2_ring_is_issuer(ring))
		ret = register_ops[opcode](ring, uarg, arg->nr_args);
	else
		ret = -EEXIST;
	mutex_unlock(&ring->uring_lock);
	return ret;
}

/**
 * io2_register() - the REGISTER ioctl
 * @ring: the ring, or NULL for the device
 * @size: size of the caller's struct iouring2_register in bytes
 * @uarg: its user address
 *
 * Context: may sleep.
 * Return: 0 or what the opcode returns; -EINVAL for an unsupported opcode or
 * argument, and for an opcode that needs a ring if there is none; -EEXIST if
 * another task is the ring's issuer; -E2BIG, -EFAULT, -ENOMEM, and errors of the
 * opcode; see iouring2(4).
 */
long io2_register(struct io2_ring *ring, unsigned int size, void __user *uarg)
{
	struct iouring2_register arg;
	int ret;

	if (size < sizeof(arg))
		return -EINVAL;
	ret = copy_struct_from_user(&arg, sizeof(arg), uarg, size);
	return ret ? : register_do(ring, &arg);
}
