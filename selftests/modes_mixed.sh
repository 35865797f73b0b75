#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog and of chains, on rings with entries of two sizes.

exec sh "$(dirname -- "$0")/modes.sh" mixed
