/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that counts against RLIMIT_MEMLOCK. */
#ifndef IO2_MEMLOCK_H
#define IO2_MEMLOCK_H

struct cred;

/**
 * struct io2_memlock - a charge to a user's RLIMIT_MEMLOCK
 * @cred: credentials of the user, or NULL if nothing is charged
 * @pages: the pages that are charged
 *
 * Lifetime: part of the object that has the memory. No lock is needed, as the
 * fields are constant while it exists.
 */
struct io2_memlock {
	const struct cred	*cred;
	unsigned long		pages;
};

int io2_memlock_charge(struct io2_memlock *m, unsigned long pages);
void io2_memlock_uncharge(struct io2_memlock *m);

#endif
