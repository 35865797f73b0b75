// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for the rows and columns of the matrix of files; see files.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "files.h"

char work_dir[64];
char *io_buf;

/* ------------------------------------------------------- what was seen */

void note(struct cell *c, const char *fmt, ...)
{
	size_t len = strlen(c->text);
	va_list ap;

	va_start(ap, fmt);
	if (len)
		len += snprintf(c->text + len, TEXT_LEN - len, " ");
	if (len < TEXT_LEN)
		vsnprintf(c->text + len, TEXT_LEN - len, fmt, ap);
	va_end(ap);
}

const char *err_name(int res)
{
	static char text[4][48];
	static int i;
	char *p = text[i++ & 3];
	int e;

	static const struct {
		int err;
		const char *name;
	} names[] = {
#define N(x) { x, #x }
		N(EAGAIN), N(EINVAL), N(EIO), N(EBADF), N(ESPIPE), N(EINTR),
		N(EFAULT), N(EPERM), N(EACCES), N(ENOSPC), N(EDQUOT), N(EFBIG),
		N(EPIPE), N(EOPNOTSUPP), N(ECANCELED), N(ENODEV), N(ENXIO),
		N(EROFS), N(ENOTCONN), N(EDESTADDRREQ), N(EMSGSIZE), N(EISDIR),
		N(ENOENT), N(EALREADY), N(EOVERFLOW), N(ENOTTY), N(ESRCH),
		N(ECONNRESET), N(ENOBUFS), N(ENOMEM), N(EBUSY), N(ETIME),
		N(EPROTO), N(EEXIST), N(ENOMSG), N(ENOTDIR),
	};

	snprintf(p, sizeof(text[0]), "%d", res);
	for (e = 0; e < (int)ARRAY_SIZE(names); e++)
		if (-res == names[e].err)
			snprintf(p, sizeof(text[0]), "-%s", names[e].name);
	return p;
}

void note_res(struct cell *c, const char *what, int res)
{
	note(c, "%s=%s", what, err_name(res));
}

static unsigned int sum(const unsigned char *p, size_t len)
{
	__u64 h = 14695981039346656037ULL, v;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * 1099511628211ULL;
		h ^= h >> 29;
	}
	while (len--)
		h = (h ^ *p++) * 1099511628211ULL;
	return h ^ h >> 32;
}

void note_data(struct cell *c, const void *p, int res)
{
	if (res > 0)
		note(c, "data=%08x", sum(p, res));
}

void note_pos(struct cell *c)
{
	long long pos = lseek(c->in.fd, 0, SEEK_CUR);

	if (c->kind->can & K_VARIES)
		return;
	note(c, "pos=%lld", pos < 0 ? -(long long)errno : pos);
}

/* Note the size and contents of the file, through another descriptor */
void note_file(struct cell *c)
{
	static char p[BUF_LEN];
	struct stat st;
	ssize_t len;
	int fd;

	fd = open(c->in.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		note(c, "file=%s", err_name(-errno));
	} else {
		/* nothing writes beyond this part of a device */
		len = pread(fd, p, S_ISBLK(st.st_mode) ? 65536 : BUF_LEN, 0);
		note(c, "file=%lld:%08x", (long long)st.st_size,
		     len > 0 ? sum((void *)p, len) : 0);
	}
	if (fd >= 0)
		close(fd);
}

/* ---------------------------------------------------------------- helpers */

int run(const char *fmt, ...)
{
	char cmd[600];
	va_list ap;
	size_t len;
	int st;

	va_start(ap, fmt);
	len = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (len >= sizeof(cmd) - 30)
		return -1;
	strcat(cmd, getenv("IOURING2_FILES_DEBUG") ? " 1>&2" :
						     " >/dev/null 2>&1");
	st = system(cmd);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

bool have_tool(const char *name)
{
	static const char * const dirs[] = { "/usr/sbin", "/usr/bin", "/sbin",
					     "/bin" };
	char path[200];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

/*
 * Do not start modprobe for a module that is loaded: starting programs is slow
 */
bool have_module(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !access(path, F_OK) || !run("modprobe -q %s", name);
}

const char *need_module(const char *name)
{
	return have_module(name) ? "" : reason("missing module: %s", name);
}

bool put_text(const char *path, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	int fd, len;
	bool ok;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, len) == len;
	close(fd);
	return ok;
}

/*
 * The bytes are computed only once, because emulated machines are slow at that
 */
void fill_pattern(void *p, size_t len, unsigned int seed)
{
	static char made[128 * 1024];
	static bool filled;
	size_t i, part;

	for (i = 0; !filled && i < sizeof(made); i++)
		made[i] = pattern_byte(i);
	filled = true;
	seed *= 131;
	for (i = 0; i < len; i += part) {
		part = sizeof(made) - seed;
		part = len - i < part ? len - i : part;
		memcpy((char *)p + i, made + seed, part);
	}
}

/* Open a new data file in the kind's folder */
int default_open(struct inst *in)
{
	static char data[FILE_SIZE];
	int fd;

	snprintf(in->path, sizeof(in->path), "%s/file", in->kind->dir);
	if (in->kind->can & K_WRITE) {
		unlink(in->path);
		fill_pattern(data, sizeof(data), 1);
		fd = open(in->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		if (pwrite(fd, data, sizeof(data), 0) != sizeof(data)) {
			close(fd);
			return -EIO;
		}
		close(fd);
	}
	in->fd = open(in->path, in->flags | O_CLOEXEC |
		      (in->kind->can & K_WRITE ? O_RDWR : O_RDONLY));
	return in->fd < 0 ? -errno : 0;
}

void default_close(struct inst *in)
{
	if (in->fd >= 0)
		close(in->fd);
	if (in->peer >= 0)
		close(in->peer);
	in->fd = -1;
	in->peer = -1;
}

void feed_peer(struct inst *in)
{
	if (write(in->peer, "datum", 5) != 5)
		perror("feed");
}

/* Read all data that waits for a reader */
void drain_peer(struct inst *in)
{
	static char sink[65536];
	int flags = fcntl(in->peer, F_GETFL);

	fcntl(in->peer, F_SETFL, flags | O_NONBLOCK);
	while (read(in->peer, sink, sizeof(sink)) > 0)
		;
	fcntl(in->peer, F_SETFL, flags);
}

int fill_fd(int fd)
{
	static const size_t sizes[] = { 4096, 64, 1 };
	int flags = fcntl(fd, F_GETFL), total = 0;
	unsigned int i;
	ssize_t n;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		while ((n = write(fd, io_buf, sizes[i])) > 0)
			total += n;
	fcntl(fd, F_SETFL, flags);
	return total;
}

/*
 * Check several times, because a task may sleep elsewhere for a moment before
 * it waits
 */
bool waits(pid_t tid, const int *entered, int patience)
{
	int i;

	for (i = 0; i <= patience; i += 2) {
		if (!ld_acq(entered) || !task_sleeps(tid))
			return false;
		usleep(2000);
	}
	return ld_acq(entered) && task_sleeps(tid);
}

static void *helper_fn(void *arg)
{
	struct helper *h = arg;

	until(ld_acq(&h->stop) ||
	      waits(h->who, &h->c->io->entered, h->patience));
	h->fn(h->c);
	return NULL;
}

void helper_start(struct helper *h, struct cell *c, void (*fn)(struct cell *),
		  int patience)
{
	h->c = c;
	h->fn = fn;
	h->who = c->io->tid;
	h->patience = patience;
	h->stop = 0;
	st_rel(&c->io->entered, 0);
	pthread_create(&h->thread, NULL, helper_fn, h);
}

void helper_end(struct helper *h)
{
	st_rel(&h->stop, 1);
	pthread_join(h->thread, NULL);
}
