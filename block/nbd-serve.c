/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client of an NBD export in the transmission phase.
 *
 * A coroutine reads requests and starts one for each, up to limits of number and of memory: what a
 * client sends beyond them stays in its socket. Replies leave in the order in which the disk is
 * done. Large reads are read and sent piece by piece, so that a piece is still in the processor's
 * cache when it is sent, and a read needs no more memory than a piece.
 *
 * The socket is served on one loop, the one that the export's node lived on when the client came;
 * if the node has moved since, requests go there and come back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend-internal.h"
#include "block/nbd-export.h"
#include "nbd/stream.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/zero.h"

#define MAX_IN_FLIGHT 64
/*
 * Of the requests of all clients; each has the same part, and one request alone may have more.
 * Enough to keep a disk busy. Of what is had at once half of it, which is still in the processor's
 * cache when it is sent.
 */
#define MAX_MEMORY ((size_t)8 << 20)
#define MIN_MEMORY ((size_t)512 << 10)
/*
 * Writes to the page cache exclude one another, and go faster than data comes: all that is needed
 * is that the next ones are there.
 */
#define MAX_CACHED_WRITES ((size_t)2 << 20)
/*
 * While so much waits to be sent, data that is had at once (from the page cache) can wait too:
 * reading ahead would only keep the socket, and other clients, from being served. A disk that takes
 * its time gets its requests early.
 */
#define MAX_QUEUED ((size_t)512 << 10)
/* A structured read is sent in pieces of this size. */
#define PIECE ((size_t)512 << 10)
/* From this length on it is worth asking for holes before reading. */
#define ASK_STATUS_FROM ((size_t)1 << 20)
/* The same where the disk takes its time, and a hole would take its turn. */
#define ASK_SLOW_FROM ((size_t)32 << 10)
#define MAX_EXTENTS 4096
#define MEMORY_ALIGNMENT 4096
/* Free buffers are kept in sizes of powers of two from 4 KiB on. */
#define POOL_CLASSES 14
#define POOL_KEEP ((size_t)8 << 20)

typedef struct FreeBuffer {
    struct FreeBuffer *next;
} FreeBuffer;

struct NbdClient {
    unsigned refs;          /* atomic */
    NbdExport *export;
    NbdStream stream;
    Loop *loop;
    bool structured;
    bool through_cache;     /* the page cache takes writes */
    uint64_t contexts;
    unsigned in_flight;
    size_t memory;          /* of requests in flight */
    uint64_t replies;
    bool is_quick;          /* the last request was answered at once */
    Coroutine *reader;      /* waits for in_flight or memory to become less */
    FreeBuffer *pool[POOL_CLASSES];
    size_t pooled;
};

typedef struct Request {
    NbdClient *client;
    NbdRequest r;
    uint8_t *buffer;        /* of a write: its data */
    size_t memory;
    int invalid;            /* -errno: answer that, and do nothing else */
} Request;

/* ---- Memory ---- */

static unsigned class_of(size_t len)
{
    unsigned class = 0;

    while (((size_t)MEMORY_ALIGNMENT << class) < len) {
        class++;
    }
    return class;
}

/* NULL if there is none. */
static uint8_t *buffer_new(NbdClient *client, size_t len)
{
    unsigned class = class_of(len);
    FreeBuffer *buffer = client->pool[class];
    void *memory = NULL;

    if (buffer) {
        client->pool[class] = buffer->next;
        client->pooled -= (size_t)MEMORY_ALIGNMENT << class;
        return (uint8_t *)buffer;
    }
    return posix_memalign(&memory, MEMORY_ALIGNMENT, (size_t)MEMORY_ALIGNMENT << class) == 0
               ? memory : NULL;
}

static void buffer_free(NbdClient *client, uint8_t *memory, size_t len)
{
    unsigned class = class_of(len);
    FreeBuffer *buffer = (FreeBuffer *)memory;

    if (memory && client->pooled + ((size_t)MEMORY_ALIGNMENT << class) <= POOL_KEEP) {
        buffer->next = client->pool[class];
        client->pool[class] = buffer;
        client->pooled += (size_t)MEMORY_ALIGNMENT << class;
    } else {
        free(memory);
    }
}

static void pool_cleanup(NbdClient *client)
{
    for (unsigned i = 0; i < POOL_CLASSES; i++) {
        while (client->pool[i]) {
            FreeBuffer *next = client->pool[i]->next;

            free(client->pool[i]);
            client->pool[i] = next;
        }
    }
}

/* ---- The disk ---- */

/* To the loop of the backend, and back to that of the client. */
static BlockBackend *to_disk(Request *request)
{
    BlockBackend *blk = request->client->export->base.blk;

    coroutine_move(block_backend_loop(blk));
    return blk;
}

static int from_disk(Request *request, int ret)
{
    coroutine_move(request->client->loop);
    return ret;
}

static int disk_read(Request *request, uint64_t offset, void *buf, size_t len)
{
    return from_disk(request, block_backend_pread(to_disk(request), (int64_t)offset, (int64_t)len,
                                                  buf));
}

/* ---- Replies ---- */

static bool others_wait(const NbdClient *client)
{
    return client->in_flight > 1;
}

static int reply_simple(Request *request, int err, void *data, size_t len)
{
    uint8_t header[NBD_SIMPLE_REPLY_LEN];
    struct iovec iov[] = { { header, sizeof(header) }, { data, len } };

    request->client->replies++;
    nbd_encode_simple_reply(header, request->r.handle, nbd_error_from_errno(-err));
    return nbd_stream_writev(&request->client->stream, iov, len ? 2 : 1,
                             others_wait(request->client));
}

static int reply_chunk(Request *request, unsigned type, bool done, void *head, size_t head_len,
                       void *data, size_t len)
{
    uint8_t header[NBD_CHUNK_LEN];
    struct iovec iov[] = { { header, sizeof(header) }, { head, head_len }, { data, len } };

    request->client->replies++;
    nbd_encode_chunk(header, &(NbdReply){
        .handle = request->r.handle, .flags = done ? NBD_CHUNK_FLAG_DONE : 0,
        .type = (uint16_t)type, .len = (uint32_t)(head_len + len),
    });
    return nbd_stream_writev(&request->client->stream, iov, len ? 3 : 2,
                             others_wait(request->client));
}

static int reply_error_chunk(Request *request, int err)
{
    uint8_t head[6];
    const char *text = g_strerror(-err);

    stl_be(head, nbd_error_from_errno(-err));
    stw_be(head + 4, (uint16_t)strlen(text));
    return reply_chunk(request, NBD_CHUNK_ERROR, true, head, sizeof(head), (void *)text,
                       strlen(text));
}

static int reply_result(Request *request, int err)
{
    bool wants_chunks = request->r.type == NBD_CMD_READ ||
                        request->r.type == NBD_CMD_BLOCK_STATUS;

    if (!request->client->structured || !wants_chunks) {
        return reply_simple(request, err, NULL, 0);
    }
    return err < 0 ? reply_error_chunk(request, err)
                   : reply_chunk(request, NBD_CHUNK_NONE, true, NULL, 0, NULL, 0);
}

/* ---- Reading ---- */

static int reply_hole(Request *request, uint64_t offset, size_t len, bool done)
{
    uint8_t head[12];

    stq_be(head, offset);
    stl_be(head + 8, (uint32_t)len);
    return reply_chunk(request, NBD_CHUNK_OFFSET_HOLE, done, head, sizeof(head), NULL, 0);
}

static int reply_data(Request *request, uint64_t offset, void *data, size_t len, bool done)
{
    uint8_t head[8];

    stq_be(head, offset);
    return reply_chunk(request, NBD_CHUNK_OFFSET_DATA, done, head, sizeof(head), data, len);
}

/* How much from offset on is alike; *zero: all zeroes. Failing does no harm: then it is data. */
static size_t ask_for_hole(Request *request, uint64_t offset, size_t len, bool *zero)
{
    BlockBackend *blk = to_disk(request);
    BlockStatus status = { 0 };
    int ret;

    block_backend_enter(blk);
    ret = block_status_above(block_backend_node(blk), NULL, false, (int64_t)offset, (int64_t)len,
                             &status);
    block_backend_leave(blk);
    from_disk(request, 0);
    *zero = ret == 0 && status.bytes > 0 && (status.flags & BLOCK_STATUS_ZERO);
    return ret == 0 && status.bytes > 0 ? (size_t)status.bytes : len;
}

/* *sent: a failure of the disk has been reported, and with it the reply is complete. */
static int read_piece(Request *request, uint64_t offset, size_t len, bool last, uint8_t *buffer,
                      bool *sent)
{
    int ret = disk_read(request, offset, buffer, len);

    if (ret < 0) {
        *sent = true;
        return reply_error_chunk(request, ret);
    }
    return buffer_is_zero(buffer, len) ? reply_hole(request, offset, len, last)
                                       : reply_data(request, offset, buffer, len, last);
}

static int read_structured(Request *request)
{
    uint64_t offset = request->r.offset;
    size_t left = request->r.len, known = 0;
    size_t size = MIN(left, PIECE);
    uint8_t *buffer = buffer_new(request->client, size);
    bool failed = false;
    int ret = buffer ? 0 : reply_error_chunk(request, -ENOMEM);

    while (buffer && left && ret == 0 && !failed) {
        bool zero = false;
        size_t part;

        if (!known) {
            known = left >= (request->client->is_quick ? ASK_STATUS_FROM : ASK_SLOW_FROM)
                ? ask_for_hole(request, offset, left, &zero) : left;
        }
        part = zero ? known : MIN(known, PIECE);
        known -= part;
        left -= part;
        ret = zero ? reply_hole(request, offset, part, !left)
                   : read_piece(request, offset, part, !left, buffer, &failed);
        offset += part;
    }
    buffer_free(request->client, buffer, size);
    return ret;
}

/* In one piece: without structured replies, or asked not to fragment. */
static int read_whole(Request *request)
{
    size_t len = request->r.len;
    uint8_t *buffer = buffer_new(request->client, len);
    int ret = buffer ? disk_read(request, request->r.offset, buffer, len) : -ENOMEM;

    if (ret < 0) {
        ret = reply_result(request, ret);
    } else if (request->client->structured) {
        ret = reply_data(request, request->r.offset, buffer, len, true);
    } else {
        ret = reply_simple(request, 0, buffer, len);
    }
    buffer_free(request->client, buffer, len);
    return ret;
}

static int do_read(Request *request)
{
    if (!request->r.len) {
        return reply_result(request, 0);
    }
    return request->client->structured && !(request->r.flags & NBD_CMD_FLAG_DF)
               ? read_structured(request) : read_whole(request);
}

/* ---- Writing ---- */

static unsigned write_flags(const Request *request)
{
    return request->r.flags & NBD_CMD_FLAG_FUA ? BLOCK_REQ_FUA : 0;
}

static int do_write(Request *request)
{
    int ret = request->r.len
                  ? block_backend_pwrite(to_disk(request), (int64_t)request->r.offset,
                                         request->r.len, request->buffer, write_flags(request))
                  : 0;

    return reply_result(request, from_disk(request, ret));
}

static int do_flush(Request *request)
{
    return reply_result(request, from_disk(request, block_backend_flush(to_disk(request))));
}

/* Requests without data may be longer than the block layer's. */
static int in_parts(Request *request, int (*part)(BlockBackend *blk, int64_t offset, int64_t bytes,
                                                  unsigned flags), unsigned flags)
{
    int64_t offset = (int64_t)request->r.offset, left = request->r.len;
    int ret = 0;

    while (left > 0 && ret == 0) {
        int64_t bytes = MIN(left, (int64_t)GiB);

        ret = part(to_disk(request), offset, bytes, flags);
        offset += bytes;
        left -= bytes;
    }
    return ret;
}

static int discard_part(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret = block_backend_pdiscard(blk, offset, bytes);

    return ret == -ENOTSUP ? 0 : ret;
}

static int do_trim(Request *request)
{
    int ret = in_parts(request, discard_part, 0);

    if (ret == 0 && (request->r.flags & NBD_CMD_FLAG_FUA)) {
        ret = block_backend_flush(to_disk(request));
    }
    return reply_result(request, from_disk(request, ret));
}

static int do_zeroes(Request *request)
{
    unsigned flags = write_flags(request);
    int ret;

    if (!(request->r.flags & NBD_CMD_FLAG_NO_HOLE)) {
        flags |= BLOCK_REQ_MAY_UNMAP;
    }
    if (request->r.flags & NBD_CMD_FLAG_FAST_ZERO) {
        flags |= BLOCK_REQ_NO_FALLBACK;
    }
    ret = in_parts(request, block_backend_pwrite_zeroes, flags);
    return reply_result(request, from_disk(request, ret));
}

/* A hint, which the page cache below needs no help with. */
static int do_cache(Request *request)
{
    return reply_result(request, 0);
}

/* ---- Block status ---- */

static void add_extent(GByteArray *out, uint32_t len, uint32_t flags)
{
    uint8_t extent[NBD_EXTENT_LEN];
    uint8_t *last = out->len > 4 ? out->data + out->len - NBD_EXTENT_LEN : NULL;

    if (last && ldl_be(last + 4) == flags) {
        stl_be(last, ldl_be(last) + len);
        return;
    }
    stl_be(extent, len);
    stl_be(extent + 4, flags);
    g_byte_array_append(out, extent, sizeof(extent));
}

/* The context's number, and extents. 0 or -errno. */
static int collect_extents(Request *request, unsigned index, GByteArray *out)
{
    const NbdContext *context = &g_array_index(request->client->export->contexts, NbdContext,
                                               index);
    unsigned max = request->r.flags & NBD_CMD_FLAG_REQ_ONE ? 1 : MAX_EXTENTS;
    int64_t offset = (int64_t)request->r.offset, left = request->r.len;
    BlockBackend *blk = to_disk(request);
    uint8_t id[4];
    int ret = 0;

    stl_be(id, index);
    g_byte_array_append(out, id, sizeof(id));
    block_backend_enter(blk);
    while (left > 0 && out->len < 4 + max * NBD_EXTENT_LEN) {
        uint32_t flags;
        int64_t len;

        ret = context->status(context, block_backend_node(blk), offset, left, &flags, &len);
        if (ret < 0 || len <= 0) {
            break;
        }
        len = MIN(len, left);
        add_extent(out, (uint32_t)len, flags);
        offset += len;
        left -= len;
    }
    block_backend_leave(blk);
    from_disk(request, 0);
    return out->len > 4 ? 0 : ret < 0 ? ret : -EIO;
}

static int do_status(Request *request)
{
    uint64_t left = request->client->contexts;

    for (unsigned i = 0; left; i++) {
        g_autoptr(GByteArray) out = NULL;
        int ret;

        if (!(left >> i & 1)) {
            continue;
        }
        left &= ~BIT_ULL(i);
        out = g_byte_array_new();
        ret = collect_extents(request, i, out);
        if (ret < 0) {
            return reply_error_chunk(request, ret);
        }
        ret = reply_chunk(request, NBD_CHUNK_BLOCK_STATUS, !left, out->data, out->len, NULL, 0);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* ---- Requests ---- */

typedef struct Command {
    int (*run)(Request *request); /* -errno: the connection is lost */
    unsigned flags;               /* that it may have */
    bool writes, has_range;
} Command;

static const Command commands[NBD_CMD__MAX] = {
    [NBD_CMD_READ] = { do_read, NBD_CMD_FLAG_DF, false, true },
    [NBD_CMD_WRITE] = { do_write, 0, true, true },
    [NBD_CMD_FLUSH] = { do_flush },
    [NBD_CMD_TRIM] = { do_trim, 0, true, true },
    [NBD_CMD_CACHE] = { do_cache, 0, false, true },
    [NBD_CMD_WRITE_ZEROES] = { do_zeroes, NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO, true,
                               true },
    [NBD_CMD_BLOCK_STATUS] = { do_status, NBD_CMD_FLAG_REQ_ONE, false, true },
};

/* 0, or the -errno that the client gets. */
static int check_request(const NbdClient *client, const NbdRequest *r)
{
    const Command *command = r->type < NBD_CMD__MAX ? &commands[r->type] : NULL;
    unsigned allowed = command ? command->flags | NBD_CMD_FLAG_FUA : 0;

    if (!command || !command->run) {
        return -EINVAL;
    }
    if (client->export->base.shutting_down) {
        return -ESHUTDOWN;
    }
    if (command->writes && !client->export->base.writable) {
        return -EROFS;
    }
    if ((r->flags & ~allowed) || ((r->flags & NBD_CMD_FLAG_DF) && !client->structured)) {
        return -EINVAL;
    }
    if (command->has_range && !range_ok(r->offset, r->len, (uint64_t)client->export->size)) {
        return r->type == NBD_CMD_WRITE || r->type == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
    }
    if (r->type == NBD_CMD_READ && r->len > NBD_MAX_REQUEST) {
        return -EINVAL;
    }
    if (r->type == NBD_CMD_BLOCK_STATUS && (!client->contexts || !r->len)) {
        return -EINVAL;
    }
    return 0;
}

static size_t memory_of(const NbdClient *client, const NbdRequest *r)
{
    if (r->type == NBD_CMD_READ && client->structured && !(r->flags & NBD_CMD_FLAG_DF)) {
        return MIN(r->len, PIECE);
    }
    return r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE ? r->len : 0;
}

static void request_done(Request *request)
{
    NbdClient *client = request->client;

    buffer_free(client, request->buffer, request->r.len);
    client->in_flight--;
    client->memory -= request->memory;
    g_free(request);
    if (client->reader) {
        coroutine_wake(g_steal_pointer(&client->reader));
    }
}

static void request_run(void *opaque)
{
    Request *request = opaque;

    if (request->invalid < 0) {
        reply_result(request, request->invalid);
    } else {
        commands[request->r.type].run(request);
    }
    request_done(request);
}

static void wait_for_less(NbdClient *client)
{
    client->reader = coroutine_current();
    coroutine_yield();
}

static size_t memory_limit(const NbdClient *client, bool is_write)
{
    unsigned n = MAX(__atomic_load_n(&client->export->serving, __ATOMIC_RELAXED), 1);
    size_t limit = is_write && client->through_cache ? MAX_CACHED_WRITES
                   : client->is_quick ? MAX_MEMORY / 2 : MAX_MEMORY;

    return MAX(limit / n, MIN_MEMORY);
}

/* Of requests, for one more that needs so much memory? */
static bool has_enough(const NbdClient *client, size_t memory, bool is_write)
{
    return client->in_flight >= MAX_IN_FLIGHT ||
           (client->is_quick && client->stream.queued >= MAX_QUEUED) ||
           (client->memory && client->memory + memory > memory_limit(client, is_write));
}

/* A write's data, or what has to be skipped in its place. */
static int receive_data(NbdClient *client, Request *request)
{
    if (request->r.type != NBD_CMD_WRITE || !request->r.len) {
        return 0;
    }
    if (request->invalid == 0) {
        request->buffer = buffer_new(client, request->r.len);
        request->invalid = request->buffer ? 0 : -ENOMEM;
    }
    return request->buffer ? nbd_stream_read(&client->stream, request->buffer, request->r.len)
                           : nbd_stream_skip(&client->stream, request->r.len);
}

/* False: the client has left, or must. */
static bool next_request(NbdClient *client)
{
    uint8_t header[NBD_REQUEST_LEN];
    NbdRequest r;
    Request *request;
    uint64_t replies;
    size_t memory;
    int invalid;

    if (nbd_stream_read(&client->stream, header, sizeof(header)) < 0 ||
        !nbd_decode_request(header, &r) || r.type == NBD_CMD_DISC ||
        (r.type == NBD_CMD_WRITE && r.len > NBD_MAX_REQUEST)) {
        return false;
    }
    invalid = check_request(client, &r);
    memory = invalid < 0 ? 0 : memory_of(client, &r);
    while (has_enough(client, memory, r.type == NBD_CMD_WRITE)) {
        wait_for_less(client);
    }
    request = g_new0(Request, 1);
    request->client = client;
    request->r = r;
    request->memory = memory;
    request->invalid = invalid;
    client->memory += memory;
    client->in_flight++;
    if (receive_data(client, request) < 0) {
        request_done(request);
        return false;
    }
    replies = client->replies;
    coroutine_start(request_run, request);
    /* Of direct I/O only holes are had at once, and the data behind them is not. */
    client->is_quick = client->through_cache && client->replies != replies;
    return true;
}

/* ---- The client's life ---- */

static void client_unref(NbdClient *client)
{
    if (__atomic_fetch_sub(&client->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        g_free(client);
    }
}

static void break_stream(void *opaque)
{
    NbdClient *client = opaque;

    if (client->stream.channel) {
        nbd_stream_break(&client->stream, -ESHUTDOWN);
    }
    client_unref(client);
}

void nbd_client_send_away(NbdClient *client)
{
    __atomic_fetch_add(&client->refs, 1, __ATOMIC_RELAXED);
    loop_post(client->loop, break_stream, client);
}

void nbd_serve(NbdServerResult *chosen)
{
    NbdExport *export = chosen->export;
    NbdClient *client;

    if (export->base.shutting_down) {
        return;
    }
    client = g_new0(NbdClient, 1);
    client->refs = 1;
    client->export = export;
    client->loop = block_backend_loop(export->base.blk);
    client->structured = chosen->structured;
    client->through_cache = !block_backend_node(export->base.blk)->mode.cache_direct;
    client->contexts = chosen->contexts;
    nbd_stream_init(&client->stream, chosen->channel);
    g_ptr_array_add(export->clients, client);
    __atomic_fetch_add(&export->serving, 1, __ATOMIC_RELAXED);
    coroutine_move(client->loop);
    while (next_request(client)) {
    }
    while (client->in_flight) {
        wait_for_less(client);
    }
    nbd_stream_cleanup(&client->stream);
    pool_cleanup(client);
    coroutine_move(loop_main());
    g_ptr_array_remove(export->clients, client);
    __atomic_fetch_sub(&export->serving, 1, __ATOMIC_RELAXED);
    client_unref(client);
}
