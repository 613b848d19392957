/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a device: the place in the object tree that -cpu, query-cpus-fast and (later) hot-plug
 * name. The CPU itself is the accelerator's VCpu.
 */
#include "hw/i386/x86.h"

#include "cpu/x86/model-names.h"
#include "hw/intc/apic.h"
#include "util/error.h"

typedef struct X86CpuDevice {
    Device parent_obj;
    VCpu *cpu;
} X86CpuDevice;

static bool cpu_create(X86Machine *machine, X86CpuDevice *dev, unsigned index, GError **error)
{
    X86Topology topology = x86_topology(machine);

    dev->cpu = vcpu_new(OBJECT(dev), index, x86_apic_id(&topology, index),
                        machine->parent_obj.cpu_config, &topology, error);
    return dev->cpu != NULL;
}

bool x86_create_cpus(X86Machine *machine, IsaBus *isa, unsigned irqchip_parts, GError **error)
{
    const char *model = x86_cpu_config_model_name(machine->parent_obj.cpu_config);
    g_autofree char *type = g_strdup_printf("%s-" TYPE_X86_CPU, model);

    for (unsigned i = 0; i < machine->parent_obj.smp.cpus; i++) {
        X86CpuDevice *dev = (X86CpuDevice *)device_create(type, NULL, error);

        if (!dev || !cpu_create(machine, dev, i, error)) {
            return false;
        }
    }
    machine->irqchip = pc_irqchip_new(OBJECT(machine), isa, irqchip_parts, error);
    return machine->irqchip != NULL;
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

/*
 * One type for each model, as -cpu's names with a suffix; they differ in nothing but the name.
 * Aligned as a pointer, because a gap before the array would be an entry of the section.
 */
#define MODEL_TYPE(model)                                                                          \
    &(const TypeInfo) {                                                                            \
        .name = model "-" TYPE_X86_CPU,                                                            \
        .parent = TYPE_X86_CPU,                                                                    \
        .description = "x86-64 CPU, model " model,                                                 \
        .instance_size = sizeof(X86CpuDevice),                                                     \
    },
static const TypeInfo *const model_types[]
    __attribute__((used, retain, aligned(sizeof(void *)), section("vireo_types"))) = {
        X86_MODEL_NAMES(MODEL_TYPE)
    };
