/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the little 32-bit guest that the boot ROMs and direct boots start. MULTIBOOT chooses
 * between a multiboot header and a PVH note.
 */
    .section .header, "a"
#ifdef MULTIBOOT
    .balign 4
    .long 0x1badb002
    .long 3                     /* modules on pages, memory information */
    .long -(0x1badb002 + 3)
#else
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start
#endif

    .text
    .globl _start
_start:
    movl $stack_top, %esp
    movl %eax, %edx
    movl %ebx, %eax
    xchgl %eax, %edx            /* regparm: magic in EAX, information in EDX */
    call guest_main
1:  hlt
    jmp 1b

    .bss
    .balign 16
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
