/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/virtio/vhost.h"

#include "memory/ram-backend.h"
#include "memory/ram-block.h"
#include "util/error.h"

/* ---- Memory ---- */

typedef struct Section {
    MemoryRegion *region;
    uint64_t addr, size, offset;
} Section;

static bool is_shared(const MemoryRegion *region)
{
    Object *owner = memory_region_owner(region);

    return memory_region_fd(region) >= 0 && owner && object_is_a(owner, TYPE_MEMORY_BACKEND) &&
           ((const RamBackend *)owner)->share;
}

/* The guest's own RAM; not the memory of a device, which nobody does DMA to. */
static bool is_guest_ram(const MemorySection *section)
{
    Object *owner = memory_region_owner(section->region);

    return memory_region_is_ram(section->region) && !memory_region_is_rom(section->region) &&
           owner && object_is_a(owner, TYPE_MEMORY_BACKEND);
}

static void section_added(MemoryListener *listener, const MemorySection *section)
{
    VhostDevice *vd = (VhostDevice *)((char *)listener - offsetof(VhostDevice, listener));
    const Section entry = { section->region, section->addr, section->size, section->offset };

    if (is_guest_ram(section)) {
        g_array_append_val(vd->sections, entry);
        vd->changed = true;
    }
}

static void section_removed(MemoryListener *listener, const MemorySection *section)
{
    VhostDevice *vd = (VhostDevice *)((char *)listener - offsetof(VhostDevice, listener));

    for (guint i = 0; i < vd->sections->len; i++) {
        const Section *entry = &g_array_index(vd->sections, Section, i);

        if (entry->region == section->region && entry->addr == section->addr) {
            g_array_remove_index_fast(vd->sections, i);
            vd->changed = true;
            return;
        }
    }
}

/* Pieces of one region at the same distance are one: what lies between them is its hidden part. */
static VhostRegion *find_part(GArray *regions, const Section *section, uint8_t *host)
{
    for (guint i = 0; i < regions->len; i++) {
        VhostRegion *region = &g_array_index(regions, VhostRegion, i);

        if ((uint8_t *)region->host - region->guest_addr == host - section->addr &&
            region->fd == memory_region_fd(section->region)) {
            return region;
        }
    }
    return NULL;
}

static void add_section(GArray *regions, const Section *section)
{
    uint8_t *host = (uint8_t *)memory_region_ram_ptr(section->region) + section->offset;
    VhostRegion *part = find_part(regions, section, host);
    uint64_t block_offset = ram_block_fd_offset(memory_region_ram_block(section->region));
    VhostRegion fresh = {
        .guest_addr = section->addr, .size = section->size, .host = host,
        .fd = memory_region_fd(section->region), .fd_offset = block_offset + section->offset,
    };
    uint64_t end;

    if (!part) {
        g_array_append_val(regions, fresh);
        return;
    }
    end = MAX(part->guest_addr + part->size, fresh.guest_addr + fresh.size);
    if (fresh.guest_addr < part->guest_addr) {
        *part = fresh;
    }
    part->size = end - part->guest_addr;
}

static bool tell_memory(VhostDevice *vd, GError **error)
{
    g_autoptr(GArray) regions = g_array_new(false, false, sizeof(VhostRegion));
    Vhost *vhost = vd->vhost;

    vd->changed = false;
    for (guint i = 0; i < vd->sections->len; i++) {
        const Section *section = &g_array_index(vd->sections, Section, i);

        if (!vhost->needs_fds || is_shared(section->region)) {
            add_section(regions, section);
        }
    }
    if (regions->len > vhost->max_regions) {
        error_setf(error, "the guest's memory has %u parts; the backend of a vhost device takes "
                   "at most %u", regions->len, vhost->max_regions);
        return false;
    }
    return vhost->ops->set_memory(vhost, (const VhostRegion *)(void *)regions->data, regions->len,
                                  error);
}

static void memory_changed(MemoryListener *listener)
{
    VhostDevice *vd = (VhostDevice *)((char *)listener - offsetof(VhostDevice, listener));
    GError *error = NULL;

    if (vd->running && vd->changed && !vd->shares_memory && !tell_memory(vd, &error)) {
        vd->failed(vd->opaque, error);
    }
}

bool vhost_memory_is_shared(GError **error)
{
    MemoryRegion *region;
    uint64_t offset, len = 1;

    region = address_space_translate(address_space_memory(), 0, &offset, &len);
    if (region && is_shared(region)) {
        return true;
    }
    error_setf(error, "vhost-user needs guest memory that another process can map: use -object "
               "memory-backend-memfd,id=mem,size=SIZE,share=on -machine memory-backend=mem");
    return false;
}

/* ---- Queues ---- */

static bool start_queue(VhostDevice *vd, unsigned i, GError **error)
{
    VirtioQueue *queue = vd->dev->queues[vd->first + i];
    const VirtQueue *vq = &queue->vq;
    VirtQueuePosition position;
    VhostRing ring;

    if (!vq->started) {
        return true;
    }
    virtqueue_get_position(vq, &position);
    ring = (VhostRing) {
        .size = vq->size, .base = position.last_avail, .desc = vq->parts[0].iov_base,
        .avail = vq->parts[1].iov_base, .used = vq->parts[2].iov_base, .kick = queue->kick.fd,
        .call = queue->call.fd,
    };
    return vd->vhost->ops->start_ring(vd->vhost, vd->vhost_first + i, &ring, error);
}

bool vhost_device_start(VhostDevice *vd, GError **error)
{
    Vhost *vhost = vd->vhost;

    vd->running = true;
    if (!vd->shares_memory &&
        (!vhost->ops->set_features(vhost, vd->dev->features & vd->features & vhost->features,
                                   error) ||
         !tell_memory(vd, error))) {
        return false;
    }
    for (unsigned i = 0; i < vd->n; i++) {
        if (!start_queue(vd, i, error)) {
            return false;
        }
    }
    return true;
}

bool vhost_device_enable(VhostDevice *vd, bool on, GError **error)
{
    Vhost *vhost = vd->vhost;

    for (unsigned i = 0; vhost->ops->enable_ring && i < vd->n; i++) {
        if (vd->dev->queues[vd->first + i]->vq.started &&
            !vhost->ops->enable_ring(vhost, vd->vhost_first + i, on, error)) {
            return false;
        }
    }
    return true;
}

void vhost_device_stop(VhostDevice *vd)
{
    if (!vd->running) {
        return;
    }
    vd->running = false;
    for (unsigned i = 0; i < vd->n; i++) {
        VirtQueue *vq = &vd->dev->queues[vd->first + i]->vq;
        uint16_t base;
        bool known = vq->started && vd->vhost &&
                     vd->vhost->ops->stop_ring(vd->vhost, vd->vhost_first + i, &base, NULL);

        virtqueue_take_back(vq, known ? base : -1);
    }
}

/* ---- Life ---- */

void vhost_device_init(VhostDevice *vd)
{
    vd->running = false;
    vd->sections = g_array_new(false, false, sizeof(Section));
    vd->listener = (MemoryListener) {
        .name = "vhost", .region_add = section_added, .region_del = section_removed,
        .commit = memory_changed,
    };
    memory_listener_register(&vd->listener, address_space_memory());
    vd->listening = true;
}

void vhost_device_cleanup(VhostDevice *vd)
{
    if (vd->listening) {
        memory_listener_unregister(&vd->listener);
        vd->listening = false;
    }
    g_clear_pointer(&vd->sections, g_array_unref);
}
