/* SPDX-License-Identifier: GPL-2.0-only */
/* When the ring's watch checks the processes of a ring. */
#ifndef IO2_WATCH_H
#define IO2_WATCH_H

struct io2_ring;

void io2_watch_queue(struct io2_ring *ring);
void io2_watch_queue_now(struct io2_ring *ring);
void io2_watch_stop(struct io2_ring *ring);

#endif
