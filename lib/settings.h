/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Settings from the environment, and mapping the trap in this process. */
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
 * io2_settings_read() - read the settings from the environment
 * @s: where they are stored
 *
 * Return: 0, or -1 if the list of names to skip is too long; @s then has no names.
 */
int io2_settings_read(struct io2_settings *s);

/**
 * io2_trap_map() - map the trap at its address in this process
 *
 * Return: 0; -EEXIST if it is already mapped, or another negative errno.
 */
int io2_trap_map(void);

/**
 * io2_inherited_filter() - find out whether this process has one of our filters
 *
 * Return: IO2_PROBE_NARROW, IO2_PROBE_WIDE or 0.
 */
int io2_inherited_filter(void);

#endif
