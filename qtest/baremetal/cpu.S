/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cpu.c cannot say in C: segments, and where other processors begin.
 */

#define CODE    0x08
#define DATA    0x10
/* Where cpu.c copies ap_start; a SIPI names a page below 1 MiB. */
#define AP_BASE 0x8000
#define AP_STACK    1024
#define AP_MAX      7

        .text

        .globl  load_segments
load_segments:
        lgdt    gdt_pointer
        ljmp    $CODE, $1f
1:      movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        ret

/* For vectors that nobody asked for */
        .globl  irq_ignore
irq_ignore:
        iret

/* Another processor, in real mode, at AP_BASE */
        .code16
        .globl  ap_start
ap_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        lgdtl   AP_BASE + ap_gdt_pointer - ap_start
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $CODE, $ap_protected
        .balign 4
ap_gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
        .globl  ap_end
ap_end:

        .code32
ap_protected:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $-AP_STACK, %esp
        lock xaddl %esp, ap_stack       /* each takes one of its own */
        call    ap_main
        jmp     halt

        .data
        .balign 8
gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      /* code, 4 GiB from 0 */
        .quad   0x00cf93000000ffff      /* data, the same */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt
ap_stack:
        .long   ap_stack_top

        .bss
        .balign 16
        .skip   AP_MAX * AP_STACK
ap_stack_top:

        .section .note.GNU-stack, "", @progbits
