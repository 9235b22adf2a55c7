/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of every bare-metal test guest.
 *
 * A multiboot 1 loader (QEMU's -kernel) leaves the processor in flat 32-bit
 * protected mode, paging and interrupts off, EAX = 0x2BADB002 and EBX = the
 * information block.  That is all a guest here needs: no GDT, no IDT.  A
 * fault is therefore a triple fault; start the emulator with -no-reboot.
 */

#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0

        .section .multiboot, "a"
        .balign 4
        .long   MULTIBOOT_MAGIC
        .long   MULTIBOOT_FLAGS
        .long   -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

        .text
        .globl  _start
_start:
        cli
        cld
        movl    $boot_stack_top, %esp
        pushl   %ebx                    /* guest_start(info) */
        call    guest_start

        .globl  halt
halt:
        cli
        hlt
        jmp     halt

        .bss
        .balign 16
        .skip   16384
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
