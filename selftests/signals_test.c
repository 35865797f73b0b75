// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals that a write sends to its process: SIGPIPE if there is no reader, and
 * SIGXFSZ beyond RLIMIT_FSIZE. They must be sent whichever task executes the
 * write, on every kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "kselftest_harness.h"
#include "fixture.h"
#include "bounded.h"

static char buf[65536];
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = caught * 100 + sig;
}

struct way {
	int op;
	enum manner how;
	bool waits, socket, ignored, fatal;
};

/* The signal comes, but sometimes a little later than the completion */
static int caught_soon(void)
{
	int sig;

	until_ms(caught, SOON);
	sig = caught;
	caught = 0;
	return sig;
}

static int open_writer(const struct way *w, int fd[2])
{
	if (w->socket)
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd);
	return pipe2(fd, O_CLOEXEC);
}

/* A write that finds no reader, or whose reader leaves while the write waits */
static int broken_write(struct ring *r, const struct way *w)
{
	static struct iovec iov = { buf, 8 };
	bool vec = w->op == IOURING2_OP_WRITEV;
	struct iouring2_cqe cqe;
	int fd[2], ret;

	if (open_writer(w, fd))
		return -errno;
	if (w->waits) {
		fcntl(fd[1], F_SETFL, O_NONBLOCK);
		while (write(fd[1], buf, sizeof(buf)) > 0)
			;
		fcntl(fd[1], F_SETFL, 0);
	} else {
		close(fd[0]);
	}
	ret = start_how(r, w->how, w->op, fd[1], vec ? (void *)&iov : buf,
			vec ? 1 : 8, 0);
	if (w->waits && w->how == LINKED)
		take_ms(r, TIMER, &cqe, SOON);
	if (w->waits) {
		usleep(50000);
		close(fd[0]);
	}
	if (!ret && w->waits && w->how == LINKED)
		ret = res_ms(r, TRIED, SOON);
	else if (!ret)
		ret = finish_how(r, w->how, SOON);
	close(fd[1]);
	return ret;
}

static const char *sigpipe(void *arg)
{
	struct way *w = arg;
	struct ring r;
	int ret, sig;

	signal(SIGPIPE, w->fatal ? SIG_DFL : w->ignored ? SIG_IGN : on_signal);
	if (ring_init(&r, 8, 0))
		return "no ring";
	ret = broken_write(&r, w);
	if (w->fatal) {
		usleep(500000);
		return reason("the process survived, result %d", ret);
	}
	if (ret != -EPIPE)
		return reason("result %d", ret);
	sig = w->ignored ? SIGPIPE : caught_soon();
	if (sig != SIGPIPE)
		return reason("signal %d", sig);
	ring_exit(&r);
	return "";
}

static void pipes(struct __test_metadata *_metadata, bool waits, bool ignored)
{
	struct way w = { .waits = waits, .ignored = ignored };
	int i;

	for (i = 0; i < NR_HOW * 2; i++) {
		w.how = i % NR_HOW;
		w.op = i / NR_HOW ? IOURING2_OP_WRITEV : IOURING2_OP_WRITE;
		EXPECT_STREQ("", child_ms(sigpipe, &w, 40000)) {
			TH_LOG("WRITE%s, %s%s", i / NR_HOW ? "V" : "",
			       how_name(w.how), waits ? ", had to wait" : "");
		}
	}
}

BOUNDED_TEST(pipe_without_reader)
{
	pipes(_metadata, false, false);
}

BOUNDED_TEST(pipe_without_reader_ignored)
{
	pipes(_metadata, false, true);
}

BOUNDED_TEST(pipe_loses_reader)
{
	pipes(_metadata, true, false);
}

MANNER_FIXTURE(manner);

/* The reader reads a part of the data, and leaves */
static const char *sigpipe_half_way(void *arg)
{
	static char much[1 << 18], part[1 << 12];
	const enum manner *how = arg;
	struct ring r;
	int fd[2], ret, sig;

	signal(SIGPIPE, on_signal);
	if (ring_init(&r, 8, 0) || pipe2(fd, O_CLOEXEC))
		return "no ring or pipe";
	if (start_how(&r, *how, IOURING2_OP_WRITE, fd[1], much, sizeof(much), 0))
		return "not submitted";
	if (read(fd[0], part, sizeof(part)) != sizeof(part))
		return "nothing was written";
	ret = finish_how(&r, *how, A_WHILE);
	/*
	 * on this kernel the write ended with what fits into the pipe: nothing
	 * waits
	 */
	if (ret != NEVER)
		return "";
	close(fd[0]);
	ret = res_ms(&r, TRIED, SOON);
	if (ret <= 0 || ret >= (int)sizeof(much))
		return reason("result %d", ret);
	sig = caught_soon();
	if (sig != SIGPIPE)
		return reason("signal %d", sig);
	ring_exit(&r);
	return "";
}

TEST_F_TIMEOUT(manner, pipe_loses_reader_half_way, 100)
{
	EXPECT_STREQ("", child_ms(sigpipe_half_way, (void *)&variant->how, 40000));
}

/* The default action of SIGPIPE kills the process */
TEST_F_TIMEOUT(manner, pipe_without_reader_kills, 100)
{
	struct way w = {
		.op = IOURING2_OP_WRITE, .how = variant->how, .fatal = true,
	};
	char text[64];

	snprintf(text, sizeof(text), "the child's status: 0x%x", SIGPIPE);
	EXPECT_STREQ(text, child_ms(sigpipe, &w, 40000));
}

/* io_uring's sends use MSG_NOSIGNAL; a WRITE behaves as write(2) does */
TEST_F_TIMEOUT(manner, socket_without_peer, 100)
{
	struct way w = {
		.op = IOURING2_OP_WRITE, .how = variant->how, .socket = true,
	};

	EXPECT_STREQ("", child_ms(sigpipe, &w, 40000));
}

/* --------------------------------------------------------- RLIMIT_FSIZE */

static const char *sigxfsz(void *arg)
{
	struct way *w = arg;
	struct rlimit lim = { 4096, RLIM_INFINITY };
	static struct iovec iov = { buf, 512 };
	bool vec = w->op == IOURING2_OP_WRITEV;
	struct ring r;
	char path[] = "/var/tmp/iouring2-fsize-XXXXXX";
	int fd, ret, sig;

	signal(SIGXFSZ, w->ignored ? SIG_IGN : on_signal);
	fd = mkostemp(path, O_CLOEXEC);
	unlink(path);
	if (ring_init(&r, 8, 0) || fd < 0 || setrlimit(RLIMIT_FSIZE, &lim))
		return "no ring";
	/* a write up to the limit is short; a write beyond the limit fails */
	ret = do_how(&r, w->how, IOURING2_OP_WRITE, fd, buf, 8192, 0);
	if (ret != 4096)
		return reason("write up to the limit: %d", ret);
	/*
	 * when the ring has ended, no task can send a signal for its requests
	 */
	ring_exit(&r);
	if (caught)
		return "a signal came for a short write";
	if (ring_init(&r, 8, 0))
		return "no second ring";
	ret = do_how(&r, w->how, w->op, fd, vec ? (void *)&iov : buf,
		     vec ? 1 : 512, 4096);
	if (ret != -EFBIG)
		return reason("write beyond the limit: %d", ret);
	sig = w->ignored ? SIGXFSZ : caught_soon();
	if (sig != SIGXFSZ)
		return reason("signal %d", sig);
	if (lseek(fd, 0, SEEK_END) != 4096)
		return "the file has grown";
	ring_exit(&r);
	return "";
}

static void sizes(struct __test_metadata *_metadata, bool ignored)
{
	struct way w = { .ignored = ignored };
	int i;

	for (i = 0; i < NR_HOW * 2; i++) {
		w.how = i % NR_HOW;
		w.op = i / NR_HOW ? IOURING2_OP_WRITEV : IOURING2_OP_WRITE;
		EXPECT_STREQ("", child_ms(sigxfsz, &w, 40000)) {
			TH_LOG("WRITE%s, %s", i / NR_HOW ? "V" : "",
			       how_name(w.how));
		}
	}
}

BOUNDED_TEST(file_size_limit)
{
	sizes(_metadata, false);
}

BOUNDED_TEST(file_size_limit_ignored)
{
	sizes(_metadata, true);
}

RING_TEST_MAIN
