/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AArch64 (AAPCS64): x19-x28, the frame pointer x29, the link register x30 and the low halves of
 * v8-v15 survive a call.
 */
#include "util/coroutine-switch.h"

#include <stdint.h>
#include <string.h>

#define FRAME_SIZE 160
#define FRAME_LINK 11 /* index of x30 in the frame's 64-bit words */

/* x0: where to leave our stack pointer; x1: the stack pointer to take. */
void coroutine_switch_stacks(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl coroutine_switch_stacks\n"
        ".hidden coroutine_switch_stacks\n"
        ".type coroutine_switch_stacks, %function\n"
        "coroutine_switch_stacks:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size coroutine_switch_stacks, . - coroutine_switch_stacks\n");

void coroutine_context_init(CoroutineContext *context, void *stack, size_t size,
                            void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    uint64_t *frame = (uint64_t *)(top - FRAME_SIZE);

    memset(frame, 0, FRAME_SIZE);
    frame[FRAME_LINK] = (uint64_t)(uintptr_t)entry;
    context->sp = frame;
}

void coroutine_context_switch(CoroutineContext *from, const CoroutineContext *to)
{
    coroutine_switch_stacks(&from->sp, to->sp);
}
