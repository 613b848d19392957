/* SPDX-License-Identifier: Apache-2.0 */
/* Connected stream sockets as channels. UNIX ones pass descriptors. */
#ifndef VIREO_IO_CHANNEL_SOCKET_H
#define VIREO_IO_CHANNEL_SOCKET_H

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"

/* Takes fd, a connected socket, and makes it non-blocking. On error it stays the caller's. */
Channel *channel_socket_new(int fd, GError **error);
/* NULL unless it is a socket channel (the channel below TLS, say). */
bool channel_is_socket(const Channel *channel);
/* Borrowed. */
int channel_socket_fd(const Channel *channel);
/* Send small writes at once (TCP_NODELAY); nothing happens on other sockets. */
void channel_socket_set_nodelay(Channel *channel, bool on);
/* Both ends' addresses; the caller's. NULL with error set. */
SocketAddress *channel_socket_local_address(const Channel *channel, GError **error);
SocketAddress *channel_socket_remote_address(const Channel *channel, GError **error);

#endif
