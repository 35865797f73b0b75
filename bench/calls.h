/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SYSTEM_CALL(call) does @call. If the program is compiled with -DCYCLES, it
 * also takes the time of the program's own part, which ends where a system call
 * begins; see cycles.c. Otherwise it adds no instruction.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdbool.h>

struct own_part {
	unsigned long long ticks;	/* in the program, not in system calls */
	unsigned long long since;	/* the last system call has returned */
};

extern struct own_part own_part;

static inline unsigned long long ticks_now(void)
{
	unsigned int low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (unsigned long long)high << 32 | low;
}

static inline void own_part_begins(void)
{
	own_part.since = ticks_now();
}

static inline void own_part_ends(void)
{
	own_part.ticks += ticks_now() - own_part.since;
}

#ifdef CYCLES
#define OWN_PART_IS_TIMED	true
#define SYSTEM_CALL(call) ({				\
	own_part_ends();				\
	__auto_type ret_of_call = (call);		\
	own_part_begins();				\
	ret_of_call;					\
})
#else
#define OWN_PART_IS_TIMED	false
#define SYSTEM_CALL(call) (call)
#endif

#endif
