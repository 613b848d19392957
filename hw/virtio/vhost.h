/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of a virtio device that run elsewhere (virtio/vhost-backend.h): which memory they may
 * reach, and how they are handed over and taken back. A model keeps one VhostDevice for each Vhost,
 * and calls start and stop from its run_external.
 *
 * VM lock held.
 */
#ifndef VIREO_HW_VIRTIO_VHOST_H
#define VIREO_HW_VIRTIO_VHOST_H

#include "hw/virtio/virtio.h"
#include "virtio/vhost-backend.h"

typedef struct VhostDevice {
    VirtioDevice *dev;
    Vhost *vhost;             /* borrowed; NULL: there is none now */
    unsigned first, n;        /* queues of dev */
    unsigned vhost_first;     /* the number of the first of them in vhost */
    uint64_t features;        /* bits that vhost is told of, if the driver accepted them */
    bool shares_memory;       /* another VhostDevice tells vhost features and memory */
    bool running;
    MemoryListener listener;
    bool listening;
    GArray *sections;         /* RAM in the guest's address space */
    bool changed;             /* since the backend was told */
    /* The memory changed, and the backend does not take it: it is of no use any more. */
    void (*failed)(void *opaque, GError *error); /* takes error */
    void *opaque;
} VhostDevice;

/* Follow the guest's memory from now on; the fields above `running` are set. */
void vhost_device_init(VhostDevice *vd);
void vhost_device_cleanup(VhostDevice *vd);

/*
 * Hand over those of its queues that are started. False: the backend has not got all of them, and
 * is of no use. Rings that can be disabled are, until vhost_device_enable().
 */
bool vhost_device_start(VhostDevice *vd, GError **error);
bool vhost_device_enable(VhostDevice *vd, bool on, GError **error);
/* Take back what it has; a backend that has gone gives nothing. Idempotent. */
void vhost_device_stop(VhostDevice *vd);

/* Can another process map all of the guest's RAM? The error says what to do. */
bool vhost_memory_is_shared(GError **error);

#endif
