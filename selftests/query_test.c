// SPDX-License-Identifier: GPL-2.0-only
/*
 * The REGISTER opcode QUERY: a list of queries about what is supported. A ring
 * answers it, and the device, too. It reports the same as the ioctl QUERY, and
 * refuses what io_uring refuses.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "sides.h"

#define BAD_ADDR	0xffffffffffff0000ULL
#define LIST_MAX	1000

/* Ask by a way that needs no other state. Return: the result or -errno */
static int by_device(const void *hdr, unsigned int nr)
{
	int dev = dev_open(), ret;

	if (dev < 0)
		return dev;
	ret = module_register(dev, IOURING2_REGISTER_QUERY, hdr, nr);
	close(dev);
	return ret;
}

static int by_ring(const void *hdr, unsigned int nr)
{
	struct ring r;
	int ret = ring_init(&r, 4, 0);

	if (ret)
		return ret;
	ret = module_register(r.fd, IOURING2_REGISTER_QUERY, hdr, nr);
	ring_exit(&r);
	return ret;
}

static int by_tree(const void *hdr, unsigned int nr)
{
	return tree_register(-1, IOURING2_REGISTER_QUERY, hdr, nr);
}

static int by_tree_ring(const void *hdr, unsigned int nr)
{
	struct ring r;
	int ret = tree_setup(&r, 4, 0, 0);

	if (ret)
		return ret;
	ret = tree_register(r.fd, IOURING2_REGISTER_QUERY, hdr, nr);
	ring_exit(&r);
	return ret;
}

/* The module's ways, and those of io_uring, which must give the same results */
RING_FIXTURE(way) {
	int (*ask)(const void *hdr, unsigned int nr);
	bool tree;
};

FIXTURE_VARIANT_ADD(way, device) { by_device };
FIXTURE_VARIANT_ADD(way, ring) { by_ring };
FIXTURE_VARIANT_ADD(way, tree) { by_tree, true };
FIXTURE_VARIANT_ADD(way, tree_ring) { by_tree_ring, true };

/* An io_uring that has the opcode does nothing without a list */
#define NEED_QUERY()							\
	do {								\
		if (variant->tree && variant->ask(NULL, 0))		\
			SKIP(return, "not in this kernel's io_uring");	\
	} while (0)

static struct iouring2_query_hdr query(unsigned int op, void *data,
				       unsigned int size)
{
	return (struct iouring2_query_hdr) {
		.query_op = op, .query_data = (uintptr_t)data, .size = size,
	};
}

static struct iouring2_query_hdr opcodes(void *data)
{
	return query(IOURING2_QUERY_OPCODES, data,
		     sizeof(struct iouring2_query_opcode));
}

static bool is_byte(const void *p, int c, size_t len)
{
	const unsigned char *at = p;

	while (len && *at == c) {
		at++;
		len--;
	}
	return !len;
}

/* --------------------------------------------------------- what it reports */

TEST_F_TIMEOUT(way, opcodes, LIMIT)
{
	struct iouring2_query_opcode op;
	struct iouring2_query_hdr hdr = opcodes(&op);
	struct iouring2_query q;
	struct ring r;

	NEED_QUERY();
	memset(&op, 0x55, sizeof(op));
	ASSERT_EQ(0, variant->ask(&hdr, 0));
	EXPECT_EQ(0, hdr.result);
	EXPECT_EQ(sizeof(op), hdr.size);
	EXPECT_EQ(IOURING2_QUERY_OPCODES, (int)hdr.query_op);
	EXPECT_EQ(0U, hdr.next_entry);
	EXPECT_EQ((uintptr_t)&op, hdr.query_data);
	EXPECT_EQ(0U, op.__pad);
	EXPECT_LT((unsigned int)IOURING2_REGISTER_QUERY,
		  op.nr_register_opcodes);
	EXPECT_LE(IOURING2_QUERY_SCQ + 1U, op.nr_query_opcodes);
	if (variant->tree)
		return;
	ASSERT_EQ(0, dev_query(&q));
	EXPECT_EQ(q.nr_ops, op.nr_request_opcodes);
	EXPECT_EQ(IOURING2_REGISTER_LAST, (int)op.nr_register_opcodes);
	EXPECT_EQ(q.features, op.feature_flags);
	EXPECT_EQ(q.setup_flags, op.ring_setup_flags);
	EXPECT_EQ(q.enter_flags, op.enter_flags);
	EXPECT_EQ(q.sqe_flags, op.sqe_flags);
	EXPECT_EQ(IOURING2_QUERY_SCQ + 1U, op.nr_query_opcodes);
	EXPECT_TRUE(q.register_ops[0] >> IOURING2_REGISTER_QUERY & 1);
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	EXPECT_EQ(r.setup.params.features, op.feature_flags);
	ring_exit(&r);
}

/* The header of the mapped rings: what is behind it begins at its end */
TEST_F_TIMEOUT(way, scq, LIMIT)
{
	struct iouring2_query_scq scq;
	struct iouring2_query_hdr hdr = query(IOURING2_QUERY_SCQ, &scq,
					      sizeof(scq));
	const struct iouring2_params *p;
	unsigned int i;
	struct ring r;

	NEED_QUERY();
	ASSERT_EQ(0, variant->ask(&hdr, 0));
	EXPECT_EQ(0, hdr.result);
	EXPECT_EQ(sizeof(scq), hdr.size);
	ASSERT_LT(0U, scq.hdr_alignment);
	EXPECT_EQ(0U, scq.hdr_alignment & (scq.hdr_alignment - 1));
	EXPECT_EQ(0U, scq.hdr_size % scq.hdr_alignment);
	if (variant->tree)
		return;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init_params(&r, 4, 0, i ?
					      IOURING2_SETUP_NO_SQARRAY : 0,
					      0));
		p = &r.setup.params;
		EXPECT_EQ(scq.hdr_size, i ? p->cq_off.cqes : p->sq_off.array);
		EXPECT_LE(p->sq_off.dropped + 4, scq.hdr_size);
		EXPECT_LE(p->sq_off.ring_entries + 4, scq.hdr_size);
		EXPECT_LE(p->cq_off.overflow + 4, scq.hdr_size);
		EXPECT_LE(p->cq_off.ring_entries + 4, scq.hdr_size);
		EXPECT_LE(p->cq_off.flags + 4, scq.hdr_size);
		ring_exit(&r);
	}
}

/* The module does not have what these two are about, and says so */
TEST_F_TIMEOUT(way, not_supported, LIMIT)
{
	static const unsigned int ops[] = {
		IOURING2_QUERY_ZCRX, IOURING2_QUERY_ZCRX_EVENT,
	};
	struct iouring2_query_hdr hdr;
	unsigned int i;
	char data[64];

	if (variant->tree)
		SKIP(return, "io_uring has them");
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		memset(data, 0x55, sizeof(data));
		hdr = query(ops[i], data, sizeof(data));
		EXPECT_EQ(0, variant->ask(&hdr, 0));
		EXPECT_EQ(-EOPNOTSUPP, hdr.result);
		EXPECT_EQ(0U, hdr.size);
		EXPECT_TRUE(is_byte(data, 0, sizeof(data)));
	}
}

/* A buffer may be shorter or longer than the result; all of it is written */
TEST_F_TIMEOUT(way, sizes, LIMIT)
{
	static const unsigned int sizes[] = {
		1, 2, 3, 4, 7, 8, 16, 39, 40, 47, 48, 49, 56, 64, 128, 1000,
		4095, 4096,
	};
	static char data[8192];
	struct iouring2_query_opcode op;
	struct iouring2_query_hdr hdr = opcodes(&op), h;
	unsigned int i, len;

	NEED_QUERY();
	ASSERT_EQ(0, variant->ask(&hdr, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(data, 0x55, sizeof(data));
		len = sizes[i] < hdr.size ? sizes[i] : hdr.size;
		h = query(IOURING2_QUERY_OPCODES, data, sizes[i]);
		EXPECT_EQ(0, variant->ask(&h, 0));
		EXPECT_EQ(0, h.result);
		EXPECT_EQ(len, h.size);
		EXPECT_EQ(0, memcmp(&op, data, len)) {
			TH_LOG("%u bytes", sizes[i]);
		}
		EXPECT_TRUE(is_byte(data + len, 0, sizes[i] - len));
		EXPECT_TRUE(is_byte(data + sizes[i], 0x55,
				    sizeof(data) - sizes[i]));
	}
}

/* ----------------------------------------------------------- what it refuses */

/* A query that fails says so in its header, and the list goes on */
TEST_F_TIMEOUT(way, failed_queries, LIMIT)
{
	struct iouring2_query_opcode op[3];
	struct iouring2_query_hdr hdr[3];
	static const char * const bad[] = {
		"unknown", "last", "resv 0", "resv 1", "resv 2", "result",
		"size 0",
	};
	unsigned int i;
	int want;

	NEED_QUERY();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(op, 0x55, sizeof(op));
		hdr[0] = opcodes(&op[0]);
		hdr[1] = opcodes(&op[1]);
		hdr[2] = opcodes(&op[2]);
		hdr[0].next_entry = (uintptr_t)&hdr[1];
		hdr[1].next_entry = (uintptr_t)&hdr[2];
		want = i < 2 ? -EOPNOTSUPP : -EINVAL;
		if (i < 2)
			hdr[1].query_op = i ? ~0U : 1000;
		else if (i < 5)
			hdr[1].__resv[i - 2] = 1;
		else if (i == 5)
			hdr[1].result = -1;
		else
			hdr[1].size = 0;
		EXPECT_EQ(0, variant->ask(hdr, 0));
		EXPECT_EQ(0, hdr[0].result);
		EXPECT_EQ(want, hdr[1].result) {
			TH_LOG("%s", bad[i]);
		}
		EXPECT_EQ(0, hdr[2].result);
		EXPECT_EQ(0U, hdr[1].size);
		EXPECT_EQ(0, memcmp(&op[0], &op[2], sizeof(op[0])));
		EXPECT_TRUE(is_byte(&op[1], i < 6 ? 0 : 0x55, sizeof(op[1])));
	}
}

/* A call that fails has answered the queries before that */
TEST_F_TIMEOUT(way, refused, LIMIT)
{
	struct iouring2_query_opcode op[2];
	struct iouring2_query_hdr hdr[2];
	static char large[8192];

	NEED_QUERY();
	hdr[0] = opcodes(&op[0]);
	EXPECT_EQ(0, variant->ask(NULL, 0));
	EXPECT_EQ(-EINVAL, variant->ask(&hdr[0], 1));
	EXPECT_EQ(-EINVAL, variant->ask(NULL, 1));
	EXPECT_EQ(-EINVAL, variant->ask(&hdr[0], 0x10000));
	EXPECT_EQ(sizeof(op[0]), hdr[0].size);
	EXPECT_EQ(-EFAULT, variant->ask((void *)BAD_ADDR, 0));
	EXPECT_EQ(-EFAULT, variant->ask((void *)8, 0));

	hdr[0] = opcodes(&op[0]);
	hdr[0].next_entry = BAD_ADDR;
	EXPECT_EQ(-EFAULT, variant->ask(hdr, 0));
	EXPECT_EQ(0, hdr[0].result);
	EXPECT_LT((unsigned int)IOURING2_REGISTER_QUERY,
		  op[0].nr_register_opcodes);

	memset(op, 0, sizeof(op));
	hdr[0] = opcodes(&op[0]);
	hdr[1] = opcodes((void *)BAD_ADDR);
	hdr[0].next_entry = (uintptr_t)&hdr[1];
	EXPECT_EQ(-EFAULT, variant->ask(hdr, 0));
	EXPECT_LT((unsigned int)IOURING2_REGISTER_QUERY,
		  op[0].nr_register_opcodes);
	EXPECT_EQ(sizeof(op[1]), hdr[1].size);

	hdr[1] = query(IOURING2_QUERY_OPCODES, large, 4097);
	EXPECT_EQ(-E2BIG, variant->ask(hdr, 0));
	hdr[1].size = ~0U;
	EXPECT_EQ(-E2BIG, variant->ask(hdr, 0));
	EXPECT_EQ(~0U, hdr[1].size);
	EXPECT_TRUE(is_byte(large, 0, sizeof(large)));
}

/* A list ends, even if it is a circle */
TEST_F_TIMEOUT(way, long_lists, LIMIT)
{
	static struct iouring2_query_hdr hdr[LIST_MAX + 1];
	static struct iouring2_query_opcode op[LIST_MAX + 1];
	static const unsigned int nr[] = {
		1, 2, 100, LIST_MAX - 1, LIST_MAX, LIST_MAX + 1,
	};
	unsigned int i, j, answered;

	NEED_QUERY();
	for (i = 0; i < ARRAY_SIZE(nr); i++) {
		memset(op, 0, sizeof(op));
		for (j = 0; j < nr[i]; j++) {
			hdr[j] = opcodes(&op[j]);
			if (j + 1 < nr[i])
				hdr[j].next_entry = (uintptr_t)&hdr[j + 1];
		}
		EXPECT_EQ(nr[i] < LIST_MAX ? 0 : -ERANGE,
			  variant->ask(hdr, 0)) {
			TH_LOG("%u queries", nr[i]);
		}
		for (answered = 0, j = 0; j < nr[i]; j++)
			answered += !!op[j].nr_register_opcodes;
		EXPECT_EQ(nr[i] < LIST_MAX ? nr[i] : LIST_MAX, answered);
	}
	hdr[0] = opcodes(&op[0]);
	hdr[0].next_entry = (uintptr_t)&hdr[0];
	EXPECT_EQ(-ERANGE, variant->ask(hdr, 0));
	hdr[0] = opcodes(&op[0]);
	hdr[1] = opcodes(&op[1]);
	hdr[0].next_entry = (uintptr_t)&hdr[1];
	hdr[1].next_entry = (uintptr_t)&hdr[0];
	EXPECT_EQ(-ERANGE, variant->ask(hdr, 0));
}

/* ------------------------------------------------------------------ the device */

/* No other opcode works without a ring */
RING_TEST(device_refuses)
{
	int efd = 0, dev = dev_open();
	unsigned int op, bit;
	char buf[4096] = "";

	ASSERT_LE(0, dev);
	for (op = 0; op < 128; op++) {
		if (op == IOURING2_REGISTER_QUERY)
			continue;
		EXPECT_EQ(-EINVAL, module_register(dev, op, NULL, 0)) {
			TH_LOG("register opcode %u", op);
		}
		EXPECT_EQ(-EINVAL, module_register(dev, op, &efd, 1)) {
			TH_LOG("register opcode %u", op);
		}
		EXPECT_EQ(-EINVAL, module_register(dev, op, buf, 8)) {
			TH_LOG("register opcode %u", op);
		}
	}
	for (bit = 7; bit < 32; bit++) {
		op = 1U << bit | IOURING2_REGISTER_QUERY;
		EXPECT_EQ(-EINVAL, module_register(dev, op, NULL, 0)) {
			TH_LOG("register opcode %#x", op);
		}
	}
	close(dev);
}

/* ------------------------------------------------------------------ no lock */

struct caller {
	pthread_t self;
	struct iouring2_query_hdr hdr;
	struct ring *r;
	int ret, done;
};

static void *ask(void *arg)
{
	struct caller *c = arg;

	c->ret = module_register(c->r->fd, IOURING2_REGISTER_QUERY, &c->hdr, 0);
	return NULL;
}

static void *submit(void *arg)
{
	struct caller *c = arg;

	c->ret = ring_submit(c->r);
	st_rel(&c->done, 1);
	return NULL;
}

/*
 * A query that waits for the page of its buffer holds no lock of the ring: a
 * submission goes on
 */
RING_TEST(faults_without_lock)
{
	struct caller asker = { }, submitter = { };
	struct absent page;
	struct ring r;

	if (absent_make(&page))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	asker.r = &r;
	asker.hdr = opcodes(page.page);
	submitter.r = &r;
	ASSERT_EQ(0, ring_nop(&r, 1));
	ASSERT_EQ(0, pthread_create(&asker.self, NULL, ask, &asker));
	EXPECT_TRUE(absent_wanted(&page, SOON));
	ASSERT_EQ(0, pthread_create(&submitter.self, NULL, submit, &submitter));
	EXPECT_TRUE(until_ms(ld_acq(&submitter.done), SOON));
	EXPECT_EQ(0, absent_provide(&page));
	pthread_join(submitter.self, NULL);
	pthread_join(asker.self, NULL);
	EXPECT_EQ(1, submitter.ret);
	EXPECT_EQ(0, asker.ret);
	EXPECT_EQ(0, asker.hdr.result);
	ring_exit(&r);
	absent_free(&page);
}

RING_TEST_MAIN
