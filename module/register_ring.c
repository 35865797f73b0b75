// SPDX-License-Identifier: GPL-2.0-only
/* Register opcodes that change how the ring as a whole works. */
#include <linux/string.h>
#include <linux/time.h>
#include <linux/uaccess.h>

#include "register_ring.h"

/**
 * io2_register_enable() - ENABLE_RINGS: from now on ENTER is accepted
 * @ring: the ring; with IOURING2_SETUP_SINGLE_ISSUER, current becomes its issuer
 * @uarg: must be NULL
 * @nr: must be 0
 *
 * Context: uring_lock held.
 * Return: 0; -EINVAL; -EBADFD if the ring is enabled already.
 */
int io2_register_enable(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	lockdep_assert_held(&ring->uring_lock);
	if (uarg || nr)
		return -EINVAL;
	if (!ring->disabled)
		return -EBADFD;
	if (ring->setup_flags & IOURING2_SETUP_SINGLE_ISSUER)
		io2_ring_set_issuer(ring);
	/* release: pairs with io2_enter() */
	smp_store_release(&ring->disabled, false);
	return 0;
}

/**
 * io2_register_clock() - CLOCK: set the clock of waits in ENTER
 * @ring: the ring
 * @uarg: user address of a struct iouring2_clock_register
 * @nr: must be 0
 *
 * A wait that has begun goes on by the clock with which it began.
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -EINVAL or -EFAULT.
 */
int io2_register_clock(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	struct iouring2_clock_register reg;

	lockdep_assert_held(&ring->uring_lock);
	if (!uarg || nr)
		return -EINVAL;
	if (copy_from_user(&reg, uarg, sizeof(reg)))
		return -EFAULT;
	if (memchr_inv(reg.__resv, 0, sizeof(reg.__resv)) ||
	    (reg.clockid != CLOCK_MONOTONIC && reg.clockid != CLOCK_BOOTTIME))
		return -EINVAL;
	WRITE_ONCE(ring->clock, reg.clockid);
	return 0;
}
