/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks on web and FTP servers, for reading: http, https, ftp, ftps. The module block-curl.
 *
 * The file is fetched in pieces by requests for ranges; a piece is what a request asked for and
 * `readahead` bytes more. The last few pieces are kept, as a cache. A request takes what it can
 * from the piece that has its first byte, waits there if the bytes are still to come, and goes on
 * with the next piece. Several pieces are fetched at the same time, each by a coroutine of its own,
 * which also tries again, from where the transfer broke.
 *
 * A server is a stranger: every answer must be the range that was asked for, of a file that is as
 * long as it was when the disk was opened.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/curl-transfer.h"
#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "crypto/secret.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define MAX_PIECES 8
/* FTP servers allow few connections, and each piece in transfer is one. */
#define MAX_PIECES_FTP 2
#define MAX_TRANSFER (2 * (int64_t)MiB)
#define DEFAULT_READAHEAD (256 * (int64_t)KiB)
#define MAX_READAHEAD (64 * (int64_t)MiB)
#define DEFAULT_TIMEOUT 5
#define MAX_TIMEOUT 10000
#define MAX_REDIRECTS 10L
/* A try that brings less than this counts as a failure; so many in a row are too many. */
#define SOME_PROGRESS (16 * KiB)
#define MAX_TRIES 3
#define RETRY_NS (200 * NS_PER_MS)

typedef struct CurlDisk CurlDisk;

/* A request that waits until a piece has so many bytes. */
typedef struct CurlReader {
    Coroutine *co;
    size_t need;
} CurlReader;

typedef struct CurlPiece {
    CurlDisk *disk;
    CurlTransfer transfer;
    int64_t start;
    size_t len, have;     /* len 0: nothing here */
    size_t asked_from;    /* what the transfer in progress was asked for starts here */
    uint8_t *data;
    bool running;
    int result;           /* of a transfer that has ended: 0 or -errno */
    unsigned users;       /* requests that look at it: it stays */
    uint64_t used;        /* when: the smallest is replaced */
    GQueue readers;       /* CurlReader, on their stacks */
} CurlPiece;

struct CurlDisk {
    BlockNode *node;
    char *url;
    bool is_http;
    bool has_login;       /* the URL alone does not open it */
    bool verify;
    size_t readahead;
    SecretData *password, *proxy_password, *cookie_secret;
    char *username, *proxy_username, *cookie;
    CurlHub hub;
    CurlPiece pieces[MAX_PIECES];
    unsigned n_pieces;
    uint64_t clock;
    GQueue waiters;       /* Coroutine: for a piece */
    bool draining;        /* atomic */
    int64_t reported_ns;
};

/* ---- Options ---- */

typedef struct CurlOptions {
    const BlockdevOptionsCurlBase *base;
    const char *cookie, *cookie_secret;
    bool verify;
} CurlOptions;

static CurlOptions options_of(const BlockdevOptions *options)
{
    const BlockdevOptionsCurlHttps *https = &options->u.https;
    const BlockdevOptionsCurlHttp *http = &options->u.http;
    const BlockdevOptionsCurlFtps *ftps = &options->u.ftps;

    switch (options->driver) {
    case BLOCKDEV_DRIVER_HTTP:
        return (CurlOptions) { (const BlockdevOptionsCurlBase *)http, http->cookie,
                               http->cookie_secret, true };
    case BLOCKDEV_DRIVER_HTTPS:
        return (CurlOptions) { (const BlockdevOptionsCurlBase *)https, https->cookie,
                               https->cookie_secret, !https->has_sslverify || https->sslverify };
    case BLOCKDEV_DRIVER_FTPS:
        return (CurlOptions) { (const BlockdevOptionsCurlBase *)ftps, NULL, NULL,
                               !ftps->has_sslverify || ftps->sslverify };
    default:
        return (CurlOptions) { (const BlockdevOptionsCurlBase *)&options->u.ftp, .verify = true };
    }
}

static bool check_url(BlockNode *node, const char *url, GError **error)
{
    g_autofree char *scheme = g_uri_parse_scheme(url);

    if (!scheme || g_ascii_strcasecmp(scheme, node->driver->name) != 0) {
        error_setf(error, "Driver '%s' cannot open the URL '%s': it does not begin with '%s://'",
                   node->driver->name, url, node->driver->name);
        return false;
    }
    return true;
}

static bool take_numbers(CurlDisk *disk, const BlockdevOptionsCurlBase *o, GError **error)
{
    int64_t readahead = o->has_readahead ? o->readahead : DEFAULT_READAHEAD;
    int64_t timeout = o->has_timeout ? o->timeout : DEFAULT_TIMEOUT;

    if (readahead < 0 || readahead > MAX_READAHEAD || readahead % BLOCK_SECTOR) {
        error_setf(error, "readahead must be a multiple of %d up to 64 MiB, not %" PRId64,
                   BLOCK_SECTOR, readahead);
        return false;
    }
    if (timeout < 0 || timeout > MAX_TIMEOUT) {
        error_setf(error, "timeout must be from 0 to %d seconds, not %" PRId64, MAX_TIMEOUT,
                   timeout);
        return false;
    }
    disk->readahead = (size_t)readahead;
    disk->hub.patience_ns = timeout * NS_PER_SEC;
    return true;
}

static bool take_secret(const char *id, SecretData **secret, GError **error)
{
    *secret = id ? secret_lookup_text(id, error) : NULL;
    return !id || *secret;
}

static bool take_options(CurlDisk *disk, const BlockdevOptions *options, GError **error)
{
    CurlOptions o = options_of(options);

    if (!check_url(disk->node, o.base->url, error) || !take_numbers(disk, o.base, error)) {
        return false;
    }
    if (o.cookie && o.cookie_secret) {
        error_setf(error, "Give either cookie or cookie-secret, not both");
        return false;
    }
    if (!take_secret(o.base->password_secret, &disk->password, error) ||
        !take_secret(o.base->proxy_password_secret, &disk->proxy_password, error) ||
        !take_secret(o.cookie_secret, &disk->cookie_secret, error)) {
        return false;
    }
    disk->is_http = options->driver == BLOCKDEV_DRIVER_HTTP ||
                    options->driver == BLOCKDEV_DRIVER_HTTPS;
    disk->n_pieces = disk->is_http ? MAX_PIECES : MAX_PIECES_FTP;
    disk->verify = o.verify;
    disk->url = g_strdup(o.base->url);
    disk->username = g_strdup(o.base->username);
    disk->proxy_username = g_strdup(o.base->proxy_username);
    disk->cookie = g_strdup(o.cookie);
    disk->has_login = !o.verify || o.base->username || o.base->password_secret ||
                      o.base->proxy_username || o.base->proxy_password_secret || o.cookie ||
                      o.cookie_secret;
    return true;
}

static const char *secret_text(const SecretData *secret)
{
    return secret ? (const char *)secret->data : NULL;
}

/* A redirection may go to TLS, never away from it. */
static void set_protocols(CurlDisk *disk, CURL *easy)
{
    const char *own = disk->node->driver->name;
    const char *allowed = !strcmp(own, "http") ? "http,https" : own;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, allowed);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, allowed);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
}

static bool set_up(CurlDisk *disk, CurlTransfer *transfer)
{
    CURL *easy;

    if (!curl_transfer_init(&disk->hub, transfer)) {
        return false;
    }
    easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, disk->url);
    set_protocols(disk, easy);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, disk->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, disk->verify ? 2L : 0L);
    /* An FTP server whose transfer was cut off may answer that late, to the next command. */
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, disk->is_http ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_USERNAME, disk->username);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, secret_text(disk->password));
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, disk->proxy_username);
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, secret_text(disk->proxy_password));
    curl_easy_setopt(easy, CURLOPT_COOKIE,
                     disk->cookie ? disk->cookie : secret_text(disk->cookie_secret));
    return true;
}

/* ---- Size ---- */

/* One byte, to see whether ranges work: answers tell the length of the whole file too. */
static bool probe_range(CurlDisk *disk, CurlTransfer *transfer, GError **error)
{
    const CurlReply *reply = &transfer->reply;

    transfer->take = NULL;
    curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_RANGE, "0-0");
    curl_transfer_run(transfer); /* the body is refused, so it always fails */
    if (curl_transfer_status(transfer) == 206 && reply->range_start == 0 && reply->total > 0) {
        disk->node->size = reply->total;
        return true;
    }
    if (curl_transfer_status(transfer) / 100 == 2) {
        error_setf(error, "The server cannot give parts of the file (it ignores byte ranges), so "
                   "it cannot be a disk; download it first");
    } else {
        error_setf(error, "%s", curl_transfer_why(transfer));
    }
    return false;
}

/* For FTP libcurl makes up a header and passes it on as a body too. */
static bool take_nothing(CurlTransfer *transfer, const char *data, size_t len)
{
    return true;
}

static bool head_is_refused(const CurlTransfer *transfer)
{
    long status = curl_transfer_status(transfer);

    return transfer->code == CURLE_HTTP_RETURNED_ERROR &&
           (status == 403 || status == 405 || status == 501);
}

static bool ask_size(CurlDisk *disk, CurlTransfer *transfer, GError **error)
{
    curl_off_t size = -1;
    CURLcode code;

    transfer->take = take_nothing;
    curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L);
    code = curl_transfer_run(transfer);
    if (code != CURLE_OK && !head_is_refused(transfer)) {
        error_setf(error, "%s", curl_transfer_why(transfer));
        return false;
    }
    if (code == CURLE_OK) {
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    }
    disk->node->size = size;
    if (disk->is_http && size != 0 && (size < 0 || !transfer->reply.accepts_ranges) &&
        !probe_range(disk, transfer, error)) {
        return false;
    }
    if (disk->node->size < 0 || disk->node->size > BLOCK_MAX_LENGTH) {
        error_setf(error, "The server does not tell the file's size");
        return false;
    }
    return true;
}

/* ---- Transfers of pieces ---- */

/* Written by the main thread. */
static bool is_draining(const CurlDisk *disk)
{
    return __atomic_load_n(&disk->draining, __ATOMIC_RELAXED);
}

static void wake_readers(CurlPiece *piece)
{
    GList *link = piece->readers.head;

    while (link) {
        GList *next = link->next;
        CurlReader *reader = link->data;

        if (!piece->running || piece->have >= reader->need) {
            g_queue_delete_link(&piece->readers, link);
            coroutine_wake(reader->co);
        }
        link = next;
    }
}

static const char *refusal_of(const CurlPiece *piece, const CurlTransfer *transfer)
{
    const CurlReply *reply = &transfer->reply;
    int64_t size = piece->disk->node->size;

    if (!piece->disk->is_http) {
        return NULL;
    }
    if (curl_transfer_status(transfer) != 206) {
        return "the server ignored the byte range and sent the whole file";
    }
    if (reply->range_start != piece->start + (int64_t)piece->asked_from ||
        reply->range_end != piece->start + (int64_t)piece->len - 1) {
        return "the server sent another byte range than was asked for";
    }
    return reply->total >= 0 && reply->total != size ? "the file's size has changed" : NULL;
}

static bool take_data(CurlTransfer *transfer, const char *data, size_t len)
{
    CurlPiece *piece = transfer->opaque;
    size_t n;

    if (piece->have == piece->asked_from && (transfer->refusal = refusal_of(piece, transfer))) {
        return false;
    }
    n = MIN(len, piece->len - piece->have);
    memcpy(piece->data + piece->have, data, n);
    piece->have += n;
    wake_readers(piece);
    return n == len; /* more than was asked for: the rest may stay where it is */
}

static bool may_try_again(const CurlTransfer *transfer)
{
    static const CURLcode passing[] = {
        CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE, CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM,
        CURLE_SSL_CONNECT_ERROR, CURLE_FTP_ACCEPT_TIMEOUT,
        CURLE_OK, /* and yet not all came */
    };
    static const long busy[] = { 408, 429, 500, 502, 503, 504 };

    for (size_t i = 0; i < G_N_ELEMENTS(passing); i++) {
        if (transfer->code == passing[i]) {
            return true;
        }
    }
    for (size_t i = 0; transfer->code == CURLE_HTTP_RETURNED_ERROR && i < G_N_ELEMENTS(busy); i++) {
        if (curl_transfer_status(transfer) == busy[i]) {
            return true;
        }
    }
    return false;
}

static void report(CurlPiece *piece)
{
    CurlDisk *disk = piece->disk;
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);

    if (!disk->reported_ns || now - disk->reported_ns >= NS_PER_SEC) {
        disk->reported_ns = now;
        error_report("%s: reading %zu bytes at offset %" PRId64 " failed: %s", disk->url,
                     piece->len, piece->start,
                     piece->transfer.code == CURLE_OK ? "the server ended the transfer early"
                                                      : curl_transfer_why(&piece->transfer));
    }
}

static int error_of(const CurlTransfer *transfer)
{
    return transfer->code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT
           : transfer->code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

/* 0, or -errno when all tries have failed. */
static int fetch(CurlPiece *piece)
{
    unsigned failures = 0;

    for (;;) {
        g_autofree char *range = NULL;

        piece->asked_from = piece->have;
        range = g_strdup_printf("%" PRId64 "-%" PRId64, piece->start + (int64_t)piece->have,
                                piece->start + (int64_t)piece->len - 1);
        curl_easy_setopt(piece->transfer.easy, CURLOPT_RANGE, range);
        curl_transfer_run(&piece->transfer);
        if (piece->have == piece->len) {
            return 0;
        }
        if (piece->transfer.code == CURLE_ABORTED_BY_CALLBACK && piece->users) {
            continue; /* wanted again, after all */
        }
        failures = piece->have - piece->asked_from >= SOME_PROGRESS ? 0 : failures + 1;
        if (!may_try_again(&piece->transfer) || failures >= MAX_TRIES || !piece->users) {
            break;
        }
        if (failures) {
            coroutine_sleep(VM_CLOCK_REALTIME, RETRY_NS << failures);
        }
    }
    if (piece->users) {
        report(piece);
    }
    return error_of(&piece->transfer);
}

static void offer_piece(CurlDisk *disk)
{
    Coroutine *next = g_queue_pop_head(&disk->waiters);

    if (next) {
        coroutine_wake(next);
    }
}

static void fetch_coroutine(void *opaque)
{
    CurlPiece *piece = opaque;
    BlockNode *node = piece->disk->node;

    piece->result = fetch(piece);
    piece->running = false;
    piece->len = piece->have;
    wake_readers(piece);
    if (!piece->users) {
        offer_piece(piece->disk);
    }
    block_dec_in_flight(node);
}

/* ---- Requests ---- */

static bool covers(const CurlPiece *piece, int64_t offset)
{
    return piece->start <= offset && offset - piece->start < (int64_t)piece->len;
}

static CurlPiece *find_piece(CurlDisk *disk, int64_t offset)
{
    for (unsigned i = 0; i < disk->n_pieces; i++) {
        if (covers(&disk->pieces[i], offset)) {
            return &disk->pieces[i];
        }
    }
    return NULL;
}

static CurlPiece *oldest_piece(CurlDisk *disk)
{
    CurlPiece *best = NULL;

    for (unsigned i = 0; i < disk->n_pieces; i++) {
        CurlPiece *piece = &disk->pieces[i];

        if (!piece->running && !piece->users && (!best || piece->used < best->used)) {
            best = piece;
        }
    }
    return best;
}

/* Fetch the range into this piece, which is in use; -ENOMEM. */
static int start_piece(CurlPiece *piece, int64_t offset, int64_t bytes)
{
    CurlDisk *disk = piece->disk;
    int64_t ahead = is_draining(disk) ? 0 : (int64_t)disk->readahead;
    size_t len = (size_t)MIN(bytes + ahead, disk->node->size - offset);

    g_free(piece->data);
    piece->len = piece->have = 0;
    piece->data = g_try_malloc(len);
    if (!piece->data || (!piece->transfer.easy && !set_up(disk, &piece->transfer))) {
        return -ENOMEM;
    }
    piece->transfer.take = take_data;
    piece->transfer.opaque = piece;
    piece->start = offset;
    piece->len = len;
    piece->running = true;
    block_inc_in_flight(disk->node);
    coroutine_start(fetch_coroutine, piece);
    return 0;
}

static void put_piece(CurlPiece *piece)
{
    CurlDisk *disk = piece->disk;

    piece->used = ++disk->clock;
    if (--piece->users) {
        return;
    }
    if (!piece->running) {
        offer_piece(disk);
    } else if (is_draining(disk)) {
        curl_transfer_abort(&piece->transfer);
    }
}

/* A piece with the byte at offset, in use; or -errno. */
static int get_piece(CurlDisk *disk, int64_t offset, int64_t bytes, CurlPiece **out)
{
    CurlPiece *piece;
    int ret;

    while (!(piece = find_piece(disk, offset)) && !(piece = oldest_piece(disk))) {
        g_queue_push_tail(&disk->waiters, coroutine_current());
        coroutine_yield();
    }
    piece->users++;
    if (!covers(piece, offset)) {
        ret = start_piece(piece, offset, bytes);
        if (ret < 0) {
            put_piece(piece);
            return ret;
        }
    }
    *out = piece;
    return 0;
}

/* Bytes from offset on, at least one; or -errno. */
static int64_t read_some(CurlDisk *disk, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset)
{
    CurlPiece *piece;
    int64_t ret = get_piece(disk, offset, bytes, &piece);
    size_t from, n;

    if (ret < 0) {
        return ret;
    }
    from = (size_t)(offset - piece->start);
    n = MIN((size_t)bytes, piece->len - from);
    if (piece->have < from + n) {
        CurlReader reader = { coroutine_current(), from + n };

        g_queue_push_tail(&piece->readers, &reader);
        coroutine_yield();
    }
    if (piece->have < from + n) {
        ret = piece->result;
    } else {
        iov_from_buf(vec->iov, vec->n, vec_offset, piece->data + from, n);
        ret = (int64_t)n;
    }
    put_piece(piece);
    return ret;
}

static int curl_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    while (bytes > 0) {
        int64_t n = read_some(node->opaque, offset, bytes, vec, vec_offset);

        if (n < 0) {
            return (int)n;
        }
        offset += n;
        vec_offset += (size_t)n;
        bytes -= n;
    }
    return 0;
}

/* ---- Drained sections and loops ---- */

static void abort_unused(void *opaque)
{
    CurlDisk *disk = opaque;

    for (unsigned i = 0; i < disk->n_pieces; i++) {
        if (disk->pieces[i].running && !disk->pieces[i].users) {
            curl_transfer_abort(&disk->pieces[i].transfer);
        }
    }
    block_dec_in_flight(disk->node);
}

/* Nobody waits for what is only read ahead; the rest ends with its requests. */
static void curl_drain_begin(BlockNode *node)
{
    CurlDisk *disk = node->opaque;

    __atomic_store_n(&disk->draining, true, __ATOMIC_RELAXED);
    block_inc_in_flight(node);
    loop_post(node->loop, abort_unused, disk);
}

static void curl_drain_end(BlockNode *node)
{
    CurlDisk *disk = node->opaque;

    __atomic_store_n(&disk->draining, false, __ATOMIC_RELAXED);
}

static void curl_attach_loop(BlockNode *node, Loop *loop)
{
    CurlDisk *disk = node->opaque;

    curl_hub_set_loop(&disk->hub, loop);
}

/* ---- Life ---- */

static void curl_close(BlockNode *node)
{
    CurlDisk *disk = node->opaque;

    for (unsigned i = 0; i < disk->n_pieces; i++) {
        g_free(disk->pieces[i].data);
        curl_transfer_cleanup(&disk->pieces[i].transfer);
    }
    curl_hub_cleanup(&disk->hub);
    secret_data_free(disk->password);
    secret_data_free(disk->proxy_password);
    secret_data_free(disk->cookie_secret);
    g_free(disk->url);
    g_free(disk->username);
    g_free(disk->proxy_username);
    g_free(disk->cookie);
}

static bool open_url(CurlDisk *disk, GError **error)
{
    CurlTransfer transfer = { 0 };
    bool ok;

    if (!curl_hub_init(&disk->hub, disk->node->loop) || !set_up(disk, &transfer)) {
        error_setf(error, "Not enough memory for libcurl");
        return false;
    }
    ok = ask_size(disk, &transfer, error);
    curl_transfer_cleanup(&transfer);
    return ok;
}

static bool curl_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    CurlDisk *disk = node->opaque;

    disk->node = node;
    for (unsigned i = 0; i < MAX_PIECES; i++) {
        disk->pieces[i].disk = disk;
    }
    if (!take_options(disk, options, error) || !open_url(disk, error)) {
        curl_close(node);
        return false;
    }
    return true;
}

static bool curl_parse_filename(const char *filename, json_object *options, GError **error)
{
    if (json_object_object_get_ex(options, "url", NULL)) {
        error_setf(error, "The file name '%s' and option 'url' name two files", filename);
        return false;
    }
    json_object_object_add(options, "url", json_object_new_string(filename));
    return true;
}

static bool curl_refresh_filename(BlockNode *node)
{
    CurlDisk *disk = node->opaque;

    if (disk->has_login) {
        return false;
    }
    g_free(node->filename);
    node->filename = g_strdup(disk->url);
    return true;
}

static void curl_refresh_limits(BlockNode *node)
{
    node->limits.max_transfer = MAX_TRANSFER;
}

static int64_t curl_allocated_size(BlockNode *node)
{
    return -ENOTSUP;
}

static const char *const curl_strong_options[] = {
    "sslverify", "cookie", "cookie-secret", "username", "password-secret", "proxy-username",
    "proxy-password-secret", NULL,
};

#define CURL_DRIVER(scheme, branch)                                                                \
    {                                                                                              \
        .name = scheme, .kind = branch, .protocol = scheme, .instance_size = sizeof(CurlDisk),     \
        .strong_options = curl_strong_options, .parse_filename = curl_parse_filename,              \
        .open = curl_open, .close = curl_close, .refresh_limits = curl_refresh_limits,             \
        .refresh_filename = curl_refresh_filename, .drain_begin = curl_drain_begin,                \
        .drain_end = curl_drain_end, .attach_loop = curl_attach_loop, .preadv = curl_preadv,       \
        .allocated_size = curl_allocated_size,                                                     \
    }

static const BlockDriver curl_drivers[] = {
    CURL_DRIVER("http", BLOCKDEV_DRIVER_HTTP),
    CURL_DRIVER("https", BLOCKDEV_DRIVER_HTTPS),
    CURL_DRIVER("ftp", BLOCKDEV_DRIVER_FTP),
    CURL_DRIVER("ftps", BLOCKDEV_DRIVER_FTPS),
};

static __attribute__((constructor)) void register_drivers(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < G_N_ELEMENTS(curl_drivers); i++) {
        block_driver_register(&curl_drivers[i]);
    }
}
