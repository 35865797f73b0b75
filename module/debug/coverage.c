// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the whole module, in every context.  The kernel's own KCOV sees
 * the calling task only; most of a ring's life is in workers, timers and the
 * wake-ups of others.  In a build with IOURING2_COVERAGE=1 the compiler calls
 * io2_cov_trace_pc() at every branch target; a bit for the place of the call
 * is set, and the call goes on to KCOV where the kernel has it.
 *
 * /sys/kernel/debug/iouring2_coverage/bits: bit N is set if the call that
 * returns to the N-th byte of the module's text has been made.  A write clears
 * all of them.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "compat/compat.h"
#include "coverage.h"

/* bytes of the module's text that there are bits for */
#define TEXT_BYTES	0x100000UL
#define ROW_LONGS	8

static unsigned long bits[TEXT_BYTES / BITS_PER_LONG];
static struct dentry *dir;

#define TEXT_BASE	((unsigned long)io2_module_text(THIS_MODULE))
#define TEXT_SIZE	io2_module_text_size(THIS_MODULE)

/* in words */
static size_t bits_used(void)
{
	return BITS_TO_LONGS(min_t(unsigned long, TEXT_BYTES, TEXT_SIZE));
}

/* Any context, NMI included: no lock, nothing that is itself instrumented. */
notrace void io2_cov_hit(unsigned long ip)
{
	unsigned long n = ip - TEXT_BASE, bit = BIT_MASK(n);
	unsigned long *word;

	if (n >= TEXT_BYTES)
		return;
	word = &bits[BIT_WORD(n)];
	if (!(READ_ONCE(*word) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

/*
 * What the compiler calls.  KCOV is jumped to, not called, so that it finds
 * the same return address.
 */
asm("	.pushsection .text\n"
"	.type io2_cov_trace_pc, @function\n"
"	.globl io2_cov_trace_pc\n"
"io2_cov_trace_pc:\n"
"	movq (%rsp), %rdi\n"
"	subq $8, %rsp\n"
"	call io2_cov_hit\n"
"	addq $8, %rsp\n"
#ifdef CONFIG_KCOV
"	jmp __sanitizer_cov_trace_pc\n"
#else
"	" ASM_RET
#endif
"	.size io2_cov_trace_pc, . - io2_cov_trace_pc\n"
"	.popsection\n");

static ssize_t bits_read(struct file *file, char __user *buf, size_t len,
			 loff_t *pos)
{
	return simple_read_from_buffer(buf, len, pos, bits,
				       bits_used() * sizeof(long));
}

static ssize_t bits_write(struct file *file, const char __user *buf, size_t len,
			  loff_t *pos)
{
	memset(bits, 0, bits_used() * sizeof(long));
	return len;
}

static const struct file_operations bits_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= bits_read,
	.write	= bits_write,
};

/**
 * io2_coverage_init() - show the bits in debugfs
 *
 * Context: module init.  Failing to is not an error: see io2_coverage_exit().
 */
void io2_coverage_init(void)
{
	dir = debugfs_create_dir("iouring2_coverage", NULL);
	debugfs_create_file("bits", 0600, dir, NULL, &bits_fops);
}

/**
 * io2_coverage_exit() - the last chance to read the bits is the kernel's log
 *
 * One line for each row of words that are not all 0: the first word's number,
 * then the words.
 *
 * Context: the end of module exit, or of a module init that failed.
 */
void io2_coverage_exit(void)
{
	size_t longs = bits_used(), i, j;
	char row[ROW_LONGS * 17 + 1];
	unsigned long any;
	int len;

	debugfs_remove_recursive(dir);
	for (i = 0; i < longs; i += ROW_LONGS) {
		for (any = 0, len = 0, j = i; j < i + ROW_LONGS && j < longs; j++) {
			any |= bits[j];
			len += scnprintf(row + len, sizeof(row) - len, " %lx",
					 bits[j]);
		}
		if (any)
			pr_info("iouring2-coverage: %zu%s\n", i, row);
	}
}
