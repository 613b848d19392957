/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flattened device tree for microvm (Devicetree Specification 0.4), for kernels that look there
 * rather than at ACPI: where the virtio windows, the serial port, the clock and the interrupt
 * controllers are.
 */
#ifndef VIREO_HW_I386_MICROVM_FDT_H
#define VIREO_HW_I386_MICROVM_FDT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct MicrovmFdtConfig {
    const char *bootargs; /* NULL: none */
    unsigned cpu_count;
    uint64_t ioapic_address, lapic_address;
    bool serial, rtc;
    uint64_t virtio_base;
    uint32_t virtio_stride, virtio_gsi;
    const bool *virtio_present;
    unsigned virtio_count;
} MicrovmFdtConfig;

/* NULL with error set if it does not fit. */
GBytes *microvm_fdt_build(const MicrovmFdtConfig *config, GError **error);

#endif
