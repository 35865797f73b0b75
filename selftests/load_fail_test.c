// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load the module while the allocations of one step of its initialisation fail.
 * Loading must fail with an errno and leave neither the module nor its device.
 * Loading without the failure must then succeed.
 *
 * This test unloads the module that it finds. IOURING2_MODULE=FILE names the
 * file to load if modinfo does not know it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "fixture.h"
#include "inject.h"

/*
 * The functions whose allocations are made to fail. kmem_cache_create() is not
 * among them: it prints a warning when it fails, and the judge of the log
 * counts a warning about our cache as a failure.
 */
static const struct step {
	const char *name;
	const char *symbols[4];	/* name of the function, by kernel */
} steps[] = {
	{ "workqueue", { "alloc_workqueue", "alloc_workqueue_noprof",
			 "__alloc_workqueue" } },
	{ "device", { "misc_register" } },
};

static const char * const faults[] = { "failslab", "fail_page_alloc" };

/* Find the address range of a kernel function. Return: whether it exists. */
static bool find_function(const char *name, unsigned long *start,
			  unsigned long *end)
{
	char line[256], type, sym[128];
	unsigned long at;
	int pass;
	FILE *f;

	*start = 0;
	*end = -1UL;
	for (pass = 0; pass < 2; pass++) {
		f = fopen("/proc/kallsyms", "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "%lx %c %127s", &at, &type, sym) != 3)
				continue;
			if (!pass && !strcmp(sym, name))
				*start = at;
			if (pass && at > *start && at < *end)
				*end = at;
		}
		if (f)
			fclose(f);
	}
	return *start;
}

static bool starve_step(const struct step *step)
{
	unsigned long start = 0, end = 0;
	char text[2][32];
	unsigned int i;

	for (i = 0; i < 4 && step->symbols[i] && !start; i++)
		find_function(step->symbols[i], &start, &end);
	if (!start)
		return false;
	snprintf(text[0], sizeof(text[0]), "0x%lx", start);
	snprintf(text[1], sizeof(text[1]), "0x%lx", end);
	for (i = 0; i < 2; i++) {
		fault_knob(faults[i], "stacktrace-depth", "32");
		fault_knob(faults[i], "require-start", text[0]);
		fault_knob(faults[i], "require-end", text[1]);
	}
	inject_all(true);
	return true;
}

static void starve_end(void)
{
	unsigned int i;

	inject_all(false);
	for (i = 0; i < 2; i++) {
		fault_knob(faults[i], "require-start", "0");
		fault_knob(faults[i], "require-end", "0xffffffffffffffff");
	}
}

static int module_file(void)
{
	const char *path = getenv("IOURING2_MODULE");
	char text[512], *nl;
	FILE *p;

	if (path)
		return open(path, O_RDONLY | O_CLOEXEC);
	p = popen("modinfo -n iouring2 2>/dev/null", "r");
	if (!p)
		return -1;
	if (!fgets(text, sizeof(text), p))
		text[0] = '\0';
	pclose(p);
	nl = strchr(text, '\n');
	if (nl)
		*nl = '\0';
	/* A compressed module cannot be loaded from its file here */
	nl = strrchr(text, '.');
	return nl && !strcmp(nl, ".ko") ? open(text, O_RDONLY | O_CLOEXEC) : -1;
}

static int load(int fd)
{
	return syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
}

static int unload(void)
{
	return syscall(__NR_delete_module, "iouring2", O_NONBLOCK) ? -errno : 0;
}

RING_TEST(every_step)
{
	int fd = module_file(), all_fd, ret;
	unsigned int i;

	if (!intrusive() || fd < 0 || !inject_ready() ||
	    access(FAULT_DIR "failslab/require-start", W_OK))
		SKIP(return, "no file to load, or no fault injection");
	all_fd = task_knob_open(0, "make-it-fail");
	ASSERT_LE(0, all_fd);
	ASSERT_EQ(0, unload());
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		EXPECT_TRUE(starve_step(&steps[i])) {
			TH_LOG("%s", steps[i].name);
		}
		ASSERT_EQ(1, pwrite(all_fd, "1", 1, 0));
		ret = load(fd);
		ASSERT_EQ(1, pwrite(all_fd, "0", 1, 0));
		starve_end();
		EXPECT_EQ(-ENOMEM, ret) {
			TH_LOG("%s", steps[i].name);
		}
		EXPECT_NE(0, access("/sys/module/iouring2", F_OK));
		EXPECT_NE(0, access("/dev/iouring2", F_OK));
		if (!ret)
			EXPECT_EQ(0, unload());
	}
	ASSERT_EQ(0, load(fd));
	close(all_fd);
	close(fd);
}

RING_TEST_MAIN
