/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings of the module and of the kernel's own io_uring behind the same functions,
 * so that one check can run on both in the same boot. Both use the same
 * structures and constants.
 *
 * Include after kselftest_harness.h and fixture.h.
 */
#ifndef SELFTESTS_IOURING2_SIDES_H
#define SELFTESTS_IOURING2_SIDES_H

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "ring.h"

/**
 * struct side - one of the two implementations
 * @name: for messages
 * @setup: set up a ring. Return: 0 or -errno
 * @enter: ENTER. Return: its result or -errno
 * @reg: REGISTER. Return: its result or -errno
 */
struct side {
	const char *name;
	int (*setup)(struct ring *r, unsigned int sq, unsigned int cq,
		     unsigned int flags);
	int (*enter)(int fd, unsigned int to_submit, unsigned int min_complete,
		     unsigned int flags, const void *arg, size_t argsz);
	int (*reg)(int fd, unsigned int opcode, const void *arg,
		   unsigned int nr);
};

static inline int module_setup(struct ring *r, unsigned int sq, unsigned int cq,
			       unsigned int flags)
{
	return ring_init_params(r, sq, cq, flags, 0);
}

static inline int module_register(int fd, unsigned int opcode, const void *arg,
				  unsigned int nr)
{
	struct iouring2_register r = {
		.opcode = opcode,
		.nr_args = nr,
		.arg = (uintptr_t)arg,
	};
	int ret = ioctl(fd, IOURING2_IOC_REGISTER, &r);

	return ret < 0 ? -errno : ret;
}

static inline int tree_setup(struct ring *r, unsigned int sq, unsigned int cq,
			     unsigned int flags)
{
	memset(r, 0, sizeof(*r));
	r->setup.params.flags = flags;
	if (cq) {
		r->setup.params.flags |= IOURING2_SETUP_CQSIZE;
		r->setup.params.cq_entries = cq;
	}
	r->fd = syscall(__NR_io_uring_setup, sq, &r->setup.params);
	return r->fd < 0 ? -errno : ring_map(r);
}

static inline int tree_enter(int fd, unsigned int to_submit,
			     unsigned int min_complete, unsigned int flags,
			     const void *arg, size_t argsz)
{
	int ret = syscall(__NR_io_uring_enter, fd, to_submit, min_complete,
			  flags, arg, argsz);

	return ret < 0 ? -errno : ret;
}

static inline int tree_register(int fd, unsigned int opcode, const void *arg,
				unsigned int nr)
{
	int ret = syscall(__NR_io_uring_register, fd, opcode, arg, nr);

	return ret < 0 ? -errno : ret;
}

static const struct side module_side = {
	"module", module_setup, enter, module_register,
};

static const struct side tree_side = {
	"in-tree io_uring", tree_setup, tree_enter, tree_register,
};

/* Has the kernel's io_uring all set-up flags in @flags? */
static inline bool tree_has(unsigned int flags)
{
	struct ring r;

	if (tree_setup(&r, 4, 0, flags))
		return false;
	ring_exit(&r);
	return true;
}

/* The features of the kernel's io_uring; 0 if there is none */
static inline unsigned int tree_features(void)
{
	struct ring r;
	unsigned int features;

	if (tree_setup(&r, 4, 0, 0))
		return 0;
	features = r.setup.params.features;
	ring_exit(&r);
	return features;
}

/*
 * A fixture that runs each test on the module's ring and on that of the kernel.
 * A test uses variant->side, and begins with NEED_SIDE() if the kernel's may lack
 * what it tests.
 */
#define SIDE_FIXTURE(name)						\
RING_FIXTURE(name) {							\
	const struct side *side;					\
};									\
									\
FIXTURE_VARIANT_ADD(name, module) { &module_side };			\
FIXTURE_VARIANT_ADD(name, tree) { &tree_side }

#define NEED_SIDE(cond)							\
	do {								\
		if (variant->side == &tree_side && !(cond))		\
			SKIP(return, "not in this kernel's io_uring");	\
	} while (0)

#endif
