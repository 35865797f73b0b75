/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The marks between which insns.c counts. A mark is a long nop, whose
 * displacement says which mark it is. It costs one instruction, even without
 * the plugin.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_BEGIN	0x10b3a511
#define MARK_END	0x10b3a512

static inline void mark_begin(void)
{
	asm volatile("nopl %c0(%%rax,%%rax)" : : "i" (MARK_BEGIN) : "memory");
}

static inline void mark_end(void)
{
	asm volatile("nopl %c0(%%rax,%%rax)" : : "i" (MARK_END) : "memory");
}

#endif
