/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by all test programs: a fixture that records the state of the module
 * before each test and requires the same state afterwards, and a main() that
 * skips the whole program if there is no module.
 *
 * Include after kselftest_harness.h.
 */
#ifndef SELFTESTS_IOURING2_FIXTURE_H
#define SELFTESTS_IOURING2_FIXTURE_H

#include "reason.h"
#include "ring.h"

/* Seconds after which a test counts as hung; machines may be emulated */
#define LIMIT	240

/*
 * RING_FIXTURE(name) makes a fixture that checks rule I9 of docs/lifetime.md
 * after each test: as soon as the last close returns, nothing is left of a
 * ring.
 *
 * The fields of a case follow RING_FIXTURE(name) in braces. A fixture can have
 * cases: FIXTURE_VARIANT_ADD(name, case) adds one. TEST_F_TIMEOUT(name, test,
 * LIMIT) then runs once for each case, and its result is "name.case.test".
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
