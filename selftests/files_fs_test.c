// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: file systems in memory, file systems that a server
 * provides, and one that encrypts the files of another.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include <linux/keyctl.h>
#include <linux/nfsd/cld.h>
#include "kselftest.h"
#include "files_fs.h"

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

/* hugetlbfs has no write(): ftruncate() and mmap() make pages */
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

/* -------------------------------------------------------------------- FUSE */

#define NODE	2	/* the only file there is */

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
		__attribute__((fallthrough));
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
		fuse_reply(s, h->unique, -EOPNOTSUPP, NULL, 0);
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

/* Make a folder on a 9p file system that is already mounted */
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

#define RPC_DIR	"%s/rpc"

static pid_t tracker_pid;

/*
 * Do the work of nfsdcld, with a list of clients that stays empty. Without
 * nfsdcld, the NFS server waits a second for it, and then ten seconds for
 * earlier clients.
 */
static void tracker_main(void)
{
	struct pollfd p = { .events = POLLIN };
	struct cld_msg m;
	char path[120];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), RPC_DIR "/nfsd/cld", work_dir);
	until((p.fd = open(path, O_RDWR | O_CLOEXEC)) >= 0);
	if (p.fd < 0)
		_exit(1);
	/* a read of this file does not wait */
	while (poll(&p, 1, -1) == 1) {
		if (read(p.fd, &m, sizeof(m)) != sizeof(m))
			break;
		m.cm_status = 0;
		if (m.cm_cmd == Cld_GetVersion)
			m.cm_u.cm_version = 1;
		if (write(p.fd, &m, sizeof(m)) != sizeof(m))
			break;
	}
	_exit(0);
}

static void tracker_start(void)
{
	char path[120];

	snprintf(path, sizeof(path), RPC_DIR, work_dir);
	mkdir(path, 0755);
	if (mount("rpc", path, "rpc_pipefs", 0, NULL))
		return;
	tracker_pid = fork();
	if (!tracker_pid)
		tracker_main();
}

static void tracker_end(void)
{
	char path[120];

	if (tracker_pid > 0) {
		kill(tracker_pid, SIGKILL);
		waitpid(tracker_pid, NULL, 0);
	}
	snprintf(path, sizeof(path), RPC_DIR, work_dir);
	umount2(path, 0);
}

#define EXPORT_FLAGS	(0x2 | 0x10 | 0x400 | 0x2000)	/* any port, async, whole, fsid */

/*
 * Start the kernel's NFS server on loopback. Write at once what mountd would
 * answer.
 */
static const char *nfs_setup(struct kind *k)
{
	const char *why = no_type("nfsd"), *node;
	char path[120];

	if (!*why)
		why = no_type("nfs4");
	if (*why)
		return why;
	snprintf(path, sizeof(path), "%s/export", work_dir);
	mkdir(path, 0777);
	node = loop_new("image", 24 * MIB);
	if (!*node || run("mkfs.ext4 -q -F %s", node) ||
	    mount(node, path, "ext4", 0, NULL))
		return "no ext4 on a loop device";
	if (access("/proc/fs/nfsd/threads", F_OK) &&
	    mount("nfsd", "/proc/fs/nfsd", "nfsd", 0, NULL))
		return "nfsd cannot be mounted";
	/* Switch NFS 2 and 3 off: they must be registered with a port mapper */
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
		return reason("nfsd does not accept an export: %s",
			      err_name(-errno));
	tracker_start();
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
	tracker_end();
	return left;
}

/* --------------------------------------------------------------- ecryptfs */

#define KEY_NAME	"0011223344556677"	/* 16 hexadecimal digits */
#define BY_PASSWORD	0
#define KEY_IS_SET	0x02

/*
 * The key that ecryptfs-utils would put into a keyring: the layout that the
 * kernel calls struct ecryptfs_auth_tok
 */
struct auth_token {
	__u16 version, type;
	__u32 flags;
	struct {
		__u32 flags, encrypted_size, decrypted_size;
		__u8 encrypted[512], decrypted[64];
	} session;
	__u8 reserved[32];
	struct {
		__u32 bytes, hash, iterations, key_bytes, flags;
		__u8 key[64], name[17], salt[8];
	} password;
};

static bool add_key(void)
{
	struct auth_token t = {
		.version = 4, .type = BY_PASSWORD,
		.password = { .key_bytes = 64, .flags = KEY_IS_SET,
			      .name = KEY_NAME },
	};

	fill_pattern(t.password.key, sizeof(t.password.key), 3);
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 &&
	       syscall(SYS_add_key, "user", KEY_NAME, &t, sizeof(t),
		       KEY_SPEC_SESSION_KEYRING) >= 0;
}

static char lower_text[100];

static const char *ecryptfs_setup(struct kind *k)
{
	const char *why = no_type("ecryptfs");

	if (*why)
		return why;
	if (!add_key())
		return reason("no key: %s", err_name(-errno));
	snprintf(lower_text, sizeof(lower_text), "%s/lower", work_dir);
	mkdir(lower_text, 0755);
	if (mount("files", lower_text, "tmpfs", 0, "size=8M"))
		return "tmpfs cannot be mounted";
	return mount_at(k, lower_text, "ecryptfs",
			"ecryptfs_sig=" KEY_NAME ",ecryptfs_cipher=aes,ecryptfs_key_bytes=16");
}

static const char *ecryptfs_teardown(struct kind *k)
{
	const char *left = umount_dir(k);

	if (*lower_text && umount2(lower_text, 0) && !*left)
		left = reason("umount of lower: %s", err_name(-errno));
	return left;
}

static struct kind kinds[] = {
	{ .name = "tmpfs", .can = FILES | K_OWNER | K_DISK | K_CLASS,
	  .setup = nodev_setup, .arg = &tmpfs, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "tmpfs_small", .can = FILES | K_SMALL, .setup = nodev_setup,
	  .arg = &tmpfs_small, .teardown = umount_dir },
	{ .name = "ramfs", .can = FILES | K_OWNER | K_DISK | K_CLASS,
	  .setup = nodev_setup, .arg = &ramfs, .teardown = umount_dir,
	  .any = ANY_DATA },
	{ .name = "hugetlbfs", .can = K_READ | K_WRITE | K_SEEK | K_CLASS,
	  .setup = nodev_setup, .arg = &hugetlbfs, .open = hugetlb_open,
	  .teardown = hugetlb_teardown, .any = ANY_DATA },
	{ .name = "fuse", .can = FILES | K_DISK | K_OWNER | K_CLASS,
	  .setup = fuse_setup, .open = fuse_open, .teardown = fuse_teardown,
	  .any = ANY_DATA },
	{ .name = "fuse_direct", .can = FILES | K_OWNER | K_CLASS,
	  .setup = fuse_setup, .open = fuse_open, .teardown = fuse_teardown,
	  .arg = (void *)FOPEN_DIRECT_IO, .any = ANY_DATA },
	{ .name = "9p", .can = FILES | K_DISK | K_CLASS, .setup = p9_setup,
	  .teardown = p9_teardown, .any = ANY_DATA },
	{ .name = "nfs", .can = FILES | K_DISK | K_CLASS | K_LOCK_SENT,
	  .setup = nfs_setup,
	  .teardown = nfs_teardown, .any = ANY_DATA },
	{ .name = "ecryptfs", .can = FILES | K_DISK | K_OWNER | K_CLASS,
	  .setup = ecryptfs_setup, .teardown = ecryptfs_teardown },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
