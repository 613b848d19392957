/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, connecting again, and bringing requests and replies together.
 *
 * When a connection breaks, the requests in flight go out again on the next one: a request that was
 * carried out twice does no harm. They wait for it for reconnect-delay seconds, then they and all
 * later ones fail, until an attempt, at most one a second, succeeds.
 */
#include "block/nbd-conn.h"

#include <errno.h>

#include "io/channel-socket.h"
#include "io/socket.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/timer.h"

/* A server that accepts a connection must finish the handshake in this time. */
#define HANDSHAKE_NS (30 * NS_PER_SEC)
/* What requests rely on. */
#define NEEDED_FLAGS                                                                               \
    (NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |   \
     NBD_FLAG_SEND_FAST_ZERO)
#define RETRY_MIN_NS (50 * NS_PER_MS)
#define RETRY_MAX_NS NS_PER_SEC

/* ---- One attempt ---- */

typedef struct Attempt {
    Coroutine *co;
    SocketConnect *job; /* NULL: over */
    Channel *channel;
    GError *error;
} Attempt;

static void attempt_ended(Channel *channel, GError *error, void *opaque)
{
    Attempt *attempt = opaque;

    attempt->job = NULL;
    attempt->channel = channel;
    attempt->error = error;
    coroutine_wake(attempt->co);
}

static void attempt_timed_out(void *opaque)
{
    Attempt *attempt = opaque;

    if (attempt->job) {
        socket_connect_cancel(attempt->job);
        attempt_ended(NULL, g_error_new(VIREO_ERROR, VIREO_ERROR_GENERIC,
                                        "the server did not answer in time"), attempt);
    } else if (attempt->channel) {
        channel_shutdown(attempt->channel, CHANNEL_READ | CHANNEL_WRITE);
    }
}

/* On the main loop, in a coroutine. */
static Channel *connect_socket(NbdConn *conn, Attempt *attempt, GError **error)
{
    attempt->co = coroutine_current();
    attempt->job = socket_connect_start(conn->server, loop_current(), attempt_ended, attempt);
    coroutine_yield();
    if (attempt->error) {
        g_propagate_error(error, attempt->error);
    }
    return attempt->channel;
}

static bool handshake(NbdConn *conn, Channel *channel, NbdClientResult *result, GError **error)
{
    NbdClientWish wish = {
        .export = conn->export, .tls = conn->creds, .tls_hostname = conn->tls_hostname,
        .context = conn->context,
    };

    channel_socket_set_nodelay(channel, true);
    return nbd_client_connect(channel, &wish, result, error);
}

static bool is_same_export(const NbdConn *conn, const NbdClientResult *result, GError **error)
{
    const NbdExportInfo *was = &conn->info, *is = &result->info;

    if (is->size != was->size) {
        error_setf(error, "the export's size has changed");
    } else if (was->flags & ~is->flags & NEEDED_FLAGS) {
        error_setf(error, "the export can do less than before");
    } else if ((is->flags & ~was->flags) & NBD_FLAG_READ_ONLY) {
        error_setf(error, "the export has become read-only");
    } else if (is->min_block > MAX(was->min_block, 1) ||
               (is->max_block && is->max_block < (was->max_block ? was->max_block
                                                                 : NBD_MAX_REQUEST))) {
        error_setf(error, "the export's block sizes have changed");
    } else if (conn->has_context && !result->has_context) {
        error_setf(error, "the export has lost its metadata context");
    } else {
        return true;
    }
    return false;
}

/* limit_ns: for all of it. */
static bool attempt(NbdConn *conn, bool first, int64_t limit_ns, GError **error)
{
    Loop *home = loop_current();
    Attempt attempt = { 0 };
    NbdClientResult result = { 0 };
    Timer *timer;
    bool ok;

    coroutine_move(loop_main()); /* TLS credentials are its own */
    timer = timer_new(loop_main(), VM_CLOCK_REALTIME, attempt_timed_out, &attempt);
    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + limit_ns);
    ok = connect_socket(conn, &attempt, error) &&
         handshake(conn, attempt.channel, &result, error) &&
         (first || is_same_export(conn, &result, error));
    timer_free(timer);
    channel_unref(attempt.channel);
    coroutine_move(home);
    if (!ok) {
        nbd_client_result_clear(&result);
        return false;
    }
    if (first) {
        conn->info = result.info;
        conn->has_context = result.has_context;
    } else {
        nbd_export_info_clear(&result.info);
    }
    conn->structured = result.structured;
    conn->context_id = result.context_id;
    nbd_stream_init(&conn->stream, result.channel);
    channel_unref(result.channel);
    conn->connected = true;
    conn->lost_ns = conn->failed_ns = 0;
    return true;
}

/* Again and again until `until`; a deadline in the past means once. */
static bool attempts(NbdConn *conn, bool first, int64_t until, GError **error)
{
    int64_t pause = RETRY_MIN_NS;

    for (;;) {
        int64_t left = until - vm_clock_ns(VM_CLOCK_REALTIME);
        GError *why = NULL;

        if (attempt(conn, first, left > 0 ? MIN(left, HANDSHAKE_NS) : HANDSHAKE_NS, &why)) {
            return true;
        }
        left = until - vm_clock_ns(VM_CLOCK_REALTIME);
        if (left <= 0) {
            g_propagate_error(error, why);
            return false;
        }
        g_error_free(why);
        coroutine_sleep(VM_CLOCK_REALTIME, MIN(pause, left));
        pause = MIN(2 * pause, RETRY_MAX_NS);
    }
}

/* ---- The connection's life ---- */

typedef struct OpenRun {
    NbdConn *conn;
    GError **error;
    bool ok;
} OpenRun;

static void open_run(void *opaque)
{
    OpenRun *run = opaque;
    int64_t until = run->conn->open_ns ? vm_clock_ns(VM_CLOCK_REALTIME) + run->conn->open_ns : 0;

    run->ok = attempts(run->conn, true, until, run->error);
}

bool nbd_conn_open(NbdConn *conn, GError **error)
{
    OpenRun run = { conn, error };

    co_mutex_init(&conn->connecting);
    g_queue_init(&conn->slot_waiters);
    if (coroutine_current()) {
        open_run(&run);
    } else {
        coroutine_run(open_run, &run);
    }
    return run.ok;
}

static void disconnect(NbdConn *conn)
{
    if (conn->connected) {
        nbd_stream_cleanup(&conn->stream);
        conn->connected = false;
    }
}

void nbd_conn_close(NbdConn *conn)
{
    g_assert(conn->users == 0);
    if (conn->connected && !conn->stream.broken) {
        uint8_t goodbye[NBD_REQUEST_LEN];

        nbd_encode_request(goodbye, &(NbdRequest){ .type = NBD_CMD_DISC });
        channel_write(conn->stream.channel, goodbye, sizeof(goodbye)); /* if the peer takes it */
        channel_shutdown(conn->stream.channel, CHANNEL_WRITE);
    }
    disconnect(conn);
    co_mutex_cleanup(&conn->connecting);
    SocketAddress_free(conn->server);
    g_free(conn->export);
    object_unref((Object *)conn->creds);
    g_free(conn->tls_hostname);
    g_free(conn->context);
    nbd_export_info_clear(&conn->info);
}

static bool is_up(const NbdConn *conn)
{
    return conn->connected && !conn->stream.broken;
}

/* With the mutex held: those who still use the broken stream leave it soon. */
static void wait_until_unused(NbdConn *conn)
{
    while (conn->users) {
        conn->idle_waiter = coroutine_current();
        coroutine_yield();
    }
}

static int reconnect(NbdConn *conn)
{
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);
    int64_t until = conn->lost_ns + conn->reconnect_ns;

    if (now >= until && conn->failed_ns && now < conn->failed_ns + NS_PER_SEC) {
        return -EIO;
    }
    wait_until_unused(conn);
    disconnect(conn);
    if (!attempts(conn, false, until, NULL)) {
        conn->failed_ns = vm_clock_ns(VM_CLOCK_REALTIME);
        return -EIO;
    }
    return 0;
}

static int ensure_up(NbdConn *conn)
{
    int ret = 0;

    if (is_up(conn)) {
        return 0;
    }
    if (!conn->lost_ns) {
        conn->lost_ns = vm_clock_ns(VM_CLOCK_REALTIME);
    }
    co_mutex_lock(&conn->connecting);
    if (!is_up(conn)) {
        ret = reconnect(conn);
    }
    co_mutex_unlock(&conn->connecting);
    return ret;
}

/* ---- Requests ---- */

static unsigned take_slot(NbdConn *conn, NbdCall *call)
{
    for (;;) {
        for (unsigned i = 0; i < NBD_CONN_SLOTS; i++) {
            if (!conn->slots[i]) {
                conn->slots[i] = call;
                return i;
            }
        }
        g_queue_push_tail(&conn->slot_waiters, coroutine_current());
        coroutine_yield();
    }
}

static void free_slot(NbdConn *conn, unsigned slot)
{
    Coroutine *next = g_queue_pop_head(&conn->slot_waiters);

    conn->slots[slot] = NULL;
    if (next) {
        coroutine_wake(next);
    }
}

static bool wake_waiter(NbdCall *call)
{
    Coroutine *co = call ? call->waiter : NULL;

    if (!co) {
        return false;
    }
    call->waiter = NULL;
    coroutine_wake(co);
    return true;
}

static void hand_over_reading(NbdConn *conn)
{
    for (unsigned i = 0; i < NBD_CONN_SLOTS; i++) {
        if (wake_waiter(conn->slots[i])) {
            return;
        }
    }
}

static void connection_lost(NbdConn *conn, int err)
{
    nbd_stream_break(&conn->stream, err);
    for (unsigned i = 0; i < NBD_CONN_SLOTS; i++) {
        wake_waiter(conn->slots[i]);
    }
}

/*
 * Until the reply is there or the connection broke. Never while somebody else reads: it may be
 * filling our memory.
 */
static void wait_for_reply(NbdConn *conn, NbdCall *call)
{
    while (!call->done && (conn->reading || !conn->stream.broken)) {
        if (conn->reading) {
            call->waiter = coroutine_current();
            coroutine_yield();
        } else {
            int ret;

            conn->reading = true;
            ret = nbd_conn_take_reply(conn);
            conn->reading = false;
            if (ret < 0) {
                connection_lost(conn, ret);
            }
        }
    }
    if (!conn->reading) {
        hand_over_reading(conn);
    }
}

static void send_call(NbdConn *conn, NbdCall *call)
{
    uint8_t header[NBD_REQUEST_LEN];
    struct iovec small[16] = { { header, sizeof(header) } };
    g_autofree struct iovec *allocated = NULL;
    struct iovec *iov = small;
    unsigned n = 1;

    nbd_encode_request(header, &call->request);
    if (call->request.type == NBD_CMD_WRITE) {
        if (call->vec->n >= G_N_ELEMENTS(small)) {
            iov = allocated = g_new(struct iovec, call->vec->n + 1);
            iov[0] = small[0];
        }
        n += iov_slice(iov + 1, call->vec->n, call->vec->iov, call->vec->n, call->vec_offset,
                       call->request.len);
    }
    nbd_stream_writev(&conn->stream, iov, n, conn->users > 1);
}

/* False: the connection broke before the reply. */
static bool try_call(NbdConn *conn, NbdCall *call, unsigned slot)
{
    call->done = false;
    call->result = 0;
    call->received = 0;
    call->extent_len = 0;
    call->request.handle = ++conn->counter << 8 | slot;
    conn->users++;
    send_call(conn, call); /* if that fails, waiting ends at once */
    wait_for_reply(conn, call);
    if (--conn->users == 0 && conn->idle_waiter) {
        coroutine_wake(conn->idle_waiter);
        conn->idle_waiter = NULL;
    }
    return call->done;
}

int nbd_conn_call(NbdConn *conn, NbdCall *call)
{
    unsigned slot = take_slot(conn, call);
    int ret = ensure_up(conn);

    while (ret == 0 && !try_call(conn, call, slot)) {
        ret = conn->reconnect_ns ? ensure_up(conn) : -EIO;
    }
    free_slot(conn, slot);
    return ret < 0 ? ret : call->result;
}
