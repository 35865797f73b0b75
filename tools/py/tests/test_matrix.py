# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the table of the kinds of file."""

import unittest

from iou2 import matrix

OLD = '''\
kind\tcolumn\tkernel\tresult\treason
pipe\tread\t6.1\tsame\t
pipe\told\t6.1\tsame\t
pipe\tread\t7.x\tsame\t
loop\tread\t6.1\tdiffers\tmainline's rule
'''


class Merged(unittest.TestCase):

    def test_new_kernel(self):
        """rows of another kernel are added"""
        text = matrix.merged(OLD, 'pipe\tread\t5.10\tskip\tno pipe\n')
        self.assertEqual(text.splitlines()[1], 'pipe\tread\t5.10\tskip\tno pipe')
        self.assertEqual(len(text.splitlines()), 6)

    def test_kind_again(self):
        """a kind that ran again has only its new columns, the last run of each; other kinds keep theirs"""
        text = matrix.merged(OLD, 'pipe\tread\t6.1\tdiffers\t\npipe\tread\t6.1\tsame\t\n')
        self.assertEqual([line for line in text.splitlines() if '\t6.1\t' in line],
                         ["loop\tread\t6.1\tdiffers\tmainline's rule", 'pipe\tread\t6.1\tsame\t'])
        self.assertIn('pipe\tread\t7.x\tsame\t', text.splitlines())


if __name__ == '__main__':
    unittest.main()
