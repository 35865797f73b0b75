/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A character device whose behaviour the test controls, made by CUSE. No list
 * of the module contains its kind. Its reads, and the close of its file, wait
 * for as long as the test wants. The server of the device is another process.
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
 * Seconds after which a release is answered in any case. The wait for the
 * answer cannot be killed, so a module that waits would stop the machine.
 */
#define CUSE_RELEASE_S	40

/*
 * Shared with the server.
 *
 * @hold: reads and writes are not answered while it is set
 * @hold_release: the release of a file is not answered while it is set
 * @quiet: no event is reported
 * @error: the error of each answer, if not 0
 * @asked: number of reads and writes that came
 * @interrupted: how many of these ended with EINTR, because of an interrupt
 * @releasing: a release came that is not answered yet
 * @reader: the process that sent the last one
 */
struct cuse {
	bool hold, hold_release, quiet, stop, deaf, releasing;
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
	__u64 release;
	long long release_ends;
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

/* One release is held at a time */
static inline void cuse_hold_release(struct cuse_server *s, __u64 unique)
{
	s->release = unique;
	s->release_ends = now_ns(CLOCK_MONOTONIC) +
			  CUSE_RELEASE_S * NSEC_PER_SEC;
	st_rel(&s->shared->releasing, true);
}

static inline void cuse_answer_release(struct cuse_server *s)
{
	if (!s->shared->releasing)
		return;
	if (ld_acq(&s->shared->hold_release) &&
	    now_ns(CLOCK_MONOTONIC) < s->release_ends)
		return;
	st_rel(&s->shared->releasing, false);
	cuse_reply(s->dev, s->release, 0, NULL, 0);
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
	/* Both structs have these fields at the same place */
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
	case FUSE_RELEASE:
		if (ld_acq(&s->shared->hold_release) && !s->shared->releasing)
			cuse_hold_release(s, h->unique);
		else
			cuse_reply(s->dev, h->unique, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
		cuse_reply(s->dev, h->unique, 0, NULL, 0);
		break;
	case FUSE_POLL:
		if (ld_acq(&s->shared->quiet))
			ready.revents = 0;
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
		cuse_answer_release(&s);
		if (poll(&p, 1, 2) == 1 && read(dev, in, sizeof(in)) > 0)
			cuse_serve(&s, h, h + 1);
	}
}

/* Return: the shared part, or NULL if there is no CUSE */
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
	st_rel(&c->hold_release, false);
	until_ms(!ld_acq(&c->releasing), SOON);
	st_rel(&c->stop, true);
	if (reap_ms(c->server, SOON) == -ETIME)
		kill(c->server, SIGKILL);
	munmap(c, sizeof(*c));
	until_ms(access(CUSE_NODE, F_OK), SOON);
}

#endif
