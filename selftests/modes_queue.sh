#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the backlog and of chains, on rings that defer to their issuer.

exec sh "$(dirname -- "$0")/modes.sh" queue
