/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of the handshake, as a table of questions to whoever has the exports. Main
 * thread, VM lock held; waits as channels do. How long a client may take is the caller's affair
 * (shut the channel down).
 */
#ifndef VIREO_NBD_SERVER_H
#define VIREO_NBD_SERVER_H

#include "crypto/tls-creds.h"
#include "io/channel.h"
#include "nbd/proto.h"

/* Metadata contexts of one export; more are not offered. */
#define NBD_MAX_CONTEXTS 64

typedef struct NbdServerOps {
    /*
     * The export of this name with a reference for the caller, or NULL. *info is the callee's to
     * fill, strings included.
     */
    void *(*find)(void *opaque, const char *name, NbdExportInfo *info);
    void (*unref)(void *export);
    /* The name of the i'th export, or NULL behind the last; the caller's. */
    char *(*name)(void *opaque, unsigned i);
    /* The i'th metadata context, whose number is i; NULL behind the last; the caller's. */
    char *(*context)(void *export, unsigned i);
} NbdServerOps;

typedef struct NbdServerSetup {
    const NbdServerOps *ops;
    void *opaque;
    TlsCreds *tls;          /* clients must use TLS; or NULL */
    const char *tls_authz;  /* id of an authorization object, or NULL */
} NbdServerSetup;

typedef struct NbdServerResult {
    Channel *channel;       /* the one to go on with; owned */
    void *export;           /* a reference; NULL: the client has left without choosing one */
    bool structured;
    uint64_t contexts;      /* a bit for each that the client chose */
} NbdServerResult;

/* channel is borrowed. False with the error set if the client broke the rules, or left rudely. */
bool nbd_server_handshake(Channel *channel, const NbdServerSetup *setup, NbdServerResult *result,
                          GError **error);

#endif
