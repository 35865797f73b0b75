# SPDX-License-Identifier: GPL-2.0-only
"""Tests of judging a kernel log. Each pattern must find its sample line."""

import subprocess
import unittest

from iou2.logcheck import EXPRESSIONS, HARMLESS, MOST, PATTERNS, compiled, judge

# A clean log. Some lines are close to the patterns.
CLEAN = '''\
[    0.000000] Linux version 6.1.0-1-amd64 (debian-kernel@lists.debian.org)
[    0.000000] Command line: console=ttyS0 panic=-1 oops=panic kmemleak=off
[    0.001000] DEBUG_PAGEALLOC not enabled
[    0.105000] rcu: Hierarchical RCU implementation.
[    0.201000] Spectre V2 : Mitigation: Retpolines; x86/bugs
[    0.300000] debug: unmapping init [mem 0xffffffff82d7a000-0xffffffff82ffffff]
[    1.000000] kmemleak: Kernel memory leak detector disabled by boot option
[    2.000000] iouring2: loading out-of-tree module taints kernel.
[    2.000001] iouring2: module verification failed: signature and/or required key missing - tainting kernel
[    3.000000] iouring2-vm: command starts
[    4.000000] iouring2-vm: command ended, status 0
'''.splitlines()

RACE = '''\
[    5.000000] BUG: KCSAN: data-race in copy_page_to_iter / shmem_get_folio_gfp
[    5.000001] read-write (marked) to 0xffff88807977b000 of 8 bytes by task 522 on cpu 1:
[    5.000002]  INNERMOST
[    5.000003]  CALLER
[    5.000004]  vfs_iocb_iter_read+0xc6/0x260
[    5.000005]  rw_issue+0x6ae/0xbd0 [iouring2]
[    5.000006] read to 0xffff88807977b000 of 8 bytes by task 517 on cpu 0:
[    5.000007]  copy_page_to_iter+0x83/0x1f0
[    5.000008] Reported by Kernel Concurrency Sanitizer on:
'''


def race(innermost, caller='shmem_file_read_iter+0x23e/0x690'):
    """A report of a data race with these two innermost functions."""
    return RACE.replace('INNERMOST', innermost).replace('CALLER', caller).splitlines()


class Patterns(unittest.TestCase):
    def test_clean(self):
        """a clean log passes"""
        self.assertEqual(judge(CLEAN), [])

    def test_red(self):
        """the sample of a pattern is found"""
        for pattern, (_, expression) in zip(PATTERNS, EXPRESSIONS):
            with self.subTest(pattern.name):
                found = judge([*CLEAN, f'[    5.000000] {pattern.sample}'])
                self.assertEqual(len(found), 1)
                self.assertRegex(found[0][1], expression)

    def test_grep(self):
        """grep -E, which the guest uses, finds the same lines"""
        expressions = '\n'.join(pattern.expression for pattern in PATTERNS)

        def grep(*options, lines):
            return subprocess.run(['grep', *options, '-E', '-e', expressions], check=False, text=True,
                                  input='\n'.join(lines) + '\n', stdout=subprocess.PIPE).stdout
        self.assertEqual(grep(lines=CLEAN), '')
        self.assertEqual(grep('-v', lines=[pattern.sample for pattern in PATTERNS]), '')
        expressions = '\n'.join(pattern.expression for pattern in HARMLESS)
        self.assertEqual(grep('-v', lines=[pattern.sample for pattern in HARMLESS]), '')

    def test_harmless(self):
        """a harmless line passes"""
        for pattern in HARMLESS:
            with self.subTest(pattern.sample):
                self.assertEqual(judge([pattern.sample]), [])

    def test_allow(self):
        """--allow removes only the lines that match"""
        log = ['[    5.0] WARNING: expected thing', '[    5.1] BUG: not expected']
        self.assertEqual(judge(log, [compiled('WARNING: expected')]), [('bug', log[1])])

    def test_words(self):
        """word boundaries and character classes of POSIX expressions work"""
        self.assertEqual(judge(['DEBUG: all is well', 'xBUG', 'BUGS']), [])
        self.assertTrue(compiled(r'\<a[[:space:]]+[[:digit:]]\>').search('a  7'))
        self.assertFalse(compiled(r'\<a').search('ba'))

    def test_once(self):
        """a line is reported once, and the number of reported lines is limited"""
        log = ['BUG: one', 'fine', 'BUG: one'] + [f'BUG: {i}' for i in range(100)]
        found = judge(log)
        self.assertEqual(len(found), MOST)
        self.assertEqual(found[:2], [('bug', 'BUG: one'), ('bug', 'BUG: 0')])


class Races(unittest.TestCase):
    def foreign(self, *frames):
        said = []
        self.assertEqual(judge(race(*frames), say=said.append), [])
        self.assertEqual(len(said), 1, 'a foreign race is named once')

    def test_kernel(self):
        """ignored: a data race in the kernel"""
        self.foreign('shmem_get_folio_gfp+0x183/0xd20')

    def test_workqueue(self):
        """ignored: a data race of the workqueue with its threads"""
        self.foreign('queue_work_on+0x5e/0x90', 'deferred_kick+0x1f/0x40 [iouring2]')

    def test_timer(self):
        """ignored: a data race of a sleep with its timer"""
        self.foreign('schedule_hrtimeout_range_clock+0xc3/0x180', 'io2_wait+0x1f/0x40 [iouring2]')

    def test_poll(self):
        """ignored: a data race of a file's poll method"""
        self.foreign('eventfd_poll+0x51/0x90', 'poll_arm+0x1f/0x40 [iouring2]')

    def test_tmpfs(self):
        """ignored: a data race of tmpfs on the flags of a page"""
        self.foreign('shmem_file_read_iter+0x26a/0x690', 'io2_read_issue+0x1f/0x40 [iouring2]')

    def test_own_poll(self):
        """found: a data race of the module's own poll method"""
        self.assertTrue(judge(race('io2_ring_poll+0x51/0x90 [iouring2]')))

    def test_helper(self):
        """found: a data race in a helper that the module calls"""
        self.assertTrue(judge(race('list_add_tail+0x5e/0x90', 'deferred_kick+0x1f/0x40 [iouring2]')))

    def test_module(self):
        """found: a data race of the module"""
        self.assertTrue(judge(race('cq_post+0x83/0x1f0 [iouring2]')))

    def test_cut(self):
        """found: a report of a data race without its end"""
        self.assertTrue(judge(race('shmem_get_folio_gfp+0x183/0xd20')[:-1]))

    def test_cut_by_next(self):
        """found: a report of a data race that the next one interrupts"""
        log = race('shmem_get_folio_gfp+0x183/0xd20')
        self.assertEqual(len(judge(log[:4] + log)), 1)

    def test_no_stack(self):
        """found: a report of a data race without its stacks"""
        log = race('shmem_get_folio_gfp+0x183/0xd20')
        self.assertTrue(judge([log[0], log[-1]]))

    def test_between(self):
        """the lines between two ignored reports are judged"""
        log = race('shmem_get_folio_gfp+0x183/0xd20')
        self.assertEqual(judge([*log, 'WARNING: x', *log]), [('warning', 'WARNING: x')])
