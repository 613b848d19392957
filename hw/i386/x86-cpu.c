/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a device: the place in the object tree that -cpu, query-cpus-fast and (later) hot-plug
 * name. The CPU itself is the accelerator's VCpu.
 */
#include "hw/i386/x86.h"

#include "hw/intc/apic.h"
#include "util/error.h"

typedef struct X86CpuDevice {
    Device parent_obj;
    VCpu *cpu;
} X86CpuDevice;

static int pic_ack(void *pic)
{
    return i8259_ack(pic);
}

static bool pic_intr(void *pic)
{
    return i8259_intr(pic);
}

static void eoi_to_ioapic(void *ioapic, uint8_t vector)
{
    ioapic_eoi(ioapic, vector);
}

static bool cpu_create(X86Machine *machine, X86CpuDevice *dev, unsigned index, GError **error)
{
    X86Topology topology = x86_topology(machine);
    const ApicWiring wiring = {
        .pic_ack = pic_ack,
        .pic_intr = pic_intr,
        .pic = machine->pic_master,
        .eoi = eoi_to_ioapic,
        .ioapic = machine->ioapic,
    };

    dev->cpu = vcpu_new(OBJECT(dev), index, x86_apic_id(&topology, index),
                        machine->parent_obj.cpu_config, &topology, error);
    return dev->cpu && apic_attach(dev->cpu, &wiring, error);
}

bool x86_create_cpus(X86Machine *machine, GError **error)
{
    for (unsigned i = 0; i < machine->parent_obj.smp.cpus; i++) {
        X86CpuDevice *dev = (X86CpuDevice *)device_create(TYPE_X86_CPU, NULL, error);

        if (!dev || !cpu_create(machine, dev, i, error)) {
            return false;
        }
    }
    if (accel_irqchip() == ACCEL_IRQCHIP_OFF) {
        apic_map_window(OBJECT(machine));
    }
    return true;
}

static void cpu_reset(Device *device)
{
    X86CpuDevice *dev = (X86CpuDevice *)device;

    if (dev->cpu) {
        vcpu_reset(dev->cpu);
    }
}

static void cpu_unrealize(Device *device)
{
    X86CpuDevice *dev = (X86CpuDevice *)device;

    if (dev->cpu) {
        apic_detach(dev->cpu);
        g_clear_pointer(&dev->cpu, vcpu_free);
    }
}

static const DeviceHooks cpu_hooks = {
    .unrealize = cpu_unrealize,
    .reset = cpu_reset,
    .category = DEVICE_CATEGORY_CPU,
    .no_user = true,
};

static const TypeInfo cpu_info = {
    .name = TYPE_X86_CPU,
    .parent = TYPE_SYS_DEVICE,
    .description = "x86-64 CPU",
    .instance_size = sizeof(X86CpuDevice),
    .hooks = &cpu_hooks,
};
QOM_TYPE(cpu_info);
