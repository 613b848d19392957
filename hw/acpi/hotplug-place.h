/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place where a device comes and goes by ACPI, as the controllers for CPUs and for memory have
 * them: what the guest has not seen yet, what was asked of it, and what it said last (ACPI 6.4,
 * 6.3.5, _OST). VM lock held.
 */
#ifndef VIREO_HW_ACPI_HOTPLUG_PLACE_H
#define VIREO_HW_ACPI_HOTPLUG_PLACE_H

#include "hw/core/device.h"
#include "qapi/qapi-types-acpi.h"

typedef struct AcpiPlace {
    uint8_t inserting, removing; /* not seen yet by the guest */
    uint8_t requested;           /* device_del asked for it, and it is not ejected */
    uint8_t ejecting;            /* the main loop will take it away */
    uint32_t ost_event, ost_status;
} AcpiPlace;

extern const VmState acpi_place_vmstate;

/* The register: bit 0 it is there; 1 it came; 2 it shall go. */
uint8_t acpi_place_flags(const AcpiPlace *place, bool present);
/* Write bit 1, 2: seen. Returns bit 3: the guest ejects it. */
bool acpi_place_write_flags(AcpiPlace *place, uint8_t value);
/* Ask the guest to let it go; asking again is allowed. Tell it by an event afterwards. */
void acpi_place_request(AcpiPlace *place);
/* Nobody is left to object to what shall go: it is to be ejected. What starts now sees the rest. */
void acpi_place_reset(AcpiPlace *place);

/* The caller's. dev: what is in the place, or NULL. */
ACPIOSTInfo *acpi_place_info(const AcpiPlace *place, const Device *dev, unsigned slot,
                             ACPISlotType type);
/*
 * The guest has said how it went: told by QMP. True if it refused what was requested, which is
 * requested no more then; whoever calls tells what else there is to tell of it, and then
 * acpi_place_tell_refusal().
 */
bool acpi_place_report(AcpiPlace *place, const Device *dev, unsigned slot, ACPISlotType type);
void acpi_place_tell_refusal(Device *dev);

#endif
