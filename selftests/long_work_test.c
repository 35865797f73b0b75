// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request may compute for longer than a task in ENTER may block, and look for
 * signals meanwhile. Such a request must be executed exactly once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define GROUP		"/sys/fs/cgroup/io2-long"
#define MIB		1048576L

/* Fill the page cache with @want bytes of disks, charged to our cgroup */
static long fill_page_cache(long want)
{
	static const char * const disks[] = {
		"/dev/vda", "/dev/vdb", "/dev/vdc", "/dev/sda", "/dev/nvme0n1",
	};
	char *mem = malloc(MIB);
	long got = 0;
	unsigned int i;
	ssize_t n;
	int fd;

	for (i = 0; i < ARRAY_SIZE(disks) && got < want; i++) {
		fd = open(disks[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* Drop cached pages, which are charged to another cgroup */
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		while (got < want && (n = read(fd, mem, MIB)) > 0)
			got += n;
		close(fd);
	}
	free(mem);
	return got;
}

/* For one second, a realtime task takes nearly all of the processor's time */
static void *hog_cpu(void *arg)
{
	struct sched_param first = { .sched_priority = 1 };
	bool *stop = arg;
	long long end;
	int i;

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	/* Stop early if the write is slow enough by itself */
	for (i = 0; i < 40 && !ld_acq(stop); i++) {
		end = now_ns(CLOCK_MONOTONIC) + 25 * NSEC_PER_MSEC;
		while (now_ns(CLOCK_MONOTONIC) < end)
			;
		usleep(2000);
	}
	return NULL;
}

/* Make the write last longer than a request may block, on any machine */
static int write_slowly(struct ring *r, int fd, const char *text)
{
	bool stop = false;
	pthread_t hog;
	int ret;

	if (pin_to_one_cpu() || pthread_create(&hog, NULL, hog_cpu, &stop))
		return -EAGAIN;
	ret = do_one(r, IOURING2_OP_WRITE, fd, text, strlen(text), 0, 0);
	st_rel(&stop, true);
	pthread_join(hog, NULL);
	return ret;
}

static long group_bytes(void)
{
	char text[40];

	return read_text(GROUP "/memory.current", text, sizeof(text)) > 0 ?
	       atol(text) : -1;
}

static const char *reclaims(void *arg)
{
	long before, after, took;
	struct ring r;
	int fd, ret;

	ret = write_text(GROUP "/cgroup.procs", "0");
	fd = open(GROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);
	if (ret || fd < 0 || ring_init(&r, 8, 0))
		return reason("setup failed: %d", ret);
	if (fill_page_cache(240 * MIB) < 240 * MIB)
		return "no disk is large enough";
	before = group_bytes();
	took = now_ns(CLOCK_MONOTONIC);
	ret = write_slowly(&r, fd, "160M");
	took = now_ns(CLOCK_MONOTONIC) - took;
	after = group_bytes();
	ring_exit(&r);
	printf("# %ld MiB charged, %ld MiB reclaimed in %ld ms\n", before / MIB,
	       (before - after) / MIB, took / (long)NSEC_PER_MSEC);
	if (ret != 4)
		return reason("WRITE of \"160M\": %d", ret);
	if (before - after < 130 * MIB || before - after > 200 * MIB)
		return reason("of %ld MiB it reclaimed %ld", before / MIB,
			      (before - after) / MIB);
	return "";
}

/*
 * A write to memory.reclaim looks for signals, and ends early if one is
 * pending. The module must not interrupt it when the time to block is over:
 * only a sleeping task is to be told. Otherwise the write would be executed
 * again, and reclaim more than was asked for.
 */
BOUNDED_TEST(done_once)
{
	if (write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory") ||
	    mkdir(GROUP, 0755))
		SKIP(return, "no memory cgroup v2");
	if (access(GROUP "/memory.reclaim", W_OK)) {
		rmdir(GROUP);
		SKIP(return, "no memory.reclaim before 5.19");
	}
	EXPECT_STREQ("", child_ms(reclaims, NULL, 80000));
	EXPECT_TRUE(until_ms(!rmdir(GROUP) || errno == ENOENT, SOON));
}

RING_TEST_MAIN
