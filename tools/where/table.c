// SPDX-License-Identifier: GPL-2.0-only
/*
 * Check and print the truth table of io2_where() on the host.
 *
 * usage: table          check that each row keeps the rules
 *        table --print  print the table for docs/where.md
 *
 * Exit status: 0; 1 if a row breaks a rule. Each broken rule is printed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BIT(n)	(1u << (n))
#include "../../module/where.h"

#define NR_WHAT	BIT(IO2_W_BITS)

static const char * const stages[IO2_STAGES] = {
	[IO2_STAGE_START]	= "start",
	[IO2_STAGE_AGAIN]	= "would block",
	[IO2_STAGE_READY]	= "ready",
};

static const char * const dos[IO2_DOS] = {
	[IO2_DO_TRY]	= "try here",
	[IO2_DO_POLL]	= "wait for the file",
	[IO2_DO_WORKER]	= "worker",
	[IO2_DO_RETRY]	= "retry worker",
	[IO2_DO_PARK]	= "park for the submitter",
};

/* In the order of the columns. */
static const char * const bits[IO2_W_BITS] = {
	"memory", "polls", "blocks", "async", "any", "triable", "pollable",
	"poll now", "poll late", "own",
};

static int failures;

static void rule(bool kept, const char *name, enum io2_stage stage,
		 unsigned int what)
{
	unsigned int i;

	if (kept)
		return;
	failures++;
	printf("broken rule: %s: %s:", name, stages[stage]);
	for (i = 0; i < IO2_W_BITS; i++)
		if (what & BIT(i))
			printf(" %s", bits[i]);
	printf(": %s\n", dos[io2_where(stage, what)]);
}

static void check_start(unsigned int what)
{
	enum io2_do d = io2_where(IO2_STAGE_START, what);
	bool own = what & IO2_W_OWN;

	if (what & (IO2_W_BLOCKS | IO2_W_ASYNC)) {
		rule(d != IO2_DO_TRY,
		     "current does not try a blocking or ASYNC request",
		     IO2_STAGE_START, what);
		rule(d != IO2_DO_RETRY || !(what & IO2_W_BLOCKS),
		     "a blocking request does not go to the retry worker",
		     IO2_STAGE_START, what);
		return;
	}
	rule(!own || d == IO2_DO_TRY, "the submitter tries first",
	     IO2_STAGE_START, what);
	rule(own || !(what & IO2_W_MEMORY) || d != IO2_DO_TRY,
	     "only a task of the submitter tries what touches its memory",
	     IO2_STAGE_START, what);
	rule(own || !(what & IO2_W_POLLS) || d != IO2_DO_TRY ||
	     (what & IO2_W_POLL_NOW),
	     "another task polls only a file whose poll does not sleep",
	     IO2_STAGE_START, what);
	rule(own || (what & (IO2_W_MEMORY | IO2_W_POLLS)) || d == IO2_DO_TRY,
	     "a request that depends on no task starts at once",
	     IO2_STAGE_START, what);
}

static void check_all(enum io2_stage stage, unsigned int what)
{
	enum io2_do d = io2_where(stage, what);

	rule(d < IO2_DOS, "the result is a known value", stage, what);
	rule(d != IO2_DO_WORKER || (what & IO2_W_KTHREAD),
	     "a worker runs only requests that any thread may run", stage, what);
	rule(d != IO2_DO_RETRY || (what & (IO2_W_KTHREAD | IO2_W_POLL_LATE)),
	     "the retry worker runs only requests that a kernel thread may run",
	     stage, what);
	rule(d != IO2_DO_POLL || (what & IO2_W_POLLABLE),
	     "only a pollable file is polled", stage, what);
	rule(d != IO2_DO_POLL || stage == IO2_STAGE_AGAIN,
	     "only a request that would block waits by poll", stage, what);
	if (stage == IO2_STAGE_AGAIN)
		rule((d == IO2_DO_POLL) == !!(what & IO2_W_POLLABLE),
		     "a pollable request that would block waits by poll",
		     stage, what);
	if (stage == IO2_STAGE_READY)
		rule(d != IO2_DO_TRY || ((what & IO2_W_OWN) &&
					 (what & IO2_W_TRIABLE)),
		     "only the submitter tries, and only what can be tried",
		     stage, what);
}

/*
 * Return: the result that all rows share whose bits @fixed are as in @what, or
 * -1 if they differ.
 */
static int common(enum io2_stage stage, unsigned int fixed, unsigned int what)
{
	int d = -1;
	unsigned int w;

	for (w = 0; w < NR_WHAT; w++) {
		if ((w & fixed) != (what & fixed))
			continue;
		if (d == -1)
			d = io2_where(stage, w);
		else if (d != (int)io2_where(stage, w))
			return -1;
	}
	return d;
}

/* Does the result of one of these rows depend on bit @i? */
static bool matters(enum io2_stage stage, unsigned int fixed,
		    unsigned int what, unsigned int i)
{
	unsigned int w;

	for (w = 0; w < NR_WHAT; w++)
		if ((w & fixed) == (what & fixed) &&
		    io2_where(stage, w) != io2_where(stage, w ^ BIT(i)))
			return true;
	return false;
}

static void print_row(enum io2_stage stage, unsigned int fixed,
		      unsigned int what, int d)
{
	unsigned int i;

	printf("| %s |", stages[stage]);
	for (i = 0; i < IO2_W_BITS; i++)
		printf(" %s |", !(fixed & BIT(i)) ? "" :
		       what & BIT(i) ? "yes" : "no");
	printf(" %s |\n", dos[d]);
}

static void print_below(enum io2_stage stage, unsigned int fixed,
			unsigned int what)
{
	/* This order of the bits gives the fewest rows. */
	static const unsigned char order[IO2_STAGES][IO2_W_BITS] = {
		[IO2_STAGE_START]	= { 2, 3, 9, 0, 4, 6, 1, 7, 8, 5 },
		[IO2_STAGE_AGAIN]	= { 6, 4, 0, 1, 2, 3, 5, 7, 8, 9 },
		[IO2_STAGE_READY]	= { 3, 5, 9, 4, 0, 1, 2, 6, 7, 8 },
	};
	int d = common(stage, fixed, what);
	unsigned int n, i;

	if (d >= 0) {
		print_row(stage, fixed, what, d);
		return;
	}
	for (n = 0; n < IO2_W_BITS; n++) {
		i = order[stage][n];
		if ((fixed & BIT(i)) || !matters(stage, fixed, what, i))
			continue;
		print_below(stage, fixed | BIT(i), what | BIT(i));
		print_below(stage, fixed | BIT(i), what & ~BIT(i));
		return;
	}
}

static void print_table(void)
{
	unsigned int i;

	printf("| stage |");
	for (i = 0; i < IO2_W_BITS; i++)
		printf(" %s |", bits[i]);
	printf(" what happens |\n|---|");
	for (i = 0; i < IO2_W_BITS; i++)
		printf("---|");
	printf("---|\n");
	for (i = 0; i < IO2_STAGES; i++)
		print_below(i, 0, 0);
}

int main(int argc, char **argv)
{
	unsigned int stage, what;

	if (argc > 1 && !strcmp(argv[1], "--print")) {
		print_table();
		return 0;
	}
	for (what = 0; what < NR_WHAT; what++) {
		check_start(what);
		for (stage = 0; stage < IO2_STAGES; stage++)
			check_all(stage, what);
	}
	if (!failures)
		printf("%u rows keep all rules\n", IO2_STAGES * NR_WHAT);
	return !!failures;
}
