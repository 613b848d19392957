/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/split-ring.h"

#include <endian.h>
#include <errno.h>

/* The driver's memory changes under our eyes: every load and store happens once, as written. */
#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

size_t split_ring_desc_bytes(uint16_t size)
{
    return (size_t)size * sizeof(struct vring_desc);
}

size_t split_ring_avail_bytes(uint16_t size)
{
    return sizeof(struct vring_avail) + ((size_t)size + 1) * sizeof(__virtio16);
}

size_t split_ring_used_bytes(uint16_t size)
{
    return sizeof(struct vring_used) + (size_t)size * sizeof(struct vring_used_elem) +
           sizeof(__virtio16);
}

static __virtio16 *used_event(const SplitRing *ring)
{
    return &ring->avail->ring[ring->size];
}

static __virtio16 *avail_event(const SplitRing *ring)
{
    return (__virtio16 *)&ring->used->ring[ring->size];
}

void split_ring_start(SplitRing *ring)
{
    ring->used_idx = le16toh(LOAD(ring->used->idx));
    ring->signalled_valid = false;
}

int split_ring_next(SplitRing *ring, uint16_t *head)
{
    uint16_t idx = le16toh(__atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE));
    uint16_t waiting = (uint16_t)(idx - ring->last_avail);

    if (waiting == 0) {
        return 0;
    }
    if (waiting > ring->size) {
        return -EPROTO;
    }
    *head = le16toh(LOAD(ring->avail->ring[ring->last_avail & (ring->size - 1)]));
    if (*head >= ring->size) {
        return -EPROTO;
    }
    ring->last_avail++;
    return 1;
}

/* ---- Chains ---- */

static Desc read_desc(const struct vring_desc *from)
{
    return (Desc) {
        .addr = le64toh(LOAD(from->addr)), .len = le32toh(LOAD(from->len)),
        .flags = le16toh(LOAD(from->flags)), .next = le16toh(LOAD(from->next)),
    };
}

static VirtioBuffer buffer_of(const Desc *desc)
{
    return (VirtioBuffer) { desc->addr, desc->len, desc->flags & VRING_DESC_F_WRITE };
}

/* Follow the links of an indirect table. */
static int walk_table(VirtioTable *table, VirtioChain *chain)
{
    uint32_t index = 0;

    for (uint32_t seen = 0; seen < table->count; seen++) {
        const struct vring_desc *from = virtio_table_entry(table, index);
        VirtioBuffer buffer;
        Desc desc;
        int ret;

        if (!from) {
            return -EFAULT;
        }
        desc = read_desc(from);
        buffer = buffer_of(&desc);
        ret = desc.flags & VRING_DESC_F_INDIRECT ? -EPROTO
                                                 : virtio_chain_add(chain, table->memory, &buffer);
        if (ret < 0 || !(desc.flags & VRING_DESC_F_NEXT)) {
            return ret;
        }
        index = desc.next;
        if (index >= table->count) {
            return -EPROTO;
        }
    }
    return -EPROTO; /* more links than entries: a loop */
}

static int walk_indirect(const VirtioMemory *memory, const Desc *outer, VirtioChain *chain)
{
    VirtioTable table;
    int ret = virtio_table_init(&table, memory, outer->addr, outer->len);

    if (ret == 0) {
        ret = outer->flags & VRING_DESC_F_NEXT ? -EPROTO : walk_table(&table, chain);
        virtio_table_cleanup(&table);
    }
    return ret;
}

static int walk_ring(const SplitRing *ring, const VirtioMemory *memory, VirtioChain *chain)
{
    uint16_t index = chain->head;

    for (unsigned seen = 0; seen < ring->size; seen++) {
        Desc desc = read_desc(&ring->desc[index]);
        VirtioBuffer buffer = buffer_of(&desc);
        int ret;

        if (desc.flags & VRING_DESC_F_INDIRECT) {
            return ring->indirect ? walk_indirect(memory, &desc, chain) : -EPROTO;
        }
        ret = virtio_chain_add(chain, memory, &buffer);
        if (ret < 0 || !(desc.flags & VRING_DESC_F_NEXT)) {
            return ret;
        }
        index = desc.next;
        if (index >= ring->size) {
            return -EPROTO;
        }
    }
    return -EPROTO; /* a loop */
}

int split_ring_chain(const SplitRing *ring, const VirtioMemory *memory, uint16_t head,
                     VirtioChain *chain)
{
    int ret;

    chain->head = head;
    chain->n_desc = 1;
    chain->n_out = chain->n_in = 0;
    ret = walk_ring(ring, memory, chain);
    if (ret < 0) {
        virtio_chain_unmap(chain, memory);
    }
    return ret;
}

/* ---- Results ---- */

void split_ring_fill(SplitRing *ring, unsigned place, uint16_t head, uint32_t len)
{
    struct vring_used_elem *elem = &ring->used->ring[(ring->used_idx + place) & (ring->size - 1)];

    STORE(elem->id, htole32(head));
    STORE(elem->len, htole32(len));
}

void split_ring_publish(SplitRing *ring, unsigned count)
{
    ring->used_idx += (uint16_t)count;
    __atomic_store_n(&ring->used->idx, htole16(ring->used_idx), __ATOMIC_RELEASE);
}

void split_ring_push(SplitRing *ring, uint16_t head, uint32_t len)
{
    split_ring_fill(ring, 0, head, len);
    split_ring_publish(ring, 1);
}

bool split_ring_wants_interrupt(SplitRing *ring)
{
    uint16_t old = ring->signalled, now = ring->used_idx;
    bool valid = ring->signalled_valid;

    /* idx must be visible before we look at what the driver wants. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!ring->event_idx) {
        return !(le16toh(LOAD(ring->avail->flags)) & VRING_AVAIL_F_NO_INTERRUPT);
    }
    ring->signalled = now;
    ring->signalled_valid = true;
    return !valid || vring_need_event(le16toh(LOAD(*used_event(ring))), now, old);
}

bool split_ring_is_empty(const SplitRing *ring)
{
    return le16toh(LOAD(ring->avail->idx)) == ring->last_avail;
}

void split_ring_disable_kicks(SplitRing *ring)
{
    if (!ring->event_idx) {
        STORE(ring->used->flags, htole16(VRING_USED_F_NO_NOTIFY));
    }
}

bool split_ring_enable_kicks(SplitRing *ring)
{
    if (ring->event_idx) {
        STORE(*avail_event(ring), htole16(ring->last_avail));
    } else {
        STORE(ring->used->flags, 0);
    }
    /* The driver looks at it after it has written idx. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return le16toh(LOAD(ring->avail->idx)) != ring->last_avail;
}
