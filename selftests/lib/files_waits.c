// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that have to wait, on a file of any kind: columns of the matrix;
 * see files.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "files_columns.h"

static void feed(struct cell *c)
{
	c->kind->feed(&c->in);
}

static void drain(struct cell *c)
{
	c->kind->drain(&c->in);
}

static void close_and_feed(struct cell *c)
{
	close(c->in.fd);
	c->in.fd = -1;
	c->kind->feed(&c->in);
}

void col_wait(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, 0))
		return;
	helper_start(&h, c, feed, 2);
	ret = io_read(c->io, c->in.fd, io_buf, size_of(c, 5000), NO_POS);
	helper_end(&h);
	saw(c, io_buf, ret);
	end(c);
}

void col_full(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, 0))
		return;
	if (!fill_fd(c->in.fd)) {
		note(c, "cannot be filled");
		end(c);
		return;
	}
	helper_start(&h, c, drain, 2);
	ret = io_write(c->io, c->in.fd, io_buf, size_of(c, 3), NO_POS);
	helper_end(&h);
	note_res(c, "res", ret);
	end(c);
}

/*
 * The file has O_NONBLOCK. The system call does not wait. io_uring waits on
 * many kinds of file, and then gets the datum.
 */
void col_nonblock(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, O_NONBLOCK))
		return;
	fcntl(c->in.fd, F_SETFL, fcntl(c->in.fd, F_GETFL) | O_NONBLOCK);
	if (c->kind->can & K_FEED)
		helper_start(&h, c, feed, 20);
	ret = io_read(c->io, c->in.fd, io_buf, size_of(c, 5000), at(c, 0));
	if (c->kind->can & K_FEED)
		helper_end(&h);
	saw(c, io_buf, ret);
	if (ret == -EAGAIN && c->kind->can & K_FEED)
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf,
				       size_of(c, 5000), at(c, 0)));
	if (c->kind->can & K_DATA && c->kind->can & K_WRITE)
		wrote(c, io_write(c->io, c->in.fd, io_buf, 100, 0));
	end(c);
}

void col_nonblock_full(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, O_NONBLOCK))
		return;
	if (fill_fd(c->in.fd)) {
		fcntl(c->in.fd, F_SETFL,
		      fcntl(c->in.fd, F_GETFL) | O_NONBLOCK);
		helper_start(&h, c, drain, 20);
		ret = io_write(c->io, c->in.fd, io_buf, size_of(c, 3), NO_POS);
		helper_end(&h);
		note_res(c, "res", ret);
	}
	end(c);
}

void col_poll(struct cell *c)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };

	if (!begin(c, 0))
		return;
	p.fd = c->in.fd;
	if (c->kind->can & K_FEED)
		p.events = POLLIN;	/* the datum may not have arrived yet */
	poll(&p, 1, c->kind->can & K_FEED ? 5000 : 0);
	if (!(p.revents & (POLLIN | POLLOUT | POLLHUP))) {
		note(c, "never ready");
		end(c);
		return;
	}
	note(c, "events=%x", io_poll(c->io, c->in.fd, POLLIN | POLLOUT));
	if (c->kind->can & K_FEED)
		note(c, "events=%x", io_poll(c->io, c->in.fd,
					     POLLIN | POLLRDNORM));
	end(c);
}

void col_poll_wait(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, 0))
		return;
	helper_start(&h, c, feed, 2);
	ret = io_poll(c->io, c->in.fd, POLLIN);
	helper_end(&h);
	note(c, "events=%x", ret);
	end(c);
}

/* A read that is cancelled ends, and later data is for the next reader */
void col_cancel(struct cell *c)
{
	struct pollfd p;
	int ret;

	if (!begin_empty(c, 0))
		return;
	io_sqe(c->io, IOURING2_OP_READ, c->in.fd, io_buf, size_of(c, 5000),
	       NO_POS, 1);
	note_res(c, "submit", io_submit(c->io));
	note(c, "done=%d", io_done(c->io, 1));
	io_sqe(c->io, IOURING2_OP_ASYNC_CANCEL, -1, (void *)1, 0, 0, 2);
	note_res(c, "submit", io_submit(c->io));
	ret = io_wait(c->io, 2);
	/*
	 * if a worker executes the read, the cancellation can only interrupt it
	 */
	note_res(c, "cancel", ret == -EALREADY ? 0 : ret);
	ret = io_wait(c->io, 1);
	note_res(c, "read", ret == -EINTR ? -ECANCELED : ret);
	c->kind->feed(&c->in);
	p.fd = c->in.fd;
	p.events = POLLIN;
	note(c, "datum=%d", poll(&p, 1, c->kind->can & K_POLL ? 5000 : 0));
	end(c);
}

void col_close(struct cell *c)
{
	struct helper h;
	int ret;

	if (!begin_empty(c, 0))
		return;
	helper_start(&h, c, close_and_feed, 2);
	ret = io_read(c->io, c->in.fd, io_buf, size_of(c, 5000), NO_POS);
	helper_end(&h);
	saw(c, io_buf, ret);
	end(c);
}

/*
 * A file that cannot be tried without blocking is polled first. If its poll()
 * never reports it as ready, the request waits forever, in io_uring as well.
 */
void col_never(struct cell *c)
{
	int mode, op;

	if (!begin_empty(c, 0))
		return;
	mode = fcntl(c->in.fd, F_GETFL) & O_ACCMODE;
	op = mode == O_WRONLY ? IOURING2_OP_WRITE : IOURING2_OP_READ;
	if (!io_is_ring(c->io)) {
		note_res(c, "res", op == IOURING2_OP_WRITE ?
			 io_write(c->io, c->in.fd, io_buf, 5, NO_POS) :
			 io_read(c->io, c->in.fd, io_buf, 5, NO_POS));
		end(c);
		return;
	}
	io_sqe(c->io, op, c->in.fd, io_buf, 5, NO_POS, 1);
	io_submit(c->io);
	if (!until_ms(io_done(c->io, 1), 20)) {
		note(c, "waits");
		io_sqe(c->io, IOURING2_OP_ASYNC_CANCEL, -1, (void *)1, 0, 0, 2);
		note_res(c, "submit", io_submit(c->io));
		note_res(c, "cancel", io_wait(c->io, 2));
	}
	note_res(c, "res", io_wait(c->io, 1));
	end(c);
}

static bool has_ended(pid_t pid)
{
	siginfo_t si = { };

	return waitid(P_PID, pid, &si, WEXITED | WNOWAIT | WNOHANG) ||
	       si.si_pid == pid;
}

/* What is left behind by a process that is killed while it waits */
void col_kill(struct cell *c)
{
	struct state before;
	struct pollfd p;
	int status;
	pid_t pid;
	int *flag;

	if (!begin_empty(c, 0))
		return;
	flag = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	state_read(&before);
	pid = fork();
	if (!pid) {
		struct io *io = malloc(sizeof(*io));

		if (io_open(io, c->io->way))
			_exit(1);
		st_rel(flag, 1);
		io_read(io, c->in.fd, io_buf, size_of(c, 5000), NO_POS);
		_exit(2);
	}
	until(has_ended(pid) || waits(pid, flag, 2));
	kill(pid, SIGKILL);
	note(c, "ended=%d", until(waitpid(pid, &status, WNOHANG) == pid));
	note(c, "status=%x", status);
	until_ms(!*state_diff(&before, false), 5000);
	note(c, "left=%s", state_diff(&before, false));
	c->kind->feed(&c->in);
	p.fd = c->in.fd;
	p.events = POLLIN;
	note(c, "datum=%d", poll(&p, 1, c->kind->can & K_POLL ? 5000 : 0));
	munmap(flag, 4096);
	end(c);
}

/* Close the other end */
void col_hup(struct cell *c)
{
	if (!begin(c, 0))
		return;
	close(c->in.peer);
	c->in.peer = -1;
	signals_count(SIGPIPE);
	note(c, "events=%x", io_poll(c->io, c->in.fd, POLLIN | POLLOUT) &
	     ~POLLRDHUP);
	if (c->kind->can & K_READ) {
		saw(c, io_buf, io_read(c->io, c->in.fd, io_buf, 5000, NO_POS));
		note_res(c, "read", io_read(c->io, c->in.fd, io_buf, 5000,
					    NO_POS));
	}
	if (c->kind->can & K_WRITE)
		note_res(c, "write", io_write(c->io, c->in.fd, io_buf, 3,
					      NO_POS));
	note_signals(c);
	signal(SIGPIPE, SIG_IGN);
	end(c);
}

/* ---------------------------------------------------- who does a request */

#define BEFORE	1	/* user_data of the gate, */
#define TRIED	2	/* and of the request behind it */

/* Submit @op, and start it when no task is in ENTER */
static void submit_late(struct cell *c, int op, unsigned int len, __u64 off)
{
	struct iouring2_sqe *sqe = ring_sqe(&c->io->r);
	int gate = prep_gate(sqe);

	sqe->user_data = BEFORE;
	sqe = io_sqe(c->io, op, c->in.fd, len ? io_buf : NULL, len, off, TRIED);
	if (op == IOURING2_OP_POLL_ADD)
		sqe->poll32_events = POLLIN | POLLOUT;
	if (io_submit(c->io) != 2)
		note(c, "not submitted");
	open_gate(gate);
}

/*
 * Return: "any" if a kernel thread does the request, "own" if it is left to the
 * process
 */
static const char *done_by(struct cell *c)
{
	bool left = !until_ms(io_done(c->io, TRIED) ||
			      ld_acq(c->io->r.sq_flags) & IOURING2_SQ_TASKRUN,
			      5000);

	if (left)
		return "nobody";
	return io_done(c->io, TRIED) ? "any" : "own";
}

/* An event may have a descriptor, which canon() closes */
static void drop_data(struct cell *c, int res)
{
	char text[TEXT_LEN] = "";
	struct cell scratch = *c;

	scratch.text = text;
	if (res > 0 && c->kind->canon)
		c->kind->canon(&scratch, &c->in, io_buf, res);
}

/* Note who does @op, and its result if it is an FSYNC */
static void note_class(struct cell *c, const char *what, int op,
		       unsigned int len, __u64 off)
{
	bool never = c->kind->can & K_NEVER && op != IOURING2_OP_FSYNC;
	const char *by;
	int ret;

	submit_late(c, op, len, off);
	by = done_by(c);
	if (never || !strcmp(by, "nobody")) {
		io_sqe(c->io, IOURING2_OP_ASYNC_CANCEL, -1, (void *)TRIED, 0, 0,
		       3);
		io_submit(c->io);
		io_wait(c->io, 3);
	}
	io_wait(c->io, BEFORE);
	ret = io_wait(c->io, TRIED);
	if (op == IOURING2_OP_READ)
		drop_data(c, ret);
	note(c, "%s=%s%s", what, by,
	     ret == -ECANCELED && !never ? " cancelled" : "");
	if (op == IOURING2_OP_FSYNC)
		note_res(c, "res", ret);
}

static const struct {
	const char *what;
	int op;
	unsigned int any, can;
} classes[] = {
	{ "read", IOURING2_OP_READ, ANY_READ, K_READ },
	{ "write", IOURING2_OP_WRITE, ANY_WRITE, K_WRITE | K_NEVER },
	{ "poll", IOURING2_OP_POLL_ADD, ANY_POLL, K_POLL },
	{ "fsync", IOURING2_OP_FSYNC, ANY_SYNC, -1U },
};

static void one_class(struct cell *c, unsigned int i, unsigned int any)
{
	int op = classes[i].op;
	bool rw = op == IOURING2_OP_READ || op == IOURING2_OP_WRITE;

	if (io_is_ring(c->io)) {
		note_class(c, classes[i].what, op, rw ? size_of(c, 100) : 0,
			   rw ? at(c, 0) : 0);
		return;
	}
	note(c, "%s=%s", classes[i].what,
	     any & classes[i].any ? "any" : "own");
	if (op == IOURING2_OP_FSYNC)
		note_res(c, "res", io_fsync(c->io, c->in.fd, 0));
}

static void all_classes(struct cell *c, unsigned int any, bool locked)
{
	const struct kind *k = c->kind;
	unsigned int i;

	if (c->io->way == WAY_NATIVE || c->io->way == WAY_NATIVE_ASYNC) {
		note(c, "io_uring has no classes");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!((k->can & classes[i].can) || (k->any & classes[i].any)))
			continue;
		if (!begin(c, 0))
			return;
		if (locked && flock(c->in.fd, LOCK_EX))
			note_res(c, "flock", -errno);
		one_class(c, i, any);
		end(c);
	}
}

/*
 * A request that starts while no task is in ENTER completes if a kernel thread
 * may do it. Otherwise it is left to the process, and the ring's flags say so.
 */
void col_class(struct cell *c)
{
	all_classes(c, c->kind->any, false);
}

/* A file that has had a lock is left to the process */
void col_class_locked(struct cell *c)
{
	all_classes(c, 0, true);
}
