/* SPDX-License-Identifier: Apache-2.0 */
/* The ROM that starts a bzImage: header and entry; linuxboot.c does the work. */
#include "header.inc"

rom_product:
    .asciz "Linux kernel (-kernel)"

/* Data and stack at segment 0, so that a pointer is a physical address; the stack grows down from
   the place where boot sectors go. */
rom_boot:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movl $0x7c00, %esp
    sti
    calll linux_boot
    int $0x18                   /* it did not start: the firmware tries the next device */
1:  hlt
    jmp 1b

/* INT 15h AX=E801h: 64 KiB units above 16 MiB in BX or DX. */
    .globl low_memory_end
low_memory_end:
    pushl %ebx
    pushl %esi
    pushl %edi
    pushl %ebp
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $0xe801, %eax
    int $0x15
    movl $0, %eax
    jc 2f
    movzwl %dx, %eax
    testl %eax, %eax
    jnz 1f
    movzwl %bx, %eax
1:  testl %eax, %eax
    jz 2f
    shll $16, %eax
    addl $0x1000000, %eax
2:  popl %ebp
    popl %edi
    popl %esi
    popl %ebx
    retl

    .globl linux_start
linux_start:
    cli
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl %edx, %esp
    pushw %cx
    pushw $0
    lretw
