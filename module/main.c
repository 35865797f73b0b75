// SPDX-License-Identifier: GPL-2.0-only
/* The device /dev/iouring2, QUERY, module init and exit. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "debug/counters.h"
#include "debug/coverage.h"
#include "defer.h"
#include "op/opdef.h"
#include "register.h"
#include "reqmem.h"
#include "ring.h"
#include "setup.h"
#include "wait.h"

static void fill_query(struct iouring2_query *q)
{
	unsigned int i;

	q->abi_version = IOURING2_ABI_VERSION;
	q->nr_ops = IO2_OP_LAST;
	q->features = IO2_FEATURES;
	q->setup_flags = IO2_SETUP_FLAGS;
	q->enter_flags = IO2_ENTER_FLAGS;
	q->sqe_flags = io2_op_sqe_flags();
	for (i = 0; i < IO2_OP_LAST; i++)
		if (io2_op_supported(i))
			q->ops[i / 64] |= BIT_ULL(i % 64);
	for (i = 0; i < IOURING2_REGISTER_LAST; i++)
		if (io2_register_supported(i))
			q->register_ops[i / 64] |= BIT_ULL(i % 64);
	q->max_entries = IO2_MAX_ENTRIES;
	q->max_cq_entries = IO2_MAX_CQ_ENTRIES;
	q->inflight_default = READ_ONCE(io2_inflight_default);
	q->inflight_max = READ_ONCE(io2_inflight_max);
	q->ring_flags = IO2_RING_FLAGS;
	q->enter_methods = IOURING2_ENTER_BY_FADVISE;
}

static long dev_query(unsigned int size, void __user *uarg)
{
	struct iouring2_query q;
	int ret;

	BUILD_BUG_ON(IO2_OP_LAST > 64 * ARRAY_SIZE(q.ops));
	BUILD_BUG_ON(IOURING2_REGISTER_LAST > 64 * ARRAY_SIZE(q.register_ops));
	if (size < sizeof(q))
		return -EINVAL;
	ret = copy_struct_from_user(&q, sizeof(q), uarg, size);
	if (ret)
		return ret;
	if (memchr_inv(&q, 0, sizeof(q)))
		return -EINVAL;
	fill_query(&q);
	return copy_to_user(uarg, &q, sizeof(q)) ? -EFAULT : 0;
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (IO2_IOC_KIND(cmd)) {
	case IO2_IOC_KIND(IOURING2_IOC_QUERY):
		return dev_query(_IOC_SIZE(cmd), (void __user *)arg);
	case IO2_IOC_KIND(IOURING2_IOC_SETUP):
		return io2_setup(_IOC_SIZE(cmd), (void __user *)arg);
	case IO2_IOC_KIND(IOURING2_IOC_REGISTER):
		return io2_register(NULL, _IOC_SIZE(cmd), (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations dev_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice io2_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "iouring2",
	.fops	= &dev_fops,
	.mode	= 0660,
	.groups	= io2_attr_groups,
};

static int __init io2_init(void)
{
	int ret;

	ret = io2_reqmem_init();
	if (ret)
		return ret;
	ret = io2_defer_module_init();
	if (ret)
		goto err_reqmem;
	ret = misc_register(&io2_dev);
	if (ret)
		goto err_defer;
	io2_coverage_init();
	return 0;

err_defer:
	io2_defer_module_exit();
err_reqmem:
	io2_reqmem_exit();
	io2_coverage_exit();
	return ret;
}

static void __exit io2_exit(void)
{
	misc_deregister(&io2_dev);
	io2_defer_module_exit();
	io2_reqmem_exit();
	io2_coverage_exit();
}

module_init(io2_init);
module_exit(io2_exit);

MODULE_AUTHOR("The iouring2 developers");
MODULE_DESCRIPTION("io_uring behind a device node: no completion is ever lost");
MODULE_LICENSE("GPL");
MODULE_VERSION(IOURING2_VERSION);
