#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions shared by the scripts in tools/vm. Source it, do not run it.
#
# What they look after:
#   messages      say, warn, die
#   the cache     cache_entry and friends; everything slow is made once
#   the mirror    where this machine gets Debian packages from
#   private apt   package lists of other Debian releases, apart from the host's
#   targets       the table tools/vm/kernels, resolved to package versions
#
# Environment:
#   IOURING2_CACHE    the cache (default: $XDG_CACHE_HOME/iouring2)
#   IOURING2_KERNELS  folder of prebuilt debug kernels, one sub-folder each with
#                     bzImage, config, headers.tar.zst and modules.tar.zst
#                     (default: shared/kernels/prebuilt beside the repository)
#   IOURING2_MIRROR, IOURING2_SECURITY_MIRROR
#                     Debian's archive and its security archive, for a machine
#                     whose own apt configuration has neither

# shellcheck disable=SC2016,SC2034 # apt's own $(...); variables used by others

set -euo pipefail

VM_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd -- "$VM_DIR/../.." && pwd)
# shellcheck source=tools/lib.sh
. "$VM_DIR/../lib.sh"
CACHE=${IOURING2_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/iouring2}
PREBUILT=${IOURING2_KERNELS:-$REPO/../shared/kernels/prebuilt}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# Where the newest kernel source is taken from: release, series.
SOURCE_FROM=(trixie '[7-9]\.')
# How long resolved package versions stay good before the mirror is asked again.
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

# Start the script again as root, keeping the caller's cache and settings.
need_root() {
	[ "$EUID" -ne 0 ] || return 0
	command -v sudo >/dev/null || die "needs root, and there is no sudo"
	mkdir -p "$CACHE"/{tmp,lock,log,apt}
	exec sudo -- env IOURING2_CACHE="$CACHE" IOURING2_KERNELS="$PREBUILT" \
		IOURING2_MIRROR="${IOURING2_MIRROR:-}" \
		IOURING2_SECURITY_MIRROR="${IOURING2_SECURITY_MIRROR:-}" \
		IOURING2_OWNER="$(id -u):$(id -g)" \
		"$0" "$@"
}

# Give files made as root back to the user who called us through need_root.
give_back() {
	[ -z "${IOURING2_OWNER:-}" ] || chown -R -- "$IOURING2_OWNER" "$@"
}

# --- cache ------------------------------------------------------------------

# hash_of STRING...: a short key for these inputs.
hash_of() {
	printf '%s\0' "$@" | sha256sum | cut -c1-12
}

hash_files() {
	cat -- "$@" | sha256sum | cut -c1-12
}

# with_lock NAME COMMAND...: one at a time over all processes.
with_lock() {
	local name=$1 fd status=0
	shift
	mkdir -p "$CACHE/lock"
	exec {fd}>>"$CACHE/lock/$name"
	flock "$fd"
	"$@" || status=$?
	exec {fd}>&-
	return "$status"
}

# Remove entries of the same name that nothing has used for three days, and what
# interrupted work has left.
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
	# In a shell of its own: "set -e" has no effect inside a condition.
	if ! bash -c '. "$0/lib.sh"; . "$0/rootfs.sh"; "$@"' "$VM_DIR" "$@" "$tmp" \
		>"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		rm -rf --one-file-system -- "$tmp"
		say "vm: ${dir##*/} could not be made, see $log"
		return 1
	fi
	touch "$tmp/.used"
	rm -rf --one-file-system -- "$dir"
	mv -T -- "$tmp" "$dir"
	cache_expire "$name" "$dir"
}

# cache_entry NAME KEY BUILDER ARG...: print the directory of a cache entry. If
# there is none yet, "BUILDER ARG... DIR" fills a new directory, which only gets
# its final name when it is complete.
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
	[ -n "$uri" ] || die "no Debian mirror in this machine's apt lists: run apt-get update, or set IOURING2_MIRROR"
	printf '%s\n' "${uri%/}"
}

# The security archive: as configured, else beside the main one.
mirror_security() {
	local uri=${IOURING2_SECURITY_MIRROR:-}
	[ -n "$uri" ] || uri=$(apt_uris Debian-Security)
	[ -n "$uri" ] || uri=$(mirror_main)-security
	printf '%s\n' "${uri%/}"
}

# sources_list RELEASE: all the suites in which a release may have kernels;
# "sources": those in which a source package is newest.
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
	# Backports of a release in long-term support are gone from the mirrors.
	if [ "$release" != bullseye ]; then
		echo "deb [signed-by=$KEYRING] $main $release-backports main"
	fi
}

# --- private apt ------------------------------------------------------------

# apt_private RELEASE COMMAND...: apt-get or apt-cache with that release's lists.
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

# The newest version of a meta package (or of the first of several) in a series.
# Prints "PACKAGE VERSION".
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

# Print "NAME KVER VERSION" for one packaged target.
resolve_target() {
	local name=$1 release=$2 series=$3 metas=$4 found meta version image
	found=$(newest_of "$release" "$series" "$metas")
	[ -n "$found" ] || { warn "no kernel $name in $release"; return 1; }
	meta=${found% *} version=${found#* }
	image=$(depends_of "$release" "$meta=$version" | grep -m 1 '^linux-image-[0-9]')
	printf '%s %s %s\n' "$name" "${image#linux-image-}" "$version"
}

# Print "source PACKAGE VERSION", the newest packaged kernel source.
resolve_source() {
	local release=${SOURCE_FROM[0]} found version package
	found=$(newest_of "$release" "${SOURCE_FROM[1]}" linux-source)
	[ -n "$found" ] || { warn "no kernel source in $release"; return 1; }
	version=${found#* }
	package=$(depends_of "$release" "linux-source=$version" | grep -m 1 '^linux-source-[0-9]')
	printf 'source %s %s\n' "$package" "$version"
}

# Print "source PACKAGE VERSION COMPILER VERSION", what debug kernels are made of.
resolve_debug_source() {
	local release=$1 series=$2 package=$3 found compiler version
	found=$(newest_of "$release" "$series" "$package")
	[ -n "$found" ] || { warn "no $package in $release"; return 1; }
	compiler=$(depends_of "$release" gcc | grep -m 1 '^gcc-[0-9]')
	version=$(apt_private "$release" apt-cache policy "$compiler" | sed -n 's/^ *Candidate: //p')
	printf 'source %s %s %s\n' "$found" "$compiler" "$version"
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
	[ -n "$version" ] || { warn "no source of $1"; return 1; }
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
	warn "cannot refresh the package lists of $release, using the kernels known"
}

# resolved RELEASE: print the file with the resolved targets of a release.
resolved() {
	local out=$CACHE/apt/$1.targets
	mkdir -p "$CACHE/apt"
	resolve_fresh "$out" || with_lock "apt-$1" resolve_if_stale "$1" "$out" >&2
	printf '%s\n' "$out"
}

# What was resolved may have left the mirror since: forget it, if it is not new.
forget_resolved() {
	[ -n "$(find "$CACHE/apt/$1.targets" -mmin +30 2>/dev/null)" ] &&
		rm -f -- "$CACHE/apt/$1.targets"
}

prebuilt_dir() {
	local dir found=
	for dir in "$PREBUILT"/*-"$1"; do
		[ -s "$dir/bzImage" ] && [ -s "$dir/headers.tar.zst" ] &&
			[ -s "$dir/modules.tar.zst" ] && found=$dir
	done
	[ -n "$found" ] && (cd -- "$found" && pwd)
}

# What a debug kernel is made of and by, but for comments.
debug_kernel_parts() {
	local name=$1 release=$2
	grep '^source ' "$(resolved "$release")"
	grep -hE '^(CONFIG_|# CONFIG_.* is not set)' \
		"$VM_DIR"/configs/{base,debug,kinds,"$name"}.config
	grep -hvE '^[[:space:]]*#' "$VM_DIR/debug-kernel-inside"
}

# debug_kernel_dir NAME: print the folder of our own build of a debug kernel. It
# is made if there is none, unless CACHE_ONLY is set.
debug_kernel_dir() {
	local name=$1 release package version
	read -r _ release _ < <(target_row "$name")
	read -r _ package version _ < <(grep '^source ' "$(resolved "$release")")
	cache_entry "debug-$name" "$(hash_of "$(debug_kernel_parts "$name" "$release")")" \
		debug_kernel_make "$name" "$release" "$package" "$version"
}

# ready_debug_kernel NAME: print the folder of a debug kernel, if there is one.
ready_debug_kernel() {
	prebuilt_dir "$1" || CACHE_ONLY=1 debug_kernel_dir "$1"
}

# target_skip NAME: print why a target cannot be had here, or fail if it can.
target_skip() {
	local kind
	read -r _ _ kind _ < <(target_row "$1")
	[ "$kind" = debug ] || return 1
	if ready_debug_kernel "$1" >/dev/null; then
		return 1
	fi
	echo "no prebuilt one, and none built yet (make debug-kernel)"
}

# target_load NAME: set T_NAME, T_RELEASE, T_KIND, T_KVER, T_VERSION, T_DIR.
target_load() {
	local row
	row=$(target_row "$1")
	[ -n "$row" ] || die "no kernel called $1; there are: $(target_names | tr '\n' ' ')"
	read -r T_NAME T_RELEASE T_KIND _ <<<"$row"
	T_DIR=
	if [ "$T_KIND" = debug ]; then
		T_DIR=$(ready_debug_kernel "$T_NAME") || die "$1: $(target_skip "$1")"
		T_KVER=$(tar --zstd -xOf "$T_DIR/headers.tar.zst" headers/include/config/kernel.release)
		T_VERSION=$(hash_files "$T_DIR"/{config,headers.tar.zst,modules.tar.zst})
		return
	fi
	row=$(awk -v n="$T_NAME" '$1 == n' "$(resolved "$T_RELEASE")")
	[ -n "$row" ] || die "kernel $T_NAME was not found in $T_RELEASE"
	read -r _ T_KVER T_VERSION _ <<<"$row"
}
