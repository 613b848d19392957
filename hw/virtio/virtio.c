/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every virtio device does (VIRTIO 1.2, sections 2 and 3): features, status, configuration
 * space, reset, saved state. The queues are in virtio-queue.c.
 */
#include "hw/virtio/virtio.h"

#include "hw/virtio/virtio-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

/* Features that are about rings and transports, which the core itself carries out. */
#define MODERN_FEATURES (BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | \
                         BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_F_IN_ORDER) |      \
                         BIT_ULL(VIRTIO_F_RING_RESET))
#define LEGACY_FEATURES (BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) | \
                         BIT_ULL(VIRTIO_F_BAD_FEATURE))
#define SAVED_QUEUE_SIZE 40
#define SAVED_MAX VIRTIO_SAVED_MAX

bool virtio_is_started(const VirtioDevice *dev)
{
    return (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
           !__atomic_load_n(&dev->broken, __ATOMIC_RELAXED);
}

/* ---- Configuration space ---- */

void virtio_notify_config(VirtioDevice *dev)
{
    dev->config_generation++;
    if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        dev->transport->interrupt(dev, dev->config_vector, VIRTIO_ISR_CONFIG);
    }
}

size_t virtio_config_len(VirtioDevice *dev)
{
    return dev->ops->config_len ? dev->ops->config_len(dev, dev->host_features)
                                : dev->ops->config_size;
}

static void load_config(VirtioDevice *dev)
{
    memset(dev->config, 0, dev->ops->config_size);
    dev->ops->get_config(dev, dev->config);
}

uint64_t virtio_config_read(VirtioDevice *dev, uint64_t offset, unsigned size)
{
    if (!range_ok(offset, size, virtio_config_len(dev))) {
        return UINT64_MAX;
    }
    load_config(dev);
    return ldn_le(dev->config + offset, size);
}

void virtio_config_write(VirtioDevice *dev, uint64_t offset, unsigned size, uint64_t value)
{
    if (!range_ok(offset, size, virtio_config_len(dev)) || !dev->ops->set_config) {
        return;
    }
    load_config(dev);
    stn_le(dev->config + offset, size, value);
    dev->ops->set_config(dev, dev->config, offset, size);
}

/* ---- Features and status ---- */

uint64_t virtio_modern_features(const VirtioDevice *dev)
{
    return dev->host_features & ~LEGACY_FEATURES;
}

void virtio_set_features(VirtioDevice *dev, uint64_t features)
{
    uint8_t frozen = VIRTIO_CONFIG_S_DRIVER_OK | (dev->legacy ? 0 : VIRTIO_CONFIG_S_FEATURES_OK);

    if (dev->status & frozen) {
        log_guest_error("%s: features are negotiated already", dev->ops->name);
        return;
    }
    dev->bad_features = features & ~virtio_modern_features(dev);
    dev->features = features & dev->host_features & ~BIT_ULL(VIRTIO_F_BAD_FEATURE);
    if (dev->legacy) {
        dev->features &= ~MODERN_FEATURES;
        if (dev->ops->set_features) {
            dev->ops->set_features(dev);
        }
    }
}

static bool features_are_good(const VirtioDevice *dev)
{
    uint64_t needed = BIT_ULL(VIRTIO_F_VERSION_1) |
                      (dev->host_features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM));

    return dev->legacy || (!dev->bad_features && (dev->features & needed) == needed);
}

static void run_external(VirtioDevice *dev, bool run)
{
    if (dev->ops->run_external && dev->external_runs != run) {
        dev->external_runs = run;
        dev->ops->run_external(dev, run);
    }
}

static void start(VirtioDevice *dev)
{
    if (dev->ops->start) {
        dev->ops->start(dev);
    }
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_start(dev->queues[i]);
    }
    run_external(dev, dev->vm_running);
}

static void stop(VirtioDevice *dev)
{
    run_external(dev, false);
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_stop(dev->queues[i]);
    }
    if (dev->ops->drain && loop_in_main_thread()) {
        dev->ops->drain(dev);
    }
    if (dev->ops->stop) {
        dev->ops->stop(dev);
    }
}

void virtio_set_status(VirtioDevice *dev, uint8_t status)
{
    uint8_t set = status & ~dev->status;
    bool was_started = dev->status & VIRTIO_CONFIG_S_DRIVER_OK;

    if (!status) {
        virtio_reset(dev);
        return;
    }
    if (set & VIRTIO_CONFIG_S_FEATURES_OK) {
        if (!features_are_good(dev)) {
            log_guest_error("%s: the driver's features 0x%" G_GINT64_MODIFIER "x are refused",
                            dev->ops->name, dev->features);
            status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
        } else if (!dev->legacy && dev->ops->set_features) {
            dev->ops->set_features(dev);
        }
    }
    if ((set & VIRTIO_CONFIG_S_DRIVER_OK) && !dev->legacy &&
        !(status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        log_guest_error("%s: DRIVER_OK without FEATURES_OK", dev->ops->name);
        status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    }
    dev->status = status | (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (!was_started && virtio_is_started(dev)) {
        start(dev);
    } else if (was_started && !(status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        stop(dev);
    }
}

void virtio_reset(VirtioDevice *dev)
{
    stop(dev);
    if (dev->ops->reset) {
        dev->ops->reset(dev);
    }
    dev->status = 0;
    dev->features = 0;
    dev->bad_features = dev->legacy = false;
    dev->config_vector = VIRTIO_NO_VECTOR;
    __atomic_store_n(&dev->broken, false, __ATOMIC_RELAXED);
    __atomic_store_n(&dev->isr, 0, __ATOMIC_RELAXED);
    dev->transport->clear_interrupt(dev);
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_clear(dev->queues[i]);
    }
}

uint8_t virtio_visible_status(const VirtioDevice *dev)
{
    for (unsigned i = 0; !dev->status && i < dev->n_queues; i++) {
        if (__atomic_load_n(&dev->queues[i]->vq.outstanding, __ATOMIC_ACQUIRE)) {
            return VIRTIO_CONFIG_S_ACKNOWLEDGE;
        }
    }
    return dev->status;
}

void virtio_restart(VirtioDevice *dev)
{
    if (virtio_is_started(dev)) {
        stop(dev);
        start(dev);
    }
}

void virtio_kick_all(VirtioDevice *dev)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        if (dev->queues[i]->watched) {
            virtio_queue_schedule(dev->queues[i]);
        }
    }
}

/* ---- Needs reset ---- */

void virtio_device_break(VirtioDevice *dev, const VirtioQueue *queue, const char *why)
{
    if (__atomic_exchange_n(&dev->broken, true, __ATOMIC_RELAXED)) {
        return;
    }
    if (queue) {
        log_guest_error("%s: queue %u: %s; the device needs a reset", dev->ops->name, queue->index,
                        why);
    } else {
        log_guest_error("%s: %s; the device needs a reset", dev->ops->name, why);
    }
    loop_bh_schedule(dev->error_bh);
}

static void tell_broken(void *opaque)
{
    VirtioDevice *dev = opaque;

    if (__atomic_load_n(&dev->broken, __ATOMIC_RELAXED) && !dev->legacy) {
        dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
        virtio_notify_config(dev);
    }
}

/* ---- Life ---- */

static void run_state_changed(Notifier *notifier, void *data)
{
    VirtioDevice *dev = (VirtioDevice *)(void *)((char *)notifier -
                                                 offsetof(VirtioDevice, run_state));
    bool running = *(bool *)data;

    dev->vm_running = running;
    if (!running) {
        run_external(dev, false);
    }
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_watch(dev->queues[i], running);
    }
    if (!running && dev->ops->drain) {
        dev->ops->drain(dev);
    }
    if (virtio_is_started(dev)) {
        run_external(dev, running);
    }
}

static bool open_notifiers(VirtioDevice *dev, GError **error)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        if (!event_notifier_init(&dev->queues[i]->kick, error) ||
            !event_notifier_init(&dev->queues[i]->call, error)) {
            return false;
        }
    }
    return true;
}

static void free_all(VirtioDevice *dev)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_free(dev->queues[i]);
    }
    dev->n_queues = 0;
    g_clear_pointer(&dev->queues, g_free);
    g_clear_pointer(&dev->config, g_free);
    g_clear_pointer(&dev->error_bh, loop_bh_free);
    g_clear_pointer(&dev->saved, g_free);
}

bool virtio_device_realize(VirtioDevice *dev, const VirtioDeviceOps *ops,
                           const VirtioTransportOps *transport, Device *owner, bool modern,
                           GError **error)
{
    uint64_t common = dev->host_features | BIT_ULL(VIRTIO_F_BAD_FEATURE);

    dev->ops = ops;
    dev->transport = transport;
    dev->owner = owner;
    if (!dev->dma_as) {
        dev->dma_as = address_space_memory();
    }
    dev->vm_running = owner->hotplugged;
    dev->config = g_malloc0(MAX(ops->config_size, 1));
    dev->error_bh = loop_bh_new(loop_main(), tell_broken, dev);
    if (!ops->realize(dev, error)) {
        free_all(dev);
        return false;
    }
    if (!open_notifiers(dev, error)) {
        if (ops->unrealize) {
            ops->unrealize(dev);
        }
        free_all(dev);
        return false;
    }
    common = modern ? common | BIT_ULL(VIRTIO_F_VERSION_1) : common & ~MODERN_FEATURES;
    dev->host_features = (common | (ops->features ? ops->features(dev) : 0)) & ~dev->withheld;
    dev->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &dev->run_state);
    return true;
}

void virtio_device_unrealize(VirtioDevice *dev)
{
    virtio_reset(dev);
    notifier_list_remove(run_state_notifiers(), &dev->run_state);
    if (dev->ops->unrealize) {
        dev->ops->unrealize(dev);
    }
    free_all(dev);
    dev->host_features = 0;
}

/* ---- Saved state ---- */

static void save_queue(VirtioQueue *queue, GByteArray *out)
{
    uint8_t bytes[SAVED_QUEUE_SIZE] = { 0 };
    VirtQueuePosition position;

    /* One that was not started yet does not know: a fresh packed ring's wraps are set. */
    if (!queue->vq.started) {
        queue->vq.packed = virtio_has_feature(queue->dev, VIRTIO_F_RING_PACKED);
    }
    virtqueue_get_position(&queue->vq, &position);
    stw_be(bytes, queue->vq.size);
    stw_be(bytes + 2, queue->vector);
    bytes[4] = queue->enabled;
    bytes[5] = position.avail_wrap;
    bytes[6] = position.used_wrap;
    stw_be(bytes + 8, position.last_avail);
    stw_be(bytes + 10, position.used_idx);
    stq_be(bytes + 16, queue->vq.desc);
    stq_be(bytes + 24, queue->vq.driver);
    stq_be(bytes + 32, queue->vq.device);
    g_byte_array_append(out, bytes, sizeof(bytes));
}

static bool load_queue(VirtioQueue *queue, const uint8_t *bytes, GError **error)
{
    const VirtQueuePosition position = {
        .last_avail = ldw_be(bytes + 8), .used_idx = ldw_be(bytes + 10),
        .avail_wrap = bytes[5], .used_wrap = bytes[6],
    };
    uint16_t size = ldw_be(bytes);

    queue->vq.packed = virtio_has_feature(queue->dev, VIRTIO_F_RING_PACKED);
    queue->vq.in_order = virtio_has_feature(queue->dev, VIRTIO_F_IN_ORDER);
    if (size > queue->max_size || (queue->max_size && !size)) {
        error_setf(error, "%s: saved queue %u has %u places, and can have %u",
                   queue->dev->ops->name, queue->index, size, queue->max_size);
        return false;
    }
    queue->vq.size = size;
    if (!virtqueue_set_position(&queue->vq, &position)) {
        error_setf(error, "%s: saved queue %u stands at an impossible place",
                   queue->dev->ops->name, queue->index);
        return false;
    }
    queue->vector = ldw_be(bytes + 2);
    queue->enabled = bytes[4];
    queue->vq.desc = ldq_be(bytes + 16);
    queue->vq.driver = ldq_be(bytes + 24);
    queue->vq.device = ldq_be(bytes + 32);
    return true;
}

static void virtio_pre_save(void *opaque)
{
    VirtioDevice *dev = opaque;
    g_autoptr(GByteArray) out = g_byte_array_new();

    for (unsigned i = 0; i < dev->n_queues; i++) {
        save_queue(dev->queues[i], out);
    }
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtqueue_save_done(&dev->queues[i]->vq, out);
    }
    if (dev->ops->vmstate) {
        vmstate_save(dev->ops->vmstate, dev, out);
    }
    g_free(dev->saved);
    dev->saved_len = out->len;
    dev->saved = g_byte_array_free(g_steal_pointer(&out), FALSE);
}

static bool virtio_pre_load(void *opaque, GError **error)
{
    VirtioDevice *dev = opaque;

    virtio_reset(dev);
    g_clear_pointer(&dev->saved, g_free);
    return true;
}

static bool load_done(VirtioDevice *dev, size_t *at, GError **error)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        size_t used;

        if (!virtqueue_load_done(&dev->queues[i]->vq, dev->saved + *at, dev->saved_len - *at,
                                 &used)) {
            error_setf(error, "%s: the answers that wait in saved queue %u make no sense",
                       dev->ops->name, i);
            return false;
        }
        *at += used;
    }
    return true;
}

static bool load_model(VirtioDevice *dev, size_t at, GError **error)
{
    const VmState *state = dev->ops->vmstate;
    size_t used = 0;

    if (state && !vmstate_load(state, dev, state->version, dev->saved + at, dev->saved_len - at,
                               &used, error)) {
        return false;
    }
    if (used != dev->saved_len - at) {
        error_setf(error, "%s: the saved state is too long", dev->ops->name);
        return false;
    }
    return true;
}

static bool virtio_post_load(void *opaque, int version, GError **error)
{
    VirtioDevice *dev = opaque;
    size_t at = (size_t)dev->n_queues * SAVED_QUEUE_SIZE;

    if ((dev->features & ~dev->host_features) || dev->saved_len < at) {
        error_setf(error, "%s: the saved device has other %s", dev->ops->name,
                   dev->saved_len < at ? "queues" : "features");
        return false;
    }
    for (unsigned i = 0; i < dev->n_queues; i++) {
        if (!load_queue(dev->queues[i], dev->saved + i * SAVED_QUEUE_SIZE, error)) {
            return false;
        }
    }
    if (dev->features && dev->ops->set_features) {
        dev->ops->set_features(dev);
    }
    if (!load_done(dev, &at, error) || !load_model(dev, at, error)) {
        return false;
    }
    if (virtio_is_started(dev)) {
        start(dev);
    }
    return true;
}

const VmState virtio_vmstate = {
    .name = "virtio",
    .version = 2,
    .minimum_version = 2,
    .pre_save = virtio_pre_save,
    .pre_load = virtio_pre_load,
    .post_load = virtio_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(VirtioDevice, legacy),
        VMSTATE_U8(VirtioDevice, status),
        VMSTATE_U8(VirtioDevice, isr),
        VMSTATE_U8(VirtioDevice, config_generation),
        VMSTATE_U16(VirtioDevice, config_vector),
        VMSTATE_U64(VirtioDevice, features),
        VMSTATE_U32(VirtioDevice, saved_len),
        VMSTATE_VBUFFER(VirtioDevice, saved, saved_len, SAVED_MAX),
        VMSTATE_END
    },
};
