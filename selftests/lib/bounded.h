/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits for requests and child processes that may never end. Each wait has a
 * time limit: if the module loses a request, a check fails, and the test run
 * goes on.
 *
 * Include after kselftest_harness.h and fixture.h.
 */
#ifndef SELFTESTS_IOURING2_BOUNDED_H
#define SELFTESTS_IOURING2_BOUNDED_H

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "reason.h"
#include "ring.h"

#define ASYNC		IOURING2_SQE_ASYNC
#define LINK		IOURING2_SQE_IO_LINK
#define HARDLINK	IOURING2_SQE_IO_HARDLINK
#define DRAIN		IOURING2_SQE_IO_DRAIN

/* The result if no completion came */
#define NEVER		(-5000)
/* Time limit in milliseconds of a wait for an event that must happen */
#define SOON		((int)env_long("IOURING2_SOON", 15000))
/* Milliseconds to wait for an event that must not happen */
#define A_WHILE		300

/* user_data of the request under test, and of the timer or gate before it */
#define TRIED		0x7123ULL
#define TIMER		0x7143ULL
#define GATE		TIMER

#define BOUNDED_TEST(name) TEST_F_TIMEOUT(ring, name, 100)

/* ------------------------------------------------------------ completions */

/*
 * Take the CQE of @ud out of the CQ, wherever it is in the CQ. @seen is set to
 * the number of CQEs that were checked: others may have been posted since.
 * Return: false if there is no such CQE.
 */
static inline bool pick_seen(struct ring *r, __u64 ud, struct iouring2_cqe *cqe,
			     __u32 *seen)
{
	__u32 mask = r->setup.params.cq_entries - 1;
	__u32 head = *r->cq_head, tail = head + ring_ready(r), i;

	for (i = head; i != tail; i++)
		if (r->cqes[i & mask].user_data == ud)
			break;
	*seen = tail - head;
	if (i == tail)
		return false;
	memcpy(cqe, &r->cqes[i & mask], sizeof(*cqe));
	for (; i != head; i--)
		memcpy(&r->cqes[i & mask], &r->cqes[(i - 1) & mask],
		       sizeof(*cqe));
	st_rel(r->cq_head, head + 1);
	return true;
}

static inline bool pick(struct ring *r, __u64 ud, struct iouring2_cqe *cqe)
{
	__u32 seen;

	return pick_seen(r, ud, cqe, &seen);
}

/*
 * Wait for the completion of @ud without entering the kernel. Return: 0 or
 * -ETIME.
 */
static inline int see_ms(struct ring *r, __u64 ud, struct iouring2_cqe *cqe,
			 int ms)
{
	return until_ms(pick(r, ud, cqe), ms) ? 0 : -ETIME;
}

/*
 * Wait in ENTER for the completion of @ud. Return: 0, -ETIME, or the result of
 * ENTER.
 */
static inline int take_ms(struct ring *r, __u64 ud, struct iouring2_cqe *cqe,
			  int ms)
{
	long long end = now_ns(CLOCK_MONOTONIC) + ms * NSEC_PER_MSEC, left;
	__u32 seen;
	int ret;

	while (!pick_seen(r, ud, cqe, &seen)) {
		left = end - now_ns(CLOCK_MONOTONIC);
		if (left <= 0)
			return -ETIME;
		ret = enter_timeout(r->fd, 0, seen + 1, left);
		if (ret < 0 && ret != -ETIME && ret != -EINTR)
			return ret;
	}
	return 0;
}

/*
 * Wait in ENTER for @ud. Return: its result, NEVER after @ms, or the error of
 * ENTER.
 */
static inline int res_ms(struct ring *r, __u64 ud, int ms)
{
	struct iouring2_cqe cqe;
	int ret = take_ms(r, ud, &cqe, ms);

	return ret == -ETIME ? NEVER : ret < 0 ? ret : cqe.res;
}

/* The same without entering the kernel */
static inline int seen_ms(struct ring *r, __u64 ud, int ms)
{
	struct iouring2_cqe cqe;

	return see_ms(r, ud, &cqe, ms) ? NEVER : cqe.res;
}

/* Submit all queued entries. Return: 0 if all were accepted. */
static inline int submit_all(struct ring *r)
{
	unsigned int nr = ring_publish(r);
	int ret = ring_submit(r);

	return ret == (int)nr ? 0 : ret < 0 ? ret : -EPROTO;
}

/* Set our copy of the SQ tail, because another process may have submitted */
static inline void ring_sync(struct ring *r)
{
	r->sqe_tail = ld_acq(r->sq_tail);
}

/* Add and fill one SQE */
static inline struct iouring2_sqe *add(struct ring *r, int op, int fd,
				       const void *addr, unsigned int len,
				       __u64 off, unsigned int flags, __u64 ud)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep(sqe, op, fd, addr, len, off);
	sqe->flags = flags;
	sqe->user_data = ud;
	return sqe;
}

static inline void add_timer(struct ring *r, unsigned int ms,
			     unsigned int flags, __u64 ud)
{
	static struct __kernel_timespec ts[8];
	static unsigned int nr;
	struct __kernel_timespec *t = &ts[nr++ % 8];
	struct iouring2_sqe *sqe = ring_sqe(r);

	*t = ts_ns(ms * NSEC_PER_MSEC);
	prep_timeout(sqe, t, 0, 0);
	sqe->flags = flags;
	sqe->user_data = ud;
}

/* Add a gate. Return: the gate, for open_gate(). */
static inline int add_gate(struct ring *r, __u64 ud)
{
	struct iouring2_sqe *sqe = ring_sqe(r);
	int gate = prep_gate(sqe);

	sqe->user_data = ud;
	return gate;
}

/* ------------------------------------------------- manners of execution */

/*
 * How a request is executed:
 * PLAIN	it is submitted without flags
 * AS_ASYNC	it is submitted with IOURING2_SQE_ASYNC
 * LINKED	it starts after a timer, while its process waits in ENTER
 * AWAY		it starts behind a gate, while no task is in ENTER; then its
 *		process enters
 */
enum manner { PLAIN, AS_ASYNC, LINKED, AWAY, NR_HOW };

/* A fixture that runs each test once for each manner, variant->how */
#define MANNER_FIXTURE(name)						\
RING_FIXTURE(name) {							\
	enum manner how;						\
};									\
									\
FIXTURE_VARIANT_ADD(name, plain) { PLAIN };				\
FIXTURE_VARIANT_ADD(name, async) { AS_ASYNC };				\
FIXTURE_VARIANT_ADD(name, linked) { LINKED };				\
FIXTURE_VARIANT_ADD(name, linked_not_in_enter) { AWAY }

static inline const char *how_name(unsigned int how)
{
	static const char * const names[NR_HOW] = {
		"plain", "ASYNC", "linked", "linked, not in ENTER",
	};

	return how < NR_HOW ? names[how] : "";
}

/* Submit one request in manner @how. Return: 0 or an error. */
static inline int start_how(struct ring *r, enum manner how, int op, int fd,
			    const void *addr, unsigned int len, __u64 off)
{
	int gate = -1, ret;

	if (how == LINKED)
		add_timer(r, 20, HARDLINK, TIMER);
	if (how == AWAY)
		gate = add_gate(r, GATE);
	add(r, op, fd, addr, len, off, how == AS_ASYNC ? ASYNC : 0, TRIED);
	ret = submit_all(r);
	if (how == AWAY)
		open_gate(gate);
	return ret;
}

/* Wait for the request of start_how(). Return: its result, or NEVER. */
static inline int finish_how(struct ring *r, enum manner how, int ms)
{
	struct iouring2_cqe cqe;

	if (how == LINKED && take_ms(r, TIMER, &cqe, ms))
		return NEVER;
	if (how == AWAY) {
		if (see_ms(r, GATE, &cqe, ms))
			return NEVER;
		usleep(50000);
	}
	return res_ms(r, TRIED, ms);
}

/* Execute one request in manner @how. Return: its result. */
static inline int do_how(struct ring *r, enum manner how, int op, int fd,
			 const void *addr, unsigned int len, __u64 off)
{
	int ret = start_how(r, how, op, fd, addr, len, off);

	return ret ? ret : finish_how(r, how, SOON);
}

/* Execute one request with SQE flags @flags. Return: its result. */
static inline int do_one(struct ring *r, int op, int fd, const void *addr,
			 unsigned int len, __u64 off, unsigned int flags)
{
	int ret;

	add(r, op, fd, addr, len, off, flags, TRIED);
	ret = submit_all(r);
	return ret ? ret : res_ms(r, TRIED, SOON);
}

/* ----------------------------------------------------------------- children */

/* Zeroed memory that is shared with children */
static inline void *shared_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Return: the wait status of a child, or -ETIME if it has not ended */
static inline int reap_ms(pid_t pid, int ms)
{
	int status;

	if (!until_ms(waitpid(pid, &status, WNOHANG) == pid, ms))
		return -ETIME;
	return status;
}

/*
 * Start a process that shares our table of descriptors, and nothing else.
 * Return: as fork().
 */
static inline pid_t fork_sharing(void)
{
	fflush(NULL);
	return syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
}

/*
 * Close the standard descriptors. Otherwise a process that never ends keeps the
 * output open, and the test run waits for it.
 */
static inline void let_go_of_output(void)
{
	close(0);
	close(1);
	close(2);
}

/*
 * Run @fn in a child. Return: the text that it returns, or how the child ended.
 */
static inline const char *child_ms(const char *(*fn)(void *arg), void *arg,
				   int ms)
{
	static char text[600];
	char *said = shared_new(sizeof(text));
	int status;
	pid_t pid;

	if (!said)
		return "no memory";
	fflush(NULL);
	pid = fork();
	if (!pid) {
		snprintf(said, sizeof(text), "%s", fn(arg));
		_exit(0);
	}
	status = reap_ms(pid, ms);
	if (status == -ETIME) {
		kill(pid, SIGKILL);
		snprintf(text, sizeof(text), "the child hangs%s",
			 reap_ms(pid, SOON) == -ETIME ? ", SIGKILL or not" : "");
	} else if (status) {
		snprintf(text, sizeof(text), "the child's status: 0x%x", status);
	} else {
		memcpy(text, said, sizeof(text));
	}
	munmap(said, sizeof(text));
	return text;
}

#define EXPECT_CHILD(fn, arg)	EXPECT_STREQ("", child_ms(fn, arg, 40000))

/* Start a child that writes to @efd every 20 ms for as long as we live */
static inline void written_often(int efd)
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent) {
		eventfd_write(efd, 1);
		usleep(20000);
	}
	_exit(0);
}

/* From now on, this process submits under another identity */
static inline int next_identity(void)
{
	static rlim_t size = 1UL << 40;
	struct rlimit l;

	if (getrlimit(RLIMIT_FSIZE, &l))
		return -errno;
	l.rlim_cur = size++;
	return setrlimit(RLIMIT_FSIZE, &l) ? -errno : 0;
}

/* ----------------------------------------------------------------- the rest */

/*
 * Return: whether the module has released all that it has taken since @before.
 * That takes a moment: a thread that has been joined, or a process that is not a
 * child, may still be about to close its table of descriptors. @prod, which may
 * be NULL, makes it happen; one call may not be enough.
 */
static inline bool all_is_released(const struct state *before,
				   void (*prod)(void))
{
	return until_ms((prod ? prod() : (void)0, !*state_diff(before, false)),
			SOON);
}

__printf(2, 3)
static inline int write_text(const char *path, const char *fmt, ...)
{
	char text[400];
	int fd, len, ret = 0;
	va_list ap;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

/* Cut off the end of the line */
static inline char *first_line(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* Return: 0, or the status of the shell */
__printf(1, 2)
static inline int shell(const char *fmt, ...)
{
	char cmd[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

#endif
