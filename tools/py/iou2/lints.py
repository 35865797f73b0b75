# SPDX-License-Identifier: GPL-2.0-only
"""The checks that need no virtual machine: a table, and a small function for each of them.

A check passes if it returns no lines. It fails if it returns lines or raises Failed; the lines or
the text are printed. It is skipped if it raises Skip with the reason. Modules are always built
from scratch, because the compiler prints a warning only when it compiles a file.
"""

import glob
import os
import re
import shutil
import subprocess
from collections import namedtuple

from iou2 import TOP, files, kernels, selftest, support
from iou2.files import read, tail, tracked, write

WORK = os.path.join(TOP, 'build/tier0')
# 7.x is new; 6.1 is here because only the headers of older kernels have sparse's lock annotations.
SPARSE_KERNELS = ('6.1', '7.x')
ANALYZER_KERNEL = '7.x'
NEWEST_KERNEL = '7.x'
LOCK = None     # the lock that tools/tier0 holds while it runs

Check = namedtuple('Check', 'name function arguments')


class Skip(Exception):
    """The check cannot run on this machine. The text is the reason."""


class Failed(Exception):
    """The check has failed. The text is printed."""


def work(*names):
    return os.path.join(WORK, *names)


def fresh(*names):
    """Make an empty folder. Returns its path."""
    path = work(*names)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def need(program):
    """The path of a program. Skips the check if this machine does not have it."""
    path = shutil.which(program)
    if not path:
        raise Skip(f'{program} is not installed on this machine')
    return path


def run(*command, log=None, shown=40):
    """Run a command, with its output in a log. If it fails, raise Failed with the log's end."""
    if not log:
        status, text = files.said(*command)
        if status:
            raise Failed(text or f'{command[0]}: exit status {status}')
        return text
    if files.run(*command, output=work(log), lock=LOCK):
        raise Failed('\n'.join(tail(read(WORK, log), shown)) or f'{command[0]} failed')
    return read(WORK, log)


def answer(*command, log, shown=20):
    """The standard output of a program. Its errors go to a log."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    write(done.stderr, WORK, log)
    if done.returncode:
        raise Failed('\n'.join(tail(done.stderr, shown)))
    return done.stdout.strip()


def matching(expression, text, flags=0):
    """The lines of a text that match an expression."""
    return [line for line in text.split('\n') if re.search(expression, line, flags)]


def files_like(expression):
    return [name for name in tracked() if re.search(expression, name)]


def lines_like(expression, names):
    """FILE:LINE:TEXT of the lines that match an expression. Binary files are left out."""
    for name in names:
        data = files.contents(name)
        if b'\0' in data:
            continue
        for number, line in enumerate(data.decode(errors='replace').split('\n'), 1):
            if re.search(expression, line):
                yield f'{name}:{number}:{line}'


def command(*words):
    """A check that runs a program of the tree."""
    run(*words)


# --- for each kernel --------------------------------------------------------

# Lines of a build log that are about the machine, which is not the one that built the kernel, and
# not about the module.
NOT_ABOUT_US = re.compile('the compiler differs from the one used to build the kernel|'
                          'Skipping BTF generation for .* due to unavailability of vmlinux')


def warnings_in(text, but=NOT_ABOUT_US):
    """The lines of a build log that count as warnings."""
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
        found.append('modinfo: the version differs from VERSION')
    if field('license') != 'GPL':
        found.append('modinfo: the license is not GPL')
    if not field('description'):
        found.append('modinfo: the description is missing')
    for line in matching(r'^[a-z_]+:? *(\([a-z]+\))?$', field('parm')):
        found.append(f'modinfo: a parameter without a description: {line}')
    return found


def check_build_debug(kernel):
    return build(kernel, 'debug', '--debug')


# Most packaged versions of sparse do not know __typeof_unqual__, which is __typeof__ without the
# qualifiers. Newer kernels run checker-valid.sh to test the checker, and Debian's headers lack it.
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
    """The findings of sparse in the module's files, without false ones about the macros for
    modinfo: since 7.x they use a compile-time strlen(), which sparse does not know.
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
    """Run the sparse of this machine in the chroot of the release. It needs only the C library."""
    sparse, log = need('sparse'), f'{kernel}-sparse.log'
    os.makedirs(work('bin'), exist_ok=True)
    shutil.copy2(sparse, work('bin/sparse'))
    out = fresh(f'{kernel}-sparse')
    copy_module(out, 'Kbuild', 'VERSION', 'module', 'uapi')
    chroot = ('tools/vm/chroot', kernel, '--ro-bind', work('bin') + ':/opt/tier0')
    if files.said(*chroot, '--', '/opt/tier0/sparse', '--version')[0]:
        raise Skip(f"this machine's sparse does not run in the release of {kernel}")
    text = run(*chroot, '--bind', f'{out}:/obj', '--', 'sh', '-c', SPARSE_INSIDE, log=log, shown=20)
    objects = [name for name in re.findall(r'module/[a-z_]*\.o', read('Kbuild'))
               if not re.search('fault|coverage', name)]
    found = list(sparse_findings(text))
    if len(matching('^ *CHECK ', text)) < len(objects):
        found.append('sparse did not check all files')
    return found


# gcc's own analyzer. Two of its warnings are off, because they are wrong for lists whose head is on
# the stack: it takes the head for an element (out-of-bounds), and a loop over such a list for an
# endless one (infinite-loop).
ANALYZER_FLAGS = '-fanalyzer -Wno-analyzer-out-of-bounds -Wno-analyzer-infinite-loop'


def check_analyzer(kernel):
    return build(kernel, 'analyzer', '--debug', f'KCFLAGS={ANALYZER_FLAGS}')


NO_KERNEL = re.compile(NOT_ABOUT_US.pattern + r'|modpost: (.* undefined!|suppressed .* unresolved symbol)|'
                       r'Module.symvers is missing|^ *Modules may not have dependencies')


def check_clang():
    """Compile all objects with clang. There is no kernel to link them to."""
    tree = answer('tools/vm/clang-tree', log='clang-tree.log')
    out = fresh('clang')
    copy_module(out, 'Kbuild', 'VERSION', 'module', 'uapi')
    text = run('tools/vm/chroot', 'tools:source', '--ro-bind', f'{tree}:/kernel', '--bind', f'{out}:/obj', '--',
               'make', '-C', '/kernel', 'LLVM=1', 'M=/obj', 'W=1', 'IOURING2_DEBUG=1',
               'KBUILD_MODPOST_WARN=1', f'-j{len(os.sched_getaffinity(0))}', 'modules', log='clang.log')
    if not os.path.exists(out + '/iouring2.ko'):
        raise Failed('\n'.join(tail(text, 40)))
    return warnings_in(text, NO_KERNEL)


# Run the semantic patches one by one, except the few in OCaml, which need the OCaml compiler.
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
    """The expressions of a list of reviewed findings. "#" begins a comment."""
    lines = (re.sub('[ \t]*#.*', '', line) for line in text.split('\n'))
    return [re.compile(line) for line in lines if line]


def check_coccicheck():
    """Run the kernel's semantic patches. tools/coccicheck.list has the reviewed false findings."""
    source = answer('tools/vm/kselftest-src', log='kernel-source.log', shown=5)
    out = fresh('coccicheck')
    copy_module(os.path.join(out, 'obj'), 'module', 'uapi')
    text = run('tools/vm/chroot', 'tools:source', '--ro-bind',
               source.removesuffix('/tools/testing/selftests') + ':/kernel', '--bind', f'{out}:/out', '--',
               'bash', '-c', COCCICHECK_INSIDE, log='coccicheck.log', shown=20)
    if len(matching('--cocci-file', read(out, 'commands'))) < 50:
        raise Failed('fewer than 50 semantic patches were run')
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
            raise Failed(f'{module} is missing: its build has failed or was not selected')
        # "6.12-bookworm" uses the column 6.12 of tools/symbols.list
        status, text = files.said('tools/symbols', kernel.partition('-')[0], module, symvers)
        found += [text] if status else []
    return found


# --- the symbols check itself -----------------------------------------------

SYMVERS = (('task_work_add', 'EXPORT_SYMBOL_GPL', ''), ('__kernel_write', 'EXPORT_SYMBOL_GPL', 'module:autofs4'),
           ('misc_register', 'EXPORT_SYMBOL', ''), ('vfs_fsync', 'EXPORT_SYMBOL', ''))
# Symbol, kernel, whether the list has the additional rows, and the expected message.
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
        yield 'misc_register fails, and should pass'
    for symbol, kernel, added, reason in RED_SYMBOLS:
        status, text = files.said('tools/symbols', kernel, object_calling(symbol), symvers,
                                  longer if added else 'tools/symbols.list')
        if status != 1 or reason not in text:
            yield f'{symbol} on {kernel}: status {status}, {text.strip()}; expected: {reason}'


# --- style ------------------------------------------------------------------

# The messages of checkpatch that are ignored, and why. FILE_PATH_CHANGES asks for MAINTAINERS, which
# has a check of its own. LINUX_VERSION_CODE has one, too, which allows it in module/compat.
# CONSTANT_COMPARISON takes LINUX_VERSION_CODE for a constant. ALLOC_WITH_SIZEOF asks for
# kmalloc_obj(), which only the newest kernels have.
CHECKPATCH = 'FILE_PATH_CHANGES,LINUX_VERSION_CODE,CONSTANT_COMPARISON,ALLOC_WITH_SIZEOF'
# Tracepoints have the layout of the kernel's own, include/trace/events/*.h.
CHECKPATCH_TRACE = 'PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE'
# Headers for user space cannot use the kernel's macros; checkpatch knows this only for include/uapi.
# The layout is that of io_uring.h, which has arrays without a size.
CHECKPATCH_UAPI = 'BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO,FLEXIBLE_ARRAY'
# Programs use the types and functions of the C library. Its macros such as PRIu64 count as camel
# case. Programs share volatile variables with their signal handlers.
CHECKPATCH_USER = 'PREFER_KERNEL_TYPES,CAMELCASE,EMBEDDED_FUNCTION_NAME,STRCPY,VOLATILE'
# Tests use macros that take types and fields, and macros that return from the test.
CHECKPATCH_TESTS = CHECKPATCH_USER + (',MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,MACRO_WITH_FLOW_CONTROL,'
                                      'MULTISTATEMENT_MACRO_USE_DO_WHILE')
# The fuzzer makes its tables from one list, with macros that use some columns of each row.
CHECKPATCH_FUZZ = CHECKPATCH_USER + ',MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,MACRO_ARG_UNUSED,' \
                                    'COMPLEX_MACRO,LINE_CONTINUATIONS'
# The library has no kernel macros either. It returns ENOSYS where there is no io_uring, and its
# seccomp filters are lists of macros.
CHECKPATCH_LIB = CHECKPATCH_TESTS + ',LONG_LINE,PREFER_DEFINED_ATTRIBUTE_MACRO,ARRAY_SIZE,ENOSYS,COMPLEX_MACRO'
# The bench is a program, too. Its plugin for the emulator declares the functions of an interface for
# which there is no header.
CHECKPATCH_BENCH = CHECKPATCH_USER + ',AVOID_EXTERNS'
# Examples may have long lines.
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


def check_kernel_doc_exists():
    """Each function of the module that other files call has a kernel-doc comment in its file."""
    for name in files_like(r'^module/.*\.c$'):
        text = read(name)
        for found in re.findall(r'^(?!static|typedef|extern)[a-z][\w *]*\b(io2_\w+)\([^;{]*\n\{', text, re.M):
            if f'/**\n * {found}() - ' not in text:
                yield f'{name}: {found} has no kernel-doc comment'


def is_shell(name):
    first = files.contents(name)[:64].split(b'\n')[0]
    return re.match(rb'#!.*[/ ](ba)?sh\b', first) and b'busybox' not in first


def check_shellcheck():
    run(need('shellcheck'), '-x', *filter(is_shell, tracked()))


def check_no_version_code():
    """Only module/compat may depend on the kernel's version."""
    names = [name for name in files_like('^(module|uapi|Kbuild)') if not name.startswith('module/compat/')]
    return lines_like(r'LINUX_VERSION_CODE|KERNEL_VERSION *\(|\bHAVE_[A-Z]', names)


def check_no_hosts_or_paths():
    """No file names a Debian mirror or a path of a developer's machine."""
    return lines_like(r'(deb|security|ftp|snapshot|archive|packages)[a-z0-9.-]*[.]debian[.]org|npmjs[.]|'
                      r'pypi[.]org|(^|[^A-Za-z0-9_.}-])/(work|home)/',
                      tracked())


# --- packaging, library, documents ------------------------------------------

def check_versions():
    version = read('VERSION').strip()
    sources = {name: read(name) for name in files_like('^module/')}
    if not re.fullmatch(r'[0-9]+\.[0-9]+\.[0-9]+', version):
        yield f"VERSION is '{version}'"
    if f'PACKAGE_VERSION="{version}"' not in read('dkms.conf').split('\n'):
        yield f'dkms.conf: PACKAGE_VERSION differs from VERSION ({version})'
    if not any('MODULE_VERSION(' in text for text in sources.values()):
        yield 'no file of module/ has MODULE_VERSION'
    for name, text in sources.items():
        if 'MODULE_VERSION("' in text:
            yield f'{name}: MODULE_VERSION must use IOURING2_VERSION, not a string'
    if 'VERSION' not in read('Kbuild'):
        yield 'Kbuild does not read VERSION'


KERNELS_IN = ('5.10.0-46-amd64', '5.15.0-1-amd64', '6.1.0-56-amd64', '6.12.117+deb13-amd64',
              '7.3.4+deb13-amd64', '7.10.0', '6.1')
KERNELS_OUT = ('4.19.0-27-amd64', '5.9.0-1-amd64', '5.1.0', '8.0.0', '57.0.0')


def check_dkms_conf():
    """dkms.conf has no deprecated or unknown variable, and allows exactly the supported kernels."""
    yield from lines_like('^(CLEAN|REMAKE_INITRD|MODULES_CONF|OBSOLETE_BY|BUILD_EXCLUSIVE_KERNEL_M)', ['dkms.conf'])
    # dkms is a bash script, and evaluates the file in the same way
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
    """Two runs, and a run in the unpacked tarball, make the same bytes."""
    folder, name = fresh('dist'), f'iouring2-{read("VERSION").strip()}'
    first, second = folder + '/a.tar.gz', folder + '/b.tar.gz'
    run('packaging/dist', '.', first)
    run('tar', '-C', folder, '-xzf', first)
    # fix the date, in case a commit is made between the two runs
    date = int(os.stat(f'{folder}/{name}/VERSION').st_mtime)
    run('env', f'SOURCE_DATE_EPOCH={date}', 'packaging/dist', '.', second)
    run('cmp', first, second)
    run('make', '-s', '-C', f'{folder}/{name}', 'dist')
    run('cmp', first, f'{folder}/{name}/build/{name}.tar.gz')
    return [line for line in run('tar', '-tzf', first).splitlines() if not line.startswith(name + '/')]


def check_install():
    """Test packaging/install with stubs for dkms and the kernel."""
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
    """The program in both forms, the emulator's plugin and the module that counts ticks compile
    without a warning."""
    flags = ('-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-O2', '-Iuapi')
    sources = [f'bench/{name}.c' for name in ('bench', 'ops', 'special', 'threads', 'cycles', 'ring')]
    run('gcc', *flags, '-pthread', '-o', work('bench'), *sources)
    run('gcc', *flags, '-pthread', '-DCYCLES', '-o', work('bench-cycles'), *sources)
    run('gcc', *flags, '-shared', '-fPIC', '-fvisibility=hidden', '-o', work('insns.so'), 'bench/insns.c')
    return warnings_in(run('tools/vm/kbuild', '7.x', '--from', 'bench/ticks', '--out', fresh('ticks'),
                           log='ticks.log'))


def check_examples():
    for source in sorted(glob.glob('examples/*.c')):
        run('gcc', '-Wall', '-Wextra', '-Werror', '-O2', '-Iuapi', '-o',
            work(os.path.basename(source)[:-2]), source)


def check_library():
    """Build the whole library, and run its unit tests, which use a stub of the kernel."""
    out = fresh('library')
    text = run('make', '-s', '-C', 'lib', f'OUTPUT={out}', 'CFLAGS=-O2 -Werror', 'all', 'check', log='library/log')
    return matching('^not ok', text) or ([] if re.search(r'^1\.\.[1-9]', text, re.M) else ['no unit test ran'])


def check_library_trap():
    """Test the trap of system calls on this machine. It needs seccomp and ptrace, not the module."""
    if not os.access(work('library/iouring2-run'), os.X_OK):
        raise Failed('iouring2-run is missing: its build has failed or was not selected')
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
    """install uses the prefix of its own call, not that of the build, and uninstall removes all files."""
    root, library = fresh('library-root'), work('library')
    make = ('make', '-s', '-C', 'lib', f'OUTPUT={library}')
    to = (f'DESTDIR={root}', 'prefix=/usr')
    run(*make, 'all')
    run(*make, *to, 'install')
    found = []
    if 'prefix=/usr' not in read(root, 'usr/lib/pkgconfig/libiouring2.pc').split('\n'):
        found.append('libiouring2.pc does not have the prefix of the installation')
    write(LIBRARY_PROGRAM, work('library-program.c'))
    status, text = files.said('gcc', '-Wall', '-Werror', f'-I{root}/usr/include', '-o', work('library-program'),
                              work('library-program.c'), f'-L{root}/usr/lib', '-liouring2')
    found += [text] if status else []
    run(*make, *to, 'uninstall')
    left = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return found + [f'{path} is left after uninstall' for path in left]


def check_library_symbols():
    """The library exports the symbols of its map, and the manual page has those of its header."""
    library, page = work('library/libiouring2.so'), read('docs/man/libiouring2.3')
    if not os.path.exists(library):
        raise Failed(f'{library} is missing: its build has failed or was not selected')
    exported = run('nm', '-D', '--defined-only', library)
    for symbol in re.findall(r'\biouring2_(?:device|ring)_[a-z_]+', read('lib/libiouring2.map')):
        if not re.search(rf'\b{symbol}\b', exported):
            yield f'{symbol} is not exported'
    # symbols without a description in the header are internal
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
    """Run the unit tests of the Python tools."""
    status, text = files.said('python3', '-B', '-m', 'unittest', 'discover', '-q', 'tests',
                              cwd=os.path.dirname(selftest.TESTS))
    return text.split('\n') if status else []


# Programs that run in a guest or in a root tree, and parts of other programs. Users read the usage
# of their callers. suites/liburing/fetch has no --help, because the key of its cache entry is the
# file's content.
NOT_FOR_PEOPLE = re.compile(r'(^|/)(guest|.*-inside|run-suite)$|^(suites/lib|selftests|module)/|'
                            r'^suites/apps/build$|^suites/liburing/(build|fetch)$')


def has_usage(name):
    text = files.contents(name)[:4000]
    return text.startswith(b'#!') and re.search(rb'^(# )?usage: ', text, re.M)


def answers_well(option, status, output, errors):
    if option == '--help':
        return status == 0 and not errors and re.search('^usage: ', output, re.M)
    return status == 2 and not output and re.fullmatch(f'[^\n]*{option}[^\n]* --help\n', errors)


def check_usage():
    """All tools have --help, and reject an unknown option with the same form of message."""
    for name in tracked():
        if NOT_FOR_PEOPLE.search(name) or not has_usage(name):
            continue
        for option in ('--help', '--no-such-option'):
            done = subprocess.run([f'./{name}', option], check=False, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if not answers_well(option, done.returncode, done.stdout, done.stderr):
                yield f'{name} {option}: status {done.returncode}: {(done.stdout + done.stderr)[:200]}'


def check_links():
    """The targets of Markdown links between files of the tree exist."""
    for name in files_like(r'\.md$'):
        for target in re.findall(r'\]\(([^)\n]+)\)', read(name)):
            target = target.partition('#')[0] if not re.match('(https?:|#|mailto:)', target) else ''
            if target and not os.path.exists(os.path.join(os.path.dirname(name), target)):
                yield f'{name}: no such file: {target}'


def check_tracepoints():
    """docs/tracing.md and the manual page have each event, and the table of trace_test.c has it."""
    events = re.findall(r'^(?:TRACE_EVENT\(|DEFINE_EVENT\(\w+, )(iouring2_\w+)', read('module/debug/trace.h'), re.M)
    if not events:
        yield 'no events found in module/debug/trace.h'
    for name, prefix in (('docs/tracing.md', 'iouring2_'), ('docs/man/iouring2.4', 'iouring2_'),
                         ('selftests/trace_test.c', '{ "')):
        text = read(name)
        for event in events:
            if not re.search(rf'{re.escape(prefix)}{event.removeprefix("iouring2_")}(?![a-z_])', text):
                yield f'{name}: {event} is missing'


def check_newest_header():
    """The newest packaged io_uring.h has no name without a row in results/support.tsv."""
    text = run('tools/vm/chroot', NEWEST_KERNEL, '--', 'sh', '-c',
               'cat "/usr/src/linux-headers-${KVER%-*}-common/include/uapi/linux/io_uring.h"')
    theirs = support.names(text)
    if len(theirs) < 150:
        yield f'only {len(theirs)} names found in io_uring.h'
    rows = {name for _, name in support.read_table(read(support.TABLE))}
    yield from (f'{name} ({kind}) has no row: add it to uapi/linux/iouring2.h, and run tools/support'
                for (kind, _), name in theirs.items() if name not in rows)


def check_supported_named():
    """README.md and the manual page name what works on every kernel."""
    table, kernel_names = support.read_table(read(support.TABLE)), support.columns()
    for (kind, name), cells in table.items():
        if kind == 'feature' or any(cells.get(kernel) != support.WORKS for kernel in kernel_names):
            continue
        short = re.sub('^(IORING_(OP|SETUP|ENTER)_|IOSQE_|IORING_(?=REGISTER_|UNREGISTER_))', '', name)
        for page in ('docs/man/iouring2.4', *(('README.md',) if kind in ('opcode', 'setup') else ())):
            if not re.search(rf'(?<![A-Z0-9]){short}\b', read(page)):
                yield f'{page}: {name} works, and is not named'


def check_maintainers():
    """The files that MAINTAINERS names exist."""
    for pattern in re.findall(r'^F:\t(.*)', read('MAINTAINERS'), re.M):
        if not glob.glob(pattern.rstrip('/')):
            yield f'MAINTAINERS: no such file: {pattern}'


def check_licences():
    """Each file states its copyright holder and its licence, whose text is in LICENSES/."""
    out = fresh('licences')
    for name in tracked():
        to = os.path.join(out, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(name, to, follow_symlinks=False)
    run('tools/vm/chroot', 'tools:source', '--ro-bind', f'{out}:/tree', '--', 'reuse', '--root', '/tree',
        'lint', log='licences.log')


# --- the table --------------------------------------------------------------

def rows():
    """Name, function, arguments. Later checks use the builds of earlier ones."""
    yield 'versions agree', check_versions
    yield 'dkms.conf', check_dkms_conf
    yield 'make dist is reproducible', check_dist
    yield 'packaging/install installs and uninstalls', check_install
    yield 'uapi header compiles alone', check_uapi
    yield 'examples compile', check_examples
    yield 'library builds and passes its unit tests', check_library
    yield 'library traps system calls on this machine', check_library_trap
    yield 'library symbols are exported and documented', check_library_symbols
    yield 'library installs below any prefix', check_library_install
    yield 'README shows examples/read_file.c', check_readme_example
    yield 'manual pages (mandoc, man)', check_man
    yield 'each errno in the section ERRORS of the manual page has a test', command, 'tools/errnos'
    yield 'mutants apply', command, 'tools/mutate', '--check'
    yield 'unit tests of the Python tools', check_decisions
    yield 'truth table of io2_where()', command, 'tools/where/check'
    yield 'no cyclic dependencies between files of module/', command, 'tools/circles'
    yield 'each tool has --help and rejects unknown options', check_usage
    yield 'links between documents', check_links
    yield 'tracepoints are documented', check_tracepoints
    yield 'support.tsv and support.md are up to date', command, 'tools/support', '--check'
    yield 'support.tsv has every name of the newest io_uring.h', check_newest_header
    yield 'what works is in README.md and the manual page', check_supported_named
    yield 'MAINTAINERS names existing files', check_maintainers
    yield 'licences (reuse lint)', check_licences
    yield 'kernel versions only in module/compat', check_no_version_code
    yield 'no mirrors and no local paths', check_no_hosts_or_paths
    yield 'shellcheck', check_shellcheck
    yield 'checkpatch module', check_checkpatch, r'module(?!/debug/trace\.h)'
    yield 'checkpatch tracepoints', check_checkpatch, r'module/debug(?=/trace\.h)', CHECKPATCH_TRACE
    yield 'checkpatch uapi', check_checkpatch, 'uapi', CHECKPATCH_UAPI
    yield 'checkpatch selftests', check_checkpatch, 'selftests', CHECKPATCH_TESTS
    yield 'checkpatch fuzzer', check_checkpatch, 'suites/fuzz', CHECKPATCH_FUZZ
    yield 'checkpatch examples', check_checkpatch, 'examples', CHECKPATCH_EXAMPLES
    yield 'checkpatch lib', check_checkpatch, 'lib', CHECKPATCH_LIB
    yield 'checkpatch bench', check_checkpatch, 'bench', CHECKPATCH_BENCH
    yield 'bench compiles', check_bench
    yield 'benchmarks.md agrees with results/', command, 'bench/report', '--check'
    yield 'kernel-doc comments', check_kernel_doc
    yield 'functions that other files call have kernel-doc', check_kernel_doc_exists
    yield 'fuzzer builds and passes its tests', command, 'make', '-s', '-C', 'suites/fuzz', \
        f'OUTPUT={work("fuzz")}', 'check'
    yield 'syzkaller description', command, 'tools/syzkaller/check'
    yield 'tests of tools/symbols', check_symbols_selftest
    for kernel in kernels.names('deb'):
        yield f'build {kernel} with W=1', check_build, kernel
        yield f'debug build {kernel} with W=1', check_build_debug, kernel
        yield f'symbols {kernel} are exported by mainline', check_symbols, kernel
    yield 'architecture.md shows the layout of a request', command, 'tools/request-layout', \
        work('7.x-normal/iouring2.ko')
    for kernel in SPARSE_KERNELS:
        yield f'sparse {kernel}', check_sparse, kernel
    yield f'gcc -fanalyzer {ANALYZER_KERNEL}', check_analyzer, ANALYZER_KERNEL
    yield 'clang build with W=1', check_clang
    yield 'coccicheck', check_coccicheck


def table():
    return [Check(name, function, arguments) for name, function, *arguments in rows()]
