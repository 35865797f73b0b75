// SPDX-License-Identifier: GPL-2.0-only
/*
 * REGISTER: PROBE works as in io_uring, and each invalid call fails with the
 * right errno. A register opcode is implemented exactly if QUERY says so.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define BAD_ADDR	((void *)-4096L)
#define PROBE_BYTES(nr)	(sizeof(struct iouring2_probe) + \
			 (nr) * sizeof(struct iouring2_probe_op))

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

static unsigned char buf[PROBE_BYTES(256) + 64];

RING_TEST(probe_lengths)
{
	struct iouring2_probe *p = (void *)buf;
	struct iouring2_query q;
	unsigned int nr, want, i;
	struct ring r;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	for (nr = 0; nr <= 256; nr++) {
		want = nr < q.nr_ops ? nr : q.nr_ops;
		memset(buf, 0, sizeof(buf));
		memset(buf + PROBE_BYTES(want), 0x77, 64);
		EXPECT_EQ(0, reg(r.fd, IOURING2_REGISTER_PROBE, p, nr)) {
			TH_LOG("%u elements", nr);
		}
		EXPECT_EQ(q.nr_ops - 1, p->last_op);
		EXPECT_EQ(want, p->ops_len);
		EXPECT_EQ(0, p->resv);
		for (i = 0; i < 3; i++)
			EXPECT_EQ(0, (int)p->resv2[i]);
		for (i = 0; i < want; i++) {
			EXPECT_EQ(i, p->ops[i].op);
			EXPECT_EQ(0, p->ops[i].resv);
			EXPECT_EQ(0, (int)p->ops[i].resv2);
			EXPECT_EQ((int)(q.ops[i / 64] >> i % 64 & 1),
				  p->ops[i].flags);
		}
		/* Nothing is written behind the last element */
		for (i = 0; i < 64; i++)
			EXPECT_EQ(0x77, buf[PROBE_BYTES(want) + i]);
	}
	ring_exit(&r);
}

RING_TEST(probe_refused)
{
	struct iouring2_query q;
	unsigned int i, nr;
	unsigned char *page;
	struct ring r;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	nr = q.nr_ops;
	for (i = 0; i < PROBE_BYTES(nr); i++) {
		memset(buf, 0, sizeof(buf));
		buf[i] = 1;
		EXPECT_EQ(-EINVAL, reg(r.fd, IOURING2_REGISTER_PROBE, buf,
				       nr)) {
			TH_LOG("byte %u", i);
		}
	}
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(-EINVAL, reg(r.fd, IOURING2_REGISTER_PROBE, buf, 257));
	EXPECT_EQ(-EINVAL, reg(r.fd, IOURING2_REGISTER_PROBE, buf, 1U << 31));
	EXPECT_EQ(-EINVAL, reg(r.fd, IOURING2_REGISTER_PROBE, buf, UINT_MAX));
	EXPECT_EQ(-EINVAL, reg(r.fd, IOURING2_REGISTER_PROBE, NULL, 1));
	EXPECT_EQ(-EFAULT, reg(r.fd, IOURING2_REGISTER_PROBE, BAD_ADDR, 1));

	/* Readable but not writable, and one byte too short */
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, mprotect(page + 4096, 4096, PROT_NONE));
	EXPECT_EQ(0, reg(r.fd, IOURING2_REGISTER_PROBE,
			 page + 4096 - PROBE_BYTES(nr), nr));
	memset(page, 0, 4096);
	EXPECT_EQ(-EFAULT, reg(r.fd, IOURING2_REGISTER_PROBE,
			       page + 4096 - PROBE_BYTES(nr) + 1, nr));
	memset(page, 0, 4096);
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, reg(r.fd, IOURING2_REGISTER_PROBE, page, nr));
	munmap(page, 8192);
	ring_exit(&r);
}

/* Opcodes that QUERY does not name are rejected with any argument */
RING_TEST(opcodes_refused)
{
	struct iouring2_query q;
	unsigned int op, bit;
	struct ring r;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	memset(buf, 0, sizeof(buf));
	for (op = 0; op < 128; op++) {
		if (q.register_ops[op / 64] >> op % 64 & 1)
			continue;
		EXPECT_EQ(-EINVAL, reg(r.fd, op, NULL, 0)) {
			TH_LOG("register opcode %u", op);
		}
		EXPECT_EQ(-EINVAL, reg(r.fd, op, buf, 1)) {
			TH_LOG("register opcode %u", op);
		}
	}
	for (bit = 7; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, reg(r.fd, 1U << bit, buf, 1));
		EXPECT_EQ(-EINVAL, reg(r.fd, 1U << bit |
				       IOURING2_REGISTER_PROBE, buf, 1));
	}
	EXPECT_EQ(-EINVAL, reg(r.fd, UINT_MAX, buf, 1));
	/* None of the rejected calls had an effect */
	EXPECT_EQ(0, (int)ring_ready(&r));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	ring_exit(&r);
}

/* PROBE works while requests are running and completions wait */
RING_TEST(probe_while_busy)
{
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 2, 2));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_nop(&r, i));
		if (i & 1)
			ASSERT_EQ(2, ring_submit(&r));
	}
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(0, reg(r.fd, IOURING2_REGISTER_PROBE, buf, 256));
	EXPECT_EQ(2, fdinfo(r.fd, "Backlog"));
	ring_exit(&r);
}

RING_TEST_MAIN
