// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generate random programs, and mutate existing ones. Most arguments are
 * plausible, so that calls succeed; a few are arbitrary.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <linux/iouring2.h>
#include "generate.h"
#include "text.h"

#define PICK(...)							\
({									\
	static const uint64_t __of[] = { __VA_ARGS__ };			\
	__of[random_below(ARRAY_SIZE(__of))];				\
})

/* true with this probability */
#define CHANCE(percent)		(random_below(100) < (percent))

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL | 1;
}

static uint64_t random64(void)
{
	/* xorshift* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

unsigned int random_below(unsigned int n)
{
	return (random64() >> 33) % n;
}

/* ------------------------------------------------------------- arguments */

static uint64_t any_number(void)
{
	switch (random_below(6)) {
	case 0:
		return random_below(16);
	case 1:
		return 1ULL << random_below(64);
	case 2:
		return (1ULL << random_below(64)) - 1;
	case 3:
		return -(uint64_t)random_below(16);
	case 4:
		return random_below(65536);
	default:
		return random64();
	}
}

static uint64_t some_bits(const uint64_t *bits, unsigned int nr)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (CHANCE(30))
			value |= bits[i];
	return value;
}

#define SOME_OF(...)							\
({									\
	static const uint64_t __bits[] = { __VA_ARGS__ };		\
	some_bits(__bits, ARRAY_SIZE(__bits));				\
})

static uint64_t setup_flags(void)
{
	static const uint64_t supported[] = {
#include "setup_flags.h"
	};
	uint64_t flags;

	if (CHANCE(45))
		return IOURING2_SETUP_CQSIZE;
	if (CHANCE(6))
		return 1ULL << random_below(32);
	flags = some_bits(supported, ARRAY_SIZE(supported));
	/* with these, most of what follows fails */
	if (CHANCE(80))
		flags &= ~(uint64_t)(IOURING2_SETUP_R_DISABLED |
				     IOURING2_SETUP_SQ_REWIND);
	/* these fail alone */
	if (flags & IOURING2_SETUP_TASKRUN_FLAG)
		flags |= IOURING2_SETUP_COOP_TASKRUN;
	if (CHANCE(50))
		flags &= ~(uint64_t)IOURING2_SETUP_DEFER_TASKRUN;
	if (flags & IOURING2_SETUP_DEFER_TASKRUN)
		flags |= IOURING2_SETUP_SINGLE_ISSUER;
	return flags;
}

static uint64_t enter_flags(void)
{
	static const uint64_t supported[] = {
#include "enter_flags.h"
	};
	uint64_t wait = CHANCE(75) ? IOURING2_ENTER_GETEVENTS : 0;

	if (CHANCE(5))
		return 1ULL << random_below(32);
	if (CHANCE(65))
		return wait;
	/* exec.c sets EXT_ARG, together with the argument */
	return wait | (some_bits(supported, ARRAY_SIZE(supported)) &
		       ~(uint64_t)IOURING2_ENTER_EXT_ARG);
}

static uint64_t some_addr(void)
{
	switch (random_below(12)) {
	case 0:
		return AREA(AREA_VALUE, any_number());
	case 1:
		return AREA(AREA_IOV, random_below(NR_IOVS));
	case 2:
		return AREA(AREA_TIME, random_below(NR_TIMES));
	case 3:
		return AREA(random_below(AREA_LAST), random_below(AREA_BYTES));
	case 4:
		return AREA(AREA_EDGE, random_below(100));
	default:
		return AREA(AREA_BUFFER, PICK(0, 0, 4096, 100, 8191, 30000));
	}
}

static uint64_t some_ref(void)
{
	if (CHANCE(80))
		return random_below(6);
	if (CHANCE(50))
		return REF_RING + random_below(2);
	return random_below(NR_REFS);
}

static uint64_t some_events(void)
{
	if (CHANCE(10))
		return any_number() & 0xffffffff;
	return PICK(POLLIN, POLLIN, POLLIN, POLLOUT, POLLIN | POLLOUT, POLLHUP,
		    POLLRDHUP, POLLPRI, POLLIN | (uint64_t)EPOLLET,
		    POLLIN | EPOLLONESHOT, POLLIN | EPOLLEXCLUSIVE, 0);
}

static uint64_t some_map_offset(void)
{
	if (CHANCE(15))
		return any_number() & ~4095ULL;
	return PICK(IOURING2_OFF_SQ_RING, IOURING2_OFF_CQ_RING, IOURING2_OFF_SQES,
		    IOURING2_OFF_SQES + 4096, IOURING2_OFF_PBUF_RING,
		    IOURING2_OFF_SQ_RING + 4096, OFF_REGION);
}

static uint64_t sqe_flags(void)
{
	static const uint64_t supported[] = {
#include "sqe_flags.h"
	};

	if (CHANCE(60))
		return 0;
	if (CHANCE(6))
		return random_below(256);
	return some_bits(supported, ARRAY_SIZE(supported));
}

static uint64_t some_register_op(void)
{
	static const unsigned char supported[] = {
#include "register_ops.h"
	};

	if (CHANCE(75))
		return supported[random_below(ARRAY_SIZE(supported))];
	return CHANCE(80) ? random_below(IOURING2_REGISTER_LAST + 2) : any_number();
}

static uint64_t some_opcode(void)
{
	static const unsigned char known[] = {
		/* twice as likely as the others */
		IOURING2_OP_POLL_ADD, IOURING2_OP_TIMEOUT, IOURING2_OP_ASYNC_CANCEL,
		IOURING2_OP_READ,
#include "opcodes.h"
	};

	if (CHANCE(4))
		return random_below(256);
	if (CHANCE(4))
		return random_below(IOURING2_OP_LAST);
	return known[random_below(ARRAY_SIZE(known))];
}

static uint64_t argument(enum type type)
{
	switch (type) {
	case T_SMALL:
		return CHANCE(50) ? random_below(3) : random_below(16);
	case T_BOOL:
		return random_below(2);
	case T_RING:
		return CHANCE(85) ? 0 : random_below(NR_RINGS);
	case T_SLOT:
		return random_below(6);
	case T_REF:
		return some_ref();
	case T_ADDR:
		return some_addr();
	case T_ENTRIES:
		return CHANCE(5) ? any_number() :
		       PICK(1, 1, 2, 2, 4, 4, 8, 16, 64, 3, 7, 0, 256, 4096, 32768, 65536);
	case T_INFLIGHT:
		return (CHANCE(80) ? 0 : PICK(1, 2, 3, 4, 8, 1048576, 1048577, 0xffffffff)) |
		       (CHANCE(75) ? 0 : PICK(1ULL << 32, 1ULL << 32, 2ULL << 32));
	case T_SETUP_FLAGS:
		return setup_flags();
	case T_ENTER_FLAGS:
		return enter_flags();
	case T_ENTER_ARG:
		return CHANCE(60) ? 11 : random_below(15);
	case T_ODD:
		return CHANCE(93) ? 0 : random_below(160);
	case T_OPCODE:
		return some_opcode();
	case T_SQE_FLAGS:
		return sqe_flags();
	case T_OFFSET:
		return CHANCE(10) ? any_number() : PICK(0, 0, 0, -1ULL, 1, 2, 512, 4096, 30000);
	case T_LENGTH:
		return CHANCE(6) ? any_number() & 0xffffffff :
		       PICK(0, 1, 1, 2, 8, 8, 16, 64, 512, 4096, 5000, 32768, 65535);
	case T_OP_FLAGS:
		return CHANCE(70) ? 0 : CHANCE(80) ? 1ULL << random_below(8) :
		       any_number() & 0xffffffff;
	case T_USER_DATA:
		return random_below(4);
	case T_REST:
		return CHANCE(92) ? 0 : CHANCE(50) ? PICK(0x2000, 0x4001, 0x6000, 0x10000) :
		       any_number();
	case T_REGISTER_OP:
		return some_register_op();
	case T_WORD:
		return CHANCE(60) ? random_below(4) : random_below(76);
	case T_VALUE:
		return CHANCE(50) ? random_below(9) : any_number() & 0xffffffff;
	case T_KIND:
		return random_below(28);
	case T_MAP:
		return CHANCE(60) ? random_below(2) : random_below(8);
	case T_MAP_OFFSET:
		return some_map_offset();
	case T_PROT:
		return PICK(3, 3, 3, 1, 2, 0, 7);
	case T_ADVICE:
		return PICK(MADV_DONTNEED, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK,
			    MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE,
			    MADV_FREE, MADV_WIPEONFORK, 22, 23);
	case T_EVENTS:
		return some_events();
	case T_NSEC:
		return PICK(0, 1, 100000, 1000000, 5000000, 20000000, 2000000000);
	case T_USEC:
		return PICK(0, 100, 1000, 5000, 15000);
	case T_SIGNAL:
		return CHANCE(80) ? random_below(4) : random_below(6);
	case T_FD_CALL:
		return CHANCE(25) ? 0 : random_below(22);
	case T_LIMIT:
		return random_below(4);
	case T_PARAM:
		return random_below(NR_PARAMS);
	case T_EXIT:
		return random_below(8);
	default:
		return any_number();
	}
}

/* ----------------------------------------------------------------- calls */

static void read_write_args(uint64_t *a)
{
	if (a[1] == IOURING2_OP_READV || a[1] == IOURING2_OP_WRITEV) {
		a[5] = AREA(AREA_IOV, random_below(NR_IOVS));
		a[6] = PICK(1, 1, 2, 3, 8, 0, 1024, 1025);
	}
	if (CHANCE(70))
		a[7] = 0;
}

static void poll_args(uint64_t *a)
{
	a[4] = 0;
	a[5] = 0;
	a[6] = PICK(0, 0, 0, IOURING2_POLL_ADD_MULTI, IOURING2_POLL_ADD_MULTI,
		    IOURING2_POLL_ADD_LEVEL, 15);
	a[7] = some_events();
	if (a[1] == IOURING2_OP_POLL_REMOVE) {
		a[3] = REF_NONE;
		a[5] = random_below(4);
		a[6] = PICK(0, IOURING2_POLL_UPDATE_EVENTS, IOURING2_POLL_UPDATE_USER_DATA,
			    IOURING2_POLL_UPDATE_EVENTS | IOURING2_POLL_UPDATE_USER_DATA,
			    IOURING2_POLL_UPDATE_EVENTS | IOURING2_POLL_ADD_MULTI);
		a[4] = a[6] & IOURING2_POLL_UPDATE_USER_DATA ? random_below(4) : 0;
		if (!(a[6] & IOURING2_POLL_UPDATE_EVENTS))
			a[7] = 0;
	}
}

static void timeout_args(uint64_t *a)
{
	a[3] = REF_NONE;
	a[4] = PICK(0, 0, 0, 1, 2, 3);
	a[5] = AREA(AREA_TIME, random_below(NR_TIMES));
	a[6] = 1;
	a[7] = CHANCE(50) ? 0 :
	       SOME_OF(IOURING2_TIMEOUT_ABS, IOURING2_TIMEOUT_BOOTTIME,
		       IOURING2_TIMEOUT_REALTIME, IOURING2_TIMEOUT_ETIME_SUCCESS,
		       IOURING2_TIMEOUT_MULTISHOT);
	if (a[1] == IOURING2_OP_TIMEOUT_REMOVE) {
		a[5] = random_below(4);
		a[6] = 0;
		a[7] = PICK(0, IOURING2_TIMEOUT_UPDATE, IOURING2_TIMEOUT_UPDATE,
			    IOURING2_TIMEOUT_UPDATE | IOURING2_TIMEOUT_ABS,
			    IOURING2_TIMEOUT_UPDATE | IOURING2_TIMEOUT_REALTIME);
		a[4] = a[7] ? random_below(NR_TIMES) : 0;
	}
}

static void cancel_args(uint64_t *a)
{
	a[4] = 0;
	a[5] = random_below(4);
	a[7] = CHANCE(40) ? 0 :
	       SOME_OF(IOURING2_ASYNC_CANCEL_ALL, IOURING2_ASYNC_CANCEL_FD,
		       IOURING2_ASYNC_CANCEL_ANY, IOURING2_ASYNC_CANCEL_USERDATA,
		       IOURING2_ASYNC_CANCEL_OP);
	if (!(a[7] & IOURING2_ASYNC_CANCEL_FD))
		a[3] = REF_NONE;
	a[6] = a[7] & IOURING2_ASYNC_CANCEL_OP ? some_opcode() : 0;
	if (a[7] & (IOURING2_ASYNC_CANCEL_ANY | IOURING2_ASYNC_CANCEL_FD) &&
	    !(a[7] & IOURING2_ASYNC_CANCEL_USERDATA))
		a[5] = 0;
}

/* Choose plausible arguments for the opcode of an SQE. */
static void sensible_sqe(uint64_t *a)
{
	switch (a[1]) {
	case IOURING2_OP_NOP:
		memset(a + 3, 0, 5 * sizeof(*a));
		a[7] = CHANCE(85) ? 0 : random_below(64);
		break;
	case IOURING2_OP_READ:
	case IOURING2_OP_WRITE:
	case IOURING2_OP_READV:
	case IOURING2_OP_WRITEV:
		read_write_args(a);
		break;
	case IOURING2_OP_FSYNC:
		a[5] = 0;
		a[7] = PICK(0, IOURING2_FSYNC_DATASYNC, 2);
		break;
	case IOURING2_OP_POLL_ADD:
	case IOURING2_OP_POLL_REMOVE:
		poll_args(a);
		break;
	case IOURING2_OP_TIMEOUT:
	case IOURING2_OP_TIMEOUT_REMOVE:
		timeout_args(a);
		break;
	case IOURING2_OP_ASYNC_CANCEL:
		cancel_args(a);
		break;
	}
	if (CHANCE(8)) {
		unsigned int i = 2 + random_below(8);

		a[i] = CHANCE(50) ? argument(call_types[CALL_sqe][i]) : any_number();
	}
}

static void draw_args(struct call *c)
{
	unsigned int i;

	memset(c->arg, 0, sizeof(c->arg));
	for (i = 0; i < call_nr_args[c->kind]; i++)
		c->arg[i] = argument(call_types[c->kind][i]);
	if (c->kind == CALL_sqe)
		sensible_sqe(c->arg);
	if (c->kind == CALL_setup && CHANCE(95))
		c->arg[6] = 1;
}

/* The relative frequency of each kind of call */
static const unsigned char weight[NR_CALLS] = {
	[CALL_query] = 1, [CALL_setup] = 3, [CALL_sqe] = 60, [CALL_enter] = 32,
	[CALL_register] = 2, [CALL_resize] = 4, [CALL_region] = 3,
	[CALL_reap] = 8, [CALL_poke] = 5, [CALL_scribble] = 3,
	[CALL_map] = 2, [CALL_unmap] = 2, [CALL_remap] = 2, [CALL_advise] = 1,
	[CALL_protect] = 1, [CALL_open] = 8, [CALL_close] = 5, [CALL_dup] = 2,
	[CALL_dup2] = 2, [CALL_read] = 3, [CALL_write] = 7, [CALL_fdcall] = 5,
	[CALL_poll] = 3, [CALL_epoll] = 4, [CALL_settime] = 1, [CALL_send_fd] = 2,
	[CALL_recv_fd] = 1, [CALL_fork] = 2, [CALL_signal] = 2, [CALL_sleep] = 4,
	[CALL_limit] = 1, [CALL_param] = 1, [CALL_access] = 1, [CALL_exit] = 1,
};

static enum call_kind draw_kind(void)
{
	unsigned int sum = 0, i, at;

	for (i = 0; i < NR_CALLS; i++)
		sum += weight[i];
	at = random_below(sum);
	for (i = 0; at >= weight[i]; i++)
		at -= weight[i];
	return i;
}

static void draw_call(struct call *c)
{
	*c = (struct call){ .kind = draw_kind(), .repeat = 1 };
	draw_args(c);
}

/* --------------------------------------------------------------- programs */

static struct call *add(struct program *p, enum call_kind kind)
{
	struct call *c = &p->call[p->nr++];

	*c = (struct call){ .kind = kind, .repeat = 1 };
	draw_args(c);
	return c;
}

void program_generate(struct program *p)
{
	unsigned int calls = 4 + random_below(20), i;
	bool threads = CHANCE(25), failures = CHANCE(25);

	p->nr = 0;
	if (CHANCE(95)) {
		struct call *c = add(p, CALL_setup);

		c->arg[0] = 0;
		if (CHANCE(90))
			c->arg[5] = 0;
	}
	for (i = random_below(4); i; i--)
		add(p, CALL_open);
	while (p->nr < calls) {
		draw_call(&p->call[p->nr]);
		if (p->call[p->nr].kind == CALL_sqe && CHANCE(40)) {
			p->nr++;
			draw_call(&p->call[p->nr]);
			p->call[p->nr].kind = CALL_enter;
			draw_args(&p->call[p->nr]);
		}
		p->nr++;
	}
	for (i = 1; i < p->nr; i++) {
		if (threads)
			p->call[i].thread = random_below(MAX_THREADS);
		if (failures && CHANCE(25))
			p->call[i].nth = 1 + random_below(CHANCE(50) ? 4 : 25);
		if (CHANCE(4))
			p->call[i].repeat = 2 + random_below(40);
	}
}

void program_remove(struct program *p, unsigned int at, unsigned int count)
{
	if (at >= p->nr)
		return;
	if (count > p->nr - at)
		count = p->nr - at;
	memmove(&p->call[at], &p->call[at + count],
		(p->nr - at - count) * sizeof(p->call[0]));
	p->nr -= count;
}

static void insert(struct program *p, unsigned int at, const struct call *c,
		   unsigned int count)
{
	if (count > MAX_CALLS - p->nr)
		count = MAX_CALLS - p->nr;
	memmove(&p->call[at + count], &p->call[at], (p->nr - at) * sizeof(*c));
	memmove(&p->call[at], c, count * sizeof(*c));
	p->nr += count;
}

static void change_arg(struct call *c)
{
	unsigned int nr = call_nr_args[c->kind], i = random_below(nr);

	if (CHANCE(15))
		c->arg[i] ^= 1ULL << random_below(CHANCE(70) ? 8 : 64);
	else if (CHANCE(15))
		c->arg[i] += random_below(9) - 4;
	else
		c->arg[i] = argument(call_types[c->kind][i]);
	if (c->kind == CALL_sqe && i == 1)
		sensible_sqe(c->arg);
}

static void change_how(struct call *c)
{
	switch (random_below(4)) {
	case 0:
		c->thread = random_below(MAX_THREADS);
		break;
	case 1:
		c->repeat = CHANCE(50) ? 1 : 2 + random_below(60);
		break;
	case 2:
		c->nth = 0;
		break;
	default:
		c->nth = 1 + random_below(30);
	}
}

static void mutate_once(struct program *p, const struct program *other)
{
	unsigned int at = p->nr ? random_below(p->nr) : 0, from;
	struct call c[16];

	switch (p->nr ? random_below(20) : 0) {
	case 0 ... 6:
		draw_call(&c[0]);
		if (c[0].kind == CALL_setup && CHANCE(70))
			break;
		c[0].thread = p->nr ? p->call[at].thread : 0;
		insert(p, p->nr ? at + 1 : 0, c, 1);
		break;
	case 7:
	case 8:
		program_remove(p, at, 1 + random_below(3));
		break;
	case 9 ... 14:
		change_arg(&p->call[at]);
		break;
	case 15:
		change_how(&p->call[at]);
		break;
	case 16:	/* insert some calls of another program */
		if (!other || !other->nr)
			break;
		from = random_below(other->nr);
		insert(p, at + 1, &other->call[from],
		       1 + random_below(other->nr - from < 16 ? other->nr - from : 16));
		break;
	case 17:	/* repeat a call elsewhere */
		c[0] = p->call[at];
		insert(p, random_below(p->nr + 1), c, 1);
		break;
	case 18:	/* swap two calls */
		from = random_below(p->nr);
		c[0] = p->call[at];
		p->call[at] = p->call[from];
		p->call[from] = c[0];
		break;
	default:	/* move the rest to another thread */
		for (from = at; from < p->nr; from++)
			p->call[from].thread = 1 + at % 2;
	}
}

void program_mutate(struct program *p, const struct program *other)
{
	unsigned int n = 1 + random_below(4);

	while (n--)
		mutate_once(p, other);
}
