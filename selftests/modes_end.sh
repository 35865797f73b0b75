#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests of the end of rings that defer to their issuer, with requests in flight.

exec sh "$(dirname -- "$0")/modes.sh" end
