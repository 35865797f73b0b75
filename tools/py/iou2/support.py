# SPDX-License-Identifier: GPL-2.0-only
"""What the module supports: results/support.tsv and docs/support.md, the implementation of tools/support.

The names come from the header, what works from the module's own tables, and the reasons why
something is refused from a small table. The selftest "support" asks the loaded module, and prints a
line for each answer. So tools/check can compare the answers on each kernel with the table.
"""

import errno
import os
import re
import sys
from collections import Counter, namedtuple

from iou2 import TOP, cli, files, kernels
from iou2.files import read, write

HEADER = os.path.join(TOP, 'uapi/linux/iouring2.h')
REASONS = os.path.join(TOP, 'tools/support-reasons.tsv')
TABLE = os.path.join(TOP, 'results/support.tsv')
PAGE = os.path.join(TOP, 'docs/support.md')
SQE_ROWS = os.path.join(TOP, 'selftests/lib/sqe_rows.h')

# The kinds of rows, and what the page calls them.
KINDS = {
    'opcode': 'opcodes',
    'setup': 'set-up flags',
    'feature': 'feature bits',
    'enter': 'ENTER flags',
    'sqe': 'SQE flags',
    'register': 'register opcodes',
}
WORKS, NOT_YET = 'works', 'not yet'
# Where the module has the table of a kind: a file, and a macro whose flags these are, or None if the
# file has rows "[CONSTANT]".
TABLES = {
    'opcode': ('module/op/opdef.c', None),
    'setup': ('module/setup.h', 'IO2_SETUP_FLAGS'),
    'feature': ('module/setup.h', 'IO2_FEATURES'),
    'enter': ('module/wait.h', 'IO2_ENTER_FLAGS'),
    'sqe': ('module/op/opdef.h', 'IO2_SQE_FLAGS'),
    'register': ('module/register.c', None),
}
# How the module refuses what it does not support. A feature is only not reported.
REFUSED_WITH = {'opcode': 'EOPNOTSUPP', 'feature': '-'}
# Results of the selftest that are no result of a request, as it calls them.
NO_RESULT = {-5000: 'NEVER', -5001: 'SILENT', -5002: 'REFUSED'}
# The column of the kernel on which the SQE's results are recorded.
NEWEST = '7.x'

Answer = namedtuple('Answer', 'release kind number error')
SqeRow = namedtuple('SqeRow', 'release op field mask result flags')


# --- the header ---------------------------------------------------------------

def original(text):
    """io_uring's names in a text that has those of iouring2.h."""
    for ours, theirs in (('IOURING2_SQE_', 'IOSQE_'), ('IOURING2_', 'IORING_'), ('iouring2_', 'io_uring_')):
        text = re.sub(rf'\b{ours}', theirs, text)
    return text


def enumerators(text, tag):
    """[(name, number)] of the enum with this tag."""
    body = re.search(rf'enum {tag} \{{(.*?)\n\}}', text, re.S)
    found, after = [], -1
    for item in re.sub(r'/\*.*?\*/', '', body[1] if body else '', flags=re.S).split(','):
        name, _, value = (part.strip() for part in item.partition('='))
        if name:
            after = number(value, {}) if value else after + 1
            found.append((name, after))
    return found


def number(text, known):
    """The value of "5", "1U << 3" or "1U << NAME"."""
    text = re.sub(r'(?<=\d)[UuLl]+', '', text.strip('() \t'))
    left, shift, right = text.partition('<<')
    if not shift:
        return int(left, 0)
    right = right.strip()
    return int(left, 0) << (known[right] if right in known else int(right, 0))


def bits(text, prefix):
    """[(name, bit)] of the constants "#define PREFIX_NAME (1U << bit)"."""
    known = dict(enumerators(text, 'io_uring_sqe_flags_bit'))
    defined = re.findall(rf'^#define[ \t]+({prefix}\w+)(?:[ \t]|\\\n)+(\(1U?L*[ \t]*<<.*\))', text, re.M)
    return [(name, number(value, known).bit_length() - 1) for name, value in defined]


def names(header):
    """{(kind, number): name} of io_uring.h, or of iouring2.h with io_uring's names. A flag's
    number is that of its bit. What iouring2.h has for itself is left out.
    """
    text = original(header)
    found = {
        'opcode': enumerators(text, 'io_uring_op'),
        'setup': bits(text, 'IORING_SETUP_'),
        'feature': bits(text, 'IORING_FEAT_'),
        'enter': [(name, bit) for name, bit in bits(text, 'IORING_ENTER_')
                  if not re.match('IORING_ENTER_(BY_|FADVISE$)', name)],
        'sqe': bits(text, 'IOSQE_'),
        'register': enumerators(text, 'io_uring_register_op'),
    }
    return {(kind, value): name for kind in KINDS for name, value in found[kind] if not name.endswith('_LAST')}


# --- what the module has answered -----------------------------------------------

def printed(text, word):
    """The columns of the lines of this kind. kselftest's runner may put "# " before them."""
    for line in text.replace('\r', '').split('\n'):
        found = re.match(rf'(?:# )+{word}\t(.*)', line)
        if found:
            yield found[1].split('\t')


def answers(text):
    """The answers in the output of the selftest."""
    return [Answer(release, kind, int(value), int(error))
            for release, kind, value, error in printed(text, 'support')]


def sqe_rows(text):
    return [SqeRow(release, int(op), field, int(mask, 0), int(result), int(flags, 0))
            for release, op, field, mask, result, flags in printed(text, 'sqe')]


def columns():
    """The kernels with a column: {name: expression that matches its releases}. A series that is
    packaged for two releases of Debian has one column.
    """
    return {row.name: row.series for row in kernels.targets('deb') if '-' not in row.name}


def column_of(release):
    """The column of a kernel's release ("uname -r"), None if it has none."""
    return next((name for name, series in columns().items() if re.match(series, release)), None)


# --- what the module has ------------------------------------------------------

def rows_of(text, needs=''):
    """The constants that have a row "[CONSTANT]" in a table, with io_uring's names. @needs: what
    the row has to contain.
    """
    rows = re.findall(r'^\t\[(\w+)\](.*?)(?=^(?:\t\[|\S))', original(text), re.M | re.S)
    return {name for name, body in rows if needs in body}


def flags_of(text, macro):
    """The constants of which a macro consists, with io_uring's names."""
    body = re.search(rf'^#define[ \t]+{macro}\b((?:.*\\\n)*.*)', text, re.M)
    return set(re.findall(r'\bIO(?:RING|SQE)_\w+', original(body[1]))) if body else set()


def supported():
    """The names of what the module has in its tables."""
    found = set()
    for kind, (file, macro) in TABLES.items():
        text = read(TOP, file)
        # a row of an opcode without prep is of one that is not supported
        found |= flags_of(text, macro) if macro else rows_of(text, 'prep' if kind == 'opcode' else '')
    # SQE flags that only some opcodes accept
    rows = original(read(TOP, 'module/op/opdef.c')).partition('\nconst struct io2_op io2_ops[')[2]
    return found | set(re.findall(r'\bIOSQE_\w+', rows))


# --- the table --------------------------------------------------------------

def read_reasons(text):
    """{(name, kernel): reason}. The kernel "all" stands for each."""
    lines = [line.split('\t') for line in text.splitlines() if line and not line.startswith('#')]
    return {(name, kernel): reason for name, where, reason in lines for kernel in where.split(',')}


def reason_of(reasons, name, kernel):
    return reasons.get((name, kernel)) or reasons.get((name, 'all'))


def errno_name(error):
    """The name of an error, "-" for what is no error, as of a feature that is not reported."""
    # errno.errorcode has the last one of two names for a number
    return {errno.EOPNOTSUPP: 'EOPNOTSUPP', errno.EAGAIN: 'EAGAIN'}.get(-error) or errno.errorcode.get(-error, '-')


def cell(kind, works, reason):
    """The text of a cell."""
    if reason:
        return f'refused ({REFUSED_WITH.get(kind, "EINVAL")}, {reason})'
    return WORKS if works else NOT_YET


def make_table(known, works, reasons):
    """{(kind, name): {kernel: cell}}, in the order of the header."""
    return {(kind, name): {kernel: cell(kind, name in works, reason_of(reasons, name, kernel)) for kernel in columns()}
            for (kind, _), name in known.items()}


def read_table(text):
    """{(kind, name): {kernel: cell}}."""
    lines = [line.split('\t') for line in text.splitlines()]
    if not lines:
        return {}
    return {(row[0], row[1]): dict(zip(lines[0][2:], row[2:])) for row in lines[1:]}


def table_text(table):
    lines = [['kind', 'name', *columns()], *([*row, *cells.values()] for row, cells in table.items())]
    return ''.join('\t'.join(line) + '\n' for line in lines)


# --- problems ---------------------------------------------------------------

def source_problems(known, works, reasons):
    """Names that do not fit together."""
    rows = set(known.values())
    for name in sorted(works - rows):
        yield f'{name} is in a table of the module, and not in the header'
    for name, kernel in sorted(reasons):
        if name not in rows:
            yield f'tools/support-reasons.tsv: {name} is not in the header'
        elif kernel == 'all' and name in works:
            yield f'{name} works, but tools/support-reasons.tsv says why it does not'
        elif kernel != 'all' and kernel not in columns():
            yield f'tools/support-reasons.tsv: {name}: there is no kernel {kernel}'


def outdated(text):
    """Differences between the answers in the output of the selftest and the recorded table."""
    found, known = answers(text), names(read(HEADER))
    table = read_table(read(TABLE))
    for a in found:
        name, kernel = known.get((a.kind, a.number)), column_of(a.release)
        if not name or not kernel:
            continue
        says = table.get((a.kind, name), {}).get(kernel, '')
        error = re.match(r'refused \((-|E\w+),', says)
        if (says == WORKS) != (not a.error) or error and error[1] != errno_name(a.error):
            now = 'works' if not a.error else f'fails with {errno_name(a.error)}'
            yield f'{kernel}: {name} {now}, and results/support.tsv, which tools/support makes, says "{says}"'


def problems():
    """What is wrong with the recorded files."""
    known, works, reasons = names(read(HEADER)), supported(), read_reasons(read(REASONS))
    yield from source_problems(known, works, reasons)
    table = make_table(known, works, reasons)
    if table_text(table) != read(TABLE):
        yield 'results/support.tsv is out of date: run tools/support'
    if page(read(PAGE), table, known) != read(PAGE):
        yield 'docs/support.md is out of date: run tools/support'


# --- the page ---------------------------------------------------------------

def marked(text, name, new):
    """The text with the part between the markers of this name replaced."""
    begin, end = f'<!-- {name}: begin -->\n', f'<!-- {name}: end -->\n'
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f'docs/support.md must have one pair of markers "{name}"')
    head, rest = text.split(begin)
    return f'{head}{begin}\n{new}\n{end}{rest.split(end)[1]}'


def short(text):
    """A cell for the page, where the reasons are below the table."""
    return re.sub(r'^refused \((\S+), .*', r'\1', text) if text.startswith('refused') else text


def rows_of_page(table, known, kind):
    """A table of one kind, and the reasons of its rows."""
    rows = [(name, table.get((kind, name), {})) for (k, _), name in known.items() if k == kind]
    yield f'| {KINDS[kind]} | ' + ' | '.join(columns()) + ' |'
    yield '|---' * (len(columns()) + 1) + '|'
    for name, cells in rows:
        yield f'| `{name}` | ' + ' | '.join(short(cells.get(kernel, '')) for kernel in columns()) + ' |'
    why = {}
    for name, cells in rows:
        for kernel, text in cells.items():
            found = re.match(r'refused \(\S+, (.*)\)', text)
            if found:
                why.setdefault((name, found[1]), []).append(kernel)
    if why:
        yield ''
    for (name, reason), where in why.items():
        on = '' if len(where) == len(columns()) else f' (on {", ".join(where)})'
        yield f'- `{name}`{on}: {reason}'


def summary(table):
    """How many rows of each kind work on each kernel."""
    yield '| kind | in the header | ' + ' | '.join(f'work on {kernel}' for kernel in columns()) + ' |'
    yield '|---' * (len(columns()) + 2) + '|'
    for kind, heading in KINDS.items():
        rows = [cells for (k, _), cells in table.items() if k == kind]
        count = Counter(kernel for cells in rows for kernel, text in cells.items() if text == WORKS)
        yield f'| {heading} | {len(rows)} | ' + ' | '.join(str(count[k]) for k in columns()) + ' |'


def page(text, table, known):
    """The page with the tables of today."""
    text = marked(text, 'summary', '\n'.join(summary(table)) + '\n')
    for kind in KINDS:
        text = marked(text, kind, '\n'.join(rows_of_page(table, known, kind)) + '\n')
    return text


# --- recorded results of io_uring --------------------------------------------

def sqe_rows_text(rows, known):
    """The text of selftests/lib/sqe_rows.h."""
    lines = ['/* SPDX-License-Identifier: GPL-2.0-only */',
             '/* Made by tools/support: the results of io_uring of 7.x, for support_test.c */']
    for r in rows:
        op = known['opcode', r.op].replace('IORING_', 'IOURING2_')
        result = NO_RESULT.get(r.result) or (
            str(r.result) if errno_name(r.result) == '-' else f'-{errno_name(r.result)}')
        lines.append(f'ROW({op}, "{r.field}", {r.mask:#x}, {result}, {r.flags:#x})')
    return '\n'.join(lines) + '\n'


# --- command line ------------------------------------------------------------

def save():
    """Make the recorded files from the sources."""
    known = names(read(HEADER))
    table = make_table(known, supported(), read_reasons(read(REASONS)))
    write(table_text(table), TABLE)
    write(page(read(PAGE), table, known), PAGE)


def compare(texts):
    """Keep what io_uring of 7.x has answered in these outputs, and compare the rest with the table."""
    known = names(read(HEADER))
    for text in texts:
        rows = [r for r in sqe_rows(text) if column_of(r.release) == NEWEST]
        if rows:
            write(sqe_rows_text(rows, known), SQE_ROWS)
        yield from outdated(text)


def run_tests(names_of_kernels):
    """Run the selftest in virtual machines. Returns the paths of its output."""
    files.run(os.path.join(TOP, 'tools/check'), '--kernels', ' '.join(names_of_kernels),
              '--tests', '^support$', '--no-debug')
    # the selftest fails as long as sqe_rows.h is out of date
    return [os.path.join(TOP, 'build/check', name, 'boot/output.log') for name in names_of_kernels]


def main(doc):
    parser = cli.Parser(doc)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--run', action='store_true')
    parser.add_argument('logs', nargs='*')
    o = parser.parse_args()
    if o.check and (o.run or o.logs):
        parser.error('--check takes no other argument')
    if not o.check:
        save()
        logs = o.logs + (run_tests(list(columns())) if o.run else [])
        for path in logs:
            if not answers(read(path)):
                sys.exit(f'support: {path} has no answers of the selftest "support"')
    bad = list(problems() if o.check else compare([read(path) for path in logs]))
    print(''.join(line + '\n' for line in bad), end='')
    return 1 if bad else 0
