#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Test loading and unloading. The module must not unload while an open device file,
# a ring, or a mapping of a ring exists, and must unload when they are gone. It must
# load with parameters and without, and again and again.
#
# environment: IOURING2_KO  the module's file (default: whatever modprobe finds)
#
# A module that was loaded before the test is loaded again at the end. If that is not
# possible, or if the module is in use, the test is skipped and changes nothing.
#
# The tests are called by their names:
# shellcheck disable=SC2317

PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH
export PATH LC_ALL=C

KSFT_PASS=0
KSFT_FAIL=1
KSFT_SKIP=4

dir=$(dirname "$0")
module=/sys/module/iouring2
node=/dev/iouring2
counters=/sys/class/misc/iouring2/counters
loops=5
[ "$IOURING2_STRESS" != full ] || loops=200

say() {
	echo "# $*"
}

skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit "$KSFT_SKIP"
}

loaded() {
	[ -d "$module" ]
}

refcnt() {
	cat "$module/refcnt"
}

# load [PARAMETER=VALUE...]: fails if it is loaded already
load() {
	if [ -n "$IOURING2_KO" ]; then
		insmod "$IOURING2_KO" "$@"
	else
		modprobe --first-time iouring2 "$@"
	fi
}

unload() {
	rmmod iouring2
}

# --- whether it may be done at all ------------------------------------------

# Print the file that load() takes, or nothing
module_file() {
	if [ -n "$IOURING2_KO" ]; then
		echo "$IOURING2_KO"
	else
		modinfo -F filename iouring2 2>/dev/null
	fi
}

# Is the file $1 the module that is loaded?
same_module() {
	[ ! -e "$module/srcversion" ] ||
		[ "$(modinfo -F srcversion "$1")" = "$(cat "$module/srcversion")" ]
}

[ "$(id -u)" = 0 ] || skip_all "run as root"
command -v rmmod >/dev/null || skip_all "no kmod"
[ ! -e /proc/sys/kernel/modules_disabled ] ||
	[ "$(cat /proc/sys/kernel/modules_disabled)" = 0 ] || skip_all "kernel.modules_disabled"
file=$(module_file)
[ -e "$file" ] || skip_all "the module could not be loaded again: set IOURING2_KO"
was_loaded=0
if loaded; then
	was_loaded=1
	same_module "$file" || skip_all "$file is not the loaded module"
	[ -e "$module/refcnt" ] || skip_all "the module cannot be unloaded: is it built in?"
	[ "$(refcnt)" = 0 ] || skip_all "the module is in use"
fi

# --- what is left behind -----------------------------------------------------

tmp=$(mktemp -d) || exit "$KSFT_FAIL"
holder=
params=

# Parameters that root may have changed
for p in inflight_default inflight_max workers_bounded workers_unbounded; do
	[ -e "$module/parameters/$p" ] || continue
	params="$params $p=$(cat "$module/parameters/$p")"
done

# Restore the state from before the test
restore() {
	if [ "$was_loaded" = 1 ]; then
		loaded || load || return
		for p in $params; do
			echo "${p#*=}" >"$module/parameters/${p%%=*}" || return
		done
	elif loaded; then
		unload
	fi
}

finish() {
	exec 8>&- 9>&-
	[ -z "$holder" ] || wait "$holder"
	restore
	rm -rf -- "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# --- parts of tests ------------------------------------------------------------

# Start a process that holds a ring; see main() in mmap_test.c. hold open|mapped
hold() {
	rm -f "$tmp/in" "$tmp/out"
	mkfifo "$tmp/in" "$tmp/out" || return
	"$dir/mmap" "--hold-$1" <"$tmp/in" >"$tmp/out" &
	holder=$!
	exec 8>"$tmp/in"
	read -r word <"$tmp/out"
	[ "$word" = ready ]
}

# Let the process check its ring and exit
let_go() {
	exec 8>&-
	wait "$holder"
	status=$?
	holder=
	[ "$status" = 0 ] || say "the process with the ring: status $status"
	return "$status"
}

refused() {
	said=$(unload 2>&1) && { say "the module was unloaded while in use"; return 1; }
	case $said in
	*"in use"*) ;;
	*) say "$said"; return 1 ;;
	esac
	loaded && [ -c "$node" ] && [ "$(refcnt)" -gt 0 ]
}

all_zero() {
	for c in "$counters"/*; do
		read -r value <"$c"
		[ "$value" = 0 ] || { say "$c: $value"; return 1; }
	done
	[ "$(refcnt)" = 0 ] || { say "refcnt: $(refcnt)"; return 1; }
}

# Check that a ring can be set up and used
works() {
	hold open && let_go && all_zero
}

# Compare parameters: expect NAME=VALUE...
expect() {
	for p in "$@"; do
		read -r value <"$module/parameters/${p%%=*}"
		[ "$value" = "${p#*=}" ] || { say "expected $p, but it is $value"; return 1; }
	done
}

fresh() {
	! loaded || unload || return
	load "$@"
}

# --- tests: 0 passed, 4 skipped, else failed -----------------------------------

test_load() {
	fresh && loaded && [ -c "$node" ] && all_zero
}

test_defaults() {
	if [ -z "$IOURING2_KO" ] && modprobe -c | grep -q '^options iouring2 '; then
		why="modprobe.d has options for it"
		return "$KSFT_SKIP"
	fi
	expect inflight_default=131072 inflight_max=1048576 \
		workers_bounded=0 workers_unbounded=256
}

test_information() {
	[ "$(modinfo -F license "$file")" = GPL ] &&
		[ -n "$(modinfo -F description "$file")" ] &&
		[ "$(modinfo -F version "$file")" = "$(cat "$module/version")" ] || return
	for p in inflight_default inflight_max workers_bounded workers_unbounded; do
		modinfo -F parm "$file" | grep -q "^$p:.*(uint)" ||
			{ say "parameter $p is not described"; return 1; }
	done
}

test_not_twice() {
	! load 2>/dev/null && loaded && works
}

test_device_open() {
	exec 9<>"$node" || return
	refused
	status=$?
	exec 9>&-
	[ "$status" = 0 ] && all_zero
}

test_ring_open() {
	hold open && [ "$(cat "$counters/rings")" = 1 ] && refused && refused
	status=$?
	let_go && [ "$status" = 0 ] && all_zero
}

test_ring_mapped() {
	hold mapped && [ "$(cat "$counters/rings")" = 1 ] && refused && refused
	status=$?
	let_go && [ "$status" = 0 ] && all_zero
}

test_unload() {
	works && unload && ! loaded && [ ! -e "$node" ] && [ ! -e "$counters" ]
}

# Load, use and unload the module repeatedly
test_again() {
	i=0
	while [ "$i" -lt "$loops" ]; do
		fresh && all_zero && test_unload || return
		i=$((i + 1))
	done
}

test_parameters() {
	set -- inflight_default=1000 inflight_max=5000 workers_bounded=3 workers_unbounded=7
	fresh "$@" && expect "$@" && works
}

test_bad_parameter() {
	! loaded || unload || return
	! load inflight_max=many 2>/dev/null && ! loaded && [ ! -e "$node" ] && fresh && works
}

# --- all of them ---------------------------------------------------------------

tests="load defaults information not_twice device_open ring_open ring_mapped unload again
	parameters bad_parameter"
helper=" not_twice ring_open ring_mapped unload again parameters bad_parameter "

run_test() {
	why=
	case $helper in
	*" $1 "*)
		if [ ! -x "$dir/mmap" ]; then
			why="there is no test program mmap"
			return "$KSFT_SKIP"
		fi
		;;
	esac
	# the test before this one may have unloaded the module
	[ "$1" = load ] || loaded || load || return
	"test_$1"
}

run_tests() {
	nr=0 failed=0
	# shellcheck disable=SC2086 # a list
	set -- $tests
	echo "TAP version 13"
	echo "1..$#"
	for t in "$@"; do
		nr=$((nr + 1))
		run_test "$t"
		case $? in
		"$KSFT_PASS") echo "ok $nr $t" ;;
		"$KSFT_SKIP") echo "ok $nr $t # SKIP $why" ;;
		*) echo "not ok $nr $t"; failed=$((failed + 1)) ;;
		esac
	done
}

run_tests
if ! restore; then
	say "the module could not be loaded again"
	failed=1
fi
[ "$failed" = 0 ] || exit "$KSFT_FAIL"
exit "$KSFT_PASS"
