// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an operation costs, on the in-tree io_uring and on iouring2, in one
 * boot, by the same code. Time is CLOCK_MONOTONIC; under "qemu -icount
 * shift=0", for which this is made, a nanosecond of it is an instruction.
 *
 * usage: bench [-f REGEX] [-b REGEX] [-q] [-t] [-w FILE] DIR
 *
 *   -f  rows whose operation matches
 *   -b  batches that match
 *   -q  a tenth of everything
 *   -t  with threads, in plain time: for a machine with two processors or more
 *   -w  FILE gets a line for each measurement, see insns.c
 *
 * DIR is on a disk file system; /tmp should be a tmpfs; /dev/nullb0, if it is
 * there, is what direct reads read; /sys/fs/cgroup, if it is cgroup 2 with the
 * memory controller, tells what memory is charged.
 *
 * Output, a row a line, separated by tabs: operation, batch, in-tree,
 * iouring2, unit, remark. "-" stands for what a ring or a kernel cannot do,
 * for the reason in the remark.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "mark.h"

/* ns that a measurement takes; and fewer rounds than this are none. */
#define BUDGET		20000000
#define LEAST_ROUNDS	20
#define WARM_UP		20

int quick;
const char *disk_dir;

/* What is measured just now */
static struct {
	FILE *list;
	const char *name, *door;
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
		window.door, what, strerror(err < 0 ? -err : err));
	exit(1);
}

void clock_is_for(const char *name, unsigned int at, const char *door)
{
	window.name = name;
	window.at = at;
	window.door = door;
}

/* Everything that counts is between these two, and between two marks. */
long long clock_begin(void)
{
	long long start = now();

	mark_begin();
	return start;
}

/* ns for each of so many operations since clock_begin() said @start */
double clock_end(long long start, unsigned int operations)
{
	mark_end();
	start = now() - start;
	if (window.list) {
		fprintf(window.list, "%s\t%u\t%s\t%u\t%lld\n", window.name,
			window.at, window.door, operations, start);
		fflush(window.list);
	}
	return (double)start / operations;
}

unsigned int enough_rounds(long long ns, unsigned int n)
{
	unsigned int rounds = BUDGET / (quick ? 10 : 1) * (long long)n / ns;

	return rounds < LEAST_ROUNDS ? LEAST_ROUNDS : rounds;
}

/* ns an operation, or -errno where it cannot be done */
static double measure(const struct op *op, unsigned int b,
		      const struct door *door)
{
	unsigned int i, rounds;
	struct work w;
	long long start;
	double cost;
	int ret;

	clock_is_for(op->name, b, op->plain ? "system call" : door->name);
	ret = work_open(&w, op);
	if (!ret && !op->plain)
		ret = ring_open(&w.r, door, 2 * MAX_BATCH, 0);
	if (ret) {
		work_close(&w);
		return ret;
	}
	/* the first ones find caches cold; the others say how long it takes */
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

static void rows_by_batch(const regex_t *only, const regex_t *batches)
{
	unsigned int i, j;

	for (i = 0; i < nr_ops; i++) {
		const struct op *op = &ops[i];

		if (!chosen(only, op->name))
			continue;
		for (j = 0; j < 4 && op->batch[j]; j++) {
			unsigned int b = op->batch[j];
			double ours;
			char text[16];

			snprintf(text, sizeof(text), "%u", b);
			if (!chosen(batches, text))
				continue;
			ours = measure(op, b, op->ours ? op->ours : &iouring2);
			print_row(op->name, b, op->plain ? ours :
				  measure(op, b, &in_tree), ours, "instructions");
		}
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: bench [-f REGEX] [-b REGEX] [-q] [-t] [-w FILE] DIR\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *filter = ".", *batch_filter = ".";
	struct rlimit files = { 20000, 20000 };
	regex_t only, batches;
	int c, threads = 0;

	while ((c = getopt(argc, argv, "b:f:qtw:")) != -1) {
		if (c == 'b')
			batch_filter = optarg;
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
	} else {
		rows_by_batch(&only, &batches);
		rows_of_their_own(&only);
	}
	return 0;
}
