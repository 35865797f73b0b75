// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection for SETUP. Stock kernels have none, so SETUP has its own:
 * every step that can fail calls io2_fault_inject() just before it, or just
 * after it if the step allocates memory. A test arms the N-th step. This file
 * also has the other controls of SETUP that tests need.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#include "fault.h"

static int setup_fail_nth;
module_param(setup_fail_nth, int, 0644);
MODULE_PARM_DESC(setup_fail_nth,
		 "fail the N-th fallible step of the next SETUP (debug builds)");

static int setup_fail_pid;
module_param(setup_fail_pid, int, 0644);
MODULE_PARM_DESC(setup_fail_pid,
		 "fail SETUP in this process only, 0 for any (debug builds)");

static int setup_fragmented;
module_param(setup_fragmented, int, 0644);
MODULE_PARM_DESC(setup_fragmented,
		 "allocate rings page by page (debug builds)");

static unsigned int setup_first;
module_param(setup_first, uint, 0644);
MODULE_PARM_DESC(setup_first,
		 "initial value of the counters of a new ring (debug builds)");

static char fail_point[64];
static char *setup_fail_point = fail_point;
module_param(setup_fail_point, charp, 0444);
MODULE_PARM_DESC(setup_fail_point, "the step that was made to fail last (debug builds)");

/* the task whose SETUP is to fail; one at a time */
static DEFINE_SPINLOCK(fault_lock);
static struct task_struct *fault_task;
static int fault_left;

/**
 * io2_fault_begin() - a SETUP begins: use the fault that is armed, if any
 *
 * Context: any task context.
 */
void io2_fault_begin(void)
{
	int pid = READ_ONCE(setup_fail_pid);

	spin_lock(&fault_lock);
	if (setup_fail_nth > 0 && !fault_task &&
	    (!pid || pid == task_tgid_nr(current))) {
		fault_task = current;
		fault_left = setup_fail_nth;
		setup_fail_nth = 0;
		fail_point[0] = '\0';
	}
	spin_unlock(&fault_lock);
}

/**
 * io2_fault_inject() - must this step fail?
 * @what: the object
 * @step: the step
 *
 * Context: any task context, in a SETUP.
 * Return: true if the caller must behave as if the step had failed.
 */
bool io2_fault_inject(const char *what, const char *step)
{
	bool fail = false;

	spin_lock(&fault_lock);
	if (fault_task == current && fault_left > 0 && --fault_left == 0) {
		scnprintf(fail_point, sizeof(fail_point), "%s %s", what, step);
		fail = true;
	}
	spin_unlock(&fault_lock);
	return fail;
}

/**
 * io2_fault_fragmented() - must rings be allocated page by page?
 *
 * Context: any.
 * Return: true if they must.
 */
bool io2_fault_fragmented(void)
{
	return READ_ONCE(setup_fragmented);
}

/**
 * io2_fault_first() - the initial value of a new ring's counters
 *
 * Lets a test start with a ring whose counters are about to wrap.
 *
 * Context: any.
 * Return: the value.
 */
u32 io2_fault_first(void)
{
	return READ_ONCE(setup_first);
}

/**
 * io2_fault_end() - a SETUP has ended, successfully or not
 *
 * Context: any task context.
 */
void io2_fault_end(void)
{
	spin_lock(&fault_lock);
	if (fault_task == current)
		fault_task = NULL;
	spin_unlock(&fault_lock);
}
