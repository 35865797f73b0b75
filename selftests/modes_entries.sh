#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog and of polls, on rings with large entries.

exec sh "$(dirname -- "$0")/modes.sh" entries
