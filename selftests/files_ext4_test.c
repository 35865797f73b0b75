// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: ext4 with the default options, with all data in the
 * journal, on a small disk, on a disk that fails, and below an overlay.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/quota.h>
#include "kselftest.h"
#include "files_disk.h"

/* User 1000, who writes in the quota column, may have 20 blocks */
static const char *set_quota(const char *node)
{
	struct if_dqblk q = {
		.dqb_bhardlimit = 20 * 4, .dqb_valid = QIF_BLIMITS,
	};

	if (quotactl(QCMD(Q_SETQUOTA, USRQUOTA), node, 1000, (void *)&q))
		return reason("no quota: %s", err_name(-errno));
	return "";
}

static const char *ext4_setup(struct kind *k)
{
	const char *why = disk_setup(k);

	if (!*why && k->can & K_QUOTA) {
		run("modprobe -q quota_v2");
		if (*set_quota(disk_node))
			k->can &= ~K_QUOTA;
	}
	return why;
}

static const struct make ext4 = {
	"ext4", "mkfs.ext4", "mkfs.ext4 -q -F -O quota -E quotatype=usrquota",
	"usrquota", 24 };
static const struct make ext4_data_journal = {
	"ext4", "mkfs.ext4", "mkfs.ext4 -q -F", "data=journal", 24 };
static const struct make ext4_small = {
	"ext4", "mkfs.ext4", "mkfs.ext4 -q -F -O ^has_journal", NULL, 4 };
static const struct make ext2 = {
	"ext4", "mkfs.ext4", "mkfs.ext4 -q -F -t ext2", NULL, 8 };

/* ---------------------------------------------------------------- overlay */

static char upper_text[100];

static const char *overlay_setup(struct kind *k)
{
	const char *why = no_type("overlay"), *node, *options;
	char path[200];

	if (*why)
		return why;
	node = loop_new("image", 24 * MIB);
	if (!*node || run("mkfs.ext4 -q -F %s", node))
		return "no ext4 on a loop device";
	snprintf(upper_text, sizeof(upper_text), "%s/upper", work_dir);
	mkdir(upper_text, 0755);
	if (mount(node, upper_text, "ext4", 0, NULL))
		return "ext4 cannot be mounted";
	snprintf(path, sizeof(path), "%s/u", upper_text);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/w", upper_text);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/lower", work_dir);
	mkdir(path, 0755);
	options = reason("lowerdir=%s/lower,upperdir=%s/u,workdir=%s/w",
			 work_dir, upper_text, upper_text);
	why = mount_at(k, "overlay", "overlay", options);
	frozen = upper_text;
	return why;
}

static const char *overlay_teardown(struct kind *k)
{
	const char *left = umount_dir(k);

	if (!*left && umount2(upper_text, 0))
		left = reason("umount of upper: %s", err_name(-errno));
	return left;
}

/* -------------------------------------------------------------- disk errors */

#define FAIL_NAME	"io2fail"
#define FAIL_SIZE	(4 * MIB)
#define FAIL_BLOCK	4096

static const char *fail_disk;
static char *fresh;	/* the contents of the disk after mkfs */

/* Restore the contents after mkfs, which is faster than another mkfs */
static bool make_fresh(const char *node)
{
	static char block[FAIL_BLOCK];
	int fd = open(node, O_RDWR | O_CLOEXEC);
	bool ok = fd >= 0;
	off_t at;

	for (at = 0; ok && at < FAIL_SIZE; at += FAIL_BLOCK) {
		ok = pread(fd, block, FAIL_BLOCK, at) == FAIL_BLOCK;
		if (ok && memcmp(block, fresh + at, FAIL_BLOCK))
			ok = pwrite(fd, fresh + at, FAIL_BLOCK, at) == FAIL_BLOCK;
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool keep_fresh(const char *node)
{
	int fd = open(node, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0;

	fresh = malloc(FAIL_SIZE);
	ok = ok && fresh && read(fd, fresh, FAIL_SIZE) == FAIL_SIZE;
	if (fd >= 0)
		close(fd);
	return ok;
}

static const char *fail_mount(struct kind *k)
{
	const char *node;

	node = dm_new(FAIL_NAME, reason("0 %lld linear %s 0",
					dev_sectors(fail_disk), fail_disk));
	if (!*node)
		return "missing module: dm_mod";
	if (fresh && !make_fresh(node))
		return "the disk cannot be written";
	/* There is no journal, because it would break at an unknown moment */
	if (!fresh && (run("mkfs.ext4 -q -F -O ^has_journal %s", node) ||
		       !keep_fresh(node)))
		return "mkfs.ext4 failed";
	return mount_at(k, node, "ext4", NULL);
}

static const char *fail_setup(struct kind *k)
{
	fail_disk = loop_new("image", FAIL_SIZE);
	if (!*fail_disk)
		return "missing module: loop";
	return fail_mount(k);
}

/* After an error the file system is not used again: mount a fresh one */
static int fail_switch(const struct kind *k, bool on)
{
	long long len = dev_sectors(fail_disk);

	if (on)
		return dm_table(FAIL_NAME, reason("0 %lld error", len));
	umount2(k->dir, 0);
	dm_table(FAIL_NAME, reason("0 %lld linear %s 0", len, fail_disk));
	dm_remove(FAIL_NAME);
	return *fail_mount((struct kind *)k) ? -EIO : 0;
}

static const char *fail_teardown(struct kind *k)
{
	const char *left = umount_dir(k);

	if (dm_remove(FAIL_NAME) && !*left)
		left = "the device is busy";
	return left;
}

/* The lower layers are sysfs, whose files depend on their reader, and tmpfs */
static const char *overlay_sysfs_setup(struct kind *k)
{
	const char *why = no_type("overlay");
	char path[200];

	if (*why)
		return why;
	snprintf(path, sizeof(path), "%s/lower", work_dir);
	mkdir(path, 0755);
	return mount_at(k, "overlay", "overlay",
			reason("lowerdir=/sys/kernel:%s", path));
}

static int overlay_sysfs_open(struct inst *in)
{
	snprintf(in->path, sizeof(in->path), "%s/uevent_seqnum", in->kind->dir);
	in->fd = open(in->path, O_RDONLY | O_CLOEXEC);
	return in->fd < 0 ? -errno : 0;
}

static struct kind kinds[] = {
	{ .name = "ext4", .can = ON_DISK | K_QUOTA | K_CLASS,
	  .setup = ext4_setup, .arg = &ext4, .freeze = fs_freeze,
	  .teardown = umount_dir, .any = ANY_DATA },
	{ .name = "ext4_data_journal", .can = ON_DISK, .setup = ext4_setup,
	  .arg = &ext4_data_journal, .freeze = fs_freeze,
	  .teardown = umount_dir },
	{ .name = "ext4_small", .can = FILES | K_SMALL | K_FS,
	  .setup = ext4_setup, .arg = &ext4_small, .freeze = fs_freeze,
	  .teardown = umount_dir },
	{ .name = "ext2", .can = ON_DISK | K_CLASS, .setup = ext4_setup,
	  .arg = &ext2, .freeze = fs_freeze, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "ext4_broken", .can = FILES | K_DISK | K_FAIL,
	  .setup = fail_setup, .fail = fail_switch, .teardown = fail_teardown },
	{ .name = "overlay", .can = ON_DISK | K_CLASS, .setup = overlay_setup,
	  .freeze = fs_freeze, .teardown = overlay_teardown, .any = ANY_DATA },
	{ .name = "overlay_sysfs", .can = K_READ | K_TEXT | K_VARIES | K_CLASS,
	  .setup = overlay_sysfs_setup, .open = overlay_sysfs_open,
	  .teardown = umount_dir },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
