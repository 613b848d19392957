/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel over memory: what is written is appended, and read from the front. An empty buffer
 * reads as the end of the stream. It never waits.
 */
#ifndef VIREO_IO_CHANNEL_BUFFER_H
#define VIREO_IO_CHANNEL_BUFFER_H

#include "io/channel.h"

Channel *channel_buffer_new(void);
/* What was written and not read yet; borrowed until the next call on the channel. */
const uint8_t *channel_buffer_data(Channel *channel, size_t *len);

#endif
