/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring without a library: functions to set up a ring, to fill and enter it,
 * to reap, and to look at the module's state from outside.
 *
 * Rules for the return values of the tests' functions, here and elsewhere:
 * - A function that does or makes something returns 0, or its result (a
 *   descriptor, a number), or -errno. A function that calls ENTER returns the
 *   result of ENTER.
 * - A check, and the body of a child process, return "" or the reason of the
 *   failure as a text. So EXPECT_STREQ("", ...) prints what is wrong.
 * - A bool function answers a question. A function that reads a number from the
 *   kernel returns -1 if there is no such number.
 */
#ifndef SELFTESTS_IOURING2_RING_H
#define SELFTESTS_IOURING2_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <linux/iouring2.h>

#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL

/* Bytes of a kernel signal mask, and of the array type that holds it */
#define SIGSET_BYTES	8

struct ring {
	int fd;
	struct iouring2_setup setup;	/* as SETUP wrote it */
	void *map;			/* both rings, FEAT_SINGLE_MMAP */
	size_t map_len;
	struct iouring2_sqe *sqes;
	size_t sqes_len;
	__u32 sqe_tail;			/* includes unpublished entries */

	__u32 *sq_head;
	__u32 *sq_tail;
	__u32 *sq_mask;
	__u32 *sq_entries;
	__u32 *sq_flags;
	__u32 *sq_dropped;
	__u32 *sq_array;		/* NULL with SETUP_NO_SQARRAY */
	__u32 *cq_head;
	__u32 *cq_tail;
	__u32 *cq_mask;
	__u32 *cq_entries;
	__u32 *cq_overflow;
	__u32 *cq_flags;
	struct iouring2_cqe *cqes;
};

/* A completion of any size */
struct big_cqe {
	__u64 user_data;
	__s32 res;
	__u32 flags;
	__u64 extra[2];		/* 0 if it has 16 bytes */
	unsigned int slot;	/* where it was in the CQ */
	unsigned int slots;	/* entries that it took */
};

#define ld_acq(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define st_rel(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

/* The device */
int dev_open(void);
bool dev_usable(const char **why);
int dev_query(struct iouring2_query *q);
int dev_setup(struct iouring2_setup *s);	/* opens and closes the node */

/* Rings; with SETUP_NO_MMAP ring_init_*() provide the memory */
void ring_point(struct ring *r);
int ring_map(struct ring *r);
void ring_memory_len(const struct iouring2_setup *s, size_t *rings,
		     size_t *sqes);
int ring_memory(struct ring *r);
int ring_init_setup(struct ring *r, const struct iouring2_setup *s);
int ring_init_params(struct ring *r, unsigned int sq, unsigned int cq,
		     unsigned int flags, unsigned int max_inflight);
int ring_init(struct ring *r, unsigned int sq, unsigned int cq);
void ring_unmap(struct ring *r);
void ring_exit(struct ring *r);
size_t sqe_size(const struct iouring2_params *p);	/* bytes of an entry */
size_t cqe_size(const struct iouring2_params *p);
size_t ring_map_len(const struct iouring2_params *p);

/* Submission */
struct iouring2_sqe *ring_sqe(struct ring *r);	/* NULL: SQ is full */
unsigned int ring_publish(struct ring *r);	/* entries not taken yet */
unsigned int ring_unsubmitted(struct ring *r);
int enter_by_fadvise(int fd, long long to_submit, long long min_complete,
		     unsigned int flags);
int enter(int fd, unsigned int to_submit, unsigned int min_complete,
	  unsigned int flags, const void *arg, size_t argsz);
int enter_timeout(int fd, unsigned int to_submit, unsigned int min_complete,
		  long long ns);
int ring_submit(struct ring *r);
int ring_submit_wait(struct ring *r, unsigned int nr);

/* Completion */
unsigned int ring_ready(struct ring *r);
bool ring_peek(struct ring *r, struct iouring2_cqe *cqe);	/* take a CQE */
bool ring_peek_big(struct ring *r, struct big_cqe *cqe);
int ring_wait(struct ring *r, struct iouring2_cqe *cqe);
int ring_take(struct ring *r, __u64 user_data, struct iouring2_cqe *cqe);
int ring_do(struct ring *r);	/* submit one entry, wait, return cqe.res */
int ring_nop(struct ring *r, __u64 user_data);	/* queue a NOP: 0, -EBUSY */

/* The name of an opcode without IOURING2_OP_, or NULL if the header has none */
const char *op_name(unsigned int op);

/* Fill an entry; user_data and flags become 0 */
void prep(struct iouring2_sqe *sqe, int op, int fd, const void *addr,
	  unsigned int len, __u64 off);
void prep_nop(struct iouring2_sqe *sqe);
void prep_read(struct iouring2_sqe *sqe, int fd, void *buf, unsigned int len,
	       __u64 off);
void prep_write(struct iouring2_sqe *sqe, int fd, const void *buf,
		unsigned int len, __u64 off);
void prep_poll(struct iouring2_sqe *sqe, int fd, unsigned int events);
void prep_poll_multi(struct iouring2_sqe *sqe, int fd, unsigned int events);
void prep_poll_remove(struct iouring2_sqe *sqe, __u64 target);
void prep_timeout(struct iouring2_sqe *sqe, struct __kernel_timespec *ts,
		  unsigned int count, unsigned int flags);
int prep_gate(struct iouring2_sqe *sqe);
void open_gate(int gate);
void prep_timeout_remove(struct iouring2_sqe *sqe, __u64 target);
void prep_cancel(struct iouring2_sqe *sqe, __u64 target, unsigned int flags);

/* The state of the module, from outside */
#define NR_COUNTERS	6
#define FDS_LOOKED_AT	128	/* descriptors that taken_fds() counts */

struct state {
	long counter[NR_COUNTERS];
	long warnings;		/* failed assertions; 0: no counter */
	long refcnt;
	int fds;
	int taken;		/* descriptors that are open or reserved */
};

long counter(const char *name);		/* -1: there is none */
long module_refcnt(void);
long module_param(const char *name);
int module_param_set(const char *name, long value);
int count_fds(void);
int lowest_fd(void);
int taken_fds(void);
long long fdinfo(int fd, const char *key);	/* -1: no such key */
void state_read(struct state *s);
/* Return: "" or what differs; @fds: compare the number of descriptors, too */
const char *state_diff(const struct state *before, bool fds);

/* Time, files, threads */
long long now_ns(clockid_t clock);
struct __kernel_timespec ts_ns(long long ns);
int read_text(const char *path, char *buf, size_t size);
int tmp_file(size_t size);	/* unlinked, filled with pattern_byte() */
int tmp_path(char *path, size_t size, const char *name);
unsigned char pattern_byte(uint64_t pos);
int tmp_fifo(void);		/* unlinked, open to read and write */
int disk_open(void);	/* some disk, O_RDONLY | O_DIRECT */
int epoll_of(int fd, unsigned int events);	/* a new set with @fd */
int send_fd(int sock, int fd, int flags);
int recv_fd(int sock, int flags);
bool task_sleeps(pid_t tid);	/* in the kernel, not running */
bool task_waits(pid_t tid);	/* the same; a signal would wake it */
bool task_wants_lock(pid_t tid);	/* the same; a signal would not */
int pin_to_one_cpu(void);
bool full_stress(void);		/* IOURING2_STRESS=full */
bool debug_kernel(void);	/* one of our debug kernels, which are slow */
bool hung_up(int fd);		/* a pipe or socket whose other end is closed */
int signals_open(int sig, int flags);	/* a signalfd; blocks the signal */
int slow_disk(unsigned int ms);	/* O_DIRECT, or < 0 if there is none */
int slow_disk_close(int fd);	/* also unloads its module */
bool intrusive(void);		/* IOURING2_INTRUSIVE=1: system-wide knobs */
long env_long(const char *name, long def);

/* Wait until @cond is true. The result is false if it is not within @ms. */
#define until_ms(cond, ms)						\
({									\
	long long __end = now_ns(CLOCK_MONOTONIC) + (ms) * NSEC_PER_MSEC; \
	bool __ok;							\
									\
	while (!(__ok = !!(cond)) && now_ns(CLOCK_MONOTONIC) < __end)	\
		usleep(500);						\
	__ok;								\
})
#define until(cond)	until_ms(cond, 30000)

#endif
