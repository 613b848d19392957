/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses: see chardev/sockaddr.h. */
#include "chardev/sockaddr.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "qom/property.h"
#include "util/error.h"

/* UNIX domain. */

static bool unix_address(const CharSockAddr *addr, struct sockaddr_un *un, socklen_t *len,
                         GError **error)
{
    size_t name_len = strlen(addr->path);
    size_t room = sizeof(un->sun_path) - 1;

    if (!name_len || name_len > room) {
        error_setf(error, "socket path '%s' is %zu bytes long, and may be 1 to %zu", addr->path,
                   name_len, room);
        return false;
    }
    *un = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (addr->is_abstract) {
        memcpy(un->sun_path + 1, addr->path, name_len);
        *len = addr->tight ? offsetof(struct sockaddr_un, sun_path) + 1 + name_len : sizeof(*un);
    } else {
        memcpy(un->sun_path, addr->path, name_len);
        *len = sizeof(*un);
    }
    return true;
}

static int unix_listen(const CharSockAddr *addr, GError **error)
{
    struct sockaddr_un un;
    socklen_t len;
    int fd;

    if (!unix_address(addr, &un, &len, error)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a UNIX socket");
        return -1;
    }
    if (!addr->is_abstract && unlink(addr->path) < 0 && errno != ENOENT) {
        error_set_errno(error, errno, "cannot replace socket '%s'", addr->path);
        close(fd);
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&un, len) < 0 || listen(fd, 1) < 0) {
        error_set_errno(error, errno, "cannot listen on '%s'", addr->path);
        close(fd);
        return -1;
    }
    return fd;
}

static int unix_connect(const CharSockAddr *addr, GError **error)
{
    struct sockaddr_un un;
    socklen_t len;
    int fd;

    if (!unix_address(addr, &un, &len, error)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, len) < 0) {
        error_set_errno(error, errno, "cannot connect to '%s'", addr->path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* Internet. */

static int wanted_family(const CharSockAddr *addr)
{
    if (addr->ipv4 == PROP_ON) {
        return addr->ipv6 == PROP_ON ? AF_UNSPEC : AF_INET;
    }
    if (addr->ipv6 == PROP_ON) {
        return AF_INET6;
    }
    if (addr->ipv6 == PROP_OFF) {
        return AF_INET;
    }
    return addr->ipv4 == PROP_OFF ? AF_INET6 : AF_UNSPEC;
}

static struct addrinfo *resolve(const CharSockAddr *addr, const char *port, int type, bool passive,
                                GError **error)
{
    struct addrinfo hints = { .ai_family = wanted_family(addr), .ai_socktype = type,
                              .ai_flags = passive ? AI_PASSIVE : 0 };
    const char *host = addr->host && *addr->host ? addr->host : (passive ? NULL : "localhost");
    struct addrinfo *found = NULL;
    int ret;

    if (addr->ipv4 == PROP_OFF && addr->ipv6 == PROP_OFF) {
        error_setf(error, "ipv4=off and ipv6=off leave no address");
        return NULL;
    }
    ret = getaddrinfo(host, port, &hints, &found);
    if (ret) {
        error_setf(error, "address '%s:%s': %s", host ? host : "", port, gai_strerror(ret));
        return NULL;
    }
    return found;
}

static int listen_at(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 1) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

static void set_port(struct addrinfo *info, uint16_t port)
{
    if (info->ai_family == AF_INET) {
        ((struct sockaddr_in *)info->ai_addr)->sin_port = htons(port);
    } else if (info->ai_family == AF_INET6) {
        ((struct sockaddr_in6 *)info->ai_addr)->sin6_port = htons(port);
    }
}

static uint16_t get_port(const struct sockaddr *sa)
{
    return ntohs(sa->sa_family == AF_INET ? ((const struct sockaddr_in *)sa)->sin_port
                                          : ((const struct sockaddr_in6 *)sa)->sin6_port);
}

static int inet_listen(const CharSockAddr *addr, GError **error)
{
    struct addrinfo *found = resolve(addr, addr->port, SOCK_STREAM, true, error);
    uint32_t first, last;
    int fd = -EADDRNOTAVAIL;

    if (!found) {
        return -1;
    }
    first = get_port(found->ai_addr);
    last = MAX(first, addr->to);
    for (uint32_t port = first; port <= last && fd < 0; port++) {
        for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next) {
            set_port(info, port);
            fd = listen_at(info);
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        error_set_errno(error, -fd, "cannot listen on '%s:%s'", addr->host ? addr->host : "",
                        addr->port);
        return -1;
    }
    return fd;
}

static int inet_connect(const CharSockAddr *addr, GError **error)
{
    struct addrinfo *found = resolve(addr, addr->port, SOCK_STREAM, false, error);
    int fd = -1, err = EADDRNOTAVAIL;

    if (!found) {
        return -1;
    }
    for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);
        if (fd < 0) {
            err = errno;
        } else if (connect(fd, info->ai_addr, info->ai_addrlen) < 0) {
            err = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        error_set_errno(error, err, "cannot connect to '%s:%s'", addr->host ? addr->host : "",
                        addr->port);
    }
    return fd;
}

int char_sockaddr_listen(const CharSockAddr *addr, GError **error)
{
    return addr->path ? unix_listen(addr, error) : inet_listen(addr, error);
}

int char_sockaddr_connect(const CharSockAddr *addr, GError **error)
{
    return addr->path ? unix_connect(addr, error) : inet_connect(addr, error);
}

int char_sockaddr_datagram(const CharSockAddr *remote, const CharSockAddr *local, GError **error)
{
    struct addrinfo *peer = resolve(remote, remote->port, SOCK_DGRAM, false, error);
    CharSockAddr own = *local;
    struct addrinfo *here;
    int fd, on = 1;

    if (!peer) {
        return -1;
    }
    /* Both ends must be of one family. */
    own.ipv4 = peer->ai_family == AF_INET ? PROP_ON : PROP_OFF;
    own.ipv6 = peer->ai_family == AF_INET6 ? PROP_ON : PROP_OFF;
    here = resolve(&own, local->port ? local->port : "0", SOCK_DGRAM, true, error);
    if (!here) {
        freeaddrinfo(peer);
        return -1;
    }
    fd = socket(peer->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (fd < 0 || bind(fd, here->ai_addr, here->ai_addrlen) < 0 ||
        connect(fd, peer->ai_addr, peer->ai_addrlen) < 0) {
        error_set_errno(error, errno, "cannot open a datagram socket to '%s:%s'",
                        remote->host ? remote->host : "", remote->port);
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(here);
    freeaddrinfo(peer);
    return fd;
}

/* Names. */

static char *name_of(const struct sockaddr_storage *sa, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (sa->ss_family != AF_INET && sa->ss_family != AF_INET6) {
        return NULL;
    }
    if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV)) {
        return NULL;
    }
    return g_strdup_printf(sa->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

char *char_sockaddr_local_name(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    return getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ? NULL : name_of(&sa, len);
}

char *char_sockaddr_peer_name(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ? NULL : name_of(&sa, len);
}
