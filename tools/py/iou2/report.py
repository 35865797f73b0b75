# SPDX-License-Identifier: GPL-2.0-only
"""The rows of results, and the report that tools/check prints at the end."""

import re
from collections import Counter, namedtuple

# One result. A result that belongs to no build of the module has the module "-".
Row = namedtuple('Row', 'kernel module test subtest result remark')


def row(kernel, module, test, subtest, result, remark=''):
    return Row(*(text.replace('\t', ' ').replace('\n', ' ')
                 for text in (kernel, module, test, subtest, result, remark)))


def lines(rows):
    return ''.join('\t'.join(r) + '\n' for r in rows)


def summary(rows):
    n = Counter(r.result for r in rows)
    return f'{n["pass"]} passed, {n["fail"]} failed, {n["skip"]} skipped'


def status(rows):
    """The exit status: 0 if something passed and nothing failed, otherwise 1."""
    n = Counter(r.result for r in rows)
    return 0 if n['pass'] and not n['fail'] else 1


def tier0_rows(text):
    """The rows of the TAP that tools/tier0 printed."""
    for line in text.split('\n'):
        found = re.match(r'(not )?ok [0-9]+ (?:- )?(.*)', line)
        if not found:
            continue
        failed, name = found.groups()
        skipped = re.fullmatch(r'(.*[^ ]) *# *SKIP *(.*)', name)
        if failed:
            yield row('tier 0', '-', name, '', 'fail')
        elif skipped:
            yield row('tier 0', '-', skipped[1], '', 'skip', skipped[2])
        else:
            yield row('tier 0', '-', name, '', 'pass')


def tier0_output(text, name):
    """The output of tier 0 about the failed checks of this name."""
    on = False
    for line in text.rstrip('\n').split('\n'):
        if line.startswith('not ok ') and name in line:
            on = True
        elif re.match('(not )?ok ', line):
            on = False
        if on:
            yield line


def bench_rows(kernel, text):
    """The rows of the output of bench/check: "ok OPERATION: REMARK"."""
    for line in text.split('\n'):
        found = re.match('(not )?ok (.*)', line)
        if found:
            what, colon, remark = found[2].partition(': ')
            yield row(kernel, 'normal', 'bench', what, 'fail' if found[1] else 'pass',
                      remark if colon else what)


def table(rows):
    """The totals of each build of the module on each kernel."""
    yield f'{"kernel":<16} {"module":<7} {"passed":>8} {"failed":>8} {"skipped":>8}'
    counts = {}
    for r in rows:
        counts.setdefault((r.kernel, r.module), Counter())[r.result] += 1
    for (kernel, module), n in counts.items():
        yield f'{kernel:<16} {module:<7} {n["pass"]:>8} {n["fail"]:>8} {n["skip"]:>8}'


def skips(rows):
    """The skipped tests, with the reason and the kernels."""
    where = {}
    for r in rows:
        if r.result == 'skip':
            what = r.test + ('.' + r.subtest if r.subtest else '')
            kernels = where.setdefault(f'{what}: {r.remark or "no reason given"}', [])
            if r.kernel not in kernels:
                kernels.append(r.kernel)
    for what, kernels in where.items():
        yield f'  {what} (on {" ".join(kernels)})'


def flaky(rows):
    """The tests that failed once and passed when they ran again."""
    for r in rows:
        if r.result == 'pass' and r.remark.startswith('flaky: '):
            test = r.test if r.module == '-' else f'{r.module}/{r.test}'
            yield f'Flaky: {test} on {r.kernel} ({r.remark[7:]})'


def failures(rows):
    """(headline, row) of each failure. The row is None if the failure before is of the same program."""
    last = None
    for r in rows:
        if r.result == 'fail':
            headline = f'FAILED: {r.kernel}, {r.module} build: {r.test}'
            headline += f'.{r.subtest}' if r.subtest else ''
            headline += f' ({r.remark})' if r.remark else ''
            yield headline, None if r[:3] == last else r
            last = r[:3]
