// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffered writes of one file are executed one after the other, in their order,
 * by one worker, however many there are. Writes of other files do not wait for
 * them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"
#include "absent.h"
#include "image.h"

#define NR	2000
#define SIZE	512
#define BLOCKS	8
#define OTHER	100000

static char data[NR][SIZE];

/* Write number @i goes to block @i % BLOCKS, and overwrites earlier data */
static void add_writes(struct ring *r, int fd, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		memset(data[i], 'A' + i % 53, SIZE);
		memcpy(data[i], &i, sizeof(i));
		add(r, IOURING2_OP_WRITE, fd, data[i], SIZE,
		    (__u64)(i % BLOCKS) * SIZE, ASYNC, i);
	}
}

static void expect_last(struct __test_metadata *_metadata, int fd, int nr)
{
	static char got[BLOCKS][SIZE];
	int b, last, has;

	ASSERT_EQ((int)sizeof(got), pread(fd, got, sizeof(got), 0));
	for (b = 0; b < BLOCKS; b++) {
		last = nr - BLOCKS + (b - nr % BLOCKS + BLOCKS) % BLOCKS;
		memcpy(&has, got[b], sizeof(has));
		EXPECT_EQ(last, has);
		EXPECT_EQ(0, memcmp(got[b], data[last], SIZE));
	}
}

static int file_on_disk(void)
{
	char path[] = "/var/tmp/iouring2-queued-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	unlink(path);
	return fd;
}

static long most_workers(struct ring *r, long most)
{
	long nr = fdinfo(r->fd, "Workers");

	return nr > most ? nr : most;
}

/*
 * All writes are queued before the first one can end, because the page of the
 * first one is missing
 */
BOUNDED_TEST(one_file)
{
	struct iouring2_cqe cqe;
	long workers = 0, next = 0;
	int fd = file_on_disk(), nr = 0;
	struct absent a;
	struct ring r;
	int ret = absent_make(&a);

	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 2048, 4096));
	add_writes(&r, fd, NR);
	r.sqes[0].addr = (uintptr_t)a.page;
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_TRUE(absent_wanted(&a, SOON));
	ASSERT_EQ(0, absent_provide(&a));
	while (nr < NR) {
		if (!until_ms(ring_peek(&r, &cqe), SOON))
			break;
		EXPECT_EQ(SIZE, cqe.res);
		EXPECT_EQ(next, (long)cqe.user_data);
		next = cqe.user_data + 1;
		if (nr++ % 16 == 0)
			workers = most_workers(&r, workers);
	}
	EXPECT_EQ(NR, nr);
	EXPECT_EQ(1, workers);
	expect_last(_metadata, fd, NR);
	ring_exit(&r);
	absent_free(&a);
	close(fd);
}

/*
 * The writes alternate between two files, and the first of each is blocked:
 * each file has one worker
 */
BOUNDED_TEST(two_files)
{
	struct iouring2_cqe cqe;
	int fds[2] = { file_on_disk(), file_on_disk() }, nr = 0, i;
	long workers = 0;
	struct absent a;
	struct ring r;
	int ret = absent_make(&a);

	if (ret == -ENODEV)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, ring_init(&r, 2048, 4096));
	for (i = 0; i < 2; i++)
		add(&r, IOURING2_OP_WRITE, fds[i], a.page, SIZE, 0, ASYNC, i);
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_TRUE(absent_wanted(&a, SOON));
	EXPECT_TRUE(until_ms(fdinfo(r.fd, "Workers") == 2, SOON));
	for (i = 2; i < NR; i++) {
		memset(data[i], 'a' + i % 26, SIZE);
		add(&r, IOURING2_OP_WRITE, fds[i % 2], data[i], SIZE, 0, ASYNC, i);
	}
	ASSERT_EQ(0, submit_all(&r));
	EXPECT_EQ(2, fdinfo(r.fd, "Workers"));
	ASSERT_EQ(0, absent_provide(&a));
	while (nr < NR && until_ms(ring_peek(&r, &cqe), SOON)) {
		EXPECT_EQ(SIZE, cqe.res);
		if (nr++ % 16 == 0)
			workers = most_workers(&r, workers);
	}
	EXPECT_EQ(NR, nr);
	EXPECT_EQ(2, workers);
	for (i = 0; i < 2; i++) {
		static char got[SIZE];

		EXPECT_EQ(SIZE, pread(fds[i], got, SIZE, 0));
		EXPECT_EQ(0, memcmp(got, data[NR - 2 + i], SIZE));
		close(fds[i]);
	}
	ring_exit(&r);
	absent_free(&a);
}

/*
 * The first of many writes waits for a frozen file system. All of them use one
 * worker, and a write of another file does not wait.
 */
BOUNDED_TEST(head_waits)
{
	int fd, other = file_on_disk(), i, good = 0;
	struct image image;
	struct ring r;
	char path[300];

	if (!image_mount(&image, 16))
		SKIP(return, "no file system to freeze");
	snprintf(path, sizeof(path), "%s/file", image.mnt);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 2048, 4096));
	ASSERT_EQ(0, freeze(image.mnt));
	add_writes(&r, fd, NR);
	EXPECT_EQ(0, submit_all(&r));
	/*
	 * This is long enough for further workers to start, if any were
	 * requested
	 */
	EXPECT_FALSE(until_ms(fdinfo(r.fd, "Workers") > 1 || ring_ready(&r),
			      A_WHILE));
	EXPECT_EQ(1, fdinfo(r.fd, "Workers"));
	add(&r, IOURING2_OP_WRITE, other, data[0], SIZE, 0, ASYNC, OTHER);
	EXPECT_EQ(0, submit_all(&r));
	EXPECT_EQ(SIZE, seen_ms(&r, OTHER, SOON));
	EXPECT_EQ(0U, ring_ready(&r));
	EXPECT_GE(2, fdinfo(r.fd, "Workers"));
	EXPECT_EQ(0, thaw(image.mnt));
	for (i = 0; i < NR; i++)
		good += res_ms(&r, i, SOON) == SIZE;
	EXPECT_EQ(NR, good);
	expect_last(_metadata, fd, NR);
	ring_exit(&r);
	close(fd);
	close(other);
	EXPECT_TRUE(image_unmount(&image));
}

/*
 * Writes in the middle of the queue are cancelled, and the others keep their
 * order
 */
BOUNDED_TEST(cancelled_in_queue)
{
	int fd, i, res, cancelled = 0;
	struct image image;
	struct ring r;
	char path[300];

	if (!image_mount(&image, 16))
		SKIP(return, "no file system to freeze");
	snprintf(path, sizeof(path), "%s/file", image.mnt);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 256, 512));
	ASSERT_EQ(0, freeze(image.mnt));
	add_writes(&r, fd, 101);
	EXPECT_EQ(0, submit_all(&r));
	for (i = 10; i < 90; i++) {
		struct iouring2_sqe *sqe = ring_sqe(&r);

		prep_cancel(sqe, i, 0);
		sqe->user_data = OTHER;
		EXPECT_EQ(0, submit_all(&r));
		EXPECT_EQ(0, res_ms(&r, OTHER, SOON));
		EXPECT_EQ(-ECANCELED, res_ms(&r, i, SOON));
	}
	EXPECT_EQ(0, thaw(image.mnt));
	for (i = 0; i < 101; i++) {
		if (i >= 10 && i < 90)
			continue;
		res = res_ms(&r, i, SOON);
		EXPECT_EQ(SIZE, res);
		cancelled += res == -ECANCELED;
	}
	EXPECT_EQ(0, cancelled);
	expect_last(_metadata, fd, 101);
	ring_exit(&r);
	close(fd);
	EXPECT_TRUE(image_unmount(&image));
}

RING_TEST_MAIN
