#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions shared by the scripts in tools/vm. Source this file, do not run it.
#
#   messages      say, warn, die
#   the cache     cache_entry and its helpers; slow results are made once and kept
#   the mirror    the addresses from which this machine gets Debian packages
#   private apt   package lists of other Debian releases, separate from the host's
#   targets       the table tools/vm/kernels, resolved to package versions
#
# Environment:
#   IOURING2_CACHE    folder of the cache (default: $XDG_CACHE_HOME/iouring2)
#   IOURING2_KERNELS  folder of prebuilt debug kernels, with a folder for each that has
#                     bzImage, config, headers.tar.zst and modules.tar.zst
#                     (default: shared/kernels/prebuilt beside the repository)
#   IOURING2_MIRROR, IOURING2_SECURITY_MIRROR
#                     addresses of Debian's archive and security archive, for a machine
#                     whose apt configuration has neither

# shellcheck disable=SC2016,SC2034 # apt's own $(...); variables used by others

set -euo pipefail

VM_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd -- "$VM_DIR/../.." && pwd)
# shellcheck source=tools/lib.sh
. "$VM_DIR/../lib.sh"
CACHE=${IOURING2_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/iouring2}
PREBUILT=${IOURING2_KERNELS:-$REPO/../shared/kernels/prebuilt}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# The release and the series of the newest kernel source.
SOURCE_FROM=(trixie '[7-9]\.')
# Minutes for which resolved package versions are used before apt's lists are updated.
RESOLVE_MINUTES=1440

say() {
	printf '%s\n' "$*" >&2
}

warn() {
	say "${0##*/}: warning: $*"
}

die() {
	say "${0##*/}: $*"
	exit "${DIE_STATUS:-1}"
}

# --- root -------------------------------------------------------------------

# Start the script again as root, with the caller's cache and settings.
need_root() {
	[ "$EUID" -ne 0 ] || return 0
	command -v sudo >/dev/null || die "this needs root, and there is no sudo"
	mkdir -p "$CACHE"/{tmp,lock,log,apt}
	exec sudo -- env IOURING2_CACHE="$CACHE" IOURING2_KERNELS="$PREBUILT" \
		IOURING2_MIRROR="${IOURING2_MIRROR:-}" \
		IOURING2_SECURITY_MIRROR="${IOURING2_SECURITY_MIRROR:-}" \
		IOURING2_OWNER="$(id -u):$(id -g)" \
		"$0" "$@"
}

# Give files that were made as root to the user who started the script.
give_back() {
	[ -z "${IOURING2_OWNER:-}" ] || chown -R -- "$IOURING2_OWNER" "$@"
}

# --- cache ------------------------------------------------------------------

# hash_of STRING...: print a short key of these strings.
hash_of() {
	printf '%s\0' "$@" | sha256sum | cut -c1-12
}

hash_files() {
	cat -- "$@" | sha256sum | cut -c1-12
}

# with_lock NAME COMMAND...: run the command while no other process holds this lock.
with_lock() {
	local name=$1 fd status=0
	shift
	mkdir -p "$CACHE/lock"
	exec {fd}>>"$CACHE/lock/$name"
	flock --nonblock "$fd" || {
		say "vm: waiting for another process that makes $name"
		flock "$fd"
	}
	"$@" || status=$?
	exec {fd}>&-
	return "$status"
}

# Remove entries of the same name that were not used for three days, and temporary
# folders of interrupted runs.
cache_expire() {
	local name=$1 keep=$2 dir
	for dir in "$CACHE/$name"+*; do
		if [ "$dir" != "$keep" ] && [ -n "$(find "$dir/.used" -mtime +3 2>/dev/null)" ]; then
			rm -rf --one-file-system -- "$dir"
		fi
	done
	find "$CACHE/tmp" -mindepth 1 -maxdepth 1 -mtime +1 \
		-exec rm -rf --one-file-system -- {} +
}

cache_make() {
	local name=$1 dir=$2 tmp log
	shift 2
	[ ! -e "$dir/.used" ] || return 0
	tmp=$CACHE/tmp/${dir##*/}.$$
	log=$CACHE/log/${dir##*/}.log
	rm -rf --one-file-system -- "$tmp"
	mkdir -p "$tmp" "$CACHE/log"
	say "vm: making ${dir##*/} (log: $log)"
	# A separate shell, because "set -e" has no effect inside a condition.
	if ! bash -c '. "$0/lib.sh"; . "$0/rootfs.sh"; "$@"' "$VM_DIR" "$@" "$tmp" \
		>"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		rm -rf --one-file-system -- "$tmp"
		say "vm: making ${dir##*/} failed, see $log"
		return 1
	fi
	touch "$tmp/.used"
	rm -rf --one-file-system -- "$dir"
	mv -T -- "$tmp" "$dir"
	cache_expire "$name" "$dir"
}

# cache_entry NAME KEY BUILDER ARG...: print the folder of a cache entry. If it does
# not exist, "BUILDER ARG... DIR" fills a new folder, which gets its final name when
# it is complete.
cache_entry() {
	local name=$1 key=$2 dir=$CACHE/$1+$2
	shift 2
	if [ ! -e "$dir/.used" ]; then
		[ -z "${CACHE_ONLY:-}" ] || return 1
		with_lock "${dir##*/}" cache_make "$name" "$dir" "$@" || return 1
	fi
	touch "$dir/.used" 2>/dev/null || true
	printf '%s\n' "$dir"
}

# --- mirror -----------------------------------------------------------------

apt_uris() {
	local label=$1
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' |
		awk -F'|' -v l="$label" '$1 == "Debian" && $2 == l && $3 == "main" { print $4; exit }'
}

mirror_main() {
	local uri=${IOURING2_MIRROR:-}
	[ -n "$uri" ] || uri=$(apt_uris Debian)
	[ -n "$uri" ] || die "this machine's apt lists have no Debian mirror: run apt-get update, or set IOURING2_MIRROR"
	printf '%s\n' "${uri%/}"
}

# Print the security archive: the configured one, or the one beside the main archive.
mirror_security() {
	local uri=${IOURING2_SECURITY_MIRROR:-}
	[ -n "$uri" ] || uri=$(apt_uris Debian-Security)
	[ -n "$uri" ] || uri=$(mirror_main)-security
	printf '%s\n' "${uri%/}"
}

# sources_list RELEASE: print the suites that may have kernels of a release. For the
# name "sources", print the suites that have the newest source packages.
sources_list() {
	local release=$1 main security
	main=$(mirror_main)
	if [ "$release" = sources ]; then
		echo "deb-src [signed-by=$KEYRING] $main sid main"
		echo "deb-src [signed-by=$KEYRING] $main experimental main"
		return
	fi
	security=$(mirror_security)
	echo "deb [signed-by=$KEYRING] $main $release main"
	echo "deb [signed-by=$KEYRING] $main $release-updates main"
	echo "deb [signed-by=$KEYRING] $security $release-security main"
	# The mirrors have no backports for a release in long-term support.
	if [ "$release" != bullseye ]; then
		echo "deb [signed-by=$KEYRING] $main $release-backports main"
	fi
}

# --- private apt ------------------------------------------------------------

# apt_private RELEASE COMMAND...: run apt-get or apt-cache with the lists of a release.
apt_private() {
	local dir=$CACHE/apt/$1
	shift
	APT_CONFIG=$dir/apt.conf "$@"
}

apt_private_setup() {
	local release=$1 dir=$CACHE/apt/$1
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	sources_list "$release" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-END
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$dir/state";
		Dir::State::Status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
	END
}

apt_private_update() {
	apt_private_setup "$1"
	apt_private "$1" apt-get -qq update
}

# --- targets ----------------------------------------------------------------

target_names() {
	"$VM_DIR/targets" --column name
}

target_row() {
	"$VM_DIR/targets" "$1" || true
}

# unknown_kernel NAME: exit, because no target has this name.
unknown_kernel() {
	wrong_usage "unknown kernel \"$1\", known are: $(target_names | paste -sd ' ')"
}

# newest_of RELEASE SERIES PACKAGE[,PACKAGE]...: print "PACKAGE VERSION", the newest
# version in the series of one of these packages.
newest_of() {
	local release=$1 series=$2 metas=$3
	# shellcheck disable=SC2086 # a list of names
	apt_private "$release" apt-cache madison ${metas//,/ } |
		awk -F'[ |]+' -v s="^$series" '{ sub(/^ */, "") } $2 ~ s { print $2, $1 }' |
		sort -V | tail -n 1 | awk '{ print $2, $1 }'
}

depends_of() {
	apt_private "$1" apt-cache show "$2" | sed -n 's/^Depends: //p' | tr ',' '\n' |
		sed 's/^ *//; s/ .*//'
}

# Print "NAME KVER VERSION" of one packaged target.
resolve_target() {
	local name=$1 release=$2 series=$3 metas=$4 found meta version image
	found=$(newest_of "$release" "$series" "$metas")
	[ -n "$found" ] || { warn "$release has no kernel for the target $name"; return 1; }
	meta=${found% *} version=${found#* }
	image=$(depends_of "$release" "$meta=$version" | grep -m 1 '^linux-image-[0-9]')
	printf '%s %s %s\n' "$name" "${image#linux-image-}" "$version"
}

# compiler_of RELEASE: print "COMPILER VERSION".
compiler_of() {
	local compiler version
	compiler=$(depends_of "$1" gcc | grep -m 1 '^gcc-[0-9]')
	version=$(apt_private "$1" apt-cache policy "$compiler" | sed -n 's/^ *Candidate: //p')
	printf '%s %s\n' "$compiler" "$version"
}

# Print "source PACKAGE VERSION" of the newest packaged kernel source.
resolve_source() {
	local release=${SOURCE_FROM[0]} found version package
	found=$(newest_of "$release" "${SOURCE_FROM[1]}" linux-source)
	[ -n "$found" ] || { warn "$release has no kernel source"; return 1; }
	version=${found#* }
	package=$(depends_of "$release" "linux-source=$version" | grep -m 1 '^linux-source-[0-9]')
	printf 'source %s %s\n' "$package" "$version"
}

# Print "source PACKAGE VERSION COMPILER VERSION" of the debug kernels.
resolve_debug_source() {
	local release=$1 series=$2 package=$3 found
	found=$(newest_of "$release" "$series" "$package")
	[ -n "$found" ] || { warn "$release has no package $package"; return 1; }
	printf 'source %s %s\n' "$found" "$(compiler_of "$release")"
}

# compiler_in RELEASE: print "COMPILER VERSION" of the tree in which kernels are built.
compiler_in() {
	local found
	found=$(sed -n 's/^source [^ ]* [^ ]* *//p' "$(resolved "$1")")
	printf '%s\n' "${found:-$(compiler_of "$1")}"
}

# has_debug_kernels RELEASE
has_debug_kernels() {
	"$VM_DIR/targets" --release "$1" --kind debug >/dev/null
}

# Print "PACKAGE VERSION" of the newest source package of that name.
resolve_newest() {
	local version
	version=$(apt_private sources apt-cache showsrc "$1" | sed -n 's/^Version: //p' |
		sort -V | tail -n 1)
	[ -n "$version" ] || { warn "Debian has no source package $1"; return 1; }
	printf '%s %s\n' "$1" "$version"
}

resolve_release() {
	local release=$1 out=$2 name kind series metas sourced=
	apt_private_update "$release" || return 1
	: >"$out.new"
	if [ "$release" = sources ]; then
		resolve_newest liburing >>"$out.new" || return 1
	fi
	while read -r name _ kind series metas; do
		case $kind in
		deb) resolve_target "$name" "$release" "$series" "$metas" || return 1 ;;
		debug)
			[ -z "$sourced" ] || continue
			resolve_debug_source "$release" "$series" "$metas" || return 1
			sourced=1
			;;
		esac
	done < <("$VM_DIR/targets" --release "$release") >>"$out.new"
	if [ "$release" = "${SOURCE_FROM[0]}" ]; then
		resolve_source >>"$out.new" || return 1
	fi
	mv -- "$out.new" "$out"
}

resolve_fresh() {
	[ -s "$1" ] && [ -z "$(find "$1" -mmin "+$RESOLVE_MINUTES")" ] &&
		[ ! "$VM_DIR/kernels" -nt "$1" ] &&
		{ grep -q '^source ' "$1" || ! has_debug_kernels "$(basename "$1" .targets)"; }
}

resolve_if_stale() {
	local release=$1 out=$2
	resolve_fresh "$out" && return 0
	say "vm: looking for packages of $release"
	resolve_release "$release" "$out" && return 0
	[ -s "$out" ] || die "cannot find the kernels of $release"
	warn "cannot update the package lists of $release; the versions found before are used"
}

# resolved RELEASE: print the file with the resolved targets of a release.
resolved() {
	local out=$CACHE/apt/$1.targets
	mkdir -p "$CACHE/apt"
	resolve_fresh "$out" || with_lock "apt-$1" resolve_if_stale "$1" "$out" >&2
	printf '%s\n' "$out"
}

# The mirror may have removed these versions since. Forget them if they are older than
# 30 minutes, and fail if they are not.
forget_resolved() {
	[ -n "$(find "$CACHE/apt/$1.targets" -mmin +30 2>/dev/null)" ] &&
		rm -f -- "$CACHE/apt/$1.targets"
}

# debug_kernel_image DIR: print the path of the kernel that was built in this folder.
debug_kernel_image() {
	find "$1/" -maxdepth 1 \( -name bzImage -o -name linux \) 2>/dev/null
}

prebuilt_dir() {
	local dir found=
	for dir in "$PREBUILT"/*-"$1"; do
		[ -s "$(debug_kernel_image "$dir")" ] && [ -s "$dir/headers.tar.zst" ] &&
			[ -s "$dir/modules.tar.zst" ] && found=$dir
	done
	[ -n "$found" ] && (cd -- "$found" && pwd)
}

# debug_kernel_fragments NAME: print the names of the files in configs/.
debug_kernel_fragments() {
	[ "$1" = uml ] || printf '%s.config\n' base debug kinds
	printf '%s.config\n' "$1"
}

# Print all that the build of a debug kernel depends on, without comments.
debug_kernel_parts() {
	local name=$1 release=$2
	grep '^source ' "$(resolved "$release")"
	compiler_in "$release"
	(cd "$VM_DIR/configs" && debug_kernel_fragments "$name" |
		xargs grep -hE '^(CONFIG_|# CONFIG_.* is not set)')
	grep -hvE '^[[:space:]]*#' "$VM_DIR/debug-kernel-inside"
}

# debug_kernel_dir NAME: print the folder of a debug kernel (or of the User Mode Linux
# kernel) that was built here. Build it if it does not exist, unless CACHE_ONLY is set.
debug_kernel_dir() {
	local name=$1 release package version
	read -r _ release _ < <(target_row "$name")
	read -r _ package version _ < <(grep '^source ' "$(resolved "$release")")
	cache_entry "debug-$name" "$(hash_of "$(debug_kernel_parts "$name" "$release")")" \
		debug_kernel_make "$name" "$release" "$package" "$version"
}

# ready_debug_kernel NAME: print the folder of a debug kernel; fail if there is none.
ready_debug_kernel() {
	prebuilt_dir "$1" || CACHE_ONLY=1 debug_kernel_dir "$1"
}

# target_skip NAME: print why a target is not available here; fail if it is.
target_skip() {
	local kind
	read -r _ _ kind _ < <(target_row "$1")
	[ "$kind" != deb ] || return 1
	if ready_debug_kernel "$1" >/dev/null; then
		return 1
	fi
	echo "there is no prebuilt kernel, and none was built yet (tools/vm/debug-kernel $1)"
}

# target_load NAME: set T_NAME, T_RELEASE, T_KIND, T_KVER, T_VERSION, T_DIR.
target_load() {
	local row
	row=$(target_row "$1")
	[ -n "$row" ] || unknown_kernel "$1"
	read -r T_NAME T_RELEASE T_KIND _ <<<"$row"
	T_DIR=
	if [ "$T_KIND" != deb ]; then
		T_DIR=$(ready_debug_kernel "$T_NAME") || die "$1: $(target_skip "$1")"
		T_KVER=$(tar --zstd -xOf "$T_DIR/headers.tar.zst" headers/include/config/kernel.release)
		T_VERSION=$(hash_files "$T_DIR"/{config,headers.tar.zst,modules.tar.zst})
		return
	fi
	row=$(awk -v n="$T_NAME" '$1 == n' "$(resolved "$T_RELEASE")")
	[ -n "$row" ] || die "$T_RELEASE has no kernel for the target $T_NAME"
	read -r _ T_KVER T_VERSION _ <<<"$row"
}
