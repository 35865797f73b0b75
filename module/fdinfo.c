// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID/fdinfo/FD of a ring: one key per line, values in decimal. */
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "fdinfo.h"
#include "ring.h"
#include "rings.h"
#include "worker.h"

static const char * const state_names[] = {
	[IO2_NEW]	= "new",
	[IO2_LIVE]	= "live",
	[IO2_DYING]	= "dying",
	[IO2_DEAD]	= "dead",
};

/* A snapshot of the rings, on the reader's stack. */
struct rings_numbers {
	u32	sq_entries, cq_entries;
	u32	sq_head, sq_tail, cq_head, cq_tail;
};

static struct rings_numbers rings_numbers(const struct io2_ring *ring)
{
	const struct io2_rings *rings = io2_rings_lock(ring);
	const struct io2_shared *shared = rings->shared;
	struct rings_numbers n = {
		.sq_entries	= rings->sq_entries,
		.cq_entries	= rings->cq_entries,
		.sq_head	= READ_ONCE(shared->sq_head),
		.sq_tail	= READ_ONCE(shared->sq_tail),
		.cq_head	= READ_ONCE(shared->cq_head),
		.cq_tail	= READ_ONCE(shared->cq_tail),
	};

	io2_rings_unlock();
	return n;
}

static void show_rings(struct seq_file *m, const struct io2_ring *ring)
{
	struct rings_numbers n = rings_numbers(ring);

	seq_printf(m, "SqMask:\t%u\n", n.sq_entries - 1);
	seq_printf(m, "SqHead:\t%u\n", n.sq_head);
	seq_printf(m, "SqTail:\t%u\n", n.sq_tail);
	seq_printf(m, "CachedSqHead:\t%u\n", READ_ONCE(ring->sq_head));
	seq_printf(m, "CqMask:\t%u\n", n.cq_entries - 1);
	seq_printf(m, "CqHead:\t%u\n", n.cq_head);
	seq_printf(m, "CqTail:\t%u\n", n.cq_tail);
	seq_printf(m, "CachedCqTail:\t%u\n", READ_ONCE(ring->cq_tail));
}

/* A consistent snapshot of fields that cq_lock guards; on the reader's stack. */
struct cq_numbers {
	u64	completed, total;
	u32	backlog, max;
};

static struct cq_numbers cq_numbers(const struct io2_ring *ring)
{
	lockdep_assert_held(&ring->cq_lock);
	/* on a ring that defers to its issuer, cq_lock guards none of them */
	return (struct cq_numbers) {
		.completed	= READ_ONCE(ring->completed),
		.total		= READ_ONCE(ring->backlog_total),
		.backlog	= READ_ONCE(ring->nr_backlog),
		.max		= READ_ONCE(ring->backlog_max),
	};
}

/**
 * io2_show_fdinfo() - show the state of a ring
 * @m: the seq_file to print to
 * @file: the ring's file
 *
 * Takes cq_lock and pool_lock, one after the other. Does not take uring_lock,
 * so that it never waits for an ENTER: the values of the submission side are a
 * snapshot.
 *
 * Context: may sleep.
 */
void io2_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct io2_ring *ring = file->private_data;
	u64 accepted = READ_ONCE(ring->accepted);
	struct cq_numbers cq;

	spin_lock(&ring->cq_lock);
	cq = cq_numbers(ring);
	spin_unlock(&ring->cq_lock);
	/* @accepted was read first: later completions must not make it negative */
	if (accepted < cq.completed)
		accepted = cq.completed;

	seq_printf(m, "RingId:\t%llu\n", ring->id);
	show_rings(m, ring);
	seq_printf(m, "Inflight:\t%llu\n", accepted - cq.completed);
	seq_printf(m, "InflightMax:\t%u\n", ring->max_inflight);
	seq_printf(m, "Backlog:\t%u\n", cq.backlog);
	seq_printf(m, "BacklogMax:\t%u\n", cq.max);
	seq_printf(m, "BacklogTotal:\t%llu\n", cq.total);
	seq_printf(m, "EbusyTotal:\t%llu\n", READ_ONCE(ring->ebusy));
	seq_printf(m, "Submitted:\t%llu\n", accepted);
	seq_printf(m, "Completed:\t%llu\n", cq.completed);
	seq_printf(m, "Workers:\t%u\n", io2_workers_nr(ring));
	seq_printf(m, "State:\t%s\n", state_names[READ_ONCE(ring->state)]);
}
