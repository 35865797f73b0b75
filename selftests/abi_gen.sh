#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Write the table that abi_test.c compares: every constant, struct and field that
# linux/iouring2.h and io_uring's header have in common, found by parsing both. If
# this machine has several io_uring headers, the one with most in common is used.
#
# Environment: CC, CPPFLAGS (where linux/iouring2.h is).

set -e
: "${CC:=cc}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What a header declares: "C constant", "S struct", "F struct field", and
# "A struct field" for a field that is an array without a length.
declared()
{
	awk '
	/^#define[ \t]+[A-Za-z_][A-Za-z0-9_]*[ \t]+[^ \t]/ { print "C", $2; next }
	/^#/ { next }
	{ text = text "\n" $0 }

	function next_token() {
		while (1) {
			sub(/^[ \t\n]+/, "", text)
			if (text == "")
				return ""
			if (!match(text, /^[A-Za-z_0-9]+/))
				match(text, /^./)
			tok = substr(text, 1, RLENGTH)
			text = substr(text, RLENGTH + 1)
			if (tok != "__attribute__" && tok != "__extension__")
				return tok
			if (tok == "__attribute__")
				skip_parens()
		}
	}
	function skip_parens(  d) {
		d = 0
		do {
			sub(/^[ \t\n]+/, "", text)
			c = substr(text, 1, 1)
			text = substr(text, 2)
			d += (c == "(") - (c == ")")
		} while (d > 0)
	}
	function enum_body() {
		want = 1
		while ((t = next_token()) != "}") {
			if (want && t ~ /^[A-Za-z_]/)
				print "C", t
			want = t == ","
		}
	}
	# Print the members of one struct, from behind its {, with those of inner structs
	function members(tag,  depth, name, flex, i, prev) {
		depth = 0; nm = 0; name = ""; flex = 0; prev = ""
		while (1) {
			t = next_token()
			if (t == "")
				return
			if (t == "{") {
				start[++depth] = nm
				name = ""
			} else if (t == "}") {
				if (depth == 0)
					break
				first = start[depth--]
				t = next_token()
				if (t != ";") {
					for (i = first + 1; i <= nm; i++)
						m[i] = t "." m[i]
					m[++nm] = t; fl[nm] = 0
					while (next_token() != ";")
						;
				}
				name = ""
			} else if (t == "[") {
				t = next_token()
				flex = t == "]"
				while (t != "]")
					t = next_token()
			} else if (t == ";") {
				if (name != "") {
					m[++nm] = name; fl[nm] = flex
				}
				name = ""; flex = 0
			} else if (t ~ /^[A-Za-z_]/) {
				name = t
			}
		}
		print "S", tag
		for (i = 1; i <= nm; i++)
			print fl[i] ? "A" : "F", tag, m[i]
	}
	END {
		while ((t = next_token()) != "") {
			if (t != "struct" && t != "enum")
				continue
			kind = t
			tag = next_token()
			if (tag == "{") {
				if (kind == "enum")
					enum_body()
				continue
			}
			if (next_token() != "{")
				continue
			if (kind == "enum")
				enum_body()
			else
				members(tag)
		}
	}'
}

# Print io_uring's names as they are in linux/iouring2.h, followed by the original
renamed()
{
	awk '
	function ours(n) {
		sub(/^IORING_/, "IOURING2_", n)
		sub(/^IOSQE_/, "IOURING2_SQE_", n)
		sub(/^IO_URING_/, "IOURING2_", n)
		sub(/^IOU_/, "IOURING2_", n)
		sub(/^IO_WQ_/, "IOURING2_WQ_", n)
		sub(/^ZCRX_/, "IOURING2_ZCRX_", n)
		sub(/^SOCKET_URING_OP_/, "IOURING2_SOCKET_OP_", n)
		sub(/^SPLICE_F_FD_IN_FIXED$/, "IOURING2_&", n)
		sub(/^io_uring_/, "iouring2_", n)
		sub(/^io_(sqring|cqring|timespec)/, "iouring2_&", n)
		sub(/^iouring2_io_/, "iouring2_", n)
		sub(/^zcrx_/, "iouring2_zcrx_", n)
		return n
	}
	{
		to = ours($2)
		if (to == $2 || to ~ /_(LAST|MAX)$/ || to ~ /URING_CMD_MASK$/)
			next
		print $1, to ($3 == "" ? "" : " " $3), $2
	}' | sort -u
}

# Remove names that have no counterpart to compare with
ours_only()
{
	awk '
	$2 !~ /^(IOURING2_|iouring2_)/ { next }
	$2 ~ /_(LAST|MAX)$/ || $2 ~ /URING_CMD_MASK$/ { next }
	$2 ~ /^IOURING2_(ABI_VERSION|IOC_|ENTER_BY_|ENTER_FADVISE$)/ { next }
	$2 ~ /^iouring2_(query|setup|enter|register)$/ { next }
	{ print }' | sort -u
}

# Remove reserved fields, which differ between versions of the header
not_reserved()
{
	grep -Ev '^[FA] [^ ]+ ([a-z_]+\.)?_*(resv|pad|rsvd|empty)[^ ]*( |$)'
}

# shellcheck disable=SC2086 # CPPFLAGS is a list of words
echo '#include <linux/iouring2.h>' |
	$CC $CPPFLAGS -E -P -dD - | declared | ours_only | not_reserved \
	> "$dir/ours"

best=-1
for header in liburing/io_uring.h linux/io_uring.h; do
	for more in query bpf_filter; do
		more=${header%.h}/$more.h
		echo "#if __has_include(<$more>)"
		echo "#include <$more>"
		echo "#endif"
	done > "$dir/more.h"
	(echo "#include <$header>"; cat "$dir/more.h") > "$dir/in.h"
	# shellcheck disable=SC2086 # CPPFLAGS is a list of words
	$CC $CPPFLAGS -E -P -dD "$dir/in.h" > "$dir/pp" 2> /dev/null ||
		continue
	declared < "$dir/pp" | renamed | not_reserved > "$dir/theirs"
	# Print a line for each name: its kind, our name, and io_uring's name
	awk '
	NR == FNR { have[$2 (NF == 3 ? " " $3 : "")] = $1; next }
	{
		field = NF == 4
		key = $2 (field ? " " $3 : "")
		other = $NF
		if (!(key in have)) {
			printf "NEW(\"%s\")\n", key
			next
		}
		kind = have[key] == "A" || $1 == "A" ? "A" : $1
		seen[key] = 1
		if (kind == "C")
			printf "CONST(%s, %s)\n", $2, other
		else if (kind == "S")
			printf "STRUCT(%s, %s)\n", $2, other
		else
			printf "%s(%s, %s, %s)\n",
			       kind == "A" ? "OPEN" : "FIELD", $2, other, $3
	}
	END {
		for (key in have)
			if (!(key in seen))
				printf "OLD(\"%s\")\n", key
	}' "$dir/ours" "$dir/theirs" | sort > "$dir/rows"
	common=$(grep -cEv '^(NEW|OLD)' "$dir/rows" || :)
	if [ "$common" -gt "$best" ]; then
		best=$common
		cp "$dir/rows" "$dir/rows.best"
		cp "$dir/in.h" "$dir/in.best"
		name=$header
	fi
done
if [ "$best" -le 0 ]; then
	echo "abi_gen.sh: no io_uring header on this machine" >&2
	exit 1
fi

echo "/* Made by abi_gen.sh from linux/iouring2.h and $name */"
echo "#ifndef ABI_REFERENCE"
echo "#define ABI_REFERENCE \"$name\""
cat "$dir/in.best"
for kind in C S '[FA]'; do
	case $kind in
	C) what=CONSTANTS ;;
	S) what=STRUCTS ;;
	*) what=FIELDS ;;
	esac
	echo "#define ABI_$what $(grep -c "^$kind " "$dir/ours")"
done
echo "#endif"
for m in 'CONST(a, b)' 'STRUCT(a, b)' 'FIELD(a, b, f)' 'OPEN(a, b, f)' \
	 'OLD(n)' 'NEW(n)'; do
	echo "#ifndef ${m%%(*}"
	echo "#define $m"
	echo "#endif"
done
cat "$dir/rows.best"
for m in CONST STRUCT FIELD OPEN OLD NEW; do
	echo "#undef $m"
done
