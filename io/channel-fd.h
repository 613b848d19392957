/* SPDX-License-Identifier: Apache-2.0 */
/* What channels over one or two file descriptors share. For the channel-*.c files here. */
#ifndef VIREO_IO_CHANNEL_FD_H
#define VIREO_IO_CHANNEL_FD_H

#include "io/channel.h"

/* First member of the struct of such a channel. The two may be the same; -1: no such side. */
typedef struct ChannelFd {
    Channel channel;
    int read_fd;
    int write_fd;
} ChannelFd;

int channel_fd_set_blocking(Channel *channel, bool blocking);
void channel_fd_watch(Channel *channel, Loop *loop, unsigned sides);
void channel_fd_wait(Channel *channel, ChannelSide side);
int channel_fd_close(Channel *channel);
/* readv(2) and writev(2); descriptors cannot be passed. */
ssize_t channel_fd_readv(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                         size_t *n_fds);
ssize_t channel_fd_writev(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                          size_t n_fds);
void channel_fd_free(Channel *channel);

/* Set or clear O_NONBLOCK; 0 or -errno. */
int fd_set_blocking(int fd, bool blocking);

#endif
