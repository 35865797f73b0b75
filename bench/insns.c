// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of the emulator (QEMU's TCG) that counts how often each block of
 * code runs between two marks, which a program in the guest executes.
 *
 * usage: qemu-system-x86_64 -plugin insns.so,out=FILE
 *
 * The marks are nop instructions with a unique constant (mark.h). For each pair
 * of marks, FILE gets a line "window N", and a line for each block of straight
 * code that ran: its address, the number of its instructions, how often it
 * began, and its length in bytes.
 *
 * It works with one virtual CPU only, because the counters have no lock.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

/*
 * The used part of the plugin interface, version 1. Debian's packages have an
 * emulator with this interface, but no header for it.
 */
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { CB_NO_REGS };
enum { INLINE_ADD_U64 };

typedef void tb_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void exec_fn(unsigned int vcpu, void *data);
typedef void exit_fn(uint64_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op,
					      void *counter, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_fn *fn, int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, exit_fn *fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			       int argc, char **argv);

/* A translated block of straight code. Blocks are never freed. */
struct piece {
	struct piece *next;
	uint64_t count;		/* how often it began */
	uint64_t addr;
	unsigned int insns, bytes;
};

static struct piece *pieces;
static unsigned int windows;
static FILE *out;

static void window_begins(unsigned int vcpu, void *data)
{
	struct piece *p;

	for (p = pieces; p; p = p->next)
		p->count = 0;
}

static void window_ends(unsigned int vcpu, void *data)
{
	struct piece *p;

	fprintf(out, "window %u\n", ++windows);
	for (p = pieces; p; p = p->next)
		if (p->count)
			fprintf(out, "%" PRIx64 " %u %" PRIu64 " %u\n", p->addr,
				p->insns, p->count, p->bytes);
	fflush(out);
}

static bool is_mark(const struct qemu_plugin_insn *insn, uint32_t mark)
{
	/* nopl disp32(%rax,%rax) */
	static const unsigned char nop[] = { 0x0f, 0x1f, 0x84, 0x00 };
	const unsigned char *code = qemu_plugin_insn_data(insn);

	return qemu_plugin_insn_size(insn) == sizeof(nop) + sizeof(mark) &&
	       !memcmp(code, nop, sizeof(nop)) &&
	       !memcmp(code + sizeof(nop), &mark, sizeof(mark));
}

static void call_at(struct qemu_plugin_insn *insn, exec_fn *fn)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, CB_NO_REGS, NULL);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct piece *p = calloc(1, sizeof(*p));
	struct qemu_plugin_insn *insn;
	size_t i;

	if (!p)
		abort();
	p->addr = qemu_plugin_tb_vaddr(tb);
	p->insns = qemu_plugin_tb_n_insns(tb);
	for (i = 0; i < p->insns; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		p->bytes += qemu_plugin_insn_size(insn);
		if (is_mark(insn, MARK_BEGIN))
			call_at(insn, window_begins);
		else if (is_mark(insn, MARK_END))
			call_at(insn, window_ends);
	}
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &p->count, 1);
	p->next = pieces;
	pieces = p;
}

static void finished(uint64_t id, void *data)
{
	fclose(out);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
