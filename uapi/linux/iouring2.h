/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * iouring2: completion rings behind the device node /dev/iouring2
 *
 * Copyright (C) 2026 The iouring2 authors
 *
 * The ring ABI is that of the kernel's io_uring.h:
 * Copyright (C) 2019 Jens Axboe
 * Copyright (C) 2019 Christoph Hellwig
 *
 * The first part of this file is the ring ABI. Every size, offset, number
 * and flag in it equals its counterpart in io_uring.h, so that code written
 * for one interface works with the other. Only the prefixes differ:
 *
 *	io_uring_x, io_x, zcrx_x	-> iouring2_x (zcrx: iouring2_zcrx_x)
 *	IORING_X, IO_URING_X		-> IOURING2_X
 *	IOSQE_X				-> IOURING2_SQE_X
 *	IOU_X, IO_X, ZCRX_X		-> IOURING2_X (zcrx: IOURING2_ZCRX_X)
 *	SOCKET_URING_OP_X		-> IOURING2_SOCKET_OP_X
 *	SPLICE_F_FD_IN_FIXED		-> IOURING2_SPLICE_F_FD_IN_FIXED
 *
 * This file also defines names that the module does not support.
 * IOURING2_IOC_QUERY reports what the loaded module supports. The module refuses
 * all others.
 *
 * The second part, from IOURING2_ABI_VERSION on, is specific to iouring2: the
 * ioctls and their arguments.
 */
#ifndef _UAPI_LINUX_IOURING2_H
#define _UAPI_LINUX_IOURING2_H

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/time_types.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ */
/* Submission queue entries                                           */
/* ------------------------------------------------------------------ */

/**
 * struct iouring2_sqe - submission queue entry: one request
 * @opcode: IOURING2_OP_*; it determines the meaning of the other fields
 * @flags: IOURING2_SQE_*
 * @ioprio: I/O priority as in ioprio_set(2), or flags of a network request
 * @fd: file descriptor that the request operates on
 * @off: offset in the file, in bytes; -1 means the current file position
 * @addr2: second pointer, for requests that need two
 * @cmd_op: command number of a URING_CMD request
 * @__pad1: must be 0
 * @addr: user address of the data, the iovec array, the timespec etc.
 * @splice_off_in: offset in the input file of a splice, in bytes
 * @level: socket level (URING_CMD on a socket)
 * @optname: socket option (URING_CMD on a socket)
 * @len: bytes at @addr, or number of elements there
 * @rw_flags: RWF_* of reads and writes
 * @fsync_flags: IOURING2_FSYNC_*
 * @poll_events: POLL* in 16 bits, for programs that use the old format
 * @poll32_events: EPOLL* in 32 bits; on big endian the 16-bit halves are
 *	swapped
 * @sync_range_flags: flags of sync_file_range(2)
 * @msg_flags: MSG_* of sends and receives
 * @timeout_flags: IOURING2_TIMEOUT_*
 * @accept_flags: flags of accept4(2)
 * @cancel_flags: IOURING2_ASYNC_CANCEL_*
 * @open_flags: O_* of openat(2)
 * @statx_flags: AT_* of statx(2)
 * @fadvise_advice: POSIX_FADV_* or MADV_*
 * @splice_flags: SPLICE_F_*, and IOURING2_SPLICE_F_FD_IN_FIXED
 * @rename_flags: RENAME_*
 * @unlink_flags: AT_* of unlinkat(2)
 * @hardlink_flags: AT_* of linkat(2)
 * @xattr_flags: XATTR_*
 * @msg_ring_flags: IOURING2_MSG_RING_*
 * @uring_cmd_flags: IOURING2_URING_CMD_*
 * @waitid_flags: flags of waitid(2)
 * @futex_flags: must be 0 for now
 * @install_fd_flags: IOURING2_FIXED_FD_*
 * @nop_flags: IOURING2_NOP_*
 * @pipe_flags: flags of pipe2(2)
 * @user_data: copied unchanged to the completion
 * @buf_index: index of a registered buffer
 * @buf_group: buffer group from which the request takes a provided buffer
 * @personality: id of registered credentials, 0 for those of the submitter
 * @splice_fd_in: input file descriptor of a splice
 * @file_index: slot in the table of registered files, plus 1; 0 for none
 * @zcrx_ifq_idx: id of the zero-copy receive queue
 * @optlen: size of the socket option's value, in bytes
 * @addr_len: size of the socket address at @addr2, in bytes
 * @__pad3: must be 0
 * @write_stream: write stream, for devices that support streams
 * @__pad4: must be 0
 * @addr3: third pointer, for requests that need three
 * @__pad2: must be 0
 * @attr_ptr: user address of the attributes that @attr_type_mask selects
 * @attr_type_mask: IOURING2_RW_ATTR_FLAG_*
 * @optval: user address of the socket option's value
 * @cmd: command data, 80 bytes on rings with 128-byte entries
 *
 * An application should set all fields that an opcode does not use to 0. If an
 * unused field that io_uring checks is not 0, the request completes with
 * -EINVAL. Unused fields that io_uring does not check are ignored.
 */
struct iouring2_sqe {
	__u8	opcode;
	__u8	flags;
	__u16	ioprio;
	__s32	fd;
	union {
		__u64	off;
		__u64	addr2;
		struct {
			__u32	cmd_op;
			__u32	__pad1;
		};
	};
	union {
		__u64	addr;
		__u64	splice_off_in;
		struct {
			__u32	level;
			__u32	optname;
		};
	};
	__u32	len;
	union {
		__kernel_rwf_t	rw_flags;
		__u32		fsync_flags;
		__u16		poll_events;
		__u32		poll32_events;
		__u32		sync_range_flags;
		__u32		msg_flags;
		__u32		timeout_flags;
		__u32		accept_flags;
		__u32		cancel_flags;
		__u32		open_flags;
		__u32		statx_flags;
		__u32		fadvise_advice;
		__u32		splice_flags;
		__u32		rename_flags;
		__u32		unlink_flags;
		__u32		hardlink_flags;
		__u32		xattr_flags;
		__u32		msg_ring_flags;
		__u32		uring_cmd_flags;
		__u32		waitid_flags;
		__u32		futex_flags;
		__u32		install_fd_flags;
		__u32		nop_flags;
		__u32		pipe_flags;
	};
	__u64	user_data;
	union {
		__u16	buf_index;
		__u16	buf_group;
	} __attribute__((packed));
	__u16	personality;
	union {
		__s32	splice_fd_in;
		__u32	file_index;
		__u32	zcrx_ifq_idx;
		__u32	optlen;
		struct {
			__u16	addr_len;
			__u16	__pad3[1];
		};
		struct {
			__u8	write_stream;
			__u8	__pad4[3];
		};
	};
	union {
		struct {
			__u64	addr3;
			__u64	__pad2[1];
		};
		struct {
			__u64	attr_ptr;
			__u64	attr_type_mask;
		};
		__u64	optval;
		__u8	cmd[0];
	};
};

/* sqe->attr_type_mask: sqe->attr_ptr points to a struct iouring2_attr_pi */
#define IOURING2_RW_ATTR_FLAG_PI		(1U << 0)

/**
 * struct iouring2_attr_pi - protection information of a read or write
 * @flags: checks to perform
 * @app_tag: application tag
 * @len: bytes at @addr
 * @addr: user address of the protection information
 * @seed: seed of the reference tag
 * @rsvd: must be 0
 */
struct iouring2_attr_pi {
	__u16	flags;
	__u16	app_tag;
	__u32	len;
	__u64	addr;
	__u64	seed;
	__u64	rsvd;
};

/* sqe->file_index: allocate a free slot and return its number in cqe->res */
#define IOURING2_FILE_INDEX_ALLOC		(~0U)

enum iouring2_sqe_flags_bit {
	IOURING2_SQE_FIXED_FILE_BIT,
	IOURING2_SQE_IO_DRAIN_BIT,
	IOURING2_SQE_IO_LINK_BIT,
	IOURING2_SQE_IO_HARDLINK_BIT,
	IOURING2_SQE_ASYNC_BIT,
	IOURING2_SQE_BUFFER_SELECT_BIT,
	IOURING2_SQE_CQE_SKIP_SUCCESS_BIT,
};

/*
 * sqe->flags:
 * FIXED_FILE		sqe->fd is a slot in the table of registered files
 * IO_DRAIN		start after all earlier requests have completed, and
 *			start later requests after this one has completed
 * IO_LINK		the next request starts when this one has succeeded
 * IO_HARDLINK		the next request starts when this one has completed
 * ASYNC		do not try the request during submission; a worker runs
 *			it, or a task of the submitting process in ENTER if only
 *			that process may run it
 * BUFFER_SELECT	use a buffer of the group sqe->buf_group
 * CQE_SKIP_SUCCESS	post no completion if the request succeeds
 */
#define IOURING2_SQE_FIXED_FILE		(1U << IOURING2_SQE_FIXED_FILE_BIT)
#define IOURING2_SQE_IO_DRAIN		(1U << IOURING2_SQE_IO_DRAIN_BIT)
#define IOURING2_SQE_IO_LINK		(1U << IOURING2_SQE_IO_LINK_BIT)
#define IOURING2_SQE_IO_HARDLINK	(1U << IOURING2_SQE_IO_HARDLINK_BIT)
#define IOURING2_SQE_ASYNC		(1U << IOURING2_SQE_ASYNC_BIT)
#define IOURING2_SQE_BUFFER_SELECT	(1U << IOURING2_SQE_BUFFER_SELECT_BIT)
#define IOURING2_SQE_CQE_SKIP_SUCCESS	\
	(1U << IOURING2_SQE_CQE_SKIP_SUCCESS_BIT)

/*
 * params->flags:
 * IOPOLL		find completions by polling the device
 * SQPOLL		a kernel thread polls the submission queue
 * SQ_AFF		bind that thread to the CPU params->sq_thread_cpu
 * CQSIZE		the CQ has params->cq_entries entries
 * CLAMP		reduce sizes that are too large, instead of failing
 * ATTACH_WQ		share the workers of the ring params->wq_fd
 * R_DISABLED		accept no submissions until the ring is enabled
 * SUBMIT_ALL		continue to submit after an invalid SQE
 * COOP_TASKRUN		do not interrupt the application for deferred work;
 *			iouring2 never does
 * TASKRUN_FLAG		with DEFER_TASKRUN, set IOURING2_SQ_TASKRUN while deferred
 *			work waits; needs COOP_TASKRUN or DEFER_TASKRUN
 * SQE128, CQE32	SQEs of 128 bytes, CQEs of 32 bytes
 * SINGLE_ISSUER	only one task, the issuer, submits requests and calls
 *			REGISTER: the one that calls SETUP, or with R_DISABLED
 *			the one that enables the ring
 * DEFER_TASKRUN	only the issuer's ENTER with GETEVENTS runs deferred work
 *			and posts its completions; needs SINGLE_ISSUER
 * NO_MMAP		the application provides the memory of the rings
 * REGISTERED_FD_ONLY	return a registered index instead of a descriptor
 * NO_SQARRAY		no index array: SQ position n is SQE n
 * HYBRID_IOPOLL	as IOPOLL, but sleep before polling
 * CQE_MIXED, SQE_MIXED	entries of both sizes in one ring
 * SQ_REWIND		each submission starts at SQE 0
 */
#define IOURING2_SETUP_IOPOLL			(1U << 0)
#define IOURING2_SETUP_SQPOLL			(1U << 1)
#define IOURING2_SETUP_SQ_AFF			(1U << 2)
#define IOURING2_SETUP_CQSIZE			(1U << 3)
#define IOURING2_SETUP_CLAMP			(1U << 4)
#define IOURING2_SETUP_ATTACH_WQ		(1U << 5)
#define IOURING2_SETUP_R_DISABLED		(1U << 6)
#define IOURING2_SETUP_SUBMIT_ALL		(1U << 7)
#define IOURING2_SETUP_COOP_TASKRUN		(1U << 8)
#define IOURING2_SETUP_TASKRUN_FLAG		(1U << 9)
#define IOURING2_SETUP_SQE128			(1U << 10)
#define IOURING2_SETUP_CQE32			(1U << 11)
#define IOURING2_SETUP_SINGLE_ISSUER		(1U << 12)
#define IOURING2_SETUP_DEFER_TASKRUN		(1U << 13)
#define IOURING2_SETUP_NO_MMAP			(1U << 14)
#define IOURING2_SETUP_REGISTERED_FD_ONLY	(1U << 15)
#define IOURING2_SETUP_NO_SQARRAY		(1U << 16)
#define IOURING2_SETUP_HYBRID_IOPOLL		(1U << 17)
#define IOURING2_SETUP_CQE_MIXED		(1U << 18)
#define IOURING2_SETUP_SQE_MIXED		(1U << 19)
#define IOURING2_SETUP_SQ_REWIND		(1U << 20)

enum iouring2_op {
	IOURING2_OP_NOP,
	IOURING2_OP_READV,
	IOURING2_OP_WRITEV,
	IOURING2_OP_FSYNC,
	IOURING2_OP_READ_FIXED,
	IOURING2_OP_WRITE_FIXED,
	IOURING2_OP_POLL_ADD,
	IOURING2_OP_POLL_REMOVE,
	IOURING2_OP_SYNC_FILE_RANGE,
	IOURING2_OP_SENDMSG,
	IOURING2_OP_RECVMSG,
	IOURING2_OP_TIMEOUT,
	IOURING2_OP_TIMEOUT_REMOVE,
	IOURING2_OP_ACCEPT,
	IOURING2_OP_ASYNC_CANCEL,
	IOURING2_OP_LINK_TIMEOUT,
	IOURING2_OP_CONNECT,
	IOURING2_OP_FALLOCATE,
	IOURING2_OP_OPENAT,
	IOURING2_OP_CLOSE,
	IOURING2_OP_FILES_UPDATE,
	IOURING2_OP_STATX,
	IOURING2_OP_READ,
	IOURING2_OP_WRITE,
	IOURING2_OP_FADVISE,
	IOURING2_OP_MADVISE,
	IOURING2_OP_SEND,
	IOURING2_OP_RECV,
	IOURING2_OP_OPENAT2,
	IOURING2_OP_EPOLL_CTL,
	IOURING2_OP_SPLICE,
	IOURING2_OP_PROVIDE_BUFFERS,
	IOURING2_OP_REMOVE_BUFFERS,
	IOURING2_OP_TEE,
	IOURING2_OP_SHUTDOWN,
	IOURING2_OP_RENAMEAT,
	IOURING2_OP_UNLINKAT,
	IOURING2_OP_MKDIRAT,
	IOURING2_OP_SYMLINKAT,
	IOURING2_OP_LINKAT,
	IOURING2_OP_MSG_RING,
	IOURING2_OP_FSETXATTR,
	IOURING2_OP_SETXATTR,
	IOURING2_OP_FGETXATTR,
	IOURING2_OP_GETXATTR,
	IOURING2_OP_SOCKET,
	IOURING2_OP_URING_CMD,
	IOURING2_OP_SEND_ZC,
	IOURING2_OP_SENDMSG_ZC,
	IOURING2_OP_READ_MULTISHOT,
	IOURING2_OP_WAITID,
	IOURING2_OP_FUTEX_WAIT,
	IOURING2_OP_FUTEX_WAKE,
	IOURING2_OP_FUTEX_WAITV,
	IOURING2_OP_FIXED_FD_INSTALL,
	IOURING2_OP_FTRUNCATE,
	IOURING2_OP_BIND,
	IOURING2_OP_LISTEN,
	IOURING2_OP_RECV_ZC,
	IOURING2_OP_EPOLL_WAIT,
	IOURING2_OP_READV_FIXED,
	IOURING2_OP_WRITEV_FIXED,
	IOURING2_OP_PIPE,
	IOURING2_OP_NOP128,
	IOURING2_OP_URING_CMD128,

	/* One more than the last opcode that this header knows */
	IOURING2_OP_LAST,
};

/* sqe->uring_cmd_flags; the top 8 bits are reserved for the kernel */
#define IOURING2_URING_CMD_FIXED		(1U << 0)
#define IOURING2_URING_CMD_MULTISHOT		(1U << 1)
#define IOURING2_URING_CMD_MASK	\
	(IOURING2_URING_CMD_FIXED | IOURING2_URING_CMD_MULTISHOT)

/* sqe->fsync_flags: fdatasync(2) instead of fsync(2) */
#define IOURING2_FSYNC_DATASYNC			(1U << 0)

/*
 * sqe->timeout_flags:
 * ABS			the time is absolute, not relative
 * UPDATE		TIMEOUT_REMOVE changes the timeout instead of removing it
 * BOOTTIME, REALTIME	the clock; CLOCK_MONOTONIC without either
 * LINK_TIMEOUT_UPDATE	as UPDATE, for a linked timeout
 * ETIME_SUCCESS	expiry counts as success for links and
 *			CQE_SKIP_SUCCESS
 * MULTISHOT		repeat sqe->off times, or without limit if that is 0
 * IMMEDIATE_ARG	sqe->addr is the time in ns, not a pointer
 */
#define IOURING2_TIMEOUT_ABS			(1U << 0)
#define IOURING2_TIMEOUT_UPDATE			(1U << 1)
#define IOURING2_TIMEOUT_BOOTTIME		(1U << 2)
#define IOURING2_TIMEOUT_REALTIME		(1U << 3)
#define IOURING2_LINK_TIMEOUT_UPDATE		(1U << 4)
#define IOURING2_TIMEOUT_ETIME_SUCCESS		(1U << 5)
#define IOURING2_TIMEOUT_MULTISHOT		(1U << 6)
#define IOURING2_TIMEOUT_IMMEDIATE_ARG		(1U << 7)
#define IOURING2_TIMEOUT_CLOCK_MASK	\
	(IOURING2_TIMEOUT_BOOTTIME | IOURING2_TIMEOUT_REALTIME)
#define IOURING2_TIMEOUT_UPDATE_MASK	\
	(IOURING2_TIMEOUT_UPDATE | IOURING2_LINK_TIMEOUT_UPDATE)

/*
 * sqe->splice_flags, in addition to SPLICE_F_*: sqe->splice_fd_in is a slot in
 * the table of registered files
 */
#define IOURING2_SPLICE_F_FD_IN_FIXED		(1U << 31)

/*
 * Flags of POLL_ADD and POLL_REMOVE, in sqe->len:
 * POLL_ADD_MULTI		multishot: one completion for each event, with
 *				CQE_F_MORE in all but the last
 * POLL_UPDATE_EVENTS		change the events of the request whose
 *				user_data is sqe->addr
 * POLL_UPDATE_USER_DATA	change its user_data to sqe->off
 * POLL_ADD_LEVEL		level-triggered multishot
 */
#define IOURING2_POLL_ADD_MULTI			(1U << 0)
#define IOURING2_POLL_UPDATE_EVENTS		(1U << 1)
#define IOURING2_POLL_UPDATE_USER_DATA		(1U << 2)
#define IOURING2_POLL_ADD_LEVEL			(1U << 3)

/*
 * sqe->cancel_flags: which requests ASYNC_CANCEL cancels
 * ALL		all that match, not only the first; cqe->res is their number
 * FD		requests on the file sqe->fd
 * ANY		any request
 * FD_FIXED	sqe->fd is a slot in the table of registered files
 * USERDATA	requests whose user_data is sqe->addr, the default
 * OP		requests of opcode sqe->len
 */
#define IOURING2_ASYNC_CANCEL_ALL		(1U << 0)
#define IOURING2_ASYNC_CANCEL_FD		(1U << 1)
#define IOURING2_ASYNC_CANCEL_ANY		(1U << 2)
#define IOURING2_ASYNC_CANCEL_FD_FIXED		(1U << 3)
#define IOURING2_ASYNC_CANCEL_USERDATA		(1U << 4)
#define IOURING2_ASYNC_CANCEL_OP		(1U << 5)

/*
 * sqe->ioprio of sends and receives:
 * RECVSEND_POLL_FIRST	wait for readiness before the first attempt
 * RECV_MULTISHOT	receive repeatedly; CQE_F_MORE is set in all
 *			completions but the last
 * RECVSEND_FIXED_BUF	use the registered buffer sqe->buf_index
 * SEND_ZC_REPORT_USAGE	the notification reports whether data was copied
 * RECVSEND_BUNDLE	the request may use several provided buffers
 * SEND_VECTORIZED	sqe->addr is an iovec array
 */
#define IOURING2_RECVSEND_POLL_FIRST		(1U << 0)
#define IOURING2_RECV_MULTISHOT			(1U << 1)
#define IOURING2_RECVSEND_FIXED_BUF		(1U << 2)
#define IOURING2_SEND_ZC_REPORT_USAGE		(1U << 3)
#define IOURING2_RECVSEND_BUNDLE		(1U << 4)
#define IOURING2_SEND_VECTORIZED		(1U << 5)

/* cqe->res of a notification, with SEND_ZC_REPORT_USAGE: data was copied */
#define IOURING2_NOTIF_USAGE_ZC_COPIED		(1U << 31)

/*
 * sqe->ioprio of ACCEPT:
 * MULTISHOT		accept connections repeatedly
 * DONTWAIT		fail with -EAGAIN if no connection is pending
 * POLL_FIRST		wait for readiness before the first attempt
 */
#define IOURING2_ACCEPT_MULTISHOT		(1U << 0)
#define IOURING2_ACCEPT_DONTWAIT		(1U << 1)
#define IOURING2_ACCEPT_POLL_FIRST		(1U << 2)

/* sqe->addr of MSG_RING: post a completion, or pass a registered file */
enum iouring2_msg_ring_flags {
	IOURING2_MSG_DATA,
	IOURING2_MSG_SEND_FD,
};

/*
 * sqe->msg_ring_flags:
 * CQE_SKIP		post no completion on the target ring (SEND_FD)
 * FLAGS_PASS		the completion on the target ring has the flags
 *			sqe->file_index
 */
#define IOURING2_MSG_RING_CQE_SKIP		(1U << 0)
#define IOURING2_MSG_RING_FLAGS_PASS		(1U << 1)

/* sqe->install_fd_flags: install the descriptor without O_CLOEXEC */
#define IOURING2_FIXED_FD_NO_CLOEXEC		(1U << 0)

/*
 * sqe->nop_flags, for tests:
 * INJECT_RESULT	cqe->res is sqe->len
 * FILE, FIXED_FILE	look up sqe->fd first
 * FIXED_BUFFER		look up sqe->buf_index first
 * TW			complete from deferred work
 * CQE32		post a 32-byte completion
 */
#define IOURING2_NOP_INJECT_RESULT		(1U << 0)
#define IOURING2_NOP_FILE			(1U << 1)
#define IOURING2_NOP_FIXED_FILE			(1U << 2)
#define IOURING2_NOP_FIXED_BUFFER		(1U << 3)
#define IOURING2_NOP_TW				(1U << 4)
#define IOURING2_NOP_CQE32			(1U << 5)

/* ------------------------------------------------------------------ */
/* Completion queue entries                                           */
/* ------------------------------------------------------------------ */

/**
 * struct iouring2_cqe - completion queue entry: one completion
 * @user_data: sqe->user_data of the request
 * @res: result, a negative errno on failure
 * @flags: IOURING2_CQE_F_*, and a buffer id in the upper 16 bits
 * @big_cqe: two more words on rings with 32-byte completions
 */
struct iouring2_cqe {
	__u64	user_data;
	__s32	res;
	__u32	flags;
	__u64	big_cqe[];
};

/*
 * cqe->flags:
 * BUFFER		the request used a provided buffer; its id is in bits
 *			16 to 31
 * MORE			the request will post further completions
 * SOCK_NONEMPTY	the socket has more data to read
 * NOTIF		notification that a zero-copy send no longer uses its
 *			buffer
 * BUF_MORE		the kernel will use the rest of the provided buffer for
 *			further completions
 * SKIP			padding, to be ignored
 * 32			a 32-byte completion in a ring with both sizes
 */
#define IOURING2_CQE_F_BUFFER			(1U << 0)
#define IOURING2_CQE_F_MORE			(1U << 1)
#define IOURING2_CQE_F_SOCK_NONEMPTY		(1U << 2)
#define IOURING2_CQE_F_NOTIF			(1U << 3)
#define IOURING2_CQE_F_BUF_MORE			(1U << 4)
#define IOURING2_CQE_F_SKIP			(1U << 5)
#define IOURING2_CQE_F_32			(1U << 15)

#define IOURING2_CQE_BUFFER_SHIFT		16

/* ------------------------------------------------------------------ */
/* Setting a ring up                                                  */
/* ------------------------------------------------------------------ */

/* Offsets for mmap(2) of a ring; each selects an object to map */
#define IOURING2_OFF_SQ_RING			0ULL
#define IOURING2_OFF_CQ_RING			0x8000000ULL
#define IOURING2_OFF_SQES			0x10000000ULL
#define IOURING2_OFF_PBUF_RING			0x80000000ULL
#define IOURING2_OFF_PBUF_SHIFT			16
#define IOURING2_OFF_MMAP_MASK			0xf8000000ULL

/**
 * struct iouring2_sqring_offsets - byte offsets of fields in the SQ mapping
 * @head: __u32, next entry that the kernel will take
 * @tail: __u32, next entry that the application will fill
 * @ring_mask: __u32, entries - 1
 * @ring_entries: __u32, entries
 * @flags: __u32, IOURING2_SQ_*
 * @dropped: __u32, number of index array values so far that were out of range
 * @array: __u32[entries], SQE numbers; 0 on rings without an index array
 * @resv1: 0
 * @user_addr: in and out, with NO_MMAP: address of the SQEs; otherwise out: 0
 */
struct iouring2_sqring_offsets {
	__u32	head;
	__u32	tail;
	__u32	ring_mask;
	__u32	ring_entries;
	__u32	flags;
	__u32	dropped;
	__u32	array;
	__u32	resv1;
	__u64	user_addr;
};

/*
 * SQ ring flags, written by the kernel:
 * NEED_WAKEUP	the SQPOLL thread sleeps; call ENTER with SQ_WAKEUP
 * CQ_OVERFLOW	completions wait behind the full CQ
 * TASKRUN	requests wait that only a task of the submitting process may
 *		run; that process must call ENTER. With SETUP_TASKRUN_FLAG, also:
 *		deferred work waits for the issuer's ENTER with GETEVENTS
 */
#define IOURING2_SQ_NEED_WAKEUP			(1U << 0)
#define IOURING2_SQ_CQ_OVERFLOW			(1U << 1)
#define IOURING2_SQ_TASKRUN			(1U << 2)

/**
 * struct iouring2_cqring_offsets - byte offsets of fields in the CQ mapping
 * @head: __u32, next completion that the application will take
 * @tail: __u32, next completion that the kernel will write
 * @ring_mask: __u32, entries - 1
 * @ring_entries: __u32, entries
 * @overflow: __u32, number of completions lost; iouring2 loses none: always 0
 * @cqes: the array of completions
 * @flags: __u32, IOURING2_CQ_*
 * @resv1: 0
 * @user_addr: in and out, with NO_MMAP: address of the rings; otherwise out: 0
 */
struct iouring2_cqring_offsets {
	__u32	head;
	__u32	tail;
	__u32	ring_mask;
	__u32	ring_entries;
	__u32	overflow;
	__u32	cqes;
	__u32	flags;
	__u32	resv1;
	__u64	user_addr;
};

/* CQ ring flag, written by the application: do not signal the eventfd */
#define IOURING2_CQ_EVENTFD_DISABLED		(1U << 0)

/*
 * Flags of ENTER:
 * GETEVENTS		wait for min_complete completions
 * SQ_WAKEUP		wake the SQPOLL thread
 * SQ_WAIT		wait for room in the SQ
 * EXT_ARG		the argument is a struct iouring2_getevents_arg
 * REGISTERED_RING	the descriptor is a registered ring index
 * ABS_TIMER		the timeout is absolute
 * EXT_ARG_REG		with EXT_ARG: the argument is the offset of a struct
 *			iouring2_reg_wait in the registered region
 * NO_IOWAIT		do not account the wait as waiting for I/O
 */
#define IOURING2_ENTER_GETEVENTS		(1U << 0)
#define IOURING2_ENTER_SQ_WAKEUP		(1U << 1)
#define IOURING2_ENTER_SQ_WAIT			(1U << 2)
#define IOURING2_ENTER_EXT_ARG			(1U << 3)
#define IOURING2_ENTER_REGISTERED_RING		(1U << 4)
#define IOURING2_ENTER_ABS_TIMER		(1U << 5)
#define IOURING2_ENTER_EXT_ARG_REG		(1U << 6)
#define IOURING2_ENTER_NO_IOWAIT		(1U << 7)

/*
 * io_uring does not have this flag. It marks a call of fadvise64(2) as an ENTER
 * (IOURING2_ENTER_BY_FADVISE requires it); IOURING2_IOC_ENTER refuses it. No
 * POSIX_FADV_* or MADV_* value has this bit.
 */
#define IOURING2_ENTER_FADVISE			(1U << 30)

/**
 * struct iouring2_params - parameters of a ring
 * @sq_entries: out: entries of the SQ, a power of two
 * @cq_entries: in, with CQSIZE: requested entries of the CQ; out: entries of
 *	the CQ, a power of two
 * @flags: in: IOURING2_SETUP_*
 * @sq_thread_cpu: in, with SQ_AFF: CPU of the SQPOLL thread
 * @sq_thread_idle: in, with SQPOLL: idle time before the thread sleeps, in ms
 * @features: out: IOURING2_FEAT_*
 * @wq_fd: in, with ATTACH_WQ: ring whose workers are shared
 * @resv: must be 0
 * @sq_off: out: layout of the SQ mapping
 * @cq_off: out: layout of the CQ mapping
 */
struct iouring2_params {
	__u32	sq_entries;
	__u32	cq_entries;
	__u32	flags;
	__u32	sq_thread_cpu;
	__u32	sq_thread_idle;
	__u32	features;
	__u32	wq_fd;
	__u32	resv[3];
	struct iouring2_sqring_offsets	sq_off;
	struct iouring2_cqring_offsets	cq_off;
};

/*
 * params->features:
 * SINGLE_MMAP		one mapping holds both rings
 * NODROP		completions are never dropped
 * SUBMIT_STABLE	data that an SQE points to may change after submission
 * RW_CUR_POS		offset -1 means the current file position
 * CUR_PERSONALITY	requests run with the submitter's credentials
 * FAST_POLL		a request that would block waits for its file to become
 *			ready, instead of blocking a worker
 * POLL_32BITS		POLL_ADD accepts 32 bits of events
 * SQPOLL_NONFIXED	SQPOLL works without registered files
 * EXT_ARG		ENTER accepts a struct iouring2_getevents_arg
 * NATIVE_WORKERS	workers are threads of the application
 * RSRC_TAGS		registered resources may have tags
 * CQE_SKIP		CQE_SKIP_SUCCESS is supported
 * LINKED_FILE		a linked request looks up its file when it starts
 * REG_REG_RING		REGISTER accepts a registered ring index
 * RECVSEND_BUNDLE	sends and receives support bundles
 * MIN_TIMEOUT		getevents_arg->min_wait_usec is supported
 * RW_ATTR		reads and writes support attributes
 * NO_IOWAIT		ENTER_NO_IOWAIT is supported
 */
#define IOURING2_FEAT_SINGLE_MMAP		(1U << 0)
#define IOURING2_FEAT_NODROP			(1U << 1)
#define IOURING2_FEAT_SUBMIT_STABLE		(1U << 2)
#define IOURING2_FEAT_RW_CUR_POS		(1U << 3)
#define IOURING2_FEAT_CUR_PERSONALITY		(1U << 4)
#define IOURING2_FEAT_FAST_POLL			(1U << 5)
#define IOURING2_FEAT_POLL_32BITS		(1U << 6)
#define IOURING2_FEAT_SQPOLL_NONFIXED		(1U << 7)
#define IOURING2_FEAT_EXT_ARG			(1U << 8)
#define IOURING2_FEAT_NATIVE_WORKERS		(1U << 9)
#define IOURING2_FEAT_RSRC_TAGS			(1U << 10)
#define IOURING2_FEAT_CQE_SKIP			(1U << 11)
#define IOURING2_FEAT_LINKED_FILE		(1U << 12)
#define IOURING2_FEAT_REG_REG_RING		(1U << 13)
#define IOURING2_FEAT_RECVSEND_BUNDLE		(1U << 14)
#define IOURING2_FEAT_MIN_TIMEOUT		(1U << 15)
#define IOURING2_FEAT_RW_ATTR			(1U << 16)
#define IOURING2_FEAT_NO_IOWAIT			(1U << 17)

/* ------------------------------------------------------------------ */
/* Registering resources                                              */
/* ------------------------------------------------------------------ */

enum iouring2_register_op {
	IOURING2_REGISTER_BUFFERS		= 0,
	IOURING2_UNREGISTER_BUFFERS		= 1,
	IOURING2_REGISTER_FILES			= 2,
	IOURING2_UNREGISTER_FILES		= 3,
	IOURING2_REGISTER_EVENTFD		= 4,
	IOURING2_UNREGISTER_EVENTFD		= 5,
	IOURING2_REGISTER_FILES_UPDATE		= 6,
	IOURING2_REGISTER_EVENTFD_ASYNC		= 7,
	IOURING2_REGISTER_PROBE			= 8,
	IOURING2_REGISTER_PERSONALITY		= 9,
	IOURING2_UNREGISTER_PERSONALITY		= 10,
	IOURING2_REGISTER_RESTRICTIONS		= 11,
	IOURING2_REGISTER_ENABLE_RINGS		= 12,
	IOURING2_REGISTER_FILES2		= 13,
	IOURING2_REGISTER_FILES_UPDATE2		= 14,
	IOURING2_REGISTER_BUFFERS2		= 15,
	IOURING2_REGISTER_BUFFERS_UPDATE	= 16,
	IOURING2_REGISTER_IOWQ_AFF		= 17,
	IOURING2_UNREGISTER_IOWQ_AFF		= 18,
	IOURING2_REGISTER_IOWQ_MAX_WORKERS	= 19,
	IOURING2_REGISTER_RING_FDS		= 20,
	IOURING2_UNREGISTER_RING_FDS		= 21,
	IOURING2_REGISTER_PBUF_RING		= 22,
	IOURING2_UNREGISTER_PBUF_RING		= 23,
	IOURING2_REGISTER_SYNC_CANCEL		= 24,
	IOURING2_REGISTER_FILE_ALLOC_RANGE	= 25,
	IOURING2_REGISTER_PBUF_STATUS		= 26,
	IOURING2_REGISTER_NAPI			= 27,
	IOURING2_UNREGISTER_NAPI		= 28,
	IOURING2_REGISTER_CLOCK			= 29,
	IOURING2_REGISTER_CLONE_BUFFERS		= 30,
	IOURING2_REGISTER_SEND_MSG_RING		= 31,
	IOURING2_REGISTER_ZCRX_IFQ		= 32,
	IOURING2_REGISTER_RESIZE_RINGS		= 33,
	IOURING2_REGISTER_MEM_REGION		= 34,
	IOURING2_REGISTER_QUERY			= 35,
	IOURING2_REGISTER_ZCRX_CTRL		= 36,
	IOURING2_REGISTER_BPF_FILTER		= 37,

	/* One more than the last opcode that this header knows */
	IOURING2_REGISTER_LAST,

	/* Flag of the opcode: the descriptor is a registered ring index */
	IOURING2_REGISTER_USE_REGISTERED_RING	= 1U << 31
};

/* Kinds of workers: for requests that end in bounded time, and for all others */
enum iouring2_wq_type {
	IOURING2_WQ_BOUND,
	IOURING2_WQ_UNBOUND,
};

/**
 * struct iouring2_files_update - old form of struct iouring2_rsrc_update
 * @offset: first slot
 * @resv: must be 0
 * @fds: user address of an array of __s32 descriptors
 */
struct iouring2_files_update {
	__u32		offset;
	__u32		resv;
	__aligned_u64	fds;
};

/* iouring2_region_desc.flags: the application provides the memory */
enum {
	IOURING2_MEM_REGION_TYPE_USER		= 1,
};

/**
 * struct iouring2_region_desc - a memory region shared with the kernel
 * @user_addr: user address of a page, with IOURING2_MEM_REGION_TYPE_USER;
 *	otherwise 0
 * @size: size in bytes, a multiple of the page size
 * @flags: IOURING2_MEM_REGION_TYPE_*
 * @id: must be 0
 * @mmap_offset: in: 0; out: offset for mmap(2) of the region, without TYPE_USER
 * @__resv: must be 0
 */
struct iouring2_region_desc {
	__u64	user_addr;
	__u64	size;
	__u32	flags;
	__u32	id;
	__u64	mmap_offset;
	__u64	__resv[4];
};

/* iouring2_mem_region_reg.flags: the region holds wait arguments */
enum {
	IOURING2_MEM_REGION_REG_WAIT_ARG	= 1,
};

/**
 * struct iouring2_mem_region_reg - argument of REGISTER_MEM_REGION
 * @region_uptr: user address of a struct iouring2_region_desc
 * @flags: IOURING2_MEM_REGION_REG_*
 * @__resv: must be 0
 */
struct iouring2_mem_region_reg {
	__u64	region_uptr;
	__u64	flags;
	__u64	__resv[2];
};

/* iouring2_rsrc_register.flags: all slots start empty, without an array */
#define IOURING2_RSRC_REGISTER_SPARSE		(1U << 0)

/**
 * struct iouring2_rsrc_register - argument of REGISTER_FILES2 and BUFFERS2
 * @nr: number of slots
 * @flags: IOURING2_RSRC_REGISTER_*
 * @resv2: must be 0
 * @data: user address of @nr descriptors or iovecs
 * @tags: user address of @nr __u64 tags, or 0
 */
struct iouring2_rsrc_register {
	__u32		nr;
	__u32		flags;
	__u64		resv2;
	__aligned_u64	data;
	__aligned_u64	tags;
};

/**
 * struct iouring2_rsrc_update - argument of REGISTER_FILES_UPDATE
 * @offset: first slot
 * @resv: must be 0
 * @data: user address of the descriptors
 */
struct iouring2_rsrc_update {
	__u32		offset;
	__u32		resv;
	__aligned_u64	data;
};

/**
 * struct iouring2_rsrc_update2 - argument of FILES_UPDATE2 and BUFFERS_UPDATE
 * @offset: first slot
 * @resv: must be 0
 * @data: user address of @nr descriptors or iovecs
 * @tags: user address of @nr __u64 tags, or 0
 * @nr: number of slots
 * @resv2: must be 0
 */
struct iouring2_rsrc_update2 {
	__u32		offset;
	__u32		resv;
	__aligned_u64	data;
	__aligned_u64	tags;
	__u32		nr;
	__u32		resv2;
};

/* In an array of descriptors: do not change this slot */
#define IOURING2_REGISTER_FILES_SKIP		(-2)

/* iouring2_probe_op.flags: the opcode is supported */
#define IOURING2_OP_SUPPORTED			(1U << 0)

/**
 * struct iouring2_probe_op - result of REGISTER_PROBE for one opcode
 * @op: opcode
 * @resv: 0
 * @flags: IOURING2_OP_SUPPORTED or 0
 * @resv2: 0
 */
struct iouring2_probe_op {
	__u8	op;
	__u8	resv;
	__u16	flags;
	__u32	resv2;
};

/**
 * struct iouring2_probe - argument of REGISTER_PROBE
 * @last_op: out: last opcode that the module knows
 * @ops_len: out: number of elements written to @ops
 * @resv: must be 0
 * @resv2: must be 0
 * @ops: out: one element for each opcode; must be 0 on entry
 */
struct iouring2_probe {
	__u8	last_op;
	__u8	ops_len;
	__u16	resv;
	__u32	resv2[3];
	struct iouring2_probe_op	ops[];
};

/**
 * struct iouring2_restriction - one permission of a restricted ring
 * @opcode: IOURING2_RESTRICTION_*
 * @register_op: allowed register opcode (RESTRICTION_REGISTER_OP)
 * @sqe_op: allowed request opcode (RESTRICTION_SQE_OP)
 * @sqe_flags: allowed or required IOURING2_SQE_* (RESTRICTION_SQE_FLAGS_*)
 * @resv: must be 0
 * @resv2: must be 0
 */
struct iouring2_restriction {
	__u16	opcode;
	union {
		__u8	register_op;
		__u8	sqe_op;
		__u8	sqe_flags;
	};
	__u8	resv;
	__u32	resv2[3];
};

/**
 * struct iouring2_task_restriction - restrictions of all rings of a task
 * @flags: must be 0
 * @nr_res: number of elements of @restrictions
 * @resv: must be 0
 * @restrictions: the permissions
 */
struct iouring2_task_restriction {
	__u16	flags;
	__u16	nr_res;
	__u32	resv[3];
	struct iouring2_restriction	restrictions[0];
};

/**
 * struct iouring2_clock_register - argument of REGISTER_CLOCK
 * @clockid: clock of the timeouts of waits
 * @__resv: must be 0
 */
struct iouring2_clock_register {
	__u32	clockid;
	__u32	__resv[3];
};

/* iouring2_clone_buffers.flags */
enum {
	IOURING2_REGISTER_SRC_REGISTERED	= (1U << 0),
	IOURING2_REGISTER_DST_REPLACE		= (1U << 1),
};

/**
 * struct iouring2_clone_buffers - argument of REGISTER_CLONE_BUFFERS
 * @src_fd: ring whose buffers are cloned
 * @flags: IOURING2_REGISTER_SRC_REGISTERED, IOURING2_REGISTER_DST_REPLACE
 * @src_off: first slot in the source ring
 * @dst_off: first slot in this ring
 * @nr: number of slots, 0 for all
 * @pad: must be 0
 */
struct iouring2_clone_buffers {
	__u32	src_fd;
	__u32	flags;
	__u32	src_off;
	__u32	dst_off;
	__u32	nr;
	__u32	pad[3];
};

/**
 * struct iouring2_buf - one provided buffer
 * @addr: user address
 * @len: size in bytes
 * @bid: id of the buffer, which is returned in cqe->flags
 * @resv: in the first element: the tail of the ring
 */
struct iouring2_buf {
	__u64	addr;
	__u32	len;
	__u16	bid;
	__u16	resv;
};

/**
 * struct iouring2_buf_ring - a ring of provided buffers
 * @resv1: reserved: overlaps bufs[0].addr
 * @resv2: reserved: overlaps bufs[0].len
 * @resv3: reserved: overlaps bufs[0].bid
 * @tail: next element that the application will fill
 * @bufs: the buffers
 */
struct iouring2_buf_ring {
	union {
		struct {
			__u64	resv1;
			__u32	resv2;
			__u16	resv3;
			__u16	tail;
		};
		struct iouring2_buf	bufs[0];
	};
};

/*
 * iouring2_buf_reg.flags:
 * MMAP		the kernel allocates the ring; the application maps it at
 *		IOURING2_OFF_PBUF_RING | bgid << IOURING2_OFF_PBUF_SHIFT
 * INC		buffers are consumed incrementally
 */
enum iouring2_register_pbuf_ring_flags {
	IOURING2_PBUF_RING_MMAP			= 1,
	IOURING2_PBUF_RING_INC			= 2,
};

/**
 * struct iouring2_buf_reg - argument of (UN)REGISTER_PBUF_RING
 * @ring_addr: user address of a struct iouring2_buf_ring
 * @ring_entries: number of buffers, a power of two
 * @bgid: id of the group
 * @flags: IOURING2_PBUF_RING_*
 * @min_left: a buffer with fewer bytes left counts as consumed (INC)
 * @resv: must be 0
 */
struct iouring2_buf_reg {
	__u64	ring_addr;
	__u32	ring_entries;
	__u16	bgid;
	__u16	flags;
	__u32	min_left;
	__u32	resv[5];
};

/**
 * struct iouring2_buf_status - argument of REGISTER_PBUF_STATUS
 * @buf_group: in: id of the group
 * @head: out: next buffer that the kernel will take
 * @resv: must be 0
 */
struct iouring2_buf_status {
	__u32	buf_group;
	__u32	head;
	__u32	resv[8];
};

/* iouring2_napi.opcode */
enum iouring2_napi_op {
	IOURING2_NAPI_REGISTER_OP		= 0,
	IOURING2_NAPI_STATIC_ADD_ID		= 1,
	IOURING2_NAPI_STATIC_DEL_ID		= 2
};

/* iouring2_napi.op_param of IOURING2_NAPI_REGISTER_OP */
enum iouring2_napi_tracking_strategy {
	IOURING2_NAPI_TRACKING_DYNAMIC		= 0,
	IOURING2_NAPI_TRACKING_STATIC		= 1,
	IOURING2_NAPI_TRACKING_INACTIVE		= 255
};

/**
 * struct iouring2_napi - argument of (UN)REGISTER_NAPI
 * @busy_poll_to: time to poll the network device, in microseconds
 * @prefer_busy_poll: prefer polling to interrupts
 * @opcode: IOURING2_NAPI_*_OP, _ADD_ID or _DEL_ID
 * @pad: must be 0
 * @op_param: the tracking strategy, or the NAPI id to add or remove
 * @resv: must be 0
 */
struct iouring2_napi {
	__u32	busy_poll_to;
	__u8	prefer_busy_poll;
	__u8	opcode;
	__u8	pad[2];
	__u32	op_param;
	__u32	resv;
};

/*
 * iouring2_restriction.opcode:
 * REGISTER_OP			this register opcode is allowed
 * SQE_OP			this request opcode is allowed
 * SQE_FLAGS_ALLOWED		these flags are allowed
 * SQE_FLAGS_REQUIRED		these flags must be set in every request
 */
enum iouring2_register_restriction_op {
	IOURING2_RESTRICTION_REGISTER_OP	= 0,
	IOURING2_RESTRICTION_SQE_OP		= 1,
	IOURING2_RESTRICTION_SQE_FLAGS_ALLOWED	= 2,
	IOURING2_RESTRICTION_SQE_FLAGS_REQUIRED	= 3,

	IOURING2_RESTRICTION_LAST
};

/* iouring2_reg_wait.flags: ts is valid */
enum {
	IOURING2_REG_WAIT_TS			= (1U << 0),
};

/**
 * struct iouring2_reg_wait - a wait argument in the registered region
 * @ts: timeout
 * @min_wait_usec: minimum wait: time in microseconds to wait for all of
 *	min_complete; after that one completion is enough
 * @flags: IOURING2_REG_WAIT_*
 * @sigmask: user address of the signal mask, or 0
 * @sigmask_sz: size of the signal mask, in bytes
 * @pad: not used; should be 0
 * @pad2: not used; should be 0
 */
struct iouring2_reg_wait {
	struct __kernel_timespec	ts;
	__u32				min_wait_usec;
	__u32				flags;
	__u64				sigmask;
	__u32				sigmask_sz;
	__u32				pad[3];
	__u64				pad2[2];
};

/**
 * struct iouring2_getevents_arg - argument of ENTER with ENTER_EXT_ARG
 * @sigmask: user address of the signal mask for the wait, or 0
 * @sigmask_sz: size of the signal mask, in bytes
 * @min_wait_usec: minimum wait: time in microseconds to wait for all of
 *	min_complete; after that one completion is enough. Must be 0 without
 *	FEAT_MIN_TIMEOUT
 * @ts: user address of a struct __kernel_timespec, the timeout; or 0
 */
struct iouring2_getevents_arg {
	__u64	sigmask;
	__u32	sigmask_sz;
	__u32	min_wait_usec;
	__u64	ts;
};

/**
 * struct iouring2_sync_cancel_reg - argument of REGISTER_SYNC_CANCEL
 * @addr: user_data of the request
 * @fd: file of the request
 * @flags: IOURING2_ASYNC_CANCEL_*
 * @timeout: how long to wait for the request to end; -1 in both fields means no
 *	limit
 * @opcode: opcode of the request
 * @pad: must be 0
 * @pad2: must be 0
 */
struct iouring2_sync_cancel_reg {
	__u64				addr;
	__s32				fd;
	__u32				flags;
	struct __kernel_timespec	timeout;
	__u8				opcode;
	__u8				pad[7];
	__u64				pad2[3];
};

/**
 * struct iouring2_file_index_range - argument of REGISTER_FILE_ALLOC_RANGE
 * @off: first slot that IOURING2_FILE_INDEX_ALLOC may allocate
 * @len: number of slots
 * @resv: must be 0
 */
struct iouring2_file_index_range {
	__u32	off;
	__u32	len;
	__u64	resv;
};

/**
 * struct iouring2_recvmsg_out - header of a buffer filled by multishot RECVMSG
 * @namelen: size of the sender's address, in bytes
 * @controllen: size of the control data, in bytes
 * @payloadlen: size of the data, in bytes
 * @flags: MSG_*
 */
struct iouring2_recvmsg_out {
	__u32	namelen;
	__u32	controllen;
	__u32	payloadlen;
	__u32	flags;
};

/* sqe->cmd_op of URING_CMD on a socket */
enum iouring2_socket_op {
	IOURING2_SOCKET_OP_SIOCINQ		= 0,
	IOURING2_SOCKET_OP_SIOCOUTQ,
	IOURING2_SOCKET_OP_GETSOCKOPT,
	IOURING2_SOCKET_OP_SETSOCKOPT,
	IOURING2_SOCKET_OP_TX_TIMESTAMP,
	IOURING2_SOCKET_OP_GETSOCKNAME,
};

/* cqe->flags of TX_TIMESTAMP: a flag for hardware timestamps, and the type */
#define IOURING2_TIMESTAMP_HW_SHIFT		16
#define IOURING2_TIMESTAMP_TYPE_SHIFT	(IOURING2_TIMESTAMP_HW_SHIFT + 1)
#define IOURING2_CQE_F_TSTAMP_HW	\
	((__u32)1 << IOURING2_TIMESTAMP_HW_SHIFT)

/**
 * struct iouring2_timespec - a timestamp in a 32-byte completion
 * @tv_sec: seconds
 * @tv_nsec: nanoseconds
 */
struct iouring2_timespec {
	__u64	tv_sec;
	__u64	tv_nsec;
};

/* ------------------------------------------------------------------ */
/* Zero-copy receive                                                  */
/* ------------------------------------------------------------------ */

/**
 * struct iouring2_zcrx_rqe - a piece of memory returned to the kernel
 * @off: offset in the area, with the area's id in the upper bits
 * @len: size in bytes
 * @__pad: must be 0
 */
struct iouring2_zcrx_rqe {
	__u64	off;
	__u32	len;
	__u32	__pad;
};

/**
 * struct iouring2_zcrx_cqe - second half of a receive's completion
 * @off: offset of the data in the area, with the area's id in the upper bits
 * @__pad: 0
 */
struct iouring2_zcrx_cqe {
	__u64	off;
	__u64	__pad;
};

/* Position of the area's id in such an offset */
#define IOURING2_ZCRX_AREA_SHIFT		48
#define IOURING2_ZCRX_AREA_MASK	\
	(~(((__u64)1 << IOURING2_ZCRX_AREA_SHIFT) - 1))

/**
 * struct iouring2_zcrx_offsets - byte offsets of fields in the refill ring
 * @head: __u32, next entry that the kernel will take
 * @tail: __u32, next entry that the application will fill
 * @rqes: array of struct iouring2_zcrx_rqe
 * @__resv2: 0
 * @__resv: 0
 */
struct iouring2_zcrx_offsets {
	__u32	head;
	__u32	tail;
	__u32	rqes;
	__u32	__resv2;
	__u64	__resv[2];
};

/* iouring2_zcrx_area_reg.flags: the area is a dma-buf */
enum iouring2_zcrx_area_flags {
	IOURING2_ZCRX_AREA_DMABUF		= 1,
};

/**
 * struct iouring2_zcrx_area_reg - memory area for received data
 * @addr: user address, or offset in the dma-buf
 * @len: size in bytes
 * @rq_area_token: out: the area's id, shifted to its position in offsets
 * @flags: IOURING2_ZCRX_AREA_*
 * @dmabuf_fd: descriptor of the dma-buf
 * @__resv2: must be 0
 */
struct iouring2_zcrx_area_reg {
	__u64	addr;
	__u64	len;
	__u64	rq_area_token;
	__u32	flags;
	__u32	dmabuf_fd;
	__u64	__resv2[2];
};

/* iouring2_zcrx_ifq_reg.flags: import an exported queue; no network device */
enum iouring2_zcrx_reg_flags {
	IOURING2_ZCRX_REG_IMPORT		= 1,
	IOURING2_ZCRX_REG_NODEV			= 2,
};

/* Features of zero-copy receive: selectable page size; event reports */
enum iouring2_zcrx_features {
	IOURING2_ZCRX_FEATURE_RX_PAGE_SIZE	= 1 << 0,
	IOURING2_ZCRX_FEATURE_EVENT		= 1 << 1,
};

/* Events: an allocation failed; data was copied */
enum iouring2_zcrx_event_type {
	IOURING2_ZCRX_EVENT_ALLOC_FAIL,
	IOURING2_ZCRX_EVENT_COPY,

	__IOURING2_ZCRX_EVENT_TYPE_LAST,
};

/* iouring2_zcrx_event_desc.flags: stats_offset is valid */
enum iouring2_zcrx_event_desc_flags {
	IOURING2_ZCRX_EVENT_DESC_FLAG_STATS	= 1 << 0,
};

/**
 * struct iouring2_zcrx_stats - statistics of copied data
 * @copy_count: number of completions with copied data
 * @copy_bytes: number of bytes copied
 */
struct iouring2_zcrx_stats {
	__u64	copy_count;
	__u64	copy_bytes;
};

/**
 * struct iouring2_zcrx_event_desc - how events are reported
 * @user_data: user_data of the completion that reports an event
 * @type_mask: if bit n is set, event n is reported
 * @flags: IOURING2_ZCRX_EVENT_DESC_FLAG_*
 * @stats_offset: byte offset of the statistics in the refill ring's region
 * @__resv2: must be 0
 */
struct iouring2_zcrx_event_desc {
	__u64	user_data;
	__u32	type_mask;
	__u32	flags;
	__u64	stats_offset;
	__u64	__resv2[9];
};

/**
 * struct iouring2_zcrx_ifq_reg - argument of REGISTER_ZCRX_IFQ
 * @if_idx: index of the network device
 * @if_rxq: its receive queue
 * @rq_entries: number of entries of the refill ring
 * @flags: IOURING2_ZCRX_REG_*
 * @area_ptr: user address of a struct iouring2_zcrx_area_reg
 * @region_ptr: user address of a struct iouring2_region_desc
 * @offsets: out: layout of the refill ring
 * @zcrx_id: out: id of the queue
 * @rx_buf_len: size of a receive buffer in bytes, 0 for the default
 * @event_desc: user address of a struct iouring2_zcrx_event_desc, or 0
 * @__resv: must be 0
 */
struct iouring2_zcrx_ifq_reg {
	__u32	if_idx;
	__u32	if_rxq;
	__u32	rq_entries;
	__u32	flags;

	__u64	area_ptr;
	__u64	region_ptr;

	struct iouring2_zcrx_offsets	offsets;
	__u32	zcrx_id;
	__u32	rx_buf_len;
	__u64	event_desc;
	__u64	__resv[2];
};

/* iouring2_zcrx_ctrl.op */
enum iouring2_zcrx_ctrl_op {
	IOURING2_ZCRX_CTRL_FLUSH_RQ,
	IOURING2_ZCRX_CTRL_EXPORT,
	IOURING2_ZCRX_CTRL_ARM_EVENT,
	IOURING2_ZCRX_CTRL_ADD_AREA,

	__IOURING2_ZCRX_CTRL_LAST,
};

/**
 * struct iouring2_zcrx_ctrl_flush_rq - process the entries of the refill ring
 * @__resv: must be 0
 */
struct iouring2_zcrx_ctrl_flush_rq {
	__u64	__resv[6];
};

/**
 * struct iouring2_zcrx_ctrl_export - create a descriptor for sharing the queue
 * @zcrx_fd: out: the descriptor
 * @__resv1: must be 0
 */
struct iouring2_zcrx_ctrl_export {
	__u32	zcrx_fd;
	__u32	__resv1[11];
};

/**
 * struct iouring2_zcrx_ctrl_arm_event - request a report of the next event
 * @event_type: enum iouring2_zcrx_event_type
 * @__resv: must be 0
 */
struct iouring2_zcrx_ctrl_arm_event {
	__u32	event_type;
	__u32	__resv[11];
};

/**
 * struct iouring2_zcrx_ctrl_add_area - add an area to the queue
 * @area_ptr: user address of a struct iouring2_zcrx_area_reg
 * @__resv: must be 0
 */
struct iouring2_zcrx_ctrl_add_area {
	__u64	area_ptr;
	__u64	__resv[5];
};

/**
 * struct iouring2_zcrx_ctrl - argument of REGISTER_ZCRX_CTRL
 * @zcrx_id: id of the queue
 * @op: enum iouring2_zcrx_ctrl_op
 * @__resv: must be 0
 * @zc_export: argument of CTRL_EXPORT
 * @zc_flush: argument of CTRL_FLUSH_RQ
 * @zc_arm_event: argument of CTRL_ARM_EVENT
 * @zc_area: argument of CTRL_ADD_AREA
 */
struct iouring2_zcrx_ctrl {
	__u32	zcrx_id;
	__u32	op;
	__u64	__resv[2];

	union {
		struct iouring2_zcrx_ctrl_export	zc_export;
		struct iouring2_zcrx_ctrl_flush_rq	zc_flush;
		struct iouring2_zcrx_ctrl_arm_event	zc_arm_event;
		struct iouring2_zcrx_ctrl_add_area	zc_area;
	};
};

/* ------------------------------------------------------------------ */
/* REGISTER_QUERY                                                     */
/* ------------------------------------------------------------------ */

/*
 * An opcode is known if its number is smaller than nr_request_opcodes or
 * nr_register_opcodes, but it may not be supported. PROBE and IOURING2_IOC_QUERY
 * tell which ones are. QUERY_ZCRX and QUERY_ZCRX_EVENT are not supported.
 */

/**
 * struct iouring2_query_hdr - one query of a list
 * @next_entry: user address of the next struct iouring2_query_hdr, or 0
 * @query_data: user address of the result
 * @query_op: IOURING2_QUERY_*
 * @size: in: size of the buffer; out: size of the result, in bytes
 * @result: out: 0 or a negative errno
 * @__resv: must be 0
 */
struct iouring2_query_hdr {
	__u64	next_entry;
	__u64	query_data;
	__u32	query_op;
	__u32	size;
	__s32	result;
	__u32	__resv[3];
};

enum {
	IOURING2_QUERY_OPCODES			= 0,
	IOURING2_QUERY_ZCRX			= 1,
	IOURING2_QUERY_SCQ			= 2,
	IOURING2_QUERY_ZCRX_EVENT		= 3,

	__IOURING2_QUERY_MAX,
};

/**
 * struct iouring2_query_opcode - result of QUERY_OPCODES
 * @nr_request_opcodes: last known request opcode plus 1
 * @nr_register_opcodes: last known register opcode plus 1
 * @feature_flags: IOURING2_FEAT_*
 * @ring_setup_flags: supported IOURING2_SETUP_*
 * @enter_flags: supported IOURING2_ENTER_*
 * @sqe_flags: supported IOURING2_SQE_*
 * @nr_query_opcodes: last known query plus 1
 * @__pad: 0
 */
struct iouring2_query_opcode {
	__u32	nr_request_opcodes;
	__u32	nr_register_opcodes;
	__u64	feature_flags;
	__u64	ring_setup_flags;
	__u64	enter_flags;
	__u64	sqe_flags;
	__u32	nr_query_opcodes;
	__u32	__pad;
};

/**
 * struct iouring2_query_zcrx - result of QUERY_ZCRX
 * @register_flags: supported IOURING2_ZCRX_REG_*
 * @area_flags: supported IOURING2_ZCRX_AREA_*
 * @nr_ctrl_opcodes: last known IOURING2_ZCRX_CTRL_* plus 1
 * @features: IOURING2_ZCRX_FEATURE_*
 * @rq_hdr_size: size of the header of a refill ring, in bytes
 * @rq_hdr_alignment: alignment of a refill ring, in bytes
 * @__resv2: 0
 */
struct iouring2_query_zcrx {
	__u64	register_flags;
	__u64	area_flags;
	__u32	nr_ctrl_opcodes;
	__u32	features;
	__u32	rq_hdr_size;
	__u32	rq_hdr_alignment;
	__u64	__resv2;
};

/**
 * struct iouring2_query_zcrx_event - result of QUERY_ZCRX_EVENT
 * @event_flags: known IOURING2_ZCRX_EVENT_*
 * @stats_size: size of struct iouring2_zcrx_stats, in bytes
 * @stats_off_alignment: alignment of stats_offset, in bytes
 * @__resv1: 0
 * @__resv2: 0
 */
struct iouring2_query_zcrx_event {
	__u32	event_flags;
	__u32	stats_size;
	__u32	stats_off_alignment;
	__u32	__resv1;
	__u64	__resv2[4];
};

/**
 * struct iouring2_query_scq - result of QUERY_SCQ
 * @hdr_size: size of the header in the mapping of the rings, in bytes
 * @hdr_alignment: alignment of that mapping, in bytes
 */
struct iouring2_query_scq {
	__u64	hdr_size;
	__u64	hdr_alignment;
};

/* ------------------------------------------------------------------ */
/* REGISTER_BPF_FILTER                                                */
/* ------------------------------------------------------------------ */

/**
 * struct iouring2_bpf_ctx - context of a filter program: one request
 * @user_data: sqe->user_data
 * @opcode: sqe->opcode
 * @sqe_flags: sqe->flags
 * @pdu_size: number of bytes of opcode data that follow
 * @pad: 0
 * @socket: arguments of SOCKET
 * @open: arguments of OPENAT and OPENAT2
 * @connect: arguments of CONNECT; fields beyond a short address are 0
 */
struct iouring2_bpf_ctx {
	__u64	user_data;
	__u8	opcode;
	__u8	sqe_flags;
	__u8	pdu_size;
	__u8	pad[5];
	union {
		struct {
			__u32	family;
			__u32	type;
			__u32	protocol;
		} socket;
		struct {
			__u64	flags;
			__u64	mode;
			__u64	resolve;
		} open;
		struct {
			__u32	family;
			__be16	port;
			__u8	pad[2];
			union {
				__be32	v4_addr;
				__u8	v6_addr[16];
			};
		} connect;
	};
};

/*
 * iouring2_bpf_filter.flags:
 * DENY_REST		deny opcodes without a filter
 * SZ_STRICT		fail if pdu_size differs from the kernel's
 */
enum {
	IOURING2_BPF_FILTER_DENY_REST		= 1,
	IOURING2_BPF_FILTER_SZ_STRICT		= 2,
};

/**
 * struct iouring2_bpf_filter - the filter of one opcode
 * @opcode: the opcode
 * @flags: IOURING2_BPF_FILTER_*
 * @filter_len: number of instructions
 * @pdu_size: number of bytes of opcode data that the filter expects
 * @resv: must be 0
 * @filter_ptr: user address of the instructions
 * @resv2: must be 0
 */
struct iouring2_bpf_filter {
	__u32	opcode;
	__u32	flags;
	__u32	filter_len;
	__u8	pdu_size;
	__u8	resv[3];
	__u64	filter_ptr;
	__u64	resv2[5];
};

/* iouring2_bpf.cmd_type: install a filter */
enum {
	IOURING2_BPF_CMD_FILTER			= 1,
};

/**
 * struct iouring2_bpf - argument of REGISTER_BPF_FILTER
 * @cmd_type: IOURING2_BPF_CMD_*
 * @cmd_flags: must be 0
 * @resv: must be 0
 * @filter: argument of BPF_CMD_FILTER
 */
struct iouring2_bpf {
	__u16	cmd_type;
	__u16	cmd_flags;
	__u32	resv;
	union {
		struct iouring2_bpf_filter	filter;
	};
};

/* ------------------------------------------------------------------ */
/* The device node and the ioctls                                     */
/* ------------------------------------------------------------------ */

/*
 * The ioctl number contains the size of the argument. The module accepts a
 * struct that is larger than its own version if the bytes beyond that version
 * are 0, and otherwise fails with E2BIG. It refuses a struct that is smaller
 * than version 1 with EINVAL. A new field is therefore always added at the end
 * or in place of resv, and the value 0 selects the behaviour without the field.
 */
#define IOURING2_ABI_VERSION		1

#define IOURING2_IOC_MAGIC		0xBB

/**
 * struct iouring2_query - argument of IOURING2_IOC_QUERY: what is supported
 * @abi_version: IOURING2_ABI_VERSION of the module
 * @nr_ops: number of known request opcodes; others complete with -EINVAL
 * @features: IOURING2_FEAT_* that every ring has
 * @setup_flags: supported IOURING2_SETUP_* of params.flags
 * @enter_flags: supported IOURING2_ENTER_*
 * @sqe_flags: supported IOURING2_SQE_*
 * @ops: bit n of the array is set if request opcode n is supported
 * @register_ops: bit n of the array is set if register opcode n is supported
 * @max_entries: maximum number of SQ entries
 * @max_cq_entries: maximum number of CQ entries
 * @inflight_default: default in-flight cap of a ring, in requests
 * @inflight_max: maximum in-flight cap of a ring, in requests
 * @ring_flags: supported IOURING2_RING_* of struct iouring2_setup
 * @enter_methods: IOURING2_ENTER_BY_*: methods of ENTER other than the ioctl
 * @resv: must be 0
 *
 * An ioctl of the device; it needs no ring. All fields must be 0 on entry. The
 * module writes them and returns 0.
 *
 * Errors: EFAULT (the struct is not accessible), EINVAL (a field is not 0, or
 * the struct is too small), E2BIG (a field that the module does not know is not
 * 0), ENOTTY (not the device).
 */
struct iouring2_query {
	__u32		abi_version;
	__u32		nr_ops;
	__aligned_u64	features;
	__aligned_u64	setup_flags;
	__aligned_u64	enter_flags;
	__aligned_u64	sqe_flags;
	__aligned_u64	ops[4];
	__aligned_u64	register_ops[2];
	__u32		max_entries;
	__u32		max_cq_entries;
	__u32		inflight_default;
	__u32		inflight_max;
	__aligned_u64	ring_flags;
	__aligned_u64	enter_methods;
	__aligned_u64	resv[2];
};

/*
 * Methods of ENTER other than its ioctl.
 *
 * FADVISE	the system call fadvise64(ring, to_submit, min_complete,
 *		flags | ENTER_FADVISE) is an ENTER without @arg. It costs less
 *		than the ioctl and has the same results and errors. It also
 *		fails with EINVAL for EXT_ARG, without ENTER_FADVISE, and for
 *		numbers that do not fit into 32 bits. posix_fadvise(2) cannot be
 *		used, because it does not return the result.
 */
#define IOURING2_ENTER_BY_FADVISE			(1U << 0)

/*
 * Flags of struct iouring2_setup.
 *
 * SUBMIT_BACKLOGGED	ENTER accepts submissions while completions wait behind
 *			the full CQ, as io_uring does since Linux 5.13. At the
 *			in-flight cap it fails with EBUSY.
 */
#define IOURING2_RING_SUBMIT_BACKLOGGED		(1U << 0)

/**
 * struct iouring2_setup - argument of IOURING2_IOC_SETUP: set up a ring
 * @entries: in: number of SQ entries, 1 to max_entries; rounded up to a power
 *	of two
 * @flags: in: IOURING2_RING_*
 * @max_inflight: in: in-flight cap, which limits the requests in flight plus
 *	the completions behind the full CQ; 0 for the default; out: the cap of
 *	the ring
 * @resv: must be 0
 * @params: in: flags, cq_entries etc.; out: sizes, features, offsets
 *
 * An ioctl of the device. It returns the ring's file descriptor, opened with
 * O_RDWR and O_CLOEXEC. The struct is written only on success.
 *
 * Errors: EFAULT (the struct is not accessible, or memory that it names with
 * NO_MMAP cannot be used), EINVAL (a size, flag, cap, address or reserved field
 * has an invalid value, or the struct is too small), E2BIG (a field that the
 * module does not know is not 0), ENOMEM, EMFILE and ENFILE (no descriptor or
 * file is available), ENOTTY (not the device). After an error no ring exists and
 * no memory stays charged.
 */
struct iouring2_setup {
	__u32		entries;
	__u32		flags;
	__u32		max_inflight;
	__u32		resv[5];
	struct iouring2_params	params;
};

/**
 * struct iouring2_enter - argument of IOURING2_IOC_ENTER: submit and wait
 * @to_submit: number of SQEs to submit
 * @min_complete: number of completions to wait for, with GETEVENTS
 * @flags: IOURING2_ENTER_*
 * @argsz: size of the object at @arg, in bytes
 * @arg: user address of a signal mask for the wait or, with EXT_ARG, of a
 *	struct iouring2_getevents_arg; or 0
 *
 * An ioctl of a ring; it works like io_uring_enter2(2). It returns the number
 * of SQEs submitted. If that is none, it returns 0 or fails.
 *
 * Errors:
 * EBUSY	@to_submit is not 0, but completions wait behind the full CQ. No
 *		SQE was submitted. The application must take completions first.
 *		With SUBMIT_BACKLOGGED this also requires that the in-flight cap
 *		is reached.
 * EAGAIN	The in-flight cap is reached, or there is not enough memory for a
 *		request.
 * EBADF	Another thread closed the process's last descriptor of the ring
 *		during the call. No SQE was submitted.
 * EBADFD	The ring was set up with R_DISABLED and has not been enabled.
 * EFAULT	An argument is not accessible.
 * EINVAL	An argument is invalid.
 * E2BIG	A field that the module does not know is not 0.
 * EINTR	A signal was delivered during the wait, and the CQ is empty.
 * ETIME	The timeout expired, and the CQ is empty.
 * ENOTTY	The descriptor is not a ring.
 */
struct iouring2_enter {
	__u32		to_submit;
	__u32		min_complete;
	__u32		flags;
	__u32		argsz;
	__aligned_u64	arg;
};

/**
 * struct iouring2_register - argument of IOURING2_IOC_REGISTER
 * @opcode: IOURING2_REGISTER_*
 * @nr_args: number of elements at @arg
 * @arg: user address of the argument of @opcode
 *
 * An ioctl of a ring; it works like io_uring_register(2). It is also an ioctl of
 * the device, for opcodes that need no ring: REGISTER_QUERY.
 *
 * Errors: EINVAL (@opcode is not supported, needs a ring, or its arguments are
 * invalid), EFAULT (the struct or @arg is not accessible), E2BIG (a field that
 * the module does not know is not 0), ENOMEM, ENOTTY (neither a ring nor the
 * device), and errors of the opcode.
 */
struct iouring2_register {
	__u32		opcode;
	__u32		nr_args;
	__aligned_u64	arg;
};

#define IOURING2_IOC_QUERY	\
	_IOWR(IOURING2_IOC_MAGIC, 0x00, struct iouring2_query)
#define IOURING2_IOC_SETUP	\
	_IOWR(IOURING2_IOC_MAGIC, 0x01, struct iouring2_setup)
#define IOURING2_IOC_ENTER	\
	_IOW(IOURING2_IOC_MAGIC, 0x02, struct iouring2_enter)
#define IOURING2_IOC_REGISTER	\
	_IOW(IOURING2_IOC_MAGIC, 0x03, struct iouring2_register)

#ifdef __cplusplus
}
#endif

#endif /* _UAPI_LINUX_IOURING2_H */
