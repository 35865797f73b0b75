#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog, chains and close, on rings in the memory of the application
# and in other modes that are left.

exec sh "$(dirname -- "$0")/modes.sh" memory
