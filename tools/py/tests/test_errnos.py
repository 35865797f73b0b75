# SPDX-License-Identifier: GPL-2.0-only
"""Tests of tools/errnos: it fails if an errno has no test."""

import os
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

from iou2 import TOP

loader = SourceFileLoader('errnos', os.path.join(TOP, 'tools/errnos'))
errnos = module_from_spec(spec_from_loader('errnos', loader))
loader.exec_module(errnos)

PAGE = '''\
.It Bq Er ENOENT
.Sh ERRORS
.Ss IOURING2_IOC_SETUP
.It Bq Er EINVAL
.\\" test: setup.flags_unchecked setup.none
.\\" test: nosuch.test
.It Bq Er EFAULT
.Sh FILES
.It Bq Er EPERM
'''


class Rows(unittest.TestCase):
    def test_rows(self):
        """the rows of the section ERRORS are read, with their tests"""
        self.assertEqual(errnos.rows(PAGE), [
            ('IOURING2_IOC_SETUP', 'EINVAL', ['setup.flags_unchecked', 'setup.none', 'nosuch.test']),
            ('IOURING2_IOC_SETUP', 'EFAULT', [])])

    def test_problems(self):
        """a row without a test, an unknown test and a page without rows are problems"""
        found = list(errnos.problems(errnos.rows(PAGE)))
        where = 'docs/man/iouring2.4: IOURING2_IOC_SETUP'
        self.assertIn(f'{where} EINVAL: there is no test nosuch.test', found)
        self.assertIn(f'{where} EFAULT: names no test', found)
        self.assertEqual(list(errnos.problems([])), ['docs/man/iouring2.4: the section ERRORS has no rows'])
