/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of every kind, in flight on a ring that is about to end, and what
 * can be seen of them from outside: close.c, close_shared.c and close_race.c
 * see to it that nothing can be seen when the end has come.
 *
 * Each kind leaves something behind that is looked at: the other end of a
 * pipe or socket that hangs up, a file lock that is free, an inode that goes.
 */
#ifndef SELFTESTS_IOURING2_INFLIGHT_H
#define SELFTESTS_IOURING2_INFLIGHT_H

#include "ring.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define LINK		IOURING2_SQE_IO_LINK
#define HARDLINK	IOURING2_SQE_IO_HARDLINK
#define DRAIN		IOURING2_SQE_IO_DRAIN
#define ASYNC		IOURING2_SQE_ASYNC
#define HOUR		(3600 * NSEC_PER_SEC)

#define SQ		64
#define CQ		64
#define FOREVER		CQ	/* as many CQEs as never come */

#define NR_KINDS	20
#define ALL		((1U << NR_KINDS) - 1)

/* What a kind of request works with, and is seen by */
struct hold {
	int use[4];	/* for requests; closed as soon as they have them */
	int peer[4];	/* hang up when the last use is released */
	int nr_use, nr_peer;
	int lock;	/* or -1: file whose lock is held until then */
	int notify;	/* or -1: tells when the file itself is gone */
	bool direct;	/* there was a device for it */
};

/* All that one ring has in flight */
struct load {
	unsigned int mask;		/* bit n: kinds[n] */
	struct hold hold[NR_KINDS];
	const char *failed;		/* kind that could not be had */
};

/* Where requests read to and write from; nobody looks at it */
extern char scratch[64 << 10];
extern struct __kernel_timespec hour;
/* Other threads have workers, too: do not count them */
extern bool crowded;

int use_chain(struct hold *h);
int use_fifo(struct hold *h);
void close_uses(struct hold *h);
void close_peers(struct hold *h);
int submit(struct ring *r, int nr);	/* 0 if all @nr were taken */
int start_worker(struct ring *r, struct hold *h);

const char *kind_name(int i);
unsigned int kind_bit(const char *name);
int load_prepare(struct load *l, unsigned int mask);
int load_start(struct load *l, struct ring *r);
void load_drop(struct load *l);
const char *load_held(const struct load *l, bool held);
const char *load_end(struct load *l);
int one_round(unsigned int i);	/* a ring's life with kind @i % NR_KINDS */

/* Ways for parent and child to talk: the child says a byte, and waits for one */
struct talk {
	int say[2], hear[2];
};

int talk_open(struct talk *t);
void talk_child(struct talk *t);
void talk_parent(struct talk *t);
void talk_close(struct talk *t);
void say(struct talk *t, char c);
void wait_for_parent(struct talk *t);
char listen_to(struct talk *t);

void *enter_for_ever(void *r);
int reap(pid_t pid);	/* its wait status, or -errno */

/* What went wrong, in words; "" if nothing is left */
const char *failed(const char *what, const char *kind, int err);
const char *after(struct load *l, const struct state *before);
const char *every_load(const char *(*end)(int how, unsigned int mask), int how,
		       unsigned int without);

#endif
