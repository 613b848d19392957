/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 where the accelerator holds it (kernel-irqchip=on). It serves ports 0x40..0x43 and 0x61
 * by itself; the device exists for reset, saved state and the HPET's legacy mode, which go through
 * struct kvm_pit_state2 (Linux Documentation/virt/kvm/api.rst, 4.71).
 */
#include "hw/timer/i8254.h"

#include <linux/kvm.h>

#include "hw/core/cpu.h"
#include "util/error.h"

#define MODE_NOT_PROGRAMMED 0xff /* the kernel's own power-on value: no timer runs */

typedef struct KernelPit {
    IsaDevice parent_obj;
    uint32_t iobase;      /* property; fixed in the kernel */
    int lost_tick_policy; /* property */
    struct kvm_pit_state2 state;
} KernelPit;

static const char *const policies[] = { "discard", "delay", "merge", "slew", NULL };
enum { POLICY_DISCARD, POLICY_DELAY };

static void report(GError *error)
{
    error_report("kvm-pit: %s", error->message);
}

static void push(KernelPit *pit)
{
    g_autoptr(GError) error = NULL;

    if (!accel_ops()->pit_set(accel_current(), &pit->state, sizeof(pit->state), &error)) {
        report(error);
    }
}

static bool pull(KernelPit *pit)
{
    g_autoptr(GError) error = NULL;

    if (!accel_ops()->pit_get(accel_current(), &pit->state, sizeof(pit->state), &error)) {
        report(error);
        return false;
    }
    return true;
}

/* HPET legacy replacement takes IRQ0 away from the PIT. */
static void set_silenced(void *opaque, int n, bool level)
{
    KernelPit *pit = opaque;

    if (!pull(pit)) {
        return;
    }
    if (level) {
        pit->state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
    } else {
        pit->state.flags &= ~KVM_PIT_FLAGS_HPET_LEGACY;
    }
    push(pit);
}

static void kernel_pit_reset(Device *dev)
{
    KernelPit *pit = (KernelPit *)dev;

    memset(&pit->state, 0, sizeof(pit->state));
    for (int i = 0; i < PIT_CHANNELS; i++) {
        pit->state.channels[i].mode = MODE_NOT_PROGRAMMED;
        pit->state.channels[i].gate = i != PIT_SPEAKER;
    }
    push(pit);
}

static bool kernel_pit_realize(Device *dev, GError **error)
{
    KernelPit *pit = (KernelPit *)dev;

    if (pit->lost_tick_policy > POLICY_DELAY) {
        error_setf(error, "kvm-pit: lost_tick_policy must be 'delay' or 'discard', not '%s'",
                   policies[pit->lost_tick_policy]);
        return false;
    }
    device_init_irq_in(dev, NULL, set_silenced, 1);
    return pit->lost_tick_policy == POLICY_DELAY ||
           accel_ops()->pit_set_reinject(accel_current(), false, error);
}

static void kernel_pit_pre_save(void *opaque)
{
    pull(opaque);
}

static bool kernel_pit_post_load(void *opaque, int version, GError **error)
{
    push(opaque);
    return true;
}

static const VmState channel_vmstate = {
    .name = "kvm-pit channel",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(struct kvm_pit_channel_state, count),
        VMSTATE_U16(struct kvm_pit_channel_state, latched_count),
        VMSTATE_U8(struct kvm_pit_channel_state, count_latched),
        VMSTATE_U8(struct kvm_pit_channel_state, status_latched),
        VMSTATE_U8(struct kvm_pit_channel_state, status),
        VMSTATE_U8(struct kvm_pit_channel_state, read_state),
        VMSTATE_U8(struct kvm_pit_channel_state, write_state),
        VMSTATE_U8(struct kvm_pit_channel_state, write_latch),
        VMSTATE_U8(struct kvm_pit_channel_state, rw_mode),
        VMSTATE_U8(struct kvm_pit_channel_state, mode),
        VMSTATE_U8(struct kvm_pit_channel_state, bcd),
        VMSTATE_U8(struct kvm_pit_channel_state, gate),
        VMSTATE_I64(struct kvm_pit_channel_state, count_load_time),
        VMSTATE_END
    },
};

static const VmState kernel_pit_vmstate = {
    .name = "kvm-pit",
    .version = 1,
    .minimum_version = 1,
    .pre_save = kernel_pit_pre_save,
    .post_load = kernel_pit_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT_ARRAY(KernelPit, state.channels, channel_vmstate),
        VMSTATE_U32(KernelPit, state.flags),
        VMSTATE_END
    },
};

static const Property kernel_pit_properties[] = {
    PROP_UINT32("iobase", KernelPit, iobase, 0x40, "accepted; the ports are fixed"),
    PROP_ENUM("lost_tick_policy", KernelPit, lost_tick_policy, policies, POLICY_DELAY,
              "what becomes of ticks that the guest missed"),
    PROP_END
};

static const DeviceHooks kernel_pit_hooks = {
    .realize = kernel_pit_realize,
    .reset = kernel_pit_reset,
    .vmstate = &kernel_pit_vmstate,
    .no_user = true,
};

static const TypeInfo kernel_pit_type = {
    .name = TYPE_KERNEL_PIT,
    .parent = TYPE_ISA_DEVICE,
    .description = "8254 interval timer in the accelerator",
    .instance_size = sizeof(KernelPit),
    .properties = kernel_pit_properties,
    .hooks = &kernel_pit_hooks,
};
QOM_TYPE(kernel_pit_type);

Device *kernel_pit_new(IsaBus *bus, GError **error)
{
    return device_create(TYPE_KERNEL_PIT, (Bus *)bus, error);
}
