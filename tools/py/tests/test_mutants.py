# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the headers of mutants, of verdicts, and of how long a verdict is valid."""

import os
import tempfile
import unittest
from unittest import mock

from iou2 import TOP, logcheck, mutants
from iou2.mutants import Mutant, Test, Verdicts, judged, parse_test

HEADER = '''\
Mutant: one
Invariant: I2
Breaks: what: it breaks
Test: overflow none_lost_in_a_batch x3
Test: ring
Module: normal

diff --git a/x b/x
Kernel: not a field
'''
CONSOLE = '''\
iouring2-mutant begin one.0
fine
iouring2-mutant end one.0
between
iouring2-mutant begin one.1
WARNING: x
iouring2-mutant begin one.10
other
'''.splitlines()


class Header(unittest.TestCase):
    def test_fields(self):
        """a header ends at the diff, and missing fields have defaults"""
        mutant = Mutant('one', HEADER)
        self.assertEqual((mutant.field('Breaks'), mutant.module, mutant.kernel),
                         ('what: it breaks', 'normal', '6.1'))
        self.assertEqual(mutant.tests, [Test('overflow', 'none_lost_in_a_batch', '3'), Test('ring', '-', '1')])
        self.assertEqual(Mutant('one', HEADER, 'kasan').kernel, 'kasan')
        self.assertEqual(Mutant('one', '').module, 'debug')

    def test_tests(self):
        """a line Test may have a test, a number of runs, or both"""
        self.assertEqual([parse_test(text) for text in ('a', 'a b', 'a x20', 'a b x20')],
                         [('a', '-', '1'), ('a', 'b', '1'), ('a', '-', '20'), ('a', 'b', '20')])

    def test_problems(self):
        """each problem of a header is reported"""
        with mock.patch.object(Mutant, 'apply', return_value=(False, '')):
            text = HEADER.replace('normal', 'fast').replace('ring', 'nosuch')
            found = list(mutants.problems(Mutant('two', text)))
        self.assertEqual(found, ['the header has no Kernel', 'the name in the header is one',
                                 'unknown build of the module: fast', 'unknown kernel: ',
                                 'unknown test: nosuch -', 'the patch does not apply'])


class Exists(unittest.TestCase):
    def exists(self, text):
        return bool(mutants.test_exists(parse_test(text)))

    def test_function(self):
        self.assertTrue(self.exists('overflow none_lost_in_a_batch'))
        self.assertFalse(self.exists('overflow nothing'))

    def test_kind_of_file(self):
        self.assertTrue(self.exists('files_event eventfd'))
        self.assertFalse(self.exists('files_event nothing'))

    def test_program(self):
        self.assertTrue(self.exists('where/check'))
        self.assertFalse(self.exists('nothing'))


class Judged(unittest.TestCase):
    def setUp(self):
        self.plain, self.equivalent = Mutant('one', HEADER), Mutant('one', 'Equivalent: a reason\n' + HEADER)

    def test_plain(self):
        """without the field Equivalent a verdict is unchanged"""
        for state in ('killed', 'survived', 'not-run'):
            self.assertEqual(judged(self.plain, state, 'how'), (state, 'how'))

    def test_equivalent(self):
        """Equivalent explains a mutant that survives, and is wrong if the mutant is killed"""
        self.assertEqual(judged(self.equivalent, 'survived', 'how'), ('explained', 'a reason'))
        self.assertEqual(judged(self.equivalent, 'killed', 'how'), ('not-equivalent', 'how'))
        self.assertEqual(judged(self.equivalent, 'not-run', 'how'), ('not-run', 'how'))

    def test_words(self):
        """the result of the guest and the kernel log give the verdict"""
        for result, state in (('pass', 'survived'), ('fail', 'killed'), ('hang', 'killed'), ('stuck', 'killed'),
                              ('skip', 'not-run'), ('no-load', 'not-run')):
            with self.subTest(result):
                self.assertEqual(mutants.verdict([], ['one.0', result, 'x', '7'])[0], state)
                self.assertEqual(mutants.verdict([('bug', 'BUG: x')], ['one.0', result, 'x', '7']),
                                 ('killed', 'kernel log: BUG: x'))
        self.assertEqual(mutants.verdict([], None), ('killed', 'the machine died'))

    def test_cut_here(self):
        """the line after "cut here" is the message"""
        report = [('cut-here', '[ cut here ]'), ('warning', 'WARNING: x'), ('bug', 'y')]
        self.assertEqual(mutants.verdict(report, None)[1], 'kernel log: WARNING: x')
        self.assertEqual(mutants.verdict(report[:1], None)[1], 'kernel log: [ cut here ]')

    def test_tidy(self):
        """numbers that differ from run to run are left out"""
        self.assertEqual(
            mutants.tidy('[    5.012345] WARNING: CPU: 0 PID: 211 at f+0x1/0x20 0xffff888103a1b000 '
                         '(Tainted: G  OE), CPU#1: ring/3'),
            'WARNING: at f+ADDRESS')

    def test_between(self):
        """each line of the queue has its own part of the log"""
        self.assertEqual([list(mutants.log_between(CONSOLE, f'one.{n}')) for n in (0, 1, 10, 2)],
                         [['fine'], ['WARNING: x', 'iouring2-mutant begin one.10', 'other'], ['other'], []])


class Kept(unittest.TestCase):
    def setUp(self):
        self.was = os.getcwd()
        os.chdir(TOP)
        self.mutant = mutants.load(['flush-lifo'])[0]
        self.key = mutants.key_of(self.mutant)

    def tearDown(self):
        os.chdir(self.was)

    def test_until(self):
        """a verdict is valid until the mutant, a file that it changes, a test, its judge or the kernel changes"""
        self.assertEqual(mutants.key_of(self.mutant), self.key)
        real = mutants.contents
        for changed in (self.mutant.patch, 'module/cq.c', 'selftests/overflow_test.c', 'selftests/lib/ring.c', 'selftests/lib/fixture.h',
                        'suites/mutants/guest', 'tools/py/iou2/logcheck.py'):
            with self.subTest(changed), mock.patch.object(
                    mutants, 'contents', lambda path, c=changed: real(path) + (b'\n+x' if path == c else b'')):
                self.assertNotEqual(mutants.key_of(self.mutant), self.key)
        with self.subTest('kernel'):
            other = mutants.load(['flush-lifo'], '7.x')[0]
            self.assertNotEqual(mutants.key_of(other), self.key)

    def test_other(self):
        """a change of another test or source leaves a verdict valid"""
        real = mutants.contents
        with mock.patch.object(mutants, 'contents', lambda path: real(path) + b'x' * ('poll.c' in path)):
            self.assertEqual(mutants.key_of(self.mutant), self.key)

    def test_helpers(self):
        """a test depends on the helpers that it uses, and not on others"""
        used = mutants.with_helpers(['selftests/leave_test.c'])
        for name in ('leave_test.c', 'lib/absent.h', 'lib/inflight.h', 'lib/inflight.c', 'lib/ring.c', 'lib/ring.h'):
            self.assertIn(f'selftests/{name}', used)
        self.assertNotIn('selftests/lib/trace.h', used)
        self.assertIn('selftests/lib/files_io.c', mutants.with_helpers(['selftests/files_dm_test.c']))

    def test_comment(self):
        """a change of a comment or an empty line leaves a verdict valid, a change of a string does not"""
        real = mutants.contents
        for text, same in ((b'/* a "word" */\n\n// it\'s\n', True), (b'"/* x */"', False), (b"'/*' x '*/'", False)):
            with self.subTest(text), mock.patch.object(
                    mutants, 'contents', lambda path, t=text: real(path) + t * path.endswith('.c')):
                self.assertEqual(mutants.key_of(self.mutant) == self.key, same)

    def test_context(self):
        """a change of a patch's context leaves a verdict valid"""
        real = mutants.contents
        with mock.patch.object(
                mutants, 'contents', lambda path: real(path).replace(b'\n }', b'\n  }') if path.endswith('.patch') else real(path)):
            self.assertEqual(mutants.key_of(self.mutant), self.key)

    def test_folder(self):
        """a verdict is known only by its key"""
        with tempfile.TemporaryDirectory() as folder:
            verdicts = Verdicts(folder)
            verdicts.keep('one', 'key', 'survived', 'how', '7')
            self.assertTrue(verdicts.known('one', 'key'))
            self.assertFalse(verdicts.known('one', 'other key'))
            self.assertFalse(verdicts.known('two', 'key'))
            self.assertEqual(verdicts.get('one'), ['survived', 'how', '7'])
            self.assertTrue(verdicts.is_green('one'))
            verdicts.keep('one', 'key', 'killed', 'how')
            self.assertFalse(verdicts.is_green('one'))
            verdicts.forget('one')
            self.assertFalse(verdicts.exists('one') or verdicts.is_green('one'))

    def test_row(self):
        """a mutant and its verdict give a row of the results"""
        self.assertEqual(mutants.result_row(Mutant('one', HEADER), 'key', 'killed', 'how'),
                         ('one', 'I2', 'overflow none_lost_in_a_batch x3; ring', 'normal', '6.1', 'killed', 'how',
                          mutants.short_key('key')))


class Ended(unittest.TestCase):
    """When a machine that hangs after a report is stopped."""

    def asked(self, *looks):
        """looks: (size of the log, whether it is clean). Returns an answer for each."""
        now = [None]
        end = mutants.is_time_to_end(lambda: now[0][0], lambda: now[0][1])
        answers = []
        for now[0] in looks:
            answers.append(next(end))
            if answers[-1]:
                break
        return answers

    def test_green(self):
        """a machine whose log grows and is clean is not stopped"""
        self.assertEqual(self.asked(*((n, True) for n in range(100))), [False] * 100)

    def test_none(self):
        """a machine without a log is not stopped"""
        self.assertEqual(self.asked(*[(None, False)] * 20), [False] * 20)

    def test_red(self):
        """a machine is stopped half a minute after a report"""
        self.assertEqual(self.asked((5, True), *[(9, False)] * 20), [False] * 7 + [True])

    def test_recovers(self):
        """a machine is not stopped if the rest of the log makes the report a foreign one"""
        self.assertEqual(self.asked((9, False), *[(9, True)] * 20), [False] * 21)


class Judge(unittest.TestCase):
    def test_guest(self):
        """each pattern is one line, as the guest's file needs it"""
        for pattern in logcheck.PATTERNS:
            self.assertNotIn('\n', pattern.expression)
            self.assertTrue(pattern.expression)
