/* SPDX-License-Identifier: Apache-2.0 */
/* A channel to a child process: written to its standard input, read from its standard output. */
#ifndef VIREO_IO_CHANNEL_COMMAND_H
#define VIREO_IO_CHANNEL_COMMAND_H

#include <fcntl.h>

#include "io/channel.h"

/*
 * Run argv (NULL-terminated, searched on PATH). flags: O_RDONLY, O_WRONLY or O_RDWR say which of
 * the two ends we want; the other is /dev/null. Closing the channel closes the pipes, gives the
 * child a moment to end, then ends it, and waits for it.
 */
Channel *channel_command_new(const char *const *argv, int flags, GError **error);
bool channel_is_command(const Channel *channel);
/* After channel_close(): the child's status as waitpid(2) has it. */
int channel_command_status(const Channel *channel);
/*
 * Close the pipe to the child and let it end, however long that takes: for data that it still has
 * to put away. channel_shutdown() from another thread ends it.
 */
void channel_command_finish(Channel *channel);

#endif
