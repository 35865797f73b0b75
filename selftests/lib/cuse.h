/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A character device that a test controls, made by CUSE. The server of the
 * device is another process. Reads of the device wait as long as the test
 * wants. The module does not know this kind of device, so only the submitter
 * may read it.
 *
 * Include after bounded.h.
 */
#ifndef SELFTESTS_IOURING2_CUSE_H
#define SELFTESTS_IOURING2_CUSE_H

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <linux/fuse.h>
#include "bounded.h"

#define CUSE_NAME	"io2cuse"
#define CUSE_NODE	"/dev/" CUSE_NAME

/*
 * Shared with the server.
 *
 * @hold: the server does not answer reads and writes while it is set
 * @stop: the server shall exit
 * @deaf: the server ignores interrupts
 * @error: the error of each answer, if not 0
 * @asked: number of reads and writes that the server has got
 * @interrupted: number of these that ended with EINTR, because of an interrupt
 * @server: the process of the server
 * @reader: the process that sent the last read or write
 */
struct cuse {
	bool hold, stop, deaf;
	int error;
	unsigned int asked, interrupted;
	pid_t server, reader;
};

/* The state of the server */
struct cuse_server {
	struct cuse *shared;
	int dev;
	struct fuse_in_header held[8];
	unsigned int held_len[8];
	unsigned int nr_held;
};

static inline int cuse_reply(int dev, __u64 unique, int error, const void *data,
			     size_t len)
{
	struct {
		struct fuse_out_header h;
		char data[4096];
	} out = { .h = { .unique = unique, .error = error } };

	out.h.len = sizeof(out.h) + (error ? 0 : len);
	if (len && !error)
		memcpy(out.data, data, len);
	return write(dev, &out, out.h.len) == out.h.len ? 0 : -1;
}

static inline void cuse_answer(struct cuse_server *s,
			       const struct fuse_in_header *h, unsigned int len,
			       int error)
{
	struct fuse_write_out wrote = { .size = len };
	char data[4096];

	memset(data, 'c', sizeof(data));
	if (len > sizeof(data))
		len = sizeof(data);
	if (h->opcode == FUSE_WRITE)
		cuse_reply(s->dev, h->unique, error, &wrote, sizeof(wrote));
	else
		cuse_reply(s->dev, h->unique, error, data, len);
}

static inline void cuse_release_held(struct cuse_server *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_held; i++)
		cuse_answer(s, &s->held[i], s->held_len[i], s->shared->error);
	s->nr_held = 0;
}

static inline void cuse_interrupt(struct cuse_server *s, __u64 unique)
{
	unsigned int i;

	if (s->shared->deaf)
		return;
	for (i = 0; i < s->nr_held; i++) {
		if (s->held[i].unique != unique)
			continue;
		st_rel(&s->shared->interrupted, s->shared->interrupted + 1);
		cuse_answer(s, &s->held[i], 0, -EINTR);
		s->held[i] = s->held[--s->nr_held];
		s->held_len[i] = s->held_len[s->nr_held];
		return;
	}
}

static inline void cuse_serve(struct cuse_server *s,
			      const struct fuse_in_header *h, const void *arg)
{
	struct {
		struct cuse_init_out o;
		char info[32];
	} init = {
		.o = { .major = FUSE_KERNEL_VERSION, .minor = 31,
		       .max_read = 4096, .max_write = 4096 },
		.info = "DEVNAME=" CUSE_NAME,
	};
	struct fuse_open_out open = {};
	struct fuse_poll_out ready = {
		.revents = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM,
	};
	/* the size is at the same place in fuse_read_in and fuse_write_in */
	const struct fuse_read_in *in = arg;

	switch (h->opcode) {
	case CUSE_INIT:
		cuse_reply(s->dev, h->unique, 0, &init,
			   sizeof(init.o) + strlen(init.info) + 1);
		break;
	case FUSE_OPEN:
		cuse_reply(s->dev, h->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
		st_rel(&s->shared->reader, (pid_t)h->pid);
		st_rel(&s->shared->asked, s->shared->asked + 1);
		if (s->nr_held < 8) {
			s->held[s->nr_held] = *h;
			s->held_len[s->nr_held++] = in->size;
		}
		break;
	case FUSE_INTERRUPT:
		cuse_interrupt(s, ((const struct fuse_interrupt_in *)arg)->unique);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		cuse_reply(s->dev, h->unique, 0, NULL, 0);
		break;
	case FUSE_POLL:
		cuse_reply(s->dev, h->unique, 0, &ready, sizeof(ready));
		break;
	default:
		cuse_reply(s->dev, h->unique, -EOPNOTSUPP, NULL, 0);
	}
}

static inline void cuse_loop(struct cuse *c, int dev)
{
	static char in[FUSE_MIN_READ_BUFFER + 8192];
	struct cuse_server s = { .shared = c, .dev = dev };
	const struct fuse_in_header *h = (void *)in;
	struct pollfd p = { .fd = dev, .events = POLLIN };

	while (!ld_acq(&c->stop)) {
		if (!ld_acq(&c->hold))
			cuse_release_held(&s);
		if (poll(&p, 1, 2) == 1 && read(dev, in, sizeof(in)) > 0)
			cuse_serve(&s, h, h + 1);
	}
}

/* Start the server. Return: the shared struct, or NULL if there is no CUSE. */
static inline struct cuse *cuse_start(void)
{
	struct cuse *c = shared_new(sizeof(*c));
	pid_t pid;
	int dev;

	if (!intrusive() || shell("modprobe -q cuse >/dev/null 2>&1"))
		errno = 0;	/* CUSE may be built in */
	dev = open("/dev/cuse", O_RDWR | O_CLOEXEC);
	if (dev < 0 || !c)
		return NULL;
	fflush(NULL);
	/* not c->server = fork(): the child would set the shared field to 0 */
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cuse_loop(c, dev);
		_exit(0);
	}
	c->server = pid;
	close(dev);
	return until_ms(!access(CUSE_NODE, R_OK | W_OK), SOON) ? c : NULL;
}

static inline void cuse_end(struct cuse *c)
{
	st_rel(&c->hold, false);
	st_rel(&c->stop, true);
	if (reap_ms(c->server, SOON) == -ETIME)
		kill(c->server, SIGKILL);
	munmap(c, sizeof(*c));
	until_ms(access(CUSE_NODE, F_OK), SOON);
}

#endif
