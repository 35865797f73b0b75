/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IO2_FDINFO_H
#define IO2_FDINFO_H

struct file;
struct seq_file;

void io2_show_fdinfo(struct seq_file *m, struct file *file);

#endif
