# SPDX-License-Identifier: GPL-2.0-only
"""Tests of iou2.mutate."""

import unittest
from unittest import mock

from iou2 import mutants, mutate


def mutant(kernel):
    return mutants.Mutant(f'on-{kernel}', f'Mutant: on-{kernel}\nKernel: {kernel}\n')


class Trial(unittest.TestCase):
    """Mutants that run on another kernel first (--first)."""

    def setUp(self):
        self.kept = {}
        with mock.patch('iou2.mutants.key_of', return_value='key'), \
                mock.patch('iou2.mutants.module_fingerprint', return_value=''):
            self.run = mutate.Mutate([mutant('6.1')], 1, 'uml')
        self.run.verdicts = mock.Mock()
        self.run.verdicts.keep = lambda name, key, state, how: self.kept.update({name: (state, how)})
        self.run.trial = 'uml'

    def record(self, state):
        with mock.patch('iou2.clock.say'):
            self.run.record(self.run.mutants['on-6.1'], state, 'fail poll updates')
        return self.kept

    def test_killed(self):
        """a mutant that is killed has its verdict, which names the kernel"""
        self.assertEqual(self.record('killed'), {'on-6.1': ('killed', 'fail poll updates, on uml')})

    def test_not_killed(self):
        """its own kernel decides about any other mutant"""
        for state in 'survived', 'not-run', 'did-not-build':
            self.assertEqual(self.record(state), {})

    def test_kernels(self):
        """what only one kernel finds is not tried on another one"""
        wanted = {'6.1': 'uml', 'kasan': 'uml', 'kcsan': '', 'kmemleak': '', mutants.HOST: ''}
        self.assertEqual({name: self.run.kernel_of(mutant(name)) for name in wanted}, wanted)
        self.run.trial = ''
        self.assertEqual([self.run.kernel_of(mutant(name)) for name in wanted], list(wanted))


if __name__ == '__main__':
    unittest.main()
