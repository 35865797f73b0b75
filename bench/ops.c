// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations that are measured by batch size. A new operation needs a row
 * in the table at the end, and a function that queues a batch.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

/* --- files and buffers ----------------------------------------------------- */

static int make_file(const char *dir)
{
	char path[256], block[BLOCK];
	int fd, i;

	snprintf(path, sizeof(path), "%s/bench.XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		die(path, errno);
	unlink(path);
	memset(block, 7, sizeof(block));
	for (i = 0; i < MAX_BATCH; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			die("write", errno);
	fsync(fd);
	return fd;
}

static int open_disk(struct work *w)
{
	w->file = make_file(disk_dir);
	return 0;
}

static int open_tmpfs(struct work *w)
{
	w->file = make_file("/tmp");
	return 0;
}

static int open_block(struct work *w)
{
	w->file = open("/dev/nullb0", O_RDONLY | O_DIRECT);
	return w->file < 0 ? -errno : 0;
}

static int open_events(struct work *w, unsigned int value)
{
	unsigned int i;

	for (i = 0; i < MAX_BATCH; i++) {
		w->event[i] = eventfd(value, EFD_NONBLOCK);
		if (w->event[i] < 0)
			return -errno;
	}
	return 0;
}

static int open_ready(struct work *w)
{
	return open_events(w, 1);
}

int open_silent(struct work *w)
{
	return open_events(w, 0);
}

/* Return: the entries of a ring for batches of @b */
unsigned int ring_size(unsigned int b)
{
	return 2 * (b > MAX_BATCH ? b : MAX_BATCH);
}

/* Return: 0, or -errno if this kernel lacks something that @op needs */
int work_open(struct work *w, const struct op *op)
{
	memset(w, 0, sizeof(*w));
	w->hour.tv_sec = 3600;
	w->r.fd = -1;
	w->file = -1;
	w->buf = mmap(NULL, MAX_BATCH * BLOCK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (w->buf == MAP_FAILED)
		die("mmap", errno);
	return op->open ? op->open(w) : 0;
}

void work_close(struct work *w)
{
	unsigned int i;

	if (w->r.fd >= 0)
		ring_close(&w->r);
	if (w->file >= 0)
		close(w->file);
	for (i = 0; i < MAX_BATCH; i++)
		if (w->event[i] > 0)
			close(w->event[i]);
	munmap(w->buf, MAX_BATCH * BLOCK);
}

/* --- one round of @b operations --------------------------------------------- */

/*
 * Waits for @n completions. ENTER may return before they have come, because the
 * late end of an in-tree ring interrupts the waits of its process.
 */
void await(struct ring *r, unsigned int n)
{
	int ret;

	while (ring_ready(r) < n) {
		ret = ring_enter(r, 0, n);
		if (ret < 0 && ret != -EINTR)
			die("wait", ret);
	}
}

/* Submits @n queued requests and reaps their completions. */
void go(struct work *w, unsigned int n)
{
	struct ring *r = &w->r;
	unsigned int i;
	int ret, res;

	ret = ring_enter(r, n, n);
	if (ret != (int)n)
		die("enter", ret < 0 ? ret : EIO);
	await(r, n);
	for (i = 0; i < n; i++) {
		res = ring_cqe(r, i)->res;
		if (res < 0 && res != -ECANCELED)
			w->error = res;
	}
	ring_seen(r, n);
}

void round_of(const struct op *op, struct work *w, unsigned int b)
{
	if (op->round) {
		op->round(w, b);
	} else {
		op->queue(w, b);
		go(w, b);
	}
}

static void queue_nops(struct work *w, unsigned int b)
{
	while (b--)
		ring_sqe(&w->r)->opcode = IOURING2_OP_NOP;
}

static void round_enter(struct work *w, unsigned int b)
{
	while (b--)
		ring_enter(&w->r, 0, 0);
}

static void queue_reads(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_READ;
		sqe->fd = w->file;
		sqe->addr = (uintptr_t)w->buf + i * BLOCK;
		sqe->len = BLOCK;
		sqe->off = i * BLOCK;
	}
}

static void round_pread(struct work *w, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < b; i++)
		if (SYSTEM_CALL(pread(w->file, w->buf + i * BLOCK, BLOCK,
				      i * BLOCK)) != BLOCK)
			die("pread", errno);
}

void queue_poll(struct work *w, int fd, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(&w->r);

	sqe->opcode = IOURING2_OP_POLL_ADD;
	sqe->fd = fd;
	sqe->poll32_events = POLLIN;
	sqe->user_data = user_data;
}

static void queue_polls(struct work *w, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < b; i++)
		queue_poll(w, w->event[i], 0);
}

static void write_events(struct work *w, unsigned int b)
{
	__u64 one = 1;

	while (b--)
		if (SYSTEM_CALL(write(w->event[b], &one, sizeof(one))) < 0)
			die("write", errno);
}

static void read_events(struct work *w, unsigned int b)
{
	__u64 count;

	while (b--)
		if (SYSTEM_CALL(read(w->event[b], &count, sizeof(count))) < 0)
			die("read", errno);
}

void round_poll_armed(struct work *w, unsigned int b)
{
	int ret;

	queue_polls(w, b);
	ret = ring_enter(&w->r, b, 0);
	if (ret != (int)b)
		die("enter", ret);
	write_events(w, b);
	await(&w->r, b);
	ring_seen(&w->r, b);
	read_events(w, b);
}

static void round_write_read(struct work *w, unsigned int b)
{
	write_events(w, b);
	read_events(w, b);
}

static void round_poll_call(struct work *w, unsigned int b)
{
	struct pollfd p = { .events = POLLIN };
	unsigned int i;

	for (i = 0; i < b; i++) {
		p.fd = w->event[i];
		SYSTEM_CALL(poll(&p, 1, 0));
	}
}

void queue_timeout(struct work *w, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(&w->r);

	sqe->opcode = IOURING2_OP_TIMEOUT;
	sqe->addr = (uintptr_t)&w->hour;
	sqe->len = 1;
	sqe->user_data = user_data;
}

/* Arms a timeout and removes it: two requests. */
void round_timeout(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < b; i++)
		queue_timeout(w, i + 1);
	for (i = 0; i < b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_TIMEOUT_REMOVE;
		sqe->addr = i + 1;
	}
	go(w, 2 * b);
}

static void round_link(struct work *w, unsigned int b)
{
	struct iouring2_sqe *sqe;
	unsigned int i;

	for (i = 0; i < 2 * b; i++) {
		sqe = ring_sqe(&w->r);
		sqe->opcode = IOURING2_OP_NOP;
		sqe->flags = i & 1 ? 0 : IOURING2_SQE_IO_LINK;
	}
	go(w, 2 * b);
}

/* --- the table ---------------------------------------------------------------- */

#define ALL_BATCHES	{ 1, 8, 32, 128 }
/* more requests than the request caches of both rings keep */
#define MORE_BATCHES	{ 1, 8, 32, 128, 512 }
#define ONCE		{ 1 }
#define REQUEST(text, prepare, what) \
	{ .name = (text), .batch = ALL_BATCHES, .open = (prepare), \
	  .queue = (what) }
#define ROUND(text, at, prepare, what) \
	{ .name = (text), .batch = at, .open = (prepare), .round = (what) }
/* the same on rings whose completions come in their issuer's ENTER */
#define DEFER	(IOURING2_SETUP_SINGLE_ISSUER | IOURING2_SETUP_DEFER_TASKRUN)
#define REQUEST_DEFER(text, prepare, what) \
	{ .name = text ", DEFER_TASKRUN", .batch = ALL_BATCHES, \
	  .open = (prepare), .queue = (what), .flags = DEFER }
#define ROUND_DEFER(text, at, prepare, what) \
	{ .name = text ", DEFER_TASKRUN", .batch = at, .open = (prepare), \
	  .round = (what), .flags = DEFER }
#define CALL(text, prepare, what) \
	{ .name = (text), .batch = ONCE, .open = (prepare), .round = (what), \
	  .plain = true }

const struct op ops[] = {
	REQUEST("nop", NULL, queue_nops),
	{ .name = "enter, nothing to do", .batch = ONCE, .round = round_enter,
	  .empty = true },
	{ .name = "nop, ENTER by ioctl", .batch = ALL_BATCHES,
	  .queue = queue_nops, .ours = &iouring2_ioctl },
	{ .name = "enter by ioctl, nothing to do", .batch = ONCE,
	  .round = round_enter, .ours = &iouring2_ioctl },
	REQUEST("read 4 KiB, ext4 page cache", open_disk, queue_reads),
	CALL("pread 4 KiB, ext4 page cache", open_disk, round_pread),
	REQUEST("read 4 KiB, tmpfs", open_tmpfs, queue_reads),
	CALL("pread 4 KiB, tmpfs", open_tmpfs, round_pread),
	REQUEST("read 4 KiB, null_blk, O_DIRECT", open_block, queue_reads),
	CALL("pread 4 KiB, null_blk, O_DIRECT", open_block, round_pread),
	REQUEST("poll an eventfd, ready", open_ready, queue_polls),
	CALL("poll(2) an eventfd, ready", open_ready, round_poll_call),
	ROUND("poll an eventfd, armed; write, read", ALL_BATCHES, open_silent,
	      round_poll_armed),
	CALL("write, read of an eventfd alone", open_silent, round_write_read),
	ROUND("timeout, armed and removed", MORE_BATCHES, NULL, round_timeout),
	ROUND("linked pair of nops", MORE_BATCHES, NULL, round_link),
	REQUEST_DEFER("nop", NULL, queue_nops),
	REQUEST_DEFER("read 4 KiB, null_blk, O_DIRECT", open_block, queue_reads),
	ROUND_DEFER("poll an eventfd, armed; write, read", ALL_BATCHES,
		    open_silent, round_poll_armed),
	ROUND_DEFER("linked pair of nops", MORE_BATCHES, NULL, round_link),
};

const unsigned int nr_ops = sizeof(ops) / sizeof(*ops);
