#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run test programs again, on rings with other set-up flags, and report each of their
# tests. modes.list says which programs and which flags.
#
# usage: modes.sh GROUP
#
#   GROUP   a word of the first column of modes.list

LC_ALL=C
export LC_ALL

KSFT_PASS=0
KSFT_FAIL=1

cd -- "$(dirname -- "$0")" || exit "$KSFT_FAIL"
out=$(mktemp) results=$(mktemp) || exit "$KSFT_FAIL"
trap 'rm -f "$out" "$results"' EXIT

# run FLAGS PROGRAM [TEST]...: run all tests of a program but those named
run() {
	flags=$1 program=$2
	shift 2
	without=
	for test; do
		without="$without -T $test"
	done
	# shellcheck disable=SC2086 # words
	IOURING2_SETUP_FLAGS=$flags "./$program" $without >"$out" 2>&1
	status=$?
	sed -n "s/^ok [0-9]* \(.*\)/ok $flags.$program.\1/p
		s/^not ok [0-9]* \(.*\)/not ok $flags.$program.\1/p" "$out" >>"$results"
	if [ "$status" != 0 ] && ! grep -q '^not ok' "$out"; then
		echo "not ok $flags.$program: exit status $status" >>"$results"
	fi
	[ "$status" = 0 ] || sed 's/^/# /' "$out"
}

echo "TAP version 13"
# the file is read in advance, as a program may read standard input
lines=$(sed 's/#.*//' modes.list)
while read -r group flags program without; do
	[ "$group" = "$1" ] || continue
	# shellcheck disable=SC2086 # words
	run "$flags" "$program" $without </dev/null
done <<EOF
$lines
EOF

echo "1..$(grep -c . "$results")"
awk '{ sub(/^not ok/, "not ok " NR) || sub(/^ok/, "ok " NR); print }' "$results"
if [ ! -s "$results" ] || grep -q '^not ok' "$results"; then
	exit "$KSFT_FAIL"
fi
exit "$KSFT_PASS"
