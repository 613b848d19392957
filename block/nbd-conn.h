/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of an NBD node: requests in flight, reconnecting. For block/nbd*.c.
 *
 * Nothing runs while no request is in flight: whoever waits for a reply reads, for the others too,
 * and hands this over when it has its own. So a drained node has no coroutine and no watch, and may
 * move to another loop or close.
 *
 * Everything but nbd_conn_open() and nbd_conn_close() is called in coroutines on the node's loop.
 */
#ifndef VIREO_BLOCK_NBD_CONN_H
#define VIREO_BLOCK_NBD_CONN_H

#include "block/types.h"
#include "nbd/client.h"
#include "nbd/proto.h"
#include "nbd/stream.h"
#include "qapi-types-sockets.h"
#include "util/co-lock.h"

/* Requests in flight; more wait. */
#define NBD_CONN_SLOTS 64

typedef struct NbdCall NbdCall;

typedef struct NbdConn {
    /* Set before nbd_conn_open(). */
    SocketAddress *server;   /* owned */
    char *export;            /* owned */
    TlsCreds *creds;         /* a reference, or NULL */
    char *tls_hostname;      /* owned, or NULL */
    char *context;           /* owned, or NULL */
    int64_t reconnect_ns, open_ns;

    bool connected;
    NbdStream stream;
    NbdExportInfo info;      /* of the first connection */
    bool structured, has_context;
    uint32_t context_id;

    CoMutex connecting;
    int64_t lost_ns, failed_ns; /* when the connection broke; when an attempt failed; 0: never */
    NbdCall *slots[NBD_CONN_SLOTS];
    GQueue slot_waiters;     /* Coroutine */
    uint64_t counter;
    unsigned users;          /* calls that touch the stream */
    Coroutine *idle_waiter;  /* wants users to be 0 */
    bool reading;
} NbdConn;

/* A request; the caller's until nbd_conn_call() returns. */
struct NbdCall {
    NbdRequest request;      /* without handle */
    const BlockVec *vec;     /* reads and writes */
    size_t vec_offset;
    /* Block status: the first extent. */
    uint32_t extent_len, extent_flags;

    /* The rest is nbd-conn.c's. */
    bool done;
    int result;
    uint64_t received;       /* bytes of a read */
    Coroutine *waiter;
};

/* In a coroutine or not. */
bool nbd_conn_open(NbdConn *conn, GError **error);
/* Says goodbye and frees what the struct owns; nothing is in flight. */
void nbd_conn_close(NbdConn *conn);
/* 0 or -errno; connects again where needed. */
int nbd_conn_call(NbdConn *conn, NbdCall *call);

/*
 * Read and take one message of the server; -errno: the stream is of no use any more. In
 * nbd-reply.c.
 */
int nbd_conn_take_reply(NbdConn *conn);

#endif
