# SPDX-License-Identifier: GPL-2.0-only
"""What mutants say of themselves, and what is known about them: docs/testing.md describes them."""

import glob
import os
import re
import subprocess
from collections import namedtuple

from iou2 import TOP, files, kernels
from iou2.files import contents, fingerprint

FOLDER = os.path.join(TOP, 'suites/mutants')
FIELDS = ('Mutant', 'Invariant', 'Breaks', 'Test', 'Module', 'Kernel')
# What the result of a test depends on, beside the test, its kernel and the module.
JUDGES = ('suites/mutants/guest', 'tools/py/iou2/logcheck.py')
HELPERS = ('selftests/lib/ring.c', 'selftests/lib/inflight.c')
HOST = 'host'

# A selftest program, one of its tests or "-", and how often it runs to meet a race.
Test = namedtuple('Test', 'program test times')


def parse_test(text):
    """PROGRAM [TEST] [xN]"""
    program, *words = text.split()
    if words and re.match('x[0-9]', words[0]):
        words.insert(0, '-')
    test, times = (words + ['-', ''][len(words):])[:2]
    return Test(program, test, times.removeprefix('x') or '1')


class Mutant:
    """The header of a patch: lines "Key: text" before the diff."""

    def __init__(self, name, text, kernel=''):
        self.name, self.fields = name, {}
        for line in text.split('\n'):
            if line.startswith('diff '):
                break
            key, colon, value = line.partition(':')
            if colon:
                self.fields.setdefault(key, []).append(value.lstrip(' '))
        self.kernel = kernel or self.field('Kernel') or '6.1'
        self.module = self.field('Module') or 'debug'
        self.tests = [parse_test(text) for text in self.fields.get('Test', []) if text.strip()]

    def field(self, key):
        return self.fields.get(key, [''])[0]

    @property
    def patch(self):
        return os.path.join(FOLDER, self.name + '.patch')

    def apply(self, tree, *options):
        """(whether it went well, what patch said)"""
        status, said = files.said('patch', '-d', tree, '-p1', '-f', '-N', '-F', '0',
                                  '--no-backup-if-mismatch', *options, '-i', self.patch)
        return status == 0, said


def load(patterns=(), kernel=''):
    """The mutants whose names contain one of these."""
    found = []
    for path in sorted(glob.glob(os.path.join(FOLDER, '*.patch'))):
        name = os.path.basename(path).removesuffix('.patch')
        if not patterns or any(pattern in name for pattern in patterns):
            found.append(Mutant(name, files.read(path), kernel))
    return found


# --- checking ---------------------------------------------------------------

def test_exists(test):
    if '/' in test.program:
        return os.access(os.path.join(TOP, 'tools', test.program), os.X_OK) and test.test == '-'
    source = os.path.join(TOP, 'selftests', test.program)
    if not os.path.exists(source + '_test.c'):
        return os.path.exists(source) and test.test == '-'
    return test.test == '-' or re.search(
        rf'^([A-Z]+_)?TEST[A-Z_]*\(([a-z_]+, *)?{test.test}[,)]', files.read(source + '_test.c'), re.M)


def problems(mutant):
    """What is wrong with a mutant, without a machine."""
    for key in FIELDS:
        if not mutant.field(key):
            yield f'no {key} in its header'
    if mutant.field('Mutant') != mutant.name:
        yield f'calls itself {mutant.field("Mutant")}'
    if mutant.module not in ('debug', 'normal'):
        yield 'no such build of the module'
    kernel = mutant.field('Kernel')
    if kernel != HOST and not kernels.find(kernel):
        yield 'no such kernel'
    for test in mutant.tests:
        if not test_exists(test):
            yield f'no test {test.program} {test.test}'
        if not re.fullmatch('[1-9][0-9]*', test.times):
            yield f'{test.program} {test.test}: how often?'
    if not mutant.apply('.', '--dry-run')[0]:
        yield 'does not apply'


# --- verdicts ---------------------------------------------------------------

def module_fingerprint():
    paths = [os.path.join(folder, name) for top in ('module', 'uapi') for folder, _, names in os.walk(top)
             for name in names if not name.endswith('.o')]
    return fingerprint(*map(contents, sorted([*paths, 'Kbuild'])))


def sources_of(program):
    """The files of a test."""
    for path in (f'selftests/{program}_test.c', f'selftests/{program}'):
        if os.path.exists(path):
            return [path]
    return sorted(path for path in glob.glob(f'tools/{os.path.dirname(program)}/*') if os.path.isfile(path))


def tests_key(kernel, module, tests):
    """All that a result of these tests depends on, but the module. TESTS are lines."""
    parts = [f'{part}\n'.encode() for part in (kernel, module, '\n'.join(tests))]
    for program in sorted({line.split(' ')[0] for line in tests}):
        parts += map(contents, sources_of(program))
    parts += map(contents, [*HELPERS, *sorted(glob.glob('selftests/lib/*.h')), *JUDGES])
    row = kernels.find(kernel)
    return fingerprint(*parts, ' '.join(row).encode() if row else b'')


def key_of(mutant, module):
    """A verdict is good as long as this is the same. MODULE is module_fingerprint()."""
    tests = [' '.join(test) for test in mutant.tests]
    return f'{module} {fingerprint(contents(mutant.patch))} ' \
           f'{tests_key(mutant.kernel, mutant.module, tests)}'


class Verdicts:
    """A folder with a file for each: its key, and under it what was found."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def _lines(self, name):
        return files.read(self.folder, name).split('\n')

    def known(self, name, key):
        return self._lines(name)[0] == key

    def exists(self, name):
        return os.path.exists(os.path.join(self.folder, name))

    def get(self, name):
        """The fields of a verdict: state, how, and more."""
        return (self._lines(name) + [''])[1].split('\t')

    def is_green(self, name):
        """Whether a test passed on the unbroken module."""
        return self.get(name)[0] == 'survived'

    def keep(self, name, key, *verdict):
        files.write(key + '\n' + '\t'.join(verdict) + '\n', self.folder, name)

    def forget(self, name):
        if self.exists(name):
            os.remove(os.path.join(self.folder, name))


def judged(mutant, state, how):
    """A verdict, with what the mutant says about itself."""
    reason = mutant.field('Equivalent')
    if reason and state == 'survived':
        return 'explained', reason
    return ('not-equivalent', how) if reason and state == 'killed' else (state, how)


def result_row(mutant, verdict):
    return (mutant.name, mutant.field('Invariant'), '; '.join(mutant.fields.get('Test', [])),
            mutant.module, mutant.kernel, *verdict)


# --- what the guest says ----------------------------------------------------

def log_between(lines, name):
    """What the kernel said between the markers of a line of the queue."""
    begin, end = f'iouring2-mutant begin {name} ', f'iouring2-mutant end {name} '
    on = False
    for line in lines:
        if begin in line + ' ':
            on = True
        elif end in line + ' ':
            on = False
        elif on:
            yield line


def tidy(line):
    """A line of a log without what is another number each time."""
    for was, now in ((r'\[ *[0-9]+\.[0-9]+\] *', ''), (r'CPU: [0-9]+ PID: [0-9]+ ', ''),
                     (r' \(Tainted: [^)]*\)', '')):
        line = re.sub(was, now, line, count=1)
    line = re.sub('0x[0-9a-f]+/0x[0-9a-f]+ ?', '', line)
    line = re.sub('(0x)?[0-9a-f]{16}', 'ADDRESS', line)
    return re.sub(', CPU#[0-9]+.*', '', line, count=1)[:120]


def verdict(report, result):
    """(state, how). REPORT: what the judge found in the log; RESULT: the guest's line, split."""
    if report:
        # the line after "cut here" says more
        at = 1 if report[0][0] == 'cut-here' and len(report) > 1 else 0
        return 'killed', f'kernel log: {tidy(report[at][1])}'
    if not result:
        return 'killed', 'the machine died'
    word, detail = result[1:3]
    if word == 'pass':
        return 'survived', detail
    return ('not-run' if word in ('no-load', 'skip') else 'killed'), f'{word} {detail}'


def is_time_to_end(size, judge):
    """The guest goes no further than the test that left a report in the log, and what became of
    the mutant is known then: a machine that does not get to the end of that test within half a
    minute is ended. Judged twice, as the log may end within a report that is not the module's.

    A generator, to be asked every five seconds: SIZE() is the log's, None if there is none, and
    JUDGE() whether it is green.
    """
    looked, red = 0, 0
    while True:
        now = size()
        if now is not None and (red or now != looked):
            if red in range(1, 6):
                red += 1
            elif judge():
                red, looked = 0, now
            elif red:
                yield True
                return
            else:
                red = 1
        yield False


def same_code(one, other, work):
    """Whether all that is loaded of two modules is the same, but what names their sources."""
    parts = [os.path.join(work, name) for name in ('unbroken.part', 'mutant.part')]
    for module, part in zip((one, other), parts):
        subprocess.run(['objcopy', '--strip-debug', '-R', '.modinfo', '-R', '.note*', '-R', '.BTF*',
                        module, part], check=True)
    return contents(parts[0]) == contents(parts[1])
