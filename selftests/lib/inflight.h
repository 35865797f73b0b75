/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of every kind that are in flight when a ring ends. The
 * close_*_test.c programs check that the requests hold no file any more when
 * the ring has ended.
 *
 * Each kind of request has a sign that shows this from outside: the other end
 * of a pipe or socket hangs up, a file lock is released, or an inode is freed.
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
#define FOREVER		CQ	/* wait for this many CQEs, which never come */

#define NR_KINDS	20
#define ALL		((1U << NR_KINDS) - 1)

/*
 * The files of a request, and the descriptors that show whether they are held
 */
struct hold {
	int use[4];	/* for requests; closed after these are submitted */
	int peer[4];	/* these hang up when the last of @use is released */
	int nr_use, nr_peer;
	int lock;	/* a file that is locked until then, or -1 */
	int notify;	/* inotify: reports that the inode is freed; or -1 */
	bool direct;	/* there is a device for direct I/O */
};

/* All requests that one ring has in flight */
struct load {
	unsigned int mask;		/* bit n: kinds[n] */
	struct hold hold[NR_KINDS];
	const char *failed;		/* kind that could not be started */
};

/* The buffer of all requests; its contents do not matter */
extern char scratch[64 << 10];
extern struct __kernel_timespec hour;
/* Set if other threads have workers, too, which a test must not count */
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
int one_round(unsigned int i);	/* a ring with kind @i % NR_KINDS */

/*
 * Messages between a parent and a child: each sends single bytes to the other
 */
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
int reap(pid_t pid);	/* return the wait status, or -errno */

/* Return: what went wrong, as a text; "" if nothing is left */
const char *failed(const char *what, const char *kind, int err);
const char *after(struct load *l, const struct state *before);
const char *every_load(const char *(*end)(int how, unsigned int mask), int how,
		       unsigned int without);

#endif
