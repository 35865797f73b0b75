// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block devices for the matrix of files; see files_block.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include "files_block.h"

#define NODE_LEN	40

static const char *node_text(const char *fmt, int nr)
{
	static char text[8][NODE_LEN];
	static int i;
	char *p = text[i++ & 7];

	snprintf(p, NODE_LEN, fmt, nr);
	return p;
}

long long dev_sectors(const char *node)
{
	int fd = open(node, O_RDONLY | O_CLOEXEC);
	__u64 bytes = 0;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		bytes = 0;
	if (fd >= 0)
		close(fd);
	return bytes / 512;
}

/* ------------------------------------------------------------------- loop */

static int loop_bind(int nr, int backing)
{
	const char *node = node_text("/dev/loop%d", nr);
	struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int fd = open(node, O_RDWR | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_SET_FD, backing) ||
	    ioctl(fd, LOOP_SET_STATUS64, &info))
		ret = -errno;
	/*
	 * This one stays open, because the last close detaches the device. It
	 * is not for writing: a kernel without CONFIG_BLK_DEV_WRITE_MOUNTED
	 * does not mount a device that somebody may write to.
	 */
	else if (open(node, O_RDONLY | O_CLOEXEC) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

const char *loop_new(const char *name, long long bytes)
{
	int control, backing, nr, ret = -1;
	char path[100];

	have_module("loop");
	snprintf(path, sizeof(path), "%s/%s", work_dir, name);
	backing = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (backing < 0 || control < 0 || ftruncate(backing, bytes))
		return "";
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	if (nr >= 0)
		ret = loop_bind(nr, backing);
	close(control);
	close(backing);
	return ret ? "" : node_text("/dev/loop%d", nr);
}

/* ----------------------------------------------------------- device mapper */

struct dm_request {
	struct dm_ioctl head;
	char data[2048];
};

static void dm_init(struct dm_request *r, const char *name, unsigned int flags)
{
	memset(r, 0, sizeof(*r));
	r->head.version[0] = DM_VERSION_MAJOR;
	r->head.data_size = sizeof(*r);
	r->head.data_start = sizeof(r->head);
	r->head.flags = flags;
	snprintf(r->head.name, sizeof(r->head.name), "%s", name);
}

static int dm_call(struct dm_request *r, unsigned long cmd)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, cmd, r) ? -errno : 0;
	close(fd);
	return ret;
}

static int dm_load(const char *name, const char *table)
{
	char *text = strdup(table), *line, *save = NULL;
	size_t at = sizeof(struct dm_ioctl), end, len;
	struct dm_target_spec *spec = NULL;
	long long start, length;
	struct dm_request r;
	int args, ret;

	dm_init(&r, name, 0);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		spec = (void *)((char *)&r + at);
		args = strlen(line);
		if (sscanf(line, "%lld %lld %15s %n", &start, &length,
			   spec->target_type, &args) < 3)
			break;
		spec->sector_start = start;
		spec->length = length;
		len = strlen(line + args) + 1;
		end = at + sizeof(*spec) + len;
		end = (end + 7) & ~7UL;
		memcpy(spec + 1, line + args, len);
		spec->next = end - at;
		at = end;
		r.head.target_count++;
	}
	free(text);
	ret = dm_call(&r, DM_TABLE_LOAD);
	return ret;
}

static int dm_suspend(const char *name, unsigned int flags)
{
	struct dm_request r;

	dm_init(&r, name, flags);
	return dm_call(&r, DM_DEV_SUSPEND);
}

const char *dm_new(const char *name, const char *table)
{
	struct dm_request r;

	have_module("dm_mod");
	dm_init(&r, name, 0);
	if (dm_call(&r, DM_DEV_CREATE))
		return "";
	if (dm_load(name, table) || dm_suspend(name, 0)) {
		dm_remove(name);
		return "";
	}
	return node_text("/dev/dm-%d", minor(r.head.dev));
}

int dm_table(const char *name, const char *table)
{
	int ret = dm_load(name, table);

	/* without flushing or freezing the file system on it */
	if (!ret)
		ret = dm_suspend(name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG |
				 DM_NOFLUSH_FLAG);
	return ret ? ret : dm_suspend(name, 0);
}

int dm_message(const char *name, const char *text)
{
	struct dm_target_msg *msg;
	struct dm_request r;

	dm_init(&r, name, 0);
	msg = (void *)r.data;
	strcpy(msg->message, text);
	return dm_call(&r, DM_TARGET_MSG);
}

int dm_remove(const char *name)
{
	struct dm_request r;
	int ret;

	dm_init(&r, name, 0);
	/* another program may have a new device open for a moment */
	until_ms((ret = dm_call(&r, DM_DEV_REMOVE)) != -EBUSY, 5000);
	return ret;
}

/* ---------------------------------------------------------------------- md */

static int md_add(int fd, int nr, const char *node)
{
	mdu_disk_info_t d = { .number = nr, .raid_disk = nr };
	struct stat st;

	if (stat(node, &st))
		return -errno;
	d.major = major(st.st_rdev);
	d.minor = minor(st.st_rdev);
	d.state = 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC;
	return ioctl(fd, ADD_NEW_DISK, &d) ? -errno : 0;
}

const char *md_new(int nr, const char *a, const char *b)
{
	const char *node = node_text("/dev/md%d", nr);
	mdu_array_info_t info = {
		.level = 1, .nr_disks = 2, .raid_disks = 2, .md_minor = nr,
		.not_persistent = 1, .active_disks = 2, .working_disks = 2,
		.state = 1 << MD_SB_CLEAN, .size = dev_sectors(a) / 2,
	};
	int fd;

	if (!put_text("/sys/module/md_mod/parameters/new_array", "md%d", nr))
		return "";
	until_ms(!access(node, F_OK), 3000);
	if (access(node, F_OK))
		mknod(node, S_IFBLK | 0600, makedev(MD_MAJOR, nr));
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return "";
	if (ioctl(fd, SET_ARRAY_INFO, &info) || md_add(fd, 0, a) ||
	    md_add(fd, 1, b) || ioctl(fd, RUN_ARRAY, NULL)) {
		close(fd);
		return "";
	}
	close(fd);
	return node;
}

int md_stop(const char *node)
{
	int fd = open(node, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	until_ms(!(ret = ioctl(fd, STOP_ARRAY, NULL) ? -errno : 0) ||
		 ret != -EBUSY, 5000);
	close(fd);
	return ret;
}
