/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's memory as a vhost-user backend sees it: a table of regions, each a mapping of a
 * descriptor, and the log of pages that were written, for a migration. One thread at a time, but
 * for vhost_user_memory_log().
 */
#ifndef VIREO_VIRTIO_VHOST_USER_MEMORY_H
#define VIREO_VIRTIO_VHOST_USER_MEMORY_H

#include "virtio/shared-mapping.h"
#include "virtio/vhost-user-proto.h"

#define VHOST_USER_MAX_REGIONS 32
#define VHOST_USER_LOG_PAGE 4096

typedef struct VhostUserMappedRegion {
    uint64_t guest_addr, user_addr, size;
    SharedMapping mapping;
} VhostUserMappedRegion;

typedef struct VhostUserMemory {
    VhostUserMappedRegion regions[VHOST_USER_MAX_REGIONS];
    unsigned n;
    SharedMapping log;
} VhostUserMemory;

/* fd is borrowed. False: wrong numbers, too many, or it cannot be mapped. */
bool vhost_user_memory_add(VhostUserMemory *memory, const VhostUserRegion *region, int fd,
                           GError **error);
/* False: there is no such region. */
bool vhost_user_memory_remove(VhostUserMemory *memory, const VhostUserRegion *region);
void vhost_user_memory_clear(VhostUserMemory *memory);
/* Has the frontend cut a region, or the log, short? */
bool vhost_user_memory_is_broken(const VhostUserMemory *memory);

/* As VirtioMemory.map; opaque is the VhostUserMemory. */
void *vhost_user_memory_map(void *opaque, uint64_t guest_addr, size_t *len, bool write);
/* The memory at the frontend's own address, all of it in one piece and aligned; or NULL. */
void *vhost_user_memory_map_user(const VhostUserMemory *memory, uint64_t user_addr, size_t len,
                                 size_t align);

/* Log [guest_addr, guest_addr + len) as written, if there is a log. */
void vhost_user_memory_log(const VhostUserMemory *memory, uint64_t guest_addr, uint64_t len);
/* The same for memory that was mapped. */
void vhost_user_memory_log_host(const VhostUserMemory *memory, const void *host, size_t len);

#endif
