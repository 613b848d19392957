/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering a device model: is the size allowed, which calls does it become, who may be running
 * already, which lock.
 *
 * One guest access goes through three steps. An unaligned one is cut into aligned ones, as a bus
 * does, unless the region takes it whole. Each is checked against valid. Each is then cut
 * (impl.max) or widened (impl.min) for the callbacks.
 */
#include "memory/guard.h"
#include "memory/internal.h"
#include "util/bits.h"
#include "util/log.h"
#include "util/vm-lock.h"

#define DEFAULT_VALID_MAX 8
#define DEFAULT_IMPL_MAX 4
/* Devices that reach one another through the bus nest; no sane setup comes near this. */
#define GUARD_DEPTH_MAX 16

/* Innermost guard of this thread. A thread-local has to stand at file scope. */
static __thread MemoryGuard *guard_top;

bool memory_guard_enter(MemoryGuard *guard, const void *owner)
{
    guard->depth = guard_top ? guard_top->depth + 1 : 0;
    if (guard->depth >= GUARD_DEPTH_MAX) {
        return false;
    }
    for (const MemoryGuard *busy = guard_top; busy && owner; busy = busy->outer) {
        if (busy->owner == owner) {
            return false;
        }
    }
    guard->owner = owner;
    guard->outer = guard_top;
    guard_top = guard;
    return true;
}

void memory_guard_exit(MemoryGuard *guard)
{
    g_assert(guard_top == guard);
    guard_top = guard->outer;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static unsigned valid_max(const MemoryRegionOps *ops)
{
    return or_default(ops->valid.max, DEFAULT_VALID_MAX);
}

static unsigned impl_max(const MemoryRegionOps *ops)
{
    return or_default(ops->impl.max, DEFAULT_IMPL_MAX);
}

static bool size_valid(const MemoryRegionOps *ops, unsigned size)
{
    return size >= or_default(ops->valid.min, 1) && size <= valid_max(ops);
}

static uint64_t size_mask(unsigned size)
{
    return ~0ULL >> (64 - 8 * size);
}

/* Reverse the low `size` bytes. */
static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

/*
 * The next piece of an access, of which `left` bytes remain, that is aligned as the region needs
 * it.
 */
static unsigned aligned_piece(const MemoryRegionOps *ops, uint64_t offset, unsigned left)
{
    unsigned size = left;

    if (!ops->valid.unaligned) {
        size = 1u << (31 - __builtin_clz(left));
        while (!IS_ALIGNED(offset, size)) {
            size /= 2;
        }
    }
    return size;
}

unsigned region_io_chunk(const MemoryRegion *region, uint64_t offset, uint64_t left)
{
    const MemoryRegionOps *ops = region->ops;
    unsigned size = MIN(valid_max(ops), MAX(impl_max(ops), ops->valid.min));

    while (size > left || !IS_ALIGNED(offset, size)) {
        size /= 2;
    }
    return size_valid(ops, size) ? size : 0;
}

/* The callbacks' size for an access of `size` bytes. */
static unsigned impl_size(const MemoryRegionOps *ops, uint64_t offset, unsigned size)
{
    unsigned piece = MAX(MIN(size, impl_max(ops)), or_default(ops->impl.min, 1));

    /* An unaligned access that the guest may make, but the callbacks cannot. */
    while (!ops->impl.unaligned && piece > or_default(ops->impl.min, 1) && piece <= size &&
           !IS_ALIGNED(offset, piece)) {
        piece /= 2;
    }
    return piece;
}

/* Bit position of a piece of `part` bytes at byte `at` of a value of `size` bytes. */
static unsigned piece_shift(const MemoryRegionOps *ops, unsigned at, unsigned part, unsigned size)
{
    return 8 * (ops->big_endian ? size - part - at : at);
}

/* Read by the device's own byte order. */
static uint64_t read_pieces(MemoryRegion *region, uint64_t offset, unsigned size)
{
    const MemoryRegionOps *ops = region->ops;
    unsigned piece = impl_size(ops, offset, size);
    uint64_t value = 0;

    for (unsigned at = 0; at < size;) {
        uint64_t where = ops->impl.unaligned ? offset + at : ROUND_DOWN(offset + at, piece);
        unsigned skip = offset + at - where;
        unsigned part = MIN(piece - skip, size - at);
        uint64_t got = ops->read(region->opaque, where, piece);

        got = (got >> piece_shift(ops, skip, part, piece)) & size_mask(part);
        value |= got << piece_shift(ops, at, part, size);
        at += part;
    }
    return value;
}

static void write_pieces(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t value)
{
    const MemoryRegionOps *ops = region->ops;
    unsigned piece = impl_size(ops, offset, size);

    for (unsigned at = 0; at < size;) {
        uint64_t where = ops->impl.unaligned ? offset + at : ROUND_DOWN(offset + at, piece);
        unsigned skip = offset + at - where;
        unsigned part = MIN(piece - skip, size - at);
        uint64_t give = (value >> piece_shift(ops, at, part, size)) & size_mask(part);

        ops->write(region->opaque, where, give << piece_shift(ops, skip, part, piece), piece);
        at += part;
    }
}

/* An ioeventfd that no kernel took care of. */
static bool set_eventfd(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t value)
{
    VM_LOCK_GUARD();

    for (unsigned i = 0; i < region->eventfd_count; i++) {
        const RegionEventfd *entry = &g_array_index(region->eventfds, RegionEventfd, i);

        if (entry->offset == offset && (!entry->size || entry->size == size) &&
            (!entry->match_data || entry->data == value)) {
            event_notifier_set(entry->notifier);
            return true;
        }
    }
    return false;
}

/* Everything around the callbacks. `value` is in and out, in the guest's (little-endian) order. */
static MemResult enter_region(MemoryRegion *region, uint64_t offset, unsigned size, bool write,
                              uint64_t *value)
{
    const MemoryRegionOps *ops = region->ops;
    const void *owner = region->owner ? (const void *)region->owner : region;
    bool take_lock = !ops->lockless && !vm_lock_held();
    MemoryGuard guard;

    if (!size_valid(ops, size) || (write ? !ops->write : !ops->read)) {
        log_guest_error("region '%s': %s of %u bytes at offset 0x%" G_GINT64_MODIFIER "x refused",
                        region->name, write ? "write" : "read", size, offset);
        return MEM_UNASSIGNED;
    }
    if (!memory_guard_enter(&guard, ops->reentrant ? NULL : owner)) {
        log_guest_error("region '%s': its device is busy; %s at offset 0x%" G_GINT64_MODIFIER
                        "x refused", region->name, write ? "write" : "read", offset);
        return MEM_BUSY;
    }
    if (take_lock) {
        vm_lock();
    }
    if (write) {
        write_pieces(region, offset, size, ops->big_endian ? swap_bytes(*value, size) : *value);
    } else {
        *value = read_pieces(region, offset, size);
        *value = ops->big_endian ? swap_bytes(*value, size) : *value;
    }
    if (take_lock) {
        vm_unlock();
    }
    memory_guard_exit(&guard);
    return MEM_OK;
}

MemResult region_io_read(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t *value)
{
    MemResult result = MEM_OK;
    uint64_t whole = 0;

    for (unsigned at = 0; at < size;) {
        unsigned piece = aligned_piece(region->ops, offset + at, size - at);
        uint64_t part = 0;
        MemResult got = enter_region(region, offset + at, piece, false, &part);

        whole |= (got == MEM_OK ? part : size_mask(piece)) << (8 * at);
        result |= got;
        at += piece;
    }
    *value = whole;
    return result;
}

MemResult region_io_write(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t value)
{
    MemResult result = MEM_OK;

    if (G_UNLIKELY(__atomic_load_n(&region->eventfd_count, __ATOMIC_ACQUIRE)) &&
        set_eventfd(region, offset, size, value & size_mask(size))) {
        return MEM_OK;
    }
    for (unsigned at = 0; at < size;) {
        unsigned piece = aligned_piece(region->ops, offset + at, size - at);
        uint64_t part = (value >> (8 * at)) & size_mask(piece);

        result |= enter_region(region, offset + at, piece, true, &part);
        at += piece;
    }
    return result;
}
