/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the ROMs that start a kernel in 32-bit protected mode: gathers the firmware's memory map
 * (INT 15h E820) at 0x8000, then enters protected mode and calls rom_main(map, count). Selectors:
 * 08h code in this ROM, 10h flat data, 18h flat code.
 */
#include "header.inc"

    .set E820_BUFFER, 0x8000
    .set E820_ENTRY, 20
    .set E820_MAX, 128
    .set SMAP, 0x534d4150

rom_product:
    .asciz "ELF kernel (-kernel)"

rom_boot:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movl $0x7c00, %esp
    sti

    movw $E820_BUFFER, %di
    xorl %ebx, %ebx
    xorl %ebp, %ebp             /* entries */
1:  movl $0xe820, %eax
    movl $SMAP, %edx
    movl $E820_ENTRY, %ecx
    pushl %ebp
    pushw %di
    int $0x15
    popw %di
    popl %ebp
    jc 2f
    cmpl $SMAP, %eax
    jne 2f
    addw $E820_ENTRY, %di
    incl %ebp
    testl %ebx, %ebx
    jz 2f
    cmpl $E820_MAX, %ebp
    jb 1b
2:
    cli
    inb $0x92, %al              /* address line 20 on, without a reset */
    orb $2, %al
    andb $0xfe, %al
    outb %al, $0x92

    /* The descriptor table goes onto the stack: this ROM cannot be written. */
    xorl %eax, %eax
    movw %cs, %ax
    shll $4, %eax               /* linear address of this ROM */
    pushl $0x00cf9b00           /* 18h */
    pushl $0x0000ffff
    pushl $0x00cf9300           /* 10h */
    pushl $0x0000ffff
    movl %eax, %ecx             /* 08h: base in bits 16..39 and 56..63 */
    shrl $16, %ecx
    orl $0x00cf9b00, %ecx
    pushl %ecx
    movl %eax, %ecx
    shll $16, %ecx
    orl $0xffff, %ecx
    pushl %ecx
    pushl $0
    pushl $0
    movl %esp, %ecx
    pushl %ecx
    pushw $(4 * 8 - 1)
    movw %sp, %bx
    lgdtl (%bx)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $rom_protected

    .code32
rom_protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    andl $~15, %esp
    movl $E820_BUFFER, %eax
    movl %ebp, %edx
    call rom_main
1:  hlt
    jmp 1b

/*
 * rom_start(entry in EAX, magic in EDX, info in ECX): to the kernel, with EAX = magic and EBX =
 * info.
 */
    .globl rom_start
rom_start:
    pushl $0x18
    pushl %eax
    movl %edx, %eax
    movl %ecx, %ebx
    lret
