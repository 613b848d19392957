/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels to files, terminals and pipes. The process ignores SIGPIPE, so that writing to a pipe
 * nobody reads gives -EPIPE.
 */
#ifndef VIREO_IO_CHANNEL_FILE_H
#define VIREO_IO_CHANNEL_FILE_H

#include "io/channel.h"

/*
 * flags and mode as open(2) has them; close-on-exec is added. /dev/fdset/N is understood
 * (util/fd-store.h). NULL with error set.
 */
Channel *channel_file_open(const char *path, int flags, mode_t mode, GError **error);
/* Takes the descriptors, which may be the same or -1, as they are: their blocking mode is kept. */
Channel *channel_file_new(int read_fd, int write_fd);

#endif
