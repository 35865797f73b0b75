import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)
# reqmem: fewer exports
c=rd('reqmem.c')
c=sub(c,'''/**
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
bool io2_req_may_close_file(''','''/*
 * A task that leaves the ring, or ends it, closes a file itself: on its way out of
 * the kernel, which is soon.  For everybody else a work item does.
 */
static bool req_may_close_file(''')
c=sub(c,'''/**
 * io2_req_detach_file() - have a work item close a request's file
 * @req: has the last reference of its file
 *
 * The close of some files has to wait for a peer or a server, which may take its
 * time: nothing of the ring waits for that.
 *
 * Context: may sleep.
 * Return: false if the request has to wait for it; the file is still there then.
 */
bool io2_req_detach_file(''','''/*
 * The close of some files has to wait for a peer or a server, which may take its
 * time: nothing of the ring waits for that.
 *
 * Return: false if the request has to wait for it; the file is still there then.
 */
static bool req_detach_file(''')
c=sub(c,'''/**
 * io2_req_release_force()''','''/**
 * io2_req_close_file() - close a request's file, or have it closed
 * @req: has the last reference of its file
 * @ctx: who current is
 *
 * Context: task context, may sleep.
 * Return: false if the request has to wait for that; the file is still there then.
 */
bool io2_req_close_file(struct io2_req *req, enum io2_ctx ctx)
{
	if (!req_may_close_file(req, ctx))
		return req_detach_file(req);
	fput(io2_req_take_file(req));
	return true;
}

/**
 * io2_req_release_force()''')
wr('reqmem.c',c)
h=rd('reqmem.h')
h=sub(h,'''bool io2_req_may_close_file(const struct io2_req *req, enum io2_ctx ctx);
struct file *io2_req_take_file(struct io2_req *req);
bool io2_req_detach_file(struct io2_req *req);
''','''struct file *io2_req_take_file(struct io2_req *req);
bool io2_req_close_file(struct io2_req *req, enum io2_ctx ctx);
''')
h=sub(h,''' * Return: false if that would close the file, and current must not; the file and
 * the submitter are still there then.
 */
static __always_inline bool io2_req_release(struct io2_req *req, enum io2_ctx ctx)
{
	io2_req_free_data(req);
	if (unlikely(!io2_req_put_file(req))) {
		if (io2_req_may_close_file(req, ctx))
			fput(io2_req_take_file(req));
		else if (!io2_req_detach_file(req))
			return false;
	}
	io2_req_drop_submitter(req);
''',''' * Return: false if the request has to wait for its file to be closed; the file and
 * the submitter are still there then.
 */
static __always_inline bool io2_req_release(struct io2_req *req,
					    enum io2_ctx ctx)
{
	io2_req_free_data(req);
	if (unlikely(!io2_req_put_file(req)) && !io2_req_close_file(req, ctx))
		return false;
	io2_req_drop_submitter(req);
''')
wr('reqmem.h',h)

# hash
s=rd('hash.c')
i=s.index('static void hash_set_bits')
s='''// SPDX-License-Identifier: GPL-2.0
/*
 * The requests of a ring that can be cancelled, by user_data, each with a note of
 * where it waits.  The table grows with the number of requests.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hash.h"
#include "req.h"
#include "ring.h"

'''+s[i:]
wr('hash.c',s)
ch=rd('cancel.h')
i=ch.index('/**\n * io2_hash_make_room()'); j=ch.index('#endif',i)
room=ch[i:j].rstrip()
wr('hash.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Requests that can be cancelled, by user_data. */
#ifndef IO2_HASH_H
#define IO2_HASH_H

#include <linux/hash.h>

#include "req.h"
#include "ring.h"

void io2_hash_init(struct io2_ring *ring);
void io2_hash_grow(struct io2_ring *ring);
void io2_hash_free(struct io2_ring *ring);
bool io2_hash_add(struct io2_req *req, enum io2_armed armed);
void io2_hash_running(struct io2_req *req);
bool io2_hash_begin(struct io2_req *req);
void io2_hash_rename(struct io2_req *req, u64 user_data);
void io2_hash_del(struct io2_req *req);
void io2_unhash(struct io2_req *req);
struct io2_req *io2_hash_find(struct io2_ring *ring, u64 user_data,
			      enum io2_armed armed);

/**
 * io2_hash_bucket() - where requests with some user_data are
 * @ring: the ring
 * @user_data: theirs
 *
 * Context: inflight_lock held.
 * Return: the bucket.
 */
static inline struct hlist_head *io2_hash_bucket(struct io2_ring *ring,
						 u64 user_data)
{
	return &ring->hash[hash_64(user_data, ring->hash_bits)];
}

'''+room+'''

/**
 * io2_req_was_interrupted() - was it cancelled while somebody ran it?
 * @req: the request
 *
 * Context: inflight_lock held for an answer that stays true.
 * Return: whether it was.
 */
static inline bool io2_req_was_interrupted(const struct io2_req *req)
{
	return READ_ONCE(req->pool_state) == IO2_POOL_INTERRUPTED;
}

#endif
''')
wr('cancel.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Cancelling: which requests, and how each of them is told to end. */
#ifndef IO2_CANCEL_H
#define IO2_CANCEL_H

#include <linux/types.h>

struct file;
struct io2_req;
struct io2_ring;
struct mm_struct;

/**
 * struct io2_cancel_match - what to cancel
'''+'''@@BODY@@
int io2_cancel_matching(struct io2_ring *ring,
			const struct io2_cancel_match *m);
void io2_cancel_armed(struct io2_ring *ring, void *files);
void io2_cancel_mm(struct io2_ring *ring, struct mm_struct *mm);
void io2_cancel_drained(struct io2_ring *ring, void *files);

#endif
''')
s=rd('cancel.c')
i=s.index('/**\n * struct cancel_match'); j=s.index('static bool cancel_by_user_data')
body=s[i:j]; s=s[:i]+s[j:]
body=body.split('\n',2)[2]
h=rd('cancel.h'); body=body.replace('struct cancel_match {','struct io2_cancel_match {').rstrip()+'\n'
h=h.replace('@@BODY@@',body); wr('cancel.h',h)
s=s.replace('struct cancel_match','struct io2_cancel_match')
s=s.replace('static int cancel_matching(struct io2_ring *ring, const struct io2_cancel_match *m)','int io2_cancel_matching(struct io2_ring *ring,\n\t\t\tconst struct io2_cancel_match *m)')
s=s.replace('\tcancel_matching(ring, &m)','\tio2_cancel_matching(ring, &m)')
s=sub(s,'''/*
 * Return: with ALL or ANY the number found; else 0, -ENOENT when there is
 * no such request, -EALREADY when it is too late.
 */''','''/**
 * io2_cancel_matching() - cancel requests of a ring
 * @ring: the ring
 * @m: which
 *
 * Context: task context, does not sleep; inflight_lock not held.
 * Return: with ALL or ANY the number found; else 0, -ENOENT when there is
 * no such request, -EALREADY when it is too late.
 */''')
i=s.index('#define CANCEL_FLAGS'); j=s.index('static bool cancel_by_user_data')
s=s[:i]+s[j:]
s=sub(s,'''#include <linux/file.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "cancel.h"
#include "compat/compat.h"
#include "counters.h"
#include "cq.h"
#include "deferred.h"
#include "poll.h"
#include "request.h"
#include "submitter.h"
#include "timeout.h"
#include "worker.h"
''','''#include <linux/fs.h>

#include "cancel.h"
#include "cq.h"
#include "hash.h"
#include "op/ops.h"
#include "poll.h"
#include "reqmem.h"
#include "request.h"
#include "ring.h"
#include "submitter.h"
#include "worker.h"
''')
wr('cancel.c',s)
# op/cancel.c
s=rd('op/cancel.c')
rq=open('/work/main/module/request.h').read()
def piece(name, nxt):
    i=rq.index('/**\n * struct %s -'%name); j=rq.index('/**\n * struct %s -'%nxt); return rq[i:j]
s='''// SPDX-License-Identifier: GPL-2.0
/* ASYNC_CANCEL. */
#include <linux/file.h>

#include "../cancel.h"
#include "../compat/compat.h"
#include "../debug/counters.h"
#include "../req.h"
#include "../reqmem.h"
#include "ops.h"

#define CANCEL_FLAGS	(IOURING2_ASYNC_CANCEL_ALL | IOURING2_ASYNC_CANCEL_FD | \\
			 IOURING2_ASYNC_CANCEL_ANY | \\
			 IOURING2_ASYNC_CANCEL_USERDATA | \\
			 IOURING2_ASYNC_CANCEL_OP)

'''+piece('io2_cancel','io2_req').replace('struct io2_cancel -','struct cancel_args -').replace('struct io2_cancel {','struct cancel_args {')+s
s=s.replace('struct io2_cancel *cancel = &req->cancel;','struct cancel_args *cancel = io2_args(req, struct cancel_args);')
s=s.replace('	struct file *file = io2_req_lookup(req, req->cancel.fd);\n','	const struct cancel_args *cancel = io2_args(req, struct cancel_args);\n	struct file *file = io2_req_lookup(req, cancel->fd);\n')
s=s.replace('''	struct cancel_match m = {
		.flags = req->cancel.flags,
		.user_data = req->cancel.user_data,
		.opcode = req->cancel.opcode,
		.self = req,''','''	const struct cancel_args *cancel = io2_args(req, struct cancel_args);
	struct io2_cancel_match m = {
		.flags = cancel->flags,
		.user_data = cancel->user_data,
		.opcode = cancel->opcode,
		.self = req,''')
s=s.replace('cancel_matching(req->ring, &m)','io2_cancel_matching(req->ring, &m)')
wr('op/cancel.c',s)

# count
s=rd('count.c')
s='''// SPDX-License-Identifier: GPL-2.0
/* Timeouts that wait for a number of completions. */
#include <linux/hrtimer.h>
#include <linux/list.h>

#include "count.h"
#include "defer.h"
#include "hash.h"
#include "req.h"
#include "ring.h"

'''+s
s=sub(s,'static void io2_counted_del(','''/**
 * io2_counted_del() - a timeout waits for completions no more, if it did
 * @req: the timeout
 *
 * Context: inflight_lock held.
 */
void io2_counted_del(''')
s=sub(s,'''/* Sorted by target, soonest first. */
static void io2_counted_add(struct io2_req *req)
{
	struct io2_timeout *t = &req->timeout;
	struct io2_ring *ring = req->ring;''','''/**
 * io2_counted_add() - have a timeout wait for completions, too
 * @req: the timeout
 * @count: for so many from now on
 *
 * The list is sorted by target, soonest first.
 *
 * Context: inflight_lock held.
 */
void io2_counted_add(struct io2_req *req, u32 count)
{
	struct io2_timer *t = &req->timer;
	struct io2_ring *ring = req->ring;''')
s=s.replace('min_t(u32, t->count, S32_MAX)','min_t(u32, count, S32_MAX)').replace('timeout.node','timer.node').replace('timeout.target','timer.target').replace('timeout.timer','timer.timer')
wr('count.c',s)
wr('count.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Timeouts that wait for a number of completions. */
#ifndef IO2_COUNT_H
#define IO2_COUNT_H

#include <linux/types.h>

struct io2_req;
struct io2_ring;

void io2_counted_add(struct io2_req *req, u32 count);
void io2_counted_del(struct io2_req *req);
void io2_counted_expire(struct io2_ring *ring);

#endif
''')
# time.h
s=rd('time.h')
s=s.replace('int io2_timespec(','static inline int io2_timespec(').replace('ktime_t io2_host_time(','static inline ktime_t io2_host_time(')
wr('time.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Times as applications give them. */
#ifndef IO2_TIME_H
#define IO2_TIME_H

#include <linux/ktime.h>
#include <linux/time64.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>

'''+s.rstrip()+'\n\n#endif\n')
# nudge
s=rd('nudge.c')
s='''// SPDX-License-Identifier: GPL-2.0
/* Ending a task's sleep without a signal: now, or when some time is over. */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "nudge.h"

#define BREAK_AGAIN	(10 * NSEC_PER_MSEC)	/* it may not have been asleep */

'''+s
s=sub(s,'static enum hrtimer_restart breaker_fn','/* --- the breaker ---------------------------------------------------------- */\n\nstatic enum hrtimer_restart breaker_fn')
wr('nudge.c',s)
t=rd('turn.h')
i=t.index('/**\n * struct io2_breaker'); j=t.index('void io2_breaker_start')
br=t[i:j]; t=t[:i]+t[j:]
t=sub(t,'''void io2_breaker_start(struct io2_breaker *br, ktime_t expires);
void io2_breaker_stop(struct io2_breaker *br);
void io2_park(struct io2_req *req, struct io2_batch *b,
	      void (*run)(struct io2_req *req, struct io2_batch *b));
''','')
t=sub(t,'''#include <linux/hrtimer.h>
#include <linux/ktime.h>

#include "ring.h"

struct io2_batch;
struct io2_req;
''','''#include <linux/ktime.h>

#include "ring.h"
''')
wr('turn.h',t)
wr('nudge.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Ending a task's sleep without a signal. */
#ifndef IO2_NUDGE_H
#define IO2_NUDGE_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>

struct task_struct;

'''+br+'''void io2_nudge(struct task_struct *task);
void io2_nudge_sleeper(struct task_struct *task);
void io2_unnudge(void);
void io2_breaker_start(struct io2_breaker *br, ktime_t expires);
void io2_breaker_stop(struct io2_breaker *br);

#endif
''')
# turn.c
s=rd('turn.c')
s=s.replace('#define BREAK_AGAIN	(10 * NSEC_PER_MSEC)	/* it may not have been asleep */\n\n','')
s=re.sub(r'/\* --- the breaker -+ \*/\n+','',s); s=re.sub(r'/\* --- parking -+ \*/\n+','',s); s=re.sub(r'/\* --- the turn -+ \*/\n+','',s)
s=s.replace('#include "compat/compat.h"\n#include "cancel.h"\n#include "cq.h"\n#include "deferred.h"\n#include "request.h"\n#include "submitter.h"\n#include "turn.h"\n#include "wait.h"\n#include "worker.h"\n','#include "compat/compat.h"\n#include "cq.h"\n#include "nudge.h"\n#include "request.h"\n#include "submitter.h"\n#include "turn.h"\n#include "worker.h"\n')
s=s.replace('\t\tpark_tell(ring);','\t\tio2_park_tell(ring);')
wr('turn.c',s)
