/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC where the accelerator holds it (kernel-irqchip=on). The device exists for reset and
 * saved state, which go through struct kvm_ioapic_state (Linux Documentation/virt/kvm/api.rst,
 * 4.26).
 */
#include "hw/intc/ioapic.h"

#include <linux/kvm.h>

#include "hw/core/cpu.h"
#include "hw/intc/describe.h"
#include "util/error.h"

#define KVM_IOAPIC_VERSION 0x11 /* which KVM's reports */
#define ENTRY_MASKED (1ull << 16)

typedef struct KernelIoapic {
    Device parent_obj;
    uint32_t gsi_base; /* property */
    uint32_t id, select, irr;
    uint64_t redir[IOAPIC_PINS];
} KernelIoapic;

static bool push(KernelIoapic *ioapic, GError **error)
{
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
    struct kvm_ioapic_state *state = &chip.chip.ioapic;

    state->base_address = IOAPIC_ADDRESS;
    state->ioregsel = ioapic->select;
    state->id = ioapic->id;
    state->irr = ioapic->irr;
    for (int i = 0; i < IOAPIC_PINS; i++) {
        state->redirtbl[i].bits = ioapic->redir[i];
    }
    return accel_ops()->irqchip_set(accel_current(), KVM_IRQCHIP_IOAPIC, &chip, sizeof(chip),
                                    error);
}

static void kernel_ioapic_pre_save(void *opaque)
{
    KernelIoapic *ioapic = opaque;
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
    const struct kvm_ioapic_state *state = &chip.chip.ioapic;
    g_autoptr(GError) error = NULL;

    if (!accel_ops()->irqchip_get(accel_current(), KVM_IRQCHIP_IOAPIC, &chip, sizeof(chip),
                                  &error)) {
        error_report("kvm-ioapic: %s", error->message);
        return;
    }
    ioapic->select = state->ioregsel;
    ioapic->id = state->id;
    ioapic->irr = state->irr;
    for (int i = 0; i < IOAPIC_PINS; i++) {
        ioapic->redir[i] = state->redirtbl[i].bits;
    }
}

static bool kernel_ioapic_post_load(void *opaque, int version, GError **error)
{
    return push(opaque, error);
}

static void kernel_ioapic_reset(Device *dev)
{
    KernelIoapic *ioapic = (KernelIoapic *)dev;
    g_autoptr(GError) error = NULL;

    ioapic->id = 0;
    ioapic->select = 0;
    ioapic->irr = 0;
    for (int i = 0; i < IOAPIC_PINS; i++) {
        ioapic->redir[i] = ENTRY_MASKED;
    }
    if (!push(ioapic, &error)) {
        error_report("kvm-ioapic: %s", error->message);
    }
}

static const VmState kernel_ioapic_vmstate = {
    .name = "kvm-ioapic",
    .version = 1,
    .minimum_version = 1,
    .pre_save = kernel_ioapic_pre_save,
    .post_load = kernel_ioapic_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(KernelIoapic, id),
        VMSTATE_U32(KernelIoapic, select),
        VMSTATE_U32(KernelIoapic, irr),
        VMSTATE_U64_ARRAY(KernelIoapic, redir),
        VMSTATE_END
    },
};

static void kernel_ioapic_describe_irqs(Device *dev, GString *out)
{
    const KernelIoapic *ioapic = (KernelIoapic *)dev;

    kernel_ioapic_pre_save(dev);
    ioapic_describe(out, KVM_IOAPIC_VERSION, ioapic->id, ioapic->select, ioapic->irr,
                    ioapic->redir, IOAPIC_PINS);
}

static const Property kernel_ioapic_properties[] = {
    PROP_UINT32("gsi_base", KernelIoapic, gsi_base, 0, "global interrupt number of its pin 0"),
    PROP_END
};

static const DeviceHooks kernel_ioapic_hooks = {
    .reset = kernel_ioapic_reset,
    .vmstate = &kernel_ioapic_vmstate,
    .describe_irqs = kernel_ioapic_describe_irqs,
    .no_user = true,
};

static const TypeInfo kernel_ioapic_type = {
    .name = TYPE_KERNEL_IOAPIC,
    .parent = TYPE_SYS_DEVICE,
    .description = "I/O APIC in the accelerator",
    .instance_size = sizeof(KernelIoapic),
    .properties = kernel_ioapic_properties,
    .hooks = &kernel_ioapic_hooks,
};
QOM_TYPE(kernel_ioapic_type);

bool kernel_ioapic_new(GError **error)
{
    return device_create(TYPE_KERNEL_IOAPIC, bus_system(), error);
}
