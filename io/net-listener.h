/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's listening sockets, several if its name has several addresses, and who connects to
 * them.
 */
#ifndef VIREO_IO_NET_LISTENER_H
#define VIREO_IO_NET_LISTENER_H

#include "io/socket.h"

typedef struct NetListener NetListener;

/* channel is the callee's. */
typedef void NetListenerFn(NetListener *listener, Channel *channel, void *opaque);

NetListener *net_listener_new(void);
/* NULL is ignored; stops listening and removes socket files. Not from its own callback. */
void net_listener_free(NetListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetListener, net_listener_free)

/* Add what socket_listen() gives. */
bool net_listener_open(NetListener *listener, const SocketAddress *addr, int backlog,
                       GError **error);
/* Takes a listening descriptor. */
void net_listener_add(NetListener *listener, int fd);
/* Call fn on loop for each client from now on; NULL: let clients wait. On the loop's thread. */
void net_listener_watch(NetListener *listener, Loop *loop, NetListenerFn *fn, void *opaque);
/*
 * Block until a client comes. Fails if SIGINT, SIGTERM or SIGHUP comes where they are blocked; the
 * signal stays pending.
 */
Channel *net_listener_wait(NetListener *listener, GError **error);
/* Where the first socket listens (with the port that the kernel chose); the caller's. */
SocketAddress *net_listener_address(const NetListener *listener, GError **error);
unsigned net_listener_count(const NetListener *listener);

#endif
