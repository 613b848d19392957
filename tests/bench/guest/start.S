/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench guest's privileged half: PVH entry, long mode, descent to CPL3, and the stub that
 * `int3` reaches.
 *
 * The guest works in 64-bit code at CPL3. On every KVM that runs natively, also on one that
 * interprets 16- and 32-bit code and everything at CPL0 at a few microseconds an instruction. Hence
 * the rules here: what runs above CPL3 is as short as it can be, and the page tables are data
 * of the
 * image instead of being built. All pages are user pages of 2 MiB, identity-mapped.
 *
 * Memory: image at 1 MiB (text, tables, data, stacks), everything within the first 2 MiB page.
 * Mapped: the first GiB (write-back) and the fourth (uncached: virtio-mmio, IOAPIC, local APIC).
 *
 * Sources: Xen docs/misc/pvh.pandoc (entry state, note type 18); AMD64 APM volume 2, chapters 5
 * (paging), 8 (interrupts), 12 (TSS and I/O permission bitmap), 14 (entering long mode).
 */
#include "pvh-entry.inc"

    .set COM1,               0x3f8
    .set CR0_PG_ET_PE,       0x80000011
    .set CR4_PAE,            0x20
    .set PAGE_TABLE,         0x07           /* present, writable, user */
    .set PAGE_2M,            0x87
    .set PAGE_2M_UNCACHED,   0x9f
    .set USER_DS,            0x18 | 3
    .set USER_CS,            0x20 | 3
    .set TSS_SELECTOR,       0x28
    .set TSS_SIZE,           104
    .set IO_BITMAP_SIZE,     8192
    .set RFLAGS_FIXED,       0x2
    .set RFLAGS_IF,          0x200
    .set LAPIC_EOI,          0xfee000b0
    .set IDT_SIZE,           256 * 16
    .set STACK_SIZE,         16384
    .set FRAME_RFLAGS,       16

    .section .text.start, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    movw $COM1, %dx
    movb $'>', %al
    outb %al, %dx
    movl %ebx, start_info_address
    enter_long_mode CR4_PAE, CR0_PG_ET_PE

    .code64
long_entry:
    movl $tss, %eax                         /* the image lies below 16 MiB: 24 bits of base */
    movw %ax, gdt_tss + 2
    shrl $16, %eax
    movb %al, gdt_tss + 4
    movw $TSS_SELECTOR, %ax
    ltr %ax
    lidt idt_pointer
    movl $USER_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $kernel_stack_end, %esp
    pushq $USER_DS
    pushq $user_stack_end
    pushq $RFLAGS_FIXED
    pushq $USER_CS
    pushq $guest_main
    iretq

/*
 * int3 with a function number in eax (enum stub_function in guest.c). Arguments and results use the
 * registers of the instruction that the function stands for.
 */
    .globl stub_entry
stub_entry:
    cmpl $1, %eax
    je stub_rdmsr
    ja stub_others
    movl %esi, %eax                         /* 0: CPUID of leaf esi */
    cpuid
    iretq
stub_rdmsr:
    rdmsr
    iretq
stub_others:
    cmpl $3, %eax
    je stub_halt
    ja stub_interrupts
    movl %esi, %eax                         /* 2: WRMSR of edx:esi to ecx */
    wrmsr
    iretq
stub_halt:                                  /* 3: stop for good, interruptible by nothing */
    cli
    hlt
    jmp stub_halt
stub_interrupts:
    cmpl $5, %eax
    je stub_triple_fault
    orl $RFLAGS_IF, FRAME_RFLAGS(%rsp)      /* 4: let interrupts reach CPL3 */
    iretq
stub_triple_fault:                          /* 5: an exception without a handler for it */
    lidt no_idt_pointer
    ud2

    .globl device_entry
device_entry:
    incl device_interrupts
    jmp end_of_interrupt

    .globl timer_entry
timer_entry:
    incl timer_ticks
end_of_interrupt:
    pushq %rax
    movl $LAPIC_EOI, %eax
    movl $0, (%rax)
    popq %rax
    iretq

/* Any exception: say so by a byte and stop; there is nobody to return to. */
    .globl fault_entry
fault_entry:
    movw $COM1, %dx
    movb $'!', %al
    outb %al, %dx
    jmp stub_halt

    .section .rodata.start, "a"
    put_gdt_pointer
idt_pointer:
    .word IDT_SIZE - 1
    .quad idt
no_idt_pointer:
    .word 0
    .quad 0

    .section .data.start, "aw"
    .balign 16
gdt:
    .quad 0
    .quad CODE64_DESCRIPTOR
    .quad DATA_DESCRIPTOR
    .quad 0x00cff3000000ffff                /* USER_DS */
    .quad 0x00affb000000ffff                /* USER_CS: 64-bit code, DPL 3 */
gdt_tss:
    .word TSS_SIZE + IO_BITMAP_SIZE, 0
    .byte 0, 0x89, 0, 0                     /* available 64-bit TSS; base is filled in */
    .quad 0
gdt_end:
    .balign 16
tss:
    .long 0
    .quad kernel_stack_end                  /* RSP0 */
    .fill 88, 1, 0
    .word 0, TSS_SIZE                       /* offset of the I/O permission bitmap */
    .if . - tss - 104
    .error "the TSS is not 104 bytes"
    .endif
    .fill IO_BITMAP_SIZE, 1, 0
    .byte 0xff

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
    .globl idt, start_info_address, timer_ticks, device_interrupts
idt:
    .skip IDT_SIZE
start_info_address:
    .skip 4
timer_ticks:
    .skip 4
device_interrupts:
    .skip 4
    .balign 16
    .skip STACK_SIZE
kernel_stack_end:
    .skip STACK_SIZE
user_stack_end:

    .section .note.GNU-stack, "", @progbits
