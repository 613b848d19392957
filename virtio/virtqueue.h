/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue from the device's side, split or packed, with all that was negotiated about it: event
 * index, indirect tables, in-order use (VIRTIO 1.2, sections 2.6 to 2.9).
 *
 * The device takes elements (virtqueue_pop), works at them, and gives each back exactly once: by
 * push, or fill and publish for several that the driver must see at once, or unpop, or drop. An
 * element that comes back after the queue was stopped only has its memory unmapped. So a queue may
 * be stopped and started again while requests are in flight.
 *
 * A driver that breaks the rules breaks the queue: `broken` says how, and nothing more is taken.
 * The memory that elements take is bounded: no more descriptors are in flight than the ring has.
 *
 * One thread at a time.
 */
#ifndef VIREO_VIRTIO_VIRTQUEUE_H
#define VIREO_VIRTIO_VIRTQUEUE_H

#include <glib.h>

#include "virtio/packed-ring.h"
#include "virtio/split-ring.h"

typedef struct VirtQueueElement VirtQueueElement;
typedef struct VirtQueue VirtQueue;

/* First member of what a device keeps about a request. */
struct VirtQueueElement {
    unsigned n_out, n_in;
    struct iovec *out, *in; /* the element's own: may be moved on and cut */
    /* private */
    const struct iovec *mapped;
    unsigned n_mapped_out, n_mapped_in;
    uint32_t generation, len;
    uint16_t id, n_desc;
    uint16_t order;         /* loaded, in-order: its place among all that are out */
    bool done;
    VirtQueueElement *older, *newer;
};

struct VirtQueue {
    /* Set by the owner while it is stopped. */
    VirtioMemory memory;
    uint64_t desc, driver, device; /* guest addresses: descriptors, avail, used; or both events */
    uint16_t size;
    bool packed, event_idx, indirect, in_order;

    const char *broken;     /* NULL: it is not; a constant text */
    bool started;
    uint16_t in_flight;     /* descriptors of packed, chains of split rings: since start */
    unsigned outstanding;   /* atomic: elements not given back, of earlier runs too */
    /* private */
    uint32_t generation;
    SplitRing split_ring;
    PackedRing packed_ring;
    struct iovec parts[3];  /* the rings as mapped */
    VirtQueueElement *oldest, *newest; /* in-order: in flight */
    unsigned n_filled, places_filled;
    uint16_t first_id;      /* packed: of what was filled first */
    uint32_t first_len;
};

/* What goes on with a queue elsewhere or later. All zero (wraps set): a fresh queue. */
typedef struct VirtQueuePosition {
    uint16_t last_avail, used_idx;
    bool avail_wrap, used_wrap;
} VirtQueuePosition;

/* A fresh queue's. */
void virtqueue_reset_position(VirtQueue *vq);
void virtqueue_get_position(const VirtQueue *vq, VirtQueuePosition *position);
/* False: it makes no sense with the queue's size. Not started. */
bool virtqueue_set_position(VirtQueue *vq, const VirtQueuePosition *position);

/*
 * Somebody else has run this started split ring and stands at last_avail; a place that makes no
 * sense, or -1 for "unknown", becomes the one behind what was answered: the rest is done again.
 */
void virtqueue_take_back(VirtQueue *vq, int last_avail);

/* Map the ring, and go on at its position. False, with broken set: it lies outside of memory. */
bool virtqueue_start(VirtQueue *vq);
/* Nothing is written to the ring any more. Idempotent. */
void virtqueue_stop(VirtQueue *vq);
/* The driver broke a rule; why is a constant. */
void virtqueue_break(VirtQueue *vq, const char *why);

/*
 * The next element, in a struct of `size` bytes of which only the VirtQueueElement is filled in.
 * NULL: there is none, or the queue is (now) broken, or not started.
 */
void *virtqueue_pop(VirtQueue *vq, size_t size);
/* Has the driver made nothing available? True for a queue that does not run. */
bool virtqueue_is_empty(const VirtQueue *vq);

/* Was the queue stopped since? Then whatever becomes of the element, the driver will not see it. */
bool virtqueue_is_stale(const VirtQueue *vq, const VirtQueueElement *element);

/*
 * Each takes the element and frees it. len: bytes at the beginning of `in` that were written, so
 * much the driver may look at.
 */
void virtqueue_push(VirtQueue *vq, void *element, uint32_t len);
void virtqueue_fill(VirtQueue *vq, void *element, uint32_t len);
/* As if it had not been popped; only what was popped last. */
void virtqueue_unpop(VirtQueue *vq, void *element);
/* The driver will not get it back; for a queue that is being reset. */
void virtqueue_drop(VirtQueue *vq, void *element);
/* The driver sees what was filled. */
void virtqueue_publish(VirtQueue *vq);

/* After push or publish: does the driver want an interrupt? Once per decision. */
bool virtqueue_wants_interrupt(VirtQueue *vq);
/* Hint: no kicks while chains are being taken anyway. */
void virtqueue_disable_kicks(VirtQueue *vq);
/*
 * With an event index each kick must be asked for, so a device calls this whenever it has found the
 * queue empty. True: more has come meanwhile, which nobody will kick for.
 */
bool virtqueue_enable_kicks(VirtQueue *vq);

/*
 * Saved state of what is out (requests that failed and stopped the machine). save_element appends
 * bytes to out; load_element makes an element of them in a queue that has its position, size and
 * features, but was not started: as if it had just been popped. NULL: no driver's queue can be so.
 * *used: bytes taken. Answers that wait for older ones (in-order) are the queue's own: save_done.
 */
void virtqueue_save_element(VirtQueue *vq, const void *element, GByteArray *out);
void *virtqueue_load_element(VirtQueue *vq, size_t size, const uint8_t *data, size_t len,
                             size_t *used);
/* A 16-bit number, and so many elements. load: false: they make no sense. */
void virtqueue_save_done(VirtQueue *vq, GByteArray *out);
bool virtqueue_load_done(VirtQueue *vq, const uint8_t *data, size_t len, size_t *used);

#endif
