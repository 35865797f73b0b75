/* SPDX-License-Identifier: GPL-2.0-only */
/* How the matrix of files makes the file systems on a disk. */
#ifndef SELFTESTS_IOURING2_FILES_DISK_H
#define SELFTESTS_IOURING2_FILES_DISK_H

#include "files_fs.h"

static const char *disk_node;

static inline const char *disk_setup(struct kind *k)
{
	const struct make *m = k->arg;
	const char *why = no_type(m->type);

	if (*why)
		return why;
	if (!have_tool(m->tool))
		return reason("missing tool: %s", m->tool);
	disk_node = loop_new("image", m->mib * MIB);
	if (!*disk_node)
		return "missing module: loop";
	if (run("%s %s", m->command, disk_node))
		return reason("%s failed", m->command);
	return mount_at(k, disk_node, m->type, m->options);
}

#endif
