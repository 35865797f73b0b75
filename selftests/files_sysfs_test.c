// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: files of sysfs, cgroups, tracefs, debugfs, configfs.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "kselftest.h"
#include "files_text.h"

/* Is this process, and nothing else, in the cgroup? */
static void who_is_in(struct cell *c, struct inst *in)
{
	char text[400], mine[20];

	if (read_text(in->path, text, sizeof(text)) < 0)
		strcpy(text, "?");
	snprintf(mine, sizeof(mine), "%d\n", getpid());
	note(c, "me=%d others=%d", !!strstr(text, mine),
	     strlen(text) > strlen(mine));
}

static char made_path[200];
static struct path made = { .path = made_path };

/* -------------------------------------------------------------- cgroups */

static char cgroup_dir[120];

static const char *cgroup_setup(struct kind *k)
{
	const struct path *p = k->arg;
	const char *root = "/sys/fs/cgroup";

	if (access("/sys/fs/cgroup/cgroup.procs", F_OK)) {
		root = work_dir;
		if (mount("none", work_dir, "cgroup2", 0, NULL))
			return reason("no cgroup2: %s", err_name(-errno));
	}
	snprintf(cgroup_dir, sizeof(cgroup_dir), "%s/io2files.%d", root,
		 getpid());
	if (mkdir(cgroup_dir, 0755))
		return reason("no cgroup: %s", err_name(-errno));
	snprintf(made_path, sizeof(made_path), "%s/%s", cgroup_dir, p->path);
	made.value = p->value;
	k->arg = &made;
	return path_setup(k);
}

static const char *cgroup_teardown(struct kind *k)
{
	int ret = 0;

	if (!*cgroup_dir)
		return "";
	until_ms(!(ret = rmdir(cgroup_dir) ? -errno : 0) || ret != -EBUSY,
		 5000);
	return ret ? reason("rmdir of its folder: %s", err_name(ret)) : "";
}

/* -------------------------------------------------------------- tracefs */

static const char *tracefs(void)
{
	static const char * const dirs[] = { "/sys/kernel/tracing",
					     "/sys/kernel/debug/tracing" };
	char path[80];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/trace_marker", dirs[i]);
		if (!access(path, F_OK))
			return dirs[i];
	}
	return NULL;
}

/* Make a trace instance, which has no events of others */
static const char *trace_setup(struct kind *k)
{
	const struct path *p = k->arg;

	if (!tracefs())
		return "no tracefs";
	snprintf(cgroup_dir, sizeof(cgroup_dir), "%s/instances/io2files.%d",
		 tracefs(), getpid());
	if (mkdir(cgroup_dir, 0755))
		return reason("no trace instance: %s", err_name(-errno));
	snprintf(made_path, sizeof(made_path), "%s/%s", cgroup_dir, p->path);
	made.value = p->value;
	k->arg = &made;
	return "";
}

/* Clear the earlier events, then open the file */
static int trace_open(struct inst *in)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/trace", cgroup_dir);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return path_open(in);
}

static void trace_feed(struct inst *in)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/trace_marker", cgroup_dir);
	if (!put_text(path, "a datum\n"))
		perror("feed");
}

/* A line contains times and pids, so look for the datum only */
static void trace_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	note(c, "datum=%d", !!memmem(p, res, "a datum", 7));
}

/* ------------------------------------------------------------- configfs */

#define NULLB	"/sys/kernel/config/nullb/io2attr"

static const char *configfs_setup(struct kind *k)
{
	if (run("modprobe -q null_blk nr_devices=0"))
		return "missing module: null_blk";
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(NULLB, 0755))
		return reason("null_blk in configfs: %s", err_name(-errno));
	return path_setup(k);
}

static const char *configfs_teardown(struct kind *k)
{
	bool ok;

	if (access(NULLB, F_OK))
		return "";
	rmdir(NULLB);
	until_ms((ok = !run("modprobe -r null_blk")), 3000);
	return ok ? "" : "the module is busy";
}

static struct kind kinds[] = {
	RO("sysfs_text", "/sys/kernel/mm/transparent_hugepage/enabled"),
	RO("sysfs_binary", "/sys/kernel/notes"),
	RW("sysfs_write", "/sys/module/iouring2/parameters/workers_bounded",
	   "0"),
	RO("sysfs_block", "/sys/block/vda/queue/scheduler"),
	RO("debugfs", "/sys/kernel/debug/sleep_time"),
	RO("debugfs_regions", "/sys/kernel/debug/memblock/memory"),
	{ .name = "cgroup_procs", .can = TEXT | K_WRITE, .setup = cgroup_setup,
	  .open = path_open, .canon = as_call, .effect = who_is_in,
	  .teardown = cgroup_teardown,
	  .arg = P("cgroup.procs", .value = "0") },
	{ .name = "cgroup_limit", .can = TEXT | K_WRITE, .setup = cgroup_setup,
	  .open = path_open, .canon = as_call, .effect = first_line,
	  .teardown = cgroup_teardown,
	  .arg = P("cgroup.max.depth", .value = "7") },
	{ .name = "cgroup_events", .can = TEXT, .setup = cgroup_setup,
	  .open = path_open, .canon = as_call, .teardown = cgroup_teardown,
	  .arg = P("cgroup.events") },
	{ .name = "trace_marker", .can = K_WRITE, .setup = trace_setup,
	  .open = path_open, .teardown = cgroup_teardown,
	  .datum = 8, .arg = P("trace_marker", .value = "a datum\n") },
	{ .name = "trace", .can = TEXT, .setup = trace_setup,
	  .open = trace_open, .teardown = cgroup_teardown, .canon = as_call,
	  .arg = P("trace") },
	{ .name = "trace_pipe", .can = K_READ | K_FEED | K_POLL | K_NONBLOCK |
	  K_TEXT, .setup = trace_setup, .open = trace_open, .feed = trace_feed,
	  .canon = trace_canon, .teardown = cgroup_teardown,
	  .arg = P("trace_pipe") },
	{ .name = "trace_switch", .can = TEXT | K_WRITE, .setup = trace_setup,
	  .open = path_open, .canon = as_call, .teardown = cgroup_teardown,
	  .datum = 1, .arg = P("tracing_on", .value = "1") },
	{ .name = "configfs", .can = TEXT | K_WRITE, .setup = configfs_setup,
	  .open = path_open, .canon = as_call, .effect = first_line,
	  .teardown = configfs_teardown,
	  .arg = P(NULLB "/size", .value = "5") },
	RO("securityfs", "/sys/kernel/security/lsm"),
};

#define WAITS	"io_uring's rule: a read of an O_NONBLOCK file without data " \
		"waits for the file's poll"

static const struct argued argued[] = {
	{ "trace_pipe", "nonblock",
	  .text[WAY_CALL] = "res=-EAGAIN res=# datum=1",
	  OF_IO_URING("hangs"), OF_IOURING2("res=# datum=1"),
	  .why = WAITS },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
		.argued = argued, .nr_argued = ARRAY_SIZE(argued),
	};

	return files_main(&m, argc, argv);
}
