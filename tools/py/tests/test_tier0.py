# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the checks of tier 0, and of how their results are printed."""

import contextlib
import io
import os
import tempfile
import unittest
from unittest import mock

from iou2 import lints, tier0
from iou2.lints import Check, Failed, Skip


def raising(error):
    raise error


def tree(files):
    """Make a temporary folder with these files: {name: text}."""
    folder = tempfile.TemporaryDirectory()
    for name, text in files.items():
        path = os.path.join(folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    return folder


class InTree(unittest.TestCase):
    """Checks in a tree with a planted fault."""

    def lint(self, function, files, *arguments):
        was = os.getcwd()
        with tree(files) as folder, mock.patch('iou2.lints.tracked', lambda: list(files)):
            os.chdir(folder)
            try:
                return list(function(*arguments) or [])
            finally:
                os.chdir(was)

    def test_version_code(self):
        """a kernel version outside of module/compat is found"""
        good = {'module/a.c': '#ifdef IO2_HAVE_X\n', 'module/compat/b.h': '#if LINUX_VERSION_CODE < 5\n'}
        self.assertEqual(self.lint(lints.check_no_version_code, good), [])
        for bad in ('LINUX_VERSION_CODE', 'KERNEL_VERSION (5, 10, 0)', 'defined(HAVE_X)'):
            with self.subTest(bad):
                self.assertEqual(self.lint(lints.check_no_version_code, {**good, 'module/a.c': f'x\n#if {bad}\n'}),
                                 [f'module/a.c:2:#if {bad}'])

    def test_hosts(self):
        """a mirror or a local path is found"""
        for bad in ('http://deb.' 'debian.org/x', 'see /ho' 'me/me', '/wo' 'rk'  '/x', 'x.npm' 'js.com'):
            with self.subTest(bad):
                self.assertEqual(self.lint(lints.check_no_hosts_or_paths, {'a.md': bad}), [f'a.md:1:{bad}'])
        self.assertEqual(self.lint(lints.check_no_hosts_or_paths,
                                   {'a.md': 'docs' '/wo' 'rk/x', 'b': 'a\0/ho' 'me/x'}), [])

    def test_links(self):
        """a link to a missing file is found"""
        good = {'a.md': '[b](docs/b.md#x) [c](https://x/y) [d](#d)', 'docs/b.md': '[a](../a.md)'}
        self.assertEqual(self.lint(lints.check_links, good), [])
        self.assertEqual(self.lint(lints.check_links, {'docs/b.md': 'x [a](a.md) y'}),
                         ['docs/b.md: no such file: a.md'])

    def test_kernel_doc(self):
        """a function for other files without a kernel-doc comment is found"""
        doc = '/**\n * io2_f() - do it\n */\n'
        code = 'struct x *io2_f(int a,\n\t\tint b)\n{\n}\n'
        self.assertEqual(self.lint(lints.check_kernel_doc_exists, {'module/a.c': doc + code}), [])
        for good in ('static int io2_f(void)\n{\n}\n', 'int io2_f(void);\n', 'int f(void)\n{\n}\n'):
            self.assertEqual(self.lint(lints.check_kernel_doc_exists, {'module/a.c': good}), [])
        for bad in (code, doc.replace('io2_f', 'io2_g') + code, 'void io2_f(void)\n{\n'):
            with self.subTest(bad):
                self.assertEqual(self.lint(lints.check_kernel_doc_exists, {'module/a.c': bad}),
                                 ['module/a.c: io2_f has no kernel-doc comment'])

    def test_versions(self):
        """versions that differ are found"""
        good = {'VERSION': '0.1.0\n', 'dkms.conf': 'PACKAGE_VERSION="0.1.0"\n', 'Kbuild': '$(cat VERSION)',
                'module/main.c': 'MODULE_VERSION(IO2_VERSION);'}
        self.assertEqual(self.lint(lints.check_versions, good), [])
        for name, text in (('VERSION', '0.2.0'), ('VERSION', 'x'), ('dkms.conf', ''), ('Kbuild', ''),
                           ('module/main.c', ''), ('module/main.c', 'MODULE_VERSION("0.1.0")')):
            with self.subTest(f'{name}: {text}'):
                self.assertTrue(self.lint(lints.check_versions, {**good, name: text}))

    def test_dkms(self):
        """a wrong range of kernels and a deprecated variable in dkms.conf are found"""
        range_of = 'PACKAGE_NAME=iouring2\nBUILD_EXCLUSIVE_KERNEL="{}"\n'
        good = range_of.format(r'^(5\.[1-9][0-9]|6\.|7\.)')
        self.assertEqual(self.lint(lints.check_dkms_conf, {'dkms.conf': good}), [])
        self.assertEqual(self.lint(lints.check_dkms_conf, {'dkms.conf': good + 'CLEAN=x\n'}),
                         ['dkms.conf:3:CLEAN=x'])
        self.assertEqual(self.lint(lints.check_dkms_conf, {'dkms.conf': range_of.format('^[67]')}),
                         ['5.10.0-46-amd64 is excluded', '5.15.0-1-amd64 is excluded'])
        self.assertIn('8.0.0 is not excluded', self.lint(lints.check_dkms_conf, {'dkms.conf': range_of.format('.')}))

    def test_sparse(self):
        """findings of sparse count, except those about the macros of modinfo"""
        files = {'module/a.c': 'int a;\nMODULE_LICENSE("GPL");\n'}
        log = 'noise\n/obj/module/a.c:1:5: warning: context\nmodule/a.c:2:1: error: bad constant expression\n' \
              '/obj/module/a.c:1:1: error: bad constant expression\n/usr/x.h:1:1: warning: not ours\n'
        self.assertEqual(self.lint(lints.sparse_findings, files, log),
                         ['module/a.c:1:5: warning: context', 'module/a.c:1:1: error: bad constant expression'])

    def test_usage(self):
        """a tool without --help, or one that accepts an unknown option, is found"""
        good = '#!/bin/sh\n# usage: x\ncase $1 in --help) echo "usage: x";; ' \
               '*) echo "$1; see x --help" >&2; exit 2;; esac\n'
        for text, bad in ((good, 0), (good.replace('exit 2', 'exit 1'), 1), (good.replace('>&2', ''), 1),
                          (good.replace('; see', '\n; see'), 1), (good.replace('--help)', '--h)'), 1),
                          ('#!/bin/sh\n# usage: x\n', 2), ('#!/bin/sh\n', 0)):
            with self.subTest(text):
                def lint():
                    os.chmod('tool', 0o755)
                    return lints.check_usage()
                self.assertEqual(len(self.lint(lint, {'tool': text})), bad)

    def test_shell(self):
        """shellcheck reads the scripts of sh and bash"""
        files = {'a': '#!/bin/bash\n', 'b': '#!/usr/bin/env bash\n', 'c': '#!/bin/sh\n', 'd': '#!/bin/busybox sh\n',
                 'e': '#!/usr/bin/env python3\n', 'f': 'text\n'}
        self.assertEqual(self.lint(lambda: filter(lints.is_shell, files), files), ['a', 'b', 'c'])


class Logs(unittest.TestCase):
    def test_warnings(self):
        """warnings of a build count, except those about the machine"""
        log = 'CC a.o\na.c:1: warning: x\nwarning: the compiler differs from the one used to build the kernel\n' \
              'Skipping BTF generation for a.ko due to unavailability of vmlinux\nmake: *** Error 2'
        self.assertEqual(lints.warnings_in(log), ['a.c:1: warning: x', 'make: *** Error 2'])
        self.assertEqual(lints.warnings_in('ERROR: modpost: "f" [a.ko] undefined!\n'
                                           'WARNING: Module.symvers is missing.', lints.NO_KERNEL), [])

    def test_reviewed(self):
        """comments are removed from the list of reviewed findings"""
        self.assertEqual([e.pattern for e in lints.reviewed('# why\na.c:.*x  # too\n\n')], ['a.c:.*x'])


class Told(unittest.TestCase):
    def outcomes(self, *functions):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            good = tier0.run([Check(f'c{n}', function, ()) for n, function in enumerate(functions)])
        return good, [line for line in out.getvalue().split('\n') if not line.startswith('# took')]

    def test_good(self):
        """a check without findings passes, and one that cannot run is skipped"""
        self.assertEqual(
            self.outcomes(lambda: None, lambda: [''], lambda: raising(Skip('no perl'))),
            (True, ['TAP version 13', '1..3', 'ok 1 - c0', 'ok 2 - c1', 'ok 3 - c2 # SKIP no perl', '']))

    def test_bad(self):
        """the findings or the error of a failed check are printed"""
        good, lines = self.outcomes(lambda: ['a', 'b'], lambda: raising(Failed('x\ny\n')))
        self.assertFalse(good)
        self.assertEqual(lines[2:], ['not ok 1 - c0', '# a', '# b', 'not ok 2 - c1', '# x', '# y', ''])

    def test_defect(self):
        """a defect of one check does not stop the others"""
        good, lines = self.outcomes(lambda: 1 / 0, lambda: None)
        self.assertFalse(good)
        self.assertIn('# ZeroDivisionError: division by zero', lines)
        self.assertIn('ok 2 - c1', lines)

    def test_much(self):
        """the number of printed lines is limited"""
        self.assertEqual(len(self.outcomes(lambda: ['x'] * 1000)[1]), 2 + 1 + tier0.SHOWN + 1)

    def test_names(self):
        """all checks have different names"""
        names = [check.name for check in lints.table()]
        self.assertEqual(len(names), len(set(names)))
