/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/acpi/hotplug-place.h"

#include "qapi/qapi-events-acpi.h"
#include "qapi/qapi-events-qdev.h"
#include "util/bits.h"

#define FLAG_PRESENT BIT(0)
#define FLAG_INSERTING BIT(1)
#define FLAG_REMOVING BIT(2)
#define FLAG_EJECT BIT(3)

/* _OST: of an ejection request; and how it may end without being refused (ACPI 6.4, 6.3.5). */
#define OST_EJECT_REQUEST 0x003
#define OST_EJECT_BY_OS 0x103
#define OST_SUCCESS 0x00
#define OST_EJECTION_PENDING 0x84

uint8_t acpi_place_flags(const AcpiPlace *place, bool present)
{
    return (present ? FLAG_PRESENT : 0) | (place->inserting ? FLAG_INSERTING : 0) |
           (place->removing ? FLAG_REMOVING : 0);
}

bool acpi_place_write_flags(AcpiPlace *place, uint8_t value)
{
    if (value & FLAG_INSERTING) {
        place->inserting = false;
    }
    if (value & FLAG_REMOVING) {
        place->removing = false;
    }
    return value & FLAG_EJECT;
}

void acpi_place_request(AcpiPlace *place)
{
    place->removing = true;
    place->requested = true;
}

void acpi_place_reset(AcpiPlace *place)
{
    place->ejecting |= place->requested;
    place->inserting = place->removing = false;
}

ACPIOSTInfo *acpi_place_info(const AcpiPlace *place, const Device *dev, unsigned slot,
                             ACPISlotType type)
{
    ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);

    info->device = dev ? g_strdup(dev->id) : NULL;
    info->slot = g_strdup_printf("%u", slot);
    info->slot_type = type;
    info->source = place->ost_event;
    info->status = place->ost_status;
    return info;
}

bool acpi_place_report(AcpiPlace *place, const Device *dev, unsigned slot, ACPISlotType type)
{
    g_autoptr(ACPIOSTInfo) info = acpi_place_info(place, dev, slot, type);
    bool refused = dev && place->requested &&
                   (place->ost_event == OST_EJECT_REQUEST ||
                    place->ost_event == OST_EJECT_BY_OS) &&
                   place->ost_status != OST_SUCCESS && place->ost_status != OST_EJECTION_PENDING;

    qapi_event_send_acpi_device_ost(info);
    if (refused) {
        place->requested = false;
    }
    return refused;
}

void acpi_place_tell_refusal(Device *dev)
{
    g_autofree char *path = object_path(OBJECT(dev));

    qapi_event_send_device_unplug_guest_error(dev->id, path);
}

static const VmStateField place_fields[] = {
    VMSTATE_U8(AcpiPlace, inserting),
    VMSTATE_U8(AcpiPlace, removing),
    VMSTATE_U8(AcpiPlace, requested),
    VMSTATE_U8(AcpiPlace, ejecting),
    VMSTATE_U32(AcpiPlace, ost_event),
    VMSTATE_U32(AcpiPlace, ost_status),
    VMSTATE_END,
};

const VmState acpi_place_vmstate = {
    .name = "acpi-place",
    .version = 1,
    .minimum_version = 1,
    .fields = place_fields,
};
