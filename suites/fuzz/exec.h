/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs of calls: what the fuzzer makes, the executor runs, and the text
 * form in corpus/ says.  Everything is a number; what a number means is said
 * by the type of the argument.  Objects live in numbered slots of the process
 * that runs the program, so that a call needs nothing but its own numbers.
 */
#ifndef FUZZ_EXEC_H
#define FUZZ_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MAX_ARGS	10
#define MAX_CALLS	64
#define MAX_THREADS	3
#define NR_RINGS	4
#define NR_SLOTS	16

/*
 * A descriptor, as an argument: a slot, a ring, or one of these; any other
 * number is a descriptor that is not open.
 */
#define REF_RING	16
#define REF_DEVICE	20
#define REF_NONE	21	/* -1 */
#define NR_REFS		24

/* An address, as an argument: what, in the upper half, and an offset there */
enum area {
	AREA_VALUE,	/* the offset itself */
	AREA_BUFFER,	/* memory of the program's own */
	AREA_IOV,	/* number of an array of segments */
	AREA_TIME,	/* number of a time */
	AREA_NONE,	/* mapped, without access */
	AREA_READ_ONLY,
	AREA_EDGE,	/* so many bytes before AREA_NONE */
	AREA_RING,	/* the rings of ring 0 */
	AREA_SQES,	/* the SQEs of ring 0 */
	AREA_KERNEL,	/* not user memory */
	AREA_PAST_EOF,	/* a mapped file that has become shorter */
	AREA_LAST,
};

#define AREA(what, off)	((uint64_t)(what) << 32 | (uint32_t)(off))
#define AREA_BYTES	65536

#define NR_IOVS		16
#define NR_TIMES	8

/* Types of arguments: what numbers the fuzzer picks */
enum type {
	T_NUMBER,	/* of any size */
	T_SMALL,	/* 0 to 15 */
	T_BOOL,
	T_RING,
	T_SLOT,
	T_REF,
	T_ADDR,
	T_ENTRIES,
	T_INFLIGHT,
	T_SETUP_FLAGS,
	T_ENTER_FLAGS,
	T_ENTER_ARG,
	T_ODD,		/* how an ioctl's argument is not as it should be */
	T_OPCODE,
	T_SQE_FLAGS,
	T_OFFSET,
	T_LENGTH,
	T_OP_FLAGS,
	T_USER_DATA,
	T_IOPRIO,
	T_REST,		/* SQE fields that are 0 mostly */
	T_REGISTER_OP,
	T_WORD,		/* of ring memory */
	T_VALUE,	/* to write there */
	T_KIND,		/* of descriptor */
	T_MAP,		/* which mapping */
	T_MAP_OFFSET,	/* for mmap() */
	T_PROT,
	T_ADVICE,
	T_EVENTS,
	T_NSEC,
	T_USEC,
	T_SIGNAL,
	T_FD_CALL,	/* number of a call on any descriptor */
	T_LIMIT,
	T_PARAM,
	T_EXIT,
	T_LAST,
};

/*
 * name, then the arguments' names and types; the names are the documentation
 * of the text form.
 */
#define CALLS(X)							\
	X(query, 1, { T_ODD })						\
	/* ring, entries, flags, cq_entries, max_inflight, odd, map? */	\
	X(setup, 7, { T_RING, T_ENTRIES, T_SETUP_FLAGS, T_ENTRIES,	\
		      T_INFLIGHT, T_ODD, T_BOOL })			\
	/* ring, opcode, flags, fd, off, addr, len, op flags, user_data,	\
	 * ioprio | buf_index << 16 | personality << 32 | splice_fd << 48 */ \
	X(sqe, 10, { T_RING, T_OPCODE, T_SQE_FLAGS, T_REF, T_OFFSET,	\
		     T_ADDR, T_LENGTH, T_OP_FLAGS, T_USER_DATA, T_REST }) \
	/* ring, to_submit, min_complete, flags, kind of arg, ns, odd;	\
	 * without an arg, by fadvise() if ns is odd */			\
	X(enter, 7, { T_RING, T_SMALL, T_SMALL, T_ENTER_FLAGS,		\
		      T_ENTER_ARG, T_NSEC, T_ODD })			\
	/* ring, opcode, nr_args, addr, odd */				\
	X(register, 5, { T_RING, T_REGISTER_OP, T_NUMBER, T_ADDR, T_ODD }) \
	X(reap, 2, { T_RING, T_SMALL })					\
	/* ring, word, value */						\
	X(poke, 3, { T_RING, T_WORD, T_VALUE })				\
	/* ring, index, byte, value: into a live SQE */			\
	X(scribble, 4, { T_RING, T_SMALL, T_SMALL, T_VALUE })		\
	/* ring, offset, pages, prot, private? */			\
	X(map, 5, { T_RING, T_MAP_OFFSET, T_SMALL, T_PROT, T_BOOL })	\
	/* which mapping of ring 0..3, page, pages */			\
	X(unmap, 3, { T_MAP, T_SMALL, T_SMALL })			\
	X(remap, 3, { T_MAP, T_SMALL, T_SMALL })			\
	X(advise, 3, { T_MAP, T_ADVICE, T_SMALL })			\
	X(protect, 2, { T_MAP, T_PROT })				\
	/* slot, kind */						\
	X(open, 2, { T_SLOT, T_KIND })					\
	X(close, 1, { T_REF })						\
	X(dup, 2, { T_SLOT, T_REF })					\
	X(dup2, 2, { T_REF, T_REF })					\
	X(read, 2, { T_REF, T_LENGTH })					\
	X(write, 2, { T_REF, T_LENGTH })				\
	/* which call, on which descriptor, and a number for it */	\
	X(fdcall, 3, { T_FD_CALL, T_REF, T_NUMBER })			\
	X(poll, 3, { T_REF, T_EVENTS, T_SMALL })			\
	/* epoll, op, descriptor, events */				\
	X(epoll, 4, { T_REF, T_SMALL, T_REF, T_EVENTS })		\
	X(settime, 2, { T_REF, T_NSEC })				\
	/* socket, descriptor to send */				\
	X(send_fd, 2, { T_REF, T_REF })					\
	X(recv_fd, 2, { T_SLOT, T_REF })				\
	/* a child that goes on with so many of the next calls */	\
	X(fork, 2, { T_SMALL, T_BOOL })					\
	X(signal, 2, { T_SIGNAL, T_BOOL })				\
	X(sleep, 1, { T_USEC })						\
	X(limit, 2, { T_LIMIT, T_NUMBER })				\
	/* of the module: put back after the program */			\
	X(param, 2, { T_PARAM, T_NUMBER })				\
	X(access, 2, { T_SMALL, T_PROT })				\
	X(exit, 1, { T_EXIT })

#define CALL_ENUM(name, nr, ...)	CALL_##name,
enum call_kind {
	CALLS(CALL_ENUM)
	NR_CALLS,
};

/**
 * struct call - one call of a program
 * @kind: which
 * @thread: who makes it; others than 0 start when 0 has got so far
 * @repeat: how often, 1 and more
 * @nth: make the N-th thing in it that can fail, fail; 0: none
 * @arg: its arguments
 */
struct call {
	uint8_t kind;
	uint8_t thread;
	uint16_t repeat;
	uint16_t nth;
	uint64_t arg[MAX_ARGS];
};

struct program {
	unsigned int nr;
	struct call call[MAX_CALLS];
};

/* Runs in a process of its own, which it ends. */
void program_run(const struct program *p,
		 void (*thread_starts)(unsigned int thread));

/* No matter whether that works */
void put_file(const char *path, const char *text);

extern const char * const param_names[];
#define NR_PARAMS	5

#endif
