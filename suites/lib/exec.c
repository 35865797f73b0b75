// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program that starts another one, in a given way, with an empty environment. It
 * needs no ring.
 *
 * usage: exec WAY PROGRAM [ARGUMENT]...
 *	  exec chroot[-no-ptrace|-other-user] DIR PROGRAM [ARGUMENT]...
 *	  exec spawn-there DIR PROGRAM [ARGUMENT]...
 *	  exec fds		print the number of open descriptors
 *	  exec errors DIR	print the errors of failing execs; DIR is empty and writable
 *
 * Exit status: that of the program; 1 after a line about an error
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/sys.h"

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK	0x10000
#endif

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("# exec.c:%d: %s (errno %d)\n", __LINE__, #condition, errno); \
			exit(1); \
		} \
	} while (0)

static char *none[] = { NULL };

/* not in every C library */
typedef int execveat_fn(int dir, const char *path, char *const argv[],
			char *const envp[], int flags);
typedef int spawn_fn(int *fd, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);
execveat_fn execveat;
spawn_fn pidfd_spawn;
#pragma weak execveat
#pragma weak pidfd_spawn

static int exec_at(int dir, const char *path, char *const *argv, int flags)
{
	if (execveat)
		return execveat(dir, path, argv, none, flags);
	return (int)syscall(SYS_execveat, dir, path, argv, none, flags);
}

static int status_of(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- ways ------------------------------------------------------------------ */

static int by_syscall(char **argv)
{
	return (int)syscall(SYS_execve, argv[0], argv, none);
}

static int by_syscall_at(char **argv)
{
	return (int)syscall(SYS_execveat, AT_FDCWD, argv[0], argv, none, 0);
}

static int by_syscall_vfork(char **argv)
{
	pid_t pid = vfork();

	if (!pid) {
		syscall(SYS_execve, argv[0], argv, none);
		_exit(9);
	}
	exit(exit_status(status_of(pid)));
}

static int by_execveat(char **argv)
{
	return exec_at(AT_FDCWD, argv[0], argv, 0);
}

static int by_folder(char **argv)
{
	char *name = strrchr(argv[0], '/'), dir[PATH_MAX];
	int fd;

	snprintf(dir, sizeof(dir), "%.*s", (int)(name - argv[0]), argv[0]);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return exec_at(fd, name + 1, argv, 0);
}

static int by_fexecve(char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fexecve(fd, argv, none);
}

static int by_o_path(char **argv)
{
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	CHECK(fd >= 0);
	return exec_at(fd, "", argv, AT_EMPTY_PATH);
}

static int by_proc(char **argv)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", open(argv[0], O_RDONLY | O_CLOEXEC));
	return execve(path, argv, none);
}

static int memfd_of(const char *program)
{
	int from = open(program, O_RDONLY | O_CLOEXEC), to = memfd_create("x", MFD_CLOEXEC);
	char buf[65536];
	ssize_t n;

	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		CHECK(write(to, buf, n) == n);
	CHECK(!n);
	close(from);
	return to;
}

static int by_memfd(char **argv)
{
	return exec_at(memfd_of(argv[0]), "", argv, AT_EMPTY_PATH);
}

static int by_system(char **argv)
{
	environ = none;
	exit(exit_status(system(argv[0])));
}

static int by_popen(char **argv)
{
	char buf[256];
	FILE *f;

	environ = none;
	f = popen(argv[0], "r");
	CHECK(f);
	while (fgets(buf, sizeof(buf), f))
		fputs(buf, stdout);
	exit(exit_status(pclose(f)));
}

static int by_spawn(char **argv)
{
	pid_t pid;

	CHECK(!posix_spawn(&pid, argv[0], NULL, NULL, argv, none));
	exit(exit_status(status_of(pid)));
}

static int by_pidfd_spawn(char **argv)
{
	siginfo_t info = { .si_pid = 0 };
	int fd, ret = pidfd_spawn ? pidfd_spawn(&fd, argv[0], NULL, NULL, argv, none) : ENOSYS;

	/* without pidfd_spawn(), use posix_spawn() */
	if (ret == ENOSYS)
		return by_spawn(argv);
	CHECK(!ret && fd > 2);
	CHECK(!waitid((idtype_t)3 /* P_PIDFD */, (id_t)fd, &info, WEXITED));
	exit(info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
}

static int by_chroot(char **argv)
{
	CHECK(!chroot(argv[0]) && !chdir("/"));
	return execve(argv[1], argv + 1, none);
}

/* The same with ptrace forbidden, so that the launcher cannot install the trap. */
static int by_chroot_without_ptrace(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ptrace, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = code };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	return by_chroot(argv);
}

/* The same after a change of the user, so that the launcher may not trace the process. */
static int by_chroot_as_other_user(char **argv)
{
	CHECK(!chroot(argv[0]) && !chdir("/") && !setresuid(65534, 65534, 65534));
	return execve(argv[1], argv + 1, none);
}

static void *in_thread(void *argv)
{
	by_memfd(argv);
	return NULL;
}

/* Exec in a thread that is not the first one. */
static int by_thread(char **argv)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, in_thread, argv));
	return pthread_join(thread, NULL);
}

/* Only root may execute the file, and only the effective user is root. */
static int by_effective_user(char **argv)
{
	CHECK(!setresuid(65534, 0, 0));
	return execve(argv[0], argv, none);
}

static int with_environment(char **argv)
{
	return execv(argv[0], argv);
}

/* The first argument is a name, which is searched in PATH. */
static int by_spawnp(char **argv)
{
	pid_t pid;
	int ret = posix_spawnp(&pid, argv[0], NULL, NULL, argv, none);

	if (ret) {
		printf("%s\n", strerror(ret));
		exit(0);
	}
	exit(exit_status(status_of(pid)));
}

/* since glibc 2.29 */
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions,
					 const char *path);

/* The arguments are a folder and a path relative to it. */
static int by_spawn_there(char **argv)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	CHECK(!posix_spawn_file_actions_init(&actions));
	CHECK(!posix_spawn_file_actions_addchdir_np(&actions, argv[0]));
	CHECK(!posix_spawn(&pid, argv[1], &actions, NULL, argv + 1, none));
	CHECK(!posix_spawn_file_actions_destroy(&actions));
	exit(exit_status(status_of(pid)));
}

/* An interpreter for binfmt_misc: sets a handler, which is trapped, and makes a call. */
static int interpreter(void)
{
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	io2_syscall(426, -1, 0, 0, 0, 0, 0);
	return 0;
}

/* ---- errors ----------------------------------------------------------------- */

static void print(const char *what, long ret)
{
	printf("%s: %ld %s\n", what, ret, ret < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void write_file(const char *name, const char *text, int mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Each exec must fail, and must leave the descriptor unchanged. */
static int errors(char **argv)
{
	char *const args[] = { "x", NULL };
	int fd;

	CHECK(!chdir(argv[0]));
	write_file("script", "#!/bin/sh\nexit 3\n", 0755);
	write_file("none", "exit 3\n", 0755);
	write_file("plain", "#!/bin/sh\n", 0644);
	CHECK(!symlink("script", "link"));
	print("nothing", exec_at(AT_FDCWD, "", args, 0));
	print("not there", exec_at(AT_FDCWD, "x", args, 0));
	print("no descriptor", exec_at(77, "x", args, 0));
	print("no descriptor, empty", exec_at(77, "", args, AT_EMPTY_PATH));
	print("not executable", exec_at(AT_FDCWD, "plain", args, 0));
	print("no program", exec_at(AT_FDCWD, "none", args, 0));
	print("folder", exec_at(AT_FDCWD, ".", args, 0));
	print("link", exec_at(AT_FDCWD, "link", args, AT_SYMLINK_NOFOLLOW));
	print("flags", exec_at(AT_FDCWD, "script", args, 0x40000000));
	print("bad address", exec_at(AT_FDCWD, (char *)1, args, 0));
	print("only asked", exec_at(AT_FDCWD, "script", args, AT_EXECVE_CHECK));
	print("syscall(), not there", syscall(SYS_execve, "x", args, none));
	print("syscall(), bad address", syscall(SYS_execve, (char *)1, args, none));
	fd = memfd_of("script");
	print("script without a path", exec_at(fd, "", args, AT_EMPTY_PATH));
	print("its descriptor", fcntl(fd, F_GETFD));
	print("fexecve", fexecve(-1, args, none));
	return 0;
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	printf("%d\n", n);
	return 0;
}

static const struct {
	const char	*name;
	int		(*start)(char **argv);
} ways[] = {
	{ "syscall", by_syscall }, { "syscall-at", by_syscall_at },
	{ "syscall-vfork", by_syscall_vfork }, { "execveat", by_execveat },
	{ "folder", by_folder }, { "fexecve", by_fexecve }, { "o_path", by_o_path },
	{ "proc", by_proc }, { "memfd", by_memfd }, { "system", by_system },
	{ "popen", by_popen }, { "spawn", by_spawn }, { "pidfd_spawn", by_pidfd_spawn },
	{ "spawnp", by_spawnp }, { "spawn-there", by_spawn_there },
	{ "with-environment", with_environment },
	{ "thread", by_thread }, { "chroot", by_chroot },
	{ "chroot-no-ptrace", by_chroot_without_ptrace },
	{ "chroot-other-user", by_chroot_as_other_user }, { "effective-user", by_effective_user },
};

int main(int argc, char **argv)
{
	unsigned int i;

	if (strstr(argv[0], "interpreter"))
		return interpreter();
	if (argc == 2 && !strcmp(argv[1], "fds"))
		return count_fds();
	if (argc == 3 && !strcmp(argv[1], "errors"))
		return errors(argv + 2);
	for (i = 0; argc > 2 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name))
			continue;
		fflush(stdout);
		ways[i].start(argv + 2);
		perror(argv[1]);
		return 1;
	}
	printf("# exec.c: unknown way %s\n", argc > 1 ? argv[1] : "");
	return 1;
}
