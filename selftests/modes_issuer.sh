#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run tests on rings with an issuer.

exec sh "$(dirname -- "$0")/modes.sh" issuer
