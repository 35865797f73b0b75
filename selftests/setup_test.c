// SPDX-License-Identifier: GPL-2.0-only
/*
 * SETUP and QUERY: every invalid value has its errno and no other effect, and
 * every valid value has the effect that was asked for.
 *
 * The test checks I7 from user space: after an error there is no descriptor,
 * charge or object left, and the caller's struct is unchanged. It also checks
 * the limits of I5, and that SETUP accepts a flag only if QUERY names it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define BAD_ADDR	((void *)-4096L)

static struct iouring2_setup plain(unsigned int entries)
{
	struct iouring2_setup s;

	memset(&s, 0, sizeof(s));
	s.entries = entries;
	return s;
}

/* The number of an ioctl with an argument of @size bytes instead of @cmd's */
static unsigned long sized(unsigned long cmd, unsigned int size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

static int xioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* -------------------------------------------------------- what is granted */

static const struct size_row {
	unsigned int entries, cq, flags;	/* arguments; cq 0: no CQSIZE */
	unsigned int sq_got, cq_got;
} size_rows[] = {
	{     1,	0, 0,				  1,	    2 },
	{     2,	0, 0,				  2,	    4 },
	{     3,	0, 0,				  4,	    8 },
	{     5,	0, 0,				  8,	   16 },
	{   100,	0, 0,				128,	  256 },
	{  3341,	0, 0,			       4096,	 8192 },
	{  4096,	0, 0,			       4096,	 8192 },
	{ 32767,	0, 0,			      32768,	65536 },
	{ 32768,	0, 0,			      32768,	65536 },
	{     1,	1, 0,				  1,	    1 },
	{     1,	3, 0,				  1,	    4 },
	{     4,	3, 0,				  4,	    4 },
	{     3,	4, 0,				  4,	    4 },
	{     8,    65536, 0,				  8,	65536 },
	{     8,    40000, 0,				  8,	65536 },
	{ 32768,    65536, 0,			      32768,	65536 },
	{ 32769,	0, IOURING2_SETUP_CLAMP,      32768,	65536 },
	{ UINT_MAX,	0, IOURING2_SETUP_CLAMP,      32768,	65536 },
	{     8,    65537, IOURING2_SETUP_CLAMP,	  8,	65536 },
	{     8, UINT_MAX, IOURING2_SETUP_CLAMP,	  8,	65536 },
	{     5,	0, IOURING2_SETUP_CLAMP,	  8,	   16 },
	{     8,	0, IOURING2_SETUP_NO_SQARRAY,	  8,	   16 },
	{     8,	0, IOURING2_SETUP_SUBMIT_ALL,	  8,	   16 },
	{     8,	0, IOURING2_SETUP_COOP_TASKRUN,	  8,	   16 },
	{     1,	1, IOURING2_SETUP_CQE32,	  1,	    1 },
	{     8,	0, IOURING2_SETUP_CQE32,	  8,	   16 },
	{   100,	0, IOURING2_SETUP_CQE32,	128,	  256 },
	{     8,    65536, IOURING2_SETUP_CQE32,	  8,	65536 },
	{     1,	0, IOURING2_SETUP_CQE_MIXED,	  1,	    2 },
	{   100,	0, IOURING2_SETUP_CQE_MIXED,	128,	  256 },
	{     1,	0, IOURING2_SETUP_SQE128,	  1,	    2 },
	{   100,	0, IOURING2_SETUP_SQE128,	128,	  256 },
	{ 32768,	0, IOURING2_SETUP_SQE128,     32768,	65536 },
	{     2,	0, IOURING2_SETUP_SQE_MIXED,	  2,	    4 },
	{   100,	0, IOURING2_SETUP_SQE_MIXED,	128,	  256 },
	{     8,	0, IOURING2_SETUP_SINGLE_ISSUER,  8,	   16 },
};

/* Do two ranges of the mapping, in bytes, overlap? */
static bool overlap(size_t a, size_t alen, size_t b, size_t blen)
{
	return a < b + blen && b < a + alen;
}

RING_TEST(sizes_granted)
{
	const struct iouring2_params *p;
	const struct size_row *row;
	struct ring r;
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(size_rows); i++) {
		row = &size_rows[i];
		ASSERT_EQ(0, ring_init_params(&r, row->entries, row->cq,
					      row->flags, 0)) {
			TH_LOG("row %u", i);
		}
		p = &r.setup.params;
		EXPECT_EQ(row->sq_got, p->sq_entries) {
			TH_LOG("row %u", i);
		}
		EXPECT_EQ(row->cq_got, p->cq_entries) {
			TH_LOG("row %u", i);
		}
		/* The rings have the same values, and are empty */
		EXPECT_EQ(p->sq_entries, *r.sq_entries);
		EXPECT_EQ(p->sq_entries - 1, *r.sq_mask);
		EXPECT_EQ(p->cq_entries, *r.cq_entries);
		EXPECT_EQ(p->cq_entries - 1, *r.cq_mask);
		EXPECT_EQ(0, (int)*r.sq_head);
		EXPECT_EQ(0, (int)*r.sq_tail);
		EXPECT_EQ(0, (int)*r.sq_flags);
		EXPECT_EQ(0, (int)*r.sq_dropped);
		EXPECT_EQ(0, (int)*r.cq_head);
		EXPECT_EQ(0, (int)*r.cq_tail);
		EXPECT_EQ(0, (int)*r.cq_flags);
		EXPECT_EQ(0, (int)*r.cq_overflow);

		/* The input fields are unchanged */
		EXPECT_EQ(row->entries, r.setup.entries);
		EXPECT_EQ(row->flags, p->flags & ~IOURING2_SETUP_CQSIZE);
		EXPECT_EQ(module_param("inflight_default"),
			  (long)r.setup.max_inflight);

		/* Each field is aligned, and no field overlaps another */
		const struct {
			size_t at, len;
		} f[] = {
			{ p->sq_off.head, 4 }, { p->sq_off.tail, 4 },
			{ p->sq_off.ring_mask, 4 },
			{ p->sq_off.ring_entries, 4 },
			{ p->sq_off.flags, 4 }, { p->sq_off.dropped, 4 },
			{ p->cq_off.head, 4 }, { p->cq_off.tail, 4 },
			{ p->cq_off.ring_mask, 4 },
			{ p->cq_off.ring_entries, 4 },
			{ p->cq_off.flags, 4 }, { p->cq_off.overflow, 4 },
			{ p->cq_off.cqes, p->cq_entries * cqe_size(p) },
			{ p->sq_off.array, p->sq_entries * 4 },
		};
		for (j = 0; j < ARRAY_SIZE(f); j++) {
			bool array = j == ARRAY_SIZE(f) - 1;

			if (array && !r.sq_array) {
				EXPECT_EQ(0, (int)p->sq_off.array);
				continue;
			}
			EXPECT_EQ(0, (int)(f[j].at % 4));
			for (k = 0; k < j; k++) {
				EXPECT_FALSE(overlap(f[j].at, f[j].len,
						     f[k].at, f[k].len)) {
					TH_LOG("row %u: %u on %u", i, j, k);
				}
			}
		}
		EXPECT_EQ(0, (int)(p->cq_off.cqes % cqe_size(p)));
		EXPECT_EQ(0, (int)p->sq_off.resv1);
		EXPECT_EQ(0, (int)p->cq_off.resv1);
		EXPECT_EQ(0, (long)p->sq_off.user_addr);
		EXPECT_EQ(0, (long)p->cq_off.user_addr);

		/* The first and the last entry can be used */
		for (j = 0; j < p->sq_entries; j++)
			ASSERT_EQ(0, ring_nop(&r, j));
		EXPECT_EQ(-EBUSY, ring_nop(&r, j));
		EXPECT_EQ((int)p->sq_entries, ring_submit(&r));
		EXPECT_EQ(p->sq_entries, ring_ready(&r));
		ring_exit(&r);
		ASSERT_STREQ("", state_diff(&self->before, true));
	}
}

RING_TEST(inputs_ignored)
{
	struct iouring2_setup s = plain(4);
	struct ring r;

	/*
	 * As in io_uring: output fields may have any value on entry, and a
	 * field is not read if its flag is not set
	 */
	s.params.sq_entries = 77;
	s.params.cq_entries = 12345;
	s.params.sq_thread_cpu = 9999;
	s.params.sq_thread_idle = 9999;
	s.params.wq_fd = -1;
	s.params.features = ~0;
	memset(&s.params.sq_off, 0xff, sizeof(s.params.sq_off));
	memset(&s.params.cq_off, 0xff, sizeof(s.params.cq_off));
	ASSERT_EQ(0, ring_init_setup(&r, &s));
	EXPECT_EQ(4, (int)r.setup.params.sq_entries);
	EXPECT_EQ(8, (int)r.setup.params.cq_entries);
	EXPECT_NE(~0U, r.setup.params.features);
	ring_exit(&r);
}

RING_TEST(descriptor)
{
	struct ring r;
	struct stat st;
	char c;

	ASSERT_EQ(0, ring_init(&r, 4, 0));
	EXPECT_EQ(FD_CLOEXEC, fcntl(r.fd, F_GETFD));
	EXPECT_EQ(O_RDWR, fcntl(r.fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(0, fstat(r.fd, &st));
	/* A ring has no other file operations */
	EXPECT_EQ(-1, read(r.fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(r.fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	ring_exit(&r);
}

RING_TEST(counters_rise)
{
	struct ring r[8];
	struct state one, s;
	unsigned int i;

	ASSERT_EQ(0, ring_init(&r[0], 8, 0));
	state_read(&one);
	EXPECT_EQ(self->before.counter[0] + 1, one.counter[0]);
	EXPECT_LT(self->before.counter[4], one.counter[4]);
	EXPECT_LT(self->before.refcnt, one.refcnt);
	for (i = 1; i < ARRAY_SIZE(r); i++)
		ASSERT_EQ(0, ring_init(&r[i], 8, 0));
	state_read(&s);
	EXPECT_EQ(self->before.counter[0] + (long)ARRAY_SIZE(r), s.counter[0]);
	/* Pages are counted, and each ring has the same number of them */
	EXPECT_EQ((one.counter[4] - self->before.counter[4]) *
		  (long)ARRAY_SIZE(r), s.counter[4] - self->before.counter[4]);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		ring_exit(&r[i]);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* ---------------------------------------------------------- what is refused */

#define AT(field)	offsetof(struct iouring2_setup, field)

RING_FIXTURE(bad_value) {
	size_t offset;		/* of a __u32 in struct iouring2_setup */
	unsigned int value;
	unsigned int flags;	/* params.flags to set as well */
};

FIXTURE_VARIANT_ADD(bad_value, entries_0) { AT(entries), 0, 0 };
FIXTURE_VARIANT_ADD(bad_value, entries_0_clamp) {
	AT(entries), 0, IOURING2_SETUP_CLAMP
};

FIXTURE_VARIANT_ADD(bad_value, entries_32769) { AT(entries), 32769, 0 };
FIXTURE_VARIANT_ADD(bad_value, entries_2_to_the_31) {
	AT(entries), 1U << 31, 0
};

FIXTURE_VARIANT_ADD(bad_value, entries_2_to_the_32_minus_1) {
	AT(entries), UINT_MAX, 0
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_0) {
	AT(params.cq_entries), 0, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_0_clamp) {
	AT(params.cq_entries), 0, IOURING2_SETUP_CQSIZE | IOURING2_SETUP_CLAMP
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_less_than_entries) {
	AT(params.cq_entries), 4, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_1) {
	AT(params.cq_entries), 1, IOURING2_SETUP_CQSIZE | IOURING2_SETUP_CLAMP
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_65537) {
	AT(params.cq_entries), 65537, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_2_to_the_31) {
	AT(params.cq_entries), 1U << 31, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_2_to_the_31_plus_1) {
	AT(params.cq_entries), (1U << 31) + 1, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, cq_entries_2_to_the_32_minus_1) {
	AT(params.cq_entries), UINT_MAX, IOURING2_SETUP_CQSIZE
};

FIXTURE_VARIANT_ADD(bad_value, flags) { AT(flags), 2, 0 };
FIXTURE_VARIANT_ADD(bad_value, flags_one_of_them_known) { AT(flags), 3, 0 };
FIXTURE_VARIANT_ADD(bad_value, flags_2_to_the_31) { AT(flags), 1U << 31, 0 };
FIXTURE_VARIANT_ADD(bad_value, resv_0) { AT(resv[0]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, resv_1) { AT(resv[1]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, resv_2) { AT(resv[2]), 1U << 31, 0 };
FIXTURE_VARIANT_ADD(bad_value, resv_3) { AT(resv[3]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, resv_4) { AT(resv[4]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, params_resv_0) { AT(params.resv[0]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, params_resv_1) { AT(params.resv[1]), 1, 0 };
FIXTURE_VARIANT_ADD(bad_value, params_resv_2) {
	AT(params.resv[2]), 1U << 31, 0
};

FIXTURE_VARIANT_ADD(bad_value, max_inflight_2_to_the_32_minus_1) {
	AT(max_inflight), UINT_MAX, 0
};

FIXTURE_VARIANT_ADD(bad_value, both_sizes_of_cqe) {
	AT(params.flags), IOURING2_SETUP_CQE32 | IOURING2_SETUP_CQE_MIXED, 0
};

FIXTURE_VARIANT_ADD(bad_value, both_sizes_of_sqe) {
	AT(params.flags), IOURING2_SETUP_SQE128 | IOURING2_SETUP_SQE_MIXED, 0
};

TEST_F_TIMEOUT(bad_value, values_refused, LIMIT)
{
	struct iouring2_setup s = plain(8), was;

	s.params.flags = variant->flags;
	memcpy((char *)&s + variant->offset, &variant->value, 4);
	was = s;
	EXPECT_EQ(-EINVAL, dev_setup(&s));
	/* nothing is written to the caller's struct */
	EXPECT_EQ(0, memcmp(&s, &was, sizeof(s)));
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* An entry of twice the size would never fit */
RING_TEST(mixed_needs_two)
{
	static const unsigned int flags[] = {
		IOURING2_SETUP_CQE_MIXED | IOURING2_SETUP_CQSIZE,
		IOURING2_SETUP_SQE_MIXED,
	};
	struct iouring2_setup s, was;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		s = plain(1);
		s.params.flags = flags[i];
		s.params.cq_entries = 1;
		was = s;
		EXPECT_EQ(-EOVERFLOW, dev_setup(&s)) {
			TH_LOG("flags %#x", flags[i]);
		}
		EXPECT_EQ(0, memcmp(&s, &was, sizeof(s)));
	}
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* The flags without which a flag is refused */
static unsigned int flag_needs(unsigned int flag)
{
	switch (flag) {
	case IOURING2_SETUP_SQ_REWIND:
		return IOURING2_SETUP_NO_SQARRAY;
	case IOURING2_SETUP_TASKRUN_FLAG:
		return IOURING2_SETUP_COOP_TASKRUN;
	case IOURING2_SETUP_DEFER_TASKRUN:
		return IOURING2_SETUP_SINGLE_ISSUER;
	default:
		return 0;
	}
}

/*
 * Each flag is accepted if and only if QUERY names it, alone or with the flags
 * that it needs
 */
RING_TEST(flags_bit_by_bit)
{
	struct iouring2_setup s, was;
	struct iouring2_query q;
	unsigned int needs;
	int bit, fd;

	ASSERT_EQ(0, dev_query(&q));
	EXPECT_EQ(0, (long)(q.setup_flags >> 32));
	for (bit = 0; bit < 32; bit++) {
		needs = flag_needs(1U << bit);
		if (needs) {
			s = plain(8);
			s.params.flags = 1U << bit;
			EXPECT_EQ(-EINVAL, dev_setup(&s)) {
				TH_LOG("flag bit %d alone", bit);
			}
		}
		s = plain(8);
		s.params.flags = 1U << bit | needs;
		s.params.cq_entries = 32;
		was = s;
		fd = dev_setup(&s);
		if (1U << bit == IOURING2_SETUP_NO_MMAP) {
			/* There is no memory at address 0 */
			EXPECT_EQ(-EFAULT, fd);
		} else if (q.setup_flags >> bit & 1) {
			EXPECT_LE(0, fd) {
				TH_LOG("flag bit %d", bit);
			}
			EXPECT_EQ(bit == 3 ? 32 : 16, (int)s.params.cq_entries);
			EXPECT_EQ(1U << bit | needs, s.params.flags);
			close(fd);
		} else {
			EXPECT_EQ(-EINVAL, fd) {
				TH_LOG("flag bit %d", bit);
			}
			EXPECT_EQ(0, memcmp(&s, &was, sizeof(s)));
		}
		/* An unknown flag is rejected even beside a known one */
		if (!(q.setup_flags >> bit & 1)) {
			s = plain(8);
			s.params.flags = 1U << bit | IOURING2_SETUP_CLAMP |
					 IOURING2_SETUP_SUBMIT_ALL;
			EXPECT_EQ(-EINVAL, dev_setup(&s));
		}
		ASSERT_STREQ("", state_diff(&self->before, true));
	}
	EXPECT_EQ(0, (long)(q.ring_flags >> 32));
	for (bit = 0; bit < 32; bit++) {
		s = plain(8);
		s.flags = 1U << bit;
		fd = dev_setup(&s);
		if (q.ring_flags >> bit & 1) {
			EXPECT_LE(0, fd);
			EXPECT_EQ(1U << bit, s.flags);
			close(fd);
		} else {
			EXPECT_EQ(-EINVAL, fd);
		}
	}
}

RING_TEST(max_inflight)
{
	long def = module_param("inflight_default");
	long max = module_param("inflight_max");
	struct iouring2_setup s;
	struct iouring2_query q;
	const struct {
		long ask, got;
	} rows[] = {
		{ 0, def }, { 1, 1 }, { 7, 7 }, { 4096, 4096 }, { max, max },
		{ max + 1, -EINVAL },
	};
	unsigned int i;
	int fd;

	ASSERT_LT(0, def);
	ASSERT_LE(def, max);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		s = plain(8);
		s.max_inflight = rows[i].ask;
		fd = dev_setup(&s);
		if (rows[i].got < 0) {
			EXPECT_EQ(rows[i].got, fd);
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_EQ(rows[i].got, (long)s.max_inflight);
		EXPECT_EQ(rows[i].got, fdinfo(fd, "InflightMax"));
		close(fd);
	}

	/* The module parameters take effect at the next SETUP */
	if (module_param_set("inflight_default", 99) < 0)
		SKIP(return, "parameters not writable");
	EXPECT_EQ(0, dev_query(&q));
	EXPECT_EQ(99, (int)q.inflight_default);
	s = plain(8);
	fd = dev_setup(&s);
	EXPECT_LE(0, fd);
	EXPECT_EQ(99, (int)s.max_inflight);
	close(fd);
	/* The limit is at least 1: a ring with a limit of 0 would be useless */
	EXPECT_EQ(0, module_param_set("inflight_default", 0));
	s = plain(8);
	fd = dev_setup(&s);
	EXPECT_LE(0, fd);
	EXPECT_EQ(1, (int)s.max_inflight);
	close(fd);
	EXPECT_EQ(0, module_param_set("inflight_default", def));

	EXPECT_EQ(0, module_param_set("inflight_max", def));
	s = plain(8);
	s.max_inflight = def + 1;
	EXPECT_EQ(-EINVAL, dev_setup(&s));
	EXPECT_EQ(0, module_param_set("inflight_max", max));
}

/* ------------------------------------------------------- struct versions */

static const struct version_row {
	const char *name;
	unsigned long cmd;
	unsigned int size;
	bool ring;
} version_rows[] = {
	{ "QUERY", IOURING2_IOC_QUERY, sizeof(struct iouring2_query), false },
	{ "SETUP", IOURING2_IOC_SETUP, sizeof(struct iouring2_setup), false },
	{ "ENTER", IOURING2_IOC_ENTER, sizeof(struct iouring2_enter), true },
	{ "REGISTER", IOURING2_IOC_REGISTER, sizeof(struct iouring2_register),
	  true },
	{ "REGISTER on the device", IOURING2_IOC_REGISTER,
	  sizeof(struct iouring2_register), false },
};

/* Make @buf a valid argument. Some calls then return a new descriptor. */
static void good_arg(const struct version_row *v, void *buf, void *probe)
{
	memset(buf, 0, v->size);
	if (v->cmd == IOURING2_IOC_SETUP) {
		struct iouring2_setup *s = buf;

		s->entries = 4;
	} else if (v->cmd == IOURING2_IOC_REGISTER) {
		struct iouring2_register *reg = buf;

		memset(probe, 0, sizeof(struct iouring2_probe));
		/* an empty list of queries needs no ring */
		reg->opcode = v->ring ? IOURING2_REGISTER_PROBE :
					IOURING2_REGISTER_QUERY;
		reg->arg = v->ring ? (uintptr_t)probe : 0;
	}
}

RING_FIXTURE(version) {
	const struct version_row *of;
};

FIXTURE_VARIANT_ADD(version, query) { &version_rows[0] };
FIXTURE_VARIANT_ADD(version, setup) { &version_rows[1] };
FIXTURE_VARIANT_ADD(version, enter) { &version_rows[2] };
FIXTURE_VARIANT_ADD(version, register) { &version_rows[3] };
FIXTURE_VARIANT_ADD(version, register_on_device) { &version_rows[4] };

TEST_F_TIMEOUT(version, struct_sizes, LIMIT)
{
	struct iouring2_probe probe;
	const struct version_row *v = variant->of;
	static const unsigned int more[] = { 1, 4, 8, 64, 4096, 8192 };
	struct ring r;
	unsigned int i, size;
	char *page, *end, *at;
	int dev, fd, ret;

	dev = dev_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	page = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	end = page + 7 * 4096;
	ASSERT_EQ(0, mprotect(end, 4096, PROT_NONE));

	fd = v->ring ? r.fd : dev;

	/* Each size smaller than the first version of the struct */
	for (size = 0; size < v->size; size++) {
		good_arg(v, page, &probe);
		EXPECT_EQ(-EINVAL, xioctl(fd, sized(v->cmd, size),
					  page)) {
			TH_LOG("%u bytes", size);
		}
	}
	/* Exactly the size of the struct, with no memory behind it */
	at = end - v->size;
	good_arg(v, at, &probe);
	ret = xioctl(fd, v->cmd, at);
	EXPECT_LE(0, ret) {
		TH_LOG("at the end of the mapping: %d", ret);
	}
	if (v->cmd == IOURING2_IOC_SETUP)
		close(ret);
	/* The last byte of the struct is not accessible */
	good_arg(v, page, &probe);
	memcpy(at + 1, page, v->size - 1);
	EXPECT_EQ(-EFAULT, xioctl(fd, v->cmd, at + 1));
	EXPECT_EQ(-EFAULT, xioctl(fd, v->cmd, NULL));
	EXPECT_EQ(-EFAULT, xioctl(fd, v->cmd, BAD_ADDR));
	EXPECT_EQ(-EFAULT, xioctl(fd, v->cmd, end));

	/*
	 * A larger struct, of a later header, is valid only if the unknown part
	 * is 0
	 */
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		size = v->size + more[i];
		memset(page, 0, 4 * 4096);
		good_arg(v, page, &probe);
		memset(page + size, 0x5a, 64);
		ret = xioctl(fd, sized(v->cmd, size), page);
		EXPECT_LE(0, ret) {
			TH_LOG("%u bytes: %d", size, ret);
		}
		if (v->cmd == IOURING2_IOC_SETUP)
			close(ret);
		/* Nothing is written to the unknown part */
		for (ret = v->size; ret < (int)size; ret++)
			ASSERT_EQ(0, page[ret]);
		EXPECT_EQ(0x5a, page[size]);

		/* A value in the last or the first byte of the unknown part */
		good_arg(v, page, &probe);
		page[size - 1] = 1;
		EXPECT_EQ(-E2BIG, xioctl(fd, sized(v->cmd, size),
					 page)) {
			TH_LOG("%u bytes", size);
		}
		page[size - 1] = 0;
		good_arg(v, page, &probe);
		page[v->size] = 1;
		EXPECT_EQ(-E2BIG, xioctl(fd, sized(v->cmd, size),
					 page)) {
			TH_LOG("%u bytes", size);
		}
		/* The unknown part cannot be read */
		good_arg(v, at, &probe);
		EXPECT_EQ(-EFAULT, xioctl(fd, sized(v->cmd, size), at));
	}
	munmap(page, 8 * 4096);
	close(dev);
	ring_exit(&r);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* The result cannot be written: there must be no new ring either */
RING_TEST(copy_out_fails)
{
	struct iouring2_setup *s, was = plain(8);
	struct iouring2_query *q;
	int dev = dev_open();

	ASSERT_LE(0, dev);
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	q = (void *)((char *)s + 2048);
	*s = was;
	ASSERT_EQ(0, mprotect(s, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, xioctl(dev, IOURING2_IOC_SETUP, s));
	EXPECT_EQ(-EFAULT, xioctl(dev, IOURING2_IOC_QUERY, q));
	EXPECT_EQ(0, memcmp(s, &was, sizeof(was)));
	munmap(s, 4096);
	close(dev);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

RING_TEST(query_refused)
{
	struct iouring2_query q;
	unsigned int i;
	int dev = dev_open();

	ASSERT_LE(0, dev);
	for (i = 0; i < sizeof(q); i++) {
		memset(&q, 0, sizeof(q));
		((char *)&q)[i] = 1;
		EXPECT_EQ(-EINVAL, xioctl(dev, IOURING2_IOC_QUERY, &q)) {
			TH_LOG("byte %u", i);
		}
	}
	close(dev);
}

/* ------------------------------------------------- ioctls that are not there */

RING_TEST(no_such_ioctl)
{
	char buf[16384] = { };
	struct iouring2_setup *s = (void *)buf;
	unsigned int dir, i, j;
	unsigned long cmd;
	struct ring r;
	int dev, on_ring, fd;

	dev = dev_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, ring_init(&r, 4, 0));
	s->entries = 4;
	for (on_ring = 0; on_ring < 2; on_ring++) {
		fd = on_ring ? r.fd : dev;
		for (i = 0; i < ARRAY_SIZE(version_rows); i++) {
			cmd = version_rows[i].cmd;
			/* An ioctl of the other kind of file; REGISTER has both */
			if (version_rows[i].ring != on_ring &&
			    cmd != IOURING2_IOC_REGISTER) {
				EXPECT_EQ(-ENOTTY, xioctl(fd, cmd, buf)) {
					TH_LOG("%s", version_rows[i].name);
				}
			}
			for (dir = 0; dir < 4; dir++) {
				if (dir == _IOC_DIR(cmd))
					continue;
				EXPECT_EQ(-ENOTTY,
					  xioctl(fd, _IOC(dir, _IOC_TYPE(cmd),
							  _IOC_NR(cmd),
							  _IOC_SIZE(cmd)),
						 buf)) {
					TH_LOG("%s, direction %u",
					       version_rows[i].name, dir);
				}
			}
			/* An ioctl number of another driver */
			EXPECT_EQ(-ENOTTY,
				  xioctl(fd, _IOC(_IOC_DIR(cmd), 0xba,
						  _IOC_NR(cmd), _IOC_SIZE(cmd)),
					 buf));
		}
		for (j = 4; j < 256; j++) {
			EXPECT_EQ(-ENOTTY, xioctl(fd, _IOWR(0xbb, j, __u64),
						  buf));
			EXPECT_EQ(-ENOTTY, xioctl(fd, _IOW(0xbb, j, __u64),
						  buf));
			EXPECT_EQ(-ENOTTY, xioctl(fd, _IO(0xbb, j), buf));
		}
	}
	close(dev);
	ring_exit(&r);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* ---------------------------------------------------- the system refuses */

RING_TEST(descriptors_exhausted)
{
	struct rlimit old, lim;
	struct iouring2_setup s, was;
	int dev, fds[4], i;

	dev = dev_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	/* Leave room for no descriptor, for one, for two, and so on */
	for (i = 0; i < 4; i++) {
		int n;

		lim = old;
		lim.rlim_cur = dev + 1 + i;
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lim));
		for (n = 0; n < i; n++) {
			s = plain(8);
			fds[n] = xioctl(dev, IOURING2_IOC_SETUP, &s);
			EXPECT_LE(0, fds[n]);
		}
		s = plain(3341);
		was = s;
		EXPECT_EQ(-EMFILE, xioctl(dev, IOURING2_IOC_SETUP, &s));
		EXPECT_EQ(0, memcmp(&s, &was, sizeof(s)));
		for (n = 0; n < i; n++)
			close(fds[n]);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	}
	close(dev);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/*
 * This changes a limit of the whole system for a moment, so it must be allowed
 */
RING_TEST(files_exhausted)
{
	struct iouring2_setup s = plain(8);
	char old[64];
	int dev, fd, status, len;
	pid_t pid;

	if (!intrusive())
		SKIP(return, "needs IOURING2_INTRUSIVE=1");
	dev = dev_open();
	ASSERT_LE(0, dev);
	ASSERT_LT(0, read_text("/proc/sys/fs/file-max", old, sizeof(old)));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int err = 0;

		/* root is not subject to the limit */
		fd = open("/proc/sys/fs/file-max", O_WRONLY);
		if (fd < 0 || write(fd, "1", 1) != 1)
			_exit(1);
		if (setresuid(65534, 65534, 65534))
			_exit(2);
		err = xioctl(dev, IOURING2_IOC_SETUP, &s);
		_exit(err == -ENFILE ? 0 : err >= 0 ? 3 : -err);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	fd = open("/proc/sys/fs/file-max", O_WRONLY);
	ASSERT_LE(0, fd);
	len = strlen(old);
	EXPECT_EQ(len, write(fd, old, len));
	close(fd);
	EXPECT_EQ(0, status);
	close(dev);
	EXPECT_STREQ("", state_diff(&self->before, true));
}

static long cgroup_bytes(const char *dir)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), "%s/memory.current", dir);
	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

static int write_text(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * I5: the memory of a ring is charged to the cgroup of the task that makes it
 */
RING_TEST(memory_is_charged)
{
	char root[] = "/tmp/iouring2-cg-XXXXXX", dir[64], pid[16];
	long before = 0, with = 0, busy = 0, after = 0, want;
	int ret, efd = eventfd(0, EFD_CLOEXEC), i;
	bool mounted = false;
	struct ring r;

	ASSERT_NE(NULL, mkdtemp(root));
	snprintf(dir, sizeof(dir), "%s/iouring2-test", root);
	mounted = !mount("none", root, "cgroup2", 0, NULL);
	if (!mounted || write_text(root, "cgroup.subtree_control", "+memory") ||
	    mkdir(dir, 0755)) {
		if (mounted)
			umount(root);
		rmdir(root);
		SKIP(return, "no memory cgroup");
	}
	snprintf(pid, sizeof(pid), "%d", getpid());
	ret = write_text(dir, "cgroup.procs", pid);
	if (!ret) {
		ring_init(&r, 8, 0);
		ring_exit(&r);
		before = cgroup_bytes(dir);
		ret = ring_init(&r, 32768, 65536);
		with = cgroup_bytes(dir);
		for (i = 0; i < 8192; i++)
			prep_poll(ring_sqe(&r), efd, POLLIN);
		if (ring_submit(&r) == 8192)
			busy = cgroup_bytes(dir);
		ring_exit(&r);
		after = cgroup_bytes(dir);
		write_text(root, "cgroup.procs", pid);
	}
	rmdir(dir);
	umount(root);
	rmdir(root);
	ASSERT_EQ(0, ret);
	/*
	 * At least SQEs and CQEs are charged. The kernel charges 64 pages at a
	 * time, so each of these differences may be that much smaller.
	 */
	want = 32768L * 64 + 65536L * 16;
	EXPECT_LE(want - 65 * 4096, with - before);
	/* Requests in flight are charged as well */
	EXPECT_LE(8192 * 256 - 65 * 4096, busy - with);
	close(efd);
	EXPECT_GE(65 * 4096, after - before);
}

/* The id of the ring that another process has as @fd. Return: the id, or -1. */
static long long id_in_child(int fd)
{
	long long id = -1;
	int p[2];
	pid_t pid;

	if (pipe(p))
		return -1;
	pid = fork();
	if (!pid) {
		id = fdinfo(fd, "RingId");
		_exit(write(p[1], &id, sizeof(id)) != sizeof(id));
	}
	close(p[1]);
	if (pid < 0 || read(p[0], &id, sizeof(id)) != sizeof(id))
		id = -1;
	close(p[0]);
	waitpid(pid, NULL, 0);
	return id;
}

/*
 * A ring has the same id in all processes, and no other ring ever has that id
 */
RING_TEST(ring_ids)
{
	long long id[4];
	int fd[3], other, i;
	struct iouring2_setup s;

	for (i = 0; i < 3; i++) {
		s = plain(8);
		fd[i] = dev_setup(&s);
		ASSERT_LE(0, fd[i]);
		id[i] = fdinfo(fd[i], "RingId");
		EXPECT_LT(i ? id[i - 1] : 0, id[i]);
	}
	other = dup(fd[0]);
	EXPECT_EQ(id[0], fdinfo(other, "RingId"));
	EXPECT_EQ(id[1], id_in_child(fd[1]));
	/* the id does not change when one of two descriptors is closed */
	close(fd[0]);
	EXPECT_EQ(id[0], fdinfo(other, "RingId"));
	close(other);
	close(fd[1]);
	close(fd[2]);
	/* the id of a ring that was freed is not used again */
	s = plain(8);
	fd[0] = dev_setup(&s);
	ASSERT_LE(0, fd[0]);
	EXPECT_LT(id[2], fdinfo(fd[0], "RingId"));
	close(fd[0]);
}

RING_TEST_MAIN
