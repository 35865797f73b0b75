/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the N-th step of a SETUP fail; debug builds only. */
#ifndef IO2_FAULT_H
#define IO2_FAULT_H

#include <linux/types.h>

#ifdef IOURING2_DEBUG
void io2_fault_begin(void);
bool io2_fault_inject(const char *what, const char *step);
bool io2_fault_fragmented(void);
u32 io2_fault_first(void);
void io2_fault_end(void);
#else
static inline void io2_fault_begin(void)
{
}

static inline bool io2_fault_inject(const char *what, const char *step)
{
	return false;
}

static inline bool io2_fault_fragmented(void)
{
	return false;
}

static inline u32 io2_fault_first(void)
{
	return 0;
}

static inline void io2_fault_end(void)
{
}
#endif

#endif
