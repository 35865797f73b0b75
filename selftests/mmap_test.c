// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings of a ring: which offsets, lengths and protections are valid; one
 * mapping alone keeps the ring, and the ring ends with its last mapping (I9).
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "fixture.h"

#define RW		(PROT_READ | PROT_WRITE)

static size_t page;

static const __u64 offsets[] = {
	IOURING2_OFF_SQ_RING, IOURING2_OFF_CQ_RING, IOURING2_OFF_SQES,
};

/* Map and unmap again. Return: 0, or -errno. */
static int try_map(int fd, size_t len, int prot, int flags, __u64 off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

static size_t page_up(size_t len)
{
	return (len + page - 1) / page * page;
}

/* Set up a ring without mapping it */
static int setup_only(struct iouring2_params *p, unsigned int sq,
		      unsigned int cq, unsigned int flags)
{
	struct iouring2_setup s;
	int fd;

	memset(&s, 0, sizeof(s));
	s.entries = sq;
	s.params.flags = flags;
	if (cq) {
		s.params.flags |= IOURING2_SETUP_CQSIZE;
		s.params.cq_entries = cq;
	}
	fd = dev_setup(&s);
	*p = s.params;
	return fd;
}

static size_t sqes_len(const struct iouring2_params *p)
{
	return p->sq_entries * sqe_size(p);
}

/* The size of the rings, with the index array only if there is one */
static size_t rings_len(const struct iouring2_params *p)
{
	size_t cq = p->cq_off.cqes +
		    p->cq_entries * cqe_size(p);

	return p->flags & IOURING2_SETUP_NO_SQARRAY ? cq : ring_map_len(p);
}

/* ------------------------------------------------- what can be mapped */

static bool is_offset(__u64 off)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		if (off == offsets[i])
			return true;
	return false;
}

RING_TEST(offsets)
{
	struct iouring2_params p;
	unsigned int bit, i;
	__u64 off;
	int fd;

	fd = setup_only(&p, 256, 0, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		EXPECT_EQ(0, try_map(fd, page, RW, MAP_SHARED, offsets[i]));
	/* The second page of a region is not a region */
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_EQ(-EINVAL, try_map(fd, page, RW, MAP_SHARED,
					   offsets[i] + page));
		if (!offsets[i])
			continue;
		EXPECT_EQ(-EINVAL, try_map(fd, page, RW, MAP_SHARED,
					   offsets[i] - page));
	}
	/* Each other bit of an offset counts, set alone or in a valid offset */
	for (bit = __builtin_ctzl(page); bit < 63; bit++) {
		for (i = 0; i < ARRAY_SIZE(offsets); i++) {
			off = offsets[i] ^ (1ULL << bit);
			if (is_offset(off))
				continue;
			/* The kernel itself rejects an offset beyond 64 bits */
			EXPECT_NE(0, try_map(fd, page, RW, MAP_SHARED, off)) {
				TH_LOG("offset %#llx", off);
			}
			if (bit > 50)
				continue;
			EXPECT_EQ(-EINVAL, try_map(fd, page, RW, MAP_SHARED,
						   off)) {
				TH_LOG("offset %#llx", off);
			}
		}
	}
	/* io_uring's offsets of features that the module does not have (yet) */
	EXPECT_EQ(-EINVAL, try_map(fd, page, RW, MAP_SHARED,
				   IOURING2_OFF_PBUF_RING));
	close(fd);
}

static const struct size_row {
	unsigned int sq, cq, flags;
} size_rows[] = {
	{     1,     0, 0 },
	{     1,     1, 0 },
	{     8,     0, 0 },
	{    64,     0, 0 },	/* SQEs fill a page exactly */
	{    65,     0, 0 },
	{     1,  4096, 0 },
	{     2, 65536, 0 },
	{  4096,     0, 0 },
	{ 32768,     0, 0 },
	{     8,     0, IOURING2_SETUP_NO_SQARRAY },
	{  4096,  4096, IOURING2_SETUP_NO_SQARRAY },
	{     1,     0, IOURING2_SETUP_CQE32 },
	{    64,   128, IOURING2_SETUP_CQE32 },	/* CQEs fill a page exactly */
	{  4096,     0, IOURING2_SETUP_CQE32 },
	{    32,     0, IOURING2_SETUP_SQE128 },	/* SQEs fill a page exactly */
	{  4096,     0, IOURING2_SETUP_SQE128 | IOURING2_SETUP_CQE32 },
};

/*
 * Run all sizes. In a debug build of the module, then run them again with
 * contiguous allocations failing. Return: whether there is an @i-th size.
 */
static bool sizes_again(unsigned int i)
{
	bool more = i < ARRAY_SIZE(size_rows) ||
		    (module_param("setup_fragmented") >= 0 &&
		     i < 2 * ARRAY_SIZE(size_rows));

	module_param_set("setup_fragmented",
			 more && i >= ARRAY_SIZE(size_rows));
	return more;
}

/*
 * Any length up to that of the region is valid, rounded up to pages, and not a
 * page more
 */
RING_TEST(lengths)
{
	const struct size_row *row;
	struct iouring2_params p;
	unsigned int i, j;
	size_t max;
	int fd;

	for (i = 0; sizes_again(i); i++) {
		row = &size_rows[i % ARRAY_SIZE(size_rows)];
		fd = setup_only(&p, row->sq, row->cq, row->flags);
		ASSERT_LE(0, fd);
		for (j = 0; j < ARRAY_SIZE(offsets); j++) {
			max = offsets[j] == IOURING2_OFF_SQES ?
				sqes_len(&p) : rings_len(&p);
			EXPECT_EQ(0, try_map(fd, max, RW, MAP_SHARED,
					     offsets[j])) {
				TH_LOG("row %u, %#llx: %zu", i, offsets[j],
				       max);
			}
			max = page_up(max);
			EXPECT_EQ(0, try_map(fd, max, RW, MAP_SHARED,
					     offsets[j]));
			EXPECT_EQ(-EINVAL, try_map(fd, max + 1, RW, MAP_SHARED,
						   offsets[j])) {
				TH_LOG("row %u, %#llx: %zu", i, offsets[j],
				       max + 1);
			}
			EXPECT_EQ(-EINVAL, try_map(fd, max + page, RW,
						   MAP_SHARED, offsets[j]));
			EXPECT_EQ(-EINVAL, try_map(fd, 1UL << 30, RW,
						   MAP_SHARED, offsets[j]));
			EXPECT_EQ(0, try_map(fd, 1, RW, MAP_SHARED,
					     offsets[j]));
		}
		close(fd);
		ASSERT_STREQ("", state_diff(&self->before, true));
	}
}

/* The memory exists up to its last byte, and is zero where nobody wrote */
RING_TEST(all_of_it_is_memory)
{
	unsigned char *map, *sqes;
	const struct size_row *row;
	struct iouring2_params p;
	unsigned int i;
	size_t len, at;
	int fd;

	for (i = 0; sizes_again(i); i++) {
		row = &size_rows[i % ARRAY_SIZE(size_rows)];
		fd = setup_only(&p, row->sq, row->cq, row->flags);
		ASSERT_LE(0, fd);
		len = page_up(rings_len(&p));
		map = mmap(NULL, len, RW, MAP_SHARED, fd,
			   IOURING2_OFF_CQ_RING);
		ASSERT_NE(MAP_FAILED, map);
		/*
		 * The memory behind the head holds no old data of other users
		 */
		for (at = p.cq_off.cqes; at < len && !map[at]; at++)
			;
		EXPECT_EQ(len, at);
		memset(map + p.cq_off.cqes, 0x5a, len - p.cq_off.cqes);
		munmap(map, len);

		len = page_up(sqes_len(&p));
		sqes = mmap(NULL, len, RW, MAP_SHARED, fd, IOURING2_OFF_SQES);
		ASSERT_NE(MAP_FAILED, sqes);
		for (at = 0; at < len && !sqes[at]; at++)
			;
		EXPECT_EQ(len, at);
		memset(sqes, 0x5a, len);
		munmap(sqes, len);
		close(fd);
	}
}

/* A debugger can read and write it: /proc/PID/mem uses the path of ptrace() */
RING_TEST(debuggers_see_it)
{
	unsigned char *maps[2], byte;
	struct iouring2_params p;
	const struct size_row *row;
	unsigned int i, j;
	size_t len[2], at;
	char seen[8192];
	int fd, mem;

	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	for (i = 0; sizes_again(i); i++) {
		row = &size_rows[i % ARRAY_SIZE(size_rows)];
		fd = setup_only(&p, row->sq, row->cq, row->flags);
		ASSERT_LE(0, fd);
		len[0] = page_up(rings_len(&p));
		len[1] = page_up(sqes_len(&p));
		for (j = 0; j < 2; j++) {
			maps[j] = mmap(NULL, len[j], RW, MAP_SHARED, fd,
				       j ? IOURING2_OFF_SQES :
					   IOURING2_OFF_SQ_RING);
			ASSERT_NE(MAP_FAILED, maps[j]);
			for (at = 0; at < len[j]; at++)
				maps[j][at] = pattern_byte(at + i + j);
		}
		for (j = 0; j < 2; j++) {
			/* Read and write across page boundaries */
			for (at = 1; at < len[j]; at += sizeof(seen)) {
				size_t n = len[j] - at;

				if (n > sizeof(seen))
					n = sizeof(seen);
				ASSERT_EQ((ssize_t)n,
					  pread(mem, seen, n,
						(uintptr_t)maps[j] + at));
				ASSERT_EQ(0, memcmp(seen, maps[j] + at, n));
			}
			byte = ~maps[j][len[j] - 1];
			ASSERT_EQ(1, pwrite(mem, &byte, 1, (uintptr_t)maps[j] +
					    len[j] - 1));
			EXPECT_EQ(byte, maps[j][len[j] - 1]);
			/* The same works after a part has been unmapped */
			if (len[j] > page) {
				munmap(maps[j], page);
				ASSERT_EQ(1, pread(mem, seen, 1,
						   (uintptr_t)maps[j] + page));
				EXPECT_EQ((unsigned char)seen[0],
					  maps[j][page]);
				EXPECT_EQ(-1, pread(mem, seen, 1,
						    (uintptr_t)maps[j]));
				EXPECT_EQ(EIO, errno);
			}
			munmap(maps[j], len[j]);
		}
		close(fd);
	}
	close(mem);
}

RING_TEST(kinds_of_mappings)
{
	struct iouring2_params p;
	unsigned int i;
	__u64 off;
	int fd;

	fd = setup_only(&p, 8, 0, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		off = offsets[i];
		EXPECT_EQ(-EINVAL, try_map(fd, page, RW, MAP_PRIVATE, off));
		EXPECT_EQ(-EINVAL, try_map(fd, page, PROT_READ, MAP_PRIVATE,
					   off));
		EXPECT_EQ(0, try_map(fd, page, RW, MAP_SHARED_VALIDATE, off));
		EXPECT_EQ(0, try_map(fd, page, PROT_READ, MAP_SHARED, off));
		EXPECT_EQ(0, try_map(fd, page, PROT_NONE, MAP_SHARED, off));
		EXPECT_EQ(0, try_map(fd, page, RW, MAP_SHARED | MAP_POPULATE,
				     off));
	}
	close(fd);
}

/* The device node itself cannot be mapped */
RING_TEST(device_node)
{
	unsigned int i;
	int fd = dev_open();

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		EXPECT_EQ(-ENODEV, try_map(fd, page, RW, MAP_SHARED,
					   offsets[i]));
	close(fd);
}

/* FEAT_SINGLE_MMAP: both offsets map the same memory, however often mapped */
RING_TEST(single_mmap)
{
	unsigned char *sq, *cq, *ro;
	struct ring r;
	size_t len, i;

	ASSERT_EQ(0, ring_init(&r, 128, 0));
	EXPECT_TRUE(r.setup.params.features & IOURING2_FEAT_SINGLE_MMAP);
	len = r.map_len;
	sq = r.map;
	cq = mmap(NULL, len, RW, MAP_SHARED, r.fd, IOURING2_OFF_CQ_RING);
	ASSERT_NE(MAP_FAILED, cq);
	ro = mmap(NULL, len, PROT_READ, MAP_SHARED, r.fd,
		  IOURING2_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, ro);
	for (i = r.setup.params.cq_off.cqes; i < len; i++)
		sq[i] = pattern_byte(i);
	EXPECT_EQ(0, memcmp(sq, cq, len));
	EXPECT_EQ(0, memcmp(sq, ro, len));

	/* All mappings show what the kernel writes */
	ASSERT_EQ(0, ring_nop(&r, 0x1234));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(0, memcmp(sq, cq, len));
	EXPECT_EQ(0, memcmp(sq, ro, len));
	EXPECT_EQ(1, (int)*(__u32 *)(ro + r.setup.params.cq_off.tail));
	munmap(cq, len);
	munmap(ro, len);
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

static sigjmp_buf faulted;

static void on_fault(int sig)
{
	siglongjmp(faulted, sig);
}

static void catch_faults(void)
{
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
}

/* Return: the signal that an access there raises, else 0 */
static int touch(char *p, bool write)
{
	int sig = sigsetjmp(faulted, 1);

	if (sig)
		return sig;
	if (write)
		st_rel(p, 0);
	else
		ld_acq(p);
	return 0;
}

RING_TEST(read_only)
{
	struct ring r;
	char *ro;

	catch_faults();
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	ro = mmap(NULL, page, PROT_READ, MAP_SHARED, r.fd,
		  IOURING2_OFF_CQ_RING);
	ASSERT_NE(MAP_FAILED, ro);
	EXPECT_EQ(0, touch(ro, false));
	EXPECT_EQ(SIGSEGV, touch(ro, true));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, (int)*(__u32 *)(ro + r.setup.params.cq_off.tail));
	munmap(ro, page);
	ring_exit(&r);
}

/* ----------------------------------------------------- how long they last */

/* Do the ring, its memory and the reference to the module still exist? */
static bool kept(const struct state *open)
{
	return counter("rings") == open->counter[0] &&
	       counter("pages") == open->counter[4] &&
	       module_refcnt() == open->refcnt;
}

/* A mapping alone keeps the ring until it is unmapped */
RING_TEST(outlives_the_descriptor)
{
	struct state open;
	struct ring r;
	unsigned int i;

	/* Unmapped in either order */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_init(&r, 8, 0));
		ASSERT_EQ(0, ring_nop(&r, 7));
		EXPECT_EQ(1, ring_submit(&r));
		state_read(&open);
		EXPECT_EQ(self->before.counter[0] + 1, open.counter[0]);
		close(r.fd);
		EXPECT_TRUE(kept(&open));
		EXPECT_EQ(1, (int)ring_ready(&r));
		EXPECT_EQ(7, (int)r.cqes[0].user_data);
		memset(r.sqes, 0x11, r.sqes_len);

		munmap(i ? (void *)r.sqes : r.map, i ? r.sqes_len : r.map_len);
		EXPECT_TRUE(kept(&open));
		munmap(i ? r.map : (void *)r.sqes, i ? r.map_len : r.sqes_len);
		EXPECT_STREQ("", state_diff(&self->before, true));
	}
}

/* Every part of a mapping, down to its last page, keeps the ring */
RING_TEST(unmapped_page_by_page)
{
	static const unsigned int order[] = { 2, 0, 7, 5, 3, 1, 6, 4 };
	struct iouring2_params p;
	struct state open;
	unsigned int i, nr = ARRAY_SIZE(order);
	char *sqes;
	int fd;

	catch_faults();
	fd = setup_only(&p, 64 * nr * page / 4096, 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(nr * page, sqes_len(&p));
	sqes = mmap(NULL, nr * page, RW, MAP_SHARED, fd, IOURING2_OFF_SQES);
	ASSERT_NE(MAP_FAILED, sqes);
	close(fd);
	state_read(&open);
	EXPECT_EQ(self->before.counter[0] + 1, open.counter[0]);
	for (i = 0; i < nr; i++) {
		EXPECT_TRUE(kept(&open)) {
			TH_LOG("after %u of %u pages", i, nr);
		}
		EXPECT_EQ(0, touch(sqes + order[i] * page, true));
		ASSERT_EQ(0, munmap(sqes + order[i] * page, page));
		EXPECT_EQ(SIGSEGV, touch(sqes + order[i] * page, false));
	}
	EXPECT_STREQ("", state_diff(&self->before, true));
}

/* The part of a ring that is still mapped shows correct values */
RING_TEST(partly_unmapped)
{
	struct iouring2_cqe cqe;
	unsigned int i;
	struct ring r;

	/* CQEs of many pages */
	ASSERT_EQ(0, ring_init_params(&r, 8, 4096, IOURING2_SETUP_NO_SQARRAY,
				      0));
	ASSERT_LT(4 * page, r.map_len);
	ASSERT_EQ(0, munmap((char *)r.map + 2 * page,
			    page_up(r.map_len) - 2 * page));
	/* The kernel does not depend on the mapping of user space */
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, ring_nop(&r, i));
	EXPECT_EQ(8, ring_submit(&r));
	for (i = 0; i < 8; i++) {
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, cqe.user_data);
	}
	while (i < 4096 + 100) {
		unsigned int j;

		for (j = 0; j < 8; j++, i++)
			ASSERT_EQ(0, ring_nop(&r, i));
		EXPECT_EQ(8, ring_submit(&r));
		st_rel(r.cq_head, *r.cq_tail);
	}
	ASSERT_EQ(0, ring_nop(&r, 5));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, (int)ring_ready(&r));
	ring_exit(&r);
}

/* A mapping cannot grow; it can shrink, and move */
RING_TEST(mremap)
{
	struct ring r;
	char *map, *to;

	ASSERT_EQ(0, ring_init(&r, 8, 4096));
	map = mmap(NULL, 4 * page, RW, MAP_SHARED, r.fd, IOURING2_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, map);
	/* Growing fails even within the size of the region */
	EXPECT_EQ(MAP_FAILED, mremap(map, 4 * page, 8 * page, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(map, 4 * page, 64 * 4096 * page,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(map, mremap(map, 4 * page, 2 * page, 0));
	to = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0);
	ASSERT_NE(MAP_FAILED, to);
	EXPECT_EQ(to, mremap(map, 2 * page, 2 * page,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(0, memcmp(to, r.map, 2 * page));
	ASSERT_EQ(0, ring_nop(&r, 1));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, (int)*(__u32 *)(to + r.setup.params.cq_off.tail));
	munmap(to, 2 * page);
	ring_exit(&r);
}

/* Whatever the advice, the memory remains the ring's, and the ring works */
RING_TEST(madvise_mprotect)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
		MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT,
	};
	unsigned char *was, *map;
	struct iouring2_cqe cqe;
	unsigned int i;
	size_t len;
	struct ring r;
	int sig;

	catch_faults();
	ASSERT_EQ(0, ring_init(&r, 8, 512));
	len = page_up(r.map_len);
	was = malloc(len);
	ASSERT_NE(NULL, was);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		map = mmap(NULL, len, RW, MAP_SHARED, r.fd,
			   IOURING2_OFF_SQ_RING);
		ASSERT_NE(MAP_FAILED, map);
		ASSERT_EQ(0, ring_nop(&r, i));
		EXPECT_EQ(1, ring_submit(&r));
		memcpy(was, r.map, len);
		/*
		 * The advice may be rejected, or may drop the caller's mapping,
		 * and no more
		 */
		madvise(map, len, advice[i]);
		EXPECT_EQ(0, memcmp(was, r.map, len)) {
			TH_LOG("advice %d", advice[i]);
		}
		sig = touch((char *)map + len - 1, false);
		EXPECT_TRUE(sig == 0 || sig == SIGBUS);
		if (!sig) {
			EXPECT_EQ(0, memcmp(map, r.map, len)) {
				TH_LOG("advice %d", advice[i]);
			}
		}
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(i, cqe.user_data);

		EXPECT_EQ(0, mprotect(map, len, PROT_READ));
		EXPECT_NE(0, touch((char *)map, true));
		EXPECT_EQ(0, mprotect(map, len, PROT_NONE));
		EXPECT_NE(0, touch((char *)map, false));
		EXPECT_EQ(0, mprotect(map, len, RW));
		msync(map, len, MS_SYNC);
		munmap(map, len);
	}
	ASSERT_EQ(0, ring_nop(&r, 100));
	EXPECT_EQ(1, ring_submit(&r));
	EXPECT_EQ(1, (int)ring_ready(&r));
	free(was);
	ring_exit(&r);
}

/*
 * mlock(2) and reads into ring memory pin pages, which must be unpinned again
 */
RING_TEST(pinned)
{
	struct iouring2_cqe cqe;
	unsigned char *into;
	struct ring r;
	size_t i;
	int fd;

	fd = tmp_file(page);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 256, 0));
	mlock(r.map, r.map_len);
	mlock(r.sqes, r.sqes_len);
	into = (unsigned char *)&r.sqes[128];
	prep_read(ring_sqe(&r), fd, into, 64, 0);
	EXPECT_EQ(64, ring_do(&r));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(pattern_byte(i), into[i]);
	/*
	 * A request may even write over its own SQE, and over the slot of its
	 * CQE
	 */
	prep_read(ring_sqe(&r), fd, r.sqes, 64 * sizeof(*r.sqes), 0);
	EXPECT_EQ((int)(64 * sizeof(*r.sqes)), ring_do(&r));
	prep_read(ring_sqe(&r), fd, r.cqes, 64, 0);
	r.sqes[2].user_data = 77;
	EXPECT_EQ(1, ring_submit(&r));
	ASSERT_EQ(0, ring_wait(&r, &cqe));
	EXPECT_EQ(77, (int)cqe.user_data);
	ring_exit(&r);
	close(fd);
}

/* Both processes of a fork share one ring */
RING_TEST(fork_shares)
{
	struct iouring2_cqe cqe;
	struct ring r;
	int status, i;
	pid_t pid;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ring_nop(&r, 2 * i));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/*
			 * Submit the entry that the parent queued, and one more
			 */
			if (ring_nop(&r, 2 * i + 1) || ring_submit(&r) != 2)
				_exit(1);
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		r.sqe_tail = *r.sq_tail;
		ASSERT_EQ(2, (int)ring_ready(&r));
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(2 * i, (int)cqe.user_data);
		ASSERT_TRUE(ring_peek(&r, &cqe));
		EXPECT_EQ(2 * i + 1, (int)cqe.user_data);
	}
	ring_exit(&r);
}

/*
 * A child that has only the mapping keeps the ring; the ring ends with its exit
 */
RING_TEST(child_keeps_it)
{
	int status, go[2];
	struct ring r;
	struct state open;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(r.fd);
		close(go[1]);
		if (read(go[0], &c, 1) != 0)
			_exit(1);
		/* The parent wrote this value before it unmapped the ring */
		_exit(*r.cq_flags == 0x55 ? 0 : 2);
	}
	*r.cq_flags = 0x55;
	state_read(&open);
	ring_exit(&r);
	EXPECT_TRUE(kept(&open));
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("", state_diff(&self->before, false));
	close(go[0]);
}

/* ---------------------------------------------------------- for load.sh */

/*
 * Hold a ring open while load.sh tests that it is found in use: print "ready"
 * on standard output, wait for the end of standard input, and then check
 * whether the ring still works.
 */
static int hold_open(void)
{
	struct ring r;
	char c;

	if (ring_init(&r, 8, 0))
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	prep_nop(ring_sqe(&r));
	return ring_do(&r) ? 2 : 0;
}

/* The same with only a mapping, whose contents must be unchanged at the end */
static int hold_mapped(void)
{
	struct ring r;
	size_t i;
	char c;

	if (ring_init(&r, 64, 0))
		return 1;
	close(r.fd);
	memset(r.sqes, 0x3c, r.sqes_len);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	for (i = 0; i < r.sqes_len; i++)
		if (((char *)r.sqes)[i] != 0x3c)
			return 2;
	return 0;
}

int main(int argc, char **argv)
{
	const char *why;

	page = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "--hold-open"))
		return hold_open();
	if (argc == 2 && !strcmp(argv[1], "--hold-mapped"))
		return hold_mapped();
	if (!dev_usable(&why)) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	return test_harness_run(argc, argv);
}
