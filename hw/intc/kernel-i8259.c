/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two 8259As where the accelerator holds them (kernel-irqchip=on). The guest's port accesses
 * never reach this program; the device exists for reset and saved state, which go through struct
 * kvm_pic_state (Linux Documentation/virt/kvm/api.rst, 4.26): bytes only, so it is saved as it
 * stands.
 */
#include "hw/intc/i8259.h"

#include <linux/kvm.h>

#include "hw/core/cpu.h"
#include "hw/intc/describe.h"
#include "util/error.h"

#define CHIPS 2

typedef struct KernelI8259 {
    IsaDevice parent_obj;
    struct kvm_pic_state chips[CHIPS];
    bool start_masked;
} KernelI8259;

static const unsigned chip_ids[CHIPS] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE };

static bool push(KernelI8259 *pic, GError **error)
{
    for (int i = 0; i < CHIPS; i++) {
        struct kvm_irqchip chip = { .chip_id = chip_ids[i], .chip.pic = pic->chips[i] };

        if (!accel_ops()->irqchip_set(accel_current(), chip_ids[i], &chip, sizeof(chip), error)) {
            return false;
        }
    }
    return true;
}

static void kernel_i8259_pre_save(void *opaque)
{
    KernelI8259 *pic = opaque;

    for (int i = 0; i < CHIPS; i++) {
        struct kvm_irqchip chip = { .chip_id = chip_ids[i] };
        g_autoptr(GError) error = NULL;

        if (!accel_ops()->irqchip_get(accel_current(), chip_ids[i], &chip, sizeof(chip), &error)) {
            error_report("kvm-i8259: %s", error->message);
        }
        pic->chips[i] = chip.chip.pic;
    }
}

static bool kernel_i8259_post_load(void *opaque, int version, GError **error)
{
    return push(opaque, error);
}

static void kernel_i8259_reset(Device *dev)
{
    KernelI8259 *pic = (KernelI8259 *)dev;
    g_autoptr(GError) error = NULL;

    pic->chips[0] = (struct kvm_pic_state) { .elcr_mask = I8259_MASTER_ELCR_MASK };
    pic->chips[1] = (struct kvm_pic_state) { .elcr_mask = I8259_SLAVE_ELCR_MASK };
    for (int i = 0; pic->start_masked && i < CHIPS; i++) {
        pic->chips[i].imr = 0xff;
    }
    if (!push(pic, &error)) {
        error_report("kvm-i8259: %s", error->message);
    }
}

static const VmState kernel_i8259_vmstate = {
    .name = "kvm-i8259",
    .version = 1,
    .minimum_version = 1,
    .pre_save = kernel_i8259_pre_save,
    .post_load = kernel_i8259_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(KernelI8259, chips),
        VMSTATE_END
    },
};

static void kernel_i8259_describe_irqs(Device *dev, GString *out)
{
    const KernelI8259 *pic = (KernelI8259 *)dev;

    kernel_i8259_pre_save(dev);
    for (int i = CHIPS - 1; i >= 0; i--) {
        const struct kvm_pic_state *chip = &pic->chips[i];

        i8259_describe(out, i, &(I8259Text){
            .irr = chip->irr, .imr = chip->imr, .isr = chip->isr, .top = chip->priority_add,
            .vector_base = chip->irq_base, .elcr = chip->elcr, .read_isr = chip->read_reg_select,
            .special_nested = chip->special_fully_nested_mode,
        });
    }
}

static const DeviceHooks kernel_i8259_hooks = {
    .reset = kernel_i8259_reset,
    .vmstate = &kernel_i8259_vmstate,
    .describe_irqs = kernel_i8259_describe_irqs,
    .no_user = true,
};

static const TypeInfo kernel_i8259_type = {
    .name = TYPE_KERNEL_I8259,
    .parent = TYPE_ISA_DEVICE,
    .description = "8259A interrupt controllers in the accelerator",
    .instance_size = sizeof(KernelI8259),
    .hooks = &kernel_i8259_hooks,
};
QOM_TYPE(kernel_i8259_type);

Device *kernel_i8259_new(IsaBus *bus, GError **error)
{
    return device_create(TYPE_KERNEL_I8259, (Bus *)bus, error);
}

void kernel_i8259_start_masked(Device *dev)
{
    ((KernelI8259 *)dev)->start_masked = true;
}
