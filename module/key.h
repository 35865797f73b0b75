/* SPDX-License-Identifier: GPL-2.0-only */
/* Ordering keys, for requests of which only one should run at a time. */
#ifndef IO2_KEY_H
#define IO2_KEY_H

#include <linux/types.h>

struct io2_key;
struct io2_req;

bool io2_key_take(struct io2_req *req);
struct io2_req *io2_key_pass(struct io2_req *req, struct io2_key **unused);
bool io2_key_is_for_worker(const struct io2_req *req);
void io2_key_free(struct io2_key *key);

#endif
