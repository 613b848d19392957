/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packed virtqueue from the device's side (VIRTIO 1.2, section 2.8).
 *
 * One ring of descriptors {addr, len, id, flags}, which the driver makes available and the device
 * overwrites with what it used; each side runs through the ring and turns its wrap counter at the
 * end. A descriptor is available when its AVAIL flag is the counter and its USED flag is not. Two
 * event areas {off_wrap, flags} say when each side wants to be told.
 *
 * One thread at a time; everything read is checked, all loops are bounded.
 */
#ifndef VIREO_VIRTIO_PACKED_RING_H
#define VIREO_VIRTIO_PACKED_RING_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/chain.h"

typedef struct PackedRing {
    /* Set by the owner; desc is aligned to 16, the others to 4. */
    struct vring_packed_desc *desc;
    struct vring_packed_desc_event *driver, *device;
    uint16_t size;            /* 1 to 32768, any number */
    bool event_idx, indirect; /* features */

    uint16_t last_avail, used_idx; /* places in the ring, below size */
    bool avail_wrap, used_wrap;    /* true at first */
    uint16_t signalled;
    bool signalled_valid;
} PackedRing;

size_t packed_ring_desc_bytes(uint16_t size);

/* 1: the next chain; 0: there is none; < 0: the driver broke the ring, and nothing is mapped. */
int packed_ring_next(PackedRing *ring, const VirtioMemory *memory, VirtioChain *chain);
/* Give the last chain back, which took n_desc places. */
void packed_ring_unnext(PackedRing *ring, uint16_t n_desc);
/*
 * A buffer was used: its id goes `place` descriptors behind the next place. The one at 0 is what
 * makes all of them visible, so it comes last: by packed_ring_publish().
 */
void packed_ring_fill(PackedRing *ring, unsigned place, uint16_t id, uint32_t len);
/* As filled at 0; `places` descriptors are used now. */
void packed_ring_publish(PackedRing *ring, uint16_t id, uint32_t len, unsigned places);
bool packed_ring_wants_interrupt(PackedRing *ring);
bool packed_ring_is_empty(const PackedRing *ring);
void packed_ring_disable_kicks(PackedRing *ring);
/* True: more has come meanwhile, which nobody will kick for. */
bool packed_ring_enable_kicks(PackedRing *ring);

#endif
