/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user-blk: a virtio disk (VIRTIO 1.2, section 5.2) whose queues another process runs. Its
 * configuration space is the backend's, but for the number of queues.
 *
 * When the backend goes, what the guest asks for waits until the next one comes. What was in flight
 * is done again: by the backend's own notes if it keeps some, else from the first request that was
 * not answered.
 */
#include <linux/virtio_blk.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "hw/core/machine.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"
#include "util/error.h"
#include "virtio/vhost-user-client.h"

#define QUEUES_AUTO UINT16_MAX
/* As far as what discards and zeroes need. */
#define CONFIG_SIZE 60
/* So many backends in a row that could not be talked to; the next is not waited for. */
#define MAX_FAILURES 3
#define BITS(f) BIT_ULL(VIRTIO_BLK_F_##f)
#define DISK_FEATURES                                                                              \
    (BITS(SIZE_MAX) | BITS(SEG_MAX) | BITS(GEOMETRY) | BITS(RO) | BITS(BLK_SIZE) | BITS(FLUSH) |   \
     BITS(TOPOLOGY) | BITS(CONFIG_WCE) | BITS(MQ) | BITS(DISCARD) | BITS(WRITE_ZEROES))
#define RING_FEATURES                                                                              \
    (BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |                     \
     BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) |                            \
     BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
/* Rings of these kinds cannot be taken back and handed over. */
#define NEVER                                                                                      \
    (BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_F_IN_ORDER) | BIT_ULL(VIRTIO_F_RING_RESET))

typedef struct VhostUserBlk {
    VirtioDevice dev;
    CharFrontend chardev;
    int32_t bootindex;
    uint16_t n_queues;
    uint32_t queue_size;
    bool config_wce, discard, write_zeroes;
    VhostUserClient *client;      /* NULL: nobody is there */
    VhostDevice vhost;
    VhostUserInflightMemory inflight;
    uint8_t config[CONFIG_SIZE];  /* as the last backend gave it */
    unsigned failures;
} VhostUserBlk;

/* ---- The conversation ---- */

static void give_up(VhostUserBlk *blk, GError *error)
{
    warn_report("vhost-user-blk: %s", error->message);
    g_error_free(error);
    blk->failures++;
    if (blk->client) {
        blk->client->failed = true;
    }
    char_frontend_disconnect(&blk->chardev);
}

static void vhost_failed(void *opaque, GError *error)
{
    give_up(opaque, error);
}

static bool read_config(VhostUserBlk *blk, GError **error)
{
    const size_t queues = offsetof(struct virtio_blk_config, num_queues);

    if (!vhost_user_client_get_config(blk->client, blk->config, CONFIG_SIZE, error)) {
        return false;
    }
    stw_le(blk->config + queues, blk->n_queues);
    return true;
}

static void config_changed(VhostUserBlk *blk)
{
    GError *error = NULL;

    blk->client->config_changed = false;
    if (!read_config(blk, &error)) {
        give_up(blk, error);
        return;
    }
    virtio_notify_config(&blk->dev);
}

static void on_requests(void *opaque)
{
    VhostUserBlk *blk = opaque;
    VhostUserClient *client = blk->client;

    vhost_user_client_handle_requests(client);
    if (client->requests_over) {
        loop_set_fd(loop_main(), client->requests, NULL, NULL, NULL);
    }
    if (client->config_changed) {
        config_changed(blk);
    }
}

static bool begin(VhostUserBlk *blk, GError **error)
{
    const uint64_t wanted = BIT_ULL(VHOST_USER_PROTOCOL_F_CONFIG) |
                            BIT_ULL(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
                            BIT_ULL(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    int fd = char_frontend_socket(&blk->chardev);

    if (fd < 0) {
        error_setf(error, "chardev '%s' is not a socket that vhost-user can be spoken over",
                   chardev_id(blk->chardev.chr));
        return false;
    }
    blk->client = vhost_user_client_new(fd, wanted, error);
    if (!blk->client) {
        return false;
    }
    if (!vhost_user_client_has(blk->client, VHOST_USER_PROTOCOL_F_CONFIG)) {
        error_setf(error, "vhost-user: the backend cannot tell how large its disk is");
    } else if (blk->n_queues > blk->client->max_queues) {
        error_setf(error, "the device has %u queues; its vhost-user backend takes %u",
                   blk->n_queues, blk->client->max_queues);
    } else if (read_config(blk, error)) {
        blk->vhost.vhost = &blk->client->vhost;
        if (blk->client->requests >= 0) {
            loop_set_fd(loop_main(), blk->client->requests, on_requests, NULL, blk);
        }
        return true;
    }
    g_clear_pointer(&blk->client, vhost_user_client_free);
    return false;
}

static void end(VhostUserBlk *blk)
{
    VhostUserClient *client = blk->client;

    if (!client) {
        return;
    }
    if (client->requests >= 0) {
        loop_set_fd(loop_main(), client->requests, NULL, NULL, NULL);
    }
    client->failed = true;
    virtio_restart(&blk->dev); /* its queues are taken back */
    vhost_device_stop(&blk->vhost);
    blk->vhost.vhost = NULL;
    blk->client = NULL;
    vhost_user_client_free(client);
}

static void on_event(void *opaque, CharEvent event)
{
    VhostUserBlk *blk = opaque;
    GError *error = NULL;

    if (event == CHAR_EVENT_CLOSED) {
        end(blk);
    } else if (event == CHAR_EVENT_OPENED && !blk->client && blk->failures < MAX_FAILURES) {
        if (!begin(blk, &error)) {
            give_up(blk, error);
            return;
        }
        virtio_restart(&blk->dev);
        virtio_notify_config(&blk->dev);
    }
}

static int can_read(void *opaque)
{
    return 1;
}

/* Replies are read where they are waited for. */
static void read_unasked(void *opaque, const uint8_t *buf, int size)
{
    GError *error = NULL;

    error_setf(&error, "the backend says what nobody asked for");
    give_up(opaque, error);
}

static const CharFrontendOps frontend_ops = {
    .can_read = can_read,
    .read = read_unasked,
    .event = on_event,
};

/* ---- Queues ---- */

/* All queues are the backend's. */
static void handle(VirtioDevice *dev, VirtioQueue *queue)
{
}

static bool hand_over(VhostUserBlk *blk, GError **error)
{
    uint64_t missing = blk->dev.features & (DISK_FEATURES | RING_FEATURES) & ~BITS(MQ) &
                       ~blk->client->vhost.features;

    if (missing) {
        error_setf(error, "the backend lacks features that the guest uses: 0x%" G_GINT64_MODIFIER
                   "x", missing);
        return false;
    }
    return vhost_user_client_share_inflight(blk->client, &blk->inflight, blk->n_queues,
                                            (uint16_t)blk->queue_size, error) &&
           vhost_device_start(&blk->vhost, error) && vhost_device_enable(&blk->vhost, true, error);
}

static void blk_run_external(VirtioDevice *dev, bool run)
{
    VhostUserBlk *blk = (VhostUserBlk *)dev;
    GError *error = NULL;

    if (!run) {
        vhost_device_stop(&blk->vhost);
    } else if (blk->client && !blk->client->failed && !hand_over(blk, &error)) {
        give_up(blk, error);
    }
}

static void forget_inflight(VhostUserBlk *blk)
{
    if (blk->inflight.fd >= 0) {
        close(blk->inflight.fd);
        blk->inflight.fd = -1;
    }
}

static void blk_reset(VirtioDevice *dev)
{
    forget_inflight((VhostUserBlk *)dev);
}

/* ---- Configuration ---- */

static uint64_t blk_features(VirtioDevice *dev)
{
    VhostUserBlk *blk = (VhostUserBlk *)dev;
    uint64_t features = blk->client->vhost.features & DISK_FEATURES & ~BITS(MQ);

    features |= blk->n_queues > 1 ? BITS(MQ) : 0;
    features &= blk->config_wce ? UINT64_MAX : ~BITS(CONFIG_WCE);
    features &= blk->discard ? UINT64_MAX : ~BITS(DISCARD);
    features &= blk->write_zeroes ? UINT64_MAX : ~BITS(WRITE_ZEROES);
    return features;
}

static void blk_get_config(VirtioDevice *dev, uint8_t *config)
{
    memcpy(config, ((VhostUserBlk *)dev)->config, CONFIG_SIZE);
}

/* Only the write cache can be switched. */
static void blk_set_config(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len)
{
    VhostUserBlk *blk = (VhostUserBlk *)dev;
    const size_t wce = offsetof(struct virtio_blk_config, wce);
    GError *error = NULL;

    if (!ranges_overlap(offset, len, wce, 1) || config[wce] == blk->config[wce] || !blk->client ||
        blk->client->failed) {
        return;
    }
    if (!vhost_user_client_set_config(blk->client, config + wce, wce, 1, &error)) {
        give_up(blk, error);
        return;
    }
    blk->config[wce] = config[wce];
}

/* ---- Life ---- */

static bool check_properties(VhostUserBlk *blk, GError **error)
{
    uint32_t size = blk->queue_size;

    if (blk->n_queues == QUEUES_AUTO) {
        blk->n_queues = object_is_a(OBJECT(blk->dev.owner), TYPE_VIRTIO_PCI)
                            ? MIN(machine_current()->smp.cpus, VIRTIO_MAX_QUEUES) : 1;
    }
    if (!blk->chardev.chr) {
        error_setf(error, "chardev is mandatory");
    } else if (!blk->n_queues || blk->n_queues > VIRTIO_MAX_QUEUES) {
        error_setf(error, "num-queues must be from 1 to %u", VIRTIO_MAX_QUEUES);
    } else if (size < 4 || size > VIRTIO_MAX_QUEUE_SIZE || (size & (size - 1))) {
        error_setf(error, "queue-size %u is no power of two between 4 and %u", size,
                   VIRTIO_MAX_QUEUE_SIZE);
    } else {
        return vhost_memory_is_shared(error);
    }
    return false;
}

static void blk_unrealize(VirtioDevice *dev)
{
    VhostUserBlk *blk = (VhostUserBlk *)dev;

    char_frontend_set_handlers(&blk->chardev, NULL, NULL, NULL);
    if (blk->client && blk->client->requests >= 0) {
        loop_set_fd(loop_main(), blk->client->requests, NULL, NULL, NULL);
    }
    vhost_device_cleanup(&blk->vhost);
    g_clear_pointer(&blk->client, vhost_user_client_free);
    forget_inflight(blk);
}

static bool blk_realize(VirtioDevice *dev, GError **error)
{
    VhostUserBlk *blk = (VhostUserBlk *)dev;

    blk->inflight.fd = -1;
    if (!check_properties(blk, error) ||
        !char_frontend_wait_connected(&blk->chardev, error) || !begin(blk, error)) {
        return false;
    }
    dev->withheld = NEVER | (RING_FEATURES & ~blk->client->vhost.features);
    for (unsigned i = 0; i < blk->n_queues; i++) {
        virtio_add_queue(dev, (uint16_t)blk->queue_size, handle)->external = true;
    }
    blk->vhost.dev = dev;
    blk->vhost.n = blk->n_queues;
    blk->vhost.features = UINT64_MAX;
    blk->vhost.failed = vhost_failed;
    blk->vhost.opaque = blk;
    vhost_device_init(&blk->vhost);
    char_frontend_set_handlers(&blk->chardev, &frontend_ops, blk, NULL);
    return true;
}

static const VirtioDeviceOps blk_ops = {
    .name = "vhost-user-blk",
    .id = VIRTIO_ID_BLOCK,
    .config_size = CONFIG_SIZE,
    .realize = blk_realize,
    .unrealize = blk_unrealize,
    .features = blk_features,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    .reset = blk_reset,
    .run_external = blk_run_external,
};

#define BLK_PROPERTIES(S, m)                                                                       \
    VIRTIO_COMMON_PROPERTIES(S, m.dev),                                                            \
    PROP_CHARDEV("chardev", S, m.chardev, "socket over which the backend is spoken to"),           \
    PROP_BOOTINDEX("bootindex", S, m.bootindex),                                                   \
    PROP_UINT16("num-queues", S, m.n_queues, QUEUES_AUTO, "65535: as many as CPUs"),               \
    PROP_UINT32("queue-size", S, m.queue_size, 128, "requests that a queue can hold"),             \
    PROP_BOOL("config-wce", S, m.config_wce, true, "the driver may switch the write cache"),       \
    PROP_BOOL("discard", S, m.discard, true, "the driver may discard"),                            \
    PROP_BOOL("write-zeroes", S, m.write_zeroes, true,                                             \
              "the driver may write zeroes without data")

VIRTIO_PCI_TYPES(vhost_user_blk, "vhost-user-blk", VhostUserBlk, BLK_PROPERTIES, blk_ops, 0x0100,
                 0x1001, VIRTIO_PCI_VECTORS_AUTO, DEVICE_CATEGORY_STORAGE,
                 "virtio disk whose queues another process runs");
VIRTIO_MMIO_TYPE(vhost_user_blk, "vhost-user-blk", VhostUserBlk, BLK_PROPERTIES, blk_ops,
                 DEVICE_CATEGORY_STORAGE, "virtio disk whose queues another process runs");
