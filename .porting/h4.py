import re,os
def rd(f): return open(f).read()
def wr(f,s): open(f,'w').write(s)
def sub(s,a,b,n=1):
    assert a in s, a
    return s.replace(a,b) if n==0 else s.replace(a,b,n)
# defer
s=rd('deferred.c')
i=s.index('/*\n * Deferred work.'); j=s.index('static void retry_in_wq_run')
s=s[:i]+'''/*
 * Running what was deferred: by a task that waits in ENTER, else by the module's
 * workqueue.  What touches user memory is run by its owner, or else by the
 * submitter's retry worker: a page fault can take for ever, and a worker can be
 * killed, which the workqueue cannot.
 */
#include <linux/workqueue.h>

#include "cq.h"
#include "defer.h"
#include "deferred.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

'''+s[j:]
wr('deferred.c',s)
d=rd('defer.c')
d='''// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of deferred work.  Wake-up callbacks, timers and I/O completions run in
 * any context, under locks of others, so they put their request on this list; only
 * a poll may be posted there and then, see io2_cq_try_post().  deferred.c runs it.
 *
 * A spinlock, not a lock-free list: adding, and telling whoever runs the list,
 * is one critical section.  That keeps the order (FIFO), and it means that the
 * adder no longer touches the ring once somebody else could have completed
 * the request, which is what lets close free the ring at once (I9).
 */
#include <linux/module.h>
#include <linux/workqueue.h>

#include "defer.h"
#include "req.h"
#include "ring.h"

/* How long a killed process may have to wait for its workers, in jiffies */
#define IO2_WATCH	HZ

static struct workqueue_struct *io2_workqueue;
/* closes files; its items may wait for a peer */
static struct workqueue_struct *io2_closers;

'''+d
wr('defer.c',d)
h=rd('deferred.h')
i=h.index('/**\n * io2_defer_pending()'); j=h.index('int io2_defer_module_init')
pend=h[i:j].rstrip()
wr('defer.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* The queue of deferred work: from any context to task context. */
#ifndef IO2_DEFER_H
#define IO2_DEFER_H

#include "ring.h"

struct io2_req;
struct work_struct;

'''+pend+'''

int io2_defer_module_init(void);
void io2_defer_module_exit(void);
void io2_defer(struct io2_req *req);
void io2_defer_back(struct io2_ring *ring, struct io2_req_list *list);
void io2_defer_to_wq(struct io2_req *req);
void io2_defer_close(struct io2_req *req);
void io2_defer_closed(struct io2_ring *ring);
void io2_defer_detach(struct work_struct *work);
void io2_defer_module_put(void);
void io2_defer_handover(struct io2_ring *ring);
void io2_defer_waiter(struct io2_ring *ring);
void io2_defer_waiter_left(struct io2_ring *ring);
void io2_defer_quiesce(struct io2_ring *ring);
void io2_queue_notify(struct io2_ring *ring);
void io2_queue_reap(struct io2_ring *ring);
void io2_queue_watch(struct io2_ring *ring);

#endif
''')
i=h.index('/**\n * io2_deferred_run()'); j=h.index('void io2_defer_handover')
run=h[i:j].rstrip()
wr('deferred.h','''/* SPDX-License-Identifier: GPL-2.0 */
/* Running what was deferred. */
#ifndef IO2_DEFERRED_H
#define IO2_DEFERRED_H

#include "defer.h"
#include "req.h"

void io2_deferred_init(struct io2_ring *ring);
void io2_defer_retry_in_wq(struct io2_req *req, bool last);
void io2_deferred_run_batch(struct io2_batch *b);
void io2_deferred_run_all(struct io2_ring *ring, enum io2_ctx ctx);

'''+run+'''

#endif
''')
# ring.h: wake keys
c=rd('cq.h')
i=c.index('/* keys of wake-ups of ring->wait'); j=c.index('/**\n * struct io2_cq_room')
c=c[:i]+c[j:]
i=c.index('\n/**\n * io2_wake_process()')
wake=c[i+1:].rstrip()
c=c[:i]
wr('cq.h',c)
r=rd('ring.h')
wake=wake.replace('void io2_wake_process(struct io2_ring *ring, struct io2_submitter *sub)','static inline void io2_wake_process(struct io2_ring *ring,\n\t\t\t\t    struct io2_submitter *sub)')
r=sub(r,'''struct io2_ring *io2_ring_alloc(void);''','''/* keys of wake-ups of ring->wait; others are a submitter, see io2_wake_process() */
#define IO2_WAKE_CQ		((void *)0)	/* something was posted */
#define IO2_WAKE_DEFERRED	((void *)1)	/* there is work to run */

'''+wake+'''

extern const struct file_operations io2_ring_fops;

/**
 * io2_is_ring_file() - is it the file of a ring of ours?
 * @file: the file
 *
 * Context: any.
 * Return: whether it is.
 */
static inline bool io2_is_ring_file(const struct file *file)
{
	return file->f_op == &io2_ring_fops;
}

struct io2_ring *io2_ring_alloc(void);''')
r=sub(r,'bool io2_ring_reachable(const struct io2_ring *ring);\n','')
r=sub(r,'bool io2_is_ring_file(const struct file *file);\n','')
r=sub(r,'#include <linux/hashtable.h>\n','#include <linux/fs.h>\n#include <linux/hashtable.h>\n')
wr('ring.h',r)
w=rd('wait.h')
w=sub(w,'void io2_wake_process(struct io2_ring *ring, struct io2_submitter *sub);\n','')
wr('wait.h',w)
w=rd('wait.c')
w=sub(w,'#include "timeout.h"\n#include "turn.h"','#include "time.h"\n#include "turn.h"')
wr('wait.c',w)
# ring.c
s=rd('ring.c')
i=s.index('/**\n * io2_is_ring_file()'); j=s.index('}\n',i)+2
s=s[:i].rstrip()+'\n'+s[j:]
s=s.replace('static const struct file_operations ring_fops','const struct file_operations io2_ring_fops').replace('&ring_fops','&io2_ring_fops')
i=s.index('/*\n * Workers are no threads of the process'); watch=s[i:]; s=s[:i].rstrip()+'\n'
watch='''/*
 * Workers are no threads of the process that they work for: what kills it does
 * not reach them, nor does execve(2).  Its last close ends them, but it may never
 * get there, when one of its tasks sleeps for a lock that a worker holds while it
 * waits, for a page that nobody provides, say.  So while workers are busy,
 * somebody looks.
 */
static void ring_watch(struct work_struct *work)
{
	struct io2_ring *ring = container_of(to_delayed_work(work),
					     struct io2_ring, watch);
	struct mm_struct *replaced;

	/* a worker that uses its memory keeps that from being unmapped */
	replaced = io2_workers_look_after(ring);
	if (!replaced)
		return;
	if (io2_submitters_mm_gone(ring, replaced))
		io2_cancel_mm(ring, replaced);
	mmdrop(replaced);
}

'''
s=sub(s,'/* I7: everything that is initialised, at once, before anything can fail. */','@@W@@/* I7: everything that is initialised, at once, before anything can fail. */')
s=s.replace('@@W@@',watch)
s=sub(s,'''	io2_cancel_init(ring);
	io2_workers_init(ring);
''','''	io2_hash_init(ring);
	io2_workers_init(ring);
	INIT_DELAYED_WORK(&ring->watch, ring_watch);
''') if '	io2_cancel_init(ring);' in s else sub(s,'''	io2_hash_init(ring);
	io2_workers_init(ring);
''','''	io2_hash_init(ring);
	io2_workers_init(ring);
	INIT_DELAYED_WORK(&ring->watch, ring_watch);
''')
s=s.replace('have_descriptor(file)','io2_have_descriptor(file)')
s=sub(s,'''	} while (!idle);
	io2_submitters_free(ring, &left);
''','''	} while (!idle);
	io2_workers_stop_of_all(ring, &left);
	io2_submitters_free(&left);
''')
s=sub(s,'''#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
''','''#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
''')
s=sub(s,'''#include "cancel.h"
#include "counters.h"
#include "cq.h"
#include "deferred.h"
#include "fdinfo.h"
#include "register.h"
#include "request.h"
#include "ring.h"
''','''#include "cancel.h"
#include "cq.h"
#include "debug/counters.h"
#include "deferred.h"
#include "fdinfo.h"
#include "hash.h"
#include "register.h"
#include "reqmem.h"
#include "ring.h"
''')
wr('ring.c',s)
# submitter
s=rd('submitter.c')
i=s.index('/**\n * io2_pool_init()'); tail=s[i:]; s=s[:i].rstrip()+'\n'
def func(t,name):
    i=t.index(name)
    return i
# pieces of tail
ends=[m.end() for m in re.finditer(r'^}\n',tail,re.M)]
parts=[];p=0
for e in ends: parts.append(tail[p:e].strip('\n')); p=e
print([x.split('\n')[0][:40] for x in parts])
pool_init,has_workers,fd_is,have_desc,reach=parts
pool_init='static void pool_init('+pool_init.split('void io2_pool_init(')[1]
pool_init=pool_init.replace('struct io2_pool *wq','struct io2_pool *pool').replace('wq->','pool->')
has_workers=has_workers.split('*/\n',1)[1].replace('bool io2_submitter_has_workers(struct io2_ring *ring, const struct io2_submitter *sub)','static bool submitter_has_workers(struct io2_ring *ring,\n\t\t\t\t  const struct io2_submitter *sub)')
has_workers='/* One being made included. */\n'+has_workers
have_desc='''/**
 * io2_have_descriptor() - has current's process a descriptor of a file?
 * @file: the file
 *
 * Context: task context.
 * Return: whether it has.
 */
'''+have_desc.replace('static bool have_descriptor','bool io2_have_descriptor')
reach=reach.split('*/\n',1)[1].replace('bool io2_ring_reachable(','static bool ring_is_reachable(').replace('have_descriptor','io2_have_descriptor')
reach='/* Can current\'s process close the ring, which may be about to get its file? */\n'+reach
s=sub(s,'static struct io2_submitter *submitter_alloc(void)',pool_init+'\n\nstatic struct io2_submitter *submitter_alloc(void)')
s=sub(s,'io2_pool_init(&sub->pool)','pool_init(&sub->pool)')
s=sub(s,'/* Not if somebody has left since @leaves',fd_is+'\n\n'+have_desc+'\n\n'+reach+'\n\n/* Not if somebody has left since @leaves')
s=sub(s,'io2_ring_reachable(ring)','ring_is_reachable(ring)')
s=sub(s,'''/**
 * io2_submitters_take() - forget''',has_workers+'\n\n'+'''/**
 * io2_submitters_take() - forget''')
s=sub(s,'io2_submitter_has_workers(ring, sub)','submitter_has_workers(ring, sub)')
s=sub(s,'''/**
 * io2_submitters_free() - free what io2_submitters_take() took
 * @ring: the ring
 * @list: the submitters
 *
 * They have no request, so their workers have nothing to do.
 *''','''/**
 * io2_submitters_free() - free what io2_submitters_take() took
 * @list: the submitters, without requests and workers
 *''')
s=sub(s,'void io2_submitters_free(struct io2_ring *ring, struct list_head *list)','void io2_submitters_free(struct list_head *list)')
s=sub(s,'''	list_for_each_entry_safe(sub, next, list, node) {
		io2_workers_stop_of(ring, sub);
		submitter_free(sub);
	}
''','''	list_for_each_entry_safe(sub, next, list, node)
		submitter_free(sub);
''')
s=sub(s,'	io2_submitters_free(ring, &idle);','	io2_submitters_free(&idle);')
s=sub(s,'#include "counters.h"\n#include "ring.h"\n#include "submitter.h"\n#include "worker.h"\n','#include "debug/counters.h"\n#include "ring.h"\n#include "submitter.h"\n')
s=sub(s,'#include <linux/file.h>\n','#include <linux/fdtable.h>\n#include <linux/file.h>\n')
wr('submitter.c',s)
h=rd('submitter.h')
h=sub(h,'void io2_submitters_free(struct io2_ring *ring, struct list_head *list);','void io2_submitters_free(struct list_head *list);')
h=sub(h,'int io2_submitter_make(struct io2_ring *ring);\n','int io2_submitter_make(struct io2_ring *ring);\nbool io2_have_descriptor(struct file *file);\n')
wr('submitter.h',h)
