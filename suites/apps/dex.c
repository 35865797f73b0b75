// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy a file with libdex, GNOME's library for futures and fibers. Fibers of the main
 * thread, or of libdex's pool of threads, copy blocks at the same time. Each of these
 * threads has a ring, whose descriptor libdex registers.
 *
 * usage: dex main|pool FROM TO
 *
 * The program loads libdex at run time, because only some releases have it. Its types
 * are declared here for the same reason.
 *
 * Exit status: 0; 1 after a message; 77 there is no libdex
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIBERS	24
#define BLOCK	16384

struct error {
	unsigned int	domain;
	int		code;
	const char	*message;
};

static void (*dex_init)(void);
static void *(*dex_scheduler_get_default)(void);
static void *(*dex_thread_pool_scheduler_get_default)(void);
static void *(*dex_scheduler_spawn)(void *scheduler, size_t stack, void *(*fiber)(void *arg),
				    void *arg, void (*destroy)(void *arg));
static void *(*dex_aio_read)(void *context, int fd, void *buf, size_t n, long offset);
static void *(*dex_aio_write)(void *context, int fd, const void *buf, size_t n, long offset);
static long (*dex_await_int64)(void *future, struct error **error);
static void *(*dex_future_new_for_boolean)(int value);
static void (*dex_unref)(void *object);
static void *(*g_main_loop_new)(void *context, int running);
static void (*g_main_loop_run)(void *loop);
static void (*g_main_loop_quit)(void *loop);
static unsigned int (*g_idle_add)(int (*function)(void *arg), void *arg);

static int from, to;
static long size;
static void *loop;
static int running = FIBERS;

static void fail(const char *what, long block, const struct error *error)
{
	fprintf(stderr, "%s of block %ld: %s\n", what, block, error ? error->message : "short");
	exit(1);
}

static int quit(void *arg)
{
	g_main_loop_quit(arg);
	return 0;
}

static void copy_block(long block, char *buf)
{
	long offset = block * BLOCK, n = size - offset < BLOCK ? size - offset : BLOCK;
	struct error *error = NULL;

	if (dex_await_int64(dex_aio_read(NULL, from, buf, BLOCK, offset), &error) != n)
		fail("read", block, error);
	if (dex_await_int64(dex_aio_write(NULL, to, buf, (size_t)n, offset), &error) != n)
		fail("write", block, error);
}

static void *fiber(void *arg)
{
	char *buf = malloc(BLOCK);
	long block;

	if (!buf)
		exit(1);
	for (block = (long)arg; block * BLOCK < size; block += FIBERS)
		copy_block(block, buf);
	free(buf);
	if (!__atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST))
		g_idle_add(quit, loop);
	return dex_future_new_for_boolean(1);
}

#define LOAD(name) \
	do { \
		name = (__typeof__(name))dlsym(RTLD_DEFAULT, #name); \
		if (!name) { \
			printf("libdex has no %s\n", #name); \
			return 1; \
		} \
	} while (0)

static int load(void)
{
	if (!dlopen("libdex-1.so.1", RTLD_NOW | RTLD_GLOBAL)) {
		puts("this release has no libdex");
		return 77;
	}
	LOAD(dex_init);
	LOAD(dex_scheduler_get_default);
	LOAD(dex_thread_pool_scheduler_get_default);
	LOAD(dex_scheduler_spawn);
	LOAD(dex_aio_read);
	LOAD(dex_aio_write);
	LOAD(dex_await_int64);
	LOAD(dex_future_new_for_boolean);
	LOAD(dex_unref);
	LOAD(g_main_loop_new);
	LOAD(g_main_loop_run);
	LOAD(g_main_loop_quit);
	LOAD(g_idle_add);
	return 0;
}

int main(int argc, char **argv)
{
	void *scheduler, *futures[FIBERS];
	struct stat st;
	long i;
	int ret;

	if (argc != 4)
		return 1;
	ret = load();
	if (ret)
		return ret;
	from = open(argv[2], O_RDONLY);
	to = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st)) {
		perror("open");
		return 1;
	}
	size = st.st_size;
	dex_init();
	scheduler = !strcmp(argv[1], "pool") ? dex_thread_pool_scheduler_get_default() :
					       dex_scheduler_get_default();
	loop = g_main_loop_new(NULL, 0);
	for (i = 0; i < FIBERS; i++)
		futures[i] = dex_scheduler_spawn(scheduler, 0, fiber, (void *)i, NULL);
	g_main_loop_run(loop);
	for (i = 0; i < FIBERS; i++)
		dex_unref(futures[i]);
	return 0;
}
