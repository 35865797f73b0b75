// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: block devices of the device mapper.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include "kselftest.h"
#include "files_node.h"

#define NAME	"io2blk"

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

/*
 * On a linear device, sectors 4 to 127 give errors. On a flakey device, all
 * writes do.
 */
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

static struct kind kinds[] = {
	{ .name = "dm_linear", .can = DEVICE | K_FAIL | K_CLASS,
	  .setup = dm_setup, .open = node_open, .arg = "linear",
	  .fail = dm_break, .teardown = dm_teardown, .any = ANY_DATA },
	{ .name = "dm_flakey", .can = DEVICE | K_FAIL, .setup = dm_setup,
	  .open = node_open, .arg = "flakey", .fail = dm_break,
	  .teardown = dm_teardown },
	{ .name = "dm_crypt", .can = DEVICE, .setup = dm_setup,
	  .open = node_open, .arg = "crypt", .teardown = dm_teardown },
	{ .name = "dm_thin", .can = DEVICE, .setup = thin_setup,
	  .open = node_open, .teardown = thin_teardown },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
