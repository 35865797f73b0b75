import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)
w=rd('op/rw.c')
w=w.replace('&req->rw,','rw_args(req),').replace('&req->rw;','rw_args(req);').replace('req->rw.','rw_args(req)->').replace('io2_args(req, struct rw_args)','rw_args(req)')
ra=rd('/root/house/ra')
w=sub(w,'/* --- reading the SQE ---------------------------------------------------- */\n',ra.rstrip()+'''

static __always_inline struct rw_args *rw_args(const struct io2_req *req)
{
	return io2_args(req, struct rw_args);
}

/* --- reading the SQE ---------------------------------------------------- */
''')
w=sub(w,'#include "compat/compat.h"\n#include "deferred.h"\n#include "file.h"\n#include "ops.h"\n#include "poll.h"\n#include "request.h"\n','#include "compat/compat.h"\n#include "defer.h"\n#include "file.h"\n#include "nudge.h"\n#include "ops.h"\n#include "request.h"\n')
w=w.replace('io2_worker_was_interrupted','io2_req_was_interrupted')
if 'hash.h' not in w: w=w.replace('#include "file.h"\n','#include "file.h"\n#include "hash.h"\n')
wr('op/rw.c',w)
# ops.h
o=rd('op/ops.h')
i=o.index('#include'); 
o='''/* SPDX-License-Identifier: GPL-2.0 */
/* What the table of opcodes calls, family by family. */
#ifndef IO2_OPS_H
#define IO2_OPS_H

#include "op/opdef.h"

struct io2_req;

int io2_nop_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_nop_issue(struct io2_req *req, unsigned int flags);

int io2_fsync_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_fsync_issue(struct io2_req *req, unsigned int flags);

int io2_rw_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
int io2_rwv_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_read_issue(struct io2_req *req, unsigned int flags);
enum io2_issue io2_write_issue(struct io2_req *req, unsigned int flags);
void io2_rw_cleanup(struct io2_req *req);
bool io2_rw_is_personal(const struct io2_req *req);

int io2_poll_add_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_add_issue(struct io2_req *req, unsigned int flags);
int io2_poll_remove_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_poll_remove_issue(struct io2_req *req, unsigned int flags);

int io2_timeout_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_issue(struct io2_req *req, unsigned int flags);
int io2_timeout_remove_prep(struct io2_req *req,
			    const struct iouring2_sqe *sqe);
enum io2_issue io2_timeout_remove_issue(struct io2_req *req,
					unsigned int flags);
int io2_timeout_cancel(struct io2_req *req);

int io2_cancel_prep(struct io2_req *req, const struct iouring2_sqe *sqe);
enum io2_issue io2_cancel_issue(struct io2_req *req, unsigned int flags);

#endif
'''
wr('op/ops.h',o)
d=rd('op/opdef.c')
d=sub(d,'#include "cancel.h"\n#include "opdef.h"\n#include "ops.h"\n#include "poll.h"\n#include "request.h"\n#include "timeout.h"\n','#include "op/opdef.h"\n#include "ops.h"\n')
i=d.index('const struct io2_op io2_ops')
d=d[:i]+'''/* READ and WRITE, with one buffer or many */
#define OP_READ(prep_fn, ...)						\\
	{								\\
		.prep		= prep_fn,				\\
		.issue		= io2_read_issue,			\\
		.personal	= io2_rw_is_personal,			\\
		.pollin		= 1,					\\
		.needs_file	= 1,					\\
		.uses_mm	= 1,					\\
		.ioprio		= 1,					\\
		.plug		= 1,					\\
		__VA_ARGS__						\\
	}

#define OP_WRITE(prep_fn, ...)						\\
	{								\\
		.prep		= prep_fn,				\\
		.issue		= io2_write_issue,			\\
		.personal	= io2_rw_is_personal,			\\
		.pollout	= 1,					\\
		.needs_file	= 1,					\\
		.uses_mm	= 1,					\\
		.ioprio		= 1,					\\
		.plug		= 1,					\\
		.hash_write	= 1,					\\
		__VA_ARGS__						\\
	}

const struct io2_op io2_ops[IO2_OP_LAST] = {
	[IOURING2_OP_NOP] = {
		.prep		= io2_nop_prep,
		.issue		= io2_nop_issue,
	},
	[IOURING2_OP_READV]	= OP_READ(io2_rwv_prep, .cleanup = io2_rw_cleanup),
	[IOURING2_OP_WRITEV]	= OP_WRITE(io2_rwv_prep, .cleanup = io2_rw_cleanup),
	[IOURING2_OP_READ]	= OP_READ(io2_rw_prep),
	[IOURING2_OP_WRITE]	= OP_WRITE(io2_rw_prep),
	[IOURING2_OP_FSYNC] = {
		.prep		= io2_fsync_prep,
		.issue		= io2_fsync_issue,
		.needs_file	= 1,
		.blocking	= 1,
	},
	[IOURING2_OP_POLL_ADD] = {
		.prep		= io2_poll_add_prep,
		.issue		= io2_poll_add_issue,
		.needs_file	= 1,
		.polls		= 1,
		.wake_posts	= 1,
	},
	[IOURING2_OP_POLL_REMOVE] = {
		.prep		= io2_poll_remove_prep,
		.issue		= io2_poll_remove_issue,
		.polls		= 1,
	},
	[IOURING2_OP_TIMEOUT] = {
		.prep		= io2_timeout_prep,
		.issue		= io2_timeout_issue,
	},
	[IOURING2_OP_TIMEOUT_REMOVE] = {
		.prep		= io2_timeout_remove_prep,
		.issue		= io2_timeout_remove_issue,
	},
	[IOURING2_OP_ASYNC_CANCEL] = {
		.prep		= io2_cancel_prep,
		.issue		= io2_cancel_issue,
	},
};
'''
wr('op/opdef.c',d)
h=rd('op/opdef.h')
h=sub(h,' * @blocking: cannot be tried without blocking\n',' * @wake_posts: its events may be posted by who wakes it, in any context\n * @blocking: cannot be tried without blocking\n')
h=sub(h,'	u8		blocking:1;\n','	u8		wake_posts:1;\n	u8		blocking:1;\n')
wr('op/opdef.h',h)
n=rd('op/nop.c'); n=sub(n,'#include "ops.h"\n#include "request.h"\n','#include "ops.h"\n#include "req.h"\n'); wr('op/nop.c',n)
m=rd('main.c')
m=sub(m,'#include "counters.h"\n#include "coverage.h"\n#include "deferred.h"\n#include "opdef.h"\n#include "register.h"\n#include "request.h"\n','#include "debug/counters.h"\n#include "debug/coverage.h"\n#include "defer.h"\n#include "op/opdef.h"\n#include "register.h"\n#include "reqmem.h"\n')
m=m.replace('io2_request_init','io2_reqmem_init').replace('io2_request_exit','io2_reqmem_exit').replace('err_deferred','err_defer').replace('err_request','err_reqmem')
wr('main.c',m)
s=rd('setup.c'); s=s.replace('#include "fault.h"\n','#include "debug/fault.h"\n'); wr('setup.c',s)
r=rd('register.c'); r=r.replace('#include "opdef.h"\n','#include "op/opdef.h"\n'); wr('register.c',r)
for f in ('debug/fault.c','debug/coverage.c','debug/counters.c','region.c','file.c','compat/compat.c','compat/compat.h','fdinfo.c','wait.c','register.h','setup.h'):
    print(f,re.findall(r'#include "[^"]+"',rd(f)))
k=rd('../Kbuild')
i=k.index('iouring2-y :='); j=k.index('iouring2-version')
k=k[:i]+'''iouring2-y := \\
	module/main.o module/setup.o module/ring.o module/wait.o module/submit.o \\
	module/register.o module/fdinfo.o module/turn.o \\
	module/request.o module/poll.o module/worker.o module/deferred.o \\
	module/cq.o module/cancel.o module/submitter.o module/region.o \\
	module/key.o \\
	module/reqmem.o module/hash.o module/defer.o module/count.o \\
	module/nudge.o module/file.o \\
	module/op/opdef.o module/op/nop.o module/op/rw.o module/op/sync.o \\
	module/op/poll.o module/op/timeout.o module/op/cancel.o \\
	module/debug/counters.o module/compat/compat.o
iouring2-$(IOURING2_DEBUG:1=y) += module/debug/fault.o
iouring2-$(IOURING2_COVERAGE:1=y) += module/debug/coverage.o

'''+k[j:]
k=k.replace('module/coverage','module/debug/coverage')
k=sub(k,"ccflags-y := -DIOURING2_VERSION='\"$(iouring2-version)\"'\n","ccflags-y := -DIOURING2_VERSION='\"$(iouring2-version)\"' -I$(src)/module\n")
wr('../Kbuild',k)
