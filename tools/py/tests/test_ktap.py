# SPDX-License-Identifier: GPL-2.0-only
"""Tests of reading kselftest's output, and of merging two runs."""

import unittest

from iou2.ktap import Log, Row, may_try_again, merge, table

SAMPLE = '''\
check: ok load
TAP version 13
1..7
# timeout set to 45
# selftests: iouring2: good
# TAP version 13
# 1..3
# ok 1 first
# ok 2 - second # SKIP not on this kernel
# ok 3 third
# # Totals: pass:2 fail:0
ok 1 selftests: iouring2: good
# good took 7 s
# selftests: iouring2: bad
# TAP version 13
# 1..2
# not ok 1 first
# ok 2 second
not ok 2 selftests: iouring2: bad # exit=1
# selftests: iouring2: crash
# 1..4
# ok 1 first
not ok 3 selftests: iouring2: crash # exit=139
# selftests: iouring2: late
# 1..1
# ok 1 first
not ok 4 selftests: iouring2: late # TIMEOUT 45 seconds
# selftests: iouring2: none
# 1..0 # SKIP no such file
ok 5 selftests: iouring2: none # SKIP
# selftests: iouring2: plain.sh
ok 6 selftests: iouring2: plain.sh
ok 1 selftests: iouring2: left # SKIP no time left
# selftests: iouring2: hang
# 1..2
# ok 1 first
'''
SAMPLE_ROWS = '''\
load,,pass,
good,first,pass,
good,second,skip,not on this kernel
good,third,pass,
bad,first,fail,
bad,second,pass,
crash,first,pass,
crash,(plan),fail,3 of 4 subtests did not report
late,first,pass,
late,(program),fail,TIMEOUT 45 seconds
none,,skip,no such file
plain.sh,,pass,
left,,skip,no time left
hang,first,pass,
hang,(program),fail,did not end
never,(program),fail,did not run
'''

FIRST = '''\
check: module dkms
check: ok load
# selftests: iouring2: once
# 1..2
# ok 1 a
# not ok 2 b
not ok 1 selftests: iouring2: once # exit=1
# selftests: iouring2: twice
# 1..1
# not ok 1 a
not ok 1 selftests: iouring2: twice # exit=1
check: module debug
# selftests: iouring2: once
# 1..1
# ok 1 a
ok 1 selftests: iouring2: once
# selftests: iouring2: stuck
# 1..1
'''
SECOND = '''\
check: module dkms
# selftests: iouring2: once
# 1..2
# ok 1 a
# ok 2 b
ok 1 selftests: iouring2: once
# selftests: iouring2: twice
# 1..1
# not ok 1 a
not ok 1 selftests: iouring2: twice # exit=1
check: module debug
# selftests: iouring2: stuck
# 1..1
# ok 1 a
ok 1 selftests: iouring2: stuck
# selftests: iouring2: later
# 1..1
# ok 1 a
ok 1 selftests: iouring2: later
check: not ok unload
'''
BOTH = ['dkms/once', 'dkms/twice', 'debug/once', 'debug/stuck', 'debug/later']
BOTH_ROWS = '''\
dkms/load,,pass,
dkms/twice,a,fail,
debug/once,a,pass,
dkms/once,a,pass,
dkms/once,b,pass,
dkms/once,(first run),pass,flaky: b
debug/stuck,a,pass,
debug/stuck,(first run),pass,flaky: (program) did not end
debug/later,a,pass,
debug/unload,,fail,
'''
STOPPED = 'vm: x: stopped after 9 s\n'
DIED = 'vm: x: the machine died while the command ran\n'


def rows_of(text):
    return [Row(*line.split(',')) for line in text.splitlines()]


class OneRun(unittest.TestCase):
    def setUp(self):
        self.log = Log(SAMPLE.splitlines())
        self.wanted = 'good bad crash late none plain.sh left hang never'.split()

    def test_results(self):
        """a log gives the expected results"""
        self.assertEqual(self.log.results(self.wanted), rows_of(SAMPLE_ROWS))

    def test_run_again(self):
        """failed programs run again"""
        self.assertEqual(self.log.to_run_again(self.wanted), 'bad crash late hang never'.split())

    def test_times(self):
        """the times of the programs are read"""
        self.assertEqual(self.log.times, [('', 'good', 7)])

    def test_repeated(self):
        """a program that was to run three times and ran once runs again"""
        self.assertEqual(self.log.to_run_again(['good'] * 3), ['good'])

    def test_nothing_said(self):
        """with an empty log all programs have failed"""
        self.assertEqual([row.result for row in Log([]).results(['a', 'b'])], ['fail', 'fail'])

    def test_table(self):
        """the module is a column of the table"""
        self.assertEqual(list(table([Row('dkms/a', 's', 'pass', ''), Row('b', '', 'fail', 'r')])),
                         [('dkms', 'a', 's', 'pass', ''), ('-', 'b', '', 'fail', 'r')])
        self.assertEqual(list(table([Row('b', '', 'fail', 'r')], with_module=False)),
                         [('b', '', 'fail', 'r')])


class TwoRuns(unittest.TestCase):
    def setUp(self):
        self.first, self.second = Log(FIRST.splitlines()), Log(SECOND.splitlines())

    def test_modules(self):
        """each build of the module has its own results"""
        self.assertEqual(self.first.to_run_again(BOTH),
                         ['dkms/once', 'dkms/twice', 'debug/stuck', 'debug/later'])

    def test_flaky(self):
        """a program that passes the second time is flaky"""
        self.assertEqual(merge(self.first, self.second, BOTH), rows_of(BOTH_ROWS))

    def test_second_died(self):
        """after an empty second run, failed programs still count as failed"""
        failed = {row.test for row in merge(self.first, Log([]), BOTH) if row.result == 'fail'}
        self.assertEqual(failed, {'dkms/once', 'dkms/twice', 'debug/stuck', 'debug/later'})

    def test_reports(self):
        """nothing runs again after a report or after a machine has died"""
        self.assertEqual(
            [may_try_again(0, ''), may_try_again(1, ''), may_try_again(99, ''),
             may_try_again(99, STOPPED), may_try_again(125, STOPPED), may_try_again(125, DIED)],
            [True, True, False, False, True, False])
