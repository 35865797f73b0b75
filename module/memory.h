/* SPDX-License-Identifier: GPL-2.0-only */
/* Which memory a kernel thread must not touch for its submitter. */
#ifndef IO2_MEMORY_H
#define IO2_MEMORY_H

#include <linux/mm.h>
#include <linux/types.h>
#include <linux/uaccess.h>

struct iovec;

/**
 * io2_memory_is_present() - can memory be read without a page fault?
 * @addr: where it begins
 * @len: bytes
 *
 * Costs less than io2_memory_needs_task(), which needs to look only if this
 * returns false.
 *
 * Context: kernel thread that has borrowed the submitter's mm.
 * Return: true if it can be read and is no longer than a page.
 */
static inline bool io2_memory_is_present(const void __user *addr, u32 len)
{
	const char __user *first = addr, *last = first + len - 1;
	bool present;
	char c __maybe_unused;

	if (!len || len > PAGE_SIZE)
		return false;
	pagefault_disable();
	present = !get_user(c, last);
	if (offset_in_page(first) > offset_in_page(last))
		present = present && !get_user(c, first);
	pagefault_enable();
	return present;
}

bool io2_memory_needs_task(const struct iovec *iov, unsigned int nr,
			   bool write);

#endif
