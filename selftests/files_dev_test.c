// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: character devices.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include <linux/if_tun.h>
#include <linux/rtc.h>
#include <linux/uinput.h>
#include <linux/vhost.h>
#include <linux/watchdog.h>
#include "kselftest.h"
#include "files.h"

struct node {
	const char *path, *module;
	const char *value;
};

static int node_open(struct inst *in)
{
	const struct node *n = in->kind->arg;
	int mode = in->kind->can & K_NEVER ? O_RDWR :
		   !(in->kind->can & K_WRITE) ? O_RDONLY :
		   !(in->kind->can & K_READ) ? O_WRONLY : O_RDWR;

	snprintf(in->path, sizeof(in->path), "%s", n->path);
	if (n->value)
		memcpy(io_buf, n->value, strlen(n->value));
	in->fd = open(in->path, mode | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

static const char *node_setup(struct kind *k)
{
	const struct node *n = k->arg;
	int mode = !(k->can & K_WRITE) ? O_RDONLY :
		   !(k->can & K_READ) ? O_WRONLY : O_RDWR;
	int fd;

	if (n->module) {
		const char *why = need_module(n->module);

		if (*why)
			return why;
		until_ms(!access(n->path, F_OK), 2000);
	}
	fd = open(n->path, mode | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return reason("no %s: %s", n->path, err_name(-errno));
	close(fd);
	return "";
}

/* ------------------------------------------------------------------- kmsg */

/*
 * A record contains the time, so its length depends on the number of digits.
 * Wait if this number is about to change.
 */
static const char *kmsg_setup(struct kind *k)
{
	long long s = now_ns(CLOCK_MONOTONIC) / NSEC_PER_SEC, digits;

	for (digits = 10; digits <= s; digits *= 10)
		;
	if (digits - s <= 5)
		sleep(digits - s + 1);
	return node_setup(k);
}

static int kmsg_open(struct inst *in)
{
	int ret = node_open(in);

	if (!ret)
		lseek(in->fd, 0, SEEK_END);
	in->peer = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	return ret;
}

static int kmsg_write_open(struct inst *in)
{
	in->fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	return in->fd < 0 ? -errno : 0;
}

static void kmsg_feed(struct inst *in)
{
	if (write(in->peer, "<7>a datum\n", 11) != 11)
		perror("feed");
}

static void kmsg_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	note(c, "datum=%d", !!memmem(p, res, "a datum", 7));
}

/* ------------------------------------------------------------------- FUSE */

/* The server's end of a FUSE mount. A datum is the request of a stat(). */
static int fuse_open(struct inst *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
	};
	struct {
		struct fuse_out_header h;
		struct fuse_init_out init;
	} out = { .h.len = sizeof(out) };
	const struct fuse_in_header *h;
	static char req[65536];
	char opts[100];

	in->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (in->fd < 0)
		return -errno;
	snprintf(in->path, sizeof(in->path), "%s/fuse", work_dir);
	mkdir(in->path, 0755);
	snprintf(opts, sizeof(opts),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", in->fd);
	if (mount("files", in->path, "fuse", 0, opts))
		return -errno;
	if (read(in->fd, req, sizeof(req)) <= 0)
		return -errno;
	h = (void *)req;
	out.h.unique = h->unique;
	out.init = init;
	if (write(in->fd, &out, sizeof(out)) != sizeof(out))
		return -errno;
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	if (in->flags & O_NONBLOCK)
		fcntl(in->fd, F_SETFL, O_RDWR | O_NONBLOCK);
	return 0;
}

/* A child calls stat(), which is not answered. It ends with the mount. */
static void fuse_feed(struct inst *in)
{
	struct stat st;
	pid_t pid = fork();

	if (!pid) {
		char path[220];

		snprintf(path, sizeof(path), "%s/x", in->path);
		_exit(stat(path, &st));
	}
	in->priv[0] = pid;
}

static void fuse_canon(struct cell *c, struct inst *in, const void *p, int res)
{
	const struct fuse_in_header *h = p;

	if (res >= (int)sizeof(*h))
		note(c, "opcode=%u uid=%u", h->opcode, h->uid);
}

static void fuse_close(struct inst *in)
{
	umount2(in->path, MNT_FORCE | MNT_DETACH);
	default_close(in);
	if (in->priv[0] > 0) {
		kill(in->priv[0], SIGKILL);
		waitpid(in->priv[0], NULL, 0);
	}
}

static const char *fuse_setup(struct kind *k)
{
	struct inst in = { .kind = k, .fd = -1, .peer = -1 };
	const char *why = need_module("fuse");
	int ret;

	if (*why)
		return why;
	ret = fuse_open(&in);
	fuse_close(&in);
	return ret ? reason("no mount of FUSE: %s", err_name(ret)) : "";
}

/* ----------------------------------------------------------------- network */

static int tun_open(struct inst *in)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int ret = node_open(in), s, up;

	if (ret)
		return ret;
	strcpy(ifr.ifr_name, "io2tun");
	if (ioctl(in->fd, TUNSETIFF, &ifr))
		return -errno;
	s = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* no IPv6, which would send something by itself */
	put_text("/proc/sys/net/ipv6/conf/io2tun/disable_ipv6", "1");
	up = ioctl(s, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	if (up || ioctl(s, SIOCSIFFLAGS, &ifr) || ioctl(s, SIOCGIFINDEX, &ifr))
		return -errno;
	in->peer = s;
	in->priv[0] = ifr.ifr_ifindex;
	return 0;
}

static void tun_feed(struct inst *in)
{
	static const char packet[] = { 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0,
				       0, 10, 0, 0, 1, 10, 0, 0, 2 };
	struct {
		unsigned short family, protocol;
		int ifindex;
		unsigned short hatype;
		unsigned char pkttype, halen, addr[8];
	} a = { .family = AF_PACKET, .protocol = 8 /* htons(ETH_P_IP) */,
		.ifindex = in->priv[0] };

	if (sendto(in->peer, packet, sizeof(packet), 0, (void *)&a,
		   sizeof(a)) != sizeof(packet))
		perror("feed");
}

/* A vhost device, which sends its requests for address translation by read() */
static int vhost_open(struct inst *in)
{
	int ret = node_open(in);
	__u64 features = 0;

	if (ret)
		return ret;
	if (ioctl(in->fd, VHOST_SET_OWNER, NULL) ||
	    ioctl(in->fd, VHOST_GET_FEATURES, &features))
		return -errno;
	return 0;
}

/* ----------------------------------------------------------------- clocks */

static int rtc_open(struct inst *in)
{
	int ret = node_open(in);

	if (ret)
		return ret;
	in->peer = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

/* Switch the interrupts on, 64 a second. They stop at the close. */
static void rtc_feed(struct inst *in)
{
	struct pollfd p = { .fd = in->peer, .events = POLLIN };

	ioctl(in->peer, RTC_IRQP_SET, 64);
	ioctl(in->peer, RTC_PIE_ON, 0);
	poll(&p, 1, 1000);
}

static void rtc_close(struct inst *in)
{
	ioctl(in->peer, RTC_PIE_OFF, 0);
	default_close(in);
}

static int watchdog_open(struct inst *in)
{
	return node_open(in);
}

/* Disarm the watchdog, so that it does not reset the machine */
static void watchdog_close(struct inst *in)
{
	if (in->fd >= 0 && write(in->fd, "V", 1) != 1)
		perror("watchdog");
	default_close(in);
}

/* ------------------------------------------------------------------- input */

static int uinput_open(struct inst *in)
{
	struct uinput_setup s = { .name = "io2files" };
	int ret = node_open(in);

	if (ret)
		return ret;
	if (ioctl(in->fd, UI_SET_EVBIT, EV_KEY) ||
	    ioctl(in->fd, UI_SET_KEYBIT, KEY_A) ||
	    ioctl(in->fd, UI_SET_EVBIT, EV_LED) ||
	    ioctl(in->fd, UI_SET_LEDBIT, LED_CAPSL) ||
	    ioctl(in->fd, UI_DEV_SETUP, &s) || ioctl(in->fd, UI_DEV_CREATE))
		return -errno;
	return 0;
}

static const struct node null = { "/dev/null" }, zero = { "/dev/zero" },
	full = { "/dev/full" }, random_node = { "/dev/random" },
	urandom = { "/dev/urandom" }, kmsg = { "/dev/kmsg", NULL, "<7>x\n" },
	hwrng = { "/dev/hwrng" }, mem = { "/dev/mem" },
	rtc = { "/dev/rtc0" }, vcs = { "/dev/vcs1" }, vcsa = { "/dev/vcsa1" },
	tty0 = { "/dev/tty0" }, console = { "/dev/console" },
	hpet = { "/dev/hpet" },
	cpuid = { "/dev/cpu/0/cpuid", "cpuid" },
	tun = { "/dev/net/tun", "tun" },
	vhost_net = { "/dev/vhost-net", "vhost_net" },
	vhost_vsock = { "/dev/vhost-vsock", "vhost_vsock" },
	uinput = { "/dev/uinput", "uinput" },
	watchdog = { "/dev/watchdog0", "softdog", "xxxxx" },
	loop_control = { "/dev/loop-control", "loop" },
	dm_control = { "/dev/mapper/control", "dm_mod" },
	latency = { "/dev/cpu_dma_latency" },
	ppp = { "/dev/ppp", "ppp_generic" },
	psaux = { "/dev/psaux" };

#define NODE	.setup = node_setup, .open = node_open

static struct kind kinds[] = {
	{ .name = "null", .can = K_READ | K_WRITE | K_SEEK | K_NONBLOCK |
	  K_CLASS, NODE, .arg = &null, .any = ANY_READ | ANY_WRITE },
	{ .name = "zero", .can = K_READ | K_WRITE | K_SEEK | K_NONBLOCK |
	  K_CLASS, NODE, .arg = &zero, .any = ANY_READ | ANY_WRITE },
	{ .name = "full", .can = K_READ | K_WRITE | K_SEEK | K_NONBLOCK |
	  K_CLASS, NODE, .arg = &full, .any = ANY_READ | ANY_WRITE },
	{ .name = "random", .can = K_READ | K_WRITE | K_NONBLOCK | K_SEEK |
	  K_VARIES | K_CLASS, NODE, .arg = &random_node,
	  .any = ANY_READ | ANY_WRITE | ANY_POLL },
	{ .name = "urandom", .can = K_READ | K_WRITE | K_NONBLOCK | K_SEEK |
	  K_VARIES | K_CLASS, NODE, .arg = &urandom,
	  .any = ANY_READ | ANY_WRITE },
	{ .name = "kmsg", .can = K_READ | K_FEED | K_POLL | K_NONBLOCK |
	  K_CLASS, .setup = kmsg_setup, .open = kmsg_open, .feed = kmsg_feed,
	  .canon = kmsg_canon, .arg = &kmsg, .any = ANY_READ | ANY_POLL },
	{ .name = "kmsg_write", .can = K_NEVER | K_CLASS, .setup = node_setup,
	  .open = kmsg_write_open, .arg = &kmsg },
	{ .name = "fuse_device", .can = K_READ | K_FEED | K_POLL | K_NONBLOCK |
	  K_CLASS, .setup = fuse_setup, .open = fuse_open, .feed = fuse_feed,
	  .canon = fuse_canon, .close = fuse_close, .datum = 65536 },
	{ .name = "tun", .can = K_READ | K_FEED | K_POLL | K_NONBLOCK | K_CLASS,
	  .setup = node_setup, .open = tun_open, .feed = tun_feed,
	  .arg = &tun },
	{ .name = "vhost_net", .can = K_NEVER,
	  .setup = node_setup, .open = vhost_open, .arg = &vhost_net },
	{ .name = "vhost_vsock", .can = K_NEVER,
	  .setup = node_setup, .open = vhost_open, .arg = &vhost_vsock },
	{ .name = "uinput", .can = K_WRITE | K_CLASS, .setup = node_setup,
	  .open = uinput_open, .datum = sizeof(struct input_event),
	  .arg = &uinput },
	{ .name = "rtc", .can = K_READ | K_FEED | K_POLL | K_NONBLOCK | K_VARIES,
	  .setup = node_setup, .open = rtc_open, .feed = rtc_feed,
	  .close = rtc_close, .datum = 8, .arg = &rtc },
	{ .name = "watchdog", .can = K_WRITE, .setup = node_setup,
	  .open = watchdog_open, .close = watchdog_close, .datum = 5,
	  .arg = &watchdog },
	{ .name = "hwrng", .can = K_READ | K_SEEK | K_VARIES, NODE, .arg = &hwrng },
	{ .name = "mem", .can = K_READ | K_SEEK | K_VARIES, NODE, .arg = &mem },
	{ .name = "cpuid", .can = K_READ | K_SEEK | K_VARIES, NODE, .datum = 16,
	  .arg = &cpuid },
	{ .name = "vcs", .can = K_READ | K_SEEK | K_VARIES, NODE, .datum = 20,
	  .arg = &vcs },
	{ .name = "vcsa", .can = K_READ | K_SEEK | K_VARIES, NODE, .datum = 20,
	  .arg = &vcsa },
	{ .name = "tty0", .can = K_WRITE, NODE, .datum = 4, .arg = &tty0 },
	{ .name = "console", .can = K_WRITE, NODE, .datum = 4,
	  .arg = &console },
	{ .name = "hpet", .can = K_READ | K_NONBLOCK, NODE, .arg = &hpet },
	{ .name = "loop_control", .can = K_READ | K_WRITE, NODE,
	  .arg = &loop_control },
	{ .name = "dm_control", .can = K_NEVER, NODE,
	  .arg = &dm_control },
	{ .name = "cpu_dma_latency", .can = K_READ | K_WRITE | K_SEEK, NODE,
	  .datum = 4, .arg = &latency },
	{ .name = "ppp", .can = K_READ | K_WRITE, NODE, .arg = &ppp },
	{ .name = "psaux", .can = K_WRITE, NODE, .datum = 1, .arg = &psaux },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
