/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations shared by the files of bench; see bench.c. */
#ifndef BENCH_H
#define BENCH_H

#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define MAX_BATCH	128	/* of operations that have files or buffers */
#define BATCHES		5	/* of an operation */
#define BLOCK		4096

extern int quick;		/* a tenth of everything */
extern const char *disk_dir;

/* The data of the operations of one thread */
struct work {
	struct ring r;
	int file;
	int event[MAX_BATCH];
	char *buf;
	struct __kernel_timespec hour;
	int error;		/* of the last failed request */
	int silent;		/* an eventfd that never becomes ready */
	unsigned int crowd;	/* number of waiting requests */
	unsigned int cancelled;	/* number of cancelled requests so far */
};

/* An operation, with a row for each batch size. See ops.c. */
struct op {
	const char *name;
	unsigned int batch[BATCHES];
	int (*open)(struct work *w);
	/* one round of @b operations: @round, or submit and reap what @queue queues */
	void (*round)(struct work *w, unsigned int b);
	void (*queue)(struct work *w, unsigned int b);
	bool plain;		/* system calls, no ring */
	bool empty;		/* an ENTER that does nothing */
	unsigned int flags;	/* of SETUP, on both rings */
	const struct backend *ours;	/* for iouring2; NULL: ENTER by fadvise64 */
};

extern const struct op ops[];
extern const unsigned int nr_ops;

static inline bool chosen(const regex_t *only, const char *name)
{
	return !regexec(only, name, 0, NULL, 0);
}

void die(const char *what, int err);
long long now(void);

/*
 * The measured code is between clock_begin() and clock_end(), which returns the
 * cost of one operation. clock_is_for() gives the measurement its name.
 */
void clock_is_for(const char *name, unsigned int at, const char *backend);
long long clock_begin(void);
double clock_end(long long start, unsigned int operations);

/* Return: the number of rounds of a measurement, if @n rounds took @ns */
unsigned int enough_rounds(long long ns, unsigned int n);

void print_row(const char *name, unsigned int at, double tree, double ours,
	       const char *unit);

unsigned int ring_size(unsigned int b);
int work_open(struct work *w, const struct op *op);
void work_close(struct work *w);
void round_of(const struct op *op, struct work *w, unsigned int b);
void await(struct ring *r, unsigned int n);
void go(struct work *w, unsigned int n);
int open_silent(struct work *w);
void queue_poll(struct work *w, int fd, __u64 user_data);
void queue_timeout(struct work *w, __u64 user_data);
void round_poll_armed(struct work *w, unsigned int b);
void round_timeout(struct work *w, unsigned int b);

void rows_of_their_own(const regex_t *only);
void rows_by_threads(const regex_t *only);
void row_by_cycles(const struct op *op, unsigned int b);

#endif
