/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH entry, long mode with 2 MiB pages for the first GiB, SSE and AVX on. Sources: as
 * tests/bench/guest/start.S; SDM vol. 1, 13.5 (XCR0).
 */
    .set MSR_EFER,           0xc0000080
    .set EFER_LME,           0x100
    .set CR0_PG_ET_PE,       0x80000033     /* MP and NE too */
    .set CR4_PAE_SSE_XSAVE,  0x40620        /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    .set XCR0_X87_SSE_AVX,   7
    .set PAGE_TABLE,         0x03
    .set PAGE_2M,            0x83
    .set PAGE_2M_SIZE,       0x200000
    .set ENTRIES,            512
    .set KERNEL_CS,          0x08
    .set KERNEL_DS,          0x10
    .set STACK_SIZE,         65536

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
    movl $CR4_PAE_SSE_XSAVE, %eax
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
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $XCR0_X87_SSE_AVX, %eax
    xsetbv
    fninit
    call guest_main
1:  hlt
    jmp 1b

    .section .rodata.start, "a"
    .balign 8
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .section .data.start, "aw"
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff                /* KERNEL_CS: 64-bit code */
    .quad 0x00cf93000000ffff                /* KERNEL_DS */
gdt_end:
    .balign 4096
pml4:
    .quad pdpt + PAGE_TABLE
    .fill ENTRIES - 1, 8, 0
pdpt:
    .quad directory + PAGE_TABLE
    .fill ENTRIES - 1, 8, 0
directory:
    .set address, 0
    .rept ENTRIES
    .quad address + PAGE_2M
    .set address, address + PAGE_2M_SIZE
    .endr

    .bss
    .balign 16
    .skip STACK_SIZE
stack_end:

    .section .note.GNU-stack, "", @progbits
