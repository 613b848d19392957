/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses, connecting, listening, and what passes through; on loopback only. */
#include "io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "util/coroutine.h"
#include "util/thread.h"

static void test_parse(void)
{
    static const struct {
        const char *text;
        const char *json;
    } rows[] = {
        { "host:80", "{'type':'inet','host':'host','port':'80'}" },
        { ":80", "{'type':'inet','host':'','port':'80'}" },
        { "tcp:h:0,to=9,ipv4,ipv6=off", "{'type':'inet','host':'h','port':'0','to':9,'ipv4':true,"
          "'ipv6':false}" },
        { "[::1]:http", "{'type':'inet','host':'::1','port':'http'}" },
        { "unix:/tmp/x,y", "{'type':'unix','path':'/tmp/x,y'}" },
        { "fd:7", "{'type':'fd','str':'7'}" },
        { "vsock:2:1234", "{'type':'vsock','cid':'2','port':'1234'}" },
    };
    static const char *const bad[] = { "", "host", "host:", "[::1]", "[::1]80", "::1:80", "vsock:1",
                                       "h:1,ipv5=on", "h:1,to=65536", "h:1,ipv4=maybe" };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SocketAddress) addr = socket_address_parse(rows[i].text, &error);
        json_object *expected = json_tokener_parse(rows[i].json);
        json_object *got;

        g_assert_no_error(error);
        got = SocketAddress_to_json(addr);
        if (!json_object_equal(got, expected)) {
            g_error("%s became %s", rows[i].text, json_object_to_json_string(got));
        }
        json_object_put(got);
        json_object_put(expected);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(socket_address_parse(bad[i], &error));
        g_assert_nonnull(error);
    }
}

/* Random words: never a crash, and what is accepted survives being written and read again. */
static void test_parse_random(void)
{
    static const char letters[] = "h1:[],=.x/%";
    static const char *const starts[] = { "", "tcp:", "unix:", "fd:", "vsock:", "h:1,", "[::1]:" };
    static const char *const words[] = { "to=", "ipv4", "=on", ",ipv6=off", "numeric", "65535" };
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    unsigned accepted = 0;

    for (int round = 0; round < 20000; round++) {
        g_autoptr(GString) text = g_string_new(
            starts[g_rand_int_range(rand, 0, G_N_ELEMENTS(starts))]);
        g_autoptr(SocketAddress) addr = NULL;
        g_autoptr(SocketAddress) again = NULL;
        g_autofree char *out = NULL;
        g_autofree char *out_again = NULL;

        for (int n = g_rand_int_range(rand, 0, 8); n > 0; n--) {
            if (g_rand_int_range(rand, 0, 4) == 0) {
                g_string_append(text, words[g_rand_int_range(rand, 0, G_N_ELEMENTS(words))]);
            } else {
                g_string_append_c(text, letters[g_rand_int_range(rand, 0, sizeof(letters) - 1)]);
            }
        }
        addr = socket_address_parse(text->str, NULL);
        if (addr) {
            accepted++;
            out = socket_address_text(addr);
            again = socket_address_parse(out, NULL);
            g_assert_nonnull(again);
            out_again = socket_address_text(again);
            g_assert_cmpstr(out, ==, out_again);
        }
    }
    g_assert_cmpuint(accepted, >, 1000);
}

static void test_text(void)
{
    static const char *const texts[] = { "h:80", "[::1]:80", "unix:/x", "fd:monitor", "vsock:1:2" };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(SocketAddress) addr = socket_address_parse(texts[i], NULL);
        g_autofree char *text = socket_address_text(addr);

        g_assert_cmpstr(text, ==, texts[i]);
    }
}

static void test_flatten(void)
{
    json_object *json = json_tokener_parse(
        "{'type':'inet','data':{'host':'h','port':'1','ipv4':true}}");
    g_autoptr(SocketAddressLegacy) legacy = NULL;
    g_autoptr(SocketAddress) addr = NULL;
    GError *error = NULL;

    g_assert_true(SocketAddressLegacy_from_json(json, 0, &legacy, &error));
    json_object_put(json);
    addr = socket_address_flatten(legacy);
    g_assert_cmpstr(addr->u.inet.host, ==, "h");
    g_assert_true(addr->u.inet.has_ipv4 && addr->u.inet.ipv4);
}

static NetListener *listen_at(const char *text)
{
    NetListener *listener = net_listener_new();
    g_autoptr(SocketAddress) addr = socket_address_parse(text, NULL);
    g_autoptr(GError) error = NULL;

    net_listener_open(listener, addr, 4, &error);
    g_assert_no_error(error);
    return listener;
}

/* Connect to where the listener listens; both ends. */
static void connect_pair(NetListener *listener, Channel **client, Channel **server)
{
    g_autoptr(SocketAddress) addr = net_listener_address(listener, NULL);
    g_autoptr(GError) error = NULL;

    *client = socket_connect(addr, &error);
    g_assert_no_error(error);
    *server = net_listener_wait(listener, &error);
    g_assert_no_error(error);
}

static void talk(Channel *a, Channel *b)
{
    char buf[16];

    g_assert_true(channel_write_all(a, "ping", 4, NULL));
    g_assert_true(channel_read_all(b, buf, 4, NULL));
    g_assert_cmpmem(buf, 4, "ping", 4);
    g_assert_cmpint(channel_read(a, buf, 1), ==, -EAGAIN);
    g_assert_true(channel_write_all(b, "pong", 4, NULL));
    g_assert_true(channel_read_all(a, buf, 4, NULL));
    g_assert_cmpmem(buf, 4, "pong", 4);
    g_assert_cmpint(channel_shutdown(a, CHANNEL_WRITE), ==, 0);
    g_assert_cmpint(channel_read(b, buf, 1), ==, 0);
    channel_close(b);
    g_assert_cmpint(channel_read(a, buf, 1), ==, 0);
}

static void check_listener(const char *text)
{
    g_autoptr(NetListener) listener = listen_at(text);
    g_autoptr(Channel) client = NULL;
    g_autoptr(Channel) server = NULL;

    connect_pair(listener, &client, &server);
    g_assert_true(channel_is_socket(client));
    talk(client, server);
}

static void test_tcp(void)
{
    check_listener("127.0.0.1:0");
}

static bool have_ipv6(void)
{
    g_autoptr(SocketAddress) addr = socket_address_parse("[::1]:0", NULL);
    int fds[SOCKET_LISTEN_MAX];
    unsigned n = socket_listen(addr, 1, fds, NULL);

    for (unsigned i = 0; i < n; i++) {
        socket_listen_close(fds[i], socket_listen_file(fds[i]));
    }
    return n > 0;
}

static void test_tcp6(void)
{
    if (!have_ipv6()) {
        g_test_skip("this host has no IPv6");
        return;
    }
    check_listener("[::1]:0");
}

/* Every local address, both families, one port. */
static void test_wildcard(void)
{
    g_autoptr(NetListener) listener = listen_at(":0");
    g_autoptr(SocketAddress) addr = net_listener_address(listener, NULL);
    g_autofree char *v4 = g_strdup_printf("127.0.0.1:%s", addr->u.inet.port);
    g_autofree char *v6 = g_strdup_printf("[::1]:%s", addr->u.inet.port);

    for (int i = 0; i < (have_ipv6() ? 2 : 1); i++) {
        g_autoptr(SocketAddress) to = socket_address_parse(i ? v6 : v4, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(Channel) client = socket_connect(to, &error);
        g_autoptr(Channel) server = NULL;

        g_assert_no_error(error);
        server = net_listener_wait(listener, NULL);
        g_assert_nonnull(server);
    }
}

static void test_port_range(void)
{
    g_autoptr(NetListener) first = listen_at("127.0.0.1:0");
    g_autoptr(SocketAddress) addr = net_listener_address(first, NULL);
    g_autoptr(NetListener) second = net_listener_new();
    g_autoptr(SocketAddress) got = NULL;
    g_autoptr(GError) error = NULL;
    int port = atoi(addr->u.inet.port);

    g_assert_false(net_listener_open(second, addr, 1, &error));
    g_assert_nonnull(strstr(error->message, addr->u.inet.port));
    g_clear_error(&error);
    addr->u.inet.has_to = true;
    addr->u.inet.to = (uint16_t)MIN(port + 50, 65535);
    g_assert_true(net_listener_open(second, addr, 1, NULL));
    got = net_listener_address(second, NULL);
    g_assert_cmpint(atoi(got->u.inet.port), >, port);
    addr->u.inet.to = (uint16_t)(port - 1);
    g_assert_false(net_listener_open(second, addr, 1, &error));
}

static void test_families_off(void)
{
    g_autoptr(SocketAddress) addr = socket_address_parse("127.0.0.1:1,ipv4=off,ipv6=off", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(socket_connect(addr, &error));
    g_assert_nonnull(strstr(error->message, "both be off"));
}

static void test_refused(void)
{
    g_autoptr(NetListener) listener = listen_at("127.0.0.1:0");
    g_autoptr(SocketAddress) addr = net_listener_address(listener, NULL);
    g_autoptr(SocketAddress) nowhere = socket_address_parse("unix:/nonexistent/socket", NULL);
    g_autoptr(SocketAddress) nameless = socket_address_parse("1.2.3.4.5:1,numeric=on", NULL);
    g_autoptr(GError) error = NULL;

    net_listener_free(g_steal_pointer(&listener));
    g_assert_null(socket_connect(addr, &error));
    g_assert_nonnull(strstr(error->message, "Connection refused"));
    g_clear_error(&error);
    g_assert_null(socket_connect(nowhere, &error));
    g_assert_nonnull(strstr(error->message, "'unix:/nonexistent/socket'"));
    g_clear_error(&error);
    g_assert_null(socket_connect(nameless, &error));
    g_assert_nonnull(strstr(error->message, "1.2.3.4.5:1"));
}

static void test_unix(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-io-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "socket", NULL);
    g_autofree char *text = g_strdup_printf("unix:%s", path);
    struct stat st;

    check_listener(text);
    g_assert_cmpint(lstat(path, &st), ==, -1); /* gone with its listener */
    {
        /* A file left behind is replaced; one that is no socket is not. */
        g_autoptr(SocketAddress) addr = socket_address_parse(text, NULL);
        int fds[SOCKET_LISTEN_MAX];

        g_assert_cmpuint(socket_listen(addr, 1, fds, NULL), ==, 1);
        close(fds[0]);
        check_listener(text);
        g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
        g_assert_cmpuint(socket_listen(addr, 1, fds, NULL), ==, 0);
        g_assert_cmpint(lstat(path, &st), ==, 0);
        unlink(path);
    }
    rmdir(dir);
}

static void test_unix_length(void)
{
    g_autofree char *path = g_strnfill(108, 'x');
    g_autofree char *text = g_strdup_printf("unix:%s", path);
    g_autoptr(SocketAddress) addr = socket_address_parse(text, NULL);
    g_autoptr(SocketAddress) empty = socket_address_parse("unix:", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(socket_connect(addr, &error));
    g_assert_nonnull(strstr(error->message, "108 bytes; 1 to 107"));
    g_assert_null(socket_connect(empty, NULL));
}

static void test_abstract(void)
{
    for (int tight = 0; tight < 2; tight++) {
        g_autoptr(NetListener) listener = net_listener_new();
        SocketAddress addr = { .type = SOCKET_ADDRESS_TYPE_UNIX };
        g_autofree char *name = g_strdup_printf("vireo-test-%d-%d", (int)getpid(), tight);
        g_autoptr(Channel) client = NULL;
        g_autoptr(Channel) server = NULL;
        g_autoptr(SocketAddress) local = NULL;

        addr.u.q_unix = (UnixSocketAddress) {
            .path = name, .has_abstract = true, .abstract = true, .has_tight = true,
            .tight = tight,
        };
        g_assert_true(net_listener_open(listener, &addr, 1, NULL));
        client = socket_connect(&addr, NULL);
        server = net_listener_wait(listener, NULL);
        local = channel_socket_local_address(server, NULL);
        g_assert_true(local->u.q_unix.abstract);
        g_assert_cmpint(local->u.q_unix.tight, ==, tight);
        g_assert_cmpstr(local->u.q_unix.path, ==, name);
        talk(client, server);
    }
}

static void socket_pair(Channel **a, Channel **b)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    *a = channel_socket_new(fds[0], NULL);
    *b = channel_socket_new(fds[1], NULL);
}

static unsigned count_open_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_pass_fds(void)
{
    g_autoptr(Channel) a = NULL;
    g_autoptr(Channel) b = NULL;
    struct iovec iov = { (char *)"x", 1 };
    char byte;
    struct iovec in = { &byte, 1 };
    int out[CHANNEL_MAX_FDS];
    int got[2] = { -1, -1 };
    size_t n_got = 2;
    unsigned before;
    int pipe_fds[2];

    socket_pair(&a, &b);
    g_assert_true(channel_passes_fds(a));
    g_assert_cmpint(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
    g_assert_true(channel_writev_all_fds(a, &iov, 1, pipe_fds, 2, NULL));
    g_assert_cmpint(channel_readv_fds(b, &in, 1, got, &n_got), ==, 1);
    g_assert_cmpuint(n_got, ==, 2);
    g_assert_cmpint(fcntl(got[0], F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    g_assert_cmpint(write(got[1], "y", 1), ==, 1);
    g_assert_cmpint(read(pipe_fds[0], &byte, 1), ==, 1);
    close(got[0]);
    close(got[1]);

    /* More than the receiver has room for, and a receiver that wants none: nothing leaks. */
    before = count_open_fds();
    for (size_t i = 0; i < CHANNEL_MAX_FDS; i++) {
        out[i] = pipe_fds[0];
    }
    g_assert_true(channel_writev_all_fds(a, &iov, 1, out, CHANNEL_MAX_FDS, NULL));
    n_got = 1;
    g_assert_cmpint(channel_readv_fds(b, &in, 1, got, &n_got), ==, 1);
    g_assert_cmpuint(n_got, ==, 1);
    close(got[0]);
    g_assert_true(channel_writev_all_fds(a, &iov, 1, out, CHANNEL_MAX_FDS, NULL));
    g_assert_cmpint(channel_read(b, &byte, 1), ==, 1);
    g_assert_cmpuint(count_open_fds(), ==, before);
    g_assert_cmpint(channel_writev_fds(a, &iov, 1, out, CHANNEL_MAX_FDS + 1), ==, -ENOTSUP);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void test_no_socket(void)
{
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_null(channel_socket_new(fds[0], &error));
    g_assert_nonnull(error);
    close(fds[0]);
    close(fds[1]);
}

typedef struct Async {
    Channel *channel;
    char *message;
    bool called;
} Async;

static void async_done(Channel *channel, GError *error, void *opaque)
{
    Async *async = opaque;

    g_assert_true((channel == NULL) != (error == NULL));
    g_assert_true(loop_in_main_thread());
    async->channel = channel;
    async->message = error ? g_strdup(error->message) : NULL;
    async->called = true;
    g_clear_error(&error);
}

static void run_until(const bool *flag)
{
    while (!*flag) {
        loop_iterate(loop_main(), true);
    }
}

static void test_async(void)
{
    g_autoptr(NetListener) listener = listen_at("localhost:0,ipv4=on");
    g_autoptr(SocketAddress) addr = net_listener_address(listener, NULL);
    Async good = { 0 };
    Async bad = { 0 };
    Async cancelled = { 0 };

    socket_connect_start(addr, loop_main(), async_done, &good);
    run_until(&good.called);
    g_assert_nonnull(good.channel);
    socket_connect_cancel(socket_connect_start(addr, loop_main(), async_done, &cancelled));
    net_listener_free(g_steal_pointer(&listener));
    socket_connect_start(addr, loop_main(), async_done, &bad);
    run_until(&bad.called);
    g_assert_nonnull(strstr(bad.message, "refused"));
    g_usleep(20000);
    while (loop_iterate(loop_main(), false)) {
    }
    g_assert_false(cancelled.called);
    channel_unref(good.channel);
    g_free(bad.message);
}

typedef struct Server {
    NetListener *listener;
    int clients;
    int ended;
    bool done;
} Server;

typedef struct Client {
    Server *server;
    Channel *channel;
} Client;

/* An echo server that serves each client in a coroutine. */
static void echo(void *opaque)
{
    Client *self = opaque;
    char byte;
    bool eof = false;

    while (channel_read_all_or_eof(self->channel, &byte, 1, &eof, NULL) && !eof) {
        if (!channel_write_all(self->channel, &byte, 1, NULL)) {
            break;
        }
    }
    self->server->ended++;
    channel_unref(self->channel);
    g_free(self);
}

static void on_client(NetListener *listener, Channel *channel, void *opaque)
{
    Client *self = g_new0(Client, 1);

    self->server = opaque;
    self->channel = channel;
    self->server->clients++;
    coroutine_start(echo, self);
}

static void client(void *opaque)
{
    Server *server = opaque;
    g_autoptr(SocketAddress) addr = net_listener_address(server->listener, NULL);

    for (int i = 0; i < 5; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Channel) channel = socket_connect(addr, &error);
        char buf[100];

        g_assert_no_error(error);
        channel_socket_set_nodelay(channel, true);
        memset(buf, 'a' + i, sizeof(buf));
        g_assert_true(channel_write_all(channel, buf, sizeof(buf), NULL));
        memset(buf, 0, sizeof(buf));
        g_assert_true(channel_read_all(channel, buf, sizeof(buf), NULL));
        g_assert_cmpint(buf[99], ==, 'a' + i);
    }
    server->done = true;
}

static void test_server(void)
{
    Server server = { .listener = listen_at("127.0.0.1:0") };

    net_listener_watch(server.listener, loop_main(), on_client, &server);
    coroutine_start(client, &server);
    run_until(&server.done);
    g_assert_cmpint(server.clients, ==, 5);
    while (server.ended < 5) {
        loop_iterate(loop_main(), true);
    }
    net_listener_free(server.listener);
}

static void test_listen_fd(void)
{
    g_autoptr(SocketAddress) any = socket_address_parse("127.0.0.1:0", NULL);
    g_autoptr(SocketAddress) bad = socket_address_parse("fd:nobody-gave-this", NULL);
    g_autoptr(NetListener) listener = net_listener_new();
    g_autoptr(Channel) client_end = NULL;
    g_autoptr(Channel) server_end = NULL;
    g_autofree char *text = NULL;
    int fds[SOCKET_LISTEN_MAX];

    g_assert_cmpuint(socket_listen(any, 1, fds, NULL), ==, 1);
    text = g_strdup_printf("fd:%d", fds[0]);
    {
        g_autoptr(SocketAddress) addr = socket_address_parse(text, NULL);

        g_assert_true(net_listener_open(listener, addr, 1, NULL));
    }
    connect_pair(listener, &client_end, &server_end);
    talk(client_end, server_end);
    close(fds[0]);
    g_assert_false(net_listener_open(listener, bad, 1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/socket/parse", test_parse);
    g_test_add_func("/socket/parse-random", test_parse_random);
    g_test_add_func("/socket/text", test_text);
    g_test_add_func("/socket/flatten", test_flatten);
    g_test_add_func("/socket/tcp", test_tcp);
    g_test_add_func("/socket/tcp6", test_tcp6);
    g_test_add_func("/socket/wildcard", test_wildcard);
    g_test_add_func("/socket/port-range", test_port_range);
    g_test_add_func("/socket/families-off", test_families_off);
    g_test_add_func("/socket/refused", test_refused);
    g_test_add_func("/socket/unix", test_unix);
    g_test_add_func("/socket/unix-length", test_unix_length);
    g_test_add_func("/socket/abstract", test_abstract);
    g_test_add_func("/socket/pass-fds", test_pass_fds);
    g_test_add_func("/socket/no-socket", test_no_socket);
    g_test_add_func("/socket/async", test_async);
    g_test_add_func("/socket/server", test_server);
    g_test_add_func("/socket/listen-fd", test_listen_fd);
    return g_test_run();
}
