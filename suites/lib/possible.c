// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Test whether this machine allows what the trap needs. The program has no code of
 * the trap, so that a failure here is not a failure of the trap.
 *
 * Exit status: 0, or 77 after a line about the reason
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t trapped;

static void on_sigsys(int sig)
{
	trapped = sig;
}

static int no(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 77;
}

/* Return: whether a child can attach to its parent, as the launcher's child does */
static int attaches(void)
{
	pid_t parent = getpid(), pid;
	int status, channel[2];
	char c = 0;

	if (pipe(channel))
		return 0;
	pid = fork();
	if (!pid) {
		if (read(channel[0], &c, 1) != 1)
			_exit(1);
		_exit(ptrace(PTRACE_SEIZE, parent, 0, 0) ? errno : 0);
	}
	prctl(PR_SET_PTRACER, pid, 0, 0, 0);
	if (write(channel[1], &c, 1) != 1 || waitpid(pid, &status, 0) != pid)
		return 0;
	errno = WEXITSTATUS(status);
	return !status;
}

int main(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = code };

	if (!attaches())
		return no("a child cannot trace its parent");
	if (signal(SIGSYS, on_sigsys) == SIG_ERR || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return no("cannot set a seccomp filter");
	syscall(__NR_getppid);
	if (!trapped)
		return no("a seccomp filter does not trap");
	return 0;
}
