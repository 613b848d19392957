/* SPDX-License-Identifier: Apache-2.0 */
/* hw/intc/kernel-none.c, the timer's part. */
#include "hw/timer/i8254.h"
#include "util/error.h"

Device *kernel_pit_new(IsaBus *bus, GError **error)
{
    error_setf(error, "the host's kernel has no interval timer of a PC");
    return NULL;
}
