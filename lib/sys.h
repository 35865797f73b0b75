/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * System calls without a C library, for code that runs in programs without one, or
 * in programs whose C library must not be called at that point.
 */
#ifndef IO2_SYS_H
#define IO2_SYS_H

#include <asm/errno.h>
#include <asm/unistd.h>

#ifndef __x86_64__
#error "x86-64 only"
#endif

#ifdef IO2_FAKE_SYS
/* the unit tests simulate the kernel */
long io2_syscall(long nr, long a, long b, long c, long d, long e, long f);
#else
/**
 * io2_syscall() - make a system call
 * @nr: number of the system call
 * @a: first argument, and so on to @f
 *
 * Return: the result of the system call; a negative errno is an error.
 */
static inline long io2_syscall(long nr, long a, long b, long c, long d, long e,
			       long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#endif

#define IO2_P(pointer)	((long)(pointer))

#endif
