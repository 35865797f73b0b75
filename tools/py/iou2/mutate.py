# SPDX-License-Identifier: GPL-2.0-only
"""Run the mutants: the implementation of tools/mutate, whose usage describes it."""

import concurrent.futures
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from iou2 import TOP, cli, clock, files, kernels, logcheck, mutants
from iou2.files import read, tail, write

WORK = os.path.join(TOP, 'build/mutants')
# Seconds for a test whose usual time is unknown.
UNKNOWN_LIMIT = 400
# The mutants that a machine runs before it asks for more. A small number keeps all machines busy at
# the end of a group; a large one needs fewer boots.
BATCH = 20


def say(text):
    clock.say(text, sys.stderr)


def short(path):
    return os.path.relpath(path, TOP)


def write_rows(rows, path):
    write(''.join('\t'.join(row) + '\n' for row in [mutants.COLUMNS, *rows]), path)


class Group:
    """The mutants of one kernel and one build of the module, with their working folder."""

    def __init__(self, kernel, module, members):
        self.kernel, self.module, self.members = kernel, module, members
        self.folder = os.path.join(WORK, f'{kernel}-{module}')
        self.base_done = threading.Event()
        self.base_good = False
        # guards the mutants that are built and not yet run, and whether there will be more
        self.changed = threading.Condition()
        self.built, self.complete = [], False

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def add_built(self, mutant):
        with self.changed:
            self.built.append(mutant)
            self.changed.notify_all()

    def end_built(self):
        with self.changed:
            self.complete = True
            self.changed.notify_all()

    def take_built(self, number):
        """Wait for this many mutants, or for the last ones. Returns them; none after the last."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.built) >= number or self.complete)
            taken, self.built = self.built[:number], self.built[number:]
            return taken

    def unbroken(self, test):
        """The name of the verdict about a test on the module without a mutant."""
        return f'unbroken-{self.kernel}-{self.module}-{test.program}.{test.test}'

    def __str__(self):
        return f'{self.kernel}, {self.module} build'


class Machine:
    """A virtual machine that runs mutants of a group, with its working folder."""

    def __init__(self, group, number):
        self.group = group
        self.folder = group.path(f'machine{number}')
        os.makedirs(self.path('in'))
        shutil.copytree(os.path.join(WORK, f'{group.kernel}-selftests/iouring2'), self.path('in/selftests'))
        shutil.copy('suites/mutants/guest', self.path('in'))
        for name, patterns in (('patterns', logcheck.PATTERNS), ('harmless', logcheck.HARMLESS)):
            write(''.join(pattern.expression + '\n' for pattern in patterns), self.path('in', name))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def link(self, module, name):
        """Give the guest a module of the group under this name."""
        to = self.path('in', name + '.ko')
        if os.path.exists(to):
            os.remove(to)
        os.link(self.group.path('ko', module + '.ko'), to)


class Mutate:
    """One run of tools/mutate."""

    def __init__(self, chosen, jobs, first=''):
        self.first, self.trial = first, ''
        self.mutants = {mutant.name: mutant for mutant in chosen}
        self.jobs = jobs
        self.verdicts = mutants.Verdicts(os.path.join(WORK, 'verdicts'))
        self.module = mutants.module_fingerprint()
        self.keys = {mutant.name: mutants.key_of(mutant) for mutant in chosen}
        self.lock = None
        self.failed = False
        self.red_base = False
        self.have_selftests = {}

    def run(self, *command, **options):
        return files.run(*command, lock=self.lock, **options)

    def record(self, mutant, state, how):
        state, how = mutants.judged(mutant, state, how)
        if self.trial:
            if state != 'killed':
                return      # its own kernel decides
            how += f', on {self.trial}'
        self.verdicts.keep(mutant.name, self.keys[mutant.name], state, how)
        say(f'{mutant.name}: {state}' + (f' ({how})' if how else ''))

    # --- building ---

    def copy_tree(self, to):
        """Copy the tracked files of the working tree, or the files of the unpacked tarball."""
        for name in files.tracked():
            os.makedirs(os.path.join(to, os.path.dirname(name)), exist_ok=True)
            shutil.copy2(name, os.path.join(to, name), follow_symlinks=False)

    def compile(self, group, log):
        debug = ['IOURING2_DEBUG=1'] if group.module == 'debug' else []
        return self.run('tools/vm/chroot', kernels.target_of(group.kernel), '--bind',
                        group.path('tree') + ':/obj', '--', 'sh', '-c',
                        'exec make -C "$KDIR" M=/obj -j"$(nproc)" "$@" modules', 'sh', *debug,
                        output=group.path(log)) == 0

    def build_base(self, group):
        """Build the module without a mutant, in the tree in which the mutants are compiled later."""
        os.makedirs(group.path('ko'))
        self.copy_tree(group.path('tree'))
        if not self.compile(group, 'base.log'):
            say(f'{group}: the module without a mutant does not build')
            print('\n'.join(tail(read(group.path('base.log')), 20)), file=sys.stderr, flush=True)
            return False
        shutil.copyfile(group.path('tree/iouring2.ko'), group.path('ko/unbroken.ko'))
        return True

    def build_mutant(self, group, mutant):
        """Build a mutant. Returns whether there is something to run."""
        tree, module = group.path('tree'), group.path('ko', mutant.name + '.ko')
        good, said = mutant.apply(tree, '--dry-run')
        if not good:
            self.record(mutant, 'did-not-apply', files.last_line(said))
            return False
        mutant.apply(tree)
        built = self.compile(group, mutant.name + '.log')
        if built:
            shutil.copyfile(group.path('tree/iouring2.ko'), module)
        mutant.apply(tree, '-R')
        if not built:
            errors = [line for line in read(group.path(mutant.name + '.log')).split('\n') if 'error' in line]
            self.record(mutant, 'did-not-build', errors[0] if errors else '')
            return False
        if mutants.same_code(group.path('ko/unbroken.ko'), module, tree):
            self.record(mutant, 'survived', 'the same machine code')
            return False
        return True

    def build_group(self, group):
        try:
            group.base_good = self.build_base(group)
            group.base_done.set()
            for mutant in group.members if group.base_good else []:
                if self.build_mutant(group, mutant):
                    group.add_built(mutant)
        finally:
            self.failed |= not group.base_good
            group.base_done.set()
            group.end_built()

    def build_selftests(self, kernel):
        """Build the selftests of a kernel once in each run."""
        if kernel not in self.have_selftests:
            tarball = f'build/iouring2-{read("VERSION").strip()}.tar.gz'
            self.have_selftests[kernel] = self.run('make', '-s', 'dist') == 0 and self.run(
                'tools/vm/suite', kernels.target_of(kernel), tarball,
                os.path.join(WORK, f'{kernel}-selftests')) == 0
        return self.have_selftests[kernel]

    # --- on this host ---

    def host_red(self, tree, mutant):
        """The first test of a mutant that fails in this tree, None if all pass."""
        return next((test.program for test in mutant.tests if self.run(
            os.path.join(tree, 'tools', test.program), output=os.path.join(tree, mutant.name + '.log'))), None)

    def run_host(self, group):
        tree = group.folder
        self.copy_tree(tree)
        for mutant in group.members:
            red = self.host_red(tree, mutant)
            if red:
                self.record(mutant, 'not-run', f'{red} fails without a mutant')
                continue
            good, said = mutant.apply(tree)
            if not good:
                self.record(mutant, 'did-not-apply', files.last_line(said))
                continue
            red = self.host_red(tree, mutant)
            mutant.apply(tree, '-R')
            if red:
                last = files.last_line(read(tree, mutant.name + '.log'))
                self.record(mutant, 'killed', f'{red}: {last[:100]}')
            else:
                self.record(mutant, 'survived', 'its tests passed')

    # --- in machines ---

    def end_reported(self, machine, ended):
        """Stop a machine that does not end by itself after a report."""
        log = machine.path('out/console.log')

        def size():
            try:
                return os.path.getsize(log)
            except FileNotFoundError:
                return None
        end = mutants.is_time_to_end(size, lambda: not logcheck.judge(logcheck.read_log(log)))
        while not ended.wait(5):
            if next(end):
                os.kill(int(read(machine.path('pid'))), signal.SIGTERM)
                return

    def boot(self, machine):
        """Boot a machine, which runs the lines of in/queue until one leaves a report."""
        shutil.rmtree(machine.path('out'), ignore_errors=True)
        os.makedirs(machine.path('out'))
        if os.path.exists(machine.path('pid')):
            os.remove(machine.path('pid'))
        queue = [line.split('\t') for line in read(machine.path('in/queue')).splitlines()]
        seconds = sum(int(line[1]) * int(line[4]) + 30 for line in queue) + 180
        ended = threading.Event()
        watcher = threading.Thread(target=self.end_reported, args=(machine, ended), daemon=True)
        watcher.start()
        self.run('tools/vm/run', '--kernel', kernels.target_of(machine.group.kernel), '--in', machine.path('in'),
                 '--out', machine.path('out'), '--timeout', str(seconds), '--pidfile', machine.path('pid'), *(['--kmemleak'] if machine.group.kernel == kernels.KMEMLEAK else []),
                 '--no-logcheck', '--', '/bin/bash', '/in/guest', output=machine.path('boot.log'))
        ended.set()
        watcher.join()

    def verdict(self, machine, name):
        """The result of a line of the queue: state, how, seconds."""
        console = logcheck.read_log(machine.path('out/console.log'))
        log = list(mutants.log_between(console, name))
        write(''.join(line + '\n' for line in log), machine.path('out', name + '.klog'))
        lines = [line.split('\t') for line in read(machine.path('out/results')).splitlines()]
        result = ([line for line in lines if line[0] == name] or [None])[-1]
        return *mutants.verdict(logcheck.judge(log), result), result[3] if result else ''

    def run_queue(self, machine, queue, callback):
        """Run a queue of lines: NAME.K (the K-th test of the mutant NAME), seconds, program, test,
        number of runs. Each machine starts after the last line of the one before. The remaining
        lines of a killed mutant are dropped. For each result it calls
        @callback(NAME, state, how, seconds, number of lines left of this mutant).
        """
        while queue:
            write(''.join('\t'.join(line) + '\n' for line in queue), machine.path('in/queue'))
            for _ in range(2):
                self.boot(machine)
                started = read(machine.path('out/started')).splitlines()
                if started:
                    break
            else:
                say(f'the machine did not boot; see {short(machine.path("boot.log"))}')
                return False
            os.makedirs(machine.group.path('logs'), exist_ok=True)
            for log in glob.glob(machine.path('out/*.log')):
                shutil.copy(log, machine.group.path('logs'))
            for line in started:
                name = line.rpartition('.')[0]
                state, how, took = self.verdict(machine, line)
                queue = [left for left in queue if left[0] != line and
                         (state == 'survived' or left[0].rpartition('.')[0] != name)]
                callback(name, state, how, took, sum(left[0].rpartition('.')[0] == name for left in queue))
        return True

    def base_result(self, name, state, how, took, _):
        self.verdicts.keep(name, self.keys[name], state, how, took)
        if state != 'survived':
            say(f'{name.removeprefix("unbroken-")}: fails without a mutant: {how}')
            self.red_base |= not self.trial

    def mutant_result(self, name, state, how, _, left):
        if state != 'survived' or not left:
            self.record(self.mutants[name], state, how)

    def in_each(self, machines, function, *args):
        """Call @function(machine, ...) for all machines at the same time. Returns whether all went well."""
        with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
            return all([run.result() for run in [pool.submit(function, m, *args) for m in machines]])

    def run_unbroken(self, group, machines):
        """Run the tests of the mutants on the module without a mutant, unless that result is known."""
        queue = []
        for test in sorted({test._replace(times='1') for m in group.members for test in m.tests}):
            name = group.unbroken(test)
            self.keys[name] = f'{self.module} ' + mutants.tests_key(
                group.kernel, group.module, [f'{test.program} {test.test}'])
            if not self.verdicts.known(name, self.keys[name]) or not self.verdicts.is_green(name):
                queue.append((name, test))
        say(f'{group}: {len(queue)} tests to run without a mutant')
        return self.in_each(machines, self.run_part_unbroken, {
            machine: queue[n::len(machines)] for n, machine in enumerate(machines)})

    def run_part_unbroken(self, machine, parts):
        for name, _ in parts[machine]:
            machine.link('unbroken', name)
        return self.run_queue(machine, [
            (f'{name}.0', str(UNKNOWN_LIMIT), test.program, test.test, '1') for name, test in parts[machine]],
            self.base_result)

    def limit_for(self, group, test):
        """The seconds after which a test counts as hanging, from its time without a mutant."""
        took = (self.verdicts.get(group.unbroken(test)) + ['', ''])[2]
        return str(40 + 5 * int(took or 30))

    def queue_of(self, machine, mutant):
        """The lines of a mutant; none if one of its tests fails without a mutant."""
        group = machine.group
        for test in mutant.tests:
            if not self.verdicts.is_green(group.unbroken(test)):
                self.record(mutant, 'not-run', f'{test.program} {test.test} fails without a mutant')
                return []
        machine.link(mutant.name, mutant.name)
        return [(f'{mutant.name}.{n}', self.limit_for(group, test), *test)
                for n, test in enumerate(mutant.tests)]

    def run_built(self, machine):
        """Run mutants of the group as they are built."""
        while batch := machine.group.take_built(BATCH):
            queue = [line for mutant in batch for line in self.queue_of(machine, mutant)]
            if not self.run_queue(machine, queue, self.mutant_result):
                return False
        return True

    def run_group(self, group):
        if not self.build_selftests(group.kernel):
            say('the selftests do not build')
            return False
        group.base_done.wait()
        if not group.base_good:
            return False
        number = min(self.jobs, 1 + len(group.members) // BATCH)
        machines = [Machine(group, n) for n in range(number)]
        if not self.run_unbroken(group, machines):
            return False
        say(f'{group}: {len(group.members)} mutants to run, on {number} machines')
        return self.in_each(machines, self.run_built)

    def run_one(self, group):
        if group.kernel != mutants.HOST:
            return self.run_group(group)
        self.run_host(group)
        return True

    # --- all of it ---

    def is_valid(self, mutant):
        return self.verdicts.known(mutant.name, self.keys[mutant.name])

    def adopt_recorded(self):
        """Take over the recorded verdicts that are still valid, perhaps from another machine."""
        rows = mutants.recorded()
        for mutant in self.mutants.values():
            *_, state, how, key = rows.get(mutant.name) or ['', '', '']
            if not self.is_valid(mutant) and key == mutants.short_key(self.keys[mutant.name]):
                self.verdicts.keep(mutant.name, self.keys[mutant.name], state, how)

    def kernel_of(self, mutant):
        """The kernel that runs the mutant now, '' if none does."""
        if not self.trial:
            return mutant.kernel
        # what only another kernel finds, or none, is not worth a trial
        return '' if mutant.kernel in (mutants.HOST, kernels.KMEMLEAK, 'kcsan') else self.trial

    def groups(self, again):
        """The groups of the mutants to run, in the order of their first mutants."""
        found = {}
        for mutant in self.mutants.values():
            kernel = self.kernel_of(mutant)
            if kernel and (again or not self.is_valid(mutant)):
                self.verdicts.forget(mutant.name)
                found.setdefault((kernel, mutant.module), []).append(mutant)
        say(f'{sum(map(len, found.values()))} of {len(self.mutants)} mutants to build'
            + (f' for {self.trial}' if self.trial else ''))
        groups = [Group(*key, members) for key, members in found.items()]
        for group in groups:
            shutil.rmtree(group.folder, ignore_errors=True)
        return groups

    def take_lock(self):
        self.lock = files.Lock(WORK, 'lock')
        if not self.lock.take(wait=False):
            say(f'waiting for another run that uses {WORK}')
            self.lock.take()

    def state_of(self, mutant):
        return self.verdicts.get(mutant.name)[0] if self.verdicts.exists(mutant.name) else ''

    def build_all(self, groups):
        try:
            for group in groups:
                if group.kernel != mutants.HOST:
                    self.build_group(group)
        finally:
            # after an exception nobody must wait for what is not built
            for group in groups:
                self.failed |= not group.complete and group.kernel != mutants.HOST
                group.base_done.set()
                group.end_built()

    def main(self, again, only_build, complete):
        self.take_lock()
        self.adopt_recorded()
        if self.first:
            self.trial = self.first
            self.run_all(self.groups(again))
            self.trial, again = '', False
        groups = self.groups(again)
        if only_build:
            self.build_all(groups)
            bad = [mutant for mutant in self.mutants.values() if 'did-not' in self.state_of(mutant)]
            return 1 if bad or self.failed else 0
        self.run_all(groups)
        return self.report(complete)

    def run_all(self, groups):
        """Build the groups, and run each mutant as soon as it is built."""
        builder = threading.Thread(target=self.build_all, args=(groups,), daemon=True)
        builder.start()
        try:
            for group in groups:
                self.failed |= not self.run_one(group)
        finally:
            if builder.is_alive():
                files.kill_below(os.getpid())

    def row_of(self, mutant):
        return mutants.result_row(mutant, self.keys[mutant.name], *self.verdicts.get(mutant.name)[:2])

    def save(self):
        """Record the valid verdicts. The other mutants keep their rows."""
        old = mutants.recorded()
        valid = {mutant.name for mutant in self.mutants.values() if self.is_valid(mutant)}
        write_rows([self.row_of(mutant) if mutant.name in valid else old[mutant.name]
                    for mutant in self.mutants.values() if mutant.name in valid or mutant.name in old],
                   mutants.RESULTS)
        print(f'{len(valid)} of {len(self.mutants)} recorded verdicts are valid')
        return 0

    def report(self, complete):
        """Write the results, and to results/ if all mutants ran. Returns the exit status."""
        rows = [self.row_of(mutant) for mutant in self.mutants.values() if self.verdicts.exists(mutant.name)]
        results = os.path.join(WORK, 'mutants.tsv')
        write_rows(rows, results)
        sys.stdout.flush()
        subprocess.run(['column', '-t', '-s', '\t', results], check=False)
        if complete:
            self.save()
        good = sum(row[5] in ('killed', 'explained') for row in rows)
        print(f'{good} of {len(self.mutants)} mutants killed or explained')
        return 0 if good == len(self.mutants) and not self.failed and not self.red_base else 1


# --- command line -----------------------------------------------------------

def check(chosen):
    """Print the problems that are found without a machine. Returns the exit status."""
    bad = [f'{mutant.name}: {text}' for mutant in chosen for text in mutants.problems(mutant)]
    for line in bad:
        print(line)
    return 1 if bad else 0


def refresh(chosen):
    """Make the patches anew that apply only with fuzz. Returns the exit status."""
    bad = 0
    for mutant in chosen:
        if mutant.apply('.', '--dry-run')[0]:
            continue
        with tempfile.TemporaryDirectory() as tree:
            for name in files.tracked():
                os.makedirs(os.path.join(tree, os.path.dirname(name)), exist_ok=True)
                shutil.copy2(name, os.path.join(tree, name), follow_symlinks=False)
            text = mutants.refreshed(mutant, tree)
        if text:
            write(text, mutant.patch)
        else:
            bad = 1
        print(f'{mutant.name}: ' + ('made anew' if text else 'does not apply'))
    return bad


def main(doc):
    p = cli.Parser(doc)
    p.add_argument('--all', action='store_true')
    where = p.add_mutually_exclusive_group()
    where.add_argument('--first', default='', choices=[*kernels.all_names(), kernels.UML])
    where.add_argument('--kernel', default='', choices=kernels.all_names())
    p.add_argument('--jobs', type=cli.count, default=min(os.cpu_count() or 1, 4))
    mode = p.add_mutually_exclusive_group()
    for name in ('--check', '--refresh', '--build', '--list', '--save'):
        mode.add_argument(name, action='store_true')
    p.add_argument('patterns', nargs='*')
    a = p.parse_intermixed_args()
    os.chdir(TOP)
    chosen = mutants.load(a.patterns, a.kernel)
    if not chosen:
        p.error(f'no mutant matches {" ".join(a.patterns)}')
    if a.list:
        cli.prints_only()
        for m in chosen:
            print(f'{m.name:<28} {m.field("Invariant"):<4} {m.field("Test"):<28} {m.field("Breaks")}')
        return 0
    if a.check:
        return check(chosen)
    if a.refresh:
        return refresh(chosen)
    if a.save:
        return Mutate(mutants.load(), a.jobs).save()
    files.end_with_children()
    return Mutate(chosen, a.jobs, a.first).main(a.all, a.build, not a.patterns and not a.kernel)
