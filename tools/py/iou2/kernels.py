# SPDX-License-Identifier: GPL-2.0-only
"""The only reader of the table tools/vm/kernels. Shell scripts call tools/vm/targets."""

import os
from collections import namedtuple

from iou2 import TOP

TABLE = os.path.join(TOP, 'tools/vm/kernels')
# The KASAN kernel, booted with kmemleak enabled. It has no row in the table, but tests run on it
# as on another kernel. kmemleak is too slow to be always enabled.
KMEMLEAK = 'kmemleak'
# The kind of the kernel that runs as a program of the host.
UML = 'uml'

Target = namedtuple('Target', 'name release kind series packages')


def parse(lines):
    """The rows of a table, without comments and empty lines."""
    return [Target(*line.split()) for line in lines if line.strip() and not line.startswith('#')]


def targets(kind=None, release=None, name=None):
    """The rows that match. The User Mode Linux kernel is one of them only if its kind or name is given."""
    with open(TABLE, encoding='utf-8') as f:
        rows = parse(f)
    return [row for row in rows if kind in (None, row.kind) and release in (None, row.release)
            and name in (None, row.name) and (row.kind != UML or kind or name)]


def names(kind=None):
    return [row.name for row in targets(kind)]


def target_of(name):
    """The name of the row that is booted for a kernel. For kmemleak it is kasan."""
    return 'kasan' if name == KMEMLEAK else name


def find(name):
    """The row of a kernel, None if the kernel is unknown."""
    return next(iter(targets(name=target_of(name))), None)


def debug_names():
    return [KMEMLEAK] + names('debug')


def all_names():
    return names() + [KMEMLEAK]
