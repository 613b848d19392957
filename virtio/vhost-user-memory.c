/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost-user-memory.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

bool vhost_user_memory_add(VhostUserMemory *memory, const VhostUserRegion *region, int fd,
                           GError **error)
{
    VhostUserMappedRegion *to = &memory->regions[memory->n];

    if (memory->n == VHOST_USER_MAX_REGIONS) {
        error_setf(error, "more than %d regions of memory", VHOST_USER_MAX_REGIONS);
        return false;
    }
    if (!region->size || region->guest_addr + (region->size - 1) < region->guest_addr ||
        region->user_addr + (region->size - 1) < region->user_addr) {
        error_setf(error, "a region of memory of impossible size");
        return false;
    }
    if (!shared_mapping_init(&to->mapping, fd, region->mmap_offset, region->size, error)) {
        return false;
    }
    to->guest_addr = region->guest_addr;
    to->user_addr = region->user_addr;
    to->size = region->size;
    memory->n++;
    return true;
}

bool vhost_user_memory_remove(VhostUserMemory *memory, const VhostUserRegion *region)
{
    for (unsigned i = 0; i < memory->n; i++) {
        VhostUserMappedRegion *r = &memory->regions[i];

        if (r->guest_addr == region->guest_addr && r->user_addr == region->user_addr &&
            r->size == region->size) {
            shared_mapping_cleanup(&r->mapping);
            memory->n--;
            memmove(r, r + 1, (memory->n - i) * sizeof(*r));
            return true;
        }
    }
    return false;
}

void vhost_user_memory_clear(VhostUserMemory *memory)
{
    while (memory->n) {
        shared_mapping_cleanup(&memory->regions[--memory->n].mapping);
    }
}

bool vhost_user_memory_is_broken(const VhostUserMemory *memory)
{
    for (unsigned i = 0; i < memory->n; i++) {
        if (shared_mapping_is_broken(&memory->regions[i].mapping)) {
            return true;
        }
    }
    return shared_mapping_is_broken(&memory->log);
}

void *vhost_user_memory_map(void *opaque, uint64_t guest_addr, size_t *len, bool write)
{
    const VhostUserMemory *memory = opaque;

    for (unsigned i = 0; i < memory->n; i++) {
        const VhostUserMappedRegion *r = &memory->regions[i];
        uint64_t offset = guest_addr - r->guest_addr;

        if (guest_addr >= r->guest_addr && offset < r->size) {
            *len = MIN(*len, r->size - offset);
            return r->mapping.data + offset;
        }
    }
    return NULL;
}

void *vhost_user_memory_map_user(const VhostUserMemory *memory, uint64_t user_addr, size_t len,
                                 size_t align)
{
    for (unsigned i = 0; i < memory->n; i++) {
        const VhostUserMappedRegion *r = &memory->regions[i];
        uint64_t offset = user_addr - r->user_addr;

        if (user_addr >= r->user_addr && range_ok(offset, len, r->size)) {
            uint8_t *host = r->mapping.data + offset;

            return IS_ALIGNED((uintptr_t)host, align) ? host : NULL;
        }
    }
    return NULL;
}

void vhost_user_memory_log(const VhostUserMemory *memory, uint64_t guest_addr, uint64_t len)
{
    if (!memory->log.data || !len || guest_addr + (len - 1) < guest_addr) {
        return;
    }
    for (uint64_t page = guest_addr / VHOST_USER_LOG_PAGE;
         page <= (guest_addr + (len - 1)) / VHOST_USER_LOG_PAGE && page / 8 < memory->log.len;
         page++) {
        /* The frontend takes bits out of it meanwhile. */
        __atomic_fetch_or(&memory->log.data[page / 8], (uint8_t)(1u << (page % 8)),
                          __ATOMIC_SEQ_CST);
    }
}

void vhost_user_memory_log_host(const VhostUserMemory *memory, const void *host, size_t len)
{
    for (unsigned i = 0; memory->log.data && i < memory->n; i++) {
        const VhostUserMappedRegion *r = &memory->regions[i];
        uintptr_t begin = (uintptr_t)r->mapping.data;

        if ((uintptr_t)host >= begin && (uintptr_t)host - begin < r->size) {
            vhost_user_memory_log(memory, r->guest_addr + ((uintptr_t)host - begin), len);
            return;
        }
    }
}
