/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interrupt line's end that a device drives: a small value, copied freely. The receiving side
 * makes it; a zeroed Irq is connected to nothing. VM lock held.
 */
#ifndef VIREO_HW_CORE_IRQ_H
#define VIREO_HW_CORE_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef void IrqFn(void *opaque, int n, bool level);

typedef struct Irq {
    IrqFn *fn;
    void *opaque; /* borrowed: outlives every holder of the handle */
    int n;
} Irq;

static inline void irq_set(Irq irq, bool level)
{
    if (irq.fn) {
        irq.fn(irq.opaque, irq.n, level);
    }
}
static inline void irq_raise(Irq irq) { irq_set(irq, true); }
static inline void irq_lower(Irq irq) { irq_set(irq, false); }
static inline void irq_pulse(Irq irq) { irq_set(irq, true); irq_set(irq, false); }
static inline bool irq_connected(Irq irq) { return irq.fn != NULL; }

#endif
