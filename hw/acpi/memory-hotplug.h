/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory hot-plug by ACPI: ports through which the DSDT's methods ask where memory came and which
 * shall go, and let one go. A general-purpose event says that there is news. One slot is selected
 * at a time:
 *   read                                    write
 *   +0  (8) address                         +0 (4) select the slot of this index
 *   +8  (8) size                            +4 (4) the event that _OST speaks of (ACPI 6.4, 6.3.5)
 *   +16 (4) NUMA node                       +8 (4) its status, which is then told by QMP
 *   +20 (1) bit 0 there is memory; 1 it came; 2 it shall go. Write bit 1, 2: seen; bit 3: eject it
 * A slot that does not exist reads 0 and ignores writes. Reads are of 4 bytes, +20 of one.
 *
 * A request for removal is finished by the guest's ejecting, or by a reset of the machine. VM lock
 * held throughout.
 */
#ifndef VIREO_HW_ACPI_MEMORY_HOTPLUG_H
#define VIREO_HW_ACPI_MEMORY_HOTPLUG_H

#include "hw/acpi/acpi-pm.h"

#define TYPE_ACPI_MEMORY_HOTPLUG "acpi-memory-hotplug"
#define ACPI_MEMORY_HOTPLUG_BASE 0xa00
#define ACPI_MEMORY_HOTPLUG_SIZE 24
#define ACPI_MEMORY_HOTPLUG_FLAGS 20
#define ACPI_MEMORY_HOTPLUG_GPE 3
#define ACPI_MEMORY_HOTPLUG_MAX 256 /* slots */

typedef struct AcpiMemoryHotplug AcpiMemoryHotplug;

/* What a slot says of itself. */
typedef struct AcpiMemorySlot {
    Device *device; /* borrowed until it is ejected */
    uint64_t addr, size;
    uint32_t node;
} AcpiMemorySlot;

/*
 * For slots 0 to count - 1, mapped into io; its events go through pm. Lives as long as the machine.
 * Borrowed from the object tree.
 */
AcpiMemoryHotplug *acpi_memory_hotplug_new(MemoryRegion *io, unsigned count, AcpiPmState *pm,
                                           GError **error);
/* There is memory in the slot. tell: it came while the machine runs, so let the guest know. */
void acpi_memory_hotplug_plugged(AcpiMemoryHotplug *hotplug, unsigned slot,
                                 const AcpiMemorySlot *memory, bool tell);
/* Ask the guest to let it go; asking again is allowed. */
void acpi_memory_hotplug_request_unplug(AcpiMemoryHotplug *hotplug, unsigned slot);
/* Adds to list an ACPIOSTInfo for every slot. */
void acpi_memory_hotplug_status(const AcpiMemoryHotplug *hotplug, GPtrArray *list);

#endif
