/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports of type vhost-user-blk: a socket, one VMM at a time, and behind it virtio/'s vhost-user
 * server with a disk as its device.
 *
 * A VMM is served on the loop that the node lived on when it came; if the node has moved since,
 * requests go there and come back. The socket and its end are the main loop's.
 */
#include <linux/virtio_blk.h>
#include <sys/socket.h>

#include "block/export.h"
#include "block/virtio-blk.h"
#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "virtio/vhost-user-server.h"

#define MAX_BLOCK_SIZE (2 * MiB)
/* What the configuration space promises of a request's segments. */
#define QUEUE_SIZE 128
/* Of one discard or write-zeroes request. */
#define MAX_RANGE_SECTORS 32768

typedef struct Export Export;

typedef struct Client {
    unsigned refs;          /* atomic */
    Export *export;         /* a reference, as long as it is served */
    Channel *channel;       /* borrowed */
    VhostUserServer server;
    bool serving;           /* on its loop */
} Client;

struct Export {
    BlockExport base;
    VirtioBlk disk;
    NetListener *listener;  /* NULL: it is going */
    Client *client;         /* or NULL; main thread */
};

/* ---- The device ---- */

static void request_run(void *opaque)
{
    VhostUserElement *element = opaque;
    VhostUserServer *server = element->queue->server;
    const VirtioBlk *disk = &((Client *)server->opaque)->export->disk;
    uint32_t written;

    coroutine_move(block_backend_loop(disk->blk));
    written = virtio_blk_request(disk, element->out, element->n_out, element->in, element->n_in);
    coroutine_move(server->loop);
    vhost_user_element_done(element, written);
}

static void process(void *opaque, VhostUserElement *element)
{
    coroutine_start(request_run, element);
}

/* A driver that never flushes must not need to. */
static void set_features(void *opaque, uint64_t features)
{
    BlockBackend *blk = ((Client *)opaque)->export->disk.blk;
    const uint64_t knows_caches = BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE);

    if (!(features & knows_caches)) {
        block_backend_set_write_cache(blk, false);
    }
}

static void get_config(void *opaque, uint8_t config[VHOST_USER_CONFIG_MAX])
{
    virtio_blk_config(&((Client *)opaque)->export->disk, config, VHOST_USER_CONFIG_MAX);
}

static bool set_config(void *opaque, uint32_t offset, const uint8_t *data, uint32_t len)
{
    return virtio_blk_set_config(&((Client *)opaque)->export->disk, offset, data, len);
}

static const VhostUserDeviceOps device_ops = {
    .process = process,
    .set_features = set_features,
    .get_config = get_config,
    .set_config = set_config,
};

/* ---- A client ---- */

static void client_unref(Client *client)
{
    if (__atomic_fetch_sub(&client->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        g_free(client);
    }
}

static void client_comes(NetListener *listener, Channel *channel, void *opaque);

static void watch(Export *export)
{
    if (export->listener) {
        net_listener_watch(export->listener, loop_main(), export->client ? NULL : client_comes,
                           export);
    }
}

static void serve(Client *client)
{
    Export *export = client->export;

    client->server.ops = &device_ops;
    client->server.opaque = client;
    client->server.device_features = virtio_blk_features(&export->disk);
    client->server.n_queues = export->disk.n_queues;
    vhost_user_server_init(&client->server, client->server.loop);
    client->serving = true;
    vhost_user_server_run(&client->server, channel_socket_fd(client->channel));
    client->serving = false;
    vhost_user_server_cleanup(&client->server);
}

static void client_run(void *opaque)
{
    Client *client = opaque;
    Export *export = client->export;

    coroutine_move(client->server.loop);
    serve(client);
    coroutine_move(loop_main());
    export->client = NULL;
    channel_unref(client->channel);
    client_unref(client);
    watch(export);
    block_export_unref(&export->base);
}

static void client_comes(NetListener *listener, Channel *channel, void *opaque)
{
    Export *export = opaque;
    Client *client = g_new0(Client, 1);

    client->refs = 1;
    client->export = export;
    client->channel = channel;
    client->server.loop = block_backend_loop(export->base.blk);
    export->client = client;
    block_export_ref(&export->base);
    watch(export);
    coroutine_start(client_run, client);
}

/* ---- Resizing ---- */

static void tell_client(void *opaque)
{
    Client *client = opaque;

    if (client->serving) {
        vhost_user_server_config_changed(&client->server);
    }
    client_unref(client);
}

static void resized(void *owner)
{
    Export *export = owner;
    BlockNode *node = block_backend_node(export->base.blk);

    if (node) {
        __atomic_store_n(&export->disk.size, node->size, __ATOMIC_RELAXED);
    }
    if (export->client) {
        __atomic_fetch_add(&export->client->refs, 1, __ATOMIC_RELAXED);
        loop_post(export->client->server.loop, tell_client, export->client);
    }
}

static const BlockBackendOps backend_ops = {
    .resized = resized,
};

/* ---- The kind ---- */

static bool check(const BlockExportOptionsVhostUserBlk *options, GError **error)
{
    uint64_t size = options->logical_block_size;

    if (options->addr->type != SOCKET_ADDRESS_TYPE_UNIX &&
        options->addr->type != SOCKET_ADDRESS_TYPE_FD) {
        error_setf(error, "vhost-user needs a socket address of type 'unix' or 'fd'");
    } else if (options->has_logical_block_size &&
               (size < BLOCK_SECTOR || size > MAX_BLOCK_SIZE || (size & (size - 1)))) {
        error_setf(error, "Invalid parameter 'logical-block-size': %" G_GUINT64_FORMAT
                   " is not a power of two from 512 to 2097152", size);
    } else if (options->has_num_queues &&
               (!options->num_queues || options->num_queues > VHOST_USER_MAX_QUEUES)) {
        error_setf(error, "num-queues must be from 1 to %d", VHOST_USER_MAX_QUEUES);
    } else {
        return true;
    }
    return false;
}

static bool export_start(BlockExport *base, const BlockExportOptions *all, GError **error)
{
    const BlockExportOptionsVhostUserBlk *options = &all->u.vhost_user_blk;
    Export *export = (Export *)base;

    if (!check(options, error)) {
        return false;
    }
    export->disk = (VirtioBlk) {
        .blk = base->blk,
        .size = block_backend_node(base->blk)->size,
        .block_size = options->has_logical_block_size ? (uint32_t)options->logical_block_size
                                                      : BLOCK_SECTOR,
        .writable = base->writable,
        .serial = "vhost_user_blk",
        .n_queues = options->has_num_queues ? options->num_queues : 1,
        .queue_size = QUEUE_SIZE,
        .size_max = 64 * KiB,
        .min_io = 1,
        .opt_io = 1,
        .max_discard = MAX_RANGE_SECTORS,
        .max_zeroes = MAX_RANGE_SECTORS,
        .config_wce = true,
    };
    export->listener = net_listener_new();
    if (!net_listener_open(export->listener, options->addr, 1, error) ||
        !block_backend_attach_owner(base->blk, &backend_ops, export, NULL, error)) {
        net_listener_free(export->listener);
        return false;
    }
    export->disk.discard_alignment = export->disk.block_size / BLOCK_SECTOR;
    watch(export);
    return true;
}

static void export_stop(BlockExport *base)
{
    Export *export = (Export *)base;

    g_clear_pointer(&export->listener, net_listener_free);
    if (export->client) {
        /* Its coroutine, on whatever thread, sees the end of the stream. */
        shutdown(channel_socket_fd(export->client->channel), SHUT_RDWR);
    }
}

static void export_cleanup(BlockExport *base)
{
    block_backend_detach_owner(base->blk);
}

const BlockExportKind vhost_user_blk_export_kind = {
    .type = BLOCK_EXPORT_TYPE_VHOST_USER_BLK,
    .instance_size = sizeof(Export),
    .start = export_start,
    .stop = export_stop,
    .cleanup = export_cleanup,
};
