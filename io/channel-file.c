/* SPDX-License-Identifier: Apache-2.0 */
/* Files as channels. */
#include "io/channel-file.h"

#include <errno.h>
#include <fcntl.h>

#include "io/channel-fd.h"
#include "util/error.h"
#include "util/fd-store.h"

static const ChannelOps file_ops = {
    .kind = "file",
    .readv = channel_fd_readv,
    .writev = channel_fd_writev,
    .set_blocking = channel_fd_set_blocking,
    .close = channel_fd_close,
    .watch = channel_fd_watch,
    .wait = channel_fd_wait,
    .free = channel_fd_free,
};

Channel *channel_file_new(int read_fd, int write_fd)
{
    ChannelFd *self = g_new0(ChannelFd, 1);

    channel_init(&self->channel, &file_ops);
    self->read_fd = read_fd;
    self->write_fd = write_fd;
    return &self->channel;
}

Channel *channel_file_open(const char *path, int flags, mode_t mode, GError **error)
{
    int access = flags & O_ACCMODE;
    int fd;

    if (fdset_is_path(path)) {
        fd = fdset_open(path, flags, error);
    } else {
        fd = open(path, flags | O_CLOEXEC, mode);
        if (fd < 0) {
            error_set_errno(error, errno, "cannot open '%s'", path);
        }
    }
    if (fd < 0) {
        return NULL;
    }
    return channel_file_new(access == O_WRONLY ? -1 : fd, access == O_RDONLY ? -1 : fd);
}
