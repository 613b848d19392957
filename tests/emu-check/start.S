/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH entry, long mode with 2 MiB pages for the first GiB, SSE and AVX on. Sources: as
 * tests/bench/guest/start.S; SDM vol. 1, 13.5 (XCR0).
 */
#include "../bench/guest/pvh-entry.inc"

    .set CR0_PG_ET_PE,       0x80000033     /* MP and NE too */
    .set CR4_PAE_SSE_XSAVE,  0x40620        /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    .set XCR0_X87_SSE_AVX,   7
    .set PAGE_TABLE,         0x03
    .set PAGE_2M,            0x83
    .set STACK_SIZE,         65536

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    enter_long_mode CR4_PAE_SSE_XSAVE, CR0_PG_ET_PE

    .code64
long_entry:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_end, %esp
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $XCR0_X87_SSE_AVX, %eax
    xsetbv
    fninit
    call guest_main
1:  hlt
    jmp 1b

    .section .rodata.start, "a"
    put_gdt_pointer

    .section .data.start, "aw"
    .balign 8
gdt:
    .quad 0
    .quad CODE64_DESCRIPTOR
    .quad DATA_DESCRIPTOR
gdt_end:
    .balign 4096
pml4:
    .quad pdpt + PAGE_TABLE
    .fill ENTRIES - 1, 8, 0
pdpt:
    .quad directory + PAGE_TABLE
    .fill ENTRIES - 1, 8, 0
directory:
    map_gib 0, PAGE_2M

    .bss
    .balign 16
    .skip STACK_SIZE
stack_end:

    .section .note.GNU-stack, "", @progbits
