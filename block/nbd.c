/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk on an NBD server. The connection is block/nbd-conn.c's; here are options, names, and what
 * block requests are in NBD's words.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/driver.h"
#include "block/io.h"
#include "block/nbd-conn.h"
#include "block/node.h"
#include "util/bits.h"
#include "util/error.h"

/* Of servers that do not say how small a request may be. */
#define USUAL_BLOCK 512

/* ---- File names ---- */

static void add_text(json_object *to, const char *key, const char *value)
{
    json_object_object_add(to, key, json_object_new_string(value));
}

static void add_server(json_object *options, const char *type, const char *key, const char *value)
{
    json_object *server = json_object_new_object();

    add_text(server, "type", type);
    add_text(server, key, value);
    json_object_object_add(options, "server", server);
}

static void add_inet(json_object *options, const char *host, const char *port)
{
    json_object *server;

    add_server(options, "inet", "host", host);
    json_object_object_get_ex(options, "server", &server);
    add_text(server, "port", port);
}

/* "nbd:unix:PATH[:exportname=X]", "nbd:HOST:PORT[:exportname=X]". */
static bool parse_plain(const char *filename, json_object *options, GError **error)
{
    g_autofree char *rest = g_strdup(filename + strlen("nbd:"));
    char *export = strstr(rest, ":exportname="), *host, *colon;

    if (export) {
        *export = '\0';
        add_text(options, "export", export + strlen(":exportname="));
    }
    if (g_str_has_prefix(rest, "unix:")) {
        if (!rest[5]) {
            error_setf(error, "'%s' names no socket", filename);
            return false;
        }
        add_server(options, "unix", "path", rest + 5);
        return true;
    }
    colon = strrchr(rest, ':');
    if (!colon || colon == rest || !colon[1]) {
        error_setf(error, "'%s' is not \"nbd:HOST:PORT\" or \"nbd:unix:PATH\"", filename);
        return false;
    }
    *colon = '\0';
    host = rest;
    if (*host == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    add_inet(options, host, colon + 1);
    return true;
}

/* "nbd://HOST[:PORT]/[EXPORT]", "nbd+unix:///[EXPORT]?socket=PATH". */
static bool parse_uri(const char *filename, json_object *options, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(filename, G_URI_FLAGS_NONE, error);
    g_autoptr(GHashTable) query = NULL;
    g_autofree char *port = NULL;
    const char *path, *socket;

    if (!uri) {
        g_prefix_error(error, "'%s': ", filename);
        return false;
    }
    query = g_uri_parse_params(g_uri_get_query(uri) ? g_uri_get_query(uri) : "", -1, "&",
                               G_URI_PARAMS_NONE, error);
    if (!query) {
        return false;
    }
    path = g_uri_get_path(uri);
    path += *path == '/';
    if (*path) {
        add_text(options, "export", path);
    }
    socket = g_hash_table_lookup(query, "socket");
    if (!strcmp(g_uri_get_scheme(uri), "nbd+unix")) {
        if (!socket || g_hash_table_size(query) != 1 || g_uri_get_port(uri) != -1 ||
            (g_uri_get_host(uri) && *g_uri_get_host(uri))) {
            error_setf(error, "'%s' is not \"nbd+unix:///EXPORT?socket=PATH\"", filename);
            return false;
        }
        add_server(options, "unix", "path", socket);
        return true;
    }
    if (!g_uri_get_host(uri) || !*g_uri_get_host(uri) || g_hash_table_size(query)) {
        error_setf(error, "'%s' is not \"nbd://HOST[:PORT]/EXPORT\"", filename);
        return false;
    }
    port = g_strdup_printf("%d", g_uri_get_port(uri) == -1 ? NBD_DEFAULT_PORT
                                                           : g_uri_get_port(uri));
    add_inet(options, g_uri_get_host(uri), port);
    return true;
}

static bool nbd_parse_filename(const char *filename, json_object *options, GError **error)
{
    static const char *const schemes[] = { "nbd://", "nbd+tcp://", "nbd+unix://" };

    if (json_object_object_get_ex(options, "server", NULL)) {
        error_setf(error, "The file name '%s' and option 'server' name two servers", filename);
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (g_str_has_prefix(filename, schemes[i])) {
            return parse_uri(filename, options, error);
        }
    }
    if (!g_str_has_prefix(filename, "nbd:")) {
        error_setf(error, "'%s' is no file name of an NBD disk", filename);
        return false;
    }
    return parse_plain(filename, options, error);
}

static bool nbd_take_old_options(json_object *options, GError **error)
{
    return block_server_from_old_options(options, G_STRINGIFY(NBD_DEFAULT_PORT), true, error);
}

static bool nbd_refresh_filename(BlockNode *node)
{
    NbdConn *conn = node->opaque;
    const SocketAddress *server = conn->server;
    bool plain = !conn->creds && !strcmp(conn->context, NBD_CONTEXT_ALLOCATION);
    char *name = NULL;

    if (server->type == SOCKET_ADDRESS_TYPE_INET && !server->u.inet.has_ipv4 &&
        !server->u.inet.has_ipv6) {
        const char *host = server->u.inet.host;
        const char *format = strchr(host, ':') ? "nbd://[%s]:%s%s%s" : "nbd://%s:%s%s%s";

        name = g_strdup_printf(format, host, server->u.inet.port, *conn->export ? "/" : "",
                               conn->export);
    } else if (server->type == SOCKET_ADDRESS_TYPE_UNIX && !server->u.q_unix.abstract) {
        name = g_strdup_printf("nbd+unix:///%s?socket=%s", conn->export, server->u.q_unix.path);
    }
    if (!plain || !name) {
        g_free(name);
        return false;
    }
    g_free(node->filename);
    node->filename = name;
    return true;
}

/* ---- Life ---- */

static bool take_options(NbdConn *conn, const BlockdevOptionsNbd *options, GError **error)
{
    TlsCreds *creds = NULL;

    if (options->tls_creds) {
        creds = tls_creds_find(options->tls_creds, QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT, error);
        if (!creds) {
            return false;
        }
        conn->creds = (TlsCreds *)object_ref((Object *)creds);
    } else if (options->tls_hostname) {
        error_setf(error, "tls-hostname is of no use without tls-creds");
        return false;
    }
    conn->server = SocketAddress_clone(options->server);
    conn->export = g_strdup(options->export ? options->export : "");
    if (options->tls_hostname) {
        conn->tls_hostname = g_strdup(options->tls_hostname);
    } else if (creds && options->server->type == SOCKET_ADDRESS_TYPE_INET) {
        conn->tls_hostname = g_strdup(options->server->u.inet.host);
    }
    conn->context = g_strdup(options->x_dirty_bitmap ? options->x_dirty_bitmap
                                                     : NBD_CONTEXT_ALLOCATION);
    conn->reconnect_ns = options->has_reconnect_delay
                             ? (int64_t)options->reconnect_delay * NS_PER_SEC : 0;
    conn->open_ns = options->has_open_timeout ? (int64_t)options->open_timeout * NS_PER_SEC : 0;
    return true;
}

static bool check_export(BlockNode *node, const BlockdevOptionsNbd *options, GError **error)
{
    NbdConn *conn = node->opaque;

    if (options->x_dirty_bitmap && !conn->has_context) {
        error_setf(error, "The export has no metadata context '%s' (x-dirty-bitmap)",
                   conn->context);
        return false;
    }
    if (conn->info.size > BLOCK_MAX_LENGTH) {
        error_setf(error, "The export's size %" PRIu64 " is too large", conn->info.size);
        return false;
    }
    return !(conn->info.flags & NBD_FLAG_READ_ONLY) ||
           block_node_fall_to_read_only(node, "The NBD export is read-only", error);
}

static bool nbd_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    NbdConn *conn = node->opaque;
    const BlockdevOptionsNbd *o = &options->u.nbd;

    if (!take_options(conn, o, error)) {
        return false;
    }
    if (!nbd_conn_open(conn, error) || !check_export(node, o, error)) {
        nbd_conn_close(conn);
        return false;
    }
    node->size = (int64_t)conn->info.size;
    if (conn->info.flags & NBD_FLAG_SEND_FUA) {
        node->write_flags = BLOCK_REQ_FUA;
    }
    node->zero_flags = node->write_flags | BLOCK_REQ_MAY_UNMAP;
    if (conn->info.flags & NBD_FLAG_SEND_FAST_ZERO) {
        node->zero_flags |= BLOCK_REQ_NO_FALLBACK;
    }
    return true;
}

static void nbd_close(BlockNode *node)
{
    nbd_conn_close(node->opaque);
}

static void nbd_refresh_limits(BlockNode *node)
{
    const NbdExportInfo *info = &((NbdConn *)node->opaque)->info;
    uint32_t align = info->min_block ? info->min_block
                     : IS_ALIGNED(info->size, USUAL_BLOCK) ? USUAL_BLOCK : 1;
    int64_t max = info->max_block ? MIN(info->max_block, NBD_MAX_REQUEST) : NBD_MAX_REQUEST;

    max = ROUND_DOWN(max, align);
    node->limits.request_alignment = align;
    node->limits.max_transfer = max;
    node->limits.max_write_zeroes = max;
    node->limits.max_discard = ROUND_DOWN(INT32_MAX, (int64_t)align);
    if (info->opt_block > align) {
        node->limits.opt_transfer = info->opt_block;
    }
}

/* ---- Requests ---- */

static int simple_call(BlockNode *node, NbdCmd type, unsigned flags, int64_t offset, int64_t bytes)
{
    NbdCall call = {
        .request = { .type = (uint16_t)type, .flags = (uint16_t)flags,
                     .offset = (uint64_t)offset, .len = (uint32_t)bytes },
    };

    return nbd_conn_call(node->opaque, &call);
}

static int data_call(BlockNode *node, NbdCmd type, unsigned flags, int64_t offset, int64_t bytes,
                     const BlockVec *vec, size_t vec_offset)
{
    NbdCall call = {
        .request = { .type = (uint16_t)type, .flags = (uint16_t)flags,
                     .offset = (uint64_t)offset, .len = (uint32_t)bytes },
        .vec = vec, .vec_offset = vec_offset,
    };

    return nbd_conn_call(node->opaque, &call);
}

static bool server_can(BlockNode *node, unsigned flag)
{
    return ((NbdConn *)node->opaque)->info.flags & flag;
}

/* The size is a multiple of request_alignment: nothing reaches beyond it. */
static int nbd_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    return data_call(node, NBD_CMD_READ, 0, offset, bytes, vec, vec_offset);
}

static unsigned fua(unsigned flags)
{
    return flags & BLOCK_REQ_FUA ? NBD_CMD_FLAG_FUA : 0;
}

static int nbd_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    return data_call(node, NBD_CMD_WRITE, fua(flags), offset, bytes, vec, vec_offset);
}

static int nbd_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    unsigned cmd_flags = fua(flags);

    if (!server_can(node, NBD_FLAG_SEND_WRITE_ZEROES)) {
        return -ENOTSUP;
    }
    if (!(flags & BLOCK_REQ_MAY_UNMAP)) {
        cmd_flags |= NBD_CMD_FLAG_NO_HOLE;
    }
    if (flags & BLOCK_REQ_NO_FALLBACK) {
        cmd_flags |= NBD_CMD_FLAG_FAST_ZERO;
    }
    return simple_call(node, NBD_CMD_WRITE_ZEROES, cmd_flags, offset, bytes);
}

static int nbd_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return server_can(node, NBD_FLAG_SEND_TRIM) ? simple_call(node, NBD_CMD_TRIM, 0, offset, bytes)
                                                : 0;
}

static int nbd_flush(BlockNode *node)
{
    return server_can(node, NBD_FLAG_SEND_FLUSH) ? simple_call(node, NBD_CMD_FLUSH, 0, 0, 0) : 0;
}

/*
 * The low bits of any context are shown as if they were base:allocation's: for a dirty bitmap,
 * what is dirty has no data. Allocation depths above 2 count as 2.
 */
static unsigned state_of(NbdConn *conn, uint32_t flags)
{
    if (!strcmp(conn->context, NBD_CONTEXT_DEPTH)) {
        flags = MIN(flags, 2);
    }
    return (flags & NBD_STATE_HOLE ? 0 : BLOCK_STATUS_DATA) |
           (flags & NBD_STATE_ZERO ? BLOCK_STATUS_ZERO : 0) | BLOCK_STATUS_OFFSET_VALID |
           BLOCK_STATUS_ALLOCATED;
}

static int nbd_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    NbdConn *conn = node->opaque;
    int64_t align = node->limits.request_alignment;
    NbdCall call = {
        .request = { .type = NBD_CMD_BLOCK_STATUS, .flags = NBD_CMD_FLAG_REQ_ONE,
                     .offset = (uint64_t)offset,
                     .len = (uint32_t)MIN(bytes, ROUND_DOWN(INT32_MAX, align)) },
    };
    int ret;

    *status = (BlockStatus) {
        .flags = BLOCK_STATUS_DATA | BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_ALLOCATED,
        .bytes = bytes, .map = offset, .file = node,
    };
    if (!conn->has_context || !exact) {
        return 0;
    }
    ret = nbd_conn_call(conn, &call);
    if (ret < 0) {
        return ret;
    }
    status->bytes = ROUND_DOWN((int64_t)MIN(call.extent_len, call.request.len), align);
    if (status->bytes == 0) {
        status->bytes = align; /* parts of a block differ: it is data */
        return 0;
    }
    status->flags = state_of(conn, call.extent_flags);
    return 0;
}

static int nbd_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    if (truncate->exact ? truncate->size != node->size : truncate->size > node->size) {
        error_setf(error, "Cannot resize NBD nodes");
        return -ENOTSUP;
    }
    return 0;
}

static int64_t nbd_allocated_size(BlockNode *node)
{
    return -ENOTSUP;
}

static const char *const nbd_strong_options[] = {
    "server", "export", "tls-creds", "tls-hostname", "x-dirty-bitmap", NULL,
};

static const BlockDriver nbd_driver = {
    .name = "nbd",
    .kind = BLOCKDEV_DRIVER_NBD,
    .protocol = "nbd",
    .instance_size = sizeof(NbdConn),
    .strong_options = nbd_strong_options,
    .parse_filename = nbd_parse_filename,
    .take_old_options = nbd_take_old_options,
    .open = nbd_open,
    .close = nbd_close,
    .refresh_limits = nbd_refresh_limits,
    .refresh_filename = nbd_refresh_filename,
    .preadv = nbd_preadv,
    .pwritev = nbd_pwritev,
    .pwrite_zeroes = nbd_pwrite_zeroes,
    .pdiscard = nbd_pdiscard,
    .block_status = nbd_block_status,
    .flush_to_disk = nbd_flush,
    .truncate = nbd_truncate,
    .allocated_size = nbd_allocated_size,
};
BLOCK_DRIVER(nbd_driver);
