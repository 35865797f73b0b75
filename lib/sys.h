/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * System calls without a C library: what is built from this also runs where
 * there is none, or where its own system calls must not be disturbed.
 */
#ifndef IO2_SYS_H
#define IO2_SYS_H

#include <asm/errno.h>
#include <asm/unistd.h>

#ifndef __x86_64__
#error "x86-64 only"
#endif

#ifdef IO2_FAKE_SYS
/* the unit tests bring their own kernel */
long io2_syscall(long nr, long a, long b, long c, long d, long e, long f);
#else
/**
 * io2_syscall() - a system call
 * @nr: its number
 * @a: first argument, and so on to @f
 *
 * Return: what the kernel returned: a negative errno is an error.
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
