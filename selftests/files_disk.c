// SPDX-License-Identifier: GPL-2.0
/*
 * The matrix of files, those of file systems that kernels have on disks, in
 * memory, or from somebody else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include "kselftest.h"
#include "files_block.h"

#define FILES		(K_READ | K_WRITE | K_SEEK | K_DATA | K_NONBLOCK)
#define ON_DISK		(FILES | K_DISK | K_FS | K_OWNER)

/* How a file system is made: in the row's @arg */
struct make {
	const char *type, *tool, *command, *options;
	long long mib;
};

static char dir_text[100];
static const char *frozen;	/* what freeze() freezes */

/* ---------------------------------------------------------------- common */

static int fs_freeze(const struct kind *k, bool on)
{
	int fd = open(frozen, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, on ? FIFREEZE : FITHAW, 0) ? -errno : 0;
	close(fd);
	return ret;
}

static void use_dir(struct kind *k, const char *name)
{
	snprintf(dir_text, sizeof(dir_text), "%s/%s", work_dir, name);
	mkdir(dir_text, 0755);
	k->dir = frozen = dir_text;
}

static const char *no_type(const char *type)
{
	char text[4096];

	run("modprobe -q %s", type);
	if (read_text("/proc/filesystems", text, sizeof(text)) > 0 &&
	    strstr(text, type))
		return "";
	return reason("missing module: %s", type);
}

static const char *mount_at(struct kind *k, const char *what, const char *type,
			    const char *options)
{
	use_dir(k, "fs");
	if (mount(what, dir_text, type, k->can & K_WRITE ? 0 : MS_RDONLY,
		  options))
		return reason("mount of %s: %s", type, err_name(-errno));
	return "";
}

static const char *umount_dir(struct kind *k)
{
	int ret;

	if (!k->dir)
		return "";
	/* io_uring may close a file some time later */
	until_ms((ret = umount2(k->dir, 0) ? -errno : 0) != -EBUSY, 2000);
	return ret ? reason("umount: %s", err_name(ret)) : "";
}

/* ------------------------------------------------------------- disks' types */

/* Who writes as somebody else than root may have 20 blocks */
static const char *set_quota(const char *node)
{
	struct if_dqblk q = {
		.dqb_bhardlimit = 20 * 4, .dqb_valid = QIF_BLIMITS,
	};

	if (quotactl(QCMD(Q_SETQUOTA, USRQUOTA), node, 1000, (void *)&q))
		return reason("no quota: %s", err_name(-errno));
	return "";
}

static const char *disk_setup(struct kind *k)
{
	const struct make *m = k->arg;
	const char *why = no_type(m->type), *node;

	if (*why)
		return why;
	if (!have_tool(m->tool))
		return reason("missing tool: %s", m->tool);
	node = loop_new("image", m->mib * MIB);
	if (!*node)
		return "missing module: loop";
	if (run("%s %s", m->command, node))
		return reason("%s failed", m->command);
	why = mount_at(k, node, m->type, m->options);
	if (*why)
		return why;
	if (k->can & K_QUOTA) {
		run("modprobe -q quota_v2");
		if (*set_quota(node))
			k->can &= ~K_QUOTA;
	}
	return "";
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
		return "no source";
	close(fd);
	if (run("mksquashfs %s %s/squash -noappend -processors 1", k->dir,
		work_dir))
		return "mksquashfs failed";
	k->dir = NULL;
	/* its own size: nothing is added */
	node = loop_new("squash", 1 * MIB);
	if (!*node)
		return "missing module: loop";
	return mount_at(k, node, "squashfs", NULL);
}

/* -------------------------------------------------------------- in memory */

static const char *nodev_setup(struct kind *k)
{
	const struct make *m = k->arg;
	const char *why = no_type(m->type);

	if (!*why)
		why = mount_at(k, "files", m->type, m->options);
	if (!*why && !strcmp(m->type, "hugetlbfs") &&
	    !put_text("/proc/sys/vm/nr_hugepages", "4"))
		why = "no huge pages";
	return why;
}

/* Pages come by ftruncate() and mmap(): there is no write */
static int hugetlb_open(struct inst *in)
{
	snprintf(in->path, sizeof(in->path), "%s/file", in->kind->dir);
	unlink(in->path);
	in->fd = open(in->path, O_RDWR | O_CREAT | O_CLOEXEC | in->flags, 0600);
	if (in->fd < 0)
		return -errno;
	return ftruncate(in->fd, 2 * MIB) ? -errno : 0;
}

static const char *hugetlb_teardown(struct kind *k)
{
	const char *left = umount_dir(k);

	put_text("/proc/sys/vm/nr_hugepages", "0");
	return left;
}

static const struct make tmpfs = { .type = "tmpfs", .options = "size=8M" };
static const struct make tmpfs_small = { .type = "tmpfs",
					 .options = "size=1M" };
static const struct make ramfs = { .type = "ramfs" };
static const struct make hugetlbfs = { .type = "hugetlbfs" };

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
		return "mount of ext4";
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

static const char *fail_disk;

static const char *fail_mount(struct kind *k)
{
	const char *node;

	node = dm_new(FAIL_NAME, reason("0 %lld linear %s 0",
					dev_sectors(fail_disk), fail_disk));
	if (!*node)
		return "missing module: dm_mod";
	if (run("mkfs.ext4 -q -F %s", node))
		return "mkfs.ext4 failed";
	return mount_at(k, node, "ext4", NULL);
}

static const char *fail_setup(struct kind *k)
{
	fail_disk = loop_new("image", 16 * MIB);
	if (!*fail_disk)
		return "missing module: loop";
	return fail_mount(k);
}

/* Nothing of a broken file system is used again */
static int fail_switch(const struct kind *k, bool on)
{
	long long len = dev_sectors(fail_disk);

	if (on)
		return dm_table(FAIL_NAME, reason("0 %lld error ", len));
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

/* -------------------------------------------------------------------- FUSE */

#define NODE	2	/* of the only file there is */

struct fuse_server {
	int dev;
	unsigned int open_flags;
	size_t size;
	mode_t mode;
	char data[BUF_LEN];
};

static void fuse_reply(struct fuse_server *s, __u64 unique, int error,
		       const void *data, size_t len)
{
	struct fuse_out_header h = {
		.len = sizeof(h) + len, .error = error, .unique = unique,
	};
	struct iovec v[2] = { { &h, sizeof(h) }, { (void *)data, len } };

	if (writev(s->dev, v, len ? 2 : 1) < 0 && errno != ENOENT)
		_exit(0);	/* no longer mounted */
}

static struct fuse_attr fuse_attr_of(struct fuse_server *s, __u64 node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1 };

	a.mode = node == NODE ? S_IFREG | s->mode : S_IFDIR | 0755;
	a.size = node == NODE ? s->size : 0;
	a.blksize = 4096;
	return a;
}

static void fuse_set(struct fuse_server *s, const struct fuse_setattr_in *in)
{
	if (in->valid & FATTR_SIZE && in->size <= BUF_LEN) {
		if (in->size > s->size)
			memset(s->data + s->size, 0, in->size - s->size);
		s->size = in->size;
	}
	if (in->valid & FATTR_MODE)
		s->mode = in->mode & 07777;
}

static void fuse_write_data(struct fuse_server *s, __u64 unique,
			    const struct fuse_write_in *w)
{
	struct fuse_write_out out = { .size = w->size };

	if (w->offset + w->size > BUF_LEN) {
		fuse_reply(s, unique, -ENOSPC, NULL, 0);
		return;
	}
	if (w->offset > s->size)
		memset(s->data + s->size, 0, w->offset - s->size);
	memcpy(s->data + w->offset, w + 1, w->size);
	if (w->offset + w->size > s->size)
		s->size = w->offset + w->size;
	fuse_reply(s, unique, 0, &out, sizeof(out));
}

static void fuse_read_data(struct fuse_server *s, __u64 unique,
			   const struct fuse_read_in *r)
{
	size_t len = r->size;

	if (r->offset >= s->size)
		len = 0;
	else if (r->offset + len > s->size)
		len = s->size - r->offset;
	fuse_reply(s, unique, 0, s->data + (len ? r->offset : 0), len);
}

static void fuse_serve(struct fuse_server *s, const struct fuse_in_header *h,
		       const void *arg)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536,
		.max_readahead = 65536, .flags = FUSE_BIG_WRITES,
	};
	struct fuse_entry_out entry = { .nodeid = NODE };
	struct fuse_attr_out attr = {};
	struct fuse_open_out open = { .open_flags = s->open_flags };

	switch (h->opcode) {
	case FUSE_INIT:
		fuse_reply(s, h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = fuse_attr_of(s, NODE);
		fuse_reply(s, h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_SETATTR:
		fuse_set(s, arg);
		/* fall through */
	case FUSE_GETATTR:
		attr.attr = fuse_attr_of(s, h->nodeid);
		fuse_reply(s, h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(s, h->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		fuse_read_data(s, h->unique, arg);
		break;
	case FUSE_WRITE:
		fuse_write_data(s, h->unique, arg);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
		fuse_reply(s, h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_DESTROY:
		_exit(0);
	default:
		fuse_reply(s, h->unique, -ENOSYS, NULL, 0);
	}
}

static pid_t fuse_pid;

static void fuse_main(int dev, unsigned int open_flags)
{
	static char in[BUF_LEN];
	static struct fuse_server s;
	const struct fuse_in_header *h = (void *)in;
	ssize_t len;

	s.dev = dev;
	s.open_flags = open_flags;
	s.mode = 0644;
	for (;;) {
		len = read(dev, in, sizeof(in));
		if (len > 0)
			fuse_serve(&s, h, h + 1);
		else if (errno != EINTR && errno != ENOENT)
			_exit(0);
	}
}

static const char *fuse_setup(struct kind *k)
{
	const char *why = no_type("fuse");
	int dev;

	if (*why)
		return why;
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return reason("no /dev/fuse: %s", err_name(-errno));
	fuse_pid = fork();
	if (!fuse_pid)
		fuse_main(dev, (unsigned long)k->arg);
	why = mount_at(k, "files", "fuse",
		       reason("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
			      dev));
	close(dev);
	return why;
}

static int fuse_open(struct inst *in)
{
	static char data[FILE_SIZE];
	int fd;

	snprintf(in->path, sizeof(in->path), "%s/file", in->kind->dir);
	fd = open(in->path, O_RDWR | O_CLOEXEC);
	fill_pattern(data, sizeof(data), 1);
	if (fd < 0 || ftruncate(fd, 0) ||
	    pwrite(fd, data, sizeof(data), 0) != sizeof(data) ||
	    fchmod(fd, 0644))
		return -errno;
	close(fd);
	in->fd = open(in->path, O_RDWR | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

static const char *fuse_teardown(struct kind *k)
{
	const char *left = umount_dir(k);

	if (fuse_pid > 0) {
		kill(fuse_pid, SIGKILL);
		waitpid(fuse_pid, NULL, 0);
	}
	return left;
}

/* --------------------------------------------------------------- 9p and NFS */

/* A folder on a share that somebody has mounted already */
static const char *p9_setup(struct kind *k)
{
	FILE *f = fopen("/proc/mounts", "r");
	char line[500], where[200], type[40], options[200];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %199s %39s %199s", where, type,
			   options) != 3 || strcmp(type, "9p") ||
		    strncmp(options, "rw", 2))
			continue;
		snprintf(dir_text, sizeof(dir_text), "%.60s/io2files.%d", where,
			 getpid());
		if (mkdir(dir_text, 0755))
			continue;
		fclose(f);
		k->dir = dir_text;
		return "";
	}
	if (f)
		fclose(f);
	return "no 9p file system is mounted";
}

static const char *p9_teardown(struct kind *k)
{
	char path[120];

	if (!k->dir)
		return "";
	snprintf(path, sizeof(path), "%s/file", k->dir);
	unlink(path);
	return rmdir(k->dir) ? reason("rmdir: %s", err_name(-errno)) : "";
}

#define EXPORT_FLAGS	(0x2 | 0x10 | 0x400 | 0x2000)	/* any port, async, whole, fsid */

/* The kernel's server on loopback; what mountd would say is said at once */
static const char *nfs_setup(struct kind *k)
{
	const char *why = no_type("nfsd");
	char path[120];

	if (!*why)
		why = no_type("nfs4");
	if (*why)
		return why;
	snprintf(path, sizeof(path), "%s/export", work_dir);
	mkdir(path, 0777);
	if (mount("files", path, "ext4", 0, NULL)) {
		const char *node = loop_new("image", 24 * MIB);

		if (!*node || run("mkfs.ext4 -q -F %s", node) ||
		    mount(node, path, "ext4", 0, NULL))
			return "no ext4 on a loop device";
	}
	if (access("/proc/fs/nfsd/threads", F_OK) &&
	    mount("nfsd", "/proc/fs/nfsd", "nfsd", 0, NULL))
		return "mount of nfsd";
	/* older versions must be registered with a port mapper */
	put_text("/proc/fs/nfsd/versions", "-2\n");
	put_text("/proc/fs/nfsd/versions", "-3\n");
	put_text("/proc/fs/nfsd/nfsv4leasetime", "10\n");
	put_text("/proc/fs/nfsd/nfsv4gracetime", "10\n");
	if (!put_text("/proc/net/rpc/auth.unix.ip/channel",
		      "nfsd 127.0.0.1 4000000000 *\n") ||
	    !put_text("/proc/net/rpc/nfsd.export/channel",
		      "* %s 4000000000 %d 65534 65534 0\n", path,
		      EXPORT_FLAGS) ||
	    !put_text("/proc/net/rpc/nfsd.fh/channel",
		      "* 1 \\x00000000 4000000000 %s\n", path))
		return reason("nfsd takes no export: %s", err_name(-errno));
	if (!put_text("/proc/fs/nfsd/portlist", "tcp 2049\n") ||
	    !put_text("/proc/fs/nfsd/threads", "2\n"))
		return reason("nfsd does not start: %s", err_name(-errno));
	put_text("/proc/fs/nfsd/v4_end_grace", "Y\n");
	return mount_at(k, "127.0.0.1:/", "nfs4",
			"vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1,sec=sys,soft,timeo=100");
}

static const char *nfs_teardown(struct kind *k)
{
	const char *left = umount_dir(k);
	char path[120];
	int ret;

	put_text("/proc/fs/nfsd/threads", "0\n");
	put_text("/proc/net/rpc/nfsd.fh/flush", "4000000000\n");
	put_text("/proc/net/rpc/nfsd.export/flush", "4000000000\n");
	put_text("/proc/net/rpc/auth.unix.ip/flush", "4000000000\n");
	snprintf(path, sizeof(path), "%s/export", work_dir);
	until_ms((ret = umount2(path, 0) ? -errno : 0) != -EBUSY, 5000);
	if (ret == -EBUSY && !*left)
		left = "umount of the export: -EBUSY";
	return left;
}

static struct kind kinds[] = {
	{ .name = "ext4", .can = ON_DISK | K_QUOTA, .setup = disk_setup,
	  .arg = &ext4, .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "ext4_data_journal", .can = ON_DISK, .setup = disk_setup,
	  .arg = &ext4_data_journal, .freeze = fs_freeze,
	  .teardown = umount_dir },
	{ .name = "ext4_small", .can = FILES | K_SMALL | K_FS,
	  .setup = disk_setup, .arg = &ext4_small, .freeze = fs_freeze,
	  .teardown = umount_dir },
	{ .name = "ext2", .can = ON_DISK, .setup = disk_setup, .arg = &ext2,
	  .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "ext4_broken", .can = FILES | K_DISK | K_FAIL,
	  .setup = fail_setup, .fail = fail_switch, .teardown = fail_teardown },
	{ .name = "xfs", .can = ON_DISK, .setup = disk_setup, .arg = &xfs,
	  .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "btrfs", .can = ON_DISK, .setup = disk_setup, .arg = &btrfs,
	  .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "f2fs", .can = ON_DISK, .setup = disk_setup, .arg = &f2fs,
	  .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "vfat", .can = FILES | K_DISK | K_FS, .setup = disk_setup,
	  .arg = &vfat, .freeze = fs_freeze, .teardown = umount_dir },
	{ .name = "squashfs", .can = K_READ | K_SEEK | K_DATA | K_DISK |
	  K_NONBLOCK, .setup = squashfs_setup, .teardown = umount_dir },
	{ .name = "tmpfs", .can = FILES | K_OWNER | K_DISK,
	  .setup = nodev_setup, .arg = &tmpfs, .teardown = umount_dir },
	{ .name = "tmpfs_small", .can = FILES | K_SMALL, .setup = nodev_setup,
	  .arg = &tmpfs_small, .teardown = umount_dir },
	{ .name = "ramfs", .can = FILES | K_OWNER | K_DISK,
	  .setup = nodev_setup, .arg = &ramfs, .teardown = umount_dir },
	{ .name = "hugetlbfs", .can = K_READ | K_WRITE | K_SEEK,
	  .setup = nodev_setup, .arg = &hugetlbfs, .open = hugetlb_open,
	  .teardown = hugetlb_teardown },
	{ .name = "overlay", .can = ON_DISK, .setup = overlay_setup,
	  .freeze = fs_freeze, .teardown = overlay_teardown },
	{ .name = "fuse", .can = FILES | K_DISK | K_OWNER, .setup = fuse_setup,
	  .open = fuse_open, .teardown = fuse_teardown },
	{ .name = "fuse_direct", .can = FILES | K_OWNER, .setup = fuse_setup,
	  .open = fuse_open, .teardown = fuse_teardown,
	  .arg = (void *)FOPEN_DIRECT_IO },
	{ .name = "9p", .can = FILES | K_DISK, .setup = p9_setup,
	  .teardown = p9_teardown },
	{ .name = "nfs", .can = FILES | K_DISK, .setup = nfs_setup,
	  .teardown = nfs_teardown },
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
