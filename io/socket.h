/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses (SocketAddress of the QAPI schema): text, name look-up, connecting, listening.
 *
 * inet: an empty host means every local address, and a port may be a name or a number. Without ipv4
 * and ipv6 both families are used; naming one as true excludes the other, unless that is true too.
 * unix: `abstract` names live outside the file system; tight ones are not padded with zeros.
 * fd: a number, or a name that the monitor was given.
 */
#ifndef VIREO_IO_SOCKET_H
#define VIREO_IO_SOCKET_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/socket.h>

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"
#include "util/loop.h"

/*
 * "HOST:PORT[,to=N][,ipv4=on][,ipv6=on][,numeric=on][,keep-alive=on][,mptcp=on]" (an IPv6 host in
 * brackets), "tcp:" before the same, "unix:PATH", "vsock:CID:PORT", "fd:NAME". NULL with error set.
 */
SocketAddress *socket_address_parse(const char *text, GError **error);
/* For people and for parsing again: "[::1]:80", "unix:/run/x". The caller's. */
char *socket_address_text(const SocketAddress *addr);
/* The older nested form of the schema in the newer one. The caller's. */
SocketAddress *socket_address_flatten(const SocketAddressLegacy *legacy);
SocketAddress *socket_address_from_sockaddr(const struct sockaddr_storage *sa, socklen_t len,
                                            GError **error);
/* getsockname(2) and getpeername(2). */
SocketAddress *socket_local_address(int fd, GError **error);
SocketAddress *socket_remote_address(int fd, GError **error);

/*
 * Connect. This blocks the thread for name look-ups and connections (a coroutine only waits).
 * The channel is non-blocking and the caller's.
 */
Channel *socket_connect(const SocketAddress *addr, GError **error);
/* The same for a plain descriptor, blocking and close-on-exec; -1 with error set. */
int socket_connect_fd(const SocketAddress *addr, GError **error);

/* Exactly one of channel and error is given; both are the callee's. */
typedef void SocketConnectFn(Channel *channel, GError *error, void *opaque);
typedef struct SocketConnect SocketConnect;
/* Connect in the background; fn is called on loop, and the handle is gone then. addr is copied. */
SocketConnect *socket_connect_start(const SocketAddress *addr, Loop *loop, SocketConnectFn *fn,
                                    void *opaque);
/* On the loop's thread, before fn was called: it will not be. */
void socket_connect_cancel(SocketConnect *connect);
/* On the loop's thread, before fn was called: wait for its end instead; fn will not be called. */
Channel *socket_connect_finish(SocketConnect *connect, GError **error);

/*
 * Listen: one non-blocking descriptor for each address that the name stands for, at most
 * SOCKET_LISTEN_MAX. Port 0 lets the kernel choose (the same one for all); `to` gives a range of
 * ports to try. A socket file that is in the way is replaced. Returns how many, or 0 with error
 * set.
 */
#define SOCKET_LISTEN_MAX 16
unsigned socket_listen(const SocketAddress *addr, int backlog, int fds[SOCKET_LISTEN_MAX],
                       GError **error);
/* Which file a socket's name is; ino 0: none. */
typedef struct SocketFile {
    dev_t dev;
    ino_t ino;
} SocketFile;
/* Of a listening descriptor that has just been made. */
SocketFile socket_listen_file(int fd);
/*
 * Close a listening descriptor and remove its socket file, unless another socket has taken its name
 * meanwhile.
 */
void socket_listen_close(int fd, SocketFile file);
/* NULL with error set, or without error if nobody is waiting to be accepted. */
Channel *socket_accept(int listen_fd, GError **error);

#endif
