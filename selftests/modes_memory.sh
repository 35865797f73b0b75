#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog and of close, on rings in the memory of the application.

exec sh "$(dirname -- "$0")/modes.sh" memory
