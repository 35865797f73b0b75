/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program has in common: a fixture that remembers the state
 * of the module before each test and wants it back after, and a main() that
 * skips the whole program where there is no module.
 *
 * Include after kselftest_harness.h.
 */
#ifndef SELFTESTS_IOURING2_FIXTURE_H
#define SELFTESTS_IOURING2_FIXTURE_H

#include "reason.h"
#include "ring.h"

/* Seconds before a test counts as hung; machines may be emulated ones */
#define LIMIT	240

/*
 * I9: after the last close nothing of a ring is left, at once.
 *
 * Another one is for tests that are done once for each case of a table. What
 * follows RING_FIXTURE(name) says what a case is; FIXTURE_VARIANT_ADD(name, case)
 * is one, and TEST_F_TIMEOUT(name, test, LIMIT) with it is the result
 * "name.case.test".
 */
#define RING_FIXTURE(name)						\
FIXTURE(name) {								\
	struct state before;						\
};									\
									\
FIXTURE_SETUP(name)							\
{									\
	state_read(&self->before);					\
}									\
									\
FIXTURE_TEARDOWN(name)							\
{									\
	EXPECT_STREQ("", state_diff(&self->before, false));		\
}									\
									\
FIXTURE_VARIANT(name)

RING_FIXTURE(ring);

#define RING_TEST(name)	TEST_F_TIMEOUT(ring, name, LIMIT)

static inline int ring_test_main(int argc, char **argv)
{
	const char *why;

	if (!dev_usable(&why)) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	return test_harness_run(argc, argv);
}

#define RING_TEST_MAIN							\
int main(int argc, char **argv)						\
{									\
	return ring_test_main(argc, argv);				\
}

#endif
