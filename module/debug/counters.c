// SPDX-License-Identifier: GPL-2.0-only
/* Counters of live objects in sysfs. Tests compare them before and after. */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "counters.h"
#include "ring.h"

DEFINE_PER_CPU(long [IO2_COUNT_NR], io2_counters);

/* number of violations of io2_assert(); never reset */
unsigned long io2_state_warnings;

/**
 * struct io2_counter_attr - a counter's attribute in sysfs
 * @attr: the attribute
 * @which: the counter
 *
 * Constant, as static data.
 */
struct io2_counter_attr {
	struct device_attribute	attr;
	enum io2_counter	which;
};

static ssize_t counter_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct io2_counter_attr *a = container_of(attr, struct io2_counter_attr,
						  attr);
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(io2_counters[a->which], cpu);
	return sysfs_emit(buf, "%ld\n", sum);
}

static ssize_t state_warnings_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(io2_state_warnings));
}
static DEVICE_ATTR_RO(state_warnings);

#define COUNTER(_name, _which)						\
	static struct io2_counter_attr counter_##_name = {		\
		.attr = __ATTR(_name, 0444, counter_show, NULL),	\
		.which = _which,					\
	}

COUNTER(rings, IO2_COUNT_RINGS);
COUNTER(requests, IO2_COUNT_REQUESTS);
COUNTER(workers, IO2_COUNT_WORKERS);
COUNTER(submitters, IO2_COUNT_SUBMITTERS);
COUNTER(pages, IO2_COUNT_PAGES);
COUNTER(files, IO2_COUNT_FILES);

static struct attribute *counter_attrs[] = {
	&counter_rings.attr.attr,
	&counter_requests.attr.attr,
	&counter_workers.attr.attr,
	&counter_submitters.attr.attr,
	&counter_pages.attr.attr,
	&counter_files.attr.attr,
	&dev_attr_state_warnings.attr,
	NULL,
};

static const struct attribute_group counter_group = {
	.name = "counters",
	.attrs = counter_attrs,
};

const struct attribute_group *io2_attr_groups[] = {
	&counter_group,
	NULL,
};
