// SPDX-License-Identifier: GPL-2.0-only
/*
 * Order between requests: chains (IO_LINK, IO_HARDLINK), barriers (IO_DRAIN)
 * and silent successes (CQE_SKIP_SUCCESS), each also when the CQ is so small
 * that most completions wait behind it (I1, I2).
 *
 * A chain is written as a variant: what each entry is, and what each one's
 * completion must say, in the order of the entries.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define L	IOURING2_SQE_IO_LINK
#define H	IOURING2_SQE_IO_HARDLINK
#define D	IOURING2_SQE_IO_DRAIN
#define A	IOURING2_SQE_ASYNC
#define K	IOURING2_SQE_CQE_SKIP_SUCCESS
#define GETEVENTS IOURING2_ENTER_GETEVENTS

#define FILE_BYTES	10
#define NOTHING		9999	/* the request posts no completion */
#define MAX_CHAIN	6

enum kind {
	END,		/* end of the variant's list */
	NOP,
	FULL_READ,	/* reads all that it asks for */
	SHORT_READ,	/* less than it asks for: a failure, to a link */
	EOF_READ,	/* nothing, at the end of the file */
	BAD_READ,	/* into an unmapped address: fails as it runs */
	BAD_FD,		/* descriptor -1: may fail before it runs */
	BAD_OP,		/* rejected before it starts */
	EXPIRE,		/* a timeout that expires */
	EXPIRE_OK,	/* the same, but expiry counts as success */
	WAIT,		/* a poll that waits until the test makes it ready */
};

struct chain {
	struct {
		enum kind kind;
		unsigned int flags;
		int res;
	} e[MAX_CHAIN];
};

RING_FIXTURE(chain) {
	struct chain is;
};

FIXTURE_VARIANT_ADD(chain, success_goes_on) { .is.e = {
	{ NOP, L, 0 }, { FULL_READ, L, FILE_BYTES }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, workers_keep_the_order) { .is.e = {
	{ NOP, L | A, 0 }, { FULL_READ, L | A, FILE_BYTES }, { NOP, L | A, 0 },
	{ NOP, A, 0 }
} };

FIXTURE_VARIANT_ADD(chain, failure_cancels_the_rest) { .is.e = {
	{ NOP, L, 0 }, { BAD_READ, L, -EFAULT }, { NOP, L, -ECANCELED },
	{ NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, failure_spares_what_follows) { .is.e = {
	{ BAD_READ, L, -EFAULT }, { NOP, 0, -ECANCELED }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, no_such_file_cancels_the_rest) { .is.e = {
	{ BAD_FD, L, -EBADF }, { NOP, L, -ECANCELED }, { NOP, 0, -ECANCELED },
	{ NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, failure_in_a_worker_cancels_the_rest) { .is.e = {
	{ BAD_READ, L | A, -EFAULT }, { NOP, L, -ECANCELED },
	{ NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, last_one_fails) { .is.e = {
	{ NOP, L, 0 }, { BAD_READ, 0, -EFAULT }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, short_read_cancels) { .is.e = {
	{ SHORT_READ, L, FILE_BYTES }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, short_read_in_a_worker_cancels) { .is.e = {
	{ SHORT_READ, L | A, FILE_BYTES }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, end_of_file_cancels) { .is.e = {
	{ EOF_READ, L, 0 }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, hard_link_survives_a_failure) { .is.e = {
	{ BAD_READ, H, -EFAULT }, { NOP, H, 0 }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, hard_link_survives_a_short_read) { .is.e = {
	{ SHORT_READ, H, FILE_BYTES }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, hard_then_soft) { .is.e = {
	{ BAD_READ, H, -EFAULT }, { BAD_READ, L, -EFAULT },
	{ NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, soft_then_hard) { .is.e = {
	{ BAD_READ, L, -EFAULT }, { NOP, H, -ECANCELED }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, time_out_cancels) { .is.e = {
	{ EXPIRE, L, -ETIME }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, time_out_that_is_a_success_goes_on) { .is.e = {
	{ EXPIRE_OK, L, -ETIME }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, hard_link_survives_a_time_out) { .is.e = {
	{ EXPIRE, H, -ETIME }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, refused_head_cancels) { .is.e = {
	{ BAD_OP, L, -EINVAL }, { NOP, L, -ECANCELED }, { NOP, 0, -ECANCELED },
	{ NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, refused_in_the_middle_nothing_starts) { .is.e = {
	{ NOP, L, -ECANCELED }, { BAD_OP, L, -EINVAL }, { NOP, 0, -ECANCELED },
	{ NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, refused_tail_nothing_starts) { .is.e = {
	{ NOP, L, -ECANCELED }, { NOP, L, -ECANCELED }, { BAD_OP, 0, -EINVAL },
	{ NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, refused_cancels_hard_links) { .is.e = {
	{ NOP, H, -ECANCELED }, { BAD_OP, H, -EINVAL }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, two_chains) { .is.e = {
	{ BAD_READ, L, -EFAULT }, { NOP, 0, -ECANCELED }, { NOP, L, 0 },
	{ BAD_READ, L, -EFAULT }, { NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, open_chain_ends_with_the_batch) { .is.e = {
	{ NOP, L, 0 }, { NOP, L, 0 }
} };

FIXTURE_VARIANT_ADD(chain, open_chain_of_one) { .is.e = {
	{ NOP, L, 0 }
} };

FIXTURE_VARIANT_ADD(chain, silent_success) { .is.e = {
	{ NOP, K, NOTHING }, { NOP, 0, 0 }, { NOP, K | A, NOTHING },
	{ FULL_READ, K, NOTHING }
} };

FIXTURE_VARIANT_ADD(chain, failure_is_not_silent) { .is.e = {
	{ BAD_READ, K, -EFAULT }, { BAD_OP, K, -EINVAL }, { EXPIRE, K, -ETIME }
} };

FIXTURE_VARIANT_ADD(chain, one_completion_a_chain) { .is.e = {
	{ NOP, L | K, NOTHING }, { FULL_READ, L | K, NOTHING }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, silent_chain_that_fails_has_one_completion) { .is.e = {
	{ NOP, L | K, NOTHING }, { BAD_READ, L | K, -EFAULT },
	{ NOP, L | K, NOTHING }, { NOP, 0, NOTHING }
} };

FIXTURE_VARIANT_ADD(chain, silent_after_a_failure_is_not_silent) { .is.e = {
	{ BAD_READ, L, -EFAULT }, { NOP, L | K, -ECANCELED },
	{ NOP, 0, -ECANCELED }
} };

FIXTURE_VARIANT_ADD(chain, silent_time_out_that_is_a_success) { .is.e = {
	{ EXPIRE_OK, K, NOTHING }
} };

FIXTURE_VARIANT_ADD(chain, short_read_is_not_silent) { .is.e = {
	{ SHORT_READ, K, FILE_BYTES }
} };

FIXTURE_VARIANT_ADD(chain, barrier_heads_a_chain) { .is.e = {
	{ NOP, A, 0 }, { NOP, D | L, 0 }, { NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, barrier_heads_a_failing_chain) { .is.e = {
	{ NOP, 0, 0 }, { BAD_READ, D | L, -EFAULT }, { NOP, 0, -ECANCELED },
	{ NOP, 0, 0 }
} };

FIXTURE_VARIANT_ADD(chain, barrier_refused) { .is.e = {
	{ NOP, 0, 0 }, { BAD_OP, D, -EINVAL }, { NOP, D, 0 }
} };

struct files {
	int file, efd;
	char buf[2 * FILE_BYTES];
	void *hole;
	struct __kernel_timespec ts;
};

static int files_open(struct files *f)
{
	f->file = tmp_file(FILE_BYTES);
	f->efd = eventfd(0, EFD_CLOEXEC);
	f->ts = ts_ns(NSEC_PER_MSEC);
	f->hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	return f->file < 0 || f->efd < 0 || f->hole == MAP_FAILED ? -EIO : 0;
}

static void files_close(struct files *f)
{
	close(f->file);
	close(f->efd);
	munmap(f->hole, 4096);
}

static void fill(struct iouring2_sqe *sqe, enum kind kind, unsigned int flags,
		 struct files *f)
{
	switch (kind) {
	case END:
	case NOP:
		prep_nop(sqe);
		break;
	case FULL_READ:
		prep_read(sqe, f->file, f->buf, FILE_BYTES, 0);
		break;
	case SHORT_READ:
		prep_read(sqe, f->file, f->buf, 2 * FILE_BYTES, 0);
		break;
	case EOF_READ:
		prep_read(sqe, f->file, f->buf, FILE_BYTES, FILE_BYTES);
		break;
	case BAD_READ:
		prep_read(sqe, f->file, f->hole, FILE_BYTES, 0);
		break;
	case BAD_FD:
		prep_read(sqe, -1, f->buf, FILE_BYTES, 0);
		break;
	case BAD_OP:
		prep_nop(sqe);
		sqe->opcode = 255;
		break;
	case EXPIRE:
		prep_timeout(sqe, &f->ts, 0, 0);
		break;
	case EXPIRE_OK:
		prep_timeout(sqe, &f->ts, 0, IOURING2_TIMEOUT_ETIME_SUCCESS);
		break;
	case WAIT:
		prep_poll(sqe, f->efd, POLLIN);
		break;
	}
	sqe->flags = flags;
}

/* Must the completions come in the order of the entries? */
static bool in_one_chain(const struct chain *c, int nr)
{
	int i;

	for (i = 0; i < nr - 1; i++)
		if (!(c->e[i].flags & (L | H)))
			return false;
	return true;
}

static void run_chain(struct __test_metadata *_metadata, const struct chain *c,
		      struct files *f, unsigned int places, unsigned int more)
{
	int nr, i, last = -1, want = 0, got[MAX_CHAIN];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	bool ordered;

	for (nr = 0; nr < MAX_CHAIN && c->e[nr].kind != END; nr++)
		;
	ordered = in_one_chain(c, nr);
	/*
	 * An invalid entry must not stop the batch here: enter_test.c tests
	 * that
	 */
	ASSERT_EQ(0, ring_init_params(&r, 8, 8, IOURING2_SETUP_SUBMIT_ALL, 0));
	/*
	 * Leave only @places free slots in the CQ. A smaller CQ would need a
	 * smaller SQ, which would cut the chain in two.
	 */
	for (i = 0; i < 8 - (int)places; i++)
		ASSERT_EQ(0, ring_nop(&r, 1000));
	ASSERT_EQ(8 - (int)places, ring_submit(&r));
	for (i = 0; i < nr; i++) {
		sqe = ring_sqe(&r);
		ASSERT_NE(NULL, sqe);
		fill(sqe, c->e[i].kind, c->e[i].flags | more, f);
		sqe->user_data = i;
		got[i] = NOTHING;
		want += c->e[i].res != NOTHING;
	}
	EXPECT_EQ(nr, ring_submit(&r)) {
		TH_LOG("%u places", places);
	}
	/* All requests have ended, including those that post no CQE */
	EXPECT_TRUE(until(fdinfo(r.fd, "Inflight") == 0)) {
		TH_LOG("%u places", places);
	}
	for (i = -(8 - (int)places); i < want; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe)) {
			TH_LOG("%u places", places);
		}
		if (cqe.user_data == 1000)
			continue;
		ASSERT_GT(nr, (int)cqe.user_data);
		EXPECT_EQ(NOTHING, got[cqe.user_data]);
		got[cqe.user_data] = cqe.res;
		if (ordered) {
			EXPECT_LT(last, (int)cqe.user_data) {
				TH_LOG("%u places: entry %d misplaced", places,
				       (int)cqe.user_data);
			}
		}
		last = cqe.user_data;
	}
	EXPECT_FALSE(ring_peek(&r, &cqe)) {
		TH_LOG("%u places: unexpected CQE of entry %d", places,
		       (int)cqe.user_data);
	}
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(c->e[i].res, got[i]) {
			TH_LOG("%u places: entry %d", places, i);
		}
	}
	/* A chain does not reach into the next batch */
	ASSERT_EQ(0, ring_nop(&r, 77));
	EXPECT_EQ(0, ring_do(&r));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
}

TEST_F_TIMEOUT(chain, chain_results, LIMIT)
{
	static const unsigned int places[] = { 8, 1, 2 };
	struct files f;
	unsigned int i;

	ASSERT_EQ(0, files_open(&f));
	for (i = 0; i < ARRAY_SIZE(places); i++)
		run_chain(_metadata, &variant->is, &f, places[i], 0);
	files_close(&f);
}

/* The results are the same when every entry goes to a worker */
TEST_F_TIMEOUT(chain, chain_results_in_workers, LIMIT)
{
	struct files f;

	ASSERT_EQ(0, files_open(&f));
	run_chain(_metadata, &variant->is, &f, 8, A);
	run_chain(_metadata, &variant->is, &f, 1, A);
	files_close(&f);
}

RING_FIXTURE(how) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(how, inline) { 0 };
FIXTURE_VARIANT_ADD(how, in_worker) { A };

/* A request sees the effects of the requests before it in its chain */
TEST_F_TIMEOUT(how, data_flows_along_a_chain, LIMIT)
{
	char out[64], in[64];
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct ring r;
	int fd, i;

	memset(out, 'x', sizeof(out));
	fd = tmp_file(0);
	ASSERT_LE(0, fd);
	memset(in, 0, sizeof(in));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_write(sqe, fd, out, sizeof(out), 0);
	sqe->flags = L | variant->flags;
	sqe = ring_sqe(&r);
	prep(sqe, IOURING2_OP_FSYNC, fd, NULL, 0, 0);
	sqe->flags = L;
	sqe = ring_sqe(&r);
	prep_read(sqe, fd, in, sizeof(in), 0);
	EXPECT_EQ(3, ring_submit(&r));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(i == 1 ? 0 : (int)sizeof(out), cqe.res);
	}
	EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
	ring_exit(&r);
	close(fd);
}

/*
 * Four requests wait. The first is a poll of the eventfd: its event ends all.
 */
static void four_end_in_order(struct __test_metadata *_metadata, struct ring *r,
			      struct files *f)
{
	struct iouring2_cqe cqe;
	uint64_t v = 1;
	int i;

	EXPECT_EQ(4, fdinfo(r->fd, "Inflight"));
	EXPECT_EQ((ssize_t)sizeof(v), write(f->efd, &v, sizeof(v)));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
		EXPECT_EQ(i ? 0 : POLLIN, cqe.res);
	}
}

/* A linked request does not start while its predecessor waits */
RING_TEST(link_waits)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	struct ring r;
	int i;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 4; i++) {
		sqe = ring_sqe(&r);
		fill(sqe, i ? NOP : WAIT, i < 3 ? L : 0, &f);
		sqe->user_data = i;
	}
	/*
	 * This request is not part of the chain, and the chain does not delay
	 * it
	 */
	ASSERT_EQ(0, ring_nop(&r, 4));
	EXPECT_EQ(5, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(4, (int)cqe.user_data);
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_MSEC));
	four_end_in_order(_metadata, &r, &f);
	ring_exit(&r);
	files_close(&f);
}

/* Cancelling the head of a waiting chain ends the whole chain */
RING_TEST(waiting_chain_cancelled)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	int i, res[4] = { };
	struct files f;
	struct ring r;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 3; i++) {
		sqe = ring_sqe(&r);
		fill(sqe, i ? NOP : WAIT, i < 2 ? L : 0, &f);
		sqe->user_data = i;
	}
	EXPECT_EQ(3, ring_submit(&r));
	sqe = ring_sqe(&r);
	prep_cancel(sqe, 0, 0);
	sqe->user_data = 3;
	EXPECT_EQ(1, ring_submit(&r));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		ASSERT_GT(4, (int)cqe.user_data);
		res[cqe.user_data] = cqe.res;
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ECANCELED, res[i]);
	EXPECT_EQ(0, res[3]);
	ring_exit(&r);
	files_close(&f);
}

/* ---------------------------------------------------------------- barriers */

RING_FIXTURE(cq) {
	unsigned int entries;
};

FIXTURE_VARIANT_ADD(cq, of_64) { 64 };
FIXTURE_VARIANT_ADD(cq, of_8) { 8 };

/*
 * A barrier starts when all requests before it have ended. All requests after
 * it wait for it.
 */
TEST_F_TIMEOUT(cq, drain_waits_for_all_before_it, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	uint64_t v;
	struct ring r;
	int i, n;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, variant->entries));
	/* 0, 1: wait; 2: barrier; 3, 4: after it; 5: barrier; 6 */
	for (i = 0; i < 7; i++) {
		sqe = ring_sqe(&r);
		fill(sqe, i < 2 ? WAIT : NOP, i == 2 || i == 5 ? D : 0,
		     &f);
		sqe->user_data = i;
	}
	EXPECT_EQ(7, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
					20 * NSEC_PER_MSEC));
	/* Requests of later batches wait as well */
	ASSERT_EQ(0, ring_nop(&r, 7));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
					20 * NSEC_PER_MSEC));
	EXPECT_EQ(8, fdinfo(r.fd, "Inflight"));
	v = 1;
	EXPECT_EQ((ssize_t)sizeof(v), write(f.efd, &v, sizeof(v)));
	for (n = 0; n < 8; n++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		i = cqe.user_data;
		/* 0, 1 | 2 | 3, 4 | 5 | 6, 7 */
		EXPECT_EQ(n < 2 ? 0 : n == 2 ? 2 : n < 5 ? 3 :
			  n == 5 ? 5 : 6,
			  i < 2 ? 0 : i == 2 ? 2 : i < 5 ? 3 :
			  i == 5 ? 5 : 6) {
			TH_LOG("request %d came as number %d", i, n);
		}
		EXPECT_EQ(i < 2 ? POLLIN : 0, cqe.res);
	}
	/* The barrier has ended, so new requests do not wait */
	ASSERT_EQ(0, ring_nop(&r, 8));
	EXPECT_EQ(0, ring_do(&r));
	ring_exit(&r);
	files_close(&f);
}

RING_FIXTURE(next) {
	bool together;	/* the later requests are submitted with the barrier */
};

FIXTURE_VARIANT_ADD(next, alone) { false };
FIXTURE_VARIANT_ADD(next, together) { true };

/*
 * With no request before it, a barrier starts at once, and the requests after
 * it wait for it
 */
TEST_F_TIMEOUT(next, drain_under_way, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	uint64_t v = 1;
	struct ring r;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	fill(sqe, WAIT, D, &f);
	sqe->user_data = 1;
	if (!variant->together)
		EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_nop(&r, 2));
	EXPECT_EQ(1 + variant->together, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
					20 * NSEC_PER_MSEC));
	EXPECT_EQ((ssize_t)sizeof(v), write(f.efd, &v, sizeof(v)));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(1, (int)cqe.user_data);
	EXPECT_EQ(POLLIN, cqe.res);
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(2, (int)cqe.user_data);
	ring_exit(&r);
	files_close(&f);
}

/* DRAIN on any entry of a chain makes the whole chain a barrier */
TEST_F_TIMEOUT(how, drain_in_a_chain, LIMIT)
{
	struct iouring2_sqe *sqe;
	struct files f;
	struct ring r;
	int i;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* 0: waits; 1, 2: a chain, its second a barrier; 3 */
	for (i = 0; i < 4; i++) {
		sqe = ring_sqe(&r);
		fill(sqe, i ? NOP : WAIT, i == 1 ? L | variant->flags :
		     i == 2 ? D : 0, &f);
		sqe->user_data = i;
	}
	EXPECT_EQ(4, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
					50 * NSEC_PER_MSEC));
	four_end_in_order(_metadata, &r, &f);
	ring_exit(&r);
	files_close(&f);
}

/* A barrier waits for each request before it, the last one included */
RING_TEST(drain_waits_for_each)
{
	enum { NR = 3 };
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	uint64_t v = 1;
	int i, efd[NR];
	struct ring r;

	ASSERT_EQ(0, ring_init(&r, 8, 8));
	for (i = 0; i < NR; i++) {
		efd[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, efd[i]);
		sqe = ring_sqe(&r);
		prep_poll(sqe, efd[i], POLLIN);
		sqe->user_data = i;
	}
	sqe = ring_sqe(&r);
	prep_nop(sqe);
	sqe->flags = D;
	sqe->user_data = NR;
	EXPECT_EQ(NR + 1, ring_submit(&r));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1,
						10 * NSEC_PER_MSEC));
		EXPECT_EQ((ssize_t)sizeof(v), write(efd[i], &v, sizeof(v)));
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
	}
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(NR, (int)cqe.user_data);
	ring_exit(&r);
	for (i = 0; i < NR; i++)
		close(efd[i]);
}

/* For a barrier, a request whose CQE is in the backlog has ended */
RING_TEST(drain_across_overflow)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	uint64_t v = 1;
	struct ring r;
	int i, seen = 0;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 1, 1));
	/* 0-3: wait; 4: barrier; 5: after it, in a worker */
	for (i = 0; i < 6; i++) {
		sqe = ring_sqe(&r);
		fill(sqe, i < 4 ? WAIT : NOP, i == 4 ? D : i == 5 ? A : 0, &f);
		sqe->user_data = i;
		EXPECT_EQ(1, ring_submit(&r));
	}
	EXPECT_EQ(0, (int)ring_ready(&r));
	EXPECT_EQ((ssize_t)sizeof(v), write(f.efd, &v, sizeof(v)));
	/* No CQE is reaped, and yet all six requests end */
	EXPECT_TRUE(until(fdinfo(r.fd, "Backlog") == 5));
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		if (i < 4) {
			EXPECT_GT(4, (int)cqe.user_data);
			seen |= 1 << cqe.user_data;
		} else {
			EXPECT_EQ(i, (int)cqe.user_data);
		}
	}
	EXPECT_EQ(0xf, seen);
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
	files_close(&f);
}

/* A barrier does not depend on counters that user space can overwrite */
RING_TEST(drain_ignores_scribbles)
{
	struct iouring2_sqe *sqe;
	struct ring r;
	int i;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 4; i++) {
		*r.sq_dropped = 0xffffff00 + i;
		*r.cq_overflow = 0x7fffffffU + i;
		sqe = ring_sqe(&r);
		prep_nop(sqe);
		sqe->flags = D;
		EXPECT_EQ(0, ring_do(&r));
	}
	ring_exit(&r);
}

/* A chain behind a barrier and a barrier behind a chain, in every context */
RING_TEST(drain_and_chain)
{
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	uint64_t v = 1;
	struct ring r;
	int i;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 8, 8));
	f.ts = ts_ns(5 * NSEC_PER_MSEC);
	sqe = ring_sqe(&r);		/* 0: chain that waits */
	fill(sqe, WAIT, L, &f);
	sqe = ring_sqe(&r);		/* 1: ... then sleeps */
	fill(sqe, EXPIRE_OK, L, &f);
	sqe = ring_sqe(&r);		/* 2: ... then works */
	fill(sqe, FULL_READ, A, &f);
	sqe = ring_sqe(&r);		/* 3: barrier, head of a chain */
	fill(sqe, NOP, D | L, &f);
	sqe = ring_sqe(&r);		/* 4 */
	fill(sqe, FULL_READ, L | A, &f);
	sqe = ring_sqe(&r);		/* 5 */
	fill(sqe, NOP, 0, &f);
	sqe = ring_sqe(&r);		/* 6: barrier */
	fill(sqe, NOP, D, &f);
	for (i = 0; i < 7; i++)
		r.sqes[i].user_data = i;
	EXPECT_EQ(7, ring_submit(&r));
	EXPECT_EQ(-ETIME, enter_timeout(r.fd, 0, 1, 20 * NSEC_PER_MSEC));
	EXPECT_EQ((ssize_t)sizeof(v), write(f.efd, &v, sizeof(v)));
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		EXPECT_EQ(i, (int)cqe.user_data);
	}
	ring_exit(&r);
	files_close(&f);
}

/* ------------------------------------------------- many, through a small CQ */

/* Many chains that contain failures, through a CQ of 4 entries */
RING_TEST(chains_through_small_cq)
{
	enum { ROUNDS = 500 };
	int i, n, ret, got = 0, queued = 0, bad = 0;
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	struct files f;
	struct ring r;

	ASSERT_EQ(0, files_open(&f));
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	/* ok, fails, cancelled, cancelled; alternately in a worker */
	for (n = 0; n < ROUNDS; n++) {
		for (i = 0; i < 4; i++) {
			sqe = ring_sqe(&r);
			ASSERT_NE(NULL, sqe);
			fill(sqe, i == 1 ? BAD_READ : NOP,
			     (i < 3 ? L : 0) | (n & 1 ? A : 0), &f);
			sqe->user_data = queued++;
		}
		for (;;) {
			ret = ring_submit(&r);
			if (ret != -EBUSY)
				break;
			while (ring_peek(&r, &cqe)) {
				i = cqe.user_data % 4;
				bad += cqe.res != (i == 0 ? 0 : i == 1 ?
						   -EFAULT : -ECANCELED);
				got++;
			}
		}
		ASSERT_EQ(4, ret);
	}
	while (got < queued) {
		ASSERT_EQ(0, ring_wait(&r, &cqe));
		i = cqe.user_data % 4;
		bad += cqe.res != (i == 0 ? 0 : i == 1 ? -EFAULT : -ECANCELED);
		got++;
	}
	EXPECT_EQ(0, bad);
	EXPECT_FALSE(ring_peek(&r, &cqe));
	EXPECT_EQ(0, (int)*r.cq_overflow);
	ring_exit(&r);
	files_close(&f);
}

/* A request with SQE_ASYNC runs in a worker, at whatever place of a chain it is */
RING_TEST(async_in_a_chain)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int i, place;

	for (place = 0; place < 3; place++) {
		ASSERT_EQ(0, ring_init(&r, 4, 0));
		for (i = 0; i < 3; i++) {
			struct iouring2_sqe *sqe = ring_sqe(&r);

			prep_nop(sqe);
			sqe->user_data = i;
			sqe->flags = (i < 2 ? L : 0) | (i == place ? A : 0);
		}
		ASSERT_EQ(3, ring_submit(&r));
		for (i = 0; i < 3; i++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			EXPECT_EQ(i, (int)cqe.user_data);
			EXPECT_EQ(0, cqe.res);
		}
		EXPECT_EQ(1, fdinfo(r.fd, "Workers")) {
			TH_LOG("place %d", place);
		}
		ring_exit(&r);
	}
}

/*
 * The CQEs of a chain come in its order, even if a request of it ends elsewhere
 * while the submission goes on
 */
RING_TEST(order_beside_a_submission)
{
	enum { SQ = 2048, ROUNDS = 20 };
	struct __kernel_timespec ts = ts_ns(1);
	struct iouring2_cqe cqe;
	struct iouring2_sqe *sqe;
	struct ring r;
	int i, round, next;

	ASSERT_EQ(0, ring_init(&r, SQ, 0));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			sqe = ring_sqe(&r);
			prep_nop(sqe);
			sqe->user_data = i;
			sqe->flags = L;
		}
		sqe = ring_sqe(&r);
		prep_timeout(sqe, &ts, 0, IOURING2_TIMEOUT_ETIME_SUCCESS);
		sqe->user_data = 2;
		for (i = 3; i < SQ; i++)
			ASSERT_EQ(0, ring_nop(&r, 100));
		ASSERT_EQ(SQ, ring_submit(&r));
		for (i = 0, next = 0; i < SQ; i++) {
			ASSERT_EQ(0, ring_wait(&r, &cqe));
			if (cqe.user_data == 100)
				continue;
			EXPECT_EQ(next++, (int)cqe.user_data);
		}
		EXPECT_EQ(3, next);
	}
	ring_exit(&r);
}

RING_TEST_MAIN
