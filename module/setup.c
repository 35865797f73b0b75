// SPDX-License-Identifier: GPL-2.0-only
/*
 * SETUP. io2_ring_alloc() initialises everything. Then each step that can fail
 * has its own label that undoes it, in reverse order (I7). No label ends a live
 * ring (I8). Installing the descriptor is the last step and cannot fail.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "debug/fault.h"
#include "debug/trace.h"
#include "layout.h"
#include "ring.h"
#include "rings.h"
#include "setup.h"
#include "submitter.h"

unsigned int io2_inflight_default = 131072;
module_param_named(inflight_default, io2_inflight_default, uint, 0644);
MODULE_PARM_DESC(inflight_default, "default limit of requests in flight per ring");

unsigned int io2_inflight_max = 1048576;
module_param_named(inflight_max, io2_inflight_max, uint, 0644);
MODULE_PARM_DESC(inflight_max, "highest limit of requests in flight that a ring may ask for");

static void ring_configure(struct io2_ring *ring,
			   const struct iouring2_setup *s)
{
	ring->ring_flags = s->flags;
	ring->setup_flags = s->params.flags;
	ring->disabled = s->params.flags & IOURING2_SETUP_R_DISABLED;
	ring->sqe_shift = io2_sqe_shift(s->params.flags);
	ring->cqe_shift = io2_cqe_shift(s->params.flags);
	ring->max_inflight = s->max_inflight;
	if ((ring->setup_flags & IOURING2_SETUP_SINGLE_ISSUER) && !ring->disabled)
		io2_ring_set_issuer(ring);
}

/*
 * Makes the ring look as if @first requests had completed. For tests, see
 * fault.c.
 */
static void ring_count_from(struct io2_ring *ring, u32 first)
{
	struct io2_shared *shared = ring->shared;

	if (!first)
		return;
	ring->accepted = first;
	ring->completed = first;
	ring->completed_snapshot = first;
	ring->cq_events = first;
	if (!(ring->setup_flags & IOURING2_SETUP_SQ_REWIND)) {
		ring->sq_head = first;
		shared->sq_head = first;
		shared->sq_tail = first;
	}
	ring->cq_tail = first;
	ring->cq_fill = first;
	ring->cq_head_seen = first;
	shared->cq_tail = first;
	shared->cq_head = first;
}

static int ring_build_submitter(struct io2_ring *ring)
{
	int ret;

	if (io2_fault_inject("ring", "submitter"))
		return -ENOMEM;
	mutex_lock(&ring->uring_lock);
	ret = io2_submitter_make(ring);
	mutex_unlock(&ring->uring_lock);
	return ret;
}

static int reserve_fd(void)
{
	if (io2_fault_inject("file", "descriptor"))
		return -EMFILE;
	return get_unused_fd_flags(O_RDWR | O_CLOEXEC);
}

static int copy_out(void __user *uarg, const struct iouring2_setup *s)
{
	if (io2_fault_inject("file", "copy-out"))
		return -EFAULT;
	return copy_to_user(uarg, s, sizeof(*s)) ? -EFAULT : 0;
}

static struct file *make_file(void)
{
	if (io2_fault_inject("file", "anon inode"))
		return ERR_PTR(-ENFILE);
	return io2_ring_file();
}

static struct io2_ring *alloc_ring(void)
{
	if (io2_fault_inject("ring", "struct"))
		return NULL;
	return io2_ring_alloc();
}

/* Traces a step of SETUP that has failed. Return: @err, 0 or a negative errno. */
static int setup_step(const struct io2_ring *ring, const char *step, int err)
{
	if (err < 0)
		trace_iouring2_create_failed(ring, step, err);
	return err;
}

static int setup_rings(struct io2_ring *ring, const struct iouring2_params *p,
		       const struct io2_layout *l)
{
	struct io2_rings *rings;
	const char *step;

	rings = io2_rings_build(p, l, &step);
	if (IS_ERR(rings))
		return setup_step(ring, step, PTR_ERR(rings));
	io2_rings_use(ring, rings);
	return 0;
}

/* Return: the new descriptor, or a negative errno; then nothing has changed. */
static int setup_ring(struct iouring2_setup *s, void __user *uarg)
{
	struct io2_ring *ring;
	struct file *file;
	struct io2_layout l;
	int ret, fd;

	io2_layout_make(&l, &s->params);
	io2_layout_tell(&s->params, &l);
	ring = alloc_ring();
	if (!ring)
		return setup_step(NULL, "ring", -ENOMEM);
	ring_configure(ring, s);
	ret = setup_rings(ring, &s->params, &l);
	if (ret)
		goto err_ring;
	ring_count_from(ring, io2_fault_first());
	ret = setup_step(ring, "submitter", ring_build_submitter(ring));
	if (ret)
		goto err_rings;
	fd = setup_step(ring, "descriptor", reserve_fd());
	if (fd < 0) {
		ret = fd;
		goto err_submitter;
	}
	file = make_file();
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		setup_step(ring, "file", ret);
		goto err_fd;
	}
	ret = setup_step(ring, "copy-out", copy_out(uarg, s));
	if (ret)
		goto err_file;
	io2_ring_go_live(ring, file);
	trace_iouring2_create(ring, fd);
	fd_install(fd, file);
	return fd;

err_file:
	/* the file has no ring yet, so its release does nothing */
	fput(file);
err_fd:
	put_unused_fd(fd);
err_submitter:
	io2_submitters_drop(ring);
err_rings:
	io2_shm_put(&rcu_dereference_protected(ring->rings, true)->shm);
err_ring:
	io2_ring_free(ring);
	return ret;
}

static int setup_args(struct iouring2_setup *s, unsigned int size,
		      void __user *uarg)
{
	int ret;

	if (size < sizeof(*s))
		return -EINVAL;
	ret = copy_struct_from_user(s, sizeof(*s), uarg, size);
	return ret ? : io2_setup_check(s, READ_ONCE(io2_inflight_default),
				       READ_ONCE(io2_inflight_max));
}

/**
 * io2_setup() - the SETUP ioctl
 * @size: size of the caller's struct iouring2_setup in bytes
 * @uarg: its user address
 *
 * Context: may sleep.
 * Return: a ring descriptor; -EINVAL, -E2BIG, -EOVERFLOW, -EFAULT, -ENOMEM,
 * -EMFILE, -ENFILE; see iouring2(4).
 */
long io2_setup(unsigned int size, void __user *uarg)
{
	struct iouring2_setup s;
	int ret;

	ret = setup_step(NULL, "arguments", setup_args(&s, size, uarg));
	if (ret)
		return ret;
	io2_fault_begin();
	ret = setup_ring(&s, uarg);
	io2_fault_end();
	return ret;
}
