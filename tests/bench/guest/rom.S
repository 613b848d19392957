/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench guest in a ROM of 128 KiB: from the reset vector to flat protected mode, then the image
 * (guest.bin) is copied to where it was linked and entered as a PVH loader would. Few instructions
 * run before that, so that it is quick where the host interprets them.
 * Sources: AMD64 APM volume 2, chapter 14 (reset state: the last 64 KiB below 4 GiB, 16-bit code).
 */
    .set ROM_SIZE,           0x20000
    .set ROM_BASE,           0x100000000 - ROM_SIZE
    .set SEGMENT_OFFSET,     0x10000        /* CS begins here at reset */
    .set RESET_OFFSET,       0x1fff0
    .set IMAGE_BASE,         0x100000
    .set ENTRY_IN_NOTE,      IMAGE_BASE + 16 /* the PVH note stands first in the image */
    .set SYSTEM_CONTROL_A,   0x92
    .set A20_ON,             2
    .set CODE32,             0x08
    .set DATA32,             0x10

    .section .text, "ax"
rom:
image:
    .incbin "guest.bin"
    .balign 4
image_end:

    .org SEGMENT_OFFSET                     /* an error here: the guest outgrew its half */
    .code16
segment:
start16:
    movb $A20_ON, %al
    outb %al, $SYSTEM_CONTROL_A
    lgdtl %cs:gdt_pointer - segment
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $(ROM_BASE + SEGMENT_OFFSET + start32 - segment)

    .code32
start32:
    movl $DATA32, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $ROM_BASE, %esi
    movl $IMAGE_BASE, %edi
    movl $(image_end - image) / 4, %ecx
    cld
    rep movsl
    xorl %ebx, %ebx                         /* no start info: the guest asks fw_cfg */
    jmpl *ENTRY_IN_NOTE

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long ROM_BASE + SEGMENT_OFFSET + gdt - segment

    .org RESET_OFFSET
    .code16
    jmp start16
    .org ROM_SIZE
