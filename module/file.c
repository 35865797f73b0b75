// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of file. A kernel thread is not a member of the process that it works
 * for. It has the process's memory and credentials, but no other state of it.
 * So it may only use files whose methods use no other state of `current`. This
 * file lists these. Any other file is left to the process itself.
 */
#include <linux/fs.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/pipe_fs_i.h>
#include <linux/string.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "file.h"

#define KIND_RW		(IO2_KIND_READ | IO2_KIND_WRITE)
#define KIND_DATA	(KIND_RW | IO2_KIND_SYNC | IO2_KIND_DATA)
#define KIND_POLL	(IO2_KIND_POLL_NOW | IO2_KIND_POLL_LATE)

/* --- files of file systems ------------------------------------------------ */

/*
 * File systems without a block device that are identified by their magic
 * number.
 */
static bool magic_is_data(unsigned long magic)
{
	switch (magic) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case HUGETLBFS_MAGIC:
	case SQUASHFS_MAGIC:
	case V9FS_MAGIC:
	case AFS_FS_MAGIC:
	case FUSE_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* The same, identified by their name. */
static bool name_is_data(const char *name)
{
	static const char * const names[] = { "ceph", "erofs", "ubifs", "jffs2", "vboxsf" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/*
 * NFS tells its server about locks, and identifies their owner by its fd table.
 * So a file that has had locks is left to the process.
 */
static bool nfs_is_data(const struct inode *inode)
{
	return !READ_ONCE(inode->i_flctx);
}

static bool inode_is_data(const struct inode *inode)
{
	const struct super_block *sb = inode->i_sb;

	/* the owner of a mandatory lock is an fd table */
	if (io2_has_mandatory_locks(inode))
		return false;
	if (sb->s_type->fs_flags & FS_REQUIRES_DEV)
		return true;
	if (sb->s_magic == NFS_SUPER_MAGIC)
		return nfs_is_data(inode);
	return magic_is_data(sb->s_magic) || name_is_data(sb->s_type->name);
}

/*
 * An overlayfs file stands for a real inode, which may be of any file system,
 * for example sysfs.
 */
static const struct inode *real_inode(const struct file *file)
{
	if (file_inode(file)->i_sb->s_magic != OVERLAYFS_SUPER_MAGIC)
		return file_inode(file);
	return d_real_inode(file->f_path.dentry);
}

static unsigned int kind_regular(const struct file *file)
{
	const struct inode *inode = real_inode(file);

	if (!inode_is_data(inode))
		return 0;
	/* regular files of FUSE can be polled; those of the others cannot */
	return inode->i_sb->s_magic == FUSE_SUPER_MAGIC ?
	       KIND_DATA | IO2_KIND_POLL_LATE : KIND_DATA;
}

static unsigned int kind_directory(const struct file *file)
{
	return inode_is_data(real_inode(file)) ? IO2_KIND_SYNC : 0;
}

/* --- anonymous inodes ----------------------------------------------------- */

/**
 * struct anon_kind - a kind of anonymous inode
 * @name: name of its dentry
 * @kind: IO2_KIND_*
 *
 * Constant.
 */
struct anon_kind {
	const char	*name;
	unsigned int	kind;
};

static const struct anon_kind anon_kinds[] = {
	{ "[eventfd]",		KIND_RW | KIND_POLL },
	{ "[timerfd]",		IO2_KIND_READ | KIND_POLL },
	{ "inotify",		IO2_KIND_READ | KIND_POLL },
	{ "[fanotify]",		KIND_POLL },
	{ "[userfaultfd]",	KIND_POLL },
	{ "[perf_event]",	KIND_POLL },
	{ "[pidfd]",		KIND_POLL },
	{ "[io_uring]",		KIND_POLL },
	{ "[iouring2]",		KIND_POLL },
	{ "[signalfd]",		IO2_KIND_WAKE_TELLS },
};

static unsigned int kind_anon(const struct file *file)
{
	const char *name = file->f_path.dentry->d_name.name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(anon_kinds); i++)
		if (!strcmp(name, anon_kinds[i].name))
			return anon_kinds[i].kind;
	return 0;
}

/* --- sockets -------------------------------------------------------------- */

/*
 * Kernel threads may receive, but not send: a receiver may be told who the
 * sender is, and some security modules do not check kernel threads.
 */
static unsigned int kind_inet(const struct sock *sk)
{
	switch (sk->sk_protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_MPTCP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return IO2_KIND_READ | KIND_POLL;
	default:
		/*
		 * polling another protocol may sleep until a reader releases
		 * the socket lock
		 */
		return sk->sk_type == SOCK_RAW ? IO2_KIND_READ | KIND_POLL :
						 IO2_KIND_POLL_LATE;
	}
}

/* A function of its own: for other files io2_file_kind() needs no stack. */
static noinline unsigned int kind_socket(const struct file *file)
{
	const struct socket *sock = io2_sock_from_file(file);
	const struct sock *sk = sock ? sock->sk : NULL;

	if (!sk)
		return 0;
	switch (sk->sk_family) {
	case AF_INET:
	case AF_INET6:
		return kind_inet(sk);
	case AF_VSOCK:
		/* polling takes a lock that readers hold, even in a page fault */
		return IO2_KIND_READ | IO2_KIND_POLL_LATE;
	case AF_UNIX:
	case AF_PACKET:
	case AF_ALG:
		return IO2_KIND_READ | KIND_POLL;
	case AF_NETLINK:
		/* a read may continue a dump, which may check its reader */
		return KIND_POLL;
	default:
		return 0;
	}
}

/* --- devices -------------------------------------------------------------- */

static unsigned int kind_memory_device(unsigned int minor)
{
	switch (minor) {
	case 3:		/* null */
		return KIND_RW;
	case 5:		/* zero */
	case 7:		/* full */
		return KIND_RW | IO2_KIND_ENDLESS;
	case 8:		/* random */
	case 9:		/* urandom */
		return KIND_RW | KIND_POLL;
	case 11:	/* kmsg */
		return IO2_KIND_READ | KIND_POLL;
	default:
		return 0;
	}
}

static unsigned int kind_char(const struct inode *inode)
{
	switch (imajor(inode)) {
	case MEM_MAJOR:
		return kind_memory_device(iminor(inode));
	case INPUT_MAJOR:
		return IO2_KIND_POLL_LATE;
	default:
		return 0;
	}
}

/**
 * io2_file_kind() - what may a kernel thread do with a file for a submitter?
 * @file: the file
 *
 * Context: any.
 * Return: IO2_KIND_*; 0 for a kind of file that was not examined.
 */
unsigned int io2_file_kind(const struct file *file)
{
	struct inode *inode = file_inode(file);

	if (inode->i_sb->s_magic == ANON_INODE_FS_MAGIC)
		return kind_anon(file);
	if (inode->i_sb->s_magic == IO2_PID_FS_MAGIC)
		return KIND_POLL;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		return kind_regular(file);
	case S_IFDIR:
		return kind_directory(file);
	case S_IFBLK:
		return KIND_DATA;
	case S_IFIFO:
		return KIND_RW | KIND_POLL;
	case S_IFSOCK:
		return kind_socket(file);
	case S_IFCHR:
		return kind_char(inode);
	default:
		return 0;
	}
}

static bool sock_ends_here(const struct file *file)
{
	const struct socket *sock = io2_sock_from_file(file);
	const struct sock *sk = sock ? sock->sk : NULL;

	if (!sk)
		return false;
	switch (sk->sk_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
	case AF_INET6:
		return !sock_flag(sk, SOCK_LINGER);
	default:
		return false;
	}
}

/* A file on a block device may wait for its server as well: that of fuseblk. */
static bool fs_ends_here(const struct super_block *sb)
{
	if (sb->s_magic == FUSE_SUPER_MAGIC)
		return false;
	return sb->s_type->fs_flags & FS_REQUIRES_DEV ||
	       sb->s_magic == TMPFS_MAGIC;
}

/**
 * io2_file_ends_here() - can a file be closed without waiting for others?
 * @file: the file
 *
 * A socket may linger, a terminal may wait until its output is sent, and a file
 * system of FUSE or of the network may wait for its server.
 *
 * Context: any.
 * Return: true if the close takes no longer than a local device.
 */
bool io2_file_ends_here(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		if (inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
			return fs_ends_here(inode->i_sb);
		fallthrough;
	case 0:
		return kind_anon(file) & KIND_RW;
	case S_IFSOCK:
		return sock_ends_here(file);
	case S_IFBLK:
	case S_IFIFO:
		return true;
	default:
		return false;
	}
}

/**
 * io2_file_raises_sigpipe() - does a write without a reader raise SIGPIPE?
 * @file: the file
 *
 * Context: any.
 * Return: true for a pipe or a stream socket.
 */
bool io2_file_raises_sigpipe(const struct file *file)
{
	const struct socket *sock = io2_sock_from_file(file);

	if (sock)
		return sock->type == SOCK_STREAM;
	return S_ISFIFO(file_inode(file)->i_mode);
}

/**
 * io2_pipe_has_no_reader() - does no open file read from this pipe?
 * @file: any file, open for writing
 *
 * Context: any. The answer may change at any time.
 * Return: true if @file is a pipe without a reader.
 */
bool io2_pipe_has_no_reader(const struct file *file)
{
	const struct pipe_inode_info *pipe;

	if (!S_ISFIFO(file_inode(file)->i_mode))
		return false;
	pipe = file->private_data;
	return !READ_ONCE(pipe->readers);
}
