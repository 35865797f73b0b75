/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matrix of files: kinds of file (rows) and what is done to one (columns).
 * A cell is done by the system call and by iouring2, each on a fresh file of
 * equal state; what is seen is written down as a text, and the texts are
 * compared. Where they differ, or there is no such call, the kernel's own
 * io_uring does it as well, if there is one: it may have it as iouring2 has.
 */
#ifndef SELFTESTS_IOURING2_FILES_H
#define SELFTESTS_IOURING2_FILES_H

#include <pthread.h>
#include "reason.h"
#include "ring.h"

#define NO_POS		((__u64)-1)
#define FILE_SIZE	20000	/* of a fresh file of data; no whole blocks */
#define TEXT_LEN	400
#define MAX_COLUMNS	64
#define BUF_LEN		(512 * 1024)
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#include "kselftest.h"

/* Who does it. Those that say what is expected come first. */
enum io_way {
	WAY_CALL,		/* the system call */
	WAY_NATIVE,		/* io_uring */
	WAY_NATIVE_ASYNC,
	WAY_OURS,
	WAY_OURS_ASYNC,
	NR_WAYS
};

struct io {
	enum io_way way;
	struct ring r;
	bool open;
	pid_t tid;
	int entered;		/* the call that may wait has begun */
};

int io_open(struct io *io, enum io_way way);
void io_close(struct io *io);
bool io_is_ring(const struct io *io);
struct iouring2_sqe *io_sqe(struct io *io, int op, int fd, const void *addr,
			    unsigned int len, __u64 off, __u64 user_data);
int io_submit(struct io *io);
int io_wait(struct io *io, __u64 user_data);	/* the CQE's result */
bool io_done(struct io *io, __u64 user_data);	/* there is one now */
/* One operation by any way: what it returned, or -errno */
int io_read(struct io *io, int fd, void *p, unsigned int len, __u64 off);
int io_write(struct io *io, int fd, const void *p, unsigned int len, __u64 off);
int io_readv(struct io *io, int fd, const struct iovec *v, int n, __u64 off);
int io_writev(struct io *io, int fd, const struct iovec *v, int n, __u64 off);
int io_fsync(struct io *io, int fd, unsigned int flags);
int io_poll(struct io *io, int fd, unsigned int events);

struct kind;
struct cell;

/*
 * What a column works on.
 * @fd: the file
 * @peer: where its other end is, or -1
 * @priv: of the kind
 */
struct inst {
	const struct kind *kind;
	int fd, peer;
	int flags;		/* more for open() */
	long priv[4];
	void *ptr;
	char path[200];
};

/* What a kind can do: columns ask for it */
#ifndef BIT
#define BIT(n)		(1U << (n))
#endif

#define K_READ		BIT(0)
#define K_WRITE		BIT(1)
#define K_SEEK		BIT(2)	/* pread() and pwrite() work */
#define K_DATA		BIT(3)	/* holds what was written: FILE_SIZE bytes */
#define K_FEED		BIT(4)	/* a read waits, feed() ends it */
#define K_FULL		BIT(5)	/* a write waits, drain() ends it */
#define K_HUP		BIT(6)	/* closing the peer is an end */
#define K_FS		BIT(7)	/* a file system: freeze() */
#define K_DISK		BIT(8)	/* O_DIRECT means something */
#define K_FAIL		BIT(9)	/* its disk can be made to fail */
#define K_OWNER		BIT(10)	/* files have modes and owners */
#define K_POLL		BIT(11)	/* poll() waits: feed() makes it ready */
#define K_TEXT		BIT(12)	/* made when it is read */
#define K_FIXED		BIT(13)	/* its size does not change: a device */
#define K_SMALL		BIT(14)	/* can be filled up: @small in a few MiB */
#define K_QUOTA		BIT(15)
#define K_NONBLOCK	BIT(16)	/* O_NONBLOCK means something */
#define K_NEVER		BIT(18)	/* its poll() says never that it is ready */
#define K_VARIES	BIT(17)	/* never the same twice, nor as long */

/*
 * A row.
 * @setup: made once, in a process of its own: "" or why it cannot be had
 * @open: a fresh instance of equal state: 0 or -errno
 * @feed: one datum comes
 * @drain: there is room again
 * @canon: writes down what was read; else its bytes
 * @effect: writes down what a write has changed
 */
struct kind {
	const char *name;
	unsigned int can;
	const char *(*setup)(struct kind *k);
	int (*open)(struct inst *in);
	void (*close)(struct inst *in);
	void (*feed)(struct inst *in);
	void (*drain)(struct inst *in);
	void (*canon)(struct cell *c, struct inst *in, const void *p, int res);
	void (*effect)(struct cell *c, struct inst *in);	/* of a write */
	int (*freeze)(const struct kind *k, bool on);
	int (*fail)(const struct kind *k, bool on);
	const char *(*teardown)(struct kind *k);	/* "" or what is left */
	const char *(*enter)(struct kind *k);	/* in each way's process */
	const void *arg;
	const char *dir;		/* of a file system */
	int datum;			/* bytes of one read; 0: any */
};

/* One column of one kind, done by one way */
struct cell {
	const struct kind *kind;
	const struct column *column;
	struct io *io;
	struct inst in;
	char *text;		/* TEXT_LEN: what was seen */
};

struct column {
	const char *name;
	void (*fn)(struct cell *c);
	unsigned int needs;	/* K_*: all of them */
	unsigned int never;	/* K_*: none of them */
	bool no_call;		/* there is no system call like it */
	const void *arg;
};

/*
 * A difference that is known and argued for. NULL: any; @kernels: names, with
 * blanks between them. @why names a missing export or a rule of mainline's.
 */
struct argued {
	const char *kind, *column, *kernels, *why;
};

struct matrix {
	struct kind *kinds;
	unsigned int nr_kinds;
	const struct column *columns;
	unsigned int nr_columns;
	const struct argued *argued;
	unsigned int nr_argued;
};

int files_main(const struct matrix *m, int argc, char **argv);

__printf(2, 3) void note(struct cell *c, const char *fmt, ...);
void note_res(struct cell *c, const char *what, int res);
void note_data(struct cell *c, const void *p, int res);
void note_pos(struct cell *c);
void note_file(struct cell *c);
const char *err_name(int res);

__printf(1, 2) int run(const char *fmt, ...);
bool have_tool(const char *name);
bool have_module(const char *name);
const char *need_module(const char *name);
__printf(2, 3) bool put_text(const char *path, const char *fmt, ...);
void fill_pattern(void *p, size_t len, unsigned int seed);
int default_open(struct inst *in);
void default_close(struct inst *in);
void feed_peer(struct inst *in);	/* a byte stream's other end */
void drain_peer(struct inst *in);
int fill_fd(int fd);		/* writes until it would block: bytes */

extern char work_dir[64];	/* of the kind's process; gone after it */
extern char *io_buf;		/* BUF_LEN, page aligned */

/*
 * While the calling thread waits, somebody else does @fn, once. At helper_end()
 * at the latest.
 */
struct helper {
	pthread_t thread;
	struct cell *c;
	void (*fn)(struct cell *c);
	pid_t who;
	int patience;	/* ms of waiting that are no coincidence */
	int stop;
};

void helper_start(struct helper *h, struct cell *c, void (*fn)(struct cell *),
		  int patience);
void helper_end(struct helper *h);
bool waits(pid_t tid, const int *entered, int patience);

/* files_columns.c */
extern const struct column file_columns[];
extern const unsigned int nr_file_columns;

#endif
