# SPDX-License-Identifier: GPL-2.0-only
"""Judge a kernel log: the implementation of tools/vm/logcheck."""

import re
import sys
from collections import namedtuple

from iou2 import cli, selftest

# The maximum number of lines that are reported of one log.
MOST = 60

# A name, a POSIX extended regular expression, which the guest gives to grep, and a sample line that
# it must match.
Pattern = namedtuple('Pattern', 'name expression sample')
PATTERNS = (
    Pattern('bug', r'\<BUG\>',
            'BUG: unable to handle page fault for address: ffffc90000abc000'),
    Pattern('bug-slab', r'\<BUG [a-z]',
            'BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten'),
    Pattern('bug-at', 'kernel BUG at ',
            'kernel BUG at mm/slub.c:4123!'),
    Pattern('warning', r'\<WARNING: ',
            'WARNING: CPU: 0 PID: 211 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110'),
    Pattern('warning-7', r'\<WARNING: .* at ',
            'WARNING: fs/file.c:12 at filp_close+0x2c/0x90, CPU#1: ring/321'),
    Pattern('cut-here', r'cut here \]',
            '------------[ cut here ]------------'),
    Pattern('oops', r'\<Oops\>',
            'Oops: 0002 [#1] PREEMPT SMP NOPTI'),
    Pattern('panic', 'Kernel panic',
            'Kernel panic - not syncing: Fatal exception'),
    Pattern('gpf', 'general protection fault',
            'general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP'),
    Pattern('paging', '[Uu]nable to handle',
            'Unable to handle kernel NULL pointer dereference at 0000000000000008'),
    Pattern('kasan', r'\<KASAN:',
            'BUG: KASAN: slab-use-after-free in ring_free+0x12/0x40 [iouring2]'),
    Pattern('kcsan', r'\<KCSAN:',
            'BUG: KCSAN: data-race in cq_post / cq_flush'),
    Pattern('kfence', r'\<KFENCE:',
            'BUG: KFENCE: use-after-free read in ring_free+0x12/0x40'),
    Pattern('ubsan', r'\<UBSAN:',
            'UBSAN: array-index-out-of-bounds in module/cq.c:12:3'),
    Pattern('lockdep', 'possible (recursive locking|circular locking|irq lock inversion|deadlock)',
            'WARNING: possible recursive locking detected'),
    Pattern('lockdep-state', 'inconsistent lock state',
            'WARNING: inconsistent lock state'),
    Pattern('lockdep-unsafe', 'lock order detected',
            'HARDIRQ-safe -> HARDIRQ-unsafe lock order detected'),
    Pattern('lockdep-deadlock', r'\*\*\* DEADLOCK \*\*\*',
            ' *** DEADLOCK ***'),
    Pattern('lockdep-freed', 'held lock freed',
            'WARNING: held lock freed!'),
    Pattern('lockdep-balance', 'bad unlock balance',
            'WARNING: bad unlock balance detected!'),
    Pattern('lockdep-held', 'lock held when returning',
            'WARNING: lock held when returning to user space!'),
    Pattern('lockdep-wait', '[Ii]nvalid wait context',
            '[ BUG: Invalid wait context ]'),
    Pattern('lockdep-key', 'INFO: trying to register non-static key',
            'INFO: trying to register non-static key.'),
    Pattern('lockdep-off', 'turning off the locking correctness validator',
            'turning off the locking correctness validator.'),
    Pattern('lockdep-warn', 'DEBUG_LOCKS_WARN_ON',
            'DEBUG_LOCKS_WARN_ON(lock->magic != lock)'),
    Pattern('rcu-usage', 'suspicious RCU',
            'WARNING: suspicious RCU usage'),
    Pattern('rcu-stall', 'rcu.*(detected stalls|self-detected stall|detected expedited stalls)',
            'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:'),
    Pattern('rcu-tasks-stall', 'rcu_tasks.* detected stalls',
            'INFO: rcu_tasks detected stalls on tasks:'),
    Pattern('soft-lockup', 'soft lockup',
            'watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [ring:312]'),
    Pattern('hard-lockup', 'hard LOCKUP',
            'NMI watchdog: Watchdog detected hard LOCKUP on cpu 1'),
    Pattern('hung-task', 'INFO: task .* blocked (for more than|in I/O wait)',
            'INFO: task ring:312 blocked for more than 120 seconds.'),
    Pattern('workqueue-lockup', 'workqueue lockup',
            'BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!'),
    Pattern('workqueue-flush', 'workqueue: .* is flushing',
            'workqueue: WQ_MEM_RECLAIM iouring2:work is flushing !WQ_MEM_RECLAIM events:work'),
    Pattern('atomic', 'scheduling while atomic',
            'BUG: scheduling while atomic: ring/312/0x00000002'),
    Pattern('sleeping', 'sleeping function called from invalid context',
            'BUG: sleeping function called from invalid context at kernel/locking/mutex.c:283'),
    Pattern('preempt-leak', 'exited with (preempt_count|irqs disabled)',
            'note: ring[312] exited with preempt_count 1'),
    Pattern('lock-leak', 'leaked (lock|atomic)',
            'BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000000/10'),
    Pattern('kmemleak', 'kmemleak: [0-9]+ new suspected memory leaks',
            'kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'),
    Pattern('kmemleak-report', 'kmemleak-report: ',
            'kmemleak-report: unreferenced object 0xffff888103a1b000 (size 64):'),
    Pattern('kmemleak-lost', 'kmemleak: (Cannot|Memory pool empty|Unknown object)',
            'kmemleak: Cannot insert 0xffff888103a1b000 into the object search tree (overlaps existing)'),
    Pattern('refcount', 'refcount_t: ',
            'refcount_t: underflow; use-after-free.'),
    Pattern('list', 'list_(add|del)[a-z_]* corruption',
            'list_add corruption. prev->next should be next'),
    Pattern('odebug', r'\<ODEBUG: ',
            'ODEBUG: free active (active state 0) object: 000000001 object type: timer_list'),
    Pattern('slab-left', 'Objects remaining',
            'Objects remaining in iouring2_req on __kmem_cache_shutdown()'),
    Pattern('slab-cache', 'kmem_cache_(destroy|sanity_check|create)',
            'kmem_cache_destroy iouring2_req: Slab cache still has objects'),
    Pattern('double-free', 'double.free',
            'Possible double free detected'),
    Pattern('page-state', 'Bad (page state|rss-counter|page map|swap)',
            'Bad rss-counter state mm:00000000 type:MM_FILEPAGES val:1'),
    Pattern('page-alloc', 'page allocation (failure|stalls)',
            'ring: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL), nodemask=(null)'),
    Pattern('vfs-close', 'VFS: Close: file count is',
            'VFS: Close: file count is 0'),
    Pattern('vfs-busy', 'VFS: Busy inodes',
            'VFS: Busy inodes after unmount of tmpfs. Self-destruct in 5 seconds.'),
    Pattern('percpu-ref', 'percpu ref .* <= 0',
            'percpu ref (ring_release) <= 0 (-1) after switching to atomic'),
    Pattern('unregister', 'unregister_netdevice: waiting',
            'unregister_netdevice: waiting for lo to become free. Usage count = 2'),
    Pattern('sysfs-twice', 'cannot create duplicate filename',
            "sysfs: cannot create duplicate filename '/class/misc/iouring2'"),
    Pattern('kobject', "kobject(_add_internal failed|: '.*is not initialized)",
            'kobject_add_internal failed for iouring2 with -EEXIST'),
    Pattern('module-left', '(module|Module) .* (still in use|is being removed)',
            '__module_put: module iouring2 is being removed twice'),
    Pattern('stack', 'stack (guard page was hit|overflow|protector)',
            'kernel stack overflow (double-fault)'),
    Pattern('usercopy', 'usercopy: ',
            'usercopy: Kernel memory exposure attempt detected from SLUB object'),
    Pattern('nx', 'kernel tried to execute',
            'kernel tried to execute NX-protected page - exploit attempt?'),
    Pattern('assert', 'iouring2: (BUG|ASSERT|assertion|bug)',
            'iouring2: assertion failed: state == LIVE'),
)

# Harmless lines of stock kernels, as exact as possible, each with a reason and a line that was seen.
HARMLESS = (
    # 5.10 warns on each mount with mandatory locks that they will be removed.
    Pattern('mand', 'WARNING: the mand mount option is being deprecated and',
            '[   57.251462] WARNING: the mand mount option is being deprecated and'),
)


def compiled(expression):
    """Compile a POSIX extended regular expression."""
    for posix, python in ((r'\<', r'\b(?=\w)'), (r'\>', r'\b(?<=\w)'), ('[:space:]', r'\s'),
                          ('[:digit:]', '0-9'), ('[:alpha:]', 'A-Za-z'), ('[:alnum:]', 'A-Za-z0-9'),
                          ('[:upper:]', 'A-Z'), ('[:lower:]', 'a-z'), ('[:xdigit:]', '0-9A-Fa-f')):
        expression = expression.replace(posix, python)
    return re.compile(expression)


EXPRESSIONS = [(pattern.name, compiled(pattern.expression)) for pattern in PATTERNS]


def name_of(line):
    """The name of the first pattern that matches a line, None if none does."""
    return next((name for name, expression in EXPRESSIONS if expression.search(line)), None)


# --- data races -------------------------------------------------------------

# The whole KCSAN kernel is instrumented, and has races of its own, which any read of a file may
# show. A report is about the module if one of the two innermost functions of either access is in
# the module. Another report is foreign, and only named on standard error. The second function
# counts because a helper may race on the module's data. It does not count if the innermost
# function has races of its own:
# - the functions of the workqueue, which race with their threads by design;
# - a sleep with a timer, which races with the timer's end over a variable on its stack;
# - a file's poll method, which reads the file's state without its locks, as for poll(2) (vfs_poll()
#   is inlined);
# - tmpfs's read, which reads the flags of a page without its lock.
# A report without its stacks or without its end is not foreign.
RACE = re.compile('BUG: KCSAN: ')
RACE_END = re.compile('Reported by Kernel Concurrency Sanitizer')
ACCESS = re.compile(' (by (task|interrupt)|unknown origin)')
FRAME = re.compile(r'\] +[^ ]+\+0x[0-9a-f]+/0x')
BY_DESIGN = re.compile(r' (__queue_work|queue_work_on|queue_delayed_work_on|'
                       r'schedule_hrtimeout_range_clock|[a-z0-9_]+_poll|shmem_file_read_iter)\+')


def is_foreign(report):
    """Whether a whole report of a race is not about the module."""
    depth, frames = 9, 0
    for line in report:
        if ACCESS.search(line):
            depth = 0
        if FRAME.search(line):
            frames += 1
            depth += 1
            if depth <= 2 and '[iouring2]' in line:
                return False
            if depth == 1 and BY_DESIGN.search(line):
                depth = 9
    return frames > 0


def without_foreign_races(lines, say):
    report = []
    for line in lines:
        if RACE.search(line):
            yield from report
            report = [line]
        elif not report:
            yield line
        else:
            report.append(line)
            if RACE_END.search(line):
                if is_foreign(report):
                    say(f'logcheck: ignored, not about the module: {report[0]}')
                else:
                    yield from report
                report = []
    yield from report


# --- judging ----------------------------------------------------------------

def judge(lines, allowed=(), say=lambda text: None):
    """[(name of the pattern, line)], the findings in a log."""
    expected = [*allowed, *(compiled(pattern.expression) for pattern in HARMLESS)]
    found = {}
    for line in without_foreign_races(lines, say):
        if line in found or any(expression.search(line) for expression in expected):
            continue
        name = name_of(line)
        if name:
            found[line] = name
            if len(found) == MOST:
                break
    return [(name, line) for line, name in found.items()]


def read_log(path):
    """The lines of a log, which may have any bytes."""
    with open(path, encoding='utf-8', errors='surrogateescape', newline='\n') as f:
        text = f.read().replace('\r', '').replace('\0', '')
    return text.removesuffix('\n').split('\n')


# --- command line -----------------------------------------------------------

def complain(text):
    print(text, file=sys.stderr)


def expected_line(text):
    cli.expression(text)
    return compiled(text)


def main(doc):
    p = cli.Parser(doc)
    p.add_argument('--allow', action='append', default=[], type=expected_line)
    p.add_argument('--patterns', action='store_true')
    p.add_argument('--selftest', action='store_true')
    p.add_argument('files', nargs='*')
    a = p.parse_args()
    if a.selftest:
        return selftest.run('test_logcheck')
    if a.patterns:
        for pattern in PATTERNS:
            print(pattern.expression)
        return 0
    if not a.files:
        p.error('FILE is missing')
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors='surrogateescape')
    status = 0
    for path in a.files:
        try:
            lines = read_log(path)
        except OSError:
            complain(f'logcheck: cannot read {path}')
            return 2
        for name, line in judge(lines, a.allow, complain):
            print(f'{name}: {line}')
            status = 1
    return status
