// SPDX-License-Identifier: MIT
/*
 * Copy a file through a ring whose completion queue (CQ) is much too small.
 *
 * usage: ringcopy [-c CQ_ENTRIES] [-q SLOTS] [-b BLOCK_SIZE] [-n NAP_US] [-s] SOURCE COPY
 *
 * The program copies SLOTS blocks at a time. The ring's workers read each block and then write
 * it. The CQ has room for CQ_ENTRIES completions; further completions wait in the kernel's
 * backlog. When a submission fails with EBUSY, the CQ is guaranteed to be full. The program then
 * takes the completions, which needs no system call, and submits again. After each round it
 * sleeps for NAP_US microseconds, like an application that is busy with other work.
 *
 * The program checks that every request completes exactly once and that the ring's counters
 * agree. With -s it also fails unless both the backlog and EBUSY occurred.
 *
 * exit: 0 the file was copied and all checks passed, 1 otherwise.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/iouring2.h>

struct ring {
	int		fd;
	unsigned int	*sq_head, *sq_tail;
	unsigned int	*cq_head, *cq_tail, *cq_overflow;
	unsigned int	sq_entries, cq_entries;
	unsigned int	tail;		/* our copy; submit() stores it to *sq_tail */
	struct iouring2_sqe *sqes;
	struct iouring2_cqe *cqes;
};

enum slot_state { IDLE, TO_READ, READING, TO_WRITE, WRITING };

/* One block that is copied from SOURCE to COPY. */
struct slot {
	enum slot_state	state;
	uint32_t	generation;	/* number of its current request, part of user_data */
	char		*buf;
	off_t		off;
	size_t		len;		/* size of the block */
	size_t		done;		/* bytes read or written so far */
};

static struct {
	int		source, copy;
	off_t		size, next, copied;
	size_t		block;
	unsigned int	nr_slots, nap;
	struct slot	*slots;
	uint64_t	submitted, completed, ebusy, short_io;
	unsigned int	in_flight, most_in_flight;
} job = { .block = 16384, .nr_slots = 128 };

static void ring_open(struct ring *r, unsigned int cq_entries)
{
	struct iouring2_setup s = {
		.entries = cq_entries,
		.params.flags = IOURING2_SETUP_CQSIZE | IOURING2_SETUP_NO_SQARRAY,
		.params.cq_entries = cq_entries,
	};
	int dev = open("/dev/iouring2", O_RDWR | O_CLOEXEC);
	char *rings;

	if (dev < 0)
		err(1, "/dev/iouring2");
	r->fd = ioctl(dev, IOURING2_IOC_SETUP, &s);
	if (r->fd < 0)
		err(1, "IOURING2_IOC_SETUP");
	close(dev);

	rings = mmap(NULL, s.params.cq_off.cqes + s.params.cq_entries * sizeof(*r->cqes),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IOURING2_OFF_SQ_RING);
	r->sqes = mmap(NULL, s.params.sq_entries * sizeof(*r->sqes),
		       PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IOURING2_OFF_SQES);
	if (rings == MAP_FAILED || r->sqes == MAP_FAILED)
		err(1, "mmap of the ring");
	r->sq_head = (void *)(rings + s.params.sq_off.head);
	r->sq_tail = (void *)(rings + s.params.sq_off.tail);
	r->cq_head = (void *)(rings + s.params.cq_off.head);
	r->cq_tail = (void *)(rings + s.params.cq_off.tail);
	r->cq_overflow = (void *)(rings + s.params.cq_off.overflow);
	r->cqes = (void *)(rings + s.params.cq_off.cqes);
	r->sq_entries = s.params.sq_entries;
	r->cq_entries = s.params.cq_entries;
	r->tail = *r->sq_tail;
}

static int ring_enter(struct ring *r, unsigned int to_submit, unsigned int min_complete)
{
	struct iouring2_enter e = {
		.to_submit = to_submit,
		.min_complete = min_complete,
		.flags = min_complete ? IOURING2_ENTER_GETEVENTS : 0,
	};

	return ioctl(r->fd, IOURING2_IOC_ENTER, &e);
}

static unsigned int sq_space(const struct ring *r)
{
	return r->sq_entries - (r->tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE));
}

static unsigned int cq_ready(const struct ring *r)
{
	return __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) - *r->cq_head;
}

/* Returns one value of the ring's fdinfo. */
static uint64_t fdinfo(const struct ring *r, const char *key)
{
	char path[64], line[256];
	uint64_t value = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->fd);
	f = fopen(path, "r");
	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(key);

		if (!strncmp(line, key, n) && line[n] == ':') {
			value = strtoull(line + n + 1, NULL, 0);
			found = true;
		}
	}
	fclose(f);
	if (!found)
		errx(1, "%s has no %s", path, key);
	return value;
}

static void progress(const struct ring *r, bool last)
{
	static struct timespec before;
	struct timespec now;
	double age;

	clock_gettime(CLOCK_MONOTONIC, &now);
	age = now.tv_sec - before.tv_sec + (now.tv_nsec - before.tv_nsec) / 1e9;
	if (age < 0.25 && !last)
		return;
	before = now;
	printf("%6.1f of %.1f MiB   CQ %u/%u   backlog %" PRIu64 " (most %" PRIu64 ")   in flight %u   EBUSY %" PRIu64 "\n",
	       job.copied / 1048576.0, job.size / 1048576.0, cq_ready(r), r->cq_entries,
	       fdinfo(r, "Backlog"), fdinfo(r, "BacklogMax"), job.in_flight, job.ebusy);
	fflush(stdout);
}

/* Assigns the next block to a slot. Returns false at the end of the file. */
static bool slot_next_block(struct slot *s)
{
	if (job.next >= job.size) {
		s->state = IDLE;
		return false;
	}
	s->off = job.next;
	s->len = job.size - job.next < (off_t)job.block ? (size_t)(job.size - job.next) : job.block;
	s->done = 0;
	s->state = TO_READ;
	job.next += s->len;
	return true;
}

static void slot_queue(struct ring *r, struct slot *s)
{
	struct iouring2_sqe *sqe = &r->sqes[r->tail & (r->sq_entries - 1)];
	bool reading = s->state == TO_READ;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = reading ? IOURING2_OP_READ : IOURING2_OP_WRITE;
	sqe->flags = IOURING2_SQE_ASYNC;
	sqe->fd = reading ? job.source : job.copy;
	sqe->addr = (uint64_t)(uintptr_t)(s->buf + s->done);
	sqe->len = s->len - s->done;
	sqe->off = s->off + s->done;
	s->generation++;
	sqe->user_data = (uint64_t)s->generation << 32 | (s - job.slots);
	s->state = reading ? READING : WRITING;
	r->tail++;
}

static void slot_complete(const struct iouring2_cqe *cqe)
{
	uint32_t index = cqe->user_data, generation = cqe->user_data >> 32;
	struct slot *s = &job.slots[index];

	if (index >= job.nr_slots || generation != s->generation ||
	    (s->state != READING && s->state != WRITING))
		errx(1, "unexpected completion %#" PRIx64 ", maybe a duplicate", (uint64_t)cqe->user_data);
	if (cqe->res <= 0)
		errx(1, "%s at %jd: %s", s->state == READING ? "read" : "write", (intmax_t)s->off,
		     cqe->res ? strerror(-cqe->res) : "no bytes were transferred");

	s->done += cqe->res;
	if (s->done < s->len) {
		job.short_io++;
		s->state = s->state == READING ? TO_READ : TO_WRITE;
	} else if (s->state == READING) {
		s->done = 0;
		s->state = TO_WRITE;
	} else {
		job.copied += s->len;
		slot_next_block(s);
	}
}

/* Takes all completions from the CQ, without entering the kernel. */
static unsigned int reap(struct ring *r)
{
	unsigned int head = *r->cq_head, n = cq_ready(r), i;

	for (i = 0; i < n; i++)
		slot_complete(&r->cqes[(head + i) & (r->cq_entries - 1)]);
	__atomic_store_n(r->cq_head, head + n, __ATOMIC_RELEASE);
	job.completed += n;
	job.in_flight -= n;
	return n;
}

/* Fills the SQ with requests of the slots that have something to do. */
static void queue(struct ring *r)
{
	static unsigned int cursor;
	unsigned int i;

	for (i = 0; i < job.nr_slots && sq_space(r); i++) {
		struct slot *s = &job.slots[cursor++ % job.nr_slots];

		if (s->state == TO_READ || s->state == TO_WRITE)
			slot_queue(r, s);
	}
}

/* Submits until no slot has a request to submit, or ENTER fails with EBUSY. */
static void submit(struct ring *r)
{
	int n;

	for (;;) {
		queue(r);
		__atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
		if (sq_space(r) == r->sq_entries)
			return;
		n = ring_enter(r, r->sq_entries - sq_space(r), 0);
		if (n < 0 && errno == EBUSY) {
			job.ebusy++;
			if (cq_ready(r) != r->cq_entries)
				errx(1, "EBUSY, but only %u of %u CQ entries are filled", cq_ready(r), r->cq_entries);
			return;
		}
		if (n < 0)
			err(1, "IOURING2_IOC_ENTER");
		job.submitted += n;
		job.in_flight += n;
		if (job.in_flight > job.most_in_flight)
			job.most_in_flight = job.in_flight;
	}
}

static void copy(struct ring *r)
{
	while (job.copied < job.size) {
		submit(r);
		if (job.nap)
			usleep(job.nap);
		if (!cq_ready(r) && job.in_flight && ring_enter(r, 0, 1) < 0 && errno != EINTR)
			err(1, "waiting for completions");
		reap(r);
		progress(r, false);
	}
	progress(r, true);
}

static int expect(const char *what, uint64_t is, uint64_t want)
{
	if (is == want)
		return 0;
	warnx("%s is %" PRIu64 ", expected %" PRIu64, what, is, want);
	return 1;
}

static void print_fdinfo(const struct ring *r)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->fd);
	f = fopen(path, "r");
	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f))
		printf("  %s", line);
	fclose(f);
}

static int report(const struct ring *r, bool strict)
{
	int bad = 0;

	printf("%" PRIu64 " requests, each completed once; at most %u in flight; %" PRIu64 " short transfers\n",
	       job.submitted, job.most_in_flight, job.short_io);
	printf("the ring's fdinfo:\n");
	print_fdinfo(r);
	bad |= expect("completions seen", job.completed, job.submitted);
	bad |= expect("Submitted", fdinfo(r, "Submitted"), job.submitted);
	bad |= expect("Completed", fdinfo(r, "Completed"), job.submitted);
	bad |= expect("EbusyTotal", fdinfo(r, "EbusyTotal"), job.ebusy);
	bad |= expect("Inflight", fdinfo(r, "Inflight"), 0);
	bad |= expect("Backlog", fdinfo(r, "Backlog"), 0);
	bad |= expect("lost completions (cq_off.overflow)", *r->cq_overflow, 0);
	if (strict && (!job.ebusy || !fdinfo(r, "BacklogTotal"))) {
		warnx("the backlog or EBUSY did not occur: this run shows nothing");
		bad = 1;
	}
	return bad;
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (*end || n > 1U << 30)
		errx(1, "not a number: %s", text);
	return n;
}

int main(int argc, char **argv)
{
	unsigned int cq_entries = 4, i;
	bool strict = false;
	struct ring ring = { 0 };
	struct stat st;
	int opt;

	while ((opt = getopt(argc, argv, "c:q:b:n:s")) != -1) {
		switch (opt) {
		case 'c':
			cq_entries = number(optarg);
			break;
		case 'q':
			job.nr_slots = number(optarg);
			break;
		case 'b':
			job.block = number(optarg);
			break;
		case 'n':
			job.nap = number(optarg);
			break;
		case 's':
			strict = true;
			break;
		default:
			return 1;
		}
	}
	if (argc - optind != 2 || !job.nr_slots || !job.block)
		errx(1, "usage: ringcopy [-c CQ_ENTRIES] [-q SLOTS] [-b BLOCK_SIZE] [-n NAP_US] [-s] SOURCE COPY");

	job.source = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (job.source < 0 || fstat(job.source, &st))
		err(1, "%s", argv[optind]);
	job.copy = open(argv[optind + 1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (job.copy < 0)
		err(1, "%s", argv[optind + 1]);
	job.size = st.st_size;

	job.slots = calloc(job.nr_slots, sizeof(*job.slots));
	for (i = 0; job.slots && i < job.nr_slots; i++) {
		job.slots[i].buf = malloc(job.block);
		if (!job.slots[i].buf)
			errx(1, "out of memory");
		slot_next_block(&job.slots[i]);
	}
	ring_open(&ring, cq_entries);
	printf("a ring with %u SQ and %u CQ entries, copying %u blocks of %zu bytes at a time\n",
	       ring.sq_entries, ring.cq_entries, job.nr_slots, job.block);
	copy(&ring);
	return report(&ring, strict);
}
