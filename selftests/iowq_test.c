// SPDX-License-Identifier: GPL-2.0-only
/*
 * REGISTER IOWQ_MAX_WORKERS, IOWQ_AFF and UNREGISTER IOWQ_AFF: how many workers a
 * ring may have, and on which CPUs they run. Where the kernel's own io_uring works
 * in the same way, the tests run on it as well.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "kthread.h"
#include "sides.h"

#define BAD_ADDR	((void *)-4096L)
#define MAX_WORKERS	IOURING2_REGISTER_IOWQ_MAX_WORKERS
#define AFF		IOURING2_REGISTER_IOWQ_AFF
#define UNAFF		IOURING2_UNREGISTER_IOWQ_AFF

SIDE_FIXTURE(iowq);

/* ------------------------------------------------------------------- limits */

/* The limits, in the order of the register opcode */
struct limits {
	__u32 bounded, unbounded;
};

/* Set limits, 0 for none. @old receives those before. Return: as REGISTER. */
static int limit(const struct side *s, struct ring *r, __u32 bounded,
		 __u32 unbounded, struct limits *old)
{
	*old = (struct limits){ bounded, unbounded };
	return s->reg(r->fd, MAX_WORKERS, old, 2);
}

static bool tree_limits(void)
{
	struct limits l;
	struct ring r;
	int ret;

	if (tree_setup(&r, 4, 0, 0))
		return false;
	ret = limit(&tree_side, &r, 0, 0, &l);
	ring_exit(&r);
	return !ret;
}

static struct limits module_limits(void)
{
	long bounded = module_param("workers_bounded");

	return (struct limits){
		bounded ? bounded : 4 * sysconf(_SC_NPROCESSORS_ONLN),
		module_param("workers_unbounded"),
	};
}

TEST_F_TIMEOUT(iowq, limits_set, LIMIT)
{
	const struct side *s = variant->side;
	struct limits was, l;
	struct ring r;

	NEED_SIDE(tree_limits());
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, limit(s, &r, 0, 0, &was));
	/* io_uring reports an unlimited RLIMIT_NPROC as 0 */
	if (s == &module_side) {
		EXPECT_LT(0, (int)was.bounded);
		EXPECT_LT(0, (int)was.unbounded);
	}
	/* Each call returns the limits before it, and 0 leaves one as it is */
	EXPECT_EQ(0, limit(s, &r, 2, 3, &l));
	EXPECT_EQ(was.bounded, l.bounded);
	EXPECT_EQ(was.unbounded, l.unbounded);
	EXPECT_EQ(0, limit(s, &r, 0, 0, &l));
	EXPECT_EQ(2, (int)l.bounded);
	EXPECT_EQ(3, (int)l.unbounded);
	EXPECT_EQ(0, limit(s, &r, 1, 0, &l));
	EXPECT_EQ(2, (int)l.bounded);
	EXPECT_EQ(3, (int)l.unbounded);
	EXPECT_EQ(0, limit(s, &r, 0, 4, &l));
	EXPECT_EQ(1, (int)l.bounded);
	EXPECT_EQ(3, (int)l.unbounded);
	EXPECT_EQ(0, limit(s, &r, 0, 0, &l));
	EXPECT_EQ(1, (int)l.bounded);
	EXPECT_EQ(4, (int)l.unbounded);
	ring_exit(&r);
}

/* The limits of a ring are at most those of the module, and are its own */
RING_TEST(limits_of_the_module)
{
	struct limits module = module_limits(), l;
	long was = module_param("workers_unbounded");
	struct ring r, other;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, ring_init(&other, 8, 0));
	EXPECT_EQ(0, limit(&module_side, &r, INT_MAX, INT_MAX, &l));
	EXPECT_EQ(module.bounded, l.bounded);
	EXPECT_EQ(module.unbounded, l.unbounded);
	EXPECT_EQ(0, limit(&module_side, &r, 1, 1, &l));
	EXPECT_EQ(module.bounded, l.bounded);
	EXPECT_EQ(module.unbounded, l.unbounded);
	EXPECT_EQ(0, limit(&module_side, &other, 0, 0, &l));
	EXPECT_EQ(module.bounded, l.bounded);
	EXPECT_EQ(module.unbounded, l.unbounded);
	EXPECT_EQ(0, limit(&module_side, &r, INT_MAX, 9, &l));
	if (module_param_set("workers_unbounded", 5) >= 0) {
		EXPECT_EQ(0, limit(&module_side, &r, 0, 0, &l));
		EXPECT_EQ(5, (int)l.unbounded);
		EXPECT_EQ(0, module_param_set("workers_unbounded", was));
		EXPECT_EQ(0, limit(&module_side, &r, 0, 0, &l));
		EXPECT_EQ(9, (int)l.unbounded);
	}
	ring_exit(&r);
	ring_exit(&other);
}

TEST_F_TIMEOUT(iowq, limits_refused, LIMIT)
{
	const struct side *s = variant->side;
	struct limits was, l = { };
	struct ring r;

	NEED_SIDE(tree_limits());
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	ASSERT_EQ(0, limit(s, &r, 0, 0, &was));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, MAX_WORKERS, NULL, 2));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, MAX_WORKERS, &l, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, MAX_WORKERS, &l, 1));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, MAX_WORKERS, &l, 3));
	EXPECT_EQ(-EFAULT, s->reg(r.fd, MAX_WORKERS, BAD_ADDR, 2));
	EXPECT_EQ(-EINVAL, limit(s, &r, 1, 1U << 31, &l));
	EXPECT_EQ(-EINVAL, limit(s, &r, 1U << 31, 1, &l));
	EXPECT_EQ(-EINVAL, limit(s, &r, UINT_MAX, UINT_MAX, &l));
	EXPECT_EQ(0, limit(s, &r, 0, 0, &l));
	EXPECT_EQ(was.bounded, l.bounded);
	EXPECT_EQ(was.unbounded, l.unbounded);
	ring_exit(&r);
}

/* If the old limits cannot be written, the new ones are not set */
RING_TEST(limits_not_writable)
{
	struct limits was, l, *page;
	struct ring r;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	*page = (struct limits){ 1, 1 };
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, limit(&module_side, &r, 0, 0, &was));
	EXPECT_EQ(-EFAULT, module_register(r.fd, MAX_WORKERS, page, 2));
	EXPECT_EQ(0, limit(&module_side, &r, 0, 0, &l));
	EXPECT_EQ(was.bounded, l.bounded);
	EXPECT_EQ(was.unbounded, l.unbounded);
	ring_exit(&r);
	munmap(page, 4096);
}

/* ----------------------------------------------------------- limits that hold */

/* The module allows at least four bounded workers */
#define MANY	4

/* Reads of a file into a page that is missing: each occupies a bounded worker */
struct crowd {
	struct absent a;
	struct ring r;
	int file;
};

static int crowd_make(struct crowd *c)
{
	if (absent_make(&c->a))
		return -ENODEV;
	c->file = tmp_file(4096);
	return c->file < 0 ? c->file : ring_init(&c->r, 16, 0);
}

static int crowd_read(struct crowd *c, unsigned int nr)
{
	while (nr--)
		add(&c->r, IOURING2_OP_READ, c->file, c->a.page, 8, 0, ASYNC,
		    100 + nr);
	return submit_all(&c->r);
}

/* Provide the page and take the @nr reads. Return: "" or what is wrong. */
static const char *crowd_end(struct crowd *c, unsigned int nr)
{
	int ret = absent_provide(&c->a);

	if (ret)
		return reason("page: %d", ret);
	while (nr--) {
		ret = res_ms(&c->r, 100 + nr, SOON);
		if (ret != 8)
			return reason("read %u: %d", nr, ret);
	}
	/* the page is missing again */
	return madvise(c->a.page, 4096, MADV_DONTNEED) ? "madvise" : "";
}

static void crowd_free(struct crowd *c)
{
	ring_exit(&c->r);
	close(c->file);
	absent_free(&c->a);
}

/* ENTER creates the workers, so their number is final when it returns */
RING_TEST(no_more_than_allowed)
{
	static const unsigned int max[] = { 2, 1, 3 };
	struct limits l;
	struct crowd c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(max); i++) {
		if (crowd_make(&c) == -ENODEV)
			SKIP(return, "no userfaultfd");
		ASSERT_EQ(0, limit(&module_side, &c.r, max[i], 0, &l));
		ASSERT_EQ(0, crowd_read(&c, MANY));
		EXPECT_EQ(max[i], fdinfo(c.r.fd, "Workers"));
		/* All are done, one after the other */
		EXPECT_STREQ("", crowd_end(&c, MANY));
		crowd_free(&c);
	}
}

/* A write that blocks an unbounded worker, to each of @efd */
static int block_unbounded(struct ring *r, const int *efd, unsigned int nr)
{
	static const __u64 too_much = UINT64_MAX - 1;
	unsigned int i;

	for (i = 0; i < nr; i++)
		add(r, IOURING2_OP_WRITE, efd[i], &too_much, sizeof(too_much),
		    0, 0, 200 + i);
	return submit_all(r);
}

RING_TEST(unbounded_have_their_own_limit)
{
	int efd[3], i, file = tmp_file(4096);
	struct limits l;
	struct ring r;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ASSERT_EQ(0, limit(&module_side, &r, 0, 2, &l));
	for (i = 0; i < 3; i++) {
		efd[i] = eventfd(1, EFD_CLOEXEC);
		ASSERT_LE(0, efd[i]);
	}
	ASSERT_EQ(0, block_unbounded(&r, efd, 3));
	EXPECT_EQ(2, fdinfo(r.fd, "Workers"));
	/* A bounded one can be created nevertheless */
	EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	EXPECT_EQ(3, fdinfo(r.fd, "Workers"));
	EXPECT_EQ(0, limit(&module_side, &r, 0, 1, &l));
	EXPECT_EQ(2, (int)l.unbounded);
	for (i = 0; i < 3; i++) {
		__u64 count;

		EXPECT_EQ(8, read(efd[i], &count, 8));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(8, res_ms(&r, 200 + i, SOON));
	ring_exit(&r);
	for (i = 0; i < 3; i++)
		close(efd[i]);
	close(file);
}

/* The state of a task, as in /proc/PID/stat; 0 if there is no such task */
static char state_of(const char *pid)
{
	char path[64], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		return 0;
	at = strrchr(text, ')');
	return at ? at[2] : 0;
}

/* Return: how many workers of this process are in one of these states */
static unsigned int workers_in(const char *states)
{
	DIR *proc = opendir("/proc");
	unsigned int nr = 0;
	struct dirent *e;
	char state;

	while (proc && (e = readdir(proc))) {
		if (!is_worker(e->d_name))
			continue;
		state = state_of(e->d_name);
		nr += state && strchr(states, state);
	}
	if (proc)
		closedir(proc);
	return nr;
}

/* Workers that have nothing to do, and workers in the middle of a request */
#define IDLE	"I"
#define STUCK	"SD"

/* After a lower limit, idle workers end at once */
RING_TEST(idle_ones_end)
{
	struct limits l;
	struct crowd c;
	int tries;

	if (crowd_make(&c) == -ENODEV)
		SKIP(return, "no userfaultfd");
	/* An idle worker ends by itself after 5 s: it must not have come to that */
	for (tries = 0; tries < 20; tries++) {
		ASSERT_EQ(0, limit(&module_side, &c.r, MANY, 0, &l));
		ASSERT_EQ(0, crowd_read(&c, MANY));
		EXPECT_EQ(MANY, fdinfo(c.r.fd, "Workers"));
		ASSERT_STREQ("", crowd_end(&c, MANY));
		if (!until_ms(workers_in(IDLE) == MANY, 3000))
			continue;
		ASSERT_EQ(0, limit(&module_side, &c.r, 2, 0, &l));
		if (fdinfo(c.r.fd, "Workers") == 2)
			break;
	}
	EXPECT_GT(20, tries);
	/* The rest is enough for new requests */
	ASSERT_EQ(0, crowd_read(&c, MANY));
	EXPECT_EQ(2, fdinfo(c.r.fd, "Workers"));
	EXPECT_STREQ("", crowd_end(&c, MANY));
	crowd_free(&c);
}

/* Busy ones end after their request, and leave the queued ones to the others */
RING_TEST(busy_ones_end)
{
	long long begin;
	struct limits l;
	struct crowd c;
	int tries;

	if (crowd_make(&c) == -ENODEV)
		SKIP(return, "no userfaultfd");
	for (tries = 0; tries < 20; tries++) {
		ASSERT_EQ(0, limit(&module_side, &c.r, 3, 0, &l));
		ASSERT_EQ(0, crowd_read(&c, MANY));
		/* One that has not begun its request may end before it */
		ASSERT_TRUE(until(workers_in(STUCK) == 3));
		ASSERT_EQ(0, limit(&module_side, &c.r, 1, 0, &l));
		EXPECT_EQ(3, fdinfo(c.r.fd, "Workers"));
		begin = now_ns(CLOCK_MONOTONIC);
		ASSERT_STREQ("", crowd_end(&c, MANY));
		EXPECT_TRUE(until(fdinfo(c.r.fd, "Workers") <= 1));
		/* Not because they were idle for 5 s */
		if (now_ns(CLOCK_MONOTONIC) - begin < 4 * NSEC_PER_SEC)
			break;
	}
	EXPECT_GT(20, tries);
	EXPECT_EQ(1, fdinfo(c.r.fd, "Workers"));
	EXPECT_EQ(0, do_one(&c.r, IOURING2_OP_FSYNC, c.file, NULL, 0, 0, 0));
	crowd_free(&c);
}

static const char *each_has_one(void *arg)
{
	struct limits l;
	struct crowd c;
	int ret;

	ret = crowd_make(&c);
	if (ret)
		return ret == -ENODEV ? "skip" : "no ring";
	if (limit(&module_side, &c.r, 1, 0, &l) || crowd_read(&c, 2))
		return "cannot limit or read";
	if (fdinfo(c.r.fd, "Workers") != 1)
		return reason("%lld workers", fdinfo(c.r.fd, "Workers"));
	if (next_identity())
		return "setrlimit";
	/* its worker is busy, but this identity may have one, too */
	ret = do_one(&c.r, IOURING2_OP_FSYNC, c.file, NULL, 0, 0, 0);
	if (ret)
		return reason("FSYNC: %d", ret);
	if (fdinfo(c.r.fd, "Workers") != 2)
		return reason("%lld workers of two identities",
			      fdinfo(c.r.fd, "Workers"));
	return crowd_end(&c, 2);
}

BOUNDED_TEST(each_submitter_may_have_one)
{
	const char *said = child_ms(each_has_one, NULL, 40000);

	if (!strcmp(said, "skip"))
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", said);
}

/*
 * If the module's limit gets lower, idle workers stay. One that is woken takes its
 * request, although it is one too many: nobody else is woken for that.
 */
RING_TEST(module_gets_stricter)
{
	long was = module_param("workers_bounded");
	struct limits l;
	struct crowd c;
	int i;

	if (module_param_set("workers_bounded", MANY) < 0)
		SKIP(return, "parameters not writable");
	if (crowd_make(&c) == -ENODEV) {
		module_param_set("workers_bounded", was);
		SKIP(return, "no userfaultfd");
	}
	ASSERT_EQ(0, limit(&module_side, &c.r, MANY, 0, &l));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, module_param_set("workers_bounded", MANY));
		ASSERT_EQ(0, crowd_read(&c, MANY));
		EXPECT_EQ(MANY, fdinfo(c.r.fd, "Workers"));
		ASSERT_STREQ("", crowd_end(&c, MANY));
		usleep(100000);
		EXPECT_EQ(0, module_param_set("workers_bounded", 1));
		EXPECT_EQ(0, do_one(&c.r, IOURING2_OP_FSYNC, c.file, NULL, 0, 0,
				    0));
	}
	EXPECT_EQ(0, module_param_set("workers_bounded", was));
	crowd_free(&c);
}

struct changer {
	pthread_t self;
	struct ring *r;
	int cpus[2], nr_cpus;
	bool stop;
	int failed;
};

static void *change_limits(void *arg)
{
	struct changer *ch = arg;
	unsigned int i;
	struct limits l;

	for (i = 0; !ld_acq(&ch->stop); i++) {
		if (limit(&module_side, ch->r, 1 + i % MANY, 0, &l))
			ch->failed++;
		sched_yield();
	}
	return NULL;
}

/* However often the limits change, no request is left without a worker */
RING_TEST(limits_change_all_the_time)
{
	int rounds = full_stress() ? 20000 : 500, file = tmp_file(4096), i, j;
	struct changer ch = { };
	static char buf[8];
	struct ring r;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ring_init(&r, 16, 0));
	ch.r = &r;
	ASSERT_EQ(0, pthread_create(&ch.self, NULL, change_limits, &ch));
	for (i = 0; i < rounds; i++) {
		for (j = 0; j < 8; j++)
			add(&r, IOURING2_OP_READ, file, buf, 8, 0, ASYNC, j);
		ASSERT_EQ(0, submit_all(&r));
		for (j = 0; j < 8; j++)
			ASSERT_EQ(8, res_ms(&r, j, SOON)) {
				TH_LOG("round %d", i);
			}
	}
	st_rel(&ch.stop, true);
	pthread_join(ch.self, NULL);
	EXPECT_EQ(0, ch.failed);
	ring_exit(&r);
	close(file);
}

/* ----------------------------------------------------------------- the CPUs */

#define CPUS	1024
#define BYTES	(CPUS / 8)

/* The CPUs of a task, as a list; "" if there is no such task */
static const char *cpus_of(const char *pid)
{
	static char text[4096];
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		return "";
	at = strstr(text, "Cpus_allowed_list:\t");
	return at ? first_line(at + strlen("Cpus_allowed_list:\t")) : "";
}

/* Return: "" if all @nr workers of this process are bound to these CPUs */
static const char *workers_on(const char *list, unsigned int nr)
{
	DIR *proc = opendir("/proc");
	const char *bad = "";
	unsigned int found = 0;
	struct dirent *e;

	while (proc && (e = readdir(proc))) {
		if (!is_worker(e->d_name))
			continue;
		found++;
		if (strcmp(cpus_of(e->d_name), list))
			bad = reason("a worker runs on %s", cpus_of(e->d_name));
	}
	if (proc)
		closedir(proc);
	return *bad || found == nr ? bad : reason("%u workers", found);
}

static const char *list_of(int cpu)
{
	static char list[16];

	snprintf(list, sizeof(list), "%d", cpu);
	return list;
}

/* Fill @cpus with up to two CPUs that this process may use. Return: their number */
static int two_cpus(int cpus[2])
{
	cpu_set_t all;
	int cpu, nr = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		return 0;
	for (cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[nr++] = cpu;
	return nr;
}

static int bind_workers(const struct side *s, struct ring *r, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return s->reg(r->fd, AFF, &set, sizeof(set));
}

static bool tree_binds(void)
{
	int cpus[2], ret;
	struct ring r;

	if (!two_cpus(cpus) || tree_setup(&r, 4, 0, 0))
		return false;
	ret = bind_workers(&tree_side, &r, cpus[0]);
	ring_exit(&r);
	return !ret;
}

TEST_F_TIMEOUT(iowq, cpus_refused, LIMIT)
{
	const struct side *s = variant->side;
	unsigned char byte = 1;
	struct ring r;

	NEED_SIDE(tree_binds());
	ASSERT_EQ(0, s->setup(&r, 8, 0, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, AFF, NULL, 8));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, AFF, NULL, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, AFF, &byte, 0));
	EXPECT_EQ(-EFAULT, s->reg(r.fd, AFF, BAD_ADDR, 8));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, UNAFF, &byte, 0));
	EXPECT_EQ(-EINVAL, s->reg(r.fd, UNAFF, NULL, 1));
	EXPECT_EQ(0, s->reg(r.fd, UNAFF, NULL, 0));
	ring_exit(&r);
}

/*
 * For each set of up to three CPUs, existing or not, the module and io_uring have
 * the same answer
 */
RING_TEST(same_sets_as_io_uring)
{
	unsigned char a[BYTES], b[BYTES];
	unsigned int i, bit, seed = 5;
	struct ring r, tree;
	int ret;

	if (!tree_binds())
		SKIP(return, "not in this kernel's io_uring");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, tree_setup(&tree, 8, 0, 0));
	for (i = 0; i < 500; i++) {
		unsigned int size = i % 3 ? sizeof(a) : 1 + rand_r(&seed) % 16;

		memset(a, 0, sizeof(a));
		for (bit = 0; bit < (i & 3); bit++) {
			unsigned int cpu = rand_r(&seed) %
					   (i % 5 ? 8 : CPUS);

			a[cpu / 8] |= 1 << cpu % 8;
		}
		memcpy(b, a, sizeof(a));
		ret = tree_register(tree.fd, AFF, b, size);
		EXPECT_EQ(ret, module_register(r.fd, AFF, a, size)) {
			TH_LOG("set %u: %02x %02x ... of %u bytes", i, a[0],
			       a[1], size);
		}
		EXPECT_EQ(0, memcmp(a, b, sizeof(a)));
	}
	ring_exit(&tree);
	ring_exit(&r);
}

/* Workers that exist change, too: before the next request that they run */
RING_TEST(workers_follow)
{
	int cpus[2], nr = two_cpus(cpus), file = tmp_file(4096), i, round;
	static char before[256];
	struct ring r;
	pid_t worker;

	ASSERT_LT(0, nr);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	worker = find_worker();
	ASSERT_LT(0, worker);
	snprintf(before, sizeof(before), "%s", cpus_of(list_of(worker)));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < nr; i++) {
			EXPECT_EQ(0, bind_workers(&module_side, &r, cpus[i]));
			EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL,
					    0, 0, 0));
			EXPECT_STREQ("", workers_on(list_of(cpus[i]), 1));
		}
		EXPECT_EQ(0, module_register(r.fd, UNAFF, NULL, 0));
		EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0,
				    0));
		EXPECT_STREQ("", workers_on(before, 1));
	}
	/* An empty set is as none */
	EXPECT_EQ(0, bind_workers(&module_side, &r, cpus[0]));
	EXPECT_EQ(0, module_register(r.fd, AFF, &(cpu_set_t){ },
				     sizeof(cpu_set_t)));
	EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	EXPECT_STREQ("", workers_on(before, 1));
	ring_exit(&r);
	close(file);
}

static void *change_cpus(void *arg)
{
	struct changer *ch = arg;
	unsigned int i;

	for (i = 0; !ld_acq(&ch->stop); i++) {
		if (i % 4 == 3 ? module_register(ch->r->fd, UNAFF, NULL, 0) :
		    bind_workers(&module_side, ch->r,
				 ch->cpus[i % ch->nr_cpus]))
			ch->failed++;
		sched_yield();
	}
	return NULL;
}

/* The CPUs may change while workers are changing to them */
RING_TEST(cpus_change_all_the_time)
{
	int rounds = full_stress() ? 20000 : 500, file = tmp_file(4096), i;
	struct changer ch = { };
	struct ring r;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ch.r = &r;
	ch.nr_cpus = two_cpus(ch.cpus);
	ASSERT_EQ(0, pthread_create(&ch.self, NULL, change_cpus, &ch));
	for (i = 0; i < rounds; i++)
		ASSERT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0)) {
			TH_LOG("round %d", i);
		}
	st_rel(&ch.stop, true);
	pthread_join(ch.self, NULL);
	EXPECT_EQ(0, ch.failed);
	ring_exit(&r);
	close(file);
}

/* New ones, and those of another submitter, have the CPUs from the beginning */
static const char *new_ones_are_bound(void *arg)
{
	const char *said;
	struct crowd c;
	int cpus[2], nr = two_cpus(cpus), ret, cpu;

	cpu = cpus[nr - 1];
	ret = crowd_make(&c);
	if (ret)
		return ret == -ENODEV ? "skip" : "no ring";
	if (bind_workers(&module_side, &c.r, cpu) || crowd_read(&c, MANY))
		return "cannot bind or read";
	if (next_identity())
		return "setrlimit";
	ret = do_one(&c.r, IOURING2_OP_FSYNC, c.file, NULL, 0, 0, 0);
	if (ret)
		return reason("FSYNC: %d", ret);
	/* those that are stuck, and the one of the other identity */
	if (!until_ms(!*workers_on(list_of(cpu), MANY + 1), SOON))
		return workers_on(list_of(cpu), MANY + 1);
	said = crowd_end(&c, MANY);
	crowd_free(&c);
	return said;
}

BOUNDED_TEST(new_workers_are_bound)
{
	const char *said = child_ms(new_ones_are_bound, NULL, 40000);

	if (!strcmp(said, "skip"))
		SKIP(return, "no userfaultfd");
	EXPECT_STREQ("", said);
}

/* The set of one ring has nothing to do with others, and not with the caller */
static const char *other_rings_keep_theirs(void *arg)
{
	int cpus[2], nr = two_cpus(cpus), file = tmp_file(4096), ret;
	static char own[256];
	struct ring r, other;

	if (nr < 2)
		return "skip";
	if (file < 0 || ring_init(&r, 8, 0) || ring_init(&other, 8, 0))
		return "no file, or no ring";
	snprintf(own, sizeof(own), "%s", cpus_of("self"));
	if (bind_workers(&module_side, &r, cpus[0]))
		return "cannot bind";
	ret = do_one(&other, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0);
	if (ret)
		return reason("FSYNC: %d", ret);
	if (!*workers_on(list_of(cpus[0]), 1))
		return "the worker of another ring is bound";
	if (strcmp(own, cpus_of("self")))
		return "the caller is bound";
	return "";
}

BOUNDED_TEST(others_are_not_bound)
{
	const char *said = child_ms(other_rings_keep_theirs, NULL, SOON);

	if (!strcmp(said, "skip"))
		SKIP(return, "needs two CPUs");
	EXPECT_STREQ("", said);
}

/* A thread that is bound to one CPU may have its workers run on another one */
static const char *binds_elsewhere(void *arg)
{
	int cpus[2], nr = two_cpus(cpus), file = tmp_file(4096), ret;
	cpu_set_t one;
	struct ring r;

	if (nr < 2)
		return "skip";
	CPU_ZERO(&one);
	CPU_SET(cpus[0], &one);
	if (sched_setaffinity(0, sizeof(one), &one) || ring_init(&r, 8, 0))
		return "no ring";
	ret = bind_workers(&module_side, &r, cpus[1]);
	if (ret)
		return reason("IOWQ_AFF: %d", ret);
	ret = do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0);
	return ret ? reason("FSYNC: %d", ret) : workers_on(list_of(cpus[1]), 1);
}

BOUNDED_TEST(beside_the_caller)
{
	const char *said = child_ms(binds_elsewhere, NULL, SOON);

	if (!strcmp(said, "skip"))
		SKIP(return, "needs two CPUs");
	EXPECT_STREQ("", said);
}

#define ONLINE	"/sys/devices/system/cpu/cpu%d/online"

/* A CPU that is offline is refused, and one that comes back is used again */
RING_TEST(offline)
{
	int cpus[2], file = tmp_file(4096);
	char path[64];
	struct ring r;

	if (!intrusive() || two_cpus(cpus) < 2)
		SKIP(return, "needs two CPUs, and changes the system");
	ASSERT_LE(0, file);
	snprintf(path, sizeof(path), ONLINE, cpus[1]);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ASSERT_EQ(0, bind_workers(&module_side, &r, cpus[1]));
	ASSERT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	if (write_text(path, "0")) {
		ring_exit(&r);
		close(file);
		SKIP(return, "no CPU can go offline");
	}
	EXPECT_EQ(-EINVAL, bind_workers(&module_side, &r, cpus[1]));
	/* Requests are done nevertheless, on another CPU */
	EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	EXPECT_EQ(0, write_text(path, "1"));
	EXPECT_EQ(0, do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0));
	EXPECT_STREQ("", workers_on(list_of(cpus[1]), 1));
	ring_exit(&r);
	close(file);
}

static bool at_least(int want_major, int want_minor)
{
	int major = 0, minor = 0;
	struct utsname u;

	return !uname(&u) && sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	       (major > want_major ||
		(major == want_major && minor >= want_minor));
}

#define GROUP	"/sys/fs/cgroup/iouring2-cpus"

/*
 * In a cpuset without a CPU, io_uring refuses this CPU, except in 5.10. The
 * module does not know the cpuset, whose limits do not hold for its workers, and
 * accepts the CPU.
 */
static const char *leaves_its_cpuset(void *arg)
{
	int *cpus = arg, file = tmp_file(4096), ret;
	struct ring r, tree;

	if (write_text(GROUP "/cgroup.procs", "0"))
		return "cannot move to the group";
	if (strcmp(cpus_of("self"), list_of(cpus[0])))
		return "skip";
	if (ring_init(&r, 8, 0))
		return "no ring";
	if (!tree_setup(&tree, 8, 0, 0)) {
		ret = bind_workers(&tree_side, &tree, cpus[1]);
		if (ret != (at_least(6, 1) ? -EINVAL : 0))
			return reason("io_uring: %d", ret);
	}
	ret = bind_workers(&module_side, &r, cpus[1]);
	if (ret)
		return reason("IOWQ_AFF: %d", ret);
	ret = do_one(&r, IOURING2_OP_FSYNC, file, NULL, 0, 0, 0);
	return ret ? reason("FSYNC: %d", ret) : workers_on(list_of(cpus[1]), 1);
}

/* Return: 0 if there is a group with this text in its cpuset.cpus */
static int group_make(int cpu)
{
	if (!intrusive() ||
	    write_text("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset") ||
	    mkdir(GROUP, 0755))
		return -EPERM;
	return write_text(GROUP "/cpuset.cpus", "%d", cpu);
}

static void group_end(struct __test_metadata *_metadata)
{
	EXPECT_TRUE(until_ms(!rmdir(GROUP) || errno == ENOENT, SOON)) {
		TH_LOG("rmdir: errno %d", errno);
	}
}

BOUNDED_TEST(outside_the_cpuset)
{
	const char *said = "skip";
	int cpus[2];

	if (two_cpus(cpus) == 2 && !group_make(cpus[0]))
		said = child_ms(leaves_its_cpuset, cpus, SOON);
	if (intrusive())
		group_end(_metadata);
	if (!strcmp(said, "skip"))
		SKIP(return, "needs two CPUs and a cpuset of cgroup v2");
	EXPECT_STREQ("", said);
}

/* May this process use the CPU? */
static bool usable(int cpu)
{
	cpu_set_t all;

	return !sched_getaffinity(0, sizeof(all), &all) && CPU_ISSET(cpu, &all);
}

/* A CPU of an isolated partition is for the tasks of the partition only */
BOUNDED_TEST(isolated)
{
	int cpus[2], ret = -ENODEV, inside = 0, outside = 0;
	struct ring r;

	/* since 6.7 a module can ask whether a CPU belongs to such a partition */
	if (!at_least(6, 7) || two_cpus(cpus) < 2)
		SKIP(return, "needs Linux 6.7 and two CPUs");
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	if (!group_make(cpus[1]))
		ret = write_text(GROUP "/cpuset.cpus.partition", "isolated");
	/* an invalid partition takes no CPU away from us */
	if (!ret && usable(cpus[1]))
		ret = -ENODEV;
	if (!ret) {
		outside = bind_workers(&module_side, &r, cpus[1]);
		inside = bind_workers(&module_side, &r, cpus[0]);
	}
	write_text(GROUP "/cpuset.cpus.partition", "member");
	if (intrusive())
		group_end(_metadata);
	if (ret)
		SKIP(goto out, "no isolated partitions");
	EXPECT_EQ(-EINVAL, outside);
	EXPECT_EQ(0, inside);
	/* Afterwards it may be used again */
	EXPECT_TRUE(until_ms(!bind_workers(&module_side, &r, cpus[1]), SOON));
out:
	ring_exit(&r);
}

RING_TEST_MAIN
