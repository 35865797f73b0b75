// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A small program that makes one call of io_uring and uses memory of each kind,
 * for the cases in which trap.c is too large. It is also built with the sanitizers,
 * whose runtimes need fixed ranges of the address space.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/sys.h"

static char area[1 << 20];

int main(void)
{
	char *more = malloc(sizeof(area)), few[64];
	long ret = io2_syscall(426, -1, 0, 0, 0, 0, 0);

	if (!more)
		return 1;
	memset(area, 1, sizeof(area));
	memset(more, 2, sizeof(area));
	memset(few, 3, sizeof(few));
	ret = area[9] + more[9] + few[9] == 6 && (ret == -EBADF || ret == -ENOSYS);
	free(more);
	if (!ret)
		puts("# the call, or memory, is wrong");
	return !ret;
}
