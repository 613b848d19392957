/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng (VIRTIO 1.2, section 5.4): one queue of buffers that are filled with random bytes, up
 * to max-bytes in each period, so that a guest cannot keep the host busy with it.
 */
#include "backends/rng.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/timer.h"

#define QUEUE_SIZE 8
#define NS_PER_MS 1000000LL

typedef struct VirtioRng {
    VirtioDevice dev;
    Object *backend;        /* property rng: an RngBackend */
    Object *source;         /* that, or one of our own; referenced */
    uint64_t max_bytes;
    uint32_t period_ms;
    uint64_t quota;         /* bytes left in this period */
    Timer *timer;           /* the period's end; armed since the first byte of it */
    VirtioQueue *queue;
    VirtQueueElement *waiting; /* for the source */
} VirtioRng;

static void serve(VirtioRng *rng);

static void on_bytes(void *opaque, const void *data, size_t len)
{
    VirtioRng *rng = opaque;
    VirtQueueElement *element = g_steal_pointer(&rng->waiting);
    size_t used = iov_from_buf(element->in, element->n_in, 0, data, len);

    virtqueue_push(&rng->queue->vq, element, (uint32_t)used);
    virtio_queue_notify(rng->queue);
    serve(rng);
}

/* One buffer at a time. The driver may get less than it asked for. */
static void serve(VirtioRng *rng)
{
    VirtQueueElement *element;
    size_t wanted;

    if (rng->waiting || !rng->quota || !virtio_queue_is_running(rng->queue)) {
        return;
    }
    do {
        element = virtqueue_pop(&rng->queue->vq, sizeof(*element));
    } while (!element && virtqueue_enable_kicks(&rng->queue->vq));
    if (!element) {
        return;
    }
    wanted = MIN(iov_size(element->in, element->n_in), RNG_REQUEST_MAX);
    if (!wanted) {
        virtqueue_drop(&rng->queue->vq, element);
        virtio_queue_error(rng->queue, "a buffer that cannot be written to");
        return;
    }
    wanted = MIN(wanted, rng->quota);
    rng->quota -= wanted;
    if (!timer_pending(rng->timer)) {
        timer_mod(rng->timer, vm_clock_ns(VM_CLOCK_VIRTUAL) + rng->period_ms * NS_PER_MS);
    }
    rng->waiting = element;
    rng_backend_request((RngBackend *)rng->source, wanted, on_bytes, rng);
}

static void new_period(void *opaque)
{
    VirtioRng *rng = opaque;

    rng->quota = rng->max_bytes;
    serve(rng);
}

static void handle(VirtioDevice *dev, VirtioQueue *queue)
{
    serve((VirtioRng *)dev);
}

static void rng_stop(VirtioDevice *dev)
{
    VirtioRng *rng = (VirtioRng *)dev;

    if (rng->waiting) {
        rng_backend_cancel((RngBackend *)rng->source, rng);
        virtqueue_drop(&rng->queue->vq, g_steal_pointer(&rng->waiting));
    }
}

static void rng_queue_reset(VirtioDevice *dev, VirtioQueue *queue)
{
    rng_stop(dev);
}

static void rng_reset(VirtioDevice *dev)
{
    VirtioRng *rng = (VirtioRng *)dev;

    timer_del(rng->timer);
    rng->quota = rng->max_bytes;
}

static bool rng_realize(VirtioDevice *dev, GError **error)
{
    VirtioRng *rng = (VirtioRng *)dev;

    if (!rng->period_ms || !rng->max_bytes || rng->max_bytes > INT64_MAX) {
        error_setf(error, "%s must be between 1 and %s", rng->period_ms ? "max-bytes" : "period",
                   rng->period_ms ? "2^63 - 1" : "2^32 - 1");
        return false;
    }
    rng->source = rng->backend ? object_ref(rng->backend) : object_new(TYPE_RNG_BUILTIN);
    rng->timer = timer_new_virtual(new_period, rng);
    rng->queue = virtio_add_queue(dev, QUEUE_SIZE, handle);
    return true;
}

static void rng_unrealize(VirtioDevice *dev)
{
    VirtioRng *rng = (VirtioRng *)dev;

    g_clear_pointer(&rng->timer, timer_free);
    g_clear_pointer(&rng->source, object_unref);
}

static const VirtioDeviceOps rng_ops = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .stop = rng_stop,
    .reset = rng_reset,
    .queue_reset = rng_queue_reset,
};

#define RNG_PROPERTIES(S, m)                                                                       \
    VIRTIO_COMMON_PROPERTIES(S, m.dev),                                                            \
    PROP_LINK("rng", S, m.backend, TYPE_RNG_BACKEND, "the source; the kernel's if not given"),     \
    PROP_UINT64("max-bytes", S, m.max_bytes, INT64_MAX, "bytes in each period"),                   \
    PROP_UINT32("period", S, m.period_ms, 1 << 16, "in milliseconds")

VIRTIO_PCI_TYPES(virtio_rng, "virtio-rng", VirtioRng, RNG_PROPERTIES, rng_ops, 0x00ff, 0x1005, 2,
                 DEVICE_CATEGORY_MISC, "virtio source of randomness");
VIRTIO_MMIO_TYPE(virtio_rng, "virtio-rng", VirtioRng, RNG_PROPERTIES, rng_ops,
                 DEVICE_CATEGORY_MISC, "virtio source of randomness");
