/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to an address space, from any thread. The view is read in an RCU section, which is left
 * while a device model runs (that may wait for the VM lock, and take long); the region is pinned
 * instead. Ranges are walked one after the other: an access may cross from RAM to I/O to nothing.
 */
#include <string.h>

#include "memory/internal.h"
#include "util/bits.h"

/* Longest fill of an I/O region, in bytes. */
#define SET_IO_MAX 4096

/* How a walk treats each part of its range. */
typedef struct WalkOps {
    MemResult (*host)(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len);
    MemResult (*io)(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len);
    MemResult (*nothing)(uint8_t *buf, uint64_t len);
    bool (*direct)(const FlatRange *range);
} WalkOps;

/* Leave the RCU section, keeping the range's region and its owner; and back. */
static FlatRange io_enter(const FlatRange *range)
{
    FlatRange copy = *range;

    region_pin(copy.region);
    rcu_read_unlock();
    return copy;
}

static void io_leave(const FlatRange *range)
{
    rcu_read_lock();
    region_unpin(range->region);
}

/* The last address of the range, or of the gap that addr is in. */
static uint64_t part_last(const FlatView *view, const FlatRange *range, uint64_t addr)
{
    unsigned next;

    if (range) {
        return range->last;
    }
    next = flatview_lower_bound(view, addr);
    return next < view->count ? view->ranges[next].addr - 1 : UINT64_MAX;
}

/*
 * Apply ops to every part of [addr, addr + len); at 2^64 the walk wraps to 0, as addresses do. RCU
 * read section, left on the way.
 */
static MemResult walk(AddressSpace *as, uint64_t addr, uint8_t *buf, uint64_t len,
                      const WalkOps *ops)
{
    const FlatView *view = address_space_view(as);
    MemResult result = MEM_OK;

    while (len) {
        const FlatRange *range = flatview_find(view, addr);
        uint64_t part = MIN(len - 1, part_last(view, range, addr) - addr) + 1;

        if (!range) {
            result |= ops->nothing(buf, part);
        } else if (ops->direct(range)) {
            result |= ops->host(range, addr, buf, part);
        } else {
            FlatRange io = io_enter(range);

            result |= ops->io(&io, addr, buf, part);
            io_leave(&io);
            view = address_space_view(as);
        }
        addr += part;
        buf += part;
        len -= part;
    }
    return result;
}

static bool reads_direct(const FlatRange *range)
{
    return range->host_read;
}

static bool writes_direct(const FlatRange *range)
{
    return range->host_write;
}

static uint64_t range_offset(const FlatRange *range, uint64_t at)
{
    return range->offset + (at - range->addr);
}

static MemResult read_host(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    memcpy(buf, range->host_read + (at - range->addr), len);
    return MEM_OK;
}

static MemResult read_io(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    uint64_t offset = range_offset(range, at);
    MemResult result = MEM_OK;

    while (len) {
        unsigned size = region_io_chunk(range->region, offset, len);
        uint64_t value;

        if (!size) {
            memset(buf, 0xff, len);
            return result | MEM_UNASSIGNED;
        }
        result |= region_io_read(range->region, offset, size, &value);
        stn_le(buf, size, value);
        offset += size;
        buf += size;
        len -= size;
    }
    return result;
}

static MemResult read_nothing(uint8_t *buf, uint64_t len)
{
    memset(buf, 0xff, len);
    return MEM_UNASSIGNED;
}

MemResult address_space_read(AddressSpace *as, uint64_t addr, void *buf, uint64_t len)
{
    static const WalkOps ops = { read_host, read_io, read_nothing, reads_direct };
    MemResult result;

    rcu_read_lock();
    result = walk(as, addr, buf, len, &ops);
    rcu_read_unlock();
    return result;
}

static MemResult write_host(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    memcpy(range->host_write + (at - range->addr), buf, len);
    region_note_write(range->region, range_offset(range, at), len);
    return MEM_OK;
}

/* Can a write reach callbacks? Else it is a write to ROM. */
static bool takes_io_writes(const FlatRange *range)
{
    return range->region->ops && !range->readonly;
}

static MemResult write_io(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    uint64_t offset = range_offset(range, at);
    MemResult result = MEM_OK;

    if (!takes_io_writes(range)) {
        return MEM_ROM;
    }
    while (len) {
        unsigned size = region_io_chunk(range->region, offset, len);

        if (!size) {
            return result | MEM_UNASSIGNED;
        }
        result |= region_io_write(range->region, offset, size, ldn_le(buf, size));
        offset += size;
        buf += size;
        len -= size;
    }
    return result;
}

static MemResult write_nothing(uint8_t *buf, uint64_t len)
{
    return MEM_UNASSIGNED;
}

MemResult address_space_write(AddressSpace *as, uint64_t addr, const void *buf, uint64_t len)
{
    static const WalkOps ops = { write_host, write_io, write_nothing, writes_direct };
    MemResult result;

    rcu_read_lock();
    result = walk(as, addr, (uint8_t *)buf, len, &ops);
    rcu_read_unlock();
    return result;
}

static bool has_block(const FlatRange *range)
{
    return range->region->block;
}

static MemResult write_block(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    uint64_t offset = range_offset(range, at);

    memcpy((uint8_t *)ram_block_host(range->region->block) + offset, buf, len);
    region_note_write(range->region, offset, len);
    return MEM_OK;
}

static MemResult skip_io(const FlatRange *range, uint64_t at, uint8_t *buf, uint64_t len)
{
    return MEM_UNASSIGNED;
}

MemResult address_space_write_rom(AddressSpace *as, uint64_t addr, const void *buf, uint64_t len)
{
    static const WalkOps ops = { write_block, skip_io, write_nothing, has_block };
    MemResult result;

    rcu_read_lock();
    result = walk(as, addr, (uint8_t *)buf, len, &ops);
    rcu_read_unlock();
    return result;
}

/* I/O is filled in small pieces only: a long fill of a large region would never end. */
static MemResult set_io(const FlatRange *range, uint64_t at, uint8_t byte, uint64_t len)
{
    uint8_t pattern[SET_IO_MAX];

    if (len > sizeof(pattern)) {
        return MEM_UNASSIGNED;
    }
    memset(pattern, byte, len);
    return write_io(range, at, pattern, len);
}

MemResult address_space_set(AddressSpace *as, uint64_t addr, uint8_t byte, uint64_t len)
{
    MemResult result = MEM_OK;

    rcu_read_lock();
    while (len) {
        const FlatView *view = address_space_view(as);
        const FlatRange *range = flatview_find(view, addr);
        uint64_t part = MIN(len - 1, part_last(view, range, addr) - addr) + 1;

        if (!range) {
            result |= MEM_UNASSIGNED;
        } else if (range->host_write) {
            memset(range->host_write + (addr - range->addr), byte, part);
            region_note_write(range->region, range_offset(range, addr), part);
        } else {
            FlatRange io = io_enter(range);

            result |= set_io(&io, addr, byte, part);
            io_leave(&io);
        }
        addr += part;
        len -= part;
    }
    rcu_read_unlock();
    return result;
}

/* One host access, so that an aligned one is atomic for the guest's other CPUs. */
static inline uint64_t load_host(const void *host, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)host;
    case 2:
        return ldw_le(host);
    case 4:
        return ldl_le(host);
    default:
        return ldq_le(host);
    }
}

static inline void store_host(void *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *(uint8_t *)host = value;
        break;
    case 2:
        stw_le(host, value);
        break;
    case 4:
        stl_le(host, value);
        break;
    default:
        stq_le(host, value);
        break;
    }
}

/*
 * One access belongs to the region where it starts, even where an overlapping smaller region begins
 * within it: port 0xCF8 as a dword is PCI's, although 0xCF9 alone is the reset register.
 */
static bool is_one_io_access(const FlatRange *range, uint64_t addr, unsigned size)
{
    return range && range_ok(range_offset(range, addr), size, memory_region_size(range->region));
}

static G_GNUC_NO_INLINE MemResult load_slow(AddressSpace *as, const FlatRange *range,
                                            uint64_t addr, unsigned size, uint64_t *value)
{
    uint8_t bytes[8];
    MemResult result;

    if (range && !range->host_read && is_one_io_access(range, addr, size)) {
        FlatRange io = io_enter(range);

        result = region_io_read(io.region, range_offset(&io, addr), size, value);
        io_leave(&io);
        return result;
    }
    result = address_space_read(as, addr, bytes, size);
    *value = ldn_le(bytes, size);
    return result;
}

MemResult address_space_load(AddressSpace *as, uint64_t addr, unsigned size, uint64_t *value)
{
    const FlatRange *range;
    MemResult result = MEM_OK;

    rcu_read_lock();
    range = flatview_find(address_space_view(as), addr);
    if (G_LIKELY(range && range->host_read && size - 1 <= range->last - addr)) {
        *value = load_host(range->host_read + (addr - range->addr), size);
    } else {
        result = load_slow(as, range, addr, size, value);
    }
    rcu_read_unlock();
    return result;
}

static G_GNUC_NO_INLINE MemResult store_slow(AddressSpace *as, const FlatRange *range,
                                             uint64_t addr, unsigned size, uint64_t value)
{
    uint8_t bytes[8];
    MemResult result;

    if (range && takes_io_writes(range) && is_one_io_access(range, addr, size)) {
        FlatRange io = io_enter(range);

        result = region_io_write(io.region, range_offset(&io, addr), size, value);
        io_leave(&io);
        return result;
    }
    stn_le(bytes, size, value);
    return address_space_write(as, addr, bytes, size);
}

MemResult address_space_store(AddressSpace *as, uint64_t addr, unsigned size, uint64_t value)
{
    const FlatRange *range;
    MemResult result = MEM_OK;

    rcu_read_lock();
    range = flatview_find(address_space_view(as), addr);
    if (G_LIKELY(range && range->host_write && size - 1 <= range->last - addr)) {
        store_host(range->host_write + (addr - range->addr), size, value);
        region_note_write(range->region, range_offset(range, addr), size);
    } else {
        result = store_slow(as, range, addr, size, value);
    }
    rcu_read_unlock();
    return result;
}

bool address_space_is_ram(AddressSpace *as, uint64_t addr, uint64_t len)
{
    const FlatView *view;
    bool all = true;

    rcu_read_lock();
    view = address_space_view(as);
    while (len && all) {
        const FlatRange *range = flatview_find(view, addr);

        all = range && range->host_read;
        if (all) {
            uint64_t part = MIN(len - 1, range->last - addr) + 1;

            addr += part;
            len -= part;
        }
    }
    rcu_read_unlock();
    return all;
}

void *address_space_map(AddressSpace *as, uint64_t addr, uint64_t *len, bool is_write)
{
    const FlatRange *range;
    uint8_t *host = NULL;

    rcu_read_lock();
    range = flatview_find(address_space_view(as), addr);
    if (range && *len) {
        host = is_write ? range->host_write : range->host_read;
    }
    if (host) {
        host += addr - range->addr;
        *len = MIN(*len - 1, range->last - addr) + 1;
        region_pin(range->region);
    } else {
        *len = 0;
    }
    rcu_read_unlock();
    return host;
}

void address_space_unmap(AddressSpace *as, void *host, uint64_t len, bool is_write,
                         uint64_t written)
{
    MemoryRegion *region;
    uint64_t offset;

    rcu_read_lock();
    region = memory_region_from_host(host, &offset);
    g_assert(region);
    if (is_write && written) {
        region_note_write(region, offset, MIN(written, len));
    }
    region_unpin(region);
    rcu_read_unlock();
}

bool address_space_host_address(AddressSpace *as, const void *host, uint64_t *addr)
{
    const FlatView *view;
    bool found = false;

    rcu_read_lock();
    view = address_space_view(as);
    for (unsigned i = 0; i < view->count && !found; i++) {
        const FlatRange *range = &view->ranges[i];
        uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)range->host_read);

        found = range->host_read && offset <= range->last - range->addr;
        *addr = range->addr + offset;
    }
    rcu_read_unlock();
    return found;
}

bool address_space_find(AddressSpace *as, uint64_t addr, MemoryPlace *place)
{
    const FlatRange *range = flatview_find(address_space_view(as), addr);

    if (!range) {
        return false;
    }
    *place = (MemoryPlace){
        .region = range->region, .first = range->addr, .last = range->last,
        .offset = range->offset, .read = range->host_read, .write = range->host_write,
    };
    return true;
}

MemoryRegion *address_space_translate(AddressSpace *as, uint64_t addr, uint64_t *offset,
                                      uint64_t *len)
{
    const FlatRange *range = flatview_find(address_space_view(as), addr);

    if (!range || !*len) {
        return NULL;
    }
    *offset = range_offset(range, addr);
    *len = MIN(*len - 1, range->last - addr) + 1;
    return range->region;
}
