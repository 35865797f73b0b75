// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request that computes for longer than a task in ENTER may block for it, and that
 * looks for signals meanwhile: it is done once.
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

/* Has the page cache full of @want bytes of disks, charged to its cgroup */
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
		/* what is there already is charged to somebody else */
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		while (got < want && (n = read(fd, mem, MIB)) > 0)
			got += n;
		close(fd);
	}
	free(mem);
	return got;
}

/* For a second nearly all of a processor's time is for somebody more important */
static void *hog_cpu(void *arg)
{
	struct sched_param first = { .sched_priority = 1 };
	bool *stop = arg;
	long long end;
	int i;

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	/* what is slow enough by itself need not be slower */
	for (i = 0; i < 40 && !ld_acq(stop); i++) {
		end = now_ns(CLOCK_MONOTONIC) + 25 * NSEC_PER_MSEC;
		while (now_ns(CLOCK_MONOTONIC) < end)
			;
		usleep(2000);
	}
	return NULL;
}

/* So that it lasts for longer than a request may block, on any machine */
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
		return reason("not begun: %d", ret);
	if (fill_page_cache(240 * MIB) < 240 * MIB)
		return "no disk is large enough";
	before = group_bytes();
	took = now_ns(CLOCK_MONOTONIC);
	ret = write_slowly(&r, fd, "160M");
	took = now_ns(CLOCK_MONOTONIC) - took;
	after = group_bytes();
	ring_exit(&r);
	printf("# of %ld MiB, %ld less in %ld ms\n", before / MIB,
	       (before - after) / MIB, took / (long)NSEC_PER_MSEC);
	if (ret != 4)
		return reason("WRITE of \"160M\": %d", ret);
	if (before - after < 130 * MIB || before - after > 200 * MIB)
		return reason("of %ld MiB it took %ld", before / MIB,
			      (before - after) / MIB);
	return "";
}

/*
 * Who does a long piece of work looks for signals, and would end before it is done:
 * that its time is over is told to who sleeps. It would be done once more, and more.
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
