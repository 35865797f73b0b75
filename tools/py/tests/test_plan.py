# SPDX-License-Identifier: GPL-2.0-only
"""Tests of planning which tests run on which kernel and in which turn."""

import os
import tempfile
import unittest

from iou2 import kernels
from iou2.cli import expression
from iou2.plan import (BUILD, DEBUG_GUESS, MACHINE, TIER0, TURNS, WHOLE, Suite, cost, read_times,
                       save_times, select, select_programs, show, slow, this_suite, turn_of)

PROGRAMS = [f'p{i}' for i in range(60)]
DEBUG = ['kasan', 'kcsan', 'kmemleak']
SUITE = Suite(PROGRAMS, PROGRAMS[:9], PROGRAMS[:5], DEBUG)
KERNELS = ['5.10', '6.1', '7.x'] + DEBUG
TESTS = [(kernel, test) for kernel in KERNELS for test in SUITE.tests(kernel)]


def turns(budget):
    return [turn_of(TESTS, turn, {}, DEBUG, budget) for turn in range(40, 40 + TURNS)]


class Programs(unittest.TestCase):
    def test_numbers(self):
        """a stock kernel runs both builds, kmemleak its list, 7.x the benchmark, too"""
        self.assertEqual([len(SUITE.tests(kernel)) for kernel in KERNELS], [69, 69, 70, 61, 60, 5])

    def test_lists(self):
        """debug.list and kmemleak.list name existing programs"""
        suite = this_suite()
        self.assertLessEqual(set(suite.debug_list) | set(suite.kmemleak_list), set(suite.programs))

    def test_repeat(self):
        """--repeat plans a program several times"""
        some = select_programs(['6.1'], expression('^poll$'), repeat=3, debug_builds=False)
        self.assertEqual(some, [('6.1', 'dkms/poll')] * 3)
        self.assertEqual(select_programs(['6.1'], expression('no such')), [])


class Turns(unittest.TestCase):
    def setUp(self):
        self.whole = turns(10 ** 6)
        self.small = int(max(cost(plan, {}, DEBUG) for plan, _ in self.whole)) - 1

    def test_whole(self):
        """kasan runs whole in each turn if that fits in the budget"""
        for plan, _ in self.whole:
            self.assertEqual(sum(kernel == 'kasan' and test != 'fuzz' for kernel, test in plan), 60)

    def test_everything(self):
        """four turns have all tests, and each turn has all of the oldest and the newest kernel"""
        for budget, name in ((10 ** 6, 'a large budget'), (self.small, 'a small one'),
                             (0, 'none at all')):
            with self.subTest(f'with {name}'):
                plans = turns(budget)
                self.assertEqual(set().union(*(plan for plan, _ in plans)), set(TESTS))
                for plan, _ in plans:
                    self.assertLessEqual({t for t in TESTS if t[0] in WHOLE}, set(plan))

    def test_parts(self):
        """kasan is spread over turns if it does not fit in one"""
        plan, parts = turns(self.small)[0]
        self.assertTrue(1 < parts <= TURNS)
        self.assertTrue(cost(plan, {}, DEBUG) <= self.small or parts == TURNS)

    def test_most(self):
        """kasan is spread over at most four turns"""
        self.assertEqual(turns(0)[0][1], TURNS)

    def test_new_program(self):
        """a new program moves no other program to another turn"""
        more = select(TESTS + [('kasan', 'debug/new')], 7, 3)
        self.assertEqual(set(select(TESTS, 7, 3)), {t for t in more if t[1] != 'debug/new'})

    def test_differ(self):
        """the turns differ"""
        self.assertEqual(len({tuple(plan) for plan, _ in self.whole}), TURNS)


class Times(unittest.TestCase):
    def test_measured(self):
        """a measured time is used, and an unknown one is estimated"""
        times = {('kasan', 'debug/p1'): 7, ('kasan', BUILD): 5, ('kasan', MACHINE): 1, TIER0: 100}
        self.assertEqual(cost([('kasan', 'debug/p1'), ('kasan', 'debug/p2')], times, DEBUG),
                         7 + DEBUG_GUESS + 5 + 1 + 100)

    def test_slow(self):
        """a program over the limit of its kernel is slow"""
        times = {('7.x', 'dkms/a'): 21, ('7.x', 'dkms/b'): 20, ('kasan', 'debug/a'): 61,
                 ('kcsan', 'debug/a'): 300, ('kasan', BUILD): 90, ('kasan', 'debug/b'): 21}
        self.assertEqual(list(slow(times, DEBUG)),
                         ['debug/a on kasan (61 s, the limit is 60 s)',
                          'dkms/a on 7.x (21 s, the limit is 20 s)'])

    def test_save(self):
        """new times replace old ones, and programs that no longer exist are dropped"""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'times.tsv')
            save_times(path, {('7.x', 'dkms/p1'): 5, ('7.x', 'dkms/gone'): 5, ('7.x', BUILD): 9}, SUITE)
            save_times(path, {('7.x', 'dkms/p1'): 6, TIER0: 100}, SUITE)
            self.assertEqual(read_times(path),
                             {('7.x', 'dkms/p1'): 6, ('7.x', BUILD): 9, TIER0: 100})


class Told(unittest.TestCase):
    def test_show(self):
        """a plan has a summary"""
        lines = ['5.10 dkms/p1', '5.10 dkms/p2'] + [f'kmemleak debug/p{i}' for i in range(5)]
        self.assertEqual(list(show(lines, SUITE, 7)),
                         ['Turn 4 of 4 (IOURING2_TURN=7):', '5.10: 2 of 69: dkms/p1 dkms/p2',
                          'kmemleak: all 5'])


class Table(unittest.TestCase):
    def test_rows(self):
        """comments and empty lines are no rows of the table of kernels"""
        rows = kernels.parse(['# a comment', '', 'a b deb c d,e', '   '])
        self.assertEqual(rows, [kernels.Target('a', 'b', 'deb', 'c', 'd,e')])

    def test_kmemleak(self):
        """kmemleak uses the row of kasan, and is a debug kernel"""
        self.assertEqual(kernels.find('kmemleak').name, 'kasan')
        self.assertIn('kmemleak', kernels.debug_names())
        self.assertIsNone(kernels.find('no such kernel'))

    def test_user_mode_linux_must_be_named(self):
        self.assertEqual(kernels.find('uml').kind, kernels.UML)
        self.assertEqual(kernels.names(kernels.UML), ['uml'])
        self.assertNotIn('uml', kernels.all_names())
