/* SPDX-License-Identifier: GPL-2.0-only */
/* Generate random programs, and mutate existing ones. */
#ifndef FUZZ_GENERATE_H
#define FUZZ_GENERATE_H

#include "exec.h"

void random_seed(uint64_t seed);
unsigned int random_below(unsigned int n);

void program_generate(struct program *p);
/* Mutate @p, possibly with calls of @other. */
void program_mutate(struct program *p, const struct program *other);
void program_remove(struct program *p, unsigned int at, unsigned int count);

#endif
