/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NBD exports and their clients. nbd-export.c has the export, nbd-serve.c the transmission phase,
 * nbd-server.c the listening server.
 */
#ifndef VIREO_BLOCK_NBD_EXPORT_H
#define VIREO_BLOCK_NBD_EXPORT_H

#include "block/export.h"
#include "nbd/proto.h"
#include "nbd/server.h"

typedef struct NbdExport NbdExport;
typedef struct NbdContext NbdContext;
typedef struct NbdClient NbdClient;

/*
 * A metadata context: fill *flags for the extent that begins at offset, and its length (at least 1,
 * at most bytes). In a coroutine on the backend's loop, inside a request of the backend. 0 or
 * -errno.
 */
typedef int NbdContextFn(const NbdContext *context, BlockNode *node, int64_t offset, int64_t bytes,
                         uint32_t *flags, int64_t *len);
struct NbdContext {
    char *name;
    NbdContextFn *status;
    struct DirtyBitmap *bitmap; /* busy while it is exported; NULL: another kind */
    BlockNode *node;            /* the bitmap's; a reference */
};

struct NbdExport {
    BlockExport base;
    char *name, *description;
    int64_t size;
    GArray *contexts;      /* NbdContext: the index is its number on the wire */
    GPtrArray *clients;    /* NbdClient in the transmission phase; main thread */
    unsigned serving;      /* how many; atomic */
};

/* By its name, among those that are not going; borrowed. */
NbdExport *nbd_export_find(const char *name);
/* What haggling may ask; the opaque pointer is unused. */
extern const NbdServerOps nbd_export_server_ops;

/* ---- Transmission (nbd-serve.c) ---- */

/*
 * Serve a client that has chosen an export until it leaves, is sent away or breaks the rules. In a
 * coroutine, on the main loop.
 */
void nbd_serve(NbdServerResult *chosen);
/* Main thread: cut its connection. */
void nbd_client_send_away(NbdClient *client);

#endif
