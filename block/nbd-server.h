/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NBD server of the process: where it listens, who may connect. It serves all nbd exports.
 * Main thread, VM lock held.
 */
#ifndef VIREO_BLOCK_NBD_SERVER_H
#define VIREO_BLOCK_NBD_SERVER_H

#include "io/channel.h"
#include "qapi-types-sockets.h"

typedef struct NbdServerParams {
    const char *tls_creds, *tls_authz; /* ids of objects, or NULL */
    uint32_t max_connections;          /* 0: no limit of the user's */
    /* A client has come or gone; now so many are there. May be NULL. */
    void (*clients_changed)(void *opaque, unsigned clients);
    void *opaque;
} NbdServerParams;

/* One at a time. It listens nowhere yet. */
bool nbd_server_start(const NbdServerParams *params, GError **error);
bool nbd_server_listen(const SocketAddress *addr, GError **error);
/* Takes a listening descriptor. */
void nbd_server_listen_fd(int fd);
/* Takes a connected channel: one more client. */
void nbd_server_add_client(Channel *channel);
/* Stops listening, sends all clients away, removes all nbd exports. Runs the loop. */
void nbd_server_stop(void);
bool nbd_server_is_running(void);
uint32_t nbd_server_max_connections(void);

#endif
