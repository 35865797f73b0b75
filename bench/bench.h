/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of bench share; see bench.c. */
#ifndef BENCH_H
#define BENCH_H

#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define MAX_BATCH	128
#define BLOCK		4096

extern int quick;		/* a tenth of everything */
extern const char *disk_dir;

/* What the operations of one thread work with */
struct work {
	struct ring r;
	int file;
	int event[MAX_BATCH];
	char *buf;
	struct __kernel_timespec hour;
	int error;		/* of the first request that failed */
	int silent;		/* eventfd that polls wait for in vain */
	unsigned int crowd;	/* how many requests wait */
	unsigned int cancelled;	/* of them, so far */
};

/* An operation: a row for each batch. See ops.c. */
struct op {
	const char *name;
	unsigned int batch[4];
	int (*open)(struct work *w);
	/* one round: @b of them; @queue if that is all there is to it */
	void (*round)(struct work *w, unsigned int b);
	void (*queue)(struct work *w, unsigned int b);
	bool plain;		/* system calls, no ring */
	const struct door *ours;	/* iouring2's, if not the cheapest */
};

extern const struct op ops[];
extern const unsigned int nr_ops;

static inline bool chosen(const regex_t *only, const char *name)
{
	return !regexec(only, name, 0, NULL, 0);
}

void die(const char *what, int err);
long long now(void);

/* The window in which everything counts; what clock_end() says is for one. */
void clock_is_for(const char *name, unsigned int at, const char *door);
long long clock_begin(void);
double clock_end(long long start, unsigned int operations);

/* How many more rounds make a measurement, if @n of them took @ns */
unsigned int enough_rounds(long long ns, unsigned int n);

void print_row(const char *name, unsigned int at, double tree, double ours,
	       const char *unit);

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

#endif
