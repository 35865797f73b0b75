#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the guest: prepare the machine for bench, and run bench with the arguments of
# this script. For a profile (-w FILE), copy the kernel's symbols to /out/kallsyms.
sysctl -q kernel.io_uring_disabled=0 2>/dev/null
modprobe null_blk queue_mode=2 irqmode=0 gb=1 nr_devices=1 ||
	echo "bench: this kernel has no null_blk" >&2
mountpoint -q /tmp || mount -t tmpfs tmpfs /tmp || exit 1
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
insmod /in/iouring2.ko || exit 1
[ ! -e /in/ticks.ko ] || insmod /in/ticks.ko || exit 1
echo "# $(uname -r)"
[ "$1" != -w ] || cat /proc/kallsyms >/out/kallsyms
/in/bench "$@" /scratch || exit 1
rmmod iouring2
