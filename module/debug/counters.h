/* SPDX-License-Identifier: GPL-2.0-only */
/* Live objects of the whole module; see /sys/class/misc/iouring2/counters. */
#ifndef IO2_COUNTERS_H
#define IO2_COUNTERS_H

#include <linux/percpu.h>

struct attribute_group;

enum io2_counter {
	IO2_COUNT_RINGS,
	IO2_COUNT_REQUESTS,
	IO2_COUNT_WORKERS,
	IO2_COUNT_SUBMITTERS,
	IO2_COUNT_PAGES,
	IO2_COUNT_FILES,
	IO2_COUNT_NR,
};

/*
 * One counter per CPU. Readers sum them; the value of a single CPU may be
 * negative.
 */
DECLARE_PER_CPU(long [IO2_COUNT_NR], io2_counters);

static inline void io2_count_add(enum io2_counter which, long n)
{
	this_cpu_add(io2_counters[which], n);
}

static inline void io2_count_sub(enum io2_counter which, long n)
{
	this_cpu_sub(io2_counters[which], n);
}

extern const struct attribute_group *io2_attr_groups[];

#endif
