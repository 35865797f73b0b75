# SPDX-License-Identifier: GPL-2.0-only
"""The table of the kinds of file (results/files.tsv), which the programs files_* record."""

import os

from iou2 import TOP
from iou2.files import read, write

TABLE = os.path.join(TOP, 'results/files.tsv')
COLUMNS = 'kind\tcolumn\tkernel\tresult\treason'


def rows_of(text):
    """The rows of a table: {(kind, column, kernel): line}. The last one of a cell counts."""
    lines = [line for line in text.splitlines() if line and line != COLUMNS]
    return {tuple(line.split('\t')[:3]): line for line in lines}


def merged(old, new):
    """The text of a table whose rows are the new ones, and the old ones of other kinds and kernels."""
    fresh = rows_of(new)
    again = {(kind, kernel) for kind, _, kernel in fresh}
    rows = {cell: line for cell, line in rows_of(old).items() if (cell[0], cell[2]) not in again}
    rows.update(fresh)
    # the cells of a kind stay in the order in which its program goes through them
    order = sorted(rows, key=lambda cell: (cell[2], cell[0]))
    return ''.join(line + '\n' for line in [COLUMNS, *(rows[cell] for cell in order)])


def save(paths):
    """Put what machines have recorded into the table."""
    write(merged(read(TABLE), ''.join(read(path) for path in paths)), TABLE)
