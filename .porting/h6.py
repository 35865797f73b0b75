import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)
rq=open('/work/main/module/request.h').read()
def piece(name, nxt):
    i=rq.index('/**\n * struct %s -'%name); j=rq.index('/**\n * struct %s -'%nxt); return rq[i:j]
# cq.c
c=rd('cq.c')
c=sub(c,'#include "compat/compat.h"\n#include "cancel.h"\n#include "cq.h"\n#include "deferred.h"\n#include "request.h"\n#include "timeout.h"\n','#include "compat/compat.h"\n#include "count.h"\n#include "cq.h"\n#include "defer.h"\n#include "hash.h"\n#include "reqmem.h"\n#include "ring.h"\n')
wr('cq.c',c)
u=rd('submit.c')
u=sub(u,'#include "compat/compat.h"\n#include "cancel.h"\n#include "counters.h"\n#include "cq.h"\n#include "deferred.h"\n#include "request.h"\n','#include "compat/compat.h"\n#include "cq.h"\n#include "deferred.h"\n#include "hash.h"\n#include "reqmem.h"\n#include "request.h"\n')
u=sub(u,'io2_req_cache_fill(ring)','io2_req_cache_fill(ring, io2_cq_retired(ring))')
wr('submit.c',u)
# poll
s=rd('poll.c')
s=re.sub(r'/\* --- POLL_ADD -+ \*/\n+','',s)
i=s.index('/* --- POLL_REMOVE'); s=s[:i].rstrip()+'\n'
s=sub(s,'''/* events that are reported whether or not they were asked for */
#define POLL_ALWAYS	(EPOLLERR | EPOLLHUP)

/* what a poll request may ask for, besides the modifiers */
#define POLL_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | \\
			 EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | \\
			 EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP | EPOLLNVAL)

static void poll_add_run(struct io2_req *req, struct io2_batch *b);

''','''/* events that are reported whether or not they were asked for */
#define POLL_ALWAYS	(EPOLLERR | EPOLLHUP)

''')
s=s.replace('POLL_EVENTS','IO2_POLL_EVENTS')
def cutfn(s,start,end):
    i=s.index(start); j=s.index(end,i); return s[:i]+s[j:], s[i:j]
s,take=cutfn(s,'static bool poll_take(','/*\n * The queue goes away (POLLFREE)')
s=re.sub(r'\bpoll_take\(','io2_poll_take(',s); s=re.sub(r'\bpoll_let_go\(','io2_poll_let_go(',s); s=re.sub(r'\bpoll_is_canceled\(','io2_poll_is_canceled(',s)
take=re.sub(r'static bool poll_','static inline bool io2_poll_',take)
take=sub(take,'static inline bool io2_poll_take(','''/**
 * io2_poll_take() - become the owner of a request that waits for its file
 * @poll: its poll
 * @note: IO2_POLL_*, for the owner, if there is one already
 *
 * Context: any.
 * Return: whether the caller owns it now.
 */
static inline bool io2_poll_take(''')
take=sub(take,'static inline bool io2_poll_is_canceled(','''/**
 * io2_poll_is_canceled() - is a request that waits for its file to end?
 * @poll: its poll
 *
 * Context: any.
 * Return: whether somebody has cancelled it.
 */
static inline bool io2_poll_is_canceled(''')
take=sub(take,'/* The owner lets go.  Return: false if there is a note to look at first. */','''/**
 * io2_poll_let_go() - leave a request to its wake-ups
 * @poll: its poll; owned by the caller
 *
 * Context: any.
 * Return: false if there is a note to look at first: the caller still owns it.
 */''')
s=sub(s,'''	if (req->run != poll_add_run || poll->nr != 1 || req->link)
		return false;''','''	if (!io2_req_op(req)->wake_posts || poll->nr != 1 || req->link)
		return false;''')
# report is for multishot: only POLL_ADD today
s=sub(s,'/* After this no wake-up runs or will run for @req; the caller owns it. */\nstatic void poll_leave_queues(','''/**
 * io2_poll_leave_queues() - be woken no more
 * @req: owned by the caller
 *
 * After this no wake-up runs or will run for it.
 *
 * Context: task context.
 */
void io2_poll_leave_queues(''')
s=s.replace('\tpoll_leave_queues(','\tio2_poll_leave_queues(')
s=sub(s,'/* The same, and it is not found any more by who cancels. */\nstatic void poll_disarm(','''/**
 * io2_poll_disarm() - the same, and not be found any more by who cancels
 * @req: owned by the caller
 *
 * Context: task context; inflight_lock not held.
 */
void io2_poll_disarm(''')
s=sub(s,'static __poll_t poll_check(','''/**
 * io2_poll_check() - ask a request's file for its events
 * @req: owned by the caller
 *
 * Context: may sleep.
 * Return: those of the events that it waits for that are there.
 */
__poll_t io2_poll_check(''')
s=sub(s,'''/*
 * Arms @req, which the caller owns.  Return: 0 when armed or handed over (not
 * to be touched again), else the events that are there, else a negative errno;
 * then it is not armed.  If it was in the hash before, it still is.
 */
static int poll_arm(''','''/**
 * io2_poll_arm() - have a request wait for its file
 * @req: tracked, owned by the caller, with poll.events and run
 * @multishot: wait, even if there is an event already
 *
 * Context: task context.
 * Return: 0 when armed or handed over (not to be touched again), else the events
 * that are there, else a negative errno; then it is not armed.  If it was in the
 * hash before, it still is.
 */
int io2_poll_arm(''')
s=s.replace('= poll_arm(','= io2_poll_arm(')
s=sub(s,' * Requests armed on the wait queues of their file: POLL_ADD, and any request\n * that would have blocked on a file that can be polled.\n',' * Requests armed on the wait queues of their file: POLL_ADD (op/poll.c), and any\n * request that would have blocked on a file that can be polled.\n') if ' * Requests armed on the wait queues of their file: POLL_ADD, and any request\n' in s else s
s=sub(s,'#include "compat/compat.h"\n#include "cancel.h"\n#include "cq.h"\n#include "deferred.h"\n#include "file.h"\n#include "poll.h"\n#include "request.h"\n#include "worker.h"\n','#include "compat/compat.h"\n#include "cq.h"\n#include "defer.h"\n#include "hash.h"\n#include "poll.h"\n#include "request.h"\n')
wr('poll.c',s)
wr('poll.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Arming requests on their files. */
#ifndef IO2_POLL_H
#define IO2_POLL_H

#include <linux/poll.h>

#include "req.h"

/* what a poll request may ask for, besides the modifiers */
#define IO2_POLL_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP | \\
			 EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | \\
			 EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP | EPOLLNVAL)

'''+take.rstrip()+'''

int io2_poll_arm(struct io2_req *req, bool multishot);
void io2_poll_leave_queues(struct io2_req *req);
void io2_poll_disarm(struct io2_req *req);
__poll_t io2_poll_check(struct io2_req *req);
bool io2_poll_is_ready(const struct io2_req *req);
enum io2_issue io2_poll_arm_for_op(struct io2_req *req);
int io2_poll_cancel(struct io2_req *req);

#endif
''')
# op/poll.c
o=rd('op/poll.c')
o=o.replace('POLL_EVENTS','IO2_POLL_EVENTS')
for a,b in (('poll_take(','io2_poll_take('),('poll_let_go(','io2_poll_let_go('),('poll_is_canceled(','io2_poll_is_canceled('),('poll_leave_queues(','io2_poll_leave_queues('),('poll_disarm(','io2_poll_disarm('),('poll_check(','io2_poll_check('),('poll_arm(','io2_poll_arm(')):
    o=re.sub(r'\b'+re.escape(a),b,o)
o=o.replace('struct io2_poll_rem','struct poll_remove_args')
o=o.replace('struct poll_remove_args *rem = &req->poll_rem;','struct poll_remove_args *rem =\n\t\tio2_args(req, struct poll_remove_args);')
o='''// SPDX-License-Identifier: GPL-2.0
/* POLL_ADD and POLL_REMOVE. */
#include "cq.h"
#include "defer.h"
#include "file.h"
#include "hash.h"
#include "ops.h"
#include "poll.h"
#include "request.h"

#define POLL_UPDATES	(IOURING2_POLL_UPDATE_EVENTS | \\
			 IOURING2_POLL_UPDATE_USER_DATA)

'''+piece('io2_poll_rem','io2_cancel').replace('io2_poll_rem','poll_remove_args')+'/* --- POLL_ADD ------------------------------------------------------------ */\n\n'+o
o=sub(o,'/**\n * io2_poll_remove_prep()','/* --- POLL_REMOVE --------------------------------------------------------- */\n\n/**\n * io2_poll_remove_prep()')
wr('op/poll.c',o)
# timeout
t=rd('op/timeout.c')
t=t.replace('struct io2_timeout_rem','struct timeout_remove_args').replace('struct io2_timeout','struct timeout_args')
t=t.replace('struct timeout_args *t = &req->timeout;','struct timeout_args *t = io2_args(req, struct timeout_args);')
t=t.replace('struct timeout_remove_args *rem = &req->timeout_rem;','struct timeout_remove_args *rem =\n\t\tio2_args(req, struct timeout_remove_args);')
t=t.replace('&req->timeout.timer','&req->timer.timer').replace('&victim->timeout.timer','&victim->timer.timer')
t=sub(t,'''	struct io2_req *req = container_of(timer, struct io2_req,
					   timeout.timer);
''','''	struct io2_req *req = container_of(timer, struct io2_req, timer.timer);
''')
t=sub(t,'''static void timeout_setup(struct timeout_args *t)
{
	hrtimer_setup(&t->timer, timeout_fn, timeout_clock(t),
		      timeout_mode(t->flags));
}''','''static void timeout_setup(struct io2_req *req)
{
	const struct timeout_args *t = io2_args(req, struct timeout_args);

	hrtimer_setup(&req->timer.timer, timeout_fn, timeout_clock(t),
		      timeout_mode(t->flags));
}''')
t=t.replace('	timeout_setup(t);','	timeout_setup(req);')
t=t.replace('hrtimer_start(&t->timer, t->time','hrtimer_start(&req->timer.timer, t->time')
t=sub(t,'''	if (res != -ETIME ||
	    !(req->timeout.flags & IOURING2_TIMEOUT_ETIME_SUCCESS))''','''	if (res != -ETIME || !(t->flags & IOURING2_TIMEOUT_ETIME_SUCCESS))''')
t=sub(t,'''static void timeout_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	struct io2_ring *ring = req->ring;
''','''static void timeout_finish(struct io2_req *req, s32 res, struct io2_batch *b)
{
	const struct timeout_args *t = io2_args(req, struct timeout_args);
	struct io2_ring *ring = req->ring;
''')
t=t.replace('INIT_LIST_HEAD(&t->node);','INIT_LIST_HEAD(&req->timer.node);').replace('io2_counted_add(req);','io2_counted_add(req, t->count);')
ta=piece('io2_timeout','io2_timeout_rem'); tr=piece('io2_timeout_rem','io2_poll_rem')
ta='''/**
 * struct timeout_args - what TIMEOUT was asked to do
 * @time: when, or how long
 * @count: completions to wait for, or repeats of a multishot
 * @flags: IOURING2_TIMEOUT_*
 * @stopped: a multishot that was cancelled: it fires no more; under inflight_lock
 */
struct timeout_args {
	ktime_t			time;
	u32			count;
	u16			flags;
	bool			stopped;
};

'''
tr=tr.replace('io2_timeout_rem','timeout_remove_args').replace('data of TIMEOUT_REMOVE','what TIMEOUT_REMOVE was asked to do')
i=t.index('#include'); j=t.index('static clockid_t timeout_clock')
defs=t[t.index('#define TIMEOUT_CLOCKS'):t.index('static clockid_t timeout_clock')]
t=t[:i]+'''#include <linux/hrtimer.h>
#include <linux/ktime.h>

#include "compat/compat.h"
#include "count.h"
#include "cq.h"
#include "defer.h"
#include "hash.h"
#include "ops.h"
#include "request.h"
#include "time.h"

'''+defs.rstrip()+'\n\n'+ta+tr+t[j:]
wr('op/timeout.c',t)
if os.path.exists('timeout.h'): os.remove('timeout.h')
# rw
w=rd('op/rw.c')
w=w.replace('struct io2_rw ','struct rw_args ').replace('struct rw_args *rw = &req->rw;','struct rw_args *rw = io2_args(req, struct rw_args);')
ra=piece('io2_rw','io2_sync').replace('struct io2_rw ','struct rw_args ')
print(re.findall(r'.*req->rw\b.*',w))
print(w[w.index('#include'):w.index('#include')+900])
wr('op/rw.c',w); wr('/root/house/ra',ra)
sy=rd('op/sync.c')
sy=sy.replace('struct io2_sync *sync = &req->sync;','struct sync_args *sync = io2_args(req, struct sync_args);')
sy=sub(sy,'#include "ops.h"\n#include "request.h"\n#include "worker.h"\n','#include "ops.h"\n#include "req.h"\n#include "worker.h"\n\n'+piece('io2_sync','io2_timeout').replace('struct io2_sync ','struct sync_args ').replace('data of FSYNC','what FSYNC was asked to do').rstrip()+'\n')
wr('op/sync.c',sy)
