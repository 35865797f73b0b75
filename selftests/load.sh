#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading under use: a module that is in use stays, one that is
# not goes, completely, and comes back (I9: nothing of a closed ring keeps it).
# The module is left loaded as it was found.
#
# IOURING2_KO: file to insmod instead of modprobe; IOURING2_LOOPS: rounds.

ksft_skip=4
module=iouring2
node=/dev/iouring2
counters=/sys/class/misc/iouring2/counters
params=/sys/module/$module/parameters
nr=0
bad=0

skip()
{
	echo "1..0 # SKIP $*"
	exit $ksft_skip
}

# check DESCRIPTION STATUS
check()
{
	nr=$((nr + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1"
		bad=$((bad + 1))
	fi
}

loaded()
{
	[ -d /sys/module/$module ]
}

load()
{
	if [ -n "$IOURING2_KO" ]; then
		insmod "$IOURING2_KO" "$@"
	else
		modprobe $module "$@"
	fi
}

unload()
{
	rmmod $module 2> /dev/null
}

# Wait until COMMAND succeeds, ten seconds at most
until_ok()
{
	tries=100
	while ! "$@" > /dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

all_zero()
{
	for c in rings requests workers submitters pages files; do
		[ "$(cat $counters/$c)" = 0 ] || return 1
	done
}

[ "$(id -u)" = 0 ] || skip "needs root"
loaded || skip "module not loaded"
[ "$(cat /sys/module/$module/refcnt)" = 0 ] || skip "module in use by others"
if [ -z "$IOURING2_KO" ] && ! modprobe -n $module > /dev/null 2>&1; then
	skip "not installed: set IOURING2_KO"
fi

# Parameters that somebody has set are to be there again afterwards
saved=
for p in "$params"/inflight_default "$params"/inflight_max \
	 "$params"/workers_bounded "$params"/workers_unbounded; do
	saved="$saved ${p##*/}=$(cat "$p")"
done

echo TAP version 13

# In use by who has only opened the node
exec 3<> $node
unload
check "open node: cannot be unloaded" $((! $?))
loaded
check "open node: still loaded" $?
exec 3>&-
all_zero
check "closed node: nothing left" $?

# In use by a ring. A program of ours makes one and keeps it
dir=$(cd "$(dirname "$0")" && pwd)
if [ -x "$dir/load_hold" ]; then
	"$dir/load_hold" &
	pid=$!
	until_ok grep -qv '^0$' $counters/requests
	check "ring: there is one" $?
	unload
	check "ring: cannot be unloaded" $((! $?))
	kill -9 $pid
	wait $pid 2> /dev/null
	all_zero
	check "owner killed: nothing left" $?
fi

# Not in use: goes, with all that was visible of it, and comes back
rounds=${IOURING2_LOOPS:-5}
[ "$IOURING2_STRESS" = full ] && rounds=50
status=0
i=0
while [ $i -lt "$rounds" ]; do
	i=$((i + 1))
	unload || { echo "# round $i: not unloaded"; status=1; break; }
	loaded && { echo "# round $i: still there"; status=1; }
	[ -e $counters ] && { echo "# round $i: counters there"; status=1; }
	# shellcheck disable=SC2086 # several parameters
	load $saved || { echo "# round $i: not loaded"; status=1; break; }
	until_ok [ -c $node ] || { echo "# round $i: no node"; status=1; }
	all_zero || { echo "# round $i: counters not 0"; status=1; }
	# Use it, and let go of it
	if [ -x "$dir/load_hold" ]; then
		"$dir/load_hold" once ||
			{ echo "# round $i: no ring"; status=1; }
	fi
	all_zero || { echo "# round $i: something left"; status=1; }
done
check "unload and load $rounds times" $status

status=0
if loaded; then
	for p in $saved; do
		[ "$(cat "$params/${p%%=*}")" = "${p#*=}" ] || status=1
	done
fi
check "parameters as given" $status

# Left as it was found
if ! loaded; then
	# shellcheck disable=SC2086
	load $saved
fi
loaded
check "loaded as before" $?

echo "1..$nr"
[ $bad -eq 0 ]
