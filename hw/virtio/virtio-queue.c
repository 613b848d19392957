/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's queues: the driver's registers for them, kicks, interrupts, and which thread handles
 * them.
 *
 * Kicks come as writes to a doorbell register, under the VM lock, or as an eventfd (`kick`) that
 * the accelerator sets. Interrupts leave by the transport, under the VM lock; an iothread sets
 * `call`, which is an irqfd or is watched by the main loop.
 */
#include "hw/virtio/virtio-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"
#include "util/vm-lock.h"

/* ---- The driver's memory ---- */

static void *map_memory(void *opaque, uint64_t addr, size_t *len, bool write)
{
    const VirtioQueue *queue = opaque;
    const VirtioDevice *dev = queue->dev;
    uint64_t want = *len;
    void *host;

    if (dev->transport->can_dma && !dev->transport->can_dma(dev)) {
        return NULL;
    }
    host = address_space_map(dev->dma_as, addr, &want, write);
    *len = want;
    return host;
}

static void unmap_memory(void *opaque, void *host, size_t len, bool write, size_t written)
{
    const VirtioQueue *queue = opaque;

    address_space_unmap(queue->dev->dma_as, host, len, write, written);
}

static bool guest_address(void *opaque, const void *host, uint64_t *addr)
{
    return address_space_host_address(((VirtioQueue *)opaque)->dev->dma_as, host, addr);
}

static void ring_written(void *opaque, const void *host, size_t len)
{
    VirtioQueue *queue = opaque;

    memory_region_set_dirty(queue->ring_region, queue->ring_offset, len);
}

/* ---- Kicks ---- */

bool virtio_queue_is_running(const VirtioQueue *queue)
{
    return queue->watched && !queue->vq.broken &&
           !__atomic_load_n(&queue->dev->broken, __ATOMIC_RELAXED);
}

static void process(void *opaque)
{
    VirtioQueue *queue = opaque;

    if (queue->external) {
        event_notifier_set(&queue->kick);
    } else if (virtio_queue_is_running(queue)) {
        queue->handle(queue->dev, queue);
        if (queue->vq.broken) {
            virtio_queue_error(queue, queue->vq.broken);
        }
    }
}

static void on_kick(void *opaque)
{
    VirtioQueue *queue = opaque;

    if (event_notifier_test_and_clear(&queue->kick)) {
        process(queue);
    }
}

void virtio_queue_kick(VirtioDevice *dev, unsigned index)
{
    VirtioQueue *queue = virtio_queue(dev, index);

    if (!queue) {
        log_guest_error("%s: kick of queue %u, which it does not have", dev->ops->name, index);
    } else if (queue->loop == loop_main()) {
        process(queue);
    } else {
        event_notifier_set(&queue->kick);
    }
}

void virtio_queue_schedule(VirtioQueue *queue)
{
    loop_bh_schedule(queue->again);
}

void virtio_queue_error(VirtioQueue *queue, const char *why)
{
    virtqueue_break(&queue->vq, why);
    virtio_device_break(queue->dev, queue, why);
}

/* ---- Interrupts ---- */

static void deliver(VirtioQueue *queue)
{
    queue->dev->transport->interrupt(queue->dev, queue->vector, VIRTIO_ISR_QUEUE);
}

static void on_call(void *opaque)
{
    VirtioQueue *queue = opaque;

    if (event_notifier_test_and_clear(&queue->call)) {
        deliver(queue);
    }
}

/* Does the main loop have to pass calls on? */
static void watch_call(VirtioQueue *queue, bool on)
{
    bool wanted = on && !queue->irqfd && (queue->external || queue->loop != loop_main());

    if (wanted != queue->call_watched) {
        queue->call_watched = wanted;
        loop_set_fd(loop_main(), queue->call.fd, wanted ? on_call : NULL, NULL, queue);
    }
}

void virtio_queue_set_irqfd(VirtioQueue *queue, bool on)
{
    __atomic_store_n(&queue->irqfd, on, __ATOMIC_RELEASE);
    watch_call(queue, true);
}

/* A legacy driver may want to hear of it in any case when nothing is left. */
static bool ran_empty(const VirtioQueue *queue)
{
    return virtio_has_feature(queue->dev, VIRTIO_F_NOTIFY_ON_EMPTY) && !queue->vq.in_flight &&
           virtqueue_is_empty(&queue->vq);
}

void virtio_queue_notify(VirtioQueue *queue)
{
    bool wanted = virtqueue_wants_interrupt(&queue->vq);

    if (!queue->vq.started || (!wanted && !ran_empty(queue))) {
        return;
    }
    if (!__atomic_load_n(&queue->irqfd, __ATOMIC_ACQUIRE) && vm_lock_held()) {
        deliver(queue);
    } else {
        event_notifier_set(&queue->call);
    }
}

/* ---- Starting and stopping ---- */

/* On the queue's thread. */
static void watch_here(void *opaque)
{
    VirtioQueue *queue = opaque;

    if (!queue->external) {
        loop_set_fd(queue->loop, queue->kick.fd, on_kick, NULL, queue);
    }
    queue->watched = true;
    loop_bh_schedule(queue->again); /* for kicks from before */
}

static void unwatch_here(void *opaque)
{
    VirtioQueue *queue = opaque;

    loop_set_fd(queue->loop, queue->kick.fd, NULL, NULL, NULL);
    loop_bh_cancel(queue->again);
    queue->watched = false;
}

static void stop_here(void *opaque)
{
    VirtioQueue *queue = opaque;

    virtqueue_stop(&queue->vq);
}

static void on_queue_thread(VirtioQueue *queue, LoopFn *fn)
{
    if (queue->loop == loop_main()) {
        fn(queue);
    } else {
        loop_post_wait(queue->loop, fn, queue);
    }
}

void virtio_queue_watch(VirtioQueue *queue, bool on)
{
    VirtioDevice *dev = queue->dev;

    if (queue->watched == on || (on && !queue->vq.started)) {
        return;
    }
    if (on) {
        watch_call(queue, true);
    }
    if (on && dev->transport->queue_running) {
        dev->transport->queue_running(dev, queue, true);
    }
    on_queue_thread(queue, on ? watch_here : unwatch_here);
    if (!on && dev->transport->queue_running) {
        dev->transport->queue_running(dev, queue, false);
    }
    if (!on) {
        watch_call(queue, false);
        on_call(queue);
    }
}

void virtio_queue_start(VirtioQueue *queue)
{
    VirtioDevice *dev = queue->dev;
    VirtQueue *vq = &queue->vq;

    if (vq->started || !queue->enabled) {
        return;
    }
    vq->packed = virtio_has_feature(dev, VIRTIO_F_RING_PACKED);
    vq->event_idx = virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX);
    vq->indirect = virtio_has_feature(dev, VIRTIO_RING_F_INDIRECT_DESC);
    vq->in_order = virtio_has_feature(dev, VIRTIO_F_IN_ORDER);
    if (!virtqueue_start(vq)) {
        virtio_device_break(dev, queue, vq->broken);
        return;
    }
    queue->ring_region = memory_region_from_host(vq->parts[vq->packed ? 0 : 2].iov_base,
                                                 &queue->ring_offset);
    if (dev->vm_running) {
        virtio_queue_watch(queue, true);
    }
}

void virtio_queue_stop(VirtioQueue *queue)
{
    virtio_queue_watch(queue, false);
    on_queue_thread(queue, stop_here);
}

/* ---- The driver's registers ---- */

VirtioQueue *virtio_queue(VirtioDevice *dev, unsigned index)
{
    return index < dev->n_queues && dev->queues[index]->max_size ? dev->queues[index] : NULL;
}

void virtio_queue_set_size(VirtioQueue *queue, uint16_t size)
{
    bool odd = size & (size - 1);

    if (queue->enabled || !size || size > queue->max_size ||
        (odd && !virtio_has_feature(queue->dev, VIRTIO_F_RING_PACKED))) {
        log_guest_error("%s: queue %u cannot have the size %u now", queue->dev->ops->name,
                        queue->index, size);
        return;
    }
    queue->vq.size = size;
}

void virtio_queue_enable(VirtioQueue *queue)
{
    queue->enabled = true;
    if (virtio_is_started(queue->dev)) {
        virtio_queue_start(queue);
    }
}

void virtio_queue_set_legacy_page(VirtioQueue *queue, uint64_t address, uint32_t align)
{
    VirtQueue *vq = &queue->vq;

    virtio_queue_stop(queue);
    queue->enabled = false;
    vq->desc = address;
    vq->driver = address + split_ring_desc_bytes(vq->size);
    vq->device = ROUND_UP(vq->driver + split_ring_avail_bytes(vq->size), (uint64_t)align);
    if (address) {
        virtio_queue_enable(queue);
    }
}

void virtio_queue_clear(VirtioQueue *queue)
{
    queue->enabled = false;
    queue->vector = VIRTIO_NO_VECTOR;
    queue->vq.size = queue->max_size;
    queue->vq.desc = queue->vq.driver = queue->vq.device = 0;
    queue->vq.broken = NULL;
    virtqueue_reset_position(&queue->vq);
    event_notifier_test_and_clear(&queue->kick);
    event_notifier_test_and_clear(&queue->call);
}

void virtio_queue_reset(VirtioQueue *queue)
{
    VirtioDevice *dev = queue->dev;

    virtio_queue_stop(queue);
    if (loop_in_main_thread() && dev->ops->drain) {
        dev->ops->drain(dev);
    }
    if (dev->ops->queue_reset) {
        dev->ops->queue_reset(dev, queue);
    }
    virtio_queue_clear(queue);
}

/* ---- Life ---- */

VirtioQueue *virtio_add_queue(VirtioDevice *dev, uint16_t size, VirtioQueueFn *handle)
{
    VirtioQueue *queue = g_new0(VirtioQueue, 1);

    g_assert(dev->n_queues < VIRTIO_MAX_QUEUES && size <= VIRTIO_MAX_QUEUE_SIZE);
    *queue = (VirtioQueue) {
        .dev = dev, .index = dev->n_queues, .handle = handle, .max_size = size,
        .kick.fd = -1, .call.fd = -1, .loop = loop_main(),
        .vq.memory = {
            .map = map_memory, .unmap = unmap_memory, .ring_written = ring_written,
            .address = guest_address, .opaque = queue,
        },
    };
    queue->again = loop_bh_new(queue->loop, process, queue);
    dev->queues = g_renew(VirtioQueue *, dev->queues, dev->n_queues + 1);
    dev->queues[dev->n_queues++] = queue;
    return queue;
}

static void free_bh_here(void *opaque)
{
    loop_bh_free(((VirtioQueue *)opaque)->again);
}

void virtio_queue_set_loop(VirtioQueue *queue, Loop *loop)
{
    g_assert(!queue->watched);
    on_queue_thread(queue, free_bh_here);
    queue->loop = loop ? loop : loop_main();
    queue->again = loop_bh_new(queue->loop, process, queue);
}

void virtio_queue_free(VirtioQueue *queue)
{
    g_assert(!queue->watched && !queue->vq.outstanding);
    on_queue_thread(queue, free_bh_here);
    event_notifier_cleanup(&queue->kick);
    event_notifier_cleanup(&queue->call);
    g_free(queue);
}
