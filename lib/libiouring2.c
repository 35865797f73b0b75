// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libiouring2: functions that open the device and call its ioctls.
 *
 * No function in this file uses struct io_uring, because its layout depends on the
 * liburing that a program is compiled with. Functions that use it are inline, in
 * iouring2.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iouring2.h>

#define IOURING2_CALLS_ONLY
#include "iouring2.h"

#define EXPORT	__attribute__((visibility("default")))

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

EXPORT int iouring2_device_open(void)
{
	return result(open("/dev/iouring2", O_RDWR | O_CLOEXEC));
}

/* Call an ioctl of the device. A negative @dev opens the device for the call. */
static int ask_device(int dev, unsigned long request, void *arg)
{
	int own = dev < 0 ? iouring2_device_open() : -1;
	int ret;

	if (dev < 0 && own < 0)
		return own;
	ret = result(ioctl(own < 0 ? dev : own, request, arg));
	if (own >= 0)
		close(own);
	return ret;
}

EXPORT int iouring2_device_query(int dev, struct iouring2_query *query)
{
	memset(query, 0, sizeof(*query));
	return ask_device(dev, IOURING2_IOC_QUERY, query);
}

EXPORT int iouring2_ring_setup_flags(int dev, unsigned int entries,
				     struct io_uring_params *params,
				     unsigned int flags,
				     unsigned int *max_inflight)
{
	struct iouring2_setup s;
	int ret;

	memset(&s, 0, sizeof(s));
	s.entries = entries;
	s.flags = flags;
	s.max_inflight = max_inflight ? *max_inflight : 0;
	memcpy(&s.params, params, sizeof(s.params));
	ret = ask_device(dev, IOURING2_IOC_SETUP, &s);
	if (ret < 0)
		return ret;
	memcpy(params, &s.params, sizeof(s.params));
	if (max_inflight)
		*max_inflight = s.max_inflight;
	return ret;
}

EXPORT int iouring2_ring_setup(int dev, unsigned int entries,
			       struct io_uring_params *params,
			       unsigned int *max_inflight)
{
	return iouring2_ring_setup_flags(dev, entries, params, 0, max_inflight);
}

EXPORT int iouring2_ring_enter(int fd, unsigned int to_submit,
			       unsigned int min_complete, unsigned int flags,
			       const void *arg, size_t argsz)
{
	struct iouring2_enter e = {
		.to_submit = to_submit,
		.min_complete = min_complete,
		.flags = flags,
		.argsz = (unsigned int)argsz,
		.arg = (unsigned long)arg,
	};

	if (argsz > ~0U)
		return -EINVAL;
	return result(ioctl(fd, IOURING2_IOC_ENTER, &e));
}

/* Does the module support ENTER by fadvise64()? It is asked only once. */
static int have_fadvise(void)
{
	static int known;	/* 0 not asked yet, 1 no, 2 yes */
	int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
	struct iouring2_query q;

	/* on 32-bit machines fadvise64() splits its arguments into two registers */
	if (sizeof(long) < 8)
		return 0;
	if (!answer) {
		answer = !iouring2_device_query(-1, &q) &&
			 (q.enter_methods & IOURING2_ENTER_BY_FADVISE) ? 2 : 1;
		__atomic_store_n(&known, answer, __ATOMIC_RELAXED);
	}
	return answer == 2;
}

EXPORT int iouring2_ring_submit(int fd, unsigned int to_submit,
				unsigned int min_complete, unsigned int flags)
{
	if (!have_fadvise())
		return iouring2_ring_enter(fd, to_submit, min_complete, flags,
					   NULL, 0);
	return result((int)syscall(SYS_fadvise64, fd, (long)to_submit,
				   (long)min_complete,
				   (int)(flags ^ IOURING2_ENTER_FADVISE)));
}

EXPORT int iouring2_ring_register(int fd, unsigned int opcode, void *arg,
				  unsigned int nr_args)
{
	struct iouring2_register r = {
		.opcode = opcode,
		.nr_args = nr_args,
		.arg = (unsigned long)arg,
	};

	return result(ioctl(fd, IOURING2_IOC_REGISTER, &r));
}
