// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ABI. linux/iouring2.h equals io_uring's header in every size, offset and
 * constant (design: "binary identical"). What QUERY and PROBE report agrees
 * with how requests, SQE flags and register opcodes behave.
 *
 * abi_gen.sh generates the table of names from the headers themselves.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "abi_rows.h"

/*
 * The numbers of constants, structs and fields in linux/iouring2.h. A change
 * that adds one on purpose corrects these numbers, too.
 */
#define NR_CONSTANTS	283
#define NR_STRUCTS	49
#define NR_FIELDS	244

#define SIZE(s, n) \
	_Static_assert(sizeof(struct iouring2_##s) == (n), "size of " #s)
#define OFF(s, f, n) \
	_Static_assert(offsetof(struct iouring2_##s, f) == (n), \
		       "offset of " #s "." #f)

/* io_uring's layout, on which every program relies */
SIZE(sqe, 64);
OFF(sqe, opcode, 0);
OFF(sqe, flags, 1);
OFF(sqe, ioprio, 2);
OFF(sqe, fd, 4);
OFF(sqe, off, 8);
OFF(sqe, addr, 16);
OFF(sqe, len, 24);
OFF(sqe, rw_flags, 28);
OFF(sqe, user_data, 32);
OFF(sqe, buf_index, 40);
OFF(sqe, personality, 42);
OFF(sqe, file_index, 44);
OFF(sqe, addr3, 48);
OFF(sqe, cmd, 48);
SIZE(cqe, 16);
OFF(cqe, user_data, 0);
OFF(cqe, res, 8);
OFF(cqe, flags, 12);
SIZE(sqring_offsets, 40);
SIZE(cqring_offsets, 40);
SIZE(params, 120);
OFF(params, sq_off, 40);
OFF(params, cq_off, 80);
SIZE(getevents_arg, 24);
SIZE(probe, 16);
SIZE(probe_op, 8);

/* The layout of our own structs, which never changes after the first version */
SIZE(query, 136);
OFF(query, features, 8);
OFF(query, ops, 40);
OFF(query, register_ops, 72);
OFF(query, max_entries, 88);
OFF(query, inflight_max, 100);
OFF(query, ring_flags, 104);
OFF(query, enter_methods, 112);
OFF(query, resv, 120);
SIZE(setup, 152);
OFF(setup, max_inflight, 8);
OFF(setup, resv, 12);
OFF(setup, params, 32);
SIZE(enter, 24);
OFF(enter, argsz, 12);
OFF(enter, arg, 16);
SIZE(register, 16);
OFF(register, arg, 8);

_Static_assert(IOURING2_IOC_QUERY == 0xc088bb00, "QUERY's number");
_Static_assert(IOURING2_IOC_SETUP == 0xc098bb01, "SETUP's number");
_Static_assert(IOURING2_IOC_ENTER == 0x4018bb02, "ENTER's number");
_Static_assert(IOURING2_IOC_REGISTER == 0x4010bb03, "REGISTER's number");
_Static_assert(IOURING2_OP_LAST == 65, "opcodes");
_Static_assert(IOURING2_REGISTER_LAST == 38, "register opcodes");

struct value {
	const char *name;
	unsigned long long ours;
	unsigned long long theirs;
};

static const struct value constants[] = {
#define CONST(a, b) { #a, (unsigned long long)(a), (unsigned long long)(b) },
#include "abi_rows.h"
};

static const struct value sizes[] = {
#define STRUCT(a, b) { #a, sizeof(struct a), sizeof(struct b) },
#include "abi_rows.h"
};

static const struct value field_offsets[] = {
#define OFFS(a, b, f) \
	{ #a "." #f, offsetof(struct a, f), offsetof(struct b, f) },
#define FIELD(a, b, f) OFFS(a, b, f)
#define OPEN(a, b, f) OFFS(a, b, f)
#include "abi_rows.h"
};

static const struct value field_sizes[] = {
#define FIELD(a, b, f) \
	{ #a "." #f, sizeof(((struct a *)0)->f), sizeof(((struct b *)0)->f) },
#include "abi_rows.h"
};

static const char * const old_names[] = {
#define OLD(n) n,
#include "abi_rows.h"
	NULL
};

static const char * const new_names[] = {
#define NEW(n) n,
#include "abi_rows.h"
	NULL
};

/* Count the rows that differ, and print a line about each */
static int differing(const struct value *v, int nr, const char *what)
{
	int i, bad = 0;

	for (i = 0; i < nr; i++) {
		if (v[i].ours == v[i].theirs)
			continue;
		printf("# %s %s: %#llx, but %#llx in %s\n", v[i].name, what,
		       v[i].ours, v[i].theirs, ABI_REFERENCE);
		bad++;
	}
	fflush(stdout);
	return bad;
}

#define DIFFERING(table) differing(table, ARRAY_SIZE(table), #table)

RING_TEST(same_as_io_uring)
{
	int i;

	EXPECT_EQ(0, DIFFERING(constants));
	EXPECT_EQ(0, DIFFERING(sizes));
	EXPECT_EQ(0, DIFFERING(field_offsets));
	EXPECT_EQ(0, DIFFERING(field_sizes));
	/* A table without rows would prove nothing */
	EXPECT_LE(100, (int)ARRAY_SIZE(constants));
	EXPECT_LE(10, (int)ARRAY_SIZE(sizes));
	EXPECT_LE(60, (int)ARRAY_SIZE(field_offsets));
	TH_LOG("%s: %d constants, %d structs, %d fields compared; %d of our names are not in it",
	       ABI_REFERENCE, (int)ARRAY_SIZE(constants),
	       (int)ARRAY_SIZE(sizes), (int)ARRAY_SIZE(field_offsets),
	       (int)ARRAY_SIZE(old_names) - 1);
	for (i = 0; new_names[i]; i++)
		TH_LOG("not in linux/iouring2.h: %s", new_names[i]);
}

RING_TEST(nothing_left_out)
{
	EXPECT_EQ(NR_CONSTANTS, ABI_CONSTANTS) {
		TH_LOG("iouring2.h has other constants: correct NR_CONSTANTS");
	}
	EXPECT_EQ(NR_STRUCTS, ABI_STRUCTS) {
		TH_LOG("iouring2.h has other structs: correct NR_STRUCTS");
	}
	EXPECT_EQ(NR_FIELDS, ABI_FIELDS) {
		TH_LOG("iouring2.h has other fields: correct NR_FIELDS");
	}
}

static bool has_op(const struct iouring2_query *q, unsigned int op)
{
	return q->ops[op / 64] >> op % 64 & 1;
}

RING_TEST(query)
{
	struct iouring2_query q;
	struct ring r;
	unsigned int op;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_EQ(IOURING2_ABI_VERSION, (int)q.abi_version);
	EXPECT_LT(0, (int)q.nr_ops);
	EXPECT_GE(256, (int)q.nr_ops);
	EXPECT_EQ(32768, (int)q.max_entries);
	EXPECT_EQ(65536, (int)q.max_cq_entries);
	EXPECT_EQ(module_param("inflight_default"), (long)q.inflight_default);
	EXPECT_EQ(module_param("inflight_max"), (long)q.inflight_max);
	EXPECT_LE(q.inflight_default, q.inflight_max);
	EXPECT_EQ(IOURING2_RING_SUBMIT_BACKLOGGED, (int)q.ring_flags);
	EXPECT_EQ(IOURING2_ENTER_BY_FADVISE, (int)q.enter_methods);
	for (op = 0; op < ARRAY_SIZE(q.resv); op++)
		EXPECT_EQ(0, (long)q.resv[op]);
	/* The tests below need these two opcodes */
	EXPECT_TRUE(has_op(&q, IOURING2_OP_NOP));
	EXPECT_TRUE(has_op(&q, IOURING2_OP_READ));
	for (op = q.nr_ops; op < 256; op++)
		EXPECT_FALSE(has_op(&q, op));
	EXPECT_TRUE(q.features & IOURING2_FEAT_NODROP);
	EXPECT_TRUE(q.features & IOURING2_FEAT_SINGLE_MMAP);
	EXPECT_EQ(0, (long)(q.sqe_flags & ~0x7fULL));

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ((long)q.features, (long)r.setup.params.features);
	ring_exit(&r);
}

RING_TEST(probe_agrees)
{
	char buf[sizeof(struct iouring2_probe) +
		 256 * sizeof(struct iouring2_probe_op)] = { };
	struct iouring2_probe *p = (void *)buf;
	struct iouring2_register reg = {
		.opcode = IOURING2_REGISTER_PROBE,
		.nr_args = 256,
		.arg = (uintptr_t)buf,
	};
	struct iouring2_query q;
	struct ring r;
	unsigned int op;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_TRUE(q.register_ops[0] >> IOURING2_REGISTER_PROBE & 1);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ioctl(r.fd, IOURING2_IOC_REGISTER, &reg));
	EXPECT_EQ(q.nr_ops, p->ops_len);
	EXPECT_EQ(q.nr_ops - 1, p->last_op);
	for (op = 0; op < p->ops_len; op++) {
		EXPECT_EQ(op, p->ops[op].op);
		EXPECT_EQ(has_op(&q, op) ? IOURING2_OP_SUPPORTED : 0,
			  p->ops[op].flags) {
			TH_LOG("opcode %u", op);
		}
	}
	ring_exit(&r);
}

/*
 * The results of some opcodes for an SQE whose only fault is a file descriptor
 * of -1, or a target that does not exist. Of another opcode that QUERY reports,
 * only this is known: the result is not EOPNOTSUPP. An opcode that QUERY does
 * not report gives EOPNOTSUPP or EINVAL. The ring has no SQEs of 128 bytes.
 */
static const struct answer {
	unsigned char op;
	int res;
	unsigned int len;
} answers[] = {
	{ IOURING2_OP_NOP,		0,	  0 },
	{ IOURING2_OP_READV,		-EBADF,	  0 },
	{ IOURING2_OP_WRITEV,		-EBADF,	  0 },
	{ IOURING2_OP_FSYNC,		-EBADF,	  0 },
	{ IOURING2_OP_POLL_ADD,		-EBADF,	  0 },
	{ IOURING2_OP_POLL_REMOVE,	-ENOENT,  0 },
	{ IOURING2_OP_TIMEOUT,		-ETIME,	  1 },
	{ IOURING2_OP_TIMEOUT_REMOVE,	-ENOENT,  0 },
	{ IOURING2_OP_ASYNC_CANCEL,	-ENOENT,  0 },
	{ IOURING2_OP_READ,		-EBADF,	  0 },
	{ IOURING2_OP_WRITE,		-EBADF,	  0 },
	{ IOURING2_OP_NOP128,		-EINVAL,  0 },
};

static const struct answer *answer(unsigned int op)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(answers); i++)
		if (answers[i].op == op)
			return &answers[i];
	return NULL;
}

RING_TEST(opcodes_answer)
{
	struct __kernel_timespec ts = { .tv_nsec = 1 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct iouring2_query q;
	const struct answer *a;
	unsigned int op, async;
	bool supported;
	struct ring r;
	int ret, want;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (async = 0; async < 2; async++) {
		for (op = 0; op < 256; op++) {
			a = answer(op);
			supported = op < q.nr_ops && has_op(&q, op);
			EXPECT_TRUE(supported || !a) {
				TH_LOG("opcode %u: QUERY disagrees", op);
			}
			sqe = ring_sqe(&r);
			ASSERT_NE(NULL, sqe);
			sqe->opcode = op;
			sqe->user_data = 0x1000 + op;
			sqe->flags = async ? IOURING2_SQE_ASYNC : 0;
			if (a) {
				sqe->len = a->len;
				if (a->len)
					sqe->addr = (uintptr_t)&ts;
			}
			ret = ring_submit(&r);
			EXPECT_EQ(1, ret) {
				TH_LOG("opcode %u", op);
			}
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(0x1000 + op, cqe.user_data);
			EXPECT_EQ(0, cqe.flags);
			if (supported && !a) {
				EXPECT_NE(-EOPNOTSUPP, cqe.res) {
					TH_LOG("opcode %u", op);
				}
				continue;
			}
			want = a ? a->res :
			       op < q.nr_ops &&
			       op != IOURING2_OP_URING_CMD128 ? -EOPNOTSUPP :
								-EINVAL;
			EXPECT_EQ(want, cqe.res) {
				TH_LOG("opcode %u", op);
			}
		}
	}
	EXPECT_EQ(0, (int)ring_ready(&r));
	ring_exit(&r);
}

RING_TEST(sqe_flags_answer)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct iouring2_query q;
	struct ring r;
	int bit, fd, want;
	char c[4];

	ASSERT_EQ(0, dev_query(&q));
	fd = tmp_file(sizeof(c));
	ASSERT_LE(0, fd);
	for (bit = 0; bit < 8; bit++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		sqe = ring_sqe(&r);
		prep_read(sqe, fd, c, sizeof(c), 0);
		sqe->flags = 1 << bit;
		sqe->user_data = bit;
		EXPECT_EQ(1, ring_submit(&r));
		if (bit == IOURING2_SQE_FIXED_FILE_BIT)
			want = -EBADF;		/* no table registered */
		else if (bit == IOURING2_SQE_BUFFER_SELECT_BIT)
			want = q.sqe_flags >> bit & 1 ? -ENOBUFS : -EOPNOTSUPP;
		else if (q.sqe_flags >> bit & 1)
			want = sizeof(c);
		else
			want = -EINVAL;
		if (bit == IOURING2_SQE_CQE_SKIP_SUCCESS_BIT && want > 0) {
			/* The read posts no CQE; the NOP after it does */
			ASSERT_EQ(0, ring_nop(&r, 99));
			EXPECT_EQ(1, ring_submit(&r));
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(99, (int)cqe.user_data);
		} else {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(bit, (int)cqe.user_data);
			EXPECT_EQ(want, cqe.res) {
				TH_LOG("SQE flag bit %d", bit);
			}
		}
		ring_exit(&r);
	}
	close(fd);
}

/* Fields that READ and NOP do not use are refused or ignored as in io_uring */
RING_TEST(personality_unknown)
{
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_nop(sqe);
	sqe->personality = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	ring_exit(&r);
}

RING_TEST(ioprio_of_a_nop)
{
	struct iouring2_sqe *sqe;
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_nop(sqe);
	sqe->ioprio = 1;
	EXPECT_EQ(-EINVAL, ring_do(&r));
	ring_exit(&r);
}

/* The ring has no CQEs of 32 bytes, and nothing is registered */
RING_TEST(flags_of_a_nop)
{
	static const int known[] = { 7, -EBADF, 0, -EFAULT, 0, -EINVAL };
	struct iouring2_sqe *sqe;
	struct ring r;
	unsigned int bit;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		sqe->nop_flags = 1U << bit;
		sqe->len = 7;
		EXPECT_EQ(bit < ARRAY_SIZE(known) ? known[bit] : -EINVAL,
			  ring_do(&r)) {
			TH_LOG("bit %u", bit);
		}
	}
	ring_exit(&r);
}

/* --------------------------------------------------------- 32-bit callers */

#ifdef __x86_64__
/*
 * All that the 32-bit calls point to. It lies where a 32-bit pointer reaches.
 */
struct low {
	struct iouring2_query query;
	struct iouring2_setup setup;
	struct iouring2_enter enter;
	struct iouring2_register reg;
	struct iouring2_probe probe;
	struct iouring2_probe_op ops[4];
	struct { __u32 base, len; } iov[2];
	char data[8];
};

static long ioctl32(int fd, unsigned int cmd, const void *arg)
{
	long ret = 54;		/* ioctl, in the table of 32-bit calls */

	asm volatile("int $0x80" : "+a" (ret)
		     : "b" ((long)fd), "c" ((long)cmd),
		       "d" ((long)(uintptr_t)arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Return: 0, or the number of the step that failed */
static int as_32_bits(struct low *m)
{
	int dev = dev_open(), file = tmp_file(8), i;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r = { };

	if (dev < 0 || file < 0)
		return 1;
	if (ioctl32(dev, IOURING2_IOC_QUERY, &m->query) ||
	    m->query.abi_version != IOURING2_ABI_VERSION)
		return 2;
	m->setup.entries = 8;
	r.fd = ioctl32(dev, IOURING2_IOC_SETUP, &m->setup);
	if (r.fd < 0)
		return 3;
	r.setup = m->setup;
	if (ring_map(&r))
		return 4;
	m->reg.opcode = IOURING2_REGISTER_PROBE;
	m->reg.nr_args = ARRAY_SIZE(m->ops);
	m->reg.arg = (uintptr_t)&m->probe;
	if (ioctl32(r.fd, IOURING2_IOC_REGISTER, &m->reg) ||
	    m->probe.ops_len != ARRAY_SIZE(m->ops))
		return 5;
	/* Two buffers of 4 bytes, in iovecs of the 32-bit layout */
	m->iov[0].base = (uintptr_t)m->data;
	m->iov[1].base = m->iov[0].base + 4;
	m->iov[0].len = 4;
	m->iov[1].len = 4;
	sqe = ring_sqe(&r);
	prep(sqe, IOURING2_OP_READV, file, m->iov, 2, 0);
	ring_publish(&r);
	m->enter.to_submit = 1;
	m->enter.min_complete = 1;
	m->enter.flags = IOURING2_ENTER_GETEVENTS;
	if (ioctl32(r.fd, IOURING2_IOC_ENTER, &m->enter) != 1)
		return 6;
	if (!ring_peek(&r, &cqe) || cqe.res != 8)
		return 7;
	for (i = 0; i < 8; i++)
		if ((unsigned char)m->data[i] != pattern_byte(i))
			return 8;
	return 0;
}

RING_TEST(from_32_bits)
{
	struct low *m;
	int status;
	pid_t pid;

	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, m);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(as_32_bits(m));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	munmap(m, sizeof(*m));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		SKIP(return, "no 32-bit system calls");
	EXPECT_EQ(0, status) {
		TH_LOG("step %d failed", WEXITSTATUS(status));
	}
}
#endif

RING_TEST_MAIN
