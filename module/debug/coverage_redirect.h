/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Coverage builds include this header first in every file of the module. It
 * redirects the compiler's calls for coverage to the module's own hook. It also
 * keeps init functions in the ordinary text section, where their addresses stay
 * valid.
 */
#ifndef IO2_COVERAGE_REDIRECT_H
#define IO2_COVERAGE_REDIRECT_H

#ifndef IO2_COVERAGE_HOOK
#include <linux/init.h>

#undef __init
#define __init

/* makes the assembler replace the first symbol by the second */
asm(".set __sanitizer_cov_trace_pc, io2_cov_trace_pc");
#endif

#endif
