/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared code of the rows of file systems in the matrix of files. */
#ifndef SELFTESTS_IOURING2_FILES_FS_H
#define SELFTESTS_IOURING2_FILES_FS_H

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include "files_block.h"

#define FILES		(K_READ | K_WRITE | K_SEEK | K_DATA | K_NONBLOCK)
#define ON_DISK		(FILES | K_DISK | K_FS | K_OWNER)

/* How to make a file system; a row's @arg points to it */
struct make {
	const char *type, *tool, *command, *options;
	long long mib;
};

static char dir_text[100];
static const char *frozen;	/* the folder that freeze() freezes */

static inline int fs_freeze(const struct kind *k, bool on)
{
	int fd = open(frozen, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, on ? FIFREEZE : FITHAW, 0) ? -errno : 0;
	close(fd);
	return ret;
}

static inline void use_dir(struct kind *k, const char *name)
{
	snprintf(dir_text, sizeof(dir_text), "%s/%s", work_dir, name);
	mkdir(dir_text, 0755);
	k->dir = dir_text;
	frozen = dir_text;
}

static inline bool knows_type(const char *type)
{
	char text[4096], line[40];

	snprintf(line, sizeof(line), "\t%s\n", type);
	return read_text("/proc/filesystems", text, sizeof(text)) > 0 &&
	       strstr(text, line);
}

static inline const char *no_type(const char *type)
{
	if (!knows_type(type))
		run("modprobe -q %s", type);
	return knows_type(type) ? "" : reason("missing module: %s", type);
}

static inline const char *mount_at(struct kind *k, const char *what,
				   const char *type, const char *options)
{
	use_dir(k, "fs");
	if (mount(what, dir_text, type, k->can & K_WRITE ? 0 : MS_RDONLY,
		  options))
		return reason("mount of %s: %s", type, err_name(-errno));
	return "";
}

static inline const char *umount_dir(struct kind *k)
{
	int ret;

	if (!k->dir)
		return "";
	/* io_uring may close a file only some time later */
	until_ms((ret = umount2(k->dir, 0) ? -errno : 0) != -EBUSY, 2000);
	return ret ? reason("umount: %s", err_name(ret)) : "";
}

#endif
