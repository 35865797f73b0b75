// SPDX-License-Identifier: GPL-2.0-only
/* Operations on a file of any kind: the columns of the matrix; see files.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "files_columns.h"

#define NOBODY	65534

/* ------------------------------------------------------------------ reads */

static void col_read(struct cell *c)
{
	if (!begin(c, 0))
		return;
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, size_of(c, 5000),
			       at(c, c->kind->can & K_DATA ? 100 : 0)));
	note_pos(c);
	end(c);
}

static void col_readv(struct cell *c)
{
	struct iovec v[3] = {
		{ .iov_base = io_buf, .iov_len = 3 },
		{ .iov_base = io_buf, .iov_len = 0 },
		{ .iov_base = io_buf + 3, .iov_len = 4997 },
	};

	if (!begin(c, 0))
		return;
	saw(c, io_buf, io_readv(c->io, c->in.fd, v, 3,
				at(c, c->kind->can & K_DATA ? 100 : 0)));
	note_pos(c);
	end(c);
}

/* A read of less than there is, and a read of more than there is */
static void col_short(struct cell *c)
{
	if (!begin(c, 0))
		return;
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 3, at(c, 0)));
	if (c->kind->can & K_DATA)
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 8000,
				       at(c, FILE_SIZE - 1000)));
	note_pos(c);
	end(c);
}

static void col_read_big(struct cell *c)
{
	if (!begin(c, 0))
		return;
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 65536, at(c, 0)));
	end(c);
}

static void col_end(struct cell *c)
{
	struct stat st;
	off_t size;

	if (!begin_empty(c, 0))
		return;
	size = fstat(c->in.fd, &st) ? 0 : st.st_size;
	if (S_ISBLK(st.st_mode))
		size = lseek(c->in.fd, 0, SEEK_END);
	lseek(c->in.fd, 0, SEEK_SET);
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 4096, size));
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 4096, size + 1048576));
	if (size >= 512)
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 4096,
				       size - 512));
	if (c->kind->can & K_WRITE && c->kind->can & K_FIXED) {
		wrote(c, io_write(c->io, c->in.fd, io_buf, 4096, size - 512));
		wrote(c, io_write(c->io, c->in.fd, io_buf, 4096, size));
	}
	end(c);
}

/* Offsets beyond the end of any file */
static void col_edge(struct cell *c)
{
	static const __u64 offs[] = {
		INT64_MAX, INT64_MAX - 10, (__u64)-2, 1ULL << 63,
	};
	unsigned int i;

	if (!begin_empty(c, 0))
		return;
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		note_res(c, "r", io_read(c->io, c->in.fd, io_buf, 100,
					 offs[i]));
		if (c->kind->can & K_WRITE)
			note_res(c, "w", io_write(c->io, c->in.fd, io_buf, 100,
						  offs[i]));
	}
	note_pos(c);
	end(c);
}

static void col_zero(struct cell *c)
{
	if (!begin_empty(c, 0))
		return;
	/*
	 * on some kinds, even a read of 0 bytes waits for data: skip it there
	 */
	if (c->kind->can & K_READ && !(c->kind->can & K_FEED))
		note_res(c, "read", io_read(c->io, c->in.fd, io_buf, 0,
					    at(c, 0)));
	if (c->kind->can & K_WRITE) {
		note_res(c, "write", io_write(c->io, c->in.fd, io_buf, 0,
					      write_at(c, 0)));
		if (c->in.peer >= 0 && c->kind->can & K_FEED) {
			struct pollfd p = { .fd = c->in.peer,
					    .events = POLLIN };

			note(c, "peer=%d", poll(&p, 1, 0));
		}
	}
	end(c);
}

/* Inaccessible memory: all of the buffer, and then only its second half */
static void col_fault(struct cell *c)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 'x', 8192);
	mprotect(p + 4096, 4096, PROT_NONE);
	if (c->kind->can & K_READ && begin(c, 0)) {
		note_res(c, "r", io_read(c->io, c->in.fd, (void *)8, 64,
					 at(c, 0)));
		if (!(c->kind->can & (K_FEED | K_TEXT | K_VARIES))) {
			note_res(c, "r", io_read(c->io, c->in.fd, p + 2048,
						 4096, at(c, 0)));
			note_data(c, p, 4096);
		}
		end(c);
	}
	if (c->kind->can & K_WRITE && begin_empty(c, 0)) {
		note_res(c, "w", io_write(c->io, c->in.fd, (void *)8, 64,
					  write_at(c, 0)));
		note_res(c, "w", io_write(c->io, c->in.fd, p + 2048, 4096,
					  write_at(c, 100)));
		if (c->kind->can & K_DATA)
			note_file(c);
		end(c);
	}
	munmap(p, 8192);
}

/* ----------------------------------------------------------------- writes */

static int peer_take(int fd, char *to, int len)
{
	int n = recv(fd, to, len, MSG_DONTWAIT);

	return n < 0 && errno == ENOTSOCK ? read(fd, to, len) : n;
}

/*
 * Read the @nr bytes that were written. A terminal passes them on in several
 * steps.
 */
static int peer_read(int fd, char *to, int nr)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int got = 0, n;

	do {
		n = peer_take(fd, to + got, 8192 - got);
		got += n > 0 ? n : 0;
	} while (got < nr && got < 8192 && poll(&p, 1, got ? 2000 : 0) == 1);
	return got ? got : n;
}

static void col_write(struct cell *c)
{
	int nr;

	if (!begin_empty(c, 0))
		return;
	nr = io_write(c->io, c->in.fd, io_buf, size_of(c, 5000),
		      write_at(c, 300));
	wrote(c, nr);
	note_pos(c);
	if (c->kind->can & K_FULL && c->in.peer >= 0) {
		nr = peer_read(c->in.peer, io_buf, nr);
		note_res(c, "peer", nr);
		note_data(c, io_buf, nr);
	}
	end(c);
}

static void col_writev(struct cell *c)
{
	struct iovec v[3] = {
		{ .iov_base = io_buf, .iov_len = 3 },
		{ .iov_base = NULL, .iov_len = 0 },
		{ .iov_base = io_buf + 100, .iov_len = 4000 },
	};

	if (!begin_empty(c, 0))
		return;
	if (c->kind->datum) {
		v[0].iov_len = 1;
		v[2].iov_base = io_buf + 1;
		v[2].iov_len = c->kind->datum - 1;
	}
	wrote(c, io_writev(c->io, c->in.fd, v, 3, write_at(c, 300)));
	note_pos(c);
	end(c);
}

/* Write many blocks beyond the end: the file grows */
static void col_write_big(struct cell *c)
{
	if (!begin_empty(c, 0))
		return;
	wrote(c, io_write(c->io, c->in.fd, io_buf, 60000, 12345));
	wrote(c, io_write(c->io, c->in.fd, io_buf, 1000, 100000));
	end(c);
}

static void col_append(struct cell *c)
{
	if (!begin_empty(c, O_APPEND))
		return;
	wrote(c, io_write(c->io, c->in.fd, io_buf, 100, 0));
	note_pos(c);
	wrote(c, io_write(c->io, c->in.fd, io_buf, 100, NO_POS));
	note_pos(c);
	end(c);
}

static void col_pos(struct cell *c)
{
	if (!begin(c, 0))
		return;
	if (!(c->kind->can & K_SEEK)) {
		/* the offset has no effect, as with io_uring */
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf,
				       size_of(c, 5000), 5));
		end(c);
		return;
	}
	if (c->kind->can & K_READ) {
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 10, NO_POS));
		note_pos(c);
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 10, NO_POS));
		note_pos(c);
	}
	if (c->kind->can & K_DATA && c->kind->can & K_WRITE) {
		wrote(c, io_write(c->io, c->in.fd, io_buf, 30, NO_POS));
		note_pos(c);
	}
	end(c);
}

static void col_direct(struct cell *c)
{
	if (!begin_empty(c, O_DIRECT))
		return;
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 8192, 4096));
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 4096, 100));
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf + 1, 4096, 0));
	if (!(c->kind->can & K_FIXED))
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 8192, 16384));
	if (c->kind->can & K_WRITE) {
		fill_pattern(io_buf, 32768, 9);
		wrote(c, io_write(c->io, c->in.fd, io_buf, 8192, 8192));
		wrote(c, io_write(c->io, c->in.fd, io_buf, 4096, 24576));
		wrote(c, io_write(c->io, c->in.fd, io_buf, 100, 0));
	}
	end(c);
}

static void col_fsync(struct cell *c)
{
	if (!begin_empty(c, 0))
		return;
	if (c->kind->can & K_WRITE && c->kind->can & K_DATA)
		wrote(c, io_write(c->io, c->in.fd, io_buf, 100, 0));
	note_res(c, "fsync", io_fsync(c->io, c->in.fd, 0));
	note_res(c, "fdatasync", io_fsync(c->io, c->in.fd,
					  IOURING2_FSYNC_DATASYNC));
	end(c);
}

/* Close the descriptor while the write may still be running */
static void col_close_data(struct cell *c)
{
	int ret;

	if (!begin_empty(c, 0))
		return;
	if (io_is_ring(c->io)) {
		io_sqe(c->io, IOURING2_OP_WRITE, c->in.fd, io_buf, 200000, 0, 1);
		io_submit(c->io);
		close(c->in.fd);
		ret = io_wait(c->io, 1);
	} else {
		ret = io_write(c->io, c->in.fd, io_buf, 200000, 0);
		close(c->in.fd);
	}
	c->in.fd = -1;
	wrote(c, ret);
	end(c);
}

static int signals;

static void count_signal(int sig)
{
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

void signals_count(int sig)
{
	struct sigaction sa = { .sa_handler = count_signal };

	st_rel(&signals, 0);
	sigaction(sig, &sa, NULL);
}

/* The signal that a worker sends may come a little later */
void note_signals(struct cell *c)
{
	until_ms(ld_acq(&signals), 10);
	note(c, "signals=%d", ld_acq(&signals));
	st_rel(&signals, 0);
}

/* ------------------------------------------- limits, modes, leases, freezing */

static void col_fsize(struct cell *c)
{
	struct rlimit old, lim;
	int i, ret;

	if (!begin_empty(c, 0))
		return;
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = FILE_SIZE + 100;
	signals_count(SIGXFSZ);
	setrlimit(RLIMIT_FSIZE, &lim);
	/*
	 * A write is made without blocking only if the file's time need not be
	 * changed, so it comes soon after another change
	 */
	for (i = 0; i < 20; i++) {
		if (ftruncate(c->in.fd, FILE_SIZE))
			note_res(c, "truncate", -errno);
		ret = io_write(c->io, c->in.fd, io_buf, 1000, FILE_SIZE);
		if (!i || ret != 100)
			note_res(c, "over", ret);
	}
	note_res(c, "beyond", io_write(c->io, c->in.fd, io_buf, 1000,
				       FILE_SIZE + 200));
	setrlimit(RLIMIT_FSIZE, &old);
	note_signals(c);
	signal(SIGXFSZ, SIG_DFL);
	note_file(c);
	end(c);
}

static void col_suid(struct cell *c)
{
	struct stat st;

	if (!begin_empty(c, 0))
		return;
	if (fchmod(c->in.fd, 06777))
		note_res(c, "chmod", -errno);
	if (seteuid(NOBODY))
		note_res(c, "seteuid", -errno);
	note_res(c, "res", io_write(c->io, c->in.fd, io_buf, 10, 0));
	if (seteuid(0))
		note_res(c, "seteuid", -errno);
	fstat(c->in.fd, &st);
	note(c, "mode=%o", st.st_mode);
	if (fchmod(c->in.fd, 06777))
		note_res(c, "chmod", -errno);
	note_res(c, "res", io_write(c->io, c->in.fd, io_buf, 10, 0));
	fstat(c->in.fd, &st);
	note(c, "mode=%o", st.st_mode);
	end(c);
}

/* After a read and a write, their task must not hold the file open */
static void col_lease(struct cell *c)
{
	int fd, ret = 0;

	if (!begin_empty(c, 0))
		return;
	io_write(c->io, c->in.fd, io_buf, 100, 0);
	io_read(c->io, c->in.fd, io_buf, 100, 0);
	close(c->in.fd);
	c->in.fd = -1;
	fd = open(c->in.path, O_RDWR | O_CLOEXEC);
	until_ms(!(ret = fcntl(fd, F_SETLEASE, F_WRLCK) ? -errno : 0) ||
		 ret != -EAGAIN, 2000);
	note_res(c, "lease", ret);
	close(fd);
	end(c);
}

static void col_freeze(struct cell *c)
{
	int i;

	if (!begin_empty(c, 0))
		return;
	for (i = 0; i < 4; i++)
		io_write(c->io, c->in.fd, io_buf, 512, i * 4096);
	io_fsync(c->io, c->in.fd, 0);
	note_res(c, "freeze", c->kind->freeze(c->kind, true));
	note_res(c, "thaw", c->kind->freeze(c->kind, false));
	note_res(c, "write", io_write(c->io, c->in.fd, io_buf, 512, 0));
	end(c);
}

/* ------------------------------------------------- disks that fail or are full */

/* The files are in a small file system, and this uses up all of its space */
static void col_nospc(struct cell *c)
{
	int i, ret = 0;
	__u64 off = 0;

	if (!begin_empty(c, 0))
		return;
	for (i = 0; i < 100; i++, off += ret) {
		ret = io_write(c->io, c->in.fd, io_buf, BUF_LEN, off);
		if (ret != BUF_LEN)
			break;
	}
	note(c, "partial=%d", ret > 0);
	for (i = 0; i < 100 && ret > 0; i++) {
		off += ret;
		ret = io_write(c->io, c->in.fd, io_buf, BUF_LEN, off);
	}
	note_res(c, "last", ret);
	note_res(c, "fsync", io_fsync(c->io, c->in.fd, 0));
	if (ftruncate(c->in.fd, 0))
		note_res(c, "truncate", -errno);
	note_res(c, "again", io_write(c->io, c->in.fd, io_buf, 4096, 0));
	end(c);
	unlink(c->in.path);
}

static void col_quota(struct cell *c)
{
	int i, ret = 0;

	if (!begin_empty(c, 0))
		return;
	if (fchown(c->in.fd, 1000, 1000) || seteuid(1000))
		note_res(c, "seteuid", -errno);
	for (i = 0; i < 100; i++) {
		ret = io_write(c->io, c->in.fd, io_buf, 4096, i * 4096);
		if (ret != 4096)
			break;
	}
	if (seteuid(0))
		note_res(c, "seteuid", -errno);
	note(c, "written=%d", i);
	note_res(c, "last", ret);
	end(c);
	unlink(c->in.path);
}

static void col_ioerr(struct cell *c)
{
	int ret;

	if (!begin_empty(c, c->kind->can & K_DISK ? O_DIRECT : 0))
		return;
	ret = c->kind->fail(c->kind, true);
	note_res(c, "fail", ret);
	saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 4096, 0));
	note_res(c, "w", io_write(c->io, c->in.fd, io_buf, 4096, 0));
	end(c);
	c->kind->fail(c->kind, false);
}

/* The write goes to memory; the error of the disk is reported once, by fsync */
static void col_fsync_err(struct cell *c)
{
	if (!begin_empty(c, 0))
		return;
	io_fsync(c->io, c->in.fd, 0);
	note_res(c, "fail", c->kind->fail(c->kind, true));
	note_res(c, "w", io_write(c->io, c->in.fd, io_buf, 4096, 4096));
	note_res(c, "fsync", io_fsync(c->io, c->in.fd, 0));
	note_res(c, "fsync", io_fsync(c->io, c->in.fd, 0));
	end(c);
	c->kind->fail(c->kind, false);
}

const struct column file_columns[] = {
	{ "read", col_read, K_READ },
	{ "readv", col_readv, K_READ },
	{ "short", col_short, K_READ },
	{ "read_big", col_read_big, K_READ },
	{ "end", col_end, K_READ | K_SEEK, K_TEXT },
	{ "edge", col_edge, K_SEEK | K_DATA | K_READ },
	{ "never", col_never, K_NEVER },
	{ "zero", col_zero, 0, K_NEVER },
	{ "fault", col_fault, 0, K_NEVER },
	{ "write", col_write, K_WRITE },
	{ "writev", col_writev, K_WRITE },
	{ "write_big", col_write_big, K_WRITE | K_DATA, K_SMALL },
	{ "append", col_append, K_WRITE | K_DATA | K_SEEK, K_FIXED },
	{ "pos", col_pos, K_READ },
	{ "direct", col_direct, K_DISK },
	{ "nonblock", col_nonblock, K_NONBLOCK | K_READ },
	{ "nonblock_full", col_nonblock_full, K_NONBLOCK | K_FULL },
	{ "fsync", col_fsync },
	{ "poll", col_poll },
	{ "wait", col_wait, K_READ | K_FEED },
	{ "poll_wait", col_poll_wait, K_FEED | K_POLL },
	{ "full", col_full, K_WRITE | K_FULL },
	{ "hup", col_hup, K_HUP },
	{ "cancel", col_cancel, K_READ | K_FEED, 0, true },
	{ "kill", col_kill, K_READ | K_FEED },
	{ "close", col_close, K_READ | K_FEED },
	{ "close_data", col_close_data, K_WRITE | K_DATA, K_FIXED },
	{ "fsize", col_fsize, K_WRITE | K_DATA, K_FIXED },
	{ "suid", col_suid, K_WRITE | K_OWNER },
	{ "lease", col_lease, K_WRITE | K_DATA, K_FIXED },
	{ "nospc", col_nospc, K_SMALL },
	{ "quota", col_quota, K_QUOTA },
	{ "ioerr", col_ioerr, K_FAIL },
	{ "fsync_err", col_fsync_err, K_FAIL },
	{ "freeze", col_freeze, K_FS | K_WRITE },
	{ "class", col_class, K_CLASS },
	{ "class_locked", col_class_locked, K_LOCK_SENT },
};

const unsigned int nr_file_columns = ARRAY_SIZE(file_columns);
