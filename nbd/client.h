/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of the handshake. The functions wait as channels do: in a coroutine by
 * yielding, elsewhere by blocking the thread. With TLS: main thread, VM lock held.
 */
#ifndef VIREO_NBD_CLIENT_H
#define VIREO_NBD_CLIENT_H

#include "crypto/tls-creds.h"
#include "io/channel.h"
#include "nbd/proto.h"

typedef struct NbdClientWish {
    const char *export;       /* its name; not NULL */
    TlsCreds *tls;            /* borrowed; NULL: without */
    const char *tls_hostname; /* whom the certificate must name, or NULL */
    const char *context;      /* metadata context for block status, or NULL */
    bool simple_replies;      /* do not ask for structured ones */
} NbdClientWish;

typedef struct NbdClientResult {
    Channel *channel;         /* the one to go on with (TLS or as given); owned */
    NbdExportInfo info;       /* owned */
    bool structured;
    bool has_context;         /* the wish's, and this is its number */
    uint32_t context_id;
} NbdClientResult;
void nbd_client_result_clear(NbdClientResult *result);

/* Up to the transmission phase. channel is borrowed. On failure the result is empty. */
bool nbd_client_connect(Channel *channel, const NbdClientWish *wish, NbdClientResult *result,
                        GError **error);

typedef struct NbdListed {
    NbdExportInfo info;
    GPtrArray *contexts;      /* char *, owned */
    bool structured;
} NbdListed;
/* All exports of a server, at most NBD_MAX_LISTED; NbdListed, owned. NULL with the error set. */
#define NBD_MAX_LISTED 10000
GPtrArray *nbd_client_list(Channel *channel, TlsCreds *tls, const char *tls_hostname,
                           GError **error);

#endif
