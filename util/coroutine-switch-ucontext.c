/* SPDX-License-Identifier: Apache-2.0 */
/* Any processor, through ucontext(3): slower, since each switch sets the signal mask. */
#include "util/coroutine-switch.h"

#include <glib.h>
#include <ucontext.h>

void coroutine_context_init(CoroutineContext *context, void *stack, size_t size,
                            void (*entry)(void))
{
    /* The record lies at the low end of the stack, where it is read once, before any use. */
    ucontext_t *record = stack;

    if (getcontext(record) < 0) {
        g_error("getcontext failed");
    }
    record->uc_stack.ss_sp = record + 1;
    record->uc_stack.ss_size = size - sizeof(*record);
    record->uc_link = NULL;
    makecontext(record, entry, 0);
    context->sp = record;
}

void coroutine_context_switch(CoroutineContext *from, const CoroutineContext *to)
{
    ucontext_t here;

    from->sp = &here;
    swapcontext(&here, to->sp);
}
