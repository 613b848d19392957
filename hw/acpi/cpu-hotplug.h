/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU hot-plug by ACPI: ports through which the DSDT's methods ask which CPUs came or shall go, and
 * let one go. A general-purpose event says that there is news. One CPU is selected at a time:
 *   +0 (4) write: select the CPU of this index; no CPU there: the rest reads 0, writes are lost
 *   +4 (1) bit 0 it is there; 1 it came; 2 it shall go. Write bit 1, 2: seen; bit 3: eject it
 *   +5 (1) write: what +8 is
 *   +8 (4) 0: writing this command selects the next CPU with news if there is one; read: which is
 *             selected
 *          1: write: the event that _OST speaks of (ACPI 6.4, 6.3.5)
 *          2: write: its status, which is then told by QMP
 *          3: read: the APIC id
 *
 * A request for removal is finished by the guest's ejecting, or by a reset of the machine. CPUs are
 * removed by the main loop, soon. VM lock held throughout.
 */
#ifndef VIREO_HW_ACPI_CPU_HOTPLUG_H
#define VIREO_HW_ACPI_CPU_HOTPLUG_H

#include "hw/acpi/acpi-pm.h"

#define TYPE_ACPI_CPU_HOTPLUG "acpi-cpu-hotplug"
#define ACPI_CPU_HOTPLUG_BASE 0xaf00
#define ACPI_CPU_HOTPLUG_SIZE 12
#define ACPI_CPU_HOTPLUG_SELECT 0
#define ACPI_CPU_HOTPLUG_FLAGS 4
#define ACPI_CPU_HOTPLUG_COMMAND 5
#define ACPI_CPU_HOTPLUG_DATA 8
#define ACPI_CPU_HOTPLUG_GPE 2
#define ACPI_CPU_HOTPLUG_MAX 256 /* CPUs */

typedef struct AcpiCpuHotplug AcpiCpuHotplug;

/*
 * For CPUs of index 0 to count - 1, mapped into io; its events go through pm. Lives as long as the
 * machine. Borrowed from the object tree.
 */
AcpiCpuHotplug *acpi_cpu_hotplug_new(MemoryRegion *io, unsigned count, AcpiPmState *pm,
                                     GError **error);
/* Tell the guest that the CPU has come. */
void acpi_cpu_hotplug_plugged(AcpiCpuHotplug *hotplug, unsigned index);
/* Ask the guest to let it go; asking again is allowed. */
void acpi_cpu_hotplug_request_unplug(AcpiCpuHotplug *hotplug, unsigned index);
/* Adds to list an ACPIOSTInfo for every place. */
void acpi_cpu_hotplug_status(AcpiCpuHotplug *hotplug, GPtrArray *list);

#endif
