// SPDX-License-Identifier: GPL-2.0-only
/*
 * Worker threads. A worker belongs to one submitter. It runs that submitter's
 * blocking requests one at a time, with the submitter's address space and
 * credentials.
 *
 * There are three classes. Bounded workers do I/O on regular files and block
 * devices. Unbounded workers run requests that may block for ever (pipes,
 * devices), so that these never delay file I/O. The retry class tries requests
 * without blocking for data: mostly those whose file became ready while no task
 * of their process was in ENTER. It has a single worker, so that requests are
 * tried in the order in which they became ready.
 *
 * A worker is created in task context when it is first needed, and ends after
 * some idle time. The ring's current submitter keeps its last worker of each
 * class, because completing a request must not depend on creating a thread.
 *
 * Bounded and retry workers freeze during suspend, so that nothing is written
 * to a disk after the hibernation image was taken. Unbounded workers may sleep
 * for ever and would make every suspend fail, so they do not freeze.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/freezer.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "affinity.h"
#include "compat/compat.h"
#include "cq.h"
#include "debug/counters.h"
#include "debug/trace.h"
#include "deferred.h"
#include "eventfd.h"
#include "hash.h"
#include "key.h"
#include "nudge.h"
#include "request.h"
#include "submitter.h"
#include "watch.h"
#include "worker.h"

#define WORKER_IDLE	(5 * HZ)
#define WORKERS_SPARE	1024	/* beyond workers_total, for processes that have none */

static unsigned int workers_bounded;
module_param(workers_bounded, uint, 0644);
MODULE_PARM_DESC(workers_bounded,
		 "maximum number of worker threads per ring for regular files and block devices, 0: 4 per CPU");

static unsigned int workers_unbounded = 256;
module_param(workers_unbounded, uint, 0644);
MODULE_PARM_DESC(workers_unbounded,
		 "maximum number of worker threads per ring for all other requests");

static unsigned int workers_total = 4096;
module_param(workers_total, uint, 0644);
MODULE_PARM_DESC(workers_total,
		 "maximum number of worker threads of all rings; up to 1024 more, for processes without a worker");

/* worker threads of all rings, including those being created */
static atomic_t io2_workers_all = ATOMIC_INIT(0);

/**
 * struct io2_worker - one worker thread
 * @runner: its task, and the request that it runs
 * @idle: in the submitter's list of idle workers, while it waits; under
 *	pool_lock
 * @ring: its ring; constant
 * @sub: the submitter it works for; constant; the submitter outlives the
 *	worker, unless the worker is on ring->dead
 * @pool_class: the class of requests that it takes; constant
 * @taken: another context is ending this worker: it must neither end by itself
 *	nor take a request; under pool_lock
 * @bound: it is bound to the ring's CPUs; only used by the worker
 *
 * Lifetime: from worker_create() until its thread has been stopped.
 */
struct io2_worker {
	struct io2_runner	runner;
	struct list_head	idle;
	struct io2_ring		*ring;
	struct io2_submitter	*sub;
	unsigned int		pool_class;
	bool			taken;
	bool			bound;
};

/* The limit of the module's parameters. */
static unsigned int workers_param(unsigned int pool_class)
{
	switch (pool_class) {
	case IO2_BOUNDED:
		return READ_ONCE(workers_bounded) ? : 4 * num_online_cpus();
	case IO2_UNBOUNDED:
		return READ_ONCE(workers_unbounded);
	default:
		return 0;
	}
}

/* A program can lower the limit of its ring, but not raise it. */
static unsigned int workers_max(const struct io2_ring *ring,
				unsigned int pool_class)
{
	unsigned int param = workers_param(pool_class);

	lockdep_assert_held(&ring->pool_lock);
	if (pool_class >= IO2_LIMITS || !ring->max_workers[pool_class])
		return param;
	return min(param, ring->max_workers[pool_class]);
}

/* --- the queue --------------------------------------------------------- */

static struct io2_req *pool_peek(const struct io2_worker *w)
{
	lockdep_assert_held(&w->ring->pool_lock);
	if (w->taken)
		return NULL;
	return list_first_entry_or_null(&w->sub->pool.pending[w->pool_class],
					struct io2_req, node);
}

static void pool_remove(struct io2_req *req)
{
	lockdep_assert_held(&req->ring->pool_lock);
	list_del_init(&req->node);
	if (req->pool_class < IO2_CLASSES)
		req->sub->pool.nr_pending[req->pool_class]--;
	else if (req->pool_class == IO2_PARKED)
		WRITE_ONCE(req->ring->nr_parked, req->ring->nr_parked - 1);
}

/*
 * Must the worker end rather than take a request, because the ring has got a lower
 * limit? Another worker of its submitter must be left, which takes the request.
 * That one must not be idle, as nobody would wake it.
 */
static bool worker_is_surplus(const struct io2_worker *w)
{
	const struct io2_pool *pool = &w->sub->pool;
	const struct io2_ring *ring = w->ring;
	unsigned int pool_class = w->pool_class;

	lockdep_assert_held(&ring->pool_lock);
	if (likely(pool_class >= IO2_LIMITS || !ring->max_workers[pool_class]))
		return false;
	return ring->nr_workers[pool_class] > workers_max(ring, pool_class) &&
	       pool->nr[pool_class] > 1 && !pool->nr_idle[pool_class] &&
	       !w->taken && !io2_ring_dying(ring) && !kthread_should_stop();
}

/* Takes the next request off the queue and records it as the worker's. */
static struct io2_req *worker_next(struct io2_worker *w)
{
	struct io2_ring *ring = w->ring;
	struct io2_req *req;

	spin_lock(&ring->pool_lock);
	/* not even if there is one: worker_wait() ends it */
	req = worker_is_surplus(w) ? NULL : pool_peek(w);
	if (req) {
		pool_remove(req);
		req->pool_state = IO2_POOL_RUNNING;
		w->runner.cur = req;
		w->runner.sub = w->sub;
		trace_iouring2_run(req, w->pool_class);
	}
	spin_unlock(&ring->pool_lock);
	return req;
}

/*
 * Records @req, which was not queued, as the worker's. Return: false if the
 * request was cancelled.
 */
static bool worker_take(struct io2_worker *w, struct io2_req *req)
{
	struct io2_ring *ring = w->ring;
	bool go;

	spin_lock(&ring->pool_lock);
	go = !io2_req_was_interrupted(req);
	if (go) {
		w->runner.cur = req;
		w->runner.sub = w->sub;
		trace_iouring2_run(req, w->pool_class);
	}
	spin_unlock(&ring->pool_lock);
	return go;
}

/*
 * The request has ended. A signal that was sent to interrupt it must not reach
 * the worker's next request.
 */
static void worker_done(struct io2_worker *w)
{
	struct io2_ring *ring = w->ring;

	spin_lock(&ring->pool_lock);
	w->runner.cur = NULL;
	/* under the lock: a worker without a request is not sent a signal */
	if (signal_pending(current))
		flush_signals(current);
	spin_unlock(&ring->pool_lock);
}

/* --- the thread -------------------------------------------------------- */

/*
 * Return: the request that the worker runs next, or NULL for the first queued
 * one.
 */
static struct io2_req *worker_run(struct io2_worker *w, struct io2_req *req,
				  struct io2_borrow *bw)
{
	struct io2_batch b;

	w->bound = io2_cpus_follow(w->ring, w->bound);
	io2_borrow(bw, w->sub);
	io2_batch_init(&b, w->ring, IO2_CTX_WORKER);
	b.goes_on = w->pool_class == IO2_BOUNDED;
	io2_watch_queue(w->ring);
	io2_req_run_borrowed(req, &b, bw, w->pool_class != IO2_RETRY);
	worker_done(w);
	/* requests that start here are not recorded as run by this worker */
	b.ctx = IO2_CTX_WQ;
	io2_batch_flush(&b);
	return b.next;
}

static void worker_unborrow(struct io2_worker *w, struct io2_borrow *bw)
{
	if (!bw->sub)
		return;
	io2_unborrow(bw);
	/* a task that leaves the ring may wait for the submitter to be released */
	if (wq_has_sleeper(&w->ring->wait))
		__wake_up(&w->ring->wait, TASK_NORMAL, 0, NULL);
}

static void workers_count(struct io2_worker *w, int n)
{
	lockdep_assert_held(&w->ring->pool_lock);
	w->sub->pool.nr[w->pool_class] += n;
	w->ring->nr_workers[w->pool_class] += n;
	atomic_add(n, &io2_workers_all);
}

/* The worker ends. From here on its submitter may be freed. */
static void worker_die(struct io2_worker *w)
{
	lockdep_assert_held(&w->ring->pool_lock);
	workers_count(w, -1);
	list_move(&w->runner.node, &w->ring->dead);
}

static bool workers_too_many(void)
{
	return atomic_read(&io2_workers_all) > READ_ONCE(workers_total);
}

/*
 * A worker may end if it is not the last one of its class, if its submitter is
 * not the one that uses the ring now, or if there are too many workers.
 */
static bool worker_may_end(struct io2_worker *w)
{
	struct io2_pool *pool = &w->sub->pool;
	bool end;

	spin_lock(&w->ring->pool_lock);
	end = !w->taken &&
	      (pool->nr[w->pool_class] > 1 || workers_too_many() ||
	       READ_ONCE(w->ring->submitter) != w->sub) &&
	      !pool->nr_pending[w->pool_class] && !io2_ring_dying(w->ring) &&
	      !kthread_should_stop();
	if (end)
		worker_die(w);
	spin_unlock(&w->ring->pool_lock);
	return end;
}

static void worker_unidle(struct io2_worker *w)
{
	lockdep_assert_held(&w->ring->pool_lock);
	if (list_empty(&w->idle))
		return;
	list_del_init(&w->idle);
	w->sub->pool.nr_idle[w->pool_class]--;
}

/* Return: true if the worker goes on, false if it must end. */
static bool worker_wait(struct io2_worker *w)
{
	struct io2_pool *pool = &w->sub->pool;
	long left = WORKER_IDLE;
	bool taken;

	set_current_state(IO2_TASK_IDLE);
	spin_lock(&w->ring->pool_lock);
	if (unlikely(worker_is_surplus(w))) {
		worker_die(w);
		spin_unlock(&w->ring->pool_lock);
		__set_current_state(TASK_RUNNING);
		return false;
	}
	if (!w->taken && !pool_peek(w) && !kthread_should_stop()) {
		/* the last one is woken first: its caches are warm */
		list_add(&w->idle, &pool->idle[w->pool_class]);
		pool->nr_idle[w->pool_class]++;
		spin_unlock(&w->ring->pool_lock);
		left = io2_idle_timeout(WORKER_IDLE);
		spin_lock(&w->ring->pool_lock);
		worker_unidle(w);
	}
	taken = w->taken;
	spin_unlock(&w->ring->pool_lock);
	__set_current_state(TASK_RUNNING);
	try_to_freeze();
	return !taken && (left || !worker_may_end(w));
}

/*
 * The worker's block I/O is accounted to the submitter's I/O cgroup, as its
 * allocations are to the memory cgroup (see io2_borrow()). The worker does not
 * join these cgroups: a cgroup with a kernel thread in it can never be frozen.
 */
static void worker_account_io(const struct io2_worker *w)
{
	struct task_struct *owner = get_pid_task(w->sub->tgid, PIDTYPE_TGID);

	if (!owner)
		return;
	io2_account_io_to(owner);
	put_task_struct(owner);
}

/*
 * Completes a request that was cancelled before it was recorded. Return: as
 * worker_run().
 */
static struct io2_req *worker_cancel(struct io2_worker *w, struct io2_req *req)
{
	struct io2_batch b;

	io2_batch_init(&b, w->ring, IO2_CTX_WORKER);
	b.goes_on = true;
	io2_req_set(req, -ECANCELED);
	io2_req_complete(req, &b);
	b.ctx = IO2_CTX_WQ;
	io2_batch_flush(&b);
	return b.next;
}

/* Runs @req, and then each request that worker_run() returns. */
static void worker_do(struct io2_worker *w, struct io2_req *req,
		      struct io2_borrow *bw)
{
	do {
		req = worker_run(w, req, bw);
		try_to_freeze();
		while (req && !worker_take(w, req))
			req = worker_cancel(w, req);
	} while (req);
}

static int worker_fn(void *data)
{
	struct io2_worker *w = data;
	struct io2_borrow bw = {};
	struct io2_req *req;

	allow_kernel_signal(SIGINT);
	allow_kernel_signal(SIGKILL);
	if (w->pool_class != IO2_UNBOUNDED)
		set_freezable();
	worker_account_io(w);
	set_task_ioprio(current, w->sub->ioprio);
	while (!kthread_should_stop()) {
		req = worker_next(w);
		if (req) {
			worker_do(w, req, &bw);
			continue;
		}
		worker_unborrow(w, &bw);
		if (!worker_wait(w)) {
			io2_queue_reap(w->ring);
			break;
		}
	}
	worker_unborrow(w, &bw);
	io2_account_io_to(NULL);
	/* kthread_stop() needs the thread to exist: wait for it here */
	for (;;) {
		set_current_state(IO2_TASK_IDLE);
		if (kthread_should_stop())
			break;
		io2_idle_timeout(MAX_SCHEDULE_TIMEOUT);
		__set_current_state(TASK_RUNNING);
		try_to_freeze();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int worker_create(struct io2_ring *ring, struct io2_submitter *sub,
			 unsigned int pool_class)
{
	struct io2_worker *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	struct task_struct *task;

	if (!w)
		return -ENOMEM;
	w->ring = ring;
	w->sub = sub;
	w->pool_class = pool_class;
	w->runner.worker = true;
	INIT_LIST_HEAD(&w->idle);
	task = kthread_create(worker_fn, w, "iou2-wrk-%d",
			      pid_nr(sub->tgid));
	if (IS_ERR(task)) {
		kfree(w);
		return PTR_ERR(task);
	}
	w->runner.task = task;
	set_user_nice(task, io2_submitter_nice(sub));
	spin_lock(&ring->pool_lock);
	list_add(&w->runner.node, &ring->runners);
	/* under the lock: once on the list, it may be stopped and freed */
	wake_up_process(task);
	spin_unlock(&ring->pool_lock);
	io2_count_add(IO2_COUNT_WORKERS, 1);
	return 0;
}

static void workers_free(struct list_head *list)
{
	struct io2_worker *w, *next;

	list_for_each_entry_safe(w, next, list, runner.node) {
		kthread_stop(w->runner.task);
		kfree(w);
		io2_count_sub(IO2_COUNT_WORKERS, 1);
	}
}

static void workers_reap(struct work_struct *work)
{
	struct io2_ring *ring = container_of(work, struct io2_ring, reap);
	LIST_HEAD(dead);

	spin_lock(&ring->pool_lock);
	list_splice_init(&ring->dead, &dead);
	spin_unlock(&ring->pool_lock);
	workers_free(&dead);
}

/**
 * io2_workers_look_after() - check the processes of busy workers
 * @ring: the ring
 *
 * Sends SIGKILL to each worker whose process is about to end; that ends the
 * request it runs.
 *
 * Context: task context; takes pool_lock.
 * Return: true if a worker is busy, so that the check must be repeated.
 */
bool io2_workers_look_after(struct io2_ring *ring)
{
	struct io2_runner *r;
	bool busy = false;

	spin_lock(&ring->pool_lock);
	list_for_each_entry(r, &ring->runners, node) {
		if (!r->cur || !r->worker)
			continue;
		busy = true;
		if (io2_submitter_ends(r->sub))
			send_sig(SIGKILL, r->task, 1);
	}
	spin_unlock(&ring->pool_lock);
	return busy;
}

/* --- giving requests to workers --------------------------------------- */

static unsigned int req_class(const struct io2_req *req)
{
	umode_t mode;

	if (!req->file)
		return IO2_UNBOUNDED;
	mode = file_inode(req->file)->i_mode;
	return S_ISREG(mode) || S_ISBLK(mode) ? IO2_BOUNDED : IO2_UNBOUNDED;
}

/* Ends an idle worker. From here on its submitter may be freed. */
static void worker_retire(struct io2_worker *w)
{
	struct io2_ring *ring = w->ring;

	lockdep_assert_held(&ring->pool_lock);
	workers_count(w, -1);
	worker_unidle(w);
	w->taken = true;
	list_move(&w->runner.node, &ring->dead);
	io2_queue_reap(ring);
}

/*
 * Does the process of @sub have a busy worker of this class, under this or an
 * older identity? If it finds an idle worker, it ends that worker to make room,
 * and returns false.
 */
static bool pool_process_has(struct io2_ring *ring,
			     const struct io2_submitter *sub,
			   unsigned int pool_class)
{
	struct io2_submitter *other;
	struct io2_worker *w;
	bool has = false;

	lockdep_assert_held(&ring->inflight_lock);
	lockdep_assert_held(&ring->pool_lock);
	list_for_each_entry(other, &ring->submitters, node) {
		if (other->files != sub->files || other->tgid != sub->tgid)
			continue;
		w = list_first_entry_or_null(&other->pool.idle[pool_class],
					     struct io2_worker, idle);
		if (w) {
			worker_retire(w);
			return false;
		}
		has |= other->pool.nr[pool_class];
	}
	return has;
}

/* CAP_SYS_RESOURCE overrides the limit, as it does other limits on processes. */
static bool pool_may_exceed(const struct io2_submitter *sub)
{
	return sub->cred->user_ns == &init_user_ns &&
	       cap_raised(sub->cred->cap_effective, CAP_SYS_RESOURCE);
}

/*
 * May a submitter without a worker create its first? When there are too many
 * workers, a process gets one of each class in a ring, however many submitters
 * it has (a change of credentials makes a new one).
 */
static bool pool_may_begin(struct io2_ring *ring,
			   const struct io2_submitter *sub,
			 unsigned int pool_class)
{
	unsigned int total = READ_ONCE(workers_total);

	if (atomic_read(&io2_workers_all) < total)
		return true;
	if (pool_process_has(ring, sub, pool_class))
		return false;
	/* pool_process_has() may have made room */
	return (u64)atomic_read(&io2_workers_all) <
	       (u64)total + WORKERS_SPARE || pool_may_exceed(sub);
}

/* May a submitter create one more worker? */
static bool pool_may_create(const struct io2_ring *ring, const struct io2_pool *pool,
			    unsigned int pool_class)
{
	lockdep_assert_held(&ring->pool_lock);
	if (!pool->nr[pool_class])
		return true;
	return ring->nr_workers[pool_class] < workers_max(ring, pool_class) &&
	       atomic_read(&io2_workers_all) < READ_ONCE(workers_total);
}

static void pool_append(struct io2_req *req, unsigned int pool_class)
{
	struct io2_pool *pool = &req->sub->pool;

	lockdep_assert_held(&req->ring->pool_lock);
	req->pool_class = pool_class;
	WRITE_ONCE(req->pool_state, IO2_POOL_QUEUED);
	list_add_tail(&req->node, &pool->pending[pool_class]);
	trace_iouring2_queue(req, pool_class);
	pool->nr_pending[pool_class]++;
}

/*
 * Queues @req.
 *
 * Return: an idle worker's task, referenced, which the caller wakes; or NULL.
 * *@create tells the caller to create a worker.
 */
static struct task_struct *pool_add(struct io2_req *req, unsigned int pool_class,
				    bool *create)
{
	struct io2_ring *ring = req->ring;
	struct io2_pool *pool = &req->sub->pool;
	struct task_struct *task = NULL;
	struct io2_worker *w;

	pool_append(req, pool_class);
	w = list_first_entry_or_null(&pool->idle[pool_class], struct io2_worker,
				     idle);
	if (w) {
		worker_unidle(w);
		task = get_task_struct(w->runner.task);
	} else if (pool_may_create(ring, pool, pool_class)) {
		*create = true;
		pool->nr[pool_class]++;
		ring->nr_workers[pool_class]++;
		atomic_inc(&io2_workers_all);
	}
	return task;
}

/*
 * Return: 0; -ECANCELED if @req must not wait; -EAGAIN if the submitter has no
 * worker of this class and may not create one.
 */
static int pool_add_hashed(struct io2_req *req, unsigned int pool_class,
			   struct task_struct **task, bool *create)
{
	struct io2_ring *ring = req->ring;
	int ret = 0;

	lockdep_assert_held(&ring->inflight_lock);
	if (!io2_hash_add(req, IO2_ARMED_WORKER))
		return -ECANCELED;
	spin_lock(&ring->pool_lock);
	if (req->sub->pool.nr[pool_class] ||
	    pool_may_begin(ring, req->sub, pool_class)) {
		*task = pool_add(req, pool_class, create);
	} else {
		ret = -EAGAIN;
	}
	spin_unlock(&ring->pool_lock);
	return ret;
}

static void worker_queue(struct io2_req *req, unsigned int pool_class,
			 struct io2_batch *b);

static void requeue_run(struct io2_req *req, struct io2_batch *b)
{
	worker_queue(req, req->pool_class, b);
}

/*
 * No worker could be created for this request. Fails it, so that it does not
 * wait for ever. The workqueue does the requests of the retry worker instead,
 * as these do not block.
 */
static void req_without_worker(struct io2_req *req, int err,
			       struct io2_batch *b)
{
	if (err == -EINTR) {
		/* current is being killed, and may belong to another process */
		req->run = requeue_run;
		io2_defer_to_wq(req);
	} else if (req->pool_class == IO2_RETRY) {
		io2_defer_retry_in_wq(req, b->ctx == IO2_CTX_WQ);
	} else {
		io2_req_set(req, err);
		io2_req_complete(req, b);
	}
}

/*
 * Creating a worker failed. If the submitter has another worker of this class,
 * that one serves the queue. Otherwise the queued requests are taken back.
 */
static void pool_create_failed(struct io2_ring *ring, struct io2_submitter *sub,
			       unsigned int pool_class, int err,
			       struct io2_batch *b)
{
	struct io2_req *req, *next;
	LIST_HEAD(list);

	spin_lock(&ring->pool_lock);
	ring->nr_workers[pool_class]--;
	atomic_dec(&io2_workers_all);
	if (!--sub->pool.nr[pool_class]) {
		list_splice_init(&sub->pool.pending[pool_class], &list);
		sub->pool.nr_pending[pool_class] = 0;
		list_for_each_entry(req, &list, node)
			WRITE_ONCE(req->pool_state, IO2_POOL_RUNNING);
	}
	spin_unlock(&ring->pool_lock);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		req_without_worker(req, err, b);
	}
}

static void worker_queue(struct io2_req *req, unsigned int pool_class,
			 struct io2_batch *b)
{
	struct io2_submitter *sub = req->sub;
	struct io2_ring *ring = req->ring;
	struct task_struct *task = NULL;
	bool create = false;
	int err;

	/* @req may complete before we are done with its submitter */
	atomic_inc(&sub->nr_reqs);
	spin_lock(&ring->inflight_lock);
	err = pool_add_hashed(req, pool_class, &task, &create);
	spin_unlock(&ring->inflight_lock);
	if (err) {
		/* even for the retry class: there are too many workers already */
		io2_req_set(req, err);
		io2_req_complete(req, b);
	}
	if (task) {
		wake_up_process(task);
		put_task_struct(task);
	}
	if (create) {
		err = worker_create(ring, sub, pool_class);
		if (err)
			pool_create_failed(ring, sub, pool_class, err, b);
	}
	io2_submitter_put(ring, sub);
}

/**
 * io2_worker_queue() - have a worker do a request
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion if it cannot be queued
 *
 * Context: may sleep.
 */
void io2_worker_queue(struct io2_req *req, struct io2_batch *b)
{
	if (io2_key_take(req))
		worker_queue(req, req_class(req), b);
}

/*
 * Gives @req, which has just received its ordering key and is RUNNING, to the
 * bounded worker that ended the key's last request. That worker runs it next,
 * or after those queued already, so no other thread has to be woken.
 *
 * Return: false if current is not such a worker.
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
 * io2_worker_key_leave() - pass on the ordering key of a request that has ended
 * @req: the holder of the key; owned by the caller
 * @b: the batch of the caller
 *
 * Context: task context, may sleep; no lock of the ring held other than
 * uring_lock.
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
	/* starting it here would recurse once for each waiting request */
	next->run = key_next_run;
	io2_defer(next);
}

/**
 * io2_worker_retry() - have the submitter's retry worker try a request
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion if it cannot be queued
 *
 * Context: may sleep.
 */
void io2_worker_retry(struct io2_req *req, struct io2_batch *b)
{
	worker_queue(req, IO2_RETRY, b);
}

static void worker_canceled(struct io2_req *req, struct io2_batch *b)
{
	io2_req_complete(req, b);
}

static void worker_interrupt(struct io2_ring *ring, struct io2_req *req,
			     bool kill)
{
	struct io2_runner *r;

	lockdep_assert_held(&ring->pool_lock);
	list_for_each_entry(r, &ring->runners, node) {
		if (r->cur != req)
			continue;
		if (r->worker)
			send_sig(kill ? SIGKILL : SIGINT, r->task, 1);
		else
			io2_nudge(r->task);
	}
}

/**
 * io2_worker_cancel() - cancel a request that a worker was given, or that is parked
 * @req: found in the hash
 * @kill: the submitter or the ring is going away
 *
 * Context: inflight_lock held.
 * Return: 0 if it had not been started. -EALREADY if it is running: an
 * interruptible sleep is ended and the request completes with ECANCELED. In a
 * worker, @kill ends a killable sleep, too, such as a page fault.
 */
int io2_worker_cancel(struct io2_req *req, bool kill)
{
	struct io2_ring *ring = req->ring;
	int ret = -EALREADY;

	lockdep_assert_held(&ring->inflight_lock);
	spin_lock(&ring->pool_lock);
	if (req->pool_state == IO2_POOL_QUEUED) {
		pool_remove(req);
		WRITE_ONCE(req->pool_state, IO2_POOL_NONE);
		ret = 0;
	} else if (req->pool_state != IO2_POOL_NONE) {
		WRITE_ONCE(req->pool_state, IO2_POOL_INTERRUPTED);
		worker_interrupt(ring, req, kill);
	}
	spin_unlock(&ring->pool_lock);
	if (ret)
		return ret;
	io2_hash_del(req);
	io2_req_set(req, -ECANCELED);
	req->run = worker_canceled;
	io2_defer(req);
	return 0;
}

/* Does @res say that a sleep was interrupted before anything was done? */
static bool is_interrupted(ssize_t res)
{
	switch (res) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
	case -EINTR:
		return true;
	default:
		return false;
	}
}

/**
 * io2_is_broken() - was an operation's sleep ended, so that it must be done again?
 * @res: what the operation returned
 *
 * EINTR without a pending signal is a result: a server may answer so.
 *
 * Context: the task that did the operation, before io2_breaker_stop().
 * Return: true if its sleep was ended.
 */
bool io2_is_broken(ssize_t res)
{
	return is_interrupted(res) &&
	       (res != -EINTR || signal_pending(current));
}

/**
 * io2_worker_result() - translate the result of an interrupted operation
 * @req: the request
 * @res: what the operation returned
 *
 * Return: @res, unless the operation was interrupted; then -ECANCELED if the
 * request was cancelled, else -EINTR, because restart codes mean nothing in a
 * CQE.
 */
s32 io2_worker_result(struct io2_req *req, s32 res)
{
	if (!is_interrupted(res))
		return res;
	return io2_req_was_interrupted(req) ? -ECANCELED : -EINTR;
}

/* --- parked requests -------------------------------------------------- */

/**
 * io2_park_tell() - tell user space that a request is parked
 * @ring: the ring
 *
 * Updates the SQ flag TASKRUN, signals the eventfd, and notifies waiters and
 * pollers of the ring.
 *
 * Context: task context; no lock of the ring held other than uring_lock.
 */
void io2_park_tell(struct io2_ring *ring)
{
	io2_cq_update_flags(ring);
	/* after the flag, which cq_lock orders with REGISTER_EVENTFD */
	io2_eventfd_tell(ring, IO2_TELL_PARKED);
	io2_cq_notify(ring);
}

/* Return: false if @req must not wait. */
static bool park_add(struct io2_req *req)
{
	struct io2_ring *ring = req->ring;
	bool added;

	spin_lock(&ring->inflight_lock);
	added = io2_hash_add(req, IO2_ARMED_WORKER);
	if (added) {
		spin_lock(&ring->pool_lock);
		req->pool_class = IO2_PARKED;
		WRITE_ONCE(req->pool_state, IO2_POOL_QUEUED);
		list_add_tail(&req->node, &req->sub->pool.parked);
		WRITE_ONCE(ring->nr_parked, ring->nr_parked + 1);
		trace_iouring2_park(req);
		spin_unlock(&ring->pool_lock);
	}
	spin_unlock(&ring->inflight_lock);
	return added;
}

/**
 * io2_park() - leave a request to a task of the process that submitted it
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion if it cannot be parked
 * @run: called by that task to do the request
 *
 * Context: task context; no lock of the ring held other than uring_lock.
 */
void io2_park(struct io2_req *req, struct io2_batch *b,
	      void (*run)(struct io2_req *req, struct io2_batch *b))
{
	struct io2_ring *ring = req->ring;
	struct io2_submitter *sub = req->sub;
	bool own = b->ctx <= IO2_CTX_TURN && io2_submitter_is_process(sub);

	req->run = run;
	/* the submitter may be freed once the request has completed */
	atomic_inc(&sub->nr_reqs);
	if (!park_add(req)) {
		io2_req_set(req, -ECANCELED);
		io2_req_complete(req, b);
	} else {
		/* a task that is in ENTER does it before it returns */
		if (!own)
			io2_park_tell(ring);
		io2_wake_process(ring, sub);
	}
	io2_submitter_put(ring, sub);
}

/* --- all workers of a ring ----------------------------------------------- */

/**
 * io2_workers_init() - initialise the worker state of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_workers_init(struct io2_ring *ring)
{
	spin_lock_init(&ring->pool_lock);
	INIT_LIST_HEAD(&ring->runners);
	INIT_LIST_HEAD(&ring->dead);
	INIT_WORK(&ring->reap, workers_reap);
}

/* Takes the workers of @sub, or all if @sub is NULL, in order to end them. */
static bool workers_take(struct io2_ring *ring, const struct io2_submitter *sub,
			 struct list_head *list)
{
	struct io2_runner *r, *next;
	struct io2_worker *w;

	spin_lock(&ring->pool_lock);
	list_for_each_entry_safe(r, next, &ring->runners, node) {
		w = container_of(r, struct io2_worker, runner);
		if (!r->worker || (sub && w->sub != sub))
			continue;
		workers_count(w, -1);
		worker_unidle(w);
		w->taken = true;
		list_move(&r->node, list);
	}
	spin_unlock(&ring->pool_lock);
	return !list_empty(list);
}

/*
 * Ends the workers of @sub, or all if @sub is NULL. No request is left for
 * them. A worker may still be creating another one, for a request that has been
 * served since. That is over once it has been stopped, so look again.
 */
static void workers_stop_of(struct io2_ring *ring,
			    const struct io2_submitter *sub)
{
	LIST_HEAD(list);

	while (workers_take(ring, sub, &list)) {
		workers_free(&list);
		INIT_LIST_HEAD(&list);
	}
}

/**
 * io2_workers_stop_of_all() - end the workers of some submitters
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
 * io2_workers_stop() - end all workers of a ring
 * @ring: a ring whose requests have all completed, and whose deferred work is
 *	done
 *
 * Context: may sleep.
 */
void io2_workers_stop(struct io2_ring *ring)
{
	workers_stop_of(ring, NULL);
	workers_reap(&ring->reap);
	/* last: a DYING ring without workers does not queue this any more */
	cancel_work_sync(&ring->reap);
}

/* Ends idle workers, until the ring has no more than it may. */
static void workers_trim(struct io2_ring *ring, unsigned int pool_class)
{
	struct io2_runner *r, *next;
	struct io2_worker *w;

	lockdep_assert_held(&ring->pool_lock);
	list_for_each_entry_safe(r, next, &ring->runners, node) {
		if (ring->nr_workers[pool_class] <=
		    workers_max(ring, pool_class))
			break;
		w = container_of(r, struct io2_worker, runner);
		if (r->worker && w->pool_class == pool_class &&
		    !list_empty(&w->idle) && w->sub->pool.nr[pool_class] > 1)
			worker_retire(w);
	}
}

/**
 * io2_workers_limits() - the limits of a ring's workers
 * @ring: the ring
 * @max: receives how many bounded and unbounded workers the ring may have
 *
 * Context: task context; takes pool_lock.
 */
void io2_workers_limits(struct io2_ring *ring, u32 max[IO2_LIMITS])
{
	unsigned int i;

	spin_lock(&ring->pool_lock);
	for (i = 0; i < IO2_LIMITS; i++)
		max[i] = workers_max(ring, i);
	spin_unlock(&ring->pool_lock);
}

/**
 * io2_workers_limit() - limit the number of a ring's workers
 * @ring: the ring
 * @max: how many bounded and unbounded workers it may have; 0: leave that limit
 *
 * A submitter may have one worker of each class nevertheless. Idle workers that
 * are too many end at once, others after the request that they run.
 *
 * Context: task context; takes pool_lock.
 */
void io2_workers_limit(struct io2_ring *ring, const u32 max[IO2_LIMITS])
{
	unsigned int i;

	spin_lock(&ring->pool_lock);
	for (i = 0; i < IO2_LIMITS; i++) {
		if (!max[i])
			continue;
		ring->max_workers[i] = max[i];
		workers_trim(ring, i);
	}
	spin_unlock(&ring->pool_lock);
}

/**
 * io2_workers_nr() - number of worker threads of a ring
 * @ring: the ring
 *
 * Context: task context.
 * Return: the number, including threads that are being created.
 */
unsigned int io2_workers_nr(struct io2_ring *ring)
{
	unsigned int i, nr = 0;

	spin_lock(&ring->pool_lock);
	for (i = 0; i < IO2_CLASSES; i++)
		nr += ring->nr_workers[i];
	spin_unlock(&ring->pool_lock);
	return nr;
}
