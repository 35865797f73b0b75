// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that counts against RLIMIT_MEMLOCK, as io_uring's does: a number of
 * pages for each user, of all processes together.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/user_namespace.h>

#include "debug/fault.h"
#include "memlock.h"

/**
 * io2_memlock_charge() - charge pages to the user of the current task
 * @m: zeroed; receives the charge
 * @pages: number of pages
 *
 * As in io_uring a task with CAP_IPC_LOCK is not charged.
 *
 * Context: task context.
 * Return: 0; -ENOMEM if the limit of the current task does not allow it.
 */
int io2_memlock_charge(struct io2_memlock *m, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	atomic_long_t *locked = &current_user()->locked_vm;
	long old = atomic_long_read(locked);

	if (io2_fault_inject("region", "memlock"))
		return -ENOMEM;
	if (ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK))
		return 0;
	do {
		if (pages > limit || old + pages > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(locked, &old, old + pages));
	/* the credentials hold the user */
	m->cred = get_current_cred();
	m->pages = pages;
	return 0;
}

/**
 * io2_memlock_uncharge() - give back a charge
 * @m: the charge; it may be none
 *
 * Context: any task context.
 */
void io2_memlock_uncharge(struct io2_memlock *m)
{
	if (!m->cred)
		return;
	atomic_long_sub(m->pages, &m->cred->user->locked_vm);
	put_cred(m->cred);
	m->cred = NULL;
}
