# SPDX-License-Identifier: GPL-2.0-only
"""The table tools/vm/kernels: the only reader of it. Shell scripts ask tools/vm/targets."""

import os
from collections import namedtuple

from iou2 import TOP

TABLE = os.path.join(TOP, 'tools/vm/kernels')
# The KASAN kernel booted with kmemleak on: no row of the table, but a kernel to run tests on.
# Searching for leaks all the time is too slow for everything else.
KMEMLEAK = 'kmemleak'

Target = namedtuple('Target', 'name release kind series packages')


def parse(lines):
    """The rows of a table, without comments and empty lines."""
    return [Target(*line.split()) for line in lines if line.strip() and not line.startswith('#')]


def targets(kind=None, release=None):
    with open(TABLE, encoding='utf-8') as f:
        rows = parse(f)
    return [row for row in rows if kind in (None, row.kind) and release in (None, row.release)]


def names(kind=None):
    return [row.name for row in targets(kind)]


def target_of(name):
    """The row that is booted for a kernel: kmemleak is the KASAN kernel."""
    return 'kasan' if name == KMEMLEAK else name


def find(name):
    """The row of a kernel, None if there is none."""
    return next((row for row in targets() if row.name == target_of(name)), None)


def debug_names():
    return [KMEMLEAK] + names('debug')


def all_names():
    return names() + [KMEMLEAK]
