// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Test the translation of calls, with a stub of the kernel. Prints TAP. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/iouring2.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "../../lib/sys.h"
#include "../../lib/translate.h"

#define DEVICE	100
#define RING	7	/* a ring of iouring2 */
#define NATIVE	8	/* a ring of the kernel's io_uring */
#define CLOSED	9
#define OTHER	11	/* another file */
#define DUPS	768	/* the first duplicate */
#define NR_DUPS	1100
#define SLOTS	56	/* threads that have their slots on one page */

static struct fake {
	long	open_result, setup_result, vm_result;
	long	device_result;		/* result of REGISTER on the device */
	int	no_vm;
	long	fadvise_result;		/* result of fadvise64 on a ring; 0: that of ENTER */
	long	fadvise_args[4];		/* arguments of fadvise64 */
	long	last_real;		/* last system call that went to the kernel */
	long	real_args[6];
	int	device_open, ring_closed;
	int	dup_result;		/* result of F_DUPFD_CLOEXEC for high numbers, if not 0 */
	int	dup_end;		/* there is no descriptor from here on, if not 0 */
	int	no_memory;
	int	native_ring;		/* result of the kernel's SETUP, if not 0 */
	void	*vm_bad;		/* process_vm_writev fails at this address */
	int	blocked_wrong;		/* a signal mask contained SIGSYS */
	struct iouring2_setup		setup;
	struct iouring2_enter		enter;
	struct iouring2_register	reg;
	struct iouring2_clone_buffers	clone;	/* argument of the kernel's CLONE_BUFFERS */
	int	ioctls;
	char	text[512];
} k;

/* State that stays when a test ends, as the memory of registered.c does. */
static struct {
	int	tid, pid, parent;
	int	dups[NR_DUPS];		/* what a high descriptor is a duplicate of, or 0 */
	int	ended[8];		/* threads that have ended */
	int	nr_ended;
	int	shares_files;
	int	*wiped;			/* the page that the kernel clears at fork */
	int	maps;
} w = { .tid = 4711, .pid = 4711, .parent = 1 };

/* RING, NATIVE, CLOSED or OTHER */
static int kind(long fd)
{
	if (fd >= DUPS && fd < NR_DUPS)
		return w.dups[fd] ? w.dups[fd] : CLOSED;
	return fd == RING || fd == NATIVE || fd == DEVICE ? (int)fd :
	       fd < 0 || fd == CLOSED ? CLOSED : OTHER;
}

static int nr_dups(void)
{
	int i, n = 0;

	for (i = 0; i < NR_DUPS; i++)
		n += !!w.dups[i];
	return n;
}

static long fake_dup(int fd, int from)
{
	int end = k.dup_end ? k.dup_end : NR_DUPS;

	if (kind(fd) == CLOSED)
		return -EBADF;
	if (from >= DUPS && k.dup_result)
		return k.dup_result;
	/* lower numbers are not simulated */
	for (from = from < DUPS ? DUPS + 200 : from; from < end; from++) {
		if (w.dups[from])
			continue;
		w.dups[from] = kind(fd);
		return from;
	}
	return -EMFILE;
}

static long fake_tgkill(int pid, int tid)
{
	int i;

	for (i = 0; i < w.nr_ended; i++) {
		if (w.ended[i] == tid)
			return -ESRCH;
	}
	return pid == w.pid ? 0 : -ESRCH;
}

static long fake_ioctl(int fd, unsigned long request, void *arg)
{
	k.ioctls++;
	fd = kind(fd);
	if (fd == CLOSED)
		return -EBADF;
	if (fd == DEVICE && request == IOURING2_IOC_SETUP) {
		struct iouring2_setup *s = arg;

		k.setup = *s;
		if (k.setup_result >= 0) {
			s->params.sq_entries = s->entries;
			s->params.features = 0x55;
		}
		return k.setup_result;
	}
	if (fd == RING && request == IOURING2_IOC_ENTER) {
		if (((struct iouring2_enter *)arg)->flags == ~0U)
			return -EINVAL;
		k.enter = *(struct iouring2_enter *)arg;
		return k.enter.to_submit == 99 ? -EBUSY : (long)k.enter.to_submit;
	}
	if (fd == RING && request == IOURING2_IOC_REGISTER) {
		k.reg = *(struct iouring2_register *)arg;
		return -EINVAL;
	}
	if (fd == DEVICE && request == IOURING2_IOC_REGISTER) {
		k.reg = *(struct iouring2_register *)arg;
		return k.device_result;
	}
	return -ENOTTY;
}

/* The result of the ENTER advice on a ring, a closed descriptor and any other file */
static long fake_fadvise(long fd, long off, long len, long advice)
{
	const long args[] = { fd, off, len, advice };

	memcpy(k.fadvise_args, args, sizeof(args));
	fd = kind(fd);
	if (fd == CLOSED)
		return -EBADF;
	if (fd != RING || !(advice & IOURING2_ENTER_FADVISE))
		return -EINVAL;
	if (k.fadvise_result)
		return k.fadvise_result;
	return off == 99 ? -EBUSY : off;
}

static long fake_vm(int out, const struct iovec *l, const struct iovec *r)
{
	if (k.no_vm)
		return -EPERM;
	if ((unsigned long)r->iov_base < 4096 || (out && r->iov_base == k.vm_bad))
		return -EFAULT;
	if (out)
		memcpy(r->iov_base, l->iov_base, l->iov_len);
	else
		memcpy(l->iov_base, r->iov_base, l->iov_len);
	return (long)l->iov_len;
}

long io2_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	switch (nr) {
	case __NR_openat:
		if (strcmp((char *)b, "/dev/iouring2") || !(c & O_CLOEXEC))
			return -ENOENT;
		if (k.open_result)
			return k.open_result;
		k.device_open++;
		return DEVICE;
	case __NR_close:
		if (a == DEVICE)
			k.device_open--;
		else if (a >= DUPS && a < NR_DUPS)
			w.dups[a] = 0;
		else
			k.ring_closed++;
		return 0;
	case __NR_getpid:
		return w.pid;
	case __NR_getppid:
		return w.parent;
	case __NR_gettid:
		return w.tid;
	case __NR_tgkill:
		return fake_tgkill((int)a, (int)b);
	case __NR_kcmp:
		return !w.shares_files;
	case __NR_fcntl:
		return b == F_DUPFD_CLOEXEC ? fake_dup((int)a, (int)c) : -EINVAL;
	case __NR_mmap:
		w.maps++;
		return k.no_memory ? -ENOMEM : (long)calloc(1, (size_t)b);
	case __NR_munmap:
		w.maps--;
		free((void *)a);
		return 0;
	case __NR_madvise:
		if (c != MADV_WIPEONFORK)
			return -EINVAL;
		w.wiped = (int *)a;
		return 0;
	case __NR_rt_sigprocmask:
		k.blocked_wrong |= b && (*(unsigned long *)b >> 30 & 1);
		return 0;
	case __NR_process_vm_readv:
		return fake_vm(0, (void *)b, (void *)d);
	case __NR_process_vm_writev:
		return k.vm_result ? k.vm_result : fake_vm(1, (void *)b, (void *)d);
	case __NR_fadvise64:
		return fake_fadvise(a, b, c, d);
	case __NR_ioctl:
		return fake_ioctl((int)a, (unsigned long)b, (void *)c);
	case __NR_write:
		snprintf(k.text, sizeof(k.text), "%.*s", (int)c, (char *)b);
		return c;
	default:
		k.last_real = nr;
		k.real_args[0] = a;
		k.real_args[1] = b;
		k.real_args[2] = c;
		k.real_args[3] = d;
		k.real_args[4] = e;
		k.real_args[5] = f;
		if (nr == IO2_NR_REGISTER && b == IOURING2_REGISTER_CLONE_BUFFERS)
			k.clone = *(struct iouring2_clone_buffers *)c;
		/* an invalid call of REGISTER, which asks whether it is a ring */
		if (nr == IO2_NR_REGISTER && !c && d < 2 && b != IOURING2_REGISTER_QUERY)
			return kind(a) == NATIVE ? -EINVAL : -EOPNOTSUPP;
		return nr == IO2_NR_SETUP && k.native_ring ? k.native_ring : 1234;
	}
}

static int tests, failed;

static void check(int ok, const char *what)
{
	printf("%s %d - %s\n", ok ? "ok" : "not ok", ++tests, what);
	failed += !ok;
}

static void reset(void)
{
	memset(&k, 0, sizeof(k));
	memset(&io2_settings, 0, sizeof(io2_settings));
	k.setup_result = RING;
}

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long args[6] = { a, b, c, d, e, f };

	return io2_translate(nr, args, "test", NULL);
}

static long setup(struct iouring2_params *p)
{
	return call(IO2_NR_SETUP, 8, (long)p, 0, 0, 0, 0);
}

static void test_setup(void)
{
	struct iouring2_params p = { .flags = 8, .cq_entries = 64 };

	reset();
	check(setup(&p) == RING, "setup returns the ring");
	check(k.setup.entries == 8 && k.setup.params.flags == 8 &&
	      k.setup.params.cq_entries == 64 &&
	      k.setup.flags == IOURING2_RING_SUBMIT_BACKLOGGED &&
	      !k.setup.max_inflight && !k.setup.resv[0] && !k.setup.resv[4],
	      "setup passes its arguments, and the rest is 0");
	check(p.features == (0x55 | IOURING2_FEAT_REG_REG_RING) && p.sq_entries == 8 &&
	      p.flags == 8, "setup returns params");
	check(!k.device_open && !k.ring_closed, "setup leaves only the ring open");
	check(!k.last_real, "setup does not call the kernel's io_uring");
	reset();
	io2_settings.ebusy = 1;
	check(setup(&p) == RING && !k.setup.flags, "setup with the setting ebusy");
	reset();
	k.setup_result = -ENOMEM;
	p.features = 0;
	check(setup(&p) == -ENOMEM && !p.features && !k.device_open,
	      "a failed setup leaves params and descriptors unchanged");
	reset();
	check(setup(NULL) == -EFAULT, "setup without params: EFAULT");
	check(setup((void *)8) == -EFAULT && !k.device_open,
	      "setup with a bad address: EFAULT, not a crash");
	k.vm_result = -EFAULT;
	check(setup(&p) == -EFAULT && k.ring_closed == 1,
	      "setup with read-only params: EFAULT, and the ring is closed");
	reset();
	k.no_vm = 1;
	check(setup(&p) == RING && (p.features & 0x55) == 0x55,
	      "setup works without process_vm_readv");
}

static void test_no_device(void)
{
	static const struct { long open, answer; } cases[] = {
		{ -ENOENT, -ENOSYS }, { -ENXIO, -ENOSYS }, { -EACCES, -EPERM },
		{ -EPERM, -EPERM }, { -EMFILE, -EMFILE },
	};
	struct iouring2_params p = { .flags = 0 };
	unsigned int i;
	int ok = 1;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reset();
		k.open_result = cases[i].open;
		ok &= setup(&p) == cases[i].answer && !k.last_real;
	}
	check(ok, "without the device: an error, and no call of the kernel's io_uring");
	reset();
	k.setup_result = -ENOTTY;
	check(setup(&p) == -ENOSYS, "another device with the same name: ENOSYS");
	reset();
	io2_settings.fallback = 1;
	k.open_result = -ENOENT;
	check(setup(&p) == 1234 && k.last_real == IO2_NR_SETUP &&
	      k.real_args[1] == (long)&p, "fallback without the device");
	reset();
	io2_settings.fallback = 1;
	k.setup_result = -EINVAL;
	check(setup(&p) == 1234 && !k.device_open, "fallback for unknown flags");
	reset();
	io2_settings.fallback = 1;
	k.setup_result = -ENOMEM;
	check(setup(&p) == -ENOMEM && !k.last_real,
	      "no fallback if memory is short");
}

static void test_enter_by_fadvise(void)
{
	static const long refusals[] = { -EINVAL, -ESPIPE, -EPERM, -EACCES, -ENOSYS };
	unsigned int i;

	reset();
	check(call(IO2_NR_ENTER, RING, 3, 2, 1, 0, 8) == 3 && !k.ioctls &&
	      k.fadvise_args[1] == 3 && k.fadvise_args[2] == 2 &&
	      k.fadvise_args[3] == (1 | IOURING2_ENTER_FADVISE),
	      "enter without an argument uses fadvise64");
	check(call(IO2_NR_ENTER, RING, 99, 0, 0, 0, 0) == -EBUSY && !k.ioctls,
	      "enter returns the error of fadvise64");
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		reset();
		k.fadvise_result = refusals[i];
		check(call(IO2_NR_ENTER, RING, 3, 2, 1, 0, 8) == 3 && k.ioctls == 1,
		      "enter uses the ioctl if fadvise64 is refused");
	}
	reset();
	call(IO2_NR_ENTER, NATIVE, 1, 0, IOURING2_ENTER_FADVISE | 4, 0, 0);
	check(!k.fadvise_args[0], "enter calls fadvise64 on no other file");
	reset();
	call(IO2_NR_ENTER, RING, 1, 1, 8, 0x1000, 24);
	check(!k.fadvise_args[0] && k.ioctls == 1, "enter with an argument structure uses the ioctl");
	reset();
	call(IO2_NR_ENTER, RING, 1, 1, 1, 0x1000, 8);
	check(!k.fadvise_args[0] && k.ioctls == 1, "enter with a signal mask uses the ioctl");
}

static void test_enter(void)
{
	reset();
	k.fadvise_result = -EINVAL;
	check(call(IO2_NR_ENTER, RING, 3, 2, 1, 0, 8) == 3, "enter by ioctl returns its result");
	check(k.enter.to_submit == 3 && k.enter.min_complete == 2 &&
	      k.enter.flags == 1 && !k.enter.arg && k.enter.argsz == 8,
	      "enter by ioctl passes its arguments");
	check(call(IO2_NR_ENTER, RING, 99, 0, 0, 0, 0) == -EBUSY,
	      "enter by ioctl returns EBUSY");
	call(IO2_NR_ENTER, RING, 1, 1, 8, 0x1000, 0x100000018);
	check(k.enter.argsz == ~0U, "enter does not cut a size to 32 bits");
	check(call(IO2_NR_ENTER, CLOSED, 1, 0, 0, 0, 0) == -EBADF &&
	      !k.last_real, "enter on a closed descriptor: EBADF, and no call of the kernel's io_uring");
	check(call(IO2_NR_ENTER, NATIVE, 3, 2, 1, 77, 88) == 1234 &&
	      k.last_real == IO2_NR_ENTER && k.real_args[0] == NATIVE &&
	      k.real_args[1] == 3 && k.real_args[4] == 77 && k.real_args[5] == 88,
	      "enter on another descriptor goes to the kernel, with the same arguments");
}

static void test_register(void)
{
	reset();
	check(call(IO2_NR_REGISTER, RING, IOURING2_REGISTER_BUFFERS, 5, 1, 0, 0) == -EINVAL &&
	      k.reg.opcode == IOURING2_REGISTER_BUFFERS && k.reg.arg == 5 &&
	      k.reg.nr_args == 1 && !k.last_real,
	      "register: an unsupported opcode gives EINVAL");
	check(call(IO2_NR_REGISTER, NATIVE, 8, 5, 1, 0, 0) == 1234,
	      "register: another descriptor goes to the kernel");
}

/* Without a ring the device answers, and the kernel only where it makes rings. */
static void test_register_without_ring(void)
{
	reset();
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_QUERY, 5, 0, 0, 0) == 0 &&
	      k.reg.opcode == IOURING2_REGISTER_QUERY && k.reg.arg == 5 &&
	      !k.reg.nr_args && !k.device_open && !k.last_real,
	      "register without a ring: the device answers, and is closed");
	k.device_result = -EINVAL;
	check(call(IO2_NR_REGISTER, -1, 0, 0, 0, 0, 0) == -EINVAL && !k.last_real,
	      "register without a ring: the device's error");
	k.device_result = -ENOTTY;
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_QUERY, 5, 0, 0, 0) == -EBADF &&
	      !k.last_real, "register without a ring, by an older module: EBADF");
	k.open_result = -ENOENT;
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_QUERY, 5, 0, 0, 0) == -ENOSYS &&
	      !k.last_real, "register without a ring, and no device: ENOSYS");
	io2_settings.fallback = 1;
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_QUERY, 5, 0, 0, 0) == 1234 &&
	      k.last_real == IO2_NR_REGISTER,
	      "register without a ring and a device, with fallback: goes to the kernel");
	reset();
	io2_settings.fallback = 1;
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_QUERY, 5, 0, 0, 0) == 0 &&
	      !k.last_real, "register without a ring, with fallback: the device answers");
	k.device_result = -EINVAL;
	check(call(IO2_NR_REGISTER, -1, IOURING2_REGISTER_SEND_MSG_RING, 5, 1, 0, 0) == 1234,
	      "register without a ring, with fallback: what the device refuses goes to the kernel");
}

/* ---- registered rings ------------------------------------------------------ */

#define ENTER_REG	IOURING2_ENTER_REGISTERED_RING
#define USE_REG		IOURING2_REGISTER_USE_REGISTERED_RING

static void new_thread(void)
{
	reset();
	w.tid++;
}

static void thread_ends(int tid)
{
	w.ended[w.nr_ended++ % 8] = tid;
}

/* A forked process: @w.wiped is cleared, the other memory stays. */
static void new_process(void)
{
	reset();
	w.parent = w.pid;
	w.pid = w.tid = w.pid + 1000;
	w.nr_ended = 0;
	*w.wiped = 0;
}

static long change(unsigned int opcode, struct iouring2_rsrc_update *up, unsigned int nr)
{
	return call(IO2_NR_REGISTER, RING, opcode, (long)up, nr, 0, 0);
}

static long add_at(int fd, unsigned int offset, unsigned int *got)
{
	struct iouring2_rsrc_update up = { .offset = offset, .data = (unsigned int)fd };
	long ret = change(IOURING2_REGISTER_RING_FDS, &up, 1);

	if (got)
		*got = up.offset;
	return ret;
}

static long drop(unsigned int offset)
{
	struct iouring2_rsrc_update up = { .offset = offset };

	return change(IOURING2_UNREGISTER_RING_FDS, &up, 1);
}

static long enter_at(unsigned int index)
{
	return call(IO2_NR_ENTER, index, 3, 2, ENTER_REG | 1, 0, 8);
}

static void test_registered(void)
{
	struct iouring2_params p = { .flags = 0 };
	struct iouring2_rsrc_update ups[17];
	unsigned int i, got = 99;
	int maps = w.maps;

	new_thread();
	check(enter_at(0) == -EINVAL && drop(0) == 0 && w.maps == maps,
	      "registered: a thread without a ring: EINVAL, and no memory is used");
	check(setup(&p) == RING && enter_at(0) == -EBADF && drop(0) == 1,
	      "registered: a thread with a ring: EBADF for a free index");
	check(enter_at(16) == -EINVAL && enter_at(~0U) == -EINVAL, "registered: a wrong index");
	check(call(IO2_NR_ENTER, 0, 1, 0, ENTER_REG | (1U << 20), 0, 0) == -EINVAL,
	      "registered: a wrong flag and a free index: EINVAL");
	check(add_at(RING, ~0U, &got) == 1 && !got && nr_dups() == 1 && w.dups[DUPS] == RING,
	      "registered: a duplicate with a high number");
	check(enter_at(0) == 3 && k.fadvise_args[0] == DUPS && k.fadvise_args[1] == 3 &&
	      k.fadvise_args[2] == 2 && k.fadvise_args[3] == (1 | IOURING2_ENTER_FADVISE),
	      "registered: enter uses the duplicate, without the flag");
	call(IO2_NR_ENTER, 0, 5, 2, ENTER_REG | 9, 0x1000, 24);
	check(k.enter.to_submit == 5 && k.enter.flags == 9 && k.enter.arg == 0x1000 &&
	      k.enter.argsz == 24, "registered: enter by ioctl");
	check(call(IO2_NR_REGISTER, 0, USE_REG | 8, 77, 6, 0, 0) == -EINVAL &&
	      k.reg.opcode == 8 && k.reg.arg == 77 && k.reg.nr_args == 6 && !k.last_real,
	      "registered: register uses the duplicate, without the flag");
	k.reg.opcode = 99;
	check(call(IO2_NR_REGISTER, 1, USE_REG | 8, 0, 0, 0, 0) == -EBADF &&
	      call(IO2_NR_REGISTER, 16, USE_REG | 8, 0, 0, 0, 0) == -EINVAL &&
	      call(IO2_NR_REGISTER, 1, USE_REG | 1000, 0, 0, 0, 0) == -EINVAL &&
	      k.reg.opcode == 99, "registered: register with a wrong index");
	k.device_result = -EINVAL;
	check(call(IO2_NR_REGISTER, -1, USE_REG | 8, 77, 6, 0, 0) == -EINVAL &&
	      k.reg.opcode == 8 && k.reg.arg == 77, "registered: the device answers for -1");
	check(add_at(RING, 0, NULL) == -EBUSY && nr_dups() == 1, "registered: the index is taken");
	check(add_at(RING, 16, NULL) == -EINVAL && add_at(CLOSED, ~0U, NULL) == -EBADF &&
	      add_at(OTHER, ~0U, NULL) == -EOPNOTSUPP && add_at(CLOSED, 0, NULL) == -EBADF &&
	      add_at(DEVICE, ~0U, NULL) == -EOPNOTSUPP && nr_dups() == 1,
	      "registered: wrong arguments");
	check(add_at(RING, 5, &got) == 1 && got == 5 && w.dups[DUPS + 1] == RING,
	      "registered: an index that the program has chosen");
	for (i = 0; i < 17; i++)
		ups[i] = (struct iouring2_rsrc_update){ .offset = ~0U, .data = RING };
	check(change(IOURING2_REGISTER_RING_FDS, ups, 0) == -EINVAL &&
	      change(IOURING2_REGISTER_RING_FDS, ups, 17) == -EINVAL &&
	      change(IOURING2_UNREGISTER_RING_FDS, ups, 17) == -EINVAL,
	      "registered: a wrong number of entries");
	check(change(IOURING2_REGISTER_RING_FDS, ups, 16) == 14 && ups[3].offset == 4 &&
	      ups[4].offset == 6 && ups[14].offset == ~0U && nr_dups() == 16,
	      "registered: no more than 16, and the number that were registered");
	check(add_at(RING, ~0U, NULL) == -EBUSY, "registered: all are taken");
	ups[1].offset = 16;
	check(change(IOURING2_UNREGISTER_RING_FDS, ups, 2) == -EINVAL && nr_dups() == 16,
	      "registered: unregister with a descriptor");
	ups[0] = (struct iouring2_rsrc_update){ .offset = 15 };
	check(change(IOURING2_UNREGISTER_RING_FDS, ups, 2) == 1 && nr_dups() == 15 &&
	      enter_at(15) == -EBADF && drop(15) == 1 && drop(16) == -EINVAL,
	      "registered: unregister closes the duplicate");
	k.vm_bad = &ups[0];
	ups[0] = (struct iouring2_rsrc_update){ .offset = ~0U, .data = RING };
	check(change(IOURING2_REGISTER_RING_FDS, ups, 1) == -EFAULT && nr_dups() == 15,
	      "registered: a result that cannot be written registers nothing");
	check(change(IOURING2_REGISTER_RING_FDS, NULL, 1) == -EFAULT &&
	      change(IOURING2_UNREGISTER_RING_FDS, NULL, 1) == -EFAULT,
	      "registered: a bad address");
	ups[0].resv = 1;
	check(change(IOURING2_REGISTER_RING_FDS, ups, 1) == -EINVAL, "registered: a reserved field");
	check(call(IO2_NR_REGISTER, OTHER, IOURING2_REGISTER_RING_FDS, (long)ups, 1, 0, 0) ==
	      -EOPNOTSUPP && call(IO2_NR_REGISTER, CLOSED, IOURING2_REGISTER_RING_FDS, (long)ups,
				  1, 0, 0) == -EBADF, "registered: by a file that is not a ring");
	check(!k.blocked_wrong, "registered: SIGSYS is never blocked");
	for (i = 0; i < 16; i++)
		drop(i);
	check(!nr_dups(), "registered: all are closed");
}

static void test_registered_descriptors(void)
{
	new_thread();
	k.dup_result = -EINVAL;
	check(add_at(RING, ~0U, NULL) == 1 && w.dups[DUPS + 200] == RING && drop(0) == 1,
	      "registered: a low limit of descriptors");
	k.dup_result = -EMFILE;
	k.dup_end = DUPS;
	check(add_at(RING, ~0U, NULL) == -EMFILE && enter_at(0) == -EBADF,
	      "registered: no descriptor is left");
}

static void test_registered_native(void)
{
	struct iouring2_clone_buffers c = { .flags = IOURING2_REGISTER_SRC_REGISTERED, .nr = 5 };
	struct iouring2_rsrc_update up = { .offset = ~0U, .data = NATIVE };

	new_thread();
	check(call(IO2_NR_REGISTER, NATIVE, IOURING2_REGISTER_RING_FDS, (long)&up, 1, 0, 0) == 1 &&
	      !up.offset && w.dups[DUPS] == NATIVE, "registered: a ring of the kernel's io_uring");
	k.ioctls = 0;
	check(enter_at(0) == 1234 && k.last_real == IO2_NR_ENTER && k.real_args[0] == DUPS &&
	      k.real_args[3] == 1 && !k.ioctls && !k.fadvise_args[0],
	      "registered: enter goes to the kernel, by the duplicate, and to nobody else");
	check(call(IO2_NR_REGISTER, 0, USE_REG | 1000, 77, 6, 0, 0) == 1234 &&
	      k.real_args[0] == DUPS && k.real_args[1] == 1000 && k.real_args[2] == 77,
	      "registered: an opcode that the header does not know goes to the kernel");
	check(call(IO2_NR_REGISTER, NATIVE, IOURING2_REGISTER_CLONE_BUFFERS, (long)&c, 1, 0, 0) == 1234 &&
	      k.clone.src_fd == DUPS && !k.clone.flags && k.clone.nr == 5 && c.src_fd == 0 && c.flags,
	      "registered: buffers of a registered ring");
	c.src_fd = 3;
	check(call(IO2_NR_REGISTER, NATIVE, IOURING2_REGISTER_CLONE_BUFFERS, (long)&c, 1, 0, 0) == -EBADF,
	      "registered: buffers of a free index");
	c.flags = 0;
	call(IO2_NR_REGISTER, NATIVE, IOURING2_REGISTER_CLONE_BUFFERS, (long)&c, 1, 0, 0);
	check(k.real_args[2] == (long)&c, "registered: buffers of a descriptor");
	drop(0);
}

static void test_index_only(void)
{
	struct iouring2_params p = { .flags = IOURING2_SETUP_REGISTERED_FD_ONLY };

	new_thread();
	check(setup(&p) == -EINVAL && !k.setup.entries, "index only: EINVAL without NO_MMAP");
	p.flags |= IOURING2_SETUP_NO_MMAP;
	check(setup(&p) == 0 && k.setup.params.flags == IOURING2_SETUP_NO_MMAP &&
	      p.flags == (IOURING2_SETUP_NO_MMAP | IOURING2_SETUP_REGISTERED_FD_ONLY) &&
	      k.ring_closed == 1 && w.dups[DUPS] == RING && !k.device_open,
	      "index only: setup returns an index, and only the duplicate is open");
	check(enter_at(0) == 3 && setup(&p) == 1, "index only: the ring can be entered");
	io2_settings.fallback = 1;
	k.setup_result = -EINVAL;
	k.native_ring = NATIVE;
	check(setup(&p) == 2 && k.last_real == IO2_NR_SETUP && k.real_args[1] != (long)&p &&
	      k.ring_closed == 3 && w.dups[DUPS + 2] == NATIVE, "index only: fallback");
	check(enter_at(2) == 1234 && k.real_args[0] == DUPS + 2,
	      "index only: a ring of the kernel's io_uring can be entered");
	drop(0);
	drop(1);
	drop(2);
	check(!nr_dups(), "index only: all are closed");
}

static void test_registered_threads(void)
{
	struct io2_thread memory = { .slots = NULL }, other = memory;
	long args[6] = { 0, 3, 2, ENTER_REG | 1, 0, 8 };
	unsigned int got = 99;
	int first, maps, i;

	new_thread();
	first = w.tid;
	check(add_at(RING, 3, NULL) == 1, "threads: the first registers a ring");
	new_thread();
	check(enter_at(3) == -EINVAL, "threads: the second does not have it");
	check(add_at(RING, ~0U, &got) == 1 && got == 0 && enter_at(3) == -EBADF,
	      "threads: the second has its own");
	check(io2_translate(IO2_NR_ENTER, args, "test", &memory) == 3 && memory.slots,
	      "threads: the slots are remembered");
	w.tid = first;	/* the slots must not be looked up */
	check(io2_translate(IO2_NR_ENTER, args, "test", &memory) == 3 &&
	      io2_translate(IO2_NR_ENTER, args, "test", &other) == -EBADF,
	      "threads: remembered slots are used");
	w.tid = first + 1;
	thread_ends(first);
	check(nr_dups() == 2 && drop(5) == 1 && nr_dups() == 1,
	      "threads: what an ended thread has registered is closed by the next call");
	check(enter_at(0) == 3, "threads: that of the others is not");
	io2_registered_end(&memory);
	check(!nr_dups() && enter_at(0) == -EINVAL &&
	      io2_translate(IO2_NR_ENTER, args, "test", &memory) == -EINVAL,
	      "threads: a thread that ends closes what it has registered");
	/* more threads than two pages have slots for, whose IDs give them the same place */
	got = 0;
	maps = w.maps;
	for (i = 0; i < 150; i++) {
		reset();
		w.tid += SLOTS;
		got += add_at(RING, ~0U, NULL) == 1 && enter_at(0) == 3;
	}
	check(got == 150 && nr_dups() == 150 && w.maps <= maps + 2, "threads: many");
	got = (unsigned int)w.maps;
	for (i = 0; i < 150; i++, w.tid -= SLOTS) {
		memory.slots = NULL;
		io2_registered_end(&memory);
	}
	w.tid += 150 * SLOTS;
	check(!nr_dups(), "threads: all have ended");
	for (i = 0; i < 150; i++) {
		new_thread();
		add_at(RING, ~0U, NULL);
		memory.slots = NULL;
		io2_registered_end(&memory);
	}
	check(!nr_dups() && got == (unsigned int)w.maps, "threads: memory is used again");
	new_thread();
	k.no_memory = 1;
	check(add_at(RING, ~0U, NULL) == 1, "threads: no memory is needed for the next");
	drop(0);
}

static void test_registered_fork(void)
{
	struct io2_thread memory = { .slots = NULL };
	long args[6] = { 0, 3, 2, ENTER_REG | 1, 0, 8 };

	new_thread();
	check(add_at(RING, ~0U, NULL) == 1 &&
	      io2_translate(IO2_NR_ENTER, args, "test", &memory) == 3, "fork: the parent has a ring");
	new_process();
	check(io2_translate(IO2_NR_ENTER, args, "test", &memory) == -EINVAL && !nr_dups(),
	      "fork: the child does not have it, and closes the duplicate");
	check(add_at(RING, ~0U, NULL) == 1 && enter_at(0) == 3, "fork: the child has its own");
	new_process();
	w.dups[DUPS] = OTHER;
	check(enter_at(0) == -EINVAL && w.dups[DUPS] == OTHER,
	      "fork: the child does not close another file with the same number");
	w.dups[DUPS] = 0;
	check(add_at(RING, ~0U, NULL) == 1, "fork: another parent");
	new_process();
	w.shares_files = 1;
	check(enter_at(0) == -EINVAL && nr_dups() == 1,
	      "fork: a child with the parent's table of descriptors does not close it");
	w.shares_files = 0;
	w.dups[DUPS] = 0;
	check(add_at(RING, ~0U, NULL) == 1 && enter_at(0) == 3, "fork: such a child has its own");
	new_process();
	io2_registered_fork();
	check(!nr_dups(), "fork: the child closes it at once if it is told");
}

static void test_settings(void)
{
	struct iouring2_params p = { .flags = 0 };

	reset();
	io2_settings.skip = 1;
	check(setup(&p) == 1234 && !k.ioctls &&
	      call(IO2_NR_ENTER, RING, 1, 0, 0, 0, 0) == 1234,
	      "a skipped process has no redirected calls");
	reset();
	io2_settings.trace = 1;
	setup(&p);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_setup(entries 8, flags 0x0) = 7 (test, iouring2)\n"),
	      "trace: setup");
	p.flags = IOURING2_SETUP_CQSIZE | IOURING2_SETUP_NO_SQARRAY;
	p.cq_entries = 16;
	setup(&p);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_setup(entries 8, flags 0x10008, cq 16) = 7 (test, iouring2)\n"),
	      "trace: setup with flags and the size of the CQ");
	call(IO2_NR_SETUP, 8, 16, 0, 0, 0, 0);
	check(!!strstr(k.text, "io_uring_setup(entries 8) = -14 "),
	      "trace: setup without parameters");
	call(IO2_NR_ENTER, RING, 99, 1, 9, 0, 0);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_enter(fd 7, submit 99, wait 1, flags 9) = -16 (test, iouring2)\n"),
	      "trace: enter with an error");
	call(IO2_NR_REGISTER, NATIVE, 8, 0, 2, 0, 0);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_register(fd 8, opcode 8, args 2) = 1234 (test, not redirected)\n"),
	      "trace: a call that is not redirected");
	call(IO2_NR_ENTER, 2, 1, 0, ENTER_REG, 0, 0);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_enter(index 2, submit 1, wait 0, flags 16) = -9 (test, iouring2)\n"),
	      "trace: enter with an index");
	call(IO2_NR_REGISTER, 2, USE_REG | 8, 0, 2, 0, 0);
	check(!strcmp(k.text, "iouring2: 4711: io_uring_register(index 2, opcode 8, args 2) = -9 (test, iouring2)\n"),
	      "trace: register with an index");
	check(io2_skipped("fio:node:", "node") && io2_skipped("node", "node") &&
	      io2_skipped("a-name-longer-than-fifteen", "a-name-longer-t") &&
	      io2_skipped("::fio", "fio"), "names that the list skips");
	check(!io2_skipped("", "node") && !io2_skipped("nodejs:", "node") &&
	      !io2_skipped("nod:", "node") && !io2_skipped("", ""),
	      "names that the list does not skip");
}

int main(void)
{
	test_setup();
	test_no_device();
	test_enter_by_fadvise();
	test_enter();
	test_register();
	test_register_without_ring();
	test_settings();
	test_registered();
	test_registered_descriptors();
	test_registered_native();
	test_index_only();
	test_registered_threads();
	test_registered_fork();
	printf("1..%d\n", tests);
	return failed ? 1 : 0;
}
