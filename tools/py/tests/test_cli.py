# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the command line of the Python programs."""

import contextlib
import io
import unittest

from iou2 import cli


class Usage(unittest.TestCase):
    def parse(self, *args, intermixed=False):
        """Return (namespace or exit status, standard output, standard error)."""
        parser = cli.Parser('\nA tool.\n\nusage: x\n')
        parser.add_argument('--number', type=cli.count)
        parser.add_argument('--tests', type=cli.expression)
        parser.add_argument('wanted')
        parser.add_argument('more', nargs='*')
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                parse = parser.parse_intermixed_args if intermixed else parser.parse_args
                result = parse(list(args))
            except SystemExit as e:
                result = e.code
        return result, out.getvalue(), err.getvalue()

    def test_help(self):
        """--help prints the docstring and exits with 0"""
        self.assertEqual(self.parse('--help'), (0, 'A tool.\n\nusage: x\n', ''))

    def test_wrong(self):
        """wrong usage exits with 2, after one line that names --help"""
        for args in ([], ['--bogus'], ['--numb', '1', 'a'], ['--number', '0', 'a'], ['a', '--number'],
                     ['--tests', '(', 'a']):
            for intermixed in (False, True):
                with self.subTest(' '.join(args)):
                    status, out, err = self.parse(*args, intermixed=intermixed)
                    self.assertEqual((status, out), (2, ''))
                    self.assertRegex(err, r'\A[^\n]+; see .+ --help\n\Z')

    def test_option_first(self):
        """an unknown option is reported before a missing argument"""
        self.assertIn('unknown argument "--bogus"', self.parse('--bogus')[2])

    def test_right(self):
        """correct arguments are parsed"""
        found = self.parse('--number=3', 'a', '--', '--b')[0]
        self.assertEqual((found.number, found.wanted, found.more), (3, 'a', ['--b']))
