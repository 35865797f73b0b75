// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: descriptors of events, and of other objects without a
 * name.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include "kselftest.h"
#include "files.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret	447
#endif
#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif

static int eventfd_open(struct inst *in)
{
	in->fd = eventfd(0, EFD_CLOEXEC | (long)in->kind->arg);
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	return in->fd < 0 ? -errno : 0;
}

static void eventfd_feed(struct inst *in)
{
	__u64 two = 2;

	if (write(in->peer, &two, 8) != 8)
		perror("feed");
}

static int timerfd_open(struct inst *in)
{
	in->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	return in->fd < 0 ? -errno : 0;
}

static void timerfd_feed(struct inst *in)
{
	struct itimerspec t = { .it_value.tv_nsec = 1000 };
	struct pollfd p = { .fd = in->peer, .events = POLLIN };

	timerfd_settime(in->peer, 0, &t, NULL);
	if (in->fd >= 0 && !in->priv[0])
		poll(&p, 1, 1);
}

static int signalfd_open(struct inst *in)
{
	in->fd = signals_open(SIGUSR1, 0);
	return in->fd < 0 ? in->fd : 0;
}

static void signalfd_feed(struct inst *in)
{
	kill(getpid(), SIGUSR1);
}

static void signalfd_canon(struct cell *c, struct inst *in, const void *p,
			   int res)
{
	const struct signalfd_siginfo *si = p;

	if (res >= (int)sizeof(*si))
		note(c, "signal=%u mine=%d", si->ssi_signo,
		     si->ssi_pid == (__u32)getpid());
}

static int inotify_open(struct inst *in)
{
	in->fd = inotify_init1(IN_CLOEXEC);
	if (in->fd < 0 || inotify_add_watch(in->fd, work_dir, IN_CREATE) < 0)
		return -errno;
	return 0;
}

static void inotify_feed(struct inst *in)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/event", work_dir);
	unlink(path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		perror("feed");
	close(fd);
}

static const char *fanotify_setup(struct kind *k)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);

	if (fd < 0)
		return reason("no fanotify: %s", err_name(-errno));
	close(fd);
	if (mount("files", work_dir, "tmpfs", 0, NULL))
		return "no tmpfs";
	return "";
}

static int fanotify_open(struct inst *in)
{
	int fd;

	snprintf(in->path, sizeof(in->path), "%s/event", work_dir);
	fd = open(in->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	in->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC,
			       O_RDONLY | O_CLOEXEC);
	if (in->fd < 0 || fanotify_mark(in->fd, FAN_MARK_ADD | FAN_MARK_MOUNT,
					FAN_OPEN, AT_FDCWD, work_dir))
		return -errno;
	return 0;
}

static void fanotify_feed(struct inst *in)
{
	int fd = open(in->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		perror("feed");
	close(fd);
}

/* The descriptor in the event belongs to this process and is the opened file */
static void fanotify_canon(struct cell *c, struct inst *in, const void *p,
			   int res)
{
	const struct fanotify_event_metadata *m = p;
	char link[40], path[200] = "";

	if (!FAN_EVENT_OK(m, res))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->fd);
	if (readlink(link, path, sizeof(path) - 1) < 0)
		strcpy(path, "none");
	note(c, "len=%u mask=%llx file=%s pid=%d", m->event_len,
	     (unsigned long long)m->mask, strstr(path, "event") ?: path,
	     m->pid == getpid());
	if (strstr(path, "event"))
		close(m->fd);
}

/* fd is the pidfd of a child that waits in read() */
static int pidfd_open_child(struct inst *in)
{
	int p[2];
	char b;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		close(p[1]);
		_exit(read(p[0], &b, 1));
	}
	close(p[0]);
	in->peer = p[1];
	in->priv[0] = pid;
	in->fd = syscall(__NR_pidfd_open, pid, 0);
	return in->fd < 0 ? -errno : 0;
}

static void pidfd_feed(struct inst *in)
{
	kill(in->priv[0], SIGKILL);
}

static void pidfd_close(struct inst *in)
{
	kill(in->priv[0], SIGKILL);
	waitpid(in->priv[0], NULL, 0);
	default_close(in);
}

static int memfd_open(struct inst *in)
{
	static char data[FILE_SIZE];

	in->fd = syscall(SYS_memfd_create, "files", 1 /* MFD_CLOEXEC */);
	if (in->fd < 0)
		return -errno;
	fill_pattern(data, sizeof(data), 1);
	if (pwrite(in->fd, data, sizeof(data), 0) != sizeof(data))
		return -EIO;
	fcntl(in->fd, F_SETFL, in->flags);
	snprintf(in->path, sizeof(in->path), "/proc/self/fd/%d", in->fd);
	return 0;
}

static int secretmem_open(struct inst *in)
{
	in->fd = syscall(__NR_memfd_secret, O_CLOEXEC);
	return in->fd < 0 ? -errno : ftruncate(in->fd, 8192) ? -errno : 0;
}

static const char *secretmem_setup(struct kind *k)
{
	int fd = syscall(__NR_memfd_secret, O_CLOEXEC);

	if (fd < 0)
		return reason("no memfd_secret: %s", err_name(-errno));
	close(fd);
	return "";
}

static int uffd_open(struct inst *in)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	in->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (in->fd < 0 || ioctl(in->fd, UFFDIO_API, &api))
		return -errno;
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	in->ptr = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (unsigned long)in->ptr;
	reg.range.len = 4096;
	fcntl(in->fd, F_SETFL, in->flags & O_NONBLOCK);
	return ioctl(in->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static const char *uffd_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret = uffd_open(&in);

	default_close(&in);
	return ret ? reason("no userfaultfd: %s", err_name(ret)) : "";
}

static void *touch(void *p)
{
	*(volatile char *)p = 1;
	return NULL;
}

/* Cause a page fault, which waits until the page is provided */
static void uffd_feed(struct inst *in)
{
	if (!in->priv[0])
		pthread_create((pthread_t *)&in->priv[0], NULL, touch, in->ptr);
}

static void uffd_close(struct inst *in)
{
	struct uffdio_zeropage z = {
		.range = { (unsigned long)in->ptr, 4096 },
	};

	if (in->priv[0]) {
		until_ms(!ioctl(in->peer, UFFDIO_ZEROPAGE, &z) ||
			 errno == EEXIST, 1000);
		pthread_join(in->priv[0], NULL);
	}
	munmap(in->ptr, 4096);
	default_close(in);
}

static void uffd_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	const struct uffd_msg *m = p;

	if (res >= (int)sizeof(*m))
		note(c, "event=%x here=%d", m->event,
		     m->arg.pagefault.address == (unsigned long)in->ptr);
}

static int perf_open(struct inst *in)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(a),
		.config = PERF_COUNT_SW_DUMMY,
	};

	in->fd = syscall(SYS_perf_event_open, &a, 0, -1, -1,
			 PERF_FLAG_FD_CLOEXEC);
	return in->fd < 0 ? -errno : 0;
}

static const char *perf_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret = perf_open(&in);

	/*
	 * The event stays open. The kernel patches its code for the first event
	 * and after the last one, and an emulated processor sometimes misses
	 * that.
	 */
	return ret ? reason("no perf events: %s", err_name(ret)) : "";
}

static int bpf_map_open(struct inst *in)
{
	union bpf_attr a = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8,
		.max_entries = 1,
	};

	in->fd = syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a));
	return in->fd < 0 ? -errno : 0;
}

static const char *bpf_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret = bpf_map_open(&in);

	default_close(&in);
	return ret ? reason("no bpf: %s", err_name(ret)) : "";
}

/* The bytes that follow each kind of type in BTF: fixed, and for each member */
static const struct {
	unsigned char fixed, each;
} btf_sizes[32] = {
	[1] = { 4 },		/* an integer */
	[3] = { 12 },		/* an array */
	[4] = { 0, 12 },	/* a struct */
	[5] = { 0, 12 },	/* a union */
	[6] = { 0, 8 },		/* an enum */
	[13] = { 0, 8 },	/* a function's prototype */
	[14] = { 4 },		/* a variable */
	[15] = { 0, 12 },	/* a section */
	[17] = { 4 },		/* a declaration's tag */
	[19] = { 0, 12 },	/* an enum of 64 bits */
};

/* Return: the id of a function in the kernel's BTF, or 0 */
static unsigned int btf_function(const char *name)
{
	static char raw[32 << 20];
	const struct btf_header *h = (void *)raw;
	const char *at, *strings;
	const struct btf_type *t;
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	unsigned int id, kind, found = 0;
	size_t len = 0;
	ssize_t nr;

	while (fd >= 0 && len < sizeof(raw) &&
	       (nr = read(fd, raw + len, sizeof(raw) - len)) > 0)
		len += nr;
	close(fd);
	if (len < sizeof(*h) || h->magic != 0xeb9f)
		return 0;
	at = raw + h->hdr_len + h->type_off;
	strings = raw + h->hdr_len + h->str_off;
	for (id = 1; !found && at < strings; id++) {
		t = (void *)at;
		kind = t->info >> 24 & 0x1f;
		if (kind == BTF_KIND_FUNC && !strcmp(strings + t->name_off, name))
			found = id;
		at += sizeof(*t) + btf_sizes[kind].fixed +
		      (t->info & 0xffff) * btf_sizes[kind].each;
	}
	return found;
}

#define NAME_LEN	16	/* of a task */

/*
 * An iterator over all tasks. After the last one, its program writes the name of
 * the task that reads. Return: its link, or -errno.
 */
static int bpf_iter_link(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 6,
		  .src_reg = 1 },
		/* r2 = the task; nothing to do if there is one */
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 2,
		  .src_reg = 1, .off = 8 },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 2, .off = 10 },
		/* r6 = the sequential file */
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 6,
		  .src_reg = 6 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1,
		  .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1,
		  .imm = -NAME_LEN },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2,
		  .imm = NAME_LEN },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_comm },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1,
		  .src_reg = 6 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2,
		  .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2,
		  .imm = -NAME_LEN },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3,
		  .imm = NAME_LEN },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_seq_write },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr a = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = BPF_TRACE_ITER,
		.insns = (unsigned long)code, .insn_cnt = ARRAY_SIZE(code),
		.license = (unsigned long)"GPL",
		.attach_btf_id = btf_function("bpf_iter_task"),
	};
	int prog, link;

	if (!a.attach_btf_id)
		return -ENOENT;
	prog = syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	if (prog < 0)
		return -errno;
	memset(&a, 0, sizeof(a));
	a.link_create.prog_fd = prog;
	a.link_create.attach_type = BPF_TRACE_ITER;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));
	link = link < 0 ? -errno : link;
	close(prog);
	return link;
}

static int iter_link;

static int bpf_iter_open(struct inst *in)
{
	union bpf_attr a = {};

	a.iter_create.link_fd = iter_link;
	in->fd = syscall(SYS_bpf, BPF_ITER_CREATE, &a, sizeof(a));
	return in->fd < 0 ? -errno : 0;
}

/* The program runs in whoever reads: that must be the process itself */
static const char *bpf_iter_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	char name[NAME_LEN] = "", mine[NAME_LEN] = "";
	int ret;

	iter_link = bpf_iter_link();
	if (iter_link < 0)
		return reason("no iterator of BPF: %s", err_name(iter_link));
	ret = bpf_iter_open(&in);
	if (!ret)
		ret = read(in.fd, name, sizeof(name));
	default_close(&in);
	prctl(PR_GET_NAME, mine);
	if (ret != sizeof(name) || strncmp(name, mine, sizeof(name)))
		return reason("an iterator reads \"%.16s\": %d", name, ret);
	return "";
}

/* Whose name is it? That of a thread of io_uring may have a number. */
static void bpf_iter_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	char name[NAME_LEN + 1] = "", mine[NAME_LEN] = "";

	memcpy(name, p, res < NAME_LEN ? res : NAME_LEN);
	prctl(PR_GET_NAME, mine);
	if (!strcmp(name, mine)) {
		note(c, "name=own");
		return;
	}
	note(c, "name=%.*s%s", (int)strcspn(name, "0123456789"), name,
	     strpbrk(name, "0123456789") ? "N" : "");
}

/* An epoll set, which is ready when the eventfd in it is ready */
static int epoll_open(struct inst *in)
{
	in->peer = eventfd(0, EFD_CLOEXEC);
	in->fd = epoll_of(in->peer, EPOLLIN);
	return in->fd < 0 ? in->fd : 0;
}

static int mqueue_open(struct inst *in)
{
	struct mq_attr a = { .mq_maxmsg = 2, .mq_msgsize = 16 };
	char name[40];

	snprintf(name, sizeof(name), "/io2files%d", getpid());
	in->fd = mq_open(name, O_RDWR | O_CREAT, 0600, &a);
	if (in->fd < 0)
		return -errno;
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	mq_unlink(name);
	return 0;
}

static void mqueue_feed(struct inst *in)
{
	mq_send(in->peer, "datum", 5, 0);
}

static const char *mqueue_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret = mqueue_open(&in);

	default_close(&in);
	return ret ? reason("no message queues: %s", err_name(ret)) : "";
}

static int our_ring_open(struct inst *in)
{
	struct iouring2_setup s = { .entries = 4 };

	in->fd = dev_setup(&s);
	return in->fd < 0 ? in->fd : 0;
}

static int native_ring_open(struct inst *in)
{
	struct iouring2_params p = {};

	in->fd = syscall(425, 4, &p);
	return in->fd < 0 ? -errno : 0;
}

static const char *native_ring_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret = native_ring_open(&in);

	default_close(&in);
	return ret ? reason("no io_uring: %s", err_name(ret)) : "";
}

static int device_node(struct inst *in)
{
	in->fd = dev_open();
	return in->fd < 0 ? in->fd : 0;
}

#define STREAM	(K_READ | K_WRITE | K_FEED | K_POLL | K_NONBLOCK)
#define EVENTS	(K_READ | K_FEED | K_POLL | K_NONBLOCK)

static struct kind kinds[] = {
	{ .name = "eventfd", .can = STREAM | K_CLASS, .open = eventfd_open,
	  .feed = eventfd_feed, .datum = 8,
	  .any = ANY_READ | ANY_WRITE | ANY_POLL },
	{ .name = "eventfd_semaphore", .can = STREAM, .open = eventfd_open,
	  .feed = eventfd_feed, .datum = 8, .arg = (void *)EFD_SEMAPHORE },
	{ .name = "timerfd", .can = EVENTS | K_CLASS, .open = timerfd_open,
	  .feed = timerfd_feed, .datum = 8, .any = ANY_READ | ANY_POLL },
	{ .name = "signalfd", .can = EVENTS | K_CLASS, .open = signalfd_open,
	  .feed = signalfd_feed, .canon = signalfd_canon },
	{ .name = "inotify", .can = EVENTS | K_CLASS, .open = inotify_open,
	  .feed = inotify_feed, .any = ANY_READ | ANY_POLL },
	{ .name = "fanotify", .can = EVENTS | K_CLASS, .setup = fanotify_setup,
	  .open = fanotify_open, .feed = fanotify_feed, .canon = fanotify_canon,
	  .any = ANY_POLL },
	{ .name = "pidfd", .can = K_FEED | K_POLL | K_CLASS,
	  .open = pidfd_open_child, .feed = pidfd_feed, .close = pidfd_close,
	  .any = ANY_POLL },
	{ .name = "memfd", .can = K_READ | K_WRITE | K_SEEK | K_DATA |
	  K_NONBLOCK | K_CLASS, .open = memfd_open, .any = ANY_DATA },
	{ .name = "secretmem", .can = K_READ | K_WRITE | K_CLASS,
	  .setup = secretmem_setup, .open = secretmem_open },
	{ .name = "userfaultfd", .can = EVENTS, .setup = uffd_setup,
	  .open = uffd_open, .feed = uffd_feed, .close = uffd_close,
	  .canon = uffd_canon },
	{ .name = "perf", .can = K_READ | K_CLASS, .setup = perf_setup,
	  .open = perf_open, .any = ANY_POLL },
	{ .name = "bpf_map", .can = K_READ | K_WRITE, .setup = bpf_setup,
	  .open = bpf_map_open },
	{ .name = "bpf_iter", .can = K_READ, .setup = bpf_iter_setup,
	  .open = bpf_iter_open, .canon = bpf_iter_canon },
	{ .name = "epoll", .can = K_FEED | K_POLL | K_CLASS, .open = epoll_open,
	  .feed = eventfd_feed },
	{ .name = "mqueue", .can = K_FEED | K_POLL | K_CLASS,
	  .setup = mqueue_setup, .open = mqueue_open, .feed = mqueue_feed },
	{ .name = "iouring2_ring", .can = K_NEVER,
	  .open = our_ring_open },
	{ .name = "io_uring_ring", .can = K_NEVER,
	  .setup = native_ring_setup, .open = native_ring_open },
	{ .name = "iouring2_node", .can = K_READ | K_WRITE,
	  .open = device_node },
};

#define CIRCLE	"two rings that reference each other would never be freed: " \
		"the collector of such cycles (unix_gc) knows io_uring's " \
		"files only"

#define TASK_WORK \
	"io_uring's worker may have pending task work that makes another " \
	"worker: this ends the read with EINTR before the cancel does"

#define NO_OFFSET							\
	"the program of the iterator writes the name of io_uring's thread"

/* The read has ended when it is cancelled, before or after a look at the CQ */
#define ENDED_EARLY							\
	"submit=1 done=0 submit=1 cancel=-ENOENT read=-ECANCELED datum=1|" \
	"submit=1 done=1 submit=1 cancel=-ENOENT read=-ECANCELED datum=1"

#define NEVER_READY	"waits submit=1 cancel=0 res=-ECANCELED"

static const struct argued argued[] = {
	{ "bpf_iter", "pos",
	  .text[WAY_CALL] = "res=-ESPIPE",
	  OF_IO_URING("res=16 name=iou-wrk-N"),
	  OF_IOURING2("res=16 name=own"), .why = NO_OFFSET },
	{ "userfaultfd", "cancel",
	  OF_IO_URING(ENDED_EARLY),
	  OF_IOURING2("submit=1 done=0 submit=1 cancel=0 read=-ECANCELED datum=1"),
	  .why = TASK_WORK },
	{ "iouring2_ring", "never", "5.10",
	  .text[WAY_CALL] = "res=-EINVAL",
	  .text[WAY_NATIVE] = NEVER_READY,
	  .text[WAY_NATIVE_ASYNC] = "res=-EINVAL",
	  OF_IOURING2("res=-EOPNOTSUPP"), .why = CIRCLE },
	{ "iouring2_ring", "never",
	  .text[WAY_CALL] = "res=-EINVAL",
	  OF_IO_URING(NEVER_READY),
	  OF_IOURING2("res=-EOPNOTSUPP"), .why = CIRCLE },
	{ "iouring2_ring", "fsync",
	  .text[WAY_CALL] = "fsync=-EINVAL fdatasync=-EINVAL",
	  OF_IO_URING("fsync=-EINVAL fdatasync=-EINVAL"),
	  OF_IOURING2("fsync=-EOPNOTSUPP fdatasync=-EOPNOTSUPP"), .why = CIRCLE },
	{ "iouring2_ring", "poll",
	  .text[WAY_CALL] = "events=4",
	  OF_IO_URING("events=4"),
	  OF_IOURING2("events=ffffffa1" /* -EOPNOTSUPP */), .why = CIRCLE },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
		.argued = argued, .nr_argued = ARRAY_SIZE(argued),
	};

	return files_main(&m, argc, argv);
}
