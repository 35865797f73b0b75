// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own fault injection (/proc/PID/fail-nth) makes every allocation
 * and user copy of an operation fail in turn: the N-th call that can fail
 * fails, for N = 1, 2, ... until the operation ends without a failure. Before
 * that, all of its allocations fail once.
 *
 * This proves I1 (an accepted request completes once, whatever fails), I5 (what
 * was charged is given back), I7 and I8 (a failed SETUP leaves nothing), and
 * that a failure is a documented errno and leaves the ring usable.
 *
 * All sweeps are rows of one table. A register opcode or a set-up flag of the
 * module that the table lacks is a failure, and so is a sweep that reached no
 * point of failure. If no row has the name of an opcode, the opcode is swept
 * with a plain SQE: 4096 bytes at offset 0 of a file. Each sweep prints a line
 * for tools/sweeps.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fixture.h"
#include "inject.h"

#define MAX_NTH		400	/* no operation needs so many */
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define EXT_ARG		IOURING2_ENTER_EXT_ARG
#define LINK		IOURING2_SQE_IO_LINK
#define DRAIN		IOURING2_SQE_IO_DRAIN
#define ASYNC		IOURING2_SQE_ASYNC
#define NO_MMAP		IOURING2_SETUP_NO_MMAP
#define REGION_LEN	(3 * 4096UL)	/* not a power of two */

/* user_data of the request under test, of the one before it, and of others */
enum { OURS = 1, HOLDER, OTHER };

/* The ring, files and memory that operations work on */
struct place {
	struct ring r;
	int file, event, gate, pipe[2], full[2];
	char *buf;
	struct iovec iov[8];
	struct __kernel_timespec ts;	/* a short time */
};

/* Documented errnos of a kind of operation, 0 at the end */
static const int no_memory[] = { ENOMEM, EFAULT, 0 };
/* procfs returns ENOENT if it cannot allocate what it looks up */
static const int no_entry[] = { ENOMEM, EFAULT, EMFILE, ENFILE, ENOENT, 0 };
static const int no_file[] = { ENOMEM, EFAULT, EMFILE, ENFILE, 0 };
static const int no_map[] = { ENOMEM, 0 };
/* of ENTER itself, which does not return ENOMEM */
static const int no_enter[] = { EAGAIN, EFAULT, 0 };
/* of ENTER or, in the CQE, of the request */
static const int no_request[] = { ENOMEM, EFAULT, EAGAIN, ECANCELED, 0 };
/* of an operation that succeeds in the end, because ENTER is repeated */
static const int no_failure[] = { 0 };

struct row {
	const char *name;
	enum { SETUP, OPCODE, REGISTER, CALL } kind;
	unsigned int nr;		/* flags, opcode, register opcode */
	unsigned int entries, cq;	/* of SETUP */
	bool fragmented;		/* without contiguous memory */
	/* for OPCODE; NULL: a plain SQE */
	void (*prep)(struct iouring2_sqe *sqe, struct place *p);
	/* of a success, after nudge() */
	int res;	/* -ECANCELED: the test cancels it */
	/* for the others: 0 or -errno; one of @errs is allowed after a fault */
	int (*call)(struct place *p);
	const int *errs;
	int (*before)(struct place *p);	/* without faults */
	int (*after)(struct place *p);	/* the same, after a success */
	pid_t whose;		/* the task with the faults; 0: the caller */
};

/* --- requests ---------------------------------------------------------- */

#define OP(name) \
static void op_##name(struct iouring2_sqe *sqe, struct place *p)

OP(nop)
{
	prep_nop(sqe);
}

OP(nop128)
{
	prep_nop(sqe);
	sqe->opcode = IOURING2_OP_NOP128;
}

OP(nop_file)
{
	prep_nop(sqe);
	sqe->fd = p->file;
	sqe->nop_flags = IOURING2_NOP_FILE | IOURING2_NOP_TW;
}

OP(readv)
{
	prep(sqe, IOURING2_OP_READV, p->file, p->iov, 8, 0);
}

OP(writev)
{
	prep(sqe, IOURING2_OP_WRITEV, p->file, p->iov, 8, 4096);
}

OP(fsync)
{
	prep(sqe, IOURING2_OP_FSYNC, p->file, NULL, 0, 0);
}

OP(read_pipe)
{
	prep_read(sqe, p->pipe[0], p->buf, 16, 0);
}

OP(readv_pipe)
{
	prep(sqe, IOURING2_OP_READV, p->pipe[0], p->iov, 8, 0);
}

OP(write_pipe)
{
	prep_write(sqe, p->full[1], p->buf, 4096, 0);
}

OP(writev_pipe)
{
	prep(sqe, IOURING2_OP_WRITEV, p->full[1], p->iov, 8, 0);
}

OP(poll)
{
	prep_poll(sqe, p->event, POLLIN);
}

/* Holds other requests up until nudge() */
OP(gate)
{
	prep_poll(sqe, p->gate, POLLIN);
}

OP(poll_multi)
{
	prep_poll_multi(sqe, p->event, POLLIN);
}

OP(poll_remove)
{
	prep_poll_remove(sqe, 12345);
}

OP(timeout)
{
	prep_timeout(sqe, &p->ts, 0, 0);
}

OP(timeout_count)
{
	prep_timeout(sqe, &p->ts, 1000, 0);
}

OP(timeout_multi)
{
	prep_timeout(sqe, &p->ts, 1, IOURING2_TIMEOUT_MULTISHOT);
}

OP(timeout_remove)
{
	prep_timeout_remove(sqe, 12345);
}

OP(timeout_update)
{
	prep_timeout_remove(sqe, 12345);
	sqe->timeout_flags = IOURING2_TIMEOUT_UPDATE;
	sqe->addr2 = (uintptr_t)&p->ts;
}

OP(cancel)
{
	prep_cancel(sqe, 12345, 0);
}

OP(cancel_fd)
{
	prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_FD);
	sqe->fd = p->file;
}

/*
 * The ways in which a request is started. Every opcode is tried in every way.
 */
static const struct way {
	const char *name;
	unsigned char flags;	/* of the SQE */
	/* the request that is queued before it */
	void (*before)(struct iouring2_sqe *sqe, struct place *p);
	unsigned char before_flags;
	bool stranger;		/* a submitter that is new to the ring */
} ways[] = {
	{ "" },
	{ ", in a worker", ASYNC },
	{ ", linked", 0, op_nop, LINK },
	{ ", linked, in a worker", ASYNC, op_nop, LINK },
	{ ", behind a barrier", DRAIN, op_gate },
	{ ", by another submitter", 0, NULL, 0, true },
};

/* --- calls ------------------------------------------------------------- */

static int call_query(struct place *p)
{
	struct iouring2_query q;

	return dev_query(&q);
}

static int do_register_on(int fd, unsigned int opcode, void *arg,
			  unsigned int nr)
{
	struct iouring2_register reg = {
		.opcode = opcode,
		.nr_args = nr,
		.arg = (uintptr_t)arg,
	};
	int ret = ioctl(fd, IOURING2_IOC_REGISTER, &reg);

	return ret < 0 ? -errno : ret;
}

static int do_register(struct place *p, unsigned int opcode, void *arg,
		       unsigned int nr)
{
	return do_register_on(p->r.fd, opcode, arg, nr);
}

static int enable_rings(struct ring *r)
{
	return do_register_on(r->fd, IOURING2_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int call_probe(struct place *p)
{
	char buf[sizeof(struct iouring2_probe) +
		 256 * sizeof(struct iouring2_probe_op)];

	memset(buf, 0, sizeof(buf));
	return do_register(p, IOURING2_REGISTER_PROBE, buf, 256);
}

/* The ring is enabled, so a success is EBADFD */
static int call_enable(struct place *p)
{
	int ret = do_register(p, IOURING2_REGISTER_ENABLE_RINGS, NULL, 0);

	return ret == -EBADFD ? 0 : ret ? ret : -EPROTO;
}

/* There is no such request, so a success is ENOENT */
static int call_sync_cancel(struct place *p)
{
	struct iouring2_sync_cancel_reg sc = {
		.addr = 0x5ca1ab1e, .fd = p->event,
		.flags = IOURING2_ASYNC_CANCEL_FD |
			 IOURING2_ASYNC_CANCEL_USERDATA,
		.timeout = { -1, -1 },
	};
	int ret = do_register(p, IOURING2_REGISTER_SYNC_CANCEL, &sc, 1);

	return ret == -ENOENT ? 0 : ret ? ret : -EPROTO;
}

static int call_clock(struct place *p)
{
	struct iouring2_clock_register clock = { .clockid = CLOCK_MONOTONIC };

	return do_register(p, IOURING2_REGISTER_CLOCK, &clock, 0);
}

/* Asks for the limits and does not change them */
static int call_max_workers(struct place *p)
{
	__u32 max[2] = { };

	return do_register(p, IOURING2_REGISTER_IOWQ_MAX_WORKERS, max, 2);
}

static int call_aff(struct place *p)
{
	unsigned long cpus = 1;

	return do_register(p, IOURING2_REGISTER_IOWQ_AFF, &cpus, sizeof(cpus));
}

static int call_unaff(struct place *p)
{
	return do_register(p, IOURING2_UNREGISTER_IOWQ_AFF, NULL, 0);
}

static int call_eventfd(struct place *p)
{
	return do_register(p, IOURING2_REGISTER_EVENTFD, &p->event, 1);
}

static int call_eventfd_async(struct place *p)
{
	return do_register(p, IOURING2_REGISTER_EVENTFD_ASYNC, &p->event, 1);
}

static int call_unregister_eventfd(struct place *p)
{
	return do_register(p, IOURING2_UNREGISTER_EVENTFD, NULL, 0);
}

/* Each copy of a list of two queries is a point of failure */
static int call_query_list(struct place *p)
{
	struct iouring2_query_opcode op[2];
	struct iouring2_query_hdr hdr[2] = {
		{ .next_entry = (uintptr_t)&hdr[1] },
	};
	int i;

	for (i = 0; i < 2; i++) {
		hdr[i].query_data = (uintptr_t)&op[i];
		hdr[i].size = sizeof(op[i]);
	}
	return do_register(p, IOURING2_REGISTER_QUERY, hdr, 0);
}

static struct iouring2_params resized;

static int call_resize(struct place *p)
{
	memset(&resized, 0, sizeof(resized));
	resized.sq_entries = 512;
	return do_register(p, IOURING2_REGISTER_RESIZE_RINGS, &resized, 1);
}

static int after_resize(struct place *p)
{
	ring_unmap(&p->r);
	p->r.setup.params = resized;
	return ring_map(&p->r);
}

static int region(struct place *p, void *memory)
{
	struct iouring2_region_desc rd = {
		.size = REGION_LEN,
		.user_addr = (uintptr_t)memory,
		.flags = memory ? IOURING2_MEM_REGION_TYPE_USER : 0,
	};
	struct iouring2_mem_region_reg reg = {
		.region_uptr = (uintptr_t)&rd,
	};

	return do_register(p, IOURING2_REGISTER_MEM_REGION, &reg, 1);
}

static int call_region(struct place *p)
{
	return region(p, NULL);
}

static int call_region_user(struct place *p)
{
	return region(p, p->buf);
}

static int map(struct place *p, size_t len, off_t off)
{
	void *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, p->r.fd,
		       off);

	if (m == MAP_FAILED)
		return -errno;
	munmap(m, len);
	return 0;
}

static int call_map_sq(struct place *p)
{
	return map(p, p->r.map_len, IOURING2_OFF_SQ_RING);
}

static int call_map_cq(struct place *p)
{
	return map(p, p->r.map_len, IOURING2_OFF_CQ_RING);
}

static int call_map_sqes(struct place *p)
{
	return map(p, p->r.sqes_len, IOURING2_OFF_SQES);
}

static int before_map_region(struct place *p)
{
	return region(p, NULL);
}

static int call_map_region(struct place *p)
{
	return map(p, REGION_LEN, 0x20000000);
}

/* Unmap one page of three, then the others */
static int call_unmap(struct place *p)
{
	char *m = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		       p->r.fd, IOURING2_OFF_SQES);
	int ret = 0;

	if (m == MAP_FAILED)
		return -errno;
	if (munmap(m + 4096, 4096))
		ret = -errno;
	while (munmap(m, 3 * 4096))
		;
	return ret;
}

/* No completion comes: the wait times out, or fails before it begins */
static int call_wait(struct place *p)
{
	int ret = enter_timeout(p->r.fd, 0, 1, NSEC_PER_MSEC);

	return ret == -ETIME ? 0 : ret;
}

static int call_wait_masked(struct place *p)
{
	struct __kernel_timespec ts = ts_ns(NSEC_PER_MSEC);
	sigset_t none, before, after;
	struct iouring2_getevents_arg arg = {
		.ts = (uintptr_t)&ts,
		.sigmask = (uintptr_t)&none,
		.sigmask_sz = SIGSET_BYTES,
	};
	int ret;

	sigfillset(&none);
	while (sigprocmask(SIG_SETMASK, NULL, &before))
		;
	ret = enter(p->r.fd, 0, 1, GETEVENTS | EXT_ARG, &arg, sizeof(arg));
	while (sigprocmask(SIG_SETMASK, NULL, &after))
		;
	if (sigismember(&before, SIGUSR1) != sigismember(&after, SIGUSR1))
		return -EPROTO;
	return ret == -ETIME ? 0 : ret;
}

static int call_poll(struct place *p)
{
	struct pollfd fd = { .fd = p->r.fd, .events = POLLIN | POLLOUT };
	int ret = poll(&fd, 1, 0);

	return ret == 1 && fd.revents == POLLOUT ? 0 :
	       ret < 0 ? -errno : -EPROTO;
}

static int call_epoll(struct place *p)
{
	int ep = epoll_of(p->r.fd, EPOLLIN);

	return ep < 0 ? ep : close(ep);
}

static int call_fdinfo(struct place *p)
{
	char path[64], text[1024];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", p->r.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Make a new ring with requests in every state */
static int before_close(struct place *p)
{
	ring_unmap(&p->r);
	close(p->r.fd);
	if (ring_init(&p->r, 8, 64))
		return -1;
	op_poll(ring_sqe(&p->r), p);
	op_timeout(ring_sqe(&p->r), p);
	op_read_pipe(ring_sqe(&p->r), p);
	op_write_pipe(ring_sqe(&p->r), p);
	op_fsync(ring_sqe(&p->r), p);
	return ring_submit(&p->r) == 5 ? 0 : -1;
}

/* A part that cannot be unmapped keeps the ring, but not its requests */
static int call_close(struct place *p)
{
	close(p->r.fd);
	p->r.fd = -1;
	if (munmap(p->r.map, p->r.map_len))
		return -errno;
	p->r.map = NULL;
	if (munmap(p->r.sqes, p->r.sqes_len))
		return -errno;
	p->r.sqes = NULL;
	return 0;
}

/* Complete all requests that would otherwise wait for ever */
static int nudge(struct place *p)
{
	const uint64_t one = 1;
	char text[4096] = "";

	if (write(p->gate, &one, sizeof(one)) != sizeof(one) ||
	    write(p->event, &one, sizeof(one)) != sizeof(one) ||
	    write(p->pipe[1], text, 16) != 16 ||
	    read(p->full[0], text, 4096) != 4096)
		return -1;
	return 0;
}

static void queue_async_read(struct place *p)
{
	struct iouring2_sqe *sqe = ring_sqe(&p->r);

	prep_read(sqe, p->file, p->buf, 64, 0);
	sqe->flags = ASYNC;
}

/* Read in a worker that does not exist yet */
static int call_worker(struct place *p)
{
	struct iouring2_cqe cqe;
	int ret;

	queue_async_read(p);
	ret = ring_submit(&p->r);
	if (ret != 1)
		return ret < 0 ? ret : -EPROTO;
	ret = ring_wait(&p->r, &cqe);
	return ret ? ret : cqe.res == 64 ? 0 : cqe.res;
}

/* Submit so many requests that the ring tries to enlarge its hash table */
static int before_crowd(struct place *p)
{
	int i;

	for (i = 0; i < 70; i++)
		op_poll(ring_sqe(&p->r), p);
	return ring_submit(&p->r) == 70 ? 0 : -1;
}

/* The NOP succeeds with or without a larger table */
static int call_crowd(struct place *p)
{
	prep_nop(ring_sqe(&p->r));
	return ring_do(&p->r);
}

/* There is one worker. The requests are done with or without a second one. */
static int before_worker(struct place *p)
{
	return call_worker(p);
}

static int call_second_worker(struct place *p)
{
	struct iouring2_cqe cqe;
	int ret, i;

	for (i = 0; i < 3; i++)
		queue_async_read(p);
	while (ring_publish(&p->r)) {
		ret = ring_submit(&p->r);
		if (ret < 0 && ret != -EAGAIN && ret != -EFAULT)
			return ret;
	}
	for (i = 0; i < 3; i++) {
		ret = ring_wait(&p->r, &cqe);
		if (ret == -EFAULT || ret == -EAGAIN) {
			i--;
			continue;
		}
		if (ret || cqe.res != 64)
			return ret ? ret : -EPROTO;
	}
	return 0;
}

/*
 * On a busy machine the first worker may have done each read before the next
 * one is queued, so try again until there is a second worker. This cannot be
 * used when the faults are in this task, because reading fdinfo allocates.
 */
static int call_second_worker_surely(struct place *p)
{
	int ret = 0, tries;

	for (tries = 0; tries < 50 && !ret; tries++) {
		ret = call_second_worker(p);
		if (fdinfo(p->r.fd, "Workers") > 1)
			break;
	}
	return ret;
}

/* Of an opcode without a row of its own */
static void plain_sqe(struct iouring2_sqe *sqe, unsigned int op,
		      struct place *p)
{
	prep(sqe, op, p->file, p->buf, 4096, 0);
}

/* --- the table --------------------------------------------------------- */

#define CQSIZE		IOURING2_SETUP_CQSIZE
#define NO_ARRAY	IOURING2_SETUP_NO_SQARRAY
#define KTHREADD	2
#define NR_ROWS		128	/* more than there are */

#define SETUP_ROW(text, flags, sq, cq) \
	{ "SETUP, " text, SETUP, flags, sq, cq, .errs = no_file }
#define FRAGMENTED_ROW(text, flags, sq, cq) \
	{ "SETUP, " text, SETUP, flags, sq, cq, true, .errs = no_file }
#define OP_ROW(text, op, fn, result) \
	{ text, OPCODE, IOURING2_OP_##op, .prep = op_##fn, .res = result, \
	  .errs = no_request }
#define REGISTER_ROW(op, fn, ...) \
	{ "REGISTER " #op, REGISTER, IOURING2_REGISTER_##op, \
	  .call = call_##fn, .errs = no_memory, ##__VA_ARGS__ }
#define CALL_ROW(text, fn, errnos, ...) \
	{ text, CALL, .call = call_##fn, .errs = errnos, __VA_ARGS__ }

/* The ring has 256 entries, see once() */
static struct row rows[NR_ROWS + 1] = {
	SETUP_ROW("1 entry", 0, 1, 0),
	SETUP_ROW("1 entry, CQ of 1", CQSIZE, 1, 1),
	SETUP_ROW("1 entry, no SQ array", NO_ARRAY, 1, 0),
	SETUP_ROW("3341 entries", 0, 3341, 0),
	SETUP_ROW("3341 entries, no SQ array", NO_ARRAY, 3341, 0),
	SETUP_ROW("8 entries, CQ of 4096", CQSIZE, 8, 4096),
	SETUP_ROW("8 entries, CQ of 4096, no SQ array", CQSIZE | NO_ARRAY, 8,
		  4096),
	SETUP_ROW("64 entries, other flags", IOURING2_SETUP_CLAMP |
		  IOURING2_SETUP_SUBMIT_ALL | IOURING2_SETUP_COOP_TASKRUN, 64,
		  0),
	SETUP_ROW("64 entries, twice as large", IOURING2_SETUP_SQE128 |
		  IOURING2_SETUP_CQE32, 64, 0),
	SETUP_ROW("64 entries of both sizes", IOURING2_SETUP_SQE_MIXED |
		  IOURING2_SETUP_CQE_MIXED, 64, 0),
	SETUP_ROW("64 entries, disabled", IOURING2_SETUP_R_DISABLED, 64, 0),
	SETUP_ROW("64 entries, rewound", IOURING2_SETUP_SQ_REWIND | NO_ARRAY,
		  64, 0),
	SETUP_ROW("1 entry, memory of the application", NO_MMAP, 1, 0),
	SETUP_ROW("3341 entries, memory of the application", NO_MMAP, 3341, 0),
	SETUP_ROW("8 entries, deferring to an issuer",
		  IOURING2_SETUP_SINGLE_ISSUER | IOURING2_SETUP_DEFER_TASKRUN |
		  IOURING2_SETUP_TASKRUN_FLAG, 8, 0),
	FRAGMENTED_ROW("3341 entries, page by page", 0, 3341, 0),
	FRAGMENTED_ROW("8 entries, CQ of 4096, page by page", CQSIZE, 8, 4096),

	OP_ROW("NOP", NOP, nop, 0),
	OP_ROW("NOP with a file, as deferred work", NOP, nop_file, 0),
	OP_ROW("NOP128 in a ring of 64 bytes", NOP128, nop128, -EINVAL),
	OP_ROW("READ of an empty pipe", READ, read_pipe, 16),
	OP_ROW("READV", READV, readv, 8 * 512),
	OP_ROW("READV of an empty pipe", READV, readv_pipe, 16),
	OP_ROW("WRITE to a full pipe", WRITE, write_pipe, 4096),
	OP_ROW("WRITEV", WRITEV, writev, 8 * 512),
	OP_ROW("WRITEV to a full pipe", WRITEV, writev_pipe, 4096),
	OP_ROW("FSYNC", FSYNC, fsync, 0),
	OP_ROW("POLL_ADD", POLL_ADD, poll, POLLIN),
	OP_ROW("POLL_ADD, multishot", POLL_ADD, poll_multi, -ECANCELED),
	OP_ROW("POLL_REMOVE", POLL_REMOVE, poll_remove, -ENOENT),
	OP_ROW("TIMEOUT", TIMEOUT, timeout, -ETIME),
	OP_ROW("TIMEOUT with a count", TIMEOUT, timeout_count, -ETIME),
	OP_ROW("TIMEOUT, multishot", TIMEOUT, timeout_multi, -ETIME),
	OP_ROW("TIMEOUT_REMOVE", TIMEOUT_REMOVE, timeout_remove, -ENOENT),
	OP_ROW("TIMEOUT_REMOVE, update", TIMEOUT_REMOVE, timeout_update,
	       -ENOENT),
	OP_ROW("ASYNC_CANCEL", ASYNC_CANCEL, cancel, -ENOENT),
	OP_ROW("ASYNC_CANCEL by descriptor", ASYNC_CANCEL, cancel_fd, -ENOENT),

	REGISTER_ROW(PROBE, probe),
	REGISTER_ROW(ENABLE_RINGS, enable),
	REGISTER_ROW(SYNC_CANCEL, sync_cancel),
	REGISTER_ROW(CLOCK, clock),
	REGISTER_ROW(IOWQ_MAX_WORKERS, max_workers),
	REGISTER_ROW(IOWQ_AFF, aff),
	{ "UNREGISTER IOWQ_AFF", REGISTER, IOURING2_UNREGISTER_IOWQ_AFF,
	  .call = call_unaff, .errs = no_memory },
	REGISTER_ROW(EVENTFD, eventfd),
	REGISTER_ROW(EVENTFD_ASYNC, eventfd_async),
	{ "UNREGISTER EVENTFD", REGISTER, IOURING2_UNREGISTER_EVENTFD,
	  .call = call_unregister_eventfd, .errs = no_memory,
	  .before = call_eventfd },
	REGISTER_ROW(QUERY, query_list),
	REGISTER_ROW(RESIZE_RINGS, resize, .after = after_resize),
	REGISTER_ROW(MEM_REGION, region),
	{ "REGISTER MEM_REGION, memory of the application", REGISTER,
	  IOURING2_REGISTER_MEM_REGION, .call = call_region_user,
	  .errs = no_memory },

	CALL_ROW("QUERY", query, no_file),
	CALL_ROW("mmap of the SQ ring", map_sq, no_map),
	CALL_ROW("mmap of the CQ ring", map_cq, no_map),
	CALL_ROW("mmap of the SQEs", map_sqes, no_map),
	CALL_ROW("mmap of a region", map_region, no_map,
		 .before = before_map_region),
	CALL_ROW("munmap of a part", unmap, no_map),
	CALL_ROW("ENTER, wait", wait, no_enter),
	CALL_ROW("ENTER, wait with a signal mask", wait_masked, no_enter),
	CALL_ROW("poll", poll, no_memory),
	CALL_ROW("epoll_ctl", epoll, no_file),
	CALL_ROW("fdinfo", fdinfo, no_entry),
	CALL_ROW("close and munmap", close, no_map, .before = before_close),
	CALL_ROW("NOP among a crowd", crowd, no_enter, .before = before_crowd),
	CALL_ROW("start of a worker", worker, no_request),
	CALL_ROW("start of a worker: clone", worker, no_request,
		 .whose = KTHREADD),
	CALL_ROW("start of a second worker", second_worker, no_failure,
		 .before = before_worker),
	CALL_ROW("start of a second worker: clone", second_worker_surely,
		 no_failure, .before = before_worker, .whose = KTHREADD),
};

/* --- one point --------------------------------------------------------- */

#define ALL	0	/* instead of a point: all allocations fail */

/* The state of one sweep, shared with the process that runs it */
struct sweep {
	const struct row *row;
	const struct way *way;
	int nth_fd, all_fd;
	unsigned int failures;
	unsigned int empty;	/* ways that reached no point of failure */
};

static void sweep_arm(struct sweep *s, unsigned int nth)
{
	if (nth != ALL)
		nth_arm(s->nth_fd, nth);
	else if (pwrite(s->all_fd, "1", 1, 0) != 1)
		s->failures++;
}

/* Return: whether anything failed */
static bool sweep_disarm(struct sweep *s, unsigned int nth)
{
	if (nth != ALL)
		return nth_disarm(s->nth_fd);
	while (pwrite(s->all_fd, "0", 1, 0) != 1)
		;
	return true;
}

static int place_make(struct place *p)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->r.fd = -1;
	p->file = tmp_file(16384);
	p->event = eventfd(0, EFD_CLOEXEC);
	p->gate = eventfd(0, EFD_CLOEXEC);
	p->buf = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	p->ts = ts_ns(5 * NSEC_PER_MSEC);
	for (i = 0; i < 8; i++)
		p->iov[i] = (struct iovec){ p->buf + i * 4096, 512 };
	if (pipe2(p->pipe, O_CLOEXEC) || pipe2(p->full, O_CLOEXEC) ||
	    p->file < 0 || p->event < 0 || p->gate < 0 ||
	    p->buf == MAP_FAILED)
		return -1;
	return fcntl(p->full[1], F_SETPIPE_SZ, 4096) == 4096 ? 0 : -1;
}

static bool ready(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1 && p.revents & events;
}

/* Leave nothing to read, and no room to write */
static int place_reset(struct place *p)
{
	static char bytes[4096];
	int fds[] = { p->event, p->gate, p->pipe[0] };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		while (ready(fds[i], POLLIN))
			if (read(fds[i], bytes, sizeof(bytes)) < 0)
				return -1;
	while (ready(p->full[1], POLLOUT))
		if (write(p->full[1], bytes, sizeof(bytes)) < 0)
			return -1;
	return 0;
}

static void place_free(struct place *p)
{
	close(p->file);
	close(p->event);
	close(p->gate);
	close(p->pipe[0]);
	close(p->pipe[1]);
	close(p->full[0]);
	close(p->full[1]);
	munmap(p->buf, 8 * 4096);
}

static bool documented(const int *errs, int ret)
{
	for (; *errs; errs++)
		if (ret == -*errs)
			return true;
	return false;
}

/* Submit the entries that a failed ENTER has left in the SQ */
static int enter_all(struct ring *r)
{
	int ret;

	while (ring_unsubmitted(r)) {
		ret = enter(r->fd, ring_unsubmitted(r), 0, 0, NULL, 0);
		if (ret <= 0)
			return ret ? ret : -EPROTO;
	}
	return 0;
}

static const char *ring_broken(struct ring *r)
{
	if (r->fd < 0)
		return NULL;
	if (r->setup.params.flags & IOURING2_SETUP_R_DISABLED &&
	    enable_rings(r))
		return "the ring cannot be enabled";
	if (enter_all(r))
		return "the remaining entries are not accepted";
	prep_nop(ring_sqe(r));
	return ring_do(r) ? "the ring does not work any more" : NULL;
}

/* Change a limit: the ring tells its submitters apart by their limits */
static void become_stranger(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = l.rlim_cur == RLIM_INFINITY ? 1 << 30 : l.rlim_cur + 1;
	setrlimit(RLIMIT_FSIZE, &l);
}

/* Return: NULL, or what is wrong with a completion */
static const char *judge(const struct row *row, int res, bool hit)
{
	static char text[64];

	if (res == row->res)
		return NULL;
	/* A request that did not fail may have done less */
	if (hit && (documented(row->errs, res) ||
		    (res >= 0 && res < row->res)))
		return NULL;
	snprintf(text, sizeof(text), "result %d", res);
	return text;
}

static int cancel_everything(struct ring *r)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, 0, IOURING2_ASYNC_CANCEL_ANY);
	sqe->user_data = OTHER;
	return ring_submit(r) == 1 ? 0 : -EPROTO;
}

/* An accepted request completes exactly once, with a result that is allowed */
static const char *await(const struct row *row, struct ring *r, bool hit,
			 int holders)
{
	struct iouring2_cqe cqe;
	const char *bad = NULL;
	int ours = 1;

	while (ours > 0 || holders > 0) {
		if (row->res == -ECANCELED && cancel_everything(r))
			return "cancel was not accepted";
		if (enter_timeout(r->fd, 0, 1, 30 * NSEC_PER_SEC))
			return "a completion was lost";
		while (ring_peek(r, &cqe)) {
			if (cqe.flags & IOURING2_CQE_F_MORE)
				continue;
			if (cqe.user_data == HOLDER)
				holders--;
			if (cqe.user_data != OURS)
				continue;
			ours--;
			bad = judge(row, cqe.res, hit);
		}
	}
	return ours || holders ? "completed more than once" : bad;
}

static const char *once_opcode(struct sweep *s, struct place *p,
			       unsigned int nth, bool *hit)
{
	const struct way *way = s->way;
	struct ring *r = &p->r;
	struct iouring2_sqe *sqe;
	int ret, nr = 1;

	if (way->before) {
		sqe = ring_sqe(r);
		way->before(sqe, p);
		sqe->flags = way->before_flags;
		sqe->user_data = HOLDER;
		nr++;
	}
	sqe = ring_sqe(r);
	if (s->row->prep)
		s->row->prep(sqe, p);
	else
		plain_sqe(sqe, s->row->nr, p);
	sqe->flags |= way->flags;
	sqe->user_data = OURS;
	ring_publish(r);
	if (way->stranger)
		become_stranger();
	sweep_arm(s, nth);
	ret = enter(r->fd, nr, 0, 0, NULL, 0);
	*hit = sweep_disarm(s, nth);
	if (ret < 0 && !documented(no_enter, ret))
		return "undocumented errno of ENTER";
	if (ret < 0 && ring_unsubmitted(r) != nr)
		return "refused, but an SQE was consumed";
	if (enter_all(r))
		return "entries not accepted by a second ENTER";
	if (nudge(p))
		return "nudge() failed";
	return await(s->row, r, *hit, nr - 1);
}

/* Without faults; with NO_MMAP the memory is provided here */
static int setup_prepare(const struct row *row, struct ring *r)
{
	memset(&r->setup, 0, sizeof(r->setup));
	r->setup.entries = row->entries;
	r->setup.params.flags = row->nr;
	r->setup.params.cq_entries = row->cq;
	return row->nr & NO_MMAP ? ring_memory(r) : 0;
}

static int setup_finish(const struct row *row, struct ring *r, int fd)
{
	r->fd = fd;
	if (!(row->nr & NO_MMAP))
		return ring_map(r);
	ring_point(r);
	return 0;
}

static const char *once_call(struct sweep *s, struct place *p,
			     unsigned int nth, bool *hit)
{
	const struct row *row = s->row;
	static char text[64];
	int ret;

	if (row->before && row->before(p))
		return "preparation failed";
	if (row->kind == SETUP && setup_prepare(row, &p->r))
		return "no memory for the rings";
	/* Only debug builds have this parameter */
	module_param_set("setup_fragmented", row->fragmented);
	sweep_arm(s, nth);
	ret = row->kind == SETUP ? dev_setup(&p->r.setup) : row->call(p);
	*hit = sweep_disarm(s, nth);
	if (row->kind == SETUP && ret >= 0)
		ret = setup_finish(row, &p->r, ret);
	if (!ret && row->after)
		ret = row->after(p);
	if (!ret || (*hit && documented(row->errs, ret)))
		return NULL;
	snprintf(text, sizeof(text), "errno %d", -ret);
	return text;
}

/* Return: the sum of two values in a file; -1: there is no such file */
static long sum_of(const char *path, const char * const keys[2])
{
	static char text[8192];
	long sum = 0;
	char *at;
	int i;

	if (read_text(path, text, sizeof(text)) < 0)
		return -1;
	for (i = 0; i < 2; i++) {
		at = strstr(text, keys[i]);
		if (at)
			sum += strtol(at + strlen(keys[i]), NULL, 10);
	}
	return sum;
}

/* Memory that a process has locked or pinned, in kB */
static long locked_memory(void)
{
	static const char * const keys[] = { "VmLck:", "VmPin:" };

	return sum_of("/proc/self/status", keys);
}

static const char *once(struct sweep *s, struct place *p, unsigned int nth,
			bool *hit)
{
	const char *bad;

	if (place_reset(p))
		return "preparation failed";
	/*
	 * The ring has at least three pages of SQEs and an empty request cache
	 */
	if (s->row->kind != SETUP && ring_init(&p->r, 256, 256))
		return "preparation of a ring failed";
	bad = s->row->kind == OPCODE ? once_opcode(s, p, nth, hit) :
				       once_call(s, p, nth, hit);
	if (!bad)
		bad = ring_broken(&p->r);
	ring_exit(&p->r);
	return bad;
}

/* --- one sweep --------------------------------------------------------- */

/* Return: NULL, or what any of the points has left behind */
static const char *left_behind(const struct state *before, long locked)
{
	const char *left = state_diff(before, true);

	if (*left)
		return left;
	return locked_memory() == locked ? NULL : "locked memory";
}

static void sweep_way(struct sweep *s, const struct way *way)
{
	unsigned int nth, points = 0, failures = 0;
	long locked = locked_memory();
	struct state before;
	const char *bad;
	struct place p;
	bool hit = true;

	s->way = way;
	failures += !!place_make(&p);
	/* Once for all points: for each point it would take most of the time */
	state_read(&before);
	for (nth = ALL; hit || nth == 1; nth++) {
		hit = false;
		bad = nth < MAX_NTH ? once(s, &p, nth, &hit) : "it never ends";
		points += hit && nth != ALL;
		if (bad) {
			printf("# %s%s, point %u: %s\n", s->row->name,
			       way->name, nth, bad);
			failures++;
		}
	}
	bad = left_behind(&before, locked);
	if (bad) {
		printf("# %s%s, in %u points: %s\n", s->row->name, way->name,
		       nth, bad);
		failures++;
	}
	printf("# sweep\t%s%s\t%u\t%u\n", s->row->name, way->name, points,
	       failures);
	place_free(&p);
	s->failures += failures;
	s->empty += !points;
}

static void sweep_here(struct sweep *s)
{
	unsigned int i, nr = s->row->kind == OPCODE ? ARRAY_SIZE(ways) : 1;

	s->nth_fd = task_knob_open(s->row->whose, "fail-nth");
	s->all_fd = task_knob_open(s->row->whose, "make-it-fail");
	for (i = 0; i < nr; i++)
		if (s->row->res != -ECANCELED || !(ways[i].flags & DRAIN))
			sweep_way(s, &ways[i]);
}

/* A file in the cgroup of a row, or that cgroup. The next call overwrites it. */
static const char *cgroup_path(const struct row *row, const char *file)
{
	static char path[100];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/iouring2-sweep-%d%s",
		 (int)(row - rows), file);
	return path;
}

/* Return: whether there is a cgroup that memory is charged to */
static bool cgroup_make(const struct row *row)
{
	knob("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	return !mkdir(cgroup_path(row, ""), 0700) &&
	       !access(cgroup_path(row, "/memory.high"), W_OK);
}

/*
 * Bytes of objects that cannot be reclaimed. Pages are left out, because their
 * number includes the stocks of the CPUs. The module has a counter of its own
 * pages.
 */
static long cgroup_bytes(const struct row *row)
{
	static const char * const keys[] = { "slab_unreclaimable ", "vmalloc " };

	return sum_of(cgroup_path(row, "/memory.stat"), keys);
}

/*
 * Return: the bytes that are still charged to the cgroup of a row, or 0. RCU
 * frees some objects of a process later; on a busy machine, seconds later.
 */
static long cgroup_charged(const struct row *row)
{
	int tries = 1000;
	long left;

	if (access(cgroup_path(row, "/memory.high"), W_OK))
		return 0;
	do {
		/* This makes the CPUs report what they have cached */
		knob(cgroup_path(row, "/memory.high"), "0");
		left = cgroup_bytes(row);
		if (left)
			usleep(20000);
	} while (left && --tries);
	return left;
}

/* Run a sweep in a process and a cgroup of its own. The cgroup stays. */
static void sweep_run(struct sweep *s, const struct row *row)
{
	long long began = now_ns(CLOCK_MONOTONIC);
	bool cgroup = cgroup_make(row);
	int status;
	pid_t pid;

	memset(s, 0, sizeof(*s));
	s->row = row;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (cgroup)
			knob(cgroup_path(row, "/cgroup.procs"), "0");
		sweep_here(s);
		fflush(NULL);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		s->failures++;
	printf("# %s: %lld ms\n", row->name,
	       (now_ns(CLOCK_MONOTONIC) - began) / NSEC_PER_MSEC);
}

/* --- the other opcodes ------------------------------------------------- */

/* Return: the row with this name, or the empty one behind the last row */
static struct row *find_row(const char *name)
{
	struct row *row;

	for (row = rows; row->name; row++)
		if (name && !strcmp(row->name, name))
			break;
	return row;
}

/* The result of a plain SQE, without faults; -ETIME if there is none in time */
static int plain_result(unsigned int op)
{
	struct iouring2_cqe cqe = { .res = -EPROTO };
	struct place p;

	if (place_make(&p) || place_reset(&p) ||
	    ring_init(&p.r, 256, 256))
		return -EPROTO;
	plain_sqe(ring_sqe(&p.r), op, &p);
	if (ring_submit(&p.r) == 1 && !nudge(&p) &&
	    enter_timeout(p.r.fd, 0, 1, 10 * NSEC_PER_SEC))
		cqe.res = -ETIME;
	ring_peek(&p.r, &cqe);
	ring_exit(&p.r);
	place_free(&p);
	return cqe.res;
}

/* Add a row for each opcode that has none. Return: the number of bad ones */
static int add_plain_rows(void)
{
	struct iouring2_query q;
	unsigned int op;
	struct row *row;
	int bad = 0;

	if (dev_query(&q))
		return -1;
	for (op = 0; op < q.nr_ops; op++) {
		if (!(q.ops[op / 64] >> op % 64 & 1) ||
		    find_row(op_name(op))->name)
			continue;
		row = find_row(NULL);
		if (row == &rows[NR_ROWS])
			return -1;
		*row = (struct row){ op_name(op), OPCODE, op,
				     .res = plain_result(op),
				     .errs = no_request };
		if (row->res == -ETIME || row->res == -EPROTO) {
			printf("# %s: a plain SQE does not complete, add a row\n",
			       row->name);
			bad++;
		}
	}
	return bad;
}

/* --- tests ------------------------------------------------------------- */

#define NEED_INJECTION()						\
do {									\
	if (!inject_ready() || access("/proc/self/fail-nth", W_OK))	\
		SKIP(return, "no fail-nth in this kernel");		\
} while (0)

/* IOURING2_SWEEP=TEXT selects the rows whose names begin with TEXT */
static bool wanted(const struct row *row)
{
	const char *only = getenv("IOURING2_SWEEP");

	return !only || !strncmp(row->name, only, strlen(only));
}

/*
 * Run all rows of one kind. Whether something is still charged is asked once all
 * have run: to wait for each would take as long as the sweeps themselves.
 */
#define SWEEP(which)							\
do {									\
	const struct row *row;						\
	struct sweep *s;						\
									\
	NEED_INJECTION();						\
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,		\
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);			\
	ASSERT_NE(MAP_FAILED, (void *)s);				\
	inject_all(true);						\
	for (row = rows; row->name; row++) {				\
		if (row->kind != (which) || !wanted(row))		\
			continue;					\
		sweep_run(s, row);					\
		EXPECT_EQ(0, (int)s->failures);				\
		EXPECT_EQ(0, (int)s->empty);				\
	}								\
	inject_all(false);						\
	for (row = rows; row->name; row++) {				\
		if (row->kind != (which) || !wanted(row))		\
			continue;					\
		EXPECT_EQ(0, cgroup_charged(row)) {			\
			TH_LOG("%s", row->name);			\
		}							\
		rmdir(cgroup_path(row, ""));				\
	}								\
} while (0)

RING_TEST(setup_sweep)
{
	SWEEP(SETUP);
}

/* This sweep takes the longest by far */
TEST_F_TIMEOUT(ring, accept_sweep, 2 * LIMIT)
{
	NEED_INJECTION();
	ASSERT_EQ(0, add_plain_rows());
	SWEEP(OPCODE);
}

RING_TEST(register_sweep)
{
	SWEEP(REGISTER);
}

RING_TEST(call_sweep)
{
	SWEEP(CALL);
}

/*
 * All that QUERY reports has a row, maybe one that add_plain_rows() adds. This
 * test needs no fault injection, so it runs on every kernel.
 */
RING_TEST(table_is_complete)
{
	unsigned long long ops[4] = { }, regs[1] = { };
	struct iouring2_query q;
	unsigned int i, nr, flags = 0;
	const struct row *row;

	ASSERT_EQ(0, add_plain_rows());
	for (row = rows; row->name; row++) {
		nr = row->nr;
		if (row->kind == SETUP)
			flags |= nr;
		if (row->kind == OPCODE)
			ops[nr / 64] |= 1ULL << nr % 64;
		if (row->kind == REGISTER)
			regs[nr / 64] |= 1ULL << nr % 64;
	}
	ASSERT_EQ(0, dev_query(&q));
	for (i = 0; i < q.nr_ops; i++) {
		EXPECT_EQ(q.ops[i / 64] >> i % 64 & 1,
			  ops[i / 64] >> i % 64 & 1) {
			TH_LOG("opcode %u", i);
		}
	}
	for (i = 0; i < IOURING2_REGISTER_LAST; i++) {
		EXPECT_EQ(q.register_ops[i / 64] >> i % 64 & 1,
			  regs[i / 64] >> i % 64 & 1) {
			TH_LOG("register opcode %u", i);
		}
	}
	EXPECT_EQ(q.setup_flags, flags);
}

RING_TEST_MAIN
