// SPDX-License-Identifier: MIT
/* Print a file through a ring: cc -o read_file read_file.c && ./read_file FILE */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/iouring2.h>

#define MAP(fd, size, off) mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off)

int main(int argc, char **argv)
{
	static char buf[65536];
	struct iouring2_setup s = { .entries = 1, .params.flags = IOURING2_SETUP_NO_SQARRAY };
	struct iouring2_enter e = { .min_complete = 1, .flags = IOURING2_ENTER_GETEVENTS };
	int dev = open("/dev/iouring2", O_RDWR), ring = dev < 0 ? -1 : ioctl(dev, IOURING2_IOC_SETUP, &s);

	if (ring < 0)
		err(1, "/dev/iouring2");
	int file = open(argc > 1 ? argv[1] : "/proc/version", O_RDONLY);
	char *r = MAP(ring, s.params.cq_off.cqes + s.params.cq_entries * sizeof(struct iouring2_cqe), IOURING2_OFF_SQ_RING);
	struct iouring2_sqe *sqe = MAP(ring, sizeof(*sqe), IOURING2_OFF_SQES);
	__u32 *sq_tail = (void *)(r + s.params.sq_off.tail);
	__u32 *cq_head = (void *)(r + s.params.cq_off.head), *cq_tail = (void *)(r + s.params.cq_off.tail);
	struct iouring2_cqe *cqes = (void *)(r + s.params.cq_off.cqes);

	if (file < 0 || r == MAP_FAILED || sqe == MAP_FAILED)
		err(1, "cannot open the file or map the ring");
	for (int res = 1, off = 0; res > 0; off += res) {
		*sqe = (struct iouring2_sqe){ .opcode = IOURING2_OP_READ, .fd = file, .off = off,
					      .addr = (__u64)(unsigned long)buf, .len = sizeof(buf) };
		__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
		e.to_submit = 1;
		while (__atomic_load_n(cq_tail, __ATOMIC_ACQUIRE) == *cq_head) {
			int taken = ioctl(ring, IOURING2_IOC_ENTER, &e);	/* submits, then waits for the completion */

			if (taken < 0 && errno != EINTR)
				err(1, "ENTER");
			if (taken > 0)
				e.to_submit = 0;	/* if it is called again, only wait */
		}
		res = cqes[*cq_head & (s.params.cq_entries - 1)].res;
		__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
		if (res < 0 || write(STDOUT_FILENO, buf, res) != res)
			errx(1, "read or write failed (%d)", res);
	}
	return 0;
}
