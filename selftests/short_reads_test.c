// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read may return less than was asked for. For a file that is no regular file
 * on a disk, this is the result, as it is for read(2). A regular file on a disk
 * returns all data that it has.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

#define SIZE	65536

static char got[SIZE], want[SIZE];

static const char *tracing(void)
{
	static const char * const dirs[] = {
		"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
	};
	unsigned int i;
	char path[64];

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/trace_pipe", dirs[i]);
		if (!access(path, R_OK))
			return dirs[i];
	}
	return NULL;
}

/* There is one line: the read returns it, however much more was asked for */
BOUNDED_TEST(trace_pipe)
{
	const char *dir = tracing();
	char path[80], marker[100];
	struct ring r;
	int fd, how, ret;

	if (!dir || !intrusive())
		SKIP(return, "no tracefs");
	snprintf(path, sizeof(path), "%s/instances/io2-short", dir);
	if (mkdir(path, 0755))
		SKIP(return, "no tracing instance can be made");
	snprintf(marker, sizeof(marker), "%s/trace_marker", path);
	strcat(path, "/trace_pipe");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (how = 0; how < NR_HOW; how++) {
		ASSERT_EQ(0, write_text(marker, "way %d\n", how));
		ret = do_how(&r, how, IOURING2_OP_READ, fd, got, sizeof(got) - 1,
			     0);
		EXPECT_LT(0, ret) {
			TH_LOG("%s", how_name(how));
		}
		got[ret > 0 ? ret : 0] = '\0';
		snprintf(want, sizeof(want), "way %d\n", how);
		EXPECT_NE(NULL, strstr(got, want)) {
			TH_LOG("%s: \"%s\"", how_name(how), got);
		}
		/* A read that failed must not take the next line */
		if (ret < 0) {
			ring_exit(&r);
			ASSERT_EQ(0, ring_init(&r, 8, 0));
			fcntl(fd, F_SETFL, O_NONBLOCK);
			while (read(fd, got, sizeof(got)) > 0)
				;
			fcntl(fd, F_SETFL, 0);
		}
	}
	/* a read that waits for its line */
	for (how = 0; how < NR_HOW; how++) {
		ASSERT_EQ(0, start_how(&r, how, IOURING2_OP_READ, fd, got,
				       sizeof(got), 0));
		EXPECT_FALSE(until_ms(pick(&r, TRIED, &(struct iouring2_cqe){}), 100));
		ASSERT_EQ(0, write_text(marker, "late %d\n", how));
		ret = finish_how(&r, how, SOON);
		EXPECT_LT(0, ret) {
			TH_LOG("late, %s", how_name(how));
		}
		if (ret < 0)
			break;
	}
	close(fd);
	ring_exit(&r);
	*strrchr(path, '/') = '\0';
	EXPECT_TRUE(until_ms(!rmdir(path), 5000));
}

/*
 * Files that the kernel generates when they are read, about one page at a time
 */
BOUNDED_TEST(made_files)
{
	static const char * const paths[] = {
		"/proc/version", "/proc/self/maps", "/proc/kallsyms",
		"/proc/filesystems", "/proc/self/cmdline", "/proc/self/environ",
		"/proc/sys/kernel/ostype", "/sys/kernel/uevent_seqnum",
		"/sys/power/state", "/sys/kernel/notes",
		"/sys/kernel/debug/sleep_time", "/proc/config.gz",
		"/proc/self/auxv", "/sys/fs/cgroup/cgroup.controllers",
	};
	unsigned int i;
	struct ring r;
	int fd, how, ret, len;

	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		for (how = 0; how < NR_HOW; how++) {
			len = pread(fd, want, sizeof(want), 0);
			ret = do_how(&r, how, IOURING2_OP_READ, fd, got,
				     sizeof(got), 0);
			EXPECT_EQ(len, ret) {
				TH_LOG("%s, %s", paths[i], how_name(how));
			}
			/* maps can change when a stack grows */
			if (len > 0 && ret == len && !strstr(paths[i], "maps")) {
				EXPECT_EQ(0, memcmp(got, want, len)) {
					TH_LOG("%s, %s", paths[i], how_name(how));
				}
			}
			/*
			 * a second read, at the end, has the result of pread(2)
			 */
			if (len >= 0 && len < 4096) {
				EXPECT_EQ(pread(fd, want, sizeof(want), len),
					  do_how(&r, how, IOURING2_OP_READ, fd,
						 got, sizeof(got), len)) {
					TH_LOG("end of %s, %s", paths[i],
					       how_name(how));
				}
			}
		}
		close(fd);
	}
	ring_exit(&r);
}

/*
 * Some pages are cached, others are not: the read returns all data, and is
 * short only at the end of the file
 */
BOUNDED_TEST(data_files)
{
	static const int open_flags[] = { 0, O_DIRECT };
	enum { FILE_SIZE = SIZE * 4 };
	char path[] = "/var/tmp/iouring2-short-XXXXXX", *mem, *all;
	struct ring r;
	unsigned int i;
	int fd, how, b;

	mem = aligned_alloc(4096, FILE_SIZE);
	all = aligned_alloc(4096, FILE_SIZE);
	for (b = 0; b < FILE_SIZE; b++)
		all[b] = pattern_byte(b);
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(FILE_SIZE, write(fd, all, FILE_SIZE));
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	ASSERT_EQ(0, ring_init(&r, 8, 0));
	for (i = 0; i < ARRAY_SIZE(open_flags); i++) {
		fd = open(path, O_RDWR | O_CLOEXEC | open_flags[i]);
		ASSERT_LE(0, fd);
		for (how = 0; how < NR_HOW; how++) {
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
			/* Cache the first page and one in the middle */
			if (!open_flags[i]) {
				EXPECT_EQ(1, pread(fd, mem, 1, 0));
				EXPECT_EQ(1, pread(fd, mem, 1, FILE_SIZE / 2));
			}
			memset(mem, 0, FILE_SIZE);
			EXPECT_EQ(FILE_SIZE, do_how(&r, how, IOURING2_OP_READ,
						    fd, mem, FILE_SIZE, 0)) {
				TH_LOG("%s", how_name(how));
			}
			EXPECT_EQ(0, memcmp(mem, all, FILE_SIZE));
			EXPECT_EQ(4096, do_how(&r, how, IOURING2_OP_READ, fd,
					       mem, 8192, FILE_SIZE - 4096)) {
				TH_LOG("end of file, %s", how_name(how));
			}
			EXPECT_EQ(0, do_how(&r, how, IOURING2_OP_READ, fd, mem,
					    4096, FILE_SIZE));
		}
		close(fd);
	}
	unlink(path);
	ring_exit(&r);
	free(mem);
	free(all);
}

RING_TEST_MAIN
