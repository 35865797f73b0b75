// SPDX-License-Identifier: GPL-2.0-only
/* Timeouts that wait for a number of completions. */
#include "count.h"
#include "defer.h"
#include "hash.h"
#include "req.h"
#include "ring.h"

/**
 * io2_counted_del() - a timeout does not wait for completions any more
 * @t: the timeout; it need not have waited for any
 *
 * Context: inflight_lock held.
 */
void io2_counted_del(struct io2_timer *t)
{
	struct io2_ring *ring = t->req->ring;

	lockdep_assert_held(&ring->inflight_lock);
	if (list_empty(&t->node))
		return;
	list_del_init(&t->node);
	WRITE_ONCE(ring->nr_counted, ring->nr_counted - 1);
}

/**
 * io2_counted_expire() - end timeouts whose number of completions was reached
 * @ring: the ring; CQEs were posted, and @nr_counted was not 0 after that
 *
 * Context: task context; inflight_lock not held.
 */
void io2_counted_expire(struct io2_ring *ring)
{
	struct io2_timer *t, *next;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry_safe(t, next, &ring->counted, node) {
		if ((s32)(READ_ONCE(ring->cq_events) - t->target) < 0)
			break;
		io2_counted_del(t);
		if (hrtimer_try_to_cancel(&t->timer) != 1)
			continue;
		io2_hash_del(t->req);
		t->req->res = 0;
		io2_defer(t->req);
	}
	spin_unlock(&ring->inflight_lock);
}

/**
 * io2_counted_add() - have a timeout wait for completions, too
 * @t: the timeout
 * @count: number of completions from now on
 *
 * The list is sorted by target, soonest first.
 *
 * Context: inflight_lock held.
 */
void io2_counted_add(struct io2_timer *t, u32 count)
{
	struct io2_ring *ring = t->req->ring;
	struct io2_timer *pos;

	lockdep_assert_held(&ring->inflight_lock);
	WRITE_ONCE(ring->nr_counted, ring->nr_counted + 1);
	/* a poster sees nr_counted, or we see what it has posted */
	smp_mb();
	/* targets are compared by signed distance, so it must fit S32_MAX */
	t->target = READ_ONCE(ring->cq_events) + min_t(u32, count, S32_MAX);
	list_for_each_entry_reverse(pos, &ring->counted, node)
		if ((s32)(t->target - pos->target) >= 0)
			break;
	list_add(&t->node, &pos->node);
}
