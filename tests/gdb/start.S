/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the debugger's tests debug: PVH entry, long mode with 2 MiB pages for the first and the
 * fourth GiB, a local APIC timer, and an application processor in a loop of its own (real mode, at
 * AP_CODE). Sources: as tests/bench/guest/start.S; SDM vol. 3, 9.4.4 (waking APs).
 */
#include "../bench/guest/pvh-entry.inc"

    .set CR0_PG_ET_PE,       0x80000013     /* MP too, for SSE */
    .set CR4_PAE_SSE,        0x620          /* PAE, OSFXSR, OSXMMEXCPT */
    .set PAGE_TABLE,         0x03
    .set PAGE_2M,            0x83
    .set PAGE_2M_UNCACHED,   0x9b
    .set LAPIC_EOI,          0xfee000b0
    .set STACK_SIZE,         4096
    .set AP_COUNTER,         0x9000         /* 16-bit code reaches the first 64 KiB */

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    enter_long_mode CR4_PAE_SSE, CR0_PG_ET_PE

    .code64
long_entry:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_end, %esp
    call guest_main
1:  hlt
    jmp 1b

    .globl timer_entry
timer_entry:
    incl timer_ticks
    pushq %rax
    movl $LAPIC_EOI, %eax
    movl $0, (%rax)
    popq %rax
    iretq

    .globl breakpoint_entry
breakpoint_entry:                           /* the guest's own INT3 */
    incl own_breakpoints
    iretq

    .globl fault_entry
fault_entry:                                /* #UD: over the two bytes of UD2 */
    incl faults
    addq $2, (%rsp)
    iretq

/* One of each kind of instruction that a step might trip over. */
    .globl odd_instructions
odd_instructions:
    pushfq
    popfq
    movl $16, %ecx
    leaq copy_to(%rip), %rdi
    leaq copy_from(%rip), %rsi
    cld
rep_movs:
    rep movsb
after_rep:
    cmpl $0, plain(%rip)
    jne after_ud2
    int3
    ud2
after_ud2:
    xorl %eax, %eax
    cpuid
    movl %ss, %eax
    movl %eax, %ss
    nop
    lock incl counter(%rip)
    cmpl $0, plain(%rip)
    jne odd_end
    movq $0x1122334455667788, %rax
    movq %rax, %xmm0
    fld1
    fldpi
after_odd:
    fstp %st(0)
    fstp %st(0)
odd_end:
    ret

    .globl ap_code, ap_code_end
    .code16
ap_code:
    incl AP_COUNTER
    jmp ap_code
ap_code_end:
    .code64

    .section .rodata.start, "a"
    put_gdt_pointer
copy_from:
    .ascii "sixteen bytes..."

    .section .data.start, "aw"
    .balign 16
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
    .quad low_directory + PAGE_TABLE, 0, 0, high_directory + PAGE_TABLE
    .fill ENTRIES - 4, 8, 0
low_directory:
    map_gib 0, PAGE_2M
high_directory:
    map_gib 0xc0000000, PAGE_2M_UNCACHED

    .bss
    .balign 16
copy_to:
    .skip 16
    .balign 16
    .skip STACK_SIZE
stack_end:

    .section .note.GNU-stack, "", @progbits
