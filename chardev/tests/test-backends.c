/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends with a peer: sockets (also hostile ones, telnet, reconnect, descriptors), udp, pty,
 * serial.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/backend.h"
#include "chardev/telnet.h"
#include "chardev/tests/harness.h"

static char *tmp_dir;

static int dial(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
}

static char *drain_fd(int fd)
{
    char buf[256];
    ssize_t n = read(fd, buf, sizeof(buf));

    return g_strndup(buf, MAX(n, 0));
}

static bool is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void put(TestFrontend *test, const char *text)
{
    g_assert_cmpint(char_frontend_write_all(&test->fe, (const uint8_t *)text, strlen(text)), ==,
                    strlen(text));
}

static void test_unix_server(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "sock", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off", path);
    TestFrontend *test = test_attach(test_new(options));
    g_autofree char *before = chardev_filename(test->fe.chr);
    g_autofree char *heard = NULL;
    int peer, second;

    g_assert_true(g_pattern_match_simple("disconnected:unix:*,server=on", before));
    put(test, "lost");
    peer = dial(path);
    SPIN_UNTIL(test->opened == 1);
    second = dial(path);
    send_text(peer, "hello");
    SPIN_UNTIL(test->input->len == 5);
    put(test, "world");
    heard = drain_fd(peer);
    g_assert_cmpstr(heard, ==, "world");
    close(peer);
    SPIN_UNTIL(test->closed == 1 && test->opened == 2);
    send_text(second, "!");
    SPIN_UNTIL(test->input->len == 6);
    char_frontend_disconnect(&test->fe);
    SPIN_UNTIL(test->closed == 2);
    g_assert_true(is_closed(second));
    close(second);
    test_detach(test);
    test_remove("s");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* A server that makes way for one at its own path must not take the new one's file along. */
static void test_unix_server_change(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "same", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off", path);
    g_autofree char *text = g_strdup_printf("socket,path=%s,server=on,wait=off", path);
    TestFrontend *test = test_attach(test_new(options));
    json_object *change = chardev_parse_options(text, NULL, NULL);
    g_autoptr(GError) error = NULL;
    int peer;

    g_assert_nonnull(chardev_change("s", change, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    peer = dial(path);
    SPIN_UNTIL(test->opened == 1);
    send_text(peer, "new");
    SPIN_UNTIL(test->input->len == 3);
    close(peer);
    test_detach(test);
    test_remove("s");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    json_object_put(change);
}

/* A frontend that cannot read leaves the bytes in the kernel, and gets all of them later. */
static void test_flow_control(void)
{
    TestFrontend *test = test_attach(
        test_new("socket,id=s,path=vireo-test-flow,abstract=on,server=on,wait=off"));
    TestFrontend *peer = test_attach(test_new("socket,id=c,path=vireo-test-flow,abstract=on"));
    g_autofree char *text = g_strnfill(10000, 'x');

    test->room = 0;
    put(peer, text);
    test_settle();
    g_assert_cmpint(test->input->len, ==, 0);
    test->room = 100;
    char_frontend_accept_input(&test->fe);
    SPIN_UNTIL(test->input->len == 10000);
    test_detach(peer);
    test_remove("c");
    SPIN_UNTIL(test->closed == 1);
    test_detach(test);
    test_remove("s");
}

static void count_call(void *opaque)
{
    (*(int *)opaque)++;
}

/*
 * A peer that never reads: plain writes go short, write_all queues, and in the end the peer is
 * dropped.
 */
static void test_hostile_reader(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "hostile", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off", path);
    TestFrontend *test = test_attach(test_new(options));
    g_autofree uint8_t *block = g_malloc0(1 << 20);
    int peer = dial(path), called = 0, n;
    size_t got = 0, sent = 0;
    char *sink = g_malloc(1 << 20);

    SPIN_UNTIL(test->opened == 1);
    while ((n = char_frontend_write(&test->fe, block, 65536)) > 0) {
        sent += n;
        g_assert_cmpint(sent, <, 64 << 20);
    }
    g_assert_cmpint(n, ==, 0);
    g_assert_cmpint(char_frontend_watch_writable(&test->fe, count_call, &called), >, 0);
    g_assert_cmpint(char_frontend_write_all(&test->fe, block, 1 << 20), ==, 1 << 20);
    sent += 1 << 20;
    test_settle();
    g_assert_cmpint(called, ==, 0);
    while (got < sent) {
        ssize_t part = read(peer, sink, 1 << 20);

        got += MAX(part, 0);
        loop_iterate(loop_main(), false);
    }
    SPIN_UNTIL(called == 1);
    for (int i = 0; i < 40 && !test->closed; i++) {
        g_assert_cmpint(char_frontend_write_all(&test->fe, block, 1 << 20), ==, 1 << 20);
    }
    SPIN_UNTIL(test->closed == 1);
    g_free(sink);
    close(peer);
    test_detach(test);
    test_remove("s");
}

/* The frontend leaves in the middle of its own callback. */
static void leave_on_read(void *opaque, const uint8_t *buf, int size)
{
    TestFrontend *test = opaque;

    char_frontend_detach(&test->fe);
    test_remove("s");
    test->closed = 100;
}

static void test_remove_in_callback(void)
{
    static const CharFrontendOps ops = { .can_read = test_can_read, .read = leave_on_read };
    TestFrontend *test = test_attach(
        test_new("socket,id=s,path=vireo-test-leave,abstract=on,server=on,wait=off"));
    TestFrontend *peer = test_attach(test_new("socket,id=c,path=vireo-test-leave,abstract=on"));

    char_frontend_set_handlers(&test->fe, &ops, test, NULL);
    put(peer, "x");
    SPIN_UNTIL(test->closed == 100);
    SPIN_UNTIL(peer->closed == 1);
    test_detach(peer);
    test_remove("c");
    test_detach(test);
}

static void test_tcp(void)
{
    TestFrontend *server = test_attach(
        test_new("socket,id=s,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on"));
    g_autofree char *name = chardev_filename(server->fe.chr);
    const char *at = strstr(name, "127.0.0.1:");
    g_autofree char *port = NULL, *text = NULL, *connected = NULL;
    g_autoptr(GError) error = NULL;
    TestFrontend *client;
    Chardev *chr;

    g_assert_nonnull(at);
    port = g_strndup(at + 10, strcspn(at + 10, ","));
    text = g_strdup_printf("tcp:127.0.0.1:%s", port);
    chr = chardev_new_from_short("c", text, &error);
    g_assert_no_error(error);
    client = test_attach(chr);
    SPIN_UNTIL(server->opened == 1);
    connected = chardev_filename(server->fe.chr);
    g_assert_true(g_pattern_match_simple("tcp:127.0.0.1:*,server=on <-> 127.0.0.1:*", connected));
    put(client, "over tcp");
    SPIN_UNTIL(server->input->len == 8);
    test_detach(server);
    test_remove("s");
    SPIN_UNTIL(client->closed == 1);
    test_detach(client);
    test_remove("c");
}

/* Waiting for the first client ends when the program is asked to end. */
static void test_wait_interrupted(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "wait", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=w,path=%s,server=on", path);
    pid_t child = fork();
    int status;

    if (child == 0) {
        g_autofree char *message = NULL;
        sigset_t term;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        message = test_new_fails(options);
        _exit(strstr(message, "interrupted") ? 0 : 1);
    }
    for (int i = 0; i < 5000 && !g_file_test(path, G_FILE_TEST_EXISTS); i++) {
        g_usleep(1000);
    }
    kill(child, SIGTERM);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_reconnect(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "again", NULL);
    g_autofree char *client_options = g_strdup_printf("socket,id=c,path=%s,reconnect=1", path);
    g_autofree char *server_options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off",
                                                      path);
    TestFrontend *client = test_attach(test_new(client_options));
    TestFrontend *server;

    test_settle();
    g_assert_cmpint(client->opened, ==, 0);
    server = test_attach(test_new(server_options));
    SPIN_UNTIL(client->opened == 1 && server->opened == 1);
    char_frontend_disconnect(&server->fe);
    SPIN_UNTIL(client->closed == 1);
    SPIN_UNTIL(client->opened == 2);
    test_detach(server);
    test_remove("s");
    SPIN_UNTIL(client->closed == 2);
    test_detach(client);
    test_remove("c");
    test_settle();
}

static void test_fd(void)
{
    int pair[2], sent[2], got[4];
    g_autofree char *options = NULL;
    TestFrontend *test;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                              .cmsg_len = CMSG_LEN(sizeof(int)) } };
    struct iovec iov = { .iov_base = (char *)"x", .iov_len = 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control) };

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    g_assert_cmpint(pipe(sent), ==, 0);
    options = g_strdup_printf("socket,id=s,fd=%d", pair[0]);
    test = test_attach(test_new(options));
    memcpy(CMSG_DATA(&control.header), &sent[1], sizeof(int));
    g_assert_cmpint(sendmsg(pair[1], &msg, 0), ==, 1);
    SPIN_UNTIL(test->input->len == 1);
    g_assert_cmpint(char_frontend_get_fds(&test->fe, got, 4), ==, 1);
    g_assert_cmpint(char_frontend_get_fds(&test->fe, got + 1, 3), ==, 0);
    send_text(got[0], "y");
    g_assert_cmpint(read(sent[0], got + 1, 1), ==, 1);
    close(got[0]);
    close(sent[0]);
    close(sent[1]);
    close(pair[1]);
    SPIN_UNTIL(test->closed == 1);
    test_detach(test);
    test_remove("s");
}

static void test_telnet(void)
{
    g_autofree char *path = g_build_filename(tmp_dir, "telnet", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=s,path=%s,server=on,wait=off,telnet=on",
                                               path);
    TestFrontend *test = test_attach(test_new(options));
    static const char input[] = "a\xff\xfd\x03" "b\xff\xff"
                                "c\xff\xfa\x18ignored\xff\xf0" "d\xff\xf3" "e";
    static const uint8_t output[] = { 'x', 0xff, 'y' };
    int peer = dial(path);
    char buf[64];
    size_t len;
    const uint8_t *offer = telnet_offer(false, &len);

    SPIN_UNTIL(test->opened == 1);
    g_assert_cmpint(read(peer, buf, sizeof(buf)), ==, len);
    g_assert_cmpmem(buf, len, offer, len);
    send_text(peer, input);
    SPIN_UNTIL(test->input->len == 6 && test->breaks == 1);
    g_assert_cmpmem(test->input->str, 6, "ab\xff" "cde", 6);
    g_assert_cmpint(char_frontend_write(&test->fe, output, 3), ==, 3);
    g_assert_cmpint(read(peer, buf, sizeof(buf)), ==, 4);
    g_assert_cmpmem(buf, 4, "x\xff\xffy", 4);
    close(peer);
    SPIN_UNTIL(test->closed == 1);
    test_detach(test);
    test_remove("s");
}

static void test_udp(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int peer = socket(AF_INET, SOCK_DGRAM, 0);
    g_autofree char *options = NULL;
    TestFrontend *test;
    char buf[16];

    g_assert_cmpint(bind(peer, (struct sockaddr *)&in, sizeof(in)), ==, 0);
    getsockname(peer, (struct sockaddr *)&in, &len);
    options = g_strdup_printf("udp,id=u,host=127.0.0.1,port=%d", ntohs(in.sin_port));
    test = test_attach(test_new(options));
    put(test, "ping");
    g_assert_cmpint(recvfrom(peer, buf, sizeof(buf), 0, (struct sockaddr *)&in, &len), ==, 4);
    test->room = 2;
    sendto(peer, "a long pong", 11, 0, (struct sockaddr *)&in, len);
    sendto(peer, "", 0, 0, (struct sockaddr *)&in, len);
    sendto(peer, "!", 1, 0, (struct sockaddr *)&in, len);
    SPIN_UNTIL(test->input->len == 12);
    g_assert_cmpstr(test->input->str, ==, "a long pong!");
    close(peer);
    put(test, "nobody there");
    put(test, "still alive");
    test_settle();
    test_detach(test);
    test_remove("u");
}

static void test_pty(void)
{
    TestFrontend *test = test_attach(test_new("pty,id=p"));
    g_autofree char *filename = chardev_filename(test->fe.chr);

    g_assert_true(g_str_has_prefix(filename, "pty:/dev/"));
    test_settle();
    g_assert_cmpint(test->opened, ==, 0);
    put(test, "lost");
    for (int round = 1; round <= 2; round++) {
        g_autofree char *heard = NULL;
        int peer = open(filename + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);

        g_assert_cmpint(peer, >=, 0);
        SPIN_UNTIL(test->opened == round);
        send_text(peer, "abc");
        SPIN_UNTIL((int)test->input->len == 3 * round);
        put(test, "out\n");
        heard = drain_fd(peer);
        g_assert_cmpstr(heard, ==, "out\n");
        close(peer);
        SPIN_UNTIL(test->closed == round);
    }
    test_detach(test);
    test_remove("p");
}

/* A pseudo-terminal stands in for a serial port. */
static void test_serial(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CharSerialParams params = { .speed = 9500, .data_bits = 7, .stop_bits = 2, .parity = 'E' };
    g_autofree char *options = NULL;
    TestFrontend *test;
    struct termios mode;
    int on = 1;

    grantpt(master);
    unlockpt(master);
    options = g_strdup_printf("tty,id=t,path=%s", ptsname(master));
    test = test_attach(test_new(options));
    g_assert_cmpint(char_frontend_ioctl(&test->fe, CHAR_IOCTL_SERIAL_SET_PARAMS, &params), ==, 0);
    g_assert_cmpint(tcgetattr(master, &mode), ==, 0);
    g_assert_cmpint(cfgetospeed(&mode), ==, B9600);
    g_assert_true(mode.c_cflag & CSTOPB);
    /* Pseudo-terminals have no modem lines; what counts is an error and no harm. */
    g_assert_cmpint(char_frontend_ioctl(&test->fe, CHAR_IOCTL_SERIAL_SET_TIOCM, &on), <, 0);
    g_assert_cmpint(char_frontend_ioctl(&test->fe, CHAR_IOCTL_PP_READ_DATA, &on), ==, -ENOTSUP);
    send_text(master, "from outside");
    SPIN_UNTIL(test->input->len == 12);
    close(master);
    SPIN_UNTIL(test->closed == 1);
    test_detach(test);
    test_remove("t");
    g_free(test_new_fails("serial,id=t,path=/dev/null"));
    g_free(test_new_fails("parallel,id=t,path=/dev/null"));
}

/* A frontend on another loop: events and bytes come on that loop's thread. */
typedef struct LoopTest {
    Loop *loop;
    int bytes, wrong_thread;
} LoopTest;

static void loop_test_read(void *opaque, const uint8_t *buf, int size)
{
    LoopTest *test = opaque;

    if (loop_in_main_thread()) {
        g_atomic_int_inc(&test->wrong_thread);
    }
    g_atomic_int_add(&test->bytes, size);
}

static int always_room(void *opaque)
{
    return 64;
}

static void *loop_thread(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void test_other_loop(void)
{
    static const CharFrontendOps ops = { .can_read = always_room, .read = loop_test_read };
    LoopTest test = { .loop = loop_new(NULL) };
    GThread *thread = g_thread_new("loop", loop_thread, test.loop);
    TestFrontend *front = test_attach(
        test_new("socket,id=s,path=vireo-test-loop,abstract=on,server=on,wait=off"));
    TestFrontend *peer;

    char_frontend_set_handlers(&front->fe, &ops, &test, test.loop);
    peer = test_attach(test_new("socket,id=c,path=vireo-test-loop,abstract=on"));
    put(peer, "twelve bytes");
    SPIN_UNTIL(g_atomic_int_get(&test.bytes) == 12);
    g_assert_cmpint(test.wrong_thread, ==, 0);
    test_detach(front);
    test_remove("s");
    test_detach(peer);
    test_remove("c");
    loop_quit(test.loop);
    g_thread_join(thread);
    loop_free(test.loop);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    tmp_dir = g_dir_make_tmp("vireo-chardev-XXXXXX", NULL);
    vm_lock();
    g_test_add_func("/chardev/socket/unix", test_unix_server);
    g_test_add_func("/chardev/socket/unix-change", test_unix_server_change);
    g_test_add_func("/chardev/socket/flow-control", test_flow_control);
    g_test_add_func("/chardev/socket/hostile-reader", test_hostile_reader);
    g_test_add_func("/chardev/socket/remove-in-callback", test_remove_in_callback);
    g_test_add_func("/chardev/socket/tcp", test_tcp);
    g_test_add_func("/chardev/socket/wait-interrupted", test_wait_interrupted);
    g_test_add_func("/chardev/socket/reconnect", test_reconnect);
    g_test_add_func("/chardev/socket/fd", test_fd);
    g_test_add_func("/chardev/socket/telnet", test_telnet);
    g_test_add_func("/chardev/udp", test_udp);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/serial", test_serial);
    g_test_add_func("/chardev/other-loop", test_other_loop);
    ret = g_test_run();
    vm_unlock();
    g_rmdir(tmp_dir);
    g_free(tmp_dir);
    return ret;
}
