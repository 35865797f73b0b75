// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits that the kernel restarts after task work of another subsystem. It calls
 * the module again with the same arguments. The deadlines of the wait are kept, so
 * that a relative timeout does not start anew.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>

#include "restart.h"

/* Return: current's slot, or a free one; if there is none, the first. */
static struct io2_restart *restart_slot(struct io2_ring *ring)
{
	struct io2_restart *r, *free = &ring->restarts[0];
	unsigned int i;

	lockdep_assert_held(&ring->uring_lock);
	for (i = 0; i < IO2_RESTARTS; i++) {
		r = &ring->restarts[i];
		if (r->task == current)
			return r;
		if (!r->task)
			free = r;
	}
	return free;
}

/**
 * io2_restart_remember() - keep the deadlines of a wait that will be restarted
 * @ring: the ring
 * @key: tells the calls of a task apart
 * @at: when the wait ends
 *
 * If too many tasks restart at once, one of them loses its deadlines.
 *
 * Context: may sleep; uring_lock not held.
 */
void io2_restart_remember(struct io2_ring *ring, u64 key,
			  const struct io2_deadlines *at)
{
	struct io2_restart *r;

	mutex_lock(&ring->uring_lock);
	r = restart_slot(ring);
	r->task = current;
	r->key = key;
	r->at = *at;
	WRITE_ONCE(ring->restarting, true);
	mutex_unlock(&ring->uring_lock);
}

/**
 * io2_restart_find() - the slow path of io2_restart_recall()
 * @ring: the ring
 * @key: see io2_restart_recall()
 * @at: see io2_restart_recall()
 *
 * Context: may sleep; uring_lock not held.
 * Return: see io2_restart_recall().
 */
bool io2_restart_find(struct io2_ring *ring, u64 key, struct io2_deadlines *at)
{
	struct io2_restart *r;
	bool found = false;

	mutex_lock(&ring->uring_lock);
	r = restart_slot(ring);
	if (r->task == current) {
		found = r->key == key;
		r->task = NULL;
	}
	if (found) {
		at->expires = min(at->expires, r->at.expires);
		at->min_expires = min(at->min_expires, r->at.min_expires);
	}
	mutex_unlock(&ring->uring_lock);
	return found;
}
