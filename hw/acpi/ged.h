/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic event device's hardware (ACPI 6.4, 5.6.9; HID ACPI0013) of a hardware-reduced
 * machine, with its sleep and reset registers (4.8.3.7).
 */
#ifndef VIREO_HW_ACPI_GED_H
#define VIREO_HW_ACPI_GED_H

#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_ACPI_GED "acpi-ged"
#define GED_RESET_VALUE 0x42
#define GED_S5_TYPE 5
#define GED_EVENT_POWER_BUTTON (1u << 0)

/* irq: edge-triggered line that the ACPI device names. */
Device *ged_new(MemoryRegion *memory, uint64_t event_address, uint64_t regs_address, Irq irq,
                GError **error);

#endif
