// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Settings from the environment, and mapping the trap in this process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "settings.h"
#include "sys.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

/*
 * The preloaded library calls this before all other constructors. It cannot use the C
 * library's string functions, because a sanitizer replaces them and may not be
 * initialised yet.
 */
static int is_on(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] && (value[0] != '0' || value[1]);
}

static int take(char *to, size_t size, const char *name)
{
	const char *value = getenv(name);
	size_t i = 0;

	while (value && value[i] && i < size - 1) {
		to[i] = value[i];
		i++;
	}
	to[i] = 0;
	if (!value || !value[i])
		return 0;
	to[0] = 0;
	return -1;
}

int io2_settings_read(struct io2_settings *s)
{
	s->trace = is_on(IO2_ENV_TRACE);
	s->fallback = is_on(IO2_ENV_FALLBACK);
	s->ebusy = is_on(IO2_ENV_EBUSY);
	take(s->run, sizeof(s->run), IO2_ENV_RUN);
	return take(s->names, sizeof(s->names), IO2_ENV_SKIP);
}

/* As mmap, but at this address only, and without errno. */
static long map_at(unsigned long at, unsigned long size)
{
	long ret = io2_syscall(__NR_mmap, at, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			       -1, 0);

	return ret == (long)at ? 0 : ret < 0 ? ret : -EEXIST;
}

int io2_trap_map(void)
{
	size_t size = io2_trap_text_end - io2_trap_text;
	long ret;

	ret = map_at(IO2_TRAP_BASE, size);
	if (ret)
		return ret;
	memcpy((void *)IO2_TRAP_BASE, io2_trap_text, size);
	ret = map_at(IO2_TRAP_DATA, IO2_TRAP_DATA_SIZE);
	if (!ret)
		ret = io2_syscall(__NR_mprotect, IO2_TRAP_BASE, size,
				  PROT_READ | PROT_EXEC, 0, 0, 0);
	if (ret)
		io2_syscall(__NR_munmap, IO2_TRAP_BASE, (long)size, 0, 0, 0, 0);
	return ret;
}

int io2_inherited_filter(void)
{
	long ret = io2_syscall(__NR_close, IO2_PROBE, 0, 0, 0, 0, 0);

	return ret == -IO2_PROBE_NARROW || ret == -IO2_PROBE_WIDE ? -ret : 0;
}
