/* SPDX-License-Identifier: Apache-2.0 */
/* Listening and accepting. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/channel-fd.h"
#include "io/channel-socket.h"
#include "io/socket-internal.h"
#include "io/trace.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/parse.h"

static void close_all(const int *fds, unsigned n)
{
    int err = errno;

    while (n > 0) {
        close(fds[--n]);
    }
    errno = err;
}

static in_port_t *port_field(struct sockaddr *sa)
{
    return sa->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)sa)->sin6_port
                                     : &((struct sockaddr_in *)sa)->sin_port;
}

static int listen_at(const InetSocketAddress *addr, const struct addrinfo *info, int backlog)
{
    int on = 1;
    int fd = socket_new_inet(addr, info);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6) {
        /* IPv4 has a socket of its own. */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, backlog) < 0) {
        close_all(&fd, 1);
        return -1;
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    getsockname(fd, (struct sockaddr *)&sa, &len);
    return ntohs(*port_field((struct sockaddr *)&sa));
}

/*
 * Listen at every resolved address, all with this port (0: one that the kernel chooses). A family
 * that this host lacks is left out as long as there is another. 0 with errno set if none is
 * possible or the port is taken.
 */
static unsigned listen_on_port(const InetSocketAddress *addr, struct addrinfo *list, uint16_t port,
                               int backlog, int *fds)
{
    unsigned n = 0;

    for (struct addrinfo *info = list; info && n < SOCKET_LISTEN_MAX; info = info->ai_next) {
        *port_field(info->ai_addr) = htons(port);
        fds[n] = listen_at(addr, info, backlog);
        if (fds[n] >= 0) {
            n++;
            port = bound_port(fds[0]);
        } else if (errno == EADDRINUSE) {
            close_all(fds, n);
            return 0;
        }
    }
    return n;
}

static unsigned listen_inet(const InetSocketAddress *addr, int backlog, int *fds, GError **error)
{
    struct addrinfo *list = socket_resolve(addr, true, error);
    unsigned port;
    unsigned last;
    unsigned n = 0;

    if (!list) {
        return 0;
    }
    port = ntohs(*port_field(list->ai_addr));
    last = addr->has_to ? addr->to : port;
    if (last < port) {
        error_setf(error, "'%s:%s': the last port, %u, is below the first", addr->host, addr->port,
                   last);
        freeaddrinfo(list);
        return 0;
    }
    for (; port <= last && n == 0; port++) {
        n = listen_on_port(addr, list, (uint16_t)port, backlog, fds);
        if (n == 0 && errno != EADDRINUSE) {
            break;
        }
    }
    if (n == 0) {
        error_set_errno(error, errno, "cannot listen at '%s:%s'", addr->host, addr->port);
    }
    freeaddrinfo(list);
    return n;
}

/* A socket file that an earlier process left behind would make bind() fail. */
static void remove_stale(const UnixSocketAddress *addr)
{
    struct stat st;

    if (!(addr->has_abstract && addr->abstract) && lstat(addr->path, &st) == 0 &&
        S_ISSOCK(st.st_mode)) {
        unlink(addr->path);
    }
}

static int listen_plain(int family, const struct sockaddr *sa, socklen_t len, int backlog,
                        const SocketAddress *addr, GError **error)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, sa, len) < 0 || listen(fd, backlog) < 0) {
        int err = errno;
        g_autofree char *text = socket_address_text(addr);

        error_set_errno(error, err, "cannot listen at '%s'", text);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int listen_fd(const String *name, int backlog, GError **error)
{
    int fd = fd_store_parse(name->str, error);

    if (fd >= 0 && listen(fd, backlog) < 0) {
        error_set_errno(error, errno, "cannot listen on descriptor '%s'", name->str);
        close(fd);
        fd = -1;
    }
    return fd;
}

static int listen_one(const SocketAddress *addr, int backlog, GError **error)
{
    struct sockaddr_storage sa;
    struct sockaddr_un un;
    socklen_t len;

    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        if (!socket_fill_unix(&addr->u.q_unix, &un, &len, error)) {
            return -1;
        }
        remove_stale(&addr->u.q_unix);
        return listen_plain(AF_UNIX, (struct sockaddr *)&un, len, backlog, addr, error);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return socket_fill_vsock(&addr->u.vsock, &sa, &len, error)
            ? listen_plain(AF_VSOCK, (struct sockaddr *)&sa, len, backlog, addr, error) : -1;
    default:
        return listen_fd(&addr->u.fd, backlog, error);
    }
}

unsigned socket_listen(const SocketAddress *addr, int backlog, int fds[SOCKET_LISTEN_MAX],
                       GError **error)
{
    unsigned n;

    if (addr->type == SOCKET_ADDRESS_TYPE_INET) {
        n = listen_inet(&addr->u.inet, backlog, fds, error);
    } else {
        fds[0] = listen_one(addr, backlog, error);
        n = fds[0] >= 0;
    }
    for (unsigned i = 0; i < n; i++) {
        fd_set_blocking(fds[i], false);
    }
    if (trace_is_on(&trace_point_socket_listen)) {
        g_autofree char *text = socket_address_text(addr);

        trace_socket_listen(text, n);
    }
    return n;
}

SocketFile socket_listen_file(int fd)
{
    g_autoptr(SocketAddress) addr = socket_local_address(fd, NULL);
    SocketFile file = { 0 };
    struct stat st;

    if (addr && addr->type == SOCKET_ADDRESS_TYPE_UNIX &&
        !(addr->u.q_unix.has_abstract && addr->u.q_unix.abstract) && *addr->u.q_unix.path &&
        lstat(addr->u.q_unix.path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        file.dev = st.st_dev;
        file.ino = st.st_ino;
    }
    return file;
}

void socket_listen_close(int fd, SocketFile file)
{
    SocketFile now = socket_listen_file(fd);

    if (file.ino && now.ino == file.ino && now.dev == file.dev) {
        g_autoptr(SocketAddress) addr = socket_local_address(fd, NULL);

        unlink(addr->u.q_unix.path);
    }
    close(fd);
}

Channel *socket_accept(int listener, GError **error)
{
    Channel *channel;
    int fd;

    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        if (errno != EAGAIN) {
            error_set_errno(error, errno, "cannot accept a connection");
        }
        return NULL;
    }
    trace_socket_accept(listener, fd);
    channel = channel_socket_new(fd, error);
    if (!channel) {
        close(fd);
    }
    return channel;
}
