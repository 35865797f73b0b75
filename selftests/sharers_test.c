// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that share a ring do not wait for each other. Two cases are tested:
 * a request of one process drops the last reference of a file whose close takes
 * long, and a request of one process accesses a page that nobody provides.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "cuse.h"
#include "lingering.h"

#define LINGER_S	80
/*
 * Time limit in milliseconds for steps that must not wait for a lingering
 * socket: well below LINGER_S, and long enough for a busy machine
 */
#define AT_ONCE		25000

/*
 * Memory that the processes of a test share.
 * @step: not 0: a task waits for the absent page
 * @owner: the process owner has submitted its request
 * @victim: the process victim has submitted its request
 * @result: not 0: the owner has no userfaultfd
 */
struct play {
	int step;
	bool owner, victim, done;
	int result;
};

/* ------------------------------------------------- a close that takes long */

/*
 * A shared ring with the processes owner and victim, and a file whose close
 * takes long
 * @fd: descriptor of the file
 * @peer: the other end of a socket, or -1
 * @other: descriptor of the same file, opened once more
 * @c: the server of the file, or NULL
 */
struct scene {
	struct play *p;
	struct ring r;
	int fd, peer, other, pipe[2];
	struct cuse *c;
	pid_t owner, victim;
};

/*
 * A kind of file whose close takes long
 * @open: open the file. Return: NULL, or why there is no such file
 * @ask: queue the request of the owner, whose user_data is 1
 * @answer: end that request while the owner is not in ENTER
 * @result: result of the request
 * @closing: does the close wait at this moment?
 * @end: let the close end
 */
struct slow_file {
	const char *(*open)(struct scene *sc);
	void (*ask)(struct scene *sc, struct ring *r);
	bool (*answer)(struct scene *sc);
	int result;
	bool (*closing)(struct scene *sc);
	void (*end)(struct scene *sc);
};

static const char *socket_open(struct scene *sc)
{
	int s[2];

	if (lingering(s, LINGER_S))
		return "no connection";
	sc->fd = s[0];
	sc->peer = s[1];
	return NULL;
}

static void socket_ask(struct scene *sc, struct ring *r)
{
	static char b[8];

	add(r, IOURING2_OP_READ, sc->fd, b, 1, 0, 0, 1);
}

static bool socket_answer(struct scene *sc)
{
	return write(sc->peer, "x", 1) == 1;
}

/* The module cuts the wait of a socket short, because no task waits for it */
static bool socket_closing(struct scene *sc)
{
	return true;
}

static void socket_end(struct scene *sc)
{
	close(sc->peer);
}

/*
 * The server does not answer FUSE_RELEASE. On every kernel the last fput() of a
 * CUSE device waits for the answer, and a signal does not end that wait.
 */
static const char *device_open(struct scene *sc)
{
	sc->c = cuse_start();
	if (!sc->c)
		return "no CUSE";
	st_rel(&sc->c->quiet, true);
	st_rel(&sc->c->hold_release, true);
	sc->fd = open(CUSE_NODE, O_RDWR | O_CLOEXEC);
	return sc->fd < 0 ? "no device" : NULL;
}

static void device_ask(struct scene *sc, struct ring *r)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, sc->fd, POLLIN);
	sqe->user_data = 1;
}

/* The task that completes the cancelled poll drops the last reference */
static bool device_answer(struct scene *sc)
{
	struct iouring2_sqe *sqe = ring_sqe(&sc->r);

	prep_cancel(sqe, 1, 0);
	sqe->user_data = 5;
	return !submit_all(&sc->r) && seen_ms(&sc->r, 5, AT_ONCE) == 0;
}

static bool device_closing(struct scene *sc)
{
	return until_ms(ld_acq(&sc->c->releasing), SOON) &&
	       counter("files") > 0;
}

static void device_end(struct scene *sc)
{
	st_rel(&sc->c->hold_release, false);
}

/*
 * The file is on a FUSE file system with a block device and a writeback cache.
 * After a write, its close has to tell the server the time of the write, and the
 * server does not answer.
 */
static const char *fuseblk_open(struct scene *sc)
{
	sc->c = fuseblk_start();
	if (!sc->c)
		return "no FUSE file system on a block device";
	st_rel(&sc->c->quiet, true);
	st_rel(&sc->c->hold, true);
	sc->fd = open(sc->c->file, O_RDWR | O_CLOEXEC);
	return sc->fd < 0 ? "no file" : NULL;
}

/* The write comes after close(2), which would wait for the server, too */
static bool fuseblk_answer(struct scene *sc)
{
	sc->other = open(sc->c->file, O_RDWR | O_CLOEXEC);
	return write(sc->other, "x", 1) == 1 && device_answer(sc);
}

static bool fuseblk_closing(struct scene *sc)
{
	return until_ms(ld_acq(&sc->c->asked), SOON) && counter("files") > 0;
}

static void fuseblk_end(struct scene *sc)
{
	st_rel(&sc->c->hold, false);
	close(sc->other);
}

static const struct slow_file slow_socket = {
	socket_open, socket_ask, socket_answer, 1, socket_closing, socket_end,
};

static const struct slow_file slow_device = {
	device_open, device_ask, device_answer, -ECANCELED, device_closing,
	device_end,
};

static const struct slow_file slow_fuseblk = {
	fuseblk_open, device_ask, fuseblk_answer, -ECANCELED, fuseblk_closing,
	fuseblk_end,
};

/*
 * The process owner: it submits a request for the file, and closes its
 * descriptor. The request holds the file from then on.
 */
static void owns_file(const struct slow_file *f, struct scene *sc)
{
	struct ring r = sc->r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring_sync(&r);
	close(sc->peer);
	close(sc->pipe[0]);
	close(sc->pipe[1]);
	f->ask(sc, &r);
	if (submit_all(&r))
		_exit(1);
	close(sc->fd);
	st_rel(&sc->p->owner, true);
	for (;;)
		pause();
}

/* The process victim: it submits a read of a pipe. A test may kill it. */
static void is_victim(struct scene *sc)
{
	static char b[8];
	struct ring r = sc->r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring_sync(&r);
	close(sc->fd);
	close(sc->peer);
	add(&r, IOURING2_OP_READ, sc->pipe[0], b, 1, 0, 0, 2);
	if (submit_all(&r))
		_exit(1);
	st_rel(&sc->p->victim, true);
	for (;;)
		pause();
}

/* Return: NULL, or why there is no such file */
static const char *scene_open(const struct slow_file *f, struct scene *sc)
{
	memset(sc, 0, sizeof(*sc));
	sc->peer = -1;
	return f->open(sc);
}

static bool scene_start(const struct slow_file *f, struct scene *sc)
{
	long long t;

	sc->p = shared_new(sizeof(*sc->p));
	if (pipe2(sc->pipe, O_CLOEXEC) || ring_init(&sc->r, 8, 0))
		return false;
	sc->owner = fork();
	if (!sc->owner)
		owns_file(f, sc);
	if (!until(ld_acq(&sc->p->owner)))
		return false;
	sc->victim = fork();
	if (!sc->victim)
		is_victim(sc);
	close(sc->fd);
	close(sc->pipe[0]);
	if (!until(ld_acq(&sc->p->victim)))
		return false;
	ring_sync(&sc->r);
	/* the request ends, and drops the last reference of the file */
	t = now_ns(CLOCK_MONOTONIC);
	if (!f->answer(sc) || seen_ms(&sc->r, 1, AT_ONCE) != f->result)
		return false;
	/* the module closes the file, because the owner is not in ENTER */
	return now_ns(CLOCK_MONOTONIC) - t < AT_ONCE * NSEC_PER_MSEC &&
	       f->closing(sc);
}

/*
 * Let the close end. Return: whether the module then has released all that it
 * held.
 */
static bool scene_over(const struct slow_file *f, struct scene *sc,
		       const struct state *before)
{
	bool over;

	f->end(sc);
	over = all_is_released(before, NULL);
	if (sc->c)
		cuse_end(sc->c);
	return over;
}

/* Kill and reap a process, which the test may have reaped already */
static void put_away(pid_t pid)
{
	kill(pid, SIGKILL);
	until_ms(waitpid(pid, NULL, WNOHANG), SOON);
}

static void scene_end(struct scene *sc)
{
	close(sc->pipe[1]);
	put_away(sc->owner);
	put_away(sc->victim);
	ring_exit(&sc->r);
	munmap(sc->p, sizeof(*sc->p));
}

RING_FIXTURE(closing) {
	const struct slow_file *file;
};

FIXTURE_VARIANT_ADD(closing, linger) { &slow_socket };
FIXTURE_VARIANT_ADD(closing, cuse) { &slow_device };
FIXTURE_VARIANT_ADD(closing, fuseblk) { &slow_fuseblk };

#define START(sc) do {							\
	const char *why_not = scene_open(variant->file, sc);		\
									\
	if (why_not)							\
		SKIP(return, "%s", why_not);				\
	ASSERT_TRUE(scene_start(variant->file, sc));			\
} while (0)

/*
 * While the file is being closed, requests of other processes complete: those
 * of the victim, which is not in ENTER, and those of this process
 */
TEST_F_TIMEOUT(closing, progress, 100)
{
	struct scene sc;
	char b[8];
	int p[2];

	START(&sc);
	ASSERT_EQ(1, write(sc.pipe[1], "y", 1));
	EXPECT_EQ(1, seen_ms(&sc.r, 2, AT_ONCE));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	add(&sc.r, IOURING2_OP_READ, p[0], b, 1, 0, 0, 3);
	ASSERT_EQ(0, submit_all(&sc.r));
	ASSERT_EQ(1, write(p[1], "z", 1));
	EXPECT_EQ(1, seen_ms(&sc.r, 3, AT_ONCE));
	add(&sc.r, IOURING2_OP_READ, p[0], b, 1, 0, ASYNC, 4);
	ASSERT_EQ(0, submit_all(&sc.r));
	ASSERT_EQ(1, write(p[1], "z", 1));
	EXPECT_EQ(1, seen_ms(&sc.r, 4, AT_ONCE));
	add(&sc.r, IOURING2_OP_READ, p[0], b, 1, 0, 0, 6);
	ASSERT_EQ(0, submit_all(&sc.r));
	ASSERT_EQ(1, write(p[1], "z", 1));
	EXPECT_EQ(1, res_ms(&sc.r, 6, AT_ONCE));
	close(p[0]);
	close(p[1]);
	EXPECT_TRUE(variant->file->closing(&sc));
	scene_end(&sc);
	EXPECT_TRUE(scene_over(variant->file, &sc, &self->before));
}

/* While the file is being closed, another process can be killed */
TEST_F_TIMEOUT(closing, kill, 100)
{
	struct scene sc;

	START(&sc);
	kill(sc.victim, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(sc.victim, AT_ONCE));
	/* its read has ended as well, as the pipe has no reader any more */
	EXPECT_TRUE(until_ms(hung_up(sc.pipe[1]), AT_ONCE));
	EXPECT_TRUE(variant->file->closing(&sc));
	scene_end(&sc);
	EXPECT_TRUE(scene_over(variant->file, &sc, &self->before));
}

/* The process that submitted the request for the file can be killed meanwhile */
TEST_F_TIMEOUT(closing, kill_owner, 100)
{
	struct scene sc;

	START(&sc);
	kill(sc.owner, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(sc.owner, AT_ONCE));
	EXPECT_TRUE(variant->file->closing(&sc));
	scene_end(&sc);
	EXPECT_TRUE(scene_over(variant->file, &sc, &self->before));
}

/* The close of the ring does not wait for the file */
TEST_F_TIMEOUT(closing, close, 100)
{
	struct scene sc;
	long long t;

	START(&sc);
	kill(sc.owner, SIGKILL);
	kill(sc.victim, SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(sc.owner, AT_ONCE));
	EXPECT_EQ(SIGKILL, reap_ms(sc.victim, AT_ONCE));
	t = now_ns(CLOCK_MONOTONIC);
	ring_exit(&sc.r);
	EXPECT_GT(AT_ONCE * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - t);
	EXPECT_TRUE(variant->file->closing(&sc));
	close(sc.pipe[1]);
	munmap(sc.p, sizeof(*sc.p));
	EXPECT_TRUE(scene_over(variant->file, &sc, &self->before));
}

/* ---------------------------------------------------- a page that is absent */

/*
 * The child: it submits @nr reads into a page that nobody provides, and does
 * not call ENTER again. Each read is stuck in a page fault as soon as it has
 * data.
 */
static void reads_into_nowhere(struct play *p, struct ring *parent, int fds[],
			       int nr, unsigned int flags)
{
	struct ring r = *parent;
	struct absent a;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring_sync(&r);
	if (absent_make(&a)) {
		p->result = -ENODEV;
		st_rel(&p->owner, true);
		_exit(0);
	}
	for (i = 0; i < nr; i++)
		add(&r, IOURING2_OP_READ, fds[i], a.page + i * 8, 1, 0, flags,
		    1000 + i);
	if (submit_all(&r))
		_exit(1);
	st_rel(&p->owner, true);
	while (!absent_wanted(&a, 1000))
		;
	st_rel(&p->step, 1);	/* a read is stuck in the page fault */
	for (;;)
		pause();
}

enum { MANY = 8 };

/*
 * Reads of a child are stuck in page faults. Our reads on the same ring
 * complete, and the child can be killed. @flags: SQE flags of the child's
 * reads.
 */
static void page_never_comes(struct __test_metadata *_metadata,
			     unsigned int flags)
{
	struct play *p = shared_new(sizeof(*p));
	int fds[MANY], wr[MANY], mine[2], round, i;
	struct ring r;
	char b[8];
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 32, 0));
	for (i = 0; i < MANY; i++) {
		int sv[2];

		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					sv));
		fds[i] = sv[0];
		wr[i] = sv[1];
	}
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, mine));
	pid = fork();
	if (!pid)
		reads_into_nowhere(p, &r, fds, MANY, flags);
	ASSERT_TRUE(until(ld_acq(&p->owner)));
	if (p->result)
		SKIP(goto end, "no userfaultfd");
	/* our reads, which wait for data, too */
	ring_sync(&r);
	for (round = 0; round < 4; round++)
		add(&r, IOURING2_OP_READ, mine[0], b, 1, 0,
		    round % 2 ? ASYNC : 0, round);
	ASSERT_EQ(0, submit_all(&r));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(1, write(wr[i], "x", 1));
	EXPECT_TRUE(until(ld_acq(&p->step)));
	ASSERT_EQ(4, write(mine[1], "1234", 4));
	for (round = 0; round < 4; round++) {
		EXPECT_EQ(1, seen_ms(&r, round, round ? 2000 : AT_ONCE)) {
			TH_LOG("read %d of who is not in ENTER", round);
		}
	}
	/* a read that is submitted later completes as well */
	add(&r, IOURING2_OP_READ, mine[0], b, 1, 0, 0, 10);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(1, write(mine[1], "5", 1));
	EXPECT_EQ(1, seen_ms(&r, 10, AT_ONCE));
end:
	kill(pid, SIGKILL);
	EXPECT_NE(-ETIME, reap_ms(pid, AT_ONCE));
	ring_exit(&r);
	for (i = 0; i < MANY; i++) {
		close(fds[i]);
		close(wr[i]);
	}
	close(mine[0]);
	close(mine[1]);
	munmap(p, sizeof(*p));
}

/* The retry worker of the child is stuck */
BOUNDED_TEST(absent_page_in_retry)
{
	page_never_comes(_metadata, 0);
}

/* The child's reads have IOSQE_ASYNC */
BOUNDED_TEST(absent_page_in_worker)
{
	page_never_comes(_metadata, ASYNC);
}

/* --------------------------- requests that one task would run in a row */

/*
 * Two processes have a read on a shared ring. The read of STUCK is into a page
 * that nobody provides. The read of OTHER must complete, although the same task
 * finds both reads ready, and would run them one after the other.
 * @armed: each process sets its own when it has submitted its read
 * @go: STUCK may write (or, in reads_twice(), has submitted its second read)
 * @hangs: a task waits for the page
 * @result: the result of OTHER's read
 * @seen: OTHER has set @result
 * @gone: OTHER shall exit
 */
struct row {
	bool armed[2], go, hangs, seen, gone;
	int result;
};

enum { STUCK, OTHER };

struct stuck {
	struct row *row;
	struct absent a;
	struct ring r;
};

/* A thread of STUCK that sets @hangs when a task accesses the page */
static void *tells_of_fault(void *arg)
{
	struct stuck *s = arg;

	while (!absent_wanted(&s->a, 1000))
		;
	st_rel(&s->row->hangs, true);
	return NULL;
}

/* Exit status of STUCK if there is no userfaultfd */
#define NO_PAGE	4

/* Begin STUCK: submit a read of @len bytes of @fd into the page */
static void stuck_start(struct stuck *s, struct row *row, struct ring *parent,
			int fd, unsigned int len)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->row = row;
	s->r = *parent;
	ring_sync(&s->r);
	if (absent_make(&s->a))
		_exit(NO_PAGE);
	if (pthread_create(&t, NULL, tells_of_fault, s))
		_exit(1);
	add(&s->r, IOURING2_OP_READ, fd, s->a.page, len, 0, 0, 1000);
	if (submit_all(&s->r))
		_exit(1);
	st_rel(&row->armed[STUCK], true);
}

/*
 * STUCK: one ENTER with two writes makes the files of both reads readable. At
 * its end, this ENTER finds both reads on the deferred list.
 */
static void writes_to_both(struct row *row, struct ring *parent, int mine[2],
			   int others)
{
	struct stuck s;

	stuck_start(&s, row, parent, mine[0], 1);
	if (!until(ld_acq(&row->go)))
		_exit(1);
	ring_sync(&s.r);
	add(&s.r, IOURING2_OP_WRITE, mine[1], "x", 1, 0, 0, 1001);
	add(&s.r, IOURING2_OP_WRITE, others, "y", 1, 0, 0, 1002);
	submit_all(&s.r);
	/* we get here if a worker runs the read, and is stuck instead of us */
	for (;;)
		pause();
}

/* STUCK: it waits in ENTER, and finds both reads ready at once */
static void waits_for_both(struct row *row, struct ring *parent, int efd)
{
	struct stuck s;

	stuck_start(&s, row, parent, efd, 8);
	enter(s.r.fd, 0, 100, IOURING2_ENTER_GETEVENTS, NULL, 0);
	_exit(2);
}

/*
 * STUCK: the same with two reads of its own. The second one is armed last, and
 * is therefore woken and completed first.
 */
static void reads_twice(struct row *row, struct ring *parent, int efd)
{
	struct stuck s;
	char b[8];

	stuck_start(&s, row, parent, efd, 8);
	add(&s.r, IOURING2_OP_READ, efd, b, 8, 0, 0, 1001);
	if (submit_all(&s.r))
		_exit(1);
	st_rel(&row->go, true);
	enter(s.r.fd, 0, 100, IOURING2_ENTER_GETEVENTS, NULL, 0);
	_exit(2);
}

/*
 * OTHER: it submits a read, and a second one of @silent, which has no data. It
 * is not in ENTER when the first read completes.
 */
static void sees_its_own(struct row *row, struct ring *parent, int fd,
			 unsigned int len, int silent)
{
	struct ring r = *parent;
	char b[2][8];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring_sync(&r);
	add(&r, IOURING2_OP_READ, fd, b[0], len, 0, 0, 2);
	add(&r, IOURING2_OP_READ, silent, b[1], 1, 0, 0, 3);
	if (submit_all(&r))
		_exit(1);
	st_rel(&row->armed[OTHER], true);
	row->result = seen_ms(&r, 2, SOON);
	st_rel(&row->seen, true);
	until(ld_acq(&row->gone));
	_exit(0);
}

/*
 * A cancelled read drops the last reference of a socket that would linger. The
 * module closes it without lingering, and the socket sends its data afterwards.
 */
BOUNDED_TEST(last_of_cancelled)
{
	struct state before;
	struct ring r;
	int s[2];
	char b[8];

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	state_read(&before);
	ASSERT_EQ(0, lingering(s, LINGER_S));
	add(&r, IOURING2_OP_READ, s[0], b, sizeof(b), 0, 0, 1);
	ASSERT_EQ(0, submit_all(&r));
	close(s[0]);
	prep_cancel(ring_sqe(&r), 1, 0);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(-ECANCELED, seen_ms(&r, 1, AT_ONCE));
	EXPECT_TRUE(until_ms(counter("files") == before.counter[5], AT_ONCE));
	/* the connection still exists: its peer has data to read */
	EXPECT_FALSE(hung_up(s[1]));
	close(s[1]);
	ring_exit(&r);
}

/* ------------------------------------------------------------------- vsock */

/* A thread that holds the lock of a socket until the page is provided */
struct holder {
	struct absent a;
	int fd, got;
};

static void *receives(void *arg)
{
	struct holder *h = arg;

	h->got = recv(h->fd, h->a.page, 8, 0);
	return NULL;
}

static int vsock_pair(int s[2])
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_port = VMADDR_PORT_ANY,
				 .svm_cid = VMADDR_CID_LOCAL };
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	if (listener < 0 || bind(listener, (void *)&a, len) ||
	    listen(listener, 1) || getsockname(listener, (void *)&a, &len))
		return -errno;
	s[0] = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(s[0], (void *)&a, len))
		return -errno;
	s[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return s[1] < 0 ? -errno : 0;
}

/* Return: whether a thread whose name begins with @name is in vsock_poll() */
static bool asks_vsock(const char *name)
{
	char path[80], text[4096];
	DIR *proc = opendir("/proc");
	bool found = false;
	struct dirent *d;

	while (proc && !found && (d = readdir(proc))) {
		if (!atoi(d->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", atoi(d->d_name));
		if (read_text(path, text, sizeof(text)) <= 0 ||
		    strncmp(text, name, strlen(name)))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stack", atoi(d->d_name));
		found = read_text(path, text, sizeof(text)) > 0 &&
			strstr(text, "vsock_poll");
	}
	if (proc)
		closedir(proc);
	return found;
}

/*
 * The poll method of a vsock takes the lock of the socket, which a reader may
 * hold for any time. So a work item must not call it, because all rings need
 * the work items. A worker calls it.
 */
BOUNDED_TEST(vsock_is_locked)
{
	struct holder h = { .fd = -1 };
	pthread_t t;
	struct ring r;
	int s[2] = { -1, -1 };

	if (!intrusive() || system("modprobe -q vsock_loopback"))
		SKIP(return, "no vsock_loopback");
	if (vsock_pair(s))
		SKIP(return, "no connection by vsock");
	if (absent_make(&h.a))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(5, write(s[1], "hello", 5));
	h.fd = s[0];
	ASSERT_EQ(0, pthread_create(&t, NULL, receives, &h));
	EXPECT_TRUE(absent_wanted(&h.a, SOON));
	add_timer(&r, 1, HARDLINK, 1);
	add(&r, IOURING2_OP_POLL_ADD, s[0], NULL, 0, 0, 0, 2)->poll32_events = POLLIN;
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(-ETIME, seen_ms(&r, 1, SOON));
	/* a worker of this ring is in the poll method, and no work item is */
	EXPECT_TRUE(until_ms(asks_vsock("iou2-wrk"), SOON));
	EXPECT_FALSE(asks_vsock("kworker"));
	EXPECT_EQ(0, absent_provide(&h.a));
	pthread_join(t, NULL);
	EXPECT_EQ(5, h.got);
	ASSERT_EQ(1, write(s[1], "x", 1));
	EXPECT_EQ(POLLIN, seen_ms(&r, 2, SOON));
	ring_exit(&r);
	absent_free(&h.a);
	close(s[0]);
	close(s[1]);
}

FIXTURE(row) {
	struct state before;
	struct row *row;
	struct ring r;
	pid_t pid[2];
	int sv[2][2], silent[2], efd;
};

FIXTURE_SETUP(row)
{
	int i;

	state_read(&self->before);
	self->row = shared_new(sizeof(*self->row));
	ASSERT_EQ(0, ring_init(&self->r, 16, 128));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					self->sv[i]));
	ASSERT_EQ(0, pipe2(self->silent, O_CLOEXEC));
	self->efd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	self->pid[STUCK] = 0;
	self->pid[OTHER] = 0;
}

FIXTURE_TEARDOWN(row)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->pid[i] <= 0)
			continue;
		kill(self->pid[i], SIGKILL);
		EXPECT_NE(-ETIME, reap_ms(self->pid[i], SOON));
	}
	ring_exit(&self->r);
	for (i = 0; i < 2; i++) {
		close(self->sv[i][0]);
		close(self->sv[i][1]);
		close(self->silent[i]);
	}
	close(self->efd);
	munmap(self->row, sizeof(*self->row));
	EXPECT_STREQ("", state_diff(&self->before, false));
}

/*
 * Wait until process @who has submitted its read. Return: false, and clear
 * @pid, if the process has ended instead, because there is no userfaultfd.
 */
static bool row_armed(struct row *row, int who, pid_t *pid)
{
	int status = 0;

	if (until(ld_acq(&row->armed[who]) ||
		  waitpid(*pid, &status, WNOHANG) == *pid) && !status)
		return true;
	*pid = 0;
	return false;
}

/*
 * STUCK: one ENTER writes to the file of OTHER's read, and is then stuck in a
 * page fault of the next write
 */
static void writes_then_faults(struct row *row, struct ring *parent, int mine[2],
			       int others)
{
	struct stuck s;

	stuck_start(&s, row, parent, mine[0], 1);
	if (!until(ld_acq(&row->go)))
		_exit(1);
	ring_sync(&s.r);
	add(&s.r, IOURING2_OP_WRITE, others, "y", 1, 0, 0, 1002);
	add(&s.r, IOURING2_OP_WRITE, mine[1], s.a.page, 1, 0, 0, 1001);
	submit_all(&s.r);
	_exit(2);
}

/* OTHER's read completes while the ENTER that woke it is stuck in a fault */
TEST_F_TIMEOUT(row, written_before_a_fault, 100)
{
	struct row *row = self->row;

	self->pid[OTHER] = fork();
	if (!self->pid[OTHER])
		sees_its_own(row, &self->r, self->sv[1][0], 1, self->silent[0]);
	ASSERT_TRUE(row_armed(row, OTHER, &self->pid[OTHER]));
	self->pid[STUCK] = fork();
	if (!self->pid[STUCK])
		writes_then_faults(row, &self->r, self->sv[0], self->sv[1][1]);
	if (!row_armed(row, STUCK, &self->pid[STUCK]))
		SKIP(return, "no userfaultfd");
	st_rel(&row->go, true);
	EXPECT_TRUE(until_ms(ld_acq(&row->hangs), SOON));
	EXPECT_TRUE(until_ms(ld_acq(&row->seen), SOON + 1000));
	EXPECT_EQ(1, row->result);
	EXPECT_EQ(-ETIME, reap_ms(self->pid[STUCK], 0));
}

/* One ENTER makes both files readable, and finds both reads ready */
TEST_F_TIMEOUT(row, written_in_one_enter, 100)
{
	struct row *row = self->row;

	self->pid[OTHER] = fork();
	if (!self->pid[OTHER])
		sees_its_own(row, &self->r, self->sv[1][0], 1, self->silent[0]);
	ASSERT_TRUE(row_armed(row, OTHER, &self->pid[OTHER]));
	self->pid[STUCK] = fork();
	if (!self->pid[STUCK])
		writes_to_both(row, &self->r, self->sv[0], self->sv[1][1]);
	if (!row_armed(row, STUCK, &self->pid[STUCK]))
		SKIP(return, "no userfaultfd");
	st_rel(&row->go, true);
	EXPECT_TRUE(until_ms(ld_acq(&row->hangs), SOON));
	EXPECT_TRUE(until_ms(ld_acq(&row->seen), SOON + 1000));
	EXPECT_EQ(1, row->result);
	/* the writes of that ENTER have completed as well */
	EXPECT_EQ(1, seen_ms(&self->r, 1001, SOON));
	EXPECT_EQ(1, seen_ms(&self->r, 1002, SOON));
	EXPECT_EQ(-ETIME, reap_ms(self->pid[STUCK], 0));
}

/* A task that waits in ENTER finds both reads ready, STUCK's first */
TEST_F_TIMEOUT(row, found_by_one_waiter, 100)
{
	struct row *row = self->row;
	uint64_t two = 2;

	/* arm OTHER first: the read that is armed last is woken first */
	self->pid[OTHER] = fork();
	if (!self->pid[OTHER])
		sees_its_own(row, &self->r, self->efd, 8, self->silent[0]);
	ASSERT_TRUE(row_armed(row, OTHER, &self->pid[OTHER]));
	/* on one CPU, a write wakes both reads before a woken task runs */
	EXPECT_EQ(0, pin_to_one_cpu());
	self->pid[STUCK] = fork();
	if (!self->pid[STUCK])
		waits_for_both(row, &self->r, self->efd);
	if (!row_armed(row, STUCK, &self->pid[STUCK]))
		SKIP(return, "no userfaultfd");
	EXPECT_TRUE(until(task_waits(self->pid[STUCK])));
	EXPECT_EQ(8, write(self->efd, &two, sizeof(two)));
	EXPECT_TRUE(until_ms(ld_acq(&row->hangs), SOON));
	EXPECT_TRUE(until_ms(ld_acq(&row->seen), SOON + 1000));
	EXPECT_EQ(8, row->result);
	/* OTHER can exit with its armed read, and a new OTHER can be killed */
	st_rel(&row->gone, true);
	EXPECT_EQ(0, reap_ms(self->pid[OTHER], AT_ONCE));
	EXPECT_EQ(-ECANCELED, seen_ms(&self->r, 3, AT_ONCE));
	row->armed[OTHER] = false;
	self->pid[OTHER] = fork();
	if (!self->pid[OTHER])
		sees_its_own(row, &self->r, self->silent[0], 1, self->silent[0]);
	EXPECT_TRUE(row_armed(row, OTHER, &self->pid[OTHER]));
	kill(self->pid[OTHER], SIGKILL);
	EXPECT_EQ(SIGKILL, reap_ms(self->pid[OTHER], AT_ONCE));
	self->pid[OTHER] = 0;
	EXPECT_EQ(-ETIME, reap_ms(self->pid[STUCK], 0));
}

/* A completion is posted before the next request is stuck in a page fault */
TEST_F_TIMEOUT(row, posted_before_a_fault, 100)
{
	struct row *row = self->row;
	uint64_t two = 2;

	prep_poll(ring_sqe(&self->r), self->silent[0], POLLIN);
	ASSERT_EQ(0, submit_all(&self->r));
	/* on one CPU, a write wakes both reads before a woken task runs */
	EXPECT_EQ(0, pin_to_one_cpu());
	self->pid[STUCK] = fork();
	if (!self->pid[STUCK])
		reads_twice(row, &self->r, self->efd);
	if (!row_armed(row, STUCK, &self->pid[STUCK]))
		SKIP(return, "no userfaultfd");
	ASSERT_TRUE(until(ld_acq(&row->go)));
	EXPECT_TRUE(until(task_waits(self->pid[STUCK])));
	EXPECT_EQ(8, write(self->efd, &two, sizeof(two)));
	EXPECT_TRUE(until_ms(ld_acq(&row->hangs), SOON));
	EXPECT_EQ(8, seen_ms(&self->r, 1001, SOON));
	EXPECT_EQ(-ETIME, reap_ms(self->pid[STUCK], 0));
}

RING_TEST_MAIN
