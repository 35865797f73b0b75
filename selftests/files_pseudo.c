// SPDX-License-Identifier: GPL-2.0
/*
 * The matrix of files, those that are made when they are read: procfs, sysctls,
 * sysfs, cgroups, tracefs, debugfs, configfs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "kselftest.h"
#include "files.h"

/* What is read is what read(2) says in the same process at the same time */
static void as_call(struct cell *c, struct inst *in, const void *p, int res)
{
	static char text[65536];
	int fd = open(in->path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, sizeof(text));

	close(fd);
	if (len < 0)
		note(c, "call=%s", err_name(-errno));
	else if (res > len || memmem(text, len, p, res) == NULL)
		note(c, "differs from the call's \"%.40s\"", text);
	else
		note(c, "as the call");
}

/* The file's first line after a write */
static void first_line(struct cell *c, struct inst *in)
{
	char text[60];

	if (read_text(in->path, text, sizeof(text)) < 0)
		strcpy(text, "?");
	text[strcspn(text, "\n")] = '\0';
	note(c, "now=\"%s\"", text);
}

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

struct path {
	const char *path;
	const char *value;	/* to be written; the same for each way */
};

static int path_open(struct inst *in)
{
	const struct path *p = in->kind->arg;
	int mode = !(in->kind->can & K_WRITE) ? O_RDONLY :
		   !(in->kind->can & K_READ) ? O_WRONLY : O_RDWR;

	snprintf(in->path, sizeof(in->path), "%s", p->path);
	if (p->value && in->kind->can & K_WRITE)
		memcpy(io_buf, p->value, strlen(p->value));
	in->fd = open(in->path, mode | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

static const char *path_setup(struct kind *k)
{
	const struct path *p = k->arg;
	int fd = open(p->path, (k->can & K_WRITE ? O_RDWR : O_RDONLY) |
		      O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return reason("no %s: %s", p->path, err_name(-errno));
	close(fd);
	if (p->value)
		k->datum = strlen(p->value);
	return "";
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
	return ret ? reason("rmdir of the cgroup: %s", err_name(ret)) : "";
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

/* An instance of its own: nobody else's events */
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

/* Events of before are gone */
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

/* A line has times and pids in it */
static void trace_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	note(c, "datum=%d", memmem(p, res, "a datum", 7) != NULL);
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

#define TEXT	(K_READ | K_SEEK | K_TEXT | K_NONBLOCK)

#define P(file, ...)	(&(const struct path){ .path = (file), ##__VA_ARGS__ })

#define RO(row, file)							\
	{ .name = row, .can = TEXT, .setup = path_setup,		\
	  .open = path_open, .canon = as_call, .arg = P(file) }
#define RW(row, file, text)						\
	{ .name = row, .can = TEXT | K_WRITE, .setup = path_setup,	\
	  .open = path_open, .canon = as_call, .effect = first_line,	\
	  .arg = P(file, .value = text) }
#define ANY(row, file)							\
	{ .name = row, .can = (TEXT | K_VARIES) & ~K_SEEK,		\
	  .setup = path_setup, .open = path_open, .arg = P(file) }

static struct kind kinds[] = {
	RO("proc_version", "/proc/version"),
	RO("proc_filesystems", "/proc/filesystems"),
	RO("proc_self_maps", "/proc/self/maps"),
	RO("proc_self_limits", "/proc/self/limits"),
	RO("proc_self_cgroup", "/proc/self/cgroup"),
	RO("proc_self_mounts", "/proc/self/mounts"),
	RO("proc_self_mountinfo", "/proc/self/mountinfo"),
	RO("proc_self_environ", "/proc/self/environ"),
	RO("proc_self_cmdline", "/proc/self/cmdline"),
	RO("proc_self_auxv", "/proc/self/auxv"),
	RO("proc_self_uid_map", "/proc/self/uid_map"),
	RO("proc_net_protocols", "/proc/self/net/protocols"),
	ANY("proc_self_stat", "/proc/self/stat"),
	ANY("proc_self_status", "/proc/self/status"),
	ANY("proc_self_syscall", "/proc/self/syscall"),
	ANY("proc_stat", "/proc/stat"),
	RW("proc_self_comm", "/proc/self/comm", "renamed"),
	RW("proc_self_oom", "/proc/self/oom_score_adj", "5"),
	RW("proc_self_filter", "/proc/self/coredump_filter", "0x33"),
	RW("proc_self_loginuid", "/proc/self/loginuid", "0"),
	{ .name = "proc_self_mem", .can = K_READ | K_SEEK | K_TEXT,
	  .setup = path_setup, .open = path_open,
	  .arg = P("/proc/self/mem") },
	{ .name = "proc_self_pagemap", .can = K_READ | K_SEEK | K_TEXT | K_VARIES,
	  .setup = path_setup, .open = path_open, .datum = 64, .arg = P("/proc/self/pagemap") },
	{ .name = "proc_self_clear_refs", .can = K_WRITE,
	  .open = path_open, .datum = 1,
	  .arg = P("/proc/self/clear_refs", .value = "1") },
	RW("sysctl_hostname", "/proc/sys/kernel/hostname", "io2files"),
	RW("sysctl_int", "/proc/sys/vm/swappiness", "60"),
	RW("sysctl_minmax", "/proc/sys/kernel/threads-max", "1"),
	RW("sysctl_net", "/proc/sys/net/core/somaxconn", "4096"),
	RO("sysctl_uuid_boot", "/proc/sys/kernel/random/boot_id"),
	ANY("sysctl_uuid", "/proc/sys/kernel/random/uuid"),
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

static const struct argued argued[] = {
	{ NULL, "none", NULL, "none" },
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
