/* SPDX-License-Identifier: Apache-2.0 */
/* What the socket-*.c files share. */
#ifndef VIREO_IO_SOCKET_INTERNAL_H
#define VIREO_IO_SOCKET_INTERNAL_H

#include <netdb.h>
#include <sys/un.h>

#include "io/socket.h"

/* getaddrinfo(3) for an inet address; passive: to listen at. Free with freeaddrinfo(). */
struct addrinfo *socket_resolve(const InetSocketAddress *addr, bool passive, GError **error);
/* Fill in a sockaddr_un; false with error set if the path does not fit. */
bool socket_fill_unix(const UnixSocketAddress *addr, struct sockaddr_un *un, socklen_t *len,
                      GError **error);
/* A sockaddr_vm, whose definition clashes with other headers. */
bool socket_fill_vsock(const VsockSocketAddress *addr, struct sockaddr_storage *sa, socklen_t *len,
                       GError **error);
/* A stream socket for one resolved address, close-on-exec and blocking; -1 with errno set. */
int socket_new_inet(const InetSocketAddress *addr, const struct addrinfo *info);

#endif
