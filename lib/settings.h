/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Settings in the environment, and the trap in the own process. */
#ifndef IO2_SETTINGS_H
#define IO2_SETTINGS_H

#include "trap.h"

#define IO2_ENV_TRACE		"IOURING2_TRACE"
#define IO2_ENV_FALLBACK	"IOURING2_FALLBACK"
#define IO2_ENV_EBUSY		"IOURING2_EBUSY"
#define IO2_ENV_SKIP		"IOURING2_SKIP"
#define IO2_ENV_RUN		"IOURING2_RUN"
#define IO2_ENV_DEVICE		"/dev/iouring2"

extern const char io2_trap_text[], io2_trap_text_end[];

/**
 * io2_settings_read() - settings from the environment
 * @s: where to
 *
 * Return: 0, or -1 if there are more names to skip than fit: then there are none.
 */
int io2_settings_read(struct io2_settings *s);

/**
 * io2_trap_map() - put the trap where it belongs, in this process
 *
 * Return: 0; -EEXIST if it is there already, or another negative errno.
 */
int io2_trap_map(void);

/**
 * io2_inherited_filter() - is there a filter of ours?
 *
 * Return: IO2_PROBE_NARROW, IO2_PROBE_WIDE or 0.
 */
int io2_inherited_filter(void);

#endif
