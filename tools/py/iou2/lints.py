# SPDX-License-Identifier: GPL-2.0-only
"""The checks that need no virtual machine: a table, and a small function for each.

A check is good if it returns nothing. What it returns, lines, or raises as Failed, is shown; it
is left out with the reason of a Skip. Modules are built from nothing, because a warning is only
printed once.
"""

import glob
import os
import re
import shutil
import subprocess
from collections import namedtuple

from iou2 import TOP, files, kernels, selftest
from iou2.files import read, tail, tracked, write

WORK = os.path.join(TOP, 'build/tier0')
# Only the older kernels' headers tell sparse about locks.
SPARSE_KERNELS = ('6.1', '7.x')
ANALYZER_KERNEL = '7.x'
LOCK = None     # what tools/tier0 holds while it runs

Check = namedtuple('Check', 'name function arguments')


class Skip(Exception):
    """This machine cannot say."""


class Failed(Exception):
    """What went wrong, as a text."""


def work(*names):
    return os.path.join(WORK, *names)


def fresh(*names):
    """An empty folder."""
    path = work(*names)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def need(program):
    """The path of a program that not every machine has."""
    path = shutil.which(program)
    if not path:
        raise Skip(f'no {program} on this machine')
    return path


def run(*command, log=None, shown=40):
    """Run it, the output into a log. Failed, with the end of that, if it fails."""
    if not log:
        status, text = files.said(*command)
        if status:
            raise Failed(text or f'{command[0]}: exit status {status}')
        return text
    if files.run(*command, output=work(log), lock=LOCK):
        raise Failed('\n'.join(tail(read(WORK, log), shown)) or f'{command[0]} failed')
    return read(WORK, log)


def answer(*command, log, shown=20):
    """The last line that a program prints; what it says beside that goes to a log."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    write(done.stderr, WORK, log)
    if done.returncode:
        raise Failed('\n'.join(tail(done.stderr, shown)))
    return done.stdout.strip()


def matching(expression, text, flags=0):
    """The lines of a text in which an expression is found."""
    return [line for line in text.split('\n') if re.search(expression, line, flags)]


def files_like(expression):
    return [name for name in tracked() if re.search(expression, name)]


def lines_like(expression, names):
    """FILE:LINE:TEXT of lines in which an expression is found; binary files have none."""
    for name in names:
        data = files.contents(name)
        if b'\0' in data:
            continue
        for number, line in enumerate(data.decode(errors='replace').split('\n'), 1):
            if re.search(expression, line):
                yield f'{name}:{number}:{line}'


def command(*words):
    """A check that is a program of the tree."""
    run(*words)


# --- for each kernel --------------------------------------------------------

# Lines of a build log that say that this machine is not the one the kernel was built on. They
# say nothing about the module.
NOT_ABOUT_US = re.compile('the compiler differs from the one used to build the kernel|'
                          'Skipping BTF generation for .* due to unavailability of vmlinux')


def warnings_in(text, but=NOT_ABOUT_US):
    """Lines of a build log that count as warnings."""
    return [line for line in matching('warning|error', text, re.I) if not but.search(line)]


def build(kernel, kind, *arguments):
    return warnings_in(run('tools/vm/kbuild', kernel, '--out', fresh(f'{kernel}-{kind}'), *arguments,
                           log=f'{kernel}-{kind}.log'))


def check_build(kernel):
    module, found = work(f'{kernel}-normal/iouring2.ko'), build(kernel, 'normal')
    if found:
        return found

    def field(name):
        return run('modinfo', '-F', name, module).strip('\n')
    if field('version') != read('VERSION').strip():
        found.append("modinfo's version is not that of VERSION")
    if field('license') != 'GPL':
        found.append('license is not GPL')
    if not field('description'):
        found.append('no description')
    for line in matching(r'^[a-z_]+:? *(\([a-z]+\))?$', field('parm')):
        found += [line, 'parameters without description']
    return found


def check_build_debug(kernel):
    return build(kernel, 'debug', '--debug')


# __typeof_unqual__ is newer than most packaged versions of sparse, and the same but for
# qualifiers. Newer kernels ask a script whether the checker works, and Debian's headers lack it.
SPARSE_INSIDE = r'''
	script=/usr/src/linux-headers-${KVER%-*}-common/scripts/checker-valid.sh
	if [ ! -e "$script" ]; then
		printf "#!/bin/sh\necho 1\n" > "$script"
		chmod +x "$script"
	fi
	exec make -C "$KDIR" M=/obj -j"$(nproc)" C=2 CHECK=/opt/tier0/sparse \
		CF="-D__CHECK_ENDIAN__ -Wcontext -D__typeof_unqual__=__typeof__" modules'''


def copy_module(to, *names):
    for name in names:
        if os.path.isdir(name):
            shutil.copytree(name, os.path.join(to, name), symlinks=True)
        else:
            shutil.copy(name, to)


def sparse_findings(text):
    """What sparse says about our files, less what it says about the macros for modinfo: it does
    not know the compile-time strlen() that they contain since 7.x.
    """
    for line in text.split('\n'):
        found = re.match(r'(?:/obj/)?((module/[^:]*):([0-9]+):[0-9]+: (?:warning|error): .*)', line)
        if not found:
            continue
        said, name, number = found.groups()
        source = read(name).split('\n')
        macro = int(number) <= len(source) and re.match('MODULE_|module_param', source[int(number) - 1])
        if not ('bad constant expression' in said and macro):
            yield said


def check_sparse(kernel):
    """sparse of this machine, in the release's chroot: it needs nothing but libc."""
    sparse, log = need('sparse'), f'{kernel}-sparse.log'
    os.makedirs(work('bin'), exist_ok=True)
    shutil.copy2(sparse, work('bin/sparse'))
    out = fresh(f'{kernel}-sparse')
    copy_module(out, 'Kbuild', 'VERSION', 'module', 'uapi')
    chroot = ('tools/vm/chroot', kernel, '--ro-bind', work('bin') + ':/opt/tier0')
    if files.said(*chroot, '--', '/opt/tier0/sparse', '--version')[0]:
        raise Skip(f"this machine's sparse does not run in {kernel}'s release")
    text = run(*chroot, '--bind', f'{out}:/obj', '--', 'sh', '-c', SPARSE_INSIDE, log=log, shown=20)
    objects = [name for name in re.findall(r'module/[a-z_]*\.o', read('Kbuild'))
               if not re.search('fault|coverage', name)]
    found = list(sparse_findings(text))
    if len(matching('^ *CHECK ', text)) < len(objects):
        found.append('sparse did not see every file')
    return found


# gcc's own analyzer. Left out: what it says about lists whose head is on the stack. It takes the
# head for an element (out-of-bounds), and a list for one that leads to itself (infinite-loop).
ANALYZER_FLAGS = '-fanalyzer -Wno-analyzer-out-of-bounds -Wno-analyzer-infinite-loop'


def check_analyzer(kernel):
    return build(kernel, 'analyzer', '--debug', f'KCFLAGS={ANALYZER_FLAGS}')


NO_KERNEL = re.compile(NOT_ABOUT_US.pattern + r'|modpost: (.* undefined!|suppressed .* unresolved symbol)|'
                       r'Module.symvers is missing|^ *Modules may not have dependencies')


def check_clang():
    """Every object, with no kernel to link it to."""
    tree = answer('tools/vm/clang-tree', log='clang-tree.log')
    out = fresh('clang')
    copy_module(out, 'Kbuild', 'VERSION', 'module', 'uapi')
    text = run('tools/vm/chroot', 'tools:source', '--ro-bind', f'{tree}:/kernel', '--bind', f'{out}:/obj', '--',
               'make', '-C', '/kernel', 'LLVM=1', 'M=/obj', 'W=1', 'IOURING2_DEBUG=1',
               'KBUILD_MODPOST_WARN=1', f'-j{len(os.sched_getaffinity(0))}', 'modules', log='clang.log')
    if not os.path.exists(out + '/iouring2.ko'):
        raise Failed('\n'.join(tail(text, 40)))
    return warnings_in(text, NO_KERNEL)


# One semantic patch after the other. The few with code in OCaml would need its compiler.
COCCICHECK_INSIDE = '''
	export srctree=/kernel srcroot=/out/obj KBUILD_EXTMOD=/out/obj MODE=report
	export LINUXINCLUDE="-I/out/obj/module -I/out/obj/uapi"
	find /kernel/scripts/coccinelle -name "*.cocci" | sort | while IFS= read -r COCCI; do
		export COCCI DEBUG_FILE=/out/command
		if grep -q "script:ocaml" "$COCCI" || ! grep -qE "virtual[[:space:]]+report" "$COCCI"; then
			continue
		fi
		rm -f /out/command
		bash /kernel/scripts/coccicheck || { cat /out/command; exit 1; }
		cat /out/command >>/out/commands
	done'''


def reviewed(text):
    """The expressions of a list of reviewed findings; "#" begins a comment: the reason."""
    lines = (re.sub('[ \t]*#.*', '', line) for line in text.split('\n'))
    return [re.compile(line) for line in lines if line]


def check_coccicheck():
    """The kernel's own semantic patches, less what tools/coccicheck.list says is wrong."""
    source = answer('tools/vm/kselftest-src', log='kernel-source.log', shown=5)
    out = fresh('coccicheck')
    copy_module(os.path.join(out, 'obj'), 'module', 'uapi')
    text = run('tools/vm/chroot', 'tools:source', '--ro-bind',
               source.removesuffix('/tools/testing/selftests') + ':/kernel', '--bind', f'{out}:/out', '--',
               'bash', '-c', COCCICHECK_INSIDE, log='coccicheck.log', shown=20)
    if len(matching('--cocci-file', read(out, 'commands'))) < 50:
        raise Failed('most semantic patches were not run')
    found = set(re.findall(r'^/out/obj/([^:]*:[0-9]+.*)', text, re.M))
    expected = reviewed(read('tools/coccicheck.list'))
    return sorted(line for line in found if not any(e.search(line) for e in expected))


def check_symbols(kernel):
    symvers = work(f'{kernel}.symvers')
    write(run('tools/vm/chroot', kernel, '--', 'sh', '-c', 'cat "$KDIR/Module.symvers"'), symvers)
    found = []
    for kind in ('normal', 'debug'):
        module = work(f'{kernel}-{kind}/iouring2.ko')
        if not os.path.exists(module):
            raise Failed(f'{module} was not built')
        # the column of tools/symbols.list that goes with a target of tools/vm
        status, text = files.said('tools/symbols', kernel.partition('-')[0], module, symvers)
        found += [text] if status else []
    return found


# --- the symbols check itself -----------------------------------------------

SYMVERS = (('task_work_add', 'EXPORT_SYMBOL_GPL', ''), ('__kernel_write', 'EXPORT_SYMBOL_GPL', 'module:autofs4'),
           ('misc_register', 'EXPORT_SYMBOL', ''), ('vfs_fsync', 'EXPORT_SYMBOL', ''))
# Symbol, kernel, the list with what is added or as it is, and what must be said about it.
RED_SYMBOLS = (
    ('task_work_add', '7.x', True, "by Debian's kernels, not by mainline"),
    ('__kernel_write', '7.x', True, 'exported only into module:autofs4'),
    ('__kernel_write', '7.x', False, 'exported only into module:autofs4'),
    ('vfs_fsync', '7.x', True, 'is exported as E, reviewed as G'),
    ('vfs_fsync', '5.10', True, 'not reviewed for 5.10'),
    ('no_such_symbol', '7.x', True, 'not exported by 7.x'),
)


def object_calling(symbol):
    source, module = work(f'calls-{symbol}.c'), work(f'calls-{symbol}.o')
    write(f'void {symbol}(void);\nvoid f(void);\nvoid f(void)\n{{\n\t{symbol}();\n}}\n', source)
    run('gcc', '-O2', '-fno-pic', '-mcmodel=kernel', '-c', '-o', module, source)
    return module


def check_symbols_selftest():
    symvers, longer = work('selftest.symvers'), work('selftest.list')
    write(''.join(f'0x00000000\t{symbol}\tvmlinux\t{kind}\t{space}\n' for symbol, kind, space in SYMVERS), symvers)
    write(read('tools/symbols.list') + '__kernel_write G 7.x\nvfs_fsync G 7.x\n', longer)
    if files.said('tools/symbols', '7.x', object_calling('misc_register'), symvers)[0]:
        yield 'misc_register is red'
    for symbol, kernel, added, reason in RED_SYMBOLS:
        status, text = files.said('tools/symbols', kernel, object_calling(symbol), symvers,
                                  longer if added else 'tools/symbols.list')
        if status != 1 or reason not in text:
            yield f'{symbol} on {kernel}: status {status}, {text.strip()}; expected: {reason}'


# --- style ------------------------------------------------------------------

# What checkpatch is told to leave alone, and why. Everywhere: the tree has no MAINTAINERS file,
# and kernel versions have a check of their own, which allows module/compat.
# CONSTANT_COMPARISON takes LINUX_VERSION_CODE for a constant.
# kmalloc_obj() is what only the newest kernels have.
CHECKPATCH = 'FILE_PATH_CHANGES,LINUX_VERSION_CODE,CONSTANT_COMPARISON,ALLOC_WITH_SIZEOF'
# Headers for user space cannot use the kernel's macros, as checkpatch knows of include/uapi; and
# the layout is that of io_uring.h, arrays without a size included.
CHECKPATCH_UAPI = 'BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO,FLEXIBLE_ARRAY'
# Programs use the C library's types and functions, print with its macros (PRIu64 is "camel
# case"), and share volatile variables with their signal handlers.
CHECKPATCH_USER = 'PREFER_KERNEL_TYPES,CAMELCASE,EMBEDDED_FUNCTION_NAME,STRCPY,VOLATILE'
# Tests are written with macros that take types and fields, and that return from the test.
CHECKPATCH_TESTS = CHECKPATCH_USER + (',MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,MACRO_WITH_FLOW_CONTROL,'
                                      'MULTISTATEMENT_MACRO_USE_DO_WHILE')
# The fuzzer makes its tables from one list, with macros that take what they need of each row.
CHECKPATCH_FUZZ = CHECKPATCH_USER + ',MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,MACRO_ARG_UNUSED,' \
                                    'COMPLEX_MACRO,LINE_CONTINUATIONS'
# The library has no kernel macros either, answers ENOSYS where io_uring is not there, and writes
# seccomp filters as lists.
CHECKPATCH_LIB = CHECKPATCH_TESTS + ',LONG_LINE,PREFER_DEFINED_ATTRIBUTE_MACRO,ARRAY_SIZE,ENOSYS,COMPLEX_MACRO'
# The bench measures what a volatile or a C library's type cost nothing in, and its plugin for the
# emulator says what it uses of an interface that has no header.
CHECKPATCH_BENCH = CHECKPATCH_USER + ',AVOID_EXTERNS'
# Examples are read on a wide screen.
CHECKPATCH_EXAMPLES = CHECKPATCH_USER + ',LONG_LINE,LONG_LINE_COMMENT'


def check_checkpatch(folder, ignored=''):
    names = files_like(rf'^{folder}/.*\.[ch]$')
    if not names:
        raise Failed('no files')
    need('perl')
    scripts = answer('tools/vm/kernel-scripts', log='kernel-scripts.log', shown=5)
    if os.access(scripts + '/scripts/checkpatch.pl', os.X_OK):
        scripts += '/scripts'
    files.run(scripts + '/checkpatch.pl', '--no-tree', '--strict', '--terse', '--no-summary', '--show-types',
              '--ignore', ','.join(filter(None, (CHECKPATCH, ignored))), '-f', *names,
              output=work('checkpatch.log'))
    return read(WORK, 'checkpatch.log').split('\n')


def check_kernel_doc():
    names = files_like(r'^(module|uapi)/.*\.[ch]$')
    if not names:
        raise Failed('no files')
    text = run('tools/vm/chroot', '6.1', '--', 'sh', '-c',
               'cd /src && perl "$(readlink -f "$KDIR/scripts")/kernel-doc" -none "$@"', 'sh', *names,
               log='kernel-doc.log')
    return matching('warning|error', text, re.I)


def is_shell(name):
    first = files.contents(name)[:64].split(b'\n')[0]
    return re.match(rb'#!.*[/ ](ba)?sh\b', first) and b'busybox' not in first


def check_shellcheck():
    run(need('shellcheck'), '-x', *filter(is_shell, tracked()))


def check_no_version_code():
    """The kernel's version may decide something in one place only."""
    names = [name for name in files_like('^(module|uapi|Kbuild)') if not name.startswith('module/compat/')]
    return lines_like(r'LINUX_VERSION_CODE|KERNEL_VERSION *\(|\bHAVE_[A-Z]', names)


def check_no_hosts_or_paths():
    """A tree that names a mirror or a path of the machine it was written on works only there."""
    return lines_like(r'(deb|security|ftp|snapshot|archive|packages)[a-z0-9.-]*[.]debian[.]org|npmjs[.]|'
                      r'pypi[.]org|(^|[^A-Za-z0-9_.}-])/(work|home)/',
                      tracked())


# --- one truth in one place -------------------------------------------------

def check_versions():
    version = read('VERSION').strip()
    sources = {name: read(name) for name in files_like('^module/')}
    if not re.fullmatch(r'[0-9]+\.[0-9]+\.[0-9]+', version):
        yield f"VERSION is '{version}'"
    if f'PACKAGE_VERSION="{version}"' not in read('dkms.conf').split('\n'):
        yield f'dkms.conf has another version than VERSION ({version})'
    if not any('MODULE_VERSION(' in text for text in sources.values()):
        yield 'no MODULE_VERSION in module/'
    for name, text in sources.items():
        if 'MODULE_VERSION("' in text:
            yield f'{name}: MODULE_VERSION must come from VERSION'
    if 'VERSION' not in read('Kbuild'):
        yield 'Kbuild does not read VERSION'


KERNELS_IN = ('5.10.0-46-amd64', '5.15.0-1-amd64', '6.1.0-56-amd64', '6.12.117+deb13-amd64',
              '7.3.4+deb13-amd64', '7.10.0', '6.1')
KERNELS_OUT = ('4.19.0-27-amd64', '5.9.0-1-amd64', '5.1.0', '8.0.0', '57.0.0')


def check_dkms_conf():
    """What some supported dkms calls deprecated, or does not know; and the range of kernels."""
    yield from lines_like('^(CLEAN|REMAKE_INITRD|MODULES_CONF|OBSOLETE_BY|BUILD_EXCLUSIVE_KERNEL_M)', ['dkms.conf'])
    # as dkms reads it, and decides: by bash
    text = run('bash', '-c', '''
        kernel_source_dir=/nowhere; . ./dkms.conf
        [[ $PACKAGE_NAME = iouring2 ]] || echo "PACKAGE_NAME"
        for k; do [[ $k =~ $BUILD_EXCLUSIVE_KERNEL ]] && echo "in $k"; done; exit 0''', 'bash',
               *KERNELS_IN, *KERNELS_OUT)
    yield from matching('^PACKAGE_NAME', text)
    found = [line.removeprefix('in ') for line in matching('^in ', text)]
    yield from (f'{kernel} is excluded' for kernel in KERNELS_IN if kernel not in found)
    yield from (f'{kernel} is not excluded' for kernel in KERNELS_OUT if kernel in found)


def check_dist():
    """The same bytes twice, and once more from the unpacked tarball."""
    folder, name = fresh('dist'), f'iouring2-{read("VERSION").strip()}'
    first, second = folder + '/a.tar.gz', folder + '/b.tar.gz'
    run('packaging/dist', '.', first)
    run('tar', '-C', folder, '-xzf', first)
    # the same date, should somebody commit just now
    date = int(os.stat(f'{folder}/{name}/VERSION').st_mtime)
    run('env', f'SOURCE_DATE_EPOCH={date}', 'packaging/dist', '.', second)
    run('cmp', first, second)
    run('make', '-s', '-C', f'{folder}/{name}', 'dist')
    run('cmp', first, f'{folder}/{name}/build/{name}.tar.gz')
    return [line for line in run('tar', '-tzf', first).splitlines() if not line.startswith(name + '/')]


def check_install():
    """Installing and uninstalling, with stand-ins for dkms and the kernel."""
    run('packaging/dist', '.', work('package/iouring2.tar.gz'))
    run('tools/vm/chroot', '6.1', '--ro-bind', work('package') + ':/package', '--',
        '/src/packaging/check', '/package/iouring2.tar.gz')


def check_uapi():
    source = work('uapi.c')
    write('#include <linux/iouring2.h>\n', source)
    flags = ('-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-Iuapi', source)
    run('gcc', '-std=gnu99', *flags)
    run('gcc', '-std=gnu11', '-Wpadded', *flags)
    if shutil.which('g++'):
        run('g++', '-x', 'c++', *flags)


def check_bench():
    """The program and the emulator's plugin, without a warning."""
    flags = ('-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-O2', '-Iuapi')
    sources = [f'bench/{name}.c' for name in ('bench', 'ops', 'special', 'threads', 'ring')]
    run('gcc', *flags, '-pthread', '-o', work('bench'), *sources)
    run('gcc', *flags, '-shared', '-fPIC', '-fvisibility=hidden', '-o', work('insns.so'), 'bench/insns.c')


def check_examples():
    for source in sorted(glob.glob('examples/*.c')):
        run('gcc', '-Wall', '-Wextra', '-Werror', '-O2', '-Iuapi', '-o',
            work(os.path.basename(source)[:-2]), source)


def check_library():
    """The library's unit tests, on a kernel made of a few lines, and that all of it compiles."""
    out = fresh('library')
    text = run('make', '-s', '-C', 'lib', f'OUTPUT={out}', 'CFLAGS=-O2 -Werror', 'all', 'check', log='library/log')
    return matching('^not ok', text) or ([] if re.search(r'^1\.\.[1-9]', text, re.M) else ['no test ran'])


def check_library_trap():
    """The trap in programs that make the calls themselves: needs seccomp and ptrace, not the module."""
    if not os.access(work('library/iouring2-run'), os.X_OK):
        raise Failed('iouring2-run was not built')
    status, text = files.said('suites/lib/host', work('library'))
    if status == 77:
        raise Skip(files.last_line(text))
    if status:
        raise Failed(text)


LIBRARY_PROGRAM = '''\
#define IOURING2_CALLS_ONLY
#include <iouring2.h>
#include <linux/iouring2.h>
int main(void) { struct iouring2_query q; return iouring2_device_query(-1, &q); }
'''


def check_library_install():
    """What is installed is for the prefix of that call, whatever was built before, and goes again."""
    root, library = fresh('library-root'), work('library')
    make = ('make', '-s', '-C', 'lib', f'OUTPUT={library}')
    to = (f'DESTDIR={root}', 'prefix=/usr')
    run(*make, 'all')
    run(*make, *to, 'install')
    found = []
    if 'prefix=/usr' not in read(root, 'usr/lib/pkgconfig/libiouring2.pc').split('\n'):
        found.append('libiouring2.pc has another prefix')
    write(LIBRARY_PROGRAM, work('library-program.c'))
    status, text = files.said('gcc', '-Wall', '-Werror', f'-I{root}/usr/include', '-o', work('library-program'),
                              work('library-program.c'), f'-L{root}/usr/lib', '-liouring2')
    found += [text] if status else []
    run(*make, *to, 'uninstall')
    left = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return found + left + (['is left after uninstall'] if left else [])


def check_library_symbols():
    """What the library exports is what its map, its header and its manual page say."""
    library, page = work('library/libiouring2.so'), read('docs/man/libiouring2.3')
    if not os.path.exists(library):
        raise Failed(f'{library} was not built')
    exported = run('nm', '-D', '--defined-only', library)
    for symbol in re.findall(r'\biouring2_(?:device|ring)_[a-z_]+', read('lib/libiouring2.map')):
        if not re.search(rf'\b{symbol}\b', exported):
            yield f'{symbol} is not exported'
    # those described in the header; the others are its own
    for symbol in re.findall(r'^ \* (iouring2_[a-z_]+)\(\) - ', read('lib/iouring2.h'), re.M):
        if not re.search(rf'\b{symbol}\b', page):
            yield f'{symbol} is not in libiouring2(3)'


def check_readme_example():
    example = ''.join(re.findall(r'^```c\n(.*?)^```$', read('README.md'), re.M | re.S))
    write(example, work('readme.c'))
    run('diff', work('readme.c'), 'examples/read_file.c')


def check_man():
    pages, found = sorted(glob.glob('docs/man/*.[1-8]')), []
    status, text = files.said(need('mandoc'), '-Tlint', '-W', 'warning', *pages)
    found += [text or 'mandoc failed'] if status else []
    for page in pages if shutil.which('man') else ():
        said = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', page], check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found += [said.stderr] if said.stderr else []
    return found


def check_decisions():
    """What runs when, what counts as passed, what a log says, which verdicts are kept."""
    status, text = files.said('python3', '-B', '-m', 'unittest', 'discover', '-q', 'tests',
                              cwd=os.path.dirname(selftest.TESTS))
    return text.split('\n') if status else []


# Programs for a guest or for inside of a root tree, and parts of other programs: their callers'
# usage is what people read. The cache's key of liburing/fetch is what is in that file.
NOT_FOR_PEOPLE = re.compile(r'(^|/)(guest|.*-inside|run-suite)$|^(suites/lib|selftests|module)/|'
                            r'^packaging/check$|^suites/apps/(build|cases)$|^suites/liburing/(build|fetch)$')


def has_usage(name):
    text = files.contents(name)[:4000]
    return text.startswith(b'#!') and re.search(rb'^(# )?usage: ', text, re.M)


def answers_well(option, status, output, errors):
    if option == '--help':
        return status == 0 and not errors and re.search('^usage: ', output, re.M)
    return status == 2 and not output and re.fullmatch(f'[^\n]*{option}[^\n]* --help\n', errors)


def check_usage():
    """All tools say what they can do, and refuse what they cannot, in the same way."""
    for name in tracked():
        if NOT_FOR_PEOPLE.search(name) or not has_usage(name):
            continue
        for option in ('--help', '--no-such-option'):
            done = subprocess.run([f'./{name}', option], check=False, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if not answers_well(option, done.returncode, done.stdout, done.stderr):
                yield f'{name} {option}: status {done.returncode}: {(done.stdout + done.stderr)[:200]}'


def check_links():
    """Markdown links between files of the tree lead somewhere."""
    for name in files_like(r'\.md$'):
        for target in re.findall(r'\]\(([^)\n]+)\)', read(name)):
            target = target.partition('#')[0] if not re.match('(https?:|#|mailto:)', target) else ''
            if target and not os.path.exists(os.path.join(os.path.dirname(name), target)):
                yield f'{name}: no such file: {target}'


def check_maintainers():
    """What MAINTAINERS names is in the tree."""
    for pattern in re.findall(r'^F:\t(.*)', read('MAINTAINERS'), re.M):
        if not glob.glob(pattern.rstrip('/')):
            yield f'MAINTAINERS: no such file: {pattern}'


def check_licences():
    """Each file says who holds the copyright and what the licence is; the text is in LICENSES/."""
    out = fresh('licences')
    for name in tracked():
        to = os.path.join(out, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(name, to, follow_symlinks=False)
    run('tools/vm/chroot', 'tools:source', '--ro-bind', f'{out}:/tree', '--', 'reuse', '--root', '/tree',
        'lint', log='licences.log')


# --- the table --------------------------------------------------------------

def rows():
    """Name, function or command line, arguments. What later rows look at, earlier ones build."""
    yield 'versions agree', check_versions
    yield 'dkms.conf', check_dkms_conf
    yield 'make dist is reproducible', check_dist
    yield 'install and uninstall', check_install
    yield 'uapi header compiles by itself', check_uapi
    yield 'examples compile without a warning', check_examples
    yield 'library builds, unit tests', check_library
    yield 'the trap, on this machine', check_library_trap
    yield 'library symbols are documented', check_library_symbols
    yield 'library installs below any prefix', check_library_install
    yield "README's program is examples/read_file.c", check_readme_example
    yield 'manual page lint', check_man
    yield 'every errno of the manual page has a test', command, 'tools/errnos'
    yield 'mutants apply', command, 'tools/mutate', '--check'
    yield 'turns and results are decided as they should be', check_decisions
    yield 'who runs a request: rules and table', command, 'tools/where/check'
    yield 'no circle of calls but the engine', command, 'tools/circles'
    yield 'every tool has --help, and one word for wrong usage', check_usage
    yield 'links between documents', check_links
    yield 'MAINTAINERS names what is there', check_maintainers
    yield 'licences (reuse lint)', check_licences
    yield 'no kernel version outside module/compat', check_no_version_code
    yield 'no mirror or machine path', check_no_hosts_or_paths
    yield 'shellcheck', check_shellcheck
    yield 'checkpatch module', check_checkpatch, 'module'
    yield 'checkpatch uapi', check_checkpatch, 'uapi', CHECKPATCH_UAPI
    yield 'checkpatch selftests', check_checkpatch, 'selftests', CHECKPATCH_TESTS
    yield 'checkpatch fuzzer', check_checkpatch, 'suites/fuzz', CHECKPATCH_FUZZ
    yield 'checkpatch examples', check_checkpatch, 'examples', CHECKPATCH_EXAMPLES
    yield 'checkpatch lib', check_checkpatch, 'lib', CHECKPATCH_LIB
    yield 'checkpatch bench', check_checkpatch, 'bench', CHECKPATCH_BENCH
    yield 'bench compiles', check_bench
    yield 'benchmarks.md is made from results', command, 'bench/report', '--check'
    yield 'kernel-doc comments', check_kernel_doc
    yield 'fuzzer, without a module', command, 'make', '-s', '-C', 'suites/fuzz', f'OUTPUT={work("fuzz")}', 'check'
    yield 'syzkaller description', command, 'tools/syzkaller/check'
    yield 'symbols check turns red when it should', check_symbols_selftest
    for kernel in kernels.names('deb'):
        yield f'build {kernel} with W=1', check_build, kernel
        yield f'debug build {kernel} with W=1', check_build_debug, kernel
        yield f"symbols {kernel} are mainline's", check_symbols, kernel
    for kernel in SPARSE_KERNELS:
        yield f'sparse {kernel}', check_sparse, kernel
    yield f'gcc -fanalyzer {ANALYZER_KERNEL}', check_analyzer, ANALYZER_KERNEL
    yield 'clang build with W=1', check_clang
    yield 'coccicheck', check_coccicheck


def table():
    return [Check(name, function, arguments) for name, function, *arguments in rows()]
