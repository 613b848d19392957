/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (VIRTIO 1.2, section 5.2): a disk whose requests are chains in one or more queues.
 * What a request says is decoded by block/virtio-blk.h, which vhost-user exports share.
 *
 * All queues run on the disk's loop: an iothread's, if there is one, where they need no VM lock.
 * Requests that fail while the policy is to stop are parked until the VM goes on.
 */
#include "backends/iothread.h"
#include "block/virtio-blk.h"
#include "hw/block/block-conf.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"
#include "util/error.h"

#include <linux/virtio_blk.h>

#define QUEUES_AUTO UINT16_MAX
/* The most that a request of the block layer takes. */
#define MAX_RANGE_SECTORS (INT32_MAX / BLOCK_SECTOR)
#define CONFIG_SIZE (offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 1)

typedef struct VirtioBlkDevice {
    VirtioDevice dev;
    BlockConf conf;
    IoThread *iothread;
    char *serial;
    uint16_t n_queues, queue_size;
    uint32_t max_discard, max_zeroes; /* sectors */
    bool has_discard, has_zeroes, has_config_wce, seg_max_adjust, request_merging, scsi;
    bool report_granularity;
    VirtioBlk disk;
    Loop *loop;
    bool realized_loop;     /* the backend was moved to the iothread */
    bool write_cache;       /* as it was before the driver had a say */
    struct VirtioBlkRequest *parked;
    VirtioSaved saved;
    LoopBh *retry, *resize;
    Notifier run_state;
} VirtioBlkDevice;

typedef struct VirtioBlkRequest VirtioBlkRequest;
struct VirtioBlkRequest {
    VirtQueueElement element;
    VirtioBlkDevice *blk;
    VirtioQueue *queue;
    VirtioBlkCommand command;
    VirtioBlkRequest *next;
};

/* ---- Requests: on the disk's loop ---- */

static void submit(VirtioBlkRequest *request);

static void finish(VirtioBlkRequest *request, uint8_t status)
{
    VirtioQueue *queue = request->queue;

    *request->command.status = status;
    virtqueue_push(&queue->vq, request, request->command.written);
    virtio_queue_notify(queue);
}

static void park(VirtioBlkRequest *request)
{
    request->next = request->blk->parked;
    request->blk->parked = request;
}

static void done(void *opaque, int ret)
{
    VirtioBlkRequest *request = opaque;
    const VirtioBlkCommand *command = &request->command;
    BlockBackend *blk = request->blk->conf.blk;
    bool is_read = command->action == VIRTIO_BLK_READ;

    if (ret < 0 && virtio_blk_status(command, ret) == VIRTIO_BLK_S_IOERR) {
        BlockErrorAction action = block_backend_error_action(blk, is_read, -ret);

        block_backend_error(blk, action, is_read, -ret);
        if (action == BLOCK_ERROR_ACTION_STOP &&
            !virtqueue_is_stale(&request->queue->vq, &request->element)) {
            park(request);
            return;
        }
        ret = action == BLOCK_ERROR_ACTION_IGNORE ? 0 : ret;
    }
    finish(request, virtio_blk_status(command, ret));
}

static void submit(VirtioBlkRequest *request)
{
    const VirtioBlkCommand *command = &request->command;
    BlockBackend *blk = request->blk->conf.blk;

    switch (command->action) {
    case VIRTIO_BLK_READ:
        block_backend_aio_preadv(blk, command->offset, &command->vec, 0, done, request);
        break;
    case VIRTIO_BLK_WRITE:
        block_backend_aio_pwritev(blk, command->offset, &command->vec, 0, done, request);
        break;
    case VIRTIO_BLK_FLUSH:
        block_backend_aio_flush(blk, done, request);
        break;
    case VIRTIO_BLK_DISCARD:
        block_backend_aio_pdiscard(blk, command->offset, command->bytes, done, request);
        break;
    case VIRTIO_BLK_ZERO:
        block_backend_aio_pwrite_zeroes(blk, command->offset, command->bytes, command->flags, done,
                                        request);
        break;
    case VIRTIO_BLK_NOTHING:
        finish(request, *command->status);
        break;
    }
}

/* False: the driver broke a rule. */
static bool take(VirtioBlkDevice *blk, VirtioQueue *queue, VirtioBlkRequest *request)
{
    VirtQueueElement *element = &request->element;

    if (!virtio_blk_decode(&blk->disk, element->out, element->n_out, element->in, element->n_in,
                           &request->command)) {
        virtqueue_drop(&queue->vq, request);
        virtio_queue_error(queue, "a request without a place for its status");
        return false;
    }
    request->blk = blk;
    request->queue = queue;
    submit(request);
    return true;
}

static void handle(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;
    unsigned budget = queue->vq.size;
    VirtioBlkRequest *request;

    do {
        virtqueue_disable_kicks(&queue->vq);
        while (budget && (request = virtqueue_pop(&queue->vq, sizeof(*request)))) {
            budget--;
            if (!take(blk, queue, request)) {
                return;
            }
        }
        if (!budget) {
            virtio_queue_schedule(queue); /* others have a turn first */
            return;
        }
    } while (virtqueue_enable_kicks(&queue->vq));
}

/* The VM goes on: again what failed, in the order in which it did. */
static void retry_parked(void *opaque)
{
    VirtioBlkDevice *blk = opaque;
    VirtioBlkRequest *reversed = NULL, *request;

    while ((request = blk->parked)) {
        blk->parked = request->next;
        request->next = reversed;
        reversed = request;
    }
    while ((request = reversed)) {
        reversed = request->next;
        submit(request);
    }
}

static void drop_parked(void *opaque)
{
    VirtioBlkDevice *blk = opaque;
    VirtioBlkRequest *request;

    while ((request = blk->parked)) {
        blk->parked = request->next;
        virtqueue_drop(&request->queue->vq, request);
    }
}

/* ---- Main thread ---- */

static void run_state_changed(Notifier *notifier, void *data)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)(void *)((char *)notifier -
                                                       offsetof(VirtioBlkDevice, run_state));

    if (*(bool *)data) {
        loop_bh_schedule(blk->retry);
    }
}

static void on_disk_loop(VirtioBlkDevice *blk, LoopFn *fn)
{
    if (blk->loop == loop_main()) {
        fn(blk);
    } else {
        loop_post_wait(blk->loop, fn, blk);
    }
}

static void blk_stop(VirtioDevice *dev)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;

    on_disk_loop(blk, drop_parked);
}

static void blk_queue_reset(VirtioDevice *dev, VirtioQueue *queue)
{
    blk_stop(dev);
}

static void blk_drain(VirtioDevice *dev)
{
    block_backend_drain(((VirtioBlkDevice *)dev)->conf.blk);
}

static void blk_reset(VirtioDevice *dev)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;

    block_backend_set_write_cache(blk->conf.blk, blk->write_cache);
}

static void tell_resized(void *opaque)
{
    virtio_notify_config(opaque);
}

static void resized(void *owner)
{
    VirtioBlkDevice *blk = owner;

    __atomic_store_n(&blk->disk.size, (int64_t)block_conf_length(&blk->conf), __ATOMIC_RELAXED);
    loop_bh_schedule(blk->resize);
}

static const BlockBackendOps backend_ops = { .resized = resized };

static uint64_t blk_features(VirtioDevice *dev)
{
    const VirtioBlkDevice *blk = (const VirtioBlkDevice *)dev;

    return virtio_blk_features(&blk->disk) | (blk->scsi ? BIT_ULL(VIRTIO_BLK_F_SCSI) : 0);
}

/* A driver that will not flush gets a disk that needs none, unless it can say so itself. */
static void blk_set_features(VirtioDevice *dev)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;

    if (!virtio_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE) &&
        !virtio_has_feature(dev, VIRTIO_BLK_F_FLUSH)) {
        block_backend_set_write_cache(blk->conf.blk, false);
    }
}

static void blk_get_config(VirtioDevice *dev, uint8_t *config)
{
    virtio_blk_config(&((VirtioBlkDevice *)dev)->disk, config, CONFIG_SIZE);
}

static void blk_set_config(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len)
{
    const size_t wce = offsetof(struct virtio_blk_config, wce);

    if (ranges_overlap(offset, len, wce, 1)) {
        virtio_blk_set_config(&((VirtioBlkDevice *)dev)->disk, wce, config + wce, 1);
    }
}

/* ---- Life ---- */

static bool check_properties(VirtioBlkDevice *blk, GError **error)
{
    uint16_t size = blk->queue_size;

    if (blk->n_queues == QUEUES_AUTO) {
        blk->n_queues = object_is_a(blk->dev.owner, TYPE_VIRTIO_PCI)
                            ? MIN(machine_current()->smp.cpus, VIRTIO_MAX_QUEUES) : 1;
    }
    if (!blk->n_queues || blk->n_queues > VIRTIO_MAX_QUEUES) {
        error_setf(error, "num-queues must be from 1 to %u", VIRTIO_MAX_QUEUES);
    } else if (size <= 2 || size > VIRTIO_MAX_QUEUE_SIZE || (size & (size - 1))) {
        error_setf(error, "invalid queue-size property (%u), must be a power of 2 "
                   "(max %u) and at least 4", size, VIRTIO_MAX_QUEUE_SIZE);
    } else if (blk->has_discard && (!blk->max_discard || blk->max_discard > MAX_RANGE_SECTORS)) {
        error_setf(error, "invalid max-discard-sectors property (%u), must be between 1 and %llu",
                   blk->max_discard, (unsigned long long)MAX_RANGE_SECTORS);
    } else if (blk->has_zeroes && (!blk->max_zeroes || blk->max_zeroes > MAX_RANGE_SECTORS)) {
        error_setf(error, "invalid max-write-zeroes-sectors property (%u), must be between 1 "
                   "and %llu", blk->max_zeroes, (unsigned long long)MAX_RANGE_SECTORS);
    } else {
        return true;
    }
    return false;
}

static uint32_t discard_alignment(const VirtioBlkDevice *blk)
{
    const BlockConf *conf = &blk->conf;
    uint32_t granularity = blk->report_granularity && conf->discard_granularity != UINT32_MAX
                               ? conf->discard_granularity : 0;

    return MAX(granularity, conf->logical_block_size) / BLOCK_SECTOR;
}

static void describe_disk(VirtioBlkDevice *blk)
{
    const BlockConf *conf = &blk->conf;
    uint32_t unit = conf->logical_block_size;

    blk->disk = (VirtioBlk) {
        .blk = conf->blk,
        .size = (int64_t)block_conf_length(conf),
        .block_size = unit,
        .writable = !conf->read_only,
        .serial = blk->serial ? blk->serial : "",
        .n_queues = blk->n_queues,
        .queue_size = blk->seg_max_adjust ? blk->queue_size : 128,
        .physical_exp = (uint8_t)__builtin_ctz(conf->physical_block_size / unit),
        .min_io = (uint16_t)MIN(conf->min_io_size / unit, UINT16_MAX),
        .opt_io = conf->opt_io_size / unit,
        .max_discard = blk->has_discard ? blk->max_discard : 0,
        .max_zeroes = blk->has_zeroes ? blk->max_zeroes : 0,
        .discard_alignment = discard_alignment(blk),
        .config_wce = blk->has_config_wce,
        .cyls = (uint16_t)conf->cyls,
        .heads = (uint8_t)conf->heads,
        .secs = (uint8_t)conf->secs,
    };
}

static void blk_unrealize(VirtioDevice *dev);

static bool choose_loop(VirtioBlkDevice *blk, GError **error)
{
    if (!blk->iothread) {
        blk->loop = block_backend_loop(blk->conf.blk);
        return blk->loop == loop_main() ||
               block_backend_set_loop(blk->conf.blk, blk->loop = loop_main(), error);
    }
    blk->loop = iothread_loop(blk->iothread);
    return block_backend_set_loop(blk->conf.blk, blk->loop, error);
}

static bool blk_realize(VirtioDevice *dev, GError **error)
{
    static const BlockConfNeeds needs = { .may_be_read_only = true, .resizable = true };
    static const BlockGeometryMax max = { 65535, 255, 255 };
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;
    int translation = BIOS_TRANSLATION_AUTO;

    blk->loop = loop_main();
    if (!check_properties(blk, error) ||
        !block_conf_realize(&blk->conf, dev->owner, &needs, &backend_ops, blk, error)) {
        return false;
    }
    if (!block_conf_geometry(&blk->conf, &max, &translation, error) || !choose_loop(blk, error)) {
        block_conf_unrealize(&blk->conf);
        return false;
    }
    block_backend_enable_io_status(blk->conf.blk);
    blk->write_cache = block_backend_write_cache(blk->conf.blk);
    describe_disk(blk);
    for (unsigned i = 0; i < blk->n_queues; i++) {
        virtio_queue_set_loop(virtio_add_queue(dev, blk->queue_size, handle), blk->loop);
    }
    blk->retry = loop_bh_new(blk->loop, retry_parked, blk);
    blk->resize = loop_bh_new(loop_main(), tell_resized, blk);
    blk->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &blk->run_state);
    return true;
}

static void free_retry(void *opaque)
{
    loop_bh_free(((VirtioBlkDevice *)opaque)->retry);
}

static void blk_unrealize(VirtioDevice *dev)
{
    VirtioBlkDevice *blk = (VirtioBlkDevice *)dev;

    notifier_list_remove(run_state_notifiers(), &blk->run_state);
    on_disk_loop(blk, free_retry);
    loop_bh_free(blk->resize);
    if (blk->loop != loop_main()) {
        block_backend_set_loop(blk->conf.blk, loop_main(), NULL);
    }
    block_conf_unrealize(&blk->conf);
    virtio_saved_clear(&blk->saved);
}

/* ---- Saved state ---- */

/* The newest first, as they stand in the list. */
static void blk_pre_save(void *opaque)
{
    VirtioBlkDevice *blk = opaque;

    virtio_saved_clear(&blk->saved);
    for (VirtioBlkRequest *request = blk->parked; request; request = request->next) {
        virtio_saved_add(&blk->saved, request->queue, request);
    }
}

static bool blk_pre_load(void *opaque, GError **error)
{
    virtio_saved_clear(&((VirtioBlkDevice *)opaque)->saved);
    return true;
}

static bool blk_post_load(void *opaque, int version, GError **error)
{
    VirtioBlkDevice *blk = opaque;
    VirtioBlkRequest **last = &blk->parked;

    while (virtio_saved_more(&blk->saved)) {
        VirtioQueue *queue;
        VirtioBlkRequest *request = virtio_saved_take(&blk->saved, &blk->dev, sizeof(*request),
                                                      &queue, error);
        VirtQueueElement *element = (VirtQueueElement *)request;

        if (!request) {
            return false;
        }
        if (!virtio_blk_decode(&blk->disk, element->out, element->n_out, element->in,
                               element->n_in, &request->command)) {
            virtqueue_drop(&queue->vq, request);
            error_setf(error, "virtio-blk: a saved request has no place for its status");
            return false;
        }
        request->blk = blk;
        request->queue = queue;
        request->next = NULL;
        *last = request;
        last = &request->next;
    }
    virtio_saved_clear(&blk->saved);
    return true;
}

static const VmState blk_vmstate = {
    .name = "virtio-blk",
    .version = 1,
    .minimum_version = 1,
    .pre_save = blk_pre_save,
    .pre_load = blk_pre_load,
    .post_load = blk_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(VirtioBlkDevice, saved, virtio_saved_vmstate),
        VMSTATE_END
    },
};

static const VirtioDeviceOps blk_ops = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .config_size = CONFIG_SIZE,
    .realize = blk_realize,
    .unrealize = blk_unrealize,
    .features = blk_features,
    .set_features = blk_set_features,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    .stop = blk_stop,
    .reset = blk_reset,
    .queue_reset = blk_queue_reset,
    .drain = blk_drain,
    .vmstate = &blk_vmstate,
    .boot_unit = "/disk@0,0",
};

#define BLK_PROPERTIES(S, m)                                                                       \
    VIRTIO_COMMON_PROPERTIES(S, m.dev), BLOCK_CONF_PROPERTIES(S, m.conf),                          \
    BLOCK_CONF_ERROR_PROPERTIES(S, m.conf), BLOCK_CONF_GEOMETRY_PROPERTIES(S, m.conf),             \
    BLOCK_CONF_BOOT_PROPERTY(S, m.conf),                                                           \
    PROP_LINK("iothread", S, m.iothread, TYPE_IOTHREAD, "the thread that serves it"),              \
    PROP_STRING("serial", S, m.serial, NULL, "serial number, up to 20 characters"),                \
    PROP_UINT16("num-queues", S, m.n_queues, QUEUES_AUTO, "65535: as many as CPUs"),               \
    PROP_UINT16("queue-size", S, m.queue_size, 256, "requests that a queue can hold"),             \
    PROP_BOOL("seg-max-adjust", S, m.seg_max_adjust, true, "segments fill the queue"),             \
    PROP_BOOL("config-wce", S, m.has_config_wce, true, "the driver may switch the write cache"),   \
    PROP_BOOL("discard", S, m.has_discard, true, "the driver may discard"),                        \
    PROP_BOOL("write-zeroes", S, m.has_zeroes, true, "the driver may write zeroes without data"),  \
    PROP_BOOL("report-discard-granularity", S, m.report_granularity, true,                         \
              "tell the driver how discards should be aligned"),                                   \
    PROP_UINT32("max-discard-sectors", S, m.max_discard, MAX_RANGE_SECTORS, "of one request"),     \
    PROP_UINT32("max-write-zeroes-sectors", S, m.max_zeroes, MAX_RANGE_SECTORS,                    \
                "of one request"),                                                                 \
    PROP_BOOL("request-merging", S, m.request_merging, true, "accepted, without effect"),          \
    PROP_BOOL("scsi", S, m.scsi, false, "offer SCSI commands, all of which are refused")

VIRTIO_PCI_TYPES(virtio_blk, "virtio-blk", VirtioBlkDevice, BLK_PROPERTIES, blk_ops, 0x0100, 0x1001,
                 VIRTIO_PCI_VECTORS_AUTO, DEVICE_CATEGORY_STORAGE, "virtio disk");
VIRTIO_MMIO_TYPE(virtio_blk, "virtio-blk", VirtioBlkDevice, BLK_PROPERTIES, blk_ops,
                 DEVICE_CATEGORY_STORAGE, "virtio disk");
