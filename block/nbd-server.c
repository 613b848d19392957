/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening, and a client's way from its connection through the handshake to the export. QMP's
 * nbd-server-*.
 */
#include "block/nbd-server.h"

#include <string.h>

#include "block/nbd-export.h"
#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "qapi-commands-block-export.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/log.h"
#include "util/timer.h"

/* Who does not choose an export in this time must go. */
#define HANDSHAKE_NS (10 * NS_PER_SEC)
/* Of servers whose user has set no limit. */
#define MAX_CLIENTS 1000
#define BACKLOG 128

typedef struct Server {
    NetListener *listener;
    TlsCreds *creds;     /* a reference, or NULL */
    char *authz;
    uint32_t max_connections;
    void (*clients_changed)(void *opaque, unsigned clients);
    void *opaque;
    GPtrArray *shaking;  /* Channel: clients in the handshake */
    unsigned clients;    /* all */
    bool stopping;
} Server;

static Server *server; /* the process's NBD server, which one QMP command starts; main thread */

bool nbd_server_is_running(void)
{
    return server && !server->stopping;
}

uint32_t nbd_server_max_connections(void)
{
    return server ? server->max_connections : 0;
}

/* ---- Clients ---- */

static void client_waits(NetListener *listener, Channel *channel, void *opaque);

static void watch_listener(void)
{
    uint32_t max = server->max_connections ? server->max_connections : MAX_CLIENTS;
    bool room = server->clients < max && !server->stopping;

    net_listener_watch(server->listener, loop_main(), room ? client_waits : NULL, NULL);
}

static void clients_changed(int by)
{
    server->clients += (unsigned)by;
    watch_listener();
    if (server->clients_changed) {
        server->clients_changed(server->opaque, server->clients);
    }
}

static void time_is_up(void *opaque)
{
    channel_shutdown(opaque, CHANNEL_READ | CHANNEL_WRITE);
}

static bool shake_hands(Channel *channel, NbdServerResult *result)
{
    NbdServerSetup setup = {
        .ops = &nbd_export_server_ops, .tls = server->creds, .tls_authz = server->authz,
    };
    Timer *timer = timer_new(loop_main(), VM_CLOCK_REALTIME, time_is_up, channel);
    g_autoptr(GError) error = NULL;
    bool ok;

    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + HANDSHAKE_NS);
    ok = nbd_server_handshake(channel, &setup, result, &error);
    timer_free(timer);
    if (!ok) {
        log_guest_error("nbd: a client's handshake failed: %s\n", error->message);
    }
    return ok && result->export;
}

static void client_run(void *opaque)
{
    g_autoptr(Channel) channel = opaque;
    NbdServerResult chosen;
    bool ok;

    g_ptr_array_add(server->shaking, channel);
    ok = shake_hands(channel, &chosen);
    g_ptr_array_remove(server->shaking, channel);
    if (ok) {
        nbd_serve(&chosen);
        channel_unref(chosen.channel);
        block_export_unref(chosen.export);
    }
    clients_changed(-1);
}

void nbd_server_add_client(Channel *channel)
{
    if (channel_is_socket(channel)) {
        channel_socket_set_nodelay(channel, true);
    }
    clients_changed(1);
    coroutine_start(client_run, channel);
}

static void client_waits(NetListener *listener, Channel *channel, void *opaque)
{
    nbd_server_add_client(channel);
}

/* ---- Life ---- */

bool nbd_server_start(const NbdServerParams *params, GError **error)
{
    TlsCreds *creds = NULL;

    if (server) {
        error_setf(error, "NBD server already running");
        return false;
    }
    if (params->tls_creds) {
        creds = tls_creds_find(params->tls_creds, QCRYPTO_TLS_CREDS_ENDPOINT_SERVER, error);
        if (!creds) {
            return false;
        }
    } else if (params->tls_authz) {
        error_setf(error, "tls-authz is of no use without tls-creds");
        return false;
    }
    server = g_new0(Server, 1);
    server->listener = net_listener_new();
    server->creds = creds ? (TlsCreds *)object_ref((Object *)creds) : NULL;
    server->authz = g_strdup(params->tls_authz);
    server->max_connections = params->max_connections;
    server->clients_changed = params->clients_changed;
    server->opaque = params->opaque;
    server->shaking = g_ptr_array_new();
    return true;
}

bool nbd_server_listen(const SocketAddress *addr, GError **error)
{
    if (!net_listener_open(server->listener, addr, BACKLOG, error)) {
        return false;
    }
    watch_listener();
    return true;
}

void nbd_server_listen_fd(int fd)
{
    net_listener_add(server->listener, fd);
    watch_listener();
}

void nbd_server_stop(void)
{
    server->stopping = true;
    watch_listener();
    for (guint i = 0; i < server->shaking->len; i++) {
        channel_shutdown(g_ptr_array_index(server->shaking, i), CHANNEL_READ | CHANNEL_WRITE);
    }
    block_export_shut_down_all(BLOCK_EXPORT_TYPE_NBD);
    while (server->clients) {
        loop_iterate(loop_main(), true);
    }
    net_listener_free(server->listener);
    object_unref((Object *)server->creds);
    g_free(server->authz);
    g_ptr_array_unref(server->shaking);
    g_clear_pointer(&server, g_free);
}

/* ---- QMP ---- */

bool qmp_nbd_server_start(const SocketAddressLegacy *addr, const char *tls_creds,
                          const char *tls_authz, bool has_max_connections,
                          uint32_t max_connections, GError **error)
{
    g_autoptr(SocketAddress) flat = socket_address_flatten(addr);
    NbdServerParams params = {
        .tls_creds = tls_creds, .tls_authz = tls_authz,
        .max_connections = has_max_connections ? max_connections : 0,
    };

    if (!nbd_server_start(&params, error)) {
        return false;
    }
    if (!nbd_server_listen(flat, error)) {
        nbd_server_stop();
        return false;
    }
    return true;
}

bool qmp_nbd_server_add(const NbdServerAddOptions *arg, GError **error)
{
    g_autoptr(BlockExportOptions) options = g_new0(BlockExportOptions, 1);
    BlockBackend *blk = block_backend_find(arg->device);
    BlockNode *node = blk ? block_backend_node(blk) : block_node_find(arg->device);

    if (!node) {
        error_setf(error, "Cannot find device='%s' nor node-name='%s'", arg->device, arg->device);
        return false;
    }
    options->type = BLOCK_EXPORT_TYPE_NBD;
    options->id = g_strdup(arg->name ? arg->name : arg->device);
    options->node_name = g_strdup(node->name);
    options->has_writable = true;
    /* As ever: a disk that cannot be written is exported read-only, whatever was asked. */
    options->writable = arg->has_writable && arg->writable && !block_node_is_read_only(node);
    options->u.nbd.name = g_strdup(arg->name ? arg->name : arg->device);
    options->u.nbd.description = g_strdup(arg->description);
    if (arg->bitmap) {
        BlockDirtyBitmapOrStr *bitmap = g_new0(BlockDirtyBitmapOrStr, 1);

        bitmap->type = QAPI_JSON_STRING;
        bitmap->u.local = g_strdup(arg->bitmap);
        options->u.nbd.bitmaps = BlockDirtyBitmapOrStr_list_new();
        g_ptr_array_add(options->u.nbd.bitmaps, bitmap);
    }
    return block_export_add(options, error) != NULL;
}

bool qmp_nbd_server_remove(const char *name, bool has_mode, BlockExportRemoveMode mode,
                           GError **error)
{
    NbdExport *export = nbd_export_find(name);

    if (!export) {
        error_setf(error, "Export '%s' is not found", name);
        return false;
    }
    return qmp_block_export_del(export->base.id, has_mode, mode, error);
}

bool qmp_nbd_server_stop(GError **error)
{
    if (!nbd_server_is_running()) {
        error_setf(error, "NBD server not running");
        return false;
    }
    nbd_server_stop();
    return true;
}
