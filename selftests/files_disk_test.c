// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: file systems on a disk, except ext4.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include "kselftest.h"
#include "files_disk.h"

static const struct make xfs = {
	"xfs", "mkfs.xfs", "mkfs.xfs -q -f", NULL, 320 };
static const struct make btrfs = {
	"btrfs", "mkfs.btrfs", "mkfs.btrfs -q -f", NULL, 128 };
static const struct make f2fs = {
	"f2fs", "mkfs.f2fs", "mkfs.f2fs -q -f", NULL, 64 };
static const struct make vfat = {
	"vfat", "mkfs.vfat", "mkfs.vfat", NULL, 16 };

static const char *squashfs_setup(struct kind *k)
{
	const char *why = no_type("squashfs"), *node;
	static char data[FILE_SIZE];
	char path[120];
	int fd;

	if (*why)
		return why;
	if (!have_tool("mksquashfs"))
		return "missing tool: mksquashfs";
	use_dir(k, "source");
	snprintf(path, sizeof(path), "%s/file", k->dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	fill_pattern(data, sizeof(data), 1);
	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data))
		return "the source file cannot be written";
	close(fd);
	if (run("mksquashfs %s %s/squash -noappend -processors 1", k->dir,
		work_dir))
		return "mksquashfs failed";
	k->dir = NULL;
	/* squashfs records its own size, so a larger disk adds nothing */
	node = loop_new("squash", 1 * MIB);
	if (!*node)
		return "missing module: loop";
	return mount_at(k, node, "squashfs", NULL);
}

static struct kind kinds[] = {
	{ .name = "xfs", .can = ON_DISK | K_CLASS, .setup = disk_setup,
	  .arg = &xfs, .freeze = fs_freeze, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "btrfs", .can = ON_DISK | K_CLASS, .setup = disk_setup,
	  .arg = &btrfs, .freeze = fs_freeze, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "f2fs", .can = ON_DISK | K_CLASS, .setup = disk_setup,
	  .arg = &f2fs, .freeze = fs_freeze, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "vfat", .can = FILES | K_DISK | K_FS | K_CLASS,
	  .setup = disk_setup, .arg = &vfat, .freeze = fs_freeze,
	  .teardown = umount_dir, .any = ANY_DATA },
	{ .name = "squashfs", .can = K_READ | K_SEEK | K_DATA | K_DISK |
	  K_NONBLOCK | K_CLASS, .setup = squashfs_setup, .teardown = umount_dir,
	  .any = ANY_READ | ANY_SYNC },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
