# SPDX-License-Identifier: GPL-2.0-only
"""Read the output of kselftest's runner: the implementation of tools/vm/ktap."""

import re
from collections import Counter, namedtuple

from iou2 import cli, selftest

Row = namedtuple('Row', 'test subtest result remark')
DIRECTIVE = re.compile(r'(^|[ \t])# *((SKIP|XFAIL|TODO|TIMEOUT|exit=).*)')


def split_result(text):
    """(name, directive) from the text after "ok"."""
    name = re.sub(r'^[0-9]+ *', '', text)
    name = re.sub(r'^- *', '', name)
    found = DIRECTIVE.search(name)
    if not found:
        return name.rstrip(), ''
    return name[:found.start()].rstrip(), found.group(2)


def judged(ok, directive):
    """(result, remark) of a line "ok" or "not ok"."""
    if re.match('SKIP|XFAIL|TODO', directive):
        return 'skip', re.sub(r'^SKIP[: ]*', '', directive)
    return ('pass' if ok else 'fail'), directive


class Log:
    """A log: its rows, how often each test began and ended, and the times of the tests."""

    def __init__(self, lines):
        self.rows = []
        self.checks = []
        self.begun = Counter()
        self.ended = Counter()
        self.times = []
        self.module = ''
        self.cur = None
        for line in lines:
            self.line(line.replace('\r', '').rstrip('\n'))

    def test(self, name):
        return f'{self.module}/{name}' if self.module else name

    def row(self, test, subtest, result, remark):
        row = Row(test, subtest, result, remark.replace('\t', ' '))
        self.rows.append(row)
        self.failed += result == 'fail'

    def line(self, line):
        found = re.match(r'check: module (\S+)', line)
        if found:
            self.module = found.group(1)
            return
        found = re.match(r'check: (not )?ok (.*)', line)
        if found:
            self.checks.append(Row(self.test(found.group(2)), '',
                                   'fail' if found.group(1) else 'pass', ''))
            self.rows.append(self.checks[-1])
            return
        found = re.match(r'# (\S+) took ([0-9]+) s$', line)
        if found:
            self.times.append((self.module, found.group(1), int(found.group(2))))
            return
        found = re.match(r'# selftests: [^:]*: (.*)', line)
        if found:
            self.begin(self.test(found.group(1)))
            return
        found = re.match(r'(not )?ok [0-9]+ selftests: [^:]*: ', line)
        if found:
            self.end(not found.group(1), line)
        elif self.cur:
            self.inside(line)

    def begin(self, test):
        self.cur = test
        self.begun[test] += 1
        self.subtests = self.failed = 0
        self.plan, self.why = -1, ''

    def inside(self, line):
        found = re.match(r'# 1\.\.([0-9]+)(.*# *SKIP[: ]*(.*))?', line)
        if found:
            if self.plan < 0:
                self.plan, self.why = int(found.group(1)), found.group(3) or ''
            return
        found = re.match(r'# (not )?ok ([0-9].*)', line)
        if found:
            name, directive = split_result(found.group(2))
            self.subtests += 1
            self.row(self.cur, name or f'#{self.subtests}',
                     *judged(not found.group(1), directive))

    def end(self, ok, line):
        name, directive = split_result(re.sub('^(not )?ok ', '', line))
        test = self.test(re.sub('^selftests: [^:]*: ', '', name))
        if self.cur != test:    # the runner skipped it, and printed no header
            self.begin(test)
        self.ended[test] += 1
        if self.plan > self.subtests > 0:
            self.row(test, '(plan)', 'fail',
                     f'{self.plan - self.subtests} of {self.plan} subtests did not report')
        if self.subtests == 0:
            if directive.startswith('SKIP') and self.why:
                directive = 'SKIP ' + self.why
            self.row(test, '', *judged(ok, directive))
        elif not ok and not self.failed:
            self.row(test, '(program)', 'fail', directive or 'exit status')
        self.cur = None

    def results(self, wanted):
        """All rows, with a failure for each wanted test that did not run or end."""
        missing = Counter(wanted) - self.ended
        return self.rows + [
            Row(test, '(program)', 'fail',
                'did not end' if self.begun[test] > self.ended[test] else 'did not run')
            for test in dict.fromkeys(wanted) if missing[test] > 0]

    def to_run_again(self, wanted):
        bad = {row.test for row in self.results(wanted) if row.result == 'fail'}
        return [test for test in dict.fromkeys(wanted) if test in bad]


def may_try_again(status, said):
    """Whether failed tests may run again: the kernel log is clean and the machine did not die."""
    if status == 99:
        return False
    return status != 125 or re.search('^vm: .*: stopped after ', said, re.M) is not None


def read_log(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return Log(f)


def merge(first, second, wanted):
    """The rows of both runs. A test that failed in the first and passed in the second run has
    the rows of the second.
    """
    rows = first.results(wanted)
    again = first.to_run_again(wanted)
    seconds = second.results(again)
    bad = set(second.to_run_again(again))
    merged = [row for row in rows if row.test not in again or row.test in bad and first.begun[row.test]]
    for test in again:
        mine = [row for row in seconds if row.test == test]
        if not first.begun[test]:
            merged += mine
        elif test not in bad:
            seen = '; '.join(f'{row.subtest} {row.remark}'.strip() for row in rows
                             if row.test == test and row.result == 'fail')
            merged += mine
            merged.append(Row(test, '(first run)', 'pass', f'flaky: {seen}'))
    known = {(row.test, row.subtest) for row in merged}
    merged += [row for row in second.checks
               if row.result == 'fail' and (row.test, row.subtest) not in known]
    return merged


def table(rows, with_module=True):
    """The rows as tuples. The module is a column of its own, "-" if there is none."""
    for row in rows:
        if not with_module:
            yield tuple(row)
            continue
        module, slash, name = row.test.partition('/')
        yield (module, name, *row[1:]) if slash else ('-', *row)


def output_of(path, wanted):
    """The lines between a test's header and its result."""
    module, on = '', False
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f:
            line = line.replace('\r', '').rstrip('\n')
            module = line[14:] if line.startswith('check: module ') else module
            found = re.match(r'# selftests: [^:]*: (.*)', line)
            if found:
                on = wanted in (found.group(1), f'{module}/{found.group(1)}')
            if on:
                yield line
            if re.match(r'(not )?ok [0-9]+ selftests: ', line):
                on = False


# --- command line -----------------------------------------------------------

def print_again(status, said, log, wanted):
    with open(said, encoding='utf-8', errors='replace') as f:
        again = may_try_again(int(status), f.read())
    for test in read_log(log).to_run_again(wanted) if again else []:
        print(test)


def main(doc):
    p = cli.Parser(doc)
    p.add_argument('--again')
    p.add_argument('--failed', nargs=2)
    p.add_argument('--times', action='store_true')
    p.add_argument('--output', action='store_true')
    p.add_argument('--selftest', action='store_true')
    p.add_argument('log', nargs='?')
    p.add_argument('tests', nargs='*')
    a = p.parse_args()
    if a.selftest:
        return selftest.run('test_ktap')
    if not a.log:
        cli.wrong_usage('LOG is missing')
    if a.output:
        if len(a.tests) != 1:
            cli.wrong_usage(f'--output needs one test, got {len(a.tests)}')
        for line in output_of(a.log, a.tests[0]):
            print(line)
    elif a.times:
        for row in read_log(a.log).times:
            print(*row, sep='\t')
    elif a.failed:
        print_again(*a.failed, a.log, a.tests)
    else:
        first = read_log(a.log)
        rows = merge(first, read_log(a.again), a.tests) if a.again else first.results(a.tests)
        for row in table(rows, any('/' in test for test in a.tests)):
            print(*row, sep='\t')
    return 0
