/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program is a list of calls. The fuzzer generates it, the executor runs it, and
 * corpus/ has it as text. All arguments are numbers, whose meaning depends on the
 * type of the argument. Objects are in numbered slots of the process that runs the
 * program, so that a call depends only on its own numbers.
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
 * A descriptor as an argument is the number of a slot, REF_RING plus the number
 * of a ring, or one of the others. Any other number is a descriptor that is not
 * open.
 */
#define REF_RING	16
#define REF_DEVICE	20
#define REF_NONE	21	/* -1 */
#define NR_REFS		24

/* An address as an argument has an area in the upper half, and an offset in it */
enum area {
	AREA_VALUE,	/* the offset itself */
	AREA_BUFFER,	/* memory of the program */
	AREA_IOV,	/* the offset is the number of an array of segments */
	AREA_TIME,	/* the offset is the number of a time */
	AREA_NONE,	/* mapped, without access */
	AREA_READ_ONLY,
	AREA_EDGE,	/* offset bytes before AREA_NONE */
	AREA_RING,	/* the mapped SQ and CQ of ring 0 */
	AREA_SQES,	/* the SQEs of ring 0 */
	AREA_KERNEL,	/* kernel memory */
	AREA_PAST_EOF,	/* a mapped file, after its end was cut off */
	AREA_LAST,
};

#define AREA(what, off)	((uint64_t)(what) << 32 | (uint32_t)(off))
#define AREA_BYTES	65536
#define OFF_REGION	0x20000000ULL	/* of mmap(), for the region of a ring */

#define NR_IOVS		16
#define NR_TIMES	8

/* Types of arguments, from which the fuzzer chooses the numbers */
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
	T_ODD,		/* how the argument of an ioctl is wrong */
	T_OPCODE,
	T_SQE_FLAGS,
	T_OFFSET,
	T_LENGTH,
	T_OP_FLAGS,
	T_USER_DATA,
	T_IOPRIO,
	T_REST,		/* SQE fields that are mostly 0 */
	T_REGISTER_OP,
	T_WORD,		/* number of a word in ring memory */
	T_VALUE,	/* value to write to ring memory */
	T_KIND,		/* kind of descriptor */
	T_MAP,		/* number of a mapping */
	T_MAP_OFFSET,	/* offset for mmap() */
	T_PROT,
	T_ADVICE,
	T_EVENTS,
	T_NSEC,
	T_USEC,
	T_SIGNAL,
	T_FD_CALL,	/* number of a system call on a descriptor */
	T_LIMIT,
	T_PARAM,
	T_EXIT,
	T_LAST,
};

/*
 * The name of each call, the number of its arguments and their types. The comment
 * before a call names its arguments, in the order of the text form.
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
	 * without an arg, fadvise() is used if ns is odd */		\
	X(enter, 7, { T_RING, T_SMALL, T_SMALL, T_ENTER_FLAGS,		\
		      T_ENTER_ARG, T_NSEC, T_ODD })			\
	/* ring, opcode, nr_args, addr, odd */				\
	X(register, 5, { T_RING, T_REGISTER_OP, T_NUMBER, T_ADDR, T_ODD }) \
	/* ring, entries, flags, cq_entries, map? */			\
	X(resize, 5, { T_RING, T_ENTRIES, T_SETUP_FLAGS, T_ENTRIES,	\
		       T_BOOL })					\
	/* ring, pages, 1: own memory + 2: for waits, addr */		\
	X(region, 4, { T_RING, T_SMALL, T_SMALL, T_ADDR })		\
	X(reap, 2, { T_RING, T_SMALL })					\
	/* ring, word, value */						\
	X(poke, 3, { T_RING, T_WORD, T_VALUE })				\
	/* ring, index, byte, value: changes a submitted SQE */		\
	X(scribble, 4, { T_RING, T_SMALL, T_SMALL, T_VALUE })		\
	/* ring, offset, pages, prot, private? */			\
	X(map, 5, { T_RING, T_MAP_OFFSET, T_SMALL, T_PROT, T_BOOL })	\
	/* mapping, page, pages */					\
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
	/* system call, descriptor, number for the call */		\
	X(fdcall, 3, { T_FD_CALL, T_REF, T_NUMBER })			\
	X(poll, 3, { T_REF, T_EVENTS, T_SMALL })			\
	/* epoll, op, descriptor, events */				\
	X(epoll, 4, { T_REF, T_SMALL, T_REF, T_EVENTS })		\
	X(settime, 2, { T_REF, T_NSEC })				\
	/* socket, descriptor to send */				\
	X(send_fd, 2, { T_REF, T_REF })					\
	X(recv_fd, 2, { T_SLOT, T_REF })				\
	/* number of the next calls that the child runs, wait for it? */ \
	X(fork, 2, { T_SMALL, T_BOOL })					\
	X(signal, 2, { T_SIGNAL, T_BOOL })				\
	X(sleep, 1, { T_USEC })						\
	X(limit, 2, { T_LIMIT, T_NUMBER })				\
	/* module parameter, value; it is restored after the program */	\
	X(param, 2, { T_PARAM, T_NUMBER })				\
	X(access, 2, { T_SMALL, T_PROT })				\
	X(exit, 1, { T_EXIT })

#define CALL_ENUM(name, nr, ...)	CALL_##name,
enum call_kind {
	CALLS(CALL_ENUM)
	NR_CALLS,
};

/**
 * struct call - a call of a program
 * @kind: the kind of call
 * @thread: number of the thread that makes it; a thread other than 0 starts when
 *	thread 0 has reached its first call
 * @repeat: how often it is made, at least once
 * @nth: let the N-th operation in it that can fail do so; 0: none
 * @arg: the arguments
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

/* Run a program in the current process, and exit. */
void program_run(const struct program *p,
		 void (*thread_starts)(unsigned int thread));

/* Write a file, and ignore errors. */
void put_file(const char *path, const char *text);

extern const char * const param_names[];
#define NR_PARAMS	5

#endif
