// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of file.  A kernel thread is no member of the process that it works
 * for: it has that process's memory and credentials, and nothing else of it.
 * So it may only use files whose methods ask `current` for nothing else.  Which
 * these are is a list, and what is not on it is left to the process itself.
 */
#include <linux/wait.h>	/* 5.10: pipe_fs_i.h wants it first */
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
#define KIND_ASK	(IO2_KIND_ASK_NOW | IO2_KIND_ASK_LATE)

/* --- files of file systems ------------------------------------------------ */

/* Without a block device, and known by their number. */
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

/* The same, known by their name. */
static bool name_is_data(const char *name)
{
	static const char * const names[] = { "ceph", "erofs", "ubifs", "jffs2", "vboxsf" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* NFS tells its server of locks by the table of descriptors that has them. */
static bool nfs_is_data(const struct inode *inode)
{
	return !READ_ONCE(inode->i_flctx);
}

static bool inode_is_data(const struct inode *inode)
{
	const struct super_block *sb = inode->i_sb;

	/* a lock's owner is the table of descriptors */
	if (io2_has_mandatory_locks(inode))
		return false;
	if (sb->s_type->fs_flags & FS_REQUIRES_DEV)
		return true;
	if (sb->s_magic == NFS_SUPER_MAGIC)
		return nfs_is_data(inode);
	return magic_is_data(sb->s_magic) || name_is_data(sb->s_type->name);
}

/* An overlay's file is what it lies over, which may be one of sysfs. */
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
	/* no other file of these can be polled */
	return inode->i_sb->s_magic == FUSE_SUPER_MAGIC ?
	       KIND_DATA | IO2_KIND_ASK_LATE : KIND_DATA;
}

static unsigned int kind_directory(const struct file *file)
{
	return inode_is_data(real_inode(file)) ? IO2_KIND_SYNC : 0;
}

/* --- anonymous inodes ----------------------------------------------------- */

/**
 * struct anon_kind - a kind of anonymous inode
 * @name: of its dentry
 * @kind: IO2_KIND_*
 */
struct anon_kind {
	const char	*name;
	unsigned int	kind;
};

static const struct anon_kind anon_kinds[] = {
	{ "[eventfd]",		KIND_RW | KIND_ASK },
	{ "[timerfd]",		IO2_KIND_READ | KIND_ASK },
	{ "inotify",		IO2_KIND_READ | KIND_ASK },
	{ "[fanotify]",		KIND_ASK },
	{ "[userfaultfd]",	KIND_ASK },
	{ "[perf_event]",	KIND_ASK },
	{ "[pidfd]",		KIND_ASK },
	{ "[io_uring]",		KIND_ASK },
	{ "[iouring2]",		KIND_ASK },
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
 * Nobody but the submitter sends: a receiver may be told who does, and some
 * security modules let kernel threads send what they like.
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
		return IO2_KIND_READ | KIND_ASK;
	default:
		/* another protocol's poll may sleep, as long as somebody reads */
		return sk->sk_type == SOCK_RAW ? IO2_KIND_READ | KIND_ASK :
						 IO2_KIND_ASK_LATE;
	}
}

static unsigned int kind_socket(const struct file *file)
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
		/* its poll takes a lock that who reads holds, in a page fault, too */
		return IO2_KIND_READ | IO2_KIND_ASK_LATE;
	case AF_UNIX:
	case AF_PACKET:
	case AF_ALG:
		return IO2_KIND_READ | KIND_ASK;
	case AF_NETLINK:
		/* a read goes on with a dump, which may ask who reads */
		return KIND_ASK;
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
		return KIND_RW | KIND_ASK;
	case 11:	/* kmsg */
		return IO2_KIND_READ | KIND_ASK;
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
		return IO2_KIND_ASK_LATE;
	default:
		return 0;
	}
}

/**
 * io2_file_kind() - what may a kernel thread do with a file for a submitter?
 * @file: the file
 *
 * Context: any.
 * Return: IO2_KIND_*; 0 for what nobody has looked into.
 */
unsigned int io2_file_kind(const struct file *file)
{
	struct inode *inode = file_inode(file);

	if (inode->i_sb->s_magic == ANON_INODE_FS_MAGIC)
		return kind_anon(file);
	if (inode->i_sb->s_magic == IO2_PID_FS_MAGIC)
		return KIND_ASK;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		return kind_regular(file);
	case S_IFDIR:
		return kind_directory(file);
	case S_IFBLK:
		return KIND_DATA;
	case S_IFIFO:
		return KIND_RW | KIND_ASK;
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

/**
 * io2_file_ends_here() - does the end of a file depend on nobody else?
 * @file: the file
 *
 * A socket may linger, a terminal wait until its output is gone, a server be asked.
 *
 * Context: any.
 * Return: whether it ends within the time of a local device.
 */
bool io2_file_ends_here(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		if (inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
			return inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV ||
			       inode->i_sb->s_magic == TMPFS_MAGIC;
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
 * io2_file_raises_sigpipe() - does a write that nobody will read raise SIGPIPE?
 * @file: the file
 *
 * Context: any.
 * Return: whether it is a pipe or a stream's socket.
 */
bool io2_file_raises_sigpipe(const struct file *file)
{
	const struct socket *sock = io2_sock_from_file(file);

	if (sock)
		return sock->type == SOCK_STREAM;
	return S_ISFIFO(file_inode(file)->i_mode);
}

/**
 * io2_pipe_has_no_reader() - is it a pipe that nobody can read from any more?
 * @file: the file, open for writing
 *
 * Context: any; the answer may be out of date at once.
 * Return: whether it is.
 */
bool io2_pipe_has_no_reader(const struct file *file)
{
	const struct pipe_inode_info *pipe;

	if (!S_ISFIFO(file_inode(file)->i_mode))
		return false;
	pipe = file->private_data;
	return !READ_ONCE(pipe->readers);
}
