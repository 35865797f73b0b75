// SPDX-License-Identifier: GPL-2.0-only
/*
 * MEM_REGION: memory that a ring shares with its application, for parameters. A
 * ring has one such region, from its registration until the ring ends. ENTER can
 * find the argument of a wait there, and then reads no user memory.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "debug/fault.h"
#include "param.h"

/* Works as io_uring does, also in the order of the checks. */
static int param_check(const struct iouring2_region_desc *rd)
{
	u64 end;

	if (memchr_inv(rd->__resv, 0, sizeof(rd->__resv)) ||
	    (rd->flags & ~IOURING2_MEM_REGION_TYPE_USER))
		return -EINVAL;
	if (!(rd->flags & IOURING2_MEM_REGION_TYPE_USER) != !rd->user_addr)
		return -EFAULT;
	if (!rd->size || rd->mmap_offset || rd->id)
		return -EINVAL;
	if (rd->size >> PAGE_SHIFT > INT_MAX)
		return -E2BIG;
	if (offset_in_page(rd->user_addr) || offset_in_page(rd->size))
		return -EINVAL;
	return check_add_overflow(rd->user_addr, rd->size, &end) ? -EOVERFLOW :
								  0;
}

/* Return: the region, with one reference, or an ERR_PTR. */
static struct io2_shm *param_build(const struct iouring2_region_desc *rd)
{
	struct io2_shm *shm;
	int ret;

	if (io2_fault_inject("region", "struct"))
		return ERR_PTR(-ENOMEM);
	shm = kzalloc(sizeof(*shm), GFP_KERNEL_ACCOUNT);
	if (!shm)
		return ERR_PTR(-ENOMEM);
	io2_shm_init(shm);
	ret = io2_memlock_charge(&shm->memlock, rd->size >> PAGE_SHIFT);
	if (ret)
		goto err_shm;
	if (rd->flags & IOURING2_MEM_REGION_TYPE_USER)
		ret = io2_region_pin(&shm->region[0], rd->user_addr, rd->size,
				     "region");
	else
		ret = io2_region_build_exact(&shm->region[0], rd->size,
					     "region");
	if (ret)
		goto err_memlock;
	return shm;

err_memlock:
	io2_memlock_uncharge(&shm->memlock);
err_shm:
	kfree(shm);
	return ERR_PTR(ret);
}

static int param_read(const struct io2_ring *ring, void __user *uarg,
		      struct iouring2_mem_region_reg *reg,
		      struct iouring2_region_desc *rd)
{
	if (copy_from_user(reg, uarg, sizeof(*reg)) ||
	    copy_from_user(rd, u64_to_user_ptr(reg->region_uptr), sizeof(*rd)))
		return -EFAULT;
	if (memchr_inv(reg->__resv, 0, sizeof(reg->__resv)) ||
	    (reg->flags & ~IOURING2_MEM_REGION_REG_WAIT_ARG))
		return -EINVAL;
	/* io_uring requires this, so that no task waits at this moment */
	if ((reg->flags & IOURING2_MEM_REGION_REG_WAIT_ARG) &&
	    !READ_ONCE(ring->disabled))
		return -EINVAL;
	return param_check(rd);
}

static int param_copy_out(struct iouring2_region_desc *rd, u64 uaddr)
{
	if (!(rd->flags & IOURING2_MEM_REGION_TYPE_USER))
		rd->mmap_offset = IO2_OFF_PARAM_REGION;
	if (io2_fault_inject("region", "copy-out"))
		return -EFAULT;
	return copy_to_user(u64_to_user_ptr(uaddr), rd, sizeof(*rd)) ? -EFAULT :
								      0;
}

/* Nobody else does this, and nobody removes the region before the ring ends. */
static void param_publish(struct io2_ring *ring, struct io2_shm *shm, u64 flags)
{
	if (flags & IOURING2_MEM_REGION_REG_WAIT_ARG) {
		/* release: pairs with io2_param_wait_arg() */
		smp_store_release(&ring->wait_args, shm);
	}
	/* release: pairs with io2_param_shm() */
	smp_store_release(&ring->param, shm);
}

static int param_register(struct io2_ring *ring, void __user *uarg)
{
	struct iouring2_mem_region_reg reg;
	struct iouring2_region_desc rd;
	struct io2_shm *shm;
	int ret;

	ret = param_read(ring, uarg, &reg, &rd);
	if (ret)
		return ret;
	shm = param_build(&rd);
	if (IS_ERR(shm))
		return PTR_ERR(shm);
	ret = param_copy_out(&rd, reg.region_uptr);
	if (ret)
		io2_shm_put(shm);
	else
		param_publish(ring, shm, reg.flags);
	return ret;
}

/* Return: false if the ring has a region, or is about to get one. */
static bool param_claim(struct io2_ring *ring)
{
	bool ours;

	mutex_lock(&ring->uring_lock);
	ours = !ring->has_param;
	ring->has_param = true;
	mutex_unlock(&ring->uring_lock);
	return ours;
}

static void param_unclaim(struct io2_ring *ring)
{
	mutex_lock(&ring->uring_lock);
	ring->has_param = false;
	mutex_unlock(&ring->uring_lock);
}

/**
 * io2_register_mem_region() - MEM_REGION
 * @ring: the ring
 * @uarg: user address of a struct iouring2_mem_region_reg
 * @nr: must be 1
 *
 * The memory counts against RLIMIT_MEMLOCK, whoever allocates it.
 *
 * Context: may sleep; no lock of the ring held.
 * Return: 0; -EBUSY if the ring has a region, or is about to get one; -EINVAL,
 * -EFAULT, -E2BIG, -EOVERFLOW, -ENOMEM.
 */
int io2_register_mem_region(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	int ret;

	if (!uarg || nr != 1)
		return -EINVAL;
	if (!param_claim(ring))
		return -EBUSY;
	io2_fault_begin();
	ret = param_register(ring, uarg);
	io2_fault_end();
	if (ret)
		param_unclaim(ring);
	return ret;
}

/**
 * io2_param_shm() - a reference to the registered region, for a mapping
 * @ring: the ring
 *
 * Context: any; needs no lock, as the region stays until the ring ends.
 * Return: the memory, or NULL if there is none; the caller drops the reference.
 */
struct io2_shm *io2_param_shm(const struct io2_ring *ring)
{
	/* acquire: the region is built; pairs with param_publish() */
	struct io2_shm *shm = smp_load_acquire(&ring->param);

	if (shm)
		io2_shm_get(shm);
	return shm;
}

/**
 * io2_param_wait_arg() - read the argument of a wait in the registered region
 * @ring: the ring
 * @off: its offset in the region, in bytes
 * @arg: receives a copy, as the application may change it at any time (I10)
 *
 * Context: task in ENTER; reads no user memory.
 * Return: 0; -EFAULT if it is not in a region for such arguments, or not aligned.
 */
int io2_param_wait_arg(const struct io2_ring *ring, u64 off,
		       struct iouring2_reg_wait *arg)
{
	/* acquire: the region is built; pairs with param_publish() */
	const struct io2_shm *shm = smp_load_acquire(&ring->wait_args);
	const struct iouring2_reg_wait *w;
	u64 size;

	if (!shm)
		return -EFAULT;
	size = (u64)shm->region[0].nr_pages << PAGE_SHIFT;
	if (off % sizeof(long) || off > size - sizeof(*w))
		return -EFAULT;
	w = shm->region[0].vaddr +
	    array_index_nospec(off, size - sizeof(*w) + 1);
	*arg = (struct iouring2_reg_wait) {
		.ts.tv_sec	= READ_ONCE(w->ts.tv_sec),
		.ts.tv_nsec	= READ_ONCE(w->ts.tv_nsec),
		.min_wait_usec	= READ_ONCE(w->min_wait_usec),
		.flags		= READ_ONCE(w->flags),
		.sigmask	= READ_ONCE(w->sigmask),
		.sigmask_sz	= READ_ONCE(w->sigmask_sz),
	};
	return 0;
}
