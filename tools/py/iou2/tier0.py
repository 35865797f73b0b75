# SPDX-License-Identifier: GPL-2.0-only
"""Run the checks of lints.py, and print TAP: the implementation of tools/tier0."""

import os
import traceback

from iou2 import TOP, cli, clock, files, lints

# The maximum number of lines that are printed about a failed check.
SHOWN = 60


def outcome(check):
    """(result, lines): "ok", "skip" with the reason as the last line, or "not ok"."""
    try:
        found = check.function(*check.arguments)
        lines = '\n'.join(found or ()).rstrip('\n').split('\n')
        return ('not ok', lines) if lines != [''] else ('ok', [])
    except lints.Skip as e:
        return 'skip', [str(e)]
    except lints.Failed as e:
        return 'not ok', str(e).rstrip('\n').split('\n')
    except Exception:   # a defect of one check must not stop the others
        return 'not ok', traceback.format_exc().rstrip('\n').split('\n')


def run(checks):
    """Run the checks. Returns whether none has failed."""
    print(f'TAP version 13\n1..{len(checks)}', flush=True)
    good = True
    for number, check in enumerate(checks, 1):
        begin = clock.seconds()
        result, lines = outcome(check)
        if result == 'not ok':
            print(f'not ok {number} - {check.name}')
            for line in lines[:SHOWN]:
                print(f'# {line}')
            good = False
        else:
            print(f'ok {number} - {check.name}' + (f' # SKIP {lines[-1]}' if result == 'skip' else ''))
        print(f'# took {clock.seconds() - begin} s', flush=True)
    return good


def main(doc):
    p = cli.Parser(doc)
    p.add_argument('--list', action='store_true')
    p.add_argument('--only', type=cli.expression)
    a = p.parse_args()
    checks = [check for check in lints.table() if not a.only or a.only.search(check.name)]
    if a.list:
        for check in checks:
            print(check.name)
        return 0
    os.chdir(TOP)
    os.makedirs(lints.WORK, exist_ok=True)
    files.end_with_children()
    lints.LOCK = files.Lock(lints.WORK, 'lock')
    lints.LOCK.take()   # one run at a time, because they share the folder of objects
    return 0 if run(checks) else 1
