/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers by libcurl on an event loop: its multi interface tells which sockets to watch and when
 * to call again, so no thread is needed and any number of transfers run side by side. For
 * block/curl*.c, the module block-curl.
 *
 * One CurlHub belongs to one node. All functions but curl_hub_init(), _cleanup() and _set_loop(),
 * which are the main thread's while no transfer runs, are called on the hub's loop.
 */
#ifndef VIREO_BLOCK_CURL_TRANSFER_H
#define VIREO_BLOCK_CURL_TRANSFER_H

#include <curl/curl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/coroutine.h"
#include "util/loop.h"
#include "util/timer.h"

typedef struct CurlHub {
    CURLM *multi;
    Loop *loop;
    Timer *timer;
    int64_t patience_ns; /* a transfer that brings nothing for so long fails; 0: none does */
    GArray *sockets; /* int: those that are open */
} CurlHub;

/* What the last response's header says; -1: nothing. */
typedef struct CurlReply {
    bool accepts_ranges;
    int64_t range_start, range_end; /* of Content-Range: the first and the last byte */
    int64_t total;                  /* the length of the whole file, by Content-Range */
} CurlReply;

typedef struct CurlTransfer CurlTransfer;
struct CurlTransfer {
    CURL *easy;
    /*
     * Takes a part of the body; false ends the transfer, with the reason in refusal. NULL: a body
     * is not wanted, and ends it without one.
     */
    bool (*take)(CurlTransfer *transfer, const char *data, size_t len);
    void *opaque;
    CurlReply reply;
    const char *refusal; /* a static text; NULL: libcurl's own */

    /* The rest is curl-transfer.c's. */
    CurlHub *hub;
    Timer *stalled;
    Coroutine *waiter;
    CURLcode code;
    size_t header_bytes;
    char text[CURL_ERROR_SIZE];
};

bool curl_hub_init(CurlHub *hub, Loop *loop);
void curl_hub_cleanup(CurlHub *hub);
void curl_hub_set_loop(CurlHub *hub, Loop *loop);

/*
 * Gives it an easy handle; false: no memory. The handle's other options are the caller's affair,
 * and so is the order at the end: transfers first, then the hub.
 */
bool curl_transfer_init(CurlHub *hub, CurlTransfer *transfer);
void curl_transfer_cleanup(CurlTransfer *transfer);
/* In a coroutine: until the transfer has ended or was aborted (CURLE_ABORTED_BY_CALLBACK). */
CURLcode curl_transfer_run(CurlTransfer *transfer);
/* Whoever waits for it goes on soon. */
void curl_transfer_abort(CurlTransfer *transfer);
/* One line: why it failed. Borrowed. */
const char *curl_transfer_why(const CurlTransfer *transfer);
/* The status of the last response; 0: none. */
long curl_transfer_status(const CurlTransfer *transfer);

#endif
