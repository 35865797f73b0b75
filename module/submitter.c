// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submitters: identities of processes, kept for requests that outlive their
 * ENTER.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "ring.h"
#include "submitter.h"
#include "watch.h"

/* From here on the end of the process does not queue the ring's watch. */
static void submitter_unwatch(struct io2_submitter *sub)
{
	struct wait_queue_head *wq = &sub->tgid->wait_pidfd;
	unsigned long flags;

	spin_lock_irqsave(&wq->lock, flags);
	list_del_init(&sub->exit.entry);
	spin_unlock_irqrestore(&wq->lock, flags);
}

static void submitter_free(struct io2_submitter *sub)
{
	submitter_unwatch(sub);
	if (sub->last_mm)
		mmput(sub->mm);
	io2_memcg_put(sub->memcg);
	mmdrop(sub->mm);
	put_pid(sub->tid);
	put_pid(sub->tgid);
	put_cred(sub->cred);
	kfree(sub);
	io2_count_sub(IO2_COUNT_SUBMITTERS, 1);
}

/**
 * io2_submitters_free() - free the submitters that io2_submitters_take() took
 * @list: the submitters, without requests and workers
 *
 * Context: may sleep. If their process is leaving the ring, this may drop the
 * last user of its mm and unmap all of it; uring_lock is not held then.
 */
void io2_submitters_free(struct list_head *list)
{
	struct io2_submitter *sub, *next;

	list_for_each_entry_safe(sub, next, list, node)
		submitter_free(sub);
}

static void pool_init(struct io2_pool *pool)
{
	unsigned int i;

	for (i = 0; i < IO2_CLASSES; i++) {
		INIT_LIST_HEAD(&pool->pending[i]);
		INIT_LIST_HEAD(&pool->idle[i]);
	}
	INIT_LIST_HEAD(&pool->parked);
	for (i = 0; i < IO2_KEYS; i++)
		INIT_HLIST_HEAD(&pool->keys[i]);
}

/* Return: the leader of the process; NULL once it has been reaped. */
static struct task_struct *submitter_leader(const struct io2_submitter *sub)
{
	return pid_task(sub->tgid, PIDTYPE_TGID);
}

/*
 * Has the process ended? It has once no thread but its leader is left, and the
 * leader has ended. Each of them has closed its descriptors by then, or left
 * them to others.
 */
static bool submitter_has_ended(const struct io2_submitter *sub)
{
	struct task_struct *task;
	bool ended;

	rcu_read_lock();
	task = submitter_leader(sub);
	ended = !task;
	if (task && READ_ONCE(task->exit_state))
		/* no thread is added once the last one has ended */
		ended = data_race(thread_group_empty(task));
	rcu_read_unlock();
	return ended;
}

/*
 * The kernel wakes the waiters of a pidfd when the process has ended, and at
 * other times, for example when a traced leader has ended before its threads.
 * tasklist_lock is held, so the requests are left to the ring's watch.
 */
static int submitter_exit_wake(struct wait_queue_entry *entry,
			       unsigned int mode, int sync, void *key)
{
	struct io2_submitter *sub = container_of(entry, struct io2_submitter,
						 exit);

	if (submitter_has_ended(sub))
		io2_watch_queue_now(sub->ring);
	return 0;
}

static struct io2_submitter *submitter_alloc(struct io2_ring *ring)
{
	struct io2_submitter *sub = kzalloc(sizeof(*sub), GFP_KERNEL_ACCOUNT);

	if (!sub)
		return NULL;
	mmgrab(current->mm);
	sub->mm = current->mm;
	/* get_cred() clears non_rcu, which is 0 anyway: a harmless race */
	sub->cred = data_race(get_current_cred());
	sub->tgid = get_pid(task_tgid(current));
	sub->tid = get_pid(task_pid(current));
	sub->ring = ring;
	sub->memcg = io2_memcg_get(current->mm);
	sub->files = current->files;
	sub->fs = current->fs;
	sub->nsproxy = current->nsproxy;
	sub->cgroups = io2_cgroups_of(current);
	sub->fsize = rlimit(RLIMIT_FSIZE);
	sub->flusher = current->flags & IO2_PF_FLUSHER;
	sub->ioprio = get_current_ioprio();
	pool_init(&sub->pool);
	init_waitqueue_func_entry(&sub->exit, submitter_exit_wake);
	add_wait_queue(&sub->tgid->wait_pidfd, &sub->exit);
	io2_count_add(IO2_COUNT_SUBMITTERS, 1);
	return sub;
}

static struct list_head *submitters_of(struct io2_ring *ring)
{
	lockdep_assert_held(&ring->inflight_lock);
	return &ring->submitters;
}

static struct io2_submitter *submitter_find(struct io2_ring *ring)
{
	struct io2_submitter *sub;

	list_for_each_entry(sub, submitters_of(ring), node)
		if (io2_submitter_matches(sub))
			return sub;
	return NULL;
}

/**
 * io2_submitter_is_replaced() - has the process executed another program?
 * @sub: the submitter
 *
 * Context: any.
 * Return: true if it has; false once the process is gone.
 */
bool io2_submitter_is_replaced(const struct io2_submitter *sub)
{
	struct task_struct *task;
	struct mm_struct *mm;

	rcu_read_lock();
	task = submitter_leader(sub);
	mm = task ? READ_ONCE(task->mm) : NULL;
	rcu_read_unlock();
	return mm && mm != sub->mm;
}

/**
 * io2_submitter_ends() - is the process about to end?
 * @sub: the submitter
 *
 * It is after SIGKILL, another fatal signal, or exit_group(). A worker should
 * not delay its end then.
 *
 * Context: any.
 * Return: true if it is; false once the process is gone.
 */
bool io2_submitter_ends(const struct io2_submitter *sub)
{
	struct task_struct *task;
	bool ends;

	rcu_read_lock();
	task = submitter_leader(sub);
	/* a task keeps its signal_struct until it is freed */
	ends = task && (READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT);
	rcu_read_unlock();
	return ends;
}

/*
 * Finds a task of the process with the fd table with which it has submitted. If
 * no task has that table any more, because of unshare(2), finds the task that
 * entered first, which has a copy of it. The tables of other tasks may never
 * have had the ring. A table survives execve(2), and the new program may have
 * more rights. So only tasks of the same program count. A thread of io_uring
 * keeps its table when its creator calls unshare(2), and does not count.
 *
 * @files receives the table of the task.
 *
 * Context: within an RCU read-side critical section.
 * Return: the task, or NULL.
 */
static struct task_struct *submitter_find_task(const struct io2_submitter *sub,
					       void **files)
{
	struct task_struct *leader, *t, *found = NULL;
	void *table;

	leader = submitter_leader(sub);
	if (!leader)
		return NULL;
	/*
	 * with lockdep, for_each_thread() refers to tasklist_lock, which is not
	 * exported
	 */
	list_for_each_entry_rcu(t, &leader->signal->thread_head, thread_node) {
		table = READ_ONCE(t->files);
		if (!table || READ_ONCE(t->mm) != sub->mm ||
		    (t->flags & PF_IO_WORKER))
			continue;
		if (table != READ_ONCE(sub->files) && task_pid(t) != sub->tid)
			continue;
		found = t;
		*files = table;
		if (table == READ_ONCE(sub->files))
			break;
	}
	return found;
}

/* As submitter_find_task(). Return: the task, referenced, or NULL. */
static struct task_struct *submitter_task(const struct io2_submitter *sub,
					  void **files)
{
	struct task_struct *task;

	rcu_read_lock();
	task = submitter_find_task(sub, files);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	return task;
}

/*
 * Looks up @fd in @files, the fd table of @task. The table and the program of a
 * task change under its task_lock.
 *
 * Return: false if @task has another table or program by now; *@file is invalid
 * then.
 */
static bool submitter_fget_task(const struct io2_submitter *sub,
				struct task_struct *task, const void *files,
				int fd, struct file **file)
{
	bool same;

	*file = io2_fget_task(task, fd);
	task_lock(task);
	same = task->files == files && task->mm == sub->mm;
	task_unlock(task);
	if (*file && !same)
		io2_file_put(*file);
	return same;
}

/**
 * io2_submitter_fget() - look up a descriptor in an fd table that is not current's
 * @sub: the submitter
 * @fd: its descriptor
 *
 * Searches the threads of the process for one that still has the fd table with
 * which the request was submitted, or a copy of it.
 *
 * Context: task context.
 * Return: the file, referenced; NULL if there is no such file or thread.
 */
struct file *io2_submitter_fget(const struct io2_submitter *sub, int fd)
{
	struct task_struct *task;
	struct file *file = NULL;
	void *files;
	bool done;

	do {
		task = submitter_task(sub, &files);
		if (!task)
			return NULL;
		done = submitter_fget_task(sub, task, files, fd, &file);
		put_task_struct(task);
	} while (!done);
	/* as fget(), which does not return files opened with O_PATH */
	if (file && (file->f_mode & FMODE_PATH)) {
		io2_file_put(file);
		return NULL;
	}
	return file;
}

/**
 * io2_submitter_signal() - send the signal that the system call would have raised
 * @sub: the submitter
 * @sig: the signal
 *
 * Sends nothing if another program has replaced the submitter's by execve(2).
 *
 * Context: task context.
 */
void io2_submitter_signal(const struct io2_submitter *sub, int sig)
{
	if (!(READ_ONCE(sub->ends) & IO2_ENDS_GONE) &&
	    !io2_submitter_is_replaced(sub))
		kill_pid(sub->tgid, sig, 1);
}

/**
 * io2_submitter_nice() - the nice value of the task that a worker works for
 * @sub: the submitter
 *
 * Context: any.
 * Return: current's, if it is a task of the process; that of the task that entered
 * first; or that of the process's leader, if this task has ended.
 */
int io2_submitter_nice(const struct io2_submitter *sub)
{
	struct task_struct *task;
	int nice = 0;

	if (io2_submitter_is_process(sub))
		return task_nice(current);
	rcu_read_lock();
	task = pid_task(sub->tid, PIDTYPE_PID);
	if (!task)
		task = submitter_leader(sub);
	if (task)
		nice = task_nice(task);
	rcu_read_unlock();
	return nice;
}

static int fd_is_file(const void *file, struct file *other, unsigned int fd)
{
	return file == other;
}

/**
 * io2_have_descriptor() - does current's process have a descriptor of a file?
 * @file: the file
 *
 * Context: task context.
 * Return: true if it does.
 */
bool io2_have_descriptor(struct file *file)
{
	return iterate_fd(current->files, 0, fd_is_file, file);
}

/*
 * Can current's process close the ring? A ring in SETUP, which has no file yet,
 * counts as reachable.
 */
static bool ring_is_reachable(const struct io2_ring *ring)
{
	return !ring->file || io2_have_descriptor(ring->file);
}

/*
 * Is it certain that the process has mapped the ring? If not, only the watch
 * notices that the process executes another program. So the watch checks a
 * process that has inherited its mapping, or has mapped the ring before another
 * process did, even if the kernel would unmap the ring there.
 */
static bool submitter_has_mapped(const struct io2_ring *ring,
				 const struct io2_submitter *sub)
{
	lockdep_assert_held(&ring->inflight_lock);
	return sub->mm == ring->mapped_mm && sub->tgid == ring->mapped_by;
}

/* Adds @sub, unless a process has left since @seq was read: it may be @sub's. */
static bool submitter_add(struct io2_ring *ring, struct io2_submitter *sub,
			  u32 seq)
{
	bool same;

	spin_lock(&ring->inflight_lock);
	same = ring->leave_seq == seq;
	if (same) {
		sub->exec_told = submitter_has_mapped(ring, sub);
		list_add(&sub->node, submitters_of(ring));
		WRITE_ONCE(ring->nr_submitters, ring->nr_submitters + 1);
	}
	spin_unlock(&ring->inflight_lock);
	return same;
}

/**
 * io2_submitter_make() - find or create the submitter that describes current
 * @ring: the ring; the slow path of io2_submitter_get()
 *
 * Context: may sleep; uring_lock held.
 * Return: 0, -ENOMEM, or -EBADF.
 */
int io2_submitter_make(struct io2_ring *ring)
{
	struct io2_submitter *sub;
	bool added;
	u32 seq;

	lockdep_assert_held(&ring->uring_lock);
	do {
		spin_lock(&ring->inflight_lock);
		sub = submitter_find(ring);
		seq = ring->leave_seq;
		spin_unlock(&ring->inflight_lock);
		if (sub)
			break;
		if (!ring_is_reachable(ring))
			return -EBADF;
		sub = submitter_alloc(ring);
		if (!sub)
			return -ENOMEM;
		io2_submitters_drop(ring);
		added = submitter_add(ring, sub, seq);
		if (!added)
			submitter_free(sub);
	} while (!added);
	ring->submitter = sub;
	return 0;
}

static void submitter_set_ends(struct io2_submitter *sub, unsigned int why)
{
	lockdep_assert_held(&sub->ring->inflight_lock);
	WRITE_ONCE(sub->ends, sub->ends | why);
}

/*
 * A leaving process frees its own submitters. A submitter that holds the last
 * reference on an mm is freed where uring_lock is not held: by a process that
 * leaves, by the watch, or by the end of the ring.
 */
static bool submitter_is_of(const struct io2_submitter *sub, const void *files)
{
	if (!files)
		return io2_ring_dying(sub->ring) ||
		       !(sub->last_mm || (sub->ends & IO2_ENDS_LEAVING));
	return (sub->ends & IO2_ENDS_LEAVING) &&
	       (sub->files == files || sub->tgid == task_tgid(current));
}

/* Has the fd table of @task, unless that is @files, a descriptor of the ring? */
static bool task_has_ring(struct io2_ring *ring, struct task_struct *task,
			  const void *files)
{
	bool has;

	task_lock(task);
	has = task->files && task->files != files &&
	      iterate_fd(task->files, 0, fd_is_file, ring->file);
	task_unlock(task);
	return has;
}

/*
 * A thread of the process @tgid that uses the fd table @table. A thread of
 * io_uring keeps its table when its creator calls unshare(2), and does not count.
 *
 * Context: within an RCU read-side critical section.
 * Return: the thread, or NULL.
 */
static struct task_struct *thread_with(struct pid *tgid, const void *table)
{
	struct task_struct *leader = pid_task(tgid, PIDTYPE_TGID), *t;

	if (!leader)
		return NULL;
	list_for_each_entry_rcu(t, &leader->signal->thread_head, thread_node)
		if (READ_ONCE(t->files) == table && !(t->flags & PF_IO_WORKER))
			return t;
	return NULL;
}

/**
 * struct leaver - which submitters lose the ring by the end of an fd table
 * @files: the table, which has no descriptor of the ring any more
 * @tgid: process of the submitters that are looked at; referenced
 * @tid: the task that entered first for them; referenced
 * @table: the table with which they have submitted; only compared
 *
 * Many submitters may have the same @tid and @table, for example if a thread
 * changes its credentials again and again. They are looked at together, and in
 * the order of these two pointers: the look at a table takes long, and
 * inflight_lock is not held for it.
 *
 * Lifetime: on the stack of the task that leaves.
 */
struct leaver {
	const void	*files;
	struct pid	*tgid;
	struct pid	*tid;
	const void	*table;
};

static bool leaver_is_past(const struct leaver *l,
			   const struct io2_submitter *sub)
{
	return sub->tid > l->tid ||
	       (sub->tid == l->tid && (const void *)sub->files > l->table);
}

static bool leaver_means(const struct leaver *l,
			 const struct io2_submitter *sub)
{
	return sub->tid == l->tid && sub->files == l->table;
}

/* May @sub lose the ring? Its table ends, or its process is current's. */
static bool leaver_may_mean(const struct leaver *l,
			    const struct io2_submitter *sub)
{
	struct task_struct *first;
	bool may;

	if (sub->ends & IO2_ENDS_LEAVING)
		return false;
	if (sub->files == l->files || sub->tgid == task_tgid(current))
		return true;
	rcu_read_lock();
	first = pid_task(sub->tid, PIDTYPE_PID);
	may = first && READ_ONCE(first->files) == l->files;
	rcu_read_unlock();
	return may;
}

/* Goes on to the next submitters. Return: false if there are none. */
static bool leaver_next(struct io2_ring *ring, struct leaver *l)
{
	struct io2_submitter *sub, *next = NULL;
	struct leaver old = *l;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (!leaver_is_past(&old, sub) || !leaver_may_mean(l, sub))
			continue;
		if (next && leaver_is_past(l, sub))
			continue;
		next = sub;
		l->tid = sub->tid;
		l->table = sub->files;
	}
	if (next) {
		l->tgid = get_pid(next->tgid);
		get_pid(l->tid);
	}
	spin_unlock(&ring->inflight_lock);
	put_pid(old.tgid);
	put_pid(old.tid);
	return next;
}

/*
 * Has the process still the ring? After unshare(2) it may have it by two tables:
 * the one with which it has submitted, if a thread has that, and the copy of the
 * task that entered first. Requests that only the process may do can be done by
 * these threads, and by no other. If the process has neither table, it is exiting
 * or in execve(2), or it has ended.
 */
static bool leaver_keeps(struct io2_ring *ring, const struct leaver *l)
{
	struct task_struct *t;
	bool keeps = false;

	rcu_read_lock();
	t = pid_task(l->tid, PIDTYPE_PID);
	if (t)
		keeps = task_has_ring(ring, t, l->files);
	if (!keeps && l->table != l->files) {
		t = thread_with(l->tgid, l->table);
		if (t)
			keeps = task_has_ring(ring, t, l->files);
	}
	rcu_read_unlock();
	return keeps;
}

static void leaver_mark(struct io2_ring *ring, const struct leaver *l)
{
	struct io2_submitter *sub;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (!leaver_means(l, sub) || (sub->ends & IO2_ENDS_LEAVING))
			continue;
		WRITE_ONCE(sub->files, (void *)l->files);
		submitter_set_ends(sub, IO2_ENDS_LEAVING);
		/* no task matches it any more, see io2_submitter_matches() */
		WRITE_ONCE(sub->fs, NULL);
	}
	spin_unlock(&ring->inflight_lock);
}

static void leave_begin(struct io2_ring *ring)
{
	spin_lock(&ring->inflight_lock);
	ring->leave_seq++;
	spin_unlock(&ring->inflight_lock);
}

/* Has current anything to wait for? */
static bool leave_found(struct io2_ring *ring, const void *files)
{
	struct io2_submitter *sub;
	bool found = false;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node)
		found |= submitter_is_of(sub, files);
	spin_unlock(&ring->inflight_lock);
	return found;
}

/**
 * io2_submitters_leave() - start to end a process's use of a ring
 * @ring: the ring
 * @files: its fd table, which has no descriptor of the ring any more
 *
 * From here on io2_submitter_make() does not create a submitter for the
 * process unless it gets a descriptor again, and none of its requests starts or
 * waits. One that did start, for example from behind a drain barrier, could find
 * another file under the number of a descriptor that the program has closed by
 * now. A process without a submitter need not wait for the requests of others.
 *
 * Context: task context, does not sleep.
 * Return: true if the process has a submitter.
 */
bool io2_submitters_leave(struct io2_ring *ring, void *files)
{
	struct leaver l = { .files = files };

	leave_begin(ring);
	while (leaver_next(ring, &l))
		if (!leaver_keeps(ring, &l))
			leaver_mark(ring, &l);
	return leave_found(ring, files);
}

static void submitter_take(struct io2_ring *ring, struct io2_submitter *sub,
			   struct list_head *list)
{
	lockdep_assert_held(&ring->inflight_lock);
	list_move(&sub->node, list);
	WRITE_ONCE(ring->nr_submitters, ring->nr_submitters - 1);
}

/* Does a submitter have workers, including those being created? */
static bool submitter_has_workers(struct io2_ring *ring,
				  const struct io2_submitter *sub)
{
	unsigned int i, nr = 0;

	spin_lock(&ring->pool_lock);
	for (i = 0; i < IO2_CLASSES; i++)
		nr += sub->pool.nr[i];
	spin_unlock(&ring->pool_lock);
	return nr;
}

/**
 * io2_submitters_take() - take submitters without requests off the ring
 * @ring: the ring
 * @files: takes those with this fd table, whose process is leaving; NULL takes
 *	all that have no workers either
 * @list: receives them
 *
 * Context: uring_lock held, or the caller is the only user of the ring.
 * Return: true if no such submitter is left.
 */
bool io2_submitters_take(struct io2_ring *ring, void *files,
			 struct list_head *list)
{
	struct io2_submitter *sub, *next;
	bool all = true;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry_safe(sub, next, submitters_of(ring), node) {
		if (!submitter_is_of(sub, files))
			continue;
		if (atomic_read(&sub->nr_reqs) ||
		    (!files && submitter_has_workers(ring, sub)))
			all = false;
		else
			submitter_take(ring, sub, list);
	}
	ring->submitter = NULL;
	spin_unlock(&ring->inflight_lock);
	return all;
}

/**
 * io2_submitters_take_gone() - take marked submitters without requests off the ring
 * @ring: the ring; see io2_submitters_look_after()
 * @list: receives them; they may have idle workers
 *
 * Context: uring_lock held.
 * Return: true if no marked submitter is left.
 */
bool io2_submitters_take_gone(struct io2_ring *ring, struct list_head *list)
{
	struct io2_submitter *sub, *next;
	bool all = true;

	lockdep_assert_held(&ring->uring_lock);
	spin_lock(&ring->inflight_lock);
	list_for_each_entry_safe(sub, next, submitters_of(ring), node) {
		/* a process that leaves frees its own */
		if (!(sub->ends & IO2_ENDS_GONE) ||
		    (sub->ends & IO2_ENDS_LEAVING))
			continue;
		if (atomic_read(&sub->nr_reqs)) {
			all = false;
			continue;
		}
		if (ring->submitter == sub)
			ring->submitter = NULL;
		submitter_take(ring, sub, list);
	}
	spin_unlock(&ring->inflight_lock);
	return all;
}

/**
 * io2_submitter_put() - drop a count of nr_reqs
 * @ring: the ring
 * @sub: counted in nr_reqs by the caller
 *
 * Context: any, as long as something else keeps the ring allocated.
 */
void io2_submitter_put(struct io2_ring *ring, struct io2_submitter *sub)
{
	/* a task that leaves the ring may wait for the count to drop to 0 */
	if (atomic_dec_and_test(&sub->nr_reqs) && wq_has_sleeper(&ring->wait))
		__wake_up(&ring->wait, TASK_NORMAL, 0, NULL);
}

/**
 * io2_submitters_drop() - free the submitters without requests and workers
 * @ring: the ring
 *
 * Context: may sleep; uring_lock held, or the caller is the only user of the
 * ring.
 */
void io2_submitters_drop(struct io2_ring *ring)
{
	LIST_HEAD(idle);

	io2_submitters_take(ring, NULL, &idle);
	io2_submitters_free(&idle);
}

/**
 * io2_submitters_mark_gone() - mark submitters whose program was replaced
 * @ring: the ring
 * @mm: the mm of the program, which has no users any more
 *
 * Requests of a marked submitter do not wait again.
 *
 * Context: atomic.
 * Return: true if marked submitters have requests left.
 */
bool io2_submitters_mark_gone(struct io2_ring *ring, const struct mm_struct *mm)
{
	struct io2_submitter *sub;
	bool left = false;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (sub->mm != mm)
			continue;
		submitter_set_ends(sub, IO2_ENDS_GONE);
		if (atomic_read(&sub->nr_reqs))
			left = true;
	}
	spin_unlock(&ring->inflight_lock);
	return left;
}

/**
 * io2_submitters_look_after() - check the processes of all submitters
 * @ring: the ring
 * @gone: set to true if there are marked submitters
 *
 * Marks, as io2_submitters_mark_gone() does, each submitter whose process has
 * ended or executed another program.
 *
 * Context: atomic.
 * Return: true if the check must be repeated: a process may execute another
 * program without the ring being told, and has requests, or it is about to end.
 */
bool io2_submitters_look_after(struct io2_ring *ring, bool *gone)
{
	struct io2_submitter *sub;
	bool again = false;

	*gone = false;
	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (io2_submitter_is_replaced(sub) || submitter_has_ended(sub))
			submitter_set_ends(sub, IO2_ENDS_GONE);
		if (sub->ends & IO2_ENDS_GONE)
			*gone = true;
		else if (sub->last_mm ||
			 (!sub->exec_told && atomic_read(&sub->nr_reqs)))
			again = true;
	}
	spin_unlock(&ring->inflight_lock);
	return again;
}

/**
 * io2_submitters_mapped() - record that current's process has mapped the ring
 * @ring: the ring
 *
 * Context: task context, does not sleep; mmap_lock held for writing.
 */
void io2_submitters_mapped(struct io2_ring *ring)
{
	struct io2_submitter *sub;
	struct pid *old;

	spin_lock(&ring->inflight_lock);
	old = ring->mapped_by;
	ring->mapped_mm = current->mm;
	ring->mapped_by = get_pid(task_tgid(current));
	list_for_each_entry(sub, submitters_of(ring), node)
		if (submitter_has_mapped(ring, sub))
			sub->exec_told = true;
	spin_unlock(&ring->inflight_lock);
	put_pid(old);
}

/**
 * io2_submitters_unmapped() - record that some of the ring has been unmapped
 * @ring: the ring
 * @mm: where it was mapped
 *
 * Another part of the ring may still be mapped there. Then the watch checks the
 * process needlessly.
 *
 * Context: task context, does not sleep; mmap_lock held for writing.
 * Return: true if processes with this mm have requests.
 */
bool io2_submitters_unmapped(struct io2_ring *ring, const struct mm_struct *mm)
{
	struct io2_submitter *sub;
	bool left = false;

	spin_lock(&ring->inflight_lock);
	if (ring->mapped_mm == mm)
		ring->mapped_mm = NULL;
	list_for_each_entry(sub, submitters_of(ring), node) {
		if (sub->mm != mm)
			continue;
		sub->exec_told = false;
		if (atomic_read(&sub->nr_reqs))
			left = true;
	}
	spin_unlock(&ring->inflight_lock);
	return left;
}

/**
 * io2_submitters_unwatch() - stop watching the ends of a ring's processes
 * @ring: a DYING ring
 *
 * From here on the end of a process does not queue the ring's watch.
 *
 * Context: task context, does not sleep.
 */
void io2_submitters_unwatch(struct io2_ring *ring)
{
	struct io2_submitter *sub;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node)
		submitter_unwatch(sub);
	spin_unlock(&ring->inflight_lock);
}

/**
 * io2_submitters_idle() - does a process have no requests left?
 * @ring: the ring
 * @files: the process's fd table
 *
 * Context: atomic.
 * Return: true if it has none.
 */
bool io2_submitters_idle(struct io2_ring *ring, void *files)
{
	struct io2_submitter *sub;
	bool idle = true;

	spin_lock(&ring->inflight_lock);
	list_for_each_entry(sub, submitters_of(ring), node)
		if (submitter_is_of(sub, files) && atomic_read(&sub->nr_reqs))
			idle = false;
	spin_unlock(&ring->inflight_lock);
	return idle;
}

/*
 * The program of @sub has ended, and who frees @sub unmaps its memory: a process
 * that leaves the ring, or else the watch. Not the caller: in a kernel thread,
 * the kernel would close the files that were mapped some time later.
 */
static void submitter_keep_last_mm(struct io2_submitter *sub)
{
	bool ended = io2_submitter_is_replaced(sub) || submitter_has_ended(sub);
	struct io2_ring *ring = sub->ring;

	spin_lock(&ring->inflight_lock);
	io2_assert(!sub->last_mm);
	sub->last_mm = true;
	/*
	 * A worker gives the mm back after its last request has completed, so
	 * a DYING ring may have stopped its watch. It frees all submitters.
	 */
	if (!io2_ring_dying(ring)) {
		if (ended)
			io2_watch_queue_now(ring);
		else
			io2_watch_queue(ring);
	}
	spin_unlock(&ring->inflight_lock);
}

/**
 * io2_submitter_put_mm() - drop a user of a submitter's mm
 * @sub: the submitter; the caller keeps it allocated
 *
 * Does not drop the last one, but leaves it to @sub.
 *
 * Context: task context; inflight_lock not held.
 */
void io2_submitter_put_mm(struct io2_submitter *sub)
{
	if (!atomic_add_unless(&sub->mm->mm_users, -1, 1))
		submitter_keep_last_mm(sub);
}

/**
 * io2_unborrow() - give back the context that io2_borrow() borrowed
 * @bw: as passed to io2_borrow()
 *
 * Context: may sleep; kernel thread.
 */
void io2_unborrow(struct io2_borrow *bw)
{
	if (!bw->sub)
		return;
	if (bw->have_mm)
		kthread_unuse_mm(bw->sub->mm);
	io2_set_flusher(bw->old_flusher);
	io2_set_active_memcg(bw->old_memcg);
	revert_creds(bw->old_cred);
	if (bw->have_mm)
		io2_submitter_put_mm(bw->sub);
	atomic_dec(&bw->sub->nr_reqs);
	bw->sub = NULL;
}

/**
 * io2_borrow() - switch to a submitter's memory, credentials and memory cgroup
 * @bw: zeroed, or from the last call; switches only if @sub differs
 * @sub: the submitter; it stays allocated while borrowed
 *
 * Context: may sleep; kernel thread.
 */
void io2_borrow(struct io2_borrow *bw, struct io2_submitter *sub)
{
	if (bw->sub == sub)
		return;
	io2_unborrow(bw);
	atomic_inc(&sub->nr_reqs);
	bw->sub = sub;
	bw->have_mm = mmget_not_zero(sub->mm);
	if (bw->have_mm)
		kthread_use_mm(sub->mm);
	bw->old_cred = override_creds(sub->cred);
	bw->old_memcg = io2_set_active_memcg(sub->memcg);
	bw->old_flusher = io2_set_flusher(sub->flusher);
}
