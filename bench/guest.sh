#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: what bench needs, then bench with this script's arguments. For a
# profile (-w FILE) also where the kernel's symbols are, in /out/kallsyms.
sysctl -q kernel.io_uring_disabled=0 2>/dev/null
modprobe null_blk queue_mode=2 irqmode=0 gb=1 nr_devices=1 ||
	echo "no null_blk" >&2
mountpoint -q /tmp || mount -t tmpfs tmpfs /tmp || exit 1
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
insmod /in/iouring2.ko || exit 1
echo "# $(uname -r)"
[ "$1" != -w ] || cat /proc/kallsyms >/out/kallsyms
/in/bench "$@" /scratch || exit 1
rmmod iouring2
