// SPDX-License-Identifier: GPL-2.0-only
/* A ring without a library; see ring.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/fs.h>
#include "ring.h"

#define SYSFS_MODULE	"/sys/module/iouring2"
#define SYSFS_COUNTERS	"/sys/class/misc/iouring2/counters"

/* Time limit of each wait of a test */
#define WAIT_LIMIT	(30 * NSEC_PER_SEC)

/* user_data of ring_do(), different from all others */
#define DO_DATA		0xd0d0d0d000000000ULL

static const char * const counter_names[NR_COUNTERS] = {
	"rings", "requests", "workers", "submitters", "pages", "files",
};

/* ---------------------------------------------------------------- device */

int dev_open(void)
{
	int fd = open("/dev/iouring2", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool dev_usable(const char **why)
{
	int fd = dev_open();

	if (fd < 0) {
		*why = fd == -EACCES ? "/dev/iouring2: run as root" :
					 "/dev/iouring2: module not loaded";
		return false;
	}
	close(fd);
	return true;
}

static int dev_ioctl(unsigned long cmd, void *arg)
{
	int fd = dev_open();
	int ret;

	if (fd < 0)
		return fd;
	ret = ioctl(fd, cmd, arg);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int dev_query(struct iouring2_query *q)
{
	memset(q, 0, sizeof(*q));
	return dev_ioctl(IOURING2_IOC_QUERY, q);
}

int dev_setup(struct iouring2_setup *s)
{
	return dev_ioctl(IOURING2_IOC_SETUP, s);
}

/* ----------------------------------------------------------------- rings */

size_t cqe_size(const struct iouring2_params *p)
{
	return sizeof(struct iouring2_cqe) <<
	       !!(p->flags & IOURING2_SETUP_CQE32);
}

size_t sqe_size(const struct iouring2_params *p)
{
	return sizeof(struct iouring2_sqe) <<
	       !!(p->flags & IOURING2_SETUP_SQE128);
}

size_t ring_map_len(const struct iouring2_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(__u32);
	size_t cq = p->cq_off.cqes + p->cq_entries * cqe_size(p);

	return sq > cq ? sq : cq;
}

/*
 * With IOURING2_SETUP_FLAGS in the environment, each ring gets these set-up flags,
 * too. So programs can be run on rings that submit and complete in another way,
 * see modes.sh.
 */
static unsigned int flags_of_mode(void)
{
	return env_long("IOURING2_SETUP_FLAGS", 0);
}

/*
 * On a ring that defers to its issuer, completions are posted by the issuer's ENTER
 * with GETEVENTS. In such a mode, the helpers that submit and that look at a ring
 * do as a program does that looks at the SQ flags. In other modes, tests enter
 * themselves.
 */
static bool mode_defers(void)
{
	return flags_of_mode() & IOURING2_SETUP_DEFER_TASKRUN;
}

/* The SQ flags of each ring of such a mode, by descriptor */
static const __u32 *flags_of_ring[1024];

static const __u32 **find_flags(int fd)
{
	static const __u32 *none;

	return fd >= 0 && fd < 1024 ? &flags_of_ring[fd] : &none;
}

/* It may take several rounds. */
static void run_deferred(int fd)
{
	const __u32 *flags = mode_defers() ? *find_flags(fd) : NULL;
	unsigned int rounds;

	for (rounds = 0; flags && rounds < 100; rounds++)
		if (!(ld_acq(flags) & IOURING2_SQ_TASKRUN) ||
		    enter(fd, 0, 0, IOURING2_ENTER_GETEVENTS, NULL, 0) < 0)
			break;
}

/* Find the parts of the rings, which are at r->map */
void ring_point(struct ring *r)
{
	const struct iouring2_params *p = &r->setup.params;
	char *map = r->map;

	r->sq_head = (__u32 *)(map + p->sq_off.head);
	r->sq_tail = (__u32 *)(map + p->sq_off.tail);
	r->sq_mask = (__u32 *)(map + p->sq_off.ring_mask);
	r->sq_entries = (__u32 *)(map + p->sq_off.ring_entries);
	r->sq_flags = (__u32 *)(map + p->sq_off.flags);
	r->sq_dropped = (__u32 *)(map + p->sq_off.dropped);
	if (p->flags & IOURING2_SETUP_NO_SQARRAY)
		r->sq_array = NULL;
	else
		r->sq_array = (__u32 *)(map + p->sq_off.array);
	r->cq_head = (__u32 *)(map + p->cq_off.head);
	r->cq_tail = (__u32 *)(map + p->cq_off.tail);
	r->cq_mask = (__u32 *)(map + p->cq_off.ring_mask);
	r->cq_entries = (__u32 *)(map + p->cq_off.ring_entries);
	r->cq_overflow = (__u32 *)(map + p->cq_off.overflow);
	r->cq_flags = (__u32 *)(map + p->cq_off.flags);
	r->cqes = (struct iouring2_cqe *)(map + p->cq_off.cqes);
	r->sqe_tail = *r->sq_tail;
	if (mode_defers())
		*find_flags(r->fd) = r->sq_flags;
}

int ring_map(struct ring *r)
{
	const struct iouring2_params *p = &r->setup.params;

	r->map_len = ring_map_len(p);
	r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, r->fd, IOURING2_OFF_SQ_RING);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return -errno;
	}
	r->sqes_len = p->sq_entries * sqe_size(p);
	r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IOURING2_OFF_SQES);
	if (r->sqes == MAP_FAILED) {
		int err = errno;

		munmap(r->map, r->map_len);
		r->map = NULL;
		r->sqes = NULL;
		return -err;
	}
	ring_point(r);
	return 0;
}

static __u32 power_of_2(__u32 n, __u32 most)
{
	__u32 p = 1;

	while (p < n && p < most)
		p *= 2;
	return p;
}

/*
 * The memory that an application has to provide with SETUP_NO_MMAP: as much as
 * io_uring needs, whose rings have a head of 64 bytes
 */
void ring_memory_len(const struct iouring2_setup *s, size_t *rings,
		     size_t *sqes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	__u32 sq = power_of_2(s->entries, 32768), cq = 2 * sq;

	if (s->params.flags & IOURING2_SETUP_CQSIZE)
		cq = power_of_2(s->params.cq_entries, 65536);
	*rings = 64 + cq * cqe_size(&s->params);
	if (!(s->params.flags & IOURING2_SETUP_NO_SQARRAY))
		*rings = (*rings + 63) / 64 * 64 + sq * sizeof(__u32);
	*rings = (*rings + page - 1) / page * page;
	*sqes = sq * sqe_size(&s->params);
	*sqes = (*sqes + page - 1) / page * page;
}

/* Provide memory for the rings, with SETUP_NO_MMAP */
int ring_memory(struct ring *r)
{
	ring_memory_len(&r->setup, &r->map_len, &r->sqes_len);
	r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->map == MAP_FAILED || r->sqes == MAP_FAILED)
		return -errno;
	r->setup.params.cq_off.user_addr = (uintptr_t)r->map;
	r->setup.params.sq_off.user_addr = (uintptr_t)r->sqes;
	return 0;
}

static int init_in_memory(struct ring *r)
{
	int ret = ring_memory(r);

	if (ret)
		return ret;
	r->fd = dev_setup(&r->setup);
	if (r->fd < 0) {
		ring_unmap(r);
		return r->fd;
	}
	ring_point(r);
	return 0;
}

int ring_init_setup(struct ring *r, const struct iouring2_setup *s)
{
	int ret;

	memset(r, 0, sizeof(*r));
	r->setup = *s;
	r->setup.params.flags |= flags_of_mode();
	if (r->setup.params.flags & IOURING2_SETUP_NO_MMAP)
		return init_in_memory(r);
	r->fd = dev_setup(&r->setup);
	if (r->fd < 0)
		return r->fd;
	ret = ring_map(r);
	if (ret < 0) {
		close(r->fd);
		r->fd = -1;
	}
	return ret;
}

int ring_init_params(struct ring *r, unsigned int sq, unsigned int cq,
		     unsigned int flags, unsigned int max_inflight)
{
	struct iouring2_setup s;

	memset(&s, 0, sizeof(s));
	s.entries = sq;
	s.max_inflight = max_inflight;
	s.params.flags = flags;
	if (cq) {
		s.params.flags |= IOURING2_SETUP_CQSIZE;
		s.params.cq_entries = cq;
	}
	return ring_init_setup(r, &s);
}

int ring_init(struct ring *r, unsigned int sq, unsigned int cq)
{
	return ring_init_params(r, sq, cq, 0, 0);
}

void ring_unmap(struct ring *r)
{
	if (*find_flags(r->fd) == r->sq_flags)
		*find_flags(r->fd) = NULL;
	if (r->sqes)
		munmap(r->sqes, r->sqes_len);
	if (r->map)
		munmap(r->map, r->map_len);
	r->sqes = NULL;
	r->map = NULL;
}

void ring_exit(struct ring *r)
{
	ring_unmap(r);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* ------------------------------------------------------------ submission */

static struct iouring2_sqe *sqe_at(struct ring *r, __u32 pos)
{
	const struct iouring2_params *p = &r->setup.params;

	return (void *)r->sqes + (pos & (p->sq_entries - 1)) * sqe_size(p);
}

struct iouring2_sqe *ring_sqe(struct ring *r)
{
	struct iouring2_sqe *sqe = sqe_at(r, r->sqe_tail);
	__u32 mask = r->setup.params.sq_entries - 1;

	if (r->sqe_tail - ld_acq(r->sq_head) > mask)
		return NULL;
	if (r->sq_array)
		r->sq_array[r->sqe_tail & mask] = r->sqe_tail & mask;
	r->sqe_tail++;
	memset(sqe, 0, sqe_size(&r->setup.params));
	sqe->fd = -1;
	return sqe;
}

unsigned int ring_unsubmitted(struct ring *r)
{
	return r->sqe_tail - ld_acq(r->sq_head);
}

unsigned int ring_publish(struct ring *r)
{
	st_rel(r->sq_tail, r->sqe_tail);
	return ring_unsubmitted(r);
}

int enter_by_fadvise(int fd, long long to_submit, long long min_complete,
		     unsigned int flags)
{
	/* not "|": for ENTER, ENTER_FADVISE is an unknown flag */
	int ret = syscall(__NR_fadvise64, fd, to_submit, min_complete,
			  flags ^ IOURING2_ENTER_FADVISE);

	return ret < 0 ? -errno : ret;
}

/* Enter by fadvise64 every second time, if the arguments allow it */
int enter(int fd, unsigned int to_submit, unsigned int min_complete,
	  unsigned int flags, const void *arg, size_t argsz)
{
	static __thread unsigned int times;
	struct iouring2_enter e = {
		.to_submit = to_submit,
		.min_complete = min_complete,
		.flags = flags,
		.argsz = argsz,
		.arg = (uintptr_t)arg,
	};
	int ret;

	if (!arg && !argsz && !(flags & IOURING2_ENTER_EXT_ARG) && times++ % 2)
		return enter_by_fadvise(fd, to_submit, min_complete, flags);
	ret = ioctl(fd, IOURING2_IOC_ENTER, &e);
	return ret < 0 ? -errno : ret;
}

int enter_timeout(int fd, unsigned int to_submit, unsigned int min_complete,
		  long long ns)
{
	struct __kernel_timespec ts = ts_ns(ns);
	struct iouring2_getevents_arg arg = {
		.ts = (uintptr_t)&ts,
	};

	return enter(fd, to_submit, min_complete,
		     IOURING2_ENTER_GETEVENTS | IOURING2_ENTER_EXT_ARG,
		     &arg, sizeof(arg));
}

int ring_submit(struct ring *r)
{
	int ret = enter(r->fd, ring_publish(r), 0, 0, NULL, 0);

	run_deferred(r->fd);
	return ret;
}

int ring_submit_wait(struct ring *r, unsigned int nr)
{
	return enter_timeout(r->fd, ring_publish(r), nr, WAIT_LIMIT);
}

/* ------------------------------------------------------------ completion */

unsigned int ring_ready(struct ring *r)
{
	run_deferred(r->fd);
	return ld_acq(r->cq_tail) - *r->cq_head;
}

static struct iouring2_cqe *cqe_at(struct ring *r, __u32 pos)
{
	const struct iouring2_params *p = &r->setup.params;

	return (void *)r->cqes + (pos & (p->cq_entries - 1)) * cqe_size(p);
}

/* Take the next @nr entries */
static void reaped(struct ring *r, struct iouring2_cqe *from, unsigned int nr)
{
	/* This shows reads of a slot before it is written again */
	memset(from, 0xa5, nr * cqe_size(&r->setup.params));
	st_rel(r->cq_head, *r->cq_head + nr);
}

bool ring_peek(struct ring *r, struct iouring2_cqe *cqe)
{
	struct iouring2_cqe *from = cqe_at(r, *r->cq_head);

	run_deferred(r->fd);
	if (ld_acq(r->cq_tail) == *r->cq_head)
		return false;
	/*
	 * Not a struct assignment, because the struct has a flexible array at
	 * its end
	 */
	memcpy(cqe, from, sizeof(*cqe));
	reaped(r, from, 1);
	return true;
}

bool ring_peek_big(struct ring *r, struct big_cqe *cqe)
{
	struct iouring2_cqe *from = cqe_at(r, *r->cq_head);

	if (ld_acq(r->cq_tail) == *r->cq_head)
		return false;
	cqe->user_data = from->user_data;
	cqe->res = from->res;
	cqe->flags = from->flags;
	cqe->slot = *r->cq_head & (r->setup.params.cq_entries - 1);
	cqe->slots = from->flags & IOURING2_CQE_F_32 ? 2 : 1;
	memset(cqe->extra, 0, sizeof(cqe->extra));
	if (cqe->slots * cqe_size(&r->setup.params) > sizeof(*from))
		memcpy(cqe->extra, from->big_cqe, sizeof(cqe->extra));
	reaped(r, from, cqe->slots);
	return true;
}

int ring_wait(struct ring *r, struct iouring2_cqe *cqe)
{
	int ret;

	while (!ring_peek(r, cqe)) {
		ret = enter_timeout(r->fd, 0, 1, WAIT_LIMIT);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/*
 * Wait for the completion of @user_data and take it out of the CQ. Earlier CQEs
 * remain in the CQ.
 */
int ring_take(struct ring *r, __u64 user_data, struct iouring2_cqe *cqe)
{
	size_t size = cqe_size(&r->setup.params);
	__u32 head, tail, i;
	int ret;

	for (;;) {
		head = *r->cq_head;
		/* read it once, because later CQEs have not been checked */
		tail = ld_acq(r->cq_tail);
		for (i = head; i != tail; i++)
			if (cqe_at(r, i)->user_data == user_data)
				break;
		if (i != tail)
			break;
		ret = enter_timeout(r->fd, 0, i - head + 1, WAIT_LIMIT);
		if (ret < 0)
			return ret;
		/* ENTER also returns if the CQ is full of other CQEs */
		if (ring_ready(r) == i - head)
			return -ETIME;
	}
	memcpy(cqe, cqe_at(r, i), sizeof(*cqe));
	for (; i != head; i--)
		memcpy(cqe_at(r, i), cqe_at(r, i - 1), size);
	st_rel(r->cq_head, head + 1);
	return 0;
}

int ring_do(struct ring *r)
{
	__u32 last = r->sqe_tail - 1;
	__u64 id = DO_DATA + last;
	struct iouring2_cqe cqe;
	int ret;

	sqe_at(r, last)->user_data = id;
	ret = ring_submit(r);
	if (ret < 0)
		return ret;
	if (ret != 1)
		return -EPROTO;
	ret = ring_take(r, id, &cqe);
	return ret < 0 ? ret : cqe.res;
}

int ring_nop(struct ring *r, __u64 user_data)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (!sqe)
		return -EBUSY;
	prep_nop(sqe);
	sqe->user_data = user_data;
	return 0;
}

/* --------------------------------------------------------------- entries */

const char *op_name(unsigned int op)
{
	static const char *const names[] = {
#include "op_names.h"
	};

	return op < sizeof(names) / sizeof(*names) ? names[op] : NULL;
}

void prep(struct iouring2_sqe *sqe, int op, int fd, const void *addr,
	  unsigned int len, __u64 off)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)addr;
	sqe->len = len;
	sqe->off = off;
}

void prep_nop(struct iouring2_sqe *sqe)
{
	prep(sqe, IOURING2_OP_NOP, -1, NULL, 0, 0);
}

void prep_read(struct iouring2_sqe *sqe, int fd, void *buf, unsigned int len,
	       __u64 off)
{
	prep(sqe, IOURING2_OP_READ, fd, buf, len, off);
}

void prep_write(struct iouring2_sqe *sqe, int fd, const void *buf,
		unsigned int len, __u64 off)
{
	prep(sqe, IOURING2_OP_WRITE, fd, buf, len, off);
}

void prep_poll(struct iouring2_sqe *sqe, int fd, unsigned int events)
{
	prep(sqe, IOURING2_OP_POLL_ADD, fd, NULL, 0, 0);
	sqe->poll32_events = events;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	sqe->poll32_events = events << 16 | events >> 16;
#endif
}

void prep_poll_multi(struct iouring2_sqe *sqe, int fd, unsigned int events)
{
	prep_poll(sqe, fd, events);
	sqe->len = IOURING2_POLL_ADD_MULTI;
}

void prep_poll_remove(struct iouring2_sqe *sqe, __u64 target)
{
	prep(sqe, IOURING2_OP_POLL_REMOVE, -1, NULL, 0, 0);
	sqe->addr = target;
}

void prep_timeout(struct iouring2_sqe *sqe, struct __kernel_timespec *ts,
		  unsigned int count, unsigned int flags)
{
	prep(sqe, IOURING2_OP_TIMEOUT, -1, ts, 1, count);
	sqe->timeout_flags = flags;
}

/*
 * A gate is a request that ends when its program calls open_gate(). What is
 * linked behind it then starts while no task is in ENTER. A timer could expire
 * before ENTER has returned.
 *
 * Return: the gate
 */
int prep_gate(struct iouring2_sqe *sqe)
{
	int gate = eventfd(0, EFD_CLOEXEC);

	prep_poll(sqe, gate, POLLIN);
	sqe->flags = IOURING2_SQE_IO_LINK;
	return gate;
}

void open_gate(int gate)
{
	__u64 one = 1;

	if (write(gate, &one, sizeof(one)) != sizeof(one))
		perror("open a gate");
	close(gate);
}

void prep_timeout_remove(struct iouring2_sqe *sqe, __u64 target)
{
	prep(sqe, IOURING2_OP_TIMEOUT_REMOVE, -1, NULL, 0, 0);
	sqe->addr = target;
}

void prep_cancel(struct iouring2_sqe *sqe, __u64 target, unsigned int flags)
{
	prep(sqe, IOURING2_OP_ASYNC_CANCEL, -1, NULL, 0, 0);
	sqe->addr = target;
	sqe->cancel_flags = flags;
}

/* ----------------------------------------------------- the module's state */

int read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ret = read(fd, buf + len, size - 1 - len);
		if (ret <= 0)
			break;
		len += ret;
	}
	close(fd);
	buf[len] = '\0';
	return len;
}

static long read_long(const char *path)
{
	char text[64];

	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

long counter(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", SYSFS_COUNTERS, name);
	return read_long(path);
}

long module_refcnt(void)
{
	return read_long(SYSFS_MODULE "/refcnt");
}

long module_param(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/parameters/%s", SYSFS_MODULE, name);
	return read_long(path);
}

int module_param_set(const char *name, long value)
{
	char path[256], text[32];
	int fd, len, ret = 0;

	snprintf(path, sizeof(path), "%s/parameters/%s", SYSFS_MODULE, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%ld", value);
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *de;
	int nr = 0;

	if (!dir)
		return -1;
	while ((de = readdir(dir)))
		nr += de->d_name[0] != '.';
	closedir(dir);
	return nr - 1;		/* without that of the directory itself */
}

int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* Descriptors that are reserved but not open are not listed in /proc */
int taken_fds(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int from, fd, taken = 0;

	for (from = 0; null >= 0 && from < FDS_LOOKED_AT; from = fd + 1) {
		fd = fcntl(null, F_DUPFD_CLOEXEC, from);
		if (fd < 0)
			break;
		close(fd);
		taken += fd - from;
	}
	close(null);
	return taken - 1;	/* without our own */
}

long long fdinfo(int fd, const char *key)
{
	char path[64], text[4096], *line;
	size_t len = strlen(key);

	run_deferred(fd);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_text(path, text, sizeof(text)) < 0)
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (!strncmp(line, key, len) && line[len] == ':')
			return strtoll(line + len + 1, NULL, 10);
	}
	return -1;
}

void state_read(struct state *s)
{
	long warnings = counter("state_warnings");
	int i;

	for (i = 0; i < NR_COUNTERS; i++)
		s->counter[i] = counter(counter_names[i]);
	s->warnings = warnings < 0 ? 0 : warnings;
	s->refcnt = module_refcnt();
	s->fds = count_fds();
	s->taken = taken_fds();
}

const char *state_diff(const struct state *before, bool fds)
{
	static char text[512];
	struct state now;
	int i, len = 0;

	state_read(&now);
	text[0] = '\0';
	for (i = 0; i < NR_COUNTERS; i++) {
		if (before->counter[i] < 0)
			len += snprintf(text + len, sizeof(text) - len,
					"no counter %s; ", counter_names[i]);
		else if (now.counter[i] != before->counter[i])
			len += snprintf(text + len, sizeof(text) - len,
					"%s %ld -> %ld; ", counter_names[i],
					before->counter[i], now.counter[i]);
	}
	if (now.warnings != before->warnings)
		len += snprintf(text + len, sizeof(text) - len,
				"state_warnings %ld -> %ld; ",
				before->warnings, now.warnings);
	if (now.refcnt != before->refcnt)
		len += snprintf(text + len, sizeof(text) - len,
				"refcnt %ld -> %ld; ",
				before->refcnt, now.refcnt);
	if (fds && now.fds != before->fds)
		len += snprintf(text + len, sizeof(text) - len,
				"fds %d -> %d; ", before->fds, now.fds);
	if (fds && now.taken != before->taken)
		len += snprintf(text + len, sizeof(text) - len,
				"descriptors taken %d -> %d; ",
				before->taken, now.taken);
	return text;
}

/* ------------------------------------------------------ time, files, tasks */

long long now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

struct __kernel_timespec ts_ns(long long ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = ns / NSEC_PER_SEC,
		.tv_nsec = ns % NSEC_PER_SEC,
	};

	return ts;
}

unsigned char pattern_byte(uint64_t pos)
{
	return (pos * 2654435761u + (pos >> 12)) >> 7;
}

int tmp_path(char *path, size_t size, const char *name)
{
	const char *dir = getenv("TMPDIR");

	return snprintf(path, size, "%s/iouring2-%s-XXXXXX",
			dir ? dir : "/tmp", name);
}

int tmp_file(size_t size)
{
	unsigned char buf[4096];
	char path[256];
	size_t pos = 0, i, len;
	int fd;

	tmp_path(path, sizeof(path), "file");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	while (pos < size) {
		len = size - pos < sizeof(buf) ? size - pos : sizeof(buf);
		for (i = 0; i < len; i++)
			buf[i] = pattern_byte(pos + i);
		if (pwrite(fd, buf, len, pos) != (ssize_t)len) {
			close(fd);
			return -EIO;
		}
		pos += len;
	}
	return fd;
}

int tmp_fifo(void)
{
	char dir[256], path[300];
	int fd;

	tmp_path(dir, sizeof(dir), "fifo");
	if (!mkdtemp(dir))
		return -errno;
	snprintf(path, sizeof(path), "%s/fifo", dir);
	fd = mkfifo(path, 0600) ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	unlink(path);
	rmdir(dir);
	return fd;
}

int disk_open(void)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *de;
	char path[300];
	__u64 size;
	int fd = -ENODEV;

	while (dir && fd < 0 && (de = readdir(dir))) {
		if (de->d_name[0] == '.' || !strncmp(de->d_name, "sr", 2) ||
		    !strncmp(de->d_name, "fd", 2) ||
		    !strncmp(de->d_name, "zram", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", de->d_name);
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd >= 0 && (ioctl(fd, BLKGETSIZE64, &size) ||
				size < 64 << 20)) {
			close(fd);
			fd = -ENODEV;
		}
	}
	if (dir)
		closedir(dir);
	return fd;
}

int epoll_of(int fd, unsigned int events)
{
	struct epoll_event ev = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC), err;

	if (ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		return ep;
	err = errno;
	if (ep >= 0)
		close(ep);
	return -err;
}

/* A message of one byte, with space for a descriptor */
struct fd_message {
	struct msghdr msg;
	struct iovec iov;
	char byte;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
};

static void fd_message_init(struct fd_message *m)
{
	memset(m, 0, sizeof(*m));
	m->iov.iov_base = &m->byte;
	m->iov.iov_len = 1;
	m->msg.msg_iov = &m->iov;
	m->msg.msg_iovlen = 1;
	m->msg.msg_control = m->control.buf;
	m->msg.msg_controllen = sizeof(m->control.buf);
}

int send_fd(int sock, int fd, int flags)
{
	struct fd_message m;
	struct cmsghdr *c;

	fd_message_init(&m);
	c = CMSG_FIRSTHDR(&m.msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(sock, &m.msg, flags) == 1 ? 0 : -errno;
}

int recv_fd(int sock, int flags)
{
	struct fd_message m;
	struct cmsghdr *c;
	int fd;

	fd_message_init(&m);
	if (recvmsg(sock, &m.msg, flags | MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m.msg);
	if (!c || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

static char task_state(pid_t tid)
{
	char path[64], text[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return '\0';
	p = strrchr(text, ')');
	return p ? p[2] : '\0';
}

bool task_sleeps(pid_t tid)
{
	char state = task_state(tid);

	return state == 'S' || state == 'D';
}

bool task_waits(pid_t tid)
{
	return task_state(tid) == 'S';
}

bool task_wants_lock(pid_t tid)
{
	return task_state(tid) == 'D';
}

/* On one processor, the task with the higher priority always runs first */
int pin_to_one_cpu(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		return -errno;
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}

bool full_stress(void)
{
	const char *s = getenv("IOURING2_STRESS");

	return s && !strcmp(s, "full");
}

bool debug_kernel(void)
{
	struct utsname u;

	return !uname(&u) && strstr(u.release, "-iouring2");
}

bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

int signals_open(int sig, int flags)
{
	struct timespec now = { };
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	sigaddset(&mask, sig);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	/* An old pending signal would make it ready too early */
	while (sigtimedwait(&mask, NULL, &now) == sig)
		;
	fd = signalfd(-1, &mask, SFD_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

/* A block device that executes one request at a time, and needs @ms for each */
int slow_disk(unsigned int ms)
{
	char cmd[128];
	int fd;

	snprintf(cmd, sizeof(cmd),
		 "modprobe -q null_blk hw_queue_depth=1 irqmode=2 completion_nsec=%u000000",
		 ms);
	if (!intrusive() || system(cmd))
		return -ENODEV;
	until_ms(!access("/dev/nullb0", R_OK), 5000);
	fd = open("/dev/nullb0", O_RDONLY | O_DIRECT | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int slow_disk_close(int fd)
{
	close(fd);
	return system("modprobe -r null_blk") ? -EBUSY : 0;
}

bool intrusive(void)
{
	const char *s = getenv("IOURING2_INTRUSIVE");

	return s && !strcmp(s, "1");
}

long env_long(const char *name, long def)
{
	const char *s = getenv(name);

	return s && *s ? strtol(s, NULL, 0) : def;
}
