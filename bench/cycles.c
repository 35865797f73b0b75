// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real cycles: operations by batch size in ticks of the time-stamp counter, in
 * User Mode Linux, whose kernel runs natively on the processor of the host. Its
 * way into the kernel costs some thousand ticks and is nothing like that of a
 * kernel on hardware. So a figure has two parts: the program's own, which
 * SYSTEM_CALL() measures, and the kernel's, which the module ticks.ko measures.
 *
 * The in-tree ring and iouring2 take turns, so that a busy host disturbs both.
 * It can only make a round slower. So the cost in a turn is that of the best
 * tenth of its rounds, and the figure is the median over the turns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "ticks/ticks.h"

#define TURNS		31
#define TURN_TICKS	10000000
#define MIN_ROUNDS	20
#define MAX_ROUNDS	1000
#define WARM_UP		20
#define BEST(n)		((n) / 10)

struct own_part own_part;

/* One of the two rings in a comparison; costs are ticks per operation */
struct side {
	const struct backend *backend;
	struct work w;
	double cost[TURNS];
	double way[TURNS];	/* of a system call, into the kernel and back */
	int error;
};

static volatile struct ticks *counted;

static void open_ticks(void)
{
	int fd = open("/dev/bench_ticks", O_RDWR | O_CLOEXEC);

	if (!OWN_PART_IS_TIMED)
		die("compiled without -DCYCLES", EOPNOTSUPP);
	if (fd < 0)
		die("/dev/bench_ticks", errno);
	counted = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
	if (counted == MAP_FAILED)
		die("/dev/bench_ticks", errno);
}

static int up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Return: the value of rank @n of the @count values, the least has rank 0 */
static double ranked(double *values, unsigned int count, unsigned int n)
{
	qsort(values, count, sizeof(*values), up);
	return values[n];
}

/* One round: what it costs, and what each way into the kernel and back costs */
static void timed_round(const struct op *op, struct work *w, unsigned int b,
			double *cost, double *way)
{
	unsigned long long calls = counted->calls, kernel = counted->kernel;
	unsigned long long start, all;

	own_part.ticks = 0;
	start = ticks_now();
	own_part_begins();
	round_of(op, w, b);
	own_part_ends();
	all = ticks_now() - start;
	calls = counted->calls - calls;
	kernel = counted->kernel - kernel;
	*cost = (double)(own_part.ticks + kernel) / b;
	*way = (double)(all - own_part.ticks - kernel) / calls;
}

static void turn(const struct op *op, struct side *side, unsigned int b,
		 unsigned int rounds, unsigned int nr)
{
	static double cost[MAX_ROUNDS], way[MAX_ROUNDS];
	unsigned int i;

	for (i = 0; i < rounds; i++)
		timed_round(op, &side->w, b, &cost[i], &way[i]);
	if (side->w.error)
		die("request", side->w.error);
	side->cost[nr] = ranked(cost, rounds, BEST(rounds));
	side->way[nr] = ranked(way, rounds, BEST(rounds));
}

static void side_open(struct side *side, const struct op *op, unsigned int b)
{
	unsigned int i;

	clock_is_for(op->name, b, op->plain ? "system call" : side->backend->name);
	side->error = work_open(&side->w, op);
	if (!side->error && !op->plain)
		side->error = ring_open(&side->w.r, side->backend, ring_size(b),
					0, op->flags);
	if (side->error)
		return;
	for (i = 0; i < WARM_UP && !side->w.error; i++)
		round_of(op, &side->w, b);
	side->error = side->w.error;
}

static unsigned int rounds_of_turn(const struct op *op, struct side *side,
				   unsigned int b)
{
	unsigned long long start = ticks_now();
	unsigned int i, rounds;

	for (i = 0; i < MIN_ROUNDS; i++)
		round_of(op, &side->w, b);
	rounds = TURN_TICKS * (unsigned long long)MIN_ROUNDS / (ticks_now() - start);
	if (rounds < MIN_ROUNDS)
		return MIN_ROUNDS;
	return rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
}

/* Fills the costs of the sides that can do the operation. */
static void compare(const struct op *op, struct side *sides, unsigned int b)
{
	unsigned int i, k, rounds = 0, turns = quick ? TURNS / 5 : TURNS;

	for (k = 0; k < 2; k++) {
		side_open(&sides[k], op, b);
		if (!sides[k].error && !rounds)
			rounds = rounds_of_turn(op, &sides[k], b);
	}
	for (i = 0; i < turns; i++)
		for (k = 0; k < 2; k++)
			if (!sides[k].error)
				turn(op, &sides[k], b, rounds, i);
	for (k = 0; k < 2; k++) {
		work_close(&sides[k].w);
		sides[k].cost[0] = sides[k].error ? sides[k].error :
			ranked(sides[k].cost, turns, turns / 2);
		sides[k].way[0] = sides[k].error ? sides[k].error :
			ranked(sides[k].way, turns, turns / 2);
	}
}

void row_by_cycles(const struct op *op, unsigned int b)
{
	static struct side sides[2];

	if (!counted)
		open_ticks();
	sides[0].backend = &in_tree;
	sides[1].backend = op->ours ? op->ours : &iouring2;
	compare(op, sides, b);
	print_row(op->name, b, sides[0].cost[0], sides[1].cost[0], "ticks");
	if (op->empty)
		print_row("the way into the kernel and back, not included", b,
			  sides[0].way[0], sides[1].way[0], "ticks");
}
