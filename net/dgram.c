/* SPDX-License-Identifier: Apache-2.0 */
/* -netdev dgram: a wire over a datagram socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/backend.h"
#include "net/datagram.h"
#include "util/error.h"
#include "util/fd-store.h"

static bool inet_address(const InetSocketAddress *inet, const char *what, struct sockaddr_in *addr,
                         GError **error)
{
    g_autofree char *text = g_strdup_printf("%s:%s", inet->host, inet->port);

    return net_parse_ipv4(text, what, addr, error);
}

static bool unix_address(const UnixSocketAddress *from, struct sockaddr_un *addr, socklen_t *len,
                         GError **error)
{
    bool abstract = from->has_abstract && from->abstract;
    size_t size = strlen(from->path);

    *addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (size + abstract >= sizeof(addr->sun_path)) {
        error_setf(error, "the socket's path '%s' is too long", from->path);
        return false;
    }
    memcpy(addr->sun_path + abstract, from->path, size);
    *len = abstract && (!from->has_tight || from->tight)
               ? offsetof(struct sockaddr_un, sun_path) + 1 + size
               : sizeof(*addr);
    return true;
}

static NetClient *open_multicast(const char *name, const SocketAddress *local,
                                 const struct sockaddr_in *group, GError **error)
{
    struct sockaddr_storage to = { 0 };
    struct sockaddr_in own;
    NetClient *nc;
    int fd;

    if (local && local->type == SOCKET_ADDRESS_TYPE_FD) {
        fd = fd_store_parse(local->u.fd.str, error);
    } else if (local && local->type != SOCKET_ADDRESS_TYPE_INET) {
        error_setf(error, "a multicast group needs a local address of type inet or fd");
        return NULL;
    } else if (local && !inet_address(&local->u.inet, "local", &own, error)) {
        return NULL;
    } else {
        fd = net_multicast_socket(group, local ? &own.sin_addr : NULL, error);
    }
    if (fd < 0) {
        return NULL;
    }
    memcpy(&to, group, sizeof(*group));
    nc = net_datagram_new(NET_CLIENT_DRIVER_DGRAM, name, fd, &to, sizeof(*group));
    net_client_set_info(nc, "mcast=%s:%u", inet_ntoa(group->sin_addr), ntohs(group->sin_port));
    return nc;
}

static NetClient *open_inet(const char *name, const SocketAddress *local,
                            const struct sockaddr_in *remote, GError **error)
{
    struct sockaddr_storage to = { 0 };
    struct sockaddr_in own;
    g_autofree char *own_text = NULL;
    NetClient *nc;
    int fd;

    if (!inet_address(&local->u.inet, "local", &own, error)) {
        return NULL;
    }
    fd = net_bound_socket((struct sockaddr *)&own, sizeof(own), error);
    if (fd < 0) {
        return NULL;
    }
    memcpy(&to, remote, sizeof(*remote));
    nc = net_datagram_new(NET_CLIENT_DRIVER_DGRAM, name, fd, &to, sizeof(*remote));
    own_text = g_strdup(inet_ntoa(own.sin_addr));
    net_client_set_info(nc, "udp=%s:%u/%s:%u", own_text, ntohs(own.sin_port),
                        inet_ntoa(remote->sin_addr), ntohs(remote->sin_port));
    return nc;
}

/* One that an earlier program left; anything else stays, and binding fails. */
static void remove_old_socket(const char *path)
{
    struct stat st;

    if (path[0] && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
}

static NetClient *open_unix(const char *name, const UnixSocketAddress *local,
                            const UnixSocketAddress *remote, GError **error)
{
    struct sockaddr_storage to = { 0 };
    struct sockaddr_un own;
    socklen_t own_len, to_len;
    NetClient *nc;
    int fd;

    if (!unix_address(local, &own, &own_len, error) ||
        !unix_address(remote, (struct sockaddr_un *)&to, &to_len, error)) {
        return NULL;
    }
    remove_old_socket(own.sun_path);
    fd = net_bound_socket((struct sockaddr *)&own, own_len, error);
    if (fd < 0) {
        return NULL;
    }
    nc = net_datagram_new(NET_CLIENT_DRIVER_DGRAM, name, fd, &to, to_len);
    if (own.sun_path[0]) {
        net_datagram_set_path(nc, own.sun_path);
    }
    net_client_set_info(nc, "udp=%s:%s", local->path, remote->path);
    return nc;
}

static NetClient *open_fd(const char *name, const char *text, GError **error)
{
    int fd = fd_store_parse(text, error), type;
    socklen_t len = sizeof(type);
    NetClient *nc;

    if (fd < 0) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_DGRAM) {
        error_setf(error, "fd '%s' is not a datagram socket", text);
        close(fd);
        return NULL;
    }
    nc = net_datagram_new(NET_CLIENT_DRIVER_DGRAM, name, fd, NULL, 0);
    net_client_set_info(nc, "fd=%s", text);
    return nc;
}

static NetClient *dgram_open(const Netdev *netdev, bool default_net, GError **error)
{
    const SocketAddress *local = netdev->u.dgram.local, *remote = netdev->u.dgram.remote;
    struct sockaddr_in to;

    if (!remote) {
        if (local && local->type == SOCKET_ADDRESS_TYPE_FD) {
            return open_fd(netdev->id, local->u.fd.str, error);
        }
        error_setf(error, "dgram requires remote= parameter");
        return NULL;
    }
    if (remote->type == SOCKET_ADDRESS_TYPE_INET) {
        if (!inet_address(&remote->u.inet, "remote", &to, error)) {
            return NULL;
        }
        if (IN_MULTICAST(ntohl(to.sin_addr.s_addr))) {
            return open_multicast(netdev->id, local, &to, error);
        }
    }
    if (!local) {
        error_setf(error, "dgram requires local= parameter");
        return NULL;
    }
    if (local->type != remote->type || (remote->type != SOCKET_ADDRESS_TYPE_INET &&
                                        remote->type != SOCKET_ADDRESS_TYPE_UNIX)) {
        error_setf(error, "dgram needs two addresses of type inet, or two of type unix");
        return NULL;
    }
    return remote->type == SOCKET_ADDRESS_TYPE_INET
               ? open_inet(netdev->id, local, &to, error)
               : open_unix(netdev->id, &local->u.q_unix, &remote->u.q_unix, error);
}

const NetBackend net_backend_dgram = {
    .kind = NET_CLIENT_DRIVER_DGRAM,
    .description = "a wire over a datagram socket: UDP, UNIX, multicasts",
    .open = dgram_open,
};
