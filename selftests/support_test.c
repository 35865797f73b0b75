// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module supports, asked of the module itself.
 *
 * The first part flips each bit of each field of a valid SQE, alone and in
 * pairs, for every opcode. The results must be those of the kernel's own
 * io_uring of 7.x, in the same boot. On other kernels, whose io_uring differs,
 * they must be those in sqe_rows.h, which were recorded on 7.x.
 *
 * The second part tries each opcode, flag, feature and register opcode. Whether
 * it works must be what QUERY and PROBE say.
 *
 * Both print lines: tools/support makes sqe_rows.h of those of the first part, and
 * compares those of the second part with results/support.tsv.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "sides.h"

#define BIT(n)		(1U << (n))

static struct utsname uts;

/* Does this kernel have the io_uring with which we compare? */
static bool is_reference(void)
{
	return !uname(&uts) && atoi(uts.release) >= 7;
}

static bool has_op(const struct iouring2_query *q, unsigned int op)
{
	return q->ops[op / 64] >> op % 64 & 1;
}

/* -------------------------------------------------------- either io_uring */

/* A ring of one of the two, which is made again after each request that stays */
struct tried {
	const struct side *side;
	struct ring r;
	bool open;
	bool big;	/* the SQEs have 128 bytes */
	__u64 id;	/* user_data of the last request */
};

/* The result of a request, and the flags of its CQE; or one of these results */
struct outcome {
	int res;
	unsigned int flags;
};

#define NEVER	(-5000)		/* no completion came */
#define SILENT	(-5001)		/* success, with CQE_SKIP_SUCCESS */
#define REFUSED	(-5002)		/* ENTER did not take it */

static int tried_open(struct tried *t)
{
	int ret;

	if (t->open)
		return 0;
	ret = t->side->setup(&t->r, 8, 0, t->big ? IOURING2_SETUP_SQE128 : 0);
	t->open = !ret;
	return ret;
}

static void tried_close(struct tried *t)
{
	if (t->open)
		ring_exit(&t->r);
	t->open = false;
}

static bool is_big(unsigned int op)
{
	return op == IOURING2_OP_NOP128 || op == IOURING2_OP_URING_CMD128;
}

static void tried_set_big(struct tried *t, bool big)
{
	if (t->big != big)
		tried_close(t);
	t->big = big;
}

static int tried_enter(struct tried *t, unsigned int submit, unsigned int wait)
{
	struct __kernel_timespec ts = { .tv_sec = 30 };
	struct iouring2_getevents_arg arg = { .ts = (uintptr_t)&ts };

	return t->side->enter(t->r.fd, submit, wait,
			      IOURING2_ENTER_GETEVENTS | IOURING2_ENTER_EXT_ARG,
			      &arg, sizeof(arg));
}

/*
 * Wait for the request @t->id, or for the one after it, which says that the
 * first one has ended without a CQE.
 */
static struct outcome tried_wait(struct tried *t)
{
	struct iouring2_cqe cqe;
	int ret;

	for (;;) {
		while (!ring_peek(&t->r, &cqe)) {
			ret = tried_enter(t, 0, 1);
			if (ret < 0 && ret != -EINTR)
				return (struct outcome) { NEVER };
		}
		if (cqe.user_data == t->id)
			return (struct outcome) { cqe.res, cqe.flags };
		if (cqe.user_data == t->id + 1)
			return (struct outcome) { SILENT };
	}
}

/* Execute one request. If nothing is left of it, the ring can be used again. */
static struct outcome tried_do(struct tried *t, const struct iouring2_sqe *sqe)
{
	bool silent = sqe->flags & IOURING2_SQE_CQE_SKIP_SUCCESS;
	struct outcome out = { REFUSED };
	struct iouring2_sqe *to;

	tried_set_big(t, is_big(sqe->opcode));
	if (tried_open(t))
		return out;
	t->id += 2;
	to = ring_sqe(&t->r);
	memcpy(to, sqe, sizeof(*to));
	to->user_data = t->id;
	if (silent) {
		to->flags |= IOURING2_SQE_IO_HARDLINK;
		ring_nop(&t->r, t->id + 1);
	}
	if (tried_enter(t, ring_publish(&t->r), 0) >= 1)
		out = tried_wait(t);
	/* io_uring remembers a CQE_SKIP_SUCCESS, and accepts no drain then */
	if (silent || out.res == NEVER || out.res == REFUSED ||
	    (out.flags & IOURING2_CQE_F_MORE))
		tried_close(t);
	return out;
}

/* ------------------------------------------------------------ the requests */

/*
 * Memory at addresses with one bit set, each with another one. So an address
 * with a flipped bit is in the same area, or nowhere.
 */
#define TIME	0x100000UL	/* zeros; as a number of nanoseconds: 1 ms */
#define BUFFER	0x10000000UL	/* data */
#define IOVECS	0x100000000UL	/* one iovec, and zeros */
#define NOBODY	0x10000000000UL	/* user_data that no request has */
#define AREA	0x10000UL

/*
 * Descriptors. A number with one bit flipped is not open, because the kernel
 * gives the lowest free numbers.
 */
enum { READ_FD = 0x300, WRITE_FD = 0x30f, EVENT_FD = 0x3c0 };

static int prepare(void)
{
	static const unsigned long areas[] = { TIME, BUFFER, IOVECS };
	struct iovec *iov = (void *)IOVECS;
	unsigned int i;
	int file, event;
	void *p;

	if (uname(&uts))
		return -errno;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		p = mmap((void *)areas[i], AREA, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (p == MAP_FAILED)
			return -errno;
	}
	memset((void *)BUFFER, 'b', AREA);
	iov->iov_base = (void *)BUFFER;
	iov->iov_len = 16;
	file = memfd_create("support", MFD_CLOEXEC);
	event = eventfd(1, EFD_CLOEXEC);
	if (file < 0 || event < 0 || write(file, (void *)BUFFER, 16) != 16 ||
	    dup3(file, READ_FD, O_CLOEXEC) < 0 ||
	    dup3(event, EVENT_FD, O_CLOEXEC) < 0)
		return -errno;
	close(file);
	close(event);
	file = memfd_create("written", MFD_CLOEXEC);
	if (file < 0 || dup3(file, WRITE_FD, O_CLOEXEC) < 0)
		return -errno;
	close(file);
	return 0;
}

static void clean_up(void)
{
	close(READ_FD);
	close(WRITE_FD);
	close(EVENT_FD);
}

/*
 * A valid SQE of each opcode, which completes soon whatever bit is flipped. An
 * opcode without a row gets an SQE of zeros, without a file.
 */
static const struct base {
	int op, fd;
	__u64 addr, off;
	__u32 len, op_flags;
} bases[] = {
	{ IOURING2_OP_NOP, -1 },
	{ IOURING2_OP_READ, READ_FD, BUFFER, 0, 16 },
	{ IOURING2_OP_WRITE, WRITE_FD, BUFFER, 0, 16 },
	{ IOURING2_OP_READV, READ_FD, IOVECS, 0, 1 },
	{ IOURING2_OP_WRITEV, WRITE_FD, IOVECS, 0, 1 },
	{ IOURING2_OP_FSYNC, READ_FD },
	/* two events, so that one remains */
	{ IOURING2_OP_POLL_ADD, EVENT_FD, 0, 0, 0, POLLIN | POLLOUT },
	{ IOURING2_OP_POLL_REMOVE, -1, NOBODY },
	/* one completion, so that a multishot ends */
	{ IOURING2_OP_TIMEOUT, -1, TIME, 1, 1 },
	{ IOURING2_OP_TIMEOUT_REMOVE, -1, NOBODY },
	{ IOURING2_OP_ASYNC_CANCEL, READ_FD, NOBODY },
};

static void prep_base(struct iouring2_sqe *sqe, unsigned int op)
{
	unsigned int i;

	prep(sqe, op, -1, NULL, 0, 0);
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		const struct base *b = &bases[i];

		if (b->op != (int)op)
			continue;
		prep(sqe, op, b->fd, (void *)b->addr, b->len, b->off);
		sqe->rw_flags = b->op_flags;
	}
}

/* The fields of an SQE but opcode and user_data */
static const struct field {
	const char *name;
	unsigned char offset, bits;
} fields[] = {
	{ "flags", 1, 8 },	/* the first one */
	{ "ioprio", 2, 16 },
	{ "fd", 4, 32 },
	{ "off", 8, 64 },
	{ "addr", 16, 64 },
	{ "len", 24, 32 },
	{ "op_flags", 28, 32 },
	{ "buf_index", 40, 16 },
	{ "personality", 42, 16 },
	{ "file_index", 44, 32 },
	{ "addr3", 48, 64 },
	{ "pad2", 56, 64 },
};

#define FLAGS		0
#define OP_FLAGS	6
#define PAD2		11

static void flip(struct iouring2_sqe *sqe, unsigned int field, unsigned int bit)
{
	((__u8 *)sqe)[fields[field].offset + bit / 8] ^= 1 << bit % 8;
}

/*
 * Does the result of a flipped bit depend on the kernel? Where it puts libraries
 * differs: User Mode Linux puts them low, and the address may be that of one. What
 * is read at an odd place as an iovec is a wild address with a length of 0, which
 * not all kernels refuse.
 */
static bool depends_on_kernel(unsigned int op, unsigned int field, unsigned int bit)
{
	struct iouring2_sqe sqe, base;
	unsigned char in_core;
	unsigned long addr;

	prep_base(&base, op);
	sqe = base;
	flip(&sqe, field, bit);
	if (sqe.addr != base.addr && bit < 3 &&
	    (op == IOURING2_OP_READV || op == IOURING2_OP_WRITEV))
		return true;
	addr = sqe.addr & ~4095UL;
	return sqe.addr != base.addr && (sqe.addr ^ base.addr) >= AREA &&
	       !mincore((void *)addr, 4096, &in_core);
}

/* -------------------------------------------------------------- exceptions */

#define ANY_OP		(-1)

/*
 * What io_uring has and the module lacks. Until it has it, the module refuses
 * these bits with a documented error. @has says that it has it now; without
 * @has, the result may be either.
 */
static bool has_buffers(const struct iouring2_query *q)
{
	return q->sqe_flags & IOURING2_SQE_BUFFER_SELECT;
}

static bool has_attributes(const struct iouring2_query *q)
{
	return q->features & IOURING2_FEAT_RW_ATTR;
}

static bool has_link_timeout(const struct iouring2_query *q)
{
	return has_op(q, IOURING2_OP_LINK_TIMEOUT);
}

static const struct lack {
	int op;
	unsigned int field;
	__u64 mask;
	int res;
	bool (*has)(const struct iouring2_query *q);
} lacks[] = {
	{ ANY_OP, FLAGS, IOURING2_SQE_BUFFER_SELECT, -EOPNOTSUPP, has_buffers },
	{ IOURING2_OP_READ, PAD2, IOURING2_RW_ATTR_FLAG_PI, -EINVAL,
	  has_attributes },
	{ IOURING2_OP_WRITE, PAD2, IOURING2_RW_ATTR_FLAG_PI, -EINVAL,
	  has_attributes },
	{ IOURING2_OP_READV, PAD2, IOURING2_RW_ATTR_FLAG_PI, -EINVAL,
	  has_attributes },
	{ IOURING2_OP_WRITEV, PAD2, IOURING2_RW_ATTR_FLAG_PI, -EINVAL,
	  has_attributes },
	{ IOURING2_OP_TIMEOUT_REMOVE, OP_FLAGS, IOURING2_LINK_TIMEOUT_UPDATE,
	  -EINVAL, has_link_timeout },
	{ IOURING2_OP_TIMEOUT, OP_FLAGS, IOURING2_TIMEOUT_IMMEDIATE_ARG,
	  -EINVAL },
};

static const struct lack *lack_of(const struct iouring2_query *q,
				  unsigned int op, unsigned int field,
				  unsigned int bit)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lacks); i++) {
		const struct lack *l = &lacks[i];

		if ((l->op == ANY_OP || l->op == (int)op) &&
		    l->field == field && l->mask >> bit & 1)
			return l->has && l->has(q) ? NULL : l;
	}
	return NULL;
}

/* The RWF flags are those that the kernel and the file system have */
static bool is_of_the_kernel(unsigned int op, unsigned int field)
{
	return field == OP_FLAGS &&
	       (op == IOURING2_OP_READ || op == IOURING2_OP_WRITE ||
		op == IOURING2_OP_READV || op == IOURING2_OP_WRITEV);
}

static bool same(struct outcome a, struct outcome b)
{
	return a.res == b.res && a.flags == b.flags;
}

/* Is this the result that the module must give, if io_uring gives @theirs? */
static bool is_right(const struct lack *l, struct outcome ours,
		     struct outcome theirs)
{
	if (l && same(ours, (struct outcome) { l->res }))
		return true;
	return !(l && l->has) && same(ours, theirs);
}

/* ------------------------------------------------------- recorded results */

/*
 * @res and @flags if one of the bits @mask of @field is flipped; with a @mask of
 * 0, those of the valid SQE, and if any other bit is flipped
 */
static const struct sqe_row {
	unsigned int op;
	const char *field;
	__u64 mask;
	int res;
	unsigned int flags;
} sqe_rows[] = {
#define ROW(op, field, mask, res, flags) { op, field, mask, res, flags },
#include "sqe_rows.h"
#undef ROW
	{ 256 }
};

/* Return: false if there is no row of the opcode */
static bool recorded_usual(unsigned int op, struct outcome *out)
{
	const struct sqe_row *row;

	for (row = sqe_rows; row->op < 256; row++) {
		if (row->op == op && !row->mask) {
			*out = (struct outcome) { row->res, row->flags };
			return true;
		}
	}
	return false;
}

/* Sets @out if there is a row of this bit */
static void recorded_bit(unsigned int op, unsigned int field, unsigned int bit,
			 struct outcome *out)
{
	const struct sqe_row *row;

	for (row = sqe_rows; row->op < 256; row++)
		if (row->op == op && row->mask >> bit & 1 &&
		    !strcmp(row->field, fields[field].name))
			*out = (struct outcome) { row->res, row->flags };
}

static void print_row(unsigned int op, const char *field, __u64 mask,
		      struct outcome out)
{
	printf("# sqe\t%s\t%u\t%s\t%#llx\t%d\t%#x\n", uts.release, op, field,
	       (unsigned long long)mask, out.res, out.flags);
}

/* Print the rows of one field: a row for each result other than @usual */
static void print_rows(unsigned int op, unsigned int field,
		       const struct outcome *out, struct outcome usual)
{
	__u64 mask, printed = 0;
	unsigned int i, j;

	for (i = 0; i < fields[field].bits; i++) {
		if ((printed >> i & 1) || same(out[i], usual))
			continue;
		for (mask = 0, j = i; j < fields[field].bits; j++)
			if (same(out[j], out[i]))
				mask |= 1ULL << j;
		printed |= mask;
		print_row(op, fields[field].name, mask, out[i]);
	}
}

/* --------------------------------------------------------- SQEs, bit by bit */

#define WHAT	"%s, bit %u of %s: %d with flags %#x, io_uring: %d with flags %#x"

static const char *name_of(unsigned int op)
{
	const char *name = op_name(op);

	return name ? name : reason("opcode %u", op);
}

/* io_uring's results of one opcode, for each bit and for the valid SQE */
struct theirs {
	struct outcome usual, bit[ARRAY_SIZE(fields)][64];
};

static void ask_io_uring(struct tried *s, unsigned int op, struct theirs *t)
{
	struct iouring2_sqe sqe;
	unsigned int f, bit;

	prep_base(&sqe, op);
	t->usual = tried_do(s, &sqe);
	print_row(op, "usual", 0, t->usual);
	for (f = 0; f < ARRAY_SIZE(fields); f++) {
		for (bit = 0; bit < fields[f].bits; bit++) {
			prep_base(&sqe, op);
			flip(&sqe, f, bit);
			t->bit[f][bit] = tried_do(s, &sqe);
		}
		print_rows(op, f, t->bit[f], t->usual);
	}
}

static bool look_up(unsigned int op, struct theirs *t)
{
	unsigned int f, bit;

	if (!recorded_usual(op, &t->usual))
		return false;
	for (f = 0; f < ARRAY_SIZE(fields); f++) {
		for (bit = 0; bit < fields[f].bits; bit++) {
			t->bit[f][bit] = t->usual;
			recorded_bit(op, f, bit, &t->bit[f][bit]);
		}
	}
	return true;
}

static bool is_as_recorded(unsigned int op, const struct theirs *t)
{
	struct theirs before;
	unsigned int f, bit;

	if (!look_up(op, &before) || !same(before.usual, t->usual))
		return false;
	for (f = 0; f < ARRAY_SIZE(fields); f++)
		for (bit = 0; bit < fields[f].bits; bit++)
			if (!same(before.bit[f][bit], t->bit[f][bit]) &&
			    !depends_on_kernel(op, f, bit))
				return false;
	return true;
}

static void compare(struct __test_metadata *_metadata, struct tried *ours,
		    const struct iouring2_query *q, unsigned int op,
		    const struct theirs *t)
{
	struct iouring2_sqe sqe;
	struct outcome out;
	unsigned int f, bit;

	prep_base(&sqe, op);
	out = tried_do(ours, &sqe);
	EXPECT_TRUE(same(out, t->usual)) {
		TH_LOG("%s: %d with flags %#x, io_uring: %d with flags %#x",
		       name_of(op), out.res, out.flags, t->usual.res,
		       t->usual.flags);
	}
	for (f = 0; f < ARRAY_SIZE(fields); f++) {
		if (is_of_the_kernel(op, f) && !is_reference())
			continue;
		for (bit = 0; bit < fields[f].bits; bit++) {
			if (depends_on_kernel(op, f, bit))
				continue;
			prep_base(&sqe, op);
			flip(&sqe, f, bit);
			out = tried_do(ours, &sqe);
			EXPECT_TRUE(is_right(lack_of(q, op, f, bit), out,
					     t->bit[f][bit])) {
				TH_LOG(WHAT, name_of(op), bit, fields[f].name,
				       out.res, out.flags, t->bit[f][bit].res,
				       t->bit[f][bit].flags);
			}
		}
	}
}

/* See docs/testing.md */
#define RECORD	"Give the output of this test on 7.x to tools/support"

RING_TEST(each_bit)
{
	struct tried ours = { &module_side }, native = { &tree_side };
	struct iouring2_query q;
	static struct theirs t;
	bool live = is_reference();
	unsigned int op;

	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, prepare());
	if (live && tried_open(&native)) {
		TH_LOG("no io_uring: comparing with its recorded results");
		live = false;
	}
	for (op = 0; op < q.nr_ops; op++) {
		if (!has_op(&q, op))
			continue;
		if (live) {
			ask_io_uring(&native, op, &t);
			EXPECT_TRUE(is_as_recorded(op, &t)) {
				TH_LOG("%s: sqe_rows.h has other results. " RECORD,
				       name_of(op));
			}
		} else {
			EXPECT_TRUE(look_up(op, &t)) {
				TH_LOG("%s: sqe_rows.h has no results. " RECORD,
				       name_of(op));
				continue;
			}
		}
		compare(_metadata, &ours, &q, op, &t);
	}
	tried_close(&native);
	tried_close(&ours);
	clean_up();
}

/*
 * Which of two faults is found first decides between EINVAL, EOPNOTSUPP, EPERM
 * and EFAULT. Each pair of SQE flags and of lowest bits of the fields is tried.
 */
#define NR_UNITS	(8 + ARRAY_SIZE(fields) - 1)

static unsigned int unit_field(unsigned int unit)
{
	return unit < 8 ? FLAGS : unit - 7;
}

static unsigned int unit_bit(unsigned int unit)
{
	return unit < 8 ? unit : 0;
}

/* io_uring refuses a drain on a ring that has seen CQE_SKIP_SUCCESS */
static bool is_ours_alone(const struct iouring2_sqe *sqe)
{
	const unsigned int both = IOURING2_SQE_IO_DRAIN |
				  IOURING2_SQE_CQE_SKIP_SUCCESS;

	return (sqe->flags & both) == both;
}

RING_TEST(pairs_of_bits)
{
	struct tried ours = { &module_side }, native = { &tree_side };
	struct outcome a, b;
	struct iouring2_query q;
	struct iouring2_sqe sqe;
	unsigned int op, i, j;

	if (!is_reference() || tried_open(&native))
		SKIP(return, "no io_uring of 7.x to compare with");
	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, prepare());
	for (op = 0; op < q.nr_ops; op++) {
		for (i = 0; i < NR_UNITS && has_op(&q, op); i++) {
			if (lack_of(&q, op, unit_field(i), unit_bit(i)))
				continue;
			for (j = 0; j < i; j++) {
				if (lack_of(&q, op, unit_field(j), unit_bit(j)))
					continue;
				prep_base(&sqe, op);
				flip(&sqe, unit_field(i), unit_bit(i));
				flip(&sqe, unit_field(j), unit_bit(j));
				a = tried_do(&ours, &sqe);
				b = tried_do(&native, &sqe);
				if (is_ours_alone(&sqe)) {
					EXPECT_NE(-EOPNOTSUPP, a.res);
					EXPECT_EQ(-EOPNOTSUPP, b.res);
					continue;
				}
				EXPECT_TRUE(same(a, b)) {
					TH_LOG(WHAT " (and bit %u of %s)",
					       name_of(op), unit_bit(i),
					       fields[unit_field(i)].name,
					       a.res, a.flags, b.res, b.flags,
					       unit_bit(j),
					       fields[unit_field(j)].name);
				}
			}
		}
	}
	tried_close(&native);
	tried_close(&ours);
	clean_up();
}

/* An opcode that is not supported is refused, whatever the SQE says */
RING_TEST(opcodes_refused)
{
	struct tried ours = { &module_side };
	struct iouring2_query q;
	struct iouring2_sqe sqe;
	struct outcome out;
	unsigned int op, i;
	int want;

	ASSERT_EQ(0, dev_query(&q));
	for (op = 0; op < 256; op++) {
		if (op < q.nr_ops && has_op(&q, op))
			continue;
		for (i = 0; i < NR_UNITS; i++) {
			prep_base(&sqe, op);
			flip(&sqe, unit_field(i), unit_bit(i));
			want = op >= q.nr_ops || sqe.flags & 0x80 ?
			       -EINVAL : -EOPNOTSUPP;
			out = tried_do(&ours, &sqe);
			EXPECT_EQ(want, out.res) {
				TH_LOG("opcode %u, bit %u of %s", op,
				       unit_bit(i), fields[unit_field(i)].name);
			}
		}
	}
	tried_close(&ours);
}

/* ----------------------------------------------------------- what works */

/* Print a line for tools/support. @err: why it does not work; 0: it works */
static void answer(const char *kind, unsigned int number, int err)
{
	printf("# support\t%s\t%s\t%u\t%d\n", uts.release, kind, number, err);
}

/* Return: IOURING2_OP_SUPPORTED or 0, or -errno */
static int probe(unsigned int op)
{
	char buf[sizeof(struct iouring2_probe) +
		 256 * sizeof(struct iouring2_probe_op)] = { };
	struct iouring2_probe *p = (void *)buf;
	struct ring r;
	int ret;

	ret = ring_init(&r, 8, 0);
	if (ret)
		return ret;
	ret = module_register(r.fd, IOURING2_REGISTER_PROBE, buf, 256);
	if (!ret && op < p->ops_len)
		ret = p->ops[op].flags & IOURING2_OP_SUPPORTED;
	ring_exit(&r);
	return ret;
}

RING_TEST(opcodes)
{
	struct tried ours = { &module_side };
	struct iouring2_query q;
	struct iouring2_sqe sqe;
	struct outcome out;
	unsigned int op;

	uname(&uts);
	ASSERT_EQ(0, dev_query(&q));
	for (op = 0; op < q.nr_ops; op++) {
		prep(&sqe, op, -1, NULL, 0, 0);
		out = tried_do(&ours, &sqe);
		EXPECT_EQ(has_op(&q, op), out.res != -EOPNOTSUPP) {
			TH_LOG("%s: %d", name_of(op), out.res);
		}
		EXPECT_EQ(has_op(&q, op), probe(op)) {
			TH_LOG("%s: PROBE", name_of(op));
		}
		answer("opcode", op, has_op(&q, op) ? 0 : out.res);
	}
	tried_close(&ours);
}

/* What a set-up flag needs to work: other flags, and memory or another ring */
static unsigned int setup_needs(unsigned int flag)
{
	switch (flag) {
	case IOURING2_SETUP_SQ_AFF:
		return IOURING2_SETUP_SQPOLL;
	case IOURING2_SETUP_TASKRUN_FLAG:
		return IOURING2_SETUP_COOP_TASKRUN;
	case IOURING2_SETUP_DEFER_TASKRUN:
		return IOURING2_SETUP_SINGLE_ISSUER;
	case IOURING2_SETUP_REGISTERED_FD_ONLY:
		return IOURING2_SETUP_NO_MMAP;
	case IOURING2_SETUP_HYBRID_IOPOLL:
		return IOURING2_SETUP_IOPOLL;
	case IOURING2_SETUP_SQ_REWIND:
		return IOURING2_SETUP_NO_SQARRAY;
	default:
		return 0;
	}
}

/* Return: 0 or -errno */
static int try_setup(unsigned int flag, const struct ring *other, char *memory)
{
	struct iouring2_setup s = {
		.entries = 8,
		.params = {
			.flags = flag | setup_needs(flag),
			.cq_entries = 16,
			.wq_fd = other->fd,
		},
	};
	int fd;

	if (s.params.flags & IOURING2_SETUP_NO_MMAP) {
		s.params.cq_off.user_addr = (uintptr_t)memory;
		s.params.sq_off.user_addr = (uintptr_t)memory + 4096;
	}
	fd = dev_setup(&s);
	if (fd < 0)
		return fd;
	if (!(flag & IOURING2_SETUP_REGISTERED_FD_ONLY))
		close(fd);
	return 0;
}

RING_TEST(setup_flags)
{
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iouring2_query q;
	struct ring other;
	unsigned int bit;
	int ret;

	uname(&uts);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&other, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		ret = try_setup(BIT(bit), &other, memory);
		EXPECT_EQ(!!(q.setup_flags & BIT(bit)), !ret) {
			TH_LOG("set-up flag %#x: %d", BIT(bit), ret);
		}
		answer("setup", bit, ret);
	}
	EXPECT_EQ(0, (long)(q.setup_flags >> 32));
	ring_exit(&other);
	munmap(memory, 8192);
}

RING_TEST(features)
{
	struct iouring2_query q;
	unsigned int bit;
	struct ring r;

	uname(&uts);
	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	EXPECT_EQ((long)q.features, (long)r.setup.params.features);
	/* an errno would be wrong: a feature is only reported */
	for (bit = 0; bit < 32; bit++)
		answer("feature", bit, q.features & BIT(bit) ? 0 : -1000);
	ring_exit(&r);
}

/* ENTER that neither submits nor waits checks its flags only */
RING_TEST(enter_flags)
{
	struct iouring2_query q;
	unsigned int bit;
	struct ring r;
	int ret;

	uname(&uts);
	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (bit = 0; bit < 32; bit++) {
		ret = enter(r.fd, 0, 0, BIT(bit), NULL, 0);
		EXPECT_EQ(!!(q.enter_flags & BIT(bit)), ret != -EINVAL) {
			TH_LOG("ENTER flag %#x: %d", BIT(bit), ret);
		}
		answer("enter", bit, q.enter_flags & BIT(bit) ? 0 : ret);
	}
	EXPECT_EQ(0, (long)(q.enter_flags >> 32));
	ring_exit(&r);
}

/* Return: the result of a READ of a byte with this SQE flag */
static int try_sqe_flag(unsigned int flag, int fd)
{
	struct tried s = { &module_side };
	struct iouring2_sqe sqe;
	struct outcome out;
	char byte;

	if (tried_open(&s))
		return -EIO;
	/* a registered file, if the module has them */
	if (flag == IOURING2_SQE_FIXED_FILE) {
		module_register(s.r.fd, IOURING2_REGISTER_FILES, &fd, 1);
		fd = 0;
	}
	prep_read(&sqe, fd, &byte, 1, 0);
	sqe.flags = flag;
	out = tried_do(&s, &sqe);
	tried_close(&s);
	return out.res == SILENT ? 1 : out.res;
}

RING_TEST(sqe_flags)
{
	struct iouring2_query q;
	int fd = tmp_file(1), ret;
	bool works;
	unsigned int bit;

	uname(&uts);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dev_query(&q));
	for (bit = 0; bit < 8; bit++) {
		ret = try_sqe_flag(BIT(bit), fd);
		/* there is no group of buffers to take one from */
		works = ret == 1 || (ret == -ENOBUFS &&
				     BIT(bit) == IOURING2_SQE_BUFFER_SELECT);
		EXPECT_EQ(!!(q.sqe_flags & BIT(bit)), works) {
			TH_LOG("SQE flag %#x: %d", BIT(bit), ret);
		}
		answer("sqe", bit, works ? 0 : ret);
	}
	EXPECT_EQ(0, (long)(q.sqe_flags >> 8));
	close(fd);
}

/*
 * A register opcode exists if some argument gives another result than EINVAL, on
 * some ring. Some need a ring without SQEs, or what another register opcode
 * makes; but they say so with another errno.
 */
static int try_register_on(struct ring *r, unsigned int op, int efd, char *zeros)
{
	const struct {
		void *arg;
		unsigned int nr;
	} args[] = {
		{ NULL, 0 }, { NULL, 1 }, { zeros, 0 }, { zeros, 1 },
		{ zeros, 2 }, { zeros, 16 }, { &efd, 1 }, { (void *)-4096, 1 },
		{ (void *)-4096, 0 },
	};
	unsigned int i;
	int ret = -EINVAL;

	for (i = 0; i < ARRAY_SIZE(args) && ret == -EINVAL; i++) {
		memset(zeros, 0, 4096);
		ret = module_register(r->fd, op, args[i].arg, args[i].nr);
	}
	return ret == -EINVAL ? ret : 0;
}

/* Return: 0 if the register opcode exists; otherwise -errno */
static int try_register(const struct iouring2_query *q, unsigned int op,
			int efd, char *zeros)
{
	static const unsigned int flags[] = {
		0,
		IOURING2_SETUP_R_DISABLED,
		IOURING2_SETUP_SINGLE_ISSUER | IOURING2_SETUP_DEFER_TASKRUN,
	};
	int ret = -EINVAL;
	unsigned int i;
	struct ring r;

	for (i = 0; i < ARRAY_SIZE(flags) && ret == -EINVAL; i++) {
		if (flags[i] & ~q->setup_flags)
			continue;
		ret = ring_init_params(&r, 8, 0, flags[i], 0);
		if (ret)
			return ret;
		ret = try_register_on(&r, op, efd, zeros);
		ring_exit(&r);
	}
	return ret;
}

RING_TEST(register_opcodes)
{
	char *zeros = aligned_alloc(4096, 4096);
	int efd = eventfd(0, EFD_CLOEXEC), ret;
	struct iouring2_query q;
	unsigned int op;
	bool works;

	uname(&uts);
	ASSERT_NE(NULL, zeros);
	ASSERT_EQ(0, dev_query(&q));
	for (op = 0; op < 128; op++) {
		works = q.register_ops[op / 64] >> op % 64 & 1;
		ret = try_register(&q, op, efd, zeros);
		EXPECT_EQ(works, !ret) {
			TH_LOG("register opcode %u: %d", op, ret);
		}
		if (op < IOURING2_REGISTER_LAST)
			answer("register", op, ret);
		else
			EXPECT_FALSE(works);
	}
	/* the flag, with an opcode that works */
	ret = try_register(&q, IOURING2_REGISTER_USE_REGISTERED_RING |
			       IOURING2_REGISTER_PROBE, efd, zeros);
	answer("register", IOURING2_REGISTER_USE_REGISTERED_RING, ret);
	free(zeros);
	close(efd);
}

RING_TEST_MAIN
