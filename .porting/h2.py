import re
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def cut(s,a,b):
    i=s.index(a); j=s.index(b,i); return s[:i]+s[j:], s[i:j]
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)

# ---------------- req.h
s=rd('req.h')
s,rw=cut(s,'/**\n * struct io2_rw -','/**\n * struct io2_req -')
def piece(name, nxt):
    i=rw.index('/**\n * struct %s -'%name)
    j=rw.index('/**\n * struct %s -'%nxt) if nxt else len(rw)
    return rw[i:j]
P={n:piece(n,x) for n,x in (('io2_rw','io2_sync'),('io2_sync','io2_timeout'),('io2_timeout','io2_timeout_rem'),('io2_timeout_rem','io2_poll_rem'),('io2_poll_rem','io2_cancel'),('io2_cancel',None))}
s=sub(s,'''/**
 * struct io2_req - one request''','''/**
 * struct io2_timer - a request that waits for a time, or for others to complete
 * @timer: fires in interrupt context
 * @node: in ring->counted, if it waits for completions; under inflight_lock
 * @target: ring->cq_events at which it has waited for enough; under inflight_lock
 */
struct io2_timer {
	struct hrtimer		timer;
	struct list_head	node;
	u32			target;
};

/* bytes of an opcode's arguments */
#define IO2_ARGS_SIZE		40

/**
 * struct io2_req - one request''')
s=sub(s,''' * @close: closes its file, once it has its result
 * @poll: armed on its file
 * @io: READ, WRITE, READV, WRITEV while it is tried
 * @sync: of FSYNC
 * @timeout: of TIMEOUT
 * @timeout_rem: of TIMEOUT_REMOVE
 * @poll_rem: of POLL_REMOVE
 * @cancel: of ASYNC_CANCEL
 * @rw: of READ, WRITE, READV, WRITEV
 *
 * As large as io_uring's, four cache lines: what is never needed together shares
 * its place.
 */''',''' * @poll: armed on its file
 * @io: while it is tried, if it reads or writes
 * @timer: waits for a time, or for completions
 * @close: closes its file, once it has its result
 * @args: what its SQE asked for; the opcode's, see io2_args()
 *
 * As large as io_uring's, four cache lines: what is never needed together shares
 * its place.
 */''')
i=s.index('	union {\n		struct {\n			union {\n				struct io2_poll	poll;'); j=s.index('static_assert(sizeof(struct io2_req)')
s=s[:i]+'''	union {
		struct io2_poll		poll;
		struct io2_io		io;
		struct io2_timer	timer;
		struct work_struct	close;
	};
	u64			args[IO2_ARGS_SIZE / sizeof(u64)];
};

'''+s[j:]
s=sub(s,'static_assert(sizeof(struct io2_req) <= 256);\n','''static_assert(sizeof(struct io2_req) <= 256);

/**
 * io2_args() - an opcode's own view of a request's arguments
 * @req: the request; its opcode must be one that has @type
 * @type: a struct that is private to the opcode's file
 *
 * Written by prep, they are there until the request has completed.
 *
 * Return: a pointer to @type.
 */
#define io2_args(req, type) ({						\\
	BUILD_BUG_ON(sizeof(type) > IO2_ARGS_SIZE);			\\
	BUILD_BUG_ON(__alignof__(type) > __alignof__(u64));		\\
	(type *)(req)->args;						\\
})
''')
s=sub(s,'''#include "op/opdef.h"
#include "submitter.h"
#include "where.h"
''','''#include "op/opdef.h"
#include "submitter.h"
''')
s=sub(s,'''/**
 * struct io2_batch -''','''/**
 * struct io2_batch -''')
s=s.replace('\n\n\n','\n\n')
wr('req.h',s)

# ---------------- request.h
fn=rd('request.h.fn')
i=fn.index('int io2_request_init(void);')
mem=fn[:i]
rest=fn[i:]
gone=['int io2_request_init(void);\n','void io2_request_exit(void);\n','int io2_req_get_file(struct io2_req *req);\n','struct file *io2_req_lookup(const struct io2_req *req, int fd);\n',
'void io2_req_release_force(struct io2_req *req);\n','bool io2_req_release_atomic(struct io2_req *req);\n','void io2_req_list_free(struct io2_req *list);\n','void io2_req_cache_put(struct io2_ring *ring, struct io2_req *req);\n','bool io2_req_cache_fill(struct io2_ring *ring);\n']
for g in gone: rest=sub(rest,g,'')
wr('request.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* What happens to a request: it is started, issued, waits, and completes. */
#ifndef IO2_REQUEST_H
#define IO2_REQUEST_H

#include "req.h"
#include "where.h"

'''+rest)
import os; os.remove('request.h.fn')

# ---------------- reqmem
c=rd('reqmem.c')
# inlines to the header
def take(c,start,end):
    i=c.index(start); j=c.index(end,i); return c[:i]+c[j:], c[i:j]
c,inl=take(c,'/* Return: false if nobody else has the file; then it is still there. */\nstatic __always_inline bool req_put_file','/**\n * io2_req_release_force()')
c=c.replace('static bool req_may_close_file(','bool io2_req_may_close_file(').replace('static struct file *req_take_file(','struct file *io2_req_take_file(').replace('static bool req_detach_file(','bool io2_req_detach_file(')
c=c.replace('req_take_file(req)','io2_req_take_file(req)').replace('struct file *io2_io2_','struct file *io2_').replace('io2_io2_','io2_')
c=c.replace('	req_free_data(req);','	io2_req_free_data(req);').replace('!req_put_file(req)','!io2_req_put_file(req)').replace('	req_drop_submitter(req);','	io2_req_drop_submitter(req);')
inl=inl.replace('req_put_file(','io2_req_put_file(').replace('req_free_data(','io2_req_free_data(').replace('req_drop_submitter(','io2_req_drop_submitter(').replace('bool req_release(','bool io2_req_release(').replace('req_may_close_file(','io2_req_may_close_file(').replace('req_take_file(','io2_req_take_file(').replace('req_detach_file(','io2_req_detach_file(')
inl=inl.replace('io2_io2_','io2_')
c=sub(c,'''/*
 * Who leaves the ring, or ends it, closes a file itself: on its way out of the
 * kernel, which is soon.  For everybody else a work item does.
 */
bool io2_req_may_close_file''','''/**
 * io2_req_may_close_file() - is current to close a request's file itself?
 * @req: has the last reference of its file
 * @ctx: who current is
 *
 * A task that leaves the ring, or ends it, does, on its way out of the kernel,
 * which is soon.  For everybody else a work item does.
 *
 * Context: task context.
 * Return: whether it is.
 */
bool io2_req_may_close_file''')
c=sub(c,'''struct file *io2_req_take_file(''','''/**
 * io2_req_take_file() - take over a request's reference of its file
 * @req: has a file, and a reference of it
 *
 * Context: any.
 * Return: the file.
 */
struct file *io2_req_take_file(''')
c=sub(c,'''/*
 * The end of some files has to wait for a peer or a server, which may take its
 * time: nothing of the ring waits for that.
 *
 * Return: false where the request had better wait; its file is there then.
 */''','''/**
 * io2_req_detach_file() - have a work item close a request's file
 * @req: has the last reference of its file
 *
 * The close of some files has to wait for a peer or a server, which may take its
 * time: nothing of the ring waits for that.
 *
 * Context: may sleep.
 * Return: false if the request has to wait for it; the file is still there then.
 */''')
c=sub(c,'''/**
 * io2_req_cache_fill() - have free requests
 * @ring: a ring without any
 *
 * Context: may sleep; uring_lock held.
 * Return: whether there are some.
 */
bool io2_req_cache_fill(struct io2_ring *ring)
{
	void *objs[REQ_BULK];
	unsigned int i, n = REQ_BULK;
	struct io2_req *req, *next;

	for (req = io2_cq_retired(ring); req; req = next) {
		next = req->next;
		io2_req_cache_put(ring, req);
	}
''','''/**
 * io2_req_cache_fill() - have free requests
 * @ring: a ring without any
 * @retired: requests that were posted meanwhile, linked by next, or NULL
 *
 * Context: may sleep; uring_lock held.
 * Return: whether there are some.
 */
bool io2_req_cache_fill(struct io2_ring *ring, struct io2_req *retired)
{
	void *objs[REQ_BULK];
	unsigned int i, n = REQ_BULK;
	struct io2_req *req, *next;

	for (req = retired; req; req = next) {
		next = req->next;
		io2_req_cache_put(ring, req);
	}
''')
c=c.replace('io2_request_init() - make the request cache','io2_reqmem_init() - make the request cache').replace('int io2_request_init(void)','int io2_reqmem_init(void)').replace('io2_request_exit() - destroy it','io2_reqmem_exit() - destroy it').replace('void io2_request_exit(void)','void io2_reqmem_exit(void)')
c='''// SPDX-License-Identifier: GPL-2.0
/*
 * What a request is made of and holds: its memory, which the ring keeps for the
 * next one, its file, and its submitter.
 */
#include <linux/file.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "defer.h"
#include "reqmem.h"
#include "ring.h"
#include "submitter.h"

#define REQ_BULK	16	/* requests allocated at a time */

static struct kmem_cache *io2_req_cache;

/* --- memory ------------------------------------------------------------ */

'''+c
c=sub(c,'''/**
 * io2_req_lookup() -''','''/* --- the file ------------------------------------------------------------- */

/**
 * io2_req_lookup() -''')
c=sub(c,'''/**
 * io2_reqmem_init() -''','''/* --- the module --------------------------------------------------------- */

/**
 * io2_reqmem_init() -''')
wr('reqmem.c',c)
h='''/* SPDX-License-Identifier: GPL-2.0 */
/* A request's memory, and what it holds: allocate, look up, release. */
#ifndef IO2_REQMEM_H
#define IO2_REQMEM_H

#include "debug/counters.h"
#include "file.h"
#include "req.h"

int io2_reqmem_init(void);
void io2_reqmem_exit(void);
void io2_req_list_free(struct io2_req *list);
void io2_req_cache_put(struct io2_ring *ring, struct io2_req *req);
bool io2_req_cache_fill(struct io2_ring *ring, struct io2_req *retired);
'''+mem.rstrip()+'''

struct file *io2_req_lookup(const struct io2_req *req, int fd);
int io2_req_get_file(struct io2_req *req);
bool io2_req_may_close_file(const struct io2_req *req, enum io2_ctx ctx);
struct file *io2_req_take_file(struct io2_req *req);
bool io2_req_detach_file(struct io2_req *req);
void io2_req_release_force(struct io2_req *req);
bool io2_req_release_atomic(struct io2_req *req);

'''+inl.rstrip()+'''

#endif
'''
h=h.replace('/* Return: false if nobody else has the file; then it is still there. */','''/**
 * io2_req_put_file() - give back a request's file
 * @req: the request
 *
 * Context: any.
 * Return: false if nobody else has the file; then it is still there.
 */''')
h=h.replace('static __always_inline void io2_req_free_data','''/**
 * io2_req_free_data() - free what the opcode has allocated
 * @req: the request
 *
 * Context: may sleep, if there is something.
 */
static __always_inline void io2_req_free_data''')
h=h.replace('static __always_inline void io2_req_drop_submitter','''/**
 * io2_req_drop_submitter() - forget who submitted a request
 * @req: the request
 *
 * Context: any.
 */
static __always_inline void io2_req_drop_submitter''')
h=h.replace('/* Return: false if that would close the file, which is not for current to do. */','''/**
 * io2_req_release() - give back all that a request holds but its own memory
 * @req: a request that will not be issued again
 * @ctx: who current is
 *
 * Context: task context, may sleep.
 * Return: false if that would close the file, and current must not; the file and
 * the submitter are still there then.
 */''')
wr('reqmem.h',h)
