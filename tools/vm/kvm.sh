#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kvm_works KERNEL_DIR: succeed if a guest starts under KVM on this machine. A
# kernel may hang even if the device exists and can run a boot sector. So the test
# boots the kernel up to its first program. It does so once after each boot of the
# host, and keeps the result in the cache. Source this file after lib.sh.

# KVM_CPU: the processor model for guests under KVM.
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
