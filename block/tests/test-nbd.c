/* SPDX-License-Identifier: Apache-2.0 */
/* What the NBD client makes of replies, honest and other ones; and of file names. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/driver.h"
#include "block/nbd-conn.h"
#include "io/channel-socket.h"
#include "util/bits.h"

#define HANDLE 0x4200ull /* slot 0 */
#define OFFSET 4096
#define LEN 1024

typedef struct Case {
    const char *name;
    NbdCmd type;
    bool simple;      /* structured replies were not negotiated */
    int stream;       /* what taking the reply gives */
    bool done;
    int result;       /* of the request, if done */
    /* Hexadecimal digits; spaces are ignored. D: LEN bytes of 0xdd. */
    const char *words;
} Case;

#define SIMPLE(error) "67446698" error "0000000000004200"
#define CHUNK(flags, type, len) "668e33ef" flags type "0000000000004200" len
#define AT(offset) "00000000" offset

static const Case cases[] = {
    { "simple-read", NBD_CMD_READ, true, 0, true, 0, SIMPLE("00000000") "D" },
    { "simple-error", NBD_CMD_READ, true, 0, true, -EPERM, SIMPLE("00000001") },
    { "unknown-error", NBD_CMD_FLUSH, true, 0, true, -EINVAL, SIMPLE("12345678") },
    { "shutting-down", NBD_CMD_FLUSH, true, -ESHUTDOWN, false, 0, SIMPLE("0000006c") },
    { "magic", NBD_CMD_READ, true, -EPROTO, false, 0, "00000000 00000000 0000000000004200" },
    { "stranger", NBD_CMD_READ, true, -EPROTO, false, 0, "67446698 00000000 0000000000004201" },
    { "stale", NBD_CMD_READ, true, -EPROTO, false, 0, "67446698 00000000 0000000000004100" },
    { "no-slot", NBD_CMD_READ, true, -EPROTO, false, 0, "67446698 00000000 00000000000042ff" },
    { "unasked-chunk", NBD_CMD_READ, true, -EPROTO, false, 0,
      CHUNK("0001", "0000", "00000000") },
    { "cut", NBD_CMD_READ, true, -EPIPE, false, 0, "67446698 0000" },
    { "cut-data", NBD_CMD_READ, true, -EPIPE, false, 0, SIMPLE("00000000") "dddd" },
    { "simple-to-structured", NBD_CMD_READ, false, -EPROTO, false, 0, SIMPLE("00000000") },
    { "data", NBD_CMD_READ, false, 0, true, 0,
      CHUNK("0001", "0001", "00000408") AT("00001000") "D" },
    { "none-too-early", NBD_CMD_READ, false, 0, true, -EIO, CHUNK("0001", "0000", "00000000") },
    { "none-with-data", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0000", "00000001") "00" },
    { "none-not-last", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0000", "0000", "00000000") },
    { "data-before", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "00000009") AT("00000fff") "dd" },
    { "data-behind", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "00000408") AT("00001001") "D" },
    { "data-wraps", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "00000009") "ffffffffffffffff dd" },
    { "data-too-long", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "ffffffff") AT("00001000") },
    { "data-empty", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "00000008") AT("00001000") },
    { "data-for-write", NBD_CMD_WRITE, false, -EPROTO, false, 0,
      CHUNK("0001", "0001", "00000009") AT("00001000") "dd" },
    { "hole", NBD_CMD_READ, false, 0, true, 0,
      CHUNK("0001", "0002", "0000000c") AT("00001000") "00000400" },
    { "hole-too-long", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0002", "0000000c") AT("00001000") "00000401" },
    { "hole-empty", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0002", "0000000c") AT("00001000") "00000000" },
    { "hole-length", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0002", "0000000d") AT("00001000") "00000400 00" },
    { "status", NBD_CMD_BLOCK_STATUS, false, 0, true, 0,
      CHUNK("0001", "0005", "0000000c") "00000007 00000200 00000003" },
    { "status-more", NBD_CMD_BLOCK_STATUS, false, 0, true, 0,
      CHUNK("0001", "0005", "00000014") "00000007 00000200 00000003 00000100 00000000" },
    { "status-context", NBD_CMD_BLOCK_STATUS, false, -EPROTO, false, 0,
      CHUNK("0001", "0005", "0000000c") "00000008 00000200 00000003" },
    { "status-empty", NBD_CMD_BLOCK_STATUS, false, -EPROTO, false, 0,
      CHUNK("0001", "0005", "0000000c") "00000007 00000000 00000003" },
    { "status-odd", NBD_CMD_BLOCK_STATUS, false, -EPROTO, false, 0,
      CHUNK("0001", "0005", "0000000d") "00000007 00000200 00000003 00" },
    { "status-none", NBD_CMD_BLOCK_STATUS, false, 0, true, -EIO,
      CHUNK("0001", "0000", "00000000") },
    { "status-huge", NBD_CMD_BLOCK_STATUS, false, -EPROTO, false, 0,
      CHUNK("0001", "0005", "fffffffc") },
    { "error", NBD_CMD_WRITE, false, 0, true, -ENOSPC,
      CHUNK("0001", "8001", "00000009") "0000001c 0003 616263" },
    { "error-zero", NBD_CMD_WRITE, false, 0, true, -EIO,
      CHUNK("0001", "8001", "00000006") "00000000 0000" },
    { "error-offset", NBD_CMD_READ, false, 0, true, -EIO,
      CHUNK("0001", "8002", "0000000e") "00000005 0000" AT("00001000") },
    { "error-unknown", NBD_CMD_READ, false, 0, true, -EIO,
      CHUNK("0001", "8fff", "00000006") "00000005 0000" },
    { "error-text-too-long", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "8001", "00000006") "00000005 0001" },
    { "error-short", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "8001", "00000005") "00000005 00" },
    { "error-huge", NBD_CMD_READ, false, -EPROTO, false, 0, CHUNK("0001", "8001", "7fffffff") },
    { "unknown-chunk", NBD_CMD_READ, false, -EPROTO, false, 0,
      CHUNK("0001", "0003", "00000000") },
};

static GByteArray *bytes_of(const char *words)
{
    GByteArray *bytes = g_byte_array_new();

    while (*words) {
        uint8_t byte;

        if (*words == ' ') {
            words++;
        } else if (*words == 'D') {
            byte = 0xdd;
            for (int i = 0; i < LEN; i++) {
                g_byte_array_append(bytes, &byte, 1);
            }
            words++;
        } else {
            byte = (uint8_t)(g_ascii_xdigit_value(words[0]) << 4 | g_ascii_xdigit_value(words[1]));
            g_byte_array_append(bytes, &byte, 1);
            words += 2;
        }
    }
    return bytes;
}

static void take(NbdConn *conn, const char *words, int *result)
{
    g_autoptr(GByteArray) bytes = bytes_of(words);
    g_autoptr(Channel) channel = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(write(fds[1], bytes->data, bytes->len), ==, (int)bytes->len);
    close(fds[1]);
    channel = channel_socket_new(fds[0], NULL);
    nbd_stream_init(&conn->stream, channel);
    *result = nbd_conn_take_reply(conn);
    nbd_stream_cleanup(&conn->stream);
}

static void test_case(gconstpointer data)
{
    const Case *c = data;
    g_autofree uint8_t *memory = g_malloc0(LEN + 2);
    NbdCall call = {
        .request = { .type = (uint16_t)c->type, .handle = HANDLE, .offset = OFFSET, .len = LEN },
        .vec = BLOCK_VEC_BUF(memory, LEN + 2), .vec_offset = 1,
    };
    NbdConn conn = { .structured = !c->simple, .context_id = 7, .slots = { &call } };
    int result;

    memset(memory, 0x11, LEN + 2);
    take(&conn, c->words, &result);
    g_assert_cmpint(result, ==, c->stream);
    g_assert_cmpint(call.done, ==, c->done);
    if (c->done) {
        g_assert_cmpint(call.result, ==, c->result);
    }
    if (c->done && c->result == 0 && c->type == NBD_CMD_READ) {
        uint8_t expected = strstr(c->name, "hole") ? 0 : 0xdd;

        for (int i = 1; i <= LEN; i++) {
            g_assert_cmpint(memory[i], ==, expected);
        }
    }
    if (c->done && c->result == 0 && c->type == NBD_CMD_BLOCK_STATUS) {
        g_assert_cmpint(call.extent_len, ==, 0x200);
        g_assert_cmpint(call.extent_flags, ==, NBD_STATE_HOLE | NBD_STATE_ZERO);
    }
    g_assert_cmpint(memory[0], ==, 0x11);
    g_assert_cmpint(memory[LEN + 1], ==, 0x11);
}

/* ---- File names ---- */

typedef struct Name {
    const char *text, *options; /* options NULL: refused */
} Name;

static const Name names[] = {
    { "nbd:host:10", "{\"server\":{\"type\":\"inet\",\"host\":\"host\",\"port\":\"10\"}}" },
    { "nbd:[::1]:10:exportname=a:b",
      "{\"export\":\"a:b\",\"server\":{\"type\":\"inet\",\"host\":\"::1\",\"port\":\"10\"}}" },
    { "nbd:unix:/a/b", "{\"server\":{\"type\":\"unix\",\"path\":\"/a/b\"}}" },
    { "nbd:unix:/a/b:exportname=e",
      "{\"export\":\"e\",\"server\":{\"type\":\"unix\",\"path\":\"/a/b\"}}" },
    { "nbd://host", "{\"server\":{\"type\":\"inet\",\"host\":\"host\",\"port\":\"10809\"}}" },
    { "nbd://[::1]:5/a%20b",
      "{\"export\":\"a b\",\"server\":{\"type\":\"inet\",\"host\":\"::1\",\"port\":\"5\"}}" },
    { "nbd+tcp://h/",  "{\"server\":{\"type\":\"inet\",\"host\":\"h\",\"port\":\"10809\"}}" },
    { "nbd+unix:///e?socket=/s", "{\"export\":\"e\",\"server\":{\"type\":\"unix\","
                                 "\"path\":\"/s\"}}" },
    { "nbd:", NULL },
    { "nbd:host", NULL },
    { "nbd:host:", NULL },
    { "nbd::10", NULL },
    { "nbd:unix:", NULL },
    { "nbd:///x", NULL },
    { "nbd://host/?socket=/s", NULL },
    { "nbd+unix:///e", NULL },
    { "nbd+unix://host/e?socket=/s", NULL },
    { "nbd+unix:///e?socket=/s&more=1", NULL },
};

static void test_names(void)
{
    const BlockDriver *driver = block_driver_find("nbd", NULL);

    g_assert_nonnull(driver);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        json_object *options = json_object_new_object();
        g_autoptr(GError) error = NULL;
        bool ok = driver->parse_filename(names[i].text, options, &error);

        g_assert_cmpint(ok, ==, names[i].options != NULL);
        if (ok) {
            g_assert_cmpstr(json_object_to_json_string_ext(options,
                                                           JSON_C_TO_STRING_NOSLASHESCAPE), ==,
                            names[i].options);
        } else {
            g_assert_nonnull(error);
        }
        json_object_put(options);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    loop_main();
    g_test_add_func("/block/nbd/names", test_names);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/block/nbd/reply/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
