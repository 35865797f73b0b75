/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracepoints. docs/tracing.md describes each event for users, and says
 * which names and fields are stable.
 *
 * An event that is off costs a no-operation. So callers pass pointers, and an
 * event reads what they point to only while it is on.
 *
 * Many events have these fields. @ring is the id of the ring, as in fdinfo.
 * @seq is the number of requests that the ring accepted before this one, modulo
 * 2^32: unlike @user_data it tells any two requests apart. @op and @opcode are
 * name and number of the opcode; the name is "-" if it is not supported.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iouring2

#if !defined(IO2_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IO2_TRACE_H

#include <linux/tracepoint.h>

#include "cancel.h"
#include "req.h"

#define IO2_TRACE_STEP	16	/* bytes for the name of a step of SETUP */

TRACE_DEFINE_ENUM(IO2_BOUNDED);
TRACE_DEFINE_ENUM(IO2_UNBOUNDED);
TRACE_DEFINE_ENUM(IO2_RETRY);
TRACE_DEFINE_ENUM(IO2_CLASSES);

/* --- rings --------------------------------------------------------------- */

/**
 * iouring2_create - SETUP has made a ring
 * @ring: the ring
 * @fd: its descriptor, about to be installed
 */
TRACE_EVENT(iouring2_create,
	TP_PROTO(const struct io2_ring *ring, int fd),
	TP_ARGS(ring, fd),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(int, fd)
		__field(u32, sq_entries)
		__field(u32, cq_entries)
		__field(u32, flags)
		__field(u32, ring_flags)
		__field(u32, max_inflight)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->fd = fd;
		__entry->sq_entries = ring->sq_entries;
		__entry->cq_entries = ring->cq_entries;
		__entry->flags = ring->setup_flags;
		__entry->ring_flags = ring->ring_flags;
		__entry->max_inflight = ring->max_inflight;
	),
	TP_printk("ring=%llu fd=%d sq_entries=%u cq_entries=%u flags=0x%x ring_flags=0x%x max_inflight=%u",
		  __entry->ring, __entry->fd, __entry->sq_entries,
		  __entry->cq_entries, __entry->flags, __entry->ring_flags,
		  __entry->max_inflight)
);

/**
 * iouring2_resize - RESIZE_RINGS has replaced the rings
 * @ring: the ring, with its new sizes
 */
TRACE_EVENT(iouring2_resize,
	TP_PROTO(const struct io2_ring *ring),
	TP_ARGS(ring),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u32, sq_entries)
		__field(u32, cq_entries)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->sq_entries = READ_ONCE(ring->sq_entries);
		__entry->cq_entries = READ_ONCE(ring->cq_entries);
	),
	TP_printk("ring=%llu sq_entries=%u cq_entries=%u", __entry->ring,
		  __entry->sq_entries, __entry->cq_entries)
);

/**
 * iouring2_create_failed - a step of SETUP has failed
 * @ring: the ring, whose id is not used again; NULL before there is one
 * @step: the name of the step
 * @error: the negative errno that SETUP returns
 */
TRACE_EVENT(iouring2_create_failed,
	TP_PROTO(const struct io2_ring *ring, const char *step, int error),
	TP_ARGS(ring, step, error),
	TP_STRUCT__entry(
		__field(u64, ring)
		__array(char, step, IO2_TRACE_STEP)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->ring = ring ? ring->id : 0;
		memset(__entry->step, 0, IO2_TRACE_STEP);
		scnprintf(__entry->step, IO2_TRACE_STEP, "%s", step);
		__entry->error = error;
	),
	TP_printk("ring=%llu step=%s error=%d",
		  __entry->ring, __entry->step, __entry->error)
);

DECLARE_EVENT_CLASS(iouring2_ring,
	TP_PROTO(const struct io2_ring *ring),
	TP_ARGS(ring),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, submitted)
		__field(u64, inflight)
		__field(u32, backlog)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		/* first: later completions must not make it negative */
		__entry->inflight = -READ_ONCE(ring->completed);
		__entry->submitted = READ_ONCE(ring->accepted);
		__entry->inflight += __entry->submitted;
		__entry->backlog = READ_ONCE(ring->nr_backlog);
	),
	TP_printk("ring=%llu submitted=%llu inflight=%llu backlog=%u",
		  __entry->ring, __entry->submitted, __entry->inflight,
		  __entry->backlog)
);

/**
 * iouring2_leave - a process ends its use of a ring, at exit or last close
 * @ring: the ring; the requests of the process are cancelled next
 */
DEFINE_EVENT(iouring2_ring, iouring2_leave,
	TP_PROTO(const struct io2_ring *ring),
	TP_ARGS(ring)
);

/**
 * iouring2_close - the last reference of a ring is gone
 * @ring: the ring; the rest of its requests are cancelled next
 */
DEFINE_EVENT(iouring2_ring, iouring2_close,
	TP_PROTO(const struct io2_ring *ring),
	TP_ARGS(ring)
);

/* --- ENTER --------------------------------------------------------------- */

/**
 * iouring2_busy - ENTER returns EBUSY: completions must be reaped first (I4)
 * @ring: the ring
 * @to_submit: the number of SQEs that ENTER was asked to submit
 * @backlog: the number of completions that do not fit into the CQ
 */
TRACE_EVENT(iouring2_busy,
	TP_PROTO(const struct io2_ring *ring, u32 to_submit, u32 backlog),
	TP_ARGS(ring, to_submit, backlog),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u32, to_submit)
		__field(u32, backlog)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->to_submit = to_submit;
		__entry->backlog = backlog;
	),
	TP_printk("ring=%llu to_submit=%u backlog=%u",
		  __entry->ring, __entry->to_submit, __entry->backlog)
);

/**
 * iouring2_wait - a task in ENTER begins to wait for completions
 * @ring: the ring
 * @min: the number of CQEs that it waits for
 * @ready: the number of CQEs that there are
 */
TRACE_EVENT(iouring2_wait,
	TP_PROTO(const struct io2_ring *ring, u32 min, u32 ready),
	TP_ARGS(ring, min, ready),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u32, min)
		__field(u32, ready)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->min = min;
		__entry->ready = ready;
	),
	TP_printk("ring=%llu min=%u ready=%u",
		  __entry->ring, __entry->min, __entry->ready)
);

/**
 * iouring2_submit - an SQE has become a request
 * @req: the request
 * @sqe: a stable copy of the SQE, which has not been checked yet
 */
TRACE_EVENT(iouring2_submit,
	TP_PROTO(const struct io2_req *req, const struct iouring2_sqe *sqe),
	TP_ARGS(req, sqe),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(int, fd)
		__field(u8, opcode)
		__field(u8, flags)
		__array(char, op, IO2_OP_NAME)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = sqe->user_data;
		__entry->seq = req->seq;
		__entry->fd = sqe->fd;
		__entry->opcode = sqe->opcode;
		__entry->flags = sqe->flags;
		io2_op_name(__entry->op, sqe->opcode);
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx op=%s opcode=%u fd=%d flags=0x%x",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->op,
		  __entry->opcode, __entry->fd, __entry->flags)
);

/* --- requests that wait -------------------------------------------------- */

DECLARE_EVENT_CLASS(iouring2_req,
	TP_PROTO(const struct io2_req *req),
	TP_ARGS(req),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(u8, opcode)
		__array(char, op, IO2_OP_NAME)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->seq = req->seq;
		__entry->opcode = req->opcode;
		io2_op_name(__entry->op, req->opcode);
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx op=%s opcode=%u",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->op,
		  __entry->opcode)
);

/**
 * iouring2_drain - a request waits behind a drain barrier
 * @req: the request; if it is the head of a chain, the chain waits
 */
DEFINE_EVENT(iouring2_req, iouring2_drain,
	TP_PROTO(const struct io2_req *req),
	TP_ARGS(req)
);

/**
 * iouring2_park - a request waits until a task of its process is in ENTER
 * @req: the request
 */
DEFINE_EVENT(iouring2_req, iouring2_park,
	TP_PROTO(const struct io2_req *req),
	TP_ARGS(req)
);

DECLARE_EVENT_CLASS(iouring2_queues,
	TP_PROTO(const struct io2_req *req, unsigned int queue),
	TP_ARGS(req, queue),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(u8, opcode)
		__field(u8, queue)
		__array(char, op, IO2_OP_NAME)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->seq = req->seq;
		__entry->opcode = req->opcode;
		__entry->queue = queue;
		io2_op_name(__entry->op, req->opcode);
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx op=%s opcode=%u queue=%s",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->op,
		  __entry->opcode,
		  __print_symbolic(__entry->queue,
				   { IO2_BOUNDED, "bounded" },
				   { IO2_UNBOUNDED, "unbounded" },
				   { IO2_RETRY, "retry" },
				   { IO2_PARKED, "parked" },
				   { IO2_KEYED, "key" }))
);

/**
 * iouring2_queue - a request waits for a worker, or for its ordering key
 * @req: the request
 * @queue: the class of worker, or IO2_KEYED
 */
DEFINE_EVENT(iouring2_queues, iouring2_queue,
	TP_PROTO(const struct io2_req *req, unsigned int queue),
	TP_ARGS(req, queue)
);

/**
 * iouring2_run - the current task takes a request from a queue and runs it
 * @req: the request
 * @queue: the class of worker, or IO2_PARKED for a task in ENTER
 */
DEFINE_EVENT(iouring2_queues, iouring2_run,
	TP_PROTO(const struct io2_req *req, unsigned int queue),
	TP_ARGS(req, queue)
);

DECLARE_EVENT_CLASS(iouring2_poll,
	TP_PROTO(const struct io2_req *req, __poll_t events),
	TP_ARGS(req, events),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(u32, events)
		__field(u8, opcode)
		__field(bool, multishot)
		__array(char, op, IO2_OP_NAME)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->seq = req->seq;
		__entry->events = mangle_poll(events & IO2_POLL_EVENTS);
		__entry->opcode = req->opcode;
		__entry->multishot = !(req->poll.events & EPOLLONESHOT);
		io2_op_name(__entry->op, req->opcode);
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx op=%s opcode=%u events=0x%x multishot=%d",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->op,
		  __entry->opcode, __entry->events, __entry->multishot)
);

/**
 * iouring2_poll_arm - a request waits for its file
 * @req: the request
 * @events: the events that it waits for
 */
DEFINE_EVENT(iouring2_poll, iouring2_poll_arm,
	TP_PROTO(const struct io2_req *req, __poll_t events),
	TP_ARGS(req, events)
);

/**
 * iouring2_poll_wake - a file has woken a request that waits for it
 * @req: the request
 * @events: the events; 0 if the file did not tell
 */
DEFINE_EVENT(iouring2_poll, iouring2_poll_wake,
	TP_PROTO(const struct io2_req *req, __poll_t events),
	TP_ARGS(req, events)
);

/**
 * iouring2_timeout_arm - the timer of a TIMEOUT is started
 * @req: the request
 * @time: when the timer fires, or after how long
 * @count: completions to wait for, or repeats; 0 for none
 * @flags: IOURING2_TIMEOUT_*
 */
TRACE_EVENT(iouring2_timeout_arm,
	TP_PROTO(const struct io2_req *req, ktime_t time, u32 count, u32 flags),
	TP_ARGS(req, time, count, flags),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(s64, ns)
		__field(u32, seq)
		__field(u32, count)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->ns = ktime_to_ns(time);
		__entry->seq = req->seq;
		__entry->count = count;
		__entry->flags = flags;
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx ns=%lld count=%u flags=0x%x",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->ns,
		  __entry->count, __entry->flags)
);

/**
 * iouring2_cancel - requests were looked for to cancel them
 * @ring: the ring
 * @m: which ones
 * @found: the number of requests found
 * @result: the result of the cancellation, as in the CQE of an ASYNC_CANCEL
 */
TRACE_EVENT(iouring2_cancel,
	TP_PROTO(const struct io2_ring *ring, const struct io2_cancel_match *m,
		 int found, int result),
	TP_ARGS(ring, m, found, result),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, flags)
		__field(u32, opcode)
		__field(int, found)
		__field(int, result)
		__field(bool, leaving)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->user_data = m->user_data;
		__entry->flags = m->flags;
		__entry->opcode = m->opcode;
		__entry->found = found;
		__entry->result = result;
		__entry->leaving = m->kill;
	),
	TP_printk("ring=%llu user_data=0x%llx flags=0x%x opcode=%u found=%d result=%d leaving=%d",
		  __entry->ring, __entry->user_data, __entry->flags,
		  __entry->opcode, __entry->found, __entry->result,
		  __entry->leaving)
);

/* --- completions --------------------------------------------------------- */

/**
 * iouring2_complete - a request has a CQE
 * @req: the request
 * @res: the result
 * @cqe_flags: IOURING2_CQE_F_*
 *
 * Before the CQE is written, added to the backlog, or skipped.
 */
TRACE_EVENT(iouring2_complete,
	TP_PROTO(const struct io2_req *req, s32 res, u32 cqe_flags),
	TP_ARGS(req, res, cqe_flags),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(s32, res)
		__field(u32, cqe_flags)
		__field(bool, skipped)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->seq = req->seq;
		__entry->res = res;
		__entry->cqe_flags = cqe_flags;
		__entry->skipped = req->flags & REQ_F_CQE_SKIP;
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx res=%d cqe_flags=0x%x skipped=%d",
		  __entry->ring, __entry->seq, __entry->user_data, __entry->res,
		  __entry->cqe_flags, __entry->skipped)
);

/**
 * iouring2_backlog_add - a CQE does not fit into the CQ
 * @req: the request, which was added to the backlog
 * @backlog: the number of completions in the backlog now
 */
TRACE_EVENT(iouring2_backlog_add,
	TP_PROTO(const struct io2_req *req, u32 backlog),
	TP_ARGS(req, backlog),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u64, user_data)
		__field(u32, seq)
		__field(u32, backlog)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->seq = req->seq;
		__entry->backlog = backlog;
	),
	TP_printk("ring=%llu seq=%u user_data=0x%llx backlog=%u",
		  __entry->ring, __entry->seq, __entry->user_data,
		  __entry->backlog)
);

/**
 * iouring2_backlog_flush - completions have moved from the backlog to the CQ
 * @ring: the ring
 * @count: their number
 * @backlog: the number of completions that are left in the backlog
 */
TRACE_EVENT(iouring2_backlog_flush,
	TP_PROTO(const struct io2_ring *ring, u32 count, u32 backlog),
	TP_ARGS(ring, count, backlog),
	TP_STRUCT__entry(
		__field(u64, ring)
		__field(u32, count)
		__field(u32, backlog)
	),
	TP_fast_assign(
		__entry->ring = ring->id;
		__entry->count = count;
		__entry->backlog = backlog;
	),
	TP_printk("ring=%llu count=%u backlog=%u",
		  __entry->ring, __entry->count, __entry->backlog)
);

#endif

/*
 * The kernel's header reads this file again. It looks for it in the folders of
 * the compiler's options, where Kbuild puts module/.
 */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH debug
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
