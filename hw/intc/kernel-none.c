/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts of another architecture have no KVM that emulates a PC's chips: nobody gets this far. */
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "util/error.h"

static const char no_chips[] = "the host's kernel has no interrupt controllers of a PC";

Device *kernel_i8259_new(IsaBus *bus, GError **error)
{
    error_setf(error, "%s", no_chips);
    return NULL;
}

void kernel_i8259_start_masked(Device *dev)
{
}

bool kernel_ioapic_new(GError **error)
{
    error_setf(error, "%s", no_chips);
    return false;
}
