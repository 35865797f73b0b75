#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line of a shell script. Source it before anything else is done with
# the arguments; iou2/cli.py is the same for Python.
#
# The help is the comment at the top of the script. "--help" as the first word
# prints it and exits with 0. Wrong usage is one line on standard error that names
# --help, and exit status 2.

usage_text() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

wrong_usage() {
	echo "$0: $*; see $0 --help" >&2
	exit 2
}

# wrong_word WORD: what no option of the script's is.
wrong_word() {
	wrong_usage "what is \"$1\"?"
}

# want_value $#: there are as many words left, an option and its value among them.
want_value() {
	[ "$1" -ge 2 ] || wrong_usage "the last option wants a value"
}

# no_options WORD...: for a script that has none.
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
