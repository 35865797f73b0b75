# SPDX-License-Identifier: GPL-2.0-only
"""Run all tests: the implementation of tools/check, whose usage describes it."""

import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

from iou2 import TOP, cli, clock, files, kernels, ktap, matrix, plan, report, support
from iou2.files import last_line, read, tail, write
from iou2.report import row

OUT = os.path.join(TOP, 'build/check')
MATRIX = 'files.tsv'    # what the programs files_* record, in the folder of a machine

# Seconds for one machine. Instrumented kernels are slower.
STOCK_LIMIT = 1500
DEBUG_LIMIT = 3600
# Seconds of fuzzing, on the KASAN kernel.
FUZZ_SECONDS = 120
LONG_LIMIT = 5400
# With --long: seconds of a storm, and seconds for one test program.
LONG_STORM = 120
LONG_TEST = 1800
# Seconds after the deadline: a machine begins no program after DEADLINE_BEGIN, and is stopped
# after DEADLINE_END. Failed programs run once more even then, and may take AGAIN_MORE seconds more:
# a program that fails once because the machine is busy should not decide the run.
DEADLINE_BEGIN = 300
DEADLINE_END = 600
AGAIN_MORE = 600
# Seconds for building a debug kernel with --tier all, so that all tests take about an hour.
BUILD_LIMIT = 1800
# Exit statuses of tools/vm/run.
LOG_IS_RED, MACHINE_FAILED = 99, 125
TIER0 = 'tier 0'


# --- decisions --------------------------------------------------------------

def processors():
    return len(os.sched_getaffinity(0))


def default_jobs(cpus):
    """The number of kernels at a time: one for each two processors, at least 2 if there are two."""
    return max((cpus + 1) // 2, min(cpus, 2))


def wanted_kernels(named, tier):
    if named:
        return list(dict.fromkeys(named))
    chosen = []
    if tier in ('1', 'all'):
        chosen += kernels.names('deb')
    if tier in ('2', 'debug', 'all'):
        chosen += ['kasan', kernels.KMEMLEAK]
    if tier in ('3', 'debug', 'all'):
        chosen += ['kcsan']
    return chosen


def running_order(names, debug):
    """The order of the kernels. kasan is first: it finds most, and takes so long that it would
    otherwise run alone at the end. Then come the newest and the oldest stock kernel, the kernels
    between them, and those of another release. The other debug kernels are last, because a short
    deadline leaves out the last ones. kmemleak is the last of all: it boots the kernel that kasan
    may have to build.
    """
    def rank(name):
        if name == 'kasan':
            return 0
        if name in ('7.x', '5.10'):
            return 1 if name == '7.x' else 2
        if '-' in name:
            return 4
        if name in debug:
            return 6 if name == kernels.KMEMLEAK else 5
        return 3
    return sorted(names, key=rank)


def time_left(limit, now, deadline, more=0):
    """(seconds that a machine may run, seconds after which it begins no program). The second
    is None without a deadline. A near deadline makes both shorter. more is added to it.
    """
    if not deadline:
        return limit, None
    limit = min(limit, deadline - now + DEADLINE_END + more)
    return limit, limit - DEADLINE_END + DEADLINE_BEGIN


def machine_row(kernel, folder, status, said):
    """The result of a machine, apart from the results of its tests."""
    if status == LOG_IS_RED:
        return row(kernel, '-', 'kernel log', '', 'fail', f'see build/check/{kernel}/{folder}')
    if status == MACHINE_FAILED:
        return row(kernel, '-', 'machine', '', 'fail', first_word(said))
    return row(kernel, '-', 'kernel log', '', 'pass')


def first_word(said):
    """The first error message of tools/vm/run."""
    return next((line for line in said.split('\n') if line.startswith('vm: ')), '')


def support_rows(kernel):
    """Whether what the selftest "support" has found on a kernel is what results/support.tsv says."""
    text = read(OUT, kernel, 'boot/output.log')
    if support.answers(text):
        wrong = list(support.outdated(text))
        yield row(kernel, '-', 'results/support.tsv', '', 'fail' if wrong else 'pass', '; '.join(wrong))


def is_planned_test(test):
    return '/' in test


def log_of(path):
    return ktap.read_log(path) if os.path.exists(path) else ktap.Log([])


class Check:
    """One run of tools/check."""

    def __init__(self, options):
        self.o = options
        self.deadline = options.deadline
        self.debug = kernels.debug_names()
        self.plan = []
        self.lock = None
        self.tarball = ''
        self.made = {}
        self.making = threading.Lock()

    def out_of_time(self):
        """Whether the deadline has passed, so that nothing more begins (IOURING2_DEADLINE)."""
        return self.deadline > 0 and clock.seconds() >= self.deadline

    def run(self, *command, **options):
        return files.run(*command, lock=self.lock, **options)

    # --- which kernels ---

    def is_debug(self, name):
        return name in self.debug

    def release_of(self, name):
        return kernels.find(name).release

    def why_not(self, name):
        """Why a kernel is not available here, None if it is."""
        found = subprocess.run(['tools/vm/prepare', '--skip', kernels.target_of(name)], check=False,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=TOP)
        return found.stdout.strip() if found.returncode == 0 else None

    def may_build(self, name):
        """Whether to build this kernel if it is missing."""
        return self.is_debug(name) and (self.o.tier == 'debug' or kernels.target_of(name) == 'kasan')

    def make_plan(self, names, turn=None):
        return plan.select_programs(names, self.o.tests, turn, repeat=self.o.repeat,
                                    debug_builds=not self.o.no_debug, long_form=self.o.long)

    def check_names(self, names):
        """Exit with "wrong usage" if a kernel is unknown, or if no program matches."""
        known = kernels.all_names()
        for name in names:
            if name not in known:
                cli.wrong_usage(f'unknown kernel {name}; known are: {" ".join(known)}')
        if names and not self.make_plan(names):
            cli.wrong_usage(f'--tests {self.o.tests.pattern} matches no program on {" ".join(names)}')

    def planned(self, name):
        return [test for kernel, test in self.plan if kernel == name and is_planned_test(test)]

    # --- tier 0 ---

    def judge_tools(self):
        """The results of the self-tests of the programs that judge the other results."""
        for tool in ('tools/vm/logcheck', 'tools/vm/ktap'):
            log = os.path.join(OUT, 'tier0', os.path.basename(tool) + '.log')
            if self.run(tool, '--selftest', output=log) == 0:
                yield row(TIER0, '-', f'{tool} --selftest', '', 'pass')
            else:
                bad = next((x for x in read(log).split('\n') if x.startswith('not ok')), '')
                yield row(TIER0, '-', f'{tool} --selftest', '', 'fail', bad)

    def run_tier0(self):
        begin = clock.seconds()
        clock.say(TIER0)
        os.makedirs(os.path.join(OUT, 'tier0'), exist_ok=True)
        log = os.path.join(OUT, 'tier0/output.log')
        status = self.run('tools/tier0', output=log)
        rows = list(report.tier0_rows(read(log))) + list(self.judge_tools())
        if status and all(r.result != 'fail' for r in rows):
            rows.append(row(TIER0, '-', 'tools/tier0', '', 'fail', f'exit status {status}'))
        write(report.lines(rows), OUT, 'tier0/rows.tsv')
        write(f'{TIER0}\t-\t(all)\t{clock.seconds() - begin}\n', OUT, 'tier0/times.tsv')
        clock.say(f'{TIER0}: {report.summary(rows)}')
        return rows

    # --- one kernel ---

    def took(self, name, what, seconds, module='-'):
        """Add a row to times.tsv."""
        with open(os.path.join(OUT, name, 'times.tsv'), 'a', encoding='utf-8') as f:
            print(name, module, what, seconds, sep='\t', file=f)

    def once(self, key, *command, folder):
        """Run a command once for all kernels that share its result. Returns its exit status."""
        with self.making:
            lock = self.made.setdefault(key, [threading.Lock(), None])
        with lock[0]:
            if lock[1] is None:
                os.makedirs(folder, exist_ok=True)
                lock[1] = self.run(*command, output=folder + '.err')
            return lock[1]

    def needs_debug(self, target):
        """Is there a test on the debug build?"""
        return any(kernels.target_of(name) == target and test.startswith('debug/') for name, test in self.plan)

    def build_module(self, name):
        target = kernels.target_of(name)
        folder = os.path.join(OUT, f'module-{target}')
        debug = ['--debug'] if self.needs_debug(target) else []
        if self.once(folder, 'tools/vm/build', target, self.tarball, folder, *debug, folder=folder):
            return [row(name, '-', 'module build', '', 'fail', f'see build/check/module-{target}.err')]
        rows = [] if self.is_debug(name) else [row(name, 'dkms', 'dkms install', '', 'pass')]
        return rows + ([row(name, 'debug', 'debug build', '', 'pass')] if debug else [])

    def programs(self):
        """The programs to build: those that --tests selects on any kernel; none stands for all."""
        if not self.o.tests:
            return []
        tests = {test.partition('/')[2] for _, test in self.plan if is_planned_test(test)}
        # modes_*.sh run other programs
        if any(test.startswith('modes_') for test in tests):
            return []
        return sorted(test for test in tests if os.path.exists(os.path.join(TOP, f'selftests/{test}_test.c')))

    def build_suite(self, name):
        """Build the selftests once for all kernels of a release."""
        release = self.release_of(name)
        folder = os.path.join(OUT, f'suite-{release}')
        if self.once(folder, 'tools/vm/suite', kernels.target_of(name), self.tarball,
                     folder + '/kselftest', *self.programs(), folder=folder):
            return [row(name, '-', 'selftests build', '', 'fail', f'see build/check/suite-{release}.err')]
        return [row(name, '-', 'selftests build', '', 'pass')]

    def loaded(self, *command, **options):
        """Run a command. With --load, busy loops use all processors meanwhile."""
        loads = [subprocess.Popen(['sh', '-c', 'while :; do :; done'], stdin=subprocess.DEVNULL)
                 for _ in range(processors() if self.o.load else 0)]
        try:
            return self.run(*command, **options)
        finally:
            for load in loads:
                load.kill()
                load.wait()

    def boot(self, name, folder, limit, tests, more=0):
        """Run these tests in a machine, with its logs in the folder. Returns tools/vm/run's status."""
        limit, begin_until = time_left(limit, clock.seconds(), self.deadline, more)
        env = self.o.env + ([f'IOURING2_SECONDS={begin_until}'] if self.deadline else [])
        target = kernels.target_of(name)
        os.makedirs(folder, exist_ok=True)
        return self.loaded(
            'tools/vm/run', '--kernel', target, '--module', tests[0].partition('/')[0],
            '--build', os.path.join(OUT, f'module-{target}'), '--in', os.path.join(OUT, name, 'in'),
            '--out', folder, '--timeout', str(limit),
            *(['--kmemleak'] if name == kernels.KMEMLEAK else []),
            '--', 'env', f'IOURING2_FILES_TSV=/out/{MATRIX}', *env, '/in/run-suite', '/in/kselftest', *tests,
            output='/dev/null', errors=os.path.join(folder, 'vm.err'))

    def keep_times(self, name, log, seconds):
        """Record the times of the programs, and the rest of the machine's time."""
        for module, program, took in log.times:
            self.took(name, program, took, module)
        self.took(name, '(machine)', seconds - sum(took for _, _, took in log.times))

    def run_tests(self, name):
        """Run a kernel's tests, and then the failed ones once more."""
        tests, folder, begin = self.planned(name), os.path.join(OUT, name), clock.seconds()
        limit = DEBUG_LIMIT if self.is_debug(name) else STOCK_LIMIT
        limit = (LONG_LIMIT if self.o.long else limit) * self.o.repeat
        status = self.boot(name, folder + '/boot', limit, tests)
        said = read(folder, 'boot/vm.err')
        first = log_of(folder + '/boot/output.log')
        self.keep_times(name, first, clock.seconds() - begin)
        again = []
        if self.o.repeat == 1 and ktap.may_try_again(status, said):
            again = first.to_run_again(tests)
        if not again:
            rows = first.results(tests)
            if status == MACHINE_FAILED and not os.path.exists(folder + '/boot/output.log'):
                rows = []   # the machine was not started: its one row stands for all tests
            return [row(name, *r) for r in ktap.table(rows)] + [*support_rows(name), machine_row(name, 'boot', status, said)]
        clock.say(f'{name}: running once more: {" ".join(again)}')
        second = self.boot(name, folder + '/again', limit, again, AGAIN_MORE)
        merged = ktap.merge(first, log_of(folder + '/again/output.log'), tests)
        rows = [row(name, *r) for r in ktap.table(merged)]
        rows += support_rows(name)
        rows.append(machine_row(name, 'again', second, read(folder, 'again/vm.err')))
        if status == MACHINE_FAILED:
            rows.append(row(name, '-', 'machine, first run', '', 'pass', 'flaky: ' + first_word(said)))
        return rows

    def run_fuzzer(self, name):
        """Run the fuzzer shortly, with the corpus of the tree as seeds."""
        begin, log = clock.seconds(), os.path.join(OUT, name, 'fuzz.log')
        status = self.run('suites/fuzz/run', '--kernel', name, '--seconds', str(FUZZ_SECONDS), '--out',
                          os.path.join(OUT, name, 'fuzz'), '--fresh', output=log)
        self.took(name, 'fuzz', clock.seconds() - begin)
        if status:
            return [row(name, 'coverage', 'fuzz', '', 'fail', f'see build/check/{name}/fuzz.log')]
        said = last_line(read(log))
        return [row(name, 'coverage', 'fuzz', '', 'pass', said.removeprefix('fuzz: '))]

    def run_bench(self, name):
        """Run bench/check, which fails if the core path has become slower."""
        begin, log = clock.seconds(), os.path.join(OUT, name, 'bench.log')
        status = self.run('bench/check', '--kernel', name, output=log)
        self.took(name, 'bench', clock.seconds() - begin)
        rows = list(report.bench_rows(name, read(log)))
        if status and all(r.result != 'fail' for r in rows):
            rows.append(row(name, 'normal', 'bench', '', 'fail', f'see build/check/{name}/bench.log'))
        return rows

    def part(self, name, what, function):
        """Run one part of a kernel's tests, unless the deadline has passed. Returns the rows."""
        if self.out_of_time():
            return [row(name, '-', what, '', 'skip', f'the deadline of {self.deadline} s has passed')]
        clock.say(f'{name}: {what}')
        rows = function(name)
        clock.say(f'{name}: {what}: {report.summary(rows)}')
        return rows

    def prepare_tests(self, name):
        """Build the module and the selftests, and copy them to the folder that the guest sees."""
        begin = clock.seconds()
        rows = self.build_module(name)
        if rows[-1].result == 'pass':
            rows += self.build_suite(name)
        if rows[-1].result == 'pass':
            target = kernels.target_of(name)
            debug = [os.path.join(OUT, f'module-{target}', 'debug.tar')] if self.needs_debug(target) else []
            subprocess.run(['cp', '-r', '--reflink=auto', '-t', os.path.join(OUT, name, 'in'),
                            'tools/vm/guest/run-suite', *debug,
                            os.path.join(OUT, f'suite-{self.release_of(name)}', 'kselftest')],
                           check=True, cwd=TOP)
            self.took(name, '(build)', clock.seconds() - begin)
        return rows

    def kernel_rows(self, name):
        rows = []
        if self.planned(name):
            rows += self.prepare_tests(name)
            if rows[-1].result != 'pass':
                return rows
            rows += self.part(name, 'tests', self.run_tests)
        if (name, 'bench') in self.plan:
            rows += self.part(name, 'bench', self.run_bench)
        if (name, 'fuzz') in self.plan:
            rows += self.part(name, 'fuzzing', self.run_fuzzer)
        return rows

    def make_debug_kernel(self, name):
        """Build a missing debug kernel, while other kernels run. Returns rows if it failed."""
        target, log = kernels.target_of(name), os.path.join(OUT, name, 'kernel.log')
        limit = 0 if self.o.tier == 'debug' else BUILD_LIMIT
        clock.say(f'{name}: building the {target} kernel')
        status = self.run('timeout', str(limit), 'tools/vm/debug-kernel', target, output=log)
        if status == 0:
            clock.say(f'{name}: {last_line(read(log))}')
            return []
        if status == 124:
            return [row(name, '-', 'all tests', '', 'skip',
                        f'the kernel build took more than {limit} s; make check-debug has no such limit')]
        return [row(name, '-', 'kernel build', '', 'fail', f'see build/check/{name}/kernel.log')]

    def run_kernel(self, name):
        os.makedirs(os.path.join(OUT, name, 'in'))
        if self.out_of_time():
            clock.say(f'{name}: skipped: the deadline has passed')
            return [row(name, '-', 'all tests', '', 'skip', f'the deadline of {self.deadline} s has passed')]
        why = self.why_not(name)
        if why is not None and self.may_build(name):
            rows = self.make_debug_kernel(name)
            if rows:
                return rows
            why = self.why_not(name)
        if why is not None:
            clock.say(f'{name}: skipped: {why}')
            return [row(name, '-', 'all tests', '', 'skip', why)]
        clock.say(f'{name}: building the module and the selftests')
        return self.kernel_rows(name)

    def run_job(self, name):
        """All rows of a kernel or of tier 0. A job without a row has failed."""
        rows = []
        try:
            rows = self.run_tier0() if name == TIER0 else self.run_kernel(name)
        except Exception:   # a defect of this program must not lose the results of other jobs
            traceback.print_exc()
        rows = rows or [row(name, '-', 'all tests', '', 'fail', 'no result')]
        if name != TIER0:
            write(report.lines(rows), OUT, name, 'rows.tsv')
        return rows

    # --- report ---

    def failure_log(self, r):
        """(log, number): the log whose last lines explain a failure, and how many of them."""
        folder = os.path.join(OUT, r.kernel)
        last = 'again' if os.path.exists(folder + '/again/vm.err') else 'boot'
        if r.test in ('kernel log', 'machine'):
            return read(folder, last, 'vm.err'), 60
        name = {'fuzz': 'fuzz.log', 'bench': 'bench.log', 'kernel build': 'kernel.log'}.get(r.test)
        if r.test == 'module build':
            return read(OUT, f'module-{kernels.target_of(r.kernel)}.err'), 40
        if r.test == 'selftests build':
            return read(OUT, f'suite-{self.release_of(r.kernel)}.err'), 40
        return (read(folder, name) if name else None), 40

    def failure_output(self, r):
        """The lines to print about a failure."""
        if r.kernel == TIER0:
            return list(report.tier0_output(read(OUT, 'tier0/output.log'), r.test))[-40:]
        text, number = self.failure_log(r)
        if text is not None:
            return tail(text, number)
        log = os.path.join(OUT, r.kernel, 'boot/output.log')
        if not os.path.exists(log):
            return []
        return [line for line in ktap.output_of(log, f'{r.module}/{r.test}')
                if not re.match('# (ok [0-9]|# +(RUN|OK) )', line)][-40:]

    def print_report(self, rows):
        for headline, about in report.failures(rows):
            print(f'\n{headline}')
            for line in self.failure_output(about) if about else []:
                print(f'    {line}')
        skipped = list(report.skips(rows))
        if skipped:
            print('\nSkipped:')
        for line in [*skipped, '', *report.table(rows), '']:
            print(line)
        for line in plan.slow(plan.read_times(os.path.join(OUT, 'times.tsv')), self.debug):
            print(f'Slow: {line}')
        for line in report.flaky(rows):
            print(line)
        sys.stdout.flush()

    # --- all of it ---

    def lock_tree(self):
        os.makedirs(os.path.join(TOP, 'build'), exist_ok=True)
        self.lock = files.Lock(TOP, 'build/check.lock')
        if not self.lock.take(wait=False):
            print('check: another tools/check runs in this tree', file=sys.stderr)
            sys.exit(2)

    def choose(self, names):
        """Plan the tests, and print the plan. Returns the kernels that have any."""
        self.plan = self.make_plan(names, self.o.turn)
        write(''.join(f'{kernel}\t{test}\n' for kernel, test in self.plan), OUT, 'plan.tsv')
        busy = {kernel for kernel, _ in self.plan}
        idle = [name for name in names if name not in busy]
        if idle:
            print(f'No tests to run on: {" ".join(idle)}')
        if names:
            for line in plan.show((f'{k}\t{t}' for k, t in self.plan), plan.this_suite(), self.o.turn):
                print(line)
        sys.stdout.flush()
        return [name for name in names if name in busy]

    def prepare(self, names):
        """Make the root file systems and kernels once, before the jobs need them."""
        clock.say(f'preparing: {" ".join(names)}')
        log = os.path.join(OUT, 'prepare.log')
        write('', log)
        with ThreadPoolExecutor(self.o.jobs) as pool:
            done = list(pool.map(lambda name: self.run('tools/vm/prepare', name, output=log, mode='a'),
                                 sorted({kernels.target_of(name) for name in names})))
        done.append(self.run('tools/vm/kselftest-src', output=log, mode='a'))
        if any(done):
            clock.say('preparing failed for some:')
            sys.stdout.flush()
            print('\n'.join(tail(read(log), 20)), flush=True)

    def make_tarball(self):
        if self.run('make', '-s', 'dist'):
            sys.exit('check: make dist failed')
        name = f'iouring2-{read(TOP, "VERSION").strip()}.tar.gz'
        self.tarball = os.path.join(OUT, name)
        shutil.copyfile(os.path.join(TOP, 'build', name), self.tarball)

    def main(self):
        files.end_with_children()
        chosen = wanted_kernels(self.o.kernels, self.o.tier)
        self.check_names(chosen)
        self.lock_tree()
        shutil.rmtree(OUT, ignore_errors=True)
        os.makedirs(OUT)
        chosen = self.choose(chosen)
        clock.say('installing host packages')
        if self.run('tools/hostdeps'):
            sys.exit("check: tools/hostdeps cannot install the host's packages")
        if chosen:
            self.prepare(chosen)
            self.make_tarball()
        order = running_order(chosen, self.debug)
        if self.o.with_tier0:
            order.insert(1 if order[:1] == ['kasan'] else 0, TIER0)
        with ThreadPoolExecutor(self.o.jobs) as pool:
            rows_of = dict(zip(order, pool.map(self.run_job, order)))
        rows = [r for name in [TIER0, *chosen] for r in rows_of.get(name, [])]
        write(report.lines(rows), OUT, 'results.tsv')
        times = [read(path) for path in sorted(glob.glob(os.path.join(OUT, '*/times.tsv')))]
        write(plan.COLUMNS + '\n' + ''.join(times), OUT, 'times.tsv')
        if self.o.save_files:
            matrix.save([os.path.join(OUT, name, boot, MATRIX) for name in chosen for boot in ('boot', 'again')])
        if self.o.save_times:
            plan.save_times(os.path.join(TOP, plan.TIMES),
                            plan.read_times(os.path.join(OUT, 'times.tsv')), plan.this_suite())
        self.print_report(rows)
        clock.say('done')
        total = report.summary(rows)
        write(total + '\n', OUT, 'total')
        print(total, flush=True)
        return report.status(rows)


# --- command line -----------------------------------------------------------

def names_in(text):
    return re.split('[ ,\n]+', text.strip(' ,\n')) if text.strip(' ,\n') else []


def setting(text):
    if not re.match('[A-Z][^=]*=', text):
        raise ValueError(text)
    return text


def options(doc, args=None):
    p = cli.Parser(doc)
    p.add_argument('--tier', choices=('0', '1', '2', '3', 'debug', 'all'))
    p.add_argument('--kernels', type=names_in, default=[])
    p.add_argument('--tests', type=cli.expression)
    p.add_argument('--jobs', type=cli.count, default=default_jobs(processors()))
    p.add_argument('--turn', type=int)
    p.add_argument('--repeat', type=cli.count, default=1)
    p.add_argument('--env', type=setting, action='append', default=[])
    for switch in ('--no-debug', '--long', '--load', '--save-files', '--save-times'):
        p.add_argument(switch, action='store_true')
    o = p.parse_args(args)
    # With --tests, tier 0 runs only if --tier asks for it.
    o.with_tier0 = o.tier in ('0', 'all') or not o.tier and not o.tests
    o.tier, o.tests = o.tier or 'all', o.tests or re.compile('.')
    if o.long:
        o.env = [f'IOURING2_STORM={LONG_STORM}', f'IOURING2_TEST_TIMEOUT={LONG_TEST}', *o.env]
    deadline = os.environ.get('IOURING2_DEADLINE', '') or '0'
    if not deadline.isdigit():
        p.error(f'IOURING2_DEADLINE is not a number of seconds: {deadline}')
    o.deadline = int(deadline)
    return o


def main(doc):
    for name in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS'):
        os.environ.pop(name, None)
    o = options(doc)
    os.chdir(TOP)
    return Check(o).main()
