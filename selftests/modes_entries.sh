#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog, chains and close, on rings with other entries or memory.

exec sh "$(dirname -- "$0")/modes.sh" entries
