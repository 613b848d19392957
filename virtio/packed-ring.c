/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/packed-ring.h"

#include <endian.h>
#include <errno.h>

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

#define FLAG_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define FLAG_USED (1u << VRING_PACKED_DESC_F_USED)
#define EVENT_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
} Desc;

size_t packed_ring_desc_bytes(uint16_t size)
{
    return (size_t)size * sizeof(struct vring_packed_desc);
}

static bool is_available(const PackedRing *ring, uint16_t flags)
{
    return !!(flags & FLAG_AVAIL) == ring->avail_wrap && !!(flags & FLAG_USED) != ring->avail_wrap;
}

static uint16_t next_flags(const PackedRing *ring)
{
    return le16toh(__atomic_load_n(&ring->desc[ring->last_avail].flags, __ATOMIC_ACQUIRE));
}

bool packed_ring_is_empty(const PackedRing *ring)
{
    return !is_available(ring, next_flags(ring));
}

/* ---- Chains ---- */

static Desc read_desc(const struct vring_packed_desc *from)
{
    return (Desc) {
        .addr = le64toh(LOAD(from->addr)), .len = le32toh(LOAD(from->len)),
        .id = le16toh(LOAD(from->id)), .flags = le16toh(LOAD(from->flags)),
    };
}

static int add_desc(VirtioChain *chain, const VirtioMemory *memory, const Desc *desc)
{
    const VirtioBuffer buffer = { desc->addr, desc->len, desc->flags & VRING_DESC_F_WRITE };

    return virtio_chain_add(chain, memory, &buffer);
}

/* An indirect table of a packed ring has no links: all of it is the chain. */
static int walk_indirect(const VirtioMemory *memory, const Desc *outer, VirtioChain *chain)
{
    VirtioTable table;
    int ret = virtio_table_init(&table, memory, outer->addr, outer->len);

    for (uint32_t i = 0; ret == 0 && i < table.count; i++) {
        const struct vring_packed_desc *from = virtio_table_entry(&table, i);
        Desc desc;

        if (!from) {
            ret = -EFAULT;
            break;
        }
        desc = read_desc(from);
        ret = desc.flags & VRING_DESC_F_INDIRECT ? -EPROTO : add_desc(chain, memory, &desc);
    }
    virtio_table_cleanup(&table);
    return ret;
}

/* From last_avail on. The chain's id is in its last descriptor. */
static int walk_ring(const PackedRing *ring, const VirtioMemory *memory, VirtioChain *chain)
{
    uint16_t at = ring->last_avail;

    while (chain->n_desc < ring->size) {
        Desc desc = read_desc(&ring->desc[at]);
        int ret;

        chain->n_desc++;
        chain->head = desc.id;
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            return ring->indirect && chain->n_desc == 1 && !(desc.flags & VRING_DESC_F_NEXT)
                       ? walk_indirect(memory, &desc, chain) : -EPROTO;
        }
        ret = add_desc(chain, memory, &desc);
        if (ret < 0 || !(desc.flags & VRING_DESC_F_NEXT)) {
            return ret;
        }
        at = at + 1 == ring->size ? 0 : at + 1;
    }
    return -EPROTO; /* longer than the ring */
}

int packed_ring_next(PackedRing *ring, const VirtioMemory *memory, VirtioChain *chain)
{
    unsigned next;
    int ret;

    if (packed_ring_is_empty(ring)) {
        return 0;
    }
    chain->n_desc = 0;
    chain->n_out = chain->n_in = 0;
    ret = walk_ring(ring, memory, chain);
    if (ret < 0) {
        virtio_chain_unmap(chain, memory);
        return ret;
    }
    next = ring->last_avail + chain->n_desc;
    if (next >= ring->size) {
        next -= ring->size;
        ring->avail_wrap = !ring->avail_wrap;
    }
    ring->last_avail = (uint16_t)next;
    return 1;
}

void packed_ring_unnext(PackedRing *ring, uint16_t n_desc)
{
    if (ring->last_avail < n_desc) {
        ring->last_avail += ring->size;
        ring->avail_wrap = !ring->avail_wrap;
    }
    ring->last_avail -= n_desc;
}

/* ---- Results ---- */

static void write_used(PackedRing *ring, unsigned place, uint16_t id, uint32_t len, int order)
{
    unsigned at = ring->used_idx + place;
    bool wrap = ring->used_wrap;
    uint16_t flags = len ? VRING_DESC_F_WRITE : 0;
    struct vring_packed_desc *desc;

    if (at >= ring->size) {
        at -= ring->size;
        wrap = !wrap;
    }
    desc = &ring->desc[at];
    STORE(desc->id, htole16(id));
    STORE(desc->len, htole32(len));
    flags |= wrap ? FLAG_AVAIL | FLAG_USED : 0;
    if (order == __ATOMIC_RELEASE) {
        __atomic_store_n(&desc->flags, htole16(flags), __ATOMIC_RELEASE);
    } else {
        STORE(desc->flags, htole16(flags));
    }
}

void packed_ring_fill(PackedRing *ring, unsigned place, uint16_t id, uint32_t len)
{
    write_used(ring, place, id, len, __ATOMIC_RELAXED);
}

void packed_ring_publish(PackedRing *ring, uint16_t id, uint32_t len, unsigned places)
{
    unsigned next = ring->used_idx + places;

    write_used(ring, 0, id, len, __ATOMIC_RELEASE);
    if (next >= ring->size) {
        next -= ring->size;
        ring->used_wrap = !ring->used_wrap;
        ring->signalled -= ring->size; /* what it is compared with begins anew */
    }
    ring->used_idx = (uint16_t)next;
}

bool packed_ring_wants_interrupt(PackedRing *ring)
{
    uint16_t old = ring->signalled, now = ring->used_idx;
    bool valid = ring->signalled_valid;
    uint16_t flags, off_wrap, off;

    /* The used descriptors must be visible before we look at what the driver wants. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    flags = le16toh(LOAD(ring->driver->flags));
    ring->signalled = now;
    ring->signalled_valid = true;
    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE) {
        return false;
    }
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx || !valid) {
        return true;
    }
    off_wrap = le16toh(LOAD(ring->driver->off_wrap));
    off = off_wrap & (EVENT_WRAP - 1);
    if (!!(off_wrap & EVENT_WRAP) != ring->used_wrap) {
        off -= ring->size;
    }
    return vring_need_event(off, now, old);
}

void packed_ring_disable_kicks(PackedRing *ring)
{
    STORE(ring->device->flags, htole16(VRING_PACKED_EVENT_FLAG_DISABLE));
}

bool packed_ring_enable_kicks(PackedRing *ring)
{
    if (ring->event_idx) {
        uint16_t off_wrap = ring->last_avail | (ring->avail_wrap ? EVENT_WRAP : 0);

        STORE(ring->device->off_wrap, htole16(off_wrap));
        __atomic_store_n(&ring->device->flags, htole16(VRING_PACKED_EVENT_FLAG_DESC),
                         __ATOMIC_RELEASE);
    } else {
        STORE(ring->device->flags, htole16(VRING_PACKED_EVENT_FLAG_ENABLE));
    }
    /* The driver looks at it after it has made a descriptor available. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !packed_ring_is_empty(ring);
}
