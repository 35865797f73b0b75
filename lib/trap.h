/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The trap: a handler for SIGSYS, which is mapped at the same address in every program,
 * and a seccomp filter that raises SIGSYS for io_uring's system calls. docs/liburing.md
 * describes the design and the effects on a program.
 */
#ifndef IO2_TRAP_H
#define IO2_TRAP_H

#include "translate.h"

/*
 * The address of the trap. The filter checks the upper half of the address of a call
 * and so allows all calls from these 4 GiB. Nothing else is mapped here:
 * position-independent programs are above 0x5555_0000_0000, and all other mappings are
 * at the ends of the address space. The sanitizers treat this range as memory of the
 * program (MSan from 0x5100_0000_0000 on, TSan from 0x5500_0000_0000 on).
 */
#define IO2_TRAP_HIGH	0x5510UL
#define IO2_TRAP_BASE	(IO2_TRAP_HIGH << 32)
#define IO2_TRAP_DATA	(IO2_TRAP_BASE + 0x10000)
#define IO2_TRAP_DATA_SIZE	0x2000UL
#define IO2_TRAP_MAGIC	0x70617274676e7230UL

/*
 * Under a filter of ours, close(IO2_PROBE) fails with one of these errnos. IO2_PROBE is
 * never a valid descriptor, and no other filter can be expected to forbid close().
 * io_uring_setup cannot be used for this: a filter may kill the process for it.
 */
#define IO2_PROBE	0x90a2b3c4U
#define IO2_PROBE_NARROW	1170
#define IO2_PROBE_WIDE	1171

/*
 * IO2_NARROW	trap io_uring's calls; ignore attempts to replace the handler
 * IO2_WIDE	also trap calls that block or replace SIGSYS, and exec; for programs
 *		in which no preloaded library can do this
 * IO2_RAW	install no filter; make calls that an inherited filter traps unchanged
 */
enum io2_trap_kind { IO2_NARROW, IO2_WIDE, IO2_RAW };

struct io2_kernel_sigaction {
	void		(*handler)(int sig, void *info, void *context);
	unsigned long	flags;
	void		(*restorer)(void);
	unsigned long	mask;
};

/**
 * struct io2_trap_start - data that the helper process writes into a stopped program
 * @settings: the settings
 * @entry: address of the program's first instruction
 * @helper: process ID of the helper, which is reaped before the program starts
 */
struct io2_trap_start {
	struct io2_settings	settings;
	unsigned long		entry;
	int			helper;
};

struct io2_exec;

/**
 * struct io2_trap_head - start of the trap, at IO2_TRAP_BASE
 * @magic: IO2_TRAP_MAGIC
 * @start: entry point for a program that is stopped before its first instruction
 * @begin: entry point for a program that has mapped the trap itself; returns 0 or a
 *	negative errno
 * @translate: io2_translate(), but it never waits with SIGSYS blocked; its system
 *	calls are not trapped
 * @chain: get and set the action that the program has set for SIGSYS
 * @execveat: io2_execveat()
 * @forked: io2_registered_fork()
 * @thread_ends: io2_registered_end()
 */
struct io2_trap_head {
	unsigned long	magic;
	void		(*start)(void);
	int		(*begin)(const struct io2_settings *settings,
				 enum io2_trap_kind kind);
	long		(*translate)(long nr, const long *a, const char *way,
				     struct io2_thread *t);
	void		(*chain)(const struct io2_kernel_sigaction *act,
				 struct io2_kernel_sigaction *old);
	long		(*execveat)(const struct io2_exec *e);
	void		(*forked)(void);
	void		(*thread_ends)(struct io2_thread *t);
};

#define IO2_TRAP_HEAD	((const struct io2_trap_head *)IO2_TRAP_BASE)

#endif
