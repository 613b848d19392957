/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a device: the place in the object tree that -cpu, query-cpus-fast and hot-plug name.
 * The CPU itself is the accelerator's VCpu. The board makes those of -smp; -device and device_add
 * say by socket, core and thread, or by APIC id, which of the free places they fill.
 */
#include "hw/i386/x86.h"

#include "cpu/x86/model-names.h"
#include "hw/intc/apic.h"
#include "util/error.h"

typedef struct X86CpuDevice {
    Device parent_obj;
    VCpu *cpu;
    int32_t index; /* -1: from what follows, of which -1 means unset */
    int32_t socket_id, die_id, core_id, thread_id, node_id;
    int64_t apic_id;
} X86CpuDevice;

unsigned x86_cpu_index(const Device *cpu)
{
    return ((const X86CpuDevice *)cpu)->index;
}

static bool check_id(const char *name, int32_t id, unsigned count, GError **error)
{
    if (id < 0) {
        error_setf(error, "CPU %s-id is not set", name);
        return false;
    }
    if ((unsigned)id >= count) {
        error_setf(error, "Invalid CPU %s-id: %d must be in range 0:%u", name, id, count - 1);
        return false;
    }
    return true;
}

static bool index_by_ids(X86CpuDevice *dev, const X86Topology *topology, GError **error)
{
    int32_t die = dev->die_id < 0 && topology->dies == 1 ? 0 : dev->die_id;

    if (!check_id("socket", dev->socket_id, topology->sockets, error) ||
        !check_id("die", die, topology->dies, error) ||
        !check_id("core", dev->core_id, topology->cores, error) ||
        !check_id("thread", dev->thread_id, topology->threads, error)) {
        return false;
    }
    dev->index = ((dev->socket_id * topology->dies + die) * topology->cores + dev->core_id) *
                     topology->threads + dev->thread_id;
    return true;
}

static bool index_by_apic_id(X86CpuDevice *dev, const X86Topology *topology, unsigned count,
                             GError **error)
{
    for (unsigned i = 0; i < count; i++) {
        if (x86_apic_id(topology, i) == dev->apic_id) {
            dev->index = i;
            return true;
        }
    }
    error_setf(error, "This machine has no place for a CPU with APIC id %" PRId64
               " (query-hotpluggable-cpus lists the places)", dev->apic_id);
    return false;
}

/* Find the place that the properties name, and that it is free. */
static bool find_place(X86CpuDevice *dev, const X86Machine *machine, const X86Topology *topology,
                       GError **error)
{
    const unsigned count = machine->parent_obj.smp.max_cpus;

    if (dev->apic_id >= 0 ? !index_by_apic_id(dev, topology, count, error)
                          : !index_by_ids(dev, topology, error)) {
        return false;
    }
    if (vcpu_get(dev->index)) {
        error_setf(error, "CPU %d with APIC id %u exists", dev->index,
                   x86_apic_id(topology, dev->index));
        return false;
    }
    if (dev->node_id >= 0 && (unsigned)dev->node_id != x86_cpu_node(machine, dev->index)) {
        error_setf(error, "CPU %d belongs to NUMA node %u, as -numa says, not to node-id %d",
                   dev->index, x86_cpu_node(machine, dev->index), dev->node_id);
        return false;
    }
    return true;
}

static bool check_model(const Object *obj, const X86Machine *machine, GError **error)
{
    const char *model = x86_cpu_config_model_name(machine->parent_obj.cpu_config);
    g_autofree char *wanted = g_strdup_printf("%s-" TYPE_X86_CPU, model);

    if (strcmp(object_type_name(obj), wanted)) {
        error_setf(error, "Invalid CPU type %s: all CPUs of this machine are %s",
                   object_type_name(obj), wanted);
        return false;
    }
    return true;
}

static bool cpu_realize(Device *device, GError **error)
{
    X86CpuDevice *dev = (X86CpuDevice *)device;
    Object *current = OBJECT(machine_current());
    X86Machine *machine = (X86Machine *)current;
    X86Topology topology;

    if (!object_is_a(current, TYPE_X86_MACHINE)) {
        error_setf(error, "%s needs a machine with CPUs of its kind", object_type_name(dev));
        return false;
    }
    topology = x86_topology(machine);
    if (!check_model(OBJECT(dev), machine, error) ||
        (dev->index < 0 && !find_place(dev, machine, &topology, error))) {
        return false;
    }
    dev->cpu = vcpu_new(OBJECT(dev), dev->index, x86_apic_id(&topology, dev->index),
                        machine->parent_obj.cpu_config, &topology, error);
    if (!dev->cpu) {
        return false;
    }
    machine_place_vcpu(&machine->parent_obj, dev->index);
    if (machine->irqchip && !pc_irqchip_attach(machine->irqchip, dev->cpu, error)) {
        g_clear_pointer(&dev->cpu, vcpu_free);
        return false;
    }
    return true;
}

bool x86_create_cpus(X86Machine *machine, IsaBus *isa, unsigned irqchip_parts, GError **error)
{
    const char *model = x86_cpu_config_model_name(machine->parent_obj.cpu_config);
    g_autofree char *type = g_strdup_printf("%s-" TYPE_X86_CPU, model);

    for (unsigned i = 0; i < machine->parent_obj.smp.cpus; i++) {
        X86CpuDevice *dev = (X86CpuDevice *)object_new(type);

        dev->index = i;
        if (!device_realize_and_unref((Device *)dev, NULL, error)) {
            return false;
        }
    }
    machine->irqchip = pc_irqchip_new(OBJECT(machine), isa, irqchip_parts, error);
    return machine->irqchip != NULL;
}

static void cpu_init(Object *obj)
{
    ((X86CpuDevice *)obj)->index = -1;
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
        vcpu_retire(dev->cpu); /* before its APIC goes, which its thread uses */
        apic_detach(dev->cpu);
        g_clear_pointer(&dev->cpu, vcpu_free);
    }
    x86_publish_cpu_count((X86Machine *)machine_current());
}

static const Property cpu_properties[] = {
    PROP_INT32("socket-id", X86CpuDevice, socket_id, -1, "its socket"),
    PROP_INT32("die-id", X86CpuDevice, die_id, -1, "its die in the socket"),
    PROP_INT32("core-id", X86CpuDevice, core_id, -1, "its core in the die"),
    PROP_INT32("thread-id", X86CpuDevice, thread_id, -1, "its thread in the core"),
    PROP_INT32("node-id", X86CpuDevice, node_id, -1, "its NUMA node, which must be that of -numa"),
    PROP_INT64("apic-id", X86CpuDevice, apic_id, -1, "its APIC id, instead of the place"),
    PROP_END,
};

static const DeviceHooks cpu_hooks = {
    .realize = cpu_realize,
    .unrealize = cpu_unrealize,
    .reset = cpu_reset,
    .category = DEVICE_CATEGORY_CPU,
    .hotpluggable = true,
};

static const TypeInfo cpu_info = {
    .name = TYPE_X86_CPU,
    .parent = TYPE_SYS_DEVICE,
    .description = "x86-64 CPU",
    .is_abstract = true,
    .instance_size = sizeof(X86CpuDevice),
    .instance_init = cpu_init,
    .properties = cpu_properties,
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
        .user_creatable = true,                                                                    \
    },
static const TypeInfo *const model_types[]
    __attribute__((used, retain, aligned(sizeof(void *)), section("vireo_types"))) = {
        X86_MODEL_NAMES(MODEL_TYPE)
    };
