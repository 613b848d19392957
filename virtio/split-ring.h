/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split virtqueue from the device's side (VIRTIO 1.2, section 2.7).
 *
 * It lies in memory that the driver writes at any time:
 *   desc   size entries: where a buffer is, how long, whether the device writes it, which is next
 *   avail  flags, idx, ring of size heads of chains, and used_event: the driver fills it
 *   used   flags, idx, ring of size {head, bytes written}, and avail_event: the device fills it
 * Indices run freely modulo 65536. A descriptor may stand for a table of descriptors (indirect).
 *
 * Every value is read once and checked before it is used; all loops are bounded. One thread at a
 * time.
 */
#ifndef VIREO_VIRTIO_SPLIT_RING_H
#define VIREO_VIRTIO_SPLIT_RING_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/chain.h"

typedef struct SplitRing {
    /* Set by the owner. The three parts are aligned to 16, 2 and 4, and long enough; NULL: off. */
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t size;           /* a power of two */
    bool event_idx, indirect; /* features */

    uint16_t last_avail;     /* the next head to take */
    uint16_t used_idx;       /* the next entry of used */
    uint16_t signalled;      /* used_idx when the driver was told last */
    bool signalled_valid;
} SplitRing;

size_t split_ring_desc_bytes(uint16_t size);
size_t split_ring_avail_bytes(uint16_t size);
size_t split_ring_used_bytes(uint16_t size);

/* The ring is ready: go on where used says. */
void split_ring_start(SplitRing *ring);
/* 1: *head is the next chain's; 0: there is none; -EPROTO: the driver broke the ring. */
int split_ring_next(SplitRing *ring, uint16_t *head);
/*
 * The chain of this head. 0; -EPROTO, -EFAULT or -E2BIG: the driver broke the ring, and nothing is
 * mapped.
 */
int split_ring_chain(const SplitRing *ring, const VirtioMemory *memory, uint16_t head,
                     VirtioChain *chain);
/* Done with a chain; the device wrote len bytes. */
void split_ring_push(SplitRing *ring, uint16_t head, uint32_t len);
/* The same in two steps, for several chains that the driver is to see at once. */
void split_ring_fill(SplitRing *ring, unsigned place, uint16_t head, uint32_t len);
void split_ring_publish(SplitRing *ring, unsigned count);
/* After pushing: does the driver want an interrupt? */
bool split_ring_wants_interrupt(SplitRing *ring);
/* Has the driver made nothing more available? */
bool split_ring_is_empty(const SplitRing *ring);
/* Ask for no kicks while chains are being taken anyway (a hint). */
void split_ring_disable_kicks(SplitRing *ring);
/* Ask for kicks again. True: more has come meanwhile, which nobody will kick for. */
bool split_ring_enable_kicks(SplitRing *ring);

#endif
