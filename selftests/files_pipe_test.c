// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of files: pipes and terminals.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "kselftest.h"
#include "files.h"

/* ------------------------------------------------------------ pipes, FIFOs */

static int pipe_read_end(struct inst *in)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	in->fd = p[0];
	in->peer = p[1];
	return 0;
}

static int pipe_write_end(struct inst *in)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	in->fd = p[1];
	in->peer = p[0];
	fcntl(in->peer, F_SETFL, O_NONBLOCK);
	return 0;
}

/* O_DIRECT: a pipe in packet mode */
static int pipe_packets(struct inst *in)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_DIRECT))
		return -errno;
	in->fd = p[0];
	in->peer = p[1];
	return 0;
}

static int fifo_open(struct inst *in)
{
	snprintf(in->path, sizeof(in->path), "%s/fifo", work_dir);
	unlink(in->path);
	if (mkfifo(in->path, 0600))
		return -errno;
	in->fd = open(in->path, O_RDWR | O_CLOEXEC);
	in->peer = open(in->path, O_WRONLY | O_CLOEXEC);
	return in->fd < 0 || in->peer < 0 ? -errno : 0;
}

/* --------------------------------------------------------------- terminals */

static int pty(struct inst *in, bool master, bool raw)
{
	struct termios t;
	int m, s;

	if (openpty(&m, &s, NULL, NULL, NULL))
		return -errno;
	tcgetattr(s, &t);
	if (raw)
		cfmakeraw(&t);
	t.c_lflag &= ~ECHO;
	tcsetattr(s, TCSANOW, &t);
	in->fd = master ? m : s;
	in->peer = master ? s : m;
	fcntl(in->peer, F_SETFL, O_RDWR | O_NONBLOCK);
	return 0;
}

static int pty_slave(struct inst *in)
{
	return pty(in, false, false);
}

static int pty_slave_raw(struct inst *in)
{
	return pty(in, false, true);
}

static int pty_master(struct inst *in)
{
	return pty(in, true, true);
}

static void feed_line(struct inst *in)
{
	if (write(in->peer, "a line\n", 7) != 7)
		perror("feed");
}

/* Open the controlling terminal. Each way has a process of its own. */
static int ctty_open(struct inst *in)
{
	int ret = pty(in, false, false);

	if (ret)
		return ret;
	setsid();
	if (ioctl(in->fd, TIOCSCTTY, 1))
		return -errno;
	close(in->fd);
	in->fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	return in->fd < 0 ? -errno : 0;
}

static void ctty_close(struct inst *in)
{
	signal(SIGHUP, SIG_IGN);
	ioctl(in->fd, TIOCNOTTY);
	default_close(in);
}

#define STREAM	(K_READ | K_WRITE | K_FEED | K_POLL | K_NONBLOCK)
#define EVENTS	(K_READ | K_FEED | K_POLL | K_NONBLOCK)

static struct kind kinds[] = {
	{ .name = "pipe_read", .can = EVENTS | K_HUP | K_CLASS,
	  .open = pipe_read_end, .feed = feed_peer,
	  .any = ANY_READ | ANY_POLL },
	{ .name = "pipe_write", .can = K_WRITE | K_FULL | K_HUP | K_NONBLOCK |
	  K_CLASS, .open = pipe_write_end, .drain = drain_peer,
	  .any = ANY_WRITE },
	{ .name = "pipe_packets", .can = EVENTS, .open = pipe_packets,
	  .feed = feed_peer },
	{ .name = "fifo", .can = STREAM | K_CLASS, .open = fifo_open,
	  .feed = feed_peer, .any = ANY_READ | ANY_WRITE | ANY_POLL },
	{ .name = "pty_slave", .can = STREAM | K_CLASS, .open = pty_slave,
	  .feed = feed_line },
	{ .name = "pty_slave_raw", .can = STREAM | K_FULL,
	  .open = pty_slave_raw, .feed = feed_line, .drain = drain_peer },
	{ .name = "pty_master", .can = STREAM | K_CLASS, .open = pty_master,
	  .feed = feed_line },
	{ .name = "tty", .can = STREAM | K_CLASS, .open = ctty_open,
	  .feed = feed_line, .close = ctty_close },
};

int main(int argc, char **argv)
{
	const struct matrix m = {
		.kinds = kinds, .nr_kinds = ARRAY_SIZE(kinds),
		.columns = file_columns, .nr_columns = nr_file_columns,
	};

	return files_main(&m, argc, argv);
}
