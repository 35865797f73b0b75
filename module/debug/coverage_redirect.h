/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Coverage builds force this header into every file of the module, before
 * everything else: the compiler's calls for coverage go to the module's own
 * hook, and what runs at load time stays in the ordinary text, where it keeps
 * its address.
 */
#ifndef IO2_COVERAGE_REDIRECT_H
#define IO2_COVERAGE_REDIRECT_H

#ifndef IO2_COVERAGE_HOOK
#include <linux/init.h>

#undef __init
#define __init

/* the assembler turns references to the first into references to the second */
asm(".set __sanitizer_cov_trace_pc, io2_cov_trace_pc");
#endif

#endif
