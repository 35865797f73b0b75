// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Registered ring descriptors. io_uring keeps 16 of them in each task, which a module
 * cannot do. Here they are in the memory of the process, in slots that belong to a
 * thread. A slot has a duplicate of the ring's descriptor, so the ring stays open when
 * the program closes its own descriptor.
 *
 * This code uses no C library. It takes no lock, because it may run in a signal handler.
 * A thread changes its own slots only, and blocks signals meanwhile. Another thread may
 * change them when their thread has ended, after it has replaced @tid by BUSY. The
 * memory of slots is never freed. Threads that start later use it again.
 */
#include <linux/fcntl.h>
#include <linux/iouring2.h>
#include <linux/kcmp.h>
#include <linux/mman.h>

#include "registered.h"
#include "sys.h"

#define PAGE		4096
/* the first number of a duplicate, if the limit of descriptors allows it */
#define DUPLICATES	768
#define NR_REGISTER	427
#define MASK_SIZE	8
#define SIG_SETMASK	2
/* the owner of slots that are being changed; no thread has this ID */
#define BUSY		(-1)

/**
 * struct io2_slots - the registered rings of a thread
 * @tid: the thread, BUSY, or 0 if the slots are free
 * @pid: its process
 * @ring: descriptor + 1 of a ring of iouring2, -(descriptor + 1) of one of the kernel's
 *	io_uring, or 0
 */
struct io2_slots {
	int	tid;
	int	pid;
	int	ring[IO2_REGISTERED_MAX];
};

#define PER_BLOCK ((PAGE - sizeof(void *)) / sizeof(struct io2_slots))

struct block {
	struct block		*next;
	struct io2_slots	slots[PER_BLOCK];
};

static struct block *blocks;
/* 1, on a page that the kernel clears in a forked process */
static int *not_forked;

static int get(const int *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void set(int *at, int value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static int change(int *at, int from, int to)
{
	return __atomic_compare_exchange_n(at, &from, to, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static int own_tid(void)
{
	return (int)io2_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
}

static int own_pid(void)
{
	return (int)io2_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
}

/* Block all signals but SIGSYS, which must never be blocked. */
static unsigned long block_signals(void)
{
	unsigned long all = ~(1UL << (31 - 1)), old = 0;

	io2_syscall(__NR_rt_sigprocmask, SIG_SETMASK, IO2_P(&all), IO2_P(&old),
		    MASK_SIZE, 0, 0);
	return old;
}

static void restore_signals(unsigned long old)
{
	io2_syscall(__NR_rt_sigprocmask, SIG_SETMASK, IO2_P(&old), 0, MASK_SIZE, 0, 0);
}

/* ---- duplicates ------------------------------------------------------------ */

static long duplicate(int fd)
{
	long ret;

	ret = io2_syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, DUPLICATES, 0, 0, 0);
	/* the limit is lower, or all these numbers are taken */
	if (ret == -EINVAL || ret == -EMFILE)
		ret = io2_syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
	return ret;
}

static int descriptor(int ring)
{
	return (ring < 0 ? -ring : ring) - 1;
}

/* A call without valid arguments changes nothing. Return: 1 if @ret shows a ring, else 0. */
static int is_ring(long ret)
{
	return ret == -EINVAL || ret == -EEXIST || ret == -EACCES;
}

int io2_ring_kind(int fd)
{
	/* not REGISTER, which the device has, too */
	struct iouring2_enter e = { .flags = ~0U };
	long ret;

	ret = io2_syscall(__NR_ioctl, fd, IOURING2_IOC_ENTER, IO2_P(&e), 0, 0, 0);
	if (is_ring(ret))
		return IO2_RING;
	if (ret == -ENOTTY)
		ret = io2_syscall(NR_REGISTER, fd, IOURING2_UNREGISTER_BUFFERS, 0, 1, 0, 0);
	if (is_ring(ret))
		return IO2_NATIVE_RING;
	return ret == -EBADF ? -EBADF : -EOPNOTSUPP;
}

/*
 * The program may have closed all its descriptors, as a child of fork may do, and the
 * number may be that of another file by now.
 */
static void close_ring(int ring)
{
	if (ring && io2_ring_kind(descriptor(ring)) >= 0)
		io2_syscall(__NR_close, descriptor(ring), 0, 0, 0, 0, 0);
}

static void close_rings(const int *rings)
{
	int i;

	for (i = 0; i < IO2_REGISTERED_MAX; i++)
		close_ring(rings[i]);
}

/* Move the rings of slots that the caller has made BUSY to @rings, and free the slots. */
static void take(struct io2_slots *s, int *rings)
{
	int i;

	for (i = 0; i < IO2_REGISTERED_MAX; i++)
		rings[i] = __atomic_exchange_n(&s->ring[i], 0, __ATOMIC_ACQ_REL);
	set(&s->tid, 0);
}

static int has_rings(const struct io2_slots *s)
{
	int i;

	for (i = 0; i < IO2_REGISTERED_MAX; i++) {
		if (get(&s->ring[i]))
			return 1;
	}
	return 0;
}

/* ---- memory ---------------------------------------------------------------- */

static void *map(unsigned long size)
{
	long at = io2_syscall(__NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at < 0 && at >= -4095 ? (void *)0 : (void *)at;
}

static void unmap(void *at, unsigned long size)
{
	io2_syscall(__NR_munmap, IO2_P(at), (long)size, 0, 0, 0, 0);
}

static int make_mark(void)
{
	int *mark, *none = (void *)0;

	if (__atomic_load_n(&not_forked, __ATOMIC_ACQUIRE))
		return 1;
	mark = map(PAGE);
	if (!mark)
		return 0;
	if (io2_syscall(__NR_madvise, IO2_P(mark), PAGE, MADV_WIPEONFORK, 0, 0, 0)) {
		unmap(mark, PAGE);
		return 0;
	}
	*mark = 1;
	/* another thread may be faster */
	if (!__atomic_compare_exchange_n(&not_forked, &none, mark, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		unmap(mark, PAGE);
	return 1;
}

static struct block *add_block(void)
{
	struct block *b = map(sizeof(*b));

	if (!b)
		return b;
	b->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&blocks, &b->next, b, 0, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	return b;
}

static struct block *first_block(void)
{
	return __atomic_load_n(&blocks, __ATOMIC_ACQUIRE);
}

/* ---- threads that have ended, and processes that have been forked ---------- */

/* A process that was cloned with the same table of descriptors, but with other memory */
static int shares_files_with_parent(void)
{
	long parent = io2_syscall(__NR_getppid, 0, 0, 0, 0, 0, 0);

	return !io2_syscall(__NR_kcmp, own_pid(), parent, KCMP_FILES, 0, 0, 0);
}

void io2_registered_fork(void)
{
	int *mark = __atomic_load_n(&not_forked, __ATOMIC_ACQUIRE);
	int i, tid, pid, shared, rings[IO2_REGISTERED_MAX];
	unsigned long old;
	struct block *b;

	if (!mark || get(mark))
		return;
	old = block_signals();
	pid = own_pid();
	shared = shares_files_with_parent();
	for (b = first_block(); b; b = b->next) {
		for (i = 0; i < (int)PER_BLOCK; i++) {
			tid = get(&b->slots[i].tid);
			/* another thread of this process may have slots by now */
			if (tid <= 0 || get(&b->slots[i].pid) == pid ||
			    !change(&b->slots[i].tid, tid, BUSY))
				continue;
			take(&b->slots[i], rings);
			if (!shared)
				close_rings(rings);
		}
	}
	set(mark, 1);
	restore_signals(old);
}

static int has_ended(const struct io2_slots *s, int tid, int pid)
{
	return get(&s->pid) == pid &&
	       io2_syscall(__NR_tgkill, pid, tid, 0, 0, 0, 0) == -ESRCH;
}

/*
 * Close the rings of a thread, and free its slots. Signals are not blocked during the
 * close, which may wait for requests.
 */
static void end_slots(struct io2_slots *s, int tid)
{
	int mine, rings[IO2_REGISTERED_MAX];
	unsigned long old;

	old = block_signals();
	mine = change(&s->tid, tid, BUSY);
	if (mine)
		take(s, rings);
	restore_signals(old);
	if (mine)
		close_rings(rings);
}

/* End the slots of threads that have ended. Without @all, only those with a ring. */
static void reap(int all)
{
	struct block *b = first_block();
	int i, tid, pid = b ? own_pid() : 0;
	struct io2_slots *s;

	for (; b; b = b->next) {
		for (i = 0; i < (int)PER_BLOCK; i++) {
			s = &b->slots[i];
			tid = get(&s->tid);
			if (tid > 0 && (all || has_rings(s)) && has_ended(s, tid, pid))
				end_slots(s, tid);
		}
	}
}

/* ---- the slots of a thread ------------------------------------------------- */

/* A thread's slots are most often at a place that its ID determines. */
static struct io2_slots *find(int tid, int free_ones)
{
	struct io2_slots *s;
	struct block *b;
	unsigned int i;

	for (b = first_block(); b; b = b->next) {
		for (i = 0; i < PER_BLOCK; i++) {
			s = &b->slots[((unsigned int)tid + i) % PER_BLOCK];
			if (free_ones ? change(&s->tid, 0, BUSY) : get(&s->tid) == tid)
				return s;
		}
	}
	return (void *)0;
}

static struct io2_slots *make_slots(int tid)
{
	struct io2_slots *s;

	if (!make_mark())
		return (void *)0;
	s = find(tid, 1);
	if (!s) {
		reap(1);
		s = find(tid, 1);
	}
	/* other threads may take all of a new block */
	while (!s) {
		if (!add_block())
			return (void *)0;
		s = find(tid, 1);
	}
	set(&s->pid, own_pid());
	set(&s->tid, tid);
	return s;
}

/* The calling thread's slots, or NULL. With @make, make them, with signals blocked. */
static struct io2_slots *own_slots(struct io2_thread *t, int make)
{
	int *mark = __atomic_load_n(&not_forked, __ATOMIC_ACQUIRE);
	struct io2_slots *s;
	int tid;

	if (t && t->slots && get(mark) && get(&t->slots->tid) == t->tid)
		return t->slots;
	if (!mark && !make)
		return (void *)0;
	io2_registered_fork();
	tid = own_tid();
	s = find(tid, 0);
	if (!s && make)
		s = make_slots(tid);
	if (t) {
		t->slots = s;
		t->tid = tid;
	}
	return s;
}

/* ---- what the translation calls -------------------------------------------- */

long io2_registered_get(struct io2_thread *t, unsigned int index, int *kind)
{
	struct io2_slots *s = own_slots(t, 0);
	int ring;

	if (!s || index >= IO2_REGISTERED_MAX)
		return -EINVAL;
	ring = get(&s->ring[index]);
	if (!ring)
		return -EBADF;
	*kind = ring < 0 ? IO2_NATIVE_RING : IO2_RING;
	return descriptor(ring);
}

static long put(struct io2_slots *s, unsigned int index, int fd, int kind)
{
	unsigned int i = index == ~0U ? 0 : index;
	unsigned int end = index == ~0U ? IO2_REGISTERED_MAX : index + 1;
	long copy;

	while (i < end && get(&s->ring[i]))
		i++;
	if (i == end)
		return -EBUSY;
	copy = duplicate(fd);
	if (copy < 0)
		return copy;
	set(&s->ring[i], (int)(kind == IO2_RING ? copy + 1 : -(copy + 1)));
	return i;
}

long io2_registered_add(struct io2_thread *t, int fd, int kind, unsigned int index)
{
	struct io2_slots *s;
	unsigned long old;
	long ret = -ENOMEM;

	if (index != ~0U && index >= IO2_REGISTERED_MAX)
		return -EINVAL;
	old = block_signals();
	s = own_slots(t, 1);
	if (s)
		ret = put(s, index, fd, kind);
	restore_signals(old);
	return ret;
}

void io2_registered_remove(struct io2_thread *t, unsigned int index)
{
	struct io2_slots *s = own_slots(t, 0);

	if (s && index < IO2_REGISTERED_MAX)
		close_ring(__atomic_exchange_n(&s->ring[index], 0, __ATOMIC_ACQ_REL));
}

int io2_registered_used(struct io2_thread *t)
{
	return !!own_slots(t, 0);
}

void io2_registered_begin(struct io2_thread *t)
{
	unsigned long old = block_signals();

	own_slots(t, 1);
	restore_signals(old);
}

void io2_registered_reap(void)
{
	reap(0);
}

void io2_registered_end(struct io2_thread *t)
{
	struct io2_slots *s = own_slots(t, 0);

	if (s)
		end_slots(s, t->tid);
}
