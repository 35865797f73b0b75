# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the decisions and the report of tools/check."""

import os
import tempfile
import unittest
from unittest import mock

from iou2 import check, files, report
from iou2.report import row

DEBUG = ['kmemleak', 'kasan', 'kcsan']
TIER0 = '''\
TAP version 13
1..4
ok 1 - versions agree
# took 0 s
ok 2 - manual page lint # SKIP no mandoc on this machine
not ok 3 - mutants apply
# one: does not apply
ok 4 - shellcheck
'''
BENCH = '''\
noise
ok nop, 1: ratio 0.846, was 0.818: +3.4 %
not ok linked pair: ratio 1
not ok: no table
'''


def options(*args, deadline=''):
    with mock.patch.dict(os.environ, {'IOURING2_DEADLINE': deadline}):
        return check.options('usage', list(args))


class Order(unittest.TestCase):
    def test_order(self):
        """kasan is first, then 7.x and 5.10, the versions between, other releases, debug kernels"""
        names = ['5.10', '6.1', '6.12-bookworm', '6.12', '7.x', 'kmemleak', 'kcsan', 'kasan']
        self.assertEqual(check.running_order(names, DEBUG),
                         ['kasan', '7.x', '5.10', '6.1', '6.12', '6.12-bookworm', 'kcsan', 'kmemleak'])

    def test_tiers(self):
        """each tier has its kernels, and a named kernel replaces them"""
        self.assertEqual(check.wanted_kernels([], '0'), [])
        self.assertEqual(check.wanted_kernels([], 'debug'), ['kasan', 'kmemleak', 'kcsan'])
        self.assertEqual(check.wanted_kernels([], '2'), ['kasan', 'kmemleak'])
        self.assertNotIn('kasan', check.wanted_kernels([], '1'))
        self.assertEqual(len(check.wanted_kernels([], 'all')),
                         3 + len(check.wanted_kernels([], '1')))
        self.assertEqual(check.wanted_kernels(['7.x', '7.x'], 'all'), ['7.x'])

    def test_jobs(self):
        """there are half as many machines as processors, but two on two processors"""
        self.assertEqual([check.default_jobs(n) for n in (1, 2, 3, 4, 8)], [1, 2, 2, 2, 4])


class Options(unittest.TestCase):
    def test_tier0(self):
        """with --tests, tier 0 runs only if --tier selects it"""
        self.assertTrue(options().with_tier0)
        self.assertFalse(options('--tests', 'poll').with_tier0)
        self.assertTrue(options('--tests', 'poll', '--tier', 'all').with_tier0)
        self.assertTrue(options('--tier', '0').with_tier0)
        self.assertFalse(options('--tier', '2').with_tier0)

    def test_long(self):
        """a variable of --env overrides that of --long"""
        self.assertEqual(options('--long', '--env', 'IOURING2_STORM=5').env,
                         ['IOURING2_STORM=120', 'IOURING2_TEST_TIMEOUT=1800', 'IOURING2_STORM=5'])

    def test_kernels(self):
        """spaces or commas separate the names of kernels"""
        self.assertEqual(options('--kernels', ' 7.x, 6.1 kasan').kernels, ['7.x', '6.1', 'kasan'])

    def test_wrong(self):
        """wrong usage exits with 2, after one line that names --help"""
        for args in (['--bogus'], ['--tier', '9'], ['--tests', '('], ['--env', 'a'], ['--repeat', '0'],
                     ['--turn'], ['--jobs', 'x']):
            with self.subTest(' '.join(args)), mock.patch('builtins.print') as said, \
                    self.assertRaises(SystemExit) as end:
                options(*args)
            self.assertEqual(end.exception.code, 2)
            self.assertRegex(said.call_args.args[0], r'^[^\n]*; see .* --help$')


class Deadline(unittest.TestCase):
    def test_none(self):
        """without a deadline a machine has its full time"""
        self.assertEqual(check.time_left(1500, 99999, 0), (1500, None))

    def test_far(self):
        """no program is begun in the last five minutes of a machine's time"""
        self.assertEqual(check.time_left(1500, 0, 9000), (1500, 1200))

    def test_near(self):
        """a machine begins no program 5 minutes after the deadline, and is stopped after 10"""
        self.assertEqual(check.time_left(3600, 2600, 2700), (700, 400))

    def test_again(self):
        """a machine for failed programs gets ten minutes more after the deadline"""
        self.assertEqual(check.time_left(3600, 3000, 2700, check.AGAIN_MORE), (900, 600))

    def test_past(self):
        """after the deadline nothing begins, and the rest is skipped with the reason"""
        run = check.Check(options('--kernels', '6.1', '--tests', 'poll', deadline='0'))
        run.deadline = 7
        with mock.patch('iou2.clock.seconds', return_value=7):
            self.assertTrue(run.out_of_time())
            rows = run.part('6.1', 'tests', self.fail)
        self.assertEqual(rows, [row('6.1', '-', 'tests', '', 'skip', 'the deadline of 7 s has passed')])
        with mock.patch('iou2.clock.seconds', return_value=6):
            self.assertFalse(run.out_of_time())


class Machines(unittest.TestCase):
    """run_tests() with machines whose results are given."""

    GOOD = 'check: module dkms\n# selftests: iouring2: poll\n# 1..1\n# ok 1 a\n' \
           'ok 1 selftests: iouring2: poll\n'
    BAD = GOOD.replace('# ok 1', '# not ok 1').replace('\nok', '\nnot ok')

    def run_with(self, *boots, repeat=1):
        """boots: (status and error output of tools/vm/run, output of the guest or None)."""
        boots = list(boots)
        run = check.Check(options('--kernels', '6.1'))
        run.plan, run.o.repeat = [('6.1', 'dkms/poll')] * repeat, repeat

        def boot(name, folder, limit, tests, more=0):
            self.assertEqual(more, check.AGAIN_MORE if folder.endswith('/again') else 0)
            status, said, output = boots.pop(0)
            os.makedirs(folder)
            files.write(said, folder, 'vm.err')
            if output is not None:
                files.write(output, folder, 'output.log')
            return status

        with tempfile.TemporaryDirectory() as out, mock.patch('iou2.check.OUT', out), \
                mock.patch.object(run, 'boot', boot), mock.patch('iou2.clock.say'):
            os.mkdir(os.path.join(out, '6.1'))
            rows = run.run_tests('6.1')
        self.assertEqual(boots, [], 'not all machines were booted')
        return [(r.test, r.result, r.remark) for r in rows]

    def test_passed(self):
        """a program that passes runs once"""
        self.assertEqual(self.run_with((0, '', self.GOOD)),
                         [('poll', 'pass', ''), ('kernel log', 'pass', '')])

    def test_flaky(self):
        """a program that fails once and then passes is flaky"""
        self.assertEqual(self.run_with((0, '', self.BAD), (0, '', self.GOOD)),
                         [('poll', 'pass', ''), ('poll', 'pass', 'flaky: a'), ('kernel log', 'pass', '')])

    def test_failed(self):
        """a program that fails twice has failed"""
        self.assertEqual(self.run_with((0, '', self.BAD), (0, '', self.BAD)),
                         [('poll', 'fail', ''), ('kernel log', 'pass', '')])

    def test_red(self):
        """a report in the kernel log fails, whatever the tests' results, and nothing runs again"""
        for output in self.GOOD, self.BAD:
            rows = self.run_with((99, '', output))
            self.assertEqual(rows[-1], ('kernel log', 'fail', 'see build/check/6.1/boot'))

    def test_red_again(self):
        """a report in the second run fails, too"""
        rows = self.run_with((0, '', self.BAD), (99, '', self.GOOD))
        self.assertEqual(rows[-1], ('kernel log', 'fail', 'see build/check/6.1/again'))

    def test_died(self):
        """nothing runs again after a machine has died"""
        said = 'vm: 6.1: the machine died while the command ran\n'
        self.assertEqual(self.run_with((125, said, '')),
                         [('poll', 'fail', 'did not run'), ('machine', 'fail', said.strip())])

    def test_stopped(self):
        """the tests of a machine that was stopped run again, and the machine is named as flaky"""
        said = 'vm: 6.1: stopped after 9 s\n'
        rows = self.run_with((125, said, ''), (0, '', self.GOOD))
        self.assertEqual(rows, [('poll', 'pass', ''), ('kernel log', 'pass', ''),
                                ('machine, first run', 'pass', 'flaky: ' + said.strip())])

    def test_no_log(self):
        """a machine that was not started is one failure; a missing log is one for each program"""
        self.assertEqual(self.run_with((125, 'vm: no kernel', None)),
                         [('machine', 'fail', 'vm: no kernel')])
        self.assertEqual(self.run_with((2, '', None), (2, '', None))[0],
                         ('poll', 'fail', 'did not run'))

    def test_repeat(self):
        """with --repeat a program that fails once has failed"""
        rows = self.run_with((0, '', self.GOOD + self.BAD), repeat=2)
        self.assertIn(('poll', 'fail', ''), rows)


class Told(unittest.TestCase):
    def test_tier0(self):
        """the output of tier 0 gives rows"""
        self.assertEqual(list(report.tier0_rows(TIER0)), [
            row('tier 0', '-', 'versions agree', '', 'pass'),
            row('tier 0', '-', 'manual page lint', '', 'skip', 'no mandoc on this machine'),
            row('tier 0', '-', 'mutants apply', '', 'fail'),
            row('tier 0', '-', 'shellcheck', '', 'pass')])
        self.assertEqual(list(report.tier0_output(TIER0, 'mutants apply')),
                         ['not ok 3 - mutants apply', '# one: does not apply'])

    def test_bench(self):
        """the output of bench/check gives rows"""
        self.assertEqual([r[3:] for r in report.bench_rows('7.x', BENCH)],
                         [('nop, 1', 'pass', 'ratio 0.846, was 0.818: +3.4 %'),
                          ('linked pair', 'fail', 'ratio 1')])

    def test_status(self):
        """a run succeeds if something has passed and nothing has failed"""
        passed, failed = row('k', '-', 't', '', 'pass'), row('k', '-', 't', '', 'fail')
        skipped = row('k', '-', 't', '', 'skip')
        self.assertEqual([report.status(rows) for rows in ([], [skipped], [passed], [passed, skipped],
                                                           [passed, failed])], [1, 1, 0, 0, 1])
        self.assertEqual(report.summary([passed, failed, skipped, passed]),
                         '2 passed, 1 failed, 1 skipped')

    def test_flaky(self):
        """flaky programs and machines are named"""
        rows = [row('7.x', 'dkms', 'poll', '(first run)', 'pass', 'flaky: a b'),
                row('7.x', '-', 'machine, first run', '', 'pass', 'flaky: stopped'),
                row('7.x', 'dkms', 'ring', 'a', 'pass', 'flaky but not so')]
        self.assertEqual(list(report.flaky(rows)), ['Flaky: dkms/poll on 7.x (a b)',
                                                    'Flaky: machine, first run on 7.x (stopped)'])

    def test_skips(self):
        """the reason of a skipped test is printed once, with its kernels"""
        rows = [row(k, m, 'poll', 'a', 'skip', 'no') for k in ('5.10', '6.1') for m in ('dkms', 'debug')]
        self.assertEqual(list(report.skips(rows)), ['  poll.a: no (on 5.10 6.1)'])

    def test_failures(self):
        """the output of a program with several failures is printed once"""
        rows = [row('6.1', 'dkms', 'poll', sub, 'fail', 'why') for sub in ('a', '')]
        self.assertEqual(list(report.failures(rows)),
                         [('FAILED: 6.1, dkms build: poll.a (why)', rows[0]),
                          ('FAILED: 6.1, dkms build: poll (why)', None)])

    def test_tabs(self):
        """a row has six columns, even with tabs and newlines in its remark"""
        text = report.lines([row('k', 'm', 't', 's', 'pass', 'a\tb\nc')])
        self.assertEqual(text, 'k\tm\tt\ts\tpass\ta b c\n')
