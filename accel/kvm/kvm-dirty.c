/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages the guest wrote: by bitmaps (KVM_GET_DIRTY_LOG, with manual protection where the
 * kernel has it), or by per-vCPU rings (dirty-ring-size).
 *
 * A ring entry moves from "dirty" (set by the kernel) to "reset" (set here when it has been noted);
 * KVM_RESET_DIRTY_RINGS then protects those pages again and frees the entries.
 */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "util/error.h"
#include "util/thread.h"
#include "util/vm-lock.h"

#define PAGE_SIZE 4096ull
#define BITS_PER_LONG 64
#define RING_MIN_ENTRIES 1024
#define REAP_INTERVAL_US 1000000

void kvm_dirty_init(KvmAccel *kvm)
{
    uint64_t offered = kvm_check_extension(kvm->vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

    if (!kvm->dirty_ring_size && (offered & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)) {
        kvm->manual_dirty_protect =
            kvm_enable_cap(kvm->vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                           KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, 0) == 0;
    }
}

/* Hand runs of set bits to the memory layer. */
static void mark_bitmap(const KvmSlot *slot, const uint64_t *bitmap, uint64_t pages)
{
    uint64_t page = 0;

    while (page < pages) {
        uint64_t word = bitmap[page / BITS_PER_LONG] >> (page % BITS_PER_LONG);
        uint64_t start;

        if (!word) {
            page = (page / BITS_PER_LONG + 1) * BITS_PER_LONG;
            continue;
        }
        page += __builtin_ctzll(word);
        for (start = page; page < pages; page++) {
            if (!(bitmap[page / BITS_PER_LONG] >> (page % BITS_PER_LONG) & 1)) {
                break;
            }
        }
        memory_region_set_dirty(slot->region, slot->offset + start * PAGE_SIZE,
                                (page - start) * PAGE_SIZE);
    }
}

void kvm_dirty_sync_slot(KvmAccel *kvm, KvmSlot *slot)
{
    uint64_t pages = slot->size / PAGE_SIZE;
    g_autofree uint64_t *bitmap = NULL;
    struct kvm_dirty_log log = { .slot = slot->id };
    struct kvm_clear_dirty_log clear = { .slot = slot->id, .num_pages = pages };
    int ret;

    if (!slot->installed || !(slot->installed_flags & KVM_MEM_LOG_DIRTY_PAGES)) {
        return;
    }
    if (kvm->dirty_ring_size) {
        kvm_dirty_ring_collect(kvm);
        return;
    }
    bitmap = g_new0(uint64_t, (pages + BITS_PER_LONG - 1) / BITS_PER_LONG);
    log.dirty_bitmap = bitmap;
    ret = kvm_ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &log);
    if (ret < 0) {
        if (ret != -ENOENT) {
            error_report("KVM_GET_DIRTY_LOG: %s", g_strerror(-ret));
        }
        return;
    }
    if (kvm->manual_dirty_protect) {
        clear.dirty_bitmap = bitmap;
        kvm_ioctl(kvm->vm_fd, KVM_CLEAR_DIRTY_LOG, &clear);
    }
    mark_bitmap(slot, bitmap, pages);
}

/* ---- rings ---- */

static KvmSlot *slot_by_id(const KvmAccel *kvm, uint32_t id)
{
    for (unsigned list = 0; list < 2; list++) {
        const GPtrArray *slots = list ? kvm->retired : kvm->slots;

        for (unsigned i = 0; i < slots->len; i++) {
            KvmSlot *slot = g_ptr_array_index(slots, i);

            if (slot->installed && slot->id == id) {
                return slot;
            }
        }
    }
    return NULL;
}

/* Returns how many entries were taken. */
static uint32_t collect_one(KvmAccel *kvm, KvmVCpu *vcpu)
{
    uint32_t taken = 0;

    while (vcpu->ring && taken < kvm->dirty_ring_size) {
        struct kvm_dirty_gfn *entry = &vcpu->ring[vcpu->ring_next % kvm->dirty_ring_size];
        const KvmSlot *slot;

        if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY) {
            break;
        }
        slot = slot_by_id(kvm, entry->slot);
        if (slot && entry->offset < slot->size / PAGE_SIZE) {
            memory_region_set_dirty(slot->region, slot->offset + entry->offset * PAGE_SIZE,
                                    PAGE_SIZE);
        }
        __atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        vcpu->ring_next++;
        taken++;
    }
    return taken;
}

void kvm_dirty_ring_collect(KvmAccel *kvm)
{
    bool other_cpus = vcpu_count() > (vcpu_current() ? 1 : 0);
    uint32_t taken = 0;

    /* The processor may hold page numbers back until it leaves the guest. */
    if (other_cpus && !kvm->gate_closed) {
        kvm_gate_close(kvm);
        kvm_gate_open(kvm);
    }
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        if (kvm_vcpu(cpu)) {
            taken += collect_one(kvm, kvm_vcpu(cpu));
        }
    }
    if (taken) {
        ioctl(kvm->vm_fd, KVM_RESET_DIRTY_RINGS, 0);
    }
}

/* Keeps rings from filling up, which would stop their vCPUs, while nobody asks for the dirty
   pages. */
static void *reaper_thread(void *opaque)
{
    KvmAccel *kvm = opaque;

    pthread_mutex_lock(&kvm->gate_lock);
    while (!kvm->reaper_stop) {
        gint64 until = g_get_real_time() + REAP_INTERVAL_US;
        struct timespec deadline = { until / G_USEC_PER_SEC, until % G_USEC_PER_SEC * 1000 };
        bool logging = false;

        pthread_cond_timedwait(&kvm->reaper_cond, &kvm->gate_lock, &deadline);
        if (kvm->reaper_stop) {
            break;
        }
        pthread_mutex_unlock(&kvm->gate_lock);
        vm_lock();
        for (unsigned i = 0; i < kvm->slots->len; i++) {
            logging |= ((const KvmSlot *)g_ptr_array_index(kvm->slots, i))->logged;
        }
        if (logging) {
            kvm_dirty_ring_collect(kvm);
        }
        vm_unlock();
        pthread_mutex_lock(&kvm->gate_lock);
    }
    pthread_mutex_unlock(&kvm->gate_lock);
    return NULL;
}

bool kvm_dirty_ring_init(KvmAccel *kvm, GError **error)
{
    uint64_t bytes = (uint64_t)kvm->dirty_ring_size * sizeof(struct kvm_dirty_gfn);
    uint32_t capability = KVM_CAP_DIRTY_LOG_RING;
    int max, ret;

    if (!kvm->dirty_ring_size) {
        return true;
    }
    if (kvm->dirty_ring_size & (kvm->dirty_ring_size - 1) ||
        kvm->dirty_ring_size < RING_MIN_ENTRIES) {
        error_setf(error, "dirty-ring-size must be a power of two of at least %d, not %u",
                   RING_MIN_ENTRIES, kvm->dirty_ring_size);
        return false;
    }
    max = kvm_check_extension(kvm->vm_fd, capability);
    if (max <= 0) {
        error_setf(error, "dirty-ring-size: this host's KVM has no dirty rings");
        return false;
    }
    if (bytes > (uint64_t)max) {
        error_setf(error, "dirty-ring-size can be at most %zu here, not %u",
                   max / sizeof(struct kvm_dirty_gfn), kvm->dirty_ring_size);
        return false;
    }
    ret = kvm_enable_cap(kvm->vm_fd, capability, bytes, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "dirty-ring-size");
        return false;
    }
    kvm->reaper_stop = false;
    kvm->reaper_running = false;
    return true;
}

bool kvm_dirty_ring_map(KvmAccel *kvm, KvmVCpu *vcpu, GError **error)
{
    size_t bytes = kvm->dirty_ring_size * sizeof(struct kvm_dirty_gfn);
    void *ring;

    if (!bytes) {
        return true;
    }
    ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
                KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
    if (ring == MAP_FAILED) {
        error_set_errno(error, errno, "cannot map a vCPU's dirty ring");
        return false;
    }
    vcpu->ring = ring;
    if (!kvm->reaper_running) {
        kvm->reaper_running = thread_create(&kvm->reaper, "dirty-ring", reaper_thread, kvm, error);
        return kvm->reaper_running;
    }
    return true;
}

void kvm_dirty_ring_unmap(KvmAccel *kvm, KvmVCpu *vcpu)
{
    if (vcpu->ring) {
        munmap(vcpu->ring, kvm->dirty_ring_size * sizeof(struct kvm_dirty_gfn));
        vcpu->ring = NULL;
    }
}

void kvm_dirty_cleanup(KvmAccel *kvm)
{
    if (!kvm->reaper_running) {
        return;
    }
    pthread_mutex_lock(&kvm->gate_lock);
    kvm->reaper_stop = true;
    pthread_cond_broadcast(&kvm->reaper_cond);
    pthread_mutex_unlock(&kvm->gate_lock);
    vm_unlock();
    pthread_join(kvm->reaper, NULL);
    vm_lock();
    kvm->reaper_running = false;
}
