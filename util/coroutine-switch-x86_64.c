/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 (System V ABI): rbx, rbp and r12-r15 survive a call, so a switch saves only these and the
 * stack pointer. Nothing here changes MXCSR or the x87 control word.
 */
#include "util/coroutine-switch.h"

#include <stdint.h>

#define SAVED_REGISTERS 6

/* rdi: where to leave our stack pointer; rsi: the stack pointer to take. */
void coroutine_switch_stacks(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl coroutine_switch_stacks\n"
        ".hidden coroutine_switch_stacks\n"
        ".type coroutine_switch_stacks, @function\n"
        "coroutine_switch_stacks:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size coroutine_switch_stacks, . - coroutine_switch_stacks\n");

void coroutine_context_init(CoroutineContext *context, void *stack, size_t size,
                            void (*entry)(void))
{
    uint64_t *top = (uint64_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

    /* As if entry had been called: a return address of 0 ends backtraces, and aligns the stack. */
    *--top = 0;
    *--top = (uint64_t)(uintptr_t)entry;
    for (int i = 0; i < SAVED_REGISTERS; i++) {
        *--top = 0;
    }
    context->sp = top;
}

void coroutine_context_switch(CoroutineContext *from, const CoroutineContext *to)
{
    coroutine_switch_stacks(&from->sp, to->sp);
}
