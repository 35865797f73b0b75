/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Registered ring descriptors (IORING_REGISTER_RING_FDS), which the module does not have. */
#ifndef IO2_REGISTERED_H
#define IO2_REGISTERED_H

/* rings that a thread can register, as in io_uring */
#define IO2_REGISTERED_MAX	16

struct io2_slots;

/**
 * struct io2_thread - memory of a thread, in which its slots are remembered
 * @slots: the thread's slots, or NULL
 * @tid: the thread that @slots belonged to when they were found
 *
 * It begins with zeros. A caller that has no memory of its thread passes NULL. The
 * slots are then found by a system call, gettid.
 */
struct io2_thread {
	struct io2_slots	*slots;
	int			tid;
};

enum { IO2_RING, IO2_NATIVE_RING };

/**
 * io2_ring_kind() - find out what a descriptor is
 * @fd: the descriptor
 *
 * Return: IO2_RING for a ring of iouring2; IO2_NATIVE_RING for one of the kernel's
 * io_uring; -EOPNOTSUPP for another file; -EBADF if there is none.
 */
int io2_ring_kind(int fd);

/**
 * io2_registered_get() - the descriptor behind an index
 * @t: the calling thread, or NULL
 * @index: the index
 * @kind: set to IO2_RING or IO2_NATIVE_RING
 *
 * Return: the descriptor of the ring; -EBADF if nothing is registered at @index;
 * -EINVAL if there is no such index, or the thread has not used io_uring.
 */
long io2_registered_get(struct io2_thread *t, unsigned int index, int *kind);

/**
 * io2_registered_add() - register a duplicate of a ring's descriptor
 * @t: the calling thread, or NULL
 * @fd: descriptor of the ring
 * @kind: IO2_RING or IO2_NATIVE_RING
 * @index: the index, or ~0U for the first free one
 *
 * Return: the index; -EINVAL if there is no such index; -EBUSY if it is taken, or all
 * are; -EMFILE, -EBADF, -ENOMEM.
 */
long io2_registered_add(struct io2_thread *t, int fd, int kind, unsigned int index);

/**
 * io2_registered_remove() - close the duplicate behind an index
 * @t: the calling thread, or NULL
 * @index: the index; nothing happens if there is none
 */
void io2_registered_remove(struct io2_thread *t, unsigned int index);

/**
 * io2_registered_used() - has the calling thread used io_uring?
 * @t: the calling thread, or NULL
 *
 * Return: 1 if it has created or registered a ring, else 0.
 */
int io2_registered_used(struct io2_thread *t);

/**
 * io2_registered_begin() - the calling thread has created a ring
 * @t: the calling thread, or NULL
 */
void io2_registered_begin(struct io2_thread *t);

/**
 * io2_registered_end() - the calling thread ends: close its duplicates
 * @t: the calling thread
 */
void io2_registered_end(struct io2_thread *t);

/**
 * io2_registered_reap() - close the duplicates of threads that have ended
 */
void io2_registered_reap(void);

/**
 * io2_registered_fork() - close the duplicates that this process has from its parent
 *
 * It has no effect in a process that was not forked, or has called it before. The
 * functions that take a thread call it themselves.
 */
void io2_registered_fork(void);

#endif
