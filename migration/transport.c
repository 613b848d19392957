/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/channel-command.h"
#include "io/channel-file.h"
#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "io/socket.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/parse.h"

struct MigrationTransport {
    MigrationChannelFn *fn;
    void *opaque;
    SocketConnect *connect;
    NetListener *listener;
    GPtrArray *addresses; /* SocketAddress; of the listener */
    Channel *channel;     /* for fn */
    LoopBh *tell;
};

/* ---- Telling ---- */

static void tell(void *opaque)
{
    MigrationTransport *transport = opaque;

    g_clear_pointer(&transport->listener, net_listener_free);
    transport->fn(g_steal_pointer(&transport->channel), NULL, transport->opaque);
}

static void tell_soon(MigrationTransport *transport, Channel *channel)
{
    transport->channel = channel;
    loop_bh_schedule(transport->tell);
}

static void on_connect(Channel *channel, GError *error, void *opaque)
{
    MigrationTransport *transport = opaque;

    transport->connect = NULL;
    transport->fn(channel, error, transport->opaque);
}

static void on_client(NetListener *listener, Channel *channel, void *opaque)
{
    net_listener_watch(listener, loop_main(), NULL, NULL);
    tell_soon(opaque, channel);
}

/* ---- Opening ---- */

typedef bool OpenFn(MigrationTransport *transport, const char *rest, bool incoming, GError **error);

static SocketAddress *parse_address(const char *uri, GError **error)
{
    SocketAddress *addr = socket_address_parse(uri, error);

    if (addr && addr->type == SOCKET_ADDRESS_TYPE_FD) {
        error_setf(error, "'%s' is no address", uri);
        g_clear_pointer(&addr, SocketAddress_free);
    }
    return addr;
}

static bool listen_at(MigrationTransport *transport, const SocketAddress *addr, GError **error)
{
    SocketAddress *here;

    transport->listener = net_listener_new();
    if (!net_listener_open(transport->listener, addr, 1, error)) {
        return false;
    }
    here = net_listener_address(transport->listener, error);
    if (!here) {
        return false;
    }
    transport->addresses = g_ptr_array_new_with_free_func((GDestroyNotify)SocketAddress_free);
    g_ptr_array_add(transport->addresses, here);
    net_listener_watch(transport->listener, loop_main(), on_client, transport);
    return true;
}

static bool open_socket(MigrationTransport *transport, const char *uri, bool incoming,
                        GError **error)
{
    g_autoptr(SocketAddress) addr = parse_address(uri, error);

    if (!addr) {
        return false;
    }
    if (incoming) {
        return listen_at(transport, addr, error);
    }
    transport->connect = socket_connect_start(addr, loop_main(), on_connect, transport);
    return true;
}

static bool open_fd(MigrationTransport *transport, const char *uri, bool incoming, GError **error)
{
    int fd = fd_store_parse(uri + strlen("fd:"), error);
    Channel *channel;
    struct stat st;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
        channel = channel_socket_new(fd, error);
        if (!channel) {
            close(fd);
            return false;
        }
    } else {
        channel = channel_file_new(incoming ? fd : -1, incoming ? -1 : fd);
    }
    tell_soon(transport, channel);
    return true;
}

static bool open_command(MigrationTransport *transport, const char *uri, bool incoming,
                         GError **error)
{
    const char *argv[] = { "/bin/sh", "-c", uri + strlen("exec:"), NULL };
    Channel *channel = channel_command_new(argv, incoming ? O_RDONLY : O_WRONLY, error);

    if (channel) {
        tell_soon(transport, channel);
    }
    return channel;
}

/* PATH[,offset=N]; the part before the offset is whole, so a stream never cuts the file. */
static bool split_offset(const char *text, char **path, uint64_t *offset, GError **error)
{
    const char *comma = g_strrstr(text, ",offset=");

    *offset = 0;
    *path = comma ? g_strndup(text, (gsize)(comma - text)) : g_strdup(text);
    return !comma || parse_size(comma + strlen(",offset="), 1, offset, error);
}

static bool open_file(MigrationTransport *transport, const char *uri, bool incoming, GError **error)
{
    g_autofree char *path = NULL;
    uint64_t offset;
    int fd;

    if (!split_offset(uri + strlen("file:"), &path, &offset, error)) {
        return false;
    }
    fd = open(path, O_CLOEXEC | (incoming ? O_RDONLY : O_WRONLY | O_CREAT), 0600);
    if (fd < 0 || lseek(fd, (off_t)offset, SEEK_SET) < 0 ||
        (!incoming && ftruncate(fd, (off_t)offset) < 0 && errno != EINVAL)) {
        error_set_errno(error, errno, "Cannot open '%s' at offset %" G_GUINT64_FORMAT, path,
                        offset);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    tell_soon(transport, channel_file_new(incoming ? fd : -1, incoming ? -1 : fd));
    return true;
}

static const struct {
    const char *prefix;
    OpenFn *open;
} schemes[] = {
    { "tcp:", open_socket }, { "unix:", open_socket }, { "vsock:", open_socket },
    { "fd:", open_fd }, { "exec:", open_command }, { "file:", open_file },
};

static MigrationTransport *open_uri(const char *uri, bool incoming, MigrationChannelFn *fn,
                                    void *opaque, GError **error)
{
    MigrationTransport *transport;

    for (unsigned i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (!g_str_has_prefix(uri, schemes[i].prefix)) {
            continue;
        }
        transport = g_new0(MigrationTransport, 1);
        transport->fn = fn;
        transport->opaque = opaque;
        transport->tell = loop_bh_new(loop_main(), tell, transport);
        if (!schemes[i].open(transport, uri, incoming, error)) {
            migration_transport_free(transport);
            return NULL;
        }
        return transport;
    }
    error_setf(error, "Parameter 'uri' must begin with tcp:, unix:, vsock:, fd:, exec: or file:, "
               "unlike '%s'", uri);
    return NULL;
}

MigrationTransport *migration_connect(const char *uri, MigrationChannelFn *fn, void *opaque,
                                      GError **error)
{
    return open_uri(uri, false, fn, opaque, error);
}

MigrationTransport *migration_listen(const char *uri, MigrationChannelFn *fn, void *opaque,
                                     GError **error)
{
    return open_uri(uri, true, fn, opaque, error);
}

const GPtrArray *migration_transport_addresses(const MigrationTransport *transport)
{
    return transport->addresses;
}

void migration_transport_free(MigrationTransport *transport)
{
    if (!transport) {
        return;
    }
    if (transport->connect) {
        socket_connect_cancel(transport->connect);
    }
    net_listener_free(transport->listener);
    g_clear_pointer(&transport->addresses, g_ptr_array_unref);
    channel_unref(transport->channel);
    loop_bh_free(transport->tell);
    g_free(transport);
}

bool migration_channel_is_two_way(const Channel *channel)
{
    return channel_is_socket(channel);
}
