/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic event device. Event register (32 bits, at event_address): pending events, cleared by
 * reading. Sleep control (byte +0): SLP_TYP in bits 4:2, SLP_EN bit 5. Sleep status (+1): WAK_STS
 * bit 7, write 1 to clear. Reset (+2): GED_RESET_VALUE resets the machine.
 */
#include "hw/acpi/ged.h"

#include "accel/vm-events.h"
#include "util/bits.h"

#define GED_SLEEP_CONTROL 0
#define GED_SLEEP_STATUS 1
#define GED_RESET 2
#define SLP_EN 0x20
#define WAK_STS 0x80

typedef struct Ged {
    Device parent_obj;
    MemoryRegion *event_region, *regs_region;
    Irq irq;
    uint32_t pending;
    uint8_t sleep_status;
    Notifier powerdown;
} Ged;

static uint64_t event_read(void *opaque, uint64_t offset, unsigned size)
{
    Ged *ged = opaque;
    uint32_t pending = ged->pending;

    ged->pending = 0;
    return pending;
}

static void event_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryRegionOps event_ops = {
    .read = event_read,
    .write = event_write,
    .valid = { .min = 4, .max = 4 },
    .impl = { .min = 4, .max = 4 },
};

static uint64_t regs_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset == GED_SLEEP_STATUS ? ((Ged *)opaque)->sleep_status : 0;
}

static void regs_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Ged *ged = opaque;

    switch (offset) {
    case GED_SLEEP_CONTROL:
        if ((value & SLP_EN) && ((value >> 2) & 7) == GED_S5_TYPE) {
            vm_request_shutdown(VM_CAUSE_GUEST_SHUTDOWN);
        }
        break;
    case GED_SLEEP_STATUS:
        ged->sleep_status &= ~(value & WAK_STS);
        break;
    case GED_RESET:
        if (value == GED_RESET_VALUE) {
            vm_request_reset(VM_CAUSE_GUEST_RESET);
        }
        break;
    default:
        break;
    }
}

static const MemoryRegionOps regs_ops = {
    .read = regs_read,
    .write = regs_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

static void powerdown_pressed(Notifier *notifier, void *data)
{
    Ged *ged = (Ged *)((char *)notifier - offsetof(Ged, powerdown));

    ged->pending |= GED_EVENT_POWER_BUTTON;
    irq_pulse(ged->irq);
}

static bool ged_realize(Device *device, GError **error)
{
    Ged *ged = (Ged *)device;

    ged->event_region = memory_region_new_io(OBJECT(ged), &event_ops, ged, "acpi-ged-event", 4);
    ged->regs_region = memory_region_new_io(OBJECT(ged), &regs_ops, ged, "acpi-ged-regs", 3);
    ged->powerdown.notify = powerdown_pressed;
    notifier_list_add(powerdown_notifiers(), &ged->powerdown);
    return true;
}

static void ged_reset(Device *device)
{
    Ged *ged = (Ged *)device;

    ged->pending = 0;
    ged->sleep_status = 0;
}

static void ged_finalize(Object *obj)
{
    Ged *ged = (Ged *)obj;

    if (ged->event_region) {
        notifier_list_remove(powerdown_notifiers(), &ged->powerdown);
    }
    g_clear_pointer(&ged->event_region, memory_region_free);
    g_clear_pointer(&ged->regs_region, memory_region_free);
}

static const VmStateField ged_fields[] = {
    VMSTATE_U32(Ged, pending),
    VMSTATE_U8(Ged, sleep_status),
    VMSTATE_END,
};

static const VmState ged_vmstate = {
    .name = "acpi-ged",
    .version = 1,
    .minimum_version = 1,
    .fields = ged_fields,
};

static const DeviceHooks ged_hooks = {
    .realize = ged_realize,
    .reset = ged_reset,
    .vmstate = &ged_vmstate,
    .category = DEVICE_CATEGORY_MISC,
    .no_user = true,
};

static const TypeInfo ged_info = {
    .name = TYPE_ACPI_GED,
    .parent = TYPE_SYS_DEVICE,
    .description = "ACPI generic event device",
    .instance_size = sizeof(Ged),
    .instance_finalize = ged_finalize,
    .hooks = &ged_hooks,
};
QOM_TYPE(ged_info);

Device *ged_new(MemoryRegion *memory, uint64_t event_address, uint64_t regs_address, Irq irq,
                GError **error)
{
    Ged *ged = (Ged *)device_create(TYPE_ACPI_GED, NULL, error);

    if (!ged) {
        return NULL;
    }
    ged->irq = irq;
    memory_region_add(memory, event_address, ged->event_region);
    memory_region_add(memory, regs_address, ged->regs_region);
    return (Device *)ged;
}
