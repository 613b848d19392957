/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon: the device and its QMP commands; see virtio-balloon.h. */
#include "hw/misc/virtio-balloon.h"

#include "hw/core/machine.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "qapi/qapi-commands-machine.h"
#include "qapi/qapi-events-machine.h"
#include "util/bits.h"
#include "util/error.h"

#define QUEUE_SIZE 128
#define REPORT_QUEUE_SIZE 32
#define HINTS_PER_ROUND 64u

/* The guest's memory as it would be with an empty balloon. */
static uint64_t current_ram(void)
{
    const Machine *machine = machine_current();

    return machine->ram_size + machine->device_memory.plugged;
}

static uint64_t actual_ram(const VirtioBalloon *balloon)
{
    const uint64_t ram = current_ram();

    return ram - MIN((uint64_t)balloon->actual << VIRTIO_BALLOON_PFN_SHIFT, ram);
}

/* No migration asks for hints, so these are of no use; they are only answered. On the iothread. */
static void handle_hints(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtQueueElement *element;
    unsigned budget = HINTS_PER_ROUND;

    for (; budget; budget--) {
        do {
            element = virtqueue_pop(&queue->vq, sizeof(*element));
        } while (!element && virtqueue_enable_kicks(&queue->vq));
        if (!element) {
            break;
        }
        virtqueue_push(&queue->vq, element, 0);
    }
    virtio_queue_notify(queue);
    if (!budget) {
        virtio_queue_schedule(queue);
    }
}

/* ---- Configuration ---- */

static size_t balloon_config_len(VirtioDevice *dev, uint64_t features)
{
    if (features & BIT_ULL(VIRTIO_BALLOON_F_PAGE_POISON)) {
        return sizeof(struct virtio_balloon_config);
    }
    return features & BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT)
           ? offsetof(struct virtio_balloon_config, poison_val)
           : offsetof(struct virtio_balloon_config, free_page_hint_cmd_id);
}

static void balloon_get_config(VirtioDevice *dev, uint8_t *bytes)
{
    const VirtioBalloon *balloon = (VirtioBalloon *)dev;
    const struct virtio_balloon_config config = {
        .num_pages = GUINT32_TO_LE(balloon->num_pages),
        .actual = GUINT32_TO_LE(balloon->actual),
        .free_page_hint_cmd_id = GUINT32_TO_LE(VIRTIO_BALLOON_CMD_ID_STOP),
        .poison_val = GUINT32_TO_LE(balloon->poison),
    };

    memcpy(bytes, &config, sizeof(config));
}

static void balloon_set_config(VirtioDevice *dev, const uint8_t *bytes, size_t offset, size_t len)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;
    struct virtio_balloon_config config;
    uint32_t actual;

    memcpy(&config, bytes, sizeof(config));
    actual = GUINT32_FROM_LE(config.actual);
    if (actual != balloon->actual) {
        balloon->actual = actual;
        qapi_event_send_balloon_change(actual_ram(balloon));
    }
    if (virtio_has_feature(dev, VIRTIO_BALLOON_F_PAGE_POISON)) {
        balloon->poison = GUINT32_FROM_LE(config.poison_val);
    }
}

static uint64_t balloon_features(VirtioDevice *dev)
{
    return BIT_ULL(VIRTIO_BALLOON_F_STATS_VQ);
}

/* ---- Life ---- */

static void balloon_stop(VirtioDevice *dev)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;

    balloon_release(&balloon->inflate);
    balloon_release(&balloon->deflate);
    balloon_release(&balloon->stats_queue);
}

/* The others, which put their requests back too, begin them again. */
static void balloon_queue_reset(VirtioDevice *dev, VirtioQueue *queue)
{
    balloon_stop(dev);
    for (unsigned i = 0; i < dev->n_queues; i++) {
        virtio_queue_schedule(dev->queues[i]);
    }
}

/* A driver that starts anew has given nothing. */
static void balloon_reset(VirtioDevice *dev)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;

    balloon->actual = 0;
    balloon->poison = 0;
    balloon_forget_partial(balloon);
    balloon_reset_stats(balloon);
    balloon->stats_time = 0;
}

static bool balloon_realize(VirtioDevice *dev, GError **error)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;
    Machine *machine = machine_current();

    if (machine->balloon) {
        error_setf(error, "Only one balloon device is supported");
        return false;
    }
    if ((dev->host_features & BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT)) && !balloon->iothread) {
        error_setf(error, "'free-page-hint' requires 'iothread' to be set");
        return false;
    }
    machine->balloon = balloon;
    balloon->inflate.queue = virtio_add_queue(dev, QUEUE_SIZE, balloon_handle_pages);
    balloon->deflate.queue = virtio_add_queue(dev, QUEUE_SIZE, balloon_handle_pages);
    balloon->stats_queue.queue = virtio_add_queue(dev, QUEUE_SIZE, balloon_handle_stats);
    if (dev->host_features & BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT)) {
        balloon->hint = virtio_add_queue(dev, QUEUE_SIZE, handle_hints);
        virtio_queue_set_loop(balloon->hint, iothread_loop(balloon->iothread));
    }
    if (dev->host_features & BIT_ULL(VIRTIO_BALLOON_F_REPORTING)) {
        balloon->report = virtio_add_queue(dev, REPORT_QUEUE_SIZE, balloon_handle_report);
    }
    balloon_reset(dev);
    balloon->timer = timer_new_virtual(balloon_poll, balloon);
    if (balloon->poll_interval) {
        timer_mod(balloon->timer, vm_clock_ns(VM_CLOCK_VIRTUAL));
    }
    return true;
}

static void balloon_unrealize(VirtioDevice *dev)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;

    machine_current()->balloon = NULL;
    g_clear_pointer(&balloon->timer, timer_free);
    balloon_forget_partial(balloon);
}

static const VmState balloon_vmstate = {
    .name = "virtio-balloon",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioBalloon, num_pages),
        VMSTATE_U32(VirtioBalloon, actual),
        VMSTATE_U32(VirtioBalloon, poison),
        VMSTATE_END
    },
};

static const VirtioDeviceOps balloon_ops = {
    .name = "virtio-balloon",
    .id = VIRTIO_ID_BALLOON,
    .config_size = sizeof(struct virtio_balloon_config),
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .features = balloon_features,
    .config_len = balloon_config_len,
    .get_config = balloon_get_config,
    .set_config = balloon_set_config,
    .stop = balloon_stop,
    .drain = balloon_stop,
    .reset = balloon_reset,
    .queue_reset = balloon_queue_reset,
    .vmstate = &balloon_vmstate,
};

#define BALLOON_PROPERTIES(S, m)                                                                   \
    VIRTIO_COMMON_PROPERTIES(S, m.dev),                                                            \
    PROP_BIT64("deflate-on-oom", S, m.dev.host_features, VIRTIO_BALLOON_F_DEFLATE_ON_OOM, false,   \
               "the guest may take memory back before it kills processes for want of it"),         \
    PROP_BIT64("free-page-hint", S, m.dev.host_features, VIRTIO_BALLOON_F_FREE_PAGE_HINT, false,   \
               "the guest can tell of free pages for a migration; needs an iothread"),             \
    PROP_BIT64("page-poison", S, m.dev.host_features, VIRTIO_BALLOON_F_PAGE_POISON, true,          \
               "the guest can tell what it fills free pages with"),                                \
    PROP_BIT64("free-page-reporting", S, m.dev.host_features, VIRTIO_BALLOON_F_REPORTING, false,   \
               "free pages of the guest go back to the host"),                                     \
    PROP_LINK("iothread", S, m.iothread, TYPE_IOTHREAD, "the thread that takes free-page-hint's"), \
    { PROP_FIELD_(balloon_prop_stats, "guest-stats", S, m.stats, "how the guest uses memory"),     \
      .flags = PROP_READ_ONLY },                                                                   \
    { PROP_FIELD_(prop_kind_int64, "guest-stats-polling-interval", S, m.poll_interval,             \
                  "ask for guest-stats every so many seconds; 0: do not"),                         \
      .flags = PROP_LIVE, .set = balloon_set_interval }

VIRTIO_PCI_TYPES(virtio_balloon, "virtio-balloon", VirtioBalloon, BALLOON_PROPERTIES, balloon_ops,
                 0x00ff, 0x1002, 0, DEVICE_CATEGORY_MISC, "virtio memory balloon");
VIRTIO_MMIO_TYPE(virtio_balloon, "virtio-balloon", VirtioBalloon, BALLOON_PROPERTIES, balloon_ops,
                 DEVICE_CATEGORY_MISC, "virtio memory balloon");

/* ---- QMP ---- */

static VirtioBalloon *the_balloon(GError **error)
{
    VirtioBalloon *balloon = machine_current() ? machine_current()->balloon : NULL;

    if (!balloon) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_ACTIVE,
                       "No balloon device has been activated");
    }
    return balloon;
}

BalloonInfo *qmp_query_balloon(GError **error)
{
    const VirtioBalloon *balloon = the_balloon(error);
    BalloonInfo *info;

    if (!balloon) {
        return NULL;
    }
    info = g_new0(BalloonInfo, 1);
    info->actual = actual_ram(balloon);
    return info;
}

bool qmp_balloon(int64_t value, GError **error)
{
    VirtioBalloon *balloon = the_balloon(error);
    const uint64_t ram = current_ram();

    if (!balloon) {
        return false;
    }
    if (value <= 0) {
        error_setf(error, "Parameter 'target' expects a size");
        return false;
    }
    balloon->num_pages = MIN((ram - MIN((uint64_t)value, ram)) >> VIRTIO_BALLOON_PFN_SHIFT,
                             UINT32_MAX);
    virtio_notify_config(&balloon->dev);
    return true;
}
