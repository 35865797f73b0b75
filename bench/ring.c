// SPDX-License-Identifier: GPL-2.0-only
/* See ring.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

static int in_tree_setup(unsigned int entries, struct iouring2_params *p)
{
	int fd = syscall(__NR_io_uring_setup, entries, p);

	return fd < 0 ? -errno : fd;
}

static int in_tree_enter(int fd, unsigned int submit, unsigned int min,
			 unsigned int flags)
{
	int ret = syscall(__NR_io_uring_enter, fd, submit, min, flags, NULL, 8);

	return ret < 0 ? -errno : ret;
}

const struct backend in_tree = { "in-tree", in_tree_setup, in_tree_enter };

static int iouring2_setup(unsigned int entries, struct iouring2_params *p)
{
	struct iouring2_setup s = { .entries = entries, .params = *p };
	static int dev = -1;
	int fd;

	if (dev < 0)
		dev = open("/dev/iouring2", O_RDWR | O_CLOEXEC);
	fd = ioctl(dev, IOURING2_IOC_SETUP, &s);
	if (fd < 0)
		return -errno;
	*p = s.params;
	return fd;
}

static int iouring2_enter(int fd, unsigned int submit, unsigned int min,
			  unsigned int flags)
{
	int ret = syscall(__NR_fadvise64, fd, (long)submit, (long)min,
			  flags | IOURING2_ENTER_FADVISE);

	return ret < 0 ? -errno : ret;
}

const struct backend iouring2 = { "iouring2", iouring2_setup, iouring2_enter };

static int iouring2_enter_ioctl(int fd, unsigned int submit, unsigned int min,
				unsigned int flags)
{
	struct iouring2_enter e = {
		.to_submit = submit,
		.min_complete = min,
		.flags = flags,
	};
	int ret = ioctl(fd, IOURING2_IOC_ENTER, &e);

	return ret < 0 ? -errno : ret;
}

const struct backend iouring2_ioctl = { "iouring2", iouring2_setup,
				     iouring2_enter_ioctl };

static int ring_map(struct ring *r, const struct iouring2_params *p)
{
	char *m;
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(*r->cqes);
	unsigned int i;

	r->map_len = sq > cq ? sq : cq;
	r->sqes_len = p->sq_entries * sizeof(*r->sqes);
	m = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_POPULATE, r->fd, IOURING2_OFF_SQ_RING);
	if (m == MAP_FAILED)
		return -errno;
	r->map = m;
	r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IOURING2_OFF_SQES);
	if (r->sqes == MAP_FAILED)
		return -errno;
	r->sq_mask = p->sq_entries - 1;
	r->cq_mask = p->cq_entries - 1;
	r->sq_head = (void *)(m + p->sq_off.head);
	r->sq_tail = (void *)(m + p->sq_off.tail);
	r->sq_flags = (void *)(m + p->sq_off.flags);
	r->sq_array = (void *)(m + p->sq_off.array);
	r->cq_head = (void *)(m + p->cq_off.head);
	r->cq_tail = (void *)(m + p->cq_off.tail);
	r->cq_overflow = (void *)(m + p->cq_off.overflow);
	r->cqes = (void *)(m + p->cq_off.cqes);
	for (i = 0; i < p->sq_entries; i++)
		r->sq_array[i] = i;
	return 0;
}

int ring_open(struct ring *r, const struct backend *backend, unsigned int sq,
	      unsigned int cq, unsigned int flags)
{
	struct iouring2_params p = { .flags = flags };
	int ret;

	memset(r, 0, sizeof(*r));
	if (cq) {
		p.flags |= IOURING2_SETUP_CQSIZE;
		p.cq_entries = cq;
	}
	r->backend = backend;
	r->fd = backend->setup(sq, &p);
	if (r->fd < 0)
		return r->fd;
	ret = ring_map(r, &p);
	if (ret)
		ring_close(r);
	return ret;
}

void ring_close(struct ring *r)
{
	if (r->map)
		munmap(r->map, r->map_len);
	if (r->sqes && r->sqes != MAP_FAILED)
		munmap(r->sqes, r->sqes_len);
	close(r->fd);
}
