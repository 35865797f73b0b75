// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation by the system call, by io_uring or by iouring2; see files.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "files.h"

/* The numbers are the same on every architecture that has these calls */
#define NR_IO_URING_SETUP	425
#define NR_IO_URING_ENTER	426

#define RW_DATA	0x77

static bool is_native(const struct io *io)
{
	return io->way == WAY_NATIVE || io->way == WAY_NATIVE_ASYNC;
}

static unsigned int sqe_flags(const struct io *io)
{
	return io->way == WAY_NATIVE_ASYNC || io->way == WAY_OURS_ASYNC ?
	       IOURING2_SQE_ASYNC : 0;
}

bool io_is_ring(const struct io *io)
{
	return io->way != WAY_CALL;
}

int io_open(struct io *io, enum io_way way)
{
	int ret;

	memset(io, 0, sizeof(*io));
	io->way = way;
	io->tid = syscall(SYS_gettid);
	if (way == WAY_CALL)
		return 0;
	if (is_native(io)) {
		io->r.fd = syscall(NR_IO_URING_SETUP, 8, &io->r.setup.params);
		ret = io->r.fd < 0 ? -errno : ring_map(&io->r);
		if (!ret)
			fcntl(io->r.fd, F_SETFD, FD_CLOEXEC);
	} else {
		ret = ring_init(&io->r, 8, 0);
	}
	io->open = !ret;
	return ret;
}

void io_close(struct io *io)
{
	if (io->open)
		ring_exit(&io->r);
	io->open = false;
}

/* --------------------------------------------------------------- the ring */

struct iouring2_sqe *io_sqe(struct io *io, int op, int fd, const void *addr,
			    unsigned int len, __u64 off, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(&io->r);

	prep(sqe, op, fd, addr, len, off);
	sqe->user_data = user_data;
	if (op != IOURING2_OP_ASYNC_CANCEL)
		sqe->flags = sqe_flags(io);
	return sqe;
}

static int io_enter(struct io *io, unsigned int submit, unsigned int wait)
{
	unsigned int flags = wait ? IOURING2_ENTER_GETEVENTS : 0;
	int ret;

	st_rel(&io->entered, 1);
	if (is_native(io)) {
		ret = syscall(NR_IO_URING_ENTER, io->r.fd, submit, wait, flags,
			      NULL, 0);
		ret = ret < 0 ? -errno : ret;
	} else {
		ret = enter(io->r.fd, submit, wait, flags, NULL, 0);
	}
	return ret;
}

int io_submit(struct io *io)
{
	return io_enter(io, ring_publish(&io->r), 0);
}

/* Return: the index of its CQE, or the tail if there is none */
static __u32 find_cqe(struct io *io, __u64 user_data)
{
	struct ring *r = &io->r;
	__u32 i, tail = ld_acq(r->cq_tail);

	for (i = *r->cq_head; i != tail; i++)
		if (r->cqes[i & *r->cq_mask].user_data == user_data)
			break;
	return i;
}

bool io_done(struct io *io, __u64 user_data)
{
	return find_cqe(io, user_data) != ld_acq(io->r.cq_tail);
}

/*
 * There is no time limit here, because the parent limits the time of this
 * process
 */
int io_wait(struct io *io, __u64 user_data)
{
	struct ring *r = &io->r;
	__u32 mask = *r->cq_mask, i;
	int ret;

	while ((i = find_cqe(io, user_data)) == ld_acq(r->cq_tail)) {
		ret = io_enter(io, 0, i - *r->cq_head + 1);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	ret = r->cqes[i & mask].res;
	for (; i != *r->cq_head; i--)
		memcpy(&r->cqes[i & mask], &r->cqes[(i - 1) & mask],
		       sizeof(r->cqes[0]));
	st_rel(r->cq_head, *r->cq_head + 1);
	return ret;
}

static int io_one(struct io *io)
{
	int ret = io_submit(io);

	if (ret == 1)
		ret = io_wait(io, RW_DATA);
	else if (ret >= 0)
		ret = -EPROTO;
	st_rel(&io->entered, 0);
	return ret;
}

/* ---------------------------------------------------------- one operation */

#define CALL(io, call)							\
({									\
	long __ret;							\
									\
	st_rel(&(io)->entered, 1);					\
	__ret = (call);							\
	st_rel(&(io)->entered, 0);					\
	__ret < 0 ? -errno : (int)__ret;				\
})

int io_read(struct io *io, int fd, void *p, unsigned int len, __u64 off)
{
	if (io->way == WAY_CALL)
		return off == NO_POS ? CALL(io, read(fd, p, len)) :
				       CALL(io, pread(fd, p, len, off));
	io_sqe(io, IOURING2_OP_READ, fd, p, len, off, RW_DATA);
	return io_one(io);
}

int io_write(struct io *io, int fd, const void *p, unsigned int len, __u64 off)
{
	if (io->way == WAY_CALL)
		return off == NO_POS ? CALL(io, write(fd, p, len)) :
				       CALL(io, pwrite(fd, p, len, off));
	io_sqe(io, IOURING2_OP_WRITE, fd, p, len, off, RW_DATA);
	return io_one(io);
}

int io_readv(struct io *io, int fd, const struct iovec *v, int n, __u64 off)
{
	if (io->way == WAY_CALL)
		return off == NO_POS ? CALL(io, readv(fd, v, n)) :
				       CALL(io, preadv(fd, v, n, off));
	io_sqe(io, IOURING2_OP_READV, fd, v, n, off, RW_DATA);
	return io_one(io);
}

int io_writev(struct io *io, int fd, const struct iovec *v, int n, __u64 off)
{
	if (io->way == WAY_CALL)
		return off == NO_POS ? CALL(io, writev(fd, v, n)) :
				       CALL(io, pwritev(fd, v, n, off));
	io_sqe(io, IOURING2_OP_WRITEV, fd, v, n, off, RW_DATA);
	return io_one(io);
}

int io_fsync(struct io *io, int fd, unsigned int flags)
{
	if (io->way == WAY_CALL)
		return flags & IOURING2_FSYNC_DATASYNC ?
		       CALL(io, fdatasync(fd)) : CALL(io, fsync(fd));
	io_sqe(io, IOURING2_OP_FSYNC, fd, NULL, 0, 0, RW_DATA)->fsync_flags =
		flags;
	return io_one(io);
}

int io_poll(struct io *io, int fd, unsigned int events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct iouring2_sqe *sqe;
	int ret;

	if (io->way == WAY_CALL) {
		ret = CALL(io, poll(&p, 1, -1));
		return ret < 0 ? ret : p.revents;
	}
	sqe = io_sqe(io, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0, RW_DATA);
	sqe->poll32_events = events;
	return io_one(io);
}
