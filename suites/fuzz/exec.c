// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run one program; see exec.h. The executor checks no results, because the fuzzer
 * looks only for kernel reports, leaks and hangs.
 *
 * "fuzz -c" copies this file to the beginning of each program in C.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/iouring2.h>
#include "exec.h"

#define PAGE		4096UL
#define NR_MAPS		8
#define SIGSET_BYTES	8

/* Microseconds between the signals that interrupt blocking calls */
#define TICK_USEC	60000

struct xring {
	int fd;
	struct iouring2_params p;
	char *map;
	size_t map_len;
	struct iouring2_sqe *sqes;
	size_t sqes_len;
};

static struct xring rings[NR_RINGS];
static int slots[NR_SLOTS];
static int device = -1;
static char *area[AREA_LAST];
static struct iovec iovs[NR_IOVS][8];
static struct __kernel_timespec *times;

/* Mappings: two of each of the rings 0 to 3, and then those of the call map */
static struct { char *at; size_t len; } maps[NR_MAPS];
static unsigned int next_map;

static const struct program *program;
static unsigned int progress[MAX_THREADS];
static void (*starts)(unsigned int thread);
static unsigned int depth;
static __thread sigjmp_buf *guard;
static __thread int nth_fd = -1;

const char * const param_names[NR_PARAMS] = {
	"workers_bounded", "workers_unbounded", "inflight_default",
	"inflight_max", "setup_fail_nth",
};

/* ------------------------------------------------------------- arguments */

static int fd_of(uint64_t ref)
{
	if (ref < NR_SLOTS)
		return slots[ref];
	if (ref < REF_RING + NR_RINGS)
		return rings[ref - REF_RING].fd;
	if (ref == REF_DEVICE)
		return device;
	return ref == REF_NONE ? -1 : 900 + (int)(ref % 64);
}

static struct xring *ring_of(uint64_t n)
{
	return &rings[n % NR_RINGS];
}

static void *addr_of(uint64_t a)
{
	uint32_t off = a;

	switch (a >> 32) {
	case AREA_BUFFER:
	case AREA_NONE:
	case AREA_READ_ONLY:
	case AREA_PAST_EOF:
		return area[a >> 32] + off % AREA_BYTES;
	case AREA_IOV:
		return iovs[off % NR_IOVS];
	case AREA_TIME:
		return &times[off % NR_TIMES];
	case AREA_EDGE:
		return area[AREA_NONE] - off % AREA_BYTES;
	case AREA_RING:
		return rings[0].map + off % AREA_BYTES;
	case AREA_SQES:
		return (char *)rings[0].sqes + off % AREA_BYTES;
	case AREA_KERNEL:
		return (void *)(0xffff888000000000UL + off);
	default:
		return (void *)(uintptr_t)off;
	}
}

void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			errno = 0;
		close(fd);
	}
}

/* ------------------------------------------------------------------ rings */

/*
 * An ioctl with a wrong argument; @odd chooses how it is wrong. The argument is
 * copied, because some variants need a larger buffer.
 */
static long odd_ioctl(int fd, unsigned long cmd, void *arg, uint64_t odd)
{
	size_t size = _IOC_SIZE(cmd);
	uint64_t words[128] = { 0 };
	char *copy = (char *)words;
	unsigned long base = cmd & ~((unsigned long)_IOC_SIZEMASK << _IOC_SIZESHIFT);
	long ret;

	memcpy(copy, arg, size);
	switch (odd) {
	case 1:		/* a larger size, with zeros */
		return ioctl(fd, base | (size + 64) << _IOC_SIZESHIFT, copy);
	case 2:		/* a larger size, not only with zeros */
		copy[size + 8] = 1;
		return ioctl(fd, base | (size + 64) << _IOC_SIZESHIFT, copy);
	case 3:		/* a smaller size */
		return ioctl(fd, base | (size - 8) << _IOC_SIZESHIFT, copy);
	case 4:
		return ioctl(fd, cmd, area[AREA_NONE]);
	case 5:
		return ioctl(fd, cmd, area[AREA_KERNEL]);
	case 6:		/* the second half is not readable */
		memcpy(area[AREA_NONE] - size / 2, arg, size / 2);
		return ioctl(fd, cmd, area[AREA_NONE] - size / 2);
	case 7:		/* readable, but not writable */
		return ioctl(fd, cmd, area[AREA_READ_ONLY]);
	case 8:		/* the largest size */
		return ioctl(fd, cmd | (unsigned long)_IOC_SIZEMASK << _IOC_SIZESHIFT,
			     area[AREA_BUFFER]);
	case 9:		/* other direction bits */
		return ioctl(fd, cmd ^ (1UL << _IOC_DIRSHIFT), copy);
	case 10:	/* another number */
		return ioctl(fd, cmd ^ 0x10, copy);
	default:
		ret = ioctl(fd, cmd, copy);
		memcpy(arg, copy, size);
		/* flip a bit */
		if (odd >= 16) {
			copy[odd % size] ^= 1 << odd % 7;
			return ioctl(fd, cmd, copy);
		}
		return ret;
	}
}

static void do_query(const uint64_t *a)
{
	struct iouring2_query q = { 0 };

	odd_ioctl(device, IOURING2_IOC_QUERY, &q, a[0]);
}

static unsigned int sqe_shift(const struct xring *r)
{
	return !!(r->p.flags & IOURING2_SETUP_SQE128);
}

static void map_ring(struct xring *r)
{
	const struct iouring2_params *p = &r->p;
	size_t n = r - rings;
	char *map;

	if (p->flags & IOURING2_SETUP_NO_MMAP) {
		r->map = (char *)(uintptr_t)p->cq_off.user_addr;
		r->map_len = AREA_BYTES;
		r->sqes = (void *)(uintptr_t)p->sq_off.user_addr;
		r->sqes_len = AREA_BYTES;
		maps[2 * n % NR_MAPS].at = r->map;
		maps[2 * n % NR_MAPS].len = 2 * AREA_BYTES;
		return;
	}
	r->map_len = p->cq_off.cqes + (p->cq_entries * sizeof(struct iouring2_cqe) <<
				       !!(p->flags & IOURING2_SETUP_CQE32));
	if (r->map_len < p->sq_off.array + p->sq_entries * 4UL)
		r->map_len = p->sq_off.array + p->sq_entries * 4UL;
	map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		   IOURING2_OFF_SQ_RING);
	if (map != MAP_FAILED) {
		r->map = map;
		maps[2 * n % NR_MAPS].at = map;
		maps[2 * n % NR_MAPS].len = r->map_len;
	}
	r->sqes_len = p->sq_entries * sizeof(struct iouring2_sqe) << sqe_shift(r);
	map = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		   IOURING2_OFF_SQES);
	if (map != MAP_FAILED) {
		r->sqes = (void *)map;
		maps[(2 * n + 1) % NR_MAPS].at = map;
		maps[(2 * n + 1) % NR_MAPS].len = r->sqes_len;
	}
}

/* Memory for the rings, and behind it for the SQEs. It may be too small. */
static void own_memory(struct iouring2_params *p)
{
	char *at = mmap(NULL, 2 * AREA_BYTES, PROT_READ | PROT_WRITE,
			MAP_ANONYMOUS | (p->cq_entries & 1 ? MAP_SHARED : MAP_PRIVATE),
			-1, 0);

	if (at == MAP_FAILED)
		return;
	p->cq_off.user_addr = (uintptr_t)at;
	p->sq_off.user_addr = (uintptr_t)at + AREA_BYTES;
}

static void do_setup(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);
	struct iouring2_setup s = { 0 };
	int fd;

	s.entries = a[1];
	s.params.flags = a[2];
	s.params.cq_entries = a[3];
	s.max_inflight = a[4];
	s.flags = a[4] >> 32;
	if (s.params.flags & IOURING2_SETUP_NO_MMAP)
		own_memory(&s.params);
	fd = odd_ioctl(device, IOURING2_IOC_SETUP, &s, a[5]);
	if (fd < 0)
		return;
	/* the old ring stays mapped, and open if a slot has it, too */
	if (r->fd >= 0)
		close(r->fd);
	r->fd = fd;
	r->p = s.params;
	r->map = NULL;
	r->sqes = NULL;
	if (a[6] && s.params.sq_entries)
		map_ring(r);
}

static uint32_t *word_at(struct xring *r, uint64_t word)
{
	const struct iouring2_params *p = &r->p;
	const uint32_t at[] = {
		p->sq_off.tail, p->sq_off.head, p->cq_off.head, p->cq_off.tail,
		p->sq_off.ring_mask, p->sq_off.ring_entries,
		p->cq_off.ring_mask, p->cq_off.ring_entries,
		p->sq_off.flags, p->cq_off.flags, p->sq_off.dropped, p->cq_off.overflow,
	};

	if (word < ARRAY_SIZE(at))
		return (uint32_t *)(r->map + at[word] % (r->map_len - 3));
	/* the index array, if the ring has one */
	return (uint32_t *)(r->map + (p->sq_off.array + (word - 12) % 64 * 4) % (r->map_len - 3));
}

static void fill_sqe(struct iouring2_sqe *sqe, const uint64_t *a)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = a[1];
	sqe->flags = a[2];
	sqe->fd = fd_of(a[3]);
	sqe->off = a[4];
	sqe->addr = (uintptr_t)addr_of(a[5]);
	sqe->len = a[6];
	sqe->rw_flags = a[7];
	sqe->user_data = a[8];
	sqe->ioprio = a[9];
	sqe->buf_index = a[9] >> 16;
	sqe->personality = a[9] >> 32;
	sqe->splice_fd_in = a[9] >> 48;
	/* here addr is the user_data of the target, and not an address */
	if (sqe->opcode == IOURING2_OP_TIMEOUT_REMOVE ||
	    sqe->opcode == IOURING2_OP_POLL_REMOVE ||
	    sqe->opcode == IOURING2_OP_ASYNC_CANCEL)
		sqe->addr = a[5] & 0xff;
	if (sqe->opcode == IOURING2_OP_TIMEOUT_REMOVE &&
	    sqe->timeout_flags & IOURING2_TIMEOUT_UPDATE)
		sqe->addr2 = (uintptr_t)&times[a[4] % NR_TIMES];
}

static void do_sqe(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);
	uint32_t *tail, mask;

	if (!r->map || !r->sqes || !r->p.sq_entries)
		return;
	tail = word_at(r, 0);
	mask = r->p.sq_entries - 1;
	fill_sqe(&r->sqes[(*tail & mask) << sqe_shift(r)], a);
	if (!(r->p.flags & IOURING2_SETUP_NO_SQARRAY))
		((uint32_t *)(r->map + r->p.sq_off.array))[*tail & mask] = *tail & mask;
	if (*tail - __atomic_load_n(word_at(r, 1), __ATOMIC_ACQUIRE) <= mask)
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static void do_enter(const uint64_t *a)
{
	struct __kernel_timespec ts = {
		.tv_sec = a[5] / 1000000000 % 4, .tv_nsec = a[5] % 1000000000,
	};
	struct iouring2_getevents_arg ext = { .ts = (uintptr_t)&ts };
	uint64_t mask = ~0ULL;
	struct iouring2_enter e = {
		.to_submit = a[1], .min_complete = a[2], .flags = a[3],
	};

	switch (a[4]) {
	case 0:
		break;
	case 1:		/* a signal mask */
		mask = 1ULL << (SIGUSR1 - 1);
		e.arg = (uintptr_t)&mask;
		e.argsz = SIGSET_BYTES;
		break;
	case 2:		/* a signal mask of a wrong size */
		e.arg = (uintptr_t)&mask;
		e.argsz = a[5];
		break;
	case 3:
		e.arg = (uintptr_t)area[AREA_NONE];
		e.argsz = SIGSET_BYTES;
		break;
	case 4:
		ext.ts = (uintptr_t)area[AREA_NONE];
		goto ext;
	case 5:
		ts.tv_sec = a[5] & 1 ? -1 : 0;
		ts.tv_nsec = -a[5];
		goto ext;
	case 6:
		ext.min_wait_usec = a[5];
		goto ext;
	case 7:		/* a mask of all signals but SIGUSR1 and SIGALRM */
		mask &= ~(1ULL << (SIGUSR1 - 1) | 1ULL << (SIGALRM - 1));
		ext.sigmask = (uintptr_t)&mask;
		ext.sigmask_sz = SIGSET_BYTES;
		goto ext;
	case 8:
		ext.sigmask = (uintptr_t)area[a[5] & 1 ? AREA_NONE : AREA_BUFFER];
		ext.sigmask_sz = a[5] & 2 ? 4 : SIGSET_BYTES;
		ext.ts = 0;
		goto ext;
	case 9:
		e.arg = (uintptr_t)area[AREA_NONE] - 8;
		e.argsz = sizeof(ext);
		e.flags |= IOURING2_ENTER_EXT_ARG;
		break;
	case 10:
		ext.ts = 0;
		goto ext;
	case 14:	/* in the region of the ring */
		e.flags |= IOURING2_ENTER_EXT_ARG | IOURING2_ENTER_EXT_ARG_REG;
		e.arg = a[5] % 3 ? a[5] % 4096 / 64 * 64 : a[5];
		e.argsz = sizeof(struct iouring2_reg_wait);
		break;
	default:
ext:
		e.arg = (uintptr_t)&ext;
		e.argsz = a[4] == 12 ? sizeof(ext) - 8 : sizeof(ext);
		e.flags |= IOURING2_ENTER_EXT_ARG;
	}
	if (!e.arg && !e.argsz && (a[5] & 1))
		syscall(__NR_fadvise64, ring_of(a[0])->fd, a[1], a[2],
			e.flags ^ IOURING2_ENTER_FADVISE);
	else
		odd_ioctl(ring_of(a[0])->fd, IOURING2_IOC_ENTER, &e, a[6]);
}

static void do_register(const uint64_t *a)
{
	struct iouring2_register reg = {
		.opcode = a[1], .nr_args = a[2],
		.arg = (uintptr_t)addr_of(a[3]),
	};
	int fd = fd_of(a[2] % NR_SLOTS);

	/* most often a descriptor; random memory rarely has one */
	if ((reg.opcode == IOURING2_REGISTER_EVENTFD ||
	     reg.opcode == IOURING2_REGISTER_EVENTFD_ASYNC) && a[2] % 8) {
		reg.arg = (uintptr_t)&fd;
		reg.nr_args = 1;
	} else if (reg.opcode == IOURING2_UNREGISTER_EVENTFD && a[2] % 8) {
		reg.arg = 0;
		reg.nr_args = 0;
	}
	odd_ioctl(ring_of(a[0])->fd, IOURING2_IOC_REGISTER, &reg, a[4]);
}

static void do_resize(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);
	struct iouring2_params p = {
		.sq_entries = a[1], .flags = a[2], .cq_entries = a[3],
	};
	struct iouring2_register reg = {
		.opcode = IOURING2_REGISTER_RESIZE_RINGS, .nr_args = 1,
		.arg = (uintptr_t)&p,
	};

	if (r->p.flags & IOURING2_SETUP_NO_MMAP)
		own_memory(&p);
	if (ioctl(r->fd, IOURING2_IOC_REGISTER, &reg))
		return;
	/* the old rings stay mapped */
	r->p = p;
	r->map = NULL;
	r->sqes = NULL;
	if (a[4] && p.sq_entries)
		map_ring(r);
}

static void do_region(const uint64_t *a)
{
	struct iouring2_region_desc rd = {
		.size = a[1] * PAGE,
		.user_addr = a[2] & 1 ? (uintptr_t)addr_of(a[3]) & -PAGE : 0,
		.flags = a[2] & 1 ? IOURING2_MEM_REGION_TYPE_USER : 0,
	};
	struct iouring2_mem_region_reg region = {
		.region_uptr = (uintptr_t)&rd,
		.flags = a[2] & 2 ? IOURING2_MEM_REGION_REG_WAIT_ARG : 0,
	};
	struct iouring2_register reg = {
		.opcode = IOURING2_REGISTER_MEM_REGION, .nr_args = 1,
		.arg = (uintptr_t)&region,
	};

	ioctl(ring_of(a[0])->fd, IOURING2_IOC_REGISTER, &reg);
}

static void do_reap(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);
	uint32_t *head, ready;

	if (!r->map)
		return;
	head = word_at(r, 2);
	ready = __atomic_load_n(word_at(r, 3), __ATOMIC_ACQUIRE) - *head;
	__atomic_store_n(head, *head + (a[1] && a[1] < ready ? a[1] : ready),
			 __ATOMIC_RELEASE);
}

static void do_poke(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);

	if (r->map)
		__atomic_store_n(word_at(r, a[1]), a[2], __ATOMIC_RELEASE);
}

static void do_scribble(const uint64_t *a)
{
	struct xring *r = ring_of(a[0]);

	if (r->sqes && r->p.sq_entries)
		((volatile char *)&r->sqes[a[1] % r->p.sq_entries])[a[2] * 4 % 64] = a[3];
}

/* ----------------------------------------------------------------- memory */

static int prot_of(uint64_t prot)
{
	return (prot & 1 ? PROT_READ : 0) | (prot & 2 ? PROT_WRITE : 0) |
	       (prot & 4 ? PROT_EXEC : 0);
}

static void do_map(const uint64_t *a)
{
	size_t len = (a[2] + 1) * PAGE;
	char *at = mmap(NULL, len, prot_of(a[3]), a[4] ? MAP_PRIVATE : MAP_SHARED,
			ring_of(a[0])->fd, a[1]);

	if (at == MAP_FAILED)
		return;
	if (a[3] & 1)
		(void)*(volatile char *)at;
	maps[next_map % NR_MAPS].at = at;
	maps[next_map++ % NR_MAPS].len = len;
}

static void do_unmap(const uint64_t *a)
{
	char *at = maps[a[0] % NR_MAPS].at;

	if (at)
		munmap(at + a[1] * PAGE, a[2] ? a[2] * PAGE : maps[a[0] % NR_MAPS].len);
}

static void do_remap(const uint64_t *a)
{
	char *at = maps[a[0] % NR_MAPS].at;
	size_t len = maps[a[0] % NR_MAPS].len;

	if (!at)
		return;
	len = (len + PAGE - 1) & -PAGE;
	at = mremap(at, a[2] & 4 ? 0 : len, (a[1] + 1) * PAGE,
		    MREMAP_MAYMOVE | (a[2] & 1 ? MREMAP_DONTUNMAP : 0));
	if (at != MAP_FAILED && a[2] & 2)
		(void)*(volatile char *)at;
}

static void do_advise(const uint64_t *a)
{
	char *at = maps[a[0] % NR_MAPS].at;

	if (at)
		madvise(at, a[2] ? a[2] * PAGE : PAGE, a[1]);
}

static void do_protect(const uint64_t *a)
{
	char *at = maps[a[0] % NR_MAPS].at;

	if (at)
		mprotect(at, (maps[a[0] % NR_MAPS].len + PAGE - 1) & -PAGE, prot_of(a[1]));
}

static void do_access(const uint64_t *a)
{
	static const uint8_t which[] = {
		AREA_BUFFER, AREA_NONE, AREA_READ_ONLY, AREA_PAST_EOF,
	};

	mprotect(area[which[a[0] % 4]] + (a[0] & 4 ? PAGE : 0), 4 * PAGE, prot_of(a[1]));
}

/* ------------------------------------------------------------ descriptors */

static int open_tmp(int flags)
{
	const char *dir = access("/scratch", W_OK) ? "/tmp" : "/scratch";
	int fd = open(flags & O_DIRECT ? dir : "/tmp", O_TMPFILE | O_RDWR | flags, 0600);

	if (fd >= 0 && pwrite(fd, area[AREA_BUFFER], AREA_BYTES / 2, 0) < 0)
		errno = 0;
	return fd;
}

static int open_tcp(int fds[2])
{
	struct { unsigned short family, port; uint32_t ip; char zero[8]; } sin = {
		.family = AF_INET, .ip = __builtin_bswap32(0x7f000001),
	};
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fds[0] = -1;
	if (!bind(listener, (void *)&sin, len) && !listen(listener, 1) &&
	    !getsockname(listener, (void *)&sin, &len) &&
	    (!connect(fds[1], (void *)&sin, len) || errno == EINPROGRESS))
		fds[0] = accept(listener, NULL, NULL);
	close(listener);
	return fds[0];
}

static int open_one(uint64_t kind, int *second)
{
	struct itimerspec its = { { 0, 5000000 }, { 0, 1000000 } };
	int fds[2] = { -1, -1 }, fd;
	sigset_t set;

	switch (kind) {
	case 0:
	case 1:
		if (pipe2(fds, kind ? O_NONBLOCK | O_CLOEXEC : 0))
			return -1;
		break;
	case 2:
		return eventfd(0, 0);
	case 3:
		return eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE);
	case 4:
		socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
		break;
	case 5:
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds);
		break;
	case 6:
		fd = timerfd_create(CLOCK_MONOTONIC, 0);
		timerfd_settime(fd, 0, &its, NULL);
		return fd;
	case 7:
		return epoll_create1(0);
	case 8:
		return open_tmp(0);
	case 9:
		return open_tmp(O_APPEND);
	case 10:
		return open_tmp(O_DIRECT);
	case 11:
		return open("/dev/null", O_RDWR);
	case 12:
		return open("/dev/zero", O_RDWR);
	case 13:
		return open("/dev/iouring2", O_RDWR);
	case 14:
		fd = inotify_init1(0);
		inotify_add_watch(fd, "/tmp", IN_ALL_EVENTS);
		return fd;
	case 15:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		return signalfd(-1, &set, 0);
	case 16:
		fd = posix_openpt(O_RDWR | O_NOCTTY);
		if (fd >= 0 && !grantpt(fd) && !unlockpt(fd))
			*second = open(ptsname(fd), O_RDWR | O_NOCTTY);
		return fd;
	case 17:
		return open("/proc/self/status", O_RDONLY);
	case 18:
		return open("/tmp", O_RDONLY | O_DIRECTORY);
	case 19:
		return memfd_create("fuzz", 0);
	case 20:
		return open_tmp(0) < 0 ? -1 : open("/dev/null", O_PATH);
	case 21:
		open_tcp(fds);
		break;
	case 22:
		return open("/proc/self/exe", O_RDONLY);
	case 23:
		return syscall(SYS_pidfd_open, getppid(), 0);
	case 24:
		return open("/dev/full", O_RDWR);
	case 25:
		return open("/sys/class/misc/iouring2/counters/rings", O_RDONLY);
	case 26:
		return open("/dev/kmsg", O_RDONLY);
	default:
		return open("/dev/urandom", O_RDONLY);
	}
	*second = fds[1];
	return fds[0];
}

static void set_slot(uint64_t slot, int fd)
{
	if (fd < 0)
		return;
	slot %= NR_SLOTS;
	if (slots[slot] >= 0)
		close(slots[slot]);
	slots[slot] = fd;
}

static void do_open(const uint64_t *a)
{
	int second = -1;

	set_slot(a[0], open_one(a[1], &second));
	set_slot(a[0] + 1, second);
}

static void do_close(const uint64_t *a)
{
	close(fd_of(a[0]));
}

static void do_dup(const uint64_t *a)
{
	set_slot(a[0], dup(fd_of(a[1])));
}

static void do_dup2(const uint64_t *a)
{
	if (fd_of(a[0]) >= 0 && fd_of(a[1]) > 2)
		dup2(fd_of(a[0]), fd_of(a[1]));
}

static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1;
}

static void do_read(const uint64_t *a)
{
	int fd = fd_of(a[0]);

	if (ready(fd, POLLIN) && read(fd, area[AREA_BUFFER], a[1] % AREA_BYTES) < 0)
		errno = 0;
}

static void do_write(const uint64_t *a)
{
	int fd = fd_of(a[0]);

	if (ready(fd, POLLOUT) && write(fd, area[AREA_BUFFER], a[1] % AREA_BYTES) < 0)
		errno = 0;
}

static void read_fdinfo(int fd)
{
	char path[64];
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info >= 0) {
		if (read(info, area[AREA_BUFFER], PAGE) < 0)
			errno = 0;
		close(info);
	}
}

static void do_fdcall(const uint64_t *a)
{
	int fd = fd_of(a[1]), on = 1;
	struct flock lock = { .l_type = F_WRLCK };
	struct stat st;

	switch (a[0]) {
	case 0:
		read_fdinfo(fd);
		break;
	case 1:
		fcntl(fd, F_SETFL, (int)a[2]);
		break;
	case 2:
		lseek(fd, a[2], a[2] % 5);
		break;
	case 3:
		if (ftruncate(fd, a[2] % (1 << 20)))
			errno = 0;
		break;
	case 4:
		fsync(fd);
		break;
	case 5:
		fallocate(fd, a[2] % 4, 0, PAGE);
		break;
	case 6:
		ioctl(fd, FIONBIO, &on);
		break;
	case 7:
		ioctl(fd, FIOASYNC, &on);
		break;
	case 8:
		ioctl(fd, a[2], area[AREA_BUFFER]);
		break;
	case 9:
		ioctl(fd, 0xbb00 | (a[2] & 0x1f) | (a[2] & 0xffff0000), area[AREA_BUFFER]);
		break;
	case 10:
		fstat(fd, &st);
		break;
	case 11:
		flock(fd, LOCK_EX | LOCK_NB);
		break;
	case 12:
		fcntl(fd, F_SETLK, &lock);
		break;
	case 13:
		fcntl(fd, F_SETOWN, getpid());
		fcntl(fd, F_SETSIG, SIGUSR1);
		break;
	case 14:
		if (ready(slots[a[2] % NR_SLOTS], POLLIN))
			splice(slots[a[2] % NR_SLOTS], NULL, fd, NULL, PAGE, SPLICE_F_NONBLOCK);
		break;
	case 15:
		sendfile(fd, slots[a[2] % NR_SLOTS], NULL, 16);
		break;
	case 16:
		if (pread(fd, area[AREA_BUFFER], 64, a[2]) < 0)
			errno = 0;
		break;
	case 17:
		shutdown(fd, a[2] % 3);
		break;
	case 18:
		set_slot(a[2], fcntl(fd, F_DUPFD_CLOEXEC, 40));
		break;
	case 19:
		fcntl(fd, F_SETFD, (int)a[2]);
		break;
	case 20:
		syscall(SYS_close_range, fd < 0 ? 800 : fd, fd < 0 ? 800 : fd + a[2] % 4, a[2] & 4);
		break;
	default:
		fcntl(fd, (int)(a[2] % 1100), a[2] >> 8);
	}
}

static void do_poll(const uint64_t *a)
{
	struct pollfd p = { .fd = fd_of(a[0]), .events = a[1] };

	poll(&p, 1, a[2]);
}

static void do_epoll(const uint64_t *a)
{
	struct epoll_event ev = { .events = a[3], .data.u64 = a[2] };

	if (a[1] == 4)
		epoll_wait(fd_of(a[0]), &ev, 1, 1);
	else
		epoll_ctl(fd_of(a[0]), a[1], fd_of(a[2]), &ev);
}

static void do_settime(const uint64_t *a)
{
	struct itimerspec its = { .it_value = { 0, a[1] % 1000000000 } };

	timerfd_settime(fd_of(a[0]), 0, &its, NULL);
}

static void do_send_fd(const uint64_t *a)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = fd_of(a[1]);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	sendmsg(fd_of(a[0]), &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_recv_fd(const uint64_t *a)
{
	char control[CMSG_SPACE(4 * sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(fd_of(a[1]), &msg, MSG_DONTWAIT) < 0)
		return;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		set_slot(a[0], fd);
	}
}

/* -------------------------------------------------------------- processes */

static void run_thread(unsigned int thread, unsigned int from, unsigned int count);
static void tick(void);

static void do_fork(const uint64_t *a)
{
	unsigned int at = progress[0];
	pid_t pid;

	if (depth > 2)
		return;
	pid = fork();
	if (!pid) {
		depth++;
		tick();		/* timers are not inherited */
		run_thread(0, at + 1, a[0] + 1);
		_exit(0);
	}
	if (pid > 0 && a[1])
		waitpid(pid, NULL, 0);
}

static void do_signal(const uint64_t *a)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGSTOP, SIGKILL, SIGTERM };
	int sig = signals[a[0] % 6];

	if (sig == SIGSTOP)
		sig = SIGCONT;
	if (a[1])
		kill(getpid(), sig);
	else
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

static void do_sleep(const uint64_t *a)
{
	usleep(a[0] % 20000);
}

static void do_limit(const uint64_t *a)
{
	static const int which[] = { RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_AS };
	struct rlimit lim;

	if (!getrlimit(which[a[0] % 4], &lim)) {
		lim.rlim_cur = a[0] % 4 == 3 ? 64UL << 20 : a[1] % 4096;
		setrlimit(which[a[0] % 4], &lim);
	}
}

static void do_param(const uint64_t *a)
{
	char path[128], text[24];

	snprintf(path, sizeof(path), "/sys/module/iouring2/parameters/%s",
		 param_names[a[0] % NR_PARAMS]);
	snprintf(text, sizeof(text), "%u", (unsigned int)a[1]);
	put_file(path, text);
}

static void do_exit(const uint64_t *a)
{
	static char * const argv[] = { "true", NULL };
	unsigned int i;

	switch (a[0]) {
	case 0:
		_exit(0);
	case 1:
		kill(getpid(), SIGKILL);
		break;
	case 2:
		for (i = 0; i < NR_RINGS; i++)
			close(rings[i].fd);
		_exit(0);
	case 3:
		execv("/bin/true", argv);
		break;
	case 4:		/* only the thread exits */
		syscall(SYS_exit, 0);
		break;
	case 5:		/* unmap the memory before the exit */
		for (i = 0; i < NR_MAPS; i++)
			if (maps[i].at)
				munmap(maps[i].at, maps[i].len);
		break;
	case 6:
		for (i = 3; i < 100; i++)
			close(i);
		break;
	default:
		abort();
	}
}

/* ---------------------------------------------------------------- running */

#define CALL_DO(name, ...)	do_##name,
static void (* const call_do[])(const uint64_t *) = {
	CALLS(CALL_DO)
};

static void arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth), i;

	/* an injected failure may hit this write, so try again */
	for (i = 0; i < 8 && pwrite(nth_fd, text, len, 0) != len; i++)
		;
}

static void run_call(const struct call *c)
{
	sigjmp_buf here;
	volatile unsigned int i;

	for (i = 0; i < (c->repeat ? c->repeat : 1); i++) {
		if (!sigsetjmp(here, 1)) {
			guard = &here;
			if (c->nth && nth_fd >= 0)
				arm(c->nth);
			call_do[c->kind % NR_CALLS](c->arg);
		}
		if (c->nth && nth_fd >= 0)
			arm(0);
		guard = NULL;
	}
}

static void open_nth(void)
{
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd >= 0) {
		int high = fcntl(nth_fd, F_DUPFD_CLOEXEC, 100);

		close(nth_fd);
		nth_fd = high;
	}
}

static void run_thread(unsigned int thread, unsigned int from, unsigned int count)
{
	unsigned int i;

	for (i = from; i < program->nr && i - from < count; i++) {
		if (thread == 0 && !depth)
			__atomic_store_n(&progress[0], i, __ATOMIC_RELEASE);
		if (program->call[i].thread != thread)
			continue;
		/* another thread starts when thread 0 has reached its first call */
		while (thread && __atomic_load_n(&progress[0], __ATOMIC_ACQUIRE) < i &&
		       !progress[thread])
			usleep(100);
		progress[thread] = thread ? 1 : i;
		run_call(&program->call[i]);
	}
	if (thread == 0 && !depth)
		__atomic_store_n(&progress[0], MAX_CALLS, __ATOMIC_RELEASE);
}

static void *thread_main(void *arg)
{
	unsigned int thread = (uintptr_t)arg;

	if (starts)
		starts(thread);
	open_nth();
	run_thread(thread, 0, MAX_CALLS);
	return NULL;
}

static void on_fault(int sig)
{
	if (!guard)
		_exit(128 + sig);
	siglongjmp(*guard, 1);
}

static void on_tick(int sig)
{
	(void)sig;
}

static void make_iovs(void)
{
	unsigned int i, n;

	for (i = 0; i < NR_IOVS; i++)
		for (n = 0; n < 8; n++) {
			iovs[i][n].iov_base = area[AREA_BUFFER] + n * 4096;
			iovs[i][n].iov_len = i < 8 ? 1UL << i : 4096;
		}
	iovs[9][1].iov_base = area[AREA_NONE];
	iovs[10][0].iov_len = 0;
	iovs[11][0].iov_len = -1UL;
	iovs[12][2].iov_base = area[AREA_NONE] - 100;
	iovs[13][0].iov_base = area[AREA_READ_ONLY];
	iovs[14][0].iov_base = (void *)0xffff888000000000UL;
	iovs[15][0].iov_base = area[AREA_PAST_EOF];
	iovs[15][1].iov_base = (void *)iovs;
}

static bool make_areas(void)
{
	int fd = memfd_create("eof", MFD_CLOEXEC);
	char *at = mmap(NULL, 3 * AREA_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || at == MAP_FAILED || ftruncate(fd, 4096))
		return false;
	area[AREA_BUFFER] = at;
	area[AREA_NONE] = at + AREA_BYTES;
	area[AREA_READ_ONLY] = at + 2 * AREA_BYTES;
	area[AREA_KERNEL] = (char *)0xffff888000000000UL;
	mprotect(area[AREA_NONE], AREA_BYTES, PROT_NONE);
	mprotect(area[AREA_READ_ONLY], AREA_BYTES, PROT_READ);
	area[AREA_PAST_EOF] = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	times = (void *)(at + AREA_BYTES / 2);
	times[1].tv_nsec = 1;
	times[2].tv_nsec = 200000;
	times[3].tv_nsec = 3000000;
	times[4].tv_sec = 3600;
	times[5].tv_sec = -1;
	times[6].tv_nsec = 1000000000;
	times[7].tv_sec = INT64_MAX;
	make_iovs();
	return area[AREA_PAST_EOF] != MAP_FAILED;
}

static void tick(void)
{
	struct itimerval every = { { 0, TICK_USEC }, { 0, TICK_USEC } };

	setitimer(ITIMER_REAL, &every, NULL);
}

static void handlers(void)
{
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sa.sa_handler = on_tick;
	sa.sa_flags = 0;
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	tick();
}

void program_run(const struct program *p, void (*thread_starts)(unsigned int thread))
{
	bool used[MAX_THREADS] = { true };
	pthread_t thread[MAX_THREADS];
	unsigned int i;

	program = p;
	starts = thread_starts;
	memset(slots, -1, sizeof(slots));
	for (i = 0; i < NR_RINGS; i++)
		rings[i].fd = -1;
	device = open("/dev/iouring2", O_RDWR | O_CLOEXEC);
	if (device < 0 || !make_areas())
		_exit(100);
	handlers();
	for (i = 0; i < p->nr; i++)
		used[p->call[i].thread % MAX_THREADS] = true;
	for (i = 1; i < MAX_THREADS; i++)
		used[i] = used[i] && !pthread_create(&thread[i], NULL, thread_main,
						     (void *)(uintptr_t)i);
	if (starts)
		starts(0);
	open_nth();
	run_thread(0, 0, MAX_CALLS);
	for (i = 1; i < MAX_THREADS; i++)
		if (used[i])
			pthread_join(thread[i], NULL);
	_exit(0);
}
