#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions of bench/run, bench/check and bench/profile, which source this file at the
# top of the tree: build the program and the module, and run the guest.

# Seconds for a machine.
LIMIT=2400

# more flags for the compiler
bench_flags=()

bench_build() {
	mkdir -p build/bench/in
	"${CC:-cc}" -static -O2 -g -Wall -Iuapi -pthread "${bench_flags[@]}" -o build/bench/in/bench \
		bench/{bench,ops,special,threads,cycles,ring}.c &&
		cp bench/guest.sh build/bench/in/
}

# bench_module KERNEL DIR [FOLDER]: fill DIR/in with the files that the guest needs, with
# the module in FOLDER, too
bench_module() {
	mkdir -p "$2/in" "$2/out"
	cp build/bench/in/* "$2/in/"
	{
		tools/vm/kbuild "$1" --out "$2/module" &&
			{ [ -z "${3:-}" ] || tools/vm/kbuild "$1" --from "$3" --out "$2/${3##*/}"; }
	} >"$2/build.log" 2>&1 || {
		tail -n 20 "$2/build.log" >&2
		return 1
	}
	cp "$2/module/iouring2.ko" ${3:+"$2/${3##*/}/${3##*/}.ko"} "$2/in/"
}

# bench_guest KERNEL DIR OPTION... -- ARGUMENT...: run the guest, with options of
# tools/vm/run and arguments of bench/guest.sh
bench_guest() {
	local name=$1 dir=$2 options=()
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	tools/vm/run --kernel "$name" --mem 2048 --scratch 64 --timeout "$LIMIT" \
		--in "$dir/in" --out "$dir/out" "${options[@]}" -- sh /in/guest.sh "$@"
}

bench_sort() {
	LC_ALL=C sort -t $'\t' -k1,1 -k2,2n
}

# bench_table ROWS: print the rows of a guest, sorted and with ratios
bench_table() {
	printf 'operation\tbatch\tin-tree\tiouring2\tratio\tunit\tremark\n'
	awk -F'\t' 'NF == 6 {
		ratio = $3 + 0 == 0 || $4 == "-" ? "-" : sprintf("%.3f", $4 / $3)
		print $1 "\t" $2 "\t" $3 "\t" $4 "\t" ratio "\t" $5 "\t" $6
	}' "$1" | bench_sort
}
