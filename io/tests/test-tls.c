/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS channels between two coroutines over a socket pair. Certificates come from certtool; without
 * it, or without the module, these tests are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "io/channel-socket.h"
#include "io/channel-tls.h"
#include "qapi/keyval.h"
#include "util/coroutine.h"
#include "util/error.h"

#define BIG (3 * 1024 * 1024 + 5)

/* Objects. */

static char *add(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* NULL if it worked. The text is the caller's. */
static char *add(const char *format, ...)
{
    g_autofree char *options = NULL;
    g_autoptr(GError) error = NULL;
    json_object *parsed;
    va_list args;

    va_start(args, format);
    options = g_strdup_vprintf(format, args);
    va_end(args);
    parsed = keyval_parse(options, NULL, NULL, &error);
    g_assert_no_error(error);
    user_object_create(parsed, true, &error);
    json_object_put(parsed);
    return error ? g_strdup(error->message) : NULL;
}

#define ADD(...)                                \
    do {                                        \
        g_autofree char *message = add(__VA_ARGS__); \
        g_assert_cmpstr(message, ==, NULL);     \
    } while (0)

static TlsCreds *creds(const char *id, QCryptoTLSCredsEndpoint endpoint)
{
    g_autoptr(GError) error = NULL;
    TlsCreds *found = tls_creds_find(id, endpoint, &error);

    g_assert_no_error(error);
    return found;
}

/* Certificates. */

static void shell(const char *directory, const char *command)
{
    g_autofree char *script = g_strdup_printf("cd '%s' && (%s) >log 2>&1 || (cat log >&2; false)",
                                              directory, command);
    const char *argv[] = { "sh", "-ec", script, NULL };
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
}

static const char make_files[] =
    "mkdir server client stranger psk badpsk expired caless\n"
    "key() { certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile $1; }\n"
    "ca() { key $1-key.pem\n"
    "  printf 'cn = \"%s\"\\nca\\ncert_signing_key\\nexpiration_days = 99\\n' $1 >ca.tmpl\n"
    "  certtool --generate-self-signed --load-privkey $1-key.pem --template ca.tmpl "
    "    --outfile $1.pem; }\n"
    "cert() { key $2/$3-key.pem\n"
    "  printf \"$4\\nsigning_key\\n\" >cert.tmpl\n"
    "  certtool --generate-certificate --load-privkey $2/$3-key.pem --load-ca-certificate $1.pem "
    "    --load-ca-privkey $1-key.pem --template cert.tmpl --outfile $2/$3-cert.pem; }\n"
    "ca one\nca two\n"
    "cert one server server 'cn = \"vm\"\\ndns_name = \"vm.example\"\\ntls_www_server\\n"
    "expiration_days = 99'\n"
    "cert one client client 'cn = \"alice\"\\norganization = \"Example\"\\ntls_www_client\\n"
    "expiration_days = 99'\n"
    "cert two stranger client 'cn = \"alice\"\\ntls_www_client\\nexpiration_days = 99'\n"
    "cert one expired server 'cn = \"vm\"\\ntls_www_server\\n"
    "activation_date = \"2001-01-01\"\\nexpiration_date = \"2002-01-01\"'\n"
    "for d in server client expired; do cp one.pem $d/ca-cert.pem; done\n"
    "cp two.pem stranger/ca-cert.pem\n"
    "cat one.pem >>stranger/ca-cert.pem\n"
    "mkdir foreign; cp two.pem foreign/ca-cert.pem\n"
    "mkdir bare; cp one.pem bare/ca-cert.pem\n"
    "mkdir swapped; cp one.pem swapped/ca-cert.pem\n"
    "cp client/client-cert.pem swapped/server-cert.pem\n"
    "cp client/client-key.pem swapped/server-key.pem\n"
    "echo alice:00112233445566778899aabbccddeeff >psk/keys.psk\n"
    "echo alice:ff112233445566778899aabbccddeeff >badpsk/keys.psk\n";

/* A connection. */

typedef struct End {
    Channel *channel;
    char *error; /* of the handshake; the caller's */
    bool done;
    bool (*talk)(Channel *channel, GError **error);
} End;

static void run_end(void *opaque)
{
    End *end = opaque;
    g_autoptr(GError) error = NULL;

    if (!channel_tls_handshake(end->channel, &error) || !end->talk(end->channel, &error)) {
        end->error = g_strdup(error->message);
        channel_close(end->channel);
    }
    end->done = true;
}

static Channel *wrap(int fd, TlsCreds *tls_creds, const char *hostname, const char *authz)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Channel) below = channel_socket_new(fd, &error);
    Channel *channel;

    g_assert_no_error(error);
    channel = channel_tls_new(below, tls_creds, hostname, authz, &error);
    g_assert_no_error(error);
    return channel;
}

static void fill(uint8_t *buf, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        buf[i] = (uint8_t)(seed >> 16);
    }
}

/* Much data, in vectors of many lengths. */
static bool send_big(Channel *channel, GError **error)
{
    g_autofree uint8_t *buf = g_malloc(BIG);
    size_t third = BIG / 3;
    struct iovec iov[4] = {
        { .iov_base = buf, .iov_len = 3 },
        { 0 },
        { .iov_base = buf + 3, .iov_len = third },
        { .iov_base = buf + 3 + third, .iov_len = BIG - 3 - third },
    };

    fill(buf, BIG, 1);
    return channel_writev_all(channel, iov, 4, error);
}

static bool receive_big(Channel *channel, GError **error)
{
    g_autofree uint8_t *buf = g_malloc(BIG), *expected = g_malloc(BIG);

    fill(expected, BIG, 1);
    if (!channel_read_all(channel, buf, BIG, error)) {
        return false;
    }
    g_assert_cmpmem(buf, BIG, expected, BIG);
    return true;
}

static bool server_talk(Channel *channel, GError **error)
{
    uint8_t byte;
    bool eof;

    return send_big(channel, error) && receive_big(channel, error) &&
           channel_read_all_or_eof(channel, &byte, 1, &eof, error) && eof;
}

static bool client_talk(Channel *channel, GError **error)
{
    return receive_big(channel, error) && send_big(channel, error) &&
           channel_close(channel) == 0;
}

typedef struct TlsCase {
    const char *server, *client, *hostname, *authz;
    const char *server_error, *client_error; /* a part of the message; NULL: none */
} TlsCase;

static void assert_error(const char *message, const char *part)
{
    if (!part || !message) {
        g_assert_cmpstr(message, ==, part);
    } else if (!strstr(message, part)) {
        g_error("'%s' is not in '%s'", part, message);
    }
}

static void run_case(const TlsCase *test)
{
    End server = { .talk = server_talk }, client = { .talk = client_talk };
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    server.channel = wrap(fds[0], creds(test->server, QCRYPTO_TLS_CREDS_ENDPOINT_SERVER), NULL,
                          test->authz);
    client.channel = wrap(fds[1], creds(test->client, QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT),
                          test->hostname, NULL);
    coroutine_start(run_end, &server);
    coroutine_start(run_end, &client);
    while (!server.done || !client.done) {
        loop_iterate(loop_main(), true);
    }
    assert_error(server.error, test->server_error);
    assert_error(client.error, test->client_error);
    g_free(server.error);
    g_free(client.error);
    channel_unref(server.channel);
    channel_unref(client.channel);
}

static const TlsCase cases[] = {
    { "server", "client", "vm.example", NULL, NULL, NULL },
    { "server", "client", "vm.example", "alice", NULL, NULL },
    { "server", "client", "vm.example", "list", NULL, NULL },
    { "server", "client", "vm.example", "bob",
      "'O=Example,CN=alice' is not allowed by authorization object 'bob'", "" },
    { "server", "client", "other.example", NULL, "", "certificate is not for 'other.example'" },
    { "server", "client", NULL, NULL, "", "cannot be checked without a host name" },
    { "server", "bare", "vm.example", NULL, "the TLS peer has sent no certificate", "" },
    /* A client whose certificate is not of an authority that the server names keeps it. */
    { "server", "stranger", "vm.example", NULL, "the TLS peer has sent no certificate", "" },
    { "server", "foreign", "vm.example", NULL, "", "the TLS peer's certificate is not trusted" },
    { "lenient", "bare", "vm.example", NULL, NULL, NULL },
    { "lenient", "careless", NULL, NULL, NULL, NULL },
    { "lenient", "bare", "vm.example", "alice",
      "authorization needs the peer's certificate, which is not asked for", "" },
    { "psk-server", "psk-client", NULL, NULL, NULL, NULL },
    { "psk-server", "psk-bad", NULL, NULL, "TLS handshake failed", "TLS handshake failed" },
    { "anon-server", "anon-client", NULL, NULL, NULL, NULL },
    { "anon-server", "bare", "vm.example", NULL, "TLS handshake failed", "TLS handshake failed" },
    { "psk-server", "psk-tls12", NULL, NULL, NULL, NULL },
};

static void test_cases(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s, %s, %s", cases[i].server, cases[i].client, cases[i].authz);
        run_case(&cases[i]);
    }
}

/* Other programs as clients of our server, on loopback. */

typedef struct PeerCase {
    const char *program;
    const char *command; /* %s: port. Reads "hello", writes what the server says */
    const char *server;
} PeerCase;

static const PeerCase peers[] = {
    { "openssl", "openssl s_client -quiet -connect 127.0.0.1:%s -verify_return_error "
      "-verify_hostname vm.example -CAfile one.pem -cert client/client-cert.pem "
      "-key client/client-key.pem", "server" },
    { "openssl", "openssl s_client -quiet -connect 127.0.0.1:%s -tls1_2 -psk_identity alice "
      "-psk 00112233445566778899aabbccddeeff", "psk-server" },
    { "gnutls-cli", "gnutls-cli --x509cafile one.pem --verify-hostname vm.example "
      "--x509certfile client/client-cert.pem --x509keyfile client/client-key.pem -p %s 127.0.0.1",
      "server" },
};

static bool greet(Channel *channel, GError **error)
{
    char word[6];

    if (!channel_read_all(channel, word, sizeof(word), error)) {
        return false;
    }
    g_assert_cmpmem(word, 6, "hello\n", 6);
    return channel_write_all(channel, "welcome\n", 8, error) &&
           channel_shutdown(channel, CHANNEL_WRITE) == 0;
}

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &len), ==, 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void run_peer(const PeerCase *peer, const char *dir)
{
    End server = { .talk = greet };
    g_autofree char *log = g_build_filename(dir, "peer.log", NULL);
    g_auto(GStrv) parts = g_strsplit(peer->command, "%s", 2);
    g_autofree char *script = NULL, *said = NULL;
    char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL };
    uint16_t port;
    int listener = listen_on_loopback(&port), fd;

    script = g_strdup_printf("(echo hello; sleep 1) | %s%u%s >peer.log 2>&1", parts[0], port,
                             parts[1]);
    argv[2] = script;
    g_assert_true(g_spawn_async(dir, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL));
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    server.channel = wrap(fd, creds(peer->server, QCRYPTO_TLS_CREDS_ENDPOINT_SERVER), NULL, NULL);
    coroutine_start(run_end, &server);
    while (!server.done) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpstr(server.error, ==, NULL);
    channel_unref(server.channel);
    close(listener);
    do {
        g_free(said);
        g_usleep(20000);
        g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    } while (!strstr(said, "welcome"));
}

static void test_peers(gconstpointer dir)
{
    for (size_t i = 0; i < G_N_ELEMENTS(peers); i++) {
        g_autofree char *found = g_find_program_in_path(peers[i].program);

        if (found) {
            run_peer(&peers[i], dir);
        }
    }
}

/* Watching. */

typedef struct Watcher {
    Channel *channel;
    unsigned got;
    bool eof;
} Watcher;

/* One byte a call: the rest is decrypted already, and must be announced. */
static void on_readable(void *opaque)
{
    Watcher *watcher = opaque;
    uint8_t byte;
    ssize_t done = channel_read(watcher->channel, &byte, 1);

    g_assert_true(done >= 0 || done == -EAGAIN);
    watcher->got += done == 1;
    watcher->eof = done == 0;
    if (watcher->eof) {
        channel_watch(watcher->channel, NULL, NULL, NULL, NULL);
    }
}

static bool send_thousand(Channel *channel, GError **error)
{
    static const uint8_t bytes[1000] = { 1 };

    return channel_write_all(channel, bytes, sizeof(bytes), error) &&
           channel_shutdown(channel, CHANNEL_WRITE) == 0;
}

static bool watch_it(Channel *channel, GError **error)
{
    return true;
}

static void test_watch(void)
{
    End server = { .talk = send_thousand }, client = { .talk = watch_it };
    Watcher watcher = { 0 };
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    server.channel = wrap(fds[0], creds("anon-server", QCRYPTO_TLS_CREDS_ENDPOINT_SERVER), NULL,
                          NULL);
    client.channel = wrap(fds[1], creds("anon-client", QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT), NULL,
                          NULL);
    coroutine_start(run_end, &server);
    coroutine_start(run_end, &client);
    while (!server.done || !client.done) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpstr(server.error, ==, NULL);
    watcher.channel = client.channel;
    channel_watch(client.channel, loop_main(), on_readable, NULL, &watcher);
    while (!watcher.eof) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpuint(watcher.got, ==, 1000);
    channel_unref(server.channel);
    channel_unref(client.channel);
}

/* A stream that is cut off is not one that ended. */
static bool read_end(Channel *channel, GError **error)
{
    uint8_t byte;
    bool eof;

    return channel_read_all_or_eof(channel, &byte, 1, &eof, error);
}

static bool do_nothing(Channel *channel, GError **error)
{
    return true;
}

static void test_truncated(void)
{
    End server = { .talk = read_end }, client = { .talk = do_nothing };
    int fds[2], spare;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    spare = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
    server.channel = wrap(fds[0], creds("anon-server", QCRYPTO_TLS_CREDS_ENDPOINT_SERVER), NULL,
                          NULL);
    client.channel = wrap(fds[1], creds("anon-client", QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT), NULL,
                          NULL);
    coroutine_start(run_end, &server);
    coroutine_start(run_end, &client);
    while (!client.done) {
        loop_iterate(loop_main(), true);
    }
    shutdown(spare, SHUT_RDWR);
    while (!server.done) {
        loop_iterate(loop_main(), true);
    }
    assert_error(server.error, "Software caused connection abort");
    g_free(server.error);
    close(spare);
    channel_unref(server.channel);
    channel_unref(client.channel);
}

/* Noise instead of a handshake. */
static void test_noise(void)
{
    End server = { .talk = do_nothing };
    uint8_t noise[4096];
    int fds[2];

    for (unsigned seed = 0; seed < 50; seed++) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
        server = (End) { .talk = do_nothing };
        server.channel = wrap(fds[0], creds("anon-server", QCRYPTO_TLS_CREDS_ENDPOINT_SERVER),
                              NULL, NULL);
        coroutine_start(run_end, &server);
        fill(noise, sizeof(noise), seed);
        if (seed % 2) {
            memcpy(noise, "\x16\x03\x01\x02\x00\x01", 6); /* begins like a client's hello */
        }
        g_assert_cmpint(write(fds[1], noise, sizeof(noise)), ==, sizeof(noise));
        close(fds[1]);
        while (!server.done) {
            loop_iterate(loop_main(), true);
        }
        assert_error(server.error, "TLS handshake failed");
        g_free(server.error);
        channel_unref(server.channel);
    }
}

/* Mistakes in credentials. */
static void test_refused(gconstpointer directory)
{
    const char *dir = directory;
    g_autoptr(GError) error = NULL;
    static const struct {
        const char *options, *part;
    } bad[] = {
        { "tls-creds-x509,id=b,dir=%s/psk,endpoint=server", "/psk/ca-cert.pem', which cannot" },
        { "tls-creds-x509,id=b,dir=%s/bare,endpoint=server", "/bare/server-cert.pem', which" },
        { "tls-creds-x509,id=b,dir=%s/expired,endpoint=server", "server-cert.pem' has expired" },
        { "tls-creds-x509,id=b,dir=%s/swapped,endpoint=server", NULL },
        { "tls-creds-psk,id=b,dir=%s/psk", "has no key of user 'qemu'" },
        { "tls-creds-psk,id=b,dir=%s/server", "/server/keys.psk', which cannot be read" },
        { "tls-creds-psk,id=b,dir=%s/psk,endpoint=server,username=x", "'username' is for clients" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *named = g_strdup_printf("qom-type=%s", bad[i].options);
        const char *split = strstr(named, "%s");
        g_autofree char *head = g_strndup(named, (size_t)(split - named));
        g_autofree char *message = add("%s%s%s", head, dir, split + 2);

        assert_error(message, bad[i].part);
        if (!message) {
            g_assert_true(user_object_delete("b", NULL));
        }
    }
    g_assert_null(tls_creds_find("server", QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT, &error));
    g_assert_cmpstr(error->message, ==,
                    "TLS credentials 'server' are for a server; this end is a client");
}

static void add_objects(const char *dir)
{
    ADD("qom-type=tls-creds-x509,id=server,dir=%s/server,endpoint=server", dir);
    ADD("qom-type=tls-creds-x509,id=lenient,dir=%s/server,endpoint=server,verify-peer=off", dir);
    ADD("qom-type=tls-creds-x509,id=client,dir=%s/client", dir);
    ADD("qom-type=tls-creds-x509,id=stranger,dir=%s/stranger,sanity-check=off", dir);
    ADD("qom-type=tls-creds-x509,id=foreign,dir=%s/foreign", dir);
    ADD("qom-type=tls-creds-x509,id=bare,dir=%s/bare", dir);
    ADD("qom-type=tls-creds-x509,id=careless,dir=%s/bare,verify-peer=off", dir);
    ADD("qom-type=tls-creds-psk,id=psk-server,dir=%s/psk,endpoint=server", dir);
    ADD("qom-type=tls-creds-psk,id=psk-client,dir=%s/psk,username=alice", dir);
    ADD("qom-type=tls-creds-psk,id=psk-tls12,dir=%s/psk,username=alice,"
        "priority=NORMAL:-VERS-TLS1.3", dir);
    ADD("qom-type=tls-creds-psk,id=psk-bad,dir=%s/badpsk,username=alice", dir);
    ADD("qom-type=tls-creds-anon,id=anon-server,endpoint=server");
    ADD("qom-type=tls-creds-anon,id=anon-client");
    ADD("qom-type=authz-simple,id=alice,identity=O=Example,,CN=alice");
    ADD("qom-type=authz-simple,id=bob,identity=CN=bob");
    ADD("qom-type=authz-list,id=list,rules.0.match=*CN=eve,rules.0.policy=deny,"
        "rules.0.format=glob,rules.1.match=*,,CN=a*,rules.1.policy=allow,rules.1.format=glob");
}

int main(int argc, char **argv)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-tls-XXXXXX", NULL);
    g_autofree char *certtool = g_find_program_in_path("certtool");
    g_autofree char *clean = g_strdup_printf("rm -rf '%s'", dir);
    int result;

    g_test_init(&argc, &argv, NULL);
    if (!certtool) {
        puts("1..0 # SKIP no certtool");
        g_rmdir(dir);
        return 0;
    }
    shell(dir, make_files);
    add_objects(dir);
    g_test_add_func("/io/tls/cases", test_cases);
    g_test_add_func("/io/tls/watch", test_watch);
    g_test_add_func("/io/tls/truncated", test_truncated);
    g_test_add_func("/io/tls/noise", test_noise);
    g_test_add_data_func("/io/tls/peers", dir, test_peers);
    g_test_add_data_func("/io/tls/refused", dir, test_refused);
    result = g_test_run();
    shell("/", clean);
    return result;
}
