// SPDX-License-Identifier: GPL-2.0-only
/*
 * The REGISTER opcode QUERY: io_uring's list of queries about what is supported.
 * The ioctl QUERY of the device reports more, and has no list (main.c).
 */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "layout.h"
#include "op/opdef.h"
#include "query.h"
#include "setup.h"
#include "wait.h"

#define LIST_MAX	1000	/* as in io_uring: the list may be a circle */

/* The result of a query, of any kind. */
union query_result {
	struct iouring2_query_opcode	opcodes;
	struct iouring2_query_scq	scq;
};

static size_t query_opcodes(union query_result *r, unsigned int nr_kinds)
{
	r->opcodes = (struct iouring2_query_opcode) {
		.nr_request_opcodes	= IO2_OP_LAST,
		.nr_register_opcodes	= IOURING2_REGISTER_LAST,
		.feature_flags		= IO2_FEATURES,
		.ring_setup_flags	= IO2_SETUP_FLAGS,
		.enter_flags		= IO2_ENTER_FLAGS,
		.sqe_flags		= io2_op_sqe_flags(),
		.nr_query_opcodes	= nr_kinds,
	};
	return sizeof(r->opcodes);
}

/* The header is the same for all sizes: that of the smallest ring will do. */
static size_t query_scq(union query_result *r, unsigned int nr_kinds)
{
	struct iouring2_params p = { .sq_entries = 1, .cq_entries = 1 };
	struct io2_layout l;

	io2_layout_make(&l, &p);
	r->scq = (struct iouring2_query_scq) {
		.hdr_size	= l.sq_array,
		.hdr_alignment	= SMP_CACHE_BYTES,
	};
	return sizeof(r->scq);
}

/*
 * The kinds of queries. Those without a function are about features that the
 * module does not have.
 */
static size_t (*const kinds[])(union query_result *r, unsigned int nr_kinds) = {
	[IOURING2_QUERY_OPCODES]	= query_opcodes,
	[IOURING2_QUERY_SCQ]		= query_scq,
};

/* Return: the size of the result in @r, or a negative errno. */
static ssize_t query_answer(union query_result *r,
			    const struct iouring2_query_hdr *hdr)
{
	u32 kind = hdr->query_op;

	if (kind >= ARRAY_SIZE(kinds))
		return -EOPNOTSUPP;
	kind = array_index_nospec(kind, ARRAY_SIZE(kinds));
	if (!kinds[kind])
		return -EOPNOTSUPP;
	if (memchr_inv(hdr->__resv, 0, sizeof(hdr->__resv)) || hdr->result ||
	    !hdr->size)
		return -EINVAL;
	return kinds[kind](r, ARRAY_SIZE(kinds));
}

/* Fills a part of the caller's buffer with zeros. */
static int put_zeros(char __user *to, size_t size)
{
	static const char zeros[64];
	size_t n;

	for (; size; size -= n, to += n) {
		n = min(size, sizeof(zeros));
		if (copy_to_user(to, zeros, n))
			return -EFAULT;
	}
	return 0;
}

/*
 * Answers one query. A query that fails says so in its own header, and the list
 * goes on. The whole of the caller's buffer is written.
 *
 * Return: 0 with the address of the next one in *@next, or a negative errno.
 */
static int query_one(void __user *uhdr, u64 *next)
{
	struct iouring2_query_hdr hdr;
	union query_result r = {};
	char __user *to;
	size_t size, len;
	ssize_t ret;

	if (copy_from_user(&hdr, uhdr, sizeof(hdr)))
		return -EFAULT;
	if (hdr.size > PAGE_SIZE)
		return -E2BIG;
	to = u64_to_user_ptr(hdr.query_data);
	size = hdr.size;
	ret = query_answer(&r, &hdr);
	/* sizeof(r): the compiler does not know how large a result is */
	len = ret < 0 ? 0 : min3(size, (size_t)ret, sizeof(r));
	hdr.result = min_t(ssize_t, ret, 0);
	hdr.size = len;
	if (copy_to_user(to, &r, len) || put_zeros(to + len, size - len) ||
	    copy_to_user(uhdr, &hdr, sizeof(hdr)))
		return -EFAULT;
	*next = hdr.next_entry;
	return 0;
}

/**
 * io2_register_query() - the REGISTER opcode QUERY
 * @ring: not used; may be NULL
 * @uarg: user address of the first struct iouring2_query_hdr, or NULL
 * @nr: must be 0
 *
 * Context: may sleep; needs no ring.
 * Return: 0; -EINVAL, -EFAULT, -E2BIG (a buffer is larger than a page), -ERANGE
 * (too many queries), -EINTR (the process is being killed). The queries before
 * the one that fails have been answered.
 */
int io2_register_query(struct io2_ring *ring, void __user *uarg, u32 nr)
{
	u64 next = (uintptr_t)uarg;
	unsigned int done = 0;
	int ret;

	if (nr)
		return -EINVAL;
	while (next) {
		ret = query_one(u64_to_user_ptr(next), &next);
		if (ret)
			return ret;
		if (++done == LIST_MAX)
			return -ERANGE;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
