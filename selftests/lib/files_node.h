/* SPDX-License-Identifier: GPL-2.0-only */
/* How the matrix of files opens block devices. */
#ifndef SELFTESTS_IOURING2_FILES_NODE_H
#define SELFTESTS_IOURING2_FILES_NODE_H

#include <fcntl.h>
#include <stdio.h>
#include "files_block.h"

#define DEVICE	(K_READ | K_WRITE | K_SEEK | K_DATA | K_DISK | K_FIXED | \
		 K_NONBLOCK)

static char node_path[60];

static inline const char *use_node(struct kind *k, const char *node, const char *why)
{
	if (!*node)
		return why;
	snprintf(node_path, sizeof(node_path), "%s", node);
	until_ms(!access(node_path, F_OK), 3000);
	return access(node_path, F_OK) ? reason("no node %s", node_path) : "";
}

static inline int node_open(struct inst *in)
{
	static char data[65536];
	int fd;

	snprintf(in->path, sizeof(in->path), "%s", node_path);
	fd = open(in->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fill_pattern(data, sizeof(data), 1);
	if (pwrite(fd, data, sizeof(data), 0) != sizeof(data) || fsync(fd))
		return -errno;
	close(fd);
	in->fd = open(in->path, O_RDWR | O_CLOEXEC | in->flags);
	return in->fd < 0 ? -errno : 0;
}

#endif
