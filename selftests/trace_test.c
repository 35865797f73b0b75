// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each tracepoint, read through tracefs: when it fires, and the exact text of
 * its fields. Only the events that a test enables are recorded, so the test
 * compares the whole trace.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "trace.h"

#define GETEVENTS	IOURING2_ENTER_GETEVENTS
#define HOUR		3600

FIXTURE(event) {
	struct state before;
	struct trace t;
	const char *why;	/* why tracing does not work, or NULL */
};

FIXTURE_SETUP(event)
{
	state_read(&self->before);
	self->why = trace_open(&self->t);
}

FIXTURE_TEARDOWN(event)
{
	trace_close(&self->t);
	EXPECT_STREQ("", state_diff(&self->before, false));
}

#define TRACE_TEST(name) TEST_F_TIMEOUT(event, name, 100)

/* Start a test: enable the named events */
#define WANT(...)							\
do {									\
	const char *const __names[] = { __VA_ARGS__, NULL };		\
	const char *const *__n;						\
									\
	if (self->why)							\
		SKIP(return, "%s", self->why);				\
	for (__n = __names; *__n; __n++)				\
		ASSERT_EQ(0, trace_event(&self->t, *__n, true));	\
} while (0)

/*
 * Format a text as printf(3) does. It is valid until four others have been
 * formatted.
 */
#define text(...) reason(__VA_ARGS__)

static unsigned long long id_of(const struct ring *r)
{
	return fdinfo(r->fd, "RingId");
}

static struct iouring2_sqe *nop(struct ring *r, __u64 ud)
{
	return add(r, IOURING2_OP_NOP, -1, NULL, 0, 0, 0, ud);
}

static struct iouring2_sqe *poll_in(struct ring *r, int fd, __u64 ud)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_poll(sqe, fd, POLLIN);
	sqe->user_data = ud;
	return sqe;
}

/* --- the events themselves ------------------------------------------------ */

#define REQ	"u64 ring;u64 user_data;u32 seq;"
#define OP	"u8 opcode;char op[24];"

/* The interface for programs: names, types and order of the fields */
static const struct {
	const char *event, *fields;
} formats[] = {
	{ "create", "u64 ring;int fd;u32 sq_entries;u32 cq_entries;u32 flags;"
	  "u32 ring_flags;u32 max_inflight;" },
	{ "resize", "u64 ring;u32 sq_entries;u32 cq_entries;" },
	{ "create_failed", "u64 ring;char step[16];int error;" },
	{ "close", "u64 ring;u64 submitted;u64 inflight;u32 backlog;" },
	{ "leave", "u64 ring;u64 submitted;u64 inflight;u32 backlog;" },
	{ "busy", "u64 ring;u32 to_submit;u32 backlog;" },
	{ "wait", "u64 ring;u32 min;u32 ready;" },
	{ "submit", REQ "int fd;u8 opcode;u8 flags;char op[24];" },
	{ "drain", REQ OP },
	{ "park", REQ OP },
	{ "queue", REQ "u8 opcode;u8 queue;char op[24];" },
	{ "run", REQ "u8 opcode;u8 queue;char op[24];" },
	{ "poll_arm", REQ "u32 events;u8 opcode;bool multishot;char op[24];" },
	{ "poll_wake", REQ "u32 events;u8 opcode;bool multishot;char op[24];" },
	{ "timeout_arm", "u64 ring;u64 user_data;s64 ns;u32 seq;u32 count;"
	  "u32 flags;" },
	{ "cancel", "u64 ring;u64 user_data;u32 flags;u32 opcode;int found;"
	  "int result;bool leaving;" },
	{ "complete", REQ "s32 res;u32 cqe_flags;bool skipped;" },
	{ "backlog_add", REQ "u32 backlog;" },
	{ "backlog_flush", "u64 ring;u32 count;u32 backlog;" },
};

/* Return: the event's own fields, from its file "format" */
static const char *fields_of(const char *event)
{
	static char raw[8192], fields[1024];
	char path[160], *line, *save, *end;
	size_t len = 0;

	fields[0] = '\0';
	snprintf(path, sizeof(path),
		 TRACEFS "/events/iouring2/iouring2_%s/format", event);
	if (trace_read(path, raw, sizeof(raw)) < 0)
		return "no such event";
	for (line = strtok_r(raw, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "\tfield:", 7) || strstr(line, " common_"))
			continue;
		end = strchr(line, ';');
		if (end)
			len += snprintf(fields + len, sizeof(fields) - len,
					"%.*s;", (int)(end - line - 7),
					line + 7);
	}
	return fields;
}

RING_TEST(formats)
{
	const char *why = trace_why_not();
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		EXPECT_STREQ(formats[i].fields,
			     fields_of(formats[i].event)) {
			TH_LOG("%s", formats[i].event);
		}
	}
}

/* --- rings ---------------------------------------------------------------- */

TRACE_TEST(create)
{
	struct iouring2_setup s = { .entries = 5, .max_inflight = 77 };
	struct ring r;
	int other;

	WANT("create", "submit");
	s.flags = IOURING2_RING_SUBMIT_BACKLOGGED;
	s.params.flags = IOURING2_SETUP_CQSIZE | IOURING2_SETUP_SUBMIT_ALL;
	s.params.cq_entries = 30;
	ASSERT_EQ(0, ring_init_setup(&r, &s));
	EXPECT_STREQ(text("create: fd=%d %s flags=0x%x ring_flags=0x%x %s\n",
			  r.fd, "sq_entries=8 cq_entries=32", s.params.flags,
			  s.flags, "max_inflight=77"),
		     trace_of(&self->t, id_of(&r)));
	/* the events of a ring have its id, whichever descriptor was used */
	trace_forget(&self->t);
	nop(&r, 1);
	ASSERT_EQ(1, ring_publish(&r));
	other = dup(r.fd);
	EXPECT_EQ(1, enter(other, 1, 0, 0, NULL, 0));
	EXPECT_STREQ("submit: seq=0 user_data=0x1 op=NOP opcode=0 fd=-1 flags=0x0\n",
		     trace_of(&self->t, id_of(&r)));
	close(other);
	ring_exit(&r);
}

static struct iouring2_setup *setup_in(void *page)
{
	struct iouring2_setup *s = page;

	memset(s, 0, sizeof(*s));
	s->entries = 8;
	return s;
}

TRACE_TEST(create_failed)
{
	struct iouring2_setup *s;
	unsigned long long last, ring;
	struct rlimit old, none;
	int dev, fd;

	WANT("create_failed");
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	dev = dev_open();
	ASSERT_LE(0, dev);
	fd = ioctl(dev, IOURING2_IOC_SETUP, setup_in(s));
	ASSERT_LE(0, fd);
	last = fdinfo(fd, "RingId");
	close(fd);

	/* there is no ring yet */
	EXPECT_EQ(-1, ioctl(dev, IOURING2_IOC_SETUP, (void *)-4096L));
	EXPECT_EQ(EFAULT, errno);
	setup_in(s)->entries = 0;
	EXPECT_EQ(-1, ioctl(dev, IOURING2_IOC_SETUP, s));
	EXPECT_STREQ("create_failed: step=arguments error=-14\n"
		     "create_failed: step=arguments error=-22\n",
		     trace_of(&self->t, 0));

	/* no descriptor is free */
	trace_forget(&self->t);
	setup_in(s);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = lowest_fd();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	fd = ioctl(dev, IOURING2_IOC_SETUP, s);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(-1, fd);
	ring = trace_failed_ring(&self->t, "descriptor", -EMFILE);
	EXPECT_LT(last, ring);
	EXPECT_STREQ("create_failed: step=descriptor error=-24\n",
		     trace_of(&self->t, ring));

	/* the result cannot be written */
	trace_forget(&self->t);
	setup_in(s);
	ASSERT_EQ(0, mprotect(s, 4096, PROT_READ));
	EXPECT_EQ(-1, ioctl(dev, IOURING2_IOC_SETUP, s));
	last = ring;
	ring = trace_failed_ring(&self->t, "copy-out", -EFAULT);
	EXPECT_LT(last, ring);
	EXPECT_STREQ("create_failed: step=copy-out error=-14\n",
		     trace_of(&self->t, ring));
	close(dev);
	munmap(s, 4096);
}

/*
 * Return: the step of an injection point; for example, "rings vmap" is in step
 * "rings"
 */
static const char *step_of(const char *point)
{
	static const struct {
		const char *point, *step;
	} steps[] = {
		{ "ring struct", "ring" }, { "rings ", "rings" },
		{ "cqes ", "cqes" }, { "sqes ", "sqes" },
		{ "ring submitter", "submitter" },
		{ "file descriptor", "descriptor" },
		{ "file anon inode", "file" }, { "file copy-out", "copy-out" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (!strncmp(point, steps[i].point, strlen(steps[i].point)))
			return steps[i].step;
	return "?";
}

/*
 * Test every step that can fail, with the errno of SETUP. This needs a debug
 * build.
 */
TRACE_TEST(create_failed_steps)
{
	char point[64], seen[512] = "";
	unsigned long long ring = 0;
	struct iouring2_setup s;
	const char *step;
	int nth, fd = -1;

	WANT("create_failed");
	if (module_param("setup_fail_nth") < 0)
		SKIP(return, "not a debug build of the module");
	ASSERT_EQ(0, module_param_set("setup_fail_pid", getpid()));
	ASSERT_EQ(0, module_param_set("setup_fragmented", 1));
	for (nth = 1; nth < 100 && fd < 0; nth++) {
		memset(&s, 0, sizeof(s));
		s.entries = 3341;
		s.params.flags = IOURING2_SETUP_CQSIZE;
		s.params.cq_entries = 8192;
		trace_forget(&self->t);
		ASSERT_EQ(0, module_param_set("setup_fail_nth", nth));
		fd = dev_setup(&s);
		if (fd >= 0)
			break;
		ASSERT_LT(0, read_text("/sys/module/iouring2/parameters/setup_fail_point",
				       point, sizeof(point)));
		step = step_of(point);
		ring = trace_failed_ring(&self->t, step, fd);
		/* before there is a ring, the event has no id */
		EXPECT_EQ(!strcmp(step, "ring"), !ring) {
			TH_LOG("%s", point);
		}
		EXPECT_STREQ(text("create_failed: step=%s error=%d\n", step, fd),
			     trace_of(&self->t, ring)) {
			TH_LOG("%s", point);
		}
		if (!strstr(seen, text(" %s,", step)))
			strncat(seen, text(" %s,", step),
				sizeof(seen) - strlen(seen) - 1);
	}
	EXPECT_LE(0, fd);
	EXPECT_STREQ(" ring, rings, cqes, sqes, submitter, descriptor, file, copy-out,",
		     seen);
	EXPECT_STREQ("", trace_of(&self->t, fdinfo(fd, "RingId")));
	close(fd);
	module_param_set("setup_fail_nth", 0);
	module_param_set("setup_fail_pid", 0);
	module_param_set("setup_fragmented", 0);
}

/*
 * A process leaves the ring, which ends its requests. Then the ring has no
 * user.
 */
TRACE_TEST(close)
{
	unsigned long long id;
	struct ring r;
	int efd = eventfd(0, EFD_CLOEXEC);
	__u64 ud;

	WANT("leave", "close");
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	id = id_of(&r);
	poll_in(&r, efd, 1);
	for (ud = 2; ud < 5; ud++)
		nop(&r, ud);
	ASSERT_EQ(4, ring_submit(&r));
	for (; ud < 9; ud++)
		nop(&r, ud);
	ASSERT_EQ(4, ring_submit(&r));
	EXPECT_STREQ("", trace_of(&self->t, id));
	ring_exit(&r);
	EXPECT_STREQ("leave: submitted=8 inflight=1 backlog=3\n"
		     "close: submitted=8 inflight=0 backlog=4\n",
		     trace_of(&self->t, id));
	close(efd);
}

/* --- ENTER ---------------------------------------------------------------- */

TRACE_TEST(submit)
{
	struct iouring2_sqe *sqe;
	struct ring r;

	WANT("submit");
	ASSERT_EQ(0, ring_init_params(&r, 8, 0, IOURING2_SETUP_SUBMIT_ALL, 0));
	nop(&r, 0x123456789abcdefULL);
	sqe = nop(&r, 2);
	sqe->flags = LINK;
	add(&r, IOURING2_OP_FSYNC, 99, NULL, 0, 0, DRAIN | ASYNC, 3);
	/*
	 * an opcode that the module does not support, or that does not exist,
	 * is traced as well
	 */
	add(&r, IOURING2_OP_SPLICE, 98, NULL, 0, 0, 0, 4);
	add(&r, 200, 97, NULL, 0, 0, 0, 5);
	ASSERT_EQ(5, ring_submit(&r));
	EXPECT_STREQ("submit: seq=0 user_data=0x123456789abcdef op=NOP opcode=0 fd=-1 flags=0x0\n"
		     "submit: seq=1 user_data=0x2 op=NOP opcode=0 fd=-1 flags=0x4\n"
		     "submit: seq=2 user_data=0x3 op=FSYNC opcode=3 fd=99 flags=0x12\n"
		     "submit: seq=3 user_data=0x4 op=- opcode=30 fd=98 flags=0x0\n"
		     "submit: seq=4 user_data=0x5 op=- opcode=200 fd=97 flags=0x0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

/* Each supported opcode has its name, and no other opcode has one */
TRACE_TEST(names)
{
	char expected[TRACE_MAX];
	struct iouring2_query q = {};
	struct iouring2_sqe *sqe;
	const char *name;
	unsigned int i;
	struct ring r;
	size_t len = 0;

	WANT("submit");
	ASSERT_EQ(0, dev_query(&q));
	ASSERT_EQ(0, ring_init_params(&r, 8, 0, IOURING2_SETUP_SUBMIT_ALL, 0));
	for (i = 0; i < 256; i++) {
		/* this SQE fails at once */
		sqe = add(&r, i, -1, NULL, 0, 0, 0, i);
		sqe->personality = 1;
		ASSERT_EQ(1, ring_submit_wait(&r, 1));
		st_rel(r.cq_head, ld_acq(r.cq_tail));
		name = "-";
		if (i < q.nr_ops && (q.ops[i / 64] >> i % 64 & 1))
			name = op_name(i);
		len += snprintf(expected + len, sizeof(expected) - len,
				"submit: seq=%u user_data=0x%x op=%s opcode=%u fd=-1 flags=0x0\n",
				i, i, name, i);
	}
	EXPECT_STREQ(expected, trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

/* Fill the CQ of 4, and put 4 CQEs into the backlog */
static int overflow(struct ring *r)
{
	int i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < 4; k++)
			nop(r, 4 * i + k);
		if (ring_submit(r) != 4)
			return -EPROTO;
	}
	return 0;
}

TRACE_TEST(busy)
{
	struct ring r;

	WANT("busy");
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_EQ(0, overflow(&r));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	nop(&r, 8);
	ring_publish(&r);
	EXPECT_EQ(-EBUSY, enter(r.fd, 3, 0, 0, NULL, 0));
	EXPECT_STREQ("busy: to_submit=3 backlog=4\n",
		     trace_of(&self->t, id_of(&r)));
	EXPECT_EQ(1, fdinfo(r.fd, "EbusyTotal"));
	ring_exit(&r);
}

TRACE_TEST(wait)
{
	struct ring r;

	WANT("wait");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	nop(&r, 1);
	ring_publish(&r);
	/* no wait is necessary */
	EXPECT_EQ(1, enter(r.fd, 1, 1, GETEVENTS, NULL, 0));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	EXPECT_EQ(0, enter_timeout(r.fd, 0, 3, 1000));
	EXPECT_STREQ("wait: min=3 ready=1\n", trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

/* --- requests that wait --------------------------------------------------- */

TRACE_TEST(drain)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct ring r;

	WANT("drain");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/* the barrier has no request before it */
	nop(&r, 1)->flags = DRAIN;
	ASSERT_EQ(1, ring_submit(&r));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	poll_in(&r, efd, 2);
	nop(&r, 3)->flags = DRAIN;
	nop(&r, 4);
	ASSERT_EQ(3, ring_submit(&r));
	EXPECT_STREQ("drain: seq=2 user_data=0x3 op=NOP opcode=0\n"
		     "drain: seq=3 user_data=0x4 op=NOP opcode=0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(efd);
}

/* A worker of each class executes a request that was queued for it */
TRACE_TEST(queue)
{
	int fd = tmp_file(4096);
	struct ring r;

	WANT("queue");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0, 1);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, seen_ms(&r, 1, SOON));
	nop(&r, 2)->flags = ASYNC;
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, seen_ms(&r, 2, SOON));
	EXPECT_STREQ("queue: seq=0 user_data=0x1 op=FSYNC opcode=3 queue=bounded\n"
		     "queue: seq=1 user_data=0x2 op=NOP opcode=0 queue=unbounded\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(fd);
}

/*
 * A terminal without input can be polled, but a read cannot be tried without
 * blocking. So the second read is queued behind the first.
 */
TRACE_TEST(queue_key)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	char buf[8];
	struct ring r;

	WANT("queue");
	if (master < 0 || grantpt(master) || unlockpt(master))
		SKIP(return, "no terminals here");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ASSERT_LE(0, slave);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add(&r, IOURING2_OP_READ, slave, buf, 1, 0, 0, 1);
	add(&r, IOURING2_OP_READ, slave, buf, 1, 0, 0, 2);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_STREQ("queue: seq=1 user_data=0x2 op=READ opcode=22 queue=key\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(slave);
	close(master);
}

TRACE_TEST(run)
{
	int fd = tmp_file(4096);
	struct ring r;

	WANT("run");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	add(&r, IOURING2_OP_FSYNC, fd, NULL, 0, 0, 0, 1);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, seen_ms(&r, 1, SOON));
	nop(&r, 2)->flags = ASYNC;
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, seen_ms(&r, 2, SOON));
	EXPECT_STREQ("run: seq=0 user_data=0x1 op=FSYNC opcode=3 queue=bounded\n"
		     "run: seq=1 user_data=0x2 op=NOP opcode=0 queue=unbounded\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(fd);
}

/*
 * The contents of the file depend on the task that reads it, so only a task of
 * the process itself may execute the read
 */
TRACE_TEST(park)
{
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	char buf[64];
	struct ring r;
	int gate;

	WANT("park", "run", "complete");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	gate = add_gate(&r, GATE);
	add(&r, IOURING2_OP_READ, fd, buf, sizeof(buf), 0, 0, TRIED);
	ASSERT_EQ(0, submit_all(&r));
	open_gate(gate);
	EXPECT_EQ(POLLIN, seen_ms(&r, GATE, SOON));
	EXPECT_TRUE(until_ms(ld_acq(r.sq_flags) & IOURING2_SQ_TASKRUN, SOON));
	EXPECT_EQ(0, enter(r.fd, 0, 1, GETEVENTS, NULL, 0));
	EXPECT_EQ(6, seen_ms(&r, TRIED, SOON));
	EXPECT_STREQ("complete: seq=0 user_data=0x7143 res=1 cqe_flags=0x0 skipped=0\n"
		     "park: seq=1 user_data=0x7123 op=READ opcode=22\n"
		     "run: seq=1 user_data=0x7123 op=READ opcode=22 queue=parked\n"
		     "complete: seq=1 user_data=0x7123 res=6 cqe_flags=0x0 skipped=0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(fd);
}

TRACE_TEST(poll_arm)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct iouring2_sqe *sqe;
	struct ring r;

	WANT("poll_arm");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	poll_in(&r, efd, 1);
	sqe = ring_sqe(&r);
	prep_poll_multi(sqe, efd, POLLIN | POLLPRI);
	sqe->user_data = 2;
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_STREQ("poll_arm: seq=0 user_data=0x1 op=POLL_ADD opcode=6 events=0x1 multishot=0\n"
		     "poll_arm: seq=1 user_data=0x2 op=POLL_ADD opcode=6 events=0x3 multishot=1\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(efd);
}

TRACE_TEST(poll_wake)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct iouring2_sqe *sqe;
	__u64 one = 1;
	struct ring r;

	WANT("poll_wake");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_poll_multi(sqe, efd, POLLIN | POLLPRI);
	sqe->user_data = 2;
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(8, write(efd, &one, 8));
	EXPECT_EQ(POLLIN, seen_ms(&r, 2, SOON));
	EXPECT_STREQ("poll_wake: seq=0 user_data=0x2 op=POLL_ADD opcode=6 events=0x1 multishot=1\n",
		     trace_of(&self->t, id_of(&r)));
	/* an event that the poll does not request does not wake it */
	ASSERT_EQ(8, read(efd, &one, 8));
	trace_forget(&self->t);
	poll_in(&r, efd, 3);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(efd);
}

TRACE_TEST(timeout_arm)
{
	struct __kernel_timespec ts = { .tv_sec = HOUR, .tv_nsec = 7 };
	struct iouring2_sqe *sqe;
	struct ring r;

	WANT("timeout_arm");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	sqe = ring_sqe(&r);
	prep_timeout(sqe, &ts, 5, IOURING2_TIMEOUT_BOOTTIME);
	sqe->user_data = 9;
	ASSERT_EQ(0, submit_all(&r));
	/* an update arms the same request again, without a count */
	ts.tv_nsec = 8;
	sqe = ring_sqe(&r);
	prep_timeout_remove(sqe, 9);
	sqe->timeout_flags = IOURING2_TIMEOUT_UPDATE;
	sqe->addr2 = (uintptr_t)&ts;
	EXPECT_EQ(0, ring_do(&r));
	EXPECT_STREQ("timeout_arm: seq=0 user_data=0x9 ns=3600000000007 count=5 flags=0x4\n"
		     "timeout_arm: seq=0 user_data=0x9 ns=3600000000008 count=0 flags=0x4\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

static int cancel(struct ring *r, __u64 target, unsigned int flags,
		  unsigned int op)
{
	struct iouring2_sqe *sqe = ring_sqe(r);

	prep_cancel(sqe, target, flags);
	sqe->len = op;
	sqe->user_data = 99;
	if (submit_all(r))
		return -EPROTO;
	return seen_ms(r, 99, SOON);
}

TRACE_TEST(cancel)
{
	static const char leaving[] =
		"cancel: user_data=0x0 flags=0x4 opcode=0 found=1 result=1 leaving=1\n";
	int efd = eventfd(0, EFD_CLOEXEC), i;
	unsigned long long id;
	struct ring r;

	WANT("cancel");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	id = id_of(&r);
	for (i = 0; i < 4; i++)
		poll_in(&r, efd, 5);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(0, cancel(&r, 5, 0, 0));
	EXPECT_EQ(-ENOENT, cancel(&r, 6, 0, 0));
	EXPECT_EQ(2, cancel(&r, 0, IOURING2_ASYNC_CANCEL_OP |
			    IOURING2_ASYNC_CANCEL_ALL,
			    IOURING2_OP_POLL_ADD) - 1);
	EXPECT_STREQ("cancel: user_data=0x5 flags=0x0 opcode=0 found=1 result=0 leaving=0\n"
		     "cancel: user_data=0x6 flags=0x0 opcode=0 found=0 result=-2 leaving=0\n"
		     "cancel: user_data=0x0 flags=0x21 opcode=6 found=3 result=3 leaving=0\n",
		     trace_of(&self->t, id));
	/* when a process leaves the ring, its requests are cancelled */
	trace_forget(&self->t);
	poll_in(&r, efd, 7);
	ASSERT_EQ(0, submit_all(&r));
	ring_exit(&r);
	/* it searches again until it finds no request */
	trace_of(&self->t, id);
	EXPECT_EQ(0, strncmp(self->t.text, leaving, strlen(leaving))) {
		TH_LOG("%s", self->t.text);
	}
	close(efd);
}

/* --- completions ---------------------------------------------------------- */

TRACE_TEST(complete)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct iouring2_sqe *sqe;
	struct iouring2_cqe cqe;
	__u64 one = 1;
	struct ring r;

	WANT("complete");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	/*
	 * the first posts a CQE, the second does not, and the third has an
	 * error
	 */
	nop(&r, 1);
	nop(&r, 2)->flags = IOURING2_SQE_CQE_SKIP_SUCCESS;
	add(&r, IOURING2_OP_READ, -1, NULL, 0, 0, 0, 3);
	ASSERT_EQ(0, submit_all(&r));
	/* a wake-up posts a CQE with F_MORE */
	sqe = ring_sqe(&r);
	prep_poll_multi(sqe, efd, POLLIN);
	sqe->user_data = 4;
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(8, write(efd, &one, 8));
	ASSERT_EQ(0, see_ms(&r, 4, &cqe, SOON));
	EXPECT_EQ(IOURING2_CQE_F_MORE, cqe.flags);
	/* a wake-up posts the final CQE */
	poll_in(&r, efd, 5);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_STREQ("complete: seq=0 user_data=0x1 res=0 cqe_flags=0x0 skipped=0\n"
		     "complete: seq=1 user_data=0x2 res=0 cqe_flags=0x0 skipped=1\n"
		     "complete: seq=2 user_data=0x3 res=-9 cqe_flags=0x0 skipped=0\n"
		     "complete: seq=3 user_data=0x4 res=1 cqe_flags=0x2 skipped=0\n"
		     "complete: seq=4 user_data=0x5 res=1 cqe_flags=0x0 skipped=0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(efd);
}

/* A wake-up posts the final CQE of a poll */
TRACE_TEST(complete_by_wake)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	__u64 one = 1;
	struct ring r;

	WANT("poll_arm", "poll_wake", "complete");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	poll_in(&r, efd, 5);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(8, write(efd, &one, 8));
	EXPECT_EQ(POLLIN, seen_ms(&r, 5, SOON));
	EXPECT_STREQ("poll_arm: seq=0 user_data=0x5 op=POLL_ADD opcode=6 events=0x1 multishot=0\n"
		     "poll_wake: seq=0 user_data=0x5 op=POLL_ADD opcode=6 events=0x1 multishot=0\n"
		     "complete: seq=0 user_data=0x5 res=1 cqe_flags=0x0 skipped=0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
	close(efd);
}

TRACE_TEST(backlog_add)
{
	struct ring r;

	WANT("complete", "backlog_add");
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_EQ(0, overflow(&r));
	EXPECT_STREQ("backlog_add: seq=4 user_data=0x4 backlog=1\n"
		     "backlog_add: seq=5 user_data=0x5 backlog=2\n"
		     "backlog_add: seq=6 user_data=0x6 backlog=3\n"
		     "backlog_add: seq=7 user_data=0x7 backlog=4\n",
		     strstr(trace_of(&self->t, id_of(&r)), "backlog_add"));
	/* each request has completed, and has one event "complete" */
	EXPECT_EQ(8, fdinfo(r.fd, "Completed"));
	EXPECT_NE(NULL, strstr(self->t.text, "complete: seq=7 user_data=0x7 "));
	trace_forget(&self->t);
	st_rel(r.cq_head, *r.cq_head + 4);
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	EXPECT_EQ(4, (int)ring_ready(&r));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

TRACE_TEST(backlog_flush)
{
	struct ring r;

	WANT("backlog_flush");
	ASSERT_EQ(0, ring_init(&r, 4, 4));
	ASSERT_EQ(0, overflow(&r));
	EXPECT_STREQ("", trace_of(&self->t, id_of(&r)));
	st_rel(r.cq_head, *r.cq_head + 3);
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	st_rel(r.cq_head, *r.cq_head + 4);
	EXPECT_EQ(0, enter(r.fd, 0, 0, 0, NULL, 0));
	EXPECT_STREQ("backlog_flush: count=3 backlog=1\n"
		     "backlog_flush: count=1 backlog=0\n",
		     trace_of(&self->t, id_of(&r)));
	ring_exit(&r);
}

/* --- the way of a request ------------------------------------------------- */

/*
 * A read that waits for its file, with all events enabled, from SETUP to close
 */
TRACE_TEST(way_of_a_read)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	unsigned long long id;
	__u64 one = 1;
	struct ring r;
	char *at;

	WANT(NULL);
	ASSERT_EQ(0, trace_event(&self->t, NULL, true));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	id = id_of(&r);
	add(&r, IOURING2_OP_READ, efd, &one, sizeof(one), -1, 0, 0x42);
	ASSERT_EQ(0, submit_all(&r));
	ASSERT_EQ(8, write(efd, &one, 8));
	/* no task is in ENTER: the retry worker executes the read */
	EXPECT_EQ(8, seen_ms(&r, 0x42, SOON));
	trace_of(&self->t, id);
	at = strchr(self->t.text, '\n');
	ASSERT_NE(NULL, at);
	EXPECT_EQ(0, strncmp(self->t.text, "create: ", 8));
	EXPECT_STREQ(text("submit: seq=0 user_data=0x42 op=READ opcode=22 fd=%d flags=0x0\n"
			  "poll_arm: seq=0 user_data=0x42 op=READ opcode=22 events=0x%x multishot=0\n"
			  "poll_wake: seq=0 user_data=0x42 op=READ opcode=22 events=0x%x multishot=0\n"
			  "queue: seq=0 user_data=0x42 op=READ opcode=22 queue=retry\n"
			  "run: seq=0 user_data=0x42 op=READ opcode=22 queue=retry\n"
			  "complete: seq=0 user_data=0x42 res=8 cqe_flags=0x0 skipped=0\n",
			  efd, POLLIN | POLLRDNORM | POLLPRI | POLLERR | POLLHUP,
			  POLLIN), at + 1);
	ring_exit(&r);
	EXPECT_NE(NULL, strstr(trace_of(&self->t, id),
			       "\nclose: submitted=1 inflight=0 backlog=0\n"));
	close(efd);
}

RING_TEST_MAIN
