/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A character device that a test controls, made by CUSE. The server of the
 * device is another process. Reads of the device, and the close of its file,
 * wait as long as the test wants. The module does not know this kind of device,
 * so only the submitter may read it.
 *
 * The same server can also serve a file of a FUSE file system on a block device
 * (fuseblk). That one has a writeback cache. After a write, the close of a file
 * waits until the server has answered SETATTR, which is held like a write.
 *
 * Include after bounded.h, and sys/mount.h before linux/fs.h.
 */
#ifndef SELFTESTS_IOURING2_CUSE_H
#define SELFTESTS_IOURING2_CUSE_H

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
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
 * @hold: the server does not answer reads, writes and SETATTR while it is set
 * @hold_release: the server does not answer the release of a file while it is
 *	set
 * @quiet: a poll reports no event
 * @stop: the server shall exit
 * @deaf: the server ignores interrupts
 * @size: the size of the file in the file system, in bytes
 * @releasing: the server has got a release that it has not answered yet
 * @error: the error of each answer, if not 0
 * @asked: number of reads, writes and SETATTR that the server has got
 * @interrupted: number of these that ended with EINTR, because of an interrupt
 * @server: the process of the server
 * @reader: the process that sent the last of these
 * @dir: the directory with the file system, or empty
 * @mnt: where it is mounted
 * @file: the file on it
 */
struct cuse {
	bool hold, hold_release, quiet, stop, deaf, releasing;
	unsigned int size;
	int error;
	unsigned int asked, interrupted;
	pid_t server, reader;
	char dir[200], mnt[210], file[220];
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

/* Return: whether it was a request that only a file system gets */
static inline bool fuseblk_serve(struct cuse_server *s,
				 const struct fuse_in_header *h)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
		.flags = FUSE_WRITEBACK_CACHE,
	};
	struct fuse_entry_out entry = {
		.nodeid = FUSE_ROOT_ID + 1,
		.attr = { .ino = 2, .mode = S_IFREG | 0666, .nlink = 1,
			  .size = ld_acq(&s->shared->size) },
	};
	struct fuse_attr_out attr = { .attr = entry.attr };

	if (h->nodeid == FUSE_ROOT_ID)
		attr.attr.mode = S_IFDIR | 0755;
	switch (h->opcode) {
	case FUSE_INIT:
		cuse_reply(s->dev, h->unique, 0, &init, sizeof(init));
		return true;
	case FUSE_LOOKUP:
		cuse_reply(s->dev, h->unique, 0, &entry, sizeof(entry));
		return true;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		cuse_reply(s->dev, h->unique, 0, &attr, sizeof(attr));
		return true;
	case FUSE_DESTROY:
		cuse_reply(s->dev, h->unique, 0, NULL, 0);
		return true;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return true;	/* without a reply */
	default:
		return false;
	}
}

static inline void cuse_answer(struct cuse_server *s,
			       const struct fuse_in_header *h, unsigned int len,
			       int error)
{
	struct fuse_write_out wrote = { .size = len };
	char data[4096];

	if (h->opcode == FUSE_SETATTR) {
		fuseblk_serve(s, h);
		return;
	}
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
	case FUSE_SETATTR:
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
		if (!fuseblk_serve(s, h))
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

/* Start the process of the server, which gets @dev */
static inline void cuse_fork(struct cuse *c, int dev)
{
	pid_t pid;

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
}

/* Start the server. Return: the shared struct, or NULL if there is no CUSE. */
static inline struct cuse *cuse_start(void)
{
	struct cuse *c = shared_new(sizeof(*c));
	int dev;

	if (!intrusive() || shell("modprobe -q cuse >/dev/null 2>&1"))
		errno = 0;	/* CUSE may be built in */
	dev = open("/dev/cuse", O_RDWR | O_CLOEXEC);
	if (dev < 0 || !c)
		return NULL;
	cuse_fork(c, dev);
	return until_ms(!access(CUSE_NODE, R_OK | W_OK), SOON) ? c : NULL;
}

static inline int fuseblk_mount(const struct cuse *c, int dev)
{
	char opts[300], loop[20] = "";
	FILE *p;

	if (shell("modprobe -q loop; truncate -s 1M %s/img; mkdir %s/mnt",
		  c->dir, c->dir))
		return -1;
	snprintf(opts, sizeof(opts), "losetup -f --show %s/img", c->dir);
	p = popen(opts, "r");
	if (!p)
		return -1;
	if (fgets(loop, sizeof(loop), p))
		loop[strcspn(loop, "\n")] = 0;
	pclose(p);
	snprintf(opts, sizeof(opts),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,blksize=512", dev);
	/* the file system holds the loop device, which ends with it */
	if (mount(loop, c->mnt, "fuseblk", MS_NOSUID | MS_NODEV, opts))
		return -1;
	return shell("losetup -d %s", loop);
}

/* The same with a file system. Return: NULL if it cannot be mounted. */
static inline struct cuse *fuseblk_start(void)
{
	struct cuse *c = shared_new(sizeof(*c));
	int dev;

	if (!c || !intrusive())
		return NULL;
	if (shell("modprobe -q fuse"))
		errno = 0;	/* FUSE may be built in */
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return NULL;
	tmp_path(c->dir, sizeof(c->dir), "fuseblk");
	if (!mkdtemp(c->dir))
		return NULL;
	snprintf(c->mnt, sizeof(c->mnt), "%s/mnt", c->dir);
	snprintf(c->file, sizeof(c->file), "%s/mnt/file", c->dir);
	if (fuseblk_mount(c, dev))
		return NULL;
	cuse_fork(c, dev);
	return c;
}

static inline void cuse_end(struct cuse *c)
{
	st_rel(&c->hold, false);
	st_rel(&c->hold_release, false);
	until_ms(!ld_acq(&c->releasing), SOON);
	if (*c->dir)
		shell("umount %s && rm -r %s", c->mnt, c->dir);
	st_rel(&c->stop, true);
	if (reap_ms(c->server, SOON) == -ETIME)
		kill(c->server, SIGKILL);
	munmap(c, sizeof(*c));
	until_ms(access(CUSE_NODE, F_OK), SOON);
}

#endif
