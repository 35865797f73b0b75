/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page that is missing until the test provides it. Any access to it waits
 * until then.
 */
#ifndef SELFTESTS_IOURING2_ABSENT_H
#define SELFTESTS_IOURING2_ABSENT_H

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "ring.h"

struct absent {
	int fd;
	char *page;
};

static inline int absent_make(struct absent *a)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	a->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return -ENODEV;		/* not configured, or not permitted */
	a->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)a->page;
	reg.range.len = 4096;
	return ioctl(a->fd, UFFDIO_API, &api) ||
	       ioctl(a->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/* Return: whether a task accesses the page within @ms */
static inline bool absent_wanted(struct absent *a, int ms)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static inline int absent_provide(struct absent *a)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)a->page, .len = 4096 },
	};

	return ioctl(a->fd, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
}

static inline void absent_free(struct absent *a)
{
	munmap(a->page, 4096);
	close(a->fd);
}

#endif
