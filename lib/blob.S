/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The trap's code, for the programs that install it. */
	.section .rodata
	.balign 16
	.globl	io2_trap_text
	.hidden	io2_trap_text
	.globl	io2_trap_text_end
	.hidden	io2_trap_text_end
io2_trap_text:
	.incbin	IO2_TRAP_BIN
io2_trap_text_end:
	.byte	0
	.section .note.GNU-stack, "", @progbits
