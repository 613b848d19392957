/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM as KVM memory slots.
 *
 * The memory layer tells which ranges go and come; both are collected until commit, where ranges
 * that only seemed to change keep their slot, the others are deleted first and added after, because
 * slots must not overlap. While a range that stays RAM is replaced, no vCPU may run: it would see a
 * hole and its access would be taken for MMIO. kvm_gate_close() sees to that.
 *
 * KVM maps whole pages. The unaligned edges of a range stay unmapped: accesses there exit and are
 * served by the memory layer like any device's.
 */
#include "accel/kvm/kvm-internal.h"

#include <inttypes.h>
#include <signal.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"
#include "util/parse.h"

#define PAGE_SIZE 4096ull
#define DEFAULT_MAX_SLOTS 32

/* ---- the gate ---- */

void kvm_gate_enter(KvmAccel *kvm, KvmVCpu *vcpu)
{
    for (;;) {
        __atomic_store_n(&vcpu->in_run, true, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&kvm->gate_closed, __ATOMIC_SEQ_CST)) {
            return;
        }
        pthread_mutex_lock(&kvm->gate_lock);
        __atomic_store_n(&vcpu->in_run, false, __ATOMIC_SEQ_CST);
        pthread_cond_broadcast(&kvm->gate_cond);
        while (kvm->gate_closed) {
            pthread_cond_wait(&kvm->gate_cond, &kvm->gate_lock);
        }
        pthread_mutex_unlock(&kvm->gate_lock);
    }
}

void kvm_gate_leave(KvmAccel *kvm, KvmVCpu *vcpu)
{
    __atomic_store_n(&vcpu->in_run, false, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&kvm->gate_closed, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&kvm->gate_lock);
        pthread_cond_broadcast(&kvm->gate_cond);
        pthread_mutex_unlock(&kvm->gate_lock);
    }
}

void kvm_gate_close(KvmAccel *kvm)
{
    pthread_mutex_lock(&kvm->gate_lock);
    __atomic_store_n(&kvm->gate_closed, true, __ATOMIC_SEQ_CST);
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        KvmVCpu *vcpu = kvm_vcpu(cpu);

        while (vcpu && __atomic_load_n(&vcpu->in_run, __ATOMIC_SEQ_CST)) {
            __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
            pthread_kill(cpu->thread, SIGUSR1);
            pthread_cond_wait(&kvm->gate_cond, &kvm->gate_lock);
        }
    }
    pthread_mutex_unlock(&kvm->gate_lock);
}

void kvm_gate_open(KvmAccel *kvm)
{
    pthread_mutex_lock(&kvm->gate_lock);
    __atomic_store_n(&kvm->gate_closed, false, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&kvm->gate_cond);
    pthread_mutex_unlock(&kvm->gate_lock);
}

/* ---- slots ---- */

static uint32_t slot_flags(const KvmSlot *slot)
{
    return (slot->readonly ? KVM_MEM_READONLY : 0) |
           (slot->logged && !slot->readonly ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

static int set_kernel_slot(KvmAccel *kvm, const KvmSlot *slot, uint64_t size, uint32_t flags)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot->id,
        .flags = flags,
        .guest_phys_addr = slot->gpa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)slot->host,
    };

    return kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Bring the kernel's slot to what `slot` says; also for a mere change of the log flag. */
static void install_slot(KvmAccel *kvm, KvmSlot *slot)
{
    uint32_t flags = slot_flags(slot);
    int ret;

    if (slot->installed && slot->installed_flags == flags) {
        return;
    }
    ret = set_kernel_slot(kvm, slot, slot->size, flags);
    if (ret < 0) {
        g_autofree char *size = format_size(slot->size);

        error_report("KVM refuses %s of guest memory at 0x%" PRIx64 " (%s): %s", size, slot->gpa,
                     memory_region_name(slot->region),
                     g_strerror(-ret));
        return;
    }
    slot->installed = true;
    slot->installed_flags = flags;
}

static void remove_slot(KvmAccel *kvm, KvmSlot *slot)
{
    if (!slot->installed) {
        return;
    }
    if (slot->installed_flags & KVM_MEM_LOG_DIRTY_PAGES) {
        kvm_dirty_sync_slot(kvm, slot);
    }
    set_kernel_slot(kvm, slot, 0, 0);
    slot->installed = false;
}

static bool id_is_used(const GPtrArray *slots, uint32_t id)
{
    for (unsigned i = 0; i < slots->len; i++) {
        const KvmSlot *slot = g_ptr_array_index(slots, i);

        if (slot->installed && slot->id == id) {
            return true;
        }
    }
    return false;
}

static bool choose_id(KvmAccel *kvm, KvmSlot *slot)
{
    const uint32_t first = slot->space << 16;

    for (uint32_t id = first; id < first + kvm->max_slots; id++) {
        if (!id_is_used(kvm->slots, id)) {
            slot->id = id;
            return true;
        }
    }
    if (!kvm->slots_exhausted) {
        kvm->slots_exhausted = true;
        error_report("all %u KVM memory slots are in use: '%s' at 0x%" PRIx64
                     " will be slow and cannot hold code", kvm->max_slots,
                     memory_region_name(slot->region), slot->gpa);
    }
    return false;
}

static bool make_slot(const KvmMemory *memory, const MemorySection *section, KvmSlot *slot)
{
    uint64_t start = ROUND_UP(section->addr, PAGE_SIZE);
    uint64_t end = ROUND_DOWN(section->addr + section->size, PAGE_SIZE);
    uint8_t *host = memory_region_ram_ptr(section->region);

    /* A section that ends at 2^64 wraps to 0; RAM never gets there. */
    if (!section->romd || !host || start >= end) {
        return false;
    }
    *slot = (KvmSlot) {
        .gpa = start,
        .size = end - start,
        .host = host + section->offset + (start - section->addr),
        .region = section->region,
        .offset = section->offset + (start - section->addr),
        .readonly = section->readonly,
        .space = memory->id,
    };
    if (!IS_ALIGNED((uintptr_t)slot->host, PAGE_SIZE)) {
        log_unimplemented("kvm: '%s' at 0x%" PRIx64 " is not page-aligned in the host",
                          memory_region_name(section->region), section->addr);
        return false;
    }
    return true;
}

static bool same_slot(const KvmSlot *a, const KvmSlot *b)
{
    return a->space == b->space && a->gpa == b->gpa && a->size == b->size && a->host == b->host &&
           a->region == b->region && a->readonly == b->readonly;
}

static KvmMemory *from_listener(MemoryListener *listener)
{
    return (KvmMemory *)((char *)listener - offsetof(KvmMemory, listener));
}

static void on_region_add(MemoryListener *listener, const MemorySection *section)
{
    KvmMemory *memory = from_listener(listener);
    KvmAccel *kvm = memory->kvm;
    KvmSlot slot;

    if (!make_slot(memory, section, &slot)) {
        return;
    }
    if (slot.readonly && !kvm->has_readonly) {
        return; /* reads exit, as they would from a device */
    }
    for (unsigned i = 0; i < kvm->retired->len; i++) {
        KvmSlot *old = g_ptr_array_index(kvm->retired, i);

        if (same_slot(old, &slot)) {
            old->logged = false;
            g_ptr_array_add(kvm->slots, g_ptr_array_steal_index_fast(kvm->retired, i));
            memory->changed = true;
            return;
        }
    }
    g_ptr_array_add(kvm->slots, g_memdup2(&slot, sizeof(slot)));
    memory->changed = true;
}

static void on_region_del(MemoryListener *listener, const MemorySection *section)
{
    KvmMemory *memory = from_listener(listener);
    KvmAccel *kvm = memory->kvm;
    KvmSlot wanted;

    if (!make_slot(memory, section, &wanted)) {
        return;
    }
    for (unsigned i = 0; i < kvm->slots->len; i++) {
        if (same_slot(g_ptr_array_index(kvm->slots, i), &wanted)) {
            g_ptr_array_add(kvm->retired, g_ptr_array_steal_index_fast(kvm->slots, i));
            memory->changed = true;
            return;
        }
    }
}

/* Is a page that is about to vanish also one that comes back? */
static bool replaces_memory(const KvmAccel *kvm)
{
    for (unsigned i = 0; i < kvm->retired->len; i++) {
        const KvmSlot *old = g_ptr_array_index(kvm->retired, i);

        for (unsigned j = 0; j < kvm->slots->len; j++) {
            const KvmSlot *slot = g_ptr_array_index(kvm->slots, j);

            if (!slot->installed && slot->space == old->space &&
                ranges_overlap(old->gpa, old->size, slot->gpa, slot->size)) {
                return true;
            }
        }
    }
    return false;
}

static void on_commit(MemoryListener *listener)
{
    KvmMemory *memory = from_listener(listener);
    KvmAccel *kvm = memory->kvm;
    bool gate;

    if (!memory->changed) {
        return;
    }
    memory->changed = false;
    gate = vcpu_count() > 0 && replaces_memory(kvm);
    if (gate) {
        kvm_gate_close(kvm);
    }
    for (unsigned i = 0; i < kvm->retired->len; i++) {
        remove_slot(kvm, g_ptr_array_index(kvm->retired, i));
    }
    for (unsigned i = 0; i < kvm->slots->len; i++) {
        KvmSlot *slot = g_ptr_array_index(kvm->slots, i);

        if (slot->installed || choose_id(kvm, slot)) {
            install_slot(kvm, slot);
        }
    }
    if (gate) {
        kvm_gate_open(kvm);
    }
    g_ptr_array_set_size(kvm->retired, 0);
}

static bool slot_in_section(const KvmMemory *memory, const KvmSlot *slot,
                            const MemorySection *section)
{
    return slot->space == memory->id && slot->region == section->region &&
           ranges_overlap(slot->gpa, slot->size, section->addr, section->size);
}

static void set_logging(MemoryListener *listener, const MemorySection *section, bool on)
{
    const KvmMemory *memory = from_listener(listener);
    KvmAccel *kvm = memory->kvm;

    for (unsigned i = 0; i < kvm->slots->len; i++) {
        KvmSlot *slot = g_ptr_array_index(kvm->slots, i);

        if (!slot_in_section(memory, slot, section) || slot->logged == on) {
            continue;
        }
        if (!on && slot->installed) {
            kvm_dirty_sync_slot(kvm, slot);
        }
        slot->logged = on;
        if (slot->installed) {
            install_slot(kvm, slot);
        }
    }
}

static void on_log_start(MemoryListener *listener, const MemorySection *section)
{
    set_logging(listener, section, true);
}

static void on_log_stop(MemoryListener *listener, const MemorySection *section)
{
    set_logging(listener, section, false);
}

static void on_log_sync(MemoryListener *listener, const MemorySection *section)
{
    const KvmMemory *memory = from_listener(listener);
    KvmAccel *kvm = memory->kvm;

    if (kvm->dirty_ring_size) {
        kvm_dirty_ring_collect(kvm);
        return;
    }
    for (unsigned i = 0; i < kvm->slots->len; i++) {
        KvmSlot *slot = g_ptr_array_index(kvm->slots, i);

        if (slot_in_section(memory, slot, section)) {
            kvm_dirty_sync_slot(kvm, slot);
        }
    }
}

/* ---- ioeventfds ---- */

static void change_ioeventfd(const MemorySection *section, bool match_data, uint64_t data,
                             const EventNotifier *notifier, uint32_t flags)
{
    KvmAccel *kvm = kvm_accel();
    struct kvm_ioeventfd ioeventfd = {
        .addr = section->addr,
        .len = section->size,
        .fd = notifier->fd,
        .flags = flags | (match_data ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
        .datamatch = data,
    };
    int ret = kvm_ioctl(kvm->vm_fd, KVM_IOEVENTFD, &ioeventfd);

    /* A notifier that cannot be installed still works: its writes exit and the memory layer sets
       it. */
    if (ret < 0 && !(flags & KVM_IOEVENTFD_FLAG_DEASSIGN)) {
        log_unimplemented("kvm: ioeventfd at 0x%" PRIx64 ": %s", section->addr, g_strerror(-ret));
    }
}

static void on_memory_eventfd_add(MemoryListener *listener, const MemorySection *section,
                                  bool match_data, uint64_t data, EventNotifier *notifier)
{
    change_ioeventfd(section, match_data, data, notifier, 0);
}

static void on_memory_eventfd_del(MemoryListener *listener, const MemorySection *section,
                                  bool match_data, uint64_t data, EventNotifier *notifier)
{
    change_ioeventfd(section, match_data, data, notifier, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void on_io_eventfd_add(MemoryListener *listener, const MemorySection *section,
                              bool match_data, uint64_t data, EventNotifier *notifier)
{
    change_ioeventfd(section, match_data, data, notifier, KVM_IOEVENTFD_FLAG_PIO);
}

static void on_io_eventfd_del(MemoryListener *listener, const MemorySection *section,
                              bool match_data, uint64_t data, EventNotifier *notifier)
{
    change_ioeventfd(section, match_data, data, notifier,
                     KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/* ---- coalesced MMIO ---- */

static void change_coalesced(const MemorySection *section, bool pio, unsigned long request)
{
    KvmAccel *kvm = kvm_accel();
    struct kvm_coalesced_mmio_zone zone = {
        .addr = section->addr,
        .size = MIN(section->size, UINT32_MAX),
        .pio = pio,
    };

    if (kvm->coalesced_page &&
        (!pio || kvm_check_extension(kvm->vm_fd, KVM_CAP_COALESCED_PIO) > 0)) {
        kvm_drain_coalesced(kvm);
        kvm_ioctl(kvm->vm_fd, request, &zone);
    }
}

static void on_memory_coalesced_add(MemoryListener *listener, const MemorySection *section)
{
    change_coalesced(section, false, KVM_REGISTER_COALESCED_MMIO);
}

static void on_memory_coalesced_del(MemoryListener *listener, const MemorySection *section)
{
    change_coalesced(section, false, KVM_UNREGISTER_COALESCED_MMIO);
}

static void on_io_coalesced_add(MemoryListener *listener, const MemorySection *section)
{
    change_coalesced(section, true, KVM_REGISTER_COALESCED_MMIO);
}

static void on_io_coalesced_del(MemoryListener *listener, const MemorySection *section)
{
    change_coalesced(section, true, KVM_UNREGISTER_COALESCED_MMIO);
}

void kvm_drain_coalesced(KvmAccel *kvm)
{
    struct kvm_coalesced_mmio_ring *ring = kvm->coalesced_ring;

    while (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
        struct kvm_coalesced_mmio entry;

        if (ring->first >= KVM_COALESCED_MMIO_MAX) {
            return; /* only the kernel writes here; a wrong index is not followed */
        }
        entry = ring->coalesced_mmio[ring->first];
        address_space_write(entry.pio ? address_space_io() : address_space_memory(),
                            entry.phys_addr, entry.data, MIN(entry.len, sizeof(entry.data)));
        __atomic_store_n(&ring->first, (ring->first + 1) % KVM_COALESCED_MMIO_MAX,
                         __ATOMIC_RELEASE);
    }
}

/* ---- life ---- */

static const MemoryListener slot_listener = {
    .priority = 10,
    .commit = on_commit,
    .region_add = on_region_add,
    .region_del = on_region_del,
    .log_start = on_log_start,
    .log_stop = on_log_stop,
    .log_sync = on_log_sync,
};

void kvm_memory_add_smm(KvmAccel *kvm)
{
    if (!kvm->has_smm || kvm->smm_memory.kvm || address_space_smm() == address_space_memory()) {
        return;
    }
    kvm->smm_memory = (KvmMemory) { .listener = slot_listener, .kvm = kvm, .id = 1 };
    kvm->smm_memory.listener.name = "kvm-smm";
    memory_listener_register(&kvm->smm_memory.listener, address_space_smm());
}

bool kvm_memory_init(KvmAccel *kvm, GError **error)
{
    kvm->slots = g_ptr_array_new_with_free_func(g_free);
    kvm->retired = g_ptr_array_new_with_free_func(g_free);
    kvm->max_slots = kvm_check_extension(kvm->vm_fd, KVM_CAP_NR_MEMSLOTS);
    if (!kvm->max_slots) {
        kvm->max_slots = DEFAULT_MAX_SLOTS;
    }
    kvm_dirty_init(kvm);
    kvm->memory = (KvmMemory) { .listener = slot_listener, .kvm = kvm };
    kvm->memory.listener.name = "kvm-memory";
    kvm->memory.listener.eventfd_add = on_memory_eventfd_add;
    kvm->memory.listener.eventfd_del = on_memory_eventfd_del;
    kvm->memory.listener.coalesced_add = on_memory_coalesced_add;
    kvm->memory.listener.coalesced_del = on_memory_coalesced_del;
    kvm->io_listener = (MemoryListener) {
        .name = "kvm-io",
        .priority = 10,
        .eventfd_add = on_io_eventfd_add,
        .eventfd_del = on_io_eventfd_del,
        .coalesced_add = on_io_coalesced_add,
        .coalesced_del = on_io_coalesced_del,
    };
    memory_listener_register(&kvm->memory.listener, address_space_memory());
    memory_listener_register(&kvm->io_listener, address_space_io());
    return true;
}

void kvm_memory_cleanup(KvmAccel *kvm)
{
    if (!kvm->slots) {
        return;
    }
    memory_listener_unregister(&kvm->io_listener);
    memory_listener_unregister(&kvm->memory.listener);
    if (kvm->smm_memory.kvm) {
        memory_listener_unregister(&kvm->smm_memory.listener);
        kvm->smm_memory.kvm = NULL;
    }
    g_clear_pointer(&kvm->retired, g_ptr_array_unref);
    g_clear_pointer(&kvm->slots, g_ptr_array_unref);
}
