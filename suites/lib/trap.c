// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program that makes the calls of io_uring by the syscall instruction, and uses
 * signals as programs do. It needs no liburing and no ring, because a call that
 * fails also shows how it reached the kernel.
 *
 * usage: trap [PROGRAM]	PROGRAM is started in several ways, and must exit
 *				with 0; with more arguments the program does nothing
 *
 * Exit status: 0, or 1 after a line about the error
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/sys.h"
#include "../../lib/trap.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# trap.c:%d: %s\n", __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	sigset_t set;

	/* the mask of this handler would block SIGSYS */
	io2_syscall(426, -1, 0, 0, 0, 0, 0);
	handled = sig;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The descriptor is invalid: EBADF, or ENOSYS on a kernel without io_uring. */
static int call_works(void)
{
	long ret = io2_syscall(426, -1, 0, 0, 0, 0, 0);

	return ret == -EBADF || ret == -ENOSYS;
}

static void on_early(int sig)
{
	handled = -sig;
}

static int early_is_lost;

/*
 * This runs before all constructors, and so before that of the preloaded library.
 * In a dynamic program that has inherited a filter, the trap is active even
 * earlier, and this handler has no effect.
 */
static void early(void)
{
	early_is_lost = io2_syscall(__NR_close, IO2_PROBE, 0, 0, 0, 0, 0) == -IO2_PROBE_NARROW;
	signal(SIGSYS, on_early);
}

__attribute__((section(".preinit_array"), used)) static void (*const at_start)(void) = early;

/* A handler of SIGSYS that was set before the trap stays the program's handler. */
static void earlier_handler(void)
{
	struct sigaction now;

	if (early_is_lost)
		return;
	CHECK(!sigaction(SIGSYS, NULL, &now) && now.sa_handler == on_early);
	raise(SIGSYS);
	CHECK(handled == -SIGSYS);
	CHECK(call_works() && handled == -SIGSYS);
	CHECK(signal(SIGSYS, SIG_DFL) == on_early);
}

static void masks(void)
{
	sigset_t all, now;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_SETMASK, &all, NULL));
	CHECK(call_works());
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &now));
	CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGTERM));
	CHECK(!sigismember(&now, SIGKILL));
	sigemptyset(&all);
	sigaddset(&all, SIGUSR1);
	CHECK(!sigprocmask(SIG_UNBLOCK, &all, &now));
	CHECK(sigismember(&now, SIGUSR1));
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &now) && !sigismember(&now, SIGUSR1));
	sigemptyset(&all);
	CHECK(!sigprocmask(SIG_SETMASK, &all, NULL));
	CHECK(sigprocmask(1234, &all, NULL) == -1 && errno == EINVAL);
}

static void handlers(void)
{
	struct sigaction act = { .sa_handler = on_signal }, old;

	sigfillset(&act.sa_mask);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	CHECK(!sigaction(SIGUSR1, NULL, &old) && old.sa_handler == on_signal);
	raise(SIGUSR1);
	CHECK(handled == SIGUSR1);
	CHECK(!sigaction(SIGSYS, &act, NULL));
	CHECK(call_works());
	CHECK(handled == SIGUSR1);
	raise(SIGSYS);
	CHECK(handled == SIGSYS);
	CHECK(signal(SIGSYS, SIG_IGN) == on_signal);
	CHECK(call_works());
	raise(SIGSYS);
}

static int status_of(pid_t pid);

static sigset_t mask_in_handler;

static void on_masked(int sig)
{
	handled = sig;
	sigprocmask(SIG_SETMASK, NULL, &mask_in_handler);
}

/* The mask and the flags of a handler of SIGSYS take effect, and sigaction returns them. */
static void masked_handler(void)
{
	struct sigaction act = { .sa_handler = on_masked, .sa_flags = SA_RESETHAND }, old;
	sigset_t now;

	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGUSR2);
	sigaddset(&act.sa_mask, SIGSYS);
	CHECK(!sigaction(SIGSYS, &act, NULL));
	CHECK(!sigaction(SIGSYS, NULL, &old));
	CHECK(old.sa_handler == on_masked && (old.sa_flags & SA_RESETHAND));
	CHECK(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGUSR1));
	/* not raise(): older ones block all signals meanwhile, but SIGSYS stays unblocked */
	kill(getpid(), SIGSYS);
	CHECK(handled == SIGSYS);
	CHECK(sigismember(&mask_in_handler, SIGUSR2) && !sigismember(&mask_in_handler, SIGUSR1));
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &now) && !sigismember(&now, SIGUSR2));
	CHECK(!sigaction(SIGSYS, NULL, &old) && old.sa_handler == SIG_DFL);
}

/* Return: the result of a read that SIGSYS interrupts, at most @times */
static long read_interrupted(int times)
{
	struct timespec nap = { .tv_nsec = 20000000 };
	int fds[2], err, i;
	char c = 0;
	pid_t pid;
	long ret;

	CHECK(!pipe(fds));
	pid = fork();
	if (!pid) {
		for (i = 0; i < times; i++) {
			nanosleep(&nap, NULL);
			kill(getppid(), SIGSYS);
		}
		nanosleep(&nap, NULL);
		_exit(write(fds[1], &c, 1) != 1);
	}
	ret = read(fds[0], &c, 1);
	err = errno;
	kill(pid, SIGKILL);
	status_of(pid);
	close(fds[0]);
	close(fds[1]);
	return ret < 0 ? -err : ret;
}

static void restarted(void)
{
	struct sigaction act = { .sa_handler = on_masked };

	CHECK(!sigaction(SIGSYS, &act, NULL));
	CHECK(read_interrupted(500) == -EINTR);
	act.sa_flags = SA_RESTART;
	CHECK(!sigaction(SIGSYS, &act, NULL));
	CHECK(read_interrupted(2) == 1);
	CHECK(signal(SIGSYS, SIG_IGN) == on_masked);
	CHECK(read_interrupted(2) == 1);
	CHECK(signal(SIGSYS, SIG_DFL) == SIG_IGN);
}

/* A program that reads the action by its own system call and sets it again has no handler. */
static void action_put_back(void)
{
	struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } raw;
	struct sigaction act;
	int status;
	pid_t pid;

	memset(&act, 0, sizeof(act));
	pid = fork();
	if (!pid) {
		io2_syscall(__NR_rt_sigaction, SIGSYS, 0, IO2_P(&raw), 8, 0, 0);
		act.sa_handler = (void (*)(int))raw.handler;
		act.sa_flags = (int)raw.flags;
		sigaction(SIGSYS, &act, NULL);
		raise(SIGSYS);
		_exit(9);
	}
	status = status_of(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Waits with all signals blocked but one, whose handler makes a trapped call. */
static void waits(void)
{
	struct timespec second = { 1, 0 };
	int epoll = epoll_create1(0);
	struct epoll_event event;
	sigset_t set, none;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGUSR1);
	handled = 0;
	CHECK(ppoll(NULL, 0, &second, &none) == -1 && errno == EINTR);
	CHECK(handled == SIGUSR1);
	raise(SIGUSR1);
	sigfillset(&set);
	sigdelset(&set, SIGUSR1);
	handled = 0;
	CHECK(pselect(0, NULL, NULL, NULL, &second, &set) == -1 && errno == EINTR);
	CHECK(handled == SIGUSR1);
	raise(SIGUSR1);
	handled = 0;
	CHECK(epoll_pwait(epoll, &event, 1, 1000, &set) == -1 && errno == EINTR);
	CHECK(handled == SIGUSR1);
	close(epoll);
	raise(SIGUSR1);
	handled = 0;
	CHECK(sigsuspend(&set) == -1 && errno == EINTR && handled == SIGUSR1);
	CHECK(!sigprocmask(SIG_SETMASK, &none, NULL));
}

/* since glibc 2.35 */
int epoll_pwait2(int fd, struct epoll_event *events, int n,
		 const struct timespec *timeout, const sigset_t *set);
#pragma weak epoll_pwait2

static void newer_wait(void)
{
	struct timespec second = { 1, 0 };
	int epoll = epoll_create1(0);
	struct epoll_event event;
	sigset_t set;

	sigemptyset(&set);
	CHECK(!sigprocmask(SIG_SETMASK, &set, NULL));
	if (epoll_pwait2 && (!epoll_pwait2(epoll, &event, 1, &(struct timespec){ 0 }, NULL) ||
			     errno != ENOSYS)) {
		sigaddset(&set, SIGUSR1);
		CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
		raise(SIGUSR1);
		sigfillset(&set);
		sigdelset(&set, SIGUSR1);
		handled = 0;
		CHECK(epoll_pwait2(epoll, &event, 1, &second, &set) == -1 && errno == EINTR);
		CHECK(handled == SIGUSR1);
		sigemptyset(&set);
		CHECK(!sigprocmask(SIG_SETMASK, &set, NULL));
	}
	close(epoll);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* The sigpause() that takes a mask; that of the header takes a signal. */
int pause_with(int mask) __asm__("sigpause");

/* Masks and handlers by the functions that are older than POSIX. */
static void old_names(void)
{
	const int usr1 = 1 << (SIGUSR1 - 1), none = sigblock(-1);

	CHECK(!none && call_works());
	CHECK(sigsetmask(-1) & usr1);
	CHECK(call_works());
	raise(SIGUSR1);
	handled = 0;
	CHECK(pause_with(~usr1) == -1 && errno == EINTR && handled == SIGUSR1);
	CHECK(sigsetmask(0) & usr1);
	CHECK(!sighold(SIGSYS));
	CHECK(call_works());
	CHECK(sigset(SIGSYS, on_signal) == SIG_DFL);
	CHECK(sigset(SIGSYS, SIG_HOLD) == on_signal);
	CHECK(call_works());
	handled = 0;
	raise(SIGSYS);
	CHECK(handled == SIGSYS);
	CHECK(!sigignore(SIGSYS));
	raise(SIGSYS);
	CHECK(sysv_signal(SIGSYS, on_signal) == SIG_IGN);
	handled = 0;
	raise(SIGSYS);
	CHECK(handled == SIGSYS);
	sigsetmask(0);
	CHECK(ssignal(SIGSYS, on_signal) == SIG_DFL);
	CHECK(signal(SIGSYS, SIG_DFL) == on_signal);
}

#pragma GCC diagnostic pop

/* struct io_uring_getevents_arg, which some headers lack */
struct wait_arg {
	uint64_t	mask;
	uint32_t	mask_size, pad;
	uint64_t	time;
};

static int by_instruction(int fd, int flags, void *arg, size_t size)
{
	return (int)io2_syscall(426, fd, 0, 1, flags, IO2_P(arg), (long)size);
}

static int by_function(int fd, int flags, void *arg, size_t size)
{
	return syscall(426, fd, 0, 1, flags, arg, size) < 0 ? -errno : 0;
}

/* Waits of a ring with all signals blocked but one, whose handler makes a trapped call. */
static void ring_waits(int (*wait)(int fd, int flags, void *arg, size_t size))
{
	struct itimerval soon = { .it_value = { .tv_usec = 50000 } };
	char params[120] = "";
	struct wait_arg ext = { .mask_size = 8 };
	struct timespec minute = { 60, 0 };
	long fd = io2_syscall(425, 4, IO2_P(params), 0, 0, 0, 0);
	sigset_t set;

	/* there is no io_uring here */
	if (fd == -ENOSYS || fd == -EPERM)
		return;
	CHECK(fd >= 0);
	CHECK(signal(SIGALRM, on_signal) != SIG_ERR);
	/* the signal stays pending if it comes before the wait begins, on a busy machine */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	sigfillset(&set);
	sigdelset(&set, SIGALRM);
	handled = 0;
	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	CHECK(wait((int)fd, 1, &set, 8) == -EINTR && handled == SIGALRM);
	ext.mask = (uint64_t)&set;
	ext.time = (uint64_t)&minute;
	handled = 0;
	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	CHECK(wait((int)fd, 1 | 8, &ext, sizeof(ext)) == -EINTR && handled == SIGALRM);
	CHECK(wait((int)fd, 1, (void *)16, 8) == -EFAULT);
	CHECK(wait((int)fd, 1 | 8, (void *)16, sizeof(ext)) == -EFAULT);
	ext.mask = 16;
	CHECK(wait((int)fd, 1 | 8, &ext, sizeof(ext)) == -EFAULT);
	close((int)fd);
	sigemptyset(&set);
	CHECK(!sigprocmask(SIG_SETMASK, &set, NULL));
}

static long five(long nr, long a, long b, long c, long d, long e)
{
	return io2_syscall(nr, a, b, c, d, e, 0);
}

/*
 * Bad addresses give errors, and change nothing. The calls do not use the C library,
 * which reads the arguments itself.
 */
static void bad_addresses(void)
{
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct { long mask, size; } set = { 16, 8 };
	struct sigaction act = { .sa_handler = on_signal }, now;
	unsigned long usr1 = 1UL << (SIGUSR1 - 1), old = 0;
	struct timespec none = { 0, 0 };
	long end = IO2_P(page) + 4096;

	CHECK(page != MAP_FAILED && !munmap(page + 4096, 4096));
	CHECK(five(__NR_rt_sigprocmask, SIG_BLOCK, 16, 0, 8, 0) == -EFAULT);
	CHECK(five(__NR_rt_sigprocmask, SIG_BLOCK, end - 4, 0, 8, 0) == -EFAULT);
	CHECK(five(__NR_rt_sigprocmask, SIG_BLOCK, IO2_P(&usr1), end - 8, 8, 0) == -EFAULT);
	CHECK(!five(__NR_rt_sigprocmask, SIG_UNBLOCK, IO2_P(&usr1), IO2_P(&old), 8, 0));
	CHECK(old & usr1);
	CHECK(!five(__NR_rt_sigprocmask, SIG_BLOCK, end - 8, 0, 8, 0));
	CHECK(five(__NR_rt_sigprocmask, SIG_BLOCK, 16, 0, 4, 0) == -EINVAL);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	CHECK(five(__NR_rt_sigaction, SIGUSR1, end - 8, 0, 8, 0) == -EFAULT);
	CHECK(!sigaction(SIGUSR1, NULL, &now) && now.sa_handler == on_signal);
	CHECK(five(__NR_ppoll, 0, 0, IO2_P(&none), 16, 8) == -EFAULT);
	CHECK(io2_syscall(__NR_pselect6, 0, 0, 0, 0, IO2_P(&none), end - 8) == -EFAULT);
	CHECK(io2_syscall(__NR_pselect6, 0, 0, 0, 0, IO2_P(&none), IO2_P(&set)) == -EFAULT);
	CHECK(five(__NR_rt_sigsuspend, 16, 8, 0, 0, 0) == -EFAULT);
	munmap(page, 4096);
	if (io2_syscall(__NR_close, IO2_PROBE, 0, 0, 0, 0, 0) == -IO2_PROBE_NARROW)
		return;
	CHECK(five(__NR_rt_sigaction, SIGSYS, 16, 0, 8, 0) == -EFAULT);
	CHECK(five(__NR_rt_sigaction, SIGSYS, 0, 16, 8, 0) == -EFAULT);
	CHECK(!sigaction(SIGSYS, NULL, &now) && now.sa_handler == SIG_DFL);
}

static void *in_thread(void *arg)
{
	masks();
	return arg;
}

static void threads(void)
{
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&thread[i], NULL, in_thread, NULL));
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(thread[i], NULL));
}

static void *in_masked_thread(void *arg)
{
	CHECK(call_works());
	return arg;
}

/* since glibc 2.32 */
int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set);
#pragma weak pthread_attr_setsigmask_np

/* A thread that begins with all signals blocked, by an attribute. */
static void masked_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;

	sigfillset(&all);
	CHECK(!pthread_attr_init(&attr));
	if (!pthread_attr_setsigmask_np || pthread_attr_setsigmask_np(&attr, &all) == ENOSYS)
		return;
	CHECK(!pthread_create(&thread, &attr, in_masked_thread, NULL));
	CHECK(!pthread_join(thread, NULL));
}

static void on_timer(union sigval value)
{
	CHECK(call_works());
	__atomic_store_n((int *)value.sival_ptr, 1, __ATOMIC_RELEASE);
}

/*
 * The C library (its librt before 2.34) makes a thread for the timer. Since 2.41 all
 * signals are blocked in this thread.
 */
static void timer(void)
{
	struct itimerspec soon = { .it_value = { .tv_nsec = 1000000 } };
	struct timespec nap = { .tv_nsec = 10000000 };
	int i, ran = 0;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = on_timer,
		.sigev_value.sival_ptr = &ran,
	};
	timer_t id;

	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &id));
	CHECK(!timer_settime(id, 0, &soon, NULL));
	for (i = 0; i < 1000 && !__atomic_load_n(&ran, __ATOMIC_ACQUIRE); i++)
		nanosleep(&nap, NULL);
	CHECK(ran);
	CHECK(!timer_delete(id));
}

/* The program sets a filter of its own, which traps another system call. */
static void own_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = code };

	CHECK(signal(SIGSYS, on_signal) != SIG_ERR);
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	handled = 0;
	getppid();
	CHECK(handled == SIGSYS);
	handled = 0;
	CHECK(call_works() && !handled);
}

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Return: the number of pages of this process */
static long pages(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long n = 0;

	CHECK(f && fscanf(f, "%ld", &n) == 1);
	fclose(f);
	return n;
}

static pid_t start_by_vfork(char *program, char **argv)
{
	pid_t pid = vfork();

	if (!pid) {
		execve(program, argv, environ);
		_exit(9);
	}
	return pid;
}

/*
 * A child of vfork() uses the alternate stack of its parent, and has more arguments
 * than fit on it. The memory below the stack must not change, and no memory may leak.
 */
static void many_arguments(char *program)
{
	enum { BELOW = 1 << 20, STACK = 1 << 15, ARGS = 10000 };
	char *below = mmap(NULL, BELOW + STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = below + BELOW, .ss_size = STACK }, old;
	char **argv = calloc(ARGS + 1, sizeof(*argv));
	long before = 0;
	int i;

	CHECK(below != MAP_FAILED && argv);
	for (i = 0; i < ARGS; i++)
		argv[i] = program;
	CHECK(!sigaltstack(&stack, &old));
	for (i = 0; i < 6; i++) {
		CHECK(!status_of(start_by_vfork(program, argv)));
		if (!i)
			before = pages();
	}
	CHECK(pages() < before + ARGS * (long)sizeof(*argv) / 4096);
	for (i = 0; i < BELOW; i++)
		CHECK(!below[i]);
	CHECK(!sigaltstack(&old, NULL));
	munmap(below, BELOW + STACK);
	free(argv);
}

/* A child that shares the memory resets its own handlers, and not those of the parent. */
static void handler_reset_in_child(char *program)
{
	char *argv[2] = { program, NULL };
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;

	CHECK(signal(SIGSYS, on_signal) != SIG_ERR);
	pid = vfork();
	if (!pid) {
		signal(SIGSYS, SIG_DFL);
		_exit(0);
	}
	CHECK(!status_of(pid));
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	CHECK(!posix_spawnattr_init(&attr) && !posix_spawnattr_setsigdefault(&attr, &set));
	CHECK(!posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF));
	CHECK(!posix_spawn(&pid, program, NULL, &attr, argv, environ));
	CHECK(!status_of(pid));
	handled = 0;
	raise(SIGSYS);
	CHECK(handled == SIGSYS);
}

/* A child that starts with all signals blocked, by an attribute. */
static void masked_child(char *program)
{
	char *argv[2] = { program, NULL };
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;

	sigfillset(&set);
	CHECK(!posix_spawnattr_init(&attr) && !posix_spawnattr_setsigmask(&attr, &set));
	CHECK(!posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK));
	CHECK(!posix_spawn(&pid, program, NULL, &attr, argv, environ));
	CHECK(!status_of(pid));
}

static void children(char *program)
{
	char *argv[2] = { program, NULL }, **none = argv + 1;
	pid_t pid;

	CHECK(!posix_spawn(&pid, program, NULL, NULL, argv, environ));
	CHECK(!status_of(pid));
	CHECK(!posix_spawnp(&pid, program, NULL, NULL, argv, none));
	CHECK(!status_of(pid));
	pid = fork();
	if (!pid) {
		execve(program, argv, none);
		_exit(9);
	}
	CHECK(!status_of(pid));
	pid = vfork();
	if (!pid) {
		execl(program, program, NULL);
		_exit(9);
	}
	CHECK(!status_of(pid));
	CHECK(!system(program));
	handler_reset_in_child(program);
	masked_child(program);
	many_arguments(program);
	CHECK(execve("/nonexistent", argv, environ) == -1 && errno == ENOENT);
	CHECK(execvp("no-such-program", argv) == -1 && errno == ENOENT);
	CHECK(execv("/", argv) == -1 && errno == EACCES);
	execlp(program, program, NULL);
	CHECK(!"execlp");
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return 0;
	CHECK(call_works());
	earlier_handler();
	masks();
	handlers();
	masked_handler();
	restarted();
	action_put_back();
	bad_addresses();
	ring_waits(by_instruction);
	ring_waits(by_function);
	waits();
	newer_wait();
	old_names();
	threads();
	timer();
	masked_thread();
	if (argc > 1)
		children(argv[1]);
	own_filter();
	return 0;
}
