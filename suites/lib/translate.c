// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Test the translation of calls, with a stub of the kernel. Prints TAP. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/iouring2.h>
#include <sys/uio.h>

#include "../../lib/sys.h"
#include "../../lib/translate.h"

#define DEVICE	100
#define RING	7	/* a ring of iouring2 */
#define NATIVE	8	/* a ring of the kernel's io_uring */
#define CLOSED	9

static struct fake {
	long	open_result, setup_result, vm_result;
	int	no_vm;
	long	fadvise_result;		/* result of fadvise64 on a ring; 0: that of ENTER */
	long	fadvise_args[4];		/* arguments of fadvise64 */
	long	last_real;		/* last system call that went to the kernel */
	long	real_args[6];
	int	device_open, ring_closed;
	struct iouring2_setup		setup;
	struct iouring2_enter		enter;
	struct iouring2_register	reg;
	int	ioctls;
	char	text[512];
} k;

static long fake_ioctl(int fd, unsigned long request, void *arg)
{
	k.ioctls++;
	if (fd == CLOSED || fd < 0)
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
		k.enter = *(struct iouring2_enter *)arg;
		return k.enter.to_submit == 99 ? -EBUSY : (long)k.enter.to_submit;
	}
	if (fd == RING && request == IOURING2_IOC_REGISTER) {
		k.reg = *(struct iouring2_register *)arg;
		return -EINVAL;
	}
	return -ENOTTY;
}

/* The result of the ENTER advice on a ring, a closed descriptor and any other file */
static long fake_fadvise(long fd, long off, long len, long advice)
{
	const long args[] = { fd, off, len, advice };

	memcpy(k.fadvise_args, args, sizeof(args));
	if (fd == CLOSED || fd < 0)
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
	if ((unsigned long)r->iov_base < 4096)
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
		else
			k.ring_closed++;
		return 0;
	case __NR_getpid:
		return 4711;
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
		return 1234;
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

	return io2_translate(nr, args, "test");
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
	check(p.features == 0x55 && p.sq_entries == 8, "setup returns params");
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
	check(setup(&p) == RING && p.features == 0x55,
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
	reset();
	check(call(IO2_NR_ENTER, 0, 1, 0, IOURING2_ENTER_REGISTERED_RING, 0, 0) == 1234 &&
	      !k.ioctls, "enter on a registered ring goes to the kernel");
}

static void test_register(void)
{
	reset();
	check(call(IO2_NR_REGISTER, RING, IOURING2_REGISTER_RING_FDS, 5, 1, 0, 0) == -EINVAL &&
	      k.reg.opcode == IOURING2_REGISTER_RING_FDS && k.reg.arg == 5 &&
	      k.reg.nr_args == 1 && !k.last_real,
	      "register: an unsupported opcode gives EINVAL");
	check(call(IO2_NR_REGISTER, NATIVE, 8, 5, 1, 0, 0) == 1234,
	      "register: another descriptor goes to the kernel");
	check(call(IO2_NR_REGISTER, 0, (1U << 31) | 1, 0, 0, 0, 0) == 1234,
	      "register: a registered ring goes to the kernel");
	k.last_real = 0;
	check(call(IO2_NR_REGISTER, -1, 35, 0, 0, 0, 0) == -EBADF && !k.last_real,
	      "register without a ring: EBADF, and no call of the kernel's io_uring");
	io2_settings.fallback = 1;
	k.ioctls = 0;
	check(call(IO2_NR_REGISTER, NATIVE, 35, 0, 0, 0, 0) == 1234,
	      "register without a ring, with fallback: goes to the kernel");
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
	test_settings();
	printf("1..%d\n", tests);
	return failed ? 1 : 0;
}
