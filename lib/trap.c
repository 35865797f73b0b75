// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The trap's code. It is linked to a fixed address, without a C library. The preloaded
 * library installs it, or iouring2-run does, before a program's first instruction.
 *
 * The handler takes no lock, because the handler of another signal may interrupt it, may
 * be trapped itself, and may leave by longjmp. For the same reason it keeps no state but
 * the registered rings (registered.c).
 */
#include <asm/sigcontext.h>
#include <linux/audit.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/iouring2.h>
#include <linux/kcmp.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/wait.h>
#include <stddef.h>

#include "exec.h"
#include "inject.h"
#include "sys.h"
#include "trap.h"

#define SIGSYS		31
#define SYS_SECCOMP	1
#define SIG_BLOCK	0
#define SIG_UNBLOCK	1
#define SIG_SETMASK	2
#define SA_SIGINFO	4UL
#define SA_ONSTACK	0x08000000UL
#define SA_RESTORER	0x04000000UL
#define SA_RESTART	0x10000000UL
#define SA_NODEFER	0x40000000UL
#define SA_RESETHAND	0x80000000UL
#define SIG_IGN		1UL
#define BIT_OF(sig)	(1UL << ((sig) - 1))
/* SIGKILL and SIGSTOP cannot be blocked; SIGSYS must not be */
#define NEVER_BLOCKED	(BIT_OF(SIGSYS) | BIT_OF(9) | BIT_OF(19))
#define MASK_SIZE	8

#define NR_CLONE3	435
#define NR_EPOLL_PWAIT2	441

/* the parts of the kernel's ucontext and siginfo that are used here */
struct context {
	unsigned long		flags;
	struct context		*link;
	unsigned long		stack[3];
	struct sigcontext_64	regs;
	unsigned long		mask;
};

struct info {
	int		sig;
	int		err;
	int		code;
	int		pad;
	void		*call_addr;
	int		syscall;
	unsigned int	arch;
};

/* the helper process fills it before io2_trap_entry runs */
__attribute__((section(".start"), used)) struct io2_trap_start io2_start;

static struct io2_kernel_sigaction wanted;	/* the program's action for SIGSYS */
static int raw;

static long real(long nr, const long *a)
{
	return io2_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void *memcpy(void *to, const void *from, size_t n)
{
	volatile char *t = to;
	const char *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int c, size_t n)
{
	volatile char *t = to;

	while (n--)
		*t++ = (char)c;
	return to;
}

static void say(const char *text)
{
	unsigned long n = 0;

	while (text[n])
		n++;
	io2_syscall(__NR_write, 2, IO2_P(text), n, 0, 0, 0);
}

/* ---- signals: SIGSYS stays unblocked, and its handler in place ------------- */

/*
 * The kernel checks addresses that may be invalid, by calls that have no other effect.
 * If an address is invalid, the program's call is made unchanged and fails.
 */
static int is_mask(long at)
{
	return io2_syscall(__NR_rt_sigprocmask, -1, at, 0, MASK_SIZE, 0, 0) != -EFAULT;
}

static int is_action(long at)
{
	return io2_syscall(__NR_rt_sigaction, 0, at, 0, MASK_SIZE, 0, 0) != -EFAULT;
}

static long do_sigprocmask(const long *a, struct context *c)
{
	const unsigned long *set = (void *)a[1];
	unsigned long old = c->mask;

	if (a[3] != MASK_SIZE)
		return -EINVAL;
	if (set) {
		if (!is_mask(a[1]))
			return -EFAULT;
		switch ((int)a[0]) {
		case SIG_BLOCK:
			c->mask |= *set;
			break;
		case SIG_UNBLOCK:
			c->mask &= ~*set;
			break;
		case SIG_SETMASK:
			c->mask = *set;
			break;
		default:
			return -EINVAL;
		}
		c->mask &= ~NEVER_BLOCKED;
	}
	if (a[2]) {
		if (io2_syscall(__NR_rt_sigprocmask, SIG_BLOCK, 0, a[2], MASK_SIZE,
				0, 0) == -EFAULT)
			return -EFAULT;
		*(unsigned long *)a[2] = old;
	}
	return 0;
}

static void on_sigsys(int sig, void *siginfo, void *context);
__attribute__((visibility("hidden"))) void io2_trap_return(void);
__asm__(".text\n"
	"io2_trap_return:\n"
	"	mov $15, %eax\n"	/* rt_sigreturn */
	"	syscall\n");

/*
 * SA_RESTART decides whether a SIGSYS with another cause interrupts a system call. It is
 * taken from the program's action, and set if the program ignores the signal.
 */
static long install_handler(void)
{
	struct io2_kernel_sigaction act = {
		.handler = on_sigsys,
		.flags = SA_SIGINFO | SA_RESTORER | SA_NODEFER | SA_ONSTACK,
		.restorer = io2_trap_return,
	};

	if ((unsigned long)wanted.handler == SIG_IGN)
		act.flags |= SA_RESTART;
	else
		act.flags |= wanted.flags & SA_RESTART;
	return io2_syscall(__NR_rt_sigaction, SIGSYS, IO2_P(&act), 0, MASK_SIZE,
			   0, 0);
}

/* A child of vfork or posix_spawn resets handlers, but shares @wanted with its parent. */
static int is_parents_memory(void)
{
	long pid = io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	long parent = io2_syscall(__NR_getppid, 0, 0, 0, 0, 0, 0);

	return !io2_syscall(__NR_kcmp, pid, parent, KCMP_VM, 0, 0, 0);
}

static void chain(const struct io2_kernel_sigaction *act,
		  struct io2_kernel_sigaction *old)
{
	struct io2_kernel_sigaction was = wanted;

	if (act && !is_parents_memory()) {
		wanted = *act;
		/* the program has read our handler by an untrapped call: no handler */
		if (wanted.handler == on_sigsys)
			wanted.handler = (void *)0;
		install_handler();
	}
	if (old)
		*old = was;
}

static long do_sigaction(const long *a)
{
	struct io2_kernel_sigaction act;
	long args[6] = { a[0], IO2_P(&act), a[2], a[3], 0, 0 };

	if (a[3] != MASK_SIZE || (a[1] && !is_action(a[1])))
		return real(__NR_rt_sigaction, a);
	if (a[1])
		act = *(struct io2_kernel_sigaction *)a[1];
	if ((int)a[0] == SIGSYS) {
		args[1] = 0;
		if (a[2] && real(__NR_rt_sigaction, args) == -EFAULT)
			return -EFAULT;
		chain(a[1] ? &act : (void *)0, (void *)a[2]);
		return 0;
	}
	if (!a[1])
		return real(__NR_rt_sigaction, a);
	act.mask &= ~NEVER_BLOCKED;
	return real(__NR_rt_sigaction, args);
}

/* Copy the mask at @at without SIGSYS to @copy. Return: the address to use. */
static long mask_for_wait(long at, unsigned long *copy)
{
	if (!at || !is_mask(at))
		return at;
	*copy = *(unsigned long *)at & ~NEVER_BLOCKED;
	return IO2_P(copy);
}

/* Make a call that waits with another signal mask, whose address is argument @i. */
static long with_mask(long nr, const long *a, int i)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], a[5] };
	unsigned long mask;

	args[i] = mask_for_wait(args[i], &mask);
	return real(nr, args);
}

/* The last argument of pselect6 points to the mask's address and size. */
static long do_pselect(const long *a)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], a[5] };
	struct { long mask, size; } set;
	unsigned long mask;

	if (!args[5] || !is_mask(args[5]) || !is_mask(args[5] + 8))
		return real(__NR_pselect6, args);
	set.mask = mask_for_wait(((long *)args[5])[0], &mask);
	set.size = ((long *)args[5])[1];
	args[5] = IO2_P(&set);
	return real(__NR_pselect6, args);
}

/* ENTER with a struct iouring2_getevents_arg, which contains the mask's address. */
static long do_enter_ext(const long *a, const char *way, struct io2_thread *t)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], a[5] };
	struct iouring2_getevents_arg ext;
	unsigned long mask;

	if (!is_mask(a[4]) || !is_mask(a[4] + sizeof(ext) - MASK_SIZE))
		return io2_translate(IO2_NR_ENTER, a, way, t);
	ext = *(struct iouring2_getevents_arg *)a[4];
	if (ext.sigmask_sz == MASK_SIZE)
		ext.sigmask = (unsigned long)mask_for_wait((long)ext.sigmask, &mask);
	args[4] = IO2_P(&ext);
	return io2_translate(IO2_NR_ENTER, args, way, t);
}

static long do_enter(const long *a, const char *way, struct io2_thread *t)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], a[5] };
	unsigned long mask;

	if (!a[4] || (a[3] & IOURING2_ENTER_EXT_ARG_REG))
		return io2_translate(IO2_NR_ENTER, a, way, t);
	if (a[3] & IOURING2_ENTER_EXT_ARG)
		return a[5] == sizeof(struct iouring2_getevents_arg) ?
			do_enter_ext(a, way, t) : io2_translate(IO2_NR_ENTER, a, way, t);
	if (a[5] == MASK_SIZE)
		args[4] = mask_for_wait(a[4], &mask);
	return io2_translate(IO2_NR_ENTER, args, way, t);
}

static long translate(long nr, const long *a, const char *way, struct io2_thread *t)
{
	return nr == IO2_NR_ENTER ? do_enter(a, way, t) : io2_translate(nr, a, way, t);
}

/* ---- exec ------------------------------------------------------------------ */

extern const char io2_trap_end[];

/* Ask for a filter of ours: close() of IO2_PROBE fails with the filter's own errno. */
static long inherited(void)
{
	return -io2_syscall(__NR_close, IO2_PROBE, 0, 0, 0, 0, 0);
}

static int is_skipped(const char *path)
{
	const char *name = path;

	for (; *path; path++) {
		if (*path == '/')
			name = path + 1;
	}
	return io2_skipped(io2_settings.names, name);
}

/*
 * The launcher cannot be found, for example in another root directory, or the program
 * has no path. This process then executes it, and installs a copy of its own trap.
 */
long io2_exec_alone(const struct io2_exec *e, enum io2_exec_kind kind)
{
	struct io2_inject what = {
		.exec = e,
		.text = (const char *)IO2_TRAP_BASE,
		.size = (unsigned long)(io2_trap_end - (const char *)IO2_TRAP_BASE),
	};
	long ret, filter = inherited();

	if (kind == IO2_EXEC_UNREADABLE && filter == IO2_PROBE_WIDE)
		return -EACCES;
	/* under the narrow filter, a file of unknown format can start without the handler */
	if (kind == IO2_EXEC_UNREADABLE || !filter ||
	    (kind == IO2_EXEC_UNKNOWN && filter != IO2_PROBE_WIDE))
		return io2_exec_as_is(e);
	what.skip = is_skipped(e->path);
	ret = io2_inject(&what);
	if (ret <= 0)
		return ret;
	if (kind == IO2_EXEC_UNKNOWN)
		return io2_exec_as_is(e);
	say("iouring2-run: ptrace, which is needed here, is refused: ");
	say(e->path[0] ? e->path : "a program");
	if (filter == IO2_PROBE_WIDE) {
		say(" is not started\n");
		return -ret;
	}
	say(" is started without the trap, and is killed if it uses io_uring\n");
	return io2_exec_as_is(e);
}

static long do_exec(int dir, const long *a, int flags)
{
	struct io2_exec e = { dir, (void *)a[0], (void *)a[1], (void *)a[2], flags };

	return io2_execveat(&e);
}

/* ---- the handler ----------------------------------------------------------- */

static long dispatch(long nr, const long *a, struct context *c)
{
	if (nr == __NR_rt_sigprocmask)
		return do_sigprocmask(a, c);
	if (raw)
		return real(nr, a);
	switch (nr) {
	case IO2_NR_ENTER:
	case IO2_NR_SETUP:
	case IO2_NR_REGISTER:
		return translate(nr, a, "trap", (void *)0);
	case __NR_rt_sigaction:
		return do_sigaction(a);
	case __NR_rt_sigsuspend:
		return with_mask(nr, a, 0);
	case __NR_ppoll:
		return with_mask(nr, a, 3);
	case __NR_epoll_pwait:
	case NR_EPOLL_PWAIT2:
		return with_mask(nr, a, 4);
	case __NR_pselect6:
		return do_pselect(a);
	case __NR_execve:
		return do_exec(AT_FDCWD, a, 0);
	case __NR_execveat:
		return do_exec((int)a[0], a + 1, (int)a[4]);
	default:
		return -ENOSYS;
	}
}

static int is_ours(const struct info *info)
{
	if (info->code != SYS_SECCOMP || info->arch != AUDIT_ARCH_X86_64)
		return 0;
	switch (info->syscall) {
	case IO2_NR_SETUP:
	case IO2_NR_ENTER:
	case IO2_NR_REGISTER:
	case __NR_rt_sigprocmask:
	case __NR_rt_sigaction:
	case __NR_rt_sigsuspend:
	case __NR_ppoll:
	case __NR_epoll_pwait:
	case NR_EPOLL_PWAIT2:
	case __NR_pselect6:
	case __NR_execve:
	case __NR_execveat:
		return 1;
	default:
		return 0;
	}
}

/* Call the program's handler. sigreturn restores the mask from before the signal. */
static void call_wanted(int sig, void *info, struct context *c,
			struct io2_kernel_sigaction *act)
{
	struct io2_kernel_sigaction none = { .handler = 0 };

	if (act->flags & SA_RESETHAND)
		chain(&none, 0);
	act->mask &= ~NEVER_BLOCKED;
	if (act->mask)
		io2_syscall(__NR_rt_sigprocmask, SIG_BLOCK, IO2_P(&act->mask), 0,
			    MASK_SIZE, 0, 0);
	act->handler(sig, info, c);
	c->mask &= ~NEVER_BLOCKED;
}

/* A SIGSYS with another cause: kill(2), or another filter of the program. */
static void not_ours(int sig, void *info, void *context)
{
	struct io2_kernel_sigaction act = wanted, none = { .handler = 0 };
	long pid, tid;

	if ((unsigned long)act.handler > SIG_IGN) {
		call_wanted(sig, info, context, &act);
		return;
	}
	/* the program ignores a SIGSYS that a process has sent (si_code <= 0) */
	if ((unsigned long)act.handler == SIG_IGN && ((struct info *)info)->code <= 0)
		return;
	pid = io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	tid = io2_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
	io2_syscall(__NR_rt_sigaction, SIGSYS, IO2_P(&none), 0, MASK_SIZE, 0, 0);
	io2_syscall(__NR_tgkill, pid, tid, SIGSYS, 0, 0, 0);
}

static void on_sigsys(int sig, void *siginfo, void *context)
{
	struct context *c = context;
	long a[6] = { (long)c->regs.di, (long)c->regs.si, (long)c->regs.dx,
		      (long)c->regs.r10, (long)c->regs.r8, (long)c->regs.r9 };
	struct info *info = siginfo;

	if (is_ours(info))
		c->regs.ax = (unsigned long)dispatch(info->syscall, a, c);
	else
		not_ours(sig, siginfo, context);
}

/* Keep the previous action, which a constructor or the parent may have set. */
static long take_sigsys(void)
{
	unsigned long unblock = BIT_OF(SIGSYS);
	long ret;

	ret = io2_syscall(__NR_rt_sigaction, SIGSYS, 0, IO2_P(&wanted), MASK_SIZE,
			  0, 0);
	if (!ret)
		ret = install_handler();
	if (!ret)
		ret = io2_syscall(__NR_rt_sigprocmask, SIG_UNBLOCK,
				  IO2_P(&unblock), 0, MASK_SIZE, 0, 0);
	return ret;
}

/* ---- the filter ------------------------------------------------------------ */

#define LOW(i)	(offsetof(struct seccomp_data, args) + 8 * (i))
#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
#define RETURN(what)	BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW		RETURN(SECCOMP_RET_ALLOW)
#define TRAP		RETURN(SECCOMP_RET_TRAP)
/* unless the value is @v, skip @n instructions */
#define UNLESS_SKIP(v, n)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, n)
#define IF_SKIP(v, n)		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, n, 0)
/* trap the call @nr; does not change the loaded value, so these can be repeated */
#define TRAP_CALL(nr)	UNLESS_SKIP(nr, 1), TRAP
/* trap the call @call if its first argument is @v */
#define TRAP_IF_FIRST(call, v)						\
	UNLESS_SKIP(call, 4), LOAD(LOW(0)), UNLESS_SKIP(v, 1), TRAP,	\
	LOAD(offsetof(struct seccomp_data, nr))
/* trap the call @nr if its pointer argument @i is not NULL, else allow it */
#define TRAP_IF_POINTER(nr, i)						\
	UNLESS_SKIP(nr, 6), LOAD(LOW(i)), UNLESS_SKIP(0, 3),		\
	LOAD(LOW(i) + 4), UNLESS_SKIP(0, 1), ALLOW, TRAP

#define BEGINNING(answer)						\
	LOAD(offsetof(struct seccomp_data, arch)),			\
	IF_SKIP(AUDIT_ARCH_X86_64, 1), ALLOW,				\
	LOAD(offsetof(struct seccomp_data, nr)),			\
	UNLESS_SKIP(__NR_close, 3),					\
	LOAD(LOW(0)), UNLESS_SKIP(IO2_PROBE, 1),			\
	RETURN(SECCOMP_RET_ERRNO | (answer)),				\
	LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4),	\
	UNLESS_SKIP(IO2_TRAP_HIGH, 1), ALLOW,				\
	LOAD(offsetof(struct seccomp_data, nr)),			\
	TRAP_CALL(IO2_NR_ENTER), TRAP_CALL(IO2_NR_SETUP),		\
	TRAP_CALL(IO2_NR_REGISTER)

/*
 * The preloaded library stores a handler for SIGSYS that the program sets. A call of
 * rt_sigaction for SIGSYS that reaches the filter succeeds without effect. It cannot
 * be trapped, because posix_spawn makes it with all signals blocked.
 */
static const struct sock_filter narrow[] = {
	BEGINNING(IO2_PROBE_NARROW),
	IF_SKIP(__NR_rt_sigaction, 1), ALLOW,
	LOAD(LOW(0)), IF_SKIP(SIGSYS, 1), ALLOW,
	LOAD(LOW(1)), UNLESS_SKIP(0, 3),
	LOAD(LOW(1) + 4), UNLESS_SKIP(0, 1), ALLOW,
	RETURN(SECCOMP_RET_ERRNO | 0),
};

/*
 * Under this filter SIGSYS is never blocked, so these calls can be trapped. clone3 can
 * reset the handler in the child, which posix_spawn of newer C libraries requests. It
 * therefore fails with ENOSYS, as before Linux 5.3. clone cannot reset the handler.
 */
static const struct sock_filter wide[] = {
	BEGINNING(IO2_PROBE_WIDE),
	TRAP_CALL(__NR_execve), TRAP_CALL(__NR_execveat),
	TRAP_CALL(__NR_rt_sigsuspend),
	UNLESS_SKIP(NR_CLONE3, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS),
	TRAP_IF_FIRST(__NR_rt_sigaction, SIGSYS),
	TRAP_IF_POINTER(__NR_rt_sigaction, 1),
	TRAP_IF_POINTER(__NR_rt_sigprocmask, 1),
	TRAP_IF_POINTER(__NR_ppoll, 3),
	TRAP_IF_POINTER(__NR_epoll_pwait, 4),
	TRAP_IF_POINTER(NR_EPOLL_PWAIT2, 4),
	TRAP_IF_POINTER(__NR_pselect6, 5),
	ALLOW,
};

static long install_filter(enum io2_trap_kind kind)
{
	struct sock_fprog prog = {
		.len = kind == IO2_WIDE ? sizeof(wide) / sizeof(wide[0]) :
					  sizeof(narrow) / sizeof(narrow[0]),
		.filter = (void *)(kind == IO2_WIDE ? wide : narrow),
	};
	long ret, has = inherited();

	if (has == IO2_PROBE_WIDE || (has == IO2_PROBE_NARROW && kind == IO2_NARROW))
		return 0;
	ret = io2_syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (ret)
		return ret;
	ret = io2_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_TSYNC, IO2_P(&prog), 0, 0, 0);
	return ret > 0 ? -EBUSY : ret;
}

/* ---- entry points ---------------------------------------------------------- */

static int begin(const struct io2_settings *settings, enum io2_trap_kind kind)
{
	long ret;

	io2_settings = *settings;
	raw = kind == IO2_RAW;
	ret = take_sigsys();
	if (ret || raw)
		return (int)ret;
	/* a skipped program needs no filter, unless it has inherited one */
	if (settings->skip && !inherited())
		return 0;
	return (int)install_filter(kind);
}

__attribute__((used)) unsigned long io2_trap_start_c(void)
{
	if (io2_start.helper)
		io2_syscall(__NR_wait4, io2_start.helper, 0, __WALL, 0, 0, 0);
	if (begin(&io2_start.settings, IO2_WIDE)) {
		say("iouring2-run: cannot install the trap, which needs seccomp filters\n");
		io2_syscall(__NR_exit_group, 126, 0, 0, 0, 0, 0);
	}
	return io2_start.entry;
}

/*
 * Runs before the program's first instruction. It preserves the stack pointer and rdx,
 * from which the program reads what the kernel passes to it.
 */
__attribute__((visibility("hidden"))) void io2_trap_entry(void);
__asm__(".text\n"
	"io2_trap_entry:\n"
	"	push %rdx\n"
	"	mov %rsp, %rbx\n"
	"	and $-16, %rsp\n"
	"	xor %ebp, %ebp\n"
	"	call io2_trap_start_c\n"
	"	mov %rbx, %rsp\n"
	"	pop %rdx\n"
	"	mov %rax, %r11\n"
	"	xor %eax, %eax\n"
	"	xor %ebx, %ebx\n"
	"	xor %ecx, %ecx\n"
	"	xor %esi, %esi\n"
	"	xor %edi, %edi\n"
	"	xor %r8d, %r8d\n"
	"	xor %r9d, %r9d\n"
	"	xor %r10d, %r10d\n"
	"	jmp *%r11\n");

__attribute__((section(".head"), used))
const struct io2_trap_head io2_trap_head_at = {
	.magic = IO2_TRAP_MAGIC,
	.start = io2_trap_entry,
	.begin = begin,
	.translate = translate,
	.chain = chain,
	.execveat = io2_execveat,
	.forked = io2_registered_fork,
	.thread_ends = io2_registered_end,
};
