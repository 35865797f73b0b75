// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files, for files whose contents depend on the process that
 * reads or writes them. A row is an environment of a process: a namespace, a
 * chroot or a cgroup. A column is an operation on a file that is different in
 * some of these environments.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "kselftest.h"
#include "files.h"

/*
 * An operation on the file at @path.
 * @value: the text to write; NULL: the file is read
 * @lines: number of lines to compare, from the first; the lines after them
 * change *       from one read to the next; 0: all lines
 */
struct ask {
	const char *path, *value;
	int lines;
};

static char cgroup_dir[160];

/* -------------------------------------------------------- the environments */

static const char *unshared(struct kind *k)
{
	if (unshare((long)k->arg))
		return reason("unshare: %s", err_name(-errno));
	return "";
}

static const char *enter_uts(struct kind *k)
{
	const char *why = unshared(k);

	if (!*why && (sethostname("inside", 6) || setdomainname("indoors", 7)))
		why = "sethostname";
	return why;
}

static const char *enter_net(struct kind *k)
{
	const char *why = unshared(k);

	if (!*why)
		put_text("/proc/sys/net/ipv4/ip_forward", "1");
	return why;
}

static const char *enter_mount(struct kind *k)
{
	const char *why = unshared(k);

	if (!*why && mount("only-inside", work_dir, "tmpfs", 0, NULL))
		why = "mount";
	return why;
}

/* Become the first process of a pid namespace, and mount its procfs */
static const char *enter_pid(struct kind *k)
{
	const char *why = unshared(k);
	int status;
	pid_t pid;

	if (*why)
		return why;
	pid = fork();
	if (pid) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 70);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount("proc", "/proc", "proc", 0, NULL))
		return reason("mount of proc: %s", err_name(-errno));
	return "";
}

/* root in the new user namespace is an ordinary user outside of it */
static const char *enter_user(struct kind *k)
{
	const char *why = unshared(k);

	if (*why)
		return why;
	put_text("/proc/self/setgroups", "deny");
	if (!put_text("/proc/self/uid_map", "0 0 1") ||
	    !put_text("/proc/self/gid_map", "0 0 1"))
		return "no map of users";
	if (sethostname("inuser", 6))
		return "sethostname";
	return "";
}

static const char *setup_root(struct kind *k)
{
	static const char * const dirs[] = { "dev", "proc", "sys", "tmp" };
	char to[120], from[10];
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(to, sizeof(to), "%s/%s", work_dir, dirs[i]);
		snprintf(from, sizeof(from), "/%s", dirs[i]);
		mkdir(to, 0755);
		if (strcmp(from, "/tmp") &&
		    mount(from, to, NULL, MS_BIND | MS_REC, NULL))
			return reason("bind mount of %s", from);
	}
	snprintf(to, sizeof(to), "%s/mapped", work_dir);
	fd = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096) ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return "no file to be mapped";
	close(fd);
	return "";
}

static const char *enter_root(struct kind *k)
{
	if (chroot(work_dir) || chdir("/"))
		return reason("chroot: %s", err_name(-errno));
	return "";
}

static const char *setup_devices(struct kind *k)
{
	char path[200];

	if (mount("none", work_dir, "cgroup", 0, "devices"))
		return reason("no cgroup of devices: %s", err_name(-errno));
	snprintf(cgroup_dir, sizeof(cgroup_dir), "%s/io2whose", work_dir);
	mkdir(cgroup_dir, 0755);
	snprintf(path, sizeof(path), "%s/devices.deny", cgroup_dir);
	if (!put_text(path, "a"))
		return "nothing can be denied";
	snprintf(path, sizeof(path), "%s/devices.allow", cgroup_dir);
	put_text(path, "c 1:3 rw");	/* null */
	put_text(path, "c 5:2 rw");	/* ptmx */
	put_text(path, "c 136:* rw");	/* ptys */
	put_text(path, "c 10:* rw");	/* misc devices, such as iouring2 */
	return "";
}

static const char *enter_devices(struct kind *k)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup_dir);
	if (!put_text(path, "0"))
		return "cannot enter the cgroup";
	return "";
}

static const char *leave_devices(struct kind *k)
{
	int ret = 0;

	if (!*cgroup_dir)
		return "";
	until_ms(!(ret = rmdir(cgroup_dir) ? -errno : 0) || ret != -EBUSY,
		 3000);
	return ret ? reason("rmdir of the cgroup: %s", err_name(ret)) : "";
}

/* ---------------------------------------------------------------- the files */

static void cut_lines(char *text, int lines)
{
	char *p = text;

	while (lines-- && p && *p) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (p)
		*p = '\0';
}

/* Remove the state of the process, which may differ between two reads */
static void cut_state(char *text)
{
	char *p = strstr(text, "\nState:"), *q = p ? strchr(p + 1, '\n') : NULL;

	if (q)
		memmove(p, q, strlen(q) + 1);
}

/* Note the first difference between two texts, up to the end of the line */
static void note_line(struct cell *c, const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	note(c, "the call has \"%.*s\", not \"%.*s\"",
	     (int)(strcspn(a, "\n") > 50 ? 50 : strcspn(a, "\n")), a,
	     (int)(strcspn(b, "\n") > 50 ? 50 : strcspn(b, "\n")), b);
}

static void col_read_text(struct cell *c)
{
	static char call[65536], got[65536];
	const struct ask *a = c->column->arg;
	int fd = open(a->path, O_RDONLY | O_CLOEXEC), ret, len;

	if (fd < 0) {
		note_res(c, "open", -errno);
		return;
	}
	ret = io_read(c->io, fd, got, sizeof(got) - 1, 0);
	len = pread(fd, call, sizeof(call) - 1, 0);
	close(fd);
	got[ret > 0 ? ret : 0] = '\0';
	call[len > 0 ? len : 0] = '\0';
	if (ret < 0)
		note_res(c, "res", ret);
	if (a->lines) {
		cut_lines(got, a->lines);
		cut_lines(call, a->lines);
	}
	cut_state(got);
	cut_state(call);
	if (strcmp(got, call))
		note_line(c, call, got);
	else
		note(c, "as the call");
}

static void col_write_text(struct cell *c)
{
	const struct ask *a = c->column->arg;
	int fd = open(a->path, O_RDWR | O_CLOEXEC), ret;
	char text[100];

	if (fd < 0) {
		note_res(c, "open", -errno);
		return;
	}
	strcpy(text, a->value);
	ret = io_write(c->io, fd, text, strlen(text), NO_POS);
	note_res(c, "res", ret);
	if (ret < 0) {
		close(fd);
		return;
	}
	ret = pread(fd, text, sizeof(text) - 1, 0);
	text[ret > 0 ? ret : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	note(c, "now=\"%s\"", text);
	close(fd);
}

/* Note the host name in this process, after the write of hostname_write */
static void col_outside(struct cell *c)
{
	struct utsname u;

	uname(&u);
	note(c, "name=%s", u.nodename);
}

/* Write "0" to cgroup.procs: it moves the process that writes it */
static void col_cgroup(struct cell *c)
{
	char dir[100], path[130], text[400], mine[20];
	int fd, ret;
	pid_t pid;

	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/io2who.%d", getpid());
	if (mkdir(dir, 0755)) {
		note_res(c, "mkdir", -errno);
		return;
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	note_res(c, "res", io_write(c->io, fd, "0", 1, 0));
	ret = pread(fd, text, sizeof(text) - 1, 0);
	text[ret > 0 ? ret : 0] = '\0';
	snprintf(mine, sizeof(mine), "%d\n", getpid());
	note(c, "me=%d others=%d", !!strstr(text, mine),
	     strlen(text) > strlen(mine));
	close(fd);
	/* move the first task out again, even if it is a kernel thread */
	pid = fork();
	if (!pid) {
		for (ret = atoi(text); ret; ret = 0)
			put_text("/sys/fs/cgroup/cgroup.procs", "%d", ret);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	if (rmdir(dir))
		note_res(c, "rmdir", -errno);
}

/* Note which sender the receiver of a message is told (SO_PASSCRED) */
static void col_passcred(struct cell *c)
{
	char cb[CMSG_SPACE(sizeof(struct ucred))], b[16];
	struct iovec iov = { b, sizeof(b) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = cb, .msg_controllen = sizeof(cb) };
	int sv[2], one = 1;
	struct ucred u;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sv) ||
	    setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one))) {
		note_res(c, "socketpair", -errno);
		return;
	}
	note_res(c, "res", io_write(c->io, sv[1], "hello", 5, NO_POS));
	if (recvmsg(sv[0], &mh, MSG_DONTWAIT) < 0 || !CMSG_FIRSTHDR(&mh)) {
		note_res(c, "recvmsg", -errno);
	} else {
		memcpy(&u, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(u));
		note(c, "pid=%d uid=%d", u.pid == getpid(), u.uid == getuid());
	}
	close(sv[0]);
	close(sv[1]);
}

/* Note which process a fanotify listener is told as the writer of a file */
static void col_fanotify(struct cell *c)
{
	struct fanotify_event_metadata m;
	int group, fd, n;
	char path[100];

	snprintf(path, sizeof(path), "/tmp/io2who.%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK,
			      O_RDONLY | O_CLOEXEC);
	if (fd < 0 || group < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, path)) {
		note_res(c, "fanotify", -errno);
		goto out;
	}
	note_res(c, "res", io_write(c->io, fd, "x", 1, 0));
	n = read(group, &m, sizeof(m));
	if (n != sizeof(m)) {
		note_res(c, "event", n < 0 ? -errno : n);
		goto out;
	}
	note(c, "pid=%d", m.pid == getpid());
	close(m.fd);
out:
	if (group >= 0)
		close(group);
	if (fd >= 0)
		close(fd);
	unlink(path);
}

/* Read the terminal from a process group in the background */
static int background(struct cell *c, int tty, int *flag)
{
	struct io *io = mmap(NULL, sizeof(*io), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char b[20];
	int ret;

	setpgid(0, 0);
	signal(SIGTTIN, SIG_IGN);
	if (io_open(io, c->io->way))
		_exit(1);
	st_rel(flag, 1);
	ret = io_read(io, tty, b, sizeof(b), NO_POS);
	_exit(ret == -EIO ? 10 : ret > 0 ? 11 : 12);
}

static bool ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/*
 * The session leader: it starts a process in the background that reads the
 * terminal, and then types a line. The line must stay for the foreground.
 */
static void foreground(struct cell *c, int master, int tty, int *flag,
		       char *text)
{
	struct pollfd p = { .fd = tty, .events = POLLIN };
	struct cell mine = { .text = text };
	int status = 0;
	pid_t pid;

	setsid();
	ioctl(tty, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (!pid)
		background(c, tty, flag);
	setpgid(pid, pid);
	tcsetpgrp(tty, getpgrp());
	until(ended(pid, &status) || waits(pid, flag, 40));
	if (write(master, "mine\n", 5) != 5)
		_exit(1);
	/* time for the process in the background to take the line */
	note(&mine, "line=%d", poll(&p, 1, 300));
	if (!status && !ended(pid, &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	/* a read may fail or wait: io_uring does both */
	note(&mine, "background=%s", !WIFEXITED(status) ||
	     WEXITSTATUS(status) == 10 ? "has nothing" :
	     WEXITSTATUS(status) == 11 ? "took it" : "?");
	_exit(0);
}

static void col_tty(struct cell *c)
{
	struct {
		int flag;
		char text[TEXT_LEN];
	} *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int master, tty, status;
	pid_t pid;

	if (openpty(&master, &tty, NULL, NULL, NULL)) {
		note_res(c, "openpty", -errno);
		return;
	}
	pid = fork();
	if (!pid)
		foreground(c, master, tty, &s->flag, s->text);
	waitpid(pid, &status, 0);
	note(c, "%s", s->text);
	close(master);
	close(tty);
	munmap(s, sizeof(*s));
}

#define A(...)	(&(const struct ask){ __VA_ARGS__ })
#define READS(col, file)						\
	{ .name = col, .fn = col_read_text, .arg = A(.path = (file)) }
#define READS_LINES(col, file, n)					\
	{ .name = col, .fn = col_read_text,				\
	  .arg = A(.path = (file), .lines = (n)) }
#define WRITES(col, file, text)						\
	{ .name = col, .fn = col_write_text,				\
	  .arg = A(.path = (file), .value = (text)) }

static const struct column columns[] = {
	READS("hostname", "/proc/sys/kernel/hostname"),
	READS("domainname", "/proc/sys/kernel/domainname"),
	READS("maps", "/proc/self/maps"),
	READS("comm", "/proc/self/comm"),
	READS("mounts", "/proc/self/mounts"),
	READS("mountinfo", "/proc/self/mountinfo"),
	READS("uid_map", "/proc/self/uid_map"),
	READS("gid_map", "/proc/self/gid_map"),
	READS("setgroups", "/proc/self/setgroups"),
	READS("cgroup", "/proc/self/cgroup"),
	READS("limits", "/proc/self/limits"),
	READS("environ", "/proc/self/environ"),
	READS("loginuid", "/proc/self/loginuid"),
	READS("attr_current", "/proc/self/attr/current"),
	READS_LINES("status", "/proc/self/status", 12),
	READS("thread_comm", "/proc/thread-self/comm"),
	READS("keys", "/proc/keys"),
	READS("net_dev_snmp6", "/proc/self/net/if_inet6"),
	READS("net_protocols", "/proc/self/net/protocols"),
	READS("ip_forward", "/proc/sys/net/ipv4/ip_forward"),
	READS("somaxconn", "/proc/sys/net/core/somaxconn"),
	READS("pid_max", "/proc/sys/kernel/pid_max"),
	READS("shmmax", "/proc/sys/kernel/shmmax"),
	READS("sem", "/proc/sys/kernel/sem"),
	READS("mqueue", "/proc/sys/fs/mqueue/msg_max"),
	READS("user_namespaces", "/proc/sys/user/max_user_namespaces"),
	WRITES("comm_write", "/proc/self/comm", "renamed"),
	WRITES("oom_write", "/proc/self/oom_score_adj", "7"),
	WRITES("filter_write", "/proc/self/coredump_filter", "0x31"),
	WRITES("timerslack_write", "/proc/self/timerslack_ns", "60000"),
	WRITES("domainname_write", "/proc/sys/kernel/domainname", "written"),
	WRITES("ip_forward_write", "/proc/sys/net/ipv4/ip_forward", "1"),
	WRITES("shmmax_write", "/proc/sys/kernel/shmmax", "1234567"),
	WRITES("last_pid_write", "/proc/sys/kernel/ns_last_pid", "400"),
	WRITES("hostname_write", "/proc/sys/kernel/hostname", "written"),
	{ .name = "hostname_now", .fn = col_outside },
	{ .name = "cgroup_procs_write", .fn = col_cgroup },
	{ .name = "passcred", .fn = col_passcred },
	{ .name = "fanotify_pid", .fn = col_fanotify },
	{ .name = "tty_background", .fn = col_tty },
};

#define NS(flags)	.arg = (void *)(long)(flags)

static struct kind kinds[] = {
	{ .name = "here" },
	{ .name = "uts_namespace", .enter = enter_uts, NS(CLONE_NEWUTS) },
	{ .name = "net_namespace", .enter = enter_net, NS(CLONE_NEWNET) },
	{ .name = "ipc_namespace", .enter = unshared, NS(CLONE_NEWIPC) },
	{ .name = "mount_namespace", .enter = enter_mount, NS(CLONE_NEWNS) },
	{ .name = "pid_namespace", .enter = enter_pid,
	  NS(CLONE_NEWPID | CLONE_NEWNS) },
	{ .name = "cgroup_namespace", .enter = unshared,
	  NS(CLONE_NEWCGROUP) },
	{ .name = "user_namespace", .enter = enter_user,
	  NS(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC) },
	{ .name = "chroot", .setup = setup_root, .enter = enter_root },
	{ .name = "device_cgroup", .setup = setup_devices,
	  .enter = enter_devices, .teardown = leave_devices },
};

#define WORKER	"a worker is a kernel thread, whose id the listener is told: what makes " \
		"threads of a process, create_io_thread(), is not exported"

static const struct argued argued[] = {
	{ NULL, "fanotify_pid",
	  .text[WAY_CALL] = "res=1 pid=1",
	  OF_IO_URING("res=1 pid=1"), OF_IOURING2("res=1 pid=0"),
	  .why = WORKER },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = columns, .nr_columns = ARRAY_SIZE(columns),
		.argued = argued, .nr_argued = ARRAY_SIZE(argued),
	};

	return files_main(&m, argc, argv);
}
