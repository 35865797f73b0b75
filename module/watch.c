// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the ring's watch checks the processes of a ring. ring_watch() (ring.c)
 * does the check.
 *
 * The work item runs on a workqueue of the kernel, and not on the module's own:
 * the files that queue it are in a lower layer than those that the module's
 * workqueue serves.
 */
#include <linux/workqueue.h>

#include "ring.h"
#include "watch.h"

/*
 * Interval between two looks, in jiffies. Not rounded, so that what the watch
 * ends has ended within a second.
 */
#define IO2_WATCH	(HZ * 3 / 4)

/**
 * io2_watch_queue() - queue the next look at the processes of a ring
 * @ring: the ring
 *
 * Context: any.
 */
void io2_watch_queue(struct io2_ring *ring)
{
	if (delayed_work_pending(&ring->watch))
		return;
	WRITE_ONCE(ring->watched, true);
	queue_delayed_work(system_freezable_wq, &ring->watch, IO2_WATCH);
}

/**
 * io2_watch_queue_now() - look at the processes of a ring soon
 * @ring: the ring
 *
 * Context: any, including under another wait queue's lock.
 */
void io2_watch_queue_now(struct io2_ring *ring)
{
	WRITE_ONCE(ring->watched, true);
	mod_delayed_work(system_freezable_wq, &ring->watch, 0);
}

/**
 * io2_watch_stop() - wait until the watch of a ring has ended
 * @ring: a ring for which nothing queues the next look
 *
 * Context: may sleep.
 */
void io2_watch_stop(struct io2_ring *ring)
{
	if (READ_ONCE(ring->watched))
		cancel_delayed_work_sync(&ring->watch);
}
