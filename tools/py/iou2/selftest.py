# SPDX-License-Identifier: GPL-2.0-only
"""Run unit tests of tools/py/tests, and print TAP. Each subtest counts as a test."""

import os
import sys
import unittest

from iou2 import TOP

TESTS = os.path.join(TOP, 'tools/py/tests')


def name_of(test):
    """The name of a test: its docstring, and the message of a subtest."""
    case = getattr(test, 'test_case', test)
    what = case.shortDescription() or case.id()
    return f'{what}: {test._message}' if case is not test else what


class Tap(unittest.TestResult):
    """Results as TAP. The error of a failed test follows its line."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.subtests = set()

    def line(self, test, error=None, skip=None):
        self.number += 1
        result = 'not ok' if error else 'ok'
        print(f'{result} {self.number} - {name_of(test)}' + (f' # SKIP {skip}' if skip else ''))
        if error:
            for text in self._exc_info_to_string(error, test).rstrip().split('\n'):
                print(f'#   {text}')

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        self.subtests.add(test.id())
        self.line(subtest, err)

    def addSuccess(self, test):
        if test.id() not in self.subtests:
            self.line(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(test, skip=reason)


def run(*modules):
    """Run these test modules, or all. Returns 0 if there are tests and all have passed."""
    sys.path.insert(0, TESTS)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(modules) if modules else loader.discover(TESTS)
    result = Tap()
    suite.run(result)
    print(f'1..{result.number}')
    return 0 if result.number and result.wasSuccessful() else 1
