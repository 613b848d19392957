/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last 4 KiB of a flash chip: a program that runs from the copy below 1 MiB, because it
 * changes the chip's mode. It goes through a table of accesses at the start of these 4 KiB (12
 * bytes each: 1 write, 2 read, 0 end; size; two bytes; address; value) and sends what it read,
 * four bytes each, to port E9h.
 */
    .code16
    .org 0xe00
start:
    cli
    lgdtl %cs:(gdt_pointer - 0xe00 + 0xfe00)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $8, %bx
    mov %bx, %ds
    and $0xfe, %al
    mov %eax, %cr0
    mov $0xff000, %esi
next:
    mov (%esi), %al
    mov 1(%esi), %ah
    mov 4(%esi), %edi
    mov 8(%esi), %ebx
    add $12, %esi
    cmp $2, %al
    je read
    jb write
end:
    xor %al, %al
    mov $0x501, %dx
    out %al, %dx
    hlt
    jmp end
write:
    test %al, %al
    jz end
    cmp $2, %ah
    je write2
    ja write4
    mov %bl, (%edi)
    jmp next
write2:
    mov %bx, (%edi)
    jmp next
write4:
    mov %ebx, (%edi)
    jmp next
read:
    xor %ebx, %ebx
    cmp $2, %ah
    je read2
    ja read4
    mov (%edi), %bl
    jmp send
read2:
    mov (%edi), %bx
    jmp send
read4:
    mov (%edi), %ebx
send:
    mov $4, %cx
    mov %ebx, %eax
send_byte:
    outb %al, $0xe9
    shr $8, %eax
    loop send_byte
    jmp next

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word 15
    .long gdt - 0xe00 + 0xffe00

    .org 0xff0
    ljmp $0xf000, $0xfe00
    .org 0x1000
