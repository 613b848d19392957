/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a migration goes: tcp:HOST:PORT, unix:PATH, vsock:CID:PORT, fd:NAME (getfd, or a number),
 * exec:COMMAND, file:PATH[,offset=N]. Main thread.
 */
#ifndef VIREO_MIGRATION_TRANSPORT_H
#define VIREO_MIGRATION_TRANSPORT_H

#include "io/channel.h"
#include "qapi/qapi-types-sockets.h"

typedef struct MigrationTransport MigrationTransport;

/* Exactly one of channel and error is given; both are the callee's. */
typedef void MigrationChannelFn(Channel *channel, GError *error, void *opaque);

/* A wrong URI is an error at once; what goes wrong later is told to fn, on the main loop. */
MigrationTransport *migration_connect(const char *uri, MigrationChannelFn *fn, void *opaque,
                                      GError **error);
/* One peer is taken; then nobody listens any more. */
MigrationTransport *migration_listen(const char *uri, MigrationChannelFn *fn, void *opaque,
                                     GError **error);
/* Where it listens; borrowed; NULL: at no socket. */
const GPtrArray *migration_transport_addresses(const MigrationTransport *transport);
/* fn is not called any more. NULL is ignored. */
void migration_transport_free(MigrationTransport *transport);
/* Do answers come back over it? */
bool migration_channel_is_two_way(const Channel *channel);

#endif
