#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of polls, timeouts and starvation, on rings that defer to their issuer.

exec sh "$(dirname -- "$0")/modes.sh" wait
