import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)
s=rd('worker.c')
# appended tail: park_tell, park_add, io2_park, key_next_run, io2_key_leave
i=s.index('/* Tells the process that there is something to do for a task of it. */')
tail=s[i:]; s=s[:i].rstrip()+'\n'
k=tail.index('static void key_next_run')
park=tail[:k].rstrip(); key=tail[k:].rstrip()
park=sub(park,'''/* Tells the process that there is something to do for a task of it. */
static void park_tell(struct io2_ring *ring)''','''/**
 * io2_park_tell() - tell processes that there is something to do for a task of them
 * @ring: the ring
 *
 * Context: task context; no lock of the ring but uring_lock held.
 */
void io2_park_tell(struct io2_ring *ring)''')
park=park.replace('\t\t\tpark_tell(ring);','\t\t\tio2_park_tell(ring);')
# key
key='''/* That worker goes on with it when it has posted that one, or after what waited longer. */
'''
s=re.sub(r'/\* --- waking who sleeps -+ \*/\n+','',s)
# add_next
i=s.index('/**\n * io2_worker_add_next()'); j=s.index('/**\n * io2_worker_retry()')
s=s[:i]+'''/*
 * Has the worker that ended a request do its successor, @req, which is RUNNING: it
 * goes on with it when it has posted that one, or after what waited longer, and
 * nobody else has to be woken.  Return: false if current is no such worker.
 */
static bool worker_add_next(struct io2_req *req, struct io2_batch *b)
{
	lockdep_assert_held(&req->ring->pool_lock);
	if (b->ctx != IO2_CTX_WORKER || !b->goes_on)
		return false;
	if (b->next || req->sub->pool.nr_pending[IO2_BOUNDED]) {
		pool_append(req, IO2_BOUNDED);
	} else {
		req->pool_class = IO2_BOUNDED;
		b->next = req;
	}
	return true;
}

static void key_next_run(struct io2_req *req, struct io2_batch *b)
{
	io2_req_again(req, b);
}

/**
 * io2_worker_key_leave() - a request with an ordering key has ended: the next has it
 * @req: the head; owned by the caller
 * @b: of the caller
 *
 * Context: task context, may sleep; no lock of the ring but uring_lock held.
 */
void io2_worker_key_leave(struct io2_req *req, struct io2_batch *b)
{
	struct io2_ring *ring = req->ring;
	struct io2_key *unused = NULL;
	struct io2_req *next;

	spin_lock(&ring->pool_lock);
	next = io2_key_pass(req, &unused);
	if (next && io2_key_is_for_worker(next) && worker_add_next(next, b))
		next = NULL;
	spin_unlock(&ring->pool_lock);
	io2_key_free(unused);
	if (!next)
		return;
	/* not here: that would be as deep as there are requests */
	next->run = key_next_run;
	io2_defer(next);
}

'''+s[j:]
# park section before "/**\n * io2_workers_init()"
i=s.index('/**\n * io2_workers_init()')
s=s[:i]+'/* --- for a task of the process ------------------------------------------- */\n\n'+park+'\n\n/* --- all workers of a ring ----------------------------------------------- */\n\n'+s[i:]
s=sub(s,'	INIT_DELAYED_WORK(&ring->watch, ring_watch);\n','') 
# look after: after workers_reap
i=s.index('/* --- for the others ----')
s=s[:i]+'''/**
 * io2_workers_look_after() - see what has become of those for whom workers are busy
 * @ring: the ring
 *
 * Ends what is done for a program that is about to end.  As long as workers are
 * busy, the ring's watch is queued once more.
 *
 * Context: task context; takes pool_lock.
 * Return: the memory of a program that has been replaced by another one, with
 * mm_count held; or NULL.
 */
struct mm_struct *io2_workers_look_after(struct io2_ring *ring)
{
	struct mm_struct *replaced = NULL;
	struct io2_runner *r;
	bool busy = false;

	spin_lock(&ring->pool_lock);
	list_for_each_entry(r, &ring->runners, node) {
		if (!r->cur || !r->worker)
			continue;
		busy = true;
		if (!replaced && io2_submitter_is_replaced(r->sub)) {
			replaced = r->sub->mm;
			mmgrab(replaced);
		}
		if (io2_submitter_ends(r->sub))
			send_sig(SIGKILL, r->task, 1);
	}
	spin_unlock(&ring->pool_lock);
	if (busy)
		io2_queue_watch(ring);
	return replaced;
}

'''+s[i:]
s=sub(s,'''/**
 * io2_workers_stop() - end all workers''','''/**
 * io2_workers_stop_of_all() - the same for some submitters
 * @ring: the ring
 * @list: the submitters, linked by node; none has a request
 *
 * Context: may sleep.
 */
void io2_workers_stop_of_all(struct io2_ring *ring, struct list_head *list)
{
	struct io2_submitter *sub;

	list_for_each_entry(sub, list, node)
		workers_stop_of(ring, sub);
}

/**
 * io2_workers_stop() - end all workers''')
s=sub(s,'''/**
 * io2_workers_stop_of() - end the workers of a submitter
 * @ring: the ring
 * @sub: it has no request
 *
 * A worker may still be making another one, for a request that somebody else
 * was quicker to do; it has done so once it is stopped.
 *
 * Context: may sleep.
 */
void io2_workers_stop_of(struct io2_ring *ring, struct io2_submitter *sub)''','''/*
 * Ends the workers of @sub, or all; it has no request.  A worker may still be making
 * another one, for a request that somebody else was quicker to do; it has done so
 * once it is stopped.
 */
static void workers_stop_of(struct io2_ring *ring,
			    const struct io2_submitter *sub)''')
s=s.replace('	io2_workers_stop_of(ring, NULL);','	workers_stop_of(ring, NULL);')
s=s.replace('io2_worker_was_interrupted','io2_req_was_interrupted')
s=sub(s,'#include "compat/compat.h"\n#include "cancel.h"\n#include "counters.h"\n#include "deferred.h"\n#include "key.h"\n#include "file.h"\n#include "request.h"\n','#include "compat/compat.h"\n#include "cq.h"\n#include "debug/counters.h"\n#include "deferred.h"\n#include "hash.h"\n#include "key.h"\n#include "nudge.h"\n#include "request.h"\n')
wr('worker.c',s)
h=rd('worker.h')
i=h.index('/**\n * io2_worker_was_interrupted()'); j=h.index('void io2_nudge(')
h=h[:i]+h[j:]
for g in ('void io2_nudge(struct task_struct *task);\n','void io2_nudge_sleeper(struct task_struct *task);\n','void io2_unnudge(void);\n','void io2_pool_init(struct io2_pool *wq);\n','bool io2_worker_add_next(struct io2_req *req, struct io2_batch *b);\n','void io2_workers_stop_of(struct io2_ring *ring, struct io2_submitter *sub);\n','bool io2_submitter_has_workers(struct io2_ring *ring, const struct io2_submitter *sub);\n'):
    h=sub(h,g,'')
h=sub(h,'void io2_workers_stop(struct io2_ring *ring);\n','void io2_workers_stop_of_all(struct io2_ring *ring, struct list_head *list);\nvoid io2_workers_stop(struct io2_ring *ring);\nstruct mm_struct *io2_workers_look_after(struct io2_ring *ring);\n')
h=sub(h,'int io2_worker_cancel(struct io2_req *req, bool kill);\n','void io2_worker_key_leave(struct io2_req *req, struct io2_batch *b);\nint io2_worker_cancel(struct io2_req *req, bool kill);\nvoid io2_park(struct io2_req *req, struct io2_batch *b,\n\t      void (*run)(struct io2_req *req, struct io2_batch *b));\nvoid io2_park_tell(struct io2_ring *ring);\n')
h=sub(h,'#include "request.h"\n','#include "req.h"\n')
# IO2_PARKED/KEYED classes -> ring.h? keep in req.h
i=h.index('/* struct io2_req::pool_class of a request'); j=h.index('\n\n',i)
cls=h[i:j]; h=h[:i]+h[j+2:]
wr('worker.h',h)
r=rd('req.h')
r=sub(r,'/* struct io2_poll::state */',cls+'\n\n/* struct io2_poll::state */')
wr('req.h',r)
# key.c
k=rd('key.c')
i=k.index('/* Return: the next, if somebody has to be told'); 
k=k[:i]+'''/**
 * io2_key_pass() - a request with an ordering key has ended: the next has the key
 * @req: the head; owned by the caller
 * @unused: set to the key if nobody waits for it, for io2_key_free()
 *
 * Context: pool_lock held.
 * Return: the next, which the caller owns; or NULL.
 */
struct io2_req *io2_key_pass(struct io2_req *req, struct io2_key **unused)
{
	struct io2_key *key = req->key;
	struct io2_req *next;

	lockdep_assert_held(&req->ring->pool_lock);
	req->key = NULL;
	next = list_first_entry_or_null(&key->waiting, struct io2_req, node);
	if (!next) {
		hlist_del(&key->node);
		*unused = key;
		return NULL;
	}
	list_del_init(&next->node);
	next->key = key;
	WRITE_ONCE(next->pool_state, IO2_POOL_RUNNING);
	return next;
}

/**
 * io2_key_free() - free a key that nobody has
 * @key: the key, or NULL
 *
 * Context: any.
 */
void io2_key_free(struct io2_key *key)
{
	kfree(key);
}
'''
k=sub(k,'''static bool is_buffered_write(const struct io2_req *req)
{''','''/**
 * io2_key_is_for_worker() - is what has the key done by a worker?
 * @req: has the key
 *
 * Context: any.
 * Return: whether it is: a buffered write; others wait for their file.
 */
bool io2_key_is_for_worker(const struct io2_req *req)
{''')
k=k.replace('is_buffered_write(req)','io2_key_is_for_worker(req)')
k=sub(k,'#include "compat/compat.h"\n#include "cancel.h"\n#include "deferred.h"\n#include "key.h"\n#include "file.h"\n#include "request.h"\n#include "worker.h"\n','#include "file.h"\n#include "hash.h"\n#include "key.h"\n#include "req.h"\n#include "ring.h"\n#include "submitter.h"\n')
wr('key.c',k)
wr('key.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Ordering keys: requests of which only one is to run at a time. */
#ifndef IO2_KEY_H
#define IO2_KEY_H

#include <linux/types.h>

struct io2_key;
struct io2_req;

bool io2_key_take(struct io2_req *req);
struct io2_req *io2_key_pass(struct io2_req *req, struct io2_key **unused);
bool io2_key_is_for_worker(const struct io2_req *req);
void io2_key_free(struct io2_key *key);

#endif
''')
# hash.c use of was_interrupted
h=rd('hash.c'); h=h.replace('io2_worker_was_interrupted','io2_req_was_interrupted'); wr('hash.c',h)
# request.c
s=rd('request.c')
s=s.replace('io2_worker_was_interrupted','io2_req_was_interrupted').replace('io2_key_leave(req, b)','io2_worker_key_leave(req, b)')
s=s.replace('req_release(link, b->ctx)','io2_req_release(link, b->ctx)').replace('req_release(req, b->ctx)','io2_req_release(req, b->ctx)').replace('io2_io2_','io2_')
s=s.replace('__fput_sync(req_take_file(req))','__fput_sync(io2_req_take_file(req))').replace('\t\treq_drop_submitter(req);','\t\tio2_req_drop_submitter(req);')
i=s.index('#include <linux/file.h>'); j=s.index('#define READY_RETRIES')
s=s[:i]+'''#include <linux/file.h>

#include "compat/compat.h"
#include "cq.h"
#include "deferred.h"
#include "file.h"
#include "hash.h"
#include "key.h"
#include "nudge.h"
#include "poll.h"
#include "reqmem.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

'''+s[j:]
s=sub(s,'static struct kmem_cache *io2_req_cache;\n\n','')
s=re.sub(r'/\* --- memory -+ \*/\n+','',s); s=re.sub(r'/\* --- the file -+ \*/\n+','',s)
s=s.replace(' * The life of a request once it is accepted: memory, starting, issuing,\n * completing, and what is linked to it.',' * The life of a request once it is accepted: starting, issuing, waiting,\n * completing, and what is linked to it.')
wr('request.c',s)
# cq.c
c=rd('cq.c')
import sys
print(c[:c.index('static')][-900:])
# submit
u=rd('submit.c')
print(u[u.index('#include'):u.index('#define')] if '#define' in u else u[:800])
print([m.group(0) for m in re.finditer(r'.*cache_fill.*',u)])
