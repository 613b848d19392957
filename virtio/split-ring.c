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

static int add_buffer(SplitChain *chain, const VirtioMemory *memory, const Desc *desc)
{
    uint64_t addr = desc->addr;
    uint32_t left = desc->len;

    if (!left || (!(desc->flags & VRING_DESC_F_WRITE) && chain->n_in)) {
        return -EPROTO;
    }
    while (left) {
        size_t len = left;
        void *host = memory->map(memory->opaque, addr, &len);

        if (!host) {
            return -EFAULT;
        }
        if (chain->n_out + chain->n_in == SPLIT_RING_MAX_IOV) {
            return -E2BIG;
        }
        chain->iov[chain->n_out + chain->n_in] = (struct iovec) { host, len };
        if (desc->flags & VRING_DESC_F_WRITE) {
            chain->n_in++;
        } else {
            chain->n_out++;
        }
        addr += len;
        left -= (uint32_t)len;
    }
    return 0;
}

static int read_indirect_desc(const VirtioMemory *memory, uint64_t table, uint32_t index,
                              Desc *desc)
{
    size_t len = sizeof(struct vring_desc);
    const struct vring_desc *from =
        memory->map(memory->opaque, table + (uint64_t)index * sizeof(*from), &len);

    if (!from || len < sizeof(*from) || ((uintptr_t)from & 7)) {
        return -EFAULT;
    }
    *desc = read_desc(from);
    return 0;
}

static int walk_indirect(const VirtioMemory *memory, const Desc *outer, SplitChain *chain)
{
    uint32_t count = outer->len / sizeof(struct vring_desc);
    uint32_t index = 0;

    if (outer->len % sizeof(struct vring_desc) || !count || count > SPLIT_RING_MAX_SIZE ||
        (outer->flags & VRING_DESC_F_NEXT)) {
        return -EPROTO;
    }
    for (uint32_t seen = 0; seen < count; seen++) {
        Desc desc;
        int ret = read_indirect_desc(memory, outer->addr, index, &desc);

        if (ret == 0) {
            ret = desc.flags & VRING_DESC_F_INDIRECT ? -EPROTO : add_buffer(chain, memory, &desc);
        }
        if (ret < 0 || !(desc.flags & VRING_DESC_F_NEXT)) {
            return ret;
        }
        index = desc.next;
        if (index >= count) {
            return -EPROTO;
        }
    }
    return -EPROTO; /* more links than entries: a loop */
}

int split_ring_chain(const SplitRing *ring, const VirtioMemory *memory, uint16_t head,
                     SplitChain *chain)
{
    uint16_t index = head;

    chain->head = head;
    chain->n_out = chain->n_in = 0;
    for (unsigned seen = 0; seen < ring->size; seen++) {
        Desc desc = read_desc(&ring->desc[index]);
        int ret;

        if (desc.flags & VRING_DESC_F_INDIRECT) {
            return ring->indirect ? walk_indirect(memory, &desc, chain) : -EPROTO;
        }
        ret = add_buffer(chain, memory, &desc);
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

/* ---- Results ---- */

void split_ring_push(SplitRing *ring, uint16_t head, uint32_t len)
{
    struct vring_used_elem *elem = &ring->used->ring[ring->used_idx & (ring->size - 1)];

    STORE(elem->id, htole32(head));
    STORE(elem->len, htole32(len));
    ring->used_idx++;
    __atomic_store_n(&ring->used->idx, htole16(ring->used_idx), __ATOMIC_RELEASE);
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
