#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the KUnit tests of the module, iouring2_kunit, and report each of them. The
# module is part of a debug build for a kernel that has KUnit.

PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH
export PATH LC_ALL=C

KSFT_PASS=0
KSFT_FAIL=1
KSFT_SKIP=4

begin="iouring2: KUnit tests, run by process $$"

skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit "$KSFT_SKIP"
}

# Print the kernel's log since the tests began, without timestamps
log() {
	dmesg -t | awk -v begin="$begin" 'found { print } index($0, begin) { found = 1 }'
}

# A test of a suite is indented by four spaces, a case of its table by eight
tests() {
	log | awk '
		/^    # Subtest: / { suite = $3 }
		/^    (not )?ok [0-9]+ / {
			sub(/^    /, "")
			result = $1 == "ok" ? "ok" : "not ok"
			name = $1 == "ok" ? $3 : $4
			print result, ++nr, suite "." name
		}'
}

[ "$(id -u)" = 0 ] || skip_all "only root loads modules"
modprobe -n iouring2_kunit 2>/dev/null ||
	skip_all "no module iouring2_kunit: it is part of a debug build for a kernel with KUnit"
modprobe kunit enable=1 2>/dev/null || skip_all "KUnit cannot be loaded"
echo "$begin" >/dev/kmsg || skip_all "the kernel's log cannot be written to"
if ! modprobe iouring2_kunit; then
	echo "TAP version 13"
	echo "1..1"
	echo "not ok 1 modprobe iouring2_kunit"
	exit "$KSFT_FAIL"
fi
rmmod iouring2_kunit

results=$(tests)
echo "TAP version 13"
echo "1..$(printf '%s\n' "$results" | grep -c .)"
printf '%s\n' "$results"
if [ -z "$results" ] || printf '%s\n' "$results" | grep -q '^not ok'; then
	# the log names the expectation that failed
	log | sed 's/^/# /'
	exit "$KSFT_FAIL"
fi
exit "$KSFT_PASS"
