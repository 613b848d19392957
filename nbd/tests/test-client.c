/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's handshake with servers that say what they like: their words are prepared, the client
 * reads them and must come to an end with the right error.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/channel-socket.h"
#include "nbd/client.h"
#include "util/bits.h"

/* Appends what a server says. */
typedef void ServerFn(GByteArray *words);

static void say(GByteArray *words, const void *data, size_t len)
{
    g_byte_array_append(words, data, (guint)len);
}

static void say16(GByteArray *words, uint16_t v)
{
    stw_be(&v, v);
    say(words, &v, 2);
}

static void say32(GByteArray *words, uint32_t v)
{
    stl_be(&v, v);
    say(words, &v, 4);
}

static void say64(GByteArray *words, uint64_t v)
{
    stq_be(&v, v);
    say(words, &v, 8);
}

static void greeting(GByteArray *words)
{
    say64(words, NBD_MAGIC);
    say64(words, NBD_OPTION_MAGIC);
    say16(words, NBD_GREETING_FIXED_NEWSTYLE | NBD_GREETING_NO_ZEROES);
}

static void reply(GByteArray *words, uint32_t option, uint32_t type, uint32_t len)
{
    uint8_t out[NBD_OPTION_REPLY_LEN];

    nbd_encode_option_reply(out, &(NbdOptionReply){ option, type, len });
    say(words, out, sizeof(out));
}

static void no_structure(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_UNSUP, 0);
}

static void structure(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, 0);
}

static void export_info(GByteArray *words, uint64_t size, uint16_t flags)
{
    reply(words, NBD_OPT_GO, NBD_REP_INFO, 12);
    say16(words, NBD_INFO_EXPORT);
    say64(words, size);
    say16(words, flags);
}

static void block_sizes(GByteArray *words, uint32_t min, uint32_t opt, uint32_t max)
{
    reply(words, NBD_OPT_GO, NBD_REP_INFO, 14);
    say16(words, NBD_INFO_BLOCK_SIZE);
    say32(words, min);
    say32(words, opt);
    say32(words, max);
}

static void context(GByteArray *words, const char *name)
{
    reply(words, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, 4 + (uint32_t)strlen(name));
    say32(words, 7);
    say(words, name, strlen(name));
}

static void done(GByteArray *words)
{
    reply(words, NBD_OPT_GO, NBD_REP_ACK, 0);
}

/* ---- What servers say ---- */

static void nothing(GByteArray *words)
{
}

static void wrong_magic(GByteArray *words)
{
    say(words, "HTTP/1.1 400 Bad", 16);
}

static void unknown_kind(GByteArray *words)
{
    say64(words, NBD_MAGIC);
    say64(words, 1);
}

static void cut_greeting(GByteArray *words)
{
    say64(words, NBD_MAGIC);
    say64(words, NBD_OPTION_MAGIC);
}

static void wrong_option(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_GO, NBD_REP_ACK, 0);
}

static void huge_reply(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_UNSUP, UINT32_MAX);
}

static void ack_with_data(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, 4);
    say32(words, 0);
}

static void no_size(GByteArray *words)
{
    no_structure(words);
    done(words);
}

static void short_info(GByteArray *words)
{
    no_structure(words);
    reply(words, NBD_OPT_GO, NBD_REP_INFO, 1);
    say(words, "", 1);
}

static void wrong_info(GByteArray *words)
{
    no_structure(words);
    reply(words, NBD_OPT_GO, NBD_REP_INFO, 4);
    say32(words, 0);
}

static void huge_size(GByteArray *words)
{
    no_structure(words);
    export_info(words, UINT64_MAX, NBD_FLAG_HAS_FLAGS);
    done(words);
}

static void flags_without_flag(GByteArray *words)
{
    no_structure(words);
    export_info(words, 512, NBD_FLAG_SEND_TRIM);
    done(words);
}

static void odd_blocks(GByteArray *words)
{
    no_structure(words);
    block_sizes(words, 513, 4096, 65536);
}

static void huge_blocks(GByteArray *words)
{
    no_structure(words);
    block_sizes(words, 1u << 31, 1u << 31, UINT32_MAX);
}

static void zero_blocks(GByteArray *words)
{
    no_structure(words);
    block_sizes(words, 0, 0, 0);
}

static void blocks_beyond_size(GByteArray *words)
{
    no_structure(words);
    export_info(words, 1000, NBD_FLAG_HAS_FLAGS);
    block_sizes(words, 512, 512, 512);
    done(words);
}

static void endless_info(GByteArray *words)
{
    no_structure(words);
    for (int i = 0; i < 1001; i++) {
        export_info(words, 512, NBD_FLAG_HAS_FLAGS);
    }
}

static void refusal_with_escapes(GByteArray *words)
{
    no_structure(words);
    reply(words, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, 8);
    say(words, "no\033[31m\n", 8);
}

static void tls_wanted(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_TLS_REQD, 0);
    reply(words, NBD_OPT_GO, NBD_REP_ERR_TLS_REQD, 0);
}

static void other_context(GByteArray *words)
{
    structure(words);
    context(words, "base:else");
}

static void context_twice(GByteArray *words)
{
    structure(words);
    context(words, "base:allocation");
    context(words, "base:allocation");
}

static void short_context(GByteArray *words)
{
    structure(words);
    reply(words, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, 3);
    say(words, "abc", 3);
}

static void old_and_gone(GByteArray *words)
{
    no_structure(words);
    reply(words, NBD_OPT_GO, NBD_REP_ERR_UNSUP, 0);
}

typedef struct Case {
    const char *name;
    ServerFn *server;
    const char *error; /* part of it */
} Case;

static const Case bad[] = {
    { "nothing", nothing, "Failed to read the server's greeting" },
    { "wrong-magic", wrong_magic, "does not speak NBD" },
    { "unknown-kind", unknown_kind, "unknown kind of NBD" },
    { "cut-greeting", cut_greeting, "ended" },
    { "wrong-option", wrong_option, "reply to NBD_OPT_STRUCTURED_REPLY is not one" },
    { "huge-reply", huge_reply, "has 4294967295 bytes" },
    { "ack-with-data", ack_with_data, "not an acknowledgement" },
    { "no-size", no_size, "lacks the export's size" },
    { "short-info", short_info, "too short" },
    { "wrong-info", wrong_info, "has 4 bytes" },
    { "huge-size", huge_size, "is too large" },
    { "flags-without-flag", flags_without_flag, "make no sense" },
    { "odd-blocks", odd_blocks, "make no sense" },
    { "huge-blocks", huge_blocks, "make no sense" },
    { "zero-blocks", zero_blocks, "make no sense" },
    { "blocks-beyond-size", blocks_beyond_size, "no multiple of its minimum block size" },
    { "endless-info", endless_info, "does not stop" },
    { "refusal-with-escapes", refusal_with_escapes, "not available: no?[31m?" },
    { "tls-wanted", tls_wanted, "requires TLS" },
    { "other-context", other_context, "was not asked for" },
    { "context-twice", context_twice, "was not asked for" },
    { "short-context", short_context, "not a metadata context" },
    { "old-and-gone", old_and_gone, "Requested export not available" },
};

/* ---- Running them ---- */

/* *peer: the server's end, which stays open for what the client says. */
static Channel *server_that_says(ServerFn *fn, int *peer)
{
    g_autoptr(GByteArray) words = g_byte_array_new();
    int fds[2];

    fn(words);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(write(fds[1], words->data, words->len), ==, (int)words->len);
    shutdown(fds[1], SHUT_WR);
    *peer = fds[1];
    return channel_socket_new(fds[0], NULL);
}

static bool try(ServerFn *fn, NbdClientResult *result, GError **error)
{
    NbdClientWish wish = { .export = "x", .context = NBD_CONTEXT_ALLOCATION };
    int peer;
    g_autoptr(Channel) channel = server_that_says(fn, &peer);
    bool ok = nbd_client_connect(channel, &wish, result, error);

    close(peer);
    return ok;
}

static void test_bad(gconstpointer data)
{
    const Case *c = data;
    g_autoptr(GError) error = NULL;
    NbdClientResult result;

    g_assert_false(try(c->server, &result, &error));
    if (!strstr(error->message, c->error)) {
        g_error("%s: %s", c->name, error->message);
    }
    g_assert_null(result.channel);
}

static void good(GByteArray *words)
{
    structure(words);
    context(words, "base:allocation");
    reply(words, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, 0);
    block_sizes(words, 512, 4096, 1 << 20);
    export_info(words, 1 << 20, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH);
    done(words);
}

static void test_good(void)
{
    NbdClientResult result;
    GError *error = NULL;

    g_assert_true(try(good, &result, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(result.info.size, ==, 1 << 20);
    g_assert_cmpuint(result.info.min_block, ==, 512);
    g_assert_cmpuint(result.info.max_block, ==, 1 << 20);
    g_assert_true(result.structured && result.has_context);
    g_assert_cmpuint(result.context_id, ==, 7);
    nbd_client_result_clear(&result);
}

static void by_name(GByteArray *words)
{
    no_structure(words);
    reply(words, NBD_OPT_GO, NBD_REP_ERR_UNSUP, 0);
    say64(words, 4096);
    say16(words, NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY);
}

static void test_by_name(void)
{
    NbdClientResult result;
    GError *error = NULL;

    g_assert_true(try(by_name, &result, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(result.info.size, ==, 4096);
    g_assert_cmpuint(result.info.flags, ==, NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY);
    g_assert_false(result.structured || result.has_context);
    nbd_client_result_clear(&result);
}

static void list_lies(GByteArray *words)
{
    greeting(words);
    reply(words, NBD_OPT_LIST, NBD_REP_SERVER, 8);
    say32(words, 5);
    say(words, "abcd", 4);
}

static void test_list_lies(void)
{
    int peer;
    g_autoptr(Channel) channel = server_that_says(list_lies, &peer);
    g_autoptr(GError) error = NULL;

    g_assert_null(nbd_client_list(channel, NULL, NULL, &error));
    g_assert_nonnull(strstr(error->message, "wrong at entry 0"));
    close(peer);
}

static void test_errors(void)
{
    g_assert_cmpuint(nbd_error_from_errno(30 /* EROFS */), ==, 1);
    g_assert_cmpuint(nbd_error_from_errno(122 /* EDQUOT */), ==, 28);
    g_assert_cmpuint(nbd_error_from_errno(2 /* ENOENT */), ==, 5);
    g_assert_cmpuint(nbd_error_from_errno(0), ==, 0);
    g_assert_cmpint(nbd_error_to_errno(108), ==, 108);
    g_assert_cmpint(nbd_error_to_errno(12345), ==, 22);
    g_assert_cmpint(nbd_error_to_errno(0), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    loop_main();
    g_test_add_func("/nbd/errors", test_errors);
    g_test_add_func("/nbd/client/good", test_good);
    g_test_add_func("/nbd/client/by-name", test_by_name);
    g_test_add_func("/nbd/client/list-lies", test_list_lies);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strconcat("/nbd/client/bad/", bad[i].name, NULL);

        g_test_add_data_func(path, &bad[i], test_bad);
    }
    return g_test_run();
}
