// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Translate io_uring_setup, io_uring_enter and io_uring_register into ioctls.
 *
 * There is no table of rings, which would have to follow dup, close, fork, exec and
 * SCM_RIGHTS. Instead the ioctl is tried first. If the descriptor is not a ring of
 * iouring2, the ioctl fails with ENOTTY, and the call goes to the kernel unchanged.
 * For a ring of iouring2 this costs nothing.
 *
 * This code uses no C library, keeps no state, and may run in a signal handler.
 */
#include <linux/fcntl.h>
#include <linux/iouring2.h>
#include <linux/uio.h>

#include "sys.h"
#include "translate.h"

struct io2_settings io2_settings;

static long real(long nr, const long *a)
{
	return io2_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long sys_ioctl(long fd, unsigned long request, void *arg)
{
	return io2_syscall(__NR_ioctl, fd, request, IO2_P(arg), 0, 0, 0);
}

static void sys_close(long fd)
{
	io2_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
}

/* ---- copy memory at an address that may be invalid: EFAULT, no SIGSEGV ------ */

static long copy(long nr, void *local, long remote, unsigned long size)
{
	struct iovec l = { .iov_base = local, .iov_len = size };
	struct iovec r = { .iov_base = (void *)remote, .iov_len = size };
	char *from = (char *)remote, *to = local;
	unsigned long i;
	long pid, ret;

	if (!remote)
		return -EFAULT;
	pid = io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	ret = io2_syscall(nr, pid, IO2_P(&l), 1, IO2_P(&r), 1, 0);
	if (ret == (long)size)
		return 0;
	/* if a filter forbids the call, access the memory directly */
	if (ret != -ENOSYS && ret != -EPERM)
		return -EFAULT;
	if (nr == __NR_process_vm_writev) {
		from = local;
		to = (char *)remote;
	}
	for (i = 0; i < size; i++)
		((volatile char *)to)[i] = from[i];
	return 0;
}

/* ---- the three calls ------------------------------------------------------- */

/* The error of a kernel without io_uring, or with io_uring disabled. */
static long no_device(long err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENXIO:
	case -ENODEV:
	case -ENOTTY:
		return -ENOSYS;
	case -EACCES:
		return -EPERM;
	default:
		return err;
	}
}

static long make_ring(long entries, long params)
{
	struct iouring2_setup s;
	long dev, ret;
	unsigned long i;

	dev = io2_syscall(__NR_openat, AT_FDCWD, IO2_P("/dev/iouring2"),
			  O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (dev < 0)
		return no_device(dev);
	for (i = 0; i < sizeof(s); i++)
		((volatile char *)&s)[i] = 0;
	s.entries = (unsigned int)entries;
	if (!io2_settings.ebusy)
		s.flags = IOURING2_RING_SUBMIT_BACKLOGGED;
	ret = copy(__NR_process_vm_readv, &s.params, params, sizeof(s.params));
	if (!ret)
		ret = sys_ioctl(dev, IOURING2_IOC_SETUP, &s);
	sys_close(dev);
	if (ret < 0)
		return ret == -ENOTTY ? no_device(ret) : ret;
	if (copy(__NR_process_vm_writev, &s.params, params, sizeof(s.params))) {
		sys_close(ret);
		return -EFAULT;
	}
	return ret;
}

/* Errors after which --fallback uses the kernel's own io_uring. */
static int worth_a_fallback(long err)
{
	return err == -ENOSYS || err == -EPERM || err == -EINVAL;
}

static long setup(const long *a, int *redirected)
{
	long ret = make_ring(a[0], a[1]);

	if (io2_settings.fallback && worth_a_fallback(ret)) {
		*redirected = 0;
		return real(IO2_NR_SETUP, a);
	}
	return ret;
}

/* Errors of another file, a module without this method, or a seccomp filter. */
static int not_by_fadvise(long ret)
{
	return ret == -EINVAL || ret == -ESPIPE || ret == -EPERM || ret == -EACCES ||
	       ret == -ENOSYS;
}

/*
 * ENTER by fadvise64 costs less than by ioctl. On any other file it is an unknown
 * advice value. Return: the result of the call, or -EINVAL if it cannot be used.
 */
static long enter_by_fadvise(const long *a)
{
	unsigned int flags = (unsigned int)a[3];

	if (a[4] || (flags & (IOURING2_ENTER_EXT_ARG | IOURING2_ENTER_FADVISE)))
		return -EINVAL;
	return io2_syscall(__NR_fadvise64, (int)a[0], (unsigned int)a[1],
			   (unsigned int)a[2], (int)(flags | IOURING2_ENTER_FADVISE),
			   0, 0);
}

static long enter(const long *a, int *redirected)
{
	struct iouring2_enter e = {
		.to_submit = (unsigned int)a[1],
		.min_complete = (unsigned int)a[2],
		.flags = (unsigned int)a[3],
		.argsz = (unsigned int)a[5],
		.arg = (unsigned long)a[4],
	};
	long ret;

	/* a registered index, which iouring2 does not have, so the ring is not ours */
	if (e.flags & IOURING2_ENTER_REGISTERED_RING)
		goto not_ours;
	ret = enter_by_fadvise(a);
	if (!not_by_fadvise(ret))
		return ret;
	if (e.arg && (unsigned long)a[5] != e.argsz)
		e.argsz = ~0U;
	ret = sys_ioctl((int)a[0], IOURING2_IOC_ENTER, &e);
	if (ret != -ENOTTY)
		return ret;
not_ours:
	*redirected = 0;
	return real(IO2_NR_ENTER, a);
}

static long do_register(const long *a, int *redirected)
{
	struct iouring2_register r = {
		.opcode = (unsigned int)a[1],
		.nr_args = (unsigned int)a[3],
		.arg = (unsigned long)a[2],
	};
	long ret;

	if (r.opcode & IOURING2_REGISTER_USE_REGISTERED_RING)
		goto not_ours;
	/*
	 * Without a ring, a newer kernel would describe its own io_uring, but setup
	 * creates rings of iouring2. An older kernel fails with EBADF.
	 */
	if ((int)a[0] == -1 && !io2_settings.fallback)
		return -EBADF;
	ret = sys_ioctl((int)a[0], IOURING2_IOC_REGISTER, &r);
	if (ret != -ENOTTY)
		return ret;
not_ours:
	*redirected = 0;
	return real(IO2_NR_REGISTER, a);
}

/* ---- trace ----------------------------------------------------------------- */

struct line {
	unsigned int	len;
	char		text[240];
};

static void put(struct line *l, const char *s)
{
	while (*s && l->len < sizeof(l->text) - 1)
		l->text[l->len++] = *s++;
}

static void put_digits(struct line *l, unsigned long u, unsigned int base)
{
	char digits[24];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = "0123456789abcdef"[u % base];
		u /= base;
	} while (u);
	put(l, digits + i);
}

static void put_number(struct line *l, long n)
{
	if (n < 0)
		put(l, "-");
	put_digits(l, n < 0 ? -(unsigned long)n : (unsigned long)n, 10);
}

static void put_field(struct line *l, const char *name, long n)
{
	put(l, name);
	put_number(l, n);
}

static void trace(long nr, const long *a, long ret, int redirected,
		  const char *way)
{
	struct line l = { .len = 0 };
	struct iouring2_params p;

	put_field(&l, "iouring2: ", io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
	if (nr == IO2_NR_SETUP) {
		put_field(&l, ": io_uring_setup(entries ", (unsigned int)a[0]);
		if (!copy(__NR_process_vm_readv, &p, a[1], sizeof(p))) {
			put(&l, ", flags 0x");
			put_digits(&l, p.flags, 16);
			if (p.cq_entries)
				put_field(&l, ", cq ", p.cq_entries);
		}
	} else if (nr == IO2_NR_ENTER) {
		put_field(&l, ": io_uring_enter(fd ", (int)a[0]);
		put_field(&l, ", submit ", (unsigned int)a[1]);
		put_field(&l, ", wait ", (unsigned int)a[2]);
		put_field(&l, ", flags ", (unsigned int)a[3]);
	} else {
		put_field(&l, ": io_uring_register(fd ", (int)a[0]);
		put_field(&l, ", opcode ", (unsigned int)a[1]);
		put_field(&l, ", args ", (unsigned int)a[3]);
	}
	put_field(&l, ") = ", ret);
	put(&l, " (");
	put(&l, way);
	put(&l, redirected ? ", iouring2)" : ", not redirected)");
	l.text[l.len++] = '\n';
	io2_syscall(__NR_write, 2, IO2_P(l.text), l.len, 0, 0, 0);
}

/* ---- entry points ---------------------------------------------------------- */

long io2_translate(long nr, const long *a, const char *way)
{
	int redirected = 1;
	long ret;

	if (io2_settings.skip) {
		redirected = 0;
		ret = real(nr, a);
	} else if (nr == IO2_NR_SETUP) {
		ret = setup(a, &redirected);
	} else if (nr == IO2_NR_ENTER) {
		ret = enter(a, &redirected);
	} else {
		ret = do_register(a, &redirected);
	}
	if (io2_settings.trace)
		trace(nr, a, ret, redirected, way);
	return ret;
}

static int same_name(const char *one, const char *name)
{
	int i;

	for (i = 0; i < 15; i++) {
		int end = one[i] == ':' || !one[i];

		if (end || !name[i])
			return end && !name[i];
		if (one[i] != name[i])
			return 0;
	}
	return 1;
}

int io2_skipped(const char *names, const char *name)
{
	while (*names) {
		if (*names != ':' && same_name(names, name))
			return 1;
		while (*names && *names++ != ':')
			;
	}
	return 0;
}
