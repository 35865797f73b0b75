#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kvm_works KERNEL_DIR: does a guest really start under KVM on this machine? The
# device may be there, and even run a boot sector, and yet hang in a kernel. So
# the kernel itself is started, up to its first program, once a boot of the
# host; the verdict is kept in the cache. Source it after lib.sh.

# KVM_CPU: a processor model that KVM takes here.
KVM_CPU=host

kvm_try() {
	local kernel=$1 dir status=1
	dir=$(mktemp -d)
	(timeout -k 1 15 qemu-system-x86_64 -nodefaults -no-user-config -display none \
		-no-reboot -accel kvm -cpu "$KVM_CPU" -m 512 \
		-kernel "$kernel/vmlinuz" -initrd "$kernel/initramfs.cpio.gz" \
		-append "console=ttyS0 quiet reboot=t panic=-1 iouring2.probe" \
		-serial "file:$dir/log" </dev/null || true) >/dev/null 2>&1
	if grep -q 'iouring2-vm: alive' "$dir/log" 2>/dev/null; then
		status=0
	fi
	rm -rf -- "$dir"
	return "$status"
}

kvm_judge() {
	local kernel=$1 verdict=$2
	[ ! -s "$verdict" ] || return 0
	rm -f -- "$CACHE"/kvm-*-"$(id -u)"
	if kvm_try "$kernel"; then
		echo yes >"$verdict"
	else
		echo no >"$verdict"
	fi
}

kvm_works() {
	local verdict
	[ -w /dev/kvm ] || return 1
	verdict=$CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)-$(id -u)
	[ -s "$verdict" ] || with_lock "kvm-$(id -u)" kvm_judge "$1" "$verdict"
	[ "$(cat "$verdict")" = yes ]
}
