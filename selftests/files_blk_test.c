// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: block devices that keep their data in memory.
 * files_dm_test.c has those of the device mapper.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include "kselftest.h"
#include "files_node.h"

static const char *loop_setup(struct kind *k)
{
	return use_node(k, loop_new("image", 4 * MIB), "missing module: loop");
}

static const char *raid_setup(struct kind *k)
{
	const char *why = need_module("raid1"), *a, *b;

	if (*why)
		return why;
	a = loop_new("a", 4 * MIB);
	b = loop_new("b", 4 * MIB);
	if (!*a || !*b)
		return "missing module: loop";
	return use_node(k, md_new(77, a, b),
			reason("md makes no array: %s", err_name(-errno)));
}

static const char *raid_teardown(struct kind *k)
{
	int ret = *node_path ? md_stop(node_path) : 0;

	return ret ? reason("md: %s", err_name(ret)) : "";
}

static int zram_nr = -1;

static const char *zram_setup(struct kind *k)
{
	const char *why = need_module("zram");
	char path[80], text[20];

	if (*why)
		return why;
	if (read_text("/sys/class/zram-control/hot_add", text,
		      sizeof(text)) <= 0)
		return "zram has no hot_add";
	zram_nr = atoi(text);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", zram_nr);
	if (!put_text(path, "4M"))
		return "zram does not accept a size";
	return use_node(k, reason("/dev/zram%d", zram_nr), "");
}

static const char *zram_teardown(struct kind *k)
{
	char path[80];

	if (zram_nr < 0)
		return "";
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", zram_nr);
	until_ms(put_text(path, "1"), 3000);
	return put_text("/sys/class/zram-control/hot_remove", "%d", zram_nr) ?
	       "" : "the device is busy";
}

static const char *brd_setup(struct kind *k)
{
	if (run("modprobe -q brd rd_nr=1 rd_size=4096"))
		return "missing module: brd";
	return use_node(k, "/dev/ram0", "");
}

static const char *brd_teardown(struct kind *k)
{
	bool ok;

	if (!*node_path)
		return "";
	until_ms((ok = !run("modprobe -r brd")), 3000);
	return ok ? "" : "the module is busy";
}

#define NULLB	"/sys/kernel/config/nullb/io2null"

static const char *null_blk_setup(struct kind *k)
{
	const char *why;
	char text[20];

	if (run("modprobe -q null_blk nr_devices=0"))
		return "missing module: null_blk";
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(NULLB, 0755))
		return "null_blk cannot be configured";
	if (!put_text(NULLB "/size", "4") ||
	    !put_text(NULLB "/memory_backed", "1") ||
	    !put_text(NULLB "/power", "1") ||
	    read_text(NULLB "/index", text, sizeof(text)) <= 0)
		return "null_blk cannot have memory";
	why = reason("/dev/nullb%d", atoi(text));
	/* Newer kernels name the node after the folder */
	if (access(why, F_OK))
		why = "/dev/io2null";
	return use_node(k, why, "");
}

static const char *null_blk_teardown(struct kind *k)
{
	bool ok;

	rmdir(NULLB);
	if (!*node_path)
		return "";
	until_ms((ok = !run("modprobe -r null_blk")), 3000);
	return ok ? "" : "the module is busy";
}

static struct kind kinds[] = {
	{ .name = "loop", .can = DEVICE | K_CLASS, .setup = loop_setup,
	  .open = node_open, .any = ANY_DATA },
	{ .name = "md_raid1", .can = DEVICE | K_CLASS, .setup = raid_setup,
	  .open = node_open, .teardown = raid_teardown, .any = ANY_DATA },
	{ .name = "zram", .can = DEVICE | K_CLASS, .setup = zram_setup,
	  .open = node_open, .teardown = zram_teardown, .any = ANY_DATA },
	{ .name = "brd", .can = DEVICE | K_CLASS, .setup = brd_setup,
	  .open = node_open, .teardown = brd_teardown, .any = ANY_DATA },
	{ .name = "null_blk", .can = DEVICE | K_CLASS, .setup = null_blk_setup,
	  .open = node_open, .teardown = null_blk_teardown, .any = ANY_DATA },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
