// SPDX-License-Identifier: GPL-2.0
/*
 * The matrix of files, block devices: those that memory can hold.
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
#include "files_block.h"

#define DEVICE	(K_READ | K_WRITE | K_SEEK | K_DATA | K_DISK | K_FIXED | \
		 K_NONBLOCK)

#define NAME	"io2blk"

static char node_path[60];

static const char *use_node(struct kind *k, const char *node, const char *why)
{
	if (!*node)
		return why;
	snprintf(node_path, sizeof(node_path), "%s", node);
	until_ms(!access(node_path, F_OK), 3000);
	return access(node_path, F_OK) ? reason("no node %s", node_path) : "";
}

static int node_open(struct inst *in)
{
	static char data[65536];
	int fd;

	snprintf(in->path, sizeof(in->path), "%s", node_path);
	fd = open(in->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fill_pattern(data, sizeof(data), 1);
	if (pwrite(fd, data, sizeof(data), 0) != sizeof(data) || fsync(fd))
		return -errno;
	close(fd);
	in->fd = open(in->path, O_RDWR | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

static const char *loop_setup(struct kind *k)
{
	return use_node(k, loop_new("image", 4 * MIB), "missing module: loop");
}

/* ----------------------------------------------------------- device mapper */

static const char *disk;

static const char *dm_setup(struct kind *k)
{
	const char *target = k->arg, *why;
	char table[300];

	disk = loop_new("image", 4 * MIB);
	if (!*disk)
		return "missing module: loop";
	if (!strcmp(target, "linear"))
		why = "";
	else
		why = need_module(reason("dm_%s", target));
	if (*why)
		return why;
	if (!strcmp(target, "crypt"))
		snprintf(table, sizeof(table),
			 "0 8192 crypt aes-cbc-essiv:sha256 00112233445566778899aabbccddeeff 0 %s 0",
			 disk);
	else if (!strcmp(target, "flakey"))
		snprintf(table, sizeof(table), "0 8192 flakey %s 0 60 0", disk);
	else
		snprintf(table, sizeof(table), "0 8192 linear %s 0", disk);
	return use_node(k, dm_new(NAME, table),
			reason("no target or no cipher: dm %s", target));
}

static const char *dm_teardown(struct kind *k)
{
	return *node_path && dm_remove(NAME) ? "the device is busy" : "";
}

/* The second half of the first 64 KiB gives errors, or all writes do */
static int dm_break(const struct kind *k, bool on)
{
	const char *target = k->arg;

	if (!on && !strcmp(target, "flakey"))
		return dm_table(NAME, reason("0 8192 flakey %s 0 60 0", disk));
	if (!on)
		return dm_table(NAME, reason("0 8192 linear %s 0", disk));
	if (!strcmp(target, "flakey"))
		return dm_table(NAME, reason("0 8192 flakey %s 0 0 60 1 error_writes",
					     disk));
	return dm_table(NAME, reason("0 4 linear %s 0\n4 124 error\n128 8064 linear %s 128",
				     disk, disk));
}

#define POOL	"io2pool"

static const char *thin_setup(struct kind *k)
{
	const char *why = need_module("dm_thin_pool"), *meta, *pool;

	if (*why)
		return why;
	meta = loop_new("meta", 2 * MIB);
	disk = loop_new("image", 8 * MIB);
	if (!*disk || !*meta)
		return "missing module: loop";
	pool = dm_new(POOL, reason("0 16384 thin-pool %s %s 128 0", meta,
				   disk));
	if (!*pool || dm_message(POOL, "create_thin 0"))
		return "no target: dm thin-pool";
	return use_node(k, dm_new(NAME, reason("0 8192 thin %s 0", pool)),
			"no target: dm thin");
}

static const char *thin_teardown(struct kind *k)
{
	const char *left = dm_teardown(k);

	return dm_remove(POOL) && *node_path && !*left ? "the pool is busy" :
							 left;
}

/* ------------------------------------------------------------- what has none */

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
			reason("md takes no array: %s", err_name(-errno)));
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
		return "zram takes no size";
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
		return "null_blk has no memory";
	why = reason("/dev/nullb%d", atoi(text));
	/* newer ones have the folder's name */
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
	{ .name = "loop", .can = DEVICE, .setup = loop_setup,
	  .open = node_open },
	{ .name = "dm_linear", .can = DEVICE | K_FAIL, .setup = dm_setup,
	  .open = node_open, .arg = "linear", .fail = dm_break,
	  .teardown = dm_teardown },
	{ .name = "dm_flakey", .can = DEVICE | K_FAIL, .setup = dm_setup,
	  .open = node_open, .arg = "flakey", .fail = dm_break,
	  .teardown = dm_teardown },
	{ .name = "dm_crypt", .can = DEVICE, .setup = dm_setup,
	  .open = node_open, .arg = "crypt", .teardown = dm_teardown },
	{ .name = "dm_thin", .can = DEVICE, .setup = thin_setup,
	  .open = node_open, .teardown = thin_teardown },
	{ .name = "md_raid1", .can = DEVICE, .setup = raid_setup,
	  .open = node_open, .teardown = raid_teardown },
	{ .name = "zram", .can = DEVICE, .setup = zram_setup,
	  .open = node_open, .teardown = zram_teardown },
	{ .name = "brd", .can = DEVICE, .setup = brd_setup, .open = node_open,
	  .teardown = brd_teardown },
	{ .name = "null_blk", .can = DEVICE, .setup = null_blk_setup,
	  .open = node_open, .teardown = null_blk_teardown },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
