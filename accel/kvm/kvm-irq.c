/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In-kernel interrupt controllers: lines, MSIs, the routing table, irqfds, chip state.
 *
 * GSI 0..23 are lines. With the whole irqchip in the kernel each leads to the pins of both PIC and
 * IOAPIC, as a PC wires them (the PIT's IRQ 0 arrives at IOAPIC pin 2). With the split irqchip they
 * are what the IOAPIC model has programmed, as MSIs, so that the kernel knows whose EOI must exit.
 * MSI routes for irqfds take numbers from 24 up.
 */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define PIC_PINS 8
#define LAPIC_LVT_LINT1 0x360
#define LVT_MASKED BIT(16)
#define LVT_MODE_MASK (7u << 8)
#define LVT_MODE_NMI (4u << 8)

static struct kvm_irq_routing_entry *new_entry(KvmAccel *kvm, uint32_t gsi, uint32_t type)
{
    struct kvm_irq_routing_entry *entry;

    if (kvm->routing->nr == kvm->routing_capacity) {
        kvm->routing_capacity = MAX(64, kvm->routing_capacity * 2);
        kvm->routing = g_realloc(kvm->routing, sizeof(*kvm->routing) +
                                 kvm->routing_capacity * sizeof(kvm->routing->entries[0]));
    }
    entry = &kvm->routing->entries[kvm->routing->nr++];
    *entry = (struct kvm_irq_routing_entry) { .gsi = gsi, .type = type };
    return entry;
}

static void add_pin(KvmAccel *kvm, uint32_t gsi, uint32_t chip, uint32_t pin)
{
    struct kvm_irq_routing_entry *entry = new_entry(kvm, gsi, KVM_IRQ_ROUTING_IRQCHIP);

    entry->u.irqchip.irqchip = chip;
    entry->u.irqchip.pin = pin;
}

static void add_pc_lines(KvmAccel *kvm)
{
    for (uint32_t gsi = 0; gsi < KVM_GSI_LINES; gsi++) {
        if (gsi < 2 * PIC_PINS && gsi != 2) {
            add_pin(kvm, gsi, gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
                    gsi % PIC_PINS);
        }
        if (gsi != 2) {
            add_pin(kvm, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
        }
    }
}

static bool create_full(KvmAccel *kvm, GError **error)
{
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
    int ret = ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0 ? -errno : 0;

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM cannot create its interrupt controllers");
        return false;
    }
    if (kvm->parent.config.needs_pit) {
        ret = kvm_ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit);
        if (ret < 0) {
            error_set_errno(error, -ret, "KVM cannot create its timer (PIT)");
            return false;
        }
    }
    add_pc_lines(kvm);
    return true;
}

static bool create_split(KvmAccel *kvm, GError **error)
{
    int ret = kvm_enable_cap(kvm->vm_fd, KVM_CAP_SPLIT_IRQCHIP, KVM_GSI_LINES, 0);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM cannot split its interrupt controllers");
        return false;
    }
    return true;
}

bool kvm_irqchip_init(KvmAccel *kvm, GError **error)
{
    AccelConfig *config = &kvm->parent.config;

    kvm->irqchip_created = false;
    kvm->routing = g_malloc0(sizeof(*kvm->routing));
    kvm->free_virqs = g_array_new(FALSE, FALSE, sizeof(int));
    kvm->next_virq = KVM_GSI_LINES;
    kvm->max_routes = kvm_check_extension(kvm->vm_fd, KVM_CAP_IRQ_ROUTING);
    if (config->irqchip != ACCEL_IRQCHIP_OFF &&
        (kvm_check_extension(kvm->vm_fd, KVM_CAP_IRQCHIP) <= 0 || !kvm->max_routes)) {
        if (config->irqchip_explicit) {
            error_setf(error, "this host's KVM has no interrupt controllers: kernel-irqchip=off");
            return false;
        }
        config->irqchip = ACCEL_IRQCHIP_OFF;
    }
    return true;
}

bool kvm_irqchip_create(KvmAccel *kvm, GError **error)
{
    const AccelConfig *config = &kvm->parent.config;

    if (kvm->irqchip_created) {
        return true;
    }
    kvm->irqchip_created = true;
    if (config->irqchip == ACCEL_IRQCHIP_OFF) {
        return kvm_msr_filter_init(kvm, error);
    }
    if (!(config->irqchip == ACCEL_IRQCHIP_ON ? create_full : create_split)(kvm, error)) {
        return false;
    }
    if (config->max_cpus > 255 &&
        kvm_enable_cap(kvm->vm_fd, KVM_CAP_X2APIC_API,
                       KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
                       0) < 0) {
        error_setf(error, "this host's KVM cannot address more than 255 CPUs");
        return false;
    }
    return kvm_route_commit(&kvm->parent) == 0;
}

void kvm_irqchip_cleanup(KvmAccel *kvm)
{
    g_clear_pointer(&kvm->routing, g_free);
    g_clear_pointer(&kvm->free_virqs, g_array_unref);
    kvm->routing_capacity = 0;
}

void kvm_set_gsi(Accel *accel, unsigned gsi, bool level)
{
    struct kvm_irq_level irq = { .irq = gsi, .level = level };

    if (accel->config.irqchip == ACCEL_IRQCHIP_ON && gsi < KVM_GSI_LINES) {
        kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_IRQ_LINE, &irq);
    }
}

int kvm_msi_send(Accel *accel, uint64_t address, uint32_t data)
{
    struct kvm_msi msi = {
        .address_lo = address,
        .address_hi = address >> 32,
        .data = data,
    };
    int ret;

    if (accel->config.irqchip == ACCEL_IRQCHIP_OFF) {
        return address_space_store(address_space_memory(), address, 4, data) == MEM_OK ? 0 : -EIO;
    }
    ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_SIGNAL_MSI, &msi);
    return MIN(ret, 0); /* 0: the guest's APICs dropped it, which is the guest's affair */
}

static struct kvm_irq_routing_entry *find_route(KvmAccel *kvm, int virq)
{
    for (uint32_t i = 0; i < kvm->routing->nr; i++) {
        if (kvm->routing->entries[i].gsi == (uint32_t)virq &&
            kvm->routing->entries[i].type == KVM_IRQ_ROUTING_MSI) {
            return &kvm->routing->entries[i];
        }
    }
    return NULL;
}

static void fill_msi(struct kvm_irq_routing_entry *entry, uint64_t address, uint32_t data)
{
    entry->u.msi.address_lo = address;
    entry->u.msi.address_hi = address >> 32;
    entry->u.msi.data = data;
}

int kvm_route_add_msi(Accel *accel, uint64_t address, uint32_t data)
{
    KvmAccel *kvm = (KvmAccel *)accel;
    int virq;

    if (accel->config.irqchip == ACCEL_IRQCHIP_OFF) {
        return -ENOTSUP;
    }
    if (kvm->free_virqs->len) {
        virq = g_array_index(kvm->free_virqs, int, kvm->free_virqs->len - 1);
        g_array_set_size(kvm->free_virqs, kvm->free_virqs->len - 1);
    } else if ((uint32_t)kvm->next_virq < kvm->max_routes && kvm->routing->nr < kvm->max_routes) {
        virq = kvm->next_virq++;
    } else {
        return -ENOSPC;
    }
    fill_msi(new_entry(kvm, virq, KVM_IRQ_ROUTING_MSI), address, data);
    return virq;
}

int kvm_route_update_msi(Accel *accel, int virq, uint64_t address, uint32_t data)
{
    struct kvm_irq_routing_entry *entry = find_route((KvmAccel *)accel, virq);

    if (!entry || virq < KVM_GSI_LINES) {
        return -ENOENT;
    }
    fill_msi(entry, address, data);
    return 0;
}

static void remove_entry(KvmAccel *kvm, struct kvm_irq_routing_entry *entry)
{
    *entry = kvm->routing->entries[--kvm->routing->nr];
}

void kvm_route_del(Accel *accel, int virq)
{
    KvmAccel *kvm = (KvmAccel *)accel;
    struct kvm_irq_routing_entry *entry = find_route(kvm, virq);

    if (entry && virq >= KVM_GSI_LINES) {
        remove_entry(kvm, entry);
        g_array_append_val(kvm->free_virqs, virq);
    }
}

int kvm_route_commit(Accel *accel)
{
    KvmAccel *kvm = (KvmAccel *)accel;

    if (accel->config.irqchip == ACCEL_IRQCHIP_OFF) {
        return -ENOTSUP;
    }
    return kvm_ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, kvm->routing);
}

static int change_irqfd(Accel *accel, const EventNotifier *trigger, const EventNotifier *resample,
                        int virq, uint32_t flags)
{
    struct kvm_irqfd irqfd = {
        .fd = trigger->fd,
        .gsi = virq,
        .flags = flags | (resample ? KVM_IRQFD_FLAG_RESAMPLE : 0),
        .resamplefd = resample ? resample->fd : 0,
    };

    if (accel->config.irqchip == ACCEL_IRQCHIP_OFF || virq < 0) {
        return -ENOTSUP;
    }
    return kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_IRQFD, &irqfd);
}

int kvm_irqfd_add(Accel *accel, EventNotifier *trigger, EventNotifier *resample, int virq)
{
    return change_irqfd(accel, trigger, resample, virq, 0);
}

int kvm_irqfd_del(Accel *accel, EventNotifier *trigger, int virq)
{
    return change_irqfd(accel, trigger, NULL, virq, KVM_IRQFD_FLAG_DEASSIGN);
}

void kvm_ioapic_routes(Accel *accel, const uint64_t *msi_address, const uint32_t *msi_data,
                       const bool *valid, unsigned count)
{
    KvmAccel *kvm = (KvmAccel *)accel;

    if (accel->config.irqchip != ACCEL_IRQCHIP_SPLIT) {
        return;
    }
    for (int gsi = 0; gsi < KVM_GSI_LINES; gsi++) {
        struct kvm_irq_routing_entry *entry = find_route(kvm, gsi);
        bool wanted = (unsigned)gsi < count && valid[gsi];

        if (wanted) {
            fill_msi(entry ? entry : new_entry(kvm, gsi, KVM_IRQ_ROUTING_MSI), msi_address[gsi],
                     msi_data[gsi]);
        } else if (entry) {
            remove_entry(kvm, entry);
        }
    }
    kvm_route_commit(accel);
}

/* Copy between the caller's chip state and an ioctl's struct; the sizes must agree: struct
   kvm_irqchip, struct kvm_pit_state2. */
static bool check_chip(const Accel *accel, size_t size, size_t limit, GError **error)
{
    if (accel->config.irqchip != ACCEL_IRQCHIP_ON || size != limit) {
        error_setf(error, "the kernel holds no such interrupt controller state");
        return false;
    }
    return true;
}

bool kvm_irqchip_get(Accel *accel, unsigned chip, void *data, size_t size, GError **error)
{
    struct kvm_irqchip state = { .chip_id = chip };
    int ret;

    if (!check_chip(accel, size, sizeof(state), error)) {
        return false;
    }
    ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_GET_IRQCHIP, &state);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_IRQCHIP %u", chip);
        return false;
    }
    memcpy(data, &state, size);
    return true;
}

bool kvm_irqchip_set(Accel *accel, unsigned chip, const void *data, size_t size, GError **error)
{
    struct kvm_irqchip state = { .chip_id = chip };
    int ret;

    if (!check_chip(accel, size, sizeof(state), error)) {
        return false;
    }
    memcpy(&state, data, size);
    state.chip_id = chip;
    ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_SET_IRQCHIP, &state);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_IRQCHIP %u", chip);
        return false;
    }
    return true;
}

bool kvm_pit_get(Accel *accel, void *data, size_t size, GError **error)
{
    struct kvm_pit_state2 state;
    int ret;

    if (!check_chip(accel, size, sizeof(state), error)) {
        return false;
    }
    ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_GET_PIT2, &state);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_PIT2");
        return false;
    }
    memcpy(data, &state, size);
    return true;
}

bool kvm_pit_set_reinject(Accel *accel, bool on, GError **error)
{
    struct kvm_reinject_control control = { .pit_reinject = on };
    int ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_REINJECT_CONTROL, &control);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_REINJECT_CONTROL");
    }
    return ret >= 0;
}

bool kvm_pit_set(Accel *accel, const void *data, size_t size, GError **error)
{
    struct kvm_pit_state2 state = { 0 };
    int ret;

    if (!check_chip(accel, size, sizeof(state), error)) {
        return false;
    }
    memcpy(&state, data, size);
    ret = kvm_ioctl(((KvmAccel *)accel)->vm_fd, KVM_SET_PIT2, &state);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_PIT2");
        return false;
    }
    return true;
}

static void inject_nmi_here(VCpu *cpu, void *opaque)
{
    struct kvm_lapic_state lapic;
    uint32_t lint1;

    /* A PC's NMI button is wired to LINT1, which the guest may have masked or given another
       meaning. */
    if (kvm_has_lapic()) {
        if (kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_LAPIC, &lapic) < 0) {
            return;
        }
        lint1 = ldl_le(lapic.regs + LAPIC_LVT_LINT1);
        if ((lint1 & LVT_MASKED) || (lint1 & LVT_MODE_MASK) != LVT_MODE_NMI) {
            return;
        }
    }
    *(bool *)opaque = ioctl(kvm_vcpu(cpu)->fd, KVM_NMI) == 0;
}

bool kvm_inject_nmi(VCpu *cpu)
{
    bool done = false;

    vcpu_run_on(cpu, inject_nmi_here, &done);
    return done;
}
