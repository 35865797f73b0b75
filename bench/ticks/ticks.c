// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock of "bench -c" in User Mode Linux, where kernel code runs natively,
 * but the way into the kernel is a signal and two switches of the host.
 *
 * /dev/bench_ticks measures the thread that opens it, one at a time: the ticks
 * of the time-stamp counter from the start of each system call to its end,
 * without the way into the kernel and back. Some work for a ring is done between
 * the end of a system call and the return to the program, and is counted, too:
 * the task work of the in-tree ring, and threads that run there instead of the
 * measured one.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "ticks.h"

static struct {
	struct task_struct *task;	/* compared, never followed */
	struct ticks *shared;
	bool inside;			/* a system call */
	u64 last;			/* the last time that was looked at */
} measured;

static u64 ticks_now(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

/* Counts the time since the last look. */
static void count(void)
{
	u64 now = ticks_now();

	measured.shared->kernel += now - measured.last;
	measured.last = now;
}

static void call_starts(void *data, struct pt_regs *regs, long nr)
{
	if (current != measured.task)
		return;
	measured.inside = true;
	measured.last = ticks_now();
}

static void call_ends(void *data, struct pt_regs *regs, long ret)
{
	if (current != measured.task || !measured.inside)
		return;
	count();
	measured.inside = false;
	measured.shared->calls++;
}

static void task_work_ends(void *data, void *tctx, unsigned int nr)
{
	if (current == measured.task && !measured.inside)
		count();
}

static void threads_switch(void *data, bool preempt, struct task_struct *prev,
			   struct task_struct *next, unsigned int prev_state)
{
	if (measured.inside)
		return;
	if (prev == measured.task)
		measured.last = ticks_now();
	else if (next == measured.task)
		count();
}

static struct probe {
	const char *name;
	void *function;
	struct tracepoint *point;
} probes[] = {
	{ "sys_enter", call_starts },
	{ "sys_exit", call_ends },
	{ "io_uring_task_work_run", task_work_ends },
	{ "sched_switch", threads_switch },
};

static int ticks_open(struct inode *inode, struct file *file)
{
	if (cmpxchg(&measured.task, NULL, current))
		return -EBUSY;
	measured.inside = false;
	memset(measured.shared, 0, PAGE_SIZE);
	return 0;
}

static int ticks_release(struct inode *inode, struct file *file)
{
	measured.task = NULL;
	return 0;
}

static int ticks_mmap(struct file *file, struct vm_area_struct *vma)
{
	return vm_insert_page(vma, vma->vm_start, virt_to_page(measured.shared));
}

static const struct file_operations ticks_fops = {
	.owner = THIS_MODULE,
	.open = ticks_open,
	.release = ticks_release,
	.mmap = ticks_mmap,
};

static struct miscdevice ticks_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "bench_ticks",
	.fops = &ticks_fops,
};

/* The kernel exports few tracepoints by their names, but a walk over all of them. */
static void find_point(struct tracepoint *point, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(point->name, probes[i].name))
			probes[i].point = point;
}

static void unregister_first(unsigned int n)
{
	while (n--)
		tracepoint_probe_unregister(probes[n].point, probes[n].function, NULL);
	tracepoint_synchronize_unregister();
}

static int __init ticks_init(void)
{
	unsigned int i;
	int ret;

	measured.shared = (struct ticks *)get_zeroed_page(GFP_KERNEL);
	if (!measured.shared)
		return -ENOMEM;
	for_each_kernel_tracepoint(find_point, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		ret = -ENOENT;
		if (probes[i].point)
			ret = tracepoint_probe_register(probes[i].point,
							probes[i].function, NULL);
		if (ret) {
			pr_err("no tracepoint %s\n", probes[i].name);
			goto unregister;
		}
	}
	ret = misc_register(&ticks_device);
	if (ret)
		goto unregister;
	return 0;

unregister:
	unregister_first(i);
	free_page((unsigned long)measured.shared);
	return ret;
}

static void __exit ticks_exit(void)
{
	misc_deregister(&ticks_device);
	unregister_first(ARRAY_SIZE(probes));
	free_page((unsigned long)measured.shared);
}

module_init(ticks_init);
module_exit(ticks_exit);
MODULE_DESCRIPTION("counts the ticks that a thread spends in the kernel");
MODULE_LICENSE("GPL");
