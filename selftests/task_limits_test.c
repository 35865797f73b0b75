// SPDX-License-Identifier: GPL-2.0-only
/*
 * Apart from memory and credentials, the kernel uses these properties of the
 * task that executes a request:
 * - the limit of a stack that grows below a buffer,
 * - the cgroup that a huge page is charged to,
 * - the time namespace of the page with the clocks,
 * - whether the task's allocations may start I/O.
 *
 * A worker has its own. A request must nevertheless have the result of the
 * system call, and of io_uring where the kernel has it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"

/* glibc has it since 2.32 */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define LEN		64

MANNER_FIXTURE(manner);

/*
 * Set up an in-tree ring, which uses the same structures and constants. Return:
 * 0, or -ENODEV.
 */
static int tree_init(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(__NR_io_uring_setup, 8, &r->setup.params);
	return r->fd < 0 ? -ENODEV : ring_map(r);
}

static int tree_submit(struct ring *r, unsigned int wait)
{
	unsigned int nr = ring_publish(r);

	return syscall(__NR_io_uring_enter, r->fd, nr, wait,
		       wait ? IOURING2_ENTER_GETEVENTS : 0, NULL, 0);
}

/* Read in a worker of the in-tree ring */
static int tree_read(struct ring *r, int fd, char *buf)
{
	struct iouring2_cqe cqe;

	add(r, IOURING2_OP_READ, fd, buf, LEN, 0, ASYNC, TRIED);
	return tree_submit(r, 1) == 1 && ring_peek(r, &cqe) ? cqe.res : -EIO;
}

static int call_read(int fd, char *buf)
{
	return pread(fd, buf, LEN, 0) < 0 ? -errno : LEN;
}

/* ------------------------------------------------------------------ stacks */

#define ROOM	(24 * MIB)

/*
 * A page that grows down like a stack, with free address space below. Nothing
 * else may be mapped until the page is unmapped.
 */
static char *stack_make(void)
{
	char *room = mmap(NULL, ROOM, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *page;

	if (room == MAP_FAILED)
		return NULL;
	munmap(room, ROOM);
	page = mmap(room + ROOM - 4096, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
		    -1, 0);
	return page == MAP_FAILED ? NULL : page + 4096;
}

static void stack_free(char *top)
{
	munmap(top - ROOM, ROOM);
}

static int stack_limit(rlim_t size)
{
	struct rlimit l = { size, RLIM_INFINITY };

	return setrlimit(RLIMIT_STACK, &l) ? -errno : 0;
}

/* The limit of a kernel thread is 8 MiB */
static const struct {
	rlim_t limit;
	unsigned long below;
	int res;
} stacks[] = {
	{ MIB, 512 * KIB, LEN },
	{ MIB, 4 * MIB, -EFAULT },
	{ 64 * MIB, 12 * MIB, LEN },
};

/* The data of a read of a pipe comes while no task is in ENTER */
static int read_pipe(struct ring *r, char *buf)
{
	char data[LEN] = "data";
	int p[2], ret;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	add(r, IOURING2_OP_READ, p[0], buf, LEN, 0, 0, TRIED);
	ret = submit_all(r);
	if (!ret && write(p[1], data, LEN) != LEN)
		ret = -EIO;
	if (!ret) {
		usleep(50000);
		ret = res_ms(r, TRIED, SOON);
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

TEST_F_TIMEOUT(manner, stack_grows, 100)
{
	int fd = tmp_file(4096), ret;
	struct ring r;
	unsigned int i;
	char *top;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(stacks); i++) {
		if (stack_limit(stacks[i].limit))
			SKIP(break, "RLIMIT_STACK cannot be set");
		top = stack_make();
		ASSERT_NE(NULL, top);
		EXPECT_EQ(stacks[i].res, call_read(fd, top - stacks[i].below));
		stack_free(top);

		top = stack_make();
		ASSERT_NE(NULL, top);
		ret = do_how(&r, variant->how, IOURING2_OP_READ, fd,
			     top - stacks[i].below, LEN, 0);
		EXPECT_EQ(stacks[i].res, ret) {
			TH_LOG("file, case %u", i);
		}
		stack_free(top);

		top = stack_make();
		ASSERT_NE(NULL, top);
		EXPECT_EQ(stacks[i].res,
			  read_pipe(&r, top - stacks[i].below)) {
			TH_LOG("pipe, case %u", i);
		}
		stack_free(top);
	}
	ring_exit(&r);
	close(fd);
}

RING_TEST(stack_grows_in_tree)
{
	int fd = tmp_file(4096);
	struct ring r;
	unsigned int i;
	char *top;

	ASSERT_LE(0, fd);
	if (tree_init(&r))
		SKIP(return, "no io_uring in this kernel");
	for (i = 0; i < ARRAY_SIZE(stacks); i++) {
		if (stack_limit(stacks[i].limit))
			SKIP(break, "RLIMIT_STACK cannot be set");
		top = stack_make();
		ASSERT_NE(NULL, top);
		EXPECT_EQ(stacks[i].res,
			  tree_read(&r, fd, top - stacks[i].below)) {
			TH_LOG("case %u", i);
		}
		stack_free(top);
	}
	ring_exit(&r);
	close(fd);
}

/* -------------------------------------------------------------- huge pages */

#define HUGE		(2 * MIB)
#define NR_HUGE		"/proc/sys/vm/nr_hugepages"
#define GROUP		"/sys/fs/cgroup/iouring2-huge"

static long number_in(const char *path)
{
	char text[64];

	return read_text(path, text, sizeof(text)) > 0 ? atol(text) : -1;
}

#define RESERVED	4	/* huge pages; no test needs more than two */

static long huge_were;

static bool huge_try(void)
{
	write_text(NR_HUGE, "%ld", huge_were + RESERVED);
	if (number_in(NR_HUGE) >= huge_were + RESERVED)
		return true;
	write_text("/proc/sys/vm/compact_memory", "1");
	return false;
}

static void huge_release(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, write_text(NR_HUGE, "%ld", huge_were));
}

/* Return: "", or the reason why this machine has no huge pages for a test */
static const char *huge_reserve(struct __test_metadata *_metadata)
{
	if (!intrusive())
		return "IOURING2_INTRUSIVE is not set";
	huge_were = number_in(NR_HUGE);
	if (huge_were < 0)
		return "no huge pages in this kernel";
	if (until_ms(huge_try(), 5000))
		return "";
	huge_release(_metadata);
	return "no memory for huge pages";
}

static char *huge_map(unsigned int nr)
{
	void *p = mmap(NULL, nr * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		       MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static const char *huge_group(void)
{
	if (access("/sys/fs/cgroup/cgroup.subtree_control", W_OK))
		return "no cgroup v2";
	if (write_text("/sys/fs/cgroup/cgroup.subtree_control", "+hugetlb"))
		return "no hugetlb cgroups";
	if (mkdir(GROUP, 0755))
		return reason("mkdir: errno %d", errno);
	return "";
}

/*
 * Reads in a cgroup that may have one huge page: the first page succeeds, the
 * second one fails
 */
struct huge_reads {
	enum manner how;
	bool call, tree, ring;
};

static int huge_read(const struct huge_reads *h, struct ring *r, int fd,
		     char *buf)
{
	if (h->call)
		return call_read(fd, buf);
	if (h->tree)
		return tree_read(r, fd, buf);
	return do_how(r, h->how, IOURING2_OP_READ, fd, buf, LEN, 0);
}

static const char *reads_in_group(void *arg)
{
	const struct huge_reads *h = arg;
	int fd = tmp_file(4096), ret;
	struct ring r;
	long charged;
	char *m;

	if (fd < 0 || (h->tree ? tree_init(&r) : ring_init(&r, 8, 0)))
		return "no file, or no ring";
	if (write_text(GROUP "/hugetlb.2MB.max", "%lu", HUGE) ||
	    write_text(GROUP "/cgroup.procs", "0"))
		return "cannot set the limit of the cgroup";
	m = huge_map(2);
	if (!m)
		return reason("no huge pages: errno %d", errno);
	ret = huge_read(h, &r, fd, m);
	if (ret != LEN)
		return reason("read into the first page: %d", ret);
	charged = number_in(GROUP "/hugetlb.2MB.current");
	if (charged != HUGE)
		return reason("%ld bytes charged", charged);
	ret = huge_read(h, &r, fd, m + HUGE);
	if (ret != -EFAULT)
		return reason("read into the second page: %d", ret);
	/* The first page exists, so this read needs no further page */
	ret = huge_read(h, &r, fd, m + LEN);
	return ret == LEN ? "" :
	       reason("second read into the first page: %d", ret);
}

static void expect_in_group(struct __test_metadata *_metadata,
			    struct huge_reads *h)
{
	const char *why = huge_reserve(_metadata);

	if (*why)
		SKIP(return, "%s", why);
	why = huge_group();
	if (!*why) {
		EXPECT_CHILD(reads_in_group, h);
		EXPECT_TRUE(until_ms(!rmdir(GROUP), SOON));
	}
	huge_release(_metadata);
	if (*why)
		SKIP(return, "%s", why);
}

TEST_F_TIMEOUT(manner, huge_page_is_charged, 100)
{
	struct huge_reads h = { .how = variant->how };

	expect_in_group(_metadata, &h);
}

RING_TEST(huge_page_is_charged_by_call)
{
	struct huge_reads h = { .call = true };

	expect_in_group(_metadata, &h);
}

RING_TEST(huge_page_is_charged_in_tree)
{
	struct huge_reads h = { .tree = true };
	struct ring r;

	if (tree_init(&r))
		SKIP(return, "no io_uring in this kernel");
	ring_exit(&r);
	expect_in_group(_metadata, &h);
}

/*
 * Start a request while no task is in ENTER, so that only a worker can execute
 * it
 */
static int start_away(struct ring *r, int op, int fd, char *buf,
		      unsigned int flags)
{
	int gate = add_gate(r, GATE), ret;
	struct iouring2_cqe cqe;

	add(r, op, fd, buf, LEN, 0, flags, TRIED);
	ret = submit_all(r);
	open_gate(gate);
	return ret ? ret : see_ms(r, GATE, &cqe, SOON);
}

static bool asks_for_enter(struct ring *r)
{
	return ld_acq(r->sq_flags) & IOURING2_SQ_TASKRUN;
}

static const unsigned int ways[] = { 0, ASYNC };

/* Databases keep all their buffers in huge pages */
RING_TEST(present_huge_page_by_worker)
{
	const char *why = huge_reserve(_metadata);
	int fd = tmp_file(4096);
	unsigned int i;
	struct ring r;
	char *m;

	if (*why)
		SKIP(return, "%s", why);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	m = huge_map(2);
	ASSERT_NE(NULL, m);
	memset(m, 'x', 2 * HUGE);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		/* the buffer is in both pages */
		EXPECT_EQ(0, start_away(&r, IOURING2_OP_READ, fd,
					m + HUGE - LEN / 2, ways[i]));
		EXPECT_EQ(LEN, seen_ms(&r, TRIED, SOON)) {
			TH_LOG("READ, way %u", i);
		}
		EXPECT_EQ(0, start_away(&r, IOURING2_OP_WRITE, fd, m, ways[i]));
		EXPECT_EQ(LEN, seen_ms(&r, TRIED, SOON)) {
			TH_LOG("WRITE, way %u", i);
		}
	}
	EXPECT_FALSE(asks_for_enter(&r));
	EXPECT_LE(1, fdinfo(r.fd, "Workers"));
	ring_exit(&r);
	munmap(m, 2 * HUGE);
	close(fd);
	huge_release(_metadata);
}

RING_TEST(missing_huge_page_by_submitter)
{
	const char *why = huge_reserve(_metadata);
	int fd = tmp_file(4096);
	struct rusage before, after;
	unsigned int i;
	struct ring r;
	char *m;

	if (*why)
		SKIP(return, "%s", why);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		m = huge_map(2);
		ASSERT_NE(NULL, m);
		memset(m, 'x', LEN);
		/* the second of two pages is missing */
		EXPECT_EQ(0, start_away(&r, IOURING2_OP_READ, fd,
					m + HUGE - LEN / 2, ways[i]));
		EXPECT_TRUE(until_ms(asks_for_enter(&r), SOON)) {
			TH_LOG("way %u: the read does not wait for ENTER", i);
		}
		getrusage(RUSAGE_THREAD, &before);
		EXPECT_EQ(LEN, res_ms(&r, TRIED, SOON));
		getrusage(RUSAGE_THREAD, &after);
		EXPECT_LT(before.ru_minflt, after.ru_minflt);
		EXPECT_EQ(pattern_byte(LEN - 1), (unsigned char)
			  m[HUGE + LEN / 2 - 1]);
		munmap(m, 2 * HUGE);
	}
	ring_exit(&r);
	close(fd);
	huge_release(_metadata);
}

/* --------------------------------------------------- the page with the clocks */

static unsigned long vvar_page(void)
{
	unsigned long start = 0;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]"))
			start = strtoul(line, NULL, 16);
	if (f)
		fclose(f);
	return start;
}

/*
 * The page of a time namespace does not change. The first CONSTANT bytes
 * include the clock mode, which is at offset 128 or 0.
 */
#define CONSTANT	256

/* The process must not have read a clock before, as mkstemp() would */
static const char *writes_vvar(char *data, bool by_ring)
{
	void *vvar = (void *)vvar_page();
	int fd = memfd_create("vvar", MFD_CLOEXEC), ret;
	struct ring r;

	if (fd < 0 || ring_init(&r, 8, 0) || !vvar)
		return "no file, no ring, or no page";
	if (by_ring) {
		prep_write(ring_sqe(&r), fd, vvar, CONSTANT, 0);
		r.sqes[0].flags = ASYNC;
		if (ring_submit_wait(&r, 1) != 1)
			return "not submitted";
		ret = r.cqes[0].res;
	} else {
		ret = write(fd, vvar, CONSTANT);
	}
	if (ret != CONSTANT || pread(fd, data, CONSTANT, 0) != CONSTANT)
		return reason("WRITE: %d", ret);
	return "";
}

static const char *writes_by_call(void *data)
{
	return writes_vvar(data, false);
}

static const char *writes_by_ring(void *data)
{
	return writes_vvar(data, true);
}

static const char *in_time_space(void *arg)
{
	char *call = shared_new(4096), *ring = call + CONSTANT;
	const char *said;

	if (unshare(CLONE_NEWTIME) ||
	    write_text("/proc/self/timens_offsets", "monotonic 1000000 0"))
		return "no time namespaces";
	/* not child_ms(), because it reads a clock */
	said = in_child(writes_by_call, call);
	if (!*said)
		said = in_child(writes_by_ring, ring);
	if (!*said && memcmp(call, ring, CONSTANT))
		said = "the page of another time namespace";
	return said;
}

/*
 * A fault there maps the page of the time namespace of current, for the whole
 * process
 */
RING_TEST(clocks_are_those_of_the_process)
{
	const char *said = child_ms(in_time_space, NULL, 40000);

	if (!strcmp(said, "no time namespaces"))
		SKIP(return, "%s", said);
	EXPECT_STREQ("", said);
}

/* --------------------------------------------------------------- allocations */

/* The flags of a task that its allocations use, from /proc/PID/stat */
#define FLUSHER		(0x00080000UL | 0x00100000UL)

static long flags_in(const char *path)
{
	char text[1024], *at;
	unsigned long flags;

	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	at = strrchr(text, ')');
	return at && sscanf(at, ") %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 ?
	       (long)(flags & FLUSHER) : -1;
}

/*
 * The flags of the task in a folder of /proc that has this name and is not
 * idle, or -1
 */
static long flags_of_busy(const char *dir, const char *name)
{
	char path[300], text[1024], *end;
	DIR *d = opendir(dir);
	struct dirent *de;
	long flags = -1;

	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/stat", dir, de->d_name);
		if (de->d_name[0] < '1' || de->d_name[0] > '9' ||
		    read_text(path, text, sizeof(text)) <= 0)
			continue;
		end = strrchr(text, ')');
		/* state I: idle */
		if (strstr(text, name) && end && end[2] != 'I')
			flags = flags_in(path);
	}
	if (d)
		closedir(d);
	return flags;
}

static long flags_of_worker(void)
{
	char name[40];

	snprintf(name, sizeof(name), "(iou2-wrk-%d)", getpid());
	return flags_of_busy("/proc", name);
}

static int set_flusher(bool on)
{
	return prctl(PR_SET_IO_FLUSHER, on, 0, 0, 0) ? -errno : 0;
}

/* Return: the flags of the worker while it waits for a page, or -errno */
static long flags_while_it_reads(struct ring *r, enum manner how, int fd)
{
	struct absent a;
	long flags;
	int ret;

	ret = absent_make(&a);
	if (ret)
		return ret;
	ret = start_how(r, how, IOURING2_OP_READ, fd, a.page, 8, 0);
	if (!ret && !absent_wanted(&a, SOON))
		ret = -ETIME;
	flags = flags_of_worker();
	absent_provide(&a);
	if (!ret && finish_how(r, how, SOON) != 8)
		ret = -EIO;
	absent_free(&a);
	return ret ? ret : flags;
}

static bool flusher_skips(const char **why)
{
	struct absent a;

	*why = "no userfaultfd";
	if (absent_make(&a))
		return true;
	absent_free(&a);
	*why = "PR_SET_IO_FLUSHER is not permitted";
	if (set_flusher(true))
		return true;
	set_flusher(false);
	return false;
}

/*
 * A worker gets the flags for a request that blocks, and for one that is tried
 * again
 */
RING_TEST(flusher)
{
	static const enum manner hows[] = { AS_ASYNC, AWAY };
	int fd = tmp_file(4096);
	const char *why;
	unsigned int i;
	struct ring r;

	if (flusher_skips(&why))
		SKIP(return, "%s", why);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		EXPECT_EQ(0, flags_while_it_reads(&r, hows[i], fd));
		ASSERT_EQ(0, set_flusher(true));
		EXPECT_EQ((long)FLUSHER, flags_while_it_reads(&r, hows[i], fd)) {
			TH_LOG("%s", how_name(hows[i]));
		}
		ASSERT_EQ(0, set_flusher(false));
		EXPECT_EQ(0, flags_while_it_reads(&r, hows[i], fd)) {
			TH_LOG("%s, afterwards", how_name(hows[i]));
		}
	}
	ring_exit(&r);
	close(fd);
}

RING_TEST(flusher_in_tree)
{
	int fd = tmp_file(4096);
	struct iouring2_cqe cqe;
	const char *why;
	struct absent a;
	struct ring r;

	if (flusher_skips(&why))
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_flusher(true));
	if (tree_init(&r))
		SKIP(return, "no io_uring in this kernel");
	ASSERT_EQ(0, absent_make(&a));
	add(&r, IOURING2_OP_READ, fd, a.page, 8, 0, ASYNC, TRIED);
	ASSERT_EQ(1, tree_submit(&r, 0));
	EXPECT_TRUE(absent_wanted(&a, SOON));
	EXPECT_EQ((long)FLUSHER, flags_of_busy("/proc/self/task", "(iou-wrk-"));
	absent_provide(&a);
	EXPECT_EQ(0, tree_submit(&r, 1));
	EXPECT_TRUE(ring_peek(&r, &cqe));
	absent_free(&a);
	ring_exit(&r);
	close(fd);
}

/* A thread that is no flusher executes a request of one that is */
struct other {
	struct ring *r;
	pthread_t self;
	int tid, res;
	bool go;
};

static void *enters(void *arg)
{
	struct other *o = arg;

	st_rel(&o->tid, gettid());
	until(ld_acq(&o->go));
	o->res = res_ms(o->r, TRIED, 2 * SOON);
	return NULL;
}

RING_TEST(flusher_served_by_thread)
{
	int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	struct other o = { };
	const char *why;
	struct absent a;
	struct ring r;
	char path[64];

	if (flusher_skips(&why))
		SKIP(return, "%s", why);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, absent_make(&a));
	o.r = &r;
	ASSERT_EQ(0, pthread_create(&o.self, NULL, enters, &o));
	EXPECT_TRUE(until(ld_acq(&o.tid)));
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", o.tid);
	ASSERT_EQ(0, set_flusher(true));
	EXPECT_EQ(0, start_away(&r, IOURING2_OP_READ, fd, a.page, 0));
	EXPECT_TRUE(until_ms(asks_for_enter(&r), SOON));
	EXPECT_EQ(0, flags_in(path));
	st_rel(&o.go, true);
	EXPECT_TRUE(absent_wanted(&a, SOON));
	EXPECT_TRUE(until_ms(flags_in(path) == (long)FLUSHER, SOON));
	EXPECT_EQ(0, absent_provide(&a));
	pthread_join(o.self, NULL);
	EXPECT_EQ(LEN, o.res);
	absent_free(&a);
	ring_exit(&r);
	close(fd);
}

RING_TEST_MAIN
