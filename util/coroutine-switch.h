/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How coroutine.c changes stacks. The build picks one coroutine-switch-*.c for the processor and
 * one coroutine-fiber-*.c, which tells AddressSanitizer of it or does nothing.
 */
#ifndef VIREO_UTIL_COROUTINE_SWITCH_H
#define VIREO_UTIL_COROUTINE_SWITCH_H

#include <stddef.h>

/* A suspended flow: its saved registers lie on its own stack, at sp. */
typedef struct CoroutineContext {
    void *sp;
} CoroutineContext;

/* The first switch to the context calls entry, which must not return. */
void coroutine_context_init(CoroutineContext *context, void *stack, size_t size,
                            void (*entry)(void));
void coroutine_context_switch(CoroutineContext *from, const CoroutineContext *to);

/* Bounds of a stack as the sanitizer wants them. */
typedef struct CoroutineFiber {
    void *fake_stack;
    const void *bottom;
    size_t size;
} CoroutineFiber;

/* Before leaving `from` (NULL: for ever) for `to`. */
void coroutine_fiber_leave(CoroutineFiber *from, const CoroutineFiber *to);
/* After arriving in `self` from `previous`, whose bounds are filled in. */
void coroutine_fiber_arrive(CoroutineFiber *self, CoroutineFiber *previous);

#endif
