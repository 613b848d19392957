/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the debugger's tests debug: PVH entry, long mode with 2 MiB pages for the first and the
 * fourth GiB, a local APIC timer, and an application processor in a loop of its own (real mode, at
 * AP_CODE). Sources: as tests/bench/guest/start.S; SDM vol. 3, 9.4.4 (waking APs).
 */
    .set MSR_EFER,           0xc0000080
    .set EFER_LME,           0x100
    .set CR0_PG_ET_PE,       0x80000013     /* MP too, for SSE */
    .set CR4_PAE_SSE,        0x620          /* PAE, OSFXSR, OSXMMEXCPT */
    .set PAGE_TABLE,         0x03
    .set PAGE_2M,            0x83
    .set PAGE_2M_UNCACHED,   0x9b
    .set PAGE_2M_SIZE,       0x200000
    .set ENTRIES,            512
    .set KERNEL_CS,          0x08
    .set KERNEL_DS,          0x10
    .set LAPIC_EOI,          0xfee000b0
    .set STACK_SIZE,         4096
    .set AP_COUNTER,         0x9000         /* 16-bit code reaches the first 64 KiB */

    .section .note.pvh, "a", @note
    .long 4, 8, 18                          /* name size, descriptor size, PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_entry

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    lgdt gdt_pointer
    movl $pml4, %eax
    movl %eax, %cr3
    movl $CR4_PAE_SSE, %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    movl $EFER_LME, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PG_ET_PE, %eax
    movl %eax, %cr0
    ljmp $KERNEL_CS, $long_entry

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
    .balign 8
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
copy_from:
    .ascii "sixteen bytes..."

    .section .data.start, "aw"
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
    .balign 4096
pml4:
    .quad pdpt + PAGE_TABLE
    .fill ENTRIES - 1, 8, 0
pdpt:
    .quad low_directory + PAGE_TABLE, 0, 0, high_directory + PAGE_TABLE
    .fill ENTRIES - 4, 8, 0
low_directory:
    .set address, 0
    .rept ENTRIES
    .quad address + PAGE_2M
    .set address, address + PAGE_2M_SIZE
    .endr
high_directory:
    .set address, 0xc0000000
    .rept ENTRIES
    .quad address + PAGE_2M_UNCACHED
    .set address, address + PAGE_2M_SIZE
    .endr

    .bss
    .balign 16
copy_to:
    .skip 16
    .balign 16
    .skip STACK_SIZE
stack_end:

    .section .note.GNU-stack, "", @progbits
