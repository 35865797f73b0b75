// SPDX-License-Identifier: GPL-2.0
/*
 * Worker threads of a ring.  A worker runs requests that block, one at a time,
 * with the address space and credentials of the request's submitter.  Two
 * classes, so that requests that may block for ever (pipes, devices) never
 * keep file I/O waiting.  A third, of one worker, tries requests again whose
 * file became ready while no task of their process was there to do it: one, so
 * that they are tried in the order in which they became ready.  Workers are
 * made when they are first needed, in task context; a worker that finds
 * nothing to do for a while ends, but a ring keeps its last one of each class:
 * completing must not depend on making one.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "cancel.h"
#include "counters.h"
#include "deferred.h"
#include "request.h"
#include "submitter.h"
#include "worker.h"

#define WORKER_IDLE	(5 * HZ)

enum { CLASS_BOUNDED, CLASS_UNBOUNDED, CLASS_RETRY };

static unsigned int workers_bounded;
module_param(workers_bounded, uint, 0644);
MODULE_PARM_DESC(workers_bounded,
		 "worker threads of a ring for files and block devices, 0 = 4 per CPU");

static unsigned int workers_unbounded = 256;
module_param(workers_unbounded, uint, 0644);
MODULE_PARM_DESC(workers_unbounded,
		 "worker threads of a ring for all other requests");

/**
 * struct io2_worker - one worker thread
 * @node: in wq.workers or wq.dead
 * @ring: whose
 * @task: the thread
 * @cur: what it runs, under wq_lock
 * @sub: for whom, valid while @cur is set; under wq_lock
 * @wq_class: which requests it takes
 *
 * Lives from worker_create() until its thread has been stopped.
 */
struct io2_worker {
	struct list_head	node;
	struct io2_ring		*ring;
	struct task_struct	*task;
	struct io2_req		*cur;
	struct io2_submitter	*sub;
	unsigned int		wq_class;
};

static unsigned int workers_max(unsigned int wq_class)
{
	switch (wq_class) {
	case CLASS_BOUNDED:
		return READ_ONCE(workers_bounded) ? : 4 * num_online_cpus();
	case CLASS_UNBOUNDED:
		return READ_ONCE(workers_unbounded) ? : 1;
	default:
		return 1;
	}
}

/* --- the queue --------------------------------------------------------- */

static bool hash_free(const struct io2_wq *wq, const struct io2_req *req)
{
	return !req->wq_hash || !(wq->hash_busy & BIT_ULL(req->wq_hash));
}

static struct io2_req *wq_peek(struct io2_ring *ring, unsigned int wq_class)
{
	struct io2_req *req;

	lockdep_assert_held(&ring->wq_lock);
	list_for_each_entry(req, &ring->wq.pending[wq_class], node)
		if (hash_free(&ring->wq, req))
			return req;
	return NULL;
}

static void wq_remove(struct io2_req *req)
{
	struct io2_wq *wq = &req->ring->wq;

	lockdep_assert_held(&req->ring->wq_lock);
	list_del_init(&req->node);
	wq->nr_pending[req->wq_class]--;
}

/* Takes the next request and makes it the worker's. */
static struct io2_req *worker_next(struct io2_worker *w)
{
	struct io2_ring *ring = w->ring;
	struct io2_req *req;

	spin_lock(&ring->wq_lock);
	req = wq_peek(ring, w->wq_class);
	if (req) {
		wq_remove(req);
		if (req->wq_hash)
			ring->wq.hash_busy |= BIT_ULL(req->wq_hash);
		req->wq_state = IO2_WQ_RUNNING;
		w->cur = req;
		w->sub = req->sub;
	}
	spin_unlock(&ring->wq_lock);
	return req;
}

/*
 * The request has ended, and with it what was sent to end it: what comes next, of
 * whomever, is not to meet a signal.
 */
static void worker_done(struct io2_worker *w, unsigned int hash)
{
	struct io2_ring *ring = w->ring;

	spin_lock(&ring->wq_lock);
	w->cur = NULL;
	/* under the lock: none is sent to who has no request */
	if (signal_pending(current))
		flush_signals(current);
	if (hash)
		ring->wq.hash_busy &= ~BIT_ULL(hash);
	if (hash && ring->wq.nr_pending[w->wq_class])
		wake_up(&ring->wq.wait[w->wq_class]);
	spin_unlock(&ring->wq_lock);
}

/* --- the thread -------------------------------------------------------- */

static void worker_run(struct io2_worker *w, struct io2_req *req,
		       struct io2_borrow *bw)
{
	unsigned int hash = req->wq_hash;
	struct io2_batch b;

	io2_borrow(bw, req->sub);
	io2_batch_init(&b, w->ring, IO2_NONBLOCK);
	io2_queue_watch(w->ring);
	if (bw->have_mm && w->wq_class != CLASS_RETRY)
		io2_req_issue_worker(req, &b);
	else
		io2_req_issue_borrowed(req, &b, bw);
	worker_done(w, hash);
	io2_batch_flush(&b);
}

static void worker_unborrow(struct io2_worker *w, struct io2_borrow *bw)
{
	if (!bw->sub)
		return;
	io2_unborrow(bw);
	/* an exiting task may wait for the borrowed context */
	if (wq_has_sleeper(&w->ring->wait))
		__wake_up(&w->ring->wait, TASK_NORMAL, 0, NULL);
}

/* A worker that is not the last of its class may end. */
static bool worker_may_end(struct io2_worker *w)
{
	struct io2_wq *wq = &w->ring->wq;
	bool end;

	spin_lock(&w->ring->wq_lock);
	end = wq->nr[w->wq_class] > 1 && !wq->nr_pending[w->wq_class] &&
	      !io2_ring_dying(w->ring);
	if (end) {
		wq->nr[w->wq_class]--;
		list_move(&w->node, &wq->dead);
	}
	spin_unlock(&w->ring->wq_lock);
	return end;
}

/* Return: whether to go on. */
static bool worker_wait(struct io2_worker *w)
{
	struct io2_wq *wq = &w->ring->wq;
	long left = WORKER_IDLE;
	DEFINE_WAIT(wait);

	prepare_to_wait_exclusive(&wq->wait[w->wq_class], &wait, TASK_IDLE);
	spin_lock(&w->ring->wq_lock);
	if (!wq_peek(w->ring, w->wq_class) && !kthread_should_stop()) {
		wq->idle[w->wq_class]++;
		spin_unlock(&w->ring->wq_lock);
		left = schedule_timeout(WORKER_IDLE);
		spin_lock(&w->ring->wq_lock);
		wq->idle[w->wq_class]--;
	}
	spin_unlock(&w->ring->wq_lock);
	finish_wait(&wq->wait[w->wq_class], &wait);
	return left || !worker_may_end(w);
}

static int worker_fn(void *data)
{
	struct io2_worker *w = data;
	struct io2_borrow bw = {};
	struct io2_req *req;

	allow_kernel_signal(SIGINT);
	allow_kernel_signal(SIGKILL);
	while (!kthread_should_stop()) {
		req = worker_next(w);
		if (req) {
			worker_run(w, req, &bw);
			continue;
		}
		worker_unborrow(w, &bw);
		if (!worker_wait(w)) {
			io2_queue_reap(w->ring);
			break;
		}
	}
	worker_unborrow(w, &bw);
	/* the thread's memory is freed after kthread_stop() */
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int worker_create(struct io2_ring *ring, unsigned int wq_class)
{
	struct io2_worker *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);

	if (!w)
		return -ENOMEM;
	w->ring = ring;
	w->wq_class = wq_class;
	w->task = kthread_create(worker_fn, w, "iou2-wrk-%d",
				 task_tgid_nr(current));
	if (IS_ERR(w->task)) {
		int err = PTR_ERR(w->task);

		kfree(w);
		return err;
	}
	set_user_nice(w->task, task_nice(current));
	spin_lock(&ring->wq_lock);
	list_add(&w->node, &ring->wq.workers);
	ring->wq.used = true;
	/* under the lock: once it is on the list it may be stopped and freed */
	wake_up_process(w->task);
	spin_unlock(&ring->wq_lock);
	io2_count_add(IO2_COUNT_WORKERS, 1);
	return 0;
}

static void workers_free(struct list_head *list)
{
	struct io2_worker *w, *next;

	list_for_each_entry_safe(w, next, list, node) {
		kthread_stop(w->task);
		kfree(w);
		io2_count_sub(IO2_COUNT_WORKERS, 1);
	}
}

static void workers_reap(struct work_struct *work)
{
	struct io2_ring *ring = container_of(work, struct io2_ring, wq.reap);
	LIST_HEAD(dead);

	spin_lock(&ring->wq_lock);
	list_splice_init(&ring->wq.dead, &dead);
	spin_unlock(&ring->wq_lock);
	workers_free(&dead);
}

/*
 * Workers are no threads of the process that they work for: what kills it does
 * not reach them.  Its last close ends them, but it may never get there, when
 * one of its tasks sleeps for a lock that a worker holds while it waits, for a
 * page that nobody provides, say.  So while workers are busy, somebody looks.
 */
static void workers_watch(struct work_struct *work)
{
	struct io2_ring *ring = container_of(to_delayed_work(work),
					     struct io2_ring, wq.watch);
	struct io2_worker *w;
	bool busy = false;

	spin_lock(&ring->wq_lock);
	list_for_each_entry(w, &ring->wq.workers, node) {
		if (!w->cur)
			continue;
		busy = true;
		if (io2_submitter_killed(w->sub))
			send_sig(SIGKILL, w->task, 1);
	}
	spin_unlock(&ring->wq_lock);
	if (busy)
		io2_queue_watch(ring);
}

/* --- for the others ---------------------------------------------------- */

static unsigned int req_class(const struct io2_req *req)
{
	umode_t mode;

	if (!req->file)
		return CLASS_UNBOUNDED;
	mode = file_inode(req->file)->i_mode;
	return S_ISREG(mode) || S_ISBLK(mode) ? CLASS_BOUNDED :
						CLASS_UNBOUNDED;
}

/* 1..63; buffered writes to one file run one after the other. */
static unsigned int req_hash(const struct io2_req *req)
{
	if (!io2_req_op(req)->hash_write || !req->file ||
	    (req->file->f_flags & O_DIRECT) ||
	    !S_ISREG(file_inode(req->file)->i_mode))
		return 0;
	return 1 + ((unsigned long)file_inode(req->file) / sizeof(long) / 61) %
		   63;
}

/*
 * Queues @req.  Return: 0, -ECANCELED when the ring is going away; *@create
 * says that a worker should be made for it.
 */
static int wq_add(struct io2_req *req, unsigned int wq_class, bool *create)
{
	struct io2_ring *ring = req->ring;
	struct io2_wq *wq = &ring->wq;

	req->wq_hash = wq_class == CLASS_RETRY ? 0 : req_hash(req);
	req->wq_class = wq_class;
	spin_lock(&ring->inflight_lock);
	if (!io2_hash_add(req, IO2_ARMED_WORKER)) {
		spin_unlock(&ring->inflight_lock);
		return -ECANCELED;
	}
	spin_lock(&ring->wq_lock);
	req->wq_state = IO2_WQ_QUEUED;
	list_add_tail(&req->node, &wq->pending[wq_class]);
	wq->nr_pending[wq_class]++;
	*create = wq->nr_pending[wq_class] > wq->idle[wq_class] &&
		  wq->nr[wq_class] < workers_max(wq_class);
	if (*create)
		wq->nr[wq_class]++;
	wake_up(&wq->wait[wq_class]);
	spin_unlock(&ring->wq_lock);
	spin_unlock(&ring->inflight_lock);
	return 0;
}

/*
 * No worker could be made.  If there is another one, it will do; else take
 * back what is queued for this class: it fails rather than waits for ever, but
 * what would not block is done all the same.
 */
static void wq_create_failed(struct io2_ring *ring, unsigned int wq_class,
			     int err, struct io2_batch *b)
{
	struct io2_req *req, *next;
	LIST_HEAD(list);

	spin_lock(&ring->wq_lock);
	if (!--ring->wq.nr[wq_class]) {
		list_splice_init(&ring->wq.pending[wq_class], &list);
		ring->wq.nr_pending[wq_class] = 0;
		list_for_each_entry(req, &list, node)
			req->wq_state = IO2_WQ_NONE;
	}
	spin_unlock(&ring->wq_lock);
	list_for_each_entry_safe(req, next, &list, node) {
		list_del_init(&req->node);
		if (wq_class == CLASS_RETRY) {
			io2_defer_foreign(req);
			continue;
		}
		io2_req_set(req, err == -EINTR ? -ECANCELED : err);
		io2_req_complete(req, b);
	}
}

static void worker_queue(struct io2_req *req, unsigned int wq_class,
			 struct io2_batch *b)
{
	struct io2_ring *ring = req->ring;
	bool create = false;
	int err = wq_add(req, wq_class, &create);

	if (err) {
		io2_req_set(req, err);
		io2_req_complete(req, b);
		return;
	}
	if (!create)
		return;
	err = worker_create(ring, wq_class);
	if (err)
		wq_create_failed(ring, wq_class, err, b);
}

/**
 * io2_worker_queue() - have a worker do a request
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion where that fails
 *
 * Context: may sleep.
 */
void io2_worker_queue(struct io2_req *req, struct io2_batch *b)
{
	worker_queue(req, req_class(req), b);
}

/**
 * io2_worker_retry() - have the ring's retry worker try a request
 * @req: tracked, owned by the caller; not to be touched afterwards
 * @b: collects its completion where that fails
 *
 * Context: may sleep.
 */
void io2_worker_retry(struct io2_req *req, struct io2_batch *b)
{
	worker_queue(req, CLASS_RETRY, b);
}

static void worker_canceled(struct io2_req *req, struct io2_batch *b)
{
	io2_req_complete(req, b);
}

static void worker_interrupt(struct io2_ring *ring, struct io2_req *req,
			     bool kill)
{
	struct io2_worker *w;

	lockdep_assert_held(&ring->wq_lock);
	list_for_each_entry(w, &ring->wq.workers, node)
		if (w->cur == req)
			send_sig(kill ? SIGKILL : SIGINT, w->task, 1);
}

/**
 * io2_worker_cancel() - cancel a request that was given to a worker
 * @req: found in the hash
 * @kill: its submitter or the ring is going away
 *
 * Context: inflight_lock held.
 * Return: 0 when it had not been started; -EALREADY when it runs: if it sleeps
 * interruptibly, or with @kill killably (in a page fault, say), it is
 * interrupted and ends with ECANCELED.
 */
int io2_worker_cancel(struct io2_req *req, bool kill)
{
	struct io2_ring *ring = req->ring;
	int ret = -EALREADY;

	lockdep_assert_held(&ring->inflight_lock);
	spin_lock(&ring->wq_lock);
	if (req->wq_state == IO2_WQ_QUEUED) {
		wq_remove(req);
		req->wq_state = IO2_WQ_NONE;
		ret = 0;
	} else if (req->wq_state != IO2_WQ_NONE) {
		WRITE_ONCE(req->wq_state, IO2_WQ_INTERRUPTED);
		worker_interrupt(ring, req, kill);
	}
	spin_unlock(&ring->wq_lock);
	if (ret)
		return ret;
	io2_hash_del(req);
	io2_req_set(req, -ECANCELED);
	req->run = worker_canceled;
	io2_defer(req);
	return 0;
}

/**
 * io2_worker_result() - what an interrupted operation is to report
 * @req: the request
 * @res: what the operation returned
 *
 * Return: @res; -EINTR for restart codes, which mean nothing to a ring;
 * -ECANCELED if cancellation did it.
 */
s32 io2_worker_result(struct io2_req *req, s32 res)
{
	switch (res) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
	case -EINTR:
		return io2_worker_was_interrupted(req) ? -ECANCELED : -EINTR;
	default:
		return res;
	}
}

/**
 * io2_worker_init() - initialise the worker side of a new ring
 * @ring: the ring
 *
 * Cannot fail (I7).
 */
void io2_worker_init(struct io2_ring *ring)
{
	struct io2_wq *wq = &ring->wq;
	unsigned int i;

	spin_lock_init(&ring->wq_lock);
	for (i = 0; i < IO2_CLASSES; i++) {
		INIT_LIST_HEAD(&wq->pending[i]);
		init_waitqueue_head(&wq->wait[i]);
	}
	INIT_LIST_HEAD(&wq->workers);
	INIT_LIST_HEAD(&wq->dead);
	INIT_WORK(&wq->reap, workers_reap);
	INIT_DELAYED_WORK(&wq->watch, workers_watch);
}

static bool workers_used(struct io2_ring *ring)
{
	bool used;

	spin_lock(&ring->wq_lock);
	used = ring->wq.used;
	spin_unlock(&ring->wq_lock);
	return used;
}

static bool workers_take(struct io2_ring *ring, struct list_head *list)
{
	spin_lock(&ring->wq_lock);
	list_splice_init(&ring->wq.workers, list);
	spin_unlock(&ring->wq_lock);
	return !list_empty(list);
}

/**
 * io2_workers_stop() - end all workers
 * @ring: a ring whose requests have all completed, deferred work included
 *
 * A worker may still be making another one, for a request that somebody else
 * was quicker to do; it has done so once it is stopped.
 *
 * Context: may sleep.
 */
void io2_workers_stop(struct io2_ring *ring)
{
	LIST_HEAD(list);

	if (!workers_used(ring))
		return;
	while (workers_take(ring, &list)) {
		workers_free(&list);
		INIT_LIST_HEAD(&list);
	}
	workers_reap(&ring->wq.reap);
	/* last, because only a worker queues them */
	cancel_work_sync(&ring->wq.reap);
	cancel_delayed_work_sync(&ring->wq.watch);
}

/**
 * io2_workers_nr() - number of worker threads
 * @ring: the ring
 *
 * Context: task context.
 * Return: the number.
 */
unsigned int io2_workers_nr(struct io2_ring *ring)
{
	unsigned int i, nr = 0;

	spin_lock(&ring->wq_lock);
	for (i = 0; i < IO2_CLASSES; i++)
		nr += ring->wq.nr[i];
	spin_unlock(&ring->wq_lock);
	return nr;
}
