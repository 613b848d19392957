/* SPDX-License-Identifier: Apache-2.0 */
/* Tell AddressSanitizer which stack is in use; it would take a switch for a wild stack pointer. */
#include "util/coroutine-switch.h"

#include <sanitizer/common_interface_defs.h>

void coroutine_fiber_leave(CoroutineFiber *from, const CoroutineFiber *to)
{
    __sanitizer_start_switch_fiber(from ? &from->fake_stack : NULL, to->bottom, to->size);
}

void coroutine_fiber_arrive(CoroutineFiber *self, CoroutineFiber *previous)
{
    __sanitizer_finish_switch_fiber(self->fake_stack, &previous->bottom, &previous->size);
}
