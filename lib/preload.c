// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libiouring2-preload.so: iouring2-run preloads this library into programs that are
 * linked with the C library dynamically. It
 *   - replaces the C function syscall(), by which some programs make io_uring's
 *     system calls, and the liburing that lib/build-liburing builds;
 *   - installs the trap, for programs that make the calls by other means;
 *   - keeps the trap working when a program blocks signals, replaces the handler
 *     of SIGSYS, or starts other programs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "exec.h"
#include "settings.h"
#include "sys.h"

#define EXPORT	__attribute__((visibility("default")))

static int trap_is_there;	/* the trap is mapped, and SIGSYS is reserved for it */

/* The next definition of the symbol, which is the C library's. */
#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static int result(long ret)
{
	if (ret >= 0)
		return (int)ret;
	errno = (int)-ret;
	return -1;
}

/* ---- registered rings ------------------------------------------------------ */

#define PER_THREAD static __thread __attribute__((tls_model("initial-exec")))

PER_THREAD struct io2_thread own_thread;
PER_THREAD int own_thread_is_watched;

static pthread_key_t thread_key;
static enum { NO_KEY, KEY_IS_BEING_MADE, HAS_KEY, CANNOT_HAVE_KEY } thread_key_state;

/* Before glibc 2.34 they are in libpthread, which the program may not load. */
#pragma weak pthread_key_create
#pragma weak pthread_key_delete
#pragma weak pthread_setspecific

/* glibc allocates memory for later keys, which a signal handler must not do */
#define KEYS_WITHOUT_MEMORY	32

/*
 * A thread's registered rings are closed in the last round of destructors, because the
 * program's destructors may use them. The value is the number of the round.
 */
static void thread_ends(void *round)
{
	long n = (long)round;

	if (n < PTHREAD_DESTRUCTOR_ITERATIONS)
		pthread_setspecific(thread_key, (void *)(n + 1));
	else if (trap_is_there)
		IO2_TRAP_HEAD->thread_ends(&own_thread);
	else
		io2_registered_end(&own_thread);
}

static int make_thread_key(void)
{
	if (!pthread_key_create || !pthread_key_delete || !pthread_setspecific ||
	    pthread_key_create(&thread_key, thread_ends))
		return CANNOT_HAVE_KEY;
	if (thread_key < KEYS_WITHOUT_MEMORY)
		return HAS_KEY;
	pthread_key_delete(thread_key);
	return CANNOT_HAVE_KEY;
}

/*
 * Let thread_ends() run at the end of this thread. Without a key, a later call that
 * creates or registers a ring closes what this thread has registered.
 */
static void watch_own_thread(void)
{
	__typeof__(thread_key_state) state = NO_KEY;

	if (__atomic_compare_exchange_n(&thread_key_state, &state, KEY_IS_BEING_MADE, 0,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
		state = make_thread_key();
		__atomic_store_n(&thread_key_state, state, __ATOMIC_RELEASE);
	}
	own_thread_is_watched = state != KEY_IS_BEING_MADE;
	if (state == HAS_KEY)
		pthread_setspecific(thread_key, (void *)1L);
}

/* ---- syscall() ------------------------------------------------------------- */

static int exec_program(int dir, const char *path, char *const *argv,
			char *const *envp, int flags);

__attribute__((used)) long io2_syscall_c(long nr, long a, long b, long c, long d, long e, long f)
{
	long args[6] = { a, b, c, d, e, f };
	long ret;

	if (nr == __NR_execve)
		return exec_program(AT_FDCWD, (void *)a, (void *)b, (void *)c, 0);
	if (nr == __NR_execveat)
		return exec_program((int)a, (void *)b, (void *)c, (void *)d, (int)e);
	if (trap_is_there)
		ret = IO2_TRAP_HEAD->translate(nr, args, "syscall()", &own_thread);
	else
		ret = io2_translate(nr, args, "syscall()", &own_thread);
	if (own_thread.slots && !own_thread_is_watched)
		watch_own_thread();
	if (ret < 0 && ret >= -4095) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

/*
 * Other calls than io_uring's and exec are made here, without a stack frame: a
 * clone with a new stack returns twice, the second time on that stack.
 */
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	lea -425(%rdi), %rax\n"
	"	cmp $2, %rax\n"
	"	jbe io2_syscall_c\n"
	"	cmp $59, %rdi\n"		/* execve */
	"	je io2_syscall_c\n"
	"	cmp $322, %rdi\n"	/* execveat */
	"	je io2_syscall_c\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	"	cmp $-4095, %rax\n"
	"	jae 1f\n"
	"	ret\n"
	"1:	push %rbx\n"
	"	mov %eax, %ebx\n"
	"	neg %ebx\n"
	"	call __errno_location@PLT\n"
	"	mov %ebx, (%rax)\n"
	"	pop %rbx\n"
	"	mov $-1, %rax\n"
	"	ret\n"
	".size syscall, . - syscall\n");

/* ---- start ----------------------------------------------------------------- */

/* not prctl(): a sanitizer's replacement may not be initialised yet */
static void own_name(char *name)
{
	if (io2_syscall(__NR_prctl, PR_GET_NAME, IO2_P(name), 0, 0, 0, 0))
		name[0] = 0;
}

static void give_up(const char *name, int err)
{
	fprintf(stderr, "iouring2-run: %s: cannot install the trap: %s\n"
		"(--fallback starts the program without the trap)\n",
		name, strerror(err));
	_exit(126);
}

/*
 * This constructor runs before all others (-z initfirst), so that calls of the
 * constructors of other libraries are redirected, too. It also runs before the
 * constructors of the C library.
 */
__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	char name[17] = "";
	int ret;

	(void)argc;
	(void)argv;
	if (!environ)
		environ = envp;
	/* fails only for too many names, which the launcher refuses */
	(void)io2_settings_read(&io2_settings);
	own_name(name);
	io2_settings.skip = io2_skipped(io2_settings.names, name);
	if (io2_settings.skip && !io2_inherited_filter())
		return;
	ret = io2_trap_map();
	if (!ret)
		ret = IO2_TRAP_HEAD->begin(&io2_settings, IO2_NARROW);
	/* -EEXIST: the launcher has already installed the trap by ptrace */
	trap_is_there = !ret || (ret == -EEXIST && io2_inherited_filter());
	if (!trap_is_there && !io2_settings.fallback)
		give_up(name, -ret);
}

/* ---- signals: SIGSYS stays unblocked, and its handler in place ------------- */

/* As the C library, never block its own signals, the first two real-time signals. */
static int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	unsigned long kept = (1UL << (SIGSYS - 1)) | (3UL << 31);
	unsigned long mask = 0;

	if (set)
		memcpy(&mask, set, sizeof(mask));
	if (trap_is_there && how != SIG_UNBLOCK)
		mask &= ~kept;
	else
		mask &= ~(3UL << 31);
	if (old)
		memset(old, 0, sizeof(*old));
	return (int)-io2_syscall(__NR_rt_sigprocmask, how, set ? IO2_P(&mask) : 0,
				 IO2_P(old), sizeof(mask), 0, 0);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(how, set, old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return result(-change_mask(how, set, old));
}

/* Store the program's action for SIGSYS; the trap uses it if the cause is not ours. */
static void wanted_sigsys(const struct sigaction *act, struct sigaction *old)
{
	struct io2_kernel_sigaction was, next;

	if (act) {
		memset(&next, 0, sizeof(next));
		next.handler = (void (*)(int, void *, void *))act->sa_sigaction;
		next.flags = (unsigned int)act->sa_flags;
		memcpy(&next.mask, &act->sa_mask, sizeof(next.mask));
	}
	IO2_TRAP_HEAD->chain(act ? &next : NULL, &was);
	if (old) {
		memset(old, 0, sizeof(*old));
		old->sa_sigaction = (void (*)(int, siginfo_t *, void *))was.handler;
		old->sa_flags = (int)was.flags;
		memcpy(&old->sa_mask, &was.mask, sizeof(was.mask));
	}
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction changed;

	if (trap_is_there && sig == SIGSYS) {
		wanted_sigsys(act, old);
		return 0;
	}
	if (!trap_is_there || !act)
		return NEXT(sigaction)(sig, act, old);
	changed = *act;
	sigdelset(&changed.sa_mask, SIGSYS);
	return NEXT(sigaction)(sig, &changed, old);
}

/* Is this a valid handler for SIGSYS? wanted_sigsys() stores it. */
static int is_for_sigsys(int sig, sighandler_t handler)
{
	return trap_is_there && sig == SIGSYS && handler != SIG_ERR;
}

static sighandler_t simple_handler(sighandler_t handler, unsigned int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = (int)flags }, old;

	wanted_sigsys(&act, &old);
	return old.sa_handler;
}

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	if (!is_for_sigsys(sig, handler))
		return NEXT(signal)(sig, handler);
	return simple_handler(handler, SA_RESTART);
}

/* some C libraries do not declare it */
sighandler_t bsd_signal(int sig, sighandler_t handler);

EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	if (!is_for_sigsys(sig, handler))
		return NEXT(__sysv_signal)(sig, handler);
	return simple_handler(handler, SA_RESETHAND | SA_NODEFER);
}

EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return __sysv_signal(sig, handler);
}

/* ---- older functions for signals ------------------------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction now;

	if (!is_for_sigsys(sig, handler))
		return NEXT(sigset)(sig, handler);
	if (handler != SIG_HOLD)
		return simple_handler(handler, 0);
	wanted_sigsys(NULL, &now);
	return now.sa_handler;
}

EXPORT int sigignore(int sig)
{
	if (!is_for_sigsys(sig, SIG_IGN))
		return NEXT(sigignore)(sig);
	simple_handler(SIG_IGN, 0);
	return 0;
}

EXPORT int sighold(int sig)
{
	return trap_is_there && sig == SIGSYS ? 0 : NEXT(sighold)(sig);
}

static int old_mask(int mask)
{
	return trap_is_there ? mask & ~(1 << (SIGSYS - 1)) : mask;
}

EXPORT int sigblock(int mask)
{
	return NEXT(sigblock)(old_mask(mask));
}

EXPORT int sigsetmask(int mask)
{
	return NEXT(sigsetmask)(old_mask(mask));
}

/* the header declares another sigpause(), which removes a signal from the mask */
int io2_sigpause(int mask) __asm__("sigpause");

EXPORT int io2_sigpause(int mask)
{
	return ((__typeof__(io2_sigpause) *)dlsym(RTLD_NEXT, "sigpause"))(old_mask(mask));
}

#pragma GCC diagnostic pop

/* The mask of a wait, without SIGSYS, as handlers run during the wait. */
static const sigset_t *mask_for_wait(const sigset_t *set, sigset_t *copy)
{
	if (!set || !trap_is_there)
		return set;
	*copy = *set;
	sigdelset(copy, SIGSYS);
	return copy;
}

/* as NEXT, but the symbol is looked up only once */
static void *remembered(void **cache, const char *name)
{
	void *found = __atomic_load_n(cache, __ATOMIC_RELAXED);

	if (!found) {
		found = dlsym(RTLD_NEXT, name);
		__atomic_store_n(cache, found, __ATOMIC_RELAXED);
	}
	return found;
}

#define NEXT_ONCE(cache, name) ((__typeof__(name) *)remembered(cache, #name))

EXPORT int sigsuspend(const sigset_t *set)
{
	static void *next;
	sigset_t copy;

	return NEXT_ONCE(&next, sigsuspend)(mask_for_wait(set, &copy));
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		 const sigset_t *set)
{
	static void *next;
	sigset_t copy;

	return NEXT_ONCE(&next, ppoll)(fds, n, ts, mask_for_wait(set, &copy));
}

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *e,
		   const struct timespec *ts, const sigset_t *set)
{
	static void *next;
	sigset_t copy;

	return NEXT_ONCE(&next, pselect)(n, r, w, e, ts, mask_for_wait(set, &copy));
}

EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout,
		       const sigset_t *set)
{
	static void *next;
	sigset_t copy;

	return NEXT_ONCE(&next, epoll_pwait)(fd, events, n, timeout, mask_for_wait(set, &copy));
}

/* since glibc 2.35 */
int epoll_pwait2(int fd, struct epoll_event *events, int n,
		 const struct timespec *timeout, const sigset_t *set);

EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n,
			const struct timespec *timeout, const sigset_t *set)
{
	static void *cache;
	__typeof__(epoll_pwait2) *next = NEXT_ONCE(&cache, epoll_pwait2);
	sigset_t copy;

	return next ? next(fd, events, n, timeout, mask_for_wait(set, &copy)) :
		      result(-ENOSYS);
}

/* ---- threads that begin with all signals blocked --------------------------- */

/*
 * struct timer_call - the function that a timer's thread calls
 * @function: the program's function
 * @value: its argument
 *
 * It is never freed, because a call may begin after the timer was deleted.
 */
struct timer_call {
	void		(*function)(union sigval value);
	union sigval	value;
};

static void begin_timer_call(union sigval value)
{
	const struct timer_call *call = value.sival_ptr;
	unsigned long mask = 1UL << (SIGSYS - 1);

	io2_syscall(__NR_rt_sigprocmask, SIG_UNBLOCK, IO2_P(&mask), 0, sizeof(mask), 0, 0);
	call->function(call->value);
}

/* dlsym() would find the oldest version, which has another type of timers */
static __typeof__(timer_create) *next_timer_create(void)
{
	void *next = dlvsym(RTLD_NEXT, "timer_create", "GLIBC_2.34");

	if (!next)
		next = dlvsym(RTLD_NEXT, "timer_create", "GLIBC_2.3.3");
	if (!next)
		next = dlsym(RTLD_NEXT, "timer_create");
	return (__typeof__(timer_create) *)next;
}

/* Some C libraries (glibc 2.41) leave all signals blocked in the timer's thread. */
EXPORT int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
	struct timer_call *call;
	struct sigevent changed;
	int ret;

	if (!trap_is_there || !event || event->sigev_notify != SIGEV_THREAD)
		return next_timer_create()(clock, event, timer);
	call = malloc(sizeof(*call));
	if (!call)
		return result(-EAGAIN);
	call->function = event->sigev_notify_function;
	call->value = event->sigev_value;
	changed = *event;
	changed.sigev_notify_function = begin_timer_call;
	changed.sigev_value.sival_ptr = call;
	ret = next_timer_create()(clock, &changed, timer);
	if (ret)
		free(call);
	return ret;
}

/* some C libraries do not have it */
int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set);

EXPORT int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	int (*next)(pthread_attr_t *attr, const sigset_t *set) =
		NEXT(pthread_attr_setsigmask_np);
	sigset_t copy;

	return next ? next(attr, mask_for_wait(set, &copy)) : ENOSYS;
}

/* ---- starting other programs ----------------------------------------------- */

/* A child of fork does not have its parent's registered rings. */
EXPORT pid_t fork(void)
{
	static void *next;
	pid_t pid = NEXT_ONCE(&next, fork)();

	if (pid)
		return pid;
	if (trap_is_there)
		IO2_TRAP_HEAD->forked();
	else
		io2_registered_fork();
	return 0;
}

/* This process has no trap, so a new program inherits no filter from it. */
long io2_exec_alone(const struct io2_exec *e, enum io2_exec_kind kind)
{
	(void)kind;
	return io2_exec_as_is(e);
}

static int exec_program(int dir, const char *path, char *const *argv,
			char *const *envp, int flags)
{
	struct io2_exec e = { dir, path, argv, envp, flags };

	return result(trap_is_there ? IO2_TRAP_HEAD->execveat(&e) : io2_execveat(&e));
}

static int exec_path(const char *path, char *const *argv, char *const *envp)
{
	return exec_program(AT_FDCWD, path, argv, envp, 0);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return exec_path(path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return exec_path(path, argv, environ);
}

/* some C libraries do not have it */
int execveat(int dir, const char *path, char *const argv[], char *const envp[],
	     int flags);

EXPORT int execveat(int dir, const char *path, char *const argv[],
		    char *const envp[], int flags)
{
	return exec_program(dir, path, argv, envp, flags);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (fd < 0 || !envp)
		return result(-EINVAL);
	return exec_program(fd, "", argv, envp, AT_EMPTY_PATH);
}

/* Write the next path of @file in the list @at. Return: the rest of the list, or NULL. */
static const char *next_place(const char *at, const char *file, char *path)
{
	size_t n = strcspn(at, ":"), len = strlen(file);

	path[0] = 0;
	if (n + len + 2 <= PATH_MAX) {
		memcpy(path, at, n);
		if (n)
			path[n++] = '/';
		memcpy(path + n, file, len + 1);
	}
	at += strcspn(at, ":");
	return *at ? at + 1 : NULL;
}

static const char *search_path(void)
{
	const char *path = getenv("PATH");

	return path ? path : "/bin:/usr/bin";
}

static unsigned long count_array(char *const *argv)
{
	unsigned long n = 0;

	while (argv && argv[n])
		n++;
	return n;
}

/* The shell executes a file whose format the kernel does not know. */
static int exec_by_shell(const char *path, char *const *argv, char *const *envp)
{
	unsigned long i, n = count_array(argv);
	char *args[n + 3];

	args[0] = "/bin/sh";
	args[1] = (char *)path;
	for (i = 1; i < n; i++)
		args[i + 1] = argv[i];
	args[n > 1 ? n + 1 : 2] = NULL;
	return exec_path(args[0], args, envp);
}

static int exec_here(const char *path, char *const *argv, char *const *envp)
{
	exec_path(path, argv, envp);
	if (errno == ENOEXEC)
		exec_by_shell(path, argv, envp);
	return -1;
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	const char *at = search_path();
	char path[PATH_MAX + 1];
	int denied = 0;

	if (!*file) {
		errno = ENOENT;
		return -1;
	}
	if (strchr(file, '/'))
		return exec_here(file, argv, envp);
	while (at) {
		at = next_place(at, file, path);
		exec_here(path, argv, envp);
		if (errno == EACCES)
			denied = 1;
		else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE &&
			 errno != ENODEV && errno != ETIMEDOUT)
			return -1;
	}
	if (denied)
		errno = EACCES;
	return -1;
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

typedef int exec_fn(const char *at, char *const argv[], char *const envp[]);

static size_t count_list(const char *arg, va_list ap)
{
	size_t n = 0;
	va_list copy;

	va_copy(copy, ap);
	while (arg) {
		arg = va_arg(copy, char *);
		n++;
	}
	va_end(copy);
	return n;
}

/* Make an array of the list, on the stack: the caller may be a child of vfork(). */
static int exec_list(exec_fn *exec, const char *at, const char *arg, va_list ap,
		     int then_envp)
{
	size_t i, n = count_list(arg, ap);
	char *argv[n + 1];

	argv[0] = (char *)arg;
	for (i = 0; i < n; i++)
		argv[i + 1] = va_arg(ap, char *);
	return exec(at, argv, then_envp ? va_arg(ap, char *const *) : environ);
}

EXPORT int execl(const char *path, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(exec_path, path, arg, ap, 0);
	va_end(ap);
	return ret;
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(execvpe, file, arg, ap, 0);
	va_end(ap);
	return ret;
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(exec_path, path, arg, ap, 1);
	va_end(ap);
	return ret;
}

/* ---- posix_spawn ----------------------------------------------------------- */

typedef int spawn_fn(pid_t *pid, const char *path,
		     const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[],
		     char *const envp[]);

/*
 * struct spawning - arguments of posix_spawn
 * @next: the C library's function that takes a path
 * @nextp: the C library's function that searches PATH, or NULL
 * @pid: argument of these functions, as are the following
 */
struct spawning {
	spawn_fn			*next, *nextp;
	pid_t				*pid;
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t		*attr;
	char *const			*argv;
	char *const			*envp;
};

/* Mark, in an unused field, that the file actions change the directory. */
#define MOVES	0x6d6f7665

static void note_move(posix_spawn_file_actions_t *actions, int failed)
{
	if (!failed)
		actions->__pad[15] = MOVES;
}

static int moves(const posix_spawn_file_actions_t *actions)
{
	return actions && actions->__pad[15] == MOVES;
}

EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions,
						const char *path)
{
	int ret = NEXT(posix_spawn_file_actions_addchdir_np)(actions, path);

	note_move(actions, ret);
	return ret;
}

EXPORT int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *actions,
						 int fd)
{
	int ret = NEXT(posix_spawn_file_actions_addfchdir_np)(actions, fd);

	note_move(actions, ret);
	return ret;
}

/*
 * The launcher's arguments, or NULL if the launcher is not to be used. A path that
 * is relative to another directory cannot be checked, and is taken as valid.
 */
static struct io2_exec_area *spawn_area(const char *path, char *const *argv, int moved)
{
	struct io2_exec e = { AT_FDCWD, path, argv, NULL, 0 };
	struct io2_exec_area *area;

	if (!io2_settings.run[0] || eaccess(io2_settings.run, X_OK) ||
	    !strcmp(path, io2_settings.run))
		return NULL;
	if (!(moved && *path && *path != '/') && io2_exec_check(&e) != IO2_EXEC_PROGRAM)
		return NULL;
	return io2_exec_get(&e, 0, &area) ? NULL : area;
}

static int spawn_path(const struct spawning *s, const char *path)
{
	struct io2_exec_area *area = spawn_area(path, s->argv, moves(s->actions));
	int ret;

	if (!area)
		return s->next(s->pid, path, s->actions, s->attr, s->argv, s->envp);
	ret = s->next(s->pid, area->args[0], s->actions, s->attr, area->args, s->envp);
	io2_exec_put(area, 0);
	return ret;
}

/* Errors after which the C library continues its search of PATH. */
static int goes_on(long err)
{
	return err == -EACCES || err == -ENOENT || err == -ENOTDIR || err == -ESTALE ||
	       err == -ENODEV || err == -ETIMEDOUT;
}

/* Find the file that the C library would find. */
static int spawn_name(const struct spawning *s, const char *file)
{
	const char *at = search_path();
	char path[PATH_MAX + 1];
	struct io2_exec e = { AT_FDCWD, path, NULL, NULL, 0 };
	long kind;

	if (strchr(file, '/'))
		return spawn_path(s, file);
	while (at && *file) {
		at = next_place(at, file, path);
		if (moves(s->actions) && *path != '/')
			break;
		kind = io2_exec_check(&e);
		if (kind >= 0)
			return spawn_path(s, path);
		if (!goes_on(kind))
			break;
	}
	return s->nextp(s->pid, file, s->actions, s->attr, s->argv, s->envp);
}

/* the newest version: older ones start a shell for files of an unknown format */
static spawn_fn *next_spawn(const char *name)
{
	void *next = dlvsym(RTLD_NEXT, name, "GLIBC_2.15");

	return (spawn_fn *)(next ? next : dlsym(RTLD_NEXT, name));
}

EXPORT int posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const envp[])
{
	struct spawning s = { next_spawn("posix_spawn"), NULL, pid, actions, attr, argv,
			      envp };

	return spawn_path(&s, path);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	struct spawning s = { next_spawn("posix_spawn"), next_spawn("posix_spawnp"), pid,
			      actions, attr, argv, envp };

	return spawn_name(&s, file);
}

/* since glibc 2.39; with an older one they return ENOSYS */
spawn_fn pidfd_spawn, pidfd_spawnp;

EXPORT int pidfd_spawn(int *fd, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const envp[])
{
	struct spawning s = { NEXT(pidfd_spawn), NULL, fd, actions, attr, argv, envp };

	return s.next ? spawn_path(&s, path) : ENOSYS;
}

EXPORT int pidfd_spawnp(int *fd, const char *file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	struct spawning s = { NEXT(pidfd_spawn), NEXT(pidfd_spawnp), fd, actions, attr,
			      argv, envp };

	return s.next && s.nextp ? spawn_name(&s, file) : ENOSYS;
}

/* ---- system() and popen() -------------------------------------------------- */

/* Quote a word for the shell. */
static char *put_quoted(char *to, const char *word)
{
	*to++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *word;
	}
	*to++ = '\'';
	return to;
}

/*
 * The C library itself starts the shell. If the environment contains our library, the
 * shell loads it, and redirects what it starts. If the program has removed the library
 * from the environment, the command is changed, so that the shell executes the
 * launcher. Return: the new command, to be freed, or NULL for no change.
 */
static char *through_launcher(const char *command)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	const char *list = getenv("LD_PRELOAD");
	struct io2_exec_area *area;
	size_t i, size = sizeof("exec");
	char *new, *to;

	if (!command || (list && strstr(list, "/libiouring2-preload.so") &&
			 getenv(IO2_ENV_RUN)))
		return NULL;
	area = spawn_area("/bin/sh", argv, 0);
	if (!area)
		return NULL;
	for (i = 0; area->args[i]; i++)
		size += 4 * strlen(area->args[i]) + 3;
	new = malloc(size);
	if (new) {
		to = stpcpy(new, "exec");
		for (i = 0; area->args[i]; i++) {
			*to++ = ' ';
			to = put_quoted(to, area->args[i]);
		}
		*to = 0;
	}
	io2_exec_put(area, 0);
	return new;
}

EXPORT int system(const char *command)
{
	char *changed = through_launcher(command);
	int ret = NEXT(system)(changed ? changed : command), err = errno;

	free(changed);
	errno = err;
	return ret;
}

EXPORT FILE *popen(const char *command, const char *mode)
{
	char *changed = through_launcher(command);
	FILE *f = NEXT(popen)(changed ? changed : command, mode);
	int err = errno;

	free(changed);
	errno = err;
	return f;
}
