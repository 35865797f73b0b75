// SPDX-License-Identifier: GPL-2.0-only
/* The opcode NOP, which completes at once. */
#include "ops.h"
#include "req.h"

#define NOP_FLAGS	(IOURING2_NOP_INJECT_RESULT | IOURING2_NOP_CQE32)

/**
 * struct nop_args - arguments of a NOP that has flags
 * @extra: the second half of its CQE, with IOURING2_NOP_CQE32
 * @flags: IOURING2_NOP_*
 *
 * Lifetime: that of the request; constant after prep. A NOP without flags does
 * not touch them.
 */
struct nop_args {
	u64			extra[2];
	u32			flags;
};

static int nop_prep_flags(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	struct nop_args *nop = io2_args(req, struct nop_args);

	nop->flags = sqe->nop_flags;
	if (nop->flags & ~NOP_FLAGS)
		return -EINVAL;
	if (nop->flags & IOURING2_NOP_INJECT_RESULT)
		req->res = sqe->len;
	if (nop->flags & IOURING2_NOP_CQE32) {
		if (!io2_ring_has_big_cqes(req->ring))
			return -EINVAL;
		nop->extra[0] = sqe->off;
		nop->extra[1] = sqe->addr;
	}
	req->flags |= REQ_F_OP;
	return 0;
}

/**
 * io2_nop_prep() - read a NOP
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0, or -EINVAL for an unknown flag, or for IOURING2_NOP_CQE32 if the
 * ring has no entries of 32 bytes.
 */
int io2_nop_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	return likely(!sqe->nop_flags) ? 0 : nop_prep_flags(req, sqe);
}

static enum io2_issue nop_issue_flags(struct io2_req *req)
{
	const struct nop_args *nop = io2_args(req, struct nop_args);

	if (nop->flags & IOURING2_NOP_CQE32)
		return io2_req_set_big(req, req->res, nop->extra);
	return io2_req_set(req, req->res);
}

/**
 * io2_nop_issue() - do a NOP
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE.
 */
enum io2_issue io2_nop_issue(struct io2_req *req, unsigned int flags)
{
	return likely(!(req->flags & REQ_F_OP)) ? IO2_DONE :
						  nop_issue_flags(req);
}
