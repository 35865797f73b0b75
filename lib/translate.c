// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Translate io_uring_setup, io_uring_enter and io_uring_register into ioctls.
 *
 * There is no table of rings, which would have to follow dup, close, fork, exec and
 * SCM_RIGHTS. Instead the ioctl is tried first. If the descriptor is not a ring of
 * iouring2, the ioctl fails with ENOTTY, and the call goes to the kernel unchanged.
 * For a ring of iouring2 this costs nothing.
 *
 * The only state is the table of registered rings (registered.c). It has the rings of
 * the kernel's io_uring, too, so no index is ever passed to the kernel.
 *
 * This code uses no C library and may run in a signal handler.
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

static long open_device(void)
{
	long dev = io2_syscall(__NR_openat, AT_FDCWD, IO2_P("/dev/iouring2"),
			       O_RDWR | O_CLOEXEC, 0, 0, 0);

	return dev < 0 ? no_device(dev) : dev;
}

/*
 * With REGISTERED_FD_ONLY, SETUP returns an index and no descriptor. Move the flag
 * from @p to @only.
 */
static long split_only(struct iouring2_params *p, unsigned int *only)
{
	*only = p->flags & IOURING2_SETUP_REGISTERED_FD_ONLY;
	if (*only && !(p->flags & IOURING2_SETUP_NO_MMAP))
		return -EINVAL;
	p->flags &= ~*only;
	return 0;
}

/* Return the parameters of a new ring to the program, and an index if it wants one. */
static long hand_over(long fd, int kind, unsigned int only,
		      struct iouring2_params *p, long params, struct io2_thread *t)
{
	long ret = fd;

	p->flags |= only;
	if (copy(__NR_process_vm_writev, p, params, sizeof(*p))) {
		sys_close(fd);
		return -EFAULT;
	}
	io2_registered_begin(t);
	if (only) {
		ret = io2_registered_add(t, (int)fd, kind, ~0U);
		sys_close(fd);
	}
	return ret;
}

static long make_ring(long entries, long params, struct io2_thread *t)
{
	unsigned int only = 0;
	struct iouring2_setup s;
	long dev, ret;
	unsigned long i;

	dev = open_device();
	if (dev < 0)
		return dev;
	for (i = 0; i < sizeof(s); i++)
		((volatile char *)&s)[i] = 0;
	s.entries = (unsigned int)entries;
	if (!io2_settings.ebusy)
		s.flags = IOURING2_RING_SUBMIT_BACKLOGGED;
	ret = copy(__NR_process_vm_readv, &s.params, params, sizeof(s.params));
	if (!ret)
		ret = split_only(&s.params, &only);
	if (!ret)
		ret = sys_ioctl(dev, IOURING2_IOC_SETUP, &s);
	sys_close(dev);
	if (ret < 0)
		return ret == -ENOTTY ? no_device(ret) : ret;
	s.params.features |= IOURING2_FEAT_REG_REG_RING;
	return hand_over(ret, IO2_RING, only, &s.params, params, t);
}

/* Errors after which --fallback uses the kernel's own io_uring. */
static int worth_a_fallback(long err)
{
	return err == -ENOSYS || err == -EPERM || err == -EINVAL;
}

/* Create a ring of the kernel's io_uring. */
static long make_native(const long *a, struct io2_thread *t)
{
	long args[6] = { a[0], a[1], a[2], a[3], a[4], a[5] };
	struct iouring2_params p;
	unsigned int only = 0;
	long ret;

	if (copy(__NR_process_vm_readv, &p, a[1], sizeof(p)))
		return real(IO2_NR_SETUP, a);
	ret = split_only(&p, &only);
	if (ret)
		return ret;
	args[1] = only ? IO2_P(&p) : a[1];
	ret = real(IO2_NR_SETUP, args);
	if (ret < 0)
		return ret;
	if (only)
		return hand_over(ret, IO2_NATIVE_RING, only, &p, a[1], t);
	io2_registered_begin(t);
	return ret;
}

static long setup(const long *a, struct io2_thread *t, int *redirected)
{
	long ret;

	io2_registered_reap();
	ret = make_ring(a[0], a[1], t);
	if (io2_settings.fallback && worth_a_fallback(ret)) {
		*redirected = 0;
		return make_native(a, t);
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

/* flags that the header knows; io_uring refuses others before it looks up the ring */
#define ENTER_FLAGS	((IOURING2_ENTER_NO_IOWAIT << 1) - 1)

static long enter_ring(const long *a, int *redirected)
{
	struct iouring2_enter e = {
		.to_submit = (unsigned int)a[1],
		.min_complete = (unsigned int)a[2],
		.flags = (unsigned int)a[3],
		.argsz = (unsigned int)a[5],
		.arg = (unsigned long)a[4],
	};
	long ret;

	ret = enter_by_fadvise(a);
	if (!not_by_fadvise(ret))
		return ret;
	if (e.arg && (unsigned long)a[5] != e.argsz)
		e.argsz = ~0U;
	ret = sys_ioctl((int)a[0], IOURING2_IOC_ENTER, &e);
	if (ret != -ENOTTY)
		return ret;
	*redirected = 0;
	return real(IO2_NR_ENTER, a);
}

/*
 * The kernel would describe its own io_uring, but setup makes rings of iouring2. So
 * the device answers. Return: its result, or -ENOTTY if the kernel has to answer.
 */
static long register_without_ring(struct iouring2_register *r)
{
	long dev = open_device(), ret;

	if (dev >= 0) {
		ret = sys_ioctl(dev, IOURING2_IOC_REGISTER, r);
		sys_close(dev);
		/* an older module, and an older kernel, need a ring */
		if (ret == -ENOTTY)
			ret = io2_settings.fallback ? -EINVAL : -EBADF;
	} else {
		ret = dev;
	}
	return io2_settings.fallback && worth_a_fallback(ret) ? -ENOTTY : ret;
}

static long enter_registered(const long *a, struct io2_thread *t, int *redirected)
{
	long args[6] = { 0, a[1], a[2], a[3] & ~(long)IOURING2_ENTER_REGISTERED_RING,
			 a[4], a[5] };
	int kind;

	args[0] = io2_registered_get(t, (unsigned int)a[0], &kind);
	if (args[0] < 0)
		return (unsigned int)a[3] & ~ENTER_FLAGS ? -EINVAL : args[0];
	if (kind == IO2_RING)
		return enter_ring(args, redirected);
	*redirected = 0;
	return real(IO2_NR_ENTER, args);
}

static long enter(const long *a, struct io2_thread *t, int *redirected)
{
	if (a[3] & IOURING2_ENTER_REGISTERED_RING)
		return enter_registered(a, t, redirected);
	return enter_ring(a, redirected);
}

static long do_register(const long *a, int *redirected)
{
	struct iouring2_register r = {
		.opcode = (unsigned int)a[1],
		.nr_args = (unsigned int)a[3],
		.arg = (unsigned long)a[2],
	};
	long ret;

	if ((int)a[0] == -1)
		ret = register_without_ring(&r);
	else
		ret = sys_ioctl((int)a[0], IOURING2_IOC_REGISTER, &r);
	if (ret != -ENOTTY)
		return ret;
	*redirected = 0;
	return real(IO2_NR_REGISTER, a);
}

/* ---- registered rings ------------------------------------------------------ */

static long register_one(struct io2_thread *t, long at)
{
	struct iouring2_rsrc_update up;
	int kind;
	long ret;

	ret = copy(__NR_process_vm_readv, &up, at, sizeof(up));
	if (ret)
		return ret;
	if (up.resv || (up.offset != ~0U && up.offset >= IO2_REGISTERED_MAX))
		return -EINVAL;
	kind = io2_ring_kind((int)up.data);
	if (kind < 0)
		return kind;
	ret = io2_registered_add(t, (int)up.data, kind, up.offset);
	if (ret < 0)
		return ret;
	up.offset = (unsigned int)ret;
	ret = copy(__NR_process_vm_writev, &up, at, sizeof(up));
	if (ret)
		io2_registered_remove(t, up.offset);
	return ret;
}

static long unregister_one(struct io2_thread *t, long at)
{
	struct iouring2_rsrc_update up;
	long ret;

	ret = copy(__NR_process_vm_readv, &up, at, sizeof(up));
	if (ret)
		return ret;
	if (up.resv || up.data || up.offset >= IO2_REGISTERED_MAX)
		return -EINVAL;
	io2_registered_remove(t, up.offset);
	return 0;
}

/* RING_FDS and UNREGISTER_RING_FDS: return the number of entries that were processed. */
static long change_registered(const long *a, struct io2_thread *t, int *redirected)
{
	int is_register = a[1] == IOURING2_REGISTER_RING_FDS;
	long none[6] = { a[0], a[1], 0, 0, 0, 0 };
	unsigned int i, nr = (unsigned int)a[3];
	long at, ret;

	io2_registered_reap();
	/* without entries it changes nothing; EINVAL from a ring that permits the call */
	ret = do_register(none, redirected);
	if (ret != -EINVAL)
		return ret;
	if (!nr || nr > IO2_REGISTERED_MAX)
		return -EINVAL;
	if (is_register)
		io2_registered_begin(t);
	else if (!io2_registered_used(t))
		return 0;
	for (i = 0; i < nr; i++) {
		at = a[2] + (long)(i * sizeof(struct iouring2_rsrc_update));
		ret = is_register ? register_one(t, at) : unregister_one(t, at);
		if (ret)
			break;
	}
	return i ? (long)i : ret;
}

/* The source of the buffers may be an index, too. */
static long clone_buffers(const long *a, struct io2_thread *t, int *redirected)
{
	long args[6] = { a[0], a[1], a[2], a[3], 0, 0 };
	struct iouring2_clone_buffers c;
	int kind;
	long fd;

	if (a[3] != 1 || copy(__NR_process_vm_readv, &c, a[2], sizeof(c)) ||
	    !(c.flags & IOURING2_REGISTER_SRC_REGISTERED))
		return do_register(a, redirected);
	fd = io2_registered_get(t, c.src_fd, &kind);
	if (fd < 0)
		return fd;
	c.src_fd = (unsigned int)fd;
	c.flags &= ~IOURING2_REGISTER_SRC_REGISTERED;
	args[2] = IO2_P(&c);
	return do_register(args, redirected);
}

static long register_any(const long *a, struct io2_thread *t, int *redirected)
{
	unsigned int opcode = (unsigned int)a[1] & ~IOURING2_REGISTER_USE_REGISTERED_RING;
	long args[6] = { (int)a[0], opcode, a[2], (unsigned int)a[3], 0, 0 };
	int kind;

	if (opcode != (unsigned int)a[1] && args[0] != -1) {
		args[0] = io2_registered_get(t, (unsigned int)a[0], &kind);
		if (args[0] < 0)
			return opcode >= IOURING2_REGISTER_LAST ? -EINVAL : args[0];
	}
	switch (opcode) {
	case IOURING2_REGISTER_RING_FDS:
	case IOURING2_UNREGISTER_RING_FDS:
		return change_registered(args, t, redirected);
	case IOURING2_REGISTER_CLONE_BUFFERS:
		return clone_buffers(args, t, redirected);
	default:
		return do_register(args, redirected);
	}
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

static void put_ring(struct line *l, const char *call, long ring, long registered)
{
	put(l, call);
	put_field(l, registered ? "index " : "fd ", (int)ring);
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
		put_ring(&l, ": io_uring_enter(", a[0],
			 a[3] & IOURING2_ENTER_REGISTERED_RING);
		put_field(&l, ", submit ", (unsigned int)a[1]);
		put_field(&l, ", wait ", (unsigned int)a[2]);
		put_field(&l, ", flags ", (unsigned int)a[3]);
	} else {
		put_ring(&l, ": io_uring_register(", a[0],
			 a[1] & IOURING2_REGISTER_USE_REGISTERED_RING);
		put_field(&l, ", opcode ",
			  (unsigned int)a[1] & ~IOURING2_REGISTER_USE_REGISTERED_RING);
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

long io2_translate(long nr, const long *a, const char *way, struct io2_thread *t)
{
	int redirected = 1;
	long ret;

	if (io2_settings.skip) {
		redirected = 0;
		ret = real(nr, a);
	} else if (nr == IO2_NR_SETUP) {
		ret = setup(a, t, &redirected);
	} else if (nr == IO2_NR_ENTER) {
		ret = enter(a, t, &redirected);
	} else {
		ret = register_any(a, t, &redirected);
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
