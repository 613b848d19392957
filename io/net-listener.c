/* SPDX-License-Identifier: Apache-2.0 */
/* Listening at several sockets as if they were one. */
#include "io/net-listener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/error.h"

typedef struct ListenSocket {
    NetListener *listener;
    int fd;
    SocketFile file;
} ListenSocket;

struct NetListener {
    GPtrArray *sockets; /* of ListenSocket */
    Loop *loop;
    NetListenerFn *fn;
    void *opaque;
};

static void listen_socket_free(void *opaque)
{
    ListenSocket *socket = opaque;

    socket_listen_close(socket->fd, socket->file);
    g_free(socket);
}

NetListener *net_listener_new(void)
{
    NetListener *listener = g_new0(NetListener, 1);

    listener->sockets = g_ptr_array_new_with_free_func(listen_socket_free);
    return listener;
}

void net_listener_free(NetListener *listener)
{
    if (listener) {
        net_listener_watch(listener, NULL, NULL, NULL);
        g_ptr_array_unref(listener->sockets);
        g_free(listener);
    }
}

static void client_waits(void *opaque)
{
    ListenSocket *socket = opaque;
    NetListener *listener = socket->listener;
    g_autoptr(GError) error = NULL;
    Channel *channel = socket_accept(socket->fd, &error);

    if (channel) {
        listener->fn(listener, channel, listener->opaque);
    } else if (error) {
        /* Out of descriptors, say: the client stays in the queue, and this would repeat at once. */
        warn_report("%s; no more clients are accepted there", error->message);
        loop_set_fd(listener->loop, socket->fd, NULL, NULL, NULL);
    }
}

static void update_watch(const NetListener *listener, ListenSocket *socket)
{
    if (listener->loop) {
        loop_set_fd(listener->loop, socket->fd, listener->fn ? client_waits : NULL, NULL, socket);
    }
}

void net_listener_add(NetListener *listener, int fd)
{
    ListenSocket *socket = g_new0(ListenSocket, 1);

    socket->listener = listener;
    socket->fd = fd;
    socket->file = socket_listen_file(fd);
    g_ptr_array_add(listener->sockets, socket);
    update_watch(listener, socket);
}

bool net_listener_open(NetListener *listener, const SocketAddress *addr, int backlog,
                       GError **error)
{
    int fds[SOCKET_LISTEN_MAX];
    unsigned n = socket_listen(addr, backlog, fds, error);

    for (unsigned i = 0; i < n; i++) {
        net_listener_add(listener, fds[i]);
    }
    return n > 0;
}

void net_listener_watch(NetListener *listener, Loop *loop, NetListenerFn *fn, void *opaque)
{
    listener->fn = NULL;
    for (guint i = 0; i < listener->sockets->len; i++) {
        update_watch(listener, g_ptr_array_index(listener->sockets, i));
    }
    listener->loop = fn ? loop : NULL;
    listener->fn = fn;
    listener->opaque = opaque;
    for (guint i = 0; i < listener->sockets->len; i++) {
        update_watch(listener, g_ptr_array_index(listener->sockets, i));
    }
}

/* Readable when one of the signals that end a program came; -1 if they are not held back. */
static int open_signal_watch(void)
{
    static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t blocked, watched;

    sigemptyset(&watched);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (size_t i = 0; i < G_N_ELEMENTS(ending); i++) {
        if (sigismember(&blocked, ending[i])) {
            sigaddset(&watched, ending[i]);
        }
    }
    return sigisemptyset(&watched) ? -1 : signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* NULL without error if whoever came has left again. error is not NULL. */
static Channel *accept_one(const NetListener *listener, const struct pollfd *fds, GError **error)
{
    for (guint i = 0; i < listener->sockets->len; i++) {
        Channel *channel = fds[i].revents ? socket_accept(fds[i].fd, error) : NULL;

        if (channel || *error) {
            return channel;
        }
    }
    return NULL;
}

Channel *net_listener_wait(NetListener *listener, GError **error)
{
    guint n = listener->sockets->len;
    g_autofree struct pollfd *fds = g_new0(struct pollfd, n + 1);
    int signal_fd = open_signal_watch();
    GError *reason = NULL;
    Channel *channel = NULL;

    for (guint i = 0; i < n; i++) {
        const ListenSocket *socket = g_ptr_array_index(listener->sockets, i);

        fds[i] = (struct pollfd) { .fd = socket->fd, .events = POLLIN };
    }
    fds[n] = (struct pollfd) { .fd = signal_fd, .events = POLLIN };
    while (!channel && !reason) {
        if (poll(fds, n + 1, -1) < 0) {
            if (errno != EINTR) {
                error_set_errno(&reason, errno, "cannot wait for a client");
            }
        } else if (fds[n].revents) {
            error_setf(&reason, "interrupted while waiting for a client");
        } else {
            channel = accept_one(listener, fds, &reason);
        }
    }
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    if (reason) {
        g_propagate_error(error, reason);
    }
    return channel;
}

SocketAddress *net_listener_address(const NetListener *listener, GError **error)
{
    const ListenSocket *socket;

    if (listener->sockets->len == 0) {
        error_setf(error, "the server listens nowhere");
        return NULL;
    }
    socket = g_ptr_array_index(listener->sockets, 0);
    return socket_local_address(socket->fd, error);
}

unsigned net_listener_count(const NetListener *listener)
{
    return listener->sockets->len;
}
