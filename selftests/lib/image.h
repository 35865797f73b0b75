/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A new file system in an image file, and functions to freeze and thaw it.
 *
 * Include after bounded.h.
 */
#ifndef SELFTESTS_IOURING2_IMAGE_H
#define SELFTESTS_IOURING2_IMAGE_H

#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include "bounded.h"

struct image {
	char dir[200];
	char mnt[210];
};

/*
 * Not "mount -o loop": that has the loop device open for writing, and a kernel
 * without CONFIG_BLK_DEV_WRITE_MOUNTED does not mount such a device.
 */
static inline bool image_mount(struct image *i, unsigned int mib)
{
	bool mounted;

	tmp_path(i->dir, sizeof(i->dir), "image");
	if (!intrusive() || !mkdtemp(i->dir))
		return false;
	snprintf(i->mnt, sizeof(i->mnt), "%s/mnt", i->dir);
	if (shell("modprobe -q loop; cd %s && mkdir mnt && truncate -s %uM img",
		  i->dir, mib) ||
	    shell("cd %s && mke2fs -q -t ext4 img && losetup -f --show img >node",
		  i->dir))
		return false;
	mounted = !shell("cd %s && mount $(cat node) mnt 2>/dev/null", i->dir);
	/* the device ends when it is unmounted */
	return !shell("cd %s && losetup -d $(cat node)", i->dir) && mounted;
}

static inline bool image_unmount(const struct image *i)
{
	return !shell("umount %s && rm -r %s", i->mnt, i->dir);
}

/*
 * Freeze the file system at @dir. Return: 0, -errno, or -ETIME if FIFREEZE does
 * not return.
 */
static inline int freeze(const char *dir)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY);

		let_go_of_output();
		_exit(ioctl(fd, FIFREEZE, 0) ? errno : 0);
	}
	status = reap_ms(pid, SOON);
	if (status != -ETIME)
		return -WEXITSTATUS(status);
	kill(pid, SIGKILL);
	return -ETIME;
}

static inline int thaw(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = ioctl(fd, FITHAW, 0) ? -errno : 0;

	close(fd);
	return ret;
}

#endif
