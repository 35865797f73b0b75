#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests on rings with a flag for deferred work, and without an index array.

exec sh "$(dirname -- "$0")/modes.sh" flag
