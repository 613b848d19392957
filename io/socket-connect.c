/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting. Look-ups and connects block, so that in the background and in coroutines they are
 * done by the thread pool.
 */
#include <errno.h>
#include <unistd.h>

#include "io/channel-socket.h"
#include "io/socket-internal.h"
#include "io/trace.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/thread-pool.h"

/* Close fd, keep errno. */
static int close_failed(int fd)
{
    int err = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = err;
    return -1;
}

static int connect_restarting(int fd, const struct sockaddr *sa, socklen_t len)
{
    int result;

    do {
        result = connect(fd, sa, len);
    } while (result < 0 && errno == EINTR);
    return result;
}

static int connect_inet(const InetSocketAddress *addr, GError **error)
{
    struct addrinfo *list = socket_resolve(addr, false, error);
    int on = 1;
    int fd = -1;

    if (!list) {
        return -1;
    }
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
        fd = socket_new_inet(addr, info);
        if (fd >= 0 && connect_restarting(fd, info->ai_addr, info->ai_addrlen) < 0) {
            fd = close_failed(fd);
        }
    }
    if (fd < 0) {
        error_set_errno(error, errno, "cannot connect to '%s:%s'", addr->host, addr->port);
    } else if (addr->has_keep_alive && addr->keep_alive) {
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    freeaddrinfo(list);
    return fd;
}

static int connect_plain(int family, const struct sockaddr *sa, socklen_t len,
                         const SocketAddress *addr, GError **error)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect_restarting(fd, sa, len) < 0) {
        g_autofree char *text = NULL;

        fd = close_failed(fd);
        text = socket_address_text(addr);
        error_set_errno(error, errno, "cannot connect to '%s'", text);
    }
    return fd;
}

static int connect_by_type(const SocketAddress *addr, GError **error)
{
    struct sockaddr_storage sa;
    struct sockaddr_un un;
    socklen_t len;

    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return connect_inet(&addr->u.inet, error);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return socket_fill_unix(&addr->u.q_unix, &un, &len, error)
            ? connect_plain(AF_UNIX, (struct sockaddr *)&un, len, addr, error) : -1;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return socket_fill_vsock(&addr->u.vsock, &sa, &len, error)
            ? connect_plain(AF_VSOCK, (struct sockaddr *)&sa, len, addr, error) : -1;
    default:
        return fd_store_parse(addr->u.fd.str, error);
    }
}

int socket_connect_fd(const SocketAddress *addr, GError **error)
{
    bool traced = trace_is_on(&trace_point_socket_connect) ||
                  trace_is_on(&trace_point_socket_connected);
    g_autofree char *text = traced ? socket_address_text(addr) : NULL;
    GError *reason = NULL;
    int fd;

    trace_socket_connect(text);
    fd = connect_by_type(addr, &reason);
    trace_socket_connected(text, fd, reason ? reason->message : "");
    if (reason) {
        g_propagate_error(error, reason);
    }
    return fd;
}

static Channel *channel_for(int fd, GError **error)
{
    Channel *channel = fd < 0 ? NULL : channel_socket_new(fd, error);

    if (!channel && fd >= 0) {
        close(fd);
    }
    return channel;
}

struct SocketConnect {
    SocketAddress *addr;
    SocketConnectFn *fn;
    void *opaque;
    bool cancelled;
    GMutex lock;
    GCond ended;
    bool has_ended; /* under lock: fd and error are set */
    int fd;
    GError *error;
};

static int connect_work(void *opaque)
{
    SocketConnect *job = opaque;

    job->fd = socket_connect_fd(job->addr, &job->error);
    return 0;
}

static int background_work(void *opaque)
{
    SocketConnect *job = opaque;

    connect_work(job);
    g_mutex_lock(&job->lock);
    job->has_ended = true;
    g_cond_signal(&job->ended);
    g_mutex_unlock(&job->lock);
    return 0;
}

Channel *socket_connect_finish(SocketConnect *job, GError **error)
{
    Channel *channel;

    g_mutex_lock(&job->lock);
    while (!job->has_ended) {
        g_cond_wait(&job->ended, &job->lock);
    }
    g_mutex_unlock(&job->lock);
    channel = job->error ? NULL : channel_for(job->fd, &job->error);
    if (!channel) {
        g_propagate_error(error, g_steal_pointer(&job->error));
    }
    job->fd = -1;
    job->cancelled = true;
    return channel;
}

static void connect_done(int result, void *opaque)
{
    SocketConnect *job = opaque;
    Channel *channel = job->fd < 0 ? NULL : channel_for(job->fd, &job->error);

    if (job->cancelled) {
        channel_unref(channel);
        g_clear_error(&job->error);
    } else {
        job->fn(channel, g_steal_pointer(&job->error), job->opaque);
    }
    SocketAddress_free(job->addr);
    g_mutex_clear(&job->lock);
    g_cond_clear(&job->ended);
    g_free(job);
}

SocketConnect *socket_connect_start(const SocketAddress *addr, Loop *loop, SocketConnectFn *fn,
                                    void *opaque)
{
    SocketConnect *job = g_new0(SocketConnect, 1);

    job->addr = SocketAddress_clone(addr);
    job->fn = fn;
    job->opaque = opaque;
    g_mutex_init(&job->lock);
    g_cond_init(&job->ended);
    thread_pool_submit(loop, background_work, connect_done, job);
    return job;
}

void socket_connect_cancel(SocketConnect *job)
{
    job->cancelled = true;
}

Channel *socket_connect(const SocketAddress *addr, GError **error)
{
    SocketConnect job = { .addr = (SocketAddress *)addr };

    if (coroutine_current()) {
        thread_pool_run(connect_work, &job);
    } else {
        connect_work(&job);
    }
    if (job.error) {
        g_propagate_error(error, job.error);
        return NULL;
    }
    return channel_for(job.fd, error);
}
