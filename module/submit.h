/* SPDX-License-Identifier: GPL-2.0-only */
/* The first half of ENTER: accepting requests. */
#ifndef IO2_SUBMIT_H
#define IO2_SUBMIT_H

#include <linux/types.h>

struct io2_ring;

int io2_submit(struct io2_ring *ring, u32 to_submit);
int io2_submit_deferring(struct io2_ring *ring, u32 to_submit, bool getevents);

#endif
