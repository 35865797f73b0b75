// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the cost of operations on the in-tree io_uring and on iouring2, in one
 * boot, with the same code. Time is CLOCK_MONOTONIC. The program is made for
 * "qemu -icount shift=0", where a nanosecond is an instruction.
 *
 * usage: bench [-f REGEX] [-b REGEX] [-q] [-t | -c] [-w FILE] DIR
 *
 *   -f REGEX  only operations whose names match
 *   -b REGEX  only batch sizes that match
 *   -q        a tenth of the rounds
 *   -t        measure threads in wall-clock time, on two processors or more
 *   -c        measure operations by batch size in ticks, see cycles.c
 *   -w FILE   write a line for each measurement to FILE, see insns.c
 *
 * DIR is a folder on a disk file system. /tmp should be a tmpfs. Direct reads
 * use /dev/nullb0, if it exists. If /sys/fs/cgroup is cgroup 2 with the memory
 * controller, the charged memory is measured, too.
 *
 * The output has a line for each row, with tab-separated fields: operation,
 * batch, in-tree, iouring2, unit, remark. "-" means that a ring or a kernel
 * cannot do the operation; the remark gives the reason.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "mark.h"

/* ns of a measurement, its minimum number of rounds, and rounds before it */
#define BUDGET		20000000
#define LEAST_ROUNDS	20
#define WARM_UP		20

int quick;
const char *disk_dir;

/* The current measurement */
static struct {
	FILE *list;
	const char *name, *backend;
	unsigned int at;
} window;

long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void die(const char *what, int err)
{
	fprintf(stderr, "bench: %s %u, %s: %s: %s\n", window.name, window.at,
		window.backend, what, strerror(err < 0 ? -err : err));
	exit(1);
}

void clock_is_for(const char *name, unsigned int at, const char *backend)
{
	window.name = name;
	window.at = at;
	window.backend = backend;
}

/* The plugin of the emulator counts between the marks of these two functions. */
long long clock_begin(void)
{
	long long start = now();

	mark_begin();
	return start;
}

/* Return: ns per operation since clock_begin() returned @start */
double clock_end(long long start, unsigned int operations)
{
	mark_end();
	start = now() - start;
	if (window.list) {
		fprintf(window.list, "%s\t%u\t%s\t%u\t%lld\n", window.name,
			window.at, window.backend, operations, start);
		fflush(window.list);
	}
	return (double)start / operations;
}

unsigned int enough_rounds(long long ns, unsigned int n)
{
	unsigned int rounds = BUDGET / (quick ? 10 : 1) * (long long)n / ns;

	return rounds < LEAST_ROUNDS ? LEAST_ROUNDS : rounds;
}

/* Return: ns per operation, or -errno if the operation is not possible */
static double measure(const struct op *op, unsigned int b,
		      const struct backend *backend)
{
	unsigned int i, rounds;
	struct work w;
	long long start;
	double cost;
	int ret;

	clock_is_for(op->name, b, op->plain ? "system call" : backend->name);
	ret = work_open(&w, op);
	if (!ret && !op->plain)
		ret = ring_open(&w.r, backend, ring_size(b), 0, op->flags);
	if (ret) {
		work_close(&w);
		return ret;
	}
	/* the first rounds warm the caches; the next ones estimate the time */
	for (i = 0; i < WARM_UP && !w.error; i++)
		round_of(op, &w, b);
	start = now();
	for (i = 0; i < WARM_UP && !w.error; i++)
		round_of(op, &w, b);
	if (w.error) {
		work_close(&w);
		return w.error;
	}
	rounds = enough_rounds(now() - start, WARM_UP);
	start = clock_begin();
	for (i = 0; i < rounds; i++)
		round_of(op, &w, b);
	cost = clock_end(start, rounds * b);
	if (w.error)
		die("request", w.error);
	work_close(&w);
	return cost;
}

static void print_value(double v)
{
	if (v < 0)
		printf("\t-");
	else
		printf("\t%.1f", v);
}

void print_row(const char *name, unsigned int at, double tree, double ours,
	       const char *unit)
{
	printf("%s\t%u", name, at);
	print_value(tree);
	print_value(ours);
	printf("\t%s\t", unit);
	if (tree < 0)
		printf("in-tree: %s", strerror(-tree));
	if (ours < 0)
		printf("%siouring2: %s", tree < 0 ? "; " : "", strerror(-ours));
	printf("\n");
	fflush(stdout);
}

static void row_by_instructions(const struct op *op, unsigned int b)
{
	double ours = measure(op, b, op->ours ? op->ours : &iouring2);

	print_row(op->name, b, op->plain ? ours : measure(op, b, &in_tree), ours,
		  "instructions");
}

static void rows_by_batch(const regex_t *only, const regex_t *batches,
			  void (*row)(const struct op *op, unsigned int b))
{
	unsigned int i, j;
	char text[16];

	for (i = 0; i < nr_ops; i++) {
		if (!chosen(only, ops[i].name))
			continue;
		for (j = 0; j < BATCHES && ops[i].batch[j]; j++) {
			snprintf(text, sizeof(text), "%u", ops[i].batch[j]);
			if (chosen(batches, text))
				row(&ops[i], ops[i].batch[j]);
		}
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: bench [-f REGEX] [-b REGEX] [-q] [-t | -c] [-w FILE] DIR\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *filter = ".", *batch_filter = ".";
	struct rlimit files = { 20000, 20000 };
	regex_t only, batches;
	int c, threads = 0, cycles = 0;

	while ((c = getopt(argc, argv, "b:cf:qtw:")) != -1) {
		if (c == 'b')
			batch_filter = optarg;
		else if (c == 'c')
			cycles = 1;
		else if (c == 'f')
			filter = optarg;
		else if (c == 'q')
			quick = 1;
		else if (c == 't')
			threads = 1;
		else if (c == 'w')
			window.list = fopen(optarg, "w");
		else
			return usage();
	}
	if (optind != argc - 1 ||
	    regcomp(&only, filter, REG_EXTENDED | REG_NOSUB) ||
	    regcomp(&batches, batch_filter, REG_EXTENDED | REG_NOSUB))
		return usage();
	disk_dir = argv[optind];
	setrlimit(RLIMIT_NOFILE, &files);
	if (threads) {
		rows_by_threads(&only);
	} else if (cycles) {
		rows_by_batch(&only, &batches, row_by_cycles);
	} else {
		rows_by_batch(&only, &batches, row_by_instructions);
		rows_of_their_own(&only);
	}
	return 0;
}
