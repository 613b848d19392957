/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NBD server says what the input is behind its first byte, which chooses what the client wants:
 * a list of exports, or an export and then some requests.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/nbd-conn.h"
#include "io/channel-socket.h"
#include "tests/fuzz/target.h"
#include "util/coroutine.h"

#define MAX_WORDS (64 * 1024)
#define MAX_CALL 4096

typedef struct Talk {
    Channel *channel;
    unsigned choice;
} Talk;

static void use(NbdConn *conn, unsigned choice)
{
    static const NbdCmd commands[] = {
        NBD_CMD_READ, NBD_CMD_BLOCK_STATUS, NBD_CMD_WRITE, NBD_CMD_READ, NBD_CMD_FLUSH,
        NBD_CMD_WRITE_ZEROES, NBD_CMD_TRIM, NBD_CMD_BLOCK_STATUS,
    };
    uint8_t memory[MAX_CALL] = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(commands) && !conn->stream.broken; i++) {
        uint32_t len = choice & 2 ? MAX_CALL : 512;
        NbdCall call = {
            .request = { .type = (uint16_t)commands[i], .offset = i * 512ull, .len = len },
            .vec = BLOCK_VEC_BUF(memory, len),
        };
        int ret = nbd_conn_call(conn, &call);

        g_assert_cmpint(ret, <=, 0);
        if (ret == 0 && commands[i] == NBD_CMD_BLOCK_STATUS) {
            g_assert_cmpuint(call.extent_len, >, 0);
        }
    }
}

static void connect_and_use(Talk *talk)
{
    NbdClientWish wish = { .export = "e", .context = talk->choice & 1 ? "base:allocation" : NULL };
    NbdClientResult result = { 0 };
    g_autoptr(GError) error = NULL;
    NbdConn conn = { .connected = true };

    if (!nbd_client_connect(talk->channel, &wish, &result, &error)) {
        g_assert_nonnull(error);
        g_assert_null(result.channel);
        return;
    }
    conn.structured = result.structured;
    conn.context_id = result.context_id;
    g_queue_init(&conn.slot_waiters);
    co_mutex_init(&conn.connecting);
    nbd_stream_init(&conn.stream, result.channel);
    use(&conn, talk->choice);
    nbd_stream_cleanup(&conn.stream);
    co_mutex_cleanup(&conn.connecting);
    nbd_client_result_clear(&result);
}

static void talk_run(void *opaque)
{
    Talk *talk = opaque;
    g_autoptr(GError) error = NULL;
    GPtrArray *list;

    if (talk->choice & 4) {
        list = nbd_client_list(talk->channel, NULL, NULL, &error);
        g_assert_true((list != NULL) == (error == NULL));
        g_clear_pointer(&list, g_ptr_array_unref);
    } else {
        connect_and_use(talk);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Talk talk;
    int fds[2];

    if (size < 2) {
        return 0;
    }
    size = MIN(size, MAX_WORDS);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(send(fds[1], data + 1, size - 1, 0), ==, (gssize)size - 1);
    shutdown(fds[1], SHUT_WR);
    talk = (Talk) { channel_socket_new(fds[0], NULL), data[0] };
    coroutine_run(talk_run, &talk);
    channel_unref(talk.channel);
    close(fds[1]);
    return 0;
}
