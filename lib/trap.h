/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The trap: a handler for SIGSYS, mapped at one fixed place in every program
 * that has it, and the seccomp filter that makes io_uring's system calls end up
 * there. docs/liburing.md says why, and what it does to a program.
 */
#ifndef IO2_TRAP_H
#define IO2_TRAP_H

#include "translate.h"

/*
 * Where it is. The filter lets through whatever is called from these 4 GiB, by
 * the upper half of the address. Nothing else lives here: programs that can be
 * moved are above 0x5555_0000_0000, all others at the ends of the address space.
 * The sanitizers take this for a program's memory, not for theirs (MSan from
 * 0x5100_0000_0000 on, TSan from 0x5500_0000_0000).
 */
#define IO2_TRAP_HIGH	0x5510UL
#define IO2_TRAP_BASE	(IO2_TRAP_HIGH << 32)
#define IO2_TRAP_DATA	(IO2_TRAP_BASE + 0x10000)
#define IO2_TRAP_DATA_SIZE	0x2000UL
#define IO2_TRAP_MAGIC	0x70617274676e7230UL

/*
 * close(IO2_PROBE) fails with these where there is a filter of ours: a descriptor
 * that cannot be, of a call that no other filter forbids. One may kill on
 * io_uring_setup, also in programs that do not use it.
 */
#define IO2_PROBE	0x90a2b3c4U
#define IO2_PROBE_NARROW	1170
#define IO2_PROBE_WIDE	1171

/*
 * IO2_NARROW	io_uring's calls; another handler for SIGSYS is ignored
 * IO2_WIDE	also what blocks or replaces SIGSYS, and exec: for programs
 *		without a C library in which that could be done
 * IO2_RAW	no filter; what an inherited one traps is done as it is
 */
enum io2_trap_kind { IO2_NARROW, IO2_WIDE, IO2_RAW };

struct io2_kernel_sigaction {
	void		(*handler)(int sig, void *info, void *context);
	unsigned long	flags;
	void		(*restorer)(void);
	unsigned long	mask;
};

/**
 * struct io2_trap_start - what the launcher leaves in a program that it stopped
 * @settings: settings
 * @entry: where the program begins
 * @helper: process to be waited for before it does
 */
struct io2_trap_start {
	struct io2_settings	settings;
	unsigned long		entry;
	int			helper;
};

struct io2_exec;

/**
 * struct io2_trap_head - what is at IO2_TRAP_BASE
 * @magic: IO2_TRAP_MAGIC
 * @start: where a stopped program is sent
 * @begin: for a program that mapped the trap itself; 0 or a negative errno
 * @translate: io2_translate(), which never waits with SIGSYS blocked; what it asks
 *	the kernel is not trapped
 * @chain: get and set the handler that the program itself wants for SIGSYS
 * @execveat: io2_execveat()
 */
struct io2_trap_head {
	unsigned long	magic;
	void		(*start)(void);
	int		(*begin)(const struct io2_settings *settings,
				 enum io2_trap_kind kind);
	long		(*translate)(long nr, const long *a, const char *way);
	void		(*chain)(const struct io2_kernel_sigaction *act,
				 struct io2_kernel_sigaction *old);
	long		(*execveat)(const struct io2_exec *e);
};

#define IO2_TRAP_HEAD	((const struct io2_trap_head *)IO2_TRAP_BASE)

#endif
