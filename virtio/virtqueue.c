/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/virtqueue.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "util/bits.h"

/* ---- Position ---- */

void virtqueue_reset_position(VirtQueue *vq)
{
    vq->split_ring = (SplitRing) { 0 };
    vq->packed_ring = (PackedRing) { .avail_wrap = true, .used_wrap = true };
}

void virtqueue_get_position(const VirtQueue *vq, VirtQueuePosition *position)
{
    *position = vq->packed
                    ? (VirtQueuePosition) {
                          .last_avail = vq->packed_ring.last_avail,
                          .used_idx = vq->packed_ring.used_idx,
                          .avail_wrap = vq->packed_ring.avail_wrap,
                          .used_wrap = vq->packed_ring.used_wrap,
                      }
                    : (VirtQueuePosition) {
                          .last_avail = vq->split_ring.last_avail,
                          .used_idx = vq->split_ring.used_idx,
                      };
}

bool virtqueue_set_position(VirtQueue *vq, const VirtQueuePosition *position)
{
    virtqueue_reset_position(vq);
    if (vq->packed) {
        if (position->last_avail >= vq->size || position->used_idx >= vq->size) {
            return false;
        }
        vq->packed_ring.last_avail = position->last_avail;
        vq->packed_ring.used_idx = position->used_idx;
        vq->packed_ring.avail_wrap = position->avail_wrap;
        vq->packed_ring.used_wrap = position->used_wrap;
        return true;
    }
    vq->split_ring.last_avail = position->last_avail;
    vq->split_ring.used_idx = position->used_idx;
    return (uint16_t)(position->last_avail - position->used_idx) <= vq->size;
}

void virtqueue_take_back(VirtQueue *vq, int last_avail)
{
    SplitRing *ring = &vq->split_ring;
    uint16_t used;

    if (!vq->started || vq->packed) {
        return;
    }
    used = GUINT16_FROM_LE(__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE));
    ring->used_idx = used;
    ring->signalled_valid = false;
    ring->last_avail = last_avail >= 0 && (uint16_t)(last_avail - used) <= vq->size
                           ? (uint16_t)last_avail : used;
}

/* ---- Starting and stopping ---- */

typedef struct RingPart {
    uint64_t addr;
    size_t len;
    unsigned align;
    bool write;
} RingPart;

static void ring_parts(const VirtQueue *vq, RingPart parts[3])
{
    uint16_t size = vq->size;

    if (vq->packed) {
        const size_t event = sizeof(struct vring_packed_desc_event);

        parts[0] = (RingPart) { vq->desc, packed_ring_desc_bytes(size), 16, true };
        parts[1] = (RingPart) { vq->driver, event, 4, false };
        parts[2] = (RingPart) { vq->device, event, 4, true };
    } else {
        parts[0] = (RingPart) { vq->desc, split_ring_desc_bytes(size), 16, false };
        parts[1] = (RingPart) { vq->driver, split_ring_avail_bytes(size), 2, false };
        parts[2] = (RingPart) { vq->device, split_ring_used_bytes(size), 4, true };
    }
}

static void unmap_parts(VirtQueue *vq)
{
    RingPart parts[3];

    ring_parts(vq, parts);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        const struct iovec *part = &vq->parts[i];

        if (part->iov_base && vq->memory.unmap) {
            vq->memory.unmap(vq->memory.opaque, part->iov_base, part->iov_len, parts[i].write,
                             parts[i].write ? part->iov_len : 0);
        }
    }
    memset(vq->parts, 0, sizeof(vq->parts));
}

/* All of each part in one piece, aligned. */
static bool map_parts(VirtQueue *vq)
{
    RingPart parts[3];

    ring_parts(vq, parts);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        size_t len = parts[i].len;
        void *host = vq->memory.map(vq->memory.opaque, parts[i].addr, &len, parts[i].write);

        if (host) {
            vq->parts[i] = (struct iovec) { host, len };
        }
        if (!host || len < parts[i].len || !IS_ALIGNED((uintptr_t)host, parts[i].align)) {
            unmap_parts(vq);
            return false;
        }
    }
    return true;
}

static bool size_is_valid(const VirtQueue *vq)
{
    return vq->size && vq->size <= VIRTIO_RING_MAX_SIZE &&
           (vq->packed || (vq->size & (vq->size - 1)) == 0);
}

bool virtqueue_start(VirtQueue *vq)
{
    g_assert(!vq->started);
    vq->broken = NULL;
    if (!size_is_valid(vq)) {
        vq->broken = "its size makes no sense";
    } else if (!map_parts(vq)) {
        vq->broken = "its ring is outside of memory, or not aligned";
    }
    if (vq->broken) {
        return false;
    }
    vq->packed_ring.desc = vq->parts[0].iov_base;
    vq->packed_ring.driver = vq->parts[1].iov_base;
    vq->packed_ring.device = vq->parts[2].iov_base;
    vq->packed_ring.signalled_valid = false;
    vq->split_ring.desc = vq->parts[0].iov_base;
    vq->split_ring.avail = vq->parts[1].iov_base;
    vq->split_ring.used = vq->parts[2].iov_base;
    vq->split_ring.signalled_valid = false;
    vq->split_ring.size = vq->packed_ring.size = vq->size;
    vq->split_ring.event_idx = vq->packed_ring.event_idx = vq->event_idx;
    vq->split_ring.indirect = vq->packed_ring.indirect = vq->indirect;
    vq->started = true;
    return true;
}

static void free_element(VirtQueue *vq, VirtQueueElement *element, size_t written);

void virtqueue_stop(VirtQueue *vq)
{
    VirtQueueElement *element;

    if (!vq->started && !vq->in_flight) {
        return;
    }
    /* Those that are done and wait for older ones are ours; the others come back some time. */
    while ((element = vq->oldest)) {
        vq->oldest = element->newer;
        if (element->done) {
            free_element(vq, element, element->len);
        }
    }
    unmap_parts(vq);
    vq->split_ring.desc = NULL;
    vq->packed_ring.desc = NULL;
    vq->started = false;
    vq->generation++;
    vq->in_flight = 0;
    vq->n_filled = vq->places_filled = 0;
    vq->newest = NULL;
}

void virtqueue_break(VirtQueue *vq, const char *why)
{
    if (!vq->broken) {
        vq->broken = why;
    }
}

static bool is_running(const VirtQueue *vq)
{
    return vq->started && !vq->broken;
}

/* ---- Taking ---- */

static VirtQueueElement *element_new(VirtQueue *vq, const VirtioChain *chain, size_t size)
{
    unsigned n = chain->n_out + chain->n_in;
    size_t at = ROUND_UP(size, sizeof(struct iovec));
    VirtQueueElement *element = g_malloc(at + 2 * n * sizeof(struct iovec));
    struct iovec *iov = (struct iovec *)(void *)((char *)element + at);

    memcpy(iov, chain->iov, n * sizeof(*iov));
    memcpy(iov + n, chain->iov, n * sizeof(*iov));
    *element = (VirtQueueElement) {
        .n_out = chain->n_out, .n_in = chain->n_in, .out = iov, .in = iov + chain->n_out,
        .mapped = iov + n, .n_mapped_out = chain->n_out, .n_mapped_in = chain->n_in,
        .generation = vq->generation, .id = chain->head, .n_desc = chain->n_desc,
    };
    return element;
}

static int next_chain(VirtQueue *vq, VirtioChain *chain)
{
    uint16_t head;
    int ret;

    if (vq->packed) {
        return packed_ring_next(&vq->packed_ring, &vq->memory, chain);
    }
    ret = split_ring_next(&vq->split_ring, &head);
    if (ret > 0) {
        ret = split_ring_chain(&vq->split_ring, &vq->memory, head, chain);
        ret = ret < 0 ? ret : 1;
    }
    return ret;
}

static void link_newest(VirtQueue *vq, VirtQueueElement *element)
{
    element->older = vq->newest;
    if (vq->newest) {
        vq->newest->newer = element;
    } else {
        vq->oldest = element;
    }
    vq->newest = element;
}

static void unlink_element(VirtQueue *vq, VirtQueueElement *element)
{
    *(element->older ? &element->older->newer : &vq->oldest) = element->newer;
    *(element->newer ? &element->newer->older : &vq->newest) = element->older;
}

void *virtqueue_pop(VirtQueue *vq, size_t size)
{
    VirtioChain chain;
    VirtQueueElement *element;
    int ret;

    if (!is_running(vq)) {
        return NULL;
    }
    ret = next_chain(vq, &chain);
    if (ret > 0 && chain.n_desc > vq->size - vq->in_flight) {
        virtio_chain_unmap(&chain, &vq->memory);
        virtqueue_break(vq, "more is available than the ring can hold");
        return NULL;
    }
    if (ret <= 0) {
        if (ret < 0) {
            virtqueue_break(vq, ret == -EFAULT  ? "a buffer outside of memory"
                                : ret == -E2BIG ? "a buffer in too many pieces"
                                                : "a chain or index that makes no sense");
        }
        return NULL;
    }
    element = element_new(vq, &chain, size);
    vq->in_flight += element->n_desc;
    __atomic_fetch_add(&vq->outstanding, 1, __ATOMIC_RELAXED);
    if (vq->in_order) {
        link_newest(vq, element);
    }
    return element;
}

bool virtqueue_is_empty(const VirtQueue *vq)
{
    return !is_running(vq) || (vq->packed ? packed_ring_is_empty(&vq->packed_ring)
                                          : split_ring_is_empty(&vq->split_ring));
}

/* ---- Giving back ---- */

bool virtqueue_is_stale(const VirtQueue *vq, const VirtQueueElement *element)
{
    return element->generation != vq->generation;
}

static void free_element(VirtQueue *vq, VirtQueueElement *element, size_t written)
{
    const VirtioMemory *memory = &vq->memory;

    for (unsigned i = 0; memory->unmap && i < element->n_mapped_out + element->n_mapped_in; i++) {
        const struct iovec *piece = &element->mapped[i];
        bool write = i >= element->n_mapped_out;
        size_t part = write ? MIN(written, piece->iov_len) : 0;

        memory->unmap(memory->opaque, piece->iov_base, piece->iov_len, write, part);
        written -= part;
    }
    __atomic_fetch_sub(&vq->outstanding, 1, __ATOMIC_RELEASE);
    g_free(element);
}

/* Put it into the ring, not yet visible. */
static void fill_ring(VirtQueue *vq, VirtQueueElement *element)
{
    if (!vq->packed) {
        split_ring_fill(&vq->split_ring, vq->n_filled, element->id, element->len);
    } else if (vq->n_filled) {
        packed_ring_fill(&vq->packed_ring, vq->places_filled, element->id, element->len);
    } else {
        vq->first_id = element->id;
        vq->first_len = element->len;
    }
    vq->n_filled++;
    vq->places_filled += element->n_desc;
    free_element(vq, element, element->len);
}

void virtqueue_fill(VirtQueue *vq, void *opaque, uint32_t len)
{
    VirtQueueElement *element = opaque;

    if (!is_running(vq) || element->generation != vq->generation) {
        if (vq->in_order && element->generation == vq->generation) {
            unlink_element(vq, element);
        }
        free_element(vq, element, len);
        return;
    }
    element->len = len;
    element->done = true;
    if (!vq->in_order) {
        fill_ring(vq, element);
        return;
    }
    while (vq->oldest && vq->oldest->done) {
        element = vq->oldest;
        unlink_element(vq, element);
        fill_ring(vq, element);
    }
}

static void note_ring_write(const VirtQueue *vq)
{
    const VirtioMemory *memory = &vq->memory;

    if (memory->ring_written) {
        const struct iovec *part = &vq->parts[vq->packed ? 0 : 2];

        memory->ring_written(memory->opaque, part->iov_base, part->iov_len);
    }
}

void virtqueue_publish(VirtQueue *vq)
{
    if (!vq->n_filled || !vq->started) {
        return;
    }
    if (vq->packed) {
        packed_ring_publish(&vq->packed_ring, vq->first_id, vq->first_len, vq->places_filled);
    } else {
        split_ring_publish(&vq->split_ring, vq->n_filled);
    }
    vq->in_flight -= vq->places_filled;
    vq->n_filled = vq->places_filled = 0;
    note_ring_write(vq);
}

void virtqueue_push(VirtQueue *vq, void *element, uint32_t len)
{
    virtqueue_fill(vq, element, len);
    virtqueue_publish(vq);
}

/* It is in flight no more. */
static void forget(VirtQueue *vq, VirtQueueElement *element)
{
    if (vq->in_order) {
        unlink_element(vq, element);
    }
    vq->in_flight -= element->n_desc;
}

void virtqueue_unpop(VirtQueue *vq, void *opaque)
{
    VirtQueueElement *element = opaque;

    if (vq->started && element->generation == vq->generation) {
        forget(vq, element);
        if (vq->packed) {
            packed_ring_unnext(&vq->packed_ring, element->n_desc);
        } else {
            vq->split_ring.last_avail--;
        }
    }
    free_element(vq, element, 0);
}

void virtqueue_drop(VirtQueue *vq, void *opaque)
{
    VirtQueueElement *element = opaque;

    if (element->generation == vq->generation) {
        forget(vq, element);
    }
    free_element(vq, element, 0);
}

/* ---- Saved state ---- */

#define SAVED_HEADER 16
#define SAVED_PIECE 16
#define SAVED_DONE 1

static uint16_t order_of(const VirtQueue *vq, const VirtQueueElement *element)
{
    uint16_t order = 0;

    for (const VirtQueueElement *at = vq->oldest; vq->in_order && at != element; at = at->newer) {
        order++;
    }
    return order;
}

static void save_piece(VirtQueue *vq, const struct iovec *piece, GByteArray *out)
{
    uint8_t bytes[SAVED_PIECE];
    uint64_t addr = 0;

    /* What is no longer in the address space is refused when it is loaded: nothing is at 2^64. */
    if (!vq->memory.address(vq->memory.opaque, piece->iov_base, &addr)) {
        addr = UINT64_MAX;
    }
    stq_be(bytes, addr);
    stq_be(bytes + 8, piece->iov_len);
    g_byte_array_append(out, bytes, sizeof(bytes));
}

void virtqueue_save_element(VirtQueue *vq, const void *opaque, GByteArray *out)
{
    const VirtQueueElement *element = opaque;
    unsigned n_out = element->done ? 0 : element->n_mapped_out;
    unsigned n_in = element->done ? 0 : element->n_mapped_in;
    uint8_t header[SAVED_HEADER];

    stw_be(header, element->id);
    stw_be(header + 2, element->n_desc);
    stw_be(header + 4, order_of(vq, element));
    stw_be(header + 6, (uint16_t)n_out);
    stw_be(header + 8, (uint16_t)n_in);
    stw_be(header + 10, element->done ? SAVED_DONE : 0);
    stl_be(header + 12, element->done ? element->len : 0);
    g_byte_array_append(out, header, sizeof(header));
    for (unsigned i = 0; i < n_out + n_in; i++) {
        save_piece(vq, &element->mapped[i], out);
    }
}

/* All of the pieces, or none. */
static bool load_pieces(VirtQueue *vq, const uint8_t *data, VirtioChain *chain, unsigned n_out,
                        unsigned n_in)
{
    for (unsigned i = 0; i < n_out + n_in; i++) {
        uint64_t want = ldq_be(data + i * SAVED_PIECE + 8);
        size_t len = want;
        void *host = vq->memory.map(vq->memory.opaque, ldq_be(data + i * SAVED_PIECE), &len,
                                    i >= n_out);

        if (host) {
            chain->iov[i] = (struct iovec) { host, len };
            *(i < n_out ? &chain->n_out : &chain->n_in) += 1;
        }
        if (!host || len != want) {
            virtio_chain_unmap(chain, &vq->memory);
            return false;
        }
    }
    return true;
}

/* By its order, whichever are loaded first. */
static void link_by_order(VirtQueue *vq, VirtQueueElement *element)
{
    VirtQueueElement *older = vq->newest;

    while (older && older->order > element->order) {
        older = older->older;
    }
    element->older = older;
    element->newer = older ? older->newer : vq->oldest;
    *(element->newer ? &element->newer->older : &vq->newest) = element;
    *(older ? &older->newer : &vq->oldest) = element;
}

void *virtqueue_load_element(VirtQueue *vq, size_t size, const uint8_t *data, size_t len,
                             size_t *used)
{
    unsigned n_out = len < SAVED_HEADER ? 0 : ldw_be(data + 6);
    unsigned n_in = len < SAVED_HEADER ? 0 : ldw_be(data + 8);
    VirtQueueElement *element;
    VirtioChain chain = { 0 };

    *used = SAVED_HEADER + (size_t)(n_out + n_in) * SAVED_PIECE;
    if (len < *used || n_out + n_in > VIRTIO_CHAIN_MAX_IOV) {
        return NULL;
    }
    chain.head = ldw_be(data);
    chain.n_desc = ldw_be(data + 2);
    if (!chain.n_desc || chain.n_desc > vq->size - vq->in_flight ||
        (!vq->packed && (chain.head >= vq->size || chain.n_desc != 1)) ||
        !load_pieces(vq, data + SAVED_HEADER, &chain, n_out, n_in)) {
        return NULL;
    }
    element = element_new(vq, &chain, size);
    element->order = ldw_be(data + 4);
    element->done = ldw_be(data + 10) & SAVED_DONE;
    element->len = ldl_be(data + 12);
    vq->in_flight += element->n_desc;
    __atomic_fetch_add(&vq->outstanding, 1, __ATOMIC_RELAXED);
    if (vq->in_order) {
        link_by_order(vq, element);
    }
    return element;
}

void virtqueue_save_done(VirtQueue *vq, GByteArray *out)
{
    guint start = out->len;
    uint8_t number[2] = { 0 };
    uint16_t count = 0;

    g_byte_array_append(out, number, sizeof(number));
    for (const VirtQueueElement *at = vq->oldest; at; at = at->newer) {
        if (at->done) {
            virtqueue_save_element(vq, at, out);
            count++;
        }
    }
    stw_be(out->data + start, count);
}

bool virtqueue_load_done(VirtQueue *vq, const uint8_t *data, size_t len, size_t *used)
{
    unsigned count = len < 2 ? 0 : ldw_be(data);

    *used = 2;
    for (unsigned i = 0; i < count; i++) {
        size_t part;
        const VirtQueueElement *element =
            virtqueue_load_element(vq, sizeof(*element), data + *used, len - *used, &part);

        if (!element) {
            return false;
        }
        if (!element->done || !vq->in_order) {
            virtqueue_drop(vq, (void *)element);
            return false;
        }
        *used += part;
    }
    return len >= 2;
}

/* ---- Who wants to be told ---- */

bool virtqueue_wants_interrupt(VirtQueue *vq)
{
    return is_running(vq) && (vq->packed ? packed_ring_wants_interrupt(&vq->packed_ring)
                                         : split_ring_wants_interrupt(&vq->split_ring));
}

void virtqueue_disable_kicks(VirtQueue *vq)
{
    if (!is_running(vq)) {
        return;
    }
    if (vq->packed) {
        packed_ring_disable_kicks(&vq->packed_ring);
    } else {
        split_ring_disable_kicks(&vq->split_ring);
    }
}

bool virtqueue_enable_kicks(VirtQueue *vq)
{
    return is_running(vq) && (vq->packed ? packed_ring_enable_kicks(&vq->packed_ring)
                                         : split_ring_enable_kicks(&vq->split_ring));
}
