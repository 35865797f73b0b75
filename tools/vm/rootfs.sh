#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Root file systems and kernels of the virtual machines, kept in the cache. Source this
# file after lib.sh. All functions need root.
#
#   root_tree RELEASE     a folder with the release installed, with its compiler and
#                         dkms, and the headers and modules of all its kernels
#   root_image RELEASE    the same as an ext4 image
#   kernel_dir NAME       vmlinuz and initramfs.cpio.gz of a kernel, and layer/, the
#                         overlay for the root tree. For a kernel that was built here it
#                         has modules.ext4, too
#   tools_tree RELEASE    a folder with the packages for building a kernel
#   debug_kernel_make     fills the cache entry of a debug kernel, or of the User Mode
#                         Linux kernel
#   clang_tree            a kernel build tree that was prepared with clang
#   kernel_source         scripts/ and kselftest's own files of the newest kernel

# Packages of a root tree beside Debian's minimal base and the kernels' headers.
ROOT_PACKAGES=(initramfs-tools kmod udev gcc g++ make libc6-dev gcc-multilib dkms liburing-dev
	procps util-linux iproute2 e2fsprogs libcap2-bin rsync)
# Programs that make and inspect the kinds of files that the tests read and write.
ROOT_PACKAGES+=(attr acl btrfs-progs cryptsetup-bin dmsetup dosfstools ecryptfs-utils f2fs-tools
	fuse3 keyutils mdadm nfs-common nfs-kernel-server quota rpcbind squashfs-tools
	thin-provisioning-tools xfsprogs)

# Packages for building a kernel, beside Debian's minimal base.
TOOL_PACKAGES=(gcc make libc6-dev flex bison bc perl python3 libelf-dev libssl-dev kmod cpio rsync
	xz-utils zstd lz4)
# The checkers of tier 0, from the release that has the newest kernel source.
READER_PACKAGES=(clang lld llvm coccinelle libpython3-dev reuse)

# Modules that the virtual machines cannot use. They are left out to keep images small.
PRUNED_MODULES=(sound drivers/gpu drivers/media drivers/staging drivers/iio
	drivers/infiniband drivers/net/wireless drivers/net/ethernet drivers/isdn
	drivers/hid drivers/input drivers/usb drivers/bluetooth drivers/comedi
	drivers/mtd drivers/scsi drivers/hwmon drivers/platform drivers/target
	net/bluetooth net/mac80211 net/wireless drivers/edac drivers/mfd
	drivers/power drivers/rtc drivers/leds drivers/watchdog drivers/w1
	drivers/accel drivers/message drivers/misc drivers/nfc drivers/net/can)
# Modules of these folders that stay, for devices that need no hardware: 1.3 MB uncompressed.
KEPT_MODULES=(scsi/scsi_common scsi/scsi_mod scsi/scsi_debug scsi/sd_mod scsi/sg watchdog/watchdog
	watchdog/softdog input/evdev input/misc/uinput)

# Modules that the initramfs loads to mount the root and the shares.
INITRAMFS_MODULES=(virtio_pci virtio_blk ext4 9p 9pnet_virtio)

# --- root trees -------------------------------------------------------------

# Print the packages with the headers and the image of each kernel of a release. The
# columns of the resolved targets are name, kernel release and version.
kernel_packages() {
	awk '$1 != "source" { print "linux-headers-" $2; print "linux-image-" $2 }' \
		"$(resolved "$1")"
}

root_key() {
	hash_of "$1" "${ROOT_PACKAGES[*]}" "${PRUNED_MODULES[*]}" "${KEPT_MODULES[*]}" \
		"$(grep -v '^source' "$(resolved "$1")")" "$(declare -f root_make)"
}

root_make() {
	local release=$1 dir=$2 packages part
	local -a options=()
	packages=$(printf '%s\n' "${ROOT_PACKAGES[@]}" "$(kernel_packages "$release")" |
		tr '\n' ',')
	for part in "${PRUNED_MODULES[@]}"; do
		options+=("--dpkgopt=path-exclude=*/lib/modules/*/kernel/$part/*")
	done
	# dpkg uses the last option that matches
	for part in "${KEPT_MODULES[@]}"; do
		options+=("--dpkgopt=path-include=*/lib/modules/*/kernel/drivers/$part.ko*")
	done
	for part in man locale doc; do
		options+=("--dpkgopt=path-exclude=/usr/share/$part/*")
	done
	# Kernels from the backports also need the linux-base of the backports.
	printf 'Package: linux-base\nPin: release n=%s-backports\nPin-Priority: 500\n' \
		"$release" >"$dir/preferences"
	# INITRD=No: the kernel packages make no initramfs. The one made here is smaller.
	INITRD=No mmdebstrap --quiet --variant=minbase --architectures=amd64 \
		--include="${packages%,}" "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--aptopt='Acquire::Retries "3"' \
		--dpkgopt=force-unsafe-io \
		--setup-hook="copy-in $dir/preferences /etc/apt" \
		"$release" "$dir/tree" - <"$CACHE/apt/$release/sources.list"
	printf 'iouring2-vm\n' >"$dir/tree/etc/hostname"
	printf '127.0.0.1 localhost iouring2-vm\n::1 localhost\n' >"$dir/tree/etc/hosts"
	mkdir -p "$dir/tree/in" "$dir/tree/out" "$dir/tree/src"
}

root_tree() {
	local dir
	dir=$(cache_entry "root-$1" "$(root_key "$1")" root_make "$1") || return 1
	printf '%s\n' "$dir/tree"
}

# --- root images ------------------------------------------------------------

image_make() {
	local tree=$1 dir=$2 mib
	mib=$(($(du -sm "$tree" | cut -f1) * 5 / 4 + 1024))
	mke2fs -q -t ext4 -L iouring2-root -m 0 -O ^has_journal -d "$tree" \
		"$dir/root.ext4" "${mib}M"
}

root_image() {
	local tree dir
	tree=$(root_tree "$1") || return 1
	dir=$(cache_entry "image-$1" "$(hash_of "$tree" "$(declare -f image_make)")" \
		image_make "$tree") || return 1
	printf '%s\n' "$dir/root.ext4"
}

# --- kernels ----------------------------------------------------------------

# initramfs_modules TREE KVER DIR: copy the modules that the initramfs loads, in loading
# order, as 00-name.ko, 01-name.ko, ... Built-in modules are left out.
initramfs_modules() {
	local tree=$1 kver=$2 dir=$3 n=0 path name
	while read -r path; do
		name=${path##*/}
		name=$(printf '%02d-%s.ko' "$n" "${name%%.ko*}")
		case $path in
		*.xz) xz -dc "$path" >"$dir/$name" ;;
		*.zst) zstd -qdc "$path" >"$dir/$name" ;;
		*) cp "$path" "$dir/$name" ;;
		esac
		n=$((n + 1))
	done < <(modprobe -d "$tree" -S "$kver" -C /dev/null -a --show-depends \
		"${INITRAMFS_MODULES[@]}" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
}

initramfs_make() {
	local dir=$1 modules=$2 out=$3
	mkdir -p "$dir"/{bin,dev,proc,sys,lib,root}
	cp /bin/busybox "$dir/bin/busybox"
	cp -r "$modules" "$dir/lib/modules"
	install -m 755 "$VM_DIR/guest/init" "$dir/init"
	install -m 755 "$VM_DIR/guest/main" "$dir/main"
	(cd "$dir" && find . | cpio -o -H newc --quiet -R 0:0) | gzip -1 >"$out"
}

kernel_make_deb() {
	local kver=$1 tree=$2 dir=$3
	mkdir -p "$dir/work/modules" "$dir/layer"
	cp -L "$tree/boot/vmlinuz-$kver" "$dir/vmlinuz"
	initramfs_modules "$tree" "$kver" "$dir/work/modules"
	initramfs_make "$dir/work/initramfs" "$dir/work/modules" "$dir/initramfs.cpio.gz"
	rm -rf "$dir/work"
}

# A debug kernel has no packages. Its layer has the build tree and the modules in the
# places of Debian's packages. The root image is that of all kernels of the release, so
# the guest mounts the modules of a debug kernel from an image of their own.
kernel_make_debug() {
	local kver=$1 from=$2 dir=$3 modules mib
	modules=$dir/layer/usr/lib/modules/$kver
	mkdir -p "$dir/work/modules" "$modules" "$dir/layer/usr/src"
	cp "$(debug_kernel_image "$from")" "$dir/vmlinuz"
	chmod u+w "$dir/vmlinuz"
	tar -C "$dir/layer/usr/src" --zstd -xf "$from/headers.tar.zst"
	mv "$dir/layer/usr/src/headers" "$dir/layer/usr/src/linux-headers-$kver"
	tar -C "$dir/layer/usr" --zstd -xf "$from/modules.tar.zst"
	rm -f "$modules/build" "$modules/source"
	ln -s "/usr/src/linux-headers-$kver" "$modules/build"
	depmod -b "$dir/layer/usr" "$kver"
	chown -R 0:0 "$dir/layer"
	mib=$(($(du -sm "$modules" | cut -f1) * 5 / 4 + 16))
	mke2fs -q -t ext4 -L iouring2-modules -m 0 -O ^has_journal -d "$modules" \
		"$dir/modules.ext4" "${mib}M"
	initramfs_make "$dir/work/initramfs" "$dir/work/modules" "$dir/initramfs.cpio.gz"
	rm -rf "$dir/work"
}

kernel_key() {
	hash_of "$T_VERSION" "$(hash_files "$VM_DIR/rootfs.sh" "$VM_DIR"/guest/{init,main})" "$@"
}

# kernel_dir NAME: print the folder of a kernel. It calls target_load, whose T_ variables
# are lost if it runs in a subshell.
kernel_dir() {
	local tree
	target_load "$1"
	if [ "$T_KIND" != deb ]; then
		cache_entry "kernel-$1" "$(kernel_key)" \
			kernel_make_debug "$T_KVER" "$T_DIR"
	else
		tree=$(root_tree "$T_RELEASE") || return 1
		cache_entry "kernel-$1" "$(kernel_key "$tree")" \
			kernel_make_deb "$T_KVER" "$tree"
	fi
}

# --- kernels built here -----------------------------------------------------

tools_packages() {
	printf '%s\n' "${TOOL_PACKAGES[@]}"
	[ "$1" != "${SOURCE_FROM[0]}" ] || printf '%s\n' "${READER_PACKAGES[@]}"
}

tools_make() {
	local release=$1 dir=$2 packages part
	local -a options=()
	packages=$(tools_packages "$release" | tr '\n' ',')
	for part in man locale doc; do
		options+=("--dpkgopt=path-exclude=/usr/share/$part/*")
	done
	mmdebstrap --quiet --variant=minbase --architectures=amd64 \
		--include="${packages%,}" "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--aptopt='Acquire::Retries "3"' \
		--dpkgopt=force-unsafe-io \
		"$release" "$dir/tree" - <"$CACHE/apt/$release/sources.list"
	mkdir -p "$dir/tree/src" "$dir/tree/build"
}

# The version of the compiler is part of the key, so that the tree has the newest one.
tools_tree() {
	local dir
	dir=$(cache_entry "tools-$1" "$(hash_of "$1" "$(tools_packages "$1")" \
		"$(compiler_in "$1")" "$(declare -f tools_make)")" tools_make "$1") || return 1
	printf '%s\n' "$dir/tree"
}

# source_tar RELEASE PACKAGE VERSION DIR: print the source of a kernel as a tarball.
source_tar() {
	local release=$1 package=$2 version=$3 dir=$4
	mkdir "$dir/deb"
	(cd "$dir/deb" && apt_private "$release" apt-get -q download "$package=$version" >&2)
	dpkg-deb --fsys-tarfile "$dir"/deb/*.deb | tar -xO "./usr/src/$package.tar.xz" |
		xz -dc -T0
	rm -rf "$dir/deb"
}

debug_kernel_make() {
	local name=$1 release=$2 package=$3 version=$4 dir=$5
	mkdir "$dir/src"
	source_tar "$release" "$package" "$version" "$dir" |
		tar -C "$dir/src" -x --strip-components=1 --exclude='*/Documentation/*/*'
	debug_kernel_fragments "$name" | xargs "$VM_DIR/chroot" "tools:$release" \
		--bind "$dir:/build" -- bash /src/tools/vm/debug-kernel-inside
	rm -rf "$dir/src"
	[ -s "$(debug_kernel_image "$dir")" ] && [ -s "$dir/config" ] && [ -s "$dir/headers.tar.zst" ] &&
		[ -s "$dir/modules.tar.zst" ]
}

# --- kernel source ----------------------------------------------------------

# Unpack only the part of the source that checks need: scripts/, and kselftest without
# its tests.
source_make() {
	local package=$1 version=$2 dir=$3 top=$1
	source_tar "${SOURCE_FROM[0]}" "$package" "$version" "$dir" |
		tar -C "$dir" -x --strip-components=1 --wildcards --no-wildcards-match-slash \
		"$top/scripts" "$top/Documentation/dev-tools/checkpatch.rst" \
		"$top/tools/testing/selftests/*.*" "$top/tools/testing/selftests/Makefile" \
		"$top/tools/testing/selftests/kselftest" "$top/tools/testing/selftests/kselftest_harness"
	[ -e "$dir/tools/testing/selftests/lib.mk" ]
}

kernel_source() {
	local package version
	read -r _ package version < <(grep '^source ' "$(resolved "${SOURCE_FROM[0]}")")
	cache_entry source "$(hash_of "$package" "$version" "$(declare -f source_make)")" \
		source_make "$package" "$version"
}

# --- a kernel made by clang -------------------------------------------------

# Prepare a build tree of the newest source with clang. It serves only to compile the
# module for clang's warnings; no kernel is built.
clang_make() {
	local package=$1 version=$2 dir=$3
	mkdir "$dir/src"
	source_tar "${SOURCE_FROM[0]}" "$package" "$version" "$dir" |
		tar -C "$dir/src" -x --strip-components=1 --exclude='*/Documentation/*/*'
	cat "$VM_DIR"/configs/{base,debug}.config >"$dir/src/all.config"
	# shellcheck disable=SC2016 # expanded inside, and by make
	"$VM_DIR/chroot" tools:source --bind "$dir:/build" -- sh -ec '
		cd /build/src
		make -s LLVM=1 KCONFIG_ALLCONFIG=all.config allnoconfig
		make -s LLVM=1 -j"$(nproc)" modules_prepare
		: >Module.symvers
		make -s LLVM=1 run-command \
			KBUILD_RUN_COMMAND='"'"'$(srctree)/scripts/package/install-extmod-build /build/headers'"'"'
	'
	rm -rf "$dir/src"
	grep -qx CONFIG_CC_IS_CLANG=y "$dir/headers/include/config/auto.conf"
}

clang_tree() {
	local package version dir
	read -r _ package version < <(grep '^source ' "$(resolved "${SOURCE_FROM[0]}")")
	dir=$(cache_entry clang "$(hash_of "$package" "$version" "$(declare -f clang_make)" \
		"$(hash_files "$VM_DIR"/configs/{base,debug}.config)")" \
		clang_make "$package" "$version") || return 1
	printf '%s\n' "$dir/headers"
}
