// SPDX-License-Identifier: GPL-2.0
/*
 * For load.sh: make a ring with requests in flight in every context, and keep
 * it until killed; or, with an argument, leave at once.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include "ring.h"
#include "victims.h"

int main(int argc, char **argv)
{
	struct scene s;
	struct ring r;
	unsigned int i;

	(void)argv;
	if (scene_open(&s) || ring_init(&r, 32, 0)) {
		perror("load_hold");
		return 1;
	}
	for (i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		if (victim_possible(&victims[i], &s) &&
		    !victim_start(&victims[i], &r, &s)) {
			fprintf(stderr, "load_hold: no %s\n",
				victims[i].name);
			return 1;
		}
	}
	while (argc < 2)
		pause();
	return 0;
}
