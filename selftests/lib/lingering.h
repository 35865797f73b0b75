/* SPDX-License-Identifier: GPL-2.0-only */
/* A socket whose close takes long */
#ifndef SELFTESTS_IOURING2_LINGERING_H
#define SELFTESTS_IOURING2_LINGERING_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Make a connection. s[0] has data that it cannot send, so its close lingers.
 * s[1] is the other end. Return: 0, or a negative errno.
 */
static inline int lingering(int s[2], int seconds)
{
	struct linger l = { .l_onoff = 1, .l_linger = seconds };
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char junk[65536];
	int small = 4096;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(listener, (void *)&a, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&a, &len))
		return -errno;
	s[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(s[0], (void *)&a, len))
		return -errno;
	s[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (s[1] < 0 || setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)))
		return -errno;
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	while (write(s[0], junk, sizeof(junk)) > 0)
		;
	fcntl(s[0], F_SETFL, 0);
	return 0;
}

#endif
