/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues that are run elsewhere: by the host's kernel (virtio/vhost-kernel.h), or by another
 * process over the vhost-user protocol (virtio/vhost-user-client.h). Here stands what a device does
 * with either; hw/virtio/vhost.h does it.
 *
 * One thread at a time. Calls may block for as long as a backend takes to answer, which is bounded.
 */
#ifndef VIREO_VIRTIO_VHOST_BACKEND_H
#define VIREO_VIRTIO_VHOST_BACKEND_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Vhost Vhost;

/* A piece of the guest's memory. */
typedef struct VhostRegion {
    uint64_t guest_addr, size;
    void *host;
    int fd;             /* borrowed; -1: anonymous */
    uint64_t fd_offset;
} VhostRegion;

/* A split ring in this process's memory, and where its backend goes on. */
typedef struct VhostRing {
    uint16_t size, base;
    void *desc, *avail, *used;
    int kick, call;     /* eventfds, borrowed; call may be -1 */
} VhostRing;

typedef struct VhostOps {
    /* What the driver accepted; only bits of vhost->features. */
    bool (*set_features)(Vhost *vhost, uint64_t features, GError **error);
    /* All of the memory that rings and buffers may lie in, from now on. */
    bool (*set_memory)(Vhost *vhost, const VhostRegion *regions, unsigned n, GError **error);
    /* The backend takes the ring. */
    bool (*start_ring)(Vhost *vhost, unsigned queue, const VhostRing *ring, GError **error);
    /* It gives the ring back: nothing is in flight, *base is where it stands. */
    bool (*stop_ring)(Vhost *vhost, unsigned queue, uint16_t *base, GError **error);
    /* Of a started ring: requests are looked at, or not. NULL: they always are. */
    bool (*enable_ring)(Vhost *vhost, unsigned queue, bool on, GError **error);
} VhostOps;

struct Vhost {
    const VhostOps *ops;
    uint64_t features;    /* of virtio: what the backend can do */
    unsigned max_regions; /* of memory */
    bool needs_fds;       /* memory without a shared descriptor is of no use */
};

#endif
