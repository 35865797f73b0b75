// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE_RINGS where entries have two sizes. What takes two entries of a ring takes
 * two that are next to each other in the other ring, or the call fails and nothing
 * has changed. io_uring does the same.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "reason.h"
#include "sides.h"

#define CQE_MIXED	IOURING2_SETUP_CQE_MIXED
#define SQE_MIXED	IOURING2_SETUP_SQE_MIXED
#define NO_ARRAY	IOURING2_SETUP_NO_SQARRAY
#define DEFER		(IOURING2_SETUP_SINGLE_ISSUER | \
			 IOURING2_SETUP_DEFER_TASKRUN)
#define GETEVENTS	IOURING2_ENTER_GETEVENTS

#define SECOND		999	/* user_data in the second half of an SQE */

/* What an entry may be in a pattern */
#define SMALL		's'
#define BIG		'b'

/* A resize of a ring whose queues have @at entries behind them */
struct move {
	const struct side *side;
	unsigned int flags, from, to, at;
	const char *pattern;
};

/* Return: 0 and the new rings are mapped, or -errno */
static int resize(const struct side *side, struct ring *r, unsigned int sq,
		  unsigned int cq)
{
	struct iouring2_params p = {
		.sq_entries = sq,
		.cq_entries = cq,
		.flags = IOURING2_SETUP_CQSIZE,
	};
	struct ring old = *r;
	int ret;

	ret = side->reg(r->fd, IOURING2_REGISTER_RESIZE_RINGS, &p, 1);
	if (ret)
		return ret;
	r->setup.params = p;
	ret = ring_map(r);
	if (!ret)
		ring_unmap(&old);
	return ret;
}

/* Submit what is queued, with the number of entries that the kernel takes */
static int submit(const struct move *m, struct ring *r, unsigned int nr)
{
	int ret = m->side->enter(r->fd, nr, 0, GETEVENTS, NULL, 0);

	return ret == (int)nr ? 0 : ret < 0 ? ret : -EPROTO;
}

/* A NOP whose CQE is that of the letter goes through the ring up to the CQ */
static int complete(const struct move *m, struct ring *r, char kind, __u64 id)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (!sqe)
		return -EBUSY;
	prep_nop(sqe);
	sqe->user_data = id;
	if (kind == BIG) {
		sqe->nop_flags = IOURING2_NOP_CQE32;
		sqe->off = id + 1;
		sqe->addr = ~id;
	}
	ring_publish(r);
	return submit(m, r, 1);
}

/* Return: "" if @c is the completion of complete(@kind, @id) */
static const char *is_completion(const struct big_cqe *c, char kind, __u64 id)
{
	bool big = kind == BIG;

	if (c->user_data != id || c->res)
		return reason("CQE %llu instead of %llu", c->user_data, id);
	if (c->flags != (big ? IOURING2_CQE_F_32 : 0))
		return reason("CQE %llu has flags %#x", id, c->flags);
	if (c->extra[0] != (big ? id + 1 : 0) || c->extra[1] != (big ? ~id : 0))
		return reason("CQE %llu has %#llx %#llx", id, c->extra[0],
			      c->extra[1]);
	return "";
}

/* Take the next completion; those that are skipped do not count */
static bool take(struct ring *r, struct big_cqe *c)
{
	while (ring_peek_big(r, c))
		if (!(c->flags & IOURING2_CQE_F_SKIP))
			return true;
	return false;
}

/* In a CQ of two entries, a big CQE may wait until the skipped one is taken */
static bool take_flushed(const struct move *m, struct ring *r, struct big_cqe *c)
{
	if (take(r, c))
		return true;
	m->side->enter(r->fd, 0, 0, GETEVENTS, NULL, 0);
	return take(r, c);
}

/* Take a completion for each letter. Return: "" or what is wrong. */
static const char *take_all(const struct move *m, struct ring *r,
			    const char *pattern)
{
	struct big_cqe c;
	const char *why;
	__u64 id;

	for (id = 0; pattern[id]; id++) {
		if (!take_flushed(m, r, &c))
			return reason("no CQE %llu", id);
		why = is_completion(&c, pattern[id], id);
		if (*why)
			return why;
	}
	return take(r, &c) ? "one CQE more" : "";
}

/* Bring head and tail of both queues to @m->at */
static int advance(const struct move *m, struct ring *r)
{
	struct big_cqe c;
	unsigned int i;
	int ret;

	for (i = 0; i < m->at; i++) {
		ret = complete(m, r, SMALL, 0);
		if (ret)
			return ret;
		if (!take(r, &c))
			return -EPROTO;
	}
	return 0;
}

static int new_ring(const struct move *m, struct ring *r, unsigned int cq)
{
	int ret = m->side->setup(r, m->from, cq, m->flags);

	return ret ? ret : advance(m, r);
}

/* A small and a big completion, as often as the ring needs to turn around */
static const char *goes_on(const struct move *m, struct ring *r)
{
	unsigned int i;
	const char *why;

	for (i = 0; i < 2 * m->from + m->to; i++) {
		if (complete(m, r, BIG, 0))
			return "the ring does not go on";
		why = take_all(m, r, "b");
		if (*why)
			return why;
		if (complete(m, r, SMALL, 0))
			return "the ring does not go on";
		why = take_all(m, r, "s");
		if (*why)
			return why;
	}
	return "";
}

/* ------------------------------------------------------------------- CQEs */

/*
 * What the resize has to return for CQEs that are in the CQ of @r now. A CQE that
 * is skipped is an entry, too.
 */
static int cqes_fit(const struct move *m, const struct ring *r)
{
	__u32 head = *r->cq_head, tail = ld_acq(r->cq_tail), i;
	unsigned int slots;

	if (tail - head > m->to)
		return -EOVERFLOW;
	for (i = head; i != tail; i += slots) {
		const struct iouring2_cqe *cqe = &r->cqes[i & (m->from - 1)];

		slots = cqe->flags & IOURING2_CQE_F_32 ? 2 : 1;
		if (slots == 2 && (i & (m->to - 1)) == m->to - 1)
			return -EOVERFLOW;
	}
	return 0;
}

/* Entries that the completions of a pattern take, the skipped one included */
static unsigned int cq_slots(const struct move *m)
{
	unsigned int at = m->at, i;

	for (i = 0; m->pattern[i]; i++) {
		if (m->pattern[i] == BIG && (at & (m->from - 1)) == m->from - 1)
			at++;
		at += m->pattern[i] == BIG ? 2 : 1;
	}
	return at - m->at;
}

/* Return: "" or what is wrong */
static const char *move_cqes(const struct move *m, unsigned int *refused)
{
	struct ring r;
	const char *why = "";
	int expected, ret;
	__u64 id;

	if (new_ring(m, &r, m->from))
		return "no ring";
	for (id = 0; !*why && m->pattern[id]; id++)
		if (complete(m, &r, m->pattern[id], id))
			why = "a NOP was not taken";
	expected = cqes_fit(m, &r);
	ret = resize(m->side, &r, m->to, m->to);
	if (!*why && ret != expected)
		why = reason("the resize returned %d, not %d", ret, expected);
	if (!*why)
		why = take_all(m, &r, m->pattern);
	if (!*why)
		why = goes_on(m, &r);
	*refused += expected && cq_slots(m) <= m->to;
	ring_exit(&r);
	return why;
}

/* Bit i of @bits is entry i of the pattern */
static const char *pattern_of(unsigned int bits, unsigned int nr, char *text)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		text[i] = bits >> i & 1 ? BIG : SMALL;
	text[nr] = '\0';
	return text;
}

RING_FIXTURE(on) {
	const struct side *side;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(on, module) { &module_side, 0 };
FIXTURE_VARIANT_ADD(on, module_defers) { &module_side, DEFER };
FIXTURE_VARIANT_ADD(on, module_without_array) { &module_side, NO_ARRAY };
FIXTURE_VARIANT_ADD(on, tree) { &tree_side, DEFER };
FIXTURE_VARIANT_ADD(on, tree_without_array) { &tree_side, DEFER | NO_ARRAY };

/* Does the kernel's io_uring keep entries of two sizes apart in a resize? */
static bool tree_keeps_pairs(void)
{
	struct move m = {
		.side = &tree_side, .flags = DEFER | CQE_MIXED,
		.from = 4, .to = 2, .at = 1, .pattern = "b",
	};
	struct ring r;
	int ret;

	if (new_ring(&m, &r, m.from))
		return false;
	ret = complete(&m, &r, BIG, 0);
	if (!ret)
		ret = resize(m.side, &r, m.to, m.to);
	ring_exit(&r);
	return ret == -EOVERFLOW;
}

#define NEED_PAIRS()							\
	do {								\
		if (variant->side == &tree_side && !tree_keeps_pairs())	\
			SKIP(return, "not in this kernel's io_uring");	\
	} while (0)

static const unsigned int sizes[][2] = {
	{ 4, 2 }, { 8, 2 }, { 8, 4 }, { 4, 8 }, { 4, 4 }, { 2, 8 },
};

/*
 * One kind of check for a move. @fits: can the pattern be in the old rings?
 * @check counts in @refused what was refused because it would be torn apart.
 */
struct kind {
	bool (*fits)(const struct move *m);
	const char *(*check)(const struct move *m, unsigned int *refused);
};

/* All patterns of up to three entries, and four small ones, at one place */
static const char *each_pattern(struct move *m, const struct kind *kind,
				unsigned int *refused)
{
	unsigned int nr, bits;
	const char *why = "";
	char text[8];

	for (nr = 0; nr <= 4; nr++) {
		for (bits = 0; bits < (nr < 4 ? 1U << nr : 1) && !*why; bits++) {
			m->pattern = pattern_of(bits, nr, text);
			if (kind->fits(m))
				why = kind->check(m, refused);
			if (*why)
				why = reason("%u to %u at %u, %s: %s", m->from,
					     m->to, m->at, text, why);
		}
	}
	return why;
}

/* Return: "" or what is wrong */
static const char *each_move(const struct side *side, unsigned int flags,
			     const struct kind *kind)
{
	struct move m = { .side = side, .flags = flags };
	unsigned int s, refused = 0;
	const char *why = "";

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		m.from = sizes[s][0];
		m.to = sizes[s][1];
		for (m.at = 0; m.at < m.from && !*why; m.at++)
			why = each_pattern(&m, kind, &refused);
	}
	return *why || refused > 10 ? why : "nothing was refused";
}

/* What does not fit into the old CQ is in the backlog, which is not tested here */
static bool cqes_are_in_cq(const struct move *m)
{
	return cq_slots(m) <= m->from;
}

TEST_F_TIMEOUT(on, cqes_move, LIMIT)
{
	static const struct kind kind = { cqes_are_in_cq, move_cqes };

	NEED_PAIRS();
	EXPECT_STREQ("", each_move(variant->side, variant->flags | CQE_MIXED,
				   &kind));
}

/* ------------------------------------------------------------------- SQEs */

/* Queue an SQE of one or two entries. Return: entries taken, or -errno. */
static int queue(struct ring *r, char kind, __u64 id)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	if (!sqe)
		return -EBUSY;
	prep_nop(sqe);
	sqe->user_data = id;
	if (kind == SMALL)
		return 1;
	sqe->opcode = IOURING2_OP_NOP128;
	sqe = ring_sqe(r);
	if (!sqe)
		return -EBUSY;
	prep_nop(sqe);
	sqe->user_data = SECOND;
	return 2;
}

/* Where the entries of a pattern are, and whether they fit into both rings */
static bool sqes_fit(const struct move *m, unsigned int entries)
{
	unsigned int at = m->at, i;

	for (i = 0; m->pattern[i]; i++) {
		if (m->pattern[i] == BIG &&
		    (at & (entries - 1)) == entries - 1)
			return false;
		at += m->pattern[i] == BIG ? 2 : 1;
	}
	return at - m->at <= entries;
}

/* Each SQE has its own second half: without it, that is an SQE by itself */
static const char *submit_halves(const struct move *m, struct ring *r)
{
	struct big_cqe c;
	__u64 id;

	for (id = 0; m->pattern[id]; id++) {
		if (submit(m, r, 1) || !take(r, &c))
			return reason("SQE %llu was not taken", id);
		if (c.user_data != id ||
		    c.res != (m->pattern[id] == BIG ? -EINVAL : 0))
			return reason("CQE %llu has result %d", c.user_data,
				      c.res);
		if (m->pattern[id] == SMALL)
			continue;
		if (submit(m, r, 1) || !take(r, &c))
			return reason("half %llu was not taken", id);
		if (c.user_data != SECOND || c.res)
			return reason("half %llu: CQE %llu, result %d", id,
				      c.user_data, c.res);
	}
	return "";
}

static const char *submit_whole(const struct move *m, struct ring *r, int nr)
{
	struct big_cqe c;
	__u64 id;

	if (submit(m, r, nr))
		return "other SQEs";
	for (id = 0; m->pattern[id]; id++)
		if (!take(r, &c) || c.user_data != id || c.res)
			return reason("no CQE %llu", id);
	return take(r, &c) ? "one CQE more" : "";
}

/* Those that begin with a big SQE are submitted half by half. "" or what is wrong */
static const char *move_sqes(const struct move *m, unsigned int *refused)
{
	bool halves = m->pattern[0] == BIG;
	int expected = sqes_fit(m, m->to) ? 0 : -EOVERFLOW, ret = 0, nr = 0;
	const char *why = "";
	struct ring r;
	__u64 id;

	if (new_ring(m, &r, 4 * m->from))
		return "no ring";
	for (id = 0; m->pattern[id]; id++) {
		ret = queue(&r, m->pattern[id], id);
		if (ret < 0)
			why = "the SQ is full";
		nr += ret;
	}
	ring_publish(&r);
	ret = resize(m->side, &r, m->to, 64);
	if (!*why && ret != expected)
		why = reason("the resize returned %d, not %d", ret, expected);
	if (!*why)
		why = halves ? submit_halves(m, &r) : submit_whole(m, &r, nr);
	*refused += expected && nr <= (int)m->to;
	ring_exit(&r);
	return why;
}

static bool sqes_are_in_sq(const struct move *m)
{
	return sqes_fit(m, m->from);
}

TEST_F_TIMEOUT(on, sqes_move, LIMIT)
{
	static const struct kind kind = { sqes_are_in_sq, move_sqes };

	NEED_PAIRS();
	EXPECT_STREQ("", each_move(variant->side, variant->flags | SQE_MIXED |
				   IOURING2_SETUP_SUBMIT_ALL, &kind));
}

/* An SQE of 128 bytes is queued without its second half. Return: the resize's. */
static int move_lone_half(const struct move *m, struct ring *r)
{
	struct iouring2_sqe *sqe;
	int ret;

	ret = new_ring(m, r, 16);
	if (ret)
		return ret;
	sqe = ring_sqe(r);
	prep_nop(sqe);
	sqe->opcode = IOURING2_OP_NOP128;
	sqe->user_data = 1;
	ring_publish(r);
	return resize(m->side, r, m->to, 16);
}

/* It moves as one entry: its second half may come afterwards. */
TEST_F_TIMEOUT(on, lone_halves_move, LIMIT)
{
	struct move m = {
		.side = variant->side,
		.flags = variant->flags | SQE_MIXED | IOURING2_SETUP_SUBMIT_ALL,
		.from = 4, .to = 8, .at = 3, .pattern = "",
	};
	struct big_cqe c;
	struct ring r;

	NEED_PAIRS();
	ASSERT_EQ(0, move_lone_half(&m, &r));
	/* it is in place 3 of 8: now the application queues the second half */
	EXPECT_EQ(1, queue(&r, SMALL, SECOND));
	EXPECT_EQ(1, queue(&r, SMALL, 2));
	ring_publish(&r);
	EXPECT_EQ(0, submit(&m, &r, 3));
	ASSERT_TRUE(take(&r, &c));
	EXPECT_EQ(1, (int)c.user_data);
	EXPECT_EQ(0, c.res);
	ASSERT_TRUE(take(&r, &c));
	EXPECT_EQ(2, (int)c.user_data);
	EXPECT_FALSE(take(&r, &c));
	ring_exit(&r);
}

/* The same to the last place of the new ring, where there is no room for a second. */
TEST_F_TIMEOUT(on, lone_half_moves_to_the_end, LIMIT)
{
	struct move m = {
		.side = variant->side,
		.flags = variant->flags | SQE_MIXED | IOURING2_SETUP_SUBMIT_ALL,
		.from = 8, .to = 4, .at = 3, .pattern = "",
	};
	struct big_cqe c;
	struct ring r;

	NEED_PAIRS();
	ASSERT_EQ(0, move_lone_half(&m, &r));
	EXPECT_EQ(0, submit(&m, &r, 1));
	ASSERT_TRUE(take(&r, &c));
	EXPECT_EQ(1, (int)c.user_data);
	EXPECT_EQ(-EINVAL, c.res);
	EXPECT_FALSE(take(&r, &c));
	ring_exit(&r);
}

/* ------------------------------------------------------------------ errors */

/* There must be two entries, as in SETUP */
RING_TEST(one_entry_refused)
{
	struct iouring2_params p;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 8, 8, SQE_MIXED, 0));
	EXPECT_EQ(-EOVERFLOW, resize(&module_side, &r, 1, 8));
	EXPECT_EQ(0, resize(&module_side, &r, 2, 8));
	ring_exit(&r);
	ASSERT_EQ(0, ring_init_params(&r, 2, 8, CQE_MIXED, 0));
	EXPECT_EQ(-EOVERFLOW, resize(&module_side, &r, 1, 1));
	/* the size that comes from that of the SQ is large enough */
	memset(&p, 0, sizeof(p));
	p.sq_entries = 1;
	EXPECT_EQ(0, module_side.reg(r.fd, IOURING2_REGISTER_RESIZE_RINGS, &p, 1));
	EXPECT_EQ(2, (int)p.cq_entries);
	EXPECT_EQ(CQE_MIXED, p.flags);
	ring_exit(&r);
}

/* Whatever the application has written to the CQ, the resize stays within it */
RING_TEST(scribbled_flags)
{
	struct move m = {
		.side = &module_side, .flags = CQE_MIXED, .pattern = "",
		.from = 8, .to = 8,
	};
	unsigned int i;
	struct ring r;

	for (m.at = 0; m.at < 8; m.at++) {
		ASSERT_EQ(0, new_ring(&m, &r, m.from));
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, complete(&m, &r, SMALL, i));
		for (i = 0; i < 8; i++)
			r.cqes[i].flags = IOURING2_CQE_F_32;
		/* the same places: what takes two of them is moved as it is */
		EXPECT_EQ(0, resize(m.side, &r, 8, 8));
		EXPECT_EQ(8, (int)ring_ready(&r));
		for (i = 0; i < 8; i++)
			EXPECT_EQ(IOURING2_CQE_F_32, r.cqes[i].flags);
		st_rel(r.cq_head, ld_acq(r.cq_tail));
		EXPECT_STREQ("", goes_on(&m, &r));
		ring_exit(&r);
	}
}

RING_TEST_MAIN
