// SPDX-License-Identifier: GPL-2.0-only
/* The opcodes NOP and NOP128, which complete at once. */
#include "defer.h"
#include "ops.h"
#include "reqmem.h"
#include "request.h"

#define NOP_FLAGS	(IOURING2_NOP_INJECT_RESULT | IOURING2_NOP_FILE | \
			 IOURING2_NOP_FIXED_FILE | IOURING2_NOP_FIXED_BUFFER | \
			 IOURING2_NOP_TW | IOURING2_NOP_CQE32)

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
	if (nop->flags & IOURING2_NOP_FILE)
		req->fd = sqe->fd;
	/* the same as the flag of the SQE, as in io_uring */
	if (nop->flags & IOURING2_NOP_FIXED_FILE)
		req->flags |= IOURING2_SQE_FIXED_FILE;
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

/**
 * io2_nop128_prep() - read a NOP128
 * @req: the request
 * @sqe: stable copy of its first half
 *
 * Return: as io2_nop_prep(); -EINVAL if the ring has no SQEs of 128 bytes.
 */
int io2_nop128_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	if (!io2_ring_has_big_sqes(req->ring))
		return -EINVAL;
	return io2_nop_prep(req, sqe);
}

/*
 * Gets the file and the buffer that the flags ask for.
 *
 * Return: the result. No buffer can be registered yet.
 */
static s32 nop_result(struct io2_req *req, u32 flags)
{
	int ret = 0;

	if (flags & IOURING2_NOP_FILE)
		ret = io2_req_get_file(req);
	if (!ret && (flags & IOURING2_NOP_FIXED_BUFFER))
		ret = -EFAULT;
	return ret ? : req->res;
}

static void nop_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_complete(req, b);
}

static enum io2_issue nop_issue_flags(struct io2_req *req)
{
	const struct nop_args *nop = io2_args(req, struct nop_args);
	u32 flags = nop->flags;
	s32 res = nop_result(req, flags);

	if (flags & IOURING2_NOP_CQE32)
		io2_req_set_big(req, res, nop->extra);
	else
		io2_req_set(req, res);
	if (!(flags & IOURING2_NOP_TW))
		return IO2_DONE;
	io2_req_track(req);
	req->run = nop_run;
	io2_defer(req);
	return IO2_QUEUED;
}

/**
 * io2_nop_issue() - do a NOP
 * @req: the request
 * @flags: unused
 *
 * Return: IO2_DONE, or IO2_QUEUED if it completes as deferred work.
 */
enum io2_issue io2_nop_issue(struct io2_req *req, unsigned int flags)
{
	return likely(!(req->flags & REQ_F_OP)) ? IO2_DONE :
						  nop_issue_flags(req);
}
