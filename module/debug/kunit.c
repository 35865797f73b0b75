// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the pure parts: the arguments of SETUP, the layout of a ring's
 * memory, and the growth of the hash; and of how a request is armed on files that
 * no driver of a test machine has. They are a separate module, iouring2_kunit,
 * which is built with IOURING2_DEBUG=1 where the kernel has KUnit. It includes the
 * sources under test, so iouring2 itself exports nothing.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "../cq.h"
#include "../defer.h"
#include "../request.h"

/* The tracepoints belong to iouring2: poll.c is compiled without them. */
#define IO2_TRACE_H

static inline void trace_iouring2_poll_arm(const struct io2_req *req,
					   __poll_t events)
{
}

static inline void trace_iouring2_poll_wake(const struct io2_req *req,
					    __poll_t events)
{
}

/* So are the functions that poll.c calls. A wake-up can only defer a request. */
static struct io2_req *deferred;	/* the one that was deferred last */

static void defer_here(struct io2_req *req)
{
	deferred = req;
}

static bool post_nothing(struct io2_req *req)
{
	return false;
}

static bool post_no_event(struct io2_req *req, s32 res, u32 flags)
{
	return false;
}

/* nobody runs the deferred requests */
static void run_nothing(struct io2_req *req, struct io2_batch *b)
{
}

#define io2_defer		defer_here
#define io2_defer_lazy		defer_here
#define io2_cq_try_post		post_nothing
#define io2_cq_try_post_aux	post_no_event
#define io2_req_ready		run_nothing
#define io2_req_complete	run_nothing

#include "../layout.c"
#include "../hash.c"
#include "../watch.c"
#include "../poll.c"

unsigned long io2_state_warnings;
const struct io2_op io2_ops[IO2_OP_LAST];

/* --- the arguments of SETUP ------------------------------------------------ */

/**
 * struct check_case - arguments of SETUP, and what becomes of them
 * @name: of the case
 * @flags: IOURING2_SETUP_*
 * @entries: SQ entries asked for
 * @cq_entries: CQ entries asked for
 * @max_inflight: requests in flight asked for
 * @ret: the result; nothing below counts if it is an error
 * @sq: SQ entries given
 * @cq: CQ entries given
 * @inflight: requests in flight given
 */
struct check_case {
	const char *name;
	u32 flags, entries, cq_entries, max_inflight;
	int ret;
	u32 sq, cq, inflight;
};

#define BY_DEFAULT	1000
#define AT_MOST		5000
#define CQSIZE		IOURING2_SETUP_CQSIZE
#define CLAMP		IOURING2_SETUP_CLAMP
#define SQE128		IOURING2_SETUP_SQE128
#define SQE_MIXED	IOURING2_SETUP_SQE_MIXED
#define CQE32		IOURING2_SETUP_CQE32
#define CQE_MIXED	IOURING2_SETUP_CQE_MIXED
#define COOP		IOURING2_SETUP_COOP_TASKRUN
#define FLAG		IOURING2_SETUP_TASKRUN_FLAG
#define SINGLE		IOURING2_SETUP_SINGLE_ISSUER
#define DEFER		IOURING2_SETUP_DEFER_TASKRUN
#define MAX_SQ		IO2_MAX_ENTRIES
#define MAX_CQ		IO2_MAX_CQ_ENTRIES

static const struct check_case check_cases[] = {
	{ "no entries", 0, 0, 0, 0, -EINVAL },
	{ "one entry", 0, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "rounded up", 0, 5, 0, 0, 0, 8, 16, BY_DEFAULT },
	{ "the largest SQ", 0, MAX_SQ, 0, 0, 0, MAX_SQ, MAX_CQ, BY_DEFAULT },
	{ "too large an SQ", 0, MAX_SQ + 1, 0, 0, -EINVAL },
	{ "an SQ clamped", CLAMP, U32_MAX, 0, 0, 0, MAX_SQ, MAX_CQ, BY_DEFAULT },
	{ "no CQ entries", CQSIZE, 8, 0, 0, -EINVAL },
	{ "no CQ entries, clamped", CQSIZE | CLAMP, 8, 0, 0, -EINVAL },
	{ "a CQ as large as the SQ", CQSIZE, 8, 8, 0, 0, 8, 8, BY_DEFAULT },
	{ "a CQ rounded up to the SQ", CQSIZE, 8, 5, 0, 0, 8, 8, BY_DEFAULT },
	{ "a CQ smaller than the SQ", CQSIZE, 8, 4, 0, -EINVAL },
	{ "the largest CQ", CQSIZE, 1, MAX_CQ, 0, 0, 1, MAX_CQ, BY_DEFAULT },
	{ "too large a CQ", CQSIZE, 1, MAX_CQ + 1, 0, -EINVAL },
	{ "a CQ clamped", CQSIZE | CLAMP, 1, U32_MAX, 0, 0, 1, MAX_CQ, BY_DEFAULT },
	{ "CQ entries without the flag", 0, 4, 64, 0, 0, 4, 8, BY_DEFAULT },
	{ "one request in flight", 0, 1, 0, 1, 0, 1, 2, 1 },
	{ "as many in flight as allowed", 0, 1, 0, AT_MOST, 0, 1, 2, AT_MOST },
	{ "too many in flight", 0, 1, 0, AT_MOST + 1, -EINVAL },
	{ "an unknown flag", 1U << 31, 1, 0, 0, -EINVAL },
	{ "SQ_REWIND alone", IOURING2_SETUP_SQ_REWIND, 1, 0, 0, -EINVAL },
	{ "SQ_REWIND", IOURING2_SETUP_SQ_REWIND | IOURING2_SETUP_NO_SQARRAY, 1,
	  0, 0, 0, 1, 2, BY_DEFAULT },
	{ "CQEs of 32 bytes", CQE32 | CQSIZE, 1, 1, 0, 0, 1, 1, BY_DEFAULT },
	{ "CQEs of both sizes", CQE_MIXED, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "both sizes in one entry", CQE_MIXED | CQSIZE, 1, 1, 0, -EOVERFLOW },
	{ "32 bytes, and both sizes", CQE32 | CQE_MIXED, 1, 0, 0, -EINVAL },
	{ "SQEs of 128 bytes", SQE128, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "SQEs of both sizes", SQE_MIXED, 2, 0, 0, 0, 2, 4, BY_DEFAULT },
	{ "both sizes in one SQE", SQE_MIXED, 1, 0, 0, -EOVERFLOW },
	{ "128 bytes, and both sizes", SQE128 | SQE_MIXED, 2, 0, 0, -EINVAL },
	{ "an issuer", SINGLE, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "deferring to an issuer", SINGLE | DEFER, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "deferring to nobody", DEFER, 1, 0, 0, -EINVAL },
	{ "a flag of deferred work", SINGLE | DEFER | FLAG, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "a flag of cooperative work", COOP | FLAG, 1, 0, 0, 0, 1, 2, BY_DEFAULT },
	{ "a flag of nothing", FLAG, 1, 0, 0, -EINVAL },
	{ "a flag of nothing, with an issuer", SINGLE | FLAG, 1, 0, 0, -EINVAL },
};

static void check_describe(const struct check_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(check, check_cases, check_describe);

static struct iouring2_setup setup_of(const struct check_case *c)
{
	return (struct iouring2_setup) {
		.entries = c->entries,
		.max_inflight = c->max_inflight,
		.params = { .flags = c->flags, .cq_entries = c->cq_entries },
	};
}

static void check_sizes_test(struct kunit *test)
{
	const struct check_case *c = test->param_value;
	struct iouring2_setup s = setup_of(c);

	KUNIT_ASSERT_EQ(test, c->ret, io2_setup_check(&s, BY_DEFAULT, AT_MOST));
	if (c->ret)
		return;
	KUNIT_EXPECT_EQ(test, c->sq, s.params.sq_entries);
	KUNIT_EXPECT_EQ(test, c->cq, s.params.cq_entries);
	KUNIT_EXPECT_EQ(test, c->inflight, s.max_inflight);
}

/* Each byte that is reserved has to be zero. */
static void check_reserved_test(struct kunit *test)
{
	const struct check_case one = { .entries = 1 };
	struct iouring2_setup s;
	size_t i;

	for (i = 0; i < sizeof(s.resv); i++) {
		s = setup_of(&one);
		((u8 *)s.resv)[i] = 1;
		KUNIT_EXPECT_EQ(test, -EINVAL, io2_setup_check(&s, 1, 1));
	}
	for (i = 0; i < sizeof(s.params.resv); i++) {
		s = setup_of(&one);
		((u8 *)s.params.resv)[i] = 1;
		KUNIT_EXPECT_EQ(test, -EINVAL, io2_setup_check(&s, 1, 1));
	}
}

/* An administrator may have set both limits to anything. */
static void check_limits_test(struct kunit *test)
{
	static const struct {
		u32 by_default, max, inflight;
	} limits[] = {
		{ 10, 5, 5 }, { 5, 10, 5 }, { 0, 10, 1 }, { 0, 1, 1 },
		{ U32_MAX, U32_MAX, U32_MAX },
	};
	const struct check_case one = { .entries = 1 };
	struct iouring2_setup s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		s = setup_of(&one);
		KUNIT_EXPECT_EQ(test, 0, io2_setup_check(&s, limits[i].by_default,
							 limits[i].max));
		KUNIT_EXPECT_EQ(test, limits[i].inflight, s.max_inflight);
	}
	s = setup_of(&one);
	KUNIT_EXPECT_EQ(test, -EINVAL, io2_setup_check(&s, 0, 0));
}

/* --- the layout ------------------------------------------------------------ */

/* The size of io_uring's rings: a head of 64 bytes, the CQEs, the array */
static size_t tree_rings(size_t cqes, size_t array)
{
	return ALIGN(64 + cqes, 64) + array;
}

static void layout_check(struct kunit *test, u32 sq, u32 cq, u32 flags)
{
	struct iouring2_params p = {
		.flags = flags, .sq_entries = sq, .cq_entries = cq,
		.cq_off.user_addr = 0x5000, .sq_off.user_addr = 0x7000,
	};
	size_t array = flags & IOURING2_SETUP_NO_SQARRAY ? 0 : sq * sizeof(u32);
	size_t cqes = (size_t)cq * (flags & CQE32 ? 32 : 16);
	struct io2_layout l;

	io2_layout_make(&l, &p);
	/* the parts do not overlap */
	KUNIT_EXPECT_GE(test, l.sq_array, sizeof(struct io2_shared));
	KUNIT_EXPECT_GE(test, l.cqes, l.sq_array + array);
	KUNIT_EXPECT_GE(test, l.rings, l.sq_array + array);
	KUNIT_EXPECT_EQ(test, (size_t)sq * (flags & SQE128 ? 128 : 64), l.sqes);
	KUNIT_EXPECT_EQ(test, 0UL, l.cqes % __alignof__(struct iouring2_cqe));
	if (flags & IOURING2_SETUP_NO_MMAP) {
		/* an application provides as many pages as io_uring needs */
		KUNIT_EXPECT_EQ(test, PAGE_ALIGN(tree_rings(cqes, array)),
				PAGE_ALIGN(l.rings));
	}
	if (cqes < PAGE_SIZE || (flags & IOURING2_SETUP_NO_MMAP)) {
		KUNIT_EXPECT_EQ(test, 0UL, l.own_cqes);
		KUNIT_EXPECT_EQ(test, l.cqes + cqes, l.rings);
	} else {
		/* the CQ entries follow in pages of their own */
		KUNIT_EXPECT_EQ(test, cqes, l.own_cqes);
		KUNIT_EXPECT_EQ(test, 0UL, l.cqes % PAGE_SIZE);
		KUNIT_EXPECT_LE(test, l.rings, l.cqes);
		KUNIT_EXPECT_LT(test, l.cqes - l.rings, PAGE_SIZE);
	}
	io2_layout_tell(&p, &l);
	KUNIT_EXPECT_EQ(test, l.cqes, (size_t)p.cq_off.cqes);
	KUNIT_EXPECT_EQ(test, array ? l.sq_array : 0, (size_t)p.sq_off.array);
	KUNIT_EXPECT_EQ(test, (u32)IO2_FEATURES, p.features);
	KUNIT_EXPECT_EQ(test, flags & IOURING2_SETUP_NO_MMAP ? 0x5000ULL : 0,
			p.cq_off.user_addr);
	KUNIT_EXPECT_EQ(test, flags & IOURING2_SETUP_NO_MMAP ? 0x7000ULL : 0,
			p.sq_off.user_addr);
}

static void layout_test(struct kunit *test)
{
	static const u32 flags[] = {
		0, IOURING2_SETUP_NO_SQARRAY, IOURING2_SETUP_NO_MMAP,
		IOURING2_SETUP_NO_MMAP | IOURING2_SETUP_NO_SQARRAY,
		SQE128 | CQE32, SQE_MIXED | CQE_MIXED,
		IOURING2_SETUP_NO_MMAP | SQE128 | CQE32,
	};
	unsigned int i;
	u32 sq, cq;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		for (sq = 1; sq <= IO2_MAX_ENTRIES; sq *= 2)
			for (cq = sq; cq <= IO2_MAX_CQ_ENTRIES; cq *= 2)
				layout_check(test, sq, cq, flags[i]);
}

/* --- the hash -------------------------------------------------------------- */

/* OF_ONE_NAME requests share each user_data, to test the order among them */
#define REQS		20000
#define OF_ONE_NAME	3

/**
 * struct hash_fixture - a ring with nothing but a hash, and requests for it
 * @ring: the ring
 * @sub: the submitter of all requests
 * @reqs: the requests; the user_data of request i is i / OF_ONE_NAME
 */
struct hash_fixture {
	struct io2_ring *ring;
	struct io2_submitter *sub;
	struct io2_req *reqs;
};

static int hash_test_init(struct kunit *test)
{
	struct hash_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	test->priv = f;
	f->sub = kunit_kzalloc(test, sizeof(*f->sub), GFP_KERNEL);
	f->ring = kvzalloc(sizeof(*f->ring), GFP_KERNEL);
	f->reqs = kvcalloc(REQS, sizeof(*f->reqs), GFP_KERNEL);
	if (!f->sub || !f->ring || !f->reqs)
		return -ENOMEM;
	/* nobody executes a program: there is nothing to watch */
	f->sub->exec_told = true;
	mutex_init(&f->ring->uring_lock);
	spin_lock_init(&f->ring->pool_lock);
	f->ring->state = IO2_LIVE;
	io2_hash_init(f->ring);
	return 0;
}

static void hash_test_exit(struct kunit *test)
{
	struct hash_fixture *f = test->priv;

	if (f && f->ring)
		io2_hash_free(f->ring);
	if (f) {
		kvfree(f->ring);
		kvfree(f->reqs);
	}
}

static bool hashed(struct hash_fixture *f, unsigned int i)
{
	struct io2_req *req = &f->reqs[i];
	bool added;

	req->ring = f->ring;
	req->sub = f->sub;
	req->user_data = i / OF_ONE_NAME;
	mutex_lock(&f->ring->uring_lock);
	io2_hash_make_room(f->ring);
	mutex_unlock(&f->ring->uring_lock);
	spin_lock(&f->ring->inflight_lock);
	added = io2_hash_add(req, IO2_ARMED_POLL);
	spin_unlock(&f->ring->inflight_lock);
	return added;
}

static struct io2_req *found(struct hash_fixture *f, u64 name)
{
	struct io2_req *req;

	spin_lock(&f->ring->inflight_lock);
	req = io2_hash_find(f->ring, name, IO2_ARMED_POLL);
	spin_unlock(&f->ring->inflight_lock);
	return req;
}

/* Whatever the size, a look-up finds the newest request with a user_data. */
static void hash_growth_test(struct kunit *test)
{
	struct hash_fixture *f = test->priv;
	unsigned int i, bad = 0, bits = IO2_HASH_BITS;

	for (i = 0; i < REQS; i++) {
		KUNIT_ASSERT_TRUE(test, hashed(f, i));
		bad += found(f, i / OF_ONE_NAME) != &f->reqs[i];
		if (f->ring->hash_bits == bits)
			continue;
		/* no sooner than it is full, and by so many bits */
		KUNIT_EXPECT_EQ(test, (unsigned int)IO2_HASH_LOAD << bits, i);
		bits = min(bits + IO2_HASH_GROWS, IO2_HASH_BITS_MAX);
		KUNIT_EXPECT_EQ(test, bits, f->ring->hash_bits);
	}
	KUNIT_EXPECT_EQ(test, (unsigned int)IO2_HASH_BITS_MAX, f->ring->hash_bits);
	KUNIT_EXPECT_EQ(test, 0U, bad);
	KUNIT_EXPECT_EQ(test, (u32)REQS, f->ring->nr_hashed);
}

/* Requests with the same user_data keep their order when the hash grows. */
static void hash_order_test(struct kunit *test)
{
	struct hash_fixture *f = test->priv;
	unsigned int i, bad = 0;

	for (i = 0; i < REQS; i++)
		KUNIT_ASSERT_TRUE(test, hashed(f, i));
	for (i = REQS; i-- > 0;) {
		bad += found(f, i / OF_ONE_NAME) != &f->reqs[i];
		io2_unhash(&f->reqs[i]);
	}
	KUNIT_EXPECT_EQ(test, 0U, bad);
	KUNIT_EXPECT_EQ(test, 0U, f->ring->nr_hashed);
	KUNIT_EXPECT_NULL(test, found(f, 0));
}

/* A request that is armed in another way, renamed or removed is not found. */
static void hash_find_test(struct kunit *test)
{
	struct hash_fixture *f = test->priv;
	struct io2_req *req = &f->reqs[0];

	KUNIT_ASSERT_TRUE(test, hashed(f, 0));
	KUNIT_EXPECT_PTR_EQ(test, req, found(f, 0));
	spin_lock(&f->ring->inflight_lock);
	KUNIT_EXPECT_NULL(test, io2_hash_find(f->ring, 0, IO2_ARMED_TIMER));
	io2_hash_rename(req, 1ULL << 40);
	spin_unlock(&f->ring->inflight_lock);
	KUNIT_EXPECT_NULL(test, found(f, 0));
	KUNIT_EXPECT_PTR_EQ(test, req, found(f, 1ULL << 40));
	io2_unhash(req);
	KUNIT_EXPECT_NULL(test, found(f, 1ULL << 40));
	/* twice is once */
	io2_unhash(req);
	KUNIT_EXPECT_EQ(test, 0U, f->ring->nr_hashed);
}

/* Nothing is added for a ring or a submitter that ends, or a cancelled request. */
static void hash_refuses_test(struct kunit *test)
{
	struct hash_fixture *f = test->priv;

	f->ring->state = IO2_DYING;
	KUNIT_EXPECT_FALSE(test, hashed(f, 0));
	f->ring->state = IO2_LIVE;
	f->sub->ends = IO2_ENDS_GONE;
	KUNIT_EXPECT_FALSE(test, hashed(f, 0));
	f->sub->ends = IO2_ENDS_LEAVING;
	KUNIT_EXPECT_FALSE(test, hashed(f, 0));
	f->sub->ends = 0;
	f->reqs[0].pool_state = IO2_POOL_INTERRUPTED;
	KUNIT_EXPECT_FALSE(test, hashed(f, 0));
	KUNIT_EXPECT_EQ(test, 0U, f->ring->nr_hashed);
	f->reqs[0].pool_state = IO2_POOL_NONE;
	KUNIT_EXPECT_TRUE(test, hashed(f, 0));
}

/* --- arming on wait queues -------------------------------------------------- */

#define QUEUES	3

/**
 * struct arm_case - a file, and what becomes of a request that is armed on it
 * @name: of the case
 * @queues: the wait queues for which ->poll calls poll_wait(), in order: letters
 * @ready: the events that it returns
 * @ret: of io2_poll_arm()
 */
struct arm_case {
	const char *name, *queues;
	__poll_t ready;
	int ret;
};

/*
 * io_uring arms a request on two wait queues at most. It ignores a queue that
 * the request is on already, in whichever call, and refuses a third one, unless
 * an event is pending.
 */
static const struct arm_case arm_cases[] = {
	{ "no queue", "", 0, -EINVAL },
	{ "one queue", "a", 0, 0 },
	{ "one queue, twice", "aa", 0, 0 },
	{ "one queue, three times", "aaa", 0, 0 },
	{ "two queues", "ab", 0, 0 },
	{ "the first of two again", "aba", 0, 0 },
	{ "the second of two again", "abb", 0, 0 },
	{ "both of two again", "aabbab", 0, 0 },
	{ "three queues", "abc", 0, -EINVAL },
	{ "three queues, and one again", "abca", 0, -EINVAL },
	{ "three queues, ready", "abc", EPOLLIN, EPOLLIN },
	{ "two queues, ready", "aba", EPOLLIN, EPOLLIN },
};

static void arm_describe(const struct arm_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(arm, arm_cases, arm_describe);

/* A file that has nothing but its poll method */
struct arm_file {
	struct file file;
	struct wait_queue_head queue[QUEUES];
	const struct arm_case *c;
};

static __poll_t arm_file_poll(struct file *file, struct poll_table_struct *pt)
{
	struct arm_file *f = container_of(file, struct arm_file, file);
	const char *q;

	for (q = f->c->queues; *q; q++)
		poll_wait(file, &f->queue[*q - 'a'], pt);
	return f->c->ready;
}

static const struct file_operations arm_file_ops = { .poll = arm_file_poll };

static unsigned int waiting(struct wait_queue_head *q)
{
	struct list_head *at;
	unsigned int nr = 0;

	list_for_each(at, &q->head)
		nr++;
	return nr;
}

static int arm_on(struct kunit *test, struct arm_file *f)
{
	struct hash_fixture *h = test->priv;
	struct io2_req *req = &h->reqs[0];

	req->ring = h->ring;
	req->sub = h->sub;
	req->file = &f->file;
	req->poll.events = EPOLLIN | EPOLLONESHOT;
	mutex_lock(&h->ring->uring_lock);
	io2_hash_make_room(h->ring);
	mutex_unlock(&h->ring->uring_lock);
	return io2_poll_arm(req, false);
}

/* Any of its wait queues, and no other, wakes a request. */
static void arm_test(struct kunit *test)
{
	const struct arm_case *c = test->param_value;
	struct hash_fixture *h = test->priv;
	struct io2_req *req = &h->reqs[0];
	struct arm_file *f;
	unsigned int i, q;
	bool on;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->file.f_op = &arm_file_ops;
	f->c = c;
	for (i = 0; i < QUEUES; i++)
		init_waitqueue_head(&f->queue[i]);
	for (i = 0; i < QUEUES; i++) {
		KUNIT_ASSERT_EQ(test, c->ret, arm_on(test, f));
		for (q = 0; q < QUEUES; q++) {
			on = !c->ret && strchr(c->queues, 'a' + q);
			KUNIT_EXPECT_EQ(test, on ? 1U : 0U,
					waiting(&f->queue[q]));
		}
		if (c->ret)
			continue;
		deferred = NULL;
		wake_up_poll(&f->queue[i], EPOLLIN);
		KUNIT_EXPECT_PTR_EQ(test, strchr(c->queues, 'a' + i) ? req : NULL,
				    deferred);
		io2_poll_disarm(req);
		for (q = 0; q < QUEUES; q++)
			KUNIT_EXPECT_EQ(test, 0U, waiting(&f->queue[q]));
	}
}

static struct kunit_case setup_cases[] = {
	KUNIT_CASE_PARAM(check_sizes_test, check_gen_params),
	KUNIT_CASE(check_reserved_test),
	KUNIT_CASE(check_limits_test),
	KUNIT_CASE(layout_test),
	{}
};

static struct kunit_suite setup_suite = {
	.name = "iouring2-setup",
	.test_cases = setup_cases,
};

static struct kunit_case hash_cases[] = {
	KUNIT_CASE(hash_growth_test),
	KUNIT_CASE(hash_order_test),
	KUNIT_CASE(hash_find_test),
	KUNIT_CASE(hash_refuses_test),
	{}
};

static struct kunit_suite hash_suite = {
	.name = "iouring2-hash",
	.init = hash_test_init,
	.exit = hash_test_exit,
	.test_cases = hash_cases,
};

static struct kunit_case poll_cases[] = {
	KUNIT_CASE_PARAM(arm_test, arm_gen_params),
	{}
};

static struct kunit_suite poll_suite = {
	.name = "iouring2-poll",
	.init = hash_test_init,
	.exit = hash_test_exit,
	.test_cases = poll_cases,
};

kunit_test_suites(&setup_suite, &hash_suite, &poll_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of iouring2");
