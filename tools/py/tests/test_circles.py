# SPDX-License-Identifier: GPL-2.0-only
"""Tests of tools/circles: which cycles of calls and includes it finds."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import tempfile
import unittest

from iou2 import TOP


def load():
    loader = importlib.machinery.SourceFileLoader('circles', os.path.join(TOP, 'tools/circles'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('circles', loader))
    loader.exec_module(module)
    return module


circles = load()

REQUEST = 'void io2_r(void)\n{\n\tio2_leaf();\n\tio2_w();\n}\n'
WORKER = 'void io2_w(void)\n{\n\tio2_r();\n}\n'
LEAF = 'void io2_leaf(void)\n{\n}\n'


class Circles(unittest.TestCase):
    def judge(self, **files):
        """Return the exit status and the printed lines."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                with open(os.path.join(folder, name.replace('_', '.')), 'w', encoding='utf-8') as f:
                    f.write(text)
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                status = circles.judge(folder)
            return status, said.getvalue().split('\n')[:-1]

    def test_engine(self):
        """the files of the engine may call each other"""
        self.assertEqual(self.judge(request_c=REQUEST, worker_c=WORKER, leaf_c=LEAF), (0, []))

    def test_up(self):
        """a leaf may not call the engine"""
        status, lines = self.judge(request_c=REQUEST, worker_c=WORKER,
                                   leaf_c=LEAF + 'static void up(void)\n{\n\tio2_r();\n}\n')
        self.assertEqual(status, 1)
        self.assertIn('leaf.c -> request.c: io2_r', lines)

    def test_named_only(self):
        """a name in a comment, a string or a prototype is no call"""
        for text in ('/* io2_r(); */\n', 'static const char s[] = "io2_r()";\n'):
            self.assertEqual(self.judge(request_c=REQUEST, leaf_c=LEAF + text)[0], 0)
        self.assertEqual(self.judge(request_c=REQUEST, leaf_c=LEAF, leaf_h='void io2_r(void);\n')[0], 0)

    def test_inline(self):
        """a call in an inline function of a header counts"""
        up = 'static inline void io2_up(void)\n{\n\tio2_r();\n}\n'
        self.assertEqual(self.judge(request_c=REQUEST.replace('io2_leaf', 'io2_up'), leaf_h=up)[0], 1)

    def test_includes(self):
        """headers that include each other are a cycle"""
        self.assertEqual(self.judge(a_h='#include "b.h"\n', b_h='#include "a.h"\n')[0], 1)
        self.assertEqual(self.judge(a_h='#include "b.h"\n', b_h='')[0], 0)

    def test_own_header(self):
        """a .c file and its own header count as one file"""
        self.assertEqual(self.judge(a_c='void io2_slow(void)\n{\n\tio2_fast();\n}\n',
                                    a_h='static inline void io2_fast(void)\n{\n\tio2_slow();\n}\n')[0], 0)


if __name__ == '__main__':
    unittest.main()
