/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of a local APIC that the accelerator holds (kernel-irqchip=on or split). Its registers
 * are part of the CPU's state, which resets and saves them. With split, the accelerator asks here
 * for the vector of the PIC, which stays a model, and tells of EOIs that the I/O APIC model waits
 * for.
 */
#include "hw/intc/apic-internal.h"

#include "hw/intc/describe.h"
#include "util/error.h"

typedef struct KernelApic {
    Device parent_obj;
    uint32_t id;
    uint8_t version;
    bool vapic;
    const ApicWiring *wiring;
} KernelApic;

static bool split_has_pending(void *opaque)
{
    const ApicWiring *wiring = ((KernelApic *)opaque)->wiring;

    return wiring->pic && wiring->pic_intr(wiring->pic);
}

static int split_ack(void *opaque)
{
    const ApicWiring *wiring = ((KernelApic *)opaque)->wiring;

    return split_has_pending(opaque) ? wiring->pic_ack(wiring->pic) : -1;
}

static void split_eoi(void *opaque, uint8_t vector)
{
    const ApicWiring *wiring = ((KernelApic *)opaque)->wiring;

    if (wiring->ioapic) {
        wiring->eoi(wiring->ioapic, vector);
    }
}

static const VCpuApicOps split_ops = {
    .ack = split_ack,
    .has_pending = split_has_pending,
    .eoi_broadcast = split_eoi,
};

static const Property kernel_apic_properties[] = {
    PROP_UINT32("id", KernelApic, id, 0, "its ID after reset"),
    PROP_UINT8("version", KernelApic, version, 0x14, "accepted, without effect"),
    PROP_BOOL("vapic", KernelApic, vapic, true, "accepted, without effect"),
    PROP_END
};

static const DeviceHooks kernel_apic_hooks = {
    .no_user = true,
};

static const TypeInfo kernel_apic_type = {
    .name = TYPE_KERNEL_APIC,
    .parent = TYPE_SYS_DEVICE,
    .description = "local APIC in the accelerator",
    .instance_size = sizeof(KernelApic),
    .properties = kernel_apic_properties,
    .hooks = &kernel_apic_hooks,
};
QOM_TYPE(kernel_apic_type);

static bool kernel_apic_attach(VCpu *cpu, const ApicWiring *wiring, GError **error)
{
    Object *obj = object_new(TYPE_KERNEL_APIC);
    KernelApic *apic = (KernelApic *)obj;

    apic->id = cpu->apic_id;
    apic->wiring = wiring;
    if (!device_realize_and_unref((Device *)obj, bus_system(), error)) {
        return false;
    }
    cpu->apic = apic;
    cpu->apic_ops = accel_irqchip() == ACCEL_IRQCHIP_SPLIT ? &split_ops : NULL;
    return true;
}

char *apic_describe(VCpu *cpu, GError **error)
{
    uint32_t page[APIC_REGISTERS];
    GString *out;

    if (!cpu->apic) {
        error_setf(error, "CPU %u has no local APIC", cpu->index);
        return NULL;
    }
    if (accel_irqchip() == ACCEL_IRQCHIP_OFF) {
        apic_read_page(cpu->apic, page);
    } else if (vcpu_sync_state(cpu, error)) {
        for (unsigned i = 0; i < APIC_REGISTERS; i++) {
            page[i] = ldl_le(cpu->state.lapic + 16 * i);
        }
    } else {
        return NULL;
    }
    out = g_string_new(NULL);
    apic_describe_registers(out, cpu->index, page);
    return g_string_free(out, FALSE);
}

bool apic_attach(VCpu *cpu, const ApicWiring *wiring, GError **error)
{
    return accel_irqchip() == ACCEL_IRQCHIP_OFF ? apic_model_attach(cpu, wiring, error)
                                                : kernel_apic_attach(cpu, wiring, error);
}

void apic_detach(VCpu *cpu)
{
    Device *dev = cpu->apic;

    cpu->apic_ops = NULL;
    cpu->apic = NULL;
    if (dev) {
        device_unparent(dev);
    }
}
