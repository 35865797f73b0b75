# SPDX-License-Identifier: GPL-2.0-only
"""The headers of mutants, their results, and how long a result is valid. See docs/testing.md."""

import glob
import os
import re
import subprocess
from collections import namedtuple

from iou2 import TOP, files, kernels
from iou2.files import contents, fingerprint

FOLDER = os.path.join(TOP, 'suites/mutants')
RESULTS = os.path.join(TOP, 'results/mutants.tsv')
COLUMNS = ('mutant', 'invariant', 'test', 'module', 'kernel', 'result', 'how', 'key')
FIELDS = ('Mutant', 'Invariant', 'Breaks', 'Test', 'Module', 'Kernel')
# Files on which each result depends, beside the test, its kernel and the module.
JUDGES = ('suites/mutants/guest', 'tools/py/iou2/logcheck.py')
LIB = 'selftests/lib'
HOST = 'host'

# A selftest program, one of its tests or "-" for all, and how often it runs to meet a race.
Test = namedtuple('Test', 'program test times')


def parse_test(text):
    """Parse "PROGRAM [TEST] [xN]"."""
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
        """Apply the patch. Returns (whether it applied, the output of patch)."""
        status, said = files.said('patch', '-d', tree, '-p1', '-f', '-N', '-F', '0',
                                  '--no-backup-if-mismatch', *options, '-i', self.patch)
        return status == 0, said


def refreshed(mutant, tree):
    """The text of a mutant whose patch applies only with fuzz, made anew; None if it does not apply."""
    text = files.read(mutant.patch)
    header, _, diff = text.partition('diff --git ')
    names = sorted(set(re.findall(r'^\+\+\+ b/(\S+)', diff, re.M)))
    if not mutant.apply(tree, '-F', '3')[0]:
        return None
    parts = []
    for name in names:
        made = files.said('diff', '-p', '-U3', '--label', f'a/{name}', '--label', f'b/{name}', name,
                          os.path.join(tree, name))[1]
        parts.append(f'diff --git a/{name} b/{name}\n{made}')
    return header + ''.join(parts)


def load(patterns=(), kernel=''):
    """The mutants whose names contain one of the patterns, or all."""
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
    # a test of a program files_* is a kind of file
    return test.test == '-' or re.search(
        rf'^([A-Z]+_)?TEST[A-Z_]*\(([a-z_]+, *)?{test.test}[,)]|\.name = "{test.test}"',
        files.read(source + '_test.c'), re.M)


def problems(mutant):
    """The problems of a mutant that are found without running it."""
    for key in FIELDS:
        if not mutant.field(key):
            yield f'the header has no {key}'
    if mutant.field('Mutant') != mutant.name:
        yield f'the name in the header is {mutant.field("Mutant")}'
    if mutant.module not in ('debug', 'normal'):
        yield f'unknown build of the module: {mutant.module}'
    kernel = mutant.field('Kernel')
    if kernel != HOST and not kernels.find(kernel):
        yield f'unknown kernel: {kernel}'
    for test in mutant.tests:
        if not test_exists(test):
            yield f'unknown test: {test.program} {test.test}'
        if not re.fullmatch('[1-9][0-9]*', test.times):
            yield f'{test.program} {test.test}: not a number of runs: x{test.times}'
    if not mutant.apply('.', '--dry-run')[0]:
        yield 'the patch does not apply'


# --- verdicts ---------------------------------------------------------------

# A string or a character, which is kept, or a comment.
TOKEN = re.compile(r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|/\*.*?\*/|//[^\n]*''', re.S)


def code_of(path):
    """The bytes of a file, of a C file those that are not comments or empty lines."""
    if not path.endswith(('.c', '.h')):
        return contents(path)
    text = TOKEN.sub(lambda found: found[0] if found[0][0] in '"\'' else ' ', contents(path).decode())
    return '\n'.join(line.rstrip() for line in text.split('\n') if line.strip()).encode()


def changes_of(patch):
    """The bytes of a mutant that its result depends on: the header, and the lines that it changes."""
    header, _, diff = contents(patch).decode().partition('diff --git ')
    return '\n'.join([header, *re.findall('^[-+].*', diff, re.M)]).encode()


def files_of(patch):
    """The files that a mutant changes."""
    return re.findall(r'^\+\+\+ b/(.*)', contents(patch).decode(), re.M)


def module_fingerprint():
    paths = [os.path.join(folder, name) for top in ('module', 'uapi') for folder, _, names in os.walk(top)
             for name in names if not name.endswith('.o')]
    return fingerprint(*map(code_of, sorted([*paths, 'Kbuild'])))


def sources_of(program):
    """The source files of a test."""
    for path in (f'selftests/{program}_test.c', f'selftests/{program}'):
        if os.path.exists(path):
            return [path]
    return sorted(path for path in glob.glob(f'tools/{os.path.dirname(program)}/*') if os.path.isfile(path))


def with_helpers(sources):
    """These files and those of selftests/lib that they use: headers, and the sources beside them."""
    found, left = [], [*sources, f'{LIB}/ring.c']
    while left:
        path = left.pop()
        if path in found or not os.path.exists(path):
            continue
        found.append(path)
        if not path.endswith(('.c', '.h')):
            continue
        for name in re.findall('^#include "(.*)"', contents(path).decode(), re.M):
            left += [f'{LIB}/{name}', f'{LIB}/{name.removesuffix(".h")}.c']
        if os.path.basename(path).startswith('files'):
            left += glob.glob(f'{LIB}/files*.c')
    return sorted(found)


def tests_key(kernel, module, tests):
    """A key of all that the result of these tests depends on, except the module. @tests are lines."""
    parts = [f'{part}\n'.encode() for part in (kernel, module, '\n'.join(tests))]
    for program in sorted({line.split(' ')[0] for line in tests}):
        parts += map(code_of, with_helpers(sources_of(program)))
    parts += map(code_of, JUDGES)
    row = kernels.find(kernel)
    return fingerprint(*parts, ' '.join(row).encode() if row else b'')


def key_of(mutant):
    """The key of a verdict, which is valid while its key is the same."""
    tests = [' '.join(test) for test in mutant.tests]
    return f'{fingerprint(*map(code_of, files_of(mutant.patch)))} {fingerprint(changes_of(mutant.patch))} ' \
           f'{tests_key(mutant.kernel, mutant.module, tests)}'


def short_key(key):
    """The form in which results/mutants.tsv has a key."""
    return fingerprint(key.encode())[:16]


class Verdicts:
    """The verdicts: a folder with a file for each mutant, with the key and then the result."""

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
        """The fields of a verdict: state, how, and for an unbroken module the seconds."""
        return (self._lines(name) + [''])[1].split('\t')

    def is_green(self, name):
        """Whether a test has passed on the module without a mutant."""
        return self.get(name)[0] == 'survived'

    def keep(self, name, key, *verdict):
        files.write(key + '\n' + '\t'.join(verdict) + '\n', self.folder, name)

    def forget(self, name):
        if self.exists(name):
            os.remove(os.path.join(self.folder, name))


def judged(mutant, state, how):
    """(state, how), after taking into account the reason of an equivalent mutant."""
    reason = mutant.field('Equivalent')
    if reason and state == 'survived':
        return 'explained', reason
    return ('not-equivalent', how) if reason and state == 'killed' else (state, how)


def result_row(mutant, key, state, how):
    return (mutant.name, mutant.field('Invariant'), '; '.join(mutant.fields.get('Test', [])),
            mutant.module, mutant.kernel, state, how, short_key(key))


def recorded():
    """The rows of results/mutants.tsv by the names of their mutants."""
    rows = [line.split('\t') for line in files.read(RESULTS).splitlines()[1:]]
    return {row[0]: row for row in rows}


# --- results of the guest ---------------------------------------------------

def log_between(lines, name):
    """The lines of the kernel log between the markers of one line of the queue."""
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
    """A line of a log without the numbers that differ from run to run."""
    for was, now in ((r'\[ *[0-9]+\.[0-9]+\] *', ''), (r'CPU: [0-9]+ PID: [0-9]+ ', ''),
                     (r' \(Tainted: [^)]*\)', '')):
        line = re.sub(was, now, line, count=1)
    line = re.sub('0x[0-9a-f]+/0x[0-9a-f]+ ?', '', line)
    line = re.sub('(0x)?[0-9a-f]{16}', 'ADDRESS', line)
    return re.sub(', CPU#[0-9]+.*', '', line, count=1)[:120]


def verdict(report, result):
    """(state, how). @report: the findings of logcheck in the log. @result: the guest's line, split."""
    if report:
        # the line after "cut here" has the message
        at = 1 if report[0][0] == 'cut-here' and len(report) > 1 else 0
        return 'killed', f'kernel log: {tidy(report[at][1])}'
    if not result:
        return 'killed', 'the machine died'
    word, detail = result[1:3]
    if word == 'pass':
        return 'survived', detail
    return ('not-run' if word in ('no-load', 'skip') else 'killed'), f'{word} {detail}'


def is_time_to_end(size, judge):
    """Decide when to end a machine after a report in its log.

    The guest runs no test after the one that left a report, and the result of the mutant is known
    then. A machine that has not ended the test half a minute after the report is stopped. The log
    is judged a second time then, because it may first have ended in the middle of a foreign report.

    This is a generator, which the caller asks each five seconds. @size() is the size of the log,
    None if there is none. @judge() says whether the log is clean.
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
    """Whether two modules have the same code and data. Sections that only name sources do not count."""
    parts = [os.path.join(work, name) for name in ('unbroken.part', 'mutant.part')]
    for module, part in zip((one, other), parts):
        subprocess.run(['objcopy', '--strip-debug', '-R', '.modinfo', '-R', '.note*', '-R', '.BTF', '-R', '.BTF.ext',
                        module, part], check=True)
    return contents(parts[0]) == contents(parts[1])
