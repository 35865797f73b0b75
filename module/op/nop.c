// SPDX-License-Identifier: GPL-2.0-only
/* The opcode NOP, which completes at once. */
#include "ops.h"
#include "req.h"

#define NOP_FLAGS	IOURING2_NOP_INJECT_RESULT

/**
 * io2_nop_prep() - read a NOP
 * @req: the request
 * @sqe: stable copy
 *
 * Return: 0, or -EINVAL for an unknown flag.
 */
int io2_nop_prep(struct io2_req *req, const struct iouring2_sqe *sqe)
{
	if (sqe->nop_flags & ~NOP_FLAGS)
		return -EINVAL;
	req->res = sqe->nop_flags & IOURING2_NOP_INJECT_RESULT ?
		   (s32)sqe->len : 0;
	return 0;
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
	return io2_req_set(req, req->res);
}
