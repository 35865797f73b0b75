#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# probe.sh - find out what the kernel's headers have, by compiling snippets.
#
# usage: probe.sh OUTPUT COMPILER [FLAGS...]
#
# Kbuild calls it with the flags with which it compiles the module's objects.
# Writes OUTPUT, a header that defines HAVE_NAME for each snippet below that
# compiles.  Exit status: 0; 1 if not even an empty file compiles, because then
# no snippet would.

set -u
out=$1
shift
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

compiles() {
	"$@" -Werror=implicit-function-declaration \
		-Werror=incompatible-pointer-types -fsyntax-only \
		"$tmp/probe.c" >"$tmp/log" 2>&1
}

# probe NAME HEADER STATEMENTS
probe() {
	name=$1
	printf '#include <linux/module.h>\n#include <%s>\nvoid io2_probe(void);\nvoid io2_probe(void)\n{\n%s\n}\n' \
		"$2" "$3" >"$tmp/probe.c"
	shift 3
	if compiles "$@"; then
		echo "#define HAVE_$name 1"
	else
		echo "/* no $name */"
	fi
}

run_probes() {
	probe VM_FLAGS_SET linux/mm.h \
		'struct vm_area_struct *v = NULL; vm_flags_set(v, 0);' "$@"
	probe HRTIMER_SETUP linux/hrtimer.h \
		'struct hrtimer *t = NULL; hrtimer_setup(t, NULL, 0, HRTIMER_MODE_ABS);' "$@"
	probe RW_FLAGS_TYPE linux/fs.h \
		'struct kiocb *k = NULL; kiocb_set_rw_flags(k, 0, 0);' "$@"
	probe F_IOCB_FLAGS linux/fs.h \
		'struct file *f = NULL; f->f_iocb_flags = 0;' "$@"
	probe KI_COMPLETE_2 linux/fs.h \
		'struct kiocb *k = NULL; k->ki_complete(k, 0);' "$@"
	probe RW_VERIFY_AREA linux/fs.h \
		'rw_verify_area(0, NULL, NULL, 0);' "$@"
	probe ANON_INODE_CREATE_GETFILE linux/anon_inodes.h \
		'anon_inode_create_getfile("", NULL, NULL, 0, NULL);' "$@"
	probe ITER_UBUF linux/uio.h \
		'struct iov_iter *i = NULL; iov_iter_ubuf(i, 0, NULL, 0);' "$@"
	probe PLUG_NR_IOS linux/blkdev.h \
		'struct blk_plug *p = NULL; p->nr_ios = 1;' "$@"
	probe FILE_REF linux/fs.h \
		'struct file *f = NULL; file_ref_read(&f->f_ref);' "$@"
	probe IMPORT_UBUF linux/uio.h \
		'import_ubuf(0, NULL, 0, NULL);' "$@"
	probe KI_HINT linux/fs.h \
		'struct kiocb *k = NULL; k->ki_hint = ki_hint_validate(0);' "$@"
	probe KI_WRITE_STREAM linux/fs.h \
		'struct kiocb *k = NULL; k->ki_write_stream = 0;' "$@"
	probe SOCK_FROM_FILE_1 linux/net.h \
		'sock_from_file(NULL);' "$@"
	probe TASK_STATE linux/sched.h \
		'current->__state = 0;' "$@"
	probe FGET_TASK_NEXT linux/file.h \
		'fget_task_next(NULL, NULL);' "$@"
	probe FD_WORD linux/file.h \
		'struct fd f = fdget(0); f.word = 0;' "$@"
	probe TASK_LOOKUP_NEXT linux/fdtable.h \
		'task_lookup_next_fdget_rcu(NULL, NULL);' "$@"
	probe HK_TYPE linux/sched/isolation.h \
		'housekeeping_cpumask(HK_TYPE_KTHREAD);' "$@"
	probe CPUSET_CPU_IS_ISOLATED linux/cpuset.h \
		'cpuset_cpu_is_isolated(0);' "$@"
	probe EVENTFD_SIGNAL_MASK linux/eventfd.h \
		'struct eventfd_ctx *c = NULL; eventfd_signal_mask(c, 0);' "$@"
	probe ZAP_SPECIAL_VMA_RANGE linux/mm.h \
		'zap_special_vma_range(NULL, 0, 0);' "$@"
	probe MODULE_MEM linux/module.h \
		'THIS_MODULE->mem[MOD_TEXT].size = 0;' "$@"
}

echo '#include <linux/module.h>' >"$tmp/probe.c"
if ! compiles "$@"; then
	cat "$tmp/log" >&2
	exit 1
fi
{
	echo "/* made by probe.sh */"
	run_probes "$@"
} >"$tmp/out" && mv "$tmp/out" "$out"
