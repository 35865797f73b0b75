// SPDX-License-Identifier: GPL-2.0-only
/*
 * SETUP_NO_MMAP: the application provides the memory of the rings. Any memory
 * will do that the kernel can write to at any time, and whatever the application
 * does with it later, the ring goes on (I10). The size that io_uring needs is
 * enough. Refused memory leaves nothing behind (I7).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define NO_MMAP		IOURING2_SETUP_NO_MMAP
#define NO_ARRAY	IOURING2_SETUP_NO_SQARRAY
#define CQSIZE		IOURING2_SETUP_CQSIZE
#define RW		(PROT_READ | PROT_WRITE)
#define HUGE		(2UL << 20)

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* ------------------------------------------------------- kinds of memory */

/* Return: at least @len bytes, or MAP_FAILED */
static char *of_private(size_t len)
{
	return mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *of_shared(size_t len)
{
	return mmap(NULL, len, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* A file on a disk, because pages of tmpfs are like others */
static char *of_file(size_t len, int flags)
{
	static const char * const dirs[] = { "/var/tmp", "." };
	char *p = MAP_FAILED;
	struct statfs fs;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(dirs) && p == MAP_FAILED; i++) {
		fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			continue;
		if (!fstatfs(fd, &fs) && fs.f_type != TMPFS_MAGIC &&
		    fs.f_type != RAMFS_MAGIC && !ftruncate(fd, len))
			p = mmap(NULL, len, RW, flags, fd, 0);
		close(fd);
	}
	return p;
}

static char *of_memfd(size_t len)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);
	char *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, len))
		p = mmap(NULL, len, RW, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return p;
}

/* Pages of a file that were not written to are replaced by private ones */
static char *of_private_file(size_t len)
{
	return of_file(len, MAP_PRIVATE);
}

/* Pages of the page tables' size: a huge page, if the kernel has one */
static char *of_transparent_huge(size_t len)
{
	char *p;

	len = (len + HUGE - 1) / HUGE * HUGE;
	p = of_private(len + HUGE);
	if (p == MAP_FAILED)
		return p;
	p = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	madvise(p, len, MADV_HUGEPAGE);
	memset(p, 0x77, len);
	return p;
}

/* The number of free huge pages, after the attempt to have @nr; < 0: none */
static long want_huge(long nr)
{
	char text[32];

	if (!intrusive() || write_text("/proc/sys/vm/nr_hugepages", "%ld", nr) ||
	    read_text("/proc/sys/vm/nr_hugepages", text, sizeof(text)) < 0)
		return -1;
	return strtol(text, NULL, 10);
}

static char *of_huge(size_t len)
{
	return mmap(NULL, (len + HUGE - 1) / HUGE * HUGE, RW,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
}

/* Not the first page of a huge page */
static char *of_part_of_huge(size_t len)
{
	char *p = of_huge(len + 3 * page_size());

	return p == MAP_FAILED ? p : p + 3 * page_size();
}

RING_FIXTURE(memory) {
	char *(*of)(size_t len);
	bool huge;
};

FIXTURE_VARIANT_ADD(memory, private) { of_private };
FIXTURE_VARIANT_ADD(memory, shared) { of_shared };
FIXTURE_VARIANT_ADD(memory, memfd) { of_memfd };
FIXTURE_VARIANT_ADD(memory, private_file) { of_private_file };
FIXTURE_VARIANT_ADD(memory, transparent_huge) { of_transparent_huge };
FIXTURE_VARIANT_ADD(memory, huge) { of_huge, true };
FIXTURE_VARIANT_ADD(memory, part_of_huge) { of_part_of_huge, true };

/* Set up a ring in memory that begins at @rings and @sqes. Return: 0 or -errno */
static int ring_in(struct ring *r, unsigned int sq, unsigned int cq,
		   unsigned int flags, void *rings, void *sqes)
{
	memset(r, 0, sizeof(*r));
	r->setup.entries = sq;
	r->setup.params.flags = NO_MMAP | flags;
	if (cq) {
		r->setup.params.flags |= CQSIZE;
		r->setup.params.cq_entries = cq;
	}
	r->setup.params.cq_off.user_addr = (uintptr_t)rings;
	r->setup.params.sq_off.user_addr = (uintptr_t)sqes;
	r->fd = dev_setup(&r->setup);
	if (r->fd < 0)
		return r->fd;
	r->map = rings;
	r->sqes = sqes;
	ring_point(r);
	return 0;
}

/*
 * Fill the SQ and the CQ several times, with a backlog, and by workers. Return:
 * "" or what is wrong.
 */
static const char *used_in_all_places(struct ring *r)
{
	__u32 sq = r->setup.params.sq_entries, cq = r->setup.params.cq_entries;
	struct iouring2_cqe cqe;
	__u32 i, round, n = 0, seen = 0;

	for (round = 0; round < 2 * cq / sq + 3; round++) {
		for (i = 0; i < sq; i++, n++) {
			struct iouring2_sqe *sqe = ring_sqe(r);

			if (!sqe)
				return reason("round %u: the SQ is full", round);
			prep_nop(sqe);
			sqe->user_data = n;
			if (!(n % 7))
				sqe->flags = ASYNC;
		}
		if (ring_submit_wait(r, 1) != (int)sq)
			return reason("round %u: submit", round);
		while (seen < n) {
			if (ring_wait(r, &cqe))
				return reason("%u of %u CQEs", seen, n);
			if (cqe.res || cqe.user_data >= n)
				return reason("CQE %llu: %d",
					      (unsigned long long)cqe.user_data,
					      cqe.res);
			seen++;
		}
	}
	return "";
}

TEST_F_TIMEOUT(memory, works, LIMIT)
{
	static const struct {
		unsigned int sq, cq, flags;
	} sizes[] = {
		{ 1, 1, 0 }, { 8, 0, 0 }, { 64, 256, 0 }, { 4, 1024, NO_ARRAY },
		{ 256, 512, 0 },
	};
	size_t rings, sqes;
	unsigned int i;
	struct ring r;
	char *p;

	if (variant->huge && want_huge(8) < 4)
		SKIP(return, "no huge pages");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct iouring2_setup s = {
			.entries = sizes[i].sq,
			.params.flags = sizes[i].flags |
					(sizes[i].cq ? CQSIZE : 0),
			.params.cq_entries = sizes[i].cq,
		};

		ring_memory_len(&s, &rings, &sqes);
		p = variant->of(rings + sqes);
		if (p == MAP_FAILED && variant->of == of_private_file)
			SKIP(return, "no file system on a disk");
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, ring_in(&r, sizes[i].sq, sizes[i].cq,
				     sizes[i].flags, p, p + rings)) {
			TH_LOG("sizes %u", i);
		}
		EXPECT_EQ((rings + sqes) / page_size(),
			  counter("pages") - self->before.counter[4]);
		EXPECT_STREQ("", used_in_all_places(&r));
		close(r.fd);
		EXPECT_STREQ("", state_diff(&self->before, true));
		/* the application still has the memory, and what is in it */
		EXPECT_NE(0, *r.cq_tail);
		memset(p, 0, rings + sqes);
		if (!variant->huge)
			munmap(p, rings + sqes);
	}
	if (variant->huge)
		want_huge(0);
}

/* ------------------------------------------------------------ how much */

/*
 * As much memory as io_uring needs is enough, for all sizes: the page behind it
 * does not exist, and so SETUP would fail if it needed it
 */
RING_TEST(as_large_as_for_io_uring)
{
	unsigned int sq, cq, flags;
	size_t rings, sqes, most = (65536 * 16 + 32768 * 4) + 65536;
	struct iouring2_setup s;
	char *end, *sqe_end;
	struct ring r;

	/* each ends at a page that is not there */
	end = of_private(most + page_size());
	sqe_end = of_private(32768UL * 64 + page_size());
	ASSERT_NE(MAP_FAILED, end);
	ASSERT_NE(MAP_FAILED, sqe_end);
	end += most / page_size() * page_size();
	sqe_end += 32768UL * 64;
	munmap(end, page_size());
	munmap(sqe_end, page_size());
	for (sq = 1; sq <= 32768; sq *= 2)
		for (cq = sq; cq <= 65536; cq *= 4)
			for (flags = 0; flags <= NO_ARRAY; flags += NO_ARRAY) {
				memset(&s, 0, sizeof(s));
				s.entries = sq;
				s.params.flags = CQSIZE | flags;
				s.params.cq_entries = cq;
				ring_memory_len(&s, &rings, &sqes);
				EXPECT_EQ(0, ring_in(&r, sq, cq, flags,
						     end - rings,
						     sqe_end - sqes)) {
					TH_LOG("%u, %u, %#x", sq, cq, flags);
					continue;
				}
				EXPECT_LE((char *)(r.cqes + cq), end);
				EXPECT_EQ((rings + sqes) / page_size(),
					  counter("pages") -
					  self->before.counter[4]);
				ASSERT_EQ(0, ring_nop(&r, 5));
				EXPECT_EQ(1, ring_submit(&r));
				EXPECT_EQ(1, (int)ring_ready(&r));
				close(r.fd);
			}
}

/* The memory need not be zero; SETUP tells where it is, and nobody can map it */
RING_TEST(told_and_not_mapped)
{
	static const __u64 offsets[] = {
		IOURING2_OFF_SQ_RING, IOURING2_OFF_CQ_RING, IOURING2_OFF_SQES,
	};
	char *p = of_private(4 * page_size());
	struct iouring2_cqe cqe;
	unsigned int i;
	struct ring r;

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 0xa5, 4 * page_size());
	ASSERT_EQ(0, ring_in(&r, 8, 0, 0, p + page_size(), p));
	EXPECT_EQ((uintptr_t)p + page_size(), r.setup.params.cq_off.user_addr);
	EXPECT_EQ((uintptr_t)p, r.setup.params.sq_off.user_addr);
	EXPECT_EQ(0, *r.sq_head);
	EXPECT_EQ(0, *r.sq_tail);
	EXPECT_EQ(0, *r.cq_head);
	EXPECT_EQ(0, *r.cq_tail);
	EXPECT_EQ(0, *r.sq_flags);
	EXPECT_EQ(0, *r.sq_dropped);
	EXPECT_EQ(0, *r.cq_overflow);
	EXPECT_EQ(0, *r.cq_flags);
	EXPECT_EQ(7, *r.sq_mask);
	EXPECT_EQ(8, *r.sq_entries);
	EXPECT_EQ(15, *r.cq_mask);
	EXPECT_EQ(16, *r.cq_entries);
	/* nothing behind the rings, and none of the SQEs, was written to */
	for (i = 0; i < 2 * page_size(); i++)
		if (p[i < page_size() ? i : i + page_size()] != (char)0xa5)
			break;
	EXPECT_EQ(2 * page_size(), i);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), RW, MAP_SHARED,
					   r.fd, offsets[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	ASSERT_EQ(0, ring_nop(&r, 9));
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(9, (int)cqe.user_data);
	close(r.fd);
	munmap(p, 4 * page_size());

	/* Without the flag the addresses are ignored, and set to 0 */
	memset(&r, 0, sizeof(r));
	r.setup.entries = 8;
	r.setup.params.cq_off.user_addr = 1;
	r.setup.params.sq_off.user_addr = ~0ULL;
	r.fd = dev_setup(&r.setup);
	EXPECT_LE(0, r.fd);
	EXPECT_EQ(0, r.setup.params.cq_off.user_addr);
	EXPECT_EQ(0, r.setup.params.sq_off.user_addr);
	close(r.fd);
}

/* -------------------------------------------------------- what is refused */

struct refused {
	const char *what;
	void *(*at)(char *good);	/* @good: usable memory of four pages */
	int err;
	bool differs;	/* from io_uring */
};

static void *at_null(char *good)
{
	return NULL;
}

static void *at_odd_address(char *good)
{
	return good + 8;
}

static void *at_odd_page(char *good)
{
	return good + 2048;
}

static void *at_hole(char *good)
{
	munmap(good, page_size());
	return good;
}

/* The first page is there, but SQEs or CQEs of more pages follow */
static void *at_hole_behind(char *good)
{
	munmap(good + page_size(), 3 * page_size());
	return good;
}

static void *at_read_only(char *good)
{
	mprotect(good, 4 * page_size(), PROT_READ);
	return good;
}

static void *at_nothing(char *good)
{
	mprotect(good, 4 * page_size(), PROT_NONE);
	return good;
}

static void *at_kernel(char *good)
{
	return (void *)0xffff888000000000UL;
}

static void *at_end(char *good)
{
	return (void *)-page_size();
}

/* A file system must know of each write to such a page */
static void *at_file(char *good)
{
	return of_file(4 * page_size(), MAP_SHARED);
}

/* Mapped by frame number, as io_uring's rings were up to Linux 6.9 */
static struct ring other;

static void *at_ring(char *good)
{
	return ring_init(&other, 256, 1024) ? MAP_FAILED : other.map;
}

static const struct refused refused[] = {
	{ "NULL", at_null, -EFAULT },
	{ "an odd address", at_odd_address, -EINVAL },
	{ "the middle of a page", at_odd_page, -EINVAL },
	{ "a hole", at_hole, -EFAULT },
	{ "a hole behind the first page", at_hole_behind, -EFAULT },
	{ "memory that is read-only", at_read_only, -EFAULT },
	{ "memory without access", at_nothing, -EFAULT },
	{ "the kernel's memory", at_kernel, -EFAULT },
	{ "the end of all memory", at_end, -EOVERFLOW },
	{ "a file", at_file, -EFAULT },
	{ "another ring", at_ring, -EFAULT, true },
};

/* Set up a ring of io_uring in the same memory. Return: 0 or -errno. */
static int tree_setup_in(void *rings, void *sqes)
{
	struct iouring2_params p = {
		.flags = NO_MMAP | CQSIZE,
		.cq_entries = 512,
		.cq_off.user_addr = (uintptr_t)rings,
		.sq_off.user_addr = (uintptr_t)sqes,
	};
	int fd = syscall(__NR_io_uring_setup, 128, &p);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Has the kernel's io_uring the flag, in the form that works page by page? */
static bool tree_has_it(void)
{
	char *p = of_private(8 * page_size());
	int ret = tree_setup_in(p, p + 4 * page_size());

	munmap(p, 8 * page_size());
	return !ret;
}

/* The same errno as io_uring, for the rings as for the SQEs, and no effect */
RING_TEST(refused)
{
	bool tree = tree_has_it();
	struct iouring2_setup was;
	const struct refused *row;
	char *good, *bad;
	unsigned int i;
	struct ring r;
	int side, ret;

	for (i = 0; i < 2 * ARRAY_SIZE(refused); i++) {
		row = &refused[i / 2];
		side = i % 2;
		good = of_private(4 * page_size());
		bad = of_private(4 * page_size());
		ASSERT_NE(MAP_FAILED, good);
		ASSERT_NE(MAP_FAILED, bad);
		bad = row->at(bad);
		if (bad == MAP_FAILED && row->at == at_file)
			continue;	/* there is no such file system */
		ASSERT_NE(MAP_FAILED, bad);
		memset(&was, 0, sizeof(was));
		was.entries = 128;
		was.params.flags = NO_MMAP | CQSIZE;
		was.params.cq_entries = 512;
		was.params.cq_off.user_addr = (uintptr_t)(side ? good : bad);
		was.params.sq_off.user_addr = (uintptr_t)(side ? bad : good);
		r.setup = was;
		ret = dev_setup(&r.setup);
		EXPECT_EQ(row->err, ret) {
			TH_LOG("%s: %s", side ? "SQEs" : "rings", row->what);
		}
		EXPECT_EQ(0, memcmp(&was, &r.setup, sizeof(was)));
		if (tree && !row->differs) {
			EXPECT_EQ(row->err,
				  tree_setup_in(side ? good : bad,
						side ? bad : good)) {
				TH_LOG("io_uring, %s: %s",
				       side ? "SQEs" : "rings", row->what);
			}
		}
		munmap(good, 4 * page_size());
		if (row->at == at_ring)
			ring_exit(&other);
		EXPECT_EQ(self->before.counter[4], counter("pages"));
	}
}

/* ------------------------------------------------- a hostile application */

/* A NOP goes through the ring. Return: "" or what is wrong. */
static const char *goes_through(struct ring *r, __u64 ud)
{
	struct iouring2_cqe cqe;
	int ret;

	if (ring_nop(r, ud))
		return "the SQ is full";
	ret = ring_submit(r);
	if (ret != 1)
		return reason("submitted %d", ret);
	if (!ring_peek(r, &cqe))
		return "no CQE";
	return cqe.user_data == ud ? "" : "another CQE";
}

/* The kernel's part of the ring does not depend on mappings */
RING_TEST(unmapped)
{
	long long completed;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 8, 0, NO_MMAP, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	ring_publish(&r);
	munmap(r.map, r.map_len);
	munmap(r.sqes, r.sqes_len);
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	completed = fdinfo(r.fd, "Completed");
	EXPECT_EQ(2, completed);
	EXPECT_EQ(2, fdinfo(r.fd, "CachedCqTail"));
	/* nobody can queue anything any more, or take anything */
	EXPECT_EQ(0, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(0, enter(r.fd, 0, 1, IOURING2_ENTER_GETEVENTS, NULL, 0));
	close(r.fd);
}

/* The ring follows its pages to another address */
RING_TEST(moved)
{
	struct ring r;
	char *map, *sqes;

	ASSERT_EQ(0, ring_init_params(&r, 8, 512, NO_MMAP, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	map = of_private(r.map_len);
	sqes = of_private(r.sqes_len);
	ASSERT_EQ(map, mremap(r.map, r.map_len, r.map_len,
			      MREMAP_MAYMOVE | MREMAP_FIXED, map));
	ASSERT_EQ(sqes, mremap(r.sqes, r.sqes_len, r.sqes_len,
			       MREMAP_MAYMOVE | MREMAP_FIXED, sqes));
	r.map = map;
	r.sqes = (void *)sqes;
	ring_point(&r);
	EXPECT_STREQ("", goes_through(&r, 2));
	ring_exit(&r);
}

/* The application gives its pages away: the kernel keeps those that it has */
RING_TEST(dropped)
{
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 8, 0, NO_MMAP, 0));
	EXPECT_STREQ("", goes_through(&r, 1));
	ASSERT_EQ(0, ring_nop(&r, 2));
	ring_publish(&r);
	ASSERT_EQ(0, madvise(r.map, r.map_len, MADV_DONTNEED));
	ASSERT_EQ(0, madvise(r.sqes, r.sqes_len, MADV_DONTNEED));
	EXPECT_EQ(0, *r.sq_tail);
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	EXPECT_EQ(2, fdinfo(r.fd, "Completed"));
	/* what the application writes now is no part of the ring */
	st_rel(r.sq_tail, 7);
	EXPECT_EQ(0, enter(r.fd, 5, 0, 0, NULL, 0));
	EXPECT_EQ(2, fdinfo(r.fd, "Submitted"));
	ring_exit(&r);
}

/*
 * A child gets a copy of private memory, and the parent keeps the pages of the
 * ring, whoever writes first
 */
RING_TEST(forked)
{
	struct ring r;
	pid_t pid;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init_params(&r, 8, 0, NO_MMAP, 0));
		EXPECT_STREQ("", goes_through(&r, 1));
		if (i) {
			/* the parent writes, while the child lives */
			int go[2];
			char c;

			ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
			pid = fork();
			if (!pid) {
				close(go[1]);
				_exit(read(go[0], &c, 1));
			}
			EXPECT_STREQ("", goes_through(&r, 2));
			close(go[0]);
			close(go[1]);
		} else {
			pid = fork();
			if (!pid) {
				memset(r.map, 0xff, r.map_len);
				memset(r.sqes, 0xff, r.sqes_len);
				_exit(0);
			}
		}
		EXPECT_EQ(0, reap_ms(pid, SOON));
		EXPECT_STREQ("", goes_through(&r, 3));
		ring_exit(&r);
	}
}

/* Shared memory is the ring of all processes that have it */
RING_TEST(forked_shared)
{
	char *p = of_shared(2 * page_size());
	struct iouring2_cqe cqe;
	struct ring r;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ring_in(&r, 8, 0, 0, p, p + page_size()));
	pid = fork();
	if (!pid)
		_exit(ring_nop(&r, 6) || ring_submit(&r) != 1);
	EXPECT_EQ(0, reap_ms(pid, SOON));
	ring_sync(&r);
	ASSERT_TRUE(ring_peek(&r, &cqe));
	EXPECT_EQ(6, (int)cqe.user_data);
	EXPECT_STREQ("", goes_through(&r, 7));
	close(r.fd);
	munmap(p, 2 * page_size());
}

struct scribbler {
	struct ring *r;
	bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	unsigned int seed = 1;
	size_t i;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < s->r->map_len; i += 4)
			*(unsigned int *)((char *)s->r->map + i) =
				rand_r(&seed) * 2654435761u;
		for (i = 0; i < s->r->sqes_len; i += 64) {
			/* NOPs, so that nothing is done to the machine */
			((char *)s->r->sqes)[i] = 0;
			((char *)s->r->sqes)[i + 1] = rand_r(&seed) & 0x10;
		}
		madvise(s->r->sqes, s->r->sqes_len, MADV_COLD);
	}
	return NULL;
}

/* Another thread writes everywhere while this one submits and waits */
RING_TEST(scribbled_over)
{
	struct scribbler s = {};
	pthread_t thread;
	long long end;
	struct ring r;

	ASSERT_EQ(0, ring_init_params(&r, 16, 64, NO_MMAP, 1000));
	s.r = &r;
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &s));
	end = now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		enter(r.fd, 16, 0, 0, NULL, 0);
		enter_timeout(r.fd, 0, 1, 1000);
		EXPECT_LE(fdinfo(r.fd, "Completed"), fdinfo(r.fd, "Submitted"));
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(15, fdinfo(r.fd, "SqMask"));
	EXPECT_EQ(63, fdinfo(r.fd, "CqMask"));
	ring_exit(&r);
}

/* -------------------------------------------------------------- the end */

/*
 * A file cannot be sealed against writes while somebody has pinned its pages. So
 * this shows when the ring has let go of them: at its last close, and not before
 */
RING_TEST(pinned_until_close)
{
	int fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ring r;
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 2 * page_size()));
	p = mmap(NULL, 2 * page_size(), RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ring_in(&r, 8, 0, 0, p, p + page_size()));
	munmap(p, 2 * page_size());
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	close(r.fd);
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	close(fd);
}

/* What the kernel has written stays in the file when nobody maps it any more */
RING_TEST(written_to_the_file)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);
	struct ring r;
	__u32 tail;
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 2 * page_size()));
	p = mmap(NULL, 2 * page_size(), RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ring_in(&r, 8, 0, 0, p, p + page_size()));
	ASSERT_EQ(0, ring_nop(&r, 1));
	ring_publish(&r);
	munmap(p, 2 * page_size());
	EXPECT_EQ(1, enter(r.fd, 1, 0, 0, NULL, 0));
	close(r.fd);
	ASSERT_EQ((ssize_t)sizeof(tail),
		  pread(fd, &tail, sizeof(tail), r.setup.params.cq_off.tail));
	EXPECT_EQ(1, tail);
	close(fd);
}

RING_TEST_MAIN
