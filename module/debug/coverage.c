// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the whole module, in every context. The kernel's own KCOV only
 * sees the calling task, but much of a ring's code runs in workers, timers and
 * wake-ups by other tasks. In a build with IOURING2_COVERAGE=1 the compiler
 * inserts a call of io2_cov_trace_pc() at the start of each basic block. This
 * function sets a bit for the place of the call, and passes the call on to KCOV
 * if the kernel has it.
 *
 * /sys/kernel/debug/iouring2_coverage/bits: bit N is set if the call that
 * returns to the N-th byte of the module's text has been made. A write clears
 * all bits.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "compat/compat.h"
#include "coverage.h"

/* bytes of the module's text for which there are bits */
#define TEXT_BYTES	0x100000UL
#define ROW_LONGS	8

static unsigned long bits[TEXT_BYTES / BITS_PER_LONG];
static struct dentry *dir;

#define TEXT_BASE	((unsigned long)io2_module_text(THIS_MODULE))
#define TEXT_SIZE	io2_module_text_size(THIS_MODULE)

/* Return: the number of words that are in use. */
static size_t bits_used(void)
{
	return BITS_TO_LONGS(min_t(unsigned long, TEXT_BYTES, TEXT_SIZE));
}

/**
 * io2_cov_hit() - record that the code at an address has run
 * @ip: an address in the module's text
 *
 * Not instrumented itself.
 *
 * Context: any, NMI included; takes no lock.
 */
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
 * The function that the compiler calls. It jumps to KCOV instead of calling it,
 * so that KCOV finds the same return address.
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
 * io2_coverage_init() - make the bits readable in debugfs
 *
 * Context: module init. A failure is not an error: see io2_coverage_exit().
 */
void io2_coverage_init(void)
{
	dir = debugfs_create_dir("iouring2_coverage", NULL);
	debugfs_create_file("bits", 0600, dir, NULL, &bits_fops);
}

/**
 * io2_coverage_exit() - print the bits to the kernel log before they are freed
 *
 * Prints one line for each row of words that are not all 0: the number of the
 * first word, then the words.
 *
 * Context: the end of module exit, or of a failed module init.
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
