// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: sockets.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include "kselftest.h"
#include "files.h"

#define ETHER_OURS	0x88b5	/* an EtherType for local experiments */

static int unix_pair(struct inst *in)
{
	int sv[2];

	if (socketpair(AF_UNIX, (long)in->kind->arg | SOCK_CLOEXEC, 0, sv))
		return -errno;
	in->fd = sv[0];
	in->peer = sv[1];
	return 0;
}

static int loopback(int type, int listener, struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (void *)a, sizeof(*a)) || (listener && listen(fd, 1)) ||
	    getsockname(fd, (void *)a, &len))
		return -errno;
	return fd;
}

static int tcp_pair(struct inst *in)
{
	int small = 16384, listener;
	struct sockaddr_in a;

	listener = loopback(SOCK_STREAM, 1, &a);
	if (listener < 0)
		return listener;
	in->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(in->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (connect(in->fd, (void *)&a, sizeof(a)))
		return -errno;
	in->peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return in->peer < 0 ? -errno : 0;
}

static int udp_pair(struct inst *in)
{
	struct sockaddr_in a, b;

	in->fd = loopback(SOCK_DGRAM, 0, &a);
	in->peer = loopback(SOCK_DGRAM, 0, &b);
	if (in->fd < 0 || in->peer < 0)
		return -EIO;
	if (connect(in->fd, (void *)&b, sizeof(b)) ||
	    connect(in->peer, (void *)&a, sizeof(a)))
		return -errno;
	return 0;
}

static int netlink_socket(struct sockaddr_nl *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	memset(a, 0, sizeof(*a));
	a->nl_family = AF_NETLINK;
	if (bind(fd, (void *)a, sizeof(*a)) || getsockname(fd, (void *)a, &len))
		return -errno;
	return fd;
}

static int netlink_pair(struct inst *in)
{
	struct sockaddr_nl a, b;

	in->fd = netlink_socket(&a);
	in->peer = netlink_socket(&b);
	if (in->fd < 0 || in->peer < 0)
		return -EIO;
	if (connect(in->fd, (void *)&b, sizeof(b)) ||
	    connect(in->peer, (void *)&a, sizeof(a)))
		return -errno;
	return 0;
}

/* in->fd receives what in->peer sends on the loopback device */
static int packet_pair(struct inst *in)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETHER_OURS),
		.sll_ifindex = 1, .sll_halen = 6,
	};
	int ignore = 1;

	in->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC,
			htons(ETHER_OURS));
	in->peer = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (in->fd < 0 || in->peer < 0)
		return -errno;
	setsockopt(in->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore,
		   sizeof(ignore));
	return bind(in->fd, (void *)&a, sizeof(a)) ? -errno : 0;
}

static void packet_feed(struct inst *in)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETHER_OURS),
		.sll_ifindex = 1, .sll_halen = 6,
	};

	if (sendto(in->peer, "datum", 5, 0, (void *)&a, sizeof(a)) != 5)
		perror("feed");
}

static const char *packet_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret;

	/* it may be built in: an error does not count */
	need_module("af_packet");
	ret = packet_pair(&in);
	default_close(&in);
	return ret ? reason("no packet sockets: %s", err_name(ret)) : "";
}

static int vsock_pair(struct inst *in)
{
	struct sockaddr_vm a = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL,
		.svm_port = VMADDR_PORT_ANY,
	};
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	if (listener < 0 || bind(listener, (void *)&a, sizeof(a)) ||
	    listen(listener, 1) || getsockname(listener, (void *)&a, &len))
		return -errno;
	a.svm_cid = VMADDR_CID_LOCAL;
	in->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(in->fd, (void *)&a, sizeof(a)))
		return -errno;
	in->peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return in->peer < 0 ? -errno : 0;
}

static const char *vsock_setup(struct kind *k)
{
	const char *why = need_module("vsock_loopback");
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	int ret;

	if (*why)
		return why;
	ret = vsock_pair(&in);
	default_close(&in);
	return ret ? reason("no vsock on loopback: %s", err_name(ret)) : "";
}

#define STREAM	(K_READ | K_WRITE | K_FEED | K_POLL | K_NONBLOCK)
#define EVENTS	(K_READ | K_FEED | K_POLL | K_NONBLOCK)

static struct kind kinds[] = {
	{ .name = "unix_stream", .can = STREAM | K_FULL | K_HUP | K_CLASS,
	  .open = unix_pair, .feed = feed_peer, .drain = drain_peer,
	  .arg = (void *)SOCK_STREAM, .any = ANY_READ | ANY_POLL },
	{ .name = "unix_dgram", .can = STREAM | K_FULL | K_CLASS,
	  .open = unix_pair, .feed = feed_peer, .drain = drain_peer,
	  .arg = (void *)SOCK_DGRAM, .any = ANY_READ | ANY_POLL },
	{ .name = "unix_seqpacket", .can = STREAM | K_FULL | K_HUP | K_CLASS,
	  .open = unix_pair, .feed = feed_peer, .drain = drain_peer,
	  .arg = (void *)SOCK_SEQPACKET, .any = ANY_READ | ANY_POLL },
	{ .name = "tcp", .can = STREAM | K_FULL | K_CLASS, .open = tcp_pair,
	  .feed = feed_peer, .drain = drain_peer, .any = ANY_READ | ANY_POLL },
	{ .name = "udp", .can = STREAM | K_CLASS, .open = udp_pair,
	  .feed = feed_peer, .any = ANY_READ | ANY_POLL },
	{ .name = "netlink", .can = STREAM | K_CLASS, .open = netlink_pair,
	  .feed = feed_peer, .any = ANY_POLL },
	{ .name = "packet", .can = EVENTS | K_CLASS, .setup = packet_setup,
	  .open = packet_pair, .feed = packet_feed,
	  .any = ANY_READ | ANY_POLL },
	{ .name = "vsock", .can = STREAM | K_CLASS, .setup = vsock_setup,
	  .open = vsock_pair, .feed = feed_peer, .any = ANY_READ | ANY_POLL },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
