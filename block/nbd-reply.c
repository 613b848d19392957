/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a server's replies. A server that says what makes no sense loses its connection (-EPROTO);
 * what it says about one request harms that one only.
 */
#include <errno.h>

#include "block/nbd-conn.h"
#include "util/bits.h"
#include "util/iov.h"

static NbdCall *find_call(NbdConn *conn, uint64_t handle)
{
    NbdCall *call = (handle & 0xff) < NBD_CONN_SLOTS ? conn->slots[handle & 0xff] : NULL;

    return call && call->request.handle == handle && !call->done ? call : NULL;
}

/* For who waits for this reply. */
static void complete(NbdCall *call)
{
    Coroutine *co = call->waiter;

    if (call->result == 0 && call->request.type == NBD_CMD_READ &&
        call->received != call->request.len) {
        call->result = -EIO;
    }
    if (call->result == 0 && call->request.type == NBD_CMD_BLOCK_STATUS && !call->extent_len) {
        call->result = -EIO;
    }
    call->done = true;
    call->waiter = NULL;
    if (co) {
        coroutine_wake(co);
    }
}

/* A server that shuts down is left: the request may go to its successor. */
static int fail(NbdCall *call, uint32_t error)
{
    int err = nbd_error_to_errno(error);

    if (call->result == 0) {
        call->result = err ? -err : -EIO;
    }
    return err == ESHUTDOWN ? -ESHUTDOWN : 0;
}

/* len bytes of the request's memory from `at` on, out of the stream. */
static int receive_data(NbdConn *conn, NbdCall *call, uint64_t at, uint32_t len)
{
    struct iovec small[16];
    unsigned n = call->vec->n;
    g_autofree struct iovec *allocated = n > G_N_ELEMENTS(small) ? g_new(struct iovec, n) : NULL;
    struct iovec *iov = allocated ? allocated : small;

    n = iov_slice(iov, n, call->vec->iov, n, call->vec_offset + at, len);
    call->received += len;
    return nbd_stream_readv(&conn->stream, iov, n);
}

static int take_simple(NbdConn *conn, NbdCall *call, uint32_t error)
{
    bool is_read = call->request.type == NBD_CMD_READ;
    int ret = 0;

    if (conn->structured && (is_read || call->request.type == NBD_CMD_BLOCK_STATUS)) {
        return -EPROTO;
    }
    if (error) {
        ret = fail(call, error);
    } else if (is_read) {
        ret = receive_data(conn, call, 0, call->request.len);
    }
    if (ret == 0) {
        complete(call);
    }
    return ret;
}

/* ---- Chunks ---- */

/* Does [offset, offset + len) lie in the read, and was not too much said already? */
static bool fits_read(const NbdCall *call, uint64_t offset, uint64_t len)
{
    return call->request.type == NBD_CMD_READ && len && offset >= call->request.offset &&
           range_ok(offset - call->request.offset, len, call->request.len) &&
           len <= call->request.len - call->received;
}

static int take_none(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    return chunk->len || !(chunk->flags & NBD_CHUNK_FLAG_DONE) ? -EPROTO : 0;
}

static int take_data(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    uint8_t head[8];
    int ret = chunk->len > sizeof(head) ? nbd_stream_read(&conn->stream, head, sizeof(head))
                                        : -EPROTO;

    if (ret < 0) {
        return ret;
    }
    if (!fits_read(call, ldq_be(head), chunk->len - sizeof(head))) {
        return -EPROTO;
    }
    return receive_data(conn, call, ldq_be(head) - call->request.offset,
                        chunk->len - (uint32_t)sizeof(head));
}

static int take_hole(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    uint8_t body[12];
    int ret = chunk->len == sizeof(body) ? nbd_stream_read(&conn->stream, body, sizeof(body))
                                         : -EPROTO;
    uint64_t offset;
    uint32_t len;

    if (ret < 0) {
        return ret;
    }
    offset = ldq_be(body);
    len = ldl_be(body + 8);
    if (!fits_read(call, offset, len)) {
        return -EPROTO;
    }
    iov_memset(call->vec->iov, call->vec->n, call->vec_offset + (offset - call->request.offset), 0,
               len);
    call->received += len;
    return 0;
}

static int take_status(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    uint8_t body[4 + NBD_EXTENT_LEN];
    int ret;

    if (call->request.type != NBD_CMD_BLOCK_STATUS || call->extent_len ||
        chunk->len < sizeof(body) || (chunk->len - 4) % NBD_EXTENT_LEN ||
        chunk->len > NBD_MAX_REQUEST) {
        return -EPROTO;
    }
    ret = nbd_stream_read(&conn->stream, body, sizeof(body));
    if (ret < 0) {
        return ret;
    }
    if (ldl_be(body) != conn->context_id || !ldl_be(body + 4)) {
        return -EPROTO;
    }
    call->extent_len = ldl_be(body + 4);
    call->extent_flags = ldl_be(body + 8);
    return nbd_stream_skip(&conn->stream, chunk->len - sizeof(body));
}

/* Error chunks of all types begin alike. */
static int take_error(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    uint8_t head[6];
    int ret = chunk->len >= sizeof(head) && chunk->len <= sizeof(head) + 8 + UINT16_MAX
                  ? nbd_stream_read(&conn->stream, head, sizeof(head)) : -EPROTO;

    if (ret < 0) {
        return ret;
    }
    if (ldw_be(head + 4) > chunk->len - sizeof(head)) {
        return -EPROTO;
    }
    ret = fail(call, ldl_be(head));
    return ret < 0 ? ret : nbd_stream_skip(&conn->stream, chunk->len - sizeof(head));
}

typedef int TakeChunkFn(NbdConn *conn, NbdCall *call, const NbdReply *chunk);

static int take_chunk(NbdConn *conn, NbdCall *call, const NbdReply *chunk)
{
    static TakeChunkFn *const takers[] = {
        [NBD_CHUNK_NONE] = take_none,
        [NBD_CHUNK_OFFSET_DATA] = take_data,
        [NBD_CHUNK_OFFSET_HOLE] = take_hole,
        [NBD_CHUNK_BLOCK_STATUS] = take_status,
    };
    TakeChunkFn *take = chunk->type & NBD_CHUNK_IS_ERROR ? take_error
                        : chunk->type < G_N_ELEMENTS(takers) ? takers[chunk->type] : NULL;
    int ret = take ? take(conn, call, chunk) : -EPROTO;

    if (ret == 0 && (chunk->flags & NBD_CHUNK_FLAG_DONE)) {
        complete(call);
    }
    return ret;
}

int nbd_conn_take_reply(NbdConn *conn)
{
    uint8_t head[NBD_CHUNK_LEN];
    NbdReply reply;
    NbdCall *call;
    int ret = nbd_stream_read(&conn->stream, head, NBD_SIMPLE_REPLY_LEN);

    if (ret < 0) {
        return ret;
    }
    if (!nbd_decode_reply(head, &reply)) {
        return -EPROTO;
    }
    call = find_call(conn, reply.handle);
    if (!call || (reply.structured && !conn->structured)) {
        return -EPROTO;
    }
    if (!reply.structured) {
        return take_simple(conn, call, reply.error);
    }
    ret = nbd_stream_read(&conn->stream, head + NBD_SIMPLE_REPLY_LEN,
                          NBD_CHUNK_LEN - NBD_SIMPLE_REPLY_LEN);
    reply.len = ldl_be(head + NBD_SIMPLE_REPLY_LEN);
    return ret < 0 ? ret : take_chunk(conn, call, &reply);
}
