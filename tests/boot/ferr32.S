/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of the old kind: CR0.NE is clear, and x87 errors come by IRQ 13. It divides by zero
 * twice, tells on the debug console (port 0xe9) how many interrupts came and in how many of their
 * handlers the unit worked (IGNNE#), and leaves by isa-debug-exit (port 0xf4).
 */
    .section .header, "a"
    .balign 4
    .long 0x1badb002, 0, -0x1badb002

    .text
    .macro out port, value
    movb $\value, %al
    outb %al, $\port
    .endm

    .globl _start
_start:
    movl $stack_top, %esp
    lgdt gdt_pointer
    ljmp $8, $1f
1:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $on_irq13, %eax
    movw %ax, gate
    movw $8, gate + 2
    movw $0x8e00, gate + 4
    shrl $16, %eax
    movw %ax, gate + 6
    lidt idt_pointer

    out 0x20, 0x11              /* both PICs: vectors from 0x20, cascade on 2 */
    out 0xa0, 0x11
    out 0x21, 0x20
    out 0xa1, 0x28
    out 0x21, 4
    out 0xa1, 2
    out 0x21, 1
    out 0xa1, 1
    out 0x21, 0xfb              /* only 2, and 13 */
    out 0xa1, 0xdf

    movl %cr0, %eax
    andl $~0x2c, %eax           /* EM, TS, NE */
    orl $2, %eax
    movl %eax, %cr0
    fninit
    fldcw unmasked
    sti
    fld1
    fldz
    fdivrp
    fwait                       /* the interrupt comes here */
    fld1
    fldz
    fdivrp
    fld1                        /* and here */

    movb count, %al
    addb $'0', %al
    outb %al, $0xe9
    movb worked, %al
    addb $'0', %al
    outb %al, $0xe9
    out 0xe9, '\n'
    out 0xf4, 0x10
2:  hlt
    jmp 2b

on_irq13:
    pushl %eax
    incb count
    outb %al, $0xf0
    fwait                       /* not another one: IGNNE# */
    fnstsw %ax
    andb $0x84, %al             /* ES, ZE */
    cmpb $0x84, %al
    jne 3f
    incb worked
3:  fnclex
    out 0xa0, 0x20
    out 0x20, 0x20
    popl %eax
    iret

    .data
    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
idt_pointer:
    .word 0x2d * 8 + 7
    .long gate - 0x2d * 8
unmasked:
    .word 0x37b

    .bss
    .balign 16
    .skip 0x2d * 8
gate:
    .skip 8
count:
    .skip 1
worked:
    .skip 1
    .balign 16
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
