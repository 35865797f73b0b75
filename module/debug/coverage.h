/* SPDX-License-Identifier: GPL-2.0-only */
/* Records which basic blocks of the module have run; coverage builds only. */
#ifndef IO2_COVERAGE_H
#define IO2_COVERAGE_H

#ifdef IOURING2_COVERAGE
void io2_coverage_init(void);
void io2_coverage_exit(void);
void io2_cov_hit(unsigned long ip);
void io2_cov_trace_pc(void);
#else
static inline void io2_coverage_init(void)
{
}

static inline void io2_coverage_exit(void)
{
}
#endif

#endif
