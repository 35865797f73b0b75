// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Execute another program through the launcher. This code is also part of the
 * trap and cannot use a C library.
 *
 * Callers rely on the errors of execve: some try one directory after the other,
 * and a shell interprets a file that the kernel does not recognize. The errors are
 * therefore checked before the launcher is executed instead of the program.
 */
#include <asm/stat.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "exec.h"

#define X_OK		1
#define NR_FACCESSAT2	439
#ifndef AT_EACCESS
#define AT_EACCESS	0x200
#endif
#ifndef O_PATH
#define O_PATH		010000000
#endif
#define FD_LINK		32	/* size of "/proc/self/fd/N" */

static int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static int begins(const char *text, const char *with)
{
	while (*with && *text == *with) {
		text++;
		with++;
	}
	return !*with;
}

/* ---- the kind of a file ---------------------------------------------------- */

static void fd_link(char *to, unsigned int fd)
{
	const char *from = "/proc/self/fd/";
	char digits[12];
	int i = 0;

	while (*from)
		*to++ = *from++;
	do
		digits[i++] = (char)('0' + fd % 10);
	while (fd /= 10);
	while (i)
		*to++ = digits[--i];
	*to = 0;
}

/* As exec, check for the effective user. An old kernel checks the real user only. */
static long may_be_executed(const struct io2_exec *e)
{
	long ret;

	ret = io2_syscall(NR_FACCESSAT2, e->dir, IO2_P(e->path), X_OK,
			  e->flags | AT_EACCESS, 0, 0);
	if (ret != -ENOSYS && ret != -EPERM)
		return ret;
	ret = io2_syscall(__NR_faccessat, e->dir, IO2_P(e->path), X_OK, 0, 0, 0);
	return ret == -ENOENT && (e->flags & AT_EMPTY_PATH) ? 0 : ret;
}

/* Read the start of the file. Return: number of bytes, or a negative errno. */
static long read_head(const struct io2_exec *e, unsigned char *head, long size)
{
	long flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	char link[FD_LINK];
	long fd, n;

	if (e->path[0]) {
		if (e->flags & AT_SYMLINK_NOFOLLOW)
			flags |= O_NOFOLLOW;
		fd = io2_syscall(__NR_openat, e->dir, IO2_P(e->path), flags, 0, 0, 0);
	} else {
		n = io2_syscall(__NR_pread64, e->dir, IO2_P(head), size, 0, 0, 0);
		if (n != -EBADF)
			return n;
		/* the descriptor was opened with O_PATH, or for writing only */
		fd_link(link, (unsigned int)e->dir);
		fd = io2_syscall(__NR_openat, AT_FDCWD, IO2_P(link), flags, 0, 0, 0);
	}
	if (fd < 0)
		return fd;
	n = io2_syscall(__NR_read, fd, IO2_P(head), size, 0, 0, 0);
	io2_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
	return n;
}

long io2_exec_check(const struct io2_exec *e)
{
	unsigned char head[20];
	long n = may_be_executed(e);

	if (n)
		return n;
	n = read_head(e, head, sizeof(head));
	if (n == -EACCES)
		return IO2_EXEC_UNREADABLE;
	if (n == -EISDIR)
		return -EACCES;
	if (n < 0)
		return e->path[0] ? n : IO2_EXEC_UNKNOWN;
	if (n > 2 && head[0] == '#' && head[1] == '!')
		return IO2_EXEC_PROGRAM;
	if (n < (long)sizeof(head) || head[0] != 0x7f || head[1] != 'E' ||
	    head[2] != 'L' || head[3] != 'F')
		return IO2_EXEC_UNKNOWN;
	if (head[EI_CLASS] == ELFCLASS64 && head[18] == EM_X86_64 && !head[19])
		return IO2_EXEC_PROGRAM;
	return head[EI_CLASS] == ELFCLASS32 && head[18] == EM_386 && !head[19] ?
	       IO2_EXEC_FOREIGN : IO2_EXEC_UNKNOWN;
}

/* ---- the program's path, for the launcher ---------------------------------- */

static int same_file(const struct io2_exec *e, const char *name)
{
	struct stat a, b;

	return !io2_syscall(__NR_newfstatat, e->dir, IO2_P(e->path), IO2_P(&a),
			    e->flags, 0, 0) &&
	       !io2_syscall(__NR_newfstatat, AT_FDCWD, IO2_P(name), IO2_P(&b), 0, 0, 0) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Write the absolute path of @e to @to. Return: 1, or 0 if it has no valid path. */
static int name_of(const struct io2_exec *e, char *to)
{
	const char *path = e->path;
	char link[FD_LINK];
	long n;

	fd_link(link, (unsigned int)e->dir);
	n = io2_syscall(__NR_readlink, IO2_P(link), IO2_P(to), IO2_EXEC_NAME, 0, 0, 0);
	if (n <= 0 || n == IO2_EXEC_NAME || to[0] != '/')
		return 0;
	if (*path)
		to[n++] = '/';
	while (*path && n < IO2_EXEC_NAME)
		to[n++] = *path++;
	if (n == IO2_EXEC_NAME)
		return 0;
	to[n] = 0;
	return same_file(e, to);
}

/*
 * In the launcher, which is another process image, such a path may refer to another
 * file, or the descriptor may be closed.
 */
static int is_only_valid_here(const char *path)
{
	return begins(path, "/proc/") || begins(path, "/dev/fd/");
}

static const char *name_there(const struct io2_exec *e, char *room)
{
	struct io2_exec opened = { .path = "", .flags = AT_EMPTY_PATH };
	int found;

	if (is_only_valid_here(e->path)) {
		opened.dir = (int)io2_syscall(__NR_openat, AT_FDCWD, IO2_P(e->path),
					      O_PATH | O_CLOEXEC, 0, 0, 0);
		if (opened.dir < 0)
			return (void *)0;
		found = name_of(&opened, room);
		io2_syscall(__NR_close, opened.dir, 0, 0, 0, 0, 0);
		return found ? room : (void *)0;
	}
	if (e->path[0] == '/' || (e->path[0] && e->dir == AT_FDCWD))
		return e->path;
	return name_of(e, room) ? room : (void *)0;
}

/* ---- the launcher's arguments ---------------------------------------------- */

/*
 * The arguments are in memory that is mapped for them. The stack may be too small:
 * it may be that of a child of musl's posix_spawn, with the parent's memory below
 * it, or a small alternate signal stack.
 */
static struct io2_exec_area *areas;

/*
 * When exec succeeds in a child of vfork, the area stays mapped in the parent. The
 * kernel clears @busy when the child stops using the parent's memory, so that the
 * next child can reuse the area. This uses the same address in the task as
 * CLONE_CHILD_CLEARTID, which threads need. A thread therefore cannot use it, nor
 * can a task on a kernel that does not report this address.
 */
static int can_be_left(void)
{
	int *clear;

	return !io2_syscall(__NR_prctl, PR_GET_TID_ADDRESS, IO2_P(&clear), 0, 0,
			    0, 0) && !clear;
}

static int take(struct io2_exec_area *area)
{
	int no = 0;

	return __atomic_compare_exchange_n(&area->busy, &no, 1, 0,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static struct io2_exec_area *get_area(unsigned long n, int left)
{
	struct io2_exec_area *area;
	unsigned long size = 8192;
	long at;

	/* powers of two, so that few different sizes stay mapped */
	while (size < sizeof(*area) + n * sizeof(char *))
		size *= 2;
	area = left ? __atomic_load_n(&areas, __ATOMIC_ACQUIRE) : (void *)0;
	while (area && (area->size < size || !take(area)))
		area = area->next;
	if (!area) {
		at = io2_syscall(__NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at < 0 && at >= -4095)
			return (void *)0;
		area = (void *)at;
		area->size = size;
		area->busy = 1;
		area->next = __atomic_load_n(&areas, __ATOMIC_RELAXED);
		while (left && !__atomic_compare_exchange_n(&areas, &area->next, area, 0,
							    __ATOMIC_RELEASE,
							    __ATOMIC_RELAXED))
			;
	}
	if (left)
		io2_syscall(__NR_set_tid_address, IO2_P(&area->busy), 0, 0, 0, 0, 0);
	return area;
}

void io2_exec_put(struct io2_exec_area *area, int left)
{
	if (!left) {
		io2_syscall(__NR_munmap, IO2_P(area), (long)area->size, 0, 0, 0, 0);
		return;
	}
	io2_syscall(__NR_set_tid_address, 0, 0, 0, 0, 0, 0);
	__atomic_store_n(&area->busy, 0, __ATOMIC_RELEASE);
}

static void put_flags(char *to)
{
	const char *names = io2_settings.names;

	*to++ = io2_settings.trace ? 't' : '-';
	*to++ = io2_settings.fallback ? 'f' : '-';
	*to++ = io2_settings.ebusy ? 'b' : '-';
	*to++ = ':';
	while (*names)
		*to++ = *names++;
	*to = 0;
}

long io2_exec_get(const struct io2_exec *e, int left, struct io2_exec_area **to)
{
	struct io2_exec_area *area;
	unsigned long i, n = 0;
	const char *name;

	while (e->argv && e->argv[n])
		n++;
	area = get_area(n + IO2_EXEC_EXTRA + 1, left);
	if (!area)
		return -ENOMEM;
	name = name_there(e, area->name);
	if (!name) {
		io2_exec_put(area, left);
		return 1;
	}
	put_flags(area->flags);
	area->args[0] = io2_settings.run;
	area->args[1] = (char *)"--exec";
	area->args[2] = area->flags;
	area->args[3] = (char *)name;
	for (i = 0; i < n; i++)
		area->args[IO2_EXEC_EXTRA + i] = e->argv[i];
	area->args[IO2_EXEC_EXTRA + n] = (void *)0;
	*to = area;
	return 0;
}

/* ---- exec ------------------------------------------------------------------ */

/* The program was found before, so these errors mean that the launcher is missing. */
static int no_launcher(long err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -EACCES || err == -ELOOP;
}

static long by_launcher(const struct io2_exec *e)
{
	struct io2_exec_area *area;
	int left = can_be_left();
	long ret;

	ret = io2_exec_get(e, left, &area);
	if (ret < 0)
		return ret;
	if (!ret) {
		ret = io2_syscall(__NR_execve, IO2_P(area->args[0]), IO2_P(area->args),
				  IO2_P(e->envp), 0, 0, 0);
		io2_exec_put(area, left);
		if (!no_launcher(ret))
			return ret;
	}
	return io2_exec_alone(e, IO2_EXEC_PROGRAM);
}

long io2_execveat(const struct io2_exec *e)
{
	long kind;

	/* AT_EXECVE_CHECK, which executes nothing, or an invalid flag */
	if (e->flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return io2_exec_as_is(e);
	if (!io2_settings.run[0])
		return io2_exec_as_is(e);
	kind = io2_exec_check(e);
	if (kind < 0)
		return kind;
	/* the launcher itself is executed directly */
	if (kind == IO2_EXEC_FOREIGN || same(e->path, io2_settings.run))
		return io2_exec_as_is(e);
	return kind == IO2_EXEC_PROGRAM ? by_launcher(e) : io2_exec_alone(e, kind);
}
