// SPDX-License-Identifier: GPL-2.0-only
/* Register opcodes that change how the ring as a whole works. */
#include "register_ring.h"

/**
 * io2_register_enable() - ENABLE_RINGS: from now on ENTER is accepted
 * @ring: the ring
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
	/* release: pairs with io2_enter() */
	smp_store_release(&ring->disabled, false);
	return 0;
}
