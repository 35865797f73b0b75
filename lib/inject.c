// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Execute a program and install the trap in it before its first instruction. The
 * launcher does this, and the trap itself does it where no launcher is found.
 *
 * This code cannot use a C library. The caller may have threads, or may be a child
 * of vfork, which shares its memory with its parent.
 */
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/wait.h>
#include <stddef.h>
#include <sys/user.h>

#include "inject.h"
#include "sys.h"
#include "trap.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

#define AF_UNIX		1
#define SOCK_STREAM	1
#define MSG_NOSIGNAL	0x4000
#define SIG_SETMASK	2
#define SIGKILL		9
#define SIGTRAP		5
#define CS_64BIT	0x33

static long trace(long request, long pid, unsigned long at, long data)
{
	return io2_syscall(__NR_ptrace, request, pid, (long)at, data, 0, 0);
}

/* ---- messages between caller and helper ------------------------------------ */

static int say_to(int fd, int value)
{
	/* MSG_NOSIGNAL: the receiver may be dead */
	return io2_syscall(__NR_sendto, fd, IO2_P(&value), sizeof(value), MSG_NOSIGNAL,
			   0, 0) == sizeof(value) ? 0 : -1;
}

static int hear(int fd)
{
	int value;
	long n;

	do
		n = io2_syscall(__NR_read, fd, IO2_P(&value), sizeof(value), 0, 0, 0);
	while (n == -EINTR);
	return n == sizeof(value) ? value : -1;
}

static void close_fd(int fd)
{
	io2_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
}

/* ---- the helper ------------------------------------------------------------ */

__attribute__((noreturn)) static void end(int status)
{
	for (;;)
		io2_syscall(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

/*
 * Wait for a ptrace stop of the kind @wanted, and deliver signals meanwhile. Wait for
 * any thread ID: if a thread executes the program, its ID becomes that of the
 * process. Return: 0 or -1.
 */
static int wait_for(int wanted)
{
	int status;
	long pid;

	for (;;) {
		pid = io2_syscall(__NR_wait4, -1, IO2_P(&status), __WALL, 0, 0, 0);
		if (pid <= 0 || (status & 0xff) != 0x7f)
			return -1;
		if (status >> 8 == wanted)
			return 0;
		if (trace(PTRACE_CONT, pid, 0, status >> 16 ? 0 : status >> 8 & 0xff))
			return -1;
	}
}

static int poke(long pid, unsigned long at, const void *from, size_t size)
{
	const char *p = from;
	size_t i, j;

	for (i = 0; i < size; i += sizeof(long)) {
		unsigned long word = 0;

		for (j = 0; j < sizeof(word) && i + j < size; j++)
			word |= (unsigned long)(unsigned char)p[i + j] << (8 * j);
		if (trace(PTRACE_POKEDATA, pid, at + i, (long)word))
			return -1;
	}
	return 0;
}

/* Let the stopped program call mmap, at its first instruction. */
static int remote_mmap(long pid, const struct user_regs_struct *begin,
		       unsigned long at, unsigned long size, int prot)
{
	struct user_regs_struct r = *begin;

	r.orig_rax = -1UL;
	r.rax = __NR_mmap;
	r.rdi = at;
	r.rsi = size;
	r.rdx = (unsigned long)prot;
	r.r10 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	r.r8 = -1UL;
	r.r9 = 0;
	if (trace(PTRACE_SETREGS, pid, 0, IO2_P(&r)) ||
	    trace(PTRACE_CONT, pid, 0, 0) || wait_for(SIGTRAP) ||
	    trace(PTRACE_GETREGS, pid, 0, IO2_P(&r)))
		return -1;
	return r.rax == at ? 0 : -1;
}

static int put_start(long pid, unsigned long entry)
{
	static const unsigned long at = IO2_TRAP_DATA;
	int self = (int)io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);

	return poke(pid, at + offsetof(struct io2_trap_start, settings), &io2_settings,
		    sizeof(io2_settings)) ||
	       poke(pid, at + offsetof(struct io2_trap_start, entry), &entry,
		    sizeof(entry)) ||
	       poke(pid, at + offsetof(struct io2_trap_start, helper), &self,
		    sizeof(self)) ? -1 : 0;
}

static int put_trap(long pid, const struct io2_inject *what)
{
	static const unsigned char call[8] = { 0x0f, 0x05, 0xcc }; /* syscall, int3 */
	struct user_regs_struct begin;
	unsigned long text;
	int failed;

	if (trace(PTRACE_GETREGS, pid, 0, IO2_P(&begin)))
		return -1;
	if (begin.cs != CS_64BIT)
		return 0;
	if (trace(PTRACE_PEEKDATA, pid, begin.rip, IO2_P(&text)) ||
	    poke(pid, begin.rip, call, sizeof(call)))
		return -1;
	failed = remote_mmap(pid, &begin, IO2_TRAP_BASE, what->size,
			     PROT_READ | PROT_EXEC) ||
		 remote_mmap(pid, &begin, IO2_TRAP_DATA, IO2_TRAP_DATA_SIZE,
			     PROT_READ | PROT_WRITE);
	if (poke(pid, begin.rip, &text, sizeof(text)) || failed ||
	    poke(pid, IO2_TRAP_BASE, what->text, what->size) ||
	    put_start(pid, begin.rip))
		return -1;
	begin.orig_rax = -1UL;
	begin.rax = 0;
	begin.rip = *(unsigned long *)(what->text + offsetof(struct io2_trap_head, start));
	return trace(PTRACE_SETREGS, pid, 0, IO2_P(&begin)) ? -1 : 0;
}

/* The helper process: it traces the caller from before exec to its first instruction. */
__attribute__((noreturn)) static void help(const struct io2_inject *what, long pid,
					   long tid, int channel)
{
	static const char failed[] =
		"iouring2-run: the trap could not be installed in the program\n";
	const long options = PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD;
	long ret;

	io2_settings.skip = what->skip;
	if (hear(channel) < 0)
		end(1);
	ret = trace(PTRACE_SEIZE, tid, 0, options);
	say_to(channel, (int)-ret);
	close_fd(channel);
	if (ret || wait_for(SIGTRAP | PTRACE_EVENT_EXEC << 8))
		end(1);
	/* not earlier: when exec fails, the helper exits and the caller must go on */
	trace(PTRACE_SETOPTIONS, pid, 0, options | PTRACE_O_EXITKILL);
	/* wait for the end of the execve call, which changes rax */
	if (trace(PTRACE_SYSCALL, pid, 0, 0) || wait_for(SIGTRAP | 0x80) ||
	    put_trap(pid, what)) {
		io2_syscall(__NR_write, 2, IO2_P(failed), sizeof(failed) - 1, 0, 0, 0);
		end(1);
	}
	trace(PTRACE_DETACH, pid, 0, 0);
	end(0);
}

/* ---- the caller ------------------------------------------------------------ */

/*
 * Not fork(): without SIGCHLD in the flags of clone, no signal is sent when the helper
 * exits. Signals are blocked, so that the caller's handlers do not run in the helper.
 */
static long start_helper(const struct io2_inject *what, int *channel)
{
	long pid = io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	long tid = io2_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
	unsigned long all = ~0UL, old;
	long helper;

	io2_syscall(__NR_rt_sigprocmask, SIG_SETMASK, IO2_P(&all), IO2_P(&old),
		    sizeof(all), 0, 0);
	helper = io2_syscall(__NR_clone, 0, 0, 0, 0, 0, 0);
	if (!helper) {
		close_fd(channel[0]);
		help(what, pid, tid, channel[1]);
	}
	io2_syscall(__NR_rt_sigprocmask, SIG_SETMASK, IO2_P(&old), 0, sizeof(old),
		    0, 0);
	return helper;
}

long io2_inject(const struct io2_inject *what)
{
	int channel[2];
	long helper, ret;

	ret = io2_syscall(__NR_socketpair, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0,
			  IO2_P(channel), 0, 0);
	if (ret)
		return -ret;
	helper = start_helper(what, channel);
	close_fd(channel[1]);
	if (helper < 0) {
		close_fd(channel[0]);
		return -helper;
	}
	io2_syscall(__NR_prctl, PR_SET_PTRACER, helper, 0, 0, 0, 0);
	say_to(channel[0], 0);
	ret = hear(channel[0]);
	if (ret < 0)
		ret = ECHILD;
	if (!ret)
		ret = io2_exec_as_is(what->exec);
	close_fd(channel[0]);
	io2_syscall(__NR_kill, helper, SIGKILL, 0, 0, 0, 0);
	while (io2_syscall(__NR_wait4, helper, 0, __WALL, 0, 0, 0) == -EINTR)
		;
	return ret;
}
