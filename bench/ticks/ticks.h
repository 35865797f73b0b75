/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module ticks.c counts, in a page that the measured thread maps from
 * /dev/bench_ticks.
 */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

struct ticks {
	unsigned long long kernel;	/* ticks spent in the kernel */
	unsigned long long calls;	/* system calls that have returned */
};

#endif
