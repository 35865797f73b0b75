#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line of the shell scripts. A script sources this file before it looks
# at its arguments. iou2/cli.py does the same for the Python programs.
#
# The comment at the top of the script is its help. "--help" as the first argument
# prints it and exits with 0. Wrong usage prints one line on standard error, which
# names the wrong argument and --help, and exits with 2.

usage_text() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

wrong_usage() {
	echo "$0: $*; see $0 --help" >&2
	exit 2
}

# wrong_word WORD: the script does not know this argument.
wrong_word() {
	wrong_usage "unknown argument \"$1\""
}

# want_value "$@": the first argument left is an option that needs a value.
want_value() {
	[ $# -ge 2 ] || wrong_usage "$1 needs a value"
}

# no_options WORD...: the script has no options.
no_options() {
	for word; do
		case $word in
		-*) wrong_word "$word" ;;
		esac
	done
}

case ${1:-} in
--help | -h)
	usage_text
	exit 0
	;;
esac
