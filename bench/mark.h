/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The marks between which insns.c counts: a long nop, whose displacement tells
 * them apart. They cost an instruction each, with the plugin or without.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_BEGIN	0x10b3a511
#define MARK_END	0x10b3a512

#define mark(which)							\
	do {								\
		asm volatile("nopl %c0(%%rax,%%rax)"			\
			     : : "i" (which) : "memory");		\
	} while (0)

#endif
