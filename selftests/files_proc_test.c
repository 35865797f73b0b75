// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: files of procfs, and sysctls.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include "kselftest.h"
#include "files_text.h"

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
	RW("sysctl_minmax", "/proc/sys/vm/swappiness", "3000"),
	RW("sysctl_net", "/proc/sys/net/core/somaxconn", "4096"),
	RO("sysctl_uuid_boot", "/proc/sys/kernel/random/boot_id"),
	ANY("sysctl_uuid", "/proc/sys/kernel/random/uuid"),
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
