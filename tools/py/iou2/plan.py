# SPDX-License-Identifier: GPL-2.0-only
"""Plan which tests run on which kernel: the implementation of tools/plan."""

import glob
import os
import re
from zlib import crc32

from iou2 import TOP, cli, kernels, selftest

TIMES = 'results/check-time.tsv'
COLUMNS = 'kernel\tmodule\tprogram\tseconds'
WHOLE = ('5.10', '7.x')
FIRST_OF_DEBUG = 'kasan'
TURNS = 4
BUDGET = 4800
# Seconds after which a program counts as slow.
STOCK_LIMIT, DEBUG_LIMIT = 20, 60
# Seconds that are assumed without a measurement: for a program on a stock or a debug kernel, for
# the build or the machine of a kernel, and for tier 0.
STOCK_GUESS, DEBUG_GUESS, KERNEL_GUESS, TIER0_GUESS = 10, 30, 60, 600
LIMITED_DEBUG = ('kasan',)
# Rows of TIMES that are no programs. A kernel has them in each turn in which it runs.
BUILD, MACHINE = '(build)', '(machine)'
TIER0 = ('tier 0', '(all)')


def lines_of(name):
    """The lines of a file, without comments."""
    with open(os.path.join(TOP, name), encoding='utf-8') as f:
        lines = [line.split('#')[0].strip() for line in f]
    return [line for line in lines if line]


def all_programs():
    """The names of the selftests: PROGRAM_test.c, and the scripts that the Makefile names."""
    programs = sorted(os.path.basename(path).removesuffix('_test.c')
                      for path in glob.glob(os.path.join(TOP, 'selftests/*_test.c')))
    for line in lines_of('selftests/Makefile'):
        found = re.match(r'TEST_PROGS\s*[:+]?=\s*(.*)', line)
        if found:
            programs += found.group(1).split()
    return programs


class Suite:
    """The programs, and which of them run on a kernel."""

    def __init__(self, programs, debug_list, kmemleak_list, debug):
        self.programs, self.debug = programs, debug
        self.debug_list, self.kmemleak_list = debug_list, kmemleak_list

    def tests(self, kernel, debug_builds=True, long_form=False):
        if kernel in self.debug:
            short = kernel == kernels.KMEMLEAK and not long_form
            tests = ['debug/' + p for p in self.programs if not short or p in self.kmemleak_list]
            return tests + ['fuzz'] if kernel == FIRST_OF_DEBUG else tests
        tests = ['dkms/' + p for p in self.programs]
        if debug_builds:
            tests += ['debug/' + p for p in self.programs if p in self.debug_list]
        return tests + ['bench'] if kernel == WHOLE[-1] else tests


def this_suite():
    return Suite(all_programs(), lines_of('selftests/debug.list'),
                 lines_of('selftests/kmemleak.list'), kernels.debug_names())


# --- turns -------------------------------------------------------------------

def parts_of(kernel, test, kasan_parts):
    """The number of turns over which a test is spread."""
    if kernel in WHOLE:
        return 1
    if kernel == FIRST_OF_DEBUG and test != 'fuzz':
        return kasan_parts
    return TURNS


def in_turn(kernel, test, turn, parts):
    return crc32(f'{kernel} {test}'.encode()) % parts == turn % parts


def select(tests, turn, kasan_parts):
    return [(kernel, test) for kernel, test in tests
            if in_turn(kernel, test, turn, parts_of(kernel, test, kasan_parts))]


def cost(tests, times, debug):
    """The seconds that these tests take, the sum over all machines."""
    total = sum(times.get((kernel, test), DEBUG_GUESS if kernel in debug else STOCK_GUESS)
                for kernel, test in tests)
    total += sum(times.get((kernel, what), KERNEL_GUESS)
                 for kernel in {kernel for kernel, _ in tests} for what in (BUILD, MACHINE))
    return total + times.get(TIER0, TIER0_GUESS)


def turn_of(tests, turn, times, debug, budget):
    """(the tests of a turn, the number of turns over which kasan is spread)."""
    for kasan_parts in range(1, TURNS + 1):
        if max(cost(select(tests, t, kasan_parts), times, debug)
               for t in range(TURNS)) <= budget:
            break
    return select(tests, turn, kasan_parts), kasan_parts


# --- times -------------------------------------------------------------------

def read_times(path):
    """{(kernel, test): seconds}, with the test named as in a plan."""
    times = {}
    if not os.path.exists(path):
        return times
    with open(path, encoding='utf-8') as f:
        for line in f:
            kernel, module, program, seconds = line.rstrip('\n').split('\t')
            if seconds.isdigit():
                test = program if module == '-' else f'{module}/{program}'
                times[kernel, test] = max(int(seconds), times.get((kernel, test), 0))
    return times


def write_times(path, times):
    with open(path, 'w', encoding='utf-8') as f:
        print(COLUMNS, file=f)
        for (kernel, test), seconds in sorted(times.items()):
            module, slash, program = test.partition('/')
            print(kernel, *((module, program) if slash else ('-', test)), seconds, sep='\t', file=f)


def save_times(path, new, suite):
    """Replace the old times by the new ones, and drop programs that no longer exist."""
    times = {**read_times(path), **new}
    write_times(path, {(kernel, test): seconds for (kernel, test), seconds in times.items()
                       if '/' not in test or test in suite.tests(kernel, long_form=True)})


def slow(times, debug):
    """The programs that took longer than the limit of their kernel."""
    for (kernel, test), seconds in sorted(times.items(), key=lambda item: -item[1]):
        if '/' not in test or kernel in debug and kernel not in LIMITED_DEBUG:
            continue
        limit = DEBUG_LIMIT if kernel in debug else STOCK_LIMIT
        if seconds > limit:
            yield f'{test} on {kernel} ({seconds} s, the limit is {limit} s)'


# --- summary -----------------------------------------------------------------

def show(lines, suite, turn=None):
    if turn is not None:
        yield f'Turn {turn % TURNS + 1} of {TURNS} (IOURING2_TURN={turn}):'
    by_kernel = {}
    for line in lines:
        kernel, test = line.split()
        by_kernel.setdefault(kernel, []).append(test)
    for kernel, tests in by_kernel.items():
        number = len(suite.tests(kernel))
        if len(tests) >= number:
            yield f'{kernel}: all {number}'
        else:
            yield f'{kernel}: {len(tests)} of {number}: {" ".join(tests)}'


# --- command line ------------------------------------------------------------

def select_programs(names, expression=re.compile('.'), turn=None, budget=BUDGET, repeat=1,
                    debug_builds=True, long_form=False):
    """[(kernel, test)], the tests to run on these kernels."""
    suite = this_suite()
    tests = [(kernel, test) for kernel in names
             for test in suite.tests(kernel, debug_builds, long_form)]
    if turn is not None:
        tests, _ = turn_of(tests, turn, read_times(os.path.join(TOP, TIMES)), suite.debug, budget)
    return [(kernel, test) for kernel, test in tests
            if expression.search(test.rpartition('/')[2]) for _ in range(repeat)]


def arguments(doc):
    p = cli.Parser(doc)
    p.add_argument('--tests', default=re.compile('.'), type=cli.expression)
    p.add_argument('--turn', type=int)
    p.add_argument('--budget', type=int, default=BUDGET)
    p.add_argument('--repeat', type=cli.count, default=1)
    p.add_argument('--no-debug', action='store_true')
    p.add_argument('--long', action='store_true')
    for mode in ('--show', '--slow', '--save'):
        p.add_argument(mode)
    p.add_argument('--selftest', action='store_true')
    p.add_argument('kernels', nargs='*')
    return p.parse_args()


def main(doc):
    a = arguments(doc)
    cli.prints_only()
    if a.selftest:
        return selftest.run('test_plan')
    suite = this_suite()
    if a.show:
        with open(a.show, encoding='utf-8') as f:
            for line in show(f, suite, a.turn):
                print(line)
    elif a.slow:
        for line in slow(read_times(a.slow), suite.debug):
            print(line)
    elif a.save:
        save_times(os.path.join(TOP, TIMES), read_times(a.save), suite)
    else:
        for kernel, test in select_programs(a.kernels, a.tests, a.turn, a.budget, a.repeat,
                                            not a.no_debug, a.long):
            print(kernel, test, sep='\t')
    return 0
