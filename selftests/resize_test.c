// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE_RINGS: the rings of a ring that is in use are replaced. What is queued and
 * what has not been taken moves along, in order, and completions that come
 * meanwhile are not lost (I1, I2). What does not fit changes nothing. The old
 * memory lives as long as somebody has it mapped, and no longer.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define CQSIZE		IOURING2_SETUP_CQSIZE
#define CLAMP		IOURING2_SETUP_CLAMP
#define NO_ARRAY	IOURING2_SETUP_NO_SQARRAY
#define NO_MMAP		IOURING2_SETUP_NO_MMAP
#define DEFER		(IOURING2_SETUP_SINGLE_ISSUER | \
			 IOURING2_SETUP_DEFER_TASKRUN)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define OVERFLOW_FLAG	IOURING2_SQ_CQ_OVERFLOW
#define RW		(PROT_READ | PROT_WRITE)

static int reg(int fd, unsigned int opcode, void *arg, unsigned int nr)
{
	struct iouring2_register r = {
		.opcode = opcode,
		.nr_args = nr,
		.arg = (uintptr_t)arg,
	};
	int ret = ioctl(fd, IOURING2_IOC_REGISTER, &r);

	return ret < 0 ? -errno : ret;
}

static int resize_params(int fd, struct iouring2_params *p)
{
	return reg(fd, IOURING2_REGISTER_RESIZE_RINGS, p, 1);
}

/* Only the call; the old rings stay mapped at @r. @cq may be 0 */
static int resize_call(struct ring *r, unsigned int sq, unsigned int cq,
		       struct iouring2_params *p)
{
	memset(p, 0, sizeof(*p));
	p->sq_entries = sq;
	if (cq) {
		p->flags = CQSIZE;
		p->cq_entries = cq;
	}
	return resize_params(r->fd, p);
}

/* Map the new rings, and only then unmap the old ones, as liburing does */
static int remap(struct ring *r, const struct iouring2_params *p)
{
	struct ring old = *r;
	int ret;

	r->setup.params = *p;
	ret = ring_map(r);
	if (!ret)
		ring_unmap(&old);
	return ret;
}

static int resize(struct ring *r, unsigned int sq, unsigned int cq)
{
	struct iouring2_params p;
	int ret = resize_call(r, sq, cq, &p);

	return ret ? ret : remap(r, &p);
}

/* A NOP goes through the ring. Return: "" or what is wrong. */
static const char *goes_through(struct ring *r, __u64 ud)
{
	struct iouring2_cqe cqe;
	int ret;

	if (ring_nop(r, ud))
		return "the SQ is full";
	ret = ring_submit(r);
	if (ret != 1)
		return reason("submitted %d", ret);
	if (!ring_peek(r, &cqe))
		return "no CQE";
	return cqe.user_data == ud ? "" : "another CQE";
}

/* ------------------------------------------------------------------ sizes */

static const struct {
	unsigned int sq, cq, flags, sq_is, cq_is;
} sizes[] = {
	{ 1, 0, 0, 1, 2 },
	{ 5, 0, 0, 8, 16 },
	{ 8, 8, CQSIZE, 8, 8 },
	{ 8, 300, CQSIZE, 8, 512 },
	{ 4096, 0, 0, 4096, 8192 },
	{ 1, 65536, CQSIZE, 1, 65536 },
	{ 32768, 0, 0, 32768, 65536 },
	{ 100000, 0, CLAMP, 32768, 65536 },
	{ 4, 1 << 20, CLAMP | CQSIZE, 4, 65536 },
	/* without CQSIZE the field is ignored */
	{ 4, 64, 0, 4, 8 },
	{ 8, 0, 0, 8, 16 },
};

RING_FIXTURE(flags) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(flags, none) { 0 };
FIXTURE_VARIANT_ADD(flags, no_array) { NO_ARRAY };
FIXTURE_VARIANT_ADD(flags, big_entries) {
	IOURING2_SETUP_SQE128 | IOURING2_SETUP_CQE32
};

/* From each size to the next one; the result is as if SETUP had given it */
TEST_F_TIMEOUT(flags, sizes_granted, LIMIT)
{
	struct iouring2_params p;
	struct iouring2_setup s;
	unsigned int i, j;
	struct ring r;
	int fd;

	ASSERT_EQ(0, ring_init_params(&r, 2, 0, variant->flags, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&p, 0, sizeof(p));
		p.sq_entries = sizes[i].sq;
		p.cq_entries = sizes[i].cq;
		p.flags = sizes[i].flags;
		ASSERT_EQ(0, resize_params(r.fd, &p)) {
			TH_LOG("sizes %u", i);
		}
		EXPECT_EQ(sizes[i].sq_is, p.sq_entries);
		EXPECT_EQ(sizes[i].cq_is, p.cq_entries);
		EXPECT_EQ(sizes[i].flags | variant->flags, p.flags);
		memset(&s, 0, sizeof(s));
		s.entries = sizes[i].sq;
		s.params.cq_entries = sizes[i].cq;
		s.params.flags = sizes[i].flags | variant->flags;
		fd = dev_setup(&s);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, memcmp(&s.params, &p, sizeof(p)));
		close(fd);
		ASSERT_EQ(0, remap(&r, &p));
		EXPECT_EQ(p.sq_entries, *r.sq_entries);
		EXPECT_EQ(p.sq_entries - 1, *r.sq_mask);
		EXPECT_EQ(p.cq_entries, *r.cq_entries);
		EXPECT_EQ(p.cq_entries - 1, *r.cq_mask);
		EXPECT_EQ(p.sq_entries - 1, fdinfo(r.fd, "SqMask"));
		EXPECT_EQ(p.cq_entries - 1, fdinfo(r.fd, "CqMask"));
		/* once around, and the whole SQ at once */
		for (j = 0; j < p.sq_entries; j++)
			ASSERT_EQ(0, ring_nop(&r, j));
		EXPECT_EQ(-EBUSY, ring_nop(&r, j));
		EXPECT_EQ((int)p.sq_entries, ring_submit(&r));
		EXPECT_EQ(p.sq_entries, ring_ready(&r));
		for (j = 0; j < p.sq_entries; j++) {
			struct iouring2_cqe cqe;

			ASSERT_TRUE(ring_peek(&r, &cqe));
			ASSERT_EQ(j, cqe.user_data);
		}
	}
	ring_exit(&r);
}

/* The memory of the new size, and no other, is there as soon as it is mapped */
RING_TEST(memory_is_exchanged)
{
	long small, large;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	small = counter("pages");
	ASSERT_EQ(0, resize(&r, 4096, 0));
	large = counter("pages");
	EXPECT_LT(small + 90, large);
	ASSERT_EQ(0, resize(&r, 8, 0));
	EXPECT_EQ(small, counter("pages"));
	ASSERT_EQ(0, resize(&r, 8, 0));
	EXPECT_EQ(small, counter("pages"));
	ring_exit(&r);
}

/* ------------------------------------------------------------ what is refused */

struct bad {
	const char *what;
	unsigned int sq, cq, flags;
};

static const struct bad bad_sizes[] = {
	{ "no SQ", 0, 0, 0 },
	{ "no CQ", 8, 0, CQSIZE },
	{ "a CQ smaller than the SQ", 8, 4, CQSIZE },
	{ "too large an SQ", 32769, 0, 0 },
	{ "too large a CQ", 8, 65537, CQSIZE },
	{ "no SQ, clamped", 0, 0, CLAMP },
};

/* RESIZE_RINGS of the kernel's io_uring. Return: 0 or -errno. */
static int tree_resize(int fd, void *p, unsigned int nr)
{
	int ret = syscall(__NR_io_uring_register, fd,
			  IOURING2_REGISTER_RESIZE_RINGS, p, nr);

	return ret < 0 ? -errno : ret;
}

/* Return: a ring of the kernel's io_uring that can be resized, or -errno */
static int tree_ring(unsigned int entries, struct iouring2_params *p)
{
	struct iouring2_params again = { .sq_entries = entries };
	int fd;

	memset(p, 0, sizeof(*p));
	p->flags = DEFER;
	fd = syscall(__NR_io_uring_setup, entries, p);
	if (fd < 0)
		return -errno;
	if (!tree_resize(fd, &again, 1))
		return fd;
	close(fd);
	return -EINVAL;
}

RING_TEST(values_refused)
{
	struct iouring2_params p, was, tp;
	int tree = tree_ring(8, &tp), bit;
	const struct bad *row;
	struct ring r;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
		row = &bad_sizes[i];
		memset(&p, 0, sizeof(p));
		p.sq_entries = row->sq;
		p.cq_entries = row->cq;
		p.flags = row->flags;
		was = p;
		EXPECT_EQ(-EINVAL, resize_params(r.fd, &p)) {
			TH_LOG("%s", row->what);
		}
		EXPECT_EQ(0, memcmp(&p, &was, sizeof(p)));
		if (tree >= 0) {
			EXPECT_EQ(-EINVAL, tree_resize(tree, &p, 1)) {
				TH_LOG("io_uring: %s", row->what);
			}
		}
	}
	/* Flags belong to the ring; those that it has may not be given either */
	for (bit = 0; bit < 32; bit++) {
		memset(&p, 0, sizeof(p));
		p.sq_entries = 8;
		p.cq_entries = 16;
		p.flags = 1U << bit;
		was = p;
		if (p.flags & (CQSIZE | CLAMP))
			continue;
		EXPECT_EQ(-EINVAL, resize_params(r.fd, &p)) {
			TH_LOG("flag bit %d", bit);
		}
		EXPECT_EQ(0, memcmp(&p, &was, sizeof(p)));
		if (tree >= 0)
			EXPECT_EQ(-EINVAL, tree_resize(tree, &p, 1));
	}
	for (i = 0; i < ARRAY_SIZE(p.resv); i++) {
		memset(&p, 0, sizeof(p));
		p.sq_entries = 8;
		p.resv[i] = 1;
		EXPECT_EQ(-EINVAL, resize_params(r.fd, &p));
	}
	EXPECT_EQ(7, fdinfo(r.fd, "SqMask"));
	EXPECT_EQ(15, fdinfo(r.fd, "CqMask"));
	EXPECT_STREQ("", goes_through(&r, 1));
	ring_exit(&r);
	if (tree >= 0)
		close(tree);
}

RING_TEST(arguments_refused)
{
	struct iouring2_params p = { .sq_entries = 8 }, tp;
	size_t page = sysconf(_SC_PAGESIZE);
	int tree = tree_ring(8, &tp);
	struct ring r;
	char *edge, *ro;
	unsigned int i;

	edge = mmap(NULL, 2 * page, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ro = mmap(NULL, page, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, edge);
	ASSERT_NE(MAP_FAILED, ro);
	/* not a hole, into which a ring may be mapped */
	mprotect(edge + page, page, PROT_NONE);
	memcpy(ro, &p, sizeof(p));
	mprotect(ro, page, PROT_READ);
	ASSERT_EQ(0, ring_init(&r, 2, 0));
	for (i = 0; i < 6; i++) {
		const struct {
			void *arg;
			unsigned int nr;
			int err;
		} rows[] = {
			{ NULL, 1, -EINVAL },
			{ &p, 0, -EINVAL },
			{ &p, 2, -EINVAL },
			{ (void *)-4096L, 1, -EFAULT },
			{ edge + page - sizeof(p) / 2, 1, -EFAULT },
			{ ro, 1, -EFAULT },
		};

		EXPECT_EQ(rows[i].err, reg(r.fd, IOURING2_REGISTER_RESIZE_RINGS,
					   rows[i].arg, rows[i].nr)) {
			TH_LOG("row %u", i);
		}
		if (tree >= 0)
			EXPECT_EQ(rows[i].err, tree_resize(tree, rows[i].arg,
							   rows[i].nr));
		/* the ring is as before */
		EXPECT_EQ(1, fdinfo(r.fd, "SqMask"));
		EXPECT_STREQ("", goes_through(&r, i));
	}
	ring_exit(&r);
	if (tree >= 0)
		close(tree);
}

/* io_uring has this only with DEFER_TASKRUN; here every ring has it */
RING_TEST(every_ring)
{
	struct iouring2_params p = {}, again = { .sq_entries = 16 };
	struct ring r;
	int fd;

	ASSERT_EQ(0, ring_init_params(&r, 8, 0, IOURING2_SETUP_SUBMIT_ALL |
				      IOURING2_SETUP_COOP_TASKRUN, 0));
	EXPECT_EQ(0, resize(&r, 16, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	ring_exit(&r);
	fd = syscall(__NR_io_uring_setup, 8, &p);
	if (fd < 0)
		return;
	EXPECT_EQ(-EINVAL, tree_resize(fd, &again, 1));
	close(fd);
}

/* --------------------------------------------------- what moves, and how */

/* A debug build of the module can begin to count anywhere */
static void count_from(__u32 first)
{
	module_param_set("setup_first", first);
}

/* Complete @nr NOPs, numbered from *@ud on */
static int complete(struct ring *r, unsigned int nr, __u64 *ud)
{
	int ret = 0;

	while (nr-- && !ret) {
		ret = ring_nop(r, (*ud)++);
		if (!ret)
			ret = ring_submit(r) == 1 ? 0 : -EPROTO;
	}
	return ret;
}

/* Take @nr CQEs, numbered from *@ud on. Return: "" or what is wrong. */
static const char *take(struct ring *r, unsigned int nr, __u64 *ud)
{
	struct iouring2_cqe cqe;

	for (; nr; nr--, (*ud)++) {
		if (!ring_peek(r, &cqe))
			return reason("no CQE %llu", (unsigned long long)*ud);
		if (cqe.user_data != *ud || cqe.res)
			return reason("CQE %llu instead of %llu",
				      (unsigned long long)cqe.user_data,
				      (unsigned long long)*ud);
	}
	return "";
}

/* Queue @nr NOPs in an order of the index array that is not that of the SQEs */
static void queue_backwards(struct ring *r, unsigned int nr, __u64 ud)
{
	__u32 mask = r->setup.params.sq_entries - 1, tail = *r->sq_tail, i;
	struct iouring2_sqe *sqe;

	for (i = 0; i < nr; i++) {
		__u32 at = (tail + i) & mask, slot = at;

		if (r->sq_array) {
			slot = (tail + nr - 1 - i) & mask;
			r->sq_array[at] = slot;
		}
		sqe = (void *)r->sqes + slot * sqe_size(&r->setup.params);
		prep_nop(sqe);
		sqe->user_data = ud + i;
	}
	r->sqe_tail = tail + nr;
	st_rel(r->sq_tail, r->sqe_tail);
}

struct move {
	unsigned int from, to, sqes, cqes, at;
};

/* Return: "" or what is wrong */
static const char *move_entries(const struct move *m, unsigned int flags)
{
	__u64 made = 0, taken = 0;
	struct iouring2_params p;
	struct ring r;
	int ret;

	if (ring_init_params(&r, m->from, m->from, flags, 0) ||
	    complete(&r, m->at, &made) || *take(&r, m->at, &taken) ||
	    complete(&r, m->cqes, &made))
		return "no ring with these CQEs";
	queue_backwards(&r, m->sqes, made);
	ret = resize_call(&r, m->to, m->to, &p);
	if (ret != (m->sqes > m->to || m->cqes > m->to ? -EOVERFLOW : 0))
		return reason("the resize returned %d", ret);
	if (!ret && remap(&r, &p))
		return "the new rings cannot be mapped";
	if (ring_ready(&r) != m->cqes || ring_unsubmitted(&r) != m->sqes)
		return "another number of entries";
	if (*take(&r, m->cqes, &taken))
		return "other CQEs";
	if (enter(r.fd, m->sqes, 0, 0, NULL, 0) != (int)m->sqes ||
	    *take(&r, m->sqes, &taken))
		return "other SQEs";
	if (*goes_through(&r, 77))
		return "the ring does not go on";
	ring_exit(&r);
	return "";
}

/*
 * Every number of CQEs and SQEs, at every place of the old rings, moves to the
 * right place of larger and of smaller rings, and is in the same order there
 */
TEST_F_TIMEOUT(flags, entries_move, LIMIT)
{
	static const unsigned int from[] = { 4, 8 }, to[] = { 2, 4, 16 };
	static const __u32 firsts[] = { 0, -3U };
	unsigned int n, i;

	for (n = 0; n < ARRAY_SIZE(firsts); n++) {
		count_from(firsts[n]);
		for (i = 0; i < 2 * 3 * 9 * 9 * 3; i++) {
			struct move m = {
				.from = from[i % 2], .to = to[i / 2 % 3],
				.sqes = i / 6 % 9, .cqes = i / 54 % 9,
				.at = i / 486 * 3,
			};

			if (m.sqes > m.from || m.cqes > m.from || m.at >= m.from)
				continue;
			ASSERT_STREQ("", move_entries(&m, variant->flags)) {
				TH_LOG("%u to %u, %u SQEs, %u CQEs, at %u",
				       m.from, m.to, m.sqes, m.cqes, m.at);
			}
		}
	}
	count_from(0);
}

/* An index that is invalid is dropped after the resize, as it was before */
RING_TEST(invalid_index_moves)
{
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 4, 0));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	/* an index that would be valid in the new rings */
	r.sq_array[0] = 5;
	ring_publish(&r);
	ASSERT_EQ(0, resize(&r, 16, 0));
	EXPECT_EQ(0, *r.sq_dropped);
	EXPECT_EQ(0, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(1, *r.sq_dropped);
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	ASSERT_EQ(0, resize(&r, 4, 0));
	EXPECT_EQ(1, *r.sq_dropped);
	ring_exit(&r);
}

/* The application's word moves, too; the kernel's are as it has them */
RING_TEST(words_move)
{
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 4, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	*r.cq_flags = IOURING2_CQ_EVENTFD_DISABLED;
	*r.sq_flags = ~0;
	*r.cq_overflow = 9;
	*r.sq_dropped = 9;
	*r.sq_head = 9;
	*r.cq_tail = 9;
	ASSERT_EQ(0, resize(&r, 8, 0));
	EXPECT_EQ(IOURING2_CQ_EVENTFD_DISABLED, *r.cq_flags);
	EXPECT_EQ(0, *r.sq_flags);
	EXPECT_EQ(0, *r.cq_overflow);
	EXPECT_EQ(0, *r.sq_dropped);
	EXPECT_EQ(1, *r.sq_head);
	EXPECT_EQ(1, *r.sq_tail);
	EXPECT_EQ(1, *r.cq_head);
	EXPECT_EQ(1, *r.cq_tail);
	EXPECT_STREQ("", goes_through(&r, 2));
	ring_exit(&r);
}

/* What does not fit: the errno of io_uring, and nothing has changed */
RING_TEST(too_small)
{
	struct iouring2_params p, was, tp;
	int tree = tree_ring(8, &tp);
	__u64 made = 0, taken = 0;
	struct ring r, t = {};

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	ASSERT_EQ(0, complete(&r, 9, &made));
	memset(&p, 0, sizeof(p));
	p.sq_entries = 8;
	p.cq_entries = 8;
	p.flags = CQSIZE;
	was = p;
	EXPECT_EQ(-EOVERFLOW, resize_params(r.fd, &p));
	EXPECT_EQ(0, memcmp(&p, &was, sizeof(p)));
	EXPECT_EQ(15, fdinfo(r.fd, "CqMask"));
	EXPECT_EQ(9, (int)ring_ready(&r));
	EXPECT_STREQ("", take(&r, 1, &taken));
	/* and now it fits exactly */
	EXPECT_EQ(0, resize(&r, 8, 8));
	EXPECT_STREQ("", take(&r, 8, &taken));
	queue_backwards(&r, 5, made);
	EXPECT_EQ(-EOVERFLOW, resize_call(&r, 4, 0, &p));
	EXPECT_EQ(7, fdinfo(r.fd, "SqMask"));
	EXPECT_EQ(5, enter(r.fd, 5, 0, 0, NULL, 0));
	EXPECT_STREQ("", take(&r, 5, &taken));
	EXPECT_EQ(0, resize(&r, 4, 0));
	ring_exit(&r);

	if (tree < 0)
		return;
	/* io_uring: six SQEs do not fit into four entries */
	t.fd = tree;
	t.setup.params = tp;
	ASSERT_EQ(0, ring_map(&t));
	ASSERT_EQ(0, ring_nop(&t, 1));
	ring_publish(&t);
	for (made = 0; made < 5; made++)
		ring_nop(&t, made);
	ring_publish(&t);
	memset(&p, 0, sizeof(p));
	p.sq_entries = 4;
	EXPECT_EQ(-EOVERFLOW, tree_resize(tree, &p, 1));
	ring_exit(&t);
}

/* An invalid head makes the CQ look full, however large it becomes (I10) */
RING_TEST(invalid_head)
{
	static const __u32 ahead[] = {
		1, 17, 1000, 0x7fffffff, 0x80000000, -1000U, -17U, -1U,
	};
	struct iouring2_params p;
	__u64 made = 0, taken = 0;
	unsigned int i;
	struct ring r;
	__u32 head;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	ASSERT_EQ(0, complete(&r, 5, &made));
	EXPECT_STREQ("", take(&r, 5, &taken));
	head = *r.cq_head;
	for (i = 0; i < ARRAY_SIZE(ahead); i++) {
		int valid = -ahead[i] <= 16;	/* entries taken back */

		st_rel(r.cq_head, head + ahead[i]);
		EXPECT_EQ(valid ? 0 : -EOVERFLOW,
			  resize_call(&r, 8, 4096, &p)) {
			TH_LOG("%#x", ahead[i]);
		}
		if (valid)
			ASSERT_EQ(0, remap(&r, &p));
		st_rel(r.cq_head, head);
		EXPECT_STREQ("", goes_through(&r, i));
		head = *r.cq_head;
	}
	ring_exit(&r);
}

/* ---------------------------------------------------------------- backlog */

RING_FIXTURE(policy) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(policy, none) { 0 };
FIXTURE_VARIANT_ADD(policy, defers) { DEFER };

/*
 * The backlog flows into the CQ when that becomes larger, and stays in order. On a
 * ring that defers to its issuer another lock guards it.
 */
TEST_F_TIMEOUT(policy, backlog_flows, LIMIT)
{
	__u64 made = 0, taken = 0;
	struct iouring2_params p;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 8, 8, variant->flags, 0));
	for (; made < 8; made++)
		ASSERT_EQ(0, ring_nop(&r, made));
	EXPECT_EQ(8, ring_submit(&r));
	EXPECT_STREQ("", take(&r, 1, &taken));
	for (; made < 16; made++)
		ASSERT_EQ(0, ring_nop(&r, made));
	EXPECT_EQ(8, ring_submit(&r));
	EXPECT_EQ(7, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(OVERFLOW_FLAG, *r.sq_flags);

	/* eight CQEs do not fit; what is in the backlog does not have to */
	EXPECT_EQ(-EOVERFLOW, resize_call(&r, 4, 4, &p));
	EXPECT_STREQ("", take(&r, 4, &taken));
	ASSERT_EQ(0, resize_call(&r, 4, 4, &p));
	ASSERT_EQ(0, remap(&r, &p));
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_EQ(7, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(OVERFLOW_FLAG, *r.sq_flags);
	EXPECT_STREQ("", take(&r, 2, &taken));

	/* six of them fit into eight entries, beside the two that are there */
	ASSERT_EQ(0, resize_call(&r, 4, 8, &p));
	ASSERT_EQ(0, remap(&r, &p));
	EXPECT_EQ(8, (int)ring_ready(&r));
	EXPECT_EQ(1, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(OVERFLOW_FLAG, *r.sq_flags);
	ASSERT_EQ(0, resize_call(&r, 4, 64, &p));
	ASSERT_EQ(0, remap(&r, &p));
	EXPECT_EQ(9, (int)ring_ready(&r));
	EXPECT_EQ(0, fdinfo(r.fd, "Backlog"));
	EXPECT_EQ(0, *r.sq_flags);
	EXPECT_STREQ("", take(&r, 9, &taken));
	EXPECT_EQ(made, taken);
	ring_exit(&r);
}

/* A task in poll(2) learns of CQEs that a resize has moved out of the backlog */
RING_TEST(backlog_wakes_pollers)
{
	struct epoll_event event;
	struct pollfd pfd;
	__u64 made = 0;
	struct ring r;
	int ep;

	ASSERT_EQ(0, ring_init(&r, 4, 4));
	for (; made < 4; made++)
		ASSERT_EQ(0, ring_nop(&r, made));
	EXPECT_EQ(4, ring_submit(&r));
	ASSERT_EQ(0, ring_nop(&r, made));
	EXPECT_EQ(1, ring_submit(&r));
	ep = epoll_of(r.fd, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	pfd = (struct pollfd) { .fd = ep, .events = POLLIN };
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	ASSERT_EQ(0, resize(&r, 4, 8));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(5, (int)ring_ready(&r));
	close(ep);
	ring_exit(&r);
}

/*
 * With SQ_REWIND all SQEs move for which there is room, whatever head and tail say,
 * and each ENTER goes on to begin with the first one
 */
RING_TEST(rewound)
{
	static const unsigned int to[] = { 16, 2, 8, 4 };
	unsigned int i, j, was = 4, kept;
	struct iouring2_params p;
	struct iouring2_cqe cqe;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, was, 32,
				      IOURING2_SETUP_SQ_REWIND | NO_ARRAY, 0));
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		for (j = 0; j < was; j++) {
			prep_nop(&r.sqes[j]);
			r.sqes[j].user_data = 100 * i + j;
		}
		__atomic_store_n(r.sq_tail, 77, __ATOMIC_RELEASE);
		ASSERT_EQ(0, resize_call(&r, to[i], 32, &p));
		EXPECT_EQ(CQSIZE | NO_ARRAY, p.flags);
		ASSERT_EQ(0, remap(&r, &p));
		kept = was < to[i] ? was : to[i];
		EXPECT_EQ((int)kept, enter(r.fd, kept, kept, GETEVENTS, NULL, 0));
		for (j = 0; j < kept; j++) {
			ASSERT_TRUE(ring_peek(&r, &cqe));
			EXPECT_EQ(100 * i + j, cqe.user_data);
			EXPECT_EQ(0, cqe.res);
		}
		EXPECT_FALSE(ring_peek(&r, &cqe));
		EXPECT_EQ(0, fdinfo(r.fd, "CachedSqHead"));
		was = to[i];
	}
	ring_exit(&r);
}

/* ------------------------------------------------------------- in flight */

enum { IN_FLIGHT = 40 };

/* Reads of @fd, every second one in a worker, and timers of @ms */
static int start_in_flight(struct ring *r, int fd, char *buf, unsigned int ms)
{
	unsigned int n;

	for (n = 0; n < IN_FLIGHT; n++) {
		if (n % 4 == 3)
			add_timer(r, ms, 0, n);
		else
			add(r, IOURING2_OP_READ, fd, buf + n, 1, 0,
			    n % 4 == 2 ? ASYNC : 0, n);
	}
	return submit_all(r);
}

/*
 * Requests that wait for a file, for time and for a worker complete into the new
 * CQ, or into the backlog of a small one
 */
RING_TEST(in_flight)
{
	static const unsigned int to[] = { 1, 64, 4, 256 };
	unsigned int i = 0, seen, ms = 50;
	struct iouring2_cqe cqe;
	char buf[IN_FLIGHT];
	long long begin;
	struct ring r;
	int fds[2], ret;

	while (i < ARRAY_SIZE(to)) {
		bool done[IN_FLIGHT] = {};

		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		ASSERT_EQ(0, ring_init(&r, 64, 0));
		begin = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, start_in_flight(&r, fds[0], buf, ms));
		ret = resize(&r, to[i], 0);
		/* on a slow machine the timers may have fired already */
		if (ret == -EOVERFLOW &&
		    now_ns(CLOCK_MONOTONIC) - begin >= ms * NSEC_PER_MSEC) {
			ms *= 4;
			goto next;
		}
		ASSERT_EQ(0, ret);
		ASSERT_EQ(IN_FLIGHT, write(fds[1], buf, IN_FLIGHT));
		for (seen = 0; seen < IN_FLIGHT; seen++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe)) {
				TH_LOG("to %u: %u seen", to[i], seen);
			}
			ASSERT_LT(cqe.user_data, IN_FLIGHT);
			EXPECT_FALSE(done[cqe.user_data]);
			done[cqe.user_data] = true;
		}
		EXPECT_FALSE(ring_peek(&r, &cqe));
		i++;
next:
		ring_exit(&r);
		close(fds[0]);
		close(fds[1]);
	}
}

struct feeder {
	int fd;
	unsigned int nr, made;
};

/* Let each request complete from another thread as soon as it is submitted */
static void *feed(void *arg)
{
	struct feeder *f = arg;
	__u64 one = 1;
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		while (i >= __atomic_load_n(&f->made, __ATOMIC_ACQUIRE))
			usleep(20);
		if (write(f->fd, &one, sizeof(one)) != sizeof(one))
			break;
	}
	return NULL;
}

/*
 * Completions arrive while the rings are resized, over and over: each request
 * completes once
 */
RING_TEST(storm)
{
	enum { ROUNDS = 400, BATCH = 8 };
	static const unsigned int cqs[] = { 16, 64, 8, 256, 32 };
	unsigned int i, round, resized = 0, refused = 0;
	struct iouring2_cqe cqe;
	unsigned char *state;
	struct feeder f = {};
	pthread_t thread;
	struct ring r;
	__u64 value, made = 0, seen = 0;
	int ret;

	state = calloc(ROUNDS * BATCH, 1);
	ASSERT_NE(NULL, state);
	f.nr = ROUNDS * BATCH;
	/* each write lets exactly one read complete */
	f.fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	ASSERT_LE(0, f.fd);
	ASSERT_EQ(0, ring_init_params(&r, BATCH, 16, 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, feed, &f));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < BATCH; i++, made++)
			add(&r, IOURING2_OP_READ, f.fd, &value, 8, 0,
			    made % 40 ? 0 : ASYNC, made);
		ring_publish(&r);
		while (ring_unsubmitted(&r)) {
			ret = enter(r.fd, ring_unsubmitted(&r), 0, 0, NULL, 0);
			/* while there is a backlog */
			ASSERT_TRUE(ret >= 0 || ret == -EBUSY);
			while (ret < 0 && ring_peek(&r, &cqe)) {
				ASSERT_LT(cqe.user_data, made);
				state[cqe.user_data]++;
				seen++;
			}
		}
		__atomic_store_n(&f.made, made, __ATOMIC_RELEASE);
		ret = resize(&r, BATCH, cqs[round % ARRAY_SIZE(cqs)]);
		ASSERT_TRUE(!ret || ret == -EOVERFLOW);
		ret ? refused++ : resized++;
		/* leave some of them there */
		while (ring_ready(&r) > 5 && ring_peek(&r, &cqe)) {
			ASSERT_LT(cqe.user_data, made);
			state[cqe.user_data]++;
			seen++;
		}
	}
	while (seen < made) {
		ASSERT_EQ(0, ring_wait(&r, &cqe)) {
			TH_LOG("%llu of %llu", (unsigned long long)seen,
			       (unsigned long long)made);
		}
		state[cqe.user_data]++;
		seen++;
	}
	pthread_join(thread, NULL);
	for (i = 0; i < made; i++) {
		EXPECT_EQ(1, state[i]) {
			TH_LOG("request %u", i);
		}
	}
	EXPECT_LT(0, resized);
	TH_LOG("%u resized, %u did not fit", resized, refused);
	EXPECT_EQ(made, fdinfo(r.fd, "Completed"));
	ring_exit(&r);
	close(f.fd);
	free(state);
}

/* -------------------------------------------------------------- waiters */

struct waiter {
	int fd, ret;
	unsigned int min;
	pid_t tid;
	bool done;
};

static void *wait_in_enter(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->ret = enter_timeout(w->fd, 0, w->min, SOON * NSEC_PER_MSEC);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Start a thread that waits in ENTER. Return: whether it sleeps there. */
static bool waiter_start(struct waiter *w, pthread_t *thread, int fd,
			 unsigned int min)
{
	*w = (struct waiter) { .fd = fd, .min = min };
	if (pthread_create(thread, NULL, wait_in_enter, w))
		return false;
	return until(__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE) &&
		     task_waits(w->tid));
}

/* A task waits for more CQEs than the new CQ has: it ends when that is full */
RING_TEST(waiter_for_too_many)
{
	__u64 made = 0, taken = 0;
	pthread_t thread;
	struct waiter w;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_TRUE(waiter_start(&w, &thread, r.fd, 64));
	ASSERT_EQ(0, resize(&r, 8, 8));
	ASSERT_EQ(0, complete(&r, 7, &made));
	usleep(A_WHILE * 1000);
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(0, complete(&r, 1, &made));
	EXPECT_TRUE(until_ms(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE),
			     SOON / 2));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_STREQ("", take(&r, 8, &taken));
	ring_exit(&r);
}

/* The CQ is full at once after the resize */
RING_TEST(waiter_of_a_full_cq)
{
	__u64 made = 0, taken = 0;
	pthread_t thread;
	struct waiter w;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 64));
	ASSERT_EQ(0, complete(&r, 8, &made));
	ASSERT_TRUE(waiter_start(&w, &thread, r.fd, 9));
	ASSERT_EQ(0, resize(&r, 8, 8));
	EXPECT_TRUE(until_ms(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE),
			     SOON / 2));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_STREQ("", take(&r, 8, &taken));
	ring_exit(&r);
}

/* A resize does not end a wait, and a later completion does */
RING_TEST(waiter_goes_on)
{
	__u64 made = 0, taken = 0;
	pthread_t thread;
	struct waiter w;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 16));
	ASSERT_TRUE(waiter_start(&w, &thread, r.fd, 3));
	ASSERT_EQ(0, complete(&r, 2, &made));
	ASSERT_EQ(0, resize(&r, 16, 64));
	ASSERT_EQ(0, resize(&r, 4, 0));
	usleep(A_WHILE * 1000);
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(0, complete(&r, 1, &made));
	EXPECT_TRUE(until_ms(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE),
			     SOON / 2));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, w.ret);
	EXPECT_STREQ("", take(&r, 3, &taken));
	ring_exit(&r);
}

/* -------------------------------------------------------- the old memory */

/* Old rings that are mapped stay memory of the application, and no one else's */
RING_TEST(old_memory_stays)
{
	long with_both, with_new;
	struct iouring2_params p;
	struct ring r, old, others[8];
	unsigned int i;
	size_t at;

	ASSERT_EQ(0, ring_init(&r, 64, 0));
	ASSERT_EQ(0, resize_call(&r, 128, 0, &p));
	old = r;
	r.setup.params = p;
	ASSERT_EQ(0, ring_map(&r));
	with_both = counter("pages");
	for (at = 0; at < old.map_len; at++)
		((unsigned char *)old.map)[at] = pattern_byte(at);
	for (at = 0; at < old.sqes_len; at++)
		((unsigned char *)old.sqes)[at] = pattern_byte(at);
	/* if the pages were free, these would get them */
	for (i = 0; i < ARRAY_SIZE(others); i++)
		ASSERT_EQ(0, ring_init(&others[i], 64, 0));
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		memset(others[i].sqes, 0x55, others[i].sqes_len);
		EXPECT_STREQ("", goes_through(&others[i], i));
		ring_exit(&others[i]);
	}
	EXPECT_STREQ("", goes_through(&r, 3));
	for (at = 0; at < old.map_len; at++)
		if (((unsigned char *)old.map)[at] != pattern_byte(at))
			break;
	EXPECT_EQ(old.map_len, at);
	for (at = 0; at < old.sqes_len; at++)
		if (((unsigned char *)old.sqes)[at] != pattern_byte(at))
			break;
	EXPECT_EQ(old.sqes_len, at);
	EXPECT_EQ(with_both, counter("pages"));
	/* one mapping of the old rings keeps all of them */
	munmap(old.map, old.map_len);
	EXPECT_EQ(with_both, counter("pages"));
	munmap(old.sqes, old.sqes_len);
	with_new = counter("pages");
	EXPECT_GT(with_both, with_new);
	ring_exit(&r);
	EXPECT_GT(with_new, counter("pages"));
}

/* A mapping that is split, moved or inherited keeps the old memory, to its end */
RING_TEST(old_memory_in_parts)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct iouring2_params p;
	struct ring r, old;
	char *to, *sqes;
	long both, left;
	int go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, ring_init(&r, 256, 0));	/* four pages of SQEs */
	ASSERT_EQ(0, resize_call(&r, 1, 0, &p));
	old = r;
	r.setup.params = p;
	ASSERT_EQ(0, ring_map(&r));
	munmap(old.map, old.map_len);
	sqes = (char *)old.sqes;
	memset(sqes, 0x3c, 4 * page);
	both = counter("pages");
	/* a hole: two mappings */
	ASSERT_EQ(0, munmap(sqes + page, page));
	EXPECT_EQ(both, counter("pages"));
	/* moved */
	to = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(to, mremap(sqes, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	EXPECT_EQ(0x3c, to[page - 1]);
	EXPECT_EQ(both, counter("pages"));
	/* no second mapping by mremap(2) of nothing */
	EXPECT_EQ(MAP_FAILED, mremap(to, 0, page, MREMAP_MAYMOVE));
	/* shrunk, and mapped over */
	ASSERT_EQ(sqes + 2 * page, mremap(sqes + 2 * page, 2 * page, page, 0));
	ASSERT_EQ(to, mmap(to, page, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_FIXED, -1, 0));
	EXPECT_EQ(both, counter("pages"));
	/* inherited: the parent unmaps its part, and the child has its own */
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (read(go[0], &c, 1))
			_exit(1);
		_exit(sqes[2 * page] == 0x3c && sqes[3 * page - 1] == 0x3c ?
		      0 : 2);
	}
	munmap(sqes + 2 * page, page);
	EXPECT_EQ(both, counter("pages"));
	close(go[1]);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	close(go[0]);
	left = counter("pages");
	EXPECT_GT(both, left);
	EXPECT_STREQ("", goes_through(&r, 1));
	ring_exit(&r);
}

/* What is mapped after a resize is new, whatever is mapped already */
RING_TEST(mapped_anew)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct iouring2_params p;
	struct ring r, twice;
	__u32 mask;
	int mem;

	ASSERT_EQ(0, ring_init(&r, 4, 0));
	ASSERT_EQ(0, resize_call(&r, 32, 0, &p));
	twice = r;
	twice.setup.params = p;
	ASSERT_EQ(0, ring_map(&twice));
	EXPECT_EQ(3, *r.sq_mask);
	EXPECT_EQ(31, *twice.sq_mask);
	/* so it is for a debugger */
	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, mem);
	ASSERT_EQ((ssize_t)sizeof(mask), pread(mem, &mask, sizeof(mask),
					       (uintptr_t)r.sq_mask));
	EXPECT_EQ(3, mask);
	ASSERT_EQ((ssize_t)sizeof(mask), pread(mem, &mask, sizeof(mask),
					       (uintptr_t)twice.sq_mask));
	EXPECT_EQ(31, mask);
	close(mem);
	/* and the lengths are those of the new rings */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 32 * 64 + page, RW, MAP_SHARED, r.fd,
				   IOURING2_OFF_SQES));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_STREQ("", goes_through(&twice, 1));
	ring_unmap(&r);
	ring_exit(&twice);
}

/* ------------------------------------------------------------------ races */

struct racer {
	struct ring *r;
	bool stop;
};

static bool stopped(struct racer *c)
{
	return __atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

/* Read the rings in all ways that take no lock of the ring */
static void *look(void *arg)
{
	struct racer *c = arg;
	struct pollfd pfd = { .fd = c->r->fd, .events = POLLIN | POLLOUT };

	while (!stopped(c)) {
		poll(&pfd, 1, 0);
		fdinfo(c->r->fd, "CqHead");
		enter(c->r->fd, 0, 0, GETEVENTS, NULL, 0);
		enter_timeout(c->r->fd, 0, 2, 1000);
	}
	return NULL;
}

/* Map and unmap, and write to what is mapped */
static void *map_and_write(void *arg)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct racer *c = arg;
	char *p;

	while (!stopped(c)) {
		p = mmap(NULL, page, RW, MAP_SHARED, c->r->fd,
			 IOURING2_OFF_CQ_RING);
		if (p != MAP_FAILED) {
			/* not the words of the application, lest it be confused */
			memset(p + page / 2, 0x5a, page / 2);
			munmap(p, page);
		}
		p = mmap(NULL, page, RW, MAP_SHARED, c->r->fd,
			 IOURING2_OFF_SQES);
		if (p != MAP_FAILED) {
			memset(p, 0, page);
			munmap(p, page);
		}
	}
	return NULL;
}

/* Fork while others map */
static void *fork_and_exit(void *arg)
{
	struct racer *c = arg;
	pid_t pid;

	while (!stopped(c)) {
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return NULL;
}

RING_FIXTURE(race) {
	void *(*against)(void *arg);
	unsigned int rounds;
};

FIXTURE_VARIANT_ADD(race, readers) { look, 150 };
FIXTURE_VARIANT_ADD(race, mappings) { map_and_write, 150 };
FIXTURE_VARIANT_ADD(race, forks) { fork_and_exit, 60 };

/* Nobody reads or writes memory that is free: KASAN would tell */
TEST_F_TIMEOUT(race, resize_against, LIMIT)
{
	static const unsigned int to[] = { 1, 128, 8, 512 };
	pthread_t threads[2];
	struct racer c = {};
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 64, 0));
	c.r = &r;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    variant->against, &c));
	for (i = 0; i < variant->rounds; i++) {
		ASSERT_EQ(0, resize(&r, to[i % ARRAY_SIZE(to)], 0));
		if (variant->against == look)
			ASSERT_STREQ("", goes_through(&r, i));
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	ring_exit(&r);
}

static void *resize_all_the_time(void *arg)
{
	struct racer *c = arg;
	struct iouring2_params p;
	unsigned int n = 0;

	while (!stopped(c))
		resize_call(c->r, n++ % 2 ? 16 : 64, 0, &p);
	return NULL;
}

/* Two resizes at the same time, and ENTERs beside them: one after the other */
RING_TEST(resizes_race)
{
	pthread_t threads[2];
	struct racer c = {};
	long long end;
	unsigned int i;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 64, 0));
	c.r = &r;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    resize_all_the_time, &c));
	end = now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		enter(r.fd, 3, 0, 0, NULL, 0);
		enter(r.fd, 0, 0, GETEVENTS, NULL, 0);
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	/* only the mapped, oldest rings and the newest ones are left */
	ASSERT_EQ(0, resize(&r, 8, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	ring_exit(&r);
}

/* Shared with the process that makes work for the issuer */
struct maker {
	unsigned int asked, made;
	bool stop;
};

/* Write to @efd each time that is asked for, a little later each time */
static void make_work(struct maker *m, int efd)
{
	unsigned int n, i;
	__u64 one = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (n = 1; ; n++) {
		while (ld_acq(&m->asked) != n && !ld_acq(&m->stop))
			sched_yield();
		if (ld_acq(&m->stop))
			_exit(0);
		for (i = 0; i < n % 64 * 1000; i++)
			__asm__ volatile("" : : : "memory");
		if (write(efd, &one, sizeof(one)) != sizeof(one))
			_exit(1);
		st_rel(&m->made, n);
	}
}

/* Queue a poll and resize while another process makes it ready. 0, or an error */
static int resize_with_work(struct ring *r, struct maker *m, int efd,
			    unsigned int n)
{
	int ret;

	prep_poll(ring_sqe(r), efd, POLLIN);
	ret = ring_submit(r);
	if (ret != 1)
		return ret < 0 ? ret : -EPROTO;
	st_rel(&m->asked, n);
	ret = resize(r, n % 2 ? 8 : 64, 0);
	while (ld_acq(&m->made) != n)
		sched_yield();
	return ret;
}

/*
 * Work comes for the issuer while the rings are resized. The flag TASKRUN, which an
 * application may rely on, is set in the new rings.
 */
RING_TEST(work_is_flagged)
{
	enum { ROUNDS = 300 };
	struct iouring2_cqe cqe;
	struct maker *m;
	unsigned int n;
	struct ring r;
	int efd, status;
	__u64 value;
	pid_t pid;

	m = mmap(NULL, sizeof(*m), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, m);
	efd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, efd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		make_work(m, efd);
	ASSERT_EQ(0, ring_init_params(&r, 8, 16,
				      DEFER | IOURING2_SETUP_TASKRUN_FLAG, 0));
	for (n = 1; n <= ROUNDS; n++) {
		ASSERT_EQ(0, resize_with_work(&r, m, efd, n));
		ASSERT_EQ(IOURING2_SQ_TASKRUN, ld_acq(r.sq_flags)) {
			TH_LOG("after resize %u", n);
		}
		ASSERT_EQ(0, enter(r.fd, 0, 1, GETEVENTS, NULL, 0));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(0, ld_acq(r.sq_flags));
		ASSERT_EQ((ssize_t)sizeof(value), read(efd, &value, sizeof(value)));
	}
	st_rel(&m->stop, true);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ring_exit(&r);
	close(efd);
	munmap(m, sizeof(*m));
}

static void *scribble(void *arg)
{
	struct racer *c = arg;
	unsigned int seed = 1;
	size_t i;

	while (!stopped(c)) {
		/* the old rings: all that the application can write to */
		for (i = 0; i < c->r->map_len / 4; i++)
			((__u32 *)c->r->map)[i] = rand_r(&seed) * 2654435761u;
	}
	return NULL;
}

/* The application writes anything anywhere while its rings are resized (I10) */
RING_TEST(scribbled_over)
{
	struct iouring2_params p;
	pthread_t thread;
	struct racer c = {};
	long long end;
	struct ring r;
	int ret;

	ASSERT_EQ(0, ring_init_params(&r, 16, 64, 0, 1000));
	c.r = &r;
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &c));
	end = now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		ret = resize_call(&r, 16, 64, &p);
		EXPECT_TRUE(ret == 0 || ret == -EOVERFLOW);
		/* the SQEs are zero: NOPs */
		enter(r.fd, 16, 0, 0, NULL, 0);
		EXPECT_EQ(15, fdinfo(r.fd, "SqMask"));
		EXPECT_EQ(63, fdinfo(r.fd, "CqMask"));
		/* the thread writes to the rings that are in use */
		if (ret == 0) {
			struct ring now = r;

			now.setup.params = p;
			if (!ring_map(&now)) {
				memcpy(now.map, r.map, 128);
				enter(r.fd, 16, 0, 0, NULL, 0);
				ring_unmap(&now);
			}
		}
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LE(fdinfo(r.fd, "Completed"), fdinfo(r.fd, "Submitted"));
	ring_exit(&r);
}

/* -------------------------------------------------------- other processes */

/* Another process resizes: requests of this one go on, and it can map anew */
RING_TEST(by_another_process)
{
	struct iouring2_params *p = shared_new(sizeof(*p));
	struct iouring2_cqe cqe;
	struct ring r;
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add_timer(&r, 300, 0, 5);
	ASSERT_EQ(0, submit_all(&r));
	pid = fork();
	if (!pid)
		_exit(resize_call(&r, 32, 0, p) ? 1 : 0);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	ASSERT_EQ(0, remap(&r, p));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(5, (int)cqe.user_data);
	EXPECT_EQ(-ETIME, cqe.res);
	EXPECT_STREQ("", goes_through(&r, 6));
	ring_exit(&r);
}

/* ------------------------------------------------ memory of the application */

/* With NO_MMAP the application provides the new memory, too */
RING_TEST(own_memory)
{
	struct iouring2_params p;
	__u64 made = 0, taken = 0;
	struct ring r, old;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 8, 16, NO_MMAP, 0));
	ASSERT_EQ(0, complete(&r, 5, &made));
	for (i = 0; i < 4; i++) {
		/* no memory at address 0, at an odd one, or beyond the end */
		EXPECT_EQ(-EFAULT, resize_call(&r, 64, 0, &p));
		memset(&p, 0, sizeof(p));
		p.sq_entries = 64;
		p.cq_off.user_addr = (uintptr_t)r.map;
		p.sq_off.user_addr = (uintptr_t)r.sqes + 64;
		EXPECT_EQ(-EINVAL, resize_params(r.fd, &p));
		p.sq_off.user_addr = -sysconf(_SC_PAGESIZE);
		EXPECT_EQ(-EOVERFLOW, resize_params(r.fd, &p));

		old = r;
		r.setup.entries = i % 2 ? 8 : 512;
		r.setup.params.flags = NO_MMAP;
		ASSERT_EQ(0, ring_memory(&r));
		p = (struct iouring2_params) {
			.sq_entries = r.setup.entries,
			.cq_off.user_addr = (uintptr_t)r.map,
			.sq_off.user_addr = (uintptr_t)r.sqes,
		};
		ASSERT_EQ(0, resize_params(r.fd, &p));
		EXPECT_EQ((uintptr_t)r.map, p.cq_off.user_addr);
		EXPECT_EQ((uintptr_t)r.sqes, p.sq_off.user_addr);
		EXPECT_EQ(NO_MMAP, p.flags);
		r.setup.params = p;
		ring_point(&r);
		ring_unmap(&old);
		EXPECT_EQ((r.map_len + r.sqes_len) / sysconf(_SC_PAGESIZE),
			  counter("pages") - self->before.counter[4]);
		EXPECT_EQ(5, (int)ring_ready(&r));
		ASSERT_EQ(0, complete(&r, 1, &made));
		EXPECT_STREQ("", take(&r, 1, &taken));
	}
	EXPECT_STREQ("", take(&r, 5, &taken));
	ring_exit(&r);
}

/* The same memory again: the application loses its entries, and no more */
RING_TEST(own_memory_twice)
{
	struct iouring2_params p;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init_params(&r, 8, 16, NO_MMAP, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_STREQ("", goes_through(&r, i));
		p = (struct iouring2_params) {
			.sq_entries = 8,
			.cq_off.user_addr = (uintptr_t)r.map,
			.sq_off.user_addr = (uintptr_t)r.sqes,
		};
		/* the head is gone before it is read */
		resize_params(r.fd, &p);
		st_rel(r.cq_head, fdinfo(r.fd, "CachedCqTail"));
		st_rel(r.sq_tail, fdinfo(r.fd, "CachedSqHead"));
		ring_sync(&r);
	}
	EXPECT_STREQ("", goes_through(&r, i));
	ring_exit(&r);
}

/* ------------------------------------------------------------- failing steps */

/* Each step fails in turn: an errno, and the ring is as before */
RING_TEST(every_step)
{
	static const char * const steps[] = {
		"rings struct", "rings memory", "rings page array",
		"rings pages", "rings vmap", "cqes memory", "cqes page array",
		"cqes pages", "cqes vmap", "sqes memory", "sqes page array",
		"sqes pages", "sqes vmap", "resize copy-out",
	};
	struct iouring2_params p, was;
	unsigned int k, failed = 0;
	int nth, ret, fragmented;
	char name[64];
	struct ring r;
	long pages;

	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	pages = counter("pages");
	for (fragmented = 0; fragmented < 2; fragmented++) {
		module_param_set("setup_fragmented", fragmented);
		for (nth = 1; nth < 100; nth++) {
			ASSERT_EQ(0, module_param_set("setup_fail_nth", nth));
			memset(&p, 0, sizeof(p));
			p.sq_entries = 3341;
			was = p;
			ret = resize_params(r.fd, &p);
			if (read_text("/sys/module/iouring2/parameters/setup_fail_point",
				      name, sizeof(name)) < 0)
				name[0] = '\0';
			first_line(name);
			for (k = 0; k < ARRAY_SIZE(steps); k++)
				if (!strcmp(name, steps[k]))
					failed |= 1U << k;
			if (!ret) {
				/* maybe without contiguous memory */
				ASSERT_EQ(0, remap(&r, &p));
				EXPECT_STREQ("", goes_through(&r, nth));
				ASSERT_EQ(0, resize(&r, 8, 0));
				if (!name[0])
					break;
				continue;
			}
			EXPECT_EQ(!strcmp(name, "resize copy-out") ? -EFAULT :
								     -ENOMEM,
				  ret) {
				TH_LOG("%s", name);
			}
			EXPECT_EQ(0, memcmp(&p, &was, sizeof(p)));
			EXPECT_EQ(pages, counter("pages"));
			EXPECT_EQ(7, fdinfo(r.fd, "SqMask"));
			EXPECT_STREQ("", goes_through(&r, nth));
		}
		EXPECT_GT(100, nth);
	}
	for (k = 0; k < ARRAY_SIZE(steps); k++) {
		EXPECT_TRUE(failed >> k & 1) {
			TH_LOG("never failed: %s", steps[k]);
		}
	}
	module_param_set("setup_fail_nth", 0);
	module_param_set("setup_fail_pid", 0);
	module_param_set("setup_fragmented", 0);
	ring_exit(&r);
}

RING_TEST_MAIN
