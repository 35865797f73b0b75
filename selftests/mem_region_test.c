// SPDX-License-Identifier: GPL-2.0-only
/*
 * MEM_REGION: memory that a ring and its application share, of the kernel or of
 * the application; and waits whose argument is in that memory (EXT_ARG_REG). What
 * is refused has the errno of io_uring, whose ring is asked as well where it has
 * this. The memory counts against RLIMIT_MEMLOCK, to the page.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "sides.h"

#define RW		(PROT_READ | PROT_WRITE)
#define USER		IOURING2_MEM_REGION_TYPE_USER
#define WAIT_ARG	IOURING2_MEM_REGION_REG_WAIT_ARG
#define R_DISABLED	IOURING2_SETUP_R_DISABLED
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define BY_REG		(GETEVENTS | IOURING2_ENTER_EXT_ARG | \
			 IOURING2_ENTER_EXT_ARG_REG)
#define TS		IOURING2_REG_WAIT_TS
#define MEM_REGION	IOURING2_REGISTER_MEM_REGION
#define ENABLE		IOURING2_REGISTER_ENABLE_RINGS
#define OFFSET		0x20000000ULL	/* where the kernel's region is mapped */

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static char *anon(size_t len)
{
	return mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int register_region(const struct side *side, int fd,
			   struct iouring2_region_desc *rd, __u64 flags)
{
	struct iouring2_mem_region_reg reg = {
		.region_uptr = (uintptr_t)rd,
		.flags = flags,
	};

	return side->reg(fd, MEM_REGION, &reg, 1);
}

/* Has the kernel's io_uring such regions? */
static bool tree_has_regions(void)
{
	struct iouring2_region_desc rd = { .size = page_size() };
	struct ring r;
	int ret;

	if (tree_setup(&r, 4, 0, 0))
		return false;
	ret = register_region(&tree_side, r.fd, &rd, 0);
	ring_exit(&r);
	return !ret;
}

SIDE_FIXTURE(side);

/* ----------------------------------------------------- memory of the kernel */

/* Every size works, is zero, and is the same in all mappings */
RING_TEST(of_the_kernel)
{
	static const unsigned int pages[] = { 1, 2, 3, 5, 64, 513 };
	struct iouring2_region_desc rd;
	char *map, *again;
	size_t len, at;
	unsigned int i;
	struct ring r;
	long before;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		len = pages[i] * page_size();
		ASSERT_EQ(0, ring_init(&r, 4, 0));
		before = counter("pages");
		/* there is none yet */
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_SHARED,
					   r.fd, OFFSET));
		EXPECT_EQ(EINVAL, errno);
		memset(&rd, 0, sizeof(rd));
		rd.size = len;
		ASSERT_EQ(0, register_region(&module_side, r.fd, &rd, 0));
		EXPECT_EQ(OFFSET, rd.mmap_offset);
		EXPECT_EQ(len, rd.size);
		EXPECT_EQ(0, rd.user_addr);
		/* not a page more than asked for */
		EXPECT_EQ(pages[i], counter("pages") - before);

		map = mmap(NULL, len, RW, MAP_SHARED, r.fd, rd.mmap_offset);
		ASSERT_NE(MAP_FAILED, map);
		for (at = 0; at < len && !map[at]; at++)
			;
		EXPECT_EQ(len, at);
		for (at = 0; at < len; at++)
			map[at] = pattern_byte(at + i);
		again = mmap(NULL, len, PROT_READ, MAP_SHARED, r.fd,
			     rd.mmap_offset);
		ASSERT_NE(MAP_FAILED, again);
		EXPECT_EQ(0, memcmp(map, again, len));
		/* a part from the beginning, and no more than all */
		munmap(again, len);
		again = mmap(NULL, 1, RW, MAP_SHARED, r.fd, rd.mmap_offset);
		EXPECT_NE(MAP_FAILED, again);
		munmap(again, 1);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, len + 1, RW, MAP_SHARED, r.fd,
					   rd.mmap_offset));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_SHARED,
					   r.fd, rd.mmap_offset + page_size()));
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_PRIVATE,
					   r.fd, rd.mmap_offset));
		/* the other mappings of the ring are as before */
		prep_nop(ring_sqe(&r));
		EXPECT_EQ(0, ring_do(&r));
		/* the mapping alone keeps the ring, and the memory */
		ring_exit(&r);
		EXPECT_EQ(self->before.counter[0] + 1, counter("rings"));
		for (at = 0; at < len; at++)
			if ((unsigned char)map[at] != pattern_byte(at + i))
				break;
		EXPECT_EQ(len, at);
		munmap(map, len);
		ASSERT_STREQ("", state_diff(&self->before, true));
	}
}

/* A debugger reads and writes it, also far from its beginning */
RING_TEST(debuggers_see_it)
{
	/* longer than the distance between two mmap offsets: 128 MiB */
	size_t len = full_stress() ? (129UL << 20) : 40 * page_size(), at;
	struct iouring2_region_desc rd = { .size = len };
	struct ring r;
	char *map, c;
	int mem;

	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	ASSERT_EQ(0, register_region(&module_side, r.fd, &rd, 0));
	map = mmap(NULL, len, RW, MAP_SHARED, r.fd, rd.mmap_offset);
	ASSERT_NE(MAP_FAILED, map);
	for (at = 5; at < len; at += len / 8) {
		map[at] = at / 7;
		ASSERT_EQ(1, pread(mem, &c, 1, (uintptr_t)map + at));
		EXPECT_EQ((char)(at / 7), c);
		c = 0x11;
		ASSERT_EQ(1, pwrite(mem, &c, 1, (uintptr_t)map + at));
		EXPECT_EQ(0x11, map[at]);
	}
	/* the same in the second half alone */
	munmap(map, len / 2 / page_size() * page_size());
	map[len - 1] = 0x22;
	ASSERT_EQ(1, pread(mem, &c, 1, (uintptr_t)map + len - 1));
	EXPECT_EQ(0x22, c);
	munmap(map, len);
	close(mem);
	ring_exit(&r);
}

/* ------------------------------------------------ memory of the application */

RING_TEST(of_the_application)
{
	size_t len = 5 * page_size();
	struct iouring2_region_desc rd = {}, was;
	char *mem = anon(len);
	struct ring r;
	long before;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	before = counter("pages");
	rd.size = len;
	rd.user_addr = (uintptr_t)mem;
	rd.flags = USER;
	was = rd;
	ASSERT_EQ(0, register_region(&module_side, r.fd, &rd, 0));
	EXPECT_EQ(0, memcmp(&was, &rd, sizeof(rd)));
	EXPECT_EQ(5, counter("pages") - before);
	/* the application has it mapped already */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_SHARED, r.fd,
				   OFFSET));
	EXPECT_EQ(EINVAL, errno);
	munmap(mem, len);
	prep_nop(ring_sqe(&r));
	EXPECT_EQ(0, ring_do(&r));
	EXPECT_EQ(5, counter("pages") - before);
	ring_exit(&r);
}

/* ---------------------------------------------------------- what is refused */

struct args {
	struct iouring2_region_desc rd;
	struct iouring2_mem_region_reg reg;
	void *arg;
	unsigned int nr;
};

static void no_arg(struct args *a, char *mem)
{
	a->arg = NULL;
}

static void no_number(struct args *a, char *mem)
{
	a->nr = 0;
}

static void number_2(struct args *a, char *mem)
{
	a->nr = 2;
}

static void bad_arg(struct args *a, char *mem)
{
	a->arg = (void *)-4096L;
}

static void no_desc(struct args *a, char *mem)
{
	a->reg.region_uptr = 0;
}

static void reg_resv(struct args *a, char *mem)
{
	a->reg.__resv[1] = 1;
}

static void reg_flags(struct args *a, char *mem)
{
	a->reg.flags = 2;
}

static void reg_flags_high(struct args *a, char *mem)
{
	a->reg.flags = 1ULL << 32;
}

static void wait_arg_enabled(struct args *a, char *mem)
{
	a->reg.flags = WAIT_ARG;
}

static void desc_resv(struct args *a, char *mem)
{
	a->rd.__resv[3] = 1;
}

static void desc_flags(struct args *a, char *mem)
{
	a->rd.flags |= 2;
}

static void no_address(struct args *a, char *mem)
{
	a->rd.user_addr = 0;
}

static void address_without_flag(struct args *a, char *mem)
{
	a->rd.flags = 0;
}

static void no_size(struct args *a, char *mem)
{
	a->rd.size = 0;
}

static void odd_size(struct args *a, char *mem)
{
	a->rd.size = page_size() + 1;
}

static void odd_address(struct args *a, char *mem)
{
	a->rd.user_addr++;
}

static void an_offset(struct args *a, char *mem)
{
	a->rd.mmap_offset = OFFSET;
}

static void an_id(struct args *a, char *mem)
{
	a->rd.id = 1;
}

static void too_large(struct args *a, char *mem)
{
	a->rd.size = 1ULL << 52;
}

static void wraps(struct args *a, char *mem)
{
	a->rd.user_addr = -page_size();
}

static void hole(struct args *a, char *mem)
{
	munmap(mem + page_size(), page_size());
}

static void read_only(struct args *a, char *mem)
{
	mprotect(mem + page_size(), page_size(), PROT_READ);
}

static const struct {
	const char *what;
	void (*spoil)(struct args *a, char *mem);
	int err;
} refused[] = {
	{ "no argument", no_arg, -EINVAL },
	{ "nr_args 0", no_number, -EINVAL },
	{ "nr_args 2", number_2, -EINVAL },
	{ "an argument in the kernel", bad_arg, -EFAULT },
	{ "no descriptor", no_desc, -EFAULT },
	{ "a reserved field", reg_resv, -EINVAL },
	{ "an unknown flag", reg_flags, -EINVAL },
	{ "a high flag", reg_flags_high, -EINVAL },
	{ "WAIT_ARG on an enabled ring", wait_arg_enabled, -EINVAL },
	{ "a reserved field of the region", desc_resv, -EINVAL },
	{ "an unknown flag of the region", desc_flags, -EINVAL },
	{ "no address", no_address, -EFAULT },
	{ "an address without the flag", address_without_flag, -EFAULT },
	{ "no size", no_size, -EINVAL },
	{ "an odd size", odd_size, -EINVAL },
	{ "an odd address", odd_address, -EINVAL },
	{ "an mmap offset", an_offset, -EINVAL },
	{ "an id", an_id, -EINVAL },
	{ "too large a region", too_large, -E2BIG },
	{ "an address that wraps", wraps, -EOVERFLOW },
	{ "a hole", hole, -EFAULT },
	{ "read-only memory", read_only, -EFAULT },
};

/* An errno, nothing written, and a correct region can still be registered */
TEST_F_TIMEOUT(side, values_refused, LIMIT)
{
	struct args a, was;
	unsigned int i;
	struct ring r;
	char *mem;

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, variant->side->setup(&r, 4, 0, 0));
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		mem = anon(2 * page_size());
		ASSERT_NE(MAP_FAILED, mem);
		memset(&a, 0, sizeof(a));
		a.rd.size = 2 * page_size();
		a.rd.user_addr = (uintptr_t)mem;
		a.rd.flags = USER;
		a.reg.region_uptr = (uintptr_t)&a.rd;
		a.arg = &a.reg;
		a.nr = 1;
		refused[i].spoil(&a, mem);
		was = a;
		EXPECT_EQ(refused[i].err,
			  variant->side->reg(r.fd, MEM_REGION, a.arg, a.nr)) {
			TH_LOG("%s", refused[i].what);
		}
		EXPECT_EQ(0, memcmp(&was, &a, sizeof(a)));
		munmap(mem, 2 * page_size());
	}
	memset(&a.rd, 0, sizeof(a.rd));
	a.rd.size = page_size();
	EXPECT_EQ(0, register_region(variant->side, r.fd, &a.rd, 0));
	/* only one, and it cannot be replaced */
	memset(&a.rd, 0, sizeof(a.rd));
	EXPECT_EQ(-EBUSY, register_region(variant->side, r.fd, &a.rd, 0));
	a.rd.size = page_size();
	EXPECT_EQ(-EBUSY, register_region(variant->side, r.fd, &a.rd, 0));
	ring_exit(&r);
}

/* The descriptor cannot be written to: there is no region then */
TEST_F_TIMEOUT(side, copy_out_fails, LIMIT)
{
	struct iouring2_region_desc *rd = (void *)anon(page_size());
	struct ring r;

	NEED_SIDE(tree_has_regions());
	ASSERT_NE(MAP_FAILED, (void *)rd);
	rd->size = 3 * page_size();
	mprotect(rd, page_size(), PROT_READ);
	ASSERT_EQ(0, variant->side->setup(&r, 4, 0, 0));
	EXPECT_EQ(-EFAULT, register_region(variant->side, r.fd, rd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_SHARED, r.fd,
				   OFFSET));
	mprotect(rd, page_size(), RW);
	EXPECT_EQ(0, rd->mmap_offset);
	EXPECT_EQ(0, register_region(variant->side, r.fd, rd, 0));
	ring_exit(&r);
}

struct registrar {
	int fd, ret;
	pthread_barrier_t *together;
};

static void *register_together(void *arg)
{
	struct iouring2_region_desc rd = { .size = 64 * page_size() };
	struct registrar *g = arg;

	pthread_barrier_wait(g->together);
	g->ret = register_region(&module_side, g->fd, &rd, 0);
	return NULL;
}

/* Of two that register at the same time one succeeds, and nothing is left over */
RING_TEST(registered_once)
{
	pthread_barrier_t together;
	struct registrar g[2];
	pthread_t threads[2];
	unsigned int i, n;
	struct ring r;
	long before;

	pthread_barrier_init(&together, NULL, 2);
	for (n = 0; n < 50; n++) {
		ASSERT_EQ(0, ring_init(&r, 4, 0));
		before = counter("pages");
		for (i = 0; i < 2; i++) {
			g[i].fd = r.fd;
			g[i].together = &together;
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    register_together, &g[i]));
		}
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		EXPECT_EQ(-EBUSY, g[0].ret + g[1].ret);
		EXPECT_EQ(64, counter("pages") - before);
		ring_exit(&r);
	}
}

/* ---------------------------------------------------------------- memlock */

enum { LIMIT_PAGES = 12 };

/* A user without CAP_IPC_LOCK who may lock LIMIT_PAGES, and who does nothing else */
static const char *become_limited(void)
{
	struct rlimit l = {
		.rlim_cur = LIMIT_PAGES * page_size(),
		.rlim_max = LIMIT_PAGES * page_size(),
	};

	if (setrlimit(RLIMIT_MEMLOCK, &l) || setgroups(0, NULL) ||
	    setresgid(54321, 54321, 54321) || setresuid(54321, 54321, 54321))
		return "cannot become another user";
	return "";
}

static int region_of(int fd, unsigned int pages, char *mem)
{
	struct iouring2_region_desc rd = {
		.size = pages * page_size(),
		.user_addr = (uintptr_t)mem,
		.flags = mem ? USER : 0,
	};

	return register_region(&module_side, fd, &rd, 0);
}

/* @arg: whether the application provides the memory */
static const char *up_to_the_limit(void *arg)
{
	char *mem = arg ? anon((LIMIT_PAGES + 1) * page_size()) : NULL;
	struct ring r[3];
	const char *bad;
	int i, ret;

	for (i = 0; i < 3; i++)
		if (ring_init(&r[i], 64, 0))
			return "SETUP";
	bad = become_limited();
	if (*bad)
		return bad;
	ret = region_of(r[0].fd, LIMIT_PAGES + 1, mem);
	if (ret != -ENOMEM)
		return reason("one page too many: %d", ret);
	/* an attempt that fails later is not charged */
	for (i = 0; i < 20; i++) {
		ret = region_of(r[0].fd, 3, (char *)0x1000);
		if (ret != -EFAULT)
			return reason("no memory there: %d", ret);
	}
	ret = region_of(r[0].fd, LIMIT_PAGES - 1, mem);
	if (ret)
		return reason("as much as is allowed, but one: %d", ret);
	ret = region_of(r[1].fd, 2, mem);
	if (ret != -ENOMEM)
		return reason("in sum one page too many: %d", ret);
	ret = region_of(r[1].fd, 1, mem);
	if (ret)
		return reason("in sum as much as is allowed: %d", ret);
	/* until the ring ends */
	ring_exit(&r[0]);
	ret = region_of(r[2].fd, LIMIT_PAGES, mem);
	if (ret != -ENOMEM)
		return reason("the other region is still there: %d", ret);
	ret = region_of(r[2].fd, LIMIT_PAGES - 1, mem);
	if (ret)
		return reason("what the first ring has given back: %d", ret);
	ring_exit(&r[1]);
	ring_exit(&r[2]);
	return "";
}

RING_TEST(counts_as_locked)
{
	EXPECT_CHILD(up_to_the_limit, NULL);
	EXPECT_CHILD(up_to_the_limit, "");
	/* once more: nothing is charged to the user any more */
	EXPECT_CHILD(up_to_the_limit, NULL);
}

static const char *root_is_not_limited(void *arg)
{
	struct rlimit l = { 0, 0 };
	struct ring r;
	int ret;

	if (setrlimit(RLIMIT_MEMLOCK, &l))
		return "setrlimit";
	if (ring_init(&r, 64, 0))
		return "SETUP";
	ret = region_of(r.fd, 100, NULL);
	ring_exit(&r);
	return ret ? reason("%d", ret) : "";
}

RING_TEST(capability_is_not_limited)
{
	EXPECT_CHILD(root_is_not_limited, NULL);
}

/* Rings are not charged, wherever their memory comes from: as in io_uring */
static const char *rings_are_not_limited(void *arg)
{
	int dev = dev_open();
	struct iouring2_setup s = { .entries = 4096 };
	struct ring own = {};
	const char *bad;
	int fd;

	if (dev < 0)
		return "the device";
	bad = become_limited();
	if (*bad)
		return bad;
	fd = ioctl(dev, IOURING2_IOC_SETUP, &s);
	if (fd < 0)
		return "a ring of the kernel's memory";
	close(fd);
	own.setup.entries = 4096;
	own.setup.params.flags = IOURING2_SETUP_NO_MMAP;
	if (ring_memory(&own))
		return "no memory";
	fd = ioctl(dev, IOURING2_IOC_SETUP, &own.setup);
	if (fd < 0)
		return "a ring of the application's memory";
	close(fd);
	return "";
}

RING_TEST(rings_are_free)
{
	EXPECT_CHILD(rings_are_not_limited, NULL);
}

/* ------------------------------------------------- arguments of waits */

/* Whose memory the region is */
enum whose { KERNELS, APPLICATIONS };

struct waits {
	struct ring r;
	const struct side *side;
	char *mem;
	size_t len;
};

/* An enabled ring with a region for the arguments of waits. Return: 0 or -errno. */
static int waits_init(struct waits *w, const struct side *side, enum whose whose)
{
	struct iouring2_region_desc rd = {};
	int ret;

	w->side = side;
	w->len = 2 * page_size();
	ret = side->setup(&w->r, 8, 0, R_DISABLED);
	if (ret)
		return ret;
	rd.size = w->len;
	if (whose == APPLICATIONS) {
		w->mem = anon(w->len);
		rd.user_addr = (uintptr_t)w->mem;
		rd.flags = USER;
	}
	ret = register_region(side, w->r.fd, &rd, WAIT_ARG);
	if (ret)
		return ret;
	if (whose == KERNELS)
		w->mem = mmap(NULL, w->len, RW, MAP_SHARED, w->r.fd,
			      rd.mmap_offset);
	return side->reg(w->r.fd, ENABLE, NULL, 0);
}

static void waits_exit(struct waits *w)
{
	ring_exit(&w->r);
	munmap(w->mem, w->len);
}

static struct iouring2_reg_wait *arg_at(struct waits *w, size_t off)
{
	struct iouring2_reg_wait *arg = (void *)(w->mem + off);

	memset(arg, 0, sizeof(*arg));
	return arg;
}

/* Wait for one CQE with the argument at @off */
static int wait_reg(struct waits *w, __u64 off)
{
	return w->side->enter(w->r.fd, 0, 1, BY_REG, (void *)off,
			      sizeof(struct iouring2_reg_wait));
}

RING_FIXTURE(waits) {
	const struct side *side;
	enum whose whose;
};

FIXTURE_VARIANT_ADD(waits, of_the_kernel) { &module_side, KERNELS };
FIXTURE_VARIANT_ADD(waits, of_the_application) { &module_side, APPLICATIONS };
FIXTURE_VARIANT_ADD(waits, tree) { &tree_side, KERNELS };

/* A timeout, relative and absolute, at the first and the last place */
TEST_F_TIMEOUT(waits, times_out, LIMIT)
{
	const size_t size = sizeof(struct iouring2_reg_wait);
	struct iouring2_reg_wait *arg;
	size_t offs[3], i;
	long long begin;
	struct waits w;

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	offs[0] = 0;
	offs[1] = page_size() - 8;	/* across pages */
	/* io_uring takes the first argument for the last one */
	offs[2] = w.len - size - (variant->side == &module_side ? 0 : 8);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		arg = arg_at(&w, offs[i]);
		arg->flags = TS;
		arg->ts = ts_ns(30 * NSEC_PER_MSEC);
		/* fields that are not used may have any value */
		arg->pad[0] = ~0;
		arg->pad[2] = ~0;
		arg->pad2[1] = ~0;
		begin = now_ns(CLOCK_MONOTONIC);
		EXPECT_EQ(-ETIME, wait_reg(&w, offs[i]));
		EXPECT_LE(30 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);

		begin = now_ns(CLOCK_MONOTONIC);
		arg->ts = ts_ns(begin + 30 * NSEC_PER_MSEC);
		EXPECT_EQ(-ETIME,
			  w.side->enter(w.r.fd, 0, 1,
					BY_REG | IOURING2_ENTER_ABS_TIMER,
					(void *)offs[i], size));
		EXPECT_LE(30 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
	}
	/* without the flag ts is not used: the wait ends by a completion */
	arg->flags = 0;
	arg->ts = ts_ns(1);
	add_timer(&w.r, 50, 0, 3);
	ring_publish(&w.r);
	EXPECT_EQ(1, w.side->enter(w.r.fd, 1, 1, BY_REG, (void *)offs[2],
				   size));
	EXPECT_EQ(1, (int)ring_ready(&w.r));
	waits_exit(&w);
}

/* The signal mask of the argument is in effect during the wait */
static int got;

static void on_signal(int sig)
{
	got++;
}

TEST_F_TIMEOUT(waits, masks_signals, LIMIT)
{
	struct iouring2_reg_wait *arg;
	struct waits w;
	sigset_t set;
	__u64 mask;

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	signal(SIGUSR1, on_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	arg = arg_at(&w, 64);
	arg->flags = TS;
	arg->ts = ts_ns(20 * NSEC_PER_MSEC);
	EXPECT_EQ(-ETIME, wait_reg(&w, 64));
	EXPECT_EQ(0, got);
	mask = 0;
	arg->sigmask = (uintptr_t)&mask;
	arg->sigmask_sz = SIGSET_BYTES;
	arg->ts = ts_ns(20 * NSEC_PER_SEC);
	EXPECT_EQ(-EINTR, wait_reg(&w, 64));
	EXPECT_EQ(1, got);
	/* and it is as before */
	sigprocmask(SIG_BLOCK, NULL, &set);
	EXPECT_TRUE(sigismember(&set, SIGUSR1));
	arg->sigmask_sz = SIGSET_BYTES - 1;
	EXPECT_EQ(-EINVAL, wait_reg(&w, 64));
	arg->sigmask_sz = SIGSET_BYTES;
	arg->sigmask = 8;
	EXPECT_EQ(-EFAULT, wait_reg(&w, 64));
	waits_exit(&w);
}

/* After the minimum wait of the argument a single CQE is enough */
TEST_F_TIMEOUT(waits, waits_at_least, LIMIT)
{
	struct iouring2_reg_wait *arg;
	long long begin;
	struct waits w;

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	ASSERT_EQ(0, ring_nop(&w.r, 1));
	ring_publish(&w.r);
	arg = arg_at(&w, 0);
	arg->flags = TS;
	arg->ts = ts_ns(20 * NSEC_PER_SEC);
	arg->min_wait_usec = 30000;
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(1, w.side->enter(w.r.fd, 1, 2, BY_REG, NULL, sizeof(*arg)));
	EXPECT_LE(30 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_GT(20 * NSEC_PER_SEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(1, (int)ring_ready(&w.r));
	waits_exit(&w);
}

TEST_F_TIMEOUT(waits, arguments_refused, LIMIT)
{
	const size_t size = sizeof(struct iouring2_reg_wait);
	struct iouring2_reg_wait *arg;
	struct waits w;
	unsigned int bit;
	size_t i;

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	const __u64 bad[] = {
		1, 4, w.len - size + 8, w.len - 8, w.len, w.len + size,
		-8ULL, -size, 1ULL << 63, (uintptr_t)w.mem,
	};

	for (i = 0; i < w.len; i += size) {
		arg = arg_at(&w, i);
		arg->flags = TS;
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EFAULT, wait_reg(&w, bad[i])) {
			TH_LOG("offset %#llx", (unsigned long long)bad[i]);
		}
	}
	EXPECT_EQ(-ETIME, wait_reg(&w, w.len - size));
	EXPECT_EQ(-EINVAL, w.side->enter(w.r.fd, 0, 1, BY_REG, NULL, size - 8));
	EXPECT_EQ(-EINVAL, w.side->enter(w.r.fd, 0, 1, BY_REG, NULL,
					 sizeof(struct iouring2_getevents_arg)));
	arg = arg_at(&w, 0);
	for (bit = 1; bit < 32; bit++) {
		arg->flags = 1U << bit | TS;
		EXPECT_EQ(-EINVAL, wait_reg(&w, 0)) {
			TH_LOG("flag %u", bit);
		}
	}
	/* what has been submitted is counted, whatever the argument is */
	ASSERT_EQ(0, ring_nop(&w.r, 1));
	ring_publish(&w.r);
	EXPECT_EQ(1, w.side->enter(w.r.fd, 1, 1, BY_REG, (void *)1, size));
	waits_exit(&w);
}

/* A ring without a region, and one whose region is not for waits */
TEST_F_TIMEOUT(side, no_region_for_waits, LIMIT)
{
	struct iouring2_region_desc rd = { .size = page_size() };
	struct waits w = { .side = variant->side };

	NEED_SIDE(tree_has_regions());
	ASSERT_EQ(0, variant->side->setup(&w.r, 8, 0, 0));
	EXPECT_EQ(-EFAULT, wait_reg(&w, 0));
	ASSERT_EQ(0, register_region(variant->side, w.r.fd, &rd, 0));
	EXPECT_EQ(-EFAULT, wait_reg(&w, 0));
	/* without EXT_ARG the flag means nothing: this is a wait without a mask */
	ASSERT_EQ(0, ring_nop(&w.r, 1));
	ring_publish(&w.r);
	EXPECT_EQ(1, variant->side->enter(w.r.fd, 1, 1, GETEVENTS |
					  IOURING2_ENTER_EXT_ARG_REG, NULL, 0));
	ring_exit(&w.r);
}

/* A time before the beginning is refused, as by the other argument */
RING_TEST(negative_times)
{
	struct iouring2_reg_wait *arg;
	struct waits w;

	ASSERT_EQ(0, waits_init(&w, &module_side, KERNELS));
	arg = arg_at(&w, 0);
	arg->flags = TS;
	arg->ts.tv_sec = -1;
	EXPECT_EQ(-EINVAL, wait_reg(&w, 0));
	arg->ts.tv_sec = 0;
	arg->ts.tv_nsec = -1;
	EXPECT_EQ(-EINVAL, wait_reg(&w, 0));
	/* fadvise64 has no argument */
	EXPECT_EQ(-EINVAL, enter_by_fadvise(w.r.fd, 0, 1, BY_REG));
	waits_exit(&w);
}

/* ------------------------------------------------- a hostile application */

static bool stop;

/* Turn the argument from valid to invalid, and back, all the time */
static void *flip(void *mem)
{
	struct iouring2_reg_wait *arg = mem;
	unsigned int n;

	for (n = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
		__atomic_store_n(&arg->flags, n % 2 ? TS : ~0U,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&arg->sigmask, n % 3 ? 0 : 8ULL,
				 __ATOMIC_RELAXED);
		arg->ts.tv_nsec = n % 1000;
	}
	return NULL;
}

/* The kernel reads each field once */
TEST_F_TIMEOUT(waits, changed_meanwhile, LIMIT)
{
	struct iouring2_reg_wait *arg;
	pthread_t thread;
	long long end;
	struct waits w;
	int ret;

	if (variant->side != &module_side)
		SKIP(return, "a test of the module");
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	arg = arg_at(&w, 0);
	arg->sigmask_sz = SIGSET_BYTES;
	arg->flags = TS;
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, w.mem));
	end = now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		ret = wait_reg(&w, 0);
		ASSERT_TRUE(ret == -ETIME || ret == -EINVAL || ret == -EFAULT);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	waits_exit(&w);
}

/* The application unmaps the memory: the last argument stays in effect */
TEST_F_TIMEOUT(waits, unmapped, LIMIT)
{
	struct iouring2_reg_wait *arg;
	struct waits w;

	if (variant->side != &module_side)
		SKIP(return, "a test of the module");
	ASSERT_EQ(0, waits_init(&w, variant->side, variant->whose));
	arg = arg_at(&w, 128);
	arg->flags = TS;
	arg->ts = ts_ns(NSEC_PER_MSEC);
	munmap(w.mem, w.len);
	EXPECT_EQ(-ETIME, wait_reg(&w, 128));
	ring_exit(&w.r);
}

/* ------------------------------------------------------------ failing steps */

RING_TEST(every_step)
{
	static const char * const steps[] = {
		"region struct", "region memlock", "region memory",
		"region page array", "region pages", "region vmap",
		"region pin", "region copy-out",
	};
	static const unsigned int pages[] = { 4, 3, 3 };
	struct iouring2_region_desc rd, was;
	unsigned int i, k, nth, failed = 0;
	char name[64], *mem;
	struct ring r;
	long before;
	int ret;

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	mem = anon(4 * page_size());
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		for (nth = 1; nth < 20; nth++) {
			ASSERT_EQ(0, ring_init(&r, 4, 0));
			before = counter("pages");
			memset(&rd, 0, sizeof(rd));
			rd.size = pages[i] * page_size();
			if (i == 2) {
				rd.user_addr = (uintptr_t)mem;
				rd.flags = USER;
			}
			was = rd;
			ASSERT_EQ(0, module_param_set("setup_fail_nth", nth));
			ret = register_region(&module_side, r.fd, &rd, 0);
			if (read_text("/sys/module/iouring2/parameters/setup_fail_point",
				      name, sizeof(name)) < 0)
				name[0] = '\0';
			first_line(name);
			for (k = 0; k < ARRAY_SIZE(steps); k++)
				if (!strcmp(name, steps[k]))
					failed |= 1U << k;
			if (ret) {
				EXPECT_TRUE(ret == -ENOMEM || ret == -EFAULT) {
					TH_LOG("%s: %d", name, ret);
				}
				EXPECT_EQ(0, memcmp(&was, &rd, sizeof(rd)));
				EXPECT_EQ(before, counter("pages"));
				/* and then it works */
				EXPECT_EQ(0, register_region(&module_side, r.fd,
							     &rd, 0));
			}
			ring_exit(&r);
			ASSERT_STREQ("", state_diff(&self->before, true));
			if (!ret && !name[0])
				break;
		}
		EXPECT_GT(20U, nth);
	}
	for (k = 0; k < ARRAY_SIZE(steps); k++) {
		EXPECT_TRUE(failed >> k & 1) {
			TH_LOG("never failed: %s", steps[k]);
		}
	}
	module_param_set("setup_fail_nth", 0);
	module_param_set("setup_fail_pid", 0);
}

RING_TEST_MAIN
